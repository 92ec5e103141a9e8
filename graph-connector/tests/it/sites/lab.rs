//! An emulator with sites, a connector, and a repository in memory.

use std::collections::BTreeMap;

use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_graph_emulator::{Emulator, EmulatorBuilder, Site};
use serde_json::Value;

use crate::bench::{Bench, config, seed};
use crate::drives::lab::{Held, assert_holds_all, held};
use crate::lab::{self, Truth, is_a_lab, part, walk};

pub(crate) struct Lab {
    common: lab::Lab,
    pub(crate) site: Site,
}

is_a_lab!(Lab);

impl Truth for Lab {
    /// Compares the newest point with the libraries of the site, byte for byte, and with its lists, value for value.
    async fn assert_truth(&self) {
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
                held.files.len() + held.others.len() + lists.rows,
                held.folders.len() + libraries.len() + lists.lists
            ),
            "nothing is in the point that nobody can reach"
        );
    }
}

/// How many lists, and how many schemas and rows are in them.
struct InLists {
    lists: usize,
    rows: usize,
}

impl Lab {
    /// Compares the lists in the point with those of the site, and takes them away from what is held.
    async fn assert_lists(&self, held: &mut Held) -> InLists {
        let view = self.view();
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
        let is_in_a_list = |record: &ItemRecord| record.id.starts_with("list:");
        held.others.retain(|_, record| !is_in_a_list(record));
        let mut seen = 0;
        let inside = walk(&view).await.into_iter().map(|(_, record)| record);
        for record in inside.filter(|record| is_in_a_list(record) && record.kind != ItemKind::Container) {
            seen += 1;
            let json: Value = serde_json::from_slice(&part(&view, &record, "json").await).unwrap();
            let expected = expected
                .get(&record.id)
                .unwrap_or_else(|| panic!("'{}' is gone", record.id));
            match expected {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        assert_eq!(json["fields"][name], *value, "{}: {name}", record.id);
                    }
                    assert_eq!(json["eTag"].as_str(), record.change_key.as_deref());
                }
                columns => assert_eq!(json["columns"], *columns, "{}", record.id),
            }
        }
        assert_eq!(seen, expected.len(), "each row is there, once");
        InLists {
            lists: self.site.lists().len(),
            rows: seen,
        }
    }

    /// Two sites, each with so many files.
    pub(crate) async fn new(files: u32) -> Self {
        Self::with(Emulator::builder().seed(seed()).users(2).sites(2, files)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let site = bench.emulator.sites().remove(0);
        let account = config(&bench.emulator);
        Self {
            common: lab::Lab::new(bench, account, &site.url()).await,
            site,
        }
    }

    pub(crate) async fn held(&self) -> Held {
        held(&self.view()).await
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
