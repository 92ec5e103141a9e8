//! What each fuzz target does with its input. Compiled by the fuzz crate and by a test of `nakivo-repo-format`, which replays
//! the corpus with the stable compiler.
//!
//! A body must not panic, hang or take much memory whatever it is given; the assertions say what else must hold.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use nakivo_repo_format::index::IndexSegment;
use nakivo_repo_format::log::{Checkpoint, CommitRecord};
use nakivo_repo_format::manifest::{decode_ledger, encode_ledger};
use nakivo_repo_format::pack::{Directory, PackFooter, verify_pack};
use nakivo_repo_format::record::{decode_segments, encode_segments};
use nakivo_repo_format::split::{
    ChunkerParams, ContentSplitter, MimePolicy, SegmentJoiner, SegmentsBuilder, SplitMode, SplitOutput,
};
use nakivo_repo_format::tree::{
    Edit, Node, RangeScan, ScanStep, Step, TreeEditor, TreeRoot, decode_edits, encode_edits,
};
use nakivo_repo_format::{
    ChunkId, ChunkRef, Codec, Compression, IndexId, ItemKey, ItemRecord, KeySet, KeySlot, MasterKey,
    ObjectHeader, PackId, RecoveryKey, RepositoryConfig, RepositoryId, RepositoryState, SegmentData,
};

/// A target: its name, which is that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("checkpoint", checkpoint),
    ("commit", commit),
    ("config", config),
    ("directory", directory),
    ("edits", edits),
    ("item_record", item_record),
    ("key_file", key_file),
    ("key_slot", key_slot),
    ("ledger", ledger),
    ("log", log),
    ("node", node),
    ("payload", payload),
    ("sealed", sealed),
    ("segments", segments),
    ("split", split),
    ("tree", tree),
];

fn keys() -> KeySet {
    let master = MasterKey::from_random(std::array::from_fn(|at| at as u8));
    let repository = RepositoryId::from_bytes(std::array::from_fn(|at| 0xa0 + at as u8));
    KeySet::derive(&master, 0, &repository)
}

/// The plaintext of a checkpoint, and the state it describes.
pub fn checkpoint(data: &[u8]) {
    let Ok(checkpoint) = minicbor::decode::<Checkpoint>(data) else {
        return;
    };
    let boundary = checkpoint.boundary;
    if let Ok(state) = RepositoryState::from_checkpoint(checkpoint) {
        let again =
            RepositoryState::from_checkpoint(state.to_checkpoint(boundary)).expect("its own checkpoint");
        assert_eq!(again, state);
    }
}

/// The plaintext of a commit.
pub fn commit(data: &[u8]) {
    if let Ok(commit) = minicbor::decode::<CommitRecord>(data) {
        let bytes = minicbor::to_vec(&commit).expect("what was decoded");
        let again: CommitRecord = minicbor::decode(&bytes).expect("what was encoded");
        assert_eq!(again, commit);
    }
}

/// `format.json`.
pub fn config(data: &[u8]) {
    if let Ok(config) = RepositoryConfig::parse(data) {
        let bytes = config.to_bytes().expect("what was parsed");
        assert_eq!(
            RepositoryConfig::parse(&bytes).expect("what was written").id,
            config.id
        );
    }
}

/// Header, footer and the plaintext of the directory of a pack.
pub fn directory(data: &[u8]) {
    let _ = ObjectHeader::decode(data);
    let _ = PackFooter::decode(data);
    if let Ok(directory) = Directory::decode(data) {
        let again = directory.encode().expect("what was decoded");
        assert_eq!(Directory::decode(&again).expect("what was encoded"), directory);
    }
}

/// A spilled run of edits.
pub fn edits(data: &[u8]) {
    if let Ok(edits) = decode_edits(data) {
        let again = encode_edits(&edits).expect("what was decoded");
        assert_eq!(decode_edits(&again).expect("what was encoded"), edits);
    }
}

/// An item record and a key of the tree.
pub fn item_record(data: &[u8]) {
    if let Ok(key) = ItemKey::from_bytes(data) {
        assert_eq!(key.to_bytes(), data);
    }
    if let Ok(record) = ItemRecord::decode(data) {
        let again = record.encode().expect("what was decoded");
        assert_eq!(ItemRecord::decode(&again).expect("what was encoded"), record);
    }
}

