//! Creating and changing messages as a recovery does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nakivo_graph_emulator::Emulator;
use serde_json::{Value, json};

use crate::client::{Client, encode, send};

const MARK: &str = "String {8ECCC264-6880-4EBE-992F-8888D2EEAA1D} Name BackupItemId";

fn delivered() -> Value {
    json!({
        "subject": "Grüße",
        "body": {"contentType": "HTML", "content": "<p>They were <b>awesome</b></p>"},
        "from": {"emailAddress": {"name": "Somebody Else", "address": "else@tailspin.example"}},
        "sender": {"emailAddress": {"name": "Somebody Else", "address": "else@tailspin.example"}},
        "toRecipients": [{"emailAddress": {"address": "c@d.example"}}],
        "internetMessageId": "<old-1@tailspin.example>",
        "isRead": false,
        "categories": ["Red category"],
        "flag": {"flagStatus": "flagged"},
        "importance": "High",
        "receivedDateTime": "2001-01-01T00:00:00Z",
        "sentDateTime": "2001-01-01T00:00:00Z",
        "isDraft": false,
        "singleValueExtendedProperties": [
            {"id": "Integer 0x0E07", "value": "4"},
            {"id": "SystemTime 0x0E06", "value": "2019-05-06T07:08:09Z"},
            {"id": "SystemTime 0x0039", "value": "2019-05-06T07:08:00Z"},
            {"id": "String 0x007D", "value": "Received: from a by b; Mon, 6 May 2019 07:08:09 +0000\r\nFrom: Somebody Else <else@tailspin.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain\r\nX-Odd: 1\r\n"},
            {"id": MARK, "value": "item-42"},
        ],
    })
}

#[tokio::test]
async fn a_delivered_message() {
    let c = Client::start(Emulator::builder().users(1)).await.immutable();
    let me = c.me();
    let made = c
        .post(&format!("{me}/mailFolders/archive/messages"), &delivered())
        .await
        .expect(201)
        .json();
    let id = made["id"].as_str().expect("id");
    assert_eq!(
        (made["isDraft"].as_bool(), made["isRead"].as_bool()),
        (Some(false), Some(false))
    );
    assert_eq!(
        (made["receivedDateTime"].as_str(), made["sentDateTime"].as_str()),
        (Some("2019-05-06T07:08:09Z"), Some("2019-05-06T07:08:00Z"))
    );
    assert_eq!(made["from"]["emailAddress"]["address"], "else@tailspin.example");
    assert_eq!(
        (
            made["categories"][0].as_str(),
            made["flag"]["flagStatus"].as_str(),
            made["importance"].as_str()
        ),
        (Some("Red category"), Some("flagged"), Some("high"))
    );
    assert!(
        made.get("singleValueExtendedProperties").is_none(),
        "never returned unasked"
    );

    // Found again by the mark, by the Message-ID, not by another value.
    for (value, hits) in [("item-42", 1), ("item-43", 0)] {
        let filter =
            format!("singleValueExtendedProperties/any(ep: ep/id eq '{MARK}' and ep/value eq '{value}')");
        let found = c
            .get(&format!("{me}/messages?$filter={}", encode(&filter)))
            .await
            .expect(200)
            .json();
        assert_eq!(found["value"].as_array().map(Vec::len), Some(hits), "{value}");
    }
    let by_id = c
        .get(&format!(
            "{me}/messages?$filter={}",
            encode("internetMessageId eq '<old-1@tailspin.example>'")
        ))
        .await
        .json();
    assert_eq!(by_id["value"][0]["id"], id);
    let expand =
        format!("$expand=singleValueExtendedProperties($filter=id eq '{MARK}' or id eq 'SystemTime 0x0E06')");
    let shown = c
        .get(&format!(
            "{me}/messages/{id}?{}",
            expand.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D")
        ))
        .await
        .expect(200)
        .json();
    assert_eq!(
        shown["singleValueExtendedProperties"].as_array().map(Vec::len),
        Some(2)
    );
    c.get(&format!(
        "{me}/messages/{id}?$expand=singleValueExtendedProperties"
    ))
    .await
    .expect(400);

    let mime = String::from_utf8(
        c.get(&format!("{me}/messages/{id}/$value"))
            .await
            .expect(200)
            .body,
    )
    .expect("text");
    assert!(
        mime.starts_with("Received: from a by b; Mon, 6 May 2019 07:08:09 +0000\r\n")
            && mime.contains("X-Odd: 1\r\n")
    );
    assert!(
        !mime.contains("Content-Type: text/plain\r\nX-Odd"),
        "the structure is the rebuilt one"
    );
    assert_eq!(mime.matches("MIME-Version").count(), 1);
}

