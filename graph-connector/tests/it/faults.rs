//! What Graph does on bad days.

use std::time::Duration;

use nakivo_core::ErrorKind;
use nakivo_core::connector::Connector;
use nakivo_graph_emulator::{Action, Damage, Emulator, Fault, LinkFault};

use crate::bench::{Bench, Model, seed};
use crate::lab::{passing, places, stride};

/// Runs a first backup under these faults and expects that nobody notices.
async fn survives(faults: impl IntoIterator<Item = Fault>) -> Bench {
    let bench = Bench::small().await;
    let object = bench.object().await;
    for fault in faults {
        bench.emulator.faults().add(fault);
    }
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    assert!(model.failed.is_empty(), "{:?}", model.failed);
    model.assert_truth(&bench.mailbox());
    assert!(bench.emulator.faults().struck() > 0, "the fault must have struck");
    bench
}

#[tokio::test]
async fn every_passing_fault_at_every_request_is_survived() {
    let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(6)).await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    bench.emulator.requests().clear();
    Model::default().run(&bench.connector, &object).await.unwrap();
    let requests = bench.emulator.requests().count();
    let kinds = passing();
    let mut runs = 0;
    // Each request meets at least two kinds; with NAKIVO_FULL set, all of them.
    let stride = stride(6);
    for (number, kind) in kinds.iter().enumerate() {
        for k in places(requests, number, stride) {
            bench.emulator.faults().clear();
            bench
                .emulator
                .faults()
                .add(Fault::new(kind.clone()).path("/v1.0/").at_request(k));
            bench.emulator.requests().clear();
            let mut model = Model::default();
            model
                .run(&bench.connector, &object)
                .await
                .unwrap_or_else(|error| panic!("{kind:?} at {k}: {error:?}"));
            assert!(model.failed.is_empty(), "{kind:?} at {k}: {:?}", model.failed);
            model.assert_truth(&mailbox);
            runs += 1;
            let requests = bench.emulator.requests();
            // The members behind a throttled one are on their way already: they cannot wait.
            if requests
                .matching(|record| record.fault && record.in_batch)
                .is_empty()
            {
                let early = requests.counters().retry_after_violations;
                assert_eq!(early, 0, "{kind:?} at {k}: sent before its time");
            }
        }
    }
    println!(
        "{runs} runs, {} kinds of fault at each of {requests} requests",
        kinds.len()
    );
}

#[tokio::test]
async fn cut_json_that_looks_complete_is_not_believed() {
    survives([Fault::new(Action::Damage(Damage::ShortenTo(200)))
        .path("/delta")
        .times(2)])
    .await;
}

#[tokio::test]
async fn mime_that_was_cut_or_grew_is_read_again() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    // Only what has a closing boundary can show that its end is missing.
    let multipart = model
        .items
        .values()
        .find(|stored| {
            stored
                .mime
                .windows(20)
                .any(|window| window.eq_ignore_ascii_case(b"content-type: multip"))
        })
        .unwrap();
    bench.emulator.faults().add(
        Fault::new(Action::Damage(Damage::ShortenTo(multipart.mime.len() / 2)))
            .path("$value")
            .times(1),
    );
    let read = crate::bench::read(&bench.connector, &object, &multipart.head)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.mime, mailbox.mime(&multipart.head.item.id).unwrap());
}

#[tokio::test]
async fn retry_after_is_obeyed_by_the_whole_mailbox() {
    let bench = survives([
        Fault::status(429)
            .code("ApplicationThrottled")
            .retry_after(120)
            .path("messages")
            .at_request(5),
        Fault::status(503).retry_after(30).path("$value").at_request(7),
        Fault::status(429)
            .retry_after("Thu, 01 Jan 2026 00:10:00 GMT")
            .path("$value")
            .at_request(9),
    ])
    .await;
    let counters = bench.emulator.requests().counters();
    assert_eq!(
        counters.retry_after_violations, 0,
        "nothing was sent before its time"
    );
    assert!(bench.clock.slept() >= Duration::from_secs(150));
    assert_eq!(bench.connector.usage().throttled, 3);
}

