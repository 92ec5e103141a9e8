//! Which handler answers which path, and which permission it wants.

use crate::graph::drives::{self, address::Address};
use crate::graph::sites::{self, address::SiteAddress};
use crate::graph::{
    Call, attachments, calendars, compose, contacts, delta, folders, messages, upload, users,
};
use crate::http::reply::{GraphError, Reply};
use crate::http::request::Request;

/// Who answers with a 403, and in which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Directory,
    Outlook,
}

/// A recognised call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Organization,
    Users,
    UserCount,
    User(String),
    Settings(String),
    Purpose(String),
    Translate(String),
    Folders(String, Option<String>),
    FolderDelta(String),
    Folder(String, String),
    FolderMove(String, String, bool),
    Messages(String, Option<String>),
    MessageDelta(String, String),
    Message(String, Option<String>, String),
    Mime(String, Option<String>, String),
    MessageMove(String, Option<String>, String, bool),
    Attachments(String, String),
    UploadSession(String, String),
    Attachment(String, String, String),
    AttachmentValue(String, String, String),
    Drive(Address),
    Site(SiteAddress),
    Contacts(contacts::Address),
    Calendars(calendars::Address),
}

/// What a request is about. `None`: nothing is there.
pub(crate) fn of(request: &Request) -> Option<Route> {
    match drives::address::parse(request.path()) {
        Some(address) => Some(Route::Drive(address)),
        None => sites::address::parse(request.path())
            .map(Route::Site)
            .or_else(|| contacts::of(request).map(Route::Contacts))
            .or_else(|| calendars::of(request).map(Route::Calendars))
            .or_else(|| route(request.segments.get(1..).unwrap_or_default())),
    }
}

/// Reads the segments after the version.
fn route(segments: &[String]) -> Option<Route> {
    let lower: Vec<String> = segments
        .iter()
        .map(|s| s.to_lowercase().trim_start_matches("microsoft.graph.").to_owned())
        .collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let id = |n: usize| segments[n].clone();
    Some(match words.as_slice() {
        ["organization"] => Route::Organization,
        ["users"] => Route::Users,
        ["users", "$count"] => Route::UserCount,
        ["users", _] => Route::User(id(1)),
        ["users", _, "mailboxsettings"] => Route::Settings(id(1)),
        ["users", _, "mailboxsettings", "userpurpose"] => Route::Purpose(id(1)),
        ["users", _, "translateexchangeids"] => Route::Translate(id(1)),
        ["users", _, "mailfolders"] => Route::Folders(id(1), None),
        ["users", _, "mailfolders", "delta"] => Route::FolderDelta(id(1)),
        ["users", _, "mailfolders", _] => Route::Folder(id(1), id(3)),
        ["users", _, "mailfolders", _, "move"] => Route::FolderMove(id(1), id(3), false),
        ["users", _, "mailfolders", _, "copy"] => Route::FolderMove(id(1), id(3), true),
        ["users", _, "mailfolders", _, "messages", "delta"] => Route::MessageDelta(id(1), id(3)),
        ["users", _, "mailfolders", _, "childfolders", rest @ ..] => {
            // childFolders/{id}/... is the folder itself.
            match rest {
                [] => Route::Folders(id(1), Some(id(3))),
                [_] => Route::Folder(id(1), id(5)),
                _ => {
                    let mut shorter = vec![id(0), id(1), "mailFolders".into()];
                    shorter.extend_from_slice(&segments[5..]);
                    return route(&shorter);
                }
            }
        }
        ["users", _, "mailfolders", _, "messages", rest @ ..] => {
            return message(&id(1), Some(id(3)), rest, &segments[5..]);
        }
        ["users", _, "messages", rest @ ..] => return message(&id(1), None, rest, &segments[3..]),
        _ => return None,
    })
}

