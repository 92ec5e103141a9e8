//! The permissions that an app registration needs: one table for errors, the live check and `docs/permissions.md`.
//!
//! All are of the type *application* and need the consent of an administrator. Least ones as the permission reference of
//! Microsoft Graph has them; `docs/permissions.md` is made of this table by a test.

use crate::exchange::service::MailboxService;
use crate::{drives, sharepoint};

/// What a permission is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Finding out what there is.
    Discovery,
    /// Reading it into a repository.
    Backup,
    /// Writing it back. Nothing else writes.
    Recovery,
}

/// One permission of type *application*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// Its name in Microsoft Entra.
    pub name: &'static str,
    /// What it is for.
    pub phase: Phase,
    /// That in a phrase: `backup of mail`.
    pub purpose: &'static str,
    /// What happens without it, for people.
    pub without: &'static str,
}

const fn permission(
    name: &'static str,
    phase: Phase,
    purpose: &'static str,
    without: &'static str,
) -> Permission {
    Permission {
        name,
        phase,
        purpose,
        without,
    }
}

const FAILS: &str = "recovering it fails, backups go on";

/// Every permission that is used, by phase.
pub const PERMISSIONS: [Permission; 13] = [
    permission(
        USERS,
        Phase::Discovery,
        "discovery of every service",
        "objects cannot be found",
    ),
    permission(
        MAILBOX_KINDS,
        Phase::Discovery,
        "telling shared and room mailboxes from users'",
        "their kind is unknown",
    ),
    permission(
        MailboxService::Mail.read_permission(),
        Phase::Backup,
        "backup of mail",
        "a run is partial, and without any other service of the mailbox it fails",
    ),
    permission(
        MailboxService::Contacts.read_permission(),
        Phase::Backup,
        "backup of contacts",
        "a run is partial; what earlier points have of them stays",
    ),
    permission(
        MailboxService::Calendar.read_permission(),
        Phase::Backup,
        "backup of calendars",
        "a run is partial; what earlier points have of them stays",
    ),
    permission(
        drives::READ_PERMISSION,
        Phase::Backup,
        "backup of OneDrive",
        "drives are left out, and an error says so",
    ),
    permission(
        sharepoint::READ_PERMISSION,
        Phase::Backup,
        "backup of SharePoint sites",
        "sites are left out, and an error says so",
    ),
    permission(
        MailboxService::Mail.write_permission(),
        Phase::Recovery,
        "recovery of mail",
        FAILS,
    ),
    permission(
        MailboxService::Contacts.write_permission(),
        Phase::Recovery,
        "recovery of contacts",
        FAILS,
    ),
    permission(
        MailboxService::Calendar.write_permission(),
        Phase::Recovery,
        "recovery of calendars",
        FAILS,
    ),
    permission(
        drives::WRITE_PERMISSION,
        Phase::Recovery,
        "recovery of OneDrive",
        FAILS,
    ),
    permission(
        sharepoint::WRITE_PERMISSION,
        Phase::Recovery,
        "recovery of SharePoint sites",
        FAILS,
    ),
    permission(
        sharepoint::MANAGE_PERMISSION,
        Phase::Recovery,
        "making the columns of SharePoint lists",
        "columns and lists that are missing cannot be made; rows of lists that are there come back",
    ),
];

/// What listing users needs.
pub(crate) const USERS: &str = "User.Read.All";
/// What telling kinds of mailboxes apart needs.
pub(crate) const MAILBOX_KINDS: &str = "MailboxSettings.Read";
