//! Retention: which recovery points of an object a policy keeps and why, and removing the others.
//!
//! The rules are those of `nakivo-scheduler`, which knows nothing of repositories; here they meet the points.

use chrono::{DateTime, Utc};
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::{self, Outcome};
use nakivo_repo_format::{Manifest, ObjectId, PointId};
pub use nakivo_scheduler::calendar::Calendar;
pub use nakivo_scheduler::chrono::Weekday;
pub use nakivo_scheduler::chrono_tz::Tz;
pub use nakivo_scheduler::retention::{
    Kept, MAX_KEEP, PlannedPoint, Quality, RetentionError, RetentionPlan, RetentionPolicy, Rule, Until,
};
use nakivo_scheduler::retention::{Point, Protection, plan_retention};

use crate::error::{Error, ErrorKind, Result};
use crate::repository::Repository;

/// What applying a policy did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedRetention {
    /// What became of each point and why, in the order of their commits.
    pub plan: RetentionPlan<PointId>,
    /// Number of the commit that removed points; `None` when all stay.
    pub commit: Option<u64>,
}

impl Repository {
    /// Says which recovery points of an object the policy keeps, why and until when. Removes nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a policy that keeps nothing or a number out of range; `NotFound` for an object without points;
    /// `Corrupt` for a point whose time is beyond the calendar.
    pub fn plan_retention(
        &self,
        object: &ObjectId,
        policy: &RetentionPolicy,
        calendar: &Calendar,
    ) -> Result<RetentionPlan<PointId>> {
        let points = self.points(object);
        if points.is_empty() {
            return Err(Error::not_found("recovery points of object", object));
        }
        let damaged = |point: &PointId| self.point_damage(point).is_some();
        let immutable = |point: &Manifest| self.immutable_until(point);
        let now = self.environment().clock.now();
        plan(&points, damaged, immutable, policy, calendar, now)
    }

    /// Removes the recovery points of an object that nothing keeps, all in one commit. What only they needed is freed by
    /// [`Repository::reclaim`].
    ///
    /// The plan is made again of whatever state the commit follows, so a point that came or was protected meanwhile counts.
    ///
    /// # Errors
    /// As [`Repository::plan_retention`] and [`Repository::commit`]; then nothing is removed.
    pub async fn apply_retention(
        &self,
        object: &ObjectId,
        policy: &RetentionPolicy,
        calendar: &Calendar,
    ) -> Result<AppliedRetention> {
        self.refresh().await?;
        let committed = self
            .shared
            .commit_if(|_| {
                let plan = self.plan_retention(object, policy, calendar)?;
                let points: Vec<PointId> = plan.removed().copied().collect();
                if points.is_empty() {
                    return Ok(None);
                }
                let operation = Operation::RemovePoints {
                    points,
                    reason: "retention".to_owned(),
                };
                Ok(Some((vec![operation], plan)))
            })
            .await?;
        Ok(match committed {
            Some((seq, plan)) => AppliedRetention {
                plan,
                commit: Some(seq),
            },
            None => AppliedRetention {
                plan: self.plan_retention(object, policy, calendar)?,
                commit: None,
            },
        })
    }
}

fn plan(
    manifests: &[Manifest],
    damaged: impl Fn(&PointId) -> bool,
    immutable_until: impl Fn(&Manifest) -> Option<DateTime<Utc>>,
    policy: &RetentionPolicy,
    calendar: &Calendar,
    now: DateTime<Utc>,
) -> Result<RetentionPlan<PointId>> {
    let time = |milliseconds: i64, id: PointId| {
        DateTime::from_timestamp_millis(milliseconds).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("recovery point {id}: a time beyond the calendar: {milliseconds} ms"),
            )
        })
    };
    let points: Vec<Point<PointId>> = manifests
        .iter()
        .map(|manifest| {
            Ok(Point {
                id: manifest.id,
                committed: time(manifest.finished_ms, manifest.id)?,
                quality: match manifest.outcome {
                    // What cannot be read in full must not take the place of a point that can.
                    _ if damaged(&manifest.id) => Quality::Damaged,
                    Outcome::Complete => Quality::Complete,
                    _ => Quality::Partial,
                },
                protection: match (manifest.protection, immutable_until(manifest)) {
                    (manifest::Protection::JobRetention, None) => Protection::JobRetention,
                    (manifest::Protection::JobRetention, Some(locked)) => Protection::Until(locked),
                    (manifest::Protection::Until(until), locked) => {
                        let until = time(until, manifest.id)?;
                        Protection::Until(locked.map_or(until, |locked| locked.max(until)))
                    }
                    // Also what a newer version means by it: then it is not ours to remove.
                    _ => Protection::Forever,
                },
            })
        })
        .collect::<Result<_>>()?;
    plan_retention(&points, policy, calendar, now)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error))
}
