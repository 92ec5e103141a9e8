//! Sends requests: tokens, budgets, retries, `Retry-After`, limits, and what an answer must look like.
//!
//! What may be repeated is repeated here, so that a caller sees an error only when waiting and trying again did not help.
//! A request that is not idempotent is never repeated blindly: its caller looks whether it was carried out.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::Usage;
use nakivo_core::seams::{Clock, Rng, random_bytes};
use nakivo_core::{Error, ErrorKind, Result};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER, USER_AGENT,
};
use tokio::sync::OwnedSemaphorePermit;

use crate::fault::{Fault, Refusal};
use crate::governor::{Governor, Scope};
use crate::http::{Http, HttpError, HttpRequest, HttpResponse};
use crate::request::Target;
use crate::token::TokenSource;

/// Decorated as SharePoint and Exchange ask of vendors (contract 2.1).
pub(crate) const AGENT: &str = concat!("ISV|Nakivo|NakivoSdk/", env!("CARGO_PKG_VERSION"));
/// Largest JSON answer. A page that would be larger is asked for again with fewer items.
pub(crate) const MAX_JSON_BYTES: u64 = 32 << 20;
/// Largest body of an error answer that is looked at.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// Longest pause that is waited out; a longer one is handed to the caller as `Throttled`.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(900);
/// Tries of a request that is throttled, and of one that meets other passing faults.
const MAX_THROTTLED: u32 = 10;
const MAX_TRIES: u32 = 6;
/// Tries when the service says that it cannot read this one item.
const MAX_TRIES_UNREADABLE: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What kind of body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    Json,
    /// Bytes as they are: not compressed, so that the length is known beforehand.
    Bytes,
}

/// One request and how it may be handled.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) scope: Scope,
    /// How many of the scope's slots it takes: a batch takes all.
    pub(crate) slots: u32,
    pub(crate) accept: Accept,
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// May be sent again although it may have been carried out.
    pub(crate) repeatable: bool,
    /// Pre-authenticated addresses must not see the token (contract 1.5).
    pub(crate) with_token: bool,
    /// The caller can ask for less: a 504 or an answer that is too large is returned at once.
    pub(crate) shrinkable: bool,
    /// What it costs in resource units.
    pub(crate) units: u32,
    /// A redirect is an answer: its address is in the headers. It is never followed.
    pub(crate) redirects: bool,
}

impl Call {
    pub(crate) fn new(target: Target, scope: Scope) -> Self {
        let repeatable = target.method == reqwest::Method::GET || target.method == reqwest::Method::DELETE;
        Self {
            target,
            scope,
            slots: 1,
            accept: Accept::Json,
            body: None,
            repeatable,
            with_token: true,
            shrinkable: false,
            units: 0,
            redirects: false,
        }
    }

    pub(crate) fn json_body(mut self, value: &serde_json::Value) -> Self {
        self.body = Some(("application/json", Bytes::from(value.to_string())));
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.target.headers.append(name, value);
        }
        self
    }

    pub(crate) fn bytes(mut self) -> Self {
        self.accept = Accept::Bytes;
        self
    }

    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// A successful answer whose body has not been read. Holds its slot until the body has ended or is dropped.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BoxStream<'static, Result<Bytes, HttpError>>,
}

impl Answer {
    /// Length of the body where the service said so and nothing was decompressed.
    pub(crate) fn length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    throttled: AtomicU64,
    retried: AtomicU64,
    received: Arc<AtomicU64>,
    sent: AtomicU64,
}

/// Sends requests for one account.
#[derive(Debug)]
pub(crate) struct Executor {
    http: Arc<dyn Http>,
    tokens: TokenSource,
    governor: Governor,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    counters: Counters,
}

