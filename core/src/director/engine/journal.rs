//! When the journal is brought up to date while the director runs: after changes of others, and again where it failed.

use std::time::Duration;

use bytes::Bytes;

use super::{Arc, Done, Engine};
use crate::error::Result;

/// How long after a try that failed the next one is made.
const AGAIN_AFTER: Duration = Duration::from_secs(15 * 60);

/// What the engine knows of the journal.
#[derive(Debug, Default)]
pub(super) struct Journalling {
    /// The records of jobs, accounts and repositories that it was last compared with.
    seen: Option<[Option<Bytes>; 3]>,
    under_way: bool,
    /// When, on the monotonic clock, what failed is tried again.
    again_at: Option<Duration>,
}

impl Engine {
    /// Sets the journal going if something was changed, or if it is time to try again.
    pub(super) async fn journal(&mut self) -> Result<()> {
        if self.serving.is_none() || self.journalling.under_way {
            return Ok(());
        }
        let accounts = self.shared.records.accounts_stamp().await?;
        let seen = [self.known.clone(), accounts, self.shared.registry.stamp().await?];
        let now = self.shared.env.clock.monotonic();
        let changed = self.journalling.seen.as_ref() != Some(&seen);
        let again = self.journalling.again_at.is_some_and(|at| at <= now);
        if !changed && !again {
            return Ok(());
        }
        self.journalling = Journalling {
            seen: Some(seen),
            under_way: true,
            again_at: None,
        };
        let (shared, closing) = (Arc::clone(&self.shared), self.closing.clone());
        self.work.spawn(async move {
            let journalled = tokio::select! {
                biased;
                () = closing.cancelled() => Ok(true),
                journalled = Box::pin(shared.journal()) => journalled,
            };
            Done::Journalled(journalled)
        });
        Ok(())
    }

    /// A try has ended. What is wrong with the journal alone ends nothing.
    pub(super) fn journalled(&mut self, behind: Result<bool>) {
        let behind = behind.unwrap_or_else(|error| {
            tracing::warn!(%error, "the journal of the director is behind");
            true
        });
        self.journalling.under_way = false;
        let now = self.shared.env.clock.monotonic();
        self.journalling.again_at = behind.then_some(now + AGAIN_AFTER);
    }
}
