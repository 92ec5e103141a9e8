//! Injected faults, limits, the log and the admin port.

use std::time::Duration;

use nakivo_graph_emulator::{Action, Damage, Emulator, Fault, FaultBody, LinkFault};
use serde_json::json;

use crate::client::{Client, encode, send};

#[tokio::test]
async fn statuses_bodies_and_counts() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(5)).await;
    let faults = c.emulator.faults();
    faults.throttle_next(2, 0);
    for _ in 0..2 {
        let answer = c.get("users").await.expect(429);
        assert_eq!(
            (answer.header("retry-after"), answer.code().as_str()),
            (Some("0"), "ApplicationThrottled")
        );
    }
    c.get("users").await.expect(200);
    faults.fail_at(3, 504);
    c.get("users").await.expect(200);
    c.get("users").await.expect(200);
    c.get("users").await.expect(504);
    c.get("users").await.expect(200);
    for (fault, status, starts) in [
        (Fault::status(503).body(FaultBody::Empty), 503, ""),
        (Fault::status(200).body(FaultBody::Html), 200, "<html>"),
        (
            Fault::status(200).body(FaultBody::Json("{\"value\":[{\"isRead\":\"true\"}]}".into())),
            200,
            "{\"value\"",
        ),
        (Fault::status(500).code("ErrorCorruptData"), 500, "{"),
    ] {
        faults.add(fault.times(1));
        let answer = c.get("users").await.expect(status);
        assert!(String::from_utf8_lossy(&answer.body).starts_with(starts));
    }
    let rate = faults.add(Fault::status(500).rate(0.3, 9));
    let mut failed = 0;
    for _ in 0..100 {
        failed += u32::from(c.get("users").await.status == 500);
    }
    assert!((15..45).contains(&failed), "{failed}");
    faults.remove(rate);
    c.get("users").await.expect(200);
    assert_eq!(faults.struck(), u64::from(failed) + 7);
}

#[tokio::test]
async fn broken_transfers() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let whole = c.get("organization").await.body;
    let faults = c.emulator.faults();
    for damage in [
        Damage::CutAt(0),
        Damage::CutAt(20),
        Damage::CutAt(usize::MAX),
        Damage::CutChunkedAt(20),
    ] {
        faults.add(Fault::new(Action::Damage(damage.clone())).times(1));
        let broken = match c.request("GET", "organization").send().await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken, "{damage:?}");
    }
    faults.add(Fault::new(Action::Damage(Damage::ShortenTo(20))).times(1));
    assert_eq!(c.get("organization").await.body, &whole[..20]);
    faults.add(Fault::new(Action::Damage(Damage::Append("}}".into()))).times(1));
    assert!(c.get("organization").await.body.ends_with(b"}}"));
    faults.add(Fault::new(Action::Reset).times(1));
    assert!(c.request("GET", "organization").send().await.is_err());
    c.get("organization").await.expect(200);
}

#[tokio::test]
async fn links_are_spoiled() {
    let c = Client::start(Emulator::builder().users(3)).await;
    let faults = c.emulator.faults();
    let link = |kind| Fault::new(Action::Link(kind)).times(1);
    faults.add(link(LinkFault::ForeignHost));
    let foreign = c.get("users?$top=1").await.json();
    assert!(
        foreign["@odata.nextLink"]
            .as_str()
            .is_some_and(|l| l.starts_with("https://graph.attacker.example/v1.0"))
    );
    faults.add(link(LinkFault::Loop));
    let looped = c.get("users?$top=1").await.json();
    assert_eq!(
        looped["@odata.nextLink"].as_str(),
        Some(c.url("users?$top=1").as_str())
    );
    faults.add(link(LinkFault::Huge));
    let huge = c.get("users?$top=1").await.json();
    assert!(
        huge["@odata.nextLink"]
            .as_str()
            .is_some_and(|l| l.len() > 100_000)
    );
}

#[tokio::test]
async fn error_after_success() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let post = format!("{}/messages", c.me());
    c.emulator.faults().add(
        Fault::new(Action::AfterSuccess { status: 500 })
            .method("POST")
            .times(1),
    );
    c.post(&post, &json!({"subject": "twice?"})).await.expect(500);
    assert_eq!(
        mailbox.messages().expect("truth").len(),
        1,
        "it was made all the same"
    );
    c.emulator
        .faults()
        .add(Fault::new(Action::ResetAfterSuccess).method("POST").times(1));
    assert!(
        c.request("POST", &post)
            .header("Content-Type", "application/json")
            .body("{\"subject\":\"x\"}")
            .send()
            .await
            .is_err()
    );
    assert_eq!(mailbox.messages().expect("truth").len(), 2);
    assert_eq!(c.emulator.requests().counters().errors_after_success, 2);
}

