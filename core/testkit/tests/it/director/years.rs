//! Years of a director in minutes: jobs of every kind of schedule, sources that change, fail and take long, processes that end
//! in the middle. `NAKIVO_YEARS` says how many (default 1), `NAKIVO_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nakivo_core::ErrorKind;
use nakivo_core::director::scheduler::chain::Outcome;
use nakivo_core::director::scheduler::retention::{Point, Protection, Quality, plan_retention};
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::scheduler::schedule::{Repeat, ScheduleForm};
use nakivo_core::director::{
    Cause, Director, DirectorEvent, DirectorSettings, HistoryEntry, JobEntry, Keep, RunRecord,
};
use nakivo_core::format::Manifest;
use nakivo_core::format::ids::PointId;
use nakivo_core::format::manifest::Outcome as PointOutcome;
use nakivo_core::repository::Repository;
use nakivo_core::retention::RetentionPolicy;
use nakivo_core::seams::Clock;
use nakivo_testkit::content::{Content, prose};
use nakivo_testkit::director::World;
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_point, assert_sound};
use nakivo_testkit::random::{SeededRng, announce, environment_number};
use nakivo_testkit::scripted::{Edit, FetchTrouble};

use super::{add_with, moment, table};

/// Between two looks at all points and at history.
const SEASON_DAYS: i64 = 30;

/// What is known from outside.
struct Watch {
    world: World,
    rng: SeededRng,
    jobs: Vec<JobEntry>,
    /// By point: what its source held.
    truths: BTreeMap<PointId, LogicalContent>,
    /// By object: its points when they were last looked at.
    listed: BTreeMap<String, Vec<Manifest>>,
    /// By job and run.
    runs: BTreeMap<(String, String), RunRecord>,
    /// By job and where it begins.
    missed: BTreeMap<(String, DateTime<Utc>), u64>,
    kills: u32,
    points: usize,
}

fn keep(last: u32, daily: Option<u32>, weekly: Option<u32>, monthly: Option<u32>) -> Keep {
    let last = Some(last);
    RetentionPolicy {
        last,
        daily,
        weekly,
        monthly,
        yearly: Some(2),
    }
    .into()
}

async fn prepare(seed: u64) -> Watch {
    let world = World::new(seed).await;
    let director = world.director(settings()).await;
    let mut jobs = Vec::new();
    let every =
        |repeat: Repeat, start: &str, zone: &str| ScheduleForm::new(repeat).starting(start).in_zone(zone);
    let nightly = ScheduleForm::daily("22:00")
        .ending("06:00")
        .in_zone("Europe/Berlin");
    let kinds: [(&str, &[&str], Vec<ScheduleForm>, Keep); 8] = [
        (
            "nightly",
            &["n1", "n2"],
            vec![nightly],
            keep(3, Some(7), Some(4), Some(6)),
        ),
        (
            "third day",
            &["t1"],
            vec![every(Repeat::Daily { every_days: 3 }, "00:00", "America/Havana")],
            keep(5, None, None, None),
        ),
        (
            "weekly",
            &["w1"],
            vec![ScheduleForm::weekly(&["mon", "thu"], "12:00").in_zone("America/New_York")],
            keep(2, None, Some(6), Some(3)),
        ),
        (
            "monthly",
            &["m1"],
            vec![ScheduleForm::monthly("last friday", "02:30").in_zone("Australia/Lord_Howe")],
            keep(4, None, None, Some(5)),
        ),
        (
            "yearly",
            &["y1"],
            vec![ScheduleForm::yearly("day 31", &["feb", "oct"], "03:00").in_zone("UTC")],
            keep(1, None, None, None),
        ),
        (
            "often",
            &["o1"],
            vec![
                ScheduleForm::periodic(480)
                    .starting("08:00")
                    .ending("20:00")
                    .in_zone("Asia/Kolkata"),
            ],
            keep(4, Some(3), None, None),
        ),
        (
            "both",
            &["b1"],
            vec![
                ScheduleForm::weekly(&["sat"], "10:00"),
                ScheduleForm::monthly("day 15", "10:00"),
            ],
            keep(3, None, None, None),
        ),
        ("asked", &["a1"], Vec::new(), keep(2, None, None, None)),
    ];
    for (name, objects, schedules, keep) in kinds {
        let change = |form: &mut nakivo_core::director::JobForm| {
            form.schedules = table(&schedules);
            form.retention = Some(keep);
            form.zone = "Europe/Berlin".to_owned();
        };
        jobs.push(add_with(&world, &director, name, objects, change).await);
    }
    let after = ScheduleForm::new(Repeat::After {
        job: jobs[0].id.to_string(),
        delay_minutes: 45,
        outcomes: vec!["complete".to_owned(), "partial".to_owned()],
    });
    let chained = add_with(&world, &director, "after", &["c1"], |form| {
        form.schedules = table(&[after]);
        form.retention = Some(keep(2, None, None, None));
    });
    jobs.push(chained.await);
    Watch {
        world,
        rng: SeededRng::new(seed),
        jobs,
        truths: BTreeMap::new(),
        listed: BTreeMap::new(),
        runs: BTreeMap::new(),
        missed: BTreeMap::new(),
        kills: 0,
        points: 0,
    }
}

