//! The port through which every source is read and every recovery is written.
//!
//! A connector yields typed changes for one protected object and hands out content as streams; the engine decides what
//! to fetch, stores it, and commits data and cursor together. A connector written elsewhere stands beside ours with the
//! same rights.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_repo_format::record::{ItemKind, ItemRecord, PropertyBag};

use crate::error::{Error, Result};
use crate::progress::Reporter;

/// Where an object's changes were read up to: opaque to the engine, stored in the same commit as the data it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Bytes);

/// Names one item of an object: the container that holds it and its id there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemRef {
    /// Id of the container; empty for the root.
    pub container: String,
    /// Id of the item, stable as long as it stays in the object where the source can promise that.
    pub id: String,
}

/// What a source says about an item or container before its content is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemHead {
    /// What it is.
    pub kind: ItemKind,
    /// Where it is and which.
    pub item: ItemRef,
    /// Subject, file name or display name, as the source has it.
    pub name: String,
    /// Changes whenever the item changes; equal keys mean that nothing need be fetched.
    pub change_key: Option<String>,
    /// Size in bytes, where the source knows it beforehand.
    pub size: Option<u64>,
    /// Creation time.
    pub created: Option<DateTime<Utc>>,
    /// Last modification.
    pub modified: Option<DateTime<Utc>>,
    /// When a message was received.
    pub received: Option<DateTime<Utc>>,
    /// When a message was sent.
    pub sent: Option<DateTime<Utc>>,
    /// The source's own type name, such as `#microsoft.graph.eventMessage`.
    pub item_type: Option<String>,
    /// Few small facts for browsing and searching.
    pub properties: PropertyBag,
    /// The source's own record, verbatim, to be kept beside the content as the part `json`.
    pub raw: Option<Bytes>,
}

impl ItemHead {
    /// A head of which nothing else is known.
    #[must_use]
    pub fn new(kind: ItemKind, item: ItemRef, name: String) -> Self {
        Self {
            kind,
            item,
            name,
            change_key: None,
            size: None,
            created: None,
            modified: None,
            received: None,
            sent: None,
            item_type: None,
            properties: PropertyBag::default(),
            raw: None,
        }
    }
}

/// One step of a round of changes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// A container exists with this head (new, changed or unchanged).
    Container(ItemHead),
    /// A container of the base exists unchanged. For sources that tell only which containers changed.
    ContainerKept {
        /// Where it is and which.
        item: ItemRef,
        /// Its name.
        name: String,
    },
    /// A container that was sent in this round, or named as the place of an item, is gone after all; what this run placed
    /// in it has vanished unless it turns up elsewhere.
    ContainerGone {
        /// Its id.
        id: String,
    },
    /// The source begins its enumeration anew in the middle of it. Everything follows once more, containers and rounds as
    /// well; an item that this run was told of and that does not follow has vanished.
    Restarted,
    /// Every container of the object has been sent in this round; those of the base that were not are gone, and what
    /// they held has vanished unless it turns up elsewhere.
    ContainersComplete,
    /// The changes of one container begin. `full`: all its items follow, and what does not has vanished, but only once
    /// [`Change::RoundEnded`] arrives for it.
    RoundStarted {
        /// Id of the container.
        container: String,
        /// Whether this is a full enumeration (first run or resync) rather than changes since the cursor.
        full: bool,
    },
    /// An item exists with this head. May repeat; the last one counts.
    Item(ItemHead),
    /// The container no longer shows this item. A hint: it may have moved. The engine looks it up before it believes it.
    Vanished(ItemRef),
    /// The round of one container ended cleanly.
    RoundEnded {
        /// Id of the container.
        container: String,
    },
    /// One container or item could not be listed. What the base holds of it stays; the next run tries again, so the
    /// cursor must not have advanced for it.
    Failed {
        /// Path for people.
        path: String,
        /// The container or item, if it has an id.
        item: Option<ItemRef>,
        /// Why.
        error: Error,
    },
    /// The last change of the stream: where the next round starts.
    Cursor(Cursor),
}

