//! Lists: every kind of column, rows by delta, and the way back in the order that what points to others needs.

use std::sync::Arc;

use nakivo_core::backup::Outcome;
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::recovery::{self, ItemOutcome, RecoveryReport, Selection, Target};
use nakivo_graph_emulator::{Action, Damage, Fault, List, Site};
use serde_json::{Value, json};

use super::lab::Lab;
use crate::drives::faults::kinds;

/// A column of every kind.
fn columns() -> Vec<Value> {
    vec![
        json!({"name": "Note", "text": {"allowMultipleLines": true}}),
        json!({"name": "Color", "choice": {"choices": ["red", "blue"]}}),
        json!({"name": "Tags", "choice": {"choices": ["a", "b", "c"]}}),
        json!({"name": "Count", "number": {"decimalPlaces": "none"}}),
        json!({"name": "Due", "dateTime": {"format": "dateOnly"}}),
        json!({"name": "Done", "boolean": {}}),
        json!({"name": "Price", "currency": {"locale": "de-de"}}),
        json!({"name": "Keeper", "personOrGroup": {"allowMultipleSelection": false}}),
        json!({"name": "Sum", "calculated": {"formula": "=[Count]*2", "outputType": "number"}, "readOnly": true}),
        json!({"name": "Link", "hyperlinkOrPicture": {"isPicture": false}}),
        json!({"name": "Place", "geolocation": {}}),
        json!({"name": "Topic", "term": {}}),
        json!({"name": "Picture", "thumbnail": {}}),
        json!({"name": "Odd"}),
    ]
}

fn row(n: usize) -> Value {
    json!({
        "Title": format!("Row {n} ü"), "Note": "two\nlines", "Color": "red", "Tags": ["a", "c"], "Count": n as f64 + 0.5,
        "Due": "2026-03-01T00:00:00Z", "Done": n.is_multiple_of(2), "Price": 12.25, "KeeperLookupId": "9",
        "Link": {"Url": "https://example.com", "Description": "d"}, "Odd": "text",
    })
}

/// A list `Books` and a list `A Loan` whose rows point to its rows.
fn lists(site: &Site, rows: usize) -> (List, List) {
    let books = site.add_list("Books", &columns());
    let loans = site.add_list("A Loan", &[]);
    for (name, several) in [("Book", false), ("Others", true)] {
        let lookup =
            json!({"listId": books.id().unwrap(), "columnName": "Title", "allowMultipleValues": several});
        loans
            .add_column(&json!({"name": name, "lookup": lookup}))
            .unwrap();
    }
    for n in 0..rows {
        books.add_row(row(n)).unwrap();
    }
    for n in 1..=rows.min(3) {
        let others = json!([{"LookupId": n, "LookupValue": "v"}, {"LookupId": 1, "LookupValue": "v"}]);
        let fields = json!({"Title": format!("Loan {n}"), "BookLookupId": n.to_string(), "Others": others});
        loans.add_row(fields).unwrap();
    }
    (books, loans)
}

fn said(report: &RecoveryReport, path: &str) -> String {
    let item = report.items.iter().find(|item| item.path == path);
    match &item.unwrap_or_else(|| panic!("{path}: {report:?}")).outcome {
        ItemOutcome::Recovered(recovered) => recovered.not_carried.join("\n"),
        other => panic!("{path}: {other:?}"),
    }
}

fn delta_of(list: &List) -> String {
    format!("/lists/{}/items/delta", list.id().unwrap())
}

#[tokio::test]
async fn rows_and_columns_are_followed() {
    let lab = Lab::new(5).await;
    let (books, loans) = lists(&lab.site, 450);
    lab.bench.emulator.set(|settings| settings.read_only_guard = true);
    lab.back_up_and_compare().await;
    let second = lab.back_up_and_compare().await;
    assert_eq!(
        second.counts.stored + second.counts.removed,
        0,
        "{:?}",
        second.counts
    );

    books
        .update_row("7", &json!({"Color": "blue", "Note": null}))
        .unwrap();
    books.delete_row("8").unwrap();
    books.add_row(row(1000)).unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.stored, report.counts.removed),
        (2, 1),
        "{:?}",
        report.counts
    );
    books.add_column(&json!({"name": "New", "text": {}})).unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(report.counts.stored, 1, "the schema: {:?}", report.counts);

    // A lost state: only what differs is read anew.
    books.expire_delta().unwrap();
    books.delete_row("9").unwrap();
    loans.delete_row("1").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.stored, report.counts.removed),
        (0, 2),
        "{:?}",
        report.counts
    );
    // In the middle of paging, after rows were told that are gone by then.
    let fresh = lab.site.add_list("Fresh", &[]);
    for n in 0..500 {
        fresh.add_row(json!({"Title": format!("{n}")})).unwrap();
    }
    let edits = fresh.clone();
    lab.bench
        .emulator
        .faults()
        .on_request(&delta_of(&fresh), 2, move || {
            edits.delete_row("3").unwrap();
            edits.expire_delta().unwrap();
        });
    lab.back_up_and_compare().await;
    lab.site.delete_list("Fresh");
    lab.site.delete_list("Books");
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        report.counts.removed,
        499 + 449 + 2,
        "rows and schemas: {:?}",
        report.counts
    );
}

