//! The classes.

mod director;
mod emulator;
mod forms;
mod place;
mod point;
mod repository;
mod run;
mod source;
mod stream;

pub use director::{Director, EventStream};
pub use emulator::Emulator;
pub use place::Place;
pub use point::{Point, RecoveryPlan};
pub use repository::Repository;
pub use run::*;
pub use source::Source;
pub use stream::{ByteStream, ChangeStream, EntryStream};

/// The classes that are listings, and what they list.
pub(crate) const STREAMS: &[(&str, &str)] = &[
    ("EntryStream", "Entry"),
    ("ChangeStream", "ItemChange"),
    ("EventStream", "DirectorEvent"),
    ("ByteStream", "Bytes"),
];
