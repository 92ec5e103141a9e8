//! What a recovery would do, before anything is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::StreamExt;
use nakivo_repo_format::ids::PointId;
use nakivo_repo_format::manifest::{Manifest, ObjectRecord};
use nakivo_repo_format::record::{ItemKind, ItemRecord};
use serde::Serialize;

use super::StoredContent;
use super::browse::PointView;
use super::containers::Containers;
use super::select::{ItemWalk, Selection, Step};
use crate::connector::{Connector, Existing, OnConflict, RecoverItem, RecoveryTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::repository::{Repository, Spoiled};

/// Where items are recovered to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// The object they come from.
    #[default]
    Original,
    /// Another object that the connector reaches.
    Object(ObjectRecord),
}

/// What would happen to one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PlannedAction {
    /// Nothing is in its place: it is written.
    Create,
    /// Something else is in its place: it is written under another name.
    Rename {
        /// What differs.
        difference: String,
    },
    /// The same item is there with the same content: nothing to do.
    SkipIdentical,
    /// Something else is in its place and stays.
    SkipExisting {
        /// What differs.
        difference: String,
    },
    /// Something else is in its place and is replaced.
    Overwrite {
        /// The existing item's id at the target, with what tells whether it changed since.
        existing: String,
        /// What differs.
        difference: String,
    },
    /// It cannot be recovered.
    Cannot {
        /// Stable code of the cause.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

/// One item of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedItem {
    /// The item's id in the recovery point.
    pub id: String,
    /// Its container's id.
    pub container: String,
    /// Its path, for people.
    pub path: String,
    /// What it is.
    pub kind: ItemKind,
    /// Size in bytes.
    pub size: u64,
    /// When it is written, as [`RecoveryTarget::stage`] has it; the plan is in this order.
    #[serde(skip)]
    pub stage: u8,
    /// What would happen.
    #[serde(flatten)]
    pub action: PlannedAction,
}

/// How many items of a plan meet which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanCounts {
    /// To be written where nothing is.
    pub create: u64,
    /// To be written under another name.
    pub rename: u64,
    /// To be left alone because they are there already.
    pub skip_identical: u64,
    /// To be left alone because something else is there.
    pub skip_existing: u64,
    /// To replace something.
    pub overwrite: u64,
    /// Not recoverable.
    pub cannot: u64,
    /// Bytes to be written.
    pub bytes: u64,
}

/// What a recovery would do. [`super::apply`] does it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RecoveryPlan {
    /// The recovery point.
    pub point: PointId,
    /// The object of the point.
    pub object: ObjectRecord,
    /// Where to.
    pub target: ObjectRecord,
    /// What was asked for where something exists.
    pub on_conflict: OnConflict,
    /// Each selected item.
    pub items: Vec<PlannedItem>,
}

impl RecoveryPlan {
    /// The items by fate.
    #[must_use]
    pub fn counts(&self) -> PlanCounts {
        let mut counts = PlanCounts::default();
        for item in &self.items {
            let (field, writes) = match &item.action {
                PlannedAction::Create => (&mut counts.create, true),
                PlannedAction::Rename { .. } => (&mut counts.rename, true),
                PlannedAction::SkipIdentical => (&mut counts.skip_identical, false),
                PlannedAction::SkipExisting { .. } => (&mut counts.skip_existing, false),
                PlannedAction::Overwrite { .. } => (&mut counts.overwrite, true),
                PlannedAction::Cannot { .. } => (&mut counts.cannot, false),
            };
            *field += 1;
            if writes {
                counts.bytes = counts.bytes.saturating_add(item.size);
            }
        }
        counts
    }
}

/// Finds out, for each selected item, what a recovery would do. Changes nothing anywhere.
///
/// # Errors
/// From [`Running::wait`]: `InvalidInput` if the connector cannot write, or a selected path is ambiguous; `NotFound` if
/// something selected is not in the point; `Cancelled`; `Unauthorized`; those of the store. What concerns one item is
/// [`PlannedAction::Cannot`].
///
/// # Cancellation
/// At the next await point.
#[must_use]
pub fn plan(
    repository: &Repository,
    point: &Manifest,
    selection: Selection,
    connector: &Arc<dyn Connector>,
    target: Target,
    on_conflict: OnConflict,
) -> Running<RecoveryPlan> {
    let view = PointView::open(repository, point.clone());
    let connector = Arc::clone(connector);
    Running::start(move |reporter| async move {
        let cancelled = reporter.cancellation().clone();
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(Error::cancelled()),
            result = make(view, selection, connector, target, on_conflict, reporter) => result,
        }
    })
}

/// The writing side of a connector.
pub(super) fn writing_side(connector: &dyn Connector) -> Result<&dyn RecoveryTarget> {
    connector.recovery().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the connector '{}' cannot recover", connector.name()),
        )
        .with_hint("Export instead.")
    })
}

/// What the port needs to know about an item.
pub(super) fn recover_item(containers: &Containers, record: ItemRecord) -> RecoverItem {
    let path = containers.chain(&record.container).into_iter().cloned().collect();
    RecoverItem { record, path }
}

/// What came of one step of a walk.
enum Planned {
    Item(Box<PlannedItem>),
    /// It belongs to this stage.
    Later(u8),
    Nothing,
}

impl Planned {
    fn item(item: PlannedItem) -> Self {
        Self::Item(Box::new(item))
    }
}

struct Planner {
    view: PointView,
    selection: Selection,
    connector: Arc<dyn Connector>,
    target: ObjectRecord,
    on_conflict: OnConflict,
    reporter: Reporter,
}

