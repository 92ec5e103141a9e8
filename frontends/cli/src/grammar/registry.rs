//! The commands that keep the list of known repositories.

use std::path::PathBuf;

use clap::Args;
use nakivo_core::registry::RepositoryName;

use super::{PassphraseArgs, StoreArgs};

pub(super) const IMPORT_HELP: &str = "\
The repository must exist. All its backups are there at once. Afterwards its name stands for it in every command, and the
files named here are used where none are given. The list is kept in the state directory; secrets are not.

Example:
  nakivo repo import file:/backup/vault --name vault --passphrase-file vault.pass";

pub(super) const REMOVE_HELP: &str = "\
Without --with-data only the name is forgotten. With it every object of the repository is deleted, for ever; nobody may write to
it meanwhile. If it is interrupted, the same command finishes it.

Examples:
  nakivo repo remove vault
  nakivo repo remove vault --with-data --confirm 3fa29c01";

/// The repository that a command is about.
#[derive(Debug, Args)]
pub(crate) struct RepoNamed {
    /// Name of the repository
    #[arg(value_name = "NAME")]
    pub(crate) name: RepositoryName,
}

#[derive(Debug, Args)]
pub(crate) struct RepoImport {
    /// Where the repository is: file:PATH, s3:BUCKET/PREFIX, az:CONTAINER/PREFIX or gs:BUCKET/PREFIX
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// What to call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: RepositoryName,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RepoEdit {
    #[command(flatten)]
    pub(crate) named: RepoNamed,
    #[command(flatten)]
    pub(crate) what: RepoEdits,
}

/// What is changed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct RepoEdits {
    /// Call it this
    #[arg(long, value_name = "NAME")]
    pub(crate) new_name: Option<RepositoryName>,
    /// It is there now
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Its passphrase is in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A recovery key of it is in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Endpoint and credential are in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) store_config: Option<PathBuf>,
    /// Note this about it; empty to take the note away
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Nobody can remove a recovery point for so many days, 1 to 3650; fewer than before: only what is stored from now on
    #[arg(long, value_name = "DAYS")]
    pub(crate) immutable_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct RepoRemove {
    #[command(flatten)]
    pub(crate) named: RepoNamed,
    /// Delete everything in it
    #[arg(long, requires = "confirm")]
    pub(crate) with_data: bool,
    /// The first 8 or more digits of the repository's id, so that nothing is deleted by mistake
    #[arg(long, value_name = "ID", requires = "with_data")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RepoRefresh {
    /// Names of repositories [default: all that are attached]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<RepositoryName>,
}
