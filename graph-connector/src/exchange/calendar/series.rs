//! What differs on single days of a series. Whether that changes the change key of the series is not documented (contract 4.7),
//! so it is asked for and becomes a part of the change key.

use nakivo_core::connector::ItemHead;

use super::map::SERIES;
use crate::batch::MemberResult;
use crate::exchange::mail::attachments::hash;
use crate::json::{Fields, lenient_string};

/// What tells the days apart.
pub(crate) const QUERY: [(&str, &str); 2] = [
    ("$select", "id,changeKey,cancelledOccurrences"),
    ("$expand", "exceptionOccurrences($select=id,changeKey)"),
];

/// Whether an item is a series.
pub(crate) fn is_series(head: &ItemHead) -> bool {
    head.properties.get(SERIES).and_then(|value| value.as_bool()) == Some(true)
}

/// Marks a series with what the service says of its days. What could not be found out is read again: no key is equal to none.
pub(crate) fn mark(head: &mut ItemHead, answer: MemberResult) {
    head.change_key = answer.ok().and_then(|body| key(&body));
}

/// The change key of a series with those of its exceptions, and the days that are cancelled.
pub(crate) fn key(body: &str) -> Option<String> {
    let fields = Fields::parse(body)?;
    let own = fields.text("changeKey")?;
    // Without the list nothing is known of the days, and no key is equal to none.
    let mut days: Vec<String> = fields
        .list("exceptionOccurrences")?
        .into_iter()
        .filter_map(|raw| {
            let fields = Fields::parse(raw.get())?;
            Some(format!(
                "{} {}",
                fields.text("id")?,
                fields.text("changeKey").unwrap_or_default()
            ))
        })
        .collect();
    days.extend(
        fields
            .list("cancelledOccurrences")
            .unwrap_or_default()
            .into_iter()
            .filter_map(|raw| lenient_string(raw.get())),
    );
    days.sort();
    Some(if days.is_empty() {
        own
    } else {
        format!("{own} {}", &hash(days.join("\n").as_bytes())[..16])
    })
}
