//! Request budgets: how many requests may be under way, and when a throttled scope may speak again.
//!
//! One governor serves every job of a process that shares a connector. Outlook allows four requests at once for each app
//! and mailbox (contract 5.2); a 429 silences the whole scope until its `Retry-After` has passed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nakivo_core::seams::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests under way at once in one mailbox. Source: Outlook service limits.
pub(crate) const MAILBOX_SLOTS: u32 = 4;

/// What shares one budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The directory: users and the organisation.
    Directory,
    /// One mailbox, by the id of its user.
    Mailbox(Arc<str>),
}

#[derive(Debug)]
struct Budget {
    slots: Arc<Semaphore>,
    /// On the monotonic clock: nothing is sent before.
    silent_until: Mutex<Duration>,
}

/// Hands out slots and keeps fences.
#[derive(Debug)]
pub(crate) struct Governor {
    clock: Arc<dyn Clock>,
    budgets: Mutex<HashMap<Scope, Arc<Budget>>>,
}

impl Governor {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            budgets: Mutex::new(HashMap::new()),
        }
    }

    fn budget(&self, scope: &Scope) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(budgets.entry(scope.clone()).or_insert_with(|| {
            Arc::new(Budget {
                slots: Arc::new(Semaphore::new(MAILBOX_SLOTS as usize)),
                silent_until: Mutex::new(Duration::ZERO),
            })
        }))
    }

    /// Waits for `slots` of the scope and until its fence has passed. The slots are free again when the permit drops.
    pub(crate) async fn enter(&self, scope: &Scope, slots: u32) -> Option<OwnedSemaphorePermit> {
        let budget = self.budget(scope);
        // The semaphore is never closed, so the error cannot happen; without a permit we would still be correct.
        let permit = Arc::clone(&budget.slots)
            .acquire_many_owned(slots.clamp(1, MAILBOX_SLOTS))
            .await
            .ok();
        loop {
            let until = *budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.monotonic();
            if now >= until {
                return permit;
            }
            self.clock.sleep(until - now).await;
        }
    }

    /// Nothing of this scope is sent for `wait` from now on.
    pub(crate) fn silence(&self, scope: &Scope, wait: Duration) {
        let until = self.clock.monotonic() + wait;
        let budget = self.budget(scope);
        let mut silent = budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        *silent = (*silent).max(until);
    }

    /// How long the scope is still silent.
    pub(crate) fn silent_for(&self, scope: &Scope) -> Duration {
        let budget = self.budget(scope);
        let until = *budget.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.saturating_sub(self.clock.monotonic())
    }
}
