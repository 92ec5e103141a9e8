//! The way back.

use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{ItemOutcome, PlannedAction, RecoveryReport, Selection, Target};
use nakivo_graph_emulator::{Action, ContactTruth, Fault};
use serde_json::{Value, json};

use super::lab::Lab;
use crate::lab::Truth;

fn not_carried(report: &RecoveryReport) -> Vec<&str> {
    let lines = report.items.iter().flat_map(|item| match &item.outcome {
        ItemOutcome::Recovered(recovered) => recovered.not_carried.as_slice(),
        _ => &[],
    });
    lines.map(String::as_str).collect()
}

/// What was set, and the photo.
fn essence(contacts: &[ContactTruth]) -> Vec<String> {
    let mut out: Vec<String> = contacts
        .iter()
        .map(|one| format!("{} {:?}", one.fields, one.photo))
        .collect();
    out.sort();
    out
}

fn selection(path: &str) -> Selection {
    Selection::Paths(vec![path.to_owned()])
}

#[tokio::test]
async fn deleted_contacts_come_back_with_their_folders_and_photos() {
    for deleted_stay in [false, true] {
        let lab = Lab::new(20).await;
        lab.bench
            .emulator
            .set(|settings| settings.deleted_contacts_stay = deleted_stay);
        let before = lab.contacts.all().unwrap();
        lab.back_up_and_compare().await;
        for one in before.iter().step_by(2) {
            lab.contacts.delete(&one.id).unwrap();
        }
        lab.contacts.delete_folder("Customers").unwrap();
        let report = lab
            .recover(selection("Contacts"), Target::Original, OnConflict::Rename)
            .await;
        assert_eq!(report.counts.failed, 0, "{:#?}", report.items);
        assert_eq!(essence(&lab.contacts.all().unwrap()), essence(&before));
        assert_eq!(lab.contacts.folders().unwrap().len(), 3);
        assert!(not_carried(&report).is_empty());
        let again = lab
            .recover(selection("Contacts"), Target::Original, OnConflict::Rename)
            .await;
        assert_eq!(
            again.counts.recovered, 0,
            "everything is there already: {:#?}",
            again.items
        );
        assert_eq!(lab.contacts.all().unwrap().len(), before.len());
    }
}

#[tokio::test]
async fn to_another_mailbox_and_what_graph_does_not_take() {
    let lab = Lab::new(9).await;
    lab.contacts
        .add("", json!({"givenName": "Odd", "shoeSize": 43}))
        .unwrap();
    lab.back_up_and_compare().await;
    let mailboxes = lab.bench.emulator.mailboxes();
    let other = lab.bench.emulator.contacts(mailboxes[1].address()).unwrap();
    let there = other.all().unwrap().len();
    let target = lab.connector.find_object(mailboxes[1].address()).await.unwrap();
    let report = lab
        .recover(selection("Contacts"), Target::Object(target), OnConflict::Rename)
        .await;
    assert_eq!(
        (report.counts.recovered, report.counts.failed),
        (10, 0),
        "{:#?}",
        report.items
    );
    assert_eq!(not_carried(&report), ["shoeSize: Graph does not take it"]);
    assert_eq!(other.all().unwrap().len(), there + 10);
}

#[tokio::test]
async fn what_changed_is_renamed_skipped_or_overwritten() {
    let lab = Lab::new(0).await;
    let id = lab
        .contacts
        .add(
            "",
            json!({"givenName": "Anna", "surname": "N", "jobTitle": "Buyer"}),
        )
        .unwrap();
    lab.contacts
        .set_photo(&id, Some(bytes::Bytes::from_static(b"old")))
        .unwrap();
    lab.back_up_and_compare().await;
    lab.contacts.edit(&id, json!({"jobTitle": "Boss"})).unwrap();
    lab.contacts
        .set_photo(&id, Some(bytes::Bytes::from_static(b"new")))
        .unwrap();
    let path = || selection("Contacts/Anna N");

    let plan = lab.plan(path(), Target::Original, OnConflict::Skip).await;
    let PlannedAction::SkipExisting { difference } = &plan.items[0].action else {
        panic!("{:?}", plan.items[0].action)
    };
    assert_eq!(difference, "jobTitle, photo");
    let report = lab.recover(path(), Target::Original, OnConflict::Rename).await;
    assert_eq!(report.counts.recovered, 1, "{:#?}", report.items);
    let names: Vec<Value> = lab
        .contacts
        .all()
        .unwrap()
        .iter()
        .map(|one| one.fields["displayName"].clone())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names[1].as_str().unwrap().starts_with("Anna N (recovered "),
        "{names:?}"
    );

    let report = lab.recover(path(), Target::Original, OnConflict::Overwrite).await;
    assert_eq!(report.counts.recovered, 1, "{:#?}", report.items);
    let all = lab.contacts.all().unwrap();
    assert!(
        all.iter()
            .all(|one| one.fields["jobTitle"] == "Buyer" && one.id != id)
    );
    assert!(
        all.iter()
            .all(|one| one.photo.as_deref() == Some(b"old".as_slice()))
    );
}

#[tokio::test]
async fn a_lost_answer_makes_no_double() {
    for action in [Action::ResetAfterSuccess, Action::AfterSuccess { status: 504 }] {
        let lab = Lab::new(4).await;
        lab.back_up_and_compare().await;
        let before = lab.contacts.all().unwrap();
        for one in &before {
            lab.contacts.delete(&one.id).unwrap();
        }
        let fault = Fault::new(action).path("/contacts").method("POST").times(2);
        lab.bench.emulator.faults().add(fault);
        let report = lab
            .recover(selection("Contacts"), Target::Original, OnConflict::Rename)
            .await;
        assert!(lab.bench.emulator.faults().struck() > 0);
        assert_eq!(report.counts.failed, 0, "{:#?}", report.items);
        assert_eq!(essence(&lab.contacts.all().unwrap()), essence(&before));
    }
}

#[tokio::test]
async fn what_does_not_read_back_equal_is_removed_and_reported() {
    let lab = Lab::new(0).await;
    let id = lab.contacts.add("", json!({"givenName": "Anna"})).unwrap();
    lab.contacts
        .set_photo(&id, Some(bytes::Bytes::from_static(b"p")))
        .unwrap();
    lab.back_up_and_compare().await;
    lab.contacts.delete(&id).unwrap();
    let refuse = Fault::status(400).path("/photo/$value").method("PUT");
    lab.bench.emulator.faults().add(refuse);
    let report = lab
        .recover(selection("Contacts"), Target::Original, OnConflict::Rename)
        .await;
    assert_eq!((report.counts.recovered, report.counts.failed), (0, 1));
    assert!(
        lab.contacts.all().unwrap().is_empty(),
        "no contact without its photo is left behind"
    );
}
