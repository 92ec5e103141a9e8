//! Backup and recovery of Microsoft 365 and folders, as a library.
//!
//! Read in this order: [`repository`] (where recovery points live), [`connector`] (the port to a source), [`backup`] (one
//! run), [`recovery`] (browse, search, recover, export), [`director`] (jobs and their runs). Every long call returns a [`progress::Running`] handle; every
//! failure is an [`Error`] whose [`ErrorKind`] says what to do next.

#[doc(inline)]
pub use error::{Error, ErrorKind, Result};

pub mod access;
pub mod backup;
pub mod connector;
pub mod copy;
pub mod director;
pub mod error;
pub mod folder;
mod fs;
pub mod progress;
pub mod recovery;
pub mod registry;
pub mod repository;
pub mod retention;
pub mod scratch;
pub mod seams;
pub mod state;
pub mod store;

pub use {bytes, chrono, nakivo_repo_format as format, object_store};

/// The example of the guide, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/jobs.md")]
struct Guide;
