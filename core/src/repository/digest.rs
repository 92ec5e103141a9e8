//! The hash of a whole object, computed as its bytes come: nothing of it is held but what is asked for.

use std::io::{self, Read};

use futures::TryStreamExt;
use nakivo_repo_format::object::HEADER_BYTES;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};

use super::objects::{Objects, Outcome, unexpected};
use crate::error::Result;

/// Bytes of a file that are read and hashed at once: they are still in the processor's cache then.
const DIGEST_BUFFER_BYTES: usize = 256 << 10;

/// What [`Objects::digest`] keeps of an object.
pub(crate) struct Digest {
    hasher: blake3::Hasher,
    size: u64,
    /// The first bytes.
    pub(crate) head: Vec<u8>,
    tail_from: u64,
    pub(crate) tail: Vec<u8>,
}

impl Digest {
    fn new(tail_from: u64) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            size: 0,
            head: Vec::new(),
            tail_from,
            tail: Vec::new(),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        let missing = HEADER_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        let skipped = self.tail_from.saturating_sub(self.size);
        if let Some(tail) = usize::try_from(skipped)
            .ok()
            .and_then(|skipped| bytes.get(skipped..))
        {
            self.tail.extend_from_slice(tail);
        }
        self.size += bytes.len() as u64;
    }

    fn read(mut self, mut file: std::fs::File) -> io::Result<Self> {
        let mut buffer = vec![0; DIGEST_BUFFER_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(self),
                Ok(count) => self.add(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// BLAKE3 of the whole object.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }
}

impl Objects {
    /// The hash of an object of exactly this size and its bytes from `tail_from` on, without holding more of it; `None` if there is
    /// none, or it has another size.
    pub(crate) async fn digest(&self, path: &str, size: u64, tail_from: u64) -> Result<Option<Digest>> {
        let location = Path::from(path);
        let read = || async {
            let found = self.store.get(&location).await?;
            if found.meta.size != size {
                return Ok(None);
            }
            let digest = Digest::new(tail_from);
            let digest = match found.payload {
                GetResultPayload::File(file, _) => {
                    let work = move || Ok(digest.read(file));
                    self.env
                        .computing
                        .run(work)
                        .await
                        .map_err(io::Error::other)
                        .flatten()
                }
                GetResultPayload::Stream(mut pieces) => {
                    let mut digest = digest;
                    while let Some(piece) = pieces.try_next().await? {
                        digest.add(&piece);
                    }
                    Ok(digest)
                }
            };
            let generic = |error: io::Error| object_store::Error::Generic {
                store: "pack",
                source: error.into(),
            };
            digest
                .map(|digest| Some(digest).filter(|digest| digest.size == size))
                .map_err(generic)
        };
        match self.retry(path, "read", false, read).await? {
            Outcome::Done(digest) => Ok(digest),
            Outcome::NotFound => Ok(None),
            Outcome::Exists => Err(unexpected(path)),
        }
    }
}