fn message(user: &str, folder: Option<String>, words: &[&str], segments: &[String]) -> Option<Route> {
    let user = user.to_owned();
    let id = |n: usize| segments[n].clone();
    Some(match words {
        [] => Route::Messages(user, folder),
        // There is no delta over a whole mailbox.
        ["delta"] => return None,
        [_] => Route::Message(user, folder, id(0)),
        [_, "$value"] => Route::Mime(user, folder, id(0)),
        [_, "move"] => Route::MessageMove(user, folder, id(0), false),
        [_, "copy"] => Route::MessageMove(user, folder, id(0), true),
        [_, "attachments"] => Route::Attachments(user, id(0)),
        [_, "attachments", "createuploadsession"] => Route::UploadSession(user, id(0)),
        [_, "attachments", _] => Route::Attachment(user, id(0), id(2)),
        [_, "attachments", _, "$value"] => Route::AttachmentValue(user, id(0), id(2)),
        _ => return None,
    })
}

impl Route {
    /// The user whose mailbox the call enters.
    pub(crate) fn mailbox(&self) -> Option<&str> {
        match self {
            Self::Organization
            | Self::Users
            | Self::UserCount
            | Self::User(_)
            | Self::Drive(_)
            | Self::Site(_) => None,
            Self::Settings(u)
            | Self::Purpose(u)
            | Self::Translate(u)
            | Self::Folders(u, _)
            | Self::FolderDelta(u)
            | Self::Folder(u, _)
            | Self::FolderMove(u, _, _)
            | Self::Messages(u, _)
            | Self::MessageDelta(u, _)
            | Self::Message(u, _, _)
            | Self::Mime(u, _, _)
            | Self::MessageMove(u, _, _, _)
            | Self::Attachments(u, _)
            | Self::UploadSession(u, _)
            | Self::Attachment(u, _, _)
            | Self::AttachmentValue(u, _, _) => Some(u),
            Self::Contacts(address) => Some(&address.user),
            Self::Calendars(address) => Some(&address.user),
        }
    }

    /// Application permissions of which one is needed (permission data of August 2026).
    fn permissions(&self, method: &str) -> (Service, &'static [&'static str]) {
        const READ: [&str; 2] = ["Mail.Read", "Mail.ReadWrite"];
        const READ_BASIC: [&str; 4] = [
            "Mail.ReadBasic.All",
            "Mail.ReadBasic",
            "Mail.Read",
            "Mail.ReadWrite",
        ];
        let write = !matches!(method, "GET" | "HEAD");
        match self {
            Self::Organization => (
                Service::Directory,
                &[
                    "Organization.Read.All",
                    "Organization.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                    "User.Read.All",
                ],
            ),
            Self::Users | Self::UserCount | Self::User(_) => (
                Service::Directory,
                &[
                    "User.ReadBasic.All",
                    "User.Read.All",
                    "User.ReadWrite.All",
                    "Directory.Read.All",
                    "Directory.ReadWrite.All",
                ],
            ),
            Self::Translate(_) => (Service::Outlook, &["User.Read.All", "User.ReadWrite.All"]),
            Self::Settings(_) | Self::Purpose(_) if write => {
                (Service::Outlook, &["MailboxSettings.ReadWrite"])
            }
            Self::Settings(_) | Self::Purpose(_) => (
                Service::Outlook,
                &["MailboxSettings.Read", "MailboxSettings.ReadWrite"],
            ),
            _ if write => (Service::Outlook, &["Mail.ReadWrite"]),
            Self::Mime(..) | Self::Attachments(..) | Self::Attachment(..) | Self::AttachmentValue(..) => {
                (Service::Outlook, &READ)
            }
            _ => (Service::Outlook, &READ_BASIC),
        }
    }
}

