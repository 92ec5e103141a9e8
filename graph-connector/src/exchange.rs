//! Exchange Online.

pub(crate) mod mail;
