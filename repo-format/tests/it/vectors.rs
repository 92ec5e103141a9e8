//! Golden vectors: today's code reads what version 1 wrote, and writes it identically.
//!
//! Files under `tests/vectors/v1` are append-only. A missing file is written when `NAKIVO_WRITE_VECTORS` is set;
//! an existing one is never touched.

use std::path::PathBuf;

use bytes::Bytes;
use nakivo_repo_format::ids::WriterId;
use nakivo_repo_format::index::{IndexSegment, IndexedPack};
use nakivo_repo_format::log::{Checkpoint, CommitRecord, IndexRef, Operation};
use nakivo_repo_format::manifest::{
    Cause, LedgerEntry, LedgerKind, Outcome, PointCounts, Protection, decode_ledger, encode_ledger,
};
use nakivo_repo_format::pack::{BlockRole, FinishedPack, PackWriter, open_block, seal_block, verify_pack};
use nakivo_repo_format::record::{decode_segments, encode_segments};
use nakivo_repo_format::split::{ChunkerParams, ContentSplitter, Encoding, LineEnd, SplitMode};
use nakivo_repo_format::tree::{Edit, Node, TreeEdit, decode_edits, encode_edits};
use nakivo_repo_format::*;

use crate::fixtures::{Gen, codec, keys, master, repository};
use crate::splitter::{Store, join, split_with};
use crate::tree::{Nodes, build};

/// Returns the stored vector, and checks that today's code writes it identically.
fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/v1")
        .join(name);
    if !path.exists() && std::env::var_os("NAKIVO_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, written).unwrap();
    }
    let stored = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(stored == written, "{name} would be written differently today");
    stored
}

/// Compressed bytes depend on the zstd release, so vectors that must be written identically are not compressed.
fn stored_codec() -> Codec {
    Codec::new(Compression::Disabled).unwrap()
}

fn pack(codec: &mut Codec) -> FinishedPack {
    let keys = keys();
    let mut writer = PackWriter::new(&keys);
    let texts: [&[u8]; 4] = [b"the first chunk, alone in its block", b"second", b"third", b""];
    let chunk = |text: &'static [u8]| (keys.chunk_id(text), text);
    let texts = texts.map(|t| chunk(Box::leak(t.to_vec().into_boxed_slice())));
    writer
        .append(seal_block(&keys, codec, BlockRole::Data, &texts[..1]).unwrap())
        .unwrap();
    writer
        .append(seal_block(&keys, codec, BlockRole::Tree, &texts[1..]).unwrap())
        .unwrap();
    writer.finish(codec).unwrap()
}

fn object() -> ObjectRecord {
    ObjectRecord {
        id: ObjectId::new("m365/mailbox/4711").unwrap(),
        kind: ObjectKind::Mailbox,
        name: "Ada".into(),
        address: Some("ada@example.org".into()),
        source: "m365".into(),
        native_id: "4711".into(),
        account: Some("contoso".into()),
    }
}

fn chunk(byte: u8, length: u32) -> ChunkRef {
    ChunkRef {
        id: ChunkId::from_bytes([byte; 32]),
        length,
    }
}

fn manifest() -> Manifest {
    Manifest {
        id: PointId::from_bytes([1; 16]),
        object: object(),
        run: RunId::from_bytes([2; 16]),
        base: Some(PointId::from_bytes([3; 16])),
        started_ms: 1_700_000_000_000,
        finished_ms: 1_700_000_060_000,
        root: Some(tree::TreeRoot {
            chunk: chunk(4, 500),
            level: 1,
            entries: 100,
            bytes: 12_345,
        }),
        outcome: Outcome::Partial,
        cursor: Some(Blob::Inline(b"delta link".to_vec())),
        counts: PointCounts {
            items: 100,
            containers: 5,
            bytes: 12_345,
            added: 1,
            changed: 2,
            removed: 3,
            unchanged: 97,
            skipped: 4,
            failed: 5,
            warnings: 6,
        },
        bytes_read: 1000,
        bytes_stored: 500,
        requests: 42,
        ledger: Some(Blob::from_chunks(vec![chunk(5, 5000), chunk(6, 6)])),
        software: "nakivo 0.1.0".into(),
        job: Some("nightly".into()),
        protection: Protection::Until(1_800_000_000_000),
        description: Some("before the move".into()),
    }
}

