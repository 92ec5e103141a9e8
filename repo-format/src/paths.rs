//! Where each object lives, relative to the folder `NakivoBackup`.

use crate::ids::{IndexId, PackId, SlotId};

/// The folder that holds a repository.
pub const ROOT: &str = "NakivoBackup";
/// The repository's configuration.
pub const FORMAT: &str = "format.json";
/// The folder of key slots.
pub const KEYS: &str = "keys";
/// The folder of commit records.
pub const LOG: &str = "log";
/// The folder of checkpoints.
pub const CHECKPOINT: &str = "checkpoint";
/// The folder of index segments.
pub const INDEX: &str = "index";
/// The folder of packs.
pub const PACKS: &str = "packs";

/// The path of a pack: `packs/<first two digits>/<id>`.
#[must_use]
pub fn pack(id: &PackId) -> String {
    let hex = id.to_string();
    format!("{PACKS}/{}/{hex}", &hex[..2])
}

/// The path of an index segment.
#[must_use]
pub fn index(id: &IndexId) -> String {
    format!("{INDEX}/{id}")
}

/// The path of a commit: 20 decimal digits, so that names sort as numbers do.
#[must_use]
pub fn commit(seq: u64) -> String {
    format!("{LOG}/{seq:020}")
}

/// The path of a checkpoint.
#[must_use]
pub fn checkpoint(seq: u64) -> String {
    format!("{CHECKPOINT}/{seq:020}")
}

/// The path of a key slot.
#[must_use]
pub fn key_slot(id: &SlotId) -> String {
    format!("{KEYS}/{id}")
}

/// The sequence number in the name (last path element) of a commit or checkpoint.
///
/// `None` for anything that is not exactly 20 decimal digits of a number that fits.
#[must_use]
pub fn parse_seq(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit()))
        .then(|| name.parse().ok())
        .flatten()
}