fn settings() -> DirectorSettings {
    DirectorSettings::default()
        .with_history_days(90)
        .with_look_every_seconds(86_400)
}

impl Watch {
    fn objects(&self) -> Vec<(String, Keep)> {
        let of = |entry: &JobEntry| {
            let keep = entry.job.form().retention.unwrap();
            let sources = entry.job.form().sources.iter();
            sources
                .map(|source| (source.objects[0].clone(), keep))
                .collect::<Vec<_>>()
        };
        self.jobs.iter().flat_map(of).collect()
    }

    /// Looks at the points of an object: new ones hold what the source holds, and none is gone that a rule keeps. Where nothing
    /// was interrupted, exactly those are there that a rule keeps.
    fn look_at(&mut self, repository: &Repository, name: &str, keep: &Keep, interrupted: bool) {
        let source = self.world.sources.source(name);
        let now = repository.points(&source.object().id);
        let before = self.listed.get(name).cloned().unwrap_or_default();
        let mut all = before.clone();
        for point in &now {
            if !all.iter().any(|known| known.id == point.id) {
                self.truths.insert(point.id, source.truth());
                self.points += 1;
                all.push(point.clone());
            }
        }
        let points: Vec<Point<PointId>> = all
            .iter()
            .map(|point| Point {
                id: point.id,
                committed: DateTime::from_timestamp_millis(point.finished_ms).unwrap(),
                quality: if point.outcome == PointOutcome::Complete {
                    Quality::Complete
                } else {
                    Quality::Partial
                },
                protection: Protection::JobRetention,
            })
            .collect();
        let calendar = *self.jobs[0].job.calendar();
        let calendar = if name == "c1" {
            *self.jobs[8].job.calendar()
        } else {
            calendar
        };
        let at = self.world.clock.now();
        let plan = plan_retention(&points, &keep.policy(), &calendar, at).unwrap();
        let listed: BTreeSet<PointId> = now.iter().map(|point| point.id).collect();
        let kept: BTreeSet<PointId> = plan.kept().copied().collect();
        assert!(
            kept.is_subset(&listed),
            "{name} at {at}: a point is gone that a rule keeps"
        );
        if !interrupted {
            assert_eq!(kept, listed, "{name} at {at}: retention was not applied");
        }
        self.listed.insert(name.to_owned(), now);
    }

    /// What happens at the sources while nobody looks.
    fn live(&self) {
        let objects = self.objects();
        let Some((name, _)) = self.rng.pick(&objects) else {
            return;
        };
        let source = self.world.sources.source(name);
        let id = format!("x{}", self.rng.below(300));
        match self.rng.below(20) {
            0..8 => {
                let content = Content::Bytes(prose(&self.rng, 300).into());
                // What was removed once does not come back.
                let _ = source.try_edit(&Edit::Put {
                    container: "inbox".to_owned(),
                    name: id.clone(),
                    id,
                    parts: BTreeMap::from([("mime".to_owned(), content)]),
                });
            }
            8..10 => {
                let _ = source.try_edit(&Edit::Remove { id });
            }
            10..12 => source.trouble(&id, FetchTrouble::Error(ErrorKind::Unavailable), Some(4)),
            12 => self.world.sources.break_source(name, ErrorKind::Unavailable, 2),
            13 => self.world.sources.break_source(name, ErrorKind::Unauthorized, 1),
            14 => self
                .world
                .sources
                .delay(name, Duration::from_secs(60 * self.rng.below(900))),
            _ => self.world.sources.delay(name, Duration::from_secs(30)),
        }
    }

    async fn read_history(&mut self, director: &Director) {
        for entry in &self.jobs {
            for line in director.history(&entry.id, 100_000).await.unwrap() {
                match line {
                    HistoryEntry::Run(run) => {
                        let key = (entry.id.to_string(), run.run.to_string());
                        let known = self.runs.insert(key, (*run).clone());
                        assert!(known.is_none_or(|known| known == *run), "history was rewritten");
                    }
                    HistoryEntry::Missed(missed) => {
                        self.missed
                            .insert((entry.id.to_string(), missed.after), missed.count);
                    }
                }
            }
        }
    }

    async fn check_points(&self, repository: &Repository) {
        for point in all_points(repository) {
            let what = format!("point {} of {}", point.id, point.object.name);
            if point.outcome == PointOutcome::Complete {
                assert_point(repository, &point, &self.truths[&point.id], &what).await;
            }
        }
    }

