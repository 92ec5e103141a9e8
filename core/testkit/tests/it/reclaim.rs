//! Reclaim beside backups: whatever comes between what, every point stays whole, and what nothing needs goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions, ProgressLimits};
use nakivo_core::format::ids::PointId;
use nakivo_core::repository::{HealOptions, PointFilter, ReclaimOptions, ReclaimReport, Repository};
use nakivo_testkit::content::{Content, mail, prose};
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_sound, read_point};
use nakivo_testkit::random::{SeededRng, announce};
use nakivo_testkit::scenario::{Stage, mailbox};
use nakivo_testkit::scripted::{Edit, ScriptedConnector, Settings};

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::many::{Failures, sampled};

fn at_once() -> ReclaimOptions {
    ReclaimOptions::default().with_grace(Duration::ZERO)
}

pub(crate) async fn reclaim(repository: &Repository) -> nakivo_core::Result<ReclaimReport> {
    repository.reclaim(at_once()).wait().await
}

fn put(id: &str, content: Content) -> Edit {
    Edit::Put {
        container: "inbox".into(),
        id: id.into(),
        name: format!("Item {id}"),
        parts: BTreeMap::from([("mime".to_owned(), content)]),
    }
}

fn contents() -> Vec<Content> {
    let rng = SeededRng::new(31);
    (0..8)
        .map(|number| {
            let attached = if number < 4 { rng.bytes(20_000) } else { Vec::new() };
            mail(&format!("Number {number}"), &prose(&rng, 900), &attached)
        })
        .collect()
}

/// Items are fetched one after the other: what a run stores, and in which order, does not depend on how busy the machine is.
fn one_by_one() -> Settings {
    Settings {
        fetch_concurrency: 1,
        ..Settings::default()
    }
}

