//! Random histories of edits in several libraries and lists between and during runs, compared with the emulator's truth.

use std::sync::Arc;

use nakivo_graph_emulator::{Emulator, Site};
use serde_json::json;

use super::lab::Lab;
use crate::bench::{TestRng, seed};
use crate::drives::histories::edit;
use crate::lab::{Truth, histories};

/// One random edit of a random list.
fn edit_list(site: &Site, rng: &TestRng) {
    let names = site.lists();
    if names.is_empty() {
        return;
    }
    let list = site.list(&names[rng.below(names.len())]);
    let rows = list.rows().unwrap_or_default();
    let some = || rows.get(rng.below(rows.len().max(1))).map(|(id, _)| id.as_str());
    let value = json!({"Title": format!("row {}", rng.below(1000)), "Text": "t".repeat(rng.below(9))});
    match (rng.below(12), some()) {
        (0..=4, _) | (5..=9, None) => drop(list.add_row(value)),
        (5..=7, Some(id)) => drop(list.update_row(id, &value)),
        (8 | 9, Some(id)) => drop(list.delete_row(id)),
        (10, _) => {
            let column = json!({"name": format!("C{}", rng.below(5)), "text": {}});
            let _ = list.add_column(&column);
        }
        _ => drop(list.expire_delta()),
    }
}

/// One random edit of a random library or list; now and then libraries and lists come and go.
fn edit_site(site: &Site, rng: &TestRng) {
    match rng.below(60) {
        0 => drop(site.add_library(&format!("Library {}", rng.below(4)))),
        1 => drop(site.delete_library(&format!("Library {}", rng.below(4)))),
        2 => {
            let name = format!("List {}", rng.below(3));
            if !site.lists().contains(&name) {
                let _ = site.add_list(&name, &[]);
            }
        }
        3 => site.delete_list(&format!("List {}", rng.below(3))),
        4..=30 => edit_list(site, rng),
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
            lab.bench.emulator.faults().on_request(
                ["/v1.0/drives", "/v1.0/sites"][rng.below(2)],
                at,
                move || {
                    for _ in 0..1 + rng.below(5) {
                        edit_site(&site, &rng);
                    }
                },
            );
        }
        lab.settle(&format!("seed {seed}, run {run}")).await;
    }
}

#[tokio::test]
async fn random_histories_end_in_the_truth() {
    let first = seed();
    let histories = histories(40);
    for n in 0..histories {
        history(first + n, 5).await;
    }
    println!("{histories} histories of 5 pairs of runs");
}
