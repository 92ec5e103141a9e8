//! What can be protected, and what the credential may do.

use std::collections::BTreeMap;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use nakivo_core::format::ids::ObjectId;
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::connector::CONNECTOR_NAME;
use crate::drives;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::{Fields, lenient_string};
use crate::pages::{Page, PageReader};
use crate::request::Operation;
use crate::sharepoint::{self, discovery as sites};

/// Properties of a user that discovery needs.
const USER_FIELDS: &str = "id,displayName,userPrincipalName,mail,userType,accountEnabled";
/// Users read in one page. Source: contract 2.2.
const USER_PAGE: &str = "999";
/// Before the address of a user: the user's drive.
pub(crate) const DRIVE_PREFIX: &str = "onedrive:";
/// Mailboxes asked about at once; each is its own budget.
const CONCURRENT_PROBES: usize = 8;

/// What a user's mailbox is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxPurpose {
    /// A person's.
    User,
    /// Shared by several people.
    Shared,
    /// Of a room.
    Room,
    /// Of equipment.
    Equipment,
    /// Something else, or not known because `MailboxSettings.Read` is missing.
    Other,
}

/// A user of the directory and what is known about the mailbox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DiscoveredUser {
    /// The object that would be protected.
    pub object: ObjectRecord,
    /// None if the user has no mailbox in Exchange Online.
    pub purpose: Option<MailboxPurpose>,
    /// The user may sign in.
    pub enabled: bool,
    /// Invited from another directory.
    pub guest: bool,
}

/// One thing that the credential may or may not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PermissionCheck {
    /// The application permission.
    pub permission: &'static str,
    /// What does not work without it.
    pub blocks: &'static str,
    /// Whether it was seen to work; none if it could not be tried.
    pub granted: Option<bool>,
    /// What was seen.
    pub message: String,
}

#[derive(Debug, Clone)]
struct User {
    id: String,
    name: String,
    address: Option<String>,
    principal: String,
    enabled: bool,
    guest: bool,
}

impl User {
    fn parse(raw: &str) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        let id = fields.text("id").filter(|id| !id.is_empty())?;
        let principal = fields.text("userPrincipalName").unwrap_or_default();
        let mail = fields.text("mail").filter(|mail| !mail.is_empty());
        Some(Self {
            name: fields
                .text("displayName")
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| principal.clone()),
            address: mail.or_else(|| Some(principal.clone()).filter(|name| name.contains('@'))),
            enabled: fields.flag("accountEnabled").unwrap_or(true),
            guest: fields
                .text("userType")
                .is_some_and(|kind| kind.eq_ignore_ascii_case("guest")),
            principal,
            id,
        })
    }

    fn matches(&self, name: &str) -> bool {
        [&self.id, &self.principal, &self.name]
            .into_iter()
            .chain(&self.address)
            .any(|known| same(known, name))
            || same(&format!("{CONNECTOR_NAME}/mailbox/{}", self.id), name)
    }

    fn object(&self, account: &str) -> Result<ObjectRecord> {
        let id = ObjectId::new(format!("{CONNECTOR_NAME}/mailbox/{}", self.id)).map_err(|error| {
            Error::new(
                ErrorKind::Protocol,
                format!("a user's id cannot be used: {error}"),
            )
        })?;
        Ok(ObjectRecord {
            id,
            kind: ObjectKind::Mailbox,
            name: self.name.clone(),
            address: self.address.clone(),
            source: CONNECTOR_NAME.to_owned(),
            native_id: self.id.clone(),
            account: Some(account.to_owned()),
        })
    }
}

impl User {
    /// The user's drive as an object.
    fn drive_object(&self, account: &str, drive: &str) -> Result<ObjectRecord> {
        let id = ObjectId::new(format!("{CONNECTOR_NAME}/drive/{drive}")).map_err(|error| {
            Error::new(
                ErrorKind::Protocol,
                format!("a drive's id cannot be used: {error}"),
            )
        })?;
        let owner = self.address.as_deref().unwrap_or(&self.principal);
        Ok(ObjectRecord {
            id,
            kind: ObjectKind::Drive,
            name: format!("OneDrive of {}", self.name),
            address: Some(format!("{DRIVE_PREFIX}{owner}")),
            source: CONNECTOR_NAME.to_owned(),
            native_id: drive.to_owned(),
            account: Some(account.to_owned()),
        })
    }
}

