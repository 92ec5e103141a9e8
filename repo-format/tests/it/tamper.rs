//! Any single flipped bit of a stored object is noticed; so is any truncation, any extension, any swap.

use nakivo_repo_format::index::{IndexSegment, IndexedPack};
use nakivo_repo_format::log::{Checkpoint, CommitRecord};
use nakivo_repo_format::pack::verify_pack;
use nakivo_repo_format::*;

use crate::fixtures::{Gen, codec, keys, repository, seed};
use crate::keyslot::slot;

/// Runs `accepts` on every damaged version of `bytes`; it must always say no.
fn every_damage(what: &str, bytes: &[u8], mut accepts: impl FnMut(&[u8]) -> bool) {
    assert!(accepts(bytes), "{what}: the undamaged object");
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            assert!(!accepts(&damaged), "{what}: byte {at} bit {bit}");
            damaged[at] ^= 1 << bit;
        }
    }
    for end in 0..bytes.len() {
        assert!(!accepts(&bytes[..end]), "{what}: truncated to {end}");
    }
    for extra in [0, b'\n', b'x', 0xff] {
        damaged.push(extra);
        // White space after JSON is no damage to what it says.
        assert!(
            !accepts(&damaged) || extra == b'\n',
            "{what}: extended by {extra}"
        );
        damaged.pop();
    }
}

#[test]
fn commit() {
    let (keys, mut codec) = (keys(), codec());
    let mut commit = Gen::new(11).commit();
    commit.operations.truncate(2);
    let (hash, bytes) = commit.seal(&keys, &mut codec).unwrap();
    every_damage("commit", &bytes, |b| {
        CommitRecord::open(&keys, &mut codec, commit.seq, b) == Ok((hash, commit.clone()))
    });
}

#[test]
fn checkpoint() {
    let (keys, mut codec) = (keys(), codec());
    let mut checkpoint = Gen::new(12).checkpoint();
    checkpoint.points.truncate(1);
    let bytes = checkpoint.seal(&keys, &mut codec).unwrap();
    every_damage("checkpoint", &bytes, |b| {
        Checkpoint::open(&keys, &mut codec, checkpoint.seq, b).is_ok()
    });
}

#[test]
fn index_with_and_without_its_id() {
    let (keys, mut codec) = (keys(), codec());
    let (pack, _) = crate::pack::sample(13, Compression::Medium);
    let segment = IndexSegment {
        packs: vec![IndexedPack::from(&pack)],
    };
    let (id, bytes) = segment.seal(&keys, &mut codec).unwrap();
    every_damage("index", &bytes, |b| {
        IndexSegment::open(&keys, &mut codec, &id, b).is_ok()
    });
    // Even when the name is computed from the damaged bytes, the seal notices.
    every_damage("index", &bytes, |b| {
        IndexSegment::open(&keys, &mut codec, &IndexId::of(b), b).is_ok()
    });
}

#[test]
fn pack_with_and_without_its_id() {
    let (keys, mut codec) = (keys(), codec());
    for compression in [Compression::Medium, Compression::Disabled] {
        let (pack, _) = crate::pack::sample(14, compression);
        let bytes = pack.to_vec();
        every_damage("pack", &bytes, |b| {
            verify_pack(&keys, &mut codec, &pack.id, b).is_ok()
        });
        every_damage("pack", &bytes, |b| {
            verify_pack(&keys, &mut codec, &PackId::of(b), b).is_ok()
        });
    }
}

#[test]
fn key_slot() {
    let slot = slot();
    every_damage("key slot", slot.to_bytes(), |b| KeySlot::parse(b).is_ok());
    let plain = KeySlot::plain(&crate::keyslot::rotated(), &repository(), "2026", "").unwrap();
    every_damage("plain key slot", plain.to_bytes(), |b| KeySlot::parse(b).is_ok());
}

#[test]
fn format_json() {
    let config = RepositoryConfig::new(repository(), "2026-01-02T03:04:05Z");
    let bytes = config.to_bytes().unwrap();
    assert_eq!(RepositoryConfig::parse(&bytes).unwrap(), config);
    every_damage("format.json", &bytes, |b| RepositoryConfig::parse(b).is_ok());
}

