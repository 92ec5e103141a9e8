//! Delta rounds of a drive. A token says where the round is, in versions of the drive; because the round walks up the
//! versions of a living drive, an item that changes meanwhile comes again at its end.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::json::{self as shape, Place};
use super::{Answer, Found};
use crate::clock;
use crate::drive::tree::{Drive, ROOT};
use crate::graph::Call;
use crate::graph::odata::{self, Select};
use crate::graph::token;
use crate::http::path;
use crate::http::reply::{GraphError, Reply};
use crate::random::{key, text_key};

/// Items on one page.
const PAGE: usize = 200;

/// State of a round, inside of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Token {
    starts: bool,
    epoch: u32,
    /// Changes up to this version have been told.
    after: u64,
    /// The round tells changes after this version (0: everything).
    since: u64,
    /// Version when a full round began: older deletions are not told in it.
    begun: u64,
    page: u32,
    top: u32,
    /// An empty page has been told at this place.
    pause: bool,
    select: String,
}

impl Token {
    fn encode(&self, drive: u64) -> String {
        let fields = [
            u8::from(self.starts).to_string(),
            self.epoch.to_string(),
            self.after.to_string(),
            self.since.to_string(),
            self.begun.to_string(),
            self.page.to_string(),
            self.top.to_string(),
            u8::from(self.pause).to_string(),
            self.select.clone(),
        ];
        token::seal(drive, 111, &fields)
    }

    fn decode(drive: u64, text: &str) -> Option<Self> {
        let fields = token::open(drive, 111, text)?;
        let [starts, epoch, after, since, begun, page, top, pause, select] = fields.as_slice() else {
            return None;
        };
        Some(Self {
            starts: starts == "1",
            epoch: epoch.parse().ok()?,
            after: after.parse().ok()?,
            since: since.parse().ok()?,
            begun: begun.parse().ok()?,
            page: page.parse().ok()?,
            top: top.parse().ok()?,
            pause: pause == "1",
            select: select.clone(),
        })
    }
}

/// The refusal of a token that is not known any more, with the address of a fresh round: both kinds, and now and then
/// without the address.
fn resync(call: &Call<'_>, drive: &Drive) -> GraphError {
    const CODES: [&str; 4] = [
        "resyncChangesApplyDifferences",
        "resyncChangesUploadDifferences",
        "resyncApplyDifferences",
        "resyncUploadDifferences",
    ];
    let mut error = GraphError::new(
        410,
        "resyncRequired",
        "Resync required. Replace any local items with the server's version.",
    );
    error.inner = Some(CODES[drive.epoch as usize % 4].to_owned());
    if drive.epoch % 5 == 4 {
        return error;
    }
    let fresh = Token {
        epoch: drive.epoch,
        begun: drive.version,
        ..Token::default()
    };
    let link = link(call, drive, &fresh);
    error.with("Location", link)
}

fn link(call: &Call<'_>, drive: &Drive, token: &Token) -> String {
    let world = call.world;
    let text = token.encode(drive.key);
    let base = format!("{}/drives/{}", world.graph_url(), path::encode(&drive.id));
    let vary = world.settings().link_variety && !token.starts;
    match (vary, world.coin(text_key(&text), 2)) {
        (true, true) => format!("{base}/root/delta(token='{text}')"),
        (true, false) => format!("{base}/delta?token={text}"),
        (false, _) => format!("{base}/root/delta?token={text}"),
    }
}

