//! Where a repository's objects are kept, named by a URL.
//!
//! A repository works on any [`ObjectStore`]; this module turns what a user writes into one. Local directories are opened
//! with fsync on: `object_store` leaves it off, and then acknowledges what a power failure still takes away. Buckets of
//! object stores come with the features `s3`, `azure` and `gcs`; without one its URLs are understood and refused.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "cloud")]
mod cloud;
#[cfg(feature = "cloud")]
mod http;
mod locks;
#[cfg(feature = "s3")]
mod s3_locks;
mod settings;

pub use locks::{ObjectLocks, ObjectVersion, RetainUntil, Store};
pub use settings::{AzureSettings, GcsSettings, S3Settings, Secret, StoreSettings};

/// Name of the folder that holds a repository inside the place that the user names.
pub const FOLDER: &str = "NakivoBackup";

const ALLOWED: &str = "file:/absolute/path, file:relative/path, s3:bucket/prefix, az:container/prefix, gs:bucket/prefix \
                       (each prefix may be absent), memory:";

/// A service that keeps objects in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    S3,
    Azure,
    Gcs,
}

impl Service {
    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "az",
            Self::Gcs => "gs",
        }
    }
}

/// The place of a repository: a directory, or a bucket of an object store.
///
/// | written | means |
/// | --- | --- |
/// | `file:/absolute/path`, `file:relative/path`, `file:///absolute/path`, or a path that begins with `/` or `.` | a directory |
/// | `s3:bucket`, `s3:bucket/prefix`, `s3://bucket/prefix` | Amazon S3 and what is compatible |
/// | `az:container/prefix` | Azure Blob Storage |
/// | `gs:bucket/prefix` | Google Cloud Storage |
/// | `memory:` | this value and its clones, gone with them: for tests |
///
/// The repository lives in the folder `NakivoBackup` below it. Endpoint and credential are never in the URL: they are
/// [`StoreSettings`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreLocation {
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Directory(PathBuf),
    Memory(Memory),
    Bucket {
        service: Service,
        bucket: String,
        /// Without slashes at its ends; may be empty.
        prefix: String,
    },
}

/// A store in memory; equal only to itself.
#[derive(Debug, Clone)]
struct Memory(Arc<InMemory>);

impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Memory {}

impl std::hash::Hash for Memory {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

impl StoreLocation {
    /// Reads a location.
    ///
    /// # Errors
    /// `InvalidInput` for a scheme that is not known, an empty path, a missing bucket, or a bucket or prefix that no
    /// service takes.
    pub fn parse(url: &str) -> Result<Self> {
        let refuse = || Error::invalid("repository location", printable(url), ALLOWED);
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
                Some(("memory", "")) => return Ok(Self::memory()),
                Some(("s3", rest)) => return Self::bucket(Service::S3, url, rest),
                Some(("az", rest)) => return Self::bucket(Service::Azure, url, rest),
                Some(("gs", rest)) => return Self::bucket(Service::Gcs, url, rest),
                _ => return Err(refuse()),
            }
        };
        if path.is_empty() || path.contains('\0') {
            return Err(refuse());
        }
        Ok(Self::directory(path))
    }

    fn bucket(service: Service, url: &str, rest: &str) -> Result<Self> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !(3..=222).contains(&bucket.len())
            || !bucket
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            || !edge(bucket.bytes().next())
            || !edge(bucket.bytes().next_back())
            || bucket.contains("..")
        {
            let what = if bucket.is_empty() {
                "bucket or container is missing in repository location"
            } else {
                "bucket or container in repository location"
            };
            return Err(Error::invalid(
                what,
                printable(url),
                "3 to 222 letters, digits, '-', '.' and '_', a letter or digit at both ends; then /prefix if wanted",
            ));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if prefix.len() > 512
            || !object_store::path::Path::parse(prefix).is_ok_and(|path| path.as_ref() == prefix)
        {
            return Err(Error::invalid(
                "prefix in repository location",
                printable(url),
                "names separated by single slashes, none of them '.' or '..', without control characters, '*' and the \
                 like, 512 bytes at most",
            ));
        }
        Ok(Self {
            place: Place::Bucket {
                service,
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            },
        })
    }

    /// The location of a local directory.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Directory(path.into()),
        }
    }

    /// A new, empty store in memory. It lives as long as this value, its clones and what was opened of them.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            place: Place::Memory(Memory(Arc::default())),
        }
    }

    /// The directory that holds the repository's folder, if it is a local one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory(directory) => Some(directory),
            Place::Memory(_) | Place::Bucket { .. } => None,
        }
    }

    /// Whether it is gone with the process.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Whether opening it takes [`StoreSettings`].
    #[must_use]
    pub fn needs_settings(&self) -> bool {
        matches!(self.place, Place::Bucket { .. })
    }

    /// As [`Self::open_with`], for a location that needs no settings.
    ///
    /// # Errors
    /// Those of [`Self::open_with`].
    pub async fn open(&self) -> Result<Store> {
        self.open_with(&StoreSettings::default()).await
    }

    /// As [`Self::create_with`], for a location that needs no settings.
    ///
    /// # Errors
    /// Those of [`Self::create_with`].
    pub async fn create(&self) -> Result<Store> {
        self.create_with(&StoreSettings::default()).await
    }

    /// Opens the store of an existing repository. Creates nothing, so that a disk that is not mounted is not mistaken for
    /// an empty one. A bucket is asked for a list, so that a wrong endpoint or credential is told apart from no repository.
    ///
    /// # Errors
    /// `RepositoryMissing` if the folder is not there; `PermissionMissing` or `Unavailable` if it cannot be read. For a
    /// bucket: `InvalidInput` for settings that are missing or wrong, by name; `NotFound` if there is no such bucket or no
    /// file that the settings name; `Unauthorized` if the credential is refused.
    pub async fn open_with(&self, settings: &StoreSettings) -> Result<Store> {
        let shown = self.to_string();
        match &self.place {
            Place::Directory(directory) => {
                let folder = directory.join(FOLDER);
                blocking(move || match std::fs::metadata(&folder) {
                    Ok(metadata) if metadata.is_dir() => local(&folder, &shown),
                    Ok(_) => Err(missing(&shown)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(&shown)),
                    Err(error) => Err(io_error(&shown, error)),
                })
                .await
            }
            Place::Memory(memory) => Ok(Store::from(Arc::new(object_store::prefix::PrefixStore::new(
                Arc::clone(&memory.0) as Arc<dyn ObjectStore>,
                FOLDER,
            )))),
            Place::Bucket {
                service,
                bucket,
                prefix,
            } => open_bucket(*service, bucket, prefix, shown, settings).await,
        }
    }

    /// Opens the store for a new repository: makes the folder, and the directories above it, if they are missing. A bucket
    /// must exist.
    ///
    /// # Errors
    /// `PermissionMissing`, `StorageFull` or `Unavailable` if the folder cannot be made; for a bucket those of
    /// [`Self::open_with`].
    pub async fn create_with(&self, settings: &StoreSettings) -> Result<Store> {
        let Place::Directory(directory) = &self.place else {
            return self.open_with(settings).await;
        };
        let folder = directory.join(FOLDER);
        let shown = self.to_string();
        blocking(move || {
            make_directories(&folder).map_err(|error| io_error(&shown, error))?;
            local(&folder, &shown)
        })
        .await
    }
}

