//! Reads the passphrase from the file that the user named: never from the command line, never from a variable.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nakivo_core::format::Passphrase;
use nakivo_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::grammar::PassphraseArgs;
use crate::output::Output;

/// Names the file where `--passphrase-file` does not.
pub(crate) const VARIABLE: &str = "NAKIVO_PASSPHRASE_FILE";

/// Longest first line. A file without a line end within this length is no passphrase file.
const MAX_BYTES: u64 = 4096;

/// The passphrase, or `None` if no file is named anywhere.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` if the file cannot be read; `InvalidInput` if its first line is empty,
/// too long or not UTF-8.
pub(crate) fn read(arguments: &PassphraseArgs, output: &Output) -> Result<Option<Passphrase>> {
    let named = arguments.file.clone().or_else(|| named_in(VARIABLE));
    named.map(|path| read_file(&path, output)).transpose()
}

/// The file that a variable names.
pub(crate) fn named_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn read_file(path: &Path, output: &Output) -> Result<Passphrase> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("passphrase file '{shown}': {error}"))
            .with_hint("Name a file whose first line is the passphrase.")
    };
    let file = File::open(path).map_err(failed)?;
    warn_if_shared(&file, path, output);
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(MAX_BYTES).unwrap_or_default() + 1,
    ));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
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
    if line.len() as u64 > MAX_BYTES {
        return Err(refused("its first line is longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|_| refused("its first line is not UTF-8 text"))?;
    Ok(Passphrase::new(text))
}

#[cfg(unix)]
fn warn_if_shared(file: &File, path: &Path, output: &Output) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        output.warning(&format!(
            "passphrase file '{shown}' can be read by others; run: chmod 600 '{shown}'"
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_file: &File, _path: &Path, _output: &Output) {}
