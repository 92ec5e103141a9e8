//! The command line: nouns and verbs, nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Examples:
  nakivo demo
  nakivo repo init file:/backup/vault --passphrase-file vault.pass
  nakivo repo init s3:bucket/vault --store-config store.toml --passphrase-file vault.pass
  nakivo backup m365 --repo file:/backup/vault --passphrase-file vault.pass --account contoso.toml
  nakivo find 'subject:invoice has:attachment' --repo file:/backup/vault --passphrase-file vault.pass

Exit codes:
  0 done    1 failed    2 usage    3 partial: some items failed and are listed, or the newest point cannot be read
  4 not found    5 denied    6 throttled or service unavailable    10 no repository    11 busy    12 wrong passphrase
  130 interrupted

Secrets are read from files, never from the command line. Environment:
  NAKIVO_PASSPHRASE_FILE  file with the passphrase in its first line, where --passphrase-file is not given
  NAKIVO_KEY_FILE         file with a recovery key, where neither --key-file nor --passphrase-file is given; goes first
  NAKIVO_STORE_CONFIG     file with endpoint and credential of an object store, where --store-config is not given
  NAKIVO_TO_PASSPHRASE_FILE and NAKIVO_TO_STORE_CONFIG  the same for the target of repo copy
  NAKIVO_STATE_DIR        where --state-dir is not given; else $XDG_STATE_HOME/nakivo, else ~/.local/state/nakivo
  NO_COLOR                no colours";

/// Back up and recover Microsoft 365 mailboxes and folders.
///
/// Recovery points live in an encrypted, deduplicated repository. Each is complete and comes back byte for byte.
#[derive(Debug, Parser)]
#[command(name = "nakivo", version, after_help = AFTER_HELP, subcommand_required = true)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_subcommands = false
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Write JSON Lines to standard output, each an object with "type"; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Write no messages but warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// How to show progress: auto, plain, json or none [default: auto: bars on a terminal, otherwise plain]
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) progress: ProgressMode,
    /// Where to remember the newest commit seen of each repository [default: ~/.local/state/nakivo]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, otherwise plain
    Auto,
    /// A line every 30 seconds
    Plain,
    /// A JSON line every second
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the main job on an emulated organisation, start to end, explained as it goes
    Demo(Demo),
    /// Run an emulated Microsoft 365 organisation until stopped
    Emulate(Emulate),
    /// Create, inspect and verify repositories
    #[command(subcommand)]
    Repo(Repo),
    /// Make a recovery point of a folder or of mailboxes
    #[command(subcommand)]
    Backup(Backup),
    /// Protected objects: what the repository holds recovery points of
    #[command(subcommand)]
    Object(Object),
    /// Recovery points
    #[command(subcommand)]
    Point(Point),
    /// Accounts: Microsoft 365 organisations that jobs name
    #[command(subcommand)]
    Account(Account),
    /// Jobs: what is backed up, where to and when; run them, see how they ran
    #[command(subcommand)]
    Job(Job),
    /// Run jobs by their schedules; bring them back after the state was lost
    #[command(subcommand)]
    Director(Director),
    /// Which points a policy keeps and why; remove the others
    #[command(subcommand)]
    Retention(Retention),
    /// List a folder of a recovery point
    Browse(Browse),
    /// Search the newest recovery points
    Find(Find),
    /// Write items of a recovery point back to Microsoft 365
    Recover(Recover),
    /// Write items of a recovery point to files
    Export(Export),
}

/// The repository a command opens.
#[derive(Debug, Args)]
pub(crate) struct RepositoryArgs {
    /// Where the repository is: file:PATH, s3:BUCKET/PREFIX, az:CONTAINER/PREFIX or gs:BUCKET/PREFIX
    #[arg(long = "repo", value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// The repository that is the first argument of a command.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Where the repository is: file:PATH, s3:BUCKET/PREFIX, az:CONTAINER/PREFIX or gs:BUCKET/PREFIX
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// Where endpoint and credential of an object store come from.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// TOML file with endpoint and credential of an object store [default: the one in $NAKIVO_STORE_CONFIG]
    #[arg(long = "store-config", value_name = "FILE")]
    pub(crate) store_config: Option<PathBuf>,
}

