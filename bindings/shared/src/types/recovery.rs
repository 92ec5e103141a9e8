//! Records of recovery and export.

use nakivo_core::connector;
use nakivo_core::recovery::{self, ItemOutcome, PlannedAction};

use super::{Entry, ObjectInfo, To};

options! {
    /// Which page of a listing.
    PageOptions {
        /// Where the page before ended. Default: the first page.
        after: Option<String>,
        /// Most entries, 1 to 10,000. Default: 100.
        limit: Option<u32>,
    }
}

record! {
    /// Part of a listing.
    Page {
        /// Containers first, then items, each in the order of their ids.
        entries: Vec<Entry>,
        /// Where the next page begins; none: there is no more.
        next: Option<String>,
    }
}

impl To<Page> for recovery::Page {
    fn to(self) -> Page {
        Page {
            entries: self.entries.to(),
            next: self.next.map(|cursor| cursor.to_string()),
        }
    }
}

options! {
    /// Which items of a recovery point are meant: everything that any of these says. Nothing said: the whole point.
    Selected {
        /// Containers and items at these paths, as listings show them.
        paths: Vec<String>,
        /// Containers and items with these ids.
        ids: Vec<String>,
        /// The items that a query finds.
        query: Option<String>,
    }
}

words! {
    /// What to do when an item to be recovered exists at the target.
    OnConflict as connector::OnConflict {
        /// Recover beside it under another name.
        Rename,
        /// Leave what exists.
        Skip,
        /// Replace what exists; never before its replacement is complete and read back.
        Overwrite,
    }
}

words! {
    /// What an export writes.
    ExportFormat as recovery::ExportFormat {
        /// One file for each item; messages as `.eml`.
        Files,
        /// The messages of each folder in one mbox file; everything else as files.
        Mbox,
    }
}

options! {
    /// Where a recovery goes.
    RecoverTo {
        /// Address, name or id of another object of the source. Default: the original.
        object: Option<String>,
        /// What to do where something exists. Default: rename.
        on_conflict: Option<OnConflict>,
    }
}

options! {
    /// Where an export goes. Exactly one of `directory` and `zip` is to be given.
    ExportTo {
        /// A directory, which must be empty or is made.
        directory: Option<String>,
        /// A ZIP archive, which must not exist, in a directory that does.
        zip: Option<String>,
        /// Default: files.
        format: Option<ExportFormat>,
    }
}

record! {
    /// How many items of a plan meet which fate.
    PlanCounts from recovery::PlanCounts {
        /// To be written where nothing is.
        create: u64,
        /// To be written under another name.
        rename: u64,
        /// To be left alone because they are there already.
        skip_identical: u64,
        /// To be left alone because something else is there.
        skip_existing: u64,
        /// To replace something.
        overwrite: u64,
        /// Not recoverable.
        cannot: u64,
        /// Bytes to be written.
        bytes: u64,
    }
}

record! {
    /// An item of a plan.
    PlannedItem {
        /// Its id in the recovery point.
        id: String,
        /// Its container's id.
        container: String,
        /// Its path, for people.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// `create`, `rename`, `skip_identical`, `skip_existing`, `overwrite` or `cannot`.
        action: String,
        /// What differs from what is there, or why it cannot be recovered.
        why: Option<String>,
        /// Of what cannot be recovered: the stable code of the cause.
        code: Option<String>,
    }
}

impl To<PlannedItem> for recovery::PlannedItem {
    fn to(self) -> PlannedItem {
        let (action, why, code) = match self.action {
            PlannedAction::Create => ("create", None, None),
            PlannedAction::Rename { difference } => ("rename", Some(difference), None),
            PlannedAction::SkipIdentical => ("skip_identical", None, None),
            PlannedAction::SkipExisting { difference } => ("skip_existing", Some(difference), None),
            PlannedAction::Overwrite { difference, .. } => ("overwrite", Some(difference), None),
            PlannedAction::Cannot { code, reason } => ("cannot", Some(reason), Some(code)),
        };
        PlannedItem {
            id: self.id,
            container: self.container,
            path: self.path,
            size: self.size,
            action: action.to_owned(),
            why,
            code,
        }
    }
}

