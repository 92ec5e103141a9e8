//! An emulator with sites, a connector, and a repository in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions, BackupReport};
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::format::manifest::{Manifest, ObjectRecord};
use nakivo_core::recovery::{self, PageRequest, PointView, RecoveryPlan, RecoveryReport, Selection, Target};
use nakivo_core::repository::{PointSelector, Repository};
use nakivo_graph_emulator::{Emulator, EmulatorBuilder, Site};
use serde_json::Value;

use crate::bench::{Bench, seed};
use crate::drives::lab::{Held, assert_holds_all, held, new_repository};

pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) repository: Repository,
    pub(crate) site: Site,
    pub(crate) object: ObjectRecord,
}

impl Lab {
    /// Two sites, each with so many files.
    pub(crate) async fn new(files: u32) -> Self {
        Self::with(Emulator::builder().seed(seed()).users(2).sites(2, files)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let connector: Arc<dyn Connector> = Arc::new(bench.reconnect());
        let site = bench.emulator.sites().remove(0);
        let object = connector.find_object(&site.url()).await.unwrap();
        let repository = new_repository(&bench).await;
        Self {
            bench,
            connector,
            repository,
            site,
            object,
        }
    }

    /// Forgets what the connector remembers, as a new process would.
    pub(crate) fn reconnect(&mut self) {
        self.connector = Arc::new(self.bench.reconnect());
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

    /// Compares the newest point with the libraries of the site, byte for byte.
    pub(crate) async fn assert_truth(&self) {
        let mut held = self.held().await;
        let libraries = self.site.libraries();
        let mut truth = Vec::new();
        for (name, drive) in &libraries {
            let container = held.folders.remove(name).expect("each library is a container");
            assert_eq!(container.id, drive.id());
            assert_eq!(container.item_type.as_deref(), Some("library"));
            for item in drive.items() {
                let path = format!("{name}/{}", item.path);
                truth.push((drive.clone(), path, format!("{}/{}", drive.id(), item.id), item));
            }
        }
        let lists = self.assert_lists(&mut held).await;
        assert_holds_all(&held, truth);
        let counts = self.point().counts;
        assert_eq!(
            (counts.items as usize, counts.containers as usize),
            (
                held.files.len() + held.others.len(),
                held.folders.len() + libraries.len() + lists
            ),
            "nothing is in the point that nobody can reach"
        );
    }

    /// Compares the lists in the point with those of the site; returns how many there are.
    async fn assert_lists(&self, held: &mut Held) -> usize {
        let view = PointView::open(&self.repository, self.point());
        let mut expected = BTreeMap::new();
        for name in self.site.lists() {
            let list = self.site.list(&name);
            let container = held.folders.remove(&name).expect("each list is a container");
            assert_eq!(container.item_type.as_deref(), Some("list"));
            let prefix = format!("list:{}", list.id().unwrap());
            for (id, fields) in list.rows().unwrap() {
                expected.insert(format!("{prefix}/{id}"), fields);
            }
            expected.insert(format!("{prefix}/!schema"), list.columns().unwrap().into());
        }
        let mut seen = 0;
        let prefixes: BTreeSet<String> = expected
            .keys()
            .map(|id| id.split('/').next().unwrap().to_owned())
            .collect();
        for container in prefixes {
            let mut request = PageRequest {
                after: None,
                limit: 500,
            };
            loop {
                let page = view.list(&container, request.clone()).await.unwrap();
                for record in page.entries.into_iter().map(|entry| entry.record) {
                    seen += 1;
                    let pieces: Vec<bytes::Bytes> = view
                        .content(&record, "json")
                        .unwrap()
                        .try_collect()
                        .await
                        .unwrap();
                    let json: Value = serde_json::from_slice(&pieces.concat()).unwrap();
                    let expected = expected
                        .get(&record.id)
                        .unwrap_or_else(|| panic!("'{}' is gone", record.id));
                    match expected {
                        Value::Object(fields) => {
                            for (name, value) in fields {
                                assert_eq!(json["fields"][name], *value, "{}: {name}", record.id);
                            }
                        }
                        columns => assert_eq!(json["columns"], *columns, "{}", record.id),
                    }
                }
                match page.next {
                    Some(next) => request.after = Some(next),
                    None => break,
                }
            }
        }
        assert_eq!(seen, expected.len());
        self.site.lists().len()
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

/// Content and times of the files of a site, by path.
pub(crate) fn files(site: &Site) -> BTreeMap<String, (bytes::Bytes, i64, i64)> {
    let mut all = BTreeMap::new();
    for (name, drive) in site.libraries() {
        for item in drive.items().into_iter().filter(|item| !item.folder) {
            let content = drive.content(&item.id).unwrap();
            all.insert(
                format!("{name}/{}", item.path),
                (content, item.created_ms, item.modified_ms),
            );
        }
    }
    all
}

/// Deletes everything in the libraries of a site.
pub(crate) fn clear(site: &Site) {
    for (_, drive) in site.libraries() {
        for item in drive.items().iter().filter(|item| !item.path.contains('/')) {
            drive.delete(&item.id).unwrap();
        }
    }
}
