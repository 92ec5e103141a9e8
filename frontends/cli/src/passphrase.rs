//! Reads the passphrase or the key from the file that the user named: never from the command line, never from a variable.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nakivo_core::format::{Passphrase, RecoveryKey, Secret};
use nakivo_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::grammar::PassphraseArgs;
use crate::output::Output;

/// Names the file where `--passphrase-file` does not.
pub(crate) const VARIABLE: &str = "NAKIVO_PASSPHRASE_FILE";
/// Names the file where `--key-file` does not.
const KEY_VARIABLE: &str = "NAKIVO_KEY_FILE";

/// Longest first line. A file without a line end within this length is no passphrase file.
const MAX_BYTES: u64 = 4096;

/// The passphrase or the key, or `None` if no file is named anywhere. What the command line names goes before the
/// environment, and there a key before a passphrase, because it opens faster.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` if the file cannot be read; `InvalidInput` if its first line is empty,
/// too long or not UTF-8, or if it holds no recovery key.
pub(crate) fn read(arguments: &PassphraseArgs, output: &Output) -> Result<Option<Secret>> {
    let named = named(arguments);
    match (&named.key_file, &named.file) {
        (Some(path), _) => read_key(path, output).map(|key| Some(key.into())),
        (None, Some(path)) => read_file(path, output).map(|passphrase| Some(passphrase.into())),
        (None, None) => Ok(None),
    }
}

/// The files that are named on the command line or, if none is, by the environment.
pub(crate) fn named(arguments: &PassphraseArgs) -> PassphraseArgs {
    if arguments.is_given() {
        return arguments.clone();
    }
    PassphraseArgs {
        key_file: named_in(KEY_VARIABLE),
        file: named_in(VARIABLE),
    }
}

/// The file that a variable names.
pub(crate) fn named_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The bytes of a file, up to one more than are allowed.
fn read_bytes(path: &Path, what: &str, hint: &str, output: &Output) -> Result<Zeroizing<Vec<u8>>> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{what} '{shown}': {error}")).with_hint(hint)
    };
    let file = File::open(path).map_err(failed)?;
    warn_if_shared(&file, path, what, output);
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(MAX_BYTES).unwrap_or_default() + 1,
    ));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads a recovery key.
///
/// # Errors
/// As [`read`]; a typing error is named by its group.
pub(crate) fn read_key(path: &Path, output: &Output) -> Result<RecoveryKey> {
    let hint = "Name a file that holds a recovery key as it was printed: 8 groups of 8 characters.";
    let bytes = read_bytes(path, "key file", hint, output)?;
    let refused = |why: String| {
        let message = format!("key file '{}': {why}", path.display());
        Error::new(ErrorKind::InvalidInput, message).with_hint(hint)
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused("it is longer than 4096 bytes".to_owned()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8 text".to_owned()))?;
    RecoveryKey::parse(text).map_err(|error| refused(error.to_string()))
}

/// Reads a passphrase.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_file(path: &Path, output: &Output) -> Result<Passphrase> {
    let shown = path.display();
    let hint = "Name a file whose first line is the passphrase.";
    let bytes = read_bytes(path, "passphrase file", hint, output)?;
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
fn warn_if_shared(file: &File, path: &Path, what: &str, output: &Output) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        output.warning(&format!(
            "{what} '{shown}' can be read by others; run: chmod 600 '{shown}'"
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_file: &File, _path: &Path, _what: &str, _output: &Output) {}
