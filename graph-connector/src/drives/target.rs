//! Drives as targets of a recovery: what is in the place of a file, and the folders it goes to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget,
};
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::map::{self, Element};
use super::recover::{Writing, only_files};
use super::upload::{child, id_of};
use super::{Memory, WRITE_PERMISSION, list};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// How long a folder that was not there is not asked for again while a plan is made.
const ABSENT_FOR: TimeDelta = TimeDelta::seconds(60);

/// A drive and the path of a folder in it, in lower case: names are unique whatever their case.
type Place = (String, Vec<String>);

/// Writes files back.
#[derive(Debug)]
pub(crate) struct DriveTarget {
    graph: Arc<Graph>,
    memory: Arc<Memory>,
    /// Ids of folders that were found or made.
    folders: Mutex<HashMap<Place, String>>,
    /// Folders that were not there, and until when that is believed: a plan asks for each of their files.
    absent: Mutex<HashMap<Place, DateTime<Utc>>>,
    /// Folders made by this target, by drive and id.
    made: Mutex<HashSet<(String, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DriveTarget {
    pub(crate) fn new(graph: Arc<Graph>, memory: Arc<Memory>) -> Self {
        Self {
            graph,
            memory,
            folders: Mutex::default(),
            absent: Mutex::default(),
            made: Mutex::default(),
        }
    }

    fn writing<'t>(&'t self, target: &'t ObjectRecord) -> Writing<'t> {
        Writing {
            graph: &self.graph,
            drive: &target.native_id,
            library: target.kind == ObjectKind::Site,
        }
    }

    /// Whether an item is of a kind that can be made in a drive.
    ///
    /// # Errors
    /// `InvalidInput` for others.
    pub(crate) fn can_be_made(&self, record: &ItemRecord) -> Result<()> {
        only_files(record).map_err(failed("looking at the item"))
    }

    /// The folder that `path` leads to; none if it does not exist and is not to be made.
    async fn resolve(&self, drive: &str, path: &[ItemRecord], create: bool) -> Result<Option<String>, Fault> {
        let mut current = list::root(&self.graph, &self.memory, drive).await?;
        let names: Vec<String> = path.iter().map(|folder| folder.name.to_lowercase()).collect();
        for (depth, folder) in path.iter().enumerate() {
            let key = (drive.to_owned(), names[..=depth].to_vec());
            let cached = lock(&self.folders).get(&key).cloned();
            let now = self.graph.executor.now();
            if !create && lock(&self.absent).get(&key).is_some_and(|until| now < *until) {
                return Ok(None);
            }
            let id = match cached {
                Some(id) => id,
                None => match self.step(drive, &current, folder, create).await? {
                    Some(id) => id,
                    None => {
                        lock(&self.absent).insert(key, now + ABSENT_FOR);
                        return Ok(None);
                    }
                },
            };
            lock(&self.absent).remove(&key);
            lock(&self.folders).insert(key, id.clone());
            current = id;
        }
        Ok(Some(current))
    }

    async fn step(
        &self,
        drive: &str,
        parent: &str,
        folder: &ItemRecord,
        create: bool,
    ) -> Result<Option<String>, Fault> {
        if let Some(id) = self.folder(drive, parent, &folder.name).await? {
            return Ok(Some(id));
        }
        if !create {
            return Ok(None);
        }
        let body = json!({
            "name": folder.name,
            "folder": {},
            "@microsoft.graph.conflictBehavior": "fail",
        });
        let ids = [drive, parent];
        let call = self
            .graph
            .call(&Scope::Files, Operation::CreateDriveFolder, &ids, &[])?
            .json_body(&body)
            // A name is given once: the second time it is refused, and the folder is found.
            .repeatable();
        match self.graph.executor.json(&call).await {
            Ok(text) => {
                let id = id_of(&text)?;
                lock(&self.made).insert((drive.to_owned(), id.clone()));
                Ok(Some(id))
            }
            // Made by somebody else meanwhile, or by us although the answer was lost.
            Err(fault) if fault.ambiguous() || fault.refused_as(|refusal| refusal.status == 409) => {
                match self.folder(drive, parent, &folder.name).await? {
                    Some(id) => Ok(Some(id)),
                    None => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    /// The folder of this name, if there is one.
    async fn folder(&self, drive: &str, parent: &str, name: &str) -> Result<Option<String>, Fault> {
        let Some(raw) = child(&self.graph, drive, parent, name).await? else {
            return Ok(None);
        };
        match map::element(&raw) {
            Element::Folder(head) => Ok(Some(head.item.id)),
            _ => Err(Fault::Ready(Error::new(
                ErrorKind::AlreadyExists,
                format!("'{name}' is there and is no folder"),
            ))),
        }
    }

    /// What of the folders above an item was not recovered with them.
    fn lost_above(&self, drive: &str, item: &RecoverItem) -> Vec<String> {
        let folders = lock(&self.folders);
        let made = lock(&self.made);
        let names: Vec<String> = item
            .path
            .iter()
            .map(|folder| folder.name.to_lowercase())
            .collect();
        let mut lost = Vec::new();
        for (depth, folder) in item.path.iter().enumerate() {
            let key = (drive.to_owned(), names[..=depth].to_vec());
            let new = folders
                .get(&key)
                .is_some_and(|id| made.contains(&(drive.to_owned(), id.clone())));
            if !new {
                continue;
            }
            if folder.properties.contains_key("shared") {
                lost.push(format!("sharing of the folder '{}'", folder.name));
            }
            if folder.properties.contains_key("package") {
                lost.push(format!("'{}' as a notebook: it is a folder now", folder.name));
            }
        }
        lost
    }
}

fn failed(what: &'static str) -> impl FnOnce(Fault) -> Error {
    crate::target::failed(what, WRITE_PERMISSION)
}

#[async_trait]
impl RecoveryTarget for DriveTarget {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        let what = "looking for the file at the target";
        let drive = target.native_id.as_str();
        let container = self
            .resolve(drive, &item.path, false)
            .await
            .map_err(failed(what))?;
        let writing = self.writing(target);
        let Some(container) = container else {
            return self.can_be_made(&item.record).map(|()| Existing::Absent);
        };
        writing
            .existing(&container, item, content)
            .await
            .map_err(failed(what))
    }

    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        let found = self
            .resolve(&target.native_id, path, true)
            .await
            .map_err(failed("making sure that the folder exists"))?;
        found.ok_or_else(|| Error::internal("a folder was made and is missing"))
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        let drive = target.native_id.as_str();
        let writing = self.writing(target);
        let result = writing.recover(container, item, content, &action).await;
        if let Err(fault) = &result
            && fault.refused_as(|refusal| refusal.status == 404)
        {
            // A folder that was resolved before may be gone by now: resolve anew next time.
            lock(&self.folders).clear();
        }
        let mut recovered = result.map_err(failed("recovering a file"))?;
        recovered.not_carried.extend(self.lost_above(drive, item));
        Ok(recovered)
    }
}
