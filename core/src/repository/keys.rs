//! The care of keys: key slots are listed, added, changed and removed, and the keys are rotated.
//!
//! Slots are objects named by their content, so none is ever changed: a new one is written, read back and opened before the
//! one that it replaces goes. Who removes a slot first marks it, then looks whether a slot that he can open is left without a
//! mark: of two who remove each other's, at least one sees the other's mark.

use nakivo_repo_format::{KdfParams, KeyRing, KeySlot, Secret, SlotId, SlotKey, SlotKind, paths};
use serde::Serialize;

use super::objects::{Put, corrupt, format_error};
use super::shared::Shared;
use super::unlock::{Slots, Unlocked};
use super::{MAX_JSON_BYTES, Repository};
use crate::error::{Error, ErrorKind, Result};
use crate::seams::random_bytes;

mod rotate;

pub use rotate::{RotateOptions, RotateReport};

/// How often a new slot is written again because the keys were rotated meanwhile.
const MAX_ROUNDS: u32 = 10;

/// How a key slot is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeySlotKind {
    /// By a passphrase.
    Passphrase,
    /// By a recovery key or key file.
    Key,
    /// By anybody: the repository is not encrypted.
    None,
}

/// A key slot, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeySlotSummary {
    /// Its id: the name of its object. Changes whenever the slot is written anew.
    pub id: SlotId,
    /// What people call it.
    pub label: String,
    /// How it is opened.
    pub kind: KeySlotKind,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Memory in KiB that one try of a passphrase takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_kib: Option<u32>,
    /// Passes over that memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<u32>,
    /// Lanes in that memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// Whether the secret that this handle was opened with opens it.
    pub own: bool,
    /// Whether somebody began to remove it and did not come to the end.
    pub removing: bool,
}

/// All key slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeySlots {
    /// The sound ones, by time and id.
    pub slots: Vec<KeySlotSummary>,
    /// What is wrong with the others, each by the name of its object.
    pub damaged: Vec<String>,
}

/// How a key slot is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SlotOptions {
    /// What people call it. Default: empty.
    pub label: String,
    /// Cost of trying a passphrase. Default: 64 MiB of memory, 3 passes.
    pub kdf: KdfParams,
}

impl SlotOptions {
    /// Sets what people call it.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the cost of trying a passphrase.
    #[must_use]
    pub fn with_kdf(mut self, kdf: KdfParams) -> Self {
        self.kdf = kdf;
        self
    }
}

