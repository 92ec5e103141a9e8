//! Items of an export on their way: read, joined and, where they are small files, written in groups side by side.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord};

use super::files::{Files, NewFile, WRITERS, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::Repository;

/// Parts up to this size are read ahead.
const READ_AHEAD_BYTES: u64 = 1 << 20;
/// What is read ahead of a group is at most this long: enough blocks to be opened side by side.
const GROUP_BYTES: u64 = 3 << 20;
/// Chunks from this length on have a block of their own.
const SMALL_PIECE_BYTES: usize = 64 << 10;
/// Items of a group at most.
const GROUP_ITEMS: usize = 64;
/// Parts of a group read at once.
const READ_AHEAD: usize = 4;
/// What making a file costs, in bytes written in the same time.
const FILE_COST_BYTES: u64 = 64 << 10;

/// An item on its way.
pub(super) struct Job {
    pub(super) record: Box<ItemRecord>,
    pub(super) place: Place,
    /// Which mbox file, then where its content is stored.
    pub(super) order: (u64, u64),
}

pub(super) enum Place {
    /// It has no content.
    Nowhere,
    File(String),
    Mbox,
}

pub(super) enum Content {
    Nothing,
    /// The whole part in pieces, verified, or why not.
    Small(Result<Vec<Bytes>>),
    /// A small file that has its place already.
    Written(Written),
    /// Still to be read.
    Large(BoxStream<'static, Result<Bytes>>),
}

/// The part that is exported: the exact original if there is one, else the item's record.
pub(super) fn main_part(record: &ItemRecord) -> Option<&ContentPart> {
    ["mime", "content", "vcard", "icalendar", "json"]
        .into_iter()
        .find_map(|name| record.part(name))
        .or_else(|| record.parts.first())
}

async fn read_ahead(repository: &Repository, record: &ItemRecord) -> Result<Content> {
    match main_part(record) {
        None => Ok(Content::Nothing),
        Some(part) if part.size <= READ_AHEAD_BYTES => match gather(repository.read_part(part)).await {
            Err(error) if !concerns_item(&error) => Err(error),
            content => Ok(Content::Small(content)),
        },
        Some(part) => Ok(Content::Large(repository.read_part(part))),
    }
}

/// The pieces of a small part. Those that may be a little of a large block are copied together, so that the block can go.
async fn gather(mut pieces: BoxStream<'static, Result<Bytes>>) -> Result<Vec<Bytes>> {
    let mut gathered = Vec::new();
    let mut small: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        if piece.len() < SMALL_PIECE_BYTES {
            small.extend_from_slice(&piece);
            continue;
        }
        if !small.is_empty() {
            gathered.push(std::mem::take(&mut small).into());
        }
        gathered.push(piece);
    }
    if !small.is_empty() {
        gathered.push(small.into());
    }
    Ok(gathered)
}

/// Cuts a window into groups, in about its order, each with the writer whose directories its files go to.
///
/// Writers that make files in one directory wait for each other in the file system, so each directory has one writer, and the
/// groups of one are between those of the other.
pub(super) fn groups(window: Vec<Job>) -> Vec<(usize, Vec<Job>)> {
    let mut lanes: [Vec<Job>; WRITERS] = Default::default();
    let mut rest = Vec::new();
    let writers = writers(&window);
    for job in window {
        match &job.place {
            Place::File(path) => lanes[writers.get(directory(path)).copied().unwrap_or(0)].push(job),
            _ => rest.push(job),
        }
    }
    let lanes = lanes.map(|lane| cut(lane).into_iter());
    let mut lanes: Vec<_> = lanes.into_iter().enumerate().collect();
    let mut groups = Vec::new();
    while !lanes.is_empty() {
        lanes.retain_mut(|(lane, left)| match left.next() {
            Some(group) => {
                groups.push((*lane, group));
                true
            }
            None => false,
        });
    }
    groups.extend(cut(rest).into_iter().map(|group| (0, group)));
    groups
}

/// Which directory is whose, so that all have about as much to do.
fn writers(window: &[Job]) -> HashMap<String, usize> {
    let mut sizes: Vec<(&str, u64)> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for job in window {
        let Place::File(path) = &job.place else { continue };
        let size = FILE_COST_BYTES + main_part(&job.record).map_or(0, |part| part.size.min(READ_AHEAD_BYTES));
        let directory = directory(path);
        let number = *numbers.entry(directory).or_insert(sizes.len());
        match sizes.get_mut(number) {
            Some((_, sum)) => *sum += size,
            None => sizes.push((directory, size)),
        }
    }
    let mut loads = [0; WRITERS];
    let mut writers = HashMap::new();
    for (directory, size) in sizes {
        let least = (0..WRITERS).min_by_key(|lane| loads[*lane]).unwrap_or(0);
        loads[least] += size;
        writers.insert(directory.to_owned(), least);
    }
    writers
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Cuts jobs into groups, without changing the order.
fn cut(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut groups: Vec<Vec<Job>> = Vec::new();
    let mut bytes = 0;
    for job in jobs {
        // A large part is read when its turn comes.
        let small = main_part(&job.record).filter(|part| part.size <= READ_AHEAD_BYTES);
        bytes += small.map_or(0, |part| part.size);
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES && group.len() < GROUP_ITEMS => group.push(job),
            _ => {
                bytes = small.map_or(0, |part| part.size);
                groups.push(vec![job]);
            }
        }
    }
    groups
}

/// Reads what is small of a group, and writes it at once where files may be written side by side.
pub(super) async fn prepare(
    repository: Repository,
    files: Option<Arc<Files>>,
    writer: usize,
    group: Vec<Job>,
) -> Result<Vec<(Job, Content)>> {
    repository.preload(group.iter().filter_map(|job| main_part(&job.record)));
    let mut ready: Vec<(Job, Content)> = futures::stream::iter(group)
        .map(|job| async {
            let content = read_ahead(&repository, &job.record).await?;
            Ok::<_, Error>((job, content))
        })
        .buffered(READ_AHEAD)
        .try_collect()
        .await?;
    let Some(files) = files else {
        return Ok(ready);
    };
    let mut small = Vec::new();
    for (job, content) in &ready {
        if let (Place::File(path), Content::Small(Ok(bytes))) = (&job.place, content) {
            small.push((new_file(&job.record, path), bytes.clone()));
        }
    }
    let mut written = files.write(writer, small).await?.into_iter();
    for (job, content) in &mut ready {
        if let (Place::File(_), Content::Small(Ok(_))) = (&job.place, &content)
            && let Some(written) = written.next()
        {
            *content = Content::Written(written);
        }
    }
    Ok(ready)
}

pub(super) fn new_file(record: &ItemRecord, path: &str) -> NewFile {
    NewFile {
        compress: compressible(path),
        path: path.to_owned(),
        modified_ns: time_ns(record),
        mode: mode(record),
    }
}

/// Whether an error of reading is one of this item's bytes, so that the rest can go on.
pub(super) fn concerns_item(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::UnsupportedFormat
    )
}