/// The source at one of three stages. Always the same, including its cursors.
fn source(stage: u8) -> ScriptedConnector {
    let source = ScriptedConnector::new("steady", one_by_one());
    source.edit(&Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    let contents = contents();
    let add = |id: &str, content: usize| source.edit(&put(id, contents[content].clone()));
    let remove = |id: &str| source.edit(&Edit::Remove { id: id.into() });
    for (id, content) in [("a", 0), ("b", 1), ("c", 2), ("d", 4), ("e", 5)] {
        add(id, content);
    }
    if stage >= 2 {
        ["b", "c", "e"].into_iter().for_each(remove);
        add("f", 6);
    }
    if stage >= 3 {
        // Among new mail the very bytes that only the first stage had.
        remove("d");
        for (id, content) in [("again", 1), ("and again", 5), ("new", 7)] {
            add(id, content);
        }
    }
    source
}

/// Another mailbox, in which much is equal to what the first has at its third stage.
pub(crate) fn another() -> ScriptedConnector {
    let source = ScriptedConnector::new("another", one_by_one());
    source.edit(&Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    let contents = contents();
    for (id, content) in [("x", 1), ("y", 5), ("z", 7)] {
        source.edit(&put(id, contents[content].clone()));
    }
    source
}

/// A repository whose first point is gone, and with it the only point that needed some of its data.
pub(crate) struct Start {
    pub(crate) image: Image,
    points: BTreeMap<PointId, LogicalContent>,
}

impl Start {
    pub(crate) async fn new() -> Self {
        let lab = Lab::memory(41);
        let repository = lab.create().await.unwrap();
        let gone = back_up(&repository, &source(1)).await.unwrap().point;
        lab.clock.advance(Duration::from_secs(60));
        let second = source(2);
        let mut points = BTreeMap::new();
        points.insert(back_up(&repository, &second).await.unwrap().point, second.truth());
        let filter = PointFilter::default().with_points(vec![gone]);
        let deleted = repository.delete_points(&filter, "test", false).await.unwrap();
        assert_eq!(deleted.deleted, [gone]);
        Self {
            image: Image::of(&*lab.store).await.unwrap(),
            points,
        }
    }

    /// What the next run finds: among new mail the very bytes that only the deleted point needed.
    pub(crate) fn next() -> ScriptedConnector {
        source(3)
    }

    /// The repository holds the points of the start and those added since, each with its content, and nothing else.
    async fn check(&self, lab: &Lab, added: &BTreeMap<PointId, LogicalContent>, what: &str) {
        let repository = lab
            .open()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let info = repository.info().await.unwrap();
        assert!(info.notes.is_empty() && !info.read_only, "{what}: {info:?}");
        assert_sound(&repository, what).await;
        let mut expected = self.points.clone();
        expected.extend(added.clone());
        let found = all_points(&repository);
        assert_eq!(
            found.iter().map(|manifest| manifest.id).collect::<BTreeSet<_>>(),
            expected.keys().copied().collect(),
            "{what}: points"
        );
        for manifest in found {
            let content = read_point(&repository, &manifest).await.unwrap();
            content.assert_equal(&expected[&manifest.id], what);
        }
    }

    /// As [`Start::settle_all`], after a run of [`Start::next`] or none.
    async fn settle(&self, lab: &Lab, added: Option<PointId>, what: &str) {
        self.settle_all(lab, Self::added(added), what).await;
    }

    fn added(point: Option<PointId>) -> BTreeMap<PointId, LogicalContent> {
        point
            .into_iter()
            .map(|point| (point, Self::next().truth()))
            .collect()
    }

    /// Whatever happened, the next run and the next reclaim find everything right, and nothing is left behind.
    pub(crate) async fn settle_all(
        &self,
        lab: &Lab,
        mut added: BTreeMap<PointId, LogicalContent>,
        what: &str,
    ) {
        self.check(lab, &added, what).await;
        let repository = lab.elsewhere(7).open().await.unwrap();
        if added.is_empty() {
            let point = back_up(&repository, &Self::next())
                .await
                .unwrap_or_else(|error| panic!("{what}: the repeated run: {error:?}"))
                .point;
            added = Self::added(Some(point));
        }
        // Twice: the first may find packs that others had tombstoned and delete what it tombstones itself.
        for _ in 0..2 {
            reclaim(&repository)
                .await
                .unwrap_or_else(|error| panic!("{what}: the next reclaim: {error:?}"));
        }
        self.check(lab, &added, what).await;
        nothing_left_behind(lab, what).await;
    }
}

/// The store holds the packs and index segments of the state and no others.
async fn nothing_left_behind(lab: &Lab, what: &str) {
    let repository = lab.open().await.unwrap();
    let info = repository.info().await.unwrap();
    let image = Image::of(&*lab.store).await.unwrap();
    let packs: u64 = image
        .objects()
        .iter()
        .filter(|(path, _)| path.as_ref().starts_with("packs/"))
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    assert_eq!(
        packs, info.stored_bytes,
        "{what}: bytes of packs in the store, and in use"
    );
    let again = repository
        .reclaim(at_once().with_preview(true))
        .wait()
        .await
        .unwrap();
    assert_eq!(again.reclaimable_bytes(), 0, "{what}: {again:?}");
}

#[tokio::test]
async fn frees_what_nothing_needs_and_nothing_else() {
    let start = Start::new().await;
    let lab = Lab::over(start.image.open().await, 2);
    let repository = lab.open().await.unwrap();
    let before = repository.info().await.unwrap().stored_bytes;

    let preview = repository
        .reclaim(at_once().with_preview(true))
        .wait()
        .await
        .unwrap();
    assert!(
        preview.preview && preview.reclaimable_bytes() > 40_000,
        "{preview:?}"
    );
    assert_eq!(
        Image::of(&*lab.store).await.unwrap().objects(),
        start.image.objects()
    );

    let report = reclaim(&repository).await.unwrap();
    let info = repository.info().await.unwrap();
    let opened_anew = lab.elsewhere(3).open().await.unwrap().info().await.unwrap();
    assert_eq!(
        (info.packs, info.chunks, info.unique_bytes),
        (opened_anew.packs, opened_anew.chunks, opened_anew.unique_bytes),
        "figures"
    );
    let after = info.stored_bytes;
    assert!(after < before / 2, "{before} bytes became {after}: {report:?}");
    assert!(report.freed_bytes >= before - after, "{report:?}");
    assert_eq!(report.waiting_packs, 0);
    start.check(&lab, &Start::added(None), "after reclaim").await;
    nothing_left_behind(&lab, "after reclaim").await;

    let idle = reclaim(&repository).await.unwrap();
    assert_eq!((idle.freed_bytes, idle.deleted_objects), (0, 0), "{idle:?}");
}

#[tokio::test]
async fn the_grace_period_is_waited_out() {
    let start = Start::new().await;
    let lab = Lab::over(start.image.open().await, 2);
    let repository = lab.open().await.unwrap();
    let objects = Image::of(&*lab.store).await.unwrap().objects().len();
    let first = repository
        .reclaim(ReclaimOptions::default())
        .wait()
        .await
        .unwrap();
    assert!(first.waiting_packs > 0 && first.freed_bytes == 0, "{first:?}");
    assert!(Image::of(&*lab.store).await.unwrap().objects().len() > objects);
    start.check(&lab, &Start::added(None), "tombstoned").await;

    lab.clock.advance(Duration::from_secs(23 * 3600));
    let early = repository
        .reclaim(ReclaimOptions::default())
        .wait()
        .await
        .unwrap();
    assert_eq!(early.freed_bytes, 0, "{early:?}");
    lab.clock.advance(Duration::from_secs(2 * 3600));
    let late = repository
        .reclaim(ReclaimOptions::default())
        .wait()
        .await
        .unwrap();
    assert!(late.freed_bytes > 0 && late.waiting_packs == 0, "{late:?}");
    start.check(&lab, &Start::added(None), "removed").await;
}

/// A run that found data and was slow to commit brings it back from the tombstones, instead of being refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_brings_back_what_was_tombstoned_while_it_read() {
    let start = Start::new().await;
    let lab = Lab::over(start.image.open().await, 2);
    let slow = lab.elsewhere(8).open().await.unwrap();
    let other = lab.open().await.unwrap();
    // Between the run's first look and its commit.
    let source = Start::next();
    let buried = Arc::new(AtomicU64::new(0));
    let (count, handle) = (buried.clone(), tokio::runtime::Handle::current());
    source.edit_during(move |_, _| {
        if count.load(Ordering::SeqCst) == 0 {
            let other = other.clone();
            let handle = handle.clone();
            let work = move || {
                let options = ReclaimOptions::default().with_rewrite_below_percent(100);
                handle.block_on(async { other.reclaim(options).wait().await.unwrap() })
            };
            let report = std::thread::spawn(work).join().unwrap();
            count.store(report.waiting_packs, Ordering::SeqCst);
        }
        Vec::new()
    });
    let point = back_up(&slow, &source).await.unwrap().point;
    assert!(
        buried.load(Ordering::SeqCst) > 0,
        "nothing was tombstoned meanwhile"
    );
    let after = lab.elsewhere(9).open().await.unwrap();
    let waiting = after
        .reclaim(ReclaimOptions::default().with_preview(true))
        .wait()
        .await
        .unwrap();
    assert!(
        waiting.waiting_packs < buried.load(Ordering::SeqCst),
        "no pack was revived: {waiting:?}"
    );
    start.check(&lab, &Start::added(Some(point)), "revived").await;
}

#[tokio::test]
async fn a_reader_goes_on_when_what_it_reads_was_moved() {
    let start = Start::new().await;
    let lab = Lab::over(start.image.open().await, 2);
    let reader = lab.elsewhere(9).open().await.unwrap();
    let manifests = all_points(&reader);
    reclaim(&lab.open().await.unwrap()).await.unwrap();
    for manifest in manifests {
        let content = read_point(&reader, &manifest).await.unwrap();
        content.assert_equal(&start.points[&manifest.id], "an old view");
    }
}

/// What an interrupted run stored is kept for the run that goes on from there.
#[tokio::test]
async fn what_an_unfinished_run_stored_stays() {
    let lab = Lab::memory(43);
    let repository = lab.create().await.unwrap();
    let source = mailbox(Stage::First);
    source.break_stream(14);
    back_up(&repository, &source).await.unwrap_err();
    let (_, before) = source.moments();
    let repository = lab.open().await.unwrap();
    let report = reclaim(&repository).await.unwrap();
    assert!(report.needed_bytes > 10_000, "{report:?}");
    let resumed = back_up(&repository, &source).await.unwrap();
    let (_, after) = source.moments();
    assert_eq!(
        resumed.counts.resumed + (after - before),
        13,
        "each item is read once"
    );
    assert!(resumed.counts.resumed > 0);
    assert_sound(&repository, "resumed").await;
    let manifest = all_points(&repository).pop().unwrap();
    let content = read_point(&repository, &manifest).await.unwrap();
    content.assert_equal(&source.truth(), "resumed");
    reclaim(&repository).await.unwrap();
    assert_sound(&repository, "resumed and reclaimed").await;
}

/// What a long run has committed as progress belongs to the repository: reclaim may move it to other packs, time and again,
/// and the run goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_goes_on_when_what_it_committed_was_moved() {
    let lab = Lab::memory(45);
    let repository = lab.create().await.unwrap();
    // The same handle: another one would take for leftovers what the run has stored and not committed yet.
    let other = repository.clone();
    let source = mailbox(Stage::First);
    let rewritten = Arc::new(AtomicU64::new(0));
    let (count, handle) = (rewritten.clone(), tokio::runtime::Handle::current());
    source.edit_during(move |_, _| {
        let (other, handle) = (other.clone(), handle.clone());
        let work = move || {
            let options = at_once().with_rewrite_below_percent(100);
            handle.block_on(async { other.reclaim(options).wait().await.unwrap() })
        };
        let report = std::thread::spawn(work).join().unwrap();
        count.fetch_add(report.rewritten_packs, Ordering::SeqCst);
        Vec::new()
    });
    let options = BackupOptions::default().with_progress(ProgressLimits::default().with_items(1));
    backup::start(&repository, source.handle(), source.object(), options)
        .wait()
        .await
        .unwrap();
    assert!(
        rewritten.load(Ordering::SeqCst) > 0,
        "nothing was moved meanwhile"
    );
    assert_sound(&repository, "moved").await;
    let manifest = all_points(&repository).pop().unwrap();
    let content = read_point(&repository, &manifest).await.unwrap();
    content.assert_equal(&source.truth(), "moved");
}

