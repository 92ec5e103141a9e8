//! The commit log: reading it, moving the view along it, adding to it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use nakivo_repo_format::log::{Checkpoint, CommitRecord, IndexRef, Operation};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{ChunkRef, Codec, CommitHash, IndexId, KeySet, PackId, paths};
use tokio::sync::MutexGuard;

use super::history::{self, Head};
use super::index::Index;
use super::objects::{Put, corrupt, format_error};
use super::reach::Reach;
use super::read::lock;
use super::shared::{Shared, View};
use super::write::Packer;
use crate::error::{Error, ErrorKind, Result};

/// Largest commit object that is read.
pub(crate) const MAX_COMMIT_OBJECT_BYTES: u64 = 80 << 20;
/// Largest checkpoint object that is read.
pub(crate) const MAX_CHECKPOINT_OBJECT_BYTES: u64 = 1 << 30;
/// A checkpoint is written after every so many commits.
const CHECKPOINT_INTERVAL: u64 = 16;
/// Races in a row after which a commit gives up: somebody else commits without pause.
const MAX_RACES: u32 = 100;

/// What commits say wrote them.
pub(crate) const SOFTWARE: &str = concat!("nakivo-core ", env!("CARGO_PKG_VERSION"));

impl Shared {
    /// Reads and opens commit `seq`; `None` if there is none.
    pub(crate) async fn read_commit(
        self: &Arc<Self>,
        seq: u64,
    ) -> Result<Option<(CommitHash, CommitRecord)>> {
        let path = paths::commit(seq);
        match self.objects.get(&path, MAX_COMMIT_OBJECT_BYTES).await? {
            Some(bytes) => self.open_commit(seq, bytes).await.map(Some),
            None => Ok(None),
        }
    }

    async fn open_commit(self: &Arc<Self>, seq: u64, bytes: Bytes) -> Result<(CommitHash, CommitRecord)> {
        let path = paths::commit(seq);
        let header = bytes.clone();
        let open = move |keys: &KeySet, codec: &mut Codec| CommitRecord::open(keys, codec, seq, &bytes);
        let opened = self.open_in_its_epoch(&path, open).await?;
        self.note_epoch(&path, &header, Some(seq))?;
        Ok(opened)
    }

    /// Reads and opens checkpoint `seq`.
    pub(crate) async fn read_checkpoint(self: &Arc<Self>, seq: u64) -> Result<Checkpoint> {
        let path = paths::checkpoint(seq);
        let bytes = self
            .objects
            .get(&path, MAX_CHECKPOINT_OBJECT_BYTES)
            .await?
            .ok_or_else(|| corrupt(&path, "the object is missing"))?;
        let header = bytes.clone();
        let open = move |keys: &KeySet, codec: &mut Codec| Checkpoint::open(keys, codec, seq, &bytes);
        let opened = self.open_in_its_epoch(&path, open).await?;
        self.note_epoch(&path, &header, None)?;
        Ok(opened)
    }

    /// Whether somebody removed checkpoint `seq` since it was listed, as reclaim does when there are newer ones.
    pub(crate) async fn checkpoint_gone(&self, seq: u64, newest: u64) -> Result<bool> {
        Ok(seq < newest && self.objects.size(&paths::checkpoint(seq)).await?.is_none())
    }