fn progress() -> RunProgress {
    RunProgress {
        run: RunId::from_bytes([7; 16]),
        object: ObjectId::new("m365/drive/1").unwrap(),
        base: None,
        started_ms: -1,
        spills: vec![Blob::from_chunks(vec![chunk(8, 88)])],
        state: Some(Blob::Inline(vec![0, 1, 2])),
        bytes_read: 10,
        bytes_stored: 20,
    }
}

fn operations() -> Vec<Operation> {
    let segment = IndexRef {
        id: IndexId::from_bytes([10; 32]),
        size: 1000,
        packs: 2,
        chunks: 300,
    };
    let packs = vec![PackId::from_bytes([11; 32])];
    vec![
        Operation::AddIndex {
            segments: vec![segment],
        },
        Operation::AddPoint {
            manifest: Box::new(manifest()),
        },
        Operation::Progress {
            progress: Box::new(progress()),
        },
        Operation::RemovePoints {
            points: vec![PointId::from_bytes([12; 16])],
            reason: "retention".into(),
        },
        Operation::EditPoint {
            point: PointId::from_bytes([13; 16]),
            protection: Protection::Forever,
            description: None,
        },
        Operation::DropProgress {
            run: RunId::from_bytes([14; 16]),
        },
        Operation::ReplaceIndex {
            add: vec![segment],
            remove: vec![IndexId::from_bytes([15; 32])],
        },
        Operation::Tombstone { packs: packs.clone() },
        Operation::RemovedPacks { packs: packs.clone() },
        Operation::Revive { packs },
    ]
}

fn commit() -> CommitRecord {
    CommitRecord {
        seq: 2,
        previous: CommitHash::from_bytes([9; 32]),
        writer: WriterId::from_bytes([16; 16]),
        time_ms: 1_700_000_061_000,
        software: "nakivo 0.1.0".into(),
        operations: operations(),
        locked_ms: None,
    }
}

fn item() -> ItemRecord {
    let mut record = ItemRecord::new(ItemKind::Message, "inbox", "AAMk1", "Grüße");
    record.change_key = Some("CQ1".into());
    record.size = 5000;
    record.created_ms = Some(1);
    record.modified_ms = Some(-2);
    record.received_ms = Some(1_700_000_000_000);
    record.sent_ms = Some(1_699_999_999_000);
    record.item_type = Some("IPM.Note".into());
    record.properties.insert("from".into(), "bob@example.org".into());
    record.properties.insert("is_read".into(), true.into());
    record.properties.insert("importance".into(), Value::Integer(-1));
    record
        .properties
        .insert("to".into(), vec!["ada@example.org".to_owned()].into());
    let base64 = Encoding::Base64 {
        line_length: 76,
        eol: LineEnd::Crlf,
        last_line_eol: true,
    };
    record.parts = vec![
        ContentPart {
            name: "mime".into(),
            media_type: Some("message/rfc822".into()),
            size: 4100,
            hash: ContentHash::from_bytes([17; 32]),
            segments: SegmentList::Direct(vec![
                Segment {
                    encoding: Encoding::Raw,
                    length: 3,
                    data: SegmentData::Inline(b"abc".to_vec()),
                },
                Segment {
                    encoding: base64,
                    length: 4097,
                    data: SegmentData::Chunks(vec![chunk(18, 2995)]),
                },
            ]),
            attributes: [("charset".to_owned(), "utf-8".to_owned())].into(),
        },
        ContentPart {
            name: "content".into(),
            media_type: None,
            size: 1 << 40,
            hash: ContentHash::from_bytes([19; 32]),
            segments: SegmentList::Indirect(Blob::from_chunks(vec![chunk(20, 1 << 20)])),
            attributes: Default::default(),
        },
    ];
    record
}

