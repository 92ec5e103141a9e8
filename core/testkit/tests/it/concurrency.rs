//! Two writers on two machines, one store, no locks.

use std::time::Duration;

use nakivo_core::repository::PointSelector;
use nakivo_testkit::fault::{FaultStore, SeededFaults};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::oracle::{Memory, all_points, assert_ledger, assert_point, assert_sound};
use nakivo_testkit::random::{SeededRng, announce};
use nakivo_testkit::scripted::{RandomEdits, ScriptedConnector, Settings};

fn source(name: &str) -> (ScriptedConnector, RandomEdits) {
    let edits = RandomEdits::new(SeededRng::new(name.len() as u64), 2);
    let connector = ScriptedConnector::new(name, Settings::default());
    change(&connector, &edits, 25);
    (connector, edits)
}

fn change(connector: &ScriptedConnector, edits: &RandomEdits, count: usize) {
    for _ in 0..count {
        let _ = connector.try_edit(&edits.next(&connector.view()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_in_turn_see_and_keep_each_others_points() {
    let here = Lab::memory(1);
    let there = here.elsewhere(2);
    let first = here.create().await.unwrap();
    let second = there.open().await.unwrap();
    let (one, one_edits) = source("one");
    let (other, other_edits) = source("another");
    let mut memory = Memory::default();
    for round in 0..20 {
        for (lab, repository, source, edits) in [
            (&here, &first, &one, &one_edits),
            (&there, &second, &other, &other_edits),
        ] {
            lab.clock.advance(Duration::from_secs(60));
            change(source, edits, 4);
            let report = back_up(repository, source).await.unwrap();
            assert_ledger(&report, "in turn");
            memory.keep(report.point, source.truth());
        }
        first.refresh().await.unwrap();
        second.refresh().await.unwrap();
        assert_eq!(all_points(&first).len(), memory.len(), "round {round}");
        assert_eq!(all_points(&second).len(), memory.len(), "round {round}");
    }
    memory.assert_all(&first, "first writer").await;
    memory.assert_all(&second, "second writer").await;
    assert_sound(&here.elsewhere(9).open().await.unwrap(), "a third one").await;
    announce(&format!(
        "two writers in turn: {} points, all seen and read by both",
        memory.len()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_the_same_time_all_commit() {
    let here = Lab::memory(1);
    here.create().await.unwrap();
    let mut memory = Memory::default();
    let mut sources = Vec::new();
    for name in ["a", "bb", "ccc", "dddd"] {
        let lab = here.elsewhere(name.len() as u64 + 10);
        sources.push((lab.open().await.unwrap(), source(name), lab));
    }
    for _ in 0..6 {
        let runs = sources
            .iter()
            .map(|(repository, (source, edits), lab)| async move {
                lab.clock.advance(Duration::from_secs(60));
                change(source, edits, 4);
                let report = back_up(repository, source).await.unwrap();
                assert_ledger(&report, "at the same time");
                (report.point, source.truth())
            });
        for (point, truth) in futures::future::join_all(runs).await {
            memory.keep(point, truth);
        }
    }
    let fresh = here.elsewhere(99).open().await.unwrap();
    memory.assert_all(&fresh, "fresh").await;
    assert_sound(&fresh, "fresh").await;
    announce(&format!("four writers at the same time: {} points", memory.len()));
}

/// Two machines protect the same object, one after the other and at the same time: each point equals the truth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_the_same_object_never_mix() {
    let here = Lab::memory(1);
    let first = here.create().await.unwrap();
    let there = here.elsewhere(2);
    let second = there.open().await.unwrap();
    let (source, edits) = source("same");
    let mut memory = Memory::default();
    for round in 0..8 {
        here.clock.advance(Duration::from_secs(60));
        there.clock.advance(Duration::from_secs(60));
        change(&source, &edits, 6);
        if round % 2 == 0 {
            let (a, b) = tokio::join!(back_up(&first, &source), back_up(&second, &source));
            memory.keep(a.unwrap().point, source.truth());
            memory.keep(b.unwrap().point, source.truth());
        } else {
            memory.keep(back_up(&first, &source).await.unwrap().point, source.truth());
        }
    }
    let fresh = here.elsewhere(99).open().await.unwrap();
    memory.assert_all(&fresh, "same object").await;
    let latest = fresh.point(&source.object().id, &PointSelector::Latest).unwrap();
    assert_point(&fresh, &latest, &source.truth(), "the latest point").await;
}

/// A store that fails and lags at random under two writers: passing faults cost retries, never data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_over_a_flaky_store() {
    let rng = SeededRng::from_environment("two writers over a flaky store", 5);
    let plain = Lab::memory(1);
    plain.create().await.unwrap();
    let store = FaultStore::new(plain.store.clone());
    let labs = [Lab::over(store.handle(), 2), Lab::over(store.handle(), 3)];
    let sources = [source("x"), source("yy")];
    store.inject_seeded(
        SeededFaults {
            fail: 4,
            fail_after: 4,
            delay: 10,
            list: 30,
        },
        rng,
    );
    let mut memory = Memory::default();
    let mut failed = 0;
    for _ in 0..6 {
        let runs = labs
            .iter()
            .zip(&sources)
            .map(|(lab, (source, edits))| async move {
                lab.clock.advance(Duration::from_secs(60));
                change(source, edits, 4);
                let repository = lab.open().await?;
                Ok::<_, nakivo_core::Error>((back_up(&repository, source).await?.point, source.truth()))
            });
        for result in futures::future::join_all(runs).await {
            match result {
                Ok((point, truth)) => memory.keep(point, truth),
                Err(error) => {
                    assert!(error.kind().is_retryable(), "{error:?}");
                    failed += 1;
                }
            }
        }
    }
    announce(&format!(
        "flaky store: {} operations, {} disturbed, {} points, {failed} runs failed",
        store.operations(),
        store.faults(),
        memory.len()
    ));
    let fresh = plain.elsewhere(99).open().await.unwrap();
    memory.assert_all(&fresh, "flaky").await;
    assert_sound(&fresh, "flaky").await;
    assert!(
        store.faults() > 10 && memory.len() >= 8,
        "the store was not flaky, or too much so"
    );
}
