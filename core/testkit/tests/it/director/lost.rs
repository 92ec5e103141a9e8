//! The journal where processes end and stores fail: before every write of the state and every operation of the store.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use nakivo_core::ErrorKind;
use nakivo_core::director::{JobEntry, JobForm};
use nakivo_core::seams::Clock as _;
use nakivo_testkit::director::{Entries, World};
use nakivo_testkit::fault::{Failure, Fault, Matcher, Rule, When};
use nakivo_testkit::random::announce;

use super::journal::{forms, is_written, journals, names, restore};
use super::{add, is, open};

/// Changes one after the other; says which were acknowledged.
async fn change(world: &World, acknowledged: &AtomicU32) {
    let director = open(world).await;
    let first = add(world, &director, "First", &["a"]).await;
    acknowledged.store(1, Ordering::SeqCst);
    add(world, &director, "Second", &["b"]).await;
    acknowledged.store(2, Ordering::SeqCst);
    let renamed = |form: &mut JobForm| form.name = "Other".to_owned();
    director.edit(&first.id, renamed).await.unwrap();
    acknowledged.store(3, Ordering::SeqCst);
    director.remove(&first.id).await.unwrap();
    acknowledged.store(4, Ordering::SeqCst);
}

/// What there may be when so many changes were acknowledged: that, or one change more.
const STAGES: [&[&str]; 5] = [
    &[],
    &["First"],
    &["First", "Second"],
    &["Other", "Second"],
    &["Second"],
];

fn check_stage(jobs: &[JobEntry], acknowledged: u32, what: &str) {
    let at = acknowledged as usize;
    let allowed = &STAGES[at..STAGES.len().min(at + 2)];
    assert!(
        allowed.contains(&names(jobs).as_slice()),
        "{what}: {:?}",
        names(jobs)
    );
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_the_state_wherever_the_process_ends() {
    let mut last = 1;
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(World::new(38));
        let acknowledged = AtomicU32::new(0);
        let whole = world.in_a_process(last, async || change(&world, &acknowledged).await);
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        let what = format!("ended before step {last}, {acknowledged} acknowledged");
        let lost = world.elsewhere(39, Entries::new());
        let check = async || match restore(&lost, None).await {
            Ok(restored) => check_stage(&restored.jobs, acknowledged, &what),
            Err(error) => {
                is(&error, ErrorKind::NotFound, "no journal");
                assert_eq!(acknowledged, 0, "{what}");
            }
        };
        world.in_a_process(0, check).unwrap();
        if whole.is_some() {
            break;
        }
        last += 1;
    }
    announce(&format!(
        "journal: state lost before each of {last} steps of changes"
    ));
    assert!(last > 15, "{last}");
}

#[test]
fn whoever_keeps_the_state_goes_on_with_one_journal_wherever_the_process_ends() {
    let mut last = 1;
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(World::new(40));
        let acknowledged = AtomicU32::new(0);
        let whole = world.in_a_process(last, async || change(&world, &acknowledged).await);
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        let what = format!("ended before step {last}, {acknowledged} acknowledged");
        let check = async || {
            let director = open(&world).await;
            check_stage(&director.jobs().await.unwrap(), acknowledged, &what);
            // The next change brings with it what could not be written.
            add(&world, &director, "Last", &["z"]).await;
            is_written(&director).await;
            let jobs = director.jobs().await.unwrap();
            let lost = world.elsewhere(41, Entries::new());
            let restored = restore(&lost, None).await.unwrap();
            assert_eq!(forms(&restored.jobs), forms(&jobs), "{what}");
            assert_eq!(
                journals(&world).await.len(),
                2,
                "{what}: the old one and the restored one"
            );
        };
        world.in_a_process(0, check).unwrap();
        if whole.is_some() {
            break;
        }
        last += 1;
    }
    announce(&format!("journal: ended before each of {last} steps of changes"));
}

#[test]
fn a_restore_that_ends_anywhere_is_finished_by_the_next() {
    let mut last = 1;
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(World::new(42));
        let acknowledged = AtomicU32::new(0);
        runtime.block_on(change(&world, &acknowledged));
        let other = world.elsewhere(43, Entries::new());
        let whole = other.in_a_process(last, async || restore(&other, None).await.unwrap());
        let what = format!("ended before step {last}");
        let check = async || {
            let director = open(&other).await;
            if director.jobs().await.unwrap().is_empty() {
                restore(&other, None).await.unwrap();
            }
            director.journal().await.unwrap();
            is_written(&director).await;
            assert_eq!(names(&director.jobs().await.unwrap()), ["Second"], "{what}");
            // It is clear whose journal counts.
            let third = world.elsewhere(44, Entries::new());
            let again = restore(&third, None).await.unwrap();
            let status = director.journal_status().await.unwrap();
            assert_eq!(Some(again.from.director), status.director, "{what}");
        };
        other.in_a_process(0, check).unwrap();
        if whole.is_some() {
            break;
        }
        last += 1;
    }
    announce(&format!("journal: restore ended before each of {last} steps"));
    assert!(last > 5, "{last}");
}

/// The store fails one operation, or does it and says that it failed: the job is there, and at the next occasion journalled, once.
#[tokio::test]
async fn a_store_that_fails_at_any_operation_leaves_one_journal() {
    for fault in [
        Fault::Fail(Failure::PermissionDenied),
        Fault::FailAfter(Failure::PermissionDenied),
        Fault::FailAfter(Failure::Unavailable),
        Fault::Fail(Failure::DiskFull),
    ] {
        let mut number = 0;
        loop {
            let what = format!("{fault:?} at operation {number}");
            let world = World::new(57).await;
            add(&world, &open(&world).await, "First", &["a"]).await;
            let before = world.faults.faults();
            world
                .faults
                .inject(Rule::new(Matcher::any(), When::Nth(number), fault.clone()));
            let director = open(&world).await;
            let (adding, form) = (director.clone(), world.job("Second", &["b"]));
            let adding = tokio::spawn(async move { adding.add(form).await });
            // Who tries again waits for the clock.
            let later = world.clock.now() + TimeDelta::minutes(5);
            world.pass(later, async || {}).await;
            adding.await.unwrap().unwrap();
            let hit = world.faults.faults() > before;
            world.faults.heal();
            director.journal().await.unwrap();
            is_written(&director).await;
            assert_eq!(journals(&world).await.len(), 1, "{what}");
            let lost = world.elsewhere(59, Entries::new());
            let restored = restore(&lost, None).await.unwrap();
            assert_eq!(names(&restored.jobs), ["First", "Second"], "{what}");
            if !hit {
                break;
            }
            number += 1;
        }
        announce(&format!(
            "journal: {fault:?} at each of {number} operations of the store"
        ));
        assert!(number > 5, "{number}");
    }
}
