//! An emulator with drives, a connector, and a repository in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions, BackupReport};
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::format::manifest::{Manifest, ObjectRecord};
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::object_store::memory::InMemory;
use nakivo_core::recovery::{self, PageRequest, PointView, RecoveryPlan, RecoveryReport, Selection, Target};
use nakivo_core::repository::{CreateOptions, PointSelector, Repository};
use nakivo_graph_connector::M365Connector;
use nakivo_graph_emulator::{Drive, Emulator, EmulatorBuilder, FileTruth};

use crate::bench::{Bench, environment, seed};

pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) repository: Repository,
    pub(crate) drive: Drive,
    pub(crate) object: ObjectRecord,
}

/// What a recovery point holds, by path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) files: BTreeMap<String, (ItemRecord, Bytes)>,
    pub(crate) folders: BTreeMap<String, ItemRecord>,
    pub(crate) others: BTreeMap<String, ItemRecord>,
}

impl Lab {
    /// Two users, each with so many files.
    pub(crate) async fn new(files: u32) -> Self {
        Self::with(Emulator::builder().seed(seed()).users(2).files_per_user(files)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let connector: Arc<dyn Connector> = Arc::new(bench.reconnect());
        let drive = bench.emulator.drives().remove(0);
        let object = connector
            .find_object(&format!("onedrive:{}", drive.address()))
            .await
            .unwrap();
        let repository = new_repository(&bench).await;
        Self {
            bench,
            connector,
            repository,
            drive,
            object,
        }
    }

    /// Forgets what the connector remembers, as a new process would.
    pub(crate) fn reconnect(&mut self) {
        let connector: M365Connector = self.bench.reconnect();
        self.connector = Arc::new(connector);
    }

    pub(crate) async fn back_up(&self) -> Result<BackupReport> {
        backup::start(
            &self.repository,
            Arc::clone(&self.connector),
            self.object.clone(),
            BackupOptions::default(),
        )
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

    pub(crate) async fn held(&self) -> Held {
        held(&self.repository, self.point()).await
    }

    /// Compares the newest point with the drive, byte for byte.
    pub(crate) async fn assert_truth(&self) {
        let held = self.held().await;
        assert_holds(&held, &self.drive);
        let counts = self.point().counts;
        assert_eq!(
            (counts.items as usize, counts.containers as usize),
            (held.files.len() + held.others.len(), held.folders.len()),
            "nothing is in the point that nobody can reach"
        );
    }

    pub(crate) async fn plan(
        &self,
        selection: Selection,
        target: Target,
        on_conflict: OnConflict,
    ) -> RecoveryPlan {
        recovery::plan(
            &self.repository,
            &self.point(),
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

pub(crate) async fn new_repository(bench: &Bench) -> Repository {
    Repository::create(
        Arc::new(InMemory::new()),
        CreateOptions::default(),
        environment(&bench.clock),
    )
    .await
    .unwrap()
}

/// Reads everything that can be reached in a point.
pub(crate) async fn held(repository: &Repository, point: Manifest) -> Held {
    let view = PointView::open(repository, point);
    let mut held = Held::default();
    let mut open = vec![String::new()];
    while let Some(container) = open.pop() {
        let mut request = PageRequest {
            after: None,
            limit: 500,
        };
        loop {
            let page = view.list(&container, request.clone()).await.unwrap();
            assert!(page.spoiled.is_empty());
            for entry in page.entries {
                let (record, path) = (entry.record, entry.path);
                match record.kind {
                    ItemKind::Container => {
                        open.push(record.id.clone());
                        assert!(held.folders.insert(path, record).is_none());
                    }
                    ItemKind::File => {
                        let pieces: Vec<Bytes> = view
                            .content(&record, "content")
                            .unwrap()
                            .try_collect()
                            .await
                            .unwrap();
                        let content = Bytes::from(pieces.concat());
                        let twin = held.files.insert(path.clone(), (record, content));
                        assert!(twin.is_none(), "'{path}' is there twice");
                    }
                    _ => {
                        held.others.insert(path, record);
                    }
                }
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
    }
    held
}

/// Compares what is held with a drive: ids, places, content, times, JSON.
pub(crate) fn assert_holds(held: &Held, drive: &Drive) {
    let truth = drive.items();
    assert_holds_all(
        held,
        truth
            .into_iter()
            .map(|item| (drive.clone(), item.path.clone(), item.id.clone(), item))
            .collect(),
    );
}

/// Compares what is held with files and folders: drive, path and id in the point, truth.
pub(crate) fn assert_holds_all(held: &Held, truth: Vec<(Drive, String, String, FileTruth)>) {
    let expected: Vec<(&str, &str)> = truth
        .iter()
        .filter(|(.., item)| item.folder || !item.hash.is_empty())
        .map(|(_, path, id, _)| (path.as_str(), id.as_str()))
        .collect();
    let found: BTreeMap<&str, &str> = held
        .files
        .iter()
        .map(|(path, (record, _))| (path.as_str(), record.id.as_str()))
        .chain(
            held.folders
                .iter()
                .map(|(path, record)| (path.as_str(), record.id.as_str())),
        )
        .collect();
    let expected: BTreeMap<&str, &str> = expected.into_iter().collect();
    assert_eq!(found, expected);
    let files = truth
        .iter()
        .filter(|(.., item)| !item.folder && !item.hash.is_empty());
    for (drive, path, _, item) in files {
        let (record, content) = &held.files[path];
        assert_eq!(*content, drive.content(&item.id).unwrap(), "{}", item.path);
        assert_eq!(
            record.change_key.as_deref(),
            Some(item.etag.as_str()),
            "{}",
            item.path
        );
        assert_eq!(record.modified_ms, Some(item.modified_ms), "{}", item.path);
        assert_eq!(record.created_ms, Some(item.created_ms), "{}", item.path);
    }
}

/// The stored JSON of an item.
pub(crate) async fn json_of(lab: &Lab, record: &ItemRecord) -> serde_json::Value {
    let view = PointView::open(&lab.repository, lab.point());
    let pieces: Vec<Bytes> = view.content(record, "json").unwrap().try_collect().await.unwrap();
    serde_json::from_slice(&pieces.concat()).unwrap()
}
