//! How far the journal is, for whoever asks.

use chrono::{DateTime, Utc};
use nakivo_repo_format::RepositoryId;
use serde::Serialize;

use super::entry::{DirectorId, Origin, Written};
use super::{Record, targets};
use crate::director::history::Problem;
use crate::director::{Director, Shared};
use crate::error::Result;
use crate::registry::RepositoryName;

/// How far one repository is with the journal of a director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JournalStanding {
    /// The repository.
    pub repository: RepositoryId,
    /// What it is called.
    pub name: RepositoryName,
    /// The newest revision that is known to be in it.
    pub revision: Option<u64>,
    /// When that was written.
    pub written: Option<DateTime<Utc>>,
    /// Whether the configuration as it is now is not in it.
    pub behind: bool,
    /// Since when; `None` if nobody has tried since then.
    pub behind_since: Option<DateTime<Utc>>,
    /// Why the last try failed.
    pub problem: Option<Problem>,
    /// A director that was brought back from this one's journal: if both run, objects are backed up twice.
    pub successor: Option<DirectorId>,
}

/// How far the journal of a director is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JournalStatus {
    /// Who it is; `None` before it wrote anything.
    pub director: Option<DirectorId>,
    /// Whom it goes on from.
    pub origin: Option<Origin>,
    /// Number of the newest configuration that was to be written.
    pub revision: u64,
    /// Every repository that jobs use, or used, by name.
    pub repositories: Vec<JournalStanding>,
}

impl JournalStatus {
    /// Whether a repository lacks the configuration as it is now.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.repositories.iter().any(|one| one.behind)
    }
}

impl Director {
    /// How far the journal is: which repositories hold the configuration as it is now, and which do not yet.
    ///
    /// # Errors
    /// `Corrupt` or `UnsupportedFormat` if what the state knows of it, or the configuration, cannot be read; those of the
    /// state store.
    pub async fn journal_status(&self) -> Result<JournalStatus> {
        self.inner.shared.journal_status().await
    }

    /// Writes the configuration into every repository that lacks it; what fails is in the answer. Done anyway with each change
    /// of jobs, whenever a run opens a repository, and from time to time while the director runs.
    ///
    /// # Errors
    /// As [`Director::journal_status`].
    pub async fn journal(&self) -> Result<JournalStatus> {
        self.inner.shared.journal().await?;
        self.journal_status().await
    }
}

impl Shared {
    async fn journal_status(&self) -> Result<JournalStatus> {
        let configuration = self.configuration().await?;
        let digest = Written::new(&configuration)?.digest;
        let record = self.journal_record().await?;
        let record = record.as_ref();
        let newest = record.and_then(|record| record.revisions.last());
        let current = newest.filter(|newest| newest.digest == digest);
        let used = targets(&configuration);
        let standing = |id: &RepositoryId| record.and_then(|record: &Record| record.repositories.get(id));
        let counts = configuration.repositories.iter();
        let counts = counts.filter(|one| used.contains(&one.id) || standing(&one.id).is_some());
        let repositories = counts.map(|one| {
            let standing = standing(&one.id).cloned().unwrap_or_default();
            let has = current.is_some_and(|current| standing.revision == Some(current.number));
            JournalStanding {
                repository: one.id,
                name: one.name.clone(),
                revision: standing.revision,
                written: standing.written,
                behind: !has,
                behind_since: standing.behind_since,
                problem: standing.problem,
                successor: standing.successor,
            }
        });
        Ok(JournalStatus {
            director: record.map(|record| record.director),
            origin: record.and_then(|record| record.origin),
            revision: newest.map_or(0, |newest| newest.number),
            repositories: repositories.collect(),
        })
    }
}
