//! Immutable recovery points: the store's locks proven, renewed and looked at.
//!
//! A repository promises that each point and everything it needs stays for so many days. New objects are locked for half as
//! long again by the very put that makes them. What a new point shares with older ones was stored earlier, so its lock may
//! end too early: then all locks are renewed, which for the same reason is due only once in half of that time. Each commit
//! says until when everything is locked at least ([`super::retain`]), so that nobody has to ask the store.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nakivo_repo_format::{PackId, PointId, RepositoryConfig, paths};
use serde::{Deserialize, Serialize};

use super::Repository;
use super::objects::{Objects, Put, format_error};
use super::retain::{CLOCK_TOLERANCE, Promise};
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Reporter, Running};
use crate::seams::{Environment, random_bytes};

/// Objects asked about at once.
const PARALLEL: usize = 8;
/// Renewed packs after which it is remembered how far a renewal came.
const SAVE_EVERY: u64 = 512;
/// Objects with a short lock that a report names.
const MAX_NAMED: usize = 1_000;
/// How long the object is locked that proves locks.
const PROBE_LOCK: TimeDelta = TimeDelta::minutes(20);

/// What `format.json` promises. A number that no version of ours writes counts as the nearest that one does.
pub(crate) fn promise_of(config: &RepositoryConfig) -> Option<Promise> {
    let days = config.immutable_days?;
    let allowed = super::retain::IMMUTABLE_DAYS;
    Promise::new(days.clamp(*allowed.start(), *allowed.end())).ok()
}

/// How long recovery points stay whatever anybody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Immutability {
    /// Days after it was made during which a point and everything it needs cannot be removed.
    pub days: u32,
    /// Until when everything in the repository is locked, at least, milliseconds since 1970 UTC; `None`: not known.
    pub locked_ms: Option<i64>,
}

/// What locks a new recovery point.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PointLock {
    /// Until when the point and everything it needs is to stay, milliseconds since 1970 UTC.
    pub until_ms: i64,
    /// Objects whose lock was renewed for that.
    pub renewed: u64,
    /// Why the locks of what the point shares with older ones could not be renewed, and may end earlier than that.
    pub problem: Option<Error>,
}

/// What renewing locks did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RenewReport {
    /// Whether anything was to be done.
    pub due: bool,
    /// Objects whose lock was renewed by this call.
    pub renewed: u64,
    /// Whether an interrupted renewal was continued.
    pub resumed: bool,
    /// Objects that are listed and were not there when they were to be locked.
    pub missing: u64,
    /// Until when everything is locked now, at least, milliseconds since 1970 UTC.
    pub locked_ms: Option<i64>,
}

/// An object that is locked for a shorter time than the newest recovery point was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShortLock {
    /// Its path in the repository's folder.
    pub object: String,
    /// Until when it is locked, milliseconds since 1970 UTC; `None`: not at all.
    pub locked_ms: Option<i64>,
}

/// What a look at all locks showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LockReport {
    /// Until when everything must be locked, by the newest point; `None`: no point is so new that anything must be.
    pub promised_ms: Option<i64>,
    /// Objects looked at.
    pub objects: u64,
    /// Objects with too short a lock.
    pub short: u64,
    /// The first of them.
    pub short_locks: Vec<ShortLock>,
}

/// How far a renewal came: all packs up to this name are locked as of that beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saved {
    began_ms: i64,
    days: u32,
    through: String,
}

impl Repository {
    /// How long points are immutable; `None`: they are not.
    #[must_use]
    pub fn immutability(&self) -> Option<Immutability> {
        let promise = self.shared.objects.retention.promise()?;
        Some(Immutability {
            days: promise.days(),
            locked_ms: self.shared.view().state.locked_ms(),
        })
    }

    /// Sets for how many days points are immutable, and renews all locks for that. A shorter time holds for what is stored and
    /// renewed from now on: no lock is ever made shorter.
    ///
    /// # Errors
    /// Through the handle: `InvalidInput` for other than 1 to 3650 days; `Protocol` if the store does not keep a lock that one
    /// tries to break; those of [`Repository::renew_locks`]. If renewing fails, the new time holds; a later call or backup
    /// renews.
    ///
    /// # Cancellation
    /// Safe.
    pub fn set_immutable_days(&self, days: u32) -> Running<RenewReport> {
        let repository = self.clone();
        Running::start(move |reporter| async move {
            let promise = Promise::new(days)?;
            let shared = &repository.shared;
            prove(&shared.objects, &shared.env).await?;
            repository.refresh().await?;
            let view = shared.view();
            view.check_writable("its immutability cannot be changed")?;
            let config = shared.config.clone().with_immutable_days(Some(days));
            let bytes = config
                .to_bytes()
                .map_err(|error| format_error(paths::FORMAT, error))?;
            shared.objects.retention.set_promise(Some(promise));
            shared.objects.replace(paths::FORMAT, &bytes.into()).await?;
            repository.keep_locked(true, &reporter).await
        })
    }

