//! Large mailboxes and large messages: little memory, quick pages.

use std::time::Instant;

use futures::StreamExt as _;
use nakivo_graph_emulator::Emulator;

use crate::client::{Client, send};

/// Peak resident memory of this process in MiB; `None` where it cannot be told.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

/// Runs the test of this name in a process of its own, so that other tests do not count.
fn alone(name: &str) -> bool {
    if std::env::var("EMULATOR_ALONE").as_deref() == Ok(name) {
        return true;
    }
    let exe = std::env::current_exe().expect("the test binary");
    let status = std::process::Command::new(exe)
        .args(["--exact", &format!("scale::{name}"), "--nocapture"])
        .env("EMULATOR_ALONE", name)
        .status()
        .expect("it runs");
    assert!(status.success());
    false
}

#[tokio::test]
async fn two_hundred_thousand_messages() {
    if !alone("two_hundred_thousand_messages") {
        return;
    }
    let began = Instant::now();
    let c = Client::start(Emulator::builder().users(1).items_per_user(200_000))
        .await
        .immutable();
    println!("started in {:?}", began.elapsed());
    let began = Instant::now();
    let mut next = format!(
        "{}/mailFolders/inbox/messages/delta?$select=subject,changeKey",
        c.me()
    );
    let mut seen = 0;
    let mut pages = 0;
    loop {
        let page = send(c.request("GET", &next).header("Prefer", "odata.maxpagesize=1000"))
            .await
            .expect(200)
            .json();
        seen += page["value"].as_array().expect("value").len();
        pages += 1;
        match page["@odata.nextLink"].as_str() {
            Some(link) => next = link.to_owned(),
            None => break,
        }
    }
    println!(
        "{seen} items on {pages} pages in {:?}; peak {:?} MiB",
        began.elapsed(),
        peak_mib()
    );
    let truth = c.emulator.mailboxes()[0]
        .folders()
        .expect("folders")
        .into_iter()
        .find(|f| f.well_known.as_deref() == Some("inbox"));
    assert!(seen >= truth.expect("inbox").messages);
    if let Some(peak) = peak_mib() {
        assert!(peak < 300, "{peak} MiB");
    }
}

#[tokio::test]
async fn one_large_message_is_streamed() {
    if !alone("one_large_message_is_streamed") {
        return;
    }
    let c = Client::start(Emulator::builder().users(1)).await;
    let mailbox = c.emulator.mailboxes()[0].clone();
    let id = mailbox.add_big_message("inbox", 150_000_000).expect("added");
    let before = peak_mib();
    let response = c
        .request("GET", &format!("{}/messages/{id}/$value", c.me()))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let mut stream = response.bytes_stream();
    let mut total = 0;
    while let Some(piece) = stream.next().await {
        total += piece.expect("a piece").len();
    }
    println!("{total} bytes; peak {before:?} -> {:?} MiB", peak_mib());
    assert!(total > 200_000_000);
    if let (Some(before), Some(after)) = (before, peak_mib()) {
        assert!(after - before < 60, "{before} -> {after} MiB");
    }
}
