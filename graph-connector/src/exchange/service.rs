//! What a mailbox consists of.

use nakivo_core::connector::ItemRef;
use serde::{Deserialize, Serialize};

/// A service of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailboxService {
    /// Messages and mail folders.
    Mail,
    /// Contacts and contact folders.
    Contacts,
    /// Events and calendars.
    Calendar,
}

impl MailboxService {
    /// All of them, in the order in which they are read.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Contacts, Self::Calendar];

    /// Before the service's own id in the id of a container, so that a container's id tells its service. Ids of Exchange
    /// have no colon.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Mail => "",
            Self::Contacts => "contacts:",
            Self::Calendar => "calendar:",
        }
    }

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mail => "Mail",
            Self::Contacts => "Contacts",
            Self::Calendar => "Calendar",
        }
    }

    /// Its items and their containers, for people.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Mail => ("message", "mail folder"),
            Self::Contacts => ("contact", "contact folder"),
            Self::Calendar => ("event", "calendar"),
        }
    }

    /// The permission that reading needs.
    pub(crate) const fn read_permission(self) -> &'static str {
        match self {
            Self::Mail => "Mail.Read",
            Self::Contacts => "Contacts.Read",
            Self::Calendar => "Calendars.Read",
        }
    }

    /// The permission that writing needs.
    pub(crate) const fn write_permission(self) -> &'static str {
        match self {
            Self::Mail => "Mail.ReadWrite",
            Self::Contacts => "Contacts.ReadWrite",
            Self::Calendar => "Calendars.ReadWrite",
        }
    }

    /// The service of a container, and its id in Exchange.
    pub(crate) fn of(container: &str) -> (Self, &str) {
        for service in [Self::Contacts, Self::Calendar] {
            if let Some(id) = container.strip_prefix(service.prefix()) {
                return (service, id);
            }
        }
        (Self::Mail, container)
    }

    /// A container of the service by the ids that Exchange gives it and the one above it.
    pub(crate) fn place(self, parent: &str, id: &str) -> ItemRef {
        ItemRef {
            container: self.container(parent),
            id: self.container(id),
        }
    }

    /// The id of a container as items name it; the root stays the root.
    pub(crate) fn container(self, id: &str) -> String {
        if id.is_empty() {
            String::new()
        } else {
            format!("{}{id}", self.prefix())
        }
    }
}