impl Repository {
    /// The key slots.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn key_slots(&self) -> Result<KeySlots> {
        let mut slots = Slots::read(&self.shared.objects, &self.shared.config).await?;
        let own = opened_by(&mut slots, self.shared.slot_key().as_ref());
        let mut found = KeySlots::default();
        for (_, slot) in &slots.sound {
            let mut summary = summarise(slot, &own)?;
            summary.removing = slots.marked.contains(&summary.id);
            found.slots.push(summary);
        }
        found
            .slots
            .sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        found.damaged = slots.damaged.iter().map(|(_, error)| error.to_string()).collect();
        Ok(found)
    }

    /// Adds a slot that this passphrase or key opens, and opens it before it counts.
    ///
    /// # Errors
    /// `AlreadyExists` if the secret opens a slot already; `InvalidInput` for a repository that is not encrypted and for costs
    /// out of range; those of the store.
    ///
    /// # Cancellation
    /// Safe: at worst the slot is there.
    pub async fn add_key_slot(&self, secret: Secret, options: SlotOptions) -> Result<KeySlotSummary> {
        self.refuse_unencrypted()?;
        let (slot, key) = self.store_new_slot(&secret, options).await?;
        // A rotation that came in between knows nothing of the new slot.
        self.keep_up(slot, &key).await
    }

    /// Removes a slot. What it protects stays, and whoever had its secret may have kept what it opened: rotate the keys if it
    /// is in the wrong hands.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a slot that this handle's secret opens if no other of that secret is left: a slot that
    /// opens must stay, so open the repository with another secret to remove it; `Busy` while a rotation is unfinished or
    /// somebody else removes slots; those of the store.
    ///
    /// # Cancellation
    /// Safe: the slot is there, marked or not, or gone.
    pub async fn remove_key_slot(&self, id: &SlotId) -> Result<KeySlotSummary> {
        self.refuse_unencrypted()?;
        self.refuse_while_rotating()?;
        let mut slots = Slots::read(&self.shared.objects, &self.shared.config).await?;
        let own = opened_by(&mut slots, self.shared.slot_key().as_ref());
        let slot = slots.find(id).ok_or_else(|| {
            Error::not_found("key slot", id).with_hint("List the key slots to see their ids.")
        })?;
        let summary = summarise(slot, &own)?;
        if own.contains(id) && own.len() == 1 {
            return Err(Error::invalid(
                "key slot",
                id,
                "any but the one that this repository was opened with",
            )
            .with_hint("Open the repository with another passphrase or key to remove this one."));
        }
        self.shared.remove_slot(id).await?;
        Ok(summary)
    }

    /// Replaces the passphrase or key that this handle was opened with. The new slot is written and opened before the old one
    /// goes; no data is written anew.
    ///
    /// # Errors
    /// As [`Repository::add_key_slot`] and [`Repository::remove_key_slot`].
    ///
    /// # Cancellation
    /// Safe: the old secret opens the repository, or the new one, or both.
    pub async fn change_secret(&self, secret: Secret, options: SlotOptions) -> Result<KeySlotSummary> {
        self.refuse_unencrypted()?;
        self.refuse_while_rotating()?;
        let mut slots = Slots::read(&self.shared.objects, &self.shared.config).await?;
        let old = opened_by(&mut slots, self.shared.slot_key().as_ref());
        let options = match slots.sound.iter().find(|(_, slot)| old.contains(&slot.id())) {
            Some((_, slot)) if options.label.is_empty() => options.with_label(slot.description()),
            _ => options,
        };
        // There already: an earlier call did not come to its end, and what is left is to remove the old one.
        let (slot, key) = match slots.unlock(&secret, self.shared.env.computing).await? {
            Some(Unlocked {
                key: Some(key),
                mut opened,
                ..
            }) if !old.contains(&opened[0].0.id()) => (opened.swap_remove(0).0, key),
            _ => self.store_new_slot(&secret, options).await?,
        };
        let mut summary = self.keep_up(slot, &key).await?;
        self.shared.set_slot_key(key);
        for id in old {
            self.shared.remove_slot(&id).await?;
        }
        summary.own = true;
        Ok(summary)
    }

    /// Writes a slot of a secret that has none.
    async fn store_new_slot(&self, secret: &Secret, options: SlotOptions) -> Result<(KeySlot, SlotKey)> {
        let shared = &self.shared;
        self.refresh().await?;
        let mut slots = Slots::read(&shared.objects, &shared.config).await?;
        if let Some(known) = slots.unlock(secret, shared.env.computing).await? {
            let id = known.opened.first().map(|(slot, _)| slot.id());
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("key slot {id} is opened by this passphrase or key already"),
            )
            .with_hint("Choose another one."));
        }
        let salt = random_bytes(&*shared.env.rng)?;
        let (secret, kdf) = (secret.clone(), options.kdf);
        let key = shared
            .env
            .computing
            .run(move || {
                SlotKey::new(&secret, kdf, salt).map_err(|error| {
                    Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
                })
            })
            .await?;
        let created = shared
            .env
            .clock
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let keys = shared.keys();
        let slot = KeySlot::wrap(keys.ring(), &key, &shared.config.id, &created, &options.label)
            .map_err(|error| format_error("new key slot", error))?;
        shared.store_slot(&slot, &key, keys.ring()).await?;
        Ok((slot, key))
    }

    /// Writes a new slot again as long as others rotate the keys, and says what it came to.
    async fn keep_up(&self, mut slot: KeySlot, key: &SlotKey) -> Result<KeySlotSummary> {
        for _ in 0..MAX_ROUNDS {
            self.refresh().await?;
            self.shared.reload_keys().await?;
            let keys = self.shared.keys();
            let held = slot
                .open(key)
                .map_err(|error| format_error("new key slot", error))?;
            if held == *keys.ring() {
                return summarise(&slot, &[]);
            }
            let newer = slot
                .rewrap(keys.ring(), key)
                .map_err(|error| format_error("new key slot", error))?;
            self.shared.store_slot(&newer, key, keys.ring()).await?;
            self.shared.remove_slot(&slot.id()).await?;
            slot = newer;
        }
        Err(Error::new(ErrorKind::Busy, "others rotate the keys all the time"))
    }

    fn refuse_unencrypted(&self) -> Result<()> {
        if self.shared.config.encrypted {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "this repository is not encrypted, so it has no passphrases and keys to care for",
        )
        .with_hint(
            "Create an encrypted repository: what was stored in clear cannot be made secret afterwards.",
        ))
    }

    /// While a new epoch is prepared, which slots are needed is not settled.
    fn refuse_while_rotating(&self) -> Result<()> {
        if self.shared.keys().ring().is_settled() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Busy,
            "a rotation of the keys is under way or was interrupted",
        )
        .with_hint("Rotate the keys again to bring it to its end, then repeat this."))
    }
}

