//! What holds a repository together: configuration, keys, commits, checkpoints, index.

use std::pin::pin;

use futures::{StreamExt, stream};
use nakivo_repo_format::log::IndexRef;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{CommitHash, KeySlot, RepositoryConfig, paths};

use super::Verifier;
use crate::error::Result;
use crate::repository::MAX_JSON_BYTES;
use crate::repository::objects::format_error;
use crate::repository::unlock::is_slot;

const PARALLEL_READS: usize = 8;

impl Verifier {
    pub(super) async fn frame(&mut self) -> Result<()> {
        self.config().await?;
        self.key_slots().await?;
        let hashes = self.commits().await?;
        self.checkpoints(&hashes).await?;
        self.segments().await
    }

    async fn config(&mut self) -> Result<()> {
        self.report.objects += 1;
        match self.shared.objects.get(paths::FORMAT, MAX_JSON_BYTES).await {
            Ok(Some(bytes)) => match RepositoryConfig::parse(&bytes) {
                Ok(config) if config == self.shared.config => {}
                Ok(_) => self.damaged(
                    paths::FORMAT,
                    "it is not the one that the repository was opened with",
                ),
                Err(error) => self.damaged(paths::FORMAT, error.to_string()),
            },
            Ok(None) => self.damaged(paths::FORMAT, "the object is missing"),
            Err(error) => {
                let what = self.damage_of(error)?;
                self.damaged(paths::FORMAT, what);
            }
        }
        Ok(())
    }

    async fn key_slots(&mut self) -> Result<()> {
        let mut sound = 0;
        for (path, _) in self.shared.objects.list(paths::KEYS, None).await? {
            if !is_slot(&path) {
                continue;
            }
            self.report.objects += 1;
            let parsed = match self.shared.objects.get(&path, MAX_JSON_BYTES).await {
                Ok(None) => continue,
                Ok(Some(bytes)) => KeySlot::parse(&bytes).map_err(|error| format_error(&path, error)),
                Err(error) => Err(error),
            };
            match parsed {
                // A leftover of a creation that was not finished.
                Ok(slot) if *slot.repository() != self.shared.config.id => {}
                Ok(slot) if path != paths::key_slot(&slot.id()) => {
                    self.damaged(&path, "it does not bear its own name");
                }
                Ok(_) => sound += 1,
                Err(error) => {
                    let what = self.damage_of(error)?;
                    self.damaged(&path, what);
                }
            }
        }
        if sound == 0 {
            self.damaged(
                paths::KEYS,
                "no key slot is left: once closed, this repository cannot be opened again",
            );
        }
        Ok(())
    }

    /// Reads every commit up to the view's and follows the chain of hashes. Returns each hash by its number.
    async fn commits(&mut self) -> Result<Vec<Option<CommitHash>>> {
        let view = self.shared.view();
        let head = view.state.seq();
        let mut hashes = vec![None];
        let shared = std::sync::Arc::clone(&self.shared);
        let first = view.state.boundary() + 1;
        hashes.resize(usize::try_from(first).unwrap_or(1), None);
        let mut commits = stream::iter(first..=head)
            .map(|seq| {
                let shared = std::sync::Arc::clone(&shared);
                async move { (seq, shared.read_commit(seq).await) }
            })
            .buffered(PARALLEL_READS);
        while let Some((seq, commit)) = commits.next().await {
            self.reporter.check()?;
            self.report.objects += 1;
            let path = paths::commit(seq);
            let mut found = None;
            match commit {
                Ok(Some((hash, record))) => {
                    found = Some(hash);
                    let before = hashes.last().copied().flatten();
                    if before.is_some_and(|before| before != record.previous) {
                        self.damaged(&path, "it does not follow the commit before it");
                    }
                    if seq == head && hash != view.state.head() {
                        self.damaged(
                            &path,
                            "it is not the newest commit that the repository was opened with",
                        );
                    }
                }
                Ok(None) => self.damaged(&path, "the object is missing"),
                Err(error) => {
                    let what = self.damage_of(error)?;
                    self.damaged(&path, what);
                }
            }
            hashes.push(found);
        }
        // Damage found when opening may lie behind the view: the newest commits themselves.
        if !view.log_damage.is_empty() {
            for damage in &view.log_damage {
                self.damaged(&damage.object, damage.what.as_str());
            }
            let seen = paths::commit(head);
            for seq in self.shared.list_numbers(paths::LOG, Some(&seen)).await? {
                self.reporter.check()?;
                let path = paths::commit(seq);
                match self.shared.read_commit(seq).await {
                    Ok(Some(_)) => {
                        self.damaged(&path, "it does not fit what can be read of the history before it")
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let what = self.damage_of(error)?;
                        self.damaged(&path, what);
                    }
                }
            }
        }
        Ok(hashes)
    }

    async fn checkpoints(&mut self, hashes: &[Option<CommitHash>]) -> Result<()> {
        let numbers = self.shared.list_numbers(paths::CHECKPOINT, None).await?;
        let newest = numbers.last().copied().unwrap_or_default();
        for seq in numbers {
            self.reporter.check()?;
            self.report.objects += 1;
            let path = paths::checkpoint(seq);
            match self.shared.read_checkpoint(seq).await {
                Ok(checkpoint) => {
                    let hash = usize::try_from(seq)
                        .ok()
                        .and_then(|seq| hashes.get(seq).copied().flatten());
                    if hash.is_some_and(|hash| hash != checkpoint.commit_hash) {
                        self.damaged(&path, "it belongs to another history");
                    } else if let Err(error) = RepositoryState::from_checkpoint(checkpoint) {
                        self.damaged(&path, error.to_string());
                    }
                }
                Err(error) => {
                    let what = self.damage_of(error)?;
                    if !self.shared.checkpoint_gone(seq, newest).await? {
                        self.damaged(&path, what);
                    }
                }
            }
        }
        Ok(())
    }

    async fn segments(&mut self) -> Result<()> {
        let segments: Vec<IndexRef> = self.shared.view().state.segments().values().copied().collect();
        let mut reading = pin!(self.shared.read_segments(&segments));
        while let Some((segment, result)) = reading.next().await {
            self.reporter.check()?;
            self.report.objects += 1;
            let path = paths::index(&segment.id);
            let counted =
                result.and_then(|opened| opened.count().map_err(|error| format_error(&path, error)));
            match counted {
                Ok(counts) => {
                    if counts != (segment.packs.into(), segment.chunks) {
                        self.damaged(&path, "it lists other packs or chunks than its commit says");
                    }
                }
                Err(error) => {
                    let what = self.damage_of(error)?;
                    self.damaged(&path, what);
                }
            }
        }
        Ok(())
    }
}
