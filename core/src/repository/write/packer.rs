//! From new chunks to stored packs: gather chunks into blocks, seal blocks on every core, fill packs, upload them.
//!
//! Rules that keep it right:
//! * A chunk counts as known to a run the moment it is put into a block, under one lock; a flush that begins later takes
//!   that block along. So whatever finished before a flush is in the store when the flush returns.
//! * What was taken out of a queue is owned by a task, never by a caller's future: a caller that goes away loses nothing.
//! * The first failure sticks: every later call returns it, so nothing can be committed that refers to what is not stored.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::index::IndexedPack;
use nakivo_repo_format::log::IndexRef;
use nakivo_repo_format::pack::{
    BlockInput, BlockRole, FinishedPack, PackWriter, SealedBlock, seal_block, seal_blocks,
};
use nakivo_repo_format::tree::EmittedNode;
use nakivo_repo_format::{ChunkId, ChunkRef, Codec, IndexId, KeySet, PackId, paths};
use object_store::PutPayload;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::WriteStats;
use super::segments::store_segment;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::index::Index;
use crate::repository::objects::format_error;
use crate::repository::read::Pattern;
use crate::repository::shared::{Shared, parallelism};
use crate::seams::random_bytes;

/// Packs that are being uploaded, or wait for it, at once.
const MAX_UPLOADS: u32 = 2;
/// Chunks of finished packs that wait in memory for an index segment; beyond, a segment is written between flushes.
const MAX_UNINDEXED_CHUNKS: u64 = 250_000;
/// Sealed bytes in memory: in packs being filled and in packs being uploaded. More than all lanes' packs together, so that
/// a pack can always be filled to its end.
const MAX_SEALED_KIB: u32 = 30 << 10;
/// Blocks that one task seals: side by side they cost little more than half as much as one by one.
const GROUP_BLOCKS: usize = 4;
/// A group is closed before it is longer than this, unless one block alone is.
const GROUP_BYTES: usize = 2 << 20;
/// Size look-ups at once.
const SIZE_CHECKS: usize = 8;

/// When blocks and packs are full. Policy of this writer, not part of the format.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// A chunk of this length gets a block of its own.
    own_block_bytes: usize,
    /// A shared block closes at this length.
    shared_block_bytes: usize,
    /// A pack closes at this length.
    pack_bytes: u64,
}

const DATA: Limits = Limits {
    own_block_bytes: 64 << 10,
    shared_block_bytes: 512 << 10,
    pack_bytes: 16 << 20,
};
/// Tree nodes are small and read one by one: smaller blocks; and fewer: smaller packs.
const TREE: Limits = Limits {
    own_block_bytes: 16 << 10,
    shared_block_bytes: 64 << 10,
    pack_bytes: 8 << 20,
};

/// Data and everything else are packed apart, so that browsing reads few packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Data = 0,
    Meta = 1,
}

impl Lane {
    fn of(role: BlockRole) -> Self {
        if role == BlockRole::Data {
            Self::Data
        } else {
            Self::Meta
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::Data => DATA,
            Self::Meta => TREE,
        }
    }
}

/// Chunks that will be one block.
#[derive(Debug)]
struct Block {
    role: BlockRole,
    chunks: Vec<(ChunkId, Bytes)>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queues {
    /// Chunks of this run that are in no finished pack yet.
    pending: HashSet<ChunkId>,
    open: Vec<Block>,
    /// Full blocks, a queue for each lane.
    ready: [VecDeque<Block>; 2],
}

impl Queues {
    fn has_group(&self, all: bool) -> bool {
        self.ready
            .iter()
            .map(group)
            .any(|(count, full)| count > 0 && (all || full))
    }

