//! Makes lists and columns. What is there is left as it is.

use serde_json::{Value, json};

use super::known::{Known, State, WaitingColumn};
use super::target::{ListTarget, MAX_TRIES, Stored, absent};
use super::{columns, schema};
use crate::fault::Fault;
use crate::request::Operation;
use crate::sharepoint::ids;

/// What is not among what is stored of a list.
const NOT_STORED: &str = "permissions, views and forms: Graph does not hand them out; earlier versions of rows: they are not stored";
/// The template of lists that any other can be recovered as.
const GENERIC: &str = "genericList";
/// Groups of the content types that every list may have.
const USUAL_GROUPS: [&str; 4] = [
    "List Content Types",
    "Folder Content Types",
    "Document Content Types",
    "_Hidden",
];

/// What a list of these columns lacks of the stored schema, for people.
pub(crate) fn lacks(raw: &Value, there: &[Value]) -> Vec<String> {
    let stored = raw["columns"].as_array().into_iter().flatten();
    stored
        .filter(|column| columns::is_peoples(column) && columns::definition(column, Some("")).is_ok())
        .filter_map(|column| match named(there, columns::name(column)) {
            None => Some(format!("column '{}' is missing", columns::name(column))),
            Some(known) if columns::kind(known) != columns::kind(column) => Some(other_kind(known)),
            Some(_) => None,
        })
        .collect()
}

fn named<'c>(columns: &'c [Value], name: &str) -> Option<&'c Value> {
    columns
        .iter()
        .find(|column| columns::name(column).eq_ignore_ascii_case(name))
}

fn other_kind(known: &Value) -> String {
    let (name, kind) = (columns::name(known), columns::kind(known));
    format!("column '{name}': there is one of the kind '{kind}'")
}

impl ListTarget {
    /// Makes the list if there is none, and the columns that it lacks. Returns its id as the recovery knows it, and what is lost.
    pub(super) async fn schema(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
    ) -> Result<(String, Vec<String>), Fault> {
        let raw: Value = serde_json::from_str(&stored.raw).unwrap_or_default();
        let (site, name) = (stored.site, stored.list_name);
        let mut lost = Vec::new();
        if self.list(state, site, name).await?.is_none() {
            lost.extend(self.create(state, stored, &raw).await?);
        }
        let list = self.list(state, site, name).await?.ok_or_else(|| absent(name))?;
        let (id, there) = (list.id.clone(), list.columns.clone());
        state.source(site, stored.source).is_at(&id);
        let item = ids::join(&ids::of_list(&id), schema::SCHEMA_ID);
        let stored_columns: Vec<&Value> = raw["columns"].as_array().into_iter().flatten().collect();
        // Formulas name other columns.
        let (formulas, others): (Vec<&Value>, Vec<&Value>) = stored_columns
            .into_iter()
            .filter(|column| columns::is_peoples(column))
            .partition(|column| columns::kind(column) == "calculated");
        for column in others.into_iter().chain(formulas) {
            match named(&there, columns::name(column)) {
                Some(known) if columns::kind(known) != columns::kind(column) => lost.push(other_kind(known)),
                Some(_) => {}
                None => lost.extend(self.lacking_column(state, site, &id, &item, column).await?),
            }
        }
        lost.extend(other_types(&raw));
        lost.push(NOT_STORED.to_owned());
        self.learn_columns(state, site, name, &id).await?;
        Ok((item, lost))
    }

    /// Reads the columns of a list anew.
    async fn learn_columns(
        &self,
        state: &mut State,
        site: &str,
        name: &str,
        list: &str,
    ) -> Result<(), Fault> {
        let columns = self.columns(site, list).await?;
        if let Some(known) = state.known(site, name) {
            known.columns = columns;
        }
        Ok(())
    }

