//! The way back: to the drive itself, to another one, beside and over what is there.

use std::collections::BTreeMap;

use nakivo_core::backup::Outcome;
use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{self, Destination, ExportOptions, ItemOutcome, Selection, Target};
use nakivo_graph_emulator::{Action, Damage, Drive, Emulator, FaultBody};

use super::lab::Lab;
use crate::bench::seed;
use crate::lab::{Truth, places, status, stride};

/// Content and times of the files of a drive, by path.
fn files(drive: &Drive) -> BTreeMap<String, (bytes::Bytes, i64, i64)> {
    drive
        .items()
        .into_iter()
        .filter(|item| !item.folder)
        .map(|item| {
            let content = drive.content(&item.id).unwrap();
            (item.path, (content, item.created_ms, item.modified_ms))
        })
        .collect()
}

#[tokio::test]
async fn a_whole_drive_comes_back_and_a_second_recovery_finds_it() {
    let lab = Lab::new(70).await;
    lab.drive.add_made_file("big/large.docx", 13_000_000).unwrap();
    lab.drive.add_file("exact.bin", vec![5u8; 16 * 327_680]).unwrap();
    let before = files(&lab.drive);
    lab.back_up_and_compare().await;
    for item in lab.drive.items().iter().filter(|item| !item.path.contains('/')) {
        lab.drive.delete(&item.id).unwrap();
    }
    assert!(lab.drive.items().is_empty());
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(report.counts.recovered as usize, before.len());
    assert_eq!(files(&lab.drive), before, "content and times");
    for item in &report.items {
        let ItemOutcome::Recovered(recovered) = &item.outcome else {
            panic!("{item:?}")
        };
        assert_eq!(recovered.location, item.path);
        assert_eq!(recovered.not_carried, Vec::<String>::new());
    }
    assert!(
        lab.drive.items().iter().all(|item| item.versions <= 1),
        "each file was written once"
    );
    let writes = lab.bench.emulator.requests().writes().len();
    let again = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(again.counts.skipped as usize, before.len());
    assert_eq!(
        lab.bench.emulator.requests().writes().len(),
        writes,
        "what is identical is not touched"
    );
}