#[cfg(feature = "cloud")]
async fn open_bucket(
    service: Service,
    bucket: &str,
    prefix: &str,
    shown: String,
    settings: &StoreSettings,
) -> Result<Store> {
    let (name, settings) = (bucket.to_owned(), settings.clone());
    let folder = match prefix {
        "" => format!("{FOLDER}/"),
        prefix => format!("{prefix}/{FOLDER}/"),
    };
    let (client, locks) = blocking(move || cloud::client(service, &name, &folder, &settings)).await?;
    let outer = Arc::new(object_store::prefix::PrefixStore::new(client, prefix));
    cloud::reach(&*outer, &shown).await?;
    let store = Store::from(Arc::new(object_store::prefix::PrefixStore::new(
        outer as Arc<dyn ObjectStore>,
        FOLDER,
    )));
    Ok(match locks {
        Some(locks) => store.with_locks(locks),
        None => store,
    })
}

#[cfg(not(feature = "cloud"))]
#[allow(clippy::unused_async, reason = "its other form waits")]
async fn open_bucket(
    service: Service,
    _bucket: &str,
    _prefix: &str,
    _shown: String,
    _settings: &StoreSettings,
) -> Result<Store> {
    Err(not_built(service))
}

fn not_built(service: Service) -> Error {
    let feature = match service {
        Service::S3 => "s3",
        Service::Azure => "azure",
        Service::Gcs => "gcs",
    };
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "repository location: '{}:' is not supported by this build",
            service.scheme()
        ),
    )
    .with_hint(format!("Build with the feature '{feature}'."))
}

/// What may be shown of a location that was refused: some write credentials into it.
fn printable(url: &str) -> String {
    if url.contains(['@', '?']) {
        format!(
            "{}...",
            url.split_once(':')
                .map_or(String::new(), |(scheme, _)| format!("{scheme}:"))
        )
    } else {
        url.to_owned()
    }
}

/// What a service answered, on one line: of an XML answer its code and its message.
pub(crate) fn describe(error: &object_store::Error) -> String {
    const LONGEST: usize = 400;
    let text = error.to_string();
    let text = match code(&text) {
        Some(code) => {
            let before = ["<?xml", "<Error"]
                .iter()
                .filter_map(|start| text.find(start))
                .min()
                .unwrap_or_default();
            let message = element(&text, "Message").unwrap_or_default();
            format!("{}{code}: {message}", &text[..before])
        }
        None => text,
    };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(at);
        line.push_str("...");
    }
    line
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>"))
        .map(|(inner, _)| inner.trim())
}

