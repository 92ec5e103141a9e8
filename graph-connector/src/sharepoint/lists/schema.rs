//! What a list is made of: its settings, columns and content types, stored as one item before its rows.

use bytes::Bytes;
use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::ItemKind;
use serde_json::Value;

use crate::exchange::mail::attachments::hash;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;
use crate::sharepoint::ids;

/// Id of the schema among the rows of its list: no row has such an id, and it sorts before them.
pub(crate) const SCHEMA_ID: &str = "!schema";
/// Its type name.
pub(crate) const SCHEMA: &str = "list.schema";
/// Its name for people.
pub(crate) const SCHEMA_NAME: &str = "Columns and settings";
/// Type name of the container that a list is.
pub(crate) const LIST: &str = "list";

/// Properties of a list that are stored. The time of its last change would change with every row.
const LIST_FIELDS: &str = "id,name,displayName,description,createdDateTime,webUrl,list";
/// What finding the list of users takes. Lists of the system are told only if their facet is asked for.
const SYSTEM_FIELDS: &str = "id,webUrl,list,system";
/// Most lists of one site, columns of one list, content types of one list.
const MAX_ELEMENTS: usize = 20_000;

/// A list of a site.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_library: bool,
    raw: String,
}

/// The lists of a site. Libraries are drives and left out.
pub(crate) async fn lists(graph: &Graph, site: &str) -> Result<Vec<List>, Fault> {
    let mut lists = every(graph, site).await?;
    lists.retain(|list| !list.is_library);
    Ok(lists)
}

/// The lists of a site, libraries among them.
pub(crate) async fn every(graph: &Graph, site: &str) -> Result<Vec<List>, Fault> {
    let query = [("$select", LIST_FIELDS)];
    let first = graph.call(&Scope::Files, Operation::Lists, &[site], &query)?;
    let mut lists: Vec<List> = Vec::new();
    for raw in pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await? {
        let list = List::parse(raw).ok_or(Fault::Protocol {
            code: "element_without_id",
            message: "a list of the site has no id that can be used".to_owned(),
        })?;
        // Pages may repeat an element.
        if !lists.iter().any(|known| known.id == list.id) {
            lists.push(list);
        }
    }
    Ok(lists)
}

/// The id of the hidden list of users.
pub(crate) async fn user_list(graph: &Graph, site: &str) -> Result<Option<String>, Fault> {
    let query = [("$select", SYSTEM_FIELDS)];
    let first = graph.call(&Scope::Files, Operation::Lists, &[site], &query)?;
    let all = pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await?;
    Ok(all.iter().find_map(|raw| {
        let fields = Fields::parse(raw)?;
        let template = fields.object("list").and_then(|list| list.text("template"));
        let url = fields.text("webUrl").unwrap_or_default();
        let users = template.is_some_and(|template| template.eq_ignore_ascii_case("userInformation"))
            || url.ends_with("/_catalogs/users");
        users.then(|| fields.text("id"))?
    }))
}

/// The columns of a list, verbatim.
pub(crate) async fn columns(graph: &Graph, site: &str, list: &str) -> Result<Vec<String>, Fault> {
    let first = graph.call(&Scope::Files, Operation::Columns, &[site, list], &[])?;
    pages::all(graph, &Scope::Files, first, MAX_ELEMENTS).await
}

/// Columns as they are worked with. One that nobody can read is none.
pub(crate) fn parsed(columns: &[String]) -> Vec<Value> {
    let columns = columns.iter();
    columns
        .filter_map(|column| serde_json::from_str(column).ok())
        .collect()
}

impl List {
    fn parse(raw: String) -> Option<Self> {
        let fields = Fields::parse(&raw)?;
        let id = fields
            .text("id")
            .filter(|id| !id.is_empty() && ids::split(id).0 == id)?;
        let name = fields.text("displayName").or_else(|| fields.text("name"));
        let template = fields.object("list").and_then(|list| list.text("template"));
        Some(Self {
            id,
            name: name.unwrap_or_default(),
            is_library: template.is_some_and(|template| template.eq_ignore_ascii_case("documentLibrary")),
            raw,
        })
    }

    /// What its id and those of its rows begin with.
    pub(crate) fn prefix(&self) -> String {
        ids::of_list(&self.id)
    }

    fn head(&self, kind: ItemKind, item: ItemRef, name: &str, type_name: &str, raw: String) -> ItemHead {
        let created = Fields::parse(&self.raw).and_then(|fields| fields.time("createdDateTime"));
        ItemHead {
            created,
            item_type: Some(type_name.to_owned()),
            raw: Some(Bytes::from(raw)),
            ..ItemHead::new(kind, item, name.to_owned())
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

    /// Its schema as an item, and the columns in it.
    pub(crate) async fn schema(&self, graph: &Graph, site: &str) -> Result<(ItemHead, Vec<Value>), Fault> {
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
        let head = ItemHead {
            change_key: Some(hash(raw.as_bytes())),
            ..self.head(ItemKind::Other, item, SCHEMA_NAME, SCHEMA, raw)
        };
        Ok((head, parsed(&columns)))
    }
}
