//! The commands about accounts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const ADD_HELP: &str = "\
The account is tried at once: if signing in fails, it is not added; if permissions are missing, it is, the services that they block
are named, and the exit code is 3. What is in the file, the secret above all, is read when it is needed and kept nowhere else.
'nakivo backup m365 --help' says what it holds.

Examples:
  nakivo account add Contoso --file contoso.toml
  nakivo job add Mail --repo main --account Contoso --service mail --daily 22:00";

const CHECK_HELP: &str = "\
Tries what each service needs and changes nothing; what only recovery needs is therefore not tried. The exit code is 3 if a
permission is missing.

Examples:
  nakivo account check
  nakivo account check Contoso --json";

const EDIT_HELP: &str = "\
Jobs stay, and use the account as it is then with their next runs. A secret that was renewed needs no command: it is read from its
file whenever it is needed.

Examples:
  nakivo account edit Contoso --file new/contoso.toml
  nakivo account edit Contoso --new-name 'Contoso Ltd'";

/// Accounts: Microsoft 365 organisations that jobs name.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Add an account, and try it
    #[command(after_help = ADD_HELP)]
    Add(AccountAdd),
    /// List the accounts and the jobs that use them
    #[command(after_help = "Example:\n  nakivo account list")]
    List,
    /// Show one account
    #[command(after_help = "Example:\n  nakivo account show Contoso")]
    Show(AccountNamed),
    /// Try what an account may do
    #[command(after_help = CHECK_HELP)]
    Check(AccountCheck),
    /// Change an account
    #[command(after_help = EDIT_HELP)]
    Edit(AccountEdit),
    /// Forget an account that no job uses; its file stays
    #[command(after_help = "Example:\n  nakivo account remove Contoso")]
    Remove(AccountNamed),
}

/// The account that a command is about.
#[derive(Debug, Args)]
pub(crate) struct AccountNamed {
    /// Name or id of the account
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
}

#[derive(Debug, Args)]
pub(crate) struct AccountAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// TOML file that says which Microsoft 365 organisation and how to sign in
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Note this about it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// Do not try it
    #[arg(long)]
    pub(crate) no_check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AccountCheck {
    /// Names or ids of accounts [default: all]
    #[arg(value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountEdit {
    #[command(flatten)]
    pub(crate) named: AccountNamed,
    #[command(flatten)]
    pub(crate) what: AccountEdits,
}

/// What is changed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct AccountEdits {
    /// Call it this
    #[arg(long, value_name = "NAME")]
    pub(crate) new_name: Option<String>,
    /// It is in this file now
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Note this about it; empty to take the note away
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}
