//! The power fails at every moment of ten kinds of work, and the disk holds any of the states that the flushes allow: the
//! repository opens, lists whole points only, has everything that was acknowledged, and goes on.
//!
//! What counts as a state: `disk`, whether any name or byte on the disk differs, also of files beside the objects that the
//! store does not show; `store`, whether any object differs. Every state of the store is checked as a whole repository, but of
//! objects torn in the same manner one; of the others the torn object alone is opened and must be refused.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use nakivo_core::format::ids::PointId;
use nakivo_testkit::disk::{Call, Disk, EACH_CHANGE, Flushes, Moment, State, each_change_calls};
use nakivo_testkit::image::Image;
use nakivo_testkit::random::{SeededRng, announce, environment_number, mix};
use nakivo_testkit::stored::Opener;
use object_store::path::Path;

use crate::many::Failures;

mod works;

use works::{Work, World};

/// Whole repositories that one kind of work is checked in at most; a state beyond is not counted.
const MAX_CHECKED: usize = 250;
/// Draws for each state that is wanted, before there are not so many.
const MAX_DRAWS: usize = 2;

#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    moments: usize,
    /// States of the disk, each other than all others.
    disk: usize,
    /// Of these, states that differ in what the store shows.
    store: usize,
    /// Repositories that were checked in full.
    checked: usize,
    /// Torn objects that were opened alone and refused.
    refused: usize,
}

/// One state of the store, to be checked in full.
struct Case {
    image: Image,
    torn: Vec<Path>,
    /// What the store shows if nothing under way was done, and if all of it was, at the moments that lead here.
    bounds: BTreeSet<(u64, u64)>,
    what: String,
}

/// The states that were met.
struct Met {
    cases: BTreeMap<u64, Case>,
    disk: HashSet<u64>,
    store: HashSet<u64>,
    opener: Opener,
    refused: usize,
}

impl Met {
    /// Takes a state into account, unless it would be one whole repository too many.
    fn take(&mut self, moment: &Moment<'_>, state: &State, bounds: (u64, u64), at: usize) {
        if !self.cases.contains_key(&state.class) && self.cases.len() >= MAX_CHECKED {
            return;
        }
        let case = self.cases.entry(state.class).or_insert_with(|| {
            let torn: Vec<Path> = state.torn.iter().map(|(path, _)| path.clone()).collect();
            Case {
                image: moment.image(state),
                bounds: BTreeSet::new(),
                what: format!("power failed at moment {at}, torn {torn:?}"),
                torn,
            }
        });
        case.bounds.insert(bounds);
        self.disk.insert(state.disk);
        if self.store.insert(state.store) {
            // What has no place in the format is read by nobody: what `create` tries the store with.
            for (path, bytes) in state.torn.iter().filter(|(path, _)| Opener::knows(path.as_ref())) {
                let opened = self.opener.open(path.as_ref(), bytes);
                assert!(opened.is_err(), "moment {at}: {path} is torn and opens");
                self.refused += 1;
            }
        }
    }
}

/// Draws states until there are so many different ones, or no more.
fn draw(world: &World, flushes: Flushes, seed: u64, wanted: usize) -> (usize, Met) {
    let disk = Disk::new(&world.recording, flushes);
    let rng = SeededRng::new(seed);
    let mut met = Met {
        cases: BTreeMap::new(),
        disk: HashSet::new(),
        store: HashSet::new(),
        opener: world.opener(),
        refused: 0,
    };
    let moments: Vec<Moment<'_>> = (0..disk.moments()).map(|moment| disk.at(moment)).collect();
    let mut bounds = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        let (nothing, all) = (moment.settled(false), moment.settled(true));
        bounds.push((nothing.class, all.class));
        for end in [&nothing, &all] {
            met.take(moment, end, bounds[at], at);
        }
    }
    // A moment has its turn the more often, the more it leaves open.
    let turns = |at: usize| {
        let freedom = moments[at].freedom();
        let turns = freedom.under_way + freedom.entries + freedom.bytes / 256;
        std::iter::repeat_n(at, turns)
    };
    let turns: Vec<usize> = (0..moments.len()).flat_map(turns).collect();
    for draw in 0..wanted * MAX_DRAWS {
        if met.disk.len() >= wanted {
            break;
        }
        let at = turns[draw % turns.len()];
        met.take(&moments[at], &moments[at].draw(&rng), bounds[at], at);
    }
    (moments.len(), met)
}

/// What one kind of work is tried with.
#[derive(Debug, Clone, Copy)]
struct Plan {
    work: Work,
    variant: u64,
    flushes: Flushes,
    seed: u64,
    wanted: usize,
}

