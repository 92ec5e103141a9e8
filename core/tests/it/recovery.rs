//! Browse, search, export and recovery, from end to end: what went in comes back byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says why"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use nakivo_core::backup::{self, BackupOptions};
use nakivo_core::bytes::Bytes;
use nakivo_core::chrono::DateTime;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Cursor, Fetched, ItemHead, ItemRef, OnConflict, PartContent, Presence,
};
use nakivo_core::folder::FolderConnector;
use nakivo_core::format::record::{ItemKind, Value};
use nakivo_core::format::{Manifest, ObjectId, ObjectKind, ObjectRecord};
use nakivo_core::object_store::ObjectStore;
use nakivo_core::object_store::local::LocalFileSystem;
use nakivo_core::object_store::memory::InMemory;
use nakivo_core::progress::Reporter;
use nakivo_core::recovery::{
    Destination, ExportFormat, ExportOptions, ExportReport, ItemOutcome, MANIFEST_NAME, Outcome, PageRequest,
    PlannedAction, PointView, Query, RecoveryReport, Selection, Target, apply, export, plan,
};
use nakivo_core::repository::{CreateOptions, PointSelector, Repository};
use nakivo_core::seams::Environment;
use nakivo_core::{Error, ErrorKind, Result};

async fn repository() -> Repository {
    repository_in(Arc::new(InMemory::new())).await
}

async fn repository_in(store: Arc<dyn ObjectStore>) -> Repository {
    Repository::create(store, CreateOptions::unencrypted(), Environment::default())
        .await
        .unwrap()
}

async fn back_up(repository: &Repository, connector: &Arc<dyn Connector>) -> Manifest {
    let object = connector.discover().next().await.unwrap().unwrap();
    let report = backup::start(
        repository,
        Arc::clone(connector),
        object.clone(),
        BackupOptions::default(),
    )
    .wait()
    .await
    .unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.issues);
    repository.point(&object.id, &PointSelector::Latest).unwrap()
}

fn folder(path: &Path, name: &str) -> Arc<dyn Connector> {
    Arc::new(FolderConnector::new(path, name).unwrap())
}

/// Every file below a directory: relative path, content and modification time.
fn tree(root: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() {
                found.insert(
                    name,
                    (fs::read(&path).unwrap(), metadata.mtime(), metadata.mtime_nsec()),
                );
            }
        }
    }
    found
}

