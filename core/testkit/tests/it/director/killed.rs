//! A director whose process ends before each of its steps in turn: writes of its state, and operations of the store.

use std::sync::atomic::{AtomicU32, Ordering};

use nakivo_core::ErrorKind;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::scheduler::schedule::ScheduleForm;
use nakivo_testkit::director::World;
use nakivo_testkit::oracle::{assert_point, assert_sound};
use nakivo_testkit::random::announce;

use super::{add_with, moment, open, runs, table};

/// Two objects by night, and one after them.
async fn prepare(seed: u64) -> World {
    let world = World::new(seed).await;
    let director = open(&world).await;
    let nightly = add_with(&world, &director, "Nightly", &["a", "b"], |form| {
        form.schedules = table(&[ScheduleForm::daily("01:00").ending("05:00")]);
    })
    .await;
    add_with(&world, &director, "After", &["c"], |form| {
        form.schedules = table(&[ScheduleForm::after(nightly.id.as_str())]);
    })
    .await;
    world
}

async fn a_night(world: &World) {
    let director = open(world).await;
    let running = director.start();
    world.pass(moment("2026-01-01T06:00:00Z"), async || {}).await;
    running.cancel();
    world.rest().await;
    running.wait().await.unwrap();
}

/// Everything ran once, is on record once, and what is on record is there.
async fn check(world: &World, what: &str) {
    let director = open(world).await;
    let repository = world.lab.open().await.unwrap();
    assert_sound(&repository, what).await;
    for entry in director.jobs().await.unwrap() {
        let name = entry.job.name();
        let runs = runs(&director, &entry.id).await;
        assert_eq!(runs.len(), 1, "{what}: runs of {name}: {runs:?}");
        assert!(
            runs[0].outcome == Outcome::Complete && runs[0].interruptions <= 1,
            "{what}: {runs:?}"
        );
        assert_eq!(
            runs[0].objects.len(),
            entry.job.form().sources.len(),
            "{what}: {runs:?}"
        );
        for result in &runs[0].objects {
            let source = world.sources.source(result.name.trim_end_matches("@example.org"));
            let points = repository.points(&source.object().id);
            let point = points.iter().find(|point| Some(point.id) == result.point);
            let point = point.unwrap_or_else(|| panic!("{what}: {result:?} has no such point"));
            for point in &points {
                assert_point(&repository, point, &source.truth(), what).await;
            }
            assert!(
                points.len() <= 2 && point.id == points[points.len() - 1].id,
                "{what}: {points:?}"
            );
        }
        assert!(
            !director.status(&entry.id).await.unwrap().running,
            "{what}: {name} runs on"
        );
    }
}

/// A world in which the job that runs after the other is looked at before it, or behind it: their ids are random.
fn in_order(chained_first: bool) -> u64 {
    let is_first = |seed: &u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = prepare(*seed).await;
            let director = open(&world).await;
            director.job("After").await.unwrap().id < director.job("Nightly").await.unwrap().id
        })
    };
    (21..).find(|seed| is_first(seed) == chained_first).unwrap()
}

#[test]
fn a_night_that_ends_anywhere_is_finished_by_the_next_process() {
    for chained_first in [false, true] {
        let seed = in_order(chained_first);
        let mut last = 1;
        loop {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let world = runtime.block_on(prepare(seed));
            let what = format!("seed {seed}, ended before step {last}");
            let whole = world.in_a_process(last, async || a_night(&world).await);
            world.in_a_process(0, async || a_night(&world).await).unwrap();
            world
                .in_a_process(0, async || check(&world, &what).await)
                .unwrap();
            if whole.is_some() {
                break;
            }
            last += 1;
        }
        announce(&format!(
            "director: seed {seed}, ended before each of {last} steps of a night"
        ));
        assert!(last > 40, "{last}");
    }
}

/// One change after the other; says which were acknowledged.
async fn change(world: &World, acknowledged: &AtomicU32) {
    let director = open(world).await;
    let after = director.job("After").await.unwrap().id;
    add_with(world, &director, "New", &["d"], |_| {}).await;
    acknowledged.store(1, Ordering::SeqCst);
    let foreign = Scope::Selected(vec!["z".to_owned()]);
    director.run_now(&after, foreign).wait().await.unwrap_err();
    acknowledged.store(2, Ordering::SeqCst);
    director.run_now(&after, Scope::All).wait().await.unwrap();
    acknowledged.store(3, Ordering::SeqCst);
    director
        .edit(&after, |form| form.name = "Other".to_owned())
        .await
        .unwrap();
    acknowledged.store(4, Ordering::SeqCst);
    director.remove(&after).await.unwrap();
    acknowledged.store(5, Ordering::SeqCst);
}

/// What was acknowledged is there, and what was not is there whole or not at all.
async fn check_changes(world: &World, acknowledged: u32, what: &str) {
    let director = open(world).await;
    let jobs = director.jobs().await.unwrap();
    let find = |name: &str| jobs.iter().find(|entry| entry.job.name() == name);
    assert!(find("Nightly").is_some(), "{what}: {jobs:?}");
    assert!(find("New").is_some() || acknowledged < 1, "{what}: {jobs:?}");
    assert!(find("After").is_none() || acknowledged < 4, "{what}: {jobs:?}");
    assert!(find("Other").is_none() || acknowledged < 5, "{what}: {jobs:?}");
    let Some(entry) = find("After").or_else(|| find("Other")) else {
        return;
    };
    let status = director.status(&entry.id).await.unwrap();
    if acknowledged == 2 {
        // What was refused leaves no run behind, only the next one may have begun.
        let begun = runs(&director, &entry.id).await.len();
        assert!(begun <= 1, "{what}");
    }
    if acknowledged >= 3 {
        assert!(!status.running, "{what}: {status:?}");
        assert_eq!(runs(&director, &entry.id).await.len(), 1, "{what}");
    }
    // Whatever was left of a run is finished by the next that is asked for; what was refused is none of it.
    let record = director.run_now(&entry.id, Scope::All).wait().await;
    let refused = record
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound);
    assert!(!refused || acknowledged < 2, "{what}: {record:?}");
}

#[test]
fn changes_that_end_anywhere_are_whole_and_what_was_acknowledged_stays() {
    let mut last = 1;
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(prepare(21));
        let acknowledged = AtomicU32::new(0);
        let whole = world
            .in_a_process(last, async || change(&world, &acknowledged).await)
            .is_some();
        let what = format!("ended before step {last}");
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        world
            .in_a_process(0, async || check_changes(&world, acknowledged, &what).await)
            .unwrap();
        if whole {
            break;
        }
        last += 1;
    }
    announce(&format!("director: ended before each of {last} steps of changes"));
    assert!(last > 20, "{last}");
}
