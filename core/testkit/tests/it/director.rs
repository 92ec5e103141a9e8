//! The director: jobs, runs, what is due, what is on record; and that nothing of it is lost wherever its process ends.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nakivo_core::director::scheduler::admission::Limits;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::{RetryPolicy, Scope, TaskEnd};
use nakivo_core::director::scheduler::schedule::{ScheduleForm, Timetable};
use nakivo_core::director::{
    Cause, Director, DirectorSettings, HistoryEntry, JobEntry, JobForm, JobId, Keep, RunRecord,
};
use nakivo_core::registry::RepositoryName;
use nakivo_core::retention::RetentionPolicy;
use nakivo_core::{Error, ErrorKind};
use nakivo_testkit::director::World;
use nakivo_testkit::oracle::all_points;
use nakivo_testkit::scenario::fill;
use nakivo_testkit::scripted::FetchTrouble;

mod accounts;
mod journal;
mod killed;
mod lost;
mod years;

pub(crate) fn table(schedules: &[ScheduleForm]) -> Timetable {
    let checked = schedules.iter().map(|form| form.clone().check().unwrap());
    Timetable::new(checked.collect()).unwrap()
}

pub(crate) fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn open(world: &World) -> Director {
    world.director(DirectorSettings::default()).await
}

/// A job over filled sources of these names.
async fn add(world: &World, director: &Director, name: &str, objects: &[&str]) -> JobEntry {
    add_with(world, director, name, objects, |_| {}).await
}

async fn add_with(
    world: &World,
    director: &Director,
    name: &str,
    objects: &[&str],
    change: impl FnOnce(&mut JobForm),
) -> JobEntry {
    let mut form = world.job(name, objects);
    for object in objects {
        let source = world.sources.source(object);
        if source.view().containers.is_empty() {
            fill(&source);
        }
    }
    change(&mut form);
    director.add(form).await.unwrap()
}

pub(crate) async fn runs(director: &Director, job: &JobId) -> Vec<RunRecord> {
    let history = director.history(job, 10_000).await.unwrap();
    let runs = history.into_iter().filter_map(|entry| match entry {
        HistoryEntry::Run(run) => Some(*run),
        HistoryEntry::Missed(_) => None,
    });
    let mut runs: Vec<RunRecord> = runs.collect();
    runs.reverse();
    runs
}

async fn missed(director: &Director, job: &JobId) -> u64 {
    let history = director.history(job, 10_000).await.unwrap();
    history
        .into_iter()
        .map(|entry| match entry {
            HistoryEntry::Run(_) => 0,
            HistoryEntry::Missed(missed) => missed.count,
        })
        .sum()
}

#[track_caller]
fn is(error: &Error, kind: ErrorKind, word: &str) {
    assert!(
        error.kind() == kind && error.message().contains(word),
        "{error:?}"
    );
}

