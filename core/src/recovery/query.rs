//! The search grammar: one for the command line, the library and every later interface.
//!
//! A query is a list of terms, all of which must match, split at spaces; `"…"` keeps spaces together.
//!
//! | term | matches |
//! |---|---|
//! | `word` | a part of the name or subject, of the sender or of a recipient; case does not matter; `?` is any one character, `*` any number |
//! | `from:x` `to:x` `subject:x` `name:x` | the same in that field (`to:` also cc and bcc; `subject:` and `name:` are one) |
//! | `in:path` | items in that folder or below; path as shown by `list`, wildcards allowed |
//! | `has:attachment` | messages with attachments |
//! | `type:message` | `message` `event` `contact` `task` `file` `folder` `item` |
//! | `after:2024-01-31` `before:2024-02-15` | received (sent, modified) on that UTC day or later; before that day. Also a full RFC 3339 time |
//! | `size>10M` `size<500k` | larger, smaller than so many bytes; `k` `M` `G` are 1024-based |
//! | `-term` | items the term does not match |

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use nakivo_repo_format::record::ItemKind;

use crate::error::{Error, ErrorKind, Result};

/// Longest query in bytes.
pub const MAX_QUERY_BYTES: usize = 2_000;
/// Most terms in a query.
pub const MAX_QUERY_TERMS: usize = 50;

/// A parsed search. The empty query matches every item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Term>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// In name, sender or recipients.
    Any(Pattern),
    Name(Pattern),
    From(Pattern),
    To(Pattern),
    In(Pattern),
    HasAttachment,
    Kind(&'static [ItemKind]),
    After(i64),
    Before(i64),
    Larger(u64),
    Smaller(u64),
}

/// What a query looks at.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    pub kind: ItemKind,
    pub name: &'a str,
    pub from: &'a [&'a str],
    pub to: &'a [&'a str],
    pub has_attachments: bool,
    /// Unix milliseconds.
    pub time_ms: Option<i64>,
    pub size: u64,
    /// The folder's path, `/` between components, no leading one.
    pub folder: &'a str,
}

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// `InvalidInput` with the position (in characters, from 1), what stands there and what is allowed.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_QUERY_BYTES {
            return Err(Error::invalid(
                "query",
                format!("{} bytes", text.len()),
                "at most 2000 bytes",
            ));
        }
        let words = split_words(text)?;
        if words.len() > MAX_QUERY_TERMS {
            return Err(Error::invalid(
                "query",
                format!("{} terms", words.len()),
                "at most 50 terms",
            ));
        }
        let terms = words.iter().map(Word::term).collect::<Result<_>>()?;
        Ok(Self {
            terms,
            text: text.trim().to_owned(),
        })
    }

    /// The query as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every item matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.terms
            .iter()
            .all(|term| term.condition.matches(facts) != term.negated)
    }
}

impl std::str::FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let any = |pattern: &Pattern, values: &[&str]| values.iter().any(|value| pattern.is_in(value));
        match self {
            Self::Any(pattern) => {
                pattern.is_in(facts.name) || any(pattern, facts.from) || any(pattern, facts.to)
            }
            Self::Name(pattern) => pattern.is_in(facts.name),
            Self::From(pattern) => any(pattern, facts.from),
            Self::To(pattern) => any(pattern, facts.to),
            Self::In(pattern) => pattern.is_path_of(facts.folder),
            Self::HasAttachment => facts.has_attachments,
            Self::Kind(kinds) => kinds.contains(&facts.kind),
            Self::After(ms) => facts.time_ms.is_some_and(|time| time >= *ms),
            Self::Before(ms) => facts.time_ms.is_some_and(|time| time < *ms),
            Self::Larger(size) => facts.size > *size,
            Self::Smaller(size) => facts.size < *size,
        }
    }
}

/// One word of the query text, quotes removed.
#[derive(Debug)]
struct Word {
    /// In characters, from 1.
    position: usize,
    negated: bool,
    /// What stands before an unquoted `:`, `<` or `>`, and that character.
    field: Option<(String, char)>,
    value: String,
}

fn syntax(position: usize, problem: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("query: at character {position}: {problem}"),
    )
}

