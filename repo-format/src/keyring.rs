//! The secrets that a key slot protects: the master key and the secrets of the epochs that were begun since.
//!
//! Epoch 0 is sealed under keys of the master key. Each later epoch has a random secret of its own, so that whoever learned
//! what was there before learns nothing of it.

use zeroize::Zeroizing;

use crate::crypto::MasterKey;
use crate::error::{FormatError, Result};

const WHAT: &str = "key ring";
/// Master key and epoch.
const HEAD_BYTES: usize = 32 + 4;
/// One epoch: number, first commit, secret.
const ENTRY_BYTES: usize = 4 + 8 + 32;
/// Epochs in a ring at most.
const MAX_EPOCHS: usize = 512;

/// An epoch that was begun by a rotation.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochSecret {
    /// Its number, from 1 on.
    pub number: u32,
    /// Number of the first commit that is sealed in it: from there on nothing is accepted in an older epoch. 0: not known
    /// yet, and perhaps there is none, because the rotation did not come to its end.
    pub since: u64,
    secret: MasterKey,
}

impl std::fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "EpochSecret({}, since {}, [redacted])",
            self.number, self.since
        )
    }
}

impl EpochSecret {
    pub(crate) fn secret(&self) -> &MasterKey {
        &self.secret
    }
}

