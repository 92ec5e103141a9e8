//! Copying points into another repository: what arrives is what was there, whatever is killed, fails or is damaged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions, Outcome};
use nakivo_core::copy::{self, CopyOptions, CopyReport, CopyState, ProgressLimits};
use nakivo_core::format::Compression;
use nakivo_core::format::manifest::{Manifest, Protection};
use nakivo_core::repository::{CreateOptions, PointFilter, PointSelector, ReclaimOptions, Repository};
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_point, assert_sound, read_point, survey_point};
use nakivo_testkit::random::{SeededRng, announce, mix};
use nakivo_testkit::scenario::{Stage, mailbox};
use nakivo_testkit::scripted::{RandomEdits, ScriptedConnector, Settings};

use crate::faults::{Trouble, troubles};
use crate::many::{Failures, all_histories};

async fn copy_with(
    source: &Repository,
    target: &Repository,
    options: CopyOptions,
) -> nakivo_core::Result<CopyReport> {
    copy::start(source, target, options).wait().await
}

async fn copy_all(source: &Repository, target: &Repository) -> nakivo_core::Result<CopyReport> {
    copy_with(source, target, CopyOptions::default()).await
}

fn states(report: &CopyReport) -> Vec<CopyState> {
    report.points.iter().map(|point| point.state).collect()
}

/// A manifest without what is keyed, and without what may differ on purpose.
fn told(manifest: &Manifest) -> Manifest {
    let mut told = manifest.clone();
    let root = told.root.take().map(|root| (root.entries, root.bytes));
    told.description = Some(format!("{:?} {root:?}", told.description));
    (told.cursor, told.ledger) = (None, None);
    told
}

/// Checks that each point of the source is in the target, with everything it has.
async fn assert_copied(source: &Repository, target: &Repository, what: &str) {
    assert_sound(target, what).await;
    let copies: BTreeMap<_, _> = all_points(target)
        .into_iter()
        .map(|copy| (copy.id, copy))
        .collect();
    for original in all_points(source) {
        let Some(copy) = copies.get(&original.id) else {
            panic!("{what}: point {} is not in the target", original.id);
        };
        assert_eq!(told(copy), told(&original), "{what}: the manifests");
        let expected = read_point(source, &original).await.unwrap();
        assert_point(target, copy, &expected, what).await;
        assert_eq!(
            target.ledger(copy).await.unwrap(),
            source.ledger(&original).await.unwrap(),
            "{what}: the ledgers"
        );
        let cursors = (original.cursor.as_ref().unwrap(), copy.cursor.as_ref().unwrap());
        assert_eq!(
            source.read_blob_bytes(cursors.0).await.unwrap(),
            target.read_blob_bytes(cursors.1).await.unwrap(),
            "{what}: the cursors"
        );
    }
}

/// A repository with the two points of the fixed mailbox, and one of another object.
async fn two_points() -> Image {
    let lab = Lab::memory(61);
    let repository = lab.create().await.unwrap();
    back_up(&repository, &mailbox(Stage::First)).await.unwrap();
    lab.clock.advance(Duration::from_secs(60));
    back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    Image::of(&*lab.store).await.unwrap()
}

async fn open(image: &Image, seed: u64) -> Repository {
    Lab::over(image.open().await, seed).open().await.unwrap()
}

#[tokio::test]
async fn keeps_everything_and_does_nothing_twice() {
    let image = two_points().await;
    let source = open(&image, 1).await;
    let first = all_points(&source)[0].id;
    source.protect_point(first, Protection::Forever).await.unwrap();
    source
        .describe_point(first, Some("before".to_owned()))
        .await
        .unwrap();

    let lab = Lab::memory(62);
    let options = CreateOptions::default().with_compression(Compression::Best);
    let target = Repository::create(lab.store.clone(), options, lab.env.clone())
        .await
        .unwrap();
    let plan = copy::plan(&source, &target, &CopyOptions::default())
        .await
        .unwrap();
    assert!(plan.iter().all(|point| point.state == CopyState::Planned));
    assert!(all_points(&target).is_empty(), "a plan writes nothing");
    let report = copy_all(&source, &target).await.unwrap();
    assert_eq!(states(&report), [CopyState::Copied; 2]);
    assert_eq!(report.outcome, Outcome::Complete);
    assert_copied(&source, &target, "first copy").await;
    let (from, to) = (source.info().await.unwrap(), target.info().await.unwrap());
    assert!(
        to.unique_bytes < from.unique_bytes + from.unique_bytes / 20,
        "deduplicated as before: {} and {} bytes",
        from.unique_bytes,
        to.unique_bytes
    );
    // The second point shares with the first: what it shares is not read.
    assert!(
        report.written.bytes_read < from.logical_bytes * 2 / 3,
        "{} of {} bytes read",
        report.written.bytes_read,
        from.logical_bytes
    );

    let faults = FaultStore::new(lab.store.clone());
    let again = Lab::over(faults.handle(), 3).open().await.unwrap();
    faults.forget();
    let report = copy_all(&source, &again).await.unwrap();
    assert_eq!(states(&report), [CopyState::Present; 2]);
    assert_eq!(faults.count(OperationKind::Put), 0, "nothing is new");
    assert_eq!(
        faults.count(OperationKind::Get),
        1,
        "but for a look for newer commits"
    );
}