/// A recovery key as somebody typed it.
pub fn key_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = RecoveryKey::parse(text) {
        let printed = key.to_text();
        let again = RecoveryKey::parse(&printed).expect("what was printed");
        assert_eq!(*again.to_text(), *printed);
    }
}

/// A key slot. What it costs to try a passphrase is checked before anything is tried.
pub fn key_slot(data: &[u8]) {
    if let Ok(slot) = KeySlot::parse(data) {
        let _ = slot.kind();
        let _ = slot.open_plain();
        assert_eq!(
            KeySlot::parse(slot.to_bytes()).expect("what was written").id(),
            slot.id()
        );
    }
}

/// A ledger.
pub fn ledger(data: &[u8]) {
    if let Ok(ledger) = decode_ledger(data) {
        let again = encode_ledger(&ledger).expect("what was decoded");
        assert_eq!(decode_ledger(&again).expect("what was encoded"), ledger);
    }
}

/// Commits, one after the other: whatever a state takes, it can say what it is.
pub fn log(data: &[u8]) {
    let mut state = RepositoryState::new();
    let mut decoder = minicbor::Decoder::new(data);
    while decoder.position() < data.len() {
        let Ok(mut commit) = decoder.decode::<CommitRecord>() else {
            break;
        };
        // Numbers and hashes are what a chance input never has; what commits say is what is looked at.
        (commit.seq, commit.previous) = (state.seq() + 1, state.head());
        let hash = nakivo_repo_format::CommitHash::of(&commit.seq.to_le_bytes());
        let before = state.clone();
        let fits = state.check(&commit).is_ok();
        assert_eq!(state.apply(hash, &commit).is_ok(), fits);
        assert!(fits || state == before, "all or nothing");
    }
    let again = RepositoryState::from_checkpoint(state.to_checkpoint(0)).expect("a state that was applied");
    assert_eq!(again, state);
}

/// A node of the tree.
pub fn node(data: &[u8]) {
    let _ = Node::decode(&Bytes::copy_from_slice(data));
}

/// Whole objects, as somebody may have changed them who has no key.
pub fn sealed(data: &[u8]) {
    let keys = keys();
    let mut codec = Codec::new(Compression::Fast).expect("a codec");
    assert!(CommitRecord::open(&keys, &mut codec, 1, data).is_err());
    assert!(Checkpoint::open(&keys, &mut codec, 1, data).is_err());
    let _ = IndexSegment::open(&keys, &mut codec, &IndexId::of(data), data);
    let _ = verify_pack(&keys, &mut codec, &PackId::of(data), data);
}

/// A payload behind a valid seal: the first byte says how much plaintext is allowed, the others are the method and the data.
pub fn payload(data: &[u8]) {
    let Some((limit, payload)) = data.split_first() else {
        return;
    };
    let limit = usize::from(*limit) * 256;
    let mut codec = Codec::new(Compression::Fast).expect("a codec");
    let first = codec.unpack(payload, limit);
    if let Ok(plain) = &first {
        assert!(plain.len() <= limit, "{} bytes of at most {limit}", plain.len());
        assert!(plain.capacity() <= limit + 64, "room for {}", plain.capacity());
    }
    // Whatever came before: nothing of it stays in the codec.
    let again = codec.unpack(payload, limit);
    assert_eq!(again.ok(), first.ok());
}

/// A segment list.
pub fn segments(data: &[u8]) {
    if let Ok(segments) = decode_segments(data) {
        let again = encode_segments(&segments).expect("what was decoded");
        assert_eq!(decode_segments(&again).expect("what was encoded"), segments);
    }
}

/// Splitting and joining is the identity, whatever the bytes and in whatever pieces they come. The first byte says how.
pub fn split(data: &[u8]) {
    let Some((how, content)) = data.split_first() else {
        return;
    };
    let keys = keys();
    let mode = if how % 2 == 0 {
        SplitMode::Mime
    } else {
        SplitMode::Plain
    };
    let mut splitter = match how / 2 % 2 {
        0 => ContentSplitter::new(&keys, mode),
        _ => {
            let chunks = ChunkerParams {
                min: 256,
                average: 1024,
                max: 4096,
            };
            ContentSplitter::with_policy(&keys, mode, chunks, MimePolicy::default(), 64)
        }
    };
    let mut chunks: HashMap<ChunkId, Bytes> = HashMap::new();
    let mut builder = SegmentsBuilder::new();
    for piece in content.chunks(1 + usize::from(how / 4) * 7) {
        splitter.push(piece);
        collect(&keys, &mut splitter, &mut builder, &mut chunks);
    }
    splitter.finish();
    collect(&keys, &mut splitter, &mut builder, &mut chunks);
    let mut joined = Vec::with_capacity(content.len());
    for segment in builder.finish() {
        let mut joiner = SegmentJoiner::new(segment.encoding, segment.length).expect("a segment of ours");
        match &segment.data {
            SegmentData::Inline(bytes) => joiner.push(bytes, &mut joined).expect("its bytes"),
            SegmentData::Chunks(list) => {
                for chunk in list {
                    joiner.push(&chunks[&chunk.id], &mut joined).expect("its chunk");
                }
            }
        }
        joiner.finish(&mut joined).expect("its end");
    }
    assert!(joined == content, "what comes back differs");
}