/// Checks the states of one kind of work. Returns what failed, too.
async fn lose_power(plan: Plan) -> (Figures, Failures) {
    let Plan {
        work,
        variant,
        flushes,
        seed,
        wanted,
    } = plan;
    let world = Arc::new(World::record(work, variant).await);
    let (moments, met) = draw(&world, flushes, mix(seed ^ variant), wanted);
    let figures = Figures {
        moments,
        disk: met.disk.len(),
        store: met.store.len(),
        checked: met.cases.len(),
        refused: met.refused,
    };
    let failures = Arc::new(Failures::default());
    let checks = met.cases.into_iter().map(|(class, case)| {
        let (world, failures) = (Arc::clone(&world), Arc::clone(&failures));
        let what = format!(
            "NAKIVO_SEED={seed} {work:?} variant {variant}, {flushes:?}: {}",
            case.what
        );
        tokio::spawn(async move {
            let listed = failures.attempt(world.check(case.image, &case.torn, &what)).await;
            (class, case.bounds, listed, what)
        })
    });
    let checked: Vec<_> = futures::stream::iter(checks)
        .buffer_unordered(2)
        .filter_map(|joined| async { joined.ok() })
        .collect()
        .await;
    let listed: BTreeMap<u64, BTreeSet<PointId>> = checked
        .iter()
        .filter_map(|(class, _, points, _)| Some((*class, points.clone()?)))
        .collect();
    // What was acknowledged is there: the points are those before the commit under way, or those after it.
    for (class, bounds, _, what) in &checked {
        let fits = |end: &u64| listed.get(end) == listed.get(class);
        let wrong = bounds
            .iter()
            .find(|(before, after)| !fits(before) && !fits(after));
        let check = async { assert!(wrong.is_none(), "{what}: listed are {:?}", listed.get(class)) };
        failures.attempt(check).await;
    }
    (figures, Arc::into_inner(failures).unwrap_or_default())
}

/// `NAKIVO_DISK_STATES`: how many states of the disk at least (default: a million), and with them whole repositories;
/// `NAKIVO_SEED`: which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_failure_leaves_is_whole() {
    let seed = environment_number("NAKIVO_SEED").unwrap_or(20_261_122);
    let states = usize::try_from(environment_number("NAKIVO_DISK_STATES").unwrap_or(1_000_000)).unwrap();
    announce(&format!("power: NAKIVO_SEED={seed}"));
    let started = Instant::now();
    let mut sum = Figures::default();
    let mut variants = 0;
    while sum.disk < states {
        for flushes in [Flushes::Honoured, Flushes::OnlyDirectories] {
            for work in Work::ALL {
                let plan = Plan {
                    work,
                    variant: variants,
                    flushes,
                    seed,
                    wanted: WANTED,
                };
                let (figures, failures) = lose_power(plan).await;
                announce(&format!(
                    "power, {work:?} variant {variants}, {flushes:?}: {figures:?}; {:.1} s",
                    started.elapsed().as_secs_f64()
                ));
                failures.assert_none();
                sum.moments += figures.moments;
                sum.disk += figures.disk;
                sum.store += figures.store;
                sum.checked += figures.checked;
                sum.refused += figures.refused;
            }
        }
        variants += 1;
    }
    announce(&format!(
        "counts: power failures in {} kinds of work, {variants} variants: {} moments, {} different states of the disk, {} of \
         the store; {} repositories checked in full, {} torn objects refused; seed {seed}; {:.1} s",
        Work::ALL.len(),
        sum.moments,
        sum.disk,
        sum.store,
        sum.checked,
        sum.refused,
        started.elapsed().as_secs_f64()
    ));
}

/// States of the disk that are wanted of one kind of work in one variant; some have fewer.
const WANTED: usize = 60_000;

/// Without flushes of directories what was acknowledged is lost, and the suite says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_is_left_out_is_found() {
    let plan = Plan {
        work: Work::Retention,
        variant: 0,
        flushes: Flushes::OnlyFiles,
        seed: 1,
        wanted: 30,
    };
    let (_, failures) = lose_power(plan).await;
    assert!(!failures.is_empty(), "nothing is found");
}

/// The model does what the store does: the calls that change or flush, as the kernel sees them.
#[test]
fn the_model_makes_the_calls_of_the_local_store() {
    if Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        announce("SKIPPED: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let calls =
        "trace=openat,write,pwrite64,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat";
    let status = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", calls, "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_crash_child"))
        .args([
            "store-calls",
            directory.path().join("store").to_str().unwrap(),
            "0",
        ])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let trace = std::fs::read_to_string(trace).unwrap();
    let mut made: Vec<Call> = trace.lines().filter_map(call).collect();
    made.dedup();
    // What `log/before` needs comes first and ends with its own name beside it going.
    let begin = made.iter().position(|call| *call == Call::RemoveStaged).unwrap() + 1;
    assert_eq!(made[begin..], each_change_calls(), "{trace}");
}

/// Which call of the model a line of strace shows.
fn call(line: &str) -> Option<Call> {
    let (_, line) = line.split_once(' ')?;
    let (name, arguments) = line.trim_start().split_once('(')?;
    let here = arguments.contains(EACH_CHANGE) || arguments.contains("/log/before");
    let staged = |text: &str| text.contains('#');
    match name {
        "openat" if here && arguments.contains("O_CREAT") && !line.contains("ENOENT") => Some(Call::Open),
        "write" | "pwrite64" if here => Some(Call::Write),
        "fsync" | "fdatasync" if here => Some(Call::FlushFile),
        "fsync" | "fdatasync" if arguments.contains("/log>") => Some(Call::FlushDirectory),
        "link" | "linkat" if here && !line.contains("EEXIST") => Some(Call::Link),
        "rename" | "renameat" | "renameat2" if here => Some(Call::Rename),
        "unlink" | "unlinkat" if here && staged(arguments) => Some(Call::RemoveStaged),
        "unlink" | "unlinkat" if here => Some(Call::Remove),
        _ => None,
    }
}
