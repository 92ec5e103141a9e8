//! Files and directories of the machine: the one module through which the folder source and the exports touch them.
//!
//! Everything below a [`Root`] is reached through a directory handle and relative paths, so that a symbolic link planted
//! below it leads nowhere outside; files are opened without following a link in the last place. All calls block: callers
//! run them on tokio's blocking threads.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions};

use crate::error::{Error, ErrorKind, Result};

/// Turns an I/O error into one of ours, naming the path.
pub(crate) fn io_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionMissing,
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => ErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => ErrorKind::Conflict,
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("{doing} '{}': {error}", printable(path))).with_source(error)
}

/// A path fit for one line of a log: control characters become `?`.
fn printable(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// What kind of thing a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Symlink,
    /// Socket, pipe or device.
    Special,
}

/// What is known of an entry without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub kind: EntryKind,
    pub size: u64,
    /// Nanoseconds since 1970, negative before.
    pub modified_ns: i64,
    /// Inode change time in nanoseconds since 1970; equal to `modified_ns` where the system has none.
    pub changed_ns: i64,
    /// Creation time in nanoseconds since 1970, where known.
    pub created_ns: Option<i64>,
    /// Inode number; 0 where the system has none.
    pub inode: u64,
    /// Permission bits and set-id bits, where the system has them.
    pub mode: Option<u32>,
    /// Owner and group, where the system has them.
    pub owner: Option<(u32, u32)>,
}

impl Stat {
    fn of(metadata: &Metadata) -> Self {
        let file_type = metadata.file_type();
        let kind = if file_type.is_symlink() {
            EntryKind::Symlink
        } else if file_type.is_dir() {
            EntryKind::Directory
        } else if file_type.is_file() {
            EntryKind::File
        } else {
            EntryKind::Special
        };
        let modified_ns = metadata.modified().map_or(0, |time| nanoseconds(time.into_std()));
        let created_ns = metadata.created().ok().map(|time| nanoseconds(time.into_std()));
        let mut stat = Self {
            kind,
            size: metadata.len(),
            modified_ns,
            changed_ns: modified_ns,
            created_ns,
            inode: 0,
            mode: None,
            owner: None,
        };
        stat.add_system_facts(metadata);
        stat
    }

    #[cfg(unix)]
    fn add_system_facts(&mut self, metadata: &Metadata) {
        use cap_std::fs::MetadataExt;
        self.changed_ns = metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec());
        self.inode = metadata.ino();
        self.mode = Some(metadata.mode() & 0o7777);
        self.owner = Some((metadata.uid(), metadata.gid()));
    }

    #[cfg(not(unix))]
    fn add_system_facts(&mut self, _: &Metadata) {}

    /// Changes whenever the entry or its content changes.
    pub(crate) fn change_key(&self) -> String {
        format!(
            "{:x}-{:x}-{:x}-{:x}",
            self.size, self.modified_ns, self.inode, self.changed_ns
        )
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let clip = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clip(after),
        Err(before) => -clip(before.duration()),
    }
}

fn system_time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let moved = if nanoseconds >= 0 {
        UNIX_EPOCH.checked_add(distance)
    } else {
        UNIX_EPOCH.checked_sub(distance)
    };
    moved.unwrap_or(UNIX_EPOCH)
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    path: PathBuf,
}

impl OpenFile {
    pub(crate) fn stat(&self) -> Result<Stat> {
        self.file
            .metadata()
            .map(|metadata| Stat::of(&metadata))
            .map_err(|e| io_error("cannot inspect", &self.path, e))
    }

    /// Reads until `buffer` is full or the file ends; returns how much.
    pub(crate) fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("cannot read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| io_error("cannot write", &self.path, error))
    }

