//! Directors: jobs, and the runs that their schedules call for.

use std::path::Path;
use std::sync::Arc;

use nakivo_core::access::{FileRepositories, Warnings};
use nakivo_core::director::scheduler::admission::Limits;
use nakivo_core::director::scheduler::run::Scope;
use nakivo_core::director::{
    self as core, AccountForm, DirectorId, DirectorSettings, JobForm, RepositoryProvider as _,
};
use nakivo_core::progress::Running;
use nakivo_core::registry::{Access, RepositoryName};
use nakivo_core::repository as repositories;
use nakivo_graph_connector::{AccountConfig, CONNECTOR_NAME, Sources};
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::repository::environment;
use super::{JobRun, Repository, ServeRun, Source, forms};
use crate::NakivoError;
use crate::types::{
    AccountEdit, AccountInfo, DirectorEvent, DirectorOptions, HistoryEntry, JobInfo, JobOptions, JournalHead,
    JournalStatus, KnownRepository, Occurrence, RepositoryAccess, RepositoryEdit, Restored, RunSelection,
    Served, To as _,
};

/// Where what an account file holds is described.
const ACCOUNT_HINT: &str = "See the page on connecting an organisation for what an account file holds.";
/// Where what a file of store settings holds is described.
const STORE_HINT: &str = "See the page on object stores for what a file of store settings holds.";

/// Jobs, and the runs that their schedules call for, on one directory of state.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Director {
    director: core::Director,
    opener: FileRepositories,
}

impl Director {
    /// Opens a known repository.
    async fn open_known(&self, name: &RepositoryName) -> Result<repositories::Repository, NakivoError> {
        let entry = self.director.registry().get(name).await?;
        Ok(self.opener.open(&entry).await?)
    }

    async fn job_info(&self, name: &str) -> Result<JobInfo, NakivoError> {
        let id = self.director.job(name).await?.id;
        Ok(self.director.status(&id).await?.to())
    }
}

fn access(url: &str, access: RepositoryAccess) -> Access {
    Access {
        url: url.to_owned(),
        passphrase_file: access.passphrase_file.map(Into::into),
        key_file: access.key_file.map(Into::into),
        store_config: access.store_config.map(Into::into),
    }
}

fn parsed_id(id: &str) -> Result<DirectorId, NakivoError> {
    Ok(id.parse::<DirectorId>()?)
}

