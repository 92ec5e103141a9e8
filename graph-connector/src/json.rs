//! Reading Graph's JSON without losing any of it.
//!
//! Exchange lets control characters through, repeats keys, and adds properties at any time (contract 2.2, 4.3). Objects
//! are therefore split into raw fields, the last of a repeated key winning, and each field is read on its own: a strange
//! one costs itself and nothing else. Nesting costs no stack: raw values are skipped iteratively.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Deepest nesting that is accepted. Graph's own objects stay below 20.
const MAX_DEPTH: usize = 4096;

/// The fields of one JSON object, unread.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn raw(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), raw.get()))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        lenient_string(self.raw(key)?)
    }

    /// A boolean; documentation data has them as strings too.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.raw(key)?.trim_matches('"') {
            "true" | "True" => Some(true),
            "false" | "False" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.raw(key)?.trim_matches('"').parse().ok()
    }

    pub(crate) fn time(&self, key: &str) -> Option<DateTime<Utc>> {
        parse_time(&self.text(key)?)
    }

    pub(crate) fn object(&self, key: &str) -> Option<Fields<'a>> {
        Fields::parse(self.raw(key)?)
    }

    pub(crate) fn list(&self, key: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.raw(key)?).ok()
    }
}

/// ISO 8601 in UTC with a fraction of 0 to 7 digits; the year 1 means none (contract 2.2).
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .ok()
        .or_else(|| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                .ok()
                .map(|time| time.and_utc())
        })?;
    (!text.starts_with("0001-")).then_some(time)
}

/// The body as text that serde_json accepts. Borrowed, and so verbatim, whenever it was valid.
pub(crate) fn repair(body: &[u8]) -> Option<Cow<'_, str>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let text = if text
        .bytes()
        .any(|byte| byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t'))
        || serde_json::from_str::<&RawValue>(&text).is_err()
    {
        Cow::Owned(escape_controls(&text))
    } else {
        text
    };
    within_depth(&text).then_some(text)
}

/// Writes control characters inside strings as escapes; elsewhere they are white space or an error anyway.
fn escape_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string && (c as u32) < 0x20 {
            // A backslash before a raw control character escapes nothing that JSON knows: keep both as text.
            if escaped {
                out.push('\\');
            }
            out.push_str(&format!("\\u{:04x}", c as u32));
            escaped = false;
            continue;
        }
        out.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

fn within_depth(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// A JSON string, with lone surrogates replaced; numbers and booleans as their text.
pub(crate) fn lenient_string(raw: &str) -> Option<String> {
    if !raw.starts_with('"') {
        return (!raw.starts_with(['{', '[']) && raw != "null").then(|| raw.to_owned());
    }
    if let Ok(text) = serde_json::from_str(raw) {
        return Some(text);
    }
    // Half of a surrogate pair is all that can be wrong in a string that the parser skipped over.
    let units = unescape_units(raw.get(1..raw.len().checked_sub(1)?)?);
    Some(
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or('\u{FFFD}'))
            .collect(),
    )
}

fn unescape_units(inner: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    let push = |units: &mut Vec<u16>, c: char| units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut units, c);
            continue;
        }
        match chars.next() {
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&hex, 16).unwrap_or(0xFFFD));
            }
            Some('n') => units.push(10),
            Some('r') => units.push(13),
            Some('t') => units.push(9),
            Some('b') => units.push(8),
            Some('f') => units.push(12),
            Some(other) => push(&mut units, other),
            None => break,
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_stays_as_it_is() {
        let body = br#"{"value":[{"a":1.50,"b":"\u00e9"}]}"#;
        assert!(matches!(repair(body), Some(Cow::Borrowed(text)) if text.as_bytes() == body));
    }

    #[test]
    fn control_characters_duplicates_and_depth_are_survived() {
        let body = b"{\"a\":\"x\x01y\x00\nz\",\"a\":\"last\",\"b\":\"t\x1f\"}";
        let text = repair(body).unwrap();
        let fields = Fields::parse(&text).unwrap();
        assert_eq!(fields.text("a").unwrap(), "last");
        assert_eq!(fields.text("b").unwrap(), "t\u{1f}");

        let deep = format!(
            "{{\"id\":\"x\",\"deep\":{}{}}}",
            "[".repeat(3000),
            "]".repeat(3000)
        );
        let text = repair(deep.as_bytes()).unwrap();
        assert_eq!(Fields::parse(&text).unwrap().text("id").unwrap(), "x");
        assert!(repair(format!("{}{}", "[".repeat(5000), "]".repeat(5000)).as_bytes()).is_none());
    }

    #[test]
    fn odd_values_cost_only_themselves() {
        let body = r#"{"s":"a\ud800b","t":"true","n":null,"d":"0001-01-01T00:00:00Z","e":"2024-01-31T10:00:00.1234567Z"}"#;
        let fields = Fields::parse(body).unwrap();
        assert_eq!(fields.text("s").unwrap(), "a\u{FFFD}b");
        assert_eq!(fields.flag("t"), Some(true));
        assert!(!fields.has("n"));
        assert!(fields.time("d").is_none());
        assert_eq!(fields.time("e").unwrap().timestamp(), 1_706_695_200);
    }
}
