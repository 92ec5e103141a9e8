//! What is sent to Graph to make a stored message again.
//!
//! Everything goes into the first POST, because later changes to a message that is no draft are refused (contract 4.4).

use nakivo_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::attachments::{Attachment, Mime, hash};
use super::compare::Projection;
use crate::exchange::access::{MARKER_ID, STATE_ID, UNFINISHED, property};
use crate::exchange::files::AttachmentPrint;
use crate::json::Fields;

/// A longer header block is not sent as a property.
const MAX_HEADERS_BYTES: usize = 32 << 10;
const MESSAGE_TYPE: &str = "#microsoft.graph.message";

/// Taken over from the stored JSON as they are.
const AS_STORED: [&str; 14] = [
    "subject",
    "body",
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "importance",
    "isRead",
    "categories",
    "inferenceClassification",
    "internetMessageId",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
];

/// A message to be created.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    json: Map<String, Value>,
    properties: Vec<Value>,
    pub(crate) attachments: Vec<Attachment>,
    /// What should be there afterwards.
    pub(crate) expected: Projection,
    pub(crate) not_carried: Vec<String>,
}

impl Draft {
    /// From the stored parts.
    ///
    /// # Errors
    /// `Corrupt` if the stored JSON is not a message.
    pub(crate) fn new(stored_json: &str, mime: Mime) -> Result<Self> {
        let bad = || {
            Error::new(
                ErrorKind::Corrupt,
                "the stored JSON of the message cannot be read",
            )
        };
        let fields = Fields::parse(stored_json).ok_or_else(bad)?;
        let mut not_carried = Vec::new();
        let mut json = Map::new();
        for key in AS_STORED {
            let Some(raw) = fields.raw(key) else { continue };
            match serde_json::from_str::<Value>(raw) {
                Ok(value) => {
                    json.insert(key.to_owned(), value);
                }
                Err(_) => match fields.text(key) {
                    // Half a surrogate pair in a text: what can be shown of it.
                    Some(text) => {
                        json.insert(key.to_owned(), Value::String(text));
                    }
                    None => not_carried.push(format!("{key}: the stored value cannot be read")),
                },
            }
        }
        // Documentation data has booleans as text; Graph takes none.
        for key in ["isRead", "isDeliveryReceiptRequested", "isReadReceiptRequested"] {
            if let Some(value) = fields.flag(key) {
                json.insert(key.to_owned(), Value::Bool(value));
            }
        }
        for key in ["toRecipients", "ccRecipients", "bccRecipients"] {
            if let Some(Value::Array(list)) = json.get_mut(key) {
                list.retain(|entry| entry.get("emailAddress").is_some());
            }
        }
        let mut expected = Projection::of(stored_json).ok_or_else(bad)?;
        reply_to(&fields, &mut json, &mut not_carried);
        expected = expected.keeping_reply_to(is_address);
        if let Some(flag) = flag(&fields) {
            json.insert("flag".to_owned(), flag);
        }
        let properties = properties(&fields, &mime, &mut not_carried);
        let kind = fields
            .text("@odata.type")
            .unwrap_or_else(|| MESSAGE_TYPE.to_owned());
        if kind != MESSAGE_TYPE {
            let kind = kind.trim_start_matches("#microsoft.graph.");
            not_carried.push(format!("type {kind}: recovered as an ordinary message"));
        }
        expected.attachments = mime.attachments.iter().map(print_of).collect();
        for attachment in &mime.attachments {
            if !attachment.named {
                not_carried.push(format!(
                    "attachment without a name: Graph takes none, so it is called '{}'",
                    attachment.name
                ));
            }
            if attachment.media_type.eq_ignore_ascii_case("message/rfc822") && attachment.message.is_none() {
                not_carried.push(format!(
                    "attached message '{}': recovered as a file, because Graph does not take its attachments",
                    attachment.name
                ));
            }
        }
        Ok(Self {
            json,
            properties,
            attachments: mime.attachments,
            expected,
            not_carried,
        })
    }

    pub(crate) fn internet_message_id(&self) -> Option<&str> {
        self.json.get("internetMessageId")?.as_str()
    }

    /// Bytes of all attachments.
    pub(crate) fn attachment_bytes(&self) -> usize {
        self.attachments.iter().map(|one| one.bytes.len()).sum()
    }

    /// Under another subject.
    pub(crate) fn rename(&mut self, suffix: &str) {
        let subject = self
            .json
            .get("subject")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let subject = format!("{}{suffix}", subject.trim_end());
        self.expected = self.expected.clone().with_subject(&subject);
        self.json.insert("subject".to_owned(), Value::String(subject));
    }

    /// Without the internet message id, which the service refused.
    pub(crate) fn drop_message_id(&mut self) -> bool {
        let had = self.json.remove("internetMessageId").is_some();
        if had {
            self.expected = self.expected.clone().without_message_id();
            self.not_carried
                .push("internet message id: refused by the service".to_owned());
        }
        had
    }

    /// Without recipients that are no addresses, which the service refused.
    pub(crate) fn drop_bad_recipients(&mut self) -> bool {
        let mut dropped = 0;
        for key in ["toRecipients", "ccRecipients", "bccRecipients"] {
            if let Some(Value::Array(list)) = self.json.get_mut(key) {
                let before = list.len();
                list.retain(|entry| {
                    entry
                        .pointer("/emailAddress/address")
                        .and_then(Value::as_str)
                        .is_some_and(is_address)
                });
                dropped += before - list.len();
            }
        }
        if dropped > 0 {
            self.expected = self.expected.clone().keeping_recipients(is_address);
            self.not_carried.push(format!(
                "{dropped} recipients without a valid address: refused by the service"
            ));
        }
        dropped > 0
    }

