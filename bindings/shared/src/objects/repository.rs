//! Repositories.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nakivo_core::access::{SecretFiles, store_settings};
use nakivo_core::format::{ObjectId, Passphrase, RecoveryKey, Secret};
use nakivo_core::repository as core;
use nakivo_core::retention::{Calendar, RetentionPolicy};
use nakivo_core::seams::{Environment, random_bytes};
use nakivo_core::state::{FileState, MemoryState, StateStore};
use nakivo_core::store::{StoreLocation, StoreSettings};
use nakivo_core::{Error, ErrorKind, copy};

use super::{CopyRun, HealRun, LockRun, Point, ReclaimRun, RenewRun, Source, UnhideRun, VerifyRun};
use crate::NakivoError;
use crate::types::{
    CopiedPoint, CopyOptions, CreateOptions, DeletedPoints, HealOptions, Keep, KeySlot, KeySlots, NewKey,
    ObjectInfo, OpenOptions, PointFilter, PointInfo, Protection, ReclaimOptions, RepositoryInfo, Retention,
    RotateOptions, RotateReport, To as _, UnhideOptions, VerifyOptions,
};

/// A repository: where recovery points live.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Repository(pub(crate) core::Repository);

/// The seams of this process, with what is remembered between processes.
pub(crate) fn environment(state_dir: Option<&str>) -> Environment {
    let state: Arc<dyn StateStore> = match state_dir {
        Some(directory) => Arc::new(FileState::new(directory)),
        None => Arc::new(MemoryState::default()),
    };
    Environment::system(state)
}

/// The one secret that is given, if any is.
fn secret(
    passphrase: Option<String>,
    key: Option<String>,
    passphrase_file: Option<String>,
    key_file: Option<String>,
) -> Result<Option<Secret>, NakivoError> {
    let given = [&passphrase, &key, &passphrase_file, &key_file];
    if given.into_iter().flatten().count() > 1 {
        let message =
            "passphrase, key, passphrase_file and key_file: several are given; allowed: at most one";
        return Err(Error::new(ErrorKind::InvalidInput, message).into());
    }
    if let Some(passphrase) = passphrase {
        return Ok(Some(Passphrase::new(&passphrase).into()));
    }
    if let Some(key) = key {
        let key = RecoveryKey::parse(&key).map_err(|error| NakivoError::unfit("key", &error.to_string()))?;
        return Ok(Some(key.into()));
    }
    let files = SecretFiles {
        key_file: key_file.map(PathBuf::from),
        passphrase_file: passphrase_file.map(PathBuf::from),
    };
    Ok(files.read()?.value)
}

/// The place that a URL names, and what opening it takes.
pub(crate) fn locate(
    url: &str,
    store_config: Option<&str>,
) -> Result<(StoreLocation, StoreSettings), NakivoError> {
    let location = StoreLocation::parse(url)?;
    let hint = "Name a file of store settings with store_config.";
    let settings = match store_config {
        Some(path) => store_settings(path.as_ref(), hint)?.value,
        None if location.needs_settings() => {
            let message = format!("store_config: '{url}' needs one and none is given");
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_hint(hint)
                .into());
        }
        None => StoreSettings::default(),
    };
    Ok((location, settings))
}

