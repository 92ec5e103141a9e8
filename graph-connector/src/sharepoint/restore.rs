//! Lists as targets of a recovery: the schema first, then rows, those with lookups last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::columns::{self, Written};
use super::{ids, schema};
use crate::drives::recover::stored_json;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::pages::PageReader;
use crate::request::Operation;

/// Tries to make a row whose making may have failed.
const MAX_TRIES: u32 = 4;
const EXPAND: [(&str, &str); 1] = [("$expand", "fields")];

/// A list at a target.
#[derive(Debug)]
struct Known {
    id: String,
    columns: Vec<Value>,
    /// Rows that were there and that nothing stored was found to be, by what is in them.
    free: Option<BTreeMap<String, Vec<u64>>>,
}

#[derive(Debug, Default)]
struct State {
    /// By site and name in lower case.
    lists: HashMap<(String, String), Known>,
    /// Lists at the target by site and their ids in the point.
    made: HashMap<(String, String), String>,
    /// Rows at the target by site, and list and row in the point.
    rows: HashMap<(String, String, u64), u64>,
}

impl State {
    /// Where the row is by now that was `row` of a list which is `list` at the target.
    fn place_of(&self, site: &str, list: &str, row: u64) -> Option<u64> {
        let known = |source: &str| self.rows.get(&(site.to_owned(), source.to_owned(), row)).copied();
        let mut made = self
            .made
            .iter()
            .filter(|((of, _), made)| of == site && *made == list);
        known(list).or_else(|| made.find_map(|((_, source), _)| known(source)))
    }
}

/// Writes schemas and rows. One at a time: what a row points to must be known before it.
#[derive(Debug)]
pub(crate) struct ListTarget {
    graph: Arc<Graph>,
    state: Mutex<State>,
}

/// Whether this path leads into a list.
pub(crate) fn is_list(path: &[ItemRecord]) -> bool {
    path.first()
        .is_some_and(|first| first.item_type.as_deref() == Some(schema::LIST))
}

/// When an item is written: a schema before rows, and what points to others after these.
pub(crate) fn stage(record: &ItemRecord) -> u8 {
    let lookups = u8::from(record.properties.contains_key(schema::LOOKUPS));
    match record.item_type.as_deref() {
        Some(schema::SCHEMA) => lookups,
        _ if ids::list_of(ids::split(&record.id).0).is_some() => 2 + lookups,
        _ => 0,
    }
}

/// What a row is recognised by: its values, without those that point to other rows and get new ids.
fn print_of(fields: &Map<String, Value>, columns: &[Value]) -> String {
    let written = columns::written(fields, columns, |_, _| None);
    let plain: BTreeMap<_, _> = written
        .fields
        .into_iter()
        .filter(|(name, _)| !name.contains("LookupId"))
        .collect();
    json!(plain).to_string()
}

fn fields_of(raw: &Value) -> Map<String, Value> {
    raw["fields"].as_object().cloned().unwrap_or_default()
}

fn refused(message: String) -> Fault {
    Fault::Ready(Error::new(ErrorKind::NotFound, message))
}

/// A stored item that goes into a list.
struct Stored<'a> {
    site: &'a str,
    /// The same site that it came from.
    home: bool,
    /// The list in the point, and its name.
    source: &'a str,
    name: &'a str,
    id: &'a str,
    raw: Value,
}

impl ListTarget {
    pub(crate) fn new(graph: Arc<Graph>) -> Self {
        Self {
            graph,
            state: Mutex::default(),
        }
    }

