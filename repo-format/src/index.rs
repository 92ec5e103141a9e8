//! Index segments: the directories of some packs, so that a chunk is found without reading packs.

use minicbor::{Decode, Encode};

use crate::cbor;
use crate::codec::Codec;
use crate::crypto::KeySet;
use crate::error::{FormatError, Result};
use crate::ids::{IndexId, PackId};
use crate::object::{self, ObjectType};
use crate::pack::Entries;
use crate::pack::{BlockEntry, FinishedPack};

const WHAT: &str = "index";

/// The longest index segment in bytes of plaintext.
pub const MAX_INDEX_BYTES: usize = 256 << 20;

/// A pack in an index segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPack {
    /// The pack.
    pub id: PackId,
    /// Its length in bytes.
    pub size: u64,
    /// The epoch it is sealed in; with it a block opens without reading the pack's header.
    pub epoch: u32,
    /// The entries of its directory.
    pub blocks: Vec<BlockEntry>,
}

impl IndexedPack {
    /// Number of chunks in it.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.blocks.iter().map(|block| block.chunks.len() as u64).sum()
    }
}

impl From<&FinishedPack> for IndexedPack {
    fn from(pack: &FinishedPack) -> Self {
        Self {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            blocks: pack.directory.blocks.clone(),
        }
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct StoredPack {
    #[n(0)]
    id: PackId,
    #[n(1)]
    size: u64,
    #[n(2)]
    epoch: u32,
    #[n(3)]
    blocks: Entries,
}

#[derive(Encode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    packs: Vec<StoredPack>,
}

/// An index segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSegment {
    /// The packs it describes.
    pub packs: Vec<IndexedPack>,
}

impl IndexSegment {
    /// Number of chunks in all packs of the segment.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.packs.iter().map(IndexedPack::chunks).sum()
    }

    /// Seals the segment: its id and its bytes.
    ///
    /// # Errors
    /// `LimitExceeded` above [`MAX_INDEX_BYTES`], `EncodeCheckFailed`.
    pub fn seal(self, keys: &KeySet, codec: &mut Codec) -> Result<(IndexId, Vec<u8>)> {
        let packs = self
            .packs
            .into_iter()
            .map(|p| StoredPack {
                id: p.id,
                size: p.size,
                epoch: p.epoch,
                blocks: Entries(p.blocks),
            })
            .collect();
        let plain = cbor::encode(WHAT, &Stored { packs })?;
        if plain.len() > MAX_INDEX_BYTES {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit: MAX_INDEX_BYTES as u64,
                found: plain.len() as u64,
            });
        }
        let bytes = object::seal(keys, codec, ObjectType::Index, 0, &plain)?;
        Ok((IndexId::of(&bytes), bytes))
    }

    /// Opens the segment named `id`.
    ///
    /// # Errors
    /// `IdMismatch` when the bytes are not the segment `id`; else as every sealed object.
    pub fn open(keys: &KeySet, codec: &mut Codec, id: &IndexId, bytes: &[u8]) -> Result<Self> {
        let opened = OpenedSegment::open(keys, codec, id, bytes)?;
        let packs = opened.packs()?.collect::<Result<_>>()?;
        Ok(Self { packs })
    }
}

/// An index segment whose packs are decoded one after the other: all of them at once take twice the memory.
#[derive(Debug)]
pub struct OpenedSegment {
    plain: Vec<u8>,
}

impl OpenedSegment {
    /// Opens the segment named `id`: its bytes are authenticated, and not decoded yet.
    ///
    /// # Errors
    /// `IdMismatch` when the bytes are not the segment `id`; else as every sealed object.
    pub fn open(keys: &KeySet, codec: &mut Codec, id: &IndexId, bytes: &[u8]) -> Result<Self> {
        if &IndexId::of(bytes) != id {
            return Err(FormatError::IdMismatch { what: WHAT });
        }
        let plain = object::open(keys, codec, ObjectType::Index, 0, bytes, MAX_INDEX_BYTES)?;
        Ok(Self { plain })
    }

    /// How many packs and chunks it lists.
    ///
    /// # Errors
    /// As decoding any record.
    pub fn count(&self) -> Result<(u64, u64)> {
        let (mut packs, mut chunks) = (0, 0);
        for pack in self.packs()? {
            packs += 1;
            chunks += pack?.chunks();
        }
        Ok((packs, chunks))
    }

    /// The packs that it lists.
    ///
    /// # Errors
    /// As decoding any record.
    pub fn pack_ids(&self) -> Result<Vec<PackId>> {
        self.packs()?.map(|pack| pack.map(|pack| pack.id)).collect()
    }

    /// Decodes its packs, in order. An error is the last item.
    ///
    /// # Errors
    /// As decoding any record.
    pub fn packs(&self) -> Result<Packs<'_>> {
        let mut packs = Packs {
            decoder: minicbor::Decoder::new(&self.plain),
            fields: 0,
            left: 0,
            ended: false,
        };
        packs.begin().map_err(|error| cbor::error(WHAT, &error))?;
        Ok(packs)
    }
}

/// The packs of an [`OpenedSegment`].
#[derive(Debug)]
pub struct Packs<'b> {
    decoder: minicbor::Decoder<'b>,
    /// Fields of the record behind the one that is read now.
    fields: u64,
    /// Packs not yet read.
    left: u64,
    ended: bool,
}

impl Packs<'_> {
    /// Goes to the first pack, past fields that this version does not know.
    fn begin(&mut self) -> std::result::Result<(), minicbor::decode::Error> {
        let wrong = minicbor::decode::Error::message;
        let unknown = || wrong("a length that is not told");
        self.fields = self.decoder.map()?.ok_or_else(unknown)?;
        while self.fields > 0 {
            self.fields -= 1;
            if self.decoder.u32()? == 0 {
                self.left = self.decoder.array()?.ok_or_else(unknown)?;
                return Ok(());
            }
            self.decoder.skip()?;
        }
        Err(wrong("the packs are missing"))
    }

    /// Past what follows the last pack, which must be whole and the end.
    fn end(&mut self) -> Result<()> {
        for _ in 0..2 * std::mem::take(&mut self.fields) {
            self.decoder.skip().map_err(|error| cbor::error(WHAT, &error))?;
        }
        if self.decoder.position() != self.decoder.input().len() {
            return Err(FormatError::corrupt(WHAT, "bytes after the end"));
        }
        Ok(())
    }
}

impl Iterator for Packs<'_> {
    type Item = Result<IndexedPack>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.left == 0 {
            self.ended = true;
            return self.end().err().map(Err);
        }
        self.left -= 1;
        let decoded = self.decoder.decode::<StoredPack>();
        self.ended = decoded.is_err();
        Some(match decoded {
            Ok(pack) => Ok(IndexedPack {
                id: pack.id,
                size: pack.size,
                epoch: pack.epoch,
                blocks: pack.blocks.0,
            }),
            Err(error) => Err(cbor::error(WHAT, &error)),
        })
    }
}
