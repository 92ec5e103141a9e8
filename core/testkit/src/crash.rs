//! Work that can be cut off by SIGKILL before any store operation, in a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nakivo_core::connector::Connector;
use nakivo_core::copy::{self, CopyOptions, ProgressLimits};
use nakivo_core::folder::FolderConnector;
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::repository::{HealOptions, PointSelector, RepositorySource};
use nakivo_core::seams::Environment;
use nakivo_core::state::FileState;
use nakivo_core::store::StoreLocation;
use nakivo_core::{Error, ErrorKind, Result};

use rustix::process::Signal;

use crate::fault::FaultStore;
use crate::keys::{self, KeyStep};
use crate::lab::{Lab, back_up_object};
use crate::scenario::{Stage, mailbox};

/// A step of work that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Creating a repository.
    Create,
    /// A run over the scripted mailbox.
    Mailbox(Stage),
    /// A run over the fixed directory, as it is now.
    Files(Stage),
    /// Copying the newest point of the repository into the one beside it, as [`prepare_copy`] made it.
    Copy,
}

impl Step {
    /// Every step, in an order in which each finds what it needs.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Mailbox(Stage::First),
        Self::Mailbox(Stage::Second),
        Self::Files(Stage::First),
        Self::Files(Stage::Second),
        Self::Copy,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Mailbox(Stage::First) => "mailbox-first",
            Self::Mailbox(Stage::Second) => "mailbox-second",
            Self::Files(Stage::First) => "files-first",
            Self::Files(Stage::Second) => "files-second",
            Self::Copy => "copy",
        }
    }

    /// The step of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// Where the fixed directory of a work directory is: beside it, so that a copied work directory sees the same files.
#[must_use]
pub fn files_of(directory: &Path) -> PathBuf {
    directory.with_file_name("files")
}

/// The lab over the repository in `directory` that a step changes, with the real disk, fsync on, and state in files.
///
/// # Errors
/// Those of opening the store.
pub async fn lab(step: Step, directory: &Path) -> Result<Lab> {
    Ok(lab_over(store(step, directory).await?, directory))
}

async fn store(step: Step, directory: &Path) -> Result<Arc<dyn object_store::ObjectStore>> {
    let name = if step == Step::Copy { "copy" } else { "repository" };
    StoreLocation::directory(directory.join(name))
        .create()
        .await
        .map(Into::into)
}

/// Makes the empty repository that [`Step::Copy`] copies into.
///
/// # Errors
/// Those of creating it.
pub async fn prepare_copy(directory: &Path) -> Result<()> {
    lab(Step::Copy, directory).await?.create().await.map(drop)
}

/// Copies the newest point of the scripted mailbox.
async fn copy_newest(directory: &Path, target: &Lab) -> Result<()> {
    let source = lab(Step::Create, directory).await?.open().await?;
    let newest = source.point(&mailbox(Stage::First).object().id, &PointSelector::Latest)?;
    let target = target.open().await?;
    let options = CopyOptions::default()
        .with_points(vec![newest.id])
        .with_progress(ProgressLimits::default().with_items(3));
    copy::start(&source, &target, options).wait().await.map(drop)
}

fn lab_over(store: Arc<dyn object_store::ObjectStore>, directory: &Path) -> Lab {
    let state = Arc::new(FileState::new(directory.join("state")));
    // The machine's clock and randomness: ids and times must differ between processes.
    Lab {
        env: Environment::system(state.clone()),
        ..Lab::with_state(store, 1, state)
    }
}

/// The source of a step.
///
/// # Errors
/// None for the fixed names.
pub fn source(step: Step, directory: &Path) -> Result<Option<(Arc<dyn Connector>, ObjectRecord)>> {
    Ok(match step {
        Step::Create => None,
        Step::Mailbox(stage) => Some(scripted(stage)),
        Step::Copy => Some(scripted(Stage::First)),
        Step::Files(_) => {
            let connector = FolderConnector::new(files_of(directory), "fixed")?;
            let object = connector.object().clone();
            Some((Arc::new(connector), object))
        }
    })
}

fn scripted(stage: Stage) -> (Arc<dyn Connector>, ObjectRecord) {
    let connector = mailbox(stage);
    (connector.handle(), connector.object())
}

/// What happens to this process before one of its store operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// SIGKILL: no destructor, no flush, no handler runs.
    Kill(u64),
    /// SIGSTOP, as when a machine is suspended: it goes on when somebody sends SIGCONT, however late.
    Stop(u64),
}

/// Does a step in `directory`, with this process interrupted on the way. Returns the number of store operations.
///
/// # Errors
/// Those of the step.
pub async fn run(step: Step, directory: &Path, interruption: Option<Interruption>) -> Result<u64> {
    let (faults, lab) = watched(store(step, directory).await?, directory, interruption);
    match source(step, directory)? {
        None => drop(lab.create().await?),
        Some(_) if step == Step::Copy => copy_newest(directory, &lab).await?,
        Some((connector, object)) => {
            let repository = lab.open().await?;
            back_up_object(&repository, connector, object).await?;
        }
    }
    Ok(faults.operations())
}

/// As [`run`], for something done to the keys of the repository that [`crate::keys::create`] makes.
///
/// # Errors
/// Those of the step.
pub async fn run_keys(step: KeyStep, directory: &Path, interruption: Option<Interruption>) -> Result<u64> {
    let store = StoreLocation::directory(directory.join("repository"))
        .create()
        .await?
        .into();
    let (faults, lab) = watched(store, directory, interruption);
    keys::perform(step, &lab).await?;
    Ok(faults.operations())
}

/// Heals the repository in `directory` from the one beside it, which [`prepare_copy`] and [`Step::Copy`] made. Returns the number
/// of store operations.
///
/// # Errors
/// Those of healing, and `Corrupt` if it did not mend everything.
pub async fn run_heal(directory: &Path, interruption: Option<Interruption>) -> Result<u64> {
    let beside = lab(Step::Copy, directory).await?.open().await?;
    let (faults, lab) = watched(store(Step::Create, directory).await?, directory, interruption);
    let options = HealOptions::default().with_source(Arc::new(RepositorySource::new(beside)));
    let report = lab.open().await?.heal(options).wait().await?;
    if report.is_whole() {
        Ok(faults.operations())
    } else {
        Err(Error::new(ErrorKind::Corrupt, format!("{report:?}")))
    }
}

/// The lab over this store of `directory`, interrupting this process before a store operation.
fn watched(
    store: Arc<dyn object_store::ObjectStore>,
    directory: &Path,
    interruption: Option<Interruption>,
) -> (FaultStore, Lab) {
    let faults = FaultStore::new(store);
    faults.before_operations(move |operation| match interruption {
        Some(Interruption::Kill(before)) if operation.index == before => {
            signal_this_process(Signal::KILL);
            // Not killed after all: then the caller sees a process that does not end.
            loop {
                std::thread::park();
            }
        }
        Some(Interruption::Stop(before)) if operation.index == before => signal_this_process(Signal::STOP),
        _ => {}
    });
    let lab = lab_over(faults.handle(), directory);
    (faults, lab)
}

fn signal_this_process(signal: Signal) {
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
}
