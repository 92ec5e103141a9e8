//! Random histories of edits in several libraries between and during runs, compared with the emulator's truth.

use std::sync::Arc;

use nakivo_core::backup::Outcome;
use nakivo_graph_emulator::{Emulator, Site};

use super::lab::Lab;
use crate::bench::{TestRng, seed};
use crate::drives::histories::edit;

/// One random edit of a random library; now and then libraries come and go.
fn edit_site(site: &Site, rng: &TestRng) {
    match rng.below(60) {
        0 => drop(site.add_library(&format!("Library {}", rng.below(4)))),
        1 => drop(site.delete_library(&format!("Library {}", rng.below(4)))),
        _ => {
            let libraries = site.libraries();
            edit(&libraries[rng.below(libraries.len())].1, rng);
        }
    }
}

async fn history(seed: u64, runs: usize) {
    let rng = Arc::new(TestRng::new(seed));
    let files = rng.below(30) as u32;
    let lab = Lab::with(Emulator::builder().seed(seed).users(1).sites(1, files)).await;
    let page = 3 + rng.below(30);
    lab.bench.emulator.set(|settings| {
        settings.max_delta_page = page;
        settings.site_page = 2;
    });
    for run in 0..runs {
        for _ in 0..rng.below(40) {
            edit_site(&lab.site, &rng);
        }
        // Some edits come while the run reads.
        for _ in 0..rng.below(6) {
            let (site, rng, at) = (lab.site.clone(), Arc::clone(&rng), 1 + rng.below(40) as u64);
            lab.bench
                .emulator
                .faults()
                .on_request("/v1.0/drives", at, move || {
                    for _ in 0..1 + rng.below(5) {
                        edit_site(&site, &rng);
                    }
                });
        }
        lab.back_up()
            .await
            .unwrap_or_else(|error| panic!("seed {seed}, run {run}: {error:?}"));
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
        .unwrap_or(40);
    for n in 0..histories {
        history(first + n, 5).await;
    }
    println!("{histories} histories of 5 pairs of runs");
}
