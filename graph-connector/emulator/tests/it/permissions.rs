//! Roles, and the words of each service when one is missing.

use nakivo_graph_emulator::{App, Emulator};
use serde_json::json;

use crate::client::Client;

async fn as_role(c: &mut Client, role: &str) {
    c.emulator.register(App::new("narrow").secret("s").role(role));
    c.token = c.fetch_token("narrow", "s").await;
}

#[tokio::test]
async fn each_call_needs_its_role() {
    let mut c = Client::start(Emulator::builder().users(1).items_per_user(30)).await;
    let me = c.me();
    let id = c.emulator.mailboxes()[0].messages_in("inbox").expect("inbox")[0]
        .mutable_id
        .clone();
    let message = format!("{me}/messages/{id}");
    // (role, path, status, code)
    let cases = [
        (
            "Mail.Read",
            "users".to_owned(),
            403,
            "Authorization_RequestDenied",
        ),
        (
            "Mail.Read",
            "organization".to_owned(),
            403,
            "Authorization_RequestDenied",
        ),
        (
            "Mail.Read",
            format!("{me}/mailboxSettings"),
            403,
            "ErrorAccessDenied",
        ),
        ("Mail.Read", format!("{me}/mailFolders"), 200, ""),
        ("Mail.Read", format!("{message}/$value"), 200, ""),
        (
            "User.Read.All",
            format!("{me}/mailFolders"),
            403,
            "ErrorAccessDenied",
        ),
        ("User.Read.All", "users".to_owned(), 200, ""),
        ("User.ReadBasic.All", "users".to_owned(), 200, ""),
        (
            "MailboxSettings.Read",
            format!("{me}/mailboxSettings/userPurpose"),
            200,
            "",
        ),
        ("Mail.ReadBasic.All", message.clone(), 200, ""),
        (
            "Mail.ReadBasic.All",
            format!("{message}/$value"),
            403,
            "ErrorAccessDenied",
        ),
        (
            "Mail.ReadBasic.All",
            format!("{message}/attachments"),
            403,
            "ErrorAccessDenied",
        ),
        ("Organization.Read.All", "organization".to_owned(), 200, ""),
        ("Nothing", "users".to_owned(), 403, "Authorization_RequestDenied"),
    ];
    for (role, path, status, code) in cases {
        as_role(&mut c, role).await;
        let answer = c.get(&path).await;
        assert_eq!(answer.status, status, "{role} {path}");
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{role} {path}");
        }
    }
    as_role(&mut c, "Mail.ReadBasic.All").await;
    let basic = c.get(&message).await.json();
    assert!(
        basic.get("body").is_none() && basic.get("bodyPreview").is_none() && basic["subject"].is_string()
    );
    as_role(&mut c, "Mail.Read").await;
    let refused = c
        .post(&format!("{me}/messages"), &json!({"subject": "x"}))
        .await
        .expect(403);
    assert_eq!(refused.code(), "ErrorAccessDenied");
    assert_eq!(c.delete(&message).await.expect(403).code(), "ErrorAccessDenied");
}

#[tokio::test]
async fn grants_take_effect_with_the_next_token() {
    let mut c = Client::start(Emulator::builder().roles([])).await;
    c.get("users").await.expect(403);
    let app = c.emulator.app_id().to_owned();
    c.emulator.grant(&app, ["User.Read.All"]);
    c.get("users").await.expect(403);
    c.token = c.fetch_token(&app, c.emulator.client_secret()).await;
    c.get("users").await.expect(200);
}

#[tokio::test]
async fn mailboxes_out_of_reach() {
    let builder = Emulator::builder()
        .users(2)
        .users_without_mailbox(1)
        .shared_mailboxes(1);
    let mut c = Client::start(builder).await;
    let none = c
        .get("users/service01@fabrika.example/mailFolders")
        .await
        .expect(404);
    assert_eq!(none.code(), "MailboxNotEnabledForRESTAPI");
    let unknown = c
        .get("users/nobody@fabrika.example/mailFolders")
        .await
        .expect(404);
    assert_eq!(unknown.code(), "ErrorInvalidUser");
    assert_eq!(
        c.get("users/nobody@fabrika.example").await.expect(404).code(),
        "Request_ResourceNotFound"
    );
    let shared = c
        .get("users/shared01@fabrika.example/mailboxSettings/userPurpose")
        .await
        .expect(200)
        .json();
    assert_eq!(shared["value"], "shared");

    let boxes = c.emulator.mailboxes();
    let app = App::new("policy")
        .secret("s")
        .role("Mail.Read")
        .only_mailboxes([boxes[0].address()]);
    c.emulator.register(app);
    c.token = c.fetch_token("policy", "s").await;
    c.get(&format!("users/{}/mailFolders", boxes[0].user_id()))
        .await
        .expect(200);
    let denied = c
        .get(&format!("users/{}/mailFolders", boxes[1].user_id()))
        .await
        .expect(403);
    assert_eq!(denied.code(), "ErrorAccessDenied");
}
