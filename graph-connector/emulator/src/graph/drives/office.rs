//! Office files in document libraries: the service writes properties of the item into them as they arrive, so what is
//! stored has another size and hash than what was sent.

use crate::drive::tree::{Drive, Home};
use crate::mail::data::Data;
use crate::world::World;

const EXTENSIONS: [&str; 6] = [".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".pptm"];
const MARK: &[u8] = b"\n<!-- promoted ";

/// What the service stores of an upload.
pub(crate) fn stored(world: &World, drive: &Drive, name: &str, data: Data) -> Data {
    let lower = name.to_lowercase();
    let office = EXTENSIONS.iter().any(|end| lower.ends_with(end));
    let Home::Library { list, .. } = &drive.home else {
        return data;
    };
    if !office || data.len() == 0 || !world.settings().rewrite_office_files {
        return data;
    }
    let bytes = data.bytes();
    // What it wrote before is written anew: the size stays, the hash does not.
    let whole = bytes
        .windows(MARK.len())
        .rposition(|window| window == MARK)
        .unwrap_or(bytes.len());
    let note = format!("{list} {:016x} -->\n", drive.version);
    Data::Bytes([&bytes[..whole], MARK, note.as_bytes()].concat().into())
}
