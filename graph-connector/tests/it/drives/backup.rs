//! Reading: first run, later runs, moves, deletions, lost states, content that lies.

use std::time::Duration;

use nakivo_core::backup::Outcome;
use nakivo_core::connector::Connector;
use nakivo_core::format::manifest::ObjectKind;
use nakivo_graph_emulator::{Emulator, Lie};

use futures::TryStreamExt;

use super::lab::{Lab, json_of};
use crate::bench::seed;
use crate::lab::Truth;

#[tokio::test]
async fn a_first_run_and_a_quiet_second_one() {
    let lab = Lab::new(120).await;
    lab.bench.emulator.set(|settings| settings.read_only_guard = true);
    let report = lab.back_up_and_compare().await;
    let files = lab.drive.items().iter().filter(|item| !item.folder).count() as u64;
    assert_eq!(report.items, files);
    let counters = lab.bench.emulator.requests().counters();
    assert!(
        counters.resource_units as f64 <= files as f64 * 1.1,
        "{} units for {files} files",
        counters.resource_units
    );
    for (path, (record, _)) in &lab.held().await.files {
        let json = json_of(&lab, record).await;
        let text = json.to_string();
        assert!(
            !text.contains("tempauth") && !text.to_lowercase().contains("downloadurl"),
            "{path}: {text}"
        );
        assert_eq!(json["name"], record.name.as_str());
        assert!(json["file"]["hashes"]["quickXorHash"].is_string());
    }
    lab.bench.emulator.requests().clear();
    let second = lab.back_up_and_compare().await;
    assert_eq!(second.counts.stored + second.counts.removed, 0);
    let requests = lab.bench.emulator.requests().count();
    assert!(
        requests <= 3,
        "{requests} requests for a drive that did not change"
    );
    assert!(
        lab.bench.emulator.requests().writes().is_empty(),
        "reading writes nothing"
    );
}

/// A drive with generated files, these files with these contents, and an empty folder, backed up once.
async fn arranged(generated: u32, texts: &[(&str, &str)], folder: &str) -> Lab {
    let lab = Lab::new(generated).await;
    for (path, text) in texts {
        lab.drive.add_file(path, text).unwrap();
    }
    lab.drive.add_folder(folder).unwrap();
    lab.back_up_and_compare().await;
    lab
}