    /// Makes the list. Not every template can be made.
    async fn create(
        &self,
        state: &mut State,
        stored: &Stored<'_>,
        raw: &Value,
    ) -> Result<Option<String>, Fault> {
        let (site, name) = (stored.site, stored.list_name);
        let wanted = raw["list"]["list"]["template"].as_str().unwrap_or(GENERIC);
        let mut template = wanted;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut body = json!({ "displayName": name, "list": { "template": template } });
            let description = raw["list"]["description"].as_str().unwrap_or_default();
            if !description.is_empty() {
                body["description"] = json!(description);
            }
            match self.post(Operation::CreateList, &[site], &body).await {
                Ok(made) => {
                    if let Some(id) = made["id"].as_str() {
                        let known = Known {
                            id: id.to_owned(),
                            columns: self.columns(site, id).await?,
                            asked: 0,
                            // Nobody has put anything into it.
                            index: (template == GENERIC).then(Default::default),
                        };
                        let key = (site.to_owned(), name.to_lowercase());
                        state.lists.insert(key, known);
                    }
                    break;
                }
                // Made by somebody else meanwhile, or by us although the answer was lost; or not at all.
                Err(fault) if fault.ambiguous() || fault.refused_as(|refusal| refusal.status == 409) => {
                    if self.list(state, site, name).await?.is_some() {
                        break;
                    }
                    if !fault.ambiguous() || tries >= MAX_TRIES {
                        return Err(fault);
                    }
                }
                Err(fault) if template != GENERIC && fault.refused_as(|refusal| refusal.status == 400) => {
                    template = GENERIC;
                }
                Err(fault) => return Err(fault),
            }
        }
        let said = format!("template '{wanted}': Graph does not make such a list, it is a generic one");
        Ok((template != wanted).then_some(said))
    }

    /// Makes a column; one that looks into a list that is not there yet waits. Returns what is to be said.
    async fn lacking_column(
        &self,
        state: &mut State,
        site: &str,
        list: &str,
        item: &str,
        column: &Value,
    ) -> Result<Option<String>, Fault> {
        let looks_into = match columns::list_of(column) {
            Some(stored) => match state.list_of(site, stored) {
                None => {
                    state.waiting_columns.push(WaitingColumn {
                        site: site.to_owned(),
                        list: list.to_owned(),
                        id: item.to_owned(),
                        column: column.clone(),
                    });
                    return Ok(None);
                }
                known => known,
            },
            None => None,
        };
        self.column(site, list, column, looks_into.as_deref()).await
    }

    /// Makes one column. Returns what is to be said of it.
    pub(super) async fn column(
        &self,
        site: &str,
        list: &str,
        column: &Value,
        looks_into: Option<&str>,
    ) -> Result<Option<String>, Fault> {
        let definition = match columns::definition(column, looks_into) {
            Ok(definition) => definition,
            Err(lost) => return Ok(Some(lost)),
        };
        let name = columns::name(column);
        let mut tries = 0;
        loop {
            tries += 1;
            let made = self
                .post(Operation::CreateColumn, &[site, list], &definition)
                .await;
            match made {
                Ok(_) => return Ok(columns::remark(column)),
                Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 422)) => {
                    return Ok(Some(format!("column '{name}': {fault}")));
                }
                // There by now, perhaps through us.
                Err(fault) if fault.ambiguous() || fault.refused_as(|refusal| refusal.status == 409) => {
                    if named(&self.columns(site, list).await?, name).is_some() {
                        return Ok(columns::remark(column));
                    }
                    if !fault.ambiguous() || tries >= MAX_TRIES {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Content types that are not those of every list.
fn other_types(raw: &Value) -> Vec<String> {
    let types = raw["contentTypes"].as_array().into_iter().flatten();
    types
        .filter(|one| !USUAL_GROUPS.contains(&one["group"].as_str().unwrap_or_default()))
        .map(|one| {
            let name = one["name"].as_str().unwrap_or_default();
            format!("content type '{name}': rows of it become plain ones")
        })
        .collect()
}
