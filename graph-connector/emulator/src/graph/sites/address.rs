//! Addresses of sites: by id, by host and path, the root, with what follows.

use crate::http::path;

/// How a call names a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SiteRef {
    Id(String),
    /// Host and server-relative path.
    Path(String, String),
}

/// What a call about sites is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SiteAddress {
    /// None for all sites.
    pub site: Option<SiteRef>,
    /// What follows, as received.
    pub action: Vec<String>,
}

/// Words that follow `/sites` and are no id of a site.
const COLLECTIVE: [&str; 4] = ["getallsites", "onedrive.getallsites", "delta", "$count"];

impl SiteAddress {
    /// The address without ids and names, for counters.
    pub(crate) fn operation(&self) -> String {
        const WORDS: [&str; 14] = [
            "addCopy",
            "columns",
            "contentTypes",
            "delta",
            "driveItem",
            "drives",
            "fields",
            "getAllSites",
            "items",
            "lists",
            "pages",
            "permissions",
            "sites",
            "versions",
        ];
        let mut out = match self.site {
            Some(_) => "/sites/{id}".to_owned(),
            None => "/sites".to_owned(),
        };
        for word in &self.action {
            let bare = word.rsplit('.').next().unwrap_or(word);
            let known = WORDS.iter().find(|known| known.eq_ignore_ascii_case(bare));
            if known.is_some() || !word.starts_with("token=") {
                out.push('/');
                out.push_str(known.unwrap_or(&"{id}"));
            }
        }
        out
    }
}

/// The site that a path as received names, and what follows it, unread. None if it is about no single site.
pub(crate) fn split(raw: &str) -> Option<(SiteRef, String)> {
    let below = raw.trim_start_matches('/').split_once('/')?.1;
    let (word, rest) = below.split_once('/').unwrap_or((below, ""));
    let lower = word.to_ascii_lowercase();
    if let Some(id) = lower
        .strip_prefix("sites('")
        .and_then(|_| word.get(7..)?.strip_suffix("')"))
    {
        return Some((SiteRef::Id(path::decode(id, false)), rest.to_owned()));
    }
    if lower != "sites" || rest.is_empty() {
        return None;
    }
    let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(host) = id.strip_suffix(':') {
        // `/sites/{host}:/{path}` and `/sites/{host}:/{path}:/{what follows}`
        let (place, rest) = rest.split_once(":/").unwrap_or((rest.trim_end_matches(':'), ""));
        let names: Vec<String> = path::segments(place);
        let place = names.iter().map(|name| format!("/{name}")).collect();
        return Some((SiteRef::Path(path::decode(host, false), place), rest.to_owned()));
    }
    if COLLECTIVE.contains(&id.split('(').next().unwrap_or(id).to_ascii_lowercase().as_str()) {
        return None;
    }
    Some((SiteRef::Id(path::decode(id, false)), rest.to_owned()))
}

/// `lists/{l}/drive...` is the drive of a list: its id, and what reads as what follows a user.
pub(crate) fn list_of_drive(rest: &str) -> (Option<String>, &str) {
    let mut parts = rest.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(word), Some(list), Some(below)) if word.eq_ignore_ascii_case("lists") => {
            (Some(path::decode(list, false)), below)
        }
        _ => (None, rest),
    }
}

/// Reads the path of a request as received; none if it is not about sites.
pub(crate) fn parse(raw: &str) -> Option<SiteAddress> {
    if let Some((site, rest)) = split(raw) {
        return Some(SiteAddress {
            site: Some(site),
            action: path::segments(&rest),
        });
    }
    let words = path::segments(raw);
    let [_, sites, action @ ..] = words.as_slice() else {
        return None;
    };
    sites.eq_ignore_ascii_case("sites").then(|| SiteAddress {
        site: None,
        action: action.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_id_and_by_path() {
        let id = |text: &str| Some(SiteRef::Id(text.into()));
        let by_path = |path: &str| Some(SiteRef::Path("h.example".into(), path.into()));
        for (raw, site, action) in [
            ("/v1.0/sites", None, vec![]),
            (
                "/v1.0/sites/oneDrive.getAllSites",
                None,
                vec!["oneDrive.getAllSites"],
            ),
            ("/v1.0/sites/delta(token='x')", None, vec!["delta", "token='x'"]),
            ("/v1.0/sites/root", id("root"), vec![]),
            (
                "/v1.0/sites/h,a,b/lists/L/items",
                id("h,a,b"),
                vec!["lists", "L", "items"],
            ),
            ("/v1.0/sites('h,a,b')/sites", id("h,a,b"), vec!["sites"]),
            (
                "/v1.0/sites/h.example:/sites/a%20b",
                by_path("/sites/a b"),
                vec![],
            ),
            (
                "/v1.0/sites/h.example:/sites/a:/drives",
                by_path("/sites/a"),
                vec!["drives"],
            ),
        ] {
            let found = parse(raw).unwrap_or_else(|| unreachable!());
            assert_eq!(
                (found.site, found.action),
                (site, action.into_iter().map(str::to_owned).collect()),
                "{raw}"
            );
        }
        assert_eq!(parse("/v1.0/users/u/messages"), None);
    }
}
