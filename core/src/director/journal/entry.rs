//! What a director writes into a repository about itself: one record in the log, sealed and checked like every other.
//!
//! It is the progress of a run that never ends: the director is the run, the object is [`OBJECT`], and the state is two lines of
//! JSON, a [`JournalHead`] and a [`Configuration`]. What reads repositories without knowing of directors passes it over.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use nakivo_repo_format::log::Operation;
use nakivo_repo_format::manifest::RunProgress;
use nakivo_repo_format::state::RepositoryState;
use nakivo_repo_format::{Blob, ObjectId, RunId};
use serde::{Deserialize, Serialize};

use crate::director::account::AccountEntry;
use crate::director::records::JobEntry;
use crate::error::{Error, ErrorKind, Result};
use crate::registry::Registration;
use crate::seams::{Rng, random_bytes};

/// The object that journals are kept under.
const OBJECT: &str = "nakivo/director";
/// Version of the record.
const VERSION: u32 = 1;
/// Longest record. Every commit that changes it holds all of it.
const MAX_BYTES: usize = 16 << 20;

/// Names a director for ever, whatever becomes of its state. 32 hexadecimal digits, random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectorId(RunId);

impl DirectorId {
    pub(super) fn random(rng: &dyn Rng) -> Result<Self> {
        Ok(Self(RunId::from_random_bytes(random_bytes(rng)?)))
    }
}

impl fmt::Display for DirectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DirectorId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |_| Error::invalid("id of a director", text, "32 hexadecimal digits");
        text.parse().map(Self).map_err(refused)
    }
}

/// Why a director has another one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// It was brought back from the other one's journal.
    Restored,
    /// Its state was found to be older than its journal, or a copy of a state that is in use.
    SetBack,
}

/// The director that another one goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The other one.
    pub director: DirectorId,
    /// Up to this revision, everything of the other one is part of this one.
    pub revision: u64,
    /// Why.
    pub kind: OriginKind,
}

/// What a journal says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JournalHead {
    version: u32,
    /// Who wrote it.
    pub director: DirectorId,
    /// Counts the changes of that director's configuration.
    pub revision: u64,
    /// Hex of BLAKE3 of the configuration as it is written.
    pub digest: String,
    /// Whom it goes on from.
    pub origin: Option<Origin>,
    /// When, by the director's clock.
    pub written: DateTime<Utc>,
    /// Number of jobs.
    pub jobs: u64,
    /// Number of repositories.
    pub repositories: u64,
}

impl JournalHead {
    /// Whether everything in this journal is part of another one.
    pub(in crate::director) fn is_part_of(&self, other: &Self) -> bool {
        let origin = other.origin.as_ref();
        origin.is_some_and(|origin| origin.director == self.director && self.revision <= origin.revision)
    }
}

/// Everything that people configure of a director.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// In the order in which they were added.
    pub(crate) jobs: Vec<JobEntry>,
    /// In the order in which they were added.
    #[serde(default)]
    pub(crate) accounts: Vec<AccountEntry>,
    /// By name, without figures.
    pub(crate) repositories: Vec<Registration>,
}

/// A configuration as it is written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    bytes: Vec<u8>,
    pub(super) digest: String,
    jobs: u64,
    repositories: u64,
}

impl Written {
    pub(super) fn new(configuration: &Configuration) -> Result<Self> {
        let bytes = to_json(configuration)?;
        Ok(Self {
            digest: blake3::hash(&bytes).to_hex().to_string(),
            bytes,
            jobs: configuration.jobs.len() as u64,
            repositories: configuration.repositories.len() as u64,
        })
    }

    pub(super) fn head(
        &self,
        director: DirectorId,
        revision: u64,
        origin: Option<Origin>,
        written: DateTime<Utc>,
    ) -> JournalHead {
        JournalHead {
            version: VERSION,
            director,
            revision,
            digest: self.digest.clone(),
            origin,
            written,
            jobs: self.jobs,
            repositories: self.repositories,
        }
    }

