//! The admin port: what the typed API can do, as small JSON calls, for clients in other languages.
//!
//! `GET /admin/info`, `/admin/requests`, `/admin/counters`, `/admin/settings`, `/admin/faults`,
//! `/admin/mailboxes/{address}/messages`, `/admin/mailboxes/{address}/folders`;
//! `POST /admin/faults` (a rule as JSON), `DELETE /admin/faults`, `DELETE /admin/requests`, `PATCH /admin/settings`,
//! `POST /admin/expire-tokens`, `POST /admin/expire-delta` `{"mailbox"?,"folder"?}`, `POST /admin/advance`
//! `{"seconds"}`, `POST /admin/mailboxes/{address}` `{"displayName"}`,
//! `POST /admin/mailboxes/{address}/messages?folder=inbox` (MIME), `DELETE /admin/mailboxes/{address}/messages/{id}`,
//! `POST /admin/mailboxes/{address}/messages/{id}/move` `{"folder"}`; `GET` and `POST /admin/drives/{address}`,
//! `PUT /admin/drives/{address}/files?path=a/b.txt` (content), `DELETE /admin/drives/{address}/files?path=a/b.txt`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::builder::{EmulatorInfo, Error};
use crate::control::{DeltaScope, Faults, Mailbox};
use crate::faults::Fault;
use crate::files::Drive;
use crate::generate::people::Purpose;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::server::Incoming;
use crate::load;
use crate::world::{Settings, World};

fn failed(error: &Error) -> Reply {
    let status = match error {
        Error::NoMailbox(_) | Error::NotFound(_) => 404,
        _ => 409,
    };
    Reply::json(status, json!({"error": error.to_string()}))
}

fn list<T: serde::Serialize>(items: Result<Vec<T>, Error>) -> Reply {
    match items {
        Ok(items) => Reply::json(200, json!({"value": items})),
        Err(error) => failed(&error),
    }
}

fn done<T>(result: Result<T, Error>, value: impl FnOnce(T) -> Value) -> Reply {
    match result {
        Ok(x) => Reply::json(200, value(x)),
        Err(error) => failed(&error),
    }
}

/// Answers one admin call.
pub(crate) fn handle(world: &Arc<World>, info: &EmulatorInfo, incoming: &Incoming) -> Reply {
    let request = Request::new(
        &incoming.method,
        &incoming.target,
        incoming.headers.clone(),
        incoming.body.clone(),
        String::new(),
    );
    let words: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let bad = |why: String| Reply::json(400, json!({"error": why}));
    let faults = Faults::new(world);
    let mailbox = |address: &str| Mailbox::open(world, address);
    let drive = |address: &str| Drive::open(world, address);
    match (request.method.as_str(), words.as_slice()) {
        ("GET", ["admin", "info"]) => Reply::json(200, json!(info)),
        ("GET", ["admin", "requests"]) => Reply::json(200, json!({"value": world.log.all()})),
        ("DELETE", ["admin", "requests"]) => {
            world.log.clear();
            Reply::empty(204)
        }
        ("GET", ["admin", "counters"]) => Reply::json(200, json!(world.log.counters())),
        ("GET", ["admin", "settings"]) => Reply::json(200, json!(world.settings())),
        ("PATCH", ["admin", "settings"]) => {
            let mut merged = json!(world.settings());
            if let (Some(merged), Some(body)) = (merged.as_object_mut(), body.as_object()) {
                merged.extend(body.clone());
            }
            match serde_json::from_value::<Settings>(merged) {
                Ok(settings) => {
                    world.set(|s| *s = settings);
                    Reply::json(200, json!(world.settings()))
                }
                Err(error) => bad(error.to_string()),
            }
        }
        ("GET", ["admin", "faults"]) => {
            let value: Vec<Value> = faults
                .list()
                .into_iter()
                .map(|(id, fault, struck)| json!({"id": id, "fault": fault, "struck": struck}))
                .collect();
            Reply::json(200, json!({"value": value, "struck": faults.struck()}))
        }
        ("POST", ["admin", "faults"]) => match serde_json::from_value::<Fault>(body) {
            Ok(fault) => Reply::json(201, json!({"id": faults.add(fault)})),
            Err(error) => bad(error.to_string()),
        },
        ("DELETE", ["admin", "faults"]) => {
            faults.clear();
            Reply::empty(204)
        }
        ("POST", ["admin", "expire-tokens"]) => {
            faults.expire_tokens();
            Reply::empty(204)
        }
        ("POST", ["admin", "expire-delta"]) => {
            faults.expire_delta(&match (text("mailbox"), text("folder")) {
                (Some(mailbox), Some(folder)) => DeltaScope::Folder(mailbox, folder),
                (Some(mailbox), None) => DeltaScope::Mailbox(mailbox),
                _ => DeltaScope::All,
            });
            Reply::empty(204)
        }
        ("POST", ["admin", "advance"]) => match body.get("seconds").and_then(Value::as_u64) {
            Some(seconds) => {
                world.clock.advance(Duration::from_secs(seconds));
                Reply::empty(204)
            }
            None => bad("seconds is missing".into()),
        },
        ("POST", ["admin", "mailboxes", address]) => {
            if world.user(address).is_none() {
                let name = text("displayName").unwrap_or_else(|| (*address).to_owned());
                load::extra_user(world, address, &name, Some(Purpose::User));
            }
            done(mailbox(address), |m| json!({"id": m.user_id()}))
        }
        ("GET", ["admin", "mailboxes", address, "messages"]) => {
            list(mailbox(address).and_then(|m| match request.option("folder") {
                Some(folder) => m.messages_in(folder),
                None => m.messages(),
            }))
        }
        ("GET", ["admin", "mailboxes", address, "folders"]) => {
            list(mailbox(address).and_then(|m| m.folders()))
        }
        ("POST", ["admin", "mailboxes", address, "messages"]) => done(
            mailbox(address)
                .and_then(|m| m.add_message(request.option("folder").unwrap_or("inbox"), &request.body)),
            |id| json!({"id": id}),
        ),
        ("DELETE", ["admin", "mailboxes", address, "messages", id]) => done(
            mailbox(address).and_then(|m| m.delete_message(id)),
            |()| json!({}),
        ),
        ("POST", ["admin", "mailboxes", address, "messages", id, "move"]) => {
            let folder = text("folder").unwrap_or_default();
            done(mailbox(address).and_then(|m| m.move_message(id, &folder)), |()| {
                json!({})
            })
        }
        ("GET", ["admin", "drives", address]) => list(drive(address).map(|drive| drive.items())),
        ("PUT", ["admin", "drives", address, "files"]) => done(
            drive(address)
                .and_then(|drive| drive.add_file(request.option("path").unwrap_or_default(), &request.body)),
            |id| json!({"id": id}),
        ),
        ("DELETE", ["admin", "drives", address, "files"]) => done(
            drive(address).and_then(|drive| drive.delete(request.option("path").unwrap_or_default())),
            |()| json!({}),
        ),
        ("POST", ["admin", "drives", address]) => done(
            Drive::provision(world, address),
            |drive| json!({"id": drive.id()}),
        ),
        _ => Reply::json(404, json!({"error": "no such admin call"})),
    }
}
