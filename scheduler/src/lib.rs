//! When things are due and what may go: the calculus of a backup product, without I/O.
//!
//! Every function here is pure. The present moment, the time zone and the history are arguments, so that a decision can be
//! repeated, explained and tested at any date. Nothing in this crate reads a clock, a file or an environment variable, and
//! it knows no other crate of the workspace: it is usable alone.
//!
//! * [`schedule`]: schedules as data, and the moments at which they are due.
//! * [`catch_up`]: times that passed while nobody looked, and clocks that jump.
//! * [`chain`]: jobs that run after other jobs.
//! * [`run`]: jobs and runs, and what may happen to them.
//! * [`admission`]: which tasks may start now.
//! * [`retention`]: for each recovery point whether a policy keeps it, why, and until when.
//! * [`calendar`]: what they share, local time.

pub mod admission;
pub mod calendar;
pub mod catch_up;
pub mod chain;
pub mod retention;
pub mod run;
pub mod schedule;

pub use {chrono, chrono_tz};

/// The examples of the guide, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/schedules.md")]
struct Guide;
