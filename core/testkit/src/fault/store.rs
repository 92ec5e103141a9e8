//! The wrapping store itself.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use nakivo_core::seams::Clock;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};

use super::log::{LogEntry, Operation, OperationKind};
use super::rule::{Failure, Fault, Rule, SeededFaults};
use crate::clock::TestClock;
use crate::random::SeededRng;

/// A listing may lag behind by so many puts at most.
const MAX_LAG: usize = 256;

type Hook = Arc<dyn Fn(&Operation) + Send + Sync>;

/// A store around another one that counts, logs and spoils operations. Clones share everything.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seeded: Option<(SeededFaults, SeededRng)>,
    hook: Option<Hook>,
    log: Vec<LogEntry>,
    counts: BTreeMap<OperationKind, u64>,
    /// The objects that were put last, in that order, for listings that lag.
    put_order: Vec<Path>,
    /// What an overwrite or delete replaced, for replays.
    older: BTreeMap<Path, (Bytes, ObjectMeta)>,
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("inner", &self.inner)
            .field("operations", &self.operations())
            .finish()
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

impl FaultStore {
    /// Wraps `inner`; delays pass on a clock of its own.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::with_clock(inner, Arc::new(TestClock::new()))
    }

    /// Wraps `inner`; delays pass on this clock.
    #[must_use]
    pub fn with_clock(inner: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            shared: Arc::new(Shared {
                state: Mutex::default(),
                clock,
            }),
        }
    }

    /// This store as the SDK takes it.
    #[must_use]
    pub fn handle(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.clone())
    }

    /// The store below, undisturbed and uncounted.
    #[must_use]
    pub fn inner(&self) -> Arc<dyn ObjectStore> {
        self.inner.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule. All rules that hit an operation apply to it, in the order they were added.
    pub fn inject(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Draws faults for every operation from now on.
    pub fn inject_seeded(&self, faults: SeededFaults, rng: SeededRng) {
        self.state().seeded = Some((faults, rng));
    }

    /// Takes all rules and the hook away; log and counts stay.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.seeded = None;
        state.hook = None;
    }

    /// Calls `hook` before every operation, for instance to kill the process before operation k.
    pub fn before_operations(&self, hook: impl Fn(&Operation) + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// Every operation so far, in order.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.clone()
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().log.len() as u64
    }

    /// How many operations of this kind there were.
    #[must_use]
    pub fn count(&self, kind: OperationKind) -> u64 {
        self.state().counts.get(&kind).copied().unwrap_or(0)
    }

    /// How many operations were disturbed.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state()
            .log
            .iter()
            .filter(|entry| !entry.faults.is_empty())
            .count() as u64
    }

    /// Starts counting and logging anew. Rules keep their own counts.
    pub fn forget(&self) {
        let mut state = self.state();
        state.log.clear();
        state.counts.clear();
    }

    /// Counts and logs one operation, runs the hook and the delays, and returns what else is to go wrong.
    async fn begin(&self, kind: OperationKind, path: &Path, length: Option<u64>) -> Begun {
        let (entry, faults, hook, operation) = {
            let mut state = self.state();
            let count = state.counts.entry(kind).or_default();
            let index_of_kind = *count;
            *count += 1;
            let index = state.log.len() as u64;
            let operation = Operation {
                index,
                index_of_kind,
                kind,
                path: path.clone(),
                length,
            };
            let mut faults: Vec<Fault> = state
                .rules
                .iter_mut()
                .filter_map(|rule| rule.consider(&operation))
                .collect();
            if let Some((seeded, rng)) = &state.seeded {
                faults.extend(seeded.draw(rng, &operation));
            }
            let described = faults.iter().map(|fault| format!("{fault:?}")).collect();
            state.log.push(LogEntry {
                operation: operation.clone(),
                faults: described,
                succeeded: None,
            });
            (state.log.len() - 1, faults, state.hook.clone(), operation)
        };
        // Outside the lock: a hook may look at this store.
        if let Some(hook) = hook {
            hook(&operation);
        }
        for fault in &faults {
            if let Fault::Delay(duration) = fault {
                self.shared.clock.sleep(*duration).await;
            }
        }
        Begun {
            entry,
            faults,
            path: path.clone(),
        }
    }

    fn end<T>(&self, begun: &Begun, result: Result<T>) -> Result<T> {
        let result = match (begun.fail_after(), result) {
            (Some(error), Ok(_)) => Err(error),
            (_, result) => result,
        };
        if let Some(entry) = self.state().log.get_mut(begun.entry) {
            entry.succeeded = Some(result.is_ok());
        }
        result
    }

    /// Remembers what is there before it is overwritten or deleted.
    async fn remember(&self, path: &Path) {
        if let Ok(result) = self.inner.get(path).await {
            let meta = result.meta.clone();
            if let Ok(bytes) = result.bytes().await {
                self.state().older.insert(path.clone(), (bytes, meta));
            }
        }
    }

    async fn put(&self, begun: &Begun, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        if let Some(error) = begun.fail() {
            return Err(error);
        }
        let mut payload = payload;
        for fault in &begun.faults {
            match fault {
                Fault::Drop => {
                    // A liar still knows what it has: a conditional put on an existing name is refused.
                    if opts.mode == PutMode::Create && self.inner.head(&begun.path).await.is_ok() {
                        return Err(Error::AlreadyExists {
                            path: begun.path.to_string(),
                            source: "exists".into(),
                        });
                    }
                    return Ok(PutResult {
                        e_tag: None,
                        version: None,
                        extensions: Default::default(),
                    });
                }
                Fault::Truncate(length) => payload = truncated(&Bytes::from(payload), *length).into(),
                Fault::FlipBit(bit) => payload = flipped(&Bytes::from(payload), *bit).into(),
                Fault::RefuseOverwrite if opts.mode != PutMode::Create => {
                    return Err(Failure::PermissionDenied.error(&begun.path));
                }
                Fault::IgnoreCondition => opts.mode = PutMode::Overwrite,
                _ => {}
            }
        }
        if opts.mode == PutMode::Overwrite {
            self.remember(&begun.path).await;
        }
        let result = self.inner.put_opts(&begun.path, payload, opts).await?;
        let mut state = self.state();
        state.put_order.retain(|path| *path != begun.path);
        state.put_order.push(begun.path.clone());
        let old = state.put_order.len().saturating_sub(MAX_LAG);
        state.put_order.drain(..old);
        Ok(result)
    }

    async fn get(&self, begun: &Begun, options: GetOptions) -> Result<GetResult> {
        if let Some(error) = begun.fail() {
            return Err(error);
        }
        let mut replaced: Option<(Bytes, ObjectMeta)> = None;
        let mut cut = None;
        for fault in &begun.faults {
            match fault {
                Fault::FlipBit(bit) => {
                    let (bytes, meta) = self.whole(&begun.path, replaced.take()).await?;
                    replaced = Some((flipped(&bytes, *bit), meta));
                }
                Fault::Truncate(length) => cut = Some(*length),
                Fault::Replay => {
                    let older = self.state().older.get(&begun.path).cloned();
                    replaced = older.or(replaced);
                }
                Fault::Foreign(other) => replaced = Some(self.whole(other, None).await?),
                _ => {}
            }
        }
        let result = match replaced {
            Some((bytes, meta)) => serve(bytes, meta, &options)?,
            None => self.inner.get_opts(&begun.path, options).await?,
        };
        let Some(length) = cut else { return Ok(result) };
        let (meta, range, attributes) = (
            result.meta.clone(),
            result.range.clone(),
            result.attributes.clone(),
        );
        let bytes = truncated(&result.bytes().await?, length);
        Ok(GetResult {
            payload: stream(bytes),
            meta,
            range,
            attributes,
            extensions: Default::default(),
        })
    }

    async fn whole(&self, path: &Path, replaced: Option<(Bytes, ObjectMeta)>) -> Result<(Bytes, ObjectMeta)> {
        if let Some(replaced) = replaced {
            return Ok(replaced);
        }
        let result = self.inner.get(path).await?;
        let meta = result.meta.clone();
        Ok((result.bytes().await?, meta))
    }

    fn spoil_list(
        &self,
        begun: &Begun,
        prefix: Option<&Path>,
        mut objects: Vec<ObjectMeta>,
    ) -> Vec<ObjectMeta> {
        for fault in &begun.faults {
            match fault {
                Fault::StaleList(newest) => {
                    let state = self.state();
                    let hidden = state.put_order.iter().rev().take(*newest).collect::<Vec<_>>();
                    objects.retain(|meta| !hidden.contains(&&meta.location));
                }
                Fault::DuplicateList => {
                    objects = objects
                        .into_iter()
                        .flat_map(|meta| [meta.clone(), meta])
                        .collect();
                }
                Fault::Replay => {
                    let state = self.state();
                    for (path, (_, meta)) in &state.older {
                        let inside = prefix.is_none_or(|prefix| path.prefix_matches(prefix));
                        if inside && !objects.iter().any(|meta| meta.location == *path) {
                            objects.push(meta.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        objects
    }
}

/// One operation under way.
struct Begun {
    entry: usize,
    faults: Vec<Fault>,
    path: Path,
}

impl Begun {
    fn fail(&self) -> Option<Error> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Fail(failure) => Some(failure.error(&self.path)),
            _ => None,
        })
    }

    fn fail_after(&self) -> Option<Error> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::FailAfter(failure) => Some(failure.error(&self.path)),
            _ => None,
        })
    }
}

