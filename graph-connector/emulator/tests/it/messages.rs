//! Lists, single messages, MIME, moves.

use nakivo_graph_emulator::Emulator;
use serde_json::json;

use crate::client::{Client, send};

#[tokio::test]
async fn list_pages_and_filters() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(80)).await;
    let me = c.me();
    let mailbox = c.emulator.mailboxes()[0].clone();
    let first = c.get(&format!("{me}/messages")).await.expect(200).json();
    assert_eq!(first["value"].as_array().map(Vec::len), Some(10));
    let inbox = c
        .all(&format!(
            "{me}/mailFolders/inbox/messages?$top=7&$select=id,receivedDateTime"
        ))
        .await;
    let truth = mailbox.messages_in("inbox").expect("truth");
    let ids: Vec<&str> = inbox.iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(
        ids,
        truth.iter().map(|m| m.mutable_id.as_str()).collect::<Vec<_>>(),
        "newest first"
    );
    assert!(
        inbox
            .iter()
            .all(|m| m.get("subject").is_none() && m["@odata.etag"].is_string())
    );

    let wanted = truth[3].internet_message_id.clone().expect("an id");
    let query = crate::client::encode(&format!("internetMessageId eq '{wanted}'"));
    let found = c
        .get(&format!("{me}/messages?$filter={query}"))
        .await
        .expect(200)
        .json();
    assert_eq!(found["value"][0]["id"], truth[3].mutable_id.as_str());
    assert_eq!(found["value"].as_array().map(Vec::len), Some(1));
    let unread = c
        .all(&format!(
            "{me}/mailFolders/inbox/messages?$filter=isRead eq false&$top=50"
        ))
        .await;
    assert_eq!(unread.len(), truth.iter().filter(|m| !m.is_read).count());
    let bad = c
        .get(&format!("{me}/messages?$filter=colour eq 'red'"))
        .await
        .expect(400);
    assert_eq!(bad.code(), "ErrorInvalidUrlQueryFilter");
    let search = c.all(&format!("{me}/mailFolders")).await;
    let search = search
        .iter()
        .find(|f| f["@odata.type"].is_string())
        .expect("a search folder");
    let id = search["id"].as_str().expect("id");
    let through = c.all(&format!("{me}/mailFolders/{id}/messages?$top=100")).await;
    assert_eq!(
        through.len() as u64,
        search["totalItemCount"].as_u64().expect("a count")
    );
}

