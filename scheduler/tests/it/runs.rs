//! Jobs and runs: every state that commands can lead to, and what each command may do there.

use std::collections::BTreeMap;

use nakivo_scheduler::chain::Outcome;
use nakivo_scheduler::chrono::{DateTime, TimeDelta, Utc};
use nakivo_scheduler::run::{
    Edited, Job, RetryPolicy, Run, RunError, RunState, Scope, StopCause, TaskEnd, TaskState,
};

use crate::support::{Random, at, full};

const BEGIN: &str = "2026-06-01T22:00:00Z";
const ENDS: [TaskEnd; 5] = [
    TaskEnd::Complete,
    TaskEnd::Partial,
    TaskEnd::Failed { critical: false },
    TaskEnd::Failed { critical: true },
    TaskEnd::Stopped,
];

type R = Run<&'static str>;

fn minute(minutes: i64) -> DateTime<Utc> {
    at(BEGIN) + TimeDelta::minutes(minutes)
}

fn run(objects: &[&'static str], retry: Option<RetryPolicy>) -> Run<&'static str> {
    Run::new(objects.to_vec(), Some(minute(60)), retry).unwrap()
}

fn startable<'a>(run: &Run<&'a str>, now: DateTime<Utc>) -> Vec<&'a str> {
    run.startable(now).copied().collect()
}

const FAILED: TaskEnd = TaskEnd::Failed { critical: false };

#[test]
fn failed_objects_are_tried_again_and_the_run_goes_on_until_then() {
    let mut run = run(&["a", "b"], Some(RetryPolicy::default()));
    run.start(&"a", minute(0)).unwrap();
    run.start(&"b", minute(0)).unwrap();
    run.finish(&"b", TaskEnd::Complete, minute(1)).unwrap();
    for (tries, now) in [(1, 0), (2, 15), (3, 30)] {
        run.finish(&"a", FAILED, minute(now)).unwrap();
        assert_eq!(run.tasks()[0].tries(), tries);
        assert_eq!(run.next_tick(), Some(minute(now + 15)));
        assert_eq!(startable(&run, minute(now + 14)), [""; 0]);
        assert_eq!(startable(&run, minute(now + 15)), ["a"]);
        run.start(&"a", minute(now + 15)).unwrap();
    }
    assert_eq!(run.outcome(), None);
    run.finish(&"a", FAILED, minute(46)).unwrap();
    let (outcome, at) = (Outcome::Partial, minute(46));
    assert_eq!(run.state(), RunState::Ended { outcome, at });
}

#[test]
fn critical_failures_are_tried_again_on_request_only() {
    for (critical, outcome) in [(false, Some(Outcome::Failed)), (true, None)] {
        let mut run = run(&["a"], Some(RetryPolicy::new(2, 1, critical).unwrap()));
        run.start(&"a", minute(0)).unwrap();
        run.finish(&"a", TaskEnd::Failed { critical: true }, minute(1))
            .unwrap();
        assert_eq!(run.outcome(), outcome);
    }
}

#[test]
fn a_retry_is_not_put_off_by_a_clock_that_goes_back() {
    let mut run = run(&["a"], Some(RetryPolicy::default()));
    run.start(&"a", minute(0)).unwrap();
    run.finish(&"a", FAILED, minute(10)).unwrap();
    assert_eq!(startable(&run, minute(10)), [""; 0]);
    assert_eq!(startable(&run, minute(-60 * 24 * 365)), ["a"]);
}

#[test]
fn the_end_of_the_window_stops_the_run() {
    let mut run = run(&["a", "b", "c"], Some(RetryPolicy::default()));
    run.start(&"a", minute(0)).unwrap();
    run.start(&"b", minute(0)).unwrap();
    run.finish(&"b", FAILED, minute(50)).unwrap();
    run.tick(minute(59));
    assert_eq!(run.state(), RunState::Active);
    run.tick(minute(60));
    let cause = StopCause::WindowEnd;
    assert_eq!(run.state(), RunState::Stopping { cause });
    assert_eq!(run.to_stop().collect::<Vec<_>>(), [&"a"]);
    // What failed and waited for another try has failed; what never began was stopped.
    assert_eq!(run.tasks()[1].end(), Some(FAILED));
    assert_eq!(run.tasks()[2].end(), Some(TaskEnd::Stopped));
    let refused = run.start(&"c", minute(61)).unwrap_err();
    assert_eq!(refused.code(), "run_stopping");
    // It was done before it heard of it.
    run.finish(&"a", TaskEnd::Complete, minute(61)).unwrap();
    assert_eq!(run.outcome(), Some(Outcome::Stopped));
    assert_eq!(
        run.finish(&"a", FAILED, minute(62)).unwrap_err().code(),
        "run_ended"
    );
}

