//! The cipher is RFC 5297, the derivations are what the document says.

use aes_siv::KeyInit;
use aes_siv::siv::{Aes128Siv, Aes256Siv};
use nakivo_repo_format::ids::BlockId;
use nakivo_repo_format::*;

use crate::fixtures::{keys, master, repository};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// RFC 5297, appendix A.1: deterministic authenticated encryption.
#[test]
fn rfc_5297_a1() {
    let key = hex("fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff");
    let ad = hex("10111213 14151617 18191a1b 1c1d1e1f 20212223 24252627");
    let sealed = Aes128Siv::new(key.as_slice().try_into().unwrap())
        .encrypt([&ad], &hex("11223344 55667788 99aabbcc ddee"))
        .unwrap();
    assert_eq!(
        sealed,
        hex("85632d07 c6e8f37f 950acd32 0a2ecc93 40c02b96 90c4dc04 daef7f6a fe5c")
    );
}

/// RFC 5297, appendix A.2: several header strings.
#[test]
fn rfc_5297_a2() {
    let key = hex("7f7e7d7c 7b7a7978 77767574 73727170 40414243 44454647 48494a4b 4c4d4e4f");
    let headers = [
        hex("00112233 44556677 8899aabb ccddeeff deaddada deaddada ffeeddcc bbaa9988 77665544 33221100"),
        hex("10203040 50607080 90a0"),
        hex("09f91102 9d74e35b d84156c5 635688c0"),
    ];
    let plain = b"this is some plaintext to encrypt using SIV-AES";
    let sealed = Aes128Siv::new(key.as_slice().try_into().unwrap())
        .encrypt(&headers, plain)
        .unwrap();
    assert_eq!(
        sealed,
        hex(
            "7bdb6e3b 432667eb 06f4d14b ff2fbd0f cb900f2f ddbe4043 26601965 c889bf17
             dba77ceb 094fa663 b7a3f748 ba8af829 ea64ad54 4a272e9c 485b62a3 fd5c0d"
        )
    );
}

/// Keys derived step by step, as the document tells a stranger to.
fn derived(context: &str, epoch: Option<u32>, length: usize) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher
        .update(master().expose_bytes())
        .update(repository().as_bytes());
    if let Some(epoch) = epoch {
        hasher.update(&epoch.to_le_bytes());
    }
    let mut out = vec![0; length];
    hasher.finalize_xof().fill(&mut out);
    out
}

#[test]
fn derivation_is_as_documented() {
    let keys = keys();
    let commitment = derived("nakivo repository v1 commitment", Some(0), 32);
    assert_eq!(keys.commitment().as_slice(), &commitment[..16]);

    let chunk_key: [u8; 32] = derived("nakivo repository v1 chunk-id", None, 32)
        .try_into()
        .unwrap();
    let id = blake3::keyed_hash(&chunk_key, b"hello");
    assert_eq!(keys.chunk_id(b"hello").as_bytes(), id.as_bytes());
    assert_eq!(
        keys.part_hasher()
            .update(b"hel")
            .update(b"lo")
            .finalize()
            .as_bytes(),
        id.as_bytes()
    );

    let gear = derived("nakivo repository v1 gear", None, 2048);
    assert_eq!(keys.gear()[255].to_le_bytes(), gear[2040..]);

    let boundary: [u8; 32] = derived("nakivo repository v1 tree-boundary", None, 32)
        .try_into()
        .unwrap();
    let hash = blake3::keyed_hash(&boundary, b"key");
    assert_eq!(keys.boundary(b"key").to_le_bytes(), hash.as_bytes()[..8]);

    let block: [u8; 32] = derived("nakivo repository v1 block-id", None, 32)
        .try_into()
        .unwrap();
    let (a, b) = (keys.chunk_id(b"a"), keys.chunk_id(b"b"));
    let both = [a.as_bytes().as_slice(), b.as_bytes()].concat();
    assert_eq!(
        keys.block_id([&a, &b]),
        BlockId::from_bytes(*blake3::keyed_hash(&block, &both).as_bytes())
    );
    assert_eq!(keys.block_id([&a]).as_bytes(), a.as_bytes());
}

/// A sealed record can be opened with nothing but RFC 5297, zstd and the document.
#[test]
fn sealing_is_as_documented() {
    let keys = keys();
    let record = log::CommitRecord {
        seq: 1,
        previous: CommitHash::NONE,
        writer: ids::WriterId::from_bytes([1; 16]),
        time_ms: 2,
        software: "x".repeat(300),
        operations: Vec::new(),
        locked_ms: None,
    };
    let (_, bytes) = record.seal(&keys, &mut crate::fixtures::codec()).unwrap();
    let key = derived("nakivo repository v1 seal", Some(0), 64);
    let mut siv = Aes256Siv::new(key.as_slice().try_into().unwrap());
    let payload = siv
        .decrypt([&bytes[..64], b"commit".as_slice()], &bytes[64..])
        .unwrap();
    assert_eq!(payload[0], 1, "zstd");
    let plain = zstd::bulk::decompress(&payload[1..], 10_000).unwrap();
    assert_eq!(plain[..3], [0xa6, 0x00, 0x01], "a map of six, key 0: 1");
}

