//! Numbers that hold for every job of a director.

use nakivo_scheduler::admission::Limits;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Numbers that hold for every job of a director. Plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DirectorSettings {
    /// How many tasks run at once. Default: 6, and an object in one job at a time.
    pub limits: Limits,
    /// Days for which history is kept. Range 5 to 90. Default: 30.
    pub history_days: u32,
    /// How often, in seconds, the director looks whether jobs were changed by somebody else and whether the clock jumped. Range
    /// 1 to 86,400. Default: 30.
    pub look_every_seconds: u64,
}

impl Default for DirectorSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            history_days: 30,
            look_every_seconds: 30,
        }
    }
}

impl DirectorSettings {
    /// Sets [`DirectorSettings::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`DirectorSettings::history_days`].
    #[must_use]
    pub fn with_history_days(mut self, days: u32) -> Self {
        self.history_days = days;
        self
    }

    /// Sets [`DirectorSettings::look_every_seconds`].
    #[must_use]
    pub fn with_look_every_seconds(mut self, seconds: u64) -> Self {
        self.look_every_seconds = seconds;
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !(5..=90).contains(&self.history_days) {
            return Err(Error::invalid("history_days", self.history_days, "5 to 90"));
        }
        if !(1..=86_400).contains(&self.look_every_seconds) {
            return Err(Error::invalid(
                "look_every_seconds",
                self.look_every_seconds,
                "1 to 86,400",
            ));
        }
        Ok(())
    }
}
