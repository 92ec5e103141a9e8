//! What a repository holds: objects, recovery points, figures.

use std::collections::BTreeMap;
use std::str::FromStr;

use nakivo_repo_format::manifest::{LedgerEntry, Outcome, decode_ledger};
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Compression, ItemKey, Manifest, ObjectId, ObjectRecord, PointId, RunProgress};
use serde::Serialize;

use super::Repository;
use super::epoch::EpochUsage;
use super::objects::format_error;
use crate::error::{Error, Result};

/// Names offered when one was not found.
const MAX_SUGGESTIONS: usize = 5;
/// Shortest prefix of a point's id.
const MIN_PREFIX_CHARS: usize = 4;

/// One protected object of a repository.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ObjectSummary {
    /// The object, as its newest point has it.
    pub object: ObjectRecord,
    /// Number of recovery points.
    pub points: usize,
    /// The newest point.
    pub latest: Option<PointSummary>,
}

/// One recovery point in a few words.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PointSummary {
    /// Its id.
    pub id: PointId,
    /// When its run began, milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// Whether everything is in it.
    pub outcome: Outcome,
    /// Items in it.
    pub items: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
}

impl From<&Manifest> for PointSummary {
    fn from(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id,
            started_ms: manifest.started_ms,
            outcome: manifest.outcome,
            items: manifest.counts.items,
            bytes: manifest.counts.bytes,
        }
    }
}

/// Which of an object's recovery points is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PointSelector {
    /// The newest.
    #[default]
    Latest,
    /// The one whose id begins with these hexadecimal digits (4 or more).
    Id(String),
}

impl FromStr for PointSelector {
    type Err = Error;

    /// `latest`, or the beginning of an id.
    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        let digits = text.to_ascii_lowercase();
        let length = digits.len();
        if !(MIN_PREFIX_CHARS..=2 * PointId::LEN).contains(&length)
            || !digits.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(Error::invalid(
                "recovery point",
                text,
                "'latest' or 4 to 32 hexadecimal digits of its id",
            ));
        }
        Ok(Self::Id(digits))
    }
}

/// Figures of a repository.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RepositoryInfo {
    /// Its id.
    pub id: nakivo_repo_format::RepositoryId,
    /// Format version.
    pub version: u32,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Whether a passphrase protects it.
    pub encrypted: bool,
    /// How hard new data is compressed.
    pub compression: Compression,
    /// Number of the newest commit; 0 for an empty repository.
    pub head: u64,
    /// Protected objects.
    pub objects: usize,
    /// Recovery points.
    pub points: usize,
    /// Packs.
    pub packs: usize,
    /// Chunks.
    pub chunks: usize,
    /// Bytes of all packs, directories included.
    pub stored_bytes: u64,
    /// Plain bytes of all chunks: deduplicated, not compressed.
    pub unique_bytes: u64,
    /// Sum of the sizes of all items in all points.
    pub logical_bytes: u64,
    /// Logical bytes for one stored byte; 0 for an empty repository.
    pub ratio: f64,
    /// The epoch that new data is sealed in; 0 before the first rotation of the keys.
    pub epoch: u32,
    /// What is sealed in which epoch, ascending. More than one: after a rotation, until everything was encrypted anew.
    pub epochs: Vec<EpochUsage>,
    /// How long recovery points stay whatever anybody does; `None`: nothing is locked.
    pub immutable: Option<super::Immutability>,
    /// Whether damage of the log allows reading only.
    pub read_only: bool,
    /// Where the log is damaged.
    pub log_damage: Vec<LogDamage>,
    /// Recovery points known to be damaged.
    pub damaged_points: usize,
    /// Packs known to hold data that cannot be read.
    pub damaged_packs: usize,
    /// Damage found when opening and worked around. Run verify for the whole picture.
    pub notes: Vec<String>,
}

/// Where the log is damaged. Behind that place commits may be lost: what is shown may be older than what was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogDamage {
    /// The damaged or missing object: its path in the repository's folder.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

impl LogDamage {
    pub(crate) fn new(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            what: what.into(),
        }
    }
}

/// What verification found wrong with a recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KnownDamage {
    /// Entries of the point that cannot be read.
    pub lost: u64,
    /// The first cause, for people.
    pub what: String,
    /// When it was found, milliseconds since 1970 UTC.
    pub found_ms: i64,
}

impl Repository {
    /// What is known to be damaged of a recovery point, from the last verification or healing that looked at it; `None`:
    /// nothing.
    #[must_use]
    pub fn point_damage(&self, point: &PointId) -> Option<KnownDamage> {
        let view = self.shared.view();
        let damage = view.state.damaged_points().get(point)?;
        Some(KnownDamage {
            lost: damage.lost,
            what: damage.what.clone(),
            found_ms: damage.found_ms,
        })
    }

