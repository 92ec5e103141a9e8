//! Every record comes back as it was written, and only one way to write it exists.

use nakivo_repo_format::index::{IndexSegment, IndexedPack};
use nakivo_repo_format::log::{Checkpoint, CommitRecord};
use nakivo_repo_format::manifest::{decode_ledger, encode_ledger};
use nakivo_repo_format::pack::{BlockEntry, BlockRole, ChunkEntry, Directory};
use nakivo_repo_format::record::{decode_segments, encode_segments};
use nakivo_repo_format::sequence::SequenceReader;
use nakivo_repo_format::tree::{Edit, TreeEdit, decode_edits, encode_edits};
use nakivo_repo_format::*;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq};

use crate::fixtures::{Gen, codec, keys, property};

pub(crate) fn blocks(g: &mut Gen) -> Vec<BlockEntry> {
    let mut offset = 64;
    (0..g.below(8))
        .map(|_| {
            let chunks: Vec<ChunkEntry> = (0..1 + g.below(4))
                .map(|_| ChunkEntry {
                    id: ChunkId::from_bytes(g.array()),
                    length: g.below(1 << 20) as u32,
                })
                .collect();
            let plain: u32 = chunks.iter().map(|c| c.length).sum();
            let stored_length = 17 + g.below(plain as usize + 1) as u32;
            let role = BlockRole::from_code(1 + g.below(3) as u8).unwrap();
            let entry = BlockEntry {
                offset,
                stored_length,
                role,
                chunks,
            };
            offset += stored_length;
            entry
        })
        .collect()
}

#[test]
fn commits_and_checkpoints() {
    let keys = keys();
    property("commits_and_checkpoints", 300, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let mut codec = codec();
        let commit = g.commit();
        let (hash, bytes) = commit.seal(&keys, &mut codec).unwrap();
        prop_assert_eq!(
            CommitRecord::open(&keys, &mut codec, commit.seq, &bytes).unwrap(),
            (hash, commit.clone())
        );
        prop_assert_eq!(hash, CommitHash::of(&bytes));
        // Deterministic: the same record is the same object.
        prop_assert_eq!(commit.seal(&keys, &mut codec).unwrap().1, bytes);
        let checkpoint = g.checkpoint();
        let bytes = checkpoint.seal(&keys, &mut codec).unwrap();
        prop_assert_eq!(
            Checkpoint::open(&keys, &mut codec, checkpoint.seq, &bytes).unwrap(),
            checkpoint
        );
        Ok(())
    });
}

#[test]
fn every_operation() {
    let keys = keys();
    for tag in 1..=10 {
        for seed in 0..20 {
            let mut g = Gen::new(seed);
            let mut commit = g.commit();
            commit.operations = vec![g.operation(tag)];
            let mut codec = codec();
            let (_, bytes) = commit.seal(&keys, &mut codec).unwrap();
            assert_eq!(
                CommitRecord::open(&keys, &mut codec, commit.seq, &bytes)
                    .unwrap()
                    .1,
                commit
            );
        }
    }
}

#[test]
fn item_records() {
    property("item_records", 1000, any::<u64>(), |seed| {
        let record = Gen::new(seed).item();
        let bytes = record.encode().unwrap();
        prop_assert_eq!(&ItemRecord::decode(&bytes).unwrap(), &record);
        let key = record.key().unwrap();
        prop_assert_eq!(&ItemKey::from_bytes(&key.to_bytes()).unwrap(), &key);
        // Every shorter piece is refused.
        for end in 0..bytes.len() {
            prop_assert!(ItemRecord::decode(&bytes[..end]).is_err());
        }
        Ok(())
    });
}

#[test]
fn directories_and_index_segments() {
    let keys = keys();
    property("directories_and_index_segments", 200, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let mut codec = codec();
        let directory = Directory {
            blocks: blocks(&mut g),
        };
        prop_assert_eq!(
            &Directory::decode(&directory.encode().unwrap()).unwrap(),
            &directory
        );
        let packs = (0..g.below(4))
            .map(|_| IndexedPack {
                id: PackId::from_bytes(g.array()),
                size: g.number(),
                epoch: g.next() as u32,
                blocks: blocks(&mut g),
            })
            .collect();
        let segment = IndexSegment { packs };
        let (id, bytes) = segment.clone().seal(&keys, &mut codec).unwrap();
        prop_assert_eq!(
            IndexSegment::open(&keys, &mut codec, &id, &bytes).unwrap(),
            segment
        );
        Ok(())
    });
}