/// Where the passphrase or the key comes from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// File with the passphrase in its first line [default: the one in $NAKIVO_PASSPHRASE_FILE]
    #[arg(long = "passphrase-file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// File with a recovery key instead of a passphrase; opens faster [default: the one in $NAKIVO_KEY_FILE]
    #[arg(long = "key-file", value_name = "FILE", conflicts_with = "file")]
    pub(crate) key_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Whether a file is named.
    pub(crate) fn is_given(&self) -> bool {
        self.file.is_some() || self.key_file.is_some()
    }
}

const DEMO_HELP: &str = "\
Needs nothing but this program: mailboxes are served by an emulator in the same process. Everything is backed up, changed,
backed up again, searched, partly lost and recovered; every message is compared with its original bytes. Exit code 0 only
if everything matched.

Examples:
  nakivo demo
  nakivo demo --json --seed 7
  nakivo demo --mail-from ~/Mail --dir /tmp/nakivo-demo";

#[derive(Debug, Args)]
#[command(after_help = DEMO_HELP)]
pub(crate) struct Demo {
    /// Keep the repository in this folder, empty or of an earlier demo [default: a temporary one, removed]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Use the .eml files below this folder instead of an invented organisation
    #[arg(long, value_name = "DIR")]
    pub(crate) mail_from: Option<PathBuf>,
    /// Seed of the invented organisation and of the changes made to it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

const EMULATE_HELP: &str = "\
Standard output is an account file for --account. The emulated organisation lives in memory and ends with the process.

Examples:
  nakivo emulate --users 5 --items 2000 > account.toml
  nakivo emulate --listen 127.0.0.1:8365 --mail-from ~/Mail --contacts-from ~/contacts.vcf";

#[derive(Debug, Args)]
#[command(after_help = EMULATE_HELP)]
pub(crate) struct Emulate {
    /// Loopback address and port to listen on; port 0: any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Seed of the invented organisation
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Number of mailboxes
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) users: u32,
    /// Number of messages in each mailbox
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) items: u32,
    /// Serve the .eml files below this folder instead of invented mail
    #[arg(long, value_name = "DIR")]
    pub(crate) mail_from: Option<PathBuf>,
    /// Number of contacts in each invented mailbox
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) contacts: u32,
    /// Put the contacts of this .vcf file, or of those below this folder, into the first mailbox
    #[arg(long, value_name = "PATH")]
    pub(crate) contacts_from: Option<PathBuf>,
    /// Number of events in the calendars of each invented mailbox
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) events: u32,
    /// Number of files in each user's OneDrive; 0: nobody has one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) files: u32,
    /// Put the files and folders below this folder into the OneDrive of the first user
    #[arg(long, value_name = "DIR")]
    pub(crate) files_from: Option<PathBuf>,
    /// Number of SharePoint sites; each has as many files in its library and rows in a list as --files says
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) sites: u32,
}

mod care;
mod keys;

pub(crate) use care::{
    PointDelete, PointDescribe, PointDiff, PointProtect, RepoHeal, RepoReclaim, RepoVerify, Retention,
    RetentionArgs,
};
pub(crate) use keys::{
    Key, KeyAdd, KeyPassphrase, KeyRecovery, KeyReencrypt, KeyRemove, KeyRotate, NewPassphraseArgs,
};

mod copy;

pub(crate) use copy::RepoCopy;

mod account;
mod director;
mod jobs;

