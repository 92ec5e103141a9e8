//! The record of an item: what a backup knows about it and where its content is.

use std::collections::BTreeMap;

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::blob::{Blob, ChunkRef};
use crate::cbor::{self, UnknownTag, coded_enum};
use crate::error::{FormatError, Result};
use crate::ids::ContentHash;
use crate::split::Encoding;
use crate::tree::{ItemKey, KeyKind};

coded_enum! {
    /// The kind of an item.
    ItemKind, "item kind" {
        /// A folder, calendar, list or library: something that holds items.
        Container = 1 "container",
        /// A mail message.
        Message = 2 "message",
        /// A calendar event.
        Event = 3 "event",
        /// A contact.
        Contact = 4 "contact",
        /// A task.
        Task = 5 "task",
        /// A file.
        File = 6 "file",
        /// A row of a list.
        ListItem = 7 "list-item",
        /// Anything else.
        Other = 8 "other",
    }
}

/// A property value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A number; also times, in milliseconds since 1970 UTC.
    Integer(i64),
    /// Text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl Value {
    /// The text, when it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, when it is one.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The list, when it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[String]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<String>> for Value {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}

impl<C> Encode<C> for Value {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Bool(value) => e.bool(*value)?.ok(),
            Self::Integer(value) => e.i64(*value)?.ok(),
            Self::Text(value) => e.str(value)?.ok(),
            Self::List(list) => list.encode(e, ctx),
        }
    }
}

impl<'b, C> Decode<'b, C> for Value {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::data::Type;
        let at = d.position();
        match d.datatype()? {
            Type::Bool => d.bool().map(Self::Bool),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                d.i64().map(Self::Integer)
            }
            Type::String => d.str().map(|text| Self::Text(text.to_owned())),
            Type::Array => Vec::decode(d, ctx).map(Self::List),
            // The initial byte stands in for a tag.
            _ => {
                let byte = d.input().get(at).copied().unwrap_or_default();
                Err(minicbor::decode::Error::custom(UnknownTag("property type", byte.into())).at(at))
            }
        }
    }
}

/// Small properties for browsing and searching, by name.
pub type PropertyBag = BTreeMap<String, Value>;

/// Where the bytes of a segment are. Stored as a byte string, or as an array of chunk references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentData {
    /// The bytes themselves; for a few bytes.
    Inline(Vec<u8>),
    /// The chunks whose plaintexts, one after the other, are the bytes.
    Chunks(Vec<ChunkRef>),
}

impl<C> Encode<C> for SegmentData {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Inline(bytes) => e.bytes(bytes)?.ok(),
            Self::Chunks(chunks) => chunks.encode(e, ctx),
        }
    }
}

impl<'b, C> Decode<'b, C> for SegmentData {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        match d.datatype()? {
            minicbor::data::Type::Bytes => Ok(Self::Inline(d.bytes()?.to_vec())),
            _ => Vec::decode(d, ctx).map(Self::Chunks),
        }
    }
}

/// A stretch of a part. The part is its segments' encoded bytes, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Segment {
    /// How the stored bytes become the part's bytes.
    #[n(0)]
    #[cbor(default, skip_if = "Encoding::is_raw")]
    pub encoding: Encoding,
    /// Length in the part, after encoding, in bytes.
    #[n(1)]
    pub length: u64,
    /// The stored bytes.
    #[n(2)]
    pub data: SegmentData,
}

impl Segment {
    /// Length of the stored bytes, before encoding.
    #[must_use]
    pub fn stored_length(&self) -> u64 {
        match &self.data {
            SegmentData::Inline(bytes) => bytes.len() as u64,
            SegmentData::Chunks(chunks) => chunks.iter().map(|c| u64::from(c.length)).sum(),
        }
    }

    /// The chunks it refers to.
    #[must_use]
    pub fn chunks(&self) -> &[ChunkRef] {
        match &self.data {
            SegmentData::Inline(_) => &[],
            SegmentData::Chunks(chunks) => chunks,
        }
    }
}

/// The segments of a part. Stored as `[0, [segment, ...]]` or `[1, blob]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentList {
    /// The segments themselves.
    Direct(Vec<Segment>),
    /// The segments as a CBOR sequence in a blob, for parts of many chunks, so that a record stays small. A raw
    /// segment may be cut into several there.
    Indirect(Blob),
}

/// More chunks than this in a part, and its segment list is stored as chunks. Policy of the writer.
pub const DIRECT_CHUNKS: usize = 64;
/// Raw segments up to this length are kept inline in the record. Policy of the writer.
pub const INLINE_SEGMENT_BYTES: usize = 256;