impl Executor {
    pub(crate) fn new(
        http: Arc<dyn Http>,
        tokens: TokenSource,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        units_per_minute: Option<u32>,
    ) -> Self {
        let governor = Governor::new(Arc::clone(&clock), units_per_minute);
        Self {
            http,
            tokens,
            governor,
            clock,
            rng,
            counters: Counters::default(),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Waits, for callers that retry on a level above.
    pub(crate) async fn pause(&self, backoff: &mut Backoff, wait: Option<Duration>) -> Result<(), Fault> {
        backoff
            .pause(&*self.clock, &*self.rng, wait)
            .await
            .map_err(Fault::Ready)
    }

    /// Tells the governor about a pause that came inside a batch.
    pub(crate) fn silence(&self, scope: &Scope, wait: Duration) {
        self.counters.throttled.fetch_add(1, Ordering::Relaxed);
        self.governor.silence(scope, wait);
    }

    pub(crate) fn usage(&self) -> Usage {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Usage::new(
            get(&counters.requests),
            get(&counters.throttled),
            get(&counters.retried),
            get(&counters.received),
            get(&counters.sent),
        )
    }

    /// Gets the token, so that a wrong credential is found before anything else.
    pub(crate) async fn sign_in(&self) -> Result<()> {
        self.tokens.get().await.map(|_| ())
    }

    /// Sends and reads a JSON answer. The text is valid JSON; what was not has been repaired.
    pub(crate) async fn json(&self, call: &Call) -> Result<String, Fault> {
        self.json_with_headers(call).await.map(|(text, _)| text)
    }

    /// As [`Executor::json`], with the headers of the answer.
    pub(crate) async fn json_with_headers(&self, call: &Call) -> Result<(String, HeaderMap), Fault> {
        let mut patience = Patience::default();
        loop {
            let answer = self.exchange(call, &mut patience).await?;
            let headers = answer.headers.clone();
            let problem = match collect(answer.body, MAX_JSON_BYTES).await {
                Ok(body) => match json_text(&headers, &body) {
                    Ok(text) => return Ok((text, headers)),
                    Err(problem) => problem,
                },
                Err(problem) => problem,
            };
            let final_one = call.shrinkable && matches!(problem, Fault::TooLarge { .. });
            if final_one || !call.repeatable || !patience.again(MAX_TRIES) {
                return Err(problem);
            }
            self.retrying(&mut patience, None).await?;
        }
    }

    /// Sends and returns the answer with its body as a stream.
    pub(crate) async fn stream(&self, call: &Call) -> Result<Answer, Fault> {
        self.exchange(call, &mut Patience::default()).await
    }

    async fn retrying(&self, patience: &mut Patience, wait: Option<Duration>) -> Result<(), Fault> {
        self.counters.retried.fetch_add(1, Ordering::Relaxed);
        self.pause(&mut patience.backoff, wait).await
    }

    /// Sends until an answer with a good status comes, or until there is no sense in trying again.
    async fn exchange(&self, call: &Call, patience: &mut Patience) -> Result<Answer, Fault> {
        loop {
            let fault = match self.once(call, patience).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Ready(error)) => return Err(Fault::Ready(error)),
                Err(fault) => fault,
            };
            let wait = match &fault {
                Fault::Refused(refusal) if refusal.throttled() => {
                    let wait = self.throttled(call, refusal, patience)?;
                    if refusal.status == 503 && !call.repeatable {
                        return Err(fault);
                    }
                    Some(wait)
                }
                Fault::Refused(refusal) if refusal.status == 401 && call.with_token && !patience.renewed => {
                    patience.renewed = true;
                    self.tokens
                        .renew(patience.generation)
                        .await
                        .map_err(Fault::Ready)?;
                    self.counters.retried.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Fault::Refused(refusal) => {
                    let passing = matches!(refusal.status, 408 | 500 | 502..=504)
                        || (refusal.status == 404 && !refusal.envelope && call.repeatable);
                    let tries = if refusal.item_unreadable() {
                        MAX_TRIES_UNREADABLE
                    } else if refusal.status == 404 {
                        3
                    } else {
                        MAX_TRIES
                    };
                    let smaller = call.shrinkable && refusal.status == 504;
                    if !passing || smaller || !call.repeatable || !patience.again(tries) {
                        return Err(fault);
                    }
                    None
                }
                Fault::Transport { ambiguous, .. } => {
                    if (*ambiguous && !call.repeatable) || !patience.again(MAX_TRIES) {
                        return Err(fault);
                    }
                    None
                }
                _ => return Err(fault),
            };
            self.retrying(patience, wait).await?;
        }
    }

    /// Silences the scope and says how long, or gives up.
    fn throttled(&self, call: &Call, refusal: &Refusal, patience: &mut Patience) -> Result<Duration, Fault> {
        patience.throttled += 1;
        let backoff = patience.backoff.next(&*self.rng).map_err(Fault::Ready)?;
        // Never below what was asked for; without a value, or with zero, our own pause.
        let wait = refusal.retry_after.unwrap_or_default().max(backoff);
        self.silence(&call.scope, wait);
        if wait > MAX_WAIT || patience.throttled >= MAX_THROTTLED {
            return Err(Fault::Ready(Error::new(
                ErrorKind::Throttled { retry_after: wait },
                format!("Graph asked to wait: {refusal}"),
            )));
        }
        Ok(wait)
    }

    async fn once(&self, call: &Call, patience: &mut Patience) -> Result<Answer, Fault> {
        let silent = self.governor.silent_for(&call.scope);
        if silent > MAX_WAIT {
            return Err(Fault::Ready(Error::new(
                ErrorKind::Throttled { retry_after: silent },
                "Graph asked to wait",
            )));
        }
        let permit = self.governor.enter(&call.scope, call.slots, call.units).await;
        let request = self.request(call, patience).await.map_err(Fault::Ready)?;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters
            .sent
            .fetch_add(request.body.len() as u64, Ordering::Relaxed);
        let response = self.http.send(request).await.map_err(|error| {
            let ambiguous = !matches!(error, HttpError::NotSent(_));
            Fault::Transport { error, ambiguous }
        })?;
        self.judge(call, response, permit).await
    }

    async fn request(&self, call: &Call, patience: &mut Patience) -> Result<HttpRequest> {
        let mut headers = call.target.headers.clone();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let id = uuid_text(random_bytes(&*self.rng)?);
        headers.insert(
            CLIENT_REQUEST_ID,
            HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("0")),
        );
        match call.accept {
            Accept::Json => headers.insert(ACCEPT, HeaderValue::from_static("application/json")),
            Accept::Bytes => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                headers.insert(ACCEPT, HeaderValue::from_static("*/*"))
            }
        };
        if call.with_token {
            let token = self.tokens.get().await?;
            patience.generation = token.generation;
            let text = zeroize::Zeroizing::new(format!("Bearer {}", token.value.expose()));
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| Error::new(ErrorKind::Protocol, "the token cannot be sent as a header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut body = Bytes::new();
        if let Some((media_type, bytes)) = &call.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            body = bytes.clone();
        }
        Ok(HttpRequest {
            method: call.target.method.clone(),
            url: call.target.url.clone(),
            headers,
            body,
        })
    }