#[tokio::test]
async fn a_list_without_delta_and_lists_that_cannot_be_read() {
    let lab = Lab::new(2).await;
    let (books, _) = lists(&lab.site, 10);
    let refused = Fault::status(400).code("invalidRequest").path(&delta_of(&books));
    lab.bench.emulator.faults().add(refused);
    lab.back_up_and_compare().await;
    books.delete_row("4").unwrap();
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        (report.counts.stored, report.counts.removed),
        (0, 1),
        "{:?}",
        report.counts
    );
    lab.bench.emulator.faults().clear();
    let refused = Fault::status(403).code("accessDenied").path("/contentTypes");
    lab.bench.emulator.faults().add(refused);
    books.delete_row("5").unwrap();
    let report = lab.back_up().await.unwrap();
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.issues.len(), 2, "{:?}", report.issues);
    assert_eq!(report.counts.removed, 0, "what is not known stays");
    lab.bench.emulator.faults().clear();
    lab.back_up_and_compare().await;
}

#[tokio::test]
async fn lists_come_back_schema_first_and_lookups_last() {
    let mut lab = Lab::new(0).await;
    let (books, _) = lists(&lab.site, 12);
    let _ = lab.site.add_list("Empty", &[json!({"name": "Only", "text": {}})]);
    let before = books.rows().unwrap();
    lab.back_up_and_compare().await;
    for name in lab.site.lists() {
        lab.site.delete_list(&name);
    }
    // So that the new rows have other ids than the old ones.
    let books = lab.site.add_list("Books", &[]);
    for n in 0..3 {
        books
            .add_row(json!({"Title": format!("in the way {n}")}))
            .unwrap();
    }
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(lab.site.lists().len(), 3, "an empty list is a list, too");
    assert_eq!(lab.site.list("Empty").columns().unwrap().len(), 5);
    let after = books.rows().unwrap();
    assert_eq!(after.len(), 15);
    for (_, old) in &before {
        let new = after
            .iter()
            .find(|(_, new)| new["Title"] == old["Title"])
            .unwrap();
        for name in [
            "Note",
            "Color",
            "Tags",
            "Count",
            "Due",
            "Done",
            "Price",
            "KeeperLookupId",
            "Odd",
        ] {
            assert_eq!(new.1[name], old[name], "{name}");
        }
    }
    let title = |id: &str| after.iter().find(|(known, _)| known == id).unwrap().1["Title"].clone();
    let loans = lab.site.list("A Loan").rows().unwrap();
    assert_eq!(loans.len(), 3);
    for (_, loan) in &loans {
        let n: usize = loan["Title"]
            .as_str()
            .unwrap()
            .trim_start_matches("Loan ")
            .parse()
            .unwrap();
        assert_eq!(
            title(loan["BookLookupId"].as_str().unwrap()),
            before[n - 1].1["Title"]
        );
        let others = loan["Others"].as_array().unwrap();
        let others: Vec<Value> = others
            .iter()
            .map(|one| title(&one["LookupId"].to_string()))
            .collect();
        assert_eq!(
            others,
            [before[n - 1].1["Title"].clone(), before[0].1["Title"].clone()]
        );
    }
    let schema = said(&report, "Books/Columns and settings");
    for part in ["column 'Topic'", "column 'Picture'"] {
        assert!(schema.contains(part), "{schema}");
    }
    let row = said(&report, "Books/Row 0 ü");
    for part in ["value of 'Link'", "who made it and when"] {
        assert!(row.contains(part), "{row}");
    }
    // Again: all of it is known, also to another process.
    for _ in 0..2 {
        let again = lab
            .recover(Selection::All, Target::Original, OnConflict::Rename)
            .await;
        assert_eq!(again.counts.recovered, 0, "{:?}", again.items);
        lab.reconnect();
    }
    assert_eq!(books.rows().unwrap().len(), 15);
}

