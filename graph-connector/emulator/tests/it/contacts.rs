//! Contacts: folders, items, photos, delta, permissions, cards.

use nakivo_graph_emulator::{App, Contacts, Emulator};
use serde_json::{Value, json};

use crate::client::{Client, encode, send};
use crate::conformance::{facts, missing, read, same_shape};

async fn client() -> (Client, Contacts, String) {
    let c = Client::start(Emulator::builder().users(2)).await.immutable();
    let me = c.me();
    let contacts = c
        .emulator
        .contacts(c.emulator.mailboxes()[0].address())
        .expect("contacts");
    (c, contacts, me)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn folders_are_a_tree_below_the_standard_one() {
    let (c, contacts, me) = client().await;
    assert!(
        c.all(&format!("{me}/contactFolders")).await.is_empty(),
        "the standard folder is not listed"
    );
    let standard = c
        .get(&format!("{me}/contactFolders/contacts"))
        .await
        .expect(200)
        .json();
    let body = json!({"displayName": "Suppliers"});
    let made = c
        .post(&format!("{me}/contactFolders"), &body)
        .await
        .expect(201)
        .json();
    assert_eq!(made["parentFolderId"], standard["id"]);
    let path = format!("{me}/contactFolders('{}')/childFolders", text(&made, "id"));
    c.post(&path, &json!({"displayName": "Steel"})).await.expect(201);
    let taken = c.post(&path, &json!({"displayName": "steel"})).await.expect(409);
    assert_eq!(taken.code(), "ErrorFolderExists");
    assert_eq!(c.all(&path).await.len(), 1);
    c.emulator
        .set(|settings| settings.list_standard_contact_folder = true);
    assert_eq!(c.all(&format!("{me}/contactFolders")).await.len(), 2);
    let paths: Vec<String> = contacts
        .folders()
        .expect("folders")
        .into_iter()
        .map(|x| x.1)
        .collect();
    assert_eq!(paths, ["", "Suppliers", "Suppliers/Steel"]);
    c.delete(&format!("{me}/contactFolders/{}", text(&standard, "id")))
        .await
        .expect(403);
    c.delete(&format!("{me}/contactFolders/{}", text(&made, "id")))
        .await
        .expect(204);
    assert_eq!(contacts.folders().expect("folders").len(), 1);
    c.post(&path, &json!({"displayName": "x", "isHidden": true}))
        .await
        .expect(400);
}

#[tokio::test]
async fn contacts_are_made_changed_found_and_deleted() {
    let (c, contacts, me) = client().await;
    let mark = "String {7b1e6c2e-3d0f-4a53-9c55-6f0b1d1f8e21} Name X";
    let body = json!({"givenName": "Pavel", "surname": "Bansky", "emailAddresses": [{"address": "p@x.org", "name": "P"}],
        "birthday": "1974-07-22", "singleValueExtendedProperties": [{"id": mark, "value": "7"}]});
    let made = c.post(&format!("{me}/contacts"), &body).await.expect(201).json();
    assert_eq!(
        (text(&made, "displayName"), text(&made, "fileAs")),
        ("Pavel Bansky".into(), "Bansky, Pavel".into())
    );
    assert_eq!(text(&made, "birthday"), "1974-07-22T00:00:00Z");
    assert_eq!(made["primaryEmailAddress"]["address"], "p@x.org");
    let path = format!("{me}/contacts/{}", text(&made, "id"));
    let changed = c
        .patch(&path, &json!({"jobTitle": "Buyer"}))
        .await
        .expect(200)
        .json();
    assert_ne!(changed["changeKey"], made["changeKey"]);
    assert_eq!(changed["givenName"], "Pavel");
    let stale = c
        .request("PATCH", &path)
        .header("If-Match", text(&made, "@odata.etag"));
    let stale = stale.header("Content-Type", "application/json").body("{}");
    send(stale).await.expect(412);

    let filter = format!("singleValueExtendedProperties/any(ep: ep/id eq '{mark}' and ep/value eq '7')");
    let expand = format!("singleValueExtendedProperties($filter=id eq '{mark}')");
    let found = c
        .all(&format!(
            "{me}/contacts?$filter={}&$expand={}",
            encode(&filter),
            encode(&expand)
        ))
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["singleValueExtendedProperties"][0]["value"], "7");

    for (bad, code) in [
        (json!({"shoeSize": 43}), "RequestBodyRead"),
        (json!({"children": "Eva"}), "RequestBodyRead"),
        (
            json!({"emailAddresses": [{}, {}, {}, {}]}),
            "ErrorInvalidArgument",
        ),
        (
            json!({"emailAddresses": [], "primaryEmailAddress": {"address": "a@b.org"}}),
            "ErrorInvalidArgument",
        ),
    ] {
        assert_eq!(
            c.post(&format!("{me}/contacts"), &bad).await.expect(400).code(),
            code,
            "{bad}"
        );
    }
    c.emulator.set(|settings| settings.deleted_contacts_stay = true);
    c.delete(&path).await.expect(204);
    assert!(contacts.all().expect("all").is_empty());
    let gone = c.get(&path).await.expect(200).json();
    let bin = c
        .get(&format!("{me}/mailFolders/deleteditems"))
        .await
        .expect(200)
        .json();
    assert_eq!(gone["parentFolderId"], bin["id"], "in Deleted Items");
    c.get(&format!("{me}/contacts/nonsense")).await.expect(400);
}

