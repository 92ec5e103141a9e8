//! The manifest tree against a map: same content, same root, few nodes touched.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use nakivo_repo_format::tree::{
    DiffStep, Edit, EditorStats, RangeScan, ScanStep, Step, TreeBuilder, TreeChange, TreeDiff, TreeEditor,
    TreeRoot,
};
use nakivo_repo_format::{ChunkId, KeySet};
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq};

use crate::fixtures::{Gen, keys, property, seed};

type Map = BTreeMap<Vec<u8>, (u64, Vec<u8>)>;

/// Nodes by chunk, and how often one was read.
#[derive(Default)]
pub(crate) struct Nodes {
    pub(crate) stored: HashMap<ChunkId, Bytes>,
    read: usize,
}

impl Nodes {
    fn read(&mut self, id: &ChunkId) -> Bytes {
        self.read += 1;
        self.stored[id].clone()
    }
}

pub(crate) fn build(keys: &KeySet, map: &Map, nodes: &mut Nodes) -> Option<TreeRoot> {
    let mut builder = TreeBuilder::new(keys);
    let mut store = |builder: &mut TreeBuilder| {
        while let Some(node) = builder.take_node() {
            assert_eq!(keys.chunk_id(&node.bytes), node.chunk.id);
            nodes.stored.insert(node.chunk.id, node.bytes);
        }
    };
    for (key, (size, value)) in map {
        builder.push(key, *size, value).unwrap();
        store(&mut builder);
    }
    let root = builder.finish().unwrap();
    store(&mut builder);
    root
}

fn edit(
    keys: &KeySet,
    root: Option<TreeRoot>,
    edits: &BTreeMap<Vec<u8>, Option<(u64, Vec<u8>)>>,
    nodes: &mut Nodes,
    g: &mut Gen,
) -> (Option<TreeRoot>, EditorStats) {
    let mut editor = TreeEditor::new(keys, root);
    let mut rest = edits.iter();
    let ahead = g.chance(2);
    loop {
        match editor.step().unwrap() {
            Step::NeedEdits => {
                let batch = 1 + g.below(40);
                for _ in 0..batch {
                    match rest.next() {
                        Some((key, Some((size, value)))) => {
                            editor
                                .push(
                                    key.clone(),
                                    Edit::Put {
                                        size: *size,
                                        value: value.clone().into(),
                                    },
                                )
                                .unwrap();
                        }
                        Some((key, None)) => editor.push(key.clone(), Edit::Delete).unwrap(),
                        None => {
                            editor.end_edits();
                            break;
                        }
                    }
                }
                if ahead {
                    for chunk in editor.wanted(3) {
                        let bytes = nodes.read(&chunk.id);
                        editor.supply(&chunk.id, bytes);
                    }
                }
            }
            Step::Need(chunk) => {
                let bytes = nodes.read(&chunk.id);
                editor.supply(&chunk.id, bytes);
            }
            Step::Emit(node) => {
                assert_eq!(keys.chunk_id(&node.bytes), node.chunk.id);
                nodes.stored.insert(node.chunk.id, node.bytes);
            }
            Step::Done(root) => return (root, editor.stats()),
        }
    }
}

pub(crate) fn scan(mut scan: RangeScan, nodes: &mut Nodes) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        match scan.step().unwrap() {
            ScanStep::Need(chunk) => {
                assert!(
                    scan.wanted(1).first() == Some(&chunk),
                    "what is needed is what was announced"
                );
                let bytes = nodes.read(&chunk.id);
                scan.supply(&chunk.id, bytes);
            }
            ScanStep::Entry(entry) => found.push((entry.key, entry.size, entry.value.to_vec())),
            ScanStep::Done => return found,
        }
    }
}