    /// Renews the locks of everything that is not about to be removed, if that is due, or in any case with `force`.
    ///
    /// A backup does so at its end. It is due when something might be locked for a shorter time than a point of this moment
    /// is promised. One request for each object; how far it came is kept in the state outside the repository.
    ///
    /// # Errors
    /// Through the handle: `InvalidInput` if the repository is not immutable, or for this machine's clock if it is wrong;
    /// `Protocol` if the store has no locks; `PermissionMissing`; `Cancelled`; those of the store.
    ///
    /// # Cancellation
    /// Safe; a later call goes on.
    pub fn renew_locks(&self, force: bool) -> Running<RenewReport> {
        let repository = self.clone();
        Running::start(move |reporter| async move {
            if repository.shared.objects.retention.promise().is_none() {
                return Err(not_immutable());
            }
            repository.refresh().await?;
            repository.keep_locked(force, &reporter).await
        })
    }

    /// Looks at the lock of everything that is not about to be removed. One request for each object. Changes nothing.
    ///
    /// # Errors
    /// As [`Repository::renew_locks`].
    pub fn check_locks(&self) -> Running<LockReport> {
        let repository = self.clone();
        Running::start(move |reporter| async move { check(&repository.shared, &reporter).await })
    }

    /// As [`Repository::keep_locked`], at the end of work that stands whether or not it succeeds: a failure is a note.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) async fn keep_locked_or_note(&self, reporter: &Reporter) -> Result<()> {
        match self.keep_locked(false, reporter).await {
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                self.shared
                    .note(format!("locks that end soon were not renewed: {error}"));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// What locks the point that was just made; `None`: points are not immutable here. Renews locks if that is due.
    pub(crate) async fn lock_point(&self, point: &PointId, reporter: &Reporter) -> Option<PointLock> {
        let promise = self.shared.objects.retention.promise()?;
        let finished = self.shared.view().state.point(point)?.finished_ms;
        let until = DateTime::from_timestamp_millis(finished)? + promise.length();
        let (renewed, problem) = match self.keep_locked(false, reporter).await {
            Ok(report) => (report.renewed, None),
            Err(error) => (0, Some(error)),
        };
        Some(PointLock {
            until_ms: until.timestamp_millis(),
            renewed,
            problem,
        })
    }

    /// Renews locks if that is due. Nothing to do where nothing is promised.
    pub(crate) async fn keep_locked(&self, force: bool, reporter: &Reporter) -> Result<RenewReport> {
        let shared = &self.shared;
        let Some(promise) = shared.objects.retention.promise() else {
            return Ok(RenewReport::default());
        };
        let now = shared.env.clock.now();
        let known = shared.view().state.locked_ms();
        let due = known.is_none_or(|known| known < (now + promise.length()).timestamp_millis());
        if !due && !force {
            return Ok(RenewReport {
                locked_ms: known,
                ..RenewReport::default()
            });
        }
        renew(shared, promise, reporter).await
    }
}

/// Locks everything anew and commits until when.
async fn renew(shared: &Arc<Shared>, promise: Promise, reporter: &Reporter) -> Result<RenewReport> {
    reporter.phase("renew locks");
    shared.objects.compare_clocks().await?;
    let saved = load(shared, promise).await;
    let began = match &saved {
        Some(saved) => DateTime::from_timestamp_millis(saved.began_ms),
        None => None,
    }
    .unwrap_or_else(|| shared.env.clock.now());
    let until = began + promise.lock_length();
    let mut report = RenewReport {
        due: true,
        resumed: saved.is_some(),
        ..RenewReport::default()
    };
    // Then few commits are needed to know the state.
    shared.write_checkpoint().await;
    let through = saved.map(|saved| saved.through);
    let packs = packs(shared, through.as_deref()).await?;
    let mut renewing = stream::iter(packs)
        .map(|path| async move {
            reporter.check()?;
            let there = shared.objects.retain(&path, until).await?;
            Ok::<_, Error>((path, there))
        })
        .buffered(PARALLEL);
    while let Some((path, there)) = renewing.try_next().await? {
        count(&mut report, reporter, there);
        if (report.renewed + report.missing).is_multiple_of(SAVE_EVERY) {
            save(shared, promise, began, path).await;
        }
    }
    drop(renewing);
    for path in frame(shared).await? {
        reporter.check()?;
        let there = shared.objects.retain(&path, until).await?;
        count(&mut report, reporter, there);
    }
    // What others stored meanwhile is locked by their clock, which may differ from ours.
    let known = until - CLOCK_TOLERANCE - CLOCK_TOLERANCE;
    shared.objects.retention.renewed(began, known);
    shared.commit_if(|_| Ok(Some((Vec::new(), ())))).await?;
    forget(shared).await;
    report.locked_ms = shared.view().state.locked_ms();
    Ok(report)
}

fn count(report: &mut RenewReport, reporter: &Reporter, there: bool) {
    if there {
        report.renewed += 1;
    } else {
        report.missing += 1;
    }
    reporter.update(|progress| progress.items_done += 1);
}

/// Packs in the store behind this name, but for those that are about to be removed. Also what no commit announced yet: a run
/// may do so at any moment.
async fn packs(shared: &Arc<Shared>, after: Option<&str>) -> Result<Vec<String>> {
    let view = shared.view();
    let listed = shared.objects.list(paths::PACKS, after).await?;
    Ok(listed
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let name = path
                .rsplit('/')
                .next()
                .and_then(|name| name.parse::<PackId>().ok());
            name.is_some_and(|pack| !view.state.tombstones().contains_key(&pack))
        })
        .collect())
}

