//! Account files: TOML that says which organisation and how to sign in.

use std::path::Path;
use std::sync::Arc;

use nakivo_core::Result;
use nakivo_core::connector::Connector;
use nakivo_graph_connector::{AccountConfig, M365Connector};

use crate::grammar::Service;
use crate::output::Output;
use crate::passphrase::warned;
use crate::session::Session;

/// Where an account file is described.
pub(super) const HINT: &str = "See 'nakivo backup m365 --help' for what an account file holds.";

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
    let services: Result<Vec<_>> = services.iter().map(|service| service.known()).collect();
    M365Connector::for_services(read(path, &session.output)?, &services?, &session.environment)
}

/// Reads an account file. Files that it names are looked for beside it.
pub(super) fn read(path: &Path, output: &Output) -> Result<AccountConfig> {
    Ok(warned(AccountConfig::read(path, HINT)?, output))
}