fn diff(old: Option<TreeRoot>, new: Option<TreeRoot>, nodes: &mut Nodes) -> Vec<TreeChange> {
    let mut diff = TreeDiff::new(old, new);
    let mut found = Vec::new();
    loop {
        match diff.step().unwrap() {
            DiffStep::Need(chunk) => {
                let bytes = nodes.read(&chunk.id);
                diff.supply(&chunk.id, bytes);
            }
            DiffStep::Change(change) => found.push(change),
            DiffStep::Done => return found,
        }
    }
}

fn key(g: &mut Gen, space: usize) -> Vec<u8> {
    format!("folder{}\0\u{2}item{:06}", g.below(4), g.below(space)).into_bytes()
}

fn value(g: &mut Gen) -> (u64, Vec<u8>) {
    // Now and then a value that makes nodes close by weight.
    let length = if g.chance(400) { 300_000 } else { g.below(30) };
    (g.number() >> 20, g.bytes(length))
}

/// Any history gives the tree that building from scratch gives; scans and differences agree with the map.
#[test]
fn any_history_gives_the_same_tree() {
    let keys = keys();
    property("any_history_gives_the_same_tree", 60, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let space = [10, 200, 3000, 20_000][g.below(4)];
        let (mut map, mut nodes, mut root) = (Map::new(), Nodes::default(), None);
        for _ in 0..8 {
            let mut edits = BTreeMap::new();
            match g.below(6) {
                // Delete a whole range, or everything: trees shrink too.
                0 => {
                    let (a, b) = (key(&mut g, space), key(&mut g, space));
                    for (key, _) in map.range(a.clone().min(b.clone())..a.max(b)) {
                        edits.insert(key.clone(), None);
                    }
                }
                1 if g.chance(4) => edits.extend(map.keys().map(|key| (key.clone(), None))),
                _ => {
                    let most = [3, 50, 4000][g.below(3)];
                    for _ in 0..g.below(most) {
                        let put = !g.chance(3);
                        let key = key(&mut g, space);
                        edits.insert(key, put.then(|| value(&mut g)));
                    }
                }
            }
            let before = map.clone();
            for (key, edit) in &edits {
                match edit {
                    Some(value) => map.insert(key.clone(), value.clone()),
                    None => map.remove(key),
                };
            }
            let (new_root, stats) = edit(&keys, root, &edits, &mut nodes, &mut g);
            let scratch = build(&keys, &map, &mut Nodes::default());
            prop_assert_eq!(new_root, scratch);
            if let Some(root) = new_root {
                prop_assert_eq!(root.entries, map.len() as u64);
                prop_assert_eq!(root.bytes, map.values().map(|(size, _)| size).sum::<u64>());
            }
            let added = map.keys().filter(|key| !before.contains_key(*key)).count() as u64;
            let removed = before.keys().filter(|key| !map.contains_key(*key)).count() as u64;
            let changed = map
                .iter()
                .filter(|(key, value)| before.get(*key).is_some_and(|old| old != *value))
                .count();
            prop_assert_eq!(
                (stats.added, stats.removed, stats.changed),
                (added, removed, changed as u64)
            );

            // Scans.
            let all: Vec<_> = map.iter().map(|(k, (s, v))| (k.clone(), *s, v.clone())).collect();
            prop_assert_eq!(&scan(RangeScan::all(new_root), &mut nodes), &all);
            let (a, b) = (key(&mut g, space), key(&mut g, space));
            let (from, to) = (a.clone().min(b.clone()), a.max(b));
            let range: Vec<_> = all
                .iter()
                .filter(|(k, ..)| (&from..&to).contains(&k))
                .cloned()
                .collect();
            prop_assert_eq!(
                &scan(RangeScan::new(new_root, from.clone(), Some(to)), &mut nodes),
                &range
            );
            let folder: Vec<_> = all
                .iter()
                .filter(|(k, ..)| k.starts_with(b"folder2\0"))
                .cloned()
                .collect();
            prop_assert_eq!(
                &scan(RangeScan::children(new_root, "folder2"), &mut nodes),
                &folder
            );
            let after: Vec<_> = folder.iter().filter(|(k, ..)| k > &from).cloned().collect();
            prop_assert_eq!(
                &scan(RangeScan::children(new_root, "folder2").after(&from), &mut nodes),
                &after
            );

            // Differences.
            let mut expected = Vec::new();
            for key in edits.keys() {
                match (before.get(key), map.get(key)) {
                    (None, Some(_)) => expected.push(('+', key.clone())),
                    (Some(_), None) => expected.push(('-', key.clone())),
                    (Some(old), Some(new)) if old != new => expected.push(('~', key.clone())),
                    _ => {}
                }
            }
            let found: Vec<_> = diff(root, new_root, &mut nodes)
                .into_iter()
                .map(|change| match change {
                    TreeChange::Added(entry) => ('+', entry.key),
                    TreeChange::Removed(entry) => ('-', entry.key),
                    TreeChange::Changed { new, .. } => ('~', new.key),
                })
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert!(diff(new_root, new_root, &mut nodes).is_empty());
            root = new_root;
        }
        Ok(())
    });
}

