//! Drives: addresses, delta, content, uploads, conflicts, permissions.

use std::collections::BTreeMap;

use nakivo_graph_emulator::{Emulator, Lie};
use serde_json::{Value, json};

use crate::client::{Answer, Client, encode, seed, send};

struct Bench {
    client: Client,
    http: reqwest::Client,
    drive: nakivo_graph_emulator::Drive,
    base: String,
}

impl Bench {
    async fn start() -> Self {
        let client = Client::start(Emulator::builder().seed(seed()).users(2).files_per_user(0)).await;
        let drive = client.emulator.drives().remove(0);
        Self {
            base: format!("drives/{}", encode(&drive.id())),
            drive,
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
            client,
        }
    }

    async fn get(&self, tail: &str) -> Answer {
        self.call("GET", tail, None).await
    }

    /// Without following redirects.
    async fn call(&self, method: &str, tail: &str, body: Option<&Value>) -> Answer {
        let url = if tail.starts_with("http") {
            tail.to_owned()
        } else {
            self.client.url(&format!("{}{tail}", self.base))
        };
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, url).bearer_auth(&self.client.token);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        send(request).await
    }

    /// A whole round: what the last word on each item was, and the delta link.
    async fn round(&self, first: &str) -> (BTreeMap<String, Value>, String) {
        let mut found = BTreeMap::new();
        let mut next = first.to_owned();
        loop {
            let page = self.get(&next).await.expect(200).json();
            for item in page["value"].as_array().expect("value") {
                found.insert(item["id"].as_str().expect("id").to_owned(), item.clone());
            }
            match (
                page["@odata.nextLink"].as_str(),
                page["@odata.deltaLink"].as_str(),
            ) {
                (Some(link), None) => next = link.to_owned(),
                (None, Some(link)) => return (found, link.to_owned()),
                other => panic!("a page has one of the two links: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn items_are_found_by_id_and_by_path() {
    let bench = Bench::start().await;
    let id = bench
        .drive
        .add_file("A b/100% #1/x (1).txt", "content")
        .expect("a file");
    let by_id = bench.get(&format!("/items/{id}")).await.expect(200).json();
    let path = format!(
        "/root:/{}/{}/{}:",
        encode("a B"),
        encode("100% #1"),
        encode("x (1).txt")
    );
    let by_path = bench.get(&path).await.expect(200).json();
    assert_eq!(by_id["id"], by_path["id"]);
    assert_eq!(
        by_id["file"]["hashes"]["quickXorHash"],
        bench.drive.item(&id).expect("it").hash
    );
    assert_eq!(by_id["size"], 7);
    let folder = bench.drive.item("A b").expect("it").id;
    let below = bench
        .get(&format!("/items/{folder}:/{}", encode("100% #1")))
        .await
        .expect(200)
        .json();
    assert_eq!(below["folder"]["childCount"], 1);
    let user = format!("users/{}/drive", bench.drive.user_id());
    assert_eq!(
        bench.client.get(&user).await.expect(200).json()["id"],
        bench.drive.id()
    );
    assert_eq!(
        bench.client.get(&format!("{user}/root")).await.expect(200).json()["root"],
        json!({})
    );
    bench.get("/items/01NOTHERE").await.expect(404);
    assert_eq!(
        bench.get("/root:/nothing").await.expect(404).code(),
        "itemNotFound"
    );
    let service = bench
        .client
        .emulator
        .add_user("new@fabrika.example", "New One")
        .expect("a user");
    let answer = bench
        .client
        .get(&format!("users/{}/drive", service.user_id()))
        .await
        .expect(404);
    assert!(
        answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .contains("mysite not found")
    );
    assert_eq!(
        bench.get("/root/children").await.expect(200).json()["value"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn delta_tells_every_change_once_the_round_is_over() {
    let bench = Bench::start().await;
    bench.drive.add_generated(700);
    let (found, link) = bench.round("/root/delta").await;
    let truth = bench.drive.items();
    assert_eq!(
        found.values().filter(|item| item["deleted"].is_null()).count(),
        truth.len() + 1,
        "everything and the root"
    );
    for item in &truth {
        let told = &found[&item.id];
        assert_eq!(told["parentReference"]["id"], item.parent_id);
        assert!(told["cTag"].is_null(), "business delta omits cTag");
    }
    let (quiet, link) = bench.round(&link).await;
    assert!(quiet.is_empty(), "{quiet:?}");

    let folder = truth.iter().find(|item| item.folder).expect("a folder").clone();
    let file = truth
        .iter()
        .find(|item| !item.folder && item.parent_id != folder.id)
        .expect("a file")
        .clone();
    bench.drive.move_into(&file.id, &folder.id).expect("moved");
    let other = bench.drive.add_file("new.txt", "new").expect("made");
    bench.drive.delete(&other).expect("deleted");
    let (changes, link) = bench.round(&link).await;
    assert_eq!(changes[&file.id]["parentReference"]["id"], folder.id);
    assert_eq!(changes[&other]["deleted"]["state"], "deleted");
    assert!(changes[&other]["name"].is_null());
    assert!(changes.contains_key(&folder.id), "the parent comes along");

    bench.drive.rename(&folder.id, "Renamed").expect("renamed");
    let (changes, link) = bench.round(&link).await;
    assert_eq!(changes[&folder.id]["name"], "Renamed");
    assert!(
        !changes.contains_key(&file.id),
        "descendants of a renamed folder are not told"
    );

    let latest = bench.get("/root/delta?token=latest").await.expect(200).json();
    assert_eq!(latest["value"], json!([]));
    assert!(latest["@odata.deltaLink"].is_string());

    for _ in 0..5 {
        bench.drive.expire_delta();
        let gone = bench.get(&link).await.expect(410);
        assert_eq!(gone.code(), "resyncRequired");
        if let Some(fresh) = gone.header("location") {
            let fresh = fresh.to_owned();
            let (all, _) = bench.round(&fresh).await;
            assert!(all.len() > truth.len());
        }
    }
}

#[tokio::test]
async fn an_item_that_changes_during_a_round_comes_at_its_end() {
    let bench = Bench::start().await;
    bench.drive.add_generated(500);
    let page = bench.get("/root/delta?$top=20").await.expect(200).json();
    let first = bench
        .drive
        .items()
        .into_iter()
        .find(|item| !item.folder)
        .expect("a file");
    bench.drive.rename(&first.id, "late.txt").expect("renamed");
    let (rest, _) = bench.round(page["@odata.nextLink"].as_str().expect("more")).await;
    assert_eq!(rest[&first.id]["name"], "late.txt");
}

#[tokio::test]
async fn content_comes_from_another_host_in_ranges_and_for_a_while() {
    let bench = Bench::start().await;
    let content: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let id = bench.drive.add_file("data.bin", &content).expect("made");
    let redirect = bench.get(&format!("/items/{id}/content")).await.expect(302);
    let url = redirect.header("location").expect("an address").to_owned();
    assert!(!url.starts_with(bench.client.emulator.graph_url()));
    assert_eq!(send(bench.http.get(&url)).await.expect(200).body, content);
    let part = send(
        bench
            .http
            .get(&url)
            .header("Accept", "*/*")
            .header("Range", "bytes=100000-149999"),
    )
    .await
    .expect(206);
    assert_eq!(part.header("content-range"), Some("bytes 100000-149999/200000"));
    assert_eq!(part.body, content[100_000..150_000]);
    send(
        bench
            .http
            .get(&url)
            .header("Accept", "*/*")
            .header("Range", "bytes=200000-"),
    )
    .await
    .expect(416);
    send(bench.http.get(&url).bearer_auth(&bench.client.token))
        .await
        .expect(401);
    let other = url.replacen("tempauth=v1.", "tempauth=v1.f", 1);
    send(bench.http.get(other)).await.expect(401);
    let folder = bench.drive.add_folder("F").expect("made");
    bench.get(&format!("/items/{folder}/content")).await.expect(400);
    bench.drive.lie(&id, Lie::Size(5)).expect("a lie");
    assert_eq!(
        bench.get(&format!("/items/{id}")).await.expect(200).json()["size"],
        200_005
    );
    bench
        .client
        .emulator
        .advance(std::time::Duration::from_secs(7200));
    send(bench.http.get(&url)).await.expect(401);
}

#[tokio::test]
async fn malware_and_notebooks_are_refused() {
    let bench = Bench::start().await;
    bench.drive.add_oddities();
    let package = bench.get("/root:/Notebook").await.expect(200).json();
    assert_eq!(package["package"]["type"], "oneNote");
    bench
        .get("/root:/Notebook/Section.one:/content")
        .await
        .expect(503);
    let remote = bench
        .get(&format!("/root:/{}", encode("Shared with me")))
        .await
        .expect(200)
        .json();
    assert!(remote["remoteItem"]["id"].is_string());
    for n in 0..4 {
        let id = bench.drive.add_file(&format!("virus{n}.exe"), "x").expect("made");
        bench.drive.set_malware(&id, true).expect("marked");
        let answer = bench.get(&format!("/items/{id}/content")).await;
        let answer = match answer.header("location") {
            Some(url) => send(bench.http.get(url)).await,
            None => answer,
        };
        assert_eq!(answer.expect(403).code(), "malwareDetected");
    }
}

async fn fragment(bench: &Bench, url: &str, range: &str, body: Vec<u8>) -> Answer {
    send(bench.http.put(url).header("Content-Range", range).body(body)).await
}

#[tokio::test]
async fn upload_sessions_follow_the_rules() {
    const GRAIN: usize = 327_680;
    let bench = Bench::start().await;
    let body = json!({"item": {"@microsoft.graph.conflictBehavior": "fail",
        "fileSystemInfo": {"createdDateTime": "2020-01-02T03:04:05Z", "lastModifiedDateTime": "2021-01-02T03:04:05Z"}}});
    let create = "/root:/big.bin:/createUploadSession";
    let session = bench.call("POST", create, Some(&body)).await.expect(200).json();
    assert_eq!(session["nextExpectedRanges"], json!(["0-"]));
    let url = session["uploadUrl"].as_str().expect("an address").to_owned();
    let total = 2 * GRAIN + 10;
    let content: Vec<u8> = (0..total).map(|n| (n % 253) as u8).collect();
    let range = |from: usize, to: usize| format!("bytes {from}-{}/{total}", to - 1);
    fragment(&bench, &url, &range(0, 1000), content[..1000].to_vec())
        .await
        .expect(400);
    let accepted = fragment(&bench, &url, &range(0, GRAIN), content[..GRAIN].to_vec())
        .await
        .expect(202);
    assert_eq!(
        accepted.json()["nextExpectedRanges"],
        json!([format!("{GRAIN}-")])
    );
    let again = fragment(&bench, &url, &range(0, GRAIN), content[..GRAIN].to_vec())
        .await
        .expect(416);
    assert_eq!(again.json()["error"]["innerError"]["code"], "fragmentOverlap");
    send(bench.http.put(&url).bearer_auth(&bench.client.token))
        .await
        .expect(401);
    let state = send(bench.http.get(&url)).await.expect(200).json();
    assert_eq!(state["nextExpectedRanges"], json!([format!("{GRAIN}-")]));
    fragment(
        &bench,
        &url,
        &range(2 * GRAIN, total),
        content[2 * GRAIN..].to_vec(),
    )
    .await
    .expect(416);
    let done = fragment(&bench, &url, &range(GRAIN, total), content[GRAIN..].to_vec())
        .await
        .expect(201)
        .json();
    assert_eq!(
        done["fileSystemInfo"]["lastModifiedDateTime"],
        "2021-01-02T03:04:05Z"
    );
    assert_eq!(bench.drive.content("big.bin").expect("content"), content);
    send(bench.http.get(&url)).await.expect(404);

    // The name is taken: at once or at the last fragment, and the bytes stay.
    let small = vec![7u8; 10];
    let answer = bench.call("POST", create, Some(&body)).await;
    if answer.status == 200 {
        let url = answer.json()["uploadUrl"]
            .as_str()
            .expect("an address")
            .to_owned();
        let refused = fragment(&bench, &url, "bytes 0-9/10", small.clone())
            .await
            .expect(409);
        assert_eq!(refused.code(), "nameAlreadyExists");
        send(bench.http.get(&url)).await.expect(200);
        send(bench.http.delete(&url)).await.expect(204);
    } else {
        answer.expect(409);
    }
    // A new version of what is there.
    let id = bench.drive.item("big.bin").expect("it").id;
    let session = bench
        .call("POST", &format!("/items/{id}/createUploadSession"), None)
        .await
        .expect(200)
        .json();
    let url = session["uploadUrl"].as_str().expect("an address");
    fragment(&bench, url, "bytes 0-9/10", small.clone())
        .await
        .expect(200);
    assert_eq!(bench.drive.versions(&id).expect("versions").len(), 2);
    let versions = bench
        .get(&format!("/items/{id}/versions"))
        .await
        .expect(200)
        .json();
    assert_eq!(versions["value"][0]["id"], "2.0");
    bench
        .get(&format!("/items/{id}/versions/2.0/content"))
        .await
        .expect(400);
    let old = bench
        .get(&format!("/items/{id}/versions/1.0/content"))
        .await
        .expect(302);
    assert_eq!(
        send(bench.http.get(old.header("location").expect("one")))
            .await
            .expect(200)
            .body,
        content
    );
    bench
        .call(
            "POST",
            &format!("/items/{id}/versions/1.0/restoreVersion"),
            Some(&json!({})),
        )
        .await
        .expect(204);
    assert_eq!(bench.drive.content(&id).expect("content"), content);
    bench.drive.set_quota(1000);
    let full = json!({"item": {"fileSize": 5000}});
    let refused = bench
        .call("POST", "/root:/more.bin:/createUploadSession", Some(&full))
        .await;
    assert_eq!(refused.expect(507).code(), "quotaLimitReached");
}

#[tokio::test]
async fn small_files_folders_and_changes() {
    let bench = Bench::start().await;
    let put = |path: &str, conflict: &str| {
        let url = bench.client.url(&format!(
            "{}/root:/{path}:/content?@microsoft.graph.conflictBehavior={conflict}",
            bench.base
        ));
        send(bench.http.put(url).bearer_auth(&bench.client.token).body("hello"))
    };
    put("a.txt", "fail").await.expect(201);
    put("A.TXT", "fail").await.expect(409);
    assert_eq!(put("a.txt", "rename").await.expect(201).json()["name"], "a 1.txt");
    put("a.txt", "replace").await.expect(200);
    assert_eq!(bench.drive.versions("a.txt").expect("versions").len(), 2);
    for bad in ["a%3Ab.txt", "CON", "x.", "%20x", "desktop.ini", "COM1.txt"] {
        put(bad, "fail").await.expect(400);
    }
    let folder = json!({"name": "New", "folder": {}, "@microsoft.graph.conflictBehavior": "fail"});
    let made = bench
        .call("POST", "/root/children", Some(&folder))
        .await
        .expect(201)
        .json();
    bench
        .call("POST", "/root/children", Some(&folder))
        .await
        .expect(409);
    let id = bench.drive.item("a.txt").expect("it").id;
    let etag = bench.get(&format!("/items/{id}")).await.json()["eTag"]
        .as_str()
        .expect("one")
        .to_owned();
    let change = json!({"name": "b.txt", "parentReference": {"id": made["id"]},
        "fileSystemInfo": {"lastModifiedDateTime": "2019-05-06T07:08:09Z"}});
    let url = bench.client.url(&format!("{}/items/{id}", bench.base));
    let patch = |etag: &str| {
        bench
            .http
            .patch(&url)
            .bearer_auth(&bench.client.token)
            .header("If-Match", etag)
            .header("Content-Type", "application/json")
            .body(change.to_string())
    };
    assert_eq!(
        send(patch("\"{0},9\"")).await.expect(412).code(),
        "resourceModified"
    );
    send(patch(&etag)).await.expect(200);
    assert_eq!(
        bench.drive.item("New/b.txt").expect("it").modified_ms,
        1_557_126_489_000
    );
    send(
        bench
            .http
            .delete(&url)
            .bearer_auth(&bench.client.token)
            .header("If-Match", &etag),
    )
    .await
    .expect(412);
    send(bench.http.delete(&url).bearer_auth(&bench.client.token))
        .await
        .expect(204);
    bench.get(&format!("/items/{id}")).await.expect(404);
}

#[tokio::test]
async fn sharing_is_listed_with_what_is_inherited() {
    let bench = Bench::start().await;
    let id = bench.drive.add_file("Team/plan.txt", "x").expect("made");
    let other = bench.client.emulator.mailboxes()[1].address().to_owned();
    bench.drive.share("Team", &other, "write").expect("shared");
    let list = bench
        .get(&format!("/items/{id}/permissions"))
        .await
        .expect(200)
        .json();
    let list = list["value"].as_array().expect("value");
    assert!(
        list.iter()
            .all(|permission| permission["inheritedFrom"].is_object()),
        "{list:?}"
    );
    assert_eq!(list.len(), 2);
    let invite = json!({"recipients": [{"email": other}], "roles": ["read"], "requireSignIn": true, "sendInvitation": false});
    bench
        .call("POST", &format!("/items/{id}/invite"), Some(&invite))
        .await
        .expect(200);
    let nobody = json!({"recipients": [{"email": "nobody@fabrika.example"}], "roles": ["read"]});
    let refused = bench
        .call("POST", &format!("/items/{id}/invite"), Some(&nobody))
        .await
        .expect(400);
    assert_eq!(refused.json()["error"]["innerError"]["code"], "noResolvedUsers");
    let link = json!({"type": "view", "scope": "organization"});
    bench
        .call("POST", &format!("/items/{id}/createLink"), Some(&link))
        .await
        .expect(201);
    bench
        .call("POST", &format!("/items/{id}/createLink"), Some(&link))
        .await
        .expect(200);
    assert_eq!(bench.drive.permissions(&id).expect("it").len(), 2);
}

#[tokio::test]
async fn permissions_of_the_application_and_its_budget() {
    let bench = Bench::start().await;
    let app = bench.client.emulator.app_id().to_owned();
    bench
        .client
        .emulator
        .set(|settings| settings.resource_units_per_minute = Some(20));
    let mut told = false;
    let refused = loop {
        let answer = bench.get("/root/children").await;
        told |= answer.header("ratelimit-remaining").is_some();
        if answer.status != 200 {
            break answer;
        }
    };
    assert!(told, "headers come before the limit");
    assert_eq!(refused.expect(429).code(), "activityLimitReached");
    bench.client.emulator.advance(std::time::Duration::from_secs(61));
    bench.get("/root").await.expect(200);
    assert!(bench.client.emulator.requests().counters().resource_units > 20);

    bench
        .client
        .emulator
        .set(|settings| settings.resource_units_per_minute = None);
    bench.client.emulator.grant(&app, ["Files.Read.All"]);
    bench.client.emulator.faults().expire_tokens();
    let token = bench
        .client
        .fetch_token(&app, bench.client.emulator.client_secret())
        .await;
    let url = bench.client.url(&format!("{}/root", bench.base));
    send(bench.http.get(&url).bearer_auth(&token)).await.expect(200);
    let refused = send(bench.http.delete(&url).bearer_auth(&token))
        .await
        .expect(403);
    assert_eq!(refused.code(), "accessDenied");
}
