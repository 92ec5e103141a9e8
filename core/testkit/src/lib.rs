//! Test support for the engine and everything that stands on it.
//!
//! [`fault::FaultStore`] spoils storage, [`clock::TestClock`] and [`random::SeededRng`] own time and chance,
//! `scripted::ScriptedConnector` is a source that knows the truth about itself, and `oracle` compares what a recovery
//! point holds with that truth. Nothing here is published.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a broken expectation must stop the test"
)]

pub mod clock;
pub mod content;
pub mod crash;
pub mod director;
pub mod disk;
pub mod fault;
pub mod image;
pub mod keys;
pub mod lab;
pub mod locks;
pub mod logical;
pub mod oracle;
pub mod random;
pub mod scenario;
pub mod schedules;
pub mod scratch;
pub mod scripted;
pub mod stored;
