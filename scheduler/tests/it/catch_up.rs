//! Every due time starts a job once or is on record as missed, whatever the clock and the machine do.

use nakivo_scheduler::catch_up::{CatchUp, ClockStep, Decision, LONGEST_STEP_BACK, ON_TIME, ScheduleState};
use nakivo_scheduler::chrono::{DateTime, TimeDelta, Utc};
use nakivo_scheduler::schedule::{ScheduleForm, Timetable};

use crate::support::{ODD_ZONES, Random, at, checked, full, random_form};

const POLICIES: [CatchUp; 3] = [CatchUp::WithinWindow, CatchUp::Once, CatchUp::Skip];

fn table(forms: Vec<ScheduleForm>) -> Timetable {
    Timetable::new(forms.into_iter().map(checked).collect()).unwrap()
}

/// In short what was decided: `start DD HH:MM to END`, `late`, `missed N`.
fn told(decision: &Decision) -> String {
    let mut words = Vec::new();
    if let Some(start) = decision.start {
        let occurrence = start.occurrence;
        let late = if start.late { "late " } else { "" };
        let end = occurrence
            .end
            .map(|end| format!(" to {}", end.format("%d %H:%M")));
        words.push(format!(
            "{late}start {}{}",
            occurrence.start.format("%d %H:%M"),
            end.unwrap_or_default()
        ));
    }
    if let Some(missed) = decision.missed {
        words.push(format!("missed {}", missed.count));
    }
    words.join(", ")
}

/// Looks once at each time of June 2026 and says what was decided.
fn looks(table: &Timetable, policy: CatchUp, since: &str, times: &[&str]) -> Vec<String> {
    let june = |text: &str| at(&format!("2026-06-{}:00Z", text.replace(' ', "T")));
    let mut state = ScheduleState::new(june(since));
    let mut all = Vec::new();
    for time in times {
        let decision = table.decide(&state, june(time), policy, false);
        state = decision.state;
        all.push(told(&decision));
    }
    all
}

/// The table of `docs/schedules.md` about missed times.
#[test]
fn what_was_missed_follows_the_policy() {
    let nightly = || table(vec![ScheduleForm::daily("22:00").ending("06:00")]);
    let on_time = ["01 21:59", "01 22:00", "01 22:01"];
    for policy in POLICIES {
        let expected = ["", "start 01 22:00 to 02 06:00", ""];
        assert_eq!(looks(&nightly(), policy, "01 00:00", &on_time), expected);
        // A few minutes late is on time.
        let expected = ["start 01 22:00 to 02 06:00"];
        assert_eq!(looks(&nightly(), policy, "01 00:00", &["01 22:05"]), expected);
    }
    // Back after three nights, in the middle of the third.
    let rows = [
        (CatchUp::WithinWindow, "late start 03 22:00 to 04 06:00, missed 2"),
        (CatchUp::Once, "late start 03 22:00 to 04 06:00, missed 2"),
        (CatchUp::Skip, "missed 3"),
    ];
    for (policy, expected) in rows {
        assert_eq!(
            looks(&nightly(), policy, "01 00:00", &["04 02:00"]),
            [expected],
            "{policy:?}"
        );
    }
    // Back by day, when the window is over.
    let rows = [
        (CatchUp::WithinWindow, "missed 3"),
        (CatchUp::Once, "late start 03 22:00 to 04 20:00, missed 2"),
        (CatchUp::Skip, "missed 3"),
    ];
    for (policy, expected) in rows {
        assert_eq!(
            looks(&nightly(), policy, "01 00:00", &["04 12:00"]),
            [expected],
            "{policy:?}"
        );
    }
    // Without a window there is always time.
    let daily = table(vec![ScheduleForm::daily("22:00")]);
    let expected = ["late start 03 22:00, missed 2", "", "start 04 22:00"];
    let times = ["04 12:00", "04 21:00", "04 22:00"];
    assert_eq!(looks(&daily, CatchUp::WithinWindow, "01 00:00", &times), expected);
    // The window that is still open counts, not the one that opened last.
    let two = table(vec![
        ScheduleForm::daily("00:00").ending("10:00"),
        ScheduleForm::daily("05:00").ending("05:30"),
    ]);
    let expected = ["late start 02 00:00 to 02 10:00, missed 1"];
    assert_eq!(
        looks(&two, CatchUp::WithinWindow, "01 12:00", &["02 08:00"]),
        expected
    );
}

