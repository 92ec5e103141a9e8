//! A director with everything around it that a test owns: clock, state, sources, repository; and ways to end its process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Fetched, ItemHead, ItemRef, Presence, Usage,
};
use nakivo_core::director::{
    Director, DirectorSettings, JobForm, RepositoryProvider, Source, SourceProvider,
};
use nakivo_core::format::RepositoryId;
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::progress::Reporter;
use nakivo_core::registry::{Access, Registration, Registry};
use nakivo_core::repository::Repository;
use nakivo_core::seams::{Clock, Environment};
use nakivo_core::state::{Claim, MemoryState, StateStore};
use nakivo_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio::sync::watch;

use crate::clock::TestClock;
use crate::fault::FaultStore;
use crate::lab::Lab;
use crate::scripted::{ScriptedConnector, Settings};

/// Rounds of the runtime in which nothing happened, after which everything is taken to wait for the clock.
const ROUNDS_AT_REST: u32 = 40;

/// Counts what a director does to the outside, and ends its process before a given step of it.
#[derive(Debug, Default)]
pub struct Steps {
    done: AtomicU64,
    /// The step before which the process ends; 0: never.
    last: AtomicU64,
    ended: watch::Sender<bool>,
}

impl Steps {
    /// How many steps were taken.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Begins anew, and ends the process before step number `last`, counted from 1; 0: never.
    pub fn end_before(&self, last: u64) {
        self.done.store(0, Ordering::SeqCst);
        self.last.store(last, Ordering::SeqCst);
        self.ended.send_replace(false);
    }

    /// Waits until the process is to end.
    pub async fn ended(&self) {
        // The sender is in our hands.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// One step. True if the process ends before it.
    fn step(&self) -> bool {
        let step = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let last = self.last.load(Ordering::SeqCst);
        let ends = last != 0 && step >= last;
        if ends {
            self.ended.send_replace(true);
        }
        ends
    }
}

/// What a state holds, by key.
pub type Entries = BTreeMap<String, Bytes>;

/// State in memory that survives the process: each write is a step.
#[derive(Debug)]
pub struct SteppedState {
    entries: Mutex<Entries>,
    claims: MemoryState,
    steps: Arc<Steps>,
}

impl SteppedState {
    fn new(entries: Entries, steps: &Arc<Steps>) -> Self {
        Self {
            entries: Mutex::new(entries),
            claims: MemoryState::default(),
            steps: Arc::clone(steps),
        }
    }

    /// What is in it.
    #[must_use]
    pub fn entries(&self) -> Entries {
        self.lock().clone()
    }

