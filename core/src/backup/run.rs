//! The run: changes in, one commit out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt;
use nakivo_repo_format::ids::{PointId, RunId};
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::{LedgerKind, Manifest, ObjectRecord, PointCounts};
use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord};
use nakivo_repo_format::tree::{Edit, ItemKey, KeyKind, TreeRoot};

use super::edits::EditLog;
use super::fetch::FetchOutcome;
use super::fetches::{Fetches, Outcomes};
use super::ledger::Ledger;
use super::relied_on::ReliedOn;
use super::save::{Unfinished, save};
use super::whereabouts::{IdHash, Whereabouts};
use super::{BackupOptions, BackupReport, Outcome, Pace};
use crate::connector::{Change, ChangesRequest, Connector, Cursor, ItemHead, ItemRef, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Event, Reporter};
use crate::repository::{Repository, Writer};
use crate::seams::random_bytes;

/// Fetches that may fail in a row, with nothing stored in between, before the source counts as down.
const MAX_CONSECUTIVE_FAILURES: u32 = 25;

pub(super) async fn run(
    repository: Repository,
    connector: Arc<dyn Connector>,
    object: ObjectRecord,
    options: BackupOptions,
    reporter: Reporter,
) -> Result<BackupReport> {
    let env = repository.environment().clone();
    let started_ms = env.clock.now().timestamp_millis();
    let started = env.clock.monotonic();
    let usage_before = connector.usage();
    repository.refresh().await?;

    let (base, damaged) = match repository.base_for(&object.id) {
        Some((base, damaged)) => (Some(base), damaged),
        None => (None, Vec::new()),
    };
    let run = RunId::from_bytes(random_bytes(&*env.rng)?);
    let mut state = Run {
        writer: repository.writer(run),
        base_root: base.as_ref().and_then(|base| base.root),
        base,
        resumed: None,
        resumed_from: Vec::new(),
        edits: EditLog::new(),
        containers: HashMap::new(),
        containers_complete: false,
        gone: HashSet::new(),
        made: HashSet::new(),
        rounds: HashMap::new(),
        begun: HashSet::new(),
        named_again: HashMap::new(),
        candidates: BTreeSet::new(),
        removed: HashSet::new(),
        damaged: damaged.iter().map(ItemKey::to_bytes).collect(),
        retried: BTreeSet::new(),
        whereabouts: Whereabouts::default(),
        ledger: Ledger::default(),
        container_delta: 0,
        consecutive_failures: 0,
        cursor: None,
        pace: Pace::new(started, options.progress),
        run,
        started_ms,
        repository,
        connector,
        object: Arc::new(object),
        options,
        reporter,
    };

    let result = match state.load_interrupted().await {
        Ok(()) => state.read_source().await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        // What is stored is remembered, so that the next run does not read it again. The error itself goes first: if this
        // fails too (the store may be what broke), the next run only has more to do.
        if error.kind() != ErrorKind::Internal
            && let Err(second) = state.save_progress().await
        {
            tracing::warn!(error = ?second, "the progress of an interrupted run could not be saved");
        }
        return Err(state.relied_on().explain(&state.repository, error).await);
    }
    let usage_before = (usage_before, started);
    // It takes the run along, and with it what could explain a failure.
    let relied_on = state.relied_on();
    let repository = state.repository.clone();
    let reporter = state.reporter.clone();
    match state.commit(usage_before).await {
        Ok(report) => Ok(BackupReport {
            lock: repository.lock_point(&report.point, &reporter).await,
            ..report
        }),
        Err(error) => Err(relied_on.explain(&repository, error).await),
    }
}

pub(super) struct Round {
    pub(super) full: bool,
    /// Whether this run had begun a round of the container before, which did not come to its end.
    pub(super) again: bool,
    /// Hashes of the item ids seen in a full round.
    pub(super) seen: HashSet<IdHash>,
}

pub(super) struct ContainerPlace {
    pub(super) parent: String,
    pub(super) name: String,
}

