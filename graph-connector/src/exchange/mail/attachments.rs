//! Attachments as the stored MIME has them, byte for byte.

use bytes::Bytes;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use ring::digest;

/// One attachment.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    /// Whether the message names it: else the name is ours, for Graph wants one.
    pub(crate) named: bool,
    pub(crate) media_type: String,
    pub(crate) content_id: Option<String>,
    pub(crate) inline: bool,
    pub(crate) bytes: Bytes,
    /// It is a message, and holds no attachments itself: then Graph can take it as an item.
    pub(crate) message: Option<Nested>,
}

/// What Graph can be told of a message inside a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nested {
    pub(crate) subject: String,
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) from: Option<(String, String)>,
    pub(crate) to: Vec<(String, String)>,
    pub(crate) cc: Vec<(String, String)>,
    pub(crate) message_id: Option<String>,
}

/// What recovery takes from the stored MIME.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mime {
    /// The header block as it is, line ends included.
    pub(crate) headers: String,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) references: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
}

/// Reads a stored message. Never fails: whatever is malformed is read as far as it goes.
pub(crate) fn read(mime: &[u8]) -> Mime {
    let Some(message) = MessageParser::new().parse(mime) else {
        return Mime::default();
    };
    let raw_header = |name: &'static str| {
        message
            .header_raw(name)
            .map(unfold)
            .filter(|value| !value.is_empty())
    };
    Mime {
        headers: header_block(mime),
        in_reply_to: raw_header("In-Reply-To"),
        references: raw_header("References"),
        attachments: message.attachments().map(|part| attachment(mime, part)).collect(),
    }
}

/// Hash by which contents are compared.
pub(crate) fn hash(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn header_block(mime: &[u8]) -> String {
    let end = mime
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map(|at| at + 1)
        .into_iter()
        .chain(
            mime.windows(4)
                .position(|four| four == b"\r\n\r\n")
                .map(|at| at + 2),
        )
        .min()
        .unwrap_or(mime.len());
    String::from_utf8_lossy(&mime[..end]).into_owned()
}

fn unfold(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn attachment(mime: &[u8], part: &MessagePart<'_>) -> Attachment {
    let bytes = bytes_of(mime, part);
    let media_type = part.content_type().map_or_else(
        || default_type(part).to_owned(),
        |kind| match &kind.c_subtype {
            Some(subtype) => format!("{}/{subtype}", kind.c_type),
            None => kind.c_type.to_string(),
        },
    );
    let content_id = part
        .content_id()
        .map(|id| id.trim_matches(['<', '>', ' ']).to_owned());
    let declared = part.content_disposition();
    // Without a content id nothing in the body can show it: Exchange takes it for an attachment like others.
    let inline =
        content_id.is_some() && !declared.is_some_and(|kind| kind.c_type.eq_ignore_ascii_case("attachment"));
    let nested = match &part.body {
        PartType::Message(message) => Some(message),
        _ => None,
    };
    let given = part
        .attachment_name()
        .map(str::to_owned)
        .filter(|name| !name.trim().is_empty())
        .or_else(|| nested.and_then(|message| message.subject()).map(str::to_owned));
    let named = given.is_some();
    let name = given.unwrap_or_else(|| default_name(&media_type));
    Attachment {
        name,
        named,
        media_type,
        content_id,
        inline,
        bytes,
        message: nested
            .filter(|message| message.attachment_count() == 0)
            .map(nested_message),
    }
}

fn default_type(part: &MessagePart<'_>) -> &'static str {
    match part.body {
        PartType::Text(_) => "text/plain",
        PartType::Html(_) => "text/html",
        PartType::Message(_) => "message/rfc822",
        _ => "application/octet-stream",
    }
}

fn default_name(media_type: &str) -> String {
    let extension = match media_type {
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        "message/rfc822" => "eml",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "application/pdf" => "pdf",
        _ => "bin",
    };
    format!("attachment.{extension}")
}

/// The part's bytes after its transfer encoding and nothing else: the parser's texts are converted to UTF-8, which would
/// change a file in another character set.
fn bytes_of(mime: &[u8], part: &MessagePart<'_>) -> Bytes {
    let from = part.offset_body as usize;
    let to = (part.offset_end as usize).min(mime.len());
    let raw = mime.get(from..to).unwrap_or_default();
    let decoded = match part.encoding {
        Encoding::None => None,
        Encoding::Base64 => base64_decode(raw),
        Encoding::QuotedPrintable => quoted_printable_decode(raw),
    };
    if let Some(decoded) = decoded {
        return Bytes::from(decoded);
    }
    match (&part.body, part.encoding) {
        (_, Encoding::None) => Bytes::copy_from_slice(raw),
        // Not decodable as declared: what the parser made of it.
        (PartType::Text(text) | PartType::Html(text), _) => Bytes::copy_from_slice(text.as_bytes()),
        (PartType::Binary(bytes) | PartType::InlineBinary(bytes), _) => Bytes::copy_from_slice(bytes),
        _ => Bytes::copy_from_slice(raw),
    }
}

fn nested_message(message: &Message<'_>) -> Nested {
    let list = |address: Option<&mail_parser::Address<'_>>| -> Vec<(String, String)> {
        address
            .map(|address| {
                address
                    .iter()
                    .filter_map(|one| {
                        let address = one.address()?.to_owned();
                        Some((one.name().unwrap_or(&address).to_owned(), address))
                    })
                    .collect()
            })
            .unwrap_or_default()
    };
    let is_html = message
        .html_part(0)
        .is_some_and(|part| matches!(part.body, PartType::Html(_)));
    Nested {
        subject: message.subject().unwrap_or_default().to_owned(),
        html: is_html
            .then(|| message.body_html(0).map(|text| text.into_owned()))
            .flatten(),
        text: message.body_text(0).map(|text| text.into_owned()),
        from: list(message.from()).into_iter().next(),
        to: list(message.to()),
        cc: list(message.cc()),
        message_id: message.message_id().map(|id| format!("<{id}>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: a@x.org\r\nSubject: S\r\nReferences: <1@x>\r\n <2@x>\r\nMIME-Version: 1.0\r\nContent-Type: \
        multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nbody\r\n--b\r\nContent-Type: text/csv; \
        charset=iso-8859-1; name=\"t.csv\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: \
        base64\r\n\r\nYTvkO2I=\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: n@x.org\r\nSubject: Inner\r\n\r\nhi\r\n\
        --b--\r\n";

    #[test]
    fn attachments_keep_their_bytes() {
        let mime = read(MAIL.as_bytes());
        assert_eq!(mime.references.as_deref(), Some("<1@x> <2@x>"));
        assert!(mime.headers.starts_with("From: a@x.org\r\n") && mime.headers.ends_with("boundary=b\r\n"));
        let names: Vec<&str> = mime.attachments.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["t.csv", "Inner"]);
        assert_eq!(
            &mime.attachments[0].bytes[..],
            b"a;\xe4;b",
            "latin-1 bytes stay latin-1"
        );
        assert_eq!(mime.attachments[1].message.as_ref().unwrap().subject, "Inner");
        assert!(mime.attachments[1].bytes.starts_with(b"From: n@x.org"));
    }

    #[test]
    fn garbage_is_survived() {
        for mime in [
            &b""[..],
            b"\x00\xff",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
            b":::\n\n\n",
        ] {
            let _ = read(mime);
        }
    }
}
