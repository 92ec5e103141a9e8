//! Rows of a list as Graph tells them, and the rounds that tell which changed.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{Change, Cursor, ItemHead, ItemRef, Presence};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};
use nakivo_core::progress::Reporter;
use nakivo_core::{Error, ErrorKind, Result};

use super::schema::{self, List};
use super::{READ_PERMISSION, ids};
use crate::batch;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages::PageReader;
use crate::request::{Operation, Target};

/// Without it no values come (contract 6.4).
const EXPAND: [(&str, &str); 1] = [("$expand", "fields")];
/// How often one round may begin anew because the service forgot its state.
const MAX_RESETS: u32 = 5;
/// Longest name that is made of a row's fields.
const MAX_NAME_CHARS: usize = 200;
const WHAT: &str = "reading the rows of the list";

/// One element of a page.
enum Element {
    Row(Box<ItemHead>),
    Deleted(String),
}

/// Reads one row.
fn element(raw: &str, prefix: &str, lookups: &[String]) -> Option<Element> {
    let fields = Fields::parse(raw)?;
    let id = fields
        .text("id")
        .filter(|id| !id.is_empty() && id != schema::SCHEMA_ID)?;
    if fields.has("deleted") {
        return Some(Element::Deleted(ids::join(prefix, &id)));
    }
    let values = fields.object("fields");
    let text = |key: &str| {
        values
            .as_ref()
            .and_then(|values| values.text(key))
            .filter(|text| !text.is_empty())
    };
    let name = text("Title")
        .or_else(|| text("FileLeafRef"))
        .unwrap_or_else(|| id.clone());
    let kind = fields.object("contentType").and_then(|kind| kind.text("name"));
    let etag = fields.text("eTag").or_else(|| fields.text("@odata.etag"));
    let person = |key: &str| fields.object(key)?.object("user")?.text("displayName");
    let mut properties = PropertyBag::new();
    for (key, name) in [("createdBy", "created_by"), ("lastModifiedBy", "modified_by")] {
        if let Some(person) = person(key) {
            properties.insert(
                name.to_owned(),
                Value::Text(person.chars().take(MAX_NAME_CHARS).collect()),
            );
        }
    }
    let points = |name: &String| {
        values
            .as_ref()
            .is_some_and(|values| values.has(name) || values.has(&format!("{name}LookupId")))
    };
    if lookups.iter().any(points) {
        properties.insert(schema::LOOKUPS.to_owned(), Value::Bool(true));
    }
    Some(Element::Row(Box::new(ItemHead {
        kind: ItemKind::ListItem,
        item: ItemRef {
            container: prefix.to_owned(),
            id: ids::join(prefix, &id),
        },
        name: name.chars().take(MAX_NAME_CHARS).collect(),
        change_key: etag.or_else(|| fields.text("lastModifiedDateTime")),
        size: None,
        created: fields.time("createdDateTime"),
        modified: fields.time("lastModifiedDateTime"),
        received: None,
        sent: None,
        item_type: kind,
        properties,
        raw: Some(Bytes::copy_from_slice(raw.as_bytes())),
    })))
}

/// Names of columns whose values point to rows of other lists.
fn lookups_of(columns: &[String]) -> Vec<String> {
    let columns = columns.iter().filter_map(|column| Fields::parse(column));
    columns
        .filter(|column| column.has("lookup") && column.flag("readOnly") != Some(true))
        .filter_map(|column| column.text("name"))
        .collect()
}

/// What became of asking for a page.
enum Step {
    Page(crate::pages::Page),
    /// The service lost its state: all follows from this link, or from the beginning.
    Again(Option<String>),
    /// There is no delta for this list: all is listed each time.
    NoDelta,
}

struct Round<'a> {
    graph: &'a Graph,
    site: &'a str,
    list: &'a str,
    reader: PageReader,
    stored: bool,
    plain: bool,
    resets: u32,
}

impl Round<'_> {
    async fn step(&mut self, link: Option<&str>) -> Result<Step, Fault> {
        let page = match link {
            Some(link) => self.reader.follow(self.graph, link).await,
            None => {
                let operation = if self.plain {
                    Operation::Rows
                } else {
                    Operation::RowDelta
                };
                let call = self
                    .graph
                    .call(&Scope::Files, operation, &[self.site, self.list], &EXPAND)?;
                self.reader.first(self.graph, call).await
            }
        };
        let fault = match page {
            Ok(page) => {
                self.stored = false;
                return Ok(Step::Page(page));
            }
            Err(fault) => fault,
        };
        let refused = |status: u16| fault.refused_as(|refusal| refusal.status == status);
        if link.is_none() && !self.plain && (refused(400) || refused(501)) {
            return Ok(Step::NoDelta);
        }
        let lost = fault.refused_as(|refusal| refusal.resync()) || self.stored && refused(400);
        if !lost || self.resets >= MAX_RESETS {
            return Err(fault);
        }
        self.resets += 1;
        self.stored = false;
        self.reader = PageReader::plain(&Scope::Files);
        let fresh = fault.refusal().and_then(|refusal| refusal.location.clone());
        Ok(Step::Again(fresh.filter(|link| self.graph.is_ours(link))))
    }
}

