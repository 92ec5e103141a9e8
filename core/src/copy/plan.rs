//! Which points are copied, and in which order.

use std::collections::{HashMap, HashSet};

use nakivo_repo_format::{Manifest, ObjectId, PointId};

use super::{CopyOptions, CopyState, same_repository};
use crate::error::{Error, Result};
use crate::repository::Repository;

/// The selected points in the order of the source's commits, and what becomes of each.
pub(super) fn points(
    source: &Repository,
    target: &Repository,
    options: &CopyOptions,
) -> Result<Vec<(Manifest, CopyState)>> {
    if source.id() == target.id() {
        return Err(same_repository());
    }
    let ours = source.all_points();
    options.progress.validate()?;
    check_selection(&ours, options)?;
    let known = Known::new(&ours, target);
    // Copying in order never makes one of the selected points late.
    Ok(ours
        .iter()
        .filter(|manifest| is_selected(manifest, options))
        .map(|manifest| (manifest.clone(), known.state(manifest, options.late)))
        .collect())
}

fn check_selection(points: &[Manifest], options: &CopyOptions) -> Result<()> {
    for object in &options.objects {
        if !points.iter().any(|manifest| manifest.object.id == *object) {
            return Err(Error::not_found("object", object));
        }
    }
    for point in &options.points {
        if !points.iter().any(|manifest| manifest.id == *point) {
            return Err(Error::not_found("recovery point", point));
        }
    }
    Ok(())
}

fn is_selected(manifest: &Manifest, options: &CopyOptions) -> bool {
    (options.objects.is_empty() || options.objects.contains(&manifest.object.id))
        && (options.points.is_empty() || options.points.contains(&manifest.id))
}

/// What both repositories hold.
struct Known<'a> {
    /// Place of each point in the source's order.
    order: HashMap<PointId, usize>,
    bases: HashMap<PointId, Option<PointId>>,
    /// The newest point of each object in the target.
    newest: HashMap<ObjectId, Manifest>,
    target: &'a Repository,
}

impl<'a> Known<'a> {
    fn new(ours: &[Manifest], target: &'a Repository) -> Self {
        let theirs = target.all_points();
        Self {
            order: ours
                .iter()
                .zip(0..)
                .map(|(manifest, at)| (manifest.id, at))
                .collect(),
            bases: theirs
                .iter()
                .chain(ours)
                .map(|manifest| (manifest.id, manifest.base))
                .collect(),
            // The last one of each object stays.
            newest: theirs
                .into_iter()
                .map(|manifest| (manifest.object.id.clone(), manifest))
                .collect(),
            target,
        }
    }

    fn state(&self, manifest: &Manifest, late: bool) -> CopyState {
        let (there, removed) = self.target.look(|state| {
            let there = state.point(&manifest.id).cloned();
            (there, state.removed_points().contains_key(&manifest.id))
        });
        match there {
            Some(copy) if !is_copy(manifest, &copy) => CopyState::Different,
            Some(copy) if is_whole(manifest, &copy) => CopyState::Present,
            Some(_) => CopyState::PresentPartly,
            None if removed => CopyState::Removed,
            None if !late && self.is_late(manifest) => CopyState::Late,
            None => CopyState::Planned,
        }
    }

    /// Whether the newest point that the target has of the object comes after this one.
    fn is_late(&self, manifest: &Manifest) -> bool {
        let Some(newest) = self.newest.get(&manifest.object.id) else {
            return false;
        };
        if let (Some(theirs), Some(ours)) = (self.order.get(&newest.id), self.order.get(&manifest.id)) {
            return theirs > ours;
        }
        // The source does not have it, or not any more: what this point was built on came before it, else clocks decide.
        !self.is_built_on(manifest, newest.id) && newest.started_ms > manifest.started_ms
    }

    fn is_built_on(&self, manifest: &Manifest, point: PointId) -> bool {
        let mut seen = HashSet::new();
        let mut base = manifest.base;
        while let Some(id) = base.filter(|id| seen.insert(*id)) {
            if id == point {
                return true;
            }
            base = self.bases.get(&id).copied().flatten();
        }
        false
    }
}

/// Whether two manifests are of one point. What people may edit does not count.
fn is_copy(manifest: &Manifest, copy: &Manifest) -> bool {
    manifest.object.id == copy.object.id
        && manifest.run == copy.run
        && (manifest.started_ms, manifest.finished_ms) == (copy.started_ms, copy.finished_ms)
}

/// Whether a copy holds everything that its original does.
pub(super) fn is_whole(manifest: &Manifest, copy: &Manifest) -> bool {
    let figures = |manifest: &Manifest| {
        let root = manifest.root.map(|root| (root.entries, root.bytes));
        (root, manifest.counts.failed)
    };
    is_copy(manifest, copy) && figures(manifest) == figures(copy)
}

/// A point of the same object whose whole copy is in the target, and that copy: the nearest one in the source's order, an
/// older one before a younger.
pub(super) fn base_of(
    source: &Repository,
    target: &Repository,
    manifest: &Manifest,
) -> Option<(Manifest, Manifest)> {
    let points = source.points(&manifest.object.id);
    let at = points.iter().position(|point| point.id == manifest.id)?;
    let nearest = points[..at].iter().rev().chain(&points[at + 1..]);
    nearest
        .filter_map(|point| {
            let copy = target.look(|state| state.point(&point.id).cloned())?;
            is_whole(point, &copy).then(|| (point.clone(), Manifest::clone(&copy)))
        })
        .next()
}
