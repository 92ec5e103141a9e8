//! A connector to an emulator, a repository in memory, and the object that is backed up from one into the other.

use std::ops::DerefMut;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions, BackupReport, Outcome};
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::format::manifest::{Manifest, ObjectRecord};
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::object_store::memory::InMemory;
use nakivo_core::recovery::{self, PageRequest, PointView, RecoveryPlan, RecoveryReport, Selection, Target};
use nakivo_core::repository::{CreateOptions, PointSelector, Repository};
use nakivo_graph_connector::{AccountConfig, MailboxService};
use nakivo_graph_emulator::{Action, Damage, FaultBody};

use crate::bench::{Bench, config, environment};

pub(crate) struct Lab {
    pub(crate) bench: Bench,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) account: AccountConfig,
    pub(crate) repository: Repository,
    pub(crate) object: ObjectRecord,
}

impl Lab {
    /// The object that `reference` names, as this account sees it.
    pub(crate) async fn new(bench: Bench, account: AccountConfig, reference: &str) -> Self {
        let connector: Arc<dyn Connector> = Arc::new(bench.connect_with(&account));
        Self {
            object: connector.find_object(reference).await.unwrap(),
            repository: new_repository(&bench).await,
            connector,
            account,
            bench,
        }
    }

    /// Forgets what the connector remembers, as a new process would.
    pub(crate) fn reconnect(&mut self) {
        self.connector = Arc::new(self.bench.connect_with(&self.account));
    }

    /// A recovery of everything to where it was, by a connector of its own: what the other one remembers must not help.
    pub(crate) async fn recover_anew(&self, on_conflict: OnConflict, what: &str) {
        let connector: Arc<dyn Connector> = Arc::new(self.bench.connect_with(&self.account));
        let (point, all) = (self.point(), Selection::All);
        let plan = recovery::plan(
            &self.repository,
            &point,
            all,
            &connector,
            Target::Original,
            on_conflict,
        )
        .wait()
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let report = recovery::apply(&self.repository, plan, &connector)
            .wait()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(report.outcome, Outcome::Complete, "{what}: {:?}", report.items);
    }

    /// Recovers everything once at rest, and then with each of these faults at each request (a sample of them). `clear` makes the
    /// target what it was before, `check` compares what came back.
    pub(crate) async fn recover_despite(
        &self,
        kinds: &[Action],
        usual_stride: u64,
        clear: impl Fn(),
        check: impl Fn(&str),
    ) {
        let attempt = async |what: &str| {
            self.recover_anew(OnConflict::Rename, what).await;
            check(what);
        };
        let quiet = || {
            clear();
            self.bench.emulator.faults().clear();
        };
        quiet();
        self.bench.emulator.requests().clear();
        attempt("at rest").await;
        let requests = self.bench.emulator.requests().count();
        let mut runs = 1;
        for (number, kind) in (1..).zip(kinds) {
            for n in places(requests, number, stride(usual_stride)) {
                quiet();
                self.bench.break_request(kind, n);
                attempt(&format!("{kind:?} at {n}")).await;
                runs += 1;
            }
        }
        println!("{runs} recoveries with {requests} requests");
    }

    /// From now on, reads these services of mailboxes only.
    pub(crate) fn reads(&mut self, services: &[MailboxService]) {
        self.account = account(&self.bench, services);
        self.reconnect();
    }

    pub(crate) async fn back_up(&self) -> Result<BackupReport> {
        let connector = Arc::clone(&self.connector);
        let options = BackupOptions::default();
        backup::start(&self.repository, connector, self.object.clone(), options)
            .wait()
            .await
    }

    /// A run that must be complete.
    pub(crate) async fn back_up_all(&self) -> BackupReport {
        let report = self.back_up().await.unwrap();
        assert!(report.issues.is_empty(), "{:#?}", report.issues);
        report
    }

    pub(crate) fn point(&self) -> Manifest {
        self.repository
            .point(&self.object.id, &PointSelector::Latest)
            .unwrap()
    }

    /// The newest point.
    pub(crate) fn view(&self) -> PointView {
        PointView::open(&self.repository, self.point())
    }

    pub(crate) async fn plan(
        &self,
        selection: Selection,
        target: Target,
        on_conflict: OnConflict,
    ) -> RecoveryPlan {
        recovery::plan(
            &self.repository,
            &self.point(),
            selection,
            &self.connector,
            target,
            on_conflict,
        )
        .wait()
        .await
        .unwrap()
    }

    pub(crate) async fn recover(
        &self,
        selection: Selection,
        target: Target,
        on_conflict: OnConflict,
    ) -> RecoveryReport {
        let plan = self.plan(selection, target, on_conflict).await;
        recovery::apply(&self.repository, plan, &self.connector)
            .wait()
            .await
            .unwrap()
    }
}

/// An account that reads these services of mailboxes.
pub(crate) fn account(bench: &Bench, services: &[MailboxService]) -> AccountConfig {
    config(&bench.emulator).with_mailbox_services(services.iter().copied())
}

/// A fault that answers with this status, body and `Retry-After`.
pub(crate) fn status(status: u16, body: FaultBody, retry_after: Option<&str>) -> Action {
    Action::Status {
        status,
        body,
        retry_after: retry_after.map(str::to_owned),
    }
}

