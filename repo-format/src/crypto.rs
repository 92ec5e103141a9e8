//! Keys: the master key, everything derived from it, and sealing with AES-256-SIV (RFC 5297).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aes_siv::siv::Aes256Siv;
use aes_siv::{KeyInit, Tag};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{FormatError, Result};
use crate::ids::{BlockId, ChunkId, ContentHash, RepositoryId};
use crate::keyring::KeyRing;
use crate::object::{ObjectHeader, ObjectType};
use crate::siv::SivKey;

/// Bytes that sealing adds in front: the synthetic IV, which is also the authentication tag.
pub const TAG_BYTES: usize = 16;

const CONTEXT_SEAL: &str = "nakivo repository v1 seal";
const CONTEXT_COMMITMENT: &str = "nakivo repository v1 commitment";
const CONTEXT_CHUNK_ID: &str = "nakivo repository v1 chunk-id";
const CONTEXT_BLOCK_ID: &str = "nakivo repository v1 block-id";
const CONTEXT_GEAR: &str = "nakivo repository v1 gear";
const CONTEXT_BOUNDARY: &str = "nakivo repository v1 tree-boundary";

/// The repository's master key: 32 random bytes, from which every other key is derived.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// The master key made of 32 random bytes, which the caller draws.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    #[must_use]
    pub const fn expose_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

/// The keys of one epoch: what sealing needs.
pub(crate) struct EpochKeys {
    pub(crate) epoch: u32,
    seal: Zeroizing<[u8; 64]>,
    /// The same key, expanded, for sealing.
    pub(crate) siv: SivKey,
    pub(crate) commitment: [u8; 16],
}

impl EpochKeys {
    fn derive(master: &MasterKey, epoch: u32, repository: &RepositoryId) -> Self {
        let mut seal = Zeroizing::new([0; 64]);
        derive(CONTEXT_SEAL, master, repository, Some(epoch), &mut *seal);
        let mut commitment = [0; 16];
        derive(
            CONTEXT_COMMITMENT,
            master,
            repository,
            Some(epoch),
            &mut commitment,
        );
        let siv = SivKey::new(&seal);
        Self {
            epoch,
            seal,
            siv,
            commitment,
        }
    }

    /// Opens `buffer` (tag, then ciphertext) in place; the plaintext is `buffer[TAG_BYTES..]`.
    pub(crate) fn open_in_place(
        &self,
        what: &'static str,
        headers: &[&[u8]],
        buffer: &mut [u8],
    ) -> Result<()> {
        open_in_place(&self.seal, what, headers, buffer)
    }
}

/// AES-256-SIV over `buffer[16..]`, the synthetic IV going into `buffer[..16]`.
pub(crate) fn seal_in_place(key: &[u8; 64], headers: &[&[u8]], buffer: &mut [u8]) -> Result<()> {
    let (tag, text) = buffer
        .split_at_mut_checked(TAG_BYTES)
        .ok_or(FormatError::Truncated {
            what: "buffer to seal",
        })?;
    // The only error of the cipher is more than 126 headers; ours are two or three.
    let siv = Aes256Siv::new(key.into())
        .encrypt_inout_detached(headers, text.into())
        .map_err(|_| FormatError::EncodeCheckFailed { what: "sealing" })?;
    tag.copy_from_slice(&siv);
    Ok(())
}

/// The reverse of [`seal_in_place`].
pub(crate) fn open_in_place(
    key: &[u8; 64],
    what: &'static str,
    headers: &[&[u8]],
    buffer: &mut [u8],
) -> Result<()> {
    let (tag, text) = buffer
        .split_at_mut_checked(TAG_BYTES)
        .ok_or(FormatError::Truncated { what })?;
    let tag = Tag::try_from(&*tag).map_err(|_| FormatError::Truncated { what })?;
    Aes256Siv::new(key.into())
        .decrypt_inout_detached(headers, text.into(), &tag)
        .map_err(|_| FormatError::Authentication { what })
}

/// Fills `out` with BLAKE3 `derive_key(context, master ‖ repository ‖ epoch)`; without epoch for the keys that
/// must survive a rotation.
fn derive(context: &str, master: &MasterKey, repository: &RepositoryId, epoch: Option<u32>, out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&master.0);
    hasher.update(repository.as_bytes());
    if let Some(epoch) = epoch {
        hasher.update(&epoch.to_le_bytes());
    }
    hasher.finalize_xof().fill(out);
}

struct Inner {
    ring: KeyRing,
    repository: RepositoryId,
    current: Arc<EpochKeys>,
    /// Keys of other epochs met while reading. Only epochs whose commitment matched get in.
    others: Mutex<Vec<Arc<EpochKeys>>>,
    chunk_id: Zeroizing<[u8; 32]>,
    block_id: Zeroizing<[u8; 32]>,
    boundary: Zeroizing<[u8; 32]>,
    gear: Box<[u64; 256]>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.gear.zeroize();
    }
}