/// What is asked of [`Connector::changes`].
#[derive(Debug, Clone, Default)]
pub struct ChangesRequest {
    /// Where the last committed round ended; `None` asks for everything.
    pub cursor: Option<Cursor>,
    /// Items that failed last time: the connector sends their heads again even if they did not change since, and
    /// [`Change::Vanished`] for those that are gone.
    pub retry: Vec<ItemRef>,
}

/// One part of an item's content.
pub struct PartContent {
    /// `mime`, `json`, `content` or another name that the connector gives a meaning.
    pub name: String,
    /// Media type.
    pub media_type: Option<String>,
    /// Exact length where known beforehand; the engine refuses a stream that ends elsewhere.
    pub length: Option<u64>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl PartContent {
    /// A part whose bytes are at hand.
    #[must_use]
    pub fn whole(name: &str, media_type: &str, bytes: Bytes) -> Self {
        Self {
            name: name.to_owned(),
            media_type: Some(media_type.to_owned()),
            length: Some(bytes.len() as u64),
            body: stream::iter([Ok(bytes)]).boxed(),
        }
    }
}

impl fmt::Debug for PartContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartContent")
            .field("name", &self.name)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// What [`Connector::fetch`] found.
#[derive(Debug)]
pub enum Fetched {
    /// The content, and the head as it is now (it may be newer than the one asked for).
    Content {
        /// The head that belongs to this content.
        head: Box<ItemHead>,
        /// Parts, read one after the other.
        parts: Vec<PartContent>,
    },
    /// The item went away between listing and fetching.
    Gone,
    /// The item will never be readable, for a named and documented cause such as malware.
    Skipped {
        /// Stable code of the cause.
        code: String,
        /// One line for people.
        message: String,
    },
}

/// What a look-up of a vanished item found.
#[derive(Debug, Clone)]
pub enum Presence {
    /// It exists, perhaps in another container.
    Present(Box<ItemHead>),
    /// It does not exist any more.
    Gone,
    /// Could not be found out. What the base holds stays.
    Unknown(Error),
}

/// Counters of what a connector asked of its service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Of these, refused because of throttling.
    pub throttled: u64,
    /// Of these, repeated after a failure.
    pub retried: u64,
    /// Body bytes received.
    pub bytes_received: u64,
    /// Body bytes sent.
    pub bytes_sent: u64,
}

impl Usage {
    /// Usage with these counters.
    #[must_use]
    pub fn new(requests: u64, throttled: u64, retried: u64, bytes_received: u64, bytes_sent: u64) -> Self {
        Self {
            requests,
            throttled,
            retried,
            bytes_received,
            bytes_sent,
        }
    }
}

/// A source of protected objects.
#[async_trait]
pub trait Connector: Send + Sync + fmt::Debug {
    /// Short stable name: `m365`, `folder`. Part of every object's id.
    fn name(&self) -> &str;

    /// The objects that can be protected, as far as the credential reaches.
    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>>;

    /// The object with this address, name or id.
    ///
    /// # Errors
    /// `NotFound`, with what is there; `Unauthorized`, `PermissionMissing`, `Unavailable`.
    async fn find_object(&self, name: &str) -> Result<ObjectRecord>;

    /// Streams every change since the request's cursor and ends with [`Change::Cursor`]. An error item ends the stream
    /// and fails the run; what concerns one container or item only is a [`Change::Failed`].
    fn changes<'a>(
        &'a self,
        object: &'a ObjectRecord,
        request: ChangesRequest,
        reporter: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>>;

