//! Noting what is done to a store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::image::Image;

/// What a change asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An object with these bytes, unless there is one.
    Create(Bytes),
    /// An object with these bytes, in the place of the one that may be there.
    Replace(Bytes),
    /// No object.
    Remove,
}

/// One call of the local store that changes or flushes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A file beside the object's name is made.
    Open,
    /// Its bytes are written.
    Write,
    /// The file is flushed.
    FlushFile,
    /// The object's name becomes a second name of the file.
    Link,
    /// The object's name becomes the file's only name.
    Rename,
    /// The directory is flushed.
    FlushDirectory,
    /// The name beside the object's is removed.
    RemoveStaged,
    /// The object's name is removed.
    Remove,
}

impl What {
    /// The calls it is made of, in order; `taken`: there was an object of that name and a new one was refused.
    #[must_use]
    pub fn calls(&self, taken: bool) -> &'static [Call] {
        use Call::{FlushDirectory, FlushFile, Link, Open, Remove, RemoveStaged, Rename, Write};
        match (self, taken) {
            (Self::Create(_), false) => &[Open, Write, FlushFile, Link, FlushDirectory, RemoveStaged],
            (Self::Create(_), true) => &[Open, Write, FlushFile, RemoveStaged],
            (Self::Replace(_), _) => &[Open, Write, FlushFile, Rename, FlushDirectory],
            (Self::Remove, _) => &[Remove],
        }
    }
}

/// A change and when it took place. Moments are counted: each beginning and each end is one.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub path: Path,
    /// What was asked for.
    pub what: What,
    /// Whether it was refused because there was such an object.
    pub taken: bool,
    /// The moment at which it began.
    pub began: usize,
    /// The moment at which it was acknowledged or refused.
    pub ended: usize,
}

/// Everything that was done to a store.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// What was there before.
    pub start: Image,
    /// Every change, in the order of their beginnings.
    pub changes: Vec<Change>,
    /// How many moments there were.
    pub moments: usize,
}

/// A store in memory that notes what is done to it. Clones share everything.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<dyn ObjectStore>,
    recording: Arc<Mutex<Recording>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// A store that holds what `start` holds.
    pub async fn new(start: &Image) -> Self {
        Self {
            inner: start.open().await,
            recording: Arc::new(Mutex::new(Recording {
                start: start.clone(),
                ..Recording::default()
            })),
        }
    }

    /// This store as the SDK takes it.
    #[must_use]
    pub fn handle(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.clone())
    }

    /// What was done so far. What is under way at this moment counts as refused.
    #[must_use]
    pub fn recording(&self) -> Recording {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, path: &Path, what: What) -> usize {
        let mut recording = self.lock();
        let began = recording.moments;
        recording.moments += 1;
        recording.changes.push(Change {
            path: path.clone(),
            what,
            taken: true,
            began,
            ended: usize::MAX,
        });
        recording.changes.len() - 1
    }

    fn end<T>(&self, number: usize, result: &Result<T>) {
        let mut recording = self.lock();
        let ended = recording.moments;
        recording.moments += 1;
        let change = &mut recording.changes[number];
        change.ended = ended;
        change.taken = result.is_err();
    }
}

#[async_trait]
impl ObjectStore for Recorder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let bytes = Bytes::from(payload.clone());
        let number = match opts.mode {
            PutMode::Create => self.begin(location, What::Create(bytes)),
            PutMode::Overwrite => self.begin(location, What::Replace(bytes)),
            PutMode::Update(_) => return Err(not_local("a put on condition of a version")),
        };
        let result = self.inner.put_opts(location, payload, opts).await;
        self.end(number, &result);
        result
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(not_local("an upload in parts"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let number = store.begin(&location, What::Remove);
                    let result = store.inner.delete(&location).await;
                    store.end(number, &result);
                    result.map(|()| location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_local("a copy within the store"))
    }
}

/// What the repository does not use, and the model therefore does not know.
fn not_local(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "Recorder".to_owned(),
    }
}
