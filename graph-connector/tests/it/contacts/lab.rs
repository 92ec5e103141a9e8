//! An emulator with contacts, a connector that reads whole mailboxes, and a repository in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions, BackupReport};
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::format::manifest::{Manifest, ObjectRecord};
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::recovery::{self, PageRequest, PointView, RecoveryPlan, RecoveryReport, Selection, Target};
use nakivo_core::repository::{PointSelector, Repository};
use nakivo_graph_connector::{AccountConfig, MailboxService};
use nakivo_graph_emulator::{Contacts, Emulator, EmulatorBuilder};
use serde_json::Value;

use crate::bench::{Bench, config, seed};
use crate::drives::lab::new_repository;

pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) repository: Repository,
    pub(crate) contacts: Contacts,
    pub(crate) object: ObjectRecord,
}

/// A stored contact.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) record: ItemRecord,
    pub(crate) json: Value,
    pub(crate) card: String,
    pub(crate) photo: Option<Bytes>,
}

/// An account that reads these services of mailboxes.
pub(crate) fn account(bench: &Bench, services: &[MailboxService]) -> AccountConfig {
    config(&bench.emulator).with_mailbox_services(services.iter().copied())
}

impl Lab {
    /// Two users, each with so many contacts and a few messages.
    pub(crate) async fn new(contacts: u32) -> Self {
        let builder = Emulator::builder().seed(seed()).users(2).items_per_user(3);
        Self::with(builder.contacts_per_user(contacts)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let connector: Arc<dyn Connector> =
            Arc::new(bench.connect_with(&account(&bench, &MailboxService::ALL)));
        let contacts = bench.emulator.contacts(bench.mailbox().address()).unwrap();
        let object = connector.find_object(bench.mailbox().address()).await.unwrap();
        let repository = new_repository(&bench).await;
        Self {
            bench,
            connector,
            repository,
            contacts,
            object,
        }
    }

    /// From now on, reads these services only.
    pub(crate) fn reads(&mut self, services: &[MailboxService]) {
        self.connector = Arc::new(self.bench.connect_with(&account(&self.bench, services)));
    }

    pub(crate) async fn back_up(&self) -> Result<BackupReport> {
        let connector = Arc::clone(&self.connector);
        let options = BackupOptions::default();
        backup::start(&self.repository, connector, self.object.clone(), options)
            .wait()
            .await
    }

    /// A run that must be complete and hold the truth.
    pub(crate) async fn back_up_and_compare(&self) -> BackupReport {
        let report = self.back_up().await.unwrap();
        assert!(report.issues.is_empty(), "{:#?}", report.issues);
        self.assert_truth().await;
        report
    }

    pub(crate) fn point(&self) -> Manifest {
        self.repository
            .point(&self.object.id, &PointSelector::Latest)
            .unwrap()
    }

    /// The contacts of the newest point by id, and the folders of contacts by path.
    pub(crate) async fn held(&self) -> (BTreeMap<String, Held>, BTreeMap<String, ItemRecord>) {
        let view = PointView::open(&self.repository, self.point());
        let (mut contacts, mut folders) = (BTreeMap::new(), BTreeMap::new());
        let mut open = vec![String::new()];
        while let Some(container) = open.pop() {
            let request = PageRequest {
                after: None,
                limit: 10_000,
            };
            for entry in view.list(&container, request).await.unwrap().entries {
                let record = entry.record;
                match record.kind {
                    ItemKind::Container => {
                        open.push(record.id.clone());
                        if record.id.starts_with("contacts:") {
                            folders.insert(entry.path, record);
                        }
                    }
                    ItemKind::Contact => {
                        let held = hold(&view, record).await;
                        assert!(contacts.insert(held.record.id.clone(), held).is_none());
                    }
                    _ => {}
                }
            }
        }
        (contacts, folders)
    }

    /// Compares the newest point with the contacts of the mailbox.
    pub(crate) async fn assert_truth(&self) {
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

    pub(crate) async fn plan(
        &self,
        selection: Selection,
        target: Target,
        on_conflict: OnConflict,
    ) -> RecoveryPlan {
        let point = self.point();
        recovery::plan(
            &self.repository,
            &point,
            selection,
            &self.connector,
            target,
            on_conflict,
        )
        .wait()
        .await
        .unwrap()
    }

    pub(crate) async fn recover(
        &self,
        selection: Selection,
        target: Target,
        on_conflict: OnConflict,
    ) -> RecoveryReport {
        let plan = self.plan(selection, target, on_conflict).await;
        recovery::apply(&self.repository, plan, &self.connector)
            .wait()
            .await
            .unwrap()
    }
}

async fn hold(view: &PointView, record: ItemRecord) -> Held {
    let read = async |name: &str| {
        let pieces: Vec<Bytes> = view.content(&record, name).unwrap().try_collect().await.unwrap();
        Bytes::from(pieces.concat())
    };
    let json = serde_json::from_slice(&read("json").await).unwrap();
    let card = String::from_utf8(read("vcard").await.to_vec()).unwrap();
    let photo = match record.part("photo") {
        Some(_) => Some(read("photo").await),
        None => None,
    };
    Held {
        record,
        json,
        card,
        photo,
    }
}
