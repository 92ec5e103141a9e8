//! The manifest tree: a persistent, content-addressed search tree from item keys to item records.

mod key;

pub use key::{ItemKey, KeyKind, MAX_ID_BYTES, MAX_KEY_BYTES, container_prefix};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::blob::ChunkRef;

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