class! {
    /// Jobs, and the runs that their schedules call for, on one directory of state.
    Director
    constructors {
        /// Opens the director of a directory, which is made if it is not there. Starts nothing.
        fn open(state_dir: String, options: DirectorOptions) {
            let DirectorOptions { tasks, history_days, look_every_seconds } = options;
            let mut settings = DirectorSettings::default();
            if let Some(tasks) = tasks {
                let limits = Limits::new(tasks, 2, true).map_err(|error| NakivoError::unfit("tasks", &error.to_string()))?;
                settings = settings.with_limits(limits);
            }
            if let Some(days) = history_days {
                settings = settings.with_history_days(days);
            }
            if let Some(seconds) = look_every_seconds {
                settings = settings.with_look_every_seconds(seconds);
            }
            let env = environment(Some(&state_dir));
            let sources = Sources::new(&env, Warnings::default(), ACCOUNT_HINT);
            let opener = FileRepositories::new(&env, Warnings::default(), STORE_HINT);
            let director = core::Director::open(env, settings, Arc::new(sources), Arc::new(opener.clone())).await?;
            Ok(Arc::new(Self { director, opener }))
        }
    }
    methods {
        /// Every account.
        fn accounts(&self) -> Vec<AccountInfo> {
            Ok(self.director.accounts().await?.to())
        }

        /// Adds an account by its file. Whether it can sign in is not tried: see `source`.
        fn add_account(&self, name: String, account_file: String) -> AccountInfo {
            AccountConfig::read(Path::new(&account_file), ACCOUNT_HINT)?;
            let form = AccountForm::new(&name, CONNECTOR_NAME, &account_file);
            Ok(self.director.add_account(form).await?.to())
        }

        /// Changes an account, by name or id. Its jobs stay.
        fn edit_account(&self, account: String, edit: AccountEdit) -> AccountInfo {
            let AccountEdit { new_name, account_file, description } = edit;
            if let Some(file) = &account_file {
                AccountConfig::read(Path::new(file), ACCOUNT_HINT)?;
            }
            let id = self.director.account(&account).await?.id;
            let edited = self.director.edit_account(&id, |form| {
                form.name = new_name.unwrap_or_else(|| form.name.clone());
                form.location = account_file.unwrap_or_else(|| form.location.clone());
                form.description = description.unwrap_or_else(|| form.description.clone());
            });
            Ok(edited.await?.to())
        }

        /// Forgets an account that no job uses.
        fn remove_account(&self, account: String) -> AccountInfo {
            let id = self.director.account(&account).await?.id;
            Ok(self.director.remove_account(&id).await?.to())
        }

        /// The organisation of an account.
        fn source(&self, account: String, services: Vec<String>) -> Arc<Source> {
            let entry = self.director.account(&account).await?;
            let config = AccountConfig::read(Path::new(&entry.account.location), ACCOUNT_HINT)?.value;
            Source::organisation(config, &services)
        }

        /// The repositories that jobs may use.
        fn repositories(&self) -> Vec<KnownRepository> {
            Ok(self.director.registry().list().await?.to())
        }

        /// Makes a repository known under a name, so that jobs may use it.
        fn add_repository(&self, name: String, url: String, access_by: RepositoryAccess) -> KnownRepository {
            let name: RepositoryName = name.parse()?;
            let access = access(&url, access_by);
            let opened = forms::open(&access).await?;
            Ok(self.director.registry().import(name, access, &opened).await?.to())
        }

        /// Changes what is known of a repository.
        fn edit_repository(&self, name: String, edit: RepositoryEdit) -> KnownRepository {
            let RepositoryEdit { new_name, url, passphrase_file, key_file, store_config, description } = edit;
            let new_name = new_name.map(|name| name.parse()).transpose()?;
            let name = name.parse()?;
            let edited = self.director.registry().edit(&name, |entry| {
                entry.name = new_name.unwrap_or_else(|| entry.name.clone());
                entry.url = url.unwrap_or_else(|| entry.url.clone());
                entry.passphrase_file = passphrase_file.map(Into::into).or(entry.passphrase_file.take());
                entry.key_file = key_file.map(Into::into).or(entry.key_file.take());
                entry.store_config = store_config.map(Into::into).or(entry.store_config.take());
                entry.description = description.or(entry.description.take());
            });
            Ok(edited.await?.to())
        }

        /// Opens a known repository.
        fn open_repository(&self, name: String) -> Arc<Repository> {
            Ok(Arc::new(Repository(self.open_known(&name.parse()?).await?)))
        }

        /// Takes new figures of a known repository.
        fn refresh_repository(&self, name: String) -> KnownRepository {
            let name: RepositoryName = name.parse()?;
            let opened = self.open_known(&name).await?;
            Ok(self.director.registry().refresh(&name, &opened).await?.to())
        }

        /// Lets jobs use a repository again.
        fn attach_repository(&self, name: String) -> KnownRepository {
            let name: RepositoryName = name.parse()?;
            let opened = self.open_known(&name).await?;
            Ok(self.director.registry().attach(&name, &opened).await?.to())
        }

        /// Keeps jobs from using a repository, so that its disk can be taken out.
        fn detach_repository(&self, name: String) -> KnownRepository {
            Ok(self.director.registry().detach(&name.parse()?).await?.to())
        }

        /// Forgets a repository that no job uses. What is in it stays.
        fn remove_repository(&self, name: String) -> KnownRepository {
            Ok(self.director.remove_repository(&name.parse()?).await?.to())
        }

        /// Every job as it stands.
        fn jobs(&self) -> Vec<JobInfo> {
            let mut jobs = Vec::new();
            for entry in self.director.jobs().await? {
                jobs.push(self.director.status(&entry.id).await?.to());
            }
            Ok(jobs)
        }

        /// The job of this name or id, as it stands.
        fn job(&self, job: String) -> JobInfo {
            self.job_info(&job).await
        }

        /// Adds a job.
        fn add_job(&self, name: String, options: JobOptions) -> JobInfo {
            let form = forms::job(&self.director, &name, options).await?;
            let id = self.director.add(form).await?.id;
            self.job_info(id.as_str()).await
        }

        /// Changes a job, by name or id. A run of it goes on as it was.
        fn edit_job(&self, job: String, options: JobOptions) -> JobInfo {
            let entry = self.director.job(&job).await?;
            let form = forms::edited(&self.director, entry.job.form().clone(), options).await?;
            self.director.edit(&entry.id, |before: &mut JobForm| *before = form).await?;
            self.job_info(entry.id.as_str()).await
        }

        /// Removes a job. The recovery points that it made stay.
        fn remove_job(&self, job: String) {
            let id = self.director.job(&job).await?.id;
            self.director.remove(&id).await?;
            Ok(())
        }

        /// The next times at which a job is due.
        fn next_times(&self, job: String, most: u32) -> Vec<Occurrence> {
            let entry = self.director.job(&job).await?;
            let now = environment(None).clock.now();
            let times = entry.job.form().schedules.occurrences(now).take(most as usize);
            Ok(times.map(|time| time.to()).collect())
        }

        /// Runs a job now.
        fn run(&self, job: String, selection: RunSelection) -> Arc<JobRun> {
            let id = self.director.job(&job).await?.id;
            let scope = match (selection.failed, selection.objects) {
                (false, objects) if objects.is_empty() => Scope::All,
                (false, objects) => Scope::Selected(objects),
                (true, objects) if objects.is_empty() => Scope::Failed,
                (true, _) => return Err(NakivoError::unfit("failed", "it is not allowed beside objects")),
            };
            Ok(JobRun::of(self.director.run_now(&id, scope)))
        }

        /// Asks a run of a job that this director runs to stop, or some of its objects.
        fn stop(&self, job: String, objects: Option<Vec<String>>) {
            let id = self.director.job(&job).await?.id;
            Ok(self.director.stop(&id, objects).await?)
        }

        /// Runs every job as its schedules say, until it is cancelled.
        fn serve(&self) -> Arc<ServeRun> {
            let running: Running<()> = self.director.start();
            Ok(ServeRun::with(running, |()| Served { stopped: true }))
        }

        /// The newest entries of a job's history, newest first.
        fn history(&self, job: String, most: u32) -> Vec<HistoryEntry> {
            let id = self.director.job(&job).await?.id;
            Ok(self.director.history(&id, most as usize).await?.to())
        }

        /// What happens from now on.
        fn events(&self) -> Arc<EventStream> {
            Ok(Arc::new(EventStream(Mutex::new(self.director.watch()))))
        }

        /// How far the journal of the configuration in the repositories is.
        fn journal_status(&self) -> JournalStatus {
            Ok(self.director.journal_status().await?.to())
        }

        /// Writes the configuration into the repositories that lack it.
        fn journal(&self) -> JournalStatus {
            Ok(self.director.journal().await?.to())
        }

        /// The journals of directors in a repository, the newest first.
        fn journals_in(&self, repository: Arc<Repository>) -> Vec<JournalHead> {
            Ok(core::Director::journals_in(&repository.0).await?.to())
        }

        /// Takes the journal of a director that is gone out of a repository.
        fn forget_journal(&self, repository: Arc<Repository>, director: String) {
            Ok(core::Director::forget_journal(&repository.0, parsed_id(&director)?).await?)
        }

        /// Brings a director whose state was lost back from the journal in a repository, into this empty state.
        fn restore(&self, url: String, access_by: RepositoryAccess, director: Option<String>) -> Restored {
            let access = access(&url, access_by);
            let opened = forms::open(&access).await?;
            let choice = director.map(|id| parsed_id(&id)).transpose()?;
            Ok(self.director.restore(&opened, access, choice).await?.to())
        }
    }
}

/// Events of a director.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct EventStream(Mutex<Receiver<core::DirectorEvent>>);

class! {
    /// Events of a director.
    EventStream
    constructors {}
    methods {
        /// Waits for the next event; up to `most` that are there by then; none when the director is gone.
        fn next(&self, most: u32) -> Vec<DirectorEvent> {
            let mut receiver = self.0.lock().await;
            let mut events = match receiver.recv().await {
                Ok(event) => vec![event.to()],
                Err(RecvError::Lagged(count)) => vec![lost(count)],
                Err(RecvError::Closed) => return Ok(Vec::new()),
            };
            while events.len() < most as usize {
                match receiver.try_recv() {
                    Ok(event) => events.push(event.to()),
                    Err(TryRecvError::Lagged(count)) => events.push(lost(count)),
                    Err(_) => break,
                }
            }
            Ok(events)
        }
    }
}

fn lost(count: u64) -> DirectorEvent {
    DirectorEvent {
        message: Some(format!(
            "{count} events were not listened to in time; see the history"
        )),
        ..DirectorEvent::of_kind("lost")
    }
}
