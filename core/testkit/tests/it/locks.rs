//! Immutable recovery points on a store that locks: nothing that a point needs is ever locked for a shorter time than
//! promised, at any moment and wherever a process ends; and nobody is stopped by a lock who need not be.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use nakivo_core::ErrorKind;
use nakivo_core::backup::{BackupReport, Outcome};
use nakivo_core::repository::{
    self, CreateOptions, OpenOptions, PointFilter, ReclaimOptions, Repository, UnhideOptions,
};
use nakivo_core::seams::{Clock as _, Environment};
use nakivo_core::state::{MemoryState, StateStore};
use nakivo_core::store::Store;
use nakivo_testkit::clock::TestClock;
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::locks::{Flaw, LockStore, Rights};
use nakivo_testkit::oracle::{all_points, assert_point, assert_sound};
use nakivo_testkit::random::SeededRng;
use nakivo_testkit::scenario::{Stage, mailbox};
use nakivo_testkit::scripted::{Edit, ScriptedConnector};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions};

const DAYS: u32 = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A store with locks, and a machine that backs up into it.
struct Bucket {
    locks: LockStore,
    clock: TestClock,
    state: Arc<dyn StateStore>,
}

impl Bucket {
    fn new() -> Self {
        let clock = TestClock::new();
        Self {
            locks: LockStore::new(Arc::new(clock.clone())),
            clock,
            state: Arc::new(MemoryState::default()),
        }
    }

    fn env(&self, seed: u64) -> Environment {
        Environment {
            clock: Arc::new(self.clock.clone()),
            rng: Arc::new(SeededRng::new(seed)),
            state: Arc::clone(&self.state),
            ..Environment::default()
        }
    }

    async fn create(&self) -> nakivo_core::Result<Repository> {
        let options = CreateOptions::default().with_immutable_days(Some(DAYS));
        Repository::create(self.locks.store(), options, self.env(1)).await
    }

    async fn open(&self, seed: u64) -> nakivo_core::Result<Repository> {
        Repository::open(self.locks.store(), OpenOptions::default(), self.env(seed)).await
    }

    /// Every object that a plain list shows is locked for as long as the newest point is promised; asked of the store itself.
    async fn assert_locked(&self, repository: &Repository, when: &str) {
        let newest = all_points(repository).iter().map(|point| point.finished_ms).max();
        let promised = newest.unwrap() + i64::from(DAYS) * 86_400_000;
        for (path, _) in objects(&self.locks).await {
            let until = self
                .locks
                .locked_until(&path)
                .map(|until| until.timestamp_millis());
            assert!(
                until.is_some_and(|until| until >= promised),
                "{when}: {path} is locked until {until:?}, not {promised}"
            );
        }
        let report = repository.check_locks().wait().await.unwrap();
        assert_eq!(report.short, 0, "{when}: {report:?}");
        assert_eq!(report.promised_ms, Some(promised), "{when}");
        assert!(report.objects > 4, "{when}: {report:?}");
    }
}

/// What a plain list shows, but for old commits, which a newer checkpoint replaces.
async fn objects(locks: &LockStore) -> Vec<(String, u64)> {
    use futures::TryStreamExt as _;
    use object_store::ObjectStore as _;
    let listed: Vec<_> = locks.list(None).try_collect().await.unwrap();
    let mut found: Vec<(String, u64)> = listed
        .into_iter()
        .map(|meta: object_store::ObjectMeta| (meta.location.to_string(), meta.size))
        .collect();
    let newest = found
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("checkpoint/"))
        .max()
        .map(ToOwned::to_owned);
    found.retain(|(path, _)| match (path.split_once('/'), &newest) {
        (Some(("log" | "checkpoint", number)), Some(newest)) => number >= newest.as_str(),
        _ => true,
    });
    found
}

async fn touch(repository: &Repository, source: &ScriptedConnector, number: u32) -> BackupReport {
    let id = format!("m{:02}", number % 12);
    source.edit(&Edit::Touch { id });
    back_up(repository, source).await.unwrap()
}

