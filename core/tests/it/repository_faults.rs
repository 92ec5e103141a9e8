//! Stores that fail, lie, answer wrongly or run full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use nakivo_core::ErrorKind;
use nakivo_core::chrono::{DateTime, Utc};
use nakivo_core::object_store::memory::InMemory;
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use nakivo_core::repository::Repository;
use nakivo_core::seams::{Clock, Environment, SystemRng};
use nakivo_core::state::MemoryState;

use super::repository::{
    assert_holds, back_up, create_options, names, new_repository, object, open_options, some_files,
};

/// A clock whose sleeps take no time.
#[derive(Debug, Default)]
struct Hurry {
    slept: Mutex<Duration>,
}

#[async_trait]
impl Clock for Hurry {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.slept.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        *self.slept.lock().unwrap() += duration;
    }
}

fn hurry() -> Environment {
    Environment {
        clock: Arc::new(Hurry::default()),
        rng: Arc::new(SystemRng),
        state: Arc::new(MemoryState::default()),
        ..Environment::default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The put takes place and is reported as failed.
    FailAfter,
    /// The put does not take place and is reported as done.
    Lie,
    /// Nothing takes place.
    Fail,
    /// The disk is full.
    Full,
    /// An existing object is replaced.
    Replace,
    /// The read fails.
    FailRead,
}

/// Faults for operations whose path begins with a prefix, so many times.
struct Faulty {
    inner: InMemory,
    fault: Mutex<Vec<(&'static str, Fault, u32)>>,
    struck: AtomicU32,
}

impl Faulty {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            fault: Mutex::default(),
            struck: AtomicU32::new(0),
        })
    }

    fn set(&self, prefix: &'static str, fault: Fault, times: u32) {
        self.fault.lock().unwrap().push((prefix, fault, times));
    }

    fn strike(&self, path: &Path, reading: bool) -> Option<Fault> {
        let mut faults = self.fault.lock().unwrap();
        let fault = faults.iter_mut().find(|(prefix, fault, times)| {
            *times > 0 && path.as_ref().starts_with(prefix) && (*fault == Fault::FailRead) == reading
        })?;
        fault.2 -= 1;
        self.struck.fetch_add(1, Ordering::Relaxed);
        Some(fault.1)
    }
}

