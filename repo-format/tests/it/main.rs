//! Integration tests of the repository format. `NAKIVO_SEED` repeats a run; every run prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, draws its seed from the clock and prints it"
)]

mod chunker;
mod corpus;
mod crypto;
mod fixtures;
mod fuzz;
mod hostile;
mod keyslot;
#[cfg(feature = "measure")]
mod measure;
mod pack;
mod records;
mod splitter;
mod state;
mod tamper;
mod tree;
mod vectors;