#[tokio::test]
async fn drafts_and_what_is_ignored() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let mut body = delivered();
    body["singleValueExtendedProperties"] = json!([{"id": MARK, "value": "x"}]);
    let made = c
        .post(&format!("{me}/mailFolders/inbox/messages"), &body)
        .await
        .expect(201)
        .json();
    assert_eq!(made["isDraft"], true, "no 0x0E07 in the request: a draft");
    assert!(
        !made["receivedDateTime"]
            .as_str()
            .unwrap_or("")
            .starts_with("2001"),
        "JSON dates have no effect"
    );
    let id = made["id"].as_str().expect("id");
    // Neither flags nor times can be given later.
    let late = json!({"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "1"}, {"id": "SystemTime 0x0E06", "value": "2019-05-06T07:08:09Z"}]});
    let patched = c
        .patch(&format!("{me}/messages/{id}"), &late)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            patched["isDraft"].as_bool(),
            patched["receivedDateTime"] == made["receivedDateTime"]
        ),
        (Some(true), true)
    );
    let patched = c
        .patch(
            &format!("{me}/messages/{id}"),
            &json!({"subject": "new", "isRead": true}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (patched["subject"].as_str(), patched["isRead"].as_bool()),
        (Some("new"), Some(true))
    );
    assert_ne!(patched["changeKey"], made["changeKey"]);

    let bit8 =
        json!({"subject": "b", "singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "8"}]});
    assert_eq!(
        c.post(&format!("{me}/messages"), &bit8).await.expect(201).json()["isDraft"],
        true
    );
    let read =
        json!({"subject": "b", "singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "1"}]});
    let read = c.post(&format!("{me}/messages"), &read).await.expect(201).json();
    assert_eq!(
        (read["isDraft"].as_bool(), read["isRead"].as_bool()),
        (Some(false), Some(true))
    );
}

#[tokio::test]
async fn what_is_refused() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let post = format!("{me}/messages");
    let cases = [
        (
            json!({"subject": "x", "internetMessageHeaders": [{"name": "Received", "value": "y"}]}),
            "InvalidInternetMessageHeader",
        ),
        (
            json!({"subject": "x", "replyTo": [{"emailAddress": {"name": "n", "address": "not an address"}}]}),
            "ErrorInvalidRecipients",
        ),
        (
            json!({"subject": "x", "replyTo": [{"emailAddress": {"name": "n"}}]}),
            "ErrorInvalidRecipients",
        ),
        (json!({"subject": 5}), "RequestBodyRead"),
        (json!({"subject": "x", "colour": "red"}), "RequestBodyRead"),
        (json!({"subject": "x", "importance": "urgent"}), "RequestBodyRead"),
        (
            json!({"singleValueExtendedProperties": [{"id": "0x0E07", "value": "4"}]}),
            "ErrorInvalidPropertyId",
        ),
        (
            json!({"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": 4}]}),
            "RequestBodyRead",
        ),
        (
            json!({"singleValueExtendedProperties": [{"id": "SystemTime 0x0E06", "value": "yesterday"}]}),
            "ErrorInvalidPropertyValue",
        ),
        (
            json!({"@odata.type": "#microsoft.graph.eventMessage", "subject": "x"}),
            "ErrorInvalidRequest",
        ),
    ];
    for (body, code) in cases {
        let answer = c.post(&post, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{body}");
    }
    let broken = send(
        c.request("POST", &post)
            .header("Content-Type", "application/json")
            .body("{"),
    )
    .await;
    broken.expect(400);
    let big = json!({"subject": "x", "body": {"contentType": "text", "content": "y".repeat(4_300_000)}});
    c.post(&post, &big).await.expect(413);
    assert!(
        c.emulator.mailboxes()[0].messages().expect("truth").is_empty(),
        "nothing was made"
    );

    let mut sent = delivered();
    sent["replyTo"] = json!([{"emailAddress": {"name": "ok", "address": "ok@d.example"}}]);
    let id = c.post(&post, &sent).await.expect(201).json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    for body in [
        json!({"subject": "y"}),
        json!({"body": {"contentType": "text", "content": "y"}}),
        json!({"toRecipients": []}),
        json!({"internetMessageId": "<a@b>"}),
    ] {
        let answer = c.patch(&format!("{me}/messages/{id}"), &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "ErrorInvalidPropertySet"),
            "{body}"
        );
    }
    let fine = json!({"categories": ["Blue category"], "flag": {"flagStatus": "complete"}, "importance": "low", "isRead": true, "inferenceClassification": "other"});
    let fine = c
        .patch(&format!("{me}/messages/{id}"), &fine)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            fine["categories"][0].as_str(),
            fine["inferenceClassification"].as_str()
        ),
        (Some("Blue category"), Some("other"))
    );
    let stale = c
        .request("PATCH", &format!("{me}/messages/{id}"))
        .header("Content-Type", "application/json")
        .header("If-Match", "W/\"x\"")
        .body("{\"isRead\":true}");
    send(stale).await.expect(412);
}

