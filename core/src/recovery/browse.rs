//! One recovery point as a tree: list, look up, search.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use nakivo_repo_format::manifest::Manifest;
use nakivo_repo_format::record::{ItemKind, ItemRecord, Value};
use nakivo_repo_format::tree::{ItemKey, KeyKind};
use tokio::sync::OnceCell;

use super::containers::Containers;
use super::query::{Facts, Query};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Repository, ScanRange, Spoiled};

/// Most entries of one page.
pub const MAX_PAGE_ENTRIES: usize = 10_000;
/// Ids named when a path is ambiguous.
const MAX_NAMED: usize = 10;

/// An item or container of a recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its record.
    pub record: ItemRecord,
    /// Where it is, for people: names joined by `/`, no leading one; empty for the root. Names may hold a `/` themselves
    /// and may repeat.
    pub path: String,
}

impl Entry {
    /// Its id; empty for the root container.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Whether it holds items.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.record.kind == ItemKind::Container
    }
}

/// Where a page ended. Valid for the container and the point it came from, for as long as that point exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCursor(String);

impl std::fmt::Display for PageCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PageCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("c" | "i", id)) if !id.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(Error::invalid(
                "page cursor",
                text.escape_debug(),
                "what an earlier page gave",
            )),
        }
    }
}

impl PageCursor {
    fn of(key: &ItemKey) -> Self {
        Self::named(key.kind(), key.id())
    }

    fn of_spoiled(entry: &Spoiled) -> Option<Self> {
        entry.kind.map(|kind| Self::named(kind, &entry.id))
    }

    fn named(kind: KeyKind, id: &str) -> Self {
        let kind = if kind == KeyKind::Container { 'c' } else { 'i' };
        Self(format!("{kind}:{id}"))
    }

    fn key(&self, container: &str) -> Result<ItemKey> {
        let (kind, id) = self.0.split_once(':').unwrap_or_default();
        let kind = if kind == "c" {
            KeyKind::Container
        } else {
            KeyKind::Item
        };
        ItemKey::new(container, kind, id)
            .map_err(|_| Error::invalid("page cursor", self.0.escape_debug(), "what an earlier page gave"))
    }
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Start behind this place; `None` starts at the beginning.
    pub after: Option<PageCursor>,
    /// Most entries to return: 1 to [`MAX_PAGE_ENTRIES`]. Default: 100.
    pub limit: usize,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
        }
    }
}

/// Part of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// Containers first, then items, each in the order of their ids.
    pub entries: Vec<Entry>,
    /// Entries among them that cannot be read: each error names one. The others are not touched by that.
    pub spoiled: Vec<Error>,
    /// Where the next page starts; `None` if this is the last.
    pub next: Option<PageCursor>,
}

/// One recovery point, opened for reading. A clone shares what was read.
#[derive(Debug, Clone)]
pub struct PointView {
    repository: Repository,
    manifest: Arc<Manifest>,
    containers: Arc<OnceCell<Arc<Containers>>>,
}

impl PointView {
    /// Opens a point. Nothing is read yet.
    #[must_use]
    pub fn open(repository: &Repository, manifest: Manifest) -> Self {
        Self {
            repository: repository.clone(),
            manifest: Arc::new(manifest),
            containers: Arc::default(),
        }
    }

