//! An emulator with drives, a connector, and a repository in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::recovery::PointView;
use nakivo_graph_emulator::{Drive, Emulator, EmulatorBuilder, FileTruth};

use crate::bench::{Bench, config, seed};
use crate::lab::{self, Truth, is_a_lab, part, walk};

pub(crate) struct Lab {
    common: lab::Lab,
    pub(crate) drive: Drive,
}

is_a_lab!(Lab);

impl Truth for Lab {
    /// Compares the newest point with the drive, byte for byte.
    async fn assert_truth(&self) {
        let held = self.held().await;
        assert_holds(&held, &self.drive);
        let counts = self.point().counts;
        assert_eq!(
            (counts.items as usize, counts.containers as usize),
            (held.files.len() + held.others.len(), held.folders.len()),
            "nothing is in the point that nobody can reach"
        );
    }
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
        let drive = bench.emulator.drives().remove(0);
        let account = config(&bench.emulator);
        let reference = format!("onedrive:{}", drive.address());
        Self {
            common: lab::Lab::new(bench, account, &reference).await,
            drive,
        }
    }

    pub(crate) async fn held(&self) -> Held {
        held(&self.view()).await
    }
}

/// Reads everything that can be reached in a point.
pub(crate) async fn held(view: &PointView) -> Held {
    let mut held = Held::default();
    for (path, record) in walk(view).await {
        match record.kind {
            ItemKind::Container => assert!(held.folders.insert(path, record).is_none()),
            ItemKind::File => {
                let content = part(view, &record, "content").await;
                let twin = held.files.insert(path.clone(), (record, content));
                assert!(twin.is_none(), "'{path}' is there twice");
            }
            _ => {
                held.others.insert(path, record);
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
    serde_json::from_slice(&part(&lab.view(), record, "json").await).unwrap()
}
