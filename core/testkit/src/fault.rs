//! A store that fails on demand: [`FaultStore`].
//!
//! It wraps any object store, counts and logs every operation, and lets [`Rule`]s decide which of them go wrong and how.
//! Rules are scripted ("the third put fails after it succeeded") or drawn from a seed.

mod log;
mod rule;
mod store;

pub use log::{LogEntry, Operation, OperationKind};
pub use rule::{Failure, Fault, Matcher, Rule, SeededFaults, When};
pub use store::FaultStore;
