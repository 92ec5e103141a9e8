//! An emulator, a connector, a clock that never waits, and the smallest engine that can believe a connector.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use nakivo_core::Result;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Cursor, Fetched, ItemHead, ItemRef, Presence,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::progress::Reporter;
use nakivo_core::seams::{Clock, Environment, Rng};
use nakivo_core::state::MemoryState;
use nakivo_graph_connector::{AccountConfig, Http, M365Connector, MailboxService, ReqwestHttp, Secret};
use nakivo_graph_emulator::{Action, Emulator, EmulatorBuilder, Fault, Mailbox};

/// A clock on which a pause passes at once. The emulator shares it, so `Retry-After` is judged on it too.
#[derive(Debug, Default)]
pub(crate) struct JumpClock {
    elapsed_ms: AtomicU64,
}

impl JumpClock {
    pub(crate) fn time(&self) -> DateTime<Utc> {
        let start = DateTime::from_timestamp_millis(1_767_225_600_000).unwrap();
        start + Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }

    pub(crate) fn slept(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Clock for JumpClock {
    fn now(&self) -> DateTime<Utc> {
        self.time()
    }

    fn monotonic(&self) -> Duration {
        self.slept()
    }

    async fn sleep(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4) + 1;
        self.elapsed_ms.fetch_add(ms, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// A small generator with a printed seed.
#[derive(Debug)]
pub(crate) struct TestRng(Mutex<u64>);

impl TestRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed | 1))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    pub(crate) fn below(&self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

impl Rng for TestRng {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            *byte = self.next() as u8;
        }
        Ok(())
    }
}

pub(crate) fn seed() -> u64 {
    let seed = std::env::var("NAKIVO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_102);
    println!("NAKIVO_SEED={seed}");
    seed
}

pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) clock: Arc<JumpClock>,
    pub(crate) connector: M365Connector,
}

impl Bench {
    /// A small world: two users, 30 messages each.
    pub(crate) async fn small() -> Self {
        Self::with(Emulator::builder().seed(seed()).users(2).items_per_user(30)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let clock = Arc::new(JumpClock::default());
        let emulator_clock = Arc::clone(&clock);
        let emulator = builder
            .clock(move || emulator_clock.time())
            .start()
            .await
            .unwrap();
        let connector = connect(&emulator, &clock);
        Self {
            emulator,
            clock,
            connector,
        }
    }

    /// Another connector, as a new process would have it.
    pub(crate) fn reconnect(&self) -> M365Connector {
        connect(&self.emulator, &self.clock)
    }

    /// A connector with other settings.
    pub(crate) fn connect_with(&self, config: &AccountConfig) -> M365Connector {
        let http: Arc<dyn Http> = Arc::new(ReqwestHttp::new().unwrap());
        M365Connector::new(config, http, &environment(&self.clock)).unwrap()
    }

    /// The n-th request from now on meets this fault, and nothing else goes wrong. Refused credentials pass where a token was
    /// used; at the token's own endpoint they mean what they say.
    pub(crate) fn break_request(&self, kind: &Action, n: u64) {
        let path = match kind {
            Action::Status { status: 401, .. } => "/v1.0/",
            _ => "/",
        };
        self.emulator.faults().clear();
        let fault = Fault::new(kind.clone()).path(path).at_request(n);
        self.emulator.faults().add(fault);
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.emulator.mailboxes().remove(0)
    }

    pub(crate) async fn object(&self) -> ObjectRecord {
        self.connector
            .find_object(self.mailbox().address())
            .await
            .unwrap()
    }
}

/// An account that reads mail alone of mailboxes.
pub(crate) fn config(emulator: &Emulator) -> AccountConfig {
    AccountConfig::with_secret(
        emulator.directory_id(),
        emulator.app_id(),
        Secret::new(emulator.client_secret()),
    )
    .with_urls(emulator.graph_url(), emulator.login_url())
    .with_mailbox_services([MailboxService::Mail])
}

pub(crate) fn environment(clock: &Arc<JumpClock>) -> Environment {
    Environment {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        rng: Arc::new(TestRng::new(7)),
        state: Arc::new(MemoryState::default()),
        ..Environment::default()
    }
}

pub(crate) fn connect(emulator: &Emulator, clock: &Arc<JumpClock>) -> M365Connector {
    let http: Arc<dyn Http> = Arc::new(ReqwestHttp::new().unwrap());
    M365Connector::new(&config(emulator), http, &environment(clock)).unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) head: ItemHead,
    pub(crate) mime: Bytes,
    pub(crate) json: Bytes,
    /// The list of attachments, where the MIME does not show them.
    pub(crate) attachments: Option<Bytes>,
}

