//! Writes a recovery point, or part of it, to files.
//!
//! Folders become directories; messages become `.eml` files with the exact MIME bytes, or one mbox file for each folder;
//! files become files. What has neither becomes its JSON record. Names are made safe (see `names`), the originals are in
//! `manifest.jsonl` (see `manifest`), which is also the sign of a finished export: it gets its name last. Symbolic links
//! are listed there with their target and not made.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use futures::stream::StreamExt;
use nakivo_repo_format::ids::PointId;
use nakivo_repo_format::manifest::Manifest;
use nakivo_repo_format::record::{ContentPart, ItemKind, ItemRecord, SegmentList, Value};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::Outcome;
use super::ahead::{Content, Job, Place, concerns_item, groups, main_part, mode, new_file, prepare, time_ns};
use super::browse::PointView;
use super::containers::Containers;
use super::files::NewFile;
use super::manifest;
use super::mbox;
use super::places::Places;
use super::select::{ItemWalk, Selection, Step};
use super::sink::Sink;
use crate::error::{Error, Result};
use crate::progress::{Event, Reporter, Running};
use crate::repository::{Repository, Spoiled};

/// Name of the list of exported items, at the root of an export.
pub const MANIFEST_NAME: &str = "manifest.jsonl";
/// Groups read and written side by side.
const PARALLEL_GROUPS: usize = 4;
/// Records held at once, to read their content in the order in which it is stored.
const WINDOW_BYTES: usize = 8 << 20;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExportFormat {
    /// One file for each item; messages as `.eml`. The default.
    #[default]
    Files,
    /// The messages of each folder in one mbox file (mboxrd); everything else as files.
    Mbox,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A directory, which must be empty or is made.
    Directory(PathBuf),
    /// A ZIP archive, which must not exist, in a directory that does.
    Zip(PathBuf),
}

/// Settings of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Where to.
    pub destination: Destination,
    /// How messages are written.
    pub format: ExportFormat,
}

impl ExportOptions {
    /// One file for each item, to this place.
    #[must_use]
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            format: ExportFormat::default(),
        }
    }

    /// Sets how messages are written.
    #[must_use]
    pub fn with_format(mut self, format: ExportFormat) -> Self {
        self.format = format;
        self
    }
}

/// An item that is not in the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportFailure {
    /// Its id, or that of the container whose listing is damaged.
    pub id: String,
    /// Its path, for people.
    pub path: String,
    /// Stable code of the cause.
    pub code: String,
    /// One line for people.
    pub message: String,
}

/// What an export wrote.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportReport {
    /// [`Outcome::Partial`] if an item is missing.
    pub outcome: Outcome,
    /// The recovery point.
    pub point: PointId,
    /// Where it was written.
    pub destination: Destination,
    /// Items whose content was written and matched its stored hash.
    pub items: u64,
    /// Items that have no content, such as symbolic links: listed only.
    pub listed_only: u64,
    /// Bytes of the items' content.
    pub bytes: u64,
    /// Items that are not in the export.
    pub failed: Vec<ExportFailure>,
}

/// Exports the selected items.
///
/// # Errors
/// From [`Running::wait`]: `AlreadyExists` if the directory is not empty or the archive exists, and nothing was touched;
/// `NotFound` and `InvalidInput` for a selection that does not fit the point; `StorageFull`, `PermissionMissing` and
/// others of the destination; `Unavailable` and others of the store; `Cancelled`. Damage is no error: each item it affects
/// is in the report.
///
/// # Cancellation
/// At the next await point. An archive leaves nothing behind; a directory keeps the finished files, without a list.
#[must_use]
pub fn export(
    repository: &Repository,
    point: &Manifest,
    selection: Selection,
    options: ExportOptions,
) -> Running<ExportReport> {
    let view = PointView::open(repository, point.clone());
    Running::start(move |reporter| async move {
        let cancelled = reporter.cancellation().clone();
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(Error::cancelled()),
            result = run(view, selection, options, reporter) => result,
        }
    })
}