/// Backs up `source`, deletes the point and reclaims, but the store refuses to delete: the packs, removed for good and still
/// there, and who is about to delete them.
pub(crate) async fn about_to_delete(lab: &Lab, source: &ScriptedConnector) -> (Vec<Path>, Repository) {
    let repository = lab.create().await.unwrap();
    let gone = back_up(&repository, source).await.unwrap().point;
    let filter = PointFilter::default().with_points(vec![gone]);
    repository.delete_points(&filter, "test", false).await.unwrap();
    let faults = FaultStore::new(lab.store.clone());
    faults.inject(Rule::new(
        Matcher::kind(OperationKind::Delete),
        When::From(0),
        Fault::Fail(Failure::PermissionDenied),
    ));
    let stalled = Lab::over(faults.handle(), 3).open().await.unwrap();
    reclaim(&stalled).await.unwrap_err();
    let image = Image::of(&*lab.store).await.unwrap();
    let paths = image.objects().keys().cloned();
    (
        paths.filter(|path| path.as_ref().starts_with("packs/")).collect(),
        stalled,
    )
}

/// Who was about to delete packs and comes back late does no harm, although their content was stored again since.
#[tokio::test]
async fn a_late_deletion_hits_nothing() {
    let lab = Lab::memory(44);
    let (packs, stalled) = about_to_delete(&lab, &source(1)).await;
    assert!(packs.len() >= 2, "{packs:?}");
    assert_eq!(
        stalled.info().await.unwrap().packs,
        0,
        "they are off the index for good"
    );

    // The same items under the same circumstances: packs of the same content.
    let again = lab.elsewhere(4).open().await.unwrap();
    back_up(&again, &source(1)).await.unwrap();
    for path in &packs {
        lab.store.delete(path).await.unwrap();
    }
    assert_sound(&lab.elsewhere(5).open().await.unwrap(), "after the late deletion").await;
}