fn collect(
    keys: &KeySet,
    splitter: &mut ContentSplitter,
    builder: &mut SegmentsBuilder,
    chunks: &mut HashMap<ChunkId, Bytes>,
) {
    while let Some(output) = splitter.next_output() {
        match output {
            SplitOutput::Chunk(bytes) => {
                let chunk = ChunkRef {
                    id: keys.chunk_id(&bytes),
                    length: bytes.len() as u32,
                };
                chunks.insert(chunk.id, bytes);
                builder.chunk(chunk);
            }
            SplitOutput::Segment {
                encoding,
                length,
                inline,
            } => builder.segment(encoding, length, inline),
        }
    }
}

/// Edits by the input, in two rounds, against a map. Each three bytes are one: key, what to do with it, length of the value.
/// What is longer than a thousand edits shows nothing new and takes long.
pub fn tree(data: &[u8]) {
    let data = &data[..data.len().min(3000)];
    let keys = keys();
    let mut nodes: HashMap<ChunkId, Bytes> = HashMap::new();
    let mut map: BTreeMap<Vec<u8>, (u64, Vec<u8>)> = BTreeMap::new();
    let mut root = None;
    for half in data.chunks(data.len().div_ceil(2).max(3)) {
        let mut edits: BTreeMap<Vec<u8>, Option<(u64, Vec<u8>)>> = BTreeMap::new();
        for step in half.chunks_exact(3) {
            let key = format!("folder{}\0\u{2}item{:03}", step[0] % 3, step[0]).into_bytes();
            let value = vec![step[1]; usize::from(step[2]) * 40];
            let edit = (step[1] % 4 > 0).then(|| (u64::from(step[2]), value));
            edits.insert(key, edit);
        }
        root = edit_tree(&keys, root, &edits, &mut nodes);
        for (key, edit) in edits {
            match edit {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        assert!(scan(root, &nodes) == map, "the tree holds something else");
    }
}

fn edit_tree(
    keys: &KeySet,
    root: Option<TreeRoot>,
    edits: &BTreeMap<Vec<u8>, Option<(u64, Vec<u8>)>>,
    nodes: &mut HashMap<ChunkId, Bytes>,
) -> Option<TreeRoot> {
    let mut editor = TreeEditor::new(keys, root);
    let mut rest = edits.iter();
    loop {
        match editor.step().expect("sound nodes") {
            Step::NeedEdits => match rest.next() {
                Some((key, Some((size, value)))) => {
                    let (size, value) = (*size, Bytes::copy_from_slice(value));
                    editor
                        .push(key.clone(), Edit::Put { size, value })
                        .expect("a key in order");
                }
                Some((key, None)) => editor.push(key.clone(), Edit::Delete).expect("a key in order"),
                None => editor.end_edits(),
            },
            Step::Need(chunk) => editor.supply(&chunk.id, nodes[&chunk.id].clone()),
            Step::Emit(node) => {
                nodes.insert(node.chunk.id, node.bytes);
            }
            Step::Done(root) => return root,
        }
    }
}

fn scan(root: Option<TreeRoot>, nodes: &HashMap<ChunkId, Bytes>) -> BTreeMap<Vec<u8>, (u64, Vec<u8>)> {
    let mut scan = RangeScan::all(root);
    let mut found = BTreeMap::new();
    loop {
        match scan.step().expect("sound nodes") {
            ScanStep::Need(chunk) => scan.supply(&chunk.id, nodes[&chunk.id].clone()),
            ScanStep::Entry(entry) => {
                found.insert(entry.key, (entry.size, entry.value.to_vec()));
            }
            ScanStep::Done => return found,
        }
    }
}
