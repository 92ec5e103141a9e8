//! What a [`FaultStore`](super::FaultStore) saw.

use object_store::path::Path;

/// The kinds of operation that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    /// A put of a whole object, conditional or not.
    Put,
    /// A get of an object or of one range of it.
    Get,
    /// A question for size and time only.
    Head,
    /// A listing, with or without delimiter.
    List,
    /// A delete of one object.
    Delete,
    /// A copy or rename.
    Copy,
    /// The start of an upload in parts.
    Multipart,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Put,
        Self::Get,
        Self::Head,
        Self::List,
        Self::Delete,
        Self::Copy,
        Self::Multipart,
    ];
}

/// One operation, as a rule or a hook sees it before it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Place among all operations of the store, from 0.
    pub index: u64,
    /// Place among the operations of this kind, from 0.
    pub index_of_kind: u64,
    /// What is done.
    pub kind: OperationKind,
    /// To which object; for a listing, the prefix.
    pub path: Path,
    /// For a put: the payload's length in bytes.
    pub length: Option<u64>,
}

/// One operation and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The operation.
    pub operation: Operation,
    /// The faults that were put in, as text; empty for an undisturbed operation.
    pub faults: Vec<String>,
    /// Whether the caller was told that it succeeded; `None` while it is under way or was dropped.
    pub succeeded: Option<bool>,
}
