//! A store that shows an older history, or another one, to somebody who has seen more.

use std::sync::Arc;

use nakivo_core::ErrorKind;
use nakivo_core::state::MemoryState;
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::{Stage, mailbox};

/// Commits `count` points, each the next moment of the fixed mailbox.
async fn grow(lab: &Lab, count: usize) -> Vec<Image> {
    let repository = lab.open().await.unwrap();
    let mut images = Vec::new();
    for number in 0..count {
        let stage = if number % 2 == 0 {
            Stage::First
        } else {
            Stage::Second
        };
        back_up(&repository, &mailbox(stage)).await.unwrap();
        images.push(Image::of(&*lab.store).await.unwrap());
    }
    images
}

/// Whoever saw moment `seen` is told about every older moment, and lets every newer one pass. There are checkpoints among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_older_state_is_noticed_by_who_saw_a_newer_one() {
    let lab = Lab::memory(71);
    lab.create().await.unwrap();
    let images = grow(&lab, 20).await;
    let mut cases = 0;
    for seen in [0, 1, 9, 16, 19] {
        for shown in 0..images.len() {
            let state = Arc::new(MemoryState::default());
            let before = Lab::with_state(images[seen].open().await, 3, state.clone());
            let head = before.open().await.unwrap().info().await.unwrap().head;
            let after = Lab::with_state(images[shown].open().await, 4, state);
            let what = format!("saw {seen}, shown {shown}");
            match after.open().await {
                Ok(_) => assert!(shown >= seen, "{what}: not noticed"),
                Err(error) => {
                    assert!(shown < seen, "{what}: {error:?}");
                    assert_eq!(error.kind(), ErrorKind::HistoryRewound, "{what}: {error:?}");
                    assert!(
                        error.message().contains(&format!("commit {head} ")),
                        "{what}: {error:?}"
                    );
                }
            }
            cases += 1;
        }
    }
    announce(&format!("histories set back: {cases} cases"));
}

/// A history that split off at any moment, shorter, as long, and longer than the one seen, is noticed; and it stays noticed
/// until somebody accepts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fork_is_noticed_however_long_it_is() {
    let lab = Lab::memory(72);
    lab.create().await.unwrap();
    let images = grow(&lab, 5).await;
    let seen = images.last().unwrap();
    let mut cases = 0;
    for (split, image) in images[..images.len() - 1].iter().enumerate() {
        let fork = Lab::over(image.open().await, 100 + split as u64);
        // Long enough for a checkpoint in the other history.
        for image in grow(&fork, 18).await {
            let state = Arc::new(MemoryState::default());
            let before = Lab::with_state(seen.open().await, 3, state.clone());
            before.open().await.unwrap();
            let after = Lab::with_state(image.open().await, 4, state);
            for _ in 0..2 {
                let error = after.open().await.unwrap_err();
                assert_eq!(
                    error.kind(),
                    ErrorKind::HistoryRewound,
                    "split at {split}: {error:?}"
                );
            }
            cases += 1;
        }
    }
    announce(&format!("histories forked: {cases} cases"));
}
