//! Years of daily runs of five objects in one repository: clocks jump, summer time comes and goes, runs fail, points go by
//! policy, space is reclaimed. Every point that is listed is what its source held, and the repository does not grow for ever.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures::TryStreamExt;
use nakivo_core::ErrorKind;
use nakivo_core::backup::Outcome;
use nakivo_core::format::ids::PointId;
use nakivo_core::repository::{PointSelector, ReclaimOptions, Repository};
use nakivo_core::retention::{Calendar, RetentionPolicy, Tz, Weekday};
use nakivo_testkit::content::{mail, prose};
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_ledger, assert_sound, read_point};
use nakivo_testkit::random::{SeededRng, announce, environment_number, mix};
use nakivo_testkit::scripted::{Edit, FetchTrouble, ScriptedConnector, Settings};
use object_store::memory::InMemory;
use object_store::{ObjectMeta, ObjectStore};

const DAYS_A_YEAR: u64 = 365;
/// Items of an object, about.
const ITEMS: usize = 12;

/// Five objects; where they are, summer time is at other times, half an hour long, or a day was left out.
const ZONES: [Tz; 5] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::UTC,
];

fn policy() -> RetentionPolicy {
    RetentionPolicy {
        last: Some(3),
        daily: Some(7),
        weekly: Some(4),
        monthly: Some(6),
        yearly: Some(3),
    }
}

/// Points of one object that the policy keeps at most: by each rule, once for complete points and once with partial ones.
const MAX_POINTS: usize = 2 * (3 + 7 + 4 + 6 + 3);

#[derive(Debug, Default)]
struct Figures {
    days: u64,
    runs: u64,
    failed: u64,
    partial: u64,
    jumps: u64,
    removed: u64,
    restored: u64,
    reclaims: u64,
    verifications: u64,
}

/// What the store holds in one folder.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Size {
    objects: u64,
    bytes: u64,
}

struct Life {
    seed: u64,
    rng: SeededRng,
    store: FaultStore,
    lab: Lab,
    repository: Repository,
    sources: Vec<ScriptedConnector>,
    calendars: Vec<Calendar>,
    made: u64,
    /// What each listed point holds.
    truth: BTreeMap<PointId, LogicalContent>,
    /// How far the wall clock is wrong.
    skew: TimeDelta,
    figures: Figures,
}

impl Life {
    async fn begin(seed: u64) -> Self {
        let store = FaultStore::new(std::sync::Arc::new(InMemory::new()));
        let lab = Lab::over(store.handle(), seed);
        let repository = lab.create().await.unwrap();
        let sources = (0..ZONES.len()).map(|number| {
            let source = ScriptedConnector::new(&format!("object {number}"), Settings::default());
            for folder in ["inbox", "archive"] {
                source.edit(&Edit::AddContainer {
                    id: folder.into(),
                    parent: String::new(),
                    name: folder.to_uppercase(),
                });
            }
            source
        });
        let calendars = ZONES.into_iter().enumerate().map(|(number, zone)| Calendar {
            zone,
            first_day_of_week: [Weekday::Mon, Weekday::Sun, Weekday::Sat][number % 3],
        });
        Self {
            seed,
            rng: SeededRng::new(mix(seed)),
            sources: sources.collect(),
            calendars: calendars.collect(),
            store,
            lab,
            repository,
            made: 0,
            truth: BTreeMap::new(),
            skew: TimeDelta::zero(),
            figures: Figures::default(),
        }
    }

    fn what(&self) -> String {
        format!("NAKIVO_SEED={} day {}", self.seed, self.figures.days)
    }

    fn edit(&mut self, number: usize) {
        let source = &self.sources[number];
        let rng = &self.rng;
        for _ in 0..rng.below(4) {
            let items = source.view().items;
            let folder = ["inbox", "archive"][rng.index(2)];
            let any = rng.pick(&items).cloned();
            let edit = match (any, rng.below(10)) {
                (Some(id), 0..=1) if items.len() > ITEMS / 2 => Edit::Remove { id },
                (Some(id), 2) => Edit::Move {
                    id,
                    to: folder.into(),
                },
                (Some(id), 3) => Edit::Touch { id },
                (Some(id), _) if items.len() > ITEMS => Edit::Remove { id },
                _ => {
                    self.made += 1;
                    let size = 100 + rng.index(500);
                    Edit::Put {
                        container: folder.into(),
                        id: format!("i{}", self.made),
                        name: format!("Item {}", self.made),
                        parts: BTreeMap::from([("mime".to_owned(), mail("daily", &prose(rng, size), b""))]),
                    }
                }
            };
            let _ = source.try_edit(&edit);
        }
    }

