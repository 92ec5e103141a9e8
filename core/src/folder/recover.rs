//! Writes files back into a directory.
//!
//! A file is written beside its place under a temporary name, made durable, read back and compared, and only then given
//! its name; what has the name already is replaced in that one step and only where the plan said so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt;
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_repo_format::record::{ItemKind, ItemRecord};

use super::ids::{ESCAPED_TARGET, TARGET, recorded_name, unescape};
use super::read::CONTENT;
use super::walk::SYMLINK;
use super::{FolderConnector, Place};
use crate::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{EntryKind, OpenFile, Root, name_bytes, name_from_bytes};

/// Bytes compared or hashed at once.
const PIECE_BYTES: usize = 1 << 20;
/// Longest name of a file on the common systems, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Names tried for a file that must not replace another.
const MAX_RENAMES: u32 = 1_000;

fn nanoseconds(record: &ItemRecord) -> Option<i64> {
    record
        .properties
        .get("modified_ns")
        .and_then(|value| value.as_integer())
        .or_else(|| record.modified_ms.and_then(|ms| ms.checked_mul(1_000_000)))
}

fn mode(record: &ItemRecord) -> Option<u32> {
    record
        .properties
        .get("mode")
        .and_then(|value| value.as_integer())
        .and_then(|mode| u32::try_from(mode).ok())
}

fn is_link(record: &ItemRecord) -> bool {
    record.item_type.as_deref() == Some(SYMLINK)
}

fn link_target(record: &ItemRecord) -> Result<PathBuf> {
    let text = |name: &str| record.properties.get(name).and_then(|value| value.as_text());
    let target = match text(ESCAPED_TARGET) {
        Some(escaped) => unescape(escaped).and_then(name_from_bytes),
        None => text(TARGET).map(OsString::from),
    };
    target.map(PathBuf::from).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "the link's target cannot be written here",
        )
    })
}

fn component(record: &ItemRecord) -> Result<OsString> {
    recorded_name(record).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("'{}' cannot be a file name here", record.name.escape_debug()),
        )
        .with_hint("Export it instead: an export makes safe names.")
    })
}

fn directory_path(path: &[ItemRecord]) -> Result<PathBuf> {
    path.iter().map(component).collect()
}

fn check_kind(record: &ItemRecord) -> Result<()> {
    if record.kind == ItemKind::File && (is_link(record) || record.part(CONTENT).is_some()) {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::InvalidInput,
            "only files can be recovered into a directory",
        )
        .with_hint("Export it instead."))
    }
}

/// The id of an existing file together with its version, so that a plan notices when it changed since.
fn versioned(place: &Place, path: &Path, change_key: &str) -> String {
    format!("{}@{change_key}", place.id_of(path))
}

