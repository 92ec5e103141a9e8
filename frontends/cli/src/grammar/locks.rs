//! The commands about locks on stored objects.

use clap::Args;

use super::PlaceArgs;

pub(super) const LOCK_HELP: &str = "\
A backup renews locks at its end when that is due, so this is needed only where backups pause, or where a credential that may not
renew locks makes them. Exit code 3 if an object that is listed was not there.

Examples:
  nakivo repo lock s3:bucket/vault --store-config store.toml --passphrase-file vault.pass
  nakivo repo lock vault --force";

pub(super) const UNHIDE_HELP: &str = "\
In a bucket that keeps versions a deletion only hides objects. Removing the marks needs the right to delete versions. Key slots come
back with --keys only: also those that were removed on purpose. What was written over is listed and left alone. Exit code 3 if
something is listed that did not come back.

Examples:
  nakivo repo unhide s3:bucket/vault --store-config store.toml --passphrase-file vault.pass --preview
  nakivo repo unhide s3:bucket/vault --store-config store.toml --passphrase-file vault.pass --keys";

#[derive(Debug, Args)]
pub(crate) struct RepoLock {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Renew all locks, also if that is not due
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RepoUnhide {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Also bring back key slots
    #[arg(long)]
    pub(crate) keys: bool,
    /// Only say what would come back
    #[arg(long)]
    pub(crate) preview: bool,
}