#[tokio::test]
async fn what_was_removed_stays_removed_and_what_is_late_is_told() {
    let image = two_points().await;
    let source = open(&image, 1).await;
    let (first, second) = (all_points(&source)[0].id, all_points(&source)[1].id);
    let lab = Lab::memory(63);
    let target = lab.create().await.unwrap();
    let only = |point| CopyOptions::default().with_points(vec![point]);
    let report = copy_with(&source, &target, only(second)).await.unwrap();
    assert_eq!(states(&report), [CopyState::Copied]);
    let report = copy_all(&source, &target).await.unwrap();
    assert_eq!(states(&report), [CopyState::Late, CopyState::Present]);
    assert_eq!(report.outcome, Outcome::Partial);
    let report = copy_with(&source, &target, CopyOptions::default().with_late(true))
        .await
        .unwrap();
    assert_eq!(states(&report), [CopyState::Copied, CopyState::Present]);
    assert_copied(&source, &target, "late").await;

    let filter = PointFilter::default().with_points(vec![first]);
    target.delete_points(&filter, "test", false).await.unwrap();
    let report = copy_all(&source, &target).await.unwrap();
    assert_eq!(states(&report), [CopyState::Removed, CopyState::Present]);
    assert_eq!(report.outcome, Outcome::Complete);

    let error = copy_all(&source, &open(&image, 5).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "into itself: {error:?}");
    let missing = "scripted/mailbox/nobody".parse().unwrap();
    let options = CopyOptions::default().with_objects(vec![missing]);
    let error = copy_with(&source, &target, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

#[derive(Debug, Default)]
struct Figures {
    points: u64,
    items: u64,
    copies: u64,
}

/// A random history with copies in between, retention on either side, and backups that go on from the copy.
async fn history(seed: u64) -> Figures {
    let what = format!("NAKIVO_SEED={seed}");
    let rng = SeededRng::new(mix(seed));
    let source = ScriptedConnector::new("random", Settings::default());
    let edits = RandomEdits::new(SeededRng::new(rng.next()), 4);
    let from = Lab::memory(seed);
    let to = Lab::memory(seed + 1_000_000);
    let original = from.create().await.unwrap();
    let copy = to.create().await.unwrap();
    let mut figures = Figures::default();
    let options =
        CopyOptions::default().with_progress(ProgressLimits::default().with_items(1 + rng.below(20)));
    for _ in 0..25 {
        let _ = source.try_edit(&edits.next(&source.view()));
    }
    for _ in 0..3 + rng.below(4) {
        for _ in 0..rng.below(12) {
            let _ = source.try_edit(&edits.next(&source.view()));
        }
        from.clock.advance(Duration::from_secs(60));
        back_up(&original, &source).await.unwrap();
        if rng.chance(50) {
            let report = copy_with(&original, &copy, options.clone()).await.unwrap();
            assert_eq!(report.outcome, Outcome::Complete, "{what}: {report:?}");
            figures.copies += 1;
        }
        if rng.chance(25) {
            copy.reclaim(ReclaimOptions::default().with_grace(Duration::ZERO))
                .wait()
                .await
                .unwrap();
        }
    }
    copy_with(&original, &copy, options).await.unwrap();
    let fresh = to.elsewhere(seed + 1).open().await.unwrap();
    assert_copied(&original, &fresh, &what).await;
    for manifest in all_points(&fresh) {
        figures.points += 1;
        figures.items += manifest.counts.items;
    }

    // A backup goes on from the copy as it would have gone on from the original.
    for _ in 0..5 {
        let _ = source.try_edit(&edits.next(&source.view()));
    }
    to.clock.advance(Duration::from_secs(36_000));
    let report = back_up(&fresh, &source).await.unwrap();
    let latest = fresh.point(&source.object().id, &PointSelector::Latest).unwrap();
    assert_eq!(latest.id, report.point);
    assert_point(
        &fresh,
        &latest,
        &source.truth(),
        &format!("{what} backup on top of the copy"),
    )
    .await;
    figures
}

/// 40 histories; `NAKIVO_HISTORIES` sets another number, `NAKIVO_SEED` repeats one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_arrive() {
    let (all, failures) = all_histories("copy", 40, history).await;
    let sum = |figure: fn(&Figures) -> u64| all.iter().map(figure).sum::<u64>();
    announce(&format!(
        "copy: {} histories, {} copies between backups, {} points with {} items compared",
        all.len(),
        sum(|f| f.copies),
        sum(|f| f.points),
        sum(|f| f.items)
    ));
    failures.assert_none();
}

/// Source and target at the beginning of a copy, and what an undisturbed one does.
struct Start {
    from: Image,
    to: Image,
    /// Operations of an undisturbed copy by kind: on the source, on the target.
    operations: [BTreeMap<OperationKind, u64>; 2],
    bytes_read: u64,
    chunks: usize,
}

fn often() -> CopyOptions {
    CopyOptions::default().with_progress(ProgressLimits::default().with_items(3))
}

impl Start {
    async fn new() -> Self {
        let from = two_points().await;
        let lab = Lab::memory(64);
        lab.create().await.unwrap();
        let to = Image::of(&*lab.store).await.unwrap();
        let stores = [
            FaultStore::new(from.open().await),
            FaultStore::new(to.open().await),
        ];
        let source = Lab::over(stores[0].handle(), 1).open().await.unwrap();
        let target = Lab::over(stores[1].handle(), 2).open().await.unwrap();
        stores.iter().for_each(FaultStore::forget);
        let report = copy_with(&source, &target, often()).await.unwrap();
        let operations = stores.each_ref().map(|store| {
            let kinds = OperationKind::ALL.into_iter();
            kinds.map(|kind| (kind, store.count(kind))).collect()
        });
        Self {
            from,
            to,
            operations,
            bytes_read: report.written.bytes_read,
            chunks: target.info().await.unwrap().chunks,
        }
    }

    /// Copies once more, undisturbed, with nothing remembered, and checks everything. Returns the bytes that were read.
    async fn repeat(&self, lab: &Lab, what: &str) -> u64 {
        let source = open(&self.from, 7).await;
        let target = lab
            .elsewhere(8)
            .open()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_sound(&target, what).await;
        let report = copy_with(&source, &target, often())
            .await
            .unwrap_or_else(|error| panic!("{what}: the repeated copy: {error:?}"));
        assert_eq!(report.outcome, Outcome::Complete, "{what}: {report:?}");
        assert_copied(&source, &target, what).await;
        assert!(
            target.progress_of(&mailbox(Stage::First).object().id).is_empty(),
            "{what}: progress is left behind"
        );
        report.written.bytes_read
    }
}

/// Nothing reaches the target's store any more from operation `number` on: what a kill leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_cut_off_at_every_operation_goes_on() {
    let start = Start::new().await;
    let failures = Failures::default();
    let total: u64 = start.operations[1].values().sum();
    let (mut cases, mut spared) = (0u64, 0u64);
    for number in 0..total {
        let what = format!("cut off at operation {number} of {total}");
        let store = start.to.open().await;
        let faults = FaultStore::new(store.clone());
        let source = open(&start.from, 3).await;
        let target = Lab::over(faults.handle(), 4).open().await.unwrap();
        faults.forget();
        faults.inject(Rule::new(
            Matcher::any(),
            When::From(number),
            Fault::Fail(Failure::PermissionDenied),
        ));
        let case = async {
            match copy_with(&source, &target, often()).await {
                // What it asks last may be left out.
                Ok(report) => assert_eq!(report.outcome, Outcome::Complete, "{what}"),
                Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{what}: {error:?}"),
            }
            let lab = Lab::over(store.clone(), 5);
            let read = start.repeat(&lab, &what).await;
            let chunks = lab.open().await.unwrap().info().await.unwrap().chunks;
            // Spills of progress, and a chunk for the name of each pack.
            assert!(
                chunks <= start.chunks + 12,
                "{what}: {chunks} chunks in the index, {} after an undisturbed copy",
                start.chunks
            );
            read
        };
        cases += 1;
        let read = failures.attempt(case).await.unwrap_or(start.bytes_read);
        spared += u64::from(read < start.bytes_read * 9 / 10);
    }
    announce(&format!(
        "copy: cut off at each of {cases} operations; in {spared} cases the second call read less than the first would have"
    ));
    failures.assert_none();
    assert!(cases > 20 && spared > 10, "{spared} of {cases}");
}