impl FolderConnector {
    async fn with_file<T: Send + 'static>(
        mut file: OpenFile,
        work: impl FnOnce(&mut OpenFile) -> Result<T> + Send + 'static,
    ) -> Result<(OpenFile, T)> {
        let task = tokio::task::spawn_blocking(move || work(&mut file).map(|value| (file, value)));
        task.await
            .map_err(|error| Error::internal(format!("file access ended abnormally: {error}")))?
    }

    /// Whether the file has exactly the stored bytes.
    async fn has_content(file: OpenFile, content: &dyn ContentSource) -> Result<bool> {
        let mut stored = content.open(CONTENT).await?;
        let mut file = file;
        while let Some(piece) = stored.next().await {
            let piece: Bytes = piece?;
            let (returned, equal) = Self::with_file(file, move |file| {
                let mut buffer = vec![0; piece.len()];
                Ok(file.read_full(&mut buffer)? == piece.len() && buffer == piece)
            })
            .await?;
            file = returned;
            if !equal {
                return Ok(false);
            }
        }
        let (_, rest) = Self::with_file(file, |file| file.read_full(&mut [0])).await?;
        Ok(rest == 0)
    }

    /// Writes the stored bytes and properties to a new file under a temporary name and reads them back.
    async fn write(
        &self,
        temporary: PathBuf,
        record: &ItemRecord,
        content: &dyn ContentSource,
    ) -> Result<()> {
        let expected = record.part(CONTENT).map_or(0, |part| part.size);
        let path = temporary.clone();
        let mut file = self
            .blocking(move |_, root| {
                // Left by an attempt that was cut off; nobody else uses such names.
                root.remove_file(&path)?;
                root.create_file(&path)
            })
            .await?;
        let mut hasher = blake3::Hasher::new();
        let mut written = 0u64;
        let mut stored = content.open(CONTENT).await?;
        while let Some(piece) = stored.next().await {
            let piece: Bytes = piece?;
            written += piece.len() as u64;
            let (returned, returned_hasher) = Self::with_file(file, move |file| {
                hasher.update(&piece);
                file.write_all(&piece)?;
                Ok(hasher)
            })
            .await?;
            file = returned;
            hasher = returned_hasher;
        }
        if written != expected {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the stored content has {written} of {expected} bytes"),
            ));
        }
        self.place.bytes_written.fetch_add(written, Ordering::Relaxed);
        let (modified, mode) = (nanoseconds(record), mode(record));
        Self::with_file(file, move |file| {
            if let Some(mode) = mode {
                file.set_mode(mode)?;
            }
            if let Some(modified) = modified {
                file.set_modified(modified)?;
            }
            file.sync()
        })
        .await?;
        let hash = hasher.finalize();
        self.blocking(move |_, root| {
            if hash_file(root, &temporary)? == hash {
                Ok(())
            } else {
                Err(Error::new(
                    ErrorKind::Corrupt,
                    "what was read back differs from what was written",
                )
                .with_hint("Check the target's disk."))
            }
        })
        .await
    }

    /// Gives the finished file its name.
    async fn settle(
        &self,
        temporary: &Path,
        directory: &Path,
        name: &OsStr,
        action: RecoverAction,
    ) -> Result<PathBuf> {
        let suffix = format!(" (recovered {})", self.clock.now().format("%Y-%m-%d"));
        let (temporary, directory, name) = (temporary.to_owned(), directory.to_owned(), name.to_owned());
        self.blocking(move |place, root| {
            let path = match action {
                RecoverAction::Create => {
                    let path = directory.join(&name);
                    place_new(root, &temporary, &path)?;
                    path
                }
                RecoverAction::CreateRenamed => place_renamed(root, &temporary, &directory, &name, &suffix)?,
                RecoverAction::Replace { existing } => {
                    let path = directory.join(&name);
                    replace(place, root, &temporary, &path, &existing)?;
                    path
                }
            };
            root.sync_directory(&directory)?;
            Ok(path)
        })
        .await
    }
}

fn hash_file(root: &Root, path: &Path) -> Result<blake3::Hash> {
    let mut file = root.open_file(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = file.read_full(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..count]);
    }
}

/// Whether both are the same link or files with the same bytes.
fn same(root: &Root, one: &Path, other: &Path) -> Result<bool> {
    let (Some(first), Some(second)) = (root.stat(one)?, root.stat(other)?) else {
        return Ok(false);
    };
    match (first.kind, second.kind) {
        (EntryKind::Symlink, EntryKind::Symlink) => Ok(root.read_link(one)? == root.read_link(other)?),
        (EntryKind::File, EntryKind::File) if first.size == second.size => {
            Ok(hash_file(root, one)? == hash_file(root, other)?)
        }
        _ => Ok(false),
    }
}

fn place_new(root: &Root, temporary: &Path, path: &Path) -> Result<()> {
    match root.rename_new(temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // An earlier attempt whose answer was lost, or something that came since the plan.
            if same(root, temporary, path)? {
                return root.remove_file(temporary);
            }
            let message = format!(
                "'{}' appeared since the plan was made",
                path.to_string_lossy().escape_debug()
            );
            Err(Error::new(ErrorKind::Conflict, message).with_hint("Plan again."))
        }
        other => other,
    }
}

