//! What a run costs follows what changed, and what is the same is stored once: told by counters, not by a watch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nakivo_core::backup::BackupReport;
use nakivo_core::folder::FolderConnector;
use nakivo_core::repository::Repository;
use nakivo_testkit::content::{Content, mail, prose};
use nakivo_testkit::fault::{FaultStore, OperationKind};
use nakivo_testkit::lab::{Lab, back_up, back_up_object};
use nakivo_testkit::oracle::assert_sound;
use nakivo_testkit::random::{SeededRng, announce};
use nakivo_testkit::scripted::{Edit, ScriptedConnector, Settings};
use object_store::memory::InMemory;

/// Messages that the document is attached to, and folders that hold it as a file.
const MAILS: usize = 50;
const DRIVES: usize = 3;
/// Several chunks long, and no byte of it compresses.
const DOCUMENT_BYTES: usize = 1_600_000;

fn put(id: &str, content: Content) -> Edit {
    Edit::Put {
        container: "inbox".into(),
        id: id.into(),
        name: format!("Item {id}"),
        parts: BTreeMap::from([("mime".to_owned(), content)]),
    }
}

fn mailbox(name: &str) -> ScriptedConnector {
    let source = ScriptedConnector::new(name, Settings::default());
    source.edit(&Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    source
}

async fn back_up_folder(repository: &Repository, path: &Path, name: &str) -> BackupReport {
    let connector = FolderConnector::new(path, name).unwrap();
    let object = connector.object().clone();
    back_up_object(repository, Arc::new(connector), object)
        .await
        .unwrap()
}

/// The same document as attachment of many messages, as message files in a folder, and as a file of several folders.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_mails_and_drives_is_stored_once() {
    let lab = Lab::memory(61);
    let rng = SeededRng::from_environment("a_document_in_mails_and_drives_is_stored_once", 62);
    let repository = lab.create().await.unwrap();
    let document = rng.bytes(DOCUMENT_BYTES);
    let messages: Vec<Content> = (0..MAILS)
        .map(|number| mail(&format!("Number {number}"), &prose(&rng, 900), &document))
        .collect();

    let source = mailbox("mails");
    for (number, message) in messages.iter().enumerate() {
        source.edit(&put(&format!("m{number:02}"), message.clone()));
    }
    let first = back_up(&repository, &source).await.unwrap();
    let mut stored = first.written.bytes_new;

    for drive in 0..DRIVES {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(format!("document {drive}.docx")), &document).unwrap();
        // Only the tree of the new point.
        let run = back_up_folder(&repository, folder.path(), &format!("drive {drive}")).await;
        assert!(run.written.bytes_new < 4_000, "drive {drive}: {:?}", run.written);
        stored += run.written.bytes_new;
    }
    let saved = tempfile::tempdir().unwrap();
    for (number, message) in messages.iter().take(5).enumerate() {
        std::fs::write(saved.path().join(format!("{number}.eml")), message.to_bytes()).unwrap();
    }
    let run = back_up_folder(&repository, saved.path(), "saved mail").await;
    assert!(run.written.bytes_new < 12_000, "message files: {:?}", run.written);
    stored += run.written.bytes_new;

    let read = (MAILS * 4 / 3 + DRIVES) * DOCUMENT_BYTES;
    announce(&format!(
        "counts: {stored} new bytes of {read} and more that were read"
    ));
    // Beside the document: what the messages say, their heads, and the trees.
    assert!(
        stored < (DOCUMENT_BYTES + 150_000) as u64,
        "{stored} bytes are new"
    );
    assert_sound(&repository, "mails and drives").await;
}

/// Messages of one mailbox, of which some change.
struct Mailbox {
    source: ScriptedConnector,
    rng: SeededRng,
    items: usize,
}

impl Mailbox {
    fn with(items: usize) -> Self {
        let mailbox = Self {
            source: mailbox("steady"),
            rng: SeededRng::new(63),
            items,
        };
        for number in 0..items {
            mailbox.write(number, 0);
        }
        mailbox
    }

