//! `nakivo job add|list|show|edit|remove`: jobs as they are configured.

use std::path::Path;

use nakivo_core::director::scheduler::catch_up::CatchUp;
use nakivo_core::director::scheduler::run::RetryPolicy;
use nakivo_core::director::scheduler::schedule::{Repeat, Schedule, ScheduleForm, Timetable};
use nakivo_core::director::{AccountEntry, Director, JobEntry, JobForm, JobStatus, JournalStanding, Source};
use nakivo_core::format::RepositoryId;
use nakivo_core::registry::RepositoryName;
use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_connector::CONNECTOR_NAME;
use serde_json::json;

use super::accounts;
use super::director::{journalled, standing_words};
use super::registry::absolute;
use crate::exit::Exit;
use crate::grammar::{
    CatchUpChoice, HowArgs, JobAdd, JobEdit, JobNamed, JobRemove, KeepChoice, Service, SourceArgs, WhenArgs,
};
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Adds a job.
pub(super) async fn add(session: &Session, director: &Director, arguments: &JobAdd) -> Result<Exit> {
    let repository = director.registry().get(&arguments.repository).await?.id;
    let sources = sources(director, &arguments.sources).await?;
    if sources.is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, "it is not said what is to be backed up")
                .with_hint("Name folders with --folder NAME=PATH, or an organisation with --account FILE."),
        );
    }
    let mut form = JobForm::new(&arguments.name, repository, sources);
    form.enabled = !arguments.disabled;
    let schedules = schedules(director, &arguments.when, None).await?;
    apply(&mut form, schedules, &arguments.when, &arguments.how)?;
    let entry = director.add(form).await?;
    said(session, director, &entry, "added").await?;
    journalled(session, director).await
}

/// Changes a job.
pub(super) async fn edit(session: &Session, director: &Director, arguments: &JobEdit) -> Result<Exit> {
    let entry = director.job(&arguments.named.job).await?;
    let mut form = entry.job.form().clone();
    if let Some(name) = &arguments.new_name {
        form.name.clone_from(name);
    }
    if let Some(name) = &arguments.repository {
        form.repository = director.registry().get(name).await?.id;
    }
    let sources = sources(director, &arguments.sources).await?;
    if !sources.is_empty() {
        form.sources = sources;
    }
    if arguments.on_demand {
        form.schedules = Timetable::default();
    }
    let schedules = schedules(director, &arguments.when, Some(&form)).await?;
    apply(&mut form, schedules, &arguments.when, &arguments.how)?;
    form.enabled = (form.enabled || arguments.enable) && !arguments.disable;
    if form == *entry.job.form() && !(arguments.enable || arguments.disable) {
        return Err(Error::new(ErrorKind::InvalidInput, "nothing is to be changed")
            .with_hint("Say what is to be changed; see: nakivo job edit --help"));
    }
    let entry = director.edit(&entry.id, |before| *before = form).await?;
    let running = director.status(&entry.id).await?.running;
    let what = if running {
        "changed, from when its run has ended"
    } else {
        "changed"
    };
    said(session, director, &entry, what).await?;
    journalled(session, director).await
}

/// Removes a job, or shows what would go with it.
pub(super) async fn remove(session: &Session, director: &Director, arguments: &JobRemove) -> Result<Exit> {
    let entry = director.job(&arguments.named.job).await?;
    let history = director.history(&entry.id, usize::MAX).await?.len();
    if !arguments.preview {
        director.remove(&entry.id).await?;
    }
    let fields = json!({
        "id": entry.id,
        "name": entry.job.name(),
        "history": history,
        "removed": !arguments.preview,
    });
    session.output.record("job_removed", &fields);
    session.output.line(format!(
        "Job {} {} with {} of its history; its recovery points stay.",
        text::escape(entry.job.name()),
        if arguments.preview {
            "would be removed"
        } else {
            "is removed"
        },
        text::counted(history as u64, "line"),
    ));
    if arguments.preview {
        return Ok(Exit::Ok);
    }
    journalled(session, director).await
}

/// Lists the jobs.
pub(super) async fn list(session: &Session, director: &Director) -> Result<Exit> {
    let mut table = Table::new(&["NAME", "STATE", "REPOSITORY", ">SOURCES", "LAST RUN", "", "NEXT"]);
    for entry in director.jobs().await? {
        let status = director.status(&entry.id).await?;
        let repository = repository_name(director, entry.job.form().repository).await?;
        record(session, &status, &repository, None);
        table.row([
            entry.job.name().to_owned(),
            state(&status).to_owned(),
            repository,
            text::count(entry.job.form().sources.len() as u64),
            status.last.map(|(_, at)| text::moment(at)).unwrap_or_default(),
            status
                .last
                .map(|(outcome, _)| outcome.to_string())
                .unwrap_or_default(),
            status
                .next
                .map(|next| text::moment(next.start))
                .unwrap_or_default(),
        ]);
    }
    table.print(&session.output);
    Ok(Exit::Ok)
}