pub(crate) use account::{Account, AccountAdd, AccountCheck, AccountEdit};
pub(crate) use director::{Director, DirectorForget, DirectorJournal, DirectorRestore};
pub(crate) use jobs::{
    CatchUpChoice, HowArgs, Job, JobAdd, JobEdit, JobHistory, JobNamed, JobRemove, JobRun, KeepChoice,
    SourceArgs, WhenArgs,
};

mod locks;

pub(crate) use locks::{RepoLock, RepoUnhide};

mod registry;

pub(crate) use registry::{RepoEdit, RepoImport, RepoNamed, RepoRefresh, RepoRemove};

#[derive(Debug, Subcommand)]
pub(crate) enum Repo {
    /// Create a repository
    #[command(after_help = "\
Either --passphrase-file (or NAKIVO_PASSPHRASE_FILE) or --no-encryption is required. A lost passphrase cannot be replaced.

For s3:, az: and gs: the bucket or container must exist. The file for --store-config is TOML, readable by you alone:
  [s3]                                    # for s3:
  endpoint = \"https://s3.example.com\"     # absent: Amazon; then region is needed
  region = \"eu-central-1\"
  access_key_id = \"...\"
  secret_access_key_file = \"s3.secret\"    # or secret_access_key
  [azure]                                 # for az:
  account = \"...\"
  access_key_file = \"azure.key\"           # or access_key, sas_token, sas_token_file
  [gcs]                                   # for gs:
  service_account_file = \"key.json\"
ca_file = \"ca.pem\" in a section adds authorities that are trusted.

--immutable-days is proven by trying to break a lock; what is stored is locked for half as long again, and paid for until then.

Examples:
  nakivo repo init file:/backup/vault --passphrase-file vault.pass
  nakivo repo init s3:bucket/vault --store-config store.toml --passphrase-file vault.pass
  nakivo repo init s3:bucket/vault --store-config store.toml --passphrase-file vault.pass --immutable-days 30
  nakivo repo init file:vault --no-encryption --compression best")]
    Init(RepoInit),
    /// Show what a repository holds
    #[command(after_help = "Example:\n  nakivo repo info file:/backup/vault --passphrase-file vault.pass")]
    Info(RepoInfo),
    /// Read and authenticate what the recovery points need
    #[command(after_help = "\
Exit code 1 if anything is damaged or missing; each damaged object is named with the items that need it, and the points are
marked. Exit code 3 if time ran out, or if points are immutable here and a lock is shorter than promised.

Examples:
  nakivo repo verify file:/backup/vault --passphrase-file vault.pass
  nakivo repo verify file:/backup/vault --passphrase-file vault.pass --sample 10
  nakivo repo verify file:/backup/vault --resume --max-duration 2h")]
    Verify(RepoVerify),
    /// Rebuild, store again what somebody still has, and list the rest
    #[command(after_help = "\
The index is rebuilt from the packs, lost history is left behind, and damaged data is stored again where another repository or
the source still has the very same bytes. Exit code 3 if something cannot be healed; it is listed, and its points are marked.

Examples:
  nakivo repo heal file:/backup/vault --preview
  nakivo repo heal file:/backup/vault --from file:/second/vault --from-passphrase-file second.pass
  nakivo repo heal file:/backup/vault --folder /srv/files --object files
  nakivo repo heal file:/backup/vault --account contoso.toml")]
    Heal(RepoHeal),
    /// Free what no recovery point needs, while backups go on
    #[command(after_help = "\
Unused data is marked by one run and deleted by a later one, when the grace time is over.

Examples:
  nakivo repo reclaim file:/backup/vault --preview
  nakivo repo reclaim file:/backup/vault")]
    Reclaim(RepoReclaim),
    /// Renew the locks of an immutable repository
    #[command(after_help = locks::LOCK_HELP)]
    Lock(RepoLock),
    /// Bring back what somebody deleted in a bucket that keeps versions
    #[command(after_help = locks::UNHIDE_HELP)]
    Unhide(RepoUnhide),
    /// Passphrases and keys that open a repository
    #[command(
        subcommand,
        after_help = "Example:\n  nakivo repo key recovery file:/backup/vault --passphrase-file vault.pass"
    )]
    Key(Key),
    /// Copy recovery points into another repository
    #[command(after_help = copy::AFTER_HELP)]
    Copy(RepoCopy),
    /// List the repositories that are known by a name
    #[command(after_help = "Example:\n  nakivo repo list")]
    List,
    /// Call an existing repository by a name
    #[command(after_help = registry::IMPORT_HELP)]
    Import(RepoImport),
    /// Use a detached repository again
    #[command(after_help = "Example:\n  nakivo repo attach vault")]
    Attach(RepoNamed),
    /// Refuse commands that name a repository, until it is attached
    #[command(after_help = "\
