//! Lists a directory: containers and items in order, each directory sorted by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt};
use nakivo_repo_format::record::{ItemKind, PropertyBag, Value};
use tokio::sync::mpsc;

use super::Place;
use super::ids::{ESCAPED_NAME, ESCAPED_TARGET, TARGET, display, escape};
use crate::connector::{Change, Cursor, ItemHead, ItemRef, Presence};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{EntryKind, Root, Stat, name_bytes};
use crate::progress::{Event, Reporter};

/// Changes handed over at once.
const BATCH: usize = 512;
/// Batches that may wait for the engine.
const BATCHES_AHEAD: usize = 2;
/// The cursor: nothing to remember, every round is full.
const CURSOR: &[u8] = br#"{"version":1}"#;

/// `item_type` of a symbolic link.
pub(super) const SYMLINK: &str = "symlink";

/// The whole round as a stream, produced on a blocking thread a little ahead of the reader.
pub(super) fn changes(
    place: Arc<Place>,
    retry: Vec<ItemRef>,
    reporter: Reporter,
) -> BoxStream<'static, Result<Change>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut walk = Walk {
            place: &place,
            reporter: &reporter,
            sender,
            batch: Vec::with_capacity(BATCH),
            complete: true,
        };
        if let Err(Stop::Failed(error)) = walk.run(&retry) {
            // Nobody listens any more if this fails.
            let _ = walk.sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|batch| (batch, receiver))
    })
    .flat_map(|batch| match batch {
        Ok(changes) => stream::iter(changes).map(Ok).left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    })
    .boxed()
}

enum Stop {
    Failed(Error),
    /// The reader went away.
    Unheard,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Walk<'a> {
    place: &'a Place,
    reporter: &'a Reporter,
    sender: mpsc::Sender<Result<Vec<Change>>>,
    batch: Vec<Change>,
    /// Whether every directory could be listed.
    complete: bool,
}

impl Walk<'_> {
    fn run(&mut self, retry: &[ItemRef]) -> Result<(), Stop> {
        let root = self.place.open()?;
        // Depth first, so that only the directories beside the current path wait.
        let mut waiting = vec![PathBuf::new()];
        while let Some(path) = waiting.pop() {
            self.reporter.check()?;
            self.directory(&root, &path, &mut waiting)?;
        }
        if self.complete {
            // Otherwise directories inside an unreadable one would count as gone.
            self.send(Change::ContainersComplete)?;
        }
        for item in retry {
            if matches!(presence(self.place, &root, item), Presence::Gone) {
                self.send(Change::Vanished(item.clone()))?;
            }
        }
        self.send(Change::Cursor(Cursor(Bytes::from_static(CURSOR))))?;
        self.flush()
    }

    fn send(&mut self, change: Change) -> Result<(), Stop> {
        self.batch.push(change);
        if self.batch.len() >= BATCH {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sender.blocking_send(Ok(batch)).map_err(|_| Stop::Unheard)
    }

    fn failed(&mut self, path: &Path, item: Option<ItemRef>, error: Error) -> Result<(), Stop> {
        self.send(Change::Failed {
            path: path.to_string_lossy().into_owned(),
            item,
            error,
        })
    }

    fn directory(&mut self, root: &Root, path: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), Stop> {
        let container = self.place.id_of(path);
        let mut listing = match root.names(path) {
            Ok(listing) => listing,
            // Without the directory itself there is nothing to back up, and an unmounted one must not look empty.
            Err(error) if path.as_os_str().is_empty() => return Err(error.into()),
            // Removed since it was listed: it is an empty round, and what it held is looked up.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.send(Change::RoundStarted {
                    container: container.clone(),
                    full: true,
                })?;
                return self.send(Change::RoundEnded { container });
            }
            Err(error) => {
                self.complete = false;
                return self.failed(path, None, error);
            }
        };
        listing.names.sort_unstable();
        self.send(Change::RoundStarted {
            container: container.clone(),
            full: true,
        })?;
        let mut directories = Vec::new();
        let mut special = 0u64;
        for name in &listing.names {
            let path = path.join(name);
            match head_in(self.place, &listing.directory, Path::new(name), &path, &container) {
                Ok(Found::Directory(head)) => {
                    self.send(Change::Container(head))?;
                    directories.push(path);
                }
                Ok(Found::Item(head)) => self.send(Change::Item(head))?,
                Ok(Found::Special) => special += 1,
                // Went away since the names were read.
                Ok(Found::Nothing) => {}
                Err(error) => {
                    // It may be a directory, then what is in it must not count as gone.
                    self.complete = false;
                    let item = ItemRef {
                        container: container.clone(),
                        id: self.place.id_of(&path),
                    };
                    self.failed(&path, Some(item), error)?;
                }
            }
        }
        if special > 0 {
            let place = if path.as_os_str().is_empty() {
                ".".into()
            } else {
                path.to_string_lossy()
            };
            let message = format!("{special} sockets, pipes or devices in '{place}' are not backed up");
            self.reporter.event(Event::Note { message });
        }
        match listing.broken {
            None => self.send(Change::RoundEnded { container })?,
            Some(error) => {
                self.complete = false;
                self.failed(path, None, error)?;
            }
        }
        waiting.extend(directories.into_iter().rev());
        Ok(())
    }
}

