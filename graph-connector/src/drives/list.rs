//! Changes of a drive: its one feed, then what failed last time.
//!
//! Items and folders are handed on as they come, for a drive may have millions. What the tree looks like is known only after
//! the last page, since children may come before their parents and a folder that was deleted may or may not bring what was
//! in it: so folders that were kept or went away are told at the end.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::Result;
use nakivo_core::connector::{Change, ChangesRequest, Cursor, ItemHead, ItemRef, Presence};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::progress::{Event, Reporter};

use super::map::{self, Element};
use super::round::{Round, Step};
use super::table::Table;
use super::{Memory, READ_PERMISSION, lookup, sharing};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;

/// Rounds of asking for folders that were named and not told.
const MAX_RESOLVE: usize = 500;

/// What was told in this run.
struct Listing {
    table: Table,
    /// Everything is enumerated, not only what changed.
    full: bool,
    /// Folders that were sent, in whichever enumeration.
    sent: HashSet<String>,
    /// Containers whose full round has begun.
    open: BTreeSet<String>,
    retry: HashMap<String, ItemRef>,
}

impl Listing {
    /// Begins a full enumeration.
    fn begin(&mut self) -> Vec<Change> {
        self.full = true;
        self.table = Table::new(self.table.root());
        self.open.clear();
        let mut changes = Vec::new();
        self.start("", &mut changes);
        changes
    }

    fn start(&mut self, container: &str, changes: &mut Vec<Change>) {
        if self.full && self.open.insert(container.to_owned()) {
            changes.push(Change::RoundStarted {
                container: container.to_owned(),
                full: true,
            });
        }
    }

    fn take(&mut self, element: Element, changes: &mut Vec<Change>) {
        match element {
            Element::Root | Element::Unusable => {}
            Element::Folder(head) => self.folder(*head, changes),
            Element::Item(head) => self.item(*head, changes),
            Element::Deleted { id } => {
                if !self.table.remove_folder(&id)
                    && let Some(container) = self.table.remove_item(&id)
                {
                    changes.push(Change::Vanished(ItemRef { container, id }));
                }
            }
        }
    }

    fn folder(&mut self, mut head: ItemHead, changes: &mut Vec<Change>) {
        head.item.container = self.table.container(&head.item.container);
        let (id, parent) = (head.item.id.clone(), head.item.container.clone());
        self.start(&parent, changes);
        self.start(&id, changes);
        self.table.put_folder(&id, &parent, &head.name);
        self.sent.insert(id);
        changes.push(Change::Container(head));
    }

    fn item(&mut self, mut head: ItemHead, changes: &mut Vec<Change>) {
        head.item.container = self.table.container(&head.item.container);
        let (id, container) = (head.item.id.clone(), head.item.container.clone());
        self.start(&container, changes);
        self.retry.remove(&id);
        let before = self.table.put_item(&id, &container);
        changes.push(Change::Item(head));
        if let Some(container) = before {
            changes.push(Change::Vanished(ItemRef { container, id }));
        }
    }

    /// What the last page leaves to be said.
    fn end(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut gone: BTreeSet<String> = self.table.prune().into_iter().collect();
        for (id, folder) in self.table.folders() {
            if !self.sent.contains(id) {
                changes.push(Change::ContainerKept {
                    item: ItemRef {
                        container: folder.parent.clone(),
                        id: id.clone(),
                    },
                    name: folder.name.clone(),
                });
            }
        }
        gone.extend(self.sent.iter().filter(|id| !self.table.holds(id)).cloned());
        changes.extend(gone.into_iter().map(|id| Change::ContainerGone { id }));
        changes.push(Change::ContainersComplete);
        let open = std::mem::take(&mut self.open);
        changes.extend(open.into_iter().map(|container| Change::RoundEnded { container }));
        changes
    }
}

/// The service's id of the root folder.
pub(crate) async fn root(graph: &Graph, memory: &Memory, drive: &str) -> Result<String, Fault> {
    if let Some(root) = memory.root(drive) {
        return Ok(root);
    }
    let query = [("$select", "id,root")];
    let call = graph.call(&Scope::Files, Operation::DriveRoot, &[drive], &query)?;
    let text = graph.executor.json(&call).await?;
    let id = crate::json::Fields::parse(&text).and_then(|fields| fields.text("id"));
    let id = id.filter(|id| !id.is_empty()).ok_or(Fault::Protocol {
        code: "no_root",
        message: "the root folder has no id".to_owned(),
    })?;
    memory.remember_root(drive, &id);
    Ok(id)
}

/// The changes of `object`, a drive, since the cursor of `request`.
pub(crate) fn changes<'a>(
    graph: &'a Graph,
    memory: &'a Memory,
    object: &'a ObjectRecord,
    request: ChangesRequest,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    feed(graph, memory, &object.native_id, request, reporter)
}

