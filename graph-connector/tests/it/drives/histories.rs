//! Random histories of edits between and during runs, compared with the emulator's truth.

use std::sync::Arc;

use nakivo_core::backup::Outcome;
use nakivo_graph_emulator::{Drive, Emulator};

use super::lab::Lab;
use crate::bench::{TestRng, seed};

/// One random edit. What is refused (a folder into itself, a name that is taken) is no edit.
pub(crate) fn edit(drive: &Drive, rng: &TestRng) {
    let items = drive.items();
    let some = |wanted: bool| {
        let list: Vec<_> = items.iter().filter(|item| item.folder == wanted).collect();
        (!list.is_empty()).then(|| list[rng.below(list.len())].clone())
    };
    let name = format!("n{}", rng.below(40));
    let place = || match some(true) {
        Some(folder) if rng.below(4) > 0 => folder.path,
        _ => String::new(),
    };
    match rng.below(14) {
        0..=2 => drop(drive.add_file(
            &format!("{}/{name}.txt", place()),
            format!("content {}", rng.below(1000)),
        )),
        3 => drop(drive.add_folder(&format!("{}/{name}", place()))),
        4 | 5 => {
            if let Some(file) = some(false) {
                let _ = drive.write(&file.id, format!("changed {}", rng.below(1_000_000)));
            }
        }
        6 | 7 => {
            if let Some(file) = some(false) {
                let _ = drive.move_into(&file.id, &place());
            }
        }
        8 | 9 => {
            if let Some(folder) = some(true) {
                let _ = drive.move_into(&folder.id, &place());
            }
        }
        10 => {
            let item = some(rng.below(2) == 0);
            if let Some(item) = item {
                let _ = drive.rename(&item.id, &name);
            }
        }
        11 => {
            if let Some(file) = some(false) {
                let _ = drive.delete(&file.id);
            }
        }
        12 => {
            if let Some(folder) = some(true).filter(|_| rng.below(3) == 0) {
                let _ = drive.delete(&folder.id);
            }
        }
        _ => {
            if rng.below(6) == 0 {
                drive.expire_delta();
            }
        }
    }
}

async fn history(seed: u64, runs: usize) {
    let rng = Arc::new(TestRng::new(seed));
    let lab = Lab::with(
        Emulator::builder()
            .seed(seed)
            .users(1)
            .files_per_user(rng.below(40) as u32),
    )
    .await;
    let page = 3 + rng.below(30);
    lab.bench.emulator.set(|settings| settings.max_delta_page = page);
    for run in 0..runs {
        for _ in 0..rng.below(25) {
            edit(&lab.drive, &rng);
        }
        // Some edits come while the run reads.
        for _ in 0..rng.below(6) {
            let (drive, rng, at) = (lab.drive.clone(), Arc::clone(&rng), 1 + rng.below(30) as u64);
            lab.bench
                .emulator
                .faults()
                .on_request("/v1.0/drives", at, move || {
                    for _ in 0..1 + rng.below(5) {
                        edit(&drive, &rng);
                    }
                });
        }
        let report = lab
            .back_up()
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, run {run}: {error:?}"));
        assert_eq!(
            report.counts.failed, 0,
            "seed {seed}, run {run}: {:?}",
            report.issues
        );
        lab.bench.emulator.faults().clear();
        // What changed meanwhile comes with the next run; then nothing may differ.
        let mut report = lab.back_up().await.unwrap();
        if report.outcome == Outcome::Partial {
            report = lab.back_up().await.unwrap();
        }
        assert_eq!(
            report.outcome,
            Outcome::Complete,
            "seed {seed}, run {run}: {:?}",
            report.issues
        );
        println!("seed {seed}, run {run}");
        lab.assert_truth().await;
    }
}

#[tokio::test]
async fn random_histories_end_in_the_truth() {
    let first = seed();
    let histories = std::env::var("NAKIVO_HISTORIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    for n in 0..histories {
        history(first + n, 5).await;
    }
    println!("{histories} histories of 5 pairs of runs");
}
