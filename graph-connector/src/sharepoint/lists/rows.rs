//! Rows of a list as Graph tells them, and where they are that no feed shows any more.

use std::collections::BTreeMap;

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef, Presence};
use nakivo_core::format::record::{ItemKind, ItemRecord, PropertyBag, Value};
use nakivo_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use super::people::People;
use super::{columns, schema, values};
use crate::batch;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;
use crate::sharepoint::{READ_PERMISSION, ids};

/// Without it no values come (contract 6.4).
pub(crate) const EXPAND: [(&str, &str); 1] = [("$expand", "fields")];
/// Longest name that is made of a row's fields.
const MAX_NAME_CHARS: usize = 200;
/// Property of a row with values in lookup columns: of each such column the name and the list that it looks into.
const LOOKUPS: &str = "lookups";
/// Property of a row with values in columns of persons: of each person the number in this site and the address.
const PEOPLE: &str = "people";

/// What is said about something that a row points to: a name or number, and what it stands for.
fn said<'r>(record: &'r ItemRecord, property: &str, about: &str) -> Option<&'r str> {
    let Some(Value::List(lines)) = record.properties.get(property) else {
        return None;
    };
    lines
        .iter()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(name, rest)| (name == about).then_some(rest))
}

/// Whether a stored row points to rows of other lists.
pub(crate) fn has_lookups(record: &ItemRecord) -> bool {
    record.properties.contains_key(LOOKUPS)
}

/// The list that the lookup column of this name looked into.
pub(crate) fn list_of<'r>(record: &'r ItemRecord, column: &str) -> Option<&'r str> {
    said(record, LOOKUPS, column)
}

/// Address of the person that had this number.
pub(crate) fn address_of(record: &ItemRecord, number: u64) -> Option<&str> {
    said(record, PEOPLE, &number.to_string())
}

/// One element of a page.
#[derive(Debug)]
pub(crate) enum Element {
    /// A row and its number.
    Row(Box<ItemHead>, u64),
    /// The number of one that is gone.
    Deleted(u64),
}

/// Reads the rows of one site.
#[derive(Debug)]
pub(crate) struct RowReader<'a> {
    graph: &'a Graph,
    site: &'a str,
    /// Asked for when the first row names somebody.
    people: OnceCell<People>,
}

impl<'a> RowReader<'a> {
    pub(crate) fn new(graph: &'a Graph, site: &'a str) -> Self {
        Self {
            graph,
            site,
            people: OnceCell::new(),
        }
    }