#[test]
fn header() {
    let header = keys().header(ObjectType::Commit, 0x0102_0304_0506_0708);
    let bytes = golden("header.bin", &header.encode());
    assert_eq!(ObjectHeader::decode(&bytes).unwrap(), header);
}

#[test]
fn block() {
    let (keys, mut codec) = (keys(), stored_codec());
    let pack = pack(&mut codec);
    let entry = &pack.directory.blocks[1];
    let stored = &pack.to_vec()[entry.range().start as usize..entry.range().end as usize];
    let bytes = golden("block.bin", stored);
    let header = keys.header(ObjectType::Pack, 0);
    assert_eq!(
        open_block(&keys, &mut codec, &header, entry, &bytes).unwrap(),
        b"secondthird"
    );
}

#[test]
fn packs() {
    let (keys, mut codec) = (keys(), stored_codec());
    let pack = pack(&mut codec);
    let bytes = golden("pack.bin", &pack.to_vec());
    assert_eq!(
        verify_pack(&keys, &mut codec, &pack.id, &bytes).unwrap(),
        pack.directory
    );
}

#[test]
fn index_segment() {
    let (keys, mut codec) = (keys(), stored_codec());
    let segment = IndexSegment {
        packs: vec![IndexedPack::from(&pack(&mut codec))],
    };
    let (id, written) = segment.clone().seal(&keys, &mut codec).unwrap();
    let bytes = golden("index.bin", &written);
    assert_eq!(
        IndexSegment::open(&keys, &mut codec, &id, &bytes).unwrap(),
        segment
    );
}

#[test]
fn commits() {
    let (keys, mut codec) = (keys(), stored_codec());
    let (hash, written) = commit().seal(&keys, &mut codec).unwrap();
    let bytes = golden("commit.bin", &written);
    assert_eq!(
        CommitRecord::open(&keys, &mut codec, 2, &bytes).unwrap(),
        (hash, commit())
    );
}

#[test]
fn checkpoints() {
    let (keys, mut codec) = (keys(), stored_codec());
    let checkpoint = Checkpoint {
        seq: 2,
        commit_hash: CommitHash::from_bytes([21; 32]),
        points: vec![manifest()],
        removed_points: vec![log::RemovedPoint {
            id: PointId::from_bytes([22; 16]),
            seq: 1,
        }],
        segments: vec![IndexRef {
            id: IndexId::from_bytes([23; 32]),
            size: 1,
            packs: 1,
            chunks: 1,
        }],
        progress: vec![progress()],
        tombstones: vec![log::TombstonedPack {
            pack: PackId::from_bytes([24; 32]),
            seq: 2,
        }],
        boundary: 1,
        damaged_packs: None,
        damaged_points: None,
        locked_ms: None,
    };
    let bytes = golden("checkpoint.bin", &checkpoint.seal(&keys, &mut codec).unwrap());
    assert_eq!(
        Checkpoint::open(&keys, &mut codec, 2, &bytes).unwrap(),
        checkpoint
    );
}

/// Operation 11, and what of it a checkpoint repeats.
#[test]
fn damage() {
    let (keys, mut codec) = (keys(), stored_codec());
    let packs = vec![
        log::DamagedPack {
            pack: PackId::from_bytes([31; 32]),
            blocks: vec![0, 7],
        },
        log::DamagedPack {
            pack: PackId::from_bytes([32; 32]),
            blocks: Vec::new(),
        },
    ];
    let points = vec![log::PointDamage {
        point: manifest().id,
        lost: 2,
        items: vec![ItemKey::item("inbox", "AAMk1").unwrap()],
        what: "its bytes were changed".into(),
        found_ms: 1_700_000_062_000,
    }];
    let operation = Operation::Damage {
        packs: packs.clone(),
        sound: vec![PackId::from_bytes([33; 32])],
        points: points.clone(),
        whole: vec![PointId::from_bytes([34; 16])],
    };
    let commit = CommitRecord {
        operations: vec![operation],
        ..commit()
    };
    let bytes = golden("commit-damage.bin", &commit.seal(&keys, &mut codec).unwrap().1);
    assert_eq!(
        CommitRecord::open(&keys, &mut codec, 2, &bytes).unwrap().1,
        commit
    );
    let checkpoint = Checkpoint {
        seq: 2,
        commit_hash: CommitHash::from_bytes([21; 32]),
        points: vec![manifest()],
        removed_points: Vec::new(),
        segments: Vec::new(),
        progress: Vec::new(),
        tombstones: Vec::new(),
        boundary: 0,
        damaged_packs: Some(packs),
        damaged_points: Some(points),
        locked_ms: None,
    };
    let bytes = golden(
        "checkpoint-damage.bin",
        &checkpoint.seal(&keys, &mut codec).unwrap(),
    );
    assert_eq!(
        Checkpoint::open(&keys, &mut codec, 2, &bytes).unwrap(),
        checkpoint
    );
}

