//! Builds requests through graph-rs-sdk: the one module that names it.
//!
//! The SDK knows which method and path an operation has; everything after that is ours, because its sending, paging and
//! retrying check too little. Ids are filled in by us as well: the SDK would split an id at a slash and drop `..`.
//! The SDK never sees a token: it is given a placeholder, and the executor sets the real one for each try.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use graph_rs_sdk::{GraphClient, GraphClientConfiguration};
use nakivo_core::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};

use crate::account::is_loopback;

/// Everything we ask of Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    ListUsers,
    GetUser,
    UserPurpose,
    MailFolders,
    ChildFolders,
    MailFolder,
    CreateMailFolder,
    CreateChildFolder,
    FolderMessages,
    FolderMessagesDelta,
    CreateFolderMessage,
    Message,
    MessageMime,
    UpdateMessage,
    MoveMessage,
    DeleteMessage,
    Attachments,
    AttachmentContent,
    CreateAttachment,
    CreateUploadSession,
    Batch,
    ContactFolders,
    ContactFolder,
    ContactChildFolders,
    CreateContactFolder,
    CreateContactChildFolder,
    ContactsDelta,
    FolderContacts,
    CreateFolderContact,
    Contact,
    UpdateContact,
    DeleteContact,
    ContactPhoto,
    ContactPhotoValue,
    PutContactPhoto,
    DefaultCalendar,
    CalendarGroups,
    GroupCalendars,
    Calendars,
    CreateCalendar,
    Calendar,
    CalendarEvents,
    CreateCalendarEvent,
    Event,
    UpdateEvent,
    DeleteEvent,
    EventAttachments,
    EventAttachmentContent,
    CreateEventAttachment,
    CreateEventUploadSession,
    EventInstances,
    UserDrive,
    Drive,
    DriveDelta,
    DriveRoot,
    DriveItem,
    DriveContent,
    DriveChild,
    CreateDriveFolder,
    UpdateDriveItem,
    DeleteDriveItem,
    PutDriveChild,
    PutDriveContent,
    UploadDriveChild,
    UploadDriveVersion,
    DriveVersions,
    RestoreDriveVersion,
    DrivePermissions,
    DriveInvite,
    DriveLink,
    AllSites,
    Site,
    SiteByPath,
    SubSites,
    SiteDrives,
    CreateList,
    ListDrive,
    Lists,
    Columns,
    CreateColumn,
    ContentTypes,
    Rows,
    RowDelta,
    Row,
    CreateRow,
    UpdateRow,
}

impl Operation {
    /// What it costs in resource units (contract 5.3); nothing outside OneDrive and SharePoint.
    pub(crate) fn units(self) -> u32 {
        match self {
            Self::UserDrive
            | Self::Drive
            | Self::DriveRoot
            | Self::DriveItem
            | Self::DriveContent
            | Self::DriveChild
            | Self::Site
            | Self::SiteByPath
            | Self::ListDrive
            | Self::Row => 1,
            Self::DriveDelta
            | Self::CreateDriveFolder
            | Self::UpdateDriveItem
            | Self::DeleteDriveItem
            | Self::PutDriveChild
            | Self::PutDriveContent
            | Self::UploadDriveChild
            | Self::UploadDriveVersion
            | Self::DriveVersions
            | Self::RestoreDriveVersion
            | Self::AllSites
            | Self::SubSites
            | Self::SiteDrives
            | Self::CreateList
            | Self::Lists
            | Self::Columns
            | Self::CreateColumn
            | Self::ContentTypes
            | Self::Rows
            | Self::RowDelta
            | Self::CreateRow
            | Self::UpdateRow => 2,
            Self::DrivePermissions | Self::DriveInvite | Self::DriveLink => 5,
            _ => 0,
        }
    }

