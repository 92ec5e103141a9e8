//! Reads the content of files, and notices when they change meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use super::walk::{Found, found, head_at};
use super::{FolderConnector, Place};
use crate::connector::{Fetched, ItemHead, ItemRef, PartContent};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{EntryKind, OpenFile, Root, Stat};

/// Bytes read at once; files up to this size are read in one go.
const PIECE_BYTES: usize = 1 << 20;
/// Pieces of a large file that may wait for the engine.
const PIECES_AHEAD: usize = 2;
/// Media type of a file that looks like mail; its attachments are stored as the files they are.
const MAIL: &str = "message/rfc822";
/// So much of a file tells whether it is mail.
const SNIFF_BYTES: usize = 4096;
/// Name of the one part of a file.
pub(super) const CONTENT: &str = "content";
/// A kernel may give two changes within its tick the same time stamp: a file is read only when its stamp is older, so that
/// any later change shows.
const TICK: Duration = Duration::from_millis(20);
/// Waits for that; a file that somebody writes to all the time is read as it is after them.
const MAX_WAITS: u32 = 3;
/// Ends the change key of a file that was read while it was too fresh: it equals no key of a listing, so the next run
/// reads the file again.
const TOO_FRESH: &str = "+";

/// Reads one item. A file that changes while it is read is read once more.
pub(super) async fn fetch(connector: &FolderConnector, item: &ItemRef) -> Result<Fetched> {
    let Some(path) = connector.place.path_of(&item.id) else {
        return Ok(Fetched::Gone);
    };
    let (mut tries, mut waits) = (0, 0);
    loop {
        let now_ns = connector.clock.now().timestamp_nanos_opt().unwrap_or(0);
        let (path, may_wait) = (path.clone(), waits < MAX_WAITS);
        let step = connector
            .blocking(move |place, root| open(place, root, &path, now_ns, may_wait))
            .await?;
        match step {
            Step::Done(fetched) => return Ok(fetched),
            Step::TooFresh(wait) => {
                waits += 1;
                connector.clock.sleep(wait).await;
            }
            Step::Changed => {
                tries += 1;
                if tries >= 2 {
                    return Err(changed());
                }
            }
            Step::Large(begun, head) => {
                let part = PartContent {
                    name: CONTENT.to_owned(),
                    media_type: media_type(&begun.first),
                    length: Some(begun.stat.size),
                    body: stream_file(Arc::clone(&connector.place), begun),
                };
                return Ok(Fetched::Content {
                    head,
                    parts: vec![part],
                });
            }
        }
    }
}

/// Reads several small items with one visit to a blocking thread. What cannot be read at once is read by itself.
pub(super) async fn fetch_many(connector: &FolderConnector, items: &[ItemRef]) -> Vec<Result<Fetched>> {
    let now_ns = connector.clock.now().timestamp_nanos_opt().unwrap_or(0);
    let group = items.to_vec();
    let read = connector
        .blocking(move |place, root| {
            let read = |item: &ItemRef| {
                let path = place.path_of(&item.id)?;
                match open(place, root, &path, now_ns, true) {
                    Ok(Step::Done(fetched)) => Some(fetched),
                    _ => None,
                }
            };
            Ok(group.iter().map(read).collect::<Vec<_>>())
        })
        .await
        .unwrap_or_default();
    let mut read = read.into_iter();
    let mut fetched = Vec::with_capacity(items.len());
    for item in items {
        fetched.push(match read.next().flatten() {
            Some(done) => Ok(done),
            None => fetch(connector, item).await,
        });
    }
    fetched
}

fn changed() -> Error {
    Error::new(ErrorKind::Busy, "the file changed while it was being read")
        .with_hint("Back up when it is not in use; the next run tries again.")
}

enum Step {
    Done(Fetched),
    TooFresh(Duration),
    Changed,
    Large(Begun, Box<ItemHead>),
}

/// A large file of which the first piece was read.
struct Begun {
    file: OpenFile,
    stat: Stat,
    first: Vec<u8>,
}

/// [`MAIL`] for messages and mailboxes, by their first lines; no type for anything else.
fn media_type(start: &[u8]) -> Option<String> {
    const FIELDS: [&str; 9] = [
        "from",
        "to",
        "date",
        "subject",
        "received",
        "message-id",
        "return-path",
        "mime-version",
        "delivered-to",
    ];
    let start = start.get(..SNIFF_BYTES).unwrap_or(start);
    let mut fields = 0;
    for (number, line) in start.split(|byte| *byte == b'\n').enumerate() {
        let folded = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let mbox = number == 0 && line.starts_with(b"From ");
        if number > 0 && folded || mbox {
            continue;
        }
        // A blank line, or no header at all.
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            break;
        };
        let name = &line[..colon];
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
            break;
        }
        fields += usize::from(
            FIELDS
                .iter()
                .any(|field| name.eq_ignore_ascii_case(field.as_bytes())),
        );
    }
    (fields >= 2).then(|| MAIL.to_owned())
}

