//! Lists, columns, rows and their changes.

use nakivo_graph_emulator::Emulator;
use serde_json::{Value, json};

use super::{names, site};
use crate::client::{Client, encode, send};

fn columns() -> Value {
    json!([
        {"name": "Color", "choice": {"choices": ["red", "blue"]}},
        {"name": "Count", "number": {}},
        {"name": "Note", "text": {"allowMultipleLines": true, "textType": "richText"}},
        {"name": "Keeper", "personOrGroup": {}},
    ])
}

/// A list made over HTTP; its path.
async fn made(c: &Client, path: &str, name: &str, columns: Value) -> String {
    let body = json!({"displayName": name, "columns": columns, "list": {"template": "genericList"}});
    let list = c.post(&format!("{path}/lists"), &body).await.expect(201).json();
    format!("{path}/lists/{}", list["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn lists_libraries_and_what_belongs_to_the_system() {
    let (c, path) = site().await;
    made(&c, &path, "Books", columns()).await;
    let all = c.all(&format!("{path}/lists")).await;
    assert_eq!(names(&all, "displayName"), ["Books", "Contracts", "Documents"]);
    let system = c.all(&format!("{path}/lists?$select=id,name,list,system")).await;
    let users: Vec<&Value> = system.iter().filter(|list| list["system"].is_object()).collect();
    assert_eq!(users.len(), 1);
    assert_eq!(
        users[0]["list"],
        json!({"contentTypesEnabled": false, "hidden": true, "template": "userInformation"})
    );
    let people = format!(
        "{path}/lists/{}/items?$expand=fields",
        users[0]["id"].as_str().expect("an id")
    );
    let people = c.all(&people).await;
    let address = c.emulator.mailboxes()[0].address().to_owned();
    assert!(people.iter().any(|row| row["fields"]["EMail"] == address));
    let twice = json!({"displayName": "books", "list": {"template": "genericList"}});
    assert_eq!(
        c.post(&format!("{path}/lists"), &twice).await.expect(409).code(),
        "nameAlreadyExists"
    );
    let template = json!({"displayName": "X", "list": {"template": "accessRequest"}});
    c.post(&format!("{path}/lists"), &template).await.expect(400);
    let library = json!({"displayName": "Files", "list": {"template": "documentLibrary"}});
    let library = c
        .post(&format!("{path}/lists"), &library)
        .await
        .expect(201)
        .json();
    let drive = format!("{path}/lists/{}/drive", library["id"].as_str().expect("an id"));
    assert_eq!(
        c.get(&drive).await.expect(200).json()["driveType"],
        "documentLibrary"
    );
}

#[tokio::test]
async fn columns_are_made_changed_and_refused() {
    let (c, path) = site().await;
    let list = made(&c, &path, "Books", columns()).await;
    let at = format!("{list}/columns");
    let all = c.all(&at).await;
    for name in ["Title", "Created", "Author", "Attachments", "Color", "Keeper"] {
        assert!(names(&all, "name").contains(&name.to_owned()), "{name}");
    }
    let made = c
        .post(&at, &json!({"name": "New", "text": {}}))
        .await
        .expect(201)
        .json();
    let changed = format!("{at}/{}", made["id"].as_str().expect("an id"));
    let changed = c
        .patch(&changed, &json!({"displayName": "Newer"}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["name"], &changed["displayName"]),
        (&json!("New"), &json!("Newer"))
    );
    for (bad, status) in [
        (json!({"name": "New", "text": {}}), 409),
        (json!({"name": "N", "text": {}, "defaultValue": null}), 400),
        (json!({"name": "N", "text": {}, "number": {}}), 400),
        (json!({"name": "N", "calculated": {}}), 400),
    ] {
        c.post(&at, &bad).await.expect(status);
    }
    let whole = c
        .get(&format!("{list}?$expand=columns,items($expand=fields)"))
        .await
        .expect(200)
        .json();
    assert_eq!(whole["columns"].as_array().map(Vec::len), Some(all.len() + 1));
    assert_eq!(whole["items"], json!([]));
}

#[tokio::test]
async fn rows_take_what_their_columns_take() {
    let (c, path) = site().await;
    let list = made(&c, &path, "Books", columns()).await;
    let into = format!("{list}/items");
    let keeper = c.emulator.sites()[0].add_user("anna@x.example", "Anna");
    let fields =
        json!({"Title": "t", "Color": "red", "Count": 2, "Note": "<p>n</p>", "KeeperLookupId": keeper});
    let made = c.post(&into, &json!({"fields": fields})).await.expect(201).json();
    assert_eq!(
        made["fields"]["KeeperLookupId"],
        keeper.to_string(),
        "read as text"
    );
    let note = made["fields"]["Note"].as_str().expect("a text");
    assert!(
        note.starts_with("<div class=\"ExternalClass") && note.contains("<p>n</p>"),
        "{note}"
    );
    for (name, value) in [
        ("Nothing", json!(1)),
        ("Created", json!("2026-01-01T00:00:00Z")),
        ("id", json!("7")),
        ("Count", json!("many")),
        ("Color", json!(["red"])),
        ("Note", json!({"a": 1})),
        ("Keeper", json!("anna")),
        ("KeeperLookupId", json!(keeper + 1000)),
    ] {
        let refused = c.post(&into, &json!({"fields": {name: value}})).await;
        assert_eq!(refused.status, 400, "{name}");
    }
    let row = format!("{into}/{}", made["id"].as_str().expect("an id"));
    let plain = c.get(&row).await.expect(200).json();
    assert!(
        plain["fields"].is_null(),
        "fields are told when they are asked for"
    );
    let some = c
        .get(&format!("{row}?$expand=fields($select=Color)"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&some["fields"]["Color"], &some["fields"]["Title"]),
        (&json!("red"), &Value::Null)
    );
    let stale = send(
        c.request("PATCH", &format!("{row}/fields"))
            .header("If-Match", "\"{x},9\"")
            .header("Content-Type", "application/json")
            .body(json!({"Count": 3}).to_string()),
    )
    .await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "resourceModified"));
    let etag = plain["eTag"].as_str().expect("an ETag").to_owned();
    let fresh = send(
        c.request("PATCH", &format!("{row}/fields"))
            .header("If-Match", etag)
            .header("Content-Type", "application/json")
            .body(json!({"Count": 3, "Color": null}).to_string()),
    )
    .await;
    assert!(matches!(fresh.status, 200 | 201), "{}", fresh.status);
    let versions = c.all(&format!("{row}/versions?$expand=fields")).await;
    assert_eq!(names(&versions, "id"), ["1.0", "2.0"]);
    let first = c
        .get(&format!("{row}/versions/1.0?$expand=fields"))
        .await
        .expect(200)
        .json();
    assert_eq!(first["fields"]["Color"], "red");
    c.delete(&row).await.expect(204);
    c.get(&row).await.expect(404);
}

