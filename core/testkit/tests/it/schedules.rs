//! Backups and reclaim in every order of their steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use nakivo_core::format::ids::PointId;
use nakivo_core::repository::Repository;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::random::{announce, environment_number};
use nakivo_testkit::schedules::{
    Ending, Explored, Outcome, Steps, Work, every_operation, explore, writes, writes_and_log,
};
use nakivo_testkit::scripted::ScriptedConnector;

use crate::many::Failures;
use crate::reclaim::{Start, another, reclaim};

const MOST_SITUATIONS: usize = 2_000_000;

/// An actor that has opened the repository before anybody took a step: whatever the others do, it knows it as it was.
fn actor<F: Future<Output = Outcome> + 'static>(
    seed: u64,
    work: impl Fn(Repository) -> F + Send + Sync + Copy + 'static,
) -> Work {
    Arc::new(move |store, gate| {
        async move {
            let repository = Lab::over(store, seed).in_place().open().await.unwrap();
            gate.open();
            work(repository).await
        }
        .boxed_local()
    })
}

async fn run(repository: Repository, source: ScriptedConnector) -> Outcome {
    match back_up(&repository, &source).await {
        Ok(report) => Ok(report.point.to_string()),
        Err(error) => Err(format!("{:?}: {error}", error.kind())),
    }
}

fn backup(seed: u64, source: fn() -> ScriptedConnector) -> Work {
    actor(seed, move |repository| run(repository, source()))
}

fn reclaimer(seed: u64) -> Work {
    actor(seed, |repository| async move {
        match reclaim(&repository).await {
            Ok(_) => Ok(String::new()),
            Err(error) => Err(format!("{:?}: {error}", error.kind())),
        }
    })
}

async fn check(start: &Start, ending: Ending, backups: &[(usize, ScriptedConnector)]) {
    let what = format!("in the order {}", ending.order);
    let mut added = BTreeMap::new();
    for (number, outcome) in ending.outcomes.iter().enumerate() {
        let source = backups.iter().find(|(actor, _)| *actor == number);
        match (source, outcome) {
            (Some((_, source)), Ok(point)) => {
                added.insert(point.parse::<PointId>().unwrap(), source.truth());
            }
            // Only what was removed under its hands may stop a run, and never without a word.
            (Some(_), Err(error)) => assert!(error.starts_with("Conflict"), "{what}: {error}"),
            (None, Ok(_)) => {}
            (None, Err(error)) => panic!("{what}: reclaim: {error}"),
        }
    }
    let lab = Lab::over(ending.image.open().await, 6);
    start.settle_all(&lab, added, &what).await;
}

/// Tries every order and checks every ending. `backups` says which actors are backups, and of what.
async fn try_all(
    name: &str,
    actors: &[Work],
    backups: &[(usize, ScriptedConnector)],
    steps: Steps,
) -> Explored {
    let started = Instant::now();
    let start = Start::new().await;
    let mut explored = tokio::task::block_in_place(|| explore(&start.image, actors, steps, MOST_SITUATIONS));
    let failures = Failures::default();
    let endings = std::mem::take(&mut explored.endings);
    let refused = endings
        .iter()
        .filter(|ending| ending.outcomes.iter().any(Result::is_err))
        .count();
    announce(&format!(
        "schedules: {name}: steps {:?}, {} orders, {} situations, {} runs, {} endings, {refused} of them with a run refused; {:.1} s",
        explored.steps,
        explored.orders,
        explored.situations,
        explored.runs,
        endings.len(),
        started.elapsed().as_secs_f64()
    ));
    for ending in endings {
        failures.attempt(check(&start, ending, backups)).await;
    }
    failures.assert_none();
    explored
}

/// Each operation of each actor is a step, more than twelve of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_and_a_reclaim_in_every_order() {
    let actors = [backup(100, Start::next), reclaimer(200)];
    let explored = try_all(
        "backup x reclaim",
        &actors,
        &[(0, Start::next())],
        every_operation,
    )
    .await;
    // C(24, 12): what twelve steps of each would have.
    assert!(explored.orders > 2_704_156, "{explored:?}");
}

fn full() -> bool {
    environment_number("NAKIVO_FULL") == Some(1)
}

/// What an actor reads between two of its writes is one step with the write after it; with `NAKIVO_FULL=1` what it reads of
/// the log is a step of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_backups_and_a_reclaim_in_every_order() {
    let steps = if full() { writes_and_log } else { writes };
    let actors = [backup(100, Start::next), reclaimer(200), backup(300, another)];
    let backups = [(0, Start::next()), (2, another())];
    let explored = try_all("backup x reclaim x backup", &actors, &backups, steps).await;
    // 15! / 5!^3: what five steps of each would have.
    assert!(explored.orders > 756_756, "{explored:?}");
}