#[tokio::test]
async fn edits_moves_and_deletions_are_followed() {
    let texts = [
        ("Old/deep/a.txt", "a"),
        ("Old/deep/b.txt", "b"),
        ("Old/c.txt", "c"),
    ];
    let lab = arranged(60, &texts, "New").await;
    let drive = &lab.drive;
    drive.write("Old/c.txt", "c, changed").unwrap();
    drive.rename("Old/deep/a.txt", "renamed.txt").unwrap();
    drive.move_into("Old/deep/b.txt", "New").unwrap();
    drive.add_file("New/fresh.txt", "fresh").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.added, report.counts.removed),
        (2, 0),
        "{:?}",
        report.counts
    );

    // A folder that moves or is renamed takes its files along without a word about them.
    drive.rename("Old", "Older").unwrap();
    drive.move_into("Older/deep", "New").unwrap();
    lab.bench.emulator.requests().clear();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        report.counts.stored, 0,
        "no file is read again: {:?}",
        report.counts
    );

    drive.delete("New/deep").unwrap();
    drive.delete("New/fresh.txt").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(report.counts.removed, 2);
    drive.delete("New").unwrap();
    drive.delete("Older").unwrap();
    lab.back_up_and_compare().await;
    // The same names again are other items.
    drive.add_file("New/fresh.txt", "again").unwrap();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn a_folder_that_is_deleted_after_its_files_left_it() {
    let lab = arranged(20, &[("A/B/1.txt", "1"), ("A/B/2.txt", "2")], "Z").await;
    let drive = &lab.drive;
    drive.move_into("A/B", "Z").unwrap();
    drive.move_into("Z/B/1.txt", "").unwrap();
    drive.delete("A").unwrap();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn a_lost_state_is_read_in_full_and_nothing_is_read_twice() {
    let lab = Lab::new(90).await;
    lab.back_up_and_compare().await;
    // Every form of the refusal, with an address of a fresh round and without.
    for n in 0..6 {
        let items = lab.drive.items();
        let files: Vec<_> = items.iter().filter(|item| !item.folder).collect();
        lab.drive.delete(&files[n].id).unwrap();
        lab.drive.move_into(&files[n + 10].id, "").unwrap();
        lab.drive.add_file(&format!("during {n}.txt"), "x").unwrap();
        lab.drive.expire_delta();
        let report = lab.back_up_and_compare().await;
        assert!(
            report.counts.stored <= 2,
            "only what differs is read: {:?}",
            report.counts
        );
        assert_eq!(report.counts.removed, 1);
    }
}

#[tokio::test]
async fn a_state_that_is_lost_in_the_middle_of_paging() {
    for change in ["nothing", "file", "folder", "moved folder"] {
        let lab = Lab::with(Emulator::builder().seed(seed()).users(1).files_per_user(500)).await;
        let drive = lab.drive.clone();
        drive.add_file("Doomed/sub/one.txt", "1").unwrap();
        drive.add_file("Doomed/two.txt", "2").unwrap();
        drive.add_folder("Elsewhere").unwrap();
        lab.bench.emulator.set(|settings| settings.max_delta_page = 50);
        let edits = drive.clone();
        // Items of the first pages are stored by then; no base knows them.
        lab.bench.emulator.faults().on_request("delta", 15, move || {
            match change {
                "file" => {
                    let first = edits.items().into_iter().find(|item| !item.folder).unwrap();
                    edits.delete(&first.id).unwrap();
                }
                "folder" => edits.delete("Doomed").unwrap(),
                "moved folder" => edits.move_into("Doomed/sub", "Elsewhere").unwrap(),
                _ => {}
            }
            edits.expire_delta();
        });
        lab.back_up_and_compare().await;
        lab.back_up_and_compare().await;
    }
}

#[tokio::test]
async fn what_is_deleted_while_the_first_run_reads_is_not_in_the_point() {
    for (when, what) in [(2, "Late"), (9, "Late"), (40, "Late/x"), (200, "Late")] {
        let lab = Lab::with(Emulator::builder().seed(seed()).users(1).files_per_user(300)).await;
        let drive = lab.drive.clone();
        drive.add_file("Late/x/1.txt", "1").unwrap();
        drive.add_file("Late/2.txt", "2").unwrap();
        lab.bench.emulator.set(|settings| settings.max_delta_page = 40);
        lab.bench
            .emulator
            .faults()
            .on_request("/v1.0/drives", when, move || drive.delete(what).unwrap());
        let report = lab.back_up().await.unwrap();
        assert!(
            report
                .issues
                .iter()
                .all(|issue| issue.cause.code == "deleted_during_backup"),
            "{:?}",
            report.issues
        );
        lab.back_up_and_compare().await;
    }
}

#[tokio::test]
async fn a_file_that_changes_between_listing_and_reading_is_read_as_it_is_then() {
    let lab = Lab::new(40).await;
    let small = lab.drive.add_file("small.txt", "before").unwrap();
    let large = lab.drive.add_made_file("large.docx", 9 << 20).unwrap();
    let (drive, ids) = (lab.drive.clone(), [small.clone(), large.clone()]);
    lab.bench.emulator.faults().on_request("/content", 1, move || {
        drive.write(&ids[0], "after").unwrap();
        drive.write(&ids[1], vec![7u8; 8 << 20]).unwrap();
    });
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.issues);
    lab.assert_truth().await;
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_never_a_mixture() {
    for length in [3usize << 20, 9 << 20] {
        let lab = Lab::new(0).await;
        let id = lab.drive.add_file("changing.bin", vec![1u8; length]).unwrap();
        let drive = lab.drive.clone();
        // The download breaks, and when it goes on the file is another one.
        let cut = nakivo_graph_emulator::Damage::CutAt(length / 2);
        lab.bench.emulator.faults().add(
            nakivo_graph_emulator::Fault::new(nakivo_graph_emulator::Action::Damage(cut))
                .path("/personal/")
                .at_request(1),
        );
        lab.bench.emulator.faults().on_request("/personal/", 2, move || {
            drive.write(&id, vec![2u8; length]).unwrap();
        });
        lab.back_up_and_compare().await;
        let reads = lab
            .bench
            .emulator
            .requests()
            .matching(|record| record.target.starts_with("/personal/"));
        assert_eq!(reads.len(), 3, "begun, continued, and read anew as a whole");
    }
}

#[tokio::test]
async fn metadata_that_lies_is_stored_with_a_note_and_what_is_served() {
    let mut lab = Lab::new(0).await;
    for (name, length) in [("small", 5_000usize), ("large", 6 << 20)] {
        let content = vec![3u8; length];
        for (lie, kind) in [
            (Lie::Size(100), "size"),
            (Lie::Hash, "hash"),
            (Lie::NoHash, "none"),
        ] {
            let id = lab
                .drive
                .add_file(&format!("{name} {kind}.heic"), &content)
                .unwrap();
            lab.drive.lie(&id, lie).unwrap();
        }
    }
    lab.back_up_and_compare().await;
    let held = lab.held().await;
    for (path, (record, _)) in &held.files {
        let noted = record.properties.contains_key("source_mismatch");
        assert_eq!(noted, !path.contains("none"), "{path}");
    }
    lab.reconnect();
    lab.bench.emulator.requests().clear();
    let second = lab.back_up_and_compare().await;
    assert_eq!(second.counts.stored, 0, "it is not read again for ever");
}

#[tokio::test]
async fn malware_notebooks_and_shortcuts_are_named() {
    let lab = Lab::new(5).await;
    lab.drive.add_oddities();
    for n in 0..4 {
        let id = lab.drive.add_file(&format!("more/{n}.exe"), "x").unwrap();
        lab.drive.set_malware(&id, true).unwrap();
    }
    let report = lab.back_up().await.unwrap();
    let codes: Vec<&str> = report
        .issues
        .iter()
        .map(|issue| issue.cause.code.as_str())
        .collect();
    assert_eq!(
        codes.iter().filter(|code| **code == "malware").count(),
        5,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == "notebook").count(),
        1,
        "{codes:?}"
    );
    assert_eq!(report.counts.failed, 0);
    let held = lab.held().await;
    assert!(held.folders["Notebook"].properties.contains_key("package"));
    let shortcut = json_of(&lab, &held.others["Shared with me"]).await;
    assert_eq!(shortcut["remoteItem"]["id"], "01ELSEWHERE");
}

