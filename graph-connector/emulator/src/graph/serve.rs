//! The way of a request: faults, limits, token, handler, headers, log.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use crate::clock;
use crate::faults::{Action, Damage, FaultBody, LinkFault};
use crate::graph::drives::{content, upload as drive_upload};
use crate::graph::routes::{self, Route};
use crate::graph::{Call, batch, upload};
use crate::http::reply::{Body, GraphError, Reply};
use crate::http::request::Request;
use crate::http::server::{Dropped, Incoming, Outgoing};
use crate::identity::endpoint;
use crate::log::RequestRecord;
use crate::world::World;

/// JSON bodies of Graph calls end here.
const MAX_JSON: usize = 4 * 1024 * 1024;

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// Login and Graph.
    Main,
    /// Pre-authenticated addresses: uploads, content of files.
    Outlook,
}

/// What came out of the way of one request.
pub(crate) enum Outcome {
    Reply(Reply, Option<Damage>),
    Drop,
}

/// Counts a request of a mailbox while it is in progress.
struct InProgress {
    world: Arc<World>,
    scope: (String, String),
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut map = self
            .world
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = map.get_mut(&self.scope) {
            *n = n.saturating_sub(1);
        }
    }
}

/// Serves one HTTP request.
pub(crate) async fn serve(world: Arc<World>, host: Host, incoming: Incoming) -> Result<Outgoing, Dropped> {
    let (_, id) = world.next_request();
    let request = Request::new(
        &incoming.method,
        &incoming.target,
        incoming.headers,
        incoming.body,
        id,
    );
    let is_batch = host == Host::Main
        && request.method == "POST"
        && request.segments.len() == 2
        && request.segments[1].eq_ignore_ascii_case("$batch");
    let mut guard: Option<Box<dyn std::any::Any + Send + Sync>> = None;
    let outcome = if is_batch {
        Box::pin(batch::serve(&world, request.clone())).await
    } else {
        Box::pin(process(&world, host, request.clone(), &mut guard)).await
    };
    match outcome {
        Outcome::Drop => Err(Dropped),
        Outcome::Reply(reply, damage) => Ok(Outgoing {
            reply: headers(&world, &request, reply),
            damage,
            guard,
        }),
    }
}

fn headers(world: &World, request: &Request, reply: Reply) -> Reply {
    let client = request
        .header("client-request-id")
        .unwrap_or(&request.request_id)
        .to_owned();
    reply
        .with("request-id", request.request_id.clone())
        .with("client-request-id", client)
        .with("x-ms-ags-diagnostic", "{\"ServerInfo\":{\"DataCenter\":\"Emulator\",\"Slice\":\"E\",\"Ring\":\"0\",\"ScaleUnit\":\"000\",\"RoleInstance\":\"EMU0001\"}}")
        .with("Date", clock::http(world.clock.now()))
}

/// One request or one member of a batch, with everything but the common headers.
pub(crate) async fn process(
    world: &Arc<World>,
    host: Host,
    mut request: Request,
    guard: &mut Option<Box<dyn std::any::Any + Send + Sync>>,
) -> Outcome {
    let arrived = world.clock.now();
    let token = bearer(&request).and_then(|t| world.identity.check(t, arrived));
    request.app = token.as_ref().map(|t| t.app.clone());
    let route = if host == Host::Main {
        routes::of(&request)
    } else {
        None
    };
    let scope = scope(world, &request, route.as_ref());
    world.log.arrived(&scope, arrived);
    world.faults.run_hooks(&request);
    let (delay, action) = world.faults.choose(&request);
    *guard = Some(Box::new(enter(world, &scope)));
    if let Some(delay) = delay {
        wait(delay).await;
    }
    let run = || execute(world, host, &request, token.as_ref(), route.as_ref(), &scope);
    let fault = action.is_some() || delay.is_some();
    let outcome = match action {
        None => Outcome::Reply(run(), None),
        Some(action) => match instead(world, &request, &action) {
            Some(outcome) => outcome,
            None => spoil(world, &request, run(), action),
        },
    };
    if let Outcome::Reply(reply, _) = &outcome
        && matches!(reply.status, 429 | 503)
        && let Some(seconds) = reply
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case("retry-after"))
            .and_then(|(_, v)| v.trim().parse::<i64>().ok())
    {
        world
            .log
            .fence(scope.clone(), world.clock.now() + seconds.saturating_mul(1000));
    }
    record(world, &request, &outcome, arrived, fault);
    outcome
}

/// The outcome of actions that leave the request unexecuted.
pub(crate) fn instead(world: &World, request: &Request, action: &Action) -> Option<Outcome> {
    match action {
        Action::Status {
            status,
            body,
            retry_after,
        } => Some(Outcome::Reply(
            injected(world, request, *status, body, retry_after.clone()),
            None,
        )),
        Action::Reset => Some(Outcome::Drop),
        _ => None,
    }
}

