//! Compares messages that were recovered into the emulated organisation with what they were before the accident: not
//! through the connector that wrote them, but through the emulator's own knowledge.

use std::path::Path;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, MessageParser, MessagePart, MimeHeaders as _, PartType};
use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_emulator::Mailbox;
use serde_json::Value;

use super::organisation::defect;
use super::originals;

/// Properties of a message that must be as they were.
const PROPERTIES: [&str; 16] = [
    "subject",
    "body",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "sentDateTime",
    "receivedDateTime",
    "isRead",
    "isDraft",
    "flag",
    "categories",
    "importance",
    "hasAttachments",
];

/// What differs between the recovered message and the original, one word each; empty: nothing.
///
/// # Errors
/// `Internal` if the emulator does not know the recovered message; those of the file system.
pub(super) fn differences(
    mailbox: &Mailbox,
    recovered: &str,
    before: &Value,
    mime: &Path,
) -> Result<Vec<String>> {
    let after = mailbox.message_json(recovered).map_err(defect)?;
    let mut differences: Vec<String> = PROPERTIES
        .iter()
        .filter(|name| after[**name] != before[**name])
        .map(|name| (*name).to_owned())
        .collect();
    let original = attachments(&originals::read(mime)?)?;
    let copy = attachments(&mailbox.mime(recovered).map_err(defect)?)?;
    if original.len() != copy.len() {
        differences.push(format!(
            "number of attachments ({} instead of {})",
            copy.len(),
            original.len()
        ));
    } else if original != copy {
        let what = if only_names_were_added(&original, &copy) {
            "names of attachments"
        } else {
            "attachments"
        };
        differences.push(what.to_owned());
    }
    Ok(differences)
}

/// Whether the report said that the target does not take this.
pub(super) fn is_excused(difference: &str, not_carried: &[String]) -> bool {
    let said = |start: &str, end: &str| {
        not_carried
            .iter()
            .any(|line| line.starts_with(start) && line.contains(end))
    };
    match difference {
        // A link counts as an attachment, and Graph does not take links.
        "hasAttachments" => said("attached link", ""),
        "replyTo" => said("", "reply addresses that are not valid"),
        "toRecipients" | "ccRecipients" | "bccRecipients" => said("", "recipients without a valid address"),
        "attachments" => said("attached message", ""),
        "names of attachments" => said("attachment without a name", ""),
        _ => false,
    }
}

/// An attachment: name and bytes; of an attached message its subject and the attachments' bytes inside.
type Attachment = (String, Vec<u8>);

/// Whether the two differ only in that attachments without a name have one now.
fn only_names_were_added(original: &[Attachment], copy: &[Attachment]) -> bool {
    let mut left: Vec<&Attachment> = copy.iter().collect();
    let mut take = |fits: &dyn Fn(&Attachment) -> bool| {
        let at = left.iter().position(|one| fits(one));
        at.map(|at| left.swap_remove(at)).is_some()
    };
    let (named, nameless): (Vec<_>, Vec<_>) = original.iter().partition(|(name, _)| !name.is_empty());
    named.into_iter().all(|one| take(&|other| other == one))
        && nameless
            .into_iter()
            .all(|(_, bytes)| take(&|other| other.1 == *bytes))
}

/// The attachments of a message, in an order that does not depend on where they stand in it.
fn attachments(mime: &[u8]) -> Result<Vec<Attachment>> {
    let message = MessageParser::default()
        .parse(mime)
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "a message of the demo cannot be parsed"))?;
    let mut found: Vec<Attachment> = message
        .attachments()
        .map(|part| {
            let name = part.attachment_name().unwrap_or_default().to_owned();
            match &part.body {
                PartType::Message(inner) => (inner.subject().unwrap_or_default().to_owned(), Vec::new()),
                _ => (name, bytes_of(mime, part)),
            }
        })
        .collect();
    found.sort();
    Ok(found)
}

/// What a part holds after its transfer encoding and nothing else. The parser's text is no measure: it depends on the
/// character set that the part declares, and Graph keeps an attachment's bytes but not that declaration.
fn bytes_of(mime: &[u8], part: &MessagePart<'_>) -> Vec<u8> {
    let raw = mime
        .get(part.offset_body as usize..part.offset_end as usize)
        .unwrap_or_default();
    let decoded = match part.encoding {
        Encoding::None => None,
        Encoding::Base64 => base64_decode(raw),
        Encoding::QuotedPrintable => quoted_printable_decode(raw),
    };
    decoded.unwrap_or_else(|| raw.to_vec())
}
