//! Mail folders.

use nakivo_graph_emulator::Emulator;
use serde_json::{Value, json};

use crate::client::Client;

fn names(list: &[Value]) -> Vec<&str> {
    list.iter().filter_map(|f| f["displayName"].as_str()).collect()
}

#[tokio::test]
async fn list_pages_and_hidden() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(40)).await;
    let me = c.me();
    let first = c.get(&format!("{me}/mailFolders")).await.expect(200).json();
    assert_eq!(
        first["value"].as_array().map(Vec::len),
        Some(10),
        "the default page is 10"
    );
    assert!(first["@odata.nextLink"].is_string());
    let visible = c.all(&format!("{me}/mailFolders")).await;
    let everything = c
        .all(&format!("{me}/mailFolders?includeHiddenFolders=true&$top=3"))
        .await;
    assert!(
        !names(&visible).contains(&"ExternalContacts") && names(&everything).contains(&"ExternalContacts")
    );
    assert!(
        !names(&everything).contains(&"Deletions"),
        "Recoverable Items are not below the top"
    );
    let search = visible
        .iter()
        .find(|f| f["displayName"] == "Weekly digests")
        .expect("a search folder");
    assert_eq!(search["@odata.type"], "#microsoft.graph.mailSearchFolder");

    let inbox = c.get(&format!("{me}/mailFolders/INBOX")).await.expect(200).json();
    let id = inbox["id"].as_str().expect("id");
    let by_key = c
        .get(&format!("{me}/mailfolders('{id}')"))
        .await
        .expect(200)
        .json();
    assert_eq!(by_key["displayName"], "Inbox");
    let children = c
        .get(&format!("{me}/mailFolders/{id}/childFolders"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        children["value"].as_array().map(Vec::len),
        inbox["childFolderCount"].as_u64().map(|n| n as usize)
    );
    let class = "$expand=singleValueExtendedProperties($filter=id eq 'String 0x3613')";
    let with_class = c
        .get(&format!("{me}/mailFolders/inbox?{class}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        with_class["singleValueExtendedProperties"][0]["value"],
        "IPF.Note"
    );
}

#[tokio::test]
async fn create_change_delete() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let folders = format!("{me}/mailFolders");
    let made = c
        .post(&folders, &json!({"displayName": "Späße/1", "isHidden": true}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (made["isHidden"].as_bool(), made["displayName"].as_str()),
        (Some(true), Some("Späße/1"))
    );
    let twice = c
        .post(&folders, &json!({"displayName": "späße/1"}))
        .await
        .expect(409);
    assert_eq!(twice.code(), "ErrorFolderExists");
    let id = made["id"].as_str().expect("id");
    let child = c
        .post(
            &format!("{folders}/{id}/childFolders"),
            &json!({"displayName": "below"}),
        )
        .await
        .expect(201);
    let child = child.json()["id"].as_str().expect("id").to_owned();
    let renamed = c
        .patch(&format!("{folders}/{id}"), &json!({"displayName": "Other"}))
        .await
        .expect(200)
        .json();
    assert_eq!(renamed["displayName"], "Other");
    c.patch(&format!("{folders}/{id}"), &json!({"isHidden": false}))
        .await
        .expect(400);
    c.post(&format!("{folders}/{id}/move"), &json!({"destinationId": child}))
        .await
        .expect(400);
    c.post(
        &format!("{folders}/{child}/move"),
        &json!({"destinationId": "archive"}),
    )
    .await
    .expect(201);
    c.delete(&format!("{folders}/inbox")).await.expect(403);
    // First into Deleted Items, then for good.
    c.delete(&format!("{folders}/{id}")).await.expect(204);
    let bin = c
        .get(&format!(
            "{folders}/deleteditems/childFolders?includeHiddenFolders=true"
        ))
        .await
        .json();
    assert_eq!(bin["value"][0]["id"], id);
    c.delete(&format!("{folders}/{id}")).await.expect(204);
    assert_eq!(
        c.get(&format!("{folders}/{id}")).await.expect(404).code(),
        "ErrorItemNotFound"
    );
    assert_eq!(
        c.get(&format!("{folders}/not-an-id")).await.expect(400).code(),
        "ErrorInvalidIdMalformed"
    );
}

#[tokio::test]
async fn delta_of_the_folder_list() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(5)).await;
    let mailbox = &c.emulator.mailboxes()[0];
    let mut next = format!("{}/mailFolders/delta", c.me());
    let mut seen = Vec::new();
    let link = loop {
        let mut request = c.request("GET", &next);
        request = request.header("Prefer", "odata.maxpagesize=4");
        let page = crate::client::send(request).await.expect(200).json();
        seen.extend(page["value"].as_array().expect("value").iter().cloned());
        if let Some(link) = page["@odata.deltaLink"].as_str() {
            break link.to_owned();
        }
        next = page["@odata.nextLink"].as_str().expect("a link").to_owned();
    };
    let truth = mailbox.folders().expect("folders");
    assert_eq!(seen.len(), truth.len(), "every folder of the tree, flat");
    let quiet = c.get(&link).await.expect(200).json();
    assert_eq!(quiet["value"], json!([]));
    let a = mailbox.create_folder("inbox", "new").expect("made");
    mailbox.rename_folder("Projects", "Projekte").expect("renamed");
    mailbox
        .purge_folder("Invoices 2025")
        .or_else(|_| mailbox.purge_folder("Customers"))
        .expect("gone");
    let changes = c.get(&link).await.expect(200).json();
    let list = changes["value"].as_array().expect("value");
    assert!(list.iter().any(|f| f["id"] == a.as_str()));
    assert!(list.iter().any(|f| f["displayName"] == "Projekte"));
    assert!(list.iter().any(|f| f["@removed"]["reason"] == "deleted"));
    mailbox.expire_delta();
    assert_eq!(c.get(&link).await.expect(410).code(), "SyncStateNotFound");
}
