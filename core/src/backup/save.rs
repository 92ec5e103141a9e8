//! Committing what is stored so far, so that an interrupted run goes on from there.

use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::RunProgress;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Blob, ObjectId, PointId, RunId};

use super::edits::EditLog;
use crate::error::Result;
use crate::repository::{Repository, WriteStats, Writer};

/// Whose progress it is.
pub(crate) struct Unfinished<'a> {
    pub(crate) run: RunId,
    pub(crate) object: &'a ObjectId,
    /// The point that it builds on.
    pub(crate) base: Option<PointId>,
    pub(crate) started_ms: i64,
    /// What else it has to know to go on.
    pub(crate) state: Option<Blob>,
}

/// Stores the edits and commits them as progress of the run, without making a point. `check` may refuse the commit, looking
/// at the state that it would follow. Returns what was written so far, or `None` if there was nothing to save.
pub(crate) async fn save(
    repository: &Repository,
    writer: &Writer,
    edits: &mut EditLog,
    of: Unfinished<'_>,
    check: impl Fn(&RepositoryState) -> Result<()> + Send + Sync,
) -> Result<Option<WriteStats>> {
    if edits.is_empty() {
        return Ok(None);
    }
    let spills = edits.store(writer).await?;
    let segments = writer.flush().await?;
    let stats = writer.stats();
    let progress = RunProgress {
        run: of.run,
        object: of.object.clone(),
        base: of.base,
        started_ms: of.started_ms,
        spills,
        state: of.state,
        bytes_read: stats.bytes_read,
        bytes_stored: stats.bytes_stored,
    };
    repository
        .commit(|state| {
            check(state)?;
            Ok(vec![
                Operation::AddIndex {
                    segments: segments.clone(),
                },
                Operation::Progress {
                    progress: Box::new(progress.clone()),
                },
            ])
        })
        .await?;
    Ok(Some(stats))
}
