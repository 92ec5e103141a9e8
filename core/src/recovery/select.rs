//! What is to be recovered or exported.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use nakivo_repo_format::record::{ItemKind, ItemRecord};
use nakivo_repo_format::tree::ItemKey;

use super::browse::{PointView, matches};
use super::containers::Containers;
use super::query::Query;
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{ScanRange, Spoiled};

/// Which items of a recovery point are meant. A container stands for everything in it and below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The whole point.
    #[default]
    All,
    /// Containers and items at these paths, as listings show them.
    Paths(Vec<String>),
    /// Containers and items with these ids.
    Ids(Vec<String>),
    /// The items (not containers) that a search finds.
    Matching(Query),
    /// All that one of these selects.
    Any(Vec<Selection>),
}

impl Selection {
    /// Selects by path.
    pub fn paths<T: Into<String>>(paths: impl IntoIterator<Item = T>) -> Self {
        Self::Paths(paths.into_iter().map(Into::into).collect())
    }

    /// Selects by id.
    pub fn ids<T: Into<String>>(ids: impl IntoIterator<Item = T>) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }
}

/// A selection made definite for one point.
#[derive(Debug, Default)]
struct Chosen {
    all: bool,
    containers: HashSet<String>,
    items: BTreeMap<String, BTreeSet<String>>,
    queries: Vec<Query>,
}

impl Chosen {
    async fn add(&mut self, view: &PointView, selection: &Selection) -> Result<()> {
        let mut open = vec![selection];
        while let Some(selection) = open.pop() {
            match selection {
                Selection::All => self.all = true,
                Selection::Paths(paths) => {
                    for path in paths {
                        self.entry(view, view.resolve_path(path).await?.record).await?;
                    }
                }
                Selection::Ids(ids) => {
                    for id in ids {
                        self.entry(view, view.entry_by_id(id).await?.record).await?;
                    }
                }
                Selection::Matching(query) => self.queries.push(query.clone()),
                Selection::Any(selections) => open.extend(selections),
            }
        }
        Ok(())
    }

    async fn entry(&mut self, view: &PointView, record: ItemRecord) -> Result<()> {
        if record.kind != ItemKind::Container {
            self.items.entry(record.container).or_default().insert(record.id);
        } else if record.id.is_empty() {
            self.all = true;
        } else {
            self.containers
                .extend(view.containers().await?.subtree(&record.id));
        }
        Ok(())
    }
}

/// What comes next of a selection.
#[derive(Debug)]
pub(super) enum Step {
    /// The items of this container follow. `whole`: all of them.
    Container {
        id: String,
        whole: bool,
    },
    Item(Box<ItemRecord>),
    /// An item or container whose record cannot be used.
    Spoiled(Spoiled),
    /// A container whose listing is damaged: its other items are not known.
    Damaged {
        container: String,
        error: Error,
    },
}

/// Goes through the selected items, container by container, parents first.
pub(super) struct ItemWalk {
    view: PointView,
    pub(super) containers: Arc<Containers>,
    chosen: Chosen,
    queue: VecDeque<String>,
    current: Option<(String, Current)>,
    damaged: VecDeque<(String, Error)>,
    /// Entries met so far, to notice items that lie in no known container.
    entries: u64,
    strays_done: bool,
}

type Scan = BoxStream<'static, Result<Result<(ItemKey, ItemRecord), Spoiled>>>;

enum Current {
    Scan(Scan),
    Single(VecDeque<String>),
    Strays(Scan),
}

impl ItemWalk {
    pub(super) async fn new(view: PointView, selection: &Selection) -> Result<Self> {
        let containers = view.containers().await?;
        let mut chosen = Chosen::default();
        chosen.add(&view, selection).await?;
        let scans_all = chosen.all || !chosen.queries.is_empty();
        let queue = containers
            .subtree("")
            .into_iter()
            .filter(|id| scans_all || chosen.containers.contains(id) || chosen.items.contains_key(id))
            .collect();
        let damaged = containers
            .damage
            .iter()
            .filter(|(id, _)| scans_all || chosen.containers.contains(id))
            .cloned()
            .collect();
        let entries = containers.len() as u64;
        Ok(Self {
            view,
            containers,
            chosen,
            queue,
            current: None,
            damaged,
            entries,
            strays_done: false,
        })
    }

    /// Whether everything in the point is selected.
    pub(super) fn is_all(&self) -> bool {
        self.chosen.all
    }