    /// Takes blocks that are to be sealed together; fewer than make a full group only if `all` are to go.
    fn take_group(&mut self, all: bool) -> Option<(Lane, Vec<Block>)> {
        [Lane::Data, Lane::Meta].into_iter().find_map(|lane| {
            let ready = &mut self.ready[lane as usize];
            let (count, full) = group(ready);
            (count > 0 && (all || full)).then(|| (lane, ready.drain(..count).collect()))
        })
    }
}

/// How many blocks at the front of a queue are sealed together, and whether waiting for more would not add any.
fn group(ready: &VecDeque<Block>) -> (usize, bool) {
    let mut bytes = 0;
    for (count, block) in ready.iter().enumerate() {
        bytes += block.bytes;
        if count > 0 && bytes > GROUP_BYTES {
            return (count, true);
        }
        if count + 1 == GROUP_BLOCKS || bytes >= GROUP_BYTES {
            return (count + 1, true);
        }
    }
    (ready.len(), false)
}

/// A pack that is being filled, and its share of [`MAX_SEALED_KIB`].
#[derive(Debug)]
struct OpenPack {
    writer: PackWriter,
    space: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Finished {
    /// Uploaded packs that no segment lists yet.
    packs: Vec<IndexedPack>,
    chunks: u64,
    /// Segments in the store that no commit refers to yet, and the packs in each.
    segments: Vec<(IndexRef, Vec<PackId>)>,
}

/// The working part of a [`super::Writer`].
#[derive(Debug)]
pub(crate) struct Packer {
    shared: Arc<Shared>,
    /// The newest commit when this writer began: what was removed later, it may still rely on.
    base: u64,
    /// Packs that this writer stored, or is storing, and no commit has announced yet.
    unannounced: Mutex<HashSet<PackId>>,
    queues: Mutex<Queues>,
    packs: [Mutex<Option<OpenPack>>; 2],
    /// Packs of this run that are uploaded and not committed: known to this writer alone, for no other writer may refer to
    /// a pack that no commit has announced.
    own: RwLock<Index>,
    finished: Mutex<Finished>,
    sealing: Arc<Semaphore>,
    space: Arc<Semaphore>,
    uploading: Arc<Semaphore>,
    failure: Mutex<Option<Error>>,
    flushing: tokio::sync::Mutex<()>,
    indexing: tokio::sync::Mutex<()>,
    counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_read: AtomicU64,
    bytes_new: AtomicU64,
    bytes_stored: AtomicU64,
    chunks_new: AtomicU64,
    chunks_known: AtomicU64,
    packs: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seal_permits() -> u32 {
    // One more than cores: the next block is at hand when a core is done.
    u32::try_from(parallelism()).unwrap_or(2).clamp(1, 16) + 1
}

impl Packer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            base: shared.view().state.seq(),
            own: RwLock::new(Index::new(shared.env.scratch.clone())),
            shared,
            unannounced: Mutex::default(),
            queues: Mutex::default(),
            packs: Default::default(),
            finished: Mutex::default(),
            sealing: Arc::new(Semaphore::new(seal_permits() as usize)),
            space: Arc::new(Semaphore::new(MAX_SEALED_KIB as usize)),
            uploading: Arc::new(Semaphore::new(MAX_UPLOADS as usize)),
            failure: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
            indexing: tokio::sync::Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Whether this writer stored the pack and no commit has announced it yet.
    pub(crate) fn owns(&self, pack: &PackId) -> bool {
        lock(&self.unannounced).contains(pack)
    }