#[tokio::test]
async fn every_object_is_locked_for_as_long_as_the_newest_point_at_few_requests() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    let mut renewals = Vec::new();
    for day in 0..60 {
        // Half of the time as a process of its own each.
        let repository = if day % 2 == 0 {
            bucket.open(100 + u64::from(day)).await.unwrap()
        } else {
            repository.clone()
        };
        repository.refresh().await.unwrap();
        let before = bucket.locks.retains();
        let report = touch(&repository, &source, day).await;
        let lock = report.lock.unwrap();
        assert!(lock.problem.is_none(), "{lock:?}");
        let requests = bucket.locks.retains() - before;
        assert_eq!(lock.renewed, requests, "day {day}");
        if requests > 0 {
            renewals.push((day, requests));
        }
        bucket
            .assert_locked(&repository, &format!("after the backup of day {day}"))
            .await;
        bucket.clock.advance(DAY);
    }
    // Once in half of the time, and then one request for each object at most.
    println!("renewals on days, with requests: {renewals:?}");
    assert!((9..=13).contains(&renewals.len()), "{renewals:?}");
    let there = objects(&bucket.locks).await.len() as u64;
    assert!(
        renewals.iter().all(|(_, requests)| *requests <= there + 2),
        "{renewals:?}"
    );
    let info = repository.info().await.unwrap();
    assert_eq!(info.immutable.unwrap().days, DAYS);
}

#[tokio::test]
async fn wherever_a_backup_ends_the_next_one_leaves_everything_locked() {
    let whole = {
        let (bucket, _, _) = aged().await;
        let before = bucket.locks.operations();
        run_dying(&bucket).await;
        bucket.locks.operations() - before
    };
    println!("operations of a backup that renews all locks: {whole}");
    assert!(whole > 25, "{whole}");
    for end in 0..whole {
        let (bucket, source, first) = aged().await;
        bucket.locks.end_after(Some(end));
        run_dying(&bucket).await;
        bucket.locks.end_after(None);
        let repository = bucket.open(7).await.unwrap();
        for point in all_points(&repository) {
            if point.id == first {
                let truth = mailbox(Stage::First).truth();
                assert_point(&repository, &point, &truth, &format!("ended at {end}")).await;
            }
        }
        let report = touch(&repository, &source, 5).await;
        assert!(report.lock.unwrap().problem.is_none());
        bucket
            .assert_locked(&repository, &format!("ended at {end}"))
            .await;
    }
}

/// A repository whose first point is so old that its locks are due.
async fn aged() -> (Bucket, ScriptedConnector, nakivo_core::format::PointId) {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    let first = back_up(&repository, &source).await.unwrap().point;
    bucket.clock.advance(DAY * 8);
    (bucket, source, first)
}

async fn run_dying(bucket: &Bucket) {
    let source = mailbox(Stage::First);
    source.edit(&Edit::Touch { id: "m03".to_owned() });
    if let Ok(repository) = bucket.open(6).await {
        // Its end is the test.
        let _ = back_up(&repository, &source).await;
    }
}

