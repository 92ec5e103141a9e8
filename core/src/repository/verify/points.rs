//! Recovery points: every tree node, every part of every item. What points share is read once.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::record::{ContentPart, ItemRecord};
use nakivo_repo_format::tree::{Node, TreeEntry};
use nakivo_repo_format::{Blob, ChunkId, ChunkRef, ItemKey, KeyKind, Manifest, PackId, paths};
use tokio_util::task::AbortOnDropHandle;

use super::Lost;
use super::containers::Containers;
use super::{AffectedItem, Verifier};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Reporter;
use crate::repository::content::{listed_chunks, read_blob, read_part, segments};
use crate::repository::objects::{corrupt, format_error};
use crate::repository::reach::{Reach, short};
use crate::repository::read::Pattern;
use crate::repository::shared::Shared;
use crate::repository::tree::decode_entry;

/// Items that one task reads one after the other, how long they are in all, and tasks at once.
const GROUP_ITEMS: usize = 64;
const GROUP_BYTES: u64 = 3 << 20;
const PARALLEL_GROUPS: usize = 4;
/// Items put in the order of the store before they are read: the tree's order is that of ids, not of places.
const BATCH_ITEMS: usize = 8192;
/// Item records remembered as sound. Beyond, some are checked again.
const MAX_REMEMBERED: usize = 1 << 20;

/// A subtree still to be looked at.
struct Subtree {
    chunk: ChunkRef,
    level: u8,
    entries: u64,
    last_key: Option<Vec<u8>>,
}

/// An entry, and the node that lists it.
struct Listed {
    entry: TreeEntry,
    leaf: ChunkId,
}

/// A point on its way.
#[derive(Default)]
struct PointWalk {
    /// Where an earlier verification stopped: everything up to this key was looked at.
    after: Option<Vec<u8>>,
    /// Lost and not settled yet: the object that is to blame, what is wrong with it, what is lost.
    losses: Vec<(String, String, Loss)>,
    /// Read once something was lost.
    containers: Option<Containers>,
}

impl PointWalk {
    fn is_done(&self, key: Option<&[u8]>) -> bool {
        match (&self.after, key) {
            (Some(after), Some(key)) => key <= after.as_slice(),
            _ => false,
        }
    }
}

/// What was found to be unreadable in one point, before it is known where that is.
enum Loss {
    Item(Box<TreeEntry>),
    Listing { entries: u64, last_key: Option<Vec<u8>> },
    Named(&'static str),
}

impl Verifier {
    /// The packs that hold what these points need. What cannot be read here is told when the points are walked through.
    pub(super) async fn needed_packs(&mut self, scope: &[Manifest]) -> Result<HashSet<PackId>> {
        let mut packs = HashSet::new();
        let shared = Arc::clone(&self.shared);
        let mut reach = Reach::lenient(&shared);
        let mut need = |chunk: &ChunkRef| {
            let index = shared.index();
            let blocks = index.block_numbers(&chunk.id)?;
            packs.extend(blocks.into_iter().map(|block| index.pack_of(block)));
            Ok(())
        };
        for manifest in scope {
            self.reporter.check()?;
            reach.point(manifest, &mut need).await?;
        }
        Ok(packs)
    }

