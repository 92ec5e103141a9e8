//! What vanished: hints are collected while the source is read and settled only afterwards.
//!
//! A container that no longer shows an item says nothing about the item: it may have moved, and a move there and back
//! between two rounds is reported as a removal only. So every vanished id that was not placed elsewhere in this run is
//! looked up once, and only a definite "gone" removes it from the point.

use std::collections::{BTreeSet, VecDeque};

use futures::stream::StreamExt;
use nakivo_repo_format::manifest::LedgerKind;

use nakivo_repo_format::record::ItemKind;
use nakivo_repo_format::tree::{ItemKey, KeyKind};

use super::edits::EditLog;
use super::fetch::{FetchOutcome, fetch};
use super::run::{Run, container_key, item_key};
use super::whereabouts::IdHash;
use crate::connector::{ItemHead, ItemRef, Presence};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::ScanRange;

/// Items asked about in one call.
const LOOK_UP_BATCH: usize = 100;

impl Run {
    /// A full round ended: what the base has there and the round did not name has vanished.
    pub(super) async fn round_ended(&mut self, container: &str) -> Result<()> {
        let Some(round) = self.rounds.remove(container) else {
            return Ok(());
        };
        if !round.full {
            return Ok(());
        }
        if self.base_root.is_some() {
            let mut base = self
                .repository
                .scan(self.base_root, &ScanRange::container(container));
            while let Some(entry) = base.next().await {
                let (_, record) = entry?;
                if record.kind != ItemKind::Container && !round.seen.contains(&IdHash::of(&record.id)) {
                    self.candidates.insert(ItemRef {
                        container: record.container,
                        id: record.id,
                    });
                }
            }
        }
        if round.again {
            self.named_again.insert(container.to_owned(), round.seen);
        }
        Ok(())
    }

    /// Settles every candidate, after the last change was taken.
    pub(super) async fn settle_vanished(&mut self) -> Result<()> {
        self.remove_lost_containers().await?;
        let (mut unknown, mut moved) = (Vec::new(), Vec::new());
        for item in std::mem::take(&mut self.candidates) {
            self.reporter.check()?;
            if self.whereabouts.is_elsewhere(&item) {
                moved.push(item);
            } else if self.connector.absence_is_final() {
                self.forget(&item).await?;
            } else {
                // Also what no point holds: an item made and moved about since the last run may be reported as removals only.
                unknown.push(item);
            }
        }
        for batch in unknown.chunks(LOOK_UP_BATCH) {
            self.reporter.check()?;
            let answers = self.connector.look_up(&self.object, batch).await?;
            if answers.len() != batch.len() {
                return Err(Error::internal(format!(
                    "connector '{}' answered {} of {} look-ups",
                    self.connector.name(),
                    answers.len(),
                    batch.len()
                )));
            }
            for (item, answer) in batch.iter().zip(answers) {
                match answer {
                    Presence::Gone => self.forget(item).await?,
                    Presence::Present(head) => self.still_there(item, *head).await?,
                    Presence::Unknown(error) => self.keep_unknown(item, &error).await?,
                }
            }
        }
        // Only now: a look-up may have found that an item came back to where it had moved from.
        for item in moved {
            if self.whereabouts.is_elsewhere(&item) {
                self.forget(&item).await?;
            }
        }
        Ok(())
    }

    /// Finds what this run stored and the source took back without naming it: items of containers that went away, and
    /// those that were not named again after the source, or the round of their container, had begun anew.
    pub(super) async fn find_leftovers(&mut self) -> Result<()> {
        if self.gone.is_empty() && !self.whereabouts.was_restarted() && self.named_again.is_empty() {
            return Ok(());
        }
        let edits = std::mem::replace(&mut self.edits, EditLog::new());
        let (gone, whereabouts, named_again) = (&self.gone, &self.whereabouts, &self.named_again);
        let left_out = |key: &ItemKey| {
            let named = named_again.get(key.container());
            named.is_some_and(|named| !named.contains(&IdHash::of(key.id())))
        };
        let (edits, found) = edits
            .searched(&self.writer, |key| {
                key.kind() == KeyKind::Item
                    && (gone.contains(key.container()) || whereabouts.is_outdated(key.id()) || left_out(key))
            })
            .await?;
        self.edits = edits;
        self.candidates.extend(found.into_iter().map(|key| ItemRef {
            container: key.container().to_owned(),
            id: key.id().to_owned(),
        }));
        Ok(())
    }

