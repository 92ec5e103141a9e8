//! Storing damaged content again, when somebody still has the right bytes.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use nakivo_repo_format::record::{ContentPart, SegmentList};
use nakivo_repo_format::{ChunkId, ChunkRef, Manifest};

use super::{HealSource, Wanted};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::content::segments;
use crate::repository::shared::Shared;
use crate::repository::tree::decode_entry;
use crate::repository::verify::LostItem;
use crate::repository::write::{PartMode, Writer};

/// What restoring came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Restored {
    pub(super) parts: u64,
    pub(super) bytes: u64,
}

/// Looks for the bytes of damaged items and stores them again.
pub(super) struct Restorer<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) sources: &'a [Arc<dyn HealSource>],
    /// `None`: only looks whether the right bytes are to be had.
    pub(super) writer: Option<&'a Writer>,
    /// Chunks that would have been stored by now, had there been a writer.
    pub(super) found: HashSet<ChunkId>,
}

impl Restorer<'_> {
    /// Restores what is damaged of one item, as far as a source has it.
    pub(super) async fn item(&mut self, manifest: &Manifest, lost: &LostItem) -> Result<Restored> {
        let mut restored = Restored::default();
        let Ok((_, record)) = decode_entry(&lost.entry) else {
            return Ok(restored);
        };
        for part in &record.parts {
            if self.is_sound(part).await? {
                continue;
            }
            let wanted = Wanted {
                object: manifest.object.clone(),
                record: record.clone(),
                part: part.clone(),
            };
            for source in self.sources {
                if self.part(&**source, &wanted).await? {
                    self.note(part).await;
                    restored.parts += 1;
                    restored.bytes += part.size;
                    break;
                }
            }
        }
        Ok(restored)
    }

    /// Without a writer, remembers what a part found would have brought.
    async fn note(&mut self, part: &ContentPart) {
        if self.writer.is_some() {
            return;
        }
        if let SegmentList::Indirect(blob) = &part.segments {
            self.found.extend(blob.chunks().iter().map(|chunk| chunk.id));
        }
        let mut list = segments(self.shared, &part.segments);
        while let Ok(Some(segment)) = list.try_next().await {
            self.found.extend(segment.chunks().iter().map(|chunk| chunk.id));
        }
    }

    /// Whether every chunk of a part is where it can be relied on, or was stored again already.
    async fn is_sound(&self, part: &ContentPart) -> Result<bool> {
        let reliable = |chunks: &[ChunkRef]| {
            for chunk in chunks {
                let found = match self.writer {
                    Some(writer) => writer.packer.has(&chunk.id)?,
                    None => self.found.contains(&chunk.id) || self.shared.index().is_reliable(&chunk.id)?,
                };
                if !found {
                    return Ok(false);
                }
            }
            Ok::<_, Error>(true)
        };
        if let SegmentList::Indirect(blob) = &part.segments
            && !reliable(blob.chunks())?
        {
            return Ok(false);
        }
        let mut list = segments(self.shared, &part.segments);
        loop {
            match list.try_next().await {
                Ok(Some(segment)) if reliable(segment.chunks())? => {}
                Ok(None) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::ScratchFailed => return Err(error),
                _ => return Ok(false),
            }
        }
    }

    /// Whether this source gave the right bytes. They are read twice: once to see that they are the right ones, and once to
    /// store them, so that nothing else takes space.
    async fn part(&self, source: &dyn HealSource, wanted: &Wanted) -> Result<bool> {
        let part = &wanted.part;
        let Some(body) = source.open(wanted).await? else {
            return Ok(false);
        };
        match self.hash(body, part).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => return give_up(error),
        }
        let Some(writer) = self.writer else {
            return Ok(true);
        };
        let Some(body) = source.open(wanted).await? else {
            return Ok(false);
        };
        let mode = PartMode::of(&part.name, part.media_type.as_deref());
        let failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = Arc::clone(&failed);
        let body = body.inspect_err(move |_| seen.store(true, std::sync::atomic::Ordering::Relaxed));
        let stored = writer
            .put_part(part.name.clone(), part.media_type.clone(), mode, Box::pin(body))
            .await;
        match stored {
            // Chunks are stored under the hash of their bytes and no other name. Cut otherwise than before they would be of no
            // use, so the whole list is compared.
            Ok(stored) => Ok(stored.hash == part.hash && stored.segments == part.segments),
            Err(error) if failed.load(std::sync::atomic::Ordering::Relaxed) => give_up(error),
            Err(error) => Err(error),
        }
    }

    /// Whether these are the bytes of the part, by length and keyed hash.
    async fn hash(&self, mut body: BoxStream<'static, Result<Bytes>>, part: &ContentPart) -> Result<bool> {
        let mut hasher = self.shared.keys().part_hasher();
        let mut size = 0;
        while let Some(bytes) = body.try_next().await? {
            size += bytes.len() as u64;
            if size > part.size {
                return Ok(false);
            }
            hasher.update(&bytes);
        }
        Ok(size == part.size && hasher.finalize() == part.hash)
    }
}

/// One item that a source cannot give is no reason to stop.
fn give_up(error: Error) -> Result<bool> {
    match error.kind() {
        ErrorKind::Cancelled | ErrorKind::Unauthorized => Err(error),
        _ => Ok(false),
    }
}
