//! Content lines of vCard (RFC 6350) and iCalendar (RFC 5545): escaped and folded.

/// Longest line in bytes, without its end.
const MAX_LINE_BYTES: usize = 75;

/// Lines of a card or calendar.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds a line; `value` is written as it is, control characters aside.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        let mut width = 0;
        let kept = value.chars().filter(|c| !c.is_control() || *c == '\t');
        for c in name.chars().chain([':']).chain(kept) {
            if width + c.len_utf8() > MAX_LINE_BYTES {
                self.0.push_str("\r\n ");
                width = 1;
            }
            self.0.push(c);
            width += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// Adds a line with a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.raw(name, &escape(value));
        }
    }

    /// Adds a line with several components, unless all are empty.
    pub(crate) fn components(&mut self, name: &str, values: &[String]) {
        if values.iter().any(|value| !value.is_empty()) {
            let values: Vec<String> = values.iter().map(|value| escape(value)).collect();
            self.raw(name, &values.join(";"));
        }
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A text with what has a meaning in it escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            ';' => out.push_str("\\;"),
            ',' => out.push_str("\\,"),
            '\n' | '\r' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

/// A parameter's value: quoted, without what quotes cannot hold.
pub(crate) fn quoted(text: &str) -> String {
    let kept: String = text.chars().filter(|c| *c != '"' && !c.is_control()).collect();
    format!("\"{kept}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_characters() {
        let value = "\u{17e}".repeat(100) + "a;b,c\\d\r\nBEGIN:VCARD\u{0}";
        let mut lines = Lines::default();
        lines.text("NOTE", &value);
        let text = lines.finish();
        for line in text.split("\r\n") {
            assert!(line.len() <= MAX_LINE_BYTES, "{}", line.len());
        }
        let unfolded = text.replace("\r\n ", "");
        assert_eq!(
            unfolded,
            format!("NOTE:{}a\\;b\\,c\\\\d\\nBEGIN:VCARD\r\n", "\u{17e}".repeat(100))
        );
        assert_eq!(
            unfolded.matches("\r\n").count(),
            1,
            "no value makes a line of its own"
        );
    }
}
