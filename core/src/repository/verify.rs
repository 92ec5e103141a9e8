//! Verification: reads and authenticates every byte that recovery points need, and says what damage means for whom.
//!
//! Three passes. The frame: `format.json`, key slots, commits, checkpoints, index segments. The packs: each read once, whole
//! and in sequence. The points: every tree node and every part of every item, whatever is shared only once. Damage ends
//! nothing: it is noted with what it affects, and the rest is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nakivo_repo_format::tree::TreeEntry;
use nakivo_repo_format::{Manifest, ObjectId, PackId, PointId};
use serde::{Deserialize, Serialize};

use super::Repository;
use super::objects::without_path;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Event, Reporter, Running};
use crate::seams::random_bytes;

mod containers;
mod frame;
mod packs;
mod points;
mod recheck;
mod record;
mod saved;

pub(crate) use recheck::recheck;
pub(crate) use record::{Known, Lost};
use saved::{Saved, Scope};

/// Affected items listed for one damaged object; beyond, they are only counted.
const MAX_AFFECTED: usize = 10_000;
/// Objects in a row that may fail to answer before the store counts as out of reach.
const MAX_SILENT_OBJECTS: u32 = 8;

/// What is verified, and how thoroughly.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Read the content of only this share of packs and items, 1 to 100. Structure is always read in full. Default: all.
    pub sample_percent: Option<u8>,
    /// Chooses the sample; the same seed chooses the same one. Default: random, and told in the report.
    pub seed: Option<u64>,
    /// Only what this object's points need. Default: everything.
    pub object: Option<ObjectId>,
    /// Only what this point needs. Default: everything.
    pub point: Option<PointId>,
    /// Leave out joining each item's content to compare it with the hash taken when it was read from its source. Every
    /// stored byte is authenticated all the same. Default: `false`.
    pub skip_content_hashes: bool,
    /// Write into the log what is damaged and what is whole again: then points are marked, the next run reads damaged items
    /// anew, and nothing new relies on damaged data. Default: `false`, nothing is written.
    pub record: bool,
    /// Go on where an earlier verification of the same scope was cancelled or ran out of time. Default: `false`.
    pub resume: bool,
    /// Stop after this time; a later call can go on. Default: none.
    pub max_duration: Option<Duration>,
    /// Leaves no trace of how far it came.
    passing: bool,
}

impl VerifyOptions {
    /// Everything, for a caller that begins anew whatever happens.
    pub(crate) fn passing() -> Self {
        Self {
            passing: true,
            ..Self::default()
        }
    }

    /// Reads the content of only this share of packs and items, 1 to 100.
    #[must_use]
    pub fn with_sample_percent(mut self, percent: u8) -> Self {
        self.sample_percent = Some(percent);
        self
    }

    /// Chooses the sample.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Verifies only what this object's points need.
    #[must_use]
    pub fn with_object(mut self, object: ObjectId) -> Self {
        self.object = Some(object);
        self
    }

    /// Verifies only what this point needs.
    #[must_use]
    pub fn with_point(mut self, point: PointId) -> Self {
        self.point = Some(point);
        self
    }

    /// Leaves out comparing each item with the hash taken when it was read from its source.
    #[must_use]
    pub fn with_skip_content_hashes(mut self, skip: bool) -> Self {
        self.skip_content_hashes = skip;
        self
    }

    /// Writes into the log what is damaged and what is whole again.
    #[must_use]
    pub fn with_record(mut self, record: bool) -> Self {
        self.record = record;
        self
    }

    /// Goes on where an earlier verification of the same scope stopped.
    #[must_use]
    pub fn with_resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Stops after this time.
    #[must_use]
    pub fn with_max_duration(mut self, duration: Option<Duration>) -> Self {
        self.max_duration = duration;
        self
    }
}

/// An item that damage makes unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AffectedItem {
    /// Name of the protected object.
    pub object: String,
    /// The recovery point.
    pub point: PointId,
    /// Where the item is in it, or which stretch of its listing is lost.
    pub path: String,
}

/// Something damaged, and what it affects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Damage {
    /// The damaged object: its path in the repository's folder.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// Items that cannot be read because of it; at most 10,000 are listed.
    pub affected: Vec<AffectedItem>,
    /// How many items that are in all, over all points.
    pub affected_count: u64,
}