    /// Puts it back to what it was once.
    pub fn set_back(&self, entries: Entries) {
        *self.lock() = entries;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn step(&self) {
        if self.steps.step() {
            // The process ends here.
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl StateStore for SteppedState {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.lock().get(key).cloned())
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        self.step().await;
        self.lock().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.step().await;
        self.lock().remove(key);
        Ok(())
    }

    async fn claim(&self, name: &str) -> Result<Claim> {
        self.claims.claim(name).await
    }
}

/// Scripted sources by name, each with one object; some take their time.
#[derive(Debug, Clone, Default)]
pub struct ScriptedSources {
    shared: Arc<Mutex<Scripts>>,
}

#[derive(Debug, Default)]
struct Scripts {
    sources: BTreeMap<String, ScriptedConnector>,
    delays: BTreeMap<String, Duration>,
    /// Sources that cannot be reached so many times more.
    broken: BTreeMap<String, (ErrorKind, u32)>,
    clock: Option<TestClock>,
}

impl ScriptedSources {
    fn lock(&self) -> std::sync::MutexGuard<'_, Scripts> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source of this name, made on its first mention.
    #[must_use]
    pub fn source(&self, name: &str) -> ScriptedConnector {
        let make = || ScriptedConnector::new(name, Settings::default());
        self.lock()
            .sources
            .entry(name.to_owned())
            .or_insert_with(make)
            .clone()
    }

    /// From now on, listing this source takes so long.
    pub fn delay(&self, name: &str, delay: Duration) {
        self.lock().delays.insert(name.to_owned(), delay);
    }

    /// Reading this source fails so many times.
    pub fn break_source(&self, name: &str, kind: ErrorKind, times: u32) {
        self.lock().broken.insert(name.to_owned(), (kind, times));
    }

    fn trouble(&self, name: &str) -> Option<Error> {
        let mut scripts = self.lock();
        let (kind, times) = scripts.broken.get_mut(name).filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(Error::new(*kind, format!("{name} cannot be read")))
    }
}

#[async_trait]
impl SourceProvider for ScriptedSources {
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Connector>> {
        let name = source.objects.first().unwrap_or(&source.location);
        let scripts = self.lock();
        let inner = scripts
            .sources
            .get(name)
            .ok_or_else(|| Error::not_found("source", name))?;
        let clock = scripts.clock.clone().unwrap_or_default();
        Ok(Arc::new(Slow {
            name: name.clone(),
            inner: inner.handle(),
            sources: self.clone(),
            clock,
        }))
    }
}

/// A connector that waits before it lists, or fails instead.
#[derive(Debug)]
struct Slow {
    name: String,
    inner: Arc<dyn Connector>,
    sources: ScriptedSources,
    clock: TestClock,
}

#[async_trait]
impl Connector for Slow {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        self.inner.discover()
    }

    async fn find_object(&self, name: &str) -> Result<ObjectRecord> {
        self.inner.find_object(name).await
    }

    fn changes<'a>(
        &'a self,
        object: &'a ObjectRecord,
        request: ChangesRequest,
        reporter: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        let begin = async move {
            let delay = self.sources.lock().delays.get(&self.name).copied();
            if let Some(delay) = delay {
                self.clock.sleep(delay).await;
            }
            match self.sources.trouble(&self.name) {
                Some(error) => futures::stream::once(async { Err(error) }).boxed(),
                None => self.inner.changes(object, request, reporter),
            }
        };
        futures::stream::once(begin).flatten().boxed()
    }

    async fn fetch(&self, object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        self.inner.fetch(object, head).await
    }

