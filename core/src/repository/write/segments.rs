//! Index segments, written.

use std::sync::Arc;

use nakivo_repo_format::index::{IndexSegment, IndexedPack};
use nakivo_repo_format::log::IndexRef;
use nakivo_repo_format::paths;

use crate::error::{Error, Result};
use crate::repository::objects::format_error;
use crate::repository::shared::Shared;

/// Chunks of one index segment, at which it is closed.
const MAX_SEGMENT_CHUNKS: u64 = 250_000;

/// Puts packs into index segments, of which one at a time is in memory.
pub(crate) struct Segments<'a> {
    shared: &'a Arc<Shared>,
    stored: Vec<IndexRef>,
    batch: Vec<IndexedPack>,
    chunks: u64,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            stored: Vec::new(),
            batch: Vec::new(),
            chunks: 0,
        }
    }

    /// Adds a pack. May store a segment.
    pub(crate) async fn add(&mut self, pack: IndexedPack) -> Result<()> {
        self.chunks += pack.chunks();
        self.batch.push(pack);
        if self.chunks >= MAX_SEGMENT_CHUNKS {
            self.store().await?;
        }
        Ok(())
    }

    /// Stores what is left, and returns all segments. No commit refers to them yet.
    pub(crate) async fn finish(mut self) -> Result<Vec<IndexRef>> {
        if !self.batch.is_empty() {
            self.store().await?;
        }
        Ok(self.stored)
    }

    async fn store(&mut self) -> Result<()> {
        self.chunks = 0;
        let packs = std::mem::take(&mut self.batch);
        self.stored.push(store_segment(self.shared, packs).await?);
        Ok(())
    }
}

/// Stores an index segment that lists these packs, and looks whether the store kept it.
pub(crate) async fn store_segment(shared: &Arc<Shared>, packs: Vec<IndexedPack>) -> Result<IndexRef> {
    let segment = IndexSegment { packs };
    let count = u32::try_from(segment.packs.len()).map_err(|_| Error::internal("too many packs"))?;
    let chunks = segment.chunks();
    let sealer = Arc::clone(shared);
    let (epoch, (id, bytes)) = shared
        .env
        .computing
        .run(move || {
            let keys = sealer.keys();
            let mut codec = sealer
                .codecs
                .fresh()
                .map_err(|error| format_error("zstd", error))?;
            segment
                .seal(&keys, &mut codec)
                .map(|sealed| (keys.epoch(), sealed))
                .map_err(|error| format_error("new index segment", error))
        })
        .await?;
    let reference = IndexRef {
        id,
        size: bytes.len() as u64,
        packs: count,
        chunks,
    };
    let path = paths::index(&id);
    shared
        .objects
        .create_named_by_content(&path, bytes.into())
        .await?;
    shared.objects.check_kept(&path, reference.size).await?;
    shared.note_segment(id, epoch);
    Ok(reference)
}
