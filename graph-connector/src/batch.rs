//! `$batch`: many small reads in one request (contract 2.5).
//!
//! Answers come in any order and each has its own status; a throttled member hides inside an answer that looks good.
//! Every member asked for gets exactly one result.

use std::collections::HashMap;
use std::time::Duration;

use nakivo_core::Error;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::executor::{Backoff, Call, parse_retry_after};
use crate::fault::{Fault, Refusal};
use crate::governor::{MAILBOX_SLOTS, Scope};
use crate::graph::{Graph, IMMUTABLE_IDS};
use crate::http::HttpError;
use crate::json::Fields;
use crate::request::{Operation, Target};

/// Members of one batch. Source: contract 2.5.
pub(crate) const MAX_MEMBERS: usize = 20;
/// Rounds in which members that met a passing fault are asked again.
const MAX_ROUNDS: u32 = 8;

/// Result of one member: the JSON text of its body.
pub(crate) type MemberResult = Result<String, Fault>;

/// As [`get_all`], with the error of a target that could not be made as its result.
///
/// # Errors
/// As [`get_all`].
pub(crate) async fn get_each(
    graph: &Graph,
    scope: &Scope,
    targets: impl Iterator<Item = Result<Target, Error>>,
) -> Result<Vec<MemberResult>, Fault> {
    let mut made = Vec::new();
    let unmade: Vec<Option<Error>> = targets
        .map(|target| target.map(|target| made.push(target)).err())
        .collect();
    let mut answers = get_all(graph, scope, &made).await?.into_iter();
    let results = unmade.into_iter().map(|error| match error {
        Some(error) => Err(Fault::Ready(error)),
        None => answers.next().unwrap_or_else(missing),
    });
    Ok(results.collect())
}

/// Sends these GETs with immutable ids and returns one result for each, in order.
///
/// # Errors
/// What fails the whole batch: no token, no connection, a pause longer than is waited out.
pub(crate) async fn get_all(
    graph: &Graph,
    scope: &Scope,
    targets: &[Target],
) -> Result<Vec<MemberResult>, Fault> {
    let mut results: Vec<Option<MemberResult>> = targets.iter().map(|_| None).collect();
    let mut waiting: Vec<usize> = (0..targets.len()).collect();
    let mut backoff = Backoff::new();
    let mut size = MAX_MEMBERS;
    let mut round = 0;
    while !waiting.is_empty() {
        let mut again = Vec::new();
        let mut pause: Option<Duration> = None;
        let mut rest = waiting.as_slice();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(size.min(rest.len()));
            match send(graph, scope, targets, chunk).await {
                Ok(mut answers) => {
                    for &index in chunk {
                        let answer = answers.remove(&index).unwrap_or_else(missing);
                        match passing(&answer) {
                            Some(wait) if round + 1 < MAX_ROUNDS => {
                                pause = pause.max(wait);
                                again.push(index);
                            }
                            _ => results[index] = Some(answer),
                        }
                    }
                    rest = tail;
                }
                // Too much in one answer: fewer members, and the same chunk again.
                Err(Fault::TooLarge { .. }) if chunk.len() > 1 => size = chunk.len().div_ceil(2),
                Err(Fault::TooLarge { limit }) => {
                    results[chunk[0]] = Some(Err(Fault::TooLarge { limit }));
                    rest = tail;
                }
                Err(fault) => return Err(fault),
            }
        }
        waiting = again;
        if !waiting.is_empty() {
            round += 1;
            if let Some(wait) = pause {
                graph.executor.silence(scope, wait);
            }
            graph.executor.pause(&mut backoff, pause).await?;
        }
    }
    Ok(results
        .into_iter()
        .map(|result| result.unwrap_or_else(missing))
        .collect())
}

fn missing() -> MemberResult {
    Err(Fault::Transport {
        error: HttpError::Broken("a batch answered without this member".to_owned()),
        ambiguous: true,
    })
}

/// Whether a member is worth asking again, and after how long if it said so.
fn passing(answer: &MemberResult) -> Option<Option<Duration>> {
    match answer {
        Err(Fault::Refused(refusal)) if refusal.throttled() => Some(refusal.retry_after),
        Err(Fault::Refused(refusal)) if refusal.item_unreadable() => None,
        Err(Fault::Refused(refusal)) => matches!(refusal.status, 401 | 408 | 500 | 502..=504).then_some(None),
        Err(Fault::Transport { .. }) => Some(None),
        _ => None,
    }
}

async fn send(
    graph: &Graph,
    scope: &Scope,
    targets: &[Target],
    chunk: &[usize],
) -> Result<HashMap<usize, MemberResult>, Fault> {
    let members: Vec<Value> = chunk
        .iter()
        .map(|&index| {
            json!({
                "id": index.to_string(),
                "method": "GET",
                "url": graph.requests.relative(&targets[index]),
                // Outer headers do not pass down to the members.
                "headers": { "Prefer": IMMUTABLE_IDS },
            })
        })
        .collect();
    let mut call: Call = graph
        .outlook(scope, Operation::Batch, &[], &[])?
        .json_body(&json!({ "requests": members }))
        .repeatable();
    call.slots = MAILBOX_SLOTS;
    call.units = match scope {
        // Each member is counted.
        Scope::Files => chunk.len() as u32,
        _ => 0,
    };
    call.shrinkable = chunk.len() > 1;
    let text = graph.executor.json(&call).await?;
    let mut answers = HashMap::new();
    let list = Fields::parse(&text)
        .and_then(|fields| fields.list("responses"))
        .unwrap_or_default();
    for raw in list {
        let Some(fields) = Fields::parse(raw.get()) else {
            continue;
        };
        let index = fields.text("id").and_then(|id| id.parse::<usize>().ok());
        let Some(index) = index.filter(|index| chunk.contains(index)) else {
            continue;
        };
        answers.insert(index, member(graph, &fields));
    }
    Ok(answers)
}

fn member(graph: &Graph, fields: &Fields<'_>) -> MemberResult {
    let status = fields
        .number("status")
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or(500);
    let body = fields.raw("body").unwrap_or("null");
    if (200..300).contains(&status) {
        // A page that a gateway put in the member's place is a text, not an object.
        if !body.starts_with('{') {
            return Err(Fault::Transport {
                error: HttpError::Broken("a member of a batch is no JSON object".to_owned()),
                ambiguous: true,
            });
        }
        return Ok(body.to_owned());
    }
    let headers: Map<String, Value> = fields
        .raw("headers")
        .and_then(|raw| serde_json::from_str(raw).ok())
        .unwrap_or_default();
    let wait = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .and_then(|(_, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            parse_retry_after(&text, graph.executor.now())
        });
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Err(Fault::Refused(Refusal::member(status, &body, wait)))
}

/// The JSON list inside a member's body, and its next link.
pub(crate) fn collection(body: &str) -> Option<(Vec<String>, Option<String>)> {
    let fields = Fields::parse(body)?;
    let list = fields.list("value")?;
    Some((
        list.into_iter()
            .map(|raw: &RawValue| raw.get().to_owned())
            .collect(),
        fields.text("@odata.nextLink"),
    ))
}
