//! Applying edits to a tree, loading only the nodes on their paths.

use std::collections::VecDeque;

use bytes::Bytes;

use super::TreeRoot;
use super::builder::{EmittedNode, Finished, TreeBuilder, check, closes};
use super::cursor::{Cursor, Elem, Supplied};
use super::edit::{Edit, TreeEdit};
use super::node::{Child, Node};
use crate::blob::ChunkRef;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::ChunkId;

/// What the editor wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Call [`TreeEditor::push`] with the next edits, or [`TreeEditor::end_edits`].
    NeedEdits,
    /// Read this node and hand it in with [`TreeEditor::supply`].
    Need(ChunkRef),
    /// Store this node. Children come before parents.
    Emit(EmittedNode),
    /// The new tree. Everything it refers to was emitted or is part of the old tree.
    Done(Option<TreeRoot>),
}

/// What an edit cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EditorStats {
    /// Nodes of the old tree that were opened.
    pub loaded: u64,
    /// Nodes that were emitted.
    pub emitted: u64,
    /// Subtrees taken over without opening them.
    pub reused: u64,
    /// Puts of keys that were not in the old tree.
    pub added: u64,
    /// Puts of keys that were, with another value or size.
    pub changed: u64,
    /// Deletes of keys that were in the old tree.
    pub removed: u64,
}

#[derive(Debug)]
enum State {
    Editing,
    Collapsing(Child),
    Done(Option<TreeRoot>),
}

/// Applies edits in key order to an existing tree.
///
/// The result depends on the resulting content only: it is the tree that building from scratch would give.
#[derive(Debug)]
pub struct TreeEditor {
    keys: KeySet,
    old: Option<TreeRoot>,
    cursor: Cursor,
    builder: TreeBuilder,
    edits: VecDeque<TreeEdit>,
    last_edit: Option<Vec<u8>>,
    ended: bool,
    supplied: Supplied,
    state: State,
    stats: EditorStats,
}

impl TreeEditor {
    /// Begins editing `root`; `None` is the empty tree.
    #[must_use]
    pub fn new(keys: &KeySet, root: Option<TreeRoot>) -> Self {
        Self {
            keys: keys.clone(),
            old: root,
            cursor: Cursor::new(root),
            builder: TreeBuilder::new(keys),
            edits: VecDeque::new(),
            last_edit: None,
            ended: false,
            supplied: Supplied::default(),
            state: State::Editing,
            stats: EditorStats::default(),
        }
    }

    /// Adds an edit. Keys must come in strictly ascending order.
    ///
    /// # Errors
    /// `Corrupt` when out of order or after [`TreeEditor::end_edits`], `LimitExceeded` for a key or value that is
    /// too long.
    pub fn push(&mut self, key: impl Into<Vec<u8>>, edit: Edit) -> Result<()> {
        let key = key.into();
        if self.ended || self.last_edit.as_ref().is_some_and(|last| &key <= last) {
            return Err(FormatError::corrupt("tree edits", "edits out of order"));
        }
        match &edit {
            Edit::Put { value, .. } => check(&key, value)?,
            Edit::Delete => check(&key, &[])?,
        }
        self.last_edit = Some(key.clone());
        self.edits.push_back(TreeEdit { key, edit });
        Ok(())
    }

    /// Says that no more edits come.
    pub fn end_edits(&mut self) {
        self.ended = true;
    }

