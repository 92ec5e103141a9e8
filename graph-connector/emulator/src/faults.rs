//! Faults that clients ask for: what goes wrong, for which requests, when and how often.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::http::request::Request;
use crate::random::key;

/// How the body of a good answer is spoiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// `Content-Length` announces the whole body; the connection breaks after this many bytes.
    CutAt(usize),
    /// A chunked body whose connection breaks after this many bytes, without the last chunk.
    CutChunkedAt(usize),
    /// Ends after this many bytes and announces just that: complete for HTTP, truncated JSON or MIME.
    ShortenTo(usize),
    /// This text follows the right body, within the announced length.
    Append(String),
}

/// The body of an injected error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultBody {
    /// Graph's error envelope with a code that fits the status.
    #[default]
    Envelope,
    /// The envelope with this code.
    Code(String),
    /// Nothing.
    Empty,
    /// An HTML page, as proxies and gateways send it.
    Html,
    /// This text as `application/json`.
    Json(String),
}

/// What is done to `@odata.nextLink` (and `deltaLink`) of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFault {
    /// The link names another host (`graph.attacker.example`). Added as a next link when there was none.
    ForeignHost,
    /// The next link is the address of the request itself: an endless loop.
    Loop,
    /// The link is 100 KB long.
    Huge,
}

/// What happens to a chosen request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// This answer instead of the real one; nothing is executed.
    Status {
        /// HTTP status; 200 with [`FaultBody::Html`] is the proxy page.
        status: u16,
        /// The body.
        #[serde(default)]
        body: FaultBody,
        /// `Retry-After` as sent: seconds, an HTTP date, junk.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The request is executed; then this status is answered with an envelope: "error after success".
    AfterSuccess {
        /// HTTP status.
        status: u16,
    },
    /// The request is executed and the connection is dropped without an answer.
    ResetAfterSuccess,
    /// The connection is dropped without an answer; nothing is executed.
    Reset,
    /// The right answer with its body spoiled.
    Damage(Damage),
    /// The right answer with its links spoiled.
    Link(LinkFault),
    /// The right answer, later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
}

/// A rule: for which requests, when, and what. Without conditions it applies to every request for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What happens.
    pub action: Action,
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths with this text in them (any case); `*` stands for any run of characters.
    #[serde(default)]
    pub path: Option<String>,
    /// Only requests of this application id.
    #[serde(default)]
    pub app: Option<String>,
    /// Lets this many matching requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes at most so often.
    #[serde(default)]
    pub times: Option<u64>,
    /// Strikes a matching request with this probability (0..=1), decided by `seed`.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Seed for `rate`.
    #[serde(default)]
    pub seed: u64,
}

impl Fault {
    /// A rule with this action for every request.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            method: None,
            path: None,
            app: None,
            skip: 0,
            times: None,
            rate: None,
            seed: 0,
        }
    }

    /// An error status with Graph's envelope.
    pub fn status(status: u16) -> Self {
        Self::new(Action::Status {
            status,
            body: FaultBody::Envelope,
            retry_after: None,
        })
    }

    /// Sets the body of a [`Fault::status`].
    #[must_use]
    pub fn body(mut self, with: FaultBody) -> Self {
        if let Action::Status { body, .. } = &mut self.action {
            *body = with;
        }
        self
    }

    /// Sets the error code of a [`Fault::status`].
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        self.body(FaultBody::Code(code.to_owned()))
    }

    /// Sets `Retry-After` of a [`Fault::status`], sent as it is.
    #[must_use]
    pub fn retry_after(mut self, value: impl ToString) -> Self {
        if let Action::Status { retry_after, .. } = &mut self.action {
            *retry_after = Some(value.to_string());
        }
        self
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_ascii_uppercase());
        self
    }

    /// Only paths with this text (any case, `*` as wildcard).
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    /// Only this application.
    #[must_use]
    pub fn app(mut self, app_id: &str) -> Self {
        self.app = Some(app_id.to_owned());
        self
    }

    /// Exactly the `n`-th matching request from now, counted from 1.
    #[must_use]
    pub fn at_request(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self.times = Some(1);
        self
    }

    /// Lets `n` matching requests pass first.
    #[must_use]
    pub fn after(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// At most `n` times.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = Some(n);
        self
    }

    /// With probability `rate` (0..=1), decided by `seed` and the number of the request.
    #[must_use]
    pub fn rate(mut self, rate: f64, seed: u64) -> Self {
        self.rate = Some(rate);
        self.seed = seed;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        // The envelope of a batch is struck only by rules that name it; others are for its members.
        let batch = request
            .segments
            .last()
            .is_some_and(|s| s.eq_ignore_ascii_case("$batch"));
        (!batch
            || self
                .path
                .as_ref()
                .is_some_and(|p| p.to_lowercase().contains("$batch")))
            && self
                .method
                .as_ref()
                .is_none_or(|m| m.eq_ignore_ascii_case(&request.method))
            && self.app.as_ref().is_none_or(|a| request.app.as_ref() == Some(a))
            && self.path.as_ref().is_none_or(|p| {
                glob(&p.to_lowercase(), &request.target.to_lowercase())
                    || glob(
                        &p.to_lowercase(),
                        &format!("/{}", request.segments.join("/")).to_lowercase(),
                    )
            })
    }
}

