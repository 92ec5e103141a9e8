//! Shows how far a long call is: bars on a terminal, a line every 30 seconds elsewhere, JSON lines for programs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use nakivo_core::Result;
use nakivo_core::progress::{Event, Progress, Running};
use serde_json::json;

use crate::output::{Output, ProgressStyle};
use crate::session::Session;
use crate::text;

/// Between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);
/// Between two JSON lines.
const JSON_INTERVAL: Duration = Duration::from_secs(1);
/// Between two redraws.
const BAR_INTERVAL: Duration = Duration::from_millis(125);

/// Follows `running` to its end.
pub(crate) async fn follow<T: Send + 'static>(
    session: &Session,
    title: &str,
    mut running: Running<T>,
) -> Result<T> {
    let output = &session.output;
    let started = session.clock().monotonic();
    let progress = running.progress();
    let view = View::new(output, title);
    let interval = match output.progress() {
        ProgressStyle::Bars => Some(BAR_INTERVAL),
        ProgressStyle::Plain => Some(PLAIN_INTERVAL),
        ProgressStyle::Json => Some(JSON_INTERVAL),
        ProgressStyle::Silent => None,
    };
    let mut tick = session.clock().sleep(interval.unwrap_or(PLAIN_INTERVAL));
    let mut cancelled = false;
    loop {
        tokio::select! {
            event = running.next_event() => match event {
                Some(event) => view.event(&event),
                None => break,
            },
            () = &mut tick => {
                if let Some(interval) = interval {
                    let now = progress.borrow().clone();
                    view.show(&now, session.since(started));
                    tick = session.clock().sleep(interval);
                } else {
                    tick = session.clock().sleep(PLAIN_INTERVAL);
                }
            }
            () = session.cancellation().cancelled(), if !cancelled => {
                cancelled = true;
                running.cancel();
            }
        }
    }
    // The work may go on after it dropped its reporter.
    let token = running.cancellation();
    let wait = running.wait();
    tokio::pin!(wait);
    let result = loop {
        tokio::select! {
            result = &mut wait => break result,
            () = session.cancellation().cancelled(), if !cancelled => {
                cancelled = true;
                token.cancel();
            }
        }
    };
    view.finish();
    result
}

struct View<'a> {
    output: &'a Output,
    title: String,
    bar: Option<ProgressBar>,
}

impl<'a> View<'a> {
    fn new(output: &'a Output, title: &str) -> Self {
        let title = text::escape(title);
        let bar = (output.progress() == ProgressStyle::Bars).then(|| {
            let bar = output.bars().add(ProgressBar::new_spinner());
            bar.set_style(style(output.color(), false));
            bar.set_prefix(title.clone());
            bar
        });
        Self { output, title, bar }
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Phase { .. } => {}
            Event::Issue { path, code, message } => {
                if self.output.json() {
                    self.output.record(
                        "issue",
                        &json!({ "path": path, "code": code, "message": message }),
                    );
                } else {
                    self.output.warning(&format!("{path}: {message} ({code})"));
                }
            }
            Event::Note { message } => {
                if self.output.json() {
                    self.output.record("note", &json!({ "message": message }));
                } else {
                    self.output.note(text::escape(message));
                }
            }
            // Kinds of events that a later SDK adds are not lost to programs.
            other => self.output.record("event", other),
        }
    }

    fn show(&self, now: &Progress, elapsed: Duration) {
        match self.output.progress() {
            ProgressStyle::Bars => self.draw(now, elapsed),
            ProgressStyle::Plain => self
                .output
                .note(format!("{}: {}", self.title, describe(now, elapsed))),
            ProgressStyle::Json => self.output.progress_line(
                "progress",
                &json!({
                    "title": self.title,
                    "phase": now.phase,
                    "current": now.current,
                    "items_done": now.items_done,
                    "items_total": now.items_total,
                    "bytes_done": now.bytes_done,
                    "bytes_total": now.bytes_total,
                    "bytes_stored": now.bytes_stored,
                    "failed": now.failed,
                    "throttled_for": now.throttled_for.map(|wait| wait.as_secs()),
                    "elapsed": elapsed.as_secs(),
                }),
            ),
            ProgressStyle::Silent => {}
        }
    }

    fn draw(&self, now: &Progress, elapsed: Duration) {
        let Some(bar) = &self.bar else { return };
        // A bar only where the end is known; otherwise it says that it is not.
        match now
            .bytes_total
            .filter(|total| *total > 0)
            .map(|total| (now.bytes_done, total))
            .or(now
                .items_total
                .filter(|total| *total > 0)
                .map(|total| (now.items_done, total)))
        {
            Some((done, total)) => {
                if bar.length() != Some(total) {
                    bar.set_style(style(self.output.color(), true));
                    bar.set_length(total);
                }
                bar.set_position(done.min(total));
            }
            None => {
                if bar.length().is_some() {
                    bar.set_style(style(self.output.color(), false));
                    bar.unset_length();
                }
            }
        }
        bar.set_message(describe(now, elapsed));
        bar.tick();
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.output.bars().remove(bar);
        }
    }
}

