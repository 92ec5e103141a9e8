//! Opens the place that a URL names, with the store settings that the user named: never from the command line itself.

use nakivo_core::access;
use nakivo_core::store::{StoreLocation, StoreSettings};
use nakivo_core::{Error, ErrorKind, Result};

use crate::grammar::StoreArgs;
use crate::output::Output;
use crate::passphrase::{named_in, warned};

/// Names the file where `--store-config` does not.
pub(crate) const VARIABLE: &str = "NAKIVO_STORE_CONFIG";

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
    let hint = "See 'nakivo repo init --help' for what that file holds.";
    Ok((location, warned(access::store_settings(&path, hint)?, output)))
}