fn truncated(bytes: &Bytes, length: u64) -> Bytes {
    bytes.slice(..usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len()))
}

fn flipped(bytes: &Bytes, bit: u64) -> Bytes {
    if bytes.is_empty() {
        return bytes.clone();
    }
    let mut changed = bytes.to_vec();
    let bit = bit % (changed.len() as u64 * 8);
    if let Some(byte) = usize::try_from(bit / 8)
        .ok()
        .and_then(|index| changed.get_mut(index))
    {
        *byte ^= 1 << (bit % 8);
    }
    changed.into()
}

fn stream(bytes: Bytes) -> GetResultPayload {
    GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed())
}

/// Answers a get from bytes at hand.
fn serve(bytes: Bytes, meta: ObjectMeta, options: &GetOptions) -> Result<GetResult> {
    let length = bytes.len() as u64;
    let range = match &options.range {
        Some(range) => range.as_range(length).map_err(|error| Error::Generic {
            store: "FaultStore",
            source: Box::new(error),
        })?,
        None => 0..length,
    };
    let meta = ObjectMeta { size: length, ..meta };
    let slice = |range: &Range<u64>| {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        bytes.slice(index(range.start)..index(range.end))
    };
    let payload = if options.head {
        stream(Bytes::new())
    } else {
        stream(slice(&range))
    };
    Ok(GetResult {
        payload,
        meta,
        range,
        attributes: Default::default(),
        extensions: Default::default(),
    })
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let begun = self
            .begin(
                OperationKind::Put,
                location,
                Some(payload.content_length() as u64),
            )
            .await;
        let result = self.put(&begun, payload, opts).await;
        self.end(&begun, result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.begin(OperationKind::Multipart, location, None).await;
        let result = match begun.fail() {
            Some(error) => Err(error),
            None => self.inner.put_multipart_opts(location, opts).await,
        };
        self.end(&begun, result)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let kind = if options.head {
            OperationKind::Head
        } else {
            OperationKind::Get
        };
        let begun = self.begin(kind, location, None).await;
        let result = self.get(&begun, options).await;
        self.end(&begun, result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let begun = store.begin(OperationKind::Delete, &location, None).await;
                    let result = match begun.fail() {
                        Some(error) => Err(error),
                        None => {
                            store.remember(&location).await;
                            store.inner.delete(&location).await
                        }
                    };
                    store.end(&begun, result.map(|()| location))
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let begun = store
                .begin(OperationKind::List, &prefix.clone().unwrap_or_default(), None)
                .await;
            let result = match begun.fail() {
                Some(error) => Err(error),
                None => store.inner.list(prefix.as_ref()).try_collect::<Vec<_>>().await,
            };
            let result = result.map(|objects| store.spoil_list(&begun, prefix.as_ref(), objects));
            store
                .end(&begun, result)
                .map(|objects| futures::stream::iter(objects.into_iter().map(Ok)))
        };
        futures::stream::once(listing).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let begun = self
            .begin(OperationKind::List, &prefix.cloned().unwrap_or_default(), None)
            .await;
        let result = match begun.fail() {
            Some(error) => Err(error),
            None => self.inner.list_with_delimiter(prefix).await,
        };
        let result = result.map(|mut listing| {
            listing.objects = self.spoil_list(&begun, prefix, listing.objects);
            listing
        });
        self.end(&begun, result)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let begun = self.begin(OperationKind::Copy, to, None).await;
        let result = match begun.fail() {
            Some(error) => Err(error),
            None => self.inner.copy_opts(from, to, options).await,
        };
        self.end(&begun, result)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let begun = self.begin(OperationKind::Copy, to, None).await;
        let result = match begun.fail() {
            Some(error) => Err(error),
            None => self.inner.rename_opts(from, to, options).await,
        };
        self.end(&begun, result)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::super::rule::{Failure, Matcher, When};
    use super::*;

    fn store() -> FaultStore {
        FaultStore::new(Arc::new(InMemory::new()))
    }

    async fn read(store: &FaultStore, path: &str) -> Result<Bytes> {
        ObjectStoreExt::get(store, &Path::from(path)).await?.bytes().await
    }

    async fn write(store: &FaultStore, path: &str, bytes: &'static [u8]) -> Result<PutResult> {
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        store
            .put_opts(&Path::from(path), PutPayload::from_static(bytes), options)
            .await
    }

    #[tokio::test]
    async fn the_nth_put_fails_before_or_after_it_happened() {
        let store = store();
        let put = || Matcher::kind(OperationKind::Put);
        store.inject(Rule::new(put(), When::Nth(1), Fault::Fail(Failure::Unavailable)));
        store.inject(Rule::new(put(), When::Nth(2), Fault::FailAfter(Failure::Timeout)));
        write(&store, "a", b"1").await.unwrap();
        write(&store, "b", b"2").await.unwrap_err();
        write(&store, "c", b"3").await.unwrap_err();
        assert!(matches!(read(&store, "b").await, Err(Error::NotFound { .. })));
        assert_eq!(read(&store, "c").await.unwrap(), "3");
        assert_eq!(
            (
                store.count(OperationKind::Put),
                store.faults(),
                store.operations()
            ),
            (3, 2, 5)
        );
        assert_eq!(store.log()[2].succeeded, Some(false));
    }

    #[tokio::test]
    async fn a_lying_put_stores_nothing_or_too_little() {
        let store = store();
        store.inject(Rule::new(
            Matcher::any().path("dropped"),
            When::Always,
            Fault::Drop,
        ));
        store.inject(Rule::new(
            Matcher::any().path("short"),
            When::Nth(0),
            Fault::Truncate(2),
        ));
        write(&store, "dropped", b"1234").await.unwrap();
        write(&store, "short", b"1234").await.unwrap();
        assert!(read(&store, "dropped").await.is_err());
        assert_eq!(read(&store, "short").await.unwrap(), "12");
    }

    #[tokio::test]
    async fn reads_are_flipped_truncated_replayed_or_foreign() {
        let store = store();
        write(&store, "a", b"\0\0").await.unwrap();
        write(&store, "b", b"other").await.unwrap();
        let get = |fault| Rule::new(Matcher::kind(OperationKind::Get), When::Always, fault);
        store.inject(get(Fault::FlipBit(9)));
        assert_eq!(read(&store, "a").await.unwrap(), &b"\0\x02"[..]);
        let ranged = store.get_range(&Path::from("a"), 1..2).await.unwrap();
        assert_eq!(ranged, &b"\x02"[..]);
        store.heal();
        store.inject(get(Fault::Truncate(1)));
        assert_eq!(read(&store, "a").await.unwrap(), &b"\0"[..]);
        store.heal();
        store.inject(get(Fault::Foreign(Path::from("b"))));
        assert_eq!(read(&store, "a").await.unwrap(), "other");
        store.heal();
        ObjectStoreExt::put(&store, &Path::from("a"), "new".into())
            .await
            .unwrap();
        store.inject(get(Fault::Replay));
        assert_eq!(read(&store, "a").await.unwrap(), &b"\0\0"[..]);
    }

    #[tokio::test]
    async fn listings_lag_and_repeat() {
        let store = store();
        write(&store, "a", b"1").await.unwrap();
        write(&store, "b", b"1").await.unwrap();
        let list = |fault| Rule::new(Matcher::kind(OperationKind::List), When::Nth(0), fault);
        let names = || async {
            let objects: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
            objects
                .into_iter()
                .map(|meta| meta.location.to_string())
                .collect::<Vec<_>>()
        };
        store.inject(list(Fault::StaleList(1)));
        assert_eq!(names().await, ["a"]);
        store.inject(list(Fault::DuplicateList));
        assert_eq!(names().await, ["a", "a", "b", "b"]);
        ObjectStoreExt::delete(&store, &Path::from("a")).await.unwrap();
        assert_eq!(names().await, ["b"]);
        store.heal();
        store.inject(list(Fault::Replay));
        assert_eq!(names().await, ["b", "a"]);
    }

    #[tokio::test]
    async fn delays_pass_on_the_injected_clock() {
        let clock = TestClock::new();
        let store = FaultStore::with_clock(Arc::new(InMemory::new()), Arc::new(clock.clone()));
        store.inject(Rule::new(
            Matcher::any(),
            When::Always,
            Fault::Delay(std::time::Duration::from_secs(9)),
        ));
        write(&store, "a", b"1").await.unwrap();
        assert_eq!(clock.slept(), std::time::Duration::from_secs(9));
    }
}
