//! Object lock of S3: requests that `object_store` does not have, signed with its own signer.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody, HttpService as _};
use object_store::{Error, Result};
use url::Url;

use super::http::Http;
use super::locks::{ObjectLocks, ObjectVersion};

const SERVICE: &str = "s3";
const HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const CHECKSUM_KIND: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");
const LOCK_MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const LOCK_UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Who asks, and where: what a request is signed with.
pub(super) struct Signer {
    credential: AwsCredential,
    region: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(credential: AwsCredential, region: &str) -> Self {
        Self {
            credential,
            region: region.to_owned(),
        }
    }

    /// Adds a lock to a put that was signed without it, and signs it anew: a service takes no header of its own unsigned.
    pub(super) fn lock(&self, request: &mut HttpRequest, until: DateTime<Utc>) -> Result<()> {
        let headers = request.headers_mut();
        headers.insert(LOCK_MODE, HeaderValue::from_static("COMPLIANCE"));
        headers.insert(LOCK_UNTIL, value(&timestamp(until))?);
        self.sign(request)
    }

    /// Signs the request; where it has a body, also with a checksum, which the service demands where locks are concerned.
    fn sign(&self, request: &mut HttpRequest) -> Result<()> {
        let signer = AwsAuthorizer::new(&self.credential, SERVICE, &self.region);
        if request.body().is_empty() && request.body().content_length() == 0 {
            return signer.try_authorize(request, None);
        }
        if !request.headers().contains_key(HASH) {
            signer.try_authorize(request, None)?;
        }
        let hash = request
            .headers()
            .get(HASH)
            .and_then(|hash| unhex(hash.as_bytes()));
        if let Some(hash) = &hash {
            let checksum = base64::engine::general_purpose::STANDARD.encode(hash);
            let headers = request.headers_mut();
            headers.insert(CHECKSUM, value(&checksum)?);
            headers.insert(CHECKSUM_KIND, HeaderValue::from_static("SHA256"));
        }
        request.headers_mut().remove(AUTHORIZATION);
        signer.try_authorize(request, hash.as_deref())
    }
}

/// The locks of one folder of a bucket.
#[derive(Debug)]
pub(super) struct S3Locks {
    http: Http,
    signer: Arc<Signer>,
    /// Root of the bucket, with a slash at its end.
    bucket: Url,
    /// What stands before every path: empty, or with a slash at its end.
    prefix: String,
}

impl S3Locks {
    pub(super) fn new(http: Http, signer: Arc<Signer>, bucket: Url, prefix: &str) -> Self {
        Self {
            http,
            signer,
            bucket,
            prefix: prefix.to_owned(),
        }
    }

    fn object(&self, path: &str) -> Result<Url> {
        let mut url = self.bucket.clone();
        url.path_segments_mut()
            .map_err(|()| failure("the endpoint takes no paths"))?
            .pop_if_empty()
            .extend(self.prefix.split('/').filter(|part| !part.is_empty()))
            .extend(path.split('/'));
        Ok(url)
    }

    /// Sends a request. An answer that is no success becomes the error it means, with the answer's text in it.
    async fn send(&self, method: Method, url: Url, query: &[(&str, &str)], body: Bytes) -> Result<Answer> {
        let path = url.path().to_owned();
        let answer = self.ask(method, url, query, body).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let source = format!("{}: {}", answer.status, answer.text).into();
        Err(match answer.status {
            StatusCode::NOT_FOUND => Error::NotFound { path, source },
            StatusCode::FORBIDDEN => Error::PermissionDenied { path, source },
            // How MinIO refuses what a lock forbids.
            StatusCode::BAD_REQUEST if answer.text.contains("WORM protected") => {
                Error::PermissionDenied { path, source }
            }
            StatusCode::UNAUTHORIZED => Error::Unauthenticated { path, source },
            StatusCode::NOT_IMPLEMENTED => Error::NotSupported { source },
            _ => Error::Generic { store: "S3", source },
        })
    }

