//! Golden repositories: what a released format wrote stays readable for ever.
//!
//! They lie in `repo-format/tests/golden`, one folder for each version of the format, and are append-only. The Python reader
//! reads the same files and compares with the same lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions, ProgressLimits};
use nakivo_core::format::manifest::Protection;
use nakivo_core::format::{KdfParams, Passphrase, Secret};
use nakivo_core::repository::{
    CreateOptions, OpenOptions, PointFilter, ReclaimOptions, Repository, RotateOptions, ScanRange,
    SlotOptions,
};
use nakivo_core::store::{Store, StoreLocation};
use nakivo_testkit::content::{Content, mail, prose};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::locks::LockStore;
use nakivo_testkit::oracle::{all_points, assert_sound, verify};
use nakivo_testkit::random::{SeededRng, announce};
use nakivo_testkit::scripted::{Edit, FetchTrouble, ScriptedConnector, Settings};
use object_store::{ObjectStore, ObjectStoreExt as _};

/// The passphrase of the encrypted one: it has letters with two forms.
const PASSPHRASE: &str = "grün und geheim";
const SEED: u64 = 101;
/// All versions together stay small enough to be kept for ever.
const MAX_BYTES: u64 = 500 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Golden {
    Plain,
    Encrypted,
    Immutable,
}

/// Each folder, the repositories in it, and the hash of its list of hashes: whoever adds a folder adds it here. A new version of
/// the format gets one folder with all of them.
const FOLDERS: [(&str, &[Golden], &str); 2] = [
    (
        "v1",
        &[Golden::Plain, Golden::Encrypted],
        "5d8eee3e6342ad12fb3d6ac93df055a4a188a8a7a5f2bbabfe92663e1a362dc6",
    ),
    (
        "v1-immutable",
        &[Golden::Immutable],
        "b5fe18679a1a906364e8d7c9b68d1566b5b4017ff40ad960c2c4caa5c9572f6f",
    ),
];

impl Golden {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
            Self::Immutable => "immutable",
        }
    }

    fn secret(self) -> Option<Secret> {
        (self == Self::Encrypted).then(|| Passphrase::new(PASSPHRASE).into())
    }

    /// A store that holds this, able to lock where that is needed.
    async fn store(self, lab: &Lab, image: &Image) -> (Store, Arc<dyn ObjectStore>) {
        if self != Self::Immutable {
            let store = image.open().await;
            return (Store::from(store.clone()), store);
        }
        let locks = LockStore::new(Arc::new(lab.clock.clone()));
        for (path, bytes) in image.objects() {
            locks.put(path, bytes.clone().into()).await.unwrap();
        }
        (locks.store(), Arc::new(locks))
    }

    fn options(self) -> CreateOptions {
        match self {
            Self::Plain => CreateOptions::default(),
            Self::Encrypted => CreateOptions::encrypted(Passphrase::new(PASSPHRASE))
                .with_kdf(KdfParams::FLOOR)
                .with_description("first"),
            Self::Immutable => CreateOptions::default().with_immutable_days(Some(2)),
        }
    }

    async fn open(self, lab: &Lab, image: &Image) -> Repository {
        let options = OpenOptions::default().with_secret(self.secret());
        Repository::open(self.store(lab, image).await.0, options, lab.env.clone())
            .await
            .unwrap()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../repo-format/tests/golden")
}

fn source(name: &str) -> ScriptedConnector {
    let settings = Settings {
        fetch_concurrency: 1,
        ..Settings::default()
    };
    let source = ScriptedConnector::new(name, settings);
    for (id, parent) in [("inbox", ""), ("über/../x", "inbox"), ("sent", "")] {
        source.edit(&Edit::AddContainer {
            id: id.into(),
            parent: parent.into(),
            name: id.to_uppercase(),
        });
    }
    source
}

