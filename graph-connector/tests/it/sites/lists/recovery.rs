//! The way back of lists: in the order that what points to others needs.

use std::sync::Arc;

use nakivo_core::backup::Outcome;
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::recovery::{ItemOutcome, RecoveryReport, Selection, Target};
use nakivo_graph_emulator::Fault;
use serde_json::{Value, json};

use super::super::lab::Lab;
use super::{columns, lists};
use crate::lab::Truth;

fn said(report: &RecoveryReport, path: &str) -> String {
    let item = report.items.iter().find(|item| item.path == path);
    match &item.unwrap_or_else(|| panic!("{path}: {report:?}")).outcome {
        ItemOutcome::Recovered(recovered) => recovered.not_carried.join("\n"),
        other => panic!("{path}: {other:?}"),
    }
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
            "_x00dc_bergabe",
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
        let note = new.1["Note"].as_str().unwrap();
        assert!(
            note.contains("ExternalClass") && note.contains("<p>two lines</p>"),
            "{note}"
        );
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
    let mut lab = lab;
    let connector: Arc<dyn Connector> = Arc::new(lab.bench.reconnect());
    lab.connector = connector;
    let one = Selection::paths(["Books/Row 1 ü"]);
    let alone = lab.recover(one, Target::Original, OnConflict::Rename).await;
    assert_eq!(alone.counts.failed, 1, "{:?}", alone.items);
    let both = Selection::paths(["Books/Row 1 ü", "Books/Columns and settings"]);
    let both = lab.recover(both, Target::Original, OnConflict::Rename).await;
    assert_eq!(both.counts.recovered, 2, "{:?}", both.items);
}

#[tokio::test]
async fn lists_come_to_another_site() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 4);
    lab.back_up_and_compare().await;
    let other = lab.bench.emulator.add_site("other", "Other");
    let target = lab.connector.find_object(&other.url()).await.unwrap();
    let report = lab
        .recover(Selection::All, Target::Object(target), OnConflict::Rename)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    let books = other.list("Books");
    assert_eq!(books.rows().unwrap().len(), 4);
    let loans = other.list("A Loan");
    let columns = loans.columns().unwrap();
    let lookup = columns.iter().find(|column| column["name"] == "Book").unwrap();
    assert_eq!(lookup["lookup"]["listId"], books.id().unwrap().as_str());
    assert_eq!(loans.rows().unwrap().len(), 3);
    // A drive has no place for rows.
    let user = lab.bench.emulator.mailboxes()[0].address().to_owned();
    let _ = lab.bench.emulator.add_drive(&user);
    let drive = lab.connector.find_object(&format!("onedrive:{user}")).await;
    let report = lab
        .recover(Selection::All, Target::Object(drive.unwrap()), OnConflict::Rename)
        .await;
    assert_eq!(
        (report.counts.failed, report.counts.recovered),
        (2 + 4 + 3, 0),
        "{:?}",
        report.items
    );
}

#[tokio::test]
async fn persons_are_found_by_their_addresses() {
    let lab = Lab::new(0).await;
    let site = &lab.site;
    let numbers = [
        site.add_user("anna@fabrika.example", "Anna"),
        site.add_user("gone@fabrika.example", "Gone"),
    ];
    let several = json!({"name": "Team", "personOrGroup": {"allowMultipleSelection": true}});
    let list = site.add_list("Duties", &[columns()[8].clone(), several]);
    let both: Vec<Value> = numbers
        .iter()
        .map(|number| json!({"LookupId": number, "LookupValue": "x"}))
        .collect();
    let fields = json!({"Title": "t", "KeeperLookupId": numbers[0].to_string(), "Team": both});
    list.add_row(fields).unwrap();
    lab.back_up_and_compare().await;

    let other = lab.bench.emulator.add_site("other", "Other");
    for _ in 0..7 {
        other.add_user("somebody@fabrika.example", "Somebody");
    }
    let anna = other.add_user("ANNA@fabrika.example", "Anna");
    assert_ne!(anna, numbers[0]);
    let target = lab.connector.find_object(&other.url()).await.unwrap();
    for _ in 0..2 {
        let report = lab
            .recover(Selection::All, Target::Object(target.clone()), OnConflict::Rename)
            .await;
        assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
        if report.counts.recovered > 0 {
            let said = said(&report, "Duties/t");
            let gone = "value of 'Team': gone@fabrika.example is not known at the target";
            assert!(said.contains(gone) && !said.contains("Keeper"), "{said}");
        }
        let rows = other.list("Duties").rows().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].1["KeeperLookupId"], anna.to_string());
        assert_eq!(rows[0].1["Team"][0]["LookupId"], anna);
        assert_eq!(rows[0].1["Team"].as_array().unwrap().len(), 1);
    }
}

