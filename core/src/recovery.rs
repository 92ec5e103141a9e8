//! Getting data back: browse and search a recovery point, recover it through a connector, or export it to files.
//!
//! [`PointView`] shows one point as a tree. [`plan`] says for each item what would happen and changes nothing; [`apply`]
//! does it. [`export`] needs no source at all: it writes `.eml`, mbox or plain files to a directory or a ZIP archive.
//!
//! One damaged or refused item never stops the rest: such calls return their report with [`Outcome::Partial`] and name
//! each.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use nakivo_repo_format::record::ItemRecord;

use crate::connector::ContentSource;
use crate::error::{Error, Result};
use crate::repository::Repository;

mod ahead;
mod apply;
mod browse;
pub(crate) mod containers;
mod export;
mod files;
mod manifest;
mod mbox;
mod names;
mod places;
mod plan;
mod query;
mod select;
mod sink;
mod zip;

pub use apply::{ItemOutcome, ItemResult, RecoveryCounts, RecoveryReport, apply};
pub use browse::{Entry, MAX_PAGE_ENTRIES, Page, PageCursor, PageRequest, PointView};
pub use export::{
    Destination, ExportFailure, ExportFormat, ExportOptions, ExportReport, MANIFEST_NAME, export,
};
pub use plan::{PlanCounts, PlannedAction, PlannedItem, RecoveryPlan, Target, plan};
pub use query::{MAX_QUERY_BYTES, MAX_QUERY_TERMS, Query};
pub use select::Selection;

#[doc(no_inline)]
pub use crate::backup::Outcome;

/// The stored content of one item.
struct StoredContent {
    repository: Repository,
    record: ItemRecord,
}

#[async_trait]
impl ContentSource for StoredContent {
    async fn open(&self, part: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self.record.part(part) {
            Some(part) => Ok(self.repository.read_part(part)),
            None => Err(Error::not_found("content part", part)),
        }
    }
}