async fn run(
    view: PointView,
    selection: Selection,
    options: ExportOptions,
    reporter: Reporter,
) -> Result<ExportReport> {
    reporter.phase("export");
    let walk = ItemWalk::new(view.clone(), &selection).await?;
    if walk.is_all() {
        let counts = view.manifest().counts;
        reporter.update(|progress| {
            (progress.items_total, progress.bytes_total) = (Some(counts.items), Some(counts.bytes));
        });
    }
    let containers = Arc::clone(&walk.containers);
    let sink = Sink::open(options.destination.clone()).await?;
    let mut export = Export {
        repository: view.repository().clone(),
        places: Places::new(Arc::clone(&containers)),
        containers,
        format: options.format,
        sink,
        reporter,
        mbox: None,
        mbox_order: 0,
        last_container: String::new(),
        report: ExportReport {
            outcome: Outcome::Complete,
            point: view.manifest().id,
            destination: options.destination,
            items: 0,
            listed_only: 0,
            bytes: 0,
            failed: Vec::new(),
        },
    };
    if let Err(error) = export.write(walk).await {
        export.sink.discard().await;
        return Err(error);
    }
    export.sink.finish().await?;
    if !export.report.failed.is_empty() {
        export.report.outcome = Outcome::Partial;
    }
    Ok(export.report)
}

fn is_mail(record: &ItemRecord, part: &ContentPart) -> bool {
    record.kind == ItemKind::Message && part.name == "mime"
}

/// About how much memory a record takes.
fn estimate(record: &ItemRecord) -> usize {
    let parts: usize = record
        .parts
        .iter()
        .map(|part| match &part.segments {
            SegmentList::Direct(segments) => {
                segments.iter().map(|s| 80 + 40 * s.chunks().len()).sum::<usize>()
            }
            SegmentList::Indirect(blob) => 40 * blob.chunks().len(),
        })
        .sum();
    // Inline bytes are few; properties are a handful.
    1_000 + 2 * (record.id.len() + record.name.len()) + record.container.len() + parts
}

struct Export {
    repository: Repository,
    containers: Arc<Containers>,
    places: Places,
    format: ExportFormat,
    sink: Sink,
    reporter: Reporter,
    mbox: Option<OpenMbox>,
    /// Counts the folders whose messages go to an mbox file.
    mbox_order: u64,
    last_container: String,
    report: ExportReport,
}

/// The mbox file being written.
struct OpenMbox {
    container: String,
    path: String,
    length: u64,
}

impl Export {
    /// Goes through the selection window by window: paths are given in the order of the tree, content is read in the order
    /// in which it is stored.
    async fn write(&mut self, walk: ItemWalk) -> Result<()> {
        let mut steps = walk.into_stream();
        let mut window = Vec::new();
        let mut window_bytes = 0;
        while let Some(step) = steps.next().await {
            match step? {
                Step::Container { id, whole } => self.container(&id, whole).await?,
                Step::Damaged { container, error } => self.damaged_listing(&container, &error),
                Step::Spoiled(spoiled) => self.spoiled(spoiled).await?,
                Step::Item(record) => {
                    window_bytes += estimate(&record);
                    window.push(self.job(record));
                    if window_bytes >= WINDOW_BYTES {
                        self.write_window(std::mem::take(&mut window)).await?;
                        window_bytes = 0;
                    }
                }
            }
        }
        self.write_window(window).await?;
        self.close_mbox().await
    }

    /// Decides where an item goes.
    fn job(&mut self, record: Box<ItemRecord>) -> Job {
        let part = main_part(&record);
        let placement = part.map_or(0, |part| self.repository.placement(part));
        // Files go before the messages of a window, so that they do not cut an mbox file in pieces.
        let mut file_number = 0;
        let place = match part {
            None => Place::Nowhere,
            Some(part) if self.format == ExportFormat::Mbox && is_mail(&record, part) => {
                // The messages of a folder stay together.
                self.mbox_order += u64::from(self.last_container != record.container);
                self.last_container.clone_from(&record.container);
                file_number = self.mbox_order;
                Place::Mbox
            }
            Some(part) => Place::File(self.places.file(&record, part)),
        };
        Job {
            order: (file_number, placement),
            record,
            place,
        }
    }

