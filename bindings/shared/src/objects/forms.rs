//! Jobs as their owners write them, as the director takes them.

use nakivo_core::access::SecretFiles;
use nakivo_core::director::scheduler::run::RetryPolicy;
use nakivo_core::director::scheduler::schedule::{ScheduleForm, Timetable};
use nakivo_core::director::{Director, JobForm, Keep, Source};
use nakivo_core::registry::Access;
use nakivo_core::repository::{OpenOptions, Repository};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::repository::{environment, locate};
use crate::NakivoError;
use crate::types::{self, JobOptions, JobSource, Schedule};

/// Opens a repository as it will be opened later.
pub(super) async fn open(access: &Access) -> Result<Repository, NakivoError> {
    let files = SecretFiles {
        key_file: access.key_file.clone(),
        passphrase_file: access.passphrase_file.clone(),
    };
    let config = access.store_config.as_ref().map(|path| path.to_string_lossy());
    let (location, settings) = locate(&access.url, config.as_deref())?;
    let store = location.open_with(&settings).await?;
    let options = OpenOptions::default().with_secret(files.read()?.value);
    Ok(Repository::open(store, options, environment(None)).await?)
}

/// A new job.
pub(super) async fn job(
    director: &Director,
    name: &str,
    options: JobOptions,
) -> Result<JobForm, NakivoError> {
    let missing = |field: &str| NakivoError::unfit(field, "a new job needs it");
    if options.new_name.is_some() {
        return Err(NakivoError::unfit("new_name", "it is not allowed for a new job"));
    }
    let repository = options
        .repository
        .as_deref()
        .ok_or_else(|| missing("repository"))?;
    let repository = director.registry().get(&repository.parse()?).await?.id;
    if options.sources.is_none() {
        return Err(missing("sources"));
    }
    edited(director, JobForm::new(name, repository, Vec::new()), options).await
}

/// A job with what is given changed.
pub(super) async fn edited(
    director: &Director,
    mut form: JobForm,
    options: JobOptions,
) -> Result<JobForm, NakivoError> {
    if let Some(name) = options.new_name {
        form.name = name;
    }
    if let Some(name) = options.repository {
        form.repository = director.registry().get(&name.parse()?).await?.id;
    }
    if let Some(sources) = options.sources {
        form.sources = Vec::with_capacity(sources.len());
        for one in sources {
            form.sources.push(source(director, one).await?);
        }
    }
    if let Some(schedules) = options.schedules {
        form.schedules = timetable(schedules)?;
    }
    if let Some(word) = options.catch_up {
        form.catch_up = read("catch_up", json!(word))?;
    }
    match (options.retention, options.keep_all) {
        (Some(_), true) => {
            return Err(NakivoError::unfit(
                "keep_all",
                "it is not allowed beside retention",
            ));
        }
        (Some(keep), false) => keep_by(keep, &mut form),
        (None, true) => form.retention = None,
        (None, false) => {}
    }
    retry(&mut form, options.retries, options.retry_minutes)?;
    form.tasks = options.tasks.unwrap_or(form.tasks);
    form.enabled = options.enabled.unwrap_or(form.enabled);
    Ok(form)
}

fn keep_by(keep: types::Keep, form: &mut JobForm) {
    let types::Keep {
        last,
        daily,
        weekly,
        monthly,
        yearly,
        zone,
        week_start,
    } = keep;
    form.retention = Some(Keep {
        last,
        daily,
        weekly,
        monthly,
        yearly,
    });
    form.zone = zone.unwrap_or_else(|| form.zone.clone());
    form.week_start = week_start.unwrap_or_else(|| form.week_start.clone());
}

fn retry(form: &mut JobForm, times: Option<u32>, minutes: Option<u32>) -> Result<(), NakivoError> {
    if times == Some(0) {
        form.retry = None;
    } else if times.is_some() || minutes.is_some() {
        let policy = RetryPolicy::new(times.unwrap_or(3).into(), minutes.unwrap_or(15).into(), false);
        form.retry = Some(policy.map_err(|error| NakivoError::unfit("retries", &error.to_string()))?);
    }
    Ok(())
}

async fn source(director: &Director, source: JobSource) -> Result<Source, NakivoError> {
    let JobSource {
        account,
        folder,
        objects,
        services,
    } = source;
    match (account, folder) {
        (Some(account), None) => Ok(Source {
            connector: nakivo_graph_connector::CONNECTOR_NAME.to_owned(),
            location: String::new(),
            account: Some(director.account(&account).await?.id),
            objects,
            services,
        }),
        (None, Some(folder)) => Ok(Source {
            objects,
            services,
            ..Source::folder(&folder, "")
        }),
        _ => Err(NakivoError::unfit(
            "sources",
            "each is to have either an account or a folder",
        )),
    }
}

/// Schedules as the scheduler reads them.
pub(crate) fn timetable(schedules: Vec<Schedule>) -> Result<Timetable, NakivoError> {
    let mut table = Vec::with_capacity(schedules.len());
    for one in schedules {
        let form: ScheduleForm = read("schedules", external(one))?;
        let schedule = nakivo_core::director::scheduler::schedule::Schedule::try_from(form);
        table.push(schedule.map_err(|error| NakivoError::unfit("schedules", &error.to_string()))?);
    }
    Timetable::new(table).map_err(|error| NakivoError::unfit("schedules", &error.to_string()))
}

/// What is given of a schedule, under the names that the scheduler has for it. What does not belong to the kind stays in, and
/// is refused.
fn external(schedule: Schedule) -> Value {
    let Schedule {
        kind,
        every,
        days,
        on,
        months,
        job,
        delay_minutes,
        outcomes,
        zone,
        start,
        end,
        valid_from,
        valid_until,
        week_start,
    } = schedule;
    let kind = kind.unwrap_or_else(|| "daily".to_owned());
    let every_what = match kind.as_str() {
        "weekly" => "every_weeks",
        "monthly" => "every_months",
        "periodic" => "every_minutes",
        _ => "every_days",
    };
    let repeat = [
        ("kind", Some(json!(kind))),
        (every_what, every.map(Value::from)),
        ("days", days.map(Value::from)),
        ("on", on.map(Value::from)),
        ("months", months.map(Value::from)),
        ("job", job.map(Value::from)),
        ("delay_minutes", delay_minutes.map(Value::from)),
        ("outcomes", outcomes.map(Value::from)),
    ];
    let rest = [
        ("repeat", Some(given(repeat))),
        ("zone", zone.map(Value::from)),
        ("start", start.map(Value::from)),
        ("end", end.map(Value::from)),
        ("from", valid_from.map(Value::from)),
        ("until", valid_until.map(Value::from)),
        ("week_start", week_start.map(Value::from)),
    ];
    given(rest)
}

fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter();
    let given: Map<String, Value> = fields
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Value::Object(given)
}

fn read<T: DeserializeOwned>(field: &str, value: Value) -> Result<T, NakivoError> {
    serde_json::from_value(value).map_err(|error| NakivoError::unfit(field, &error.to_string()))
}
