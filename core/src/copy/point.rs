//! One point: what differs from a copied point becomes edits of that copy's tree, and one commit makes the copy exist.

use std::sync::Arc;

use futures::StreamExt;
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::{LedgerEntry, Outcome};
use nakivo_repo_format::record::{ItemKind, ItemRecord};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::tree::{Edit, TreeChange, TreeEntry, TreeRoot};
use nakivo_repo_format::{Blob, ItemKey, Manifest};
use tokio::task::JoinSet;

use super::item::{Before, Translated, Translator, is_damage, twice};
use super::losses::{Loss, Losses};
use super::{CopyOptions, CopyState, plan};
use crate::backup::Pace;
use crate::backup::edits::EditLog;
use crate::backup::save::{Unfinished, save};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Reporter;
use crate::repository::{RawChange, Repository, WriteStats, Writer, decode_each};

/// Items under way at once.
const PARALLEL_ITEMS: usize = 16;

/// What became of a point.
pub(super) struct Done {
    pub(super) state: CopyState,
    pub(super) issues: Vec<LedgerEntry>,
    pub(super) written: WriteStats,
}

/// A point that is built on: in the source, and its whole copy in the target.
type Base = Option<(Manifest, Manifest)>;

/// Copies a point that the target does not have.
pub(super) async fn copy(
    source: &Repository,
    target: &Repository,
    manifest: &Manifest,
    options: &CopyOptions,
    reporter: &Reporter,
) -> Result<Done> {
    let writer = target.writer(manifest.run);
    let mut copying = Copying {
        translator: Arc::new(Translator::new(source.clone(), writer.clone())),
        writer,
        resumed: None,
        edits: EditLog::new(),
        losses: Losses::default(),
        base: plan::base_of(source, target, manifest),
        pace: Pace::new(target.environment().clock.monotonic(), options.progress),
        done: 0,
        source,
        target,
        manifest,
        reporter,
    };
    let before = reporter.current().items_done;
    let result = copying.run().await;
    if let Err(error) = &result
        && error.kind() != ErrorKind::Internal
        && let Err(second) = copying.save_progress().await
    {
        tracing::warn!(error = ?second, "the progress of an interrupted copy could not be saved");
    }
    // What did not differ is done as well.
    reporter.update(|progress| progress.items_done = before + manifest.counts.items);
    result
}

struct Copying<'a> {
    source: &'a Repository,
    target: &'a Repository,
    manifest: &'a Manifest,
    reporter: &'a Reporter,
    writer: Writer,
    translator: Arc<Translator>,
    /// What an interrupted copy of this point stored, as a tree to look things up in.
    resumed: Option<TreeRoot>,
    base: Base,
    edits: EditLog,
    losses: Losses,
    pace: Pace,
    done: u64,
}

/// An item on its way.
struct Item {
    key: ItemKey,
    size: u64,
    original: ItemRecord,
    /// Whether the copy that is built on has something under this key.
    replaces: bool,
}

type UnderWay = JoinSet<Result<(Item, Translated)>>;

