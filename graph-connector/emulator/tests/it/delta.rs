//! Delta rounds of messages: convergence, removals, ids, expiry.

use std::collections::BTreeMap;

use nakivo_graph_emulator::{Change, DeltaScope, Emulator, Mailbox};
use serde_json::Value;

use crate::client::{Client, send};

/// A small generator of choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// What a client knows of one folder.
#[derive(Default)]
struct Mirror {
    items: BTreeMap<String, Value>,
    link: Option<String>,
    pages: usize,
    empty_pages: usize,
    removals: usize,
}

impl Mirror {
    async fn round(&mut self, c: &Client, first: &str, size: usize, between: &mut dyn FnMut()) {
        let mut next = self.link.clone().unwrap_or_else(|| first.to_owned());
        for _ in 0..100_000 {
            let request = c
                .request("GET", &next)
                .header("Prefer", format!("odata.maxpagesize={size}"));
            let page = send(request).await.expect(200).json();
            let list = page["value"].as_array().expect("value");
            self.pages += 1;
            self.empty_pages += usize::from(list.is_empty() && page["@odata.nextLink"].is_string());
            for item in list {
                let id = item["id"].as_str().expect("id").to_owned();
                if item["@removed"].is_object() {
                    assert_eq!(item["@removed"]["reason"], "deleted");
                    self.removals += 1;
                    self.items.remove(&id);
                } else {
                    self.items.insert(id, item.clone());
                }
            }
            between();
            match (
                page["@odata.nextLink"].as_str(),
                page["@odata.deltaLink"].as_str(),
            ) {
                (Some(link), None) => next = link.to_owned(),
                (None, Some(link)) => {
                    self.link = Some(link.to_owned());
                    return;
                }
                other => panic!("one link and only one: {other:?}"),
            }
        }
        panic!("the round does not end");
    }
}

fn edit(mailbox: &Mailbox, dice: &mut Dice) {
    let all = mailbox.messages().expect("messages");
    let folders = ["inbox", "archive", "sentitems", "deleteditems"];
    let to = folders[dice.roll(4)];
    if all.is_empty() {
        mailbox
            .add_generated("inbox", dice.roll(5000) as u32)
            .expect("added");
        return;
    }
    let id = all[dice.roll(all.len())].id.clone();
    match dice.roll(8) {
        0 => drop(
            mailbox
                .add_generated(to, 10_000 + dice.roll(5000) as u32)
                .expect("added"),
        ),
        1 | 2 => mailbox.move_message(&id, to).expect("moved"),
        3 => mailbox.delete_message(&id).expect("deleted"),
        4 => mailbox.purge_message(&id).expect("purged"),
        5 => mailbox
            .change(&id, [Change::Read(dice.roll(2) == 0)])
            .expect("changed"),
        6 => mailbox
            .change(&id, [Change::Subject(format!("s{}", dice.roll(99)))])
            .expect("changed"),
        _ => {
            mailbox.move_message(&id, "archive").expect("moved");
            mailbox.move_message(&id, "inbox").expect("moved back");
        }
    }
}

#[tokio::test]
async fn converges_under_random_edits_between_pages() {
    let seed = crate::client::seed();
    for run in 0..6_u64 {
        let builder = Emulator::builder().seed(seed + run).users(1).items_per_user(60);
        let c = Client::start(builder).await.immutable();
        let mailbox = c.emulator.mailboxes()[0].clone();
        let mut dice = Dice(seed.wrapping_mul(31) + run);
        let mut mirrors: BTreeMap<&str, Mirror> = BTreeMap::new();
        for round in 0..4 {
            for folder in ["inbox", "archive", "sentitems", "deleteditems"] {
                let first = format!(
                    "{}/mailFolders/{folder}/messages/delta?$select=subject,isRead,changeKey",
                    c.me()
                );
                let mirror = mirrors.entry(folder).or_default();
                let mut budget = if round < 3 { 12 } else { 0 };
                mirror
                    .round(&c, &first, 3, &mut || {
                        if budget > 0 && dice.roll(2) == 0 {
                            budget -= 1;
                            edit(&mailbox, &mut dice);
                        }
                    })
                    .await;
            }
        }
        for (folder, mirror) in &mirrors {
            let truth = mailbox.messages_in(folder).expect("truth");
            let known: Vec<&String> = mirror.items.keys().collect();
            let mut expected: Vec<&String> = truth.iter().map(|m| &m.id).collect();
            expected.sort();
            assert_eq!(known, expected, "run {run}, {folder}");
            for m in &truth {
                let item = &mirror.items[&m.id];
                assert_eq!(item["subject"], m.subject.as_str());
                assert_eq!(item["isRead"], m.is_read);
                assert_eq!(item["changeKey"], m.change_key.as_str());
            }
        }
        assert!(
            mirrors.values().map(|m| m.empty_pages).sum::<usize>() > 0,
            "empty pages occur"
        );
        assert!(
            mirrors.values().map(|m| m.removals).sum::<usize>() > 0,
            "removals occur"
        );
    }
}

