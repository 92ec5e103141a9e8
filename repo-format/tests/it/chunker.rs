//! The chunker: the same cuts however it is fed, within limits, and local.

use std::collections::HashSet;

use nakivo_repo_format::split::{Chunker, ChunkerParams};
use nakivo_repo_format::{KeySet, MasterKey};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prop_assert_eq;

use crate::fixtures::{Gen, keys, property, repository, seed};

const SMALL: ChunkerParams = ChunkerParams {
    min: 256,
    average: 1024,
    max: 4096,
};

pub(crate) fn cuts(
    keys: &KeySet,
    params: ChunkerParams,
    data: &[u8],
    feed: impl Fn(usize) -> usize,
) -> Vec<usize> {
    let mut chunker = Chunker::with_params(keys, params);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let end = (at + feed(at).max(1)).min(data.len());
        let mut slice = &data[at..end];
        while let Some(cut) = chunker.next_cut(slice) {
            at += cut;
            found.push(at);
            slice = &slice[cut..];
        }
        at = end;
    }
    if found.last() != Some(&data.len()) {
        found.push(data.len());
    }
    found
}

#[test]
fn cuts_do_not_depend_on_the_feed() {
    let keys = keys();
    let strategy = (any::<u64>(), 1usize..60_000, vec(1usize..5000, 1..20));
    property(
        "cuts_do_not_depend_on_the_feed",
        60,
        strategy,
        |(seed, length, sizes)| {
            let data = Gen::new(seed).bytes(length);
            let whole = cuts(&keys, SMALL, &data, |_| length);
            prop_assert_eq!(&whole, &cuts(&keys, SMALL, &data, |at| sizes[at % sizes.len()]));
            prop_assert_eq!(&whole, &cuts(&keys, SMALL, &data, |_| 1));
            Ok(())
        },
    );
}

#[test]
fn lengths_are_within_limits_and_near_the_average() {
    let keys = keys();
    let data = Gen::new(seed("lengths")).bytes(4 << 20);
    let cuts = cuts(&keys, SMALL, &data, |_| 1 << 16);
    let lengths: Vec<usize> = std::iter::once(&0)
        .chain(&cuts)
        .zip(&cuts)
        .map(|(begin, end)| end - begin)
        .collect();
    for length in &lengths[..lengths.len() - 1] {
        assert!((SMALL.min + 1..=SMALL.max).contains(length), "{length}");
    }
    let average = data.len() / lengths.len();
    assert!(
        (SMALL.average * 3 / 4..SMALL.average * 3 / 2).contains(&average),
        "{average}"
    );
    // Nothing to cut at: only the maximum.
    let zeros = vec![0; 3 * SMALL.max + 5];
    let found = self::cuts(&keys, SMALL, &zeros, |_| 777);
    assert!(found.len() <= 14);
}

/// A change spoils the chunks around it and no others.
#[test]
fn changes_stay_local() {
    let keys = keys();
    let mut g = Gen::new(seed("changes_stay_local"));
    let ids = |data: &[u8]| -> Vec<_> {
        let mut from = 0;
        cuts(&keys, SMALL, data, |_| data.len())
            .into_iter()
            .map(|to| keys.chunk_id(&data[std::mem::replace(&mut from, to)..to]))
            .collect()
    };
    let data = g.bytes(1 << 20);
    let before: HashSet<_> = ids(&data).into_iter().collect();
    let mut worst = 0;
    for _ in 0..20 {
        let at = g.below(data.len());
        let mut changed = data.clone();
        changed.splice(at..at, g.bytes(7));
        let after = ids(&changed);
        worst = worst.max(after.iter().filter(|id| !before.contains(id)).count());
    }
    assert!(worst <= 12, "{worst} chunks changed by seven bytes");
}

#[test]
fn another_key_cuts_elsewhere() {
    let data = Gen::new(1).bytes(100_000);
    let other = KeySet::derive(&MasterKey::from_random([9; 32]), 0, &repository());
    let (a, b) = (
        cuts(&keys(), SMALL, &data, |_| 4096),
        cuts(&other, SMALL, &data, |_| 4096),
    );
    let common = a.iter().filter(|cut| b.contains(cut)).count();
    assert!(common < 5, "{common} of {} cuts in common", a.len());
}