/// Everything one run knows.
pub(super) struct Run {
    pub(super) repository: Repository,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) object: Arc<ObjectRecord>,
    pub(super) options: BackupOptions,
    pub(super) reporter: Reporter,
    pub(super) writer: Writer,
    pub(super) run: RunId,
    started_ms: i64,
    pub(super) base: Option<Manifest>,
    pub(super) base_root: Option<TreeRoot>,
    /// What an interrupted run stored, as a tree to look things up in.
    resumed: Option<TreeRoot>,
    resumed_from: Vec<RunId>,
    pub(super) edits: EditLog,
    pub(super) containers: HashMap<String, ContainerPlace>,
    pub(super) containers_complete: bool,
    /// Containers that were there in this run and are gone.
    pub(super) gone: HashSet<String>,
    /// Keys of the containers that this run made and the base has not.
    pub(super) made: HashSet<Vec<u8>>,
    pub(super) rounds: HashMap<String, Round>,
    /// Containers of which this run began a round.
    begun: HashSet<String>,
    /// What full rounds named of containers whose round had to begin again: what this run stored there before and is not among
    /// it has vanished.
    pub(super) named_again: HashMap<String, HashSet<IdHash>>,
    /// Items that their container no longer shows.
    pub(super) candidates: BTreeSet<ItemRef>,
    /// Keys that this run removed.
    removed: HashSet<Vec<u8>>,
    /// Keys of what the base holds and cannot be read, as long as this run has not stored or removed it.
    pub(super) damaged: BTreeSet<Vec<u8>>,
    /// Items to be tried again, all of them.
    pub(super) retried: BTreeSet<ItemRef>,
    pub(super) whereabouts: Whereabouts,
    pub(super) ledger: Ledger,
    pub(super) container_delta: i64,
    consecutive_failures: u32,
    cursor: Option<Cursor>,
    pace: Pace,
}

impl Run {
    fn relied_on(&self) -> ReliedOn {
        ReliedOn {
            point: self.base.as_ref().map(|base| base.id),
            runs: self.resumed_from.clone(),
        }
    }