/// Shows one job.
pub(super) async fn show(session: &Session, director: &Director, arguments: &JobNamed) -> Result<Exit> {
    let entry = director.job(&arguments.job).await?;
    let status = director.status(&entry.id).await?;
    let form = entry.job.form();
    let repository = repository_name(director, form.repository).await?;
    let journal = director.journal_status().await?.repositories.into_iter();
    let journal = journal.into_iter().find(|one| one.repository == form.repository);
    record(session, &status, &repository, journal.as_ref());
    let mut lines = vec![
        ("job", form.name.clone()),
        ("id", entry.id.to_string()),
        ("state", state(&status).to_owned()),
        ("repository", repository),
    ];
    let accounts = director.accounts().await?;
    let sources = form.sources.iter();
    lines.extend(sources.map(|source| ("source", source_words(source, &accounts))));
    let schedules = form.schedules.schedules().iter();
    lines.extend(schedules.map(|schedule| ("schedule", as_json(&schedule.form()))));
    if form.schedules.schedules().is_empty() {
        lines.push(("schedule", "on demand".to_owned()));
    }
    let keep = form.retention.as_ref().map(as_json);
    lines.extend([
        (
            "missed times",
            as_json(&form.catch_up).trim_matches('"').to_owned(),
        ),
        ("keep", keep.unwrap_or_else(|| "all".to_owned())),
        ("days by", form.zone.clone()),
        (
            "retries",
            form.retry.as_ref().map_or_else(|| "none".to_owned(), as_json),
        ),
        ("tasks", form.tasks.to_string()),
        (
            "last run",
            status
                .last
                .map(|(outcome, at)| format!("{outcome}, {}", text::moment(at)))
                .unwrap_or_default(),
        ),
        (
            "next",
            status
                .next
                .map(|next| text::moment(next.start))
                .unwrap_or_default(),
        ),
        (
            "journal",
            journal.as_ref().map(standing_words).unwrap_or_default(),
        ),
    ]);
    for (label, value) in lines {
        session
            .output
            .line(format!("{label:<14} {}", text::escape(&value)));
    }
    Ok(Exit::Ok)
}

fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn source_words(source: &Source, accounts: &[AccountEntry]) -> String {
    let account = accounts
        .iter()
        .find(|entry| source.account.as_ref() == Some(&entry.id));
    let place = account.map_or(&source.location, |entry| &entry.account.name);
    let list = |words: &[String]| {
        if words.is_empty() {
            "all".to_owned()
        } else {
            words.join(", ")
        }
    };
    let services = if source.services.is_empty() {
        String::new()
    } else {
        format!(" ({})", source.services.join(", "))
    };
    format!(
        "{} {place}: {}{services}",
        source.connector,
        list(&source.objects)
    )
}

fn state(status: &JobStatus) -> &'static str {
    match (status.running, status.entry.job.form().enabled) {
        (true, _) => "running",
        (false, true) => "enabled",
        (false, false) => "disabled",
    }
}

fn record(session: &Session, status: &JobStatus, repository: &str, journal: Option<&JournalStanding>) {
    let entry = &status.entry;
    let mut fields = json!({
        "id": entry.id,
        "name": entry.job.name(),
        "state": state(status),
        "repository": repository,
        "added": entry.added,
        "due_since": entry.due_since,
        "last_outcome": status.last.map(|(outcome, _)| outcome),
        "last_ended": status.last.map(|(_, at)| at),
        "next": status.next.map(|next| next.start),
        "settings": entry.job.form(),
    });
    if let Some(journal) = journal {
        fields["journal"] = json!(journal);
    }
    session.output.record("job", &fields);
}

/// Says what became of a job, and how it stands.
pub(super) async fn said(session: &Session, director: &Director, entry: &JobEntry, what: &str) -> Result<()> {
    let status = director.status(&entry.id).await?;
    let repository = repository_name(director, entry.job.form().repository).await?;
    record(session, &status, &repository, None);
    let next = match status.next {
        Some(next) => format!("due next at {}", text::moment(next.start)),
        None => "runs on demand".to_owned(),
    };
    let next = if entry.job.form().enabled {
        next
    } else {
        "disabled".to_owned()
    };
    let name = text::escape(entry.job.name());
    session.output.line(format!("Job {name}: {what}; {next}."));
    Ok(())
}