    async fn write_window(&mut self, mut window: Vec<Job>) -> Result<()> {
        window.sort_by_key(|job| job.order);
        let (repository, files) = (self.repository.clone(), self.sink.files());
        let mut groups = futures::stream::iter(groups(window))
            .map(move |(writer, group)| {
                // Tasks of their own: joining and hashing keeps a processor busy.
                let prepared = prepare(repository.clone(), files.clone(), writer, group);
                AbortOnDropHandle::new(tokio::spawn(prepared))
            })
            .buffered(PARALLEL_GROUPS);
        while let Some(group) = groups.next().await {
            let group =
                group.map_err(|error| Error::internal(format!("reading ended abnormally: {error}")))?;
            for (job, content) in group? {
                self.item(job, content).await?;
            }
        }
        Ok(())
    }

    async fn container(&mut self, id: &str, whole: bool) -> Result<()> {
        if !whole || id.is_empty() {
            return Ok(());
        }
        let Some(record) = self.containers.get(id).cloned() else {
            return Ok(());
        };
        self.close_mbox().await?;
        let directory = self.places.directory(id);
        self.sink
            .directory(&directory, time_ns(&record), mode(&record))
            .await?;
        let mut line = manifest::line(&record, &self.containers.path_of(&record));
        line.insert("file".to_owned(), directory.into());
        self.sink.line(line).await
    }

    fn damaged_listing(&mut self, container: &str, error: &Error) {
        let path = self.containers.path(container);
        self.reporter.event(Event::Issue {
            path: path.clone(),
            code: error.code().to_owned(),
            message: error.message().to_owned(),
        });
        self.report.failed.push(ExportFailure {
            id: container.to_owned(),
            path,
            code: error.code().to_owned(),
            message: format!("not all items of this folder are known: {}", error.message()),
        });
    }

    /// An item of which nothing is known but its id.
    async fn spoiled(&mut self, spoiled: Spoiled) -> Result<()> {
        let path = self.containers.path_of_spoiled(&spoiled);
        let record = ItemRecord::new(spoiled.listed_as(), spoiled.container, spoiled.id.as_str(), "");
        let mut line = manifest::line(&record, &path);
        manifest::add_error(&mut line, &spoiled.error);
        self.sink.line(line).await?;
        self.fail(spoiled.id, path, &spoiled.error);
        Ok(())
    }

    /// Notes an item that is not in the export.
    fn fail(&mut self, id: String, path: String, error: &Error) {
        let (code, message) = (error.code().to_owned(), error.message().to_owned());
        self.reporter.event(Event::Issue {
            path: path.clone(),
            code: code.clone(),
            message: message.clone(),
        });
        self.reporter.update(|progress| progress.failed += 1);
        self.report.failed.push(ExportFailure {
            id,
            path,
            code,
            message,
        });
    }

    async fn item(&mut self, job: Job, content: Content) -> Result<()> {
        let record = &*job.record;
        let path = self.containers.path_of(record);
        let line = manifest::line(record, &path);
        let Some(part) = main_part(record) else {
            self.report.listed_only += 1;
            self.sink.line(line).await?;
            self.reporter.update(|progress| progress.items_done += 1);
            return Ok(());
        };
        let written = match job.place {
            Place::Mbox => self.message(record, part, content, line.clone()).await?,
            Place::File(file) => self.file(record, part, content, file, line.clone()).await?,
            Place::Nowhere => Ok(()),
        };
        match written {
            Ok(()) => {
                self.report.items += 1;
                self.report.bytes += part.size;
                let size = part.size;
                self.reporter.update(|progress| {
                    progress.items_done += 1;
                    progress.bytes_done += size;
                    progress.current = Some(path);
                });
            }
            Err(error) => {
                let mut line = line;
                manifest::add_error(&mut line, &error);
                self.sink.line(line).await?;
                self.fail(record.id.clone(), path, &error);
            }
        }
        Ok(())
    }