/// Answers a call.
pub(crate) fn answer(call: &Call<'_>, route: &Route) -> Result<Reply, GraphError> {
    let method = call.request.method.as_str();
    if let Route::Drive(address) = route {
        return drives::answer(call, address);
    }
    if let Route::Site(address) = route {
        return sites::answer(call, address);
    }
    if let Route::Contacts(address) = route {
        return contacts::answer(call, address);
    }
    if let Route::Calendars(address) = route {
        return calendars::answer(call, address);
    }
    let (service, needed) = route.permissions(method);
    if !needed.iter().any(|p| call.has(p)) {
        return Err(match service {
            Service::Directory => GraphError::new(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ),
            Service::Outlook => GraphError::access_denied(),
        });
    }
    match (method, route) {
        ("GET", Route::Organization) => users::organization(call),
        ("GET", Route::Users) => users::list(call),
        ("GET", Route::UserCount) => users::count(call),
        ("GET", Route::User(u)) => users::get(call, u),
        ("GET", Route::Settings(u)) => users::settings(call, u),
        ("GET", Route::Purpose(u)) => users::purpose(call, u),
        ("POST", Route::Translate(u)) => messages::translate(call, u),
        ("GET", Route::Folders(u, parent)) => folders::list(call, u, parent.as_deref()),
        ("POST", Route::Folders(u, parent)) => folders::create(call, u, parent.as_deref()),
        ("GET", Route::FolderDelta(u)) => delta::folders(call, u),
        ("GET", Route::Folder(u, f)) => folders::get(call, u, f),
        ("PATCH", Route::Folder(u, f)) => folders::update(call, u, f),
        ("DELETE", Route::Folder(u, f)) => folders::delete(call, u, f),
        ("POST", Route::FolderMove(u, f, copy)) => folders::relocate(call, u, f, *copy),
        ("GET", Route::Messages(u, f)) => messages::list(call, u, f.as_deref()),
        ("POST", Route::Messages(u, f)) => compose::create(call, u, f.as_deref()),
        ("GET", Route::MessageDelta(u, f)) => delta::messages(call, u, f),
        ("GET", Route::Message(u, f, id)) => messages::get(call, u, f.as_deref(), id),
        ("PATCH", Route::Message(u, _, id)) => compose::update(call, u, id),
        ("DELETE", Route::Message(u, f, id)) => messages::delete(call, u, f.as_deref(), id),
        ("GET", Route::Mime(u, f, id)) => messages::value(call, u, f.as_deref(), id),
        ("POST", Route::MessageMove(u, f, id, copy)) => messages::relocate(call, u, f.as_deref(), id, *copy),
        ("GET", Route::Attachments(u, id)) => attachments::list(call, u, id),
        ("POST", Route::Attachments(u, id)) => attachments::create(call, u, id),
        ("POST", Route::UploadSession(u, id)) => upload::create(call, u, id),
        ("GET", Route::Attachment(u, id, a)) => attachments::get(call, u, id, a),
        ("DELETE", Route::Attachment(u, id, a)) => attachments::delete(call, u, id, a),
        ("GET", Route::AttachmentValue(u, id, a)) => attachments::value(call, u, id, a),
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// The path without ids, for counters: `/users/{id}/messages/{id}/$value`.
pub(crate) fn operation(request: &Request) -> String {
    const WORDS: [&str; 24] = [
        "v1.0",
        "organization",
        "users",
        "$count",
        "mailboxsettings",
        "userpurpose",
        "translateexchangeids",
        "mailfolders",
        "delta",
        "move",
        "copy",
        "messages",
        "childfolders",
        "$value",
        "attachments",
        "createuploadsession",
        "$batch",
        "oauth2",
        "v2.0",
        "token",
        ".well-known",
        "openid-configuration",
        "api",
        "attachmentsessions",
    ];
    const SHOWN: [&str; 24] = [
        "v1.0",
        "organization",
        "users",
        "$count",
        "mailboxSettings",
        "userPurpose",
        "translateExchangeIds",
        "mailFolders",
        "delta",
        "move",
        "copy",
        "messages",
        "childFolders",
        "$value",
        "attachments",
        "createUploadSession",
        "$batch",
        "oauth2",
        "v2.0",
        "token",
        ".well-known",
        "openid-configuration",
        "api",
        "attachmentSessions",
    ];
    if let Some(address) = drives::address::parse(request.path()) {
        return address.operation();
    }
    if let Some(address) = sites::address::parse(request.path()) {
        return address.operation();
    }
    if let Some(address) = contacts::of(request) {
        return address.operation();
    }
    if let Some(address) = calendars::of(request) {
        return address.operation();
    }
    let mut out = String::new();
    for (n, segment) in request.segments.iter().enumerate() {
        let lower = segment.to_lowercase();
        let lower = lower.trim_start_matches("microsoft.graph.");
        if n == 0 && lower == "v1.0" {
            continue;
        }
        out.push('/');
        out.push_str(
            WORDS
                .iter()
                .position(|w| *w == lower)
                .map_or("{id}", |p| SHOWN[p]),
        );
    }
    out
}
