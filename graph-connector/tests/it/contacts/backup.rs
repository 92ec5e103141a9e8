//! Reading contacts: first and later runs, moves, photos, lost states, services that are not read, economy.

use bytes::Bytes;
use nakivo_core::ErrorKind;
use nakivo_graph_connector::MailboxService::{Contacts, Mail};
use nakivo_graph_emulator::{App, DEFAULT_ROLES, Emulator};
use serde_json::json;

use super::lab::Lab;
use crate::lab::{Truth, account};

#[tokio::test]
async fn everything_is_read_once_and_then_what_changed() {
    let lab = Lab::new(40).await;
    lab.contacts
        .add(
            "",
            json!({"displayName": "x".repeat(3000), "shoeSize": {"eu": 43}, "personalNotes": "a\u{1}b"}),
        )
        .unwrap();
    lab.bench.emulator.set(|settings| settings.read_only_guard = true);
    let first = lab.back_up_and_compare().await;
    assert_eq!(first.counts.added, 44, "three messages and 41 contacts");
    let requests = lab.bench.emulator.requests();
    for record in requests.matching(|record| record.operation.contains("ontact")) {
        let immutable = record.prefer.iter().any(|value| value.contains("ImmutableId"));
        assert!(immutable, "immutable ids on every request: {}", record.target);
    }
    requests.clear();
    let second = lab.back_up_and_compare().await;
    assert_eq!(
        (second.counts.added, second.counts.changed, second.counts.removed),
        (0, 0, 0)
    );
    assert_eq!(
        requests
            .matching(|record| record.operation.contains("photo"))
            .len(),
        0
    );
    let asked = requests
        .matching(|record| record.operation.contains("contact"))
        .len();
    assert_eq!(
        asked, 8,
        "two for the list, children and delta of each of three folders"
    );
    assert!(requests.writes().is_empty());
}

#[tokio::test]
async fn edits_moves_and_deletions_are_followed() {
    for deleted_stay in [false, true] {
        let lab = Lab::new(20).await;
        lab.bench.emulator.set(|settings| {
            settings.deleted_contacts_stay = deleted_stay;
            settings.list_standard_contact_folder = deleted_stay;
        });
        lab.back_up_and_compare().await;
        let all = lab.contacts.all().unwrap();
        let suppliers = lab.contacts.create_folder("", "Suppliers").unwrap();
        lab.contacts
            .edit(&all[0].id, json!({"givenName": "Changed"}))
            .unwrap();
        lab.contacts.relocate(&all[1].id, &suppliers).unwrap();
        lab.contacts.delete(&all[2].id).unwrap();
        lab.contacts
            .set_photo(&all[3].id, Some(Bytes::from_static(b"jpeg")))
            .unwrap();
        lab.contacts.edit(&all[3].id, json!({"title": "Dr."})).unwrap();
        lab.contacts.rename_folder("Customers", "Clients").unwrap();
        let report = lab.back_up_and_compare().await;
        assert_eq!(report.counts.removed, 1);
        // There and back again, and a folder that goes with what is in it.
        lab.contacts.relocate(&all[1].id, "").unwrap();
        lab.contacts.relocate(&all[1].id, &suppliers).unwrap();
        lab.contacts.delete_folder("Clients").unwrap();
        lab.back_up_and_compare().await;
    }
}

#[tokio::test]
async fn a_photo_that_alone_changed_is_found_in_time() {
    let lab = Lab::new(3).await;
    lab.bench
        .emulator
        .set(|settings| settings.missing_photo_is_a_dot = true);
    lab.back_up_and_compare().await;
    let all = lab.contacts.all().unwrap();
    lab.contacts
        .set_photo(&all[0].id, Some(Bytes::from_static(b"new")))
        .unwrap();
    let mut runs = 0;
    loop {
        runs += 1;
        let report = lab.back_up().await.unwrap();
        if report.counts.changed == 1 {
            break;
        }
        assert!(runs < 16, "every sixteenth run at the latest");
    }
    lab.assert_truth().await;
}

#[tokio::test]
async fn lost_delta_states_are_survived() {
    let lab = Lab::new(12).await;
    lab.back_up_and_compare().await;
    let all = lab.contacts.all().unwrap();
    lab.contacts.delete(&all[0].id).unwrap();
    lab.contacts.edit(&all[1].id, json!({"surname": "New"})).unwrap();
    lab.contacts.expire_delta().unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!((report.counts.changed, report.counts.removed), (1, 1));
}

#[tokio::test]
async fn a_service_that_is_not_read_stays_as_it_was() {
    let mut lab = Lab::new(10).await;
    lab.back_up_and_compare().await;
    let before = lab.point().counts;
    let first = lab.contacts.all().unwrap().remove(0);
    lab.contacts.delete(&first.id).unwrap();
    lab.reads(&[Mail]);
    let report = lab.back_up().await.unwrap();
    assert!(report.issues.is_empty());
    let counts = lab.point().counts;
    assert_eq!(
        (counts.items, counts.containers),
        (before.items, before.containers)
    );
    assert!(lab.held().await.0.contains_key(&first.id));
    // Mail that was read once stays when only contacts are.
    lab.reads(&[Contacts]);
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.removed, lab.point().counts.items),
        (1, before.items - 1)
    );
    lab.reads(&[Mail, Contacts]);
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.added, report.counts.changed, report.counts.removed),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn without_its_permission_contacts_are_listed_as_missing() {
    let mut lab = Lab::new(10).await;
    lab.back_up_and_compare().await;
    let before = lab.point().counts;
    let roles = DEFAULT_ROLES
        .into_iter()
        .filter(|role| !role.starts_with("Contacts."));
    lab.bench
        .emulator
        .register(App::new("narrow").secret("s").roles(roles));
    let mut config = account(&lab.bench, &[Mail, Contacts]);
    config.app_id = "narrow".to_owned();
    config.client_secret = Some(nakivo_graph_connector::Secret::new("s"));
    lab.connector = std::sync::Arc::new(lab.bench.connect_with(&config));
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.issues.len(), 1);
    assert_eq!(
        (
            report.issues[0].path.as_str(),
            report.issues[0].cause.code.as_str()
        ),
        ("Contacts", "permission_missing")
    );
    assert!(
        report.issues[0].cause.message.contains("Contacts.Read"),
        "{}",
        report.issues[0].cause.message
    );
    assert_eq!(lab.point().counts.items, before.items, "what was there stays");

    // Nothing but contacts wanted, and they may not be read: no point at all.
    config.mailbox_services = vec![Contacts];
    lab.connector = std::sync::Arc::new(lab.bench.connect_with(&config));
    let error = lab.back_up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing);
}

#[tokio::test]
async fn cards_of_others_come_through() {
    let Some(corpus) = corpus() else { return };
    let lab = Lab::with(Emulator::builder().seed(1).users(1).contacts_from(corpus)).await;
    assert!(lab.contacts.all().unwrap().len() >= 9);
    lab.back_up_and_compare().await;
}

/// The folder with the published cards.
fn corpus() -> Option<std::path::PathBuf> {
    let base = std::env::var_os("NAKIVO_SHARED").map_or_else(
        || std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    let corpus = base.join("corpus/ez-vcard");
    if !corpus.is_dir() {
        println!("SKIPPED: no cards at {}", corpus.display());
        return None;
    }
    Some(corpus)
}