/// All keys of a repository, derived from its master key. Cheap to clone, shareable between threads.
///
/// Writes with the epoch it was derived for; reads objects of every epoch that its ring knows.
#[derive(Clone)]
pub struct KeySet(Arc<Inner>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeySet({}, epoch {}, [redacted])",
            self.0.repository, self.0.current.epoch
        )
    }
}

impl KeySet {
    /// Derives the keys of `repository` in `epoch`, as they are before any rotation.
    #[must_use]
    pub fn derive(master: &MasterKey, epoch: u32, repository: &RepositoryId) -> Self {
        Self::of_ring(KeyRing::new(master.clone(), epoch), repository)
    }

    /// Derives the keys of `repository` from what a key slot holds.
    #[must_use]
    pub fn of_ring(ring: KeyRing, repository: &RepositoryId) -> Self {
        let (master, epoch) = (ring.master(), ring.epoch());
        let secret = ring.secrets(epoch).first().copied().unwrap_or(master);
        let current = Arc::new(EpochKeys::derive(secret, epoch, repository));
        Self::build(ring, repository, current)
    }

    fn build(ring: KeyRing, repository: &RepositoryId, current: Arc<EpochKeys>) -> Self {
        let master = ring.master();
        let mut chunk_id = Zeroizing::new([0; 32]);
        derive(CONTEXT_CHUNK_ID, master, repository, None, &mut *chunk_id);
        let mut block_id = Zeroizing::new([0; 32]);
        derive(CONTEXT_BLOCK_ID, master, repository, None, &mut *block_id);
        let mut boundary = Zeroizing::new([0; 32]);
        derive(CONTEXT_BOUNDARY, master, repository, None, &mut *boundary);
        let mut gear_bytes = Zeroizing::new([0; 2048]);
        derive(CONTEXT_GEAR, master, repository, None, &mut *gear_bytes);
        let mut gear = Box::new([0u64; 256]);
        for (word, bytes) in gear.iter_mut().zip(gear_bytes.chunks_exact(8)) {
            let mut le = [0; 8];
            le.copy_from_slice(bytes);
            *word = u64::from_le_bytes(le);
        }
        Self(Arc::new(Inner {
            repository: *repository,
            current,
            others: Mutex::new(Vec::new()),
            chunk_id,
            block_id,
            boundary,
            gear,
            ring,
        }))
    }

    /// The repository these keys belong to.
    #[must_use]
    pub fn repository(&self) -> &RepositoryId {
        &self.0.repository
    }