#[tokio::test]
async fn corrupt_items_and_the_guard() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(10)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox.messages().expect("truth")[0].id.clone();
    mailbox.corrupt_message(&id, true).expect("set");
    for path in [
        format!("{}/messages/{id}", c.me()),
        format!("{}/messages/{id}/$value", c.me()),
    ] {
        assert_eq!(c.get(&path).await.expect(500).code(), "ErrorCorruptData");
    }
    mailbox.corrupt_message(&id, false).expect("reset");
    c.get(&format!("{}/messages/{id}", c.me())).await.expect(200);
    assert!(
        c.emulator.requests().writes().is_empty(),
        "fetching a token is no write"
    );
    c.emulator.set(|s| s.read_only_guard = true);
    c.patch(&format!("{}/messages/{id}", c.me()), &json!({"isRead": true}))
        .await
        .expect(403);
    let writes = c.emulator.requests().writes();
    assert_eq!(
        (writes.len(), writes[0].operation.as_str()),
        (1, "/users/{id}/messages/{id}")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_mailbox() {
    let c = Client::start(
        Emulator::builder()
            .users(2)
            .settings(|s| s.mailbox_concurrency_limit = true),
    )
    .await;
    let users: Vec<String> = c
        .emulator
        .mailboxes()
        .iter()
        .map(|m| m.user_id().to_owned())
        .collect();
    c.emulator
        .faults()
        .add(Fault::new(Action::Delay { millis: 300 }).path("mailFolders"));
    let paths: Vec<String> = (0..12)
        .map(|n| format!("users/{}/mailFolders/inbox", users[n % 2]))
        .collect();
    let answers = futures::future::join_all(paths.iter().map(|p| c.get(p))).await;
    let throttled: Vec<_> = answers.iter().filter(|a| a.status == 429).collect();
    assert!(
        !throttled.is_empty()
            && answers.iter().filter(|a| a.status == 200).count() >= 8 - throttled.len().min(4)
    );
    assert_eq!(throttled[0].code(), "ApplicationThrottled");
    assert!(throttled[0].header("retry-after").is_some());
    assert!(c.emulator.requests().counters().peak_in_flight > 4);

    c.emulator.faults().clear();
    c.emulator.set(|s| {
        s.mailbox_concurrency_limit = false;
        s.mailbox_rate_limit = true;
    });
    let path = format!("users/{}/mailFolders/inbox?$select=id", users[0]);
    let mut first = None;
    for n in 1..=10_050_u32 {
        if c.get(&path).await.status == 429 {
            first = Some(n);
            break;
        }
    }
    assert_eq!(first, Some(10_001));
    c.emulator.advance(Duration::from_secs(601));
    c.get(&path).await.expect(200);
}

#[tokio::test]
async fn the_log_tells_everything() {
    let c = Client::start(Emulator::builder().users(1)).await.immutable();
    let log = c.emulator.requests();
    log.clear();
    send(
        c.request("GET", "users?$top=1")
            .header("client-request-id", "abc")
            .header("User-Agent", "NONISV|Test|1"),
    )
    .await;
    let all = log.all();
    assert_eq!(all.len(), 1);
    let r = &all[0];
    assert_eq!(
        (
            r.method.as_str(),
            r.target.as_str(),
            r.operation.as_str(),
            r.status
        ),
        ("GET", "/v1.0/users?$top=1", "/users", 200)
    );
    assert_eq!(
        (r.app.as_deref(), r.client_request_id.as_deref()),
        (Some(c.emulator.app_id()), Some("abc"))
    );
    assert_eq!(
        (r.prefer[0].as_str(), r.user_agent.as_deref(), r.authorized),
        ("IdType=\"ImmutableId\"", Some("NONISV|Test|1"), true)
    );
    c.emulator.faults().throttle_next(1, 60);
    let inbox = format!("{}/mailFolders/inbox", c.me());
    c.get(&inbox).await.expect(429);
    c.get(&inbox).await.expect(200);
    assert_eq!(
        log.counters().retry_after_violations,
        1,
        "asked before the time was up"
    );
    c.emulator.advance(Duration::from_secs(61));
    c.get(&inbox).await.expect(200);
    assert_eq!(log.counters().retry_after_violations, 1);
}

#[tokio::test]
async fn the_admin_port() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let admin = c.emulator.admin_url().to_owned();
    let call = |method: &str, path: &str, body: String| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        send(c.http.request(method, format!("{admin}/{path}")).body(body))
    };
    let info = call("GET", "info", String::new()).await.expect(200).json();
    assert_eq!(info, json!(c.emulator.describe()));
    let fault = json!({"action": {"status": {"status": 503, "body": "empty"}}, "times": 1, "path": "users"});
    call("POST", "faults", fault.to_string()).await.expect(201);
    c.get("users").await.expect(503);
    let address = encode(info["mailboxes"][0].as_str().expect("an address"));
    let added = call(
        "POST",
        &format!("mailboxes/{address}/messages?folder=archive"),
        "Subject: a\r\n\r\nb".into(),
    )
    .await;
    let id = added.expect(200).json()["id"].as_str().expect("id").to_owned();
    c.get(&format!("{}/messages/{id}", c.me())).await.expect(200);
    let listed = call("GET", &format!("mailboxes/{address}/messages"), String::new())
        .await
        .json();
    assert_eq!(listed["value"][0]["subject"], "a");
    call("PATCH", "settings", json!({"delta_variety": false}).to_string())
        .await
        .expect(200);
    assert!(!c.emulator.settings().delta_variety);
    call("POST", "expire-tokens", String::new()).await.expect(204);
    c.get("users").await.expect(401);
    assert!(call("GET", "counters", String::new()).await.json()["total"].as_u64() >= Some(4));
    call("GET", "nothing", String::new()).await.expect(404);
    c.get(&format!("{}/admin/info", c.emulator.login_url()))
        .await
        .expect(400);
}

#[tokio::test]
async fn edits_between_listing_and_download() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(5))
        .await
        .immutable();
    let mailbox = c.emulator.mailboxes()[0].clone();
    let ids: Vec<String> = mailbox
        .messages()
        .expect("truth")
        .into_iter()
        .map(|m| m.id)
        .collect();
    let (gone, second) = (mailbox.clone(), ids[1].clone());
    c.emulator
        .faults()
        .on_request("$value", 2, move || gone.purge_message(&second).expect("purged"));
    let value = |id: &str| format!("{}/messages/{id}/$value", c.me());
    c.get(&value(&ids[0])).await.expect(200);
    c.get(&value(&ids[1])).await.expect(404);
    c.get(&value(&ids[2])).await.expect(200);
}
