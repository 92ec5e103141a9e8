//! What a recovery point says about itself: the manifest, its protected object, its ledger, run progress.

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::cbor::{self, UnknownTag, coded_enum};
use crate::error::Result;
use crate::ids::{ObjectId, PointId, RunId};
use crate::tree::{ItemKey, TreeRoot};

coded_enum! {
    /// The kind of a protected object.
    ObjectKind, "object kind" {
        /// A mailbox.
        Mailbox = 1 "mailbox",
        /// A drive.
        Drive = 2 "drive",
        /// A site.
        Site = 3 "site",
        /// A local directory.
        Folder = 4 "folder",
        /// Anything else a connector protects.
        Other = 5 "other",
    }
}

coded_enum! {
    /// How a run ended that left a recovery point.
    Outcome, "outcome" {
        /// Everything is stored.
        Complete = 1 "complete",
        /// Some items are not stored; the ledger lists each.
        Partial = 2 "partial",
    }
}

coded_enum! {
    /// What a ledger entry reports.
    LedgerKind, "ledger kind" {
        /// The item is not stored.
        Failed = 1 "failed",
        /// The item is not stored, for a permanent, named and documented cause.
        Skipped = 2 "skipped",
        /// The item is stored, with something to know about it.
        Warning = 3 "warning",
    }
}

/// A protected object as it was when the point was made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct ObjectRecord {
    /// Its id, stable over all points.
    #[n(0)]
    pub id: ObjectId,
    /// Its kind.
    #[n(1)]
    pub kind: ObjectKind,
    /// What people call it.
    #[n(2)]
    pub name: String,
    /// Its address: the mail address of a mailbox, the URL of a site.
    #[n(3)]
    pub address: Option<String>,
    /// The connector it comes from.
    #[n(4)]
    pub source: String,
    /// The id the source gives it.
    #[n(5)]
    pub native_id: String,
    /// The account it belongs to.
    #[n(6)]
    pub account: Option<String>,
}

/// What a run counted. Sizes are logical: what the source says, not what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct PointCounts {
    /// Items in the point.
    #[n(0)]
    #[cbor(default)]
    pub items: u64,
    /// Containers in the point.
    #[n(1)]
    #[cbor(default)]
    pub containers: u64,
    /// Sum of the items' sizes in bytes.
    #[n(2)]
    #[cbor(default)]
    pub bytes: u64,
    /// Items that are new since the base.
    #[n(3)]
    #[cbor(default)]
    pub added: u64,
    /// Items that differ from the base.
    #[n(4)]
    #[cbor(default)]
    pub changed: u64,
    /// Items that were in the base and are gone.
    #[n(5)]
    #[cbor(default)]
    pub removed: u64,
    /// Items taken over from the base.
    #[n(6)]
    #[cbor(default)]
    pub unchanged: u64,
    /// Items listed as skipped in the ledger.
    #[n(7)]
    #[cbor(default)]
    pub skipped: u64,
    /// Items listed as failed in the ledger.
    #[n(8)]
    #[cbor(default)]
    pub failed: u64,
    /// Warnings in the ledger.
    #[n(9)]
    #[cbor(default)]
    pub warnings: u64,
}

/// How long a point must be kept. Stored as `[0]`, `[1]` or `[2, ms]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Protection {
    /// The job's retention decides.
    #[default]
    JobRetention,
    /// Kept until somebody says otherwise.
    Forever,
    /// Kept at least until this time, milliseconds since 1970 UTC.
    Until(i64),
}

impl<C> Encode<C> for Protection {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::JobRetention => e.array(1)?.u8(0)?.ok(),
            Self::Forever => e.array(1)?.u8(1)?.ok(),
            Self::Until(ms) => e.array(2)?.u8(2)?.i64(*ms)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Protection {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let length = d.array()?;
        match (d.u64()?, length) {
            (0, Some(1)) => Ok(Self::JobRetention),
            (1, Some(1)) => Ok(Self::Forever),
            (2, Some(2)) => Ok(Self::Until(d.i64()?)),
            (0..=2, _) => Err(minicbor::decode::Error::message("a protection of wrong length").at(at)),
            (tag, _) => Err(minicbor::decode::Error::custom(UnknownTag("protection", tag)).at(at)),
        }
    }
}