class! {
    /// A repository: where recovery points live.
    Repository
    constructors {
        /// Opens the repository at `url`: `file:` and a path, `s3:bucket/prefix`, `az:container/prefix` or `gs:bucket/prefix`.
        fn open(url: String, options: OpenOptions) {
            let OpenOptions { passphrase, key, passphrase_file, key_file, store_config, state_dir, accept_history, cache_bytes } = options;
            let secret = secret(passphrase, key, passphrase_file, key_file)?;
            let (location, settings) = locate(&url, store_config.as_deref())?;
            let store = location.open_with(&settings).await?;
            let mut options = core::OpenOptions::default().with_secret(secret).with_accept_history(accept_history);
            if let Some(bytes) = cache_bytes {
                options = options.with_cache_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            let opened = core::Repository::open(store, options, environment(state_dir.as_deref())).await?;
            Ok(Arc::new(Self(opened)))
        }

        /// Makes a repository at `url` and opens it. Nothing may be there yet.
        fn create(url: String, options: CreateOptions) {
            let CreateOptions { passphrase, key, passphrase_file, key_file, unencrypted, store_config, state_dir, compression, description, immutable_days } = options;
            let secret = secret(passphrase, key, passphrase_file, key_file)?;
            protected(secret.is_some(), unencrypted)?;
            let (location, settings) = locate(&url, store_config.as_deref())?;
            let mut options = secret.map_or_else(core::CreateOptions::unencrypted, core::CreateOptions::encrypted)
                .with_description(description.unwrap_or_default())
                .with_immutable_days(immutable_days);
            if let Some(compression) = compression {
                options = options.with_compression(compression.to());
            }
            let store = location.create_with(&settings).await?;
            let made = core::Repository::create(store, options, environment(state_dir.as_deref())).await?;
            Ok(Arc::new(Self(made)))
        }
    }
    methods {
        /// Its figures.
        fn info(&self) -> RepositoryInfo {
            Ok(self.0.info().await?.to())
        }

        /// Looks at what others committed since.
        fn refresh(&self) {
            Ok(self.0.refresh().await?)
        }

        /// The protected objects.
        fn objects(&self) -> Vec<ObjectInfo> {
            Ok(self.0.objects().into_iter().map(|summary| summary.object.to()).collect())
        }

        /// The protected object with this name, address or id.
        fn object(&self, name: String) -> ObjectInfo {
            Ok(self.0.find_object(&name)?.to())
        }

        /// The recovery points of an object, oldest first. `object` is its name, address or id.
        fn points(&self, object: String) -> Vec<PointInfo> {
            let object = self.0.find_object(&object)?;
            let points = self.0.points(&object.id).into_iter();
            Ok(points.map(|point| PointInfo::of(&self.0, point)).collect())
        }

        /// The recovery points of all objects, in the order of their commits.
        fn all_points(&self) -> Vec<PointInfo> {
            let points = self.0.all_points().into_iter();
            Ok(points.map(|point| PointInfo::of(&self.0, point)).collect())
        }

        /// A recovery point, to look into: `latest`, or its id or the beginning of it.
        fn point(&self, object: String, point: String) -> Arc<Point> {
            let object = self.0.find_object(&object)?;
            let manifest = self.0.point(&object.id, &point.parse()?)?;
            Ok(Point::of(&self.0, manifest))
        }

        /// Verifies the repository. Damage is no error: it is what the report is for.
        fn verify(&self, options: VerifyOptions) -> Arc<VerifyRun> {
            let VerifyOptions { sample_percent, seed, object, point, skip_content_hashes, record, resume, max_seconds } = options;
            let mut wanted = core::VerifyOptions::default()
                .with_skip_content_hashes(skip_content_hashes)
                .with_record(record)
                .with_resume(resume)
                .with_max_duration(seconds("max_seconds", max_seconds)?);
            wanted.sample_percent = sample_percent;
            wanted.seed = seed;
            wanted.object = object.map(|name| self.0.find_object(&name)).transpose()?.map(|object| object.id);
            wanted.point = point.map(|digits| self.0.point_by_id(&digits)).transpose()?.map(|point| point.id);
            Ok(VerifyRun::of(self.0.verify(wanted)))
        }

        /// Sets how long a point is kept, whatever retention says. `point` is its id or the beginning of it.
        fn protect(&self, point: String, protection: Protection) {
            let point = self.0.point_by_id(&point)?.id;
            self.0.protect_point(point, protection.try_into()?).await?;
            Ok(())
        }

        /// Notes something about a point; nothing takes the note away.
        fn describe(&self, point: String, description: Option<String>) {
            let point = self.0.point_by_id(&point)?.id;
            self.0.describe_point(point, description).await?;
            Ok(())
        }

        /// Deletes recovery points, or says which would go.
        fn delete_points(&self, filter: PointFilter) -> DeletedPoints {
            let PointFilter { points, object, not_of, older_than, all_but_latest, damaged, preview, reason } = filter;
            let mut wanted = core::PointFilter::default();
            if !points.is_empty() {
                let ids: Result<Vec<_>, _> = points.iter().map(|digits| self.0.point_by_id(digits).map(|point| point.id)).collect();
                wanted = wanted.with_points(ids?);
            }
            if let Some(name) = object {
                wanted = wanted.with_object(self.0.find_object(&name)?.id);
            }
            if let Some(names) = not_of {
                wanted = wanted.with_not_of(self.object_ids(&names)?);
            }
            if let Some(time) = older_than {
                wanted = wanted.with_older_than(time.0);
            }
            if all_but_latest {
                wanted = wanted.with_all_but_latest();
            }
            if damaged {
                wanted = wanted.with_damaged();
            }
            let reason = reason.unwrap_or_else(|| "asked for".to_owned());
            Ok(self.0.delete_points(&wanted, &reason, preview).await?.to())
        }

        /// Says which recovery points of an object stay by these rules, why and until when. Removes nothing.
        fn plan_retention(&self, object: String, keep: Keep) -> Retention {
            let object = self.0.find_object(&object)?.id;
            let (policy, calendar) = rules(keep)?;
            Ok(self.0.plan_retention(&object, &policy, &calendar)?.to())
        }

        /// Removes the recovery points of an object that nothing keeps.
        fn apply_retention(&self, object: String, keep: Keep) -> Retention {
            let object = self.0.find_object(&object)?.id;
            let (policy, calendar) = rules(keep)?;
            Ok(self.0.apply_retention(&object, &policy, &calendar).await?.to())
        }

        /// Frees what no recovery point needs.
        fn reclaim(&self, options: ReclaimOptions) -> Arc<ReclaimRun> {
            Ok(ReclaimRun::of(self.0.reclaim(reclaimed(&options)?)))
        }

        /// Writes anew what is sealed in older epochs of the keys, after they were rotated.
        fn reencrypt(&self, options: ReclaimOptions) -> Arc<ReclaimRun> {
            Ok(ReclaimRun::of(self.0.reencrypt(reclaimed(&options)?)))
        }

        /// Repairs what can be repaired: index and checkpoints from the packs; damaged content from another repository or from
        /// the source, where they are given and still have it.
        fn heal(&self, options: HealOptions, repository: Option<Arc<Repository>>, source: Option<Arc<Source>>) -> Arc<HealRun> {
            let mut wanted = core::HealOptions::default().with_preview(options.preview);
            if let Some(other) = repository {
                wanted = wanted.with_source(Arc::new(core::RepositorySource::new(other.0.clone())));
            }
            if let Some(source) = source {
                wanted = wanted.with_source(Arc::new(core::ConnectorSource::new(source.connector())));
            }
            Ok(HealRun::of(self.0.heal(wanted)))
        }

        /// Says what copying into another repository would do.
        fn plan_copy(&self, target: Arc<Repository>, options: CopyOptions) -> Vec<CopiedPoint> {
            let options = self.copied(&options)?;
            Ok(copy::plan(&self.0, &target.0, &options).await?.to())
        }

        /// Copies recovery points into another repository. What is there already is not copied again.
        fn copy_to(&self, target: Arc<Repository>, options: CopyOptions) -> Arc<CopyRun> {
            Ok(CopyRun::of(copy::start(&self.0, &target.0, self.copied(&options)?)))
        }

        /// What opens this repository.
        fn keys(&self) -> KeySlots {
            Ok(self.0.key_slots().await?.to())
        }

        /// Lets a further passphrase open it.
        fn add_passphrase(&self, passphrase: String, label: Option<String>) -> KeySlot {
            let options = core::SlotOptions::default().with_label(label.unwrap_or_default());
            Ok(self.0.add_key_slot(Passphrase::new(&passphrase).into(), options).await?.to())
        }

        /// Makes a recovery key that opens it, to be printed.
        fn add_recovery_key(&self, label: Option<String>) -> NewKey {
            let key = RecoveryKey::from_random(random_bytes(&*self.0.environment().rng)?);
            let options = core::SlotOptions::default().with_label(label.unwrap_or_default());
            let printed = key.to_text().to_string();
            let slot = self.0.add_key_slot(key.into(), options).await?.to();
            Ok(NewKey { key: printed, slot })
        }

        /// Puts another passphrase in the place of the passphrase or key that it was opened with. No data is written anew.
        fn change_passphrase(&self, passphrase: String) -> KeySlot {
            let options = core::SlotOptions::default();
            Ok(self.0.change_secret(Passphrase::new(&passphrase).into(), options).await?.to())
        }

        /// Removes a key slot, by its whole id. The last one stays.
        fn remove_key(&self, id: String) -> KeySlot {
            let id = id.parse().map_err(|_| NakivoError::invalid("id", &id, "16 hexadecimal digits"))?;
            Ok(self.0.remove_key_slot(&id).await?.to())
        }

        /// Seals new data with new keys. `reclaim` with `reencrypt` writes the old data anew.
        fn rotate_keys(&self, options: RotateOptions) -> RotateReport {
            let RotateOptions { keep_passphrases, keep_keys, drop_others } = options;
            let mut wanted = core::RotateOptions::default().with_drop_others(drop_others);
            for passphrase in keep_passphrases {
                wanted = wanted.with_kept(Passphrase::new(&passphrase));
            }
            for key in keep_keys {
                let key = RecoveryKey::parse(&key).map_err(|error| NakivoError::unfit("keep_keys", &error.to_string()))?;
                wanted = wanted.with_kept(key);
            }
            Ok(self.0.rotate_keys(wanted).await?.to())
        }

        /// Brings back what somebody deleted of this repository, in a bucket that keeps versions.
        fn unhide(&self, options: UnhideOptions) -> Arc<UnhideRun> {
            let options = core::UnhideOptions::default()
                .with_keys(options.keys)
                .with_preview(options.preview);
            Ok(UnhideRun::of(self.0.unhide(options)))
        }

        /// Sets for how many days points of this repository cannot be removed by anybody.
        fn set_immutable_days(&self, days: u32) -> Arc<RenewRun> {
            Ok(RenewRun::of(self.0.set_immutable_days(days)))
        }

        /// Extends the locks of what points need. `force`: also where it is not due.
        fn renew_locks(&self, force: bool) -> Arc<RenewRun> {
            Ok(RenewRun::of(self.0.renew_locks(force)))
        }

        /// Looks whether everything is locked for as long as it was promised.
        fn check_locks(&self) -> Arc<LockRun> {
            Ok(LockRun::of(self.0.check_locks()))
        }
    }
}

impl Repository {
    fn object_ids(&self, names: &[String]) -> Result<Vec<ObjectId>, NakivoError> {
        let ids: nakivo_core::Result<Vec<_>> = names
            .iter()
            .map(|name| self.0.find_object(name).map(|object| object.id))
            .collect();
        Ok(ids?)
    }

