//! Request budgets: how many requests may be under way, what they may cost, and when a throttled scope may speak again.
//!
//! One governor serves every job of a process that shares a connector. Outlook allows four requests at once for each app
//! and mailbox (contract 5.2); OneDrive and SharePoint count resource units for each app and organisation (contract 5.3).
//! A 429 silences the whole scope until its `Retry-After` has passed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nakivo_core::seams::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests under way at once in one mailbox. Source: Outlook service limits.
pub(crate) const MAILBOX_SLOTS: u32 = 4;
/// Requests under way at once to all drives: enough to keep the units busy, few enough for memory.
const FILES_SLOTS: u32 = 12;
/// The time in which units are counted. A second longer than the service's, whose clock is not ours.
const UNITS_WINDOW: Duration = Duration::from_secs(61);

/// What shares one budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The directory: users and the organisation.
    Directory,
    /// One mailbox, by the id of its user.
    Mailbox(Arc<str>),
    /// All drives and sites of the organisation.
    Files,
}

impl Scope {
    fn slots(&self) -> u32 {
        match self {
            Self::Directory | Self::Mailbox(_) => MAILBOX_SLOTS,
            Self::Files => FILES_SLOTS,
        }
    }
}

/// Units spent in the last minute.
#[derive(Debug)]
struct Units {
    /// In one window; none for no limit of our own.
    limit: Option<u32>,
    spent: VecDeque<(Duration, u32)>,
    sum: u32,
}

impl Units {
    /// Spends units now, or says until when to wait.
    fn spend(&mut self, now: Duration, cost: u32) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        while let Some((at, units)) = self.spent.front().copied()
            && at + UNITS_WINDOW <= now
        {
            self.spent.pop_front();
            self.sum -= units;
        }
        // What costs more than the whole budget goes when nothing else was spent.
        if self.sum > 0 && self.sum.saturating_add(cost) > limit {
            return Err(self.spent.front().map_or(now, |(at, _)| *at + UNITS_WINDOW));
        }
        self.spent.push_back((now, cost));
        self.sum += cost;
        Ok(())
    }
}

#[derive(Debug)]
struct Budget {
    slots: Arc<Semaphore>,
    /// On the monotonic clock: nothing is sent before.
    silent_until: Mutex<Duration>,
    units: Mutex<Units>,
}

/// Hands out slots and keeps fences.
#[derive(Debug)]
pub(crate) struct Governor {
    clock: Arc<dyn Clock>,
    units_per_minute: Option<u32>,
    budgets: Mutex<HashMap<Scope, Arc<Budget>>>,
}

impl Governor {
    /// `units_per_minute`: what calls about drives may cost; none for no limit but the service's.
    pub(crate) fn new(clock: Arc<dyn Clock>, units_per_minute: Option<u32>) -> Self {
        Self {
            clock,
            units_per_minute,
            budgets: Mutex::new(HashMap::new()),
        }
    }

    fn budget(&self, scope: &Scope) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(budgets.entry(scope.clone()).or_insert_with(|| {
            Arc::new(Budget {
                slots: Arc::new(Semaphore::new(scope.slots() as usize)),
                silent_until: Mutex::new(Duration::ZERO),
                units: Mutex::new(Units {
                    limit: self.units_per_minute.filter(|_| *scope == Scope::Files),
                    spent: VecDeque::new(),
                    sum: 0,
                }),
            })
        }))
    }

    /// Waits for `slots` of the scope, until its fence has passed and until its units allow `units` more. The slots are
    /// free again when the permit drops.
    pub(crate) async fn enter(&self, scope: &Scope, slots: u32, units: u32) -> Option<OwnedSemaphorePermit> {
        let budget = self.budget(scope);
        // The semaphore is never closed, so the error cannot happen; without a permit we would still be correct.
        let permit = Arc::clone(&budget.slots)
            .acquire_many_owned(slots.clamp(1, scope.slots()))
            .await
            .ok();
        loop {
            let until = *budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.monotonic();
            let wait = if now < until {
                until - now
            } else {
                let spent = budget
                    .units
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .spend(now, units);
                match spent {
                    Ok(()) => return permit,
                    Err(until) => until.saturating_sub(now),
                }
            };
            self.clock.sleep(wait).await;
        }
    }

    /// Nothing of this scope is sent for `wait` from now on.
    pub(crate) fn silence(&self, scope: &Scope, wait: Duration) {
        let until = self.clock.monotonic() + wait;
        let budget = self.budget(scope);
        let mut silent = budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        *silent = (*silent).max(until);
    }

    /// The service named its limit of units per minute: it knows better.
    pub(crate) fn learn(&self, scope: &Scope, limit: u32) {
        let budget = self.budget(scope);
        let mut units = budget.units.lock().unwrap_or_else(PoisonError::into_inner);
        if limit > 0 && units.limit != Some(limit) {
            units.limit = Some(limit);
        }
    }

    /// How long the scope is still silent.
    pub(crate) fn silent_for(&self, scope: &Scope) -> Duration {
        let budget = self.budget(scope);
        let until = *budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.saturating_sub(self.clock.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_never_more_than_the_limit_in_any_minute() {
        let mut units = Units {
            limit: Some(10),
            spent: VecDeque::new(),
            sum: 0,
        };
        let second = Duration::from_secs(1);
        assert_eq!(units.spend(second, 4), Ok(()));
        assert_eq!(units.spend(second * 30, 6), Ok(()));
        assert_eq!(units.spend(second * 31, 1), Err(second * 62));
        assert_eq!(units.spend(second * 62, 4), Ok(()));
        assert_eq!(units.spend(second * 62, 1), Err(second * 91));
        assert_eq!(
            units.spend(second * 200, 50),
            Ok(()),
            "more than all of it goes alone"
        );
    }
}