fn place_renamed(
    root: &Root,
    temporary: &Path,
    directory: &Path,
    name: &OsStr,
    suffix: &str,
) -> Result<PathBuf> {
    for count in 1..=MAX_RENAMES {
        let suffix = if count == 1 {
            suffix.to_owned()
        } else {
            format!("{suffix} {count}")
        };
        let path = directory.join(renamed(name, &suffix));
        match root.rename_new(temporary, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if same(root, temporary, &path)? {
                    root.remove_file(temporary)?;
                    return Ok(path);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::AlreadyExists,
        format!("{MAX_RENAMES} recovered copies are there already"),
    ))
}

/// `name` with `suffix` before its extension, cut so that it stays a possible name.
fn renamed(name: &OsStr, suffix: &str) -> OsString {
    let bytes = name_bytes(name);
    let dot = bytes
        .iter()
        .rposition(|b| *b == b'.')
        .filter(|at| *at > 0 && bytes.len() - at <= 16)
        .unwrap_or(bytes.len());
    let (stem, extension) = bytes.split_at(dot);
    let room = MAX_NAME_BYTES.saturating_sub(extension.len() + suffix.len());
    let mut end = stem.len().min(room);
    // Not in the middle of a UTF-8 character.
    while end > 0 && end < stem.len() && stem[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    let made = [&stem[..end], suffix.as_bytes(), extension].concat();
    name_from_bytes(made).unwrap_or_else(|| OsString::from(format!("recovered{suffix}")))
}

fn replace(place: &Place, root: &Root, temporary: &Path, path: &Path, existing: &str) -> Result<()> {
    let conflict = |what: &str| {
        let message = format!("'{}' {what}", path.to_string_lossy().escape_debug());
        Err(Error::new(ErrorKind::Conflict, message).with_hint("Plan again."))
    };
    match root.stat(path)? {
        None => return place_new(root, temporary, path),
        Some(stat) if !matches!(stat.kind, EntryKind::File | EntryKind::Symlink) => {
            return conflict("is no file");
        }
        Some(stat) if versioned(place, path, &stat.change_key()) != existing => {
            if same(root, temporary, path)? {
                return root.remove_file(temporary);
            }
            return conflict("changed since the plan was made");
        }
        Some(_) => {}
    }
    root.rename_over(temporary, path)
}

#[async_trait]
impl RecoveryTarget for FolderConnector {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        self.check_object(target)?;
        check_kind(&item.record)?;
        let path = directory_path(&item.path)?.join(component(&item.record)?);
        let link = if is_link(&item.record) {
            Some(link_target(&item.record)?)
        } else {
            None
        };
        let at = path.clone();
        let found = self.blocking(move |place, root| {
            let Some(stat) = root.stat(&at)? else {
                return Ok(None);
            };
            let id = versioned(place, &at, &stat.change_key());
            let found_link = if stat.kind == EntryKind::Symlink {
                Some(root.read_link(&at)?)
            } else {
                None
            };
            let file = if stat.kind == EntryKind::File {
                Some(root.open_file(&at)?)
            } else {
                None
            };
            Ok(Some((stat, id, found_link, file)))
        });
        let (stat, id, found_link, file) = match found.await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Existing::Absent),
            // The directory itself is made when the first file is written.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Existing::Absent),
            Err(error) => return Err(error),
        };
        let differs = |id: String, difference: &str| {
            Ok(Existing::Differs {
                id,
                difference: difference.to_owned(),
            })
        };
        if let Some(link) = link {
            return match found_link {
                Some(found) if found == link => Ok(Existing::Identical { id }),
                Some(_) => differs(id, "target of the link"),
                None => differs(id, "no symbolic link is there"),
            };
        }
        let Some(file) = file else {
            return differs(id, "no file is there");
        };
        if stat.size != item.record.part(CONTENT).map_or(0, |part| part.size) {
            return differs(id, "size");
        }
        if !Self::has_content(file, content).await? {
            return differs(id, "content");
        }
        if nanoseconds(&item.record).is_some_and(|time| time != stat.modified_ns) {
            return differs(id, "modification time");
        }
        if let (Some(recorded), Some(found)) = (mode(&item.record), stat.mode)
            && (recorded ^ found) & 0o777 != 0
        {
            return differs(id, "permissions");
        }
        Ok(Existing::Identical { id })
    }

    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        self.check_object(target)?;
        let names: Vec<(OsString, Option<u32>)> = path
            .iter()
            .map(|record| Ok((component(record)?, mode(record))))
            .collect::<Result<_>>()?;
        let place = Arc::clone(&self.place);
        let task = tokio::task::spawn_blocking(move || {
            let root = Root::open_or_make(&place.path)?;
            let mut path = PathBuf::new();
            for (name, mode) in names {
                path.push(name);
                match root.stat(&path)?.map(|stat| stat.kind) {
                    Some(EntryKind::Directory) => {}
                    Some(_) => {
                        let shown = path.to_string_lossy();
                        let message = format!("'{}' is no directory", shown.escape_debug());
                        return Err(Error::new(ErrorKind::Conflict, message));
                    }
                    None => match root.create_directory(&path) {
                        Ok(()) => {
                            if let Some(mode) = mode {
                                root.set_directory_mode(&path, mode)?;
                            }
                        }
                        // Made by another task in the meantime.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        Err(error) => return Err(error),
                    },
                }
            }
            Ok(place.id_of(&path))
        });
        task.await
            .map_err(|error| Error::internal(format!("making a directory ended abnormally: {error}")))?
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        self.check_object(target)?;
        check_kind(&item.record)?;
        let directory = self
            .place
            .path_of(container)
            .ok_or_else(|| Error::not_found("directory", container))?;
        let name = component(&item.record)?;
        let unique = blake3::hash(directory.join(&name).as_os_str().as_encoded_bytes()).to_hex();
        let temporary = directory.join(format!(".nakivo-recover-{}.part", &unique[..16]));
        let written = if is_link(&item.record) {
            let (path, link) = (temporary.clone(), link_target(&item.record)?);
            self.blocking(move |_, root| {
                root.remove_file(&path)?;
                root.create_link(&path, &link)
            })
            .await
        } else {
            self.write(temporary.clone(), &item.record, content).await
        };
        let settled = match written {
            Ok(()) => self.settle(&temporary, &directory, &name, action).await,
            Err(error) => Err(error),
        };
        let path = match settled {
            Ok(path) => path,
            Err(error) => {
                let leftover = self.blocking(move |_, root| root.remove_file(&temporary)).await;
                if let Err(second) = leftover {
                    tracing::warn!(error = ?second, "a temporary file could not be removed");
                }
                return Err(error);
            }
        };
        let mut not_carried = Vec::new();
        let at = path.clone();
        let owner = self
            .blocking(move |_, root| Ok(root.stat(&at)?.and_then(|stat| stat.owner)))
            .await?;
        let number = |name: &str| {
            item.record
                .properties
                .get(name)
                .and_then(|value| value.as_integer())
        };
        if let (Some((user, group)), Some(uid), Some(gid)) = (owner, number("uid"), number("gid"))
            && (i64::from(user), i64::from(group)) != (uid, gid)
        {
            not_carried.push("owner and group".to_owned());
        }
        if !is_link(&item.record) && mode(&item.record).is_some_and(|mode| mode & 0o7000 != 0) {
            not_carried.push("set-id and sticky bits".to_owned());
        }
        Ok(Recovered {
            id: self.place.id_of(&path),
            location: self.place.path.join(&path).to_string_lossy().into_owned(),
            not_carried,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_names_stay_names() {
        let suffix = " (recovered 2024-01-31)";
        assert_eq!(
            renamed(OsStr::new("report.docx"), suffix),
            "report (recovered 2024-01-31).docx"
        );
        assert_eq!(
            renamed(OsStr::new(".bashrc"), suffix),
            ".bashrc (recovered 2024-01-31)"
        );
        let long = "ü".repeat(127) + ".x";
        let made = renamed(OsStr::new(&long), suffix);
        assert!(made.len() <= MAX_NAME_BYTES);
        assert!(made.to_str().unwrap().ends_with("(recovered 2024-01-31).x"));
    }
}
