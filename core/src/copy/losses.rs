//! What cannot be copied because it is damaged in the source: named, counted, and told whoever backs up from the copy.

use nakivo_repo_format::Manifest;
use nakivo_repo_format::manifest::{Cause, LedgerEntry, LedgerKind};
use nakivo_repo_format::record::ItemRecord;
use nakivo_repo_format::tree::{ItemKey, KeyKind, LostSubtree, TreeRoot};

use super::item::is_damage;
use crate::error::{Error, Result};
use crate::recovery::containers::Containers;
use crate::repository::{Repository, Spoiled};

/// Something damaged in the source.
#[derive(Debug)]
pub(super) enum Loss {
    /// An item whose content is damaged. The copy does not have it.
    Item(ItemRecord, Error),
    /// A container some part of which is damaged. The copy has it without.
    Bare(ItemRecord, Error),
    /// An entry whose record is damaged. The copy does not have it.
    Spoiled(Spoiled),
    /// Entries that are not even known. The copy does not have them.
    Subtree(LostSubtree, Error),
}

/// Everything of one point that its copy lacks.
#[derive(Debug, Default)]
pub(super) struct Losses {
    losses: Vec<Loss>,
    paths: Vec<String>,
    entries: u64,
    bytes: u64,
    cursor_is_lost: bool,
}

impl Losses {
    pub(super) fn subtree(&mut self, subtree: LostSubtree, error: Error) {
        self.entries += subtree.entries;
        self.bytes += subtree.bytes;
        self.losses.push(Loss::Subtree(subtree, error));
    }

    /// Adds the loss of one entry of this size.
    pub(super) fn add(&mut self, loss: Loss, size: u64) {
        if !matches!(loss, Loss::Bare(..)) {
            self.entries += 1;
            self.bytes += size;
        }
        self.losses.push(loss);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.losses.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.losses.len() as u64
    }

    /// Entries of the point that its copy does not have.
    pub(super) fn lost_entries(&self) -> u64 {
        self.entries
    }

    /// Fails unless the copy's tree has everything of the original but what is listed here.
    pub(super) fn check(&self, original: Option<&TreeRoot>, copy: Option<&TreeRoot>) -> Result<()> {
        let sums = |root: Option<&TreeRoot>| root.map_or((0, 0), |root| (root.entries, root.bytes));
        let ((entries, bytes), (copied, copied_bytes)) = (sums(original), sums(copy));
        if entries == copied + self.entries && bytes == copied_bytes + self.bytes {
            return Ok(());
        }
        Err(Error::internal(format!(
            "the copy does not add up: {entries} entries of {bytes} bytes, {copied} of {copied_bytes} copied, {} of {} \
             damaged; nothing was committed",
            self.entries, self.bytes
        )))
    }

    /// Finds the paths of what is lost. Returns damage that keeps even the folders from being read.
    pub(super) async fn name(&mut self, source: &Repository, manifest: &Manifest) -> Result<Option<Error>> {
        if self.losses.is_empty() {
            return Ok(None);
        }
        let containers = match Containers::load(source, manifest.root).await {
            Ok(containers) => containers,
            Err(error) if is_damage(&error) => Containers::default(),
            Err(error) => return Err(error),
        };
        self.paths = self
            .losses
            .iter()
            .map(|loss| match loss {
                Loss::Item(record, _) | Loss::Bare(record, _) => containers.path_of(record),
                Loss::Spoiled(spoiled) => containers.path_of_spoiled(spoiled),
                Loss::Subtree(subtree, _) => {
                    let last = subtree
                        .last_key
                        .as_ref()
                        .and_then(|key| ItemKey::from_bytes(key).ok());
                    match last {
                        Some(key) => format!(
                            "{} entries up to {} in '{}'",
                            subtree.entries,
                            key.id(),
                            containers.path(key.container())
                        ),
                        None => format!("all {} entries", subtree.entries),
                    }
                }
            })
            .collect();
        Ok(None)
    }

    /// As the copied point lists them. What has a key is tried again by a backup that goes on from the copy.
    pub(super) fn entries(&self) -> Vec<LedgerEntry> {
        self.losses
            .iter()
            .zip(&self.paths)
            .map(|(loss, path)| LedgerEntry {
                path: path.clone(),
                ..loss.entry()
            })
            .collect()
    }

    /// Says that a backup may not go on from the cursor.
    pub(super) fn forget_cursor(&mut self) {
        self.cursor_is_lost = true;
    }

    /// Whether a backup that goes on from the cursor asks for everything that is lost.
    pub(super) fn keep_cursor(&self) -> bool {
        !self.cursor_is_lost && self.losses.iter().all(|loss| loss.item().is_some())
    }

    /// A point of which nothing can be copied.
    pub(super) fn whole(error: &Error) -> LedgerEntry {
        failed(None, None, "all items".to_owned(), error)
    }

    /// Something about the point itself.
    pub(super) fn of_point(what: &str, error: &Error) -> LedgerEntry {
        failed(None, None, String::new(), &error.clone().context(what))
    }
}

impl Loss {
    /// The item a source can be asked for again.
    fn item(&self) -> Option<ItemKey> {
        match self {
            Self::Item(record, _) => ItemKey::item(record.container.as_str(), record.id.as_str()).ok(),
            Self::Spoiled(spoiled) if spoiled.kind == Some(KeyKind::Item) => {
                ItemKey::item(spoiled.container.as_str(), spoiled.id.as_str()).ok()
            }
            _ => None,
        }
    }

    fn entry(&self) -> LedgerEntry {
        let (container, error) = match self {
            Self::Item(record, error) => (Some(&record.container), error),
            Self::Bare(record, error) => (Some(&record.id), error),
            Self::Spoiled(spoiled) => (Some(&spoiled.container), &spoiled.error),
            Self::Subtree(_, error) => (None, error),
        };
        failed(self.item(), container.cloned(), String::new(), error)
    }
}

fn failed(item: Option<ItemKey>, container: Option<String>, path: String, error: &Error) -> LedgerEntry {
    LedgerEntry {
        kind: LedgerKind::Failed,
        retry: item.is_some(),
        item,
        container,
        path,
        cause: Cause {
            code: error.code().to_owned(),
            message: format!(
                "damaged in the repository it was copied from: {}",
                error.message()
            ),
        },
    }
}
