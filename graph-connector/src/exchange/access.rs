//! Items of a mailbox by id and by marker, made without doubles and removed, the same way for every service.
//!
//! Every copy carries a marker that names the item it was made from, so that a lost answer or a repeated call finds the
//! copy instead of making a second one. A copy that still lacks something says so, and is removed when it is met again.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::mail::attachments::hash;
use super::service::MailboxService;
use crate::executor::{Backoff, Call, collect};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::http::HttpError;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Names our own copies: the item they were made from.
pub(crate) const MARKER_ID: &str = "String {7b1e6c2e-3d0f-4a53-9c55-6f0b1d1f8e21} Name NakivoItem";
/// Says whether a copy has all that belongs to it.
pub(crate) const STATE_ID: &str = "String {7b1e6c2e-3d0f-4a53-9c55-6f0b1d1f8e21} Name NakivoState";
/// Value of the state while it has not.
pub(crate) const UNFINISHED: &str = "unfinished";
/// Tries of a step whose answer was lost.
pub(crate) const MAX_TRIES: u32 = 4;
/// Times a copy is looked for before a POST whose answer was lost is repeated.
const LOOKS: u32 = 2;

/// The operations of a service.
struct Operations {
    get: Operation,
    /// The items of a container, by a filter.
    list: Operation,
    create: Operation,
    update: Operation,
    delete: Operation,
}

const fn operations(service: MailboxService) -> Operations {
    match service {
        MailboxService::Mail => Operations {
            get: Operation::Message,
            list: Operation::FolderMessages,
            create: Operation::CreateFolderMessage,
            update: Operation::UpdateMessage,
            delete: Operation::DeleteMessage,
        },
        MailboxService::Contacts => Operations {
            get: Operation::Contact,
            list: Operation::FolderContacts,
            create: Operation::CreateFolderContact,
            update: Operation::UpdateContact,
            delete: Operation::DeleteContact,
        },
        MailboxService::Calendar => Operations {
            get: Operation::Event,
            list: Operation::CalendarEvents,
            create: Operation::CreateCalendarEvent,
            update: Operation::UpdateEvent,
            delete: Operation::DeleteEvent,
        },
    }
}

/// A copy that an earlier call made.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) id: String,
    pub(crate) raw: String,
    pub(crate) unfinished: bool,
}

/// The item that is to go once its replacement is there.
pub(crate) fn replaced(action: &RecoverAction) -> Option<&str> {
    match action {
        RecoverAction::Replace { existing } => Some(existing),
        _ => None,
    }
}

/// What became of an item that was written to the folder it came from.
pub(crate) fn recovered(id: String, item: &RecoverItem, not_carried: Vec<String>) -> Recovered {
    let names: Vec<&str> = item.path.iter().map(|folder| folder.name.as_str()).collect();
    Recovered {
        id,
        location: names.join("/"),
        not_carried,
    }
}

/// An item that lives in the mailbox, but not where it would be recovered to.
pub(crate) fn elsewhere(id: &str) -> Existing {
    Existing::Differs {
        id: id.to_owned(),
        difference: "folder: it is in another one now".to_owned(),
    }
}

/// Names the version of the item that a copy was made from.
pub(crate) fn marker(record: &ItemRecord) -> String {
    let key = format!(
        "{}\0{}",
        record.id,
        record.change_key.as_deref().unwrap_or_default()
    );
    hash(key.as_bytes())[..40].to_owned()
}

/// An extended property as Graph takes it.
pub(crate) fn property(id: &str, value: &str) -> Value {
    json!({ "id": id, "value": value })
}

/// A whole stored part.
///
/// # Errors
/// Those of reading it; `InvalidInput` if it is larger than `limit`.
pub(crate) async fn read_part(
    content: &dyn ContentSource,
    name: &str,
    limit: usize,
) -> nakivo_core::Result<Bytes> {
    let mut stream = content.open(name).await?;
    let mut out = BytesMut::new();
    while let Some(piece) = stream.next().await {
        out.extend_from_slice(&piece?);
        if out.len() > limit {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("part '{name}' is larger than the {limit} bytes that can be recovered through Graph"),
            )
            .with_hint("Export the item instead."));
        }
    }
    Ok(out.freeze())
}

