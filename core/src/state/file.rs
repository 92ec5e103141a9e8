//! State in a directory: one small file per key.
//!
//! Each write goes to a new file that is flushed, renamed over the old one and made durable in its directory, so a crash
//! leaves the old value or the new one. Each file carries a check over its key and value: a flipped bit, a truncated file
//! or a file copied to another name is `Corrupt`, never another value and never an absent key.

use std::fmt::Write as _;
use std::fs::TryLockError;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Claim, StateStore, claimed};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{io_error, sync_directory};

/// First bytes of every file.
const MAGIC: &[u8; 8] = b"NAKIVOS1";
/// Length of the BLAKE3 check after the magic.
const CHECK_BYTES: usize = 32;
/// Longest key.
const MAX_KEY_CHARS: usize = 200;
/// Largest value. State records are small; a larger file is damage.
const MAX_VALUE_BYTES: u64 = 64 << 20;
/// Longest file name component made from a key, below the 255 bytes that file systems allow.
const MAX_NAME_CHARS: usize = 120;

/// A [`StateStore`] in a directory that only the owner may read.
///
/// The values are not encrypted: they hold no secrets and no content. Each key has a file of its own, so that a damaged
/// one hides no other. Whole-state rollback (somebody puts back yesterday's directory) is not noticed by this store.
#[derive(Debug, Clone)]
pub struct FileState {
    directory: PathBuf,
}

impl FileState {
    /// State in `directory`, which is made on the first write.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Where the state lives.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_' | '/');
        if key.is_empty() || key.len() > MAX_KEY_CHARS || !key.chars().all(allowed) {
            return Err(Error::invalid(
                "state key",
                key,
                "1 to 200 characters of a-z 0-9 - . _ /",
            ));
        }
        // '/' becomes '+', which no key contains: names stay readable, flat, and can climb out of nothing.
        let mut name = key.replace('/', "+");
        if name.len() > MAX_NAME_CHARS {
            let hash = *blake3::hash(key.as_bytes()).as_bytes();
            name.truncate(MAX_NAME_CHARS - 33);
            name.push('~');
            for byte in &hash[..16] {
                // Writing to a string cannot fail.
                let _ = write!(name, "{byte:02x}");
            }
        }
        name.push_str(".state");
        Ok(self.directory.join(name))
    }
}

#[async_trait]
impl StateStore for FileState {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        let key = key.to_owned();
        blocking(move || read(&path, &key)).await
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        let path = self.path(key)?;
        let key = key.to_owned();
        if value.len() as u64 > MAX_VALUE_BYTES {
            return Err(Error::invalid(
                "state value",
                format!("{} bytes", value.len()),
                "at most 64 MiB",
            ));
        }
        let directory = self.directory.clone();
        blocking(move || write(&directory, &path, &key, &value)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        let directory = self.directory.clone();
        blocking(move || match std::fs::remove_file(&path) {
            Ok(()) => {
                sync_directory(&directory).map_err(|error| io_error(&path.display().to_string(), error))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error(&path.display().to_string(), error)),
        })
        .await
    }

    /// A lock of the operating system on an empty file, which ends with the process.
    async fn claim(&self, name: &str) -> Result<Claim> {
        let path = self.path(name)?.with_extension("lock");
        let directory = self.directory.clone();
        let name = name.to_owned();
        blocking(move || {
            let fail = |error| io_error(&path.display().to_string(), error);
            make_private_directory(&directory).map_err(fail)?;
            let file = private_file(&path).map_err(fail)?;
            match file.try_lock() {
                Ok(()) => Ok(Claim::new(file)),
                Err(TryLockError::WouldBlock) => Err(claimed(&name)),
                Err(TryLockError::Error(error)) => Err(fail(error)),
            }
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("a blocking task ended abnormally: {error}")))?
}

/// Check over key and value. Guards against damage, not against somebody who may write the file.
fn check(key: &str, value: &[u8]) -> [u8; CHECK_BYTES] {
    let mut input = Vec::with_capacity(value.len() + key.len() + 32);
    input.extend_from_slice(b"nakivo state v1\0");
    input.extend_from_slice(&(key.len() as u64).to_le_bytes());
    input.extend_from_slice(key.as_bytes());
    input.extend_from_slice(value);
    *blake3::hash(&input).as_bytes()
}

fn read(path: &Path, key: &str) -> Result<Option<Bytes>> {
    let shown = || path.display().to_string();
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&shown(), error)),
    };
    let corrupt = || {
        Error::new(
            ErrorKind::Corrupt,
            format!("{}: the record '{key}' fails its check", shown()),
        )
        .with_hint(
            "The disk damaged this file. Remove it to go on without what it remembered; no backup is lost.",
        )
    };
    if length > MAX_VALUE_BYTES + 64 {
        return Err(corrupt());
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&shown(), error)),
    };
    let start = MAGIC.len() + CHECK_BYTES;
    if bytes.len() < start || bytes[..MAGIC.len()] != MAGIC[..] {
        return Err(corrupt());
    }
    let value = bytes.slice(start..);
    if bytes[MAGIC.len()..start] != check(key, &value) {
        return Err(corrupt());
    }
    Ok(Some(value))
}

