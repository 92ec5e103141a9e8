//! Graph's event JSON to the engine's heads.

use nakivo_core::connector::{ItemHead, ItemRef};
use nakivo_core::format::record::{ItemKind, PropertyBag, Value};

use crate::exchange::heads;
use crate::exchange::mail::map::{short, texts};
use crate::exchange::round::Element;
use crate::exchange::service::MailboxService;
use crate::json::{Fields, parse_time};

const EVENT_TYPE: &str = "#microsoft.graph.event";
/// What the list of a calendar is asked for; the rest is read of events that changed.
pub(crate) const LISTED: &str = "id,changeKey,createdDateTime,lastModifiedDateTime,type,subject,start,end,isAllDay,\
    originalStartTimeZone,categories,location,organizer,hasAttachments";
/// The property of a series.
pub(crate) const SERIES: &str = "series";
/// The property that names the zone of the event.
pub(crate) const ZONE: &str = "time_zone";

/// Reads one element of the list of `container`.
pub(crate) fn element(raw: &str, container: &str) -> Element {
    heads::element(raw, container, head)
}

/// Reads an event that was asked for by id together with its calendar.
pub(crate) fn event(raw: &str) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    let calendar = fields.object("calendar").and_then(|calendar| calendar.text("id"));
    let container = MailboxService::Calendar.container(&calendar.unwrap_or_default());
    Some(head(&fields, ItemRef { container, id }))
}

/// The whole event that was asked for. Its JSON is not in it.
pub(crate) fn whole(raw: &str, item: &ItemRef) -> Option<ItemHead> {
    let (fields, id) = heads::with_id(raw)?;
    (id == item.id).then(|| head(&fields, item.clone()))
}

fn head(fields: &Fields<'_>, item: ItemRef) -> ItemHead {
    let mut properties = PropertyBag::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    };
    let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(short).map(Value::Text);
    let place = fields
        .object("location")
        .and_then(|place| place.text("displayName"));
    let organizer = fields
        .object("organizer")
        .and_then(|one| one.object("emailAddress")?.text("address"));
    set("location", text(place));
    set("organizer", text(organizer));
    set(ZONE, text(fields.text("originalStartTimeZone")));
    for (name, key) in [("start_ms", "start"), ("end_ms", "end")] {
        set(name, moment(fields, key).map(Value::Integer));
    }
    let yes = |yes: bool| yes.then_some(Value::Bool(true));
    set("is_all_day", yes(fields.flag("isAllDay") == Some(true)));
    set(
        "has_attachments",
        yes(fields.flag("hasAttachments") == Some(true)),
    );
    let kind = fields.text("type").unwrap_or_default();
    set(SERIES, yes(kind.eq_ignore_ascii_case("seriesMaster")));
    let categories = texts(fields, "categories");
    set(
        "categories",
        (!categories.is_empty()).then_some(Value::List(categories)),
    );
    let name = fields.text("subject").map(short).unwrap_or_default();
    ItemHead {
        properties,
        ..heads::item(ItemKind::Event, EVENT_TYPE, fields, item, name)
    }
}

/// A time that was told in UTC, in milliseconds; of one in another zone nothing is known here.
fn moment(fields: &Fields<'_>, key: &str) -> Option<i64> {
    let moment = fields.object(key)?;
    let zone = moment.text("timeZone")?;
    if !matches!(zone.as_str(), "UTC" | "Etc/UTC" | "Etc/GMT") {
        return None;
    }
    Some(parse_time(&moment.text("dateTime")?)?.timestamp_millis())
}
