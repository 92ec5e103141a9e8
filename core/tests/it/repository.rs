//! The repository engine: create, open, write, commit, read back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use nakivo_core::bytes::Bytes;
use nakivo_core::format::log::Operation;
use nakivo_core::format::manifest::{Outcome, PointCounts, Protection};
use nakivo_core::format::record::{ContentPart, ItemKind, ItemRecord};
use nakivo_core::format::tree::{Edit, TreeEdit};
use nakivo_core::format::{
    KdfParams, Manifest, ObjectId, ObjectKind, ObjectRecord, Passphrase, PointId, RunId,
};
use nakivo_core::object_store::memory::InMemory;
use nakivo_core::object_store::path::Path;
use nakivo_core::object_store::{ObjectStore, ObjectStoreExt};
use nakivo_core::repository::{
    CreateOptions, ItemChange, OpenOptions, PartMode, PointSelector, Repository, ScanRange, Writer,
};
use nakivo_core::seams::Environment;
use nakivo_core::state::{FileState, MemoryState};
use nakivo_core::store::StoreLocation;
use nakivo_core::{ErrorKind, Result};

/// A small deterministic generator: the same seed gives the same bytes everywhere.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

pub(crate) fn passphrase() -> Option<Passphrase> {
    Some(Passphrase::new("correct horse"))
}

pub(crate) fn create_options() -> CreateOptions {
    CreateOptions::encrypted(Passphrase::new("correct horse")).with_kdf(KdfParams::FLOOR)
}

pub(crate) fn open_options() -> OpenOptions {
    OpenOptions::default().with_passphrase(passphrase())
}

pub(crate) async fn new_repository(store: &Arc<dyn ObjectStore>) -> Repository {
    Repository::create(Arc::clone(store), create_options(), Environment::default())
        .await
        .unwrap()
}

pub(crate) async fn reopen(store: &Arc<dyn ObjectStore>) -> Result<Repository> {
    Repository::open(Arc::clone(store), open_options(), Environment::default()).await
}

pub(crate) fn object(name: &str) -> ObjectRecord {
    ObjectRecord {
        id: ObjectId::new(format!("test/folder/{name}")).unwrap(),
        kind: ObjectKind::Folder,
        name: name.to_owned(),
        address: Some(format!("{name}@example.com")),
        source: "test".to_owned(),
        native_id: name.to_owned(),
        account: None,
    }
}

pub(crate) fn body(bytes: &[u8], piece: usize) -> stream::BoxStream<'static, Result<Bytes>> {
    let pieces: Vec<Result<Bytes>> = bytes
        .chunks(piece.max(1))
        .map(|p| Ok(Bytes::copy_from_slice(p)))
        .collect();
    stream::iter(pieces).boxed()
}

pub(crate) fn put_edit(record: &ItemRecord) -> TreeEdit {
    TreeEdit {
        key: record.key().unwrap().to_bytes(),
        edit: Edit::Put {
            size: record.size,
            value: record.encode().unwrap().into(),
        },
    }
}

/// The item record of a file `container/name`; the container's id is its name.
pub(crate) fn file_record(path: &str, part: ContentPart) -> ItemRecord {
    let (container, name) = path.split_once('/').unwrap_or(("", path));
    let mut record = ItemRecord::new(ItemKind::File, container, format!("id-{name}"), name);
    record.size = part.size;
    record.parts = vec![part];
    record
}

pub(crate) async fn store_files(writer: &Writer, files: &Files, mode: PartMode) -> Result<Vec<TreeEdit>> {
    let mut edits = BTreeMap::new();
    for container in files
        .keys()
        .filter_map(|path| path.split_once('/'))
        .map(|(container, _)| container)
    {
        let edit = put_edit(&ItemRecord::new(
            ItemKind::Container,
            "",
            container,
            container.to_uppercase(),
        ));
        edits.insert(edit.key.clone(), edit);
    }
    let stored: Vec<(String, ContentPart)> = stream::iter(files.clone())
        .map(|(path, bytes)| {
            let writer = writer.clone();
            async move {
                let part = writer
                    .put_part("content".into(), None, mode, body(&bytes, 60_000))
                    .await?;
                Ok::<_, nakivo_core::Error>((path, part))
            }
        })
        .buffer_unordered(4)
        .try_collect()
        .await?;
    for (path, part) in stored {
        let edit = put_edit(&file_record(&path, part));
        edits.insert(edit.key.clone(), edit);
    }
    Ok(edits.into_values().collect())
}

