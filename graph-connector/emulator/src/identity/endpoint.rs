//! The token endpoint and what token clients look up beside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::clock;
use crate::http::path;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::identity::App;
use crate::identity::assertion::{self, Expected};
use crate::random::guid;
use crate::world::World;

struct Refused {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

fn refuse(status: u16, error: &'static str, code: u32, text: impl Into<String>) -> Refused {
    Refused {
        status,
        error,
        code,
        text: text.into(),
    }
}

/// Handles a path that belongs to the login host; `None` when it does not.
pub(crate) fn handle(world: &World, request: &Request) -> Option<Reply> {
    let lower: Vec<String> = request.segments.iter().map(|s| s.to_ascii_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    match words.as_slice() {
        [directory, "oauth2", "v2.0", "token"] => {
            if request.method != "POST" {
                return Some(Reply::empty(405));
            }
            Some(match token(world, request, directory) {
                Ok(reply) => reply,
                Err(refused) => error(world, request, &refused),
            })
        }
        ["v2.0", ".well-known", "openid-configuration"] => Some(configuration(world, &world.directory_id)),
        [directory, "v2.0", ".well-known", "openid-configuration"]
        | [directory, ".well-known", "openid-configuration"] => Some(configuration(world, directory)),
        ["common", "discovery", "instance"] => Some(Reply::json(
            200,
            json!({
                "tenant_discovery_endpoint":
                    format!("{}/{}/v2.0/.well-known/openid-configuration", world.login_url(), world.directory_id),
                "api-version": "1.1",
                "metadata": [],
            }),
        )),
        _ => None,
    }
}

fn configuration(world: &World, directory: &str) -> Reply {
    let base = format!("{}/{directory}", world.login_url());
    Reply::json(
        200,
        json!({
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": format!("{}/{}/v2.0", world.login_url(), world.directory_id),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }),
    )
}

fn error(world: &World, request: &Request, refused: &Refused) -> Reply {
    let now = world.clock.now();
    let trace = request.request_id.clone();
    let correlation = request.header("client-request-id").unwrap_or(&trace).to_owned();
    Reply::json(
        refused.status,
        json!({
            "error": refused.error,
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {}",
                refused.code, refused.text, clock::aad(now)
            ),
            "error_codes": [refused.code],
            "timestamp": clock::aad(now),
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("{}/error?code={}", world.login_url(), refused.code),
        }),
    )
}

fn token(world: &World, request: &Request, directory: &str) -> Result<Reply, Refused> {
    if directory != world.directory_id && directory != world.generator().domain {
        let looks_right = directory.contains('.') || directory.len() == 36;
        return Err(if looks_right {
            refuse(
                400,
                "invalid_request",
                90002,
                format!("Tenant '{directory}' not found."),
            )
        } else {
            refuse(
                400,
                "invalid_request",
                900_023,
                format!(
                    "Specified tenant identifier '{directory}' is neither a valid DNS name, nor a valid external domain."
                ),
            )
        });
    }
    if request.content_type() != "application/x-www-form-urlencoded" {
        return Err(refuse(
            400,
            "invalid_request",
            900_144,
            "The request body must contain the following parameter: 'grant_type'.",
        ));
    }
    let form = path::query(&String::from_utf8_lossy(&request.body));
    let field = |name: &str| {
        form.iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    };
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(other) => {
            return Err(refuse(
                400,
                "unsupported_grant_type",
                70003,
                format!("The app requested an unsupported grant type '{other}'."),
            ));
        }
        None => {
            return Err(refuse(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'grant_type'.",
            ));
        }
    }
    // HTTP Basic: id and secret are form-encoded before base64 (RFC 6749, 2.3.1).
    let basic = request
        .header("authorization")
        .and_then(|h| h.strip_prefix("Basic "))
        .and_then(|b| STANDARD.decode(b.trim()).ok())
        .and_then(|raw| String::from_utf8(raw).ok())
        .and_then(|t| {
            t.split_once(':')
                .map(|(i, s)| (path::decode(i, true), path::decode(s, true)))
        });
    let assertion = field("client_assertion");
    let client_id = field("client_id")
        .map(str::to_owned)
        .or_else(|| basic.as_ref().map(|b| b.0.clone()))
        .or_else(|| assertion.and_then(assertion::subject))
        .ok_or_else(|| {
            refuse(
                400,
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_id'.",
            )
        })?;
    scope(field("scope"))?;
    let app = world.identity.app(&client_id).ok_or_else(|| {
        refuse(
            400,
            "unauthorized_client",
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{directory}'."
            ),
        )
    })?;
    if app.disabled {
        return Err(refuse(
            400,
            "unauthorized_client",
            7_000_112,
            format!("Application '{client_id}' is disabled."),
        ));
    }
    let secret = field("client_secret").map(str::to_owned).or(basic.map(|b| b.1));
    let now = world.clock.now();
    match (assertion, secret) {
        (Some(jwt), _) => {
            if field("client_assertion_type")
                != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            {
                return Err(refuse(
                    400,
                    "invalid_request",
                    90014,
                    "The required field 'client_assertion_type' is missing or wrong.",
                ));
            }
            certificate(world, &app, jwt, now)?;
        }
        (None, Some(secret)) => match app.secrets.iter().find(|(s, _)| *s == secret) {
            Some((_, Some(until))) if *until <= now => {
                return Err(refuse(
                    401,
                    "invalid_client",
                    7_000_222,
                    format!("The provided client secret keys for app '{client_id}' are expired."),
                ));
            }
            Some(_) => {}
            None => {
                return Err(refuse(
                    401,
                    "invalid_client",
                    7_000_215,
                    format!(
                        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
                    ),
                ));
            }
        },
        (None, None) => {
            return Err(refuse(
                401,
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            ));
        }
    }
    let seconds = world.token_seconds();
    let token = world.identity.issue(&app, world.seed, now, seconds);
    Ok(Reply::json(
        200,
        json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}),
    )
    .with("Cache-Control", "no-store, no-cache"))
}

fn certificate(world: &World, app: &App, jwt: &str, now: i64) -> Result<(), Refused> {
    let login = world.login_url();
    let audiences: Vec<String> = [world.directory_id.as_str(), world.generator().domain.as_str()]
        .iter()
        .map(|d| format!("{login}/{d}/oauth2/v2.0/token"))
        .collect();
    let expected = Expected {
        app,
        audiences: &audiences,
        now: world.clock.injected().then_some(now / 1000),
    };
    assertion::check(jwt, &expected).map_err(|(code, text)| refuse(401, "invalid_client", code, text))
}

fn scope(scope: Option<&str>) -> Result<(), Refused> {
    let scope = scope.ok_or_else(|| {
        refuse(
            400,
            "invalid_request",
            900_144,
            "The request body must contain the following parameter: 'scope'.",
        )
    })?;
    let scopes: Vec<&str> = scope.split_whitespace().collect();
    if scopes.len() > 1 {
        return Err(refuse(
            400,
            "invalid_scope",
            700_022,
            "The provided value for the input parameter 'scope' is not valid: more than one resource.",
        ));
    }
    if !scope.ends_with("/.default") {
        return Err(refuse(
            400,
            "invalid_scope",
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            ),
        ));
    }
    if scope != "https://graph.microsoft.com/.default" {
        return Err(refuse(
            400,
            "invalid_scope",
            70011,
            format!(
                "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
        ));
    }
    Ok(())
}

/// The id of the emulated directory.
pub(crate) fn directory_id(seed: u64) -> String {
    guid(&[seed, 61])
}