#[tokio::test]
async fn changes_are_told_in_rounds() {
    let (c, path) = site().await;
    let list = c.emulator.sites()[0].add_list("Books", &[]);
    for n in 0..10 {
        list.add_row(json!({"Title": format!("{n}")})).expect("a row");
    }
    c.emulator.set(|settings| settings.max_delta_page = 3);
    let delta = format!(
        "{path}/lists/{}/items/delta?$expand=fields",
        list.id().expect("an id")
    );
    let mut next = delta.clone();
    let mut seen = Vec::new();
    let link = loop {
        let page = c.get(&next).await.expect(200).json();
        seen.extend(page["value"].as_array().expect("a list").iter().cloned());
        match page["@odata.nextLink"].as_str() {
            Some(link) => next = link.to_owned(),
            None => break page["@odata.deltaLink"].as_str().expect("a link").to_owned(),
        }
    };
    assert_eq!(seen.len(), 10);
    assert!(seen.iter().all(|row| row["fields"]["Title"].is_string()));
    list.delete_row("3").expect("deleted");
    list.update_row("5", &json!({"Title": "five"})).expect("changed");
    let page = c.get(&link).await.expect(200).json();
    let told = page["value"].as_array().expect("a list");
    assert_eq!(names(told, "id"), ["3", "5"]);
    let gone = told.iter().find(|row| row["id"] == "3").expect("it");
    assert_eq!(gone["deleted"]["state"], "deleted");
    assert!(gone["eTag"].is_null() && gone["fields"].is_null());
    list.expire_delta().expect("expired");
    let lost = c.get(&link).await.expect(410);
    assert_eq!(lost.code(), "resyncRequired");
    let fresh = lost.header("location").expect("where to begin").to_owned();
    c.get(&fresh).await.expect(200);
    c.get(&format!("{delta}&token=nonsense")).await.expect(400);
    let latest = c.get(&format!("{delta}&token=latest")).await.expect(200).json();
    assert_eq!(latest["value"], json!([]));
}

/// Calls about sites and lists with exactly one of the permissions that the data lists, and with another one.
#[tokio::test]
async fn permissions_of_the_data_about_sites() {
    let Some(facts) = crate::conformance::facts() else {
        return;
    };
    let data = crate::conformance::read(facts.join("permissions-by-endpoint.json"));
    let mut c = Client::start(Emulator::builder().users(1).sites(1, 1)).await;
    let site = c.emulator.sites().remove(0);
    let list = site.add_list("Books", &[]);
    let row = list.add_row(json!({"Title": "t"})).expect("a row");
    let mut checked = 0;
    for entry in data["endpoints"].as_array().expect("endpoints") {
        let path = entry["path"].as_str().unwrap_or("");
        let ours = path
            .replacen(
                "/sites/{id}:/{id}",
                "/sites/fabrika.sharepoint.example:/sites/team01",
                1,
            )
            .replacen("/sites/{id}", &format!("/sites/{}", encode(site.id())), 1)
            .replace("/lists/{id}", &format!("/lists/{}", list.id().expect("an id")))
            .replace("/items/{id}", &format!("/items/{row}"));
        let unserved = ["/driveItem", "/drive", "/drives", "/drive/root/delta"];
        if entry["method"] != "GET"
            || !path.starts_with("/sites")
            || unserved.iter().any(|end| path.ends_with(end))
        {
            continue;
        }
        checked += crate::conformance::assert_roles(&mut c, entry, &ours, |_| true).await;
    }
    assert!(checked >= 30, "{checked}");
}