/// What an action makes of the right answer.
pub(crate) fn spoil(world: &World, request: &Request, reply: Reply, action: Action) -> Outcome {
    let success = reply.status < 300;
    match action {
        Action::AfterSuccess { .. } | Action::ResetAfterSuccess if success => world.log.after_success(),
        _ => {}
    }
    match action {
        Action::AfterSuccess { status } if success => {
            Outcome::Reply(injected(world, request, status, &FaultBody::Envelope, None), None)
        }
        Action::ResetAfterSuccess => Outcome::Drop,
        Action::Damage(damage) => Outcome::Reply(reply, Some(damage)),
        Action::Link(kind) => Outcome::Reply(spoil_links(world, request, reply, kind), None),
        _ => Outcome::Reply(reply, None),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an injected delay is real time by definition"
)]
pub(crate) async fn wait(delay: std::time::Duration) {
    tokio::time::sleep(delay).await;
}

fn record(world: &World, request: &Request, outcome: &Outcome, at_ms: i64, fault: bool) {
    let operation = routes::operation(request);
    let login = operation.contains("/oauth2/") || operation.contains("/.well-known/");
    world.log.push(RequestRecord {
        number: 0,
        at_ms,
        method: request.method.clone(),
        target: request.target.clone(),
        write: !login
            && !matches!(request.method.as_str(), "GET" | "HEAD")
            && !operation.ends_with("/$batch")
            && !operation.ends_with("/translateExchangeIds"),
        operation,
        status: match outcome {
            Outcome::Reply(reply, _) => reply.status,
            Outcome::Drop => 0,
        },
        app: request.app.clone(),
        prefer: request.preferences().map(str::to_owned).collect(),
        client_request_id: request.header("client-request-id").map(str::to_owned),
        user_agent: request.header("user-agent").map(str::to_owned),
        authorized: request.header("authorization").is_some(),
        body_len: request.body.len() as u64,
        in_batch: request.in_batch,
        fault,
    });
}

/// Logs a request that did not go through [`process`]: the envelope of a batch.
pub(crate) fn record_batch(world: &World, request: &Request, outcome: &Outcome) {
    record(world, request, outcome, world.clock.now(), false);
}

pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let header = request.header("authorization")?;
    let (kind, token) = header.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Application and mailbox, or `directory`, or `sharepoint` for everything about drives.
fn scope(world: &World, request: &Request, route: Option<&Route>) -> (String, String) {
    let stored = request.path().starts_with(content::PATH) || request.path().starts_with(drive_upload::PATH);
    if stored || matches!(route, Some(Route::Drive(_) | Route::Site(_))) {
        return (request.app.clone().unwrap_or_default(), "sharepoint".to_owned());
    }
    let mailbox = route.and_then(Route::mailbox).map_or_else(
        || "directory".to_owned(),
        |u| {
            world
                .user(u)
                .map_or_else(|| u.to_owned(), |u| u.person.id.clone())
        },
    );
    (request.app.clone().unwrap_or_default(), mailbox)
}

fn enter(world: &Arc<World>, scope: &(String, String)) -> InProgress {
    if !matches!(scope.1.as_str(), "directory" | "sharepoint") {
        let mut map = world.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let n = map.entry(scope.clone()).or_default();
        *n += 1;
        world.log.in_flight(*n);
    }
    InProgress {
        world: Arc::clone(world),
        scope: scope.clone(),
    }
}

/// The limits of a mailbox that are switched on.
fn limits(world: &World, scope: &(String, String)) -> Result<(), GraphError> {
    let settings = world.settings();
    if matches!(scope.1.as_str(), "directory" | "sharepoint") {
        return Ok(());
    }
    if settings.mailbox_concurrency_limit {
        let map = world.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(scope).is_some_and(|n| *n > 4) {
            return Err(GraphError::throttled(Some(1)));
        }
    }
    if settings.mailbox_rate_limit {
        const WINDOW_MS: i64 = 600_000;
        let now = world.clock.now();
        let mut windows = world.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(scope.clone()).or_insert((now, 0));
        if now - window.0 >= WINDOW_MS {
            *window = (now, 0);
        }
        window.1 += 1;
        if window.1 > 10_000 {
            let rest = (WINDOW_MS - (now - window.0)).max(0) as u64 / 1000 + 1;
            return Err(GraphError::new(
                429,
                "ApplicationThrottled",
                "Application is over its request limit for this mailbox.",
            )
            .with("Retry-After", rest.to_string()));
        }
    }
    Ok(())
}

fn execute(
    world: &World,
    host: Host,
    request: &Request,
    token: Option<&crate::identity::Token>,
    route: Option<&Route>,
    scope: &(String, String),
) -> Reply {
    let result = match host {
        Host::Outlook if request.path().starts_with(content::PATH) => content::serve(world, request),
        Host::Outlook if request.path().starts_with(drive_upload::PATH) => {
            drive_upload::handle(world, request)
        }
        Host::Outlook => upload::handle(world, request),
        Host::Main => {
            if let Some(reply) = endpoint::handle(world, request) {
                return reply;
            }
            graph(world, request, token, route, scope)
        }
    };
    result.unwrap_or_else(|error| error_reply(world, request, &error))
}