/// What is needed besides packs: configuration, key slots, index segments, the newest checkpoint and the commits from it on.
async fn frame(shared: &Arc<Shared>) -> Result<Vec<String>> {
    let mut paths_of = vec![paths::FORMAT.to_owned()];
    for folder in [paths::KEYS, paths::INDEX] {
        let listed = shared.objects.list(folder, None).await?;
        paths_of.extend(listed.into_iter().map(|(path, _)| path));
    }
    paths_of.retain(|path| !path.ends_with(".removing"));
    let checkpoints = shared.list_numbers(paths::CHECKPOINT, None).await?;
    let newest = checkpoints.last().copied();
    paths_of.extend(newest.map(paths::checkpoint));
    let before = newest.unwrap_or(1).saturating_sub(1);
    let after = (before > 0).then(|| paths::commit(before));
    for seq in shared.list_numbers(paths::LOG, after.as_deref()).await? {
        paths_of.push(paths::commit(seq));
    }
    Ok(paths_of)
}

/// See [`Repository::check_locks`].
async fn check(shared: &Arc<Shared>, reporter: &Reporter) -> Result<LockReport> {
    let promise = shared.objects.retention.promise().ok_or_else(not_immutable)?;
    shared.objects.need_locks()?;
    reporter.phase("look at locks");
    let view = shared.view();
    let newest = view.state.points().values().map(|point| point.finished_ms).max();
    let promised = newest
        .and_then(DateTime::from_timestamp_millis)
        .map(|time| time + promise.length())
        .filter(|until| *until > shared.env.clock.now());
    let mut report = LockReport {
        promised_ms: promised.map(|until| until.timestamp_millis()),
        ..LockReport::default()
    };
    let Some(promised) = promised else {
        return Ok(report);
    };
    let mut all = frame(shared).await?;
    // What no commit announced is nobody's promise.
    let indexed = |path: &String| {
        let name = path
            .rsplit('/')
            .next()
            .and_then(|name| name.parse::<PackId>().ok());
        name.is_some_and(|pack| shared.index().shows_pack(&pack))
    };
    all.extend(packs(shared, None).await?.into_iter().filter(indexed));
    let mut looking = stream::iter(all)
        .map(|path| async move {
            reporter.check()?;
            let until = shared.objects.locked_until(&path).await?;
            Ok::<_, Error>((path, until))
        })
        .buffered(PARALLEL);
    while let Some((path, until)) = looking.try_next().await? {
        report.objects += 1;
        reporter.update(|progress| progress.items_done += 1);
        // One that is gone is damage, which is not told here.
        let Some(until) = until else { continue };
        if until.is_none_or(|until| until < promised) {
            report.short += 1;
            if report.short_locks.len() < MAX_NAMED {
                report.short_locks.push(ShortLock {
                    object: path,
                    locked_ms: until.map(|until| until.timestamp_millis()),
                });
            }
        }
    }
    Ok(report)
}