#[test]
fn rotation_keeps_ids_and_old_objects() {
    let old = keys();
    let new = KeySet::derive(&master(), 1, &repository());
    assert_ne!(old.commitment(), new.commitment());
    assert_eq!(old.chunk_id(b"x"), new.chunk_id(b"x"));
    assert_eq!(old.gear(), new.gear());
    assert_eq!(old.boundary(b"x"), new.boundary(b"x"));
    let mut codec = crate::fixtures::codec();
    let commit = crate::fixtures::Gen::new(5).commit();
    for (writer, reader) in [(&old, &new), (&new, &old)] {
        let (_, bytes) = commit.seal(writer, &mut codec).unwrap();
        assert_eq!(
            log::CommitRecord::open(reader, &mut codec, commit.seq, &bytes)
                .unwrap()
                .1,
            commit
        );
        assert_eq!(
            writer.header(ObjectType::Pack, 0),
            reader
                .header_in_epoch(writer.epoch(), ObjectType::Pack, 0)
                .unwrap()
        );
    }
}

/// An epoch begun by a rotation has keys that nobody derives from what was there before.
#[test]
fn a_new_epoch_has_a_secret_of_its_own() {
    let old = keys();
    let new = KeySet::of_ring(crate::keyslot::rotated(), &repository());
    let guess = KeySet::derive(&master(), 1, &repository());
    assert_ne!(new.commitment(), guess.commitment());
    assert_eq!(old.chunk_id(b"x"), new.chunk_id(b"x"));
    let mut codec = crate::fixtures::codec();
    let mut commit = crate::fixtures::Gen::new(5).commit();
    let mut open = |writer: &KeySet, reader: &KeySet, seq| {
        commit.seq = seq;
        let (_, bytes) = commit.seal(writer, &mut codec).unwrap();
        log::CommitRecord::open(reader, &mut codec, seq, &bytes).map(|_| writer.epoch())
    };
    assert_eq!(open(&new, &new, 7), Ok(1));
    let unknown = FormatError::UnknownEpoch {
        what: "commit",
        epoch: 1,
    };
    assert_eq!(open(&new, &old, 7), Err(unknown.clone()));
    assert_eq!(
        open(&guess, &new, 7),
        Err(FormatError::Authentication {
            what: "key commitment"
        })
    );
    // Commit 7 began the epoch: before it the old keys are right, from there on they are somebody's who was locked out.
    assert_eq!(open(&old, &new, 6), Ok(0));
    for seq in [7, 8, 1000] {
        let ended = FormatError::EndedEpoch {
            what: "commit",
            number: seq,
            epoch: 0,
        };
        assert_eq!(open(&old, &new, seq), Err(ended));
    }
    assert!(matches!(
        new.header_in_epoch(2, ObjectType::Pack, 0),
        Err(FormatError::UnknownEpoch { epoch: 2, .. })
    ));
}

/// Two rotations that compete: what is found in the log decides whose secret the epoch has.
#[test]
fn the_log_decides_between_two_secrets() {
    let ring = nakivo_repo_format::KeyRing::new(master(), 0);
    let (first, _) = ring.begin([1; 32]).unwrap();
    let (second, _) = ring.begin([2; 32]).unwrap();
    let merged = first.merge(&second).unwrap();
    assert_eq!(merged.epochs().len(), 2);
    let reader = KeySet::of_ring(merged, &repository());
    let writer = KeySet::of_ring(second, &repository()).writing_in(1).unwrap();
    let mut codec = crate::fixtures::codec();
    let commit = crate::fixtures::Gen::new(5).commit();
    let (_, bytes) = commit.seal(&writer, &mut codec).unwrap();
    log::CommitRecord::open(&reader, &mut codec, commit.seq, &bytes).unwrap();
    let header = nakivo_repo_format::ObjectHeader::decode(&bytes).unwrap();
    let reader = reader.reached(&header, Some(commit.seq)).unwrap();
    assert_eq!((reader.epoch(), reader.commitment()), (1, writer.commitment()));
    assert_eq!(reader.ring().epochs().len(), 1);
    assert_eq!(reader.ring().floor(commit.seq), 1);
    assert_eq!(reader.ring().merge(&first).unwrap(), *reader.ring());
    assert!(
        first
            .merge(&nakivo_repo_format::KeyRing::new(
                MasterKey::from_random([9; 32]),
                0
            ))
            .is_none()
    );
}

#[test]
fn another_key_or_repository_is_told_apart() {
    let mut codec = crate::fixtures::codec();
    let commit = crate::fixtures::Gen::new(6).commit();
    let (_, bytes) = commit.seal(&keys(), &mut codec).unwrap();
    let open = |keys: &KeySet, codec: &mut Codec| {
        log::CommitRecord::open(keys, codec, commit.seq, &bytes).unwrap_err()
    };
    let other_key = KeySet::derive(&MasterKey::from_random([1; 32]), 0, &repository());
    assert_eq!(
        open(&other_key, &mut codec),
        FormatError::Authentication {
            what: "key commitment"
        }
    );
    let other_repository = KeySet::derive(&master(), 0, &RepositoryId::from_bytes([1; 16]));
    assert!(matches!(
        open(&other_repository, &mut codec),
        FormatError::IdMismatch { .. }
    ));
}

#[test]
fn secrets_do_not_print() {
    let keys = keys();
    let text = format!("{keys:?} {:?} {:?}", master(), Passphrase::new("open sesame"));
    assert!(
        !text.contains("sesame") && !text.contains("01, 02") && text.contains("[redacted]"),
        "{text}"
    );
}

#[test]
fn keys_are_shareable() {
    fn shareable<T: Send + Sync + Clone>() {}
    fn sendable<T: Send>() {}
    shareable::<KeySet>();
    sendable::<Codec>();
}