    async fn stored<'a>(
        &self,
        target: &'a ObjectRecord,
        item: &'a RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Stored<'a>, Fault> {
        let (prefix, id) = ids::split(&item.record.id);
        let raw = serde_json::from_str(&stored_json(content).await?).map_err(|error| {
            Fault::Ready(Error::new(
                ErrorKind::Corrupt,
                format!("the stored record cannot be read: {error}"),
            ))
        })?;
        let raw: Value = raw;
        let web = raw["webUrl"]
            .as_str()
            .or(raw["list"]["webUrl"].as_str())
            .unwrap_or_default();
        let address = target.address.as_deref().unwrap_or("\0");
        Ok(Stored {
            site: &target.native_id,
            home: web
                .strip_prefix(address)
                .is_some_and(|rest| rest.starts_with("/Lists/") || rest.starts_with("/_")),
            source: ids::list_of(prefix).unwrap_or_default(),
            name: item.path.first().map_or("", |list| &list.name),
            id,
            raw,
        })
    }

    async fn json(
        &self,
        operation: Operation,
        slots: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Fault> {
        let call = self.graph.call(&Scope::Files, operation, slots, query)?;
        parsed(&self.graph.executor.json(&call).await?)
    }

    async fn post(&self, operation: Operation, slots: &[&str], body: &Value) -> Result<Value, Fault> {
        let call = self
            .graph
            .call(&Scope::Files, operation, slots, &[])?
            .json_body(body);
        parsed(&self.graph.executor.json(&call).await?)
    }

    /// The list of this name at the target, with its columns.
    async fn list<'s>(
        &self,
        state: &'s mut State,
        site: &str,
        name: &str,
    ) -> Result<Option<&'s mut Known>, Fault> {
        let key = (site.to_owned(), name.to_lowercase());
        if !state.lists.contains_key(&key) {
            let lists = schema::lists(&self.graph, site).await?;
            let Some(list) = lists.into_iter().find(|list| list.name.to_lowercase() == key.1) else {
                return Ok(None);
            };
            let known = Known {
                columns: self.columns(site, &list.id).await?,
                id: list.id,
                free: None,
            };
            state.lists.insert(key.clone(), known);
        }
        Ok(state.lists.get_mut(&key))
    }

    async fn columns(&self, site: &str, list: &str) -> Result<Vec<Value>, Fault> {
        let raw = schema::columns(&self.graph, site, list).await?;
        raw.iter().map(|raw| parsed(raw)).collect()
    }

    /// What is in the place of an item.
    pub(crate) async fn existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault> {
        let stored = self.stored(target, item, content).await?;
        let mut state = self.state.lock().await;
        if stored.id == schema::SCHEMA_ID {
            // What people did meanwhile is seen.
            state
                .lists
                .remove(&(stored.site.to_owned(), stored.name.to_lowercase()));
        }
        let Some(list) = self.list(&mut state, stored.site, stored.name).await? else {
            return Ok(Existing::Absent);
        };
        let id = list.id.clone();
        if stored.id == schema::SCHEMA_ID {
            let missing = missing(&stored.raw, &list.columns);
            let existing = match missing.is_empty() {
                true => Existing::Identical { id: id.clone() },
                false => Existing::Differs {
                    id: id.clone(),
                    difference: format!("without the columns {}", missing.join(", ")),
                },
            };
            state
                .made
                .insert((stored.site.to_owned(), stored.source.to_owned()), id);
            return Ok(existing);
        }
        let columns = list.columns.clone();
        let fields = fields_of(&stored.raw);
        // A row of this list that is still there is the same row, whatever is in it now.
        if id == stored.source
            && let Some(there) = self.row(stored.site, &id, stored.id).await?
        {
            let now = columns::written(&fields, &columns, |_, id| Some(id));
            let differences = columns::differences(&now.fields, &fields_of(&there));
            return Ok(match differences.is_empty() {
                true => Existing::Identical {
                    id: stored.id.to_owned(),
                },
                false => Existing::Differs {
                    id: stored.id.to_owned(),
                    difference: differences.join(", "),
                },
            });
        }
        Ok(match self.recognised(&mut state, &stored, &id, &columns).await? {
            Some(row) => Existing::Identical { id: row.to_string() },
            None => Existing::Absent,
        })
    }

    async fn row(&self, site: &str, list: &str, id: &str) -> Result<Option<Value>, Fault> {
        match self.json(Operation::Row, &[site, list, id], &EXPAND).await {
            Ok(row) => Ok(Some(row)),
            Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A row of the target with the same values that was recovered before and stands for no other stored row.
    async fn recognised(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        list: &str,
        columns: &[Value],
    ) -> Result<Option<u64>, Fault> {
        let key = (
            stored.site.to_owned(),
            stored.source.to_owned(),
            columns::number(&json!(stored.id)).unwrap_or(0),
        );
        let print = print_of(&fields_of(&stored.raw), columns);
        if let Some(known) = state.rows.get(&key).copied() {
            if let Some(row) = self.row(stored.site, list, &known.to_string()).await?
                && print_of(&fields_of(&row), columns) == print
            {
                return Ok(Some(known));
            }
            state.rows.remove(&key);
        }
        let place = (stored.site.to_owned(), stored.name.to_lowercase());
        if state.lists.get(&place).is_none_or(|known| known.free.is_none()) {
            let free = self.all_rows(state, stored, list, columns).await?;
            if let Some(known) = state.lists.get_mut(&place) {
                known.free = Some(free);
            }
        }
        let free = state.lists.get_mut(&place).and_then(|known| known.free.as_mut());
        let Some(row) = free.and_then(|free| free.get_mut(&print)?.pop()) else {
            return Ok(None);
        };
        state.rows.insert(key, row);
        Ok(Some(row))
    }

    /// The rows of a list that stand for no stored row yet, by what is in them.
    async fn all_rows(
        &self,
        state: &State,
        stored: &Stored<'_>,
        list: &str,
        columns: &[Value],
    ) -> Result<BTreeMap<String, Vec<u64>>, Fault> {
        let taken: HashSet<u64> = state
            .rows
            .iter()
            .filter(|((site, source, _), _)| site == stored.site && source == stored.source)
            .map(|(_, row)| *row)
            .collect();
        let mut rows: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let first = self
            .graph
            .call(&Scope::Files, Operation::Rows, &[stored.site, list], &EXPAND)?;
        let mut reader = PageReader::plain(&Scope::Files);
        let mut page = reader.first(&self.graph, first).await?;
        loop {
            for raw in page.elements() {
                let row = parsed(raw)?;
                match columns::number(&row["id"]) {
                    Some(id) if !taken.contains(&id) => {
                        rows.entry(print_of(&fields_of(&row), columns))
                            .or_default()
                            .push(id);
                    }
                    _ => {}
                }
            }
            match page.next {
                Some(link) => page = reader.follow(&self.graph, &link).await?,
                None => return Ok(rows),
            }
        }
    }

    /// Writes one item.
    pub(crate) async fn recover(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: &RecoverAction,
    ) -> Result<Recovered, Fault> {
        let stored = self.stored(target, item, content).await?;
        let mut state = self.state.lock().await;
        let (id, not_carried) = if stored.id == schema::SCHEMA_ID {
            self.schema(&mut state, &stored).await?
        } else {
            self.write(&mut state, &stored, action).await?
        };
        Ok(Recovered {
            id,
            location: format!("{}/{}", stored.name, item.record.name),
            not_carried,
        })
    }

    /// Makes the list if there is none, and the columns that it lacks. Nothing that is there is changed.
    async fn schema(&self, state: &mut State, stored: &Stored<'_>) -> Result<(String, Vec<String>), Fault> {
        let (site, name) = (stored.site, stored.name);
        if self.list(state, site, name).await?.is_none() {
            let template = stored.raw["list"]["list"]["template"]
                .as_str()
                .unwrap_or("genericList");
            let made = self.create(site, name, template).await;
            // Not every template can be made; another list may have been made meanwhile, or by us although the answer was lost.
            if let Err(fault) = made
                && self.list(state, site, name).await?.is_none()
            {
                if !fault.refused_as(|refusal| refusal.status == 400) || template == "genericList" {
                    return Err(fault);
                }
                self.create(site, name, "genericList").await?;
            }
        }
        let absent = || refused(format!("the list '{name}' was made and is missing"));
        let list = self.list(state, site, name).await?.ok_or_else(absent)?;
        let (id, there) = (list.id.clone(), list.columns.clone());
        state
            .made
            .insert((site.to_owned(), stored.source.to_owned()), id.clone());
        let mut lost = Vec::new();
        for column in stored.raw["columns"].as_array().into_iter().flatten() {
            let name = columns::name(column);
            match there
                .iter()
                .find(|known| columns::name(known).eq_ignore_ascii_case(name))
            {
                Some(known) if columns::kind(known) != columns::kind(column) => {
                    lost.push(format!(
                        "column '{name}': there is one of the kind '{}'",
                        columns::kind(known)
                    ));
                }
                Some(_) => {}
                None if columns::is_systems(name) => {}
                None => {
                    let points_to = column["lookup"]["listId"].as_str().unwrap_or_default().to_owned();
                    let known = state.made.get(&(site.to_owned(), points_to.clone())).cloned();
                    let list = known.or_else(|| stored.home.then_some(points_to));
                    lost.extend(self.column(site, &id, column, list.as_deref()).await?);
                }
            }
        }
        for kind in stored.raw["contentTypes"].as_array().into_iter().flatten() {
            let group = kind["group"].as_str().unwrap_or_default();
            if !matches!(
                group,
                "List Content Types" | "Folder Content Types" | "_Hidden" | "Document Content Types"
            ) {
                lost.push(format!(
                    "content type '{}'",
                    kind["name"].as_str().unwrap_or_default()
                ));
            }
        }
        let columns = self.columns(site, &id).await?;
        if let Some(list) = self.list(state, site, name).await? {
            list.columns = columns;
        }
        Ok((ids::join(&ids::of_list(&id), schema::SCHEMA_ID), lost))
    }

    async fn create(&self, site: &str, name: &str, template: &str) -> Result<(), Fault> {
        let body = json!({ "displayName": name, "list": { "template": template } });
        self.post(Operation::CreateList, &[site], &body).await.map(|_| ())
    }

    /// Makes one column; returns what to say if it could not be.
    async fn column(
        &self,
        site: &str,
        list: &str,
        column: &Value,
        points_to: Option<&str>,
    ) -> Result<Option<String>, Fault> {
        let definition = match columns::definition(column, points_to) {
            Ok(definition) => definition,
            Err(lost) => return Ok(Some(lost)),
        };
        let result = self
            .post(Operation::CreateColumn, &[site, list], &definition)
            .await;
        Ok(match result {
            Ok(_) => None,
            // There by now, perhaps through us.
            Err(fault) if fault.refused_as(|refusal| refusal.status == 409) => None,
            Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 422)) => {
                Some(format!("column '{}': {fault}", columns::name(column)))
            }
            Err(fault) if fault.ambiguous() => {
                let now = self.columns(site, list).await?;
                match now
                    .iter()
                    .any(|known| columns::name(known) == columns::name(column))
                {
                    true => None,
                    false => match self
                        .post(Operation::CreateColumn, &[site, list], &definition)
                        .await
                    {
                        Ok(_) => None,
                        Err(fault) => return Err(fault),
                    },
                }
            }
            Err(fault) => return Err(fault),
        })
    }

    /// Writes one row and reads it back.
    async fn write(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        action: &RecoverAction,
    ) -> Result<(String, Vec<String>), Fault> {
        let (site, name) = (stored.site, stored.name);
        let Some(list) = self.list(state, site, name).await? else {
            return Err(refused(format!(
                "the list '{name}' is not there; recover its '{}' too",
                schema::SCHEMA_NAME
            )));
        };
        let (list, columns) = (list.id.clone(), list.columns.clone());
        let same_list = list == stored.source;
        self.look_at_lookups(state, stored, &columns).await?;
        let Written { fields, mut lost } =
            columns::written(&fields_of(&stored.raw), &columns, |column, id| {
                if columns::kind(column) == "personOrGroup" {
                    // The list of users of that site.
                    return stored.home.then_some(id);
                }
                let points_to = column["lookup"]["listId"].as_str().unwrap_or_default();
                state.place_of(site, points_to, id)
            });
        let key = (
            site.to_owned(),
            stored.source.to_owned(),
            columns::number(&json!(stored.id)).unwrap_or(0),
        );
        let id = match action {
            RecoverAction::Replace { existing } if same_list => {
                let call = self
                    .graph
                    .call(&Scope::Files, Operation::UpdateRow, &[site, &list, existing], &[])?
                    .json_body(&Value::Object(fields.clone()))
                    .repeatable();
                self.graph.executor.json(&call).await?;
                existing.clone()
            }
            _ => self
                .make(state, stored, &list, &columns, &fields)
                .await?
                .to_string(),
        };
        let there = self
            .row(site, &list, &id)
            .await?
            .ok_or_else(|| refused("the new row cannot be read back".to_owned()))?;
        for name in columns::differences(&fields, &fields_of(&there)) {
            lost.push(format!("value of '{name}': it reads back as something else"));
        }
        if let Some(new) = columns::number(&json!(id)) {
            state.rows.insert(key, new);
        }
        lost.push("who made it and when: SharePoint sets these".to_owned());
        Ok((ids::join(&ids::of_list(&list), &id), lost))
    }

    /// Finds out which rows that lookups point to are there under the ids that they had.
    async fn look_at_lookups(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        columns: &[Value],
    ) -> Result<(), Fault> {
        if !stored.home {
            return Ok(());
        }
        for (list, id) in columns::pointed_to(&fields_of(&stored.raw), columns) {
            let key = (stored.site.to_owned(), list.clone(), id);
            if state.place_of(stored.site, &list, id).is_none()
                && self.row(stored.site, &list, &id.to_string()).await?.is_some()
            {
                state.rows.insert(key, id);
            }
        }
        Ok(())
    }

    /// Makes a row, or finds the one that was made when an answer was lost.
    async fn make(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        list: &str,
        columns: &[Value],
        fields: &Map<String, Value>,
    ) -> Result<u64, Fault> {
        let mut tries = 0;
        loop {
            // Also what an earlier recovery made beside one that differs.
            if let Some(row) = self.recognised(state, stored, list, columns).await? {
                return Ok(row);
            }
            tries += 1;
            match self
                .post(
                    Operation::CreateRow,
                    &[stored.site, list],
                    &json!({ "fields": fields }),
                )
                .await
            {
                Ok(row) => {
                    return columns::number(&row["id"]).ok_or(Fault::Protocol {
                        code: "no_id",
                        message: "the new row has no id".into(),
                    });
                }
                Err(fault) if fault.ambiguous() && tries < MAX_TRIES => {
                    let place = (stored.site.to_owned(), stored.name.to_lowercase());
                    if let Some(known) = state.lists.get_mut(&place) {
                        known.free = None;
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

fn parsed(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Protocol {
        code: "no_object",
        message: "the answer is no JSON".into(),
    })
}

/// Names of columns of a stored schema that a list lacks.
fn missing(raw: &Value, there: &[Value]) -> Vec<String> {
    let columns = raw["columns"].as_array().into_iter().flatten();
    columns
        .filter(|column| {
            !columns::is_systems(columns::name(column)) && columns::definition(column, Some("")).is_ok()
        })
        .map(columns::name)
        .filter(|name| {
            !there
                .iter()
                .any(|known| columns::name(known).eq_ignore_ascii_case(name))
        })
        .map(str::to_owned)
        .collect()
}
