//! What is known of the lists of a target while rows are recovered into them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nakivo_core::format::record::ItemRecord;
use serde_json::{Map, Value};

use super::people::People;
use super::values::{Place, Print, Values};
use super::{columns, rows};

/// A list at a target.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) columns: Arc<[Value]>,
    /// How many of its rows were asked for one by one.
    pub(crate) asked: u32,
    /// Its rows, once they were worth reading.
    pub(crate) index: Option<Index>,
}

/// The rows of a list by what is in them: some 60 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Index {
    rows: Vec<(Print, u64)>,
    /// Places in `rows` in the order of the rows' numbers.
    by_number: Vec<u32>,
    /// Rows that stand for a stored one, or were found to be something else.
    taken: HashSet<u64>,
}

impl Index {
    pub(crate) fn new(mut rows: Vec<(Print, u64)>, taken: HashSet<u64>) -> Self {
        rows.sort_unstable();
        let mut by_number: Vec<u32> = (0..).take(rows.len()).collect();
        by_number.sort_unstable_by_key(|at| rows[*at as usize].1);
        Self {
            rows,
            by_number,
            taken,
        }
    }

    /// What is in the row with this number.
    pub(crate) fn print_of(&self, number: u64) -> Option<Print> {
        let at = self
            .by_number
            .binary_search_by_key(&number, |at| self.rows[*at as usize].1);
        at.ok().map(|at| self.rows[self.by_number[at] as usize].0)
    }

    /// Takes a row that has these values and lacks what they point to.
    pub(crate) fn take_lacking(&mut self, values: &Values) -> Option<u64> {
        self.take(&values.lacking()?, true, 0)
    }

    /// The row stands for a stored one.
    pub(crate) fn mark(&mut self, number: u64) {
        self.taken.insert(number);
    }

    /// Takes a row with these values and a number after that one, which is not taken; `points`: one that also points to the same.
    pub(crate) fn take(&mut self, print: &Print, points: bool, after: u64) -> Option<u64> {
        let same = |other: &Print| other.values == print.values && (!points || other.points == print.points);
        let from = self.rows.partition_point(|(other, _)| {
            (other.values, if points { other.points } else { [0; 8] })
                < (print.values, if points { print.points } else { [0; 8] })
        });
        let found = self.rows[from..]
            .iter()
            .take_while(|(other, _)| same(other))
            .find(|(_, number)| *number > after && !self.taken.contains(number));
        let number = found.map(|(_, number)| *number)?;
        self.taken.insert(number);
        Some(number)
    }
}

/// A list of the recovery point as it is at a target.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Its id at the target.
    pub(crate) list: Option<String>,
    /// Its rows there, by their numbers in the point.
    pub(crate) rows: HashMap<u64, u64>,
}

impl Source {
    /// It is this list at the target. In another one than before, its rows are others, too.
    pub(crate) fn is_at(&mut self, list: &str) {
        if self.list.as_deref() != Some(list) {
            self.list = Some(list.to_owned());
            self.rows.clear();
        }
    }
}

/// A row that points to something that was not there yet.
#[derive(Debug)]
pub(crate) struct WaitingRow {
    pub(crate) site: String,
    /// Its list and number at the target, and its id as the recovery knows it.
    pub(crate) list: String,
    pub(crate) row: u64,
    pub(crate) id: String,
    /// The stored values of the columns that wait, and the lists that these looked into.
    pub(crate) fields: Map<String, Value>,
    pub(crate) lookups: Vec<(String, String)>,
    /// Written by this recovery, not found.
    pub(crate) written: bool,
}

/// A lookup column into a list that was not there yet.
#[derive(Debug)]
pub(crate) struct WaitingColumn {
    pub(crate) site: String,
    pub(crate) list: String,
    /// The schema's id as the recovery knows it.
    pub(crate) id: String,
    pub(crate) column: Value,
}

/// All that is known, of any site.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By site and name in lower case.
    pub(crate) lists: HashMap<(String, String), Known>,
    /// By site and id in the point.
    pub(crate) sources: HashMap<(String, String), Source>,
    pub(crate) people: HashMap<String, People>,
    /// Ids of all lists of a site, libraries among them.
    pub(crate) all: HashMap<String, HashSet<String>>,
    pub(crate) waiting_rows: Vec<WaitingRow>,
    pub(crate) waiting_columns: Vec<WaitingColumn>,
}

