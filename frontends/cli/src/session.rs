//! What every command is given: the output, the environment of the SDK, and the wish of the user to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nakivo_core::format::Secret;
use nakivo_core::progress::Running;
use nakivo_core::registry::{Registration, Registry, RepositoryName};
use nakivo_core::repository::{OpenOptions, Repository};
use nakivo_core::scratch::Scratch;
use nakivo_core::seams::{Clock, Environment};
use nakivo_core::state::FileState;
use nakivo_core::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::grammar::{Global, PassphraseArgs, PlaceArgs, RepositoryArgs, StoreArgs};
use crate::output::Output;
use crate::{passphrase, store, watch};

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) output: Output,
    pub(crate) environment: Environment,
    cancel: CancellationToken,
}

impl Session {
    /// Prepares a run from the options that every command has.
    pub(crate) fn new(global: &Global, output: Output) -> Self {
        let directory = state_directory(global);
        let scratch = Scratch::directory(directory.join("scratch"));
        Self {
            output,
            environment: Environment::system(Arc::new(FileState::new(directory))).with_scratch(scratch),
            cancel: CancellationToken::new(),
        }
    }

    /// The same run with another environment, for the demo's separate state.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.environment.clock
    }

    /// Cancelled when the user asked to stop.
    pub(crate) fn cancellation(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Time since `start`, both on the monotonic clock.
    pub(crate) fn since(&self, start: Duration) -> Duration {
        self.clock().monotonic().saturating_sub(start)
    }

    /// Opens the repository that the command line names.
    pub(crate) async fn open(&self, repository: &RepositoryArgs) -> Result<Repository> {
        self.open_url(&repository.url, &repository.store, &repository.passphrase)
            .await
    }

    /// As [`Session::open`], for commands whose first argument is the repository.
    pub(crate) async fn open_place(&self, place: &PlaceArgs) -> Result<Repository> {
        self.open_url(&place.url, &place.store, &place.passphrase).await
    }

    /// Location and store settings of the repository that is meant, without opening it.
    pub(crate) async fn whereabouts(&self, place: &PlaceArgs) -> Result<(String, StoreArgs)> {
        let given = place.store.store_config.clone();
        let Some(name) = name_of(&place.url) else {
            let store_config = given;
            return Ok((place.url.clone(), StoreArgs { store_config }));
        };
        let entry = Registry::new(&self.environment).get(&name).await?;
        let store_config = given.or(entry.store_config);
        Ok((entry.url, StoreArgs { store_config }))
    }

    /// Opens a repository by its location, or by the name it is known by.
    pub(crate) async fn open_url(
        &self,
        url: &str,
        store: &StoreArgs,
        passphrase: &PassphraseArgs,
    ) -> Result<Repository> {
        if let Some(name) = name_of(url) {
            return self.open_named(&name, store, passphrase, false).await;
        }
        let secret = passphrase::read(passphrase, &self.output)?;
        self.open_with(url, store, secret).await
    }

    /// What is known of a repository if it is named rather than located.
    pub(crate) async fn known_as(&self, url: &str) -> Result<Option<Registration>> {
        match name_of(url) {
            Some(name) => Registry::new(&self.environment).get(&name).await.map(Some),
            None => Ok(None),
        }
    }

    /// A repository that is known by a name. Where `detached` is not allowed, one that is detached is refused.
    pub(crate) async fn open_registered(&self, name: &RepositoryName, detached: bool) -> Result<Repository> {
        let store = StoreArgs { store_config: None };
        self.open_named(name, &store, &PassphraseArgs::default(), detached)
            .await
    }

    async fn open_named(
        &self,
        name: &RepositoryName,
        store: &StoreArgs,
        passphrase: &PassphraseArgs,
        detached: bool,
    ) -> Result<Repository> {
        let registry = Registry::new(&self.environment);
        let entry = if detached {
            registry.get(name).await?
        } else {
            registry.begin(name).await?.0
        };
        self.open_entry_with(&entry, store, passphrase).await
    }

    /// A repository that is known, by the files that are known with it.
    pub(crate) async fn open_entry(&self, entry: &Registration) -> Result<Repository> {
        let store = StoreArgs { store_config: None };
        self.open_entry_with(entry, &store, &PassphraseArgs::default())
            .await
    }

    async fn open_entry_with(
        &self,
        entry: &Registration,
        store: &StoreArgs,
        passphrase: &PassphraseArgs,
    ) -> Result<Repository> {
        let store = StoreArgs {
            store_config: store.store_config.clone().or_else(|| entry.store_config.clone()),
        };
        let named = if passphrase.is_given() {
            passphrase.clone()
        } else {
            PassphraseArgs {
                file: entry.passphrase_file.clone(),
                key_file: entry.key_file.clone(),
            }
        };
        let secret = if named.is_given() {
            passphrase::read(&named, &self.output)?
        } else {
            None
        };
        let repository = self.open_with(&entry.url, &store, secret).await?;
        entry.check_identity(&repository)?;
        Ok(repository)
    }

    /// As [`Session::open_url`], with a passphrase or key that was read, or with none.
    pub(crate) async fn open_with(
        &self,
        url: &str,
        store: &StoreArgs,
        secret: Option<Secret>,
    ) -> Result<Repository> {
        let (location, settings) = store::locate(url, store, &self.output)?;
        let local = location.path().is_some();
        let given = secret.clone();
        let repository = self
            .unless_cancelled(async {
                let store = location.open_with(&settings).await?;
                let options = OpenOptions::default().with_secret(secret);
                Repository::open(store, options, self.environment.clone()).await
            })
            .await
            .map_err(|error| in_words_of_the_command_line(error, url, local, given.as_ref()))?;
        self.warn_of_an_older_state(&repository, url);
        Ok(repository)
    }

    /// Whoever sees a repository without its newest commits must not take that for all there is.
    fn warn_of_an_older_state(&self, repository: &Repository, url: &str) {
        let mut damages = repository.log_damage().into_iter();
        let Some(damage) = damages.next() else { return };
        let object = damage.object;
        self.output.warning_about(
            &object,
            &format!(
                "{object}: {}. Newer recovery points may exist that cannot be read, so this may be an older state. To see \
                 what is damaged: nakivo repo verify {url}. To get it back: put {object} there again from a copy of the \
                 repository. To go on without it: nakivo repo heal {url}",
                damage.what
            ),
        );
        for other in damages {
            let text = format!("{}: {}", other.object, other.what);
            self.output.warning_about(&other.object, &text);
        }
    }

    /// Waits for a call that has no handle of its own, until the user asks to stop.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            result = work => result,
        }
    }

    /// Shows the progress of a long call until it ends, and cancels it when the user asks to stop.
    pub(crate) async fn follow<T: Send + 'static>(&self, title: &str, running: Running<T>) -> Result<T> {
        watch::follow(self, title, running).await
    }

    /// Reacts to signals from now on: the first asks the work to stop, the second ends the process at once.
    pub(crate) fn watch_signals(self: &Arc<Self>) {
        let session = Arc::clone(self);
        tokio::spawn(async move {
            if signal().await.is_err() {
                return;
            }
            session.cancel.cancel();
            session
                .output
                .note("Stopping. Press Ctrl-C again to stop at once.");
            if signal().await.is_ok() {
                // What is in the repository stays valid whenever the process ends.
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        });
    }
}

