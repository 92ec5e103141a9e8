//! Decoders against bytes that lie about lengths and depth: an error, soon, and without much memory.
//!
//! What is sealed cannot lie unless the key leaked; the decoders stand on their own anyway.

use bytes::Bytes;
use nakivo_repo_format::manifest::decode_ledger;
use nakivo_repo_format::object::ObjectHeader;
use nakivo_repo_format::pack::{Directory, PackFooter};
use nakivo_repo_format::record::decode_segments;
use nakivo_repo_format::tree::{Node, decode_edits};
use nakivo_repo_format::*;
use proptest::collection::vec;
use proptest::prelude::any;

use crate::fixtures::{Gen, property};

fn decode_everything(bytes: &[u8]) {
    let _ = ItemRecord::decode(bytes);
    let _ = ItemKey::from_bytes(bytes);
    let _ = Directory::decode(bytes);
    let _ = PackFooter::decode(bytes);
    let _ = ObjectHeader::decode(bytes);
    let _ = Node::decode(&Bytes::copy_from_slice(bytes));
    let _ = decode_ledger(bytes);
    let _ = decode_segments(bytes);
    let _ = decode_edits(bytes);
    let _ = RepositoryConfig::parse(bytes);
    let _ = KeySlot::parse(bytes);
}

#[test]
fn random_bytes() {
    property("random_bytes", 5000, vec(any::<u8>(), 0..200), |bytes| {
        decode_everything(&bytes);
        Ok(())
    });
}

/// Valid records with random bytes changed reach deeper than noise.
#[test]
fn mutated_records() {
    property("mutated_records", 3000, any::<u64>(), |seed| {
        let mut g = Gen::new(seed);
        let mut bytes = g.item().encode().unwrap();
        for _ in 0..1 + g.below(4) {
            let at = g.below(bytes.len());
            bytes[at] = g.next() as u8;
        }
        decode_everything(&bytes);
        Ok(())
    });
}

#[test]
fn huge_lengths() {
    for head in [0x1b, 0x3b, 0x5b, 0x7b, 0x9b, 0xbb] {
        for count in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 32, u64::from(u32::MAX)] {
            let mut bytes = vec![head];
            bytes.extend_from_slice(&count.to_be_bytes());
            decode_everything(&bytes);
            // As a list inside a node, a block and a record.
            for prefix in [
                &[0x82, 0x00][..],
                &[0x82, 0x01],
                &[0x81, 0x83, 0x11, 0x01],
                &[0xa1, 0x0c],
                &[0xa1, 0x0b],
            ] {
                let nested = [prefix, &bytes].concat();
                decode_everything(&nested);
            }
        }
    }
}

#[test]
fn deep_nesting() {
    for opener in [0x81, 0x9f, 0xa1, 0xbf, 0xc1] {
        let bytes = vec![opener; 1_000_000];
        decode_everything(&bytes);
        // Behind an unknown key, where it is skipped.
        let behind = [&[0xa1, 0x18, 99][..], &bytes].concat();
        decode_everything(&behind);
    }
    let json = "[".repeat(60_000);
    decode_everything(json.as_bytes());
    decode_everything(format!("{{\"nakivo\":\"repository\",\"a\":{json}").as_bytes());
}

#[test]
fn nodes_that_lie() {
    let decode = |bytes: &[u8]| Node::decode(&Bytes::copy_from_slice(bytes));
    assert!(decode(&[0x82, 0x00, 0x80]).is_err(), "no entries");
    assert!(decode(&[0x82, 0x18, 33, 0x81]).is_err(), "level above the limit");
    // [0, [[0, "b", 0, ""], [0, "a", 0, ""]]]
    let out_of_order = [
        0x82, 0, 0x82, 0x84, 0, 0x41, b'b', 0, 0x40, 0x84, 0, 0x41, b'a', 0, 0x40,
    ];
    assert!(decode(&out_of_order).is_err());
    let twice = [
        0x82, 0, 0x82, 0x84, 0, 0x41, b'b', 0, 0x40, 0x84, 1, 0x40, 0, 0x40,
    ];
    assert!(decode(&twice).is_err());
    let shared_too_long = [
        0x82, 0, 0x82, 0x84, 0, 0x41, b'a', 0, 0x40, 0x84, 2, 0x41, b'b', 0, 0x40,
    ];
    assert!(decode(&shared_too_long).is_err());
    let good = [
        0x82, 0, 0x82, 0x84, 0, 0x41, b'a', 0, 0x40, 0x84, 1, 0x41, b'b', 0, 0x40,
    ];
    assert!(decode(&good).is_ok());
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(decode(&trailing).is_err());
}
