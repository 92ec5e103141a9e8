//! The connector: rounds of changes, fetches and look-ups over the scripted source.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Cursor, Fetched, ItemHead, ItemRef, PartContent, Presence,
    RecoveryTarget, Usage,
};
use nakivo_core::format::ids::ObjectId;
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::format::record::{ItemKind, PropertyBag};
use nakivo_core::progress::Reporter;
use nakivo_core::{Error, ErrorKind, Result};

use super::model::{Edit, Item, Source};
use super::script::{FetchTrouble, Moment, Script, Settings, scripted_error};
use super::walk::{Positions, Walk};
use crate::content::Ending;
use crate::logical::LogicalContent;
use crate::random::SeededRng;

/// What a hook sees of the source when it decides about edits.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Ids of all containers, without the root.
    pub containers: Vec<String>,
    /// Ids of all items.
    pub items: Vec<String>,
}

type Hook = Box<dyn FnMut(Moment, &View) -> Vec<Edit> + Send>;

/// A scripted source with one protected object. Clones share it.
#[derive(Clone)]
pub struct ScriptedConnector {
    pub(super) shared: Arc<Mutex<Shared>>,
    object: ObjectRecord,
    pub(super) settings: Settings,
}

pub(super) struct Shared {
    pub(super) source: Source,
    pub(super) script: Script,
    hook: Option<Hook>,
    pub(super) order: SeededRng,
    pub(super) requests: u64,
    bytes: u64,
    pub(super) made: u64,
    /// Item, sequence number, and what was said about it.
    said: Vec<(String, u64, String)>,
}

impl fmt::Debug for ScriptedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedConnector")
            .field("object", &self.object.id)
            .finish_non_exhaustive()
    }
}

