//! Drives: the connector, the emulator and the real engine together.

mod backup;
mod faults;
mod histories;
pub(crate) mod lab;
mod recovery;
