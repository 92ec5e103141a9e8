//! Who may see an item: stored inside its JSON, as if Graph had been asked to expand it, and granted again.
//!
//! Only items that say they are shared are asked, for it costs five units each, and only permissions of their own are kept:
//! inherited ones come back with the folder.

use bytes::Bytes;
use nakivo_core::connector::ItemHead;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages::PageReader;
use crate::request::Operation;

/// Most permissions of one item that are kept.
const MAX_PERMISSIONS: usize = 5000;
const KEY: &str = "permissions";

/// The head with the item's own permissions in its JSON, if it is shared.
pub(crate) async fn with_permissions(
    graph: &Graph,
    drive: &str,
    mut head: ItemHead,
) -> Result<ItemHead, Fault> {
    let shared = head.properties.contains_key("shared");
    let Some(raw) = head.raw.clone().filter(|_| shared) else {
        return Ok(head);
    };
    let text = String::from_utf8_lossy(&raw);
    let Some(body) = text.trim_end().strip_suffix('}') else {
        return Ok(head);
    };
    if Fields::parse(&text).is_none_or(|fields| fields.has(KEY)) {
        return Ok(head);
    }
    let own = match own(graph, drive, &head.item.id).await {
        Ok(own) => own,
        // Gone meanwhile: reading the content will tell.
        Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => return Ok(head),
        Err(fault) => return Err(fault),
    };
    head.raw = Some(Bytes::from(format!("{body},\"{KEY}\":[{}]}}", own.join(","))));
    Ok(head)
}

/// The permissions of an item that it does not inherit.
async fn own(graph: &Graph, drive: &str, id: &str) -> Result<Vec<String>, Fault> {
    let first = graph.call(&Scope::Files, Operation::DrivePermissions, &[drive, id], &[])?;
    let mut reader = PageReader::plain(&Scope::Files);
    let mut page = reader.first(graph, first).await?;
    let mut out = Vec::new();
    loop {
        for raw in page.elements() {
            if Fields::parse(raw).is_some_and(|fields| !fields.has("inheritedFrom")) {
                out.push(raw.to_owned());
            }
        }
        if out.len() > MAX_PERMISSIONS {
            return Err(Fault::Protocol {
                code: "collection_too_large",
                message: "an item has too many permissions".to_owned(),
            });
        }
        match page.next {
            Some(link) => page = reader.follow(graph, &link).await?,
            None => return Ok(out),
        }
    }
}

/// Whether the stored JSON of an item says that somebody but its owner may see it.
pub(crate) fn has_permissions(raw: &str) -> bool {
    Fields::parse(raw)
        .and_then(|fields| fields.list(KEY))
        .is_some_and(|list| !list.is_empty())
}

/// Grants again what the stored JSON of an item says; returns what could not be, one line each.
pub(crate) async fn grant(graph: &Graph, drive: &str, id: &str, raw: &str) -> Vec<String> {
    let Some(fields) = Fields::parse(raw) else {
        return Vec::new();
    };
    let same = fields
        .object("parentReference")
        .and_then(|parent| parent.text("driveId"))
        .is_some_and(|known| known == drive);
    let mut lost = Vec::new();
    for permission in fields.list(KEY).unwrap_or_default() {
        let Ok(permission) = serde_json::from_str::<Value>(permission.get()) else {
            continue;
        };
        if let Some(line) = grant_one(graph, drive, id, &permission, same).await {
            lost.push(line);
        }
    }
    lost
}

/// What could not be granted, and why; none if nothing is missing.
async fn grant_one(graph: &Graph, drive: &str, id: &str, permission: &Value, same: bool) -> Option<String> {
    let role = ["write", "read"].into_iter().find(|role| {
        permission["roles"]
            .as_array()
            .is_some_and(|roles| roles.iter().any(|known| known == role))
    });
    if permission["link"].is_object() {
        return Some(link(graph, drive, id, permission, same).await);
    }
    let (whom, name) = recipient(permission)?;
    let said = format!("sharing with {name}");
    let (Some(whom), Some(role)) = (whom, role) else {
        // The owner's own permission comes with the drive.
        let owner = permission["roles"]
            .as_array()
            .is_some_and(|roles| roles.iter().any(|role| role == "owner"));
        return (!owner).then_some(said);
    };
    if !same {
        return Some(format!("{said}: it is another drive"));
    }
    let body = json!({
        "recipients": [whom],
        "roles": [role],
        "requireSignIn": true,
        "sendInvitation": false,
    });
    post(graph, Operation::DriveInvite, drive, id, &body)
        .await
        .err()
        .map(|fault| format!("{said}: {fault}"))
}

/// Links get new addresses; one for everybody is left to a person to make.
async fn link(graph: &Graph, drive: &str, id: &str, permission: &Value, same: bool) -> String {
    let link = &permission["link"];
    let text = |key: &str| link[key].as_str().unwrap_or_default();
    let (kind, scope) = (text("type"), text("scope"));
    let said = format!("sharing link ({kind}, {scope})");
    if !same || scope != "organization" || !matches!(kind, "view" | "edit") {
        return said;
    }
    let body = json!({ "type": kind, "scope": scope });
    match post(graph, Operation::DriveLink, drive, id, &body).await {
        Ok(()) => format!("the address of the {said}: it has a new one"),
        Err(fault) => format!("{said}: {fault}"),
    }
}

async fn post(graph: &Graph, operation: Operation, drive: &str, id: &str, body: &Value) -> Result<(), Fault> {
    // Granting twice is granting once.
    let call = graph
        .call(&Scope::Files, operation, &[drive, id], &[])?
        .json_body(body)
        .repeatable();
    graph.executor.json(&call).await.map(|_| ())
}

/// Whom a permission is for, as an invitation names them if it can, and for people.
fn recipient(permission: &Value) -> Option<(Option<Value>, String)> {
    let granted = [&permission["grantedToV2"], &permission["grantedTo"]]
        .into_iter()
        .find(|granted| granted.is_object())?;
    for (kind, invited) in [
        ("user", true),
        ("group", true),
        ("application", false),
        ("siteUser", false),
        ("siteGroup", false),
    ] {
        let who = &granted[kind];
        if !who.is_object() {
            continue;
        }
        let text = |key: &str| who[key].as_str().filter(|text| !text.is_empty());
        let name = text("displayName")
            .or(text("email"))
            .or(text("id"))
            .unwrap_or(kind);
        let address = match (text("id"), text("email")) {
            _ if !invited => None,
            (Some(id), _) => Some(json!({ "objectId": id })),
            (None, Some(email)) => Some(json!({ "email": email })),
            (None, None) => None,
        };
        return Some((address, format!("{kind} '{name}'")));
    }
    Some((None, "somebody of a kind that is not known".to_owned()))
}
