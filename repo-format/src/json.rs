//! The two human-readable files: JSON whose content is protected by a hash over its canonical form.
//!
//! Canonical form: compact, object keys in the order of their UTF-8 bytes, no floating-point numbers, strings
//! escaped minimally. In Python: `json.dumps(x, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{FormatError, Result};

/// The longest JSON file that is read.
pub(crate) const MAX_JSON_BYTES: usize = 64 * 1024;

/// Parses a JSON object of bounded size.
pub(crate) fn parse(what: &'static str, bytes: &[u8]) -> Result<serde_json::Map<String, Value>> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err(FormatError::LimitExceeded {
            what,
            limit: MAX_JSON_BYTES as u64,
            found: bytes.len() as u64,
        });
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(FormatError::corrupt(what, "not a JSON object")),
        Err(e) if e.is_eof() => Err(FormatError::Truncated { what }),
        Err(_) => Err(FormatError::corrupt(what, "not JSON")),
    }
}

/// The canonical form of an object without the named members.
pub(crate) fn canonical(
    what: &'static str,
    map: &serde_json::Map<String, Value>,
    without: &[&str],
) -> Result<String> {
    let mut out = String::new();
    write_object(what, map, without, &mut out)?;
    Ok(out)
}

/// The check value over a canonical form: BLAKE3 as hexadecimal.
pub(crate) fn check_value(canonical: &str) -> String {
    blake3::hash(canonical.as_bytes()).to_hex().to_string()
}

fn write_object(
    what: &'static str,
    map: &serde_json::Map<String, Value>,
    without: &[&str],
    out: &mut String,
) -> Result<()> {
    let sorted: BTreeMap<&String, &Value> = map
        .iter()
        .filter(|(key, _)| !without.contains(&key.as_str()))
        .collect();
    out.push('{');
    for (i, (key, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_scalar(what, &Value::String(key.clone()), out)?;
        out.push(':');
        write_value(what, value, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_value(what: &'static str, value: &Value, out: &mut String) -> Result<()> {
    match value {
        Value::Object(map) => write_object(what, map, &[], out),
        Value::Array(list) => {
            out.push('[');
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(what, value, out)?;
            }
            out.push(']');
            Ok(())
        }
        Value::Number(n) if n.is_f64() => Err(FormatError::corrupt(what, "a floating-point number")),
        scalar => write_scalar(what, scalar, out),
    }
}

fn write_scalar(what: &'static str, value: &Value, out: &mut String) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| FormatError::corrupt(what, e.to_string()))?;
    out.push_str(&text);
    Ok(())
}

/// Refuses a file of a newer version, before its other members are looked at.
pub(crate) fn check_version(
    what: &'static str,
    map: &serde_json::Map<String, Value>,
    supported: u32,
) -> Result<()> {
    let found = map
        .get("version")
        .and_then(Value::as_u64)
        .ok_or_else(|| FormatError::corrupt(what, "no version number"))?;
    if found != u64::from(supported) {
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        return Err(FormatError::UnsupportedVersion {
            what,
            found,
            supported,
        });
    }
    Ok(())
}

/// Writes a value with its `check` member filled in, pretty enough for people: canonical, one line.
pub(crate) fn with_check<T: serde::Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>> {
    let failed = |e: serde_json::Error| FormatError::corrupt(what, e.to_string());
    let Value::Object(mut map) = serde_json::to_value(value).map_err(failed)? else {
        return Err(FormatError::corrupt(what, "not a JSON object"));
    };
    let check = check_value(&canonical(what, &map, &["check"])?);
    map.insert("check".into(), Value::String(check));
    Ok(canonical(what, &map, &[])?.into_bytes())
}