impl Copying<'_> {
    async fn run(&mut self) -> Result<Done> {
        self.load_interrupted().await?;
        let mut failed = self.read_changes().await?;
        if failed.is_some() && self.base.is_some() {
            // Perhaps it is the base that cannot be read: without it, everything is read.
            self.base = None;
            self.edits = EditLog::new();
            self.losses = Losses::default();
            failed = self.read_changes().await?;
        }
        if failed.is_none() {
            failed = self.losses.name(self.source, self.manifest).await?;
        }
        if (failed.is_some() || !self.losses.is_empty()) && self.is_gone().await? {
            return Ok(self.done(CopyState::Gone, Vec::new()));
        }
        match failed {
            Some(error) => {
                let entry = Losses::whole(&error);
                Ok(self.done(CopyState::Failed, vec![entry]))
            }
            None => self.commit().await,
        }
    }

    fn done(&self, state: CopyState, issues: Vec<LedgerEntry>) -> Done {
        Done {
            state,
            issues,
            written: self.writer.stats(),
        }
    }

    /// Whether the point was removed from the source meanwhile: then its data may be gone without any damage.
    async fn is_gone(&self) -> Result<bool> {
        self.source.refresh().await?;
        Ok(self.source.look(|state| state.point(&self.manifest.id).is_none()))
    }

    /// Makes searchable what an interrupted copy of this very point stored: a run makes one point.
    async fn load_interrupted(&mut self) -> Result<()> {
        let progress = self
            .target
            .look(|state| state.progress().get(&self.manifest.run).cloned());
        if let Some(progress) = progress.filter(|progress| progress.object == self.manifest.object.id) {
            let edits = EditLog::resumed(&progress.spills).merged(&self.writer).await?;
            self.resumed = self.writer.update_tree(None, edits).await?;
        }
        Ok(())
    }

    /// Turns what differs from the base into edits. Returns damage of the source that nothing can be copied around.
    async fn read_changes(&mut self) -> Result<Option<Error>> {
        let base = self.base.as_ref().and_then(|(original, _)| original.root);
        let mut changes = self.source.diff_each(base, self.manifest.root);
        let cancelled = self.reporter.cancellation().clone();
        let mut under_way = UnderWay::new();
        let mut more = true;
        while more || !under_way.is_empty() {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Err(Error::cancelled()),
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    let (item, translated) = done
                        .map_err(|error| Error::internal(format!("copying an item ended abnormally: {error}")))??;
                    self.translated(item, translated).await?;
                }
                change = changes.next(), if more && under_way.len() < PARALLEL_ITEMS => match change {
                    None => more = false,
                    Some(Ok(change)) => self.change(change, &mut under_way).await?,
                    Some(Err(error)) if is_damage(&error) => return Ok(Some(error)),
                    Some(Err(error)) => return Err(error),
                },
            }
            self.progress_if_due().await?;
        }
        Ok(None)
    }

    async fn change(&mut self, change: RawChange, under_way: &mut UnderWay) -> Result<()> {
        match change {
            RawChange::Lost(subtree, error) => self.losses.subtree(subtree, error),
            RawChange::Change(TreeChange::Removed(entry)) => {
                if let Ok(key) = ItemKey::from_bytes(&entry.key) {
                    self.edits.push(&key, Edit::Delete, &self.writer).await?;
                }
            }
            RawChange::Change(TreeChange::Added(new)) => self.entry(None, &new, under_way).await?,
            RawChange::Change(TreeChange::Changed { old, new }) => {
                self.entry(Some(&old), &new, under_way).await?;
            }
        }
        Ok(())
    }

    async fn entry(
        &mut self,
        old: Option<&TreeEntry>,
        new: &TreeEntry,
        under_way: &mut UnderWay,
    ) -> Result<()> {
        let (key, original) = match decode_each(new) {
            Ok(decoded) => decoded,
            Err(spoiled) => {
                if old.is_some()
                    && let Ok(key) = ItemKey::from_bytes(&new.key)
                {
                    self.edits.push(&key, Edit::Delete, &self.writer).await?;
                }
                self.losses.add(Loss::Spoiled(spoiled), new.size);
                return Ok(());
            }
        };
        let item = Item {
            key,
            size: new.size,
            original,
            replaces: old.is_some(),
        };
        if self.resumed.is_some()
            && let Some(copy) = self.writer.get(self.resumed.as_ref(), &item.key).await?
            && is_same(&item.original, &copy)
        {
            return self.translated(item, Translated::Whole(copy)).await;
        }
        let before = match old {
            Some(old) => self.before(old, &item.key).await?,
            None => None,
        };
        let translator = Arc::clone(&self.translator);
        under_way.spawn(async move {
            let translated = translator.item(&item.original, before.as_ref()).await?;
            Ok((item, translated))
        });
        Ok(())
    }

    /// What the base has under a key, in both repositories.
    async fn before(&self, old: &TreeEntry, key: &ItemKey) -> Result<Option<Before>> {
        let (Some((_, base)), Ok((_, original))) = (&self.base, decode_each(old)) else {
            return Ok(None);
        };
        let copy = self.target.get(base.root.as_ref(), key).await?;
        Ok(copy.map(|copy| Before { original, copy }))
    }

    /// Enters what became of an item.
    async fn translated(&mut self, item: Item, translated: Translated) -> Result<()> {
        self.done += 1;
        let (copy, damage) = match translated {
            Translated::Whole(copy) => (Some(copy), None),
            Translated::Bare(copy, error) => (Some(copy), Some(Loss::Bare(item.original.clone(), error))),
            Translated::Damaged(error) => (None, Some(Loss::Item(item.original.clone(), error))),
        };
        let edit = match copy.map(|copy| copy.encode()).transpose() {
            Ok(Some(value)) => Some(Edit::Put {
                size: item.size,
                value: value.into(),
            }),
            Ok(None) => item.replaces.then_some(Edit::Delete),
            Err(error) => return Err(Error::internal(format!("the record of a copied item: {error}"))),
        };
        if let Some(edit) = edit {
            self.edits.push(&item.key, edit, &self.writer).await?;
        }
        if let Some(loss) = damage {
            self.losses.add(loss, item.size);
        }
        let stats = self.writer.stats();
        let failed = self.losses.len();
        self.reporter.update(|progress| {
            progress.items_done += u64::from(item.original.kind != ItemKind::Container);
            progress.bytes_done = stats.bytes_read;
            progress.bytes_stored = stats.bytes_stored;
            progress.failed = failed;
        });
        Ok(())
    }

    async fn progress_if_due(&mut self) -> Result<()> {
        let now = self.target.environment().clock.monotonic();
        if self.pace.is_due(now, self.done, self.writer.stats().bytes_stored) {
            self.save_progress().await
        } else {
            Ok(())
        }
    }

    /// Commits what is stored so far as progress of the run that made the point: the next call goes on from there.
    async fn save_progress(&mut self) -> Result<()> {
        let unfinished = Unfinished {
            run: self.manifest.run,
            object: &self.manifest.object.id,
            base: self.base.as_ref().map(|(_, copy)| copy.id),
            started_ms: self.manifest.started_ms,
            state: Some(Blob::Inline(super::mark(self.source))),
        };
        let absent = |state: &RepositoryState| match state.point(&self.manifest.id) {
            Some(_) => Err(there_already()),
            None => Ok(()),
        };
        let edits = &mut self.edits;
        if let Some(stats) = save(self.target, &self.writer, edits, unfinished, absent).await? {
            let now = self.target.environment().clock.monotonic();
            self.pace.note(now, self.done, stats.bytes_stored);
        }
        Ok(())
    }

    /// Writes the tree and the one commit that makes the copy exist.
    async fn commit(&mut self) -> Result<Done> {
        self.reporter.check()?;
        let base = self.base.as_ref().and_then(|(_, copy)| copy.root);
        let edits = std::mem::replace(&mut self.edits, EditLog::new());
        let mut copy = self.manifest.clone();
        copy.root = if edits.is_empty() {
            base
        } else {
            let merged = edits.merged(&self.writer).await?;
            self.writer.update_tree(base, merged).await?
        };
        self.losses
            .check(self.manifest.root.as_ref(), copy.root.as_ref())?;
        let mut ledger = self.ledger().await?;
        copy.cursor = self.cursor(&mut ledger).await?;
        if !ledger.own.is_empty() {
            self.count_losses(&mut copy, &ledger).await?;
        }
        let entries: Vec<LedgerEntry> = ledger.earlier.iter().chain(&ledger.own).cloned().collect();
        copy.ledger = self.writer.put_ledger(&entries).await?;
        let segments = self.writer.flush().await?;
        let added = self
            .target
            .commit(|state| {
                if state.point(&copy.id).is_some() {
                    return Err(there_already());
                }
                // The point ends the progress of its run by itself.
                Ok(vec![
                    Operation::AddIndex {
                        segments: segments.clone(),
                    },
                    Operation::AddPoint {
                        manifest: Box::new(copy.clone()),
                    },
                ])
            })
            .await;
        let there = || self.target.look(|state| state.point(&copy.id).cloned());
        match added {
            Ok(_) if ledger.own.is_empty() => Ok(self.done(CopyState::Copied, Vec::new())),
            Ok(_) => Ok(self.done(CopyState::CopiedPartly, ledger.own)),
            // Somebody else copies the same points.
            Err(error) => match there() {
                Some(other) if plan::is_whole(self.manifest, &other) => {
                    Ok(self.done(CopyState::Present, Vec::new()))
                }
                Some(_) => Ok(self.done(CopyState::PresentPartly, Vec::new())),
                None => Err(error),
            },
        }
    }

    /// What the point lacked from the beginning, and what its copy lacks.
    async fn ledger(&mut self) -> Result<Ledger> {
        let mut own = self.losses.entries();
        let earlier = match twice(|| self.source.ledger(self.manifest)).await {
            Ok(earlier) => earlier,
            Err(error) if is_damage(&error) => {
                let what = "the list of what is missing in this point is damaged";
                own.push(Losses::of_point(what, &error));
                self.losses.forget_cursor();
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        Ok(Ledger { earlier, own })
    }

    /// The cursor, unless a backup that goes on from it would never ask for what the copy lacks.
    async fn cursor(&mut self, ledger: &mut Ledger) -> Result<Option<Blob>> {
        let Some(cursor) = self
            .manifest
            .cursor
            .as_ref()
            .filter(|_| self.losses.keep_cursor())
        else {
            return Ok(None);
        };
        match twice(|| self.source.read_blob_bytes(cursor)).await {
            Ok(bytes) => self.writer.put_blob(bytes.to_vec()).await.map(Some),
            Err(error) if is_damage(&error) => {
                let what = "the place where the next backup goes on is damaged; it reads everything";
                ledger.own.push(Losses::of_point(what, &error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn count_losses(&self, copy: &mut Manifest, ledger: &Ledger) -> Result<()> {
        let (entries, bytes) = copy.root.map_or((0, 0), |root| (root.entries, root.bytes));
        let containers = self.writer.count_containers(copy.root).await?;
        copy.outcome = Outcome::Partial;
        copy.counts.containers = containers;
        copy.counts.items = entries.saturating_sub(containers);
        copy.counts.bytes = bytes;
        copy.counts.failed += self.losses.lost_entries().max(ledger.own.len() as u64);
        Ok(())
    }
}

struct Ledger {
    earlier: Vec<LedgerEntry>,
    own: Vec<LedgerEntry>,
}

/// Whether a record is the copy of another, as far as keys leave that to be seen. Both are of one point and one key.
fn is_same(original: &ItemRecord, copy: &ItemRecord) -> bool {
    original.change_key == copy.change_key
        && original.size == copy.size
        && original.parts.len() == copy.parts.len()
        && original
            .parts
            .iter()
            .zip(&copy.parts)
            .all(|(original, copy)| original.name == copy.name && original.size == copy.size)
}

fn there_already() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "somebody else copied this recovery point meanwhile",
    )
}
