//! Jobs after jobs: circles and loose ends are refused, and the right ones start.

use std::collections::{BTreeMap, BTreeSet};

use nakivo_scheduler::chain::{ChainError, Outcome, chained_starts, check_chains};
use nakivo_scheduler::schedule::{Repeat, ScheduleForm, Timetable};

use crate::support::{Random, at, checked};

type Jobs = BTreeMap<String, Timetable>;

/// Each job with the jobs that it runs after.
fn jobs(chains: &[(&str, &[&str])]) -> Jobs {
    let table = |after: &[&str]| {
        let links = after.iter().map(|job| checked(ScheduleForm::after(job)));
        Timetable::new(links.collect()).unwrap()
    };
    let all = chains.iter();
    all.map(|(job, after)| ((*job).to_owned(), table(after)))
        .collect()
}

fn after(job: &str, delay_minutes: i64, outcomes: &[&str]) -> ScheduleForm {
    ScheduleForm::new(Repeat::After {
        job: job.to_owned(),
        delay_minutes,
        outcomes: outcomes.iter().map(|&word| word.to_owned()).collect(),
    })
}

#[test]
fn circles_are_refused_with_the_names_of_the_jobs_in_them() {
    let rows: [(Jobs, &str); 3] = [
        (jobs(&[("a", &["a"])]), "a after a"),
        (
            jobs(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]),
            "a after b after c after a",
        ),
        // What leads into a circle is not part of it, nor is what it leads past.
        (
            jobs(&[
                ("a", &["b"]),
                ("b", &["z", "c"]),
                ("c", &["d"]),
                ("d", &["b"]),
                ("z", &[]),
            ]),
            "b after c after d after b",
        ),
    ];
    for (jobs, circle) in rows {
        let error = check_chains(&jobs).unwrap_err();
        let expected = format!("these jobs run after each other in a circle: {circle}");
        assert_eq!((error.to_string(), error.code()), (expected, "chain_cycle"));
    }
}

#[test]
fn a_job_that_is_not_there_is_refused_by_name() {
    let error = check_chains(&jobs(&[("a", &[]), ("b", &["a", "gone"])])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "job b runs after job gone, which does not exist"
    );
    assert_eq!(error.code(), "chain_job_missing");
}

#[test]
fn two_ways_to_one_job_are_no_circle() {
    let diamond = jobs(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
    assert_eq!(check_chains(&diamond), Ok(()));
}

#[test]
fn a_chain_of_100_000_jobs_is_checked_in_its_length() {
    let name = |n: usize| format!("{n:06}");
    let link = |n: usize| Timetable::new(vec![checked(ScheduleForm::after(&name(n)))]).unwrap();
    let mut jobs: Jobs = (0..100_000).map(|n| (name(n), link(n + 1))).collect();
    jobs.insert(name(100_000), Timetable::default());
    assert_eq!(check_chains(&jobs), Ok(()));
    jobs.insert(name(100_000), link(50_000));
    let Err(ChainError::Cycle { jobs }) = check_chains(&jobs) else {
        panic!("a circle was let through");
    };
    assert_eq!((jobs.len(), jobs.first()), (50_002, jobs.last()));
}

/// Whether a circle exists, by closing the relation until nothing is added.
fn has_circle(links: &BTreeSet<(usize, usize)>, count: usize) -> bool {
    let mut reach = links.clone();
    for _ in 0..count {
        let more: Vec<_> = reach
            .iter()
            .flat_map(|(a, b)| links.range((*b, 0)..(*b + 1, 0)).map(move |(_, c)| (*a, *c)))
            .collect();
        reach.extend(more);
    }
    (0..count).any(|job| reach.contains(&(job, job)))
}

#[test]
fn circles_are_found_exactly_where_there_are_some() {
    let mut random = Random::new("circles", 4);
    let (mut circles, mut lines) = (0, 0);
    for _ in 0..1_000 {
        let count = 1 + random.below(7);
        let links: BTreeSet<(usize, usize)> = (0..random.below(2 * count))
            .map(|_| (random.below(count) as usize, random.below(count) as usize))
            .collect();
        let mut graph: BTreeMap<String, Vec<String>> =
            (0..count).map(|job| (job.to_string(), Vec::new())).collect();
        for (a, b) in &links {
            graph.get_mut(&a.to_string()).unwrap().push(b.to_string());
        }
        let words: Vec<(&str, Vec<&str>)> = graph
            .iter()
            .map(|(job, after)| (job.as_str(), after.iter().map(String::as_str).collect()))
            .collect();
        let rows: Vec<(&str, &[&str])> = words
            .iter()
            .map(|(job, after)| (*job, after.as_slice()))
            .collect();
        match check_chains(&jobs(&rows)) {
            Ok(()) => {
                assert!(!has_circle(&links, count as usize), "{links:?}");
                lines += 1;
            }
            Err(ChainError::Cycle { jobs }) => {
                circles += 1;
                assert_eq!(jobs.first(), jobs.last());
                for pair in jobs.windows(2) {
                    assert!(graph[&pair[0]].contains(&pair[1]), "{jobs:?} of {links:?}");
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(circles > 100 && lines > 100, "{circles} {lines}");
}

#[test]
fn the_end_of_a_run_starts_what_waits_for_that_end() {
    let mut all = Jobs::new();
    let mut add = |job: &str, forms: Vec<ScheduleForm>| {
        let table = Timetable::new(forms.into_iter().map(checked).collect()).unwrap();
        all.insert(job.to_owned(), table);
    };
    add("main", vec![ScheduleForm::daily("01:00")]);
    add("copy", vec![after("main", 0, &["complete", "partial"])]);
    add("report", vec![after("main", 30, &["failed", "stopped"])]);
    add(
        "both",
        vec![after("main", 90, &["complete"]), after("main", 60, &["complete"])],
    );
    add(
        "later",
        vec![after("main", 0, &["complete"]).effective_from("2026-06-02")],
    );
    add("unrelated", vec![after("copy", 0, &["complete"])]);
    let ended = at("2026-06-01T23:30:00Z");
    let starts = |outcome| {
        let all = chained_starts(&all, "main", outcome, ended);
        let told = all
            .iter()
            .map(|start| format!("{} {}", start.job, start.at.format("%d %H:%M")));
        told.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(starts(Outcome::Complete), "both 02 00:30, copy 01 23:30");
    assert_eq!(starts(Outcome::Partial), "copy 01 23:30");
    assert_eq!(starts(Outcome::Failed), "report 02 00:00");
    assert_eq!(starts(Outcome::Stopped), "report 02 00:00");
    // A delay may carry a start into the dates in force.
    add_later(&mut all);
    let all = chained_starts(&all, "main", Outcome::Complete, ended);
    assert!(
        all.iter()
            .any(|start| start.job == "delayed" && start.after == "main")
    );
}

fn add_later(jobs: &mut Jobs) {
    let form = after("main", 60, &["complete"]).effective_from("2026-06-02");
    jobs.insert("delayed".to_owned(), Timetable::new(vec![checked(form)]).unwrap());
}
