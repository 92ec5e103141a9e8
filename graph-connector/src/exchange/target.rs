//! A mailbox as the target of a recovery: each kind of item goes to its service.

use std::sync::Arc;

use async_trait::async_trait;
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::{ItemKind, ItemRecord};

use super::calendar::target::EventTarget;
use super::contacts::target::ContactTarget;
use super::mail::target::MailTarget;
use super::places::Places;
use super::service::MailboxService;
use crate::fault::Fault;
use crate::graph::Graph;

/// One service of mailboxes as the target of a recovery.
#[async_trait]
pub(super) trait ServiceTarget: Send + Sync + std::fmt::Debug {
    /// Its containers.
    fn places(&self) -> &Places;

    /// What is in the place of `item`.
    async fn existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault>;

    /// Writes `item` into `container` and reads it back. What it replaces goes last of all.
    async fn write(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered, Fault>;
}

/// Chooses by the kind of the item, or by the id of its container.
#[derive(Debug)]
pub(crate) struct MailboxTarget {
    mail: MailTarget,
    contacts: ContactTarget,
    calendar: EventTarget,
}

impl MailboxTarget {
    pub(crate) fn new(graph: &Arc<Graph>) -> Self {
        Self {
            mail: MailTarget::new(Arc::clone(graph)),
            contacts: ContactTarget::new(Arc::clone(graph)),
            calendar: EventTarget::new(Arc::clone(graph)),
        }
    }

    /// Whether a mailbox takes items of this kind.
    pub(crate) fn takes(kind: ItemKind) -> bool {
        matches!(kind, ItemKind::Message | ItemKind::Contact | ItemKind::Event)
    }

    fn service(&self, service: MailboxService) -> &dyn ServiceTarget {
        match service {
            MailboxService::Mail => &self.mail,
            MailboxService::Contacts => &self.contacts,
            MailboxService::Calendar => &self.calendar,
        }
    }

    fn of(&self, item: &ItemRecord) -> &dyn ServiceTarget {
        self.service(match item.kind {
            ItemKind::Contact => MailboxService::Contacts,
            ItemKind::Event => MailboxService::Calendar,
            _ => MailboxService::Mail,
        })
    }
}

#[async_trait]
impl RecoveryTarget for MailboxTarget {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> nakivo_core::Result<Existing> {
        let service = self.of(&item.record);
        let search = || service.existing(target, item, content);
        service.places().searched(&target.native_id, search).await
    }

    async fn ensure_container(
        &self,
        target: &ObjectRecord,
        path: &[ItemRecord],
    ) -> nakivo_core::Result<String> {
        let innermost = path.last().map_or("", |folder| &folder.id);
        let (service, _) = MailboxService::of(innermost);
        self.service(service).places().ensure(target, path).await
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> nakivo_core::Result<Recovered> {
        let service = self.of(&item.record);
        let written = service.write(target, container, item, content, action).await;
        service.places().recovered(container, written)
    }
}