    /// Turns an error status into a fault, and counts and guards the body of a good one.
    async fn judge(
        &self,
        call: &Call,
        response: HttpResponse,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, Fault> {
        let received = Arc::clone(&self.counters.received);
        let HttpResponse {
            status,
            headers,
            body,
        } = response;
        let body = body.inspect(move |piece| {
            if let Ok(piece) = piece {
                received.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        if let Some(limit) = number_of(&headers, "ratelimit-limit") {
            self.governor.learn(&call.scope, limit);
        }
        let redirected = call.redirects && (301..=308).contains(&status) && headers.contains_key(LOCATION);
        if (200..300).contains(&status) || redirected {
            if call.accept == Accept::Bytes && is_html(&headers) {
                return Err(Fault::Transport {
                    error: HttpError::Broken("an HTML page came instead of content".to_owned()),
                    ambiguous: true,
                });
            }
            let guarded = body.map(move |piece| {
                // The slot is free again when the last piece was taken and the stream is dropped.
                let _ = &permit;
                piece
            });
            return Ok(Answer {
                status,
                headers,
                body: guarded.boxed(),
            });
        }
        let wait = retry_after(&headers, self.clock.now());
        let request_id = headers
            .get(&REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .map(|id| {
                id.chars()
                    .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
                    .take(64)
                    .collect()
            });
        let body = collect(body.boxed(), MAX_ERROR_BYTES).await.unwrap_or_default();
        drop(permit);
        let mut refusal = Refusal::read(status, &body, request_id, wait);
        refusal.infected = headers.contains_key("x-virus-infected");
        refusal.location = headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        tracing::debug!(status, code = %refusal.code, path = call.target.url.path(), "Graph refused a request");
        Err(Fault::Refused(refusal))
    }
}

/// How often one request was tried, and with which token.
#[derive(Debug, Default)]
struct Patience {
    tries: u32,
    throttled: u32,
    renewed: bool,
    generation: u64,
    backoff: Backoff,
}

impl Patience {
    /// Counts a failed try; whether another is allowed.
    fn again(&mut self, max: u32) -> bool {
        self.tries += 1;
        self.tries < max
    }
}

/// Growing pauses with jitter, so that many clients do not return at the same moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// The next pause: between half and all of 0.5 s, 1 s, 2 s ... 60 s.
    fn next(&mut self, rng: &dyn Rng) -> Result<Duration> {
        let full = FIRST_PAUSE
            .saturating_mul(1 << self.tries.min(10))
            .min(LONGEST_PAUSE);
        self.tries += 1;
        let random = u32::from_le_bytes(random_bytes(rng)?);
        Ok(full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }

    /// Waits for the next pause, or for `wait` if that is longer.
    pub(crate) async fn pause(
        &mut self,
        clock: &dyn Clock,
        rng: &dyn Rng,
        wait: Option<Duration>,
    ) -> Result<()> {
        let pause = match wait {
            Some(wait) if wait > Duration::ZERO => {
                self.tries += 1;
                wait
            }
            _ => self.next(rng)?,
        };
        clock.sleep(pause).await;
        Ok(())
    }
}

/// A header that is a small number.
fn number_of(headers: &HeaderMap, name: &str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110 10.2.3); anything else is as good as absent.
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

pub(crate) fn parse_retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        // A century is as good as never, and does not overflow when added to a clock.
        return Some(Duration::from_secs(seconds.min(100 * 365 * 86_400)));
    }
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
        && (0.0..1e9).contains(&seconds)
    {
        return Some(Duration::from_secs_f64(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
    Some((date - now).to_std().unwrap_or_default())
}

/// Reads a body up to `limit` bytes.
pub(crate) async fn collect(
    mut body: BoxStream<'static, Result<Bytes, HttpError>>,
    limit: u64,
) -> Result<Bytes, Fault> {
    let mut out = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Fault::Transport {
            error,
            ambiguous: true,
        })?;
        if out.len() as u64 + piece.len() as u64 > limit {
            return Err(Fault::TooLarge { limit });
        }
        out.extend_from_slice(&piece);
    }
    Ok(out.freeze())
}

pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"))
}

fn json_text(headers: &HeaderMap, body: &[u8]) -> Result<String, Fault> {
    let first = body
        .iter()
        .find(|byte| !byte.is_ascii_whitespace() && **byte != 0xEF);
    if is_html(headers) || first == Some(&b'<') {
        return Err(Fault::Protocol {
            code: "html_instead_of_json",
            message: "the answer is an HTML page, probably a proxy's".to_owned(),
        });
    }
    if body.is_empty() {
        return Ok(String::new());
    }
    let text = crate::json::repair(body).ok_or_else(|| Fault::Protocol {
        code: "json_too_deep",
        message: "the answer is nested too deeply".to_owned(),
    })?;
    if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_err() {
        return Err(Fault::Protocol {
            code: "bad_json",
            message: "the answer is not complete JSON".to_owned(),
        });
    }
    Ok(Cow::into_owned(text))
}

/// A random UUID (RFC 9562 version 4) as text.
pub(crate) fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_every_form() {
        let now = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z")
            .unwrap()
            .with_timezone(&Utc);
        let parse = |text| parse_retry_after(text, now);
        assert_eq!(parse("0"), Some(Duration::ZERO));
        assert_eq!(parse(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(
            parse("Fri, 02 Jan 2026 03:05:05 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(parse("Fri, 02 Jan 2026 03:00:05 GMT"), Some(Duration::ZERO));
        assert!(parse("99999999999999999").unwrap() > Duration::from_secs(1 << 30));
        for junk in ["", "soon", "-5", "NaN", "1e999"] {
            assert_eq!(parse(junk), None, "{junk}");
        }
    }
}