impl<C> Encode<C> for SegmentList {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Direct(segments) => {
                e.array(2)?.u8(0)?;
                segments.encode(e, ctx)
            }
            Self::Indirect(blob) => {
                e.array(2)?.u8(1)?;
                blob.encode(e, ctx)
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for SegmentList {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::decode::Error;
        let at = d.position();
        let length = d.array()?;
        match (d.u64()?, length) {
            (0, Some(2)) => Vec::decode(d, ctx).map(Self::Direct),
            (1, Some(2)) => Blob::decode(d, ctx).map(Self::Indirect),
            (0 | 1, _) => Err(Error::message("a segment list of wrong length").at(at)),
            (tag, _) => Err(Error::custom(UnknownTag("segment list", tag)).at(at)),
        }
    }
}

/// Encodes segments as a CBOR sequence, the content of [`SegmentList::Indirect`]. Results may be appended.
///
/// # Errors
/// `Corrupt` when a segment cannot be encoded; does not happen.
pub fn encode_segments(segments: &[Segment]) -> Result<Vec<u8>> {
    cbor::encode_sequence("segment list", segments)
}

/// Decodes a CBOR sequence of segments.
///
/// # Errors
/// `Truncated`, `Corrupt`, `UnsupportedFeature`.
pub fn decode_segments(bytes: &[u8]) -> Result<Vec<Segment>> {
    cbor::decode_sequence("segment list", bytes)
}

/// One piece of an item's content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct ContentPart {
    /// Which piece: `mime`, `json`, `content`, `attachment:<id>`.
    #[n(0)]
    pub name: String,
    /// Its media type, when known.
    #[n(1)]
    pub media_type: Option<String>,
    /// Its length in bytes.
    #[n(2)]
    pub size: u64,
    /// Keyed hash of all its bytes.
    #[n(3)]
    pub hash: ContentHash,
    /// Its bytes.
    #[n(4)]
    pub segments: SegmentList,
    /// What else is known about it.
    #[n(5)]
    #[cbor(default, skip_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// An item or container of a recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct ItemRecord {
    /// What it is.
    #[n(0)]
    pub kind: ItemKind,
    /// Its id at the source; immutable where the source has immutable ids.
    #[n(1)]
    pub id: String,
    /// The id of the container it lies in; empty for the root.
    #[n(2)]
    pub container: String,
    /// Subject, file name, folder name.
    #[n(3)]
    pub name: String,
    /// The source's version mark (change key, eTag), to tell unchanged from changed.
    #[n(4)]
    pub change_key: Option<String>,
    /// Its size in bytes as the source states it, else the sum of its parts.
    #[n(5)]
    #[cbor(default)]
    pub size: u64,
    /// Created, milliseconds since 1970 UTC.
    #[n(6)]
    pub created_ms: Option<i64>,
    /// Last modified, milliseconds since 1970 UTC.
    #[n(7)]
    pub modified_ms: Option<i64>,
    /// Received, milliseconds since 1970 UTC.
    #[n(8)]
    pub received_ms: Option<i64>,
    /// Sent, milliseconds since 1970 UTC.
    #[n(9)]
    pub sent_ms: Option<i64>,
    /// The source's own type: `@odata.type` or message class.
    #[n(10)]
    pub item_type: Option<String>,
    /// Properties for browsing and searching.
    #[n(11)]
    #[cbor(default, skip_if = "BTreeMap::is_empty")]
    pub properties: PropertyBag,
    /// Its content.
    #[n(12)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub parts: Vec<ContentPart>,
}

impl ItemRecord {
    /// A record with these identifying fields and nothing else.
    #[must_use]
    pub fn new(
        kind: ItemKind,
        container: impl Into<String>,
        id: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            id: id.into(),
            container: container.into(),
            name: name.into(),
            change_key: None,
            size: 0,
            created_ms: None,
            modified_ms: None,
            received_ms: None,
            sent_ms: None,
            item_type: None,
            properties: PropertyBag::new(),
            parts: Vec::new(),
        }
    }

    /// The record's key in the manifest tree.
    ///
    /// # Errors
    /// `InvalidId` when an id is empty, too long or has a NUL.
    pub fn key(&self) -> Result<ItemKey> {
        let kind = match self.kind {
            ItemKind::Container => KeyKind::Container,
            _ => KeyKind::Item,
        };
        ItemKey::new(self.container.clone(), kind, self.id.clone())
    }

    /// The deterministic CBOR of the record: a value of the manifest tree.
    ///
    /// # Errors
    /// `LimitExceeded` above [`crate::tree::MAX_VALUE_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bytes = cbor::encode("item record", self)?;
        let limit = crate::tree::MAX_VALUE_BYTES;
        if bytes.len() > limit {
            return Err(FormatError::LimitExceeded {
                what: "item record",
                limit: limit as u64,
                found: bytes.len() as u64,
            });
        }
        Ok(bytes)
    }

    /// Reads what [`ItemRecord::encode`] wrote.
    ///
    /// # Errors
    /// `Truncated`, `Corrupt`, `UnsupportedFeature`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        cbor::decode("item record", bytes)
    }

    /// The part with this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&ContentPart> {
        self.parts.iter().find(|part| part.name == name)
    }
}