#[tokio::test]
async fn a_store_that_does_not_keep_locks_is_refused() {
    for (flaw, word) in [
        (Flaw::Disabled, "without object lock"),
        (Flaw::ForgetsLocks, "has none"),
        (Flaw::Shortens, "shorter"),
        (Flaw::Removes, "could be removed"),
    ] {
        let bucket = Bucket::new();
        bucket.locks.set_flaw(flaw);
        let error = bucket.create().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{flaw:?}: {error:?}");
        assert!(error.message().contains(word), "{flaw:?}: {error:?}");
        assert_eq!(objects(&bucket.locks).await, [], "{flaw:?}");
    }
    for days in [0, 3651] {
        let lab = Lab::memory(1);
        let options = CreateOptions::default().with_immutable_days(Some(days));
        let error = Repository::create(lab.store.clone(), options, lab.env.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    let lab = Lab::memory(1);
    let options = CreateOptions::default().with_immutable_days(Some(1));
    let error = Repository::create(lab.store.clone(), options, lab.env.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_locks_nothing() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    back_up(&repository, &source).await.unwrap();
    for skew in [
        TimeDelta::days(3650),
        -TimeDelta::days(400),
        TimeDelta::minutes(6),
    ] {
        let wrong = TestClock::new();
        wrong.jump(skew);
        let env = Environment {
            clock: Arc::new(wrong),
            ..bucket.env(9)
        };
        let store = bucket.locks.store();
        let repository = Repository::open(store, OpenOptions::default(), env)
            .await
            .unwrap();
        let before = objects(&bucket.locks).await;
        source.edit(&Edit::Touch { id: "m01".to_owned() });
        let error = back_up(&repository, &source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.message().contains("clock"), "{error:?}");
        assert_eq!(objects(&bucket.locks).await, before, "nothing was stored");
    }
    let near = TestClock::new();
    near.jump(TimeDelta::minutes(4));
    let env = Environment {
        clock: Arc::new(near),
        ..bucket.env(10)
    };
    let repository = Repository::open(bucket.locks.store(), OpenOptions::default(), env)
        .await
        .unwrap();
    back_up(&repository, &source).await.unwrap();
}

#[tokio::test]
async fn append_only_rights_are_enough_and_without_retention_the_point_says_so() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    bucket.locks.set_rights(Rights::AppendOnly);
    for number in 0..20 {
        bucket.clock.advance(DAY);
        let report = touch(&repository, &source, number).await;
        assert_eq!(report.outcome, Outcome::Complete);
        assert!(report.lock.unwrap().problem.is_none());
        bucket.assert_locked(&repository, "append-only").await;
    }
    assert_sound(&repository, "append-only").await;
    bucket.locks.set_rights(Rights::NoRetention);
    bucket.clock.advance(DAY * 6);
    let report = touch(&repository, &source, 30).await;
    let problem = report
        .lock
        .unwrap()
        .problem
        .expect("locks are due and may not be renewed");
    assert_eq!(problem.kind(), ErrorKind::PermissionMissing, "{problem:?}");
    let short = repository.check_locks().wait().await.unwrap();
    assert!(short.short > 3 && !short.short_locks.is_empty(), "{short:?}");
    // Who may, mends it.
    bucket.locks.set_rights(Rights::AppendOnly);
    let renewed = repository.renew_locks(false).wait().await.unwrap();
    assert!(renewed.due && renewed.renewed >= short.short, "{renewed:?}");
    bucket.assert_locked(&repository, "renewed").await;
    assert!(!repository.renew_locks(false).wait().await.unwrap().due);
}

#[tokio::test]
async fn reclaim_leaves_what_is_locked_counts_it_and_frees_it_afterwards() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let gone = back_up(&repository, &mailbox(Stage::First)).await.unwrap().point;
    back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    let named = PointFilter::default().with_points(vec![gone]);
    let error = repository.delete_points(&named, "test", false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Immutable, "{error:?}");
    bucket.clock.advance(DAY * (DAYS + 1));
    repository.delete_points(&named, "test", false).await.unwrap();
    let at_once = ReclaimOptions::default()
        .with_grace(Duration::ZERO)
        .with_rewrite_below_percent(100);
    let stored = bucket.locks.stored_bytes();
    let report = repository.reclaim(at_once).wait().await.unwrap();
    assert!(report.locked_objects > 0 && report.locked_bytes > 0, "{report:?}");
    assert!(report.locked_until_ms.unwrap() > bucket.clock.now().timestamp_millis());
    assert_eq!((report.deleted_objects, report.freed_bytes), (0, 0), "{report:?}");
    assert!(bucket.locks.stored_bytes() >= stored);
    let head = repository.info().await.unwrap().head;
    let only_unused = at_once.with_rewrite_below_percent(0);
    let again = repository.reclaim(only_unused).wait().await.unwrap();
    assert_eq!(again.locked_objects, report.locked_objects, "{again:?}");
    assert_eq!(
        repository.info().await.unwrap().head,
        head,
        "nothing is tried in vain"
    );
    assert_sound(&repository, "locked").await;

    bucket.clock.advance(DAY * DAYS * 2);
    let before = bucket.locks.stored_bytes();
    let freed = repository.reclaim(only_unused).wait().await.unwrap();
    assert!(freed.deleted_objects > 0, "{freed:?}");
    assert_eq!(freed.locked_objects, 0, "{freed:?}");
    assert!(
        before - bucket.locks.stored_bytes() >= freed.freed_bytes / 2,
        "versions are gone"
    );
    assert_sound(&repository, "freed").await;
}

#[tokio::test]
async fn a_repository_is_removed_only_when_all_of_it_can_be() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    back_up(&repository, &mailbox(Stage::First)).await.unwrap();
    let id = repository.id();
    let before = objects(&bucket.locks).await;
    let destroy = || repository::destroy(bucket.locks.store(), id, bucket.env(3)).wait();
    let error = destroy().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Immutable, "{error:?}");
    assert!(error.message().contains("until 2026-01-16"), "{error:?}");
    assert_eq!(objects(&bucket.locks).await, before, "nothing was removed");
    bucket.clock.advance(DAY * DAYS * 2);
    destroy().await.unwrap();
    assert_eq!(objects(&bucket.locks).await, []);
}

