//! Verification: reads and authenticates every byte that recovery points need, and says what damage means for whom.
//!
//! Three passes. The frame: `format.json`, key slots, commits, checkpoints, index segments. The packs: each read once, whole
//! and in sequence. The points: every tree node and every part of every item, whatever is shared only once. Damage ends
//! nothing: it is noted with what it affects, and the rest is read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nakivo_repo_format::{Manifest, ObjectId, PointId};
use serde::Serialize;

use super::Repository;
use super::objects::without_path;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Event, Reporter, Running};
use crate::seams::random_bytes;

mod frame;
mod packs;
mod points;

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
}

impl VerifyOptions {
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
}

/// An item that damage makes unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Whether everything in scope was read; `false` for a sample.
    pub complete: bool,
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
    /// # Errors
    /// Through the handle: `InvalidInput` for a share that is not 1 to 100; `NotFound` for an unknown object or point;
    /// `Cancelled`; `Unavailable` and others if the store is out of reach.
    pub fn verify(&self, options: VerifyOptions) -> Running<VerifyReport> {
        let shared = Arc::clone(&self.shared);
        Running::start(move |reporter| async move { run(shared, options, reporter).await })
    }
}

async fn run(shared: Arc<Shared>, options: VerifyOptions, reporter: Reporter) -> Result<VerifyReport> {
    let percent = options.sample_percent.unwrap_or(100);
    if !(1..=100).contains(&percent) {
        return Err(Error::invalid("sample", percent, "1 to 100 percent"));
    }
    let seed = match options.seed {
        Some(seed) => seed,
        None => u64::from_le_bytes(random_bytes(&*shared.env.rng)?),
    };
    let scope = points_in_scope(&shared, &options)?;
    let mut verifier = Verifier {
        sample: Sample { percent, seed },
        hashes: !options.skip_content_hashes,
        ledger: Findings::default(),
        report: VerifyReport {
            complete: percent == 100,
            seed,
            ..VerifyReport::default()
        },
        bad_blocks: HashSet::new(),
        silent: 0,
        shared,
        reporter,
    };
    verifier.reporter.phase("verify");
    verifier.frame().await?;
    let needed = if options.object.is_some() || options.point.is_some() {
        Some(verifier.needed_packs(&scope).await?)
    } else {
        None
    };
    verifier.packs(needed.as_ref()).await?;
    verifier.points(&scope).await?;
    let Verifier {
        mut report, ledger, ..
    } = verifier;
    report.damage = ledger.by_object.into_values().collect();
    Ok(report)
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
    silent: u32,
}

impl Verifier {
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
