//! Columns of lists: which can be made, and how their values are written.

use serde_json::{Map, Value, json};

/// What the facet of a column says about its values. A column without any is taken for text (contract 6.4).
const FACETS: [&str; 14] = [
    "text",
    "choice",
    "number",
    "dateTime",
    "boolean",
    "currency",
    "lookup",
    "personOrGroup",
    "calculated",
    "hyperlinkOrPicture",
    "geolocation",
    "term",
    "thumbnail",
    "contentApprovalStatus",
];

/// Kinds of columns that cannot be made, or whose values cannot be written in the form they are read.
const UNWRITABLE: [&str; 5] = [
    "hyperlinkOrPicture",
    "geolocation",
    "term",
    "thumbnail",
    "contentApprovalStatus",
];

/// The kind of a column.
pub(crate) fn kind(column: &Value) -> &'static str {
    FACETS
        .into_iter()
        .find(|facet| column[*facet].is_object())
        .unwrap_or("text")
}

pub(crate) fn name(column: &Value) -> &str {
    column["name"].as_str().unwrap_or_default()
}

/// Columns that the service makes and fills by itself.
pub(crate) fn is_systems(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "AppAuthor",
        "AppEditor",
        "Attachments",
        "Author",
        "ComplianceAssetId",
        "ContentType",
        "ContentTypeId",
        "Created",
        "DocIcon",
        "Edit",
        "Editor",
        "FileLeafRef",
        "GUID",
        "ID",
        "ItemChildCount",
        "FolderChildCount",
        "Modified",
        "id",
    ];
    let bare = name.strip_suffix("LookupId").unwrap_or(name);
    name.is_empty()
        || name.starts_with(['_', '@'])
        || name.contains('@')
        || name.starts_with("LinkTitle")
        || name.ends_with("ChildCount")
        || NAMES.contains(&bare)
}

/// Whether people put values into the column.
pub(crate) fn is_filled(column: &Value) -> bool {
    column["readOnly"] != true && !is_systems(name(column)) && kind(column) != "calculated"
}

/// A definition as it can be made again, or why not. `list`: the id at the target of the list that a lookup points to.
pub(crate) fn definition(column: &Value, list: Option<&str>) -> Result<Value, String> {
    let (name, kind) = (name(column), kind(column));
    if matches!(kind, "term" | "thumbnail" | "contentApprovalStatus") {
        return Err(format!(
            "column '{name}': the kind '{kind}' cannot be made through Graph"
        ));
    }
    let mut facet = match &column[kind] {
        Value::Object(facet) => facet.clone(),
        _ => Map::new(),
    };
    facet.retain(|_, value| !value.is_null());
    if kind == "lookup" {
        let Some(list) = list else {
            return Err(format!(
                "column '{name}': the list that it looks into is not at the target"
            ));
        };
        facet.insert("listId".to_owned(), json!(list));
    }
    let mut made = json!({ "name": name });
    for key in [
        "displayName",
        "description",
        "enforceUniqueValues",
        "hidden",
        "indexed",
        "required",
        "defaultValue",
        "validation",
    ] {
        // A null here is answered with a general exception (contract 6.4).
        if !column[key].is_null() {
            made[key] = column[key].clone();
        }
    }
    made[kind] = Value::Object(facet);
    Ok(made)
}

/// What is written for the values of a row, and what is lost of it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) fields: Map<String, Value>,
    pub(crate) lost: Vec<String>,
}

impl Written {
    fn typed(&mut self, name: String, kind: &str, value: Value) {
        self.fields
            .insert(format!("{name}@odata.type"), json!(format!("Collection({kind})")));
        self.fields.insert(name, value);
    }
}

/// The fields of a stored row as they are written to a list with these columns. `rows`: the id at the target of what a lookup
/// or a person column of this name points to.
pub(crate) fn written(
    fields: &Map<String, Value>,
    columns: &[Value],
    rows: impl Fn(&Value, u64) -> Option<u64>,
) -> Written {
    let mut out = Written::default();
    for (key, value) in fields {
        let bare = key.strip_suffix("LookupId").unwrap_or(key);
        let column = columns
            .iter()
            .find(|column| name(column) == key || name(column) == bare);
        if is_systems(key) || value.is_null() {
            continue;
        }
        let Some(column) = column else {
            out.lost
                .push(format!("value of '{key}': there is no such column"));
            continue;
        };
        let kind = kind(column);
        let points = matches!(kind, "lookup" | "personOrGroup");
        if !is_filled(column) || points && bare == key && !value.is_array() {
            continue;
        }
        match value {
            Value::Array(values) if points => {
                let old: Vec<u64> = values
                    .iter()
                    .filter_map(|value| number(&value["LookupId"]))
                    .collect();
                let new: Vec<u64> = old.iter().filter_map(|id| rows(column, *id)).collect();
                if new.len() < values.len() {
                    out.lost.push(format!(
                        "{} of {} values of '{bare}': what they point to is not at the target",
                        values.len() - new.len(),
                        values.len()
                    ));
                }
                out.typed(format!("{bare}LookupId"), "Edm.Int32", json!(new));
            }
            value if points => match number(value).and_then(|id| rows(column, id)) {
                Some(id) => drop(out.fields.insert(format!("{bare}LookupId"), json!(id))),
                None => out.lost.push(format!(
                    "value of '{bare}': what it points to is not at the target"
                )),
            },
            _ if UNWRITABLE.contains(&kind) || value.is_object() => {
                out.lost.push(format!(
                    "value of '{key}': the kind '{kind}' cannot be written through Graph"
                ));
            }
            Value::Array(_) => out.typed(key.clone(), "Edm.String", value.clone()),
            value => drop(out.fields.insert(key.clone(), value.clone())),
        }
    }
    if fields.get("Attachments") == Some(&json!(true)) {
        out.lost
            .push("attachments: Graph does not hand them out".to_owned());
    }
    out
}