#[tokio::test]
async fn to_another_drive_and_to_files() {
    let lab = Lab::new(40).await;
    lab.back_up_and_compare().await;
    let other = lab.bench.emulator.drives().remove(1);
    for item in other.items().iter().filter(|item| !item.path.contains('/')) {
        other.delete(&item.id).unwrap();
    }
    let target = lab
        .connector
        .find_object(&format!("onedrive:{}", other.address()))
        .await
        .unwrap();
    let report = lab
        .recover(Selection::All, Target::Object(target), OnConflict::Skip)
        .await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(files(&other), files(&lab.drive));

    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("out");
    let options = ExportOptions::new(Destination::Directory(root.clone()));
    let export = recovery::export(&lab.repository, &lab.point(), Selection::All, options)
        .wait()
        .await
        .unwrap();
    assert_eq!(export.items as usize, files(&lab.drive).len());
    for (path, (content, _, _)) in files(&lab.drive) {
        let found = std::fs::read(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(found, content, "{path}");
    }
    // A mailbox takes no files.
    let mailbox = lab.connector.find_object(lab.drive.address()).await.unwrap();
    let plan = lab
        .plan(Selection::All, Target::Object(mailbox), OnConflict::Rename)
        .await;
    assert_eq!(plan.counts().cannot as usize, plan.items.len());
}

#[tokio::test]
async fn conflicts_are_settled_as_asked() {
    let lab = Lab::new(0).await;
    lab.drive.add_file("a/Plan.txt", "the old plan").unwrap();
    lab.back_up_and_compare().await;
    lab.drive.write("a/Plan.txt", "the new plan").unwrap();

    let skipped = lab
        .recover(Selection::All, Target::Original, OnConflict::Skip)
        .await;
    assert_eq!(skipped.counts.skipped, 1);
    assert_eq!(lab.drive.content("a/plan.TXT").unwrap(), "the new plan");

    let renamed = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(renamed.outcome, Outcome::Complete, "{:?}", renamed.items);
    let beside: Vec<_> = lab
        .drive
        .items()
        .into_iter()
        .filter(|item| item.name.starts_with("Plan (recovered 2026-01-"))
        .collect();
    assert_eq!(beside.len(), 1);
    assert_eq!(lab.drive.content(&beside[0].id).unwrap(), "the old plan");
    // Once more finds what the first one made.
    lab.recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(lab.drive.items().iter().filter(|item| !item.folder).count(), 2);
    lab.drive.write(&beside[0].id, "edited by hand").unwrap();
    lab.recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(lab.drive.items().iter().filter(|item| !item.folder).count(), 3);
    assert_eq!(lab.drive.content(&beside[0].id).unwrap(), "edited by hand");

    let id = lab.drive.item("a/Plan.txt").unwrap().id;
    let over = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(over.outcome, Outcome::Complete, "{:?}", over.items);
    let now = lab.drive.item("a/Plan.txt").unwrap();
    assert_eq!(now.id, id, "the item stays, with its history");
    let versions = lab.drive.versions(&id).unwrap();
    assert_eq!(versions, ["the old plan", "the new plan", "the old plan"]);
    let deletions = lab
        .bench
        .emulator
        .requests()
        .matching(|record| record.method == "DELETE" && record.target.contains("/items/"));
    assert!(deletions.is_empty(), "nothing is deleted to make room");
}

#[tokio::test]
async fn a_folder_or_a_file_in_the_way() {
    let lab = Lab::new(0).await;
    lab.drive.add_file("a/x", "file x").unwrap();
    lab.drive.add_file("b/y.txt", "file y").unwrap();
    lab.back_up_and_compare().await;
    lab.drive.delete("a").unwrap();
    lab.drive.delete("b").unwrap();
    lab.drive.add_folder("a/x").unwrap();
    lab.drive.add_file("b", "a file named b").unwrap();
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(
        (report.counts.recovered, report.counts.failed),
        (0, 2),
        "{:?}",
        report.items
    );
    assert_eq!(lab.drive.content("b").unwrap(), "a file named b");
    assert!(lab.drive.item("a/x").unwrap().folder);
    let report = lab
        .recover(Selection::paths(["a/x"]), Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
}

#[tokio::test]
async fn sharing_comes_back_where_graph_can_and_the_rest_is_said() {
    let lab = Lab::new(0).await;
    let other = lab.bench.emulator.mailboxes()[1].address().to_owned();
    lab.bench
        .emulator
        .add_user("gone@fabrika.example", "Gone Soon")
        .unwrap();
    lab.drive.add_file("Team/plan.txt", "plan").unwrap();
    lab.drive.share("Team", &other, "write").unwrap();
    let plan = "Team/plan.txt";
    lab.drive.share(plan, &other, "read").unwrap();
    lab.drive.share(plan, "gone@fabrika.example", "read").unwrap();
    for scope in ["organization", "anonymous"] {
        let link = serde_json::json!({"roles": ["read"], "link": {"type": "view", "scope": scope, "webUrl": "https://x/y"}});
        lab.drive.grant(plan, link).unwrap();
    }
    let group = serde_json::json!({"roles": ["write"], "grantedToV2": {"siteGroup": {"id": "5", "displayName": "Members"}}});
    lab.drive.grant(plan, group).unwrap();
    lab.back_up_and_compare().await;
    lab.drive.delete("Team").unwrap();
    lab.bench.emulator.remove_user("gone@fabrika.example");
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    let ItemOutcome::Recovered(recovered) = &report.items[0].outcome else {
        panic!("{:?}", report.items)
    };
    let said = recovered.not_carried.join("\n");
    for part in [
        "sharing with user 'Gone Soon'",
        "sharing with siteGroup 'Members'",
        "sharing link (view, anonymous)",
        "the address of the sharing link (view, organization)",
        "sharing of the folder 'Team'",
    ] {
        assert!(said.contains(part), "'{part}' is missing in:\n{said}");
    }
    let granted = lab.drive.permissions(plan).unwrap();
    assert_eq!(granted.len(), 2, "{granted:?}");
    assert!(
        granted
            .iter()
            .any(|one| one["grantedToV2"]["user"]["email"] == other.as_str())
    );
}

#[tokio::test]
async fn full_and_locked_targets_are_named_and_left_as_they_are() {
    let lab = Lab::new(0).await;
    let id = lab.drive.add_file("a.txt", "one").unwrap();
    lab.back_up_and_compare().await;
    lab.drive.write(&id, "two").unwrap();
    lab.drive.set_locked(&id, true).unwrap();
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(report.counts.failed, 1, "{:?}", report.items);
    assert_eq!(lab.drive.content(&id).unwrap(), "two");
    lab.drive.set_locked(&id, false).unwrap();
    lab.drive.set_quota(4);
    let plan = lab
        .plan(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    let error = recovery::apply(&lab.repository, plan, &lab.connector)
        .wait()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), nakivo_core::ErrorKind::StorageFull);
    assert_eq!(lab.drive.content(&id).unwrap(), "two");
}

/// Every passing fault at every request of a recovery: the same files, each once.
#[tokio::test]
async fn every_fault_at_every_request_of_a_recovery() {
    let lab = Lab::with(Emulator::builder().seed(seed()).users(1).files_per_user(0)).await;
    lab.drive.add_file("a/one.txt", "one").unwrap();
    lab.drive.add_file("a/empty.txt", "").unwrap();
    lab.drive
        .add_file("a/b/big.bin", vec![9u8; 16 * 327_680 + 17])
        .unwrap();
    lab.drive.add_file("over.txt", "the old content").unwrap();
    lab.back_up_and_compare().await;
    let expected = files(&lab.drive);
    let kinds = [
        status(429, FaultBody::Envelope, Some("2")),
        status(503, FaultBody::Empty, None),
        Action::AfterSuccess { status: 500 },
        Action::AfterSuccess { status: 504 },
        Action::ResetAfterSuccess,
        Action::Reset,
        Action::Damage(Damage::CutAt(0)),
        Action::Damage(Damage::CutAt(40)),
        status(401, FaultBody::Envelope, None),
    ];
    let prepare = || {
        for item in lab.drive.items().iter().filter(|item| !item.path.contains('/')) {
            lab.drive.delete(&item.id).unwrap();
        }
        lab.drive.add_file("over.txt", "something newer").unwrap();
        lab.bench.emulator.faults().clear();
        lab.bench.emulator.requests().clear();
    };
    prepare();
    lab.recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(files(&lab.drive), expected);
    let requests = lab.bench.emulator.requests().count();
    let mut runs = 0;
    for (number, kind) in kinds.iter().enumerate() {
        for n in places(requests, number, stride(3)) {
            prepare();
            lab.bench.break_request(kind, n);
            let what = format!("{kind:?} at {n}");
            lab.recover_anew(OnConflict::Overwrite, &what).await;
            assert_eq!(files(&lab.drive), expected, "{kind:?} at {n}");
            runs += 1;
        }
    }
    println!(
        "{runs} recoveries, {} kinds of fault at {requests} requests",
        kinds.len()
    );
}
