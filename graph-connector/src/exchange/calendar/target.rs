//! Writes events back: post without attendees, cancel and change days, attach, read back, compare, and only then remove
//! what they replace. Nobody is invited and nobody is told that something was cancelled.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::{Error, ErrorKind};
use serde_json::Value;

use super::draft::{Draft, File, is_essential, transaction};
use super::fetch::event_call;
use crate::exchange::access::{self, Items, marker};
use crate::exchange::files::{AttachmentPrint, MAX_ATTACHMENT_BYTES, attachment_difference};
use crate::exchange::mail::draft::print_of;
use crate::exchange::places::Places;
use crate::exchange::scope_of;
use crate::exchange::service::MailboxService;
use crate::exchange::target::ServiceTarget;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::{Graph, PREFER};
use crate::json::{Fields, parse_time};
use crate::pages;
use crate::request::Operation;
use crate::target::compared;

/// Occurrences around one day are never more than this.
const MAX_INSTANCES: usize = 1000;

/// Writes events back.
#[derive(Debug)]
pub(crate) struct EventTarget {
    graph: Arc<Graph>,
    calendars: Places,
}

impl EventTarget {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Self {
            calendars: Places::new(Arc::clone(&graph), MailboxService::Calendar),
            graph,
        }
    }

    fn writing<'a>(&'a self, scope: &'a Scope, user: &'a str, content: &'a dyn ContentSource) -> Writing<'a> {
        Writing {
            items: Items {
                graph: &self.graph,
                scope,
                user,
                service: MailboxService::Calendar,
            },
            content,
        }
    }
}

#[async_trait]
impl ServiceTarget for EventTarget {
    fn places(&self) -> &Places {
        &self.calendars
    }

    async fn existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault> {
        let scope = scope_of(target);
        let user = target.native_id.as_str();
        let writing = self.writing(&scope, user, content);
        let container = self.calendars.resolve(&scope, user, &item.path, false).await?;
        let draft = Draft::load(content).await.map_err(Fault::Ready)?;

        // The event itself, if it still lives in this mailbox: immutable ids survive every move within it.
        if let Some(raw) = writing.whole(&item.record.id, &draft).await? {
            let calendar = Fields::parse(&raw)
                .and_then(|fields| fields.object("calendar")?.text("id"))
                .unwrap_or_default();
            let id = item.record.id.clone();
            if Some(&calendar) == container.as_ref() {
                let differences = writing.differences(&draft, &id, &raw).await?;
                return Ok(compared(id, &differences));
            }
            if writing.is_calendar(&calendar).await? {
                return Ok(access::elsewhere(&id));
            }
        }
        let Some(container) = container else {
            return Ok(Existing::Absent);
        };

        // A copy that an earlier recovery made, or an event of the same name at the same time.
        let by = draft.subject().map(|subject| ("subject", subject));
        let marker = marker(&item.record);
        let begins = item.record.properties.get("start_ms").cloned();
        writing
            .items
            .existing(&container, &marker, by, |id, raw| {
                let (draft, writing, begins) = (&draft, &writing, &begins);
                async move {
                    let found =
                        super::map::event(&raw).and_then(|head| head.properties.get("start_ms").cloned());
                    if found != *begins {
                        return Ok(Existing::Absent);
                    }
                    let differences = writing.reread_differences(draft, &id).await?;
                    Ok(compared(id, &differences))
                }
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
        let writing = self.writing(&scope, &target.native_id, content);
        writing.write(container, item, action).await
    }
}

/// One mailbox being written to, and the stored event.
#[derive(Clone, Copy)]
struct Writing<'a> {
    items: Items<'a>,
    content: &'a dyn ContentSource,
}

impl Writing<'_> {
    /// The event with its calendar and days, in the zone of the stored one; none if it is not there.
    async fn whole(&self, id: &str, draft: &Draft) -> Result<Option<String>, Fault> {
        let days = draft.is_series;
        match self.read(id, draft, days).await {
            // A service that does not tell changed days.
            Err(fault) if days && fault.refused_as(|refusal| refusal.status == 400 && refusal.envelope) => {
                self.read(id, draft, false).await
            }
            other => other,
        }
        .or_else(|fault| {
            // An id of another mailbox is malformed or not found here.
            let unknown = fault.refused_as(|refusal| {
                refusal.item_gone() || matches!(refusal.status, 400 | 404) && refusal.envelope
            });
            if unknown { Ok(None) } else { Err(fault) }
        })
    }

    async fn read(&self, id: &str, draft: &Draft, days: bool) -> Result<Option<String>, Fault> {
        let expand = if days {
            "exceptionOccurrences,calendar($select=id)"
        } else {
            "calendar($select=id)"
        };
        let Items {
            graph, scope, user, ..
        } = self.items;
        let Ok(call) = event_call(graph, scope, user, id, draft.zone.as_deref(), Some(expand)) else {
            return Ok(None);
        };
        graph.executor.json(&call).await.map(Some)
    }

