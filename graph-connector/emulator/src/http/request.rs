//! One request, read whole.

use bytes::Bytes;

use crate::http::path;

/// A request as the emulator's code sees it; also made by `$batch` for each member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Upper case.
    pub method: String,
    /// As received, with the query.
    pub target: String,
    /// Decoded segments after the version.
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub request_id: String,
    /// `appId` of the token, once it is known.
    pub app: Option<String>,
    /// True for a member of a batch.
    pub in_batch: bool,
}

impl Request {
    pub(crate) fn new(
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
        request_id: String,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_ascii_uppercase(),
            target: target.to_owned(),
            segments: path::segments(path),
            query: path::query(query),
            headers,
            body,
            request_id,
            app: None,
            in_batch: false,
        }
    }

    /// The path alone, as received.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |x| x.0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// A query option; `$` is optional in what the client sends.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let bare = name.trim_start_matches('$');
        self.query
            .iter()
            .find(|(n, _)| n == name || n == bare)
            .map(|(_, v)| v.as_str())
    }

    /// Every preference of every `Prefer` header, trimmed.
    pub(crate) fn preferences(&self) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == "prefer")
            .flat_map(|(_, v)| v.split(','))
            .map(str::trim)
    }

    /// The value of one preference, without quotes.
    pub(crate) fn preference(&self, name: &str) -> Option<&str> {
        self.preferences().find_map(|p| {
            let (n, v) = p.split_once('=')?;
            n.trim()
                .eq_ignore_ascii_case(name)
                .then(|| v.trim().trim_matches('"'))
        })
    }

    /// True when this request asks for immutable ids.
    pub(crate) fn immutable(&self) -> bool {
        self.preference("IdType")
            .is_some_and(|v| v.eq_ignore_ascii_case("ImmutableId"))
    }

    /// Content type in lower case without parameters.
    pub(crate) fn content_type(&self) -> String {
        self.header("content-type")
            .unwrap_or("")
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase()
    }
}
