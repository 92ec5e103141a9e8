//! A director whose process ends before each of its steps in turn: writes of its state, and operations of the store.

use std::sync::atomic::{AtomicBool, Ordering};

use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::scheduler::schedule::ScheduleForm;
use nakivo_testkit::director::World;
use nakivo_testkit::oracle::{assert_point, assert_sound};
use nakivo_testkit::random::announce;

use super::{add_with, moment, open, runs, table};

/// Two objects by night, and one after them.
async fn prepare() -> World {
    let world = World::new(21).await;
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

#[test]
fn a_night_that_ends_anywhere_is_finished_by_the_next_process() {
    let fresh = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(prepare())
    };
    let mut last = 1;
    loop {
        let world = fresh();
        let what = format!("ended before step {last}");
        let whole = world.in_a_process(last, async || a_night(&world).await).is_some();
        world.in_a_process(0, async || a_night(&world).await).unwrap();
        world
            .in_a_process(0, async || check(&world, &what).await)
            .unwrap();
        if whole {
            break;
        }
        last += 1;
    }
    announce(&format!("director: ended before each of {last} steps of a night"));
    assert!(last > 40, "{last}");
}

/// What was acknowledged is there, and what was not is there whole or not at all.
#[test]
fn changes_of_jobs_that_end_anywhere_are_whole() {
    for last in 1..=12 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(prepare());
        let (added, edited, removed) = (
            AtomicBool::new(false),
            AtomicBool::new(false),
            AtomicBool::new(false),
        );
        world.in_a_process(last, async || {
            let director = open(&world).await;
            let after = director.job("After").await.unwrap().id;
            add_with(&world, &director, "New", &["d"], |_| {}).await;
            added.store(true, Ordering::SeqCst);
            director.run_now(&after, Scope::All).wait().await.unwrap();
            director
                .edit(&after, |form| form.name = "Other".to_owned())
                .await
                .unwrap();
            edited.store(true, Ordering::SeqCst);
            director.remove(&after).await.unwrap();
            removed.store(true, Ordering::SeqCst);
        });
        let names = world.in_a_process(0, async || {
            let jobs = open(&world).await.jobs().await.unwrap();
            jobs.iter()
                .map(|entry| entry.job.name().to_owned())
                .collect::<Vec<_>>()
        });
        let names = names.unwrap();
        let has = |name: &str| names.iter().any(|known| known == name);
        let was = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        assert!(has("Nightly"), "{last}: {names:?}");
        assert!(has("New") || !was(&added), "{last}: {names:?}");
        assert!(
            !(was(&edited) && has("After") || was(&removed) && has("Other")),
            "{last}: {names:?}"
        );
    }
}