async fn disturb(start: &Start, side: usize, trouble: &Trouble, number: u64) -> bool {
    let name = ["source", "target"][side];
    let what = format!("{name}, operation {number}: {}", trouble.name);
    let plain = start.to.open().await;
    let stores = [
        FaultStore::new(start.from.open().await),
        FaultStore::new(plain.clone()),
    ];
    let source = Lab::over(stores[0].handle(), 3).open().await.unwrap();
    let target = Lab::over(stores[1].handle(), 4).open().await.unwrap();
    stores.iter().for_each(FaultStore::forget);
    stores[side].inject(trouble.rule(number));
    let result = copy_with(&source, &target, often()).await;
    let lab = Lab::over(plain, 5);
    match &result {
        Ok(report) => {
            assert_eq!(
                report.outcome,
                Outcome::Complete,
                "{what}: what was damaged on the way once is intact in the store"
            );
            assert_copied(&open(&start.from, 6).await, &lab.open().await.unwrap(), &what).await;
        }
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Internal, "{what}: {error:?}");
            assert!(!trouble.passes, "{what}: not waited out: {error:?}");
            if let Some(expected) = trouble.ends_in {
                assert_eq!(error.kind(), expected, "{what}: {error:?}");
            }
        }
    }
    start.repeat(&lab, &format!("{what}, repeated")).await;
    result.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_survives_a_fault_at_every_operation_of_either_side() {
    let start = Start::new().await;
    let troubles = troubles();
    let mut cases = Vec::new();
    for (side, operations) in start.operations.iter().enumerate() {
        for trouble in &troubles {
            let count = operations.get(&trouble.kind).copied().unwrap_or(0);
            cases.extend((0..count).map(|number| (side, trouble, number)));
        }
    }
    let count = cases.len();
    let failures = Failures::default();
    let start = &start;
    let completed = futures::stream::iter(cases)
        .map(|(side, trouble, number)| failures.attempt(disturb(start, side, trouble, number)))
        .buffer_unordered(4)
        .filter(|completed| std::future::ready(*completed == Some(true)))
        .count()
        .await;
    announce(&format!(
        "copy: {count} faults over {:?}; {completed} copies completed at once, {} after one repetition",
        start.operations,
        count - completed
    ));
    failures.assert_none();
    assert!(count > 100);
}

