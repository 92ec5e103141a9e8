//! Reading what a repository contains when it is opened: newest checkpoint, the commits behind it, the index.
//!
//! What is damaged and can be worked around is: an older checkpoint takes the place of a damaged one, pack directories
//! that of a damaged index segment, and behind a damaged commit the repository can still be read, though not written.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, StreamExt, stream};
use nakivo_repo_format::index::{IndexedPack, OpenedSegment};
use nakivo_repo_format::log::{CommitRecord, IndexRef};
use nakivo_repo_format::object::{HEADER_BYTES, ObjectHeader};
use nakivo_repo_format::pack::{FOOTER_BYTES, MAX_PACK_BYTES, PackFooter, open_directory};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Codec, CommitHash, IndexId, KeySet, PackId, paths};

use super::history::{self, Head};
use super::objects::{corrupt, format_error, without_path};
use super::shared::{Ranks, Shared, View};
use super::view::LogDamage;
use crate::error::{Error, ErrorKind, Result};

/// Commits, segments or directories read at once.
const PARALLEL_READS: usize = 8;
/// A segment of more chunks than this is large: opening it takes ten megabytes.
const LARGE_SEGMENT_CHUNKS: u64 = 100_000;
/// Large segments read at once.
const PARALLEL_LARGE_READS: usize = 2;
/// Largest index segment object that is read.
const MAX_INDEX_OBJECT_BYTES: u64 = 256 << 20;
/// Read from the end of a pack in the hope that it holds the whole directory.
const TAIL_BYTES: u64 = 64 << 10;

/// What opening found besides the state.
pub(crate) struct Loaded {
    state: RepositoryState,
    ranks: Ranks,
    log_damage: Vec<LogDamage>,
    notes: Vec<String>,
    /// Hashes of the commits that were read on the way.
    hashes: BTreeMap<u64, CommitHash>,
}

/// Chunks that room is made for before they are there: above this, a log that tells nonsense would take the machine's memory.
const MAX_RESERVED_CHUNKS: u64 = 1 << 28;

/// The chunks that index segments say they hold, as far as that can be: each takes 32 bytes of its segment at least.
fn told_chunks(segments: &[IndexRef]) -> u64 {
    let told = segments
        .iter()
        .map(|segment| segment.chunks.min(segment.size / 32));
    told.fold(0, u64::saturating_add).min(MAX_RESERVED_CHUNKS)
}

impl Shared {
    /// Reads the state and the index. `accept_history`: whatever is there becomes the history to go on from.
    pub(crate) async fn load(self: &Arc<Self>, accept_history: bool) -> Result<()> {
        let loaded = self.load_state().await?;
        for note in &loaded.notes {
            self.note(note.clone());
        }
        let head = Head {
            seq: loaded.state.seq(),
            hash: loaded.state.head(),
        };
        if accept_history {
            history::replace(&*self.env.state, &self.config.id, head).await?;
        } else {
            self.check_history(&loaded).await?;
        }
        let segments: Vec<IndexRef> = loaded.state.segments().values().copied().collect();
        let lost_commits = !loaded.log_damage.is_empty();
        self.set_view(View {
            state: loaded.state,
            ranks: loaded.ranks,
            log_damage: loaded.log_damage,
            last_removal: 0,
        });
        self.index_mut().reserve(told_chunks(&segments));
        self.load_segments(&segments).await?;
        if lost_commits {
            // The damaged commit may have announced packs that later points need.
            self.index_unknown_packs().await?;
        }
        {
            let view = self.view();
            let mut index = self.index_mut();
            for pack in view.state.tombstones().keys() {
                index.hide(pack);
            }
        }
        self.know_damage(&self.view().state);
        if !lost_commits {
            self.remember_head().await;
        }
        Ok(())
    }

