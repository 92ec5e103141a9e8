//! Addresses in drives: `/drives/{id}/items/{id}/children`, `/users/{id}/drive/root:/a/b:/content` and the like.

use crate::graph::sites::address::{self as site_address, SiteRef};
use crate::http::path;

/// Whose drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    Id(String),
    User(String),
    /// A library of a site: that of a list, else the default one.
    Site(SiteRef, Option<String>),
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub which: Which,
    /// None for the root.
    pub item: Option<String>,
    /// Names below that item.
    pub path: Vec<String>,
    /// What follows: `children`, `content`, ...; `drive` and `drives` for drives themselves.
    pub action: Vec<String>,
}

impl Address {
    /// The address without ids and names, for counters: `/drives/{id}/items/{id}:/{path}:/content`.
    pub(crate) fn operation(&self) -> String {
        const WORDS: [&str; 10] = [
            "children",
            "content",
            "createLink",
            "createUploadSession",
            "delta",
            "drives",
            "invite",
            "permissions",
            "restoreVersion",
            "versions",
        ];
        let mut out = match (&self.which, self.action.first().map(String::as_str)) {
            (Which::User(_), Some("drives")) => return "/users/{id}/drives".to_owned(),
            (Which::User(_), _) => "/users/{id}/drive".to_owned(),
            (Which::Site(..), Some("drives")) => return "/sites/{id}/drives".to_owned(),
            (Which::Site(_, None), _) => "/sites/{id}/drive".to_owned(),
            (Which::Site(_, Some(_)), _) => "/sites/{id}/lists/{id}/drive".to_owned(),
            (Which::Id(_), _) => "/drives/{id}".to_owned(),
        };
        if self.action.first().is_some_and(|word| word == "drive") {
            return out;
        }
        out.push_str(if self.item.is_some() {
            "/items/{id}"
        } else {
            "/root"
        });
        if !self.path.is_empty() {
            out.push_str(":/{path}:");
        }
        for word in &self.action {
            let known = WORDS.iter().find(|known| known.eq_ignore_ascii_case(word));
            // What is in parentheses after delta is a token.
            if known.is_some() || !word.starts_with("token=") {
                out.push('/');
                out.push_str(known.unwrap_or(&"{id}"));
            }
        }
        out
    }
}

/// Reads the path of a request as received; none if it is not about a drive.
pub(crate) fn parse(raw: &str) -> Option<Address> {
    if let Some((site, rest)) = site_address::split(raw) {
        // What follows a site reads as what follows a user.
        let (list, rest) = site_address::list_of_drive(&rest);
        let address = parse(&format!("/v1.0/users/x/{rest}"))?;
        return Some(Address {
            which: Which::Site(site, list),
            ..address
        });
    }
    // Colons in names are percent-encoded, so the ones that delimit can be told apart only before decoding.
    let (head, below) = match raw.split_once(":/") {
        Some((head, below)) => (head, Some(below)),
        None => (raw.trim_end_matches(':'), None),
    };
    let head = path::segments(head);
    let words: Vec<String> = head.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (which, from) = match words.as_slice() {
        [_, "drives", _, ..] => (Which::Id(head[2].clone()), 3),
        [_, "users", _, "drive", ..] => (Which::User(head[2].clone()), 4),
        [_, "users", _, "drives"] => {
            return Some(Address {
                which: Which::User(head[2].clone()),
                item: None,
                path: vec![],
                action: vec!["drives".into()],
            });
        }
        _ => return None,
    };
    let (item, mut action) = match words.get(from..).unwrap_or_default() {
        [] => (None, vec!["drive".to_owned()]),
        ["root", ..] => (None, head[from + 1..].to_vec()),
        ["items", _, ..] => (Some(head[from + 1].clone()), head[from + 2..].to_vec()),
        // Next links come without `root` now and then.
        ["delta", ..] => (None, head[from..].to_vec()),
        _ => return None,
    };
    let mut names = Vec::new();
    if let Some(below) = below {
        let (place, rest) = below
            .split_once(":/")
            .unwrap_or((below.trim_end_matches(':'), ""));
        names = place
            .split('/')
            .filter(|name| !name.is_empty())
            .map(|name| path::decode(name, false))
            .collect();
        action = path::segments(rest);
    }
    Some(Address {
        which,
        item,
        path: names,
        action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_paths() {
        let parsed =
            parse("/v1.0/drives/b!x/items/01A:/a%20b/c%3A(1).txt:/content").unwrap_or_else(|| unreachable!());
        assert_eq!(parsed.item.as_deref(), Some("01A"));
        assert_eq!(parsed.path, ["a b", "c:(1).txt"]);
        assert_eq!(parsed.action, ["content"]);
        let parsed = parse("/v1.0/users('u')/drive/root:/a").unwrap_or_else(|| unreachable!());
        assert_eq!((parsed.path.len(), parsed.action.len()), (1, 0));
        let parsed = parse("/v1.0/drives/b!x/root/delta(token='abc')").unwrap_or_else(|| unreachable!());
        assert_eq!(parsed.action, ["delta", "token='abc'"]);
        assert_eq!(parse("/v1.0/users/u/messages"), None);
    }
}