fn style(color: bool, known: bool) -> BarStyle {
    let template = match (color, known) {
        (true, true) => "{spinner:.cyan} {prefix} {bar:24.cyan/dim} {msg}",
        (false, true) => "{spinner} {prefix} {bar:24} {msg}",
        (true, false) => "{spinner:.cyan} {prefix} {msg}",
        (false, false) => "{spinner} {prefix} {msg}",
    };
    BarStyle::with_template(template).unwrap_or_else(|_| BarStyle::default_spinner())
}

/// `fetch  1,234 of 5,000 items, 12.3 MiB, 4.1 MiB/s, about 20.0 s left, Inbox/Projects`.
fn describe(now: &Progress, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    match now.items_total {
        Some(total) => parts.push(format!(
            "{} of {}",
            text::count(now.items_done),
            text::counted(total, "item")
        )),
        None => parts.push(text::counted(now.items_done, "item")),
    }
    match now.bytes_total {
        Some(total) => parts.push(format!("{} of {}", text::size(now.bytes_done), text::size(total))),
        None => parts.push(text::size(now.bytes_done)),
    }
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if milliseconds >= 1000 {
        let rate = now.bytes_done.saturating_mul(1000) / milliseconds;
        parts.push(format!("{}/s", text::size(rate)));
        if let Some(left) = time_left(now, milliseconds) {
            parts.push(format!("about {} left", text::duration(left)));
        }
    }
    if now.failed > 0 {
        parts.push(format!("{} failed", text::count(now.failed)));
    }
    if let Some(wait) = now.throttled_for {
        parts.push(format!("the service asked to wait {}", text::duration(wait)));
    }
    if let Some(current) = &now.current {
        parts.push(text::shorten(&text::escape(current), 60));
    }
    let phase = if now.phase.is_empty() { "start" } else { &now.phase };
    format!("{phase}  {}", parts.join(", "))
}

/// A guess from the share that is done, once there is enough of it to guess from.
fn time_left(now: &Progress, elapsed_ms: u64) -> Option<Duration> {
    let (done, total) = match (now.bytes_total, now.items_total) {
        (Some(total), _) => (now.bytes_done, total),
        (None, Some(total)) => (now.items_done, total),
        (None, None) => return None,
    };
    if elapsed_ms < 3000 || done == 0 || done >= total || done < total / 50 {
        return None;
    }
    let left = u128::from(elapsed_ms) * u128::from(total - done) / u128::from(done);
    u64::try_from(left).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known_and_no_more() {
        let mut now = Progress::default();
        assert_eq!(describe(&now, Duration::ZERO), "start  0 items, 0 B");
        now.phase = "fetch".into();
        now.items_done = 1234;
        now.items_total = Some(5000);
        now.bytes_done = 10 << 20;
        now.bytes_total = Some(40 << 20);
        now.failed = 2;
        now.current = Some("In\u{1b}box".into());
        now.throttled_for = Some(Duration::from_secs(7));
        assert_eq!(
            describe(&now, Duration::from_secs(10)),
            "fetch  1,234 of 5,000 items, 10.0 MiB of 40.0 MiB, 1.0 MiB/s, about 30.0 s left, 2 failed, \
             the service asked to wait 7.0 s, In\\u{1b}box"
        );
    }

    #[test]
    fn no_guess_from_too_little() {
        let mut now = Progress::default();
        now.items_done = 1;
        now.items_total = Some(1000);
        assert_eq!(time_left(&now, 60_000), None);
        now.items_done = 500;
        assert_eq!(time_left(&now, 1000), None);
        assert_eq!(time_left(&now, 60_000), Some(Duration::from_secs(60)));
        now.items_done = 1000;
        assert_eq!(time_left(&now, 60_000), None);
    }
}
