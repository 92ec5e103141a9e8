//! Changes of a mailbox: its folders first, then the delta round of each, then what failed last time.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{Change, ChangesRequest, Cursor, ItemRef, Presence};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::progress::{Event, Reporter};
use nakivo_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::folders::{self, FolderTree};
use super::lookup;
use super::round::{Round, Step};
use super::{READ_PERMISSION, scope_of};
use crate::graph::Graph;

const CURSOR_VERSION: u32 = 1;
const IMMUTABLE: &str = "immutable";
/// Folders that may fail one after the other for want of an answer before the service counts as down.
const MAX_UNAVAILABLE: u32 = 3;

/// The cursor: a delta link for each folder whose last round ended, and the kind of ids they were made with.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
struct MailCursor {
    version: u32,
    id_mode: String,
    folders: BTreeMap<String, String>,
}

impl MailCursor {
    fn new() -> Self {
        Self {
            version: CURSOR_VERSION,
            id_mode: IMMUTABLE.to_owned(),
            folders: BTreeMap::new(),
        }
    }

    /// Links of a cursor that this version can use; else none, and everything is read in full.
    fn read(cursor: Option<&Cursor>, graph: &Graph, reporter: &Reporter) -> Self {
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
                Self::new()
            }
            Err(_) => {
                note("the stored cursor cannot be read");
                Self::new()
            }
        }
    }

    fn write(&self) -> Result<Cursor> {
        serde_json::to_vec(self)
            .map(|bytes| Cursor(Bytes::from(bytes)))
            .map_err(|error| Error::internal(format!("the cursor cannot be written: {error}")))
    }
}

/// The changes of `object` since the cursor of `request`.
pub(crate) fn changes<'a>(
    graph: &'a Graph,
    object: &'a ObjectRecord,
    request: ChangesRequest,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let scope = scope_of(object);
        let user = object.native_id.as_str();
        let old = MailCursor::read(request.cursor.as_ref(), graph, reporter);
        reporter.check()?;
        let tree = folders::list(graph, &scope, user)
            .await
            .map_err(|fault| fault.into_error("listing the folders of the mailbox", Some(READ_PERMISSION)))?;
        for folder in &tree.folders {
            yield Change::Container(folder.head());
        }
        let mut cursor = MailCursor::new();
        if tree.failed.is_empty() {
            yield Change::ContainersComplete;
        } else {
            // Folders that could not be seen are not gone: their links stay.
            cursor.folders.clone_from(&old.folders);
            for change in failed_listings(&tree) {
                yield change;
            }
        }

        let mut retry: HashMap<String, ItemRef> =
            request.retry.into_iter().map(|item| (item.id.clone(), item)).collect();
        let mut unavailable = 0;
        for folder in &tree.folders {
            retry.remove(&folder.id);
            let link = old.folders.get(&folder.id).cloned();
            if let Some(link) = &link {
                // Until this round has ended, the next one starts where this one did.
                cursor.folders.insert(folder.id.clone(), link.clone());
            }
            let mut round = Round::new(graph, &scope, user, &folder.id, link);
            loop {
                reporter.check()?;
                match round.step().await {
                    Ok(Step::Changes(changes)) => {
                        for change in changes {
                            if let Change::Item(head) = &change {
                                retry.remove(&head.item.id);
                            }
                            yield change;
                        }
                    }
                    Ok(Step::Ended(changes, delta)) => {
                        for change in changes {
                            if let Change::Item(head) = &change {
                                retry.remove(&head.item.id);
                            }
                            yield change;
                        }
                        cursor.folders.insert(folder.id.clone(), delta);
                        unavailable = 0;
                        break;
                    }
                    Ok(Step::FolderGone) => {
                        // An empty full round: each of its items is looked up before it counts as gone.
                        cursor.folders.remove(&folder.id);
                        yield Change::RoundStarted { container: folder.id.clone(), full: true };
                        yield Change::RoundEnded { container: folder.id.clone() };
                        break;
                    }
                    Err(fault) => {
                        let error = fault.into_error("listing the messages of a folder", Some(READ_PERMISSION));
                        match error.kind() {
                            ErrorKind::Unauthorized
                            | ErrorKind::PermissionMissing
                            | ErrorKind::Throttled { .. }
                            | ErrorKind::Cancelled => Err(error.clone())?,
                            ErrorKind::Unavailable => {
                                unavailable += 1;
                                if unavailable >= MAX_UNAVAILABLE {
                                    Err(error.clone())?;
                                }
                            }
                            _ => {}
                        }
                        yield Change::Failed {
                            path: tree.path(&folder.id),
                            // Not named as an item to retry: its cursor stays, so the next run reads it anyway.
                            item: None,
                            error,
                        };
                        break;
                    }
                }
            }
        }

        let known: HashSet<&str> = tree.folders.iter().map(|folder| folder.id.as_str()).collect();
        let mut again: Vec<ItemRef> = retry.into_values().collect();
        again.sort();
        for chunk in again.chunks(lookup::CHUNK) {
            reporter.check()?;
            let answers = lookup::look_up(graph, &scope, user, chunk).await?;
            for (item, answer) in chunk.iter().zip(answers) {
                yield retried(item, answer, &known, &tree);
            }
        }
        yield Change::Cursor(cursor.write()?);
    }
    .boxed()
}

fn failed_listings(tree: &FolderTree) -> Vec<Change> {
    tree.failed
        .iter()
        .map(|(id, error)| Change::Failed {
            path: format!("{}/", tree.path(id)),
            item: None,
            error: error.clone(),
        })
        .collect()
}

fn retried(item: &ItemRef, answer: Presence, known: &HashSet<&str>, tree: &FolderTree) -> Change {
    match answer {
        Presence::Present(head) if known.contains(head.item.container.as_str()) => Change::Item(*head),
        // Elsewhere now: in a folder outside what is protected (recoverable items), or in one made since the listing,
        // whose own first round will bring it.
        Presence::Present(_) | Presence::Gone => Change::Vanished(item.clone()),
        Presence::Unknown(error) => Change::Failed {
            path: tree.path(&item.container),
            item: Some(item.clone()),
            error,
        },
    }
}