    /// The rest of the walk. The first error ends it.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Step>> {
        stream::try_unfold(self, |mut walk| async move {
            Ok(walk.next().await?.map(|step| (step, walk)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            if let Some((container, error)) = self.damaged.pop_front() {
                return Ok(Some(Step::Damaged { container, error }));
            }
            let Some((container, mut current)) = self.current.take() else {
                match self.begin_next() {
                    Some(step) => return Ok(Some(step)),
                    None => return Ok(None),
                }
            };
            let step = self.advance(&container, &mut current).await;
            if !matches!(step, Ok(Advance::End))
                && !matches!(&step, Err(error) if error.kind() == ErrorKind::Corrupt)
            {
                self.current = Some((container.clone(), current));
            }
            match step {
                Ok(Advance::Item(record)) => return Ok(Some(Step::Item(record))),
                Ok(Advance::Spoiled(spoiled)) => return Ok(Some(Step::Spoiled(spoiled))),
                Ok(Advance::Nothing | Advance::End) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return Ok(Some(Step::Damaged { container, error }));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn begin_next(&mut self) -> Option<Step> {
        let Some(id) = self.queue.pop_front() else {
            return self.begin_strays();
        };
        let whole = self.chosen.all || self.chosen.containers.contains(&id);
        let root = self.view.manifest().root;
        let current = if whole || !self.chosen.queries.is_empty() {
            Current::Scan(
                self.view
                    .repository()
                    .scan_each(root, &ScanRange::container(id.as_str())),
            )
        } else {
            Current::Single(
                self.chosen
                    .items
                    .get(&id)
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect(),
            )
        };
        self.current = Some((id.clone(), current));
        Some(Step::Container { id, whole })
    }

    /// Items whose container is not in the point must not be lost silently.
    fn begin_strays(&mut self) -> Option<Step> {
        let root = self.view.manifest().root?;
        let complete = self.entries >= root.entries || !self.chosen.all;
        if complete || std::mem::replace(&mut self.strays_done, true) {
            return None;
        }
        let scan = self.view.repository().scan_each(Some(root), &ScanRange::all());
        self.current = Some((String::new(), Current::Strays(scan)));
        Some(Step::Container {
            id: String::new(),
            whole: false,
        })
    }

    async fn advance(&mut self, container: &str, current: &mut Current) -> Result<Advance> {
        match current {
            Current::Scan(scan) => {
                let Some(entry) = scan.next().await else {
                    return Ok(Advance::End);
                };
                let record = match entry? {
                    Ok((_, record)) => record,
                    Err(spoiled) => {
                        self.entries += 1;
                        return Ok(Advance::Spoiled(spoiled));
                    }
                };
                if record.kind == ItemKind::Container {
                    return Ok(Advance::Nothing);
                }
                self.entries += 1;
                let selected = self.chosen.all
                    || self.chosen.containers.contains(container)
                    || self
                        .chosen
                        .items
                        .get(container)
                        .is_some_and(|ids| ids.contains(&record.id))
                    || self
                        .chosen
                        .queries
                        .iter()
                        .any(|query| matches(query, &record, &self.containers.path(container)));
                Ok(if selected {
                    Advance::Item(Box::new(record))
                } else {
                    Advance::Nothing
                })
            }
            Current::Single(ids) => {
                let Some(id) = ids.pop_front() else {
                    return Ok(Advance::End);
                };
                let key = ItemKey::item(container, id.as_str())
                    .map_err(|error| Error::internal(format!("a stored id is no id: {error}")))?;
                let record = self
                    .view
                    .repository()
                    .get(self.view.manifest().root.as_ref(), &key)
                    .await?;
                Ok(record.map_or(Advance::Nothing, |record| Advance::Item(Box::new(record))))
            }
            Current::Strays(scan) => {
                let Some(entry) = scan.next().await else {
                    return Ok(Advance::End);
                };
                let record = match entry? {
                    Ok((_, record)) => record,
                    Err(spoiled) if self.containers.contains(&spoiled.container) => {
                        return Ok(Advance::Nothing);
                    }
                    Err(spoiled) => return Ok(Advance::Spoiled(spoiled)),
                };
                let stray =
                    record.kind != ItemKind::Container && !self.containers.contains(&record.container);
                Ok(if stray {
                    Advance::Item(Box::new(record))
                } else {
                    Advance::Nothing
                })
            }
        }
    }
}

enum Advance {
    Item(Box<ItemRecord>),
    Spoiled(Spoiled),
    Nothing,
    End,
}