    /// Reads commits that are newer than the view.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<()> {
        let _moving = self.log.lock().await;
        let before = self.view().state.seq();
        loop {
            let view = self.view();
            if let Some((hash, record)) = self.read_commit(view.state.seq() + 1).await? {
                self.advance(&view, hash, &record).await?;
            } else {
                break;
            }
        }
        if self.view().state.seq() > before {
            self.remember_head().await;
        }
        Ok(())
    }

    /// Adds a commit with the operations that `build` makes of the current state. Returns its number.
    ///
    /// A race lost to another writer is not an error: the winner is read, and `build` is asked again.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        build: impl Fn(&RepositoryState) -> Result<Vec<Operation>> + Send + Sync,
    ) -> Result<u64> {
        let built = |state: &RepositoryState| build(state).map(|operations| Some((operations, ())));
        match self.commit_if(built).await? {
            Some((seq, ())) => Ok(seq),
            None => Err(Error::internal("a change without operations")),
        }
    }

    /// As [`Shared::commit`], but `build` may find that nothing is left to do: then nothing is committed. Returns the number
    /// of the commit, and what `build` said about the operations that were committed.
    pub(crate) async fn commit_if<T: Send>(
        self: &Arc<Self>,
        build: impl Fn(&RepositoryState) -> Result<Option<(Vec<Operation>, T)>> + Send + Sync,
    ) -> Result<Option<(u64, T)>> {
        let moving = self.log.lock().await;
        for _ in 0..MAX_RACES {
            let view = self.view();
            let Some((operations, about)) = build(&view.state)? else {
                return Ok(None);
            };
            if let Some(seq) = self.try_commit(&moving, &view, operations, None).await? {
                return Ok(Some((seq, about)));
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "other writers commit all the time; nothing was committed",
        ))
    }

    /// Begins the epoch that these keys write in, by a commit that is sealed in it. Returns the commit's number; `None` if the
    /// handle knows of a newer epoch by then, which somebody else began.
    pub(crate) async fn commit_epoch(self: &Arc<Self>, keys: &KeySet) -> Result<Option<u64>> {
        let moving = self.log.lock().await;
        for _ in 0..MAX_RACES {
            if self.keys().epoch() >= keys.epoch() {
                return Ok(None);
            }
            let begun = self
                .try_commit(&moving, &self.view(), Vec::new(), Some(keys))
                .await?;
            if begun.is_some() {
                return Ok(begun);
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "other writers commit all the time; no epoch was begun",
        ))
    }

    /// As [`Shared::commit_if`], for operations that need no comment.
    pub(crate) async fn commit_if_any(
        self: &Arc<Self>,
        build: impl Fn(&RepositoryState) -> Result<Vec<Operation>> + Send + Sync,
    ) -> Result<Option<u64>> {
        let some = |operations: Vec<Operation>| (!operations.is_empty()).then_some((operations, ()));
        let committed = self.commit_if(|state| build(state).map(some)).await?;
        Ok(committed.map(|(seq, ())| seq))
    }

    /// Commits these operations if the newest commit is number `seq`; `false` if it is not.
    pub(crate) async fn commit_after(self: &Arc<Self>, seq: u64, operations: Vec<Operation>) -> Result<bool> {
        let moving = self.log.lock().await;
        let view = self.view();
        if view.state.seq() != seq {
            return Ok(false);
        }
        let done = self.try_commit(&moving, &view, operations, None).await?;
        Ok(done.is_some())
    }

    /// Adds a commit right after this view and moves the view on. `None` if another writer was first: then the view has
    /// moved to that writer's commit, and nothing was committed. The caller holds [`Shared::log`]. `keys`: what to seal it
    /// with instead of the handle's own keys.
    async fn try_commit(
        self: &Arc<Self>,
        _moving: &MutexGuard<'_, ()>,
        view: &View,
        operations: Vec<Operation>,
        keys: Option<&KeySet>,
    ) -> Result<Option<u64>> {
        view.check_writable("nothing can be written to this repository")?;
        if self.objects.retention.promise().is_none() && view.state.locked_ms().is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the log says that points are immutable here, and format.json, as it was read, does not",
            )
            .with_hint("Open again; if format.json was replaced, set the days of immutability anew."));
        }
        let operations = without_known_segments(&view.state, operations);
        let operations = match self.keep_needed(view, operations).await {
            Ok(operations) => operations,
            // What is needed may have been moved since this view: then a newer commit says where it is.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let Some((hash, record)) = self.read_commit(view.state.seq() + 1).await? else {
                    return Err(error);
                };
                self.advance(view, hash, &record).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let record = self.next_record(&view.state, operations);
        // What the state refuses must not reach the store.
        let mut after = view.state.clone();
        let (shared, keys) = (Arc::clone(self), keys.cloned());
        let (hash, bytes, record) = self
            .env
            .computing
            .run(move || {
                let fail = |error| format_error("new commit", error);
                let mut codec = shared.codecs.fresh().map_err(fail)?;
                let keys = keys.unwrap_or_else(|| shared.keys());
                let (hash, bytes) = record.seal(&keys, &mut codec).map_err(fail)?;
                after.apply(hash, &record).map_err(|error| {
                    Error::new(
                        ErrorKind::Conflict,
                        format!("the change no longer fits the repository: {error}"),
                    )
                })?;
                Ok((hash, bytes, record))
            })
            .await?;
        let seq = record.seq;
        let bytes = Bytes::from(bytes);
        let committed = self.put_commit(&record, bytes.clone()).await?;
        if matches!(committed, Committed::Ours(_)) {
            self.check_not_past(seq).await?;
        }
        match committed {
            Committed::Ours(None) => self.advance(view, hash, &record).await?,
            Committed::Ours(Some((hash, record))) => self.advance(view, hash, &record).await?,
            Committed::Theirs(hash, record) => {
                tracing::info!(seq, "another writer committed first; trying the next number");
                self.advance(view, hash, &record).await?;
                return Ok(None);
            }
        }
        self.note_epoch(&paths::commit(seq), &bytes, Some(seq))?;
        self.remember_head().await;
        if seq.is_multiple_of(CHECKPOINT_INTERVAL) {
            self.write_checkpoint().await;
        }
        Ok(Some(seq))
    }

    fn next_record(&self, state: &RepositoryState, operations: Vec<Operation>) -> CommitRecord {
        CommitRecord {
            seq: state.seq() + 1,
            previous: state.head(),
            writer: self.token,
            time_ms: self.env.clock.now().timestamp_millis(),
            software: SOFTWARE.to_owned(),
            locked_ms: self.objects.retention.locked_after(state, &operations),
            operations,
        }
    }

    /// Puts a commit, and finds out whose commit stands under its name if the answer leaves that open.
    async fn put_commit(self: &Arc<Self>, record: &CommitRecord, bytes: Bytes) -> Result<Committed> {
        let path = paths::commit(record.seq);
        let failure = match self.objects.create_kept(&path, &bytes).await {
            Ok(Put::Created) => return Ok(Committed::Ours(None)),
            Ok(Put::Exists) => None,
            Err(error) => Some(error),
        };
        // The put may have taken place although it was reported as failed, or as an object that exists.
        let found = match self.objects.get(&path, MAX_COMMIT_OBJECT_BYTES).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                return Err(failure.unwrap_or_else(|| {
                    Error::new(
                        ErrorKind::Protocol,
                        format!("{path}: the store says that it exists and cannot read it"),
                    )
                }));
            }
            // Whether it took place stays unknown; a later commit or refresh of this process will see it.
            Err(error) => return Err(failure.unwrap_or(error)),
        };
        if found == bytes {
            return Ok(Committed::Ours(None));
        }
        let (hash, other) = match self.open_commit(record.seq, found).await {
            Ok(opened) => opened,
            Err(error) => return Err(failure.unwrap_or(error)),
        };
        if other.writer == record.writer && other.operations == record.operations {
            // An earlier try of the same commit, sealed at another time.
            return Ok(Committed::Ours(Some((hash, other))));
        }
        Ok(Committed::Theirs(hash, other))
    }

    /// Fails if a checkpoint says that commits up to this number may be gone: then the commit just written is in the past,
    /// where nobody reads. It is removed.
    async fn check_not_past(self: &Arc<Self>, seq: u64) -> Result<()> {
        let before = paths::checkpoint(seq - 1);
        for number in self.list_numbers(paths::CHECKPOINT, Some(&before)).await? {
            let past = match self.read_checkpoint(number).await {
                Ok(checkpoint) => checkpoint.boundary >= seq,
                Err(error) if error.kind() == ErrorKind::Corrupt => false,
                Err(error) => return Err(error),
            };
            if past {
                self.objects.delete(&paths::commit(seq)).await?;
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the repository was healed meanwhile and goes on elsewhere; nothing was committed",
                )
                .with_hint("Run again."));
            }
        }
        Ok(())
    }

    /// Moves the view one commit on: state, index, writers.
    pub(crate) async fn advance(
        self: &Arc<Self>,
        view: &View,
        hash: CommitHash,
        record: &CommitRecord,
    ) -> Result<()> {
        let mut state = view.state.clone();
        state.apply(hash, record).map_err(|error| {
            corrupt(
                &paths::commit(record.seq),
                &format!("it does not fit its history: {error}"),
            )
        })?;
        let added: Vec<IndexRef> = record
            .operations
            .iter()
            .flat_map(|operation| match operation {
                Operation::AddIndex { segments } => segments.as_slice(),
                Operation::ReplaceIndex { add, .. } => add.as_slice(),
                _ => &[],
            })
            .copied()
            .collect();
        self.add_segments(&added).await?;
        self.objects.retention.learn(&view.state, record.locked_ms);
        let mut last_removal = view.last_removal;
        for operation in &record.operations {
            match operation {
                Operation::Tombstone { packs } => {
                    last_removal = record.seq;
                    let mut index = self.index_mut();
                    packs.iter().for_each(|pack| index.hide(pack));
                }
                Operation::Revive { packs } => {
                    let mut index = self.index_mut();
                    packs.iter().for_each(|pack| index.show(pack));
                }
                Operation::RemovedPacks { packs } => {
                    last_removal = record.seq;
                    for writer in self.live_writers() {
                        writer.removed(packs);
                    }
                }
                _ => {}
            }
        }
        if record.operations.iter().any(|operation| {
            matches!(
                operation,
                Operation::Damage { .. } | Operation::RemovedPacks { .. }
            )
        }) || (!added.is_empty() && !state.damaged_packs().is_empty())
        {
            self.know_damage(&state);
        }
        let mut ranks = view.ranks.clone();
        ranks.note(record);
        self.set_view(View {
            state,
            ranks,
            log_damage: view.log_damage.clone(),
            last_removal,
        });
        let ids: HashSet<IndexId> = added.iter().map(|segment| segment.id).collect();
        if !ids.is_empty() {
            for writer in self.live_writers() {
                writer.committed(&ids);
            }
        }
        Ok(())
    }

    /// Tells the index which blocks are damaged, as the log has it.
    pub(crate) fn know_damage(&self, state: &RepositoryState) {
        let known = state.damaged_packs().values();
        self.index_mut()
            .set_damaged(known.map(|damage| (damage.pack, damage.blocks.as_slice())));
    }

    /// The writers of this handle that somebody still holds.
    pub(crate) fn live_writers(&self) -> Vec<Arc<Packer>> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.iter().filter_map(std::sync::Weak::upgrade).collect()
    }

    /// The writer that stored a segment which no commit refers to yet, and the packs in it.
    pub(crate) fn fresh_segment(&self, id: &IndexId) -> Option<(Arc<Packer>, Vec<PackId>)> {
        self.live_writers().into_iter().find_map(|writer| {
            let packs = writer.packs_of(id)?;
            Some((writer, packs))
        })
    }

    /// Makes sure that the operations refer to nothing that is being removed.
    ///
    /// A run relies on chunks that were there when it looked. Where packs were tombstoned since a writer of this handle
    /// began, everything that the new points and progress need is looked up again: tombstoned packs among it are revived by
    /// the same commit, and if one is gone, the commit is refused. The next number decides: whoever removes packs commits
    /// that first, so one of both sees the other.
    async fn keep_needed(
        self: &Arc<Self>,
        view: &View,
        mut operations: Vec<Operation>,
    ) -> Result<Vec<Operation>> {
        let writers = self.live_writers();
        let oldest = writers.iter().map(|writer| writer.base()).min();
        if oldest.is_none_or(|oldest| oldest >= view.last_removal) {
            return Ok(operations);
        }
        let tombstones = view.state.tombstones();
        let mut revived: BTreeSet<PackId> = BTreeSet::new();
        // What the index no longer shows: packs of this very commit, and tombstoned ones.
        let mut others = Index::new(self.env.scratch.clone());
        for operation in &operations {
            let Operation::AddIndex { segments } = operation else {
                continue;
            };
            for reference in segments {
                let Some((writer, packs)) = self.fresh_segment(&reference.id) else {
                    continue;
                };
                // They may have been removed since they were stored.
                writer.check()?;
                for pack in packs {
                    if let Some(directory) = writer.directory(&pack)? {
                        others.add(&directory)?;
                    }
                    if tombstones.contains_key(&pack) {
                        revived.insert(pack);
                    }
                }
            }
        }
        for pack in tombstones.keys() {
            let known = self.index().pack(pack)?;
            if let Some((pack, _)) = known {
                others.add(&pack)?;
            }
        }
        let others = RwLock::new(others);
        let mut lost = None;
        let mut reach = Reach::new(self, Some(&others));
        let mut need = |chunk: &ChunkRef| {
            if self.index().is_reliable(&chunk.id)? {
                return Ok(());
            }
            match lock(&others).find_pack(&chunk.id)? {
                Some(pack) if tombstones.contains_key(&pack) => {
                    revived.insert(pack);
                }
                Some(_) => {}
                // Damaged, and not going away.
                None if self.index().contains(&chunk.id)? => {}
                None => lost = Some(chunk.id),
            }
            Ok(())
        };
        let mut reached = Ok(());
        for operation in &operations {
            reached = match operation {
                Operation::AddPoint { manifest } => reach.point(manifest, &mut need).await,
                Operation::Progress { progress } => reach.progress(progress, &mut need).await,
                _ => Ok(()),
            };
            if reached.is_err() {
                break;
            }
        }
        drop(reach);
        if let Some(chunk) = lost {
            tracing::warn!(%chunk, "a chunk this run relied on was removed before it could commit");
            return Err(removed_meanwhile());
        }
        // Nothing was removed, so what cannot be read is damaged.
        reached?;
        if !revived.is_empty() {
            tracing::info!(
                packs = revived.len(),
                "packs about to be removed are needed again"
            );
            let packs = revived.into_iter().collect();
            operations.insert(0, Operation::Revive { packs });
        }
        Ok(operations)
    }

    async fn add_segments(self: &Arc<Self>, added: &[IndexRef]) -> Result<()> {
        let mut to_load = Vec::new();
        for reference in added {
            let Some((writer, packs)) = self.fresh_segment(&reference.id) else {
                to_load.push(*reference);
                continue;
            };
            for pack in packs {
                match writer.directory(&pack)? {
                    Some(directory) => {
                        self.index_mut().add(&directory)?;
                    }
                    None => return Err(Error::internal("a writer does not know its own pack")),
                }
            }
        }
        if to_load.is_empty() {
            Ok(())
        } else {
            self.load_segments(&to_load).await
        }
    }

    /// Remembers the view's head outside the repository. The commit stands whether that works or not.
    pub(crate) async fn remember_head(&self) {
        let view = self.view();
        if view.state.seq() == 0 {
            return;
        }
        let head = Head {
            seq: view.state.seq(),
            hash: view.state.head(),
        };
        if let Err(error) = history::remember(&*self.env.state, &self.config.id, head).await {
            self.note(format!(
                "the newest commit could not be remembered outside the repository: {error}"
            ));
        }
    }

    pub(crate) async fn seal_checkpoint(self: &Arc<Self>, checkpoint: Checkpoint) -> Result<Bytes> {
        let shared = Arc::clone(self);
        self.env
            .computing
            .run(move || {
                let fail = |error| format_error("new checkpoint", error);
                let mut codec = shared.codecs.fresh().map_err(fail)?;
                checkpoint
                    .seal(&shared.keys(), &mut codec)
                    .map(Bytes::from)
                    .map_err(fail)
            })
            .await
    }

    /// Writes the state as a checkpoint. It only saves work, so a failure is a note.
    pub(crate) async fn write_checkpoint(self: &Arc<Self>) {
        let view = self.view();
        let seq = view.state.seq();
        let result = match self.seal_checkpoint(view.checkpoint(0)).await {
            Ok(bytes) => self
                .objects
                .create(&paths::checkpoint(seq), bytes)
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::warn!(seq, %error, "the checkpoint could not be written; opening takes longer until the next one");
        }
    }
}

/// Leaves out index segments that are there already: sealing is deterministic, so two runs over the same content write the
/// very same packs and the very same segment, and the one that commits first has announced it for both.
fn without_known_segments(state: &RepositoryState, mut operations: Vec<Operation>) -> Vec<Operation> {
    operations.retain_mut(|operation| match operation {
        Operation::AddIndex { segments } => {
            segments.retain(|segment| state.segments().get(&segment.id) != Some(segment));
            !segments.is_empty()
        }
        _ => true,
    });
    operations
}

/// What a run relied on is gone.
pub(crate) fn removed_meanwhile() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "data this run relied on was removed from the repository while it ran; nothing was committed",
    )
    .with_hint("Run again: what is missing is read from the source once more.")
}

/// Whose commit stands.
enum Committed {
    /// This one, or an earlier try of it as found in the store.
    Ours(Option<(CommitHash, CommitRecord)>),
    Theirs(CommitHash, CommitRecord),
}
