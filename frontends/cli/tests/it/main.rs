//! The program as users see it: one process for each command, its streams and its exit code.
#![cfg(unix)]

mod demo;
mod errors;
mod folder;
mod help;
mod mail;
mod support;
mod weather;