/// A repository's name, where a location might stand as well: those have a colon or begin with a slash or a dot.
fn name_of(url: &str) -> Option<RepositoryName> {
    url.parse().ok()
}

/// Waits for the next Ctrl-C or termination request.
#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Waits for the next Ctrl-C.
#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// `--state-dir`, else `$NAKIVO_STATE_DIR`, else `$XDG_STATE_HOME/nakivo`, else `~/.local/state/nakivo`. Without a home
/// directory: `.nakivo-state` in the working directory.
fn state_directory(global: &Global) -> PathBuf {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    global
        .state_dir
        .clone()
        .or_else(|| variable("NAKIVO_STATE_DIR"))
        // The base directory specification: a relative path is to be ignored.
        .or_else(|| {
            variable("XDG_STATE_HOME")
                .filter(|path| path.is_absolute())
                .map(|path| path.join("nakivo"))
        })
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/nakivo")))
        .unwrap_or_else(|| PathBuf::from(".nakivo-state"))
}

/// The SDK does not know how a user of this program does what it hints at.
fn in_words_of_the_command_line(error: Error, url: &str, local: bool, given: Option<&Secret>) -> Error {
    match error.kind() {
        ErrorKind::WrongPassphrase => match given {
            None => error.with_hint(
                "Name the file that holds the passphrase with --passphrase-file, or in NAKIVO_PASSPHRASE_FILE; or a file with \
                 a recovery key with --key-file, or in NAKIVO_KEY_FILE.",
            ),
            Some(_) if error.hint().is_some() => error,
            Some(Secret::Passphrase(_)) => error.with_hint(
                "Check the first line of the file named with --passphrase-file or in NAKIVO_PASSPHRASE_FILE.",
            ),
            Some(Secret::Key(_)) => error.with_hint(
                "Check the file named with --key-file or in NAKIVO_KEY_FILE: the key was removed, or belongs to another \
                 repository.",
            ),
        },
        ErrorKind::RepositoryMissing => error.with_hint(format!(
            "Check the location{}, or create a repository with: nakivo repo init {url}",
            if local {
                " and that its disk is mounted"
            } else {
                ""
            }
        )),
        _ => error,
    }
}
