//! Files that hold secrets and settings: reading them, and opening a repository with what they hold.
//!
//! A file that others may read is read all the same, with a [`Read::warning`] for whoever uses it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use nakivo_repo_format::{Passphrase, RecoveryKey, Secret};
use zeroize::Zeroizing;

use crate::director::RepositoryProvider;
use crate::error::{Error, ErrorKind, Result};
use crate::registry::Registration;
use crate::repository::{OpenOptions, Repository};
use crate::seams::Environment;
use crate::store::{StoreLocation, StoreSettings};

/// Longest first line of a passphrase file. A file without a line end within this length is none.
const MAX_LINE_BYTES: u64 = 4096;
/// Largest file of settings.
const MAX_SETTINGS_BYTES: u64 = 64 << 10;

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Read<T> {
    /// It.
    pub value: T,
    /// Why the file should be looked after: others can read it.
    pub warning: Option<String>,
}

impl<T> Read<T> {
    /// The same file, of which something else was made.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: make(self.value),
            warning: self.warning,
        }
    }
}

type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Who is told of files that others can read. By default nobody.
#[derive(Clone, Default)]
pub struct Warnings(Option<Tell>);

impl Warnings {
    /// Calls `tell` with each.
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// What a file holds, after its warning was told.
    pub fn pass<T>(&self, read: Read<T>) -> T {
        if let (Some(tell), Some(warning)) = (&self.0, &read.warning) {
            tell(warning);
        }
        read.value
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Warnings").field(&self.0.is_some()).finish()
    }
}

/// Opens repositories by the files that are known with them.
#[derive(Debug, Clone)]
pub struct FileRepositories {
    env: Environment,
    warnings: Warnings,
    hint: &'static str,
}

impl FileRepositories {
    /// Repositories on these seams. `hint` says where what a file of store settings holds is described.
    #[must_use]
    pub fn new(env: &Environment, warnings: Warnings, hint: &'static str) -> Self {
        Self {
            env: env.clone(),
            warnings,
            hint,
        }
    }
}

#[async_trait]
impl RepositoryProvider for FileRepositories {
    async fn open(&self, registration: &Registration) -> Result<Repository> {
        let secret = self.warnings.pass(registration.secret_files().read()?);
        let location = StoreLocation::parse(&registration.url)?;
        let settings = match &registration.store_config {
            Some(path) if location.needs_settings() => self.warnings.pass(store_settings(path, self.hint)?),
            _ => StoreSettings::default(),
        };
        let store = location.open_with(&settings).await?;
        let options = OpenOptions::default().with_secret(secret);
        let repository = Repository::open(store, options, self.env.clone()).await?;
        registration.check_identity(&repository)?;
        Ok(repository)
    }
}

/// Where a secret is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles {
    /// A file with a recovery key. It goes before a passphrase, because it opens faster.
    pub key_file: Option<PathBuf>,
    /// A file whose first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
}

impl SecretFiles {
    /// Reads the secret; `None` if no file is named.
    ///
    /// # Errors
    /// Those of [`key`] and [`passphrase`].
    pub fn read(&self) -> Result<Read<Option<Secret>>> {
        match (&self.key_file, &self.passphrase_file) {
            (Some(path), _) => Ok(key(path)?.map(|key| Some(key.into()))),
            (None, Some(path)) => Ok(passphrase(path)?.map(|passphrase| Some(passphrase.into()))),
            (None, None) => Ok(Read {
                value: None,
                warning: None,
            }),
        }
    }
}

