//! Healing: what can be rebuilt is rebuilt, what somebody still has is stored again, and the rest is listed.
//!
//! In this order, each step whole by itself, so that a process may end after any of them:
//! 1. The log. Where a commit is lost, a checkpoint takes the place of the history up to there. What the lost commit said is
//!    not invented: it is told as lost.
//! 2. The index, from the directories of the packs. Packs that the log removed stay removed.
//! 3. Checkpoints that cannot be read are replaced by one that can.
//! 4. Everything is verified and what is damaged is written into the log: from then on nothing relies on it.
//! 5. Damaged content is stored again where a source has it. Chunks bear the keyed hash of their bytes, so nothing but the very
//!    same bytes can take the place of what is lost.
//! 6. The points are looked at again, and the log is told what is still damaged and what is whole.
//! 7. Packs that are damaged and of which everything needed is elsewhere now are tombstoned, as reclaim does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use nakivo_repo_format::log::Operation;
use nakivo_repo_format::{Manifest, PackId, PointId, RunId};
use serde::Serialize;

use super::reclaim::retire;
use super::shared::Shared;
use super::verify::{Damage, Known, Looked, VerifyOptions, look, recheck};
use super::{LogDamage, Repository};
use crate::error::{ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::seams::random_bytes;

mod frame;
mod restore;
mod source;

pub use source::{ConnectorSource, HealSource, RepositorySource, Wanted};

use restore::Restorer;

/// Rounds of looking and restoring. More are needed only where more items are damaged than are listed at once.
const MAX_ROUNDS: u32 = 1000;

/// How a repository is healed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct HealOptions {
    /// Who may still have damaged content; asked in this order. Default: nobody.
    pub sources: Vec<Arc<dyn HealSource>>,
    /// Only say what would be done. Default: `false`.
    pub preview: bool,
}

impl HealOptions {
    /// Asks this source, too.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn HealSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// Only says what would be done.
    #[must_use]
    pub fn with_preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }
}

/// What healing found and did, or with a preview would do.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct HealReport {
    /// Whether it only looked.
    pub preview: bool,
    /// History that cannot be read and is given up: what these commits said is lost.
    pub lost_history: Vec<LogDamage>,
    /// The commit at which history goes on behind what was lost.
    pub history_continues_at: Option<u64>,
    /// Index segments that were lost or damaged and are replaced.
    pub replaced_segments: u64,
    /// Packs that are listed anew.
    pub indexed_packs: u64,
    /// Checkpoints that could not be read and were replaced or removed.
    pub replaced_checkpoints: u64,
    /// Items that could not be read, each once however many points share it.
    pub damaged_items: u64,
    /// Parts of items that were stored again.
    pub restored_parts: u64,
    /// Their bytes.
    pub restored_bytes: u64,
    /// What still cannot be read, with the items that need it; it is left where it is.
    pub quarantined: Vec<Damage>,
    /// Points that cannot be read in full.
    pub damaged_points: BTreeSet<PointId>,
    /// Points that were known to be damaged and are whole.
    pub healed_points: BTreeSet<PointId>,
    /// Damaged packs that nothing needs any more; reclaim deletes them.
    pub retired_packs: u64,
}

impl HealReport {
    /// Whether every point can be read in full, and no history was lost.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged_points.is_empty() && self.quarantined.is_empty() && self.lost_history.is_empty()
    }

    /// Whether there was anything to do.
    #[must_use]
    pub fn found_nothing(&self) -> bool {
        self.is_whole()
            && self.replaced_segments == 0
            && self.indexed_packs == 0
            && self.replaced_checkpoints == 0
            && self.damaged_items == 0
            && self.healed_points.is_empty()
            && self.retired_packs == 0
    }
}

impl Repository {
    /// Heals the repository. Backups, recoveries and reclaim may go on meanwhile. A healthy repository is left as it is.
    ///
    /// Where history was lost, other machines that saw it will say so when they open the repository.
    ///
    /// # Errors
    /// Through the handle: `Busy` if others commit all the time; `Conflict` if reclaim took what this call stored for a leftover,
    /// with a grace period shorter than this call takes; `Cancelled`; what makes a source as a whole unusable; those of
    /// the store. What was healed before stays healed.
    ///
    /// # Cancellation
    /// Safe at any moment. A later call does what is left.
    pub fn heal(&self, options: HealOptions) -> Running<HealReport> {
        let repository = self.clone();
        Running::start(move |reporter| async move { run(&repository, &options, &reporter).await })
    }
}