fn timeout() -> Error {
    Error::Generic {
        store: "faulty",
        source: "connection reset".into(),
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        match self.strike(path, false) {
            None | Some(Fault::FailRead) => self.inner.put_opts(path, payload, options).await,
            Some(Fault::Fail) => Err(timeout()),
            Some(Fault::Lie) => Ok(PutResult {
                e_tag: None,
                version: None,
                extensions: Default::default(),
            }),
            Some(Fault::FailAfter) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(timeout())
            }
            Some(Fault::Full) => {
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(Error::Generic {
                    store: "faulty",
                    source: Box::new(source),
                })
            }
            Some(Fault::Replace) => {
                options.mode = PutMode::Overwrite;
                self.inner.put_opts(path, payload, options).await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.strike(path, true) {
            Some(_) => Err(timeout()),
            None => self.inner.get_opts(path, options).await,
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn faulty_repository() -> (Arc<Faulty>, Arc<dyn ObjectStore>, Repository) {
    let faulty = Faulty::new();
    let store: Arc<dyn ObjectStore> = Arc::clone(&faulty) as Arc<dyn ObjectStore>;
    let repository = Repository::create(Arc::clone(&store), create_options(), hurry())
        .await
        .unwrap();
    (faulty, store, repository)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_was_reported_as_failed_and_took_place_counts_once() {
    for prefix in ["packs", "index", "log"] {
        for times in [1, 2, 5] {
            let (faulty, store, repository) = faulty_repository().await;
            faulty.set(prefix, Fault::FailAfter, times);
            let files = some_files(1, 10, 3_000);
            let point = back_up(&repository, "alice", 1, &files, None).await.unwrap();
            assert!(faulty.struck.load(Ordering::Relaxed) > 0);
            faulty.fault.lock().unwrap().clear();
            let again = Repository::open(Arc::clone(&store), open_options(), hurry())
                .await
                .unwrap();
            assert_holds(&again, &point, &files).await;
            assert_eq!(names(&store, "log").await.len(), 1, "{prefix} {times}");
            assert!(again.verify(Default::default()).wait().await.unwrap().is_clean());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passing_faults_are_waited_out_and_lasting_ones_are_typed_errors() {
    for prefix in ["packs", "index", "log"] {
        let (faulty, _, repository) = faulty_repository().await;
        faulty.set(prefix, Fault::Fail, 3);
        let files = some_files(2, 10, 3_000);
        let point = back_up(&repository, "alice", 1, &files, None).await.unwrap();
        assert_holds(&repository, &point, &files).await;
        assert_eq!(faulty.struck.load(Ordering::Relaxed), 3);

        faulty.set(prefix, Fault::Fail, u32::MAX);
        let other = some_files(3, 10, 3_000);
        let error = back_up(&repository, "alice", 2, &other, Some(&point))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.message().starts_with(prefix), "{error:?}");
        faulty.fault.lock().unwrap().clear();
        let next = back_up(&repository, "alice", 3, &other, None).await.unwrap();
        assert_holds(&repository, &next, &other).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_said_to_be_full_and_nothing_half_done_shows() {
    for prefix in ["packs", "index", "log"] {
        let (faulty, store, repository) = faulty_repository().await;
        faulty.set(prefix, Fault::Full, u32::MAX);
        let files = some_files(4, 10, 3_000);
        let error = back_up(&repository, "alice", 1, &files, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{prefix}: {error:?}");
        assert!(error.hint().is_some());
        let again = Repository::open(Arc::clone(&store), open_options(), hurry())
            .await
            .unwrap();
        assert_eq!(again.info().await.unwrap().points, 0);
        faulty.fault.lock().unwrap().clear();
        let point = back_up(&again, "alice", 1, &files, None).await.unwrap();
        assert_holds(&again, &point, &files).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_loses_what_it_acknowledged_is_found_out_before_it_counts() {
    for prefix in ["packs", "index", "log"] {
        let (faulty, store, repository) = faulty_repository().await;
        faulty.set(prefix, Fault::Lie, 1);
        let files = some_files(5, 10, 3_000);
        let error = back_up(&repository, "alice", 1, &files, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.message().starts_with(prefix) && error.message().contains("acknowledged"),
            "{error:?}"
        );
        assert!(names(&store, "log").await.is_empty());
        let point = back_up(&repository, "alice", 2, &files, None).await.unwrap();
        assert_holds(&repository, &point, &files).await;
    }
    let faulty = Faulty::new();
    faulty.set("format.json", Fault::Lie, 1);
    let store: Arc<dyn ObjectStore> = Arc::clone(&faulty) as Arc<dyn ObjectStore>;
    let error = Repository::create(Arc::clone(&store), create_options(), hurry())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_store_that_cannot_create_conditionally_is_refused() {
    let faulty = Faulty::new();
    faulty.set("", Fault::Replace, u32::MAX);
    let store: Arc<dyn ObjectStore> = Arc::clone(&faulty) as Arc<dyn ObjectStore>;
    let error = Repository::create(Arc::clone(&store), create_options(), hurry())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    let error = Repository::open(store, open_options(), hurry())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RepositoryMissing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_unknown_outcome_is_recognised_by_the_next_try() {
    let (faulty, store, repository) = faulty_repository().await;
    // The put takes place, every answer is lost, and reading back fails as well.
    faulty.set("log", Fault::FailAfter, 1);
    faulty.set("log", Fault::Fail, 4);
    faulty.set("log", Fault::FailRead, 5);
    let files = some_files(6, 10, 3_000);
    let error = back_up(&repository, "alice", 1, &files, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    faulty.fault.lock().unwrap().clear();
    assert_eq!(names(&store, "log").await.len(), 1, "it did take place");
    // The same run again: the point is there already, so either this is recognised or refused; never a second one.
    let again = back_up(&repository, "alice", 1, &files, None).await;
    assert!(again.is_ok() || again.unwrap_err().kind() == ErrorKind::Conflict);
    repository.refresh().await.unwrap();
    let points = repository.points(&object("alice").id);
    assert_eq!(points.len(), 1);
    assert_holds(&repository, &points[0], &files).await;
}

#[tokio::test]
async fn a_creation_whose_last_answer_is_lost_succeeds() {
    let faulty = Faulty::new();
    faulty.set("format.json", Fault::FailAfter, 1);
    faulty.set("keys", Fault::FailAfter, 1);
    let store: Arc<dyn ObjectStore> = Arc::clone(&faulty) as Arc<dyn ObjectStore>;
    let repository = Repository::create(Arc::clone(&store), create_options(), hurry())
        .await
        .unwrap();
    let again = Repository::open(store, open_options(), hurry()).await.unwrap();
    assert_eq!(repository.id(), again.id());
    let plain = super::repository::memory();
    new_repository(&plain).await;
}