#[tokio::test]
async fn what_somebody_deleted_is_noticed_and_comes_back() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    let mut truths = Vec::new();
    for number in 0..3 {
        bucket.clock.advance(Duration::from_secs(60));
        touch(&repository, &source, number).await;
        truths.push(source.truth());
    }
    let before = objects(&bucket.locks).await;
    drop(repository);
    for (path, _) in &before {
        bucket.locks.delete(&Path::from(path.as_str())).await.unwrap();
    }
    // One of them is written over as well.
    let pack = before
        .iter()
        .find(|(path, _)| path.starts_with("packs/"))
        .unwrap();
    let error = bucket.open(4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(error.message().contains("format.json"), "{error:?}");

    let unhide = |options| repository::unhide(bucket.locks.store(), options, bucket.env(5)).wait();
    let preview = unhide(UnhideOptions::default().with_preview(true)).await.unwrap();
    assert!(
        preview.lifted.len() >= 4 && preview.hidden_keys == 1,
        "{preview:?}"
    );
    assert_eq!(objects(&bucket.locks).await, [], "a preview changes nothing");
    bucket.locks.set_rights(Rights::AppendOnly);
    let refused = unhide(UnhideOptions::default()).await.unwrap();
    assert_eq!(
        (refused.lifted.len(), refused.refused.len()),
        (0, preview.lifted.len())
    );
    bucket.locks.set_rights(Rights::All);
    let lifted = unhide(UnhideOptions::default()).await.unwrap();
    assert_eq!(lifted.lifted, preview.lifted);
    assert!(
        bucket.open(4).await.is_err(),
        "the key slot is not brought back unasked"
    );
    unhide(UnhideOptions::default().with_keys(true)).await.unwrap();
    let repository = bucket.open(4).await.unwrap();
    let rest = repository.unhide(UnhideOptions::default()).wait().await.unwrap();
    assert!(rest.lifted.contains(&pack.0), "{rest:?}");
    let repository = bucket.open(5).await.unwrap();
    assert_eq!(objects(&bucket.locks).await, before);
    assert_sound(&repository, "brought back").await;
    for (manifest, truth) in all_points(&repository).iter().zip(&truths) {
        assert_point(&repository, manifest, truth, "brought back").await;
    }
    bucket
        .locks
        .put_over(&pack.0, PutOptions::from(PutMode::Overwrite))
        .await;
    let found = repository.unhide(UnhideOptions::default()).wait().await.unwrap();
    assert_eq!(found.overwritten, std::slice::from_ref(&pack.0), "{found:?}");
}

trait PutOver {
    async fn put_over(&self, path: &str, options: PutOptions);
}