pub(crate) fn error_reply(world: &World, request: &Request, error: &GraphError) -> Reply {
    error.reply(
        &request.request_id,
        request.header("client-request-id"),
        world.clock.now(),
    )
}

/// The checks that come before any handler.
pub(crate) fn authorise(
    request: &Request,
    token: Option<&crate::identity::Token>,
) -> Result<crate::identity::Token, GraphError> {
    match request.segments.first().map(|s| s.to_lowercase()).as_deref() {
        Some("v1.0") => {}
        Some(other) => return Err(GraphError::bad(format!("Invalid version: {other}"))),
        None => return Err(GraphError::bad("Invalid version")),
    }
    if bearer(request).is_none() {
        return Err(GraphError::new(401, "InvalidAuthenticationToken", "Access token is empty.").with(
            "WWW-Authenticate",
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"",
        ));
    }
    token.cloned().ok_or_else(|| {
        GraphError::new(
            401,
            "InvalidAuthenticationToken",
            "Lifetime validation failed, the token is expired or unknown.",
        )
        .with("WWW-Authenticate", "Bearer realm=\"\", error=\"invalid_token\"")
    })
}

fn graph(
    world: &World,
    request: &Request,
    token: Option<&crate::identity::Token>,
    route: Option<&Route>,
    scope: &(String, String),
) -> Result<Reply, GraphError> {
    let token = authorise(request, token)?;
    let first = request
        .segments
        .get(1)
        .map(|s| s.to_lowercase())
        .unwrap_or_default();
    if first == "me" {
        return Err(GraphError::bad(
            "/me request is only valid with delegated authentication flow.",
        ));
    }
    if request.body.len() > MAX_JSON {
        return Err(GraphError::new(
            413,
            "RequestEntityTooLarge",
            "The request entity is too large.",
        ));
    }
    limits(world, scope)?;
    let route = route.ok_or_else(|| {
        GraphError::bad(format!(
            "Resource not found for the segment '{}'.",
            request.segments.last().cloned().unwrap_or_default()
        ))
    })?;
    let write = !matches!(request.method.as_str(), "GET" | "HEAD") && !matches!(route, Route::Translate(_));
    if write && world.settings().read_only_guard {
        return Err(GraphError::new(
            403,
            "ErrorAccessDenied",
            "The read-only guard of the emulator refused a write.",
        ));
    }
    let call = Call {
        world,
        request,
        token,
    };
    routes::answer(&call, route)
}

fn injected(
    world: &World,
    request: &Request,
    status: u16,
    body: &FaultBody,
    retry_after: Option<String>,
) -> Reply {
    let code = match status {
        400 => "BadRequest",
        401 => "InvalidAuthenticationToken",
        403 => "ErrorAccessDenied",
        404 => "ErrorItemNotFound",
        409 => "ErrorFolderExists",
        410 => "SyncStateNotFound",
        412 => "ErrorIrresolvableConflict",
        423 => "resourceLocked",
        429 => "TooManyRequests",
        501 => "NotImplemented",
        502 => "UnknownError",
        503 => "serviceNotAvailable",
        504 => "UnknownError",
        507 => "ErrorQuotaExceeded",
        509 => "bandwidthLimitExceeded",
        _ => "ErrorInternalServerError",
    };
    let envelope =
        |code: &str| error_reply(world, request, &GraphError::new(status, code, "Injected fault."));
    let reply = match body {
        FaultBody::Envelope => envelope(code),
        FaultBody::Code(code) => envelope(code),
        FaultBody::Empty => Reply::empty(status),
        FaultBody::Html => Reply::bytes(
            status,
            "text/html",
            "<html><head><title>Proxy</title></head><body><h1>The page cannot be displayed</h1></body></html>",
        ),
        FaultBody::Json(text) => Reply::bytes(status, "application/json", text.clone()),
    };
    match retry_after {
        Some(value) => reply.with("Retry-After", value),
        None => reply,
    }
}

fn spoil_links(world: &World, request: &Request, mut reply: Reply, kind: LinkFault) -> Reply {
    let Body::Json(Value::Object(map)) = &mut reply.body else {
        return reply;
    };
    match kind {
        LinkFault::ForeignHost => {
            let name = if map.contains_key("@odata.deltaLink") {
                "@odata.deltaLink"
            } else {
                "@odata.nextLink"
            };
            let target = map.get(name).and_then(Value::as_str).unwrap_or(&request.target);
            let tail = target.split_once("/v1.0").map_or("", |x| x.1);
            let link = format!("https://graph.attacker.example/v1.0{tail}");
            map.insert(name.into(), json!(link));
        }
        LinkFault::Loop => {
            let base = world.login_url();
            map.remove("@odata.deltaLink");
            map.insert(
                "@odata.nextLink".into(),
                json!(format!("{base}{}", request.target)),
            );
        }
        LinkFault::Huge => {
            for name in ["@odata.nextLink", "@odata.deltaLink"] {
                if let Some(Value::String(link)) = map.get_mut(name) {
                    link.push_str(&format!("&pad={}", "x".repeat(100_000)));
                }
            }
        }
    }
    reply
}
