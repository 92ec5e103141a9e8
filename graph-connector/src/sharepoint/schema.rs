//! What a list is made of: its settings, columns and content types, stored as one item before its rows.

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};
use ring::digest;

use super::ids;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Id of the schema among the rows of its list: no row has such an id, and it sorts before them.
pub(crate) const SCHEMA_ID: &str = "!schema";
/// Its type name.
pub(crate) const SCHEMA: &str = "list.schema";
/// Its name for people.
pub(crate) const SCHEMA_NAME: &str = "Columns and settings";
/// Type name of the container that a list is.
pub(crate) const LIST: &str = "list";
/// Property of a schema with lookup columns, and of a row with values in such: these are recovered after the others.
pub(crate) const LOOKUPS: &str = "lookups";

/// Properties of a list that are stored. The time of its last change would change with every row.
const LIST_FIELDS: &str = "id,name,displayName,description,createdDateTime,webUrl,list";
/// Most lists of one site, columns of one list, content types of one list.
const MAX_ELEMENTS: usize = 20_000;

/// A list of a site that is no library.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) id: String,
    pub(crate) name: String,
    raw: String,
}

/// The lists of a site. Libraries are drives and left out.
pub(crate) async fn lists(graph: &Graph, site: &str) -> Result<Vec<List>, Fault> {
    let query = [("$select", LIST_FIELDS)];
    let first = graph.call(&Scope::Files, Operation::Lists, &[site], &query)?;
    let mut lists: Vec<List> = Vec::new();
    for raw in pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await? {
        let Some(fields) = Fields::parse(&raw) else {
            continue;
        };
        let template = fields.object("list").and_then(|list| list.text("template"));
        if template.is_some_and(|template| template.eq_ignore_ascii_case("documentLibrary")) {
            continue;
        }
        let id = fields
            .text("id")
            .filter(|id| !id.is_empty())
            .ok_or(Fault::Protocol {
                code: "element_without_id",
                message: "a list of the site has no id".to_owned(),
            })?;
        let name = fields.text("displayName").or_else(|| fields.text("name"));
        if !lists.iter().any(|known| known.id == id) {
            let name = name.unwrap_or_default();
            lists.push(List { id, name, raw });
        }
    }
    Ok(lists)
}

/// The columns of a list, verbatim.
pub(crate) async fn columns(graph: &Graph, site: &str, list: &str) -> Result<Vec<String>, Fault> {
    let first = graph.call(&Scope::Files, Operation::Columns, &[site, list], &[])?;
    pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await
}

/// The number of lookup columns whose values point to rows; persons are not among them.
pub(crate) fn has_lookups(columns: &[String]) -> bool {
    columns.iter().any(|column| {
        Fields::parse(column)
            .is_some_and(|column| column.has("lookup") && column.flag("readOnly") != Some(true))
    })
}

impl List {
    /// What its id and those of its rows begin with.
    pub(crate) fn prefix(&self) -> String {
        ids::of_list(&self.id)
    }

    fn head(&self, kind: ItemKind, item: ItemRef, name: &str, type_name: &str, raw: String) -> ItemHead {
        let created = Fields::parse(&self.raw).and_then(|fields| fields.time("createdDateTime"));
        ItemHead {
            kind,
            item,
            name: name.to_owned(),
            change_key: None,
            size: None,
            created,
            modified: None,
            received: None,
            sent: None,
            item_type: Some(type_name.to_owned()),
            properties: PropertyBag::new(),
            raw: Some(Bytes::from(raw)),
        }
    }

    /// The list as a container.
    pub(crate) fn container(&self) -> ItemHead {
        let item = ItemRef {
            container: String::new(),
            id: self.prefix(),
        };
        self.head(ItemKind::Container, item, &self.name, LIST, self.raw.clone())
    }

    /// Its schema as an item, with the columns.
    pub(crate) async fn schema(&self, graph: &Graph, site: &str) -> Result<(ItemHead, Vec<String>), Fault> {
        let columns = columns(graph, site, &self.id).await?;
        let first = graph.call(&Scope::Files, Operation::ContentTypes, &[site, &self.id], &[])?;
        let types = pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await?;
        let raw = format!(
            r#"{{"list":{},"columns":[{}],"contentTypes":[{}]}}"#,
            self.raw,
            columns.join(","),
            types.join(",")
        );
        let item = ItemRef {
            container: self.prefix(),
            id: ids::join(&self.prefix(), SCHEMA_ID),
        };
        let digest = digest::digest(&digest::SHA256, raw.as_bytes());
        let key: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut head = self.head(ItemKind::Other, item, SCHEMA_NAME, SCHEMA, raw);
        head.change_key = Some(key);
        if has_lookups(&columns) {
            head.properties.insert(LOOKUPS.to_owned(), Value::Bool(true));
        }
        Ok((head, columns))
    }
}
