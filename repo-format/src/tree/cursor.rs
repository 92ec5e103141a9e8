//! A place in a tree, moving forward; subtrees are opened only when asked.

use std::collections::HashMap;

use bytes::Bytes;

use super::TreeRoot;
use super::node::{Child, Node, TreeEntry};
use crate::blob::ChunkRef;
use crate::error::{FormatError, Result};
use crate::ids::ChunkId;

/// What comes next in key order.
#[derive(Debug)]
pub(super) enum Elem {
    /// The whole tree: its last key is not known.
    Root(TreeRoot),
    /// A subtree.
    Subtree(Child),
    /// An entry.
    Entry(TreeEntry),
}

/// The rest of a tree, the next element on top.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    stack: Vec<Elem>,
    /// Every key still to come is above this one.
    low: Option<Vec<u8>>,
}

impl Cursor {
    pub(super) fn new(root: Option<TreeRoot>) -> Self {
        Self {
            stack: root.map(Elem::Root).into_iter().collect(),
            low: None,
        }
    }

    pub(super) fn top(&self) -> Option<&Elem> {
        self.stack.last()
    }

    /// Whether the top element is the last of the tree.
    pub(super) fn top_is_last(&self) -> bool {
        self.stack.len() == 1
    }

    /// Removes the top element.
    pub(super) fn pop(&mut self) -> Option<Elem> {
        let elem = self.stack.pop()?;
        match &elem {
            Elem::Entry(entry) => self.low = Some(entry.key.clone()),
            Elem::Subtree(child) => self.low = Some(child.last_key.clone()),
            Elem::Root(_) => {}
        }
        Some(elem)
    }

    /// Whether every key still to come is known to be above `key`.
    pub(super) fn is_past(&self, key: &[u8]) -> bool {
        self.low.as_deref().is_some_and(|low| low >= key)
    }

    /// The chunk and level of the top element, when it is a subtree.
    pub(super) fn top_node(&self) -> Option<(ChunkRef, u8)> {
        match self.stack.last()? {
            Elem::Root(root) => Some((root.chunk, root.level)),
            Elem::Subtree(child) => Some((child.chunk, child.level)),
            Elem::Entry(_) => None,
        }
    }

    /// Replaces the top element, a subtree, by what its top node holds.
    pub(super) fn expand(&mut self, bytes: &Bytes) -> Result<()> {
        let node = match self.stack.last() {
            Some(Elem::Root(root)) => Node::decode_child(bytes, root, None)?,
            Some(Elem::Subtree(child)) => Node::decode_child(bytes, &child.as_root(), Some(&child.last_key))?,
            _ => return Err(FormatError::corrupt("tree", "nothing to open here")),
        };
        self.stack.pop();
        match node {
            Node::Leaf(entries) => self.stack.extend(entries.into_iter().rev().map(Elem::Entry)),
            Node::Inner(children) => self.stack.extend(children.into_iter().rev().map(Elem::Subtree)),
        }
        Ok(())
    }

    /// The elements still to come, in key order.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = &Elem> {
        self.stack.iter().rev()
    }
}

/// Nodes handed in before they were needed.
#[derive(Debug, Default)]
pub(super) struct Supplied(HashMap<ChunkId, Bytes>);

impl Supplied {
    pub(super) fn insert(&mut self, id: ChunkId, bytes: Bytes) {
        self.0.insert(id, bytes);
    }

    pub(super) fn take(&mut self, id: &ChunkId) -> Option<Bytes> {
        self.0.remove(id)
    }

    pub(super) fn contains(&self, id: &ChunkId) -> bool {
        self.0.contains_key(id)
    }
}