    /// Method and path of contacts.
    fn of_contacts(self) -> Option<(Method, &'static str)> {
        Some(match self {
            Self::ContactFolders => (Method::GET, "/users/{1}/contactFolders"),
            Self::ContactFolder => (Method::GET, "/users/{1}/contactFolders/{2}"),
            Self::ContactChildFolders => (Method::GET, "/users/{1}/contactFolders/{2}/childFolders"),
            Self::CreateContactFolder => (Method::POST, "/users/{1}/contactFolders"),
            Self::CreateContactChildFolder => (Method::POST, "/users/{1}/contactFolders/{2}/childFolders"),
            Self::ContactsDelta => (Method::GET, "/users/{1}/contactFolders/{2}/contacts/delta"),
            Self::FolderContacts => (Method::GET, "/users/{1}/contactFolders/{2}/contacts"),
            Self::CreateFolderContact => (Method::POST, "/users/{1}/contactFolders/{2}/contacts"),
            Self::Contact => (Method::GET, "/users/{1}/contacts/{2}"),
            Self::UpdateContact => (Method::PATCH, "/users/{1}/contacts/{2}"),
            Self::DeleteContact => (Method::DELETE, "/users/{1}/contacts/{2}"),
            Self::ContactPhoto => (Method::GET, "/users/{1}/contacts/{2}/photo"),
            Self::ContactPhotoValue => (Method::GET, "/users/{1}/contacts/{2}/photo/$value"),
            Self::PutContactPhoto => (Method::PUT, "/users/{1}/contacts/{2}/photo/$value"),
            other => return other.of_calendars(),
        })
    }

    /// Method and path of calendars.
    fn of_calendars(self) -> Option<(Method, &'static str)> {
        Some(match self {
            Self::DefaultCalendar => (Method::GET, "/users/{1}/calendar"),
            Self::CalendarGroups => (Method::GET, "/users/{1}/calendarGroups"),
            Self::GroupCalendars => (Method::GET, "/users/{1}/calendarGroups/{2}/calendars"),
            Self::Calendars => (Method::GET, "/users/{1}/calendars"),
            Self::CreateCalendar => (Method::POST, "/users/{1}/calendars"),
            Self::Calendar => (Method::GET, "/users/{1}/calendars/{2}"),
            Self::CalendarEvents => (Method::GET, "/users/{1}/calendars/{2}/events"),
            Self::CreateCalendarEvent => (Method::POST, "/users/{1}/calendars/{2}/events"),
            Self::Event => (Method::GET, "/users/{1}/events/{2}"),
            Self::UpdateEvent => (Method::PATCH, "/users/{1}/events/{2}"),
            Self::DeleteEvent => (Method::DELETE, "/users/{1}/events/{2}"),
            Self::EventAttachments => (Method::GET, "/users/{1}/events/{2}/attachments"),
            Self::EventAttachmentContent => (Method::GET, "/users/{1}/events/{2}/attachments/{3}/$value"),
            Self::CreateEventAttachment => (Method::POST, "/users/{1}/events/{2}/attachments"),
            Self::CreateEventUploadSession => (
                Method::POST,
                "/users/{1}/events/{2}/attachments/createUploadSession",
            ),
            Self::EventInstances => (Method::GET, "/users/{1}/events/{2}/instances"),
            _ => return None,
        })
    }