#[tokio::test]
async fn odd_urls_are_routed() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(10)).await;
    let user = c.emulator.mailboxes()[0].user_id().to_owned();
    let base = c.emulator.graph_url().to_owned();
    let inbox = c.emulator.mailboxes()[0].folder_id("inbox").expect("id");
    for path in [
        format!("{base}//users/{user}//mailFolders"),
        format!("{base}/Users('{user}')/MAILFOLDERS('{inbox}')/Messages/microsoft.graph.delta()"),
        format!(
            "{base}/users/{user}/mailFolders('{}')/messages/delta()",
            inbox.replace('=', "%3D")
        ),
        format!("{base}/users/{user}/mailFolders/{inbox}/messages/delta?%24select=subject"),
        format!(
            "{base}/users/{}/messages?%24top=1",
            c.emulator.mailboxes()[0].address().to_uppercase()
        ),
    ] {
        c.get(&path).await.expect(200);
    }
    let wrong = c
        .get(&format!("{}/beta/users", c.emulator.login_url()))
        .await
        .expect(400);
    assert_eq!(wrong.code(), "BadRequest");
    c.get("me/messages").await.expect(400);
    c.get("users/x/nonsense").await.expect(400);
    c.send_json("PUT", "users", &json!({})).await.expect(405);
    // Query names are case-insensitive too.
    let one = c.get(&format!("users/{user}/messages?$TOP=1")).await.json();
    assert_eq!(one["value"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn headers_are_echoed() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let request = c
        .request("GET", "users/none")
        .header("client-request-id", "11111111-2222-4333-8444-555555555555");
    let answer = send(request).await.expect(404);
    let body = answer.json();
    assert_eq!(
        answer.header("client-request-id"),
        Some("11111111-2222-4333-8444-555555555555")
    );
    let inner = &body["error"]["innerError"];
    assert_eq!(inner["client-request-id"], "11111111-2222-4333-8444-555555555555");
    assert_eq!(inner["request-id"].as_str(), answer.header("request-id"));
    assert!(
        inner["date"]
            .as_str()
            .is_some_and(|d| d.len() == 19 && !d.ends_with('Z'))
    );
}

#[tokio::test]
async fn loaded_mail_is_served_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let odd = b"From: x\n\tbroken <<>\nSubject: =?utf-8?Q?caf=C3=A9?=\n\nbare newlines\n".to_vec();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a.eml", b"Received: from a by b; Tue, 3 Mar 2020 10:00:00 +0100\r\nReceived: from z by a; Mon, 2 Mar 2020 09:00:00 +0000\r\nDate: Mon, 2 Mar 2020 08:00:00 +0000\r\nFrom: =?utf-8?B?w4Q=?= <a@b.example>\r\nTo: \"B, C\" <c@d.example>, e@f.example\r\nMessage-ID: <1@b.example>\r\nSubject: One\r\nX-Priority: 1\r\n\r\nHello\r\n".to_vec()),
        ("b.eml", odd),
        ("c.eml", Vec::new()),
        ("d.eml", vec![0, 255, 254, 10, 10, 7]),
        ("e.eml", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody\r\n--x\r\nContent-Type: text/csv; charset=iso-8859-1; name=t.csv\r\nContent-Disposition: attachment; filename=t.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n5Pb8\r\n--x".to_vec()),
    ];
    std::fs::create_dir_all(dir.path().join("Work/Deep")).expect("folders");
    for (name, raw) in &cases {
        std::fs::write(dir.path().join(name), raw).expect("written");
        std::fs::write(dir.path().join("Work/Deep").join(name), raw).expect("written");
    }
    let c = Client::start(Emulator::builder().users(1).mail_from(dir.path()))
        .await
        .immutable();
    let me = c.me();
    let mailbox = c.emulator.mailboxes()[0].clone();
    for folder in ["inbox", "Work/Deep"] {
        let truth = mailbox.messages_in(folder).expect("truth");
        assert_eq!(truth.len(), cases.len());
        let mut served: Vec<Vec<u8>> = Vec::new();
        for m in &truth {
            c.get(&format!("{me}/messages/{}", m.id)).await.expect(200);
            served.push(
                c.get(&format!("{me}/messages/{}/$value", m.id))
                    .await
                    .expect(200)
                    .body,
            );
            assert_eq!(
                mailbox.mime(&m.id).expect("mime").as_ref(),
                served.last().expect("one").as_slice()
            );
        }
        served.sort();
        let mut expected: Vec<Vec<u8>> = cases.iter().map(|c| c.1.clone()).collect();
        expected.sort();
        assert_eq!(served, expected);
    }
    let one = mailbox
        .messages_in("inbox")
        .expect("truth")
        .into_iter()
        .find(|m| m.subject == "One")
        .expect("One");
    let json = c.get(&format!("{me}/messages/{}", one.id)).await.json();
    assert_eq!(
        json["receivedDateTime"], "2020-03-03T09:00:00Z",
        "the topmost Received"
    );
    assert_eq!(json["sentDateTime"], "2020-03-02T08:00:00Z");
    assert_eq!(
        json["from"]["emailAddress"],
        json!({"name": "Ä", "address": "a@b.example"})
    );
    assert_eq!(json["toRecipients"][0]["emailAddress"]["name"], "B, C");
    assert_eq!(
        (json["importance"].as_str(), json["body"]["contentType"].as_str()),
        (Some("high"), Some("text"))
    );
    let headers = c
        .get(&format!(
            "{me}/messages/{}?$select=internetMessageHeaders",
            one.id
        ))
        .await
        .json();
    assert_eq!(
        headers["internetMessageHeaders"].as_array().map(Vec::len),
        Some(8)
    );
    assert!(json.get("internetMessageHeaders").is_none());

    let nested = mailbox
        .messages_in("inbox")
        .expect("truth")
        .into_iter()
        .find(|m| m.attachments == 2)
        .expect("e.eml");
    let list = c
        .get(&format!("{me}/messages/{}/attachments", nested.id))
        .await
        .expect(200)
        .json();
    let inner = &list["value"][0];
    assert_eq!(
        (inner["@odata.type"].as_str(), inner["name"].as_str()),
        (Some("#microsoft.graph.itemAttachment"), Some("inner"))
    );
    let path = format!(
        "{me}/messages/{}/attachments/{}",
        nested.id,
        inner["id"].as_str().expect("id")
    );
    let raw = c.get(&format!("{path}/$value")).await.expect(200);
    assert!(raw.body.starts_with(b"Subject: inner"));
    let item = c
        .get(&format!("{path}?$expand=microsoft.graph.itemAttachment/item"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (item["item"]["subject"].as_str(), item["item"]["id"].as_str()),
        (Some("inner"), Some(""))
    );
    let csv = list["value"][1]["id"].as_str().expect("id");
    let bytes = c
        .get(&format!("{me}/messages/{}/attachments/{csv}/$value", nested.id))
        .await
        .expect(200);
    assert_eq!(bytes.body, [0xE4, 0xF6, 0xFC], "the bytes, not their Unicode");

    c.emulator.set(|s| s.rebuild_mime = true);
    let rebuilt = c
        .get(&format!("{me}/messages/{}/$value", one.id))
        .await
        .expect(200);
    assert_ne!(rebuilt.body, cases[0].1);
    assert!(String::from_utf8_lossy(&rebuilt.body).contains("Subject: One\r\n"));
}

