//! The journal: whatever becomes of the state, the jobs come back from a repository, and nothing is written over that is unknown.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::scheduler::schedule::ScheduleForm;
use nakivo_core::director::{
    Director, DirectorEvent, DirectorId, JobEntry, JobForm, JournalHead, OriginKind, Restored,
};
use nakivo_core::registry::{Access, RepositoryName};
use nakivo_core::seams::Clock as _;
use nakivo_core::{ErrorKind, Result};
use nakivo_testkit::director::{Entries, World};
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::oracle::assert_sound;

use super::{add, add_with, is, moment, open, table};

fn access() -> Access {
    Access {
        url: "file:/mnt/main".to_owned(),
        ..Access::default()
    }
}

pub(super) async fn restore(world: &World, choice: Option<DirectorId>) -> Result<Restored> {
    let director = open(world).await;
    let repository = world.lab.open().await.unwrap();
    director.restore(&repository, access(), choice).await
}

pub(super) async fn journals(world: &World) -> Vec<JournalHead> {
    let repository = world.lab.open().await.unwrap();
    Director::journals_in(&repository).await.unwrap()
}

pub(super) fn forms(jobs: &[JobEntry]) -> Vec<(String, JobForm)> {
    let form = |entry: &JobEntry| (entry.id.to_string(), entry.job.form().clone());
    jobs.iter().map(form).collect()
}

pub(super) fn names(jobs: &[JobEntry]) -> Vec<&str> {
    jobs.iter().map(|entry| entry.job.name()).collect()
}

/// Everything that a job uses is journalled as it is now.
pub(super) async fn is_written(director: &Director) {
    let status = director.journal_status().await.unwrap();
    assert!(
        !status.is_behind() && !status.repositories.is_empty(),
        "{status:?}"
    );
}

#[tokio::test]
async fn jobs_come_back_from_a_repository_alone_and_go_on() {
    let world = World::new(31).await;
    let director = open(&world).await;
    let nightly = add_with(&world, &director, "Nightly", &["a"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00").ending("05:00")]);
    })
    .await;
    add_with(&world, &director, "After", &["b"], |form| {
        form.schedules = table(&[ScheduleForm::after(nightly.id.as_str())]);
    })
    .await;
    let gone = add(&world, &director, "Gone", &["c"]).await;
    director.run_now(&nightly.id, Scope::All).wait().await.unwrap();
    let renamed = |form: &mut JobForm| form.name = "Every night".to_owned();
    director.edit(&nightly.id, renamed).await.unwrap();
    director.remove(&gone.id).await.unwrap();
    is_written(&director).await;
    let before = director.jobs().await.unwrap();
    drop(director);

    world.clock.advance(Duration::from_secs(3 * 3600));
    let other = world.elsewhere(32, Entries::new());
    let restored = restore(&other, None).await.unwrap();
    assert_eq!(forms(&restored.jobs), forms(&before));
    assert_eq!(names(&restored.jobs), ["Every night", "After"]);
    assert!(
        restored
            .jobs
            .iter()
            .all(|entry| entry.due_since == world.clock.now())
    );
    let [entry] = restored.repositories.as_slice() else {
        panic!("{:?}", restored.repositories)
    };
    assert_eq!(
        (entry.name.as_str(), entry.url.as_str()),
        ("main", "file:/mnt/main")
    );
    assert!(!restored.journal.is_behind(), "{:?}", restored.journal);

    let director = open(&other).await;
    assert_eq!(director.jobs().await.unwrap(), restored.jobs);
    let record = director.run_now(&nightly.id, Scope::All).wait().await.unwrap();
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!(
        record.objects[0].added, 0,
        "the run goes on from the point before: {record:?}"
    );
    assert_sound(&other.lab.open().await.unwrap(), "after the restore").await;
    // Once more, from what the new director wrote: the old journal is part of it.
    let third = other.elsewhere(33, Entries::new());
    let again = restore(&third, None).await.unwrap();
    assert_eq!(Some(again.from.director), restored.journal.director);
    assert_eq!(forms(&again.jobs), forms(&before));
}