#[tokio::test]
async fn four_at_once_and_no_more() {
    let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(60)).await;
    bench
        .emulator
        .set(|settings| settings.mailbox_concurrency_limit = true);
    let object = bench.object().await;
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    let heads: Vec<_> = model.items.values().map(|stored| stored.head.clone()).collect();
    let reads = heads
        .iter()
        .map(|head| crate::bench::read(&bench.connector, &object, head));
    for read in futures::future::join_all(reads).await {
        assert!(read.unwrap().is_some());
    }
    let counters = bench.emulator.requests().counters();
    assert!(counters.peak_in_flight <= 4, "{}", counters.peak_in_flight);
    assert_eq!(counters.by_status.get(&429), None);
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_the_callers() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    bench
        .emulator
        .faults()
        .add(Fault::status(429).retry_after(7200).path("mailFolders").times(1));
    let error = Model::default().run(&bench.connector, &object).await.unwrap_err();
    let wait = error.retry_after().unwrap();
    assert!(wait >= Duration::from_secs(7200), "{error:?}");
    // And while it lasts, nothing is sent.
    bench.emulator.requests().clear();
    let error = Model::default().run(&bench.connector, &object).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Throttled { .. }));
    assert_eq!(bench.emulator.requests().count(), 0);
}

#[tokio::test]
async fn links_to_other_hosts_and_loops_are_not_followed() {
    for (link, code) in [
        (LinkFault::ForeignHost, "host_not_allowed"),
        (LinkFault::Loop, "link_loop"),
        (LinkFault::Huge, "link_too_long"),
    ] {
        let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(600)).await;
        let object = bench.object().await;
        let mailbox = bench.mailbox();
        let mut model = Model::default();
        bench
            .emulator
            .faults()
            .add(Fault::new(Action::Link(link)).path("/delta"));
        model.run(&bench.connector, &object).await.unwrap();
        assert!(!model.failed.is_empty());
        for (_, error) in &model.failed {
            assert_eq!(error.code(), "protocol");
            assert!(error.message().contains(code), "{error:?}");
        }
        // What failed is read in the next run.
        bench.emulator.faults().clear();
        model.run(&bench.connector, &object).await.unwrap();
        model.assert_truth(&mailbox);
    }
}

#[tokio::test]
async fn a_round_that_breaks_removes_nothing_and_keeps_its_cursor() {
    let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(400)).await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    bench
        .emulator
        .faults()
        .expire_delta(&nakivo_graph_emulator::DeltaScope::All);
    // The inbox's full round breaks after its first page.
    bench.emulator.faults().add(
        Fault::status(400)
            .code("ErrorInvalidRequest")
            .path("/delta")
            .at_request(4),
    );
    model.run(&bench.connector, &object).await.unwrap();
    assert_eq!(model.failed.len(), 1, "{:?}", model.failed);
    model.assert_truth(&mailbox);
    bench.emulator.faults().clear();
    let fresh = mailbox
        .add_message("inbox", "From: a@b.org\r\nSubject: Late\r\n\r\n.\r\n")
        .unwrap();
    model.run(&bench.connector, &object).await.unwrap();
    assert!(model.items.contains_key(&fresh));
    model.assert_truth(&mailbox);
}

#[tokio::test]
async fn a_page_that_is_too_much_is_asked_for_again_smaller() {
    let bench = survives([Fault::status(504).path("/delta").times(3)]).await;
    let sizes: Vec<String> = bench
        .emulator
        .requests()
        .matching(|record| record.operation.contains("delta"))
        .into_iter()
        .flat_map(|record| record.prefer)
        .filter(|value| value.starts_with("odata.maxpagesize"))
        .collect();
    assert!(
        sizes.iter().any(|size| size.ends_with("=100")) && sizes.iter().any(|size| size.ends_with("=12")),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn messages_that_go_away_meanwhile_are_gone() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let mailbox = bench.mailbox();
    let mut model = Model::default();
    model.run(&bench.connector, &object).await.unwrap();
    let stored = model.items.values().next().unwrap().clone();
    mailbox.purge_message(&stored.head.item.id).unwrap();
    assert!(
        crate::bench::read(&bench.connector, &object, &stored.head)
            .await
            .unwrap()
            .is_none()
    );
}