/// What is at a path where no file could be opened.
fn no_file(place: &Place, root: &Root, path: &Path, error: Error) -> Result<Step> {
    let fetched = match root.stat(path)?.map(|stat| stat.kind) {
        // It came a moment ago.
        Some(EntryKind::File) if error.kind() == ErrorKind::NotFound => return Ok(Step::Changed),
        Some(EntryKind::File) => return Err(error),
        Some(EntryKind::Symlink) => match head_at(place, root, path)? {
            Found::Item(head) => Fetched::Content {
                head: Box::new(head),
                parts: Vec::new(),
            },
            _ => Fetched::Gone,
        },
        _ => Fetched::Gone,
    };
    Ok(Step::Done(fetched))
}

fn open(place: &Place, root: &Root, path: &Path, now_ns: i64, may_wait: bool) -> Result<Step> {
    // Opened before anything is asked about it: a look-up of its name less for each file.
    let mut file = match root.open_file(path) {
        Ok(file) => file,
        Err(error) => return no_file(place, root, path, error),
    };
    let stat = file.stat()?;
    if stat.kind != EntryKind::File {
        // A directory or a device in its place: the file itself is gone.
        return Ok(Step::Done(Fetched::Gone));
    }
    let age = now_ns.saturating_sub(stat.changed_ns);
    let tick = i64::try_from(TICK.as_nanos()).unwrap_or(i64::MAX);
    // It may have changed after `now_ns` was taken: then its age is negative.
    let fresh = age < tick;
    if fresh && may_wait && age > -tick {
        return Ok(Step::TooFresh(Duration::from_nanos((tick - age).unsigned_abs())));
    }
    let container = place.id_of(path.parent().unwrap_or(Path::new("")));
    let Found::Item(mut head) = found(place, path, container, &stat, None) else {
        return Ok(Step::Changed);
    };
    if fresh && let Some(key) = &mut head.change_key {
        key.push_str(TOO_FRESH);
    }
    let head = Box::new(head);
    if stat.size > PIECE_BYTES as u64 {
        let mut first = vec![0; PIECE_BYTES];
        let count = file.read_full(&mut first)?;
        first.truncate(count);
        return Ok(Step::Large(Begun { file, stat, first }, head));
    }
    // One byte more, to notice a file that grew.
    let mut buffer = vec![0; usize::try_from(stat.size).unwrap_or(PIECE_BYTES) + 1];
    let count = file.read_full(&mut buffer)?;
    if count as u64 != stat.size || file.stat()? != stat {
        return Ok(Step::Changed);
    }
    buffer.truncate(count);
    place.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
    let part = PartContent {
        name: CONTENT.to_owned(),
        media_type: media_type(&buffer),
        length: Some(stat.size),
        body: stream::iter([Ok(Bytes::from(buffer))]).boxed(),
    };
    Ok(Step::Done(Fetched::Content {
        head,
        parts: vec![part],
    }))
}

/// The piece that was read already, or the next one; empty at the end.
fn next_piece(file: &mut OpenFile, read: Option<Vec<u8>>) -> Result<Vec<u8>> {
    if let Some(read) = read {
        return Ok(read);
    }
    let mut buffer = vec![0; PIECE_BYTES];
    let count = file.read_full(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

/// Streams a large file from a blocking thread; the last item is an error if the file changed on the way.
fn stream_file(place: Arc<Place>, begun: Begun) -> BoxStream<'static, Result<Bytes>> {
    let Begun {
        mut file,
        stat,
        first,
    } = begun;
    let mut first = Some(first);
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut total = 0u64;
        loop {
            let piece = next_piece(&mut file, first.take()).and_then(|buffer| {
                let count = buffer.len();
                total += count as u64;
                if count == 0 && (total != stat.size || file.stat()? != stat) || total > stat.size {
                    return Err(changed());
                }
                Ok(Bytes::from(buffer))
            });
            let last = piece.as_ref().map_or(true, Bytes::is_empty);
            if let Ok(piece) = &piece {
                place.bytes_read.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            let nothing = matches!(&piece, Ok(piece) if piece.is_empty());
            if nothing || sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn mail_is_known_by_its_first_lines() {
        let mail = [
            "From: a@example.org\r\nTo: b@example.org\r\n\r\nText\r\n",
            "Return-Path: <a@example.org>\nReceived: by x\n\tfor y\nX-Odd: 1\n\nText",
            "From a@example.org Mon Jan  5 08:00:00 2026\nSubject: one\nDATE: today\n\n",
        ];
        for start in mail {
            assert_eq!(
                media_type(start.as_bytes()).as_deref(),
                Some("message/rfc822"),
                "{start}"
            );
        }
        let others = [
            "",
            "\n",
            "PK\u{3}\u{4}From: a\nTo: b\n",
            "Subject: only one field\nAuthor: b\n\nFrom: a\nTo: b\n",
            "key: value\nname: other\n",
            "A letter\nFrom: me\nTo: you\n",
            "\tfolded from the start\nFrom: a\nTo: b\n",
        ];
        for start in others {
            assert_eq!(media_type(start.as_bytes()), None, "{start}");
        }
    }
}
