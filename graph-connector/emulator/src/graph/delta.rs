//! Delta rounds of messages (per folder) and of mail folders.
//!
//! A token says where the round is, in versions of the mailbox, and carries the options of the first call. Because a
//! round walks up the versions of a living mailbox, an item that changes during the round comes again at its end.

use serde_json::{Map, Value, json};

use crate::graph::folders::{self, with};
use crate::graph::json::{Shape, Snapshot};
use crate::graph::odata::{self, Filter, Select};
use crate::graph::{Call, json as shape, links, messages, token};
use crate::http::reply::{GraphError, Reply};
use crate::ids;
use crate::mail::mailbox::Entry;
use crate::random::key;
use crate::world::Settings;

type Answer = Result<Reply, GraphError>;

/// State of a round, inside of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Token {
    /// `D`: starts a round; `S`: continues one.
    pub starts: bool,
    pub folder: u32,
    pub epoch: u32,
    /// Changes up to this version have been told.
    pub after: u64,
    /// The round tells changes after this version (0: everything).
    pub since: u64,
    /// Version when the first round began: older removals are not told in it.
    pub begun: u64,
    pub page: u32,
    pub shown: u32,
    /// An empty page has been told at this place.
    pub pause: bool,
    pub select: String,
    pub expand: String,
    pub filter: String,
    pub change: String,
    pub top: u32,
}

impl Token {
    pub(crate) fn encode(&self, mailbox: u64) -> String {
        let fields = [
            if self.starts {
                "D".to_owned()
            } else {
                "S".to_owned()
            },
            self.folder.to_string(),
            self.epoch.to_string(),
            self.after.to_string(),
            self.since.to_string(),
            self.begun.to_string(),
            self.page.to_string(),
            self.shown.to_string(),
            u8::from(self.pause).to_string(),
            self.top.to_string(),
            self.select.clone(),
            self.expand.clone(),
            self.filter.clone(),
            self.change.clone(),
        ];
        token::seal(mailbox, 21, &fields)
    }

    fn decode(mailbox: u64, text: &str) -> Option<Self> {
        let f = token::open(mailbox, 21, text)?;
        let [
            starts,
            folder,
            epoch,
            after,
            since,
            begun,
            page,
            shown,
            pause,
            top,
            select,
            expand,
            filter,
            change,
        ] = f.as_slice()
        else {
            return None;
        };
        Some(Self {
            starts: starts == "D",
            folder: folder.parse().ok()?,
            epoch: epoch.parse().ok()?,
            after: after.parse().ok()?,
            since: since.parse().ok()?,
            begun: begun.parse().ok()?,
            page: page.parse().ok()?,
            shown: shown.parse().ok()?,
            pause: pause == "1",
            top: top.parse().ok()?,
            select: select.clone(),
            expand: expand.clone(),
            filter: filter.clone(),
            change: change.clone(),
        })
    }
}

fn invalid_token() -> GraphError {
    GraphError::new(410, "SyncStateInvalid", "The sync state is invalid.")
}

/// The token of the request, or a new round.
pub(crate) fn token_of(
    call: &Call<'_>,
    mailbox: u64,
    version: u64,
    folder: u32,
    epoch: u32,
) -> Result<Token, GraphError> {
    let request = call.request;
    if request.option("$search").is_some() {
        return Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            "$search is not supported with delta.",
        ));
    }
    let text = request.option("$deltatoken").or(request.option("$skiptoken"));
    let Some(text) = text else {
        return Ok(Token {
            folder,
            epoch,
            begun: version,
            select: request.option("$select").unwrap_or("").to_owned(),
            expand: request.option("$expand").unwrap_or("").to_owned(),
            filter: request.option("$filter").unwrap_or("").to_owned(),
            change: request.option("changetype").unwrap_or("").to_lowercase(),
            top: odata::number(request, "$top")?.unwrap_or(0) as u32,
            ..Token::default()
        });
    };
    let token = Token::decode(mailbox, text).ok_or_else(invalid_token)?;
    if token.folder != folder {
        return Err(invalid_token());
    }
    if token.epoch != epoch || token.after > version {
        return Err(GraphError::sync_state());
    }
    Ok(if token.starts {
        Token {
            starts: false,
            since: token.after,
            begun: 0,
            page: 0,
            shown: 0,
            pause: false,
            ..token
        }
    } else {
        token
    })
}

