//! Carries out a plan.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use nakivo_repo_format::ids::PointId;
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_repo_format::tree::ItemKey;
use serde::Serialize;
use tokio::sync::Mutex;

use super::browse::PointView;
use super::containers::Containers;
use super::plan::{PlannedAction, PlannedItem, RecoveryPlan, recover_item, writing_side};
use super::{Outcome, StoredContent};
use crate::connector::{Connector, RecoverAction, Recovered, Settled};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Event, Reporter, Running};
use crate::repository::{PointSelector, Repository};

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is at the target.
    Recovered(Recovered),
    /// It was left alone, as planned.
    Skipped {
        /// Why, for people.
        why: String,
    },
    /// It could not be recovered; what was there before is untouched.
    Failed {
        /// Stable code of the cause.
        code: String,
        /// One line for people.
        message: String,
    },
}

/// One line of a recovery's report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemResult {
    /// The item's id in the recovery point.
    pub id: String,
    /// Its container's id there.
    pub container: String,
    /// Its path there, for people.
    pub path: String,
    /// What became of it.
    pub outcome: ItemOutcome,
}

/// What a recovery did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// [`Outcome::Partial`] if an item failed.
    pub outcome: Outcome,
    /// The recovery point.
    pub point: PointId,
    /// Where to.
    pub target: ObjectRecord,
    /// The counts of [`RecoveryReport::items`].
    pub counts: RecoveryCounts,
    /// Each planned item, in the order of the plan.
    pub items: Vec<ItemResult>,
}

/// How many items of a recovery met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecoveryCounts {
    /// At the target now.
    pub recovered: u64,
    /// Left alone, as planned.
    pub skipped: u64,
    /// Not recovered.
    pub failed: u64,
    /// Bytes of the recovered items.
    pub bytes: u64,
}

/// Carries out a plan: each item on its own, going on past failures. Repeating it is safe: what is there already is found
/// and not made twice.
///
/// # Errors
/// From [`Running::wait`]: `Conflict` if the plan's recovery point is gone; `InvalidInput` if the connector cannot write;
/// `Cancelled`; `Unauthorized`; `StorageFull`. What concerns one item is in the report.
///
/// # Cancellation
/// At the next await point. Items recovered so far stay; a temporary file may stay beside them.
#[must_use]
pub fn apply(
    repository: &Repository,
    plan: RecoveryPlan,
    connector: &Arc<dyn Connector>,
) -> Running<RecoveryReport> {
    let (repository, connector) = (repository.clone(), Arc::clone(connector));
    Running::start(move |reporter| async move {
        let cancelled = reporter.cancellation().clone();
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(Error::cancelled()),
            result = carry_out(repository, plan, connector, reporter) => result,
        }
    })
}

struct Job {
    view: PointView,
    containers: Arc<Containers>,
    connector: Arc<dyn Connector>,
    target: ObjectRecord,
    /// Containers made sure of, by their id in the point. The lock also keeps two items from making one twice.
    ensured: Mutex<HashMap<String, String>>,
}

async fn carry_out(
    repository: Repository,
    plan: RecoveryPlan,
    connector: Arc<dyn Connector>,
    reporter: Reporter,
) -> Result<RecoveryReport> {
    writing_side(&*connector)?;
    let selector = PointSelector::Id(plan.point.to_string());
    let point = repository
        .point(&plan.object.id, &selector)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::Conflict,
                "the recovery point of this plan is no longer there",
            )
            .with_hint("Plan again."),
            _ => error,
        })?;
    let view = PointView::open(&repository, point);
    let containers = view.containers().await?;
    reporter.phase("recover");
    let (total, bytes) = (plan.items.len() as u64, plan.counts().bytes);
    reporter.update(|progress| (progress.items_total, progress.bytes_total) = (Some(total), Some(bytes)));
    let concurrency = connector.fetch_concurrency().max(1);
    let job = Job {
        view,
        containers,
        connector,
        target: plan.target.clone(),
        ensured: Mutex::default(),
    };
    let mut items = Vec::with_capacity(plan.items.len());
    let mut counts = RecoveryCounts::default();
    let mut rest = plan.items;
    while let Some(stage) = rest.first().map(|item| item.stage) {
        let later = rest.split_off(rest.partition_point(|item| item.stage <= stage));
        let first = items.len();
        let job = &job;
        let mut results = stream::iter(std::mem::replace(&mut rest, later))
            .map(|item| async move {
                let outcome = job.item(&item).await?;
                Ok::<_, Error>((item, outcome))
            })
            .buffered(concurrency);
        while let Some(result) = results.next().await {
            let (item, outcome) = result?;
            match &outcome {
                ItemOutcome::Recovered(_) => {
                    counts.recovered += 1;
                    counts.bytes = counts.bytes.saturating_add(item.size);
                }
                ItemOutcome::Skipped { .. } => counts.skipped += 1,
                ItemOutcome::Failed { code, message } => {
                    counts.failed += 1;
                    let (path, code, message) = (item.path.clone(), code.clone(), message.clone());
                    reporter.event(Event::Issue { path, code, message });
                }
            }
            reporter.update(|progress| {
                progress.items_done += 1;
                progress.bytes_done = counts.bytes;
                progress.failed = counts.failed;
                progress.current = Some(item.path.clone());
            });
            items.push(ItemResult {
                id: item.id,
                container: item.container,
                path: item.path,
                outcome,
            });
        }
        drop(results);
        let settled = writing_side(&*job.connector)?.settle(&job.target).await;
        settle(&mut items[first..], settled, &mut counts, &reporter);
    }
    let outcome = if counts.failed == 0 {
        Outcome::Complete
    } else {
        Outcome::Partial
    };
    Ok(RecoveryReport {
        outcome,
        point: plan.point,
        target: plan.target,
        counts,
        items,
    })
}

