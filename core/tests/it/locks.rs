//! Immutable recovery points on real servers: MinIO as it is; radosgw, which keeps locks, and where it keeps versions creates
//! objects that exist already, so a store in between does that for this process; and those that keep no locks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says why"
)]

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions, BackupReport};
use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult,
};
use nakivo_core::repository::{
    self, CreateOptions, OpenOptions, PointFilter, ReclaimOptions, Repository, UnhideOptions, VerifyOptions,
};
use nakivo_core::seams::{Clock, Environment, SystemClock};
use nakivo_core::store::{Store, StoreLocation, StoreSettings};

/// The machine's clock, ahead by what the test says.
#[derive(Debug)]
struct Ahead {
    clock: SystemClock,
    by: Mutex<TimeDelta>,
}

#[async_trait::async_trait]
impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + *self.by.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

fn environment(by: TimeDelta) -> Environment {
    Environment {
        clock: Arc::new(Ahead {
            clock: SystemClock::new(),
            by: Mutex::new(by),
        }),
        ..Environment::default()
    }
}

/// A new prefix in the bucket of that name on the service whose settings the variable names.
async fn store(scheme: &str, variable: &str, bucket: &str) -> Store {
    let file =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no file with store settings"));
    let settings = StoreSettings::from_toml(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let random = std::hash::RandomState::new().build_hasher().finish();
    let location = StoreLocation::parse(&format!("{scheme}:{bucket}/lock.{random:016x}/a b")).unwrap();
    location.create_with(&settings).await.unwrap()
}

/// A bucket with object lock in which a repository can live; `None`: the server is not there.
async fn locked(server: Server) -> Option<Store> {
    match server {
        Server::Radosgw => {
            let store = store("s3", "NAKIVO_TEST_S3_RADOSGW", "nakivo-locked").await;
            let locks = Arc::clone(store.locks().unwrap());
            Some(Store::from(Arc::new(OneAtATime::new(store.into()))).with_locks(locks))
        }
        Server::Minio if std::env::var_os("NAKIVO_TEST_S3_MINIO").is_none() => {
            println!("SKIPPED: MinIO is not there");
            None
        }
        Server::Minio => Some(store("s3", "NAKIVO_TEST_S3_MINIO", "nakivo-locked").await),
    }
}

#[derive(Clone, Copy)]
enum Server {
    Radosgw,
    Minio,
}

/// Creates what is absent, by looking first: good for one process that goes through this very value.
#[derive(Debug)]
struct OneAtATime {
    inner: Arc<dyn ObjectStore>,
    putting: tokio::sync::Mutex<()>,
}

impl OneAtATime {
    fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            putting: tokio::sync::Mutex::default(),
        }
    }
}

impl std::fmt::Display for OneAtATime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneAtATime")
    }
}

