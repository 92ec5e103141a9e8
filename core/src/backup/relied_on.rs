//! What a run builds on.

use nakivo_repo_format::PointId;
use nakivo_repo_format::ids::RunId;

use crate::error::{Error, ErrorKind};
use crate::repository::{Repository, removed_meanwhile};

/// What a run builds on, which others may remove meanwhile.
pub(super) struct ReliedOn {
    pub(super) point: Option<PointId>,
    pub(super) runs: Vec<RunId>,
}

impl ReliedOn {
    /// What cannot be read because it was removed is not damaged.
    pub(super) async fn explain(&self, repository: &Repository, error: Error) -> Error {
        if error.kind() != ErrorKind::Corrupt || repository.refresh().await.is_err() {
            return error;
        }
        let there = repository.look(|state| {
            self.point.is_none_or(|point| state.point(&point).is_some())
                && self.runs.iter().all(|run| state.progress().contains_key(run))
        });
        if there {
            error
        } else {
            removed_meanwhile().with_source(error)
        }
    }
}
