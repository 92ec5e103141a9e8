//! Drives: the connector, the emulator and the real engine together.

mod backup;
pub(crate) mod faults;
pub(crate) mod histories;
pub(crate) mod lab;
mod recovery;