/// What the repository is called now.
async fn repository_name(director: &Director, id: RepositoryId) -> Result<String> {
    let known = director.registry().list().await?.into_iter();
    let named = known
        .into_iter()
        .find(|entry| entry.id == id)
        .map(|entry| entry.name);
    Ok(named
        .as_ref()
        .map_or_else(|| id.to_string(), RepositoryName::to_string))
}

/// A path that means the same from whatever directory the director is started.
pub(super) fn path_text(path: &Path) -> Result<String> {
    let path = absolute(Some(path.to_owned()))?.unwrap_or_default();
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::invalid("path", path.display(), "a path in UTF-8"))
}

async fn sources(director: &Director, arguments: &SourceArgs) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (name, folder) in &arguments.folders {
        sources.push(Source::folder(&path_text(folder)?, name));
    }
    if let Some(account) = &arguments.account {
        let known = accounts::named(director, account).await?;
        sources.push(Source {
            connector: CONNECTOR_NAME.to_owned(),
            location: match known {
                Some(_) => String::new(),
                None => path_text(account)?,
            },
            account: known.map(|entry| entry.id),
            objects: arguments.objects.clone(),
            services: arguments.services.iter().copied().map(Service::word).collect(),
        });
    }
    Ok(sources)
}

/// The schedules that are given; `None` if none is.
async fn schedules(
    director: &Director,
    arguments: &WhenArgs,
    before: Option<&JobForm>,
) -> Result<Option<Timetable>> {
    let zone = arguments.time_zone.map(|zone| zone.name().to_owned());
    let zone = zone
        .or_else(|| before.map(|form| form.zone.clone()))
        .unwrap_or_else(|| "UTC".to_owned());
    let mut forms = Vec::new();
    if let Some(start) = &arguments.daily {
        forms.push(ScheduleForm::daily(start).in_zone(&zone));
    }
    if let Some(minutes) = arguments.every {
        forms.push(ScheduleForm::periodic(minutes).in_zone(&zone));
    }
    match (&arguments.until, forms.first_mut()) {
        (Some(end), Some(form)) => form.end = Some(end.clone()),
        (Some(end), None) => {
            return Err(Error::invalid("--until", end, "beside --daily or --every"));
        }
        (None, _) => {}
    }
    if let Some(after) = &arguments.after {
        forms.push(ScheduleForm::new(Repeat::After {
            job: director.job(after).await?.id.to_string(),
            delay_minutes: 0,
            outcomes: vec!["complete".to_owned(), "partial".to_owned()],
        }));
    }
    let refused = |error: String| Error::new(ErrorKind::InvalidInput, format!("schedule: {error}"));
    let mut schedules = Vec::new();
    for form in forms {
        schedules.push(form.check().map_err(|error| refused(error.to_string()))?);
    }
    for json in &arguments.schedules {
        let schedule: Schedule = serde_json::from_str(json).map_err(|error| refused(error.to_string()))?;
        schedules.push(schedule);
    }
    if schedules.is_empty() {
        return Ok(None);
    }
    Timetable::new(schedules)
        .map(Some)
        .map_err(|error| refused(error.to_string()))
}

/// Changes what is named and leaves the rest.
fn apply(form: &mut JobForm, schedules: Option<Timetable>, when: &WhenArgs, how: &HowArgs) -> Result<()> {
    if let Some(schedules) = schedules {
        form.schedules = schedules;
    }
    if let Some(choice) = when.catch_up {
        form.catch_up = match choice {
            CatchUpChoice::WithinWindow => CatchUp::WithinWindow,
            CatchUpChoice::Once => CatchUp::Once,
            CatchUpChoice::Skip => CatchUp::Skip,
        };
    }
    if let Some(zone) = when.time_zone {
        zone.name().clone_into(&mut form.zone);
    }
    if let Some(KeepChoice(keep)) = how.keep {
        form.retention = keep;
    }
    if let Some(day) = how.first_day_of_week {
        form.week_start = day.to_string();
    }
    if let Some(tasks) = how.tasks {
        form.tasks = tasks;
    }
    form.retry = retry(form.retry, how)?;
    Ok(())
}

fn retry(before: Option<RetryPolicy>, how: &HowArgs) -> Result<Option<RetryPolicy>> {
    if (how.retries, how.retry_every) == (None, None) {
        return Ok(before);
    }
    if how.retries == Some(0) {
        return Ok(None);
    }
    let before = before.unwrap_or_default();
    let times = how.retries.unwrap_or_else(|| before.times());
    let every = how.retry_every.unwrap_or_else(|| before.interval().num_minutes());
    let policy = RetryPolicy::new(times, every, before.after_critical());
    policy.map(Some).map_err(|error| {
        let option = if error.field == "times" {
            "--retries"
        } else {
            "--retry-every"
        };
        let allowed = format!("{} to {}", error.least, error.most);
        Error::invalid(option, error.value, &allowed)
    })
}
