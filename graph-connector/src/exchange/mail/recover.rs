//! Writes one message: post, attach, read back, compare, and only then remove what it replaces.

use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::{Error, ErrorKind};
use reqwest::header::CONTENT_RANGE;
use serde_json::json;

use super::attachments::{self, Attachment, hash};
use super::compare::{AttachmentPrint, Projection};
use super::draft::{Draft, attachment_body};
use crate::exchange::access::{self, Items, MAX_TRIES, marker, read_part};
use crate::exchange::service::MailboxService;
use crate::executor::{Backoff, Call, collect};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Largest message that is taken: what 150 MB, Exchange's highest limit, become in base64.
const MAX_MIME_BYTES: usize = 220 << 20;
/// Largest single attachment. Source: contract 4.5.
const MAX_ATTACHMENT_BYTES: usize = 150 << 20;
/// From this size on an attachment goes through an upload session. Source: contract 4.5.
const SESSION_FROM_BYTES: usize = 3_000_000;
/// Bytes of one range of an upload session. Source: contract 4.5.
const RANGE_BYTES: usize = 4_000_000;
/// Attachments of at most this size in all are read back in one answer.
const READ_BACK_BYTES: usize = 8 << 20;

/// Differences that make a copy worthless; others are reported.
const ESSENTIAL: [&str; 5] = ["subject", "body", "received time", "draft state", "attachments"];

/// One mailbox being written to.
pub(crate) struct Writing<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) scope: &'a Scope,
    pub(crate) user: &'a str,
}

/// The draft of `item`, read once.
pub(crate) async fn draft_of<'d>(
    draft: &'d mut Option<Draft>,
    content: &dyn ContentSource,
) -> Result<&'d mut Draft, Fault> {
    if draft.is_none() {
        *draft = Some(load(content).await.map_err(Fault::Ready)?);
    }
    draft
        .as_mut()
        .ok_or_else(|| Fault::Ready(Error::internal("a draft was made and is missing")))
}

async fn load(content: &dyn ContentSource) -> nakivo_core::Result<Draft> {
    let json = read_part(content, "json", 64 << 20).await?;
    let mime = read_part(content, "mime", MAX_MIME_BYTES).await?;
    let text = String::from_utf8_lossy(&json);
    let mut draft = Draft::new(&text, attachments::read(&mime))?;
    if let Some(large) = draft
        .attachments
        .iter()
        .find(|one| one.bytes.len() > MAX_ATTACHMENT_BYTES)
    {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "attachment '{}' is larger than the 150 MB that Graph takes",
                large.name
            ),
        )
        .with_hint("Export the message instead."));
    }
    match read_part(content, "attachments", 16 << 20).await {
        Ok(list) => draft.not_carried.extend(links(&String::from_utf8_lossy(&list))),
        // Most messages have no such part.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(draft)
}

/// Links to files elsewhere cannot be attached through Graph 1.0.
fn links(list: &str) -> Vec<String> {
    let elements: Vec<&serde_json::value::RawValue> = serde_json::from_str(list).unwrap_or_default();
    elements
        .into_iter()
        .filter_map(|raw| Fields::parse(raw.get()))
        .filter(|fields| {
            fields
                .text("@odata.type")
                .is_some_and(|kind| kind.contains("referenceAttachment"))
        })
        .map(|fields| format!("attached link '{}'", fields.text("name").unwrap_or_default()))
        .collect()
}