pub(crate) fn manifest(name: &str, number: u8, base: Option<&Manifest>) -> Manifest {
    Manifest {
        id: PointId::from_bytes([number; 16]),
        object: object(name),
        run: RunId::from_bytes([number; 16]),
        base: base.map(|base| base.id),
        started_ms: 1_700_000_000_000 + i64::from(number) * 1000,
        finished_ms: 1_700_000_000_500 + i64::from(number) * 1000,
        root: None,
        outcome: Outcome::Complete,
        cursor: None,
        counts: PointCounts::default(),
        bytes_read: 0,
        bytes_stored: 0,
        requests: 0,
        ledger: None,
        software: "test".to_owned(),
        job: None,
        protection: Protection::JobRetention,
        description: None,
    }
}

/// Backs up `files` as point `number` of the object `name`: what is in `files` is put, on top of `base`.
pub(crate) async fn back_up(
    repository: &Repository,
    name: &str,
    number: u8,
    files: &Files,
    base: Option<&Manifest>,
) -> Result<Manifest> {
    let mut manifest = manifest(name, number, base);
    let writer = repository.writer(manifest.run);
    let edits = store_files(&writer, files, PartMode::File).await?;
    let base_root = base.and_then(|base| base.root);
    manifest.root = writer
        .update_tree(base_root, stream::iter(edits.into_iter().map(Ok)))
        .await?;
    manifest.counts.items = files.len() as u64;
    manifest.counts.bytes = files.values().map(|bytes| bytes.len() as u64).sum();
    commit_point(repository, &writer, &manifest).await?;
    Ok(manifest)
}

/// Commits a point with everything that `writer` stored for it.
pub(crate) async fn commit_point(
    repository: &Repository,
    writer: &Writer,
    manifest: &Manifest,
) -> Result<u64> {
    let segments = writer.flush().await?;
    repository
        .commit(|_| {
            let mut operations = Vec::new();
            if !segments.is_empty() {
                operations.push(Operation::AddIndex {
                    segments: segments.clone(),
                });
            }
            operations.push(Operation::AddPoint {
                manifest: Box::new(manifest.clone()),
            });
            Ok(operations)
        })
        .await
}

/// Everything in a point; an item that cannot be read has the kind of its error.
pub(crate) async fn contents(
    repository: &Repository,
    manifest: &Manifest,
) -> Result<BTreeMap<String, Result<Vec<u8>, ErrorKind>>> {
    let mut found = BTreeMap::new();
    let mut items = repository.scan(manifest.root, &ScanRange::all());
    while let Some((key, record)) = items.try_next().await? {
        if record.kind == ItemKind::Container {
            continue;
        }
        let path = if key.container().is_empty() {
            record.name.clone()
        } else {
            format!("{}/{}", key.container(), record.name)
        };
        let pieces: Result<Vec<Bytes>> = repository.read_part(&record.parts[0]).try_collect().await;
        found.insert(
            path,
            pieces.map(|pieces| pieces.concat()).map_err(|error| error.kind()),
        );
    }
    Ok(found)
}

pub(crate) async fn assert_holds(repository: &Repository, manifest: &Manifest, files: &Files) {
    let found = contents(repository, manifest).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for (path, bytes) in &found {
        assert!(bytes.as_ref().unwrap() == &files[path], "{path} differs");
    }
}

pub(crate) fn some_files(seed: u64, count: usize, largest: usize) -> Files {
    let mut noise = Noise::new(seed);
    (0..count)
        .map(|n| {
            let length = (noise.next() % largest as u64) as usize;
            (format!("dir{}/file{n:04}", n % 7), noise.bytes(length))
        })
        .collect()
}

