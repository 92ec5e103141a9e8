//! Limits are never exceeded, objects never shared, and nobody waits for ever.

use std::collections::BTreeSet;

use nakivo_scheduler::admission::{Admitted, JOB_TASKS, Limits, Queue, TaskKind, admit};

use crate::support::{Random, full};

fn queue(kind: TaskKind, limit: u32, waiting: impl IntoIterator<Item = u32>) -> Queue<u32> {
    Queue {
        kind,
        limit,
        turn: 0,
        running: Vec::new(),
        waiting: waiting.into_iter().collect(),
    }
}

fn job(waiting: impl IntoIterator<Item = u32>) -> Queue<u32> {
    queue(TaskKind::Backup, JOB_TASKS, waiting)
}

fn recovery(object: u32) -> Queue<u32> {
    queue(TaskKind::Recovery, 1, [object])
}

/// Which queue starts what.
fn told(admitted: &[Admitted<u32>]) -> Vec<(usize, u32)> {
    admitted.iter().map(|a| (a.queue, a.object)).collect()
}

fn carry_out(queues: &mut [Queue<u32>], admitted: &[Admitted<u32>]) {
    for start in admitted {
        let queue = &mut queues[start.queue];
        queue.waiting.retain(|object| *object != start.object);
        queue.running.push(start.object);
        queue.turn = start.turn;
    }
}

#[test]
fn a_job_has_three_tasks_and_a_transporter_six() {
    let limits = Limits::default();
    let one = [job(0..10)];
    assert_eq!(
        told(&admit(&limits, &one)),
        [(0, 0), (0, 1), (0, 2)],
        "the most important first"
    );
    let three = [job(0..10), job(10..20), job(20..30)];
    let turns = [(0, 0), (1, 10), (2, 20), (0, 1), (1, 11), (2, 21)];
    assert_eq!(told(&admit(&limits, &three)), turns, "in turns");
}

#[test]
fn recoveries_have_places_of_their_own() {
    let limits = Limits::default();
    let mut queues = vec![job(0..10), job(10..20)];
    let starts = admit(&limits, &queues);
    carry_out(&mut queues, &starts);
    queues.extend((100..110).map(recovery));
    assert_eq!(
        told(&admit(&limits, &queues)),
        [(2, 100), (3, 101)],
        "all other places are taken"
    );
    // Without backups recoveries take those, too.
    let alone: Vec<_> = (100..110).map(recovery).collect();
    assert_eq!(admit(&limits, &alone).len(), 8);
    let none = Limits::new(6, 0, true).unwrap();
    assert_eq!(admit(&none, &alone).len(), 6);
}

#[test]
fn an_object_is_processed_by_one_job_at_a_time_unless_that_is_turned_off() {
    let queues = [job([1, 2]), job([1, 3])];
    assert_eq!(
        told(&admit(&Limits::default(), &queues)),
        [(0, 1), (1, 3), (0, 2)]
    );
    let off = Limits::new(6, 2, false).unwrap();
    assert_eq!(told(&admit(&off, &queues)), [(0, 1), (1, 1), (0, 2), (1, 3)]);
}

#[test]
fn a_limit_that_is_lowered_starts_nothing_until_it_is_met() {
    let mut queues = vec![job(0..10), job(10..20)];
    let starts = admit(&Limits::default(), &queues);
    carry_out(&mut queues, &starts);
    let low = Limits::new(2, 0, true).unwrap();
    assert_eq!(told(&admit(&low, &queues)), []);
    queues[0].running.truncate(1);
    assert_eq!(told(&admit(&low, &queues)), []);
    queues[1].running.clear();
    assert_eq!(
        told(&admit(&low, &queues)),
        [(0, 3)],
        "its last turn was before the other's"
    );
}

#[test]
fn limits_out_of_range_are_refused_by_name() {
    let rows = [
        (Limits::new(0, 2, true), "transporter = 0: expected 1 to 100"),
        (Limits::new(101, 2, true), "transporter = 101: expected 1 to 100"),
        (Limits::new(6, 101, true), "recovery = 101: expected 0 to 100"),
    ];
    for (limits, expected) in rows {
        assert_eq!(limits.unwrap_err().to_string(), expected);
    }
    let text = serde_json::to_string(&Limits::default()).unwrap();
    assert_eq!(
        text,
        r#"{"transporter":6,"recovery":2,"one_job_per_object":true}"#
    );
    assert!(serde_json::from_str::<Limits>(&text.replace('6', "0")).is_err());
}

