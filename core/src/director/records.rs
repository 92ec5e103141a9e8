//! What the director keeps in its state store, and in which order it is written.
//!
//! * `director/jobs`: every job as it is configured. A job exists exactly when it is listed here.
//! * `director/accounts`: the accounts that they use.
//! * `director/state/<job>`: how far the job has come: what was decided about its schedules, the run that goes on.
//! * `director/history/<job>/<page>`: what is on record of it.
//!
//! A history entry is written before the state that says that it was, and written over when that did not come to pass: so
//! nothing is forgotten, and nothing is on record twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nakivo_repo_format::ids::RunId;
use nakivo_repo_format::manifest::ObjectRecord;
use nakivo_scheduler::catch_up::ScheduleState;
use nakivo_scheduler::chain::ChainedStart;
use nakivo_scheduler::run;
use serde::{Deserialize, Serialize};

use super::account::AccountEntry;
use super::history::{Cause, HistoryEntry, ObjectResult};
use super::ids::JobId;
use super::job::Job;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{StateStore, parse_record, read_record, write_record};

/// Where the jobs are.
const JOBS: &str = "director/jobs";
/// Where the accounts are.
const ACCOUNTS: &str = "director/accounts";
/// Version of every record.
const VERSION: u32 = 1;
/// A page of history that is larger is not added to.
const PAGE_BYTES: usize = 256 << 10;
/// What to do about a record that is not understood.
const HINT: &str = "Put the state directory back from a copy, or remove this record and add the job again; no backup is lost.";

/// A job and when it came to be as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobEntry {
    /// Its id.
    pub id: JobId,
    /// What it is.
    pub job: Job,
    /// When it was added.
    pub added: DateTime<Utc>,
    /// Since when its schedules count: when they were last changed, or it was last enabled.
    pub due_since: DateTime<Utc>,
}

/// The record of all jobs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jobs {
    version: u32,
    jobs: Vec<JobEntry>,
}

/// The record of all accounts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    version: u32,
    accounts: Vec<AccountEntry>,
}

/// One object of a run, or what stands for objects that were not found when it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// Number of its source in the job.
    pub(super) source: usize,
    /// What people call it.
    pub(super) name: String,
    /// The object, once it was found.
    pub(super) object: Option<ObjectRecord>,
    /// Everything in the source that has no task of its own, because the source could not be listed to its end.
    pub(super) rest: bool,
}

/// The run that goes on, from the moment at which its start was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurrentRun {
    pub(super) id: RunId,
    pub(super) cause: Cause,
    pub(super) scope: run::Scope<String>,
    pub(super) started: DateTime<Utc>,
    pub(super) window_end: Option<DateTime<Utc>>,
    pub(super) interruptions: u32,
    /// It is to be stopped, and its objects were not found yet.
    pub(super) stop_asked: bool,
    /// By the key of their task.
    pub(super) targets: BTreeMap<String, Target>,
    /// What became of each target so far.
    pub(super) results: BTreeMap<String, Vec<ObjectResult>>,
}

/// Which pages of history there are: `first..next`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pages {
    pub(super) first: u64,
    pub(super) next: u64,
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobState {
    version: u32,
    /// The job as it is in force, its run and how the last one ended.
    pub(super) job: run::Job<Job, String>,
    /// [`JobEntry::due_since`] as it is in force.
    pub(super) due_since: DateTime<Utc>,
    pub(super) schedule: ScheduleState,
    /// See [`nakivo_scheduler::admission::Queue::turn`].
    pub(super) turn: u64,
    /// Starts that ends of other jobs' runs called for.
    pub(super) chained: Vec<ChainedStart>,
    pub(super) current: Option<CurrentRun>,
    pub(super) pages: Pages,
}

impl JobState {
    /// A job that has never run.
    pub(super) fn new(entry: &JobEntry) -> Self {
        let mut job = run::Job::new(entry.job.clone());
        job.set_enabled(entry.job.form().enabled);
        Self {
            version: VERSION,
            job,
            due_since: entry.due_since,
            schedule: ScheduleState::new(entry.due_since),
            turn: 0,
            chained: Vec::new(),
            current: None,
            pages: Pages::default(),
        }
    }
}

/// One page of history, oldest entry first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    version: u32,
    entries: Vec<HistoryEntry>,
}

/// The records in one state store.
#[derive(Debug, Clone)]
pub(super) struct Records {
    state: Arc<dyn StateStore>,
}

impl Records {
    pub(super) fn new(state: Arc<dyn StateStore>) -> Self {
        Self { state }
    }

    pub(super) async fn jobs(&self) -> Result<Vec<JobEntry>> {
        let record: Option<Jobs> = read_record(&*self.state, JOBS, VERSION, HINT).await?;
        Ok(record.map(|record| record.jobs).unwrap_or_default())
    }

