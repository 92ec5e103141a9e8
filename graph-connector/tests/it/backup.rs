//! Reading: first run, later runs, moves, lost states, economy.

use nakivo_core::connector::{Change, ChangesRequest, Connector};
use nakivo_core::progress::Reporter;
use nakivo_graph_emulator::{Change as Edit, DeltaScope, Emulator};

use futures::TryStreamExt;

use crate::bench::{Bench, Model, TestRng, seed};

#[tokio::test]
async fn first_run_and_quiet_second_run() {
    let bench = Bench::small().await;
    bench.emulator.set(|settings| settings.read_only_guard = true);
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    mailbox.create_hidden_folder("inbox", "Hidden").unwrap();
    mailbox
        .create_search_folder("Unread", &["inbox"], "isRead eq false")
        .unwrap();
    mailbox
        .add_message(
            "inbox/Hidden",
            "From: a@b.org\r\nSubject: Under cover\r\n\r\nx\r\n",
        )
        .unwrap_or_else(|_| {
            let hidden = mailbox
                .folders()
                .unwrap()
                .into_iter()
                .find(|folder| folder.name == "Hidden")
                .unwrap();
            mailbox
                .add_message(&hidden.id, "From: a@b.org\r\nSubject: Under cover\r\n\r\nx\r\n")
                .unwrap()
        });
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    assert!(model.failed.is_empty());
    assert!(
        model
            .items
            .values()
            .any(|stored| stored.head.name == "Under cover")
    );
    let known: Vec<&str> = model
        .containers
        .values()
        .filter_map(|head| head.properties.get("well_known_name")?.as_text())
        .collect();
    assert!(
        known.contains(&"inbox") && known.contains(&"sentitems"),
        "{known:?}"
    );

    let first = model.clone();
    model.run(&bench.connector, &object).await.unwrap();
    assert_eq!(
        (model.fetched, model.full_rounds),
        (0, 0),
        "nothing changed, nothing is read"
    );
    assert_eq!(model.items.len(), first.items.len());
    assert!(
        bench.emulator.requests().writes().is_empty(),
        "reading writes nothing"
    );
    for record in bench.emulator.requests().all() {
        if record.operation.contains("messages") {
            assert!(
                record.prefer.iter().any(|value| value.contains("ImmutableId")),
                "immutable ids on every request: {}",
                record.target
            );
        }
        let agent = record.user_agent.unwrap_or_default();
        assert!(record.in_batch || agent.starts_with("ISV|"), "{agent}");
    }
}

#[tokio::test]
async fn edits_moves_and_deletions_are_followed() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();

    let messages = mailbox.messages_in("inbox").unwrap();
    mailbox
        .change(&messages[0].id, [Edit::Read(!messages[0].is_read)])
        .unwrap();
    mailbox
        .change(&messages[1].id, [Edit::Subject("Changed".into())])
        .unwrap();
    mailbox.move_message(&messages[2].id, "archive").unwrap();
    mailbox.delete_message(&messages[3].id).unwrap();
    mailbox.purge_message(&messages[4].id).unwrap();
    let folder = mailbox.create_folder("inbox", "New").unwrap();
    mailbox.move_message(&messages[5].id, &folder).unwrap();
    mailbox
        .add_message(&folder, "From: x@y.org\r\nSubject: Fresh\r\n\r\nbody\r\n")
        .unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    assert_eq!(model.full_rounds, 1, "only the new folder is read in full");

    // A folder that goes takes its messages along, wherever they went.
    mailbox.delete_folder(&folder).unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    mailbox.purge_folder(&folder).unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
}

#[tokio::test]
async fn a_round_trip_that_delta_loses_is_looked_up() {
    let bench = Bench::small().await;
    bench.emulator.set(|settings| settings.lose_round_trips = true);
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    let message = mailbox.messages_in("inbox").unwrap().remove(0);
    mailbox.move_message(&message.id, "archive").unwrap();
    mailbox.move_message(&message.id, "inbox").unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
}

#[tokio::test]
async fn lost_states_are_read_in_full_and_nothing_is_fetched_again() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    let folders = model.full_rounds;
    let gone = mailbox.messages_in("inbox").unwrap().remove(0);
    mailbox.purge_message(&gone.id).unwrap();
    bench.emulator.faults().expire_delta(&DeltaScope::All);
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    assert_eq!(model.full_rounds, folders, "every folder was read in full");
    assert_eq!(model.fetched, 0, "change keys tell that nothing changed");

    // One folder only.
    bench
        .emulator
        .faults()
        .expire_delta(&DeltaScope::Folder(mailbox.address().into(), "inbox".into()));
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    assert_eq!(model.full_rounds, 1);

    // A cursor of another time or place is worth nothing and does no harm.
    for cursor in [
        "",
        "{}",
        r#"{"version":1,"id_mode":"default","folders":{}}"#,
        "null",
    ] {
        model.cursor = Some(nakivo_core::connector::Cursor(cursor.into()));
        model.run(&bench.connector, &object).await.unwrap();
        model.assert_truth(&mailbox);
    }
    let foreign = model
        .containers
        .keys()
        .map(|id| (id.clone(), "https://graph.attacker.example/v1.0/x"));
    let folders: std::collections::BTreeMap<_, _> = foreign.collect();
    let cursor = serde_json::json!({ "version": 1, "id_mode": "immutable", "folders": folders });
    model.cursor = Some(nakivo_core::connector::Cursor(cursor.to_string().into()));
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
}