    /// One run of an object, with trouble now and then.
    async fn run(&mut self, number: usize) {
        let what = self.what();
        self.figures.runs += 1;
        let source = self.sources[number].clone();
        let mut disturbed = false;
        if self.rng.chance(3)
            && let Some(id) = self.rng.pick(&source.view().items)
        {
            source.trouble(id, FetchTrouble::Error(ErrorKind::Unavailable), None);
        }
        if self.rng.chance(2) {
            disturbed = true;
            self.store.inject(if self.rng.chance(50) {
                let from = self.rng.below(30);
                Rule::new(
                    Matcher::any(),
                    When::From(from),
                    Fault::Fail(Failure::PermissionDenied),
                )
            } else {
                let nth = self.rng.below(4);
                let put = Matcher::kind(OperationKind::Put);
                Rule::new(put, When::Nth(nth), Fault::FailAfter(Failure::PermissionDenied))
            });
        }
        let ended = back_up(&self.repository, &source).await;
        source.calm();
        self.store.heal();
        match ended {
            Ok(report) => {
                assert_ledger(&report, &what);
                self.made(&source, report.point, report.outcome == Outcome::Complete, &what)
                    .await;
            }
            Err(error) => {
                assert!(disturbed, "{what}: {error:?}");
                self.figures.failed += 1;
                // As a process that starts again finds it. The point may have come to be all the same.
                self.repository = self.lab.open().await.unwrap();
                let latest = self.repository.point(&source.object().id, &PointSelector::Latest);
                if let Ok(latest) = latest
                    && !self.truth.contains_key(&latest.id)
                {
                    self.made(&source, latest.id, false, &what).await;
                }
            }
        }
    }

    /// A point came to be: it holds what the source holds, or, of a partial one, nothing else.
    async fn made(&mut self, source: &ScriptedConnector, point: PointId, complete: bool, what: &str) {
        let truth = source.truth();
        if complete {
            self.truth.insert(point, truth);
            return;
        }
        let manifest = self
            .repository
            .point(&source.object().id, &PointSelector::Latest)
            .unwrap();
        assert_eq!(manifest.id, point, "{what}");
        let content = read_point(&self.repository, &manifest).await.unwrap();
        if manifest.outcome == nakivo_core::format::manifest::Outcome::Complete {
            content.assert_equal(&truth, what);
        } else {
            self.figures.partial += 1;
            for ((_, id), item) in &content.items {
                assert!(source.ever_was(id, item), "{what}: {id} never was so: {item:?}");
            }
        }
        self.truth.insert(point, content);
    }

    async fn retain(&mut self) {
        let what = self.what();
        for (source, calendar) in self.sources.iter().zip(&self.calendars) {
            let object = source.object().id;
            let points = self.repository.points(&object);
            let newest = points
                .iter()
                .rev()
                .find(|point| point.outcome == nakivo_core::format::manifest::Outcome::Complete);
            let newest = newest.map(|point| point.id);
            let applied = self
                .repository
                .apply_retention(&object, &policy(), calendar)
                .await
                .unwrap();
            for point in applied.plan.removed() {
                assert!(
                    self.truth.remove(point).is_some(),
                    "{what}: {point} was not there"
                );
                assert_ne!(Some(*point), newest, "{what}: the newest complete point goes");
                self.figures.removed += 1;
            }
            let kept = self.repository.points(&object).len();
            assert!(kept <= MAX_POINTS, "{what}: {kept} points are kept");
        }
    }

    async fn reclaim(&mut self) {
        let reclaimed = self.repository.reclaim(ReclaimOptions::default()).wait().await;
        reclaimed.unwrap_or_else(|error| panic!("{}: {error:?}", self.what()));
        self.figures.reclaims += 1;
    }

    /// Restores a listed point of any age, often on another machine.
    async fn restore_any(&mut self) {
        let what = self.what();
        let repository = if self.rng.chance(30) {
            self.lab.elsewhere(self.rng.next()).open().await.unwrap()
        } else {
            self.repository.clone()
        };
        let points = all_points(&repository);
        assert_eq!(points.len(), self.truth.len(), "{what}: points");
        if let Some(manifest) = self.rng.pick(&points) {
            let content = read_point(&repository, manifest).await.unwrap();
            content.assert_equal(&self.truth[&manifest.id], &what);
            self.figures.restored += 1;
        }
    }

    /// The next day, an hour or two early or late; now and then the clock is set wrong, and later right again.
    fn sleep(&mut self) {
        let minutes = 24 * 60 - 90 + self.rng.below(181);
        self.lab.clock.advance(Duration::from_secs(minutes * 60));
        self.figures.days += 1;
        if self.rng.below(1000) < 8 {
            let jump = if self.skew.is_zero() {
                let hours = i64::try_from(self.rng.below(60 * 24)).unwrap();
                TimeDelta::hours(if self.rng.chance(50) { hours } else { -hours })
            } else {
                -self.skew
            };
            self.skew += jump;
            self.lab.clock.jump(jump);
            self.figures.jumps += 1;
        }
    }