    async fn look_up(&self, object: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        self.inner.look_up(object, items).await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

/// Opens the one repository there is, once in each life.
#[derive(Debug)]
struct OneRepository {
    lab: Lab,
    open: tokio::sync::Mutex<Option<Repository>>,
}

#[async_trait]
impl RepositoryProvider for OneRepository {
    async fn open(&self, _: &Registration) -> Result<Repository> {
        let mut open = self.open.lock().await;
        if open.is_none() {
            *open = Some(self.lab.open().await?);
        }
        open.clone().ok_or_else(|| Error::internal("just opened"))
    }
}

/// What outlives the processes of a director.
#[derive(Debug, Clone)]
pub struct World {
    /// The clock of everything. Nothing moves it but the test.
    pub clock: TestClock,
    /// Store, randomness and state.
    pub lab: Lab,
    /// The state of the lab.
    pub state: Arc<SteppedState>,
    /// The store, to be spoilt.
    pub faults: FaultStore,
    /// Where objects come from.
    pub sources: ScriptedSources,
    /// What directors do to the outside.
    pub steps: Arc<Steps>,
    /// The repository.
    pub repository: RepositoryId,
}

impl World {
    /// A world with an empty repository known as `main`, and its first moment at the start of 2026.
    ///
    /// # Panics
    /// If the repository cannot be made.
    pub async fn new(seed: u64) -> Self {
        let clock = TestClock::manual();
        let steps = Arc::new(Steps::default());
        let state = Arc::new(SteppedState::new(Entries::new(), &steps));
        let faults = FaultStore::new(Arc::new(InMemory::new()));
        let counted = Arc::clone(&steps);
        faults.before_operations(move |_| {
            counted.step();
        });
        let lab = Self::lab(&clock, faults.handle(), seed, &state);
        let made = lab.create().await.expect("a repository");
        let sources = ScriptedSources::default();
        sources.lock().clock = Some(clock.clone());
        let access = Access {
            url: "file:/backup/main".to_owned(),
            ..Access::default()
        };
        let name = "main".parse().expect("a name");
        let entry = Registry::new(&lab.env)
            .import(name, access, &made)
            .await
            .expect("imported");
        Self {
            clock,
            lab,
            state,
            faults,
            sources,
            steps,
            repository: entry.id,
        }
    }

    fn lab(clock: &TestClock, store: Arc<dyn ObjectStore>, seed: u64, state: &Arc<SteppedState>) -> Lab {
        let mut lab = Lab::with_state(store, seed, state.clone()).in_place();
        lab.clock = clock.clone();
        lab.env.clock = Arc::new(clock.clone());
        lab
    }

    /// The same repository, sources and time on another machine, whose state holds this; `seed` is that of its randomness.
    #[must_use]
    pub fn elsewhere(&self, seed: u64, entries: Entries) -> Self {
        let state = Arc::new(SteppedState::new(entries, &self.steps));
        let lab = Self::lab(&self.clock, self.lab.store.clone(), seed, &state);
        Self {
            lab,
            state,
            ..self.clone()
        }
    }

    /// A process of the same machine that reaches the same store in another way.
    #[must_use]
    pub fn through(&self, store: Arc<dyn ObjectStore>, seed: u64) -> Self {
        Self {
            lab: Self::lab(&self.clock, store, seed, &self.state),
            ..self.clone()
        }
    }

    /// What the SDK is given.
    #[must_use]
    pub fn env(&self) -> Environment {
        self.lab.env.clone()
    }

    /// A director as a process that was just started opens it.
    ///
    /// # Panics
    /// If the state cannot be read.
    pub async fn director(&self, settings: DirectorSettings) -> Director {
        let repositories = OneRepository {
            lab: self.lab.clone(),
            open: tokio::sync::Mutex::default(),
        };
        let sources = Arc::new(self.sources.clone());
        Director::open(self.env(), settings, sources, Arc::new(repositories))
            .await
            .expect("the state can be read")
    }

    /// A job over scripted sources of these names, which are made.
    #[must_use]
    pub fn job(&self, name: &str, objects: &[&str]) -> JobForm {
        let source = |object: &&str| {
            let _ = self.sources.source(object);
            Source {
                connector: "scripted".to_owned(),
                location: "here".to_owned(),
                account: None,
                objects: vec![(*object).to_owned()],
                services: Vec::new(),
            }
        };
        JobForm::new(name, self.repository, objects.iter().map(source).collect())
    }

    /// Lets everything go on until it waits for the clock. Needs a runtime of one thread.
    pub async fn rest(&self) {
        let mut still = 0;
        let mut before = self.steps.done();
        while still < ROUNDS_AT_REST {
            tokio::task::yield_now().await;
            let now = self.steps.done();
            still = if now == before { still + 1 } else { 0 };
            before = now;
        }
    }

    /// Lets time pass until `until`, from one moment at which somebody wakes to the next; `at_rest` is called at each of them.
    pub async fn pass(&self, until: DateTime<Utc>, mut at_rest: impl AsyncFnMut()) {
        loop {
            self.rest().await;
            at_rest().await;
            let left = (until - self.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return;
            }
            let wake = self.clock.next_wake().map_or(left, |wake| wake.min(left));
            self.clock.advance(wake);
        }
    }

    /// Does `work` in a process of its own, which ends before step number `last` of it (0: never), however busy it is. `None` if
    /// it ended so.
    ///
    /// # Panics
    /// Inside of another runtime.
    pub fn in_a_process<T>(&self, last: u64, work: impl AsyncFnOnce() -> T) -> Option<T> {
        self.steps.end_before(last);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.steps.ended() => None,
                done = work() => Some(done),
            }
        });
        drop(runtime);
        self.steps.end_before(0);
        result
    }
}
