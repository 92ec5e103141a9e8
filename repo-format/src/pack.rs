//! Packs: one stored object that holds many sealed blocks, with a sealed directory at the end.
//!
//! ```text
//! header (64) ‖ block ‖ block ‖ ... ‖ sealed directory ‖ footer (16)
//! footer = directory length u32 ‖ block count u32 ‖ "NAKIVOPK"
//! ```

mod block;
mod directory;
mod writer;

pub(crate) use block::Entries;
pub use block::{
    BlockEntry, BlockInput, BlockRole, ChunkEntry, SealedBlock, open_block, open_blocks, open_chunk,
    seal_block, seal_blocks,
};
pub use directory::{Directory, FOOTER_BYTES, PackFooter, open_directory, open_pack, verify_pack};
pub use writer::{FinishedPack, PackWriter};

/// The longest chunk in bytes of plaintext.
pub const MAX_CHUNK_BYTES: u32 = 8 << 20;
/// The longest block in bytes of plaintext.
pub const MAX_BLOCK_BYTES: u32 = MAX_CHUNK_BYTES;
/// The longest pack in bytes.
pub const MAX_PACK_BYTES: u64 = 256 << 20;
/// The longest directory in bytes of plaintext.
pub const MAX_DIRECTORY_BYTES: u32 = 64 << 20;