/// The root document of one recovery point. Lies in the commit that adds the point.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Manifest {
    /// The point's id.
    #[n(0)]
    pub id: PointId,
    /// What it protects.
    #[n(1)]
    pub object: ObjectRecord,
    /// The run that made it.
    #[n(2)]
    pub run: RunId,
    /// The point it was computed from; `None` after a full enumeration from nothing.
    #[n(3)]
    pub base: Option<PointId>,
    /// When the run began, milliseconds since 1970 UTC. The point shows the object at about this time.
    #[n(4)]
    pub started_ms: i64,
    /// When the run ended, milliseconds since 1970 UTC.
    #[n(5)]
    pub finished_ms: i64,
    /// The manifest tree; `None` for an object without items.
    #[n(6)]
    pub root: Option<TreeRoot>,
    /// How the run ended.
    #[n(7)]
    pub outcome: Outcome,
    /// Where the next run continues. Opaque to the format.
    #[n(8)]
    pub cursor: Option<Blob>,
    /// What the run counted.
    #[n(9)]
    pub counts: PointCounts,
    /// Bytes read from the source.
    #[n(10)]
    #[cbor(default)]
    pub bytes_read: u64,
    /// Bytes added to the repository.
    #[n(11)]
    #[cbor(default)]
    pub bytes_stored: u64,
    /// Requests sent to the source.
    #[n(12)]
    #[cbor(default)]
    pub requests: u64,
    /// The outcome ledger: a CBOR sequence of [`LedgerEntry`]. `None` when there is nothing to report.
    #[n(13)]
    pub ledger: Option<Blob>,
    /// What wrote it, name and version.
    #[n(14)]
    pub software: String,
    /// The job it belongs to, as its owner names it.
    #[n(15)]
    pub job: Option<String>,
    /// How long it must be kept.
    #[n(16)]
    #[cbor(default)]
    pub protection: Protection,
    /// What people noted about it.
    #[n(17)]
    pub description: Option<String>,
}

/// Why an item is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Cause {
    /// A stable word that programs may rely on.
    #[n(0)]
    pub code: String,
    /// A sentence for people. May change.
    #[n(1)]
    pub message: String,
}

/// One line of the outcome ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LedgerEntry {
    /// What it reports.
    #[n(0)]
    pub kind: LedgerKind,
    /// The item, when it has a key.
    #[n(1)]
    pub item: Option<ItemKey>,
    /// The container, when no item is meant.
    #[n(2)]
    pub container: Option<String>,
    /// Where it lies, for people.
    #[n(3)]
    pub path: String,
    /// Why.
    #[n(4)]
    pub cause: Cause,
    /// Whether the next run should try again.
    #[n(5)]
    #[cbor(default)]
    pub retry: bool,
}

/// Longest ledger that is kept inline, in bytes. Policy of the writer.
pub const INLINE_LEDGER_BYTES: usize = 4096;

/// Encodes ledger entries as a CBOR sequence; append the results of several calls freely.
///
/// # Errors
/// `Corrupt` when an entry cannot be encoded; does not happen.
pub fn encode_ledger(entries: &[LedgerEntry]) -> Result<Vec<u8>> {
    cbor::encode_sequence("ledger", entries)
}

/// Decodes a CBOR sequence of ledger entries.
///
/// # Errors
/// `Truncated`, `Corrupt`, `UnsupportedFeature`.
pub fn decode_ledger(bytes: &[u8]) -> Result<Vec<LedgerEntry>> {
    cbor::decode_sequence("ledger", bytes)
}

/// How far an interrupted run came.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct RunProgress {
    /// The run.
    #[n(0)]
    pub run: RunId,
    /// The object it protects.
    #[n(1)]
    pub object: ObjectId,
    /// The point it started from.
    #[n(2)]
    pub base: Option<PointId>,
    /// When it began, milliseconds since 1970 UTC.
    #[n(3)]
    pub started_ms: i64,
    /// Sorted runs of tree edits: CBOR sequences, see [`crate::tree::encode_edits`].
    #[n(4)]
    #[cbor(default)]
    pub spills: Vec<Blob>,
    /// The engine's own state. Opaque to the format.
    #[n(5)]
    pub state: Option<Blob>,
    /// Bytes read from the source so far.
    #[n(6)]
    #[cbor(default)]
    pub bytes_read: u64,
    /// Bytes added to the repository so far.
    #[n(7)]
    #[cbor(default)]
    pub bytes_stored: u64,
}