#[tokio::test]
async fn photos_are_no_change() {
    let (c, contacts, me) = client().await;
    let id = contacts.add("", json!({"givenName": "A"})).expect("added");
    let path = format!("{me}/contacts/{id}");
    let before = text(&c.get(&path).await.json(), "changeKey");
    assert_eq!(
        c.get(&format!("{path}/photo/$value")).await.expect(404).code(),
        "ImageNotFound"
    );
    assert_eq!(
        c.get(&format!("{path}/photo")).await.expect(404).code(),
        "ImageNotFound"
    );
    c.emulator.set(|settings| settings.missing_photo_is_a_dot = true);
    assert_eq!(
        c.get(&format!("{path}/photo")).await.expect(200).json()["width"],
        1
    );
    let put = c.request("PUT", &format!("{path}/photo/$value"));
    send(put.header("Content-Type", "image/jpeg").body(vec![1, 2, 3]))
        .await
        .expect(200);
    let got = c.get(&format!("{path}/photo/$value")).await.expect(200);
    assert_eq!(
        (got.body.as_slice(), got.header("content-type")),
        ([1, 2, 3].as_slice(), Some("image/jpeg"))
    );
    assert_eq!(
        c.get(&format!("{path}/photo")).await.expect(200).json()["id"],
        "240x240"
    );
    assert_eq!(text(&c.get(&path).await.json(), "changeKey"), before);
}

/// Rounds until the delta link: the last word on each id, and the link.
async fn round(c: &Client, first: &str) -> (Vec<Value>, String) {
    let mut next = first.to_owned();
    let mut all: Vec<Value> = Vec::new();
    loop {
        let page = send(c.request("GET", &next).header("Prefer", "odata.maxpagesize=3"))
            .await
            .expect(200)
            .json();
        for element in page["value"].as_array().expect("value") {
            all.retain(|known| known["id"] != element["id"]);
            all.push(element.clone());
        }
        if let Some(link) = page["@odata.deltaLink"].as_str() {
            return (all, link.to_owned());
        }
        next = text(&page, "@odata.nextLink");
    }
}

#[tokio::test]
async fn delta_tells_each_folder_for_itself() {
    let (c, contacts, me) = client().await;
    contacts.add_generated(1, 20).expect("made");
    let all = contacts.all().expect("all");
    let mut links = Vec::new();
    let mut seen = 0;
    for (folder, _) in contacts.folders().expect("folders") {
        let (found, link) = round(&c, &format!("{me}/contactFolders/{folder}/contacts/delta")).await;
        seen += found.len();
        assert!(found.iter().all(|one| text(one, "parentFolderId") == folder));
        links.push((folder, link));
    }
    assert_eq!(seen, 20);
    let in_first: Vec<_> = all.iter().filter(|one| one.folder_id == links[0].0).collect();
    contacts
        .edit(&in_first[0].id, json!({"title": "Dr."}))
        .expect("edited");
    contacts.relocate(&in_first[1].id, &links[1].0).expect("moved");
    contacts.delete(&in_first[2].id).expect("deleted");
    let (mut first, link) = round(&c, &links[0].1).await;
    first.sort_by_key(|one| one["@removed"].is_object());
    let told: Vec<bool> = first.iter().map(|one| one["@removed"].is_object()).collect();
    assert_eq!(told, [false, true, true]);
    let (second, _) = round(&c, &links[1].1).await;
    assert_eq!(second.len(), 1);
    assert_eq!(
        text(&second[0], "id"),
        in_first[1].id,
        "immutable ids survive the move"
    );
    contacts.expire_delta().expect("expired");
    assert_eq!(c.get(&link).await.expect(410).code(), "SyncStateNotFound");
    c.get(&format!("{me}/contactFolders/contacts/contacts/delta?$top=3"))
        .await
        .expect(400);
    c.get(&format!("{me}/contacts/delta")).await.expect(400);
}

