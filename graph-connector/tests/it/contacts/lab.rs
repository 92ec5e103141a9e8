//! An emulator with contacts, a connector that reads whole mailboxes, and a repository in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::recovery::PointView;
use nakivo_graph_connector::MailboxService;
use nakivo_graph_emulator::{Contacts, Emulator, EmulatorBuilder};
use serde_json::Value;

use crate::bench::{Bench, seed};
use crate::lab::{self, Truth, account, is_a_lab, part, walk};

pub(crate) struct Lab {
    common: lab::Lab,
    pub(crate) contacts: Contacts,
}

is_a_lab!(Lab);

impl Truth for Lab {
    /// Compares the newest point with the contacts of the mailbox.
    async fn assert_truth(&self) {
        let (held, folders) = self.held().await;
        let truth = self.contacts.all().unwrap();
        let ids: Vec<&str> = truth.iter().map(|one| one.id.as_str()).collect();
        let mut expected = ids.clone();
        expected.sort_unstable();
        assert_eq!(held.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        for one in &truth {
            let stored = &held[&one.id];
            assert_eq!(stored.record.container, format!("contacts:{}", one.folder_id));
            assert_eq!(stored.json["changeKey"], one.change_key.as_str());
            for (name, value) in one.fields.as_object().unwrap() {
                assert_eq!(&stored.json[name], value, "{name}");
            }
            assert_eq!(stored.photo, one.photo, "photo of {}", stored.record.name);
            assert!(stored.card.starts_with("BEGIN:VCARD\r\n") && stored.card.ends_with("END:VCARD\r\n"));
            assert_eq!(stored.card.contains("PHOTO:"), one.photo.is_some());
        }
        let paths: Vec<String> = folders.keys().cloned().collect();
        let mut expected: Vec<String> = self
            .contacts
            .folders()
            .unwrap()
            .into_iter()
            .map(|(_, path)| format!("Contacts/{path}").trim_end_matches('/').to_owned())
            .collect();
        expected.sort();
        assert_eq!(paths, expected);
    }
}

/// A stored contact.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) record: ItemRecord,
    pub(crate) json: Value,
    pub(crate) card: String,
    pub(crate) photo: Option<Bytes>,
}

impl Lab {
    /// Two users, each with so many contacts and a few messages.
    pub(crate) async fn new(contacts: u32) -> Self {
        let builder = Emulator::builder().seed(seed()).users(2).items_per_user(3);
        Self::with(builder.contacts_per_user(contacts)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let account = account(&bench, &MailboxService::ALL);
        let address = bench.mailbox().address().to_owned();
        Self {
            contacts: bench.emulator.contacts(&address).unwrap(),
            common: lab::Lab::new(bench, account, &address).await,
        }
    }

    /// The contacts of the newest point by id, and the folders of contacts by path.
    pub(crate) async fn held(&self) -> (BTreeMap<String, Held>, BTreeMap<String, ItemRecord>) {
        let view = self.view();
        let (mut contacts, mut folders) = (BTreeMap::new(), BTreeMap::new());
        for (path, record) in walk(&view).await {
            match record.kind {
                ItemKind::Container if record.id.starts_with("contacts:") => {
                    folders.insert(path, record);
                }
                ItemKind::Contact => {
                    let held = hold(&view, record).await;
                    assert!(contacts.insert(held.record.id.clone(), held).is_none());
                }
                _ => {}
            }
        }
        (contacts, folders)
    }
}

async fn hold(view: &PointView, record: ItemRecord) -> Held {
    let photo = match record.part("photo") {
        Some(_) => Some(part(view, &record, "photo").await),
        None => None,
    };
    let json = serde_json::from_slice(&part(view, &record, "json").await).unwrap();
    let card = String::from_utf8(part(view, &record, "vcard").await.to_vec()).unwrap();
    Held {
        record,
        json,
        card,
        photo,
    }
}
