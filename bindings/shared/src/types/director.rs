//! Records of directors: accounts, known repositories, jobs, runs, events, the journal.

use nakivo_core::director::scheduler::catch_up::Missed;
use nakivo_core::director::scheduler::run::TaskEnd;
use nakivo_core::director::scheduler::schedule;
use nakivo_core::director::{self, Cause, JobEntry, JobStatus};
use nakivo_core::registry;

use super::{Keep, Timestamp, To};

options! {
    /// Settings of a director.
    DirectorOptions {
        /// Objects that are processed at once, over all jobs, 1 to 100. Default: 6.
        tasks: Option<u32>,
        /// Days for which history is kept, 5 to 90. Default: 30.
        history_days: Option<u32>,
        /// How often, in seconds, it looks whether jobs were changed by somebody else and whether the clock jumped. Default: 30.
        look_every_seconds: Option<u64>,
    }
}

record! {
    /// An account: what sources are read with, under a name that jobs use.
    AccountInfo {
        /// Its id.
        id: String,
        /// What people call it.
        name: String,
        /// Which connector reads it: `m365`.
        connector: String,
        /// The file with its credential.
        account_file: String,
        /// What people note about it.
        description: String,
        /// When it was added.
        added: Timestamp,
    }
}

impl To<AccountInfo> for director::AccountEntry {
    fn to(self) -> AccountInfo {
        AccountInfo {
            id: self.id.to(),
            name: self.account.name,
            connector: self.account.connector,
            account_file: self.account.location,
            description: self.account.description,
            added: self.added.to(),
        }
    }
}

options! {
    /// What is changed of an account. What is left out stays.
    AccountEdit {
        /// Another name.
        new_name: Option<String>,
        /// Another file with its credential.
        account_file: Option<String>,
        /// Another note.
        description: Option<String>,
    }
}

options! {
    /// How a repository is opened by later processes: by files, never by what they hold.
    RepositoryAccess {
        /// The file whose first line is its passphrase.
        passphrase_file: Option<String>,
        /// The file with a recovery key of it.
        key_file: Option<String>,
        /// The file with endpoint and credential of its object store.
        store_config: Option<String>,
    }
}

options! {
    /// What is changed of what is known of a repository. What is left out stays.
    RepositoryEdit {
        /// Another name.
        new_name: Option<String>,
        /// Another location of the same repository.
        url: Option<String>,
        /// Another file with its passphrase.
        passphrase_file: Option<String>,
        /// Another file with a recovery key.
        key_file: Option<String>,
        /// Another file with endpoint and credential of its store.
        store_config: Option<String>,
        /// Another note.
        description: Option<String>,
    }
}

record! {
    /// A repository that a director knows.
    KnownRepository {
        /// What people and jobs call it.
        name: String,
        /// Its id.
        id: String,
        /// Where it is.
        url: String,
        /// Whether jobs may use it.
        attached: bool,
        /// What people note about it.
        description: Option<String>,
        /// Its figures when it was last looked at.
        figures: Option<Figures>,
    }
}

impl To<KnownRepository> for registry::Registration {
    fn to(self) -> KnownRepository {
        KnownRepository {
            name: self.name.to(),
            id: self.id.to(),
            url: self.url,
            attached: self.attached,
            description: self.description,
            figures: self.figures.to(),
        }
    }
}

record! {
    /// Figures of a repository at one moment.
    Figures {
        /// When.
        taken: Timestamp,
        /// Whether a passphrase protects it.
        encrypted: bool,
        /// Objects with recovery points.
        objects: u64,
        /// Recovery points.
        points: u64,
        /// Bytes it takes.
        used_bytes: u64,
        /// Bytes that its store has left, where that is known.
        free_bytes: Option<u64>,
        /// Bytes that reclaim would free, where somebody asked.
        reclaimable_bytes: Option<u64>,
        /// Sum of the sizes of all items in all points.
        logical_bytes: u64,
        /// Plain bytes after deduplication, before compression.
        unique_bytes: u64,
    }
}

