//! Where an export goes: a directory or a ZIP archive, written on a blocking thread.
//!
//! Nothing that exists is ever overwritten: a directory must be new or empty, an archive must not exist. A file bears a
//! temporary name until it is complete, in the directory where it belongs; the archive and the list of files do so until the
//! whole export is.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::export::{Destination, MANIFEST_NAME};
use super::files::{Files, NewFile, TEMPORARY_NAMES};
use super::manifest;
use super::zip::{Spill, ZipWriter};
use crate::error::{Error, Result};
use crate::fs::{OpenFile, Root, io_error};

/// Commands that may wait for the disk. Most hold at most one MiB, those of large items some MiB.
const COMMANDS_AHEAD: usize = 16;
/// The list of a directory export while it is being written.
pub(super) const TEMPORARY_MANIFEST: &str = ".nakivo-manifest.part";
/// List lines kept before they are written.
const LINES_BYTES: usize = 64 << 10;

enum Command {
    Directory {
        path: String,
        modified_ns: Option<i64>,
        mode: Option<u32>,
    },
    Begin(NewFile),
    Data(Bytes),
    /// A piece of a message in an mbox file: its own bytes count towards size and hash, the quoted ones are written.
    Piece {
        own: Bytes,
        quoted: Vec<u8>,
    },
    /// The end of a message in an mbox file, and its line.
    LastPiece {
        quoted: Vec<u8>,
        line: Map<String, Value>,
    },
    /// A small file from beginning to end.
    Whole {
        file: NewFile,
        content: Vec<Bytes>,
        line: Map<String, Value>,
    },
    End,
    Abort,
    /// An item begins: its size and hash are counted from here on.
    Item,
    /// A line of the list, with size and hash of what came since [`Command::Item`].
    CountedLine(Map<String, Value>),
    /// Lines of the list.
    Lines(Vec<u8>),
    Finish,
}

/// The sending half.
pub(super) struct Sink {
    commands: mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<Result<u64>>,
    files: StopOnDrop,
    /// Lines of the list that were not sent yet.
    lines: Vec<u8>,
}

/// Small files that are written beside the commands, if this is a directory. None are begun once the export is over.
struct StopOnDrop(Option<Arc<Files>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(files) = &self.0 {
            files.stop_soon();
        }
    }
}

impl Sink {
    /// Opens the destination.
    pub(super) async fn open(destination: Destination) -> Result<Self> {
        let target = tokio::task::spawn_blocking(move || Target::open(&destination))
            .await
            .map_err(|error| Error::internal(format!("opening the export ended abnormally: {error}")))??;
        let files = StopOnDrop(target.files());
        let (commands, receiver) = mpsc::channel(COMMANDS_AHEAD);
        let task = tokio::task::spawn_blocking(move || Writer::new(target).run(receiver));
        Ok(Self {
            commands,
            task,
            files,
            lines: Vec::new(),
        })
    }

    /// Where small files may be written beside the commands; `None` for an archive.
    pub(super) fn files(&self) -> Option<Arc<Files>> {
        self.files.0.clone()
    }