fn split_words(text: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut characters = text.chars().zip(1usize..).peekable();
    loop {
        while characters.next_if(|(c, _)| c.is_whitespace()).is_some() {}
        let Some(&(first, position)) = characters.peek() else {
            return Ok(words);
        };
        let negated = first == '-';
        if negated {
            characters.next();
        }
        let mut word = Word {
            position,
            negated,
            field: None,
            value: String::new(),
        };
        let mut quoted_at = None;
        let mut was_quoted = false;
        while let Some(&(c, at)) = characters.peek() {
            if c == '"' {
                quoted_at = if quoted_at.is_some() { None } else { Some(at) };
                was_quoted = true;
            } else if quoted_at.is_none() && c.is_whitespace() {
                break;
            } else if quoted_at.is_none() && !was_quoted && word.field.is_none() && is_field(&word.value, c) {
                word.field = Some((std::mem::take(&mut word.value).to_ascii_lowercase(), c));
            } else {
                word.value.push(c);
            }
            characters.next();
        }
        if let Some(at) = quoted_at {
            return Err(syntax(at, "the quotation mark has no partner"));
        }
        if word.value.is_empty() {
            let what = match &word.field {
                Some((field, operator)) => format!("'{field}{operator}' needs a value"),
                None => "a term is empty".to_owned(),
            };
            return Err(syntax(position, what));
        }
        words.push(word);
    }
}

/// `:` ends a field's name whatever the name, so that a misspelt field is noticed; but `C:` and `12:30` are words.
fn is_field(name: &str, operator: char) -> bool {
    match operator {
        ':' => name.len() >= 2 && name.bytes().all(|b| b.is_ascii_alphabetic()),
        '<' | '>' => name.eq_ignore_ascii_case("size"),
        _ => false,
    }
}

impl Word {
    fn term(&self) -> Result<Term> {
        let pattern = || Pattern::new(&self.value);
        let condition = match &self.field {
            None => Condition::Any(pattern()),
            Some((field, operator)) => match (field.as_str(), operator) {
                ("from", ':') => Condition::From(pattern()),
                ("to" | "cc" | "bcc", ':') => Condition::To(pattern()),
                ("subject" | "name", ':') => Condition::Name(pattern()),
                ("in", ':') => Condition::In(Pattern::new(self.value.trim_matches('/'))),
                ("has", ':') => match self.value.to_ascii_lowercase().as_str() {
                    "attachment" | "attachments" => Condition::HasAttachment,
                    other => {
                        return Err(syntax(
                            self.position,
                            format!("'has:{other}' is unknown; allowed: has:attachment"),
                        ));
                    }
                },
                ("type", ':') => Condition::Kind(self.kinds()?),
                ("after", ':') => Condition::After(self.time()?),
                ("before", ':') => Condition::Before(self.time()?),
                ("size", '>') => Condition::Larger(self.size()?),
                ("size", '<') => Condition::Smaller(self.size()?),
                ("size", _) => return Err(syntax(self.position, "write size>10M or size<500k")),
                (field, _) => {
                    return Err(syntax(
                        self.position,
                        format!(
                            "the field '{field}:' is unknown; allowed: from: to: subject: name: in: has: type: after: before: \
                             size> size<; put \"quotation marks\" around text with a colon"
                        ),
                    ));
                }
            },
        };
        Ok(Term {
            negated: self.negated,
            condition,
        })
    }

    fn kinds(&self) -> Result<&'static [ItemKind]> {
        Ok(match self.value.to_ascii_lowercase().as_str() {
            "message" | "mail" | "email" => &[ItemKind::Message],
            "event" | "appointment" => &[ItemKind::Event],
            "contact" => &[ItemKind::Contact],
            "task" => &[ItemKind::Task],
            "file" => &[ItemKind::File],
            "folder" => &[ItemKind::Container],
            "item" | "listitem" => &[ItemKind::ListItem],
            other => {
                return Err(syntax(
                    self.position,
                    format!(
                        "the type '{other}' is unknown; allowed: message event contact task file folder item"
                    ),
                ));
            }
        })
    }

    fn time(&self) -> Result<i64> {
        let day = NaiveDate::parse_from_str(&self.value, "%Y-%m-%d")
            .ok()
            .map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let time = day.or_else(|| {
            DateTime::parse_from_rfc3339(&self.value)
                .ok()
                .map(|time| time.with_timezone(&Utc))
        });
        time.map(|time| time.timestamp_millis()).ok_or_else(|| {
            syntax(
                self.position,
                format!(
                    "'{}' is no date; allowed: 2024-01-31 or 2024-01-31T10:00:00Z",
                    self.value
                ),
            )
        })
    }

    fn size(&self) -> Result<u64> {
        let lower = self.value.to_ascii_lowercase();
        let number = lower.trim_end_matches("ib").trim_end_matches('b');
        let (digits, factor) = match number.as_bytes().last() {
            Some(b'k') => (&number[..number.len() - 1], 1u64 << 10),
            Some(b'm') => (&number[..number.len() - 1], 1 << 20),
            Some(b'g') => (&number[..number.len() - 1], 1 << 30),
            Some(b't') => (&number[..number.len() - 1], 1 << 40),
            _ => (number, 1),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|value| value.checked_mul(factor))
            .ok_or_else(|| {
                syntax(
                    self.position,
                    format!("'{}' is no size; allowed: 500, 10k, 20M, 3G", self.value),
                )
            })
    }
}