#[test]
fn ten_years_of_pause_are_one_start_and_a_number() {
    let state = ScheduleState::new(at("2016-01-01T00:00:00Z"));
    let often = table(vec![ScheduleForm::periodic(1)]);
    let decision = often.decide(&state, at("2026-01-01T00:00:00Z"), CatchUp::Once, false);
    assert_eq!(decision.missed.unwrap().count, 3653 * 1440 - 1);
    assert_eq!(
        decision.start.unwrap().occurrence.start,
        at("2026-01-01T00:00:00Z")
    );
}

#[test]
fn while_the_job_runs_nothing_is_decided() {
    let hourly = table(vec![ScheduleForm::periodic(60)]);
    let state = ScheduleState::new(at("2026-06-01T00:30:00Z"));
    let during = hourly.decide(&state, at("2026-06-01T03:10:00Z"), CatchUp::WithinWindow, true);
    assert_eq!((during.state, told(&during).as_str()), (state, ""));
    let after = hourly.decide(
        &during.state,
        at("2026-06-01T03:20:00Z"),
        CatchUp::WithinWindow,
        false,
    );
    assert_eq!(told(&after), "late start 01 03:00 to 02 00:00, missed 2");
}

#[test]
fn a_clock_that_goes_back_starts_nothing_twice_and_stops_nothing_for_long() {
    let daily = table(vec![ScheduleForm::daily("02:00")]);
    let back_an_hour = ["01 02:00", "01 01:10", "01 02:00", "01 02:10", "02 02:00"];
    let expected = ["start 01 02:00", "", "", "", "start 02 02:00"];
    assert_eq!(looks(&daily, CatchUp::Once, "01 00:00", &back_an_hour), expected);
    // The clock was ten days ahead for a moment.
    let ahead = ["11 00:00", "01 01:00", "01 02:00", "02 02:00"];
    let expected = [
        "late start 10 02:00, missed 9",
        "",
        "start 01 02:00",
        "start 02 02:00",
    ];
    assert_eq!(looks(&daily, CatchUp::Once, "01 00:00", &ahead), expected);

    let state = ScheduleState::new(at("2026-06-02T00:00:00Z"));
    let step = |now: &str| daily.decide(&state, at(now), CatchUp::Once, false).clock;
    assert_eq!(step("2026-06-02T00:00:00Z"), ClockStep::Forward);
    assert_eq!(step("2026-06-01T00:00:00Z"), ClockStep::Back(LONGEST_STEP_BACK));
    let further = LONGEST_STEP_BACK + TimeDelta::seconds(1);
    assert_eq!(step("2026-05-31T23:59:59Z"), ClockStep::Anew(further));
}