/// What was read, and what is wrong.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Objects read besides packs: configuration, key slots, commits, checkpoints, index segments.
    pub objects: u64,
    /// Packs read whole.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Bytes of the store that were read in that.
    pub bytes: u64,
    /// Recovery points walked through.
    pub points: u64,
    /// Items seen; an item that several points share unchanged counts once.
    pub items: u64,
    /// Plain bytes of content joined and compared with their hash.
    pub content_bytes: u64,
    /// Damage, by object.
    pub damage: Vec<Damage>,
    /// Points that cannot be read in full.
    pub damaged_points: BTreeSet<PointId>,
    /// Whether everything in scope was read; `false` for a sample, and where time ran out.
    pub complete: bool,
    /// Whether time ran out: a later call with [`VerifyOptions::resume`] goes on.
    pub interrupted: bool,
    /// Whether an earlier verification was continued.
    pub resumed: bool,
    /// Why what was found could not be written into the log, if it could not.
    pub unrecorded: Option<String>,
    /// Number of the commit that says what was found; `None`: nothing was news, or nothing was to be written.
    pub recorded: Option<u64>,
    /// The seed that chose the sample.
    pub seed: u64,
}

impl VerifyReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }
}

impl Repository {
    /// Verifies the repository. Damage is no error of this call: it is what the report is for.
    ///
    /// How far it came is kept in the state outside the repository, from time to time and when it is stopped. A call that
    /// goes on from there does not look again at packs and points that were read before.
    ///
    /// # Errors
    /// Through the handle: `InvalidInput` for a share that is not 1 to 100; `NotFound` for an unknown object or point;
    /// `Cancelled`; `Unavailable` and others if the store is out of reach.
    pub fn verify(&self, options: VerifyOptions) -> Running<VerifyReport> {
        let shared = Arc::clone(&self.shared);
        Running::start(move |reporter| async move { run(shared, options, reporter).await })
    }
}

async fn run(shared: Arc<Shared>, options: VerifyOptions, reporter: Reporter) -> Result<VerifyReport> {
    let record = options.record;
    let Looked {
        mut report, known, ..
    } = look(Arc::clone(&shared), options, reporter).await?;
    if record && !report.interrupted && shared.view().log_damage.is_empty() {
        // What was found is worth having, whether or not this user may write.
        match known.record(&shared).await {
            Ok(commit) => report.recorded = commit,
            Err(error) => report.unrecorded = Some(error.to_string()),
        }
    }
    Ok(report)
}

/// Verifies, and says besides what the log should know.
pub(crate) async fn look(shared: Arc<Shared>, options: VerifyOptions, reporter: Reporter) -> Result<Looked> {
    let percent = options.sample_percent.unwrap_or(100);
    if !(1..=100).contains(&percent) {
        return Err(Error::invalid("sample", percent, "1 to 100 percent"));
    }
    let points = points_in_scope(&shared, &options)?;
    let scope = Scope::of(&options);
    let earlier = if options.resume {
        Saved::load(&shared, &scope).await
    } else {
        None
    };
    let mut report = VerifyReport {
        complete: percent == 100,
        resumed: earlier.is_some(),
        ..VerifyReport::default()
    };
    let mut saved = match earlier {
        Some(saved) => saved,
        None => {
            let seed = match options.seed {
                Some(seed) => seed,
                None => u64::from_le_bytes(random_bytes(&*shared.env.rng)?),
            };
            Saved::new(scope, seed)
        }
    };
    report.seed = saved.seed;
    let (damage, mut known) = saved.take(&mut report);
    known.before = Some(shared.view());
    let started = shared.env.clock.monotonic();
    let mut verifier = Verifier {
        sample: Sample {
            percent,
            seed: saved.seed,
        },
        hashes: !options.skip_content_hashes,
        ledger: Findings::of(damage),
        report,
        bad_blocks: HashSet::new(),
        known,
        lost: LostItems::default(),
        only_these: None,
        saved,
        ends: options
            .max_duration
            .map(|duration| started.saturating_add(duration)),
        unsaved_bytes: 0,
        out_of_time: false,
        passing: options.passing,
        silent: 0,
        shared,
        reporter,
    };
    verifier.recall_bad_blocks();
    verifier.reporter.phase("verify");
    let limited = options.object.is_some() || options.point.is_some();
    match verifier.verify(&points, limited).await {
        Ok(()) if options.passing => {}
        Ok(()) => Saved::forget(&verifier.shared).await,
        Err(error) => {
            verifier.save().await;
            if !verifier.out_of_time {
                return Err(error);
            }
            verifier.report.interrupted = true;
            verifier.report.complete = false;
        }
    }
    let Verifier {
        mut report,
        ledger,
        known,
        lost,
        ..
    } = verifier;
    report.damage = ledger.by_object.into_values().collect();
    report.damaged_points = known.points.keys().copied().collect();
    Ok(Looked { report, known, lost })
}