#[tokio::test]
async fn mime_is_always_a_draft() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let raw = "Date: Mon, 6 May 2019 07:08:09 +0000\r\nReceived: from a by b; Mon, 6 May 2019 07:08:09 +0000\r\nSubject: mime\r\n\r\nx\r\n";
    let post = |body: String| {
        c.request("POST", &format!("{me}/mailFolders/inbox/messages"))
            .header("Content-Type", "text/plain")
            .body(body)
    };
    let made = send(post(STANDARD.encode(raw))).await.expect(201).json();
    assert_eq!(
        (made["isDraft"].as_bool(), made["subject"].as_str()),
        (Some(true), Some("mime"))
    );
    assert!(
        !made["receivedDateTime"]
            .as_str()
            .unwrap_or("")
            .starts_with("2019"),
        "received now"
    );
    let bad = send(post("*** not base64".into())).await.expect(400);
    assert_eq!(bad.code(), "ErrorMimeContentInvalidBase64String");
}

#[tokio::test]
async fn attachments_of_all_kinds() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let id = c
        .post(&format!("{me}/messages"), &delivered())
        .await
        .expect(201)
        .json()["id"]
        .as_str()
        .expect("id")
        .to_owned();
    let attachments = format!("{me}/messages/{id}/attachments");
    let file = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "smile.gif", "contentBytes": STANDARD.encode(b"GIF89a"), "isInline": true, "contentId": "smile"});
    let file = c.post(&attachments, &file).await.expect(201).json();
    assert_eq!(
        (file["contentType"].as_str(), file["contentId"].as_str()),
        (Some("image/gif"), Some("smile"))
    );
    assert_eq!(
        c.get(&format!("{me}/messages/{id}")).await.json()["hasAttachments"],
        false,
        "inline only"
    );
    let nested = json!({"@odata.type": "#microsoft.graph.itemAttachment", "name": "Inner", "item": {"@odata.type": "microsoft.graph.message", "subject": "Inner", "body": {"contentType": "text", "content": "in"}}});
    let item = c.post(&attachments, &nested).await.expect(201).json();
    let event = json!({"@odata.type": "#microsoft.graph.itemAttachment", "name": "Holiday event", "item": {"@odata.type": "microsoft.graph.event", "subject": "Gifts", "start": {"dateTime": "2016-12-02T18:00:00", "timeZone": "UTC"}, "end": {"dateTime": "2016-12-02T19:00:00", "timeZone": "UTC"}}});
    c.post(&attachments, &event).await.expect(201);
    let reference = json!({"@odata.type": "#microsoft.graph.referenceAttachment", "name": "Sheet.xlsx"});
    let reference = c.post(&attachments, &reference).await.expect(201).json();
    let reference = format!("{attachments}/{}", reference["id"].as_str().expect("id"));
    c.get(&reference).await.expect(200);
    c.get(&format!("{reference}/$value")).await.expect(405);

    let raw = c
        .get(&format!(
            "{attachments}/{}/$value",
            item["id"].as_str().expect("id")
        ))
        .await
        .expect(200);
    assert!(String::from_utf8_lossy(&raw.body).contains("Subject: Inner"));
    let list = c
        .get(&format!(
            "{attachments}?$expand=microsoft.graph.itemAttachment/item"
        ))
        .await
        .expect(200)
        .json();
    assert_eq!(list["value"].as_array().map(Vec::len), Some(4));
    assert_eq!(list["value"][1]["item"]["subject"], "Inner");
    let mime = String::from_utf8_lossy(
        &c.get(&format!("{me}/messages/{id}/$value"))
            .await
            .expect(200)
            .body,
    )
    .into_owned();
    assert!(
        mime.contains("Content-ID: <smile>")
            && mime.contains("message/rfc822")
            && mime.contains("multipart/related")
    );

    let mut stripped = nested.clone();
    stripped["item"]["isDraft"] = json!(true);
    c.post(&attachments, &stripped).await.expect(400);
    for bad in [
        json!({"name": "x", "contentBytes": ""}),
        json!({"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": "AA=="}),
        json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "%%"}),
    ] {
        c.post(&attachments, &bad).await.expect(400);
    }
    let large = json!({"@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": STANDARD.encode(vec![7; 3_000_001])});
    c.post(&attachments, &large).await.expect(413);
    let file = format!("{attachments}/{}", file["id"].as_str().expect("id"));
    c.delete(&file).await.expect(204);
    c.get(&file).await.expect(404);
    assert_eq!(
        c.get(&attachments).await.json()["value"].as_array().map(Vec::len),
        Some(3)
    );
}
