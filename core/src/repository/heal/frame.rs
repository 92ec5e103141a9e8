//! What holds a repository together, made anew from what is left: log, index, checkpoints.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use nakivo_repo_format::log::{Checkpoint, IndexRef, Operation};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{CommitHash, IndexId, PackId, paths};

use super::HealReport;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::history::{self, Head};
use crate::repository::log::MAX_COMMIT_OBJECT_BYTES;
use crate::repository::objects::{Put, corrupt, format_error};
use crate::repository::shared::{Ranks, Shared, View};
use crate::repository::write::Segments;

/// Objects read at once.
const PARALLEL_READS: usize = 8;
/// Rounds after which others count as committing all the time.
const MAX_ROUNDS: u32 = 50;

/// Lets history go on behind commits that cannot be read.
///
/// A checkpoint with the number of the last commit there is, or was, holds the state that can still be made out. Its boundary
/// says that the commits up to it are not needed, so nobody stumbles over the lost ones again, and no number is used twice.
pub(super) async fn log(shared: &Arc<Shared>, preview: bool, report: &mut HealReport) -> Result<()> {
    let view = shared.view();
    if view.log_damage.is_empty() {
        return Ok(());
    }
    report.lost_history.clone_from(&view.log_damage);
    let commits = shared.list_numbers(paths::LOG, None).await?;
    let checkpoints = shared.list_numbers(paths::CHECKPOINT, None).await?;
    let last = commits.iter().chain(&checkpoints).max().copied().unwrap_or(0);
    let last = last.max(view.state.seq());
    report.history_continues_at = Some(last);
    if preview {
        return Ok(());
    }
    let head = if last == view.state.seq() {
        view.state.head()
    } else {
        // The last commit cannot be read: its bytes, such as they are, are what the next one follows.
        match shared
            .objects
            .get(&paths::commit(last), MAX_COMMIT_OBJECT_BYTES)
            .await
        {
            Ok(Some(bytes)) => CommitHash::of(&bytes),
            Ok(None) => view.state.head(),
            Err(error) if error.kind() == ErrorKind::Corrupt => view.state.head(),
            Err(error) => return Err(error),
        }
    };
    let checkpoint = Checkpoint {
        seq: last,
        commit_hash: head,
        boundary: last,
        // Not known of what was lost and may come back.
        locked_ms: None,
        ..view.checkpoint(0)
    };
    let state = RepositoryState::from_checkpoint(checkpoint.clone())
        .map_err(|error| corrupt(&paths::checkpoint(last), &error.to_string()))?;
    put_checkpoint(shared, checkpoint.clone()).await?;
    let known = Head {
        seq: last,
        hash: head,
    };
    history::replace(&*shared.env.state, &shared.config.id, known).await?;
    shared.set_view(View {
        state,
        ranks: Ranks::of(&checkpoint.points),
        log_damage: Vec::new(),
        last_removal: view.last_removal,
    });
    Ok(())
}

/// Stores a checkpoint; one of that number that cannot be read is replaced.
async fn put_checkpoint(shared: &Arc<Shared>, checkpoint: Checkpoint) -> Result<()> {
    let path = paths::checkpoint(checkpoint.seq);
    let bytes = shared.seal_checkpoint(checkpoint.clone()).await?;
    if shared.objects.create_kept(&path, &bytes).await? == Put::Created {
        return Ok(());
    }
    match shared.read_checkpoint(checkpoint.seq).await {
        Ok(found) if found == checkpoint => Ok(()),
        Ok(found) if checkpoint.boundary <= found.boundary && found.commit_hash == checkpoint.commit_hash => {
            Ok(())
        }
        // One from before history broke, or of somebody who heals at the same time: the bytes tell which one counts.
        Ok(_) => Err(Error::new(
            ErrorKind::Conflict,
            format!("{path}: there is another checkpoint of this number"),
        )
        .with_hint("Somebody else may have healed the repository: open it again.")),
        Err(error) if error.kind() == ErrorKind::Corrupt => shared.objects.replace(&path, &bytes).await,
        Err(error) => Err(error),
    }
}