impl ScriptedConnector {
    /// An empty source whose object is called `name` (lower-case letters and digits).
    ///
    /// # Panics
    /// If `name` makes no valid object id.
    #[must_use]
    pub fn new(name: &str, settings: Settings) -> Self {
        let object = ObjectRecord {
            id: ObjectId::new(format!("scripted/mailbox/{name}")).expect("a valid object name"),
            kind: ObjectKind::Mailbox,
            name: name.to_owned(),
            address: Some(format!("{name}@example.org")),
            source: "scripted".to_owned(),
            native_id: name.to_owned(),
            account: None,
        };
        let source = Source::new(settings.keyless);
        let shared = Shared {
            source,
            script: Script::default(),
            hook: None,
            order: SeededRng::new(0),
            requests: 0,
            bytes: 0,
            made: 0,
            said: Vec::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            object,
            settings,
        }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> ObjectRecord {
        self.object.clone()
    }

    /// This source as the engine takes it.
    #[must_use]
    pub fn handle(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an edit now; says whether it did anything (an edit of something absent does not).
    #[must_use = "an edit that did nothing may make a test empty"]
    pub fn try_edit(&self, edit: &Edit) -> bool {
        self.lock().source.apply(edit)
    }

    /// Applies an edit now.
    ///
    /// # Panics
    /// If it names something that is not there.
    #[track_caller]
    pub fn edit(&self, edit: &Edit) {
        assert!(self.try_edit(edit), "the edit does nothing: {edit:?}");
    }

    /// Plans an edit for a moment of the next runs.
    pub fn edit_at(&self, moment: Moment, edit: Edit) {
        self.lock().script.edits.entry(moment).or_default().push(edit);
    }

    /// Asks `hook` for edits at every moment of the next runs. The hook must not call this connector.
    pub fn edit_during(&self, hook: impl FnMut(Moment, &View) -> Vec<Edit> + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    /// Lets fetches of this item meet trouble: the next `times` ones, or all if `None`.
    pub fn trouble(&self, id: &str, trouble: FetchTrouble, times: Option<u32>) {
        self.lock().script.trouble.insert(id.to_owned(), (trouble, times));
    }

    /// Breaks the listing of this container in its next `times` rounds, after the first item.
    pub fn break_round(&self, container: &str, times: u32) {
        self.lock()
            .script
            .broken_rounds
            .insert(container.to_owned(), times);
    }

    /// Breaks the list of containers halfway the next `times` times.
    pub fn break_containers(&self, times: u32) {
        self.lock().script.broken_containers = times;
    }

    /// Fails the whole stream of changes before the change with this number (see [`Moment`]), once.
    pub fn break_stream(&self, change: u64) {
        self.lock().script.break_stream = Some(change);
    }

    /// Answers the next `times` look-ups of this item with "unknown".
    pub fn hide_from_look_up(&self, id: &str, times: u32) {
        self.lock().script.unknown.insert(id.to_owned(), times);
    }

    /// Forgets every plan and trouble, and counts moments from 0 again.
    pub fn calm(&self) {
        let mut shared = self.lock();
        shared.script = Script::default();
        shared.hook = None;
    }

    /// What a recovery point made of the source as it is now must hold.
    #[must_use]
    pub fn truth(&self) -> LogicalContent {
        self.lock().source.truth()
    }

    /// Counts edits; to be remembered for the questions below.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.lock().source.sequence
    }

    /// Items that were there, in the same place and unchanged, from `since` until now, by container and id.
    #[must_use]
    pub fn stable_since(&self, since: u64) -> LogicalContent {
        let shared = self.lock();
        let source = &shared.source;
        let calm = |container: &str| {
            source
                .container_changed
                .get(container)
                .is_none_or(|changed| *changed <= since)
        };
        let mut content = source.truth();
        content.items.retain(|(container, id), _| {
            let changed = source
                .history
                .get(id)
                .and_then(|states| states.last())
                .map_or(0, |(at, _)| *at);
            changed <= since && calm(container)
        });
        content.containers.retain(|(_, id), _| calm(id));
        content
    }

    /// Whether a container was not renamed, moved or removed from `since` until now.
    #[must_use]
    pub fn stood_still(&self, container: &str, since: u64) -> bool {
        self.lock()
            .source
            .container_changed
            .get(container)
            .is_none_or(|changed| *changed <= since)
    }

    /// Ids of the items that went away before `since`.
    #[must_use]
    pub fn removed_before(&self, since: u64) -> Vec<String> {
        let shared = self.lock();
        shared
            .source
            .removed
            .iter()
            .filter(|(_, at)| **at <= since)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Whether the item with this id ever was as `found` says: its content is never mixed from two states.
    #[must_use]
    pub fn ever_was(&self, id: &str, found: &crate::logical::LogicalItem) -> bool {
        let shared = self.lock();
        let states = shared
            .source
            .history
            .get(id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        states
            .iter()
            .rev()
            .any(|(_, item)| shared.source.logical_item(item) == *found)
    }

    /// What happened to an item, with the sequence numbers of the edits, for a person who looks into a failure.
    #[must_use]
    pub fn biography(&self, id: &str) -> String {
        let shared = self.lock();
        let mut lines = shared.source.biography(id);
        let said = shared.said.iter().filter(|(item, ..)| item == id);
        lines.extend(said.map(|(_, at, what)| (*at, what.clone())));
        lines.sort_by_key(|(at, _)| *at);
        lines.iter().map(|(at, line)| format!("{at} {line}; ")).collect()
    }

    /// What is in the source, for choosing edits.
    #[must_use]
    pub fn view(&self) -> View {
        self.lock().view()
    }

    /// Changes and fetches handed out since the script was last cleared.
    #[must_use]
    pub fn moments(&self) -> (u64, u64) {
        let shared = self.lock();
        (shared.script.changes, shared.script.fetches)
    }
}

impl Shared {
    fn view(&self) -> View {
        View {
            containers: self.source.containers.keys().cloned().collect(),
            items: self.source.items.keys().cloned().collect(),
        }
    }

    /// Keeps what was said about an item, for its biography.
    pub(super) fn say(&mut self, id: &str, what: String) {
        self.said.push((id.to_owned(), self.source.sequence, what));
    }

    pub(super) fn moment(&mut self, moment: Moment) {
        let mut edits = self.script.edits.remove(&moment).unwrap_or_default();
        if let Some(mut hook) = self.hook.take() {
            edits.extend(hook(moment, &self.view()));
            self.hook = Some(hook);
        }
        for edit in &edits {
            // What a planned edit names may be gone by then: nothing to do.
            let _ = self.source.apply(edit);
        }
    }

    pub(super) fn head(&self, item: &Item) -> ItemHead {
        let time =
            |seconds: u64| DateTime::from_timestamp(1_750_000_000 + i64::try_from(seconds).unwrap_or(0), 0);
        ItemHead {
            kind: ItemKind::Message,
            item: ItemRef {
                container: item.container.clone(),
                id: item.id.clone(),
            },
            name: item.name.clone(),
            change_key: self.source.change_key(item),
            size: Some(item.parts.values().map(crate::content::Content::size).sum()),
            created: time(0),
            modified: time(item.version),
            received: time(0),
            sent: time(0),
            item_type: Some("#scripted.message".to_owned()),
            properties: property_bag(&item.properties),
            raw: Some(Source::raw(item)),
        }
    }

    pub(super) fn container_head(&self, id: &str) -> Option<ItemHead> {
        let container = self.source.containers.get(id)?;
        let item = ItemRef {
            container: container.parent.clone(),
            id: id.to_owned(),
        };
        Some(ItemHead::new(ItemKind::Container, item, container.name.clone()))
    }
}

/// The bag that stands for these facts.
pub(super) fn property_bag(facts: &BTreeMap<String, String>) -> PropertyBag {
    let mut bag = PropertyBag::default();
    for (name, value) in facts {
        bag.insert(name.clone(), value.clone().into());
    }
    bag
}

#[async_trait]
impl Connector for ScriptedConnector {
    fn name(&self) -> &str {
        "scripted"
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        futures::stream::iter([Ok(self.object())]).boxed()
    }

    async fn find_object(&self, name: &str) -> Result<ObjectRecord> {
        let known = [Some(self.object.name.as_str()), self.object.address.as_deref()];
        if known.contains(&Some(name)) {
            Ok(self.object())
        } else {
            Err(Error::not_found("object", name))
        }
    }

    fn changes<'a>(
        &'a self,
        _object: &'a ObjectRecord,
        request: ChangesRequest,
        _reporter: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        let before = match &request.cursor {
            None => Positions::default(),
            Some(Cursor(bytes)) => match serde_json::from_slice(bytes) {
                Ok(positions) => positions,
                Err(error) => {
                    let error = Error::internal(format!("the engine gave back another cursor: {error}"));
                    return futures::stream::iter([Err(error)]).boxed();
                }
            },
        };
        let walk = Walk::new(self.clone(), before, request.retry);
        futures::stream::unfold(walk, |mut walk| async move {
            // Lets fetches run in between, as a service's answers would.
            tokio::task::yield_now().await;
            walk.next().map(|change| (change, walk))
        })
        .boxed()
    }

    async fn fetch(&self, _object: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        let id = &head.item.id;
        let mut shared = self.lock();
        let number = shared.script.fetches;
        shared.script.fetches += 1;
        shared.requests += 1;
        shared.moment(Moment::BeforeFetch(number));
        let mut limit = None;
        let met = shared.script.meet(id);
        let now = shared.source.items.get(id).map(|item| item.container.clone());
        shared.say(
            id,
            format!("FETCH from {}: {met:?} now in {now:?}", head.item.container),
        );
        match met {
            Some(FetchTrouble::Error(kind)) => return Err(scripted_error(kind, "the item cannot be read")),
            Some(FetchTrouble::Skipped) => {
                return Ok(Fetched::Skipped {
                    code: "scripted".to_owned(),
                    message: "the source will never give this item out".to_owned(),
                });
            }
            Some(FetchTrouble::Vanishes) => {
                let _ = shared.source.apply(&Edit::Remove { id: id.clone() });
            }
            Some(FetchTrouble::Breaks(bytes)) => {
                limit = Some((
                    bytes,
                    Ending::Error(scripted_error(ErrorKind::Unavailable, "the body broke")),
                ));
            }
            Some(FetchTrouble::Short(bytes)) => limit = Some((bytes, Ending::Short)),
            None => {}
        }
        let Some(item) = shared.source.items.get(id).cloned() else {
            return Ok(Fetched::Gone);
        };
        shared.bytes += item
            .parts
            .values()
            .map(crate::content::Content::size)
            .sum::<u64>();
        let parts = item.parts.iter().map(|(name, content)| PartContent {
            name: name.clone(),
            media_type: None,
            length: Some(content.size()),
            body: content.stream(limit.clone()),
        });
        Ok(Fetched::Content {
            head: Box::new(shared.head(&item)),
            parts: parts.collect(),
        })
    }

    async fn look_up(&self, _object: &ObjectRecord, items: &[ItemRef]) -> Result<Vec<Presence>> {
        let mut shared = self.lock();
        shared.requests += 1;
        let answer = |shared: &mut Shared, item: &ItemRef| {
            let now = shared
                .source
                .items
                .get(&item.id)
                .map(|item| item.container.clone());
            shared.say(&item.id, format!("LOOK UP {}: now in {now:?}", item.container));
            if Script::use_up(&mut shared.script.unknown, &item.id) {
                return Presence::Unknown(scripted_error(ErrorKind::Unavailable, "the look-up failed"));
            }
            match shared.source.items.get(&item.id) {
                Some(item) => Presence::Present(Box::new(shared.head(item))),
                None => Presence::Gone,
            }
        };
        Ok(items.iter().map(|item| answer(&mut shared, item)).collect())
    }

    fn fetch_concurrency(&self) -> usize {
        self.settings.fetch_concurrency
    }

    fn usage(&self) -> Usage {
        let shared = self.lock();
        Usage::new(shared.requests, 0, 0, shared.bytes, 0)
    }

    fn recovery(&self) -> Option<&dyn RecoveryTarget> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::scenario::{Stage, mailbox};

    async fn changes(connector: &ScriptedConnector, cursor: Option<Cursor>) -> Vec<Change> {
        let object = connector.object();
        let request = ChangesRequest {
            cursor,
            retry: Vec::new(),
        };
        connector
            .changes(&object, request, &Reporter::silent())
            .try_collect()
            .await
            .unwrap()
    }

    fn cursor(changes: &[Change]) -> Option<Cursor> {
        match changes.last() {
            Some(Change::Cursor(cursor)) => Some(cursor.clone()),
            _ => None,
        }
    }

    fn told(changes: &[Change]) -> Vec<String> {
        let line = |change: &Change| match change {
            Change::Item(head) => Some(format!("{}/{} {}", head.item.container, head.item.id, head.name)),
            Change::Vanished(item) => Some(format!("{}/{} vanished", item.container, item.id)),
            Change::RoundStarted {
                container,
                full: true,
            } => Some(format!("{container} full")),
            Change::Failed { path, .. } => Some(format!("{path} failed")),
            _ => None,
        };
        changes.iter().filter_map(line).collect()
    }

    #[tokio::test]
    async fn the_first_rounds_name_everything_and_later_ones_only_what_changed() {
        let connector = mailbox(Stage::First);
        let first = changes(&connector, None).await;
        assert_eq!(
            first
                .iter()
                .filter(|change| matches!(change, Change::Item(_)))
                .count(),
            13
        );
        assert!(told(&changes(&connector, cursor(&first)).await).is_empty());
        connector.edit(&Edit::Move {
            id: "m00".into(),
            to: "sent".into(),
        });
        connector.edit(&Edit::Remove { id: "m01".into() });
        connector.edit(&Edit::Touch { id: "large".into() });
        let second = told(&changes(&connector, cursor(&first)).await);
        let expected = [
            "inbox/m00 vanished",
            "inbox/large Item large",
            "sent/m00 Item m00",
            "projects/m01 vanished",
        ];
        assert_eq!(second, expected);
    }

    #[tokio::test]
    async fn a_lost_move_is_told_as_a_removal_of_an_item_that_is_there() {
        let connector = mailbox(Stage::First);
        let first = changes(&connector, None).await;
        connector.edit(&Edit::LostMove {
            id: "m00".into(),
            via: "sent".into(),
        });
        let second = told(&changes(&connector, cursor(&first)).await);
        assert_eq!(second, ["inbox/m00 vanished", "sent/m00 vanished"]);
        let item = ItemRef {
            container: "inbox".into(),
            id: "m00".into(),
        };
        let answers = connector.look_up(&connector.object(), &[item]).await.unwrap();
        assert!(matches!(&answers[0], Presence::Present(head) if head.item.container == "inbox"));
    }

    #[tokio::test]
    async fn a_forgotten_cursor_makes_the_next_round_a_full_one_once() {
        let connector = mailbox(Stage::First);
        let first = changes(&connector, None).await;
        connector.edit(&Edit::Expire {
            container: "sent".into(),
        });
        let second = changes(&connector, cursor(&first)).await;
        assert_eq!(told(&second).len(), 5, "one full round of four items");
        assert!(told(&changes(&connector, cursor(&second)).await).is_empty());
    }

    #[tokio::test]
    async fn a_broken_round_does_not_move_the_cursor() {
        let connector = mailbox(Stage::First);
        let first = changes(&connector, None).await;
        connector.edit(&Edit::Touch { id: "m00".into() });
        connector.edit(&Edit::Touch { id: "m03".into() });
        connector.break_round("inbox", 1);
        let second = changes(&connector, cursor(&first)).await;
        assert_eq!(told(&second), ["inbox/m00 Item m00", "inbox failed"]);
        let third = changes(&connector, cursor(&second)).await;
        assert_eq!(told(&third), ["inbox/m00 Item m00", "inbox/m03 Item m03"]);
    }

    #[tokio::test]
    async fn edits_happen_at_their_moment() {
        let connector = mailbox(Stage::First);
        connector.edit_at(Moment::BeforeChange(0), Edit::Remove { id: "m00".into() });
        connector.edit_at(Moment::BeforeFetch(0), Edit::Remove { id: "m01".into() });
        assert_eq!(told(&changes(&connector, None).await).len(), 12 + 4);
        let head = connector.lock().source.items["m01"].clone();
        let head = connector.lock().head(&head);
        assert!(matches!(
            connector.fetch(&connector.object(), &head).await,
            Ok(Fetched::Gone)
        ));
        assert_eq!(connector.truth().items.len(), 11);
    }
}