    fn write(&self, number: usize, attached: usize) {
        let message = mail(
            &format!("Number {number}"),
            &prose(&self.rng, 300),
            &self.rng.bytes(attached),
        );
        self.source.edit(&put(&format!("m{number:06}"), message));
    }

    /// Changes so many messages all over the mailbox.
    fn change(&self, count: usize) {
        for change in 0..count {
            self.write(change * (self.items / count), 8_000);
        }
    }
}

/// What one run asked of the store and wrote.
#[derive(Debug, Clone, Copy)]
struct Cost {
    puts: u64,
    gets: u64,
    others: u64,
    chunks: u64,
    bytes: u64,
}

async fn cost(store: &FaultStore, repository: &Repository, mailbox: &Mailbox) -> Cost {
    store.forget();
    let report = back_up(repository, &mailbox.source).await.unwrap();
    let count = |kind| store.count(kind);
    let (puts, gets) = (count(OperationKind::Put), count(OperationKind::Get));
    Cost {
        puts,
        gets,
        others: store.operations() - puts - gets,
        chunks: report.written.chunks_new,
        bytes: report.written.bytes_stored,
    }
}

fn lab() -> (Lab, FaultStore) {
    let store = FaultStore::new(Arc::new(InMemory::new()));
    (Lab::over(store.handle(), 64), store)
}

/// Requests to the store cost money and time: few packs, one segment, one commit, and tree nodes from the cache.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_changes_100_items_needs_few_requests() {
    let (lab, store) = lab();
    let repository = lab.create().await.unwrap();
    let mailbox = Mailbox::with(2_000);
    let first = cost(&store, &repository, &mailbox).await;
    mailbox.change(100);
    let warm = cost(&store, &repository, &mailbox).await;
    mailbox.change(100);
    let warmer = cost(&store, &repository, &mailbox).await;

    // Another process: it opens the repository first, which counts.
    let elsewhere = lab.open().await.unwrap();
    mailbox.change(100);
    let cold = cost(&store, &elsewhere, &mailbox).await;
    announce(&format!(
        "counts: first {first:?}; warm {warm:?}, {warmer:?}; cold {cold:?}"
    ));
    for run in [warm, warmer] {
        assert!(run.puts <= 10 && run.gets <= 10, "{run:?}");
    }
    assert!(cold.puts <= 10, "{cold:?}");
}

/// Ten times the mailbox and the same changes: about the same cost. And nothing at all when nothing changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_delta_source_costs_what_changed() {
    let mut runs = Vec::new();
    for items in [1_000, 10_000] {
        let (lab, store) = lab();
        let repository = lab.create().await.unwrap();
        let mailbox = Mailbox::with(items);
        cost(&store, &repository, &mailbox).await;
        mailbox.change(10);
        // Reads the paths to what changes, as every later run does once.
        cost(&store, &repository, &mailbox).await;
        let before = mailbox.source.moments();
        let unchanged = cost(&store, &repository, &mailbox).await;
        mailbox.change(10);
        let changed = cost(&store, &repository, &mailbox).await;
        let (listed, fetched) = mailbox.source.moments();
        announce(&format!(
            "counts: {items} items: unchanged {unchanged:?}, changed {changed:?}"
        ));
        runs.push((unchanged, changed, listed - before.0, fetched - before.1));
    }
    let [small, large] = runs.as_slice() else {
        unreachable!()
    };
    let bounded = |what: &str, small: u64, large: u64| {
        assert!(10 * large <= 13 * small.max(1), "{what}: {small} became {large}");
    };
    for (run, small, large) in [("unchanged", small.0, large.0), ("changed", small.1, large.1)] {
        let operations = |cost: Cost| cost.puts + cost.gets + cost.others;
        bounded(
            &format!("{run}: operations"),
            operations(small),
            operations(large),
        );
        bounded(&format!("{run}: chunks"), small.chunks, large.chunks);
        bounded(&format!("{run}: bytes"), small.bytes, large.bytes);
    }
    bounded("changes listed", small.2, large.2);
    bounded("items fetched", small.3, large.3);
}
