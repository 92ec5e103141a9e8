//! One node: front-coded, sorted entries.
//!
//! ```text
//! node  = [level, [entry, ...]]                 at least one entry, keys strictly ascending
//! leaf  entry = [shared, suffix, size, value]
//! inner entry = [shared, suffix, child id, child length, entries, bytes]
//! ```
//! The key is the first `shared` bytes of the key before (0 for the first entry), then `suffix`. An inner entry's
//! key is the last key of its child.

use bytes::Bytes;
use minicbor::Decoder;

use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, TreeRoot};
use crate::blob::ChunkRef;
use crate::cbor;
use crate::error::{FormatError, Result};
use crate::pack::MAX_CHUNK_BYTES;

const WHAT: &str = "tree node";

/// The highest level a node can have.
pub const MAX_LEVEL: u8 = 32;

/// An entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The key's bytes; see [`super::ItemKey`].
    pub key: Vec<u8>,
    /// What the entry adds to the sum of sizes: the item's logical size.
    pub size: u64,
    /// The value: an encoded [`crate::record::ItemRecord`].
    pub value: Bytes,
}

/// A reference to a subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The subtree's last key.
    pub last_key: Vec<u8>,
    /// The chunk that holds its top node.
    pub chunk: ChunkRef,
    /// The level of its top node.
    pub level: u8,
    /// Entries in it.
    pub entries: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

impl Child {
    /// This subtree as a tree of its own.
    #[must_use]
    pub const fn as_root(&self) -> TreeRoot {
        TreeRoot {
            chunk: self.chunk,
            level: self.level,
            entries: self.entries,
            bytes: self.bytes,
        }
    }
}

/// A decoded node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Level 0: entries.
    Leaf(Vec<TreeEntry>),
    /// Level 1 and above: subtrees, one level below.
    Inner(Vec<Child>),
}

impl Node {
    /// Decodes a node and checks its grammar and order. Values share `bytes`, without copying.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, `LimitExceeded`.
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        if bytes.len() > MAX_CHUNK_BYTES as usize {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit: MAX_CHUNK_BYTES.into(),
                found: bytes.len() as u64,
            });
        }
        let mut d = Decoder::new(bytes);
        let node = decode_node(bytes, &mut d).map_err(|e| match e {
            Failure::Cbor(e) => cbor::error(WHAT, &e),
            Failure::Grammar(detail) => FormatError::corrupt(WHAT, detail),
        })?;
        if d.position() != bytes.len() {
            return Err(FormatError::corrupt(WHAT, "bytes after the end"));
        }
        Ok(node)
    }

    /// Decodes the top node of a subtree and checks that it is what the reference to it says. `last_key`: of the subtree, if known.
    ///
    /// # Errors
    /// As [`Node::decode`]; `Corrupt` if it is another node than it should be.
    pub fn decode_child(bytes: &Bytes, expected: &TreeRoot, last_key: Option<&[u8]>) -> Result<Self> {
        let node = Self::decode(bytes)?;
        let (level, entries, size, last) = node.summary();
        if bytes.len() != expected.chunk.length as usize
            || level != expected.level
            || entries != expected.entries
            || size != expected.bytes
            || last_key.is_some_and(|key| key != last)
        {
            return Err(FormatError::corrupt(WHAT, "the node is not what its parent says"));
        }
        Ok(node)
    }

    /// Where a key is: here, below a child, or nowhere in this subtree.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Found<'_> {
        match self {
            Self::Leaf(entries) => entries
                .binary_search_by(|entry| entry.key.as_slice().cmp(key))
                .ok()
                .and_then(|at| entries.get(at))
                .map_or(Found::Nowhere, Found::Entry),
            Self::Inner(children) => {
                let at = children.partition_point(|child| child.last_key.as_slice() < key);
                children.get(at).map_or(Found::Nowhere, Found::Below)
            }
        }
    }

    /// The last key of the subtree.
    #[must_use]
    pub fn last_key(&self) -> &[u8] {
        match self {
            Self::Leaf(entries) => entries.last().map_or(&[], |entry| &entry.key),
            Self::Inner(children) => children.last().map_or(&[], |child| &child.last_key),
        }
    }

    /// Level, entries, sum of sizes, last key.
    fn summary(&self) -> (u8, u64, u64, &[u8]) {
        match self {
            Self::Leaf(entries) => (
                0,
                entries.len() as u64,
                entries.iter().fold(0, |sum, e| sum.saturating_add(e.size)),
                self.last_key(),
            ),
            Self::Inner(children) => (
                children.first().map_or(1, |c| c.level + 1),
                children.iter().fold(0, |sum, c| sum.saturating_add(c.entries)),
                children.iter().fold(0, |sum, c| sum.saturating_add(c.bytes)),
                self.last_key(),
            ),
        }
    }
}

