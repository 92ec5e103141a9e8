//! Contacts: what a mailbox holds of them, how they are read, and the way back.
//!
//! The JSON that delta delivered is the primary copy, verbatim; the photo is the part `photo`, and a card made of both, for
//! export, the part `vcard`.

pub(crate) mod draft;
pub(crate) mod fetch;
pub(crate) mod folders;
pub(crate) mod map;
pub(crate) mod photo;
pub(crate) mod target;
pub(crate) mod vcard;

use super::cursor::MailboxCursor;
use super::service::MailboxService;

/// A photo that alone was changed shows in no delta (contract 4.6): every so many runs all contacts are listed anew.
const FULL_EVERY: u32 = 16;

/// Drops the links of contacts when it is time to list all of them.
pub(crate) fn begin_anew_now_and_then(old: &mut MailboxCursor, cursor: &mut MailboxCursor) {
    cursor.contact_rounds = old.contact_rounds.saturating_add(1);
    if cursor.contact_rounds >= FULL_EVERY {
        cursor.contact_rounds = 0;
        old.folders
            .retain(|id, _| MailboxService::of(id).0 != MailboxService::Contacts);
    }
}
