//! The power fails at every moment of ten kinds of work, and the disk holds any of the states that the flushes allow: the
//! repository opens, lists whole points only, has everything that was acknowledged, and goes on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use nakivo_core::format::ids::PointId;
use nakivo_testkit::disk::{Disk, Flushes, Moment, State};
use nakivo_testkit::image::Image;
use nakivo_testkit::random::{SeededRng, announce, environment_number};
use object_store::path::Path;

use crate::many::Failures;

mod works;

use works::{Work, World};

/// States of the store that one kind of work is checked in at most; what is drawn beyond is not counted.
const MAX_CHECKED: usize = 400;

/// What one kind of work came to.
#[derive(Debug, Default)]
struct Figures {
    moments: usize,
    /// States of the disk, each other than all others.
    disk: usize,
    /// Of these, states that differ in what the store shows.
    store: usize,
    /// Of these, states that the whole repository was checked in.
    checked: usize,
}

/// One state of the store, to be checked in full.
struct Case {
    image: Image,
    torn: Vec<Path>,
    /// What may be listed: by the moment at which the power failed.
    allowed: Vec<(u64, u64)>,
    what: String,
}

/// The states of the store that were met, by what the repository sees.
#[derive(Default)]
struct Met {
    cases: BTreeMap<u64, Case>,
    disk: HashSet<u64>,
    store: HashSet<u64>,
}

impl Met {
    /// Takes a state into account; one that is beyond what can be checked is not.
    fn take(&mut self, moment: &Moment<'_>, state: State, bounds: (u64, u64), at: usize) {
        if !self.cases.contains_key(&state.class) {
            if self.cases.len() >= MAX_CHECKED {
                return;
            }
            let torn: Vec<Path> = state.torn.iter().map(|(path, _)| path.clone()).collect();
            let case = Case {
                image: moment.image(&state),
                allowed: Vec::new(),
                what: format!("power failed at moment {at}, torn {torn:?}"),
                torn,
            };
            self.cases.insert(state.class, case);
        }
        if let Some(case) = self.cases.get_mut(&state.class)
            && !case.allowed.contains(&bounds)
        {
            case.allowed.push(bounds);
        }
        self.disk.insert(state.disk);
        self.store.insert(state.store);
    }
}

/// Draws states until there are so many different ones.
fn draw(disk: &Disk, seed: u64, wanted: usize) -> Met {
    let rng = SeededRng::new(seed);
    let mut met = Met::default();
    let moments: Vec<Moment<'_>> = (0..disk.moments()).map(|moment| disk.at(moment)).collect();
    let mut bounds = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        let ends = [moment.settled(false), moment.settled(true)];
        let both = (ends[0].class, ends[1].class);
        for end in ends {
            met.take(moment, end, both, at);
        }
        bounds.push(both);
    }
    let free: Vec<usize> = (0..moments.len())
        .filter(|at| {
            let freedom = moments[*at].freedom();
            freedom.under_way + freedom.entries > 0
        })
        .collect();
    // A bound, should there be fewer states than wanted.
    for draw in 0..wanted * 4 {
        if met.disk.len() >= wanted || free.is_empty() {
            break;
        }
        let at = free[draw % free.len()];
        met.take(&moments[at], moments[at].draw(&rng), bounds[at], at);
    }
    met
}

/// Checks every state of one kind of work. `wanted`: how many states of the disk.
async fn lose_power(work: Work, flushes: Flushes, seed: u64, wanted: usize) -> Figures {
    let started = Instant::now();
    let world = Arc::new(World::record(work).await);
    let disk = Disk::new(&world.recording, flushes);
    let met = draw(&disk, seed, wanted);
    let mut figures = Figures {
        moments: disk.moments(),
        disk: met.disk.len(),
        store: met.store.len(),
        checked: met.cases.len(),
    };
    let failures = Arc::new(Failures::default());
    let checks = met.cases.into_iter().map(|(class, case)| {
        let (world, failures) = (Arc::clone(&world), Arc::clone(&failures));
        let check = async move {
            let what = format!("NAKIVO_SEED={seed} {work:?}, {flushes:?}: {}", case.what);
            let listed = failures.attempt(world.check(case.image, &case.torn, &what)).await;
            (class, case.allowed, listed, what)
        };
        tokio::spawn(check)
    });
    let checked: Vec<_> = futures::stream::iter(checks).buffer_unordered(2).collect().await;
    let mut listed: BTreeMap<u64, BTreeSet<PointId>> = BTreeMap::new();
    let mut all = Vec::new();
    for one in checked {
        let (class, allowed, points, what) = one.unwrap();
        let Some(points) = points else { continue };
        listed.insert(class, points.clone());
        all.push((allowed, points, what));
    }
    failures.assert_none();
    // What was acknowledged is there: the points are those before the commit under way, or those after it.
    for (allowed, points, what) in all {
        for (before, after) in allowed {
            let fits = [before, after].iter().any(|end| listed[end] == points);
            assert!(fits, "{what}: listed are {points:?}, not {:?} or {:?}", listed[&before], listed[&after]);
        }
    }
    announce(&format!(
        "power, {work:?}, {flushes:?}: {} moments, {} states of the disk, {} of the store, {} checked in full; {:.1} s",
        figures.moments,
        figures.disk,
        figures.store,
        figures.checked,
        started.elapsed().as_secs_f64()
    ));
    figures.moments = disk.moments();
    figures
}

/// `NAKIVO_DISK_STATES`: how many states of the disk in all (default: a million); `NAKIVO_SEED`: which.
async fn all_works(flushes: Flushes) {
    let seed = environment_number("NAKIVO_SEED").unwrap_or(20_261_122);
    let states = environment_number("NAKIVO_DISK_STATES").unwrap_or(500_000);
    let each = usize::try_from(states).unwrap() / (Work::ALL.len() - 1);
    announce(&format!("power: NAKIVO_SEED={seed}"));
    let mut sum = Figures::default();
    for work in Work::ALL {
        let figures = lose_power(work, flushes, seed, each).await;
        sum.moments += figures.moments;
        sum.disk += figures.disk;
        sum.store += figures.store;
        sum.checked += figures.checked;
    }
    announce(&format!(
        "counts: power, {flushes:?}: {} kinds of work, {} moments, {} different states of the disk, {} of the store, {} \
         repositories checked in full",
        Work::ALL.len(),
        sum.moments,
        sum.disk,
        sum.store,
        sum.checked
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_failure_leaves_is_whole() {
    all_works(Flushes::Honoured).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_written_is_noticed_and_takes_nothing_along() {
    all_works(Flushes::OnlyDirectories).await;
}
