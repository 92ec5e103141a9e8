//! How far a verification came, kept in the state outside the repository so that a later call goes on from there.
//!
//! Losing it loses time and nothing else. What it says of data counts for the verification that it belongs to: packs and
//! points are not read twice.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nakivo_repo_format::{ItemKey, ObjectId, PackId, PointId, RepositoryId};
use serde::{Deserialize, Serialize};

use super::record::{Known, Lost};
use super::{Damage, VerifyOptions, VerifyReport};
use crate::error::Result;
use crate::repository::shared::Shared;

/// What of the options must be the same for one verification to go on with another's work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    object: Option<ObjectId>,
    point: Option<PointId>,
    percent: u8,
    hashes: bool,
}

impl Scope {
    pub(super) fn of(options: &VerifyOptions) -> Self {
        Self {
            object: options.object.clone(),
            point: options.point,
            percent: options.sample_percent.unwrap_or(100),
            hashes: !options.skip_content_hashes,
        }
    }
}

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) scope: Scope,
    pub(super) seed: u64,
    /// Packs are read in the order of their names; all up to this one were.
    pub(super) last_pack: Option<PackId>,
    pub(super) points: BTreeSet<PointId>,
    /// A point that was begun, and the key up to which it was looked at.
    pub(super) within: Option<(PointId, Vec<u8>)>,
    figures: [u64; 6],
    damage: Vec<Damage>,
    bad: BTreeMap<PackId, BTreeSet<u32>>,
    read: BTreeSet<PackId>,
    lost: Vec<SavedLoss>,
    whole: BTreeSet<PointId>,
    changed: BTreeSet<PackId>,
}

/// The key of an item: its container, whether it is a container itself, its id.
type SavedKey = (String, bool, String);
/// A point, how many entries it lost, those that are single items, the first cause.
type SavedLoss = (PointId, u64, Vec<SavedKey>, String);

fn key(repository: &RepositoryId) -> String {
    format!("verify/{repository}")
}

impl Saved {
    pub(super) fn new(scope: Scope, seed: u64) -> Self {
        Self {
            scope,
            seed,
            last_pack: None,
            points: BTreeSet::new(),
            within: None,
            figures: [0; 6],
            damage: Vec::new(),
            bad: BTreeMap::new(),
            read: BTreeSet::new(),
            lost: Vec::new(),
            whole: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }

    /// What an earlier verification of this scope left. What cannot be read is as good as nothing.
    pub(super) async fn load(shared: &Shared, scope: &Scope) -> Option<Self> {
        let bytes = shared.env.state.get(&key(&shared.config.id)).await.ok()??;
        let saved: Self = serde_json::from_slice(&bytes).ok()?;
        (saved.scope == *scope).then_some(saved)
    }

    pub(super) async fn store(&self, shared: &Shared) -> Result<()> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| crate::Error::internal(format!("verification: {error}")))?;
        shared
            .env
            .state
            .put(&key(&shared.config.id), Bytes::from(bytes))
            .await
    }

    pub(super) async fn forget(shared: &Shared) {
        if let Err(error) = shared.env.state.delete(&key(&shared.config.id)).await {
            tracing::warn!(%error, "the progress of a finished verification could not be removed");
        }
    }

    /// Takes over what was found so far.
    pub(super) fn note(&mut self, report: &VerifyReport, damage: Vec<Damage>, known: &Known) {
        self.figures = [
            report.packs,
            report.chunks,
            report.bytes,
            report.points,
            report.items,
            report.content_bytes,
        ];
        self.damage = damage;
        self.bad.clone_from(&known.bad);
        self.whole.clone_from(&known.whole);
        self.changed.clone_from(&known.changed);
        self.read = known.read.iter().copied().collect();
        self.lost = known
            .points
            .iter()
            .map(|(point, lost)| {
                let keys = lost.items.iter().filter_map(|key| ItemKey::from_bytes(key).ok());
                let keys = keys.map(|key| {
                    let container = key.kind() == nakivo_repo_format::KeyKind::Container;
                    (key.container().to_owned(), container, key.id().to_owned())
                });
                (*point, lost.count, keys.collect(), lost.what.clone())
            })
            .collect();
    }

    /// Gives back what was found.
    pub(super) fn take(&mut self, report: &mut VerifyReport) -> (Vec<Damage>, Known) {
        let [packs, chunks, bytes, points, items, content_bytes] = self.figures;
        report.packs = packs;
        report.chunks = chunks;
        report.bytes = bytes;
        report.points = points;
        report.items = items;
        report.content_bytes = content_bytes;
        let points = std::mem::take(&mut self.lost).into_iter();
        let points = points.map(|(point, count, keys, what)| {
            let kind = |container| {
                if container {
                    nakivo_repo_format::KeyKind::Container
                } else {
                    nakivo_repo_format::KeyKind::Item
                }
            };
            let keys = keys.into_iter().filter_map(|(container, is_container, id)| {
                Some(ItemKey::new(container, kind(is_container), id).ok()?.to_bytes())
            });
            let items = keys.collect();
            (point, Lost { count, items, what })
        });
        let known = Known {
            before: None,
            points: points.collect(),
            bad: std::mem::take(&mut self.bad),
            read: std::mem::take(&mut self.read).into_iter().collect(),
            whole: std::mem::take(&mut self.whole),
            changed: std::mem::take(&mut self.changed),
        };
        (std::mem::take(&mut self.damage), known)
    }
}