/// A compressed record: read only, because another zstd release may write other bytes.
#[test]
fn compressed_commit() {
    let (keys, mut codec) = (keys(), codec());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v1/commit-zstd.bin");
    if !path.exists() && std::env::var_os("NAKIVO_WRITE_VECTORS").is_some() {
        std::fs::write(&path, commit().seal(&keys, &mut codec).unwrap().1).unwrap();
    }
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(
        CommitRecord::open(&keys, &mut codec, 2, &bytes).unwrap().1,
        commit()
    );
}

#[test]
fn key_slots() {
    let slot = crate::keyslot::slot();
    let bytes = golden("key-slot.json", slot.to_bytes());
    let opened = KeySlot::parse(&bytes).unwrap();
    let key = opened
        .try_secret(&crate::keyslot::passphrase("correct horse"))
        .unwrap();
    assert_eq!(opened.open(&key).unwrap(), KeyRing::new(master(), 3));
    assert_eq!(opened.id(), slot.id());
    let ring = KeyRing::new(master(), 0);
    let plain = KeySlot::plain(&ring, &repository(), "2026-01-02T03:04:05Z", "in clear").unwrap();
    let bytes = golden("key-slot-plain.json", plain.to_bytes());
    assert_eq!(KeySlot::parse(&bytes).unwrap().open_plain().unwrap(), ring);
}

/// After a rotation: a slot that a recovery key opens, the key as it is printed, and a commit of the new epoch.
#[test]
fn rotated_keys() {
    let key = crate::keyslot::recovery_key();
    let text = golden("recovery-key.txt", format!("{}\n", *key.to_text()).as_bytes());
    let secret = RecoveryKey::parse(std::str::from_utf8(&text).unwrap())
        .unwrap()
        .into();
    let slot = crate::keyslot::key_slot();
    let opened = KeySlot::parse(&golden("key-slot-recovery.json", slot.to_bytes())).unwrap();
    let ring = opened.open(&opened.try_secret(&secret).unwrap()).unwrap();
    assert_eq!(ring, crate::keyslot::rotated());
    let keys = KeySet::of_ring(ring, &repository());
    let mut codec = Codec::new(Compression::Disabled).unwrap();
    let commit = CommitRecord { seq: 8, ..commit() };
    let sealed = commit.seal(&keys, &mut codec).unwrap().1;
    let bytes = golden("commit-epoch-1.bin", &sealed);
    assert_eq!(
        CommitRecord::open(&keys, &mut codec, 8, &bytes).unwrap().1,
        commit
    );
}

#[test]
fn format_json() {
    let config = RepositoryConfig::new(repository(), "2026-01-02T03:04:05Z");
    let bytes = golden("format.json", &config.to_bytes().unwrap());
    assert_eq!(RepositoryConfig::parse(&bytes).unwrap(), config);
}