pub(crate) fn page_size(call: &Call<'_>, settings: &Settings) -> usize {
    call.request
        .preference("odata.maxpagesize")
        .and_then(|p| p.parse::<usize>().ok())
        .unwrap_or(100)
        .clamp(1, settings.max_delta_page.max(1))
}

/// `GET /users/{u}/mailFolders/{f}/messages/delta`.
pub(crate) fn messages(call: &Call<'_>, user_id: &str, folder_id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let request = call.request;
    let settings = call.world.settings();
    let size = page_size(call, &settings);
    let outer = messages::shape_of(call)?;
    let (token, entries, more, snapshots, folder_text, mailbox) = with(&user, |m| {
        let folder = m
            .find_folder(folder_id)
            .ok_or_else(|| match folders::find(m, folder_id) {
                Err(error) => error,
                Ok(_) => GraphError::item_not_found(),
            })?;
        let f = m.folder(folder).ok_or_else(GraphError::item_not_found)?;
        if f.search.is_some() {
            return Err(GraphError::new(
                400,
                "ErrorInvalidRequest",
                "Change tracking is not supported for search folders.",
            ));
        }
        let mut token = token_of(call, m.key, m.version, folder, f.epoch)?;
        check_options(&token, request.option("$orderby"))?;
        let pausable = settings.delta_variety && !token.pause;
        let mut size = size;
        if token.top > 0 {
            size = size.min(token.top.saturating_sub(token.shown) as usize);
        }
        let draw = key(&[m.key, token.after, token.since, u64::from(token.page), 23]);
        let (entries, mut more) = if pausable && draw.is_multiple_of(9) {
            (vec![], true)
        } else {
            m.delta(folder, token.after, token.begun, size)
        };
        token.pause = entries.is_empty() && more;
        if let Some(last) = entries.last() {
            token.after = last.version;
        }
        token.page += 1;
        token.shown += entries.len() as u32;
        if token.top > 0 && token.shown >= token.top {
            // In practice $top caps the round: the rest is never told.
            more = false;
            token.after = m.version;
        }
        if !more {
            token.after = token.after.max(m.version);
        }
        let mut entries = entries;
        if settings.delta_variety && more && entries.len() > 1 && draw % 5 == 1 {
            // The same item twice on one page.
            let again = entries[(draw >> 8) as usize % entries.len()];
            if again.left.is_none() {
                entries.insert(0, again);
            }
        }
        let snapshots: Vec<Option<Snapshot>> = entries
            .iter()
            .map(|e| {
                if e.left.is_some() {
                    None
                } else {
                    Snapshot::of(m, e.serial)
                }
            })
            .collect();
        Ok((token, entries, more, snapshots, m.folder_id(folder), m.key))
    })?;
    let shape = Shape {
        select: Select::parse(Some(&token.select)),
        properties: odata::expanded_properties(Some(token.expand.as_str()).filter(|e| !e.is_empty()))?,
        ..outer
    };
    let bounds = received_bounds(&token)?;
    let mut value = Vec::with_capacity(entries.len());
    for (entry, snapshot) in entries.iter().zip(&snapshots) {
        if let Some(item) = item(entry, snapshot.as_ref(), &token, &shape, bounds, mailbox) {
            value.push(item);
        }
    }
    let world = call.world;
    let mut body = Map::new();
    body.insert(
        "@odata.context".into(),
        json!(format!("{}/$metadata#Collection(message)", world.graph_url())),
    );
    let segments = [
        "users",
        user.person.id.as_str(),
        "mailFolders",
        folder_text.as_str(),
        "messages",
        "delta",
    ];
    let (name, option) = if more {
        ("@odata.nextLink", "$skiptoken")
    } else {
        ("@odata.deltaLink", "$deltatoken")
    };
    let text = Token {
        starts: !more,
        ..token.clone()
    }
    .encode(mailbox);
    let link = links::link(
        world,
        &segments,
        &[(option, &text)],
        token.after ^ u64::from(token.page),
    );
    body.insert(name.into(), json!(link));
    body.insert("value".into(), Value::Array(value));
    Ok(Reply::json(200, Value::Object(body)))
}