pub(crate) async fn names(store: &Arc<dyn ObjectStore>, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = store
        .list(Some(&Path::from(prefix)))
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_reads_back_after_reopening() {
    let store = memory();
    let repository = new_repository(&store).await;
    assert_eq!(repository.info().await.unwrap().points, 0);
    let mut files = some_files(1, 120, 30_000);
    files.insert("dir0/empty".into(), Vec::new());
    files.insert("dir0/tiny".into(), b"x".to_vec());
    files.insert("top".into(), b"in the root".to_vec());
    files.insert("dir1/large".into(), Noise::new(9).bytes(9_000_000));
    let point = back_up(&repository, "alice", 1, &files, None).await.unwrap();
    assert_holds(&repository, &point, &files).await;

    let again = reopen(&store).await.unwrap();
    assert_eq!(again.id(), repository.id());
    let found = again.point(&point.object.id, &PointSelector::Latest).unwrap();
    assert_eq!(found, point);
    assert_holds(&again, &found, &files).await;
    let info = again.info().await.unwrap();
    assert_eq!(
        (info.objects, info.points, info.head, info.encrypted),
        (1, 1, 1, true)
    );
    assert!(info.stored_bytes > 9_000_000 && info.notes.is_empty() && !info.read_only);
    let report = again.verify(Default::default()).wait().await.unwrap();
    assert!(report.is_clean() && report.complete, "{report:?}");
    assert_eq!(
        report.content_bytes,
        files.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    );
}

#[tokio::test]
async fn works_on_a_local_directory_and_remembers_the_head_in_files() {
    let place = tempfile::tempdir().unwrap();
    let location = StoreLocation::directory(place.path().join("backups"));
    let state = Arc::new(FileState::new(place.path().join("state")));
    let env = Environment::system(state);
    let store = location.create().await.unwrap();
    let repository = Repository::create(store, create_options(), env.clone())
        .await
        .unwrap();
    let files = some_files(2, 10, 100_000);
    let point = back_up(&repository, "alice", 1, &files, None).await.unwrap();
    let again = Repository::open(location.open().await.unwrap(), open_options(), env)
        .await
        .unwrap();
    assert_holds(&again, &point, &files).await;
    assert!(place.path().join("backups/NakivoBackup/format.json").is_file());
}

#[tokio::test]
async fn only_the_right_passphrase_opens_it() {
    let store = memory();
    new_repository(&store).await;
    for wrong in [Some(Passphrase::new("wrong")), None] {
        let options = OpenOptions::default().with_passphrase(wrong);
        let error = Repository::open(Arc::clone(&store), options, Environment::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "{error:?}");
    }
    reopen(&store).await.unwrap();

    let open = memory();
    let options = CreateOptions::unencrypted();
    let repository = Repository::create(Arc::clone(&open), options, Environment::default())
        .await
        .unwrap();
    assert!(!repository.config().encrypted);
    Repository::open(Arc::clone(&open), OpenOptions::default(), Environment::default())
        .await
        .unwrap();
    let error = reopen(&open).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::WrongPassphrase,
        "a passphrase must never be led to a key in clear"
    );
}

