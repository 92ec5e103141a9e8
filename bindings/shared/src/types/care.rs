//! Records of what is done to recovery points and repositories.

use nakivo_core::format::manifest;
use nakivo_core::repository::{self, KeySlotKind};
use nakivo_core::retention;
use nakivo_core::{copy, format};

use super::{Damage, Issue, LogDamage, ObjectInfo, Timestamp, To};

options! {
    /// How long a recovery point is kept, whatever retention says. Nothing given: retention decides.
    Protection {
        /// Until this moment.
        until: Option<Timestamp>,
        /// Until somebody says otherwise.
        forever: bool,
    }
}

options! {
    /// Which recovery points are meant: all that is given must hold. Nothing given: every point.
    PointFilter {
        /// They are among these ids.
        points: Vec<String>,
        /// They are of this object: its name, address or id.
        object: Option<String>,
        /// They are of none of these objects: of those that nobody protects any more.
        not_of: Option<Vec<String>>,
        /// Their run began before this moment.
        older_than: Option<Timestamp>,
        /// They are neither the newest of their object nor the newest complete one.
        all_but_latest: bool,
        /// They are known to be damaged.
        damaged: bool,
        /// Only say what would go. Default: `false`.
        preview: bool,
        /// Why they go, for the log. Default: asked for.
        reason: Option<String>,
    }
}

record! {
    /// Which recovery points went, or would go.
    DeletedPoints from repository::DeletedPoints {
        /// The points that went, or would go.
        deleted: Vec<String>,
        /// Points that are meant and stay because they are protected or immutable.
        kept: Vec<String>,
        /// Number of the commit that removed them; none for a preview.
        commit: Option<u64>,
    }
}

options! {
    /// How many recovery points of an object stay: a rule that is left out is off.
    Keep {
        /// The last N points. 1 to 1,000.
        last: Option<u32>,
        /// One point a day for N days.
        daily: Option<u32>,
        /// One point a week for N weeks.
        weekly: Option<u32>,
        /// One point a month for N months.
        monthly: Option<u32>,
        /// One point a year for N years.
        yearly: Option<u32>,
        /// Whose midnight counts: IANA name. Default: `UTC`.
        zone: Option<String>,
        /// First day of the week: `monday` and so on. Default: `monday`.
        week_start: Option<String>,
    }
}

record! {
    /// What retention says of each recovery point.
    Retention {
        /// The points in the order of their commits.
        points: Vec<PlannedPoint>,
        /// Number of the commit that removed points; none if none went.
        commit: Option<u64>,
    }
}

record! {
    /// What retention says of a recovery point.
    PlannedPoint {
        /// Its id.
        point: String,
        /// Whether it goes.
        goes: bool,
        /// Why it stays, and until when, for people.
        reasons: Vec<String>,
    }
}

impl To<Retention> for retention::RetentionPlan<format::PointId> {
    fn to(self) -> Retention {
        let planned = |point: &retention::PlannedPoint<format::PointId>| PlannedPoint {
            point: point.id.to_string(),
            goes: point.goes(),
            reasons: point.kept.iter().map(ToString::to_string).collect(),
        };
        Retention {
            points: self.points.iter().map(planned).collect(),
            commit: None,
        }
    }
}

impl To<Retention> for retention::AppliedRetention {
    fn to(self) -> Retention {
        Retention {
            commit: self.commit,
            ..self.plan.to()
        }
    }
}

options! {
    /// How space is reclaimed.
    ReclaimOptions {
        /// Packs of which less than this share is wanted are written anew, 0 to 100. Default: 70.
        rewrite_below_percent: Option<u8>,
        /// Seconds that packs stay after nothing needed them. Default: 24 hours.
        grace_seconds: Option<f64>,
        /// Also write anew whatever is sealed in an older epoch of the keys than the current one. Default: `false`.
        reencrypt: bool,
        /// Only say what would be done. Default: `false`.
        preview: bool,
    }
}

record! {
    /// What was reclaimed.
    ReclaimReport {
        /// Whether it only looked.
        preview: bool,
        /// Bytes of all packs that are in use, before.
        stored_bytes: u64,
        /// Of these, what points and unfinished runs need.
        needed_bytes: u64,
        /// Packs that nothing needs.
        unused_packs: u64,
        /// Their bytes.
        unused_bytes: u64,
        /// Packs written anew without what is unused.
        rewritten_packs: u64,
        /// Their bytes, before.
        rewritten_bytes: u64,
        /// What was needed of them.
        moved_bytes: u64,
        /// Packs left behind by runs that ended early.
        stray_packs: u64,
        /// Their bytes.
        stray_bytes: u64,
        /// Packs that wait for the end of the grace period.
        waiting_packs: u64,
        /// Objects that were deleted.
        deleted_objects: u64,
        /// Bytes of the store that were freed.
        freed_bytes: u64,
        /// Objects that were to be deleted and stay because they are locked.
        locked_objects: u64,
        /// Their bytes.
        locked_bytes: u64,
        /// What can be freed in all.
        reclaimable_bytes: u64,
    }
}

