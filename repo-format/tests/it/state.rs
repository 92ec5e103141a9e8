//! The meaning of the log: replay equals checkpoint, broken chains and conflicts are refused.

use nakivo_repo_format::ids::WriterId;
use nakivo_repo_format::log::{Checkpoint, CommitRecord, DamagedPack, Operation, PointDamage};
use nakivo_repo_format::manifest::Protection;
use nakivo_repo_format::*;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq};

use crate::fixtures::{Gen, codec, keys, property};

fn commit(state: &RepositoryState, operations: Vec<Operation>) -> CommitRecord {
    CommitRecord {
        seq: state.seq() + 1,
        previous: state.head(),
        writer: WriterId::from_bytes([1; 16]),
        time_ms: 0,
        software: String::new(),
        operations,
        locked_ms: None,
    }
}

fn hash(commit: &CommitRecord) -> CommitHash {
    commit.seal(&keys(), &mut codec()).unwrap().0
}

/// An operation that fits the state most of the time.
fn operation(g: &mut Gen, state: &RepositoryState) -> Operation {
    let pick = |g: &mut Gen, n: usize| g.below(n.max(1));
    let tag = 1 + g.below(11);
    let mut operation = g.operation(tag);
    let point = state.points().keys().nth(pick(g, state.points().len())).copied();
    let segment = state
        .segments()
        .keys()
        .nth(pick(g, state.segments().len()))
        .copied();
    let run = state
        .progress()
        .keys()
        .nth(pick(g, state.progress().len()))
        .copied();
    let tombstone = state
        .tombstones()
        .keys()
        .nth(pick(g, state.tombstones().len()))
        .copied();
    match &mut operation {
        Operation::RemovePoints { points, .. } => *points = point.into_iter().collect(),
        Operation::EditPoint { point: edited, .. } => *edited = point.unwrap_or(*edited),
        Operation::DropProgress { run: dropped } => *dropped = run.unwrap_or(*dropped),
        Operation::ReplaceIndex { remove, .. } => *remove = segment.into_iter().collect(),
        Operation::RemovedPacks { packs } | Operation::Revive { packs } => {
            *packs = tombstone.into_iter().collect()
        }
        Operation::Damage { points, whole, .. } => {
            *points = point
                .into_iter()
                .map(|point| PointDamage {
                    point,
                    ..g.point_damage()
                })
                .collect();
            if g.chance(2) {
                whole.extend(state.damaged_points().keys().next().copied());
            }
        }
        Operation::AddPoint { manifest } => {
            manifest.run = run.filter(|_| g.chance(2)).unwrap_or(manifest.run)
        }
        Operation::Progress { progress } => {
            progress.run = run.filter(|_| g.chance(2)).unwrap_or(progress.run)
        }
        _ => {}
    }
    operation
}

#[test]
fn replay_is_checkpoint() {
    property("replay_is_checkpoint", 60, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let (keys, mut codec) = (keys(), codec());
        let mut state = RepositoryState::new();
        let mut resumed = RepositoryState::new();
        for _ in 0..30 {
            let operations = (0..g.below(4)).map(|_| operation(&mut g, &state)).collect();
            let commit = commit(&state, operations);
            let (hash, bytes) = commit.seal(&keys, &mut codec).unwrap();
            let (opened_hash, opened) = CommitRecord::open(&keys, &mut codec, commit.seq, &bytes).unwrap();
            prop_assert_eq!(hash, opened_hash);
            let before = state.clone();
            let accepted = state.check(&opened).is_ok();
            prop_assert_eq!(state.apply(hash, &opened).is_ok(), accepted);
            if !accepted {
                prop_assert_eq!(&state, &before, "a refused commit changes nothing");
                continue;
            }
            resumed.apply(hash, &opened).unwrap();
            prop_assert_eq!(&resumed, &state);
            if g.chance(3) {
                let checkpoint = state.to_checkpoint(0);
                let bytes = checkpoint.seal(&keys, &mut codec).unwrap();
                let opened = Checkpoint::open(&keys, &mut codec, checkpoint.seq, &bytes);
                // The state before the first commit is no checkpoint.
                resumed = RepositoryState::from_checkpoint(opened.unwrap()).unwrap();
                prop_assert_eq!(&resumed, &state);
            }
        }
        prop_assert!(state.seq() > 0);
        Ok(())
    });
}

