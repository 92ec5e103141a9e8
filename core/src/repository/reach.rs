//! What recovery points and unfinished runs need: every chunk from their roots on, shared subtrees once.
//!
//! Strict, for those who remove things: what cannot be read on the way is an error. Lenient, for those who look at damage:
//! it is passed over and counted.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use nakivo_repo_format::record::{ItemRecord, Segment, SegmentList};
use nakivo_repo_format::sequence::SequenceReader;
use nakivo_repo_format::tree::{Edit, Node, TreeEdit};
use nakivo_repo_format::{Blob, ChunkId, ChunkRef, FormatError, Manifest, RunProgress};

use super::index::Index;
use super::objects::format_error;
use super::read::{Pattern, lock};
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};

/// Walks from roots to chunks. Remembers which tree nodes it saw: what a later point shares is not walked again.
pub(crate) struct Reach<'a> {
    shared: &'a Arc<Shared>,
    /// Where chunks are that the repository's index does not show; given by a caller that holds the log.
    others: Option<&'a RwLock<Index>>,
    nodes: HashSet<[u8; 16]>,
    /// How many nodes, records and lists could not be read; `None`: strict.
    passed_over: Option<u64>,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, others: Option<&'a RwLock<Index>>) -> Self {
        Self {
            shared,
            others,
            nodes: HashSet::new(),
            passed_over: None,
        }
    }

    /// Passes over what is damaged or missing instead of ending there.
    pub(crate) fn lenient(shared: &'a Arc<Shared>) -> Self {
        Self {
            passed_over: Some(0),
            ..Self::new(shared, None)
        }
    }

    /// Passes over damage if that is wanted.
    fn bear<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match (result, &mut self.passed_over) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), Some(count)) if is_damage(&error) => {
                *count += 1;
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Hands every chunk that a point needs to `need`; some more than once.
    ///
    /// # Errors
    /// `Corrupt` if a node or list on the way is damaged or missing; those of `need`, and of the store.
    pub(crate) async fn point(
        &mut self,
        manifest: &Manifest,
        need: &mut (impl FnMut(&ChunkRef) -> Result<()> + Send),
    ) -> Result<()> {
        for blob in manifest.cursor.iter().chain(&manifest.ledger) {
            blob.chunks().iter().try_for_each(&mut *need)?;
        }
        let mut open: Vec<ChunkRef> = manifest.root.iter().map(|root| root.chunk).collect();
        while let Some(chunk) = open.pop() {
            if !self.nodes.insert(short(&chunk.id)) {
                continue;
            }
            need(&chunk)?;
            let node = self.node(&chunk).await;
            match self.bear(node)? {
                // The last first, so that the first is read first.
                Some(Node::Inner(children)) => open.extend(children.iter().rev().map(|child| child.chunk)),
                Some(Node::Leaf(entries)) => {
                    for entry in entries {
                        let done = self.record(&entry.value, need).await;
                        self.bear(done)?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Hands every chunk that the progress of an unfinished run needs to `need`.
    ///
    /// # Errors
    /// As [`Reach::point`].
    pub(crate) async fn progress(
        &mut self,
        progress: &RunProgress,
        need: &mut (impl FnMut(&ChunkRef) -> Result<()> + Send),
    ) -> Result<()> {
        for blob in progress.state.iter().chain(&progress.spills) {
            blob.chunks().iter().try_for_each(&mut *need)?;
        }
        for blob in &progress.spills {
            let mut reader = SequenceReader::<TreeEdit>::new("edits");
            let mut pieces = Pieces::of(blob);
            while let Some(piece) = pieces.next(self).await? {
                reader.push(&piece);
                while let Some(edit) = reader.next_value().map_err(bad_progress)? {
                    if let Edit::Put { value, .. } = &edit.edit {
                        self.record(value, need).await?;
                    }
                }
            }
            reader.finish().map_err(bad_progress)?;
        }
        Ok(())
    }

    async fn node(&self, chunk: &ChunkRef) -> Result<Node> {
        let bytes = self.read(chunk).await?;
        Node::decode(&bytes).map_err(|error| format_error("manifest tree", error))
    }

    async fn record(
        &self,
        value: &[u8],
        need: &mut (impl FnMut(&ChunkRef) -> Result<()> + Send),
    ) -> Result<()> {
        let record = ItemRecord::decode(value).map_err(|error| format_error("item record", error))?;
        for part in &record.parts {
            match &part.segments {
                SegmentList::Direct(list) => {
                    list.iter()
                        .flat_map(|segment| segment.chunks())
                        .try_for_each(&mut *need)?;
                }
                SegmentList::Indirect(blob) => {
                    blob.chunks().iter().try_for_each(&mut *need)?;
                    let mut reader = SequenceReader::<Segment>::new("segment list");
                    let mut pieces = Pieces::of(blob);
                    while let Some(piece) = pieces.next(self).await? {
                        reader.push(&piece);
                        while let Some(segment) = reader.next_value().map_err(bad_list)? {
                            segment.chunks().iter().try_for_each(&mut *need)?;
                        }
                    }
                    reader.finish().map_err(bad_list)?;
                }
            }
        }
        Ok(())
    }

    async fn read(&self, chunk: &ChunkRef) -> Result<Bytes> {
        let Some(others) = self.others else {
            return self.shared.read_chunk(chunk, Pattern::Unknown).await;
        };
        // Who gives other places holds the log, so the view must not be refreshed from here.
        let elsewhere = !self.shared.index().contains(&chunk.id)? && lock(others).contains(&chunk.id)?;
        let index = if elsewhere { others } else { &self.shared.index };
        self.shared.read_chunk_in(index, chunk, Pattern::Unknown).await
    }
}

/// The bytes of a blob, one after the other.
enum Pieces<'b> {
    Inline(Option<&'b [u8]>),
    Chunks(std::slice::Iter<'b, ChunkRef>),
}

impl<'b> Pieces<'b> {
    fn of(blob: &'b Blob) -> Self {
        match blob {
            Blob::Inline(bytes) => Self::Inline(Some(bytes)),
            Blob::Chunks { chunks, .. } => Self::Chunks(chunks.iter()),
        }
    }

    async fn next(&mut self, reach: &Reach<'_>) -> Result<Option<Bytes>> {
        match self {
            Self::Inline(bytes) => Ok(bytes.take().map(Bytes::copy_from_slice)),
            Self::Chunks(chunks) => match chunks.next() {
                Some(chunk) => reach.read(chunk).await.map(Some),
                None => Ok(None),
            },
        }
    }
}

/// Whether an error says that something stored is damaged, missing, or cannot be read by itself.
fn is_damage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt | ErrorKind::UnsupportedFormat | ErrorKind::Unavailable
    )
}

fn bad_progress(error: FormatError) -> Error {
    format_error("progress of a run", error)
}

fn bad_list(error: FormatError) -> Error {
    format_error("segment list", error)
}

/// Enough of a keyed hash to know a node again.
pub(crate) fn short(id: &ChunkId) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&id.as_bytes()[..16]);
    short
}
