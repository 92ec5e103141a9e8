//! What a verification found, as the commit log keeps it: damaged blocks, and what points lost.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use nakivo_repo_format::log::{DamagedPack, Operation, PointDamage};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{ItemKey, PackId, PointId};

use crate::error::Result;
use crate::repository::shared::{Shared, View};

/// Damaged items named in the log for one point; more, and the next run builds on another point.
const MAX_NAMED_ITEMS: usize = 4096;
/// Bytes of their keys.
const MAX_NAMED_BYTES: usize = 1 << 20;

/// What one point lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Entries that cannot be read.
    pub(crate) count: u64,
    /// Those that are single items, up to a limit.
    pub(crate) items: BTreeSet<Vec<u8>>,
    /// The first cause.
    pub(crate) what: String,
}

impl Lost {
    pub(super) fn add(&mut self, count: u64, item: Option<ItemKey>, what: &str) {
        if self.count == 0 {
            what.clone_into(&mut self.what);
        }
        match item {
            Some(key) if self.items.len() <= MAX_NAMED_ITEMS => {
                // One item may miss several parts.
                if self.items.insert(key.to_bytes()) {
                    self.count += count;
                }
            }
            _ => self.count += count,
        }
    }

    fn fits(&self) -> bool {
        let bytes: usize = self.items.iter().map(Vec::len).sum();
        self.items.len() <= MAX_NAMED_ITEMS && bytes <= MAX_NAMED_BYTES
    }
}

/// What a verification knows at its end.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What the log knew before anything was looked at. What it has learned since is newer than this and stays.
    pub(crate) before: Option<Arc<View>>,
    /// Blocks that cannot be read, by pack and place; no places: all of them.
    pub(crate) bad: BTreeMap<PackId, BTreeSet<u32>>,
    /// Packs that the log calls damaged and of which every block was looked at.
    pub(crate) read: HashSet<PackId>,
    /// Packs that are not as they were stored, whether or not their blocks can be read.
    pub(crate) changed: BTreeSet<PackId>,
    /// Points that lost something.
    pub(crate) points: BTreeMap<PointId, Lost>,
    /// Points of which everything was read.
    pub(crate) whole: BTreeSet<PointId>,
}

impl Known {
    /// The operation that brings the log up to what is known, if it is not.
    fn operation(&self, shared: &Shared, state: &RepositoryState, now_ms: i64) -> Option<Operation> {
        let view = shared.view();
        let packs: Vec<DamagedPack> = self
            .bad
            .iter()
            .filter(|(pack, _)| shared.index().shows_pack(pack))
            .map(|(pack, blocks)| DamagedPack {
                pack: *pack,
                blocks: blocks.iter().copied().collect(),
            })
            .filter(|damage| state.damaged_packs().get(&damage.pack).map(|known| &**known) != Some(damage))
            .collect();
        let sound = state
            .damaged_packs()
            .iter()
            .filter(|(pack, damage)| {
                let same = |before: &RepositoryState| before.damaged_packs().get(*pack) == Some(damage);
                self.read.contains(*pack) && !self.bad.contains_key(*pack) && self.was(same)
            })
            .map(|(pack, _)| *pack)
            .collect::<Vec<_>>();
        let points: Vec<PointDamage> = self
            .points
            .iter()
            .filter(|(point, _)| state.point(point).is_some())
            .map(|(point, lost)| point_damage(&view, *point, lost, now_ms))
            .filter(|damage| {
                let known = state.damaged_points().get(&damage.point);
                known.is_none_or(|known| (known.lost, &known.items) != (damage.lost, &damage.items))
            })
            .collect();
        let whole = state
            .damaged_points()
            .iter()
            .filter(|(point, damage)| {
                let same = |before: &RepositoryState| before.damaged_points().get(*point) == Some(damage);
                self.whole.contains(*point) && self.was(same)
            })
            .map(|(point, _)| *point)
            .collect::<Vec<_>>();
        let news = !packs.is_empty() || !sound.is_empty() || !points.is_empty() || !whole.is_empty();
        news.then_some(Operation::Damage {
            packs,
            sound,
            points,
            whole,
        })
    }

    fn was(&self, same: impl Fn(&RepositoryState) -> bool) -> bool {
        self.before.as_ref().is_some_and(|before| same(&before.state))
    }

    /// Tells the index what is known, for this handle alone.
    pub(crate) fn tell(&self, shared: &Shared) {
        let bad: Vec<(PackId, Vec<u32>)> = self
            .bad
            .iter()
            .map(|(pack, blocks)| (*pack, blocks.iter().copied().collect()))
            .collect();
        shared
            .index_mut()
            .set_damaged(bad.iter().map(|(pack, blocks)| (*pack, blocks.as_slice())));
    }

    /// Brings the log up to what is known. Returns the number of the commit, if one was needed.
    pub(crate) async fn record(&self, shared: &Arc<Shared>) -> Result<Option<u64>> {
        let now_ms = shared.env.clock.now().timestamp_millis();
        shared
            .commit_if_any(|state| Ok(self.operation(shared, state, now_ms).into_iter().collect()))
            .await
    }
}

/// Items are named for the newest point of an object only: the next run builds on that one.
fn point_damage(view: &View, point: PointId, lost: &Lost, now_ms: i64) -> PointDamage {
    let named = view.is_newest(&point) && lost.fits();
    PointDamage {
        point,
        lost: lost.count,
        items: if named {
            let keys = lost.items.iter();
            keys.filter_map(|key| ItemKey::from_bytes(key).ok()).collect()
        } else {
            Vec::new()
        },
        what: lost.what.clone(),
        found_ms: now_ms,
    }
}