/// A piece of text to look for, with `?` and `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// Lower case.
    text: Vec<char>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: lower(text) }
    }

    /// Whether it occurs anywhere in `value`.
    fn is_in(&self, value: &str) -> bool {
        let value = lower(value);
        if !self.text.iter().any(|c| matches!(c, '*' | '?')) {
            return value.windows(self.text.len()).any(|window| window == self.text);
        }
        let mut pattern = Vec::with_capacity(self.text.len() + 2);
        pattern.push('*');
        pattern.extend_from_slice(&self.text);
        pattern.push('*');
        glob(&pattern, &value)
    }

    /// Whether it names `folder` or one above it.
    fn is_path_of(&self, folder: &str) -> bool {
        let folder = lower(folder);
        let ends = folder
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == '/')
            .map(|(at, _)| at)
            .chain([folder.len()]);
        self.text.is_empty() || ends.into_iter().any(|end| glob(&self.text, &folder[..end]))
    }
}

fn lower(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Matches the whole of `text`. Goes back to the last `*` only, so the cost is at most the product of the lengths.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            kind: ItemKind::Message,
            name: "Re: Quarterly Report Ärger",
            from: &["Alice Example <alice@contoso.example>"],
            to: &["bob@contoso.example", "carol@fabrikam.example"],
            has_attachments: true,
            time_ms: Some(1_706_745_600_000), // 2024-02-01T00:00:00Z
            size: 2 << 20,
            folder: "Inbox/Projects/2024",
        }
    }

    #[test]
    fn terms_match() {
        for query in [
            "",
            "report",
            "QUARTERLY report",
            "\"quarterly report\"",
            "quart*rep?rt",
            "ÄRGER",
            "fabrikam",
            "from:alice",
            "to:bob to:carol",
            "subject:\"re: quarterly\"",
            "\"Re: Quarterly\"",
            "in:inbox",
            "in:Inbox/Projects",
            "in:/inbox/projects/2024/",
            "in:in*/2024",
            "has:attachment",
            "type:message",
            "after:2024-02-01 before:2024-02-02",
            "after:2024-01-31T23:59:59Z",
            "size>1M size<3MB",
            "-from:mallory -in:archive",
        ] {
            assert!(Query::parse(query).unwrap().matches(&facts()), "{query}");
        }
        for query in [
            "mallory",
            "from:bob",
            "to:alice",
            "in:projects",
            "in:inb",
            "-report",
            "type:file",
            "after:2024-02-02",
            "before:2024-02-01",
            "size>2M",
            "quart?report",
        ] {
            assert!(!Query::parse(query).unwrap().matches(&facts()), "{query}");
        }
    }

    #[test]
    fn errors_name_the_position_and_what_is_allowed() {
        for (query, position, text) in [
            ("abc \"def", 5, "no partner"),
            ("a form:alice", 3, "allowed: from:"),
            ("from:", 1, "needs a value"),
            ("has:wings", 1, "has:attachment"),
            ("x type:mial", 3, "message"),
            ("after:yesterday", 1, "2024-01-31"),
            ("size>many", 1, "10k"),
            ("size:10", 1, "size>10M"),
            ("a - b", 3, "empty"),
            ("\"\"", 1, "empty"),
        ] {
            let error = Query::parse(query).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.message().contains(&format!("at character {position}:")),
                "{query}: {error}"
            );
            assert!(error.message().contains(text), "{query}: {error}");
        }
        assert!(Query::parse(&"x".repeat(MAX_QUERY_BYTES + 1)).is_err());
        assert!(Query::parse(&"x ".repeat(MAX_QUERY_TERMS + 1)).is_err());
    }

    #[test]
    fn words_with_colons_that_are_no_fields_are_words() {
        for query in ["12:30", "C:", "http2://x"] {
            assert!(
                matches!(Query::parse(query).unwrap().terms[0].condition, Condition::Any(_)),
                "{query}"
            );
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let query = Query::parse(&"*a".repeat(900)).unwrap();
        let mut facts = facts();
        let name = "a".repeat(800);
        facts.name = &name;
        assert!(!query.matches(&facts));
    }
}