#[tokio::test]
async fn cards_are_loaded_with_their_folders() {
    let dir = std::env::temp_dir().join(format!("nakivo-cards-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("Friends")).expect("made");
    let card =
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;Jane;;;\r\nFN:Jane Doe\r\nEMAIL:jane@x.org\r\nEND:VCARD\r\n";
    std::fs::write(dir.join("a.vcf"), format!("{card}{card}")).expect("written");
    std::fs::write(dir.join("Friends/b.VCF"), card).expect("written");
    let c = Client::start(Emulator::builder().users(1).contacts_from(&dir)).await;
    std::fs::remove_dir_all(&dir).expect("removed");
    let me = c.me();
    assert_eq!(c.all(&format!("{me}/contacts")).await.len(), 2);
    let folder = text(&c.all(&format!("{me}/contactFolders")).await[0], "id");
    let friends = c.all(&format!("{me}/contactFolders/{folder}/contacts")).await;
    assert_eq!(text(&friends[0], "surname"), "Doe");
}

#[tokio::test]
async fn permissions_and_examples() {
    let (mut c, contacts, me) = client().await;
    let everything = c.token.clone();
    let id = contacts
        .add("", json!({"givenName": "A", "businessAddress": {"street": "s", "city": "c", "state": "t", "countryOrRegion": "x", "postalCode": "1"}}))
        .expect("added");
    contacts.set_photo(&id, Some(vec![1].into())).expect("set");
    c.emulator
        .register(App::new("mail").secret("s").role("Mail.ReadWrite"));
    c.emulator
        .register(App::new("read").secret("s").role("Contacts.Read"));
    for (app, read_status, write_status) in [("mail", 403, 403), ("read", 200, 403)] {
        c.token = c.fetch_token(app, "s").await;
        for path in [
            "contactFolders",
            "contacts",
            &format!("contacts/{id}/photo/$value"),
        ] {
            assert_eq!(
                c.get(&format!("{me}/{path}")).await.status,
                read_status,
                "{app} {path}"
            );
        }
        let write = c
            .patch(&format!("{me}/contacts/{id}"), &json!({"title": "x"}))
            .await;
        assert_eq!(write.status, write_status, "{app}");
    }
    c.token = everything;
    let Some(facts) = facts() else { return };
    c.emulator.set(|settings| {
        settings.list_standard_contact_folder = true;
        settings.delta_variety = false;
    });
    let example = |name: &str| read(facts.join(format!("examples/{name}.json")));
    for (name, method, path) in [
        ("contacts--folders", "GET", "contactFolders".to_owned()),
        ("contacts--create-folder", "POST", "contactFolders".to_owned()),
        ("contacts--list", "GET", "contacts".to_owned()),
        ("contacts--create", "POST", "contacts".to_owned()),
        ("contacts--update", "PATCH", format!("contacts/{id}")),
        ("contacts--photo-metadata", "GET", format!("contacts/{id}/photo")),
        (
            "contacts--delta",
            "GET",
            "contactFolders/contacts/contacts/delta".to_owned(),
        ),
    ] {
        let published = example(name);
        let body = &published["request_body"];
        let path = format!("{me}/{path}");
        let answer = match method {
            "GET" => c.get(&path).await,
            method => c.send_json(method, &path, body).await,
        };
        assert_eq!(json!(answer.status), published["status"], "{name}");
        let (mut wrong, mut absent) = (Vec::new(), Vec::new());
        let (ours, theirs) = (answer.json(), &published["response_body"]);
        same_shape(&ours, theirs, name, &mut wrong);
        missing(&ours, theirs, name, &mut absent);
        absent.retain(|name| !name.ends_with("@odata.id") && !name.ends_with("@odata.nextLink"));
        assert!(wrong.is_empty() && absent.is_empty(), "{wrong:?} {absent:?}");
    }
}
