//! Opening key slots, when the repository is opened and when its keys were rotated since.

use std::collections::HashSet;

use nakivo_repo_format::{
    FormatError, KeyRing, KeySlot, RepositoryConfig, Secret, SlotId, SlotKey, SlotKind, paths,
};

use super::MAX_JSON_BYTES;
use super::objects::{Objects, corrupt, format_error};
use crate::error::{Error, ErrorKind, Result};
use crate::seams::Computing;

/// What the mark of a slot that is being removed adds to its name.
pub(crate) const MARK: &str = ".removing";

/// How often slots are listed while others write them anew.
const MAX_ROUNDS: u32 = 10;

/// What key slots gave.
pub(crate) struct Unlocked {
    /// What all slots of the secret hold together.
    pub(crate) ring: KeyRing,
    /// What opens the slots of the same secret and salt. `None`: they lie in clear.
    pub(crate) key: Option<SlotKey>,
    /// The slots that were opened, with what each holds.
    pub(crate) opened: Vec<(KeySlot, KeyRing)>,
}

/// The key slots of a repository, as they are in the store.
pub(crate) struct Slots {
    /// The sound ones, with their paths.
    pub(crate) sound: Vec<(String, KeySlot)>,
    /// Those that cannot be used, each as an error that names it.
    pub(crate) damaged: Vec<(String, Error)>,
    /// Those that somebody marked to remove them, present or not.
    pub(crate) marked: HashSet<SlotId>,
}

impl Slots {
    /// Reads the slots. Those of another repository, left behind by a creation that did not come to its end, are left out.
    ///
    /// Where one is gone that the list shows, somebody writes slots anew, and the list may lack those that took its place:
    /// it is read again.
    pub(crate) async fn read(objects: &Objects, config: &RepositoryConfig) -> Result<Self> {
        let mut round = 0;
        loop {
            let (slots, whole) = Self::read_once(objects, config).await?;
            round += 1;
            if whole || round == MAX_ROUNDS {
                return Ok(slots);
            }
        }
    }

    /// The slots, and whether every listed one was there.
    async fn read_once(objects: &Objects, config: &RepositoryConfig) -> Result<(Self, bool)> {
        let mut slots = Self {
            sound: Vec::new(),
            damaged: Vec::new(),
            marked: HashSet::new(),
        };
        let mut whole = true;
        for (path, _) in objects.list(paths::KEYS, None).await? {
            if !is_slot(&path) {
                let marked = path.strip_suffix(MARK).and_then(slot_of);
                slots.marked.extend(marked);
                continue;
            }
            let read = match objects.get(&path, MAX_JSON_BYTES).await {
                Ok(None) => {
                    whole = false;
                    continue;
                }
                Ok(Some(bytes)) => KeySlot::parse(&bytes).map_err(|error| format_error(&path, error)),
                Err(error) if error.kind() == ErrorKind::Corrupt => Err(error),
                Err(error) => return Err(error),
            };
            match read {
                Ok(slot) if *slot.repository() == config.id => slots.sound.push((path, slot)),
                Ok(_) => {}
                Err(error) => slots.damaged.push((path, error)),
            }
        }
        Ok((slots, whole))
    }

    /// Opens every slot that this key opens; `None`: those that lie in clear.
    pub(crate) fn open(&mut self, key: Option<&SlotKey>) -> Option<Unlocked> {
        let mut unlocked: Option<Unlocked> = None;
        for (path, slot) in &self.sound {
            let opened = match (key, slot.kind()) {
                (None, Ok(SlotKind::Plain)) => slot.open_plain(),
                (Some(key), Ok(SlotKind::Passphrase(_) | SlotKind::Key)) => slot.open(key),
                _ => continue,
            };
            match opened {
                Ok(ring) => match &mut unlocked {
                    None => {
                        unlocked = Some(Unlocked {
                            ring: ring.clone(),
                            key: key.cloned(),
                            opened: vec![(slot.clone(), ring)],
                        });
                    }
                    // Of another master key: nobody who made it can have opened this repository.
                    Some(known) => {
                        if let Some(merged) = known.ring.merge(&ring) {
                            known.ring = merged;
                            known.opened.push((slot.clone(), ring));
                        }
                    }
                },
                Err(FormatError::WrongPassphrase) => {}
                Err(error) => self.damaged.push((path.clone(), format_error(path, error))),
            }
        }
        unlocked
    }

    /// Tries a secret on every slot. `None`: it opens none.
    pub(crate) async fn unlock(&mut self, secret: &Secret, computing: Computing) -> Result<Option<Unlocked>> {
        for (_, slot) in self.sound.clone() {
            let secret = secret.clone();
            let tried = computing.run(move || Ok(slot.try_secret(&secret))).await?;
            if let Ok(key) = tried
                && let Some(unlocked) = self.open(Some(&key))
            {
                return Ok(Some(unlocked));
            }
        }
        Ok(None)
    }

    /// The slot of this id.
    pub(crate) fn find(&self, id: &SlotId) -> Option<&KeySlot> {
        let mut slots = self.sound.iter().map(|(_, slot)| slot);
        slots.find(|slot| slot.id() == *id)
    }
}

/// Whether an object in the folder of key slots is one: other names are marks of removals under way.
pub(crate) fn is_slot(path: &str) -> bool {
    slot_of(path).is_some()
}

fn slot_of(path: &str) -> Option<SlotId> {
    path.rsplit('/').next()?.parse().ok()
}

/// Finds the key slots that open the repository.
pub(crate) async fn unlock(
    objects: &Objects,
    config: &RepositoryConfig,
    secret: Option<Secret>,
    computing: Computing,
) -> Result<Unlocked> {
    if config.encrypted && secret.is_none() {
        return Err(Error::new(
            ErrorKind::WrongPassphrase,
            "this repository is encrypted and neither a passphrase nor a key was given",
        )
        .with_hint("Give its passphrase or its key."));
    }
    let mut slots = Slots::read(objects, config).await?;
    let unlocked = match &secret {
        Some(secret) => slots.unlock(secret, computing).await?,
        None => slots.open(None),
    };
    if let Some(unlocked) = unlocked {
        return Ok(unlocked);
    }
    let failure = slots.damaged.pop().map(|(_, error)| error);
    if slots.sound.is_empty() {
        return Err(
            failure.unwrap_or_else(|| corrupt(paths::KEYS, "there is no key slot of this repository"))
        );
    }
    let error = match secret {
        Some(_) if !config.encrypted => Error::new(
            ErrorKind::WrongPassphrase,
            "a passphrase or a key was given, and this repository is not encrypted",
        )
        .with_hint("Open it without one."),
        Some(Secret::Key(_)) => Error::new(
            ErrorKind::WrongPassphrase,
            "the key opens none of the repository's key slots",
        ),
        _ => Error::new(
            ErrorKind::WrongPassphrase,
            "the passphrase opens none of the repository's key slots",
        ),
    };
    Err(match failure {
        Some(damage) => error.with_hint(format!("One key slot is damaged: {damage}")),
        None => error,
    })
}
