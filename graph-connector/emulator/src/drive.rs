//! Drives: what they hold, how it came there, and the order in which it changed.

pub(crate) mod generate;
pub(crate) mod hash;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod tree;