impl State {
    pub(crate) fn known(&mut self, site: &str, name: &str) -> Option<&mut Known> {
        self.lists.get_mut(&(site.to_owned(), name.to_lowercase()))
    }

    pub(crate) fn source(&mut self, site: &str, list: &str) -> &mut Source {
        self.sources
            .entry((site.to_owned(), list.to_owned()))
            .or_default()
    }

    /// Whether the site has a list with this id.
    pub(crate) fn has_list(&self, site: &str, list: &str) -> bool {
        self.all.get(site).is_some_and(|all| all.contains(list))
    }

    /// The list at the target that a stored one is there.
    pub(crate) fn list_of(&self, site: &str, list: &str) -> Option<String> {
        let known = self.sources.get(&(site.to_owned(), list.to_owned()));
        let made = known.and_then(|source| source.list.clone());
        made.or_else(|| self.has_list(site, list).then(|| list.to_owned()))
    }

    /// Rows of a list at the target that stand for stored ones.
    pub(crate) fn taken(&self, site: &str, list: &str) -> HashSet<u64> {
        let sources = self.sources.iter();
        sources
            .filter(|((of, _), source)| of == site && source.list.as_deref() == Some(list))
            .flat_map(|(_, source)| source.rows.values().copied())
            .collect()
    }

    /// Where the row is that a lookup into `list` pointed to, for a lookup into `there`. `same`: in the list that was stored,
    /// numbers are what they were.
    pub(crate) fn row(
        &self,
        site: &str,
        list: Option<&str>,
        there: Option<&str>,
        number: u64,
        same: bool,
    ) -> Place {
        let source = list.and_then(|list| {
            let source = self.sources.get(&(site.to_owned(), list.to_owned()))?;
            Some((source.list.as_deref().unwrap_or(list), source.rows.get(&number)?))
        });
        match source {
            Some((at, row)) if there == Some(at) => Place::At(*row),
            Some(_) => Place::Nowhere("the column looks into another list there".to_owned()),
            None if same => Place::At(number),
            None => Place::Later,
        }
    }

    /// Who at this site the person is that had this number where the row came from.
    fn person(&self, site: &str, record: &ItemRecord, number: u64, same: bool) -> Place {
        let people = self.people.get(site).filter(|people| !people.is_unknown());
        let at = |number: Option<u64>, why: String| number.map_or(Place::Nowhere(why), Place::At);
        match (rows::address_of(record, number), people) {
            (Some(address), Some(people)) => at(
                people.number(address, number),
                format!("{address} is not known at the target"),
            ),
            _ => at(
                same.then_some(number),
                format!("whom the number {number} named is not known"),
            ),
        }
    }

    /// The values of a stored row as they are at this site. `same`: in the list that it came from.
    pub(crate) fn values(
        &self,
        site: &str,
        record: &ItemRecord,
        fields: &Map<String, Value>,
        columns: &[Value],
        same: bool,
    ) -> Values {
        Values::read(fields, columns, |column, number| match columns::kind(column) {
            "personOrGroup" => self.person(site, record, number, same),
            _ => {
                let list = rows::list_of(record, columns::name(column));
                self.row(site, list, columns::list_of(column), number, same)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_what_is_in_them_each_once() {
        let print = |values: u8, points: u8| Print {
            values: [values; 16],
            points: [points; 8],
            unwritable: [values ^ points; 8],
        };
        let rows = vec![
            (print(1, 1), 30),
            (print(1, 2), 10),
            (print(1, 2), 20),
            (print(2, 0), 40),
            (print(2, 0), 50),
        ];
        let mut index = Index::new(rows, HashSet::from([50]));
        assert_eq!(
            (index.print_of(20), index.print_of(25)),
            (Some(print(1, 2)), None)
        );
        assert_eq!(index.take(&print(1, 2), true, 20), None);
        assert_eq!(index.take(&print(1, 2), true, 0), Some(10));
        assert_eq!(index.take(&print(1, 9), true, 0), None);
        assert_eq!(
            index.take(&print(1, 9), false, 0),
            Some(30),
            "whatever it points to"
        );
        assert_eq!(index.take(&print(1, 2), true, 0), Some(20));
        assert_eq!(index.take(&print(1, 2), true, 0), None);
        assert_eq!(index.take(&print(2, 0), true, 0), Some(40));
        assert_eq!(index.take(&print(2, 0), false, 0), None, "taken before");
    }
}