    async fn ask(&self, method: Method, mut url: Url, query: &[(&str, &str)], body: Bytes) -> Result<Answer> {
        // Signed as it is sent: a blank as %20, not as a plus.
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        url.set_query(Some(&query.join("&")));
        let mut request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .body(HttpRequestBody::from(body))
            .map_err(|error| failure(&error.to_string()))?;
        self.signer.sign(&mut request)?;
        let response = self.http.call(request).await.map_err(|error| Error::Generic {
            store: "S3",
            source: Box::new(error),
        })?;
        let (parts, body) = response.into_parts();
        let body = http_body_util::Limited::new(body, MAX_ANSWER_BYTES);
        let body = body
            .collect()
            .await
            .map_err(|error| failure(&error.to_string()))?
            .to_bytes();
        Ok(Answer {
            status: parts.status,
            date: parts
                .headers
                .get(http::header::DATE)
                .and_then(|date| date.to_str().ok())
                .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
                .map(|date| date.to_utc()),
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// One page of versions, and where the next one begins.
    fn page(&self, text: &str, found: &mut Vec<ObjectVersion>) -> Option<(String, String)> {
        for (marker, entry) in entries(text) {
            let field = |name| element(entry, name).map(unescaped);
            let (Some(key), Some(id)) = (field("Key"), field("VersionId")) else {
                continue;
            };
            let Some(path) = key.strip_prefix(&self.prefix) else {
                continue;
            };
            found.push(ObjectVersion {
                path: path.to_owned(),
                id,
                newest: field("IsLatest").as_deref() == Some("true"),
                marker,
                size: field("Size").and_then(|size| size.parse().ok()).unwrap_or(0),
            });
        }
        if element(text, "IsTruncated") != Some("true") {
            return None;
        }
        let next = |name| element(text, name).map(unescaped);
        next("NextKeyMarker").map(|key| (key, next("NextVersionIdMarker").unwrap_or_default()))
    }
}

struct Answer {
    status: StatusCode,
    date: Option<DateTime<Utc>>,
    text: String,
}

#[async_trait]
impl ObjectLocks for S3Locks {
    async fn now(&self) -> Result<DateTime<Utc>> {
        let query = [
            ("list-type", "2"),
            ("max-keys", "1"),
            ("prefix", self.prefix.as_str()),
        ];
        let answer = self
            .ask(Method::GET, self.bucket.clone(), &query, Bytes::new())
            .await?;
        answer
            .date
            .ok_or_else(|| failure("the service does not tell its time"))
    }

    async fn is_enabled(&self) -> Result<bool> {
        let query = [("object-lock", "")];
        match self
            .send(Method::GET, self.bucket.clone(), &query, Bytes::new())
            .await
        {
            Ok(answer) => Ok(element(&answer.text, "ObjectLockEnabled") == Some("Enabled")),
            Err(Error::NotFound { source, .. })
                if source
                    .to_string()
                    .contains("ObjectLockConfigurationNotFoundError") =>
            {
                Ok(false)
            }
            Err(Error::NotSupported { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn retention(&self, path: &str) -> Result<Option<DateTime<Utc>>> {
        let query = [("retention", "")];
        let answer = match self
            .send(Method::GET, self.object(path)?, &query, Bytes::new())
            .await
        {
            Ok(answer) => answer,
            Err(Error::NotFound { source, .. })
                if source.to_string().contains("NoSuchObjectLockConfiguration") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if element(&answer.text, "Mode") != Some("COMPLIANCE") {
            return Ok(None);
        }
        let until = element(&answer.text, "RetainUntilDate").unwrap_or_default();
        let until = DateTime::parse_from_rfc3339(until)
            .map_err(|error| failure(&format!("its lock ends at '{until}': {error}")))?;
        Ok(Some(until.to_utc()))
    }

    async fn retain(&self, path: &str, until: DateTime<Utc>) -> Result<()> {
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            timestamp(until)
        );
        let query = [("retention", "")];
        self.send(Method::PUT, self.object(path)?, &query, body.into())
            .await
            .map(drop)
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>> {
        let prefix = format!("{}{prefix}", self.prefix);
        let mut found = Vec::new();
        let mut next: Option<(String, String)> = None;
        loop {
            let mut query = vec![("versions", ""), ("prefix", prefix.as_str())];
            if let Some((key, version)) = &next {
                query.push(("key-marker", key));
                if !version.is_empty() {
                    query.push(("version-id-marker", version));
                }
            }
            // The order in which a query is signed.
            query.sort_unstable();
            let answer = self
                .send(Method::GET, self.bucket.clone(), &query, Bytes::new())
                .await?;
            let after = self.page(&answer.text, &mut found);
            if after.is_none() || after == next {
                return Ok(found);
            }
            next = after;
        }
    }

    async fn remove_version(&self, path: &str, id: &str) -> Result<()> {
        let query = [("versionId", id)];
        match self
            .send(Method::DELETE, self.object(path)?, &query, Bytes::new())
            .await
        {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// As S3 writes it, rounded up: a lock is never shorter than was asked for.
fn timestamp(until: DateTime<Utc>) -> String {
    let whole = until.trunc_subsecs(0);
    let up = if whole < until {
        whole + TimeDelta::seconds(1)
    } else {
        whole
    };
    up.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| failure(&error.to_string()))
}

fn failure(what: &str) -> Error {
    Error::Generic {
        store: "S3",
        source: what.to_owned().into(),
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.len() == 64)?;
    (0..32)
        .map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The versions and marks of an answer, in their order; `true` for a mark.
fn entries(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let version = rest.find("<Version>").map(|at| (at, false));
        let marker = rest.find("<DeleteMarker>").map(|at| (at, true));
        let (at, marker) = match (version, marker) {
            (Some(version), Some(marker)) => version.min(marker),
            (one, other) => one.or(other)?,
        };
        let end = if marker { "</DeleteMarker>" } else { "</Version>" };
        let entry = &rest[at..];
        let length = entry.find(end)?;
        rest = &entry[length + end.len()..];
        Some((marker, &entry[..length]))
    })
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    super::element(text, name)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_marks_are_read_in_their_order_and_only_below_the_prefix() {
        let locks = S3Locks::new(
            Http::new(true, None).unwrap(),
            Arc::new(Signer::new(
                AwsCredential {
                    key_id: "k".into(),
                    secret_key: "hunter2".into(),
                    token: None,
                },
                "us-east-1",
            )),
            Url::parse("http://127.0.0.1:1/bucket/").unwrap(),
            "a&b/NakivoBackup/",
        );
        assert!(!format!("{locks:?}").contains("hunter2"));
        let text = "<R><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>\
            <DeleteMarker><Key>a&amp;b/NakivoBackup/x</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
            <Version><Key>a&amp;b/NakivoBackup/x</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>7</Size></Version>\
            <Version><Key>elsewhere</Key><VersionId>1</VersionId></Version></R>";
        let mut found = Vec::new();
        assert_eq!(locks.page(text, &mut found), Some(("k".into(), String::new())));
        let seen: Vec<_> = found
            .iter()
            .map(|one| {
                (
                    one.path.as_str(),
                    one.id.as_str(),
                    one.newest,
                    one.marker,
                    one.size,
                )
            })
            .collect();
        assert_eq!(seen, [("x", "2", true, true, 0), ("x", "1", false, false, 7)]);
        assert_eq!(
            locks.object("log/1").unwrap().as_str(),
            "http://127.0.0.1:1/bucket/a&b/NakivoBackup/log/1"
        );
    }

    #[test]
    fn a_lock_is_never_shorter_than_asked_for() {
        let time = DateTime::from_timestamp(1_767_225_600, 1).unwrap();
        assert_eq!(timestamp(time), "2026-01-01T00:00:01Z");
        assert_eq!(timestamp(time.trunc_subsecs(0)), "2026-01-01T00:00:00Z");
        assert_eq!(escaped("a b/ü"), "a%20b%2F%C3%BC");
    }
}
