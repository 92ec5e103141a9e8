//! Every order in which several actors can use one store, with the real code.
//!
//! Each actor runs on a thread of its own and stops before each of its steps until it is its turn. What an actor does next
//! follows from what it saw so far, so two orders that showed every actor the same and left the same objects in the store
//! have the same future: it is tried once. That makes millions of orders a few thousand runs, and none is left out.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use futures::future::LocalBoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::fault::{FaultStore, Operation, OperationKind};
use crate::image::Image;

/// What an actor came to, as text that is equal for equal outcomes.
pub type Outcome = Result<String, String>;

/// An actor: opens what it needs of the store, calls [`Gate::open`], and does its work step by step.
pub type Work = Arc<dyn Fn(Arc<dyn ObjectStore>, Gate) -> LocalBoxFuture<'static, Outcome> + Send + Sync>;

/// Which operations are steps: an actor does what lies between two steps in one go.
pub type Steps = fn(&Operation) -> bool;

/// Every operation is a step.
#[must_use]
pub fn every_operation(_: &Operation) -> bool {
    true
}

/// What changes the store.
#[must_use]
pub fn writes(operation: &Operation) -> bool {
    matches!(
        operation.kind,
        OperationKind::Put | OperationKind::Delete | OperationKind::Copy | OperationKind::Multipart
    )
}

/// What changes the store, and what reads the log, on which everything depends.
#[must_use]
pub fn writes_and_log(operation: &Operation) -> bool {
    writes(operation) || operation.path.as_ref().starts_with("log/")
}

/// From when on an actor takes turns.
#[derive(Debug, Clone)]
pub struct Gate {
    turns: Arc<Turns>,
    actor: usize,
}

impl Gate {
    /// From here on the actor's operations are steps.
    pub fn open(&self) {
        self.turns.state().actors[self.actor].taking_turns = true;
    }
}

/// One way everything can end.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What each actor came to.
    pub outcomes: Vec<Outcome>,
    /// The store as it was left.
    pub image: Image,
    /// An order that leads here: one letter a step.
    pub order: String,
}

/// What was tried.
#[derive(Debug, Clone, Default)]
pub struct Explored {
    /// Orders there are; each is equal to one that was run.
    pub orders: u128,
    /// Situations that differ in what an actor saw or in what the store holds.
    pub situations: usize,
    /// Runs it took.
    pub runs: usize,
    /// Steps of each actor: fewest and most.
    pub steps: Vec<(usize, usize)>,
    /// Different ways in which everything ended.
    pub endings: Vec<Ending>,
}

type Key = [u8; 32];

#[derive(Debug, Default)]
struct Situation {
    /// By actor: where its next step leads.
    next: BTreeMap<usize, Option<Key>>,
    /// An order that leads here.
    order: Vec<usize>,
}

/// Tries every order of the actors' steps, from the store that `image` describes.
///
/// # Panics
/// If an actor does not do the same each time that an order is repeated, if one hangs outside the store, or if there are more
/// than `limit` situations.
#[must_use]
pub fn explore(image: &Image, actors: &[Work], steps: Steps, limit: usize) -> Explored {
    let mut explored = Explored {
        steps: vec![(usize::MAX, 0); actors.len()],
        ..Explored::default()
    };
    let mut known: HashMap<Key, Situation> = HashMap::new();
    let mut endings: HashMap<Key, Ending> = HashMap::new();
    let mut open: Vec<Key> = Vec::new();
    let mut first = None;
    loop {
        let order = match (first, open.last()) {
            (None, _) => Vec::new(),
            (Some(_), Some(key)) => known[key].order.clone(),
            (Some(root), None) => {
                explored.orders = count_orders(root, &known, &mut HashMap::new());
                explored.situations = known.len();
                explored.endings = endings.into_values().collect();
                explored.endings.sort_by(|a, b| a.order.cmp(&b.order));
                return explored;
            }
        };
        explored.runs += 1;
        let mut run = Run::start(image, actors, steps);
        let mut taken: Vec<usize> = Vec::new();
        let mut before: Option<(Key, usize)> = None;
        loop {
            let (key, waiting) = run.situation();
            if let Some((key_before, actor)) = before {
                let edge = known.get_mut(&key_before).and_then(|at| at.next.get_mut(&actor));
                let edge = edge.expect("the situation before was noted");
                assert!(
                    edge.is_none_or(|known| known == key),
                    "a repeated order led elsewhere: something in an actor depends on how fast the machine is"
                );
                *edge = Some(key);
            }
            first.get_or_insert(key);
            assert!(known.len() < limit, "more than {limit} situations");
            let situation = known.entry(key).or_insert_with(|| {
                if !waiting.is_empty() {
                    open.push(key);
                }
                Situation {
                    next: waiting.iter().map(|actor| (*actor, None)).collect(),
                    order: taken.clone(),
                }
            });
            if waiting.is_empty() {
                for (steps, actor) in explored.steps.iter_mut().zip(0..) {
                    let count = taken.iter().filter(|one| **one == actor).count();
                    *steps = (steps.0.min(count), steps.1.max(count));
                }
                endings.entry(key).or_insert_with(|| run.ending(&taken));
                break;
            }
            let actor = match order.get(taken.len()) {
                Some(actor) if waiting.contains(actor) => *actor,
                // The beginning is repeated; then to where nobody was before.
                _ => {
                    let fresh = waiting
                        .iter()
                        .find(|actor| situation.next.get(*actor).is_some_and(Option::is_none));
                    *fresh.unwrap_or(&waiting[0])
                }
            };
            before = Some((key, actor));
            taken.push(actor);
            run.step(actor);
        }
        open.retain(|key| known[key].next.values().any(Option::is_none));
    }
}