    /// Method and path of what is written by hand: addresses by path are beyond the SDK. Slots stand for ids and names.
    fn written(self) -> Option<(Method, &'static str)> {
        Some(match self {
            Self::UserDrive => (Method::GET, "/users/{1}/drive"),
            Self::Drive => (Method::GET, "/drives/{1}"),
            Self::DriveDelta => (Method::GET, "/drives/{1}/root/delta"),
            Self::DriveRoot => (Method::GET, "/drives/{1}/root"),
            Self::DriveItem => (Method::GET, "/drives/{1}/items/{2}"),
            Self::DriveContent => (Method::GET, "/drives/{1}/items/{2}/content"),
            Self::DriveChild => (Method::GET, "/drives/{1}/items/{2}:/{3}:"),
            Self::CreateDriveFolder => (Method::POST, "/drives/{1}/items/{2}/children"),
            Self::UpdateDriveItem => (Method::PATCH, "/drives/{1}/items/{2}"),
            Self::DeleteDriveItem => (Method::DELETE, "/drives/{1}/items/{2}"),
            Self::PutDriveChild => (Method::PUT, "/drives/{1}/items/{2}:/{3}:/content"),
            Self::PutDriveContent => (Method::PUT, "/drives/{1}/items/{2}/content"),
            Self::UploadDriveChild => (Method::POST, "/drives/{1}/items/{2}:/{3}:/createUploadSession"),
            Self::UploadDriveVersion => (Method::POST, "/drives/{1}/items/{2}/createUploadSession"),
            Self::DriveVersions => (Method::GET, "/drives/{1}/items/{2}/versions"),
            Self::RestoreDriveVersion => (Method::POST, "/drives/{1}/items/{2}/versions/{3}/restoreVersion"),
            Self::DrivePermissions => (Method::GET, "/drives/{1}/items/{2}/permissions"),
            Self::DriveInvite => (Method::POST, "/drives/{1}/items/{2}/invite"),
            Self::DriveLink => (Method::POST, "/drives/{1}/items/{2}/createLink"),
            Self::AllSites => (Method::GET, "/sites/getAllSites"),
            Self::Site => (Method::GET, "/sites/{1}"),
            Self::SiteByPath => (Method::GET, "/sites/{1}:/{2}"),
            Self::SubSites => (Method::GET, "/sites/{1}/sites"),
            Self::SiteDrives => (Method::GET, "/sites/{1}/drives"),
            Self::CreateList => (Method::POST, "/sites/{1}/lists"),
            Self::ListDrive => (Method::GET, "/sites/{1}/lists/{2}/drive"),
            Self::Lists => (Method::GET, "/sites/{1}/lists"),
            Self::Columns => (Method::GET, "/sites/{1}/lists/{2}/columns"),
            Self::CreateColumn => (Method::POST, "/sites/{1}/lists/{2}/columns"),
            Self::ContentTypes => (Method::GET, "/sites/{1}/lists/{2}/contentTypes"),
            Self::Rows => (Method::GET, "/sites/{1}/lists/{2}/items"),
            Self::RowDelta => (Method::GET, "/sites/{1}/lists/{2}/items/delta"),
            Self::Row => (Method::GET, "/sites/{1}/lists/{2}/items/{3}"),
            Self::CreateRow => (Method::POST, "/sites/{1}/lists/{2}/items"),
            Self::UpdateRow => (Method::PATCH, "/sites/{1}/lists/{2}/items/{3}/fields"),
            other => return other.of_contacts(),
        })
    }
}

/// A method and an address, ids filled in.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
}

#[derive(Debug, Clone)]
struct Template {
    method: Method,
    url: String,
    headers: HeaderMap,
}

/// What the SDK takes for a token. Removed from every template.
const NO_TOKEN: &str = "placeholder";

/// Placeholders for the ids, in the order in which [`RequestBuilder::target`] takes them.
const SLOTS: [&str; 3] = ["nakivo-slot-one", "nakivo-slot-two", "nakivo-slot-three"];

/// Makes [`Target`]s for one Graph root.
pub(crate) struct RequestBuilder {
    client: GraphClient,
    root: Url,
    templates: Mutex<HashMap<Operation, Template>>,
}

impl std::fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("root", &self.root.as_str())
            .finish_non_exhaustive()
    }
}

impl RequestBuilder {
    /// `root` was checked by the account: a Graph host or loopback, with version and without a slash at the end.
    pub(crate) fn new(root: &Url) -> Self {
        let mut client = GraphClient::from(
            GraphClientConfiguration::new()
                .access_token(NO_TOKEN)
                .https_only(!is_loopback(root)),
        );
        if is_loopback(root) {
            client.use_test_endpoint(root);
        } else {
            client.use_endpoint(root);
        }
        Self {
            client,
            root: root.clone(),
            templates: Mutex::new(HashMap::new()),
        }
    }

    /// The Graph root, with the version.
    pub(crate) fn root(&self) -> &Url {
        &self.root
    }

