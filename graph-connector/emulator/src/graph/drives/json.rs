//! Drives and their items as JSON.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::drive::node::{Kind, Node};
use crate::drive::tree::{Drive, Home, ROOT};
use crate::graph::attachments::guess;
use crate::graph::drives::content;
use crate::http::path;
use crate::random::guid;
use crate::world::World;

/// Where an item is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Asked for by itself, or in a list of children.
    Direct,
    /// In a delta page: less is promised there. `path`: it tells the path of the parent nonetheless.
    Delta { path: bool, url: bool },
}

pub(crate) fn etag(drive: &Drive, node: &Node) -> String {
    format!("\"{{{}}},{}\"", drive.guid(node.serial), node.etag)
}

pub(crate) fn ctag(drive: &Drive, node: &Node) -> String {
    format!("\"c:{{{}}},{}\"", drive.guid(node.serial), node.ctag)
}

pub(crate) fn owner(drive: &Drive) -> Value {
    let (id, name, address) = &drive.owner;
    if let Home::Library { .. } = drive.home {
        return json!({"group": {"id": guid(&[drive.key, 104]), "displayName": format!("{name} Owners")}});
    }
    json!({"user": {"email": address, "id": id, "displayName": name}})
}

fn site(drive: &Drive) -> String {
    match &drive.home {
        // In references the collection's id stands alone (contract 6.1).
        Home::Library { site, .. } => site.split(',').nth(1).unwrap_or_default().to_owned(),
        Home::User => guid(&[drive.key, 104]),
    }
}

/// Who made or changed an item.
fn actor(drive: &Drive) -> Value {
    match &drive.home {
        Home::Library { .. } => json!({"user": {"displayName": "System Account"}}),
        Home::User => owner(drive),
    }
}

fn drive_type(drive: &Drive) -> &'static str {
    match drive.home {
        Home::Library { .. } => "documentLibrary",
        Home::User => "business",
    }
}

fn web_url(world: &World, drive: &Drive, serial: u32) -> String {
    let account = drive.owner.2.replace(['@', '.'], "_");
    let name = |name: &str| path::encode(name);
    let tail: Vec<String> = drive
        .path(serial)
        .split('/')
        .filter(|part| !part.is_empty())
        .map(name)
        .collect();
    if let Home::Library { url, .. } = &drive.home {
        return format!("{url}/{}", tail.join("/"))
            .trim_end_matches('/')
            .to_owned();
    }
    format!(
        "https://{}-my.sharepoint.example/personal/{account}/Documents/{}",
        world.generator().domain.split('.').next().unwrap_or("org"),
        tail.join("/")
    )
}

/// The drive itself.
pub(crate) fn drive(world: &World, drive: &Drive) -> Map<String, Value> {
    let used = drive.size(ROOT);
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    put("createdDateTime", json!(clock::iso(clock::BASE_MS)));
    put("description", json!(""));
    put("id", json!(drive.id));
    put("lastModifiedDateTime", json!(clock::iso(clock::BASE_MS)));
    match &drive.home {
        Home::User => put("name", json!("OneDrive")),
        Home::Library { site, list, name, .. } => {
            put("name", json!(name));
            let mut ids = site.split(',').skip(1);
            put(
                "sharePointIds",
                json!({"listId": list, "siteId": ids.next(), "webId": ids.next()}),
            )
        }
    };
    put("webUrl", json!(web_url(world, drive, ROOT)));
    put("driveType", json!(drive_type(drive)));
    put("owner", owner(drive));
    put(
        "quota",
        json!({
            "deleted": 0,
            "remaining": drive.quota.saturating_sub(used),
            "state": "normal",
            "total": drive.quota,
            "used": used,
        }),
    );
    map
}