    async fn day(&mut self) {
        for number in 0..self.sources.len() {
            self.edit(number);
            self.run(number).await;
        }
        let day = self.figures.days;
        if day % 7 == 3 {
            self.retain().await;
        }
        if day % 7 == 5 {
            self.reclaim().await;
        }
        if day.is_multiple_of(5) {
            self.restore_any().await;
        }
        // Reads the whole log, so not too often.
        if day % DAYS_A_YEAR == 89 {
            let what = self.what();
            assert_sound(&self.repository, &what).await;
            self.figures.verifications += 1;
        }
        if day % 30 == 29 {
            self.repository = self.lab.open().await.unwrap();
        }
        self.sleep();
    }

    async fn sizes(&self) -> BTreeMap<String, Size> {
        let listed: Vec<ObjectMeta> = self.store.inner().list(None).try_collect().await.unwrap();
        let mut sizes = BTreeMap::<String, Size>::new();
        for meta in listed {
            let folder = meta.location.as_ref().split('/').next().unwrap_or_default();
            let size = sizes.entry(folder.to_owned()).or_default();
            size.objects += 1;
            size.bytes += meta.size;
        }
        sizes
    }

    /// Requests that opening the repository takes.
    async fn cost_of_opening(&self) -> u64 {
        self.store.forget();
        self.lab.elsewhere(1).open().await.unwrap();
        let requests = self.store.operations();
        self.store.forget();
        requests
    }
}

/// What a year came to.
#[derive(Debug)]
struct Year {
    sizes: BTreeMap<String, Size>,
    requests: u64,
}

impl Year {
    fn size(&self, folder: &str) -> Size {
        self.sizes.get(folder).copied().unwrap_or_default()
    }
}

/// From the third year on all rules of the policy are filled: no later year may take much more than that one, after so many
/// runs and points that were removed.
fn assert_bounded(years: &[Year], runs: u64, removed: u64) {
    let (Some(full), Some(last)) = (years.get(2), years.last()) else {
        return;
    };
    for folder in ["packs", "index", "checkpoint", "keys"] {
        let (then, now) = (full.size(folder), last.size(folder));
        // A checkpoint names every point that was ever removed.
        let named = if folder == "checkpoint" {
            now.objects * removed * 32
        } else {
            0
        };
        assert!(
            now.objects <= 2 * then.objects + 20 && now.bytes <= 2 * then.bytes + 100_000 + named,
            "{folder}: {then:?} after three years, {now:?} after {}",
            years.len()
        );
    }
    // The log is kept for ever: an object for each run, and a few each week. Opening reads only its end.
    let log = last.size("log");
    assert!(
        log.objects <= runs * 5 / 4 && log.bytes <= log.objects * 1000,
        "{log:?} after {runs} runs"
    );
    assert!(
        last.requests <= 2 * full.requests + 20,
        "opening takes {} requests after three years and {} after {}",
        full.requests,
        last.requests,
        years.len()
    );
}

/// `NAKIVO_YEARS`: how many (default: 10); `NAKIVO_SEED`: which.
#[tokio::test]
async fn years_of_backups_stay_whole_and_do_not_grow_for_ever() {
    let started = Instant::now();
    let seed = environment_number("NAKIVO_SEED").unwrap_or(2026);
    let years = environment_number("NAKIVO_YEARS").unwrap_or(10);
    announce(&format!("years: NAKIVO_SEED={seed}"));
    let mut life = Life::begin(seed).await;
    let mut ends = Vec::new();
    for year in 1..=years {
        for _ in 0..DAYS_A_YEAR {
            life.day().await;
        }
        life.retain().await;
        let end = Year {
            sizes: life.sizes().await,
            requests: life.cost_of_opening().await,
        };
        announce(&format!(
            "years: {year}: {} points, opening takes {} requests, {:?}; {:.1} s",
            life.truth.len(),
            end.requests,
            end.sizes,
            started.elapsed().as_secs_f64()
        ));
        ends.push(end);
    }
    let what = life.what();
    let last = life.lab.elsewhere(9).open().await.unwrap();
    let points = all_points(&last);
    assert_eq!(points.len(), life.truth.len(), "{what}: points");
    for manifest in &points {
        let content = read_point(&last, manifest).await.unwrap();
        content.assert_equal(&life.truth[&manifest.id], &what);
    }
    assert_sound(&last, &what).await;
    announce(&format!(
        "counts: {years} years of {} objects, {:?}, {} points restored at the end; seed {seed}; {:.1} s",
        life.sources.len(),
        life.figures,
        points.len(),
        started.elapsed().as_secs_f64()
    ));
    assert_bounded(&ends, life.figures.runs, life.figures.removed);
}
