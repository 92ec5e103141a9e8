//! The commands about jobs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use nakivo_core::director::Keep;
use nakivo_core::registry::RepositoryName;
use nakivo_core::retention::{RetentionPolicy, Tz, Weekday};

use super::care::{weekday, zone};
use super::{PartialArgs, Service};

const ADD_HELP: &str = "\
Names of files are kept in the job, what is in them is not. Without a schedule a job runs on demand. docs/schedules.md says what a
schedule can be, and what becomes of times that were missed.

Examples:
  nakivo job add Files --repo main --folder files=/srv/files --daily 22:00 --until 06:00 --time-zone Europe/Berlin
  nakivo job add Mail --repo main --account contoso.toml --service mail --every 240 --keep last=10,daily=14,weekly=8
  nakivo job add Contracts --repo main --folder contracts=/srv/contracts --after Mail
  nakivo job add Books --repo main --folder books=/srv/books \\
    --schedule '{\"repeat\": {\"kind\": \"monthly\", \"on\": \"last friday\"}, \"start\": \"12:00\"}'";

const EDIT_HELP: &str = "\
What is not named stays. While the job runs, changes take effect when the run has ended. With other schedules, only times that come
from now on are due. What another --keep would remove, the next run removes; see before with: nakivo retention plan

Examples:
  nakivo job edit Files --daily 23:00 --until 05:00
  nakivo job edit Files --disable";

const RUN_HELP: &str = "\
Objects are backed up side by side, and those that fail are tried again as the job says. Afterwards the points of each object that
the job does not keep are removed; see before with: nakivo retention plan. A run that was interrupted is finished instead.

Examples:
  nakivo job run Files
  nakivo job run Mail --object anna@contoso.com
  nakivo job run Mail --failed";

/// Jobs: what is backed up, where to, when.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Add a job
    #[command(after_help = ADD_HELP)]
    Add(Box<JobAdd>),
    /// List the jobs, how their last runs ended and when they are due
    #[command(after_help = "Example:\n  nakivo job list")]
    List,
    /// Show one job
    #[command(after_help = "Example:\n  nakivo job show Files")]
    Show(JobNamed),
    /// Change a job, enable or disable it
    #[command(after_help = EDIT_HELP)]
    Edit(Box<JobEdit>),
    /// Remove a job with its history; its recovery points stay
    #[command(after_help = "\
Examples:
  nakivo job remove Files --preview
  nakivo job remove Files")]
    Remove(JobRemove),
    /// Run a job now
    #[command(after_help = RUN_HELP)]
    Run(JobRun),
    /// List the runs of a job and the times that were missed, newest first
    #[command(after_help = "Example:\n  nakivo job history Files --limit 5")]
    History(JobHistory),
}

/// The job that a command is about.
#[derive(Debug, Args)]
pub(crate) struct JobNamed {
    /// Name or id of the job
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
}

#[derive(Debug, Args)]
pub(crate) struct JobAdd {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Name of the repository to back up to
    #[arg(long = "repo", value_name = "NAME")]
    pub(crate) repository: RepositoryName,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    #[command(flatten)]
    pub(crate) when: WhenArgs,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    /// Do not run it until it is enabled
    #[arg(long)]
    pub(crate) disabled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobEdit {
    #[command(flatten)]
    pub(crate) named: JobNamed,
    /// Call it this
    #[arg(long, value_name = "NAME")]
    pub(crate) new_name: Option<String>,
    /// Back up to this repository from now on
    #[arg(long = "repo", value_name = "NAME")]
    pub(crate) repository: Option<RepositoryName>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    #[command(flatten)]
    pub(crate) when: WhenArgs,
    /// Run on demand only
    #[arg(long, conflicts_with_all = ["daily", "every", "after", "schedules"])]
    pub(crate) on_demand: bool,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    /// Run it again
    #[arg(long, conflicts_with = "disable")]
    pub(crate) enable: bool,
    /// Do not run it, neither by schedule nor by hand
    #[arg(long)]
    pub(crate) disable: bool,
}

/// What is backed up.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A folder, and the name it is kept under; may be repeated
    #[arg(long = "folder", value_name = "NAME=PATH", value_parser = folder)]
    pub(crate) folders: Vec<(String, PathBuf)>,
    /// A Microsoft 365 organisation: the name of an account (see: nakivo account), or a TOML file that says which organisation and
    /// how to sign in (see: nakivo backup m365 --help)
    #[arg(long, value_name = "FILE")]
    pub(crate) account: Option<PathBuf>,
    /// Only this mailbox, drive or site of the organisation, as for backup m365; may be repeated [default: all, those included
    /// that come later]
    #[arg(long = "object", value_name = "ADDRESS", requires = "account")]
    pub(crate) objects: Vec<String>,
    /// Only this service; may be repeated [default: all that the account may read]
    #[arg(long = "service", value_name = "SERVICE", value_enum, requires = "account")]
    pub(crate) services: Vec<Service>,
}

