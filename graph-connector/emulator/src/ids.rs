//! Ids of folders, messages and attachments as Exchange shows them, decodable without a table.
//!
//! A message has two ids: the default one contains its place and changes on a move; the immutable one does not.
//! Both carry a check value, so that a damaged id is refused as malformed and never meets another item.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::random::key;

const FOLDER: [u8; 3] = [0x01, 0x03, 0x24]; // "AQMk"
const MUTABLE: [u8; 3] = [0x00, 0x03, 0x24]; // "AAMk"
const IMMUTABLE: [u8; 3] = [0x00, 0x09, 0x00]; // "AAkA"
const ATTACHMENT_MARK: [u8; 5] = [0x01, 0x12, 0x00, 0x10, 0x00];

/// What an id in a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemRef {
    /// Default form: item number and the place it had.
    Mutable { serial: u32, place: u32 },
    /// Immutable form: item number.
    Immutable { serial: u32 },
}

fn body(kind: [u8; 3], mailbox: u64, a: u32, b: u32) -> Vec<u8> {
    let mut raw = Vec::with_capacity(56);
    raw.extend_from_slice(&kind);
    raw.extend_from_slice(&key(&[mailbox, 1]).to_be_bytes());
    raw.extend_from_slice(&key(&[mailbox, 2]).to_be_bytes());
    // Scrambled, so that nobody is tempted to read a number out of an id.
    let pad = key(&[mailbox, 3, u64::from(kind[1]) + u64::from(kind[0]) * 7]);
    let word = (u64::from(a) << 32) | u64::from(b);
    raw.extend_from_slice(&(word.rotate_left(17) ^ pad).to_be_bytes());
    let tag = key(&[
        mailbox,
        u64::from(kind[0]),
        u64::from(kind[1]),
        u64::from(a),
        u64::from(b),
    ]);
    raw.extend_from_slice(&tag.to_be_bytes());
    raw
}

fn unbody(kind: [u8; 3], mailbox: u64, raw: &[u8]) -> Option<(u32, u32)> {
    let word = u64::from_be_bytes(raw.get(19..27)?.try_into().ok()?);
    let pad = key(&[mailbox, 3, u64::from(kind[1]) + u64::from(kind[0]) * 7]);
    let word = (word ^ pad).rotate_right(17);
    let (a, b) = ((word >> 32) as u32, word as u32);
    (body(kind, mailbox, a, b) == raw.get(..35)?).then_some((a, b))
}

/// Id of a folder: constant for its life.
pub(crate) fn folder(mailbox: u64, serial: u32) -> String {
    URL_SAFE.encode(body(FOLDER, mailbox, serial, 0))
}

/// Reads a folder id.
pub(crate) fn parse_folder(mailbox: u64, id: &str) -> Option<u32> {
    let raw = decode(id)?;
    (raw.len() == 35 && raw.starts_with(&FOLDER))
        .then(|| unbody(FOLDER, mailbox, &raw))
        .flatten()
        .map(|x| x.0)
}

/// Id of a message in the form that the request asked for.
pub(crate) fn message(mailbox: u64, serial: u32, place: u32, immutable: bool) -> String {
    URL_SAFE.encode(message_raw(mailbox, serial, place, immutable))
}

fn message_raw(mailbox: u64, serial: u32, place: u32, immutable: bool) -> Vec<u8> {
    if immutable {
        body(IMMUTABLE, mailbox, serial, 0)
    } else {
        body(MUTABLE, mailbox, serial, place)
    }
}

/// Reads a message id of either form. `None`: malformed, or of another mailbox.
pub(crate) fn parse_message(mailbox: u64, id: &str) -> Option<ItemRef> {
    let raw = decode(id)?;
    if raw.len() != 35 {
        return None;
    }
    if raw.starts_with(&MUTABLE) {
        let (serial, place) = unbody(MUTABLE, mailbox, &raw)?;
        return Some(ItemRef::Mutable { serial, place });
    }
    if raw.starts_with(&IMMUTABLE) {
        let (serial, _) = unbody(IMMUTABLE, mailbox, &raw)?;
        return Some(ItemRef::Immutable { serial });
    }
    None
}

/// Id of an attachment: that of its message with a tail.
pub(crate) fn attachment(mailbox: u64, serial: u32, place: u32, number: u32, immutable: bool) -> String {
    let mut raw = message_raw(mailbox, serial, place, immutable);
    raw.extend_from_slice(&ATTACHMENT_MARK);
    raw.extend_from_slice(&key(&[mailbox, 9, u64::from(serial), u64::from(number)]).to_be_bytes()[..6]);
    raw.extend_from_slice(&number.to_be_bytes());
    URL_SAFE.encode(raw)
}

/// Reads an attachment id: the number of the attachment within message `serial`.
pub(crate) fn parse_attachment(mailbox: u64, serial: u32, id: &str) -> Option<u32> {
    let raw = decode(id)?;
    if raw.len() != 50 || raw[35..40] != ATTACHMENT_MARK {
        return None;
    }
    let number = u32::from_be_bytes(raw[46..50].try_into().ok()?);
    let check = key(&[mailbox, 9, u64::from(serial), u64::from(number)]).to_be_bytes();
    (raw[40..46] == check[..6]).then_some(number)
}

fn decode(id: &str) -> Option<Vec<u8>> {
    URL_SAFE.decode(id).ok().or_else(|| STANDARD.decode(id).ok())
}

/// `changeKey` of a version: differs for every change.
pub(crate) fn change_key(mailbox: u64, version: u64) -> String {
    let mut raw = vec![0x09, 0, 0, 0, 0x16, 0, 0, 0];
    raw.extend_from_slice(&key(&[mailbox, 4]).to_be_bytes());
    raw.extend_from_slice(&key(&[mailbox, 5]).to_be_bytes());
    raw.extend_from_slice(&version.to_be_bytes()[2..]);
    STANDARD.encode(raw)
}

/// Id of a conversation from the key of its thread.
pub(crate) fn conversation(mailbox: u64, thread: u64) -> String {
    let mut raw = vec![0x00, 0x04, 0x24];
    raw.extend_from_slice(&key(&[mailbox, 6]).to_be_bytes());
    raw.extend_from_slice(&[0x10, 0x00]);
    raw.extend_from_slice(&key(&[thread, 7]).to_be_bytes());
    raw.extend_from_slice(&key(&[thread, 8]).to_be_bytes());
    URL_SAFE.encode(raw)
}

/// `conversationIndex`: 22 bytes for the root of a thread, five more for each reply level.
pub(crate) fn conversation_index(thread: u64, sent_ms: i64, depth: usize) -> String {
    let mut raw = vec![0x01];
    raw.extend_from_slice(&((sent_ms as u64).wrapping_mul(10_000).to_be_bytes())[1..6]);
    raw.extend_from_slice(&key(&[thread, 10]).to_be_bytes());
    raw.extend_from_slice(&key(&[thread, 11]).to_be_bytes());
    for level in 0..depth {
        raw.extend_from_slice(&key(&[thread, 12, level as u64]).to_be_bytes()[..5]);
    }
    STANDARD.encode(raw)
}
