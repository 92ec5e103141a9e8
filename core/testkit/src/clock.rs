//! Time that a test owns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nakivo_core::seams::Clock;
use tokio::sync::oneshot;

/// What [`Clock::sleep`] does on a [`TestClock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// The sleeper moves the clock to its own deadline and goes on at once.
    Advances,
    /// The sleeper waits until the test moves the clock.
    Waits,
}

/// A clock that stands still until it is told otherwise; clones share it.
///
/// It starts at 2026-01-01T00:00:00Z. [`TestClock::new`] makes sleeping move the clock, so that back-off costs no real
/// time; do not race such a sleep against real work, as it always wins. [`TestClock::manual`] makes sleepers wait for
/// [`TestClock::advance`].
#[derive(Debug, Clone)]
pub struct TestClock {
    shared: Arc<Mutex<State>>,
    sleep: Sleep,
}

#[derive(Debug)]
struct State {
    /// Monotonic time.
    elapsed: Duration,
    /// Wall clock = start + elapsed + skew.
    start: DateTime<Utc>,
    skew: TimeDelta,
    /// Sum of all sleeps asked for: what the code under test would have waited.
    slept: Duration,
    waiting: Vec<(Duration, oneshot::Sender<()>)>,
}

impl TestClock {
    /// A clock on which every sleep ends at once and moves the time forward.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Sleep::Advances)
    }

    /// A clock that only [`TestClock::advance`] moves.
    #[must_use]
    pub fn manual() -> Self {
        Self::with(Sleep::Waits)
    }

    fn with(sleep: Sleep) -> Self {
        let start = DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default();
        let state = State {
            elapsed: Duration::ZERO,
            start,
            skew: TimeDelta::zero(),
            slept: Duration::ZERO,
            waiting: Vec::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(state)),
            sleep,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves both times forward and wakes whoever is due.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed += duration;
        state.wake();
    }

    /// Moves the wall clock alone, in either direction, as an administrator or a time server would.
    pub fn jump(&self, delta: TimeDelta) {
        self.state().skew += delta;
    }

    /// All the time that was asked for in sleeps so far.
    #[must_use]
    pub fn slept(&self) -> Duration {
        self.state().slept
    }

    /// How much later the first sleeper wakes; `None` while nobody sleeps.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let mut state = self.state();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        let first = state.waiting.iter().map(|(deadline, _)| *deadline).min()?;
        Some(first.saturating_sub(state.elapsed))
    }

    /// How many sleepers wait for [`TestClock::advance`].
    #[must_use]
    pub fn waiting(&self) -> usize {
        let mut state = self.state();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        state.waiting.len()
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn wake(&mut self) {
        let elapsed = self.elapsed;
        for (deadline, sender) in std::mem::take(&mut self.waiting) {
            if deadline > elapsed {
                self.waiting.push((deadline, sender));
            } else {
                // The sleeper may have been dropped: sleeping is cancel-safe.
                let _ = sender.send(());
            }
        }
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let state = self.state();
        let elapsed = TimeDelta::from_std(state.elapsed).unwrap_or(TimeDelta::MAX);
        state.start + elapsed + state.skew
    }

    fn monotonic(&self) -> Duration {
        self.state().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let receiver = {
            let mut state = self.state();
            state.slept += duration;
            if self.sleep == Sleep::Advances {
                state.elapsed += duration;
                state.wake();
                None
            } else if duration.is_zero() {
                None
            } else {
                let deadline = state.elapsed + duration;
                let (sender, receiver) = oneshot::channel();
                state.waiting.push((deadline, sender));
                Some(receiver)
            }
        };
        match receiver {
            // The sender lives in the clock we hold, so it fails only if the clock's state was lost: nothing to wait for.
            Some(receiver) => drop(receiver.await),
            None => tokio::task::yield_now().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_moves_the_clock_and_costs_no_time() {
        let clock = TestClock::new();
        let before = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now() - before, TimeDelta::hours(1));
        assert_eq!(clock.monotonic(), Duration::from_secs(3600));
        assert_eq!(clock.slept(), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_only_who_is_due() {
        let clock = TestClock::manual();
        let short = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(1)).await }
        });
        let long = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        while clock.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(5));
        short.await.unwrap();
        assert_eq!(clock.waiting(), 1);
        assert!(!long.is_finished());
        clock.advance(Duration::from_secs(5));
        long.await.unwrap();
    }

    #[test]
    fn a_jump_moves_the_wall_clock_only() {
        let clock = TestClock::new();
        let before = clock.now();
        clock.jump(TimeDelta::hours(-2));
        assert_eq!(clock.now() - before, TimeDelta::hours(-2));
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
