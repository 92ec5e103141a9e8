//! Where the rounds of a mailbox start.

use std::collections::BTreeMap;

use bytes::Bytes;
use nakivo_core::connector::{Cursor, ItemHead};
use nakivo_core::progress::{Event, Reporter};
use nakivo_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::service::MailboxService;
use crate::graph::Graph;

const CURSOR_VERSION: u32 = 1;
const IMMUTABLE: &str = "immutable";

/// A container as the last run knew it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
}

impl Known {
    pub(crate) fn of(head: &ItemHead) -> Self {
        Self {
            id: head.item.id.clone(),
            parent: head.item.container.clone(),
            name: head.name.clone(),
        }
    }
}

/// A delta link for each container whose last round ended, the kind of ids they were made with, and the containers, so that
/// a service that cannot be read stays as it was.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct MailboxCursor {
    version: u32,
    id_mode: String,
    /// Links by the id of the container.
    pub(crate) folders: BTreeMap<String, String>,
    /// None in cursors of versions that read nothing but mail.
    #[serde(default)]
    containers: Option<Vec<Known>>,
    /// Runs since contacts were read in full.
    #[serde(default)]
    pub(crate) contact_rounds: u32,
}

impl MailboxCursor {
    pub(crate) fn new() -> Self {
        Self {
            version: CURSOR_VERSION,
            id_mode: IMMUTABLE.to_owned(),
            folders: BTreeMap::new(),
            containers: Some(Vec::new()),
            contact_rounds: 0,
        }
    }

    /// What is known when nothing can be taken from the stored cursor: not even which containers there were.
    fn ignorant() -> Self {
        Self {
            containers: None,
            ..Self::new()
        }
    }

    /// Links of a cursor that this version can use; else none, and everything is read in full.
    pub(crate) fn read(cursor: Option<&Cursor>, graph: &Graph, reporter: &Reporter) -> Self {
        let Some(cursor) = cursor else { return Self::new() };
        let note = |message: &str| {
            reporter.event(Event::Note {
                message: format!("reading in full: {message}"),
            })
        };
        match serde_json::from_slice::<Self>(&cursor.0) {
            Ok(cursor) if cursor.version == CURSOR_VERSION && cursor.id_mode == IMMUTABLE => {
                let before = cursor.folders.len();
                let mut cursor = cursor;
                // Made for another address of Graph: worth nothing here, and the token must not go there.
                cursor.folders.retain(|_, link| graph.is_ours(link));
                if cursor.folders.len() < before {
                    note("the stored delta links belong to another graph_url");
                }
                cursor
            }
            Ok(_) => {
                note("the stored delta links were made with another kind of ids");
                Self::ignorant()
            }
            Err(_) => {
                note("the stored cursor cannot be read");
                Self::ignorant()
            }
        }
    }

    /// The containers of a service; none if that is not known.
    pub(crate) fn containers_of(&self, service: MailboxService) -> Option<Vec<Known>> {
        let all = self.containers.as_ref()?;
        let of = |known: &&Known| MailboxService::of(&known.id).0 == service;
        Some(all.iter().filter(of).cloned().collect())
    }

    pub(crate) fn remember(&mut self, containers: impl IntoIterator<Item = Known>) {
        self.containers.get_or_insert_default().extend(containers);
    }

    pub(crate) fn write(&self) -> Result<Cursor> {
        serde_json::to_vec(self)
            .map(|bytes| Cursor(Bytes::from(bytes)))
            .map_err(|error| Error::internal(format!("the cursor cannot be written: {error}")))
    }
}