    /// Takes note of packs that were removed for good. One that this writer has not committed yet can only have been taken
    /// for a leftover, because that took so long: nothing that needs it may be committed any more. One that it committed
    /// belongs to everybody: what the run still needs of it is looked up when it commits.
    pub(crate) fn removed(&self, packs: &[PackId]) {
        if packs.iter().any(|pack| self.owns(pack)) {
            self.fail(
                Error::new(
                    ErrorKind::Conflict,
                    "what this run stored was taken for a leftover and removed before it was committed",
                )
                .with_hint("Run again."),
            );
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn stats(&self) -> WriteStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteStats {
            bytes_read: read(&self.counters.bytes_read),
            bytes_new: read(&self.counters.bytes_new),
            bytes_stored: read(&self.counters.bytes_stored),
            chunks_new: read(&self.counters.chunks_new),
            chunks_known: read(&self.counters.chunks_known),
            packs: read(&self.counters.packs),
        }
    }

    /// Fails with the first failure of this writer.
    pub(crate) fn check(&self) -> Result<()> {
        match &*lock(&self.failure) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Takes a chunk and returns a reference to it. Waits while too much is under way.
    pub(super) async fn add(
        self: &Arc<Self>,
        role: BlockRole,
        id: ChunkId,
        bytes: Bytes,
    ) -> Result<ChunkRef> {
        let length = u32::try_from(bytes.len()).map_err(|_| Error::internal("a chunk above 4 GiB"))?;
        if self.put_into_block(role, id, bytes, false)? {
            self.check()?;
            self.dispatch(false).await?;
        }
        Ok(ChunkRef { id, length })
    }

    /// Takes a chunk although the repository has it, unless this writer has stored it: to move it out of a pack.
    pub(crate) async fn add_copy(self: &Arc<Self>, role: BlockRole, id: ChunkId, bytes: Bytes) -> Result<()> {
        if self.put_into_block(role, id, bytes, true)? {
            self.check()?;
            self.dispatch(false).await?;
        }
        Ok(())
    }

    /// Whether the repository has a chunk where it can be relied on, or this writer stored it.
    pub(crate) fn has(&self, id: &ChunkId) -> Result<bool> {
        let queues = lock(&self.queues);
        Ok(self.knows(&queues, id)? || self.shared.index().is_reliable(id)?)
    }

    /// Whether this writer took a chunk that is not committed yet.
    fn knows(&self, queues: &Queues, id: &ChunkId) -> Result<bool> {
        Ok(queues.pending.contains(id) || self.own().contains(id)?)
    }

    fn own(&self) -> RwLockReadGuard<'_, Index> {
        self.own.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a chunk into a block if it is new, or new to this writer. Returns whether a group of blocks is ready now.
    ///
    /// An index that cannot be read ends this writer: a chunk taken for known would be lost.
    fn put_into_block(&self, role: BlockRole, id: ChunkId, bytes: Bytes, copy: bool) -> Result<bool> {
        let length = bytes.len();
        let lane = Lane::of(role);
        let limits = lane.limits();
        let mut queues = lock(&self.queues);
        // In this order: a chunk moves from pending to own (both with this lock held) and from own to the shared index.
        let known = match self.knows(&queues, &id) {
            Ok(false) if !copy => self.shared.index().is_reliable(&id),
            known => known,
        };
        if known.inspect_err(|error| self.fail(error.clone()))? {
            self.counters.chunks_known.fetch_add(1, Ordering::Relaxed);
            return Ok(false);
        }
        self.counters.chunks_new.fetch_add(1, Ordering::Relaxed);
        self.counters
            .bytes_new
            .fetch_add(length as u64, Ordering::Relaxed);
        queues.pending.insert(id);
        if length >= limits.own_block_bytes {
            queues.ready[lane as usize].push_back(Block {
                role,
                chunks: vec![(id, bytes)],
                bytes: length,
            });
            return Ok(group(&queues.ready[lane as usize]).1);
        }
        let at = match queues.open.iter().position(|block| block.role == role) {
            Some(at) => at,
            None => {
                queues.open.push(Block {
                    role,
                    chunks: Vec::new(),
                    bytes: 0,
                });
                queues.open.len() - 1
            }
        };
        let open = &mut queues.open[at];
        open.chunks.push((id, bytes));
        open.bytes += length;
        if open.bytes >= limits.shared_block_bytes {
            let full = queues.open.swap_remove(at);
            queues.ready[lane as usize].push_back(full);
            return Ok(group(&queues.ready[lane as usize]).1);
        }
        Ok(false)
    }

    /// Hands groups of ready blocks to sealing tasks, waiting for a free core; `all`: also groups that are not full.
    async fn dispatch(self: &Arc<Self>, all: bool) -> Result<()> {
        while lock(&self.queues).has_group(all) {
            // This is what slows the reader down to the speed of the store: tasks keep their permit while they wait for space.
            let permit = acquire(&self.sealing, 1).await?;
            self.check()?;
            // Taken and handed over without waiting in between.
            let Some((lane, blocks)) = lock(&self.queues).take_group(all) else {
                return Ok(());
            };
            tokio::spawn(Arc::clone(self).seal(lane, blocks, permit));
        }
        Ok(())
    }

    /// Seals a group of blocks, and uploads packs that are full now. A failure is noted while the permit is still held: a
    /// flush that has all permits has seen every failure.
    async fn seal(self: Arc<Self>, lane: Lane, blocks: Vec<Block>, permit: OwnedSemaphorePermit) {
        let bytes = blocks.iter().map(|block| kib(block.bytes)).sum();
        let space = match acquire(&self.space, bytes).await {
            Ok(space) => space,
            Err(error) => return self.fail(error),
        };
        let packer = Arc::clone(&self);
        let sealed = self
            .shared
            .compute(move |shared, codec| packer.seal_into_packs(shared, codec, lane, &blocks, space))
            .await;
        let full = match sealed {
            Ok(full) => full,
            Err(error) => return self.fail(error),
        };
        for pack in full {
            match acquire(&self.uploading, 1).await {
                Ok(upload) => drop(tokio::spawn(Arc::clone(&self).finish_pack(pack, upload))),
                Err(error) => return self.fail(error),
            }
        }
        drop(permit);
    }

    /// Seals blocks into the lane's pack; returns the packs that this filled.
    fn seal_into_packs(
        &self,
        shared: &Shared,
        codec: &mut Codec,
        lane: Lane,
        blocks: &[Block],
        mut space: OwnedSemaphorePermit,
    ) -> Result<Vec<OpenPack>> {
        let keys = shared.keys();
        let mut full = Vec::new();
        for sealed in seal_group(&keys, codec, blocks)? {
            // What compression saved stays in `space`, which gives it back; sealing adds less than the rounding.
            let used = (kib(sealed.bytes().len()) as usize).min(space.num_permits());
            let Some(used) = space.split(used) else {
                return Err(Error::internal("a block without space"));
            };
            let mut open = lock(&self.packs[lane as usize]);
            // All blocks of a pack are sealed in one epoch: after a rotation the next pack begins.
            let mut pack = match open.take() {
                Some(mut pack) if pack.writer.epoch() == keys.epoch() => {
                    pack.space.merge(used);
                    pack
                }
                ended => {
                    full.extend(ended);
                    OpenPack {
                        writer: begin_pack(shared, &keys, codec)?,
                        space: used,
                    }
                }
            };
            pack.writer
                .append(sealed)
                .map_err(|error| format_error("new pack", error))?;
            if pack.writer.len() >= lane.limits().pack_bytes {
                full.push(pack);
            } else {
                *open = Some(pack);
            }
        }
        Ok(full)
    }

    /// Uploads a pack, in a task of its own. As with sealing, the outcome is noted before the permit goes.
    async fn finish_pack(self: Arc<Self>, pack: OpenPack, upload: OwnedSemaphorePermit) {
        if let Err(error) = self.upload(pack).await {
            return self.fail(error);
        }
        drop(upload);
        if lock(&self.finished).chunks >= MAX_UNINDEXED_CHUNKS
            && let Err(error) = self.write_segment().await
        {
            self.fail(error);
        }
    }

    async fn upload(self: &Arc<Self>, pack: OpenPack) -> Result<()> {
        let OpenPack { writer, space } = pack;
        let finished = self
            .shared
            .compute(|_, codec| {
                writer
                    .finish(codec)
                    .map_err(|error| format_error("new pack", error))
            })
            .await?;
        let path = paths::pack(&finished.id);
        lock(&self.unannounced).insert(finished.id);
        let indexed = IndexedPack::from(&finished);
        let FinishedPack { size, parts, .. } = finished;
        self.shared
            .objects
            .create_named_by_content(&path, PutPayload::from_iter(parts))
            .await?;
        self.counters.bytes_stored.fetch_add(size, Ordering::Relaxed);
        drop(space);
        self.counters.packs.fetch_add(1, Ordering::Relaxed);
        self.register(indexed)
    }

    /// Makes an uploaded pack known to this writer.
    fn register(&self, pack: IndexedPack) -> Result<()> {
        let mut queues = lock(&self.queues);
        self.own
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&pack)?;
        let mut chunks = 0;
        for chunk in pack.blocks.iter().flat_map(|block| &block.chunks) {
            queues.pending.remove(&chunk.id);
            chunks += 1;
        }
        let mut finished = lock(&self.finished);
        finished.chunks += chunks;
        finished.packs.push(pack);
        Ok(())
    }

    /// Stores everything that was added before this call and returns every segment that no commit refers to yet.
    ///
    /// Runs as a task: a caller that goes away does not stop it half way.
    pub(super) async fn flush(self: &Arc<Self>) -> Result<Vec<IndexRef>> {
        let packer = Arc::clone(self);
        match tokio::spawn(async move { packer.flush_now().await }).await {
            Ok(result) => result,
            Err(error) => Err(Error::internal(format!("storing ended abnormally: {error}"))),
        }
    }

    async fn flush_now(self: &Arc<Self>) -> Result<Vec<IndexRef>> {
        let _one_at_a_time = self.flushing.lock().await;
        {
            let mut queues = lock(&self.queues);
            for block in std::mem::take(&mut queues.open) {
                queues.ready[Lane::of(block.role) as usize].push_back(block);
            }
        }
        self.dispatch(true).await?;
        // All permits: every block handed out before is in a pack.
        let all = acquire(&self.sealing, seal_permits()).await?;
        let packs: Vec<OpenPack> = self.packs.iter().filter_map(|pack| lock(pack).take()).collect();
        drop(all);
        for pack in packs {
            let upload = acquire(&self.uploading, 1).await?;
            tokio::spawn(Arc::clone(self).finish_pack(pack, upload));
        }
        // All permits: every pack finished before is stored and registered, or has failed.
        drop(acquire(&self.uploading, MAX_UPLOADS).await?);
        self.check()?;
        self.write_segment().await?;
        self.check()?;
        Ok(lock(&self.finished)
            .segments
            .iter()
            .map(|(segment, _)| *segment)
            .collect())
    }

    /// Writes an index segment for the packs that have none. One at a time, so that whoever waited here knows that the
    /// segments of earlier packs are listed, or that the failure is noted.
    async fn write_segment(self: &Arc<Self>) -> Result<()> {
        let _one_at_a_time = self.indexing.lock().await;
        let packs = {
            let mut finished = lock(&self.finished);
            finished.chunks = 0;
            std::mem::take(&mut finished.packs)
        };
        if packs.is_empty() {
            return Ok(());
        }
        let result = self.write_segment_of(packs).await;
        if let Err(error) = &result {
            // The packs left the list: nothing of this run may be committed any more.
            self.fail(error.clone());
        }
        result
    }

    async fn write_segment_of(self: &Arc<Self>, packs: Vec<IndexedPack>) -> Result<()> {
        let names = packs.iter().map(|pack| pack.id).collect();
        let stored = match self.check_sizes(&packs).await {
            Ok(()) => store_segment(&self.shared, packs).await,
            Err(error) => Err(error),
        };
        let reference = match stored {
            Ok(stored) => stored,
            Err(error) => {
                // Perhaps somebody took what is missing for leftovers: then the log says so, and `removed` has noted it.
                self.shared.refresh().await?;
                self.check()?;
                return Err(error);
            }
        };
        self.counters
            .bytes_stored
            .fetch_add(reference.size, Ordering::Relaxed);
        lock(&self.finished).segments.push((reference, names));
        Ok(())
    }

    /// Asks the store for the size of each pack: one that acknowledged what it did not store is found out before anything
    /// refers to it.
    async fn check_sizes(&self, packs: &[IndexedPack]) -> Result<()> {
        let names: Vec<_> = packs
            .iter()
            .map(|pack| (paths::pack(&pack.id), pack.size))
            .collect();
        stream::iter(names)
            .map(|(path, size)| async move { self.shared.objects.check_kept(&path, size).await })
            .buffer_unordered(SIZE_CHECKS)
            .try_collect()
            .await
    }

    /// Stores a tree node, whose id is computed already.
    pub(crate) async fn add_node(self: &Arc<Self>, node: &EmittedNode) -> Result<()> {
        self.add(BlockRole::Tree, node.chunk.id, node.bytes.clone())
            .await
            .map(drop)
    }

    /// Reads a chunk that is committed, or that this run stored.
    pub(crate) async fn read_chunk(self: &Arc<Self>, chunk: &ChunkRef, pattern: Pattern) -> Result<Bytes> {
        if !self.shared.index().is_reliable(&chunk.id)? {
            // It may still be in an open block or pack.
            if !self.own().contains(&chunk.id)? && lock(&self.queues).pending.contains(&chunk.id) {
                self.flush().await?;
            }
            if self.own().contains(&chunk.id)? {
                return self.shared.read_chunk_in(&self.own, chunk, pattern).await;
            }
        }
        self.shared.read_chunk(chunk, pattern).await
    }

    /// Notes that a commit refers to these segments now: their chunks are in the shared index.
    pub(crate) fn committed(&self, segments: &HashSet<IndexId>) {
        let _queues = lock(&self.queues);
        let mut finished = lock(&self.finished);
        let (announced, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut finished.segments)
            .into_iter()
            .partition(|(segment, _)| segments.contains(&segment.id));
        finished.segments = waiting;
        if announced.is_empty() {
            return;
        }
        let announced: HashSet<PackId> = announced.into_iter().flat_map(|(_, packs)| packs).collect();
        lock(&self.unannounced).retain(|pack| !announced.contains(pack));
        match self.still_own(&finished) {
            Ok(rest) => *self.own.write().unwrap_or_else(PoisonError::into_inner) = rest,
            // It keeps what it had, which is too much and does no harm: this writer has ended.
            Err(error) => self.fail(error),
        }
    }

    /// The packs of this run that no commit has announced.
    fn still_own(&self, finished: &Finished) -> Result<Index> {
        let own = self.own();
        let mut rest = own.anew();
        for pack in finished.segments.iter().flat_map(|(_, packs)| packs) {
            if let Some((pack, _)) = own.pack(pack)? {
                rest.add(&pack)?;
            }
        }
        for pack in &finished.packs {
            rest.add(pack)?;
        }
        Ok(rest)
    }

    /// The packs of a segment that this writer stored and no commit refers to yet.
    pub(crate) fn packs_of(&self, segment: &IndexId) -> Option<Vec<PackId>> {
        let finished = lock(&self.finished);
        let found = finished.segments.iter().find(|(known, _)| known.id == *segment);
        found.map(|(_, packs)| packs.clone())
    }

    /// What is in a pack that this writer stored and no commit has announced yet.
    pub(crate) fn directory(&self, pack: &PackId) -> Result<Option<IndexedPack>> {
        let found = self.own().pack(pack)?;
        Ok(found.map(|(directory, _)| directory))
    }
}

/// An empty pack but for a chunk of random bytes that nothing refers to: no two packs ever bear the same name, whatever is in
/// them. So who removes a pack, however late, never removes one that was stored again since.
fn begin_pack(shared: &Shared, keys: &KeySet, codec: &mut Codec) -> Result<PackWriter> {
    let name: [u8; 16] = random_bytes(&*shared.env.rng)?;
    let chunk = keys.chunk_id(&name);
    let sealed = seal_block(keys, codec, BlockRole::Other, &[(chunk, &name)])
        .map_err(|error| format_error("new block", error))?;
    let mut writer = PackWriter::new(keys);
    writer
        .append(sealed)
        .map_err(|error| format_error("new pack", error))?;
    Ok(writer)
}

/// Compresses and seals blocks side by side.
fn seal_group(keys: &KeySet, codec: &mut Codec, blocks: &[Block]) -> Result<Vec<SealedBlock>> {
    let chunks: Vec<Vec<(ChunkId, &[u8])>> = blocks
        .iter()
        .map(|block| block.chunks.iter().map(|(id, bytes)| (*id, &bytes[..])).collect())
        .collect();
    let inputs: Vec<BlockInput<'_>> = blocks
        .iter()
        .zip(&chunks)
        .map(|(block, chunks)| BlockInput {
            role: block.role,
            chunks,
        })
        .collect();
    seal_blocks(keys, codec, &inputs).map_err(|error| format_error("new block", error))
}

/// Whole KiB that so many bytes fill; one more, for what sealing adds.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX - 1) + 1
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: u32) -> Result<OwnedSemaphorePermit> {
    Arc::clone(semaphore)
        .acquire_many_owned(permits)
        .await
        .map_err(|_| Error::internal("the writer is closed"))
}
