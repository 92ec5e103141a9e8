//! The care of keys: wherever it is interrupted, whatever goes on beside it, the repository opens with the secrets that its
//! owners have, and nothing is lost; who was locked out stays out.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;

use nakivo_core::ErrorKind;
use nakivo_core::format::ids::{CommitHash, PointId, WriterId};
use nakivo_core::format::log::{CommitRecord, Operation};
use nakivo_core::format::{Codec, Compression, KeyRing, KeySet, KeySlot, ObjectHeader, RepositoryState};
use nakivo_core::progress::Event;
use nakivo_core::repository::{Repository, RotateOptions, SlotOptions};
use nakivo_testkit::crash::{Step, lab as disk, run_keys};
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::keys::{Holder, KeyStep, at_once, create, perform};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_sound, read_point};
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::{Stage, mailbox};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::many::{Failures, sampled};
use crate::reclaim::interleave;

type Points = BTreeMap<PointId, LogicalContent>;

async fn points_of(repository: &Repository) -> Points {
    let mut points = Points::new();
    for manifest in all_points(repository) {
        points.insert(manifest.id, read_point(repository, &manifest).await.unwrap());
    }
    points
}

/// A repository as a step finds it.
struct Start {
    image: Image,
    points: Points,
}

impl Start {
    async fn new(step: Option<KeyStep>) -> Self {
        let lab = Lab::memory(61);
        let repository = create(lab.store.clone(), lab.env.clone()).await.unwrap();
        if step == Some(KeyStep::Reencrypt) {
            perform(KeyStep::Rotate, &lab).await.unwrap();
        }
        Self {
            image: Image::of(&*lab.store).await.unwrap(),
            points: points_of(&repository).await,
        }
    }

    async fn lab(&self, seed: u64) -> Lab {
        Lab::over(self.image.open().await, seed)
    }

    /// The holder opens it, and everything that was there is there.
    async fn check(&self, lab: &Lab, holder: Holder, what: &str) {
        let repository = holder
            .open(&lab.elsewhere(8))
            .await
            .unwrap_or_else(|error| panic!("{what}: {holder:?} cannot open it: {error:?}"));
        let info = repository.info().await.unwrap();
        assert!(info.notes.is_empty() && !info.read_only, "{what}: {info:?}");
        let found = points_of(&repository).await;
        for (id, content) in &self.points {
            let found = found.get(id);
            found
                .unwrap_or_else(|| panic!("{what}: point {id} is lost"))
                .assert_equal(content, what);
        }
    }

    /// What holds wherever the step was interrupted.
    async fn check_interrupted(&self, step: KeyStep, lab: &Lab, what: &str) {
        for group in step.always() {
            let mut open = Vec::new();
            for holder in *group {
                if holder.open(&lab.elsewhere(8)).await.is_ok() {
                    open.push(*holder);
                }
            }
            assert!(!open.is_empty(), "{what}: none of {group:?} opens it");
            for holder in open {
                self.check(lab, holder, what).await;
            }
        }
    }

    /// The step once more, to its end: then who shall opens it, the others do not, and nothing is left behind.
    async fn settle(&self, step: KeyStep, lab: &Lab, what: &str) {
        let again = format!("{what}, and repeated");
        perform(step, lab)
            .await
            .unwrap_or_else(|error| panic!("{again}: {error:?}"));
        for holder in Holder::ALL {
            if step.finally().contains(&holder) {
                self.check(lab, holder, &again).await;
            } else {
                let error = holder.open(&lab.elsewhere(8)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "{again}: {error:?}");
            }
        }
        let repository = step.finally()[0].open(lab).await.unwrap();
        assert_sound(&repository, &again).await;
        let slots = repository.key_slots().await.unwrap();
        assert_eq!(slots.slots.len(), step.finally().len(), "{again}: {slots:?}");
        assert!(slots.damaged.is_empty(), "{again}: {slots:?}");
        let image = Image::of(&*lab.store).await.unwrap();
        let names = image.objects().keys().map(Path::as_ref);
        for mark in names.filter_map(|path| path.strip_prefix("keys/")?.strip_suffix(".removing")) {
            // The last thing that goes: it means nothing without its slot.
            let left = slots.slots.iter().any(|slot| slot.id.to_string() == mark);
            assert!(!left, "{again}: a slot is still marked");
        }
        if step == KeyStep::Reencrypt {
            nothing_older(&repository, lab, &again).await;
        }
        // It can be written to.
        let report = back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
        assert_eq!(report.counts.failed, 0, "{again}");
    }
}