fn count_orders(from: Key, known: &HashMap<Key, Situation>, counted: &mut HashMap<Key, u128>) -> u128 {
    if let Some(count) = counted.get(&from) {
        return *count;
    }
    let next = &known[&from].next;
    let count = if next.is_empty() {
        1
    } else {
        next.values()
            .flatten()
            .map(|to| count_orders(*to, known, counted))
            .sum()
    };
    counted.insert(from, count);
    count
}

#[derive(Debug)]
enum Doing {
    Runs,
    Waits,
    Ended(Outcome),
}

#[derive(Debug)]
struct ActorState {
    taking_turns: bool,
    doing: Doing,
    /// What it did and saw up to its last step.
    history: blake3::Hasher,
    /// What it saw since, in no order: nobody else took a step meanwhile, so the order showed it nothing.
    since: [u64; 4],
}

#[derive(Debug)]
struct TurnState {
    actors: Vec<ActorState>,
    /// Who may take a step now.
    turn: Option<usize>,
}

#[derive(Debug)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
    store: Arc<dyn ObjectStore>,
    /// Content hashes of versions of objects.
    hashes: Mutex<HashMap<(Path, String), Key>>,
}

impl Turns {
    fn state(&self) -> std::sync::MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the actor before a step until it is its turn, and notes what the operation will show it.
    fn before(&self, actor: usize, operation: &Operation, is_step: bool) {
        let mut state = self.state();
        if !state.actors[actor].taking_turns {
            return;
        }
        if is_step {
            state.actors[actor].doing = Doing::Waits;
            self.changed.notify_all();
            state = self
                .changed
                .wait_while(state, |state| state.turn != Some(actor))
                .unwrap_or_else(PoisonError::into_inner);
            state.turn = None;
            let me = &mut state.actors[actor];
            me.doing = Doing::Runs;
            for word in std::mem::take(&mut me.since) {
                me.history.update(&word.to_le_bytes());
            }
        }
        let mut seen = blake3::Hasher::new();
        seen.update(format!("{:?} {}\n", operation.kind, operation.path).as_bytes());
        seen.update(&self.shown(operation));
        let seen = seen.finalize();
        let me = &mut state.actors[actor];
        for (sum, word) in me.since.iter_mut().zip(seen.as_bytes().chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(word.try_into().unwrap()));
        }
    }

    /// What the store holds where the operation looks.
    fn shown(&self, operation: &Operation) -> Key {
        let all = operation.kind == OperationKind::List;
        let mut hasher = blake3::Hasher::new();
        for meta in self.listed() {
            if meta.location == operation.path || (all && meta.location.prefix_matches(&operation.path)) {
                hasher.update(meta.location.as_ref().as_bytes());
                hasher.update(&self.hash(&meta));
            }
        }
        *hasher.finalize().as_bytes()
    }

    fn listed(&self) -> Vec<ObjectMeta> {
        let listed = self.store.list(None).try_collect::<Vec<ObjectMeta>>();
        let mut listed = listed.now_or_never().expect("memory answers at once").unwrap();
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        listed
    }

    fn hash(&self, meta: &ObjectMeta) -> Key {
        let version = (meta.location.clone(), meta.e_tag.clone().unwrap_or_default());
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        *hashes.entry(version).or_insert_with(|| {
            let read = async { self.store.get(&meta.location).await?.bytes().await };
            let bytes = read.now_or_never().expect("memory answers at once").unwrap();
            *blake3::hash(&bytes).as_bytes()
        })
    }
}

