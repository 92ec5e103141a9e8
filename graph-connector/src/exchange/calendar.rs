//! Calendars: what a mailbox holds of them and how they are read and written back.
//!
//! Graph 1.0 has no feed of changes for every event of every calendar, so each run lists all events with their change keys and
//! reads those that changed. The JSON is the primary copy, times in the zone of the event, exceptions of a series inside; files
//! are parts of their own, and the part `icalendar` is made for export.

pub(crate) mod draft;
pub(crate) mod fetch;
pub(crate) mod folders;
pub(crate) mod icalendar;
pub(crate) mod map;
pub(crate) mod series;
pub(crate) mod target;