    /// One process, until `until` or its end.
    async fn process(&mut self, until: DateTime<Utc>) {
        let director = self.world.director(settings()).await;
        let repository = self.world.lab.open().await.unwrap();
        for (name, keep) in self.objects() {
            self.look_at(&repository, &name, &keep, true);
        }
        let mut events = director.watch();
        let running = director.start();
        let world = self.world.clone();
        let mut asked = Vec::new();
        world
            .pass(until, async || {
                let mut done = BTreeSet::new();
                while let Ok(event) = events.try_recv() {
                    if let DirectorEvent::ObjectDone { result, .. } = event
                        && result.point.is_some()
                    {
                        done.insert(result.name.trim_end_matches("@example.org").to_owned());
                    }
                }
                if !done.is_empty() {
                    repository.refresh().await.unwrap();
                }
                for (name, keep) in self.objects().into_iter().filter(|(name, _)| done.contains(name)) {
                    self.look_at(&repository, &name, &keep, false);
                }
                self.live();
                if self.rng.chance(2) {
                    let job = self.jobs[7].id.clone();
                    asked.push(director.run_now(&job, Scope::All));
                }
            })
            .await;
        running.cancel();
        world.rest().await;
        running.wait().await.unwrap();
    }

    /// Every time that was due is a run, or on record as missed; and every run ended.
    fn check_record(&self, until: DateTime<Utc>) {
        for entry in &self.jobs {
            let (id, name) = (entry.id.to_string(), entry.job.name());
            let table = &entry.job.form().schedules;
            let runs: Vec<&RunRecord> = self
                .runs
                .iter()
                .filter(|((job, _), _)| *job == id)
                .map(|(_, run)| run)
                .collect();
            let mut starts = BTreeSet::new();
            let mut started = 0;
            for run in &runs {
                // A source takes 15 hours at most, and nobody is there for up to three days after each interruption.
                let longest = TimeDelta::days(2 + 4 * i64::from(run.interruptions));
                assert!(run.ended - run.started < longest, "{name}: {run:?}");
                if let Cause::Schedule { due, .. } = run.cause {
                    assert!(starts.insert(due), "{name}: started twice for {due}");
                    started += table.count(due - TimeDelta::nanoseconds(1), due);
                }
            }
            let missed: u64 = self
                .missed
                .iter()
                .filter(|((job, _), _)| *job == id)
                .map(|(_, count)| count)
                .sum();
            let due = table.count(entry.due_since, until);
            assert_eq!(
                started + missed,
                due,
                "{name}: {started} started, {missed} missed, {due} due"
            );
            announce(&format!(
                "  {name}: {due} due, {started} started, {missed} missed, {} runs",
                runs.len()
            ));
        }
        let of = |number: usize| {
            let id = self.jobs[number].id.to_string();
            self.runs
                .iter()
                .filter(move |((job, _), _)| *job == id)
                .map(|(_, run)| run)
        };
        let called = of(0)
            .filter(|run| matches!(run.outcome, Outcome::Complete | Outcome::Partial))
            .count();
        let followed = of(8).count();
        // A second end while the chained job runs, or was interrupted, is followed by one start.
        assert!(
            followed <= called && followed + 10 >= called * 9 / 10,
            "{followed} of {called} followed"
        );
    }
}

fn simulate(seed: u64, years: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut watch = runtime.block_on(prepare(seed));
    let world = watch.world.clone();
    let begin = moment("2026-01-01T00:00:00Z");
    let end = begin + TimeDelta::days(365 * years);
    while world.clock.now() < end {
        let season = (world.clock.now() + TimeDelta::days(SEASON_DAYS)).min(end);
        let last = if watch.rng.chance(60) {
            1 + watch.rng.below(4_000)
        } else {
            0
        };
        if world
            .in_a_process(last, async || watch.process(season).await)
            .is_none()
        {
            watch.kills += 1;
            world
                .clock
                .advance(Duration::from_secs(watch.rng.below(3 * 86_400)));
        }
        world.faults.forget();
        world.in_a_process(0, async || {
            let director = world.director(settings()).await;
            watch.read_history(&director).await;
            let repository = world.lab.open().await.unwrap();
            for (name, keep) in watch.objects() {
                watch.look_at(&repository, &name, &keep, true);
            }
            watch.check_points(&repository).await;
        });
    }
    // Everything settles once nothing is in its way.
    for (name, _) in watch.objects() {
        world.sources.source(&name).calm();
        world.sources.delay(&name, Duration::from_secs(1));
        world.sources.break_source(&name, ErrorKind::Unavailable, 0);
    }
    let quiet = world.clock.now() + TimeDelta::days(3);
    world.in_a_process(0, async || {
        let director = world.director(settings()).await;
        let running = director.start();
        world.pass(quiet, async || {}).await;
        for entry in &watch.jobs {
            assert!(
                !director.status(&entry.id).await.unwrap().running,
                "{} hangs",
                entry.job.name()
            );
        }
        running.cancel();
        world.rest().await;
        running.wait().await.unwrap();
        watch.read_history(&director).await;
        assert_sound(&world.lab.open().await.unwrap(), "after all these years").await;
    });
    announce(&format!(
        "director: seed {seed}, {years} years, {} runs, {} points, {} kills",
        watch.runs.len(),
        watch.points,
        watch.kills
    ));
    watch.check_record(world.clock.now());
}

#[test]
fn a_year_of_every_kind_of_schedule() {
    let years = i64::try_from(environment_number("NAKIVO_YEARS").unwrap_or(1)).unwrap();
    let rng = SeededRng::from_environment("a_year_of_every_kind_of_schedule", 1);
    simulate(rng.seed(), years);
}
