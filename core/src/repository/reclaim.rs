//! Reclaim: frees what no recovery point needs, while others back up.
//!
//! Three steps, each of which may be the last one that a process takes:
//! 1. Everything that points and unfinished runs need is marked. What else packs hold is unused; packs that are mostly
//!    unused, and packs too small to be worth an object, are written anew without it.
//! 2. One commit announces the new packs and *tombstones* the old ones. It takes effect only if it is the very next commit
//!    after the marking: whoever commits in between has it marked again. From here on nobody finds anything in them, and a
//!    run that relied on them revives them in its own commit.
//! 3. After a grace period, one commit takes them off the index for good (now nobody can revive them any more), and then
//!    the objects are deleted. Names are never used twice, so it does not matter who deletes them and when.
//!
//! The grace period only spares runs the trouble of being refused. No clock decides about data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::log::{IndexRef, Operation};
use nakivo_repo_format::object::HEADER_BYTES;
use nakivo_repo_format::{ChunkRef, IndexId, ObjectHeader, PackId, PointId, RunId, paths};
use serde::Serialize;

use super::Repository;
use super::index::PackUsage;
use super::objects::{corrupt, format_error};
use super::reach::Reach;
use super::read::Pattern;
use super::retain::Removal;
use super::shared::{Shared, View};
use super::write::{Segments, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::seams::random_bytes;

/// Default of [`ReclaimOptions::grace`].
const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// Default of [`ReclaimOptions::rewrite_below_percent`].
const DEFAULT_REWRITE_BELOW: u8 = 70;
/// Default of [`ReclaimOptions::batch_bytes`].
const DEFAULT_BATCH_BYTES: u64 = 1 << 30;
/// A pack below this size is small.
const SMALL_PACK_BYTES: u64 = 1 << 20;
/// More small packs than this are put together.
const MAX_SMALL_PACKS: usize = 32;
/// An index segment with fewer chunks is small, and is put together with others when segments are rewritten.
const SMALL_SEGMENT_CHUNKS: u64 = 10_000;
/// Checkpoints that stay, the newest ones: should one be damaged, the one before does.
const KEPT_CHECKPOINTS: usize = 4;
/// Objects read or deleted at once.
const PARALLEL: usize = 8;

/// What is reclaimed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ReclaimOptions {
    /// Packs of which less than this share is wanted are written anew, 0 to 100. 0: only what is wholly unused goes.
    /// Default: 70.
    pub rewrite_below_percent: u8,
    /// How long packs stay after they were tombstoned, and how old an object must be that nothing refers to before it
    /// counts as left behind. Shorter than a run takes: such runs may have to start again. Default: 24 hours.
    pub grace: Duration,
    /// Only say what would be done. Default: `false`.
    pub preview: bool,
    /// Also write anew whatever is sealed in an older epoch than the current one. Default: `false`.
    pub reencrypt: bool,
    /// What is needed of packs that are written anew is committed each time it reaches so many bytes: an interruption costs
    /// no more than that. Default: 1 GiB.
    pub batch_bytes: u64,
}

impl Default for ReclaimOptions {
    fn default() -> Self {
        Self {
            rewrite_below_percent: DEFAULT_REWRITE_BELOW,
            grace: DEFAULT_GRACE,
            preview: false,
            reencrypt: false,
            batch_bytes: DEFAULT_BATCH_BYTES,
        }
    }
}

impl ReclaimOptions {
    /// Sets below which share of wanted bytes a pack is written anew.
    #[must_use]
    pub fn with_rewrite_below_percent(mut self, percent: u8) -> Self {
        self.rewrite_below_percent = percent;
        self
    }

    /// Sets how long tombstoned packs stay.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets whether what is sealed in older epochs is written anew.
    #[must_use]
    pub fn with_reencrypt(mut self, reencrypt: bool) -> Self {
        self.reencrypt = reencrypt;
        self
    }

    /// Sets after how many bytes what was written anew is committed.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: u64) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Only says what would be done.
    #[must_use]
    pub fn with_preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }
}

