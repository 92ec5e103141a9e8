//! Bringing a director back from the journal in one of its repositories.

use nakivo_repo_format::RepositoryId;

use super::account::AccountEntry;
use super::journal::{DirectorId, JournalHead, JournalStatus, Origin, OriginKind, entry};
use super::records::JobEntry;
use super::{Director, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::registry::{Access, Registration};
use crate::repository::Repository;

/// A director that was brought back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The journal it came from.
    pub from: JournalHead,
    /// Its jobs.
    pub jobs: Vec<JobEntry>,
    /// The repositories that it knows now.
    pub repositories: Vec<Registration>,
    /// Which of them could be reached: those that hold the journal of the director as it is now.
    pub journal: JournalStatus,
}

impl Director {
    /// The journals of directors in a repository, the newest first.
    ///
    /// # Errors
    /// `Corrupt` if one of them is not understood; those of reading the repository.
    pub async fn journals_in(repository: &Repository) -> Result<Vec<JournalHead>> {
        repository.refresh().await?;
        let journals = repository.look(entry::all).into_iter();
        let mut heads: Vec<JournalHead> = journals.map(|(_, head)| head).collect::<Result<_>>()?;
        heads.sort_by_key(|head| (std::cmp::Reverse(head.written), head.director));
        Ok(heads)
    }

    /// Takes the journal of a director that is gone out of a repository. One that is alive writes it anew at its next occasion.
    ///
    /// # Errors
    /// `NotFound`, with what there is; those of [`Repository::commit`].
    pub async fn forget_journal(repository: &Repository, director: DirectorId) -> Result<()> {
        repository.refresh().await?;
        let hint = repository.look(|state| listed(&entry::all(state)));
        let forgetting = repository.commit(|state| Ok(vec![entry::forgetting(state, director)?]));
        let forgotten = forgetting.await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error.with_hint(hint),
            _ => error,
        });
        forgotten.map(drop)
    }

    /// Gives an empty state the jobs and repositories of a director that used `repository`. They keep their ids; schedules count
    /// from now on. What ran and when stays with the lost state: recovery points are in the repositories, history is not.
    ///
    /// `access` is how this repository is reached from here; the others are entered as they were known. `choice` says whose journal
    /// is meant, where there are several and none of them contains the others.
    ///
    /// A crash leaves nothing that is in the way: until the jobs are there, the same call can be made again.
    ///
    /// # Errors
    /// `Conflict` if there are jobs already, if a name stands for another repository here, or if several journals may be meant,
    /// naming them; `NotFound` if there is none; `Corrupt` or `UnsupportedFormat` if it is not understood; `Busy` while another
    /// process changes the jobs; those of the repository and of the state store. Repositories that cannot be reached are no error but
    /// part of the answer.
    pub async fn restore(
        &self,
        repository: &Repository,
        access: Access,
        choice: Option<DirectorId>,
    ) -> Result<Restored> {
        let shared = &self.inner.shared;
        let _one_at_a_time = self.inner.changing.lock().await;
        let claim = self.claim_changes().await?;
        if !self.jobs().await?.is_empty() {
            let message = "this state has jobs already";
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_hint("Bring the director back into a state directory of its own."));
        }
        repository.refresh().await?;
        let journals = repository.look(entry::all);
        let chosen = choose(&journals, choice)?;
        let (from, mut configuration) = repository.look(|state| entry::configuration_of(state, chosen))?;
        for entry in &mut configuration.repositories {
            if entry.id == repository.id() {
                reached_by(entry, &access);
            }
        }
        let now = shared.now();
        for entry in &mut configuration.jobs {
            entry.due_since = now;
        }
        let accounts = merged(shared.records.accounts().await?, configuration.accounts)?;
        shared.registry.adopt(configuration.repositories).await?;
        shared.records.put_accounts(accounts).await?;
        shared.begin_after(&from).await?;
        // Last: as long as they are not there, nothing is.
        shared.records.put_jobs(configuration.jobs.clone()).await?;
        drop(claim);
        if let Some(entry) = shared.known(repository.id()).await? {
            shared.journal_beside(&entry, repository).await;
        }
        shared.journal().await?;
        Ok(Restored {
            from,
            jobs: configuration.jobs,
            repositories: shared.registry.list().await?,
            journal: self.journal_status().await?,
        })
    }
}

impl Shared {
    /// Begins a journal of its own, which contains the one that the director is brought back from.
    async fn begin_after(&self, from: &JournalHead) -> Result<()> {
        let origin = Origin {
            director: from.director,
            revision: from.revision,
            kind: OriginKind::Restored,
        };
        self.begin_journal(Some(origin)).await
    }

    async fn known(&self, id: RepositoryId) -> Result<Option<Registration>> {
        let known = self.registry.list().await?;
        Ok(known.into_iter().find(|entry| entry.id == id))
    }
}

/// Accounts that are known stay as they are.
fn merged(mut known: Vec<AccountEntry>, others: Vec<AccountEntry>) -> Result<Vec<AccountEntry>> {
    for other in others {
        if known.iter().any(|one| one.id == other.id) {
            continue;
        }
        if known.iter().any(|one| one.account.name == other.account.name) {
            let message = format!(
                "the name '{}' stands for another account here",
                other.account.name
            );
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_hint("Give the other account another name first."));
        }
        known.push(other);
    }
    Ok(known)
}

fn reached_by(entry: &mut Registration, access: &Access) {
    let access = access.clone();
    entry.url = access.url;
    entry.passphrase_file = access.passphrase_file;
    entry.key_file = access.key_file;
    entry.store_config = access.store_config;
    entry.attached = true;
}

/// Whose journal is meant: the one that is asked for, or the only one that is not part of another.
fn choose(journals: &[(DirectorId, Result<JournalHead>)], choice: Option<DirectorId>) -> Result<DirectorId> {
    if let Some(choice) = choice {
        let there = journals.iter().any(|(director, _)| *director == choice);
        return there
            .then_some(choice)
            .ok_or_else(|| Error::not_found("journal of director", choice).with_hint(listed(journals)));
    }
    let mut heads = Vec::new();
    for (_, head) in journals {
        let head = head
            .as_ref()
            .map_err(|error| error.clone().with_hint(listed(journals)))?;
        heads.push(head);
    }
    let whole: Vec<_> = heads
        .iter()
        .filter(|head| !heads.iter().any(|other| head.is_part_of(other)))
        .collect();
    match whole.as_slice() {
        [one] => Ok(one.director),
        [] => Err(Error::new(
            ErrorKind::NotFound,
            "there is no journal of a director in this repository",
        )
        .with_hint("Only repositories that jobs back up to have one.")),
        _ => Err(Error::new(
            ErrorKind::Conflict,
            "several directors keep a journal in this repository, and none of them contains the others",
        )
        .with_hint(listed(journals))),
    }
}

fn listed(journals: &[(DirectorId, Result<JournalHead>)]) -> String {
    let words = |(director, head): &(DirectorId, Result<JournalHead>)| match head {
        Ok(head) => format!(
            "{director} (written {}, {} jobs)",
            head.written.format("%Y-%m-%d %H:%M UTC"),
            head.jobs
        ),
        Err(_) => format!("{director} (not understood)"),
    };
    let words: Vec<String> = journals.iter().map(words).collect();
    if words.is_empty() {
        "There is no journal in this repository.".to_owned()
    } else {
        format!("Say which director is meant: {}.", words.join(", "))
    }
}
