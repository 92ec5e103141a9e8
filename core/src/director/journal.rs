//! The journal: what a director is configured to do, written into the repositories that it uses, so that its state may be lost.
//!
//! Each repository holds one record for each director that ever used it, replaced as a whole with each change
//! ([`entry`]). The state remembers which configurations this director wrote (their numbers and digests), so it can tell
//! its own older record, which it replaces, from one that it never wrote: then its state was set back, or a copy of it is in
//! use elsewhere. Nothing is overwritten then. The director goes on under a new id, beside the other record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nakivo_repo_format::RepositoryId;
use nakivo_repo_format::log::Operation;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::event::DirectorEvent;
use super::history::Problem;
use crate::error::{Error, ErrorKind, Result};
use crate::registry::Registration;
use crate::repository::Repository;
use crate::state::{Claim, read_record, write_record};

pub(super) mod entry;
mod status;

pub use entry::{DirectorId, JournalHead, Origin, OriginKind};
pub use status::{JournalStanding, JournalStatus};

use entry::{Configuration, Written};

/// Where the state store keeps what is known of the journal, and what is claimed by whoever changes that.
const KEY: &str = "director/journal";
/// Version of the record.
const VERSION: u32 = 1;
/// What to do about a record that is not understood.
const HINT: &str = "Remove this record: the director then begins a new journal beside the one it has; no backup and no job is lost.";
/// Own configurations that are remembered. Who did not reach a repository for longer takes his own record there for foreign.
const MAX_REVISIONS: usize = 1_000;
/// How often, and how long apart, the claim is tried. It is held for as long as a few records are read and written.
const CLAIM_TRIES: u32 = 200;
const CLAIM_PAUSE: Duration = Duration::from_millis(50);
/// How long one repository may take before it counts as out of reach.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a record is tried that others change meanwhile.
const MAX_TURNS: u32 = 10;

/// A configuration that this director had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revision {
    number: u64,
    digest: String,
}

/// How far one repository is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    /// The newest revision that is known to be there.
    revision: Option<u64>,
    /// When that was found.
    written: Option<DateTime<Utc>>,
    /// Since when it lacks the newest one.
    behind_since: Option<DateTime<Utc>>,
    /// Why the last try to write failed.
    problem: Option<Problem>,
    /// A director that was brought back from this one's journal.
    successor: Option<DirectorId>,
}

/// What the state knows of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    director: DirectorId,
    origin: Option<Origin>,
    /// The oldest first.
    revisions: Vec<Revision>,
    repositories: BTreeMap<RepositoryId, Standing>,
}

impl Record {
    fn new(director: DirectorId, origin: Option<Origin>) -> Self {
        Self {
            version: VERSION,
            director,
            origin,
            revisions: Vec::new(),
            repositories: BTreeMap::new(),
        }
    }

    fn newest(&self) -> u64 {
        self.revisions.last().map_or(0, |revision| revision.number)
    }

    /// Whether this director wrote it.
    fn knows(&self, head: &JournalHead) -> bool {
        let same = |own: &Revision| own.number == head.revision && own.digest == head.digest;
        self.revisions.iter().any(same)
    }

    /// Notes which repositories count now, and the configuration if it is a new one.
    fn note(&mut self, configuration: &Configuration, digest: &str, now: DateTime<Utc>) {
        let known: BTreeSet<_> = configuration.repositories.iter().map(|one| one.id).collect();
        self.repositories.retain(|id, _| known.contains(id));
        for id in targets(configuration) {
            self.repositories.entry(id).or_insert_with(|| Standing {
                behind_since: Some(now),
                ..Standing::default()
            });
        }
        let same = self.revisions.last().is_some_and(|last| last.digest == digest);
        if same || self.repositories.is_empty() {
            return;
        }
        self.revisions.push(Revision {
            number: self.newest() + 1,
            digest: digest.to_owned(),
        });
        let too_many = self.revisions.len().saturating_sub(MAX_REVISIONS);
        self.revisions.drain(..too_many);
        for standing in self.repositories.values_mut() {
            standing.behind_since.get_or_insert(now);
        }
    }
}

/// The repositories that jobs use, as far as they are known.
fn targets(configuration: &Configuration) -> BTreeSet<RepositoryId> {
    let used = configuration.jobs.iter().map(|entry| entry.job.form().repository);
    let known = |id: &RepositoryId| configuration.repositories.iter().any(|one| one.id == *id);
    used.filter(known).collect()
}

/// The configuration of this moment, as it is to be written.
struct Current {
    record: Record,
    written: Written,
    repositories: Vec<Registration>,
}

