//! Changes of a site: its libraries and lists, and each one's feed.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{Change, ChangesRequest, Cursor, ItemHead, ItemRef};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemKind;
use nakivo_core::progress::{Event, Reporter};
use nakivo_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::lists::rows::RowReader;
use super::lists::{feed as rows, schema};
use super::{LIBRARY, READ_PERMISSION, ids};
use crate::drives::Memory;
use crate::drives::list::{feed, usable};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

const CURSOR_VERSION: u32 = 1;
/// How often the libraries of a site may begin anew in one run, together.
const MAX_RESTARTS: u32 = 20;
/// Most libraries of one site.
const MAX_LIBRARIES: usize = 20_000;
/// Properties of a library that are stored. Its quota would change with every file.
const LIBRARY_FIELDS: &str = "id,name,description,driveType,createdDateTime,webUrl,sharePointIds";

/// A document library.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    pub(crate) drive: String,
    pub(crate) name: String,
    raw: String,
}

/// The cursor of a site: those of its libraries, by drive.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    site: String,
    /// In base64. Those of lists are under what stands for them.
    drives: BTreeMap<String, String>,
}

impl Stored {
    fn read(cursor: &Cursor, site: &str) -> Option<BTreeMap<String, Cursor>> {
        let stored: Self = serde_json::from_slice(&cursor.0).ok()?;
        if stored.version != CURSOR_VERSION || stored.site != site {
            return None;
        }
        let drives = stored.drives.into_iter();
        drives
            .map(|(drive, text)| Some((drive, Cursor(Bytes::from(STANDARD.decode(text).ok()?)))))
            .collect()
    }

    fn write(site: &str, cursors: &BTreeMap<String, Cursor>) -> Result<Cursor> {
        let drives = cursors.iter();
        let stored = Self {
            version: CURSOR_VERSION,
            site: site.to_owned(),
            drives: drives
                .map(|(drive, cursor)| (drive.clone(), STANDARD.encode(&cursor.0)))
                .collect(),
        };
        serde_json::to_vec(&stored)
            .map(|bytes| Cursor(Bytes::from(bytes)))
            .map_err(|error| Error::internal(format!("the cursor cannot be written: {error}")))
    }
}

/// The document libraries of a site.
pub(crate) async fn libraries(graph: &Graph, site: &str) -> Result<Vec<Library>, Fault> {
    let query = [("$select", LIBRARY_FIELDS)];
    let first = graph.call(&Scope::Files, Operation::SiteDrives, &[site], &query)?;
    let mut libraries: Vec<Library> = Vec::new();
    for raw in pages::all(graph, &Scope::Files, first, MAX_LIBRARIES).await? {
        let fields = Fields::parse(&raw);
        let id = fields.as_ref().and_then(|fields| fields.text("id"));
        let drive = id
            .filter(|id| !id.is_empty() && ids::split(id).0 == id)
            .ok_or(Fault::Protocol {
                code: "element_without_id",
                message: "a library of the site has no id that can be used".to_owned(),
            })?;
        // Pages may repeat an element.
        if !libraries.iter().any(|known| known.drive == drive) {
            let name = fields.and_then(|fields| fields.text("name")).unwrap_or_default();
            libraries.push(Library { drive, name, raw });
        }
    }
    Ok(libraries)
}

impl Library {
    fn head(&self) -> ItemHead {
        let fields = Fields::parse(&self.raw);
        let item = ItemRef {
            container: String::new(),
            id: self.drive.clone(),
        };
        ItemHead {
            created: fields.and_then(|fields| fields.time("createdDateTime")),
            item_type: Some(LIBRARY.to_owned()),
            raw: Some(Bytes::copy_from_slice(self.raw.as_bytes())),
            ..ItemHead::new(ItemKind::Container, item, self.name.clone())
        }
    }

    /// What the base has of the folders of a library that cannot be listed now stays.
    fn kept(&self, graph: &Graph, cursor: Option<&Cursor>) -> Vec<Change> {
        let Some((table, _)) = cursor.and_then(|cursor| usable(graph, cursor, &self.drive)) else {
            return Vec::new();
        };
        table
            .folders()
            .map(|(id, folder)| Change::ContainerKept {
                item: ItemRef {
                    container: ids::join(&self.drive, &folder.parent),
                    id: ids::join(&self.drive, id),
                },
                name: folder.name.clone(),
            })
            .collect()
    }
}

/// Whether an error concerns one library, so that the others can be read all the same.
fn concerns_one(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionMissing | ErrorKind::Busy | ErrorKind::Protocol
    )
}

