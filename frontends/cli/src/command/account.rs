//! Account files: TOML that says which organisation and how to sign in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nakivo_core::connector::Connector;
use nakivo_core::format::ObjectKind;
use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_connector::{AccountConfig, M365Connector, ReqwestHttp};
use zeroize::Zeroizing;

use super::backup::wants;
use crate::grammar::Service;
use crate::output::Output;
use crate::session::Session;

/// Largest account file.
const MAX_BYTES: u64 = 64 << 10;

/// A connector to the organisation that the account file names.
pub(crate) fn connect(session: &Session, path: &Path) -> Result<Arc<dyn Connector>> {
    connect_for(session, path, &[])
}

/// As [`connect`], looking for and reading nothing but these services; none: all that the account file says.
pub(crate) fn connect_for(
    session: &Session,
    path: &Path,
    services: &[Service],
) -> Result<Arc<dyn Connector>> {
    Ok(Arc::new(organisation(session, path, services)?))
}

/// As [`connect_for`], for what only organisations can do.
pub(super) fn organisation(session: &Session, path: &Path, services: &[Service]) -> Result<M365Connector> {
    let mut config = read(path, &session.output)?;
    let of_mailboxes: Vec<_> = services.iter().filter_map(|one| one.of_mailbox()).collect();
    if !of_mailboxes.is_empty() {
        config.mailbox_services = of_mailboxes;
    }
    let http = Arc::new(ReqwestHttp::new()?);
    let kinds = [ObjectKind::Mailbox, ObjectKind::Drive, ObjectKind::Site];
    let wanted = kinds.into_iter().filter(|kind| wants(services, *kind));
    Ok(M365Connector::new(&config, http, &session.environment)?.looking_for(wanted))
}

/// Reads an account file. Files that it names are looked for beside it.
pub(super) fn read(path: &Path, output: &Output) -> Result<AccountConfig> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
            std::io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("account file '{shown}': {error}"))
            .with_hint("See 'nakivo backup m365 --help' for what an account file holds.")
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.len() > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("account file '{shown}': larger than 64 KiB"),
        ));
    }
    // It may hold the secret itself.
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let mut config =
        AccountConfig::from_toml(&text).map_err(|error| error.context(format!("account file '{shown}'")))?;
    if config.client_secret.is_some() {
        warn_if_shared(&metadata, path, output);
    }
    let beside = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
    let resolve = |file: &mut Option<PathBuf>| {
        if let Some(file) = file {
            *file = beside.join(&*file);
        }
    };
    resolve(&mut config.client_secret_file);
    resolve(&mut config.certificate_file);
    resolve(&mut config.private_key_file);
    Ok(config)
}

#[cfg(unix)]
fn warn_if_shared(metadata: &std::fs::Metadata, path: &Path, output: &Output) {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        output.warning(&format!(
            "account file '{shown}' can be read by others; run: chmod 600 '{shown}'"
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_metadata: &std::fs::Metadata, _path: &Path, _output: &Output) {}