impl To<Figures> for registry::Figures {
    fn to(self) -> Figures {
        Figures {
            taken: Timestamp::of_ms(self.taken_ms),
            encrypted: self.encrypted,
            objects: self.objects.to(),
            points: self.points.to(),
            used_bytes: self.used_bytes,
            free_bytes: self.free_bytes,
            reclaimable_bytes: self.reclaimable_bytes,
            logical_bytes: self.logical_bytes,
            unique_bytes: self.unique_bytes,
        }
    }
}

options! {
    /// One place that the objects of a job come from: an account or a folder.
    JobSource {
        /// Name or id of an account of the director.
        account: Option<String>,
        /// Instead of an account: the path of a folder, with the one name in `objects` under which it is kept.
        folder: Option<String>,
        /// Names or addresses of its objects, the most important first. Default: every object that is found when a run starts.
        objects: Vec<String>,
        /// Which services are read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`. Default: all that the account may read.
        services: Vec<String>,
    }
}

options! {
    /// When a job runs.
    Schedule {
        /// `manual`, `daily`, `weekly`, `monthly`, `yearly`, `periodic` or `after`. Default: `daily`.
        kind: Option<String>,
        /// Every so many days, weeks or months; of a periodic schedule: minutes. Default: 1.
        every: Option<u32>,
        /// Days of the week: `monday` and so on. Default: all.
        days: Option<Vec<String>>,
        /// Of a monthly or yearly schedule: `first monday`, `last friday`, `day 15`, `last day`.
        on: Option<String>,
        /// Of a yearly schedule: `january` and so on.
        months: Option<Vec<String>>,
        /// After another job: its id.
        job: Option<String>,
        /// After another job: how many minutes after its end. Default: 0.
        delay_minutes: Option<u32>,
        /// After another job: which of its ends: `complete`, `partial`, `failed`, `stopped`. Default: `complete`.
        outcomes: Option<Vec<String>>,
        /// IANA name of the zone that times are meant in. Default: `UTC`.
        zone: Option<String>,
        /// Local time at which the job starts: `01:00`. Default: midnight.
        start: Option<String>,
        /// Local time at which a run is stopped. Default: none.
        end: Option<String>,
        /// First local date in force: `2026-01-31`.
        valid_from: Option<String>,
        /// Last local date in force.
        valid_until: Option<String>,
        /// First day of the week where weeks are counted. Default: `monday`.
        week_start: Option<String>,
    }
}

options! {
    /// What a job is. What is left out has its default, or stays as it is when a job is edited.
    JobOptions {
        /// Another name for a job that exists.
        new_name: Option<String>,
        /// What is backed up, the most important first.
        sources: Option<Vec<JobSource>>,
        /// Name of the repository.
        repository: Option<String>,
        /// When it runs. Default: on demand.
        schedules: Option<Vec<Schedule>>,
        /// What to do about times that were missed: `within_window`, `once` or `skip`. Default: `within_window`.
        catch_up: Option<String>,
        /// How many points of each object stay. Default: the last 10.
        retention: Option<Keep>,
        /// Remove no points at all after a run. Default: `false`.
        keep_all: bool,
        /// How often a failed object is tried again within a run; 0: not at all. Default: 3.
        retries: Option<u32>,
        /// Minutes between two tries. Default: 15.
        retry_minutes: Option<u32>,
        /// Objects processed at once, 1 to 100. Default: 3.
        tasks: Option<u32>,
        /// Whether it runs, by schedule or by hand. Default: `true`.
        enabled: Option<bool>,
    }
}

