//! The commands that care for what opens a repository.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PlaceArgs;
use super::care::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the key slots
    #[command(
        after_help = "Example:\n  nakivo repo key list file:/backup/vault --passphrase-file vault.pass"
    )]
    List(KeyList),
    /// Let one more passphrase open the repository
    #[command(
        after_help = "Example:\n  nakivo repo key add file:/backup/vault --passphrase-file vault.pass --new-passphrase-file anna.pass --label anna"
    )]
    Add(KeyAdd),
    /// Take away what a passphrase or a key opens
    #[command(after_help = "\
The slot that opened the repository cannot be removed: open it with another passphrase or key for that. Whoever had the secret may
have kept what it opened; if it is in the wrong hands, rotate the keys.

Example:
  nakivo repo key remove file:/backup/vault 8f1c --passphrase-file vault.pass")]
    Remove(KeyRemove),
    /// Change the passphrase that the repository was opened with; no data is written anew
    #[command(
        after_help = "Example:\n  nakivo repo key passphrase file:/backup/vault --passphrase-file old.pass --new-passphrase-file new.pass"
    )]
    Passphrase(KeyPassphrase),
    /// Make a recovery key: to print and lock away, or as a key file for machines
    #[command(after_help = "\
The key is shown once and stored nowhere. It opens the repository without the time that a passphrase takes.

Examples:
  nakivo repo key recovery file:/backup/vault --passphrase-file vault.pass
  nakivo repo key recovery file:/backup/vault --passphrase-file vault.pass --out vault.key
  nakivo repo info file:/backup/vault --key-file vault.key")]
    Recovery(KeyRecovery),
    /// Begin a new epoch of keys, when a secret or a machine fell into the wrong hands
    #[command(after_help = "\
New data is encrypted with keys that cannot be derived from any that were there before. What was stored before is encrypted anew
right after, which may be interrupted and goes on with `nakivo repo key reencrypt`. The secret that opened the repository stays
valid; name the others that shall, and say --drop-others if the rest shall not. If it is the very secret that was lost, first add
another and open the repository with that.

Examples:
  nakivo repo key rotate file:/backup/vault --passphrase-file new.pass --drop-others
  nakivo repo key rotate file:/backup/vault --passphrase-file vault.pass --keep-key-file recovery.key --no-reencrypt")]
    Rotate(KeyRotate),
    /// Encrypt anew what is still under keys of older epochs, while backups go on
    #[command(after_help = "\
What was replaced is deleted by a later run, when the grace time is over.

Examples:
  nakivo repo key reencrypt file:/backup/vault --preview
  nakivo repo key reencrypt file:/backup/vault")]
    Reencrypt(KeyReencrypt),
}

#[derive(Debug, Args)]
pub(crate) struct KeyList {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Where a new passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseArgs {
    /// File with the new passphrase in its first line
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: PathBuf,
    /// What to call it in the list
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyAdd {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) new: NewPassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyPassphrase {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) new: NewPassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRemove {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Id of the slot, or its beginning (4 or more digits)
    #[arg(value_name = "SLOT")]
    pub(crate) slot: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRecovery {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Write the key into this new file, readable by you alone, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What to call it in the list
    #[arg(long, value_name = "TEXT", default_value = "recovery key")]
    pub(crate) label: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRotate {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// File with another passphrase that stays valid; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) keep_passphrase_file: Vec<PathBuf>,
    /// File with a recovery key that stays valid; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) keep_key_file: Vec<PathBuf>,
    /// All other passphrases and keys open the repository no more
    #[arg(long)]
    pub(crate) drop_others: bool,
    /// Do not encrypt anew what was stored before
    #[arg(long)]
    pub(crate) no_reencrypt: bool,
    /// How long what was replaced stays before it is deleted, such as 90m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) grace: std::time::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct KeyReencrypt {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) preview: bool,
    /// How long what was replaced stays before it is deleted, such as 90m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) grace: std::time::Duration,
}
