//! `nakivo director journal|forget|restore`: what repositories hold of the jobs, and bringing them back from one.

use nakivo_core::director::{Director, DirectorEvent, JournalHead, JournalStanding, OriginKind, Problem};
use nakivo_core::registry::Access;
use nakivo_core::{Error, Result};
use serde_json::json;

use super::{job, registry};
use crate::exit::Exit;
use crate::grammar::{DirectorForget, DirectorJournal, DirectorRestore, RepositoryArgs};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Shows how far the journal is, or which journals a repository holds.
pub(super) async fn journal(
    session: &Session,
    director: &Director,
    arguments: &DirectorJournal,
) -> Result<Exit> {
    if let Some(url) = &arguments.url {
        let repository = session
            .open_url(url, &arguments.store, &arguments.passphrase)
            .await?;
        list(session, &Director::journals_in(&repository).await?);
        return Ok(Exit::Ok);
    }
    let status = if arguments.write {
        session.unless_cancelled(director.journal()).await?
    } else {
        director.journal_status().await?
    };
    session.output.record("journal", &status);
    if let Some(id) = status.director {
        session.output.line(format!("director     {id}"));
    }
    if let Some(origin) = status.origin {
        let why = match origin.kind {
            OriginKind::Restored => "brought back from the journal of",
            OriginKind::SetBack => "the state was set back, or copied; the other configuration stays under",
        };
        session
            .output
            .line(format!("origin       {why} {}", origin.director));
    }
    session.output.line(format!("revision     {}", status.revision));
    for one in &status.repositories {
        let words = standing_words(one);
        session.output.line(format!("repository   {}: {words}", one.name));
    }
    Ok(if status.is_behind() {
        Exit::Partial
    } else {
        Exit::Ok
    })
}

fn list(session: &Session, journals: &[JournalHead]) {
    let mut table = Table::new(&["DIRECTOR", "WRITTEN", ">REVISION", ">JOBS", "GOES ON FROM"]);
    for head in journals {
        session.output.record("journal_found", head);
        table.row([
            head.director.to_string(),
            text::moment(head.written),
            text::count(head.revision),
            text::count(head.jobs),
            head.origin
                .map(|origin| origin.director.to_string())
                .unwrap_or_default(),
        ]);
    }
    table.print(&session.output);
}

/// Takes a journal out of a repository, or shows it.
pub(super) async fn forget(session: &Session, arguments: &DirectorForget) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let journals = Director::journals_in(&repository).await?;
    let head = journals
        .into_iter()
        .find(|head| head.director == arguments.director);
    if !arguments.preview {
        let forgetting = Director::forget_journal(&repository, arguments.director);
        session.unless_cancelled(forgetting).await?;
    }
    let head = head.ok_or_else(|| Error::not_found("journal of director", arguments.director))?;
    let fields = json!({ "journal": head, "forgotten": !arguments.preview });
    session.output.record("journal_forgotten", &fields);
    session.output.line(format!(
        "The journal of director {}, written {}, with {}, {}.",
        head.director,
        text::moment(head.written),
        text::counted(head.jobs, "job"),
        if arguments.preview {
            "would be taken out"
        } else {
            "is taken out"
        },
    ));
    Ok(Exit::Ok)
}

/// How far one repository is.
pub(super) fn standing_words(standing: &JournalStanding) -> String {
    let mut words = match (standing.revision, standing.written) {
        (Some(revision), Some(written)) => {
            format!("revision {revision}, written {}", text::moment(written))
        }
        _ => "nothing is written yet".to_owned(),
    };
    if standing.behind {
        words += match standing.behind_since {
            Some(since) => format!(", behind since {}", text::moment(since)),
            None => ", behind".to_owned(),
        }
        .as_str();
    }
    if let Some(problem) = standing.problem.as_ref().filter(|_| standing.behind) {
        words += &format!(": {}", problem_words(problem));
    }
    if let Some(other) = standing.successor {
        words += &format!("; director {other} was brought back from it");
    }
    words
}

fn problem_words(problem: &Problem) -> String {
    format!("{} ({})", text::escape(&problem.message), problem.code)
}

/// How a change of jobs ends that was made: in part while a repository does not have it.
pub(super) async fn journalled(session: &Session, director: &Director) -> Result<Exit> {
    let status = director.journal_status().await?;
    for one in status.repositories.iter().filter(|one| one.behind) {
        session.output.warning(&format!(
            "the journal in repository {} does not have this yet: {}. It is written later; see: nakivo director journal",
            one.name,
            standing_words(one)
        ));
    }
    Ok(if status.is_behind() {
        Exit::Partial
    } else {
        Exit::Ok
    })
}

/// Brings the director back into an empty state.
pub(super) async fn restore(
    session: &Session,
    director: &Director,
    arguments: &DirectorRestore,
) -> Result<Exit> {
    let repository = session.open(&arguments.repository).await?;
    let access = access(session, &arguments.repository, repository.config().encrypted).await?;
    let restoring = director.restore(&repository, access, arguments.director);
    let restored = session.unless_cancelled(restoring).await?;
    let from = &restored.from;
    let fields = json!({
        "from": from,
        "jobs": restored.jobs.len(),
        "repositories": restored.repositories.len(),
        "journal": restored.journal,
    });
    session.output.record("director_restored", &fields);
    session.output.line(format!(
        "The director is back as it was when its journal was written at {}: {}, {}.",
        text::moment(from.written),
        text::counted(restored.jobs.len() as u64, "job"),
        text::counted(restored.repositories.len() as u64, "known repository"),
    ));
    for entry in &restored.jobs {
        job::said(session, director, entry, "back").await?;
    }
    journalled(session, director).await
}

/// How a repository that is opened by location or name is reached later.
async fn access(session: &Session, arguments: &RepositoryArgs, encrypted: bool) -> Result<Access> {
    if let Some(entry) = session.known_as(&arguments.url).await? {
        return Ok(Access {
            url: entry.url,
            passphrase_file: entry.passphrase_file,
            key_file: entry.key_file,
            store_config: entry.store_config,
        });
    }
    registry::access(&arguments.url, &arguments.store, &arguments.passphrase, encrypted)
}

/// Says what happened to the journal.
pub(super) fn show(session: &Session, event: &DirectorEvent) {
    match event {
        DirectorEvent::JournalBehind { name, problem, .. } => session.output.warning(&format!(
            "the journal in repository {name} is behind: {}",
            problem_words(problem)
        )),
        DirectorEvent::SetApart { before, now, .. } => session.output.warning(&format!(
            "this state was set back, or a copy of it is in use: the journal of director {before} has other jobs. This one goes on \
             as {now}"
        )),
        DirectorEvent::BroughtBackElsewhere { director, .. } => session.output.warning(&format!(
            "director {director} was brought back from this one's journal: if both run, objects are backed up twice"
        )),
        _ => {}
    }
}