    /// The jobs, if their record is not the one in `known`, which then is replaced.
    pub(super) async fn changed_jobs(
        &self,
        known: &mut Option<bytes::Bytes>,
    ) -> Result<Option<Vec<JobEntry>>> {
        let bytes = self.state.get(JOBS).await?.unwrap_or_default();
        if known.as_ref() == Some(&bytes) {
            return Ok(None);
        }
        let jobs = if bytes.is_empty() {
            Vec::new()
        } else {
            parse_record::<Jobs>(&bytes, JOBS, VERSION, HINT)?.jobs
        };
        *known = Some(bytes);
        Ok(Some(jobs))
    }

    pub(super) async fn put_jobs(&self, jobs: Vec<JobEntry>) -> Result<()> {
        let record = Jobs {
            version: VERSION,
            jobs,
        };
        write_record(&*self.state, JOBS, &record).await
    }

    pub(super) async fn accounts(&self) -> Result<Vec<AccountEntry>> {
        let record: Option<Accounts> = read_record(&*self.state, ACCOUNTS, VERSION, HINT).await?;
        Ok(record.map(|record| record.accounts).unwrap_or_default())
    }

    pub(super) async fn put_accounts(&self, accounts: Vec<AccountEntry>) -> Result<()> {
        let record = Accounts {
            version: VERSION,
            accounts,
        };
        write_record(&*self.state, ACCOUNTS, &record).await
    }

    /// The accounts as they are stored: another record says that something was changed.
    pub(super) async fn accounts_stamp(&self) -> Result<Option<bytes::Bytes>> {
        self.state.get(ACCOUNTS).await
    }

    /// How far a job has come; `None` if it was never looked at.
    pub(super) async fn state_of(&self, job: &JobId) -> Result<Option<JobState>> {
        read_record(&*self.state, &state_key(job), VERSION, HINT).await
    }

    pub(super) async fn put_state(&self, job: &JobId, state: &JobState) -> Result<()> {
        write_record(&*self.state, &state_key(job), state).await
    }

    /// Forgets what there is of a job that is not listed any more.
    pub(super) async fn forget(&self, job: &JobId) -> Result<()> {
        // A record that cannot be read is not worth keeping either.
        if let Ok(Some(state)) = self.state_of(job).await {
            self.drop_pages(job, state.pages).await?;
        }
        self.state.delete(&state_key(job)).await
    }

    /// Removes these pages.
    pub(super) async fn drop_pages(&self, job: &JobId, pages: Pages) -> Result<()> {
        for page in pages.first..pages.next {
            self.state.delete(&page_key(job, page)).await?;
        }
        Ok(())
    }

    /// Puts an entry on record, durably. `pages` must then be stored with the job's state.
    pub(super) async fn append(&self, job: &JobId, pages: &mut Pages, entry: HistoryEntry) -> Result<()> {
        let mut entries = Vec::new();
        let mut number = pages.next;
        if pages.next > pages.first {
            let last = pages.next - 1;
            let before = self.page(job, last).await?;
            let full = serde_json::to_vec(&before).map_or(0, |bytes| bytes.len()) > PAGE_BYTES;
            let repeats = before.last().is_some_and(|last| entry.repeats(last));
            if !full || repeats {
                (entries, number) = (before, last);
            }
            if repeats {
                entries.pop();
            }
        }
        entries.push(entry);
        let page = Page {
            version: VERSION,
            entries,
        };
        write_record(&*self.state, &page_key(job, number), &page).await?;
        pages.next = number + 1;
        Ok(())
    }

    /// The pages of which every entry is older than `limit`; the newest page is never among them.
    pub(super) async fn expired(&self, job: &JobId, pages: Pages, limit: DateTime<Utc>) -> Result<Pages> {
        let mut expired = Pages {
            first: pages.first,
            next: pages.first,
        };
        while expired.next + 1 < pages.next {
            let entries = self.page(job, expired.next).await?;
            if entries.iter().any(|entry| entry.at() >= limit) {
                break;
            }
            expired.next += 1;
        }
        Ok(expired)
    }

    /// The newest `most` entries, newest first.
    pub(super) async fn history(&self, job: &JobId, pages: Pages, most: usize) -> Result<Vec<HistoryEntry>> {
        let mut found = Vec::new();
        for page in (pages.first..pages.next).rev() {
            if found.len() >= most {
                break;
            }
            found.extend(self.page(job, page).await?.into_iter().rev());
        }
        found.truncate(most);
        Ok(found)
    }

    async fn page(&self, job: &JobId, number: u64) -> Result<Vec<HistoryEntry>> {
        let key = page_key(job, number);
        let page: Option<Page> = read_record(&*self.state, &key, VERSION, HINT).await?;
        // What the state says is there and is not is damage, never an empty page.
        let missing = || Error::new(ErrorKind::Corrupt, format!("state '{key}' is missing")).with_hint(HINT);
        Ok(page.ok_or_else(missing)?.entries)
    }
}

fn state_key(job: &JobId) -> String {
    format!("director/state/{job}")
}

fn page_key(job: &JobId, page: u64) -> String {
    format!("director/history/{job}/{page}")
}
