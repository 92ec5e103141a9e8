//! Random lists that look into each other, damaged at random after a backup: overwriting brings back what there was.

use nakivo_core::backup::Outcome;
use nakivo_core::connector::OnConflict;
use nakivo_core::recovery::{Selection, Target};
use nakivo_graph_emulator::{Emulator, Site};
use serde_json::{Map, Value, json};

use super::super::lab::Lab;
use crate::bench::{TestRng, seed};
use crate::lab::{Truth, histories};

const NAMES: [&str; 3] = ["One", "Two", "Three"];

/// Lists with columns of some kinds, and lookups into any of them.
fn make(site: &Site, rng: &TestRng) {
    for name in NAMES {
        let _ = site.add_list(
            name,
            &[
                json!({"name": "Color", "choice": {"choices": ["a", "b"]}}),
                json!({"name": "Tags", "choice": {"choices": ["x", "y", "z"]}}),
                json!({"name": "Count", "number": {}}),
                json!({"name": "Who", "personOrGroup": {"allowMultipleSelection": false}}),
            ],
        );
    }
    for name in NAMES {
        for (column, several) in [("Near", false), ("Far", true)] {
            let into = site.list(NAMES[rng.below(3)]).id().unwrap();
            let lookup = json!({"listId": into, "columnName": "Title", "allowMultipleValues": several});
            let column = json!({"name": column, "lookup": lookup});
            site.list(name).add_column(&column).unwrap();
        }
        let rows = 1 + rng.below(12);
        for n in 0..rows {
            site.list(name)
                .add_row(json!({"Title": format!("{name} {n}")}))
                .unwrap();
        }
    }
    for name in NAMES {
        for (id, _) in site.list(name).rows().unwrap() {
            site.list(name).update_row(&id, &fields(site, name, rng)).unwrap();
        }
    }
}

fn rows_of(site: &Site, id: &str) -> Vec<(String, Value)> {
    let of = |name: &&str| site.list(name).id().is_ok_and(|known| known == id);
    let name = NAMES.into_iter().find(|name| of(name));
    name.and_then(|name| site.list(name).rows().ok())
        .unwrap_or_default()
}

fn looks_into(site: &Site, name: &str, column: &str) -> String {
    let columns = site.list(name).columns().unwrap_or_default();
    let found = columns.iter().find(|known| known["name"] == column);
    found.map_or(String::new(), |column| {
        column["lookup"]["listId"].as_str().unwrap_or_default().to_owned()
    })
}

/// Some values for a row of this list.
fn fields(site: &Site, name: &str, rng: &TestRng) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put(
        "Color",
        [json!("a"), json!("b"), Value::Null][rng.below(3)].clone(),
    );
    put(
        "Tags",
        [json!(["x", "z"]), json!(["y"]), Value::Null][rng.below(3)].clone(),
    );
    put("Count", [json!(rng.below(5)), Value::Null][rng.below(2)].clone());
    put(
        "WhoLookupId",
        [json!("1"), json!("2"), Value::Null][rng.below(3)].clone(),
    );
    let near = rows_of(site, &looks_into(site, name, "Near"));
    let far = rows_of(site, &looks_into(site, name, "Far"));
    let some = |rows: &[(String, Value)]| rows.get(rng.below(rows.len() + 1)).map(|(id, _)| id.clone());
    put("NearLookupId", some(&near).map_or(Value::Null, Value::String));
    let several: std::collections::BTreeSet<u64> = (0..rng.below(4))
        .filter_map(|_| some(&far)?.parse().ok())
        .collect();
    let several: Vec<Value> = several.into_iter().map(|id| json!({"LookupId": id})).collect();
    put(
        "Far",
        if several.is_empty() {
            Value::Null
        } else {
            several.into()
        },
    );
    Value::Object(fields)
}

/// All rows, with titles in the place of the numbers that they point to.
fn essence(site: &Site) -> Vec<String> {
    let mut out = Vec::new();
    for name in NAMES {
        for (_, row) in site.list(name).rows().unwrap() {
            // What points to something that is gone shows nothing.
            let title = |column: &str, id: &Value| {
                let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                let rows = rows_of(site, &looks_into(site, name, column));
                let found = rows.into_iter().find(|(known, _)| *known == id);
                found.map(|(_, row)| row["Title"].to_string())
            };
            let near = row.get("NearLookupId").and_then(|id| title("Near", id));
            let far = row["Far"].as_array().into_iter().flatten();
            let mut far: Vec<String> = far.filter_map(|one| title("Far", &one["LookupId"])).collect();
            far.sort();
            out.push(format!(
                "{} {} {} {} {} {near:?} {far:?}",
                row["Title"],
                row["Color"],
                row["Tags"],
                row["Count"].as_f64().unwrap_or(-1.0),
                row["WhoLookupId"]
            ));
        }
    }
    out.sort();
    out
}

fn damage(site: &Site, rng: &TestRng) {
    // All or none: a column that looks into a list that is gone cannot be made to look into another.
    let all = rng.below(4) == 0;
    for name in NAMES {
        if all {
            site.delete_list(name);
            continue;
        }
        for (id, _) in site.list(name).rows().unwrap() {
            match rng.below(4) {
                0 => site.list(name).delete_row(&id).unwrap(),
                1 => site.list(name).update_row(&id, &fields(site, name, rng)).unwrap(),
                _ => {}
            }
        }
    }
}

async fn history(seed: u64) {
    let rng = TestRng::new(seed);
    let mut lab = Lab::with(Emulator::builder().seed(seed).users(1).sites(1, 0)).await;
    let site = lab.site.clone();
    make(&site, &rng);
    let before = essence(&site);
    lab.back_up_and_compare().await;
    damage(&site, &rng);
    if rng.below(2) == 0 {
        lab.reconnect();
    }
    for run in 0..2 {
        let report = lab
            .recover(Selection::All, Target::Original, OnConflict::Overwrite)
            .await;
        assert_eq!(
            report.outcome,
            Outcome::Complete,
            "seed {seed}: {:#?}",
            report.items
        );
        assert_eq!(
            essence(&site),
            before,
            "seed {seed}, run {run}: {:#?}",
            report.items
        );
        lab.reconnect();
    }
}

#[tokio::test]
async fn damaged_lists_come_back_as_they_were() {
    let first = seed();
    let histories = histories(40);
    for n in 0..histories {
        history(first + n).await;
    }
    println!("{histories} histories of damage and recovery");
}