/// One run of all actors.
struct Run {
    turns: Arc<Turns>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Run {
    fn start(image: &Image, actors: &[Work], steps: Steps) -> Self {
        let store = image.open().now_or_never().expect("memory answers at once");
        let state = TurnState {
            actors: actors
                .iter()
                .map(|_| ActorState {
                    taking_turns: false,
                    doing: Doing::Runs,
                    history: blake3::Hasher::new(),
                    since: [0; 4],
                })
                .collect(),
            turn: None,
        };
        let turns = Arc::new(Turns {
            state: Mutex::new(state),
            changed: Condvar::new(),
            store,
            hashes: Mutex::default(),
        });
        let threads = actors
            .iter()
            .cloned()
            .enumerate()
            .map(|(actor, work)| {
                let turns = turns.clone();
                std::thread::spawn(move || act(&turns, actor, &work, steps))
            })
            .collect();
        Self { turns, threads }
    }

    /// Waits until everybody waits or has ended. Returns what distinguishes the situation, and who waits.
    fn situation(&mut self) -> (Key, Vec<usize>) {
        let state = self.turns.state();
        let state = self
            .turns
            .changed
            .wait_while(state, |state| {
                state.turn.is_some()
                    || state
                        .actors
                        .iter()
                        .any(|actor| matches!(actor.doing, Doing::Runs))
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mut hasher = blake3::Hasher::new();
        let mut waiting = Vec::new();
        for (number, actor) in state.actors.iter().enumerate() {
            hasher.update(actor.history.finalize().as_bytes());
            for word in actor.since {
                hasher.update(&word.to_le_bytes());
            }
            match &actor.doing {
                Doing::Ended(outcome) => hasher.update(format!("{outcome:?}").as_bytes()),
                _ => {
                    waiting.push(number);
                    hasher.update(b"waits")
                }
            };
        }
        for meta in self.turns.listed() {
            hasher.update(meta.location.as_ref().as_bytes());
            hasher.update(&self.turns.hash(&meta));
        }
        (*hasher.finalize().as_bytes(), waiting)
    }

    fn step(&mut self, actor: usize) {
        self.turns.state().turn = Some(actor);
        self.turns.changed.notify_all();
    }

    fn ending(&mut self, order: &[usize]) -> Ending {
        for thread in self.threads.drain(..) {
            thread.join().expect("an actor's panic is its outcome");
        }
        let image = Image::of(&*self.turns.store).now_or_never();
        let state = self.turns.state();
        Ending {
            outcomes: state
                .actors
                .iter()
                .map(|actor| match &actor.doing {
                    Doing::Ended(outcome) => outcome.clone(),
                    _ => Err("it has not ended".to_owned()),
                })
                .collect(),
            image: image.expect("memory answers at once").unwrap(),
            order: order
                .iter()
                .map(|actor| char::from(b'A' + *actor as u8))
                .collect(),
        }
    }
}

fn act(turns: &Arc<Turns>, actor: usize, work: &Work, steps: Steps) {
    let faults = FaultStore::new(turns.store.clone());
    {
        let turns = turns.clone();
        faults.before_operations(move |operation| turns.before(actor, operation, steps(operation)));
    }
    let gate = Gate {
        turns: turns.clone(),
        actor,
    };
    // One thread: with `Computing::InPlace`, an actor does everything in the same order each time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work(faults.handle(), gate))));
    let outcome = result.unwrap_or_else(|_| Err("it panicked".to_owned()));
    turns.state().actors[actor].doing = Doing::Ended(outcome);
    turns.changed.notify_all();
}