#[tokio::test]
async fn a_move_is_a_removal_and_ids_obey_the_header() {
    let c = Client::start(Emulator::builder().users(1).settings(|s| s.delta_variety = false)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox
        .add_message("inbox", "Subject: one\r\n\r\nx\r\n")
        .expect("added");
    let before = mailbox.message(&id).expect("truth");
    let inbox = format!("{}/mailFolders/inbox/messages/delta", c.me());
    let first = c.get(&inbox).await.expect(200).json();
    assert_eq!(
        first["value"][0]["id"],
        before.mutable_id.as_str(),
        "default ids without the header"
    );
    assert_eq!(first["value"][0]["@odata.type"], "#microsoft.graph.message");
    let link = first["@odata.deltaLink"].as_str().expect("a link").to_owned();
    assert!(link.contains("$deltatoken="), "{link}");

    mailbox.move_message(&id, "archive").expect("moved");
    let after = mailbox.message(&id).expect("truth");
    assert_ne!(after.mutable_id, before.mutable_id);
    assert_ne!(after.change_key, before.change_key);
    let removed = c.get(&link).await.expect(200).json();
    assert_eq!(removed["value"][0]["id"], before.mutable_id.as_str());
    let immutable = send(c.request("GET", &link).header("Prefer", "IdType=\"ImmutableId\""))
        .await
        .json();
    assert_eq!(immutable["value"][0]["id"], id.as_str());
    assert_eq!(immutable["value"][0]["@removed"]["reason"], "deleted");

    let get = |id: &str| format!("{}/messages/{id}", c.me());
    assert_eq!(
        c.get(&get(&before.mutable_id)).await.expect(404).code(),
        "ErrorItemNotFound"
    );
    c.get(&get(&after.mutable_id)).await.expect(200);
    c.get(&get(&id)).await.expect(200);
    let mut damaged = id.clone();
    let swapped = if damaged.as_bytes()[20] == b'A' { "B" } else { "A" };
    damaged.replace_range(20..21, swapped);
    assert_eq!(
        c.get(&get(&damaged)).await.expect(400).code(),
        "ErrorInvalidIdMalformed"
    );
}

#[tokio::test]
async fn tokens_carry_options_and_expire() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(50)).await;
    let address = c.emulator.mailboxes()[0].address().to_owned();
    let inbox = format!("{}/mailFolders/inbox/messages/delta", c.me());
    let mut mirror = Mirror::default();
    mirror
        .round(&c, &format!("{inbox}?$select=subject"), 5, &mut || {})
        .await;
    assert!(
        mirror
            .items
            .values()
            .all(|m| m["subject"].is_string() && m.get("isRead").is_none())
    );
    let link = mirror.link.clone().expect("a link");
    let archive = link.replace(
        &c.emulator
            .mailbox(&address)
            .expect("box")
            .folder_id("inbox")
            .expect("id")
            .replace('=', "%3D"),
        "archive",
    );
    if archive != link {
        c.get(&archive).await.expect(410);
    }
    c.get(&format!("{inbox}?$deltatoken=rubbish")).await.expect(410);
    c.emulator
        .faults()
        .expire_delta(&DeltaScope::Folder(address.clone(), "inbox".into()));
    let gone = c.get(&link).await.expect(410);
    assert!(matches!(
        gone.code().as_str(),
        "SyncStateNotFound" | "syncStateNotFound"
    ));
    c.get(&inbox).await.expect(200);
    c.get(&format!("{inbox}?$search=x")).await.expect(400);
    c.get(&format!("{inbox}?$filter=isRead eq true"))
        .await
        .expect(400);
    c.get(&format!("{inbox}?$orderby=subject")).await.expect(400);
    c.get(&format!("{}/messages/delta", c.me())).await.expect(400);
    // $top caps the whole round.
    let mut capped = Mirror::default();
    capped.round(&c, &format!("{inbox}?$top=4"), 3, &mut || {}).await;
    assert_eq!(capped.items.len(), 4);
}

#[tokio::test]
async fn change_types_and_filters() {
    let c = Client::start(Emulator::builder().users(1).items_per_user(60)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let inbox = format!("{}/mailFolders/inbox/messages/delta", c.me());
    let mut created = Mirror::default();
    created
        .round(&c, &format!("{inbox}?changeType=created"), 50, &mut || {})
        .await;
    let truth = mailbox.messages_in("inbox").expect("truth");
    assert_eq!(created.items.len(), truth.len());
    let count = created.items.len();
    mailbox
        .change(&truth[0].id, [Change::Read(!truth[0].is_read)])
        .expect("changed");
    mailbox.purge_message(&truth[1].id).expect("purged");
    mailbox.add_generated("inbox", 7777).expect("added");
    created.round(&c, &inbox, 50, &mut || {}).await;
    assert_eq!(
        created.items.len(),
        count + 1,
        "neither the update nor the removal is told"
    );

    let middle = truth[truth.len() / 2].received_ms;
    let text = chrono::DateTime::from_timestamp_millis(middle)
        .expect("time")
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut recent = Mirror::default();
    recent
        .round(
            &c,
            &format!("{inbox}?$filter=receivedDateTime ge {text}"),
            50,
            &mut || {},
        )
        .await;
    let expected = mailbox
        .messages_in("inbox")
        .expect("truth")
        .iter()
        .filter(|m| m.received_ms >= middle)
        .count();
    assert_eq!(recent.items.len(), expected);
}

#[tokio::test]
async fn round_trips_can_be_lost() {
    let c = Client::start(Emulator::builder().users(1).settings(|s| {
        s.delta_variety = false;
        s.lose_round_trips = true;
    }))
    .await
    .immutable();
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox
        .add_message("inbox", "Subject: one\r\n\r\nx\r\n")
        .expect("added");
    let first = format!("{}/mailFolders/inbox/messages/delta", c.me());
    let mut mirror = Mirror::default();
    mirror.round(&c, &first, 5, &mut || {}).await;
    mailbox.move_message(&id, "archive").expect("moved");
    mailbox.move_message(&id, "inbox").expect("moved back");
    mirror.round(&c, &first, 5, &mut || {}).await;
    assert!(mirror.items.is_empty(), "only the removal is told");
    c.get(&format!("{}/messages/{id}", c.me())).await.expect(200);
    mailbox.change(&id, [Change::Read(false)]).expect("changed");
    mirror.round(&c, &first, 5, &mut || {}).await;
    assert_eq!(mirror.items.len(), 1);
}