    /// The epoch new objects are written in.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.0.current.epoch
    }

    /// The secrets, for writing another key slot.
    #[must_use]
    pub fn ring(&self) -> &KeyRing {
        &self.0.ring
    }

    /// The master key.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        self.0.ring.master()
    }

    /// These keys, writing in another epoch that the ring knows.
    ///
    /// # Errors
    /// `UnknownEpoch`.
    pub fn writing_in(&self, epoch: u32) -> Result<Self> {
        let header = self.header_in_epoch(epoch, ObjectType::Commit, 0)?;
        self.reached(&header, None)
    }

    /// These keys after an object with this header was opened: they write in its epoch if that is newer. `since` is its
    /// number, if it is a commit: from there on nothing is accepted that is sealed in an older epoch.
    ///
    /// # Errors
    /// `UnknownEpoch`, `Authentication`: nothing with this header can have been opened.
    pub fn reached(&self, header: &ObjectHeader, since: Option<u64>) -> Result<Self> {
        let keys = self.epoch_keys("object", header.epoch, Some(&header.commitment))?;
        let repository = &self.0.repository;
        let secrets = self.0.ring.secrets(header.epoch);
        let secret = secrets.into_iter().find(|secret| {
            EpochKeys::derive(secret, header.epoch, repository).commitment == header.commitment
        });
        let secret = secret.unwrap_or(self.0.ring.master());
        let ring = self.0.ring.reached(header.epoch, secret, since);
        let current = if ring.epoch() == header.epoch {
            keys
        } else {
            Arc::clone(&self.0.current)
        };
        Ok(Self::build(ring, repository, current))
    }

    /// What headers of the current epoch carry, so that bytes opened under another key are refused.
    #[must_use]
    pub fn commitment(&self) -> &[u8; 16] {
        &self.0.current.commitment
    }

    /// The id of a chunk: keyed BLAKE3 of its plaintext.
    #[must_use]
    pub fn chunk_id(&self, plain: &[u8]) -> ChunkId {
        ChunkId::from_bytes(*blake3::keyed_hash(&self.0.chunk_id, plain).as_bytes())
    }

    /// The id of a block: the chunk id when it holds one chunk, else keyed BLAKE3 (under a key of its own) of
    /// the chunk ids in order. Chunk ids bind the plaintext, so the plaintext is not hashed twice.
    #[must_use]
    pub fn block_id<'a>(&self, chunks: impl IntoIterator<Item = &'a ChunkId>) -> BlockId {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.block_id);
        let mut first = None;
        let mut count = 0usize;
        for id in chunks {
            if count == 0 {
                first = Some(id);
            }
            hasher.update(id.as_bytes());
            count += 1;
        }
        match first {
            Some(only) if count == 1 => BlockId::from_bytes(*only.as_bytes()),
            _ => BlockId::from_bytes(*hasher.finalize().as_bytes()),
        }
    }

    /// Starts the hash of a whole content part, fed piece by piece.
    #[must_use]
    pub fn part_hasher(&self) -> PartHasher {
        PartHasher(blake3::Hasher::new_keyed(&self.0.chunk_id))
    }

    /// The header of a new object in the current epoch. `number` is the sequence number of a commit or
    /// checkpoint, 0 for everything else.
    #[must_use]
    pub fn header(&self, kind: ObjectType, number: u64) -> ObjectHeader {
        self.header_of(&self.0.current, kind, number)
    }

    /// The header an object of `epoch` has: to open a block without reading its pack's first bytes.
    ///
    /// # Errors
    /// `UnknownEpoch`.
    pub fn header_in_epoch(&self, epoch: u32, kind: ObjectType, number: u64) -> Result<ObjectHeader> {
        let keys = self.epoch_keys(kind.as_str(), epoch, None)?;
        Ok(self.header_of(&keys, kind, number))
    }

    fn header_of(&self, keys: &EpochKeys, kind: ObjectType, number: u64) -> ObjectHeader {
        ObjectHeader {
            kind,
            epoch: keys.epoch,
            repository: self.0.repository,
            commitment: keys.commitment,
            number,
        }
    }

    /// Checks that an object with this header belongs here and can be opened with these keys.
    ///
    /// # Errors
    /// `IdMismatch` for another kind or repository, `Authentication` for another key.
    pub fn check_header(&self, header: &ObjectHeader, kind: ObjectType) -> Result<()> {
        self.keys_for(header, kind).map(drop)
    }

    pub(crate) fn keys_for(&self, header: &ObjectHeader, kind: ObjectType) -> Result<Arc<EpochKeys>> {
        if header.kind != kind {
            return Err(FormatError::IdMismatch { what: "object kind" });
        }
        if header.repository != self.0.repository {
            return Err(FormatError::IdMismatch {
                what: "object of another repository",
            });
        }
        let ordered = matches!(kind, ObjectType::Commit | ObjectType::Checkpoint);
        if ordered && header.epoch < self.0.ring.floor(header.number) {
            return Err(FormatError::EndedEpoch {
                what: kind.as_str(),
                number: header.number,
                epoch: header.epoch,
            });
        }
        self.epoch_keys(kind.as_str(), header.epoch, Some(&header.commitment))
    }

    pub(crate) fn current(&self) -> &Arc<EpochKeys> {
        &self.0.current
    }

    /// The keys of an epoch; where `seen` is given, those with this commitment. Remembered only when it proves that the epoch
    /// is in use, so that hostile headers cannot fill the memory.
    fn epoch_keys(&self, what: &'static str, epoch: u32, seen: Option<&[u8; 16]>) -> Result<Arc<EpochKeys>> {
        let fits = |keys: &EpochKeys| keys.epoch == epoch && seen.is_none_or(|seen| *seen == keys.commitment);
        if fits(&self.0.current) {
            return Ok(Arc::clone(&self.0.current));
        }
        let mut others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = others.iter().find(|keys| fits(keys)) {
            return Ok(Arc::clone(keys));
        }
        let secrets = self.0.ring.secrets(epoch);
        let known = !secrets.is_empty();
        let derived = secrets
            .into_iter()
            .map(|secret| EpochKeys::derive(secret, epoch, &self.0.repository))
            .find(fits);
        match derived {
            Some(keys) => {
                let keys = Arc::new(keys);
                if seen.is_some() {
                    others.push(Arc::clone(&keys));
                }
                Ok(keys)
            }
            // A newer epoch has another secret, which was drawn since this ring was read.
            None if !known || epoch > self.0.current.epoch => Err(FormatError::UnknownEpoch { what, epoch }),
            None => Err(FormatError::Authentication {
                what: "key commitment",
            }),
        }
    }

    /// The gear table of the content chunker.
    #[must_use]
    pub fn gear(&self) -> &[u64; 256] {
        &self.0.gear
    }

    /// The tree boundary hash of a key: the first 8 bytes of keyed BLAKE3, little endian.
    #[must_use]
    pub fn boundary(&self, key: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(&self.0.boundary, key);
        let mut le = [0; 8];
        le.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(le)
    }
}

/// Hashes a whole content part, piece by piece. Equal to the chunk id when the part is one raw chunk.
#[derive(Clone)]
pub struct PartHasher(blake3::Hasher);

impl PartHasher {
    /// Adds the next bytes of the part.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of everything added.
    #[must_use]
    pub fn finalize(&self) -> ContentHash {
        ContentHash::from_bytes(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for PartHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartHasher")
    }
}
