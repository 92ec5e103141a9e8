//! Room on the machine's own disk for what is looked up while a process runs and is worth nothing afterwards.
//!
//! One thing uses it: the index of chunks, above a million of them. What lies there can be read again from the repository at
//! any time, so losing it loses nothing, and nobody but the process that wrote it ever reads it.

use std::fmt;
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(unix)]
use crate::error::Result;
use crate::error::{Error, ErrorKind};
#[cfg(unix)]
use crate::fs::{OpenFile, Root};

/// Default of [`Scratch::with_threshold`].
const DEFAULT_THRESHOLD: u32 = 1 << 20;
/// Names that are tried: a name stays taken only where a process was killed between making its file and unlinking it.
#[cfg(unix)]
const MAX_NAMES: u32 = 10_000;

/// Where scratch files are made.
pub trait ScratchSpace: Send + Sync + fmt::Debug {
    /// Makes an empty file that nobody else has, and that is gone when it is dropped and when the process ends, however that
    /// happens.
    ///
    /// # Errors
    /// Those of the disk. Who asked goes on in memory.
    fn create(&self) -> io::Result<Box<dyn ScratchFile>>;
}

/// A file that only this process sees. Every read is of bytes that were written before.
pub trait ScratchFile: Send + Sync + fmt::Debug {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Those of the disk. Then nothing is known of what is there now.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// Those of the disk; `UnexpectedEof` if there are too few bytes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Whether, where and from which size on what would take memory is put on the disk instead.
#[derive(Debug, Clone)]
pub struct Scratch {
    space: Option<Arc<dyn ScratchSpace>>,
    threshold: u32,
}

impl Default for Scratch {
    /// Everything stays in memory: 50 to 60 bytes for each chunk of the repository.
    fn default() -> Self {
        Self {
            space: None,
            threshold: DEFAULT_THRESHOLD,
        }
    }
}

impl Scratch {
    /// Scratch files in this directory, which is made when the first one is needed. They hold keyed ids and lengths of
    /// chunks, no content and no keys, and are unlinked as soon as they are made: the system frees them when the process
    /// ends, however it ends.
    #[must_use]
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self::over(Arc::new(DirectoryScratch {
            directory: directory.into(),
        }))
    }

    /// Scratch files of this space.
    #[must_use]
    pub fn over(space: Arc<dyn ScratchSpace>) -> Self {
        Self {
            space: Some(space),
            ..Self::default()
        }
    }

    /// Sets above how many chunks an index is put on the disk. Default: 1,048,576, below which it takes some 50 MiB of memory
    /// at most. 0: always, for tests.
    #[must_use]
    pub fn with_threshold(mut self, chunks: u32) -> Self {
        self.threshold = chunks;
        self
    }

    pub(crate) fn threshold(&self) -> u32 {
        self.threshold
    }

    /// A new file; `None`: there is no place for any.
    pub(crate) fn create(&self) -> Option<io::Result<Box<dyn ScratchFile>>> {
        self.space.as_ref().map(|space| space.create())
    }
}

/// The error for scratch that cannot be read back. Never taken for damage of the repository, nor for an answer.
pub(crate) fn unreadable(error: io::Error) -> Error {
    Error::new(
        ErrorKind::ScratchFailed,
        format!("a scratch file on this machine's disk cannot be read back: {error}"),
    )
    .with_hint("Nothing of the repository is lost by this. See to the disk that holds the state directory, then run again.")
    .with_source(error)
}

/// Files in a directory.
#[derive(Debug)]
struct DirectoryScratch {
    directory: PathBuf,
}

impl ScratchSpace for DirectoryScratch {
    #[cfg(unix)]
    fn create(&self) -> io::Result<Box<dyn ScratchFile>> {
        let file = create_unlinked(&self.directory).map_err(io::Error::other)?;
        Ok(Box::new(Unlinked(file)))
    }

    /// Neither reading by position nor a file without a name is to be had on every system.
    #[cfg(not(unix))]
    fn create(&self) -> io::Result<Box<dyn ScratchFile>> {
        let _ = &self.directory;
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

#[cfg(unix)]
fn create_unlinked(directory: &Path) -> Result<OpenFile> {
    let root = Root::open_or_make_private(directory)?;
    for number in 0..MAX_NAMES {
        let name = PathBuf::from(format!("scratch-{number}"));
        match root.create_file(&name) {
            Ok(file) => {
                root.remove_file(&name)?;
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::AlreadyExists,
        format!("no name for a scratch file is free in '{}'", directory.display()),
    ))
}

#[cfg(unix)]
#[derive(Debug)]
struct Unlinked(OpenFile);

#[cfg(unix)]
impl ScratchFile for Unlinked {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, buffer)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_scratch_file_has_no_name_and_gives_back_what_was_written() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("deep").join("scratch");
        let scratch = Scratch::directory(&directory);
        assert!(!directory.exists(), "made only when it is needed");
        let (first, second) = (
            scratch.create().unwrap().unwrap(),
            scratch.create().unwrap().unwrap(),
        );
        first.write_at(0, b"first").unwrap();
        second.write_at(4096, b"second").unwrap();
        let mut buffer = [0; 5];
        first.read_at(0, &mut buffer).unwrap();
        assert_eq!(&buffer, b"first");
        second.read_at(4097, &mut buffer).unwrap();
        assert_eq!(&buffer, b"econd");
        assert!(first.read_at(1, &mut buffer).is_err(), "behind the end");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "unlinked");
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_name_that_somebody_left_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("scratch-0"), b"left").unwrap();
        let file = Scratch::directory(place.path()).create().unwrap().unwrap();
        file.write_at(0, b"mine").unwrap();
        assert_eq!(std::fs::read(place.path().join("scratch-0")).unwrap(), b"left");
    }
}
