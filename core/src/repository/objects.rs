//! The repository's objects in their store: bounded retries, ambiguous answers resolved, errors with a path and a kind.
//!
//! Correctness rests on three operations only: create if absent, read by name (whole or a range) and size by name. Lists
//! are used where missing an entry costs work but loses nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use nakivo_repo_format::FormatError;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::retain::Retention;
use crate::error::{Error, ErrorKind, Result};
use crate::seams::Environment;
use crate::store::{RetainUntil, Store, describe, io_kind, service_kind};

/// How often one operation is tried in all.
const MAX_TRIES: u32 = 5;
/// Longest wait before the second try; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What became of a conditional put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The object is stored with these bytes.
    Created,
    /// An object of that name is there; whose it is, the caller must find out (it may be this very put, answered wrongly).
    Exists,
}

/// A store with the repository's rules for talking to it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    pub(super) store: Store,
    pub(super) env: Environment,
    /// What is locked here.
    pub(crate) retention: Arc<Retention>,
}

enum Class {
    NotFound,
    Exists,
    Fatal(ErrorKind),
    Transient,
}

impl Objects {
    pub(crate) fn new(store: impl Into<Store>, env: Environment) -> Self {
        Self {
            store: store.into(),
            retention: Arc::new(Retention::new(env.clock.now())),
            env,
        }
    }

    /// The whole object, or `None` if there is none. Refuses one larger than `limit` bytes before reading it.
    pub(crate) async fn get(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        let location = Path::from(path);
        let read = || async {
            let found = self.store.get(&location).await?;
            let size = found.meta.size;
            if size > limit {
                return Ok(Err(size));
            }
            let bytes = found.bytes().await?;
            if bytes.len() as u64 == size {
                Ok(Ok(bytes))
            } else {
                Ok(Err(bytes.len() as u64))
            }
        };
        match self.retry(path, "read", false, read).await? {
            Outcome::Done(Ok(bytes)) => Ok(Some(bytes)),
            Outcome::Done(Err(size)) => Err(corrupt(path, &format!("its size of {size} bytes is wrong"))),
            Outcome::NotFound => Ok(None),
            Outcome::Exists => Err(unexpected(path)),
        }
    }

