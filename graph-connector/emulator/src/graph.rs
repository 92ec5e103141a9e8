//! Microsoft Graph: routes, permissions, and the handlers behind them.

pub(crate) mod attachments;
pub(crate) mod batch;
pub(crate) mod calendars;
pub(crate) mod collection;
pub(crate) mod compose;
pub(crate) mod contacts;
pub(crate) mod delta;
pub(crate) mod drives;
pub(crate) mod folders;
pub(crate) mod json;
pub(crate) mod links;
pub(crate) mod messages;
pub(crate) mod odata;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod sites;
pub(crate) mod token;
pub(crate) mod upload;
pub(crate) mod users;

use std::sync::Arc;

use crate::http::reply::GraphError;
use crate::http::request::Request;
use crate::identity::Token;
use crate::mail::mailbox::Refused;
use crate::world::{User, World};

/// One call, authorised: what a handler needs.
pub(crate) struct Call<'a> {
    pub world: &'a World,
    pub request: &'a Request,
    pub token: Token,
}

impl Call<'_> {
    pub(crate) fn has(&self, role: &str) -> bool {
        self.token.roles.contains(role)
    }

    /// Whether the application may read, or write where the request writes, what the permissions `area` are about.
    pub(crate) fn needs(&self, area: &str) -> Result<(), GraphError> {
        let reads = matches!(self.request.method.as_str(), "GET" | "HEAD");
        if self.has(&format!("{area}.ReadWrite")) || reads && self.has(&format!("{area}.Read")) {
            return Ok(());
        }
        Err(GraphError::access_denied())
    }

    /// True when only the basic mail permission is granted: no bodies, no extended properties.
    pub(crate) fn basic_only(&self) -> bool {
        !self.has("Mail.Read") && !self.has("Mail.ReadWrite")
    }

    pub(crate) fn user(&self, id: &str) -> Result<Arc<User>, GraphError> {
        self.world.user(id).ok_or_else(|| {
            GraphError::new(
                404,
                "Request_ResourceNotFound",
                format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present."),
            )
        })
    }

    /// A user with a mailbox that the application may enter.
    pub(crate) fn mailbox_user(&self, id: &str) -> Result<Arc<User>, GraphError> {
        let user = self.world.user(id).ok_or_else(|| {
            GraphError::new(
                404,
                "ErrorInvalidUser",
                format!("The requested user '{id}' is invalid."),
            )
        })?;
        if user.mailbox.is_none() {
            return Err(GraphError::new(
                404,
                "MailboxNotEnabledForRESTAPI",
                "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
            ));
        }
        let allowed = self.world.identity.app(&self.token.app).is_some_and(|a| {
            a.mailboxes
                .is_none_or(|m| m.contains(&user.person.address.to_lowercase()))
        });
        if !allowed {
            return Err(GraphError::new(
                403,
                "ErrorAccessDenied",
                "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
            ));
        }
        Ok(user)
    }
}

/// A refused change of a mailbox as Exchange words it.
pub(crate) fn refused(refused: Refused) -> GraphError {
    match refused {
        Refused::NotFound => GraphError::item_not_found(),
        Refused::FolderNotFound => GraphError::new(
            404,
            "ErrorFolderNotFound",
            "The specified folder could not be found in the store.",
        ),
        Refused::NameTaken => GraphError::new(
            409,
            "ErrorFolderExists",
            "A folder with the specified name already exists.",
        ),
        Refused::WellKnown => GraphError::new(
            403,
            "ErrorAccessDenied",
            "Access is denied. Check credentials and try again., Distinguished folders cannot be changed.",
        ),
        Refused::Cycle => GraphError::new(
            400,
            "ErrorMoveCopyFailed",
            "The folder cannot be moved into itself or into a folder below it.",
        ),
    }
}
