//! HTTP without Graph: requests taken apart, replies put together, the three listeners.

pub(crate) mod path;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod server;