#[tokio::test]
async fn jobs_are_kept_as_they_were_given_and_refused_where_they_make_no_sense() {
    let world = World::new(1).await;
    let director = open(&world).await;
    let nightly = add(&world, &director, "Nightly", &["a"]).await;
    let again = director.add(world.job("Nightly", &["b"])).await.unwrap_err();
    is(&again, ErrorKind::AlreadyExists, "Nightly");
    let mut elsewhere = world.job("Elsewhere", &["a"]);
    elsewhere.repository = nakivo_core::format::RepositoryId::from_bytes([9; 16]);
    is(
        &director.add(elsewhere).await.unwrap_err(),
        ErrorKind::NotFound,
        "Elsewhere",
    );
    is(
        &director.job("nobody").await.unwrap_err(),
        ErrorKind::NotFound,
        "nobody",
    );

    // Chains: to nobody, in a circle, and one that must not lose its beginning.
    let mut chained = world.job("Chained", &["a"]);
    chained.schedules = table(&[ScheduleForm::after("nobody")]);
    is(
        &director.add(chained.clone()).await.unwrap_err(),
        ErrorKind::NotFound,
        "nobody",
    );
    chained.schedules = table(&[ScheduleForm::after(nightly.id.as_str())]);
    let chained = director.add(chained).await.unwrap();
    let circle = table(&[ScheduleForm::after(chained.id.as_str())]);
    let error = director
        .edit(&nightly.id, |form| form.schedules = circle)
        .await
        .unwrap_err();
    is(&error, ErrorKind::InvalidInput, "'Chained' after 'Nightly'");
    let error = director.remove(&nightly.id).await.unwrap_err();
    is(&error, ErrorKind::NotFound, "'Chained' runs after job 'Nightly'");

    // A repository in use stays, and the error names the jobs.
    let main: RepositoryName = "main".parse().unwrap();
    let error = director.remove_repository(&main).await.unwrap_err();
    is(&error, ErrorKind::Conflict, "Nightly, Chained");

    let edited = director
        .edit(&nightly.id, |form| form.name = "Every night".to_owned())
        .await
        .unwrap();
    assert_eq!(
        edited.due_since, nightly.due_since,
        "a name changes nothing about when"
    );
    let error = director
        .edit(&nightly.id, |form| form.tasks = 0)
        .await
        .unwrap_err();
    is(&error, ErrorKind::InvalidInput, "tasks: '0'");

    // Another process sees the same.
    let other = open(&world).await;
    assert_eq!(other.jobs().await.unwrap(), vec![edited.clone(), chained.clone()]);
    assert_eq!(other.job("Every night").await.unwrap(), edited);
    director.remove(&chained.id).await.unwrap();
    director.remove(&nightly.id).await.unwrap();
    assert!(other.jobs().await.unwrap().is_empty());
    director.remove_repository(&main).await.unwrap();
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_not_written_over() {
    let world = World::new(2).await;
    let director = open(&world).await;
    let state = world.env().state;
    for (record, kind) in [
        (&b"no JSON"[..], ErrorKind::Corrupt),
        (b"{\"version\":2}", ErrorKind::UnsupportedFormat),
    ] {
        state.put("director/jobs", record.into()).await.unwrap();
        let error = director.add(world.job("Nightly", &["a"])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(&state.get("director/jobs").await.unwrap().unwrap()[..], record);
    }
}

#[tokio::test]
async fn a_run_takes_all_or_selected_or_failed_objects_and_says_what_became_of_each() {
    let world = World::new(3).await;
    let director = open(&world).await;
    let job = add_with(&world, &director, "Nightly", &["a", "b", "c"], |form| {
        form.retry = None
    })
    .await;
    world.sources.break_source("b", ErrorKind::PermissionMissing, 1);
    world
        .sources
        .source("c")
        .trouble("m01", FetchTrouble::Error(ErrorKind::Unavailable), None);
    let record = director.run_now(&job.id, Scope::All).wait().await.unwrap();
    assert_eq!(record.outcome, Outcome::Partial);
    let ends: Vec<(&str, TaskEnd)> = record
        .objects
        .iter()
        .map(|one| (one.name.as_str(), one.end))
        .collect();
    let expected = [
        ("a@example.org", TaskEnd::Complete),
        ("b@example.org", TaskEnd::Failed { critical: true }),
        ("c@example.org", TaskEnd::Partial),
    ];
    assert_eq!(ends, expected);
    let (a, b) = (&record.objects[0], &record.objects[1]);
    assert!(
        a.point.is_some() && a.items == 13 && a.bytes_stored > 0 && a.problem.is_none(),
        "{a:?}"
    );
    assert_eq!(b.problem.as_ref().unwrap().code, "permission_missing");
    assert_eq!(runs(&director, &job.id).await, [record]);

    world.sources.source("c").calm();
    let failed = director.run_now(&job.id, Scope::Failed).wait().await.unwrap();
    let names: Vec<&str> = failed.objects.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        (failed.outcome, names),
        (Outcome::Complete, vec!["b@example.org", "c@example.org"])
    );
    let none = director.run_now(&job.id, Scope::Failed).wait().await.unwrap_err();
    is(&none, ErrorKind::NotFound, "none failed");

    let selected = Scope::Selected(vec!["A@example.org".to_owned()]);
    let selected = director.run_now(&job.id, selected).wait().await.unwrap();
    assert_eq!(selected.objects.len(), 1);
    let foreign = Scope::Selected(vec!["z".to_owned()]);
    is(
        &director.run_now(&job.id, foreign).wait().await.unwrap_err(),
        ErrorKind::NotFound,
        "z",
    );
    assert_eq!(
        runs(&director, &job.id).await.len(),
        3,
        "what was refused is no run"
    );

    director.edit(&job.id, |form| form.enabled = false).await.unwrap();
    let disabled = director.run_now(&job.id, Scope::All).wait().await.unwrap_err();
    is(&disabled, ErrorKind::Conflict, "disabled");
}

#[tokio::test]
async fn what_cannot_be_found_fails_and_the_rest_is_backed_up() {
    let world = World::new(4).await;
    let director = open(&world).await;
    let job = add_with(&world, &director, "Nightly", &["a", "b"], |form| {
        form.retry = None;
        form.sources[1].objects[0] = "nobody".to_owned();
        let everything = nakivo_core::director::Source {
            objects: Vec::new(),
            location: "c".to_owned(),
            ..form.sources[0].clone()
        };
        form.sources.push(everything);
    })
    .await;
    let record = director.run_now(&job.id, Scope::All).wait().await.unwrap();
    let failed: Vec<&str> = record
        .objects
        .iter()
        .filter(|one| one.point.is_none())
        .map(|one| one.problem.as_ref().unwrap().code.as_str())
        .collect();
    assert_eq!(
        (record.outcome, failed),
        (Outcome::Partial, vec!["not_found", "not_found"])
    );
    // Once the source is there, what it holds is found when the run starts.
    fill(&world.sources.source("c"));
    let record = director.run_now(&job.id, Scope::All).wait().await.unwrap();
    assert_eq!(record.objects[2].name, "c@example.org");

    let main: RepositoryName = "main".parse().unwrap();
    director.registry().detach(&main).await.unwrap();
    let record = director.run_now(&job.id, Scope::All).wait().await.unwrap();
    assert_eq!(record.outcome, Outcome::Failed);
    let problem = record.objects[0].problem.as_ref().unwrap();
    assert!(problem.message.contains("detached"), "{problem:?}");
}

#[tokio::test]
async fn retention_follows_each_point() {
    let world = World::new(5).await;
    let director = open(&world).await;
    let keep: Keep = RetentionPolicy {
        last: Some(2),
        ..RetentionPolicy::none()
    }
    .into();
    let job = add_with(&world, &director, "Nightly", &["a"], |form| {
        form.retention = Some(keep)
    })
    .await;
    for run in 0..5 {
        let record = director.run_now(&job.id, Scope::All).wait().await.unwrap();
        assert_eq!(record.objects[0].points_removed, u64::from(run >= 2), "{run}");
        assert_eq!(
            all_points(&world.lab.open().await.unwrap()).len(),
            (run + 1).min(2)
        );
        world.clock.advance(Duration::from_secs(60));
    }
    director
        .edit(&job.id, |form| form.retention = None)
        .await
        .unwrap();
    director.run_now(&job.id, Scope::All).wait().await.unwrap();
    assert_eq!(all_points(&world.lab.open().await.unwrap()).len(), 3);
}

#[tokio::test]
async fn jobs_run_when_they_are_due_and_after_each_other() {
    let world = World::new(6).await;
    let director = open(&world).await;
    let nightly = add_with(&world, &director, "Nightly", &["a"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00").ending("05:00")]);
    })
    .await;
    let hourly = add_with(&world, &director, "Often", &["b"], |form| {
        form.schedules = table(&[ScheduleForm::periodic(360)]);
    })
    .await;
    let chained = add_with(&world, &director, "After", &["c"], |form| {
        form.schedules = table(&[ScheduleForm::after(nightly.id.as_str())]);
    })
    .await;
    let running = director.start();
    world.pass(moment("2026-01-03T12:00:00Z"), async || {}).await;
    let due: Vec<String> = runs(&director, &nightly.id)
        .await
        .iter()
        .map(|run| match &run.cause {
            Cause::Schedule { due, late: false } if run.started == *due => due.to_rfc3339(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(due.len(), 3, "{due:?}");
    assert_eq!(due[0], "2026-01-01T01:00:00+00:00");
    // 06:00, 12:00, 18:00, ... until the third at noon.
    assert_eq!(runs(&director, &hourly.id).await.len(), 10);
    let after = runs(&director, &chained.id).await;
    assert_eq!(after.len(), 3);
    assert_eq!(
        after[0].cause,
        Cause::Chain {
            after: nightly.id.clone()
        }
    );
    assert!(
        after.iter().all(|run| run.outcome == Outcome::Complete),
        "{after:?}"
    );

    // Somebody else is refused meanwhile, and changes jobs all the same.
    let other = open(&world).await;
    let busy = other.run_now(&nightly.id, Scope::All).wait().await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy:?}");
    other.edit(&hourly.id, |form| form.enabled = false).await.unwrap();
    other.remove(&chained.id).await.unwrap();
    world.pass(moment("2026-01-04T12:00:00Z"), async || {}).await;
    assert_eq!(runs(&director, &hourly.id).await.len(), 10);
    assert_eq!(runs(&director, &nightly.id).await.len(), 4);
    // And what this one is asked for is done beside the schedules.
    let asked = director.run_now(&nightly.id, Scope::All);
    world.rest().await;
    assert_eq!(asked.wait().await.unwrap().cause, Cause::Asked);
    running.cancel();
    running.wait().await.unwrap();
    other.run_now(&nightly.id, Scope::All).wait().await.unwrap();
}

#[tokio::test]
async fn times_that_passed_while_nobody_looked_are_on_record() {
    let world = World::new(7).await;
    let director = open(&world).await;
    let nightly = add_with(&world, &director, "Nightly", &["a"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00").ending("05:00")]);
    })
    .await;
    // Three nights; back in the third window.
    world.clock.advance(Duration::from_secs((2 * 24 + 3) * 3600));
    let running = director.start();
    world.rest().await;
    let late = runs(&director, &nightly.id).await;
    assert!(
        matches!(late[0].cause, Cause::Schedule { late: true, .. }),
        "{late:?}"
    );
    assert_eq!((late.len(), missed(&director, &nightly.id).await), (1, 2));
    // The clock goes back by an hour: what was started is not started again.
    world.clock.jump(TimeDelta::hours(-3));
    world.pass(moment("2026-01-03T04:00:00Z"), async || {}).await;
    assert_eq!(runs(&director, &nightly.id).await.len(), 1);
    // Disabled over a night, changed, and enabled: nothing of that night is due, and nothing is missed.
    director
        .edit(&nightly.id, |form| form.enabled = false)
        .await
        .unwrap();
    world.pass(moment("2026-01-04T12:00:00Z"), async || {}).await;
    director
        .edit(&nightly.id, |form| form.enabled = true)
        .await
        .unwrap();
    world.pass(moment("2026-01-05T12:00:00Z"), async || {}).await;
    assert_eq!(
        (
            runs(&director, &nightly.id).await.len(),
            missed(&director, &nightly.id).await
        ),
        (2, 2)
    );
    running.cancel();
    running.wait().await.unwrap();
    // While it is closed, its schedule is changed: the time that passed under the old one was missed.
    world.clock.advance(Duration::from_secs(24 * 3600));
    let later = table(&[ScheduleForm::daily("13:00")]);
    director
        .edit(&nightly.id, |form| form.schedules = later)
        .await
        .unwrap();
    let running = director.start();
    world.pass(moment("2026-01-06T14:00:00Z"), async || {}).await;
    assert_eq!(
        (
            runs(&director, &nightly.id).await.len(),
            missed(&director, &nightly.id).await
        ),
        (3, 3)
    );
    running.cancel();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn a_window_that_ends_stops_the_run_and_the_next_one_goes_on() {
    let world = World::new(8).await;
    let director = open(&world).await;
    let nightly = add_with(&world, &director, "Nightly", &["a", "b"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00").ending("05:00")]);
        form.tasks = 1;
    })
    .await;
    world.sources.delay("a", Duration::from_secs(5 * 3600));
    let running = director.start();
    world.pass(moment("2026-01-01T05:30:00Z"), async || {}).await;
    let stopped = runs(&director, &nightly.id).await;
    assert_eq!((stopped.len(), stopped[0].outcome), (1, Outcome::Stopped));
    assert_eq!(stopped[0].ended, moment("2026-01-01T05:00:00Z"));
    assert!(
        stopped[0]
            .objects
            .iter()
            .all(|one| one.end == TaskEnd::Stopped && one.point.is_none())
    );
    world.sources.delay("a", Duration::from_secs(60));
    world.pass(moment("2026-01-02T05:30:00Z"), async || {}).await;
    assert_eq!(runs(&director, &nightly.id).await[1].outcome, Outcome::Complete);

    // Editing while it runs applies afterwards; stopping one object leaves the other.
    world.pass(moment("2026-01-03T01:00:30Z"), async || {}).await;
    let error = director.remove(&nightly.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    director
        .edit(&nightly.id, |form| form.name = "Renamed".to_owned())
        .await
        .unwrap();
    director
        .stop(&nightly.id, Some(vec!["b@example.org".to_owned()]))
        .await
        .unwrap();
    let nobody = director
        .stop(&nightly.id, Some(vec!["z".to_owned()]))
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound, "{nobody:?}");
    world.pass(moment("2026-01-03T02:00:00Z"), async || {}).await;
    let third = runs(&director, &nightly.id).await[2].clone();
    let ends: Vec<TaskEnd> = third.objects.iter().map(|one| one.end).collect();
    assert_eq!(
        (third.job_name.as_str(), ends),
        ("Nightly", vec![TaskEnd::Complete, TaskEnd::Stopped])
    );
    world.pass(moment("2026-01-04T02:00:00Z"), async || {}).await;
    assert_eq!(runs(&director, &nightly.id).await[3].job_name, "Renamed");

    // Stopping all; and a run that was asked for is stopped by giving it up.
    world.pass(moment("2026-01-05T01:00:30Z"), async || {}).await;
    director.stop(&nightly.id, None).await.unwrap();
    world.rest().await;
    assert_eq!(runs(&director, &nightly.id).await[4].outcome, Outcome::Stopped);
    let asked = director.run_now(&nightly.id, Scope::All);
    world.rest().await;
    asked.cancel();
    world.rest().await;
    assert_eq!(asked.wait().await.unwrap().outcome, Outcome::Stopped);
    running.cancel();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn failed_objects_are_tried_again_and_critical_errors_are_not() {
    let world = World::new(9).await;
    let director = open(&world).await;
    let job = add_with(&world, &director, "Nightly", &["a", "b", "c"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00")]);
        form.retry = Some(RetryPolicy::new(2, 10, false).unwrap());
    })
    .await;
    world.sources.break_source("a", ErrorKind::Unavailable, 2);
    world.sources.break_source("b", ErrorKind::Unauthorized, 1);
    world.sources.break_source("c", ErrorKind::Unavailable, 9);
    let running = director.start();
    world.pass(moment("2026-01-01T01:19:00Z"), async || {}).await;
    assert!(runs(&director, &job.id).await.is_empty() && director.status(&job.id).await.unwrap().running);
    world.pass(moment("2026-01-01T01:21:00Z"), async || {}).await;
    let run = runs(&director, &job.id).await[0].clone();
    let tried: Vec<(TaskEnd, u32)> = run.objects.iter().map(|one| (one.end, one.tries)).collect();
    let expected = [
        (TaskEnd::Complete, 3),
        (TaskEnd::Failed { critical: true }, 1),
        (TaskEnd::Failed { critical: false }, 3),
    ];
    assert_eq!(tried, expected);
    assert_eq!(run.ended, moment("2026-01-01T01:20:00Z"));
    running.cancel();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn no_more_tasks_run_at_once_than_the_limits_allow_and_an_object_is_in_one_job_at_a_time() {
    let world = World::new(10).await;
    let limits = Limits::new(4, 0, true).unwrap();
    let settings = DirectorSettings::default().with_limits(limits);
    let director = world.director(settings).await;
    let due = |form: &mut JobForm| form.schedules = table(&[ScheduleForm::daily("01:00")]);
    let objects = ["a", "b", "c", "d", "e"];
    let first = add_with(&world, &director, "First", &objects, due).await;
    let second = add_with(&world, &director, "Second", &["e", "d", "f"], due).await;
    for object in ["a", "b", "c", "d", "e", "f"] {
        world.sources.delay(object, Duration::from_secs(600));
    }
    let running = director.start();
    let mut most = 0;
    world
        .pass(moment("2026-01-01T03:00:00Z"), async || {
            // Everybody who sleeps but the director is a task.
            most = most.max(world.clock.waiting() - 1);
        })
        .await;
    assert_eq!(most, 4);
    let (first, second) = (
        runs(&director, &first.id).await,
        runs(&director, &second.id).await,
    );
    assert!(first[0].outcome == Outcome::Complete && second[0].outcome == Outcome::Complete);
    // Of an object that both have, one waits for the other; see below for jobs that share none.
    let one = TimeDelta::minutes(10);
    assert!(second[0].ended <= first[0].ended + one, "{first:?} {second:?}");
    running.cancel();
    running.wait().await.unwrap();
}

/// Fair, whichever of the two comes first: the small job does not wait for the large one.
#[tokio::test]
async fn a_small_job_does_not_wait_for_a_large_one() {
    let mut first_comes_first = std::collections::BTreeSet::new();
    for seed in 20..28 {
        let world = World::new(seed).await;
        let limits = Limits::new(4, 0, true).unwrap();
        let director = world
            .director(DirectorSettings::default().with_limits(limits))
            .await;
        let due = |form: &mut JobForm| form.schedules = table(&[ScheduleForm::daily("01:00")]);
        let large = add_with(&world, &director, "Large", &["a", "b", "c", "d", "e"], due).await;
        let small = add_with(&world, &director, "Small", &["f", "g"], due).await;
        for object in ["a", "b", "c", "d", "e", "f", "g"] {
            world.sources.delay(object, Duration::from_secs(600));
        }
        let running = director.start();
        world.pass(moment("2026-01-01T03:00:00Z"), async || {}).await;
        let (small_run, large_run) = (runs(&director, &small.id).await, runs(&director, &large.id).await);
        assert!(small_run[0].outcome == Outcome::Complete && large_run[0].outcome == Outcome::Complete);
        assert!(
            small_run[0].ended <= large_run[0].ended,
            "seed {seed}: {small_run:?} {large_run:?}"
        );
        first_comes_first.insert(large.id < small.id);
        running.cancel();
        running.wait().await.unwrap();
    }
    assert_eq!(first_comes_first.len(), 2, "both orders of the ids");
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let world = World::new(11).await;
    for (settings, word) in [
        (
            DirectorSettings::default().with_history_days(4),
            "history_days: '4'",
        ),
        (
            DirectorSettings::default().with_look_every_seconds(0),
            "look_every_seconds: '0'",
        ),
    ] {
        let sources = std::sync::Arc::new(nakivo_core::director::FolderSources);
        let opened = Director::open(world.env(), settings, sources, std::sync::Arc::new(NoRepository)).await;
        is(&opened.unwrap_err(), ErrorKind::InvalidInput, word);
    }
}

#[derive(Debug)]
struct NoRepository;

#[async_trait::async_trait]
impl nakivo_core::director::RepositoryProvider for NoRepository {
    async fn open(
        &self,
        entry: &nakivo_core::registry::Registration,
    ) -> nakivo_core::Result<nakivo_core::repository::Repository> {
        Err(Error::not_found("repository", &entry.name))
    }
}