impl To<ReclaimReport> for repository::ReclaimReport {
    fn to(self) -> ReclaimReport {
        ReclaimReport {
            reclaimable_bytes: self.reclaimable_bytes(),
            preview: self.preview,
            stored_bytes: self.stored_bytes,
            needed_bytes: self.needed_bytes,
            unused_packs: self.unused_packs,
            unused_bytes: self.unused_bytes,
            rewritten_packs: self.rewritten_packs,
            rewritten_bytes: self.rewritten_bytes,
            moved_bytes: self.moved_bytes,
            stray_packs: self.stray_packs,
            stray_bytes: self.stray_bytes,
            waiting_packs: self.waiting_packs,
            deleted_objects: self.deleted_objects,
            freed_bytes: self.freed_bytes,
            locked_objects: self.locked_objects,
            locked_bytes: self.locked_bytes,
        }
    }
}

options! {
    /// How a repository is healed.
    HealOptions {
        /// Only say what would be done. Default: `false`.
        preview: bool,
    }
}

record! {
    /// What was healed, and what could not be.
    HealReport from repository::HealReport {
        /// Whether it only looked.
        preview: bool,
        /// History that cannot be read and is given up.
        lost_history: Vec<LogDamage>,
        /// The commit at which history goes on behind what was lost.
        history_continues_at: Option<u64>,
        /// Index segments that were replaced.
        replaced_segments: u64,
        /// Packs that are listed anew.
        indexed_packs: u64,
        /// Checkpoints that were replaced or removed.
        replaced_checkpoints: u64,
        /// Items that could not be read.
        damaged_items: u64,
        /// Parts of items that were stored again.
        restored_parts: u64,
        /// Their bytes.
        restored_bytes: u64,
        /// What still cannot be read, with the items that need it.
        quarantined: Vec<Damage>,
        /// Points that cannot be read in full.
        damaged_points: Vec<String>,
        /// Points that were known to be damaged and are whole.
        healed_points: Vec<String>,
        /// Damaged packs that nothing needs any more.
        retired_packs: u64,
    }
}

options! {
    /// What is copied into another repository.
    CopyOptions {
        /// Only points of these objects: names, addresses or ids. Default: of all.
        objects: Vec<String>,
        /// Only these points: ids or their beginnings. Default: all.
        points: Vec<String>,
        /// Also points of which the target holds a later one of the same object. Default: `false`.
        late: bool,
    }
}

record! {
    /// What was copied.
    CopyReport {
        /// `complete`, or `partial` if the target lacks anything that was asked for.
        outcome: String,
        /// Every selected point.
        points: Vec<CopiedPoint>,
        /// Bytes that reached the target.
        bytes_stored: u64,
        /// Where the source's log is damaged: points may be missing that were stored.
        log_damage: Vec<LogDamage>,
        /// Seconds it took.
        seconds: f64,
    }
}

impl To<CopyReport> for copy::CopyReport {
    fn to(self) -> CopyReport {
        CopyReport {
            outcome: self.outcome.to(),
            points: self.points.to(),
            bytes_stored: self.written.bytes_stored,
            log_damage: self.log_damage.to(),
            seconds: self.duration.to(),
        }
    }
}

record! {
    /// What became of a point that was to be copied.
    CopiedPoint {
        /// The point, in both repositories.
        point: String,
        /// What it protects.
        object: ObjectInfo,
        /// When its run began.
        time: Timestamp,
        /// Items in it.
        items: u64,
        /// Sum of their sizes in bytes.
        bytes: u64,
        /// `planned`, `copied`, `copied_partly`, `present`, `present_partly`, `removed`, `late`, `different`, `gone` or `failed`.
        state: String,
        /// What the copy lacks because it is damaged in the source.
        issues: Vec<Issue>,
    }
}

impl To<CopiedPoint> for copy::CopiedPoint {
    fn to(self) -> CopiedPoint {
        CopiedPoint {
            point: self.point.to(),
            object: self.object.to(),
            time: Timestamp::of_ms(self.started_ms),
            items: self.items,
            bytes: self.bytes,
            state: super::word(&self.state),
            issues: self.issues.to(),
        }
    }
}

record! {
    /// What opens a repository.
    KeySlots from repository::KeySlots {
        /// The sound key slots, by time and id.
        slots: Vec<KeySlot>,
        /// What is wrong with the others.
        damaged: Vec<String>,
    }
}

record! {
    /// A passphrase or a key that opens a repository, without anything secret.
    KeySlot from repository::KeySlotSummary {
        /// Its id. Changes whenever it is written anew.
        id: String,
        /// What people call it.
        label: String,
        /// `passphrase`, `key` or `none`.
        kind: String,
        /// When it was made, RFC 3339.
        created: String,
        /// Whether the repository was opened with it.
        own: bool,
        /// Whether somebody began to remove it and did not come to the end.
        removing: bool,
    }
}

