//! Which sites there are.

use std::collections::{BTreeSet, VecDeque};

use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::format::ids::ObjectId;
use nakivo_core::format::manifest::{ObjectKind, ObjectRecord};
use nakivo_core::{Error, ErrorKind, Result};
use reqwest::Url;

use super::READ_PERMISSION;
use crate::connector::CONNECTOR_NAME;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages::{self, PageReader};
use crate::request::Operation;

/// Properties of a site that discovery needs.
const SITE_FIELDS: &str = "id,name,displayName,webUrl,isPersonalSite,siteCollection";
/// Most sites below one site.
const MAX_BELOW: usize = 2000;

/// A site as Graph tells it.
#[derive(Debug, Clone)]
struct Site {
    id: String,
    name: String,
    url: String,
    personal: bool,
}

impl Site {
    fn parse(raw: &str) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        let text = |key: &str| fields.text(key).filter(|text| !text.is_empty());
        let id = text("id")?;
        let url = text("webUrl").unwrap_or_default();
        let address = Url::parse(&url).ok();
        let personal = address.is_some_and(|address| {
            address.host_str().unwrap_or_default().contains("-my.sharepoint.")
                && address.path().starts_with("/personal/")
        });
        Some(Self {
            name: text("displayName")
                .or(text("name"))
                .unwrap_or_else(|| url.clone()),
            personal: personal || fields.flag("isPersonalSite") == Some(true),
            url,
            id,
        })
    }

    fn object(&self, account: &str) -> Result<ObjectRecord> {
        let id =
            ObjectId::new(format!("{CONNECTOR_NAME}/site/{}", self.id.to_lowercase())).map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("a site's id cannot be used: {error}"),
                )
            })?;
        Ok(ObjectRecord {
            id,
            kind: ObjectKind::Site,
            name: self.name.clone(),
            address: Some(self.url.clone()).filter(|url| !url.is_empty()),
            source: CONNECTOR_NAME.to_owned(),
            native_id: self.id.clone(),
            account: Some(account.to_owned()),
        })
    }
}

fn failed(fault: Fault) -> Error {
    fault.into_error("listing the sites", Some(READ_PERMISSION))
}

/// All sites and subsites, without those that hold a OneDrive: these are drives of users.
pub(crate) fn objects<'a>(graph: &'a Graph, account: &'a str) -> BoxStream<'a, Result<ObjectRecord>> {
    async_stream::try_stream! {
        let query = [("$select", SITE_FIELDS)];
        let mut call = Some(graph.call(&Scope::Files, Operation::AllSites, &[], &query).map_err(failed)?);
        let mut reader = PageReader::plain(&Scope::Files);
        let mut seen = BTreeSet::new();
        let mut next: Option<String> = None;
        loop {
            let page = match call.take() {
                Some(call) => reader.first(graph, call).await,
                None => match &next {
                    Some(link) => reader.follow(graph, link).await,
                    None => break,
                },
            };
            let mut page = page.map_err(failed)?;
            next = page.next.take();
            let mut open: VecDeque<Site> = page.elements().into_iter().filter_map(Site::parse).collect();
            while let Some(site) = open.pop_front() {
                if site.personal || !seen.insert(site.id.to_lowercase()) {
                    continue;
                }
                open.extend(below(graph, &site.id).await.map_err(failed)?);
                yield site.object(account)?;
            }
        }
    }
    .boxed()
}

/// The sites right below a site. One that may not be looked into, such as one that is locked, is listed alone.
async fn below(graph: &Graph, site: &str) -> Result<Vec<Site>, Fault> {
    let query = [("$select", SITE_FIELDS)];
    let first = graph.call(&Scope::Files, Operation::SubSites, &[site], &query)?;
    match pages::all(graph, &Scope::Files, first, MAX_BELOW).await {
        Ok(raw) => Ok(raw.iter().filter_map(|raw| Site::parse(raw)).collect()),
        Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 403 | 404 | 423)) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// Whether `name` can only name a site.
pub(crate) fn names_a_site(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("https://") || lower.starts_with(&format!("{CONNECTOR_NAME}/site/"))
}

/// The site with this address or id.
pub(crate) async fn find(graph: &Graph, account: &str, name: &str) -> Result<ObjectRecord> {
    let query = [("$select", SITE_FIELDS)];
    let scope = &Scope::Files;
    let call = match name.get(..8) {
        Some(start) if start.eq_ignore_ascii_case("https://") => {
            let url = Url::parse(name).map_err(|_| {
                Error::invalid(
                    "site",
                    name,
                    "an address such as https://contoso.sharepoint.com/sites/team",
                )
            })?;
            let host = url.host_str().unwrap_or_default().to_owned();
            let path = percent_decode(url.path().trim_matches('/'));
            match path.as_str() {
                "" => graph.call(scope, Operation::Site, &[&host], &query),
                path => graph.call(scope, Operation::SiteByPath, &[&host, path], &query),
            }
        }
        _ => {
            let id = name.rsplit('/').next().unwrap_or(name);
            graph.call(scope, Operation::Site, &[id], &query)
        }
    };
    let failed = |fault: Fault| fault.into_error("looking for the site", Some(READ_PERMISSION));
    let text = match graph.executor.json(&call.map_err(failed)?).await {
        Ok(text) => text,
        Err(fault) if fault.refused_as(|refusal| matches!(refusal.status, 400 | 404)) => {
            return Err(Error::not_found("site", name));
        }
        Err(fault) => return Err(failed(fault)),
    };
    match Site::parse(&text) {
        Some(site) if site.personal => Err(Error::invalid(
            "site",
            name,
            "a site of a team; a user's OneDrive is named onedrive:ADDRESS",
        )),
        Some(site) => site.object(account),
        None => Err(Error::not_found("site", name)),
    }
}

/// Whether any site can be listed.
pub(crate) async fn can_list(graph: &Graph) -> Result<bool, Fault> {
    let query = [("$select", "id")];
    let call = graph.call(&Scope::Files, Operation::AllSites, &[], &query)?;
    graph.executor.json(&call).await.map(|_| true)
}

fn percent_decode(text: &str) -> String {
    let raw = text.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| raw[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(raw[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_sites_are_told_by_flag_or_address() {
        let site = |more: &str| Site::parse(&format!(r#"{{"id":"h,a,b",{more}}}"#)).unwrap();
        assert!(site(r#""webUrl":"https://x-my.sharepoint.com/personal/anna""#).personal);
        assert!(site(r#""isPersonalSite":true"#).personal);
        assert!(!site(r#""webUrl":"https://x.sharepoint.com/sites/personal""#).personal);
        assert_eq!(percent_decode("sites/a%20b%C3%A9"), "sites/a bé");
    }
}