    /// Exactly these bytes of the object, or `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` if the object is shorter than the range.
    pub(crate) async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let parts = self.get_ranges(path, std::slice::from_ref(&range)).await?;
        Ok(parts.and_then(|mut parts| parts.pop()))
    }

    /// Exactly these stretches of the object, in this order, or `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` if the object ends before one of them does.
    pub(crate) async fn get_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Option<Vec<Bytes>>> {
        let location = Path::from(path);
        let wanted: Vec<u64> = ranges.iter().map(|range| range.end - range.start).collect();
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        let read = || self.store.get_ranges(&location, ranges);
        match self.retry_unless_short(path, end, read).await? {
            Outcome::Done(parts) => {
                let came: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
                if came == wanted {
                    return Ok(Some(parts));
                }
                let sum = |lengths: &[u64]| lengths.iter().sum::<u64>();
                let (wanted, came) = (sum(&wanted), sum(&came));
                let what = format!("{wanted} bytes were asked for and {came} came");
                Err(corrupt(path, &what))
            }
            Outcome::NotFound => Ok(None),
            Outcome::Exists => Err(unexpected(path)),
        }
    }

    /// Stores tell "the range is beyond the end" in many ways; the size says it in one.
    async fn retry_unless_short<F>(
        &self,
        path: &str,
        end: u64,
        read: impl Fn() -> F + Send,
    ) -> Result<Outcome<Vec<Bytes>>>
    where
        F: Future<Output = object_store::Result<Vec<Bytes>>> + Send,
    {
        match read().await {
            Ok(bytes) => return Ok(Outcome::Done(bytes)),
            Err(error) => {
                if matches!(classify(&error, false), Class::Transient)
                    && let Some(size) = self.size(path).await?
                    && size < end
                {
                    return Err(corrupt(
                        path,
                        &format!("it ends after {size} of at least {end} bytes"),
                    ));
                }
            }
        }
        self.retry(path, "read", false, read).await
    }

    /// The object's size, or `None` if there is none.
    pub(crate) async fn size(&self, path: &str) -> Result<Option<u64>> {
        let location = Path::from(path);
        let read = || async { self.store.head(&location).await.map(|meta| meta.size) };
        match self.retry(path, "look up", false, read).await? {
            Outcome::Done(size) => Ok(Some(size)),
            Outcome::NotFound => Ok(None),
            Outcome::Exists => Err(unexpected(path)),
        }
    }

    /// Creates the object if there is none of that name. A put that failed is repeated, so `Exists` may mean that an
    /// earlier try of this call succeeded.
    pub(crate) async fn create(&self, path: &str, payload: impl Into<PutPayload>) -> Result<Put> {
        self.put(path, payload.into(), PutMode::Create).await
    }

    /// Creates the object like [`Self::create`], and looks whether the store kept what it acknowledged.
    ///
    /// An object cut short would stand for ever under a name that nobody may take a second time: the beginning of these very
    /// bytes is replaced by all of them, once. Anything else is an error. If the store gives no answer, its acknowledgement
    /// stands.
    pub(crate) async fn create_kept(&self, path: &str, bytes: &Bytes) -> Result<Put> {
        if self.create(path, bytes.clone()).await? == Put::Exists {
            return Ok(Put::Exists);
        }
        let mut found = self.size(path).await;
        if let Ok(Some(size)) = found
            && size < bytes.len() as u64
            && let Ok(Some(begun)) = self.get(path, size).await
            && bytes.starts_with(&begun)
        {
            tracing::warn!(
                path,
                size,
                "the store kept only the beginning; it is written again"
            );
            self.put(path, bytes.clone().into(), PutMode::Overwrite).await?;
            found = self.size(path).await;
        }
        judge_kept(path, bytes.len() as u64, found)?;
        Ok(Put::Created)
    }

    /// Fails if the store does not have an object of this size that it has just acknowledged. If the store gives no answer,
    /// its acknowledgement stands.
    pub(crate) async fn check_kept(&self, path: &str, size: u64) -> Result<()> {
        judge_kept(path, size, self.size(path).await)
    }

    /// Creates an object whose name is the hash of its bytes. If one is there it is compared, and replaced if it was
    /// damaged: only the right bytes ever bear that name.
    pub(crate) async fn create_named_by_content(&self, path: &str, payload: PutPayload) -> Result<()> {
        if self.put(path, payload.clone(), PutMode::Create).await? == Put::Created {
            return Ok(());
        }
        let length = payload.content_length() as u64;
        if let Ok(Some(found)) = self.get(path, length).await {
            let mut at = 0;
            let same = found.len() as u64 == length
                && payload.iter().all(|piece| {
                    let same = found[at..at + piece.len()] == piece[..];
                    at += piece.len();
                    same
                });
            if same {
                return Ok(());
            }
        }
        tracing::warn!(
            path,
            "an object named by its content holds other bytes; it is replaced by the right ones"
        );
        self.put(path, payload, PutMode::Overwrite).await.map(drop)
    }

    /// Replaces an object that is damaged beyond use.
    pub(crate) async fn replace(&self, path: &str, bytes: &Bytes) -> Result<()> {
        self.put(path, bytes.clone().into(), PutMode::Overwrite).await?;
        self.check_kept(path, bytes.len() as u64).await
    }

    /// Creates an object that is locked until then.
    pub(crate) async fn create_locked(
        &self,
        path: &str,
        payload: impl Into<PutPayload>,
        until: DateTime<Utc>,
    ) -> Result<Put> {
        self.put_until(path, payload.into(), PutMode::Create, Some(RetainUntil(until)))
            .await
    }

    async fn put(&self, path: &str, payload: PutPayload, mode: PutMode) -> Result<Put> {
        let until = self.retain_until(path).await?;
        self.put_until(path, payload, mode, until).await
    }

    async fn put_until(
        &self,
        path: &str,
        payload: PutPayload,
        mode: PutMode,
        until: Option<RetainUntil>,
    ) -> Result<Put> {
        let location = Path::from(path);
        let mut options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        if let Some(until) = until {
            options.extensions.insert(until);
        }
        let write = || self.store.put_opts(&location, payload.clone(), options.clone());
        match self.retry(path, "write", true, write).await? {
            Outcome::Done(_) => Ok(Put::Created),
            Outcome::Exists => Ok(Put::Exists),
            Outcome::NotFound => Err(Error::new(
                ErrorKind::Unavailable,
                format!("{path}: the store has no such place"),
            )),
        }
    }

    /// Names and sizes of the objects in a folder, sorted, each once. With `after`, only names behind it.
    ///
    /// A store may not show the newest objects yet and may still show removed ones.
    pub(crate) async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<(String, u64)>> {
        let found = self.listed(folder, after).await?;
        Ok(found.into_iter().map(|(name, size, _)| (name, size)).collect())
    }

    /// Removes an object. One that is gone already is no error.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let location = Path::from(path);
        let remove = || self.store.delete(&location);
        match self.retry(path, "remove", true, remove).await? {
            Outcome::Done(()) | Outcome::NotFound => Ok(()),
            Outcome::Exists => Err(unexpected(path)),
        }
    }

    /// Names, sizes and times of the last change of the objects in a folder, by the store's clock. As [`Self::list`].
    pub(crate) async fn list_dated(&self, folder: &str) -> Result<Vec<(String, u64, DateTime<Utc>)>> {
        self.listed(folder, None).await
    }

    async fn listed(&self, folder: &str, after: Option<&str>) -> Result<Vec<(String, u64, DateTime<Utc>)>> {
        let prefix = Path::from(folder);
        let offset = after.map(Path::from);
        let read = || async {
            let entries = match &offset {
                Some(offset) => self.store.list_with_offset(Some(&prefix), offset),
                None => self.store.list(Some(&prefix)),
            };
            entries
                .map_ok(|meta| (String::from(meta.location), meta.size, meta.last_modified))
                .try_collect::<Vec<_>>()
                .await
        };
        match self.retry(folder, "list", false, read).await? {
            Outcome::Done(mut found) => {
                if let Some(after) = after {
                    // Some services start where they like.
                    found.retain(|(name, ..)| name.as_str() > after);
                }
                found.sort();
                found.dedup_by(|a, b| a.0 == b.0);
                Ok(found)
            }
            Outcome::NotFound => Ok(Vec::new()),
            Outcome::Exists => Err(unexpected(folder)),
        }
    }

    pub(super) async fn retry<T, F>(
        &self,
        path: &str,
        verb: &str,
        writing: bool,
        operation: impl Fn() -> F + Send,
    ) -> Result<Outcome<T>>
    where
        F: Future<Output = object_store::Result<T>> + Send,
    {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match operation().await {
                Ok(value) => return Ok(Outcome::Done(value)),
                Err(error) => error,
            };
            match classify(&error, writing) {
                Class::NotFound => return Ok(Outcome::NotFound),
                Class::Exists => return Ok(Outcome::Exists),
                Class::Fatal(kind) => return Err(store_error(kind, path, verb, error)),
                Class::Transient if tries >= MAX_TRIES => {
                    return Err(store_error(ErrorKind::Unavailable, path, verb, error));
                }
                Class::Transient => {
                    let wait = self.backoff(tries)?;
                    tracing::debug!(path, verb, tries, ?wait, %error, "the store failed; trying again");
                    self.env.clock.sleep(wait).await;
                }
            }
        }
    }

    /// Full jitter over a doubling interval, so that writers that failed together do not return together.
    fn backoff(&self, tries: u32) -> Result<Duration> {
        let longest = FIRST_BACKOFF
            .saturating_mul(1 << (tries - 1).min(16))
            .min(MAX_BACKOFF);
        let random = u32::from_le_bytes(crate::seams::random_bytes(&*self.env.rng)?);
        Ok(longest.mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

fn judge_kept(path: &str, size: u64, found: Result<Option<u64>>) -> Result<()> {
    match found {
        Ok(Some(found)) if found == size => Ok(()),
        Ok(found) => {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("{found} bytes"));
            let message = format!("{path}: the store acknowledged {size} bytes and holds {found}");
            Err(Error::new(ErrorKind::Unavailable, message).with_hint(
                "This store loses what it acknowledged. Check it before the next run; nothing was committed.",
            ))
        }
        Err(error) => {
            tracing::warn!(path, %error, "it could not be looked up whether the store kept what it took");
            Ok(())
        }
    }
}

pub(super) enum Outcome<T> {
    Done(T),
    NotFound,
    Exists,
}

fn classify(error: &object_store::Error, writing: bool) -> Class {
    use object_store::Error as Store;
    // A service says by a code of its own what its status alone leaves open: a secret that is wrong, a right that is missing.
    if matches!(
        error,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } | Store::Generic { .. }
    ) && let Some(kind) = service_kind(error)
    {
        return Class::Fatal(kind);
    }
    match error {
        Store::NotFound { .. } => Class::NotFound,
        Store::AlreadyExists { .. } | Store::Precondition { .. } => Class::Exists,
        Store::PermissionDenied { .. } => Class::Fatal(ErrorKind::PermissionMissing),
        Store::Unauthenticated { .. } => Class::Fatal(ErrorKind::Unauthorized),
        Store::NotSupported { .. } | Store::NotImplemented { .. } => Class::Fatal(ErrorKind::Protocol),
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => {
            Class::Fatal(ErrorKind::InvalidInput)
        }
        Store::JoinError { .. } => Class::Fatal(ErrorKind::Internal),
        other => {
            let mut source: Option<&(dyn std::error::Error + 'static)> = Some(other);
            while let Some(cause) = source {
                if let Some(io) = cause.downcast_ref::<std::io::Error>() {
                    if let Some(kind) = io_kind(io) {
                        return Class::Fatal(kind);
                    }
                    // A write or flush that the disk refused (EIO): what it still acknowledges is not to be trusted, so
                    // the run ends here instead of trying until the error hides.
                    if writing && io.raw_os_error() == Some(5) {
                        return Class::Fatal(ErrorKind::Unavailable);
                    }
                }
                source = cause.source();
            }
            Class::Transient
        }
    }
}

fn store_error(kind: ErrorKind, path: &str, verb: &str, error: object_store::Error) -> Error {
    let message = match kind {
        ErrorKind::Protocol => format!(
            "{path}: the store cannot {verb} as a repository needs it: {}",
            describe(&error)
        ),
        _ => format!("{path}: cannot {verb}: {}", describe(&error)),
    };
    let result = Error::new(kind, message).with_source(error);
    match kind {
        ErrorKind::StorageFull => result
            .with_hint("Free space in the store, then run again; earlier recovery points are not touched."),
        ErrorKind::Unauthorized => result.with_hint("Check the credential in the store settings."),
        ErrorKind::PermissionMissing => {
            result.with_hint("Give this user the right to read and create objects there.")
        }
        ErrorKind::Unavailable => {
            result.with_hint("Check the store and its network or disk, then run again.")
        }
        ErrorKind::Protocol => {
            result.with_hint("Use a store that can create an object only if it is absent.")
        }
        _ => result,
    }
}

pub(super) fn unexpected(path: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("{path}: the store answered a read as if it were a write"),
    )
}