#[test]
fn stopping_some_lets_the_others_go_on() {
    let mut run = run(&["a", "b", "c"], None);
    run.start(&"a", minute(0)).unwrap();
    assert_eq!(
        run.stop(&["a", "zzz"], minute(1)).unwrap_err().code(),
        "run_object_unknown"
    );
    assert_eq!(run.to_stop().count(), 0, "a refused command does nothing");
    run.stop(&["a", "b"], minute(1)).unwrap();
    assert_eq!(startable(&run, minute(1)), ["c"]);
    run.finish(&"a", TaskEnd::Stopped, minute(2)).unwrap();
    run.start(&"c", minute(2)).unwrap();
    run.finish(&"c", TaskEnd::Complete, minute(3)).unwrap();
    assert_eq!(run.outcome(), Some(Outcome::Partial));
}

#[test]
fn after_a_crash_what_ran_waits_again_and_the_try_is_not_counted() {
    let mut run = run(&["a", "b"], Some(RetryPolicy::default()));
    run.start(&"a", minute(0)).unwrap();
    run.start(&"b", minute(0)).unwrap();
    run.stop(&["b"], minute(1)).unwrap();
    let text = serde_json::to_string(&run).unwrap();
    let mut again: Run<String> = serde_json::from_str(&text).unwrap();
    again.resume(minute(10));
    assert_eq!(again.tasks()[0].state(), TaskState::Waiting);
    assert_eq!(again.tasks()[0].tries(), 0);
    assert_eq!(again.tasks()[1].end(), Some(TaskEnd::Stopped));
    // A crash that lasts beyond the window ends the run.
    again.resume(minute(60));
    assert_eq!(again.outcome(), Some(Outcome::Stopped));
}