fn edit(source: &ScriptedConnector, rng: &SeededRng, round: u64) {
    let put = |id: String, container: &str, content: Content| {
        source.edit(&Edit::Put {
            container: container.into(),
            name: format!("Item {id} \u{1f4ce}"),
            id,
            parts: BTreeMap::from([("mime".to_owned(), content)]),
        });
    };
    let attachment = SeededRng::new(SEED).bytes(3000);
    put(
        format!("attached{round}"),
        "inbox",
        mail("attached", "see below", &attachment),
    );
    put(
        format!("text{round}"),
        "über/../x",
        mail("text", &prose(rng, 900), b""),
    );
    if round == 0 {
        put("empty".into(), "sent", Content::text(""));
        let large = rng.bytes(20_000);
        put("bytes".into(), "sent", Content::Bytes(large.into()));
    } else {
        source.edit(&Edit::Move {
            id: format!("text{}", round - 1),
            to: "sent".into(),
        });
        source.edit(&Edit::Remove {
            id: format!("attached{}", round - 1),
        });
    }
}

/// Makes a repository in which everything has happened that a version can write: points of two objects, complete and partial,
/// described, protected and removed; progress of a run that never ended; tombstoned and removed packs; a checkpoint with
/// commits behind it; of the encrypted one two kinds of key slots and a second epoch.
async fn make(golden: Golden) -> Image {
    let lab = Lab::memory(SEED);
    let (store, objects) = golden.store(&lab, &Image::default()).await;
    let repository = Repository::create(store, golden.options(), lab.env.clone())
        .await
        .unwrap();
    let sources = [source("one"), source("two")];
    let rng = SeededRng::new(SEED + 1);
    for round in 0..6 {
        for source in &sources {
            edit(source, &rng, round);
            if round == 2 {
                source.trouble("text2", FetchTrouble::Error(ErrorKind::Unavailable), None);
            }
            lab.clock.advance(Duration::from_secs(86_400));
            back_up(&repository, source).await.unwrap();
            source.calm();
        }
        if round == 1 && golden == Golden::Encrypted {
            rotate(&repository).await;
        }
    }
    let points = repository.points(&sources[0].object().id);
    repository
        .protect_point(points[1].id, Protection::Forever)
        .await
        .unwrap();
    repository
        .describe_point(points[2].id, Some("före".into()))
        .await
        .unwrap();
    let gone = PointFilter::default().with_points(vec![points[0].id]);
    repository.delete_points(&gone, "golden", false).await.unwrap();
    let at_once = ReclaimOptions::default()
        .with_grace(Duration::ZERO)
        .with_rewrite_below_percent(100);
    repository.reclaim(at_once).wait().await.unwrap();
    repository
        .delete_points(
            &PointFilter::default().with_points(vec![points[2].id]),
            "golden",
            false,
        )
        .await
        .unwrap();
    repository
        .reclaim(ReclaimOptions::default())
        .wait()
        .await
        .unwrap();
    // A run that ends early leaves its progress.
    edit(&sources[1], &rng, 6);
    sources[1].break_stream(5);
    let often = BackupOptions::default().with_progress(ProgressLimits::default().with_items(1));
    let run = backup::start(&repository, sources[1].handle(), sources[1].object(), often);
    run.wait().await.unwrap_err();
    Image::of(&*objects).await.unwrap()
}

async fn rotate(repository: &Repository) {
    let mut key = [0; 32];
    key.copy_from_slice(&SeededRng::new(SEED + 2).bytes(32));
    let key: Secret = nakivo_core::format::RecoveryKey::from_random(key).into();
    let options = SlotOptions::default().with_label("recovery");
    repository.add_key_slot(key.clone(), options).await.unwrap();
    repository
        .rotate_keys(RotateOptions::default().with_kept(key))
        .await
        .unwrap();
}

/// One line for each part of each item of each point, and one for what has none: what a reader must find.
async fn contents(golden: Golden, repository: &Repository) -> String {
    let mut lines = BTreeSet::new();
    for manifest in all_points(repository) {
        let base = format!("{} {} {}", golden.name(), manifest.id, manifest.object.id);
        let mut entries = repository.scan(manifest.root, &ScanRange::all());
        while let Some(entry) = entries.next().await {
            let (_, record) = entry.unwrap();
            let item = format!("{base} {}|{}", record.container, record.id);
            if record.parts.is_empty() {
                lines.insert(format!("{item} -"));
            }
            for part in &record.parts {
                let mut hasher = blake3::Hasher::new();
                let mut body = repository.read_part(part);
                while let Some(piece) = body.next().await {
                    hasher.update(&piece.unwrap());
                }
                lines.insert(format!(
                    "{item} {} {} {}",
                    part.name,
                    part.size,
                    hasher.finalize()
                ));
            }
        }
    }
    lines.into_iter().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
}