/// Takes over what became of items after all of their stage were written.
fn settle(items: &mut [ItemResult], settled: Vec<Settled>, counts: &mut RecoveryCounts, reporter: &Reporter) {
    let mut by_id: HashMap<String, Vec<Result<Vec<String>>>> = HashMap::new();
    for one in settled {
        by_id.entry(one.id).or_default().push(one.lost);
    }
    for item in items {
        let ItemOutcome::Recovered(recovered) = &mut item.outcome else {
            continue;
        };
        for lost in by_id.remove(&recovered.id).unwrap_or_default() {
            match lost {
                Ok(lost) => {
                    if let ItemOutcome::Recovered(recovered) = &mut item.outcome {
                        recovered.not_carried.extend(lost);
                    }
                }
                Err(error) => {
                    if matches!(item.outcome, ItemOutcome::Recovered(_)) {
                        counts.recovered -= 1;
                        counts.failed += 1;
                    }
                    let (code, message) = (error.code().to_owned(), error.message().to_owned());
                    reporter.event(Event::Issue {
                        path: item.path.clone(),
                        code: code.clone(),
                        message: message.clone(),
                    });
                    item.outcome = ItemOutcome::Failed { code, message };
                }
            }
        }
    }
}

impl Job {
    /// What becomes of one item. An error is one that makes the rest pointless.
    async fn item(&self, item: &PlannedItem) -> Result<ItemOutcome> {
        let skipped = |why: String| Ok(ItemOutcome::Skipped { why });
        let action = match &item.action {
            PlannedAction::Create => RecoverAction::Create,
            PlannedAction::Rename { .. } => RecoverAction::CreateRenamed,
            PlannedAction::Overwrite { existing, .. } => RecoverAction::Replace {
                existing: existing.clone(),
            },
            PlannedAction::SkipIdentical => return skipped("it is there with the same content".to_owned()),
            PlannedAction::SkipExisting { difference } => {
                return skipped(format!("another is there: {difference}"));
            }
            PlannedAction::Cannot { code, reason } => {
                return Ok(ItemOutcome::Failed {
                    code: code.clone(),
                    message: reason.clone(),
                });
            }
        };
        match self.recover(item, action).await {
            Ok(recovered) => Ok(ItemOutcome::Recovered(recovered)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unauthorized | ErrorKind::Cancelled | ErrorKind::StorageFull
                ) =>
            {
                Err(error)
            }
            Err(error) => Ok(ItemOutcome::Failed {
                code: error.code().to_owned(),
                message: error.message().to_owned(),
            }),
        }
    }

    async fn recover(&self, item: &PlannedItem, action: RecoverAction) -> Result<Recovered> {
        let key = ItemKey::item(item.container.as_str(), item.id.as_str())
            .map_err(|_| Error::invalid("item id", item.id.escape_debug(), "an id of the recovery point"))?;
        let record = self.view.entry(&key).await?.record;
        let target = writing_side(&*self.connector)?;
        let content = StoredContent {
            repository: self.view.repository().clone(),
            record: record.clone(),
        };
        let item = recover_item(&self.containers, record);
        let container = {
            let mut ensured = self.ensured.lock().await;
            match ensured.get(&item.record.container) {
                Some(container) => container.clone(),
                None => {
                    let container = target.ensure_container(&self.target, &item.path).await?;
                    ensured.insert(item.record.container.clone(), container.clone());
                    container
                }
            }
        };
        target
            .recover(&self.target, &container, &item, &content, action)
            .await
    }
}