/// Id of the user's drive; none if there is none.
async fn drive_of(graph: &Graph, user: &str) -> Result<Option<String>, Fault> {
    let query = [("$select", "id,driveType,owner")];
    let call = graph.call(&Scope::Files, Operation::UserDrive, &[user], &query)?;
    match graph.executor.json(&call).await {
        Ok(text) => Ok(Fields::parse(&text).and_then(|fields| fields.text("id"))),
        Err(fault) if fault.refused_as(|refusal| refusal.no_drive()) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// All users, page by page.
fn users<'a>(graph: &'a Graph) -> BoxStream<'a, Result<User>> {
    async_stream::try_stream! {
        let failed = |fault: Fault| fault.into_error("listing the users", Some("User.Read.All"));
        let query = [("$select", USER_FIELDS), ("$top", USER_PAGE)];
        let first = graph.call(&Scope::Directory, Operation::ListUsers, &[], &query).map_err(failed)?;
        let mut reader = PageReader::plain(&Scope::Directory);
        let mut page: Page = reader.first(graph, first).await.map_err(failed)?;
        loop {
            for user in page.elements().into_iter().filter_map(User::parse) {
                yield user;
            }
            let Some(next) = page.next.take() else { break };
            page = reader.follow(graph, &next).await.map_err(failed)?;
        }
    }
    .boxed()
}

/// All users with what is known about their mailboxes.
pub(crate) fn discover<'a>(graph: &'a Graph, account: &'a str) -> BoxStream<'a, Result<DiscoveredUser>> {
    users(graph)
        .map_ok(move |user| async move {
            let purpose = probe(graph, &user.id).await?;
            Ok(DiscoveredUser {
                object: user.object(account)?,
                purpose,
                enabled: user.enabled,
                guest: user.guest,
            })
        })
        .try_buffered(CONCURRENT_PROBES)
        .boxed()
}

/// Whether the user has a mailbox, and what for.
///
/// Guests and unlicensed users have none; shared mailboxes have one without a licence (contract 3).
async fn probe(graph: &Graph, user: &str) -> Result<Option<MailboxPurpose>> {
    match purpose(graph, user).await {
        Ok(purpose) => Ok(purpose),
        // The purpose may be withheld while the mail may be read: ask for the inbox instead.
        Err(fault) if fault.refused_as(|refusal| refusal.status == 403) => match inbox(graph, user).await {
            Ok(exists) => Ok(exists.then_some(MailboxPurpose::Other)),
            Err(fault) => Err(fault.into_error(
                "looking for the mailbox",
                Some("MailboxSettings.Read or Mail.Read"),
            )),
        },
        Err(fault) => Err(fault.into_error("looking for the mailbox", Some("MailboxSettings.Read"))),
    }
}

async fn purpose(graph: &Graph, user: &str) -> Result<Option<MailboxPurpose>, Fault> {
    let scope = Scope::Mailbox(user.into());
    let call = graph.call(&scope, Operation::UserPurpose, &[user], &[])?;
    match graph.executor.json(&call).await {
        Ok(text) => Ok(Some(read_purpose(&text))),
        Err(fault) if fault.refused_as(|refusal| refusal.no_mailbox() || refusal.item_gone()) => Ok(None),
        Err(fault) => Err(fault),
    }
}