/// No pack, index segment or checkpoint in the store is sealed in an older epoch than the current one.
async fn nothing_older(repository: &Repository, lab: &Lab, what: &str) {
    let info = repository.info().await.unwrap();
    let image = Image::of(&*lab.store).await.unwrap();
    for (path, bytes) in image.objects() {
        let sealed = ["packs/", "index/", "checkpoint/"];
        if sealed.iter().any(|folder| path.as_ref().starts_with(folder)) {
            let header = ObjectHeader::decode(bytes).unwrap();
            assert_eq!(header.epoch, info.epoch, "{what}: {path}");
        }
    }
    for usage in &info.epochs {
        let older = (usage.packs, usage.waiting_packs, usage.index_segments);
        assert!(
            usage.epoch == info.epoch || older == (0, 0, 0),
            "{what}: {info:?}"
        );
    }
}

/// Stops a step before each of its store operations, by an error or by an answer that is lost.
async fn stop_everywhere(step: KeyStep) {
    let start = Start::new(Some(step)).await;
    let failures = Failures::default();
    let mut cases = 0;
    let faults = [
        Fault::Fail(Failure::PermissionDenied),
        Fault::FailAfter(Failure::PermissionDenied),
    ];
    for fault in faults {
        for number in 0.. {
            let store = start.image.open().await;
            let faults = FaultStore::new(store.clone());
            faults.inject(Rule::new(Matcher::any(), When::From(number), fault.clone()));
            let result = perform(step, &Lab::over(faults.handle(), 5)).await;
            if faults.faults() == 0 {
                result.unwrap();
                break;
            }
            cases += 1;
            let lab = Lab::over(store, 6);
            let what = format!("{} stopped at operation {number} by {fault:?}", step.name());
            failures
                .attempt(async {
                    start.check_interrupted(step, &lab, &what).await;
                    start.settle(step, &lab, &what).await;
                })
                .await;
        }
    }
    announce(&format!("{}: stopped at {cases} places", step.name()));
    failures.assert_none();
    assert!(cases > 20, "only {cases} places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_key_stopped_anywhere() {
    stop_everywhere(KeyStep::Add).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_a_passphrase_stopped_anywhere() {
    stop_everywhere(KeyStep::Remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_a_key_stopped_anywhere() {
    stop_everywhere(KeyStep::Change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_stopped_anywhere() {
    stop_everywhere(KeyStep::Rotate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_locks_somebody_out_stopped_anywhere() {
    stop_everywhere(KeyStep::RotateAlone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypting_anew_stopped_anywhere() {
    stop_everywhere(KeyStep::Reencrypt).await;
}

/// Kills a process before each store operation of a step, on the real disk.
async fn kill_everywhere(step: KeyStep) {
    let root = tempfile::tempdir().unwrap();
    let first = root.path().join("start");
    std::fs::create_dir_all(&first).unwrap();
    let lab = disk(Step::Create, &first).await.unwrap();
    let repository = create(lab.store.clone(), lab.env.clone()).await.unwrap();
    if step == KeyStep::Reencrypt {
        run_keys(KeyStep::Rotate, &first, None).await.unwrap();
    }
    let start = Start {
        image: Image::default(),
        points: points_of(&repository).await,
    };
    let mut kills = 0;
    loop {
        let what = format!("{} killed before operation {kills}", step.name());
        let work = root.path().join("work");
        crate::crash::copy(&first, &work);
        let mut child = Command::new(env!("CARGO_BIN_EXE_crash_child"));
        child.args([step.name(), work.to_str().unwrap(), &kills.to_string()]);
        let output = child.output().unwrap();
        let ended = output.status.code() == Some(0);
        assert!(ended || output.status.signal() == Some(9), "{what}: {output:?}");
        let lab = disk(Step::Create, &work).await.unwrap();
        start.check_interrupted(step, &lab, &what).await;
        if ended {
            break;
        }
        kills += 1;
        run_keys(step, &work, None).await.unwrap();
        for holder in step.finally() {
            start.check(&lab, *holder, &what).await;
        }
        std::fs::remove_dir_all(&work).unwrap();
    }
    announce(&format!(
        "{}: killed before each of {kills} operations",
        step.name()
    ));
    assert!(kills > 10, "only {kills} operations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_keys_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::Change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_a_key_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::Add).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_a_passphrase_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::Remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_locks_somebody_out_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::RotateAlone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypting_anew_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::Reencrypt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_survives_a_kill_before_every_operation() {
    kill_everywhere(KeyStep::Rotate).await;
}

/// What somebody has who opened the repository with this secret.
async fn ring_of(image: &Image, holder: Holder) -> KeyRing {
    for (path, bytes) in image.objects() {
        if path.as_ref().starts_with("keys/")
            && let Ok(slot) = KeySlot::parse(bytes)
            && let Ok(key) = slot.try_secret(&holder.secret())
        {
            return slot.open(&key).unwrap();
        }
    }
    panic!("{holder:?} opens nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_locked_out_reads_nothing_new_and_forges_nothing() {
    let start = Start::new(None).await;
    let lab = start.lab(2).await;
    let leaked = ring_of(&start.image, Holder::Second).await;
    let open = Holder::Second.open(&lab.elsewhere(3)).await.unwrap();
    let owner = Holder::First.open(&lab).await.unwrap();
    let refused = owner.rotate_keys(RotateOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused:?}");
    assert!(refused.message().contains("second"), "{refused:?}");
    let before = Image::of(&*lab.store).await.unwrap();
    assert_eq!(before.objects(), start.image.objects());
    perform(KeyStep::RotateAlone, &lab).await.unwrap();
    // The handle that was open before the rotation goes on, in the new epoch at once.
    back_up(&owner, &mailbox(Stage::First)).await.unwrap();
    assert_eq!(owner.info().await.unwrap().epoch, 1);
    // So does not one whose secret was taken away.
    let error = back_up(&open, &mailbox(Stage::First)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "{error:?}");

    let id = owner.id();
    let old = KeySet::of_ring(leaked, &id);
    let mut codec = Codec::new(Compression::Medium).unwrap();
    let after = Image::of(&*lab.store).await.unwrap();
    let mut new = 0;
    for (path, bytes) in after.objects() {
        if before.objects().contains_key(path) || path.as_ref().starts_with("keys/") {
            continue;
        }
        let header = ObjectHeader::decode(bytes).unwrap();
        assert_eq!(header.epoch, 1, "{path}");
        assert!(old.check_header(&header, header.kind).is_err(), "{path}");
        new += 1;
    }
    assert!(new >= 3, "only {new} new objects");

    // A commit and a checkpoint in the old epoch, right in every other respect.
    let head = owner.info().await.unwrap().head;
    let log = |number: u64| Path::from(format!("log/{number:020}"));
    let newest = CommitHash::of(&after.objects()[&log(head)]);
    let forged = CommitRecord {
        seq: head + 1,
        previous: newest,
        writer: WriterId::from_bytes([1; 16]),
        time_ms: 0,
        software: "forged".into(),
        operations: vec![Operation::RemovePoints {
            points: start.points.keys().copied().collect(),
            reason: "forged".into(),
        }],
        locked_ms: None,
    };
    let (_, bytes) = forged.seal(&old, &mut codec).unwrap();
    let spoiled = after.with(&log(head + 1), bytes);
    let mut state = RepositoryState::default().to_checkpoint(0);
    (state.seq, state.commit_hash) = (head + 100, newest);
    let checkpoint = state.seal(&old, &mut codec).unwrap();
    let number = Path::from(format!("checkpoint/{:020}", head + 100));
    for (what, image) in [
        ("commit", spoiled),
        ("checkpoint", after.with(&number, checkpoint)),
    ] {
        let lab = Lab::over(image.open().await, 9);
        let repository = Holder::First.open(&lab).await.unwrap();
        let found: BTreeSet<PointId> = all_points(&repository).iter().map(|point| point.id).collect();
        let known = start.points.keys().all(|point| found.contains(point));
        assert!(known, "{what}: a forgery took points away");
        assert!(!repository.log_damage().is_empty(), "{what}: nobody says a word");
        let refused = back_up(&repository, &mailbox(Stage::First)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{what}");
    }
    // The history before the rotation, whole: the slot knows better.
    let mut rewound = before.clone();
    for (path, bytes) in after.objects() {
        if path.as_ref().starts_with("keys/") {
            rewound = rewound.with(path, bytes.clone());
        }
    }
    let lab = Lab::over(rewound.open().await, 9);
    let error = Holder::First.open(&lab).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HistoryRewound, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypting_anew_goes_on_where_it_stopped_and_says_how_far_it_is() {
    let start = Start::new(Some(KeyStep::Reencrypt)).await;
    let lab = start.lab(2).await;
    let repository = Holder::Second.open(&lab).await.unwrap();
    let before = repository.info().await.unwrap();
    let older = before.epochs[0];
    assert!(
        older.epoch == 0 && older.packs > 2 && older.commits == 2,
        "{before:?}"
    );
    let running = repository.reencrypt(at_once());
    let progress = running.progress();
    let mut running = running;
    let mut phases = Vec::new();
    while let Some(event) = running.next_event().await {
        if let Event::Phase { phase } = event {
            phases.push(phase);
        }
    }
    let last = progress.borrow().clone();
    assert!(
        last.bytes_done > 0 && Some(last.bytes_done) == last.bytes_total,
        "{last:?}"
    );
    let commits = phases.iter().filter(|phase| *phase == "commit").count();
    assert!(commits as u64 >= older.packs, "{phases:?}");
    running.wait().await.unwrap();
    nothing_older(&repository, &lab, "encrypted anew").await;
    start.check(&lab, Holder::First, "encrypted anew").await;
    // Chunks have the names they had: nothing is stored again.
    let again = back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    assert_eq!(again.counts.failed, 0);
    let idle = repository.reencrypt(at_once()).wait().await.unwrap();
    assert_eq!(idle.moved_bytes, 0, "{idle:?}");
}

/// Runs two actors with two changes from one to the other at every pair of operations, and judges each outcome.
async fn interleavings<A: Send, B: Send>(
    start: &Start,
    one_in: u64,
    first: impl AsyncFn(Lab) -> A + Send + Sync,
    second: impl AsyncFn(Lab) -> B + Send + Sync,
    judge: impl AsyncFn(Lab, A, B, &str),
) -> u64
where
    for<'a> &'a (): Send,
{
    let failures = Failures::default();
    let mut cases = 0;
    let mut i = 0;
    loop {
        let mut i_reached = true;
        for j in (0..).filter(|j| sampled(i, *j, one_in)) {
            let store = start.image.open().await;
            let what = format!("first to {i}, second to {j}");
            let (one, first_reached, two, second_reached) = tokio::task::block_in_place(|| {
                interleave(
                    &store,
                    (i, async |lab| first(lab).await),
                    (j, async |lab| second(lab).await),
                )
            });
            cases += 1;
            failures
                .attempt(judge(Lab::over(store, 6), one, two, &what))
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
    failures.assert_none();
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_rotation_in_every_order() {
    let start = Start::new(None).await;
    let backup = async |lab: Lab| {
        let repository = Holder::Second.open(&lab).await?;
        back_up(&repository, &mailbox(Stage::First)).await
    };
    let rotate = async |lab: Lab| perform(KeyStep::Rotate, &lab).await;
    let judge =
        async |lab: Lab, backup: nakivo_core::Result<_>, rotate: nakivo_core::Result<()>, what: &str| {
            rotate.unwrap_or_else(|error| panic!("{what}: the rotation: {error:?}"));
            let report: nakivo_core::backup::BackupReport =
                backup.unwrap_or_else(|error| panic!("{what}: the run: {error:?}"));
            for holder in [Holder::First, Holder::Second] {
                start.check(&lab, holder, what).await;
            }
            let repository = Holder::First.open(&lab).await.unwrap();
            assert_sound(&repository, what).await;
            assert!(
                all_points(&repository)
                    .iter()
                    .any(|point| point.id == report.point),
                "{what}"
            );
            assert_eq!(repository.info().await.unwrap().epoch, 1, "{what}");
        };
    let mut cases = interleavings(&start, 23, backup, rotate, judge).await;
    cases += interleavings(&start, 23, rotate, backup, async |lab, rotate, backup, what| {
        judge(lab, backup, rotate, what).await;
    })
    .await;
    announce(&format!("rotation: {cases} interleavings with a run"));
    assert!(cases > 40, "only {cases} interleavings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rotations_at_once_leave_one_that_all_can_read() {
    let start = Start::new(None).await;
    let rotate = async |lab: Lab| perform(KeyStep::Rotate, &lab).await;
    let other = async |lab: Lab| {
        let repository = Holder::Second.open(&lab).await?;
        let options = RotateOptions::default().with_kept(Holder::First.secret());
        repository.rotate_keys(options).await.map(drop)
    };
    let judge = async |lab: Lab, one: nakivo_core::Result<()>, two: nakivo_core::Result<()>, what: &str| {
        for result in [&one, &two] {
            if let Err(error) = result {
                let known = [ErrorKind::Conflict, ErrorKind::Busy, ErrorKind::InvalidInput];
                assert!(known.contains(&error.kind()), "{what}: {error:?}");
            }
        }
        assert!(one.is_ok() || two.is_ok(), "{what}: {one:?} {two:?}");
        for holder in [Holder::First, Holder::Second] {
            start.check(&lab, holder, what).await;
        }
        start.settle(KeyStep::Rotate, &lab, what).await;
    };
    let cases = interleavings(&start, 29, rotate, other, judge).await;
    announce(&format!("rotation: {cases} interleavings with another"));
    assert!(cases > 15, "only {cases} interleavings");
}

/// Each removes the other's slot: one of them must notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_remove_each_other_leave_somebody() {
    let start = Start::new(None).await;
    let remove = async |lab: Lab, own: Holder| {
        let repository = own.open(&lab).await?;
        let slots = repository.key_slots().await?.slots;
        let other = slots.into_iter().find(|slot| !slot.own).unwrap();
        repository.remove_key_slot(&other.id).await.map(drop)
    };
    let judge = async |lab: Lab, one: nakivo_core::Result<()>, two: nakivo_core::Result<()>, what: &str| {
        let mut open = 0;
        for holder in [Holder::First, Holder::Second] {
            if holder.open(&lab).await.is_ok() {
                start.check(&lab, holder, what).await;
                open += 1;
            }
        }
        assert!(open > 0, "{what}: nobody opens it: {one:?} {two:?}");
    };
    let first = async |lab| remove(lab, Holder::First).await;
    let second = async |lab| remove(lab, Holder::Second).await;
    let cases = interleavings(&start, 1, first, second, judge).await;
    announce(&format!("removal of key slots: {cases} interleavings"));
    assert!(cases > 80, "only {cases} interleavings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damaged_bit_of_a_slot_is_named_and_shuts_nobody_else_out() {
    let start = Start::new(None).await;
    let lab = start.lab(2).await;
    let repository = Holder::First.open(&lab).await.unwrap();
    repository
        .add_key_slot(Holder::New.secret(), SlotOptions::default())
        .await
        .unwrap();
    let slots = repository.key_slots().await.unwrap().slots;
    let own = slots.iter().find(|slot| slot.own).unwrap().id;
    let second = slots.iter().find(|slot| slot.label == "second").unwrap().id;
    let image = Image::of(&*lab.store).await.unwrap();
    // Without the passphrase's slot: its derivation takes longer than everything else together.
    let image = image.without(&Path::from(format!("keys/{second}")));
    let path = Path::from(format!("keys/{own}"));
    let bytes = image.objects()[&path].clone();
    let failures = Failures::default();
    let mut cases = 0;
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let lab = Lab::over(image.with(&path, damaged).open().await, 3);
        failures
            .attempt(async {
                let other = Holder::New.open(&lab).await.unwrap();
                let named = other.key_slots().await.unwrap().damaged;
                assert!(
                    named.len() == 1 && named[0].contains(path.as_ref()),
                    "bit {bit}: {named:?}"
                );
                let error = Holder::First.open(&lab).await.unwrap_err();
                let hint = format!("{error:?}");
                assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "bit {bit}: {error:?}");
                assert!(hint.contains(path.as_ref()), "bit {bit}: {error:?}");
            })
            .await;
        cases += 1;
    }
    announce(&format!("key slot: {cases} bits flipped"));
    failures.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_by_name() {
    let start = Start::new(None).await;
    let lab = start.lab(2).await;
    let repository = Holder::First.open(&lab).await.unwrap();
    let slots = repository.key_slots().await.unwrap().slots;
    assert_eq!(slots.len(), 2);
    let own = slots.iter().find(|slot| slot.own).unwrap();
    let error = repository.remove_key_slot(&own.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    for known in [Holder::First, Holder::Second] {
        let add = repository.add_key_slot(known.secret(), SlotOptions::default());
        assert_eq!(
            add.await.unwrap_err().kind(),
            ErrorKind::AlreadyExists,
            "{known:?}"
        );
    }
    let error = repository
        .rotate_keys(RotateOptions::default().with_kept(Holder::New.secret()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "{error:?}");
    let error = Holder::New.open(&lab).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongPassphrase, "{error:?}");
    assert_eq!(Image::of(&*lab.store).await.unwrap(), start.image);

    // The other half of a letter in two forms.
    let decomposed = nakivo_core::format::Passphrase::new("gru\u{308}n und geheim");
    let options = nakivo_core::repository::OpenOptions::default().with_passphrase(Some(decomposed));
    Repository::open(lab.store.clone(), options, lab.env.clone())
        .await
        .unwrap();

    let plain = Lab::memory(7);
    let repository = plain.create().await.unwrap();
    let add = repository.add_key_slot(Holder::New.secret(), SlotOptions::default());
    assert_eq!(add.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let rotate = repository.rotate_keys(RotateOptions::default());
    assert_eq!(rotate.await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// A run that began before a rotation goes on in the new epoch with its next pack.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_under_way_takes_the_new_keys() {
    let start = Start::new(None).await;
    let lab = start.lab(2).await;
    let repository = Holder::First.open(&lab).await.unwrap();
    let slow: Arc<dyn ObjectStore> = lab.store.clone();
    let source = nakivo_testkit::scripted::ScriptedConnector::new(
        "slow",
        nakivo_testkit::scripted::Settings::default(),
    );
    source.edit(&nakivo_testkit::scripted::Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    for number in 0..4 {
        source.edit(&nakivo_testkit::scripted::Edit::Put {
            container: "inbox".into(),
            id: format!("m{number}"),
            name: format!("Item {number}"),
            parts: BTreeMap::from([(
                "mime".to_owned(),
                nakivo_testkit::content::Content::Generated {
                    seed: number,
                    size: 6_000_000,
                },
            )]),
        });
    }
    let handle = tokio::runtime::Handle::current();
    let (once, own) = (std::sync::atomic::AtomicBool::new(false), repository.clone());
    source.edit_during(move |_, _| {
        if !once.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let (handle, own) = (handle.clone(), own.clone());
            let work = move || {
                handle.block_on(async {
                    let options = RotateOptions::default().with_kept(Holder::Second.secret());
                    own.rotate_keys(options).await.unwrap()
                })
            };
            std::thread::spawn(work).join().unwrap();
        }
        Vec::new()
    });
    let report = back_up(&repository, &source).await.unwrap();
    assert_eq!(report.counts.failed, 0);
    let repository = Holder::Second.open(&lab.elsewhere(4)).await.unwrap();
    assert_sound(&repository, "after the run").await;
    let info = repository.info().await.unwrap();
    assert_eq!(info.epoch, 1);
    assert!(
        info.epochs
            .iter()
            .any(|usage| usage.epoch == 1 && usage.packs > 0),
        "{info:?}"
    );
    let packs = slow.list(Some(&Path::from("packs")));
    let packs: Vec<_> = futures::TryStreamExt::try_collect(packs).await.unwrap();
    for meta in packs {
        let bytes = slow.get(&meta.location).await.unwrap().bytes().await.unwrap();
        ObjectHeader::decode(&bytes).unwrap();
    }
    start.check(&lab, Holder::First, "after the run").await;
}
