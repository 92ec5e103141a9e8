//! What makes two messages the same: a canonical projection, without ids, times of filing and other traces of where a
//! message lies.

use std::collections::BTreeSet;

use super::map::texts;
use crate::exchange::files::{AttachmentPrint, attachment_difference};
use crate::json::{Fields, parse_time};

/// A message without what depends on where and when it was filed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Projection {
    subject: String,
    from: Option<String>,
    sender: Option<String>,
    to: BTreeSet<String>,
    cc: BTreeSet<String>,
    bcc: BTreeSet<String>,
    reply_to: BTreeSet<String>,
    received: Option<i64>,
    sent: Option<i64>,
    is_read: bool,
    is_draft: bool,
    flag: String,
    categories: BTreeSet<String>,
    importance: String,
    body: String,
    body_is_html: bool,
    internet_message_id: Option<String>,
    pub(crate) attachments: Vec<AttachmentPrint>,
}

impl Projection {
    /// Of a message's JSON. Attachments are added by the caller.
    pub(crate) fn of(raw: &str) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        let body = fields.object("body");
        let body_text = |key: &str| body.as_ref().and_then(|body| body.text(key)).unwrap_or_default();
        Some(Self {
            subject: fields.text("subject").unwrap_or_default(),
            from: address(&fields, "from"),
            sender: address(&fields, "sender"),
            to: addresses(&fields, "toRecipients"),
            cc: addresses(&fields, "ccRecipients"),
            bcc: addresses(&fields, "bccRecipients"),
            reply_to: addresses(&fields, "replyTo"),
            received: seconds(&fields, "receivedDateTime"),
            sent: seconds(&fields, "sentDateTime"),
            is_read: fields.flag("isRead").unwrap_or(false),
            is_draft: fields.flag("isDraft").unwrap_or(false),
            flag: fields
                .object("flag")
                .and_then(|flag| flag.text("flagStatus"))
                .unwrap_or_else(|| "notFlagged".to_owned()),
            categories: texts(&fields, "categories").into_iter().collect(),
            importance: fields.text("importance").unwrap_or_else(|| "normal".to_owned()),
            body: body_text("content"),
            body_is_html: body_text("contentType").eq_ignore_ascii_case("html"),
            internet_message_id: fields.text("internetMessageId"),
            attachments: Vec::new(),
        })
    }

    /// The same message under another subject.
    pub(crate) fn with_subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    /// What Graph was asked not to take, so it is not expected back.
    pub(crate) fn without_message_id(mut self) -> Self {
        self.internet_message_id = None;
        self
    }

    /// Without these recipients, which Graph refuses.
    pub(crate) fn keeping_recipients(mut self, keep: impl Fn(&str) -> bool) -> Self {
        for set in [&mut self.to, &mut self.cc, &mut self.bcc, &mut self.reply_to] {
            set.retain(|address| keep(address));
        }
        self
    }

    /// Only the reply addresses that Graph takes.
    pub(crate) fn keeping_reply_to(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.reply_to.retain(|address| keep(address));
        self
    }

    /// What differs, for people; empty if nothing does.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let mut check = |same: bool, what: &str| {
            if !same {
                out.push(what.to_owned());
            }
        };
        check(self.subject.trim() == other.subject.trim(), "subject");
        check(self.from == other.from, "from");
        // A server fills in the sender from `from`.
        check(
            self.sender == other.sender || self.sender.is_none() && other.sender == self.from,
            "sender",
        );
        check(self.to == other.to, "to");
        check(self.cc == other.cc, "cc");
        check(self.bcc == other.bcc, "bcc");
        check(self.reply_to == other.reply_to, "reply to");
        if !self.is_draft {
            // A draft has the times of its last save.
            check(self.received == other.received, "received time");
            check(self.sent == other.sent, "sent time");
        }
        check(self.is_read == other.is_read, "read state");
        check(self.is_draft == other.is_draft, "draft state");
        check(self.flag == other.flag, "flag");
        check(self.categories == other.categories, "categories");
        check(self.importance == other.importance, "importance");
        let html = self.body_is_html || other.body_is_html;
        check(same_body(&self.body, &other.body, html), "body");
        if self.internet_message_id.is_some() {
            check(
                self.internet_message_id == other.internet_message_id,
                "internet message id",
            );
        }
        let attachments = attachment_difference(&self.attachments, &other.attachments);
        out.extend(attachments);
        out
    }
}

