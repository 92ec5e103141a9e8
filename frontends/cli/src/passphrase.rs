//! Reads the passphrase or the key from the file that the user named: never from the command line, never from a variable.

use std::path::{Path, PathBuf};

use nakivo_core::Result;
use nakivo_core::access::{self, Read, SecretFiles};
use nakivo_core::format::{Passphrase, RecoveryKey, Secret};

use crate::grammar::PassphraseArgs;
use crate::output::Output;

/// Names the file where `--passphrase-file` does not.
pub(crate) const VARIABLE: &str = "NAKIVO_PASSPHRASE_FILE";
/// Names the file where `--key-file` does not.
const KEY_VARIABLE: &str = "NAKIVO_KEY_FILE";

/// The passphrase or the key, or `None` if no file is named anywhere. What the command line names goes before the
/// environment, and there a key before a passphrase, because it opens faster.
///
/// # Errors
/// Those of [`SecretFiles::read`].
pub(crate) fn read(arguments: &PassphraseArgs, output: &Output) -> Result<Option<Secret>> {
    let named = named(arguments);
    let files = SecretFiles {
        key_file: named.key_file,
        passphrase_file: named.file,
    };
    Ok(warned(files.read()?, output))
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

/// Reads a recovery key.
///
/// # Errors
/// As [`access::key`].
pub(crate) fn read_key(path: &Path, output: &Output) -> Result<RecoveryKey> {
    Ok(warned(access::key(path)?, output))
}

/// Reads a passphrase.
///
/// # Errors
/// As [`access::passphrase`].
pub(crate) fn read_file(path: &Path, output: &Output) -> Result<Passphrase> {
    Ok(warned(access::passphrase(path)?, output))
}

/// What a file holds, after a warning where it can be read by others.
pub(crate) fn warned<T>(read: Read<T>, output: &Output) -> T {
    if let Some(warning) = &read.warning {
        output.warning(warning);
    }
    read.value
}