/// What a backup believes after some rounds: the port's rules and nothing else.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) containers: BTreeMap<String, ItemHead>,
    pub(crate) items: HashMap<String, Stored>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) failed: Vec<(String, nakivo_core::Error)>,
    pub(crate) retry: Vec<ItemRef>,
    pub(crate) fetched: usize,
    pub(crate) full_rounds: usize,
    /// What was heard of each item, for the message of a failed test.
    pub(crate) heard: HashMap<String, Vec<String>>,
}

impl Model {
    /// One run. Content is read as it is listed.
    pub(crate) async fn run(&mut self, connector: &dyn Connector, object: &ObjectRecord) -> Result<()> {
        let reporter = Reporter::silent();
        let request = ChangesRequest {
            cursor: self.cursor.clone(),
            retry: std::mem::take(&mut self.retry),
        };
        let mut changes = connector.changes(object, request, &reporter);
        let mut next = self.clone();
        next.failed.clear();
        next.fetched = 0;
        next.full_rounds = 0;
        let mut containers = BTreeMap::new();
        let mut complete = false;
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut rounds: HashMap<String, (bool, HashSet<String>)> = HashMap::new();
        let mut suspects: HashSet<ItemRef> = HashSet::new();
        let mut cursor = None;
        for heard in next.heard.values_mut() {
            heard.push("--".to_owned());
        }
        while let Some(change) = changes.try_next().await? {
            assert!(cursor.is_none(), "the cursor is the last change");
            match change {
                Change::Container(head) => {
                    containers.insert(head.item.id.clone(), head);
                }
                Change::ContainersComplete => complete = true,
                Change::RoundStarted { container, full } => {
                    next.full_rounds += usize::from(full);
                    rounds.insert(container, (full, HashSet::new()));
                }
                Change::Item(head) => {
                    next.hear(&head.item, "item");
                    if let Some((_, ids)) = rounds.get_mut(&head.item.container) {
                        ids.insert(head.item.id.clone());
                    }
                    seen.insert(head.item.id.clone(), head.item.container.clone());
                    suspects.remove(&head.item);
                    next.take(connector, object, head).await;
                }
                Change::Vanished(item) => {
                    next.hear(&item, "vanished");
                    suspects.insert(item);
                }
                Change::RoundEnded { container } => {
                    let (full, ids) = rounds.remove(&container).unwrap();
                    if full {
                        suspects.extend(
                            next.items
                                .values()
                                .map(|stored| stored.head.item.clone())
                                .filter(|item| item.container == container && !ids.contains(&item.id)),
                        );
                    }
                }
                Change::Failed { path, item, error } => {
                    next.retry.extend(item);
                    next.failed.push((path, error));
                }
                Change::Cursor(new) => cursor = Some(new),
                other => panic!("unknown change {other:?}"),
            }
        }
        if complete {
            suspects.extend(
                next.items
                    .values()
                    .map(|stored| stored.head.item.clone())
                    .filter(|item| !containers.contains_key(&item.container)),
            );
            next.containers = containers;
        } else {
            next.containers.extend(containers);
        }
        let suspects: Vec<ItemRef> = suspects
            .into_iter()
            .filter(|item| seen.get(&item.id).is_none_or(|at| *at == item.container))
            .collect();
        for (item, presence) in suspects.iter().zip(connector.look_up(object, &suspects).await?) {
            next.hear(
                item,
                &format!("{presence:?}").chars().take(200).collect::<String>(),
            );
            match presence {
                Presence::Gone => {
                    next.items.remove(&item.id);
                }
                Presence::Present(head) if next.containers.contains_key(&head.item.container) => {
                    next.take(connector, object, *head).await;
                }
                Presence::Present(_) => {
                    next.items.remove(&item.id);
                }
                Presence::Unknown(error) => next.failed.push((item.id.clone(), error)),
            }
        }
        next.cursor = Some(cursor.expect("a round ends with its cursor"));
        *self = next;
        Ok(())
    }