/// Nothing is removed while something that a point needs is missing.
#[tokio::test]
async fn damage_stops_it() {
    let start = Start::new().await;
    let mut cases = 0;
    for path in start.image.objects().keys() {
        if path.as_ref().starts_with("packs/") || path.as_ref().starts_with("index/") {
            let image = start.image.without(path);
            let lab = Lab::over(image.open().await, 2);
            let repository = lab.open().await.unwrap();
            let sound = nakivo_testkit::oracle::verify(&repository)
                .await
                .unwrap()
                .is_clean();
            let result = reclaim(&repository).await;
            let kept = Image::of(&*lab.store).await.unwrap();
            match result {
                // A pack that nothing needs was the damaged one.
                Ok(_) => assert!(!path.as_ref().starts_with("index/"), "without {path}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "without {path}: {error:?}");
                    for kept_path in image.objects().keys() {
                        assert!(
                            kept.objects().contains_key(kept_path),
                            "without {path}: {kept_path} is gone"
                        );
                    }
                    cases += 1;
                }
            }
            assert!(!sound, "without {path}: verify finds nothing");
        }
    }
    assert!(cases >= 2, "only {cases} cases");
}

/// Numbers of the checkpoints in the store, ascending.
async fn checkpoints(lab: &Lab) -> Vec<Path> {
    let image = Image::of(&*lab.store).await.unwrap();
    let paths = image.objects().keys();
    paths
        .filter(|path| path.as_ref().starts_with("checkpoint/"))
        .cloned()
        .collect()
}

