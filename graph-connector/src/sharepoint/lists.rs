//! Lists of a site: a schema, stored as an item of its own, and rows.
//!
//! A row names others by numbers that hold in its own list or site alone, so rows are recovered after all schemas, those with
//! lookups after the others, and what points to a row that comes still later is set when all of them are there.

pub(crate) mod columns;
pub(crate) mod feed;
pub(crate) mod known;
pub(crate) mod make;
pub(crate) mod people;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod target;
pub(crate) mod values;
pub(crate) mod write;
