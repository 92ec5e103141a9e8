//! An emulator of mail, OneDrive and SharePoint in Microsoft Graph v1.0: an HTTP/1.1 server on loopback that hands out tokens, lists
//! users, folders, messages and files, tracks changes with delta links, serves MIME and content, takes new messages,
//! attachments and files, and refuses what Graph refuses. It needs no account, no network and no TLS.
//!
//! ```no_run
//! # async fn run() -> Result<(), nakivo_graph_emulator::Error> {
//! use nakivo_graph_emulator::{Emulator, Fault};
//!
//! let emulator = Emulator::builder().seed(7).users(5).items_per_user(200).start().await?;
//! let anna = &emulator.mailboxes()[0];
//! anna.add_message("inbox", b"From: a@b.example\r\nSubject: Hello\r\n\r\nHi\r\n")?;
//! emulator.faults().add(Fault::status(503).retry_after(2).path("messages/delta").at_request(3));
//! // ... point a client at emulator.graph_url() and emulator.login_url() ...
//! assert!(emulator.requests().writes().is_empty());
//! emulator.stop();
//! # Ok(())
//! # }
//! ```
//!
//! Where it differs from the real service on purpose: `$value` of a loaded message gives the loaded bytes (the real
//! service rebuilds MIME on each call; [`Settings::rebuild_mime`] does that here), and nothing is ever sent.

mod admin;
mod builder;
mod calendars;
mod clock;
mod contacts;
mod control;
mod drive;
mod faults;
mod files;
mod generate;
mod graph;
mod http;
mod identity;
mod ids;
mod load;
mod log;
mod mail;
mod outlook;
mod random;
mod site;
mod sites;
mod world;

pub use builder::{Emulator, EmulatorBuilder, EmulatorInfo, Error};
pub use calendars::{Calendars, EventTruth};
pub use contacts::{ContactTruth, Contacts};
pub use control::{Change, DeltaScope, Faults, FolderTruth, Mailbox, MessageTruth};
pub use faults::{Action, Damage, Fault, FaultBody, LinkFault};
pub use files::{Drive, FileTruth, Lie};
pub use generate::people::Purpose;
pub use identity::{App, DEFAULT_ROLES};
pub use log::{Counters, RequestRecord, Requests};
pub use sites::{List, Site};
pub use world::Settings;