/// Reads a recovery key as it was printed.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` if the file cannot be read; `InvalidInput` if it holds no recovery key: a
/// typing error is named by its group.
pub fn key(path: &Path) -> Result<Read<RecoveryKey>> {
    let hint = "Name a file that holds a recovery key as it was printed: 8 groups of 8 characters.";
    let read = read_bytes(path, "key file", hint, MAX_LINE_BYTES)?;
    let refused = |why: String| {
        let message = format!("key file '{}': {why}", path.display());
        Error::new(ErrorKind::InvalidInput, message).with_hint(hint)
    };
    if read.value.len() as u64 > MAX_LINE_BYTES {
        return Err(refused(format!("it is longer than {MAX_LINE_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&read.value).map_err(|_| refused("it is not UTF-8 text".to_owned()))?;
    let key = RecoveryKey::parse(text).map_err(|error| refused(error.to_string()))?;
    Ok(read.map(|_| key))
}

/// Reads the passphrase in the first line of a file.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` if the file cannot be read; `InvalidInput` if its first line is empty, too
/// long or not UTF-8.
pub fn passphrase(path: &Path) -> Result<Read<Passphrase>> {
    let shown = path.display();
    let hint = "Name a file whose first line is the passphrase.";
    let read = read_bytes(path, "passphrase file", hint, MAX_LINE_BYTES)?;
    let line = read.value.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let refused = |why: &str| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("passphrase file '{shown}': {why}"),
        )
        .with_hint("Write the passphrase into the first line of the file.")
    };
    if line.is_empty() {
        return Err(refused("its first line is empty"));
    }
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(refused("its first line is longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|_| refused("its first line is not UTF-8 text"))?;
    let passphrase = Passphrase::new(text);
    Ok(read.map(|_| passphrase))
}

/// Reads a file of settings as text. `what` says what it is, `hint` where it is described.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` if the file cannot be read; `InvalidInput` if it is larger than 64 KiB or no
/// UTF-8.
pub fn settings(path: &Path, what: &str, hint: &str) -> Result<Read<Zeroizing<String>>> {
    let shown = path.display();
    let refused =
        |why: &str| Error::new(ErrorKind::InvalidInput, format!("{what} '{shown}': {why}")).with_hint(hint);
    let read = read_bytes(path, what, hint, MAX_SETTINGS_BYTES)?;
    if read.value.len() as u64 > MAX_SETTINGS_BYTES {
        return Err(refused("larger than 64 KiB"));
    }
    let text = std::str::from_utf8(&read.value).map_err(|_| refused("it is not UTF-8 text"))?;
    let text = Zeroizing::new(text.to_owned());
    Ok(read.map(|_| text))
}

/// Reads the settings of a store. Files that they name are looked for beside the file. A warning only where the file itself holds
/// a secret.
///
/// # Errors
/// Those of [`settings`]; `InvalidInput` for what is not understood in it.
pub fn store_settings(path: &Path, hint: &str) -> Result<Read<StoreSettings>> {
    let read = settings(path, "store settings", hint)?;
    let found = StoreSettings::from_toml(&read.value)
        .map_err(|error| error.context(format!("file '{}'", path.display())))?;
    let warning = read.warning.filter(|_| found.holds_secret());
    Ok(Read {
        value: found.relative_to(path.parent().unwrap_or_else(|| Path::new(""))),
        warning,
    })
}

impl Registration {
    /// The files that its secret is in.
    #[must_use]
    pub fn secret_files(&self) -> SecretFiles {
        SecretFiles {
            key_file: self.key_file.clone(),
            passphrase_file: self.passphrase_file.clone(),
        }
    }

    /// Whether this is the repository that is known by the name.
    ///
    /// # Errors
    /// `Conflict` if it is another.
    pub fn check_identity(&self, repository: &Repository) -> Result<()> {
        if repository.id() == self.id {
            return Ok(());
        }
        let message = format!(
            "another repository is at the place of '{}': {}",
            self.name, self.url
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }
}

/// The bytes of a file, up to one more than are allowed.
fn read_bytes(path: &Path, what: &str, hint: &str, most: u64) -> Result<Read<Zeroizing<Vec<u8>>>> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{what} '{shown}': {error}")).with_hint(hint)
    };
    let file = File::open(path).map_err(failed)?;
    let warning = warning_if_shared(&file, path, what);
    // Grown as it is filled, a copy of a secret would stay behind.
    let mut value = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default() + 1));
    file.take(most + 1).read_to_end(&mut value).map_err(failed)?;
    Ok(Read { value, warning })
}

#[cfg(unix)]
fn warning_if_shared(file: &File, path: &Path, what: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().ok()?;
    let shared = metadata.is_file() && metadata.permissions().mode() & 0o077 != 0;
    let shown = path.display();
    shared.then(|| format!("{what} '{shown}' can be read by others; run: chmod 600 '{shown}'"))
}

#[cfg(not(unix))]
fn warning_if_shared(_file: &File, _path: &Path, _what: &str) -> Option<String> {
    None
}
