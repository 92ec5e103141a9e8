//! Mailboxes: what they hold, how it is read, and the way back.
//!
//! MIME (`$value`) is the primary copy of a message; the JSON that delta delivered is kept beside it, verbatim, for what
//! MIME lacks: read state, flag, categories, ids.

pub(crate) mod attachments;
pub(crate) mod compare;
pub(crate) mod draft;
pub(crate) mod fetch;
pub(crate) mod folders;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod map;
pub(crate) mod recover;
pub(crate) mod round;
pub(crate) mod target;

use std::sync::Arc;

use nakivo_core::format::manifest::ObjectRecord;

use crate::governor::Scope;

/// What a mailbox needs to be read.
pub(crate) const READ_PERMISSION: &str = "Mail.Read";
/// What it needs to be written to.
pub(crate) const WRITE_PERMISSION: &str = "Mail.ReadWrite";

/// The budget of the mailbox behind `object`.
pub(crate) fn scope_of(object: &ObjectRecord) -> Scope {
    Scope::Mailbox(Arc::from(object.native_id.as_str()))
}