#[tokio::test]
async fn a_state_with_jobs_or_a_repository_without_a_journal_is_refused() {
    let world = World::new(34).await;
    let lost = world.elsewhere(35, Entries::new());
    is(
        &restore(&lost, None).await.unwrap_err(),
        ErrorKind::NotFound,
        "no journal",
    );
    let director = open(&world).await;
    let entry = add(&world, &director, "Nightly", &["a"]).await;
    is(
        &restore(&world, None).await.unwrap_err(),
        ErrorKind::Conflict,
        "has jobs",
    );
    let nobody: DirectorId = "00000000000000000000000000000000".parse().unwrap();
    let unknown = restore(&lost, Some(nobody)).await.unwrap_err();
    is(&unknown, ErrorKind::NotFound, "00000000");
    assert!(unknown.hint().unwrap().contains("1 jobs"), "{unknown:?}");

    // A name that stands for something else here.
    let main: RepositoryName = "main".parse().unwrap();
    let second = World::new(36).await;
    let registry = second.state.entries().remove("repositories").unwrap();
    lost.state
        .set_back([("repositories".to_owned(), registry)].into());
    is(
        &restore(&lost, None).await.unwrap_err(),
        ErrorKind::Conflict,
        main.as_str(),
    );
    assert!(open(&lost).await.jobs().await.unwrap().is_empty());

    // That the last job is removed is journalled, too.
    director.remove(&entry.id).await.unwrap();
    let empty = world.elsewhere(37, Entries::new());
    assert!(restore(&empty, None).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn a_state_that_was_set_back_writes_over_nothing() {
    let world = World::new(45).await;
    let director = open(&world).await;
    add(&world, &director, "First", &["a"]).await;
    let before = world.state.entries();
    add(&world, &director, "Second", &["b"]).await;
    let [newer] = journals(&world).await.try_into().unwrap();
    drop(director);

    world.state.set_back(before);
    let director = open(&world).await;
    let mut events = director.watch();
    assert_eq!(names(&director.jobs().await.unwrap()), ["First"]);
    // Also where nothing is changed: the next run notices.
    let first = director.job("First").await.unwrap();
    director.run_now(&first.id, Scope::All).wait().await.unwrap();
    let apart = std::iter::from_fn(|| events.try_recv().ok())
        .find(|event| matches!(event, DirectorEvent::SetApart { before, .. } if *before == newer.director));
    assert!(apart.is_some());
    is_written(&director).await;
    let status = director.journal_status().await.unwrap();
    let origin = status.origin.unwrap();
    assert_eq!(
        (origin.director, origin.kind),
        (newer.director, OriginKind::SetBack)
    );
    add(&world, &director, "Third", &["c"]).await;

    // Both are there; which one is meant has to be said.
    assert_eq!(journals(&world).await.len(), 2);
    let lost = world.elsewhere(46, Entries::new());
    let error = restore(&lost, None).await.unwrap_err();
    is(&error, ErrorKind::Conflict, "several directors");
    assert!(
        error.hint().unwrap().contains(&newer.director.to_string()),
        "{error:?}"
    );
    let restored = restore(&lost, Some(newer.director)).await.unwrap();
    assert_eq!(names(&restored.jobs), ["First", "Second"]);
    let lost = world.elsewhere(47, Entries::new());
    let restored = restore(&lost, status.director).await.unwrap();
    assert_eq!(names(&restored.jobs), ["First", "Third"]);
}

#[tokio::test]
async fn a_copy_of_a_state_and_a_second_director_keep_journals_of_their_own() {
    let world = World::new(48).await;
    let director = open(&world).await;
    add(&world, &director, "First", &["a"]).await;
    let copy = world.elsewhere(49, world.state.entries());
    let copied = open(&copy).await;
    // Both change, one after the other, several times.
    for round in 0..3 {
        add(&world, &director, &format!("here {round}"), &["a"]).await;
        add(&copy, &copied, &format!("there {round}"), &["a"]).await;
        is_written(&director).await;
        is_written(&copied).await;
    }
    let stranger = world.elsewhere(50, Entries::new());
    let registry = world.state.entries().remove("repositories").unwrap();
    stranger
        .state
        .set_back([("repositories".to_owned(), registry)].into());
    let strange = open(&stranger).await;
    add(&stranger, &strange, "Strange", &["s"]).await;
    assert_eq!(journals(&world).await.len(), 3);
    for one in [&director, &copied, &strange] {
        let id = one.journal_status().await.unwrap().director;
        let lost = world.elsewhere(51, Entries::new());
        let restored = restore(&lost, id).await.unwrap();
        assert_eq!(forms(&restored.jobs), forms(&one.jobs().await.unwrap()));
    }
    // What is forgotten of one that is alive is written anew, and of others nothing changes.
    let repository = world.lab.open().await.unwrap();
    let own = director.journal_status().await.unwrap().director.unwrap();
    let before = journals(&world).await;
    Director::forget_journal(&repository, own).await.unwrap();
    let gone = Director::forget_journal(&repository, own).await.unwrap_err();
    is(&gone, ErrorKind::NotFound, &own.to_string());
    let others = before.iter().filter(|head| head.director != own).cloned();
    assert_eq!(journals(&world).await, others.collect::<Vec<_>>());
    // Who was brought back elsewhere is told at the next occasion.
    add(&world, &director, "Last", &["a"]).await;
    let status = director.journal_status().await.unwrap();
    assert!(status.repositories[0].successor.is_some(), "{status:?}");
    assert!(journals(&world).await.iter().any(|head| head.director == own));
}

#[tokio::test]
async fn what_cannot_be_written_is_visible_and_written_at_the_next_occasion() {
    let world = World::new(52).await;
    let director = open(&world).await;
    let first = add(&world, &director, "First", &["a"]).await;
    let refuse = || {
        let fault = Fault::Fail(Failure::PermissionDenied);
        world.faults.inject(Rule::new(
            Matcher::kind(OperationKind::Put).path("*log/*"),
            When::Always,
            fault,
        ));
    };
    refuse();
    let mut events = director.watch();
    add(&world, &director, "Second", &["b"]).await;
    let behind =
        |event: &DirectorEvent| matches!(event, DirectorEvent::JournalBehind { name, .. } if name == "main");
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|event| behind(&event)));
    let status = director.journal_status().await.unwrap();
    let [standing] = status.repositories.as_slice() else {
        panic!("{status:?}")
    };
    assert!(standing.behind && standing.problem.is_some(), "{standing:?}");
    assert_eq!(standing.behind_since, Some(world.clock.now()));
    assert_eq!((standing.revision, status.revision), (Some(1), 2));

    // A run opens the repository anyway.
    world.faults.heal();
    director.run_now(&first.id, Scope::All).wait().await.unwrap();
    is_written(&director).await;

    // While the director runs, it tries again by itself, and notices what others changed.
    refuse();
    let running = director.start();
    world.rest().await;
    let other = open(&world).await;
    add(&world, &other, "Third", &["c"]).await;
    let soon = world.clock.now() + TimeDelta::minutes(10);
    world.pass(soon, async || {}).await;
    assert!(director.journal_status().await.unwrap().is_behind());
    world.faults.heal();
    world.pass(soon + TimeDelta::minutes(10), async || {}).await;
    is_written(&director).await;
    let main: RepositoryName = "main".parse().unwrap();
    let describe = |entry: &mut nakivo_core::registry::Registration| {
        entry.description = Some("in the cellar".to_owned());
    };
    other.registry().edit(&main, describe).await.unwrap();
    assert!(director.journal_status().await.unwrap().is_behind());
    world.pass(soon + TimeDelta::minutes(12), async || {}).await;
    is_written(&director).await;
    running.cancel();
    world.rest().await;
    running.wait().await.unwrap();
    let lost = world.elsewhere(53, Entries::new());
    let restored = restore(&lost, None).await.unwrap();
    assert_eq!(
        restored.repositories[0].description.as_deref(),
        Some("in the cellar")
    );

    // Detached: no try is made, and the change is made all the same.
    director.registry().detach(&main).await.unwrap();
    add(&world, &director, "Fourth", &["d"]).await;
    let status = director.journal_status().await.unwrap();
    assert_eq!(
        status.repositories[0].problem.as_ref().unwrap().code,
        "unavailable"
    );
}

