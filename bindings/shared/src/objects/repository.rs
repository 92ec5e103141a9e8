//! Repositories.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nakivo_core::access::{SecretFiles, store_settings};
use nakivo_core::format::{Manifest, Passphrase, RecoveryKey, Secret};
use nakivo_core::repository as core;
use nakivo_core::seams::Environment;
use nakivo_core::state::{FileState, MemoryState, StateStore};
use nakivo_core::store::{StoreLocation, StoreSettings};
use nakivo_core::{Error, ErrorKind};

use super::{Point, VerifyRun};
use crate::NakivoError;
use crate::types::{
    CreateOptions, ObjectInfo, OpenOptions, PointInfo, RepositoryInfo, To as _, VerifyOptions,
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
            Ok(points.map(|point| self.described(point)).collect())
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
    }
}

impl Repository {
    /// A point with what is known to be damaged of it.
    pub(crate) fn described(&self, point: Manifest) -> PointInfo {
        let damage = self.0.point_damage(&point.id);
        PointInfo::of(point, damage.as_ref())
    }
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