/// Rows of two lists that look into each other, and of one that looks into itself.
#[tokio::test]
async fn circles_of_lookups_are_closed_when_all_rows_are_there() {
    let mut lab = Lab::new(0).await;
    let looks =
        |name: &str, into: &str| json!({"name": name, "lookup": {"listId": into, "columnName": "Title"}});
    let people = lab.site.add_list("People", &[]);
    let teams = lab.site.add_list("Teams", &[]);
    people.add_column(&looks("Boss", &people.id().unwrap())).unwrap();
    people.add_column(&looks("Team", &teams.id().unwrap())).unwrap();
    teams.add_column(&looks("Lead", &people.id().unwrap())).unwrap();
    for (n, boss) in [(1, 2), (2, 3), (3, 1)] {
        let fields = json!({"Title": format!("P{n}"), "BossLookupId": boss.to_string(), "TeamLookupId": n.to_string()});
        people.add_row(fields).unwrap();
        let fields = json!({"Title": format!("T{n}"), "LeadLookupId": n.to_string()});
        teams.add_row(fields).unwrap();
    }
    lab.back_up_and_compare().await;
    for name in lab.site.lists() {
        lab.site.delete_list(&name);
    }
    // So that the new rows have other numbers than the old ones.
    let _ = lab
        .site
        .add_list("People", &[])
        .add_row(json!({"Title": "in the way"}))
        .unwrap();
    let site = lab.site.clone();
    let what = |list: &str, column: &str, into: &str| {
        let rows = |name: &str| site.list(name).rows().unwrap();
        let title = |id: &Value| {
            let (_, row) = rows(into)
                .into_iter()
                .find(|(known, _)| known == id.as_str().unwrap())
                .unwrap();
            row["Title"].as_str().unwrap().to_owned()
        };
        let found = rows(list)
            .into_iter()
            .filter(|(_, row)| row["Title"] != "in the way");
        let found: Vec<String> = found
            .map(|(_, row)| {
                format!(
                    "{}-{}",
                    row["Title"].as_str().unwrap(),
                    title(&row[format!("{column}LookupId")])
                )
            })
            .collect();
        found.join(" ")
    };
    let mut writes = 0;
    for run in 0..3 {
        lab.bench.emulator.requests().clear();
        let report = lab
            .recover(Selection::All, Target::Original, OnConflict::Rename)
            .await;
        assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
        assert_eq!(what("People", "Boss", "People"), "P1-P2 P2-P3 P3-P1", "run {run}");
        assert_eq!(what("People", "Team", "Teams"), "P1-T1 P2-T2 P3-T3", "run {run}");
        assert_eq!(what("Teams", "Lead", "People"), "T1-P1 T2-P2 T3-P3", "run {run}");
        let written = lab.bench.emulator.requests().writes().len();
        assert!(
            run == 0 || written == 0,
            "again, {written} requests write what is there"
        );
        writes += written;
        if run == 1 {
            // Another process knows nothing of all this.
            let connector: Arc<dyn Connector> = Arc::new(lab.bench.reconnect());
            lab.connector = connector;
        }
    }
    assert!(writes > 0);
}

#[tokio::test]
async fn what_cannot_be_set_at_the_end_fails_its_row() {
    let lab = Lab::new(0).await;
    let people = lab.site.add_list("People", &[]);
    let boss = json!({"name": "Boss", "lookup": {"listId": people.id().unwrap(), "columnName": "Title"}});
    people.add_column(&boss).unwrap();
    for (title, boss) in [("P1", "2"), ("P2", "1")] {
        people
            .add_row(json!({"Title": title, "BossLookupId": boss}))
            .unwrap();
    }
    lab.back_up_and_compare().await;
    lab.site.delete_list("People");
    let refuse = Fault::status(400)
        .code("invalidRequest")
        .path("/fields")
        .method("PATCH");
    lab.bench.emulator.faults().add(refuse);
    let all = |rule| lab.recover(Selection::All, Target::Original, rule);
    // P2 comes after the row that points to it, which is there without its boss.
    let failed = all(OnConflict::Rename).await;
    assert_eq!(
        (failed.outcome, failed.counts.failed),
        (Outcome::Partial, 1),
        "{:?}",
        failed.items
    );
    lab.bench.emulator.faults().clear();
    let healed = all(OnConflict::Overwrite).await;
    assert_eq!(healed.outcome, Outcome::Complete, "{:?}", healed.items);
    let rows = lab.site.list("People").rows().unwrap();
    let bosses: Vec<&Value> = rows.iter().map(|(_, row)| &row["BossLookupId"]).collect();
    assert_eq!(bosses, ["2", "1"]);

    lab.site.delete_list("People");
    let alone = Selection::paths(["People/P1", "People/Columns and settings"]);
    let alone = lab.recover(alone, Target::Original, OnConflict::Rename).await;
    assert_eq!(alone.outcome, Outcome::Complete, "{:?}", alone.items);
    let said = said(&alone, "People/P1");
    assert!(
        said.contains("value of 'Boss': what it points to is not at the target"),
        "{said}"
    );
}