/// Stored bytes that are not what was written.
pub(crate) fn corrupt(path: &str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{path}: {what}"))
        .with_hint("Run verify to see which items are affected; everything else can still be recovered.")
}

/// A message about the object at `path`, without the path: for lists that name it beside.
pub(crate) fn without_path<'a>(path: &str, message: &'a str) -> &'a str {
    let rest = message
        .strip_prefix(path)
        .and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(message)
}

/// The error for bytes of the object at `path` that the format refuses.
pub(crate) fn format_error(path: &str, error: FormatError) -> Error {
    const DAMAGED: (ErrorKind, Option<&str>) = (
        ErrorKind::Corrupt,
        Some("Run verify to see which items are affected; everything else can still be recovered."),
    );
    let (kind, hint) = match &error {
        // A header is looked at before it is authenticated, and what a newer version may do is announced in format.json,
        // which was read and accepted: an unknown version, kind or flag there is a flipped bit.
        FormatError::UnsupportedVersion {
            what: "object header",
            ..
        }
        | FormatError::UnsupportedFeature {
            what: "object header",
            ..
        } => DAMAGED,
        FormatError::WrongPassphrase => (ErrorKind::WrongPassphrase, None),
        FormatError::PassphraseRequired => (
            ErrorKind::WrongPassphrase,
            Some("This repository is encrypted: give its passphrase."),
        ),
        FormatError::UnsupportedVersion { .. } | FormatError::UnsupportedFeature { .. } => (
            ErrorKind::UnsupportedFormat,
            Some("Update this software; nothing was changed."),
        ),
        FormatError::EncodeCheckFailed { .. } => (
            ErrorKind::Internal,
            Some(
                "Check this machine's memory: data changed between reading and storing. Nothing of it was stored.",
            ),
        ),
        _ => DAMAGED,
    };
    let result = Error::new(kind, format!("{path}: {error}")).with_source(error);
    match hint {
        Some(hint) => result.with_hint(hint),
        None => result,
    }
}
