//! One fault at every store operation of a run: the run completes with the right content or returns a typed error, and a
//! repeated run completes with the right content.

use std::collections::BTreeMap;

use crate::many::Failures;
use futures::StreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::repository::PointSelector;
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{assert_ledger, assert_point, assert_sound};
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::{Stage, mailbox};

/// A kind of fault and, where there is only one right answer, the kind of error it must end in.
pub(crate) struct Trouble {
    pub(crate) name: &'static str,
    pub(crate) kind: OperationKind,
    fault: Fault,
    /// From the hit operation on, rather than once.
    lasting: bool,
    pub(crate) ends_in: Option<ErrorKind>,
    /// Whether the run must complete all the same: the fault passes and one look tells what happened.
    pub(crate) passes: bool,
}

impl Trouble {
    /// It strikes at operation `number` of its kind.
    pub(crate) fn rule(&self, number: u64) -> Rule {
        let when = if self.lasting {
            When::From(number)
        } else {
            When::Nth(number)
        };
        Rule::new(Matcher::kind(self.kind), when, self.fault.clone())
    }
}

pub(crate) fn troubles() -> Vec<Trouble> {
    use OperationKind::{Get, Head, List, Put};
    let trouble = |name, kind, fault, lasting: bool, ends_in| {
        let once = matches!(
            fault,
            Fault::Fail(Failure::Unavailable | Failure::Timeout) | Fault::FailAfter(_)
        ) && !lasting;
        let list = matches!(fault, Fault::StaleList(_) | Fault::DuplicateList);
        Trouble {
            name,
            kind,
            fault,
            lasting,
            ends_in,
            passes: once || list,
        }
    };
    let full = Fault::Fail(Failure::DiskFull);
    let denied = Fault::Fail(Failure::PermissionDenied);
    vec![
        trouble(
            "put fails once",
            Put,
            Fault::Fail(Failure::Unavailable),
            false,
            None,
        ),
        trouble(
            "put fails from here on",
            Put,
            Fault::Fail(Failure::Unavailable),
            true,
            Some(ErrorKind::Unavailable),
        ),
        trouble(
            "put succeeds and reports failure",
            Put,
            Fault::FailAfter(Failure::Timeout),
            false,
            None,
        ),
        trouble(
            "put succeeds and always reports failure",
            Put,
            Fault::FailAfter(Failure::Timeout),
            true,
            None,
        ),
        trouble(
            "put stores nothing and reports success",
            Put,
            Fault::Drop,
            false,
            None,
        ),
        trouble(
            "put stores half and reports success",
            Put,
            Fault::Truncate(100),
            false,
            None,
        ),
        trouble(
            "disk full once",
            Put,
            full.clone(),
            false,
            Some(ErrorKind::StorageFull),
        ),
        trouble(
            "disk full from here on",
            Put,
            full,
            true,
            Some(ErrorKind::StorageFull),
        ),
        trouble(
            "put refused",
            Put,
            denied.clone(),
            false,
            Some(ErrorKind::PermissionMissing),
        ),
        trouble("get fails once", Get, Fault::Fail(Failure::Timeout), false, None),
        trouble(
            "get fails from here on",
            Get,
            Fault::Fail(Failure::Unavailable),
            true,
            Some(ErrorKind::Unavailable),
        ),
        trouble("get is short once", Get, Fault::Truncate(90), false, None),
        trouble(
            "get has a flipped bit once",
            Get,
            Fault::FlipBit(1234),
            false,
            None,
        ),
        trouble(
            "get refused",
            Get,
            denied,
            false,
            Some(ErrorKind::PermissionMissing),
        ),
        trouble(
            "head fails once",
            Head,
            Fault::Fail(Failure::Unavailable),
            false,
            None,
        ),
        trouble(
            "list fails once",
            List,
            Fault::Fail(Failure::Unavailable),
            false,
            None,
        ),
        trouble(
            "list does not show the newest",
            List,
            Fault::StaleList(3),
            true,
            None,
        ),
        trouble("list shows all twice", List, Fault::DuplicateList, true, None),
    ]
}

struct Start {
    image: Image,
    stage: Stage,
    points: usize,
    truth: LogicalContent,
    /// Operations of an undisturbed open and run.
    operations: BTreeMap<OperationKind, u64>,
}

impl Start {
    async fn new(stage: Stage) -> Self {
        let lab = Lab::memory(1);
        let repository = lab.create().await.unwrap();
        if stage == Stage::Second {
            back_up(&repository, &mailbox(Stage::First)).await.unwrap();
        }
        let image = Image::of(&*lab.store).await.unwrap();
        let truth = mailbox(stage).truth();
        let points = usize::from(stage == Stage::Second);
        let mut start = Self {
            image,
            stage,
            points,
            truth,
            operations: BTreeMap::new(),
        };
        let faults = FaultStore::new(start.image.open().await);
        start.run(&Lab::over(faults.handle(), 2)).await.unwrap();
        start.operations = OperationKind::ALL
            .into_iter()
            .map(|kind| (kind, faults.count(kind)))
            .collect();
        start
    }

