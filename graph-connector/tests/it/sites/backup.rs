//! Reading sites: libraries that come and go, edits, lost states, what is left out.

use futures::TryStreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::backup::Outcome;
use nakivo_core::format::manifest::ObjectKind;
use nakivo_graph_emulator::{Emulator, Fault};

use super::lab::Lab;
use crate::bench::seed;
use crate::lab::Truth;

#[tokio::test]
async fn a_first_run_and_a_quiet_second_one() {
    let lab = Lab::new(60).await;
    lab.bench.emulator.set(|settings| settings.read_only_guard = true);
    let report = lab.back_up_and_compare().await;
    assert!(report.items > 60, "two libraries: {report:?}");
    let units = lab.bench.emulator.requests().counters().resource_units;
    assert!(
        units as f64 <= report.items as f64 * 1.1 + 5.0,
        "{units} units for {} files",
        report.items
    );
    lab.bench.emulator.requests().clear();
    let second = lab.back_up_and_compare().await;
    assert_eq!(second.counts.stored + second.counts.removed, 0);
    let requests = lab.bench.emulator.requests().count();
    assert!(
        requests <= 6,
        "{requests} requests for a site that did not change"
    );
    assert!(lab.bench.emulator.requests().writes().is_empty());
}

#[tokio::test]
async fn libraries_come_go_and_change() {
    let mut lab = Lab::new(30).await;
    lab.back_up_and_compare().await;
    let documents = lab.site.library("Documents").unwrap();
    let contracts = lab.site.library("Contracts").unwrap();
    documents.add_file("a/b/one.txt", "one").unwrap();
    contracts.add_file("two.txt", "two").unwrap();
    let plans = lab.site.add_library("Pläne & more");
    plans.add_file("deep/three.txt", "three").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.added, report.counts.removed),
        (3, 0),
        "{:?}",
        report.counts
    );

    documents.rename("a", "A2").unwrap();
    documents.move_into("A2/b", "").unwrap();
    contracts.delete("two.txt").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.stored, report.counts.removed),
        (0, 1),
        "{:?}",
        report.counts
    );

    let before = contracts.items().iter().filter(|item| !item.folder).count() as u64;
    lab.site.delete_library("Contracts").unwrap();
    // What a new process finds out must not depend on what the old one remembered.
    lab.reconnect();
    let report = lab.back_up_and_compare().await;
    assert_eq!(report.counts.removed, before);
    // The same name again is another library.
    lab.site
        .add_library("Contracts")
        .add_file("two.txt", "again")
        .unwrap();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn lost_states_of_one_library_or_of_all() {
    let lab = Lab::new(40).await;
    lab.back_up_and_compare().await;
    for n in 0..6 {
        for (number, (_, drive)) in lab.site.libraries().into_iter().enumerate() {
            let items = drive.items();
            let file = items.iter().find(|item| !item.folder).unwrap();
            drive.delete(&file.id).unwrap();
            drive.add_file(&format!("during {n}.txt"), "x").unwrap();
            if n % 3 == number || n > 3 {
                drive.expire_delta();
            }
        }
        let report = lab.back_up_and_compare().await;
        assert!(
            report.counts.stored <= 2,
            "only what differs is read: {:?}",
            report.counts
        );
        assert_eq!(report.counts.removed, 2);
    }
}