fn parent_reference(drive: &Drive, node: &Node, place: Place) -> Value {
    let mut map = Map::new();
    map.insert("driveType".into(), json!(drive_type(drive)));
    map.insert("driveId".into(), json!(drive.id));
    if node.serial == ROOT {
        return Value::Object(map);
    }
    map.insert("id".into(), json!(drive.id(node.parent)));
    map.insert("siteId".into(), json!(site(drive)));
    if matches!(place, Place::Direct | Place::Delta { path: true, .. }) {
        let below = drive.path(node.parent);
        let below: Vec<String> = below
            .split('/')
            .filter(|part| !part.is_empty())
            .map(path::encode)
            .collect();
        let slash = if below.is_empty() { "" } else { "/" };
        map.insert(
            "path".into(),
            json!(format!("/drives/{}/root:{slash}{}", drive.id, below.join("/"))),
        );
        if let Some(parent) = drive.any_node(node.parent) {
            map.insert("name".into(), json!(parent.name));
        }
    }
    Value::Object(map)
}

/// An item that was deleted, as delta tells it: without name and cTag, and the parent only now and then.
fn deleted(drive: &Drive, node: &Node, full: bool) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".into(), json!(drive.id(node.serial)));
    map.insert("deleted".into(), json!({"state": "deleted"}));
    if full {
        map.insert(
            "parentReference".into(),
            parent_reference(
                drive,
                node,
                Place::Delta {
                    path: false,
                    url: false,
                },
            ),
        );
        map.insert("size".into(), json!(0));
        let facet = if node.holds_children() { "folder" } else { "file" };
        map.insert(facet.into(), json!({}));
    }
    map
}

/// An item.
pub(crate) fn item(world: &World, drive: &Drive, node: &Node, place: Place) -> Map<String, Value> {
    if node.deleted {
        return deleted(drive, node, matches!(place, Place::Delta { path: true, .. }));
    }
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    if node.current().is_some() && matches!(place, Place::Direct | Place::Delta { url: true, .. }) {
        put(
            "@microsoft.graph.downloadUrl",
            json!(content::url(world, drive, node.serial, None)),
        );
    }
    put("createdBy", actor(drive));
    put("createdDateTime", json!(clock::iso(node.created)));
    if place == Place::Direct {
        put("cTag", json!(ctag(drive, node)));
    }
    put("eTag", json!(etag(drive, node)));
    put("id", json!(drive.id(node.serial)));
    put("lastModifiedBy", actor(drive));
    put("lastModifiedDateTime", json!(clock::iso(node.modified)));
    put("name", json!(node.name));
    put("parentReference", parent_reference(drive, node, place));
    put("size", json!(drive.size(node.serial)));
    put("webUrl", json!(web_url(world, drive, node.serial)));
    put(
        "fileSystemInfo",
        json!({
            "createdDateTime": clock::iso(node.fs_created),
            "lastModifiedDateTime": clock::iso(node.fs_modified),
        }),
    );
    match &node.kind {
        Kind::Folder => {
            put("folder", json!({"childCount": drive.child_count(node.serial)}));
        }
        Kind::Package(kind) => {
            put("package", json!({"type": kind}));
        }
        Kind::Remote { drive: other, item } => {
            put(
                "remoteItem",
                json!({
                    "id": item,
                    "name": node.name,
                    "folder": {"childCount": 3},
                    "parentReference": {"driveId": other, "driveType": "business", "id": "01ELSEWHEREROOT"},
                }),
            );
        }
        Kind::File(_) => {
            put("file", file(node));
        }
    }
    if node.serial == ROOT {
        put("root", json!({}));
    }
    if node.malware && node.serial.is_multiple_of(2) {
        put("malware", json!({"description": "DOS/EICAR_Test_File"}));
    }
    if !node.permissions.is_empty() {
        put("shared", json!({"scope": "users"}));
    }
    map
}

fn file(node: &Node) -> Value {
    let mut file = Map::new();
    file.insert("mimeType".into(), json!(guess(&node.name)));
    if let Some(version) = node.current().filter(|_| !node.lies.no_hash) {
        let hash = if node.lies.hash {
            let mut other = crate::drive::hash::QuickXor::default();
            other.update(b"something else");
            other.text()
        } else {
            version.hash().to_owned()
        };
        file.insert("hashes".into(), json!({"quickXorHash": hash}));
    }
    Value::Object(file)
}
