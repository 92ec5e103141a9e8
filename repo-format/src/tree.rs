//! The manifest tree: a persistent, content-addressed search tree from item keys to item records.
//!
//! Entries are sorted by key bytes. An entry closes its node when the boundary hash of its key says so, hence
//! equal content gives equal nodes, whatever the history. Nothing here reads or writes: the editor, the scan and
//! the comparison are stepped, and ask for nodes by chunk.

mod builder;
mod cursor;
mod diff;
mod edit;
mod editor;
mod key;
mod node;
mod scan;

pub use builder::{EmittedNode, TreeBuilder};
pub use diff::{DiffStep, LostSubtree, TreeChange, TreeDiff};
pub use edit::{Edit, TreeEdit, decode_edits, encode_edits};
pub use editor::{EditorStats, Step, TreeEditor};
pub use key::{ItemKey, KeyKind, MAX_ID_BYTES, MAX_KEY_BYTES, container_prefix};
pub use node::{Child, Found, MAX_LEVEL, Node, TreeEntry};
pub use scan::{RangeScan, ScanStep};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::blob::ChunkRef;

/// Longest value in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// A node closes at the latest when its entries weigh this many bytes: key and value in a leaf, key and 64 in an
/// inner node. With [`MAX_VALUE_BYTES`] this keeps every node within a chunk.
pub const NODE_CUT_BYTES: usize = 1 << 20;
/// A node of level l closes when the boundary hash has at least this many times (l + 1) trailing zero bits:
/// on average 64 entries a node.
pub const FANOUT_BITS: u32 = 6;

/// The root node of a tree. An empty tree has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct TreeRoot {
    /// The chunk that holds the node.
    #[n(0)]
    pub chunk: ChunkRef,
    /// The node's level: 0 for a leaf.
    #[n(1)]
    pub level: u8,
    /// Entries in the whole tree.
    #[n(2)]
    pub entries: u64,
    /// Sum of the entries' sizes.
    #[n(3)]
    pub bytes: u64,
}