/// A repository of one point and a hundred commits.
async fn long_log() -> (FaultStore, Lab) {
    let store = FaultStore::new(Image::default().open().await);
    let lab = Lab::over(store.handle(), 42);
    let repository = lab.create().await.unwrap();
    let point = back_up(&repository, &source(1)).await.unwrap().point;
    for number in 0..100 {
        repository
            .describe_point(point, Some(format!("{number}")))
            .await
            .unwrap();
    }
    assert_eq!(checkpoints(&lab).await.len(), 6);
    (store, lab)
}

/// The newest checkpoints stay, unless one of them cannot be read: then all do.
#[tokio::test]
async fn old_checkpoints_go() {
    let (store, lab) = long_log().await;
    let all = checkpoints(&lab).await;
    let newest = store.inner().get(&all[5]).await.unwrap().bytes().await.unwrap();
    store
        .inner()
        .put(&all[5], newest.slice(..newest.len() - 1).into())
        .await
        .unwrap();
    let repository = lab.elsewhere(2).open().await.unwrap();
    reclaim(&repository).await.unwrap();
    assert_eq!(
        checkpoints(&lab).await,
        all,
        "none goes while one of the newest is damaged"
    );
    store.inner().put(&all[5], newest.into()).await.unwrap();

    let repository = lab.elsewhere(3).open().await.unwrap();
    assert_eq!(reclaim(&repository).await.unwrap().deleted_objects, 2);
    assert_eq!(checkpoints(&lab).await, all[2..]);
    let fresh = lab.elsewhere(4).open().await.unwrap();
    assert_sound(&fresh, "thinned").await;
    // Who listed them before they went does not take that for damage.
    let list = Matcher::kind(OperationKind::List).path("checkpoint");
    store.inject(Rule::new(list, When::Always, Fault::Replay));
    assert_sound(&fresh, "thinned meanwhile").await;
    let healed = fresh.heal(HealOptions::default()).wait().await.unwrap();
    assert!(healed.found_nothing(), "{healed:?}");
    store.heal();
    // Without any, the log says it all.
    for path in checkpoints(&lab).await {
        store.inner().delete(&path).await.unwrap();
    }
    assert_sound(&lab.elsewhere(5).open().await.unwrap(), "no checkpoint").await;
}

/// Stopped by the store at every operation: nothing is lost, and the next one finishes the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_at_any_operation_it_loses_nothing() {
    let start = Start::new().await;
    let failures = Failures::default();
    let mut cases = 0;
    for number in 0.. {
        let store = start.image.open().await;
        let faults = FaultStore::new(store.clone());
        let disturbed = Lab::over(faults.handle(), 5);
        let repository = disturbed.open().await.unwrap();
        faults.forget();
        faults.inject(Rule::new(
            Matcher::any(),
            When::From(number),
            Fault::Fail(Failure::PermissionDenied),
        ));
        let result = reclaim(&repository).await;
        if faults.faults() == 0 {
            result.unwrap();
            break;
        }
        cases += 1;
        let lab = Lab::over(store, 6);
        let what = format!("stopped before operation {number}");
        failures.attempt(start.settle(&lab, None, &what)).await;
    }
    announce(&format!("reclaim: stopped at each of {cases} operations"));
    failures.assert_none();
    assert!(cases > 15, "only {cases} operations");
}

/// Lets two threads run in turns that operations of their stores end.
#[derive(Default)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct TurnState {
    /// The first came to its stop, or to its end.
    first_stopped: bool,
    first_done: bool,
    second_stopped: bool,
}

impl Turns {
    fn set(&self, change: impl FnOnce(&mut TurnState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&TurnState) -> bool) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !until(state)).unwrap());
    }
}

