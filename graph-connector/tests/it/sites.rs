//! Sites: the connector, the emulator and the real engine together.

mod backup;
mod faults;
mod histories;
mod lab;
pub(crate) mod lists;
mod recovery;
