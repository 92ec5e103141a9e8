//! Long calls: a handle to await, watch and cancel.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// How far a long call is. The newest value wins: a slow reader never stalls the work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done: `list`, `fetch`, `store`, `commit`, `verify`, `recover`, `export`.
    pub phase: String,
    /// Where the work is: a path inside the object.
    pub current: Option<String>,
    /// Items finished.
    pub items_done: u64,
    /// Items in all, once known.
    pub items_total: Option<u64>,
    /// Plain bytes read from the source, or written to the target.
    pub bytes_done: u64,
    /// Plain bytes in all, once known.
    pub bytes_total: Option<u64>,
    /// Bytes that reached the repository.
    pub bytes_stored: u64,
    /// Items that failed so far.
    pub failed: u64,
    /// Set while a service asked to wait: how much longer.
    pub throttled_for: Option<Duration>,
}

/// Something that happened during a long call and is worth a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A new phase began.
    Phase {
        /// As [`Progress::phase`].
        phase: String,
    },
    /// One item could not be processed; the rest goes on.
    Issue {
        /// Where: a path inside the object.
        path: String,
        /// Stable code of the cause.
        code: String,
        /// One line for people.
        message: String,
    },
    /// Something a reader of the log should know.
    Note {
        /// One line for people.
        message: String,
    },
}

/// The working side of a handle: reports progress and events, and asks whether to stop.
#[derive(Debug, Clone)]
pub struct Reporter {
    progress: Arc<watch::Sender<Progress>>,
    events: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
}

impl Reporter {
    /// A reporter nobody listens to, for calls made for their result alone.
    #[must_use]
    pub fn silent() -> Self {
        let (progress, _) = watch::channel(Progress::default());
        let (events, _) = mpsc::unbounded_channel();
        Self {
            progress: Arc::new(progress),
            events,
            cancel: CancellationToken::new(),
        }
    }

    /// Changes the progress in place.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// The progress as it is now.
    #[must_use]
    pub fn current(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Names the phase and says so as an event.
    pub fn phase(&self, phase: &str) {
        self.update(|progress| phase.clone_into(&mut progress.phase));
        self.event(Event::Phase {
            phase: phase.to_owned(),
        });
    }

    /// Sends an event. Events are few (phases, issues, notes), so none is dropped.
    pub fn event(&self, event: Event) {
        // The receiver may be gone: the work does not depend on being watched.
        let _ = self.events.send(event);
    }

    /// Fails with `Cancelled` once the caller cancelled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// The token behind [`Reporter::check`], to wait on.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancel
    }
}

/// A running long call.
///
/// Dropping the handle does not stop the work; [`Running::cancel`] does, at the next await point. After a cancel,
/// [`Running::wait`] returns the `Cancelled` error or, if the work was done by then, its result.
#[derive(Debug)]
pub struct Running<T> {
    progress: watch::Receiver<Progress>,
    events: mpsc::UnboundedReceiver<Event>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<T>>,
}

impl<T: Send + 'static> Running<T> {
    /// Starts `work` on the current tokio runtime.
    pub fn start<F>(work: impl FnOnce(Reporter) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (event_sender, events) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let reporter = Reporter {
            progress: Arc::new(progress_sender),
            events: event_sender,
            cancel: cancel.clone(),
        };
        let task = tokio::spawn(work(reporter));
        Self {
            progress,
            events,
            cancel,
            task,
        }
    }

    /// Latest progress, and a way to wait for the next.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// The next event, or `None` once the work has ended.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The events from here on, for somebody who watches while another waits. [`Running::next_event`] has none afterwards.
    pub fn take_events(&mut self) -> mpsc::UnboundedReceiver<Event> {
        let (_, none) = mpsc::unbounded_channel();
        std::mem::replace(&mut self.events, none)
    }

    /// Asks the work to stop at its next await point.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// A token that cancels this call when cancelled, for signal handlers.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// Those of the work; `Internal` if it panicked.
    pub async fn wait(self) -> Result<T> {
        match self.task.await {
            Ok(result) => result,
            Err(error) => Err(Error::new(
                ErrorKind::Internal,
                format!("the task ended abnormally: {error}"),
            )),
        }
    }
}
