//! Lists as targets of a recovery: what is in the place of a schema or a row, and where to write it.

use std::sync::Arc;

use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered, Settled};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::known::{Known, State};
use super::people::People;
use super::values::{Values, fields_of, numbers};
use super::{columns, make, rows, schema};
use crate::drives::recover::stored_json;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::request::Operation;
use crate::sharepoint::{MANAGE_PERMISSION, WRITE_PERMISSION, ids};
use crate::target::compared;

/// Tries to make something whose making may have failed.
pub(super) const MAX_TRIES: u32 = 4;
/// From so many rows on it is cheaper to read all of a list.
const FEW_ROWS: u32 = 20;

/// Writes schemas and rows. One at a time: what a row points to must be known before it.
#[derive(Debug)]
pub(crate) struct ListTarget {
    pub(super) graph: Arc<Graph>,
    state: Mutex<State>,
}

/// Whether this path leads into a list.
pub(crate) fn is_list(path: &[ItemRecord]) -> bool {
    path.first()
        .is_some_and(|first| first.item_type.as_deref() == Some(schema::LIST))
}

/// Whether an item is the schema or a row of a list.
pub(crate) fn is_listed(record: &ItemRecord) -> bool {
    ids::list_of(ids::split(&record.id).0).is_some()
}

/// When an item is written: files, then schemas, then rows, those that point to rows of other lists last.
pub(crate) fn stage(record: &ItemRecord) -> u8 {
    let (prefix, id) = ids::split(&record.id);
    match ids::list_of(prefix) {
        None => 0,
        Some(_) if id == schema::SCHEMA_ID => 1,
        Some(_) => 2 + u8::from(rows::has_lookups(record)),
    }
}

/// Something that must be there and is not.
pub(super) fn absent(what: &str) -> Fault {
    Fault::Ready(Error::new(
        ErrorKind::NotFound,
        format!("{what} is not at the target"),
    ))
}

/// What a refusal of something that recovering this item does means.
pub(crate) fn failed(record: &ItemRecord) -> impl FnOnce(Fault) -> Error {
    match ids::split(&record.id).1 {
        schema::SCHEMA_ID => crate::target::failed("recovering a list", MANAGE_PERMISSION),
        _ => crate::target::failed("recovering a row", WRITE_PERMISSION),
    }
}

/// A stored item of a list, and the site that it goes to.
pub(super) struct Stored<'a> {
    pub(super) site: &'a str,
    /// The list in the point, and its name.
    pub(super) source: &'a str,
    pub(super) list_name: &'a str,
    pub(super) record: &'a ItemRecord,
    /// Number of the row; 0 for a schema.
    pub(super) number: u64,
    pub(super) is_schema: bool,
    pub(super) raw: String,
}

impl<'a> Stored<'a> {
    async fn read(
        target: &'a ObjectRecord,
        item: &'a RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Self, Fault> {
        let (prefix, id) = ids::split(&item.record.id);
        let is_schema = id == schema::SCHEMA_ID;
        let number = match is_schema {
            true => Some(0),
            false => id.parse().ok(),
        };
        Ok(Self {
            site: &target.native_id,
            source: ids::list_of(prefix).unwrap_or_default(),
            list_name: item.path.first().map_or("", |list| &list.name),
            record: &item.record,
            number: number.ok_or_else(|| {
                let error = Error::invalid("row", id.escape_debug(), "the number of a row");
                Fault::Ready(error)
            })?,
            is_schema,
            raw: stored_json(content).await?,
        })
    }
}