    fn copied(&self, options: &CopyOptions) -> Result<copy::CopyOptions, NakivoError> {
        let points: nakivo_core::Result<Vec<_>> = options
            .points
            .iter()
            .map(|digits| self.0.point_by_id(digits).map(|point| point.id))
            .collect();
        Ok(copy::CopyOptions::default()
            .with_objects(self.object_ids(&options.objects)?)
            .with_points(points?)
            .with_late(options.late))
    }
}

/// How space is reclaimed.
fn reclaimed(options: &ReclaimOptions) -> Result<core::ReclaimOptions, NakivoError> {
    let mut wanted = core::ReclaimOptions::default()
        .with_reencrypt(options.reencrypt)
        .with_preview(options.preview);
    if let Some(percent) = options.rewrite_below_percent {
        wanted = wanted.with_rewrite_below_percent(percent);
    }
    if let Some(grace) = seconds("grace_seconds", options.grace_seconds)? {
        wanted = wanted.with_grace(grace);
    }
    Ok(wanted)
}

/// Rules of retention, and whose days count.
fn rules(keep: Keep) -> Result<(RetentionPolicy, Calendar), NakivoError> {
    let Keep {
        last,
        daily,
        weekly,
        monthly,
        yearly,
        zone,
        week_start,
    } = keep;
    let policy = RetentionPolicy {
        last,
        daily,
        weekly,
        monthly,
        yearly,
    };
    let mut calendar = Calendar::default();
    if let Some(zone) = zone {
        calendar.zone = zone
            .parse()
            .map_err(|_| NakivoError::invalid("zone", &zone, "an IANA name such as Europe/Berlin"))?;
    }
    if let Some(day) = week_start {
        calendar.first_day_of_week = day
            .parse()
            .map_err(|_| NakivoError::invalid("week_start", &day, "monday to sunday"))?;
    }
    Ok((policy, calendar))
}

/// Whether it is said how a repository is protected.
fn protected(by_a_secret: bool, unencrypted: bool) -> Result<(), NakivoError> {
    if by_a_secret != unencrypted {
        return Ok(());
    }
    let message = if by_a_secret {
        "unencrypted: 'true' is not allowed beside a passphrase or a key"
    } else {
        "passphrase: none is given"
    };
    let hint = "Give a passphrase or a key, or say unencrypted.";
    Err(Error::new(ErrorKind::InvalidInput, message)
        .with_hint(hint)
        .into())
}

/// A time that a caller gave in seconds.
pub(crate) fn seconds(field: &str, seconds: Option<f64>) -> Result<Option<Duration>, NakivoError> {
    let Some(seconds) = seconds else { return Ok(None) };
    Duration::try_from_secs_f64(seconds)
        .map(Some)
        .map_err(|_| NakivoError::invalid(field, &seconds.to_string(), "0 and more seconds"))
}