/// What the source cannot give is listed in the copy and in the report, and nothing else is missing.
async fn assert_partial(damaged: &Image, whole: &LogicalContent, what: &str) -> Option<u64> {
    let source = Lab::over(damaged.open().await, 3).open().await.unwrap();
    let lab = Lab::memory(66);
    let target = lab.create().await.unwrap();
    let report = copy_all(&source, &target).await.unwrap();
    let mut missing = 0;
    for point in &report.points {
        let original = all_points(&source)
            .into_iter()
            .find(|one| one.id == point.point)
            .unwrap();
        let readable = survey_point(&source, &original).await;
        if point.state == CopyState::Failed {
            assert!(
                readable.incomplete.is_some() && !point.issues.is_empty(),
                "{what}"
            );
            continue;
        }
        let copy = target
            .point(&original.object.id, &PointSelector::Id(point.point.to_string()))
            .unwrap();
        let content = read_point(&target, &copy).await.unwrap();
        let lost = original.root.unwrap().entries - copy.root.map_or(0, |root| root.entries);
        assert_eq!(
            lost > 0,
            point.state == CopyState::CopiedPartly,
            "{what}: {point:?}"
        );
        assert_eq!(
            copy.counts.failed - original.counts.failed,
            lost,
            "{what}: each lost item is counted"
        );
        assert_eq!(
            target.ledger(&copy).await.unwrap(),
            point.issues,
            "{what}: and listed"
        );
        if readable.incomplete.is_none() {
            content.assert_equal(&readable.content, what);
            assert_eq!(point.issues.len() as u64, lost, "{what}");
            for (_, id) in readable.damaged.keys() {
                let listed = |issue: &nakivo_core::format::manifest::LedgerEntry| {
                    issue.retry && issue.item.as_ref().is_some_and(|item| item.id() == id)
                };
                assert!(point.issues.iter().any(listed), "{what}: {id} is not listed");
            }
        } else {
            assert!(!point.issues.is_empty() && lost > 0, "{what}");
        }
        missing += lost;
    }
    let lacking = report.points.iter().any(|point| point.state.is_lacking());
    assert_eq!(lacking, report.outcome == Outcome::Partial, "{what}");
    assert_sound(&target, what).await;
    // A second call says it again.
    let again = copy_all(&source, &target).await.unwrap();
    assert_eq!(again.outcome, report.outcome, "{what}: the second call");
    // What is missing is asked for by the next backup on top of the copy.
    let mailbox = mailbox(Stage::Second);
    lab.clock.advance(Duration::from_secs(36_000));
    backup::start(
        &target,
        mailbox.handle(),
        mailbox.object(),
        BackupOptions::default(),
    )
    .wait()
    .await
    .unwrap();
    let latest = target
        .point(&mailbox.object().id, &PointSelector::Latest)
        .unwrap();
    assert_point(&target, &latest, whole, &format!("{what}, the next backup")).await;
    (missing > 0).then_some(missing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_the_source_is_listed_and_takes_nothing_else_along() {
    let image = two_points().await;
    let whole = mailbox(Stage::Second).truth();
    let failures = Failures::default();
    let (mut cases, mut partial, mut missing) = (0u64, 0u64, 0u64);
    let rng = SeededRng::from_environment("copy damage", 67);
    for (path, bytes) in image.objects() {
        if !path.as_ref().starts_with("packs/") {
            continue;
        }
        let mut damaged = vec![image.without(path)];
        for _ in 0..40 {
            let mut flipped = bytes.to_vec();
            flipped[rng.index(bytes.len())] ^= 1 << rng.below(8);
            damaged.push(image.with(path, flipped));
        }
        for (number, damaged) in damaged.iter().enumerate() {
            cases += 1;
            let what = format!("{path}, damage {number}, {}", rng.seed());
            if let Some(Some(lost)) = failures.attempt(assert_partial(damaged, &whole, &what)).await {
                partial += 1;
                missing += lost;
            }
        }
    }
    announce(&format!(
        "copy: {cases} damaged sources, {partial} copies are partial, {missing} entries listed as lost"
    ));
    failures.assert_none();
    assert!(partial > cases / 4, "{partial} of {cases}");
}

/// A point of the source that retention removes while it is copied is not taken for damaged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_that_goes_while_it_is_copied_is_not_damaged() {
    let image = two_points().await;
    let store = image.open().await;
    let faults = FaultStore::new(store.clone());
    let source = Lab::over(faults.handle(), 3).open().await.unwrap();
    faults.forget();
    let first = all_points(&source)[0].id;
    let (handle, other) = (
        tokio::runtime::Handle::current(),
        Lab::over(store, 4).open().await.unwrap(),
    );
    let once = Arc::new(std::sync::Once::new());
    faults.before_operations(move |operation| {
        if operation.kind == OperationKind::Get && operation.path.as_ref().starts_with("packs/") {
            once.call_once(|| {
                let (handle, other) = (handle.clone(), other.clone());
                let work = move || {
                    handle.block_on(async {
                        let filter = PointFilter::default().with_points(vec![first]);
                        other.delete_points(&filter, "test", false).await.unwrap();
                        let options = ReclaimOptions::default()
                            .with_grace(Duration::ZERO)
                            .with_rewrite_below_percent(100);
                        other.reclaim(options).wait().await.unwrap();
                    });
                };
                std::thread::spawn(work).join().unwrap();
            });
        }
    });
    let target = Lab::memory(68).create().await.unwrap();
    let report = copy_all(&source, &target).await.unwrap();
    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_eq!(states(&report)[1], CopyState::Copied, "{report:?}");
    assert!(matches!(states(&report)[0], CopyState::Gone | CopyState::Copied));
    assert_sound(&target, "after it went").await;
}
