//! Files attached to items of a mailbox: sent, and read back by name and hash.

use nakivo_core::{Error, ErrorKind};
use reqwest::header::CONTENT_RANGE;
use serde_json::json;

use super::access::{Items, MAX_TRIES};
use super::mail::attachments::{Attachment, hash};
use super::mail::draft::attachment_body;
use super::service::MailboxService;
use crate::executor::{Backoff, Call, collect};
use crate::fault::Fault;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Largest single attachment. Source: contract 4.5.
pub(crate) const MAX_ATTACHMENT_BYTES: usize = 150 << 20;
/// From this size on an attachment goes through an upload session. Source: contract 4.5.
const SESSION_FROM_BYTES: usize = 3_000_000;
/// Bytes of one range of an upload session. Source: contract 4.5.
const RANGE_BYTES: usize = 4_000_000;
/// Attachments of at most this size in all are read back in one answer.
const READ_BACK_BYTES: usize = 8 << 20;

/// The operations of a service.
struct Operations {
    list: Operation,
    content: Operation,
    create: Operation,
    session: Operation,
}

const fn operations(service: MailboxService) -> Operations {
    match service {
        MailboxService::Calendar => Operations {
            list: Operation::EventAttachments,
            content: Operation::EventAttachmentContent,
            create: Operation::CreateEventAttachment,
            session: Operation::CreateEventUploadSession,
        },
        // Contacts have none.
        MailboxService::Mail | MailboxService::Contacts => Operations {
            list: Operation::Attachments,
            content: Operation::AttachmentContent,
            create: Operation::CreateAttachment,
            session: Operation::CreateUploadSession,
        },
    }
}

/// An attachment as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AttachmentPrint {
    File {
        name: String,
        hash: String,
    },
    /// Content of items and links is not comparable: Graph renders it anew each time.
    Item {
        name: String,
    },
    Link {
        name: String,
    },
}

pub(crate) fn attachment_difference(
    expected: &[AttachmentPrint],
    found: &[AttachmentPrint],
) -> Option<String> {
    let sorted = |list: &[AttachmentPrint]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    if sorted(expected) == sorted(found) {
        return None;
    }
    if expected.len() != found.len() {
        return Some(format!(
            "{} attachments instead of {}",
            found.len(),
            expected.len()
        ));
    }
    Some("content or names of attachments".to_owned())
}

