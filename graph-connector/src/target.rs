//! Where recovered items go: mail and contacts to mailboxes, files to drives and sites.

use async_trait::async_trait;
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget, Settled,
};
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind, Result};

use crate::drives::target::DriveTarget;
use crate::exchange::target::MailboxTarget;
use crate::fault::Fault;
use crate::sharepoint::lists::target as lists;
use crate::sharepoint::target::SiteTarget;

/// Chooses by the kind of the target.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) mailbox: MailboxTarget,
    pub(crate) drive: DriveTarget,
    pub(crate) site: SiteTarget,
}

impl Targets {
    fn of(&self, target: &ObjectRecord) -> &dyn RecoveryTarget {
        match target.kind {
            ObjectKind::Drive => &self.drive,
            ObjectKind::Site => &self.site,
            _ => &self.mailbox,
        }
    }
}

/// What a comparison with the item at the target found.
pub(crate) fn compared(id: String, differences: &[String]) -> Existing {
    if differences.is_empty() {
        return Existing::Identical { id };
    }
    Existing::Differs {
        id,
        difference: differences.join(", "),
    }
}

/// What a refusal of something that recovery does means.
pub(crate) fn failed(what: &'static str, permission: &'static str) -> impl FnOnce(Fault) -> Error {
    move |fault| fault.into_error(what, Some(permission))
}

/// A message does not go to a drive, nor a file to a mailbox, nor a row to anything but a site.
fn check(target: &ObjectRecord, record: &ItemRecord) -> Result<()> {
    let fits = match target.kind {
        ObjectKind::Mailbox => MailboxTarget::takes(record.kind),
        ObjectKind::Site => !MailboxTarget::takes(record.kind),
        _ => !MailboxTarget::takes(record.kind) && !lists::is_listed(record),
    };
    if fits {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!(
            "an item of the kind '{}' cannot go to a {}",
            record.kind, target.kind
        ),
    )
    .with_hint("Choose a target of the same kind, or export."))
}

#[async_trait]
impl RecoveryTarget for Targets {
    async fn find_existing(
        &self,
        target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        check(target, &item.record)?;
        self.of(target).find_existing(target, item, content).await
    }

    fn stage(&self, record: &ItemRecord) -> u8 {
        self.site.stage(record)
    }

    async fn settle(&self, target: &ObjectRecord) -> Vec<Settled> {
        self.of(target).settle(target).await
    }

    async fn ensure_container(&self, target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        self.of(target).ensure_container(target, path).await
    }

    async fn recover(
        &self,
        target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        check(target, &item.record)?;
        self.of(target)
            .recover(target, container, item, content, action)
            .await
    }
}