record! {
    /// What a recovery did.
    RecoveryReport {
        /// `complete`, or `partial` when an item failed.
        outcome: String,
        /// Id of the recovery point.
        point: String,
        /// Where to.
        target: ObjectInfo,
        /// Items that are at the target now.
        recovered: u64,
        /// Items that were left alone, as planned.
        skipped: u64,
        /// Items that were not recovered.
        failed: u64,
        /// Bytes of the recovered items.
        bytes: u64,
        /// Each planned item.
        items: Vec<RecoveredItem>,
    }
}

record! {
    /// An item of a recovery.
    RecoveredItem {
        /// Its id in the recovery point.
        id: String,
        /// Its path there, for people.
        path: String,
        /// `recovered`, `skipped` or `failed`.
        outcome: String,
        /// Its id at the target.
        new_id: Option<String>,
        /// Where it is at the target, for people.
        location: Option<String>,
        /// What of it the target could not take.
        not_carried: Vec<String>,
        /// Of what failed: the stable code of the cause.
        code: Option<String>,
        /// Of what failed or was skipped: one line for people.
        message: Option<String>,
    }
}

impl To<RecoveredItem> for recovery::ItemResult {
    fn to(self) -> RecoveredItem {
        let item = RecoveredItem {
            id: self.id,
            path: self.path,
            outcome: String::new(),
            new_id: None,
            location: None,
            not_carried: Vec::new(),
            code: None,
            message: None,
        };
        match self.outcome {
            ItemOutcome::Recovered(recovered) => RecoveredItem {
                outcome: "recovered".to_owned(),
                new_id: Some(recovered.id),
                location: Some(recovered.location),
                not_carried: recovered.not_carried,
                ..item
            },
            ItemOutcome::Skipped { why } => RecoveredItem {
                outcome: "skipped".to_owned(),
                message: Some(why),
                ..item
            },
            ItemOutcome::Failed { code, message } => RecoveredItem {
                outcome: "failed".to_owned(),
                code: Some(code),
                message: Some(message),
                ..item
            },
        }
    }
}

impl To<RecoveryReport> for recovery::RecoveryReport {
    fn to(self) -> RecoveryReport {
        RecoveryReport {
            outcome: self.outcome.to(),
            point: self.point.to(),
            target: self.target.to(),
            recovered: self.counts.recovered,
            skipped: self.counts.skipped,
            failed: self.counts.failed,
            bytes: self.counts.bytes,
            items: self.items.to(),
        }
    }
}

record! {
    /// What an export wrote.
    ExportReport {
        /// `complete`, or `partial` when an item is missing.
        outcome: String,
        /// Id of the recovery point.
        point: String,
        /// Items whose content was written and matched its stored hash.
        items: u64,
        /// Items that have no content, such as symbolic links: listed only.
        listed_only: u64,
        /// Bytes of the items' content.
        bytes: u64,
        /// Items that are not in the export.
        failed: Vec<ExportFailure>,
    }
}

record! {
    /// An item that is not in an export.
    ExportFailure from recovery::ExportFailure {
        /// Its id, or that of the container whose listing is damaged.
        id: String,
        /// Its path, for people.
        path: String,
        /// Stable code of the cause.
        code: String,
        /// One line for people.
        message: String,
    }
}

impl To<ExportReport> for recovery::ExportReport {
    fn to(self) -> ExportReport {
        ExportReport {
            outcome: self.outcome.to(),
            point: self.point.to(),
            items: self.items,
            listed_only: self.listed_only,
            bytes: self.bytes,
            failed: self.failed.to(),
        }
    }
}
