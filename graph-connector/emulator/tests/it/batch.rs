//! `$batch`.

use nakivo_graph_emulator::{Emulator, Fault};
use serde_json::{Value, json};

use crate::client::Client;

fn member<'v>(body: &'v Value, id: &str) -> &'v Value {
    body["responses"]
        .as_array()
        .expect("responses")
        .iter()
        .find(|r| r["id"] == id)
        .expect("the member")
}

#[tokio::test]
async fn members_have_their_own_answers() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(10)).await;
    let me = c.me();
    let truth = c.emulator.mailboxes()[0].messages().expect("truth")[0].clone();
    let body = json!({"requests": [
        {"id": "1", "method": "GET", "url": format!("/{me}/messages/{}", truth.mutable_id)},
        {"id": "2", "method": "GET", "url": format!("{me}/messages/{}", truth.mutable_id), "headers": {"Prefer": "IdType=\"ImmutableId\""}},
        {"id": "3", "method": "GET", "url": format!("/{me}/messages/AAAA")},
        {"id": "4", "method": "GET", "url": "/users", "dependsOn": ["3"]},
        {"id": "5", "method": "POST", "url": format!("/{me}/mailFolders"), "headers": {"Content-Type": "application/json"}, "body": {"displayName": "made"}},
        {"id": "6", "method": "DELETE", "url": format!("/{me}/messages/{}", truth.id), "dependsOn": ["2"]},
    ]});
    let answer = c.post("$batch", &body).await.expect(200).json();
    assert_eq!(answer["responses"].as_array().map(Vec::len), Some(6));
    assert_eq!(member(&answer, "1")["body"]["id"], truth.mutable_id.as_str());
    assert_eq!(
        member(&answer, "2")["body"]["id"],
        truth.id.as_str(),
        "headers of the member decide"
    );
    assert_eq!(member(&answer, "3")["status"], 400);
    assert_eq!(member(&answer, "4")["status"], 424);
    assert_eq!(member(&answer, "5")["status"], 201);
    assert_eq!(
        (
            member(&answer, "6")["status"].as_u64(),
            member(&answer, "6")["body"].is_null()
        ),
        (Some(204), true)
    );
}

#[tokio::test]
async fn one_member_is_throttled() {
    let c = Client::start(Emulator::builder().users(1)).await;
    c.emulator.faults().add(
        Fault::status(429)
            .code("ApplicationThrottled")
            .retry_after(7)
            .path("mailFolders")
            .at_request(2),
    );
    let requests: Vec<Value> =
        (0..20).map(|n| json!({"id": n.to_string(), "method": "GET", "url": format!("/{}/mailFolders/inbox", c.me())})).collect();
    let answer = c
        .post("$batch", &json!({"requests": requests}))
        .await
        .expect(200)
        .json();
    let throttled: Vec<&Value> = answer["responses"]
        .as_array()
        .expect("list")
        .iter()
        .filter(|r| r["status"] == 429)
        .collect();
    assert_eq!(throttled.len(), 1);
    assert_eq!(throttled[0]["headers"]["Retry-After"], "7");
    let order: Vec<&str> = answer["responses"]
        .as_array()
        .expect("list")
        .iter()
        .filter_map(|r| r["id"].as_str())
        .collect();
    assert_ne!(
        order,
        (0..20).map(|n| n.to_string()).collect::<Vec<_>>(),
        "another order"
    );
}

#[tokio::test]
async fn batches_that_are_refused() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let get = |id: &str| json!({"id": id, "method": "GET", "url": "/users"});
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string())).collect();
    for requests in [
        json!(many),
        json!([get("a"), get("A")]),
        json!([]),
        json!([{"method": "GET", "url": "/users"}]),
        json!([{"id": "1", "method": "POST", "url": "/users", "body": {}}]),
        json!([{"id": "1", "method": "POST", "url": "/$batch"}]),
        json!([{"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]}]),
    ] {
        c.post("$batch", &json!({"requests": requests})).await.expect(400);
    }
}

#[tokio::test]
async fn faults_of_the_envelope() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let body = json!({"requests": [{"id": "1", "method": "GET", "url": "/users"}]});
    c.emulator
        .faults()
        .add(Fault::status(503).path("$batch").times(1));
    c.post("$batch", &body).await.expect(503);
    c.emulator.faults().add(Fault::status(500).times(1));
    let answer = c.post("$batch", &body).await.expect(200).json();
    assert_eq!(
        member(&answer, "1")["status"],
        500,
        "a rule without a path is for the members"
    );
}
