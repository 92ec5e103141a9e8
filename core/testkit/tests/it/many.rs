//! Many cases in one test: one that fails does not hide the others.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures::{FutureExt, StreamExt};
use nakivo_testkit::random::{environment_number, history_seeds};

/// Failing cases listed in the end; beyond, they are only counted.
const SHOWN: usize = 12;

/// What failed so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    messages: Mutex<Vec<String>>,
}

impl Failures {
    /// Runs one case; a panic is noted. `None` if it panicked.
    pub(crate) async fn attempt<T>(&self, case: impl Future<Output = T>) -> Option<T> {
        match AssertUnwindSafe(case).catch_unwind().await {
            Ok(value) => Some(value),
            Err(panic) => {
                self.messages
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text(&*panic));
                None
            }
        }
    }

    /// Whether none failed.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Fails the test if any case failed.
    #[track_caller]
    pub(crate) fn assert_none(&self) {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<&str> = messages.iter().take(SHOWN).map(String::as_str).collect();
        assert!(
            messages.is_empty(),
            "{} cases failed, the first of them:\n{}",
            messages.len(),
            shown.join("\n")
        );
    }
}

/// Whether the case `(i, j)` is tried: one in `one_in`, others for another `NAKIVO_SEED`; all with `NAKIVO_FULL=1`.
pub(crate) fn sampled(i: u64, j: u64, one_in: u64) -> bool {
    let seed = environment_number("NAKIVO_SEED").unwrap_or(0);
    environment_number("NAKIVO_FULL") == Some(1) || (i * 3 + j + seed).is_multiple_of(one_in)
}

/// Every random history of a suite, two at a time: the figures of those that passed, and what failed.
pub(crate) async fn all_histories<T, F>(
    suite: &str,
    default: u64,
    history: impl Fn(u64) -> F,
) -> (Vec<T>, Failures)
where
    F: Future<Output = T>,
{
    let failures = Failures::default();
    let figures = futures::stream::iter(history_seeds(suite, default))
        .map(|seed| failures.attempt(history(seed)))
        .buffer_unordered(2)
        .filter_map(std::future::ready)
        .collect()
        .await;
    (figures, failures)
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
