//! The plan: each point kept or removed, and why.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::policy::{RetentionError, RetentionPolicy, Rule};
use crate::calendar::{Calendar, Period};

/// How good a recovery point is. Later is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// Verification found damage in it.
    Damaged,
    /// Some items could not be stored; they are in its ledger.
    Partial,
    /// Everything enumerated is stored.
    Complete,
}

impl Quality {
    /// Best first.
    const PASSES: [Self; 3] = [Self::Complete, Self::Partial, Self::Damaged];
}

/// What the owner of a recovery point said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protection {
    /// The policy decides.
    #[default]
    JobRetention,
    /// Never removed by retention.
    Forever,
    /// Not removed before this moment; the policy decides from then on.
    Until(DateTime<Utc>),
}

/// What retention needs to know about a recovery point. `I` is the caller's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point<I> {
    /// The caller's name for it.
    pub id: I,
    /// When it was committed, by the clock that the repository's log recorded; never a time that the source claims.
    pub committed: DateTime<Utc>,
    /// How good it is.
    pub quality: Quality,
    /// What its owner said.
    pub protection: Protection,
}

/// Until when a rule keeps a point, as far as that can be known today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The rule lets it go once this many newer points exist.
    NewerPoints(u32),
    /// The rule lets it go once this many newer periods have a point.
    NewerPeriods {
        /// How many.
        count: u32,
        /// The earliest moment at which that can be so; `None` beyond the end of the calendar.
        not_before: Option<DateTime<Utc>>,
    },
    /// Its period is not over: the next point within it takes its place.
    PeriodStillOpen,
}

/// One reason why a point stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its owner keeps it forever.
    Forever,
    /// Its owner protects it until then.
    Until(DateTime<Utc>),
    /// It is the newest complete point: no policy removes that one.
    NewestComplete,
    /// A rule of the policy keeps it.
    Rule {
        /// Which.
        rule: Rule,
        /// First local date of the period it stands for; `None` for [`Rule::Last`].
        period: Option<NaiveDate>,
        /// Its place among those the rule keeps, 1 for the newest.
        place: u32,
        /// How many the rule keeps.
        of: u32,
        /// The rule counted only points that are at least this good.
        among: Quality,
        /// Until when.
        until: Until,
    },
}

/// A point and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPoint<I> {
    /// The point.
    pub id: I,
    /// Every reason to keep it, each rule at most once. Empty: the point goes.
    pub kept: Vec<Kept>,
}

impl<I> PlannedPoint<I> {
    /// True when nothing keeps the point.
    #[must_use]
    pub fn goes(&self) -> bool {
        self.kept.is_empty()
    }
}

/// What applying a policy would do, point by point, in the order the points were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPlan<I> {
    /// One entry per point.
    pub points: Vec<PlannedPoint<I>>,
}

impl<I> RetentionPlan<I> {
    /// Those that would go, oldest commit first.
    pub fn removed(&self) -> impl Iterator<Item = &I> {
        self.points
            .iter()
            .filter(|point| point.goes())
            .map(|point| &point.id)
    }

    /// Those that stay, oldest commit first.
    pub fn kept(&self) -> impl Iterator<Item = &I> {
        self.points
            .iter()
            .filter(|point| !point.goes())
            .map(|point| &point.id)
    }

    /// Percent of the points that would go, rounded down; 0 without points. A caller asks again above a limit of its own.
    #[must_use]
    pub fn removed_percent(&self) -> usize {
        (self.removed().count() * 100)
            .checked_div(self.points.len())
            .unwrap_or(0)
    }
}

