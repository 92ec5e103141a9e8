//! A disk that loses power: which states the flushes of the local store allow.
//!
//! [`Recorder`] notes what a piece of work does to a store, with the moments at which each change began and was
//! acknowledged. [`Disk`] expands each change into the system calls of the local store ([`What::calls`]; a test compares them
//! with what the kernel is really asked for) and says what may be on the disk when the power fails at one of these moments:
//!
//! * What was acknowledged before is applied. Of what was under way, each change may have come to any of its calls.
//! * A directory entry that was not flushed since it changed is, each by itself, as it was or as any of the changes made it.
//!   Removing an object flushes nothing, so an acknowledged removal may be undone until something else flushes the directory.
//! * The bytes of a file that was not flushed are there up to any byte, and behind that missing, zeroes, or what lay on these
//!   blocks before.
//!
//! With [`Flushes::OnlyDirectories`] the flush of a file does nothing until its directory is flushed: a disk that puts the two
//! off and then does them in any order, or a store that keeps the beginning of an object before it acknowledged any. That
//! leaves half-written objects under their final names.

mod model;
mod record;

pub use model::{Disk, Flushes, Freedom, Moment, State, Tear};
pub use record::{Call, Change, Recorder, Recording, What};
