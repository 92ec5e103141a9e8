//! The header that every binary object begins with, and objects that are one sealed record.

use crate::cbor::coded_enum;
use crate::codec::Codec;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::RepositoryId;

/// Length of an [`ObjectHeader`] in bytes.
pub const HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"NAKIVOB1";
const VERSION: u8 = 1;
const WHAT: &str = "object header";

coded_enum! {
    /// The kind of a binary object.
    ObjectType, "object kind" {
        /// A pack: sealed blocks and their directory.
        Pack = 1 "pack",
        /// An index segment.
        Index = 2 "index",
        /// A commit record.
        Commit = 3 "commit",
        /// A checkpoint: the state after a commit.
        Checkpoint = 4 "checkpoint",
    }
}

/// The first 64 bytes of every binary object. All of them are associated data of everything sealed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectHeader {
    /// What the object is.
    pub kind: ObjectType,
    /// The key epoch it is sealed under.
    pub epoch: u32,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// Commitment to the key it is sealed under (AES-SIV alone does not commit to its key).
    pub commitment: [u8; 16],
    /// The sequence number of a commit or checkpoint; 0 for the others.
    pub number: u64,
}

impl ObjectHeader {
    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8] = self.kind.code();
        out[9] = VERSION;
        // 10..12: flags, 0 in this version.
        out[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..32].copy_from_slice(self.repository.as_bytes());
        out[32..48].copy_from_slice(&self.commitment);
        out[48..56].copy_from_slice(&self.number.to_le_bytes());
        // 56..64: reserved, 0 in this version.
        out
    }

    /// Reads the header at the beginning of `bytes`. Says nothing about authenticity.
    ///
    /// # Errors
    /// `Truncated`, `BadMagic`, `UnsupportedVersion`, `UnsupportedFeature` (kind, flags), `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let raw: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(FormatError::Truncated { what: WHAT })?;
        if &raw[..8] != MAGIC {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        if raw[9] != VERSION {
            return Err(FormatError::UnsupportedVersion {
                what: WHAT,
                found: raw[9].into(),
                supported: VERSION.into(),
            });
        }
        let kind = ObjectType::from_code(raw[8]).ok_or_else(|| FormatError::UnsupportedFeature {
            what: WHAT,
            feature: format!("object kind {}", raw[8]),
        })?;
        if raw[10..12] != [0, 0] {
            return Err(FormatError::UnsupportedFeature {
                what: WHAT,
                feature: "flags".into(),
            });
        }
        if raw[56..] != [0; 8] {
            return Err(FormatError::corrupt(WHAT, "reserved bytes are not zero"));
        }
        let header = Self {
            kind,
            epoch: u32::from_le_bytes(part(raw, 12)),
            repository: RepositoryId::from_bytes(part(raw, 16)),
            commitment: part(raw, 32),
            number: u64::from_le_bytes(part(raw, 48)),
        };
        if header.number != 0 && matches!(kind, ObjectType::Pack | ObjectType::Index) {
            return Err(FormatError::corrupt(WHAT, "a number where none belongs"));
        }
        Ok(header)
    }
}

/// `N` bytes of `raw` from `at`.
fn part<const N: usize>(raw: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

/// Makes an object that is one sealed record: header, then the sealed payload.
pub(crate) fn seal(
    keys: &KeySet,
    codec: &mut Codec,
    kind: ObjectType,
    number: u64,
    plain: &[u8],
) -> Result<Vec<u8>> {
    let header = keys.header(kind, number).encode();
    let aad: [&[u8]; 2] = [&header, kind.as_str().as_bytes()];
    codec.seal(keys.current(), kind.as_str(), &aad, &header, &[plain])
}

/// Opens an object that is one sealed record: its header and its plaintext, of at most `limit` bytes.
pub(crate) fn open(
    keys: &KeySet,
    codec: &mut Codec,
    kind: ObjectType,
    number: u64,
    bytes: &[u8],
    limit: usize,
) -> Result<Vec<u8>> {
    let what = kind.as_str();
    let header = ObjectHeader::decode(bytes)?;
    let epoch = keys.keys_for(&header, kind)?;
    if header.number != number {
        return Err(FormatError::IdMismatch { what });
    }
    let (head, sealed) = bytes.split_at(HEADER_BYTES);
    codec.open(&epoch, what, &[head, what.as_bytes()], sealed, limit)
}
