//! Figures, times and foreign text as people read them.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Makes foreign text safe for a terminal: control characters, escape sequences and direction overrides become visible
/// escapes, so a name can neither forge a line nor change what was printed before it.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_hostile(character) => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}

/// Whether a terminal may do something else with this character than show it.
pub(crate) fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most `width` characters, the end marked when something was cut.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A size for people: `831 B`, `12.4 KiB`, `3.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A count for people, in groups of three: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 item`, `12,345 items`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    plural(number, noun, &format!("{noun}s"))
}

/// `1 mailbox`, `3 mailboxes`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration for people: `0.4 s`, `12.3 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A moment for people: `2026-11-22 08:12:30 UTC`.
pub(crate) fn moment(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// As [`moment`], from milliseconds since 1970; a dash for what is no valid moment.
pub(crate) fn moment_ms(milliseconds: i64) -> String {
    DateTime::from_timestamp_millis(milliseconds).map_or_else(|| "-".to_owned(), moment)
}

/// A moment for programs: RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339_ms(milliseconds: i64) -> Option<String> {
    DateTime::from_timestamp_millis(milliseconds)
        .map(|moment| moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// How many times smaller the stored bytes are: `2.4 : 1`; a dash where nothing is stored.
pub(crate) fn ratio(logical: u64, stored: u64) -> String {
    ratio_value(logical, stored).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2} : 1"))
}

/// As [`ratio`], for programs, rounded to three digits.
#[allow(clippy::cast_precision_loss, reason = "three digits are kept")]
pub(crate) fn ratio_value(logical: u64, stored: u64) -> Option<f64> {
    (stored > 0).then(|| (logical as f64 / stored as f64 * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_below_one_kibibyte_and_rounded_above() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (12_700, "12.4 KiB"),
            (1_048_575, "1.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), shown);
        }
        assert_eq!(counted(1, "item"), "1 item");
        assert_eq!(counted(0, "item"), "0 items");
    }

    #[test]
    fn durations_pick_the_unit() {
        assert_eq!(duration(Duration::from_millis(412)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(7500)), "2 h 5 min");
    }

    #[test]
    fn hostile_names_stay_on_their_line() {
        assert_eq!(escape("Über \"a\""), "Über \"a\"");
        assert_eq!(escape("a\nerror: done"), "a\\nerror: done");
        assert_eq!(
            escape("\u{1b}[2J\u{9b}31m\u{202e}cod.exe\u{7f}"),
            "\\u{1b}[2J\\u{9b}31m\\u{202e}cod.exe\\u{7f}"
        );
        assert_eq!(escape("\0"), "\\u{0}");
    }

    #[test]
    fn ratio_of_nothing_is_a_dash() {
        assert_eq!(ratio(10, 0), "-");
        assert_eq!(ratio(300, 100), "3.00 : 1");
        assert_eq!(ratio_value(1, 3), Some(0.333));
    }

    #[test]
    fn moments_outside_the_calendar_are_a_dash() {
        assert_eq!(moment_ms(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment_ms(i64::MAX), "-");
        assert_eq!(rfc3339_ms(1).as_deref(), Some("1970-01-01T00:00:00.001Z"));
    }
}
