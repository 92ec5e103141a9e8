//! What a message says, whatever it was made from: the common ground of loaded, generated and created messages.

use crate::mail::data::Data;

/// A mail address with the name shown for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address {
    pub name: String,
    pub address: String,
}

impl Address {
    pub(crate) fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
        }
    }
}

/// What kind of thing an attachment is.
#[derive(Debug, Clone)]
pub(crate) enum PartKind {
    File(Data),
    /// A message inside the message: its MIME bytes.
    Message(Data),
    /// An event or contact inside the message: the JSON it was created with and its text form.
    Item {
        json: serde_json::Value,
        text: Data,
    },
    /// A link to a file elsewhere. It has no place in MIME.
    Reference,
}

/// One attachment.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Number within the message, never used twice.
    pub number: u32,
    pub name: String,
    pub content_type: Option<String>,
    pub content_id: Option<String>,
    pub content_location: Option<String>,
    pub inline: bool,
    pub kind: PartKind,
}

impl Part {
    pub(crate) fn len(&self) -> u64 {
        match &self.kind {
            PartKind::File(data) | PartKind::Message(data) | PartKind::Item { text: data, .. } => data.len(),
            PartKind::Reference => 0,
        }
    }
}

/// Role of a meeting message, from its text/calendar part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    Request,
    Cancelled,
    Accepted,
    Declined,
    Tentative,
}

/// Everything that a message says. Flags, categories and read state live outside: they change without it.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub subject: Option<String>,
    pub from: Option<Address>,
    pub sender: Option<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub reply_to: Vec<Address>,
    /// Unix milliseconds.
    pub sent: Option<i64>,
    /// Unix milliseconds; `None` when no header says it.
    pub received: Option<i64>,
    /// With angle brackets.
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    /// With angle brackets, oldest first.
    pub references: Vec<String>,
    /// `low`, `normal`, `high`.
    pub importance: String,
    pub read_receipt: bool,
    pub delivery_receipt: bool,
    pub html: bool,
    pub body: String,
    /// Names and unfolded values in the order of the message.
    pub headers: Vec<(String, String)>,
    pub meeting: Option<Meeting>,
    pub parts: Vec<Part>,
}

impl View {
    /// The text that names the thread: the oldest reference, else the own id, else the subject.
    pub(crate) fn thread_name(&self) -> &str {
        self.references
            .first()
            .or(self.in_reply_to.as_ref())
            .or(self.message_id.as_ref())
            .or(self.subject.as_ref())
            .map_or("", String::as_str)
    }

    /// `hasAttachments`: inline parts do not count.
    pub(crate) fn has_attachments(&self) -> bool {
        self.parts.iter().any(|p| !p.inline)
    }
}