/// An edit of a big tree touches the paths of the edits and little else.
#[test]
fn cost_follows_the_change() {
    let keys = keys();
    let mut g = Gen::new(seed("cost_follows_the_change"));
    let mut map = Map::new();
    for i in 0..60_000 {
        map.insert(
            format!("c{}\0\u{2}item{i:06}", i % 7).into_bytes(),
            (1, vec![b'v'; 8]),
        );
    }
    let mut nodes = Nodes::default();
    let root = build(&keys, &map, &mut nodes);
    let total = nodes.stored.len();
    let depth = usize::from(root.unwrap().level) + 1;
    for changes in [0, 1, 5, 50] {
        let mut edits = BTreeMap::new();
        while edits.len() < changes {
            let at = g.below(60_000);
            let key = format!("c{}\0\u{2}item{at:06}", at % 7).into_bytes();
            let edit = if g.chance(3) {
                None
            } else {
                Some((2, vec![b'w'; 8]))
            };
            edits.insert(key, edit);
        }
        nodes.read = 0;
        let (new, stats) = edit(&keys, root, &edits, &mut nodes, &mut g);
        let bound = changes * (depth + 3);
        assert!(
            stats.loaded as usize <= bound,
            "{changes} changes loaded {} of {total} nodes",
            stats.loaded
        );
        assert!(
            stats.emitted as usize <= bound,
            "{changes} changes wrote {}",
            stats.emitted
        );
        assert!(nodes.read <= bound, "{changes} changes read {}", nodes.read);
        nodes.read = 0;
        let found = diff(root, new, &mut nodes);
        assert_eq!(found.len(), changes);
        assert!(
            nodes.read <= 3 * bound,
            "a difference of {changes} read {} nodes",
            nodes.read
        );
    }
    nodes.read = 0;
    assert_eq!(
        scan(
            RangeScan::all(root)
                .after(b"c3\0\x02item000002")
                .until(b"c3\0\x02item000004".to_vec()),
            &mut nodes
        )
        .len(),
        1
    );
    assert!(nodes.read <= depth + 1);
}

/// Edits and entries out of order are refused, not silently misplaced.
#[test]
fn order_is_checked() {
    let keys = keys();
    let mut builder = TreeBuilder::new(&keys);
    builder.push(b"b", 0, b"").unwrap();
    assert!(builder.push(b"b", 0, b"").is_err());
    assert!(builder.push(b"a", 0, b"").is_err());
    let mut editor = TreeEditor::new(&keys, None);
    editor.push(b"b".to_vec(), Edit::Delete).unwrap();
    assert!(editor.push(b"a".to_vec(), Edit::Delete).is_err());
    editor.end_edits();
    assert!(editor.push(b"c".to_vec(), Edit::Delete).is_err());
    assert!(builder.push(b"c", 0, &vec![0; (1 << 20) + 1]).is_err());
    assert!(builder.push(&vec![b'k'; 3000], 0, b"").is_err());
}