/// What was found, for people, for the log, and for who heals.
pub(crate) struct Looked {
    pub(crate) report: VerifyReport,
    pub(crate) known: Known,
    pub(crate) lost: LostItems,
}

/// Items that cannot be read.
#[derive(Default)]
pub(crate) struct LostItems {
    /// The first ones, each once.
    pub(crate) items: Vec<LostItem>,
    /// All of them.
    pub(crate) prints: HashSet<[u8; 16]>,
}

/// An item that cannot be read.
pub(crate) struct LostItem {
    pub(crate) point: PointId,
    pub(crate) entry: TreeEntry,
}

/// Items listed at once for who heals.
const MAX_LISTED_ITEMS: usize = 4096;

impl LostItems {
    fn add(&mut self, point: PointId, print: [u8; 16], entry: &TreeEntry) {
        if self.prints.insert(print) && self.items.len() < MAX_LISTED_ITEMS {
            self.items.push(LostItem {
                point,
                entry: entry.clone(),
            });
        }
    }

    /// Whether some are not listed.
    pub(crate) fn has_more(&self) -> bool {
        self.prints.len() > self.items.len()
    }
}

fn points_in_scope(shared: &Shared, options: &VerifyOptions) -> Result<Vec<Manifest>> {
    let view = shared.view();
    let mut scope: Vec<Manifest> = view
        .state
        .points()
        .values()
        .filter(|manifest| {
            options
                .object
                .as_ref()
                .is_none_or(|object| manifest.object.id == *object)
        })
        .filter(|manifest| options.point.is_none_or(|point| manifest.id == point))
        .map(|manifest| Manifest::clone(manifest))
        .collect();
    if scope.is_empty() {
        if let Some(point) = options.point {
            return Err(Error::not_found("recovery point", point));
        }
        if let Some(object) = &options.object {
            return Err(Error::not_found("object", object));
        }
    }
    scope.sort_by_key(|manifest| (manifest.started_ms, manifest.id));
    Ok(scope)
}

/// One verification on its way.
struct Verifier {
    shared: Arc<Shared>,
    reporter: Reporter,
    sample: Sample,
    hashes: bool,
    report: VerifyReport,
    ledger: Findings,
    /// Numbers of the index's blocks that cannot be read.
    bad_blocks: HashSet<u32>,
    /// What the log should know.
    known: Known,
    lost: LostItems,
    /// Items to be joined and hashed; `None`: all in the sample. Of the others only the chunks are looked up.
    only_these: Option<HashSet<[u8; 16]>>,
    saved: Saved,
    /// When time is up, on the monotonic clock.
    ends: Option<Duration>,
    out_of_time: bool,
    passing: bool,
    /// Bytes read since progress was saved.
    unsaved_bytes: u64,
    silent: u32,
}

impl Verifier {
    async fn verify(&mut self, points: &[Manifest], limited: bool) -> Result<()> {
        // What this process read earlier says nothing about what the store holds now.
        self.shared.cache.clear();
        self.shared.hot.clear();
        self.frame().await?;
        let needed = if limited {
            Some(self.needed_packs(points).await?)
        } else {
            None
        };
        self.packs(needed.as_ref()).await?;
        self.points(points).await
    }

    /// Fails once the caller cancelled, or time is up.
    fn check(&mut self) -> Result<()> {
        self.reporter.check()?;
        let now = self.shared.env.clock.monotonic();
        if self.ends.is_some_and(|ends| now >= ends) {
            self.out_of_time = true;
            return Err(Error::cancelled());
        }
        Ok(())
    }