#[tokio::test]
async fn rows_are_settled_as_asked() {
    let lab = Lab::new(0).await;
    let (books, _) = lists(&lab.site, 3);
    lab.back_up_and_compare().await;
    books
        .update_row("2", &json!({"Title": "changed", "Count": 99}))
        .unwrap();
    let skipped = lab
        .recover(Selection::All, Target::Original, OnConflict::Skip)
        .await;
    assert_eq!(skipped.counts.recovered, 0, "{:?}", skipped.items);
    let renamed = lab
        .recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(renamed.counts.recovered, 1, "{:?}", renamed.items);
    assert_eq!(books.rows().unwrap().len(), 4, "beside what is there");
    lab.recover(Selection::All, Target::Original, OnConflict::Rename)
        .await;
    assert_eq!(books.rows().unwrap().len(), 4, "and once");
    let over = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(over.counts.recovered, 1, "{:?}", over.items);
    let rows = books.rows().unwrap();
    assert_eq!(
        (&rows[1].1["Title"], &rows[1].1["Count"]),
        (&json!("Row 1 ü"), &json!(1.5))
    );
    let deletions = lab
        .bench
        .emulator
        .requests()
        .matching(|record| record.method == "DELETE");
    assert!(deletions.is_empty());
    // One row of a list that is gone: it needs the schema.
    lab.site.delete_list("Books");
    let connector: Arc<dyn Connector> = Arc::new(lab.bench.reconnect());
    let lab = Lab { connector, ..lab };
    let one = Selection::paths(["Books/Row 1 ü"]);
    let alone = lab.recover(one, Target::Original, OnConflict::Rename).await;
    assert_eq!(alone.counts.failed, 1, "{:?}", alone.items);
    let both = Selection::paths(["Books/Row 1 ü", "Books/Columns and settings"]);
    let both = lab.recover(both, Target::Original, OnConflict::Rename).await;
    assert_eq!(both.counts.recovered, 2, "{:?}", both.items);
}

#[tokio::test]
async fn to_another_site_persons_are_said() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 4);
    lab.back_up_and_compare().await;
    let other = lab.bench.emulator.add_site("other", "Other");
    let target = lab.connector.find_object(&other.url()).await.unwrap();
    let report = lab
        .recover(Selection::All, Target::Object(target), OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert!(said(&report, "Books/Row 0 ü").contains("value of 'Keeper'"));
    let books = other.list("Books");
    assert_eq!(books.rows().unwrap().len(), 4);
    let loans = other.list("A Loan");
    let columns = loans.columns().unwrap();
    let lookup = columns.iter().find(|column| column["name"] == "Book").unwrap();
    assert_eq!(lookup["lookup"]["listId"], books.id().unwrap().as_str());
    assert_eq!(loans.rows().unwrap().len(), 3);
}

/// Every passing fault at every request of a recovery of lists: the same rows, each once.
#[tokio::test]
async fn every_fault_at_every_request_of_a_recovery_of_lists() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 3);
    lab.back_up_and_compare().await;
    let kinds = [
        kinds()[0].clone(),
        kinds()[2].clone(),
        Action::AfterSuccess { status: 500 },
        Action::ResetAfterSuccess,
        Action::Reset,
        Action::Damage(Damage::CutAt(10)),
    ];
    let stride = if std::env::var_os("NAKIVO_FULL").is_some() {
        1
    } else {
        4
    };
    let (mut requests, mut runs) = (0, 0);
    for (number, kind) in [None].into_iter().chain(kinds.into_iter().map(Some)).enumerate() {
        let places: Vec<u64> = match kind {
            None => vec![0],
            Some(_) => (1..=requests)
                .filter(|n| (*n as usize + number).is_multiple_of(stride))
                .collect(),
        };
        for n in places {
            for name in lab.site.lists() {
                lab.site.delete_list(&name);
            }
            lab.bench.emulator.faults().clear();
            lab.bench.emulator.requests().clear();
            if let Some(kind) = &kind {
                lab.bench
                    .emulator
                    .faults()
                    .add(Fault::new(kind.clone()).path("/v1.0/").at_request(n));
            }
            let connector: Arc<dyn Connector> = Arc::new(lab.bench.reconnect());
            let point = lab.point();
            let (all, rule) = (Selection::All, OnConflict::Rename);
            let plan = recovery::plan(&lab.repository, &point, all, &connector, Target::Original, rule)
                .wait()
                .await
                .unwrap_or_else(|error| panic!("{kind:?} at {n}: {error:?}"));
            let report = recovery::apply(&lab.repository, plan, &connector)
                .wait()
                .await
                .unwrap_or_else(|error| panic!("{kind:?} at {n}: {error:?}"));
            assert_eq!(
                report.outcome,
                Outcome::Complete,
                "{kind:?} at {n}: {:?}",
                report.items
            );
            let books = lab.site.list("Books").rows().unwrap();
            let loans = lab.site.list("A Loan").rows().unwrap();
            assert_eq!((books.len(), loans.len()), (3, 3), "{kind:?} at {n}");
            for (_, loan) in &loans {
                let known = books.iter().any(|(id, _)| loan["BookLookupId"] == id.as_str());
                assert!(known, "{kind:?} at {n}: {loan}");
            }
            if kind.is_none() {
                requests = lab.bench.emulator.requests().count();
            }
            runs += 1;
        }
    }
    println!("{runs} recoveries of lists with {requests} requests");
}
