//! A contact as a vCard 4.0 (RFC 6350), for export.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::map::emails;
use crate::exchange::content_line::{Lines, escape, quoted};
use crate::exchange::mail::map::texts;
use crate::json::Fields;

/// Writes the card of a contact's JSON.
pub(crate) fn write(raw: &str, photo: Option<&[u8]>) -> String {
    let mut lines = Lines::default();
    lines.raw("BEGIN", "VCARD");
    lines.raw("VERSION", "4.0");
    lines.raw("PRODID", "-//nakivo//nakivo-graph-connector//EN");
    match Fields::parse(raw) {
        Some(fields) => contact(&mut lines, &fields),
        // A card needs a name.
        None => lines.raw("FN", ""),
    }
    if let Some(photo) = photo {
        let kind = if photo.starts_with(b"\x89PNG") {
            "png"
        } else {
            "jpeg"
        };
        lines.raw(
            "PHOTO",
            &format!("data:image/{kind};base64,{}", STANDARD.encode(photo)),
        );
    }
    lines.raw("END", "VCARD");
    lines.finish()
}

fn contact(lines: &mut Lines, fields: &Fields<'_>) {
    let text = |key: &str| fields.text(key).unwrap_or_default();
    lines.text("UID", &text("id"));
    let shown = ["displayName", "fileAs", "companyName"]
        .into_iter()
        .map(text)
        .find(|name| !name.trim().is_empty())
        .unwrap_or_default();
    lines.raw("FN", &escape(&shown));
    let name = ["surname", "givenName", "middleName", "title", "generation"].map(text);
    lines.components("N", &name);
    lines.text("NICKNAME", &text("nickName"));
    lines.components("ORG", &org(&text("companyName"), &text("department")));
    for (name, key) in [
        ("TITLE", "jobTitle"),
        ("ROLE", "profession"),
        ("NOTE", "personalNotes"),
        ("X-MS-FILEAS", "fileAs"),
        ("X-MS-INITIALS", "initials"),
        ("X-MS-OFFICELOCATION", "officeLocation"),
        ("X-PHONETIC-FIRST-NAME", "yomiGivenName"),
        ("X-PHONETIC-LAST-NAME", "yomiSurname"),
        ("X-PHONETIC-ORG", "yomiCompanyName"),
    ] {
        lines.text(name, &text(key));
    }
    for (kind, key) in [
        ("spouse", "spouseName"),
        ("agent", "assistantName"),
        ("x-manager", "manager"),
    ] {
        lines.text(&format!("RELATED;TYPE={kind};VALUE=text"), &text(key));
    }
    for child in texts(fields, "children") {
        lines.text("RELATED;TYPE=child;VALUE=text", &child);
    }
    if let Some(birthday) = fields.time("birthday") {
        lines.raw("BDAY", &birthday.format("%Y%m%d").to_string());
    }
    for (name, address) in emails(fields) {
        match name.filter(|name| *name != address) {
            Some(name) => lines.text(&format!("EMAIL;X-CN={}", quoted(&name)), &address),
            None => lines.text("EMAIL", &address),
        }
    }
    for address in texts(fields, "imAddresses") {
        lines.text("IMPP", &address);
    }
    for (kind, key) in [("work", "businessPhones"), ("home", "homePhones")] {
        for number in texts(fields, key) {
            lines.text(&format!("TEL;TYPE={kind}"), &number);
        }
    }
    lines.text("TEL;TYPE=cell", &text("mobilePhone"));
    lines.text("URL;VALUE=text", &text("businessHomePage"));
    for (kind, key) in [
        (";TYPE=home", "homeAddress"),
        (";TYPE=work", "businessAddress"),
        ("", "otherAddress"),
    ] {
        address(lines, &format!("ADR{kind}"), fields.object(key));
    }
    let categories: Vec<String> = texts(fields, "categories")
        .iter()
        .map(|text| escape(text))
        .collect();
    if !categories.is_empty() {
        lines.raw("CATEGORIES", &categories.join(","));
    }
    if let Some(changed) = fields.time("lastModifiedDateTime") {
        lines.raw("REV", &changed.format("%Y%m%dT%H%M%SZ").to_string());
    }
}

/// Without an empty department at its end.
fn org(company: &str, department: &str) -> Vec<String> {
    let all = [company, department].map(str::to_owned);
    let used = if department.is_empty() { 1 } else { 2 };
    all[..used].to_vec()
}

fn address(lines: &mut Lines, name: &str, fields: Option<Fields<'_>>) {
    let Some(fields) = fields else { return };
    let mut parts = vec![String::new(), String::new()];
    for key in ["street", "city", "state", "postalCode", "countryOrRegion"] {
        parts.push(fields.text(key).unwrap_or_default());
    }
    lines.components(name, &parts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_says_what_the_contact_says() {
        let raw = r#"{"id":"AA=","displayName":"Zo\u00eb; Sons","surname":"Sons","givenName":"Zo\u00eb","companyName":"A, B","department":"",
            "emailAddresses":[{"name":"Z","address":"z@x.org"}],"businessPhones":["+1"],"mobilePhone":"+2","children":["Eva"],
            "birthday":"1974-07-22T00:00:00Z","personalNotes":"a\r\nEND:VCARD","homeAddress":{"street":"S 1","city":"C"},
            "categories":["x,y"],"imAddresses":[],"otherAddress":{}}"#;
        let card = write(raw, Some(b"\x89PNG1"));
        for line in [
            "FN:Zo\u{eb}\\; Sons",
            "N:Sons;Zo\u{eb};;;",
            "ORG:A\\, B",
            "EMAIL;X-CN=\"Z\":z@x.org",
            "TEL;TYPE=work:+1",
            "TEL;TYPE=cell:+2",
            "RELATED;TYPE=child;VALUE=text:Eva",
            "BDAY:19740722",
            "NOTE:a\\nEND:VCARD",
            "ADR;TYPE=home:;;S 1;C;;;",
            "CATEGORIES:x\\,y",
            "PHOTO:data:image/png;base64,iVBORzE=",
        ] {
            assert!(card.split("\r\n").any(|one| one == line), "{line} in {card}");
        }
        assert_eq!(card.matches("\r\nEND:VCARD").count(), 1);
        assert!(write("{", None).contains("FN:"));
    }
}
