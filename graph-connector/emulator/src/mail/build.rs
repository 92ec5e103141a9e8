//! [`View`] to MIME: the same view always gives the same bytes, in pieces that need not all exist at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::clock;
use crate::mail::data::{Data, PIECE};
use crate::mail::text;
use crate::mail::view::{Address, Part, PartKind, View};
use crate::random::key;

/// A piece of MIME: text that exists, or content that is encoded while it is read.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Bytes(Bytes),
    Base64(Data),
}

/// MIME as a list of pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mime(pub Vec<Segment>);

impl Mime {
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self(vec![Segment::Bytes(bytes)])
    }

    fn push(&mut self, text: impl Into<Vec<u8>>) {
        self.0.push(Segment::Bytes(Bytes::from(text.into())));
    }

    /// Length in bytes, without making them.
    pub(crate) fn len(&self) -> u64 {
        self.0
            .iter()
            .map(|s| match s {
                Segment::Bytes(b) => b.len() as u64,
                Segment::Base64(data) => {
                    let characters = data.len().div_ceil(3) * 4;
                    characters + characters.div_ceil(76) * 2
                }
            })
            .sum()
    }

    /// Pieces in order.
    pub(crate) fn pieces(self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        Box::new(
            self.0
                .into_iter()
                .flat_map(|s| -> Box<dyn Iterator<Item = Bytes> + Send> {
                    match s {
                        Segment::Bytes(b) => Box::new(std::iter::once(b)),
                        Segment::Base64(data) => Box::new(base64_pieces(&data)),
                    }
                }),
        )
    }

    /// All of it.
    pub(crate) fn bytes(self) -> Bytes {
        if let [Segment::Bytes(b)] = self.0.as_slice() {
            return b.clone();
        }
        let mut all = Vec::with_capacity(self.len() as usize);
        self.pieces().for_each(|p| all.extend_from_slice(&p));
        all.into()
    }
}

fn base64_pieces(data: &Data) -> impl Iterator<Item = Bytes> + Send + use<> {
    // Regroup to multiples of 57 bytes, one line each; only the last group may be shorter.
    let mut source = data.pieces();
    let mut held: Vec<u8> = Vec::new();
    let mut done = false;
    std::iter::from_fn(move || {
        while !done && held.len() < PIECE {
            match source.next() {
                Some(p) => held.extend_from_slice(&p),
                None => done = true,
            }
        }
        if held.is_empty() {
            return None;
        }
        let take = if done { held.len() } else { held.len() / 57 * 57 };
        let rest = held.split_off(take);
        let now = std::mem::replace(&mut held, rest);
        Some(Bytes::from(base64_lines(&now)))
    })
}

fn base64_lines(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 3 / 2);
    for line in raw.chunks(57) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Quoted-printable of a text whose lines end with CRLF.
pub(crate) fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for (n, line) in text.replace("\r\n", "\n").split('\n').enumerate() {
        if n > 0 {
            out.push_str("\r\n");
        }
        let mut width = 0;
        let bytes = line.as_bytes();
        for (i, b) in bytes.iter().enumerate() {
            let last = i + 1 == bytes.len();
            let plain = (33..=126).contains(b) && *b != b'=' || (*b == b' ' || *b == b'\t') && !last;
            let need = if plain { 1 } else { 3 };
            if width + need > 75 {
                out.push_str("=\r\n");
                width = 0;
            }
            if plain {
                out.push(char::from(*b));
            } else {
                out.push_str(&format!("={b:02X}"));
            }
            width += need;
        }
    }
    out
}

/// A header text, as encoded words where it is not ASCII.
pub(crate) fn encoded_words(text: &str) -> String {
    if text.bytes().all(|b| (32..127).contains(&b)) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > 42 {
            words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(&chunk)));
            chunk.clear();
        }
        chunk.push(c);
    }
    words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(&chunk)));
    words.join("\r\n ")
}

fn mailbox(a: &Address) -> String {
    if a.name.is_empty() || a.name == a.address {
        return if a.address.is_empty() {
            String::new()
        } else {
            format!("<{}>", a.address)
        };
    }
    let name = if a.name.is_ascii() {
        format!(
            "\"{}\"",
            a.name
                .replace(['\r', '\n'], " ")
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
        )
    } else {
        encoded_words(&a.name)
    };
    format!("{name} <{}>", a.address)
}

fn address_field(out: &mut String, name: &str, list: &[Address]) {
    if !list.is_empty() {
        let list: Vec<String> = list.iter().map(mailbox).collect();
        out.push_str(&format!("{name}: {}\r\n", list.join(",\r\n\t")));
    }
}

/// Header fields for a view that has no header block of its own.
pub(crate) fn header_fields(view: &View) -> String {
    let mut out = String::new();
    address_field(&mut out, "From", view.from.as_slice());
    if view.sender != view.from {
        address_field(&mut out, "Sender", view.sender.as_slice());
    }
    address_field(&mut out, "To", &view.to);
    address_field(&mut out, "Cc", &view.cc);
    address_field(&mut out, "Bcc", &view.bcc);
    address_field(&mut out, "Reply-To", &view.reply_to);
    if let Some(subject) = &view.subject {
        out.push_str(&format!(
            "Subject: {}\r\n",
            encoded_words(&subject.replace(['\r', '\n'], " "))
        ));
    }
    if let Some(sent) = view.sent {
        out.push_str(&format!("Date: {}\r\n", clock::rfc2822(sent)));
    }
    if let Some(id) = &view.message_id {
        out.push_str(&format!("Message-ID: {id}\r\n"));
    }
    if let Some(id) = &view.in_reply_to {
        out.push_str(&format!("In-Reply-To: {id}\r\n"));
    }
    if !view.references.is_empty() {
        out.push_str(&format!("References: {}\r\n", view.references.join("\r\n\t")));
    }
    if view.importance != "normal" && !view.importance.is_empty() {
        out.push_str(&format!("Importance: {}\r\n", view.importance));
    }
    for (name, value) in &view.headers {
        if name.len() > 2 && name[..2].eq_ignore_ascii_case("x-") {
            out.push_str(&format!("{name}: {}\r\n", encoded_words(value)));
        }
    }
    out
}

