//! Sites and their lists over HTTP.

mod conformance;
mod lists;

use nakivo_graph_emulator::Emulator;
use serde_json::Value;

use crate::client::{Client, encode};

/// A client, and `sites/{id}` of the first site.
async fn site() -> (Client, String) {
    let client = Client::start(Emulator::builder().users(2).sites(2, 3)).await;
    let path = format!("sites/{}", encode(client.emulator.sites()[0].id()));
    (client, path)
}

fn names(list: &[Value], key: &str) -> Vec<String> {
    let mut names: Vec<String> = list
        .iter()
        .map(|one| one[key].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn sites_are_found_by_id_by_path_and_below_others() {
    let (c, path) = site().await;
    let site = c.emulator.sites()[0].clone();
    let by_id = c.get(&path).await.expect(200).json();
    assert_eq!(by_id["webUrl"], site.url());
    let (host, place) = site
        .url()
        .trim_start_matches("https://")
        .split_once('/')
        .map(|(h, p)| (h.to_owned(), p.to_owned()))
        .expect("a path");
    let by_path = c.get(&format!("sites/{host}:/{place}")).await.expect(200).json();
    assert_eq!(by_path["id"], by_id["id"]);
    let below = c.all(&format!("{path}/sites")).await;
    assert_eq!(names(&below, "displayName"), ["Archive"]);
    let all = c.all("sites/getAllSites").await;
    assert!(all.len() >= 2 && !names(&all, "displayName").contains(&"Archive".to_owned()));
    let root = c.emulator.add_site("", "Root");
    assert_eq!(c.get("sites/root").await.expect(200).json()["id"], root.id());
    assert_eq!(c.get("sites/a,b,c").await.expect(404).code(), "itemNotFound");
    assert_eq!(
        c.get(&format!("{path}/nothing")).await.expect(400).code(),
        "invalidRequest"
    );
    site.set_locked(true);
    c.get(&path).await.expect(423);
}

#[tokio::test]
async fn new_sites_are_in_the_next_round() {
    let (c, _) = site().await;
    let first = c.get("sites/delta").await.expect(200).json();
    assert_eq!(first["value"].as_array().map(Vec::len), Some(3));
    let link = first["@odata.deltaLink"].as_str().expect("a link").to_owned();
    let _ = c.emulator.add_site("late", "Late");
    let second = c.get(&link).await.expect(200).json();
    assert_eq!(
        names(second["value"].as_array().expect("a list"), "displayName"),
        ["Late"]
    );
    c.get("sites/delta?token=nonsense").await.expect(400);
}
