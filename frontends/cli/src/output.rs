//! Everything the process writes: data to standard output, messages to standard error.
//!
//! For people: lines and tables, in which foreign text is escaped. For programs (`--json`): JSON Lines, each an object
//! with `type`, errors included. A reader that goes away (`nakivo browse ... | head`) ends the listing, never the work.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressDrawTarget};
use nakivo_core::Error;
use serde::Serialize;
use serde_json::Map;

use crate::grammar::ProgressMode;
use crate::text;

/// How progress is shown, decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressStyle {
    /// Bars that redraw themselves.
    Bars,
    /// A plain line every 30 seconds.
    Plain,
    /// A JSON line every second.
    Json,
    /// Nothing.
    Silent,
}

/// The two streams of the process.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    color: bool,
    progress: ProgressStyle,
    /// Set once standard output's reader is gone.
    closed: AtomicBool,
    bars: MultiProgress,
}

impl Output {
    /// Decides about colour and progress from flags, terminals and `NO_COLOR`.
    pub(crate) fn new(json: bool, quiet: bool, progress: ProgressMode) -> Self {
        let terminal = io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let progress = match progress {
            ProgressMode::None => ProgressStyle::Silent,
            ProgressMode::Plain => ProgressStyle::Plain,
            ProgressMode::Json => ProgressStyle::Json,
            ProgressMode::Auto if quiet => ProgressStyle::Silent,
            ProgressMode::Auto if terminal && !dumb => ProgressStyle::Bars,
            ProgressMode::Auto if json => ProgressStyle::Silent,
            ProgressMode::Auto => ProgressStyle::Plain,
        };
        let target = if progress == ProgressStyle::Bars {
            ProgressDrawTarget::stderr_with_hz(8)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            json,
            quiet,
            color: terminal && !no_color && !dumb,
            progress,
            closed: AtomicBool::new(false),
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Whether data are written for programs.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// How progress is shown.
    pub(crate) fn progress(&self) -> ProgressStyle {
        self.progress
    }

    /// Whether progress may be coloured.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// Where bars are drawn.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether the reader of standard output is gone, so that a listing may end.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// One JSON line with this `type`, on standard output; nothing when writing for people.
    pub(crate) fn record(&self, kind: &str, fields: &impl Serialize) {
        if self.json {
            self.stdout(&json_line(kind, fields));
        }
    }

    /// One line for people, on standard output. The caller escaped what is foreign in it.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            self.stdout(line.as_ref());
        }
    }

    /// A JSON progress line: on standard output with `--json`, otherwise on standard error.
    pub(crate) fn progress_line(&self, kind: &str, fields: &impl Serialize) {
        let line = json_line(kind, fields);
        if self.json {
            self.stdout(&line)
        } else {
            self.stderr(&line)
        }
    }

    /// One message for people about what goes on; not with `--quiet`.
    pub(crate) fn note(&self, message: impl AsRef<str>) {
        if !self.quiet {
            self.stderr(message.as_ref());
        }
    }

    /// Something people should act on; shown with `--quiet` too, and as a JSON line with `--json`.
    pub(crate) fn warning(&self, message: &str) {
        if self.json {
            self.record("warning", &serde_json::json!({ "message": message }));
        } else {
            self.stderr(&format!(
                "{} {}",
                self.mark("warning:", "33"),
                text::escape(message)
            ));
        }
    }

    /// As [`Output::warning`], about an object of the repository.
    pub(crate) fn warning_about(&self, object: &str, message: &str) {
        if self.json {
            let fields = serde_json::json!({ "object": object, "message": message });
            self.record("warning", &fields);
        } else {
            self.warning(message);
        }
    }

    /// Why the command ends, and what can be done about it.
    pub(crate) fn error(&self, error: &Error) {
        let retry_after = error.retry_after().map(|wait| wait.as_secs());
        self.failure(error.code(), error.message(), error.hint(), retry_after);
    }

    /// As [`Output::error`], for what is no error of the SDK: a command line that is not understood.
    pub(crate) fn failure(&self, code: &str, message: &str, hint: Option<&str>, retry_after: Option<u64>) {
        if self.json {
            let mut fields = Map::new();
            fields.insert("code".into(), code.into());
            fields.insert("message".into(), message.into());
            fields.insert("hint".into(), hint.into());
            if let Some(seconds) = retry_after {
                fields.insert("retry_after".into(), seconds.into());
            }
            self.record("error", &fields);
            return;
        }
        self.stderr(&format!(
            "{} {}",
            self.mark("error:", "31"),
            text::escape(message)
        ));
        if let Some(hint) = hint {
            self.stderr(&format!("{} {}", self.mark("hint:", "36"), text::escape(hint)));
        }
    }

    /// A word in this colour, if colours are wanted.
    fn mark(&self, word: &str, color: &str) -> String {
        if self.color {
            format!("\u{1b}[1;{color}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }

    fn stdout(&self, line: &str) {
        if self.closed() {
            return;
        }
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout
                .write_all(line.as_bytes())
                .and_then(|()| stdout.write_all(b"\n"))
                .and_then(|()| stdout.flush())
        });
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    fn stderr(&self, line: &str) {
        self.bars.suspend(|| {
            // Nobody is left to be told that standard error is gone.
            let _ = writeln!(io::stderr().lock(), "{line}");
        });
    }
}

/// `{"type":kind, ...fields}` in one line, free of characters a terminal would obey.
fn json_line(kind: &str, fields: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        #[serde(rename = "type")]
        kind: &'a str,
        #[serde(flatten)]
        fields: &'a T,
    }
    let line = serde_json::to_string(&Line { kind, fields }).unwrap_or_else(|error| {
        serde_json::json!({ "type": kind, "unrenderable": error.to_string() }).to_string()
    });
    if !line.chars().any(text::is_hostile) {
        return line;
    }
    // serde_json leaves these as they are, which JSON allows; they can only be inside strings.
    let mut safe = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        if text::is_hostile(character) {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_start_with_the_type_and_hold_no_terminal_commands() {
        let name = "a\n\u{1b}[2J\u{9b}1m\u{202e}\u{7f}";
        let line = json_line("entry", &serde_json::json!({ "name": name, "size": 3 }));
        assert!(line.starts_with("{\"type\":\"entry\""), "{line}");
        assert!(!line.chars().any(text::is_hostile), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["name"], name);
        assert_eq!(read["size"], 3);
    }
}