#[tokio::test]
async fn a_state_that_is_lost_in_the_middle_of_the_second_library() {
    for change in ["nothing", "first library", "second library"] {
        let lab = Lab::new(150).await;
        lab.bench.emulator.set(|settings| settings.max_delta_page = 20);
        let first = lab.site.library("Documents").unwrap();
        let second = lab.site.library("Contracts").unwrap();
        first.add_file("Doomed/1.txt", "1").unwrap();
        second.add_file("Doomed/2.txt", "2").unwrap();
        let (one, two) = (first.clone(), second.clone());
        let path = format!("/drives/{}/", second.id().replace('!', "%21"));
        lab.bench.emulator.faults().on_request(&path, 40, move || {
            match change {
                // Told and stored long before, and not to be lost, or kept, by the restart of another library.
                "first library" => {
                    one.delete("Doomed").unwrap();
                    one.add_file("new.txt", "new").unwrap();
                }
                "second library" => two.delete("Doomed").unwrap(),
                _ => {}
            }
            two.expire_delta();
        });
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
async fn one_library_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let lab = Lab::new(20).await;
    lab.site
        .library("Contracts")
        .unwrap()
        .add_file("Folder/x.txt", "x")
        .unwrap();
    lab.back_up_and_compare().await;
    let before = lab.held().await;
    let documents = lab.site.library("Documents").unwrap();
    let contracts = lab.site.library("Contracts").unwrap();
    documents.add_file("new.txt", "new").unwrap();
    contracts.delete("Folder").unwrap();
    let path = format!("/drives/{}/", contracts.id().replace('!', "%21"));
    lab.bench
        .emulator
        .faults()
        .add(Fault::status(403).code("accessDenied").path(&path));
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.issues.len(), 1, "{:?}", report.issues);
    assert_eq!(report.issues[0].path, "Contracts/");
    let held = lab.held().await;
    assert!(held.files.contains_key("Documents/new.txt"));
    for path in before.files.keys() {
        assert!(
            held.files.contains_key(path),
            "'{path}' stays while it is not known"
        );
    }
    lab.bench.emulator.faults().clear();
    lab.back_up_and_compare().await;
    // If none can be read the run fails.
    lab.bench
        .emulator
        .faults()
        .add(Fault::status(403).code("accessDenied").path("/v1.0/drives/"));
    assert_eq!(
        lab.back_up().await.unwrap_err().kind(),
        ErrorKind::PermissionMissing
    );
    lab.bench.emulator.faults().clear();
    lab.site.set_locked(true);
    assert_eq!(lab.back_up().await.unwrap_err().kind(), ErrorKind::Busy);
    lab.site.set_locked(false);
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn sites_are_found_beside_mailboxes_and_drives() {
    let lab = Lab::with(
        Emulator::builder()
            .seed(seed())
            .users(1)
            .files_per_user(1)
            .sites(45, 0),
    )
    .await;
    let emulator = &lab.bench.emulator;
    let _ = emulator.add_personal_site("anna_fabrika_example");
    let _ = emulator.add_personal_site("ben_fabrika_example");
    let root = emulator.add_site("", "Fabrika");
    let deeper = emulator.sites()[1].add_subsite("deep er", "Deeper");
    let found: Vec<_> = lab.connector.discover().try_collect().await.unwrap();
    let sites: Vec<_> = found
        .iter()
        .filter(|object| object.kind == ObjectKind::Site)
        .collect();
    let mut addresses: Vec<_> = sites.iter().map(|site| site.address.clone().unwrap()).collect();
    let mut expected: Vec<_> = emulator.sites().iter().map(|site| site.url()).collect();
    addresses.sort();
    expected.sort();
    assert_eq!(addresses, expected, "each once, subsites too, personal ones not");
    assert_eq!(found.len(), sites.len() + 2);
    for site in [&root, &deeper, &lab.site] {
        let object = sites.iter().find(|object| object.native_id == site.id()).unwrap();
        for name in [
            site.url(),
            format!("{}/", site.url()),
            object.id.to_string(),
            site.url().replace(' ', "%20"),
        ] {
            assert_eq!(
                lab.connector.find_object(&name).await.unwrap(),
                **object,
                "{name}"
            );
        }
    }
    for (name, kind) in [
        (
            "https://fabrika.sharepoint.example/sites/nowhere",
            ErrorKind::NotFound,
        ),
        (
            "https://fabrika-my.sharepoint.example/personal/anna_fabrika_example",
            ErrorKind::InvalidInput,
        ),
        ("m365/site/a,b,c", ErrorKind::NotFound),
    ] {
        assert_eq!(
            lab.connector.find_object(name).await.unwrap_err().kind(),
            kind,
            "{name}"
        );
    }
    let app = emulator.app_id().to_owned();
    emulator.grant(
        &app,
        [
            "Mail.Read",
            "User.Read.All",
            "MailboxSettings.Read",
            "Files.Read.All",
        ],
    );
    emulator.faults().expire_tokens();
    let connector = lab.bench.reconnect();
    let checks = connector.check_permissions().await.unwrap();
    let check = checks
        .iter()
        .find(|check| check.permission == "Sites.Read.All")
        .unwrap();
    assert_eq!(check.granted, Some(false));
    use nakivo_core::connector::Connector;
    let error = connector.discover().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing);
    assert!(
        error.hint().unwrap_or_default().contains("Sites.Read.All"),
        "{error:?}"
    );
}