#[tokio::test]
async fn a_place_holds_one_repository_or_none() {
    let store = memory();
    assert_eq!(
        reopen(&store).await.unwrap_err().kind(),
        ErrorKind::RepositoryMissing
    );
    // Left behind by a creation that did not come to its end: no format.json, so no repository.
    let half = memory();
    new_repository(&half).await;
    let slot = names(&half, "keys").await.remove(0);
    let bytes = half
        .get(&Path::from(slot.as_str()))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    store.put(&Path::from(slot.as_str()), bytes.into()).await.unwrap();
    assert_eq!(
        reopen(&store).await.unwrap_err().kind(),
        ErrorKind::RepositoryMissing
    );
    new_repository(&store).await;
    reopen(&store).await.unwrap();
    let error = Repository::create(Arc::clone(&store), create_options(), Environment::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_are_complete_and_share_what_did_not_change() {
    let store = memory();
    let repository = new_repository(&store).await;
    let first = some_files(3, 400, 8_000);
    let one = back_up(&repository, "alice", 1, &first, None).await.unwrap();
    let stored = repository.info().await.unwrap().stored_bytes;
    let change: Files = [
        ("dir0/file0000".to_owned(), b"changed".to_vec()),
        ("dir3/new".to_owned(), b"new".to_vec()),
    ]
    .into();
    let two = back_up(&repository, "alice", 2, &change, Some(&one))
        .await
        .unwrap();
    let grown = repository.info().await.unwrap().stored_bytes - stored;
    assert!(grown < 60_000, "a change of two small files stored {grown} bytes");

    let mut second = first.clone();
    second.extend(change);
    let again = reopen(&store).await.unwrap();
    assert_holds(&again, &one, &first).await;
    assert_holds(&again, &two, &second).await;
    let changes: Vec<ItemChange> = again.diff(one.root, two.root).try_collect().await.unwrap();
    let mut names: Vec<_> = changes
        .iter()
        .map(|change| match change {
            ItemChange::Added(_, record) => format!("+{}", record.name),
            ItemChange::Removed(_, record) => format!("-{}", record.name),
            ItemChange::Changed { new, .. } => format!("~{}", new.name),
        })
        .collect();
    names.sort();
    assert_eq!(names, ["+new", "~file0000"]);
    assert_eq!(
        again
            .points(&one.object.id)
            .iter()
            .map(|p| p.id)
            .collect::<Vec<_>>(),
        [one.id, two.id]
    );
    let prefix = PointSelector::Id("0101".to_owned());
    assert_eq!(again.point(&one.object.id, &prefix).unwrap().id, one.id);
    let list: Vec<_> = again
        .scan(two.root, &ScanRange::container("dir3"))
        .try_collect()
        .await
        .unwrap();
    assert!(list.iter().all(|(key, _)| key.container() == "dir3") && list.len() > 50);
    let rest: Vec<_> = again
        .scan(two.root, &ScanRange::container("dir3").after(list[9].0.clone()))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rest, list[10..]);
    assert_eq!(
        again.get(two.root.as_ref(), &list[5].0).await.unwrap().as_ref(),
        Some(&list[5].1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_content_is_stored_once_also_between_a_mail_and_a_file() {
    let store = memory();
    let repository = new_repository(&store).await;
    let file = Noise::new(4).bytes(3_000_000);
    let writer = repository.writer(RunId::from_bytes([1; 16]));
    let put = |mode, bytes: Vec<u8>| {
        let writer = writer.clone();
        async move {
            writer
                .put_part("content".into(), None, mode, body(&bytes, 100_000))
                .await
        }
    };
    // At the same time: what is in nobody's index yet is known to this run.
    let parts = futures::future::join_all((0..6).map(|_| put(PartMode::File, file.clone()))).await;
    let mut mail = b"From: a@example.com\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    for line in base64(&file).as_bytes().chunks(76) {
        mail.extend_from_slice(line);
        mail.extend_from_slice(b"\r\n");
    }
    mail.extend_from_slice(b"--end--\r\n");
    let message = put(PartMode::Mime, mail.clone()).await.unwrap();
    let segments = writer.flush().await.unwrap();
    let stats = writer.stats();
    assert!(stats.bytes_stored < 3_100_000, "{stats:?}");
    assert!(stats.chunks_known > 10, "{stats:?}");
    repository
        .commit(|_| {
            Ok(vec![Operation::AddIndex {
                segments: segments.clone(),
            }])
        })
        .await
        .unwrap();
    for part in parts.into_iter().map(|part| part.unwrap()) {
        assert!(repository.read_part_bytes(&part, 1 << 30).await.unwrap() == file);
    }
    assert!(repository.read_part_bytes(&message, 1 << 30).await.unwrap() == mail);
    assert!(
        writer.flush().await.unwrap().is_empty(),
        "what is committed is not returned again"
    );
    // Another writer knows it now.
    let other = repository.writer(RunId::from_bytes([2; 16]));
    other
        .put_part("content".into(), None, PartMode::File, body(&file, 9_999))
        .await
        .unwrap();
    assert!(other.flush().await.unwrap().is_empty());
    assert_eq!(other.stats().chunks_new, 0);
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for n in 0..4 {
            let digit = (bits >> (18 - 6 * n)) as usize & 63;
            out.push(if n <= three.len() {
                char::from(ALPHABET[digit])
            } else {
                '='
            });
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_writer_has_not_committed_is_not_relied_on() {
    let store = memory();
    let repository = new_repository(&store).await;
    let file = Noise::new(5).bytes(500_000);
    let first = repository.writer(RunId::from_bytes([1; 16]));
    first
        .put_part("content".into(), None, PartMode::File, body(&file, 70_000))
        .await
        .unwrap();
    let flushed = first.flush().await.unwrap();
    assert_eq!(flushed.len(), 1);
    let files: Files = [("dir/file".to_owned(), file)].into();
    let point = back_up(&repository, "alice", 1, &files, None).await.unwrap();
    // The first writer never commits. The point must stand by itself.
    drop(first);
    let again = reopen(&store).await.unwrap();
    assert_holds(&again, &point, &files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_race_all_win_in_turn() {
    let store = memory();
    new_repository(&store).await;
    let mut runs = Vec::new();
    for number in 1..=6u8 {
        let store = Arc::clone(&store);
        runs.push(tokio::spawn(async move {
            let repository = reopen(&store).await.unwrap();
            let files = some_files(u64::from(number), 10, 5_000);
            let mut base = None;
            for round in 0..4 {
                let name = format!("object{number}");
                base = Some(
                    back_up(&repository, &name, number * 10 + round, &files, base.as_ref())
                        .await
                        .unwrap(),
                );
            }
            (base.unwrap(), files)
        }));
    }
    let mut points = Vec::new();
    for run in runs {
        points.push(run.await.unwrap());
    }
    let again = reopen(&store).await.unwrap();
    let info = again.info().await.unwrap();
    assert_eq!((info.head, info.points, info.objects), (24, 24, 6));
    for (point, files) in &points {
        assert_holds(&again, point, files).await;
    }
    assert_eq!(names(&store, "log").await.len(), 24);
    assert_eq!(names(&store, "checkpoint").await.len(), 1);
    assert!(again.verify(Default::default()).wait().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_view_moves_on_when_it_is_refreshed() {
    let store = memory();
    let one = new_repository(&store).await;
    let two = reopen(&store).await.unwrap();
    let files = some_files(6, 5, 1_000);
    let point = back_up(&one, "alice", 1, &files, None).await.unwrap();
    assert!(two.latest_point(&point.object.id).is_none());
    two.refresh().await.unwrap();
    assert_eq!(two.latest_point(&point.object.id).unwrap(), point);
    assert_holds(&two, &point, &files).await;
}

#[tokio::test]
async fn objects_are_found_by_id_name_and_address() {
    let store = memory();
    let repository = new_repository(&store).await;
    for (number, name) in [(1, "alice"), (2, "Bob"), (3, "alicia")] {
        back_up(&repository, name, number, &some_files(7, 2, 100), None)
            .await
            .unwrap();
    }
    for name in ["bob", "BOB@example.COM", "test/folder/Bob"] {
        assert_eq!(repository.find_object(name).unwrap().name, "Bob", "{name}");
    }
    let error = repository.find_object("ali").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.hint().unwrap().contains("alice") && error.hint().unwrap().contains("alicia"),
        "{error:?}"
    );
    let summaries = repository.objects();
    assert_eq!(
        summaries
            .iter()
            .map(|s| (s.object.name.as_str(), s.points))
            .collect::<Vec<_>>(),
        [("Bob", 1), ("alice", 1), ("alicia", 1)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_falls_behind_is_noticed() {
    let store = memory();
    let state = Arc::new(MemoryState::default());
    let env = Environment::system(state);
    let repository = Repository::create(Arc::clone(&store), create_options(), env.clone())
        .await
        .unwrap();
    back_up(&repository, "alice", 1, &some_files(8, 3, 1_000), None)
        .await
        .unwrap();
    let files = some_files(9, 3, 1_000);
    back_up(&repository, "alice", 2, &files, None).await.unwrap();
    store
        .delete(&Path::from("log/00000000000000000002"))
        .await
        .unwrap();
    let open = |options| Repository::open(Arc::clone(&store), options, env.clone());
    let error = open(open_options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HistoryRewound, "{error:?}");
    assert!(error.message().contains("commit 2"));
    // Without what was remembered, nobody can know; with a word from the user, it goes on from there.
    assert_eq!(reopen(&store).await.unwrap().info().await.unwrap().points, 1);
    let accepted = open(open_options().with_accept_history(true)).await.unwrap();
    assert_eq!(accepted.info().await.unwrap().points, 1);
    open(open_options()).await.unwrap();
    // Another commit in the place of the one seen.
    back_up(&accepted, "alice", 3, &files, None).await.unwrap();
    store
        .delete(&Path::from("log/00000000000000000002"))
        .await
        .unwrap();
    let forked = reopen(&store).await.unwrap();
    back_up(&forked, "alice", 4, &files, None).await.unwrap();
    let error = open(open_options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HistoryRewound, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_part_streams_through() {
    let store = memory();
    let repository = new_repository(&store).await;
    let writer = repository.writer(RunId::from_bytes([1; 16]));
    // Every MiB differs and compresses well, so the test is about streaming and not about zstd.
    let length = 150usize;
    let pieces = move || {
        (0..length).map(|n| {
            let mut piece = vec![0u8; 1 << 20];
            let mut noise = Noise::new(n as u64 + 1);
            for at in (0..piece.len()).step_by(64) {
                piece[at..at + 8].copy_from_slice(&noise.next().to_le_bytes());
            }
            Bytes::from(piece)
        })
    };
    let part = writer
        .put_part(
            "content".into(),
            None,
            PartMode::File,
            stream::iter(pieces().map(Ok)).boxed(),
        )
        .await
        .unwrap();
    assert_eq!(part.size, (length as u64) << 20);
    let segments = writer.flush().await.unwrap();
    repository
        .commit(|_| {
            Ok(vec![Operation::AddIndex {
                segments: segments.clone(),
            }])
        })
        .await
        .unwrap();
    assert!(
        matches!(part.segments, nakivo_core::format::SegmentList::Indirect(_)),
        "a long list is stored apart"
    );
    let mut expected = pieces().flat_map(|piece| piece.to_vec());
    let mut read = reopen(&store).await.unwrap().read_part(&part);
    let mut total = 0u64;
    while let Some(piece) = read.try_next().await.unwrap() {
        total += piece.len() as u64;
        assert!(piece.iter().all(|byte| Some(*byte) == expected.next()));
    }
    assert_eq!(total, part.size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_any_future_leaves_a_repository_that_works() {
    let store = memory();
    let repository = new_repository(&store).await;
    // Enough of them that a run waits often: blocks are sealed in groups, and it waits only for those.
    let files = some_files(10, 120, 200_000);
    // Drop the whole backup after k polls of its future, for growing k, until it comes through.
    let mut polls = 1u32;
    let mut dropped = 0;
    let point = loop {
        let mut left = polls;
        let mut run = Box::pin(back_up(&repository, "alice", 1, &files, None));
        let outcome = futures::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            run.as_mut().poll(context).map(Some)
        })
        .await;
        match outcome {
            Some(Ok(point)) => break point,
            Some(Err(error)) => {
                // The commit of a dropped future may have taken place.
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                break reopen(&store)
                    .await
                    .unwrap()
                    .latest_point(&object("alice").id)
                    .unwrap();
            }
            None => dropped += 1,
        }
        drop(run);
        let seen = reopen(&store).await.unwrap();
        assert!(
            seen.latest_point(&object("alice").id)
                .is_none_or(|point| point.root.is_some())
        );
        polls += 1 + polls / 4;
    };
    assert!(dropped > 3, "dropped {dropped} times");
    let again = reopen(&store).await.unwrap();
    assert_holds(&again, &point, &files).await;
    assert!(again.verify(Default::default()).wait().await.unwrap().is_clean());
}

#[tokio::test]
async fn an_unflushed_tree_can_be_edited_and_read_by_its_writer() {
    let store = memory();
    let repository = new_repository(&store).await;
    let writer = repository.writer(RunId::from_bytes([1; 16]));
    let edits = store_files(&writer, &some_files(11, 300, 500), PartMode::Plain)
        .await
        .unwrap();
    let key = |edit: &TreeEdit| nakivo_core::format::ItemKey::from_bytes(&edit.key).unwrap();
    let (half, rest) = edits.split_at(150);
    let one = writer
        .update_tree(None, stream::iter(half.iter().cloned().map(Ok)))
        .await
        .unwrap();
    assert!(writer.get(one.as_ref(), &key(&half[3])).await.unwrap().is_some());
    let two = writer
        .update_tree(one, stream::iter(rest.iter().cloned().map(Ok)))
        .await
        .unwrap();
    let all = writer
        .update_tree(None, stream::iter(edits.iter().cloned().map(Ok)))
        .await
        .unwrap();
    assert_eq!(two, all, "the tree depends on its content alone");
    for edit in &edits {
        assert!(writer.get(two.as_ref(), &key(edit)).await.unwrap().is_some());
    }
}

/// Nodes are kept decoded between look-ups: two versions of a tree, asked in turn, must not be taken for each other.
#[tokio::test]
async fn look_ups_find_what_a_scan_finds() {
    let store = memory();
    let repository = new_repository(&store).await;
    let old_files = some_files(21, 900, 40);
    let old = back_up(&repository, "a", 1, &old_files, None).await.unwrap();
    let mut new_files: Files = some_files(22, 900, 40).into_iter().step_by(7).collect();
    new_files.extend([
        ("extra/one".to_owned(), vec![1; 30]),
        ("extra/two".to_owned(), vec![2; 30]),
    ]);
    let new = back_up(&repository, "a", 2, &new_files, Some(&old))
        .await
        .unwrap();
    let again = reopen(&store).await.unwrap();
    let mut scanned = Vec::new();
    for manifest in [&old, &new] {
        let all: BTreeMap<_, _> = again
            .scan(manifest.root, &ScanRange::all())
            .try_collect()
            .await
            .unwrap();
        scanned.push(all);
    }
    let keys: std::collections::BTreeSet<_> = scanned.iter().flat_map(|all| all.keys().cloned()).collect();
    let (mut only_new, mut differ) = (0, 0);
    for key in &keys {
        for (manifest, all) in [&old, &new].into_iter().zip(&scanned) {
            let found = again.get(manifest.root.as_ref(), key).await.unwrap();
            assert_eq!(found.as_ref(), all.get(key), "{key:?}");
        }
        only_new += usize::from(!scanned[0].contains_key(key));
        differ += usize::from(
            scanned[0]
                .get(key)
                .is_some_and(|old| scanned[1].get(key) != Some(old)),
        );
        let absent = nakivo_core::format::ItemKey::item(key.container(), format!("{}!", key.id())).unwrap();
        assert_eq!(again.get(new.root.as_ref(), &absent).await.unwrap(), None);
    }
    assert!(only_new > 1 && differ > 20, "{only_new} new, {differ} changed");
}

#[tokio::test]
async fn the_newest_point_is_the_one_committed_last_whatever_the_clock_said() {
    let store = memory();
    let repository = new_repository(&store).await;
    let mut expected = Vec::new();
    // 40 commits: some are read from a checkpoint, some from the log.
    for number in 1..=40u8 {
        let mut point = manifest("alice", number.wrapping_mul(91), None);
        point.started_ms = 1_700_000_000_000 - i64::from(number) * 1000;
        expected.push(point.id);
        let add = |_: &_| {
            Ok(vec![Operation::AddPoint {
                manifest: Box::new(point.clone()),
            }])
        };
        repository.commit(add).await.unwrap();
    }
    for repository in [repository, reopen(&store).await.unwrap()] {
        let id = object("alice").id;
        assert_eq!(
            repository
                .points(&id)
                .iter()
                .map(|point| point.id)
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(repository.latest_point(&id).unwrap().id, expected[39]);
        assert_eq!(repository.objects()[0].latest.as_ref().unwrap().id, expected[39]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_the_same_content_both_commit() {
    let store = memory();
    let one = new_repository(&store).await;
    let two = reopen(&store).await.unwrap();
    let files: Files = [("dir/file".to_owned(), Noise::new(5).bytes(100_000))].into();
    let first = back_up(&one, "alice", 1, &files, None).await.unwrap();
    // Its view is older: it stores the same again, in packs of its own. No name is ever used twice, or who removes a pack
    // late could hit another one.
    let second = back_up(&two, "alice", 2, &files, None).await.unwrap();
    assert_eq!(
        names(&store, "packs").await.len(),
        4,
        "one of data and one of the tree for each writer"
    );
    let again = reopen(&store).await.unwrap();
    assert_holds(&again, &first, &files).await;
    assert_holds(&again, &second, &files).await;
}

#[tokio::test]
async fn a_new_repository_opens_again_without_a_word() {
    let store = memory();
    let env = Environment::system(Arc::new(MemoryState::default()));
    Repository::create(Arc::clone(&store), create_options(), env.clone())
        .await
        .unwrap();
    let again = Repository::open(store, open_options(), env).await.unwrap();
    assert_eq!(again.info().await.unwrap().notes, Vec::<String>::new());
}
