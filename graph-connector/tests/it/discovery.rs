//! What can be protected.

use futures::TryStreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::connector::Connector;
use nakivo_graph_connector::MailboxPurpose;
use nakivo_graph_emulator::Emulator;

use crate::bench::{Bench, seed};

#[tokio::test]
async fn mailboxes_are_found_and_users_without_one_are_told_apart() {
    for object_shape in [false, true] {
        let bench = Bench::with(
            Emulator::builder()
                .seed(seed())
                .users(4)
                .items_per_user(2)
                .shared_mailboxes(2)
                .users_without_mailbox(2),
        )
        .await;
        bench
            .emulator
            .set(|settings| settings.user_purpose_object = object_shape);
        let objects: Vec<_> = bench.connector.discover().try_collect().await.unwrap();
        let mut found: Vec<String> = objects
            .iter()
            .map(|object| object.address.clone().unwrap())
            .collect();
        let mut expected: Vec<String> = bench
            .emulator
            .mailboxes()
            .iter()
            .map(|mailbox| mailbox.address().to_owned())
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let users: Vec<_> = bench.connector.users().try_collect().await.unwrap();
        assert_eq!(users.iter().filter(|user| user.purpose.is_none()).count(), 2);
        assert_eq!(
            users
                .iter()
                .filter(|user| user.purpose == Some(MailboxPurpose::Shared))
                .count(),
            2
        );
        assert!(bench.emulator.requests().writes().is_empty());
    }
}

#[tokio::test]
async fn objects_are_found_by_every_name() {
    let bench = Bench::small().await;
    let mailbox = bench.mailbox();
    let object = bench.object().await;
    assert_eq!(object.source, "m365");
    for name in [
        mailbox.address().to_uppercase(),
        mailbox.display_name().to_owned(),
        mailbox.user_id().to_owned(),
        object.id.to_string(),
    ] {
        assert_eq!(
            bench.connector.find_object(&name).await.unwrap().id,
            object.id,
            "{name}"
        );
    }
    for name in ["nobody@nowhere.example", "No Body", "..", "", "x/y"] {
        let error = bench.connector.find_object(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn all_permissions_are_seen() {
    let bench = Bench::with(
        Emulator::builder()
            .seed(seed())
            .users(2)
            .items_per_user(3)
            .files_per_user(1),
    )
    .await;
    let checks = bench.connector.check_permissions().await.unwrap();
    let written = [
        "Mail.ReadWrite",
        "Contacts.ReadWrite",
        "Calendars.ReadWrite",
        "Files.ReadWrite.All",
        "Sites.ReadWrite.All",
        "Sites.Manage.All",
    ];
    for check in &checks {
        let expected = (!written.contains(&check.permission)).then_some(true);
        assert_eq!(check.granted, expected, "{check:?}");
    }
    assert_eq!(checks.len(), 13);
    assert!(bench.emulator.requests().writes().is_empty());
}