/// Random edits between runs: the model must equal the truth after each.
#[tokio::test]
async fn random_histories_converge() {
    let rng = TestRng::new(seed());
    for _ in 0..3 {
        let bench = Bench::with(Emulator::builder().seed(rng.next()).users(1).items_per_user(20)).await;
        let lossy = rng.below(2) == 0;
        bench.emulator.set(|settings| settings.lose_round_trips = lossy);
        let object = bench.object().await;
        let mailbox = bench.mailbox();
        let mut model = Model::default();
        // In lossy mode even a full enumeration leaves out what left and came back: it must be known before.
        model.run(&bench.connector, &object).await.unwrap();
        for _ in 0..6 {
            for _ in 0..rng.below(12) {
                let messages = mailbox.messages().unwrap();
                let folders: Vec<String> = mailbox
                    .folders()
                    .unwrap()
                    .into_iter()
                    .filter(|folder| !folder.search && model.containers.contains_key(&folder.id))
                    .map(|folder| folder.id)
                    .collect();
                let folder = if folders.is_empty() {
                    "inbox".to_owned()
                } else {
                    folders[rng.below(folders.len())].clone()
                };
                let Some(message) = messages.get(rng.below(messages.len())) else {
                    continue;
                };
                // Some edits are refused (a folder moved below itself): that is part of the history.
                let _ = match rng.below(8) {
                    0 => mailbox.delete_message(&message.id),
                    1 => mailbox.purge_message(&message.id),
                    2 | 3 => mailbox.move_message(&message.id, &folder),
                    4 => mailbox.change(&message.id, [Edit::Read(rng.below(2) == 0)]),
                    // A message that came, left and returned between two runs is never shown at all in lossy mode, not
                    // even as removed: nobody could know of it.
                    5 if lossy => Ok(()),
                    5 => mailbox.add_generated(&folder, rng.below(1000) as u32).map(|_| ()),
                    6 => mailbox
                        .create_folder(&folder, &format!("F{}", rng.below(5)))
                        .map(|_| ()),
                    _ => match rng.below(4) {
                        0 => mailbox.delete_folder(&folder),
                        1 => mailbox.move_folder(&folder, "inbox"),
                        2 => mailbox.rename_folder(&folder, &format!("R{}", rng.below(9))),
                        _ => {
                            mailbox.expire_delta();
                            Ok(())
                        }
                    },
                };
            }
            model.run(&bench.connector, &object).await.unwrap();
            assert!(model.failed.is_empty(), "{:?}", model.failed);
            model.assert_truth(&mailbox);
        }
    }
}

#[tokio::test]
async fn the_first_run_is_cheap() {
    let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(2000)).await;
    let object = bench.object().await;
    let before = bench.connector.usage();
    bench.emulator.requests().clear();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    let messages = model.items.len() as f64;
    let sent = (bench.connector.usage().requests - before.requests) as f64;
    let counted = bench.emulator.requests().count() as f64;
    println!(
        "{messages} messages: {:.4} requests per message sent, {:.4} with batch members counted, {} folders",
        sent / messages,
        counted / messages,
        model.containers.len()
    );
    println!("{:#?}", bench.emulator.requests().counters().by_operation);
    assert!(sent / messages <= 1.05);
    assert!(counted / messages <= 1.05);

    bench.emulator.requests().clear();
    model.run(&bench.connector, &object).await.unwrap();
    println!(
        "a quiet run of {} folders: {} requests",
        model.containers.len(),
        bench.emulator.requests().count()
    );
}

#[tokio::test]
async fn items_that_failed_are_sent_again() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let message = mailbox.messages_in("inbox").unwrap().remove(0);
    mailbox.corrupt_message(&message.id, true).unwrap();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    assert_eq!(model.failed.len(), 1);
    let (_, error) = &model.failed[0];
    assert_eq!(error.code(), "protocol");
    assert!(error.message().contains("ErrorCorruptData"), "{error:?}");
    assert_eq!(
        model.items.len() + 1,
        mailbox.messages().unwrap().len(),
        "one bad message costs one message"
    );
    mailbox.corrupt_message(&message.id, false).unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
}

#[tokio::test]
async fn cancelling_ends_the_stream() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let reporter = Reporter::silent();
    reporter.cancellation().cancel();
    let changes: Result<Vec<Change>, _> = bench
        .connector
        .changes(&object, ChangesRequest::default(), &reporter)
        .try_collect()
        .await;
    assert_eq!(changes.unwrap_err().code(), "cancelled");
}

#[tokio::test]
async fn a_large_message_is_streamed() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let id = mailbox.add_big_message("inbox", 24 << 20).unwrap();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    model.assert_truth(&mailbox);
    assert!(model.items[&id].mime.len() > 24 << 20);
}
