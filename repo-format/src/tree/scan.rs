//! Reading a range of keys in order.

use bytes::Bytes;

use super::TreeRoot;
use super::cursor::{Cursor, Elem, Supplied};
use super::key::container_prefix;
use super::node::TreeEntry;
use crate::blob::ChunkRef;
use crate::error::Result;
use crate::ids::ChunkId;

/// What the scan wants or yields next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanStep {
    /// Read this node and hand it in with [`RangeScan::supply`].
    Need(ChunkRef),
    /// The next entry.
    Entry(TreeEntry),
    /// The range is at its end.
    Done,
}

/// Reads the entries of a key range in order, opening only the nodes that hold them.
#[derive(Debug)]
pub struct RangeScan {
    cursor: Cursor,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    supplied: Supplied,
}

impl RangeScan {
    /// All entries from `from` (included) to `to` (excluded; `None`: to the end).
    #[must_use]
    pub fn new(root: Option<TreeRoot>, from: impl Into<Vec<u8>>, to: Option<Vec<u8>>) -> Self {
        Self {
            cursor: Cursor::new(root),
            from: from.into(),
            to,
            supplied: Supplied::default(),
        }
    }

    /// All entries.
    #[must_use]
    pub fn all(root: Option<TreeRoot>) -> Self {
        Self::new(root, Vec::new(), None)
    }

    /// All entries whose key begins with `prefix`.
    #[must_use]
    pub fn prefix(root: Option<TreeRoot>, prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into();
        let to = successor(&prefix);
        Self::new(root, prefix, to)
    }

    /// All entries in a container, containers first.
    #[must_use]
    pub fn children(root: Option<TreeRoot>, container: &str) -> Self {
        Self::prefix(root, container_prefix(container))
    }

    /// Moves the beginning behind `key`, to go on where an earlier scan stopped. Before the first step only.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        if key >= self.from.as_slice() {
            self.from = key.to_vec();
            self.from.push(0);
        }
        self
    }

    /// Moves the end before `key`. Before the first step only.
    #[must_use]
    pub fn until(mut self, key: Vec<u8>) -> Self {
        if self.to.as_ref().is_none_or(|to| &key < to) {
            self.to = Some(key);
        }
        self
    }

    /// Hands in a node's bytes.
    ///
    /// The caller has checked that the bytes are the chunk `id`, as reading from a pack does.
    pub fn supply(&mut self, id: &ChunkId, bytes: Bytes) {
        self.supplied.insert(*id, bytes);
    }

    /// Nodes that will be needed next, in order, so that they can be read ahead.
    #[must_use]
    pub fn wanted(&self, max: usize) -> Vec<ChunkRef> {
        let mut out = Vec::new();
        for elem in self.cursor.upcoming() {
            if out.len() >= max {
                break;
            }
            let (chunk, last) = match elem {
                Elem::Root(root) => (root.chunk, None),
                Elem::Subtree(child) => (child.chunk, Some(child.last_key.as_slice())),
                Elem::Entry(_) => continue,
            };
            if last.is_none_or(|last| last >= self.from.as_slice()) && !self.supplied.contains(&chunk.id) {
                out.push(chunk);
            }
            // The next element begins behind this one's last key.
            if let (Some(last), Some(to)) = (last, &self.to)
                && last >= to.as_slice()
            {
                break;
            }
        }
        out
    }

    /// Goes on until a node is needed, an entry is found, or the range ends.
    ///
    /// # Errors
    /// `Corrupt`, `Truncated`, `LimitExceeded` when a node handed in is no valid node of this tree.
    pub fn step(&mut self) -> Result<ScanStep> {
        loop {
            if self.to.as_deref().is_some_and(|to| self.cursor.is_past(to)) {
                return Ok(ScanStep::Done);
            }
            let skip = match self.cursor.top() {
                None => return Ok(ScanStep::Done),
                Some(Elem::Root(_)) => false,
                Some(Elem::Subtree(child)) => child.last_key < self.from,
                Some(Elem::Entry(entry)) => {
                    if self.to.as_ref().is_some_and(|to| &entry.key >= to) {
                        return Ok(ScanStep::Done);
                    }
                    let skip = entry.key < self.from;
                    if let Some(Elem::Entry(entry)) = self.cursor.pop()
                        && !skip
                    {
                        return Ok(ScanStep::Entry(entry));
                    }
                    continue;
                }
            };
            if skip {
                self.cursor.pop();
            } else if let Some((chunk, _)) = self.cursor.top_node() {
                match self.supplied.take(&chunk.id) {
                    Some(bytes) => self.cursor.expand(&bytes)?,
                    None => return Ok(ScanStep::Need(chunk)),
                }
            }
        }
    }
}

/// The smallest byte string above everything that begins with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