    async fn run(&self, lab: &Lab) -> nakivo_core::Result<()> {
        let repository = lab.open().await?;
        lab.clock.advance(std::time::Duration::from_secs(60));
        let report = back_up(&repository, &mailbox(self.stage)).await?;
        assert_ledger(&report, "run");
        Ok(())
    }

    /// Whether the disturbed run completed.
    async fn disturb(&self, trouble: &Trouble, number: u64) -> bool {
        let what = format!("{:?} run, operation {number}: {}", self.stage, trouble.name);
        let store = self.image.open().await;
        let mut lab = Lab::over(store.clone(), 3);
        // The head is known from before, as for every run but the very first on a machine.
        lab.open().await.unwrap();
        let faults = FaultStore::new(store.clone());
        faults.inject(trouble.rule(number));
        lab.store = faults.handle();
        let result = self.run(&lab).await;
        lab.store = store;
        let hit = faults.faults() > 0;
        match &result {
            Ok(()) => self.check(&lab, &format!("{what}, completed")).await,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{what}: {error:?}");
                if let Some(expected) = trouble.ends_in {
                    assert_eq!(error.kind(), expected, "{what}: {error:?}");
                }
                assert!(
                    !trouble.passes,
                    "{what}: a passing fault is not waited out: {error:?}"
                );
                assert!(hit, "{what}: failed without a fault: {error:?}");
                let repository = lab
                    .open()
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_sound(&repository, &what).await;
                self.run(&lab)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: the repeated run fails: {error:?}"));
                self.check(&lab, &format!("{what}, and repeated")).await;
            }
        }
        result.is_ok()
    }

    async fn check(&self, lab: &Lab, what: &str) {
        let repository = lab
            .open()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_sound(&repository, what).await;
        let object = mailbox(self.stage).object();
        let points = repository.points(&object.id).len();
        assert!(
            points > self.points && points <= self.points + 2,
            "{what}: {points} points"
        );
        let latest = repository.point(&object.id, &PointSelector::Latest).unwrap();
        assert_point(&repository, &latest, &self.truth, what).await;
    }
}

async fn everywhere(stage: Stage) {
    let start = Start::new(stage).await;
    let troubles = troubles();
    let mut cases = Vec::new();
    for trouble in &troubles {
        let operations = start.operations.get(&trouble.kind).copied().unwrap_or(0);
        cases.extend((0..operations).map(|number| (trouble, number)));
    }
    let count = cases.len();
    let start = &start;
    let failures = Failures::default();
    let completed = futures::stream::iter(cases)
        .map(|(trouble, number)| failures.attempt(start.disturb(trouble, number)))
        .buffer_unordered(4)
        .filter(|completed| std::future::ready(*completed == Some(true)))
        .count()
        .await;
    announce(&format!(
        "faults, {stage:?} run: {count} cases over {:?}; {completed} completed at once, {} after one repetition",
        start.operations,
        count - completed
    ));
    failures.assert_none();
    assert!(count > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_survives_a_fault_at_every_operation() {
    everywhere(Stage::First).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_run_survives_a_fault_at_every_operation() {
    everywhere(Stage::Second).await;
}

/// Creates a repository with one fault; `false` if the fault never struck.
async fn create_disturbed(trouble: &Trouble, number: u64) -> bool {
    let what = format!("create, operation {number}: {}", trouble.name);
    let mut lab = Lab::memory(1);
    let plain = lab.store.clone();
    let faults = FaultStore::new(plain.clone());
    faults.inject(trouble.rule(number));
    lab.store = faults.handle();
    let result = lab.create().await;
    if faults.faults() == 0 {
        return false;
    }
    lab.store = plain;
    if let Err(error) = &result {
        assert_ne!(error.kind(), ErrorKind::Internal, "{what}: {error:?}");
        assert!(
            !trouble.passes,
            "{what}: a passing fault is not waited out: {error:?}"
        );
        match lab.create().await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{what}: creating it again fails: {error:?}"),
        }
    }
    let repository = lab
        .open()
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let source = mailbox(Stage::First);
    back_up(&repository, &source)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_sound(&lab.open().await.unwrap(), &what).await;
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creating_a_repository_survives_a_fault_at_every_operation() {
    let failures = Failures::default();
    let mut cases = 0;
    for trouble in troubles() {
        for number in 0..20 {
            match failures.attempt(create_disturbed(&trouble, number)).await {
                Some(false) => break,
                _ => cases += 1,
            }
        }
    }
    announce(&format!("faults while creating: {cases} cases"));
    failures.assert_none();
    assert!(cases > 20);
}