impl To<String> for KeySlotKind {
    fn to(self) -> String {
        super::word(&self)
    }
}

record! {
    /// A new recovery key. It is shown this once.
    NewKey {
        /// The key, to be printed and locked away.
        key: String,
        /// Its slot.
        slot: KeySlot,
    }
}

options! {
    /// Who may still open a repository after its keys were rotated, beside who opened it.
    RotateOptions {
        /// Further passphrases that are kept.
        keep_passphrases: Vec<String>,
        /// Recovery keys that are kept.
        keep_keys: Vec<String>,
        /// Remove every other key slot. Default: `false`, and the call fails if there is one.
        drop_others: bool,
    }
}

record! {
    /// What a rotation of the keys did.
    RotateReport from repository::RotateReport {
        /// The epoch that everything is sealed in from now on.
        epoch: u32,
        /// The commit that began it.
        commit: u64,
        /// Whether an earlier rotation was brought to its end and no further one begun.
        resumed: bool,
        /// What opens the repository now.
        kept: Vec<KeySlot>,
        /// What opened it and is gone.
        dropped: Vec<KeySlot>,
    }
}

record! {
    /// What differs between two recovery points.
    ItemChange {
        /// `added`, `removed` or `changed`.
        change: String,
        /// Id of the item.
        id: String,
        /// Id of its container.
        container: String,
        /// What it is.
        kind: String,
        /// Its name, in the newer point if it is there.
        name: String,
        /// Its size in bytes, in the newer point if it is there.
        size: u64,
    }
}

impl To<ItemChange> for repository::ItemChange {
    fn to(self) -> ItemChange {
        let (change, record) = match self {
            Self::Added(_, record) => ("added", record),
            Self::Removed(_, record) => ("removed", record),
            Self::Changed { new, .. } => ("changed", new),
        };
        ItemChange {
            change: change.to_owned(),
            id: record.id,
            container: record.container,
            kind: record.kind.to_string(),
            name: record.name,
            size: record.size,
        }
    }
}

impl TryFrom<Protection> for manifest::Protection {
    type Error = crate::NakivoError;

    fn try_from(protection: Protection) -> Result<Self, Self::Error> {
        match (protection.until, protection.forever) {
            (None, false) => Ok(Self::JobRetention),
            (None, true) => Ok(Self::Forever),
            (Some(until), false) => Ok(Self::Until(until.0.timestamp_millis())),
            (Some(_), true) => Err(Self::Error::unfit("until", "it is not allowed beside forever")),
        }
    }
}

options! {
    /// How a place is reached.
    PlaceOptions {
        /// A file with endpoint and credential of an object store.
        store_config: Option<String>,
    }
}

record! {
    /// What was deleted.
    DestroyReport from repository::DestroyReport {
        /// Objects deleted by this call.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    }
}

options! {
    /// What is brought back.
    UnhideOptions {
        /// Also key slots, those that were removed on purpose too. Default: `false`.
        keys: bool,
        /// Only say what would be done. Default: `false`.
        preview: bool,
    }
}

record! {
    /// What was brought back.
    UnhideReport from repository::UnhideReport {
        /// Objects that can be read again: paths in the repository's folder.
        lifted: Vec<String>,
        /// Objects that stay hidden because this credential may not bring them back.
        refused: Vec<String>,
        /// Key slots that are hidden and were left so.
        hidden_keys: u64,
        /// Objects that have been written over, and whose first version is still there.
        overwritten: Vec<String>,
    }
}

record! {
    /// What was locked for longer.
    RenewReport {
        /// Whether anything was to be done.
        due: bool,
        /// Objects whose lock was renewed by this call.
        renewed: u64,
        /// Whether an interrupted renewal was continued.
        resumed: bool,
        /// Objects that are listed and were not there when they were to be locked.
        missing: u64,
        /// Until when everything is locked now, at least.
        locked_until: Option<Timestamp>,
    }
}

impl To<RenewReport> for repository::RenewReport {
    fn to(self) -> RenewReport {
        RenewReport {
            due: self.due,
            renewed: self.renewed,
            resumed: self.resumed,
            missing: self.missing,
            locked_until: self.locked_ms.map(Timestamp::of_ms),
        }
    }
}

record! {
    /// Whether everything is locked for as long as it was promised.
    LockReport {
        /// Until when everything must be locked, by the newest point.
        promised: Option<Timestamp>,
        /// Objects looked at.
        objects: u64,
        /// Objects with too short a lock.
        short: u64,
        /// The first of them.
        short_locks: Vec<String>,
    }
}

impl To<LockReport> for repository::LockReport {
    fn to(self) -> LockReport {
        LockReport {
            promised: self.promised_ms.map(Timestamp::of_ms),
            objects: self.objects,
            short: self.short,
            short_locks: self.short_locks.into_iter().map(|lock| lock.object).collect(),
        }
    }
}