impl Writing<'_> {
    /// The messages of this mailbox.
    pub(crate) const fn items(&self) -> Items<'_> {
        Items {
            graph: self.graph,
            scope: self.scope,
            user: self.user,
            service: MailboxService::Mail,
        }
    }

    /// Compares what is there with what would be written.
    pub(crate) async fn compared(&self, draft: &Draft, id: String, raw: &str) -> Result<Existing, Fault> {
        let differences = self.differences(draft, &id, raw).await?;
        Ok(access::compared(id, &differences))
    }

    async fn differences(&self, draft: &Draft, id: &str, raw: &str) -> Result<Vec<String>, Fault> {
        let Some(mut found) = Projection::of(raw) else {
            return Err(Fault::Protocol {
                code: "wrong_item",
                message: "the answer is not a message".into(),
            });
        };
        let expected = &draft.expected;
        let claims = Fields::parse(raw)
            .and_then(|fields| fields.flag("hasAttachments"))
            .unwrap_or(false);
        // Attachments are read only if everything else is the same: they are the expensive part.
        found.attachments.clone_from(&expected.attachments);
        let differences = expected.differences(&found);
        if !differences.is_empty() || (expected.attachments.is_empty() && !claims) {
            return Ok(differences);
        }
        found.attachments = self.prints(id, &draft.attachments).await?;
        Ok(expected.differences(&found))
    }

    /// Names and hashes of the attachments of a message. `hint`: what is expected, to choose the cheaper way.
    async fn prints(&self, id: &str, hint: &[Attachment]) -> Result<Vec<AttachmentPrint>, Fault> {
        let ids = [self.user, id];
        let total: usize = hint.iter().map(|one| one.bytes.len()).sum();
        if total <= READ_BACK_BYTES {
            let call = self.graph.call(self.scope, Operation::Attachments, &ids, &[])?;
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
            .call(self.scope, Operation::Attachments, &ids, &query)?;
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
                    .call(self.scope, Operation::AttachmentContent, &ids, &[])?
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

    /// Writes one message.
    pub(crate) async fn recover(
        &self,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
        deleted_items: Option<&str>,
    ) -> Result<Recovered, Fault> {
        let mut draft = load(content).await.map_err(Fault::Ready)?;
        if action == RecoverAction::CreateRenamed {
            draft.rename(&self.items().suffix());
        }
        let marker = marker(&item.record);
        let replaced = access::replaced(&action);
        let (done, known) = self
            .items()
            .earlier(container, &marker, replaced, |id, raw| {
                let draft = &draft;
                async move { self.differences(draft, &id, &raw).await }
            })
            .await?;
        let (id, minor) = match done {
            Some(id) => (id, Vec::new()),
            None => self.create(container, &mut draft, &marker, &known).await?,
        };
        if let Some(old) = replaced
            && let Err(fault) = self.soft_delete(old, deleted_items).await
        {
            // As before: the old one is still in its place, so the new one goes.
            self.items().remove_quietly(&id).await;
            return Err(fault);
        }
        let mut not_carried = draft.not_carried;
        not_carried.extend(
            minor
                .into_iter()
                .map(|what| format!("{what}: the service changed it")),
        );
        Ok(access::recovered(id, item, not_carried))
    }

    /// Makes a copy and reads it back; what is not equal in essence is removed again.
    async fn create(
        &self,
        container: &str,
        draft: &mut Draft,
        marker: &str,
        known: &[String],
    ) -> Result<(String, Vec<String>), Fault> {
        let id = self.post(container, draft, marker, known).await?;
        match self.finish(draft, &id).await {
            Ok(minor) => Ok((id, minor)),
            Err(fault) => {
                self.items().remove_quietly(&id).await;
                Err(fault)
            }
        }
    }

    /// Posts the message.
    async fn post(
        &self,
        container: &str,
        draft: &mut Draft,
        marker: &str,
        known: &[String],
    ) -> Result<String, Fault> {
        let amend = |draft: &mut Draft, fault: &Fault| {
            let about =
                |word: &str| fault.refused_as(|refusal| refusal.message.to_lowercase().contains(word));
            fault.refused_as(|refusal| refusal.status == 400)
                && (fault.refused_as(|refusal| refusal.is("ErrorInvalidRecipients"))
                    && draft.drop_bad_recipients()
                    || about("internetmessageid") && draft.drop_message_id())
        };
        self.items()
            .post(container, draft, |draft| draft.body(marker), marker, known, amend)
            .await
            .map_err(too_large)
    }

    /// Adds the attachments, reads everything back and compares. Returns what differs without harm.
    async fn finish(&self, draft: &Draft, id: &str) -> Result<Vec<String>, Fault> {
        for (number, attachment) in draft.attachments.iter().enumerate() {
            self.attach(id, attachment, number).await.map_err(too_large)?;
        }
        let raw = self.items().get(id).await?.ok_or(Fault::Protocol {
            code: "not_there",
            message: "the new message cannot be read back".into(),
        })?;
        let mut differences = self.differences(draft, id, &raw).await?;
        if differences.iter().all(|what| !is_essential(what)) && !differences.is_empty() {
            // The attachments were not looked at because something small differed already.
            let found = self.prints(id, &draft.attachments).await?;
            let mut expected = draft.expected.attachments.clone();
            let mut found_sorted = found;
            expected.sort();
            found_sorted.sort();
            if expected != found_sorted {
                differences.push("attachments".to_owned());
            }
        }
        if differences.iter().any(|what| is_essential(what)) {
            return Err(Fault::Protocol {
                code: "read_back_differs",
                message: format!(
                    "the new message differs from the stored one: {}",
                    differences.join(", ")
                ),
            });
        }
        if !draft.attachments.is_empty() {
            self.items().mark_finished(id).await?;
        }
        Ok(differences)
    }

    async fn attach(&self, id: &str, attachment: &Attachment, present: usize) -> Result<(), Fault> {
        if attachment.message.is_none() && attachment.bytes.len() >= SESSION_FROM_BYTES {
            return self.upload(id, attachment).await;
        }
        let mut backoff = Backoff::new();
        loop {
            let ids = [self.user, id];
            let call = self
                .graph
                .outlook(self.scope, Operation::CreateAttachment, &ids, &[])?
                .json_body(&attachment_body(attachment));
            let fault = match self.graph.executor.json(&call).await {
                Ok(_) => return Ok(()),
                Err(fault) => fault,
            };
            if !fault.ambiguous() || backoff.tries() >= MAX_TRIES {
                return Err(fault);
            }
            self.graph
                .executor
                .pause(&mut backoff, None)
                .await
                .map_err(Fault::Ready)?;
            if self.count_attachments(id).await? > present {
                return Ok(());
            }
        }
    }

    async fn count_attachments(&self, id: &str) -> Result<usize, Fault> {
        let query = [("$select", "id,name")];
        let call = self
            .graph
            .call(self.scope, Operation::Attachments, &[self.user, id], &query)?;
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
            self.graph
                .executor
                .pause(&mut backoff, None)
                .await
                .map_err(Fault::Ready)?;
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
            .outlook(self.scope, Operation::CreateUploadSession, &[self.user, id], &[])?
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

    /// Moves the replaced message to Deleted Items.
    async fn soft_delete(&self, id: &str, deleted_items: Option<&str>) -> Result<(), Fault> {
        let mut backoff = Backoff::new();
        loop {
            let call = self
                .graph
                .outlook(self.scope, Operation::MoveMessage, &[self.user, id], &[])?
                .json_body(&json!({ "destinationId": "deleteditems" }));
            let fault = match self.graph.executor.json(&call).await {
                Ok(_) => return Ok(()),
                // Gone already: nothing is left to replace.
                Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => return Ok(()),
                Err(fault) => fault,
            };
            if !fault.ambiguous() || backoff.tries() >= MAX_TRIES {
                return Err(fault);
            }
            let Some(raw) = self.items().get(id).await? else {
                return Ok(());
            };
            let parent = Fields::parse(&raw).and_then(|fields| fields.text("parentFolderId"));
            if parent.is_some() && parent.as_deref() == deleted_items {
                return Ok(());
            }
            self.graph
                .executor
                .pause(&mut backoff, None)
                .await
                .map_err(Fault::Ready)?;
        }
    }
}

fn is_essential(difference: &str) -> bool {
    ESSENTIAL.contains(&difference) || difference.contains("attachments")
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

fn too_large(fault: Fault) -> Fault {
    if fault.refused_as(|refusal| {
        refusal.status == 413 || refusal.is("ErrorMessageSizeExceeded") || refusal.is("RequestEntityTooLarge")
    }) {
        return Fault::Ready(
            Error::new(
                ErrorKind::InvalidInput,
                format!("the message is larger than the mailbox takes: {fault}"),
            )
            .with_hint("Raise the message size limit of the mailbox (up to 150 MB), or export the message."),
        );
    }
    fault
}