/// Whether what a drive's cursor holds can be used.
pub(crate) fn usable(graph: &Graph, cursor: &Cursor, drive: &str) -> Option<(Table, String)> {
    Table::read(cursor, drive).filter(|(_, link)| graph.is_ours(link))
}

/// The feed of one drive since the cursor of `request`; the root of the drive is the container without an id.
pub(crate) fn feed<'a>(
    graph: &'a Graph,
    memory: &'a Memory,
    drive: &'a str,
    request: ChangesRequest,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let what = "listing the files of the drive";
        let failed = |fault: Fault| fault.into_error(what, Some(READ_PERMISSION));
        reporter.check()?;
        let known = request.cursor.as_ref().and_then(|cursor| usable(graph, cursor, drive));
        if request.cursor.is_some() && known.is_none() {
            reporter.event(Event::Note {
                message: "reading in full: the stored cursor is of no use here".to_owned(),
            });
        }
        let (table, link) = match known {
            Some((table, link)) => {
                memory.remember_root(drive, table.root());
                (table, Some(link))
            }
            None => (Table::new(&root(graph, memory, drive).await.map_err(failed)?), None),
        };
        let mut listing = Listing {
            table,
            full: false,
            sent: HashSet::new(),
            open: BTreeSet::new(),
            retry: request.retry.into_iter().map(|item| (item.id.clone(), item)).collect(),
        };
        if link.is_none() {
            for change in listing.begin() {
                yield change;
            }
        }
        let mut round = Round::new(graph, drive, link);
        let delta = loop {
            reporter.check()?;
            let (elements, end) = match round.step().await.map_err(failed)? {
                Step::Elements(elements) => (elements, None),
                Step::Ended(elements, delta) => (elements, Some(delta)),
                Step::Restarted => {
                    yield Change::Restarted;
                    for change in listing.begin() {
                        yield change;
                    }
                    continue;
                }
            };
            for element in elements {
                let element = shared(graph, drive, element).await.map_err(failed)?;
                let mut changes = Vec::new();
                listing.take(element, &mut changes);
                for change in changes {
                    yield change;
                }
            }
            if let Some(delta) = end {
                break delta;
            }
        };
        for _ in 0..MAX_RESOLVE {
            let unknown = listing.table.unknown();
            if unknown.is_empty() {
                break;
            }
            reporter.check()?;
            let mut found = false;
            for id in unknown {
                let Some(element) = folder_by_id(graph, drive, &id).await.map_err(failed)? else { continue };
                found = true;
                let mut changes = Vec::new();
                listing.take(element, &mut changes);
                for change in changes {
                    yield change;
                }
            }
            if !found {
                break;
            }
        }
        let unknown = listing.table.unknown();
        for change in listing.end() {
            yield change;
        }
        // Named as a place, and gone when it was asked for: what this run put there is looked up.
        for id in unknown {
            yield Change::ContainerGone { id };
        }

        let mut again: Vec<ItemRef> = std::mem::take(&mut listing.retry).into_values().collect();
        again.sort();
        for chunk in again.chunks(lookup::CHUNK) {
            reporter.check()?;
            let answers = lookup::look_up(graph, memory, drive, chunk).await?;
            for (item, answer) in chunk.iter().zip(answers) {
                yield retried(item, answer, &mut listing.table);
            }
        }
        yield Change::Cursor(listing.table.write(drive, &delta)?);
    }
    .boxed()
}

/// A folder comes with its permissions; those of items are read with their content.
async fn shared(graph: &Graph, drive: &str, element: Element) -> Result<Element, Fault> {
    match element {
        Element::Folder(head) => {
            let head = sharing::with_permissions(graph, drive, *head).await?;
            Ok(Element::Folder(Box::new(head)))
        }
        other => Ok(other),
    }
}

/// A folder that was named and not told; none if there is no such folder any more.
async fn folder_by_id(graph: &Graph, drive: &str, id: &str) -> Result<Option<Element>, Fault> {
    let call = graph.call(&Scope::Files, Operation::DriveItem, &[drive, id], &[])?;
    match graph.executor.json(&call).await {
        Ok(text) => Ok(match map::element(&text) {
            Element::Folder(head) if head.item.id == id => Some(Element::Folder(head)),
            _ => None,
        }),
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn retried(item: &ItemRef, answer: Presence, table: &mut Table) -> Change {
    match answer {
        Presence::Present(head) if table.holds(&head.item.container) => {
            table.put_item(&head.item.id, &head.item.container);
            Change::Item(*head)
        }
        // In a folder made since the feed was read: the next run brings it.
        Presence::Present(_) | Presence::Gone => Change::Vanished(item.clone()),
        Presence::Unknown(error) => Change::Failed {
            path: table.path(&item.container),
            item: Some(item.clone()),
            error,
        },
    }
}