async fn inbox(graph: &Graph, user: &str) -> Result<bool, Fault> {
    let scope = Scope::Mailbox(user.into());
    let call = graph.call(
        &scope,
        Operation::MailFolder,
        &[user, "inbox"],
        &[("$select", "id")],
    )?;
    match graph.executor.json(&call).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.refused_as(|refusal| refusal.no_mailbox() || refusal.item_gone()) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// `{"value":"shared"}`, `"shared"`, or the whole settings with either inside (contract 3).
fn read_purpose(text: &str) -> MailboxPurpose {
    fn word(raw: &str) -> Option<String> {
        match Fields::parse(raw) {
            Some(fields) => {
                let inner = fields.raw("value").or_else(|| fields.raw("userPurpose"))?;
                word(inner)
            }
            None => lenient_string(raw),
        }
    }
    match word(text.trim())
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "user" | "linked" => MailboxPurpose::User,
        "shared" => MailboxPurpose::Shared,
        "room" => MailboxPurpose::Room,
        "equipment" => MailboxPurpose::Equipment,
        _ => MailboxPurpose::Other,
    }
}

/// The mailbox with this address, principal name, display name or id; with `onedrive:` before it, the user's drive.
pub(crate) async fn find(graph: &Graph, account: &str, name: &str) -> Result<ObjectRecord> {
    let name = name.trim();
    if sites::names_a_site(name) {
        return sites::find(graph, account, name).await;
    }
    if let Some(id) = name.strip_prefix("m365/drive/") {
        return drive_by_id(graph, account, id).await;
    }
    let prefix = name.get(..DRIVE_PREFIX.len()).unwrap_or_default();
    if prefix.eq_ignore_ascii_case(DRIVE_PREFIX) {
        let user = find_user(graph, "drive", name[DRIVE_PREFIX.len()..].trim()).await?;
        return with_drive(graph, account, &user).await;
    }
    let user = find_user(graph, "mailbox", name).await?;
    with_mailbox(graph, account, &user).await
}

async fn with_drive(graph: &Graph, account: &str, user: &User) -> Result<ObjectRecord> {
    let found = drive_of(graph, &user.id)
        .await
        .map_err(|fault| fault.into_error("looking for the drive", Some(drives::READ_PERMISSION)))?;
    match found {
        Some(drive) => user.drive_object(account, &drive),
        None => Err(Error::new(
            ErrorKind::NotFound,
            format!("user '{}' has no OneDrive", user.principal),
        )),
    }
}

/// A drive by its own id.
async fn drive_by_id(graph: &Graph, account: &str, id: &str) -> Result<ObjectRecord> {
    let failed = |fault: Fault| fault.into_error("looking for the drive", Some(drives::READ_PERMISSION));
    let call = graph
        .call(&Scope::Files, Operation::Drive, &[id], &[])
        .map_err(failed)?;
    let text = match graph.executor.json(&call).await {
        Ok(text) => text,
        Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 404)) => {
            return Err(Error::not_found("drive", id));
        }
        Err(fault) => return Err(failed(fault)),
    };
    let owner = Fields::parse(&text)
        .and_then(|fields| fields.object("owner")?.object("user")?.text("id"))
        .unwrap_or_default();
    match by_id(graph, &owner).await? {
        Some(user) => user.drive_object(account, id),
        None => Err(Error::not_found("owner of the drive", id)),
    }
}

/// The user with this address, principal name, display name or id.
async fn find_user(graph: &Graph, what: &str, name: &str) -> Result<User> {
    let plain = name.strip_prefix("m365/mailbox/").unwrap_or(name);
    if let Some(user) = by_id(graph, plain).await? {
        return Ok(user);
    }
    let mut found: Option<User> = None;
    let mut similar = Vec::new();
    let mut all = users(graph);
    while let Some(user) = all.try_next().await? {
        if user.matches(name) {
            if let Some(other) = &found {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "'{name}' names several users: {} and {}",
                        other.principal, user.principal
                    ),
                )
                .with_hint("Name it by its address."));
            }
            found = Some(user);
        } else if similar.len() < 5 && looks_like(&user, name) {
            similar.push(user.address.clone().unwrap_or(user.principal));
        }
    }
    found.ok_or_else(|| {
        let error = Error::not_found(what, name);
        match similar.as_slice() {
            [] => error.with_hint("List what is there with discovery."),
            some => error.with_hint(format!("Similar: {}.", some.join(", "))),
        }
    })
}

