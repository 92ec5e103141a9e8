//! Every kind of damage to every object of a small repository: it is noticed, named, and takes nothing else along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::many::Failures;
use nakivo_core::ErrorKind;
use nakivo_core::format::ids::PointId;
use nakivo_core::repository::Repository;
use nakivo_testkit::content::{Content, mail, prose};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, survey_point, verify};
use nakivo_testkit::random::{SeededRng, announce, environment_number, mix};
use nakivo_testkit::scripted::{Edit, ScriptedConnector, Settings};
use object_store::path::Path;

/// A repository with 17 points, a checkpoint behind it, and what each point holds.
struct Golden {
    image: Image,
    points: BTreeMap<PointId, LogicalContent>,
}

impl Golden {
    async fn new() -> Self {
        let mut making = Making::begin("golden", 77).await;
        making.source.edit(&Edit::AddContainer {
            id: "sub".into(),
            parent: "inbox".into(),
            name: "Sub".into(),
        });
        let folder = |number: usize| ["inbox", "sub"][number % 2];
        let large = Content::Generated {
            seed: 1,
            size: 40_000,
        };
        making.put(folder(0), "m00", large);
        let attached = mail("attached", "see below", &making.rng.bytes(9_000));
        making.put(folder(1), "m01", attached);
        for number in 2..8 {
            making.put_mail(folder(number), &format!("m{number:02}"), 800);
        }
        for number in 0..17 {
            if number > 0 {
                making.put_mail(folder(7 + number), &format!("m{:02}", 7 + number), 200);
                making.source.edit(&Edit::Remove {
                    id: format!("m{:02}", number + 1),
                });
            }
            making.back_up().await;
        }
        making.end().await
    }

    /// The smallest repository with every kind of object but a checkpoint: two points, three items.
    async fn small() -> Self {
        let mut making = Making::begin("small", 79).await;
        for round in 0..2 {
            for number in 0..=1 - round {
                making.put_mail("inbox", &format!("m{round}{number}"), 300);
            }
            making.back_up().await;
        }
        making.end().await
    }
}

/// A golden repository that is being made.
struct Making {
    lab: Lab,
    repository: Repository,
    source: ScriptedConnector,
    rng: SeededRng,
    points: BTreeMap<PointId, LogicalContent>,
}

impl Making {
    /// A new repository, and a source with one empty folder.
    async fn begin(name: &str, seed: u64) -> Self {
        let lab = Lab::memory(seed);
        let repository = lab.create().await.unwrap();
        let source = ScriptedConnector::new(name, Settings::default());
        source.edit(&Edit::AddContainer {
            id: "inbox".into(),
            parent: String::new(),
            name: "Inbox".into(),
        });
        Self {
            lab,
            repository,
            source,
            rng: SeededRng::new(seed + 1),
            points: BTreeMap::new(),
        }
    }

    fn put(&self, folder: &str, id: &str, content: Content) {
        self.source.edit(&Edit::Put {
            container: folder.into(),
            id: id.into(),
            name: format!("Item {id}"),
            parts: BTreeMap::from([("mime".to_owned(), content)]),
        });
    }

    fn put_mail(&self, folder: &str, id: &str, length: usize) {
        self.put(folder, id, mail("mail", &prose(&self.rng, length), b""));
    }

    async fn back_up(&mut self) {
        self.lab.clock.advance(Duration::from_secs(60));
        let report = back_up(&self.repository, &self.source).await.unwrap();
        self.points.insert(report.point, self.source.truth());
    }

    async fn end(self) -> Golden {
        Golden {
            image: Image::of(&*self.lab.store).await.unwrap(),
            points: self.points,
        }
    }
}

/// What became of the damaged repositories.
#[derive(Debug, Default)]
struct Figures {
    failures: Failures,
    cases: AtomicU64,
    refused: AtomicU64,
    reported: AtomicU64,
    items_read: AtomicU64,
    items_lost: AtomicU64,
}