/// What reclaim found and did. Bytes are those of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReclaimReport {
    /// Whether it only looked.
    pub preview: bool,
    /// Bytes of all packs that are in use, before.
    pub stored_bytes: u64,
    /// Of these, what points and unfinished runs need.
    pub needed_bytes: u64,
    /// Packs that nothing needs.
    pub unused_packs: u64,
    /// Their bytes.
    pub unused_bytes: u64,
    /// Packs written anew without what is unused.
    pub rewritten_packs: u64,
    /// Their bytes, before.
    pub rewritten_bytes: u64,
    /// What was needed of them: read and stored again.
    pub moved_bytes: u64,
    /// Packs that no commit ever announced, left behind by runs that ended early.
    pub stray_packs: u64,
    /// Their bytes.
    pub stray_bytes: u64,
    /// Packs that wait for the end of the grace period, after this call.
    pub waiting_packs: u64,
    /// Objects that were deleted: packs, index segments, and checkpoints with enough newer ones.
    pub deleted_objects: u64,
    /// Bytes of the store that were freed, by this call.
    pub freed_bytes: u64,
    /// Objects that were to be deleted and stay because they are locked; a call after that time deletes them.
    pub locked_objects: u64,
    /// Their bytes.
    pub locked_bytes: u64,
    /// When the last of these locks ends, as far as the store says, milliseconds since 1970 UTC.
    pub locked_until_ms: Option<i64>,
}

impl ReclaimReport {
    /// What can be freed in all: unused packs, what packs to be rewritten hold beside what is needed, packs left behind.
    #[must_use]
    pub fn reclaimable_bytes(&self) -> u64 {
        self.unused_bytes + self.rewritten_bytes.saturating_sub(self.moved_bytes) + self.stray_bytes
    }
}

impl Repository {
    /// Frees what no recovery point needs. Backups, recoveries and verification may go on meanwhile, here and elsewhere.
    ///
    /// With the default grace period a pack is tombstoned by one call and deleted by a later one.
    ///
    /// # Errors
    /// Through the handle: `InvalidInput`; `Corrupt` if something that a point needs is damaged or missing, or the index is
    /// (then nothing is removed: heal first); `Busy` if others commit all the time; `Cancelled`; those of the store.
    ///
    /// # Cancellation
    /// Safe at any moment. What was written and not committed is left behind, and found by a later call.
    pub fn reclaim(&self, options: ReclaimOptions) -> Running<ReclaimReport> {
        let repository = self.clone();
        Running::start(move |reporter| async move { run(&repository, options, &reporter).await })
    }
}

impl Repository {
    /// Encrypts anew what is sealed in older epochs than the current one: a reclaim that also rewrites their packs, index
    /// segments and checkpoints. Packs of the current epoch stay, unless nothing needs them. Commits stay as they are: they
    /// form a chain.
    ///
    /// The work is committed piece by piece, so a call that was interrupted is continued by the next one. As with any reclaim,
    /// what was replaced is deleted by a later call, when its grace period is over.
    ///
    /// # Errors
    /// As [`Repository::reclaim`].
    ///
    /// # Cancellation
    /// Safe at any moment.
    pub fn reencrypt(&self, options: ReclaimOptions) -> Running<ReclaimReport> {
        self.reclaim(options.with_reencrypt(true).with_rewrite_below_percent(0))
    }
}

/// Rounds of marking before others count as committing all the time.
const MAX_ROUNDS: u32 = 50;