    /// The body of the POST.
    pub(crate) fn body(&self, marker: &str) -> Value {
        let mut json = self.json.clone();
        let mut properties = self.properties.clone();
        properties.push(property(MARKER_ID, marker));
        if !self.attachments.is_empty() {
            properties.push(property(STATE_ID, UNFINISHED));
        }
        json.insert(
            "singleValueExtendedProperties".to_owned(),
            Value::Array(properties),
        );
        Value::Object(json)
    }
}

/// As it is expected back.
pub(crate) fn print_of(attachment: &Attachment) -> AttachmentPrint {
    if attachment.message.is_some() {
        AttachmentPrint::Item {
            name: attachment.name.clone(),
        }
    } else {
        AttachmentPrint::File {
            name: attachment.name.clone(),
            hash: hash(&attachment.bytes),
        }
    }
}

/// The MAPI properties that make a delivered message of it (contract 4.4).
fn properties(fields: &Fields<'_>, mime: &Mime, not_carried: &mut Vec<String>) -> Vec<Value> {
    let mut out = Vec::new();
    if !fields.flag("isDraft").unwrap_or(false) {
        // Any value without bit 8 (unsent) makes it no draft; bit 1 sets read.
        let flags = if fields.flag("isRead").unwrap_or(false) {
            "1"
        } else {
            "4"
        };
        out.push(property("Integer 0x0E07", flags));
        for (id, key) in [
            ("SystemTime 0x0E06", "receivedDateTime"),
            ("SystemTime 0x0039", "sentDateTime"),
        ] {
            if let Some(time) = fields.time(key) {
                out.push(property(id, &time.format("%Y-%m-%dT%H:%M:%SZ").to_string()));
            }
        }
    }
    if mime.headers.len() > MAX_HEADERS_BYTES {
        not_carried.push("internet message headers: too long".to_owned());
    } else if !mime.headers.trim().is_empty() {
        out.push(property("String 0x007D", &mime.headers));
    }
    if let Some(value) = &mime.in_reply_to {
        out.push(property("String 0x1042", value));
    }
    if let Some(value) = &mime.references {
        out.push(property("String 0x1039", value));
    }
    out
}

/// Entries without a valid address make the POST fail (contract 4.4).
fn reply_to(fields: &Fields<'_>, json: &mut Map<String, Value>, not_carried: &mut Vec<String>) {
    let list: Vec<Value> = fields
        .raw("replyTo")
        .and_then(|raw| serde_json::from_str(raw).ok())
        .unwrap_or_default();
    let before = list.len();
    let good: Vec<Value> = list
        .into_iter()
        .filter(|entry| {
            entry
                .pointer("/emailAddress/address")
                .and_then(Value::as_str)
                .is_some_and(is_address)
        })
        .collect();
    if good.len() < before {
        not_carried.push(format!(
            "{} reply addresses that are not valid",
            before - good.len()
        ));
    }
    if !good.is_empty() {
        json.insert("replyTo".to_owned(), Value::Array(good));
    }
}

fn flag(fields: &Fields<'_>) -> Option<Value> {
    let flag: Map<String, Value> = serde_json::from_str(fields.raw("flag")?).ok()?;
    let mut out = Map::new();
    for key in ["flagStatus", "startDateTime", "dueDateTime", "completedDateTime"] {
        if let Some(value) = flag.get(key).filter(|value| !value.is_null()) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    // A due date without a start date is refused.
    if out.contains_key("dueDateTime") && !out.contains_key("startDateTime") {
        let due = out.get("dueDateTime").cloned().unwrap_or_default();
        out.insert("startDateTime".to_owned(), due);
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// An SMTP address, or an Exchange distinguished name.
pub(crate) fn is_address(text: &str) -> bool {
    if text.to_ascii_lowercase().starts_with("/o=") {
        return true;
    }
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !text
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "<>,;".contains(c))
    })
}

/// The body of a POST that adds `attachment`, except for large files.
pub(crate) fn attachment_body(attachment: &Attachment) -> Value {
    use base64::Engine;
    match &attachment.message {
        Some(nested) => {
            let recipient = |(name, address): &(String, String)| json!({ "emailAddress": { "name": name, "address": address } });
            let mut item = json!({
                "@odata.type": MESSAGE_TYPE,
                "subject": nested.subject,
                "body": match &nested.html {
                    Some(html) => json!({ "contentType": "html", "content": html }),
                    None => json!({ "contentType": "text", "content": nested.text.clone().unwrap_or_default() }),
                },
                "toRecipients": nested.to.iter().map(recipient).collect::<Vec<_>>(),
                "ccRecipients": nested.cc.iter().map(recipient).collect::<Vec<_>>(),
            });
            if let Some(map) = item.as_object_mut() {
                if let Some(from) = &nested.from {
                    map.insert("from".to_owned(), recipient(from));
                }
                if let Some(id) = &nested.message_id {
                    map.insert("internetMessageId".to_owned(), json!(id));
                }
            }
            json!({ "@odata.type": "#microsoft.graph.itemAttachment", "name": attachment.name, "item": item })
        }
        None => {
            let mut body = json!({
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": attachment.name,
                "contentType": attachment.media_type,
                "isInline": attachment.inline,
                "contentBytes": base64::engine::general_purpose::STANDARD.encode(&attachment.bytes),
            });
            if let (Some(id), Some(map)) = (&attachment.content_id, body.as_object_mut()) {
                map.insert("contentId".to_owned(), json!(id));
            }
            body
        }
    }
}
