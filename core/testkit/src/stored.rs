//! Objects of a repository opened one at a time, by the decoders that read them and with nothing around: for suites that try
//! more damage than whole repositories could be opened for.

use std::ops::Range;

use nakivo_core::format::index::IndexSegment;
use nakivo_core::format::log::{Checkpoint, CommitRecord};
use nakivo_core::format::pack::{Directory, PackFooter, open_block, open_directory, verify_pack};
use nakivo_core::format::{
    Codec, Compression, FormatError, KeySet, KeySlot, ObjectHeader, ObjectType, RepositoryConfig, Secret,
    paths,
};

use crate::image::Image;

/// Opens objects with the keys of one repository.
#[derive(Debug)]
pub struct Opener {
    keys: KeySet,
    codec: Codec,
}

/// What an object is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named<'p> {
    Format,
    KeySlot(&'p str),
    Commit(u64),
    Checkpoint(u64),
    Index(&'p str),
    Pack(&'p str),
    Other,
}

impl<'p> Named<'p> {
    fn of(path: &'p str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let number = paths::parse_seq(name);
        match (path.split('/').next().unwrap_or_default(), number) {
            (paths::FORMAT, _) => Self::Format,
            (paths::KEYS, _) if !name.contains('.') => Self::KeySlot(name),
            (paths::LOG, Some(number)) => Self::Commit(number),
            (paths::CHECKPOINT, Some(number)) => Self::Checkpoint(number),
            (paths::INDEX, _) => Self::Index(name),
            (paths::PACKS, _) => Self::Pack(name),
            _ => Self::Other,
        }
    }
}

fn id<T: std::str::FromStr>(name: &str) -> Result<T, FormatError> {
    name.parse().map_err(|_| FormatError::IdMismatch { what: "name" })
}

impl Opener {
    /// Takes the keys from the slot that opens, with this secret or without one, and knows the newest epoch.
    ///
    /// # Panics
    /// If none opens.
    #[must_use]
    pub fn new(image: &Image, secret: Option<&Secret>) -> Self {
        let ring = |bytes: &[u8]| {
            let slot = KeySlot::parse(bytes).ok()?;
            let ring = match secret {
                Some(secret) => slot.open(&slot.try_secret(secret).ok()?).ok()?,
                None => slot.open_plain().ok()?,
            };
            Some(KeySet::of_ring(ring, slot.repository()))
        };
        let slots = image
            .objects()
            .iter()
            .filter(|(path, _)| path.as_ref().starts_with("keys/"));
        let keys = slots
            .filter_map(|(_, bytes)| ring(bytes))
            .max_by_key(KeySet::epoch);
        Self {
            keys: keys.expect("a key slot opens"),
            codec: Codec::new(Compression::Fast).expect("a codec"),
        }
    }

    /// Whether the format has a place for an object of this name.
    #[must_use]
    pub fn knows(path: &str) -> bool {
        Named::of(path) != Named::Other
    }

    /// Opens an object in full; one that has no place in the format is not looked at.
    ///
    /// # Errors
    /// What its decoder says.
    pub fn open(&mut self, path: &str, bytes: &[u8]) -> Result<(), FormatError> {
        match Named::of(path) {
            Named::Format => RepositoryConfig::parse(bytes).map(drop),
            Named::KeySlot(name) => match KeySlot::parse(bytes)?.id() == id(name)? {
                true => Ok(()),
                false => Err(FormatError::IdMismatch { what: "key slot" }),
            },
            Named::Commit(seq) => CommitRecord::open(&self.keys, &mut self.codec, seq, bytes).map(drop),
            Named::Checkpoint(seq) => Checkpoint::open(&self.keys, &mut self.codec, seq, bytes).map(drop),
            Named::Index(name) => {
                IndexSegment::open(&self.keys, &mut self.codec, &id(name)?, bytes).map(drop)
            }
            Named::Pack(name) => verify_pack(&self.keys, &mut self.codec, &id(name)?, bytes).map(drop),
            Named::Other => Ok(()),
        }
    }

    /// Prepares an object, which must be sound, for [`Opener::open_at`].
    ///
    /// # Errors
    /// What its decoder says.
    pub fn layout(&mut self, path: &str, bytes: &[u8]) -> Result<Layout, FormatError> {
        self.open(path, bytes)?;
        let Named::Pack(_) = Named::of(path) else {
            return Ok(Layout::default());
        };
        let header = ObjectHeader::decode(bytes)?;
        let directory = open_directory(&self.keys, &mut self.codec, &header, bytes.len() as u64, bytes)?;
        let tail = index(bytes.len() as u64 - PackFooter::decode(bytes)?.tail_length());
        Ok(Layout {
            pack: Some((header, directory, tail)),
        })
    }

    /// Opens what must be opened to read the byte at `at`: of a pack the block it is in, as a reader does that knows from the
    /// index where it lies, or header and directory; of anything else everything.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn open_at(
        &mut self,
        path: &str,
        bytes: &[u8],
        layout: &Layout,
        at: usize,
    ) -> Result<(), FormatError> {
        let Some((header, directory, tail)) = &layout.pack else {
            return self.open(path, bytes);
        };
        let inside = |range: &Range<usize>| range.contains(&at);
        for entry in &directory.blocks {
            let range = index(entry.range().start)..index(entry.range().end);
            if inside(&range) {
                return open_block(&self.keys, &mut self.codec, header, entry, &bytes[range]).map(drop);
            }
        }
        let changed = ObjectHeader::decode(bytes)?;
        self.keys.check_header(&changed, ObjectType::Pack)?;
        open_directory(
            &self.keys,
            &mut self.codec,
            &changed,
            bytes.len() as u64,
            &bytes[*tail..],
        )
        .map(drop)
    }
}

/// Where the parts of an object lie that are read apart.
#[derive(Debug, Default)]
pub struct Layout {
    /// Of a pack: its header and directory as they should be, and where the directory begins.
    pack: Option<(ObjectHeader, Directory, usize)>,
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
