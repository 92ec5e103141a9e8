//! The files of a directory export. Small ones are written by several threads side by side.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::fs::{OpenFile, Root};

/// Threads that write small files, at most.
pub(super) const WRITERS: usize = 2;

/// One file of the export.
#[derive(Debug)]
pub(super) struct NewFile {
    /// Relative, `/` between names, made safe.
    pub path: String,
    /// Nanoseconds since 1970.
    pub modified_ns: Option<i64>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Whether compressing may help.
    pub compress: bool,
}

/// A file that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub size: u64,
    pub hash: blake3::Hash,
}

impl Written {
    fn of(content: &[Bytes]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        for piece in content {
            hasher.update(piece);
            size += piece.len() as u64;
        }
        Self {
            size,
            hash: hasher.finalize(),
        }
    }
}

/// Names of files being written, in the directory that each will stay in: file systems place a file near the directory that it is
/// made in. The first is for files of any size, one at a time.
pub(super) const TEMPORARY_NAMES: [&str; 1 + WRITERS] = [
    ".nakivo-export.part",
    ".nakivo-export-1.part",
    ".nakivo-export-2.part",
];

/// See the module.
#[derive(Debug)]
pub(super) struct Files {
    root: Root,
    /// Those that were made.
    directories: Mutex<HashSet<String>>,
    /// Each writer's temporary name is used by one thread at a time.
    turns: [Arc<Semaphore>; WRITERS],
    stopped: AtomicBool,
}

impl Files {
    /// In a directory that is empty or does not exist.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            root: Root::open_empty(path)?,
            directories: Mutex::new(HashSet::from([String::new()])),
            turns: std::array::from_fn(|_| Arc::new(Semaphore::new(1))),
            stopped: AtomicBool::new(false),
        })
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Makes a directory and those above it, once.
    pub(super) fn directory(&self, path: &str) -> Result<()> {
        let mut made = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let path = &path[..end];
            if !made.contains(path) {
                self.root.create_directory(Path::new(path))?;
                made.insert(path.to_owned());
            }
        }
        Ok(())
    }

    /// Writes small files, each in pieces, one after the other, beside what other writers do. Who gives the files of one directory to
    /// one writer spares the others waiting for it in the file system.
    ///
    /// # Errors
    /// The first one; files before it are written. `Cancelled` after [`Files::stop_soon`].
    pub(super) async fn write(
        self: &Arc<Self>,
        writer: usize,
        files: Vec<(NewFile, Vec<Bytes>)>,
    ) -> Result<Vec<Written>> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let turn = Turn::begin(Arc::clone(self), writer % WRITERS).await?;
        let write = move || turn.write(&files);
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|error| Error::internal(format!("writing files ended abnormally: {error}")))?
    }

    /// Begins no more small files.
    pub(super) fn stop_soon(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// As [`Files::stop_soon`]; returns when no thread writes any.
    pub(super) async fn stop(&self) {
        self.stop_soon();
        for turn in &self.turns {
            // It is never closed, and each turn ends.
            let _ = turn.acquire().await;
        }
    }

    /// Gives a written file its mode, time and name, in its directory.
    pub(super) fn complete(directory: &Root, open: OpenFile, temporary: &str, file: &NewFile) -> Result<()> {
        if let Some(mode) = file.mode {
            open.set_mode(mode)?;
        }
        if let Some(modified_ns) = file.modified_ns {
            open.set_modified(modified_ns)?;
        }
        drop(open);
        directory.rename_new(Path::new(temporary), Path::new(file.name()))
    }
}

impl NewFile {
    /// The directory it is in; empty for the root.
    pub(super) fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Its name in there.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&*self.path, |(_, name)| name)
    }
}

/// One thread's turn. It goes along to the thread, so that [`Files::stop`] waits for what is being written, whoever went away.
struct Turn {
    files: Arc<Files>,
    temporary: &'static str,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    async fn begin(files: Arc<Files>, writer: usize) -> Result<Self> {
        let turn = Arc::clone(&files.turns[writer]);
        let permit = turn.acquire_owned().await.map_err(|_| Error::cancelled())?;
        Ok(Self {
            temporary: TEMPORARY_NAMES[1 + writer],
            files,
            _permit: permit,
        })
    }

    fn write(&self, files: &[(NewFile, Vec<Bytes>)]) -> Result<Vec<Written>> {
        let mut written = Vec::with_capacity(files.len());
        let mut opened: Option<(&str, Root)> = None;
        for (file, content) in files {
            if self.files.stopped.load(Ordering::Acquire) {
                return Err(Error::cancelled());
            }
            let root = match opened.take().filter(|(path, _)| *path == file.directory()) {
                Some((_, root)) => root,
                None => {
                    self.files.directory(file.directory())?;
                    self.files.root.directory(Path::new(file.directory()))?
                }
            };
            self.one(&root, file, content).inspect_err(|_| {
                // The export fails for the first error.
                let _ = root.remove_file(Path::new(self.temporary));
            })?;
            opened = Some((file.directory(), root));
            written.push(Written::of(content));
        }
        Ok(written)
    }

    fn one(&self, directory: &Root, file: &NewFile, content: &[Bytes]) -> Result<()> {
        let mut open = directory.create_file(Path::new(self.temporary))?;
        open.write_pieces(content)?;
        Files::complete(directory, open, self.temporary, file)
    }
}
