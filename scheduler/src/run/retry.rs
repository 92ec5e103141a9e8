//! How often a failed object is tried again.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Automatic retries of failed objects. Turned off by leaving it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct RetryPolicy {
    form: Form,
}

/// The external form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    times: i64,
    every_minutes: i64,
    critical: bool,
}

/// A number that a retry policy does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: expected {least} to {most}")]
pub struct RetryError {
    /// The field.
    pub field: &'static str,
    /// What it held.
    pub value: i64,
    /// Least allowed.
    pub least: i64,
    /// Most allowed.
    pub most: i64,
}

impl Default for RetryPolicy {
    /// 3 more tries, 15 minutes apart, not after critical errors.
    fn default() -> Self {
        let form = Form {
            times: 3,
            every_minutes: 15,
            critical: false,
        };
        Self { form }
    }
}

impl RetryPolicy {
    /// `times` more tries (range 2 to 10), `every_minutes` apart (1 to 60), after `critical` errors, too, or not.
    ///
    /// # Errors
    /// [`RetryError`] for the first number that is out of range.
    pub fn new(times: i64, every_minutes: i64, critical: bool) -> Result<Self, RetryError> {
        for (field, value, least, most) in [("times", times, 2, 10), ("every_minutes", every_minutes, 1, 60)]
        {
            if !(least..=most).contains(&value) {
                return Err(RetryError {
                    field,
                    value,
                    least,
                    most,
                });
            }
        }
        Ok(Self {
            form: Form {
                times,
                every_minutes,
                critical,
            },
        })
    }

    /// How many more tries there are.
    #[must_use]
    pub fn times(&self) -> i64 {
        self.form.times
    }

    /// Whether there are more tries after critical errors, too.
    #[must_use]
    pub fn after_critical(&self) -> bool {
        self.form.critical
    }

    /// Time between the end of a try and the next one.
    #[must_use]
    pub fn interval(&self) -> TimeDelta {
        TimeDelta::minutes(self.form.every_minutes)
    }

    /// True when an object of which `tries` tries have failed, the last one critically or not, is tried again.
    #[must_use]
    pub fn allows(&self, tries: u32, critical: bool) -> bool {
        // The first try is none of the retries.
        i64::from(tries) <= self.form.times && (self.form.critical || !critical)
    }
}

impl TryFrom<Form> for RetryPolicy {
    type Error = RetryError;

    fn try_from(form: Form) -> Result<Self, RetryError> {
        Self::new(form.times, form.every_minutes, form.critical)
    }
}

impl From<RetryPolicy> for Form {
    fn from(policy: RetryPolicy) -> Self {
        policy.form
    }
}
