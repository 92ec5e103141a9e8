//! What became of every item of a run, and the arithmetic that proves that none was lost on the way.

use nakivo_repo_format::manifest::{Cause, LedgerEntry, LedgerKind};
use nakivo_repo_format::tree::ItemKey;
use serde::Serialize;

use crate::connector::ItemRef;
use crate::error::{Error, Result};

/// Counters of one run. `enumerated = stored + unchanged + skipped + failed`, checked before every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunCounts {
    /// Items the source named in this run.
    pub enumerated: u64,
    /// Of these, stored anew or again.
    pub stored: u64,
    /// Of these, already in the previous point (or stored by an interrupted run) and unchanged.
    pub unchanged: u64,
    /// Of these, skipped for a named cause.
    pub skipped: u64,
    /// Of these, failed; the next run tries them again.
    pub failed: u64,
    /// Of the stored ones, not in the previous point.
    pub added: u64,
    /// Of the stored ones, in the previous point with other content.
    pub changed: u64,
    /// Items of the previous point that are gone from the source.
    pub removed: u64,
    /// Of the unchanged ones, taken over from an interrupted run instead of being read again.
    pub resumed: u64,
}

/// The ledger of one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) counts: RunCounts,
    pub(crate) entries: Vec<LedgerEntry>,
}

impl Ledger {
    pub(crate) fn entry(
        &mut self,
        kind: LedgerKind,
        item: Option<&ItemRef>,
        path: String,
        code: &str,
        message: &str,
        retry: bool,
    ) {
        self.entries.push(LedgerEntry {
            kind,
            container: item.map(|item| item.container.clone()),
            item: item.and_then(|item| ItemKey::item(item.container.as_str(), item.id.as_str()).ok()),
            path,
            cause: Cause {
                code: code.to_owned(),
                message: message.to_owned(),
            },
            retry,
        });
    }

    /// Whether anything is missing from the point.
    pub(crate) fn is_partial(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == LedgerKind::Failed)
    }

    /// Warnings so far.
    pub(crate) fn warnings(&self) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.kind == LedgerKind::Warning)
            .count() as u64
    }

    /// I5: nothing that the source named may be unaccounted for.
    pub(crate) fn check(&self) -> Result<()> {
        let RunCounts {
            enumerated,
            stored,
            unchanged,
            skipped,
            failed,
            ..
        } = self.counts;
        if enumerated == stored + unchanged + skipped + failed {
            Ok(())
        } else {
            Err(Error::internal(format!(
                "the ledger does not add up: {enumerated} items named, {stored} stored + {unchanged} unchanged + \
                 {skipped} skipped + {failed} failed; nothing was committed"
            )))
        }
    }
}
