//! Nodes of trees that were looked at a moment ago, decoded.
//!
//! Whoever looks up one item after the other, as a run does, looks up neighbours: without this, each of them costs the decoding of
//! every node above it, some hundred entries each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use nakivo_repo_format::tree::{Node, TreeRoot};

/// Nodes kept: those above one place in a few trees.
const KEPT_NODES: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct NodeCache {
    /// The one that was used last comes first.
    recent: Mutex<VecDeque<(TreeRoot, Arc<Node>)>>,
}

impl NodeCache {
    /// The top node of exactly this subtree, if it was looked at a moment ago.
    pub(crate) fn get(&self, subtree: &TreeRoot, last_key: Option<&[u8]>) -> Option<Arc<Node>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(known, node)| {
            // What its parent says of it was compared when it was decoded, and is compared for another parent here.
            known == subtree && last_key.is_none_or(|key| key == node.last_key())
        })?;
        let (known, node) = recent.remove(at)?;
        recent.push_front((known, Arc::clone(&node)));
        Some(node)
    }

    pub(crate) fn insert(&self, subtree: TreeRoot, node: Arc<Node>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((subtree, node));
        recent.truncate(KEPT_NODES);
    }
}
