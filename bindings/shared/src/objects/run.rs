//! Long calls, to be watched, awaited and cancelled.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use nakivo_core::progress::{Event, Progress, Running};
use nakivo_core::seams::{Clock as _, SystemClock};
use tokio::sync::{Mutex, mpsc, watch};

use crate::NakivoError;
use crate::types::{self, To, Update};

/// Between two reports of how far a call is.
const BETWEEN_REPORTS: Duration = Duration::from_millis(100);

type Outcome<T> = Shared<BoxFuture<'static, Result<T, NakivoError>>>;

/// A long call that ends with a `T`.
pub(crate) struct Long<T: Clone> {
    watching: Mutex<Watching>,
    cancel: Box<dyn Fn() + Send + Sync>,
    outcome: Outcome<T>,
}

struct Watching {
    events: mpsc::UnboundedReceiver<Event>,
    progress: watch::Receiver<Progress>,
    clock: SystemClock,
    /// Nothing is reported before this time of the clock.
    quiet_until: Duration,
}

impl<T: Clone + Send + Sync + 'static> Long<T> {
    pub(crate) fn of<C: Send + 'static>(
        mut running: Running<C>,
        make: impl FnOnce(C) -> T + Send + 'static,
    ) -> Self {
        let watching = Watching {
            events: running.take_events(),
            progress: running.progress(),
            clock: SystemClock::new(),
            quiet_until: Duration::ZERO,
        };
        let token = running.cancellation();
        let outcome = async move { running.wait().await.map(make).map_err(NakivoError::from) };
        Self {
            watching: Mutex::new(watching),
            cancel: Box::new(move || token.cancel()),
            outcome: outcome.boxed().shared(),
        }
    }

    async fn next(&self) -> Option<Update> {
        self.watching.lock().await.next().await
    }
}

impl Watching {
    /// The next event, or how far the call is if that changed; none when it has ended.
    async fn next(&mut self) -> Option<Update> {
        let wait = self.quiet_until.saturating_sub(self.clock.monotonic());
        let quiet = self.clock.sleep(wait);
        let changed = async {
            quiet.await;
            self.progress.changed().await
        };
        tokio::select! {
            biased;
            event = self.events.recv() => {
                let progress = self.progress.borrow().clone();
                event.map(|event| Update::of_event(event, &progress))
            }
            Ok(()) = changed => {
                self.quiet_until = self.clock.monotonic() + BETWEEN_REPORTS;
                Some(Update::of_progress(&self.progress.borrow_and_update().clone()))
            }
        }
    }
}

/// A class for the long calls that end with one kind of report.
macro_rules! runs {
    ($($(#[doc = $doc:literal])* $class:ident ends with $report:ty as $name:literal;)*) => {
        $(
            $(#[doc = $doc])*
            #[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
            pub struct $class(Long<$report>);

            impl $class {
                #[allow(dead_code, reason = "of those that end with an object")]
                pub(crate) fn of<C: To<$report> + Send + 'static>(running: Running<C>) -> Arc<Self> {
                    Arc::new(Self(Long::of(running, To::to)))
                }

                /// As `of`, where what it ends with is made otherwise.
                #[allow(dead_code, reason = "of those that end with a report")]
                pub(crate) fn with<C: Send + 'static>(running: Running<C>, make: impl FnOnce(C) -> $report + Send + 'static) -> Arc<Self> {
                    Arc::new(Self(Long::of(running, make)))
                }
            }

            class! {
                $(#[doc = $doc])*
                $class
                constructors {}
                methods {
                    /// The next event, or how far the call is; nothing when it has ended.
                    fn next(&self) -> Option<Update> {
                        Ok(self.0.next().await)
                    }

                    /// Asks the call to stop. It then ends with the error `cancelled` or, if it was done by then, as it would have.
                    fn cancel(&self) {
                        (self.0.cancel)();
                        Ok(())
                    }

                    /// Waits for the end. May be called again.
                    fn outcome(&self) -> $report {
                        self.0.outcome.clone().await
                    }
                }
            }
        )*

        /// The classes that are long calls, and what each ends with.
        pub(crate) const RUNS: &[(&str, &str)] = &[$((stringify!($class), $name)),*];
    };
}

runs! {
    /// A backup of one object.
    BackupRun ends with types::BackupReport as "BackupReport";
    /// A verification.
    VerifyRun ends with types::VerifyReport as "VerifyReport";
    /// A look at what a recovery would do.
    PlanRun ends with Arc<super::RecoveryPlan> as "RecoveryPlan";
    /// A recovery.
    RecoverRun ends with types::RecoveryReport as "RecoveryReport";
    /// An export.
    ExportRun ends with types::ExportReport as "ExportReport";
    /// Reclaiming space.
    ReclaimRun ends with types::ReclaimReport as "ReclaimReport";
    /// Healing.
    HealRun ends with types::HealReport as "HealReport";
    /// Copying recovery points into another repository.
    CopyRun ends with types::CopyReport as "CopyReport";
    /// A run of a job.
    JobRun ends with types::RunRecord as "RunRecord";
    /// Running jobs by their schedules.
    ServeRun ends with types::Served as "Served";
    /// Deleting a repository with everything in it.
    DestroyRun ends with types::DestroyReport as "DestroyReport";
    /// Bringing back what was hidden.
    UnhideRun ends with types::UnhideReport as "UnhideReport";
    /// Making recovery points immutable for longer.
    RenewRun ends with types::RenewReport as "RenewReport";
    /// Looking whether everything is locked for as long as it was promised.
    LockRun ends with types::LockReport as "LockReport";
}