/// Plans retention for the points of one protected object.
///
/// `points` stand in the order of their commits, oldest first. `now` decides only whether a protection has ended and
/// whether a period is still open.
///
/// # Errors
/// Those of [`RetentionPolicy::validate`], and [`RetentionError::TimeOutOfRange`]. An error means that nothing may be removed.
pub fn plan_retention<I: Clone>(
    points: &[Point<I>],
    policy: &RetentionPolicy,
    calendar: &Calendar,
    now: DateTime<Utc>,
) -> Result<RetentionPlan<I>, RetentionError> {
    policy.validate()?;
    let mut kept: Vec<Vec<Kept>> = points.iter().map(|point| protection(point, now)).collect();
    if let Some(newest) = points
        .iter()
        .rposition(|point| point.quality == Quality::Complete)
    {
        kept[newest].push(Kept::NewestComplete);
    }
    for among in Quality::PASSES {
        let good: Vec<usize> = (0..points.len())
            .filter(|&at| points[at].quality >= among)
            .collect();
        for rule in Rule::ALL {
            let Some(of) = policy.keeps(rule) else { continue };
            let chosen = match rule.period() {
                None => newest_points(&good, of),
                Some(period) => newest_periods(points, &good, period, of, calendar, now)?,
            };
            for (place, (at, period, until)) in (1u32..).zip(chosen) {
                // A stricter pass before this one keeps the point at least as long.
                if !kept[at]
                    .iter()
                    .any(|reason| matches!(reason, Kept::Rule { rule: r, .. } if *r == rule))
                {
                    kept[at].push(Kept::Rule {
                        rule,
                        period,
                        place,
                        of,
                        among,
                        until,
                    });
                }
            }
        }
    }
    let points = points.iter().zip(kept).map(|(point, kept)| PlannedPoint {
        id: point.id.clone(),
        kept,
    });
    Ok(RetentionPlan {
        points: points.collect(),
    })
}

fn protection<I>(point: &Point<I>, now: DateTime<Utc>) -> Vec<Kept> {
    match point.protection {
        Protection::Forever => vec![Kept::Forever],
        Protection::Until(end) if now < end => vec![Kept::Until(end)],
        Protection::Until(_) | Protection::JobRetention => Vec::new(),
    }
}

/// Position of a point, the period it stands for, and until when.
type Chosen = (usize, Option<NaiveDate>, Until);

fn newest_points(good: &[usize], of: u32) -> Vec<Chosen> {
    let left = (1..=of).rev();
    good.iter()
        .rev()
        .zip(left)
        .map(|(&at, left)| (at, None, Until::NewerPoints(left)))
        .collect()
}

fn newest_periods<I>(
    points: &[Point<I>],
    good: &[usize],
    period: Period,
    of: u32,
    calendar: &Calendar,
    now: DateTime<Utc>,
) -> Result<Vec<Chosen>, RetentionError> {
    let mut last_of: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for &at in good {
        let start = calendar
            .period_start(period, points[at].committed)
            .ok_or(RetentionError::TimeOutOfRange { position: at })?;
        let last = last_of.entry(start).or_insert(at);
        // On equal times the later commit wins: `good` is in the order of commits.
        if points[at].committed >= points[*last].committed {
            *last = at;
        }
    }
    let Some((&newest, _)) = last_of.last_key_value() else {
        return Ok(Vec::new());
    };
    let open = calendar.period_start(period, now);
    let chosen = last_of
        .iter()
        .rev()
        .zip((1..=of).rev())
        .map(|((&start, &at), count)| {
            let until = if open == Some(start) {
                Until::PeriodStillOpen
            } else {
                let not_before =
                    Calendar::advance(period, newest, count).and_then(|date| calendar.first_moment(date));
                Until::NewerPeriods { count, not_before }
            };
            (at, Some(start), until)
        });
    Ok(chosen.collect())
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerPoints(1) => f.write_str("until there is a newer point"),
            Self::NewerPoints(count) => write!(f, "until there are {count} newer points"),
            Self::NewerPeriods {
                not_before: Some(moment),
                ..
            } => {
                write!(
                    f,
                    "not before {}",
                    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
                )
            }
            Self::NewerPeriods {
                count,
                not_before: None,
            } => write!(f, "for {count} more periods"),
            Self::PeriodStillOpen => f.write_str("until there is a newer point in the same period"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("kept forever by its owner"),
            Self::Until(end) => {
                write!(
                    f,
                    "protected until {}",
                    end.to_rfc3339_opts(SecondsFormat::Secs, true)
                )
            }
            Self::NewestComplete => f.write_str("newest complete point"),
            Self::Rule {
                rule,
                period,
                place,
                of,
                until,
                ..
            } => {
                write!(f, "{rule} {place} of {of}")?;
                if let Some(period) = period {
                    write!(f, " (from {period})")?;
                }
                write!(f, ", {until}")
            }
        }
    }
}
