//! The classes.

mod emulator;
mod point;
mod repository;
mod run;
mod source;
mod stream;

pub use emulator::Emulator;
pub use point::{Point, RecoveryPlan};
pub use repository::Repository;
pub use run::*;
pub use source::Source;
pub use stream::{ByteStream, EntryStream};

/// The classes that are listings, and what they list.
pub(crate) const STREAMS: &[(&str, &str)] = &[("EntryStream", "Entry"), ("ByteStream", "Bytes")];