    /// Method and address of `operation` with these ids, percent-encoded, and this query.
    pub(crate) fn target(
        &self,
        operation: Operation,
        ids: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Target> {
        let template = self.template(operation)?;
        let mut url = template.url;
        for (slot, id) in SLOTS.iter().zip(ids) {
            let text = match operation {
                // The address of a site has several segments.
                Operation::SiteByPath => encode_path(id)?,
                _ => encode_segment(id)?,
            };
            url = url.replace(slot, &text);
        }
        let mut url = Url::parse(&url)
            .map_err(|error| Error::internal(format!("address of {operation:?} cannot be built: {error}")))?;
        if !query.is_empty() {
            let text: Vec<String> = query
                .iter()
                .map(|(key, value)| format!("{key}={}", encode_query(value)))
                .collect();
            url.set_query(Some(&text.join("&")));
        }
        Ok(Target {
            method: template.method,
            url,
            headers: template.headers,
        })
    }

    /// The address relative to the version root, as a member of a batch wants it.
    pub(crate) fn relative(&self, target: &Target) -> String {
        let full = target.url.as_str();
        full.strip_prefix(self.root.as_str()).unwrap_or(full).to_owned()
    }

    fn template(&self, operation: Operation) -> Result<Template> {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = templates.get(&operation) {
            return Ok(template.clone());
        }
        let template = self.build(operation)?;
        templates.insert(operation, template.clone());
        Ok(template)
    }

    fn build(&self, operation: Operation) -> Result<Template> {
        let client = &self.client;
        let [one, two, three] = SLOTS;
        if let Some((method, path)) = operation.written() {
            let path = path.replace("{1}", one).replace("{2}", two).replace("{3}", three);
            return Ok(Template {
                method,
                url: format!("{}{path}", self.root),
                headers: HeaderMap::new(),
            });
        }
        let nothing = &serde_json::Value::Null;
        let handler = match operation {
            Operation::ListUsers => client.users().list_user(),
            Operation::GetUser => client.user(one).get_user(),
            Operation::UserPurpose => client.user(one).mailbox_settings().get_user_purpose(),
            Operation::MailFolders => client.user(one).mail_folders().list_mail_folders(),
            Operation::ChildFolders => client
                .user(one)
                .mail_folder(two)
                .child_folders()
                .list_child_folders(),
            Operation::MailFolder => client.user(one).mail_folder(two).get_mail_folders(),
            Operation::CreateMailFolder => client.user(one).mail_folders().create_mail_folders(nothing),
            Operation::CreateChildFolder => client
                .user(one)
                .mail_folder(two)
                .child_folders()
                .create_child_folders(nothing),
            Operation::FolderMessages => client.user(one).mail_folder(two).messages().list_messages(),
            Operation::FolderMessagesDelta => client.user(one).mail_folder(two).messages().delta(),
            Operation::CreateFolderMessage => client
                .user(one)
                .mail_folder(two)
                .messages()
                .create_messages(nothing),
            Operation::Message => client.user(one).message(two).get_messages(),
            Operation::MessageMime => client.user(one).message(two).get_messages_content(),
            Operation::UpdateMessage => client.user(one).message(two).update_messages(nothing),
            Operation::MoveMessage => client.user(one).message(two).move_message(nothing),
            Operation::DeleteMessage => client.user(one).message(two).delete_messages(),
            Operation::Attachments => client.user(one).message(two).attachments().list_attachments(),
            Operation::AttachmentContent => client
                .user(one)
                .message(two)
                .attachment(three)
                .get_attachments_content(),
            Operation::CreateAttachment => client
                .user(one)
                .message(two)
                .attachments()
                .create_attachments(nothing),
            Operation::CreateUploadSession => client
                .user(one)
                .message(two)
                .attachments()
                .create_upload_session(nothing),
            Operation::Batch => client.batch(nothing),
            other => {
                return Err(Error::internal(format!("{other:?} has no address")));
            }
        };
        let failed = |message: String| {
            Error::new(
                ErrorKind::Internal,
                format!("request for {operation:?} cannot be built: {message}"),
            )
        };
        // The token is at hand, so the future is ready at its first poll.
        let request = handler
            .build()
            .now_or_never()
            .ok_or_else(|| failed("the builder waits".to_owned()))?
            .map_err(|error| failed(error.to_string()))?
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let mut headers = request.headers().clone();
        headers.remove(reqwest::header::AUTHORIZATION);
        headers.remove(CONTENT_TYPE);
        Ok(Template {
            method: request.method().clone(),
            url: request.url().to_string(),
            headers,
        })
    }
}

/// Percent-encodes everything that is not unreserved (RFC 3986 2.3), so an id is one segment whatever it holds.
pub(crate) fn encode_segment(id: &str) -> Result<String> {
    if id.is_empty() || id == "." || id == ".." || id.len() > 1024 {
        // An URL cannot carry these as a segment: dots vanish, and an empty id would address the collection.
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "an id is empty, too long or made of dots only",
        ));
    }
    Ok(percent_encode(id))
}