    /// Writes an item as a file of its own. The inner error concerns the item only.
    async fn file(
        &mut self,
        record: &ItemRecord,
        part: &ContentPart,
        content: Content,
        path: String,
        mut line: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Result<()>> {
        if let Content::Written(written) = content {
            manifest::add_file(&mut line, &path, part);
            manifest::add_content(&mut line, written.size, written.hash);
            return self.sink.line(line).await.map(Ok);
        }
        // One file at a time: in an archive the mbox file would be cut in two.
        self.close_mbox().await?;
        let file = new_file(record, &path);
        let mut content = match content {
            Content::Nothing | Content::Written(_) => return Ok(Ok(())),
            Content::Small(Err(error)) => return Ok(Err(error)),
            Content::Small(Ok(bytes)) => {
                manifest::add_file(&mut line, &path, part);
                return self.sink.whole(file, bytes, line).await.map(Ok);
            }
            Content::Large(stream) => stream,
        };
        self.sink.begin(file).await?;
        self.sink.item().await?;
        while let Some(piece) = content.next().await {
            match piece {
                Ok(bytes) => self.sink.data(bytes).await?,
                Err(error) => {
                    self.sink.abort().await?;
                    return if concerns_item(&error) {
                        Ok(Err(error))
                    } else {
                        Err(error)
                    };
                }
            }
        }
        self.sink.end().await?;
        manifest::add_file(&mut line, &path, part);
        self.sink.counted_line(line).await?;
        Ok(Ok(()))
    }

    /// Appends a message to its folder's mbox file. The inner error concerns the message only.
    async fn message(
        &mut self,
        record: &ItemRecord,
        part: &ContentPart,
        content: Content,
        mut line: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Result<()>> {
        let mut content = match content {
            Content::Nothing | Content::Written(_) => return Ok(Ok(())),
            Content::Small(Err(error)) => return Ok(Err(error)),
            Content::Small(Ok(pieces)) => futures::stream::iter(pieces.into_iter().map(Ok)).boxed(),
            Content::Large(mut stream) => {
                // What is in an mbox cannot be taken back, so a large message is read twice: first to see that it is whole.
                while let Some(piece) = stream.next().await {
                    match piece {
                        Err(error) if concerns_item(&error) => return Ok(Err(error)),
                        piece => drop(piece?),
                    }
                }
                self.repository.read_part(part)
            }
        };
        let mut mbox = self.open_mbox(&record.container).await?;
        let offset = mbox.length;
        self.sink.item().await?;
        let time = record
            .received_ms
            .or(record.sent_ms)
            .or(record.modified_ms)
            .unwrap_or(0);
        let date = DateTime::from_timestamp_millis(time).unwrap_or_default();
        let separator = mbox::separator(sender(record).as_deref(), date);
        let mut quoter = mbox::Quoter::new();
        self.sink.item().await?;
        // Small messages go over in one piece.
        let mut quoted = separator;
        while let Some(piece) = content.next().await {
            let piece = piece?;
            quoted.reserve(piece.len() + 16);
            quoter.push(&piece, &mut quoted);
            mbox.length += quoted.len() as u64;
            self.sink.piece(piece, std::mem::take(&mut quoted)).await?;
        }
        quoter.finish(&mut quoted);
        mbox.length += quoted.len() as u64;
        manifest::add_file(&mut line, &mbox.path, part);
        line.insert("offset".to_owned(), offset.into());
        line.insert("length".to_owned(), (mbox.length - offset).into());
        self.mbox = Some(mbox);
        self.sink.last_piece(quoted, line).await?;
        Ok(Ok(()))
    }

    async fn open_mbox(&mut self, container: &str) -> Result<OpenMbox> {
        if let Some(open) = self.mbox.take_if(|open| open.container == container) {
            return Ok(open);
        }
        self.close_mbox().await?;
        let path = self.places.mbox(container);
        let file = NewFile {
            path: path.clone(),
            modified_ns: None,
            mode: None,
            compress: true,
        };
        self.sink.begin(file).await?;
        Ok(OpenMbox {
            container: container.to_owned(),
            path,
            length: 0,
        })
    }

    async fn close_mbox(&mut self) -> Result<()> {
        if self.mbox.take().is_some() {
            self.sink.end().await
        } else {
            Ok(())
        }
    }
}

fn sender(record: &ItemRecord) -> Option<String> {
    let from = match record.properties.get("from")? {
        Value::Text(text) => text.as_str(),
        Value::List(list) => list.first()?.as_str(),
        _ => return None,
    };
    // `Name <address>` or the address alone.
    let address = from
        .rsplit_once('<')
        .map_or(from, |(_, rest)| rest.trim_end().trim_end_matches('>'));
    Some(address.to_owned())
}
