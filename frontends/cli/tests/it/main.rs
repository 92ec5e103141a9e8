//! The program as users see it: one process for each command, its streams and its exit code.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and say what they skip"
)]

mod accounts;
mod calendars;
mod care;
mod contacts;
mod copy;
mod damaged;
mod demo;
mod drives;
mod errors;
mod folder;
mod heal;
mod help;
mod jobs;
mod journal;
mod keys;
mod locks;
mod mail;
mod registry;
mod sites;
mod stores;
mod support;
mod weather;