impl Figures {
    fn announce(&self, what: &str, started: Instant) {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        announce(&format!(
            "damage, {what}: {} cases, {} refused on opening, {} reported by verify; {} items read equal, {} reported as \
             lost; {:.1} s",
            read(&self.cases),
            read(&self.refused),
            read(&self.reported),
            read(&self.items_read),
            read(&self.items_lost),
            started.elapsed().as_secs_f64()
        ));
        self.failures.assert_none();
    }
}

/// How an object may legitimately be told by: its own path, or a part of it that names it.
fn names(text: &str, path: &Path) -> bool {
    text.contains(path.as_ref()) || path.filename().is_some_and(|name| text.contains(name))
}

/// Opens the damaged repository and checks what is promised about it. `survey`: also reads every item of every point.
async fn examine(golden: &Golden, damaged: &Image, path: &Path, what: &str, survey: bool, figures: &Figures) {
    figures.cases.fetch_add(1, Ordering::Relaxed);
    let lab = Lab::over(damaged.open().await, 5);
    let repository = match lab.open().await {
        Ok(repository) => repository,
        Err(error) => {
            // Only what holds the key or says what this is may keep a repository from opening.
            let essential = path.as_ref() == "format.json" || path.as_ref().starts_with("keys/");
            assert!(essential, "{what}: the repository does not open: {error:?}");
            let clear = [
                ErrorKind::Corrupt,
                ErrorKind::UnsupportedFormat,
                ErrorKind::WrongPassphrase,
                ErrorKind::RepositoryMissing,
            ];
            assert!(clear.contains(&error.kind()), "{what}: {error:?}");
            let named = names(&format!("{error:?}"), path)
                || path.as_ref().starts_with("keys/")
                || error.kind() == ErrorKind::RepositoryMissing;
            assert!(named, "{what}: the error does not name the object: {error:?}");
            figures.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
    };
    let report = verify(&repository)
        .await
        .unwrap_or_else(|error| panic!("{what}: verify fails: {error:?}"));
    let named = report.damage.iter().any(|damage| names(&damage.object, path));
    assert!(named, "{what}: verify does not name {path}: {:?}", report.damage);
    figures.reported.fetch_add(1, Ordering::Relaxed);
    if survey {
        let lost = read_all(golden, &repository, what, figures).await;
        let listed: BTreeSet<(String, String)> = report
            .damage
            .iter()
            .flat_map(|damage| &damage.affected)
            .map(|affected| (affected.point.to_string(), affected.path.clone()))
            .collect();
        assert!(
            lost == 0 || !listed.is_empty() || !path.as_ref().starts_with("packs/"),
            "{what}: {lost} items cannot be read and verify names none: {:?}",
            report.damage
        );
    }
}

/// Reads every item of every listed point: equal or an error, never anything else. Returns how many could not be read.
async fn read_all(golden: &Golden, repository: &Repository, what: &str, figures: &Figures) -> u64 {
    let mut lost = 0;
    for manifest in all_points(repository) {
        let expected = golden.points.get(&manifest.id);
        let expected = expected.unwrap_or_else(|| panic!("{what}: a point that never was: {}", manifest.id));
        let survey = survey_point(repository, &manifest).await;
        for (place, item) in &survey.content.items {
            assert_eq!(
                Some(item),
                expected.items.get(place),
                "{what}: {place:?} is read wrong without an error"
            );
        }
        for (place, error) in &survey.damaged {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {place:?}: {error:?}");
        }
        if let Some(error) = &survey.incomplete {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
        } else {
            let found = survey.content.items.len() + survey.damaged.len();
            assert_eq!(
                found,
                expected.items.len(),
                "{what}: items of {} without a word",
                manifest.id
            );
        }
        let read = survey.content.items.len() as u64;
        lost += expected.items.len() as u64 - read;
        figures.items_read.fetch_add(read, Ordering::Relaxed);
    }
    figures.items_lost.fetch_add(lost, Ordering::Relaxed);
    lost
}

/// Runs the cases on two threads.
async fn spread<C: Send + 'static>(
    golden: &Arc<Golden>,
    figures: &Arc<Figures>,
    cases: Vec<C>,
    examine_one: impl AsyncFn(&Golden, C, &Figures) + Send + Sync + Copy + 'static,
) {
    let mut halves: Vec<Vec<C>> = vec![Vec::new(), Vec::new()];
    for (number, case) in cases.into_iter().enumerate() {
        halves[number % 2].push(case);
    }
    let threads: Vec<_> = halves
        .into_iter()
        .map(|half| {
            let (golden, figures) = (golden.clone(), figures.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for case in half {
                        figures
                            .failures
                            .attempt(examine_one(&golden, case, &figures))
                            .await;
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        if let Err(panic) = tokio::task::spawn_blocking(move || thread.join()).await.unwrap() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn flipped(image: &Image, path: &Path, bit: u64) -> Image {
    let mut bytes = image.objects()[path].to_vec();
    let at = usize::try_from(bit / 8).unwrap();
    bytes[at] ^= 1 << (bit % 8);
    image.with(path, bytes)
}

/// Every bit of the small repository.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_bit_is_noticed_and_named() {
    flip(Golden::small().await, 1, "every bit").await;
}

/// Bits spread over the larger repository; `NAKIVO_FLIP_STRIDE=N`: one in every N bytes, 1 for every bit of every byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_anywhere_is_noticed_and_named() {
    let golden = Golden::new().await;
    assert!(golden.image.bytes() >= 64 << 10);
    let stride = environment_number("NAKIVO_FLIP_STRIDE").unwrap_or(251);
    flip(golden, stride, "flipped bits").await;
}

/// Flips a bit in one of every `stride` bytes, and in each of an object's first; with a stride of 1, every bit there is.
async fn flip(golden: Golden, stride: u64, title: &str) {
    let started = Instant::now();
    let golden = Arc::new(golden);
    let mut cases = Vec::new();
    let mut whole = 0u64;
    for (path, bytes) in golden.image.objects() {
        let length = bytes.len() as u64;
        whole += length * 8;
        let mut at = 0;
        while at < length {
            if stride == 1 {
                cases.extend((0..8).map(|bit| (path.clone(), at * 8 + bit)));
                at += 1;
            } else {
                cases.push((path.clone(), at * 8 + mix(at) % 8));
                // The first bytes hold the header, in which every byte means something else.
                at += if at < 96 { (stride / 32).max(1) } else { stride };
            }
        }
    }
    let figures = Arc::new(Figures::default());
    announce(&format!(
        "damage: {} of {whole} bits in {} objects, {} bytes",
        cases.len(),
        golden.image.objects().len(),
        golden.image.bytes()
    ));
    assert!(cases.len() > 1_000);
    spread(
        &golden,
        &figures,
        cases,
        async |golden: &Golden, (path, bit): (Path, u64), figures: &Figures| {
            let what = format!("{path}, bit {bit}");
            let survey = bit % 13 == 0;
            examine(
                golden,
                &flipped(&golden.image, &path, bit),
                &path,
                &what,
                survey,
                figures,
            )
            .await;
        },
    )
    .await;
    figures.announce(title, started);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_or_lengthened_object_is_noticed_and_named() {
    let started = Instant::now();
    let golden = Arc::new(Golden::new().await);
    let mut cases = Vec::new();
    for (path, bytes) in golden.image.objects() {
        let length = bytes.len();
        let mut lengths: BTreeSet<usize> = [0, 1, 7, 8, 63, 64, 65, 79, 80, 81, length / 2].into();
        lengths.extend((1..=20).map(|less| length.saturating_sub(less)));
        lengths.extend((0..10).map(|tenth| length * tenth / 10));
        cases.extend(
            lengths
                .into_iter()
                .filter(|l| *l < length)
                .map(|l| (path.clone(), Some(l))),
        );
        cases.push((path.clone(), None));
    }
    let figures = Arc::new(Figures::default());
    spread(
        &golden,
        &figures,
        cases,
        async |golden: &Golden, (path, length): (Path, Option<usize>), figures: &Figures| {
            let bytes = &golden.image.objects()[&path];
            let (changed, what) = match length {
                Some(length) => (
                    bytes.slice(..length),
                    format!("{path}, cut to {length} of {}", bytes.len()),
                ),
                None => (
                    [&bytes[..], b"\0"].concat().into(),
                    format!("{path}, one byte too long"),
                ),
            };
            // All lengths are refused alike: every item of every point is read after one in three.
            let survey = length.is_none_or(|length| length % 3 == 0);
            examine(
                golden,
                &golden.image.with(&path, changed),
                &path,
                &what,
                survey,
                figures,
            )
            .await;
        },
    )
    .await;
    figures.announce("lengths", started);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_swapped_object_is_noticed_and_named() {
    let started = Instant::now();
    let golden = Arc::new(Golden::new().await);
    let mut cases = Vec::new();
    for path in golden.image.objects().keys() {
        cases.push((path.clone(), None));
        let folder = |path: &Path| path.as_ref().split('/').next().unwrap().to_owned();
        let others = golden
            .image
            .objects()
            .keys()
            .filter(|other| *other != path && folder(other) == folder(path));
        cases.extend(others.map(|other| (path.clone(), Some(other.clone()))));
    }
    let figures = Arc::new(Figures::default());
    // The newest commit and an old checkpoint may be absent without anybody being able to tell: a first-time reader has
    // seen no head. That case is `a_store_that_shows_an_older_history_is_noticed`.
    let newest = golden
        .image
        .objects()
        .keys()
        .filter(|path| path.as_ref().starts_with("log/"))
        .max()
        .cloned();
    cases.retain(|(path, other)| {
        other.is_some() || (Some(path) != newest.as_ref() && !path.as_ref().starts_with("checkpoint/"))
    });
    spread(
        &golden,
        &figures,
        cases,
        async |golden: &Golden, (path, other): (Path, Option<Path>), figures: &Figures| {
            let (image, what) = match other {
                None => (golden.image.without(&path), format!("{path} is missing")),
                Some(other) => {
                    let bytes = golden.image.objects()[&other].clone();
                    (golden.image.with(&path, bytes), format!("{path} holds {other}"))
                }
            };
            examine(golden, &image, &path, &what, true, figures).await;
        },
    )
    .await;
    figures.announce("missing and swapped objects", started);
}

/// Every older history of the store, shown to a machine that has seen the newest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_shows_an_older_history_is_noticed() {
    let golden = Golden::new().await;
    let lab = Lab::over(golden.image.open().await, 5);
    lab.open().await.unwrap();
    let mut log: Vec<&Path> = golden
        .image
        .objects()
        .keys()
        .filter(|path| path.as_ref().starts_with("log/"))
        .collect();
    log.sort();
    let mut older = golden.image.clone();
    let mut cases = 0;
    while let Some(newest) = log.pop() {
        older = older.without(newest);
        for path in golden
            .image
            .objects()
            .keys()
            .filter(|path| path.as_ref().starts_with("checkpoint/"))
        {
            if path.filename() >= newest.filename() {
                older = older.without(path);
            }
        }
        let lab = Lab {
            store: older.open().await,
            ..lab.clone()
        };
        let error = lab.open().await.map(|_| ()).expect_err("an older history");
        assert_eq!(
            error.kind(),
            ErrorKind::HistoryRewound,
            "without {newest}: {error:?}"
        );
        cases += 1;
    }
    announce(&format!("damage: {cases} older histories, all noticed"));
    assert!(cases >= 17);
}