    async fn load_state(self: &Arc<Self>) -> Result<Loaded> {
        let mut notes = Vec::new();
        let mut state = RepositoryState::default();
        let mut ranks = Ranks::default();
        let checkpoints = self.list_numbers(paths::CHECKPOINT, None).await?;
        let newest = checkpoints.last().copied().unwrap_or(0);
        for seq in checkpoints.into_iter().rev() {
            let opened = match self.read_checkpoint(seq).await {
                Ok(checkpoint) => {
                    let ranks = Ranks::of(&checkpoint.points);
                    RepositoryState::from_checkpoint(checkpoint)
                        .map(|state| (state, ranks))
                        .map_err(|error| corrupt(&paths::checkpoint(seq), &error.to_string()))
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok(opened) => {
                    (state, ranks) = opened;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    notes.push(format!("{error}; an older one is used"));
                }
                Err(error) => return Err(error),
            }
        }
        let mut loaded = Loaded {
            hashes: BTreeMap::new(),
            state,
            ranks,
            log_damage: Vec::new(),
            notes,
        };
        if loaded.state.seq() > 0 {
            loaded.hashes.insert(loaded.state.seq(), loaded.state.head());
        }
        self.replay(&mut loaded).await?;
        if loaded.state.seq() < newest && loaded.log_damage.is_empty() {
            // A checkpoint that cannot be read still shows that there were later commits than the log has now.
            let lost = paths::commit(loaded.state.seq() + 1);
            let what = format!("the object is missing, and {} exists", paths::checkpoint(newest));
            loaded.log_damage.push(LogDamage::new(lost, what));
        }
        Ok(loaded)
    }

    /// Applies the commits behind the state, each found by its name: a list that lags cannot hide one.
    async fn replay(self: &Arc<Self>, loaded: &mut Loaded) -> Result<()> {
        let first = loaded.state.seq() + 1;
        let mut commits = stream::iter(first..)
            .map(|seq| async move { (seq, self.read_commit(seq).await) })
            .buffered(PARALLEL_READS);
        while let Some((seq, commit)) = commits.next().await {
            match commit {
                Ok(Some((hash, record))) => match loaded.state.apply(hash, &record) {
                    Ok(()) => {
                        loaded.ranks.note(&record);
                        loaded.hashes.insert(seq, hash);
                    }
                    Err(error) => {
                        let what = format!("it does not fit its history: {error}");
                        return self.salvage(loaded, seq, what).await;
                    }
                },
                Ok(None) => {
                    // The end, unless a list shows more: then one in the middle is lost, and writing here would fork.
                    let later = self.list_numbers(paths::LOG, Some(&paths::commit(seq))).await?;
                    if later.is_empty() {
                        return Ok(());
                    }
                    let what = match self.read_commit(seq).await {
                        Ok(Some((hash, record))) => match loaded.state.apply(hash, &record) {
                            Ok(()) => {
                                loaded.ranks.note(&record);
                                loaded.hashes.insert(seq, hash);
                                drop(commits);
                                // It came while we looked: go on behind it.
                                return Box::pin(self.replay(loaded)).await;
                            }
                            Err(error) => error.to_string(),
                        },
                        Ok(None) => "the object is missing, and later commits exist".to_owned(),
                        Err(error) if error.kind() == ErrorKind::Corrupt => of_commit(seq, &error),
                        Err(error) => return Err(error),
                    };
                    return self.salvage(loaded, seq, what).await;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return self.salvage(loaded, seq, of_commit(seq, &error)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Commit `damaged` cannot be used: applies what can be read behind it, for reading only.
    async fn salvage(self: &Arc<Self>, loaded: &mut Loaded, damaged: u64, what: String) -> Result<()> {
        loaded
            .log_damage
            .push(LogDamage::new(paths::commit(damaged), what));
        let later = self
            .list_numbers(paths::LOG, Some(&paths::commit(damaged)))
            .await?;
        for seq in later {
            match self.read_commit(seq).await {
                Ok(Some((hash, record))) => match bridge(&loaded.state, hash, &record) {
                    Ok(state) => {
                        loaded.state = state;
                        loaded.ranks.note(&record);
                        loaded.hashes.insert(seq, hash);
                    }
                    Err(error) => {
                        let what = format!("left out: {error}");
                        loaded.log_damage.push(LogDamage::new(paths::commit(seq), what));
                    }
                },
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let what = of_commit(seq, &error);
                    loaded.log_damage.push(LogDamage::new(paths::commit(seq), what));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Compares with the newest commit seen before.
    async fn check_history(self: &Arc<Self>, loaded: &Loaded) -> Result<()> {
        // The key slot names the commit that began its epoch: who opens this for the first time knows that much.
        let since = self.keys().ring().since();
        if since > loaded.state.seq() && loaded.log_damage.is_empty() {
            return Err(history::behind_its_keys(since, loaded.state.seq()));
        }
        let Some(before) = history::recall(&*self.env.state, &self.config.id).await? else {
            return Ok(());
        };
        if before.seq == 0 {
            return Ok(());
        }
        if before.seq > loaded.state.seq() {
            if !loaded.log_damage.is_empty() {
                // Known to be damage: the commit is there and cannot be read.
                return Ok(());
            }
            return Err(history::rewound(
                before,
                &format!("the newest one now is {}", loaded.state.seq()),
            ));
        }
        let now = match loaded.hashes.get(&before.seq) {
            Some(hash) => Some(*hash),
            None => match self.read_commit(before.seq).await {
                Ok(found) => found.map(|(hash, _)| hash),
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                Err(error) => return Err(error),
            },
        };
        match now {
            Some(hash) if hash != before.hash => {
                Err(history::rewound(before, "another one has its number now"))
            }
            Some(_) => Ok(()),
            None => {
                self.note(format!(
                    "{}: it cannot be read to compare the history",
                    paths::commit(before.seq)
                ));
                Ok(())
            }
        }
    }

    /// The numbers in the names of a folder's objects, ascending.
    pub(crate) async fn list_numbers(&self, folder: &str, after: Option<&str>) -> Result<Vec<u64>> {
        let found = self.objects.list(folder, after).await?;
        let mut numbers: Vec<u64> = found
            .iter()
            .filter(|(path, _)| after.is_none_or(|after| path.as_str() > after))
            .filter_map(|(path, _)| paths::parse_seq(path.rsplit('/').next().unwrap_or_default()))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads segments into the index. Where one is damaged or missing, the directories of the packs it should list are read
    /// instead.
    pub(crate) async fn load_segments(self: &Arc<Self>, segments: &[IndexRef]) -> Result<()> {
        let mut loading = pin!(self.read_segments(segments));
        let mut damaged = false;
        while let Some((segment, opened)) = loading.next().await {
            let added = match opened {
                Ok(opened) => self.index_segment(segment.id, opened).await,
                Err(error) => Err(error),
            };
            match added {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.note(format!(
                        "{error}; the directories of {} packs are read instead",
                        segment.packs
                    ));
                    damaged = true;
                }
                Err(error) => return Err(error),
            }
        }
        if damaged {
            self.index_unknown_packs().await
        } else {
            Ok(())
        }
    }

    /// Reads and opens index segments, the large ones first; several at once, as memory allows.
    pub(crate) fn read_segments(
        self: &Arc<Self>,
        segments: &[IndexRef],
    ) -> impl Stream<Item = (IndexRef, Result<OpenedSegment>)> + Send + use<> {
        let (large, small): (Vec<IndexRef>, Vec<IndexRef>) = segments
            .iter()
            .copied()
            .partition(|segment| segment.chunks > LARGE_SEGMENT_CHUNKS);
        let shared = Arc::clone(self);
        let read = move |segment: IndexRef| {
            let shared = Arc::clone(&shared);
            async move { (segment, shared.read_segment(&segment).await) }
        };
        let small = stream::iter(small).map(read.clone()).buffered(PARALLEL_READS);
        stream::iter(large)
            .map(read)
            .buffered(PARALLEL_LARGE_READS)
            .chain(small)
    }

    /// Adds the packs of a segment to the index, one by one. Where the segment turns out to be damaged, those before stay:
    /// it does list them.
    async fn index_segment(self: &Arc<Self>, id: IndexId, segment: OpenedSegment) -> Result<()> {
        let shared = Arc::clone(self);
        let add = move || {
            let fail = |error| format_error(&paths::index(&id), error);
            for pack in segment.packs().map_err(fail)? {
                let pack = pack.map_err(fail)?;
                shared.index_mut().add(&pack)?;
            }
            Ok(())
        };
        self.env.computing.run(add).await
    }

    /// Reads and opens an index segment.
    pub(crate) async fn read_segment(self: &Arc<Self>, segment: &IndexRef) -> Result<OpenedSegment> {
        let id = segment.id;
        let path = paths::index(&id);
        let bytes = self
            .objects
            .get(&path, MAX_INDEX_OBJECT_BYTES)
            .await?
            .ok_or_else(|| corrupt(&path, "the object is missing"))?;
        let epoch = ObjectHeader::decode(&bytes).map(|header| header.epoch);
        let open = move |keys: &KeySet, codec: &mut Codec| OpenedSegment::open(keys, codec, &id, &bytes);
        let opened = self.open_in_its_epoch(&path, open).await?;
        if let Ok(epoch) = epoch {
            self.note_segment(id, epoch);
        }
        Ok(opened)
    }

    /// Adds every pack in the store that the index does not know, from its directory.
    pub(crate) async fn index_unknown_packs(self: &Arc<Self>) -> Result<()> {
        self.index_incomplete.store(true, Ordering::Release);
        let unknown: Vec<(PackId, u64)> = {
            let found = self.objects.list(paths::PACKS, None).await?;
            let index = self.index();
            found
                .into_iter()
                .filter_map(|(path, size)| Some((path.rsplit('/').next()?.parse::<PackId>().ok()?, size)))
                .filter(|(pack, _)| !index.contains_pack(pack))
                .collect()
        };
        let mut reading = stream::iter(unknown)
            .map(|(pack, size)| async move { (pack, self.read_directory(pack, size).await) })
            .buffered(PARALLEL_READS);
        while let Some((pack, result)) = reading.next().await {
            match result {
                Ok(indexed) => self.index_mut().add_unannounced(&indexed)?,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    self.note(format!(
                        "{}: its directory cannot be read: {error}",
                        paths::pack(&pack)
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads header and directory of a pack from the store.
    pub(crate) async fn read_directory(self: &Arc<Self>, pack: PackId, size: u64) -> Result<IndexedPack> {
        let path = paths::pack(&pack);
        if !((HEADER_BYTES + FOOTER_BYTES) as u64..=MAX_PACK_BYTES).contains(&size) {
            return Err(corrupt(&path, &format!("its size of {size} bytes is wrong")));
        }
        let missing = || corrupt(&path, "the object is missing");
        let head = self
            .objects
            .get_range(&path, 0..HEADER_BYTES as u64)
            .await?
            .ok_or_else(missing)?;
        let mut tail = self
            .objects
            .get_range(&path, size.saturating_sub(TAIL_BYTES)..size)
            .await?
            .ok_or_else(missing)?;
        let footer = PackFooter::decode(&tail).map_err(|error| format_error(&path, error))?;
        if footer.tail_length() > size {
            return Err(corrupt(&path, "its directory would be longer than the pack"));
        }
        if footer.tail_length() > tail.len() as u64 {
            tail = self
                .objects
                .get_range(&path, size - footer.tail_length()..size)
                .await?
                .ok_or_else(missing)?;
        }
        let shared = Arc::clone(self);
        self.env
            .computing
            .run(move || {
                let fail = |error| format_error(&path, error);
                let mut codec = shared.codecs.fresh().map_err(fail)?;
                let header = ObjectHeader::decode(&head).map_err(fail)?;
                let directory =
                    open_directory(&shared.keys(), &mut codec, &header, size, &tail).map_err(fail)?;
                Ok(IndexedPack {
                    id: pack,
                    size,
                    epoch: header.epoch,
                    blocks: directory.blocks,
                })
            })
            .await
    }
}

/// What an error says of commit `seq`.
fn of_commit(seq: u64, error: &Error) -> String {
    without_path(&paths::commit(seq), error.message()).to_owned()
}

/// The state after `record`, although commits before it are missing.
fn bridge(state: &RepositoryState, hash: CommitHash, record: &CommitRecord) -> Result<RepositoryState> {
    let misfit = |error: &dyn std::fmt::Display| Error::new(ErrorKind::Corrupt, error.to_string());
    let mut checkpoint = state.to_checkpoint(0);
    checkpoint.seq = record.seq - 1;
    checkpoint.commit_hash = record.previous;
    let mut bridged = RepositoryState::from_checkpoint(checkpoint).map_err(|error| misfit(&error))?;
    bridged.apply(hash, record).map_err(|error| misfit(&error))?;
    Ok(bridged)
}

#[cfg(test)]
mod tests {
    use nakivo_repo_format::ids::IndexId;

    use super::*;

    #[test]
    fn what_a_log_claims_is_bounded_by_what_can_be() {
        let segment = |size, chunks| IndexRef {
            id: IndexId::from_bytes([0; 32]),
            size,
            packs: 1,
            chunks,
        };
        assert_eq!(told_chunks(&[segment(4000, 100), segment(100, 2)]), 102);
        assert_eq!(told_chunks(&[segment(320, u64::MAX)]), 10);
        let hostile = [segment(u64::MAX, u64::MAX); 40];
        assert_eq!(told_chunks(&hostile), MAX_RESERVED_CHUNKS);
    }
}
