//! Tokens: OAuth 2.0 client credentials with a secret or a certificate (contract 1).
//!
//! One token for each connector, fetched by one task while the others wait, renewed some minutes before it ends, and
//! once more when Graph refuses it.

mod assertion;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use nakivo_core::seams::{Clock, Rng};
use nakivo_core::{Error, ErrorKind, Result};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::account::{Account, Credential, Secret};
use crate::executor::{AGENT, Backoff, retry_after};
use crate::http::{Http, HttpError, HttpRequest};
use assertion::Signer;

/// A token is renewed this long before it ends.
const EARLY: Duration = Duration::from_secs(300);
/// Tries of one token request: throttling and faults of the token service pass.
const MAX_TRIES: u32 = 6;
/// A longer pause than this is the caller's to wait.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// Token answers are small.
const MAX_BODY: usize = 1 << 20;

/// A token and which one it is.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: Arc<Secret>,
    pub(crate) generation: u64,
}

#[derive(Debug)]
struct Cached {
    token: Token,
    renew_at: Duration,
}

/// Gets tokens and keeps the newest.
#[derive(Debug)]
pub(crate) struct TokenSource {
    account: Account,
    signer: Option<Signer>,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Held while a token is being fetched, so that only one task does.
    cached: Mutex<Option<Cached>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Denied {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_codes: Vec<u64>,
    #[serde(default)]
    trace_id: String,
}

/// What one token request came to.
enum Attempt {
    Granted(Secret, Duration),
    Denied(u16, Denied),
    /// Worth another try, after this long if the service said so.
    Passing(String, Option<Duration>),
}

impl TokenSource {
    pub(crate) fn new(
        account: Account,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self> {
        let signer = match &account.credential {
            Credential::Secret(_) => None,
            Credential::Certificate {
                certificate_pem,
                private_key_pem,
            } => Some(Signer::new(certificate_pem, private_key_pem.expose())?),
        };
        Ok(Self {
            account,
            signer,
            http,
            clock,
            rng,
            cached: Mutex::new(None),
        })
    }

    /// A token that is valid for a while yet.
    pub(crate) async fn get(&self) -> Result<Token> {
        self.newer_than(None).await
    }

    /// A token other than the one that was refused. If somebody else renewed it meanwhile, that one.
    pub(crate) async fn renew(&self, refused: u64) -> Result<Token> {
        self.newer_than(Some(refused)).await
    }

    async fn newer_than(&self, refused: Option<u64>) -> Result<Token> {
        let mut cached = self.cached.lock().await;
        let mut generation = 0;
        if let Some(current) = cached.as_ref() {
            generation = current.token.generation;
            let fresh = self.clock.monotonic() < current.renew_at;
            if fresh && refused != Some(generation) {
                return Ok(current.token.clone());
            }
        }
        let (value, lifetime) = self.request().await?;
        let early = EARLY.min(lifetime / 2);
        let token = Token {
            value: Arc::new(value),
            generation: generation + 1,
        };
        *cached = Some(Cached {
            token: token.clone(),
            renew_at: self.clock.monotonic() + lifetime.saturating_sub(early),
        });
        Ok(token)
    }

    async fn request(&self) -> Result<(Secret, Duration)> {
        let mut backoff = Backoff::new();
        let mut clock_retry = true;
        loop {
            let (cause, wait) = match self.attempt().await? {
                Attempt::Granted(token, lifetime) => return Ok((token, lifetime)),
                Attempt::Denied(_, denied) if clock_retry && denied.error_codes.contains(&700_024) => {
                    clock_retry = false;
                    continue;
                }
                Attempt::Denied(status, denied) => return Err(self.denied(status, &denied)),
                Attempt::Passing(cause, wait) => (cause, wait),
            };
            if let Some(wait) = wait.filter(|wait| *wait > MAX_WAIT) {
                return Err(Error::new(
                    ErrorKind::Throttled { retry_after: wait },
                    "token service: it asked to wait",
                ));
            }
            if backoff.tries() + 1 >= MAX_TRIES {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("token service: {cause}"),
                ));
            }
            backoff.pause(&*self.clock, &*self.rng, wait).await?;
        }
    }