/// The first actor runs to its operation `i`; the second to its operation `j`; the first to its end; the second to its end.
/// Returns what both came to, and whether `i` and `j` were reached.
pub(crate) fn interleave<A: Send, B: Send>(
    store: &Arc<dyn object_store::ObjectStore>,
    (i, first): (u64, impl AsyncFnOnce(Lab) -> A + Send),
    (j, second): (u64, impl AsyncFnOnce(Lab) -> B + Send),
) -> (A, bool, B, bool) {
    let turns = Arc::new(Turns::default());
    let stores = [FaultStore::new(store.clone()), FaultStore::new(store.clone())];
    let count = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    {
        let (turns, count) = (turns.clone(), count.clone());
        stores[0].before_operations(move |_| {
            if count[0].fetch_add(1, Ordering::SeqCst) == i {
                turns.set(|state| state.first_stopped = true);
                turns.wait(|state| state.second_stopped);
            }
        });
    }
    {
        let (turns, count) = (turns.clone(), count.clone());
        stores[1].before_operations(move |_| {
            if count[1].fetch_add(1, Ordering::SeqCst) == j {
                turns.set(|state| state.second_stopped = true);
                turns.wait(|state| state.first_done);
            }
        });
    }
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let result = runtime().block_on(first(Lab::over(stores[0].handle(), 100)));
            turns.set(|state| {
                state.first_stopped = true;
                state.first_done = true;
            });
            result
        });
        let second = scope.spawn(|| {
            turns.wait(|state| state.first_stopped);
            let result = runtime().block_on(second(Lab::over(stores[1].handle(), 200)));
            turns.set(|state| state.second_stopped = true);
            result
        });
        let (first, second) = (first.join().unwrap(), second.join().unwrap());
        let reached = |at: usize, number| count[at].load(Ordering::SeqCst) > number;
        (first, reached(0, i), second, reached(1, j))
    })
}

type Backup = nakivo_core::Result<PointId>;

async fn one_backup(lab: Lab) -> Backup {
    let repository = lab.open().await?;
    Ok(back_up(&repository, &Start::next()).await?.point)
}

async fn one_reclaim(lab: Lab) -> nakivo_core::Result<ReclaimReport> {
    reclaim(&lab.open().await?).await
}

#[derive(Default)]
struct Outcomes {
    cases: u64,
    refused: u64,
}

impl Outcomes {
    fn judge(
        &mut self,
        backup: Backup,
        reclaim: nakivo_core::Result<ReclaimReport>,
        what: &str,
    ) -> Option<PointId> {
        self.cases += 1;
        if let Err(error) = reclaim {
            panic!("{what}: reclaim: {error:?}");
        }
        match backup {
            Ok(point) => Some(point),
            Err(error) => {
                // Only what was removed under its hands may stop a run, and never without a word.
                assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error:?}");
                self.refused += 1;
                None
            }
        }
    }
}

/// Interleavings of a run and a reclaim, from opening the repository on, with two changes from one to the other: one in
/// seven of them, others for another `NAKIVO_SEED`; all with `NAKIVO_FULL=1`. (Every order of their writes: `schedules`.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_and_a_reclaim_from_opening_on() {
    let started = Instant::now();
    let start = Start::new().await;
    let failures = Failures::default();
    let mut outcomes = Outcomes::default();
    for backup_first in [true, false] {
        let mut i = 0;
        loop {
            let mut i_reached = true;
            for j in (0..).filter(|j| sampled(i, *j, 7)) {
                let store = start.image.open().await;
                let what;
                let (backup, reclaim, first_reached, second_reached);
                if backup_first {
                    what = format!("backup to {i}, reclaim to {j}");
                    (backup, first_reached, reclaim, second_reached) =
                        tokio::task::block_in_place(|| interleave(&store, (i, one_backup), (j, one_reclaim)));
                } else {
                    what = format!("reclaim to {i}, backup to {j}");
                    (reclaim, first_reached, backup, second_reached) =
                        tokio::task::block_in_place(|| interleave(&store, (i, one_reclaim), (j, one_backup)));
                }
                let lab = Lab::over(store, 6);
                failures
                    .attempt(async {
                        let added = outcomes.judge(backup, reclaim, &what);
                        start.settle(&lab, added, &what).await;
                    })
                    .await;
                i_reached = first_reached;
                if !second_reached || !i_reached {
                    break;
                }
            }
            if !i_reached {
                break;
            }
            i += 1;
        }
    }
    announce(&format!(
        "reclaim: {} interleavings with a run, {} of the runs refused; {:.1} s",
        outcomes.cases,
        outcomes.refused,
        started.elapsed().as_secs_f64()
    ));
    failures.assert_none();
    assert!(outcomes.cases > 200, "only {} interleavings", outcomes.cases);
    assert!(outcomes.refused < outcomes.cases / 2);
}