    async fn in_base(&self, item: &ItemRef) -> Result<bool> {
        let key = item_key(item)?;
        Ok(self
            .repository
            .get(self.base_root.as_ref(), &key)
            .await?
            .is_some())
    }

    /// Takes the item out of the new point at this place.
    async fn forget(&mut self, item: &ItemRef) -> Result<()> {
        if !self.whereabouts.is_elsewhere(item) && self.in_base(item).await? {
            self.ledger.counts.removed += 1;
        }
        // Whether base or run put it there: of a key that is in neither, nothing is removed.
        self.remove(&item_key(item)?).await?;
        Ok(())
    }

    /// A hint that was no deletion: the item is still there, or somewhere else without a word about it.
    async fn still_there(&mut self, item: &ItemRef, head: ItemHead) -> Result<()> {
        if !head.item.container.is_empty() && !self.containers.contains_key(&head.item.container) {
            if self.containers_complete && self.retried.contains(item) {
                // Listed anew since it was seen there, and still no such container: it lies outside what is protected.
                return self.forget(item).await;
            }
            // It moved into a container made after the listing. The next run lists that; until then the point keeps the
            // item where it was.
            let error = Error::new(ErrorKind::Conflict, "moved into a container that was not listed");
            return self.keep_unknown(item, &error).await;
        }
        let now = head.item.clone();
        let mut gone = false;
        if let Some(head) = self.item(head).await? {
            let (head, outcome) = fetch(
                self.connector.clone(),
                self.object.clone(),
                self.writer.clone(),
                head,
            )
            .await?;
            gone = matches!(outcome, FetchOutcome::Gone);
            self.apply(head, outcome).await?;
            // The fetch may find it gone after all, or placing it may show where it was before: both are settled facts.
            for settled in std::mem::take(&mut self.candidates) {
                self.forget(&settled).await?;
            }
        }
        if gone {
            return self.forget(item).await;
        }
        if now == *item {
            return Ok(());
        }
        if self.whereabouts.is_elsewhere(item) {
            return self.forget(item).await;
        }
        // It moved and could not be read where it is now: what the base holds stays, and the next run settles it.
        let error = Error::new(
            ErrorKind::Unavailable,
            "moved, and could not be read where it is now",
        );
        self.keep_unknown(item, &error).await
    }

    async fn keep_unknown(&mut self, item: &ItemRef, error: &Error) -> Result<()> {
        let key = item_key(item)?;
        let name = match self.repository.get(self.base_root.as_ref(), &key).await? {
            Some(record) => record.name,
            None => item.id.clone(),
        };
        self.ledger.entry(
            LedgerKind::Warning,
            Some(item),
            name,
            error.code(),
            error.message(),
            true,
        );
        Ok(())
    }

    /// Containers of the base that were not listed are gone, and with them what they held, unless it turns up.
    async fn remove_lost_containers(&mut self) -> Result<()> {
        if !self.containers_complete || self.base_root.is_none() {
            return Ok(());
        }
        let mut queue = VecDeque::from([String::new()]);
        let mut visited = BTreeSet::new();
        while let Some(parent) = queue.pop_front() {
            if !visited.insert(parent.clone()) {
                continue;
            }
            self.reporter.check()?;
            let lost_parent = !parent.is_empty() && !self.containers.contains_key(&parent);
            let mut children = self
                .repository
                .scan(self.base_root, &ScanRange::container(parent.as_str()));
            while let Some(entry) = children.next().await {
                let (_, record) = entry?;
                if record.kind == ItemKind::Container {
                    queue.push_back(record.id.clone());
                    let here = self.containers.get(&record.id).map(|place| place.parent.as_str());
                    if here != Some(record.container.as_str()) {
                        let lost = ItemRef {
                            container: record.container,
                            id: record.id,
                        };
                        self.container_delta -= 1;
                        self.remove(&container_key(&lost)?).await?;
                    }
                } else if lost_parent {
                    self.candidates.insert(ItemRef {
                        container: record.container,
                        id: record.id,
                    });
                } else {
                    // Containers come first in a listing: no more of them follow.
                    break;
                }
            }
        }
        Ok(())
    }
}