/// A small body, read again once if it breaks off; none if there is nothing.
pub(crate) async fn whole_bytes(graph: &Graph, call: &Call, limit: u64) -> Result<Option<Bytes>, Fault> {
    let mut again = true;
    loop {
        let fault = match graph.executor.stream(call).await {
            Ok(answer) => {
                let announced = answer.length();
                match collect(answer.body, limit).await {
                    Ok(bytes) if announced.is_none_or(|length| length == bytes.len() as u64) => {
                        return Ok((!bytes.is_empty()).then_some(bytes));
                    }
                    Ok(_) => Fault::Transport {
                        error: HttpError::Broken("the body broke off".to_owned()),
                        ambiguous: true,
                    },
                    Err(fault) => fault,
                }
            }
            Err(fault) => return Err(fault),
        };
        if !again || !fault.ambiguous() {
            return Err(fault);
        }
        again = false;
    }
}

/// Items of one service of one mailbox.
#[derive(Clone, Copy)]
pub(crate) struct Items<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) scope: &'a Scope,
    pub(crate) user: &'a str,
    pub(crate) service: MailboxService,
}

impl Items<'_> {
    /// The JSON of an item; none if it is not there.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<String>, Fault> {
        let operation = operations(self.service).get;
        let Ok(call) = self.graph.outlook(self.scope, operation, &[self.user, id], &[]) else {
            return Ok(None);
        };
        match self.graph.executor.json(&call).await {
            Ok(text) => Ok(Some(text)),
            // An id of another mailbox is malformed or not found here.
            Err(fault)
                if fault.refused_as(|refusal| {
                    refusal.item_gone() || matches!(refusal.status, 400 | 404) && refusal.envelope
                }) =>
            {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Our own copies of an item in this container.
    pub(crate) async fn marked(&self, container: &str, marker: &str) -> Result<Vec<Copy>, Fault> {
        let filter = format!(
            "singleValueExtendedProperties/any(ep: ep/id eq '{MARKER_ID}' and ep/value eq '{marker}')"
        );
        let expand = format!("singleValueExtendedProperties($filter=id eq '{STATE_ID}')");
        let query = [("$filter", filter.as_str()), ("$expand", expand.as_str())];
        let found = self.list(container, &query).await?;
        Ok(found
            .into_iter()
            .filter_map(|raw| {
                let fields = Fields::parse(&raw)?;
                let id = fields.text("id")?;
                let unfinished = fields
                    .list("singleValueExtendedProperties")
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|raw| Fields::parse(raw.get())?.text("value"))
                    .any(|value| value == UNFINISHED);
                Some(Copy { id, raw, unfinished })
            })
            .collect())
    }

    /// Ids and JSON of the items of this container of which `property` has this text.
    pub(crate) async fn with_text(
        &self,
        container: &str,
        property: &str,
        text: &str,
    ) -> Result<Vec<(String, String)>, Fault> {
        let filter = format!("{property} eq '{}'", text.replace('\'', "''"));
        let found = self.list(container, &[("$filter", filter.as_str())]).await?;
        Ok(found
            .into_iter()
            .filter_map(|raw| Some((Fields::parse(&raw)?.text("id")?, raw)))
            .collect())
    }

    /// What `container` has in the place of an item: a copy that an earlier recovery finished, or else an item of which
    /// the property in `by` has the same text. `compare` looks at one of them; one that is identical ends the search, the
    /// first that differs is the answer otherwise.
    pub(crate) async fn existing<F>(
        &self,
        container: &str,
        marker: &str,
        by: Option<(&str, &str)>,
        mut compare: impl FnMut(String, String) -> F,
    ) -> Result<Existing, Fault>
    where
        F: Future<Output = Result<Existing, Fault>>,
    {
        let copies = self.marked(container, marker).await?;
        let (unfinished, finished): (Vec<_>, Vec<_>) = copies.into_iter().partition(|copy| copy.unfinished);
        let mut candidates: Vec<_> = finished.into_iter().map(|copy| (copy.id, copy.raw)).collect();
        if candidates.is_empty()
            && let Some((property, text)) = by
        {
            candidates = self.with_text(container, property, text).await?;
            // Half a copy of our own is nothing that is there: recovery removes it.
            candidates.retain(|(id, _)| !unfinished.iter().any(|copy| copy.id == *id));
        }
        let mut first_difference = None;
        for (id, raw) in candidates {
            match compare(id, raw).await? {
                identical @ Existing::Identical { .. } => return Ok(identical),
                differs @ Existing::Differs { .. } => {
                    first_difference.get_or_insert(differs);
                }
                // Another one of the same text.
                Existing::Absent => {}
            }
        }
        Ok(first_difference.unwrap_or(Existing::Absent))
    }

    /// Looks through the copies that earlier calls made: those without all that belongs to them are removed. Returns the one
    /// that `differences` finds none in, and the others, of which `replaced` is to go.
    pub(crate) async fn earlier<F>(
        &self,
        container: &str,
        marker: &str,
        replaced: Option<&str>,
        mut differences: impl FnMut(String, String) -> F,
    ) -> Result<(Option<String>, Vec<String>), Fault>
    where
        F: Future<Output = Result<Vec<String>, Fault>>,
    {
        let mut known = Vec::new();
        let mut done = None;
        for copy in self.marked(container, marker).await? {
            if Some(copy.id.as_str()) == replaced {
                known.push(copy.id);
            } else if copy.unfinished {
                self.remove(&copy.id).await?;
            } else if done.is_none() && differences(copy.id.clone(), copy.raw).await?.is_empty() {
                done = Some(copy.id);
            } else {
                known.push(copy.id);
            }
        }
        Ok((done, known))
    }

    /// What is added to the name of an item that is recovered beside the one in its place.
    pub(crate) fn suffix(&self) -> String {
        let now = self.graph.executor.now();
        format!(" (recovered {})", now.format("%Y-%m-%d"))
    }

    async fn list(&self, container: &str, query: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
        let operation = operations(self.service).list;
        let call = self
            .graph
            .call(self.scope, operation, &[self.user, container], query)?;
        pages::all(self.graph, self.scope, call, 1000).await
    }

    /// Posts what `body` makes. After a lost answer the copy is looked for before anything is repeated; after a refusal
    /// `amend` may change what is sent.
    pub(crate) async fn post<D>(
        &self,
        container: &str,
        draft: &mut D,
        body: impl Fn(&D) -> Value,
        marker: &str,
        known: &[String],
        mut amend: impl FnMut(&mut D, &Fault) -> bool,
    ) -> Result<String, Fault> {
        let mut backoff = Backoff::new();
        loop {
            let operation = operations(self.service).create;
            let call = self
                .graph
                .outlook(self.scope, operation, &[self.user, container], &[])?
                .json_body(&body(draft));
            let fault = match self.graph.executor.json(&call).await {
                Ok(text) => match Fields::parse(&text).and_then(|fields| fields.text("id")) {
                    // Whoever takes it for new removes it when it is not as it should be.
                    Some(id) if known.contains(&id) => Fault::Protocol {
                        code: "not_new",
                        message: "an item that was there before was given out as the new one".into(),
                    },
                    Some(id) => return Ok(id),
                    None => Fault::Protocol {
                        code: "no_id",
                        message: "the new item has no id".into(),
                    },
                },
                Err(fault) => fault,
            };
            if fault.ambiguous() {
                for _ in 0..LOOKS {
                    let found = self.marked(container, marker).await?;
                    if let Some(copy) = found.into_iter().find(|copy| !known.contains(&copy.id)) {
                        return Ok(copy.id);
                    }
                    self.graph.executor.pause(&mut backoff, None).await?;
                }
                if backoff.tries() >= MAX_TRIES * LOOKS {
                    return Err(fault);
                }
                continue;
            }
            if !amend(draft, &fault) {
                return Err(fault);
            }
        }
    }

    /// A copy has all that belongs to it.
    pub(crate) async fn mark_finished(&self, id: &str) -> Result<(), Fault> {
        let body = json!({ "singleValueExtendedProperties": [property(STATE_ID, "finished")] });
        let operation = operations(self.service).update;
        let call = self
            .graph
            .outlook(self.scope, operation, &[self.user, id], &[])?
            .json_body(&body)
            .repeatable();
        self.graph.executor.json(&call).await.map(|_| ())
    }

    /// Removes a copy of our own.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), Fault> {
        let operation = operations(self.service).delete;
        let call = self.graph.outlook(self.scope, operation, &[self.user, id], &[])?;
        match self.graph.executor.json(&call).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// The result of what followed after the copy `id` was made. If that failed, the copy goes: what it was to replace is
    /// still in its place. One that cannot be removed now says that it is unfinished, and goes when it is met again.
    pub(crate) async fn kept<T>(&self, id: &str, followed: Result<T, Fault>) -> Result<T, Fault> {
        if followed.is_err()
            && let Err(fault) = self.remove(id).await
        {
            tracing::warn!(error = %fault, "an incomplete copy could not be removed");
        }
        followed
    }
}
