//! Many cases in one test: one that fails does not hide the others.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;

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

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
