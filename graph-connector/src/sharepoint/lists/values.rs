//! Values of a row in one form, whether they were stored, are to be written, or were read back.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest;
use serde_json::{Map, Value, json};

use super::columns;
use crate::json::{Fields, lenient_string, parse_time};

/// Where something is that a value points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// There, under this number.
    At(u64),
    /// Not there yet, and perhaps later.
    Later,
    /// Not there, and why.
    Nowhere(String),
}

/// What two rows have in common when they are the same: values, where they point to, and what cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Print {
    pub(crate) values: [u8; 16],
    pub(crate) points: [u8; 8],
    pub(crate) unwritable: [u8; 8],
}

/// The values of a row for a list with certain columns.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// What is compared, by column; empty values are not among them.
    values: BTreeMap<String, Value>,
    points: BTreeMap<String, Value>,
    unwritable: BTreeMap<String, Value>,
    /// What is written.
    pub(crate) written: Map<String, Value>,
    /// What is lost of it, for people.
    pub(crate) lost: Vec<String>,
    /// Columns with values that point to what is not there yet.
    pub(crate) waiting: BTreeSet<String>,
}

/// The fields of a row. One that cannot be read costs itself alone.
pub(crate) fn fields_of(raw: &str) -> Map<String, Value> {
    let Some(fields) = Fields::parse(raw).and_then(|row| row.object("fields")) else {
        return Map::new();
    };
    let read = |raw: &str| match serde_json::from_str(raw) {
        Ok(value) => value,
        // Half of a surrogate pair, or nested so deeply that nobody could write it back.
        Err(_) => lenient_string(raw).map_or_else(|| json!({}), Value::String),
    };
    fields
        .iter()
        .map(|(name, raw)| (name.to_owned(), read(raw)))
        .collect()
}

