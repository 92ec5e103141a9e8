//! Sites as targets of a recovery: which library an item goes to; the rest is done as in any drive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nakivo_core::Error;
use nakivo_core::Result;
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget, Settled,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;
use serde_json::json;

use super::list::{libraries, named};
use super::lists::target::{self as lists, ListTarget};
use super::{LIBRARY, WRITE_PERMISSION, ids};
use crate::drives::target::DriveTarget;
use crate::drives::upload::id_of;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// Writes into the libraries of sites.
#[derive(Debug)]
pub(crate) struct SiteTarget {
    graph: Arc<Graph>,
    drives: DriveTarget,
    lists: ListTarget,
    /// Drives of libraries by site and name in lower case; the default library has no name.
    libraries: Mutex<HashMap<(String, String), String>>,
}

/// The library that an item came from, and the folders below it. What came from a user's drive goes to the default one.
fn parted(path: &[ItemRecord]) -> (Option<&str>, &[ItemRecord]) {
    match path.split_first() {
        Some((first, below)) if first.item_type.as_deref() == Some(LIBRARY) => (Some(&first.name), below),
        _ => (None, path),
    }
}

fn failed(what: &'static str) -> impl FnOnce(Fault) -> Error {
    crate::target::failed(what, WRITE_PERMISSION)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SiteTarget {
    pub(crate) fn new(graph: Arc<Graph>, drives: DriveTarget) -> Self {
        Self {
            lists: ListTarget::new(Arc::clone(&graph)),
            graph,
            drives,
            libraries: Mutex::default(),
        }
    }

    /// The drive of a library; none if there is none and it is not to be made.
    async fn library(&self, site: &str, name: Option<&str>, create: bool) -> Result<Option<String>, Fault> {
        let key = (site.to_owned(), name.unwrap_or_default().to_lowercase());
        if let Some(drive) = lock(&self.libraries).get(&key) {
            return Ok(Some(drive.clone()));
        }
        let mut drive = self.existing(site, name).await?;
        if let (None, Some(name), true) = (&drive, name, create) {
            drive = Some(self.create(site, name).await?);
        }
        if let Some(drive) = &drive {
            lock(&self.libraries).insert(key, drive.clone());
        }
        Ok(drive)
    }

    async fn existing(&self, site: &str, name: Option<&str>) -> Result<Option<String>, Fault> {
        let known = libraries(&self.graph, site).await?;
        Ok(named(&known, name).map(|library| library.drive.clone()))
    }

    /// Makes a library. Its drive is read afterwards (contract 6.4).
    async fn create(&self, site: &str, name: &str) -> Result<String, Fault> {
        let body = json!({ "displayName": name, "list": { "template": LIBRARY_TEMPLATE } });
        let mut tries = 0;
        let list = loop {
            tries += 1;
            let call = self
                .graph
                .call(&Scope::Files, Operation::CreateList, &[site], &[])?
                .json_body(&body);
            match self.graph.executor.json(&call).await {
                Ok(text) => break id_of(&text)?,
                // Made by somebody else meanwhile, or by us although the answer was lost; or not at all.
                Err(fault) if fault.ambiguous() || fault.refused_as(|refusal| refusal.status == 409) => {
                    match self.existing(site, Some(name)).await? {
                        Some(drive) => return Ok(drive),
                        None if fault.ambiguous() && tries < MAX_TRIES => {}
                        None => return Err(fault),
                    }
                }
                Err(fault) => return Err(fault),
            }
        };
        let call = self.graph.call(
            &Scope::Files,
            Operation::ListDrive,
            &[site, &list],
            &[("$select", "id")],
        )?;
        id_of(&self.graph.executor.json(&call).await?)
    }

    /// The library as a target of its own.
    fn as_drive(target: &ObjectRecord, drive: &str) -> ObjectRecord {
        ObjectRecord {
            native_id: drive.to_owned(),
            ..target.clone()
        }
    }
}

/// Tries to make a library whose making may have failed.
const MAX_TRIES: u32 = 4;
/// What a list is that is a library.
const LIBRARY_TEMPLATE: &str = "documentLibrary";

fn below(item: &RecoverItem) -> RecoverItem {
    RecoverItem {
        record: item.record.clone(),
        path: parted(&item.path).1.to_vec(),
    }
}

#[async_trait]
impl RecoveryTarget for SiteTarget {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        if lists::is_list(&item.path) {
            let found = self.lists.existing(target, item, content).await;
            return found.map_err(failed("looking for the row at the target"));
        }
        let (name, _) = parted(&item.path);
        let drive = self
            .library(&target.native_id, name, false)
            .await
            .map_err(failed("looking for the library"))?;
        match drive {
            Some(drive) => {
                let target = Self::as_drive(target, &drive);
                self.drives.find_existing(&target, &below(item), content).await
            }
            None => self.drives.can_be_made(&item.record).map(|()| Existing::Absent),
        }
    }

    fn stage(&self, record: &ItemRecord) -> u8 {
        lists::stage(record)
    }

    async fn settle(&self, target: &ObjectRecord) -> Vec<Settled> {
        self.lists.settled(target).await
    }

    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        if let Some(first) = path.first().filter(|_| lists::is_list(path)) {
            // Made with its schema, which comes before its rows.
            return Ok(first.id.clone());
        }
        let (name, folders) = parted(path);
        let drive = self
            .library(&target.native_id, name, true)
            .await
            .map_err(failed("making sure that the library exists"))?
            .ok_or_else(|| Error::not_found("library of the site", name.unwrap_or("Documents")))?;
        let folder = self
            .drives
            .ensure_container(&Self::as_drive(target, &drive), folders)
            .await?;
        Ok(ids::join(&drive, &folder))
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        if lists::is_list(&item.path) {
            let written = self.lists.recover(target, item, content, &action).await;
            return written.map_err(lists::failed(&item.record));
        }
        let (drive, folder) = ids::split(container);
        let result = self
            .drives
            .recover(
                &Self::as_drive(target, drive),
                folder,
                &below(item),
                content,
                action,
            )
            .await;
        if result.is_err() {
            // A library that was there before may be gone by now: it is looked for anew next time.
            lock(&self.libraries).clear();
        }
        let mut recovered = result?;
        if let (Some(name), _) = parted(&item.path) {
            recovered.location = format!("{name}/{}", recovered.location);
        }
        recovered.id = ids::join(drive, &recovered.id);
        Ok(recovered)
    }
}
