//! Graph as the rooms above see it: calls made from operations or links, and nothing sent to a foreign host.

use reqwest::header::HeaderName;
use reqwest::{Method, Url};

use nakivo_core::Result;

use crate::account::is_loopback;
use crate::executor::{Call, Executor};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::request::{Operation, RequestBuilder, Target};

/// Longest link that is followed. Real ones stay below 8 KiB.
const MAX_LINK_BYTES: usize = 64 << 10;

pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Ids survive folder moves. Must be on every Outlook request, since it decides the form of the ids of that answer.
pub(crate) const IMMUTABLE_IDS: &str = "IdType=\"ImmutableId\"";

/// Domains that hand out pre-authenticated addresses of files (contract 6.1 and 6.2).
const FILE_DOMAINS: [&str; 10] = [
    ".sharepoint.com",
    ".sharepoint.us",
    ".sharepoint-mil.us",
    ".sharepoint.de",
    ".sharepoint.cn",
    ".1drv.com",
    ".livefilestore.com",
    ".onedrive.com",
    ".svc.ms",
    ".microsoftpersonalcontent.com",
];

/// Domains that hand out pre-authenticated upload addresses of mailboxes (contract 4.5).
const UPLOAD_DOMAINS: [&str; 6] = [
    ".office.com",
    ".office365.com",
    ".outlook.com",
    ".office365.us",
    ".office.de",
    ".partner.outlook.cn",
];

/// The executor and the request builder of one account.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) executor: Executor,
    pub(crate) requests: RequestBuilder,
}

impl Graph {
    /// A call of a known operation.
    pub(crate) fn call(
        &self,
        scope: &Scope,
        operation: Operation,
        ids: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Call, Fault> {
        let target = self
            .requests
            .target(operation, ids, query)
            .map_err(Fault::Ready)?;
        let mut call = Call::new(target, scope.clone());
        call.units = operation.units();
        Ok(call)
    }

    /// As [`Graph::call`], with immutable ids.
    pub(crate) fn outlook(
        &self,
        scope: &Scope,
        operation: Operation,
        ids: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Call, Fault> {
        Ok(self
            .call(scope, operation, ids, query)?
            .header(PREFER, IMMUTABLE_IDS))
    }

    /// Whether a next or delta link leads to this Graph: same scheme, host and port.
    pub(crate) fn is_ours(&self, link: &str) -> bool {
        Url::parse(link).is_ok_and(|url| {
            url.origin() == self.requests.root().origin()
                && url.username().is_empty()
                && url.password().is_none()
        })
    }

    /// A call that follows a link. The token goes along, so the link must be ours.
    pub(crate) fn follow(&self, scope: &Scope, link: &str) -> Result<Call, Fault> {
        if link.len() > MAX_LINK_BYTES {
            return Err(Fault::Protocol {
                code: "link_too_long",
                message: format!("a link is longer than {MAX_LINK_BYTES} bytes"),
            });
        }
        if !self.is_ours(link) {
            return Err(host_not_allowed(link));
        }
        let url = Url::parse(link).map_err(|_| host_not_allowed(link))?;
        Ok(Call::new(
            Target {
                method: Method::GET,
                url,
                headers: Default::default(),
            },
            scope.clone(),
        ))
    }

    /// A call to a pre-authenticated address of a mailbox's uploads: no token goes along.
    pub(crate) fn upload(&self, scope: &Scope, link: &str) -> Result<Call, Fault> {
        self.preauthenticated(scope, Method::PUT, link, &UPLOAD_DOMAINS)
    }

    /// A call to a pre-authenticated address of files: content, upload sessions. No token goes along.
    pub(crate) fn storage(&self, scope: &Scope, method: Method, link: &str) -> Result<Call, Fault> {
        self.preauthenticated(scope, method, link, &FILE_DOMAINS)
    }

    fn preauthenticated(
        &self,
        scope: &Scope,
        method: Method,
        link: &str,
        domains: &[&str],
    ) -> Result<Call, Fault> {
        let url = Url::parse(link).map_err(|_| host_not_allowed(link))?;
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let known = url.scheme() == "https" && domains.iter().any(|domain| host.ends_with(domain));
        let local = is_loopback(self.requests.root()) && is_loopback(&url);
        if !(known || local || self.is_ours(link)) || link.len() > MAX_LINK_BYTES {
            return Err(host_not_allowed(link));
        }
        let mut call = Call::new(
            Target {
                method,
                url,
                headers: Default::default(),
            },
            scope.clone(),
        )
        .repeatable();
        call.with_token = false;
        Ok(call)
    }
}

fn host_not_allowed(link: &str) -> Fault {
    let host = Url::parse(link)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    let host: String = host.chars().take(100).collect();
    Fault::Protocol {
        code: "host_not_allowed",
        message: format!("a link leads to another host ('{host}'); it was not followed"),
    }
}