/// Faults of any service that pass by themselves.
pub(crate) fn passing() -> Vec<Action> {
    vec![
        status(429, FaultBody::Envelope, Some("3")),
        status(429, FaultBody::Empty, None),
        status(503, FaultBody::Empty, Some("junk")),
        status(500, FaultBody::Envelope, None),
        status(502, FaultBody::Html, None),
        status(504, FaultBody::Empty, None),
        status(200, FaultBody::Html, None),
        status(401, FaultBody::Envelope, None),
        Action::Reset,
        Action::Damage(Damage::CutAt(0)),
        Action::Damage(Damage::CutAt(100)),
        Action::Damage(Damage::CutChunkedAt(37)),
    ]
}

/// Faults of which some befall an answer to a write that took place.
pub(crate) fn while_writing() -> Vec<Action> {
    vec![
        status(429, FaultBody::Envelope, Some("3")),
        status(503, FaultBody::Empty, Some("junk")),
        Action::AfterSuccess { status: 500 },
        Action::ResetAfterSuccess,
        Action::Reset,
    ]
}

/// Every n-th place is tried, or with `NAKIVO_FULL` set all of them.
pub(crate) fn stride(usual: u64) -> u64 {
    match std::env::var_os("NAKIVO_FULL") {
        Some(_) => 1,
        None => usual,
    }
}

/// The requests at which the kind of fault with this number is tried.
pub(crate) fn places(requests: u64, number: usize, stride: u64) -> impl Iterator<Item = u64> {
    (1..=requests).filter(move |n| (n + number as u64).is_multiple_of(stride))
}

/// A lab that knows what its newest point must hold.
pub(crate) trait Truth: DerefMut<Target = Lab> {
    /// Compares the newest point with the emulator, byte for byte.
    async fn assert_truth(&self);

    /// A run that must be complete and hold the truth.
    async fn back_up_and_compare(&self) -> BackupReport {
        let report = self.back_up_all().await;
        self.assert_truth().await;
        report
    }

    /// A first backup with each of these faults at each request (a sample of them) must end in the truth all the same.
    async fn survive(&mut self, kinds: &[Action], usual_stride: u64) {
        self.bench.emulator.requests().clear();
        self.back_up_and_compare().await;
        let requests = self.bench.emulator.requests().count();
        let mut runs = 0;
        for (number, kind) in kinds.iter().enumerate() {
            for n in places(requests, number, stride(usual_stride)) {
                self.repository = new_repository(&self.bench).await;
                self.reconnect();
                self.bench.break_request(kind, n);
                let report = self.back_up().await;
                let report = report.unwrap_or_else(|error| panic!("{kind:?} at {n}: {error:?}"));
                assert!(report.issues.is_empty(), "{kind:?} at {n}: {:?}", report.issues);
                self.bench.emulator.faults().clear();
                self.assert_truth().await;
                runs += 1;
            }
        }
        let kinds = kinds.len();
        println!("{runs} runs, {kinds} kinds of fault at each of {requests} requests");
    }

    /// A run beside edits, which is returned, then runs at rest, after which nothing may differ.
    async fn settle(&self, what: &str) -> BackupReport {
        let meanwhile = self.back_up().await;
        let meanwhile = meanwhile.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        self.bench.emulator.faults().clear();
        // What changed meanwhile comes with the next run.
        let mut report = self.back_up().await.unwrap();
        if report.outcome == Outcome::Partial {
            report = self.back_up().await.unwrap();
        }
        assert_eq!(report.outcome, Outcome::Complete, "{what}: {:?}", report.issues);
        println!("{what}");
        self.assert_truth().await;
        meanwhile
    }
}

/// The histories that were asked for, or as many as usual.
pub(crate) fn histories(usual: u64) -> u64 {
    let asked = std::env::var("NAKIVO_HISTORIES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

pub(crate) async fn new_repository(bench: &Bench) -> Repository {
    Repository::create(
        Arc::new(InMemory::new()),
        CreateOptions::default(),
        environment(&bench.clock),
    )
    .await
    .unwrap()
}

/// Everything that can be reached in a point, with its path.
pub(crate) async fn walk(view: &PointView) -> Vec<(String, ItemRecord)> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(container) = open.pop() {
        let mut request = PageRequest {
            after: None,
            limit: 500,
        };
        loop {
            let page = view.list(&container, request.clone()).await.unwrap();
            assert!(page.spoiled.is_empty());
            for entry in page.entries {
                if entry.record.kind == ItemKind::Container {
                    open.push(entry.record.id.clone());
                }
                found.push((entry.path, entry.record));
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
    }
    found
}

/// A stored part of an item.
pub(crate) async fn part(view: &PointView, record: &ItemRecord, name: &str) -> Bytes {
    let content = view.content(record, name).unwrap();
    let pieces: Vec<Bytes> = content.try_collect().await.unwrap();
    Bytes::from(pieces.concat())
}

/// Lets a lab of one kind of object be used as the common one.
macro_rules! is_a_lab {
    ($lab:ty) => {
        impl std::ops::Deref for $lab {
            type Target = $crate::lab::Lab;

            fn deref(&self) -> &Self::Target {
                &self.common
            }
        }

        impl std::ops::DerefMut for $lab {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.common
            }
        }
    };
}
pub(crate) use is_a_lab;
