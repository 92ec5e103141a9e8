//! Opens the place that a URL names, with the store settings that the user named: never from the command line itself.

use std::path::Path;

use nakivo_core::store::{StoreLocation, StoreSettings};
use nakivo_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::grammar::StoreArgs;
use crate::output::Output;
use crate::passphrase::named_in;

/// Names the file where `--store-config` does not.
pub(crate) const VARIABLE: &str = "NAKIVO_STORE_CONFIG";

/// Largest file with store settings.
const MAX_BYTES: u64 = 64 << 10;

/// The location and what opening it takes. The file is read only where the location needs it.
///
/// # Errors
/// `InvalidInput` for a URL or a file that is not understood, or a missing file; `NotFound`, `PermissionMissing` or
/// `Unavailable` if the file cannot be read.
pub(crate) fn locate(
    url: &str,
    arguments: &StoreArgs,
    output: &Output,
) -> Result<(StoreLocation, StoreSettings)> {
    let location = StoreLocation::parse(url)?;
    if location.is_memory() {
        return Err(Error::invalid(
            "repository location",
            url,
            "a place that outlives this command: file:, s3:, az: or gs:",
        ));
    }
    if !location.needs_settings() {
        return Ok((location, StoreSettings::default()));
    }
    let named = arguments.store_config.clone().or_else(|| named_in(VARIABLE));
    let Some(path) = named else {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{location}: no file with endpoint and credential is named"),
        )
        .with_hint(format!(
            "Name one with --store-config FILE or in {VARIABLE}; 'nakivo repo init --help' shows what it holds."
        )));
    };
    Ok((location, read(&path, output)?))
}

/// Reads a file of store settings. Files that it names are looked for beside it.
fn read(path: &Path, output: &Output) -> Result<StoreSettings> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            std::io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("store settings '{shown}': {error}"))
            .with_hint("See 'nakivo repo init --help' for what that file holds.")
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.len() > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("store settings '{shown}': larger than 64 KiB"),
        ));
    }
    // It may hold the secret itself.
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let settings =
        StoreSettings::from_toml(&text).map_err(|error| error.context(format!("file '{shown}'")))?;
    if settings.holds_secret() {
        warn_if_shared(&metadata, path, output);
    }
    Ok(settings.relative_to(path.parent().unwrap_or_else(|| Path::new(""))))
}

#[cfg(unix)]
fn warn_if_shared(metadata: &std::fs::Metadata, path: &Path, output: &Output) {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        output.warning(&format!(
            "store settings '{shown}' can be read by others; run: chmod 600 '{shown}'"
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_metadata: &std::fs::Metadata, _path: &Path, _output: &Output) {}
