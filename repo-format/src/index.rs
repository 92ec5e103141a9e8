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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChunkId;
    use crate::pack::{BlockRole, ChunkEntry};

    fn pack(number: u8) -> IndexedPack {
        IndexedPack {
            id: PackId::from_bytes([number; 32]),
            size: 1000,
            epoch: 0,
            blocks: vec![BlockEntry {
                offset: 64,
                stored_length: 200,
                role: BlockRole::Data,
                chunks: vec![
                    ChunkEntry {
                        id: ChunkId::from_bytes([number; 32]),
                        length: 100,
                    };
                    2
                ],
            }],
        }
    }

    /// The record with this many fields, of which number 0 holds the packs.
    fn record(fields: &[u32], packs: &[IndexedPack]) -> OpenedSegment {
        let mut encoder = minicbor::Encoder::new(Vec::new());
        encoder.map(fields.len() as u64).unwrap();
        for field in fields {
            encoder.u32(*field).unwrap();
            if *field == 0 {
                let stored = packs.iter().map(|pack| StoredPack {
                    id: pack.id,
                    size: pack.size,
                    epoch: pack.epoch,
                    blocks: Entries(pack.blocks.clone()),
                });
                encoder.encode(stored.collect::<Vec<_>>()).unwrap();
            } else {
                encoder.encode(vec![7u8; 3]).unwrap();
            }
        }
        OpenedSegment {
            plain: encoder.into_writer(),
        }
    }

    #[test]
    fn packs_come_one_by_one_past_fields_of_later_versions() {
        let packs: Vec<_> = (1..=3).map(pack).collect();
        for fields in [&[0][..], &[0, 1, 9], &[1, 0], &[1, 0, 9]] {
            let segment = record(fields, &packs);
            let found: Vec<_> = segment.packs().unwrap().collect::<Result<_>>().unwrap();
            assert_eq!(found, packs, "{fields:?}");
            assert_eq!(segment.count().unwrap(), (3, 6));
            let ids: Vec<_> = packs.iter().map(|pack| pack.id).collect();
            assert_eq!(segment.pack_ids().unwrap(), ids);
        }
        assert_eq!(record(&[0], &[]).count().unwrap(), (0, 0));
    }

    #[test]
    fn a_record_that_is_cut_or_goes_on_is_refused() {
        let whole = record(&[0, 1], &[pack(1), pack(2)]);
        for length in 0..whole.plain.len() {
            let cut = OpenedSegment {
                plain: whole.plain[..length].to_vec(),
            };
            assert!(cut.count().is_err(), "{length} bytes");
            // And nothing comes behind the error.
            if let Ok(mut packs) = cut.packs() {
                while packs.next().is_some_and(|pack| pack.is_ok()) {}
                assert!(packs.next().is_none());
            }
        }
        let longer = OpenedSegment {
            plain: [&whole.plain[..], &[0]].concat(),
        };
        assert!(longer.count().is_err());
        assert!(record(&[1], &[]).count().is_err(), "no packs at all");
    }
}
