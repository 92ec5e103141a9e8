//! The calculus against naive oracles, a second recurrence library and tables of edges.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admissions;
mod catch_up;
mod century;
mod chains;
mod clocks;
mod forms;
mod recurrence;
mod retention;
mod runs;
mod support;
