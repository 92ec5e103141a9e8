//! The way back.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_core::connector::{
    Connector, ContentSource, Existing, ItemHead, RecoverAction, RecoverItem, Recovered, RecoveryTarget,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_emulator::{Action, Change as Edit, Emulator, Fault, FaultBody, Mailbox};

use crate::bench::{Bench, Model, Stored, seed};
use crate::lab::status;

/// The stored parts of one item.
struct Parts(HashMap<&'static str, Bytes>);

#[async_trait]
impl ContentSource for Parts {
    async fn open(&self, part: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self.0.get(part) {
            Some(bytes) => Ok(stream::iter([Ok(bytes.clone())]).boxed()),
            None => Err(Error::not_found("part", part)),
        }
    }
}

fn record(head: &ItemHead) -> ItemRecord {
    let mut record = ItemRecord::new(
        head.kind,
        head.item.container.clone(),
        head.item.id.clone(),
        head.name.clone(),
    );
    record.change_key.clone_from(&head.change_key);
    record.properties.clone_from(&head.properties);
    record.item_type.clone_from(&head.item_type);
    record
}

fn item_of(model: &Model, id: &str) -> (RecoverItem, Parts) {
    let stored = &model.items[id];
    let mut path = Vec::new();
    let mut current = stored.head.item.container.clone();
    while let Some(head) = model.containers.get(&current) {
        path.push(record(head));
        current.clone_from(&head.item.container);
    }
    path.reverse();
    let mut parts = HashMap::from([("mime", stored.mime.clone()), ("json", stored.json.clone())]);
    parts.extend(stored.attachments.clone().map(|list| ("attachments", list)));
    let parts = Parts(parts);
    (
        RecoverItem {
            record: record(&stored.head),
            path,
        },
        parts,
    )
}

struct Case {
    bench: Bench,
    object: ObjectRecord,
    mailbox: Mailbox,
    model: Model,
}

impl Case {
    async fn new(items: u32) -> Self {
        let bench = Bench::with(Emulator::builder().seed(seed()).users(2).items_per_user(items)).await;
        let object = bench.object().await;
        let mailbox = bench.mailbox();
        let mut model = Model::default();
        model.run(&bench.connector, &object).await.unwrap();
        Self {
            bench,
            object,
            mailbox,
            model,
        }
    }

    fn target(&self) -> &dyn RecoveryTarget {
        self.bench.connector.recovery().unwrap()
    }

    async fn existing(&self, id: &str) -> Existing {
        let (item, parts) = item_of(&self.model, id);
        self.target()
            .find_existing(&self.object, &item, &parts)
            .await
            .unwrap()
    }

    async fn recover(&self, id: &str, action: RecoverAction) -> Result<Recovered> {
        let (item, parts) = item_of(&self.model, id);
        let container = self
            .target()
            .ensure_container(&self.object, &item.path)
            .await
            .unwrap();
        self.target()
            .recover(&self.object, &container, &item, &parts, action)
            .await
    }

    /// Reads the recovered message and compares what a person would see.
    async fn assert_equal(&self, id: &str, recovered: &Recovered) {
        let stored = &self.model.items[id];
        let old: serde_json::Value = serde_json::from_slice(&stored.json).unwrap();
        let new = self.mailbox.message_json(&recovered.id).unwrap();
        let shape: String = String::from_utf8_lossy(&stored.mime)
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("content-") || line.contains("name="))
            .collect::<Vec<_>>()
            .join("\n");
        for key in [
            "subject",
            "from",
            "toRecipients",
            "ccRecipients",
            "isRead",
            "isDraft",
            "categories",
            "importance",
            "receivedDateTime",
            "sentDateTime",
            "internetMessageId",
            "hasAttachments",
        ] {
            if key == "hasAttachments" && stored.attachments.is_some() {
                // Links to files elsewhere: Graph takes none, and the report says so.
                assert!(
                    recovered.not_carried.iter().any(|line| line.contains("link")),
                    "{recovered:?}"
                );
                continue;
            }
            if key.ends_with("DateTime") && old["isDraft"] == true {
                continue;
            }
            assert_eq!(new[key], old[key], "{key} of '{}':\n{shape}", stored.head.name);
        }
        assert_eq!(new["flag"]["flagStatus"], old["flag"]["flagStatus"]);
        assert_eq!(
            new["body"]["content"], old["body"]["content"],
            "body of '{}'",
            stored.head.name
        );
    }
}

