//! What a mailbox holds beside mail: items in containers of one kind, with versions for delta. No HTTP here.

pub(crate) mod contact;
pub(crate) mod event;
pub(crate) mod recurrence;
pub(crate) mod store;
pub(crate) mod vcard;
pub(crate) mod zone;
