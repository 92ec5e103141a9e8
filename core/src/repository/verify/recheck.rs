//! A second look at points that lost something, after healing: their trees are read, items that could not be read are, and of
//! all others it is looked up whether every chunk is where it can be read.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use nakivo_repo_format::{Manifest, PointId};

use super::saved::{Saved, Scope};
use super::{Findings, Known, Looked, LostItems, Sample, Verifier, VerifyOptions, VerifyReport};
use crate::error::Result;
use crate::progress::Reporter;
use crate::repository::shared::Shared;

/// Looks at `points` again. `known` says which blocks cannot be read, `lost` which items could not.
pub(crate) async fn recheck(
    shared: &Arc<Shared>,
    points: &BTreeSet<PointId>,
    known: &Known,
    lost: &LostItems,
    reporter: &Reporter,
) -> Result<Looked> {
    let view = shared.view();
    let scope: Vec<Manifest> = points
        .iter()
        .filter_map(|point| view.state.point(point).map(|manifest| Manifest::clone(manifest)))
        .collect();
    let mut verifier = Verifier {
        sample: Sample {
            percent: 100,
            seed: 0,
        },
        hashes: true,
        ledger: Findings::default(),
        report: VerifyReport::default(),
        bad_blocks: HashSet::new(),
        known: Known {
            before: Some(Arc::clone(&view)),
            bad: known.bad.clone(),
            changed: known.changed.clone(),
            ..Known::default()
        },
        lost: LostItems::default(),
        only_these: Some(lost.prints.clone()),
        saved: Saved::new(Scope::of(&VerifyOptions::default()), 0),
        ends: None,
        out_of_time: false,
        passing: true,
        unsaved_bytes: 0,
        silent: 0,
        shared: Arc::clone(shared),
        reporter: reporter.clone(),
    };
    verifier.recall_bad_blocks();
    verifier.points(&scope).await?;
    let Verifier {
        mut report,
        ledger,
        known,
        lost,
        ..
    } = verifier;
    report.damage = ledger.by_object.into_values().collect();
    Ok(Looked { report, known, lost })
}
