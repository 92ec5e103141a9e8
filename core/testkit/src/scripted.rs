//! A source in memory that knows the truth about itself: [`ScriptedConnector`].
//!
//! It keeps containers and items, changes them when told (between rounds, at a given step of a round, or by chance), and
//! reports the changes the way a mail service does: per container, since a cursor, with hints of removal that may be
//! moves, lost moves, expired cursors, repeated heads and items that fail. [`ScriptedConnector::truth`] says what a
//! recovery point made now must hold.

mod connector;
mod model;
mod random;
mod script;
mod target;
mod walk;

pub use connector::{ScriptedConnector, View};
pub use model::{Edit, Item};
pub use random::RandomEdits;
pub use script::{FetchTrouble, Moment, Settings};