/// What an entry turned out to be.
pub(super) enum Found {
    Item(ItemHead),
    Directory(ItemHead),
    Special,
    Nothing,
}

/// Inspects `name` in `directory`; `path` is the same relative to the root.
fn head_in(place: &Place, directory: &Root, name: &Path, path: &Path, container: &str) -> Result<Found> {
    let Some(stat) = directory.stat(name)? else {
        return Ok(Found::Nothing);
    };
    let target = match stat.kind {
        EntryKind::Symlink => Some(directory.read_link(name)?),
        _ => None,
    };
    Ok(found(place, path, container.to_owned(), &stat, target.as_deref()))
}

/// Inspects the entry at `path` relative to the root.
pub(super) fn head_at(place: &Place, root: &Root, path: &Path) -> Result<Found> {
    let container = place.id_of(path.parent().unwrap_or(Path::new("")));
    head_in(place, root, path, path, &container)
}

/// The head of an entry with these facts.
pub(super) fn found(
    place: &Place,
    path: &Path,
    container: String,
    stat: &Stat,
    target: Option<&Path>,
) -> Found {
    let name = name_bytes(path.file_name().unwrap_or_default());
    let mut properties = PropertyBag::new();
    if std::str::from_utf8(&name).is_err() {
        properties.insert(ESCAPED_NAME.to_owned(), Value::Text(escape(&name)));
    }
    if let Some(mode) = stat.mode {
        properties.insert("mode".to_owned(), Value::Integer(i64::from(mode)));
    }
    if let Some((user, group)) = stat.owner {
        properties.insert("uid".to_owned(), Value::Integer(i64::from(user)));
        properties.insert("gid".to_owned(), Value::Integer(i64::from(group)));
    }
    // The record's own times have milliseconds.
    properties.insert("modified_ns".to_owned(), Value::Integer(stat.modified_ns));
    if let Some(target) = target {
        let target = name_bytes(target.as_os_str());
        match std::str::from_utf8(&target) {
            Ok(text) => properties.insert(TARGET.to_owned(), Value::Text(text.to_owned())),
            Err(_) => properties.insert(ESCAPED_TARGET.to_owned(), Value::Text(escape(&target))),
        };
    }
    let directory = stat.kind == EntryKind::Directory;
    let kind = if directory {
        ItemKind::Container
    } else {
        ItemKind::File
    };
    let item = ItemRef {
        container,
        id: place.id_of(path),
    };
    let head = ItemHead {
        change_key: (!directory).then(|| stat.change_key()),
        size: match stat.kind {
            EntryKind::File => Some(stat.size),
            _ => None,
        },
        created: stat.created_ns.map(time),
        modified: Some(time(stat.modified_ns)),
        item_type: (stat.kind == EntryKind::Symlink).then(|| SYMLINK.to_owned()),
        properties,
        ..ItemHead::new(kind, item, display(&name))
    };
    match stat.kind {
        EntryKind::Directory => Found::Directory(head),
        EntryKind::File | EntryKind::Symlink => Found::Item(head),
        EntryKind::Special => Found::Special,
    }
}

fn time(nanoseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanoseconds)
}

/// Answers a look-up. What stands at an item's path now but is no file or link is another thing: the item is gone.
pub(super) fn presence(place: &Place, root: &Root, item: &ItemRef) -> Presence {
    let Some(path) = place.path_of(&item.id) else {
        // A path too long for an id that the listing of this run has not met.
        return Presence::Gone;
    };
    match head_at(place, root, &path) {
        Ok(Found::Item(head)) => Presence::Present(Box::new(head)),
        Ok(_) => Presence::Gone,
        Err(error) => Presence::Unknown(error),
    }
}