What is stored is whole at every moment. A command of another process that is running goes on.

Example:\n  nakivo repo detach vault")]
    Detach(RepoNamed),
    /// Change name, location, secret files, description or days of immutability
    #[command(
        after_help = "Example:\n  nakivo repo edit vault --url file:/mnt/new/vault --description \"moved\""
    )]
    Edit(RepoEdit),
    /// Read the figures of known repositories anew
    #[command(after_help = "Example:\n  nakivo repo refresh")]
    Refresh(RepoRefresh),
    /// Forget a repository, keeping its data or deleting it
    #[command(after_help = registry::REMOVE_HELP)]
    Remove(RepoRemove),
}

#[derive(Debug, Args)]
pub(crate) struct RepoInit {
    /// Where to create it: file:PATH, s3:BUCKET/PREFIX, az:CONTAINER/PREFIX or gs:BUCKET/PREFIX
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// How hard to compress
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = CompressionLevel::Medium)]
    pub(crate) compression: CompressionLevel,
    /// Nobody can remove a recovery point for so many days after it was made, 1 to 3650; needs an S3 bucket with object lock
    #[arg(long, value_name = "DAYS")]
    pub(crate) immutable_days: Option<u32>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Whoever can read what is stored can read the mail; changes are still detected
    #[arg(long, conflicts_with_all = ["file", "key_file"])]
    pub(crate) no_encryption: bool,
}

/// How hard a repository compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum CompressionLevel {
    /// Not at all
    Disabled,
    /// Little, for slow processors
    Fast,
    /// The balance for most
    Medium,
    /// Much, at the cost of time
    Best,
}

#[derive(Debug, Args)]
pub(crate) struct RepoInfo {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Also find out what could be freed; reads the listings of all points
    #[arg(long)]
    pub(crate) reclaimable: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Make a recovery point of a folder
    #[command(
        after_help = "Example:\n  nakivo backup folder /srv/files --repo file:/backup/vault --name files"
    )]
    Folder(BackupFolder),
    /// Make a recovery point of each mailbox, each OneDrive and each SharePoint site
    #[command(after_help = "\
The account file is TOML, readable by you alone:
  display_name = \"Contoso\"
  directory_id = \"...\"
  app_id = \"...\"
  client_secret_file = \"secret.txt\"     # or client_secret, or certificate_file with private_key_file
  onedrive_units_per_minute = 1250      # what calls about OneDrive and SharePoint may cost; 0: as much as the service allows
  mailbox_services = [\"mail\", \"contacts\", \"calendar\"]    # what is read of mailboxes; the rest stays as it was

Examples:
  nakivo backup m365 --repo file:/backup/vault --account contoso.toml
  nakivo backup m365 --repo file:/backup/vault --account contoso.toml --service mail
  nakivo backup m365 --repo file:/backup/vault --account contoso.toml --object anna@contoso.com
  nakivo backup m365 --repo file:/backup/vault --account contoso.toml --object onedrive:anna@contoso.com
  nakivo backup m365 --repo file:/backup/vault --account contoso.toml --object https://contoso.sharepoint.com/sites/team")]
    M365(BackupM365),
}

