//! One item: read from one repository, stored in the other.
//!
//! The hash of a part and the ids of its chunks are keyed, so a part is read as a whole and stored as a backup would store
//! it. That is what lets it share chunks with content that came into the target on another way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use nakivo_repo_format::ContentHash;
use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord};
use tokio::sync::Semaphore;

use crate::error::{Error, ErrorKind, Result};
use crate::repository::{Repository, Writer};

/// Memory that parts under way may take, in MiB.
const MAX_UNDER_WAY_MIB: u32 = 32;
/// What one part takes at most: its stream reads some chunks ahead.
const MAX_PART_MIB: u32 = 16;
/// Parts remembered in each of two generations.
const REMEMBERED_PARTS: usize = 4_096;
/// Parts with more references than this are not remembered.
const MAX_REMEMBERED_CHUNKS: usize = 16;

/// An item that was copied before: in the source, and its copy.
pub(super) struct Before {
    pub(super) original: ItemRecord,
    pub(super) copy: ItemRecord,
}

/// What became of an item.
#[derive(Debug)]
pub(super) enum Translated {
    /// The copy's record.
    Whole(ItemRecord),
    /// A container without the parts that are damaged: what lies in it must not lose its place.
    Bare(ItemRecord, Error),
    /// It cannot be read.
    Damaged(Error),
}

/// Moves content from one repository into another.
#[derive(Debug)]
pub(super) struct Translator {
    source: Repository,
    writer: Writer,
    parts: Mutex<Remembered>,
    space: Semaphore,
}

impl Translator {
    pub(super) fn new(source: Repository, writer: Writer) -> Self {
        Self {
            source,
            writer,
            parts: Mutex::default(),
            space: Semaphore::new(MAX_UNDER_WAY_MIB as usize),
        }
    }

    /// Copies an item.
    ///
    /// # Errors
    /// Those of the target; of the source what is not damage.
    pub(super) async fn item(&self, original: &ItemRecord, before: Option<&Before>) -> Result<Translated> {
        let mut copy = original.clone();
        copy.parts.clear();
        let mut damage = None;
        for (number, part) in original.parts.iter().enumerate() {
            if let Some(known) = before.and_then(|before| before.part(number, part)) {
                copy.parts.push(known.clone());
                continue;
            }
            match self.part(part).await? {
                Ok(part) => copy.parts.push(part),
                Err(error) if original.kind == ItemKind::Container => damage = Some(error),
                Err(error) => return Ok(Translated::Damaged(error)),
            }
        }
        Ok(match damage {
            None => Translated::Whole(copy),
            Some(error) => Translated::Bare(copy, error),
        })
    }

    /// Copies a part. The inner error is damage of the source.
    async fn part(&self, part: &ContentPart) -> Result<Result<ContentPart>> {
        if let Some(known) = self.remembered().get(part) {
            return Ok(Ok(known));
        }
        let copied = match self.part_once(part).await? {
            Ok(copied) => Ok(copied),
            // A second look, as in `twice`.
            Err(_) => self.part_once(part).await?,
        };
        if let Ok(copied) = &copied {
            self.remembered().insert(part, copied);
        }
        Ok(copied)
    }

    async fn part_once(&self, part: &ContentPart) -> Result<Result<ContentPart>> {
        let mib = u32::try_from(part.size >> 20).unwrap_or(u32::MAX);
        let _space = self
            .space
            .acquire_many(mib.saturating_add(1).min(MAX_PART_MIB))
            .await
            .map_err(|_| Error::internal("the copy is closed"))?;
        let mode = match self.source.mode_of(part).await {
            Ok(mode) => mode,
            Err(error) => return damage(error),
        };
        // Errors of the source come back through the writer: which one is whose must be certain.
        let failed = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&failed);
        let body = self.source.read_part(part).map(move |piece| {
            if let Err(error) = &piece {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
            piece
        });
        let stored = self
            .writer
            .put_part(part.name.clone(), part.media_type.clone(), mode, body.boxed())
            .await;
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (stored, failed) {
            (_, Some(error)) => damage(error),
            (Err(error), None) => Err(error),
            (Ok(stored), None) => Ok(Ok(ContentPart {
                attributes: part.attributes.clone(),
                ..stored
            })),
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks a second time where the first look shows damage: what was wrong on the way need not be wrong in the store.
pub(super) async fn twice<T, F>(look: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    match look().await {
        Err(error) if is_damage(&error) => look().await,
        other => other,
    }
}

/// Whether an error says that stored bytes cannot be used: then the rest goes on.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat)
}

fn damage<T>(error: Error) -> Result<Result<T>> {
    if is_damage(&error) {
        Ok(Err(error))
    } else {
        Err(error)
    }
}

impl Before {
    /// The copy of a part, if the part is as it was.
    fn part(&self, number: usize, part: &ContentPart) -> Option<&ContentPart> {
        let original = self.original.parts.get(number)?;
        let copy = self.copy.parts.get(number)?;
        let same = original.hash == part.hash && original.size == part.size && copy.size == part.size;
        let named = |other: &ContentPart| {
            other.name == part.name
                && other.media_type == part.media_type
                && other.attributes == part.attributes
        };
        (same && named(copy)).then_some(copy)
    }
}

/// Parts that were copied a short time ago. The target stores equal content once in any case: this only saves reading it.
#[derive(Debug, Default)]
struct Remembered {
    young: HashMap<ContentHash, ContentPart>,
    old: HashMap<ContentHash, ContentPart>,
}

impl Remembered {
    fn get(&mut self, part: &ContentPart) -> Option<ContentPart> {
        let found = match self.young.get(&part.hash) {
            Some(found) => found.clone(),
            None => {
                let found = self.old.remove(&part.hash)?;
                self.keep(part.hash, found.clone());
                found
            }
        };
        (found.size == part.size).then(|| ContentPart {
            name: part.name.clone(),
            media_type: part.media_type.clone(),
            attributes: part.attributes.clone(),
            ..found
        })
    }

    fn insert(&mut self, part: &ContentPart, copy: &ContentPart) {
        let chunks = match &copy.segments {
            nakivo_repo_format::record::SegmentList::Direct(list) => {
                list.iter().map(|segment| segment.chunks().len()).sum()
            }
            nakivo_repo_format::record::SegmentList::Indirect(blob) => blob.chunks().len(),
        };
        // Few bytes lie in the record itself: nothing is saved.
        if (1..=MAX_REMEMBERED_CHUNKS).contains(&chunks) {
            self.keep(part.hash, copy.clone());
        }
    }

    fn keep(&mut self, hash: ContentHash, copy: ContentPart) {
        if self.young.len() >= REMEMBERED_PARTS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, copy);
    }
}