#[test]
fn sequences_whole_and_in_pieces() {
    property("sequences_whole_and_in_pieces", 300, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let ledger: Vec<_> = (0..g.below(6)).map(|_| g.ledger_entry()).collect();
        let bytes = encode_ledger(&ledger).unwrap();
        prop_assert_eq!(&decode_ledger(&bytes).unwrap(), &ledger);
        let segments: Vec<_> = (0..g.below(6)).map(|_| g.segment()).collect();
        prop_assert_eq!(
            &decode_segments(&encode_segments(&segments).unwrap()).unwrap(),
            &segments
        );
        let edits: Vec<_> = (0..g.below(9))
            .map(|_| {
                let (key_length, value_length) = (g.below(20), g.below(40));
                let edit = if g.chance(3) {
                    Edit::Delete
                } else {
                    Edit::Put {
                        size: g.number(),
                        value: g.bytes(value_length).into(),
                    }
                };
                TreeEdit {
                    key: g.bytes(key_length),
                    edit,
                }
            })
            .collect();
        let bytes = encode_edits(&edits).unwrap();
        prop_assert_eq!(&decode_edits(&bytes).unwrap(), &edits);
        let mut reader = SequenceReader::<TreeEdit>::new("edits");
        let (mut found, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let end = (at + 1 + g.below(7)).min(bytes.len());
            reader.push(&bytes[at..end]);
            at = end;
            while let Some(edit) = reader.next_value().unwrap() {
                found.push(edit);
            }
        }
        prop_assert_eq!(&found, &edits);
        reader.finish().unwrap();
        Ok(())
    });
}

#[test]
fn keys_sort_as_their_bytes() {
    property("keys_sort_as_their_bytes", 2000, any::<(u64, u64)>(), |(a, b)| {
        let key = |seed| {
            let mut g = Gen::new(seed);
            let part = |g: &mut Gen| -> String {
                (0..g.below(4)).map(|_| ['\u{1}', 'a', 'é'][g.below(3)]).collect()
            };
            let kind = if g.chance(2) {
                KeyKind::Item
            } else {
                KeyKind::Container
            };
            ItemKey::new(part(&mut g), kind, format!("x{}", part(&mut g))).unwrap()
        };
        let (a, b) = (key(a), key(b));
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
        Ok(())
    });
}

#[test]
fn bad_ids_are_refused() {
    assert!(ItemKey::item("", "").is_err());
    assert!(ItemKey::item("a\0b", "x").is_err());
    assert!(ItemKey::item("a", "x\0").is_err());
    assert!(ItemKey::item("a", "x".repeat(1025)).is_err());
    assert!(ItemKey::item("a".repeat(1024), "x".repeat(1024)).is_ok());
    assert!(ObjectId::new("").is_err());
    assert!(ObjectId::new("a\n").is_err());
    assert!("00".parse::<PointId>().is_err());
    assert!(
        "AB".repeat(16).parse::<PointId>().is_err(),
        "upper case would give one id two names"
    );
    let id = PointId::from_bytes([0xab; 16]);
    assert_eq!(id.to_string().parse::<PointId>().unwrap(), id);
    assert_eq!(
        serde_json::to_string(&id).unwrap(),
        format!("\"{}\"", "ab".repeat(16))
    );
}

/// A field that a later version adds is ignored; an operation or enum value it adds is not.
#[test]
fn later_versions() {
    let mut g = Gen::new(1);
    let record = g.item();
    let mut bytes = record.encode().unwrap();
    assert_eq!(bytes[0] & 0xe0, 0xa0, "a short map");
    bytes[0] += 1;
    bytes.extend_from_slice(&[0x18, 99, 0x82, 0x01, 0xa1, 0x00, 0x41, 0x00]);
    assert_eq!(ItemRecord::decode(&bytes).unwrap(), record);

    let unknown_kind = [0xa4, 0x00, 0x18, 77, 0x01, 0x61, b'i', 0x02, 0x60, 0x03, 0x60];
    assert!(matches!(
        ItemRecord::decode(&unknown_kind),
        Err(FormatError::UnsupportedFeature { .. })
    ));
}
