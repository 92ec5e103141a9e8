//! The calculus against a naive oracle and a table of edges.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod retention;