record! {
    /// A job as it stands.
    JobInfo {
        /// Its id.
        id: String,
        /// What people call it.
        name: String,
        /// Id of its repository.
        repository: String,
        /// Names of the objects that it names; empty: whatever is found.
        objects: Vec<String>,
        /// Whether it runs, by schedule or by hand.
        enabled: bool,
        /// Objects processed at once.
        tasks: u32,
        /// When it was added.
        added: Timestamp,
        /// Whether a run of it has begun and not ended.
        running: bool,
        /// How its last run ended: `complete`, `partial`, `failed` or `stopped`.
        last_outcome: Option<String>,
        /// When its last run ended.
        last_ended: Option<Timestamp>,
        /// When it is due next.
        next: Option<Timestamp>,
    }
}

impl To<JobInfo> for JobStatus {
    fn to(self) -> JobInfo {
        let JobEntry { id, job, added, .. } = self.entry;
        let form = job.form();
        let sources = form.sources.iter();
        JobInfo {
            id: id.to(),
            name: form.name.clone(),
            repository: form.repository.to(),
            objects: sources.flat_map(|source| source.objects.clone()).collect(),
            enabled: form.enabled,
            tasks: form.tasks,
            added: added.to(),
            running: self.running,
            last_outcome: self.last.map(|(outcome, _)| outcome.to()),
            last_ended: self.last.map(|(_, ended)| ended.to()),
            next: self.next.map(|next| next.start.to()),
        }
    }
}

record! {
    /// A time at which something is due.
    Occurrence from schedule::Occurrence {
        /// When it starts.
        start: Timestamp,
        /// When a run that started then is stopped.
        end: Option<Timestamp>,
        /// Whether its local time does not exist on that date, so that it starts at the first moment after the gap.
        moved: bool,
    }
}

options! {
    /// Which objects of a job are run. Default: all.
    RunSelection {
        /// Only these.
        objects: Vec<String>,
        /// Only those that failed last time.
        failed: bool,
    }
}

record! {
    /// What is on record of a run.
    RunRecord {
        /// Its id.
        run: String,
        /// Id of the job.
        job: String,
        /// What the job was called.
        job_name: String,
        /// `asked`, `schedule` or `chain`.
        cause: String,
        /// When a run by schedule was due.
        due: Option<Timestamp>,
        /// When it was started.
        started: Timestamp,
        /// When it had ended.
        ended: Timestamp,
        /// `complete`, `partial`, `failed` or `stopped`.
        outcome: String,
        /// How often the process ended while it went on.
        interruptions: u32,
        /// What became of its objects.
        objects: Vec<ObjectResult>,
    }
}

impl To<RunRecord> for director::RunRecord {
    fn to(self) -> RunRecord {
        let (cause, due) = match self.cause {
            Cause::Asked => ("asked", None),
            Cause::Schedule { due, .. } => ("schedule", Some(due)),
            Cause::Chain { .. } => ("chain", None),
        };
        RunRecord {
            run: self.run.to(),
            job: self.job.to(),
            job_name: self.job_name,
            cause: cause.to_owned(),
            due: due.to(),
            started: self.started.to(),
            ended: self.ended.to(),
            outcome: self.outcome.to(),
            interruptions: self.interruptions,
            objects: self.objects.to(),
        }
    }
}

record! {
    /// What a run did to an object.
    ObjectResult {
        /// Its id; for what was never found the name that the job has for it.
        object: String,
        /// What people call it.
        name: String,
        /// `complete`, `partial`, `failed` or `stopped`.
        outcome: String,
        /// How often it was tried.
        tries: u32,
        /// The recovery point that was made.
        point: Option<String>,
        /// Items in that point.
        items: u64,
        /// Plain bytes of these.
        bytes: u64,
        /// Items that could not be read.
        failed: u64,
        /// Plain bytes read from the source.
        bytes_read: u64,
        /// Bytes that reached the repository.
        bytes_stored: u64,
        /// Older points that retention removed afterwards.
        points_removed: u64,
        /// Stable code of what went wrong.
        code: Option<String>,
        /// What went wrong, for people.
        message: Option<String>,
    }
}

