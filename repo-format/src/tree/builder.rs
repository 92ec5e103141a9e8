//! Building nodes bottom-up from entries and whole subtrees in key order.

use std::collections::VecDeque;

use bytes::Bytes;
use minicbor::Encoder;

use super::node::{Child, MAX_LEVEL};
use super::{FANOUT_BITS, MAX_KEY_BYTES, MAX_VALUE_BYTES, NODE_CUT_BYTES, TreeRoot};
use crate::blob::ChunkRef;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};

const WHAT: &str = "tree";

/// A finished node, to be stored as a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedNode {
    /// Its chunk id and length.
    pub chunk: ChunkRef,
    /// Its level: 0 for a leaf.
    pub level: u8,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The open node of one level.
#[derive(Debug, Default)]
struct Level {
    /// Encoded entries.
    payload: Vec<u8>,
    /// How many.
    count: u64,
    last_key: Vec<u8>,
    weight: usize,
    entries: u64,
    bytes: u64,
    /// The node ends here. It is emitted when the next entry comes, because only then is it certain that it is
    /// not the root.
    closed: bool,
    /// The only entry of this level while `count` is 1; a root with one child is no root.
    only: Option<Child>,
    /// Nodes of this level that are already part of the tree, reused ones and those inside reused subtrees
    /// included (the latter counted as one).
    nodes: u64,
}

/// How a finished builder ends.
#[derive(Debug)]
pub(super) enum Finished {
    /// The root, as it is to be.
    Root(Option<TreeRoot>),
    /// A reused subtree is all that is left. It is the root unless its top node has one child only.
    Candidate(Child),
}

/// Builds a tree from entries in key order; emits nodes, children before parents.
#[derive(Debug)]
pub struct TreeBuilder {
    keys: KeySet,
    levels: Vec<Level>,
    emitted: VecDeque<EmittedNode>,
    last_key: Option<Vec<u8>>,
}

impl TreeBuilder {
    /// An empty tree.
    #[must_use]
    pub fn new(keys: &KeySet) -> Self {
        Self {
            keys: keys.clone(),
            levels: Vec::new(),
            emitted: VecDeque::new(),
            last_key: None,
        }
    }

    /// Adds an entry. Keys must come in strictly ascending order.
    ///
    /// # Errors
    /// `Corrupt` when out of order, `LimitExceeded` for a key or value that is too long.
    pub fn push(&mut self, key: &[u8], size: u64, value: &[u8]) -> Result<()> {
        check(key, value)?;
        self.advance(key)?;
        self.make_room(0)?;
        let closes_by_hash = closes(&self.keys, key, 0);
        let level = self.level(0);
        level.begin_entry(4, key)?;
        let mut e = Encoder::new(&mut level.payload);
        e.u64(size).and_then(|e| e.bytes(value)).map_err(encode_failed)?;
        level.end_entry(key, key.len() + value.len(), 1, size, closes_by_hash);
        Ok(())
    }

    /// Takes the next finished node, if there is one.
    pub fn take_node(&mut self) -> Option<EmittedNode> {
        self.emitted.pop_front()
    }

    /// Ends the tree. Take the remaining nodes afterwards.
    ///
    /// # Errors
    /// `LimitExceeded` for a tree higher than [`MAX_LEVEL`].
    pub fn finish(&mut self) -> Result<Option<TreeRoot>> {
        match self.end()? {
            Finished::Root(root) => Ok(root),
            // Without reused subtrees this does not arise; see `end`.
            Finished::Candidate(child) => Ok(Some(child.as_root())),
        }
    }

    /// Whether a subtree of `level` can be put in as a whole now: every level up to it would begin a new node.
    pub(super) fn aligned(&self, level: u8) -> bool {
        // Nodes that are closed but not emitted yet would move up first; follow them without doing it.
        let mut incoming = false;
        for (number, l) in self.levels.iter().enumerate().take(usize::from(level) + 1) {
            let number = number as u8;
            if incoming {
                let last = self.last_key.as_deref().unwrap_or_default();
                let weight = if l.closed { 0 } else { l.weight } + inner_weight(last);
                if !closes(&self.keys, last, number) && weight < NODE_CUT_BYTES {
                    return false;
                }
            } else if l.count > 0 {
                if !l.closed {
                    return false;
                }
                incoming = true;
            }
        }
        true
    }

    /// Puts a whole subtree in. Only when [`TreeBuilder::aligned`].
    pub(super) fn push_subtree(&mut self, child: Child) -> Result<()> {
        self.advance(&child.last_key)?;
        for number in 0..=child.level {
            if self.level(number).count > 0 {
                self.flush(number)?;
            }
        }
        for number in 0..=child.level {
            self.level(number).nodes += 1;
        }
        self.push_child(child)
    }