    /// Looks at the state of this view.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&RepositoryState) -> T) -> T {
        look(&self.shared.view().state)
    }

    /// The point that the next run of an object builds on, and the items of it that are damaged and must be read anew: the
    /// newest one of which all that is damaged is known item by item.
    pub(crate) fn base_for(&self, object: &ObjectId) -> Option<(Manifest, Vec<ItemKey>)> {
        let view = self.shared.view();
        self.points(object).into_iter().rev().find_map(|manifest| {
            match view.state.damaged_points().get(&manifest.id) {
                None => Some((manifest, Vec::new())),
                Some(damage) if damage.names_all() => Some((manifest, damage.items.clone())),
                Some(_) => None,
            }
        })
    }

    /// The damage of the log that was found when this view was read; where history breaks first. If there is any, the
    /// newest recovery points may be missing, removed ones may show, and nothing can be written.
    #[must_use]
    pub fn log_damage(&self) -> Vec<LogDamage> {
        self.shared.view().log_damage.clone()
    }

    /// The protected objects, by name.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectSummary> {
        let view = self.shared.view();
        let mut by_object: BTreeMap<&ObjectId, (usize, &Manifest)> = BTreeMap::new();
        for manifest in view.state.points().values() {
            let entry = by_object.entry(&manifest.object.id).or_insert((0, manifest));
            entry.0 += 1;
            if view.ranks.rank(&manifest.id) > view.ranks.rank(&entry.1.id) {
                entry.1 = manifest;
            }
        }
        let mut found: Vec<ObjectSummary> = by_object
            .into_values()
            .map(|(points, latest)| ObjectSummary {
                object: latest.object.clone(),
                points,
                latest: Some(PointSummary::from(latest)),
            })
            .collect();
        found.sort_by(|a, b| (&a.object.name, &a.object.id).cmp(&(&b.object.name, &b.object.id)));
        found
    }

    /// The object with this id, name or address; upper and lower case do not matter.
    ///
    /// # Errors
    /// `NotFound`, naming similar ones; `InvalidInput` if several bear the name.
    pub fn find_object(&self, name: &str) -> Result<ObjectRecord> {
        let objects = self.objects();
        if let Some(exact) = objects.iter().find(|summary| summary.object.id.as_str() == name) {
            return Ok(exact.object.clone());
        }
        let wanted = name.to_lowercase();
        let names = |object: &ObjectRecord| {
            [
                Some(object.id.as_str().to_owned()),
                Some(object.name.clone()),
                object.address.clone(),
            ]
            .into_iter()
            .flatten()
            .map(|name| name.to_lowercase())
            .collect::<Vec<_>>()
        };
        let found: Vec<&ObjectRecord> = objects
            .iter()
            .map(|summary| &summary.object)
            .filter(|object| names(object).contains(&wanted))
            .collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let similar: Vec<&ObjectRecord> = objects
                    .iter()
                    .map(|summary| &summary.object)
                    .filter(|object| {
                        names(object)
                            .iter()
                            .any(|name| name.contains(&wanted) || wanted.contains(name.as_str()))
                    })
                    .collect();
                let (shown, word) = if similar.is_empty() {
                    (
                        objects.iter().map(|summary| &summary.object).collect(),
                        "There are",
                    )
                } else {
                    (similar, "Similar")
                };
                let error = Error::not_found("object", name);
                Err(match list(&shown) {
                    Some(list) => error.with_hint(format!("{word}: {list}.")),
                    None => error.with_hint("The repository holds no recovery point yet."),
                })
            }
            several => {
                let ids = several
                    .iter()
                    .map(|object| object.id.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                Err(Error::invalid("object", name, &format!("one of the ids {ids}")))
            }
        }
    }

    /// The recovery points of an object in the order of their commits, oldest first.
    #[must_use]
    pub fn points(&self, object: &ObjectId) -> Vec<Manifest> {
        let view = self.shared.view();
        let mut found: Vec<Manifest> = view
            .state
            .points()
            .values()
            .filter(|manifest| manifest.object.id == *object)
            .map(|manifest| Manifest::clone(manifest))
            .collect();
        view.ranks.sort(&mut found);
        found
    }

    /// The newest recovery point of an object: the one committed last, whatever clocks said.
    #[must_use]
    pub fn latest_point(&self, object: &ObjectId) -> Option<Manifest> {
        self.points(object).pop()
    }

    /// One recovery point of an object.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if several ids begin with these digits.
    pub fn point(&self, object: &ObjectId, selector: &PointSelector) -> Result<Manifest> {
        let mut points = self.points(object);
        match selector {
            PointSelector::Latest => points
                .pop()
                .ok_or_else(|| Error::not_found("recovery point of object", object)),
            PointSelector::Id(prefix) => the_one(points, prefix),
        }
    }

    /// The point whose id begins with these hexadecimal digits, of whatever object.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for anything but 4 to 32 hexadecimal digits, or if several ids begin with them.
    pub fn point_by_id(&self, digits: &str) -> Result<Manifest> {
        match digits.parse()? {
            PointSelector::Id(prefix) => the_one(self.all_points(), &prefix),
            PointSelector::Latest => Err(Error::invalid(
                "recovery point",
                digits,
                "4 to 32 hexadecimal digits of its id",
            )),
        }
    }

    /// How far unfinished runs of an object came, the newest last.
    #[must_use]
    pub fn progress_of(&self, object: &ObjectId) -> Vec<RunProgress> {
        let view = self.shared.view();
        let mut found: Vec<RunProgress> = view
            .state
            .progress()
            .values()
            .filter(|progress| progress.object == *object)
            .map(|progress| RunProgress::clone(progress))
            .collect();
        found.sort_by_key(|progress| (progress.started_ms, progress.run));
        found
    }

    /// What a run could not store, or stored with a warning.
    ///
    /// # Errors
    /// `Corrupt` if the ledger's bytes are damaged; those of the store.
    pub async fn ledger(&self, manifest: &Manifest) -> Result<Vec<LedgerEntry>> {
        match &manifest.ledger {
            None => Ok(Vec::new()),
            Some(blob) => {
                let bytes = self.read_blob_bytes(blob).await?;
                decode_ledger(&bytes).map_err(|error| {
                    format_error(&format!("ledger of recovery point {}", manifest.id), error)
                })
            }
        }
    }

    /// Figures of the repository, as of the current view.
    ///
    /// # Errors
    /// None today; a store may have to be asked in future.
    pub async fn info(&self) -> Result<RepositoryInfo> {
        let view = self.shared.view();
        let objects = self.objects().len();
        let (mut points, mut logical) = (0, 0u64);
        for manifest in view.state.points().values() {
            points += 1;
            logical = logical.saturating_add(manifest.counts.bytes);
        }
        let epochs = self.shared.epochs();
        let index = self.shared.index();
        let stored = index.stored_bytes();
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = if stored == 0 {
            0.0
        } else {
            logical as f64 / stored as f64
        };
        let buried = view.state.tombstones();
        let damaged_packs = view.state.damaged_packs().keys();
        let damaged_packs = damaged_packs.filter(|pack| !buried.contains_key(*pack));
        let config = self.config();
        Ok(RepositoryInfo {
            id: config.id,
            version: nakivo_repo_format::FORMAT_VERSION,
            created: config.created.clone(),
            encrypted: config.encrypted,
            compression: config.compression,
            head: view.state.seq(),
            objects,
            points,
            packs: index.pack_count(),
            chunks: index.chunk_count(),
            stored_bytes: stored,
            unique_bytes: index.plain_bytes(),
            logical_bytes: logical,
            ratio,
            epoch: self.shared.keys().epoch(),
            epochs,
            immutable: self.immutability(),
            read_only: !view.log_damage.is_empty(),
            log_damage: view.log_damage.clone(),
            damaged_points: view.state.damaged_points().len(),
            damaged_packs: damaged_packs.count(),
            notes: self.shared.notes(),
        })
    }
}

/// The point whose id begins with `prefix`.
fn the_one(mut points: Vec<Manifest>, prefix: &str) -> Result<Manifest> {
    points.retain(|manifest| manifest.id.to_string().starts_with(prefix));
    if points.len() > 1 {
        return Err(Error::invalid(
            "recovery point",
            prefix,
            "more digits: several ids begin with these",
        ));
    }
    points.pop().ok_or_else(|| {
        Error::not_found("recovery point", prefix)
            .with_hint("List the points of the object to see their ids.")
    })
}

fn list(objects: &[&ObjectRecord]) -> Option<String> {
    if objects.is_empty() {
        return None;
    }
    let mut names: Vec<String> = objects
        .iter()
        .take(MAX_SUGGESTIONS)
        .map(|object| match &object.address {
            Some(address) if *address != object.name => format!("{} ({address})", object.name),
            _ => object.name.clone(),
        })
        .collect();
    if objects.len() > MAX_SUGGESTIONS {
        names.push(format!("and {} more", objects.len() - MAX_SUGGESTIONS));
    }
    Some(names.join(", "))
}
