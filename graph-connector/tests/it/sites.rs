//! Sites: the connector, the emulator and the real engine together.

mod backup;
mod faults;
mod histories;
mod lab;
mod lists;
mod recovery;
