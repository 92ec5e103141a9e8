//! Identifiers: newtypes over fixed bytes, printed as lower-case hexadecimal.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{FormatError, Result};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes `bytes` as lower-case hexadecimal.
pub(crate) fn write_hex(bytes: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    for b in bytes {
        f.write_char(char::from(HEX[usize::from(b >> 4)]))?;
        f.write_char(char::from(HEX[usize::from(b & 15)]))?;
    }
    Ok(())
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub(crate) fn parse_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N]> {
    let invalid = |detail: &str| FormatError::InvalidId {
        what,
        detail: detail.into(),
    };
    let raw = text.as_bytes();
    if raw.len() != 2 * N {
        return Err(invalid("wrong length"));
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(invalid("not lower-case hexadecimal")),
    };
    let mut out = [0u8; N];
    for (byte, pair) in out.iter_mut().zip(raw.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(out)
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $bytes;

            /// The identifier made of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the identifier.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write_hex(&self.0, f)?;
                f.write_str(")")
            }
        }

        impl FromStr for $name {
            type Err = FormatError;
            fn from_str(text: &str) -> Result<Self> {
                parse_hex($what, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                d.bytes()?
                    .try_into()
                    .map(Self)
                    .map_err(|_| minicbor::decode::Error::message(concat!($what, " has a wrong length")).at(at))
            }
        }
    };
}

macro_rules! random_id {
    ($($name:ident, $bytes:literal;)*) => {$(
        impl $name {
            /// The identifier made of random bytes, which the caller draws.
            #[must_use]
            pub const fn from_random_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }
    )*};
}

byte_id!(
    /// Names a repository. Random, fixed when the repository is made.
    RepositoryId, 16, "repository id"
);
byte_id!(
    /// Names a recovery point. Random.
    PointId, 16, "recovery point id"
);
byte_id!(
    /// Names one execution of a job. Random.
    RunId, 16, "run id"
);
byte_id!(
    /// Names one writer session, so that a writer recognises its own commit. Random.
    WriterId, 16, "writer id"
);
byte_id!(
    /// Names a chunk: keyed BLAKE3 of its plaintext.
    ChunkId, 32, "chunk id"
);
byte_id!(
    /// Names a block (the sealed unit inside a pack). See [`crate::crypto::KeySet::block_id`].
    BlockId, 32, "block id"
);
byte_id!(
    /// Names a pack: plain BLAKE3 of all its bytes.
    PackId, 32, "pack id"
);
byte_id!(
    /// Names an index segment: plain BLAKE3 of all its bytes.
    IndexId, 32, "index id"
);
byte_id!(
    /// Plain BLAKE3 of a commit object's bytes.
    CommitHash, 32, "commit hash"
);
byte_id!(
    /// Keyed BLAKE3 of a whole content part, under the chunk id key.
    ContentHash, 32, "content hash"
);
byte_id!(
    /// Names a key slot: the first 8 bytes of plain BLAKE3 of its file.
    SlotId, 8, "key slot id"
);

random_id! {
    RepositoryId, 16;
    PointId, 16;
    RunId, 16;
    WriterId, 16;
}

impl CommitHash {
    /// What the first commit names as its predecessor.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of a commit object's bytes.
    #[must_use]
    pub fn of(object: &[u8]) -> Self {
        Self(*blake3::hash(object).as_bytes())
    }
}

impl PackId {
    /// The id of a pack with these bytes.
    #[must_use]
    pub fn of(pack: &[u8]) -> Self {
        Self(*blake3::hash(pack).as_bytes())
    }
}

impl IndexId {
    /// The id of an index segment with these bytes.
    #[must_use]
    pub fn of(segment: &[u8]) -> Self {
        Self(*blake3::hash(segment).as_bytes())
    }
}

impl SlotId {
    /// The id of a key slot with these bytes.
    #[must_use]
    pub fn of(slot: &[u8]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&blake3::hash(slot).as_bytes()[..8]);
        Self(id)
    }
}

/// Names a protected object: `<source>/<kind>/<native id>`, chosen by the connector, stable for ever.
///
/// 1 to 1024 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

/// Longest [`ObjectId`] in bytes.
pub const MAX_OBJECT_ID_BYTES: usize = 1024;

impl ObjectId {
    /// Checks and wraps an object id.
    ///
    /// # Errors
    /// `InvalidId` when empty, longer than 1024 bytes, or with control characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let invalid = |detail: &str| FormatError::InvalidId {
            what: "object id",
            detail: detail.into(),
        };
        if text.is_empty() {
            return Err(invalid("empty"));
        }
        if text.len() > MAX_OBJECT_ID_BYTES {
            return Err(invalid("longer than 1024 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("has control characters"));
        }
        Ok(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({:?})", self.0)
    }
}

impl FromStr for ObjectId {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<C> Encode<C> for ObjectId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ObjectId {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::new(d.str()?).map_err(|_| minicbor::decode::Error::message("invalid object id").at(at))
    }
}