fn looks_like(user: &User, name: &str) -> bool {
    let name = name.to_lowercase();
    let start: String = name
        .split('@')
        .next()
        .unwrap_or_default()
        .chars()
        .take(4)
        .collect();
    !start.is_empty()
        && (user.principal.to_lowercase().contains(&start) || user.name.to_lowercase().contains(&start))
}

async fn by_id(graph: &Graph, id: &str) -> Result<Option<User>> {
    // Anything with white space is a display name.
    if id.is_empty() || id.chars().all(|c| c == '.') || id.chars().any(|c| c.is_whitespace() || c == '/') {
        return Ok(None);
    }
    let failed = |fault: Fault| fault.into_error("looking for a user", Some("User.Read.All"));
    let call = graph
        .call(
            &Scope::Directory,
            Operation::GetUser,
            &[id],
            &[("$select", USER_FIELDS)],
        )
        .map_err(failed)?;
    match graph.executor.json(&call).await {
        Ok(text) => Ok(User::parse(&text)),
        Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 404)) => Ok(None),
        Err(fault) => Err(failed(fault)),
    }
}

async fn with_mailbox(graph: &Graph, account: &str, user: &User) -> Result<ObjectRecord> {
    if probe(graph, &user.id).await?.is_none() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("user '{}' has no mailbox in Exchange Online", user.principal),
        ));
    }
    user.object(account)
}

/// Tries what each service needs and says what is missing. Writes nothing; `Mail.ReadWrite` is therefore not tried.
pub(crate) async fn check_permissions(graph: &Graph) -> Result<Vec<PermissionCheck>> {
    graph.executor.sign_in().await?;
    let mut checks = Vec::new();
    let mut all = users(graph).take(200);
    let mut list = Vec::new();
    let mut listing = None;
    while let Some(user) = all.next().await {
        match user {
            Ok(user) => list.push(user),
            Err(error) => {
                listing = Some(error);
                break;
            }
        }
    }
    checks.push(match &listing {
        None => check(
            "User.Read.All",
            "discovery of every service",
            Some(true),
            "users can be listed",
        ),
        Some(error) => refused("User.Read.All", "discovery of every service", error)?,
    });
    let (mut settings, mut mail, mut files) = (None, None, None);
    // A user without a mailbox says nothing about permissions: the first who has one decides.
    for user in list.iter().filter(|user| !user.guest) {
        if settings.is_none() {
            settings = verdict(
                purpose(graph, &user.id).await.map(|purpose| purpose.is_some()),
                "MailboxSettings.Read",
            )?;
        }
        if mail.is_none() {
            mail = verdict(inbox(graph, &user.id).await, "Mail.Read")?;
        }
        if files.is_none() {
            files = verdict(
                drive_of(graph, &user.id).await.map(|drive| drive.is_some()),
                drives::READ_PERMISSION,
            )?;
        }
        if settings.is_some() && mail.is_some() && files.is_some() {
            break;
        }
    }
    let tried = |granted: Option<bool>, good: &str| match granted {
        Some(true) => good.to_owned(),
        Some(false) => "access was refused".to_owned(),
        None => "no mailbox to try it on".to_owned(),
    };
    checks.push(check(
        "MailboxSettings.Read",
        "telling shared and room mailboxes from users'",
        settings,
        &tried(settings, "mailbox settings can be read"),
    ));
    checks.push(check(
        "Mail.Read",
        "backup of mail",
        mail,
        &tried(mail, "mail can be read"),
    ));
    checks.push(check(
        drives::READ_PERMISSION,
        "backup of OneDrive",
        files,
        match files {
            Some(true) => "files can be read",
            Some(false) => "access was refused",
            None => "no drive to try it on",
        },
    ));
    checks.push(check(
        drives::WRITE_PERMISSION,
        "recovery of OneDrive",
        None,
        "needed for recovery only; it is not tried",
    ));
    let listed = verdict(sites::can_list(graph).await, sharepoint::READ_PERMISSION)?;
    checks.push(check(
        sharepoint::READ_PERMISSION,
        "backup of SharePoint sites",
        listed,
        match listed {
            Some(true) => "sites can be listed",
            Some(false) => "access was refused",
            None => "no site to try it on",
        },
    ));
    checks.push(check(
        sharepoint::WRITE_PERMISSION,
        "recovery of SharePoint sites",
        None,
        "needed for recovery only; it is not tried",
    ));
    checks.push(check(
        "Mail.ReadWrite",
        "recovery of mail",
        None,
        "needed for recovery only; it is not tried",
    ));
    Ok(checks)
}