#[tokio::test]
async fn every_message_comes_back_equal() {
    let case = Case::new(60).await;
    let mut differing = Vec::new();
    let ids: Vec<String> = case.model.items.keys().cloned().collect();
    let mut with_attachments = 0;
    for id in &ids {
        assert!(matches!(case.existing(id).await, Existing::Identical { .. }));
        case.mailbox.purge_message(id).unwrap();
        assert_eq!(
            case.existing(id).await,
            Existing::Absent,
            "what was deleted is absent"
        );
        let before = case.mailbox.message_count().unwrap();
        match case.recover(id, RecoverAction::Create).await {
            Ok(recovered) => {
                case.assert_equal(id, &recovered).await;
                let truth = case.mailbox.message(&recovered.id).unwrap();
                assert_eq!(
                    truth.folder_id, case.model.items[id].head.item.container,
                    "back in its folder"
                );
                with_attachments += usize::from(truth.attachments > 0);
                assert_eq!(case.mailbox.message_count().unwrap(), before + 1);
                // Again: the copy is found, nothing is made.
                let again = case.recover(id, RecoverAction::Create).await.unwrap();
                assert_eq!(again.id, recovered.id);
                assert_eq!(case.mailbox.message_count().unwrap(), before + 1);
                assert_eq!(case.existing(id).await, Existing::Identical { id: recovered.id });
            }
            Err(error) => differing.push((case.model.items[id].head.name.clone(), error)),
        }
    }
    println!(
        "{} messages recovered, {with_attachments} with attachments",
        ids.len() - differing.len()
    );
    assert!(differing.is_empty(), "{differing:#?}");
    let sent = case
        .bench
        .emulator
        .requests()
        .matching(|record| record.target.to_lowercase().contains("send"));
    assert!(sent.is_empty(), "nothing is ever sent");
}

