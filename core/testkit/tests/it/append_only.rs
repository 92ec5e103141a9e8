//! A credential that can create and read, and neither delete nor overwrite, is enough for backup, verification, recovery
//! and copying. So who steals it cannot take anything away.

use std::time::Duration;

use nakivo_core::backup::Outcome;
use nakivo_core::copy::{self, CopyOptions, ProgressLimits};
use nakivo_core::recovery::{Destination, ExportOptions, Selection, export};
use nakivo_core::repository::{PointFilter, ReclaimOptions};
use nakivo_core::{Error, ErrorKind};
use nakivo_testkit::fault::{FaultStore, OperationKind, Rule};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::oracle::{all_points, assert_point, assert_sound};
use nakivo_testkit::scenario::{Stage, mailbox};
use nakivo_testkit::scripted::Edit;

fn append_only(lab: &Lab) -> (FaultStore, Lab) {
    let faults = FaultStore::new(lab.store.clone());
    Rule::append_only()
        .into_iter()
        .for_each(|rule| faults.inject(rule));
    let lab = Lab {
        store: faults.handle(),
        ..lab.clone()
    };
    (faults, lab)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_reclaim_needs_to_delete_or_overwrite() {
    let plain = Lab::memory(91);
    let (faults, lab) = append_only(&plain);
    // 20 commits: checkpoints are written, too.
    let repository = lab.create().await.unwrap();
    assert_eq!(
        faults.count(OperationKind::Delete),
        1,
        "only the probe would be removed"
    );
    let mut truths = Vec::new();
    let source = mailbox(Stage::First);
    for number in 0..20 {
        lab.clock.advance(Duration::from_secs(60));
        let id = format!("m{:02}", number % 12);
        source.edit(&if number == 15 {
            Edit::Remove { id }
        } else {
            Edit::Touch { id }
        });
        let report = back_up(&repository, &source).await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        truths.push(source.truth());
    }
    let first = all_points(&repository)[0].id;
    repository
        .describe_point(first, Some("noted".to_owned()))
        .await
        .unwrap();
    let repository = lab.open().await.unwrap();
    assert_sound(&repository, "append-only").await;
    for (manifest, truth) in all_points(&repository).iter().zip(&truths) {
        assert_point(&repository, manifest, truth, "append-only").await;
    }
    let directory = tempfile::tempdir().unwrap();
    let options = ExportOptions::new(Destination::Directory(directory.path().join("out")));
    let manifest = all_points(&repository).pop().unwrap();
    let exported = export(&repository, &manifest, Selection::All, options)
        .wait()
        .await
        .unwrap();
    assert_eq!(exported.outcome, Outcome::Complete);

    let second = Lab::memory(92);
    let (copies, other) = append_only(&second);
    let target = other.create().await.unwrap();
    copy::start(
        &repository,
        &target,
        CopyOptions::default().with_progress(ProgressLimits::default().with_items(3)),
    )
    .wait()
    .await
    .unwrap();
    assert_sound(&target, "copied").await;
    // A refused replacement would have failed; a refused deletion might pass unnoticed.
    for (store, what) in [
        (&faults, "backups, verification and recovery"),
        (&copies, "copying"),
    ] {
        assert_eq!(store.count(OperationKind::Delete), 1, "{what} deletes nothing");
    }
}

#[tokio::test]
async fn reclaim_without_the_right_to_delete_says_so_and_loses_nothing() {
    let plain = Lab::memory(93);
    let repository = plain.create().await.unwrap();
    let gone = back_up(&repository, &mailbox(Stage::First)).await.unwrap().point;
    back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    let filter = PointFilter::default().with_points(vec![gone]);
    repository.delete_points(&filter, "test", false).await.unwrap();
    let before = Image::of(&*plain.store).await.unwrap();
    let (_, lab) = append_only(&plain);
    let at_once = ReclaimOptions::default()
        .with_grace(Duration::ZERO)
        .with_rewrite_below_percent(100);
    let error: Error = lab
        .open()
        .await
        .unwrap()
        .reclaim(at_once)
        .wait()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing, "{error:?}");
    let after = Image::of(&*plain.store).await.unwrap();
    for (path, bytes) in before.objects() {
        assert_eq!(after.objects().get(path), Some(bytes), "{path}");
    }
    let repository = plain.elsewhere(94).open().await.unwrap();
    assert_sound(&repository, "after the refused reclaim").await;
    // Who may delete finishes it.
    for _ in 0..2 {
        repository.reclaim(at_once).wait().await.unwrap();
    }
    assert_sound(&repository, "finished").await;
}