pub(super) fn time_ns(record: &ItemRecord) -> Option<i64> {
    let exact = record
        .properties
        .get("modified_ns")
        .and_then(|value| value.as_integer());
    let ms = match record.kind {
        ItemKind::Message => record.received_ms.or(record.sent_ms).or(record.modified_ms),
        _ => record.modified_ms,
    };
    exact.or_else(|| ms.and_then(|ms| ms.checked_mul(1_000_000)))
}

pub(super) fn mode(record: &ItemRecord) -> Option<u32> {
    record
        .properties
        .get("mode")
        .and_then(|value| value.as_integer())
        .and_then(|mode| u32::try_from(mode).ok())
}

/// Whether content of this name usually shrinks.
fn compressible(path: &str) -> bool {
    let extension = path
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    !matches!(
        extension.as_str(),
        "zip"
            | "gz"
            | "tgz"
            | "bz2"
            | "xz"
            | "zst"
            | "7z"
            | "rar"
            | "jpg"
            | "jpeg"
            | "png"
            | "gif"
            | "webp"
            | "heic"
            | "mp3"
            | "m4a"
            | "ogg"
            | "mp4"
            | "mov"
            | "mkv"
            | "avi"
            | "webm"
            | "docx"
            | "xlsx"
            | "pptx"
            | "jar"
    )
}