#[test]
fn broken_chains_are_refused() {
    let mut state = RepositoryState::new();
    let first = commit(&state, Vec::new());
    state.apply(hash(&first), &first).unwrap();
    let mut next = commit(&state, Vec::new());
    next.seq = 3;
    assert_eq!(
        state.check(&next),
        Err(StateError::WrongSequence {
            expected: 2,
            found: 3
        })
    );
    next.seq = 1;
    assert!(matches!(
        state.apply(CommitHash::NONE, &next),
        Err(StateError::WrongSequence { .. })
    ));
    next.seq = 2;
    next.previous = CommitHash::from_bytes([1; 32]);
    assert_eq!(
        state.apply(CommitHash::NONE, &next),
        Err(StateError::BrokenChain { seq: 2 })
    );
    next.previous = CommitHash::NONE;
    assert_eq!(state.check(&next), Err(StateError::BrokenChain { seq: 2 }));
}

#[test]
fn conflicts_are_refused_and_change_nothing() {
    let mut g = Gen::new(1);
    let mut state = RepositoryState::new();
    let manifest = Box::new(g.manifest());
    let add = Operation::AddPoint {
        manifest: manifest.clone(),
    };
    let tombstoned = PackId::from_bytes([3; 32]);
    let segment = g.index_ref();
    let first = commit(
        &state,
        vec![
            add.clone(),
            Operation::Tombstone {
                packs: vec![tombstoned],
            },
            Operation::AddIndex {
                segments: vec![segment],
            },
        ],
    );
    state.apply(hash(&first), &first).unwrap();
    let remove = Operation::RemovePoints {
        points: vec![manifest.id],
        reason: String::new(),
    };
    let unknown_point = PointId::from_bytes([9; 16]);
    for operations in [
        vec![add.clone()],
        vec![remove.clone(), add.clone()],
        vec![remove.clone(), remove.clone()],
        vec![Operation::RemovePoints {
            points: vec![unknown_point],
            reason: String::new(),
        }],
        vec![Operation::EditPoint {
            point: unknown_point,
            protection: Protection::Forever,
            description: None,
        }],
        vec![Operation::DropProgress {
            run: RunId::from_bytes([1; 16]),
        }],
        vec![Operation::Tombstone {
            packs: vec![tombstoned],
        }],
        vec![Operation::RemovedPacks {
            packs: vec![PackId::from_bytes([4; 32])],
        }],
        vec![
            Operation::Revive {
                packs: vec![tombstoned],
            },
            Operation::RemovedPacks {
                packs: vec![tombstoned],
            },
        ],
        vec![Operation::AddIndex {
            segments: vec![segment],
        }],
        vec![Operation::ReplaceIndex {
            add: Vec::new(),
            remove: vec![IndexId::from_bytes([1; 32])],
        }],
        vec![Operation::ReplaceIndex {
            add: Vec::new(),
            remove: vec![segment.id, segment.id],
        }],
    ] {
        let before = state.clone();
        let commit = commit(&state, operations);
        assert!(
            matches!(
                state.apply(hash(&commit), &commit),
                Err(StateError::Conflict { seq: 2, .. })
            ),
            "{commit:?}"
        );
        assert_eq!(state, before);
    }
    // A removed point's id is never free again.
    let second = commit(&state, vec![remove]);
    state.apply(hash(&second), &second).unwrap();
    assert_eq!(state.removed_points().get(&manifest.id), Some(&2));
    assert!(state.check(&commit(&state, vec![add])).is_err());
}

