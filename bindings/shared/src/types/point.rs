//! Records of protected objects, recovery points and what is in them.

use nakivo_core::format::manifest::Protection;
use nakivo_core::format::{ItemKind, ItemRecord, Manifest, ObjectRecord};
use nakivo_core::recovery;
use nakivo_core::repository::Repository;

use super::{Timestamp, To};

record! {
    /// A protected object.
    ObjectInfo from ObjectRecord {
        /// Its id, stable over all points.
        id: String,
        /// Its kind: `mailbox`, `drive`, `site`, `folder`.
        kind: String,
        /// What people call it.
        name: String,
        /// Its address: the mail address of a mailbox, the URL of a site.
        address: Option<String>,
        /// The connector that it comes from: `m365`, `folder`.
        source: String,
        /// The id that the source gives it.
        native_id: String,
        /// The account that it belongs to.
        account: Option<String>,
    }
}

record! {
    /// A recovery point.
    PointInfo {
        /// Its id.
        id: String,
        /// What it protects.
        object: ObjectInfo,
        /// When its run began: the point shows the object at about this time.
        time: Timestamp,
        /// When its run ended.
        finished: Timestamp,
        /// `complete`, or `partial` when something could not be read.
        outcome: String,
        /// Items in it.
        items: u64,
        /// Sum of their sizes in bytes.
        bytes: u64,
        /// Items that are new since the point before.
        added: u64,
        /// Items that differ from the point before.
        changed: u64,
        /// Items that were in the point before and are gone.
        removed: u64,
        /// Bytes read from the source.
        bytes_read: u64,
        /// Bytes added to the repository.
        bytes_stored: u64,
        /// The job it belongs to.
        job: Option<String>,
        /// What people noted about it.
        description: Option<String>,
        /// Entries of it that are known to be unreadable; 0: nothing is known.
        lost: u64,
        /// Whether somebody keeps it until they say otherwise.
        kept_forever: bool,
        /// Until when somebody keeps it, whatever retention says.
        kept_until: Option<Timestamp>,
        /// Until when nobody can remove it, where the store locks objects.
        immutable_until: Option<Timestamp>,
    }
}

impl PointInfo {
    /// What is known of a point.
    pub(crate) fn of(repository: &Repository, point: Manifest) -> Self {
        let kept_until = match point.protection {
            Protection::Until(time) => Some(Timestamp::of_ms(time)),
            _ => None,
        };
        Self {
            kept_forever: point.protection == Protection::Forever,
            kept_until,
            immutable_until: repository.immutable_until(&point).to(),
            lost: repository.point_damage(&point.id).map_or(0, |damage| damage.lost),
            id: point.id.to(),
            object: point.object.to(),
            time: Timestamp::of_ms(point.started_ms),
            finished: Timestamp::of_ms(point.finished_ms),
            outcome: point.outcome.to(),
            items: point.counts.items,
            bytes: point.counts.bytes,
            added: point.counts.added,
            changed: point.counts.changed,
            removed: point.counts.removed,
            bytes_read: point.bytes_read,
            bytes_stored: point.bytes_stored,
            job: point.job,
            description: point.description,
        }
    }
}

record! {
    /// An item or a container of a recovery point.
    Entry {
        /// Its id at the source; empty for the root container.
        id: String,
        /// The id of the container that it lies in.
        container: String,
        /// `container`, or what the item is: `message`, `file`, `event`.
        kind: String,
        /// Subject, file name, folder name.
        name: String,
        /// Where it is, for people: names joined by `/`.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// When it was created.
        created: Option<Timestamp>,
        /// When it was last modified.
        modified: Option<Timestamp>,
        /// When it was received.
        received: Option<Timestamp>,
        /// When it was sent.
        sent: Option<Timestamp>,
        /// Its content: names of its parts, as `content` of a point takes them.
        parts: Vec<PartInfo>,
    }
}

record! {
    /// A piece of an item's content.
    PartInfo {
        /// Which piece: `mime`, `json`, `content`, `attachment:<id>`.
        name: String,
        /// Its media type, when known.
        media_type: Option<String>,
        /// Its length in bytes.
        size: u64,
    }
}

impl To<Entry> for recovery::Entry {
    fn to(self) -> Entry {
        let ItemRecord {
            kind,
            id,
            container,
            name,
            size,
            created_ms,
            modified_ms,
            received_ms,
            sent_ms,
            parts,
            ..
        } = self.record;
        Entry {
            id,
            container,
            kind: match kind {
                ItemKind::Container => "container".to_owned(),
                kind => kind.to_string(),
            },
            name,
            path: self.path,
            size,
            created: created_ms.map(Timestamp::of_ms),
            modified: modified_ms.map(Timestamp::of_ms),
            received: received_ms.map(Timestamp::of_ms),
            sent: sent_ms.map(Timestamp::of_ms),
            parts: parts
                .into_iter()
                .map(|part| PartInfo {
                    name: part.name,
                    media_type: part.media_type,
                    size: part.size,
                })
                .collect(),
        }
    }
}