fn check_options(token: &Token, order: Option<&str>) -> Result<(), GraphError> {
    if order.is_some_and(|o| !o.trim().eq_ignore_ascii_case("receivedDateTime desc")) {
        return Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            "Only $orderby=receivedDateTime desc is supported with delta.",
        ));
    }
    if !matches!(token.change.as_str(), "" | "created" | "updated" | "deleted") {
        return Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            "changeType must be created, updated or deleted.",
        ));
    }
    received_bounds(token).map(|_| ())
}

/// Only lower bounds of `receivedDateTime` are allowed as a filter.
fn received_bounds(token: &Token) -> Result<i64, GraphError> {
    let filters = odata::filters(Some(token.filter.as_str()).filter(|f| !f.is_empty()))?;
    let mut from = i64::MIN;
    for filter in filters {
        match filter {
            Filter::Received(low, i64::MAX) => from = from.max(low),
            _ => {
                return Err(GraphError::new(
                    400,
                    "ErrorInvalidUrlQueryFilter",
                    "Only receivedDateTime ge and gt are supported as a filter with delta.",
                ));
            }
        }
    }
    Ok(from)
}

fn item(
    entry: &Entry,
    snapshot: Option<&Snapshot>,
    token: &Token,
    shape: &Shape,
    from: i64,
    mailbox: u64,
) -> Option<Value> {
    let all = token.change.is_empty();
    if let Some(place) = entry.left {
        return (all || token.change == "deleted").then(|| {
            json!({
                "@odata.type": "#microsoft.graph.message",
                "id": ids::message(mailbox, entry.serial, place, shape.immutable),
                "@removed": {"reason": "deleted"},
            })
        });
    }
    let snapshot = snapshot?;
    let created = snapshot.msg.entered > token.since;
    if !all && token.change != if created { "created" } else { "updated" } {
        return None;
    }
    // With a filter a round is limited to 5,000 messages.
    if snapshot.msg.received < from || (!token.filter.is_empty() && token.shown > 5000) {
        return None;
    }
    let mut map = shape::message(snapshot, shape);
    map.entry("@odata.type")
        .or_insert_with(|| json!("#microsoft.graph.message"));
    Some(Value::Object(map))
}

/// `GET /users/{u}/mailFolders/delta`: all folders of the tree, flat.
pub(crate) fn folders(call: &Call<'_>, user_id: &str) -> Answer {
    let user = call.mailbox_user(user_id)?;
    let settings = call.world.settings();
    let size = page_size(call, &settings);
    let world = call.world;
    let body = with(&user, |m| {
        let mut token = token_of(call, m.key, m.version, 0, m.folder_epoch)?;
        let select = Select::parse(Some(&token.select));
        let mut value = Vec::new();
        let mut changes: Vec<(u64, u32, bool)> = m
            .folders_by_version
            .range(token.after + 1..)
            .filter(|(_, s)| m.visible_tree(**s))
            .map(|(v, s)| (*v, *s, false))
            .chain(
                m.folders_left
                    .range(token.after.max(token.begun) + 1..)
                    .map(|(v, s)| (*v, *s, true)),
            )
            .collect();
        changes.sort_unstable();
        let more = changes.len() > size;
        for (version, serial, left) in changes.into_iter().take(size) {
            token.after = version;
            if left {
                value.push(json!({"id": m.folder_id(serial), "@removed": {"reason": "deleted"}}));
            } else if let Some(folder) = m.folder(serial) {
                value.push(Value::Object(shape::folder(m, folder, &select, &[])));
            }
        }
        token.page += 1;
        if !more {
            token.after = m.version;
        }
        let (name, option) = if more {
            ("@odata.nextLink", "$skiptoken")
        } else {
            ("@odata.deltaLink", "$deltatoken")
        };
        let text = Token {
            starts: !more,
            ..token.clone()
        }
        .encode(m.key);
        let segments = ["users", user.person.id.as_str(), "mailFolders", "delta"];
        let mut body = Map::new();
        body.insert(
            "@odata.context".into(),
            json!(format!("{}/$metadata#Collection(mailFolder)", world.graph_url())),
        );
        body.insert(
            name.into(),
            json!(links::link(world, &segments, &[(option, &text)], token.after)),
        );
        body.insert("value".into(), Value::Array(value));
        Ok(body)
    })?;
    Ok(Reply::json(200, Value::Object(body)))
}