    /// The point.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) async fn containers(&self) -> Result<Arc<Containers>> {
        let load = || async {
            Containers::load(&self.repository, self.manifest.root)
                .await
                .map(Arc::new)
        };
        self.containers.get_or_try_init(load).await.cloned()
    }

    /// Lists what lies directly in a container. The root container's id is empty.
    ///
    /// # Errors
    /// `NotFound` if there is no such container; `InvalidInput` for a limit out of range; `Corrupt` if the listing itself is
    /// damaged; those of the store.
    pub async fn list(&self, container: &str, request: PageRequest) -> Result<Page> {
        if request.limit == 0 || request.limit > MAX_PAGE_ENTRIES {
            return Err(Error::invalid("limit", request.limit, "1 to 10000"));
        }
        let containers = self.containers().await?;
        if !containers.contains(container) {
            return Err(Error::not_found("folder", container.escape_debug()));
        }
        let folder = containers.path(container);
        let mut range = ScanRange::container(container);
        if let Some(after) = &request.after {
            range = range.after(after.key(container)?);
        }
        let (mut entries, mut spoiled) = (Vec::new(), Vec::new());
        let mut last = None;
        let mut scan = self.repository.scan_each(self.manifest.root, &range);
        while let Some(found) = scan.next().await {
            if entries.len() + spoiled.len() >= request.limit && last.is_some() {
                return Ok(Page {
                    entries,
                    spoiled,
                    next: last,
                });
            }
            let (key, record) = match found? {
                Ok(found) => found,
                Err(entry) => {
                    last = PageCursor::of_spoiled(&entry).or(last);
                    spoiled.push(in_folder(&folder, entry));
                    continue;
                }
            };
            last = Some(PageCursor::of(&key));
            let path = if folder.is_empty() {
                record.name.clone()
            } else {
                format!("{folder}/{}", record.name)
            };
            entries.push(Entry { record, path });
        }
        Ok(Page {
            entries,
            spoiled,
            next: None,
        })
    }

    /// Finds the container or item at a path as listings show it; `/` or nothing is the root. Upper and lower case are
    /// told apart only where both exist. A `/` at the end asks for a container.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if several bear the path, naming their ids; `Corrupt`; those of the store.
    pub async fn resolve_path(&self, path: &str) -> Result<Entry> {
        let wanted = path.trim_start_matches('/');
        let only_containers = wanted.ends_with('/');
        let wanted = wanted.trim_end_matches('/');
        if wanted.is_empty() {
            return Ok(self.root());
        }
        let containers = self.containers().await?;
        let mut found = self
            .matches(&containers, wanted, only_containers, str::eq)
            .await?;
        if found.is_empty() {
            found = self
                .matches(&containers, wanted, only_containers, |a, b| {
                    a.to_lowercase() == b.to_lowercase()
                })
                .await?;
        }
        if found.len() > 1 {
            let mut ids: Vec<&str> = found.iter().take(MAX_NAMED).map(Entry::id).collect();
            if found.len() > MAX_NAMED {
                ids.push("...");
            }
            let message = format!(
                "path: '{}' names {} entries: {}",
                path.escape_debug(),
                found.len(),
                ids.join(", ")
            );
            return Err(
                Error::new(ErrorKind::InvalidInput, message).with_hint("Name the one you mean by its id.")
            );
        }
        found.pop().ok_or_else(|| {
            Error::not_found("path", path.escape_debug())
                .with_hint("Browse the folder above it to see what is there.")
        })
    }

    fn root(&self) -> Entry {
        Entry {
            record: ItemRecord::new(ItemKind::Container, "", "", ""),
            path: String::new(),
        }
    }

    /// Everything at this path. A name may hold `/`, so several splits are tried.
    async fn matches(
        &self,
        containers: &Containers,
        wanted: &str,
        only_containers: bool,
        equal: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), wanted)];
        while let Some((container, rest)) = open.pop() {
            let children = containers
                .children(&container)
                .iter()
                .filter_map(|id| containers.get(id));
            for child in children {
                if equal(&child.name, rest) {
                    found.push(Entry {
                        path: containers.path_of(child),
                        record: child.clone(),
                    });
                }
                // Names have the length they have here; case folding may change that, then the split is not found.
                if let (Some(head), Some(tail)) = (rest.get(..child.name.len()), rest.get(child.name.len()..))
                    && let Some(tail) = tail.strip_prefix('/')
                    && equal(&child.name, head)
                {
                    open.push((child.id.clone(), tail));
                }
            }
            if only_containers {
                continue;
            }
            let mut scan = self
                .repository
                .scan_each(self.manifest.root, &ScanRange::container(container.as_str()));
            while let Some(entry) = scan.next().await {
                // What cannot be read has no name: it can be asked for by its id.
                let Ok((_, record)) = entry? else { continue };
                if record.kind != ItemKind::Container && equal(&record.name, rest) {
                    found.push(Entry {
                        path: containers.path_of(&record),
                        record,
                    });
                }
            }
        }
        Ok(found)
    }

    /// The entry with this id: a container, or an item in any container. The empty id is the root.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`; those of the store.
    pub async fn entry_by_id(&self, id: &str) -> Result<Entry> {
        if id.is_empty() {
            return Ok(self.root());
        }
        let containers = self.containers().await?;
        if let Some(record) = containers.get(id) {
            return Ok(Entry {
                path: containers.path_of(record),
                record: record.clone(),
            });
        }
        for container in containers.subtree("") {
            let Ok(key) = ItemKey::item(container, id) else {
                break;
            };
            if let Some(record) = self.repository.get(self.manifest.root.as_ref(), &key).await? {
                return Ok(Entry {
                    path: containers.path_of(&record),
                    record,
                });
            }
        }
        Err(Error::not_found("item", id.escape_debug()))
    }

    /// The entry with this key.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`; those of the store.
    pub async fn entry(&self, key: &ItemKey) -> Result<Entry> {
        let containers = self.containers().await?;
        match self.repository.get(self.manifest.root.as_ref(), key).await? {
            Some(record) => Ok(Entry {
                path: containers.path_of(&record),
                record,
            }),
            None => Err(Error::not_found("item", key.id().escape_debug())),
        }
    }

    /// Where a record of this point is, for people.
    ///
    /// # Errors
    /// `Corrupt`; those of the store.
    pub async fn path_of(&self, record: &ItemRecord) -> Result<String> {
        Ok(self.containers().await?.path_of(record))
    }

    /// Streams every item and container that matches, in the order of the tree. Reads the whole tree, but no content. An entry
    /// that cannot be read comes as an error that names it, of kind `Corrupt` or `UnsupportedFormat`, and the stream goes on.
    #[must_use]
    pub fn find(&self, query: &Query) -> BoxStream<'static, Result<Entry>> {
        let (view, query) = (self.clone(), query.clone());
        stream::once(async move {
            let containers = view.containers().await?;
            let scan = view.repository.scan_each(view.manifest.root, &ScanRange::all());
            Ok(scan.filter_map(move |found| {
                let entry = match found {
                    Ok(Ok((_, record))) => {
                        let folder = containers.path(&record.container);
                        matches(&query, &record, &folder).then(|| {
                            Ok(Entry {
                                path: containers.path_of(&record),
                                record,
                            })
                        })
                    }
                    Ok(Err(entry)) => Some(Err(in_folder(&containers.path(&entry.container), entry))),
                    Err(error) => Some(Err(error)),
                };
                async move { entry }
            }))
        })
        .flat_map(|scan| match scan {
            Ok(scan) => scan.left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        })
        .boxed()
    }

    /// Streams a part of an item's content, verified on the way. The last item is an error if the whole does not have the
    /// size and hash it must have.
    ///
    /// # Errors
    /// `NotFound` if the item has no such part.
    pub fn content(&self, record: &ItemRecord, part: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        let part = record
            .part(part)
            .ok_or_else(|| Error::not_found("content part", part.escape_debug()))?;
        Ok(self.repository.read_part(part))
    }
}

/// The error of an entry that cannot be read, with the folder it is in.
fn in_folder(folder: &str, entry: Spoiled) -> Error {
    if folder.is_empty() {
        entry.error
    } else {
        entry.error.context(folder)
    }
}

/// Whether a query finds this record in `folder`.
pub(super) fn matches(query: &Query, record: &ItemRecord, folder: &str) -> bool {
    let texts = |names: &[&str]| -> Vec<String> {
        let values = names.iter().filter_map(|name| record.properties.get(*name));
        values
            .flat_map(|value| match value {
                Value::Text(text) => vec![text.clone()],
                Value::List(list) => list.clone(),
                _ => Vec::new(),
            })
            .collect()
    };
    let (from, to) = (texts(&["from", "sender"]), texts(&["to", "cc", "bcc"]));
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    query.matches(&Facts {
        kind: record.kind,
        name: &record.name,
        from: &from,
        to: &to,
        has_attachments: record
            .properties
            .get("has_attachments")
            .and_then(|value| value.as_bool())
            .unwrap_or(false),
        time_ms: record.received_ms.or(record.sent_ms).or(record.modified_ms),
        size: record.size,
        folder,
    })
}