    fn hear(&mut self, item: &ItemRef, what: &str) {
        let folder = self
            .containers
            .get(&item.container)
            .map_or(item.container.as_str(), |head| head.name.as_str());
        let line = format!("{what} in {folder}");
        self.heard.entry(item.id.clone()).or_default().push(line);
    }

    async fn take(&mut self, connector: &dyn Connector, object: &ObjectRecord, head: ItemHead) {
        if let Some(stored) = self.items.get_mut(&head.item.id)
            && head.change_key.is_some()
            && stored.head.change_key == head.change_key
        {
            stored.head.item = head.item;
            return;
        }
        self.fetched += 1;
        match read(connector, object, &head).await {
            Ok(Some(stored)) => {
                self.items.insert(head.item.id.clone(), stored);
            }
            Ok(None) => {}
            Err(error) => {
                self.retry.push(head.item.clone());
                self.failed.push((head.name.clone(), error));
            }
        }
    }

    /// Compares with what the emulator knows; byte for byte.
    pub(crate) fn assert_truth(&self, mailbox: &Mailbox) {
        let truth = mailbox.messages().unwrap();
        let mut expected: Vec<(String, String)> = truth
            .iter()
            .map(|message| (message.folder_id.clone(), message.id.clone()))
            .collect();
        let mut found: Vec<(String, String)> = self
            .items
            .values()
            .map(|stored| (stored.head.item.container.clone(), stored.head.item.id.clone()))
            .collect();
        expected.sort();
        found.sort();
        let name = |(folder, id): &(String, String)| {
            let folder = self
                .containers
                .get(folder)
                .map_or(folder.as_str(), |head| head.name.as_str());
            let name = self
                .items
                .get(id)
                .map_or(id.as_str(), |stored| stored.head.name.as_str());
            format!("{name} in {folder}, of which was heard: {:?}", self.heard.get(id))
        };
        let extra: Vec<String> = found
            .iter()
            .filter(|one| !expected.contains(one))
            .map(name)
            .collect();
        let missing: Vec<String> = expected
            .iter()
            .filter(|one| !found.contains(one))
            .map(name)
            .collect();
        assert!(
            extra.is_empty() && missing.is_empty(),
            "too many: {extra:#?}\nmissing: {missing:#?}"
        );
        for message in &truth {
            let stored = &self.items[&message.id];
            assert_eq!(stored.head.name, message.subject);
            assert_eq!(
                stored.head.change_key.as_deref(),
                Some(message.change_key.as_str())
            );
            assert_eq!(
                stored.mime,
                mailbox.mime(&message.id).unwrap(),
                "MIME of '{}'",
                message.subject
            );
            let json: serde_json::Value = serde_json::from_slice(&stored.json).unwrap();
            assert_eq!(json["isRead"], message.is_read);
            assert_eq!(json["id"], message.id.as_str());
        }
        let mut folders: Vec<String> = mailbox
            .folders()
            .unwrap()
            .into_iter()
            .filter(|folder| !folder.search)
            .filter(|folder| self.containers.contains_key(&folder.id) || folder.messages > 0)
            .map(|folder| folder.id)
            .collect();
        folders.sort();
        assert_eq!(self.containers.keys().cloned().collect::<Vec<_>>(), folders);
    }
}

/// Reads one item as the engine would.
pub(crate) async fn read(
    connector: &dyn Connector,
    object: &ObjectRecord,
    head: &ItemHead,
) -> Result<Option<Stored>> {
    match connector.fetch(object, head).await? {
        Fetched::Content { head, parts } => {
            let (mut mime, mut attachments) = (None, None);
            for mut part in parts {
                let mut bytes = Vec::new();
                while let Some(piece) = part.body.next().await {
                    bytes.extend_from_slice(&piece?);
                }
                if let Some(length) = part.length {
                    assert_eq!(length, bytes.len() as u64);
                }
                match part.name.as_str() {
                    "mime" => mime = Some(Bytes::from(bytes)),
                    "attachments" => attachments = Some(Bytes::from(bytes)),
                    other => panic!("unknown part {other}"),
                }
            }
            let json = head.raw.clone().expect("the JSON comes with the head");
            Ok(Some(Stored {
                head: *head,
                mime: mime.expect("a message has MIME"),
                json,
                attachments,
            }))
        }
        Fetched::Gone => Ok(None),
        Fetched::Skipped { .. } => panic!("nothing is skipped"),
    }
}
