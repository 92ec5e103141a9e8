//! The policy and what is refused in one.

use std::fmt;

use crate::calendar::Period;

/// Largest number that a rule accepts: a backup holds at most 1,000 recovery points.
pub const MAX_KEEP: u32 = 1_000;

/// How many recovery points to keep; `None` turns a rule off. What any rule keeps is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The last N points. Range 1 to [`MAX_KEEP`]. Default: 10.
    pub last: Option<u32>,
    /// One point a day for N days. Range 1 to [`MAX_KEEP`]. Default: off; 10 when on.
    pub daily: Option<u32>,
    /// One point a week for N weeks. Range 1 to [`MAX_KEEP`]. Default: off; 4 when on.
    pub weekly: Option<u32>,
    /// One point a month for N months. Range 1 to [`MAX_KEEP`]. Default: off; 12 when on.
    pub monthly: Option<u32>,
    /// One point a year for N years. Range 1 to [`MAX_KEEP`]. Default: off; 3 when on.
    pub yearly: Option<u32>,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            last: Some(10),
            daily: None,
            weekly: None,
            monthly: None,
            yearly: None,
        }
    }
}

impl RetentionPolicy {
    /// Every rule on, each with its default number.
    #[must_use]
    pub fn gfs() -> Self {
        Self {
            last: Some(10),
            daily: Some(10),
            weekly: Some(4),
            monthly: Some(12),
            yearly: Some(3),
        }
    }

    /// No rule on. Refused by [`RetentionPolicy::validate`] until one is turned on.
    #[must_use]
    pub fn none() -> Self {
        Self {
            last: None,
            daily: None,
            weekly: None,
            monthly: None,
            yearly: None,
        }
    }

    /// The number that `rule` keeps; `None` when it is off.
    #[must_use]
    pub fn keeps(&self, rule: Rule) -> Option<u32> {
        match rule {
            Rule::Last => self.last,
            Rule::Daily => self.daily,
            Rule::Weekly => self.weekly,
            Rule::Monthly => self.monthly,
            Rule::Yearly => self.yearly,
        }
    }

    /// Refuses a policy that would remove everything, and numbers out of range.
    ///
    /// # Errors
    /// [`RetentionError::OutOfRange`] for a number outside 1 to [`MAX_KEEP`]; [`RetentionError::Empty`] when every rule is off.
    pub fn validate(&self) -> Result<(), RetentionError> {
        let mut any = false;
        for rule in Rule::ALL {
            if let Some(value) = self.keeps(rule) {
                if !(1..=MAX_KEEP).contains(&value) {
                    return Err(RetentionError::OutOfRange {
                        field: rule.field(),
                        value,
                    });
                }
                any = true;
            }
        }
        if any { Ok(()) } else { Err(RetentionError::Empty) }
    }
}

/// One rule of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The last N points in the order of their commits.
    Last,
    /// The last point of each of the last N days.
    Daily,
    /// The last point of each of the last N weeks.
    Weekly,
    /// The last point of each of the last N months.
    Monthly,
    /// The last point of each of the last N years.
    Yearly,
}

impl Rule {
    /// Every rule, from the shortest view to the longest.
    pub const ALL: [Self; 5] = [Self::Last, Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    /// The name of the rule's field in [`RetentionPolicy`], for messages and settings.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// The period that the rule keeps one point of; `None` for [`Rule::Last`].
    #[must_use]
    pub fn period(self) -> Option<Period> {
        match self {
            Self::Last => None,
            Self::Daily => Some(Period::Day),
            Self::Weekly => Some(Period::Week),
            Self::Monthly => Some(Period::Month),
            Self::Yearly => Some(Period::Year),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

/// Why no plan was made. Nothing may be removed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Every rule is off.
    #[error(
        "this policy would remove every recovery point: turn on at least one of last, daily, weekly, monthly, yearly"
    )]
    Empty,
    /// A number that no rule accepts; zero would remove what the rule is there to keep.
    #[error("{field} = {value}: expected 1 to {MAX_KEEP}, or the rule turned off")]
    OutOfRange {
        /// Field of [`RetentionPolicy`].
        field: &'static str,
        /// What it held.
        value: u32,
    },
    /// A point's time does not fit the calendar, so its day, week, month and year are unknown.
    #[error("the recovery point at position {position} has a time that no calendar holds")]
    TimeOutOfRange {
        /// Index into the points given.
        position: usize,
    },
}

impl RetentionError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "policy_would_delete_all",
            Self::OutOfRange { .. } => "policy_out_of_range",
            Self::TimeOutOfRange { .. } => "point_time_out_of_range",
        }
    }
}
