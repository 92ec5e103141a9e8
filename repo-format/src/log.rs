//! The commit log: records that change what the repository contains, and checkpoints of the result.

use minicbor::{Decode, Encode};

use crate::cbor;
use crate::codec::Codec;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::{CommitHash, IndexId, PackId, PointId, RunId, WriterId};
use crate::manifest::{Manifest, Protection, RunProgress};
use crate::object::{self, ObjectType};
use crate::tree::ItemKey;

/// The longest commit record in bytes of plaintext.
pub const MAX_COMMIT_BYTES: usize = 64 << 20;
/// The longest checkpoint in bytes of plaintext.
pub const MAX_CHECKPOINT_BYTES: usize = 1 << 30;

/// An index segment that belongs to the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct IndexRef {
    /// The segment.
    #[n(0)]
    pub id: IndexId,
    /// Length of its object in bytes.
    #[n(1)]
    pub size: u64,
    /// Number of packs in it.
    #[n(2)]
    pub packs: u32,
    /// Number of chunks in it.
    #[n(3)]
    pub chunks: u64,
}

/// One change. Stored as `[tag, {fields}]`; an unknown tag makes the repository unreadable for this version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[non_exhaustive]
pub enum Operation {
    /// New packs: the segments that describe them.
    #[n(1)]
    AddIndex {
        /// The segments.
        #[n(0)]
        segments: Vec<IndexRef>,
    },
    /// A new recovery point. Ends the run: its progress goes.
    #[n(2)]
    AddPoint {
        /// The point's manifest.
        #[n(0)]
        manifest: Box<Manifest>,
    },
    /// How far a run came; replaces what was recorded for the same run.
    #[n(3)]
    Progress {
        /// The run's progress.
        #[n(0)]
        progress: Box<RunProgress>,
    },
    /// Removes recovery points.
    #[n(4)]
    RemovePoints {
        /// The points; all must exist.
        #[n(0)]
        points: Vec<PointId>,
        /// Why, for the history.
        #[n(1)]
        reason: String,
    },
    /// Replaces protection and description of a point.
    #[n(5)]
    EditPoint {
        /// The point; must exist.
        #[n(0)]
        point: PointId,
        /// Its new protection.
        #[n(1)]
        protection: Protection,
        /// Its new description; absent: none.
        #[n(2)]
        description: Option<String>,
    },
    /// Forgets a run's progress.
    #[n(6)]
    DropProgress {
        /// The run; its progress must exist.
        #[n(0)]
        run: RunId,
    },
    /// Replaces index segments by others that describe the packs still wanted.
    #[n(7)]
    ReplaceIndex {
        /// New segments.
        #[n(0)]
        add: Vec<IndexRef>,
        /// Segments that no longer count; all must be current.
        #[n(1)]
        remove: Vec<IndexId>,
    },
    /// Announces that packs will be removed: from here on no commit may rely on them.
    #[n(8)]
    Tombstone {
        /// The packs.
        #[n(0)]
        packs: Vec<PackId>,
    },
    /// Tombstoned packs are gone from the store.
    #[n(9)]
    RemovedPacks {
        /// The packs; all must be tombstoned.
        #[n(0)]
        packs: Vec<PackId>,
    },
    /// Takes tombstones back: the packs stay.
    #[n(10)]
    Revive {
        /// The packs; all must be tombstoned.
        #[n(0)]
        packs: Vec<PackId>,
    },
    /// What was found damaged, and what was found whole again.
    #[n(11)]
    Damage {
        /// Damaged packs; replaces what was known of each.
        #[n(0)]
        packs: Vec<DamagedPack>,
        /// Packs of which nothing is known to be damaged any more.
        #[n(1)]
        sound: Vec<PackId>,
        /// Points that cannot be read in full; all must exist. Replaces what was known of each.
        #[n(2)]
        points: Vec<PointDamage>,
        /// Points that are whole.
        #[n(3)]
        whole: Vec<PointId>,
    },
}

/// A pack of which blocks cannot be read: chunks that are nowhere else must not be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DamagedPack {
    /// The pack.
    #[n(0)]
    pub pack: PackId,
    /// Places of the damaged blocks in the pack's directory, 0 for the first, ascending. Empty: all of them.
    #[n(1)]
    pub blocks: Vec<u32>,
}

/// What cannot be read of a recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PointDamage {
    /// The point.
    #[n(0)]
    pub point: PointId,
    /// How many entries cannot be read: items, entries of lost stretches of its tree, and one for its cursor and ledger each.
    #[n(1)]
    pub lost: u64,
    /// Those of them that are single items, or none if they are too many. As long as these are fewer than `lost`, the point
    /// is nothing to build another one on.
    #[n(2)]
    pub items: Vec<ItemKey>,
    /// The first cause, for people.
    #[n(3)]
    pub what: String,
    /// When it was found, milliseconds since 1970 UTC.
    #[n(4)]
    pub found_ms: i64,
}

impl PointDamage {
    /// Whether every loss is a single item that is named, so that reading those items again makes the point whole.
    #[must_use]
    pub fn names_all(&self) -> bool {
        self.items.len() as u64 == self.lost
    }
}