/// The changes of `object`, a site, since the cursor of `request`.
pub(crate) fn changes<'a>(
    graph: &'a Graph,
    memory: &'a Memory,
    object: &'a ObjectRecord,
    request: ChangesRequest,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let site = object.native_id.as_str();
        reporter.check()?;
        let known = request.cursor.as_ref().and_then(|cursor| Stored::read(cursor, site));
        if request.cursor.is_some() && known.is_none() {
            reporter.event(Event::Note {
                message: "reading in full: the stored cursor is of no use here".to_owned(),
            });
        }
        let base = known.unwrap_or_default();
        let mut retry: BTreeMap<String, Vec<ItemRef>> = BTreeMap::new();
        for item in &request.retry {
            let (drive, local) = ids::inward(item);
            retry.entry(drive).or_default().push(local);
        }
        let libraries = libraries(graph, site)
            .await
            .map_err(|fault| fault.into_error("listing the libraries of the site", Some(READ_PERMISSION)))?;
        let mut cursors: BTreeMap<String, Cursor> = BTreeMap::new();
        let mut failed: BTreeMap<usize, Error> = BTreeMap::new();
        let mut restarts = 0;
        let mut open: VecDeque<usize> = (0..libraries.len()).collect();
        let mut done: Vec<usize> = Vec::new();
        while let Some(at) = open.pop_front() {
            let mut told = false;
            let library = &libraries[at];
            let drive = library.drive.as_str();
            yield Change::Container(library.head());
            let request = ChangesRequest {
                cursor: base.get(drive).cloned(),
                retry: retry.get(drive).cloned().unwrap_or_default(),
            };
            let mut feed = feed(graph, memory, drive, request, reporter);
            loop {
                match feed.next().await {
                    // Nothing was told of this library, so nothing has to follow again.
                    Some(Ok(Change::Restarted)) if !told => {}
                    Some(Ok(Change::Cursor(cursor))) => {
                        cursors.insert(drive.to_owned(), cursor);
                        failed.remove(&at);
                        break;
                    }
                    Some(Ok(change)) => {
                        if matches!(change, Change::Restarted) {
                            // Everything follows once more: also what other libraries have told.
                            restarts += 1;
                            if restarts > MAX_RESTARTS {
                                Err(Error::new(
                                    ErrorKind::Protocol,
                                    "listing the libraries of the site: the service begins anew again and again",
                                ))?;
                            }
                            open.extend(done.drain(..));
                        }
                        if let Some(change) = ids::outward_change(drive, &library.name, change) {
                            told = true;
                            yield change;
                        }
                    }
                    Some(Err(error)) if concerns_one(&error) => {
                        for change in library.kept(graph, base.get(drive)) {
                            yield change;
                        }
                        // The next run starts where this one did.
                        cursors.remove(drive);
                        if let Some(cursor) = base.get(drive) {
                            cursors.insert(drive.to_owned(), cursor.clone());
                        }
                        failed.insert(at, error);
                        break;
                    }
                    Some(Err(error)) => Err(error)?,
                    None => Err(Error::internal("the feed of a library ended without a cursor"))?,
                }
            }
            done.push(at);
        }
        let lists = schema::lists(graph, site)
            .await
            .map_err(|fault| fault.into_error("listing the lists of the site", Some(READ_PERMISSION)))?;
        let all = libraries.len() + lists.len();
        let reader = RowReader::new(graph, site);
        for (number, list) in lists.iter().enumerate() {
            let prefix = list.prefix();
            yield Change::Container(list.container());
            let cursor = base.get(&prefix).cloned();
            let mut again = retry.remove(&prefix).unwrap_or_default();
            for item in &mut again {
                *item = ids::outward(&prefix, item);
            }
            let mut feed = rows::feed(&reader, list, cursor.clone(), again, reporter);
            loop {
                match feed.next().await {
                    Some(Ok(Change::Cursor(cursor))) => {
                        cursors.insert(prefix, cursor);
                        break;
                    }
                    Some(Ok(change)) => yield change,
                    Some(Err(error)) if concerns_one(&error) => {
                        if let Some(cursor) = cursor {
                            cursors.insert(prefix, cursor);
                        }
                        failed.insert(libraries.len() + number, error);
                        break;
                    }
                    Some(Err(error)) => Err(error)?,
                    None => Err(Error::internal("the feed of a list ended without a cursor"))?,
                }
            }
        }
        if failed.len() == all
            && let Some((_, error)) = failed.pop_first()
        {
            Err(error)?;
        }
        yield Change::ContainersComplete;
        for (at, error) in failed {
            let name = match at.checked_sub(libraries.len()) {
                Some(number) => &lists[number].name,
                None => &libraries[at].name,
            };
            yield Change::Failed {
                path: format!("{name}/"),
                item: None,
                error,
            };
        }
        yield Change::Cursor(Stored::write(site, &cursors)?);
    }
    .boxed()
}

/// The library of a site that has this name, whatever its case; without a name the default one.
pub(crate) fn named<'l>(libraries: &'l [Library], name: Option<&str>) -> Option<&'l Library> {
    match name {
        None => libraries.first(),
        Some(name) => libraries
            .iter()
            .find(|library| library.name.to_lowercase() == name.to_lowercase()),
    }
}
