//! `$batch`: up to 20 calls in one, each with its own answer, in an order of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::graph::serve::{self, Host, Outcome};
use crate::http::reply::{Body, GraphError, Reply};
use crate::http::request::Request;
use crate::random::key;
use crate::world::World;

const MAX_MEMBERS: usize = 20;

struct Member {
    id: String,
    request: Request,
    depends: Vec<String>,
}

/// Serves a batch.
pub(crate) async fn serve(world: &Arc<World>, mut request: Request) -> Outcome {
    let token = serve::bearer(&request).and_then(|t| world.identity.check(t, world.clock.now()));
    request.app = token.as_ref().map(|t| t.app.clone());
    let (delay, action) = world.faults.choose(&request);
    if let Some(delay) = delay {
        serve::wait(delay).await;
    }
    // A fault that names `$batch` strikes the whole; those that leave it unexecuted come first.
    if let Some(outcome) = action.as_ref().and_then(|a| serve::instead(world, &request, a)) {
        serve::record_batch(world, &request, &outcome);
        return outcome;
    }
    let outcome = match serve::authorise(&request, token.as_ref()).and_then(|_| members(world, &request)) {
        Err(error) => Outcome::Reply(serve::error_reply(world, &request, &error), None),
        Ok(members) => run(world, members, &request).await,
    };
    let outcome = match (outcome, action) {
        (Outcome::Reply(reply, _), Some(action)) => serve::spoil(world, &request, reply, action),
        (outcome, _) => outcome,
    };
    serve::record_batch(world, &request, &outcome);
    outcome
}

fn bad(message: impl Into<String>) -> GraphError {
    GraphError::new(400, "BadRequest", message)
}

fn members(world: &World, request: &Request) -> Result<Vec<Member>, GraphError> {
    let body: Value =
        serde_json::from_slice(&request.body).map_err(|_| bad("Invalid batch payload format."))?;
    let list = body
        .get("requests")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("Invalid batch payload format."))?;
    if list.is_empty() || list.len() > MAX_MEMBERS {
        return Err(bad(format!(
            "Number of batch request steps exceeds the maximum value of {MAX_MEMBERS}."
        )));
    }
    let mut out: Vec<Member> = Vec::new();
    for entry in list {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let id = text("id")
            .filter(|i| !i.is_empty())
            .ok_or_else(|| bad("Every request of a batch needs an id."))?;
        if out.iter().any(|m| m.id.eq_ignore_ascii_case(id)) {
            return Err(bad(format!("The id '{id}' is used twice in the batch.")));
        }
        let method = text("method").ok_or_else(|| bad("Every request of a batch needs a method."))?;
        let url = text("url").ok_or_else(|| bad("Every request of a batch needs a url."))?;
        if url.to_lowercase().trim_start_matches('/').starts_with("$batch") {
            return Err(bad("A batch cannot contain a batch."));
        }
        let mut headers: Vec<(String, String)> = entry
            .get("headers")
            .and_then(Value::as_object)
            .map(|h| {
                h.iter()
                    .map(|(n, v)| (n.to_lowercase(), v.as_str().unwrap_or("").to_owned()))
                    .collect()
            })
            .unwrap_or_default();
        // The token is the batch's; other headers do not pass down.
        headers.retain(|(n, _)| n != "authorization");
        if let Some(authorization) = request.header("authorization") {
            headers.push(("authorization".into(), authorization.to_owned()));
        }
        let typed = headers
            .iter()
            .find(|(n, _)| n == "content-type")
            .map(|(_, v)| v.to_lowercase());
        let body = match entry.get("body") {
            None | Some(Value::Null) => Bytes::new(),
            Some(_) if typed.is_none() => {
                return Err(bad(format!("The request '{id}' has a body but no Content-Type.")));
            }
            Some(Value::String(text)) if !typed.as_deref().unwrap_or("").starts_with("application/json") => {
                let raw = URL_SAFE_NO_PAD
                    .decode(text.trim_end_matches('='))
                    .or_else(|_| STANDARD.decode(text))
                    .map_err(|_| bad(format!("The body of the request '{id}' is not base64url.")))?;
                // MIME posted as text/plain is base64 itself: the member carries it as text of a text.
                Bytes::from(raw)
            }
            Some(value) => Bytes::from(serde_json::to_vec(value).unwrap_or_default()),
        };
        let depends: Vec<String> = entry
            .get("dependsOn")
            .and_then(Value::as_array)
            .map(|d| d.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        if let Some(missing) = depends
            .iter()
            .find(|d| !out.iter().any(|m| m.id.eq_ignore_ascii_case(d)))
        {
            return Err(bad(format!(
                "The request '{id}' depends on '{missing}', which is not before it in the batch."
            )));
        }
        let target = format!("/v1.0/{}", url.trim_start_matches('/'));
        let (_, request_id) = world.next_request();
        let mut member = Request::new(method, &target, headers, body, request_id);
        member.in_batch = true;
        out.push(Member {
            id: id.to_owned(),
            request: member,
            depends,
        });
    }
    Ok(out)
}

async fn run(world: &Arc<World>, members: Vec<Member>, outer: &Request) -> Outcome {
    let mut failed: BTreeMap<String, bool> = BTreeMap::new();
    let mut responses: Vec<Value> = Vec::new();
    for member in members {
        let blocked = member
            .depends
            .iter()
            .any(|d| failed.get(&d.to_lowercase()).copied().unwrap_or(true));
        let reply = if blocked {
            let error = GraphError::new(
                424,
                "FailedDependency",
                "The request depends on a request that failed.",
            );
            serve::error_reply(world, &member.request, &error)
        } else {
            let mut guard = None;
            match Box::pin(serve::process(
                world,
                Host::Main,
                member.request.clone(),
                &mut guard,
            ))
            .await
            {
                Outcome::Reply(reply, _) => reply,
                Outcome::Drop => return Outcome::Drop,
            }
        };
        failed.insert(member.id.to_lowercase(), reply.status >= 400);
        responses.push(response(&member.id, reply));
    }
    // Any order: here one that depends on the request.
    let salt = key(&[world.seed, crate::random::text_key(&outer.request_id)]);
    responses.sort_by_key(|r| {
        key(&[
            salt,
            crate::random::text_key(&r.get("id").map(Value::to_string).unwrap_or_default()),
        ])
    });
    Outcome::Reply(Reply::json(200, json!({"responses": responses})), None)
}

fn response(id: &str, reply: Reply) -> Value {
    let mut headers = Map::new();
    for (name, value) in &reply.headers {
        headers.insert(name.clone(), json!(value));
    }
    headers.entry("Cache-Control").or_insert_with(|| json!("private"));
    let body = match reply.body {
        Body::Empty => Value::Null,
        Body::Json(value) => {
            headers.insert(
                "Content-Type".into(),
                json!("application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; charset=utf-8"),
            );
            value
        }
        Body::Bytes(bytes) => json!(STANDARD.encode(&bytes)),
        Body::Stream(pieces) => {
            let mut all = Vec::new();
            pieces.for_each(|p| all.extend_from_slice(&p));
            json!(STANDARD.encode(&all))
        }
    };
    json!({"id": id, "status": reply.status, "headers": headers, "body": body})
}
