//! Rotation: a new epoch with a secret that nobody who had the old ones can know.
//!
//! Each step may be the last one that a process takes:
//! 1. Every secret that shall go on opening the repository gets a slot that also holds the new epoch's secret. Nothing is
//!    sealed in it yet.
//! 2. One commit, sealed in the new epoch, begins it. From here on everybody writes in it: who has other keys in memory cannot
//!    read that commit, and reads the slots again.
//! 3. The slots are written once more, now with the number of that commit, from which on nothing older is accepted.
//! 4. The slots before go, and with them those of the secrets that were not kept.
//!
//! A rotation that did not come to its end after the second step is finished by the next one, instead of beginning another.

use nakivo_repo_format::{KeyRing, KeySlot, Secret, SlotId, SlotKey};
use serde::Serialize;

use super::{KeySlotSummary, Repository, summarise};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::objects::format_error;
use crate::repository::unlock::{Slots, Unlocked};
use crate::seams::random_bytes;

/// Which secrets go on opening the repository after a rotation. The one that the handle was opened with always does.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RotateOptions {
    /// The other secrets that are kept: each must be at hand, because slots are written anew for them.
    pub keep: Vec<Secret>,
    /// Whether the slots of all other secrets are removed. Default: `false`; then a rotation with such slots is refused.
    pub drop_others: bool,
}

impl RotateOptions {
    /// Keeps this secret, too.
    #[must_use]
    pub fn with_kept(mut self, secret: impl Into<Secret>) -> Self {
        self.keep.push(secret.into());
        self
    }

    /// Sets whether the slots of secrets that are not kept are removed.
    #[must_use]
    pub fn with_drop_others(mut self, drop: bool) -> Self {
        self.drop_others = drop;
        self
    }
}

/// What a rotation came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RotateReport {
    /// The epoch that everything is sealed in from now on.
    pub epoch: u32,
    /// The commit that began it.
    pub commit: u64,
    /// Whether an earlier rotation was brought to its end and no further one begun.
    pub resumed: bool,
    /// The slots that open the repository now.
    pub kept: Vec<KeySlotSummary>,
    /// Slots of secrets that were not kept; they are gone.
    pub dropped: Vec<KeySlotSummary>,
}

/// A secret that is kept: its key and the newest of its slots.
struct Kept {
    key: SlotKey,
    slot: KeySlot,
    epoch: u32,
}

/// What the slots in the store come to, under the secrets at hand.
struct Census {
    kept: Vec<Kept>,
    ring: KeyRing,
    others: Vec<KeySlot>,
}

impl Repository {
    /// Begins a new epoch: new data is sealed under keys that cannot be derived from anything that was there before. What was
    /// stored before stays readable, and is encrypted anew by [`Repository::reencrypt`].
    ///
    /// Backups may go on meanwhile, here and elsewhere: they learn of the new epoch with the next commit they meet.
    ///
    /// # Errors
    /// `WrongPassphrase` if a secret to keep opens nothing; `InvalidInput` for a repository that is not encrypted, and for one
    /// with slots of other secrets unless they may be dropped; `Conflict` if somebody else rotated the keys meanwhile;
    /// `Corrupt` if the repository can only be read; those of the store.
    ///
    /// # Cancellation
    /// Safe at any moment: rotate again to bring it to its end.
    pub async fn rotate_keys(&self, options: RotateOptions) -> Result<RotateReport> {
        self.refuse_unencrypted()?;
        let shared = &self.shared;
        self.refresh().await?;
        shared.reload_keys().await?;
        let census = self.census(&options).await?;
        let others = census
            .others
            .iter()
            .map(|slot| summarise(slot, &[]))
            .collect::<Result<Vec<_>>>()?;
        if !others.is_empty() && !options.drop_others {
            return Err(unaccounted(&others));
        }
        let current = shared.keys().epoch();
        let resumed = census.kept.iter().any(|kept| kept.epoch < current);
        if !resumed {
            self.begin_epoch(&census).await?;
        }
        let ring = shared.keys().ring().settled();
        let kept = self.write_slots(&census.kept, &ring).await?;
        let dropped: Vec<SlotId> = others.iter().map(|slot| slot.id).collect();
        self.drop_slots(&census.kept, &kept, &ring, &dropped).await?;
        let ids: Vec<SlotId> = kept.iter().map(KeySlot::id).collect();
        Ok(RotateReport {
            epoch: ring.epoch(),
            commit: ring.since(),
            resumed,
            kept: kept
                .iter()
                .map(|slot| summarise(slot, &ids[..1]))
                .collect::<Result<_>>()?,
            dropped: others,
        })
    }

