//! Following key rotations: what is sealed in a newer epoch is opened with keys that are read from the key slots again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use nakivo_repo_format::{Codec, FormatError, IndexId, KeyRing, KeySet, ObjectHeader};
use serde::Serialize;

use super::objects::format_error;
use super::shared::Shared;
use super::unlock::Slots;
use crate::error::{Error, ErrorKind, Result};

/// What of a repository is sealed in one epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EpochUsage {
    /// The epoch.
    pub epoch: u32,
    /// Packs in use.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Packs that are no longer needed and wait to be deleted.
    pub waiting_packs: u64,
    /// Index segments in use.
    pub index_segments: u64,
    /// Commits: they stay in the epoch that they were made in.
    pub commits: u64,
}

impl Shared {
    /// Opens an object. If its epoch is not known, the key slots are read again: somebody may have rotated the keys.
    pub(crate) async fn open_in_its_epoch<T: Send + 'static>(
        self: &Arc<Self>,
        path: &str,
        open: impl Fn(&KeySet, &mut Codec) -> Result<T, FormatError> + Send + Sync + 'static,
    ) -> Result<T> {
        let open = Arc::new(open);
        let mut reloaded = false;
        loop {
            let (shared, open) = (Arc::clone(self), Arc::clone(&open));
            let opened = self.env.computing.run(move || {
                let mut codec = match shared.codecs.fresh() {
                    Ok(codec) => codec,
                    Err(error) => return Ok(Err(error)),
                };
                Ok(open(&shared.keys(), &mut codec))
            });
            match opened.await? {
                Ok(opened) => return Ok(opened),
                Err(FormatError::UnknownEpoch { .. }) if !reloaded => {
                    self.reload_keys().await?;
                    reloaded = true;
                }
                Err(error) => return Err(format_error(path, error)),
            }
        }
    }

    /// Reads the key slots again.
    ///
    /// # Errors
    /// `WrongPassphrase` if none is left of the secret that the repository was opened with.
    pub(crate) async fn reload_keys(self: &Arc<Self>) -> Result<()> {
        let mut slots = Slots::read(&self.objects, &self.config).await?;
        let Some(unlocked) = slots.open(self.slot_key().as_ref()) else {
            if let Some((_, error)) = slots.damaged.pop() {
                return Err(error);
            }
            return Err(Error::new(
                ErrorKind::WrongPassphrase,
                "the keys of this repository were changed, and what it was opened with opens it no more",
            )
            .with_hint("Open it with a passphrase or a key that is valid now."));
        };
        self.set_ring(&unlocked.ring);
        Ok(())
    }

    /// Keys of this ring, which write in `epoch`.
    pub(crate) fn keys_writing_in(&self, ring: &KeyRing, epoch: u32) -> Result<KeySet> {
        KeySet::of_ring(ring.clone(), &self.config.id)
            .writing_in(epoch)
            .map_err(|error| format_error("key ring", error))
    }

    /// Adds what a ring knows to the keys.
    pub(crate) fn set_ring(&self, ring: &KeyRing) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = keys.ring().merge(ring)
            && ring != *keys.ring()
        {
            *keys = KeySet::of_ring(ring, &self.config.id);
        }
    }

    /// Takes note of the epoch of an object that was opened or stored: from now on this handle writes in it if it is newer.
    /// `commit`: its number, if it is a commit; behind it nothing older is accepted.
    pub(crate) fn note_epoch(&self, path: &str, object: &[u8], commit: Option<u64>) -> Result<()> {
        let fail = |error| format_error(path, error);
        let header = ObjectHeader::decode(object).map_err(fail)?;
        let news = |keys: &KeySet| match commit {
            Some(number) => keys.ring().learns(header.epoch, number),
            None => header.epoch > keys.epoch(),
        };
        if !news(&self.keys()) {
            return Ok(());
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if news(&keys) {
            *keys = keys.reached(&header, commit).map_err(fail)?;
        }
        Ok(())
    }

    /// Remembers in which epoch an index segment is sealed.
    pub(crate) fn note_segment(&self, id: IndexId, epoch: u32) {
        let mut epochs = self.segment_epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.insert(id, epoch);
    }

    /// In which epoch an index segment is sealed that this handle has read or written.
    pub(crate) fn segment_epoch(&self, id: &IndexId) -> Option<u32> {
        let epochs = self.segment_epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.get(id).copied()
    }

    /// What is sealed in which epoch, ascending.
    pub(crate) fn epochs(&self) -> Vec<EpochUsage> {
        let view = self.view();
        let keys = self.keys();
        let current = keys.epoch();
        let mut found: BTreeMap<u32, EpochUsage> = BTreeMap::from([(current, EpochUsage::default())]);
        for pack in self.index().sealed() {
            let usage = found.entry(pack.epoch).or_default();
            if !pack.hidden {
                usage.packs += 1;
                usage.pack_bytes += pack.size;
            } else if view.state.tombstones().contains_key(&pack.id) {
                usage.waiting_packs += 1;
            }
        }
        for segment in view.state.segments().keys() {
            let epoch = self.segment_epoch(segment).unwrap_or(current);
            found.entry(epoch).or_default().index_segments += 1;
        }
        for (epoch, commits) in keys.ring().commits(view.state.seq()) {
            found.entry(epoch).or_default().commits = commits;
        }
        found.retain(|epoch, usage| *epoch == current || *usage != EpochUsage::default());
        let number = |(epoch, usage)| EpochUsage { epoch, ..usage };
        found.into_iter().map(number).collect()
    }
}
