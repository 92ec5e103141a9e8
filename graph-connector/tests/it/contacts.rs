//! Contacts from the emulator into a repository and back.

mod backup;
mod faults;
mod histories;
pub(crate) mod lab;
mod recovery;
