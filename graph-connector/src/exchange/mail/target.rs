//! Mailboxes as targets of a recovery: what is in the place of an item, and the folders it goes to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::manifest::ObjectRecord;

use super::draft::Draft;
use super::recover::{self, Writing};
use crate::exchange::access::{self, marker};
use crate::exchange::places::Places;
use crate::exchange::scope_of;
use crate::exchange::service::MailboxService;
use crate::exchange::target::ServiceTarget;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// Deepest folder chain that is walked.
const MAX_DEPTH: usize = 300;

/// Where a folder of the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the folders a person sees.
    Live,
    /// Deleted Items or below.
    Deleted,
    /// Outside the folder tree: recoverable items.
    Outside,
}

/// Writes mail back.
#[derive(Debug)]
pub(crate) struct MailTarget {
    graph: Arc<Graph>,
    folders: Places,
    places: Mutex<HashMap<(String, String), Place>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MailTarget {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Self {
            folders: Places::new(Arc::clone(&graph), MailboxService::Mail),
            graph,
            places: Mutex::default(),
        }
    }

    /// The id of a well-known folder.
    async fn well_known(&self, scope: &Scope, user: &str, name: &str) -> Result<Option<String>, Fault> {
        self.folders.well_known(scope, user, name).await
    }

    /// Where a folder is, by walking up to the root.
    async fn place(&self, scope: &Scope, user: &str, folder: &str) -> Result<Place, Fault> {
        let root = self.well_known(scope, user, "msgfolderroot").await?;
        let deleted = self.well_known(scope, user, "deleteditems").await?;
        let mut walked = Vec::new();
        let mut current = folder.to_owned();
        let place = loop {
            if let Some(place) = lock(&self.places).get(&(user.to_owned(), current.clone())) {
                break *place;
            }
            if Some(&current) == deleted.as_ref() {
                break Place::Deleted;
            }
            if Some(&current) == root.as_ref() {
                break Place::Live;
            }
            walked.push(current.clone());
            if walked.len() > MAX_DEPTH {
                break Place::Outside;
            }
            let query = [("$select", "id,parentFolderId")];
            let call = self
                .graph
                .outlook(scope, Operation::MailFolder, &[user, &current], &query)?;
            current = match self.graph.executor.json(&call).await {
                Ok(text) => match Fields::parse(&text).and_then(|fields| fields.text("parentFolderId")) {
                    Some(parent) if parent != current => parent,
                    _ => break Place::Outside,
                },
                Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => break Place::Outside,
                Err(fault) => return Err(fault),
            };
        };
        let mut places = lock(&self.places);
        for id in walked {
            places.insert((user.to_owned(), id), place);
        }
        Ok(place)
    }
}

#[async_trait]
impl ServiceTarget for MailTarget {
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
        let writing = Writing {
            graph: &self.graph,
            scope: &scope,
            user,
        };
        let container = self.folders.resolve(&scope, user, &item.path, false).await?;
        let mut draft: Option<Draft> = None;

        // The item itself, if it still lives in this mailbox: immutable ids survive every move within it.
        if let Some(raw) = writing.items().get(&item.record.id).await? {
            let fields = Fields::parse(&raw);
            let text = |key: &str| fields.as_ref().and_then(|fields| fields.text(key));
            let parent = text("parentFolderId").unwrap_or_default();
            let id = item.record.id.clone();
            if Some(&parent) == container.as_ref() {
                let change_key = text("changeKey").or_else(|| text("@odata.etag"));
                if change_key.is_some() && change_key == item.record.change_key {
                    return Ok(Existing::Identical { id });
                }
                let draft = recover::draft_of(&mut draft, content).await?;
                return writing.compared(draft, id, &raw).await;
            }
            if self.place(&scope, user, &parent).await? == Place::Live {
                return Ok(access::elsewhere(&id));
            }
        }
        let Some(container) = container else {
            return Ok(Existing::Absent);
        };
        let draft = recover::draft_of(&mut draft, content).await?;

        // A copy that an earlier recovery made, or the same message by its own id.
        let by = draft.internet_message_id().map(|id| ("internetMessageId", id));
        writing
            .items()
            .existing(&container, &marker(&item.record), by, |id, raw| {
                let (writing, draft) = (&writing, &draft);
                async move { writing.compared(draft, id, &raw).await }
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
        let user = target.native_id.as_str();
        let writing = Writing {
            graph: &self.graph,
            scope: &scope,
            user,
        };
        let deleted = match &action {
            RecoverAction::Replace { .. } => self.well_known(&scope, user, "deleteditems").await?,
            _ => None,
        };
        writing
            .recover(container, item, content, action, deleted.as_deref())
            .await
    }
}