async fn run(repository: &Repository, options: &HealOptions, reporter: &Reporter) -> Result<HealReport> {
    let shared = &repository.shared;
    let mut report = HealReport {
        preview: options.preview,
        ..HealReport::default()
    };
    reporter.phase("log");
    if shared.view().log_damage.is_empty() {
        repository.refresh().await?;
    }
    let marked: BTreeSet<PointId> = shared.view().state.damaged_points().keys().copied().collect();
    frame::log(shared, options.preview, &mut report).await?;
    reporter.phase("index");
    frame::index(shared, options.preview, &mut report).await?;
    frame::checkpoints(shared, options.preview, &mut report).await?;
    let known = content(repository, options, reporter, &mut report).await?;
    report.healed_points = marked
        .iter()
        .filter(|point| known.whole.contains(*point))
        .copied()
        .collect();
    reporter.phase("retire");
    let packs: BTreeSet<PackId> = known
        .bad
        .keys()
        .chain(&known.changed)
        .filter(|pack| shared.index().shows_pack(pack))
        .copied()
        .collect();
    if !packs.is_empty() {
        match retire(repository, packs, options.preview, reporter).await {
            Ok(retired) => report.retired_packs = retired.unused_packs + retired.rewritten_packs,
            // As long as a tree cannot be read nobody knows what else is needed: everything stays.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::info!(%error, "damaged packs stay");
            }
            Err(error) => return Err(error),
        }
    }
    if options.preview {
        shared.know_damage(&shared.view().state);
    }
    Ok(report)
}

/// Steps four to six.
async fn content(
    repository: &Repository,
    options: &HealOptions,
    reporter: &Reporter,
    report: &mut HealReport,
) -> Result<Known> {
    let shared = &repository.shared;
    let can_write = !options.preview && shared.view().log_damage.is_empty();
    let Looked {
        report: mut found,
        mut known,
        mut lost,
    } = look(Arc::clone(shared), VerifyOptions::passing(), reporter.clone()).await?;
    report.damaged_items = lost.prints.len() as u64;
    for _ in 0..MAX_ROUNDS {
        if can_write {
            known.record(shared).await?;
        } else {
            known.tell(shared);
        }
        if lost.items.is_empty() && known.points.is_empty() {
            break;
        }
        reporter.phase("restore");
        let before = lost.prints.len();
        let more = lost.has_more();
        restore(repository, options, can_write, &lost.items, reporter, report).await?;
        if !can_write {
            break;
        }
        reporter.phase("check");
        let points = known.points.keys().copied().collect();
        let again = recheck(shared, &points, &known, &lost, reporter).await?;
        let whole = std::mem::take(&mut known.whole);
        (found, known, lost) = (again.report, again.known, again.lost);
        known.whole.extend(whole);
        if !more || lost.prints.len() >= before {
            known.record(shared).await?;
            break;
        }
    }
    report.quarantined = found
        .damage
        .into_iter()
        .filter(|damage| damage.affected_count > 0)
        .collect();
    report.damaged_points = known.points.keys().copied().collect();
    Ok(known)
}

/// Stores again what the sources have of these items, and announces it.
async fn restore(
    repository: &Repository,
    options: &HealOptions,
    can_write: bool,
    items: &[super::verify::LostItem],
    reporter: &Reporter,
    report: &mut HealReport,
) -> Result<()> {
    let shared = &repository.shared;
    if options.sources.is_empty() {
        return Ok(());
    }
    let run = RunId::from_random_bytes(random_bytes(&*shared.env.rng)?);
    let writer = repository.writer(run);
    let mut restorer = Restorer {
        shared,
        sources: &options.sources,
        writer: can_write.then_some(&writer),
        found: HashSet::new(),
    };
    let view = shared.view();
    let mut manifests: BTreeMap<PointId, Arc<Manifest>> = BTreeMap::new();
    reporter.update(|progress| progress.items_total = Some(items.len() as u64));
    for item in items {
        reporter.check()?;
        if let Some(manifest) = view.state.point(&item.point) {
            let manifest = manifests
                .entry(item.point)
                .or_insert_with(|| Arc::clone(manifest));
            let restored = restorer.item(manifest, item).await?;
            report.restored_parts += restored.parts;
            report.restored_bytes += restored.bytes;
        }
        reporter.update(|progress| progress.items_done += 1);
    }
    if can_write {
        announce(shared, &writer).await?;
    }
    Ok(())
}

async fn announce(shared: &Arc<Shared>, writer: &super::Writer) -> Result<()> {
    let segments = writer.flush().await?;
    shared
        .commit_if_any(|state| {
            let new: Vec<_> = segments
                .iter()
                .filter(|segment| !state.segments().contains_key(&segment.id))
                .copied()
                .collect();
            Ok(if new.is_empty() {
                Vec::new()
            } else {
                vec![Operation::AddIndex { segments: new }]
            })
        })
        .await?;
    Ok(())
}
