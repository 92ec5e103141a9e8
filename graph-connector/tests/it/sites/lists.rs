//! Lists: every kind of column, and rows by delta.

mod faults;
mod histories;
mod recovery;

use nakivo_core::backup::Outcome;
use nakivo_graph_emulator::{Fault, List, Site};
use serde_json::{Value, json};

use super::lab::Lab;
use crate::lab::Truth;

/// A column of every kind.
pub(crate) fn columns() -> Vec<Value> {
    vec![
        json!({"name": "Note", "text": {"allowMultipleLines": true, "textType": "richText"}}),
        json!({"name": "_x00dc_bergabe", "displayName": "Übergabe", "text": {}}),
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

pub(crate) fn row(n: usize) -> Value {
    json!({
        "Title": format!("Row {n} ü"), "Note": "<p>two lines</p>", "Color": "red", "Tags": ["a", "c"], "Count": n as f64 + 0.5,
        "Due": "2026-03-01T00:00:00Z", "Done": n.is_multiple_of(2), "Price": 12.25, "KeeperLookupId": "2",
        "_x00dc_bergabe": "heute",
        "Link": {"Url": "https://example.com", "Description": "d"}, "Odd": "text",
    })
}

/// A list `Books` and a list `A Loan` whose rows point to its rows.
pub(crate) fn lists(site: &Site, rows: usize) -> (List, List) {
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
            // The first is told when all follows once more, the second is not.
            edits.delete_row("3").unwrap();
            edits.delete_row("4").unwrap();
            edits.expire_delta().unwrap();
        });
    lab.back_up_and_compare().await;
    lab.site.delete_list("Fresh");
    lab.site.delete_list("Books");
    let report = lab.back_up_and_compare().await;
    assert_eq!(
        report.counts.removed,
        498 + 449 + 2,
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