    /// Opens the content of one item.
    ///
    /// # Errors
    /// Any kind: the engine records the item as failed and tries it again in the next run. Throttling and passing faults
    /// have been waited out before an error is returned.
    async fn fetch(&self, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched>;

    /// Opens the content of several small items: one answer for each, in order. The default asks for one after the other.
    async fn fetch_many(&self, object: &ObjectRecord, heads: &[ItemHead]) -> Vec<Result<Fetched>> {
        let mut fetched = Vec::with_capacity(heads.len());
        for head in heads {
            fetched.push(self.fetch(object, head).await);
        }
        fetched
    }

    /// How many small items (up to 64 KiB, by the size in their heads) are fetched with one [`Connector::fetch_many`]. Default:
    /// 1. More are worth it where a call costs more than the reading, and answers do not take long.
    fn fetch_group(&self) -> usize {
        1
    }

    /// Looks up items that vanished from their containers. One answer for each item, in order.
    ///
    /// # Errors
    /// Only what makes the whole run pointless; what concerns one item is [`Presence::Unknown`].
    async fn look_up(&self, object: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>>;

    /// Whether absence from a full round that ended cleanly proves that an item is gone. `false` (the default): every
    /// vanished item is looked up once before it is believed.
    fn absence_is_final(&self) -> bool {
        false
    }

    /// How many [`Connector::fetch_many`] calls of one object may be under way at once. Default: 4.
    fn fetch_concurrency(&self) -> usize {
        4
    }

    /// What was asked of the service since this connector was made.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// The way back, if this connector can write. Default: none.
    fn recovery(&self) -> Option<&dyn RecoveryTarget> {
        None
    }
}

/// What to do when an item to be recovered already exists at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Recover beside it under another name. The default: nothing that exists is touched.
    #[default]
    Rename,
    /// Leave what exists.
    Skip,
    /// Replace what exists; never before its replacement is complete and read back.
    Overwrite,
}

/// What is at the target in the place of an item to be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Absent,
    /// The same item with the same content.
    Identical {
        /// Its id at the target.
        id: String,
    },
    /// The same item or name with other content.
    Differs {
        /// Its id at the target.
        id: String,
        /// What differs, for people: `read state`, `body`, `3 attachments`.
        difference: String,
    },
}

/// One item to be recovered.
#[derive(Debug, Clone)]
pub struct RecoverItem {
    /// The item's record in the recovery point.
    pub record: ItemRecord,
    /// Its containers, outermost first.
    pub path: Vec<ItemRecord>,
}

/// Reads the stored content of the item being recovered.
#[async_trait]
pub trait ContentSource: Send + Sync {
    /// Streams the part of this name.
    ///
    /// # Errors
    /// `NotFound` if the item has no such part; `Corrupt` if its bytes fail authentication, also later in the stream.
    async fn open(&self, part: &str) -> Result<BoxStream<'static, Result<Bytes>>>;
}

/// What became of one recovered item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its id at the target.
    pub id: String,
    /// Where it is, for people.
    pub location: String,
    /// What the target could not take, one line each (`internet message headers other than x-*`); empty: all of it.
    pub not_carried: Vec<String>,
}

/// What became of an item that was not complete when it was written.
#[derive(Debug)]
pub struct Settled {
    /// [`Recovered::id`] of the item.
    pub id: String,
    /// What the target could not take, as in [`Recovered::not_carried`]; an error fails the item.
    pub lost: Result<Vec<String>>,
}

/// The writing side of a connector.
#[async_trait]
pub trait RecoveryTarget: Send + Sync + fmt::Debug {
    /// Finds out what is in the place of `item`, without changing anything.
    ///
    /// # Errors
    /// Any kind; the plan lists the item as one that cannot be recovered.
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing>;

    /// When an item is planned and written: everything of a lower stage comes before anything of a higher one. Default: all
    /// in one stage.
    fn stage(&self, _record: &ItemRecord) -> u8 {
        0
    }

    /// Does what had to wait until the other items of a stage were written, such as setting what points from one to another.
    /// Called after each stage. Default: nothing.
    async fn settle(&self, _target: &ObjectRecord) -> Vec<Settled> {
        Vec::new()
    }

    /// Makes sure the chain of containers of `item` exists and returns the innermost one's id at the target. Idempotent.
    ///
    /// # Errors
    /// Any kind; nothing of the item is written.
    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String>;

    /// Writes one item into `container` and reads it back. Idempotent: a repeated call after a lost answer finds what the
    /// first one made. With `replace`, the existing item is removed (softly) only after the new one was read back equal.
    ///
    /// # Errors
    /// Any kind; what existed before is untouched.
    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered>;
}

/// How an item is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoverAction {
    /// Nothing is in its place.
    Create,
    /// Something is; write under a name that says so.
    CreateRenamed,
    /// Something is; replace it, last of all steps.
    Replace {
        /// The existing item's id.
        existing: String,
    },
}
