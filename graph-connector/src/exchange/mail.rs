//! Mailboxes: what they hold, how it is read, and the way back.
//!
//! MIME (`$value`) is the primary copy of a message; the JSON that delta delivered is kept beside it, verbatim, for what
//! MIME lacks: read state, flag, categories, ids.

pub(crate) mod attachments;
pub(crate) mod compare;
pub(crate) mod draft;
pub(crate) mod fetch;
pub(crate) mod folders;
pub(crate) mod map;
pub(crate) mod recover;
pub(crate) mod target;

/// What a mailbox needs to be read.
pub(crate) const READ_PERMISSION: &str = "Mail.Read";