    /// Walks through points.
    pub(super) async fn points(&mut self, scope: &[Manifest]) -> Result<()> {
        let total = scope.iter().map(|manifest| manifest.counts.items).sum();
        self.reporter
            .update(|progress| progress.items_total = Some(total));
        let mut sound = Sound::default();
        for manifest in scope {
            if self.saved.points.contains(&manifest.id) {
                continue;
            }
            self.reporter
                .update(|progress| progress.current = Some(manifest.object.name.clone()));
            let mut walk = PointWalk::default();
            let begun = self
                .saved
                .within
                .clone()
                .filter(|(point, _)| *point == manifest.id);
            walk.after = begun.map(|(_, key)| key);
            if walk.after.is_none() {
                for (name, blob) in blobs(manifest) {
                    if let Err(error) = self.blob(blob).await {
                        self.lose(error, blob.chunks(), None, Loss::Named(name), &mut walk.losses)
                            .await?;
                    }
                }
            }
            self.tree(manifest, &mut sound, &mut walk).await?;
            self.report.points += 1;
            if !self.known.points.contains_key(&manifest.id) && self.sample.percent >= 100 {
                self.known.whole.insert(manifest.id);
            }
            self.saved.points.insert(manifest.id);
            self.saved.within = None;
            // Behind it: each call gets on by something.
            self.check()?;
        }
        let unfinished: Vec<Blob> = {
            let view = self.shared.view();
            let progress = view.state.progress().values();
            progress
                .flat_map(|progress| progress.spills.iter().chain(&progress.state))
                .cloned()
                .collect()
        };
        for blob in unfinished {
            if let Err(error) = self.blob(&blob).await {
                self.lose(
                    error,
                    blob.chunks(),
                    None,
                    Loss::Named("(progress of an unfinished run)"),
                    &mut Vec::new(),
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn blob(&self, blob: &Blob) -> Result<()> {
        let mut bytes = read_blob(&self.shared, blob);
        while bytes.try_next().await?.is_some() {}
        Ok(())
    }

    async fn tree(&mut self, manifest: &Manifest, sound: &mut Sound, walk: &mut PointWalk) -> Result<()> {
        let mut open: Vec<Subtree> = Vec::new();
        open.extend(manifest.root.iter().map(|root| Subtree {
            chunk: root.chunk,
            level: root.level,
            entries: root.entries,
            last_key: None,
        }));
        let mut visited = Vec::new();
        let mut batch = Vec::new();
        while let Some(subtree) = open.pop() {
            self.reporter.check()?;
            if sound.nodes.contains(&short(&subtree.chunk.id)) || walk.is_done(subtree.last_key.as_deref()) {
                self.reporter
                    .update(|progress| progress.items_done += subtree.entries);
                continue;
            }
            match self.node(&subtree).await {
                Ok(Node::Inner(children)) => open.extend(children.into_iter().rev().map(|child| Subtree {
                    chunk: child.chunk,
                    level: child.level,
                    entries: child.entries,
                    last_key: Some(child.last_key),
                })),
                Ok(Node::Leaf(entries)) => {
                    let leaf = subtree.chunk.id;
                    let left = entries
                        .into_iter()
                        .filter(|entry| !walk.is_done(Some(&entry.key)));
                    batch.extend(left.map(|entry| Listed { entry, leaf }));
                }
                Err(error) => {
                    let loss = Loss::Listing {
                        entries: subtree.entries,
                        last_key: subtree.last_key,
                    };
                    self.lose(
                        error,
                        &[subtree.chunk],
                        Some(subtree.chunk.id),
                        loss,
                        &mut walk.losses,
                    )
                    .await?;
                    continue;
                }
            }
            visited.push(short(&subtree.chunk.id));
            if batch.len() >= BATCH_ITEMS {
                self.batch(manifest, std::mem::take(&mut batch), sound, walk)
                    .await?;
                self.check()?;
            }
        }
        self.batch(manifest, batch, sound, walk).await?;
        if !self.known.points.contains_key(&manifest.id) && walk.after.is_none() {
            // What later points share of this one need not be looked at again.
            sound.nodes.extend(visited);
        }
        Ok(())
    }

    /// Checks a batch of items and settles what was lost so far, so that a later call can go on behind it.
    async fn batch(
        &mut self,
        manifest: &Manifest,
        batch: Vec<Listed>,
        sound: &mut Sound,
        walk: &mut PointWalk,
    ) -> Result<()> {
        let last = batch.last().map(|listed| listed.entry.key.clone());
        self.items(batch, sound, &mut walk.losses).await?;
        if !walk.losses.is_empty() {
            let losses = std::mem::take(&mut walk.losses);
            add_losses(self.known.points.entry(manifest.id).or_default(), &losses);
            for (_, _, loss) in &losses {
                if let Loss::Item(entry) = loss {
                    self.lost.add(manifest.id, fingerprint(entry), entry);
                }
            }
            if walk.containers.is_none() {
                walk.containers = Some(self.containers(manifest).await);
            }
            if let Some(containers) = &walk.containers {
                self.name_losses(manifest, containers, losses);
            }
        }
        self.saved.within = last.map(|key| (manifest.id, key));
        Ok(())
    }

    async fn node(&self, subtree: &Subtree) -> Result<Node> {
        let bytes = self.shared.read_chunk(&subtree.chunk, Pattern::Unknown).await?;
        let node = Node::decode(&bytes).map_err(|error| format_error("manifest tree", error))?;
        let (level, entries) = match &node {
            Node::Leaf(entries) => (0, entries.len() as u64),
            Node::Inner(children) => (
                children.first().map_or(0, |child| child.level + 1),
                children.iter().map(|child| child.entries).sum(),
            ),
        };
        if level != subtree.level || entries != subtree.entries {
            return Err(corrupt("manifest tree", "a node is not what its parent says"));
        }
        Ok(node)
    }

    /// Checks items, in the order in which their content lies in the store.
    async fn items(
        &mut self,
        entries: Vec<Listed>,
        sound: &mut Sound,
        losses: &mut Vec<(String, String, Loss)>,
    ) -> Result<()> {
        let total = entries.len() as u64;
        let mut fresh: Vec<Listed> = entries
            .into_iter()
            .filter(|listed| !sound.records.contains(&fingerprint(&listed.entry)))
            .collect();
        if self.hashes {
            fresh.sort_by_cached_key(|listed| {
                let record = ItemRecord::decode(&listed.entry.value).ok();
                record.and_then(|record| record.parts.last().map(|part| self.shared.placement(part)))
            });
        }
        let bad_blocks = Arc::new(self.bad_blocks.clone());
        let mut groups: Vec<Vec<(Listed, bool)>> = Vec::new();
        let mut bytes = 0;
        for listed in fresh {
            let read = self.is_read(&listed.entry);
            bytes += listed.entry.size;
            match groups.last_mut() {
                Some(group) if bytes <= GROUP_BYTES && group.len() < GROUP_ITEMS => {
                    group.push((listed, read))
                }
                _ => {
                    bytes = listed.entry.size;
                    groups.push(vec![(listed, read)]);
                }
            }
        }
        let results: Vec<Vec<Checked>> = stream::iter(groups)
            .map(|group| {
                let (shared, bad_blocks) = (Arc::clone(&self.shared), Arc::clone(&bad_blocks));
                let checking = check_items(shared, bad_blocks, group, self.reporter.clone());
                // Tasks of their own: joining and hashing keeps a processor busy.
                AbortOnDropHandle::new(tokio::spawn(checking))
            })
            .buffer_unordered(PARALLEL_GROUPS)
            .try_collect()
            .await
            .map_err(|error| Error::internal(format!("checking items ended abnormally: {error}")))?;
        let checked = results.iter().map(|group| group.len() as u64).sum::<u64>();
        for (Listed { entry, leaf }, result) in results.into_iter().flatten() {
            self.reporter.check()?;
            self.report.items += 1;
            match result {
                Ok(bytes) => {
                    self.report.content_bytes += bytes;
                    if sound.records.len() >= MAX_REMEMBERED {
                        sound.records.clear();
                    }
                    sound.records.insert(fingerprint(&entry));
                }
                Err((error, chunks)) => {
                    self.lose(error, &chunks, Some(leaf), Loss::Item(Box::new(entry)), losses)
                        .await?
                }
            }
        }
        self.reporter
            .update(|progress| progress.items_done += total - checked);
        Ok(())
    }

    /// Whether an item's parts are joined and hashed, and not only looked up.
    fn is_read(&self, entry: &TreeEntry) -> bool {
        let these = self.only_these.as_ref();
        self.hashes
            && these.is_none_or(|these| these.contains(&fingerprint(entry)))
            && self.sample.takes(&entry.value)
    }

    /// Notes a loss with the objects that cause it: those that hold the chunks which cannot be read, else the one that holds
    /// `node`, the tree node that says what is not so.
    async fn lose(
        &mut self,
        error: Error,
        chunks: &[ChunkRef],
        node: Option<ChunkId>,
        loss: Loss,
        losses: &mut Vec<(String, String, Loss)>,
    ) -> Result<()> {
        let what = self.damage_of(error)?;
        let mut object = None;
        for chunk in chunks {
            let block = self.shared.index().find(&chunk.id)?;
            if block.is_some() && self.is_unreadable(chunk).await {
                self.bad_copies(&chunk.id)?;
            }
            let Some(place) = block else {
                object = Some((
                    paths::INDEX.to_owned(),
                    format!("chunk {} is in no index segment", chunk.id),
                ));
                break;
            };
            if self.bad_blocks.contains(&place.block) {
                object = Some((paths::pack(&place.key.0), what.clone()));
                break;
            }
            if let Err(error) = self.shared.read_chunk(chunk, Pattern::Unknown).await {
                object = Some((paths::pack(&place.key.0), error.message().to_owned()));
                break;
            }
        }
        let (path, what) = match object {
            Some(object) => object,
            None => {
                let node = node.or_else(|| chunks.first().map(|chunk| chunk.id));
                let path = match node {
                    Some(node) => match self.shared.index().find_pack(&node)? {
                        Some(pack) => paths::pack(&pack),
                        None => paths::INDEX.to_owned(),
                    },
                    // What is in no chunk is in a manifest.
                    None => paths::LOG.to_owned(),
                };
                (path, what)
            }
        };
        self.damaged(&path, what.as_str());
        losses.push((path, what, loss));
        Ok(())
    }

    /// Whether no copy of a chunk can be read. A store that does not answer says nothing about that.
    async fn is_unreadable(&self, chunk: &ChunkRef) -> bool {
        match self.shared.read_chunk(chunk, Pattern::Unknown).await {
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::Corrupt,
        }
    }

    /// Says what was lost in a point, by its path.
    fn name_losses(
        &mut self,
        manifest: &Manifest,
        containers: &Containers,
        losses: Vec<(String, String, Loss)>,
    ) {
        for (object, _, loss) in losses {
            let (path, count) = match loss {
                Loss::Named(name) => (name.to_owned(), 1),
                Loss::Item(entry) => {
                    let path = match decode_entry(&entry) {
                        Ok((key, record)) => containers.path(key.container(), &record.name),
                        Err(_) => containers.path_of_key(&entry.key),
                    };
                    (path, 1)
                }
                Loss::Listing { entries, last_key } => {
                    let path = match last_key {
                        Some(key) => format!("{entries} entries up to {}", containers.path_of_key(&key)),
                        None => format!("all {entries} entries"),
                    };
                    (path, entries)
                }
            };
            let item = AffectedItem {
                object: manifest.object.name.clone(),
                point: manifest.id,
                path,
            };
            self.ledger.affects(&object, item, count);
        }
    }

    /// The containers of a point, as far as they can be read.
    async fn containers(&self, manifest: &Manifest) -> Containers {
        let mut containers = Containers::default();
        let mut open: Vec<ChunkRef> = manifest.root.iter().map(|root| root.chunk).collect();
        while let Some(chunk) = open.pop() {
            let Ok(bytes) = self.shared.read_chunk(&chunk, Pattern::Unknown).await else {
                continue;
            };
            match Node::decode(&bytes) {
                Ok(Node::Inner(children)) => open.extend(children.iter().map(|child| child.chunk)),
                Ok(Node::Leaf(entries)) => {
                    for entry in entries {
                        let Ok(key) = ItemKey::from_bytes(&entry.key) else {
                            continue;
                        };
                        if key.kind() == KeyKind::Container
                            && let Ok(record) = ItemRecord::decode(&entry.value)
                        {
                            containers
                                .0
                                .insert(key.id().to_owned(), (key.container().to_owned(), record.name));
                        }
                    }
                }
                Err(_) => {}
            }
        }
        containers
    }
}

/// Adds what a point lost, for the log.
fn add_losses(lost: &mut Lost, losses: &[(String, String, Loss)]) {
    for (_, what, loss) in losses {
        match loss {
            // An entry that is no record cannot be replaced by reading an item again: nothing is built on such a point.
            Loss::Item(entry) => lost.add(1, decode_entry(entry).ok().map(|(key, _)| key), what),
            Loss::Listing { entries, .. } => lost.add(*entries, None, what),
            Loss::Named(_) => lost.add(1, None, what),
        }
    }
}

fn blobs(manifest: &Manifest) -> impl Iterator<Item = (&'static str, &Blob)> {
    let cursor = manifest
        .cursor
        .iter()
        .map(|blob| ("(where the next run continues)", blob));
    cursor.chain(
        manifest
            .ledger
            .iter()
            .map(|blob| ("(list of items not stored)", blob)),
    )
}

/// An item, and the bytes read of it, or why it cannot be read and the chunks of the part concerned.
type Checked = (Listed, Result<u64, (Error, Vec<ChunkRef>)>);

/// Checks items one after the other; those that are to be read in full say so.
async fn check_items(
    shared: Arc<Shared>,
    bad_blocks: Arc<HashSet<u32>>,
    items: Vec<(Listed, bool)>,
    reporter: Reporter,
) -> Vec<Checked> {
    let mut checked = Vec::with_capacity(items.len());
    let decoded: Vec<Result<ItemRecord>> = items
        .iter()
        .map(|(listed, _)| decode_entry(&listed.entry).map(|(_, record)| record))
        .collect();
    let read = decoded.iter().zip(&items).filter(|(_, (_, read))| *read);
    let parts = read
        .filter_map(|(record, _)| record.as_ref().ok())
        .flat_map(|record| &record.parts);
    shared.preload(parts.flat_map(listed_chunks));
    for ((listed, read), record) in items.into_iter().zip(decoded) {
        let result = match (reporter.check(), record) {
            (Ok(()), Ok(record)) => check_item(&shared, &bad_blocks, &record, read).await,
            (Err(error), _) | (_, Err(error)) => Err((error, Vec::new())),
        };
        reporter.update(|progress| progress.items_done += 1);
        checked.push((listed, result));
    }
    checked
}

/// Checks one item: with `read`, joins its parts and compares their hashes; else looks its chunks up. Returns the bytes
/// read, or the error and the chunks of the part that has it.
async fn check_item(
    shared: &Arc<Shared>,
    bad_blocks: &HashSet<u32>,
    record: &ItemRecord,
    read: bool,
) -> Result<u64, (Error, Vec<ChunkRef>)> {
    let mut bytes = 0;
    for part in &record.parts {
        if read {
            let mut content = read_part(shared, part);
            let mut failure = None;
            loop {
                match content.try_next().await {
                    Ok(Some(piece)) => bytes += piece.len() as u64,
                    Ok(None) => break,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            if let Some(error) = failure {
                let chunks = chunks_of(shared, part).await;
                return Err((error, chunks.map_err(|error| (error, Vec::new()))?));
            }
        } else {
            let chunks = chunks_of(shared, part)
                .await
                .map_err(|error| (error, Vec::new()))?;
            if let Err(error) = all_sound(shared, bad_blocks, &chunks) {
                return Err((error, chunks));
            }
        }
    }
    Ok(bytes)
}

/// Fails with the first chunk that is nowhere, or only in blocks that cannot be read.
fn all_sound(shared: &Shared, bad_blocks: &HashSet<u32>, chunks: &[ChunkRef]) -> Result<()> {
    let index = shared.index();
    for chunk in chunks {
        let what = format!("chunk {}", chunk.id);
        if index.length(&chunk.id)? != Some(chunk.length) {
            return Err(corrupt(&what, "the index does not have it"));
        }
        // One sound copy is enough.
        let blocks = index.block_numbers(&chunk.id)?;
        if blocks.iter().all(|block| bad_blocks.contains(block)) {
            return Err(corrupt(&what, "its block cannot be read"));
        }
    }
    Ok(())
}

/// Every chunk of a part, those of its segment list first, as far as that can be read. Fails only with the scratch of this
/// machine, of which nothing follows for the repository.
async fn chunks_of(shared: &Arc<Shared>, part: &ContentPart) -> Result<Vec<ChunkRef>> {
    let mut chunks = Vec::new();
    if let nakivo_repo_format::SegmentList::Indirect(blob) = &part.segments {
        chunks.extend_from_slice(blob.chunks());
    }
    let mut list = segments(shared, &part.segments);
    loop {
        match list.try_next().await {
            Ok(Some(segment)) => chunks.extend_from_slice(segment.chunks()),
            Err(error) if error.kind() == ErrorKind::ScratchFailed => return Err(error),
            _ => return Ok(chunks),
        }
    }
}

/// What was found to be sound in an earlier point.
#[derive(Default)]
struct Sound {
    nodes: HashSet<[u8; 16]>,
    records: HashSet<[u8; 16]>,
}

fn fingerprint(entry: &TreeEntry) -> [u8; 16] {
    let mut short = [0; 16];
    let mut hasher = blake3::Hasher::new();
    // The key's length first, so that no two entries are one sequence of bytes.
    hasher.update(&(entry.key.len() as u64).to_le_bytes());
    hasher.update(&entry.key);
    hasher.update(&entry.size.to_le_bytes());
    hasher.update(&entry.value);
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}