    /// Whether a calendar of this id is there.
    async fn is_calendar(&self, id: &str) -> Result<bool, Fault> {
        let Items {
            graph, scope, user, ..
        } = self.items;
        let Ok(call) = graph.outlook(scope, Operation::Calendar, &[user, id], &[]) else {
            return Ok(false);
        };
        match graph.executor.json(&call).await {
            Ok(_) => Ok(true),
            Err(fault)
                if fault.refused_as(|refusal| {
                    refusal.item_gone() || matches!(refusal.status, 400 | 404) && refusal.envelope
                }) =>
            {
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Compares what is there with what would be written; files only if everything else is the same.
    async fn differences(&self, draft: &Draft, id: &str, raw: &str) -> Result<Vec<String>, Fault> {
        let mut differences = draft.differences(raw).ok_or(Fault::Protocol {
            code: "wrong_item",
            message: "the answer is not an event".into(),
        })?;
        if differences.is_empty() {
            differences.extend(self.file_difference(draft, id).await?);
        }
        Ok(differences)
    }

    async fn reread_differences(&self, draft: &Draft, id: &str) -> Result<Vec<String>, Fault> {
        match self.whole(id, draft).await? {
            Some(raw) => self.differences(draft, id, &raw).await,
            None => Ok(vec!["deleted meanwhile".to_owned()]),
        }
    }

    async fn file_difference(&self, draft: &Draft, id: &str) -> Result<Option<String>, Fault> {
        let mut expected = Vec::new();
        let mut total = 0;
        for file in &draft.files {
            let file = self.file(file).await?;
            total += file.bytes.len();
            expected.push(print_of(&file));
        }
        let found = self.items.prints(id, total).await?;
        Ok(attachment_difference(&expected, &found))
    }

    async fn file(&self, file: &File) -> Result<crate::exchange::mail::attachments::Attachment, Fault> {
        file.read(self.content, MAX_ATTACHMENT_BYTES)
            .await
            .map_err(Fault::Ready)
    }

    async fn write(
        &self,
        container: &str,
        item: &RecoverItem,
        action: RecoverAction,
    ) -> Result<Recovered, Fault> {
        let mut draft = Draft::load(self.content).await.map_err(Fault::Ready)?;
        if action == RecoverAction::CreateRenamed {
            draft.rename(&self.items.suffix());
        }
        let marker = marker(&item.record);
        let replaced = access::replaced(&action);
        if let Some(old) = replaced {
            self.refuse_to_tell_others(old).await?;
        }
        let (done, known) = self
            .items
            .earlier(container, &marker, replaced, |id, _| {
                let draft = &draft;
                async move { self.reread_differences(draft, &id).await }
            })
            .await?;
        let (id, minor) = match done {
            Some(id) => (id, Vec::new()),
            None => self.create(container, &mut draft, &marker, &known).await?,
        };
        if let Some(old) = replaced {
            let removed = self.items.remove(old).await;
            self.items.kept(&id, removed).await?;
        }
        let mut not_carried = draft.not_carried;
        not_carried.extend(minor);
        Ok(access::recovered(id, item, not_carried))
    }

    /// Whoever deletes a meeting tells those who take part.
    async fn refuse_to_tell_others(&self, id: &str) -> Result<(), Fault> {
        let Some(raw) = self.items.get(id).await? else {
            return Ok(());
        };
        let fields = Fields::parse(&raw);
        let guests = fields.and_then(|fields| fields.list("attendees"));
        if guests.is_none_or(|guests| guests.is_empty()) {
            return Ok(());
        }
        let text = "the event in its place has attendees, who would be told that it is cancelled if it were replaced";
        let error = Error::new(ErrorKind::InvalidInput, text);
        Err(Fault::Ready(error.with_hint(
            "Recover beside it (--on-conflict rename), or remove its attendees first.",
        )))
    }

    /// Makes a copy and reads it back; what is not equal in essence is removed again. Returns what differs without harm, too.
    async fn create(
        &self,
        container: &str,
        draft: &mut Draft,
        marker: &str,
        known: &[String],
    ) -> Result<(String, Vec<String>), Fault> {
        let transaction = transaction(marker, known, self.items.graph.executor.now());
        let body = |draft: &Draft| draft.body(marker, &transaction);
        let id = self
            .items
            .post(container, draft, body, marker, known, |_, _| false)
            .await?;
        let finished = self.finish(draft, &id).await;
        let minor = self.items.kept(&id, finished).await?;
        Ok((id, minor))
    }

    async fn finish(&self, draft: &Draft, id: &str) -> Result<Vec<String>, Fault> {
        // Before anything is changed, so that each day is still where the series has it.
        for day in &draft.cancelled {
            self.cancel(draft, id, *day).await?;
        }
        let mut expected = Vec::new();
        let mut total = 0;
        for (number, file) in draft.files.iter().enumerate() {
            let file = self.file(file).await?;
            self.items.attach(id, &file, number).await?;
            total += file.bytes.len();
            expected.push(print_of(&file));
        }
        for exception in &draft.exceptions {
            let Some(day) = self.occurrence(id, exception.original).await? else {
                return Err(differs("changed days"));
            };
            let body = Value::Object(exception.json.clone());
            self.update(&day, &body).await?;
            // Some services show the files of the series on each day.
            let mut there = self.items.prints(&day, total).await?;
            let mut present = there.len();
            for file in &exception.files {
                let file = self.file(file).await?;
                let print = print_of(&file);
                match there.iter().position(|one| *one == print) {
                    Some(at) => drop(there.swap_remove(at)),
                    None => {
                        self.items.attach(&day, &file, present).await?;
                        present += 1;
                    }
                }
            }
        }
        let raw = self.whole(id, draft).await?.ok_or(Fault::Protocol {
            code: "not_there",
            message: "the new event cannot be read back".into(),
        })?;
        let mut differences = draft.differences(&raw).ok_or_else(|| differs("everything"))?;
        let found = self.items.prints(id, total).await?;
        differences.extend(self.lacking(&expected, found, draft));
        if let Some(essential) = differences.iter().find(|what| is_essential(what)) {
            return Err(differs(essential));
        }
        if draft.has_more() {
            self.items.mark_finished(id).await?;
        }
        let minor = differences
            .into_iter()
            .map(|what| format!("{what}: the service changed it"));
        Ok(minor.collect())
    }

    /// What of the files is not there. Where the service keeps the files of a day with the series, more is there.
    fn lacking(
        &self,
        expected: &[AttachmentPrint],
        mut found: Vec<AttachmentPrint>,
        draft: &Draft,
    ) -> Option<String> {
        let of_days: usize = draft.exceptions.iter().map(|one| one.files.len()).sum();
        if of_days == 0 {
            return attachment_difference(expected, &found);
        }
        for print in expected {
            match found.iter().position(|one| one == print) {
                Some(at) => drop(found.swap_remove(at)),
                None => return Some("content or names of attachments".to_owned()),
            }
        }
        None
    }

    async fn update(&self, id: &str, body: &Value) -> Result<(), Fault> {
        let Items {
            graph, scope, user, ..
        } = self.items;
        let call = graph
            .outlook(scope, Operation::UpdateEvent, &[user, id], &[])?
            .json_body(body)
            .repeatable();
        graph.executor.json(&call).await.map(|_| ())
    }

    /// Takes a day out of a series, by its date in the zone of the event.
    async fn cancel(&self, draft: &Draft, id: &str, day: NaiveDate) -> Result<(), Fault> {
        let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
        let zone = draft.zone.as_deref();
        let around = self
            .instances(
                id,
                midnight - TimeDelta::days(1),
                midnight + TimeDelta::days(2),
                zone,
            )
            .await?;
        let text = day.to_string();
        for raw in around {
            let Some(fields) = Fields::parse(&raw) else {
                continue;
            };
            let begins = fields.object("start").and_then(|start| start.text("dateTime"));
            if begins.is_some_and(|begins| begins.starts_with(&text))
                && let Some(occurrence) = fields.text("id")
            {
                return self.items.remove(&occurrence).await;
            }
        }
        // Cancelled by a call whose answer was lost, or not a day of the series: reading back tells.
        Ok(())
    }

    /// The id of the occurrence that was to begin then.
    async fn occurrence(&self, id: &str, original: DateTime<Utc>) -> Result<Option<String>, Fault> {
        let span = TimeDelta::days(1);
        let around = self.instances(id, original - span, original + span, None).await?;
        Ok(around.iter().find_map(|raw| {
            let fields = Fields::parse(raw)?;
            let told = fields.text("originalStart").and_then(|text| parse_time(&text));
            let begins = || parse_time(&fields.object("start")?.text("dateTime")?);
            (told.or_else(begins)? == original).then(|| fields.text("id"))?
        }))
    }

    async fn instances(
        &self,
        id: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        zone: Option<&str>,
    ) -> Result<Vec<String>, Fault> {
        let Items {
            graph, scope, user, ..
        } = self.items;
        let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (from, to) = (text(from), text(to));
        let query = [
            ("startDateTime", from.as_str()),
            ("endDateTime", to.as_str()),
            ("$top", "100"),
        ];
        let mut call = graph.call(scope, Operation::EventInstances, &[user, id], &query)?;
        if let Some(zone) = zone {
            call = call.header(PREFER, &format!("outlook.timezone=\"{zone}\""));
        }
        pages::all(graph, scope, call, MAX_INSTANCES).await
    }
}

fn differs(what: &str) -> Fault {
    Fault::Protocol {
        code: "read_back_differs",
        message: format!("the new event differs from the stored one: {what}"),
    }
}
