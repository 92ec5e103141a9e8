//! A mailbox as the target of a recovery: each kind of item goes to its service.

use std::sync::Arc;

use async_trait::async_trait;
use nakivo_core::Result;
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::{ItemKind, ItemRecord};

use super::calendar::target::EventTarget;
use super::contacts::target::ContactTarget;
use super::mail::target::MailTarget;
use super::service::MailboxService;
use crate::graph::Graph;

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

    fn of(&self, item: &ItemRecord) -> &dyn RecoveryTarget {
        match item.kind {
            ItemKind::Contact => &self.contacts,
            ItemKind::Event => &self.calendar,
            _ => &self.mail,
        }
    }
}

#[async_trait]
impl RecoveryTarget for MailboxTarget {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        self.of(&item.record).find_existing(target, item, content).await
    }

    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        let service = path.last().map(|folder| MailboxService::of(&folder.id).0);
        let chosen: &dyn RecoveryTarget = match service {
            Some(MailboxService::Contacts) => &self.contacts,
            Some(MailboxService::Calendar) => &self.calendar,
            _ => &self.mail,
        };
        chosen.ensure_container(target, path).await
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        self.of(&item.record)
            .recover(target, container, item, content, action)
            .await
    }
}