impl Items<'_> {
    /// Names and hashes of the attachments of an item. `total`: bytes that are expected, to choose the cheaper way.
    pub(crate) async fn prints(&self, id: &str, total: usize) -> Result<Vec<AttachmentPrint>, Fault> {
        let ids = [self.user, id];
        if total <= READ_BACK_BYTES {
            let call = self
                .graph
                .call(self.scope, operations(self.service).list, &ids, &[])?;
            match pages::all(self.graph, self.scope, call, 10_000).await {
                Ok(list) => {
                    return list
                        .iter()
                        .map(|raw| print(raw, content_hash(raw)))
                        .collect::<Option<_>>()
                        .ok_or(Fault::Protocol {
                            code: "bad_attachment",
                            message: "an attachment could not be read back".into(),
                        });
                }
                Err(Fault::TooLarge { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        let query = [("$select", "id,name,contentType,size,isInline")];
        let call = self
            .graph
            .call(self.scope, operations(self.service).list, &ids, &query)?;
        let mut out = Vec::new();
        for raw in pages::all(self.graph, self.scope, call, 10_000).await? {
            let fields = Fields::parse(&raw);
            let text = |key: &str| {
                fields
                    .as_ref()
                    .and_then(|fields| fields.text(key))
                    .unwrap_or_default()
            };
            let hash = if text("@odata.type").ends_with("fileAttachment") {
                let ids = [self.user, id, &text("id")];
                let call = self
                    .graph
                    .call(self.scope, operations(self.service).content, &ids, &[])?
                    .bytes();
                let answer = self.graph.executor.stream(&call).await?;
                Some(hash(
                    &collect(answer.body, (MAX_ATTACHMENT_BYTES * 2) as u64).await?,
                ))
            } else {
                None
            };
            out.extend(print(&raw, hash));
        }
        Ok(out)
    }

    /// Adds a file to an item that has so many. One that the item does not take is a typed error.
    pub(crate) async fn attach(
        &self,
        id: &str,
        attachment: &Attachment,
        present: usize,
    ) -> Result<(), Fault> {
        self.send(id, attachment, present).await.map_err(too_large)
    }

    async fn send(&self, id: &str, attachment: &Attachment, present: usize) -> Result<(), Fault> {
        if attachment.message.is_none() && attachment.bytes.len() >= SESSION_FROM_BYTES {
            return self.upload(id, attachment).await;
        }
        let mut backoff = Backoff::new();
        loop {
            let ids = [self.user, id];
            let call = self
                .graph
                .outlook(self.scope, operations(self.service).create, &ids, &[])?
                .json_body(&attachment_body(attachment));
            let fault = match self.graph.executor.json(&call).await {
                Ok(_) => return Ok(()),
                Err(fault) => fault,
            };
            if !fault.ambiguous() || backoff.tries() >= MAX_TRIES {
                return Err(fault);
            }
            self.graph.executor.pause(&mut backoff, None).await?;
            if self.count_attachments(id).await? > present {
                return Ok(());
            }
        }
    }

    async fn count_attachments(&self, id: &str) -> Result<usize, Fault> {
        let query = [("$select", "id,name")];
        let call = self.graph.call(
            self.scope,
            operations(self.service).list,
            &[self.user, id],
            &query,
        )?;
        Ok(pages::all(self.graph, self.scope, call, 10_000).await?.len())
    }

    /// Sends a large file in ranges. A session that breaks off leaves nothing, so another one begins.
    async fn upload(&self, id: &str, attachment: &Attachment) -> Result<(), Fault> {
        let mut backoff = Backoff::new();
        loop {
            match self.upload_once(id, attachment).await {
                Ok(()) => return Ok(()),
                Err(fault) => {
                    let again = fault.ambiguous()
                        || fault.refused_as(|refusal| matches!(refusal.status, 404 | 410 | 416));
                    if !again || backoff.tries() >= MAX_TRIES {
                        return Err(fault);
                    }
                }
            }
            self.graph.executor.pause(&mut backoff, None).await?;
        }
    }

    async fn upload_once(&self, id: &str, attachment: &Attachment) -> Result<(), Fault> {
        let total = attachment.bytes.len();
        let mut item = json!({
            "attachmentType": "file",
            "name": attachment.name,
            "size": total,
            "contentType": attachment.media_type,
            "isInline": attachment.inline,
        });
        if let (Some(content_id), Some(map)) = (&attachment.content_id, item.as_object_mut()) {
            map.insert("contentId".to_owned(), json!(content_id));
        }
        // A session that nobody uses ends by itself.
        let call = self
            .graph
            .outlook(
                self.scope,
                operations(self.service).session,
                &[self.user, id],
                &[],
            )?
            .json_body(&json!({ "AttachmentItem": item }))
            .repeatable();
        let text = self.graph.executor.json(&call).await?;
        let url = Fields::parse(&text)
            .and_then(|fields| fields.text("uploadUrl"))
            .ok_or(Fault::Protocol {
                code: "no_upload_url",
                message: "the upload session has no address".into(),
            })?;
        let mut from = 0;
        while from < total {
            let to = (from + RANGE_BYTES).min(total);
            let mut call: Call = self.graph.upload(self.scope, &url)?;
            call.body = Some(("application/octet-stream", attachment.bytes.slice(from..to)));
            let call = call.header(CONTENT_RANGE, &format!("bytes {from}-{}/{total}", to - 1));
            let text = self.graph.executor.json(&call).await?;
            from = next_range(&text)
                .filter(|next| *next > from && *next <= to)
                .unwrap_or(to);
        }
        Ok(())
    }
}

/// `["2097152"]` in documentation data, `["2097152-"]` elsewhere (contract 4.5).
fn next_range(text: &str) -> Option<usize> {
    let fields = Fields::parse(text)?;
    let list = fields
        .list("nextExpectedRanges")
        .or_else(|| fields.list("NextExpectedRanges"))?;
    let first = crate::json::lenient_string(list.first()?.get())?;
    first.split('-').next()?.trim().parse().ok()
}

fn print(raw: &str, hash: Option<String>) -> Option<AttachmentPrint> {
    let fields = Fields::parse(raw)?;
    let name = fields.text("name").unwrap_or_default();
    let kind = fields
        .text("@odata.type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if kind.ends_with("itemattachment") {
        return Some(AttachmentPrint::Item { name });
    }
    if kind.ends_with("referenceattachment") {
        return Some(AttachmentPrint::Link { name });
    }
    Some(AttachmentPrint::File { name, hash: hash? })
}

fn content_hash(raw: &str) -> Option<String> {
    use base64::Engine;
    let text = Fields::parse(raw)?.text("contentBytes")?;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()
        .map(|bytes| hash(&bytes))
}

/// What a refusal for its size means.
pub(crate) fn too_large(fault: Fault) -> Fault {
    if fault.refused_as(|refusal| {
        refusal.status == 413 || refusal.is("ErrorMessageSizeExceeded") || refusal.is("RequestEntityTooLarge")
    }) {
        return Fault::Ready(
            Error::new(
                ErrorKind::InvalidInput,
                format!("the item is larger than the mailbox takes: {fault}"),
            )
            .with_hint("Raise the message size limit of the mailbox (up to 150 MB), or export the item."),
        );
    }
    fault
}