fn code(text: &str) -> Option<&str> {
    element(text, "Code")
        .filter(|code| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The kind that the code in a service's answer stands for, where waiting does not help.
pub(crate) fn service_kind(error: &object_store::Error) -> Option<ErrorKind> {
    let text = error.to_string();
    if text.contains("\"invalid_grant\"") || text.contains("\"invalid_client\"") {
        return Some(ErrorKind::Unauthorized);
    }
    if text.contains("redirect without LOCATION") {
        return Some(ErrorKind::InvalidInput);
    }
    match code(&text)? {
        "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "InvalidSecurity"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "RequestTimeTooSkewed"
        | "AuthenticationFailed"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "AccountIsDisabled" => Some(ErrorKind::Unauthorized),
        // Azure means a right that is missing; its emulator, a signature that is wrong.
        "AuthorizationFailure" if text.contains("failed to authenticate") => Some(ErrorKind::Unauthorized),
        "AccessDenied"
        | "AllAccessDisabled"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "InsufficientAccountPermissions" => Some(ErrorKind::PermissionMissing),
        "NoSuchBucket" | "ContainerNotFound" | "ResourceNotFound" => Some(ErrorKind::NotFound),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "InvalidBucketName" => {
            Some(ErrorKind::InvalidInput)
        }
        "QuotaExceeded" => Some(ErrorKind::StorageFull),
        _ => None,
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
        match &self.place {
            Place::Directory(directory) => write!(f, "file:{}", directory.display()),
            Place::Memory(_) => f.write_str("memory:"),
            Place::Bucket {
                service,
                bucket,
                prefix,
            } => {
                write!(f, "{}:{bucket}", service.scheme())?;
                if prefix.is_empty() {
                    Ok(())
                } else {
                    write!(f, "/{prefix}")
                }
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("a blocking task ended abnormally: {error}")))?
}

fn local(folder: &Path, shown: &str) -> Result<Store> {
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| Error::new(ErrorKind::Unavailable, format!("{shown}: {error}")).with_source(error))?
        // Off by default in `object_store`: an acknowledged object must survive a power failure.
        .with_fsync(true);
    Ok(Arc::new(store).into())
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
                Some(Path::new(path)),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_buckets_and_prints_them_in_one_form() {
        for (text, shown) in [
            ("s3:bucket", "s3:bucket"),
            ("s3:bucket/", "s3:bucket"),
            ("s3://my.bucket-1/a/b/", "s3:my.bucket-1/a/b"),
            ("az:container/pre fix", "az:container/pre fix"),
            ("gs:bucket/x", "gs:bucket/x"),
        ] {
            let location = StoreLocation::parse(text).unwrap();
            assert_eq!(location.to_string(), shown, "{text}");
            assert_eq!(StoreLocation::parse(shown).unwrap(), location);
            assert!(location.needs_settings() && location.path().is_none());
        }
    }

    #[test]
    fn refuses_other_schemes_and_names_what_is_allowed() {
        for text in [
            "",
            "file:",
            "ftp://host/x",
            "backup",
            "memory:x",
            "S3:bucket",
            "azure:container",
        ] {
            let error = StoreLocation::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(
                error.message().contains("file:/absolute/path") && error.message().contains("gs:bucket"),
                "{error}"
            );
        }
    }

    #[test]
    fn refuses_buckets_and_prefixes_that_no_service_takes() {
        for (text, word) in [
            ("s3:", "is missing"),
            ("az:/prefix", "is missing"),
            ("gs://", "is missing"),
            ("s3:ab", "bucket"),
            ("s3:-bucket", "bucket"),
            ("s3:buck..et", "bucket"),
            ("az:böcket", "container"),
            ("s3:bucket/a//b", "prefix"),
            ("s3:bucket/../b", "prefix"),
            ("s3:bucket/a\nb", "prefix"),
        ] {
            let error = StoreLocation::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains(word), "{error}");
        }
    }

    #[test]
    fn a_credential_in_a_url_is_not_repeated() {
        for text in [
            "s3:key:hunter2@bucket/x",
            "s3://key:hunter2@bucket",
            "ftp://me:hunter2@host",
            "az:container?sig=hunter2",
        ] {
            let error = StoreLocation::parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn memory_is_shared_by_clones_only() {
        use object_store::ObjectStoreExt as _;
        let location = StoreLocation::parse("memory:").unwrap();
        let path = object_store::path::Path::from("x");
        location
            .create()
            .await
            .unwrap()
            .put(&path, "1".into())
            .await
            .unwrap();
        location.clone().open().await.unwrap().head(&path).await.unwrap();
        assert_ne!(location, StoreLocation::memory());
    }

    #[test]
    fn an_answer_in_xml_is_told_in_one_line() {
        let error = |text: &str| object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        };
        let answer = error(
            "Error performing GET - 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\n<Message>No\nmatch</Message><StringToSign>x</StringToSign></Error>",
        );
        assert_eq!(service_kind(&answer), Some(ErrorKind::Unauthorized));
        let line = describe(&answer);
        assert!(
            line.ends_with("403 Forbidden: SignatureDoesNotMatch: No match"),
            "{line}"
        );
        assert_eq!(
            service_kind(&error("nothing of that kind <Code>SlowDown</Code>")),
            None
        );
        assert!(describe(&error(&"é".repeat(1000))).chars().count() < 420);
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
