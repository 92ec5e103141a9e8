//! MIME to [`View`], for messages that were loaded. Never fails: what cannot be read is left empty.

use bytes::Bytes;
use mail_parser::{
    DateTime, Encoding, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};

use crate::mail::data::Data;
use crate::mail::view::{Address, Meeting, Part, PartKind, View};

/// Reads a message from its bytes.
pub(crate) fn view(raw: &Bytes) -> View {
    match MessageParser::default().parse(raw.as_ref()) {
        Some(message) if !message.parts.is_empty() => read(&message, raw),
        _ => View {
            importance: "normal".into(),
            body: String::from_utf8_lossy(raw).into_owned(),
            ..View::default()
        },
    }
}

fn read(message: &Message<'_>, raw: &Bytes) -> View {
    let headers = headers(message, raw);
    let find = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    };
    let (html, body) = body(message);
    let priority = find("importance")
        .or(find("x-priority"))
        .or(find("priority"))
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let from = message.from().and_then(|a| addresses(Some(a)).into_iter().next());
    View {
        subject: message.subject().map(str::to_owned),
        sender: message
            .sender()
            .and_then(|a| addresses(Some(a)).into_iter().next())
            .or_else(|| from.clone()),
        from,
        to: addresses(message.to()),
        cc: addresses(message.cc()),
        bcc: addresses(message.bcc()),
        reply_to: addresses(message.reply_to()),
        sent: message.date().and_then(ms),
        received: received(message).or_else(|| message.date().and_then(ms)),
        message_id: message.message_id().map(bracket),
        in_reply_to: ids(message.in_reply_to()).into_iter().next(),
        references: ids(message.references()),
        importance: match priority.as_str() {
            p if p.starts_with("high")
                || p.starts_with("urgent")
                || p.starts_with('1')
                || p.starts_with('2') =>
            {
                "high"
            }
            p if p.starts_with("low")
                || p.starts_with("non-urgent")
                || p.starts_with('4')
                || p.starts_with('5') =>
            {
                "low"
            }
            _ => "normal",
        }
        .into(),
        read_receipt: find("disposition-notification-to").is_some(),
        delivery_receipt: find("return-receipt-to").is_some(),
        html,
        body,
        meeting: meeting(message),
        parts: parts(message, raw),
        headers,
    }
}

/// Header fields as they are written, unfolded, in order.
fn headers(message: &Message<'_>, raw: &Bytes) -> Vec<(String, String)> {
    let text = |from: u32, to: u32| {
        String::from_utf8_lossy(raw.get(from as usize..to as usize).unwrap_or_default()).into_owned()
    };
    message
        .headers()
        .iter()
        .map(|h| {
            let name = text(h.offset_field, h.offset_start);
            let name = name.trim_end().trim_end_matches(':').trim_end().to_owned();
            let value = text(h.offset_start, h.offset_end);
            let value = value
                .trim()
                .replace("\r\n", "\n")
                .replace("\n ", " ")
                .replace("\n\t", " ")
                .replace('\n', " ");
            (name, value)
        })
        .collect()
}

fn addresses(field: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    field
        .map(|f| {
            f.iter()
                .filter(|a| a.address.is_some() || a.name.is_some())
                .map(|a| {
                    let address = a.address.as_deref().unwrap_or("").to_owned();
                    let name = a.name.as_deref().map_or_else(|| address.clone(), str::to_owned);
                    Address { name, address }
                })
                .collect()
        })
        .unwrap_or_default()
}

fn bracket(id: &str) -> String {
    format!("<{id}>")
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![bracket(id)],
        HeaderValue::TextList(list) => list.iter().map(|id| bracket(id)).collect(),
        _ => vec![],
    }
}

fn ms(date: &DateTime) -> Option<i64> {
    // Years before 1 and after 9999 have no ISO form.
    (date.is_valid() && date.year > 0 && date.year < 10_000).then(|| date.to_timestamp().saturating_mul(1000))
}

fn received(message: &Message<'_>) -> Option<i64> {
    message.header_values(HeaderName::Received).find_map(|v| match v {
        HeaderValue::Received(r) => r.date.as_ref().and_then(ms),
        _ => None,
    })
}