#[async_trait::async_trait]
impl ObjectStore for OneAtATime {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        let _putting = self.putting.lock().await;
        if options.mode == PutMode::Create && self.inner.head(location).await.is_ok() {
            return Err(StoreError::AlreadyExists {
                path: location.to_string(),
                source: "exists".into(),
            });
        }
        let options = PutOptions {
            mode: PutMode::Overwrite,
            ..options
        };
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn back_up(repository: &Repository, directory: &std::path::Path) -> BackupReport {
    let connector: Arc<dyn Connector> = Arc::new(FolderConnector::new(directory, "files").unwrap());
    let object = connector.find_object("files").await.unwrap();
    backup::start(repository, connector, object, BackupOptions::default())
        .wait()
        .await
        .unwrap()
}

async fn names(store: &Store) -> Vec<String> {
    use futures::TryStreamExt as _;
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut names: Vec<String> = listed
        .into_iter()
        .map(|meta: ObjectMeta| meta.location.to_string())
        .collect();
    names.sort();
    names
}

async fn create(store: &Store, days: u32, env: Environment) -> nakivo_core::Result<Repository> {
    let options = CreateOptions::default().with_immutable_days(Some(days));
    Repository::create(store.clone(), options, env).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repository_lives_locked_on_radosgw() {
    lives_locked(Server::Radosgw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repository_lives_locked_on_minio() {
    lives_locked(Server::Minio).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server's own time, which is this machine's, is what the locks are compared with"
)]
async fn lives_locked(server: Server) {
    let Some(store) = locked(server).await else { return };
    let repository = create(&store, 30, environment(TimeDelta::zero())).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("one"), vec![7u8; 3_000_000]).unwrap();
    let first = back_up(&repository, directory.path()).await;
    let lock = first.lock.unwrap();
    assert!(lock.problem.is_none() && lock.renewed == 0, "{lock:?}");
    std::fs::write(directory.path().join("two"), b"second").unwrap();
    back_up(&repository, directory.path()).await;

    // Asked of the server itself, object by object; and nobody gets one away.
    let locks = store.locks().unwrap();
    let promised = Utc::now() + TimeDelta::days(30);
    let all = names(&store).await;
    assert!(all.len() >= 8, "{all:?}");
    for name in &all {
        let until = locks.retention(name).await.unwrap();
        assert!(until > Some(promised), "{name} is locked until {until:?}");
        let version = locks.versions(name).await.unwrap();
        assert_eq!(version.len(), 1, "{version:?}");
        assert!(
            version[0].newest && !version[0].marker && version[0].size > 0,
            "{version:?}"
        );
        locks.remove_version(name, &version[0].id).await.unwrap_err();
        locks
            .retain(name, promised - TimeDelta::days(10))
            .await
            .unwrap_err();
    }
    let checked = repository.check_locks().wait().await.unwrap();
    assert_eq!(
        (checked.short, checked.objects),
        (0, all.len() as u64),
        "{checked:?}"
    );
    let renewed = repository.renew_locks(true).wait().await.unwrap();
    assert_eq!(renewed.missing, 0, "{renewed:?}");
    assert!(renewed.renewed >= all.len() as u64, "{renewed:?}");
    assert!(!repository.renew_locks(false).wait().await.unwrap().due);

    // What would go stays and is counted; the repository as a whole stays, too.
    let filter = PointFilter::default().with_points(vec![first.point]);
    let error = repository
        .delete_points(&filter, "test", false)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Immutable, "{error:?}");
    let error = repository::destroy(store.clone(), repository.id(), Environment::default())
        .wait()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Immutable, "{error:?}");
    let at_once = ReclaimOptions::default()
        .with_grace(Duration::ZERO)
        .with_rewrite_below_percent(100);
    let report = repository.reclaim(at_once).wait().await.unwrap();
    assert!(
        report.locked_objects > 0 && report.locked_until_ms.is_some(),
        "{report:?}"
    );
    assert_eq!(report.deleted_objects, 0, "{report:?}");
    let verified = repository.verify(VerifyOptions::default()).wait().await.unwrap();
    assert!(verified.is_clean(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_somebody_deletes_on_radosgw_comes_back() {
    comes_back(Server::Radosgw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_somebody_deletes_on_minio_comes_back() {
    comes_back(Server::Minio).await;
}

async fn comes_back(server: Server) {
    let Some(store) = locked(server).await else { return };
    let repository = create(&store, 1, Environment::default()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("one"), vec![3u8; 100_000]).unwrap();
    back_up(&repository, directory.path()).await;
    drop(repository);
    let before = names(&store).await;
    for name in &before {
        store.delete(&Path::from(name.as_str())).await.unwrap();
    }
    assert_eq!(names(&store).await, Vec::<String>::new());
    let open = || Repository::open(store.clone(), OpenOptions::default(), Environment::default());
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    let options = UnhideOptions::default().with_keys(true);
    let first = repository::unhide(store.clone(), options, Environment::default())
        .wait()
        .await
        .unwrap();
    assert!(first.refused.is_empty(), "{first:?}");
    let rest = open().await.unwrap().unhide(options).wait().await.unwrap();
    assert!(!rest.lifted.is_empty() && rest.refused.is_empty(), "{rest:?}");
    assert_eq!(names(&store).await, before);
    let repository = open().await.unwrap();
    let verified = repository.verify(VerifyOptions::default()).wait().await.unwrap();
    assert!(verified.is_clean(), "{verified:?}");
    std::fs::write(directory.path().join("two"), b"goes on").unwrap();
    back_up(&repository, directory.path()).await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_makes_nothing_on_radosgw() {
    for by in [TimeDelta::days(1000), -TimeDelta::minutes(7)] {
        let store = locked(Server::Radosgw).await.unwrap();
        let error = create(&store, 5, environment(by)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert_eq!(names(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_cannot_lock_is_refused() {
    for (scheme, variable, bucket) in [
        // It keeps locks, and where it does lets two writers create one object.
        ("s3", "NAKIVO_TEST_S3_RADOSGW", "nakivo-locked"),
        // No object lock in this bucket.
        ("s3", "NAKIVO_TEST_S3_RADOSGW", "nakivo-test"),
        ("s3", "NAKIVO_TEST_S3_MOTO", "nakivo-test"),
        // It has, and neither keeps locks nor always answers when asked for one.
        ("s3", "NAKIVO_TEST_S3_MOTO", "nakivo-locked"),
        ("az", "NAKIVO_TEST_AZURE", "nakivo-test"),
    ] {
        let store = store(scheme, variable, bucket).await;
        let error = create(&store, 5, Environment::default()).await.unwrap_err();
        println!("{variable} {bucket}: {error:?}");
        assert_eq!(
            error.kind(),
            ErrorKind::Protocol,
            "{variable} {bucket}: {error:?}"
        );
        let left = names(&store).await;
        assert!(
            left.iter().all(|name| name.starts_with("probe-")),
            "{variable} {bucket}: {left:?}"
        );
    }
}
