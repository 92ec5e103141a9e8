//! A local directory as a source and a target.
//!
//! Directories are containers, regular files and symbolic links are items. An id is the path relative to the directory,
//! `/` between names; bytes that are not UTF-8, and `%`, are written `%XX`, so every name has exactly one id. Every round
//! is a full one: it costs one `stat` for each entry, and content is read only where size, modification time, inode
//! number or change time differ from the last point.
//!
//! Symbolic links are kept as links and never followed, sockets, pipes and devices are left out with a note, sparse files
//! are read in full (their holes cost next to nothing in the repository), hard links become separate files. Owner,
//! permissions and modification time are recorded; extended attributes and access control lists are not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use nakivo_repo_format::ids::ObjectId;
use nakivo_repo_format::manifest::{ObjectKind, ObjectRecord};

use crate::connector::{
    Change, ChangesRequest, Connector, Fetched, ItemHead, ItemRef, Presence, RecoveryTarget, Usage,
};
use crate::error::{Error, Result};
use crate::fs::Root;
use crate::progress::Reporter;
use crate::seams::{Clock, SystemClock};

mod ids;
mod read;
mod recover;
mod walk;

/// Name of this connector, first part of its objects' ids.
pub const FOLDER_SOURCE: &str = "folder";

/// Files of one object read at the same time.
const FETCH_CONCURRENCY: usize = 8;
/// Small files that one thread reads one after the other: handing each to a thread costs more than reading it.
const FETCH_GROUP: usize = 16;

/// Backs up and recovers one local directory.
#[derive(Debug)]
pub struct FolderConnector {
    place: Arc<Place>,
    object: ObjectRecord,
    clock: Arc<dyn Clock>,
}

/// What the blocking halves of the connector share.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Paths of ids that are too long to be paths themselves, as far as a listing has met them.
    long_ids: Mutex<HashMap<String, PathBuf>>,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl FolderConnector {
    /// A connector for the directory `path`, to be known as `name`. The name, not the path, makes the identity: the
    /// directory may be mounted elsewhere next time. Nothing is read yet.
    ///
    /// # Errors
    /// `InvalidInput` if the name is empty, longer than 200 bytes, or has control characters or `/`.
    pub fn new(path: impl Into<PathBuf>, name: &str) -> Result<Self> {
        let allowed = "1 to 200 bytes without control characters and '/'";
        if name.is_empty() || name.len() > 200 || name.chars().any(|c| c.is_control() || c == '/') {
            return Err(Error::invalid("folder name", name.escape_debug(), allowed));
        }
        let path = path.into();
        let id = ObjectId::new(format!("{FOLDER_SOURCE}/{name}"))
            .map_err(|_| Error::invalid("folder name", name, allowed))?;
        let object = ObjectRecord {
            id,
            kind: ObjectKind::Folder,
            name: name.to_owned(),
            address: None,
            source: FOLDER_SOURCE.to_owned(),
            native_id: name.to_owned(),
            account: None,
        };
        let place = Place {
            path,
            long_ids: Mutex::default(),
            bytes_read: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
        };
        Ok(Self {
            place: Arc::new(place),
            object,
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Uses this clock instead of the machine's. It must agree with the time stamps of the file system.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The object this connector protects.
    #[must_use]
    pub fn object(&self) -> &ObjectRecord {
        &self.object
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    fn check_object(&self, object: &ObjectRecord) -> Result<()> {
        if object.id == self.object.id {
            Ok(())
        } else {
            Err(Error::invalid(
                "object",
                &object.id,
                &format!("'{}'", self.object.id),
            ))
        }
    }

    /// Runs blocking work on the directory.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place, &Root) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.place);
        let task = tokio::task::spawn_blocking(move || {
            let root = place.open()?;
            work(&place, &root)
        });
        task.await
            .map_err(|error| Error::internal(format!("reading a directory ended abnormally: {error}")))?
    }
}

impl Place {
    fn open(&self) -> Result<Root> {
        Root::open(&self.path)
            .map_err(|error| error.with_hint("Check that the directory exists and is mounted."))
    }
}

#[async_trait]
impl Connector for FolderConnector {
    fn name(&self) -> &str {
        FOLDER_SOURCE
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        stream::iter([Ok(self.object.clone())]).boxed()
    }

    async fn find_object(&self, name: &str) -> Result<ObjectRecord> {
        if name == self.object.name || name == self.object.id.as_str() {
            Ok(self.object.clone())
        } else {
            Err(Error::not_found("object", name).with_hint(format!("There is only '{}'.", self.object.name)))
        }
    }

    fn changes<'a>(
        &'a self,
        object: &'a ObjectRecord,
        request: ChangesRequest,
        reporter: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        if let Err(error) = self.check_object(object) {
            return stream::iter([Err(error)]).boxed();
        }
        walk::changes(Arc::clone(&self.place), request.retry, reporter.clone())
    }

    async fn fetch(&self, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        self.check_object(object)?;
        read::fetch(self, &head.item).await
    }

    async fn fetch_many(&self, object: &ObjectRecord, heads: &[ItemHead]) -> Vec<Result<Fetched>> {
        if let Err(error) = self.check_object(object) {
            return heads.iter().map(|_| Err(error.clone())).collect();
        }
        let items: Vec<ItemRef> = heads.iter().map(|head| head.item.clone()).collect();
        read::fetch_many(self, &items).await
    }

    fn fetch_group(&self) -> usize {
        FETCH_GROUP
    }

    async fn look_up(&self, object: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        self.check_object(object)?;
        let items = items.to_vec();
        self.blocking(move |place, root| {
            Ok(items
                .iter()
                .map(|item| walk::presence(place, root, item))
                .collect())
        })
        .await
    }

    fn fetch_concurrency(&self) -> usize {
        FETCH_CONCURRENCY
    }

    fn usage(&self) -> Usage {
        let read = self.place.bytes_read.load(Ordering::Relaxed);
        Usage::new(0, 0, 0, read, self.place.bytes_written.load(Ordering::Relaxed))
    }

    fn recovery(&self) -> Option<&dyn RecoveryTarget> {
        Some(self)
    }
}