/// Which rows of which lists the lookups of a row point to; persons are not among them.
pub(crate) fn pointed_to(fields: &Map<String, Value>, columns: &[Value]) -> Vec<(String, u64)> {
    let asked = std::cell::RefCell::new(Vec::new());
    written(fields, columns, |column, id| {
        if let Some(list) = column["lookup"]["listId"].as_str() {
            asked.borrow_mut().push((list.to_owned(), id));
        }
        None
    });
    asked.into_inner()
}

/// A number, also as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether a value reads back as it was written: ids come back as text, several lookups as objects.
pub(crate) fn same(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(_), Value::Object(b)) => {
            b.get("LookupId").is_some_and(|id| number(id) == number(written))
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Number(_), Value::String(_)) => number(written) == number(read),
        (a, b) => a == b,
    }
}

/// Names of written fields that read back as something else.
pub(crate) fn differences(written: &Map<String, Value>, read: &Map<String, Value>) -> Vec<String> {
    let written = written.iter().filter(|(name, _)| !name.contains('@'));
    written
        .filter(|(name, value)| {
            let bare = name.strip_suffix("LookupId").unwrap_or(name);
            let found = read.get(*name).or_else(|| read.get(bare)).unwrap_or(&Value::Null);
            // An empty text is read as nothing.
            !(same(value, found) || found.is_null() && (*value == "" || **value == json!([])))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_made_again_without_what_cannot_be_set() {
        let column = json!({"id": "x", "name": "Color", "readOnly": false, "required": true, "defaultValue": null,
            "choice": {"choices": ["a"], "displayAs": null}});
        assert_eq!(
            definition(&column, None).unwrap(),
            json!({"name": "Color", "required": true, "choice": {"choices": ["a"]}})
        );
        assert!(definition(&json!({"name": "T", "term": {}}), None).is_err());
        let lookup = json!({"name": "L", "lookup": {"listId": "old", "columnName": "Title"}});
        assert!(definition(&lookup, None).is_err());
        assert_eq!(
            definition(&lookup, Some("new")).unwrap()["lookup"]["listId"],
            "new"
        );
        assert_eq!(
            definition(&json!({"name": "Odd"}), None).unwrap(),
            json!({"name": "Odd", "text": {}})
        );
    }

    #[test]
    fn values_in_every_form() {
        let columns = [
            json!({"name": "Title", "text": {}}),
            json!({"name": "Tags", "choice": {}}),
            json!({"name": "Who", "personOrGroup": {}}),
            json!({"name": "Many", "lookup": {}}),
            json!({"name": "Link", "hyperlinkOrPicture": {}}),
            json!({"name": "Sum", "calculated": {"formula": "=1"}}),
        ];
        let fields = json!({"@odata.etag": "e", "id": "1", "Title": "t", "Tags": ["a", "b"], "WhoLookupId": "7", "Modified": "x",
            "Many": [{"LookupId": 1, "LookupValue": "v"}, {"LookupId": 2}], "Link": {"Url": "u"}, "Sum": "1", "Gone": 1, "Attachments": true});
        let written = written(fields.as_object().unwrap(), &columns, |_, id| {
            (id != 2).then_some(id + 10)
        });
        assert_eq!(
            Value::Object(written.fields.clone()),
            json!({"Title": "t", "Tags": ["a", "b"], "Tags@odata.type": "Collection(Edm.String)", "WhoLookupId": 17,
                "ManyLookupId": [11], "ManyLookupId@odata.type": "Collection(Edm.Int32)"})
        );
        assert_eq!(written.lost.len(), 4, "{:?}", written.lost);
        let read = json!({"Title": "t", "Tags": ["a", "b"], "WhoLookupId": "17", "Many": [{"LookupId": 11}]});
        assert!(differences(&written.fields, read.as_object().unwrap()).is_empty());
        let read = json!({"Title": "t", "Tags": ["b"], "WhoLookupId": "18"});
        assert_eq!(
            differences(&written.fields, read.as_object().unwrap()),
            ["ManyLookupId", "Tags", "WhoLookupId"]
        );
    }
}