#[tokio::test]
async fn addresses_that_expire_are_asked_for_again() {
    let lab = Lab::new(30).await;
    lab.bench
        .emulator
        .set(|settings| settings.download_url_seconds = 1);
    lab.drive.add_made_file("large.docx", 12 << 20).unwrap();
    lab.bench.emulator.faults().add(
        nakivo_graph_emulator::Fault::new(nakivo_graph_emulator::Action::Damage(
            nakivo_graph_emulator::Damage::CutAt(1 << 20),
        ))
        .path("/personal/")
        .times(5),
    );
    lab.back_up_and_compare().await;
    assert!(
        lab.bench.clock.slept() > Duration::from_secs(1),
        "addresses have expired meanwhile"
    );
    lab.bench.emulator.set(|settings| settings.ignore_ranges = true);
    lab.drive.add_made_file("other.docx", 11 << 20).unwrap();
    lab.bench.emulator.faults().add(
        nakivo_graph_emulator::Fault::new(nakivo_graph_emulator::Action::Damage(
            nakivo_graph_emulator::Damage::CutAt(2 << 20),
        ))
        .path("/personal/")
        .times(2),
    );
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn what_failed_is_tried_again_and_what_was_there_stays() {
    let lab = Lab::new(20).await;
    let id = lab.drive.add_file("Folder/stubborn.txt", "one").unwrap();
    lab.back_up_and_compare().await;
    lab.drive.write(&id, "two").unwrap();
    lab.drive.move_into(&id, "").unwrap();
    lab.drive.set_unreadable(&id, true).unwrap();
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(lab.held().await.files["Folder/stubborn.txt"].1, "one");
    lab.drive.set_unreadable(&id, false).unwrap();
    lab.back_up_and_compare().await;
    // An item that could not be read and is gone by the next run.
    lab.drive.write(&id, "three").unwrap();
    lab.drive.set_unreadable(&id, true).unwrap();
    assert_eq!(lab.back_up().await.unwrap().outcome, Outcome::Partial);
    lab.drive.delete(&id).unwrap();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn permissions_are_kept_in_the_record() {
    let lab = Lab::new(3).await;
    let other = lab.bench.emulator.mailboxes()[1].address().to_owned();
    lab.drive.add_file("Team/plan.txt", "plan").unwrap();
    lab.drive.share("Team", &other, "write").unwrap();
    lab.drive.share("Team/plan.txt", &other, "read").unwrap();
    lab.back_up_and_compare().await;
    let held = lab.held().await;
    let folder = json_of(&lab, &held.folders["Team"]).await;
    assert_eq!(folder["permissions"][0]["roles"][0], "write");
    let file = json_of(&lab, &held.files["Team/plan.txt"].0).await;
    assert_eq!(
        file["permissions"].as_array().unwrap().len(),
        1,
        "inherited ones are the folder's"
    );
    assert_eq!(
        file["permissions"][0]["grantedToV2"]["user"]["email"],
        other.as_str()
    );
}

#[tokio::test]
async fn drives_are_found_beside_mailboxes() {
    let lab = Lab::new(1).await;
    let connector = &lab.connector;
    lab.bench
        .emulator
        .add_user("new@fabrika.example", "New One")
        .unwrap();
    let found: Vec<_> = connector.discover().try_collect().await.unwrap();
    let kinds = |kind| found.iter().filter(|object| object.kind == kind).count();
    assert_eq!((kinds(ObjectKind::Mailbox), kinds(ObjectKind::Drive)), (3, 2));
    let drive = found
        .iter()
        .find(|object| object.kind == ObjectKind::Drive)
        .unwrap();
    assert_eq!(*drive, lab.object);
    for name in [
        format!("OneDrive:{}", lab.drive.address().to_uppercase()),
        format!("onedrive:{}", lab.drive.user_id()),
        lab.object.id.to_string(),
    ] {
        assert_eq!(connector.find_object(&name).await.unwrap(), lab.object, "{name}");
    }
    let missing = connector
        .find_object("onedrive:new@fabrika.example")
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), nakivo_core::ErrorKind::NotFound);
    // Without the permission for files, mailboxes are found all the same, and the rest is said.
    let app = lab.bench.emulator.app_id().to_owned();
    lab.bench
        .emulator
        .grant(&app, ["Mail.Read", "User.Read.All", "MailboxSettings.Read"]);
    lab.bench.emulator.faults().expire_tokens();
    let connector = lab.bench.reconnect();
    let mut objects = connector.discover();
    let mut found = 0;
    let error = loop {
        match objects.try_next().await {
            Ok(Some(_)) => found += 1,
            Ok(None) => panic!("the missing permission must be said"),
            Err(error) => break error,
        }
    };
    assert_eq!(found, 3);
    assert_eq!(error.kind(), nakivo_core::ErrorKind::PermissionMissing);
    assert!(
        error.hint().unwrap_or_default().contains("Files.Read.All"),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_budget_is_used_and_not_exceeded() {
    let lab = Lab::with(Emulator::builder().seed(seed()).users(1).files_per_user(900)).await;
    // The smallest organisations get 1,250 units in a minute; here less, so that the run takes several.
    lab.bench
        .emulator
        .set(|settings| settings.resource_units_per_minute = Some(200));
    let config = crate::bench::config(&lab.bench.emulator).with_units_per_minute(200);
    let connector = lab.bench.connect_with(&config);
    let report = nakivo_core::backup::start(
        &lab.repository,
        std::sync::Arc::new(connector),
        lab.object.clone(),
        nakivo_core::backup::BackupOptions::default(),
    )
    .wait()
    .await
    .unwrap();
    lab.assert_truth().await;
    // On this clock a pause of one request is over at once for all, so those under way arrive in a minute that is not theirs.
    assert!(report.usage.throttled <= 4, "{:?}", report.usage);
    // A connector that knows nothing of the limit learns it from the first refusal.
    lab.drive.add_generated(500);
    let connector = lab.bench.connect_with(&config.clone().with_units_per_minute(0));
    let report = nakivo_core::backup::start(
        &lab.repository,
        std::sync::Arc::new(connector),
        lab.object.clone(),
        nakivo_core::backup::BackupOptions::default(),
    )
    .wait()
    .await
    .unwrap();
    assert!(report.usage.throttled <= 12, "{:?}", report.usage);
    lab.assert_truth().await;
}
