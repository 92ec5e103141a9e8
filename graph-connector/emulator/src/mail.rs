//! Mail without HTTP: what a message is, how it is read from MIME and written as MIME, and the state of a mailbox.

pub(crate) mod build;
pub(crate) mod data;
pub(crate) mod folder;
pub(crate) mod mailbox;
pub(crate) mod message;
pub(crate) mod parse;
pub(crate) mod text;
pub(crate) mod view;