impl To<ObjectResult> for director::ObjectResult {
    fn to(self) -> ObjectResult {
        let (code, message) = self
            .problem
            .map(|problem| (problem.code, problem.message))
            .unzip();
        ObjectResult {
            object: self.object,
            name: self.name,
            outcome: end_word(self.end).to_owned(),
            tries: self.tries,
            point: self.point.to(),
            items: self.items,
            bytes: self.bytes,
            failed: self.failed,
            bytes_read: self.bytes_read,
            bytes_stored: self.bytes_stored,
            points_removed: self.points_removed,
            code,
            message,
        }
    }
}

fn end_word(end: TaskEnd) -> &'static str {
    match end {
        TaskEnd::Complete => "complete",
        TaskEnd::Partial => "partial",
        TaskEnd::Failed { .. } => "failed",
        TaskEnd::Stopped => "stopped",
    }
}

record! {
    /// One line of a job's history: a run that ended, or times that were missed.
    HistoryEntry {
        /// The run, if it is one.
        run: Option<RunRecord>,
        /// The times that were missed, if it is that.
        missed: Option<MissedTimes>,
    }
}

record! {
    /// Times at which a job was due and not started.
    MissedTimes from Missed {
        /// How many.
        count: u64,
        /// They are all after this moment.
        after: Timestamp,
        /// They are all at or before this moment.
        until: Timestamp,
    }
}

impl To<HistoryEntry> for director::HistoryEntry {
    fn to(self) -> HistoryEntry {
        match self {
            Self::Run(run) => HistoryEntry {
                run: Some((*run).to()),
                missed: None,
            },
            Self::Missed(missed) => HistoryEntry {
                run: None,
                missed: Some(missed.to()),
            },
        }
    }
}

record! {
    /// Something that happened.
    DirectorEvent {
        /// What: `run_started`, `run_resumed`, `object_done`, `run_ended`, `missed`, `clock_set_back`, `journalled`, `journal_behind`,
        /// `set_apart`, `brought_back_elsewhere`, or `lost`: more happened than was listened to.
        kind: String,
        /// Id of the job that it is about.
        job: Option<String>,
        /// What the job or the repository is called.
        name: Option<String>,
        /// Id of the run.
        run: Option<String>,
        /// What became of an object.
        object: Option<ObjectResult>,
        /// Of a run that ended: what is on record.
        record: Option<RunRecord>,
        /// The times that were missed.
        missed: Option<MissedTimes>,
        /// Id of the repository that it is about.
        repository: Option<String>,
        /// Something to know, for people.
        message: Option<String>,
    }
}

impl DirectorEvent {
    /// An event of which nothing but its kind is known.
    pub(crate) fn of_kind(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            job: None,
            name: None,
            run: None,
            object: None,
            record: None,
            missed: None,
            repository: None,
            message: None,
        }
    }

    fn of_job(kind: &str, job: &director::JobId, name: String) -> Self {
        Self {
            job: Some(job.to_string()),
            name: Some(name),
            ..Self::of_kind(kind)
        }
    }
}

