//! Comparing two trees, skipping what they share.

use std::cmp::Ordering;

use bytes::Bytes;

use super::TreeRoot;
use super::cursor::{Cursor, Elem, Supplied};
use super::node::TreeEntry;
use crate::blob::ChunkRef;
use crate::error::Result;
use crate::ids::ChunkId;

/// A difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeChange {
    /// Only in the new tree.
    Added(TreeEntry),
    /// Only in the old tree.
    Removed(TreeEntry),
    /// In both, with another value or size.
    Changed {
        /// The entry in the old tree.
        old: TreeEntry,
        /// The entry in the new tree.
        new: TreeEntry,
    },
}

/// A subtree of the new tree that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSubtree {
    /// Its last key; `None`: it is the whole tree.
    pub last_key: Option<Vec<u8>>,
    /// Entries in it.
    pub entries: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

/// What the comparison wants or yields next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffStep {
    /// Read this node and hand it in with [`TreeDiff::supply`].
    Need(ChunkRef),
    /// The next difference, in key order.
    Change(TreeChange),
    /// No more differences.
    Done,
}

/// Yields the differences between two trees in key order. Equal subtrees are not opened.
#[derive(Debug)]
pub struct TreeDiff {
    old: Cursor,
    new: Cursor,
    supplied: Supplied,
}

enum Action {
    SkipBoth,
    OpenOld,
    OpenNew,
    TakeOld,
    TakeNew,
    TakeBoth,
    Done,
}

impl TreeDiff {
    /// Compares `old` with `new`; `None` is the empty tree.
    #[must_use]
    pub fn new(old: Option<TreeRoot>, new: Option<TreeRoot>) -> Self {
        Self {
            old: Cursor::new(old),
            new: Cursor::new(new),
            supplied: Supplied::default(),
        }
    }

    /// Hands in a node's bytes.
    ///
    /// The caller has checked that the bytes are the chunk `id`, as reading from a pack does.
    pub fn supply(&mut self, id: &ChunkId, bytes: Bytes) {
        self.supplied.insert(*id, bytes);
    }

    /// Goes on until a node is needed, a difference is found, or both trees are at their end.
    ///
    /// # Errors
    /// `Corrupt`, `Truncated`, `LimitExceeded` when a node handed in is no valid node of its tree.
    pub fn step(&mut self) -> Result<DiffStep> {
        loop {
            match self.next_action() {
                Action::Done => return Ok(DiffStep::Done),
                Action::SkipBoth => {
                    self.old.pop();
                    self.new.pop();
                }
                Action::OpenOld => {
                    if let Some(step) = open(&mut self.old, &mut self.supplied)? {
                        return Ok(step);
                    }
                }
                Action::OpenNew => {
                    if let Some(step) = open(&mut self.new, &mut self.supplied)? {
                        return Ok(step);
                    }
                }
                Action::TakeOld => {
                    if let Some(Elem::Entry(entry)) = self.old.pop() {
                        return Ok(DiffStep::Change(TreeChange::Removed(entry)));
                    }
                }
                Action::TakeNew => {
                    if let Some(Elem::Entry(entry)) = self.new.pop() {
                        return Ok(DiffStep::Change(TreeChange::Added(entry)));
                    }
                }
                Action::TakeBoth => {
                    if let (Some(Elem::Entry(old)), Some(Elem::Entry(new))) = (self.old.pop(), self.new.pop())
                        && old != new
                    {
                        return Ok(DiffStep::Change(TreeChange::Changed { old, new }));
                    }
                }
            }
        }
    }

    /// Goes on without the node that was asked for last, or that did not decode. What is below it counts as not there.
    ///
    /// `None` if it belongs to the old tree: then nothing can be said of the differences.
    pub fn give_up(&mut self) -> Option<LostSubtree> {
        if !matches!(self.next_action(), Action::OpenNew) {
            return None;
        }
        match self.new.pop()? {
            Elem::Root(root) => Some(LostSubtree {
                last_key: None,
                entries: root.entries,
                bytes: root.bytes,
            }),
            Elem::Subtree(child) => Some(LostSubtree {
                entries: child.entries,
                bytes: child.bytes,
                last_key: Some(child.last_key),
            }),
            Elem::Entry(_) => None,
        }
    }

    fn next_action(&self) -> Action {
        match (self.old.top(), self.new.top()) {
            (None, None) => Action::Done,
            (Some(Elem::Entry(old)), Some(Elem::Entry(new))) => match old.key.cmp(&new.key) {
                Ordering::Less => Action::TakeOld,
                Ordering::Greater => Action::TakeNew,
                Ordering::Equal => Action::TakeBoth,
            },
            (Some(Elem::Entry(_)), None) => Action::TakeOld,
            (None, Some(Elem::Entry(_))) => Action::TakeNew,
            // An entry below everything that the other side still has needs no opening of the other side.
            (Some(Elem::Entry(old)), Some(_)) => {
                if self.new.is_past(&old.key) {
                    Action::TakeOld
                } else {
                    Action::OpenNew
                }
            }
            (Some(_), Some(Elem::Entry(new))) => {
                if self.old.is_past(&new.key) {
                    Action::TakeNew
                } else {
                    Action::OpenOld
                }
            }
            (Some(_), None) => Action::OpenOld,
            (None, Some(_)) => Action::OpenNew,
            (Some(old), Some(new)) => match (self.old.top_node(), self.new.top_node()) {
                (Some((a, _)), Some((b, _))) if a.id == b.id => Action::SkipBoth,
                (Some((_, a)), Some((_, b))) if a != b => {
                    if a > b {
                        Action::OpenOld
                    } else {
                        Action::OpenNew
                    }
                }
                // Same level: open the one that ends first, so that the other may still meet its equal.
                _ => match (last_key(old), last_key(new)) {
                    (Some(a), Some(b)) if a > b => Action::OpenNew,
                    _ => Action::OpenOld,
                },
            },
        }
    }
}

fn last_key(elem: &Elem) -> Option<&[u8]> {
    match elem {
        Elem::Subtree(child) => Some(&child.last_key),
        Elem::Entry(_) | Elem::Root(_) => None,
    }
}

fn open(cursor: &mut Cursor, supplied: &mut Supplied) -> Result<Option<DiffStep>> {
    let Some((chunk, _)) = cursor.top_node() else {
        return Ok(None);
    };
    match supplied.take(&chunk.id) {
        Some(bytes) => cursor.expand(&bytes).map(|()| None),
        None => Ok(Some(DiffStep::Need(chunk))),
    }
}
