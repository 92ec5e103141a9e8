//! Columns of lists: of which kind they are, who fills them, and how they are made again.

use serde_json::{Map, Value, json};

/// Kinds of columns whose values are written in the form in which they are read.
const PLAIN: [&str; 7] = [
    "text",
    "choice",
    "number",
    "currency",
    "dateTime",
    "boolean",
    "calculated",
];
/// Kinds whose values are numbers of rows or of persons.
const POINTING: [&str; 2] = ["lookup", "personOrGroup"];
/// Kinds whose values are read in another form than they could be written in (contract 6.4).
const UNWRITABLE: [&str; 5] = [
    "hyperlinkOrPicture",
    "geolocation",
    "term",
    "thumbnail",
    "contentApprovalStatus",
];
/// Of these, the ones that cannot be made either.
const UNMADE: [&str; 3] = ["term", "thumbnail", "contentApprovalStatus"];

/// Settings of a column that are made again besides its kind.
const SETTINGS: [&str; 9] = [
    "columnGroup",
    "defaultValue",
    "description",
    "displayName",
    "enforceUniqueValues",
    "hidden",
    "indexed",
    "required",
    "validation",
];

/// The kind that the service tells of a column; none if it tells none that is known.
fn told(column: &Value) -> Option<&'static str> {
    PLAIN
        .iter()
        .chain(&POINTING)
        .chain(&UNWRITABLE)
        .copied()
        .find(|facet| column[*facet].is_object())
}

/// The kind of a column. One without any is taken for text (contract 6.4).
pub(crate) fn kind(column: &Value) -> &'static str {
    told(column).unwrap_or("text")
}

pub(crate) fn name(column: &Value) -> &str {
    column["name"].as_str().unwrap_or_default()
}

/// Whether the values of the column are numbers of rows or persons.
pub(crate) fn points(column: &Value) -> bool {
    POINTING.contains(&kind(column))
}

/// Whether values of the column cannot be written.
pub(crate) fn is_unwritable(column: &Value) -> bool {
    UNWRITABLE.contains(&kind(column))
}

/// Whether a row may point to several things by this column.
pub(crate) fn points_to_several(column: &Value) -> bool {
    column["lookup"]["allowMultipleValues"] == true
        || column["personOrGroup"]["allowMultipleSelection"] == true
}

/// The list that a lookup looks into.
pub(crate) fn list_of(column: &Value) -> Option<&str> {
    column["lookup"]["listId"].as_str()
}

/// Whether a name is one of which a letter is written as `_x00dc_`, as names that people give are.
fn is_escaped(name: &str) -> bool {
    let digits = name.strip_prefix("_x").and_then(|rest| rest.split_once('_'));
    digits.is_some_and(|(digits, _)| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
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
        || name.contains('@')
        || name.starts_with('_') && !is_escaped(name)
        || name.starts_with("LinkTitle")
        || name.ends_with("ChildCount")
        || NAMES.contains(&bare)
}

/// Whether people put values into the column.
pub(crate) fn is_filled(column: &Value) -> bool {
    column["readOnly"] != true && !is_systems(name(column)) && kind(column) != "calculated"
}

/// Whether people made the column, so that a list without it lacks something.
pub(crate) fn is_peoples(column: &Value) -> bool {
    let calculated = kind(column) == "calculated";
    !is_systems(name(column)) && (column["readOnly"] != true || calculated)
}

/// What is to be said of a column that was made again as something else.
pub(crate) fn remark(column: &Value) -> Option<String> {
    let name = name(column);
    told(column)
        .is_none()
        .then(|| format!("column '{name}': Graph does not tell its kind; it is one of text now"))
}

/// A definition as it can be made again, or why not. `list`: the id at the target of the list that a lookup looks into.
pub(crate) fn definition(column: &Value, list: Option<&str>) -> Result<Value, String> {
    let (name, kind) = (name(column), kind(column));
    if UNMADE.contains(&kind) {
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
        // That one names a column by its id at the source.
        facet.remove("primaryLookupColumnId");
        facet.insert("listId".to_owned(), json!(list));
    }
    let mut made = json!({ "name": name });
    for key in SETTINGS {
        // A null here is answered with a general exception (contract 6.4).
        if !column[key].is_null() {
            made[key] = column[key].clone();
        }
    }
    made[kind] = Value::Object(facet);
    Ok(made)
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
        let odd = json!({"name": "Odd"});
        assert_eq!(
            definition(&odd, None).unwrap(),
            json!({"name": "Odd", "text": {}})
        );
        assert!(remark(&odd).is_some() && remark(&lookup).is_none());
    }

    #[test]
    fn names_that_begin_with_an_umlaut_are_peoples() {
        assert!(!is_systems("_x00dc_bergabe"));
        assert!(is_systems("_UIVersionString") && is_systems("_x") && is_systems("AuthorLookupId"));
        assert!(is_peoples(
            &json!({"name": "Sum", "readOnly": true, "calculated": {"formula": "=1"}})
        ));
        assert!(!is_peoples(&json!({"name": "Odd", "readOnly": true})));
    }
}