async fn run(repository: &Repository, options: ReclaimOptions, reporter: &Reporter) -> Result<ReclaimReport> {
    if options.rewrite_below_percent > 100 {
        return Err(Error::invalid(
            "share of needed bytes below which packs are rewritten",
            options.rewrite_below_percent,
            "0 to 100 percent",
        ));
    }
    repository.refresh().await?;
    let shared = &repository.shared;
    shared
        .view()
        .check_writable("nothing can be removed from this repository")?;
    if shared.index_incomplete.load(Ordering::Acquire) {
        return Err(corrupt(
            paths::INDEX,
            "a segment is damaged or missing, so it is not certain which packs are in use",
        )
        .with_hint("Heal the repository, then reclaim."));
    }
    let mut reclaim = Reclaim::new(repository, options, reporter);
    if !options.preview {
        reclaim.remove().await?;
    }
    reclaim.mark_and_bury().await?;
    reclaim.replace_segments = options.reencrypt;
    if !options.preview && (options.grace.is_zero() || options.reencrypt) {
        reclaim.remove().await?;
    }
    if !options.preview && options.reencrypt {
        reclaim.replace_checkpoints().await?;
    }
    if !options.preview {
        reclaim.thin_checkpoints().await?;
    }
    reclaim.report.waiting_packs = shared.view().state.tombstones().len() as u64;
    let report = reclaim.report;
    if !options.preview {
        // Only now, when what is to go no longer gets a new lock.
        repository.keep_locked_or_note(reporter).await?;
    }
    Ok(report)
}

/// Moves what is needed out of these damaged packs and tombstones them. A pack of which something needed is lost stays: it
/// may be mended one day.
pub(crate) async fn retire(
    repository: &Repository,
    packs: BTreeSet<PackId>,
    preview: bool,
    reporter: &Reporter,
) -> Result<ReclaimReport> {
    let options = ReclaimOptions::default().with_preview(preview);
    let mut reclaim = Reclaim {
        only: Some(packs),
        ..Reclaim::new(repository, options, reporter)
    };
    reclaim.mark_and_bury().await?;
    Ok(reclaim.report)
}

struct Reclaim<'a> {
    repository: &'a Repository,
    shared: &'a Arc<Shared>,
    options: ReclaimOptions,
    /// Only these packs, and nothing is deleted: they are damaged, and what is needed of them is to be elsewhere.
    only: Option<BTreeSet<PackId>>,
    reporter: &'a Reporter,
    now: DateTime<Utc>,
    report: ReclaimReport,
    /// What is sealed in an older epoch is written anew, if that was asked for.
    epoch: u32,
    /// Whether that holds for index segments now.
    replace_segments: bool,
    /// What was to go and is locked.
    locked: HashSet<String>,
}

/// A set of positions in the index.
#[derive(Debug, Default)]
struct Positions(Vec<u64>);

impl Positions {
    fn insert(&mut self, position: u32) {
        let at = position as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (position % 64);
    }

    fn contains(&self, position: u32) -> bool {
        self.0
            .get(position as usize / 64)
            .is_some_and(|word| word & (1 << (position % 64)) != 0)
    }
}

/// What was marked, and up to which commit.
struct Marks<'a> {
    reach: Reach<'a>,
    points: HashSet<PointId>,
    needed: Positions,
}

impl<'a> Reclaim<'a> {
    fn new(repository: &'a Repository, options: ReclaimOptions, reporter: &'a Reporter) -> Self {
        let shared = &repository.shared;
        Self {
            report: ReclaimReport {
                preview: options.preview,
                ..ReclaimReport::default()
            },
            repository,
            shared,
            options,
            only: None,
            reporter,
            now: shared.env.clock.now(),
            epoch: shared.keys().epoch(),
            replace_segments: false,
            locked: HashSet::new(),
        }
    }
}

