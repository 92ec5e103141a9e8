//! Fuzz targets of the stored format. See `README.md`.
#![allow(clippy::expect_used, clippy::panic, reason = "a broken expectation is what fuzzing looks for")]

pub mod bodies;
