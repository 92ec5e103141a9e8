//! Writes contacts back: post, photo, read back, compare, and only then remove what they replace.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::{ErrorKind, Result};

use super::draft::Draft;
use super::fetch::photo_bytes;
use crate::exchange::access::{self, Items, marker, read_part};
use crate::exchange::places::Places;
use crate::exchange::scope_of;
use crate::exchange::service::MailboxService;
use crate::exchange::target::ServiceTarget;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;
use crate::target::compared;

/// Largest photo that is sent in one request. Exchange takes 4 MB.
const MAX_PHOTO_BYTES: usize = 32 << 20;

/// Writes contacts back.
#[derive(Debug)]
pub(crate) struct ContactTarget {
    graph: Arc<Graph>,
    folders: Places,
}

impl ContactTarget {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Self {
            folders: Places::new(Arc::clone(&graph), MailboxService::Contacts),
            graph,
        }
    }

    fn items<'a>(&'a self, scope: &'a Scope, user: &'a str) -> Items<'a> {
        Items {
            graph: &self.graph,
            scope,
            user,
            service: MailboxService::Contacts,
        }
    }

    /// Compares what is there with what would be written.
    async fn differences(
        &self,
        items: Items<'_>,
        draft: &Draft,
        id: &str,
        raw: &str,
    ) -> Result<Vec<String>, Fault> {
        let photo = photo_bytes(items.graph, items.scope, items.user, id).await?;
        draft.differences(raw, photo.as_ref()).ok_or(Fault::Protocol {
            code: "wrong_item",
            message: "the answer is not a contact".into(),
        })
    }

    async fn compared(
        &self,
        items: Items<'_>,
        draft: &Draft,
        id: String,
        raw: &str,
    ) -> Result<Existing, Fault> {
        let differences = self.differences(items, draft, &id, raw).await?;
        Ok(compared(id, &differences))
    }

    /// Makes a copy and reads it back; what is not equal is removed again.
    async fn create(
        &self,
        items: Items<'_>,
        container: &str,
        draft: &mut Draft,
        marker: &str,
        known: &[String],
    ) -> Result<String, Fault> {
        let id = items
            .post(
                container,
                draft,
                |draft| draft.body(marker),
                marker,
                known,
                |_, _| false,
            )
            .await?;
        let finished = self.finish(items, draft, &id).await;
        items.kept(&id, finished).await?;
        Ok(id)
    }

    async fn finish(&self, items: Items<'_>, draft: &Draft, id: &str) -> Result<(), Fault> {
        if let Some(photo) = &draft.photo {
            let ids = [items.user, id];
            let mut call = self
                .graph
                .outlook(items.scope, Operation::PutContactPhoto, &ids, &[])?
                .bytes()
                .repeatable();
            call.body = Some(("image/jpeg", photo.clone()));
            self.graph.executor.stream(&call).await?;
        }
        let raw = items.get(id).await?.ok_or(Fault::Protocol {
            code: "not_there",
            message: "the new contact cannot be read back".into(),
        })?;
        let differences = self.differences(items, draft, id, &raw).await?;
        if !differences.is_empty() {
            return Err(Fault::Protocol {
                code: "read_back_differs",
                message: format!(
                    "the new contact differs from the stored one: {}",
                    differences.join(", ")
                ),
            });
        }
        if draft.photo.is_some() {
            items.mark_finished(id).await?;
        }
        Ok(())
    }
}

/// The stored contact.
async fn load(content: &dyn ContentSource) -> Result<Draft> {
    let json = read_part(content, "json", 64 << 20).await?;
    let photo: Option<Bytes> = match read_part(content, "photo", MAX_PHOTO_BYTES).await {
        Ok(photo) => Some(photo),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Draft::new(&String::from_utf8_lossy(&json), photo)
}

#[async_trait]
impl ServiceTarget for ContactTarget {
    fn places(&self) -> &Places {
        &self.folders
    }

    async fn existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault> {
        let scope = scope_of(target);
        let user = target.native_id.as_str();
        let items = self.items(&scope, user);
        let container = self.folders.resolve(&scope, user, &item.path, false).await?;
        let draft = load(content).await.map_err(Fault::Ready)?;

        // The contact itself, if it still lives in this mailbox: immutable ids survive every move within it.
        if let Some(raw) = items.get(&item.record.id).await? {
            let parent = Fields::parse(&raw).and_then(|fields| fields.text("parentFolderId"));
            let parent = parent.unwrap_or_default();
            let id = item.record.id.clone();
            if Some(&parent) == container.as_ref() {
                return self.compared(items, &draft, id, &raw).await;
            }
            // In Deleted Items it is nothing that is there.
            let known = self.folders.well_known(&scope, user, &parent).await;
            match known {
                Ok(Some(_)) => return Ok(access::elsewhere(&id)),
                Ok(None) => {}
                Err(fault) if fault.refused_as(|refusal| refusal.status == 400 && refusal.envelope) => {}
                Err(fault) => return Err(fault),
            }
        }
        let Some(container) = container else {
            return Ok(Existing::Absent);
        };

        // A copy that an earlier recovery made, or a contact of the same name.
        let by = draft.display_name().map(|name| ("displayName", name));
        items
            .existing(&container, &marker(&item.record), by, |id, raw| {
                let draft = &draft;
                async move { self.compared(items, draft, id, &raw).await }
            })
            .await
    }

    async fn write(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered, Fault> {
        let scope = scope_of(target);
        let items = self.items(&scope, &target.native_id);
        let mut draft = load(content).await.map_err(Fault::Ready)?;
        if action == RecoverAction::CreateRenamed {
            draft.rename(&items.suffix());
        }
        let marker = marker(&item.record);
        let replaced = access::replaced(&action);
        let (done, known) = items
            .earlier(container, &marker, replaced, |id, raw| {
                let draft = &draft;
                async move { self.differences(items, draft, &id, &raw).await }
            })
            .await?;
        let id = match done {
            Some(id) => id,
            None => self.create(items, container, &mut draft, &marker, &known).await?,
        };
        if let Some(old) = replaced {
            let removed = items.remove(old).await;
            items.kept(&id, removed).await?;
        }
        Ok(access::recovered(id, item, draft.not_carried))
    }
}