impl Reclaim<'_> {
    /// Steps one and two.
    async fn mark_and_bury(&mut self) -> Result<()> {
        self.reporter.phase("mark");
        let mut marks = Marks {
            reach: Reach::new(self.shared, None),
            points: HashSet::new(),
            needed: Positions::default(),
        };
        let mut view = self.shared.view();
        self.mark(&mut marks, &view).await?;
        let usage = self
            .shared
            .index()
            .usage(|_| true, |at| marks.needed.contains(at), |_| false)?;
        let (strays, chosen) = match &self.only {
            None => (self.strays().await?, self.choose(&usage)),
            Some(only) => (
                HashMap::new(),
                usage
                    .iter()
                    .filter(|pack| only.contains(&pack.id))
                    .copied()
                    .collect(),
            ),
        };
        let chosen = self.without_lost(chosen, &marks.needed)?;
        self.report.stored_bytes = usage.iter().map(|pack| pack.size).sum();
        self.report.needed_bytes = usage.iter().map(|pack| pack.wanted_bytes).sum();
        self.report.stray_packs = strays.len() as u64;
        self.report.stray_bytes = strays.values().sum();
        if self.options.preview {
            for pack in &chosen {
                self.count(pack);
            }
            return Ok(());
        }
        let run = RunId::from_random_bytes(random_bytes(&*self.shared.env.rng)?);
        let writer = self.repository.writer(run);
        self.reporter.update(|progress| {
            progress.bytes_total = Some(chosen.iter().map(|pack| pack.wanted_bytes).sum());
        });
        let mut moved = Positions::default();
        let mut batches = batches(&chosen, self.options.batch_bytes).into_iter().peekable();
        while let Some(batch) = batches.next() {
            let unreadable = self.rewrite(batch, &marks.needed, &writer, &mut moved).await?;
            let segments = writer.flush().await?;
            let strays = batches.peek().is_none().then_some(&strays);
            let wanted: HashSet<PackId> = batch.iter().map(|pack| pack.id).collect();
            view = self
                .bury(
                    view,
                    &mut marks,
                    &moved,
                    &segments,
                    |pack| wanted.contains(pack) && !unreadable.contains(pack),
                    strays,
                )
                .await?;
        }
        Ok(())
    }

    /// Stores what is needed of these packs once more. Returns those that are damaged.
    async fn rewrite(
        &self,
        packs: &[PackUsage],
        needed: &Positions,
        writer: &Writer,
        moved: &mut Positions,
    ) -> Result<HashSet<PackId>> {
        self.reporter.phase("rewrite");
        let mut unreadable = HashSet::new();
        for pack in packs.iter().filter(|pack| pack.wanted_bytes > 0) {
            self.reporter.check()?;
            match self.copy(pack.id, needed, writer, moved).await {
                Ok(()) => self.reporter.update(|progress| {
                    progress.bytes_done += pack.wanted_bytes;
                    progress.bytes_stored = writer.stats().bytes_stored;
                }),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    // What is damaged stays where it is: verify names it, and healing may still replace it.
                    self.shared.note(format!("a pack is not written anew: {error}"));
                    unreadable.insert(pack.id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    /// Step two: announces the packs of `segments` and tombstones those `chosen` that are no longer needed, and `strays`.
    async fn bury(
        &mut self,
        mut view: Arc<View>,
        marks: &mut Marks<'_>,
        moved: &Positions,
        segments: &[IndexRef],
        chosen: impl Fn(&PackId) -> bool,
        strays: Option<&HashMap<PackId, u64>>,
    ) -> Result<Arc<View>> {
        self.reporter.phase("commit");
        for _ in 0..MAX_ROUNDS {
            self.reporter.check()?;
            // Again with what was marked last: a pack may go only if all that is needed of it was moved.
            let tombstones = view.state.tombstones();
            let mut buried = self.shared.index().usage(
                |pack| chosen(pack) && !tombstones.contains_key(pack),
                |at| marks.needed.contains(at),
                |at| moved.contains(at),
            )?;
            buried.retain(|pack| pack.dispensable);
            let mut packs: BTreeSet<PackId> = buried.iter().map(|pack| pack.id).collect();
            packs.extend(
                strays
                    .into_iter()
                    .flat_map(HashMap::keys)
                    .filter(|pack| !self.shared.index().shows_pack(pack) && !tombstones.contains_key(pack)),
            );
            if packs.is_empty() {
                return Ok(view);
            }
            let mut operations = Vec::new();
            if !segments.is_empty() {
                operations.push(Operation::AddIndex {
                    segments: segments.to_vec(),
                });
            }
            operations.push(Operation::Tombstone {
                packs: packs.into_iter().collect(),
            });
            if self.shared.commit_after(view.state.seq(), operations).await? {
                for pack in &buried {
                    self.count(pack);
                }
                return Ok(self.shared.view());
            }
            view = self.shared.view();
            self.mark(marks, &view).await?;
        }
        Err(Error::new(
            ErrorKind::Busy,
            "others commit all the time; nothing was removed",
        ))
    }

    fn count(&mut self, pack: &PackUsage) {
        let report = &mut self.report;
        if pack.wanted_bytes == 0 {
            report.unused_packs += 1;
            report.unused_bytes += pack.size;
        } else {
            report.rewritten_packs += 1;
            report.rewritten_bytes += pack.size;
            report.moved_bytes += pack.wanted_bytes;
        }
    }

    /// Marks what the view's points and runs need. What was marked before stays marked.
    async fn mark(&self, marks: &mut Marks<'_>, view: &View) -> Result<()> {
        let mut missing = None;
        let Marks {
            reach,
            points,
            needed,
        } = marks;
        let mut need = |chunk: &ChunkRef| {
            match self.shared.index().position(&chunk.id)? {
                Some(position) => needed.insert(position),
                None => missing = Some(chunk.id),
            }
            Ok(())
        };
        for manifest in view.state.points().values() {
            if points.insert(manifest.id) {
                self.reporter.check()?;
                reach.point(manifest, &mut need).await.map_err(damaged)?;
            }
        }
        for progress in view.state.progress().values() {
            self.reporter.check()?;
            reach.progress(progress, &mut need).await.map_err(damaged)?;
        }
        match missing {
            None => Ok(()),
            Some(chunk) => Err(damaged(corrupt(
                &format!("chunk {chunk}"),
                "a recovery point needs it and no pack has it",
            ))),
        }
    }

    /// Leaves out packs in which something needed is known to be damaged and is nowhere else.
    fn without_lost(&self, packs: Vec<PackUsage>, needed: &Positions) -> Result<Vec<PackUsage>> {
        let mut rest = Vec::new();
        for pack in packs {
            if !self.is_lost(&pack.id, needed)? {
                rest.push(pack);
            }
        }
        Ok(rest)
    }

    fn is_lost(&self, pack: &PackId, needed: &Positions) -> Result<bool> {
        let index = self.shared.index();
        let Some(numbers) = index.blocks_of(pack) else {
            return Ok(true);
        };
        for number in numbers.filter(|number| index.is_block_damaged(*number)) {
            let mut positions = index.chunk_positions(number)?;
            if positions.any(|position| needed.contains(position)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Packs to get rid of: also damaged ones of which all that is needed can be had.
    fn choose(&self, usage: &[PackUsage]) -> Vec<PackUsage> {
        let percent = u64::from(self.options.rewrite_below_percent);
        let view = self.shared.view();
        let damaged = view.state.damaged_packs();
        let unwanted = |pack: &PackUsage| {
            pack.wanted_bytes == 0
                || damaged.contains_key(&pack.id)
                || (self.options.reencrypt && pack.epoch < self.epoch)
        };
        let sparse =
            |pack: &PackUsage| pack.wanted_bytes.saturating_mul(100) < pack.size.saturating_mul(percent);
        let small = |pack: &PackUsage| percent > 0 && pack.size < SMALL_PACK_BYTES;
        let many_small = usage.iter().filter(|pack| small(pack)).count() > MAX_SMALL_PACKS;
        let chosen = |pack: &&PackUsage| {
            if unwanted(pack) {
                true
            } else if small(pack) {
                // It is never full: what its directory takes is not worth writing it anew every time.
                many_small || (sparse(pack) && pack.wanted_bytes * 2 < pack.size)
            } else {
                sparse(pack)
            }
        };
        usage.iter().filter(chosen).copied().collect()
    }

    /// Stores what is needed of a pack once more.
    async fn copy(
        &self,
        pack: PackId,
        needed: &Positions,
        writer: &Writer,
        moved: &mut Positions,
    ) -> Result<()> {
        let found = self.shared.index().pack(&pack)?;
        let Some((indexed, numbers)) = found else {
            return Ok(());
        };
        for (number, entry) in numbers.zip(&indexed.blocks) {
            let positions = self.shared.index().chunk_positions(number)?;
            if !positions.clone().any(|position| needed.contains(position)) {
                continue;
            }
            let key = (pack, entry.offset);
            let block = self
                .shared
                .read_block(&self.shared.index, number, key, Pattern::Sequential)
                .await?;
            for (position, (id, range)) in positions.zip(entry.chunk_ranges()) {
                if needed.contains(position) {
                    if range.end > block.len() {
                        return Err(Error::internal("a block is shorter than its entry"));
                    }
                    writer.packer.add_copy(entry.role, id, block.slice(range)).await?;
                    moved.insert(position);
                }
            }
        }
        Ok(())
    }

    /// Packs in the store that no index lists, old enough not to belong to a run on its way.
    async fn strays(&self) -> Result<HashMap<PackId, u64>> {
        let view = self.shared.view();
        let tombstones = view.state.tombstones();
        let mut strays = HashMap::new();
        for (path, size, time) in self.shared.objects.list_dated(paths::PACKS).await? {
            let Some(pack) = path
                .rsplit('/')
                .next()
                .and_then(|name| name.parse::<PackId>().ok())
            else {
                continue;
            };
            let known = self.shared.index().shows_pack(&pack) || tombstones.contains_key(&pack);
            if !known && self.is_old(time) {
                strays.insert(pack, size);
            }
        }
        for writer in self.shared.live_writers() {
            strays.retain(|pack, _| !writer.owns(pack));
        }
        Ok(strays)
    }

    fn is_old(&self, time: DateTime<Utc>) -> bool {
        // The store's clock may be ahead of ours: then it is not old.
        self.now
            .signed_duration_since(time)
            .to_std()
            .map_or(self.options.grace.is_zero(), |age| age >= self.options.grace)
    }

    /// Step three, for packs whose grace period is over.
    async fn remove(&mut self) -> Result<()> {
        self.reporter.phase("remove");
        for _ in 0..MAX_ROUNDS {
            self.reporter.check()?;
            let view = self.shared.view();
            let packs = self.expired(&view).await?;
            let outdated = view.state.segments().keys().any(|id| self.is_outdated(id));
            if packs.is_empty() && !outdated {
                return self.delete_stray_segments().await;
            }
            let (add, remove) = self.rewrite_segments(&view, &packs).await?;
            let mut operations = Vec::new();
            if !remove.is_empty() {
                operations.push(Operation::ReplaceIndex {
                    add,
                    remove: remove.iter().map(|segment| segment.id).collect(),
                });
            }
            if !packs.is_empty() {
                operations.push(Operation::RemovedPacks {
                    packs: packs.iter().copied().collect(),
                });
            }
            if self.shared.commit_after(view.state.seq(), operations).await? {
                // Nobody can refer to them any more; should this stop half way, they are strays.
                let mut names: Vec<String> = packs.iter().map(paths::pack).collect();
                names.extend(remove.iter().map(|segment| paths::index(&segment.id)));
                self.delete(names).await?;
                return self.delete_stray_segments().await;
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "others commit all the time; nothing was deleted",
        ))
    }

    /// Whether an index segment is to be written anew because it is sealed in an older epoch.
    fn is_outdated(&self, segment: &IndexId) -> bool {
        let epoch = self.shared.segment_epoch(segment);
        self.replace_segments && epoch.is_some_and(|epoch| epoch < self.epoch)
    }

    /// Puts a checkpoint of the current epoch into the place of those of older ones. The log still has every commit.
    async fn replace_checkpoints(&mut self) -> Result<()> {
        let mut outdated = Vec::new();
        for seq in self.shared.list_numbers(paths::CHECKPOINT, None).await? {
            let path = paths::checkpoint(seq);
            let header = self.shared.objects.get_range(&path, 0..HEADER_BYTES as u64).await;
            // One that is damaged is verify's to name.
            if let Ok(Some(header)) = header
                && ObjectHeader::decode(&header).is_ok_and(|header| header.epoch < self.epoch)
            {
                outdated.push(path);
            }
        }
        if outdated.is_empty() {
            return Ok(());
        }
        self.shared.write_checkpoint().await;
        let newest = self.shared.list_numbers(paths::CHECKPOINT, None).await?;
        let Some(newest) = newest.last() else {
            return Ok(());
        };
        // Only when the new one opens do the old ones go.
        self.shared.read_checkpoint(*newest).await?;
        outdated.retain(|path| *path != paths::checkpoint(*newest));
        self.delete(outdated).await
    }

    /// Removes checkpoints of which there are enough newer ones. Each repeats the state, so all of them together grow with the
    /// square of time; the log still has every commit.
    async fn thin_checkpoints(&mut self) -> Result<()> {
        let numbers = self.shared.list_numbers(paths::CHECKPOINT, None).await?;
        let Some(surplus) = numbers
            .len()
            .checked_sub(KEPT_CHECKPOINTS)
            .filter(|surplus| *surplus > 0)
        else {
            return Ok(());
        };
        let kept = &numbers[surplus..];
        for seq in kept {
            match self.shared.read_checkpoint(*seq).await {
                Ok(_) => {}
                // Heal's to replace; until then an older one may be what opening needs.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.delete(
            numbers[..surplus]
                .iter()
                .map(|seq| paths::checkpoint(*seq))
                .collect(),
        )
        .await
    }

    /// Tombstoned packs whose grace period is over.
    async fn expired(&mut self, view: &View) -> Result<BTreeSet<PackId>> {
        let mut expired: HashMap<u64, bool> = HashMap::new();
        let mut packs = BTreeSet::new();
        for (pack, seq) in view.state.tombstones() {
            let over = match expired.get(seq) {
                Some(over) => *over,
                None => {
                    let over = self.options.grace.is_zero()
                        || match self.shared.read_commit(*seq).await? {
                            Some((_, record)) => DateTime::from_timestamp_millis(record.time_ms)
                                .is_some_and(|time| self.is_old(time)),
                            // The commit is gone behind a checkpoint: that takes longer than any grace period.
                            None => true,
                        };
                    expired.insert(*seq, over);
                    over
                }
            };
            if over {
                packs.insert(*pack);
            }
        }
        self.without_locked(packs).await
    }

    /// Leaves out packs that are locked: they keep their tombstones, and nothing is tried in vain.
    async fn without_locked(&mut self, packs: BTreeSet<PackId>) -> Result<BTreeSet<PackId>> {
        if self.shared.objects.retention.promise().is_none() {
            return Ok(packs);
        }
        let objects = &self.shared.objects;
        let looked: Vec<(PackId, Removal, u64)> = stream::iter(packs)
            .map(|pack| async move {
                let path = paths::pack(&pack);
                let removal = objects.is_locked(&path).await?;
                let size = match removal {
                    Removal::Locked(_) => objects.size(&path).await?.unwrap_or(0),
                    Removal::Gone => 0,
                };
                Ok::<_, Error>((pack, removal, size))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let mut free = BTreeSet::new();
        for (pack, removal, size) in looked {
            match removal {
                Removal::Gone => {
                    free.insert(pack);
                }
                Removal::Locked(until) => self.note_locked(paths::pack(&pack), size, until),
            }
        }
        Ok(free)
    }

    /// Each object once, however often it is met.
    fn note_locked(&mut self, path: String, size: u64, until: Option<DateTime<Utc>>) {
        if self.locked.insert(path) {
            self.report.locked_objects += 1;
            self.report.locked_bytes += size;
            let until = until.map(|until| until.timestamp_millis());
            self.report.locked_until_ms = self.report.locked_until_ms.max(until);
        }
    }

    /// Index segments without these packs: those to add, and those that they replace.
    async fn rewrite_segments(
        &self,
        view: &View,
        packs: &BTreeSet<PackId>,
    ) -> Result<(Vec<IndexRef>, Vec<IndexRef>)> {
        let current: Vec<IndexRef> = view.state.segments().values().copied().collect();
        let many_small = current
            .iter()
            .filter(|segment| segment.chunks < SMALL_SEGMENT_CHUNKS)
            .count()
            > MAX_SMALL_PACKS;
        let mut replaced = Vec::new();
        let mut rewritten = Segments::new(self.shared);
        let mut reading = pin!(self.shared.read_segments(&current));
        while let Some((reference, segment)) = reading.next().await {
            let segment = segment?;
            let path = paths::index(&reference.id);
            let fail = |error| format_error(&path, error);
            let listed = segment.pack_ids().map_err(fail)?;
            if listed.iter().any(|pack| packs.contains(pack))
                || self.is_outdated(&reference.id)
                || (many_small && reference.chunks < SMALL_SEGMENT_CHUNKS)
            {
                replaced.push(reference);
                for pack in segment.packs().map_err(fail)? {
                    let pack = pack.map_err(fail)?;
                    if !packs.contains(&pack.id) {
                        rewritten.add(pack).await?;
                    }
                }
            }
        }
        let mut added = rewritten.finish().await?;
        // A segment that comes out as it was is not replaced.
        let same: HashSet<IndexId> = added
            .iter()
            .map(|segment| segment.id)
            .filter(|id| replaced.iter().any(|segment| segment.id == *id))
            .collect();
        added.retain(|segment| !same.contains(&segment.id));
        replaced.retain(|segment| !same.contains(&segment.id));
        Ok((added, replaced))
    }

    /// Deletes index segments in the store that no state lists and whose packs are all gone.
    async fn delete_stray_segments(&mut self) -> Result<()> {
        let view = self.shared.view();
        let mut strays = Vec::new();
        for (path, size, time) in self.shared.objects.list_dated(paths::INDEX).await? {
            let Some(id) = path
                .rsplit('/')
                .next()
                .and_then(|name| name.parse::<IndexId>().ok())
            else {
                continue;
            };
            if view.state.segments().contains_key(&id) || !self.is_old(time) {
                continue;
            }
            if self.shared.fresh_segment(&id).is_some() {
                continue;
            }
            let reference = IndexRef {
                id,
                size,
                packs: 0,
                chunks: 0,
            };
            let segment = self.shared.read_segment(&reference).await;
            let listed =
                segment.and_then(|segment| segment.pack_ids().map_err(|error| format_error(&path, error)));
            let listed = match listed {
                Ok(listed) => listed,
                // Not worth an error: nothing refers to it.
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let mut gone = true;
            for pack in &listed {
                if self.shared.objects.size(&paths::pack(pack)).await?.is_some() {
                    gone = false;
                    break;
                }
            }
            if gone {
                strays.push(path);
            }
        }
        self.delete(strays).await
    }

    async fn delete(&mut self, names: Vec<String>) -> Result<()> {
        let objects = &self.shared.objects;
        let removed: Vec<(String, u64, Removal)> = stream::iter(names)
            .map(|path| async move {
                let size = objects.size(&path).await?.unwrap_or(0);
                let removal = objects.remove(&path).await?;
                Ok::<_, Error>((path, size, removal))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        for (path, size, removal) in removed {
            match removal {
                Removal::Gone => {
                    self.report.deleted_objects += 1;
                    self.report.freed_bytes += size;
                }
                Removal::Locked(until) => self.note_locked(path, size, until),
            }
        }
        Ok(())
    }
}

/// Cuts the packs into runs of which each is committed by itself, so that an interruption costs one of them at most.
fn batches(chosen: &[PackUsage], batch_bytes: u64) -> Vec<&[PackUsage]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, pack) in chosen.iter().enumerate() {
        bytes += pack.wanted_bytes;
        if bytes >= batch_bytes {
            batches.push(&chosen[from..=at]);
            (from, bytes) = (at + 1, 0);
        }
    }
    // The last one takes what nothing refers to along, even if there is nothing else.
    batches.push(&chosen[from..]);
    batches
}

fn damaged(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => error
            .context("nothing is removed while a recovery point is damaged")
            .with_hint("Verify and heal the repository, or delete the damaged points; then reclaim."),
        _ => error,
    }
}
