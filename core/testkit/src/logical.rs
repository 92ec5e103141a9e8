//! What a source or a recovery point holds, reduced to what must be equal.

use std::collections::BTreeMap;
use std::fmt;

use crate::content::Digest;

/// A container, apart from its place and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalContainer {
    /// Its name.
    pub name: String,
}

/// An item, apart from its place and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalItem {
    /// Its name.
    pub name: String,
    /// Its change key.
    pub change_key: Option<String>,
    /// Its small facts, as text.
    pub properties: BTreeMap<String, String>,
    /// Its parts by name.
    pub parts: BTreeMap<String, Digest>,
}

/// Containers and items by the container that holds them (empty: the root) and their id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogicalContent {
    /// Every container.
    pub containers: BTreeMap<(String, String), LogicalContainer>,
    /// Every item.
    pub items: BTreeMap<(String, String), LogicalItem>,
}

impl LogicalContent {
    /// What must be done to `self` to get `other`, one line each, at most `limit` lines and a count of the rest.
    #[must_use]
    pub fn differences(&self, other: &Self, limit: usize) -> Differences {
        let mut lines = Vec::new();
        compare(
            &self.containers,
            &other.containers,
            "container",
            |(parent, id)| format!("{parent}/{id}"),
            &mut lines,
        );
        compare(
            &self.items,
            &other.items,
            "item",
            |(container, id)| format!("{container}/{id}"),
            &mut lines,
        );
        let hidden = lines.len().saturating_sub(limit);
        lines.truncate(limit);
        Differences { lines, hidden }
    }

    /// Panics with the differences unless both are equal.
    ///
    /// # Panics
    /// If they differ; `what` heads the message.
    #[track_caller]
    pub fn assert_equal(&self, expected: &Self, what: &str) {
        let differences = expected.differences(self, 20);
        assert!(
            differences.is_empty(),
            "{what}: expected (-) and found (+) differ\n{differences}"
        );
    }

    /// Ids that stand in more than one place.
    #[must_use]
    pub fn repeated(&self) -> Vec<String> {
        let mut seen = BTreeMap::<&str, usize>::new();
        for (_, id) in self.items.keys() {
            *seen.entry(id).or_default() += 1;
        }
        seen.into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(id, _)| id.to_owned())
            .collect()
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.items
            .values()
            .flat_map(|item| item.parts.values())
            .map(|part| part.size)
            .sum()
    }
}

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences {
    /// One line each.
    pub lines: Vec<String>,
    /// How many more there are.
    pub hidden: usize,
}

impl Differences {
    /// Whether both sides were equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        if self.hidden > 0 {
            writeln!(f, "  ... and {} more", self.hidden)?;
        }
        Ok(())
    }
}

fn compare<K: Ord, V: PartialEq + fmt::Debug>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
    what: &str,
    show: impl Fn(&K) -> String,
    lines: &mut Vec<String>,
) {
    for (key, value) in left {
        match right.get(key) {
            None => lines.push(format!("- {what} {}: {value:?}", show(key))),
            Some(other) if other != value => {
                lines.push(format!("~ {what} {}: - {value:?}\n      + {other:?}", show(key)));
            }
            Some(_) => {}
        }
    }
    for (key, value) in right {
        if !left.contains_key(key) {
            lines.push(format!("+ {what} {}: {value:?}", show(key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_what_is_missing_changed_and_too_much() {
        let item = |name: &str| LogicalItem {
            name: name.to_owned(),
            change_key: None,
            properties: BTreeMap::new(),
            parts: BTreeMap::from([("content".to_owned(), Digest::of(name.as_bytes()))]),
        };
        let key = |id: &str| ("c".to_owned(), id.to_owned());
        let mut left = LogicalContent::default();
        left.items.insert(key("1"), item("one"));
        left.items.insert(key("2"), item("two"));
        let mut right = LogicalContent::default();
        right.items.insert(key("2"), item("TWO"));
        right.items.insert(key("3"), item("three"));
        let lines = left.differences(&right, 10).lines;
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("- item c/1"), "{lines:?}");
        assert!(lines[1].starts_with("~ item c/2"), "{lines:?}");
        assert!(lines[2].starts_with("+ item c/3"), "{lines:?}");
        assert!(left.differences(&left.clone(), 10).is_empty());
        assert_eq!(left.differences(&right, 1).hidden, 2);
    }

    #[test]
    fn an_id_in_two_places_is_reported() {
        let item = LogicalItem {
            name: String::new(),
            change_key: None,
            properties: BTreeMap::new(),
            parts: BTreeMap::new(),
        };
        let mut content = LogicalContent::default();
        content.items.insert(("a".into(), "1".into()), item.clone());
        assert!(content.repeated().is_empty());
        content.items.insert(("b".into(), "1".into()), item);
        assert_eq!(content.repeated(), ["1"]);
    }
}