impl To<DirectorEvent> for director::DirectorEvent {
    fn to(self) -> DirectorEvent {
        match self {
            Self::RunStarted { job, name, run, .. } => DirectorEvent {
                run: Some(run.to()),
                ..DirectorEvent::of_job("run_started", &job, name)
            },
            Self::RunResumed { job, name, run } => DirectorEvent {
                run: Some(run.to()),
                ..DirectorEvent::of_job("run_resumed", &job, name)
            },
            Self::ObjectDone {
                job,
                name,
                run,
                result,
            } => DirectorEvent {
                run: Some(run.to()),
                object: Some((*result).to()),
                ..DirectorEvent::of_job("object_done", &job, name)
            },
            Self::RunEnded { record } => DirectorEvent {
                run: Some(record.run.to()),
                record: Some((*record).clone().to()),
                ..DirectorEvent::of_job("run_ended", &record.job, record.job_name.clone())
            },
            Self::Missed { job, name, missed } => DirectorEvent {
                missed: Some(missed.to()),
                ..DirectorEvent::of_job("missed", &job, name)
            },
            Self::ClockSetBack { job, name } => DirectorEvent::of_job("clock_set_back", &job, name),
            Self::Journalled { repository, .. } => DirectorEvent {
                repository: Some(repository.to()),
                ..DirectorEvent::of_kind("journalled")
            },
            Self::JournalBehind {
                repository,
                name,
                problem,
            } => DirectorEvent {
                repository: Some(repository.to()),
                name: Some(name),
                message: Some(problem.message),
                ..DirectorEvent::of_kind("journal_behind")
            },
            Self::SetApart {
                repository,
                before,
                now,
                ..
            } => DirectorEvent {
                repository: Some(repository.to()),
                message: Some(format!(
                    "the other configuration stays under {before}; this one goes on as {now}"
                )),
                ..DirectorEvent::of_kind("set_apart")
            },
            Self::BroughtBackElsewhere { repository, director } => DirectorEvent {
                repository: Some(repository.to()),
                message: Some(format!(
                    "director {director} was brought back from this one's journal"
                )),
                ..DirectorEvent::of_kind("brought_back_elsewhere")
            },
            other => DirectorEvent {
                message: Some(format!("{other:?}")),
                ..DirectorEvent::of_kind("other")
            },
        }
    }
}

record! {
    /// How running jobs by their schedules ended.
    Served {
        /// Whether somebody asked it to end.
        stopped: bool,
    }
}

record! {
    /// How far the journal of a director is.
    JournalStatus {
        /// Who the director is; none before it wrote anything.
        director: Option<String>,
        /// Number of the newest configuration that was to be written.
        revision: u64,
        /// Whether a repository lacks the configuration as it is now.
        behind: bool,
        /// Every repository that jobs use, or used.
        repositories: Vec<JournalStanding>,
    }
}

record! {
    /// How far the journal in one repository is.
    JournalStanding {
        /// Name of the repository.
        name: String,
        /// Its id.
        repository: String,
        /// The newest revision that is known to be in it.
        revision: Option<u64>,
        /// When that was written.
        written: Option<Timestamp>,
        /// Whether the configuration as it is now is not in it.
        behind: bool,
        /// Why the last try failed, for people.
        problem: Option<String>,
    }
}

impl To<JournalStanding> for director::JournalStanding {
    fn to(self) -> JournalStanding {
        JournalStanding {
            name: self.name.to(),
            repository: self.repository.to(),
            revision: self.revision,
            written: self.written.to(),
            behind: self.behind,
            problem: self.problem.map(|problem| problem.message),
        }
    }
}

impl To<JournalStatus> for director::JournalStatus {
    fn to(self) -> JournalStatus {
        JournalStatus {
            director: self.director.to(),
            revision: self.revision,
            behind: self.is_behind(),
            repositories: self.repositories.to(),
        }
    }
}

record! {
    /// What a journal in a repository says about itself.
    JournalHead from director::JournalHead {
        /// Id of the director that wrote it.
        director: String,
        /// Number of its configuration.
        revision: u64,
        /// When it was written.
        written: Timestamp,
        /// Number of jobs.
        jobs: u64,
        /// Number of repositories.
        repositories: u64,
    }
}

record! {
    /// What was brought back from a journal.
    Restored {
        /// The journal.
        from: JournalHead,
        /// Names of the jobs.
        jobs: Vec<String>,
        /// The repositories that are known now.
        repositories: Vec<KnownRepository>,
        /// How far the journal is now.
        journal: JournalStatus,
    }
}

impl To<Restored> for director::Restored {
    fn to(self) -> Restored {
        Restored {
            from: self.from.to(),
            jobs: self
                .jobs
                .iter()
                .map(|entry| entry.job.name().to_owned())
                .collect(),
            repositories: self.repositories.to(),
            journal: self.journal.to(),
        }
    }
}