/// None while it decides nothing; an error if it is about something else than permissions.
fn verdict(result: Result<bool, Fault>, permission: &str) -> Result<Option<bool>> {
    match result {
        Ok(true) => Ok(Some(true)),
        Ok(false) => Ok(None),
        Err(fault) if fault.refused_as(|refusal| refusal.status == 403) => Ok(Some(false)),
        Err(fault) => Err(fault.into_error("checking permissions", Some(permission))),
    }
}

fn check(
    permission: &'static str,
    blocks: &'static str,
    granted: Option<bool>,
    message: &str,
) -> PermissionCheck {
    PermissionCheck {
        permission,
        blocks,
        granted,
        message: message.to_owned(),
    }
}

fn refused(permission: &'static str, blocks: &'static str, error: &Error) -> Result<PermissionCheck> {
    match error.kind() {
        ErrorKind::PermissionMissing => Ok(check(permission, blocks, Some(false), error.message())),
        _ => Err(error.clone()),
    }
}

/// Everything that can be protected: mailboxes, drives and sites. A service that the app has no permission for is left out, and
/// the error says so after everything else.
pub(crate) fn objects<'a>(graph: &'a Graph, account: &'a str) -> BoxStream<'a, Result<ObjectRecord>> {
    async_stream::try_stream! {
        let mut refused: BTreeMap<&'static str, Error> = BTreeMap::new();
        let mut found = users(graph)
            .map_ok(|user| async move {
                let purpose = probe(graph, &user.id).await;
                let drive = drive_of(graph, &user.id)
                    .await
                    .map_err(|fault| fault.into_error("looking for the drive", Some(drives::READ_PERMISSION)));
                Ok::<_, Error>((user, purpose, drive))
            })
            .try_buffered(CONCURRENT_PROBES);
        while let Some((user, purpose, drive)) = found.try_next().await? {
            if allowed(purpose, "mailboxes", &mut refused)?.flatten().is_some() {
                yield user.object(account)?;
            }
            if let Some(drive) = allowed(drive, "drives", &mut refused)?.flatten() {
                yield user.drive_object(account, &drive)?;
            }
        }
        let mut sites = sites::objects(graph, account);
        while let Some(site) = sites.next().await {
            if let Some(site) = allowed(site, "sites", &mut refused)? {
                yield site;
            }
        }
        if let Some(error) = left_out(refused) {
            Err(error)?;
        }
    }
    .boxed()
}

/// One error that names every service that was left out, and why each.
fn left_out(refused: BTreeMap<&'static str, Error>) -> Option<Error> {
    let services: Vec<&str> = refused.keys().copied().collect();
    let services = services.join(" and ");
    let all = refused
        .into_values()
        .reduce(|first, other| first.context(other.message()))?;
    Some(all.context(format!("{services} are left out")))
}

/// None if the service may not be used; its first refusal is remembered.
fn allowed<T>(
    result: Result<T>,
    service: &'static str,
    refused: &mut BTreeMap<&'static str, Error>,
) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::PermissionMissing => {
            refused.entry(service).or_insert(error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_in_every_shape() {
        for text in [
            r#"{"@odata.context":"x","value":"shared"}"#,
            r#"{"value":{"value":"shared"}}"#,
            r#""shared""#,
            r#"{"userPurpose":{"value":"shared"}}"#,
            r#"{"userPurpose":"Shared"}"#,
        ] {
            assert_eq!(read_purpose(text), MailboxPurpose::Shared, "{text}");
        }
        assert_eq!(
            read_purpose(r#"{"value":"unknownFutureValue"}"#),
            MailboxPurpose::Other
        );
    }
}