/// A server rewrites the frame of an HTML body (head, line ends), so what a reader sees is compared as well.
pub(crate) fn same_body(a: &str, b: &str, html: bool) -> bool {
    squeeze(a) == squeeze(b) || html && visible(a) == visible(b)
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text between the tags, white space aside; images count by their source.
fn visible(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        out.push(' ');
        let tag_end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        let tag = &rest[at..tag_end];
        let lower = tag.to_ascii_lowercase();
        if lower.starts_with("<img") {
            out.push_str(tag.split("src=").nth(1).unwrap_or_default());
        }
        rest = &rest[tag_end..];
        for (open, close) in [
            ("<style", "</style>"),
            ("<script", "</script>"),
            ("<head", "</head>"),
            ("<!--", "-->"),
        ] {
            if lower.starts_with(open) && !(open == "<head" && lower.starts_with("<header")) {
                // An unclosed one hides nothing.
                if open == "<!--" && lower.ends_with("-->") {
                    continue;
                }
                if let Some(end) = rest.to_ascii_lowercase().find(close) {
                    rest = rest.get(end + close.len()..).unwrap_or_default();
                }
            }
        }
    }
    out.push_str(rest);
    squeeze(&out)
}

fn seconds(fields: &Fields<'_>, key: &str) -> Option<i64> {
    parse_time(&fields.text(key)?).map(|time| time.timestamp())
}

fn address(fields: &Fields<'_>, key: &str) -> Option<String> {
    address_in(&fields.object(key)?)
}

fn addresses(fields: &Fields<'_>, key: &str) -> BTreeSet<String> {
    let list = fields.list(key).unwrap_or_default();
    list.into_iter()
        .filter_map(|raw| address_in(&Fields::parse(raw.get())?))
        .collect()
}

/// Addresses are compared, names are not: a directory fills them in.
fn address_in(recipient: &Fields<'_>) -> Option<String> {
    let email = recipient.object("emailAddress")?;
    let address = email.text("address").filter(|address| !address.is_empty());
    address
        .or_else(|| email.text("name").filter(|name| !name.is_empty()))
        .map(|text| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Projection {
        let raw = serde_json::json!({
            "subject": "S", "body": { "contentType": "html", "content": body }, "isRead": true,
            "from": { "emailAddress": { "address": "A@x.org" } }, "receivedDateTime": "2024-01-31T10:00:00Z",
        });
        Projection::of(&raw.to_string()).unwrap()
    }

    #[test]
    fn frames_do_not_count_and_text_does() {
        let framed = of(
            "<html><head>\r\n<meta charset=utf-8><style>p{}</style></head><body><p>Hi  you</p></body></html>",
        );
        assert!(of("<p>Hi you</p>").differences(&framed).is_empty());
        assert_eq!(of("<p>Hi me</p>").differences(&framed), ["body"]);
        assert_eq!(
            of("<img src=cid:1>").differences(&of("<img src=cid:2>")),
            ["body"]
        );
    }

    #[test]
    fn every_kind_of_attachment_counts() {
        let file = |hash: &str| AttachmentPrint::File {
            name: "a".into(),
            hash: hash.into(),
        };
        let mut one = of("x");
        one.attachments = vec![file("1")];
        let mut other = of("x");
        assert_eq!(one.differences(&other), ["0 attachments instead of 1"]);
        other.attachments = vec![file("2")];
        assert_eq!(one.differences(&other), ["content or names of attachments"]);
    }
}