/// The list that a column looks into was made anew, and a column cannot be made to look elsewhere.
#[tokio::test]
async fn columns_that_look_into_a_list_that_is_gone_are_said() {
    let lab = Lab::new(0).await;
    lists(&lab.site, 3);
    lab.back_up_and_compare().await;
    lab.site.delete_list("Books");
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(lab.site.list("Books").rows().unwrap().len(), 3);
    let said = said(&report, "A Loan/Loan 2");
    assert!(
        said.contains("value of 'Book': the column looks into another list there"),
        "{said}"
    );
}

#[tokio::test]
async fn overwriting_clears_what_was_empty_and_twins_stay_as_many_as_they_were() {
    let lab = Lab::new(0).await;
    let list = lab.site.add_list("Books", &columns());
    for _ in 0..3 {
        list.add_row(json!({"Title": "twin"})).unwrap();
    }
    lab.back_up_and_compare().await;
    let newer = json!({"Note": "newer", "Tags": ["a"], "Count": 3, "KeeperLookupId": "1", "Due": "2026-01-01T00:00:00Z"});
    list.update_row("1", &newer).unwrap();
    list.delete_row("2").unwrap();
    let report = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.items);
    assert_eq!(report.counts.recovered, 2, "{:?}", report.items);
    let rows = list.rows().unwrap();
    let filled = |row: &Value| {
        row.as_object()
            .unwrap()
            .values()
            .filter(|value| !value.is_null())
            .count()
    };
    assert_eq!(
        rows.len(),
        3,
        "the row that was gone is back, and not taken for its twin: {rows:?}"
    );
    assert!(
        rows.iter()
            .all(|(_, row)| row["Title"] == "twin" && filled(row) == 1),
        "{rows:?}"
    );
    let again = lab
        .recover(Selection::All, Target::Original, OnConflict::Overwrite)
        .await;
    assert_eq!(again.outcome, Outcome::Complete, "{:?}", again.items);
    assert_eq!(list.rows().unwrap().len(), 3);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_list_is_said() {
    let mut lab = Lab::new(0).await;
    lists(&lab.site, 2);
    lab.back_up_and_compare().await;
    lab.site.delete_list("Books");
    let books = lab
        .site
        .add_list("Books", &[json!({"name": "Color", "number": {}})]);
    let app = lab.bench.emulator.app_id().to_owned();
    lab.bench.emulator.grant(
        &app,
        [
            "User.Read.All",
            "Sites.Read.All",
            "Sites.ReadWrite.All",
            "Files.ReadWrite.All",
        ],
    );
    lab.bench.emulator.faults().expire_tokens();
    lab.reconnect();
    let all = || Selection::paths(["Books/Columns and settings", "Books/Row 1 ü"]);
    let report = lab.recover(all(), Target::Original, OnConflict::Rename).await;
    let schema = report
        .items
        .iter()
        .find(|item| item.path == "Books/Columns and settings")
        .unwrap();
    let refused = matches!(&schema.outcome, ItemOutcome::Failed { code, .. } if code == "permission_missing");
    assert!(refused, "{schema:?}");
    lab.bench
        .emulator
        .grant(&app, ["User.Read.All", "Sites.Manage.All", "Sites.ReadWrite.All"]);
    lab.bench.emulator.faults().expire_tokens();
    lab.reconnect();
    let report = lab.recover(all(), Target::Original, OnConflict::Rename).await;
    let said = said(&report, "Books/Columns and settings");
    assert!(
        said.contains("column 'Color': there is one of the kind 'number'"),
        "{said}"
    );
    assert!(said.contains("permissions, views and forms"), "{said}");
    // A text does not fit into that column: the row fails, by name.
    assert_eq!(report.counts.failed, 1, "{:?}", report.items);
    assert_eq!(books.rows().unwrap().len(), 0);
}
