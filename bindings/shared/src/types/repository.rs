//! Records of repositories.

use nakivo_core::{format, repository};

options! {
    /// How a repository is opened.
    OpenOptions {
        /// The passphrase of an encrypted repository.
        passphrase: Option<String>,
        /// Instead of the passphrase: a recovery key as it was printed.
        key: Option<String>,
        /// Instead of the passphrase: a file whose first line is the passphrase.
        passphrase_file: Option<String>,
        /// Instead of the passphrase: a file with a recovery key.
        key_file: Option<String>,
        /// A file with endpoint and credential of an object store; see "Object stores" in the guide.
        store_config: Option<String>,
        /// Where to remember the newest commit seen and how far verifications came. Default: nothing is remembered when the
        /// process has ended, so that a store that was set back meanwhile goes unnoticed.
        state_dir: Option<String>,
        /// Open although the store shows an older or another history than the one seen before, and go on from it. Default:
        /// `false`.
        accept_history: bool,
        /// Plain bytes of blocks kept in memory. Default: 20 MiB.
        cache_bytes: Option<u64>,
    }
}

options! {
    /// How a repository is made.
    CreateOptions {
        /// Protects the repository's keys with this passphrase. Without this, a key or a file that holds one of them, whoever can
        /// read the store can read the backups.
        passphrase: Option<String>,
        /// Instead of the passphrase: a recovery key.
        key: Option<String>,
        /// Instead of the passphrase: a file whose first line is the passphrase.
        passphrase_file: Option<String>,
        /// Instead of the passphrase: a file with a recovery key.
        key_file: Option<String>,
        /// Whether the repository may be without a passphrase or a key. Default: `false`, so that nobody forgets it.
        unencrypted: bool,
        /// A file with endpoint and credential of an object store.
        store_config: Option<String>,
        /// As of [`OpenOptions`].
        state_dir: Option<String>,
        /// How hard new data is compressed. Default: medium.
        compression: Option<Compression>,
        /// What the first key slot is for, in words. Default: empty.
        description: Option<String>,
        /// Days after it was made during which nobody can remove a recovery point or what it needs, 1 to 3650; the store must
        /// be an S3 bucket with object lock. Default: nothing is locked.
        immutable_days: Option<u32>,
    }
}

words! {
    /// How hard new data is compressed.
    Compression as format::Compression {
        /// Data is stored as it is.
        Disabled,
        /// zstd level 1.
        Fast,
        /// zstd level 3.
        Medium,
        /// zstd level 12.
        Best,
    }
}

record! {
    /// Figures of a repository.
    RepositoryInfo from repository::RepositoryInfo {
        /// Its id.
        id: String,
        /// Format version.
        version: u32,
        /// When it was made, RFC 3339.
        created: String,
        /// Whether a passphrase or key protects it.
        encrypted: bool,
        /// How hard new data is compressed.
        compression: String,
        /// Number of the newest commit; 0 for an empty repository.
        head: u64,
        /// Protected objects.
        objects: u64,
        /// Recovery points.
        points: u64,
        /// Packs.
        packs: u64,
        /// Chunks.
        chunks: u64,
        /// Bytes of all packs.
        stored_bytes: u64,
        /// Plain bytes of all chunks: deduplicated, not compressed.
        unique_bytes: u64,
        /// Sum of the sizes of all items in all points.
        logical_bytes: u64,
        /// Logical bytes for one stored byte; 0 for an empty repository.
        ratio: f64,
        /// The epoch that new data is sealed in; 0 before the first rotation of the keys.
        epoch: u32,
        /// Whether damage of the log allows reading only.
        read_only: bool,
        /// Where the log is damaged.
        log_damage: Vec<LogDamage>,
        /// Recovery points known to be damaged.
        damaged_points: u64,
        /// Packs known to hold data that cannot be read.
        damaged_packs: u64,
        /// Damage found when opening and worked around.
        notes: Vec<String>,
    }
}

record! {
    /// Where the log is damaged.
    LogDamage from repository::LogDamage {
        /// The damaged or missing object: its path in the repository's folder.
        object: String,
        /// What is wrong with it.
        what: String,
    }
}

options! {
    /// What is verified, and how thoroughly.
    VerifyOptions {
        /// Read the content of only this share of packs and items, 1 to 100. Structure is always read in full. Default: all.
        sample_percent: Option<u8>,
        /// Chooses the sample; the same seed chooses the same one. Default: random, and told in the report.
        seed: Option<u64>,
        /// Only what this object's points need: its name, address or id. Default: everything.
        object: Option<String>,
        /// Only what this point needs: its id or the beginning of it. Default: everything.
        point: Option<String>,
        /// Leave out joining each item's content to compare it with the hash taken when it was read from its source.
        skip_content_hashes: bool,
        /// Write into the log what is damaged and what is whole again. Default: `false`, nothing is written.
        record: bool,
        /// Go on where an earlier verification of the same scope was cancelled or ran out of time. Default: `false`.
        resume: bool,
        /// Stop after this many seconds; a later call can go on. Default: none.
        max_seconds: Option<f64>,
    }
}

record! {
    /// What was read, and what is wrong.
    VerifyReport from repository::VerifyReport {
        /// Objects read besides packs: configuration, key slots, commits, checkpoints, index segments.
        objects: u64,
        /// Packs read whole.
        packs: u64,
        /// Chunks in them.
        chunks: u64,
        /// Bytes of the store that were read in that.
        bytes: u64,
        /// Recovery points walked through.
        points: u64,
        /// Items seen; an item that several points share unchanged counts once.
        items: u64,
        /// Plain bytes of content joined and compared with their hash.
        content_bytes: u64,
        /// Damage, by object. Empty: nothing is damaged.
        damage: Vec<Damage>,
        /// Ids of the points that cannot be read in full.
        damaged_points: Vec<String>,
        /// Whether everything in scope was read; `false` for a sample, and where time ran out.
        complete: bool,
        /// Whether time ran out: a later call with `resume` goes on.
        interrupted: bool,
        /// Whether an earlier verification was continued.
        resumed: bool,
        /// Why what was found could not be written into the log, if it could not.
        unrecorded: Option<String>,
        /// Number of the commit that says what was found.
        recorded: Option<u64>,
        /// The seed that chose the sample.
        seed: u64,
    }
}

record! {
    /// Something damaged, and what it affects.
    Damage from repository::Damage {
        /// The damaged object: its path in the repository's folder.
        object: String,
        /// What is wrong with it.
        what: String,
        /// Items that cannot be read because of it; at most 10,000 are listed.
        affected: Vec<AffectedItem>,
        /// How many items that are in all, over all points.
        affected_count: u64,
    }
}

record! {
    /// An item that damage makes unreadable.
    AffectedItem from repository::AffectedItem {
        /// Name of the protected object.
        object: String,
        /// The recovery point.
        point: String,
        /// Where the item is in it, or which stretch of its listing is lost.
        path: String,
    }
}
