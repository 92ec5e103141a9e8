//! What the log means: the state of a repository after a commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{CommitHash, IndexId, PackId, PointId, RunId};
use crate::log::{
    Checkpoint, CommitRecord, DamagedPack, IndexRef, Operation, PointDamage, RemovedPoint, TombstonedPack,
};
use crate::manifest::{Manifest, RunProgress};

/// Why a commit does not follow a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The commit has another number than the next.
    #[error("commit {found} does not follow: {expected} is next")]
    WrongSequence {
        /// The next number.
        expected: u64,
        /// The commit's number.
        found: u64,
    },
    /// The commit names another predecessor: history was hidden, replaced or forked.
    #[error("commit {seq} does not continue this history")]
    BrokenChain {
        /// The commit's number.
        seq: u64,
    },
    /// An operation does not fit the state: somebody else changed what it relies on.
    #[error("commit {seq} conflicts with the state: {what} {id}")]
    Conflict {
        /// The commit's number.
        seq: u64,
        /// What is wrong with the thing `id`.
        what: &'static str,
        /// The thing.
        id: String,
    },
    /// A checkpoint contradicts itself.
    #[error("checkpoint {seq} is inconsistent: {detail}")]
    BadCheckpoint {
        /// The checkpoint's number.
        seq: u64,
        /// What is wrong.
        detail: &'static str,
    },
}

/// The state of a repository after some commit. Cheap enough to clone: manifests are shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryState {
    seq: u64,
    head: Head,
    points: BTreeMap<PointId, Arc<Manifest>>,
    /// Grows for ever, and few commits add to it: shared, so that a state is cloned without it.
    removed: Arc<BTreeMap<PointId, u64>>,
    segments: BTreeMap<IndexId, IndexRef>,
    progress: BTreeMap<RunId, Arc<RunProgress>>,
    tombstones: BTreeMap<PackId, u64>,
    damaged_packs: BTreeMap<PackId, Arc<DamagedPack>>,
    damaged_points: BTreeMap<PointId, Arc<PointDamage>>,
    boundary: u64,
    locked_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head(CommitHash);

impl Default for Head {
    fn default() -> Self {
        Self(CommitHash::NONE)
    }
}

impl RepositoryState {
    /// The state before the first commit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of the last commit; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Hash of the last commit.
    #[must_use]
    pub fn head(&self) -> CommitHash {
        self.head.0
    }

    /// The recovery points by id.
    #[must_use]
    pub fn points(&self) -> &BTreeMap<PointId, Arc<Manifest>> {
        &self.points
    }

    /// One recovery point.
    #[must_use]
    pub fn point(&self, id: &PointId) -> Option<&Arc<Manifest>> {
        self.points.get(id)
    }

    /// Removed points, and the commit that removed each.
    #[must_use]
    pub fn removed_points(&self) -> &BTreeMap<PointId, u64> {
        &self.removed
    }

    /// The index segments that count.
    #[must_use]
    pub fn segments(&self) -> &BTreeMap<IndexId, IndexRef> {
        &self.segments
    }

    /// Progress of unfinished runs.
    #[must_use]
    pub fn progress(&self) -> &BTreeMap<RunId, Arc<RunProgress>> {
        &self.progress
    }

    /// Packs that will be removed, and the commit that announced each.
    #[must_use]
    pub fn tombstones(&self) -> &BTreeMap<PackId, u64> {
        &self.tombstones
    }

    /// Packs known to be damaged.
    #[must_use]
    pub fn damaged_packs(&self) -> &BTreeMap<PackId, Arc<DamagedPack>> {
        &self.damaged_packs
    }

    /// Points known to be damaged.
    #[must_use]
    pub fn damaged_points(&self) -> &BTreeMap<PointId, Arc<PointDamage>> {
        &self.damaged_points
    }

    /// Commits up to this number may be gone from the store.
    #[must_use]
    pub fn boundary(&self) -> u64 {
        self.boundary
    }

    /// Until when the store's locks hold on everything that this state needs, at least, as the last commit says.
    #[must_use]
    pub fn locked_ms(&self) -> Option<i64> {
        self.locked_ms
    }