impl Shared {
    /// Stores a slot, reads it back and opens it.
    async fn store_slot(&self, slot: &KeySlot, key: &SlotKey, ring: &KeyRing) -> Result<()> {
        let path = paths::key_slot(&slot.id());
        let bytes = bytes::Bytes::copy_from_slice(slot.to_bytes());
        self.objects.create_named_by_content(&path, bytes.into()).await?;
        let found = self.objects.get(&path, MAX_JSON_BYTES).await?;
        let found = found.ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                format!("{path}: the new key slot is gone: somebody else changes the keys at the same time"),
            )
            .with_hint("Nothing is lost. List the key slots, then do it again.")
        })?;
        let opened = KeySlot::parse(&found).and_then(|slot| slot.open(key));
        match opened {
            Ok(opened) if opened == *ring => Ok(()),
            Ok(_) => Err(corrupt(&path, "it holds something else than was stored")),
            Err(error) => Err(format_error(&path, error)),
        }
    }

    /// Removes a slot unless it is the last one that this handle can open.
    async fn remove_slot(&self, id: &SlotId) -> Result<()> {
        let mark = mark_of(id);
        // There already: somebody did not come to the end, or is at it.
        let (Put::Created | Put::Exists) = self.objects.create(&mark, bytes::Bytes::new()).await?;
        let mut slots = Slots::read(&self.objects, &self.config).await?;
        let own = opened_by(&mut slots, self.slot_key().as_ref());
        if !own.iter().any(|own| own != id && !slots.marked.contains(own)) {
            self.objects.delete(&mark).await?;
            return Err(Error::new(
                ErrorKind::Busy,
                format!("key slot {id}: nothing else that opens would be left; others remove key slots at the same time"),
            )
            .with_hint("List the key slots; open the repository with another passphrase or key to remove this one."));
        }
        self.objects.delete(&paths::key_slot(id)).await?;
        self.objects.delete(&mark).await?;
        for stale in &slots.marked {
            if slots.find(stale).is_none() {
                self.objects.delete(&mark_of(stale)).await?;
            }
        }
        Ok(())
    }
}

/// The mark of a slot that is being removed. Readers leave it out: it is not the name of a slot.
fn mark_of(id: &SlotId) -> String {
    format!("{}{}", paths::key_slot(id), super::unlock::MARK)
}

/// The ids of the slots that a key opens.
fn opened_by(slots: &mut Slots, key: Option<&SlotKey>) -> Vec<SlotId> {
    slots
        .open(key)
        .map(|unlocked| unlocked.opened.iter().map(|(slot, _)| slot.id()).collect())
        .unwrap_or_default()
}

fn summarise(slot: &KeySlot, own: &[SlotId]) -> Result<KeySlotSummary> {
    let kind = slot.kind().map_err(|error| format_error("key slot", error))?;
    let params = match kind {
        SlotKind::Passphrase(params) => Some(params),
        SlotKind::Key | SlotKind::Plain => None,
    };
    let id = slot.id();
    Ok(KeySlotSummary {
        id,
        label: slot.description().to_owned(),
        kind: match kind {
            SlotKind::Passphrase(_) => KeySlotKind::Passphrase,
            SlotKind::Key => KeySlotKind::Key,
            SlotKind::Plain => KeySlotKind::None,
        },
        created: slot.created().to_owned(),
        memory_kib: params.map(|params| params.memory_kib),
        time: params.map(|params| params.time),
        parallelism: params.map(|params| params.parallelism),
        own: own.contains(&id),
        removing: false,
    })
}