    /// Sorts the slots by who opens them. The handle's own secret comes first.
    async fn census(&self, options: &RotateOptions) -> Result<Census> {
        let shared = &self.shared;
        let mut slots = Slots::read(&shared.objects, &shared.config).await?;
        let mut unlocked: Vec<Unlocked> = Vec::new();
        unlocked.extend(slots.open(shared.slot_key().as_ref()));
        for (number, secret) in (1..).zip(&options.keep) {
            match slots.unlock(secret, shared.env.computing).await? {
                Some(opened) => unlocked.push(opened),
                None => {
                    return Err(Error::new(
                        ErrorKind::WrongPassphrase,
                        format!("secret {number} of those to keep opens none of the repository's key slots"),
                    ));
                }
            }
        }
        let mut census = Census {
            kept: Vec::new(),
            ring: shared.keys().ring().clone(),
            others: Vec::new(),
        };
        let mut known: Vec<SlotId> = Vec::new();
        for opened in unlocked {
            let newest = opened.opened.iter().max_by_key(|(_, ring)| ring.epoch());
            if let (Some(key), Some((slot, ring))) = (opened.key, newest)
                && !known.contains(&slot.id())
            {
                census.kept.push(Kept {
                    key,
                    slot: slot.clone(),
                    epoch: ring.epoch(),
                });
            }
            if let Some(merged) = census.ring.merge(&opened.ring) {
                census.ring = merged;
            }
            known.extend(opened.opened.iter().map(|(slot, _)| slot.id()));
        }
        let sound = slots.sound.into_iter().map(|(_, slot)| slot);
        census.others = sound.filter(|slot| !known.contains(&slot.id())).collect();
        Ok(census)
    }

    /// Steps one and two.
    async fn begin_epoch(&self, census: &Census) -> Result<()> {
        let shared = &self.shared;
        // Always a new secret: one that lies prepared in a slot may be known to whoever is to be locked out.
        let secret = random_bytes(&*shared.env.rng)?;
        let (ring, epoch) = census
            .ring
            .settled()
            .begin(secret)
            .map_err(|error| format_error("key ring", error))?;
        let prepared = self.write_slots(&census.kept, &ring).await?;
        let keys = shared.keys_writing_in(&ring, epoch)?;
        shared.set_ring(&ring);
        if shared.commit_epoch(&keys).await?.is_some() {
            return Ok(());
        }
        for slot in prepared {
            shared.remove_slot(&slot.id()).await?;
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "somebody else rotated the keys at the same time",
        )
        .with_hint("Nothing is lost. Rotate again if that was not meant."))
    }

    /// Writes a slot with this ring for each secret that is kept, and opens it again.
    async fn write_slots(&self, kept: &[Kept], ring: &KeyRing) -> Result<Vec<KeySlot>> {
        let mut written = Vec::new();
        for Kept { key, slot, .. } in kept {
            let slot = slot
                .rewrap(ring, key)
                .map_err(|error| format_error("new key slot", error))?;
            self.shared.store_slot(&slot, key, ring).await?;
            written.push(slot);
        }
        Ok(written)
    }

    /// Step four: what the new slots replace goes, and what is not kept.
    async fn drop_slots(
        &self,
        kept: &[Kept],
        written: &[KeySlot],
        ring: &KeyRing,
        dropped: &[SlotId],
    ) -> Result<()> {
        let shared = &self.shared;
        let slots = Slots::read(&shared.objects, &shared.config).await?;
        for (_, slot) in &slots.sound {
            let id = slot.id();
            if written.iter().any(|written| written.id() == id) {
                continue;
            }
            // Somebody else's next rotation may have begun already: its slots hold more than ours.
            let replaced = kept
                .iter()
                .filter_map(|kept| slot.open(&kept.key).ok())
                .any(|held| ring.covers(&held));
            if replaced || dropped.contains(&id) {
                shared.remove_slot(&id).await?;
            }
        }
        Ok(())
    }
}

fn unaccounted(others: &[KeySlotSummary]) -> Error {
    let names: Vec<String> = others
        .iter()
        .map(|slot| match slot.label.as_str() {
            "" => slot.id.to_string(),
            label => format!("{} ({label})", slot.id),
        })
        .collect();
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "key slots that none of the given secrets opens would open the repository no more: {}",
            names.join(", ")
        ),
    )
    .with_hint("Give the secrets that shall be kept, and say that the others are to be dropped.")
}