/// What a key slot protects. Prints no secret; wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    master: MasterKey,
    epoch: u32,
    epochs: Vec<EpochSecret>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("epoch", &self.epoch)
            .field("epochs", &self.epochs)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The ring of a repository that was never rotated.
    #[must_use]
    pub fn new(master: MasterKey, epoch: u32) -> Self {
        Self {
            master,
            epoch,
            epochs: Vec::new(),
        }
    }

    /// The master key: names of chunks and shapes of trees come from it for ever.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The epoch that new objects are sealed in, as far as this ring knows.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Epochs with secrets of their own, ascending.
    #[must_use]
    pub fn epochs(&self) -> &[EpochSecret] {
        &self.epochs
    }

    /// The first commit that must be there: the one that began the current epoch. 0: none is known.
    #[must_use]
    pub fn since(&self) -> u64 {
        let current = self.epochs.iter().filter(|entry| entry.number == self.epoch);
        current.map(|entry| entry.since).max().unwrap_or(0)
    }

    /// The lowest epoch that an object with this number in the log may be sealed in.
    #[must_use]
    pub fn floor(&self, number: u64) -> u32 {
        let begun = self
            .epochs
            .iter()
            .filter(|entry| entry.since > 0 && entry.since <= number);
        begun.map(|entry| entry.number).max().unwrap_or(0)
    }

    /// How many of the commits up to number `head` are sealed in each epoch.
    #[must_use]
    pub fn commits(&self, head: u64) -> Vec<(u32, u64)> {
        let begun = self.epochs.iter().filter(|entry| entry.since > 0);
        let mut first = (self.epochs.first().map_or(self.epoch, |_| 0), 1);
        let mut counts = Vec::new();
        for (epoch, since) in begun.map(|entry| (entry.number, entry.since)) {
            counts.push((first.0, since.saturating_sub(first.1)));
            first = (epoch, since);
        }
        counts.push((first.0, (head + 1).saturating_sub(first.1)));
        counts
    }

    /// The secrets that an epoch may have: more than one only while rotations compete.
    pub(crate) fn secrets(&self, epoch: u32) -> Vec<&MasterKey> {
        let own: Vec<&MasterKey> = self
            .epochs
            .iter()
            .filter(|entry| entry.number == epoch)
            .map(EpochSecret::secret)
            .collect();
        match self.epochs.first() {
            Some(first) if own.is_empty() && epoch >= first.number => Vec::new(),
            _ if own.is_empty() => vec![&self.master],
            _ => own,
        }
    }

    /// The ring with one more epoch, which nothing is sealed in yet, and its number. `secret` is 32 random bytes.
    ///
    /// # Errors
    /// `LimitExceeded` after more rotations than a ring holds.
    pub fn begin(&self, secret: [u8; 32]) -> Result<(Self, u32)> {
        if self.epochs.len() >= MAX_EPOCHS {
            return Err(FormatError::LimitExceeded {
                what: WHAT,
                limit: MAX_EPOCHS as u64,
                found: self.epochs.len() as u64 + 1,
            });
        }
        let newest = self.epochs.last().map_or(0, |entry| entry.number);
        let number = newest
            .max(self.epoch)
            .checked_add(1)
            .ok_or_else(|| FormatError::corrupt(WHAT, "no epoch is left"))?;
        let mut ring = self.clone();
        ring.epochs.push(EpochSecret {
            number,
            since: 0,
            secret: MasterKey::from_random(secret),
        });
        Ok((ring, number))
    }

    /// The ring once it is known that `epoch` with this secret is in use: other secrets for that number, and epochs before it
    /// that never began, are dropped. `since` is the number of a commit sealed in it, if one was seen.
    pub(crate) fn reached(&self, epoch: u32, secret: &MasterKey, since: Option<u64>) -> Self {
        let mut ring = self.clone();
        ring.epochs.retain(|entry| {
            entry.number > epoch
                || (entry.number == epoch && entry.secret == *secret)
                || (entry.number < epoch && entry.since > 0)
        });
        for entry in ring.epochs.iter_mut().filter(|entry| entry.number == epoch) {
            entry.since = match (entry.since, since) {
                (0, Some(seen)) => seen,
                (known, Some(seen)) => known.min(seen),
                (known, None) => known,
            };
        }
        ring.epoch = ring.epoch.max(epoch);
        ring
    }

    /// Whether it is news that this commit is sealed in this epoch.
    #[must_use]
    pub fn learns(&self, epoch: u32, since: u64) -> bool {
        let earlier = |entry: &EpochSecret| entry.since == 0 || entry.since > since;
        epoch > self.epoch
            || self
                .epochs
                .iter()
                .any(|entry| entry.number == epoch && earlier(entry))
    }

    /// Whether no epoch lies prepared that may still begin.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let mut epochs = self.epochs.iter();
        epochs.all(|entry| entry.since > 0 || entry.number <= self.epoch)
    }

    /// Whether this ring holds all that matters of another one, which may then go.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.master == other.master
            && other.epoch <= self.epoch
            && other.epochs.iter().all(|entry| {
                let known = || {
                    let mut own = self.epochs.iter();
                    own.any(|own| own.number == entry.number && own.secret == entry.secret)
                };
                // Prepared for an epoch that began with another secret: of no use.
                known() || (entry.since == 0 && entry.number <= self.epoch)
            })
    }

    /// The ring without epochs that were prepared and never began.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut ring = self.clone();
        ring.epochs.retain(|entry| entry.since > 0);
        ring
    }

    /// What both rings know. `None` if they are of different master keys.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        if self.master != other.master {
            return None;
        }
        let mut ring = self.clone();
        for entry in &other.epochs {
            let known = ring
                .epochs
                .iter_mut()
                .find(|known| known.number == entry.number && known.secret == entry.secret);
            match known {
                Some(known) if known.since == 0 => known.since = entry.since,
                Some(_) => {}
                None => ring.epochs.push(entry.clone()),
            }
        }
        ring.epoch = ring.epoch.max(other.epoch);
        ring.epochs.sort_by_key(|entry| entry.number);
        // Of several secrets for one epoch the one that a commit is known of is right.
        let decided: Vec<u32> = ring
            .epochs
            .iter()
            .filter(|entry| entry.since > 0)
            .map(|entry| entry.number)
            .collect();
        ring.epochs
            .retain(|entry| entry.since > 0 || !decided.contains(&entry.number));
        Some(ring)
    }

    /// The secret bytes that a slot wraps.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + self.epochs.len() * ENTRY_BYTES));
        out.extend_from_slice(self.master.expose_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        for entry in &self.epochs {
            out.extend_from_slice(&entry.number.to_le_bytes());
            out.extend_from_slice(&entry.since.to_le_bytes());
            out.extend_from_slice(entry.secret.expose_bytes());
        }
        out
    }

    /// Reads what [`KeyRing::encode`] made.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = || FormatError::corrupt(WHAT, "it is not 36 bytes and 44 for each epoch");
        let (head, mut rest) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(wrong)?;
        let (master, epoch) = head.split_at(32);
        let master = MasterKey::from_random(master.try_into().map_err(|_| wrong())?);
        let mut ring = Self::new(master, u32::from_le_bytes(epoch.try_into().map_err(|_| wrong())?));
        if rest.len() / ENTRY_BYTES > MAX_EPOCHS {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let (entry, behind) = rest.split_at_checked(ENTRY_BYTES).ok_or_else(wrong)?;
            let (number, entry) = entry.split_at(4);
            let (since, secret) = entry.split_at(8);
            let number = u32::from_le_bytes(number.try_into().map_err(|_| wrong())?);
            if number == 0 || ring.epochs.last().is_some_and(|last| last.number > number) {
                return Err(FormatError::corrupt(WHAT, "its epochs do not ascend"));
            }
            ring.epochs.push(EpochSecret {
                number,
                since: u64::from_le_bytes(since.try_into().map_err(|_| wrong())?),
                secret: MasterKey::from_random(secret.try_into().map_err(|_| wrong())?),
            });
            rest = behind;
        }
        if ring.secrets(ring.epoch).is_empty() {
            return Err(FormatError::corrupt(WHAT, "its epoch has no secret"));
        }
        Ok(ring)
    }
}
