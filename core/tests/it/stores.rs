//! The same cases on every store: what the repository asks of one, and a repository's whole life on it.
//!
//! Directory and memory always. The services where a variable names a file with their settings, as `.ci/servers.sh` does;
//! their bucket or container is `nakivo-test`, and every case works below a prefix of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says why"
)]

use std::collections::BTreeMap;
#[cfg(feature = "servers")]
use std::hash::{BuildHasher, Hasher};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions};
use nakivo_core::bytes::Bytes;
use nakivo_core::connector::Connector;
use nakivo_core::folder::FolderConnector;
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult,
};
use nakivo_core::recovery::{self, Destination, ExportOptions, Selection};
use nakivo_core::repository::{PointFilter, PointSelector, ReclaimOptions, Repository, VerifyOptions};
use nakivo_core::seams::Environment;
use nakivo_core::store::{StoreLocation, StoreSettings};

use crate::repository::{Noise, create_options, open_options};

/// A store under test.
struct Place {
    location: StoreLocation,
    settings: StoreSettings,
    /// The directory goes with the value.
    _directory: Option<tempfile::TempDir>,
}

#[cfg(feature = "servers")]
fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

fn directory() -> Option<Place> {
    let directory = tempfile::tempdir().unwrap();
    Some(Place {
        location: StoreLocation::directory(directory.path()),
        settings: StoreSettings::default(),
        _directory: Some(directory),
    })
}

fn memory() -> Option<Place> {
    Some(Place {
        location: StoreLocation::parse("memory:").unwrap(),
        settings: StoreSettings::default(),
        _directory: None,
    })
}

/// A new prefix on the service whose settings the variable names; `.ci/test` with NAKIVO_SERVERS=1 starts the services.
#[cfg(feature = "servers")]
fn service(scheme: &str, variable: &str) -> Option<Place> {
    let file =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no file with store settings"));
    let text = std::fs::read_to_string(&file).unwrap();
    Some(Place {
        location: StoreLocation::parse(&format!("{scheme}:nakivo-test/run.{:016x}/sub", random())).unwrap(),
        settings: StoreSettings::from_toml(&text).unwrap(),
        _directory: None,
    })
}

macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        on_every_store!(@store file, super::directory(); $($case),*);
        on_every_store!(@store memory, super::memory(); $($case),*);
        #[cfg(feature = "servers")]
        on_every_store!(@store moto, super::service("s3", "NAKIVO_TEST_S3_MOTO"); $($case),*);
        #[cfg(feature = "servers")]
        on_every_store!(@store radosgw, super::service("s3", "NAKIVO_TEST_S3_RADOSGW"); $($case),*);
        #[cfg(feature = "servers")]
        on_every_store!(@store azurite, super::service("az", "NAKIVO_TEST_AZURE"); $($case),*);
    };
    (@store $name:ident, $place:expr; $($case:ident),*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    if let Some(place) = $place {
                        super::$case(&place).await;
                    }
                }
            )*
        }
    };
}

on_every_store!(
    creates_only_what_is_absent,
    one_of_eight_writers_wins,
    reads_whole_in_ranges_and_by_size,
    keeps_large_objects,
    lists_more_than_one_page,
    removes_and_does_not_mind_what_is_gone,
    takes_every_name_that_a_repository_uses,
    tells_no_repository_from_a_second_one,
    carries_a_repository_through_its_life,
);

async fn opened(place: &Place) -> Arc<dyn ObjectStore> {
    place.location.create_with(&place.settings).await.unwrap().into()
}

async fn create(store: &dyn ObjectStore, path: &Path, bytes: Bytes) -> Result<PutResult, StoreError> {
    store
        .put_opts(path, bytes.into(), PutOptions::from(PutMode::Create))
        .await
}

async fn content(store: &dyn ObjectStore, path: &Path) -> Bytes {
    store.get(path).await.unwrap().bytes().await.unwrap()
}