/// Whoever answers late must not bring back what was changed meanwhile.
#[tokio::test]
async fn an_older_entry_that_arrives_after_a_newer_one_changes_nothing() {
    let world = World::new(54).await;
    let slow_store = FaultStore::with_clock(world.faults.inner(), Arc::new(world.clock.clone()));
    let slow = world.through(slow_store.handle(), 55);
    let (late, quick) = (open(&slow).await, open(&world).await);
    add(&world, &quick, "First", &["a"]).await;
    let fault = Fault::Delay(Duration::from_secs(20));
    slow_store.inject(Rule::new(
        Matcher::kind(OperationKind::Put).path("*log/*"),
        When::Nth(0),
        fault,
    ));
    let form = slow.job("Second", &["b"]);
    let adding = tokio::spawn(async move { late.add(form).await });
    world.rest().await;
    assert_eq!(journals(&world).await[0].revision, 1, "it is under way");
    add(&world, &quick, "Third", &["c"]).await;
    assert_eq!(journals(&world).await[0].revision, 3);
    world.clock.advance(Duration::from_secs(21));
    adding.await.unwrap().unwrap();
    let [head] = journals(&world).await.try_into().unwrap();
    assert_eq!((head.revision, head.jobs), (3, 3));
    is_written(&quick).await;
}

/// Nothing of a job is in clear in a repository, encrypted or not; and nothing of the journal passes for a run.
#[tokio::test]
async fn a_journal_is_sealed_and_no_object() {
    let world = World::new(56).await;
    let director = open(&world).await;
    add(&world, &director, "Peculiar name", &["a"]).await;
    let repository = world.lab.open().await.unwrap();
    assert!(repository.all_points().is_empty() && repository.objects().is_empty());
    assert_sound(&repository, "with a journal").await;
    let stored = Image::of(&*world.faults.inner()).await.unwrap();
    for (path, bytes) in stored.objects() {
        let found = bytes.windows(13).any(|window| window == b"Peculiar name");
        assert!(!found, "{path}");
    }
    let from = moment("2026-01-01T00:00:00Z");
    assert_eq!(journals(&world).await[0].written, from);
}

/// The configuration lies in each commit that changes it, so it has a limit: beyond, nothing else fails.
#[tokio::test]
async fn what_is_too_large_to_be_written_is_visible_and_the_job_is_kept() {
    let world = World::new(58).await;
    let director = open(&world).await;
    let mut form = world.job("Large", &["a"]);
    form.sources[0].objects = (0..90_000).map(|number| format!("{number:0>200}")).collect();
    let large = director.add(form).await.unwrap();
    let status = director.journal_status().await.unwrap();
    let problem = status.repositories[0].problem.as_ref().unwrap();
    assert!(problem.message.contains("at most 16 MiB"), "{problem:?}");
    assert!(journals(&world).await.is_empty());
    director.remove(&large.id).await.unwrap();
    add(&world, &director, "Small", &["a"]).await;
    is_written(&director).await;
}