    async fn attempt(&self) -> Result<Attempt> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let request = HttpRequest {
            method: Method::POST,
            url: self.account.token_url.clone(),
            headers,
            body: self.form()?,
        };
        let response = match self.http.send(request).await {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Passing(error.to_string(), None)),
        };
        let wait = retry_after(&response.headers, self.clock.now());
        let body = match collect(response.body).await {
            Ok(body) => body,
            Err(cause) => return Ok(Attempt::Passing(cause, None)),
        };
        let status = response.status;
        if status == 200 {
            // Whatever does not parse is a proxy's page or was cut: a passing fault, never quoted.
            return Ok(match serde_json::from_slice::<Granted>(&body) {
                Ok(granted) if !granted.access_token.expose().is_empty() => {
                    Attempt::Granted(granted.access_token, lifetime(granted.expires_in.as_ref()))
                }
                _ => Attempt::Passing("the answer holds no token".to_owned(), None),
            });
        }
        if status == 429 || status == 408 || status >= 500 {
            return Ok(Attempt::Passing(format!("it answered {status}"), wait));
        }
        Ok(Attempt::Denied(
            status,
            serde_json::from_slice(&body).unwrap_or_default(),
        ))
    }

    fn form(&self) -> Result<Bytes> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &self.account.app_id)
            .append_pair("scope", &self.account.scope)
            .append_pair("grant_type", "client_credentials");
        match (&self.account.credential, &self.signer) {
            (Credential::Secret(secret), _) => {
                form.append_pair("client_secret", secret.expose());
            }
            (Credential::Certificate { .. }, Some(signer)) => {
                let assertion = signer.sign(
                    &self.account.app_id,
                    self.account.token_url.as_str(),
                    self.clock.now(),
                    &*self.rng,
                )?;
                form.append_pair(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                )
                .append_pair("client_assertion", &assertion);
            }
            (Credential::Certificate { .. }, None) => {
                return Err(Error::internal("no signer for the certificate"));
            }
        }
        Ok(Bytes::from(form.finish()))
    }

    /// Meaning of the documented codes (contract 1.4). The service's own text is not repeated: it may quote what was
    /// sent.
    fn denied(&self, status: u16, denied: &Denied) -> Error {
        let (kind, message, hint) = meaning(&denied.error_codes);
        let codes: Vec<String> = denied
            .error_codes
            .iter()
            .map(|code| format!("AADSTS{code}"))
            .collect();
        let oauth: String = denied
            .error
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(60)
            .collect();
        let mut details = vec![format!("HTTP {status}")];
        details.extend(codes);
        details.extend((!oauth.is_empty()).then_some(oauth));
        let trace: String = denied
            .trace_id
            .chars()
            .filter(|c| c.is_ascii_hexdigit() || *c == '-')
            .take(36)
            .collect();
        details.extend((!trace.is_empty()).then(|| format!("trace {trace}")));
        Error::new(
            kind,
            format!(
                "no token for app {} in directory {}: {message} ({})",
                self.account.app_id,
                self.account.directory_id,
                details.join(", ")
            ),
        )
        .with_hint(hint)
    }
}

fn meaning(codes: &[u64]) -> (ErrorKind, &'static str, &'static str) {
    for code in codes {
        return match code {
            7_000_215 => (
                ErrorKind::Unauthorized,
                "the client secret is wrong",
                "Enter the secret's value, not its id; make a new one if the value is lost.",
            ),
            7_000_222 => (
                ErrorKind::Unauthorized,
                "the client secret has expired",
                "Make a new client secret in the app registration and enter its value.",
            ),
            7_000_218 => (
                ErrorKind::Internal,
                "the request carried no credential",
                "Report this as a defect.",
            ),
            700_016 => (
                ErrorKind::Unauthorized,
                "the app is not known in this directory",
                "Check app_id and directory_id, and that an administrator consented to the app.",
            ),
            7_000_112 => (
                ErrorKind::Unauthorized,
                "the app is disabled",
                "Enable the app in Enterprise applications.",
            ),
            700_027 => (
                ErrorKind::Unauthorized,
                "the certificate is not registered with the app, or the key does not belong to it",
                "Upload the certificate to the app registration and check that both files belong together.",
            ),
            700_024 => (
                ErrorKind::Unauthorized,
                "the assertion is outside its time of validity",
                "Set this machine's clock.",
            ),
            90_002 | 900_023 => (
                ErrorKind::Unauthorized,
                "the directory was not found",
                "Check directory_id: the GUID of the directory or one of its verified domains.",
            ),
            70_011 | 700_022 | 1_002_012 => (
                ErrorKind::Unauthorized,
                "the scope was refused",
                "Check that graph_url and login_url belong to the same cloud.",
            ),
            53_003 => (
                ErrorKind::Unauthorized,
                "conditional access blocks the app",
                "Exclude the app's workload identity from the policy, or run from an allowed place.",
            ),
            _ => continue,
        };
    }
    (
        ErrorKind::Unauthorized,
        "the token service refused the credential",
        "Look the code up at https://login.microsoftonline.com/error and correct the app registration.",
    )
}

/// Seconds, as a number or as text; an hour if absent.
fn lifetime(value: Option<&serde_json::Value>) -> Duration {
    let seconds = match value {
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    Duration::from_secs(seconds.unwrap_or(3599).min(24 * 3600))
}

async fn collect(
    mut body: futures::stream::BoxStream<'static, std::result::Result<Bytes, HttpError>>,
) -> std::result::Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let mut out = zeroize::Zeroizing::new(Vec::new());
    while let Some(piece) = body.next().await {
        out.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        if out.len() > MAX_BODY {
            return Err("the answer is too large".to_owned());
        }
    }
    Ok(out)
}
