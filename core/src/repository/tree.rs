//! Reading and editing manifest trees: the format decides which node comes next, this module fetches it.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, future, stream};
use nakivo_repo_format::record::ItemKind;
use nakivo_repo_format::record::ItemRecord;
use nakivo_repo_format::tree::{
    DiffStep, EditorStats, Found, LostSubtree, Node, RangeScan, ScanStep, Step, TreeChange, TreeDiff,
    TreeEdit, TreeEditor, TreeEntry, TreeRoot,
};
use nakivo_repo_format::{ChunkRef, FormatError, ItemKey, KeyKind};

use super::Repository;
use super::objects::{corrupt, format_error};
use super::read::Pattern;
use super::shared::Shared;
use super::write::Packer;
use crate::error::{Error, ErrorKind, Result};

/// Nodes read side by side.
const READ_AHEAD_NODES: usize = 8;
/// Edits handed to the editor at once.
const EDIT_BATCH: usize = 256;

/// Which entries of a tree a scan yields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanRange {
    container: Option<String>,
    after: Option<ItemKey>,
}

impl ScanRange {
    /// Every entry.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The entries directly in a container, containers first, each kind in the order of its ids. The root container's id is
    /// empty.
    #[must_use]
    pub fn container(id: impl Into<String>) -> Self {
        Self {
            container: Some(id.into()),
            after: None,
        }
    }

    /// Goes on behind this key, where an earlier scan stopped.
    #[must_use]
    pub fn after(mut self, key: ItemKey) -> Self {
        self.after = Some(key);
        self
    }

    fn scan(&self, root: Option<TreeRoot>) -> RangeScan {
        let scan = match &self.container {
            Some(container) => RangeScan::children(root, container),
            None => RangeScan::all(root),
        };
        match &self.after {
            Some(key) => scan.after(&key.to_bytes()),
            None => scan,
        }
    }
}

/// A difference between two recovery points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemChange {
    /// Only in the new one.
    Added(ItemKey, Box<ItemRecord>),
    /// Only in the old one.
    Removed(ItemKey, Box<ItemRecord>),
    /// In both, and different.
    Changed {
        /// Its key.
        key: ItemKey,
        /// As it was.
        old: Box<ItemRecord>,
        /// As it is.
        new: Box<ItemRecord>,
    },
}

/// Where nodes come from.
#[derive(Debug, Clone)]
pub(super) enum NodeSource {
    /// What is committed.
    Repository(Arc<Shared>),
    /// That, and what a run stored so far.
    Run(Arc<Packer>),
}

impl NodeSource {
    async fn read(&self, chunk: &ChunkRef) -> Result<Bytes> {
        match self {
            Self::Repository(shared) => shared.read_chunk(chunk, Pattern::Unknown).await,
            Self::Run(packer) => packer.read_chunk(chunk, Pattern::Unknown).await,
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        match self {
            Self::Repository(shared) => shared,
            Self::Run(packer) => packer.shared(),
        }
    }

    /// The top node of a subtree, decoded; one that was looked at a moment ago is not decoded again.
    async fn node(&self, subtree: &TreeRoot, last_key: Option<&[u8]>) -> Result<Arc<Node>> {
        let nodes = &self.shared().nodes;
        if let Some(node) = nodes.get(subtree, last_key) {
            return Ok(node);
        }
        let bytes = self.read(&subtree.chunk).await?;
        let node = Arc::new(Node::decode_child(&bytes, subtree, last_key).map_err(bad_tree)?);
        nodes.insert(*subtree, Arc::clone(&node));
        Ok(node)
    }

    /// Reads a node whose loss is about to be reported: what was wrong on the way once need not be wrong in the store.
    async fn read_twice(&self, chunk: &ChunkRef) -> Result<Bytes> {
        match self.read(chunk).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => self.read(chunk).await,
            other => other,
        }
    }

    /// Reads the node that is needed now, and with it some that probably will be. What fails besides the first is left to
    /// be asked for again.
    async fn read_some(&self, needed: ChunkRef, mut wanted: Vec<ChunkRef>) -> Result<Vec<(ChunkRef, Bytes)>> {
        wanted.retain(|chunk| chunk.id != needed.id);
        wanted.insert(0, needed);
        let read = future::join_all(wanted.iter().map(|chunk| self.read(chunk))).await;
        let mut found = Vec::with_capacity(read.len());
        for (chunk, bytes) in wanted.into_iter().zip(read) {
            match bytes {
                Ok(bytes) => found.push((chunk, bytes)),
                Err(error) if chunk.id == needed.id => return Err(error),
                Err(_) => {}
            }
        }
        Ok(found)
    }
}

