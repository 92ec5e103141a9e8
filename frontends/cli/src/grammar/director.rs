//! The commands about the director: running jobs, and what is kept of them in repositories.

use clap::{Args, Subcommand};
use nakivo_core::director::DirectorId;

use super::{PassphraseArgs, RepositoryArgs, StoreArgs};

const RUN_HELP: &str = "\
Begins with runs that were interrupted. Jobs can be added, changed and removed meanwhile, from other terminals. On Ctrl-C the runs
that go on save their progress, and continue at the next start. Stopped in order, it ends with 0, whatever its runs came to: that is
in their history. See: nakivo job history

Examples:
  nakivo director run
  nakivo director run --json";

const JOURNAL_HELP: &str = "\
Every change of jobs is written, sealed, into each repository that jobs back up to. Where that was not possible it is done later: when
a run opens the repository, with the next change, every 15 minutes while the director runs, or with --write. The exit code is 3
while a repository lacks the jobs as they are now.

Examples:
  nakivo director journal
  nakivo director journal --write
  nakivo director journal --repo file:/backup/vault --passphrase-file vault.pass";

const RESTORE_HELP: &str = "\
For when the state directory is lost: jobs, schedules and the names of repositories come back from the journal in one repository
that jobs backed up to. The state must have no jobs. Nothing runs before 'director run', and only times from now on are due. Files
that jobs name, such as passphrases and accounts, are looked for where they were; history does not come back.

Examples:
  nakivo director restore --repo file:/backup/vault --passphrase-file vault.pass
  nakivo director restore --repo s3:bucket/vault --store-config store.toml --passphrase-file vault.pass --director 7d0f...";

const FORGET_HELP: &str = "\
For journals that a restore would otherwise ask about, such as that of a rehearsal. Recovery points stay. A director that is alive
writes its journal anew at its next occasion.

Examples:
  nakivo director journal --repo file:/backup/vault --passphrase-file vault.pass
  nakivo director forget --repo file:/backup/vault --passphrase-file vault.pass --director 7d0f... --preview";

/// The director: what runs jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Director {
    /// Run every job as its schedules say, until stopped
    #[command(after_help = RUN_HELP)]
    Run,
    /// Show which repositories hold the jobs as they are now, so that losing the state loses none
    #[command(after_help = JOURNAL_HELP)]
    Journal(DirectorJournal),
    /// Take the journal of a director that is gone out of a repository
    #[command(after_help = FORGET_HELP)]
    Forget(DirectorForget),
    /// Bring the jobs back from a repository after the state was lost
    #[command(after_help = RESTORE_HELP)]
    Restore(DirectorRestore),
}

#[derive(Debug, Args)]
pub(crate) struct DirectorJournal {
    /// Write it where it is behind
    #[arg(long, conflicts_with = "url")]
    pub(crate) write: bool,
    /// List the journals in this repository instead: file:PATH, s3:BUCKET/PREFIX, az:CONTAINER/PREFIX or gs:BUCKET/PREFIX
    #[arg(long = "repo", value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DirectorRestore {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Whose journal, where several directors used the repository; see: nakivo director journal --repo
    #[arg(long, value_name = "ID")]
    pub(crate) director: Option<DirectorId>,
}

#[derive(Debug, Args)]
pub(crate) struct DirectorForget {
    #[command(flatten)]
    pub(crate) repository: RepositoryArgs,
    /// Whose journal; see: nakivo director journal --repo
    #[arg(long, value_name = "ID")]
    pub(crate) director: DirectorId,
    /// Show what would be taken out, change nothing
    #[arg(long)]
    pub(crate) preview: bool,
}
