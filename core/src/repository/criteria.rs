//! Which recovery points are meant.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nakivo_repo_format::manifest::Outcome;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Manifest, ObjectId, PointId};

use super::shared::Ranks;

/// One criterion for recovery points.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointCriterion {
    /// It is one of these.
    Points(Vec<PointId>),
    /// It is of one of these objects.
    Objects(Vec<ObjectId>),
    /// It is of none of these objects: of those that nobody protects any more, where these are all that somebody does.
    NotOf(Vec<ObjectId>),
    /// Its run began before this time.
    OlderThan(DateTime<Utc>),
    /// It is neither the newest of its object nor the newest complete one.
    AllButLatest,
    /// It is known to be damaged: a verification marked it, and none found it whole since.
    Damaged,
}

/// Which recovery points are meant: all criteria must hold. The default means every point.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PointFilter {
    /// What must hold.
    pub criteria: Vec<PointCriterion>,
}

impl PointFilter {
    /// Adds a criterion.
    #[must_use]
    pub fn with(mut self, criterion: PointCriterion) -> Self {
        self.criteria.push(criterion);
        self
    }

    /// Only points of this object.
    #[must_use]
    pub fn with_object(self, object: ObjectId) -> Self {
        self.with(PointCriterion::Objects(vec![object]))
    }

    /// Only points whose run began before this time.
    #[must_use]
    pub fn with_older_than(self, time: DateTime<Utc>) -> Self {
        self.with(PointCriterion::OlderThan(time))
    }

    /// Only points of objects that are not in this list.
    #[must_use]
    pub fn with_not_of(self, objects: Vec<ObjectId>) -> Self {
        self.with(PointCriterion::NotOf(objects))
    }

    /// Only these points.
    #[must_use]
    pub fn with_points(self, points: Vec<PointId>) -> Self {
        self.with(PointCriterion::Points(points))
    }

    /// Neither the newest point of each object nor its newest complete one.
    #[must_use]
    pub fn with_all_but_latest(self) -> Self {
        self.with(PointCriterion::AllButLatest)
    }

    /// Only points known to be damaged: those that a verification marked and none found whole since.
    #[must_use]
    pub fn with_damaged(self) -> Self {
        self.with(PointCriterion::Damaged)
    }

    /// The points that it names one by one; `None` if it names none.
    pub(super) fn named(&self) -> Option<&[PointId]> {
        self.criteria.iter().find_map(|criterion| match criterion {
            PointCriterion::Points(points) => Some(points.as_slice()),
            _ => None,
        })
    }

    /// The points that it means, in the order of their commits.
    pub(super) fn choose(&self, state: &RepositoryState, ranks: &Ranks) -> Vec<Arc<Manifest>> {
        let latest = if self.criteria.contains(&PointCriterion::AllButLatest) {
            latest(state, ranks)
        } else {
            HashSet::new()
        };
        let takes = |manifest: &Manifest| {
            self.criteria.iter().all(|criterion| match criterion {
                PointCriterion::Points(points) => points.contains(&manifest.id),
                PointCriterion::Objects(objects) => objects.contains(&manifest.object.id),
                PointCriterion::NotOf(objects) => !objects.contains(&manifest.object.id),
                PointCriterion::OlderThan(time) => manifest.started_ms < time.timestamp_millis(),
                PointCriterion::AllButLatest => !latest.contains(&manifest.id),
                PointCriterion::Damaged => state.damaged_points().contains_key(&manifest.id),
            })
        };
        let mut chosen: Vec<Arc<Manifest>> = state
            .points()
            .values()
            .filter(|manifest| takes(manifest))
            .cloned()
            .collect();
        chosen.sort_by_key(|manifest| ranks.rank(&manifest.id));
        chosen
    }
}

/// The newest point of each object, and its newest complete one.
fn latest(state: &RepositoryState, ranks: &Ranks) -> HashSet<PointId> {
    let mut newest: HashMap<(&ObjectId, bool), &Manifest> = HashMap::new();
    for manifest in state.points().values() {
        let complete = manifest.outcome == Outcome::Complete;
        for only_complete in [false, true] {
            if only_complete && !complete {
                continue;
            }
            let known = newest
                .entry((&manifest.object.id, only_complete))
                .or_insert(manifest);
            if ranks.rank(&manifest.id) > ranks.rank(&known.id) {
                *known = manifest;
            }
        }
    }
    newest.into_values().map(|manifest| manifest.id).collect()
}
