//! The memory of an export does not grow with the mailbox. Takes long, so it runs only when asked for:
//! `cargo test -p nakivo-core --features measure --test it large -- --nocapture`, with `NAKIVO_MESSAGES` for another number.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says why"
)]

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions};
use nakivo_core::bytes::Bytes;
use nakivo_core::chrono::DateTime;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Cursor, Fetched, ItemHead, ItemRef, PartContent, Presence,
};
use nakivo_core::format::ObjectRecord;
use nakivo_core::format::record::{ItemKind, Value};
use nakivo_core::object_store::local::LocalFileSystem;
use nakivo_core::progress::Reporter;
use nakivo_core::recovery::{Destination, ExportFormat, ExportOptions, Outcome, Selection, export};
use nakivo_core::repository::{CreateOptions, PointSelector, Repository};
use nakivo_core::seams::Environment;

use super::recovery::{bare_head, mailbox};

/// Most that an export may add to what the process needs anyway.
const MAX_GROWTH_KIB: u64 = 96 << 10;

/// A mailbox of any size, made up as it is read.
#[derive(Debug)]
struct Generated {
    messages: u64,
}

fn head(kind: ItemKind, container: &str, id: &str, name: &str) -> ItemHead {
    let mut head = bare_head(kind, container, id, name);
    let from = Value::Text("Alice Example <alice@contoso.example>".to_owned());
    head.properties.insert("from".to_owned(), from);
    head.received = DateTime::from_timestamp(1_700_000_000, 0);
    head
}

#[async_trait]
impl Connector for Generated {
    fn name(&self) -> &str {
        "generated"
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        stream::once(self.find_object("")).boxed()
    }

    async fn find_object(&self, _: &str) -> Result<ObjectRecord> {
        Ok(mailbox("generated", "generated"))
    }

    fn changes<'a>(
        &'a self,
        _: &'a ObjectRecord,
        _: ChangesRequest,
        _: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        let first = [
            Change::Container(head(ItemKind::Container, "", "inbox", "Inbox")),
            Change::ContainersComplete,
            Change::RoundStarted {
                container: "inbox".to_owned(),
                full: true,
            },
        ];
        let messages = (0..self.messages).map(|number| {
            // Immutable ids are about this long.
            let id = format!("{:0>100}{number:08}", "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A");
            Change::Item(head(
                ItemKind::Message,
                "inbox",
                &id,
                &format!("Subject {}", number % 1_000),
            ))
        });
        let last = [
            Change::RoundEnded {
                container: "inbox".to_owned(),
            },
            Change::Cursor(Cursor(Bytes::from_static(b"1"))),
        ];
        stream::iter(first.into_iter().chain(messages).chain(last))
            .map(Ok)
            .boxed()
    }

    async fn fetch(&self, _: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        let id = &head.item.id;
        let mime = format!(
            "From: alice@contoso.example\r\nSubject: {}\r\nMessage-Id: {id}\r\n\r\n{}\r\n",
            head.name,
            id.repeat(5)
        );
        let part = PartContent {
            name: "mime".to_owned(),
            media_type: None,
            length: Some(mime.len() as u64),
            body: stream::iter([Ok(Bytes::from(mime))]).boxed(),
        };
        Ok(Fetched::Content {
            head: Box::new(head.clone()),
            parts: vec![part],
        })
    }

    async fn look_up(&self, _: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        Ok(items.iter().map(|_| Presence::Gone).collect())
    }

    fn fetch_concurrency(&self) -> usize {
        8
    }
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_exports_need_no_more_memory_than_small_ones() {
    let messages = std::env::var("NAKIVO_MESSAGES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200_000);
    if std::fs::metadata("/proc/self/clear_refs").is_err() {
        println!("SKIPPED: this system has no /proc to read the peak memory from");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let open = || Arc::new(LocalFileSystem::new_with_prefix(&store).unwrap());
    let environment = Environment::default();
    let clock = Arc::clone(&environment.clock);
    {
        let repository = Repository::create(open(), CreateOptions::unencrypted(), environment.clone())
            .await
            .unwrap();
        let connector: Arc<dyn Connector> = Arc::new(Generated { messages });
        let object = connector.find_object("").await.unwrap();
        let started = clock.monotonic();
        let report = backup::start(&repository, connector, object, BackupOptions::default())
            .wait()
            .await
            .unwrap();
        assert_eq!((report.outcome, report.items), (Outcome::Complete, messages));
        println!(
            "backup: {messages} messages in {:?}, peak {} KiB",
            clock.monotonic() - started,
            status("VmHWM")
        );
    }
    let repository = Repository::open(open(), Default::default(), environment)
        .await
        .unwrap();
    let object = repository.find_object("generated").unwrap();
    let point = repository.point(&object.id, &PointSelector::Latest).unwrap();
    for (name, format) in [
        ("zip", ExportFormat::Files),
        ("mbox.zip", ExportFormat::Mbox),
        ("dir", ExportFormat::Files),
    ] {
        let out = dir.path().join(name);
        let destination = if name == "dir" {
            Destination::Directory(out)
        } else {
            Destination::Zip(out)
        };
        // Resets the peak to what is in use now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (before, started) = (status("VmRSS"), clock.monotonic());
        let options = ExportOptions::new(destination).with_format(format);
        let report = export(&repository, &point, Selection::All, options)
            .wait()
            .await
            .unwrap();
        assert_eq!((report.outcome, report.items), (Outcome::Complete, messages));
        let peak = status("VmHWM");
        println!(
            "export {name}: {messages} messages in {:?}, before {before} KiB, peak {peak} KiB",
            clock.monotonic() - started
        );
        assert!(
            peak.saturating_sub(before) < MAX_GROWTH_KIB,
            "the export took {} KiB",
            peak - before
        );
    }
}