/// A number, also as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The numbers that a lookup or a column of persons holds, as rows show them: `{Name}LookupId`, or objects if it may be several.
pub(crate) fn numbers(fields: &Map<String, Value>, name: &str) -> Vec<u64> {
    let single = fields.get(&format!("{name}LookupId"));
    let several = fields.get(name).filter(|value| value.is_array());
    match several.or(single) {
        Some(Value::Array(values)) => values
            .iter()
            .filter_map(|value| number(&value["LookupId"]).or_else(|| number(value)))
            .collect(),
        Some(value) => number(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

/// A value in the form in which it is compared. Times are instants; of formatted text only the text counts, since the service
/// wraps it; several choices have no order.
fn normal(column: &Value, value: &Value) -> Value {
    let formatted = column["text"]["textType"] == "richText";
    match (columns::kind(column), value) {
        ("dateTime", Value::String(text)) => {
            parse_time(text).map_or_else(|| value.clone(), |time| json!(time.timestamp_millis()))
        }
        ("text", Value::String(text)) if formatted => json!(without_tags(text)),
        ("text", Value::String(text)) => json!(text.replace("\r\n", "\n").trim()),
        (_, Value::Number(number)) => json!(number.as_f64()),
        (_, Value::Array(values)) => {
            let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
            texts.sort();
            json!(texts)
        }
        _ => value.clone(),
    }
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    collapsed(&out)
}

impl Values {
    /// The values in `fields` for a list with these columns. `place` says where what a lookup or a person points to is.
    pub(crate) fn read(
        fields: &Map<String, Value>,
        columns: &[Value],
        mut place: impl FnMut(&Value, u64) -> Place,
    ) -> Self {
        let mut out = Self::default();
        for column in columns.iter().filter(|column| columns::is_filled(column)) {
            let name = columns::name(column);
            if columns::points(column) {
                out.point(column, &numbers(fields, name), &mut place);
            } else if let Some(value) = fields.get(name).filter(|value| !is_empty(value)) {
                out.take(column, value);
            }
        }
        for (key, value) in fields.iter().filter(|(key, _)| !columns::is_systems(key)) {
            let bare = key.strip_suffix("LookupId").unwrap_or(key);
            let known = columns
                .iter()
                .any(|column| columns::name(column) == key || columns::name(column) == bare);
            if !known && !is_empty(value) {
                out.lost
                    .push(format!("value of '{key}': there is no such column"));
            }
        }
        if fields.get("Attachments") == Some(&json!(true)) {
            out.lost
                .push("attachments: Graph does not hand them out".to_owned());
        }
        out
    }

    /// As a row of the target has them, all of what they point to in its place.
    pub(crate) fn there(fields: &Map<String, Value>, columns: &[Value]) -> Self {
        Self::read(fields, columns, |_, id| Place::At(id))
    }

    fn take(&mut self, column: &Value, value: &Value) {
        let (name, kind) = (columns::name(column).to_owned(), columns::kind(column));
        if columns::is_unwritable(column) || value.is_object() {
            self.lost.push(format!(
                "value of '{name}': the kind '{kind}' cannot be written through Graph"
            ));
            self.unwritable.insert(name, value.clone());
            return;
        }
        self.values.insert(name.clone(), normal(column, value));
        if value.is_array() {
            self.typed(&name, "Edm.String");
        }
        self.written.insert(name, value.clone());
    }

    /// Several values need to be told their type (contract 6.4).
    fn typed(&mut self, name: &str, kind: &str) {
        self.written
            .insert(format!("{name}@odata.type"), json!(format!("Collection({kind})")));
    }

    fn point(&mut self, column: &Value, old: &[u64], place: &mut impl FnMut(&Value, u64) -> Place) {
        let name = columns::name(column);
        let mut new = Vec::new();
        for id in old {
            match place(column, *id) {
                Place::At(id) => new.push(id),
                Place::Later => drop(self.waiting.insert(name.to_owned())),
                Place::Nowhere(why) => self.lost.push(format!("value of '{name}': {why}")),
            }
        }
        let field = format!("{name}LookupId");
        if columns::points_to_several(column) {
            if !new.is_empty() {
                self.typed(&field, "Edm.Int32");
                self.written.insert(field, json!(new));
            }
        } else {
            if new.len() > 1 {
                let text = format!("{} values of '{name}': the column takes one", new.len() - 1);
                self.lost.push(text);
                new.truncate(1);
            }
            if let Some(id) = new.first() {
                self.written.insert(field, json!(id));
            }
        }
        if !new.is_empty() {
            new.sort_unstable();
            self.points.insert(name.to_owned(), json!(new));
        }
    }

    /// Clears what `there` has and these have not, so that writing them makes both the same.
    pub(crate) fn clear_others(&mut self, there: &Self, columns: &[Value]) {
        for name in there
            .values
            .keys()
            .filter(|name| !self.values.contains_key(*name))
        {
            self.written.insert(name.clone(), Value::Null);
        }
        let points = |name: &String| self.points.contains_key(name) || self.waiting.contains(name);
        let empty: Vec<&String> = there.points.keys().filter(|name| !points(name)).collect();
        for name in empty {
            let field = format!("{name}LookupId");
            let several = columns
                .iter()
                .any(|column| columns::name(column) == name && columns::points_to_several(column));
            if several {
                self.written
                    .insert(format!("{field}@odata.type"), json!("Collection(Edm.Int32)"));
            }
            self.written
                .insert(field, if several { json!([]) } else { Value::Null });
        }
    }

    /// Whether they point to nothing.
    pub(crate) fn points_nowhere(&self) -> bool {
        self.points.is_empty()
    }

    /// Whether `other` has the same values and points to nothing, and these point to something.
    pub(crate) fn is_lacking(&self, other: &Self) -> bool {
        !self.points_nowhere() && other.points_nowhere() && self.values == other.values
    }

    /// What a row with these values that points to nothing is recognised by; none if these point to nothing themselves.
    pub(crate) fn lacking(&self) -> Option<Print> {
        (!self.points_nowhere()).then(|| Print {
            points: short(&json!({})),
            ..self.print()
        })
    }

    /// Names of columns of which `other` has other values. Where these wait for something, they are not compared.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut names = Vec::new();
        for (ours, theirs) in [
            (&self.values, &other.values),
            (&self.points, &other.points),
            (&self.unwritable, &other.unwritable),
        ] {
            let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let differ = all
                .into_iter()
                .filter(|name| ours.get(*name) != theirs.get(*name) && !self.waiting.contains(*name));
            names.extend(differ.cloned());
        }
        names
    }

    /// Names of columns that were written and read back as something else.
    pub(crate) fn not_kept(&self, read: &Self) -> Vec<String> {
        let mut names = self.differences(read);
        names.retain(|name| !self.unwritable.contains_key(name));
        names
    }

    /// What they are recognised by.
    pub(crate) fn print(&self) -> Print {
        Print {
            values: short(&json!(self.values)),
            points: short(&json!(self.points)),
            unwritable: short(&json!(self.unwritable)),
        }
    }
}

fn short<const N: usize>(value: &Value) -> [u8; N] {
    let digest = digest::digest(&digest::SHA256, value.to_string().as_bytes());
    let mut out = [0; N];
    out.copy_from_slice(&digest.as_ref()[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn values_in_every_form() {
        let columns = [
            json!({"name": "Title", "text": {}}),
            json!({"name": "Tags", "choice": {}}),
            json!({"name": "Who", "personOrGroup": {}}),
            json!({"name": "Many", "lookup": {"allowMultipleValues": true}}),
            json!({"name": "One", "lookup": {}}),
            json!({"name": "Link", "hyperlinkOrPicture": {}}),
            json!({"name": "Sum", "calculated": {"formula": "=1"}}),
        ];
        let fields = map(
            json!({"@odata.etag": "e", "id": "1", "Title": "t", "Tags": ["b", "a"], "WhoLookupId": "7", "Modified": "x",
            "Many": [{"LookupId": 1, "LookupValue": "v"}, {"LookupId": 2}, {"LookupId": 3}], "OneLookupId": "3", "Link": {"Url": "u"},
            "Sum": "1", "Gone": 1, "Attachments": true}),
        );
        let values = Values::read(&fields, &columns, |_, id| match id {
            2 => Place::Nowhere("gone".into()),
            3 => Place::Later,
            id => Place::At(id + 10),
        });
        assert_eq!(
            Value::Object(values.written.clone()),
            json!({"Title": "t", "Tags": ["b", "a"], "Tags@odata.type": "Collection(Edm.String)", "WhoLookupId": 17,
                "ManyLookupId": [11], "ManyLookupId@odata.type": "Collection(Edm.Int32)"})
        );
        assert_eq!(values.lost.len(), 4, "{:?}", values.lost);
        assert_eq!(values.waiting.iter().collect::<Vec<_>>(), ["Many", "One"]);

        let there = |value: Value| Values::there(&map(value), &columns);
        let same = there(
            json!({"Title": " t", "Tags": ["a", "b"], "WhoLookupId": "17", "Many": [{"LookupId": 99}]}),
        );
        assert!(values.not_kept(&same).is_empty());
        assert_eq!(values.differences(&same), ["Link"]);
        assert_eq!(values.print().values, same.print().values);
        let other = there(json!({"Tags": ["b"], "WhoLookupId": "18"}));
        assert_eq!(values.not_kept(&other), ["Tags", "Title", "Who"]);
    }

    #[test]
    fn what_is_newer_is_cleared_when_something_is_written_over_it() {
        let columns = [
            json!({"name": "Note", "text": {}}),
            json!({"name": "Many", "lookup": {"allowMultipleValues": true}}),
            json!({"name": "One", "lookup": {}}),
        ];
        let there = Values::there(
            &map(json!({"Note": "n", "OneLookupId": "1", "Many": [{"LookupId": 2}]})),
            &columns,
        );
        let mut empty = Values::there(&Map::new(), &columns);
        empty.clear_others(&there, &columns);
        assert_eq!(
            Value::Object(empty.written),
            json!({"Note": null, "OneLookupId": null, "ManyLookupId": [], "ManyLookupId@odata.type": "Collection(Edm.Int32)"})
        );
    }

    #[test]
    fn formatted_text_times_and_odd_json_are_compared_by_what_they_mean() {
        let (formatted, time) = (json!({"text": {"textType": "richText"}}), json!({"dateTime": {}}));
        let same = |column: &Value, one: &str, other: &str| {
            normal(column, &json!(one)) == normal(column, &json!(other))
        };
        let wrapped = "<div class=\"ExternalClass12\"><p>a  b</p></div>";
        assert!(same(&formatted, wrapped, "<p>a b</p>"));
        assert!(!same(&formatted, "<p>a</p>", "<p>b</p>"));
        assert!(same(&time, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"));
        assert!(!same(&json!({"text": {}}), "a <b", "a <c"));
        assert!(same(&json!({"text": {}}), "a\r\nb ", "a\nb"));
        assert!(!same(&json!({"text": {}}), "a  b", "a b"));
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let raw = format!(r#"{{"id":"1","fields":{{"a":"x\ud800","b":{deep},"c":1}}}}"#);
        let fields = fields_of(&raw);
        assert_eq!(fields["a"], "x\u{FFFD}");
        assert_eq!((&fields["b"], &fields["c"]), (&json!({}), &json!(1)));
    }
}