/// Every file below, relative and with `/`, but for the list of their hashes itself.
fn files(version: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![version.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path
                .strip_prefix(version)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            if name != "hashes.txt" {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn hashes(files: &BTreeMap<String, Vec<u8>>) -> String {
    files.iter().fold(String::new(), |mut all, (name, bytes)| {
        let _ = writeln!(all, "{}  {name}", blake3::hash(bytes));
        all
    })
}

/// With `NAKIVO_WRITE_GOLDEN=1`, and only what is not there yet.
#[tokio::test]
async fn golden_repositories_are_written_once() {
    for (name, goldens, _) in FOLDERS {
        let version = folder().join(name);
        if std::env::var_os("NAKIVO_WRITE_GOLDEN").is_none() || version.exists() {
            assert!(version.exists(), "{name} is not there: NAKIVO_WRITE_GOLDEN=1");
            continue;
        }
        let mut expected = String::new();
        for golden in goldens {
            let image = make(*golden).await;
            for (path, bytes) in image.objects() {
                let file = version
                    .join(golden.name())
                    .join("NakivoBackup")
                    .join(path.as_ref());
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, bytes).unwrap();
            }
            expected += &contents(*golden, &golden.open(&Lab::memory(1), &image).await).await;
        }
        std::fs::write(version.join("contents.txt"), expected).unwrap();
        std::fs::write(version.join("hashes.txt"), hashes(&files(&version))).unwrap();
    }
}

#[test]
fn no_golden_file_was_changed() {
    let mut bytes = 0;
    for (name, goldens, known) in FOLDERS {
        let version = folder().join(name);
        let files = files(&version);
        assert!(goldens.iter().all(|golden| version.join(golden.name()).is_dir()));
        bytes += files.values().map(|file| file.len() as u64).sum::<u64>();
        let listed = std::fs::read_to_string(version.join("hashes.txt")).unwrap();
        assert_eq!(hashes(&files), listed, "{name}: golden files are append-only");
        assert_eq!(
            blake3::hash(listed.as_bytes()).to_string(),
            known,
            "{name}/hashes.txt was changed"
        );
    }
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    let folders = std::fs::read_dir(folder()).unwrap();
    let folders = folders.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), FOLDERS.len(), "a folder that no test knows");
}

/// Today's code opens each, verifies it, reads the very bytes, and goes on writing to a copy.
#[tokio::test]
async fn golden_repositories_are_read_and_written_on() {
    for (name, goldens, _) in FOLDERS {
        let version = folder().join(name);
        let expected = std::fs::read_to_string(version.join("contents.txt")).unwrap();
        let mut found = String::new();
        for golden in goldens {
            let what = format!("{name} {}", golden.name());
            let store = StoreLocation::directory(version.join(golden.name()))
                .open()
                .await
                .unwrap();
            let lab = Lab::memory(2);
            let repository = golden.open(&lab, &Image::of(&*store).await.unwrap()).await;
            let info = repository.info().await.unwrap();
            assert!(info.notes.is_empty() && !info.read_only, "{what}: {info:?}");
            let locked = info.immutable.as_ref().and_then(|promise| promise.locked_ms);
            assert_eq!(locked.is_some(), *golden == Golden::Immutable, "{what}: {info:?}");
            let report = verify(&repository).await.unwrap();
            assert!(report.damage.is_empty() && report.complete, "{what}: {report:?}");
            found += &contents(*golden, &repository).await;
            let next = source("two");
            edit(&next, &SeededRng::new(1), 0);
            lab.clock.advance(Duration::from_secs(30 * 86_400));
            back_up(&repository, &next).await.unwrap();
            repository
                .reclaim(ReclaimOptions::default())
                .wait()
                .await
                .unwrap();
            assert_sound(&repository, &what).await;
        }
        assert_eq!(found, expected, "{name}");
        announce(&format!(
            "counts: golden repositories of {name}: {} parts read",
            expected.lines().count()
        ));
    }
}