#[test]
fn newer_repositories_are_told_apart_from_damaged_ones() {
    let text = String::from_utf8(RepositoryConfig::new(repository(), "2026").to_bytes().unwrap()).unwrap();
    let forge = |changed: String| {
        let at = changed.find("\"check\":\"").unwrap();
        let without = format!("{}{}", &changed[..at], &changed[at + 9 + 64 + 2..]);
        let check = blake3::hash(without.as_bytes()).to_hex();
        format!("{}\"check\":\"{check}\",{}", &without[..at], &without[at..])
    };
    let parse = |text: String| RepositoryConfig::parse(text.as_bytes());
    assert!(parse(forge(text.clone())).is_ok());
    assert_eq!(
        parse(forge(text.replace("\"version\":1", "\"version\":2"))),
        Err(FormatError::UnsupportedVersion {
            what: "format.json",
            found: 2,
            supported: 1
        })
    );
    assert!(matches!(
        parse(forge(text.replace(
            "\"incompatible_features\":[]",
            "\"incompatible_features\":[\"x\"]"
        ))),
        Err(FormatError::UnsupportedFeature { .. })
    ));
    for (known, newer) in [
        ("\"medium\"", "\"tiny\""),
        ("\"conditional-create\"", "\"quorum\""),
    ] {
        assert!(text.contains(known));
        assert!(
            matches!(
                parse(forge(text.replace(known, newer))),
                Err(FormatError::UnsupportedFeature { .. })
            ),
            "{newer} is newer, not damaged"
        );
        assert!(matches!(
            parse(forge(text.replace(known, "7"))),
            Err(FormatError::Corrupt { .. })
        ));
    }
    let known = text.replace("\"compatible_features\":[]", "\"compatible_features\":[\"y\"]");
    let parsed = parse(forge(known.replace("\"version\":1", "\"version\":1,\"zz\":1")));
    assert_eq!(parsed.unwrap().compatible_features, ["y"]);
}

/// An object under another name, or of another kind, is refused although it is authentic.
#[test]
fn swaps() {
    let (keys, mut codec) = (keys(), codec());
    let mut g = Gen::new(15);
    let (mut a, mut b) = (g.commit(), g.commit());
    (a.seq, b.seq) = (7, 8);
    let (_, a_bytes) = a.seal(&keys, &mut codec).unwrap();
    let (_, b_bytes) = b.seal(&keys, &mut codec).unwrap();
    assert!(matches!(
        CommitRecord::open(&keys, &mut codec, 8, &a_bytes),
        Err(FormatError::IdMismatch { .. })
    ));
    assert!(matches!(
        CommitRecord::open(&keys, &mut codec, 7, &b_bytes),
        Err(FormatError::IdMismatch { .. })
    ));
    assert!(Checkpoint::open(&keys, &mut codec, 7, &a_bytes).is_err());
    // The header of one with the body of the other.
    let spliced = [&a_bytes[..64], &b_bytes[64..]].concat();
    assert!(CommitRecord::open(&keys, &mut codec, 7, &spliced).is_err());

    let (pack, _) = crate::pack::sample(1, Compression::Medium);
    let (other, _) = crate::pack::sample(2, Compression::Medium);
    assert!(verify_pack(&keys, &mut codec, &pack.id, &other.to_vec()).is_err());
    let segment = |pack| IndexSegment {
        packs: vec![IndexedPack::from(pack)],
    };
    let (id, _) = segment(&pack).seal(&keys, &mut codec).unwrap();
    let (_, other) = segment(&other).seal(&keys, &mut codec).unwrap();
    assert!(IndexSegment::open(&keys, &mut codec, &id, &other).is_err());
}

/// Random damage of several bytes at once, and splices of two objects.
#[test]
fn random_damage() {
    let (keys, mut codec) = (keys(), codec());
    let mut g = Gen::new(seed("random_damage"));
    let (pack, _) = crate::pack::sample(21, Compression::Medium);
    let (other, _) = crate::pack::sample(22, Compression::Medium);
    let (bytes, other) = (pack.to_vec(), other.to_vec());
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        match g.below(3) {
            0 => {
                for _ in 0..1 + g.below(9) {
                    let at = g.below(damaged.len());
                    damaged[at] = g.next() as u8;
                }
            }
            1 => {
                let (at, from) = (g.below(damaged.len()), g.below(other.len()));
                damaged.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let (a, b) = (g.below(damaged.len()), g.below(damaged.len()));
                damaged.drain(a.min(b)..a.max(b));
            }
        }
        if damaged != bytes && damaged != other {
            assert!(verify_pack(&keys, &mut codec, &PackId::of(&damaged), &damaged).is_err());
        }
    }
}