/// One commit: the only thing that changes a repository.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitRecord {
    /// Its number; the first is 1.
    #[n(0)]
    pub seq: u64,
    /// Hash of the commit before; [`CommitHash::NONE`] for the first.
    #[n(1)]
    pub previous: CommitHash,
    /// Random token of the writer session: tells a writer whether a commit is its own.
    #[n(2)]
    pub writer: WriterId,
    /// When, milliseconds since 1970 UTC, by the writer's clock. Informative only.
    #[n(3)]
    pub time_ms: i64,
    /// What wrote it, name and version.
    #[n(4)]
    pub software: String,
    /// The changes, in order. All or none.
    #[n(5)]
    pub operations: Vec<Operation>,
    /// Until when the store's locks hold on everything that the state after this commit needs, at least, milliseconds since
    /// 1970 UTC; `None`: not known, or nothing is locked.
    #[n(6)]
    pub locked_ms: Option<i64>,
}

impl CommitRecord {
    /// Seals the record: the bytes of the object `log/<seq>` and their hash, which the next commit names.
    ///
    /// # Errors
    /// `LimitExceeded` above [`MAX_COMMIT_BYTES`], `EncodeCheckFailed`.
    pub fn seal(&self, keys: &KeySet, codec: &mut Codec) -> Result<(CommitHash, Vec<u8>)> {
        let bytes = seal(keys, codec, ObjectType::Commit, self.seq, self, MAX_COMMIT_BYTES)?;
        Ok((CommitHash::of(&bytes), bytes))
    }

    /// Opens the object `log/<seq>`: the record and the hash of the object.
    ///
    /// # Errors
    /// As every sealed object; `IdMismatch` when it is the commit of another number; `UnsupportedFeature` for an
    /// operation this version does not know.
    pub fn open(keys: &KeySet, codec: &mut Codec, seq: u64, bytes: &[u8]) -> Result<(CommitHash, Self)> {
        let plain = object::open(keys, codec, ObjectType::Commit, seq, bytes, MAX_COMMIT_BYTES)?;
        let record: Self = cbor::decode("commit", &plain)?;
        if record.seq != seq {
            return Err(FormatError::IdMismatch { what: "commit" });
        }
        Ok((CommitHash::of(bytes), record))
    }
}

/// A point that was removed. Its id stays known, so that no later point can take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RemovedPoint {
    /// The point.
    #[n(0)]
    pub id: PointId,
    /// The commit that removed it.
    #[n(1)]
    pub seq: u64,
}

/// A pack that is going to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TombstonedPack {
    /// The pack.
    #[n(0)]
    pub pack: PackId,
    /// The commit that announced it.
    #[n(1)]
    pub seq: u64,
}

/// The state after a commit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkpoint {
    /// The commit.
    #[n(0)]
    pub seq: u64,
    /// Its hash.
    #[n(1)]
    pub commit_hash: CommitHash,
    /// The points, in the order of their ids.
    #[n(2)]
    pub points: Vec<Manifest>,
    /// Removed points, in the order of their ids.
    #[n(3)]
    pub removed_points: Vec<RemovedPoint>,
    /// Current index segments, in the order of their ids.
    #[n(4)]
    pub segments: Vec<IndexRef>,
    /// Progress of unfinished runs, in the order of the run ids.
    #[n(5)]
    pub progress: Vec<RunProgress>,
    /// Tombstoned packs, in the order of their ids.
    #[n(6)]
    pub tombstones: Vec<TombstonedPack>,
    /// Commits up to this number may have been removed from the store; 0 when none. A writer whose put of a
    /// commit with such a number succeeded has written into the past: it has committed nothing.
    #[n(7)]
    pub boundary: u64,
    /// Packs known to be damaged, in the order of their ids; `None`: none.
    #[n(8)]
    pub damaged_packs: Option<Vec<DamagedPack>>,
    /// Points known to be damaged, in the order of their ids; `None`: none.
    #[n(9)]
    pub damaged_points: Option<Vec<PointDamage>>,
    /// What the commit said about locks.
    #[n(10)]
    pub locked_ms: Option<i64>,
}

impl Checkpoint {
    /// Seals the checkpoint: the bytes of the object `checkpoint/<seq>`.
    ///
    /// # Errors
    /// `LimitExceeded` above [`MAX_CHECKPOINT_BYTES`], `EncodeCheckFailed`.
    pub fn seal(&self, keys: &KeySet, codec: &mut Codec) -> Result<Vec<u8>> {
        seal(
            keys,
            codec,
            ObjectType::Checkpoint,
            self.seq,
            self,
            MAX_CHECKPOINT_BYTES,
        )
    }

    /// Opens the object `checkpoint/<seq>`.
    ///
    /// # Errors
    /// As every sealed object; `IdMismatch` when it is the checkpoint of another number.
    pub fn open(keys: &KeySet, codec: &mut Codec, seq: u64, bytes: &[u8]) -> Result<Self> {
        let plain = object::open(
            keys,
            codec,
            ObjectType::Checkpoint,
            seq,
            bytes,
            MAX_CHECKPOINT_BYTES,
        )?;
        let checkpoint: Self = cbor::decode("checkpoint", &plain)?;
        if checkpoint.seq != seq {
            return Err(FormatError::IdMismatch { what: "checkpoint" });
        }
        Ok(checkpoint)
    }
}

fn seal<T: Encode<()>>(
    keys: &KeySet,
    codec: &mut Codec,
    kind: ObjectType,
    seq: u64,
    record: &T,
    limit: usize,
) -> Result<Vec<u8>> {
    let what = kind.as_str();
    if seq == 0 {
        return Err(FormatError::corrupt(what, "numbers begin at 1"));
    }
    let plain = cbor::encode(what, record)?;
    if plain.len() > limit {
        return Err(FormatError::LimitExceeded {
            what,
            limit: limit as u64,
            found: plain.len() as u64,
        });
    }
    object::seal(keys, codec, kind, seq, &plain)
}