#[test]
fn records_survive_being_written_and_read() {
    let state = ScheduleState::new(at("2026-06-02T00:00:00Z"));
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(text, r#"{"decided":"2026-06-02T00:00:00Z","started":null}"#);
    assert_eq!(serde_json::from_str::<ScheduleState>(&text).unwrap(), state);
    assert_eq!(
        serde_json::to_string(&CatchUp::default()).unwrap(),
        r#""within_window""#
    );
}

/// One life of a timetable: somebody looks at random times, with pauses, runs that take long, and a clock that may go back.
struct Life {
    table: Timetable,
    policy: CatchUp,
    state: ScheduleState,
    now: DateTime<Utc>,
}

impl Life {
    fn new(random: &mut Random) -> Self {
        let forms = (0..1 + random.below(3)).map(|_| {
            let zone = random.pick(&ODD_ZONES);
            random_form(random, zone)
        });
        let table = table(forms.collect());
        let now = at("1995-01-01T00:00:00Z") + TimeDelta::seconds(random.below(30 * 365 * 86_400));
        Self {
            table,
            policy: random.pick(&POLICIES),
            state: ScheduleState::new(now),
            now,
        }
    }

    /// Lets time pass: to the very moment at which something is due, by a little, or by a long pause.
    fn pass(&mut self, random: &mut Random) {
        let next = self
            .table
            .next_decision(&self.state)
            .filter(|next| *next > self.now);
        self.now = match (random.below(10), next) {
            (0..6, Some(next)) => next,
            (6..9, _) => self.now + TimeDelta::seconds(random.below(7_200)),
            _ => self.now + TimeDelta::seconds(random.below(40 * 86_400)),
        };
    }

    fn decide(&mut self, running: bool) -> Decision {
        let decision = self.table.decide(&self.state, self.now, self.policy, running);
        self.state = decision.state;
        if let Some(start) = decision.start {
            let occurrence = start.occurrence;
            assert!(occurrence.is_open(self.now), "{:?} at {}", occurrence, self.now);
            let lateness = self.now - occurrence.start;
            assert!(self.policy != CatchUp::Skip || lateness <= ON_TIME, "{lateness}");
            assert!(start.late || lateness <= ON_TIME, "{lateness}");
            let own = self
                .table
                .next_after(occurrence.start - TimeDelta::seconds(1))
                .unwrap();
            let same_end = own.end == occurrence.end;
            assert!(same_end || self.policy == CatchUp::Once || self.table.schedules().len() > 1);
        }
        decision
    }
}

fn lives() -> i64 {
    if full() { 20_000 } else { 200 }
}

#[test]
fn every_due_time_starts_once_or_is_missed_when_time_goes_on() {
    let mut random = Random::new("every_due_time", 11);
    let (mut started, mut missed) = (0, 0);
    for _ in 0..lives() {
        let mut life = Life::new(&mut random);
        let (begin, mut last) = (life.now, life.now);
        let mut accounted = 0;
        for _ in 0..60 {
            life.pass(&mut random);
            let decision = life.decide(random.chance(15));
            assert_eq!(decision.clock, ClockStep::Forward);
            if let Some(start) = decision.start {
                let start = start.occurrence.start;
                assert!(start > last, "{start} after {last}");
                last = start;
                accounted += life.table.count(start - TimeDelta::seconds(1), start);
                started += 1;
            }
            let count = decision.missed.map_or(0, |missed| missed.count);
            accounted += count;
            missed += count;
        }
        assert_eq!(
            accounted,
            life.table.count(begin, life.state.decided),
            "{:?}",
            life.table
        );
    }
    println!("counts: catch_up started={started} missed={missed}");
    assert!(started > 1_000 && missed > 1_000);
}

#[test]
fn a_jumping_clock_starts_nothing_twice_and_what_is_due_still_runs() {
    let mut random = Random::new("jumping_clock", 12);
    for _ in 0..lives() {
        let mut life = Life::new(&mut random);
        let mut last: Option<DateTime<Utc>> = None;
        for _ in 0..40 {
            life.pass(&mut random);
            if random.chance(30) {
                let reach = random.pick(&[60, 3_600, 86_400, 86_400 * 30, 86_400 * 3_650]);
                life.now -= TimeDelta::seconds(random.below(reach));
            }
            let decision = life.decide(random.chance(10));
            if matches!(decision.clock, ClockStep::Anew(_)) {
                last = None;
            }
            if let Some(start) = decision.start {
                let start = start.occurrence.start;
                assert!(last.is_none_or(|last| start > last), "{start} after {last:?}");
                last = Some(start);
            }
        }
        // Left alone, it looks at most a day further than the clock that was put right.
        let quiet = life.now + LONGEST_STEP_BACK;
        let Some(due) = life.table.next_after(quiet) else {
            continue;
        };
        let mut started = false;
        while life.now < due.start {
            life.now = life.table.next_decision(&life.state).unwrap().max(life.now);
            started |= life
                .decide(false)
                .start
                .is_some_and(|start| start.occurrence.start == due.start);
        }
        assert!(started, "{due:?} of {:?}", life.table);
    }
}