impl PutOver for LockStore {
    async fn put_over(&self, path: &str, options: PutOptions) {
        use object_store::ObjectStore as _;
        self.put_opts(&Path::from(path), "other bytes".into(), options)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_renewal_goes_on_where_it_was() {
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    for number in 0..3 {
        touch(&repository, &source, number).await;
    }
    let all = repository.renew_locks(true).wait().await.unwrap();
    assert!(!all.resumed && all.missing == 0, "{all:?}");
    // As a renewal of many packs leaves it behind.
    let packs: Vec<String> = objects(&bucket.locks)
        .await
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.starts_with("packs/"))
        .collect();
    let saved = format!(
        "{{\"began_ms\":{},\"days\":{DAYS},\"through\":{:?}}}",
        bucket.clock.now().timestamp_millis(),
        packs[0]
    );
    let key = format!("locks/{}", repository.id());
    bucket.state.put(&key, saved.clone().into()).await.unwrap();
    let rest = repository.renew_locks(true).wait().await.unwrap();
    assert!(rest.resumed, "{rest:?}");
    assert_eq!(rest.renewed + 1, all.renewed, "{rest:?}");
    // One that is too old is not gone on with.
    bucket.state.put(&key, saved.into()).await.unwrap();
    bucket.clock.advance(DAY * 4);
    let anew = repository.renew_locks(true).wait().await.unwrap();
    assert!(!anew.resumed, "{anew:?}");
}

#[tokio::test]
async fn days_can_be_set_later_and_a_replaced_configuration_is_noticed() {
    let bucket = Bucket::new();
    let plain = Repository::create(bucket.locks.store(), CreateOptions::default(), bucket.env(1))
        .await
        .unwrap();
    let source = mailbox(Stage::First);
    back_up(&plain, &source).await.unwrap();
    assert!(plain.immutability().is_none());
    let before = bucket.locks.locked_until("format.json");
    assert_eq!(before, None);
    plain.set_immutable_days(DAYS).wait().await.unwrap();
    bucket.assert_locked(&plain, "set later").await;
    let longer = plain.set_immutable_days(DAYS * 3).wait().await.unwrap();
    assert!(longer.renewed > 4, "{longer:?}");
    let until = bucket.clock.now() + TimeDelta::days(i64::from(DAYS * 3 + DAYS * 3 / 2));
    assert!(bucket.locks.locked_until("format.json").unwrap() >= until);
    // Shorter: what is locked stays so.
    plain.set_immutable_days(1).wait().await.unwrap();
    let pack = objects(&bucket.locks)
        .await
        .into_iter()
        .find(|(path, _)| path.starts_with("packs/"));
    assert!(bucket.locks.locked_until(&pack.unwrap().0).unwrap() >= until);

    // Somebody takes the promise out of the configuration.
    let config = plain
        .config()
        .clone()
        .with_immutable_days(None)
        .to_bytes()
        .unwrap();
    bucket
        .locks
        .put(&Path::from("format.json"), config.into())
        .await
        .unwrap();
    let opened = bucket.open(2).await.unwrap();
    source.edit(&Edit::Touch { id: "m01".to_owned() });
    let error = back_up(&opened, &source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}

#[tokio::test]
async fn without_locks_a_copy_of_the_objects_can_be_read_and_not_written() {
    use futures::TryStreamExt as _;
    use object_store::ObjectStore as _;
    let bucket = Bucket::new();
    let repository = bucket.create().await.unwrap();
    let source = mailbox(Stage::First);
    back_up(&repository, &source).await.unwrap();
    let lab = Lab::memory(3);
    let listed: Vec<_> = bucket.locks.list(None).try_collect().await.unwrap();
    for meta in listed {
        let bytes = bucket
            .locks
            .get(&meta.location)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        lab.store.put(&meta.location, bytes.into()).await.unwrap();
    }
    let copy = lab.open().await.unwrap();
    assert_sound(&copy, "a copy").await;
    source.edit(&Edit::Touch { id: "m01".to_owned() });
    let error = back_up(&copy, &source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
}

#[tokio::test]
async fn faults_of_the_store_leave_no_object_without_a_lock() {
    let bucket = Bucket::new();
    bucket.create().await.unwrap();
    let faults = FaultStore::with_clock(Arc::new(bucket.locks.clone()), Arc::new(bucket.clock.clone()));
    for number in (0..40).step_by(3) {
        faults.inject(Rule::new(
            Matcher::kind(OperationKind::Put),
            When::Nth(number),
            Fault::FailAfter(Failure::Unavailable),
        ));
    }
    let store = Store::from(faults.handle()).with_locks(Arc::new(bucket.locks.clone()));
    let repository = Repository::open(store, OpenOptions::default(), bucket.env(8))
        .await
        .unwrap();
    let source = mailbox(Stage::First);
    for number in 0..5 {
        touch(&repository, &source, number).await;
        bucket.assert_locked(&repository, "with faults").await;
    }
    assert!(faults.faults() > 0);
}
