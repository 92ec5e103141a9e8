//! Time zones by the names that Exchange knows: those of Windows and of IANA.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Names of Windows and one place of each zone.
const WINDOWS: [(&str, Tz); 30] = [
    ("UTC", Tz::UTC),
    ("GMT Standard Time", Tz::Europe__London),
    ("Greenwich Standard Time", Tz::Atlantic__Reykjavik),
    ("W. Europe Standard Time", Tz::Europe__Berlin),
    ("Central Europe Standard Time", Tz::Europe__Budapest),
    ("Central European Standard Time", Tz::Europe__Warsaw),
    ("Romance Standard Time", Tz::Europe__Paris),
    ("E. Europe Standard Time", Tz::Europe__Chisinau),
    ("FLE Standard Time", Tz::Europe__Kiev),
    ("GTB Standard Time", Tz::Europe__Bucharest),
    ("Turkey Standard Time", Tz::Europe__Istanbul),
    ("Israel Standard Time", Tz::Asia__Jerusalem),
    ("Russian Standard Time", Tz::Europe__Moscow),
    ("Arabian Standard Time", Tz::Asia__Dubai),
    ("India Standard Time", Tz::Asia__Kolkata),
    ("Nepal Standard Time", Tz::Asia__Kathmandu),
    ("China Standard Time", Tz::Asia__Shanghai),
    ("Singapore Standard Time", Tz::Asia__Singapore),
    ("Tokyo Standard Time", Tz::Asia__Tokyo),
    ("AUS Eastern Standard Time", Tz::Australia__Sydney),
    ("New Zealand Standard Time", Tz::Pacific__Auckland),
    ("South Africa Standard Time", Tz::Africa__Johannesburg),
    ("E. South America Standard Time", Tz::America__Sao_Paulo),
    ("Newfoundland Standard Time", Tz::America__St_Johns),
    ("Atlantic Standard Time", Tz::America__Halifax),
    ("Eastern Standard Time", Tz::America__New_York),
    ("Central Standard Time", Tz::America__Chicago),
    ("Mountain Standard Time", Tz::America__Denver),
    ("Pacific Standard Time", Tz::America__Los_Angeles),
    ("Hawaiian Standard Time", Tz::Pacific__Honolulu),
];

/// A zone by either kind of name.
pub(crate) fn parse(name: &str) -> Option<Tz> {
    let windows = WINDOWS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    windows.map(|(_, zone)| *zone).or_else(|| name.parse().ok())
}

/// A local time as UTC. A time that the clocks skip is the one an hour later; of one that they repeat, the first.
pub(crate) fn to_utc(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.with_timezone(&Utc),
        LocalResult::None => {
            let later = zone
                .from_local_datetime(&(local + TimeDelta::hours(1)))
                .earliest();
            later.map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
        }
    }
}

/// UTC as a local time.
pub(crate) fn to_local(time: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    time.with_timezone(&zone).naive_local()
}

/// `2026-01-05T08:00:00.0000000`, with or without its fraction.
pub(crate) fn parse_local(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M"))
        .ok()
}

/// The form of `dateTimeTimeZone`.
pub(crate) fn write_local(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M:%S.0000000").to_string()
}