    /// How many edits wait to be applied.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.edits.len()
    }

    /// Hands in a node's bytes: the one [`Step::Need`] asked for, or one of [`TreeEditor::wanted`].
    ///
    /// The caller has checked that the bytes are the chunk `id`, as reading from a pack does.
    pub fn supply(&mut self, id: &ChunkId, bytes: Bytes) {
        self.supplied.insert(*id, bytes);
    }

    /// Nodes that will probably be needed soon, in order, so that they can be read side by side.
    #[must_use]
    pub fn wanted(&self, max: usize) -> Vec<ChunkRef> {
        let mut out = Vec::new();
        let mut edits = self.edits.iter().peekable();
        for elem in self.cursor.upcoming() {
            if out.len() >= max || edits.peek().is_none() {
                break;
            }
            let (chunk, last) = match elem {
                Elem::Root(root) => (root.chunk, None),
                Elem::Subtree(child) => (child.chunk, Some(child.last_key.as_slice())),
                Elem::Entry(_) => continue,
            };
            let mut touched = false;
            while edits
                .next_if(|e| last.is_none_or(|last| e.key.as_slice() <= last))
                .is_some()
            {
                touched = true;
            }
            if touched && !self.supplied.contains(&chunk.id) {
                out.push(chunk);
            }
        }
        out
    }

    /// What editing has cost so far.
    #[must_use]
    pub fn stats(&self) -> EditorStats {
        self.stats
    }

    /// Goes on until something is needed, emitted, or done.
    ///
    /// # Errors
    /// `Corrupt`, `Truncated`, `LimitExceeded` when a node handed in is no valid node of this tree.
    pub fn step(&mut self) -> Result<Step> {
        loop {
            if let Some(node) = self.builder.take_node() {
                self.stats.emitted += 1;
                return Ok(Step::Emit(node));
            }
            match &self.state {
                State::Editing => {
                    if let Some(step) = self.edit_one()? {
                        return Ok(step);
                    }
                }
                State::Collapsing(child) => {
                    let chunk = child.chunk;
                    let Some(bytes) = self.supplied.take(&chunk.id) else {
                        return Ok(Step::Need(chunk));
                    };
                    self.stats.loaded += 1;
                    let node = Node::decode_child(&bytes, &child.as_root(), Some(&child.last_key))?;
                    let root = child.as_root();
                    self.state = match node {
                        Node::Inner(mut children) if children.len() == 1 => {
                            children.pop().map_or(State::Done(None), collapse)
                        }
                        _ => State::Done(Some(root)),
                    };
                }
                State::Done(root) => return Ok(Step::Done(*root)),
            }
        }
    }

    /// Handles the next edit or the next element of the old tree.
    fn edit_one(&mut self) -> Result<Option<Step>> {
        let edit_key = match self.edits.front() {
            Some(edit) => Some(edit.key.as_slice()),
            None if self.ended => None,
            None => return Ok(Some(Step::NeedEdits)),
        };
        match self.cursor.top() {
            None if edit_key.is_none() => {
                self.state = match self.builder.end()? {
                    Finished::Root(root) => State::Done(root),
                    Finished::Candidate(child) => collapse(child),
                };
            }
            None => self.insert()?,
            Some(Elem::Entry(entry)) => match edit_key.map(|key| key.cmp(&entry.key)) {
                Some(std::cmp::Ordering::Less) => self.insert()?,
                Some(std::cmp::Ordering::Equal) => self.replace()?,
                Some(std::cmp::Ordering::Greater) | None => {
                    self.builder.push(&entry.key, entry.size, &entry.value)?;
                    self.cursor.pop();
                }
            },
            // Untouched as a whole: the old tree is the new one.
            Some(Elem::Root(root)) if edit_key.is_none() => {
                self.stats.reused += 1;
                self.state = State::Done(Some(*root));
            }
            Some(Elem::Subtree(child)) if self.can_reuse(child, edit_key) => {
                self.stats.reused += 1;
                self.builder.push_subtree(child.clone())?;
                self.cursor.pop();
            }
            Some(Elem::Root(_) | Elem::Subtree(_)) => return self.open(),
        }
        Ok(None)
    }

    /// Whether the next subtree of the old tree is a subtree of the new one.
    fn can_reuse(&self, child: &Child, edit_key: Option<&[u8]>) -> bool {
        if edit_key.is_some_and(|key| key <= child.last_key.as_slice()) || !self.builder.aligned(child.level)
        {
            return false;
        }
        // Only the last node of a level may be unclosed. It stays as it is when nothing follows.
        !self.cursor.top_is_last() || edit_key.is_none() || closes(&self.keys, &child.last_key, child.level)
    }

    /// Opens the top subtree of the old tree.
    fn open(&mut self) -> Result<Option<Step>> {
        let Some((chunk, _)) = self.cursor.top_node() else {
            return Ok(None);
        };
        let Some(bytes) = self.supplied.take(&chunk.id) else {
            return Ok(Some(Step::Need(chunk)));
        };
        self.stats.loaded += 1;
        self.cursor.expand(&bytes)?;
        Ok(None)
    }

    /// Applies an edit whose key is not in the old tree.
    fn insert(&mut self) -> Result<()> {
        if let Some(TreeEdit {
            key,
            edit: Edit::Put { size, value },
        }) = self.edits.pop_front()
        {
            self.stats.added += 1;
            self.builder.push(&key, size, &value)?;
        }
        Ok(())
    }

    /// Applies an edit to the top entry of the old tree.
    fn replace(&mut self) -> Result<()> {
        let old = self.cursor.pop();
        match self.edits.pop_front() {
            Some(TreeEdit {
                key,
                edit: Edit::Put { size, value },
            }) => {
                let same = matches!(&old, Some(Elem::Entry(e)) if e.size == size && e.value == value);
                self.stats.changed += u64::from(!same);
                self.builder.push(&key, size, &value)
            }
            _ => {
                self.stats.removed += 1;
                Ok(())
            }
        }
    }

    /// The root this editor began with.
    #[must_use]
    pub fn old_root(&self) -> Option<TreeRoot> {
        self.old
    }
}

/// A leaf is a root; an inner node must be looked at.
fn collapse(child: Child) -> State {
    if child.level == 0 {
        State::Done(Some(child.as_root()))
    } else {
        State::Collapsing(child)
    }
}