#[test]
fn what_the_ends_of_tasks_come_to() {
    use Outcome::{Complete, Failed, Partial, Stopped};
    let rows = [
        (vec![TaskEnd::Complete; 2], Complete),
        (vec![TaskEnd::Complete, TaskEnd::Partial], Partial),
        (vec![TaskEnd::Partial], Partial),
        (vec![TaskEnd::Complete, FAILED], Partial),
        (vec![FAILED, FAILED], Failed),
        (vec![TaskEnd::Complete, TaskEnd::Stopped], Partial),
        (vec![FAILED, TaskEnd::Stopped], Failed),
        (vec![TaskEnd::Stopped], Stopped),
    ];
    for (ends, outcome) in rows {
        let objects = &["a", "b"][..ends.len()];
        let mut run = run(objects, None);
        for (object, end) in objects.iter().zip(&ends) {
            run.start(object, minute(0)).unwrap();
            if *end == TaskEnd::Stopped {
                run.stop(&[object], minute(1)).unwrap();
            }
        }
        for (object, end) in objects.iter().zip(&ends) {
            run.finish(object, *end, minute(2)).unwrap();
        }
        assert_eq!(run.outcome(), Some(outcome), "{ends:?}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let rows = [
        ((1, 15), "times = 1: expected 2 to 10"),
        ((11, 15), "times = 11: expected 2 to 10"),
        ((3, 0), "every_minutes = 0: expected 1 to 60"),
        ((3, 61), "every_minutes = 61: expected 1 to 60"),
    ];
    for ((times, minutes), expected) in rows {
        let error = RetryPolicy::new(times, minutes, false).unwrap_err();
        assert_eq!(error.to_string(), expected);
        let text = format!(r#"{{"times":{times},"every_minutes":{minutes},"critical":false}}"#);
        assert!(serde_json::from_str::<RetryPolicy>(&text).is_err());
    }
    let default = serde_json::to_string(&RetryPolicy::default()).unwrap();
    assert_eq!(default, r#"{"times":3,"every_minutes":15,"critical":false}"#);
    assert_eq!(
        Run::<&str>::new(vec![], None, None).unwrap_err().code(),
        "run_nothing_to_do"
    );
    let twice = Run::new(vec!["a", "b", "a"], None, None).unwrap_err();
    assert_eq!(twice.to_string(), "a is named twice");
}

#[test]
fn a_job_is_edited_when_its_run_has_ended_and_runs_once_at_a_time() {
    let mut job: Job<&str, &str> = Job::new("first");
    let objects = ["a", "b", "c"];
    assert_eq!(job.edit("second"), Edited::Now);
    let all = Scope::All;
    job.start(&all, &objects, None, None).unwrap();
    assert_eq!(
        job.start(&all, &objects, None, None).unwrap_err().code(),
        "job_running"
    );
    assert_eq!(job.check_deletable().unwrap_err().code(), "job_running");
    assert_eq!(
        (job.edit("third"), job.edit("fourth")),
        (Edited::AfterRun, Edited::AfterRun)
    );
    assert_eq!((*job.config(), job.edited()), ("second", Some(&"fourth")));
    assert_eq!(job.settle(), None, "the run goes on");
    let run = job.run_mut().unwrap();
    for (object, end) in [("a", TaskEnd::Complete), ("b", TaskEnd::Partial), ("c", FAILED)] {
        run.start(&object, minute(0)).unwrap();
        run.finish(&object, end, minute(1)).unwrap();
    }
    assert_eq!(job.settle().unwrap().outcome(), Some(Outcome::Partial));
    assert_eq!((*job.config(), job.edited(), job.run()), ("fourth", None, None));
    assert_eq!(job.last().unwrap().failed, ["b", "c"]);

    let started = |job: &mut Job<&'static str, &'static str>, scope| {
        let result = job.start(&scope, &objects, None, None);
        let result = result.map(|run| run.tasks().iter().map(|task| *task.object()).collect::<Vec<_>>());
        if let Some(run) = job.run_mut() {
            run.stop_all(StopCause::Asked, minute(2)).unwrap();
        }
        job.settle();
        result
    };
    assert_eq!(started(&mut job, Scope::Failed).unwrap(), ["b", "c"]);
    // The job's order is the order of priority.
    assert_eq!(
        started(&mut job, Scope::Selected(vec!["c", "a", "c"])).unwrap(),
        ["a", "c"]
    );
    let foreign = started(&mut job, Scope::Selected(vec!["zzz"])).unwrap_err();
    assert_eq!(foreign.to_string(), "zzz is not among its objects");
    assert_eq!(
        started(&mut job, Scope::Selected(vec![])).unwrap_err().code(),
        "run_nothing_to_do"
    );
    job.set_enabled(false);
    for scope in [Scope::All, Scope::Failed, Scope::Selected(vec!["a"])] {
        assert_eq!(started(&mut job, scope).unwrap_err(), RunError::Disabled);
    }
}

// ---- Every state ----

/// Whatever can be told to a run, at a minute.
#[derive(Debug, Clone)]
enum Command {
    Start(&'static str),
    Finish(&'static str, TaskEnd),
    StopAll(StopCause),
    Stop(Vec<&'static str>),
    Tick,
    Resume,
}

fn apply(run: &mut R, command: &Command, now: DateTime<Utc>) -> Result<(), RunError> {
    match command {
        Command::Start(object) => run.start(object, now),
        Command::Finish(object, end) => run.finish(object, *end, now),
        Command::StopAll(cause) => run.stop_all(*cause, now),
        Command::Stop(objects) => run.stop(objects, now),
        Command::Tick => {
            run.tick(now);
            Ok(())
        }
        Command::Resume => {
            run.resume(now);
            Ok(())
        }
    }
}

fn commands(objects: &[&'static str]) -> Vec<Command> {
    let mut all = vec![
        Command::StopAll(StopCause::Asked),
        Command::StopAll(StopCause::WindowEnd),
        Command::Stop(objects.to_vec()),
        Command::Stop(vec!["foreign"]),
        Command::Start("foreign"),
        Command::Tick,
        Command::Resume,
    ];
    for &object in objects {
        all.extend([Command::Start(object), Command::Stop(vec![object])]);
        all.extend(ENDS.map(|end| Command::Finish(object, end)));
    }
    all
}

/// What may follow what for a task, written down once more, by hand.
fn task_may(command: &Command, before: TaskState, after: TaskState) -> bool {
    use TaskState::{Ended, Retrying, Running, Waiting};
    match (before, after) {
        (a, b) if a == b => true,
        // After a crash, when the window is over meanwhile.
        (Running { .. }, Ended(TaskEnd::Stopped)) if matches!(command, Command::Resume) => true,
        (Waiting | Retrying { .. }, Running { stopping: false }) => true,
        (Waiting, Ended(TaskEnd::Stopped)) => true,
        (Retrying { critical, .. }, Ended(TaskEnd::Failed { critical: same })) => critical == same,
        (Running { stopping: false }, Running { stopping: true } | Waiting | Retrying { .. }) => true,
        (Running { stopping: false }, Ended(end)) => end != TaskEnd::Stopped,
        (Running { stopping: true }, Ended(_)) => true,
        _ => false,
    }
}

fn check(before: &R, command: &Command, result: &Result<(), RunError>, after: &R) {
    let what = || format!("{command:?} made of {before:?}\n{after:?}");
    if result.is_err() {
        assert_eq!(before, after, "refused, yet {}", what());
    }
    for (old, new) in before.tasks().iter().zip(after.tasks()) {
        assert!(task_may(command, old.state(), new.state()), "{}", what());
        assert!(new.tries() <= 3, "{}", what());
    }
    let done = after.tasks().iter().all(|task| task.end().is_some());
    match (before.state(), after.state()) {
        (RunState::Ended { .. }, _) => assert_eq!(before, after, "{}", what()),
        (_, RunState::Ended { .. }) => assert!(done, "{}", what()),
        (_, state) => {
            assert!(!done, "{}", what());
            if let RunState::Stopping { .. } = state {
                let idle = |task: &nakivo_scheduler::run::Task<_>| {
                    matches!(
                        task.state(),
                        TaskState::Running { stopping: true } | TaskState::Ended(_)
                    )
                };
                assert!(after.tasks().iter().all(idle), "{}", what());
            }
        }
    }
}

/// Finishes whatever runs and starts whatever may be: the run must come to its end.
fn comes_to_an_end(mut run: R, mut now: DateTime<Utc>) {
    let begun = run.clone();
    for _ in 0..20 {
        if run.outcome().is_some() {
            return;
        }
        let running: Vec<_> = run
            .tasks()
            .iter()
            .filter(|t| matches!(t.state(), TaskState::Running { .. }))
            .collect();
        for object in running.iter().map(|task| *task.object()).collect::<Vec<_>>() {
            run.finish(&object, FAILED, now).unwrap();
        }
        if let Some(next) = run.next_tick() {
            now = now.max(next.min(now + TimeDelta::minutes(15)));
            run.tick(now);
        }
        for object in startable(&run, now) {
            run.start(&object, now).unwrap();
        }
    }
    panic!("{begun:?} does not come to an end, but to {run:?}");
}

/// Every state of a run of two objects that any commands at any of five times lead to.
#[test]
fn no_command_leads_where_none_should() {
    let retry = RetryPolicy::new(2, 10, false).unwrap();
    let objects: &[&'static str] = if full() { &["a", "b", "c"] } else { &["a", "b"] };
    let times = [0, 10, 20, 60];
    let commands = commands(objects);
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    let mut open = vec![(run(objects, Some(retry)), 0)];
    let mut steps = 0_u64;
    while let Some((before, time)) = open.pop() {
        for (later, minutes) in times.iter().copied().enumerate().skip(time) {
            for command in &commands {
                let mut after = before.clone();
                let result = apply(&mut after, command, minute(minutes));
                check(&before, command, &result, &after);
                steps += 1;
                if seen.insert(format!("{later} {after:?}"), ()).is_none() {
                    comes_to_an_end(after.clone(), minute(minutes));
                    open.push((after, later));
                }
            }
        }
    }
    println!("counts: runs states={} commands={steps}", seen.len());
    assert!(seen.len() > 1_000);
}

#[test]
fn random_commands_to_many_objects_keep_the_rules() {
    let objects: &[&'static str] = &["a", "b", "c", "d", "e", "f", "g"];
    let mut random = Random::new("random_commands", 9);
    let commands = commands(objects);
    for _ in 0..if full() { 20_000 } else { 300 } {
        let mut run = run(objects, Some(RetryPolicy::new(2, 10, true).unwrap()));
        let mut now = minute(0);
        for _ in 0..80 {
            now += TimeDelta::minutes(random.pick(&[0, 0, 1, 1, 5, -3]));
            let (before, command) = (run.clone(), random.pick(&commands));
            // Stopping everything ends most runs, so it is rare.
            if matches!(command, Command::StopAll(_)) && random.chance(90) {
                continue;
            }
            let result = apply(&mut run, &command, now);
            check(&before, &command, &result, &run);
        }
        comes_to_an_end(run, now);
    }
}