    async fn send(&mut self, command: Command) -> Result<()> {
        if self.commands.send(command).await.is_ok() {
            return Ok(());
        }
        // The writer ended early: it has the reason.
        match (&mut self.task).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(Error::internal("the export's writer ended early")),
            Err(error) => Err(Error::internal(format!(
                "the export's writer ended abnormally: {error}"
            ))),
        }
    }

    pub(super) async fn directory(
        &mut self,
        path: &str,
        modified_ns: Option<i64>,
        mode: Option<u32>,
    ) -> Result<()> {
        self.send(Command::Directory {
            path: path.to_owned(),
            modified_ns,
            mode,
        })
        .await
    }

    pub(super) async fn begin(&mut self, file: NewFile) -> Result<()> {
        self.send(Command::Begin(file)).await
    }

    pub(super) async fn data(&mut self, bytes: Bytes) -> Result<()> {
        self.send(Command::Data(bytes)).await
    }

    pub(super) async fn piece(&mut self, own: Bytes, quoted: Vec<u8>) -> Result<()> {
        self.send(Command::Piece { own, quoted }).await
    }

    pub(super) async fn last_piece(&mut self, quoted: Vec<u8>, line: Map<String, Value>) -> Result<()> {
        self.send_lines().await?;
        self.send(Command::LastPiece { quoted, line }).await
    }

    pub(super) async fn whole(
        &mut self,
        file: NewFile,
        content: Vec<Bytes>,
        line: Map<String, Value>,
    ) -> Result<()> {
        self.send_lines().await?;
        self.send(Command::Whole { file, content, line }).await
    }

    pub(super) async fn end(&mut self) -> Result<()> {
        self.send(Command::End).await
    }

    pub(super) async fn abort(&mut self) -> Result<()> {
        self.send(Command::Abort).await
    }

    pub(super) async fn item(&mut self) -> Result<()> {
        self.send(Command::Item).await
    }

    /// A line of the list, with size and hash of what came since the item began.
    pub(super) async fn counted_line(&mut self, line: Map<String, Value>) -> Result<()> {
        self.send_lines().await?;
        self.send(Command::CountedLine(line)).await
    }

    /// A line of the list.
    pub(super) async fn line(&mut self, line: Map<String, Value>) -> Result<()> {
        self.lines.extend(manifest::encode(line));
        if self.lines.len() >= LINES_BYTES {
            self.send_lines().await
        } else {
            Ok(())
        }
    }

    async fn send_lines(&mut self) -> Result<()> {
        match std::mem::take(&mut self.lines) {
            lines if lines.is_empty() => Ok(()),
            lines => self.send(Command::Lines(lines)).await,
        }
    }

    /// Ends without completing; what must not stay is gone when this returns.
    pub(super) async fn discard(self) {
        drop(self.commands);
        if let Some(files) = &self.files.0 {
            files.stop().await;
        }
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the export's writer ended abnormally");
        }
    }

    /// Completes the export; returns its size in bytes.
    pub(super) async fn finish(mut self) -> Result<u64> {
        self.send_lines().await?;
        self.send(Command::Finish).await?;
        drop(self.commands);
        self.task
            .await
            .map_err(|error| Error::internal(format!("the export's writer ended abnormally: {error}")))?
    }
}

/// What is written to.
enum Target {
    Directory {
        files: Arc<Files>,
        manifest: OpenFile,
        file: Option<(OpenFile, NewFile)>,
        times: Vec<(PathBuf, i64)>,
    },
    Zip {
        /// Directories that are in it.
        directories: HashSet<String>,
        root: Root,
        names: ZipNames,
        zip: Box<ZipWriter<std::fs::File>>,
        manifest: OpenFile,
    },
}

/// An archive's own name and those of its temporary files beside it.
struct ZipNames {
    archive: PathBuf,
    part: PathBuf,
    manifest: PathBuf,
    index: PathBuf,
}

impl Target {
    fn open(destination: &Destination) -> Result<Self> {
        match destination {
            Destination::Directory(path) => {
                let files = Files::open(path)?;
                let manifest = files.root().create_file(Path::new(TEMPORARY_MANIFEST))?;
                Ok(Self::Directory {
                    files: Arc::new(files),
                    manifest,
                    file: None,
                    times: Vec::new(),
                })
            }
            Destination::Zip(path) => {
                let (root, name) = Root::of_file(path)?;
                let beside = |suffix: &str| {
                    let mut name = name.clone();
                    name.push(suffix);
                    PathBuf::from(name)
                };
                let names = ZipNames {
                    archive: PathBuf::from(&name),
                    part: beside(".part"),
                    manifest: beside(".list.part"),
                    index: beside(".index.part"),
                };
                if root.stat(&names.archive)?.is_some() {
                    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
                    return Err(io_error("cannot export to", path, taken)
                        .with_hint("Name a file that does not exist."));
                }
                let in_the_way = |error: Error| {
                    error.with_hint("An earlier export may have been cut off: remove its .part files, or choose another name.")
                };
                let part = root.create_file(&names.part).map_err(in_the_way)?;
                let manifest = root.create_file(&names.manifest).map_err(in_the_way)?;
                let (index, index_root) = (names.index.clone(), root.try_clone()?);
                let open_spill = Box::new(move || {
                    let file = index_root
                        .create_file(&index)
                        .map_err(|error| io::Error::other(error.to_string()))?;
                    Ok(Box::new(file.into_std()) as Box<dyn Spill>)
                });
                Ok(Self::Zip {
                    directories: HashSet::from([String::new()]),
                    root,
                    names,
                    zip: Box::new(ZipWriter::new(part.into_std(), open_spill)),
                    manifest,
                })
            }
        }
    }

    fn files(&self) -> Option<Arc<Files>> {
        match self {
            Self::Directory { files, .. } => Some(Arc::clone(files)),
            Self::Zip { .. } => None,
        }
    }

