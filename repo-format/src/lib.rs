//! The backup repository's format: every byte that is ever stored, and nothing else.
//!
//! This crate turns values into bytes and bytes into values. It does no I/O, reads no clock, draws no
//! randomness and starts no thread: whoever uses it hands all of that in. Stored bytes are never trusted:
//! every decoder answers hostile input with a [`FormatError`], within fixed limits.
//!
//! `docs/repository-format.md` describes the same bytes in words; both change in the same commit.
//!
//! Where to start: [`ids`], then [`secret`], [`keyslot`], [`keyring`] and [`crypto`] (keys), [`object`] (the header all binary objects share),
//! [`pack`] and [`index`] (where chunks live), [`log`] and [`state`] (what the repository contains),
//! [`tree`] and [`record`] (what a recovery point contains), [`split`] (how content becomes chunks).

pub mod blob;
pub(crate) mod cbor;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod error;
pub mod ids;
pub mod index;
pub(crate) mod json;
pub mod keyring;
pub mod keyslot;
pub mod log;
pub mod manifest;
pub mod object;
pub mod pack;
pub mod paths;
pub mod record;
pub mod secret;
pub mod sequence;
pub(crate) mod siv;
pub mod split;
pub mod state;
pub mod tree;

pub use blob::{Blob, ChunkRef};
pub use codec::{Codec, Compression};
pub use config::{Concurrency, RepositoryConfig};
pub use crypto::{KeySet, MasterKey, PartHasher};
pub use error::{FormatError, Result};
pub use ids::{
    ChunkId, CommitHash, ContentHash, IndexId, ObjectId, PackId, PointId, RepositoryId, RunId, SlotId,
    WriterId,
};
pub use keyring::KeyRing;
pub use keyslot::{KdfParams, KeySlot, SlotKey, SlotKind};
pub use manifest::{Manifest, ObjectKind, ObjectRecord, RunProgress};
pub use object::{ObjectHeader, ObjectType};
pub use record::{ContentPart, ItemKind, ItemRecord, Segment, SegmentData, SegmentList, Value};
pub use secret::{Passphrase, RecoveryKey, Secret};
pub use state::{RepositoryState, StateError};
pub use tree::{ItemKey, KeyKind};

/// The format version this crate writes, and the highest it reads.
pub const FORMAT_VERSION: u32 = 1;
