//! An event as iCalendar (RFC 5545), for export.

use nakivo_core::connector::ItemHead;

use crate::exchange::content_line::{Lines, quoted};
use crate::exchange::mail::map::texts;
use crate::json::{Fields, lenient_string};

/// Writes the event and the exceptions of its series.
///
/// A single event is told in UTC; a series in the zone by name, because the wall clock is what repeats. Programs that know the
/// zone need no definition of it, and none is written.
pub(crate) fn write(raw: &str, head: &ItemHead) -> String {
    let mut lines = Lines::default();
    lines.raw("BEGIN", "VCALENDAR");
    lines.raw("VERSION", "2.0");
    lines.raw("PRODID", "-//nakivo//nakivo-graph-connector//EN");
    if let Some(fields) = Fields::parse(raw) {
        let uid = fields.text("iCalUId").unwrap_or_else(|| head.item.id.clone());
        let utc = match (integer(head, "start_ms"), integer(head, "end_ms")) {
            (Some(start), Some(end)) if !fields.has("recurrence") => Some((start, end)),
            _ => None,
        };
        event(&mut lines, &fields, &uid, utc, None);
        for exception in fields.list("exceptionOccurrences").unwrap_or_default() {
            if let Some(one) = Fields::parse(exception.get()) {
                event(&mut lines, &one, &uid, None, one.time("originalStart"));
            }
        }
    }
    lines.raw("END", "VCALENDAR");
    lines.finish()
}

fn integer(head: &ItemHead, name: &str) -> Option<i64> {
    head.properties.get(name)?.as_integer()
}

type Time = chrono::DateTime<chrono::Utc>;

fn utc(time: Time) -> String {
    time.format("%Y%m%dT%H%M%SZ").to_string()
}

fn event(
    lines: &mut Lines,
    fields: &Fields<'_>,
    uid: &str,
    exact: Option<(i64, i64)>,
    original: Option<Time>,
) {
    let text = |key: &str| fields.text(key).unwrap_or_default();
    lines.raw("BEGIN", "VEVENT");
    lines.text("UID", uid);
    let stamp = fields
        .time("lastModifiedDateTime")
        .or_else(|| fields.time("createdDateTime"));
    lines.raw("DTSTAMP", &utc(stamp.unwrap_or_default()));
    if let Some(original) = original {
        lines.raw("RECURRENCE-ID", &utc(original));
    }
    let all_day = fields.flag("isAllDay") == Some(true);
    let exact = exact.map(|(start, end)| [start, end]);
    for (number, (name, key)) in [("DTSTART", "start"), ("DTEND", "end")].into_iter().enumerate() {
        let moment = exact.and_then(|times| chrono::DateTime::from_timestamp_millis(times[number]));
        match moment.filter(|_| !all_day) {
            Some(time) => lines.raw(name, &utc(time)),
            None => local(lines, name, fields.object(key).as_ref(), all_day),
        }
    }
    if let Some(recurrence) = fields.object("recurrence")
        && let Some(rule) = rule(&recurrence)
    {
        lines.raw("RRULE", &rule);
        for raw in fields.list("cancelledOccurrences").unwrap_or_default() {
            let day = lenient_string(raw.get()).unwrap_or_default();
            without(lines, &day, fields.object("start").as_ref(), all_day);
        }
    }
    lines.text("SUMMARY", &text("subject"));
    let body = fields.object("body");
    let content = body
        .as_ref()
        .and_then(|body| body.text("content"))
        .unwrap_or_default();
    if body
        .and_then(|body| body.text("contentType"))
        .is_some_and(|kind| kind.eq_ignore_ascii_case("html"))
    {
        lines.text("DESCRIPTION", &text("bodyPreview"));
        lines.text("X-ALT-DESC;FMTTYPE=text/html", &content);
    } else {
        lines.text("DESCRIPTION", &content);
    }
    lines.text(
        "LOCATION",
        &fields
            .object("location")
            .and_then(|place| place.text("displayName"))
            .unwrap_or_default(),
    );
    person(lines, "ORGANIZER", fields.object("organizer").as_ref());
    for raw in fields.list("attendees").unwrap_or_default() {
        person(lines, "ATTENDEE", Fields::parse(raw.get()).as_ref());
    }
    for category in texts(fields, "categories") {
        lines.text("CATEGORIES", &category);
    }
    let class = match text("sensitivity").as_str() {
        "private" | "personal" => "PRIVATE",
        "confidential" => "CONFIDENTIAL",
        _ => "PUBLIC",
    };
    lines.raw("CLASS", class);
    lines.raw(
        "TRANSP",
        if text("showAs") == "free" {
            "TRANSPARENT"
        } else {
            "OPAQUE"
        },
    );
    if fields.flag("isCancelled") == Some(true) {
        lines.raw("STATUS", "CANCELLED");
    }
    lines.raw("END", "VEVENT");
}

/// `2026-01-05T08:00:00.0000000` as `20260105T080000`.
fn compact(text: &str) -> String {
    text.chars()
        .take(19)
        .filter(|c| c.is_ascii_digit() || *c == 'T')
        .collect()
}

fn local(lines: &mut Lines, name: &str, moment: Option<&Fields<'_>>, all_day: bool) {
    let Some(time) = moment.and_then(|moment| moment.text("dateTime")) else {
        return;
    };
    let zone = moment
        .and_then(|moment| moment.text("timeZone"))
        .unwrap_or_default();
    let time = compact(&time);
    if all_day {
        lines.raw(&format!("{name};VALUE=DATE"), time.get(..8).unwrap_or_default());
    } else if zone == "UTC" {
        lines.raw(name, &format!("{time}Z"));
    } else {
        lines.raw(&format!("{name};TZID={}", quoted(&zone)), &time);
    }
}