    fn push_child(&mut self, child: Child) -> Result<()> {
        let number = child.level + 1;
        if number > MAX_LEVEL {
            return Err(FormatError::LimitExceeded {
                what: "tree level",
                limit: MAX_LEVEL.into(),
                found: number.into(),
            });
        }
        self.make_room(number)?;
        let closes_by_hash = closes(&self.keys, &child.last_key, number);
        let level = self.level(number);
        level.begin_entry(6, &child.last_key)?;
        let mut e = Encoder::new(&mut level.payload);
        e.bytes(child.chunk.id.as_bytes())
            .and_then(|e| e.u32(child.chunk.length))
            .and_then(|e| e.u64(child.entries))
            .and_then(|e| e.u64(child.bytes))
            .map_err(encode_failed)?;
        let weight = inner_weight(&child.last_key);
        level.end_entry(
            &child.last_key,
            weight,
            child.entries,
            child.bytes,
            closes_by_hash,
        );
        level.only = (level.count == 1).then_some(child);
        Ok(())
    }

    /// Emits the open node of a level if it is closed.
    fn make_room(&mut self, number: u8) -> Result<()> {
        if self.level(number).closed {
            self.flush(number)
        } else {
            Ok(())
        }
    }

    /// Emits the open node of a level and puts it into the level above.
    fn flush(&mut self, number: u8) -> Result<()> {
        let child = self.emit(number)?;
        self.level(number).nodes += 1;
        self.push_child(child)
    }

    /// Emits the open node of a level.
    fn emit(&mut self, number: u8) -> Result<Child> {
        let open = std::mem::take(self.level(number));
        self.level(number).nodes = open.nodes;
        let mut bytes = Vec::with_capacity(open.payload.len() + 12);
        Encoder::new(&mut bytes)
            .array(2)
            .and_then(|e| e.u8(number))
            .and_then(|e| e.array(open.count))
            .map_err(encode_failed)?;
        bytes.extend_from_slice(&open.payload);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let chunk = ChunkRef {
            id: self.keys.chunk_id(&bytes),
            length,
        };
        self.emitted.push_back(EmittedNode {
            chunk,
            level: number,
            bytes: bytes.into(),
        });
        Ok(Child {
            last_key: open.last_key,
            chunk,
            level: number,
            entries: open.entries,
            bytes: open.bytes,
        })
    }

    /// Ends the tree: the root is the lowest level with exactly one node.
    pub(super) fn end(&mut self) -> Result<Finished> {
        let mut number = 0;
        while usize::from(number) < self.levels.len() {
            let level = self.level(number);
            if level.count > 0 {
                if level.nodes == 0 {
                    // The only node of its level. With a single child, which then is the only node one level
                    // down, that child is the root; this happens with reused subtrees only, because built nodes
                    // move up only when a second one follows.
                    if let Some(only) = level.only.take_if(|_| level.count == 1) {
                        return Ok(Finished::Candidate(only));
                    }
                    return Ok(Finished::Root(Some(self.emit(number)?.as_root())));
                }
                self.flush(number)?;
            }
            number += 1;
        }
        Ok(Finished::Root(None))
    }

    fn level(&mut self, number: u8) -> &mut Level {
        let number = usize::from(number);
        if self.levels.len() <= number {
            self.levels.resize_with(number + 1, Level::default);
        }
        &mut self.levels[number]
    }

    fn advance(&mut self, key: &[u8]) -> Result<()> {
        match &mut self.last_key {
            Some(last) if key <= last.as_slice() => Err(FormatError::corrupt(WHAT, "keys out of order")),
            Some(last) => {
                last.clear();
                last.extend_from_slice(key);
                Ok(())
            }
            none => {
                *none = Some(key.to_vec());
                Ok(())
            }
        }
    }
}

impl Level {
    fn begin_entry(&mut self, elements: u64, key: &[u8]) -> Result<()> {
        let shared = self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
        let mut e = Encoder::new(&mut self.payload);
        e.array(elements)
            .and_then(|e| e.u64(shared as u64))
            .and_then(|e| e.bytes(&key[shared..]))
            .map_err(encode_failed)?;
        Ok(())
    }

    fn end_entry(&mut self, key: &[u8], weight: usize, entries: u64, bytes: u64, closes_by_hash: bool) {
        self.count += 1;
        self.only = None;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.weight += weight;
        self.entries = self.entries.saturating_add(entries);
        self.bytes = self.bytes.saturating_add(bytes);
        self.closed = closes_by_hash || self.weight >= NODE_CUT_BYTES;
    }
}

/// Whether `key` closes its node at `level` by its boundary hash.
pub(super) fn closes(keys: &KeySet, key: &[u8], level: u8) -> bool {
    keys.boundary(key).trailing_zeros() >= FANOUT_BITS * (u32::from(level) + 1)
}

fn inner_weight(key: &[u8]) -> usize {
    key.len() + 64
}

/// Checks the limits of an entry.
pub(super) fn check(key: &[u8], value: &[u8]) -> Result<()> {
    for (what, limit, found) in [
        ("tree key", MAX_KEY_BYTES, key.len()),
        ("tree value", MAX_VALUE_BYTES, value.len()),
    ] {
        if found > limit {
            return Err(FormatError::LimitExceeded {
                what,
                limit: limit as u64,
                found: found as u64,
            });
        }
    }
    Ok(())
}

fn encode_failed(e: minicbor::encode::Error<std::convert::Infallible>) -> FormatError {
    FormatError::corrupt(WHAT, e.to_string())
}
