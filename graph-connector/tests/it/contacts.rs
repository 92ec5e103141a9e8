//! Contacts from the emulator into a repository and back.

mod backup;
mod faults;
mod histories;
mod lab;
mod recovery;