fn body(message: &Message<'_>) -> (bool, String) {
    let part = |id: &u32| message.parts.get(*id as usize);
    for id in &message.html_body {
        if let Some(MessagePart {
            body: PartType::Html(html),
            ..
        }) = part(id)
        {
            return (true, html.clone().into_owned());
        }
    }
    for id in &message.text_body {
        if let Some(MessagePart {
            body: PartType::Text(text),
            ..
        }) = part(id)
        {
            return (false, crlf(text));
        }
    }
    (false, String::new())
}

fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn meeting(message: &Message<'_>) -> Option<Meeting> {
    message.parts.iter().find_map(|p| {
        let kind = p.content_type()?;
        if !kind.ctype().eq_ignore_ascii_case("text") || !kind.subtype()?.eq_ignore_ascii_case("calendar") {
            return None;
        }
        let text = String::from_utf8_lossy(p.contents()).to_ascii_uppercase();
        match kind.attribute("method")?.to_ascii_uppercase().as_str() {
            "REQUEST" => Some(Meeting::Request),
            "CANCEL" => Some(Meeting::Cancelled),
            "REPLY" if text.contains("PARTSTAT=DECLINED") => Some(Meeting::Declined),
            "REPLY" if text.contains("PARTSTAT=TENTATIVE") => Some(Meeting::Tentative),
            "REPLY" => Some(Meeting::Accepted),
            _ => None,
        }
    })
}

fn parts(message: &Message<'_>, raw: &Bytes) -> Vec<Part> {
    message
        .attachments
        .iter()
        .filter_map(|id| message.parts.get(*id as usize))
        // The invitation itself is the meeting, not an attachment.
        .filter(|p| {
            !(p.content_type().is_some_and(|c| {
                c.ctype().eq_ignore_ascii_case("text")
                    && c.subtype().is_some_and(|s| s.eq_ignore_ascii_case("calendar"))
                    && c.has_attribute("method")
            }) && p.attachment_name().is_none())
        })
        .enumerate()
        .map(|(n, p)| part(n as u32 + 1, p, raw))
        .collect()
}

fn part(number: u32, p: &MessagePart<'_>, raw: &Bytes) -> Part {
    let content_id = p.content_id().map(|c| c.trim_matches(['<', '>']).to_owned());
    let disposition_inline = p.content_disposition().is_some_and(|d| d.is_inline());
    let attached = p.content_disposition().is_some_and(|d| d.is_attachment());
    let content_type = p.content_type().map(|c| match c.subtype() {
        Some(sub) => format!("{}/{}", c.ctype(), sub).to_ascii_lowercase(),
        None => c.ctype().to_ascii_lowercase(),
    });
    let kind = match &p.body {
        PartType::Message(inner) => PartKind::Message(Data::Bytes(slice(inner.raw_message(), raw))),
        PartType::Text(_) | PartType::Html(_) => PartKind::File(Data::Bytes(undecoded(p, raw))),
        _ => PartKind::File(Data::Bytes(slice(p.contents(), raw))),
    };
    let name = match (&p.body, p.attachment_name()) {
        (_, Some(name)) => name.to_owned(),
        (PartType::Message(inner), None) => inner.subject().unwrap_or("").to_owned(),
        (_, None) => format!("ATT{number:05}"),
    };
    Part {
        number,
        name,
        content_type: if matches!(kind, PartKind::Message(_)) {
            None
        } else {
            content_type
        },
        inline: !attached
            && (disposition_inline && content_id.is_some() || !disposition_inline && content_id.is_some()),
        content_id,
        content_location: p.content_location().map(str::to_owned),
        kind,
    }
}

/// A slice of `raw` without a copy where `part` lies in it.
fn slice(part: &[u8], raw: &Bytes) -> Bytes {
    let (start, base) = (part.as_ptr() as usize, raw.as_ptr() as usize);
    if !part.is_empty() && start >= base && start + part.len() <= base + raw.len() {
        raw.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}

/// The bytes of a text part with the transfer encoding removed but the character set kept.
fn undecoded(p: &MessagePart<'_>, raw: &Bytes) -> Bytes {
    let Some(body) = raw.get(p.offset_body as usize..p.offset_end as usize) else {
        return Bytes::copy_from_slice(p.contents());
    };
    let decoded = match p.encoding {
        Encoding::None => None,
        Encoding::Base64 => mail_parser::decoders::base64::base64_decode(body),
        Encoding::QuotedPrintable => mail_parser::decoders::quoted_printable::quoted_printable_decode(body),
    };
    decoded.map_or_else(|| slice(body, raw), Bytes::from)
}