impl Planner {
    /// Plans the items of one stage; returns the later ones that there are.
    async fn stage(&self, stage: u8, items: &mut Vec<PlannedItem>) -> Result<BTreeSet<u8>> {
        let walk = ItemWalk::new(self.view.clone(), &self.selection).await?;
        if walk.is_all() {
            let total = self.view.manifest().counts.items;
            self.reporter
                .update(|progress| progress.items_total = Some(total));
        }
        let containers = Arc::clone(&walk.containers);
        let mut planned = walk
            .into_stream()
            .map(|step| {
                let containers = &containers;
                async move { self.step(containers, stage, step?).await }
            })
            .buffered(self.connector.fetch_concurrency().max(1));
        let mut later = BTreeSet::new();
        while let Some(step) = planned.next().await {
            let step: Result<Planned> = step;
            match step? {
                Planned::Item(item) => {
                    self.reporter.update(|progress| {
                        progress.items_done += 1;
                        progress.failed += u64::from(matches!(item.action, PlannedAction::Cannot { .. }));
                        progress.current = Some(item.path.clone());
                    });
                    items.push(*item);
                }
                Planned::Later(of) if of > stage => drop(later.insert(of)),
                Planned::Later(_) | Planned::Nothing => {}
            }
        }
        Ok(later)
    }

    async fn step(&self, containers: &Containers, stage: u8, step: Step) -> Result<Planned> {
        let connector = &*self.connector;
        match step {
            Step::Item(record) => {
                let of = writing_side(connector)?.stage(&record);
                if of != stage {
                    return Ok(Planned::Later(of));
                }
                plan_item(
                    &self.view,
                    containers,
                    connector,
                    &self.target,
                    self.on_conflict,
                    *record,
                )
                .await
                .map(Planned::item)
            }
            // Once is enough.
            _ if stage > 0 => Ok(Planned::Nothing),
            Step::Container { .. } => Ok(Planned::Nothing),
            Step::Damaged { container, error } => {
                Ok(Planned::item(damaged_listing(containers, container, &error)))
            }
            Step::Spoiled(spoiled) => Ok(Planned::item(spoiled_item(containers, spoiled))),
        }
    }
}

async fn make(
    view: PointView,
    selection: Selection,
    connector: Arc<dyn Connector>,
    target: Target,
    on_conflict: OnConflict,
    reporter: Reporter,
) -> Result<RecoveryPlan> {
    writing_side(&*connector)?;
    let object = view.manifest().object.clone();
    let target = match target {
        Target::Original => object.clone(),
        Target::Object(target) => target,
    };
    reporter.phase("plan");
    let mut items = Vec::new();
    // What stands in the place of an item may show only when the items of earlier stages were looked for. Most targets have
    // one stage; for each further one the listing is walked again.
    let mut stages = BTreeSet::from([0]);
    let planner = Planner {
        view,
        selection,
        connector,
        target,
        on_conflict,
        reporter,
    };
    while let Some(stage) = stages.pop_first() {
        stages.extend(planner.stage(stage, &mut items).await?);
    }
    let Planner { view, target, .. } = planner;
    Ok(RecoveryPlan {
        point: view.manifest().id,
        object,
        target,
        on_conflict,
        items,
    })
}

fn cannot(error: &Error) -> PlannedAction {
    PlannedAction::Cannot {
        code: error.code().to_owned(),
        reason: error.message().to_owned(),
    }
}

/// A container of which not all items are known.
fn damaged_listing(containers: &Containers, container: String, error: &Error) -> PlannedItem {
    let path = containers.path(&container);
    let parent = containers
        .get(&container)
        .map(|record| record.container.clone())
        .unwrap_or_default();
    PlannedItem {
        id: container,
        container: parent,
        path,
        kind: ItemKind::Container,
        size: 0,
        stage: 0,
        action: cannot(error),
    }
}

/// An item or container of which nothing is known but its id.
fn spoiled_item(containers: &Containers, spoiled: Spoiled) -> PlannedItem {
    PlannedItem {
        path: containers.path_of_spoiled(&spoiled),
        kind: spoiled.listed_as(),
        size: 0,
        stage: 0,
        action: cannot(&spoiled.error),
        id: spoiled.id,
        container: spoiled.container,
    }
}

async fn plan_item(
    view: &PointView,
    containers: &Containers,
    connector: &dyn Connector,
    target: &ObjectRecord,
    on_conflict: OnConflict,
    record: ItemRecord,
) -> Result<PlannedItem> {
    let path = containers.path_of(&record);
    let content = StoredContent {
        repository: view.repository().clone(),
        record: record.clone(),
    };
    let (id, container, kind, size) = (
        record.id.clone(),
        record.container.clone(),
        record.kind,
        record.size,
    );
    let item = recover_item(containers, record);
    let stage = writing_side(connector)?.stage(&item.record);
    let existing = writing_side(connector)?
        .find_existing(target, &item, &content)
        .await;
    let action = match (existing, on_conflict) {
        (Ok(Existing::Absent), _) => PlannedAction::Create,
        (Ok(Existing::Identical { .. }), _) => PlannedAction::SkipIdentical,
        (Ok(Existing::Differs { difference, .. }), OnConflict::Rename) => {
            PlannedAction::Rename { difference }
        }
        (Ok(Existing::Differs { difference, .. }), OnConflict::Skip) => {
            PlannedAction::SkipExisting { difference }
        }
        (Ok(Existing::Differs { id, difference }), OnConflict::Overwrite) => PlannedAction::Overwrite {
            existing: id,
            difference,
        },
        (Err(error), _) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Cancelled) => {
            return Err(error);
        }
        (Err(error), _) => cannot(&error),
    };
    Ok(PlannedItem {
        id,
        container,
        path,
        kind,
        size,
        stage,
        action,
    })
}