#[derive(Debug, Args)]
pub(crate) struct BackupFolder {
    /// The folder
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Name of the protected object; the same name continues its recovery points
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupM365 {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// TOML file that says which organisation and how to sign in
    #[arg(long, value_name = "FILE")]
    pub(crate) account: PathBuf,
    /// Only this mailbox, or with 'onedrive:' before the address this drive, or the site with this URL; may be repeated
    /// [default: all]
    #[arg(long = "object", value_name = "ADDRESS")]
    pub(crate) objects: Vec<String>,
    /// Only this service; may be repeated. What is not read of a mailbox stays as it was [default: all that the account may
    /// read]
    #[arg(
        long = "service",
        value_name = "SERVICE",
        value_enum,
        conflicts_with = "objects"
    )]
    pub(crate) services: Vec<Service>,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}

/// A service of Microsoft 365.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Service {
    /// Messages of mailboxes
    Mail,
    /// Contacts of mailboxes
    Contacts,
    /// Events of mailboxes
    Calendar,
    /// The users' drives
    OneDrive,
    /// Sites with their document libraries and lists
    SharePoint,
}

/// Whether partial success is good enough.
#[derive(Debug, Args)]
pub(crate) struct PartialArgs {
    /// Exit with 0 instead of 3 when some items could not be processed
    #[arg(long)]
    pub(crate) partial_ok: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Object {
    /// List the protected objects
    #[command(after_help = "Example:\n  nakivo object list --repo file:/backup/vault")]
    List(ObjectList),
}

#[derive(Debug, Args)]
pub(crate) struct ObjectList {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Point {
    /// List the recovery points of an object, oldest first
    #[command(
        after_help = "Example:\n  nakivo point list --repo file:/backup/vault --object anna@contoso.com"
    )]
    List(PointList),
    /// Show one recovery point
    #[command(
        after_help = "Example:\n  nakivo point show --repo file:/backup/vault --object files --point 3fa2"
    )]
    Show(PointArgs),
    /// Say how long a point is kept, whatever retention says
    #[command(after_help = "\
Examples:
  nakivo point protect --repo file:/backup/vault --object files --until 2027-12-31
  nakivo point protect --repo file:/backup/vault --object files --point 3fa2 --forever")]
    Protect(PointProtect),
    /// Note something about a point
    #[command(
        after_help = "Example:\n  nakivo point describe --repo file:/backup/vault --object files \"before the migration\""
    )]
    Describe(PointDescribe),
    /// Delete points, one or many; protected ones stay
    #[command(after_help = "\
Space is freed by: nakivo repo reclaim.

Examples:
  nakivo point delete --repo file:/backup/vault --point 3fa2
  nakivo point delete --repo file:/backup/vault --object files --older-than 6m --preview
  nakivo point delete --repo file:/backup/vault --corrupted --preview
  nakivo point delete --repo file:/backup/vault --all-but latest
  nakivo point delete --repo file:/backup/vault --except-object anna@contoso.com --except-object files --all --preview")]
    Delete(PointDelete),
    /// List what differs between two points of an object
    #[command(
        after_help = "Example:\n  nakivo point diff --repo file:/backup/vault --object files 3fa2 latest"
    )]
    Diff(PointDiff),
}

#[derive(Debug, Args)]
pub(crate) struct PointList {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Name, address or id of the protected object
    #[arg(long, value_name = "NAME")]
    pub(crate) object: String,
}