/// The changes of one list: its schema, then its rows since the link of `cursor`.
pub(crate) fn feed<'a>(
    graph: &'a Graph,
    site: &'a str,
    list: &'a List,
    cursor: Option<Cursor>,
    retry: Vec<ItemRef>,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let failed = |fault: Fault| fault.into_error(WHAT, Some(READ_PERMISSION));
        let prefix = list.prefix();
        reporter.check()?;
        let (schema, columns) = list.schema(graph, site).await.map_err(failed)?;
        let lookups = lookups_of(&columns);
        let mut link = cursor
            .and_then(|cursor| String::from_utf8(cursor.0.to_vec()).ok())
            .filter(|link| graph.is_ours(link));
        let mut round = Round {
            graph,
            site,
            list: &list.id,
            reader: PageReader::plain(&Scope::Files),
            stored: link.is_some(),
            plain: false,
            resets: 0,
        };
        let started = |full: bool| Change::RoundStarted { container: prefix.clone(), full };
        yield started(link.is_none());
        yield Change::Item(schema.clone());
        // Rows told before the service began anew, and not since.
        let mut outdated: HashSet<String> = HashSet::new();
        let mut told: HashSet<String> = HashSet::new();
        let mut retry: BTreeMap<String, ItemRef> = retry.into_iter().map(|item| (item.id.clone(), item)).collect();
        retry.remove(&schema.item.id);
        let end = loop {
            reporter.check()?;
            let page = match round.step(link.as_deref()).await.map_err(failed)? {
                Step::Page(page) => page,
                Step::Again(fresh) => {
                    link = fresh;
                    outdated.extend(told.drain());
                    yield started(true);
                    yield Change::Item(schema.clone());
                    continue;
                }
                Step::NoDelta => {
                    round.plain = true;
                    continue;
                }
            };
            for raw in page.elements() {
                match element(raw, &prefix, &lookups) {
                    Some(Element::Row(head)) => {
                        retry.remove(&head.item.id);
                        outdated.remove(&head.item.id);
                        told.insert(head.item.id.clone());
                        yield Change::Item(*head);
                    }
                    Some(Element::Deleted(id)) => {
                        yield Change::Vanished(ItemRef { container: prefix.clone(), id });
                    }
                    // To go on would be to lose it silently.
                    None => Err(failed(Fault::Protocol {
                        code: "element_without_id",
                        message: "a row of a page has no id".to_owned(),
                    }))?,
                }
            }
            match (page.next, page.delta) {
                (Some(next), _) => link = Some(next),
                (None, Some(delta)) => break delta,
                (None, None) if round.plain => break String::new(),
                (None, None) => Err(failed(Fault::Protocol {
                    code: "round_without_end",
                    message: "a delta page has neither a next nor a delta link".to_owned(),
                }))?,
            }
        };
        for id in outdated {
            yield Change::Vanished(ItemRef { container: prefix.clone(), id });
        }
        yield Change::RoundEnded { container: prefix.clone() };
        let again: Vec<ItemRef> = retry.into_values().collect();
        for (item, answer) in again.iter().zip(look_up(graph, site, &again).await?) {
            yield match answer {
                Presence::Present(head) => Change::Item(*head),
                Presence::Gone => Change::Vanished(item.clone()),
                Presence::Unknown(error) => Change::Failed {
                    path: list.name.clone(),
                    item: Some(item.clone()),
                    error,
                },
            };
        }
        yield Change::Cursor(Cursor(Bytes::from(end)));
    }
    .boxed()
}

/// Looks up rows by their ids, twenty to a request. Schemas are there as long as their lists are told.
///
/// # Errors
/// What fails every look-up: no token, no permission, a pause that is too long.
pub(crate) async fn look_up(graph: &Graph, site: &str, items: &[ItemRef]) -> Result<Vec<Presence>> {
    let what = "looking up rows";
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let (prefix, id) = ids::split(&item.id);
        let list = ids::list_of(prefix).unwrap_or_default();
        targets.push(match id {
            // A schema is gone when its list is; as long as that answers, it stays.
            schema::SCHEMA_ID => graph.requests.target(Operation::Columns, &[site, list], &[])?,
            id => graph
                .requests
                .target(Operation::Row, &[site, list, id], &EXPAND)?,
        });
    }
    let results = batch::get_all(graph, &Scope::Files, &targets)
        .await
        .map_err(|fault| fault.into_error(what, Some(READ_PERMISSION)))?;
    let answers = items.iter().zip(results).map(|(item, result)| match result {
        Ok(body) => match element(&body, ids::split(&item.id).0, &[]) {
            Some(Element::Row(head)) if head.item.id == item.id => Presence::Present(head),
            Some(Element::Deleted(_)) => Presence::Gone,
            _ => Presence::Unknown(Error::new(
                ErrorKind::Protocol,
                "looking up rows: the answer is not the row that was asked for (wrong_item)",
            )),
        },
        Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => Presence::Gone,
        Err(fault) => Presence::Unknown(fault.into_error(what, Some(READ_PERMISSION))),
    });
    Ok(answers.collect())
}
