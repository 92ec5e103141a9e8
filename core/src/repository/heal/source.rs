//! Who may still have what is damaged: another repository, or the source it was read from.
//!
//! Nobody here is believed. What a source gives is hashed and cut with this repository's keys, and only chunks whose ids come
//! out as they must be are of any use.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord};
use nakivo_repo_format::{ItemKey, ObjectId};

use crate::connector::{Connector, Fetched, ItemRef, Presence};
use crate::error::{ErrorKind, Result};
use crate::repository::Repository;

/// A part of an item that cannot be read in full.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Wanted {
    /// The protected object.
    pub object: ObjectRecord,
    /// The item.
    pub record: ItemRecord,
    /// Which of its parts.
    pub part: ContentPart,
}

/// Somebody who may still have the content of damaged items.
#[async_trait]
pub trait HealSource: Send + Sync + fmt::Debug {
    /// What it is called in reports.
    fn name(&self) -> String;

    /// Opens what may be the bytes of this part; `None` if it has nothing like it. Other bytes than the right ones do no harm:
    /// they are noticed.
    ///
    /// # Errors
    /// Only what makes asking for further items pointless, such as a refused credential. Where one item cannot be read the
    /// answer is `None`, or a stream that ends in an error.
    async fn open(&self, wanted: &Wanted) -> Result<Option<BoxStream<'static, Result<Bytes>>>>;
}

/// Whether an item found elsewhere is the very version that is wanted, as far as change keys can tell.
fn same_version(wanted: &ItemRecord, change_key: Option<&String>) -> bool {
    match (&wanted.change_key, change_key) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    }
}

/// Another repository that protects the same objects, with keys of its own.
#[derive(Debug, Clone)]
pub struct RepositorySource {
    repository: Repository,
}

impl RepositorySource {
    /// Heals from this repository.
    #[must_use]
    pub fn new(repository: Repository) -> Self {
        Self { repository }
    }
}

#[async_trait]
impl HealSource for RepositorySource {
    fn name(&self) -> String {
        format!("repository {}", self.repository.id())
    }

    async fn open(&self, wanted: &Wanted) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let record = &wanted.record;
        let key = if record.kind == ItemKind::Container {
            ItemKey::container_in(record.container.as_str(), record.id.as_str())
        } else {
            ItemKey::item(record.container.as_str(), record.id.as_str())
        };
        let Ok(key) = key else { return Ok(None) };
        for manifest in self.repository.points(&wanted.object.id).into_iter().rev() {
            let found = match self.repository.get(manifest.root.as_ref(), &key).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let part = found
                .part(&wanted.part.name)
                .filter(|part| part.size == wanted.part.size);
            if let Some(part) = part
                && same_version(record, found.change_key.as_ref())
            {
                return Ok(Some(self.repository.read_part(part)));
            }
        }
        Ok(None)
    }
}

/// The source that objects were read from.
#[derive(Debug, Clone)]
pub struct ConnectorSource {
    connector: Arc<dyn Connector>,
    object: Option<ObjectId>,
}

impl ConnectorSource {
    /// Heals every object of this source.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            object: None,
        }
    }

    /// Heals one object only: for a connector that is made for one, such as a folder.
    #[must_use]
    pub fn for_object(connector: Arc<dyn Connector>, object: ObjectId) -> Self {
        Self {
            connector,
            object: Some(object),
        }
    }
}

#[async_trait]
impl HealSource for ConnectorSource {
    fn name(&self) -> String {
        self.connector.name().to_owned()
    }

    async fn open(&self, wanted: &Wanted) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let Wanted { object, record, part } = wanted;
        let mine = match &self.object {
            Some(id) => object.id == *id,
            None => object.source == self.connector.name(),
        };
        if !mine || record.kind == ItemKind::Container {
            return Ok(None);
        }
        let item = ItemRef {
            container: record.container.clone(),
            id: record.id.clone(),
        };
        let Some(Presence::Present(head)) = self.connector.look_up(object, &[item]).await?.pop() else {
            return Ok(None);
        };
        if !same_version(record, head.change_key.as_ref()) {
            return Ok(None);
        }
        // What concerns one item only is no reason to stop.
        let Ok(Fetched::Content { head, parts }) = self.connector.fetch(object, &head).await else {
            return Ok(None);
        };
        let found = parts.into_iter().find(|found| found.name == part.name);
        let raw = head.raw.filter(|_| part.name == "json");
        let raw = raw.map(|raw| stream::iter([Ok(raw)]).boxed());
        Ok(found.map(|found| found.body).or(raw))
    }
}
