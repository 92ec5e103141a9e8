//! What becomes of times that passed while nobody looked, and of clocks that jump.
//!
//! Whoever runs jobs asks [`Timetable::decide`] again and again: at the time that [`Timetable::next_after`] names, and whenever
//! it wakes. Each answer decides about everything that became due since the last one: at most one start, and the rest is
//! recorded as missed. What was decided is one small record, [`ScheduleState`], to be stored before the start is carried out.
//!
//! * However long the pause, there is **never more than one start** to make up for it.
//! * While the job runs nothing is decided; what becomes due meanwhile is decided when the run has ended, as if nobody had looked.
//! * A clock that goes forward cannot be told from a pause, and is treated as one.
//! * A clock that goes **back by up to a day** starts nothing twice: what is not later than the last start stays decided.
//!   Further back, the record begins anew at the new time, because otherwise nothing would run for as long as the clock
//!   was set back.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::schedule::{Occurrence, Timetable};

/// How late a start may be without counting as missed: what a busy machine and a restart take.
pub const ON_TIME: TimeDelta = TimeDelta::minutes(5);

/// Furthest that a clock may go back without the record beginning anew.
pub const LONGEST_STEP_BACK: TimeDelta = TimeDelta::hours(24);

/// What to do about an occurrence that is more than [`ON_TIME`] late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Start at once if its window is still open, and always if it has none; else it is missed. The default: no job runs
    /// at an hour that it was not allowed.
    #[default]
    WithinWindow,
    /// Start at once, once for all that was missed. A window that is over is opened again at its length.
    Once,
    /// It is missed.
    Skip,
}

/// What was decided about a job's timetable. Stored by the caller; see [`Timetable::decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleState {
    /// Everything that starts at or before this moment is decided.
    pub decided: DateTime<Utc>,
    /// Start of the last occurrence for which the job was started.
    pub started: Option<DateTime<Utc>>,
}

impl ScheduleState {
    /// Nothing was started, and only what comes after `now` is due: a new job, or one that was enabled again.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            decided: now,
            started: None,
        }
    }
}

/// Occurrences for which the job was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// How many; one moment that two schedules name counts twice.
    pub count: u64,
    /// They all start after this moment.
    pub after: DateTime<Utc>,
    /// They all start at or before this moment.
    pub until: DateTime<Utc>,
}

/// A start that is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DueStart {
    /// What it is for, with the end of its window as it applies to this start.
    pub occurrence: Occurrence,
    /// True when it makes up for a time that was missed.
    pub late: bool,
}

/// What a clock did since the last decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStep {
    /// It went on, or stood still.
    Forward,
    /// It went back, by no more than [`LONGEST_STEP_BACK`]: what was started is not started again.
    Back(TimeDelta),
    /// It went back further, and the record began anew.
    Anew(TimeDelta),
}

/// The answer of [`Timetable::decide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The record to store before anything else is done.
    pub state: ScheduleState,
    /// The start to carry out.
    pub start: Option<DueStart>,
    /// What to put on record as missed.
    pub missed: Option<Missed>,
    /// What the clock did.
    pub clock: ClockStep,
}

impl Timetable {
    /// Decides about everything that became due since `state`, at `now`.
    ///
    /// `running` says that a run of the job has not ended: nothing is started or missed then.
    #[must_use]
    pub fn decide(
        &self,
        state: &ScheduleState,
        now: DateTime<Utc>,
        policy: CatchUp,
        running: bool,
    ) -> Decision {
        let (state, clock) = after_clock_step(state, now);
        let mut decision = Decision {
            state,
            start: None,
            missed: None,
            clock,
        };
        if running || now <= state.decided {
            return decision;
        }
        let due = self.count(state.decided, now);
        decision.start = self.due_start(state.decided, now, policy);
        decision.state.decided = now;
        let mut started = 0;
        if let Some(start) = decision.start {
            let at = start.occurrence.start;
            decision.state.started = Some(at);
            started = self.count(at - TimeDelta::nanoseconds(1), at);
        }
        let count = due.saturating_sub(started);
        decision.missed = (count > 0).then_some(Missed {
            count,
            after: state.decided,
            until: now,
        });
        decision
    }

    /// When to decide next; earlier and later do no harm. `None`: nothing will be due.
    #[must_use]
    pub fn next_decision(&self, state: &ScheduleState) -> Option<DateTime<Utc>> {
        Some(self.next_after(state.decided)?.start)
    }

    fn due_start(&self, decided: DateTime<Utc>, now: DateTime<Utc>, policy: CatchUp) -> Option<DueStart> {
        let on_time = |due: &Occurrence| due.is_open(now) && now - due.start <= ON_TIME;
        let eligible = |due: &Occurrence| match policy {
            _ if due.start <= decided => false,
            CatchUp::WithinWindow => due.is_open(now),
            CatchUp::Once => true,
            CatchUp::Skip => on_time(due),
        };
        let mut occurrence = self.last_until(now, eligible)?;
        if !occurrence.is_open(now) {
            occurrence.end = occurrence
                .end
                .and_then(|end| now.checked_add_signed(end - occurrence.start));
        }
        let late = !on_time(&occurrence);
        Some(DueStart { occurrence, late })
    }
}

/// The record as it holds at `now`, when the clock may have gone back.
fn after_clock_step(state: &ScheduleState, now: DateTime<Utc>) -> (ScheduleState, ClockStep) {
    let back = state.decided - now;
    if back <= TimeDelta::zero() {
        return (*state, ClockStep::Forward);
    }
    if back > LONGEST_STEP_BACK {
        return (ScheduleState::new(now), ClockStep::Anew(back));
    }
    let decided = state.started.map_or(now, |started| started.max(now));
    (ScheduleState { decided, ..*state }, ClockStep::Back(back))
}
