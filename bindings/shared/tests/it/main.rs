//! The description, parity with the library, and the scenario of all languages.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod api;
mod parity;
mod scenario;