async fn creates_only_what_is_absent(place: &Place) {
    let store = opened(place).await;
    for bytes in [Bytes::from_static(b"first"), Bytes::new()] {
        let path = Path::from(format!("log/{:016x}", bytes.len()));
        create(&*store, &path, bytes.clone()).await.unwrap();
        for other in [Bytes::from_static(b"second"), bytes.clone(), Bytes::new()] {
            let refused = create(&*store, &path, other).await.unwrap_err();
            assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused:?}");
        }
        assert_eq!(content(&*store, &path).await, bytes);
        assert_eq!(store.head(&path).await.unwrap().size, bytes.len() as u64);
    }
    // A name that was removed is free again.
    let path = Path::from("log/again");
    create(&*store, &path, Bytes::from_static(b"1")).await.unwrap();
    store.delete(&path).await.unwrap();
    create(&*store, &path, Bytes::from_static(b"2")).await.unwrap();
    assert_eq!(content(&*store, &path).await, Bytes::from_static(b"2"));
    // The repository repairs an object of its own that was cut short.
    store.put(&path, Bytes::from_static(b"3").into()).await.unwrap();
    assert_eq!(content(&*store, &path).await, Bytes::from_static(b"3"));
}

async fn one_of_eight_writers_wins(place: &Place) {
    let store = opened(place).await;
    for round in 0..12u64 {
        let path = Path::from(format!("log/{round:016x}"));
        let barrier = Arc::new(tokio::sync::Barrier::new(8));
        let writers = (0..8u8).map(|writer| {
            let (store, path, barrier) = (Arc::clone(&store), path.clone(), Arc::clone(&barrier));
            // Long enough that a mix would show.
            let bytes = Bytes::from(vec![writer; if round % 2 == 0 { 100 } else { 300_000 }]);
            tokio::spawn(async move {
                barrier.wait().await;
                (bytes.clone(), create(&*store, &path, bytes).await)
            })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            match writer.await.unwrap() {
                (bytes, Ok(_)) => winners.push(bytes),
                (_, Err(StoreError::AlreadyExists { .. })) => {}
                (_, Err(other)) => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(content(&*store, &path).await, winners[0], "round {round}");
    }
}

async fn reads_whole_in_ranges_and_by_size(place: &Place) {
    let store = opened(place).await;
    let bytes = Bytes::from(Noise::new(7).bytes(100_003));
    let path = Path::from("packs/ab/abcdef");
    create(&*store, &path, bytes.clone()).await.unwrap();
    assert_eq!(content(&*store, &path).await, bytes);
    assert_eq!(store.head(&path).await.unwrap().size, 100_003);
    for range in [0..1, 0..100_003, 1..2, 50_000..100_003, 100_002..100_003] {
        let expected = bytes.slice(range.start as usize..range.end as usize);
        assert_eq!(store.get_range(&path, range.clone()).await.unwrap(), expected);
        let parts = store.get_ranges(&path, &[range.clone(), 3..9]).await.unwrap();
        assert_eq!(parts, [expected, bytes.slice(3..9)]);
    }
    // What is beyond the end is an error or nothing; never other bytes.
    if let Ok(found) = store.get_range(&path, 100_003..100_010).await {
        assert!(found.is_empty(), "{} bytes", found.len());
    }
    let absent = Path::from("packs/ab/absent");
    for missing in [
        store.get(&absent).await.map(drop),
        store.head(&absent).await.map(drop),
        store.get_range(&absent, 0..1).await.map(drop),
    ] {
        let error = missing.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    }
}

async fn keeps_large_objects(place: &Place) {
    let store = opened(place).await;
    let bytes = Bytes::from(Noise::new(20).bytes(20_000_000));
    let path = Path::from("packs/00/large");
    create(&*store, &path, bytes.clone()).await.unwrap();
    let refused = create(&*store, &path, Bytes::from_static(b"small"))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused:?}");
    assert_eq!(store.head(&path).await.unwrap().size, 20_000_000);
    assert!(content(&*store, &path).await == bytes, "other bytes came back");
    let range = store.get_range(&path, 19_000_000..19_000_100).await.unwrap();
    assert_eq!(range, bytes.slice(19_000_000..19_000_100));
}

async fn lists_more_than_one_page(place: &Place) {
    const COUNT: u64 = 1_050;
    let store = opened(place).await;
    let name = |number: u64| format!("log/{number:016x}");
    stream::iter(0..COUNT)
        .map(|number| {
            let store = Arc::clone(&store);
            async move {
                create(
                    &*store,
                    &Path::from(name(number)),
                    Bytes::from(vec![1; number as usize % 5]),
                )
                .await
                .map(drop)
            }
        })
        .buffer_unordered(16)
        .try_collect::<()>()
        .await
        .unwrap();
    // A neighbour whose name begins with the prefix's, and one in another folder.
    for other in ["logs", "logbook/1", "index/1"] {
        create(&*store, &Path::from(other), Bytes::from_static(b"x"))
            .await
            .unwrap();
    }
    let prefix = Path::from("log");
    let mut all: Vec<(String, u64)> = store
        .list(Some(&prefix))
        .map_ok(|meta| (String::from(meta.location), meta.size))
        .try_collect()
        .await
        .unwrap();
    all.sort();
    let expected: Vec<(String, u64)> = (0..COUNT).map(|number| (name(number), number % 5)).collect();
    assert_eq!(all.len(), expected.len());
    assert!(all == expected, "other names or sizes");
    for after in [0, 3, 999, 1_000, 1_001, COUNT - 2, COUNT - 1] {
        let mut found: Vec<String> = store
            .list_with_offset(Some(&prefix), &Path::from(name(after)))
            .map_ok(|meta| String::from(meta.location))
            .try_collect()
            .await
            .unwrap();
        // A service may begin earlier (Azure's emulator does); the repository drops what comes before.
        found.retain(|found| *found > name(after));
        found.sort();
        let expected: Vec<String> = (after + 1..COUNT).map(name).collect();
        assert!(
            found == expected,
            "after {after}: {} instead of {}",
            found.len(),
            expected.len()
        );
    }
    let nothing: Vec<_> = store
        .list(Some(&Path::from("absent")))
        .try_collect()
        .await
        .unwrap();
    assert!(nothing.is_empty());
    let everything: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(everything.len() as u64, COUNT + 3);
}

async fn removes_and_does_not_mind_what_is_gone(place: &Place) {
    let store = opened(place).await;
    let path = Path::from("index/1");
    create(&*store, &path, Bytes::from_static(b"x")).await.unwrap();
    store.delete(&path).await.unwrap();
    for _ in 0..2 {
        match store.delete(&path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let error = store.head(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    let left: Vec<_> = store
        .list(Some(&Path::from("index")))
        .try_collect()
        .await
        .unwrap();
    assert!(left.is_empty());
}

async fn takes_every_name_that_a_repository_uses(place: &Place) {
    let store = opened(place).await;
    let names = [
        "format.json",
        "a.b.c/d..e",
        "packs/0f/0123456789abcdef-._~",
        "name with space",
        "plus+and=equals&and",
        "snow☃/ümlaut",
    ];
    for name in names {
        let path = Path::from(name);
        create(&*store, &path, Bytes::from(name.to_owned()))
            .await
            .unwrap();
        assert_eq!(
            content(&*store, &path).await,
            Bytes::from(name.to_owned()),
            "{name}"
        );
    }
    let mut found: Vec<String> = store
        .list(None)
        .map_ok(|meta| String::from(meta.location))
        .try_collect()
        .await
        .unwrap();
    found.sort();
    let mut expected: Vec<String> = names.iter().map(|name| String::from(Path::from(*name))).collect();
    expected.sort();
    assert_eq!(found, expected);
}

async fn tells_no_repository_from_a_second_one(place: &Place) {
    let env = Environment::default();
    let error = match place.location.open_with(&place.settings).await {
        Ok(store) => Repository::open(store, open_options(), env.clone())
            .await
            .unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::RepositoryMissing, "{error:?}");
    Repository::create(opened(place).await, create_options(), env.clone())
        .await
        .unwrap();
    let error = Repository::create(opened(place).await, create_options(), env.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}");
    // The probe of the creation is gone.
    let store = opened(place).await;
    let left: Vec<_> = store
        .list(None)
        .map_ok(|meta| String::from(meta.location))
        .try_collect()
        .await
        .unwrap();
    assert!(!left.iter().any(|name| name.contains("probe")), "{left:?}");
}

async fn carries_a_repository_through_its_life(place: &Place) {
    let env = Environment::default();
    let source = tempfile::tempdir().unwrap();
    let mut noise = Noise::new(11);
    std::fs::create_dir_all(source.path().join("b/inner")).unwrap();
    for (name, length) in [
        ("goes", 3_000_000),
        ("b/stays", 2_000_000),
        ("b/inner/small", 10),
        ("b/empty", 0),
    ] {
        std::fs::write(source.path().join(name), noise.bytes(length)).unwrap();
    }

    let repository = Repository::create(opened(place).await, create_options(), env.clone())
        .await
        .unwrap();
    let connector = Arc::new(FolderConnector::new(source.path(), "files").unwrap());
    let object = connector.object().clone();
    let back_up = async |repository: &Repository| {
        let connector: Arc<dyn Connector> = connector.clone();
        let report = backup::start(repository, connector, object.clone(), BackupOptions::default())
            .wait()
            .await
            .unwrap();
        assert_eq!(report.outcome, backup::Outcome::Complete, "{:?}", report.issues);
        report.point
    };
    let first = back_up(&repository).await;
    std::fs::remove_file(source.path().join("goes")).unwrap();
    std::fs::write(source.path().join("new"), noise.bytes(500_000)).unwrap();
    let second = back_up(&repository).await;
    drop(repository);

    let open = async || {
        let store = place.location.open_with(&place.settings).await.unwrap();
        Repository::open(store, open_options(), env.clone())
            .await
            .unwrap()
    };
    let verified = async |repository: &Repository| {
        let report = repository.verify(VerifyOptions::default()).wait().await.unwrap();
        assert!(report.is_clean() && report.complete, "{report:?}");
        report.points
    };
    let repository = open().await;
    assert_eq!(verified(&repository).await, 2);
    let before = repository.info().await.unwrap().stored_bytes;

    let filter = PointFilter::default().with_points(vec![first]);
    let deleted = repository.delete_points(&filter, "a test", false).await.unwrap();
    assert_eq!(deleted.deleted, [first]);
    // The first call tombstones, a later one removes; ages are told by the service's clock, to the second.
    let mut freed = 0;
    for _ in 0..50 {
        let options = ReclaimOptions::default().with_grace(Duration::ZERO);
        let report = repository.reclaim(options).wait().await.unwrap();
        freed += report.freed_bytes;
        if report.waiting_packs == 0 && freed >= 3_000_000 {
            break;
        }
        env.clock.sleep(Duration::from_millis(100)).await;
    }
    assert!(freed >= 3_000_000, "{freed} of {before} bytes");
    assert_eq!(verified(&repository).await, 1);

    let repository = open().await;
    assert_eq!(verified(&repository).await, 1);
    let point = repository.point(&object.id, &PointSelector::Latest).unwrap();
    assert_eq!(point.id, second);
    let target = tempfile::tempdir().unwrap();
    let options = ExportOptions::new(Destination::Directory(target.path().join("out")));
    let report = recovery::export(&repository, &point, Selection::All, options)
        .wait()
        .await
        .unwrap();
    assert_eq!(report.outcome, backup::Outcome::Complete);
    let mut exported = files(&target.path().join("out"));
    assert!(exported.remove("manifest.jsonl").is_some());
    let expected = files(source.path());
    assert_eq!(
        exported.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    assert!(exported == expected, "an exported file has other bytes");
}

/// Every file below a folder, by its path there.
fn files(root: &FilePath) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// What a user gets wrong, told apart.
#[cfg(any(feature = "s3", feature = "azure", feature = "gcs"))]
mod mistakes {
    use super::*;

    async fn refused(url: &str, toml: &str) -> nakivo_core::Error {
        let settings = StoreSettings::from_toml(toml).unwrap();
        StoreLocation::parse(url)
            .unwrap()
            .open_with(&settings)
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn settings_that_are_missing_or_wrong_are_named() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (empty, pem) = (file("empty", " \n"), file("not.pem", "hunter2"));
        let key = "access_key_id='id'\nsecret_access_key='hunter2'\n";
        let mut cases: Vec<(&str, String, &str)> = Vec::new();
        if cfg!(feature = "s3") {
            cases.extend([
                ("s3:bucket", String::new(), "[s3]"),
                ("s3:bucket", format!("[s3]\n{key}"), "region"),
                ("s3:bucket", "[s3]\nregion='r'".to_owned(), "access_key_id"),
                (
                    "s3:bucket",
                    "[s3]\nregion='r'\naccess_key_id='id'".to_owned(),
                    "secret_access_key",
                ),
                (
                    "s3:bucket",
                    format!("[s3]\nregion='r'\n{key}secret_access_key_file='{empty}'"),
                    "only credential",
                ),
                (
                    "s3:bucket",
                    format!("[s3]\nregion='r'\naccess_key_id='i'\nsecret_access_key_file='{empty}'"),
                    "is empty",
                ),
                (
                    "s3:bucket",
                    format!("[s3]\nregion='r'\n{key}ca_file='{pem}'"),
                    "ca_file",
                ),
            ]);
            for endpoint in [
                "nonsense",
                "ftp://host",
                "http://storage.example",
                "https://me:hunter2@host",
                "https://host/?sig=hunter2",
            ] {
                cases.push((
                    "s3:bucket",
                    format!("[s3]\nendpoint='{endpoint}'\n{key}"),
                    "endpoint",
                ));
            }
        }
        if cfg!(feature = "azure") {
            cases.extend([
                ("az:container", "[azure]".to_owned(), "account"),
                ("az:container", "[azure]\naccount='a'".to_owned(), "access_key"),
                (
                    "az:container",
                    "[azure]\naccount='a'\naccess_key='hunter2 is no base64'".to_owned(),
                    "access_key",
                ),
                (
                    "az:container",
                    "[azure]\naccount='a'\naccess_key='aaaa'\nsas_token='hunter2'".to_owned(),
                    "only credential",
                ),
            ]);
        }
        if cfg!(feature = "gcs") {
            cases.extend([
                ("gs:bucket", "[gcs]".to_owned(), "service_account_file"),
                (
                    "gs:bucket",
                    format!("[gcs]\nservice_account_file='{pem}'"),
                    "service_account_file",
                ),
            ]);
        }
        for (url, toml, word) in cases {
            let error = refused(url, &toml).await;
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{toml}: {error:?}");
            assert!(error.message().contains(word), "{toml}: {error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    #[cfg(feature = "s3")]
    async fn a_secret_file_that_is_absent_is_not_found() {
        let error = refused(
            "s3:bucket",
            "[s3]\nregion='r'\naccess_key_id='i'\nsecret_access_key_file='/nowhere'",
        )
        .await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(error.message().contains("secret_access_key_file"), "{error:?}");
    }

    #[tokio::test]
    #[cfg(feature = "s3")]
    async fn a_service_that_does_not_answer_is_unavailable() {
        // Bound and never listened on: nobody else gets this port meanwhile.
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        drop(held);
        let toml = format!(
            "[s3]\nendpoint='http://127.0.0.1:{port}'\naccess_key_id='i'\nsecret_access_key='hunter2'"
        );
        let error = refused("s3:bucket", &toml).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    /// Everything that holds for a service with a check of signatures.
    #[cfg(feature = "servers")]
    async fn answers(place: Place, wrong: fn(&mut StoreSettings), checks_secrets: bool) {
        let mut settings = place.settings.clone();
        let scheme = place
            .location
            .to_string()
            .split_once(':')
            .map(|(scheme, _)| scheme.to_owned())
            .unwrap();
        let absent =
            StoreLocation::parse(&format!("{scheme}:nakivo-absent-{:08x}/x", random() >> 32)).unwrap();
        for error in [
            absent.open_with(&settings).await.unwrap_err(),
            absent.create_with(&settings).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
            assert!(error.message().contains("nakivo-absent"), "{error:?}");
            assert!(!error.message().contains(['\n', '<']), "{error:?}");
        }
        wrong(&mut settings);
        if checks_secrets {
            let error = place.location.create_with(&settings).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
            assert!(!error.message().contains(['\n', '<']), "{error:?}");
            assert!(!format!("{error:?}").contains("aHVudGVyMg"), "{error:?}");
        }
    }

    #[tokio::test]
    #[cfg(feature = "servers")]
    async fn radosgw_tells_a_wrong_secret_from_a_missing_bucket() {
        if let Some(place) = service("s3", "NAKIVO_TEST_S3_RADOSGW") {
            let wrong = |settings: &mut StoreSettings| {
                settings.s3.as_mut().unwrap().secret_access_key =
                    Some(nakivo_core::store::Secret::new("aHVudGVyMg=="));
            };
            answers(place, wrong, true).await;
        }
        if let Some(place) = service("s3", "NAKIVO_TEST_S3_RADOSGW") {
            let wrong = |settings: &mut StoreSettings| {
                settings.s3.as_mut().unwrap().access_key_id = Some("nobody".to_owned());
            };
            answers(place, wrong, true).await;
        }
    }

    #[tokio::test]
    #[cfg(feature = "servers")]
    async fn moto_tells_a_missing_bucket() {
        // It takes every secret.
        if let Some(place) = service("s3", "NAKIVO_TEST_S3_MOTO") {
            answers(place, |_| {}, false).await;
        }
    }

    #[tokio::test]
    #[cfg(feature = "servers")]
    async fn azurite_tells_a_wrong_key_from_a_missing_container() {
        if let Some(place) = service("az", "NAKIVO_TEST_AZURE") {
            let wrong = |settings: &mut StoreSettings| {
                settings.azure.as_mut().unwrap().access_key =
                    Some(nakivo_core::store::Secret::new("aHVudGVyMg=="));
            };
            answers(place, wrong, true).await;
        }
    }
}
