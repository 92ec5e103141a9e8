//! Sites: the connector, the emulator and the real engine together.

mod backup;
mod lab;
mod recovery;
