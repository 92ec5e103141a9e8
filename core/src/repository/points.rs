//! Care of recovery points: protect, describe, delete.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::Protection;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Manifest, PointId};
use serde::Serialize;

use super::Repository;
use super::criteria::PointFilter;
use crate::error::{Error, ErrorKind, Result};

/// Longest description in characters.
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// What a deletion did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct DeletedPoints {
    /// The points that went, or would go, in the order of their commits.
    pub deleted: Vec<PointId>,
    /// Points that the filter means and that stay because they are protected or immutable.
    pub kept: Vec<PointId>,
    /// Number of the commit that removed them; `None` for a preview, or when there was nothing to remove.
    pub commit: Option<u64>,
}

/// Whether a point may be removed at this time, by the protection that people gave it.
pub(crate) fn is_protected(protection: Protection, now: DateTime<Utc>) -> bool {
    match protection {
        Protection::JobRetention => false,
        Protection::Forever => true,
        Protection::Until(time) => now.timestamp_millis() < time,
        // Given by a newer version for a reason.
        _ => true,
    }
}

impl Repository {
    /// Every recovery point of the repository, in the order of their commits.
    #[must_use]
    pub fn all_points(&self) -> Vec<Manifest> {
        let view = self.shared.view();
        let mut found: Vec<Manifest> = view
            .state
            .points()
            .values()
            .map(|manifest| Manifest::clone(manifest))
            .collect();
        view.ranks.sort(&mut found);
        found
    }

    /// Sets how long a point is kept whatever retention says. Returns the number of the commit.
    ///
    /// # Errors
    /// `NotFound`; those of [`Repository::commit`].
    pub async fn protect_point(&self, point: PointId, protection: Protection) -> Result<u64> {
        self.edit_point(point, |manifest| Ok((protection, manifest.description.clone())))
            .await
    }

    /// Sets or, with `None`, takes away what people note about a point. Returns the number of the commit.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for more than 1,000 characters; those of [`Repository::commit`].
    pub async fn describe_point(&self, point: PointId, description: Option<String>) -> Result<u64> {
        if let Some(text) = &description
            && text.chars().count() > MAX_DESCRIPTION_CHARS
        {
            return Err(Error::invalid(
                "description",
                format!("{} characters", text.chars().count()),
                "up to 1,000 characters",
            ));
        }
        let description = description.filter(|text| !text.is_empty());
        self.edit_point(point, |manifest| Ok((manifest.protection, description.clone())))
            .await
    }

    /// Until when the repository promises that nobody can remove this point; `None`: it does not, or not any more.
    #[must_use]
    pub fn immutable_until(&self, point: &Manifest) -> Option<DateTime<Utc>> {
        let promise = self.shared.objects.retention.promise()?;
        let until = DateTime::from_timestamp_millis(point.finished_ms)? + promise.length();
        (until > self.environment().clock.now()).then_some(until)
    }

    async fn edit_point(
        &self,
        point: PointId,
        change: impl Fn(&Manifest) -> Result<(Protection, Option<String>)> + Send + Sync,
    ) -> Result<u64> {
        self.refresh().await?;
        self.commit(|state| {
            let manifest = state
                .point(&point)
                .ok_or_else(|| Error::not_found("recovery point", point))?;
            let (protection, description) = change(manifest)?;
            Ok(vec![Operation::EditPoint {
                point,
                protection,
                description,
            }])
        })
        .await
    }

    /// Removes the recovery points that `filter` means, all or none of them. What only they needed is freed by reclaim.
    ///
    /// Protected and immutable points stay and are told, unless `filter` names them: then nothing is removed. With `preview`, nothing is
    /// removed either way.
    ///
    /// # Errors
    /// `Immutable` if a point that the filter names is protected or not yet old enough where points are immutable; `NotFound` if one that it names does not exist; those of
    /// [`Repository::commit`].
    pub async fn delete_points(
        &self,
        filter: &PointFilter,
        reason: &str,
        preview: bool,
    ) -> Result<DeletedPoints> {
        self.refresh().await?;
        let now = self.environment().clock.now();
        let choose = |state: &RepositoryState| -> Result<(Vec<PointId>, Vec<PointId>)> {
            let named = filter.named();
            if let Some(missing) = named
                .into_iter()
                .flatten()
                .find(|point| state.point(point).is_none())
            {
                return Err(Error::not_found("recovery point", missing));
            }
            let chosen = filter.choose(state, &self.shared.view().ranks);
            let (kept, deleted): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|manifest| {
                is_protected(manifest.protection, now) || self.immutable_until(manifest).is_some()
            });
            if named.is_some()
                && let Some(protected) = kept.first()
            {
                if let Some(until) = self.immutable_until(protected) {
                    return Err(Error::new(
                        ErrorKind::Immutable,
                        format!(
                            "recovery point {} is immutable until {}",
                            protected.id,
                            until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
                        ),
                    )
                    .with_hint("Delete it after that time."));
                }
                return Err(Error::new(
                    ErrorKind::Immutable,
                    format!("recovery point {} is protected", protected.id),
                )
                .with_hint("Let job retention decide about it first."));
            }
            let ids = |manifests: Vec<Arc<Manifest>>| manifests.iter().map(|one| one.id).collect();
            Ok((ids(deleted), ids(kept)))
        };
        let (deleted, kept) = choose(&self.shared.view().state)?;
        // Chosen again inside: a point that somebody protected meanwhile stays, and so does one that is meant only since then.
        let meant: HashSet<PointId> = deleted.iter().copied().collect();
        let committed = if preview || deleted.is_empty() {
            None
        } else {
            self.shared
                .commit_if(|state| {
                    let (mut deleted, kept) = choose(state)?;
                    deleted.retain(|point| meant.contains(point));
                    if deleted.is_empty() {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            "somebody else removed or protected these points meanwhile",
                        ));
                    }
                    let operation = Operation::RemovePoints {
                        points: deleted.clone(),
                        reason: reason.to_owned(),
                    };
                    Ok(Some((vec![operation], (deleted, kept))))
                })
                .await?
        };
        let (commit, (deleted, kept)) = match committed {
            Some((seq, chosen)) => (Some(seq), chosen),
            None => (None, (deleted, kept)),
        };
        Ok(DeletedPoints {
            deleted,
            kept,
            commit,
        })
    }
}