    /// Whether `commit` could be applied. Writers ask before they put.
    ///
    /// # Errors
    /// As [`RepositoryState::apply`], except that the commit's own hash plays no part.
    pub fn check(&self, commit: &CommitRecord) -> Result<(), StateError> {
        if commit.seq != self.seq + 1 {
            return Err(StateError::WrongSequence {
                expected: self.seq + 1,
                found: commit.seq,
            });
        }
        if commit.previous != self.head.0 {
            return Err(StateError::BrokenChain { seq: commit.seq });
        }
        self.after(commit).map(drop)
    }

    /// Applies a commit whose object has the hash `hash`. All or nothing.
    ///
    /// # Errors
    /// `WrongSequence`, `BrokenChain`, `Conflict`; the state is then unchanged.
    pub fn apply(&mut self, hash: CommitHash, commit: &CommitRecord) -> Result<(), StateError> {
        if commit.seq != self.seq + 1 {
            return Err(StateError::WrongSequence {
                expected: self.seq + 1,
                found: commit.seq,
            });
        }
        if commit.previous != self.head.0 {
            return Err(StateError::BrokenChain { seq: commit.seq });
        }
        let changes = self.after(commit)?;
        merge(&mut self.points, changes.points);
        merge(&mut self.segments, changes.segments);
        merge(&mut self.progress, changes.progress);
        merge(&mut self.tombstones, changes.tombstones);
        merge(&mut self.damaged_packs, changes.damaged_packs);
        merge(&mut self.damaged_points, changes.damaged_points);
        if !changes.removed.is_empty() {
            let removed = changes.removed.into_iter().map(|id| (id, commit.seq));
            Arc::make_mut(&mut self.removed).extend(removed);
        }
        self.locked_ms = commit.locked_ms;
        self.seq = commit.seq;
        self.head = Head(hash);
        Ok(())
    }

    /// What `commit` changes.
    fn after(&self, commit: &CommitRecord) -> Result<Changes, StateError> {
        let mut overlay = Overlay {
            base: self,
            seq: commit.seq,
            changes: Changes::default(),
        };
        for operation in &commit.operations {
            overlay.operation(operation)?;
        }
        Ok(overlay.changes)
    }

    /// The state as a checkpoint. `boundary` is the highest commit number that may be gone from the store.
    #[must_use]
    pub fn to_checkpoint(&self, boundary: u64) -> Checkpoint {
        Checkpoint {
            seq: self.seq,
            commit_hash: self.head.0,
            points: self.points.values().map(|m| Manifest::clone(m)).collect(),
            removed_points: self
                .removed
                .iter()
                .map(|(id, seq)| RemovedPoint { id: *id, seq: *seq })
                .collect(),
            segments: self.segments.values().copied().collect(),
            progress: self.progress.values().map(|p| RunProgress::clone(p)).collect(),
            tombstones: self
                .tombstones
                .iter()
                .map(|(pack, seq)| TombstonedPack {
                    pack: *pack,
                    seq: *seq,
                })
                .collect(),
            boundary: boundary.max(self.boundary),
            damaged_packs: listed(&self.damaged_packs),
            damaged_points: listed(&self.damaged_points),
            locked_ms: self.locked_ms,
        }
    }