fn key(shared: &Shared) -> String {
    format!("locks/{}", shared.config.id)
}

/// How far an interrupted renewal came, if it is still worth going on with.
async fn load(shared: &Shared, promise: Promise) -> Option<Saved> {
    let bytes = shared.env.state.get(&key(shared)).await.ok().flatten()?;
    let saved: Saved = serde_json::from_slice(&bytes).ok()?;
    let age = shared.env.clock.now() - DateTime::from_timestamp_millis(saved.began_ms)?;
    // Older, and it would be due again soon.
    let worth = (promise.lock_length() - promise.length()) / 2;
    (saved.days == promise.days() && age >= TimeDelta::zero() && age < worth).then_some(saved)
}

async fn save(shared: &Shared, promise: Promise, began: DateTime<Utc>, through: String) {
    let saved = Saved {
        began_ms: began.timestamp_millis(),
        days: promise.days(),
        through,
    };
    let Ok(bytes) = serde_json::to_vec(&saved) else {
        return;
    };
    if let Err(error) = shared.env.state.put(&key(shared), bytes.into()).await {
        tracing::debug!(%error, "how far the renewal of locks came could not be remembered");
    }
}

async fn forget(shared: &Shared) {
    if let Err(error) = shared.env.state.delete(&key(shared)).await {
        tracing::debug!(%error, "that the renewal of locks is done could not be remembered");
    }
}

fn not_immutable() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "this repository is not immutable: nothing in it is locked",
    )
}

/// Proves that the store keeps locks, by trying to break one: an object is stored locked, its lock is read back, made longer,
/// and neither a shorter lock nor the removal of the version may succeed. The object stays until its lock ends; it lies under
/// a name that nothing else has.
pub(super) async fn prove(objects: &Objects, env: &Environment) -> Result<()> {
    let locks = objects.need_locks()?;
    match locks.is_enabled().await {
        Ok(true) => {}
        Ok(false) => {
            return Err(unproven("the bucket was made without object lock").with_hint(
                "Make a bucket with object lock, which also keeps versions, and no retention of its own.",
            ));
        }
        Err(error) => {
            return Err(Error::new(
                ErrorKind::PermissionMissing,
                format!(
                    "whether the bucket has object lock cannot be read: {}",
                    crate::store::describe(&error)
                ),
            )
            .with_hint("Give this user the right to read the bucket's object lock configuration."));
        }
    }
    objects.compare_clocks().await?;
    let name = u128::from_le_bytes(random_bytes(&*env.rng)?);
    let path = format!("probe-lock-{name:032x}");
    let until = env.clock.now() + PROBE_LOCK;
    if objects.create_locked(&path, &b"locked"[..], until).await? != Put::Created {
        return Err(Error::internal("a new name that exists"));
    }
    let verdict = try_to_break(objects, &path, until).await;
    // Out of sight; what is locked stays below.
    if let Err(error) = objects.delete(&path).await {
        tracing::debug!(path, %error, "the probe stays in sight: it may not be removed");
    }
    verdict
}

async fn try_to_break(objects: &Objects, path: &str, until: DateTime<Utc>) -> Result<()> {
    match objects.locked_until(path).await? {
        Some(Some(found)) if found >= until => {}
        _ => return Err(unproven("an object that was stored with a lock has none")),
    }
    let longer = until + PROBE_LOCK;
    objects.retain(path, longer).await?;
    if !objects.refuses_shorter(path, until - PROBE_LOCK / 2).await?
        && objects.locked_until(path).await?.flatten() < Some(longer)
    {
        return Err(unproven("a lock could be made shorter"));
    }
    let versions = objects.versions(path).await?;
    let Some(version) = versions
        .iter()
        .find(|version| version.path == path && !version.marker)
    else {
        return Err(unproven("the bucket does not list the versions of objects"));
    };
    if objects.remove_version(path, &version.id).await? {
        return Err(unproven("a locked object could be removed"));
    }
    if objects.locked_until(path).await?.flatten() < Some(longer) {
        return Err(unproven("a locked object is gone after an attempt to remove it"));
    }
    Ok(())
}

fn unproven(what: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the store cannot make recovery points immutable: {what}"),
    )
    .with_hint("Use an S3 bucket with object lock in compliance mode.")
}