#[tokio::test]
async fn moves_copies_deletes() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox
        .add_message("inbox", "Subject: m\r\n\r\nx\r\n")
        .expect("added");
    let before = c.get(&format!("{me}/messages/{id}")).await.json();
    let moved = c
        .post(
            &format!("{me}/messages/{id}/move"),
            &json!({"destinationId": "archive"}),
        )
        .await
        .expect(201)
        .json();
    assert_ne!(moved["id"], before["id"]);
    assert_ne!(moved["changeKey"], before["changeKey"]);
    assert_eq!(
        moved["parentFolderId"],
        mailbox.folder_id("archive").expect("id").as_str()
    );
    let copy = c
        .post(
            &format!("{me}/messages/{id}/copy"),
            &json!({"destinationId": "inbox"}),
        )
        .await
        .expect(201)
        .json();
    assert_ne!(copy["id"], moved["id"]);
    assert_eq!(mailbox.messages_in("inbox").expect("truth").len(), 1);
    c.post(
        &format!("{me}/messages/{id}/move"),
        &json!({"destinationId": "nowhere"}),
    )
    .await
    .expect(404);
    let stale = send(
        c.request("DELETE", &format!("{me}/messages/{id}"))
            .header("If-Match", "W/\"old\""),
    )
    .await;
    assert_eq!(stale.expect(412).code(), "ErrorIrresolvableConflict");
    c.delete(&format!("{me}/messages/{id}")).await.expect(204);
    assert_eq!(
        mailbox.message(&id).expect("truth").folder_id,
        mailbox.folder_id("deleteditems").expect("id")
    );
    c.delete(&format!("{me}/messages/{id}")).await.expect(204);
    assert_eq!(mailbox.messages().expect("truth").len(), 1, "out of sight");
    c.delete(&format!("{me}/messages/{id}")).await.expect(204);
    c.delete(&format!("{me}/messages/{id}")).await.expect(404);
    let made = mailbox.messages().expect("truth")[0].clone();
    let body = json!({"inputIds": [made.mutable_id], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"});
    let translated = c
        .post(&format!("{me}/translateExchangeIds"), &body)
        .await
        .expect(200)
        .json();
    assert_eq!(translated["value"][0]["targetId"], made.id.as_str());
}
