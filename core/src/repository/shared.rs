//! What every handle of one open repository shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, Weak};

use nakivo_repo_format::log::{Checkpoint, CommitRecord, Operation};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{
    Codec, Compression, FormatError, IndexId, KeySet, Manifest, PointId, RepositoryConfig, SlotKey, WriterId,
};

use super::cache::BlockCache;
use super::hot::HotChunks;
use super::index::Index;
use super::nodes::NodeCache;
use super::objects::{Objects, corrupt, format_error};
use super::view::LogDamage;
use super::write::Packer;
use crate::error::{Error, Result};
use crate::seams::Environment;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) objects: Objects,
    pub(crate) env: Environment,
    pub(crate) config: RepositoryConfig,
    /// See [`Shared::keys`].
    pub(crate) keys: RwLock<KeySet>,
    /// What opens the key slots of the secret that the repository was opened with, when they are written anew. `None`: it is
    /// not encrypted.
    pub(crate) slot_key: RwLock<Option<SlotKey>>,
    /// What the commits of this handle are recognised by.
    pub(crate) token: WriterId,
    pub(crate) codecs: CodecPool,
    pub(crate) index: RwLock<Index>,
    pub(crate) view: RwLock<Arc<View>>,
    pub(crate) cache: BlockCache,
    pub(crate) hot: HotChunks,
    pub(crate) nodes: NodeCache,
    /// Ranged reads under way at once, which bounds what reading takes of memory.
    pub(crate) reads: Arc<tokio::sync::Semaphore>,
    /// Computations under way at once: more than cores only take memory.
    pub(crate) computing: tokio::sync::Semaphore,
    /// Held while the view moves on, so that one task at a time reads or writes the log.
    pub(crate) log: tokio::sync::Mutex<()>,
    /// Writers to tell which of their segments were committed. They know what is in those, so that it need not be read back.
    pub(crate) writers: Mutex<Vec<Weak<Packer>>>,
    /// What was found damaged when opening and could be worked around, for `info` and `verify`.
    pub(crate) notes: Mutex<Vec<String>>,
    /// The epoch of each index segment that was read or written.
    pub(crate) segment_epochs: Mutex<HashMap<IndexId, u32>>,
    /// Packs were added to the index from their directories, because a segment or a commit is damaged: which packs are
    /// announced is not known, so none may be removed.
    pub(crate) index_incomplete: std::sync::atomic::AtomicBool,
}

/// The repository's content as last read or written.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) state: RepositoryState,
    /// The order in which the points were committed.
    pub(crate) ranks: Ranks,
    /// Where the log is damaged. If it is, nothing may be written.
    pub(crate) log_damage: Vec<LogDamage>,
    /// Number of the newest commit known to tombstone or remove packs; 0: none.
    pub(crate) last_removal: u64,
}

impl View {
    /// The state as a checkpoint, with points in the order of their commits.
    pub(crate) fn checkpoint(&self, boundary: u64) -> Checkpoint {
        let mut checkpoint = self.state.to_checkpoint(boundary);
        self.ranks.sort(&mut checkpoint.points);
        checkpoint
    }

    /// Whether this is the newest point of its object.
    pub(crate) fn is_newest(&self, point: &PointId) -> bool {
        let Some(manifest) = self.state.point(point) else {
            return false;
        };
        let rank = self.ranks.rank(point);
        let mut others = self.state.points().values();
        !others.any(|other| other.object.id == manifest.object.id && self.ranks.rank(&other.id) > rank)
    }

    /// Fails if the log is damaged: then nobody may write. `consequence` says so for the caller's work.
    pub(crate) fn check_writable(&self, consequence: &str) -> Result<()> {
        match self.log_damage.first() {
            None => Ok(()),
            Some(damage) => Err(corrupt(&damage.object, &damage.what).context(consequence)),
        }
    }
}

/// The order in which recovery points were committed. "Newest" means this and no clock: clocks go back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ranks {
    by_point: BTreeMap<PointId, u64>,
    next: u64,
}

impl Ranks {
    /// The order that a checkpoint lists its points in.
    pub(crate) fn of(points: &[Manifest]) -> Self {
        let mut ranks = Self::default();
        for point in points {
            ranks.add(point.id);
        }
        ranks
    }

    fn add(&mut self, point: PointId) {
        self.by_point.insert(point, self.next);
        self.next += 1;
    }

    /// Adds what a commit adds.
    pub(crate) fn note(&mut self, commit: &CommitRecord) {
        for operation in &commit.operations {
            match operation {
                Operation::AddPoint { manifest } => self.add(manifest.id),
                Operation::RemovePoints { points, .. } => {
                    for point in points {
                        self.by_point.remove(point);
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts points in the order of their commits.
    pub(crate) fn sort(&self, points: &mut [Manifest]) {
        points.sort_by_key(|point| self.rank(&point.id));
    }

    pub(crate) fn rank(&self, point: &PointId) -> u64 {
        self.by_point.get(point).copied().unwrap_or(u64::MAX)
    }
}

impl Shared {
    /// The keys, writing in the newest epoch known. A clone goes on in the epoch that it was taken in.
    pub(crate) fn keys(&self) -> KeySet {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See the field.
    pub(crate) fn slot_key(&self) -> Option<SlotKey> {
        let key = self.slot_key.read();
        key.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another secret took the place of the one that the repository was opened with.
    pub(crate) fn set_slot_key(&self, key: SlotKey) {
        *self.slot_key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_view(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    pub(crate) fn index(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, note: String) {
        tracing::warn!(repository = %self.config.id, "{note}");
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs work that computes, not waits, off the event loop, with a codec of its own meanwhile.
    pub(crate) async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &mut Codec) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit = self
            .computing
            .acquire()
            .await
            .map_err(|_| Error::internal("the repository is closed"))?;
        let shared = Arc::clone(self);
        let computing = self.env.computing;
        computing
            .run(move || shared.with_codec(|codec| work(&shared, codec)))
            .await
    }

    /// Borrows a codec.
    pub(crate) fn with_codec<T>(&self, work: impl FnOnce(&mut Codec) -> Result<T>) -> Result<T> {
        let mut codec = self.codecs.take().map_err(|error| format_error("zstd", error))?;
        let result = work(&mut codec);
        self.codecs.give_back(codec);
        result
    }
}

/// How many computations run at once. Asked once: the system reads files to answer.
pub(crate) fn parallelism() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get));
    *CORES
}

/// Codecs that rest: making one costs more than sealing a small chunk.
#[derive(Debug)]
pub(crate) struct CodecPool {
    resting: Mutex<Vec<Codec>>,
    compression: Compression,
}

impl CodecPool {
    pub(crate) fn new(compression: Compression) -> Self {
        Self {
            resting: Mutex::default(),
            compression,
        }
    }

    /// A codec whose memory is not kept: for records that may be large.
    pub(crate) fn fresh(&self) -> Result<Codec, FormatError> {
        Codec::new(self.compression)
    }

    fn take(&self) -> Result<Codec, FormatError> {
        match self.resting.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            Some(codec) => Ok(codec),
            None => self.fresh(),
        }
    }

    fn give_back(&self, codec: Codec) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() < parallelism() {
            resting.push(codec);
        }
    }
}