#[test]
fn records() {
    let bytes = golden("item-record.cbor", &item().encode().unwrap());
    assert_eq!(ItemRecord::decode(&bytes).unwrap(), item());

    let container = ItemRecord::new(ItemKind::Container, "", "inbox", "Inbox");
    let bytes = golden("container-record.cbor", &container.encode().unwrap());
    assert_eq!(ItemRecord::decode(&bytes).unwrap(), container);

    let ledger = [
        LedgerEntry {
            kind: LedgerKind::Failed,
            item: Some(ItemKey::item("inbox", "AAMk1").unwrap()),
            container: None,
            path: "Inbox/Grüße".into(),
            cause: Cause {
                code: "too-large".into(),
                message: "too large".into(),
            },
            retry: true,
        },
        LedgerEntry {
            kind: LedgerKind::Warning,
            item: None,
            container: Some("inbox".into()),
            path: "Inbox".into(),
            cause: Cause {
                code: "renamed".into(),
                message: String::new(),
            },
            retry: false,
        },
    ];
    let bytes = golden("ledger.cborseq", &encode_ledger(&ledger).unwrap());
    assert_eq!(decode_ledger(&bytes).unwrap(), ledger);

    let SegmentList::Direct(segments) = &item().parts[0].segments else {
        panic!("direct")
    };
    let bytes = golden("segments.cborseq", &encode_segments(segments).unwrap());
    assert_eq!(&decode_segments(&bytes).unwrap(), segments);

    let edits = [
        TreeEdit {
            key: b"inbox\0\x02a".to_vec(),
            edit: Edit::Put {
                size: 7,
                value: Bytes::from_static(b"value"),
            },
        },
        TreeEdit {
            key: b"inbox\0\x02b".to_vec(),
            edit: Edit::Delete,
        },
    ];
    let bytes = golden("edits.cborseq", &encode_edits(&edits).unwrap());
    assert_eq!(decode_edits(&bytes).unwrap(), edits);
}

#[test]
fn tree_nodes() {
    let keys = keys();
    let map = (0..500)
        .map(|i| {
            let key = ItemKey::item(format!("folder{}", i % 3), format!("item{i:03}"))
                .unwrap()
                .to_bytes();
            (key, (i, format!("value {i}").into_bytes()))
        })
        .collect();
    let mut nodes = Nodes::default();
    let root = build(&keys, &map, &mut nodes).unwrap();
    assert!(root.level > 0);
    let bytes = golden("tree-root.cbor", &nodes.stored[&root.chunk.id]);
    let Node::Inner(children) = Node::decode(&bytes.into()).unwrap() else {
        panic!("an inner node")
    };
    let mut at = children[0].chunk;
    if children[0].level > 0 {
        let Node::Inner(below) = Node::decode(&nodes.stored[&at.id]).unwrap() else {
            panic!("an inner node")
        };
        at = below[0].chunk;
    }
    let bytes = golden("tree-leaf.cbor", &nodes.stored[&at.id]);
    let Node::Leaf(entries) = Node::decode(&bytes.into()).unwrap() else {
        panic!("a leaf")
    };
    assert_eq!(entries[0].value, b"value 0".as_slice());
    let summary = format!(
        "{} {} {} {}\n",
        root.chunk.id, root.level, root.entries, root.bytes
    );
    golden("tree-root.txt", summary.as_bytes());
}

/// Input: the first 8 MiB of the generator of the README, seed 1; and mail made of it.
#[test]
fn cuts_and_segments() {
    let keys = keys();
    let data = Gen::new(1).bytes(8 << 20);
    let cuts = crate::chunker::cuts(&keys, ChunkerParams::default(), &data, |_| 1 << 20);
    let text: String = cuts.iter().map(|cut| format!("{cut}\n")).collect();
    golden("chunker-cuts.txt", text.as_bytes());

    let mail = golden("mail.eml", &mail(&data[..3001]));
    let mut store = Store::new();
    let segments = split_with(
        &keys,
        ContentSplitter::new(&keys, SplitMode::Mime),
        &mail,
        100,
        &mut store,
    );
    let bytes = golden("mail-segments.cborseq", &encode_segments(&segments).unwrap());
    assert_eq!(join(&decode_segments(&bytes).unwrap(), &store), mail);
}

fn mail(file: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(file);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(76)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "From: ada@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}
