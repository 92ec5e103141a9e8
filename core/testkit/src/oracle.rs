//! What every test checks of a repository: the invariants of the fault model, and nothing vaguer.
//!
//! I1 what was reported complete is readable byte for byte; I2 nothing half-written is listed; I4 a read gives the original
//! bytes or a typed error; I5 the ledger adds up; I6 the cursor goes with its data; I7 a repeated run converges.

use std::collections::BTreeMap;

use futures::StreamExt;
use nakivo_core::backup::{BackupReport, Outcome};
use nakivo_core::format::ids::PointId;
use nakivo_core::format::manifest::{LedgerKind, Manifest};
use nakivo_core::format::record::{ContentPart, ItemKind, ItemRecord, Value};
use nakivo_core::repository::{Repository, ScanRange, VerifyOptions, VerifyReport};
use nakivo_core::{Error, Result};

use crate::content::{Digest, Digester};
use crate::logical::{LogicalContainer, LogicalContent, LogicalItem};

/// What could be read of a recovery point, and what could not.
#[derive(Debug, Default)]
pub struct Survey {
    /// Everything that was read without an error.
    pub content: LogicalContent,
    /// Items of which some part could not be read.
    pub damaged: BTreeMap<(String, String), Error>,
    /// Why the list of items is not complete, if it is not.
    pub incomplete: Option<Error>,
}

/// Reads everything a recovery point holds.
///
/// # Errors
/// The first one that occurs.
pub async fn read_point(repository: &Repository, manifest: &Manifest) -> Result<LogicalContent> {
    let survey = survey_point(repository, manifest).await;
    match (survey.incomplete, survey.damaged.into_iter().next()) {
        (Some(error), _) | (None, Some((_, error))) => Err(error),
        (None, None) => Ok(survey.content),
    }
}

/// Reads what can be read of a recovery point; an item with a damaged part is reported and the rest goes on.
pub async fn survey_point(repository: &Repository, manifest: &Manifest) -> Survey {
    let mut survey = Survey::default();
    let mut entries = repository.scan(manifest.root, &ScanRange::all());
    while let Some(entry) = entries.next().await {
        let record = match entry {
            Ok((_, record)) => record,
            Err(error) => {
                survey.incomplete = Some(error);
                break;
            }
        };
        let place = (record.container.clone(), record.id.clone());
        if record.kind == ItemKind::Container {
            survey
                .content
                .containers
                .insert(place, LogicalContainer { name: record.name });
            continue;
        }
        match read_item(repository, &record).await {
            Ok(item) => {
                survey.content.items.insert(place, item);
            }
            Err(error) => {
                survey.damaged.insert(place, error);
            }
        }
    }
    survey
}

async fn read_item(repository: &Repository, record: &ItemRecord) -> Result<LogicalItem> {
    let mut parts = BTreeMap::new();
    for part in &record.parts {
        parts.insert(part.name.clone(), read_part(repository, part).await?);
    }
    let text = |value: &Value| {
        value
            .as_text()
            .map_or_else(|| format!("{value:?}"), str::to_owned)
    };
    Ok(LogicalItem {
        name: record.name.clone(),
        change_key: record.change_key.clone(),
        properties: record
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        parts,
    })
}

/// Reads a part to its end and digests it.
///
/// # Errors
/// Those of the read; what was read before it does not count.
pub async fn read_part(repository: &Repository, part: &ContentPart) -> Result<Digest> {
    let mut digester = Digester::default();
    let mut body = repository.read_part(part);
    while let Some(piece) = body.next().await {
        digester.update(&piece?);
    }
    Ok(digester.finish())
}

/// The manifests of all points of all objects, oldest first within an object.
#[must_use]
pub fn all_points(repository: &Repository) -> Vec<Manifest> {
    repository
        .objects()
        .iter()
        .flat_map(|summary| repository.points(&summary.object.id))
        .collect()
}

/// Checks that a point holds exactly this, and that its own counts say so (I1).
///
/// # Panics
/// If not.
pub async fn assert_point(
    repository: &Repository,
    manifest: &Manifest,
    expected: &LogicalContent,
    what: &str,
) {
    let content = match read_point(repository, manifest).await {
        Ok(content) => content,
        Err(error) => panic!("{what}: point {} cannot be read: {error:?}", manifest.id),
    };
    content.assert_equal(expected, what);
    assert_counts(manifest, &content, what);
}

/// Checks the counts in a manifest against what the point holds.
///
/// # Panics
/// If they differ.
pub fn assert_counts(manifest: &Manifest, content: &LogicalContent, what: &str) {
    let found = (content.items.len() as u64, content.containers.len() as u64);
    let said = (manifest.counts.items, manifest.counts.containers);
    assert_eq!(
        said, found,
        "{what}: items and containers as the manifest counts them, and as they are"
    );
}

/// Verifies the whole repository.
///
/// # Errors
/// Those of verify.
pub async fn verify(repository: &Repository) -> Result<VerifyReport> {
    repository.verify(VerifyOptions::default()).wait().await
}

/// Checks that verify is complete and finds no damage, and that every listed point is whole (I1, I2).
///
/// # Panics
/// If not.
pub async fn assert_sound(repository: &Repository, what: &str) {
    let report = match verify(repository).await {
        Ok(report) => report,
        Err(error) => panic!("{what}: verify failed: {error:?}"),
    };
    assert!(
        report.damage.is_empty() && report.complete,
        "{what}: verify reports {report:?}"
    );
    for manifest in all_points(repository) {
        match read_point(repository, &manifest).await {
            Ok(content) => assert_counts(&manifest, &content, what),
            Err(error) => panic!(
                "{what}: point {} is listed and cannot be read: {error:?}",
                manifest.id
            ),
        }
    }
}

/// Checks the arithmetic of a run and that its outcome follows from it (I5).
///
/// # Panics
/// If it does not add up.
pub fn assert_ledger(report: &BackupReport, what: &str) {
    let counts = report.counts;
    assert_eq!(
        counts.enumerated,
        counts.stored + counts.unchanged + counts.skipped + counts.failed,
        "{what}: enumerated = stored + unchanged + skipped + failed: {counts:?}"
    );
    assert_eq!(
        counts.stored,
        counts.added + counts.changed,
        "{what}: stored = added + changed: {counts:?}"
    );
    let entries = |kind| report.issues.iter().filter(|entry| entry.kind == kind).count() as u64;
    assert_eq!(
        counts.skipped,
        entries(LedgerKind::Skipped),
        "{what}: each skipped item is listed"
    );
    assert!(
        counts.failed <= entries(LedgerKind::Failed),
        "{what}: each failed item is listed"
    );
    let failed = entries(LedgerKind::Failed) > 0;
    assert_eq!(
        report.outcome == Outcome::Partial,
        failed,
        "{what}: partial if and only if something failed"
    );
}

/// Points that were seen complete, with what they held then.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    points: Vec<(PointId, LogicalContent)>,
}

impl Memory {
    /// Remembers a point.
    pub fn keep(&mut self, point: PointId, content: LogicalContent) {
        self.points.push((point, content));
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Checks that every remembered point is still listed and holds what it held.
    ///
    /// # Panics
    /// If not.
    pub async fn assert_all(&self, repository: &Repository, what: &str) {
        let listed = all_points(repository);
        for (number, (point, content)) in self.points.iter().enumerate() {
            let what = format!("{what}: point {number} of {}", self.points.len());
            match listed.iter().find(|manifest| manifest.id == *point) {
                Some(manifest) => assert_point(repository, manifest, content, &what).await,
                None => panic!("{what}: {point} is not listed any more"),
            }
        }
    }
}
