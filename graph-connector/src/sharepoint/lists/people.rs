//! Whom the numbers in columns of persons mean: rows of a hidden list, the users of that site alone (contract 6.4).

use std::collections::HashMap;

use super::schema;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages::PageReader;
use crate::request::Operation;

const QUERY: [(&str, &str); 2] = [("$expand", "fields($select=Title,Name,EMail)"), ("$top", "1000")];
/// Most users of a site that are read; those beyond are not known.
const MAX_PEOPLE: usize = 200_000;

/// The users of a site: people, groups, and what else can be granted something.
#[derive(Debug, Default)]
pub(crate) struct People {
    by_number: HashMap<u64, String>,
    by_address: HashMap<String, u64>,
}

impl People {
    /// The users of a site; none if the site does not show them.
    pub(crate) async fn of(graph: &Graph, site: &str) -> Result<Self, Fault> {
        match Self::read(graph, site).await {
            Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 403 | 404)) => {
                Ok(Self::default())
            }
            other => other,
        }
    }

    async fn read(graph: &Graph, site: &str) -> Result<Self, Fault> {
        let mut people = Self::default();
        let Some(list) = schema::user_list(graph, site).await? else {
            return Ok(people);
        };
        let first = graph.call(&Scope::Files, Operation::Rows, &[site, &list], &QUERY)?;
        let mut reader = PageReader::plain(&Scope::Files);
        let mut page = reader.first(graph, first).await?;
        loop {
            for raw in page.elements() {
                people.add(raw);
            }
            match page.next {
                Some(link) if people.by_number.len() < MAX_PEOPLE => {
                    page = reader.follow(graph, &link).await?;
                }
                _ => return Ok(people),
            }
        }
    }

    fn add(&mut self, raw: &str) -> Option<()> {
        let row = Fields::parse(raw)?;
        let number = row.number("id")?;
        let fields = row.object("fields")?;
        let text = |key: &str| fields.text(key).filter(|text| !text.is_empty());
        let address = text("EMail").or_else(|| text("Name")).or_else(|| text("Title"))?;
        // The first one is the older one.
        self.by_address.entry(address.to_lowercase()).or_insert(number);
        self.by_number.insert(number, address);
        Some(())
    }

    /// Address, or else account or name, of the user with this number.
    pub(crate) fn address(&self, number: u64) -> Option<&str> {
        self.by_number.get(&number).map(String::as_str)
    }

    /// The number of the user with this address: `usual` if that is theirs.
    pub(crate) fn number(&self, address: &str, usual: u64) -> Option<u64> {
        match self.address(usual) {
            Some(known) if known.eq_ignore_ascii_case(address) => Some(usual),
            _ => self.by_address.get(&address.to_lowercase()).copied(),
        }
    }

    /// Whether the site shows none.
    pub(crate) fn is_unknown(&self) -> bool {
        self.by_number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_known_by_address_account_or_name() {
        let mut people = People::default();
        for (id, fields) in [
            (
                6,
                r#"{"EMail":"Anna@x","Name":"i:0#.f|membership|anna@x","Title":"Anna"}"#,
            ),
            (
                7,
                r#"{"EMail":"","Name":"c:0t.c|tenant|everyone","Title":"Everyone"}"#,
            ),
            (8, r#"{"Title":"Owners"}"#),
            (9, r#"{"EMail":"anna@x","Title":"Anna again"}"#),
        ] {
            people
                .add(&format!(r#"{{"id":"{id}","fields":{fields}}}"#))
                .unwrap();
        }
        assert!(people.add(r#"{"id":"1"}"#).is_none());
        assert_eq!(people.number("ANNA@x", 1), Some(6));
        assert_eq!(
            people.number("anna@x", 9),
            Some(9),
            "there under the number it had"
        );
        assert_eq!(people.number("c:0t.c|tenant|everyone", 6), Some(7));
        assert_eq!(
            (people.address(8), people.number("ben@x", 6)),
            (Some("Owners"), None)
        );
    }
}