/// Replaces index segments that cannot be read, and lists packs that no segment lists, unless the log removed them.
pub(super) async fn index(shared: &Arc<Shared>, preview: bool, report: &mut HealReport) -> Result<()> {
    for _ in 0..MAX_ROUNDS {
        let view = shared.view();
        let damaged = damaged_segments(shared, &view).await?;
        if !damaged.is_empty() || shared.index_incomplete.load(Ordering::Acquire) {
            shared.index_unknown_packs().await?;
        }
        let removed = removed_packs(shared, &view).await?;
        let mut packs = shared.index().unannounced();
        packs.retain(|pack| !removed.contains(pack));
        (report.replaced_segments, report.indexed_packs) = (damaged.len() as u64, packs.len() as u64);
        if preview || (damaged.is_empty() && packs.is_empty()) {
            if !preview {
                complete(shared, &removed);
            }
            return Ok(());
        }
        let rebuilt = store_segments(shared, &packs).await?;
        // Sealing is deterministic: a segment may come out as the very one that was lost, and is back with that.
        let current = view.state.segments();
        let remove: Vec<IndexId> = damaged
            .iter()
            .map(|segment| segment.id)
            .filter(|id| !rebuilt.iter().any(|segment| segment.id == *id))
            .collect();
        let add: Vec<IndexRef> = rebuilt
            .iter()
            .filter(|segment| !current.contains_key(&segment.id))
            .copied()
            .collect();
        let mut operations = Vec::new();
        if !add.is_empty() || !remove.is_empty() {
            operations.push(Operation::ReplaceIndex { add, remove });
        }
        let done = operations.is_empty() || shared.commit_after(view.state.seq(), operations).await?;
        if done {
            shared.load_segments(&rebuilt).await?;
            shared.know_damage(&shared.view().state);
            complete(shared, &removed);
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        "others commit all the time; the index was not rebuilt",
    ))
}

/// The index is whole: packs that were removed and still lie in the store are seen no more.
fn complete(shared: &Shared, removed: &HashSet<PackId>) {
    let mut index = shared.index_mut();
    for pack in index.unannounced() {
        if removed.contains(&pack) {
            index.hide(&pack);
        }
    }
    shared.index_incomplete.store(false, Ordering::Release);
}

async fn damaged_segments(shared: &Arc<Shared>, view: &View) -> Result<Vec<IndexRef>> {
    let current: Vec<IndexRef> = view.state.segments().values().copied().collect();
    let mut reading = pin!(shared.read_segments(&current));
    let mut damaged = Vec::new();
    while let Some((segment, result)) = reading.next().await {
        let path = paths::index(&segment.id);
        match result.and_then(|opened| opened.count().map_err(|error| format_error(&path, error))) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Corrupt => damaged.push(segment),
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}

/// Packs that the log, as far as it can be read, removed for good. Their objects may still be there, for as long as somebody
/// takes to delete them.
async fn removed_packs(shared: &Arc<Shared>, view: &View) -> Result<HashSet<PackId>> {
    let mut removed = HashSet::new();
    if shared.index().unannounced().is_empty() {
        return Ok(removed);
    }
    let commits = shared.list_numbers(paths::LOG, None).await?;
    let head = view.state.seq();
    let mut reading = stream::iter(commits.into_iter().filter(|seq| *seq <= head))
        .map(|seq| async move { shared.read_commit(seq).await })
        .buffered(PARALLEL_READS);
    while let Some(commit) = reading.next().await {
        let record = match commit {
            Ok(Some((_, record))) => record,
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            Err(error) => return Err(error),
        };
        for operation in record.operations {
            if let Operation::RemovedPacks { packs } = operation {
                removed.extend(packs);
            }
        }
    }
    Ok(removed)
}

/// Writes the directories of these packs into new index segments.
async fn store_segments(shared: &Arc<Shared>, packs: &[PackId]) -> Result<Vec<IndexRef>> {
    let mut segments = Segments::new(shared);
    for pack in packs {
        let directory = shared.index().pack(pack)?;
        if let Some((directory, _)) = directory {
            segments.add(directory).await?;
        }
    }
    segments.finish().await
}

/// Replaces checkpoints that cannot be read by one of the newest commit. Older ones only save work, so those are removed.
pub(super) async fn checkpoints(shared: &Arc<Shared>, preview: bool, report: &mut HealReport) -> Result<()> {
    let mut damaged = BTreeSet::new();
    let numbers = shared.list_numbers(paths::CHECKPOINT, None).await?;
    let newest = numbers.last().copied().unwrap_or_default();
    for seq in numbers {
        let opened = match shared.read_checkpoint(seq).await {
            Ok(checkpoint) => RepositoryState::from_checkpoint(checkpoint)
                .map(drop)
                .map_err(|error| corrupt(&paths::checkpoint(seq), &error.to_string())),
            Err(error) => Err(error),
        };
        match opened {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                if !shared.checkpoint_gone(seq, newest).await? {
                    damaged.insert(seq);
                }
            }
            Err(error) => return Err(error),
        }
    }
    report.replaced_checkpoints = damaged.len() as u64;
    if preview || damaged.is_empty() {
        return Ok(());
    }
    let view = shared.view();
    if !view.log_damage.is_empty() || view.state.seq() == 0 {
        return Ok(());
    }
    put_checkpoint(shared, view.checkpoint(0)).await?;
    for seq in damaged {
        if seq < view.state.seq() {
            shared.objects.delete(&paths::checkpoint(seq)).await?;
        }
    }
    Ok(())
}