    /// The record as the log takes it.
    pub(super) fn record(&self, head: &JournalHead) -> Result<RunProgress> {
        let mut state = to_json(head)?;
        state.push(b'\n');
        state.extend_from_slice(&self.bytes);
        if state.len() > MAX_BYTES {
            let found = format!("{} bytes", state.len());
            return Err(Error::invalid("journal of the director", found, "at most 16 MiB"));
        }
        Ok(RunProgress {
            run: head.director.0,
            object: object()?,
            base: None,
            started_ms: head.written.timestamp_millis(),
            spills: Vec::new(),
            state: Some(Blob::Inline(state)),
            bytes_read: 0,
            bytes_stored: 0,
        })
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::internal(format!("the journal of the director cannot be written: {error}")))
}

fn object() -> Result<ObjectId> {
    ObjectId::new(OBJECT).map_err(|error| Error::internal(format!("{OBJECT}: {error}")))
}

/// The journals in a repository, each by its director.
pub(in crate::director) fn all(state: &RepositoryState) -> Vec<(DirectorId, Result<JournalHead>)> {
    let records = state.progress().values();
    let journals = records.filter(|record| record.object.as_str() == OBJECT);
    journals
        .map(|record| {
            (
                DirectorId(record.run),
                lines(record).and_then(|(head, _)| parse_head(record, head)),
            )
        })
        .collect()
}

/// The journal of this director; `None` if there is none.
pub(super) fn head_of(state: &RepositoryState, director: DirectorId) -> Option<Result<JournalHead>> {
    let record = state.progress().get(&director.0)?;
    Some(lines(record).and_then(|(head, _)| parse_head(record, head)))
}

/// The journal of this director, and of nothing else that bears its id.
fn record_of(state: &RepositoryState, director: DirectorId) -> Result<&RunProgress> {
    let record = state.progress().get(&director.0);
    let record = record.filter(|record| record.object.as_str() == OBJECT);
    record
        .map(|record| &**record)
        .ok_or_else(|| Error::not_found("journal of director", director))
}

/// What takes the journal of this director out of the repository.
pub(in crate::director) fn forgetting(state: &RepositoryState, director: DirectorId) -> Result<Operation> {
    let run = record_of(state, director)?.run;
    Ok(Operation::DropProgress { run })
}

/// The configuration in the journal of this director.
pub(in crate::director) fn configuration_of(
    state: &RepositoryState,
    director: DirectorId,
) -> Result<(JournalHead, Configuration)> {
    let record = record_of(state, director)?;
    let (head, configuration) = lines(record)?;
    let head = parse_head(record, head)?;
    if head.version > VERSION {
        let message = format!("the journal of director {director} was written by a newer version");
        return Err(Error::new(ErrorKind::UnsupportedFormat, message));
    }
    if blake3::hash(configuration).to_hex().as_str() != head.digest {
        return Err(damaged(record, "its digest is that of something else"));
    }
    let configuration = serde_json::from_slice(configuration).map_err(|error| damaged(record, error))?;
    Ok((head, configuration))
}

fn lines(record: &RunProgress) -> Result<(&[u8], &[u8])> {
    let state = match &record.state {
        Some(Blob::Inline(state)) => state,
        _ => return Err(damaged(record, "it has no state of its own")),
    };
    let end = state.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| damaged(record, "it has one line instead of two"))?;
    Ok((&state[..end], &state[end + 1..]))
}

fn parse_head(record: &RunProgress, line: &[u8]) -> Result<JournalHead> {
    let head: JournalHead = serde_json::from_slice(line).map_err(|error| damaged(record, error))?;
    if head.director.0 != record.run {
        return Err(damaged(record, "it is the journal of another director"));
    }
    Ok(head)
}

fn damaged(record: &RunProgress, why: impl fmt::Display) -> Error {
    let message = format!("the journal of director {} is not understood: {why}", record.run);
    Error::new(ErrorKind::Corrupt, message)
}
