//! Which operation goes wrong, and how.

use std::time::Duration;

use object_store::Error;
use object_store::path::Path;

use super::log::{Operation, OperationKind};
use crate::random::SeededRng;

/// The error that a failing operation reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The service answers 503 or the connection breaks.
    Unavailable,
    /// No answer within the time allowed.
    Timeout,
    /// The store has no room left.
    DiskFull,
    /// The medium cannot read or write.
    Io,
    /// The credential may not do this.
    PermissionDenied,
    /// The object is not there.
    NotFound,
    /// The object is there already.
    AlreadyExists,
}

impl Failure {
    pub(super) fn error(self, path: &Path) -> Error {
        let path = path.to_string();
        match self {
            Self::Unavailable => generic("injected: 503 Service Unavailable".into()),
            Self::Timeout => generic(Box::new(io(std::io::ErrorKind::TimedOut, "injected: timed out"))),
            Self::DiskFull => generic(Box::new(io(
                std::io::ErrorKind::StorageFull,
                "injected: No space left on device (os error 28)",
            ))),
            Self::Io => generic(Box::new(io(
                std::io::ErrorKind::Other,
                "injected: Input/output error (os error 5)",
            ))),
            Self::PermissionDenied => Error::PermissionDenied {
                path,
                source: "injected: 403".into(),
            },
            Self::NotFound => Error::NotFound {
                path,
                source: "injected: 404".into(),
            },
            Self::AlreadyExists => Error::AlreadyExists {
                path,
                source: "injected: 409".into(),
            },
        }
    }
}

fn io(kind: std::io::ErrorKind, text: &str) -> std::io::Error {
    std::io::Error::new(kind, text.to_owned())
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic {
        store: "FaultStore",
        source,
    }
}

/// One way in which an operation goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing and reports this.
    Fail(Failure),
    /// Does it and reports this all the same: the ambiguous answer.
    FailAfter(Failure),
    /// Refuses a put that would replace an object, as a credential does that may only add.
    RefuseOverwrite,
    /// Lets this much time pass on the store's clock first.
    Delay(Duration),
    /// A put reports success and stores nothing: the lying store.
    Drop,
    /// A put reports success and stores only the first bytes; a get returns only the first bytes of what was asked for,
    /// without an error.
    Truncate(u64),
    /// A put stores, or a get returns, the object with this bit flipped (counted from the object's first byte, modulo
    /// its length).
    FlipBit(u64),
    /// A put ignores its condition and overwrites.
    IgnoreCondition,
    /// A get or head finds the object as it was before the last overwrite or delete that went through this store; a
    /// listing still shows deleted objects.
    Replay,
    /// A get returns the content of this other object.
    Foreign(Path),
    /// A listing does not show the objects that were put last, this many of them.
    StaleList(usize),
    /// A listing shows every object twice.
    DuplicateList,
}

/// Which operations a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matcher {
    kind: Option<OperationKind>,
    path: Option<String>,
}

impl Matcher {
    /// Every operation.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every operation of this kind.
    #[must_use]
    pub fn kind(kind: OperationKind) -> Self {
        Self {
            kind: Some(kind),
            path: None,
        }
    }

    /// Of these, only those whose path matches: `*` stands for any run of characters, `/` included.
    #[must_use]
    pub fn path(mut self, pattern: impl Into<String>) -> Self {
        self.path = Some(pattern.into());
        self
    }

    pub(super) fn matches(&self, operation: &Operation) -> bool {
        self.kind.is_none_or(|kind| kind == operation.kind)
            && self
                .path
                .as_ref()
                .is_none_or(|pattern| glob(pattern.as_bytes(), operation.path.as_ref().as_bytes()))
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of bytes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((first, rest)) => text
            .split_first()
            .is_some_and(|(head, tail)| head == first && glob(rest, tail)),
    }
}

/// Which of the operations that a rule looks at are hit, counted from when the rule was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Only the one with this number, from 0.
    Nth(u64),
    /// This many, beginning with number `first`.
    Range {
        /// Number of the first, from 0.
        first: u64,
        /// How many.
        count: u64,
    },
    /// All from this number on.
    From(u64),
    /// Every one.
    Always,
}

impl When {
    fn hits(self, number: u64) -> bool {
        match self {
            Self::Nth(n) => number == n,
            Self::Range { first, count } => number >= first && number - first < count,
            Self::From(first) => number >= first,
            Self::Always => true,
        }
    }
}

/// A scripted fault.
#[derive(Debug, Clone)]
pub struct Rule {
    matcher: Matcher,
    when: When,
    fault: Fault,
    seen: u64,
}

impl Rule {
    /// The rules of a credential that may read and add, and neither delete nor replace.
    #[must_use]
    pub fn append_only() -> [Self; 3] {
        let refused = |kind| {
            let fault = Fault::Fail(Failure::PermissionDenied);
            Self::new(Matcher::kind(kind), When::Always, fault)
        };
        [
            Self::new(
                Matcher::kind(OperationKind::Put),
                When::Always,
                Fault::RefuseOverwrite,
            ),
            refused(OperationKind::Delete),
            refused(OperationKind::Copy),
        ]
    }

    /// Applies `fault` to the operations that `matcher` looks at and `when` picks.
    #[must_use]
    pub fn new(matcher: Matcher, when: When, fault: Fault) -> Self {
        Self {
            matcher,
            when,
            fault,
            seen: 0,
        }
    }

    /// Counts the operation and says what is to happen to it.
    pub(super) fn consider(&mut self, operation: &Operation) -> Option<Fault> {
        if !self.matcher.matches(operation) {
            return None;
        }
        let number = self.seen;
        self.seen += 1;
        self.when.hits(number).then(|| self.fault.clone())
    }
}

/// Faults drawn from a seed: chances in percent for each operation.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeededFaults {
    /// Chance of [`Fault::Fail`] with a passing failure.
    pub fail: u64,
    /// Chance of [`Fault::FailAfter`] with a passing failure.
    pub fail_after: u64,
    /// Chance of a delay of up to ten seconds.
    pub delay: u64,
    /// Chance of a lagging or repeating listing.
    pub list: u64,
}

impl SeededFaults {
    pub(super) fn draw(&self, rng: &SeededRng, operation: &Operation) -> Vec<Fault> {
        let mut faults = Vec::new();
        // Always the same number of draws for each operation, so that one rate does not change what another one hits.
        let (fail, after, delay, list, how) = (
            rng.below(100),
            rng.below(100),
            rng.below(100),
            rng.below(100),
            rng.next(),
        );
        let failure = if how.is_multiple_of(2) {
            Failure::Unavailable
        } else {
            Failure::Timeout
        };
        if delay < self.delay {
            faults.push(Fault::Delay(Duration::from_millis(how % 10_000)));
        }
        if operation.kind == OperationKind::List && list < self.list {
            faults.push(if how % 4 < 2 {
                Fault::DuplicateList
            } else {
                Fault::StaleList(1 + (how % 3) as usize)
            });
        }
        if fail < self.fail {
            faults.push(Fault::Fail(failure));
        } else if after < self.fail_after {
            faults.push(Fault::FailAfter(failure));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_paths() {
        assert!(glob(b"log/*", b"log/00001"));
        assert!(glob(b"*/log/*", b"a/log/1"));
        assert!(glob(b"*", b""));
        assert!(!glob(b"log/*", b"a/log/1"));
        assert!(!glob(b"log", b"log/1"));
    }
}
