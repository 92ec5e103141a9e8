//! Paths and query strings in the forms Graph takes: doubled slashes, any letter case of the fixed segments,
//! `/x/{id}/y` and `/x('{id}')/y`.

/// Percent-decodes; what is not UTF-8 afterwards is replaced.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> String {
    let raw = text.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
        match raw[i] {
            b'%' => match (hex(raw.get(i + 1)), hex(raw.get(i + 2))) {
                (Some(h), Some(l)) => {
                    out.push((h * 16 + l) as u8);
                    i += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if plus_is_space => out.push(b' '),
            b => out.push(b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Splits a path into decoded segments; a key in parentheses becomes a segment of its own and the empty
/// parentheses of a function vanish.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    for raw in path.split('/').filter(|s| !s.is_empty()) {
        let segment = decode(raw, false);
        match segment.split_once('(') {
            Some((name, rest)) if rest.ends_with(')') && !name.is_empty() => {
                let inner = &rest[..rest.len() - 1];
                out.push(name.to_owned());
                if let Some(key) = inner.strip_prefix('\'').and_then(|k| k.strip_suffix('\'')) {
                    out.push(key.replace("''", "'"));
                } else if !inner.is_empty() {
                    out.push(inner.to_owned());
                }
            }
            _ => out.push(segment),
        }
    }
    out
}

/// The query options, names in lower case, in order.
pub(crate) fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|p| !p.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true).to_lowercase(), decode(value, true))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_functions() {
        assert_eq!(
            segments("/v1.0//users('a''b')/mailFolders/x%2Fy/"),
            ["v1.0", "users", "a'b", "mailFolders", "x/y"]
        );
        assert_eq!(segments("/messages/delta()"), ["messages", "delta"]);
        assert_eq!(
            query("%24top=5&$Filter=a+eq%20'b'"),
            [("$top".into(), "5".into()), ("$filter".into(), "a eq 'b'".into())]
        );
    }
}