fn bad_tree(error: FormatError) -> Error {
    format_error("manifest tree", error)
}

/// An entry whose record cannot be used. The entries beside it can.
#[derive(Debug)]
pub(crate) struct Spoiled {
    /// Its id and that of its container, as far as its key can be read.
    pub(crate) id: String,
    pub(crate) container: String,
    /// What its key names; `None`: no key at all.
    pub(crate) kind: Option<KeyKind>,
    /// Why.
    pub(crate) error: Error,
}

impl Spoiled {
    /// As what it is listed.
    pub(crate) fn listed_as(&self) -> ItemKind {
        match self.kind {
            Some(KeyKind::Container) => ItemKind::Container,
            _ => ItemKind::Other,
        }
    }
}

/// Key and record of an entry.
pub(crate) fn decode_entry(entry: &TreeEntry) -> Result<(ItemKey, ItemRecord)> {
    let key = ItemKey::from_bytes(&entry.key).map_err(bad_tree)?;
    let name = || format!("item {}", key.id().escape_debug());
    let record = ItemRecord::decode(&entry.value).map_err(|error| format_error(&name(), error))?;
    let wrong = |what| Err(corrupt(&name(), what));
    if record.id != key.id() || record.container != key.container() {
        return wrong("its record bears another id than its key");
    }
    if (record.kind == ItemKind::Container) != (key.kind() == KeyKind::Container) {
        return wrong("its record has another kind than its key");
    }
    if record.size != entry.size {
        return wrong("its record has another size than its entry");
    }
    Ok((key, record))
}

/// As [`decode_entry`], and what is known of an entry that cannot be decoded.
pub(crate) fn decode_each(entry: &TreeEntry) -> Result<(ItemKey, ItemRecord), Spoiled> {
    decode_entry(entry).map_err(|error| {
        let key = ItemKey::from_bytes(&entry.key).ok();
        let text = |key: &ItemKey| (key.id().to_owned(), key.container().to_owned());
        let (id, container) = key.as_ref().map_or_else(
            || {
                let mut parts = entry.key.splitn(2, |byte| *byte == 0);
                let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                let container = next();
                (next(), container)
            },
            text,
        );
        Spoiled {
            id,
            container,
            kind: key.map(|key| key.kind()),
            error,
        }
    })
}

/// The entries of a scan, undecoded.
pub(super) fn entries(
    source: NodeSource,
    scan: RangeScan,
) -> impl Stream<Item = Result<TreeEntry>> + Send + 'static {
    stream::try_unfold((source, scan), |(source, mut scan)| async move {
        loop {
            match scan.step().map_err(bad_tree)? {
                ScanStep::Done => return Ok(None),
                ScanStep::Entry(entry) => return Ok(Some((entry, (source, scan)))),
                ScanStep::Need(chunk) => {
                    let wanted = scan.wanted(READ_AHEAD_NODES);
                    for (chunk, bytes) in source.read_some(chunk, wanted).await? {
                        scan.supply(&chunk.id, bytes);
                    }
                }
            }
        }
    })
}

/// Applies edits, which must come in ascending order of their keys, to a tree. `store` stores each new node.
pub(super) async fn edit(
    packer: &Arc<Packer>,
    base: Option<TreeRoot>,
    edits: impl Stream<Item = Result<TreeEdit>> + Send,
) -> Result<(Option<TreeRoot>, EditorStats)> {
    let source = NodeSource::Run(Arc::clone(packer));
    let mut editor = TreeEditor::new(&packer.shared().keys(), base);
    let mut edits = std::pin::pin!(edits.ready_chunks(EDIT_BATCH));
    loop {
        match editor.step().map_err(bad_tree)? {
            Step::NeedEdits => match edits.next().await {
                Some(batch) => {
                    for edit in batch {
                        let edit = edit?;
                        editor.push(edit.key, edit.edit).map_err(|error| {
                            Error::internal(format!("an edit cannot be applied: {error}")).with_source(error)
                        })?;
                    }
                }
                None => editor.end_edits(),
            },
            Step::Need(chunk) => {
                let wanted = editor.wanted(READ_AHEAD_NODES);
                for (chunk, bytes) in source.read_some(chunk, wanted).await? {
                    editor.supply(&chunk.id, bytes);
                }
            }
            Step::Emit(node) => packer.add_node(&node).await?,
            Step::Done(root) => return Ok((root, editor.stats())),
        }
    }
}

