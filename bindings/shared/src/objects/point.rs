//! Recovery points: looking into them, and getting things out.

use std::path::PathBuf;
use std::sync::Arc;

use nakivo_core::connector::Connector;
use nakivo_core::format::Manifest;
use nakivo_core::recovery::{
    self, Destination, ExportOptions, PageRequest, PointView, Query, Selection, Target,
};
use nakivo_core::repository as core;

use super::{ByteStream, ChangeStream, EntryStream, ExportRun, PlanRun, RecoverRun, Source};
use crate::NakivoError;
use crate::types::{
    self, Entry, ExportTo, Issue, Page, PageOptions, PlannedItem, PointInfo, RecoverTo, Selected, To,
};

/// A recovery point of one object.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Point {
    repository: core::Repository,
    view: PointView,
}

impl Point {
    pub(crate) fn of(repository: &core::Repository, manifest: Manifest) -> Arc<Self> {
        Arc::new(Self {
            repository: repository.clone(),
            view: PointView::open(repository, manifest),
        })
    }
}

/// What is selected: everything that any of the three says; the whole point if none says anything.
fn selection(selected: &Selected) -> Result<Selection, NakivoError> {
    let Selected { paths, ids, query } = selected;
    let mut any = Vec::new();
    if !paths.is_empty() {
        any.push(Selection::paths(paths.clone()));
    }
    if !ids.is_empty() {
        any.push(Selection::ids(ids.clone()));
    }
    if let Some(query) = query {
        any.push(Selection::Matching(Query::parse(query)?));
    }
    Ok(if any.is_empty() {
        Selection::All
    } else {
        Selection::Any(any)
    })
}

class! {
    /// A recovery point of one object.
    Point
    constructors {}
    methods {
        /// What is known of it.
        fn info(&self) -> PointInfo {
            Ok(PointInfo::of(&self.repository, self.view.manifest().clone()))
        }

        /// What its run could not store, or stored with a warning.
        fn issues(&self) -> Vec<Issue> {
            Ok(self.repository.ledger(self.view.manifest()).await?.to())
        }

        /// What differs from another point of the same object: `added` is what is only in this one.
        fn changes_since(&self, older: Arc<Point>) -> Arc<ChangeStream> {
            let (old, new) = (older.view.manifest(), self.view.manifest());
            if old.object.id != new.object.id {
                return Err(NakivoError::unfit("older", "it is a point of another object"));
            }
            Ok(ChangeStream::of(self.repository.diff(old.root, new.root)))
        }

        /// A page of what lies in a container: containers first, then items. `container` is its id, empty for the root.
        fn list(&self, container: String, options: PageOptions) -> Page {
            let after = options.after.map(|cursor| cursor.parse()).transpose()?;
            let limit = options.limit.map_or(PageRequest::default().limit, |limit| limit as usize);
            let request = PageRequest { after, limit };
            Ok(self.view.list(&container, request).await?.to())
        }

        /// The items and containers that a query finds, such as `from:anna subject:"annual report" has:attachment`; an empty one finds
        /// everything.
        fn find(&self, query: String) -> Arc<EntryStream> {
            Ok(EntryStream::of(self.view.find(&Query::parse(&query)?)))
        }

        /// What is at a path, such as `Inbox/Annual report`.
        fn entry(&self, path: String) -> Entry {
            Ok(self.view.resolve_path(&path).await?.to())
        }

        /// What has this id.
        fn entry_by_id(&self, id: String) -> Entry {
            Ok(self.view.entry_by_id(&id).await?.to())
        }

        /// The content of an item, or of one of its parts. By default: the message as MIME, the file's content.
        fn content(&self, id: String, part: Option<String>) -> Arc<ByteStream> {
            let entry = self.view.entry_by_id(&id).await?;
            let first = || entry.record.parts.first().map(|part| part.name.clone()).unwrap_or_default();
            let part = part.unwrap_or_else(first);
            Ok(ByteStream::of(self.view.content(&entry.record, &part)?))
        }

        /// Exports items to a directory or an archive of this machine.
        fn export(&self, to: ExportTo, selected: Selected) -> Arc<ExportRun> {
            let ExportTo { directory, zip, format } = to;
            let destination = match (directory, zip) {
                (Some(directory), None) => Destination::Directory(PathBuf::from(directory)),
                (None, Some(zip)) => Destination::Zip(PathBuf::from(zip)),
                _ => return Err(NakivoError::unfit("to", "exactly one of directory and zip is to be given")),
            };
            let mut options = ExportOptions::new(destination);
            if let Some(format) = format {
                options = options.with_format(format.to());
            }
            let running = recovery::export(&self.repository, self.view.manifest(), selection(&selected)?, options);
            Ok(ExportRun::of(running))
        }

        /// Says what a recovery to a source would do, and writes nothing.
        fn plan(&self, source: Arc<Source>, to: RecoverTo, selected: Selected) -> Arc<PlanRun> {
            let connector = source.connector();
            let target = match &to.object {
                Some(name) => Target::Object(connector.find_object(name).await?),
                None => Target::Original,
            };
            let on_conflict = to.on_conflict.map(To::to).unwrap_or_default();
            let selection = selection(&selected)?;
            let running = recovery::plan(&self.repository, self.view.manifest(), selection, &connector, target, on_conflict);
            let repository = self.repository.clone();
            Ok(PlanRun::with(running, move |plan| Arc::new(RecoveryPlan { repository, connector, plan })))
        }
    }
}

/// What a recovery would do.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct RecoveryPlan {
    repository: core::Repository,
    connector: Arc<dyn Connector>,
    plan: recovery::RecoveryPlan,
}

class! {
    /// What a recovery would do.
    RecoveryPlan
    constructors {}
    methods {
        /// How many items would meet which fate.
        fn counts(&self) -> types::PlanCounts {
            Ok(self.plan.counts().to())
        }

        /// Each selected item and what would become of it, in the order in which they are written.
        fn items(&self) -> Vec<PlannedItem> {
            Ok(self.plan.items.clone().to())
        }

        /// Carries the plan out. Safe to repeat: what is there already is not made twice.
        fn apply(&self) -> Arc<RecoverRun> {
            Ok(RecoverRun::of(recovery::apply(&self.repository, self.plan.clone(), &self.connector)))
        }
    }
}