/// When it runs.
#[derive(Debug, Args)]
pub(crate) struct WhenArgs {
    /// Every day at this time, HH:MM
    #[arg(long, value_name = "TIME")]
    pub(crate) daily: Option<String>,
    /// Every so many minutes, 1 to 1440
    #[arg(long, value_name = "MINUTES", conflicts_with = "daily")]
    pub(crate) every: Option<i64>,
    /// Stop a run of --daily or --every that goes on at this time, HH:MM
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// After each complete or partial run of this job
    #[arg(long, value_name = "JOB")]
    pub(crate) after: Option<String>,
    /// A schedule as JSON; may be repeated
    #[arg(long = "schedule", value_name = "JSON")]
    pub(crate) schedules: Vec<String>,
    /// What to do about times that were missed [default: within-window]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) catch_up: Option<CatchUpChoice>,
    /// Zone of the times given here, and whose midnight counts for --keep: an IANA time zone [default: UTC]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(crate) time_zone: Option<Tz>,
}

/// What to do about a time that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatchUpChoice {
    /// Start at once if the window is open, or if there is none
    WithinWindow,
    /// Start at once, once for all
    Once,
    /// Leave it out
    Skip,
}

/// How it runs, and what it keeps.
#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// Points to keep of each object: last=N, daily=N, weekly=N, monthly=N, yearly=N, joined by commas; or all [default: last=10]
    #[arg(long, value_name = "RULES", value_parser = keep)]
    pub(crate) keep: Option<KeepChoice>,
    /// Where a week begins, for --keep [default: monday]
    #[arg(long, value_name = "DAY", value_parser = weekday)]
    pub(crate) first_day_of_week: Option<Weekday>,
    /// Try objects that failed again so many times, 2 to 10; 0: not at all [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<i64>,
    /// Minutes until they are tried again, 1 to 60 [default: 15]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) retry_every: Option<i64>,
    /// Objects to process at once, 1 to 100 [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) tasks: Option<u32>,
}

/// What `--keep` says; `None`: everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepChoice(pub(crate) Option<Keep>);

#[derive(Debug, Args)]
pub(crate) struct JobRemove {
    #[command(flatten)]
    pub(crate) named: JobNamed,
    /// Show what would be removed, remove nothing
    #[arg(long)]
    pub(crate) preview: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobRun {
    #[command(flatten)]
    pub(crate) named: JobNamed,
    /// Only this object; may be repeated
    #[arg(long = "object", value_name = "NAME", conflicts_with = "failed")]
    pub(crate) objects: Vec<String>,
    /// Only objects that were not complete in the last run
    #[arg(long)]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JobHistory {
    #[command(flatten)]
    pub(crate) named: JobNamed,
    /// Entries to show at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

fn folder(text: &str) -> Result<(String, PathBuf), String> {
    let split = text
        .split_once('=')
        .filter(|(name, path)| !name.is_empty() && !path.is_empty());
    let (name, path) = split.ok_or("a name, '=', and a path, such as files=/srv/files")?;
    Ok((name.to_owned(), path.into()))
}

fn keep(text: &str) -> Result<KeepChoice, String> {
    if text == "all" {
        return Ok(KeepChoice(None));
    }
    let wrong = || "rules such as last=10,daily=14,weekly=8,monthly=12,yearly=3; or all".to_owned();
    let mut policy = RetentionPolicy::none();
    for rule in text.split(',') {
        let (name, number) = rule.trim().split_once('=').ok_or_else(wrong)?;
        let number = Some(number.parse().map_err(|_| wrong())?);
        match name {
            "last" => policy.last = number,
            "daily" => policy.daily = number,
            "weekly" => policy.weekly = number,
            "monthly" => policy.monthly = number,
            "yearly" => policy.yearly = number,
            _ => return Err(wrong()),
        }
    }
    policy.validate().map_err(|error| error.to_string())?;
    Ok(KeepChoice(Some(policy.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_folders_are_read_or_refused() {
        let kept = keep("last=10, weekly=4").unwrap().0.unwrap();
        assert_eq!((kept.last, kept.weekly, kept.daily), (Some(10), Some(4), None));
        assert!(keep("all").unwrap().0.is_none());
        for wrong in [
            "",
            "last",
            "last=0",
            "last=1001",
            "hourly=3",
            "last=-1",
            "last=1,,",
        ] {
            assert!(keep(wrong).is_err(), "{wrong}");
        }
        assert_eq!(folder("a=/x=y").unwrap(), ("a".to_owned(), PathBuf::from("/x=y")));
        for wrong in ["", "a", "=x", "a="] {
            assert!(folder(wrong).is_err(), "{wrong}");
        }
    }
}