impl Current {
    /// What there is to do about a repository in which `found` stands.
    fn against(&self, found: Option<Result<JournalHead>>) -> Step {
        match found {
            None => Step::Write,
            Some(Ok(head)) if !self.record.knows(&head) => Step::Foreign(Some(head)),
            Some(Ok(head)) if head.revision == self.record.newest() => Step::Nothing,
            Some(Ok(_)) => Step::Write,
            Some(Err(_)) => Step::Foreign(None),
        }
    }
}

enum Step {
    Write,
    Nothing,
    /// A record under this director's id that it never wrote, as far as it is understood.
    Foreign(Option<JournalHead>),
}

impl Shared {
    /// Everything that is journalled, as it is now.
    async fn configuration(&self) -> Result<Configuration> {
        let mut repositories = self.registry.list().await?;
        for entry in &mut repositories {
            entry.figures = None;
        }
        Ok(Configuration {
            jobs: self.records.jobs().await?,
            accounts: self.records.accounts().await?,
            repositories,
        })
    }

    async fn journal_record(&self) -> Result<Option<Record>> {
        read_record(&*self.env.state, KEY, VERSION, HINT).await
    }

    async fn claim_journal(&self) -> Result<Claim> {
        let mut tries = 1;
        loop {
            match self.env.state.claim(KEY).await {
                Err(error) if error.kind() == ErrorKind::Busy && tries < CLAIM_TRIES => tries += 1,
                claim => return claim,
            }
            self.env.clock.sleep(CLAIM_PAUSE).await;
        }
    }

    /// Changes what the state knows of the journal; one at a time, over all processes.
    async fn change_journal<T>(&self, change: impl FnOnce(&mut Record) -> Result<T> + Send) -> Result<T> {
        let _claim = self.claim_journal().await?;
        let before = self.journal_record().await?;
        let mut record = match &before {
            Some(record) => record.clone(),
            None => Record::new(DirectorId::random(&*self.env.rng)?, None),
        };
        let result = change(&mut record)?;
        if before.as_ref() != Some(&record) {
            write_record(&*self.env.state, KEY, &record).await?;
        }
        Ok(result)
    }

    /// Forgets which configurations were written, and begins under a new id.
    pub(super) async fn begin_journal(&self, origin: Option<Origin>) -> Result<()> {
        let fresh = DirectorId::random(&*self.env.rng)?;
        self.change_journal(|record| {
            *record = Record::new(fresh, origin);
            Ok(())
        })
        .await
    }

    /// The configuration of this moment. That it has its number is remembered before anybody can write it.
    async fn current(&self) -> Result<Current> {
        let _claim = self.claim_journal().await?;
        // Read while nobody else numbers one, so that numbers follow the order of changes.
        let configuration = self.configuration().await?;
        let written = Written::new(&configuration)?;
        let before = self.journal_record().await?;
        let mut record = match &before {
            Some(record) => record.clone(),
            None => Record::new(DirectorId::random(&*self.env.rng)?, None),
        };
        record.note(&configuration, &written.digest, self.now());
        if before.as_ref() != Some(&record) && !record.repositories.is_empty() {
            write_record(&*self.env.state, KEY, &record).await?;
        }
        Ok(Current {
            record,
            written,
            repositories: configuration.repositories,
        })
    }

    /// Writes the configuration into every repository that lacks it. True if one of them lacks it still; each of those is on
    /// record with the cause.
    ///
    /// # Errors
    /// Those of the state store.
    pub(super) async fn journal(&self) -> Result<bool> {
        let current = self.current().await?;
        let newest = current.record.newest();
        let mut behind = false;
        for (id, standing) in &current.record.repositories {
            let entry = current.repositories.iter().find(|entry| entry.id == *id);
            let Some(entry) = entry.filter(|_| standing.revision != Some(newest)) else {
                continue;
            };
            let reaching = async {
                let (entry, _using) = self.registry.begin(&entry.name).await?;
                let repository = self.repositories.open(&entry).await?;
                self.journal_into(&repository).await
            };
            let written = tokio::select! {
                biased;
                written = reaching => written,
                () = self.env.clock.sleep(PATIENCE) => Err(out_of_reach()),
            };
            if let Err(error) = written {
                behind = true;
                self.note_problem(entry, &error).await?;
            }
        }
        Ok(behind)
    }

    /// As [`Shared::journal`], into one repository that is open, whatever the state says that it has. That it failed is on
    /// record, and no reason to do nothing else with the repository.
    pub(super) async fn journal_beside(&self, entry: &Registration, repository: &Repository) {
        if let Err(error) = self.journal_into(repository).await
            && let Err(second) = self.note_problem(entry, &error).await
        {
            tracing::warn!(%error, %second, "the journal of the director is behind");
        }
    }

