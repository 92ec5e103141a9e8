//! Contacts out of `.vcf` files: what vCard 2.1, 3.0 and 4.0 say in common, as Graph's properties.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::outlook::store::Object;

/// One card of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Card {
    pub fields: Object,
    pub photo: Option<Bytes>,
}

/// One content line.
struct Line {
    name: String,
    /// Parameters in upper case, `TYPE=HOME` and bare `HOME` alike.
    parameters: Vec<String>,
    value: String,
}

/// Reads every card; what cannot be read of one is left out.
pub(crate) fn parse(text: &str) -> Vec<Card> {
    let mut cards = Vec::new();
    let mut open: Option<Card> = None;
    for line in unfold(text).iter().filter_map(|line| split(line)) {
        match (line.name.as_str(), line.value.trim().to_uppercase().as_str()) {
            ("BEGIN", "VCARD") => open = Some(Card::default()),
            ("END", "VCARD") => cards.extend(open.take()),
            _ => {
                if let Some(card) = &mut open {
                    take(card, &line);
                }
            }
        }
    }
    cards
}

/// Joins folded lines, and lines of quoted-printable that end in `=`.
fn unfold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for raw in text.lines() {
        let raw = raw.trim_end_matches('\r');
        match lines.last_mut() {
            Some(last) if raw.starts_with([' ', '\t']) => last.push_str(&raw[1..]),
            Some(last) if last.ends_with('=') && last.to_uppercase().contains("QUOTED-PRINTABLE") => {
                last.pop();
                last.push_str(raw);
            }
            _ => lines.push(raw.to_owned()),
        }
    }
    lines
}

fn split(line: &str) -> Option<Line> {
    let mut quoted = false;
    let colon = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    })?;
    let (head, value) = (&line[..colon.0], &line[colon.0 + 1..]);
    let mut parts = head.split(';');
    let name = parts.next()?.rsplit('.').next()?.trim().to_uppercase();
    let parameters: Vec<String> = parts
        .flat_map(|part| {
            let upper = part.to_uppercase();
            let values = upper.strip_prefix("TYPE=").map(str::to_owned);
            match values {
                Some(list) => list.trim_matches('"').split(',').map(str::to_owned).collect(),
                None => vec![upper],
            }
        })
        .collect();
    let quoted_printable = parameters.iter().any(|p| p.ends_with("QUOTED-PRINTABLE"));
    let value = if quoted_printable {
        unquote(value)
    } else {
        value.to_owned()
    };
    Some(Line {
        name,
        parameters,
        value,
    })
}

fn unquote(text: &str) -> String {
    let raw = text.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let hex = raw
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match (raw[at], hex) {
            (b'=', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits at an unescaped separator and takes the escapes away.
fn values(text: &str, separator: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(last) = out.last_mut() else { break };
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => last.push('\n'),
                Some(other) => last.push(other),
                None => {}
            },
            c if c == separator => out.push(String::new()),
            c => last.push(c),
        }
    }
    out
}

fn text(value: &str) -> String {
    values(value, '\0').concat()
}

fn push(fields: &mut Object, name: &str, value: Value, at_most: usize) {
    let list = fields.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && list.len() < at_most
    {
        list.push(value);
    }
}

fn take(card: &mut Card, line: &Line) {
    let is = |kind: &str| line.parameters.iter().any(|parameter| parameter == kind);
    let fields = &mut card.fields;
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            fields.entry(name).or_insert_with(|| json!(value));
        }
    };
    match line.name.as_str() {
        "FN" => set("displayName", text(&line.value)),
        "N" => {
            let names = ["surname", "givenName", "middleName", "title", "generation"];
            for (name, value) in names.into_iter().zip(values(&line.value, ';')) {
                set(name, value);
            }
        }
        "NICKNAME" => set("nickName", text(&line.value)),
        "TITLE" => set("jobTitle", text(&line.value)),
        "ROLE" => set("profession", text(&line.value)),
        "NOTE" => set("personalNotes", text(&line.value)),
        "URL" => set("businessHomePage", text(&line.value)),
        "ORG" => {
            for (name, value) in ["companyName", "department"]
                .into_iter()
                .zip(values(&line.value, ';'))
            {
                set(name, value);
            }
        }
        "BDAY" => {
            let digits: String = line.value.chars().filter(char::is_ascii_digit).take(8).collect();
            if digits.len() == 8 && !line.value.starts_with("--") {
                let date = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
                set("birthday", format!("{date}T00:00:00Z"));
            }
        }
        "EMAIL" => {
            let address = text(&line.value);
            push(
                fields,
                "emailAddresses",
                json!({"name": address, "address": address}),
                3,
            );
        }
        "TEL" => {
            let number = text(line.value.trim_start_matches("tel:"));
            if is("CELL") {
                set("mobilePhone", number);
            } else if is("HOME") {
                push(fields, "homePhones", json!(number), 2);
            } else {
                push(fields, "businessPhones", json!(number), 2);
            }
        }
        "ADR" => {
            let parts = values(&line.value, ';');
            let mut address = Object::new();
            for (at, name) in [
                (2, "street"),
                (3, "city"),
                (4, "state"),
                (5, "postalCode"),
                (6, "countryOrRegion"),
            ] {
                if let Some(part) = parts.get(at).filter(|part| !part.is_empty()) {
                    address.insert(name.to_owned(), json!(part));
                }
            }
            let name = match (is("HOME"), is("WORK")) {
                (true, _) => "homeAddress",
                (_, true) => "businessAddress",
                _ => "otherAddress",
            };
            fields.entry(name).or_insert(Value::Object(address));
        }
        "CATEGORIES" => {
            for category in values(&line.value, ',') {
                push(fields, "categories", json!(category), 100);
            }
        }
        "IMPP" => push(fields, "imAddresses", json!(text(&line.value)), 3),
        "PHOTO" => {
            let data = line
                .value
                .rsplit_once("base64,")
                .map_or(line.value.as_str(), |x| x.1);
            let data: String = data.chars().filter(|c| !c.is_whitespace()).collect();
            card.photo = STANDARD
                .decode(data)
                .ok()
                .filter(|data| !data.is_empty())
                .map(Bytes::from);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_of_all_versions_are_read() {
        let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Anna Nov\r\n \u{e1}kov\u{e1}\r\nN:Nov\u{e1}kov\u{e1};Anna;;Dr.;\r\n\
            item1.EMAIL;TYPE=INTERNET:anna@x.org\r\nTEL;TYPE=CELL,VOICE:+1\r\nADR;TYPE=\"HOME\":;;Street\\, 1;City;;1;CZ\r\n\
            NOTE:one\\ntwo\r\nBDAY:1974-07-22\r\nPHOTO;ENCODING=b:AAEC\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:2.1\r\n\
            FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6=\r\nrg\r\nEND:VCARD\r\n";
        let cards = parse(text);
        assert_eq!(cards.len(), 2);
        let first = &cards[0].fields;
        assert_eq!(first["displayName"], "Anna Nov\u{e1}kov\u{e1}");
        assert_eq!(first["homeAddress"]["street"], "Street, 1");
        assert_eq!(first["mobilePhone"], "+1");
        assert_eq!(first["personalNotes"], "one\ntwo");
        assert_eq!(first["birthday"], "1974-07-22T00:00:00Z");
        assert_eq!(cards[0].photo.as_deref(), Some([0, 1, 2].as_slice()));
        assert_eq!(cards[1].fields["displayName"], "J\u{f6}rg");
    }
}