/// True when the parts of `pattern` between `*` occur in `text` in order.
fn glob(pattern: &str, text: &str) -> bool {
    let mut at = 0;
    for part in pattern.split('*') {
        match text[at..].find(part) {
            Some(found) => at += found + part.len(),
            None => return false,
        }
    }
    true
}

#[derive(Debug)]
struct Rule {
    id: u64,
    fault: Fault,
    seen: u64,
    struck: u64,
}

/// Something to do when a request arrives, before it is executed.
struct Hook {
    matcher: Fault,
    seen: u64,
    run: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook")
            .field("path", &self.matcher.path)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    hooks: Vec<Hook>,
    rules: Vec<Rule>,
    next: u64,
    struck: u64,
}

/// The rules in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultTable(Arc<Mutex<State>>);

impl FaultTable {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        state.rules.push(Rule {
            id,
            fault,
            seen: 0,
            struck: 0,
        });
        id
    }

    pub(crate) fn hook(&self, path: &str, n: u64, run: Box<dyn FnOnce() + Send>) {
        let matcher = Fault::status(0).path(path).after(n.saturating_sub(1));
        self.lock().hooks.push(Hook {
            matcher,
            seen: 0,
            run,
        });
    }

    /// Runs what is due when this request arrives. The edits may use the emulator, but not add hooks.
    pub(crate) fn run_hooks(&self, request: &Request) {
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            let mut kept = Vec::new();
            for mut hook in std::mem::take(&mut state.hooks) {
                hook.seen += u64::from(hook.matcher.matches(request));
                if hook.seen > hook.matcher.skip {
                    due.push(hook.run)
                } else {
                    kept.push(hook)
                }
            }
            state.hooks = kept;
        }
        due.into_iter().for_each(|run| run());
    }

    pub(crate) fn remove(&self, id: u64) {
        self.lock().rules.retain(|r| r.id != id);
    }

    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.hooks.clear();
    }

    pub(crate) fn struck(&self) -> u64 {
        self.lock().struck
    }

    pub(crate) fn list(&self) -> Vec<(u64, Fault, u64)> {
        self.lock()
            .rules
            .iter()
            .map(|r| (r.id, r.fault.clone(), r.struck))
            .collect()
    }

    /// What strikes this request: all delays, and the first other action.
    pub(crate) fn choose(&self, request: &Request) -> (Option<Duration>, Option<Action>) {
        let mut state = self.lock();
        let mut delay: Option<Duration> = None;
        let mut chosen: Option<Action> = None;
        let mut struck = 0;
        for rule in &mut state.rules {
            let is_delay = matches!(rule.fault.action, Action::Delay { .. });
            if (chosen.is_some() && !is_delay) || !rule.fault.matches(request) {
                continue;
            }
            rule.seen += 1;
            let spent = rule.fault.times.is_some_and(|t| rule.struck >= t);
            let lucky = rule.fault.rate.is_some_and(|rate| {
                let draw = (key(&[rule.fault.seed, rule.seen]) >> 11) as f64 / (1_u64 << 53) as f64;
                draw >= rate
            });
            if rule.seen <= rule.fault.skip || spent || lucky {
                continue;
            }
            rule.struck += 1;
            struck += 1;
            match &rule.fault.action {
                Action::Delay { millis } => {
                    delay = Some(delay.unwrap_or_default() + Duration::from_millis(*millis));
                }
                action => chosen = Some(action.clone()),
            }
        }
        state.struck += struck;
        (delay, chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Request {
        Request::new("GET", target, vec![], bytes::Bytes::new(), String::new())
    }

    #[test]
    fn strikes_when_told() {
        let table = FaultTable::default();
        table.add(Fault::status(503).path("messages/*delta").at_request(2));
        let hit = |t: &str| table.choose(&request(t)).1.is_some();
        assert!(!hit("/v1.0/users"));
        assert!(!hit("/v1.0/users/a/mailFolders/b/messages/delta"));
        assert!(hit("/v1.0/users/a/mailFolders('b')/messages/delta()?x=1"));
        assert!(!hit("/v1.0/users/a/mailFolders/b/messages/delta"));
    }
}
