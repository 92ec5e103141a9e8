//! Where a repository's objects are kept, named by a URL.
//!
//! A repository works on any [`ObjectStore`]; this module turns what a user writes into one. Local directories are opened
//! with fsync on: `object_store` leaves it off, and then acknowledges what a power failure still takes away.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::error::{Error, ErrorKind, Result};

/// Name of the folder that holds a repository inside the place that the user names.
pub const FOLDER: &str = "NakivoBackup";

/// The place of a repository: today a local directory.
///
/// Written `file:/absolute/path`, `file:relative/path`, `file:///absolute/path`, or as a plain path that begins with `/`
/// or `.`. The repository lives in the folder `NakivoBackup` below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreLocation {
    directory: PathBuf,
}

impl StoreLocation {
    /// Reads a location.
    ///
    /// # Errors
    /// `InvalidInput` for a scheme that is not known (or not yet supported), or an empty path.
    pub fn parse(url: &str) -> Result<Self> {
        const ALLOWED: &str = "file:/absolute/path or file:relative/path";
        let path = if url.starts_with('/') || url.starts_with('.') {
            url
        } else {
            match url.split_once(':') {
                Some(("file", rest)) => match rest.strip_prefix("//") {
                    // A URL has a host before its path; the only host that means this machine is the empty one.
                    Some(with_host) => with_host
                        .strip_prefix("localhost")
                        .filter(|path| path.starts_with('/'))
                        .unwrap_or(with_host),
                    None => rest,
                },
                Some(("s3" | "az" | "azure" | "gs", _)) => {
                    return Err(Error::invalid("repository location", url, ALLOWED)
                        .with_hint("Object storage services are not supported yet; use a directory."));
                }
                _ => return Err(Error::invalid("repository location", url, ALLOWED)),
            }
        };
        if path.is_empty() || path.contains('\0') {
            return Err(Error::invalid("repository location", url, ALLOWED));
        }
        Ok(Self::directory(path))
    }

    /// The location of a local directory.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self {
            directory: path.into(),
        }
    }

    /// The directory that holds the repository's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Opens the store of an existing repository. Creates nothing, so that a disk that is not mounted is not mistaken for
    /// an empty one.
    ///
    /// # Errors
    /// `RepositoryMissing` if the folder is not there; `PermissionMissing` or `Unavailable` if it cannot be read.
    pub async fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        let folder = self.directory.join(FOLDER);
        let shown = self.to_string();
        blocking(move || match std::fs::metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => local(&folder, &shown),
            Ok(_) => Err(missing(&shown)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(&shown)),
            Err(error) => Err(io_error(&shown, error)),
        })
        .await
    }

    /// Opens the store for a new repository: makes the folder, and the directories above it, if they are missing.
    ///
    /// # Errors
    /// `PermissionMissing`, `StorageFull` or `Unavailable` if the folder cannot be made.
    pub async fn create(&self) -> Result<Arc<dyn ObjectStore>> {
        let folder = self.directory.join(FOLDER);
        let shown = self.to_string();
        blocking(move || {
            make_directories(&folder).map_err(|error| io_error(&shown, error))?;
            local(&folder, &shown)
        })
        .await
    }
}

impl FromStr for StoreLocation {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Self::parse(url)
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file:{}", self.directory.display())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("a blocking task ended abnormally: {error}")))?
}

fn local(folder: &Path, shown: &str) -> Result<Arc<dyn ObjectStore>> {
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| Error::new(ErrorKind::Unavailable, format!("{shown}: {error}")).with_source(error))?
        // Off by default in `object_store`: an acknowledged object must survive a power failure.
        .with_fsync(true);
    Ok(Arc::new(store))
}

/// Makes `folder` and what is missing above it, and makes each new entry durable in its parent.
fn make_directories(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(parent)?;
    }
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_directory(parent.unwrap_or_else(|| Path::new(".")))
}

/// Flushes a directory's entries, where the system lets a directory be opened.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        std::fs::File::open(directory)?.sync_all()
    } else {
        Ok(())
    }
}

fn missing(shown: &str) -> Error {
    Error::new(
        ErrorKind::RepositoryMissing,
        format!("{shown}: there is no folder '{FOLDER}' there"),
    )
    .with_hint("Check the location and that its disk is mounted, or create a repository there.")
}

/// The error of a local file operation.
pub(crate) fn io_error(what: &str, error: std::io::Error) -> Error {
    let kind = io_kind(&error).unwrap_or(ErrorKind::Unavailable);
    let hint = match kind {
        ErrorKind::StorageFull => Some("Free space on that disk, then run again."),
        ErrorKind::PermissionMissing => Some("Give this user the right to read and write there."),
        _ => None,
    };
    let result = Error::new(kind, format!("{what}: {error}")).with_source(error);
    match hint {
        Some(hint) => result.with_hint(hint),
        None => result,
    }
}

/// The kind that an operating system error stands for, where waiting does not help.
pub(crate) fn io_kind(error: &std::io::Error) -> Option<ErrorKind> {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Some(ErrorKind::StorageFull),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => Some(ErrorKind::PermissionMissing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_a_local_location() {
        for (text, path) in [
            ("file:/mnt/backup", "/mnt/backup"),
            ("file:///mnt/backup", "/mnt/backup"),
            ("file://localhost/mnt/backup", "/mnt/backup"),
            ("file:backup/here", "backup/here"),
            ("/mnt/backup", "/mnt/backup"),
            ("./backup", "./backup"),
        ] {
            assert_eq!(
                StoreLocation::parse(text).unwrap().path(),
                Path::new(path),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_other_schemes_and_names_what_is_allowed() {
        for text in [
            "",
            "file:",
            "s3:bucket/prefix",
            "ftp://host/x",
            "backup",
            "az:container",
        ] {
            let error = StoreLocation::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains("file:/absolute/path"), "{error}");
        }
    }

    #[tokio::test]
    async fn opening_creates_nothing_and_creating_does() {
        let place = tempfile::tempdir().unwrap();
        let location = StoreLocation::directory(place.path().join("deep/er"));
        assert_eq!(
            location.open().await.unwrap_err().kind(),
            ErrorKind::RepositoryMissing
        );
        assert!(!place.path().join("deep").exists());
        location.create().await.unwrap();
        assert!(place.path().join("deep/er").join(FOLDER).is_dir());
        location.open().await.unwrap();
    }
}
