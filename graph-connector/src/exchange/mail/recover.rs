//! Writes one message: post, attach, read back, compare, and only then remove what it replaces.

use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::{Error, ErrorKind};
use serde_json::json;

use super::attachments;
use super::compare::Projection;
use super::draft::Draft;
use crate::exchange::access::{self, Items, MAX_TRIES, marker, read_part};
use crate::exchange::files::{MAX_ATTACHMENT_BYTES, too_large};
use crate::exchange::service::MailboxService;
use crate::executor::Backoff;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;
use crate::target::compared;

/// Largest message that is taken: what 150 MB, Exchange's highest limit, become in base64.
const MAX_MIME_BYTES: usize = 220 << 20;

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
        Ok(compared(id, &differences))
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
        found.attachments = self.items().prints(id, draft.attachment_bytes()).await?;
        Ok(expected.differences(&found))
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
        if let Some(old) = replaced {
            let removed = self.soft_delete(old, deleted_items).await;
            self.items().kept(&id, removed).await?;
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
        let finished = self.finish(draft, &id).await;
        let minor = self.items().kept(&id, finished).await?;
        Ok((id, minor))
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
            self.items().attach(id, attachment, number).await?;
        }
        let raw = self.items().get(id).await?.ok_or(Fault::Protocol {
            code: "not_there",
            message: "the new message cannot be read back".into(),
        })?;
        let mut differences = self.differences(draft, id, &raw).await?;
        if differences.iter().all(|what| !is_essential(what)) && !differences.is_empty() {
            // The attachments were not looked at because something small differed already.
            let found = self.items().prints(id, draft.attachment_bytes()).await?;
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
            self.graph.executor.pause(&mut backoff, None).await?;
        }
    }
}

fn is_essential(difference: &str) -> bool {
    ESSENTIAL.contains(&difference) || difference.contains("attachments")
}
