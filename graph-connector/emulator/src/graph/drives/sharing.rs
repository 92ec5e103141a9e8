//! Permissions of items: listed with the inherited ones, granted, linked, taken away.

use serde_json::{Value, json};

use super::address::Address;
use super::{Answer, Found, item_of, not_found};
use crate::drive::tree::{Drive, ROOT};
use crate::graph::{Call, folders};
use crate::http::reply::{GraphError, Reply};

/// The owner's permission, which every item inherits.
fn owners(drive: &Drive) -> Value {
    let (id, name, address) = &drive.owner;
    json!({
        "id": "owner",
        "roles": ["owner"],
        "grantedToV2": {"user": {"id": id, "displayName": name, "email": address}},
        "inheritedFrom": {"driveId": drive.id, "id": drive.id(ROOT), "path": format!("/drives/{}/root:", drive.id)},
    })
}

/// `GET .../permissions`.
pub(crate) fn list(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let mut value = vec![owners(&drive)];
    let mut at = serial;
    while let Some(node) = drive.node(at) {
        for own in &node.permissions {
            let mut own = own.clone();
            if at != serial
                && let Some(map) = own.as_object_mut()
            {
                map.insert(
                    "inheritedFrom".into(),
                    json!({"driveId": drive.id, "id": drive.id(at)}),
                );
            }
            value.push(own);
        }
        if at == ROOT {
            break;
        }
        at = node.parent;
    }
    let context = format!("{}/$metadata#Collection(permission)", call.world.graph_url());
    Ok(Reply::json(
        200,
        json!({"@odata.context": context, "value": value}),
    ))
}

/// Adds a permission; returns it with its id.
pub(crate) fn grant(drive: &mut Drive, serial: u32, mut permission: Value) -> Result<Value, GraphError> {
    let node = drive.edit(serial).ok_or_else(not_found)?;
    node.next_permission += 1;
    permission["id"] = json!(format!("cGVybQ{}", node.next_permission));
    node.permissions.push(permission.clone());
    drive.touch(serial, false);
    Ok(permission)
}

/// `PATCH .../permissions/{id}`: other roles.
pub(crate) fn update(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let roles = roles(&body)?;
    let id = address.action.get(1).cloned().unwrap_or_default();
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let node = drive.edit(serial).ok_or_else(not_found)?;
    let permission = node
        .permissions
        .iter_mut()
        .find(|permission| permission["id"] == id.as_str())
        .ok_or_else(not_found)?;
    permission["roles"] = roles;
    let changed = permission.clone();
    drive.touch(serial, false);
    Ok(Reply::json(200, changed))
}

/// `DELETE .../permissions/{id}`.
pub(crate) fn delete(_: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let id = address.action.get(1).cloned().unwrap_or_default();
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let node = drive.edit(serial).ok_or_else(not_found)?;
    let before = node.permissions.len();
    node.permissions
        .retain(|permission| permission["id"] != id.as_str());
    if node.permissions.len() == before {
        return Err(not_found());
    }
    drive.touch(serial, false);
    Ok(Reply::empty(204))
}

fn roles(body: &Value) -> Result<Value, GraphError> {
    match body.get("roles").and_then(Value::as_array) {
        Some(list) if !list.is_empty() && list.iter().all(|role| role == "read" || role == "write") => {
            Ok(json!(list))
        }
        _ => Err(GraphError::new(
            400,
            "invalidRequest",
            "roles must be read or write.",
        )),
    }
}

/// `POST .../invite`.
pub(crate) fn invite(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let roles = roles(&body)?;
    let recipients = body
        .get("recipients")
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty())
        .ok_or_else(|| GraphError::new(400, "invalidRequest", "recipients is missing."))?;
    let mut granted = Vec::new();
    for recipient in recipients {
        let name = ["objectId", "email", "alias"]
            .iter()
            .find_map(|key| recipient.get(key).and_then(Value::as_str))
            .unwrap_or_default();
        let user = call.world.user(name).ok_or_else(|| {
            let mut error =
                GraphError::new(400, "invalidRequest", "One or more users could not be resolved.");
            error.inner = Some("noResolvedUsers".into());
            error
        })?;
        granted.push(json!({
            "roles": roles,
            "grantedToV2": {"user": {"id": user.person.id, "displayName": user.person.display, "email": user.person.address}},
        }));
    }
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let mut value = Vec::new();
    for permission in granted {
        value.push(grant(&mut drive, serial, permission)?);
    }
    Ok(Reply::json(200, json!({"value": value})))
}

/// `POST .../createLink`: 201 for a new one, 200 for one that is there.
pub(crate) fn link(call: &Call<'_>, found: &Found, address: &Address) -> Answer {
    let body = Value::Object(folders::body(call)?);
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, scope) = (text("type"), text("scope"));
    if !matches!(kind, "view" | "edit") || !matches!(scope, "anonymous" | "organization" | "users") {
        return Err(GraphError::new(
            400,
            "invalidRequest",
            "The type or scope of the link is not supported.",
        ));
    }
    if scope == "anonymous" && !call.world.settings().anonymous_links {
        let mut error = GraphError::new(403, "accessDenied", "Sharing has been disabled.");
        error.inner = Some("sharingDisabled".into());
        return Err(error);
    }
    let mut drive = found.lock()?;
    let serial = item_of(&drive, address)?;
    let node = drive.node(serial).ok_or_else(not_found)?;
    let same = node
        .permissions
        .iter()
        .find(|known| known["link"]["type"] == kind && known["link"]["scope"] == scope);
    if let Some(known) = same {
        return Ok(Reply::json(200, known.clone()));
    }
    let permission = json!({
        "roles": [if kind == "edit" { "write" } else { "read" }],
        "link": {
            "type": kind,
            "scope": scope,
            "webUrl": format!("https://fabrika-my.sharepoint.example/:x:/g/{}", crate::random::token(&[drive.key, u64::from(serial), drive.version, 116], 40)),
            "preventsDownload": false,
        },
        "hasPassword": body.get("password").is_some(),
    });
    let made = grant(&mut drive, serial, permission)?;
    Ok(Reply::json(201, made))
}