/// What [`Node::find`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// The entry.
    Entry(&'a TreeEntry),
    /// If it is anywhere, it is in this subtree.
    Below(&'a Child),
    /// It is not in this subtree.
    Nowhere,
}

enum Failure {
    Cbor(minicbor::decode::Error),
    Grammar(&'static str),
}

impl From<minicbor::decode::Error> for Failure {
    fn from(e: minicbor::decode::Error) -> Self {
        Self::Cbor(e)
    }
}

fn decode_node(bytes: &Bytes, d: &mut Decoder<'_>) -> Result<Node, Failure> {
    expect(d.array()?, 2)?;
    let level = d.u8()?;
    if level > MAX_LEVEL {
        return Err(Failure::Grammar("a level above the limit"));
    }
    let count = d.array()?.ok_or(Failure::Grammar("a list of unknown length"))?;
    if count == 0 {
        return Err(Failure::Grammar("a node without entries"));
    }
    let mut previous: Vec<u8> = Vec::new();
    if level == 0 {
        let mut entries = Vec::new();
        for i in 0..count {
            expect(d.array()?, 4)?;
            let key = decode_key(d, &previous, i == 0)?;
            let size = d.u64()?;
            let value = d.bytes()?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(Failure::Grammar("a value above the limit"));
            }
            previous.clone_from(&key);
            entries.push(TreeEntry {
                key,
                size,
                value: bytes.slice_ref(value),
            });
        }
        return Ok(Node::Leaf(entries));
    }
    let mut children = Vec::new();
    for i in 0..count {
        expect(d.array()?, 6)?;
        let last_key = decode_key(d, &previous, i == 0)?;
        let chunk = ChunkRef {
            id: d.decode()?,
            length: d.u32()?,
        };
        let (entries, bytes) = (d.u64()?, d.u64()?);
        previous.clone_from(&last_key);
        children.push(Child {
            last_key,
            chunk,
            level: level - 1,
            entries,
            bytes,
        });
    }
    Ok(Node::Inner(children))
}

fn expect(found: Option<u64>, wanted: u64) -> Result<(), Failure> {
    if found == Some(wanted) {
        Ok(())
    } else {
        Err(Failure::Grammar("a wrong number of elements"))
    }
}

fn decode_key(d: &mut Decoder<'_>, previous: &[u8], first: bool) -> Result<Vec<u8>, Failure> {
    let shared = usize::try_from(d.u64()?).unwrap_or(usize::MAX);
    let suffix = d.bytes()?;
    let prefix = previous
        .get(..shared)
        .ok_or(Failure::Grammar("a shared prefix longer than the key before"))?;
    if shared + suffix.len() > MAX_KEY_BYTES {
        return Err(Failure::Grammar("a key above the limit"));
    }
    let mut key = Vec::with_capacity(shared + suffix.len());
    key.extend_from_slice(prefix);
    key.extend_from_slice(suffix);
    if !first && key.as_slice() <= previous {
        return Err(Failure::Grammar("keys out of order"));
    }
    Ok(key)
}
