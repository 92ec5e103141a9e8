//! The connector against the emulator: one binary, one module for each concern.

mod auth;
mod backup;
mod bench;
mod discovery;
mod faults;
mod recovery;