    /// The state a checkpoint describes.
    ///
    /// # Errors
    /// `BadCheckpoint` when something is in it twice, or its boundary is above its number.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self, StateError> {
        let bad = |detail| StateError::BadCheckpoint {
            seq: checkpoint.seq,
            detail,
        };
        if checkpoint.boundary > checkpoint.seq {
            return Err(bad("its boundary is above its number"));
        }
        let mut state = Self {
            seq: checkpoint.seq,
            head: Head(checkpoint.commit_hash),
            boundary: checkpoint.boundary,
            locked_ms: checkpoint.locked_ms,
            ..Self::default()
        };
        for manifest in checkpoint.points {
            if state.points.insert(manifest.id, Arc::new(manifest)).is_some() {
                return Err(bad("a recovery point twice"));
            }
        }
        let removed = Arc::make_mut(&mut state.removed);
        for point in checkpoint.removed_points {
            if state.points.contains_key(&point.id) || removed.insert(point.id, point.seq).is_some() {
                return Err(bad("a removed recovery point twice"));
            }
        }
        for segment in checkpoint.segments {
            if state.segments.insert(segment.id, segment).is_some() {
                return Err(bad("an index segment twice"));
            }
        }
        for progress in checkpoint.progress {
            if state.progress.insert(progress.run, Arc::new(progress)).is_some() {
                return Err(bad("a run twice"));
            }
        }
        for tombstone in checkpoint.tombstones {
            if state.tombstones.insert(tombstone.pack, tombstone.seq).is_some() {
                return Err(bad("a tombstone twice"));
            }
        }
        for damage in checkpoint.damaged_packs.into_iter().flatten() {
            if state
                .damaged_packs
                .insert(damage.pack, Arc::new(damage))
                .is_some()
            {
                return Err(bad("a damaged pack twice"));
            }
        }
        for damage in checkpoint.damaged_points.into_iter().flatten() {
            if !state.points.contains_key(&damage.point) {
                return Err(bad("damage of a recovery point that does not exist"));
            }
            if state
                .damaged_points
                .insert(damage.point, Arc::new(damage))
                .is_some()
            {
                return Err(bad("a damaged recovery point twice"));
            }
        }
        Ok(state)
    }
}

/// What a commit changes; `None` means gone.
#[derive(Default)]
struct Changes {
    points: BTreeMap<PointId, Option<Arc<Manifest>>>,
    removed: BTreeSet<PointId>,
    segments: BTreeMap<IndexId, Option<IndexRef>>,
    progress: BTreeMap<RunId, Option<Arc<RunProgress>>>,
    tombstones: BTreeMap<PackId, Option<u64>>,
    damaged_packs: BTreeMap<PackId, Option<Arc<DamagedPack>>>,
    damaged_points: BTreeMap<PointId, Option<Arc<PointDamage>>>,
}

/// The values, in the order of their keys; `None` for none.
fn listed<K, V: Clone>(known: &BTreeMap<K, Arc<V>>) -> Option<Vec<V>> {
    (!known.is_empty()).then(|| known.values().map(|value| V::clone(value)).collect())
}

fn merge<K: Ord, V>(base: &mut BTreeMap<K, V>, changes: BTreeMap<K, Option<V>>) {
    for (key, change) in changes {
        match change {
            Some(value) => base.insert(key, value),
            None => base.remove(&key),
        };
    }
}

/// Changes on top of a state. Keeps a commit all-or-nothing without copying the state.
struct Overlay<'a> {
    base: &'a RepositoryState,
    seq: u64,
    changes: Changes,
}

/// A value seen through changes.
fn look<'a, K: Ord, V>(
    changes: &'a BTreeMap<K, Option<V>>,
    base: &'a BTreeMap<K, V>,
    key: &K,
) -> Option<&'a V> {
    match changes.get(key) {
        Some(changed) => changed.as_ref(),
        None => base.get(key),
    }
}