    /// Removes what an export that did not end well must not leave behind.
    fn clean_up(&self) {
        let (root, leftovers) = match self {
            Self::Directory { files, file, .. } => {
                let part = file.iter().map(|(_, new)| part_of(new));
                (
                    files.root(),
                    part.chain([PathBuf::from(TEMPORARY_MANIFEST)]).collect(),
                )
            }
            Self::Zip { root, names, .. } => (
                root,
                vec![names.part.clone(), names.manifest.clone(), names.index.clone()],
            ),
        };
        for path in leftovers {
            if let Err(error) = root.remove_file(&path) {
                tracing::warn!(?error, "a temporary file of an export could not be removed");
            }
        }
    }
}

/// Where a file is until it is complete.
fn part_of(file: &NewFile) -> PathBuf {
    Path::new(&file.path).with_file_name(TEMPORARY_NAMES[0])
}

struct Writer {
    target: Target,
    lines: Vec<u8>,
    size: u64,
    hasher: blake3::Hasher,
    written: u64,
}

fn zip_error(error: io::Error) -> Error {
    io_error("cannot write", Path::new("the archive"), error)
}

fn time(nanoseconds: Option<i64>) -> DateTime<Utc> {
    nanoseconds.map_or(DateTime::UNIX_EPOCH, DateTime::from_timestamp_nanos)
}

impl Writer {
    fn new(target: Target) -> Self {
        Self {
            target,
            lines: Vec::new(),
            size: 0,
            hasher: blake3::Hasher::new(),
            written: 0,
        }
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<u64> {
        let result = loop {
            match commands.blocking_recv() {
                // The export failed or was cancelled.
                None => break Err(Error::cancelled()),
                Some(Command::Finish) => break Ok(()),
                Some(command) => {
                    if let Err(error) = self.take(command) {
                        break Err(error);
                    }
                }
            }
        };
        match result {
            Ok(()) => self.finish(),
            Err(error) => {
                self.target.clean_up();
                Err(error)
            }
        }
    }

    fn take(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Directory {
                path,
                modified_ns,
                mode,
            } => self.directory(&path, modified_ns, mode)?,
            Command::Begin(file) => self.begin(file)?,
            Command::Data(bytes) => {
                self.count(&bytes);
                self.write(&bytes)?;
            }
            Command::Piece { own, quoted } => {
                self.count(&own);
                self.write(&quoted)?;
            }
            Command::LastPiece { quoted, line } => {
                self.write(&quoted)?;
                self.line(line)?;
            }
            Command::Whole { file, content, line } => {
                self.begin(file)?;
                self.start_count();
                for piece in &content {
                    self.count(piece);
                    self.write(piece)?;
                }
                self.end()?;
                self.line(line)?;
            }
            Command::End => self.end()?,
            Command::Abort => self.abort()?,
            Command::Item => self.start_count(),
            Command::CountedLine(line) => self.line(line)?,
            Command::Lines(lines) => self.add_lines(&lines)?,
            // Taken by the loop.
            Command::Finish => {}
        }
        Ok(())
    }

    fn start_count(&mut self) {
        self.size = 0;
        self.hasher.reset();
    }

    fn line(&mut self, mut line: Map<String, Value>) -> Result<()> {
        manifest::add_content(&mut line, self.size, self.hasher.finalize());
        self.add_lines(&manifest::encode(line))
    }