/// As [`encode_segment`] for each segment of a path.
fn encode_path(path: &str) -> Result<String> {
    let segments: Result<Vec<String>> = path.split('/').map(encode_segment).collect();
    Ok(segments?.join("/"))
}

fn encode_query(value: &str) -> String {
    percent_encode(value)
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(root: &str) -> RequestBuilder {
        RequestBuilder::new(&Url::parse(root).unwrap())
    }

    #[test]
    fn paths_are_the_contracts_and_ids_are_encoded() {
        let builder = builder("https://graph.microsoft.com/v1.0");
        let target = builder
            .target(
                Operation::FolderMessagesDelta,
                &["u/1", "f+/=.."],
                &[("$select", "a,b")],
            )
            .unwrap();
        assert_eq!(
            target.url.as_str(),
            "https://graph.microsoft.com/v1.0/users/u%2F1/mailFolders/f%2B%2F%3D../messages/delta()?$select=a%2Cb"
        );
        assert_eq!(target.method, Method::GET);
        assert!(target.headers.get("authorization").is_none());
        assert_eq!(
            builder.relative(&target).split('?').next(),
            Some("/users/u%2F1/mailFolders/f%2B%2F%3D../messages/delta()")
        );
        assert!(builder.target(Operation::Message, &["u", ".."], &[]).is_err());
    }

    #[test]
    fn every_operation_can_be_built_for_loopback() {
        let builder = builder("http://127.0.0.1:1/v1.0");
        for (operation, method, path) in [
            (Operation::ListUsers, "GET", "/users"),
            (Operation::GetUser, "GET", "/users/A"),
            (
                Operation::UserPurpose,
                "GET",
                "/users/A/mailboxSettings/userPurpose",
            ),
            (Operation::MailFolders, "GET", "/users/A/mailFolders"),
            (
                Operation::ChildFolders,
                "GET",
                "/users/A/mailFolders/B/childFolders",
            ),
            (Operation::MailFolder, "GET", "/users/A/mailFolders/B"),
            (Operation::CreateMailFolder, "POST", "/users/A/mailFolders"),
            (
                Operation::CreateChildFolder,
                "POST",
                "/users/A/mailFolders/B/childFolders",
            ),
            (
                Operation::FolderMessages,
                "GET",
                "/users/A/mailFolders/B/messages",
            ),
            (
                Operation::FolderMessagesDelta,
                "GET",
                "/users/A/mailFolders/B/messages/delta()",
            ),
            (
                Operation::CreateFolderMessage,
                "POST",
                "/users/A/mailFolders/B/messages",
            ),
            (Operation::Message, "GET", "/users/A/messages/B"),
            (Operation::MessageMime, "GET", "/users/A/messages/B/$value"),
            (Operation::UpdateMessage, "PATCH", "/users/A/messages/B"),
            (Operation::MoveMessage, "POST", "/users/A/messages/B/move"),
            (Operation::DeleteMessage, "DELETE", "/users/A/messages/B"),
            (Operation::Attachments, "GET", "/users/A/messages/B/attachments"),
            (
                Operation::AttachmentContent,
                "GET",
                "/users/A/messages/B/attachments/C/$value",
            ),
            (
                Operation::CreateAttachment,
                "POST",
                "/users/A/messages/B/attachments",
            ),
            (
                Operation::CreateUploadSession,
                "POST",
                "/users/A/messages/B/attachments/createUploadSession",
            ),
            (Operation::Batch, "POST", "/$batch"),
        ] {
            let target = builder.target(operation, &["A", "B", "C"], &[]).unwrap();
            assert_eq!(target.method.as_str(), method, "{operation:?}");
            assert_eq!(builder.relative(&target), path, "{operation:?}");
        }
    }
}