fn lines(manifest: &str) -> Vec<serde_json::Value> {
    manifest
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn export_to(
    repository: &Repository,
    point: &Manifest,
    selection: Selection,
    destination: Destination,
    format: ExportFormat,
) -> Result<ExportReport> {
    let options = ExportOptions::new(destination).with_format(format);
    export(repository, point, selection, options).wait().await
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    super::repository::Noise::new(seed).bytes(length)
}

/// A directory with some of everything that has a UTF-8 name.
fn make_files(root: &Path) {
    fs::create_dir_all(root.join("Projects/2024/deep")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("readme.txt"), b"read me\n").unwrap();
    fs::write(root.join(".hidden"), b"hidden").unwrap();
    fs::write(root.join("empty.txt"), b"").unwrap();
    fs::write(root.join("Projects/Ärger.doc"), noise(1, 10_000)).unwrap();
    fs::write(root.join("Projects/2024/large.bin"), noise(2, 5_500_000)).unwrap();
    for number in 0..300u64 {
        fs::write(
            root.join(format!("Projects/2024/deep/note {number}.txt")),
            noise(number + 10, 700),
        )
        .unwrap();
    }
    fs::set_permissions(root.join("readme.txt"), fs::Permissions::from_mode(0o640)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_back_byte_for_byte_from_either_point() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    make_files(&source);
    let repository = repository().await;
    let connector = folder(&source, "docs");
    let first = back_up(&repository, &connector).await;
    let before = tree(&source);
    fs::write(source.join("readme.txt"), b"read me again\n").unwrap();
    fs::remove_file(source.join("Projects/2024/deep/note 7.txt")).unwrap();
    fs::write(source.join("new.txt"), b"new").unwrap();
    fs::rename(source.join("Projects/Ärger.doc"), source.join("moved.doc")).unwrap();
    let second = back_up(&repository, &connector).await;
    let after = tree(&source);
    assert_ne!(before, after);
    assert_eq!(
        (second.counts.items, second.counts.removed),
        (after.len() as u64, 2)
    );

    for (point, expected) in [(&first, &before), (&second, &after)] {
        let out = dir.path().join(format!("out-{}", point.id));
        let destination = Destination::Directory(out.clone());
        let report = export_to(
            &repository,
            point,
            Selection::All,
            destination,
            ExportFormat::Files,
        )
        .await
        .unwrap();
        assert_eq!(
            (report.outcome, report.items),
            (Outcome::Complete, expected.len() as u64)
        );
        let mut exported = tree(&out);
        let list = String::from_utf8(exported.remove(MANIFEST_NAME).unwrap().0).unwrap();
        assert!(exported == *expected, "{:?}", exported.keys().collect::<Vec<_>>());
        assert!(out.join("empty").is_dir());
        assert_eq!(
            fs::metadata(out.join("readme.txt")).unwrap().mode() & 0o777,
            0o640
        );
        for line in lines(&list).iter().filter(|line| line["kind"] == "file") {
            let file = &exported[line["file"].as_str().unwrap()].0;
            assert_eq!(
                line["hash"].as_str().unwrap(),
                blake3::hash(file).to_hex().as_str()
            );
            assert_eq!(line["size"].as_u64().unwrap(), file.len() as u64);
        }
        let zip = dir.path().join(format!("{}.zip", point.id));
        let report = export_to(
            &repository,
            point,
            Selection::All,
            Destination::Zip(zip.clone()),
            ExportFormat::Files,
        )
        .await
        .unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        let mut zipped = unzip(&zip);
        assert!(zipped.remove(MANIFEST_NAME).is_some());
        assert!(zipped.iter().eq(expected.iter().map(|(n, (b, ..))| (n, b))));
    }
    let leftovers: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("part"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

fn unzip(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        assert!(file.enclosed_name().is_some(), "{name}");
        if file.is_file() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert!(files.insert(name, bytes).is_none());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browse_and_search() {
    let dir = tempfile::tempdir().unwrap();
    make_files(dir.path());
    let repository = repository().await;
    let point = back_up(&repository, &folder(dir.path(), "docs")).await;
    let view = PointView::open(&repository, point);

    let root = view.list("", PageRequest::default()).await.unwrap();
    let names: Vec<&str> = root
        .entries
        .iter()
        .map(|entry| entry.record.name.as_str())
        .collect();
    assert_eq!(names, ["Projects", "empty", ".hidden", "empty.txt", "readme.txt"]);
    let deep = view.resolve_path("/Projects/2024/deep/").await.unwrap();
    assert!(deep.is_container());
    let (mut after, mut listed) = (None, 0);
    loop {
        let page = view
            .list(deep.id(), PageRequest { after, limit: 7 })
            .await
            .unwrap();
        listed += page.entries.len();
        assert!(page.entries.len() <= 7);
        // A cursor survives as text.
        after = page.next.map(|cursor| cursor.to_string().parse().unwrap());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, 300);
    assert_eq!(
        view.resolve_path("projects/ÄRGER.doc").await.unwrap().path,
        "Projects/Ärger.doc"
    );
    assert!(view.resolve_path("/").await.unwrap().is_container());
    assert_eq!(
        view.resolve_path("nothing").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        view.resolve_path("readme.txt/").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        view.list("nothing", PageRequest::default())
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    let note = view.entry_by_id("Projects/2024/deep/note 3.txt").await.unwrap();
    let bytes: Vec<Bytes> = view
        .content(&note.record, "content")
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(bytes.concat(), noise(13, 700));

    for (query, expected) in [
        ("note", 300),
        ("\"note 1?.txt\"", 10),
        ("in:projects/2024 type:file", 301),
        ("size>1M", 1),
        ("type:folder", 4),
        ("ärger", 1),
        ("after:2100-01-01", 0),
    ] {
        let found: Vec<_> = view
            .find(&Query::parse(query).unwrap())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(found.len(), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    make_files(&source);
    let repository = repository().await;
    let point = back_up(&repository, &folder(&source, "docs")).await;
    let selections = [
        (Selection::paths(["Projects/2024"]), 301),
        (Selection::paths(["readme.txt", "empty"]), 1),
        (Selection::ids(["Projects/2024/deep/note 3.txt"]), 1),
        (Selection::Matching(Query::parse("note").unwrap()), 300),
        (
            Selection::Any(vec![
                Selection::paths(["Projects/2024/deep"]),
                Selection::ids([".hidden"]),
            ]),
            301,
        ),
        (Selection::paths(["/"]), 305),
    ];
    let all = tree(&source);
    for (index, (selection, expected)) in selections.into_iter().enumerate() {
        let out = dir.path().join(format!("out{index}"));
        let destination = Destination::Directory(out.clone());
        let report = export_to(&repository, &point, selection, destination, ExportFormat::Files)
            .await
            .unwrap();
        assert_eq!(report.items, expected);
        let mut exported = tree(&out);
        exported.remove(MANIFEST_NAME);
        assert_eq!(exported.len() as u64, expected);
        assert!(exported.iter().all(|(path, file)| all[path] == *file));
    }
    let out = Destination::Directory(dir.path().join("never"));
    let error = export_to(
        &repository,
        &point,
        Selection::paths(["nope"]),
        out,
        ExportFormat::Files,
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!dir.path().join("never").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_exists_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("a"), b"a").unwrap();
    let repository = repository().await;
    let point = back_up(&repository, &folder(&source, "docs")).await;
    let outside = dir.path().join("outside");
    fs::write(&outside, b"untouched").unwrap();

    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    symlink(&outside, full.join("a")).unwrap();
    let zip = dir.path().join("exists.zip");
    symlink(&outside, &zip).unwrap();
    let planted = dir.path().join("planted.zip");
    symlink(&outside, dir.path().join("planted.zip.part")).unwrap();
    for destination in [
        Destination::Directory(full),
        Destination::Zip(zip),
        Destination::Zip(planted),
    ] {
        let error = export_to(
            &repository,
            &point,
            Selection::All,
            destination.clone(),
            ExportFormat::Files,
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{destination:?}");
    }
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
}

async fn recover(
    repository: &Repository,
    point: &Manifest,
    selection: Selection,
    connector: &Arc<dyn Connector>,
    target: Target,
    on_conflict: OnConflict,
) -> RecoveryReport {
    let plan = plan(repository, point, selection, connector, target, on_conflict)
        .wait()
        .await
        .unwrap();
    apply(repository, plan, connector).wait().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_recovered_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    make_files(&source);
    symlink("readme.txt", source.join("link")).unwrap();
    let repository = repository().await;
    let connector = folder(&source, "docs");
    let point = back_up(&repository, &connector).await;
    let before = tree(&source);

    // Everything is there: nothing to do, and planning changes nothing.
    let untouched = plan(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Rename,
    );
    let untouched = untouched.wait().await.unwrap();
    assert_eq!(untouched.counts().skip_identical, 306);

    fs::remove_dir_all(source.join("Projects")).unwrap();
    fs::remove_file(source.join("link")).unwrap();
    fs::write(source.join("readme.txt"), b"written over").unwrap();
    let damaged = fs::read(source.join("readme.txt")).unwrap();

    // Skip leaves what is there.
    let report = recover(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Skip,
    )
    .await;
    assert_eq!(
        (report.outcome, report.counts.recovered, report.counts.skipped),
        (Outcome::Complete, 303, 3)
    );
    assert_eq!(fs::read(source.join("readme.txt")).unwrap(), damaged);
    assert_eq!(
        fs::read_link(source.join("link")).unwrap(),
        Path::new("readme.txt")
    );

    // Rename recovers beside it, once, however often it is asked.
    for _ in 0..2 {
        let report = recover(
            &repository,
            &point,
            Selection::All,
            &connector,
            Target::Original,
            OnConflict::Rename,
        )
        .await;
        let recovered: Vec<_> = report
            .items
            .iter()
            .filter(|item| matches!(item.outcome, ItemOutcome::Recovered(_)))
            .collect();
        assert_eq!(recovered.len(), 1);
        assert_eq!(recovered[0].path, "readme.txt");
    }
    let beside: Vec<PathBuf> = fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("(recovered "))
        .collect();
    assert_eq!(beside.len(), 1);
    assert_eq!(fs::read(&beside[0]).unwrap(), before["readme.txt"].0);
    fs::remove_file(&beside[0]).unwrap();

    // A plan that no longer fits fails for that item and touches nothing.
    let stale = plan(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Overwrite,
    );
    let stale = stale.wait().await.unwrap();
    assert_eq!(stale.counts().overwrite, 1);
    fs::write(source.join("readme.txt"), b"written over since the plan").unwrap();
    let report = apply(&repository, stale, &connector).wait().await.unwrap();
    assert_eq!((report.outcome, report.counts.failed), (Outcome::Partial, 1));
    assert!(report.items.iter().any(|item| matches!(&item.outcome,
        ItemOutcome::Failed { code, .. } if code == "conflict")));
    assert_eq!(
        fs::read(source.join("readme.txt")).unwrap(),
        b"written over since the plan"
    );

    let report = recover(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Overwrite,
    )
    .await;
    assert_eq!((report.outcome, report.counts.recovered), (Outcome::Complete, 1));
    assert!(tree(&source) == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_recovered_elsewhere_with_names_times_and_modes() {
    use std::os::unix::ffi::OsStringExt;
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    make_files(&source);
    let odd = std::ffi::OsString::from_vec(b"caf\xe9\n %25".to_vec());
    fs::write(source.join(&odd), b"odd").unwrap();
    symlink("/nowhere/at all", source.join("dangling")).unwrap();
    let repository = repository().await;
    let point = back_up(&repository, &folder(&source, "docs")).await;
    let other = dir.path().join("not/there/yet");
    let connector = FolderConnector::new(&other, "elsewhere").unwrap();
    let target = Target::Object(connector.object().clone());
    let connector: Arc<dyn Connector> = Arc::new(connector);
    let report = recover(
        &repository,
        &point,
        Selection::All,
        &connector,
        target,
        OnConflict::default(),
    )
    .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(fs::read(other.join(&odd)).unwrap(), b"odd");
    fs::remove_file(other.join(&odd)).unwrap();
    fs::remove_file(source.join(&odd)).unwrap();
    assert!(tree(&other) == tree(&source));
    assert_eq!(
        fs::read_link(other.join("dangling")).unwrap(),
        Path::new("/nowhere/at all")
    );
    assert_eq!(
        fs::metadata(other.join("readme.txt")).unwrap().mode() & 0o7777,
        0o640
    );
    // The object of the point is not the one this connector writes.
    let wrong = plan(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Skip,
    );
    let wrong = wrong.wait().await.unwrap();
    assert!(
        wrong
            .items
            .iter()
            .all(|item| matches!(item.action, PlannedAction::Cannot { .. }))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_planted_at_the_target_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("inner")).unwrap();
    fs::write(source.join("inner/file"), b"content").unwrap();
    let repository = repository().await;
    let connector = folder(&source, "docs");
    let point = back_up(&repository, &connector).await;
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(source.join("inner")).unwrap();
    symlink(&outside, source.join("inner")).unwrap();
    let report = recover(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Overwrite,
    )
    .await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// Damages a repository on disk and shows that everything untouched still comes out, and nothing wrong does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_item_is_listed_and_the_rest_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    for number in 0..40u64 {
        fs::write(source.join(format!("file {number}")), noise(number, 300_000)).unwrap();
    }
    let store = dir.path().join("store");
    fs::create_dir(&store).unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&store).unwrap());
    let repository = repository_in(Arc::clone(&local)).await;
    let connector = folder(&source, "docs");
    let point = back_up(&repository, &connector).await;
    drop(repository);
    let expected = tree(&source);
    let packs: Vec<PathBuf> = tree(&store)
        .keys()
        .filter(|path| path.contains("packs/"))
        .map(|p| store.join(p))
        .collect();
    let largest = packs
        .iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(largest, &bytes).unwrap();

    let repository = Repository::open(local, Default::default(), Environment::default())
        .await
        .unwrap();
    for zip in [false, true] {
        let out = dir.path().join(if zip { "out.zip" } else { "out" });
        let destination = if zip {
            Destination::Zip(out.clone())
        } else {
            Destination::Directory(out.clone())
        };
        let report = export_to(
            &repository,
            &point,
            Selection::All,
            destination,
            ExportFormat::Files,
        )
        .await
        .unwrap();
        assert_eq!(report.outcome, Outcome::Partial);
        assert!(
            !report.failed.is_empty() && report.failed.len() < 10,
            "{:?}",
            report.failed
        );
        assert!(report.failed.iter().all(|failure| failure.code == "corrupt"));
        assert_eq!(report.items + report.failed.len() as u64, 40);
        let mut files: BTreeMap<String, Vec<u8>> = if zip {
            unzip(&out)
        } else {
            tree(&out)
                .into_iter()
                .map(|(name, file)| (name, file.0))
                .collect()
        };
        let list = lines(&String::from_utf8(files.remove(MANIFEST_NAME).unwrap()).unwrap());
        assert_eq!(list.len(), 40);
        assert_eq!(
            list.iter().filter(|line| line.get("error").is_some()).count(),
            report.failed.len()
        );
        assert_eq!(files.len() as u64, report.items);
        for (name, bytes) in &files {
            assert!(expected[name].0 == *bytes);
        }
    }
    fs::remove_dir_all(&source).unwrap();
    let report = recover(
        &repository,
        &point,
        Selection::All,
        &connector,
        Target::Original,
        OnConflict::Skip,
    )
    .await;
    assert_eq!(report.outcome, Outcome::Partial);
    let back = tree(&source);
    assert_eq!(back.len() as u64, report.counts.recovered);
    assert!(
        back.iter().all(|(name, file)| expected[name] == *file),
        "no wrong and no temporary file"
    );
}

/// An item that a source tells nothing of but what it must.
pub(crate) fn bare_head(kind: ItemKind, container: &str, id: &str, name: &str) -> ItemHead {
    let item = ItemRef {
        container: container.to_owned(),
        id: id.to_owned(),
    };
    ItemHead {
        change_key: Some("1".to_owned()),
        ..ItemHead::new(kind, item, name.to_owned())
    }
}

/// The one mailbox of a source.
pub(crate) fn mailbox(source: &str, name: &str) -> ObjectRecord {
    ObjectRecord {
        id: ObjectId::new(format!("{source}/mailbox/1")).unwrap(),
        kind: ObjectKind::Mailbox,
        name: name.to_owned(),
        address: None,
        source: source.to_owned(),
        native_id: "1".to_owned(),
        account: None,
    }
}

/// A mailbox in memory: folders and messages that never change.
#[derive(Debug)]
struct Mail {
    folders: Vec<(String, String, String)>,
    messages: Vec<(ItemHead, Bytes)>,
}

impl Mail {
    fn new() -> Self {
        Self {
            folders: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn folder(&mut self, parent: &str, id: &str, name: &str) {
        self.folders
            .push((parent.to_owned(), id.to_owned(), name.to_owned()));
    }

    fn message(&mut self, folder: &str, id: &str, subject: &str, mime: impl Into<Bytes>) {
        let mime = mime.into();
        let mut head = self.head(ItemKind::Message, folder, id, subject);
        head.size = Some(mime.len() as u64);
        head.received = DateTime::from_timestamp(1_700_000_000 + self.messages.len() as i64, 0);
        head.properties.insert(
            "from".to_owned(),
            Value::Text("Alice <alice@contoso.example>".to_owned()),
        );
        self.messages.push((head, mime));
    }

    fn head(&self, kind: ItemKind, container: &str, id: &str, name: &str) -> ItemHead {
        ItemHead {
            raw: Some(Bytes::from_static(b"{}")),
            ..bare_head(kind, container, id, name)
        }
    }

    fn object() -> ObjectRecord {
        ObjectRecord {
            address: Some("alice@contoso.example".to_owned()),
            ..mailbox("test", "alice")
        }
    }
}

#[async_trait]
impl Connector for Mail {
    fn name(&self) -> &str {
        "test"
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        stream::iter([Ok(Self::object())]).boxed()
    }

    async fn find_object(&self, _: &str) -> Result<ObjectRecord> {
        Ok(Self::object())
    }

    fn changes<'a>(
        &'a self,
        _: &'a ObjectRecord,
        _: ChangesRequest,
        _: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        let mut changes: Vec<Change> = self
            .folders
            .iter()
            .map(|(parent, id, name)| Change::Container(self.head(ItemKind::Container, parent, id, name)))
            .collect();
        changes.push(Change::ContainersComplete);
        for (_, id, _) in &self.folders {
            changes.push(Change::RoundStarted {
                container: id.clone(),
                full: true,
            });
            let inside = self
                .messages
                .iter()
                .filter(|(head, _)| head.item.container == *id);
            changes.extend(inside.map(|(head, _)| Change::Item(head.clone())));
            changes.push(Change::RoundEnded {
                container: id.clone(),
            });
        }
        changes.push(Change::Cursor(Cursor(Bytes::from_static(b"1"))));
        stream::iter(changes).map(Ok).boxed()
    }

    async fn fetch(&self, _: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        let (head, mime) = self
            .messages
            .iter()
            .find(|(candidate, _)| candidate.item == head.item)
            .ok_or_else(|| Error::not_found("message", &head.item.id))?;
        let pieces: Vec<Result<Bytes>> = mime
            .chunks(100_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let part = PartContent {
            name: "mime".to_owned(),
            media_type: Some("message/rfc822".to_owned()),
            length: Some(mime.len() as u64),
            body: stream::iter(pieces).boxed(),
        };
        Ok(Fetched::Content {
            head: Box::new(head.clone()),
            parts: vec![part],
        })
    }

    async fn look_up(&self, _: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        Ok(items.iter().map(|_| Presence::Gone).collect())
    }
}

/// Real messages if they are at hand, and made ones in any case.
fn corpus() -> Vec<Vec<u8>> {
    let mut messages = vec![
        b"From: a@example.org\r\nSubject: x\r\n\r\nFrom here\r\n>From there\r\n".to_vec(),
        b"From the first line\n\nbody without end".to_vec(),
        b"".to_vec(),
        b"\xff\xfe\0binary\nFrom \n".to_vec(),
        [b"Subject: large\r\n\r\n".to_vec(), noise(3, 3_000_000)].concat(),
    ];
    let shared = std::env::var_os("NAKIVO_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let mut open = vec![
        shared.join("corpus/spamassassin"),
        shared.join("corpus/mail-parser"),
    ];
    let made = messages.len();
    while let Some(path) = open.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            open.extend(paths);
        } else if let Ok(bytes) = fs::read(&path) {
            messages.push(bytes);
        }
    }
    if messages.len() == made {
        println!(
            "SKIPPED: the mail corpus is not at {}; made messages only",
            shared.display()
        );
    }
    println!("{} messages", messages.len());
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_back_byte_for_byte_as_eml_mbox_and_zip() {
    let dir = tempfile::tempdir().unwrap();
    let messages = corpus();
    let mut mail = Mail::new();
    mail.folder("", "inbox", "Inbox");
    mail.folder("inbox", "projects", "Projects / 2024");
    for (index, message) in messages.iter().enumerate() {
        let folder = if index % 3 == 0 { "projects" } else { "inbox" };
        mail.message(
            folder,
            &format!("id{index}"),
            &format!("Subject {}", index % 50),
            message.clone(),
        );
    }
    let repository = repository().await;
    let connector: Arc<dyn Connector> = Arc::new(mail);
    let point = back_up(&repository, &connector).await;
    let view = PointView::open(&repository, point.clone());
    let projects = view.resolve_path("Inbox/Projects / 2024").await.unwrap();
    assert_eq!(projects.id(), "projects");
    let error = view.resolve_path("Inbox/Subject 1").await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidInput && error.message().contains("id1"),
        "{error}"
    );

    for format in [ExportFormat::Files, ExportFormat::Mbox] {
        for zip in [false, true] {
            let out = dir
                .path()
                .join(format!("{format:?}{}", if zip { ".zip" } else { "" }));
            let destination = if zip {
                Destination::Zip(out.clone())
            } else {
                Destination::Directory(out.clone())
            };
            let report = export_to(&repository, &point, Selection::All, destination, format)
                .await
                .unwrap();
            assert_eq!(
                (report.outcome, report.items),
                (Outcome::Complete, messages.len() as u64)
            );
            let files: BTreeMap<String, Vec<u8>> = if zip {
                unzip(&out)
            } else {
                tree(&out)
                    .into_iter()
                    .map(|(name, file)| (name, file.0))
                    .collect()
            };
            let list = lines(std::str::from_utf8(&files[MANIFEST_NAME]).unwrap());
            let mut seen = 0;
            for line in list.iter().filter(|line| line["kind"] == "message") {
                let index: usize = line["id"].as_str().unwrap()[2..].parse().unwrap();
                let file = &files[line["file"].as_str().unwrap()];
                let number = |name: &str| usize::try_from(line[name].as_u64().unwrap()).unwrap();
                let message = match format {
                    ExportFormat::Mbox => {
                        let entry = &file[number("offset")..][..number("length")];
                        unquote(entry, number("size"))
                    }
                    _ => file.clone(),
                };
                assert!(message == messages[index], "{format:?} {line}");
                assert_eq!(
                    line["hash"].as_str().unwrap(),
                    blake3::hash(&message).to_hex().as_str()
                );
                seen += 1;
            }
            assert_eq!(seen, messages.len());
            if format == ExportFormat::Mbox {
                // A reader without the list finds the same number of messages.
                let separators = files
                    .iter()
                    .filter(|(name, _)| name.ends_with(".mbox"))
                    .map(|(_, file)| {
                        file.split(|b| *b == b'\n')
                            .filter(|line| line.starts_with(b"From "))
                            .count()
                    });
                assert_eq!(separators.sum::<usize>(), messages.len());
            }
        }
    }
}

/// One mboxrd entry back into its message, written from the format's description.
fn unquote(entry: &[u8], size: usize) -> Vec<u8> {
    let body = &entry[entry.iter().position(|b| *b == b'\n').unwrap() + 1..];
    let mut message = Vec::new();
    for line in body.split_inclusive(|b| *b == b'\n') {
        let arrows = line.iter().take_while(|b| **b == b'>').count();
        message.extend_from_slice(if arrows > 0 && line[arrows..].starts_with(b"From ") {
            &line[1..]
        } else {
            line
        });
    }
    message.truncate(size);
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_stay_inside_the_export() {
    let dir = tempfile::tempdir().unwrap();
    let mut mail = Mail::new();
    mail.folder("", "f1", "..");
    mail.folder("f1", "f2", "../../../../tmp/evil");
    mail.folder("", "f3", "INBOX");
    mail.folder("", "f4", "inbox");
    mail.folder("", "f5", "manifest.jsonl");
    let mut parent = "f3".to_owned();
    for depth in 0..300 {
        let id = format!("deep{depth}");
        mail.folder(&parent, &id, &"a very long folder name indeed ".repeat(8));
        parent = id;
    }
    let subjects = [
        "../../.ssh/authorized_keys",
        "/etc/passwd",
        "CON",
        "a\0b",
        "",
        ".",
        "..",
        "x\u{202e}gpj.exe",
        "same",
        "SAME",
        "same",
    ];
    for folder in ["f1", "f2", "f3", "f4", "f5", parent.as_str()] {
        for (index, subject) in subjects.iter().enumerate() {
            mail.message(
                folder,
                &format!("{folder}-{index}"),
                subject,
                format!("{folder} {index}").into_bytes(),
            );
        }
    }
    let total = mail.messages.len() as u64;
    let repository = repository().await;
    let connector: Arc<dyn Connector> = Arc::new(mail);
    let point = back_up(&repository, &connector).await;
    let mut names = Vec::new();
    for round in 0..2 {
        let out = dir.path().join(format!("out{round}/inner"));
        let destination = Destination::Directory(out.clone());
        let report = export_to(
            &repository,
            &point,
            Selection::All,
            destination,
            ExportFormat::Files,
        )
        .await
        .unwrap();
        assert_eq!(
            (report.outcome, report.items),
            (Outcome::Complete, total),
            "{:?}",
            report.failed
        );
        let files = tree(&out);
        assert_eq!(
            tree(dir.path()).len(),
            (files.len()) * (round + 1),
            "nothing outside"
        );
        let list = lines(std::str::from_utf8(&files[MANIFEST_NAME].0).unwrap());
        for line in list.iter().filter(|line| line["kind"] == "message") {
            let id = line["id"].as_str().unwrap();
            let (folder, index) = id.rsplit_once('-').unwrap();
            let file = &files[line["file"].as_str().unwrap()].0;
            assert_eq!(*file, format!("{folder} {index}").into_bytes());
            assert_eq!(
                line["name"].as_str().unwrap(),
                subjects[index.parse::<usize>().unwrap()]
            );
        }
        names.push(files.into_keys().collect::<Vec<_>>());
    }
    assert_eq!(names[0], names[1], "the same names every time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_archive_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir(&source).unwrap();
    make_files(&source);
    let repository = repository().await;
    let point = back_up(&repository, &folder(&source, "docs")).await;
    let zip = dir.path().join("out.zip");
    let options = ExportOptions::new(Destination::Zip(zip.clone()));
    let running = export(&repository, &point, Selection::All, options);
    running.cancel();
    let error = running.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!zip.exists());
}
