//! What long calls tell while they go on.

use nakivo_core::backup;
use nakivo_core::format::manifest::LedgerEntry;
use nakivo_core::progress::{Event, Progress};

use super::{ObjectInfo, To};

options! {
    /// How a backup runs.
    BackupOptions {
        /// Stop at the first item that cannot be read instead of recording it. Default: `false`.
        fail_fast: bool,
    }
}

record! {
    /// What a backup did.
    BackupReport {
        /// `complete`, or `partial` when something could not be read.
        outcome: String,
        /// Id of the new recovery point.
        point: String,
        /// Id of the run.
        run: String,
        /// The object.
        object: ObjectInfo,
        /// Whether there was no earlier point to build on.
        first: bool,
        /// Items that the source named in this run.
        enumerated: u64,
        /// Of these, stored anew or again.
        stored: u64,
        /// Of these, unchanged.
        unchanged: u64,
        /// Of these, skipped for a named cause.
        skipped: u64,
        /// Of these, failed; the next run tries them again.
        failed: u64,
        /// Of the stored ones, new.
        added: u64,
        /// Of the stored ones, changed.
        changed: u64,
        /// Items that are gone from the source.
        removed: u64,
        /// Of the unchanged ones, taken over from an interrupted run instead of being read again.
        resumed: u64,
        /// Items in the new point.
        items: u64,
        /// Plain bytes of all items of the new point.
        bytes: u64,
        /// Bytes that were read from the source.
        bytes_read: u64,
        /// Bytes that reached the store.
        bytes_stored: u64,
        /// Requests sent to the service.
        requests: u64,
        /// Requests that the service refused for now.
        throttled: u64,
        /// Failed and skipped items, and warnings.
        issues: Vec<Issue>,
        /// Seconds it took.
        seconds: f64,
    }
}

record! {
    /// Something that could not be processed, or that is to be known.
    Issue {
        /// `failed`: not stored, and tried again; `skipped`: not stored, for a permanent cause; `warning`: stored, with something
        /// to know.
        kind: String,
        /// Where it lies, for people.
        path: String,
        /// Stable code of the cause.
        code: String,
        /// One line for people.
        message: String,
        /// Whether the next run tries again.
        retry: bool,
    }
}

impl To<Issue> for LedgerEntry {
    fn to(self) -> Issue {
        Issue {
            kind: self.kind.to_string(),
            path: self.path,
            code: self.cause.code,
            message: self.cause.message,
            retry: self.retry,
        }
    }
}

impl To<BackupReport> for backup::BackupReport {
    fn to(self) -> BackupReport {
        BackupReport {
            outcome: self.outcome.to(),
            point: self.point.to(),
            run: self.run.to(),
            object: self.object.to(),
            first: self.first,
            enumerated: self.counts.enumerated,
            stored: self.counts.stored,
            unchanged: self.counts.unchanged,
            skipped: self.counts.skipped,
            failed: self.counts.failed,
            added: self.counts.added,
            changed: self.counts.changed,
            removed: self.counts.removed,
            resumed: self.counts.resumed,
            items: self.items,
            bytes: self.bytes,
            bytes_read: self.written.bytes_read,
            bytes_stored: self.written.bytes_stored,
            requests: self.usage.requests,
            throttled: self.usage.throttled,
            issues: self.issues.to(),
            seconds: self.duration.to(),
        }
    }
}

record! {
    /// How far a long call is, or something that happened in it.
    Update {
        /// What it is: `progress`, `phase`, `issue` or `note`.
        kind: String,
        /// What is being done: `list`, `fetch`, `store`, `commit`, `verify`, `recover`, `export`.
        phase: String,
        /// Where the work is, or where the issue is: a path inside the object.
        path: Option<String>,
        /// Of an issue: the stable code of its cause.
        code: Option<String>,
        /// Of an issue or a note: one line for people.
        message: Option<String>,
        /// Items finished.
        items_done: u64,
        /// Items in all, once known.
        items_total: Option<u64>,
        /// Plain bytes read from the source, or written to the target.
        bytes_done: u64,
        /// Plain bytes in all, once known.
        bytes_total: Option<u64>,
        /// Bytes that reached the repository.
        bytes_stored: u64,
        /// Items that failed so far.
        failed: u64,
        /// Set while a service asked to wait: how much longer, in seconds.
        throttled_for: Option<f64>,
    }
}

impl Update {
    /// How far the call is.
    pub(crate) fn of_progress(progress: &Progress) -> Self {
        Self {
            kind: "progress".to_owned(),
            phase: progress.phase.clone(),
            path: progress.current.clone(),
            code: None,
            message: None,
            items_done: progress.items_done,
            items_total: progress.items_total,
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            bytes_stored: progress.bytes_stored,
            failed: progress.failed,
            throttled_for: progress.throttled_for.to(),
        }
    }

    /// Something that happened, and how far the call is.
    pub(crate) fn of_event(event: Event, progress: &Progress) -> Self {
        let update = Self::of_progress(progress);
        match event {
            Event::Phase { phase } => Self {
                kind: "phase".to_owned(),
                phase,
                path: None,
                ..update
            },
            Event::Issue { path, code, message } => Self {
                kind: "issue".to_owned(),
                path: Some(path),
                code: Some(code),
                message: Some(message),
                ..update
            },
            Event::Note { message } => Self {
                kind: "note".to_owned(),
                path: None,
                message: Some(message),
                ..update
            },
            other => Self {
                kind: "note".to_owned(),
                path: None,
                message: Some(format!("{other:?}")),
                ..update
            },
        }
    }
}
