//! The fetches of a run that are under way, and the small items that wait to be fetched together.

use std::collections::HashSet;
use std::sync::Arc;

use nakivo_repo_format::manifest::ObjectRecord;
use tokio::task::JoinSet;

use super::fetch::{FetchOutcome, fetch_group};
use crate::connector::{Connector, ItemHead, ItemRef};
use crate::error::{Error, Result};
use crate::repository::Writer;

/// An item up to this length is small; one of unknown length is not.
const SMALL_BYTES: u64 = 64 << 10;

/// Items and what became of them.
pub(super) type Outcomes = Vec<(ItemHead, FetchOutcome)>;

/// See the module.
pub(super) struct Fetches {
    connector: Arc<dyn Connector>,
    object: Arc<ObjectRecord>,
    writer: Writer,
    tasks: JoinSet<Result<Outcomes>>,
    /// Tasks at once.
    limit: usize,
    /// Small items that will be fetched together.
    group: Vec<ItemHead>,
    /// Items in a group are at most so many.
    group_limit: usize,
    items: HashSet<ItemRef>,
}

impl Fetches {
    pub(super) fn new(connector: Arc<dyn Connector>, object: Arc<ObjectRecord>, writer: Writer) -> Self {
        Self {
            limit: connector.fetch_concurrency().max(1),
            group_limit: connector.fetch_group().max(1),
            connector,
            object,
            writer,
            tasks: JoinSet::new(),
            group: Vec::new(),
            items: HashSet::new(),
        }
    }

    /// Whether nothing is under way and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.group.is_empty()
    }

    pub(super) fn contains(&self, item: &ItemRef) -> bool {
        self.items.contains(item)
    }

    /// Whether another task may begin.
    pub(super) fn has_room(&self) -> bool {
        self.tasks.len() < self.limit
    }

    pub(super) fn under_way(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Whether items wait for others to be fetched with.
    pub(super) fn waiting(&self) -> bool {
        !self.group.is_empty()
    }

    /// Takes an item: fetches it now, or soon with others.
    pub(super) fn add(&mut self, head: ItemHead) {
        self.items.insert(head.item.clone());
        if self.group_limit == 1 || head.size.is_none_or(|size| size > SMALL_BYTES) {
            return self.start(vec![head]);
        }
        self.group.push(head);
        if self.group.len() >= self.group_limit {
            self.start_waiting();
        }
    }

    /// Fetches what waits for more.
    pub(super) fn start_waiting(&mut self) {
        if !self.group.is_empty() {
            let group = std::mem::take(&mut self.group);
            self.start(group);
        }
    }

    fn start(&mut self, heads: Vec<ItemHead>) {
        self.tasks.spawn(fetch_group(
            Arc::clone(&self.connector),
            Arc::clone(&self.object),
            self.writer.clone(),
            heads,
        ));
    }

    /// The next task that is done; `None` if none is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Outcomes>> {
        let done = self.tasks.join_next().await?;
        let outcomes = match done {
            Ok(outcomes) => outcomes,
            Err(error) => Err(Error::internal(format!("a fetch ended abnormally: {error}"))),
        };
        for (head, _) in outcomes.iter().flatten() {
            self.items.remove(&head.item);
        }
        Some(outcomes)
    }
}