/// The token of the request, or a new round.
fn token_of(call: &Call<'_>, drive: &Drive, keyed: Option<&str>) -> Result<Token, GraphError> {
    let request = call.request;
    let new = Token {
        epoch: drive.epoch,
        begun: drive.version,
        top: odata::number(request, "$top")?.unwrap_or(0) as u32,
        select: request.option("$select").unwrap_or_default().to_owned(),
        ..Token::default()
    };
    let keyed = keyed
        .and_then(|text| text.strip_prefix("token="))
        .map(|text| text.trim_matches('\''));
    let Some(text) = keyed.or(request.option("token")).filter(|text| !text.is_empty()) else {
        return Ok(new);
    };
    if text.eq_ignore_ascii_case("latest") {
        return Ok(Token {
            after: drive.version,
            since: drive.version,
            ..new
        });
    }
    if let Some(ms) = clock::parse_iso(text) {
        let version = drive.version_at(ms);
        return Ok(Token {
            after: version,
            since: version,
            ..new
        });
    }
    let token = Token::decode(drive.key, text)
        .filter(|token| token.after <= drive.version)
        .ok_or_else(|| GraphError::new(400, "invalidRequest", "The provided token is malformed."))?;
    if token.epoch != drive.epoch {
        return Err(resync(call, drive));
    }
    Ok(if token.starts {
        Token {
            starts: false,
            since: token.after,
            begun: 0,
            page: 0,
            pause: false,
            ..token
        }
    } else {
        token
    })
}

/// `GET .../root/delta`.
pub(crate) fn delta(call: &Call<'_>, found: &Found, keyed: Option<&str>) -> Answer {
    let world = call.world;
    let settings = world.settings();
    let drive = found.lock()?;
    let mut token = token_of(call, &drive, keyed)?;
    let size = match token.top {
        0 => PAGE,
        top => top as usize,
    }
    .clamp(1, settings.max_delta_page.max(1));
    let draw = key(&[drive.key, token.after, token.since, u64::from(token.page), 113]);
    let full = token.since == 0;
    let pause = settings.delta_variety && !token.pause && draw.is_multiple_of(9);
    let mut serials = Vec::new();
    let mut more = false;
    if pause {
        more = true;
    } else {
        for (version, node) in drive.changes(token.after) {
            if serials.len() == size {
                more = true;
                break;
            }
            token.after = version;
            // Deleted before a full round began: told now and then, which the contract allows.
            let old_deletion = node.deleted && full && version <= token.begun;
            if !old_deletion || settings.delta_variety && version % 7 == 0 {
                serials.push(node.serial);
            }
        }
        if !more {
            token.after = drive.version;
        }
    }
    token.pause = pause;
    token.page += 1;
    let serials = arranged(&drive, serials, call, draw, full);
    let select = Select::parse(Some(token.select.as_str()).filter(|text| !text.is_empty()));
    let place = Place::Delta {
        path: !settings.delta_variety || draw.is_multiple_of(3),
        url: draw.is_multiple_of(2),
    };
    let value: Vec<Value> = serials
        .iter()
        .filter_map(|serial| drive.any_node(*serial))
        .map(|node| {
            let mut map = shape::item(world, &drive, node, place);
            map.retain(|name, _| name == "id" || name == "deleted" || select.wants(name));
            map.insert("@odata.type".into(), json!("#microsoft.graph.driveItem"));
            Value::Object(map)
        })
        .collect();
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!("{}/$metadata#Collection(driveItem)", world.graph_url())),
    );
    let name = if more {
        "@odata.nextLink"
    } else {
        "@odata.deltaLink"
    };
    let next = Token {
        starts: !more,
        ..token
    };
    body.insert(name.into(), json!(link(call, &drive, &next)));
    body.insert("value".into(), Value::Array(value));
    Ok(Reply::json(200, Value::Object(body)))
}

/// The items of a page as they are told: with the parents of what changed, in an order of their own, some twice.
fn arranged(drive: &Drive, changed: Vec<u32>, call: &Call<'_>, draw: u64, full: bool) -> Vec<u32> {
    let variety = call.world.settings().delta_variety;
    let mut serials = changed;
    if !full && call.request.header("deltaexcludeparent").is_none() {
        let parents: BTreeSet<u32> = serials
            .iter()
            .filter_map(|serial| drive.any_node(*serial))
            .filter(|node| node.serial != ROOT)
            .map(|node| node.parent)
            .filter(|parent| drive.node(*parent).is_some() && !serials.contains(parent))
            .collect();
        serials = parents.into_iter().chain(serials).collect();
    }
    if variety && draw % 3 == 1 {
        // Children before their parents.
        serials.reverse();
    }
    if variety && draw % 5 == 1 && serials.len() > 1 {
        serials.insert(0, serials[(draw >> 8) as usize % serials.len()]);
    }
    serials
}