pub(super) async fn get(
    source: NodeSource,
    root: Option<&TreeRoot>,
    key: &ItemKey,
) -> Result<Option<ItemRecord>> {
    let Some(mut at) = root.copied() else {
        return Ok(None);
    };
    let key = key.to_bytes();
    let mut last_key: Option<Vec<u8>> = None;
    loop {
        let node = source.node(&at, last_key.as_deref()).await?;
        match node.find(&key) {
            Found::Entry(entry) => return Ok(Some(decode_entry(entry)?.1)),
            Found::Nowhere => return Ok(None),
            // One level below, so this ends.
            Found::Below(child) => (at, last_key) = (child.as_root(), Some(child.last_key.clone())),
        }
    }
}

impl Repository {
    /// One entry of a tree.
    ///
    /// # Errors
    /// `Corrupt`, naming the damaged object; those of the store.
    pub async fn get(&self, root: Option<&TreeRoot>, key: &ItemKey) -> Result<Option<ItemRecord>> {
        get(NodeSource::Repository(Arc::clone(&self.shared)), root, key).await
    }

    /// Entries of a tree in the order of their keys. Reads only the nodes that hold them, some ahead. The first error ends
    /// the stream.
    pub fn scan(
        &self,
        root: Option<TreeRoot>,
        range: &ScanRange,
    ) -> BoxStream<'static, Result<(ItemKey, ItemRecord)>> {
        let source = NodeSource::Repository(Arc::clone(&self.shared));
        entries(source, range.scan(root))
            .map(|entry| decode_entry(&entry?))
            .boxed()
    }

    /// As [`Repository::scan`], but an entry that cannot be decoded does not end it.
    pub(crate) fn scan_each(
        &self,
        root: Option<TreeRoot>,
        range: &ScanRange,
    ) -> BoxStream<'static, Result<Result<(ItemKey, ItemRecord), Spoiled>>> {
        let source = NodeSource::Repository(Arc::clone(&self.shared));
        entries(source, range.scan(root))
            .map(|entry| Ok(decode_each(&entry?)))
            .boxed()
    }

    /// What differs between two trees, in the order of the keys. Equal subtrees are not read. The first error ends the
    /// stream.
    pub fn diff(
        &self,
        old: Option<TreeRoot>,
        new: Option<TreeRoot>,
    ) -> BoxStream<'static, Result<ItemChange>> {
        self.diff_each(old, new)
            .map(|change| match change? {
                RawChange::Change(change) => decode_change(&change),
                RawChange::Lost(_, error) => Err(error),
            })
            .boxed()
    }

    /// As [`Repository::diff`], undecoded; a subtree of the new tree that is damaged does not end it.
    pub(crate) fn diff_each(
        &self,
        old: Option<TreeRoot>,
        new: Option<TreeRoot>,
    ) -> BoxStream<'static, Result<RawChange>> {
        let source = NodeSource::Repository(Arc::clone(&self.shared));
        stream::try_unfold(
            (source, TreeDiff::new(old, new)),
            |(source, mut diff)| async move {
                loop {
                    let failed = match diff.step() {
                        Ok(DiffStep::Done) => return Ok(None),
                        Ok(DiffStep::Change(change)) => {
                            return Ok(Some((RawChange::Change(change), (source, diff))));
                        }
                        Ok(DiffStep::Need(chunk)) => match source.read_twice(&chunk).await {
                            Ok(bytes) => {
                                diff.supply(&chunk.id, bytes);
                                continue;
                            }
                            Err(error) if error.kind() == ErrorKind::Corrupt => error,
                            Err(error) => return Err(error),
                        },
                        Err(error) => bad_tree(error),
                    };
                    return match diff.give_up() {
                        Some(lost) => Ok(Some((RawChange::Lost(lost, failed), (source, diff)))),
                        None => Err(failed),
                    };
                }
            },
        )
        .boxed()
    }
}

/// A difference between two trees as they are stored.
#[derive(Debug)]
pub(crate) enum RawChange {
    /// A difference.
    Change(TreeChange),
    /// A subtree of the new tree cannot be read, and why.
    Lost(LostSubtree, Error),
}

fn decode_change(change: &TreeChange) -> Result<ItemChange> {
    Ok(match change {
        TreeChange::Added(entry) => {
            let (key, record) = decode_entry(entry)?;
            ItemChange::Added(key, Box::new(record))
        }
        TreeChange::Removed(entry) => {
            let (key, record) = decode_entry(entry)?;
            ItemChange::Removed(key, Box::new(record))
        }
        TreeChange::Changed { old, new } => {
            let (key, old) = decode_entry(old)?;
            let (_, new) = decode_entry(new)?;
            ItemChange::Changed {
                key,
                old: Box::new(old),
                new: Box::new(new),
            }
        }
    })
}