/// One recovery point of one object.
#[derive(Debug, Args)]
pub(crate) struct PointArgs {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Name, address or id of the protected object
    #[arg(long, value_name = "NAME")]
    pub(crate) object: String,
    /// Which recovery point: latest, or the first digits of its id
    #[arg(long, value_name = "latest|ID", default_value = "latest")]
    pub(crate) point: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nakivo browse --repo file:/backup/vault --object anna@contoso.com
  nakivo browse --repo file:/backup/vault --object anna@contoso.com --point 3fa2 Inbox/Projects")]
pub(crate) struct Browse {
    #[command(flatten)]
    pub(crate) point: PointArgs,
    /// Folder to list [default: the top]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
All terms must match; case does not matter; ? and * stand for one or any characters; quotes keep words together:
  invoice  from:anna  to:  subject:  in:FOLDER  has:attachment  type:  after:2026-01-31  before:  size>1M  size<

Example:
  nakivo find 'subject:invoice has:attachment after:2026-01-01' --repo file:/backup/vault --object anna@contoso.com")]
pub(crate) struct Find {
    /// What to look for
    #[arg(value_name = "QUERY")]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Search only this object
    #[arg(long, value_name = "NAME")]
    pub(crate) object: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing that exists is touched unless --on-conflict overwrite is given; what is identical already is left alone.

Examples:
  nakivo recover --repo file:/backup/vault --object anna@contoso.com --account contoso.toml --preview Inbox/Projects
  nakivo recover --repo file:/backup/vault --object anna@contoso.com --account contoso.toml Inbox/Projects
  nakivo recover --repo file:/backup/vault --object anna@contoso.com --account contoso.toml --to-mailbox ben@contoso.com
  nakivo recover --repo file:/backup/vault --object onedrive:anna@contoso.com --account contoso.toml --to-drive ben@contoso.com
  nakivo recover --repo file:/backup/vault --object https://contoso.sharepoint.com/sites/team --account contoso.toml --to-site https://contoso.sharepoint.com/sites/copy Documents/Plans")]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) point: PointArgs,
    /// TOML file that says which organisation and how to sign in
    #[arg(long, value_name = "FILE")]
    pub(crate) account: PathBuf,
    /// Write to this mailbox instead of the original one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to_mailbox: Option<String>,
    /// Write to the OneDrive of this user instead of the original one
    #[arg(long, value_name = "ADDRESS", conflicts_with = "to_mailbox")]
    pub(crate) to_drive: Option<String>,
    /// Write to this SharePoint site instead of the original one; libraries that it lacks are made
    #[arg(long, value_name = "URL", conflicts_with_all = ["to_mailbox", "to_drive"])]
    pub(crate) to_site: Option<String>,
    /// What to do where something else is in an item's place
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = ConflictChoice::Rename)]
    pub(crate) on_conflict: ConflictChoice,
    /// Show what would be done, write nothing
    #[arg(long)]
    pub(crate) preview: bool,
    /// Folders or items to recover [default: everything]
    #[arg(value_name = "PATH|ID")]
    pub(crate) selection: Vec<String>,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}

/// What to do where something else is in an item's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum ConflictChoice {
    /// Recover beside it under another name
    Rename,
    /// Leave what exists
    Skip,
    /// Replace it, once the replacement is complete and read back
    Overwrite,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Names are made safe for every file system; manifest.jsonl beside them keeps the original ones. Existing files are never
overwritten.

Examples:
  nakivo export --repo file:/backup/vault --object anna@contoso.com --to anna/ Inbox
  nakivo export --repo file:/backup/vault --object anna@contoso.com --to anna.zip --format mbox
  nakivo export --repo file:/backup/vault --object files --point 3fa2 --to restored/")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) point: PointArgs,
    /// Folder to write to, or a file that ends in .zip
    #[arg(long, value_name = "DIR|FILE.zip")]
    pub(crate) to: PathBuf,
    /// One .eml file for each message, or one mbox for each folder [default: eml for mail; files stay files]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<FormatChoice>,
    /// Folders or items to export [default: everything]
    #[arg(value_name = "PATH|ID")]
    pub(crate) selection: Vec<String>,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum FormatChoice {
    /// One file for each message
    Eml,
    /// One file for each folder
    Mbox,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
