//! Microsoft 365 for the SDK: reads mailboxes, drives and sites through Microsoft Graph and writes them back.
//!
//! [`M365Connector`] implements the port of `nakivo_core::connector` as any stranger's connector would. Rooms, ground
//! up: `http` (the seam), `request` (addresses, through graph-rs-sdk), `token`, `governor`, `executor` (sends, waits,
//! repeats), `fault` (what errors mean), `pages` and `batch`; above them `exchange` (mail, contacts, calendars), `drives`,
//! `sharepoint` and `discovery`.

mod account;
mod batch;
mod connector;
mod discovery;
mod drives;
mod exchange;
mod executor;
mod fault;
mod governor;
mod graph;
mod http;
mod json;
mod pages;
mod permissions;
mod request;
mod sharepoint;
mod sources;
mod target;
mod token;

pub use account::{AccountConfig, DEFAULT_GRAPH_URL, DEFAULT_LOGIN_URL, DEFAULT_UNITS_PER_MINUTE, Secret};
pub use connector::{CONNECTOR_NAME, M365Connector};
pub use discovery::{DiscoveredUser, MailboxPurpose, PermissionCheck};
pub use exchange::service::MailboxService;
pub use http::{CONNECT_TIMEOUT, Http, HttpError, HttpRequest, HttpResponse, READ_TIMEOUT, ReqwestHttp};
pub use permissions::{PERMISSIONS, Permission, Phase};
pub use sources::{Service, Sources};

pub use reqwest;