    pub(crate) fn graph(&self) -> &'a Graph {
        self.graph
    }

    pub(crate) fn site(&self) -> &'a str {
        self.site
    }

    /// Reads an element of a page of rows; none if it cannot be told which row it is.
    pub(crate) async fn element(
        &self,
        raw: &str,
        prefix: &str,
        columns: &[serde_json::Value],
    ) -> Result<Option<Element>, Fault> {
        let Some((fields, number)) = Fields::parse(raw).and_then(|fields| {
            let number = fields.text("id")?.parse::<u64>().ok()?;
            Some((fields, number))
        }) else {
            return Ok(None);
        };
        if fields.has("deleted") {
            return Ok(Some(Element::Deleted(number)));
        }
        let mut head = head(raw, &fields, prefix, number);
        let pointing: Vec<_> = columns
            .iter()
            .filter(|column| columns::is_filled(column) && columns::points(column))
            .collect();
        if !pointing.is_empty() {
            self.tell_where(&mut head.properties, raw, &pointing).await?;
        }
        Ok(Some(Element::Row(Box::new(head), number)))
    }

    /// Adds what is needed later to find what the row points to: elsewhere its numbers mean something else.
    async fn tell_where(
        &self,
        properties: &mut PropertyBag,
        raw: &str,
        pointing: &[&serde_json::Value],
    ) -> Result<(), Fault> {
        let fields = values::fields_of(raw);
        let (mut lookups, mut people) = (Vec::new(), BTreeMap::new());
        for column in pointing {
            let name = columns::name(column);
            let numbers = values::numbers(&fields, name);
            match columns::list_of(column) {
                _ if numbers.is_empty() => {}
                Some(list) => lookups.push(format!("{name} {list}")),
                None if columns::kind(column) == "lookup" => {}
                None => {
                    let load = || People::of(self.graph, self.site);
                    let known = self.people.get_or_try_init(load).await?;
                    for number in numbers {
                        if let Some(address) = known.address(number) {
                            people.insert(number, format!("{number} {address}"));
                        }
                    }
                }
            }
        }
        for (property, lines) in [(LOOKUPS, lookups), (PEOPLE, people.into_values().collect())] {
            if !lines.is_empty() {
                properties.insert(property.to_owned(), Value::List(lines));
            }
        }
        Ok(())
    }

    /// Looks up rows by their ids, twenty to a request. Schemas are there as long as their lists are.
    ///
    /// # Errors
    /// What fails every look-up: no token, no permission, a pause that is too long.
    pub(crate) async fn look_up(&self, items: &[ItemRef]) -> Result<Vec<Presence>> {
        const WHAT: &str = "looking up rows";
        let failed = |fault: Fault| fault.into_error(WHAT, Some(READ_PERMISSION));
        let targets = items.iter().map(|item| {
            let (prefix, id) = ids::split(&item.id);
            let list = ids::list_of(prefix).unwrap_or_default();
            match id {
                schema::SCHEMA_ID => self
                    .graph
                    .requests
                    .target(Operation::Columns, &[self.site, list], &[]),
                id => self
                    .graph
                    .requests
                    .target(Operation::Row, &[self.site, list, id], &EXPAND),
            }
        });
        let results = batch::get_each(self.graph, &Scope::Files, targets)
            .await
            .map_err(failed)?;
        let mut columns: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(items.len());
        for (item, result) in items.iter().zip(results) {
            let (prefix, _) = ids::split(&item.id);
            answers.push(match result {
                Ok(body) => {
                    if !columns.contains_key(prefix) {
                        let list = ids::list_of(prefix).unwrap_or_default();
                        let raw = schema::columns(self.graph, self.site, list).await;
                        columns.insert(prefix.to_owned(), schema::parsed(&raw.map_err(failed)?));
                    }
                    let known = columns.get(prefix).map(Vec::as_slice).unwrap_or_default();
                    match self.element(&body, prefix, known).await.map_err(failed)? {
                        Some(Element::Row(head, _)) if head.item.id == item.id => Presence::Present(head),
                        Some(Element::Deleted(_)) => Presence::Gone,
                        _ => Presence::Unknown(Error::new(
                            ErrorKind::Protocol,
                            "looking up rows: the answer is not the row that was asked for (wrong_item)",
                        )),
                    }
                }
                Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Presence::Gone,
                Err(fault) => Presence::Unknown(failed(fault)),
            });
        }
        Ok(answers)
    }
}

/// What is known of a row before it is said where its values point to.
fn head(raw: &str, fields: &Fields<'_>, prefix: &str, number: u64) -> ItemHead {
    let values = fields.object("fields");
    let text = |key: &str| {
        values
            .as_ref()
            .and_then(|values| values.text(key))
            .filter(|text| !text.is_empty())
    };
    let name = text("Title")
        .or_else(|| text("FileLeafRef"))
        .unwrap_or_else(|| number.to_string());
    let short = |text: String| -> String { text.chars().take(MAX_NAME_CHARS).collect() };
    let person = |key: &str| fields.object(key)?.object("user")?.text("displayName");
    let mut properties = PropertyBag::new();
    for (key, name) in [("createdBy", "created_by"), ("lastModifiedBy", "modified_by")] {
        if let Some(person) = person(key) {
            properties.insert(name.to_owned(), Value::Text(short(person)));
        }
    }
    let etag = fields.text("eTag").or_else(|| fields.text("@odata.etag"));
    let item = ItemRef {
        container: prefix.to_owned(),
        id: ids::join(prefix, &number.to_string()),
    };
    ItemHead {
        change_key: etag.or_else(|| fields.text("lastModifiedDateTime")),
        created: fields.time("createdDateTime"),
        modified: fields.time("lastModifiedDateTime"),
        item_type: fields.object("contentType").and_then(|kind| kind.text("name")),
        properties,
        raw: Some(Bytes::copy_from_slice(raw.as_bytes())),
        ..ItemHead::new(ItemKind::ListItem, item, short(name))
    }
}
