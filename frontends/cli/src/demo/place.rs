//! Where a demo keeps its files: a temporary folder, or one that the user names.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use nakivo_core::seams::{Rng, random_bytes};
use nakivo_core::{Error, ErrorKind, Result};
use tempfile::TempDir;

/// Marks a folder as made by a demo, so that a later one may replace what is in it.
const MARKER: &str = ".nakivo-demo";
/// What a demo makes in its folder, besides the marker.
const OURS: [&str; 3] = ["vault", "state", "passphrase.txt"];

/// The folder of one demo.
#[derive(Debug)]
pub(super) struct Place {
    kept: Option<PathBuf>,
    scratch: TempDir,
}

impl Place {
    /// Prepares the folder: `dir`, which must be empty, absent or of an earlier demo, or a temporary one.
    ///
    /// # Errors
    /// `AlreadyExists` if there is something else in `dir`; those of the file system.
    pub(super) fn prepare(dir: Option<&Path>) -> Result<Self> {
        let scratch = tempfile::Builder::new()
            .prefix("nakivo-demo-")
            .tempdir()
            .map_err(|error| io(&std::env::temp_dir(), &error))?;
        if let Some(dir) = dir {
            take(dir)?;
        }
        Ok(Self {
            kept: dir.map(Path::to_owned),
            scratch,
        })
    }

    fn base(&self) -> &Path {
        self.kept.as_deref().unwrap_or_else(|| self.scratch.path())
    }

    /// Whether the repository stays when the demo ends.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Where the repository is.
    pub(super) fn vault(&self) -> PathBuf {
        self.base().join("vault")
    }

    /// State outside the repository.
    pub(super) fn state(&self) -> PathBuf {
        self.base().join("state")
    }

    /// The file that holds the passphrase.
    pub(super) fn passphrase_file(&self) -> PathBuf {
        self.base().join("passphrase.txt")
    }

    /// A folder for what is removed at the end in any case.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Makes up a passphrase and writes it into [`Place::passphrase_file`], readable by its owner alone.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn make_passphrase(&self, rng: &dyn Rng) -> Result<String> {
        let bytes: [u8; 15] = random_bytes(rng)?;
        let alphabet = b"abcdefghjkmnpqrstuvwxyz23456789-";
        let passphrase: String = bytes
            .iter()
            .map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()]))
            .collect();
        let path = self.passphrase_file();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{passphrase}\n").as_bytes()))
            .map_err(|error| io(&path, &error))?;
        Ok(passphrase)
    }
}

/// Makes `dir` ready: empty but for the marker.
fn take(dir: &Path) -> Result<()> {
    let failed = |error: std::io::Error| io(dir, &error);
    std::fs::create_dir_all(dir).map_err(failed)?;
    let marker = dir.join(MARKER);
    let foreign = std::fs::read_dir(dir)
        .map_err(failed)?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .find(|name| name != MARKER && !OURS.iter().any(|ours| name == ours));
    let empty = std::fs::read_dir(dir).map_err(failed)?.next().is_none();
    if foreign.is_some() || (!empty && !marker.is_file()) {
        let what = foreign.map_or_else(String::new, |name| {
            format!(", such as '{}'", name.to_string_lossy())
        });
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("'{}' holds something that no demo made{what}", dir.display()),
        )
        .with_hint("Name an empty or new folder with --dir."));
    }
    for name in OURS {
        let path = dir.join(name);
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let removed = if metadata.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(failed)?;
    }
    std::fs::write(
        &marker,
        "Made by 'nakivo demo'; the next demo in this folder replaces what is in it.\n",
    )
    .map_err(failed)
}

/// The error of a file operation of the demo itself.
pub(super) fn io(path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
        std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("'{}': {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_demo_made_is_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("demo");
        Place::prepare(Some(&dir)).unwrap();
        std::fs::create_dir(dir.join("vault")).unwrap();
        std::fs::write(dir.join("vault/old"), "x").unwrap();
        let place = Place::prepare(Some(&dir)).unwrap();
        assert!(!place.vault().exists());
        std::fs::write(dir.join("letter.txt"), "x").unwrap();
        std::fs::create_dir(dir.join("vault")).unwrap();
        let error = Place::prepare(Some(&dir)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.message().contains("letter.txt"), "{error}");
        assert!(dir.join("vault").exists() && dir.join("letter.txt").exists());
        // A folder with a vault and no marker is somebody's repository.
        let other = temporary.path().join("other");
        std::fs::create_dir_all(other.join("vault")).unwrap();
        assert_eq!(
            Place::prepare(Some(&other)).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert!(other.join("vault").exists());
    }
}
