//! Photos: whether a contact has one, and which. Delta does not say it (contract 4.6), so their metadata is asked for and
//! becomes a part of the change key.

use nakivo_core::connector::ItemHead;
use nakivo_core::format::record::Value;

use crate::batch::MemberResult;
use crate::json::Fields;

/// The property that names the photo: its ETag.
pub(crate) const PROPERTY: &str = "photo";
/// In its place while nothing could be found out.
const UNKNOWN: &str = "?";

/// Marks a contact with what the service says of its photo.
pub(crate) fn mark(head: &mut ItemHead, answer: MemberResult) {
    let etag = match answer {
        Ok(body) => etag_of(&body),
        Err(fault) if fault.refused_as(|refusal| refusal.status == 404) => None,
        Err(_) => Some(UNKNOWN.to_owned()),
    };
    set(head, etag);
}

/// The photo's ETag; none for the dot that stands for no photo.
fn etag_of(body: &str) -> Option<String> {
    let fields = Fields::parse(body);
    let fields = fields.as_ref();
    let width = fields.and_then(|fields| fields.number("width"));
    if width.is_some_and(|width| width <= 1) {
        return None;
    }
    let text = |name| fields.and_then(|fields| fields.text(name));
    let etag = text("@odata.mediaEtag").or_else(|| text("id"));
    // An answer that cannot be read does not say that there is no photo.
    Some(etag.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Says which photo the contact has: another one is another version of it.
pub(crate) fn set(head: &mut ItemHead, etag: Option<String>) {
    let plain = head.change_key.take().map(|key| plain_key(&key).to_owned());
    head.change_key = match (&etag, plain) {
        (Some(etag), Some(key)) => Some(format!("{key} {etag}")),
        (_, plain) => plain,
    };
    match etag {
        Some(etag) => head.properties.insert(PROPERTY.to_owned(), Value::Text(etag)),
        None => head.properties.remove(PROPERTY),
    };
}

/// The change key without the photo; change keys are base64.
pub(crate) fn plain_key(key: &str) -> &str {
    key.split(' ').next().unwrap_or(key)
}

/// The photo's ETag as it was marked.
pub(crate) fn of(head: &ItemHead) -> Option<String> {
    head.properties.get(PROPERTY)?.as_text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::etag_of;

    #[test]
    fn only_a_dot_is_no_photo() {
        let etag = |body: &str| etag_of(body);
        assert_eq!(
            etag(r#"{"@odata.mediaEtag":"W/1","width":96}"#).as_deref(),
            Some("W/1")
        );
        assert_eq!(etag(r#"{"id":"96x96","width":96}"#).as_deref(), Some("96x96"));
        assert_eq!(etag(r#"{"id":"1x1","width":1}"#), None);
        for unreadable in ["", "<html>", "[]", r#"{"width":96}"#] {
            assert_eq!(etag(unreadable).as_deref(), Some("?"), "{unreadable}");
        }
    }
}