    async fn journal_into(&self, repository: &Repository) -> Result<()> {
        for _ in 0..MAX_TURNS {
            let current = self.current().await?;
            let own = &current.record;
            if !own.repositories.contains_key(&repository.id()) {
                return Ok(());
            }
            repository.refresh().await?;
            let head = current
                .written
                .head(own.director, own.newest(), own.origin, self.now());
            let record = current.written.record(&head)?;
            let committed = repository.shared.commit_if_any(|state| {
                Ok(match current.against(entry::head_of(state, own.director)) {
                    Step::Write => vec![Operation::Progress {
                        progress: Box::new(record.clone()),
                    }],
                    Step::Nothing | Step::Foreign(_) => Vec::new(),
                })
            });
            let committed = committed.await?.is_some();
            let found = repository.look(|state| entry::head_of(state, own.director));
            match current.against(found) {
                Step::Nothing => return self.note_written(repository, &head, committed).await,
                // Somebody else wrote an older one of this director meanwhile.
                Step::Write => {}
                Step::Foreign(found) => self.set_apart(repository, own, found).await?,
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "the journal of the director is changed by others all the time",
        ))
    }

    async fn note_written(&self, repository: &Repository, head: &JournalHead, committed: bool) -> Result<()> {
        let (id, now) = (repository.id(), self.now());
        let journals = repository.look(entry::all);
        let mut others = journals.into_iter().filter_map(|(_, journal)| journal.ok());
        let successor = others.find(|other| {
            let from_here =
                |origin: &Origin| origin.director == head.director && origin.kind == OriginKind::Restored;
            other.origin.as_ref().is_some_and(from_here)
        });
        let successor = successor.map(|other| other.director);
        let noted = self.change_journal(|record| {
            let newest = record.newest();
            let standing = record
                .repositories
                .get_mut(&id)
                .filter(|_| record.director == head.director);
            let Some(standing) = standing else { return Ok(None) };
            let before = standing.successor;
            let is_new = standing.revision != Some(head.revision);
            standing.revision = Some(head.revision);
            if is_new || standing.written.is_none() {
                standing.written = Some(now);
            }
            if newest == head.revision {
                standing.behind_since = None;
                standing.problem = None;
            }
            standing.successor = successor;
            Ok(successor.filter(|_| before != successor))
        });
        let brought_back = noted.await?;
        if committed {
            let revision = head.revision;
            self.tell(DirectorEvent::Journalled {
                repository: id,
                revision,
            });
        }
        if let Some(director) = brought_back {
            self.tell(DirectorEvent::BroughtBackElsewhere {
                repository: id,
                director,
            });
        }
        Ok(())
    }

    async fn note_problem(&self, entry: &Registration, error: &Error) -> Result<()> {
        let (id, now) = (entry.id, self.now());
        let problem = Problem::from(error);
        self.change_journal(|record| {
            if let Some(standing) = record.repositories.get_mut(&id) {
                standing.behind_since.get_or_insert(now);
                standing.problem = Some(problem.clone());
            }
            Ok(())
        })
        .await?;
        self.tell(DirectorEvent::JournalBehind {
            repository: id,
            name: entry.name.to_string(),
            problem,
        });
        Ok(())
    }

    /// Goes on under a new id, unless it turns out that another process of this state wrote what was found.
    async fn set_apart(
        &self,
        repository: &Repository,
        own: &Record,
        found: Option<JournalHead>,
    ) -> Result<()> {
        let fresh = DirectorId::random(&*self.env.rng)?;
        let apart = self.change_journal(|record| {
            let known = found.as_ref().is_some_and(|head| record.knows(head));
            if record.director != own.director || known {
                return Ok(false);
            }
            // What was never seen in a repository may not be what another copy wrote under the same number.
            let common = record
                .repositories
                .values()
                .filter_map(|standing| standing.revision);
            let origin = common.max().map(|revision| Origin {
                director: record.director,
                revision,
                kind: OriginKind::SetBack,
            });
            *record = Record::new(fresh, origin);
            Ok(true)
        });
        if apart.await? {
            self.tell(DirectorEvent::SetApart {
                repository: repository.id(),
                before: own.director,
                now: fresh,
                found: found.map(|head| head.written),
            });
        }
        Ok(())
    }
}

fn out_of_reach() -> Error {
    let message = format!(
        "the repository did not answer within {} seconds",
        PATIENCE.as_secs()
    );
    Error::new(ErrorKind::Unavailable, message)
}