impl ListTarget {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Self {
            graph,
            state: Mutex::default(),
        }
    }

    pub(super) async fn post(
        &self,
        operation: Operation,
        slots: &[&str],
        body: &Value,
    ) -> Result<Value, Fault> {
        let call = self
            .graph
            .call(&Scope::Files, operation, slots, &[])?
            .json_body(body);
        let text = self.graph.executor.json(&call).await?;
        serde_json::from_str(&text).map_err(|_| Fault::Protocol {
            code: "no_object",
            message: "the answer is no JSON".into(),
        })
    }

    pub(super) async fn columns(&self, site: &str, list: &str) -> Result<Arc<[Value]>, Fault> {
        let raw = schema::columns(&self.graph, site, list).await?;
        Ok(schema::parsed(&raw).into())
    }

    /// The list of this name at the target, with its columns.
    pub(super) async fn list<'s>(
        &self,
        state: &'s mut State,
        site: &str,
        name: &str,
    ) -> Result<Option<&'s mut Known>, Fault> {
        if state.known(site, name).is_none() {
            let all = schema::every(&self.graph, site).await?;
            let ids = all.iter().map(|list| list.id.clone()).collect();
            state.all.insert(site.to_owned(), ids);
            let lower = name.to_lowercase();
            let found = all
                .into_iter()
                .find(|list| !list.is_library && list.name.to_lowercase() == lower);
            let Some(list) = found else {
                return Ok(None);
            };
            let known = Known {
                columns: self.columns(site, &list.id).await?,
                id: list.id,
                asked: 0,
                index: None,
            };
            state.lists.insert((site.to_owned(), lower), known);
        }
        Ok(state.known(site, name))
    }

    /// The values of a stored row at the target. `same`: in the list that it came from.
    pub(super) async fn values(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        fields: &Map<String, Value>,
        columns: &[Value],
        same: bool,
    ) -> Result<Values, Fault> {
        let site = stored.site;
        for column in columns.iter().filter(|column| columns::points(column)) {
            let numbers = numbers(fields, columns::name(column));
            match rows::list_of(stored.record, columns::name(column)) {
                _ if numbers.is_empty() => {}
                Some(list) if !same => {
                    for number in numbers {
                        self.look_for_original(state, site, list, number).await?;
                    }
                }
                Some(_) => {}
                None if state.people.contains_key(site) => {}
                None => {
                    let people = People::of(&self.graph, site).await?;
                    state.people.insert(site.to_owned(), people);
                }
            }
        }
        Ok(state.values(site, stored.record, fields, columns, same))
    }

    /// Finds out whether a row is where it was.
    async fn look_for_original(
        &self,
        state: &mut State,
        site: &str,
        list: &str,
        number: u64,
    ) -> Result<(), Fault> {
        let known = state.source(site, list).rows.contains_key(&number);
        if !known && state.has_list(site, list) && self.row(site, list, number, &[]).await?.is_some() {
            state.source(site, list).rows.insert(number, number);
        }
        Ok(())
    }

    /// What is in the place of an item.
    pub(crate) async fn existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault> {
        let stored = Stored::read(target, item, content).await?;
        let mut state = self.state.lock().await;
        if stored.is_schema {
            return self.existing_schema(&mut state, &stored).await;
        }
        self.existing_row(&mut state, &stored).await
    }

    async fn existing_schema(&self, state: &mut State, stored: &Stored<'_>) -> Result<Existing, Fault> {
        // What people did meanwhile is seen.
        let key = (stored.site.to_owned(), stored.list_name.to_lowercase());
        state.lists.remove(&key);
        let Some(list) = self.list(state, stored.site, stored.list_name).await? else {
            return Ok(Existing::Absent);
        };
        let id = list.id.clone();
        let raw: Value = serde_json::from_str(&stored.raw).map_err(|error| {
            let text = format!("the stored schema cannot be read: {error}");
            Fault::Ready(Error::new(ErrorKind::Corrupt, text))
        })?;
        let differences = make::lacks(&raw, &list.columns);
        state.source(stored.site, stored.source).is_at(&id);
        Ok(compared(id, &differences))
    }

    async fn existing_row(&self, state: &mut State, stored: &Stored<'_>) -> Result<Existing, Fault> {
        let (site, name) = (stored.site, stored.list_name);
        let Some(list) = self.list(state, site, name).await? else {
            return Ok(Existing::Absent);
        };
        let (id, columns) = (list.id.clone(), list.columns.clone());
        state.source(site, stored.source).is_at(&id);
        let fields = fields_of(&stored.raw);
        // A row of this list that is still there is the same row, whatever is in it now.
        if id == stored.source {
            let values = self.values(state, stored, &fields, &columns, true).await?;
            if let Some(existing) = self.same_row(state, stored, &values).await? {
                return Ok(existing);
            }
        }
        let values = self.values(state, stored, &fields, &columns, false).await?;
        let known = |state: &mut State| {
            state
                .source(site, stored.source)
                .rows
                .contains_key(&stored.number)
        };
        // Beside the rows that it came from, a copy cannot be told from a twin of it before all of them were looked at.
        let mut lacking = None;
        while id != stored.source || known(state) {
            let Some(row) = self.recognised(state, stored, &values).await? else {
                break;
            };
            let there = self.row(site, &id, row, &columns).await?;
            let differences = there.as_ref().map(|there| values.not_kept(&there.values));
            if differences.is_some_and(|differences| differences.is_empty()) {
                let waiting = values.waiting.iter();
                let differences: Vec<String> = waiting
                    .map(|name| format!("what '{name}' points to cannot be compared yet"))
                    .collect();
                return Ok(compared(row.to_string(), &differences));
            }
            lacking = there
                .filter(|there| values.is_lacking(&there.values))
                .map(|_| row);
            state.source(site, stored.source).rows.remove(&stored.number);
        }
        // What an interrupted recovery left is completed if that is asked for, and else left alone.
        let index = state.known(site, name).and_then(|list| list.index.as_mut());
        let lacking = lacking.or_else(|| index?.take_lacking(&values));
        Ok(match lacking {
            Some(row) => compared(row.to_string(), &["it points to nothing".to_owned()]),
            None => Existing::Absent,
        })
    }

    /// What has become of a stored row in its own list; none if it is gone.
    async fn same_row(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        values: &Values,
    ) -> Result<Option<Existing>, Fault> {
        let (site, name, number) = (stored.site, stored.list_name, stored.number);
        let Some(list) = state.known(site, name) else {
            return Ok(None);
        };
        let (id, columns) = (list.id.clone(), list.columns.clone());
        list.asked += 1;
        if list.asked > FEW_ROWS {
            self.index(state, site, name).await?;
        }
        let mut index = state.known(site, name).and_then(|list| list.index.as_mut());
        if let Some(index) = &mut index {
            index.mark(number);
        }
        let differences = match index.map(|index| index.print_of(number)) {
            Some(None) => return Ok(None),
            Some(Some(print)) if print == values.print() => Vec::new(),
            _ => match self.row(site, &id, number, &columns).await? {
                Some(there) => values.differences(&there.values),
                None => return Ok(None),
            },
        };
        state.source(site, stored.source).rows.insert(number, number);
        Ok(Some(compared(number.to_string(), &differences)))
    }

    /// Writes one item.
    pub(crate) async fn recover(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: &RecoverAction,
    ) -> Result<Recovered, Fault> {
        let stored = Stored::read(target, item, content).await?;
        let mut state = self.state.lock().await;
        let (id, not_carried) = match stored.is_schema {
            true => self.schema(&mut state, &stored).await?,
            false => self.write(&mut state, &stored, action).await?,
        };
        Ok(Recovered {
            id,
            location: format!("{}/{}", stored.list_name, item.record.name),
            not_carried,
        })
    }

    /// Does what had to wait for other items.
    pub(crate) async fn settled(&self, target: &ObjectRecord) -> Vec<Settled> {
        let mut state = self.state.lock().await;
        self.settle(&mut state, &target.native_id).await
    }
}