/// What no moment may show, whatever was admitted.
fn check(queues: &[Queue<u32>]) {
    let count = |kind| {
        let of = queues.iter().filter(|queue| queue.kind == kind);
        of.map(|queue| queue.running.len()).sum::<usize>()
    };
    let (backups, recoveries) = (count(TaskKind::Backup), count(TaskKind::Recovery));
    assert!(
        backups <= 6 && backups + recoveries <= 8,
        "{backups} and {recoveries}"
    );
    assert!(
        queues
            .iter()
            .all(|queue| queue.running.len() <= queue.limit as usize)
    );
    let running: Vec<u32> = queues.iter().flat_map(|queue| queue.running.clone()).collect();
    let distinct: BTreeSet<&u32> = running.iter().collect();
    assert_eq!(distinct.len(), running.len(), "an object in two jobs");
}

/// True when the queue could start something if only there were a place.
fn could_start(queue: &Queue<u32>, busy: &BTreeSet<u32>) -> bool {
    queue.running.len() < queue.limit as usize && queue.waiting.iter().any(|object| !busy.contains(object))
}

/// Everything that is due runs to its end, one random task ending after the other. Returns how many tasks ran.
fn live(random: &mut Random, queues: &mut [Queue<u32>]) -> usize {
    let mut ran = 0;
    // For each queue that could start something: the number of turns there had been when it came to that.
    let mut since: Vec<Option<u64>> = vec![None; queues.len()];
    let mut turns = 0;
    loop {
        let starts = admit(&Limits::default(), queues);
        for start in &starts {
            let before = queues[start.queue].turn;
            carry_out(queues, std::slice::from_ref(start));
            since[start.queue] = None;
            // Its last two turns both came while somebody else waited?
            let overtaken = since
                .iter()
                .position(|since| since.is_some_and(|since| before > since));
            assert_eq!(overtaken, None, "overtaken twice by {}", start.queue);
            turns = start.turn;
        }
        check(queues);
        let busy: BTreeSet<u32> = queues.iter().flat_map(|queue| queue.running.clone()).collect();
        for (queue, since) in queues.iter().zip(&mut since) {
            let waits = queue.kind == TaskKind::Backup && could_start(queue, &busy);
            *since = since.or(Some(turns)).filter(|_| waits);
        }
        let running: Vec<(usize, u32)> = (0..queues.len())
            .flat_map(|i| queues[i].running.iter().map(move |object| (i, *object)))
            .collect();
        if running.is_empty() {
            assert!(
                queues.iter().all(|queue| queue.waiting.is_empty()),
                "something waits for ever"
            );
            return ran;
        }
        let (i, object) = random.pick(&running);
        queues[i].running.retain(|other| *other != object);
        ran += 1;
    }
}

#[test]
fn a_thousand_jobs_due_in_the_same_second_stay_within_limits_and_take_turns() {
    let mut random = Random::new("a_thousand_jobs", 14);
    let mut queues: Vec<Queue<u32>> = (0..1_000)
        // Every tenth job shares its objects with others.
        .map(|n| {
            if n % 10 == 0 {
                job(0..2)
            } else {
                job(n * 10..n * 10 + 2)
            }
        })
        .collect();
    let first = admit(&Limits::default(), &queues);
    assert_eq!(first.len(), 6);
    assert_eq!(live(&mut random, &mut queues), 2_000);
}

#[test]
fn whatever_waits_gets_its_turn() {
    let mut random = Random::new("whatever_waits", 15);
    for _ in 0..if full() { 3_000 } else { 60 } {
        let objects = 1 + random.below(40);
        let mut queues: Vec<Queue<u32>> = (0..1 + random.below(20))
            .map(|_| {
                let waiting: BTreeSet<u32> = (0..random.below(12))
                    .map(|_| random.below(objects) as u32)
                    .collect();
                if random.chance(20) {
                    recovery(random.below(objects) as u32)
                } else {
                    queue(TaskKind::Backup, 1 + random.below(5) as u32, waiting)
                }
            })
            .collect();
        live(&mut random, &mut queues);
    }
}
