//! One list of a site: columns, content types, rows with their versions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::clock::{self, Clock};
use crate::random::{guid, key, text_key};

/// Template of the hidden list of a site's users.
pub(crate) const USERS_TEMPLATE: &str = "userInformation";
/// Content type of rows.
pub(crate) const ITEM_TYPE: &str = "0x0100";

/// One state of a row's fields.
#[derive(Debug, Clone)]
pub(crate) struct RowVersion {
    pub modified: i64,
    pub fields: Map<String, Value>,
}

/// One row. Its versions are oldest first and never empty.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: u32,
    pub created: i64,
    pub versions: Vec<RowVersion>,
    /// The list's version at the last change.
    pub version: u64,
    pub etag: u32,
    pub deleted: bool,
}

impl Row {
    pub(crate) fn fields(&self) -> &Map<String, Value> {
        static EMPTY: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
        self.versions
            .last()
            .map_or_else(|| EMPTY.get_or_init(Map::new), |version| &version.fields)
    }

    pub(crate) fn modified(&self) -> i64 {
        self.versions
            .last()
            .map_or(self.created, |version| version.modified)
    }
}

/// One list.
#[derive(Debug)]
pub(crate) struct List {
    pub key: u64,
    pub id: String,
    pub name: String,
    pub template: String,
    pub hidden: bool,
    /// Belongs to the system: told only when its facet is asked for.
    pub system: bool,
    pub created: i64,
    pub columns: Vec<Value>,
    pub content_types: Vec<Value>,
    pub rows: BTreeMap<u32, Row>,
    pub version: u64,
    pub epoch: u32,
    pub(crate) clock: Clock,
}

fn column(list: u64, name: &str, read_only: bool, facet: &str, value: Value) -> Value {
    let mut column = json!({
        "id": guid(&[list, text_key(name), 141]),
        "name": name,
        "displayName": name,
        "description": "",
        "hidden": false,
        "indexed": false,
        "readOnly": read_only,
        "required": false,
        "enforceUniqueValues": false,
    });
    column[facet] = value;
    column
}

fn content_type(name: &str, base: &str, id: &str) -> Value {
    let id = format!("0x{}", id[2..].replace('-', "").to_uppercase());
    json!({
        "id": id,
        "name": name,
        "description": format!("Create a new {}.", name.to_lowercase()),
        "group": format!("{} Content Types", if name == "Item" { "List" } else { name }),
        "hidden": false,
        "readOnly": false,
        "sealed": name == "Folder",
        "base": {"id": base, "name": name},
    })
}

/// The content types that lists take theirs from.
pub(crate) fn base_types() -> Vec<Value> {
    [("Item", "0x01"), ("Folder", "0x0120")]
        .into_iter()
        .map(|(name, id)| content_type(name, "0x", id))
        .collect()
}

impl List {
    pub(crate) fn new(site: u64, salt: u64, name: &str, template: &str, clock: Clock) -> Self {
        let list = key(&[site, text_key(name), salt, 140]);
        let now = clock.now();
        let text = json!({
            "allowMultipleLines": false,
            "appendChangesToExistingText": false,
            "linesForEditing": 0,
            "maxLength": 255,
        });
        Self {
            key: list,
            id: guid(&[list, 142]),
            name: name.to_owned(),
            template: template.to_owned(),
            hidden: template == USERS_TEMPLATE,
            system: template == USERS_TEMPLATE,
            created: now,
            columns: vec![
                column(list, "Title", false, "text", text),
                column(list, "Created", true, "dateTime", json!({"format": "dateTime"})),
                column(
                    list,
                    "Author",
                    true,
                    "personOrGroup",
                    json!({"allowMultipleSelection": false}),
                ),
                column(list, "Attachments", false, "boolean", json!({})),
            ],
            content_types: vec![
                content_type("Item", "0x01", &format!("{ITEM_TYPE}{}", guid(&[list, 143]))),
                content_type("Folder", "0x0120", &format!("0x0120{}", guid(&[list, 144]))),
            ],
            rows: BTreeMap::new(),
            version: 1,
            epoch: 0,
            clock,
        }
    }