/// A day that is cancelled: `OID.{id}.2026-04-06` (contract 4.7), at the time at which the series begins.
fn without(lines: &mut Lines, cancelled: &str, start: Option<&Fields<'_>>, all_day: bool) {
    let day = cancelled.rsplit('.').next().unwrap_or_default();
    let Some(start) = start else { return };
    let time = start.text("dateTime").unwrap_or_default();
    let zone = start.text("timeZone").unwrap_or_default();
    let at = compact(&format!("{day}{}", time.get(10..).unwrap_or_default()));
    if all_day {
        lines.raw("EXDATE;VALUE=DATE", at.get(..8).unwrap_or_default());
    } else if zone == "UTC" {
        lines.raw("EXDATE", &format!("{at}Z"));
    } else {
        lines.raw(&format!("EXDATE;TZID={}", quoted(&zone)), &at);
    }
}

fn person(lines: &mut Lines, name: &str, person: Option<&Fields<'_>>) {
    let Some(email) = person.and_then(|person| person.object("emailAddress")) else {
        return;
    };
    let Some(address) = email.text("address").filter(|address| !address.is_empty()) else {
        return;
    };
    let shown = email.text("name").unwrap_or_else(|| address.clone());
    lines.raw(
        &format!("{name};CN={}", quoted(&shown)),
        &format!("mailto:{address}"),
    );
}

/// `RRULE` of a pattern and its range.
fn rule(recurrence: &Fields<'_>) -> Option<String> {
    let (pattern, range) = (recurrence.object("pattern")?, recurrence.object("range")?);
    let number = |fields: &Fields<'_>, key: &str| fields.number(key).filter(|number| *number > 0);
    let short = |name: &str| name.chars().take(2).collect::<String>().to_uppercase();
    let days: Vec<String> = texts(&pattern, "daysOfWeek")
        .iter()
        .map(|day| short(day))
        .collect();
    let kind = pattern.text("type")?.to_lowercase();
    let mut out = match kind.as_str() {
        "daily" => vec!["FREQ=DAILY".to_owned()],
        "weekly" => vec!["FREQ=WEEKLY".to_owned(), format!("BYDAY={}", days.join(","))],
        "absolutemonthly" | "relativemonthly" => vec!["FREQ=MONTHLY".to_owned()],
        "absoluteyearly" | "relativeyearly" => {
            vec![
                "FREQ=YEARLY".to_owned(),
                format!("BYMONTH={}", number(&pattern, "month")?),
            ]
        }
        _ => return None,
    };
    if kind.starts_with("absolute") {
        out.push(match number(&pattern, "dayOfMonth")? {
            // Outlook takes the last day of months that are shorter.
            day @ 29..=31 => format!(
                "BYMONTHDAY={};BYSETPOS=-1",
                (28..=day).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
            ),
            day => format!("BYMONTHDAY={day}"),
        });
    }
    if kind.starts_with("relative") {
        let index = pattern.text("index").unwrap_or_default().to_lowercase();
        let position = match index.as_str() {
            "second" => 2,
            "third" => 3,
            "fourth" => 4,
            "last" => -1,
            _ => 1,
        };
        out.push(format!("BYDAY={};BYSETPOS={position}", days.join(",")));
    }
    out.push(format!("INTERVAL={}", number(&pattern, "interval").unwrap_or(1)));
    if kind == "weekly" {
        out.push(format!(
            "WKST={}",
            short(
                &pattern
                    .text("firstDayOfWeek")
                    .unwrap_or_else(|| "sunday".to_owned())
            )
        ));
    }
    match range.text("type")?.to_lowercase().as_str() {
        "enddate" => {
            let end = range.text("endDate")?.replace('-', "");
            out.push(format!("UNTIL={end}T235959Z"));
        }
        "numbered" => out.push(format!("COUNT={}", number(&range, "numberOfOccurrences")?)),
        _ => {}
    }
    Some(out.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_rules() {
        let rule = |pattern: &str, range: &str| {
            let text = format!(r#"{{"pattern":{pattern},"range":{range}}}"#);
            rule(&Fields::parse(&text).unwrap()).unwrap()
        };
        let none = r#"{"type":"noEnd","startDate":"2026-01-01"}"#;
        assert_eq!(
            rule(
                r#"{"type":"weekly","interval":2,"daysOfWeek":["monday","friday"],"firstDayOfWeek":"monday"}"#,
                none
            ),
            "FREQ=WEEKLY;BYDAY=MO,FR;INTERVAL=2;WKST=MO"
        );
        assert_eq!(
            rule(
                r#"{"type":"absoluteMonthly","interval":1,"dayOfMonth":31}"#,
                r#"{"type":"numbered","numberOfOccurrences":3}"#
            ),
            "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1;INTERVAL=1;COUNT=3"
        );
        assert_eq!(
            rule(
                r#"{"type":"relativeYearly","interval":1,"daysOfWeek":["monday"],"index":"last","month":9}"#,
                r#"{"type":"endDate","endDate":"2027-12-31"}"#
            ),
            "FREQ=YEARLY;BYMONTH=9;BYDAY=MO;BYSETPOS=-1;INTERVAL=1;UNTIL=20271231T235959Z"
        );
    }
}
