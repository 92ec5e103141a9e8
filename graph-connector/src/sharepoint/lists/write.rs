//! Writes rows: recognises those that are there, makes the others, and sets what pointed to rows that came later.

use nakivo_core::connector::{RecoverAction, Settled};
use serde_json::{Map, Value, json};

use super::known::{Index, State, WaitingColumn, WaitingRow};
use super::rows::{self, EXPAND};
use super::target::{ListTarget, MAX_TRIES, Stored, absent};
use super::values::{Place, Print, Values, fields_of, number};
use super::{columns, schema};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::json::Fields;
use crate::pages::PageReader;
use crate::request::Operation;
use crate::sharepoint::{MANAGE_PERMISSION, WRITE_PERMISSION, ids};
use crate::target::failed;

/// All rows of a list.
const ALL: [(&str, &str); 2] = [("$expand", "fields"), ("$top", "1000")];
const NOT_THERE: &str = "what it points to is not at the target";

/// A row at the target.
pub(super) struct There {
    pub(super) values: Values,
    content_type: Option<String>,
}

fn content_type(raw: &str) -> Option<String> {
    Fields::parse(raw)?.object("contentType")?.text("name")
}

impl ListTarget {
    /// The row with this number; none if it is not there.
    pub(super) async fn row(
        &self,
        site: &str,
        list: &str,
        number: u64,
        columns: &[Value],
    ) -> Result<Option<There>, Fault> {
        let slots = [site, list, &number.to_string()];
        let call = self.graph.call(&Scope::Files, Operation::Row, &slots, &EXPAND)?;
        match self.graph.executor.json(&call).await {
            Ok(raw) => Ok(Some(There {
                values: Values::there(&fields_of(&raw), columns),
                content_type: content_type(&raw),
            })),
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads all rows of a list, to recognise some of them, unless that was done before.
    pub(super) async fn index(&self, state: &mut State, site: &str, name: &str) -> Result<(), Fault> {
        let Some(list) = state.known(site, name).filter(|list| list.index.is_none()) else {
            return Ok(());
        };
        let (id, columns) = (list.id.clone(), list.columns.clone());
        let rows = self.prints(site, &id, &columns).await?;
        let taken = state.taken(site, &id);
        if let Some(list) = state.known(site, name) {
            list.index = Some(Index::new(rows, taken));
        }
        Ok(())
    }

    async fn prints(&self, site: &str, list: &str, columns: &[Value]) -> Result<Vec<(Print, u64)>, Fault> {
        let first = self
            .graph
            .call(&Scope::Files, Operation::Rows, &[site, list], &ALL)?;
        let mut reader = PageReader::plain(&Scope::Files);
        let mut page = reader.first(&self.graph, first).await?;
        let mut found = Vec::new();
        loop {
            for raw in page.elements() {
                if let Some(number) = Fields::parse(raw).and_then(|row| row.number("id")) {
                    found.push((Values::there(&fields_of(raw), columns).print(), number));
                }
            }
            match page.next {
                Some(link) => page = reader.follow(&self.graph, &link).await?,
                None => return Ok(found),
            }
        }
    }

    /// A row of the target that stands for no other stored row and has these values; where they wait for what they point to,
    /// one that points to anything. In the list that the row came from only later ones count: earlier ones were there beside it.
    pub(super) async fn recognised(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        values: &Values,
    ) -> Result<Option<u64>, Fault> {
        let (site, name) = (stored.site, stored.list_name);
        let source = state.source(site, stored.source);
        if let Some(row) = source.rows.get(&stored.number) {
            return Ok(Some(*row));
        }
        self.index(state, site, name).await?;
        let Some(list) = state.known(site, name) else {
            return Ok(None);
        };
        let after = if list.id == stored.source {
            stored.number
        } else {
            0
        };
        let points = values.waiting.is_empty();
        let index = list.index.as_mut();
        let row = index.and_then(|index| index.take(&values.print(), points, after));
        if let Some(row) = row {
            state.source(site, stored.source).rows.insert(stored.number, row);
        }
        Ok(row)
    }

    /// Writes one row and reads it back. Returns its id as the recovery knows it, and what is lost.
    pub(super) async fn write(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        action: &RecoverAction,
    ) -> Result<(String, Vec<String>), Fault> {
        let (site, name) = (stored.site, stored.list_name);
        let Some(list) = self.list(state, site, name).await? else {
            let text = format!("the list '{name}' (recover its '{}' too)", schema::SCHEMA_NAME);
            return Err(absent(&text));
        };
        let (list, columns) = (list.id.clone(), list.columns.clone());
        state.source(site, stored.source).is_at(&list);
        let fields = fields_of(&stored.raw);
        let mut values = self.values(state, stored, &fields, &columns, false).await?;
        let (row, there, written) = match action {
            RecoverAction::Replace { existing } => {
                let row: u64 = existing.parse().map_err(|_| absent("the row to be replaced"))?;
                let there = self.row(site, &list, row, &columns).await?;
                let there = there.ok_or_else(|| absent("the row to be replaced"))?;
                values.clear_others(&there.values, &columns);
                let there = self.update(site, &list, row, &values.written, &columns).await?;
                (row, there, true)
            }
            _ => self.make(state, stored, &list, &values, &columns).await?,
        };
        state.source(site, stored.source).rows.insert(stored.number, row);
        let id = ids::join(&ids::of_list(&list), &row.to_string());
        if !values.waiting.is_empty() {
            let waiting = |name: &String| {
                let list = rows::list_of(stored.record, name)?;
                Some((name.clone(), list.to_owned()))
            };
            state.waiting_rows.push(WaitingRow {
                site: site.to_owned(),
                list,
                row,
                id: id.clone(),
                fields: only(&fields, values.waiting.iter()),
                lookups: values.waiting.iter().filter_map(waiting).collect(),
                written,
            });
        }
        for name in values.not_kept(&there.values) {
            let text = format!("value of '{name}': it reads back as something else");
            values.lost.push(text);
        }
        let stored_type = content_type(&stored.raw);
        if let Some(name) = stored_type.filter(|name| there.content_type.as_ref() != Some(name)) {
            values
                .lost
                .push(format!("content type '{name}': it is a plain row"));
        }
        values
            .lost
            .push("its number, who made it and when: SharePoint sets these".to_owned());
        Ok((id, values.lost))
    }

    /// Changes a row and reads it back.
    async fn update(
        &self,
        site: &str,
        list: &str,
        row: u64,
        fields: &Map<String, Value>,
        columns: &[Value],
    ) -> Result<There, Fault> {
        let number = row.to_string();
        if !fields.is_empty() {
            let call = self
                .graph
                .call(&Scope::Files, Operation::UpdateRow, &[site, list, &number], &[])?
                .json_body(&Value::Object(fields.clone()))
                .repeatable();
            self.graph.executor.json(&call).await?;
        }
        let there = self.row(site, list, row, columns).await?;
        there.ok_or_else(|| absent("the row that was changed"))
    }

    /// Makes a row, or finds the one that was made before or when an answer was lost. Says whether it was made now.
    async fn make(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        list: &str,
        values: &Values,
        columns: &[Value],
    ) -> Result<(u64, There, bool), Fault> {
        let (site, name) = (stored.site, stored.list_name);
        let mut tries = 0;
        loop {
            // Also what an earlier recovery made beside one that differs.
            while let Some(row) = self.recognised(state, stored, values).await? {
                match self.row(site, list, row, columns).await? {
                    Some(there) if values.not_kept(&there.values).is_empty() => {
                        return Ok((row, there, false));
                    }
                    // Changed or gone since it was looked at.
                    _ => drop(state.source(site, stored.source).rows.remove(&stored.number)),
                }
            }
            tries += 1;
            let body = json!({ "fields": values.written });
            match self.post(Operation::CreateRow, &[site, list], &body).await {
                Ok(made) => {
                    let row = number(&made["id"]).ok_or(Fault::Protocol {
                        code: "no_id",
                        message: "the new row has no id".into(),
                    })?;
                    let there = self.row(site, list, row, columns).await?;
                    let there = there.ok_or_else(|| absent("the row that was made"))?;
                    return Ok((row, there, true));
                }
                // It may be there: what the list has is read anew.
                Err(fault) if fault.ambiguous() && tries < MAX_TRIES => {
                    if let Some(known) = state.known(site, name) {
                        known.index = None;
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Makes the columns and sets the values that waited for something to be there.
    pub(super) async fn settle(&self, state: &mut State, site: &str) -> Vec<Settled> {
        let mut settled = Vec::new();
        let (waiting, others) = std::mem::take(&mut state.waiting_columns)
            .into_iter()
            .partition(|one| one.site == site);
        let waiting: Vec<WaitingColumn> = waiting;
        state.waiting_columns = others;
        for one in waiting {
            let looks_into = columns::list_of(&one.column).and_then(|list| state.list_of(&one.site, list));
            let made = self
                .column(&one.site, &one.list, &one.column, looks_into.as_deref())
                .await;
            settled.push(Settled {
                id: one.id,
                lost: made
                    .map(Vec::from_iter)
                    .map_err(failed("making a column", MANAGE_PERMISSION)),
            });
        }
        if !settled.is_empty() {
            // Rows come later, and their columns are looked at anew.
            state.lists.retain(|(of, _), _| of != site);
        }
        let (waiting, others) = std::mem::take(&mut state.waiting_rows)
            .into_iter()
            .partition(|one| one.site == site);
        let waiting: Vec<WaitingRow> = waiting;
        state.waiting_rows = others;
        for one in waiting {
            let lost = self.point(state, &one).await;
            settled.push(Settled {
                id: one.id,
                lost: lost.map_err(failed("setting what a row points to", WRITE_PERMISSION)),
            });
        }
        settled
    }

    /// Sets what a row points to, as far as it is there by now.
    async fn point(&self, state: &State, waiting: &WaitingRow) -> Result<Vec<String>, Fault> {
        let (site, list) = (waiting.site.as_str(), waiting.list.as_str());
        let known = state
            .lists
            .iter()
            .find(|((of, _), known)| of == site && known.id == list);
        let Some((_, known)) = known else {
            return Err(absent("the list of the row"));
        };
        let of = |name: &str| waiting.lookups.iter().find(|(column, _)| column == name);
        let columns: Vec<Value> = known
            .columns
            .iter()
            .filter(|column| of(columns::name(column)).is_some())
            .cloned()
            .collect();
        let mut values = Values::read(&waiting.fields, &columns, |column, number| {
            let looked_into = of(columns::name(column)).map(|(_, list)| list.as_str());
            match state.row(site, looked_into, columns::list_of(column), number, false) {
                Place::Later => Place::Nowhere(NOT_THERE.to_owned()),
                known => known,
            }
        });
        if values.written.is_empty() {
            return Ok(values.lost);
        }
        let there = self.row(site, list, waiting.row, &columns).await?;
        let there = there.ok_or_else(|| absent("the row that was made"))?;
        let mut differences = values.not_kept(&there.values);
        // What is found is not changed, unless it lacks what its maker did not live to set.
        if !differences.is_empty() && (waiting.written || there.values.points_nowhere()) {
            let there = self
                .update(site, list, waiting.row, &values.written, &columns)
                .await?;
            differences = values.not_kept(&there.values);
        }
        for name in differences {
            let text = format!("value of '{name}': it points to something else there");
            values.lost.push(text);
        }
        Ok(values.lost)
    }
}

/// What `fields` have for columns of these names.
fn only<'n>(fields: &Map<String, Value>, names: impl Iterator<Item = &'n String>) -> Map<String, Value> {
    let mut out = Map::new();
    for name in names {
        for key in [name.clone(), format!("{name}LookupId")] {
            if let Some(value) = fields.get(&key) {
                out.insert(key, value.clone());
            }
        }
    }
    out
}