/// The fields of a given header block that do not describe the structure of the body.
pub(crate) fn header_block(block: &str) -> String {
    let mut out = String::new();
    let mut keep = true;
    for line in block.replace("\r\n", "\n").split('\n') {
        if line.is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or("").trim().to_ascii_lowercase();
            keep = line.contains(':') && !name.starts_with("content-") && name != "mime-version";
        }
        if keep {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

/// The whole message: `headers` (ending in CRLF), then the body of `view` with its parts.
pub(crate) fn message(view: &View, headers: &str, seed: u64) -> Mime {
    let mut mime = Mime::default();
    mime.push(format!("{headers}MIME-Version: 1.0\r\n"));
    let related: Vec<&Part> = view
        .parts
        .iter()
        .filter(|p| p.inline && p.content_id.is_some())
        .collect();
    let mixed: Vec<&Part> = view
        .parts
        .iter()
        .filter(|p| !(p.inline && p.content_id.is_some() || matches!(p.kind, PartKind::Reference)))
        .collect();
    let boundary = |level: u64| {
        format!(
            "_{level:03}_{:016x}{:08x}_",
            key(&[seed, level]),
            key(&[seed, level, 1]) as u32
        )
    };
    if mixed.is_empty() {
        related_body(&mut mime, view, &related, &boundary);
    } else {
        let b = boundary(3);
        mime.push(format!(
            "Content-Type: multipart/mixed;\r\n\tboundary=\"{b}\"\r\n\r\n--{b}\r\n"
        ));
        related_body(&mut mime, view, &related, &boundary);
        for p in mixed {
            mime.push(format!("\r\n--{b}\r\n"));
            part(&mut mime, p);
        }
        mime.push(format!("\r\n--{b}--\r\n"));
    }
    mime
}

fn related_body(mime: &mut Mime, view: &View, related: &[&Part], boundary: &dyn Fn(u64) -> String) {
    if related.is_empty() {
        return text_body(mime, view, boundary);
    }
    let b = boundary(2);
    mime.push(format!("Content-Type: multipart/related;\r\n\tboundary=\"{b}\";\r\n\ttype=\"multipart/alternative\"\r\n\r\n--{b}\r\n"));
    text_body(mime, view, boundary);
    for p in related {
        mime.push(format!("\r\n--{b}\r\n"));
        part(mime, p);
    }
    mime.push(format!("\r\n--{b}--\r\n"));
}

fn text_body(mime: &mut Mime, view: &View, boundary: &dyn Fn(u64) -> String) {
    let plain = |subtype: &str, content: &str| {
        format!(
            "Content-Type: text/{subtype}; charset=\"utf-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
            quoted_printable(content)
        )
    };
    if !view.html {
        mime.push(plain("plain", &view.body));
        return;
    }
    let b = boundary(1);
    mime.push(format!(
        "Content-Type: multipart/alternative;\r\n\tboundary=\"{b}\"\r\n\r\n--{b}\r\n{}\r\n--{b}\r\n{}\r\n--{b}--\r\n",
        plain("plain", &text::from_html(&view.body)),
        plain("html", &view.body)
    ));
}

fn parameter(name: &str, value: &str) -> String {
    if value
        .bytes()
        .all(|b| (32..127).contains(&b) && b != b'"' && b != b'\\')
    {
        format!("{name}=\"{value}\"")
    } else {
        let mut out = format!("{name}*=utf-8''");
        for b in value.bytes() {
            if b.is_ascii_alphanumeric() || b"-_.".contains(&b) {
                out.push(char::from(b));
            } else {
                out.push_str(&format!("%{b:02X}"));
            }
        }
        out
    }
}

fn part(mime: &mut Mime, p: &Part) {
    let disposition = if p.inline { "inline" } else { "attachment" };
    match &p.kind {
        PartKind::Message(data) => {
            mime.push(format!(
                "Content-Type: message/rfc822\r\nContent-Disposition: {disposition};\r\n\t{}\r\n\r\n",
                parameter("filename", &format!("{}.eml", p.name))
            ));
            data.pieces().for_each(|piece| mime.0.push(Segment::Bytes(piece)));
        }
        PartKind::File(data) | PartKind::Item { text: data, .. } => {
            let kind = p
                .content_type
                .clone()
                .unwrap_or_else(|| "application/octet-stream".into());
            let mut head = format!(
                "Content-Type: {kind};\r\n\t{}\r\nContent-Description: {}\r\nContent-Disposition: {disposition};\r\n\t{};\r\n\tsize={}\r\n",
                parameter("name", &p.name),
                encoded_words(&p.name),
                parameter("filename", &p.name),
                data.len()
            );
            if let Some(id) = &p.content_id {
                head.push_str(&format!("Content-ID: <{id}>\r\n"));
            }
            if let Some(location) = &p.content_location {
                head.push_str(&format!("Content-Location: {location}\r\n"));
            }
            head.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
            mime.push(head);
            mime.0.push(Segment::Base64(data.clone()));
        }
        PartKind::Reference => {}
    }
}
