//! What the generator makes: the same for the same seed, and the same in JSON as in MIME.

use nakivo_graph_emulator::Emulator;
use serde_json::Value;

use crate::client::Client;

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    async fn fingerprint(seed: u64) -> Vec<String> {
        let e = Emulator::builder()
            .seed(seed)
            .users(2)
            .items_per_user(40)
            .start()
            .await
            .expect("started");
        let info = e.describe();
        let mut out = vec![
            info.directory_id,
            info.app_id,
            info.client_secret,
            info.mailboxes.join(","),
        ];
        for m in e.mailboxes() {
            for t in m.messages().expect("truth") {
                out.push(format!("{t:?}"));
                out.push(format!("{:?}", m.mime(&t.id).expect("mime")));
                out.push(m.message_json(&t.id).expect("json").to_string());
            }
        }
        out
    }
    let first = fingerprint(5).await;
    assert_eq!(first, fingerprint(5).await);
    assert_ne!(first, fingerprint(6).await);
}

/// JSON made from the recipe must say what the MIME says: it is loaded into another mailbox and compared.
#[tokio::test]
async fn generated_json_agrees_with_generated_mime() {
    let e = Emulator::builder()
        .seed(crate::client::seed())
        .users(1)
        .items_per_user(400)
        .start()
        .await
        .expect("started");
    let mailbox = e.mailboxes()[0].clone();
    let other = e.add_user("copy@fabrika.example", "Copy").expect("added");
    let (mut files, mut items, mut inline, mut html, mut non_ascii) = (0, 0, 0, 0, 0);
    for truth in mailbox.messages().expect("truth") {
        let made = mailbox.message_json(&truth.id).expect("json");
        let copy = other
            .add_message("inbox", mailbox.mime(&truth.id).expect("mime"))
            .expect("added");
        let read = other.message_json(&copy).expect("json");
        for name in [
            "subject",
            "from",
            "sender",
            "toRecipients",
            "ccRecipients",
            "replyTo",
            "internetMessageId",
            "sentDateTime",
            "receivedDateTime",
            "importance",
            "hasAttachments",
            "body",
            "bodyPreview",
        ] {
            if (name == "receivedDateTime" && truth.is_draft)
                || (name == "hasAttachments"
                    && made[name] != read[name]
                    && !has_files(&made, &truth.attachments))
            {
                continue;
            }
            let same = made[name] == read[name] || name == "hasAttachments";
            assert!(
                same,
                "{name} of {}\n{}\n{}",
                truth.subject, made[name], read[name]
            );
        }
        html += usize::from(made["body"]["contentType"] == "html");
        non_ascii += usize::from(!truth.subject.is_ascii());
        let select = "internetMessageHeaders";
        if !truth.is_draft {
            assert_eq!(
                mailbox.message_json_with(&truth.id, select, &[]).expect("json")[select],
                other.message_json_with(&copy, select, &[]).expect("json")[select]
            );
        }
        let text = String::from_utf8_lossy(&mailbox.mime(&truth.id).expect("mime")).into_owned();
        files += text.matches("Content-Disposition: attachment").count();
        items += text.matches("message/rfc822").count();
        inline += text.matches("Content-ID: <logo").count();
        assert!(text.lines().all(|l| l.len() <= 998), "lines fit RFC 5322");
    }
    assert!(
        files > 20 && items > 0 && inline > 10 && html > 100 && non_ascii > 30,
        "{files} {items} {inline} {html} {non_ascii}"
    );
}

fn has_files(json: &Value, parts: &usize) -> bool {
    // A reference attachment has no place in MIME.
    json["hasAttachments"] == true && *parts > 1
}

#[tokio::test]
async fn a_believable_organisation() {
    let c = Client::start(Emulator::builder().users(12).items(1200)).await;
    let users = c.all("users?$top=5").await;
    assert_eq!(users.len(), 12);
    let total: usize = c
        .emulator
        .mailboxes()
        .iter()
        .map(|m| m.message_count().expect("count"))
        .sum();
    assert_eq!(total, 1200);
    let mailbox = c.emulator.mailboxes()[3].clone();
    let folders = mailbox.folders().expect("folders");
    assert!(
        folders
            .iter()
            .any(|f| f.path == "Projects/Nordlicht/Verträge" && f.messages > 0)
    );
    let all = c
        .all(&format!(
            "users/{}/messages?$top=50&$select=conversationId,categories,flag,isRead,isDraft,hasAttachments",
            mailbox.user_id()
        ))
        .await;
    let mut conversations: Vec<&str> = all.iter().filter_map(|m| m["conversationId"].as_str()).collect();
    conversations.sort_unstable();
    conversations.dedup();
    assert!(conversations.len() < all.len() * 3 / 4, "threads");
    let count = |f: &dyn Fn(&Value) -> bool| all.iter().filter(|m| f(m)).count();
    assert!(
        count(&|m| m["categories"][0].is_string()) > 0
            && count(&|m| m["flag"]["flagStatus"] == "flagged") > 0
    );
    assert!(count(&|m| m["isRead"] == false) > 0 && count(&|m| m["hasAttachments"] == true) > 5);
}

#[tokio::test]
async fn bodies_in_the_form_asked_for() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox
        .add_message(
            "inbox",
            "Subject: h\r\nContent-Type: text/html\r\n\r\n<p>a &lt; b</p>\r\n",
        )
        .expect("added");
    let path = format!("{}/messages/{id}?$select=body,uniqueBody", c.me());
    let html = c.get(&path).await.json();
    assert_eq!(html["body"]["contentType"], "html");
    let answer = crate::client::send(
        c.request("GET", &path)
            .header("Prefer", "outlook.body-content-type=\"text\""),
    )
    .await;
    assert_eq!(
        answer.header("preference-applied"),
        Some("outlook.body-content-type=\"text\"")
    );
    let text = answer.json();
    assert_eq!(
        (
            text["body"]["contentType"].as_str(),
            text["body"]["content"].as_str()
        ),
        (Some("text"), Some("a < b\r\n"))
    );
    assert!(text["uniqueBody"].is_object());
    assert!(
        c.get(&format!("{}/messages/{id}", c.me()))
            .await
            .json()
            .get("uniqueBody")
            .is_none()
    );
}

#[tokio::test]
async fn meeting_messages() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let raw = "Subject: m\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b--\r\n";
    let id = c.emulator.mailboxes()[0]
        .add_message("inbox", raw)
        .expect("added");
    let json = c.get(&format!("{}/messages/{id}", c.me())).await.json();
    assert_eq!(
        (json["@odata.type"].as_str(), json["meetingMessageType"].as_str()),
        (
            Some("#microsoft.graph.eventMessageRequest"),
            Some("meetingRequest")
        )
    );
}