fn write(directory: &Path, path: &Path, key: &str, value: &[u8]) -> Result<()> {
    let fail = |error| io_error(&path.display().to_string(), error);
    make_private_directory(directory).map_err(fail)?;
    // Two processes may write the same key: each has a temporary name of its own, and the last rename wins.
    let temporary = path.with_extension(format!("{}.tmp", unique()));
    let result = (|| {
        let mut file = private_file(&temporary)?;
        file.write_all(MAGIC)?;
        file.write_all(&check(key, value))?;
        file.write_all(value)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&temporary, path)?;
        sync_directory(directory)
    })();
    if result.is_err() {
        // The leftover of a failed write; if it cannot be removed it is only a few bytes nobody reads.
        let _ = std::fs::remove_file(&temporary);
    }
    result.map_err(fail)
}

/// A name part that no other write, in this process or another, uses at the same time.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn make_private_directory(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    match directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_directory(parent),
        None => sync_directory(Path::new(".")),
    }
}

fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn remembers_across_instances_and_forgets_what_is_deleted() {
        let place = tempfile::tempdir().unwrap();
        let state = FileState::new(place.path().join("state"));
        assert_eq!(state.get("heads/a").await.unwrap(), None);
        state.put("heads/a", Bytes::from_static(b"one")).await.unwrap();
        state.put("heads/a", Bytes::from_static(b"two")).await.unwrap();
        state.put("heads/b", Bytes::new()).await.unwrap();
        let again = FileState::new(place.path().join("state"));
        assert_eq!(again.get("heads/a").await.unwrap().unwrap(), "two");
        assert_eq!(again.get("heads/b").await.unwrap().unwrap(), "");
        again.delete("heads/a").await.unwrap();
        again.delete("heads/a").await.unwrap();
        assert_eq!(state.get("heads/a").await.unwrap(), None);
        assert_eq!(
            std::fs::read_dir(state.directory()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[tokio::test]
    async fn every_flipped_bit_and_every_truncation_is_corrupt() {
        let place = tempfile::tempdir().unwrap();
        let state = FileState::new(place.path());
        state
            .put("k", Bytes::from_static(b"a small value"))
            .await
            .unwrap();
        let path = state.path("k").unwrap();
        let good = std::fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bad).unwrap();
            assert_eq!(
                state.get("k").await.unwrap_err().kind(),
                ErrorKind::Corrupt,
                "bit {bit}"
            );
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(
                state.get("k").await.unwrap_err().kind(),
                ErrorKind::Corrupt,
                "length {length}"
            );
        }
        std::fs::write(state.path("other").unwrap(), &good).unwrap();
        assert_eq!(
            state.get("other").await.unwrap_err().kind(),
            ErrorKind::Corrupt,
            "a record under another key"
        );
    }

    #[tokio::test]
    async fn a_claim_is_of_one_until_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let state = FileState::new(place.path().join("state"));
        let other = FileState::new(place.path().join("state"));
        let claim = state.claim("work").await.unwrap();
        assert_eq!(other.claim("work").await.unwrap_err().kind(), ErrorKind::Busy);
        other.claim("other work").await.unwrap_err();
        other.claim("other-work").await.unwrap();
        drop(claim);
        other.claim("work").await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let state = FileState::new(place.path().join("state"));
        state.put("k", Bytes::from_static(b"v")).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.directory()), 0o700);
        assert_eq!(mode(&state.path("k").unwrap()), 0o600);
    }

    #[tokio::test]
    async fn keys_stay_inside_the_directory_and_apart() {
        let state = FileState::new("/nowhere");
        for key in ["", "A", "a b", "a\\b", "é", &"x".repeat(201)] {
            assert_eq!(
                state.get(key).await.unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{key}"
            );
        }
        let long = "x".repeat(200);
        let other = format!("{}y", "x".repeat(199));
        assert_ne!(state.path(&long).unwrap(), state.path(&other).unwrap());
        assert!(state.path("../../etc/passwd").unwrap().starts_with("/nowhere"));
        assert_eq!(state.path("../x").unwrap().parent(), Some(Path::new("/nowhere")));
    }
}