#[test]
fn a_point_ends_its_run() {
    let mut g = Gen::new(2);
    let mut state = RepositoryState::new();
    let progress = Box::new(g.progress());
    let mut manifest = Box::new(g.manifest());
    manifest.run = progress.run;
    let first = commit(&state, vec![Operation::Progress { progress }]);
    state.apply(hash(&first), &first).unwrap();
    assert_eq!(state.progress().len(), 1);
    let second = commit(
        &state,
        vec![Operation::AddPoint {
            manifest: manifest.clone(),
        }],
    );
    state.apply(hash(&second), &second).unwrap();
    assert!(state.progress().is_empty());
    let edit = Operation::EditPoint {
        point: manifest.id,
        protection: Protection::Until(5),
        description: Some("kept".into()),
    };
    let third = commit(&state, vec![edit]);
    state.apply(hash(&third), &third).unwrap();
    let point = state.point(&manifest.id).unwrap();
    assert_eq!(
        (point.protection, point.description.as_deref()),
        (Protection::Until(5), Some("kept"))
    );
}

#[test]
fn contradictory_checkpoints_are_refused() {
    let mut g = Gen::new(3);
    let manifest = g.manifest();
    let mut checkpoint = g.checkpoint();
    checkpoint.points = vec![manifest.clone(), manifest];
    assert!(RepositoryState::from_checkpoint(checkpoint.clone()).is_err());
    checkpoint.points.clear();
    checkpoint.boundary = checkpoint.seq + 1;
    assert!(RepositoryState::from_checkpoint(checkpoint).is_err());
}

/// What is known of damage goes with what it is about, and a commit that speaks of no such point is refused whole.
#[test]
fn damage_is_known_until_it_is_gone() {
    let (point, other) = (PointId::from_bytes([1; 16]), PointId::from_bytes([2; 16]));
    let (pack, second) = (PackId::from_bytes([3; 32]), PackId::from_bytes([4; 32]));
    let mut g = Gen::new(1);
    let mut state = RepositoryState::new();
    let add = |state: &mut RepositoryState, operations: Vec<Operation>| {
        let commit = CommitRecord {
            seq: state.seq() + 1,
            previous: state.head(),
            writer: WriterId::from_bytes([1; 16]),
            time_ms: 0,
            software: String::new(),
            operations,
            locked_ms: None,
        };
        state.apply(hash(&commit), &commit)
    };
    let mut point_of = |id| {
        let mut manifest = g.manifest();
        manifest.id = id;
        Operation::AddPoint {
            manifest: Box::new(manifest),
        }
    };
    let damaged = |point| PointDamage {
        point,
        lost: 2,
        items: Vec::new(),
        what: "x".into(),
        found_ms: 5,
    };
    let damage = |points, packs, sound, whole| Operation::Damage {
        packs,
        sound,
        points,
        whole,
    };
    let packs = |blocks: &[u32]| {
        [pack, second].map(|pack| DamagedPack {
            pack,
            blocks: blocks.to_vec(),
        })
    };
    let missing = damage(vec![damaged(other)], packs(&[1]).to_vec(), Vec::new(), Vec::new());
    let refused = add(&mut state, vec![point_of(point), missing]).unwrap_err();
    assert!(matches!(refused, StateError::Conflict { .. }), "{refused:?}");
    assert!(state.points().is_empty() && state.damaged_packs().is_empty());

    let known = damage(vec![damaged(point)], packs(&[1]).to_vec(), Vec::new(), Vec::new());
    add(&mut state, vec![point_of(point), point_of(other), known]).unwrap();
    let again = damage(
        vec![damaged(other)],
        packs(&[2, 3]).to_vec(),
        Vec::new(),
        Vec::new(),
    );
    add(&mut state, vec![again]).unwrap();
    assert_eq!(state.damaged_packs()[&pack].blocks, [2, 3], "the newest counts");
    assert_eq!(state.damaged_points().len(), 2);
    let copy = RepositoryState::from_checkpoint(state.to_checkpoint(0)).unwrap();
    assert_eq!(copy, state);

    let healed = damage(Vec::new(), Vec::new(), vec![pack], vec![other]);
    add(&mut state, vec![healed]).unwrap();
    let removed = Operation::RemovePoints {
        points: vec![point],
        reason: String::new(),
    };
    let tombstone = Operation::Tombstone { packs: vec![second] };
    let gone = Operation::RemovedPacks { packs: vec![second] };
    add(&mut state, vec![removed, tombstone, gone]).unwrap();
    assert!(state.damaged_points().is_empty() && state.damaged_packs().is_empty());
    assert_eq!(state.to_checkpoint(0).damaged_packs, None);
}