/// A node in the wrong place is refused even though its chunk is authentic.
#[test]
fn a_foreign_node_is_refused() {
    let keys = keys();
    let map = |size: u64, value: &[u8], from: usize| -> Map {
        (from..from + 3)
            .map(|i| (format!("\0\u{2}{i}").into_bytes(), (size, value.to_vec())))
            .collect()
    };
    let mut nodes = Nodes::default();
    let root = build(&keys, &map(1, b"value", 100), &mut nodes).unwrap();
    let scan_with = |other: Map, root: TreeRoot| {
        let mut nodes = Nodes::default();
        let other = build(&keys, &other, &mut nodes).unwrap();
        let mut scan = RangeScan::all(Some(root));
        assert_eq!(scan.step().unwrap(), ScanStep::Need(root.chunk));
        scan.supply(&root.chunk.id, nodes.stored[&other.chunk.id].clone());
        scan.step()
    };
    assert!(scan_with(map(1, b"value", 100), root).is_ok());
    assert!(scan_with(map(2, b"value", 100), root).is_err(), "other sizes");
    assert!(scan_with(map(1, b"values", 100), root).is_err(), "another length");
    let mut fewer = map(1, b"value", 100);
    fewer.pop_first();
    assert!(scan_with(fewer, root).is_err(), "fewer entries");
    assert!(
        scan_with(map(1, b"value", 100), TreeRoot { level: 1, ..root }).is_err(),
        "another level"
    );
}

/// The hard case of shrinking: what is left is one subtree whose top node has a single child.
#[test]
fn a_lone_chain_collapses() {
    let keys = keys();
    // A first key that closes a leaf and the node above it.
    let first = (0..)
        .map(|i| format!("\0\u{2}a{i:08}").into_bytes())
        .find(|k| keys.boundary(k).trailing_zeros() >= 12);
    let first = first.unwrap();
    let mut map = Map::from([(first.clone(), (1, vec![1]))]);
    map.extend((0..5000).map(|i| (format!("\0\u{2}b{i:08}").into_bytes(), (1, vec![2]))));
    let mut nodes = Nodes::default();
    let root = build(&keys, &map, &mut nodes);
    assert!(root.unwrap().level >= 2);
    let edits = map
        .keys()
        .filter(|key| **key != first)
        .map(|key| (key.clone(), None))
        .collect();
    let (left, _) = edit(&keys, root, &edits, &mut nodes, &mut Gen::new(1));
    map.retain(|key, _| *key == first);
    assert_eq!(left, build(&keys, &map, &mut Nodes::default()));
    assert_eq!(left.unwrap().level, 0);
}

/// Values that weigh much close nodes early, so that a node always fits a chunk.
#[test]
fn heavy_values_make_small_nodes() {
    let keys = keys();
    let map: Map = (0..300)
        .map(|i| (format!("\0\u{2}{i:04}").into_bytes(), (1, vec![7; 1 << 20])))
        .collect();
    let mut nodes = Nodes::default();
    let root = build(&keys, &map, &mut nodes);
    assert!(nodes.stored.values().all(|bytes| bytes.len() < 3 << 20));
    assert_eq!(scan(RangeScan::all(root), &mut nodes).len(), 300);
    let mut g = Gen::new(1);
    let edits = BTreeMap::from([
        (b"\0\x020100".to_vec(), None),
        (b"\0\x020200x".to_vec(), Some((1, vec![1]))),
    ]);
    let (edited, _) = edit(&keys, root, &edits, &mut nodes, &mut g);
    let mut after = map;
    after.remove(b"\0\x020100".as_slice());
    after.insert(b"\0\x020200x".to_vec(), (1, vec![1]));
    assert_eq!(edited, build(&keys, &after, &mut Nodes::default()));
}
