//! SharePoint: a site is one protected object; its document libraries are containers and its lists are, too.
//!
//! A library is a drive, so all of `drives` is used for it. What is in it has the id of its drive before its own, for the
//! engine knows items of one object by their ids alone. A list is a container with its schema and its rows.

pub(crate) mod discovery;
pub(crate) mod fetch;
pub(crate) mod ids;
pub(crate) mod list;
pub(crate) mod lists;
pub(crate) mod lookup;
pub(crate) mod target;

/// What a site needs to be read.
pub(crate) const READ_PERMISSION: &str = "Sites.Read.All";
/// What it needs to be written to.
pub(crate) const WRITE_PERMISSION: &str = "Sites.ReadWrite.All";
/// What making lists and columns needs (contract 6.4).
pub(crate) const MANAGE_PERMISSION: &str = "Sites.Manage.All";
/// Type name of the container that a library is.
pub(crate) const LIBRARY: &str = "library";