    /// Adds a column from its definition; none if it has no name or the name is taken.
    pub(crate) fn add_column(&mut self, definition: &Value) -> Option<Value> {
        let name = definition["name"]
            .as_str()
            .or(definition["displayName"].as_str())?
            .to_owned();
        if name.is_empty() || self.column(&name).is_some() {
            return None;
        }
        let mut made = column(self.key, &name, false, "hidden", json!(false));
        for (key, value) in definition.as_object()? {
            made[key] = value.clone();
        }
        made["name"] = json!(name);
        made["id"] = json!(guid(&[self.key, text_key(&name), 141]));
        self.columns.push(made.clone());
        self.version += 1;
        Some(made)
    }

    /// Changes a column by its id; none if there is none.
    pub(crate) fn update_column(&mut self, id: &str, changes: &Map<String, Value>) -> Option<Value> {
        let column = self.columns.iter_mut().find(|column| column["id"] == *id)?;
        for (key, value) in changes.iter().filter(|(key, _)| *key != "id" && *key != "name") {
            column[key] = value.clone();
        }
        self.version += 1;
        Some(column.clone())
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Value> {
        self.columns.iter().find(|column| {
            column["name"]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// Living rows.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| !row.deleted)
    }

    pub(crate) fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(&id.parse().ok()?).filter(|row| !row.deleted)
    }

    pub(crate) fn add_row(&mut self, fields: Map<String, Value>) -> u32 {
        let id = self.rows.len() as u32 + 1;
        let now = self.clock.now();
        self.version += 1;
        let row = Row {
            id,
            created: now,
            versions: vec![RowVersion {
                modified: now,
                fields,
            }],
            version: self.version,
            etag: 1,
            deleted: false,
        };
        self.rows.insert(id, row);
        id
    }

    /// Changes fields; a null takes one away. Says whether there is such a row.
    pub(crate) fn update_row(&mut self, id: &str, changes: &Map<String, Value>) -> bool {
        let now = self.clock.now();
        let version = self.version + 1;
        let Some(row) = id
            .parse()
            .ok()
            .and_then(|id: u32| self.rows.get_mut(&id))
            .filter(|row| !row.deleted)
        else {
            return false;
        };
        let mut fields = row.fields().clone();
        for (name, value) in changes {
            match value {
                Value::Null => drop(fields.remove(name)),
                value => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        row.versions.push(RowVersion {
            modified: now,
            fields,
        });
        (row.version, row.etag, self.version) = (version, row.etag + 1, version);
        true
    }

    pub(crate) fn delete_row(&mut self, id: &str) -> bool {
        let version = self.version + 1;
        match id
            .parse()
            .ok()
            .and_then(|id: u32| self.rows.get_mut(&id))
            .filter(|row| !row.deleted)
        {
            Some(row) => {
                (row.deleted, row.version, self.version) = (true, version, version);
                true
            }
            None => false,
        }
    }

    /// Rows that changed after a version, oldest change first.
    pub(crate) fn changes(&self, after: u64) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.values().filter(|row| row.version > after).collect();
        rows.sort_by_key(|row| row.version);
        rows
    }

    /// The list as JSON.
    pub(crate) fn json(&self, site_url: &str) -> Map<String, Value> {
        let changed = self
            .rows
            .values()
            .map(Row::modified)
            .max()
            .unwrap_or(self.created);
        let value = json!({
            "id": self.id,
            "eTag": format!("\"{},{}\"", self.id, self.version),
            "createdBy": {"user": {"displayName": "System Account"}},
            "createdDateTime": clock::iso(self.created),
            "lastModifiedBy": {"user": {"displayName": "System Account"}},
            "lastModifiedDateTime": clock::iso(changed),
            "name": self.name,
            "displayName": self.name,
            "description": "",
            "webUrl": self.url(site_url),
            "list": {"contentTypesEnabled": false, "hidden": self.hidden, "template": self.template},
        });
        match value {
            Value::Object(mut map) => {
                if self.system {
                    map.insert("system".into(), json!({}));
                }
                map
            }
            _ => Map::new(),
        }
    }

    /// Where people see it.
    pub(crate) fn url(&self, site_url: &str) -> String {
        match self.system {
            true => format!("{site_url}/_catalogs/users"),
            false => format!("{site_url}/Lists/{}", crate::http::path::encode(&self.name)),
        }
    }
}