    fn add_lines(&mut self, lines: &[u8]) -> Result<()> {
        self.lines.extend_from_slice(lines);
        if self.lines.len() >= LINES_BYTES {
            self.flush_lines()
        } else {
            Ok(())
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    fn flush_lines(&mut self) -> Result<()> {
        let file = match &mut self.target {
            Target::Directory { manifest, .. } | Target::Zip { manifest, .. } => manifest,
        };
        file.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn directory(&mut self, path: &str, modified_ns: Option<i64>, mode: Option<u32>) -> Result<()> {
        match &mut self.target {
            Target::Directory { files, times, .. } => {
                files.directory(path)?;
                let relative = Path::new(path);
                if let Some(mode) = mode {
                    files.root().set_directory_mode(relative, mode)?;
                }
                if let Some(modified_ns) = modified_ns {
                    times.push((relative.to_owned(), modified_ns));
                }
                Ok(())
            }
            Target::Zip { zip, directories, .. } => {
                add_directory(zip, directories, path, modified_ns).map_err(zip_error)
            }
        }
    }

    fn begin(&mut self, file: NewFile) -> Result<()> {
        self.directory(file.directory(), None, None)?;
        match &mut self.target {
            Target::Directory {
                files, file: slot, ..
            } => {
                let open = files.root().create_file(&part_of(&file))?;
                *slot = Some((open, file));
            }
            Target::Zip { zip, .. } => {
                zip.begin(&file.path, time(file.modified_ns), file.compress)
                    .map_err(zip_error)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        match &mut self.target {
            Target::Directory {
                file: Some((file, _)),
                ..
            } => file.write_all(bytes),
            Target::Directory { .. } => Err(Error::internal("no file of the export is open")),
            Target::Zip { zip, .. } => zip.content(bytes).map_err(zip_error),
        }
    }

    fn end(&mut self) -> Result<()> {
        match &mut self.target {
            Target::Directory { files, file, .. } => {
                let Some((open, new)) = file.take() else {
                    return Err(Error::internal("no file of the export is open"));
                };
                let directory = files.root().directory(Path::new(new.directory()))?;
                Files::complete(&directory, open, TEMPORARY_NAMES[0], &new).inspect_err(|_| {
                    // The export fails for the first error.
                    let _ = files.root().remove_file(&part_of(&new));
                })
            }
            Target::Zip { zip, .. } => zip.end().map_err(zip_error),
        }
    }

    fn abort(&mut self) -> Result<()> {
        match &mut self.target {
            Target::Directory { files, file, .. } => {
                if let Some((_, new)) = file.take() {
                    files.root().remove_file(&part_of(&new))?;
                }
                Ok(())
            }
            Target::Zip { zip, .. } => zip.abort().map_err(zip_error),
        }
    }

    fn finish(mut self) -> Result<u64> {
        let result = self.flush_lines();
        if let Err(error) = result {
            self.target.clean_up();
            return Err(error);
        }
        match self.target {
            Target::Directory {
                files,
                manifest,
                times,
                ..
            } => {
                let root = files.root();
                // Children first: setting a child's time changes nothing above it, but making it did.
                for (path, modified_ns) in times.iter().rev() {
                    root.set_directory_modified(path, *modified_ns)?;
                }
                manifest.sync()?;
                drop(manifest);
                root.rename_new(Path::new(TEMPORARY_MANIFEST), Path::new(MANIFEST_NAME))?;
                root.sync_directory(Path::new(""))?;
                Ok(self.written)
            }
            Target::Zip {
                root,
                names,
                zip,
                manifest,
                ..
            } => {
                let finished = finish_zip(&root, &names, *zip, manifest);
                for leftover in [&names.manifest, &names.index] {
                    root.remove_file(leftover)?;
                }
                if finished.is_err() {
                    root.remove_file(&names.part)?;
                }
                finished
            }
        }
    }
}

/// Adds a directory and those above it, once.
fn add_directory(
    zip: &mut ZipWriter<std::fs::File>,
    directories: &mut HashSet<String>,
    path: &str,
    modified_ns: Option<i64>,
) -> io::Result<()> {
    if directories.contains(path) {
        return Ok(());
    }
    if let Some((parent, _)) = path.rsplit_once('/') {
        add_directory(zip, directories, parent, None)?;
    }
    zip.directory(&format!("{path}/"), time(modified_ns))?;
    directories.insert(path.to_owned());
    Ok(())
}

/// Adds the list as the last entry, completes the archive and gives it its name.
fn finish_zip(
    root: &Root,
    names: &ZipNames,
    mut zip: ZipWriter<std::fs::File>,
    manifest: OpenFile,
) -> Result<u64> {
    drop(manifest);
    let mut list = root.open_file(&names.manifest)?;
    zip.begin(MANIFEST_NAME, DateTime::UNIX_EPOCH, true)
        .map_err(zip_error)?;
    let mut buffer = vec![0; LINES_BYTES];
    loop {
        let count = list.read_full(&mut buffer)?;
        if count == 0 {
            break;
        }
        zip.content(&buffer[..count]).map_err(zip_error)?;
    }
    zip.end().map_err(zip_error)?;
    let (file, length) = zip.finish().map_err(zip_error)?;
    file.set_len(length)
        .and_then(|()| file.sync_all())
        .map_err(zip_error)?;
    drop(file);
    root.rename_new(&names.part, &names.archive)?;
    root.sync_directory(Path::new(""))?;
    Ok(length)
}