    /// Finds what interrupted runs over the same base left and makes it searchable.
    async fn load_interrupted(&mut self) -> Result<()> {
        let base = self.base.as_ref().map(|base| base.id);
        for progress in self.repository.progress_of(&self.object.id) {
            self.resumed_from.push(progress.run);
            if progress.base != base || progress.spills.is_empty() {
                continue;
            }
            let taken = match EditLog::resumed(&progress.spills).merged(&self.writer).await {
                Ok(edits) => self.writer.update_tree(self.resumed, edits).await,
                Err(error) => Err(error),
            };
            self.resumed = match taken {
                Ok(taken) => taken,
                // Then it is read from the source once more, and the damaged progress ends with this run.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.reporter.event(Event::Note {
                        message: format!(
                            "what the interrupted run {} stored is damaged: {error}",
                            progress.run
                        ),
                    });
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.reporter.event(Event::Note {
                message: format!("taking over what the interrupted run {} stored", progress.run),
            });
        }
        Ok(())
    }

    async fn read_source(&mut self) -> Result<()> {
        self.reporter.phase("fetch");
        let request = ChangesRequest {
            cursor: match self.base.as_ref().and_then(|base| base.cursor.clone()) {
                Some(blob) => Some(Cursor(self.repository.read_blob_bytes(&blob).await?)),
                None => None,
            },
            retry: self.items_to_retry().await?,
        };
        // What failed or could not be found out last time is settled in this run: if the source does not name it where it
        // was, it is looked up like any other item that vanished, also when its container has nothing more to say of it.
        self.candidates.extend(request.retry.iter().cloned());
        self.retried.extend(request.retry.iter().cloned());
        let connector = Arc::clone(&self.connector);
        let object = Arc::clone(&self.object);
        let reporter = self.reporter.clone();
        let mut changes = connector.changes(&object, request, &reporter);
        let mut fetches = Fetches::new(Arc::clone(&connector), Arc::clone(&object), self.writer.clone());
        let cancelled = self.reporter.cancellation().clone();
        let mut more = true;
        while more || !fetches.is_empty() {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Err(Error::cancelled()),
                Some(done) = fetches.next(), if fetches.under_way() => self.fetched(done?).await?,
                change = changes.next(), if more && fetches.has_room() => match change {
                    None => more = false,
                    Some(change) => if let Some(head) = self.change(change?, &mut fetches).await? {
                        fetches.add(head);
                    },
                },
                // The source has no more to say for now.
                () = std::future::ready(()), if fetches.waiting() && fetches.has_room() => fetches.start_waiting(),
            }
            self.progress_if_due().await?;
        }
        drop(changes);
        self.find_leftovers().await?;
        if self.cursor.is_none() {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "connector '{}' ended its changes without a cursor",
                    self.connector.name()
                ),
            ));
        }
        self.settle_vanished().await
    }

    async fn fetched(&mut self, outcomes: Outcomes) -> Result<()> {
        for (head, outcome) in outcomes {
            self.apply(head, outcome).await?;
        }
        Ok(())
    }

    /// Waits until `item` is not being fetched any more: the last occurrence counts, so the first one ends first.
    async fn await_fetch(&mut self, item: &ItemRef, fetches: &mut Fetches) -> Result<()> {
        while fetches.contains(item) {
            fetches.start_waiting();
            match fetches.next().await {
                Some(done) => self.fetched(done?).await?,
                None => break,
            }
        }
        Ok(())
    }

    /// Takes one change; returns a head whose content must be fetched.
    async fn change(&mut self, change: Change, fetches: &mut Fetches) -> Result<Option<ItemHead>> {
        match change {
            Change::Container(head) => self.container(head).await?,
            Change::ContainerKept { item, name } => self.container_kept(item, name).await?,
            Change::ContainerGone { id } => self.container_gone(id).await?,
            Change::Restarted => self.whereabouts.restart(),
            Change::ContainersComplete => self.containers_complete = true,
            Change::RoundStarted { container, full } => {
                let round = Round {
                    full,
                    again: !self.begun.insert(container.clone()),
                    seen: HashSet::new(),
                };
                self.rounds.insert(container, round);
            }
            Change::Item(head) => {
                // The same item again while it is being fetched.
                self.await_fetch(&head.item, fetches).await?;
                return self.item(head).await;
            }
            Change::Vanished(item) => {
                self.await_fetch(&item, fetches).await?;
                self.candidates.insert(item);
            }
            Change::RoundEnded { container } => self.round_ended(&container).await?,
            Change::Failed { path, item, error } => {
                self.fail(item.as_ref(), path, &error, item.is_some())?;
            }
            Change::Cursor(cursor) => self.cursor = Some(cursor),
        }
        Ok(None)
    }

    /// Decides about an item: known already, unchanged, taken over, or to be fetched.
    pub(super) async fn item(&mut self, head: ItemHead) -> Result<Option<ItemHead>> {
        let key = match item_key(&head.item) {
            Ok(key) => key,
            Err(error) => {
                self.ledger.counts.enumerated += 1;
                self.item_failed(&head, &error)?;
                return Ok(None);
            }
        };
        self.candidates.remove(&head.item);
        if let Some(round) = self.rounds.get_mut(&head.item.container)
            && round.full
        {
            round.seen.insert(IdHash::of(&head.item.id));
        }
        if self.whereabouts.is_repeat(&head) {
            return Ok(None);
        }
        self.ledger.counts.enumerated += 1;
        let base = self.repository.get(self.base_root.as_ref(), &key).await?;
        let unchanged =
            |record: &ItemRecord| record.change_key.is_some() && record.change_key == head.change_key;
        // An earlier occurrence in this run may have replaced the base's record: then only a fetch tells.
        // And what is damaged is read anew although it did not change.
        if !self.whereabouts.is_stored(&head.item) && !self.damaged.contains(&key.to_bytes()) {
            if let Some(base) = base.as_ref().filter(|base| unchanged(base)) {
                if self.removed.remove(&key.to_bytes()) {
                    // Taken for gone earlier in this run, and found to be back.
                    self.edits.push(&key, put(base)?, &self.writer).await?;
                }
                self.ledger.counts.unchanged += 1;
                self.placed(&head);
                return Ok(None);
            }
            if self.resumed.is_some()
                && let Some(record) = self.writer.get(self.resumed.as_ref(), &key).await?
                && unchanged(&record)
            {
                self.ledger.counts.unchanged += 1;
                self.ledger.counts.resumed += 1;
                self.edits.push(&key, put(&record)?, &self.writer).await?;
                self.placed(&head);
                return Ok(None);
            }
        }
        self.whereabouts.pending(&head);
        self.reporter
            .update(|progress| progress.current = Some(self.path_of(&head)));
        Ok(Some(head))
    }

    /// Remembers that the new point holds `head`, so that it vanished wherever else it was.
    fn placed(&mut self, head: &ItemHead) {
        if let Some(earlier) = self.whereabouts.stored(head) {
            self.candidates.insert(earlier);
        }
        self.reporter.update(|progress| progress.items_done += 1);
    }

    /// Enters the outcome of a fetch.
    pub(super) async fn apply(&mut self, head: ItemHead, outcome: FetchOutcome) -> Result<()> {
        match outcome {
            FetchOutcome::Stored { head, parts } => {
                self.consecutive_failures = 0;
                let key = item_key(&head.item)?;
                let edit = match put(&record_of(&head, parts)) {
                    Ok(edit) => edit,
                    Err(error) => return self.item_failed(&head, &error),
                };
                self.ledger.counts.stored += 1;
                if self
                    .repository
                    .get(self.base_root.as_ref(), &key)
                    .await?
                    .is_some()
                {
                    self.ledger.counts.changed += 1;
                } else {
                    self.ledger.counts.added += 1;
                }
                self.edits.push(&key, edit, &self.writer).await?;
                self.damaged.remove(&key.to_bytes());
                self.placed(&head);
                let stats = self.writer.stats();
                self.reporter.update(|progress| {
                    progress.bytes_done = stats.bytes_read;
                    progress.bytes_stored = stats.bytes_stored;
                });
            }
            FetchOutcome::Gone => {
                self.consecutive_failures = 0;
                self.ledger.counts.skipped += 1;
                let path = self.path_of(&head);
                self.ledger.entry(
                    LedgerKind::Skipped,
                    Some(&head.item),
                    path,
                    "deleted_during_backup",
                    "went away between listing and reading",
                    false,
                );
                self.candidates.insert(head.item);
            }
            FetchOutcome::Skipped { code, message } => {
                self.consecutive_failures = 0;
                self.ledger.counts.skipped += 1;
                let path = self.path_of(&head);
                self.reporter.event(Event::Issue {
                    path: path.clone(),
                    code: code.clone(),
                    message: message.clone(),
                });
                self.ledger.entry(
                    LedgerKind::Skipped,
                    Some(&head.item),
                    path,
                    &code,
                    &message,
                    false,
                );
            }
            FetchOutcome::Failed(error) => {
                if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Unauthorized) {
                    return Err(error);
                }
                self.consecutive_failures += 1;
                if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES && error.kind().is_retryable() {
                    return Err(error.context(format!(
                        "{MAX_CONSECUTIVE_FAILURES} items in a row could not be read, the source counts as down"
                    )));
                }
                self.item_failed(&head, &error)?;
            }
        }
        Ok(())
    }

    /// Lists an item that could not be stored. What the base holds of it stays in the point.
    fn item_failed(&mut self, head: &ItemHead, error: &Error) -> Result<()> {
        self.ledger.counts.failed += 1;
        let path = self.path_of(head);
        self.fail(Some(&head.item), path, error, true)
    }

    pub(super) fn fail(
        &mut self,
        item: Option<&ItemRef>,
        path: String,
        error: &Error,
        retry: bool,
    ) -> Result<()> {
        self.reporter.update(|progress| progress.failed += 1);
        self.reporter.event(Event::Issue {
            path: path.clone(),
            code: error.code().to_owned(),
            message: error.message().to_owned(),
        });
        if self.options.fail_fast {
            return Err(error.clone().context(path));
        }
        self.ledger.entry(
            LedgerKind::Failed,
            item,
            path,
            error.code(),
            error.message(),
            retry,
        );
        Ok(())
    }

    /// Items of the base's ledger that must be tried again, and those of the base that are damaged.
    async fn items_to_retry(&self) -> Result<Vec<ItemRef>> {
        let Some(base) = &self.base else {
            return Ok(Vec::new());
        };
        let damaged = self
            .damaged
            .iter()
            .filter_map(|key| ItemKey::from_bytes(key).ok());
        let ledger = self.repository.ledger(base).await?;
        let failed = ledger
            .into_iter()
            .filter(|entry| entry.retry)
            .filter_map(|entry| entry.item);
        let keys: BTreeSet<ItemKey> = failed
            .chain(damaged.filter(|key| key.kind() == KeyKind::Item))
            .collect();
        Ok(keys
            .into_iter()
            .map(|key| ItemRef {
                container: key.container().to_owned(),
                id: key.id().to_owned(),
            })
            .collect())
    }

    /// Removes what the new point no longer holds.
    pub(super) async fn remove(&mut self, key: &ItemKey) -> Result<()> {
        self.removed.insert(key.to_bytes());
        self.damaged.remove(&key.to_bytes());
        self.edits.push(key, Edit::Delete, &self.writer).await
    }

    /// A path for people, from the names of the containers.
    pub(super) fn path_of(&self, head: &ItemHead) -> String {
        let mut names = vec![head.name.as_str()];
        let mut container = head.item.container.as_str();
        // The depth is bounded: a cycle among parents must not hang the run.
        for _ in 0..256 {
            match self.containers.get(container) {
                Some(place) => {
                    names.push(&place.name);
                    container = &place.parent;
                }
                None => break,
            }
        }
        names.reverse();
        names.join("/")
    }

    async fn progress_if_due(&mut self) -> Result<()> {
        let now = self.repository.environment().clock.monotonic();
        let bytes = self.writer.stats().bytes_stored;
        if self.pace.is_due(now, self.ledger.counts.stored, bytes) {
            self.save_progress().await
        } else {
            Ok(())
        }
    }

    /// Commits what is stored so far as progress of this run, without making a point.
    async fn save_progress(&mut self) -> Result<()> {
        let unfinished = Unfinished {
            run: self.run,
            object: &self.object.id,
            base: self.base.as_ref().map(|base| base.id),
            started_ms: self.started_ms,
            state: None,
        };
        let edits = &mut self.edits;
        if let Some(stats) = save(&self.repository, &self.writer, edits, unfinished, |_| Ok(())).await? {
            let now = self.repository.environment().clock.monotonic();
            self.pace.note(now, self.ledger.counts.stored, stats.bytes_stored);
        }
        Ok(())
    }

    /// Writes the tree and the one commit that makes the point visible.
    async fn commit(mut self, before: (Usage, Duration)) -> Result<BackupReport> {
        self.reporter.check()?;
        self.reporter.phase("commit");
        self.list_damaged()?;
        self.ledger.check()?;
        let env = self.repository.environment().clone();
        let edits = std::mem::replace(&mut self.edits, EditLog::new());
        let root = if edits.is_empty() {
            self.base_root
        } else {
            let merged = edits.merged(&self.writer).await?;
            self.writer.update_tree(self.base_root, merged).await?
        };
        let cursor = match self.cursor.take() {
            Some(cursor) => Some(self.writer.put_blob(cursor.0.to_vec()).await?),
            None => None,
        };
        let ledger = self.writer.put_ledger(&self.ledger.entries).await?;
        let segments = self.writer.flush().await?;
        let written = self.writer.stats();
        let usage = since(self.connector.usage(), before.0);
        let outcome = if self.ledger.is_partial() {
            Outcome::Partial
        } else {
            Outcome::Complete
        };
        let counts = self.ledger.counts;
        let before_containers = self.base.as_ref().map_or(0, |base| base.counts.containers);
        let containers = before_containers.saturating_add_signed(self.container_delta);
        let (entries, bytes) = root.as_ref().map_or((0, 0), |root| (root.entries, root.bytes));
        let items = entries.saturating_sub(containers);
        let manifest = Manifest {
            id: PointId::from_bytes(random_bytes(&*env.rng)?),
            object: (*self.object).clone(),
            run: self.run,
            base: self.base.as_ref().map(|base| base.id),
            started_ms: self.started_ms,
            finished_ms: env.clock.now().timestamp_millis(),
            root,
            outcome: match outcome {
                Outcome::Complete => nakivo_repo_format::manifest::Outcome::Complete,
                Outcome::Partial => nakivo_repo_format::manifest::Outcome::Partial,
            },
            cursor,
            counts: PointCounts {
                items,
                containers,
                bytes,
                added: counts.added,
                changed: counts.changed,
                removed: counts.removed,
                unchanged: items.saturating_sub(counts.added + counts.changed),
                skipped: counts.skipped,
                failed: counts.failed,
                warnings: self.ledger.warnings(),
            },
            bytes_read: written.bytes_read,
            bytes_stored: written.bytes_stored,
            requests: usage.requests,
            ledger,
            job: None,
            protection: nakivo_repo_format::manifest::Protection::default(),
            description: None,
            software: concat!("nakivo-core ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let damage = self.damage_of(manifest.id, manifest.finished_ms);
        let finished_runs = self.resumed_from.clone();
        self.repository
            .commit(|state| {
                let mut operations = vec![
                    Operation::AddIndex {
                        segments: segments.clone(),
                    },
                    Operation::AddPoint {
                        manifest: Box::new(manifest.clone()),
                    },
                ];
                operations.extend(damage.clone());
                // The point ends the progress of its own run by itself.
                for run in finished_runs
                    .iter()
                    .filter(|run| state.progress().contains_key(*run))
                {
                    operations.push(Operation::DropProgress { run: *run });
                }
                Ok(operations)
            })
            .await?;
        Ok(BackupReport {
            outcome,
            point: manifest.id,
            run: self.run,
            object: manifest.object,
            first: manifest.base.is_none(),
            counts,
            items: manifest.counts.items,
            containers: manifest.counts.containers,
            bytes: manifest.counts.bytes,
            written,
            usage,
            issues: self.ledger.entries,
            duration: env.clock.monotonic().saturating_sub(before.1),
            lock: None,
        })
    }
}

fn since(now: Usage, before: Usage) -> Usage {
    Usage::new(
        now.requests.saturating_sub(before.requests),
        now.throttled.saturating_sub(before.throttled),
        now.retried.saturating_sub(before.retried),
        now.bytes_received.saturating_sub(before.bytes_received),
        now.bytes_sent.saturating_sub(before.bytes_sent),
    )
}

/// The key of an item.
pub(super) fn item_key(item: &ItemRef) -> Result<ItemKey> {
    ItemKey::item(item.container.as_str(), item.id.as_str()).map_err(bad_id)
}

/// The key of a container, under the container that holds it.
pub(super) fn container_key(item: &ItemRef) -> Result<ItemKey> {
    ItemKey::container_in(item.container.as_str(), item.id.as_str()).map_err(bad_id)
}

pub(super) fn record_of(head: &ItemHead, parts: Vec<ContentPart>) -> ItemRecord {
    let content: u64 = parts
        .iter()
        .filter(|part| part.name != "json")
        .map(|part| part.size)
        .sum();
    let mut record = ItemRecord::new(
        head.kind,
        head.item.container.as_str(),
        head.item.id.as_str(),
        head.name.as_str(),
    );
    record.change_key.clone_from(&head.change_key);
    record.size = match head.kind {
        ItemKind::Container => 0,
        _ if parts.iter().any(|part| part.name != "json") => content,
        _ => head.size.unwrap_or(0),
    };
    record.created_ms = head.created.map(|time| time.timestamp_millis());
    record.modified_ms = head.modified.map(|time| time.timestamp_millis());
    record.received_ms = head.received.map(|time| time.timestamp_millis());
    record.sent_ms = head.sent.map(|time| time.timestamp_millis());
    record.item_type.clone_from(&head.item_type);
    record.properties.clone_from(&head.properties);
    record.parts = parts;
    record
}

pub(super) fn put(record: &ItemRecord) -> Result<Edit> {
    let value = record.encode().map_err(|error| {
        Error::new(
            ErrorKind::Protocol,
            format!("the item's record cannot be stored: {error}"),
        )
    })?;
    Ok(Edit::Put {
        size: record.size,
        value: value.into(),
    })
}

fn bad_id(error: nakivo_repo_format::FormatError) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the source gave an id that cannot be stored: {error}"),
    )
}
