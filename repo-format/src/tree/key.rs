//! Keys of the manifest tree: container id, 0x00, tag, item id.
//!
//! Ids hold no NUL, so the encoding is unambiguous and everything in a container lies in one key range.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::cbor::coded_enum;
use crate::error::{FormatError, Result};

/// Longest id of an item or container in bytes.
pub const MAX_ID_BYTES: usize = 1024;
/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 2 * MAX_ID_BYTES + 2;

const WHAT: &str = "tree key";

coded_enum! {
    /// What a key names.
    KeyKind, "key tag" {
        /// A container (folder). Sorts before the items beside it.
        Container = 1 "container",
        /// An item.
        Item = 2 "item",
    }
}

/// Names an item or container within one protected object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ItemKey {
    container: String,
    kind: KeyKind,
    id: String,
}

impl ItemKey {
    /// The key of the entry `id` inside `container`. The root container's id is empty.
    ///
    /// # Errors
    /// `InvalidId` for an empty id, an id above 1024 bytes, or NUL in either.
    pub fn new(container: impl Into<String>, kind: KeyKind, id: impl Into<String>) -> Result<Self> {
        let (container, id) = (container.into(), id.into());
        if id.is_empty() {
            return Err(FormatError::InvalidId {
                what: WHAT,
                detail: "empty".into(),
            });
        }
        check_part(&container)?;
        check_part(&id)?;
        Ok(Self { container, kind, id })
    }

    /// The key of an item.
    ///
    /// # Errors
    /// As [`ItemKey::new`].
    pub fn item(container: impl Into<String>, id: impl Into<String>) -> Result<Self> {
        Self::new(container, KeyKind::Item, id)
    }

    /// The key of a container that lies in `parent`.
    ///
    /// # Errors
    /// As [`ItemKey::new`].
    pub fn container_in(parent: impl Into<String>, id: impl Into<String>) -> Result<Self> {
        Self::new(parent, KeyKind::Container, id)
    }

    /// The id of the container it lies in; empty for the root.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// What it names.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The id of the item or container itself.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key's bytes; keys sort as these do.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.container.len() + 2 + self.id.len());
        out.extend_from_slice(self.container.as_bytes());
        out.push(0);
        out.push(self.kind.code());
        out.extend_from_slice(self.id.as_bytes());
        out
    }

    /// Reads what [`ItemKey::to_bytes`] wrote.
    ///
    /// # Errors
    /// `InvalidId`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let invalid = |detail: &str| FormatError::InvalidId {
            what: WHAT,
            detail: detail.into(),
        };
        let nul = bytes
            .iter()
            .position(|b| *b == 0)
            .ok_or_else(|| invalid("no separator"))?;
        let (container, rest) = (&bytes[..nul], &bytes[nul + 1..]);
        let (tag, id) = rest.split_first().ok_or_else(|| invalid("no tag"))?;
        let kind = KeyKind::from_code(*tag).ok_or_else(|| invalid("unknown tag"))?;
        let text = |part: &[u8]| {
            std::str::from_utf8(part)
                .map(str::to_owned)
                .map_err(|_| invalid("not UTF-8"))
        };
        Self::new(text(container)?, kind, text(id)?)
    }
}

fn check_part(part: &str) -> Result<()> {
    let invalid = |detail: &str| FormatError::InvalidId {
        what: WHAT,
        detail: detail.into(),
    };
    if part.len() > MAX_ID_BYTES {
        return Err(invalid("longer than 1024 bytes"));
    }
    if part.as_bytes().contains(&0) {
        return Err(invalid("has a NUL"));
    }
    Ok(())
}

/// What every key of an entry in `container` begins with.
#[must_use]
pub fn container_prefix(container: &str) -> Vec<u8> {
    let mut prefix = container.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

impl PartialOrd for ItemKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ItemKey {
    /// The order of the encoded bytes. Comparing part by part is the same, because NUL sorts below every byte
    /// of an id.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.container.as_bytes(), self.kind, self.id.as_bytes()).cmp(&(
            other.container.as_bytes(),
            other.kind,
            other.id.as_bytes(),
        ))
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ItemKey({:?} {} {:?})", self.container, self.kind, self.id)
    }
}

impl<C> Encode<C> for ItemKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ItemKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::from_bytes(d.bytes()?).map_err(|_| minicbor::decode::Error::message("invalid tree key").at(at))
    }
}