    /// Writes all of these pieces, with one call of the system where it takes them all.
    pub(crate) fn write_pieces(&mut self, pieces: &[impl AsRef<[u8]>]) -> Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece.as_ref())).collect();
        let mut left = slices.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.file.write_vectored(left) {
                Ok(0) => {
                    return Err(io_error(
                        "cannot write",
                        &self.path,
                        io::ErrorKind::WriteZero.into(),
                    ));
                }
                Ok(count) => IoSlice::advance_slices(&mut left, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("cannot write", &self.path, error)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`, wherever the file stands.
    #[cfg(unix)]
    pub(crate) fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        cap_std::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    /// Fills `buffer` from `offset`, wherever the file stands.
    #[cfg(unix)]
    pub(crate) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        cap_std::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    /// Waits until content and metadata are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| io_error("cannot make durable", &self.path, error))
    }

    /// Sets the modification time.
    pub(crate) fn set_modified(&self, nanoseconds: i64) -> Result<()> {
        let clone = self
            .file
            .try_clone()
            .map_err(|error| io_error("cannot set the time of", &self.path, error))?;
        clone
            .into_std()
            .set_modified(system_time(nanoseconds))
            .map_err(|error| io_error("cannot set the time of", &self.path, error))
    }

    /// Sets the nine permission bits; set-id and sticky bits are never set.
    #[cfg(unix)]
    pub(crate) fn set_mode(&self, mode: u32) -> Result<()> {
        use cap_std::fs::PermissionsExt;
        self.file
            .set_permissions(cap_std::fs::Permissions::from_mode(mode & 0o777))
            .map_err(|error| io_error("cannot set the permissions of", &self.path, error))
    }

    /// Sets the nine permission bits; this system has none.
    #[cfg(not(unix))]
    pub(crate) fn set_mode(&self, _: u32) -> Result<()> {
        Ok(())
    }

    /// The file as a plain handle, for writers that need one.
    pub(crate) fn into_std(self) -> std::fs::File {
        self.file.into_std()
    }
}

/// A directory that everything else is relative to.
#[derive(Debug)]
pub(crate) struct Root {
    dir: Dir,
    path: PathBuf,
}

impl Root {
    /// Opens an existing directory. A symbolic link in `path` itself is followed: the caller named it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| io_error("cannot open the directory", path, error))?;
        Ok(Self {
            dir,
            path: path.to_owned(),
        })
    }

    /// Opens a directory, and makes it, with its parents, if there is none.
    pub(crate) fn open_or_make(path: &Path) -> Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())
            .map_err(|error| io_error("cannot make the directory", path, error))?;
        Self::open(path)
    }

    /// Opens a directory, and makes it, with its parents, for its owner alone if there is none.
    #[cfg(unix)]
    pub(crate) fn open_or_make_private(path: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io_error("cannot make the directory", path, error))?;
        Self::open(path)
    }

    /// Opens a directory that must be empty, and makes it, with its parents, if there is none.
    pub(crate) fn open_empty(path: &Path) -> Result<Self> {
        let root = Self::open_or_make(path)?;
        let mut entries = root
            .dir
            .entries()
            .map_err(|error| io_error("cannot list", path, error))?;
        if entries.next().is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "the directory '{}' is not empty; nothing in it was touched",
                    printable(path)
                ),
            )
            .with_hint("Name a new or an empty directory."));
        }
        Ok(root)
    }

    /// Splits a path into the directory that holds it (opened) and its last component.
    pub(crate) fn of_file(path: &Path) -> Result<(Self, OsString)> {
        let name = match path.components().next_back() {
            Some(Component::Normal(name)) => name.to_owned(),
            _ => {
                return Err(Error::invalid(
                    "path",
                    path.display(),
                    "a path that ends in a file name",
                ));
            }
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Ok((Self::open(parent)?, name))
    }

    /// Another handle of the same directory.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let dir = self
            .dir
            .try_clone()
            .map_err(|error| io_error("cannot use", &self.path, error))?;
        Ok(Self {
            dir,
            path: self.path.clone(),
        })
    }

    /// A directory below this one, as a root of its own.
    pub(crate) fn directory(&self, relative: &Path) -> Result<Self> {
        if relative.as_os_str().is_empty() {
            return self.try_clone();
        }
        let dir = self
            .dir
            .open_dir(relative)
            .map_err(self.fail("cannot open the directory", relative))?;
        Ok(Self {
            dir,
            path: self.full(relative),
        })
    }

    fn full(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() {
            self.path.clone()
        } else {
            self.path.join(relative)
        }
    }

    fn fail<'a>(&'a self, doing: &'a str, relative: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |error| io_error(doing, &self.full(relative), error)
    }

    /// What is at `relative`, not following a link in the last place; `None` if nothing.
    pub(crate) fn stat(&self, relative: &Path) -> Result<Option<Stat>> {
        let found = if relative.as_os_str().is_empty() {
            self.dir.dir_metadata()
        } else {
            self.dir.symlink_metadata(relative)
        };
        match found {
            Ok(metadata) => Ok(Some(Stat::of(&metadata))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.fail("cannot inspect", relative)(error)),
        }
    }

    /// Names in the directory `relative` (empty: the root), unsorted. An error item means that the list is incomplete.
    pub(crate) fn names(&self, relative: &Path) -> Result<Listing> {
        let dir = if relative.as_os_str().is_empty() {
            self.dir.try_clone().map_err(self.fail("cannot list", relative))?
        } else {
            cap_fs_ext::DirExt::open_dir_nofollow(&self.dir, relative)
                .map_err(self.fail("cannot list", relative))?
        };
        let entries = dir.entries().map_err(self.fail("cannot list", relative))?;
        let mut names = Vec::new();
        let mut broken = None;
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(error) => {
                    broken = Some(self.fail("cannot list all of", relative)(error));
                    break;
                }
            }
        }
        let path = self.full(relative);
        Ok(Listing {
            names,
            broken,
            directory: Self { dir, path },
        })
    }

    /// Opens a file for reading; a symbolic link in the last place is refused, a pipe does not block.
    pub(crate) fn open_file(&self, relative: &Path) -> Result<OpenFile> {
        use cap_fs_ext::OpenOptionsSyncExt;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .follow(FollowSymlinks::No)
            .maybe_dir(false)
            .nonblock(true);
        let file = self
            .dir
            .open_with(relative, &options)
            .map_err(self.fail("cannot open", relative))?;
        Ok(OpenFile {
            file,
            path: self.full(relative),
        })
    }

    /// Makes a file that must not exist. Only its owner may read it.
    pub(crate) fn create_file(&self, relative: &Path) -> Result<OpenFile> {
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .read(true)
            .write(true)
            .create_new(true)
            .follow(FollowSymlinks::No);
        let file = self
            .dir
            .open_with(relative, &options)
            .map_err(self.fail("cannot make", relative))?;
        Ok(OpenFile {
            file,
            path: self.full(relative),
        })
    }

    /// Makes a directory that must not exist. Only its owner may enter it.
    pub(crate) fn create_directory(&self, relative: &Path) -> Result<()> {
        #[cfg_attr(not(unix), allow(unused_mut, reason = "there is a mode to set only on Unix"))]
        let mut builder = cap_std::fs::DirBuilder::new();
        #[cfg(unix)]
        cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        self.dir
            .create_dir_with(relative, &builder)
            .map_err(self.fail("cannot make the directory", relative))
    }

    /// The target of a symbolic link, as stored.
    pub(crate) fn read_link(&self, relative: &Path) -> Result<PathBuf> {
        self.dir
            .read_link_contents(relative)
            .map_err(self.fail("cannot read the link", relative))
    }

    /// Makes a symbolic link with exactly this target, which may point anywhere: nothing here follows it.
    pub(crate) fn create_link(&self, relative: &Path, target: &Path) -> Result<()> {
        #[cfg(unix)]
        let made = self.dir.symlink_contents(target, relative);
        #[cfg(not(unix))]
        let made = self.dir.symlink_file(target, relative);
        made.map_err(self.fail("cannot make the link", relative))
    }

    /// Renames, replacing what has the new name.
    pub(crate) fn rename_over(&self, from: &Path, to: &Path) -> Result<()> {
        self.dir
            .rename(from, &self.dir, to)
            .map_err(self.fail("cannot rename to", to))
    }

    /// Renames, but never replaces: `AlreadyExists` if something has the new name.
    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        match self.rename_at_once(from, to) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => return Err(self.fail("cannot rename to", to)(error)),
            None => {}
        }
        // A hard link fails when the name is taken, which a rename does not.
        match self.dir.hard_link(from, &self.dir, to) {
            Ok(()) => self.remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(self.fail("cannot rename to", to)(error))
            }
            // No hard links on this file system, or none to a symbolic link.
            Err(_) => {
                if self.stat(to)?.is_some() {
                    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
                    return Err(self.fail("cannot rename to", to)(taken));
                }
                self.rename_over(from, to)
            }
        }
    }

    /// Renames with one call that refuses a name that is taken; `None` where the system or the file system has no such call,
    /// or leaves it open why it failed. Both names are in one directory, so that one handle on it is all that is needed.
    #[cfg(target_os = "linux")]
    fn rename_at_once(&self, from: &Path, to: &Path) -> Option<io::Result<()>> {
        use rustix::fs::{RenameFlags, renameat_with};
        let parent = from.parent().filter(|parent| to.parent() == Some(parent))?;
        let (from, to) = (from.file_name()?, to.file_name()?);
        let opened;
        let directory = if parent.as_os_str().is_empty() {
            &self.dir
        } else {
            opened = self.dir.open_dir(parent).ok()?;
            &opened
        };
        match renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
            Ok(()) => Some(Ok(())),
            Err(error) if error == rustix::io::Errno::EXIST => Some(Err(error.into())),
            Err(_) => None,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn rename_at_once(&self, _: &Path, _: &Path) -> Option<io::Result<()>> {
        None
    }

    /// Removes a file or link; what is not there is fine.
    pub(crate) fn remove_file(&self, relative: &Path) -> Result<()> {
        match self.dir.remove_file(relative) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.fail("cannot remove", relative)(error))
            }
            _ => Ok(()),
        }
    }

    /// Sets the modification time of a directory.
    pub(crate) fn set_directory_modified(&self, relative: &Path, nanoseconds: i64) -> Result<()> {
        use cap_fs_ext::{DirExt, SystemTimeSpec};
        let time = SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(system_time(nanoseconds)));
        self.dir
            .set_mtime(relative, time)
            .map_err(self.fail("cannot set the time of", relative))
    }

    /// Sets the permission bits of a directory; the owner always keeps access.
    #[cfg(unix)]
    pub(crate) fn set_directory_mode(&self, relative: &Path, mode: u32) -> Result<()> {
        use cap_std::fs::PermissionsExt;
        let permissions = cap_std::fs::Permissions::from_mode((mode & 0o777) | 0o700);
        self.dir
            .set_permissions(relative, permissions)
            .map_err(self.fail("cannot set the permissions of", relative))
    }

    /// Sets the permission bits of a directory; this system has none.
    #[cfg(not(unix))]
    pub(crate) fn set_directory_mode(&self, _: &Path, _: u32) -> Result<()> {
        Ok(())
    }

    /// Waits until the names in a directory are on the disk, where the system can promise that.
    pub(crate) fn sync_directory(&self, relative: &Path) -> Result<()> {
        #[cfg(unix)]
        {
            // As a file: a handle that only stands for a directory cannot be synced.
            let here = if relative.as_os_str().is_empty() {
                Path::new(".")
            } else {
                relative
            };
            let dir = self.dir.open(here);
            // Some file systems cannot sync a directory; the files themselves were synced.
            if let Ok(dir) = dir
                && let Err(error) = dir.sync_all()
            {
                tracing::debug!(%error, "a directory could not be synced");
            }
        }
        #[cfg(not(unix))]
        let _ = relative;
        Ok(())
    }
}

/// What [`Root::names`] found.
#[derive(Debug)]
pub(crate) struct Listing {
    pub names: Vec<OsString>,
    /// Set when the system broke off in the middle.
    pub broken: Option<Error>,
    /// The directory itself, to inspect its entries without resolving the path again.
    pub directory: Root,
}

/// The bytes of a name, as the system stores them.
#[cfg(unix)]
pub(crate) fn name_bytes(name: &OsStr) -> std::borrow::Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt;
    std::borrow::Cow::Borrowed(name.as_bytes())
}

/// The bytes of a name; lone surrogates are kept in their generalised UTF-8 form.
#[cfg(not(unix))]
pub(crate) fn name_bytes(name: &OsStr) -> std::borrow::Cow<'_, [u8]> {
    std::borrow::Cow::Borrowed(name.as_encoded_bytes())
}

/// The name with these bytes, as [`name_bytes`] gave them.
#[cfg(unix)]
pub(crate) fn name_from_bytes(bytes: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes))
}

/// The name with these bytes; names that are not Unicode cannot be made on this system.
#[cfg(not(unix))]
pub(crate) fn name_from_bytes(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}