impl Overlay<'_> {
    fn conflict(&self, what: &'static str, id: &impl ToString) -> StateError {
        StateError::Conflict {
            seq: self.seq,
            what,
            id: id.to_string(),
        }
    }

    fn operation(&mut self, operation: &Operation) -> Result<(), StateError> {
        match operation {
            Operation::AddIndex { segments } => self.add_segments(segments),
            Operation::AddPoint { manifest } => self.add_point(manifest),
            Operation::Progress { progress } => {
                self.changes
                    .progress
                    .insert(progress.run, Some(Arc::new(RunProgress::clone(progress))));
                Ok(())
            }
            Operation::RemovePoints { points, .. } => {
                for id in points {
                    if look(&self.changes.points, &self.base.points, id).is_none() {
                        return Err(self.conflict("no such recovery point", id));
                    }
                    self.changes.points.insert(*id, None);
                    self.changes.damaged_points.insert(*id, None);
                    self.changes.removed.insert(*id);
                }
                Ok(())
            }
            Operation::EditPoint {
                point,
                protection,
                description,
            } => {
                let Some(manifest) = look(&self.changes.points, &self.base.points, point) else {
                    return Err(self.conflict("no such recovery point", point));
                };
                let mut manifest = Manifest::clone(manifest);
                manifest.protection = *protection;
                manifest.description.clone_from(description);
                self.changes.points.insert(*point, Some(Arc::new(manifest)));
                Ok(())
            }
            Operation::DropProgress { run } => {
                if look(&self.changes.progress, &self.base.progress, run).is_none() {
                    return Err(self.conflict("no progress of run", run));
                }
                self.changes.progress.insert(*run, None);
                Ok(())
            }
            Operation::ReplaceIndex { add, remove } => {
                let mut seen = BTreeSet::new();
                for id in remove {
                    if !seen.insert(id) || look(&self.changes.segments, &self.base.segments, id).is_none() {
                        return Err(self.conflict("no such index segment", id));
                    }
                    self.changes.segments.insert(*id, None);
                }
                self.add_segments(add)
            }
            Operation::Tombstone { packs } => {
                for pack in packs {
                    if look(&self.changes.tombstones, &self.base.tombstones, pack).is_some() {
                        return Err(self.conflict("already tombstoned: pack", pack));
                    }
                    self.changes.tombstones.insert(*pack, Some(self.seq));
                }
                Ok(())
            }
            Operation::RemovedPacks { packs } => {
                for pack in packs {
                    self.changes.damaged_packs.insert(*pack, None);
                }
                self.untomb(packs)
            }
            Operation::Revive { packs } => self.untomb(packs),
            Operation::Damage {
                packs,
                sound,
                points,
                whole,
            } => self.damage(packs, sound, points, whole),
        }
    }

    fn untomb(&mut self, packs: &[PackId]) -> Result<(), StateError> {
        for pack in packs {
            if look(&self.changes.tombstones, &self.base.tombstones, pack).is_none() {
                return Err(self.conflict("not tombstoned: pack", pack));
            }
            self.changes.tombstones.insert(*pack, None);
        }
        Ok(())
    }

    fn damage(
        &mut self,
        packs: &[DamagedPack],
        sound: &[PackId],
        points: &[PointDamage],
        whole: &[PointId],
    ) -> Result<(), StateError> {
        for pack in sound {
            self.changes.damaged_packs.insert(*pack, None);
        }
        for damage in packs {
            let known = Some(Arc::new(damage.clone()));
            self.changes.damaged_packs.insert(damage.pack, known);
        }
        for point in whole {
            self.changes.damaged_points.insert(*point, None);
        }
        for damage in points {
            if look(&self.changes.points, &self.base.points, &damage.point).is_none() {
                return Err(self.conflict("no such recovery point", &damage.point));
            }
            let known = Some(Arc::new(damage.clone()));
            self.changes.damaged_points.insert(damage.point, known);
        }
        Ok(())
    }

    fn add_segments(&mut self, segments: &[IndexRef]) -> Result<(), StateError> {
        for segment in segments {
            if look(&self.changes.segments, &self.base.segments, &segment.id).is_some() {
                return Err(self.conflict("already there: index segment", &segment.id));
            }
            self.changes.segments.insert(segment.id, Some(*segment));
        }
        Ok(())
    }

    fn add_point(&mut self, manifest: &Manifest) -> Result<(), StateError> {
        let id = &manifest.id;
        // A name once used is never free again, not even within this commit.
        if self.base.points.contains_key(id)
            || self.base.removed.contains_key(id)
            || self.changes.points.contains_key(id)
        {
            return Err(self.conflict("already used: recovery point", id));
        }
        self.changes.points.insert(*id, Some(Arc::new(manifest.clone())));
        if look(&self.changes.progress, &self.base.progress, &manifest.run).is_some() {
            self.changes.progress.insert(manifest.run, None);
        }
        Ok(())
    }
}