#[tokio::test]
async fn conflicts_are_told_and_solved() {
    let case = Case::new(20).await;
    let message = case
        .mailbox
        .messages_in("inbox")
        .unwrap()
        .into_iter()
        .find(|one| !one.is_draft)
        .unwrap();
    let id = message.id.as_str();

    // Changed: differs, and says in what.
    case.mailbox
        .change(
            id,
            [
                Edit::Read(!message.is_read),
                Edit::Categories(vec!["Later".into()]),
            ],
        )
        .unwrap();
    let Existing::Differs {
        id: found,
        difference,
    } = case.existing(id).await
    else {
        panic!("must differ")
    };
    assert_eq!(found, id);
    assert!(
        difference.contains("read state") && difference.contains("categories"),
        "{difference}"
    );

    // Beside it, under a name that says so.
    let before = case.mailbox.message_count().unwrap();
    let renamed = case.recover(id, RecoverAction::CreateRenamed).await.unwrap();
    let copy = case.mailbox.message(&renamed.id).unwrap();
    assert!(
        copy.subject.starts_with(&message.subject) && copy.subject.ends_with("(recovered 2026-01-01)"),
        "{}",
        copy.subject
    );
    assert_eq!(case.mailbox.message_count().unwrap(), before + 1);
    assert_eq!(
        case.mailbox.message(id).unwrap().is_read,
        !message.is_read,
        "the existing one is untouched"
    );

    // In its place: the old one is in Deleted Items, not gone.
    let replaced = case
        .recover(
            id,
            RecoverAction::Replace {
                existing: id.to_owned(),
            },
        )
        .await
        .unwrap();
    case.assert_equal(id, &replaced).await;
    let deleted = case.mailbox.folder_id("deleteditems").unwrap();
    assert_eq!(case.mailbox.message(id).unwrap().folder_id, deleted);
    // A repeated call changes nothing more.
    let count = case.mailbox.message_count().unwrap();
    let again = case
        .recover(
            id,
            RecoverAction::Replace {
                existing: id.to_owned(),
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (again.id, case.mailbox.message_count().unwrap()),
        (replaced.id, count)
    );

    // Moved elsewhere by its owner: differs; deleted: absent.
    let other = &case
        .mailbox
        .messages_in("inbox")
        .unwrap()
        .into_iter()
        .find(|one| case.model.items.contains_key(&one.id))
        .unwrap()
        .id;
    case.mailbox.move_message(other, "archive").unwrap();
    assert!(matches!(case.existing(other).await, Existing::Differs { .. }));
    case.mailbox.move_message(other, "deleteditems").unwrap();
    assert_eq!(case.existing(other).await, Existing::Absent);
}

#[tokio::test]
async fn folders_are_made_again_and_only_once() {
    let mut case = Case::new(10).await;
    let folder = case.mailbox.create_folder("inbox", "Projects / Ω").unwrap();
    let hidden = case.mailbox.create_hidden_folder(&folder, "Secret").unwrap();
    let id = case
        .mailbox
        .add_message(
            &hidden,
            "From: a@b.org\r\nTo: c@d.org\r\nSubject: Deep\r\n\r\ntext\r\n",
        )
        .unwrap();
    case.model.run(&case.bench.connector, &case.object).await.unwrap();
    case.mailbox.purge_folder(&folder).unwrap();
    assert_eq!(case.existing(&id).await, Existing::Absent);
    let recovered = case.recover(&id, RecoverAction::Create).await.unwrap();
    assert_eq!(recovered.location, "Inbox/Projects / Ω/Secret");
    let made = case.mailbox.message(&recovered.id).unwrap().folder_id;
    let truth = case
        .mailbox
        .folders()
        .unwrap()
        .into_iter()
        .find(|one| one.id == made)
        .unwrap();
    assert!(truth.hidden && truth.name == "Secret");
    // A new process finds the same folder.
    let (item, _) = item_of(&case.model, &id);
    let other = case.bench.reconnect();
    let again = other
        .recovery()
        .unwrap()
        .ensure_container(&case.object, &item.path)
        .await
        .unwrap();
    assert_eq!(again, made);
    assert_eq!(
        case.mailbox
            .folders()
            .unwrap()
            .iter()
            .filter(|one| one.name == "Secret")
            .count(),
        1
    );
}

#[tokio::test]
async fn another_mailbox_takes_it_too() {
    let case = Case::new(10).await;
    let other = case.bench.emulator.mailboxes().remove(1);
    let target = case.bench.connector.find_object(other.address()).await.unwrap();
    let id = case.mailbox.messages_in("inbox").unwrap().remove(0).id;
    let (item, parts) = item_of(&case.model, &id);
    let recovery = case.target();
    assert_eq!(
        recovery.find_existing(&target, &item, &parts).await.unwrap(),
        Existing::Absent
    );
    let container = recovery.ensure_container(&target, &item.path).await.unwrap();
    assert_eq!(
        container,
        other.folder_id("inbox").unwrap(),
        "the inbox is the inbox, whatever its name"
    );
    let made = recovery
        .recover(&target, &container, &item, &parts, RecoverAction::Create)
        .await
        .unwrap();
    assert_eq!(other.message(&made.id).unwrap().folder_id, container);
}

#[tokio::test]
async fn answers_that_are_lost_make_no_second_copy() {
    for action in [
        Action::AfterSuccess { status: 500 },
        Action::AfterSuccess { status: 503 },
        Action::ResetAfterSuccess,
        Action::Reset,
        status(500, FaultBody::Envelope, None),
        status(429, FaultBody::Envelope, Some("2")),
    ] {
        let case = Case::new(40).await;
        let attached = case
            .mailbox
            .messages()
            .unwrap()
            .into_iter()
            .find(|one| one.attachments > 0 && !one.is_draft)
            .expect("some message has attachments");
        // Each write in turn: the POST, each attachment, the mark, the move of the old one.
        for k in 1..=attached.attachments as u64 + 3 {
            case.bench.emulator.faults().clear();
            let before = case.mailbox.message_count().unwrap();
            let (item, parts) = item_of(&case.model, &attached.id);
            let mut item = item;
            item.record.change_key = Some(format!("run {k}"));
            let container = case
                .target()
                .ensure_container(&case.object, &item.path)
                .await
                .unwrap();
            for method in ["POST", "PATCH"] {
                case.bench.emulator.faults().add(
                    Fault::new(action.clone())
                        .method(method)
                        .path("/v1.0/users")
                        .at_request(k),
                );
            }
            let made = case
                .target()
                .recover(&case.object, &container, &item, &parts, RecoverAction::Create)
                .await
                .unwrap_or_else(|error| panic!("{action:?} at write {k}: {error:?}"));
            assert_eq!(
                case.mailbox.message_count().unwrap(),
                before + 1,
                "{action:?} at write {k}: one copy"
            );
            assert_eq!(
                case.mailbox.message(&made.id).unwrap().attachments,
                attached.attachments,
                "{action:?} at {k}"
            );
        }
    }
}

#[tokio::test]
async fn a_failed_overwrite_leaves_everything_as_it_was() {
    let case = Case::new(40).await;
    let attached = case
        .mailbox
        .messages()
        .unwrap()
        .into_iter()
        .find(|one| one.attachments > 0 && !one.is_draft)
        .unwrap();
    let id = attached.id.as_str();
    case.mailbox
        .change(id, [Edit::Subject("Edited since".into())])
        .unwrap();
    let before = case.mailbox.messages().unwrap();
    for (path, method) in [
        ("/attachments", "POST"),
        ("/move", "POST"),
        ("/attachments", "GET"),
    ] {
        case.bench.emulator.faults().clear();
        case.bench.emulator.faults().add(
            Fault::status(400)
                .code("ErrorInvalidRequest")
                .method(method)
                .path(path),
        );
        let error = case
            .recover(
                id,
                RecoverAction::Replace {
                    existing: id.to_owned(),
                },
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        case.bench.emulator.faults().clear();
        let after: Vec<_> = case.mailbox.messages().unwrap();
        let live: Vec<_> = after
            .iter()
            .filter(|one| one.folder_id == attached.folder_id)
            .collect();
        let live_before: Vec<_> = before
            .iter()
            .filter(|one| one.folder_id == attached.folder_id)
            .collect();
        assert_eq!(
            live, live_before,
            "{method} {path}: nothing was left behind and nothing is missing"
        );
    }
}

#[tokio::test]
async fn a_copy_that_a_crash_left_unfinished_is_replaced() {
    let case = Case::new(40).await;
    let attached = case
        .mailbox
        .messages()
        .unwrap()
        .into_iter()
        .find(|one| one.attachments > 0 && !one.is_draft)
        .unwrap();
    case.mailbox.purge_message(&attached.id).unwrap();
    let in_folder = || case.mailbox.messages_in(&attached.folder_id).unwrap().len();
    let (before, before_in_folder) = (case.mailbox.message_count().unwrap(), in_folder());
    // The attachment is refused and so is the clean-up: what a crash would leave.
    case.bench.emulator.faults().add(
        Fault::status(400)
            .code("ErrorInvalidRequest")
            .method("POST")
            .path("/attachments"),
    );
    case.bench
        .emulator
        .faults()
        .add(Fault::status(400).code("ErrorInvalidRequest").method("DELETE"));
    case.recover(&attached.id, RecoverAction::Create)
        .await
        .unwrap_err();
    assert_eq!(
        case.mailbox.message_count().unwrap(),
        before + 1,
        "half a copy is there"
    );
    assert_eq!(
        case.existing(&attached.id).await,
        Existing::Absent,
        "and does not count"
    );
    case.bench.emulator.faults().clear();
    let made = case.recover(&attached.id, RecoverAction::Create).await.unwrap();
    // The half copy is in Deleted Items now.
    assert_eq!(in_folder(), before_in_folder + 1);
    assert_eq!(
        case.mailbox.message(&made.id).unwrap().attachments,
        attached.attachments
    );
}

#[tokio::test]
async fn large_attachments_go_through_a_session() {
    let mut case = Case::new(5).await;
    let id = case.mailbox.add_big_message("inbox", 12 << 20).unwrap();
    case.model.run(&case.bench.connector, &case.object).await.unwrap();
    let stored: &Stored = &case.model.items[&id];
    assert!(stored.mime.len() > 12 << 20);
    case.mailbox.purge_message(&id).unwrap();
    case.bench.emulator.requests().clear();
    let made = case.recover(&id, RecoverAction::Create).await.unwrap();
    let puts = case
        .bench
        .emulator
        .requests()
        .matching(|record| record.method == "PUT");
    assert!(
        puts.len() >= 3 && puts.iter().all(|record| !record.authorized),
        "{puts:?}"
    );
    assert_eq!(case.existing(&id).await, Existing::Identical { id: made.id });
}

#[tokio::test]
async fn permission_to_write_is_asked_for_by_name() {
    let case = Case::new(5).await;
    let id = case.mailbox.messages_in("inbox").unwrap().remove(0).id;
    case.bench.emulator.grant(
        case.bench.emulator.app_id(),
        ["User.Read.All", "Mail.Read", "MailboxSettings.Read"],
    );
    case.bench.emulator.faults().expire_tokens();
    let error = case.recover(&id, RecoverAction::CreateRenamed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing);
    assert!(error.hint().unwrap().contains("Mail.ReadWrite"), "{error:?}");
}
