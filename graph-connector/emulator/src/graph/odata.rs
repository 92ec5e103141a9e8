//! The part of OData's query options that Exchange takes for mail.

use crate::clock;
use crate::http::reply::GraphError;
use crate::http::request::Request;

/// `$select`: nothing means the default properties.
#[derive(Debug, Clone, Default)]
pub(crate) struct Select(Option<Vec<String>>);

impl Select {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        Self(text.filter(|t| !t.trim().is_empty()).map(|t| {
            t.split(',')
                .map(|p| p.trim().to_lowercase())
                .filter(|p| !p.is_empty())
                .collect()
        }))
    }

    /// True when the property is to be answered.
    pub(crate) fn wants(&self, property: &str) -> bool {
        match &self.0 {
            None => true,
            Some(list) => list.iter().any(|p| p.eq_ignore_ascii_case(property) || p == "*"),
        }
    }

    /// True when it is named: for properties that are never answered unasked.
    pub(crate) fn names(&self, property: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|list| list.iter().any(|p| p.eq_ignore_ascii_case(property)))
    }

    pub(crate) fn is_default(&self) -> bool {
        self.0.is_none()
    }

    /// `(a,b)` for a context URL; empty without a selection.
    pub(crate) fn context(&self, request: &Request) -> String {
        match (&self.0, request.option("$select")) {
            (Some(_), Some(text)) => format!("({})", text.replace(' ', "")),
            _ => String::new(),
        }
    }
}

/// Ids of the MAPI properties an `$expand` asks for.
pub(crate) fn expanded_properties(expand: Option<&str>) -> Result<Vec<String>, GraphError> {
    let Some(expand) = expand else { return Ok(vec![]) };
    let lower = expand.to_lowercase();
    let Some(at) = lower.find("singlevalueextendedproperties") else {
        return Ok(vec![]);
    };
    let rest = &expand[at..];
    let filter = rest.to_lowercase().find("$filter").and_then(|f| rest.get(f..)).ok_or_else(|| {
        GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            "The query for extended properties needs $expand=singleValueExtendedProperties($filter=id eq '...').",
        )
    })?;
    let quoted = quoted(filter);
    if quoted.is_empty() {
        return Err(GraphError::new(
            400,
            "ErrorInvalidUrlQuery",
            "The filter of the extended properties names no id.",
        ));
    }
    Ok(quoted)
}

/// Texts in single quotes; `''` inside stands for one.
pub(crate) fn quoted(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\'' {
            continue;
        }
        let mut value = String::new();
        while let Some(c) = chars.next() {
            if c == '\'' {
                if chars.peek() == Some(&'\'') {
                    chars.next();
                } else {
                    break;
                }
            }
            value.push(c);
        }
        out.push(value);
    }
    out
}

/// A `$filter` of a message list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    MessageId(String),
    Property(String, String),
    Read(bool),
    Draft(bool),
    Subject(String),
    /// Bounds of `receivedDateTime` in milliseconds, inclusive.
    Received(i64, i64),
}

/// Parses a filter: comparisons joined with `and`.
pub(crate) fn filters(text: Option<&str>) -> Result<Vec<Filter>, GraphError> {
    let Some(text) = text else { return Ok(vec![]) };
    let invalid = || {
        GraphError::new(
            400,
            "ErrorInvalidUrlQueryFilter",
            format!("The query filter is invalid or not supported: {text}"),
        )
    };
    let trimmed = text.trim();
    if trimmed
        .to_lowercase()
        .starts_with("singlevalueextendedproperties/any(")
    {
        return match quoted(trimmed).as_slice() {
            [id, value] if trimmed.ends_with(')') => Ok(vec![Filter::Property(id.clone(), value.clone())]),
            _ => Err(invalid()),
        };
    }
    let mut out = Vec::new();
    for term in split_and(trimmed) {
        let mut words = term.splitn(3, ' ');
        let (Some(property), Some(op), Some(value)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid());
        };
        let value = value.trim();
        out.push(
            match (property.to_lowercase().as_str(), op.to_lowercase().as_str()) {
                ("internetmessageid", "eq") => {
                    Filter::MessageId(quoted(value).into_iter().next().ok_or_else(invalid)?)
                }
                ("subject", "eq") => Filter::Subject(quoted(value).into_iter().next().ok_or_else(invalid)?),
                ("isread", "eq") => Filter::Read(value.eq_ignore_ascii_case("true")),
                ("isdraft", "eq") => Filter::Draft(value.eq_ignore_ascii_case("true")),
                ("receiveddatetime", op @ ("ge" | "gt" | "le" | "lt")) => {
                    let at = clock::parse_iso(value).ok_or_else(invalid)?;
                    match op {
                        "ge" => Filter::Received(at, i64::MAX),
                        "gt" => Filter::Received(at + 1, i64::MAX),
                        "le" => Filter::Received(i64::MIN, at),
                        _ => Filter::Received(i64::MIN, at - 1),
                    }
                }
                _ => return Err(invalid()),
            },
        );
    }
    Ok(out)
}

fn split_and(text: &str) -> Vec<String> {
    // "and" inside quotes is text.
    let mut out = vec![String::new()];
    let mut inside = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            inside = !inside;
        }
        if !inside && rest.len() >= 5 && rest.is_char_boundary(5) && rest[..5].eq_ignore_ascii_case(" and ") {
            out.push(String::new());
            rest = &rest[5..];
            continue;
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    out.into_iter()
        .map(|t| t.trim().trim_matches(['(', ')']).to_owned())
        .collect()
}

/// A whole number option; something else is refused.
pub(crate) fn number(request: &Request, name: &str) -> Result<Option<usize>, GraphError> {
    match request.option(name) {
        None => Ok(None),
        Some(text) => text.trim().parse().map(Some).map_err(|_| {
            GraphError::bad(format!("Invalid value '{text}' for {name} query option found. The {name} query option requires a non-negative integer value."))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let two = filters(Some(
            "receivedDateTime ge 2024-01-01T00:00:00Z and isRead eq false",
        ));
        assert_eq!(two.map(|f| f.len()).ok(), Some(2));
        let one = filters(Some("subject eq 'this and that''s'")).unwrap_or_default();
        assert_eq!(one, [Filter::Subject("this and that's".into())]);
        let any = filters(Some(
            "singleValueExtendedProperties/any(ep: ep/id eq 'String {0} Name X' and ep/value eq 'y')",
        ));
        assert_eq!(
            any.unwrap_or_default(),
            [Filter::Property("String {0} Name X".into(), "y".into())]
        );
        assert!(filters(Some("foo eq 1")).is_err());
    }
}
