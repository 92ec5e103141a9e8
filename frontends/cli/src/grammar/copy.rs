//! The command that copies recovery points.

use std::path::PathBuf;

use clap::Args;

use super::{PartialArgs, PassphraseArgs, StoreArgs};

pub(super) const AFTER_HELP: &str = "\
The copies keep id, time, protection and description. What the target has is not copied again; what was removed there does not
come back. The target must exist: nakivo repo init. Exit code 3 if anything is damaged in the source; it is listed, and
the copied point lists it too.

Examples:
  nakivo repo copy file:/backup/vault s3:bucket/vault --passphrase-file vault.pass --to-store-config store.toml
  nakivo repo copy file:/backup/vault file:/mnt/second --to-passphrase-file second.pass --object anna@contoso.com --preview";

#[derive(Debug, Args)]
pub(crate) struct RepoCopy {
    /// The repository to copy from
    #[arg(value_name = "FROM_URL")]
    pub(crate) from: String,
    /// The repository to copy into
    #[arg(value_name = "TO_URL")]
    pub(crate) to: String,
    /// Only points of this protected object; may be repeated [default: of every object]
    #[arg(long = "object", value_name = "NAME")]
    pub(crate) objects: Vec<String>,
    /// Only this point, by the first digits of its id; may be repeated [default: every point]
    #[arg(long = "point", value_name = "ID")]
    pub(crate) points: Vec<String>,
    /// Also copy points older than what the target holds of the object; they count as its newest there
    #[arg(long)]
    pub(crate) late: bool,
    /// Only list what would be copied
    #[arg(long)]
    pub(crate) preview: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// --store-config of TO_URL [default: the one in $NAKIVO_TO_STORE_CONFIG, else that of FROM_URL]
    #[arg(long, value_name = "FILE")]
    pub(crate) to_store_config: Option<PathBuf>,
    /// --passphrase-file of TO_URL [default: the one in $NAKIVO_TO_PASSPHRASE_FILE, else that of FROM_URL]
    #[arg(long, value_name = "FILE")]
    pub(crate) to_passphrase_file: Option<PathBuf>,
    /// --key-file of TO_URL
    #[arg(long, value_name = "FILE", conflicts_with = "to_passphrase_file")]
    pub(crate) to_key_file: Option<PathBuf>,
    /// TO_URL is not encrypted
    #[arg(long, conflicts_with_all = ["to_passphrase_file", "to_key_file"])]
    pub(crate) to_unencrypted: bool,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}
