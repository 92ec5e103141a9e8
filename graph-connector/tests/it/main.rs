//! The connector against the emulator: one binary, one module for each concern.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print their seeds"
)]

mod auth;
mod backup;
mod bench;
mod calendar;
mod contacts;
mod discovery;
mod drives;
mod faults;
mod lab;
mod permissions;
mod recovery;
mod sites;