    /// Keeps how far this came. It only saves time, so a failure is a note.
    async fn save(&mut self) {
        self.unsaved_bytes = 0;
        if self.passing {
            return;
        }
        let damage = self.ledger.by_object.values().cloned().collect();
        self.saved.note(&self.report, damage, &self.known);
        if let Err(error) = self.saved.store(&self.shared).await {
            tracing::warn!(%error, "how far the verification came could not be saved");
        }
    }

    /// Notes that blocks of a pack cannot be read; no places: all of them.
    fn bad(&mut self, pack: PackId, places: BTreeSet<u32>) {
        let Some(numbers) = self.shared.index().blocks_of(&pack) else {
            return;
        };
        if places.is_empty() || places.len() == numbers.len() {
            self.bad_blocks.extend(numbers);
            self.known.bad.insert(pack, BTreeSet::new());
            return;
        }
        self.bad_blocks
            .extend(places.iter().map(|place| numbers.start + place));
        let all = self.known.bad.entry(pack).or_insert_with(|| places.clone());
        if !all.is_empty() {
            all.extend(places);
        }
    }

    /// Every copy of a chunk was tried in vain.
    fn bad_copies(&mut self, chunk: &nakivo_repo_format::ChunkId) -> Result<()> {
        let copies: Vec<(PackId, u32)> = {
            let index = self.shared.index();
            let blocks = index.block_numbers(chunk)?;
            let places = blocks.into_iter().map(|number| index.place_in_pack(number));
            places.collect()
        };
        for (pack, place) in copies {
            self.bad(pack, BTreeSet::from([place]));
        }
        Ok(())
    }

    fn recall_bad_blocks(&mut self) {
        for (pack, places) in std::mem::take(&mut self.known.bad) {
            self.bad(pack, places);
        }
    }

    /// Sorts an error into damage, which is told, and failure, which ends the verification.
    fn damage_of(&mut self, error: Error) -> Result<String> {
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::UnsupportedFormat => Ok(error.message().to_owned()),
            // One object that a disk cannot read any more is damage; a store that answers nothing is not.
            ErrorKind::Unavailable if self.silent < MAX_SILENT_OBJECTS => {
                self.silent += 1;
                Ok(error.message().to_owned())
            }
            _ => Err(error),
        }
    }

    /// Notes damage of the object at `path`.
    fn damaged(&mut self, path: &str, what: impl Into<String>) {
        let what = what.into();
        let what = without_path(path, &what).to_owned();
        if self.ledger.damaged(path, &what) {
            self.reporter.event(Event::Issue {
                path: path.to_owned(),
                code: "corrupt".to_owned(),
                message: what,
            });
        }
    }
}

/// Damage by object.
#[derive(Default)]
struct Findings {
    by_object: BTreeMap<String, Damage>,
}

impl Findings {
    fn of(damage: Vec<Damage>) -> Self {
        Self {
            by_object: damage
                .into_iter()
                .map(|damage| (damage.object.clone(), damage))
                .collect(),
        }
    }

    /// Notes that an object is damaged; says whether that is news.
    fn damaged(&mut self, path: &str, what: &str) -> bool {
        if self.by_object.contains_key(path) {
            return false;
        }
        let damage = Damage {
            object: path.to_owned(),
            what: what.to_owned(),
            affected: Vec::new(),
            affected_count: 0,
        };
        self.by_object.insert(path.to_owned(), damage);
        true
    }

    /// Adds what a damaged object affects.
    fn affects(&mut self, path: &str, item: AffectedItem, count: u64) {
        if let Some(damage) = self.by_object.get_mut(path) {
            if damage.affected.contains(&item) {
                return;
            }
            damage.affected_count += count;
            if damage.affected.len() < MAX_AFFECTED {
                damage.affected.push(item);
            }
        }
    }
}

/// A share of things, chosen by a seed and each thing's name: the same for the same seed.
#[derive(Debug, Clone, Copy)]
struct Sample {
    percent: u8,
    seed: u64,
}

impl Sample {
    fn takes(&self, name: &[u8]) -> bool {
        if self.percent >= 100 {
            return true;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(name);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first) % 100 < u64::from(self.percent)
    }
}
