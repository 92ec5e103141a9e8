//! The emulator seen from outside, over HTTP, as a client sees it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and report as tests do"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the seams belong to a crate this one must not know; PSS wants a salt, the durations are only printed"
)]

mod batch;
mod calendars;
mod client;
mod compose;
mod conformance;
mod contacts;
mod content;
mod delta;
mod drives;
mod faults;
mod folders;
mod identity;
mod messages;
mod permissions;
mod scale;
mod sites;
mod upload;
