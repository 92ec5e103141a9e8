//! `nakivo emulate`: an organisation in memory, served on loopback until stopped.

use std::fmt::Write as _;

use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_emulator::{Emulator, EmulatorBuilder, EmulatorInfo, Error as EmulatorError};
use serde::Serialize;
use serde_json::json;

use crate::exit::Exit;
use crate::grammar::Emulate;
use crate::session::Session;
use crate::text as plain;

/// Serves until the user asks to stop.
pub(super) async fn run(session: &Session, arguments: &Emulate) -> Result<Exit> {
    if !arguments.listen.ip().is_loopback() {
        // Its credentials are public and it has no encryption: nobody else may reach it.
        return Err(Error::invalid(
            "--listen",
            arguments.listen,
            "a loopback address, such as 127.0.0.1:8365",
        ));
    }
    let builder = Emulator::builder().seed(arguments.seed).listen(arguments.listen);
    let builder = match &arguments.mail_from {
        Some(folder) => builder.users(0).mail_from(folder),
        None => builder
            .users(arguments.users as usize)
            .items_per_user(arguments.items),
    };
    let builder = builder
        .contacts_per_user(arguments.contacts)
        .events_per_user(arguments.events);
    let builder = match &arguments.contacts_from {
        Some(path) => builder.contacts_from(path),
        None => builder,
    };
    let builder = match arguments.files {
        0 => builder,
        files => builder.files_per_user(files),
    };
    let builder = match &arguments.files_from {
        Some(folder) => builder.files_from(folder),
        None => builder,
    };
    let builder = match arguments.sites {
        0 => builder,
        sites => builder
            .sites(sites, arguments.files)
            .rows_per_site(arguments.files),
    };
    let emulator = session.unless_cancelled(start(builder)).await?;
    let info = emulator.describe();
    let output = &session.output;
    let account = account_file(&info);
    output.record(
        "emulator",
        &Serving {
            info: &info,
            account: &account,
        },
    );
    output.line(account.trim_end());
    output.note(format!(
        "Serving {}{}{}; stop with Ctrl-C.",
        plain::plural(info.mailboxes.len() as u64, "mailbox", "mailboxes"),
        match info.drives.len() {
            0 => String::new(),
            n => format!(", {}", plain::counted(n as u64, "drive")),
        },
        match info.sites.len() {
            0 => String::new(),
            n => format!(", {}", plain::counted(n as u64, "site")),
        }
    ));
    session.cancellation().cancelled().await;
    let requests = emulator.requests().count();
    emulator.stop();
    output.record("stopped", &json!({ "requests": requests }));
    output.note(format!("Served {}.", plain::counted(requests, "request")));
    Ok(Exit::Ok)
}

/// What clients need.
#[derive(Serialize)]
struct Serving<'a> {
    #[serde(flatten)]
    info: &'a EmulatorInfo,
    /// The same as an account file.
    account: &'a str,
}

/// Starts an emulator.
///
/// # Errors
/// `NotFound`, `PermissionMissing` or `Unavailable` for the folder of mail; `Unavailable` if the port is taken.
pub(crate) async fn start(builder: EmulatorBuilder) -> Result<Emulator> {
    builder.start().await.map_err(|error| {
        let (kind, cause, hint) = match &error {
            EmulatorError::Load { source, .. } => {
                let kind = match source.kind() {
                    std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                    std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionMissing,
                    std::io::ErrorKind::NotADirectory => ErrorKind::InvalidInput,
                    _ => ErrorKind::Unavailable,
                };
                (
                    kind,
                    Some(source.to_string()),
                    "Name a folder with .eml files, or with files for a drive.",
                )
            }
            EmulatorError::Listen { source, .. } => (
                ErrorKind::Unavailable,
                Some(source.to_string()),
                "Choose another port; 0 takes any free one.",
            ),
            _ => (ErrorKind::Internal, None, "Report this."),
        };
        let message = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        Error::new(kind, message).with_hint(hint)
    })
}

/// An account file for the emulated organisation. Its secret opens nothing else.
pub(crate) fn account_file(info: &EmulatorInfo) -> String {
    let mut text = String::from("# An emulated organisation, as long as 'nakivo emulate' runs.\n");
    for address in &info.mailboxes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# mailbox {}", plain::escape(address));
    }
    for address in &info.drives {
        let _ = writeln!(text, "# drive onedrive:{}", plain::escape(address));
    }
    for address in &info.sites {
        let _ = writeln!(text, "# site {}", plain::escape(address));
    }
    for (key, value) in [
        ("display_name", "Emulated organisation"),
        ("graph_url", &info.graph_url),
        ("login_url", &info.login_url),
        ("directory_id", &info.directory_id),
        ("app_id", &info.app_id),
        ("client_secret", &info.client_secret),
    ] {
        let _ = writeln!(text, "{key} = \"{value}\"");
    }
    if !(info.drives.is_empty() && info.sites.is_empty()) {
        // Nobody else uses it, and it has no limit unless one is asked for.
        text.push_str("onedrive_units_per_minute = 0\n");
    }
    text
}
