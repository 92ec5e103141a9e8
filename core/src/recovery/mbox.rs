//! The mbox format, in its reversible variety (mboxrd).
//!
//! Each message follows a line `From <sender> <date>`; in the message, every line that consists of any number of `>` and
//! then `From ` gets one more `>`. A message that does not end with a line feed gets one, then an empty line ends it.
//! Lines are split at line feeds only, so the bytes between stay as they were. A reader takes one `>` away again; with the
//! size from the manifest it also knows whether the last line feed belongs to the message, so reading gives the identical
//! bytes.

use chrono::{DateTime, Utc};

const MARK: &[u8] = b"From ";

/// The line that begins a message.
pub(crate) fn separator(sender: Option<&str>, date: DateTime<Utc>) -> Vec<u8> {
    // An address with anything but plain visible ASCII would break the line for readers.
    let sender = sender
        .map(str::trim)
        .filter(|text| !text.is_empty() && text.len() <= 254 && text.bytes().all(|b| b.is_ascii_graphic()))
        .unwrap_or("MAILER-DAEMON");
    format!("From {sender} {}\n", date.format("%a %b %e %H:%M:%S %Y")).into_bytes()
}

/// Quotes one message, fed in pieces of any size.
#[derive(Debug)]
pub(crate) struct Quoter {
    /// At the beginning of a line, or behind nothing but `>` there.
    line_start: bool,
    /// How much of `From ` has been seen there.
    matched: usize,
    ends_with_line_feed: bool,
}

impl Quoter {
    pub(crate) fn new() -> Self {
        Self {
            line_start: true,
            matched: 0,
            ends_with_line_feed: false,
        }
    }

    /// Appends the quoted form of `bytes` to `out`; holds back at most four bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if !self.line_start {
                // Inside a line nothing happens until it ends.
                let end = rest
                    .iter()
                    .position(|b| *b == b'\n')
                    .map_or(rest.len(), |at| at + 1);
                out.extend_from_slice(&rest[..end]);
                self.line_start = rest[end - 1] == b'\n';
                self.ends_with_line_feed = self.line_start;
                rest = &rest[end..];
                continue;
            }
            if byte == MARK[self.matched] {
                self.matched += 1;
                if self.matched == MARK.len() {
                    // Where in the run of `>` the new one goes makes no difference.
                    out.push(b'>');
                    out.extend_from_slice(MARK);
                    self.leave_start();
                }
                rest = &rest[1..];
            } else if self.matched == 0 && byte == b'>' {
                out.push(byte);
                self.ends_with_line_feed = false;
                rest = &rest[1..];
            } else {
                out.extend_from_slice(&MARK[..self.matched]);
                self.leave_start();
            }
        }
    }

    fn leave_start(&mut self) {
        self.line_start = false;
        self.matched = 0;
        self.ends_with_line_feed = false;
    }

    /// Appends what was held back and the end of the message.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MARK[..self.matched]);
        if !self.ends_with_line_feed || self.matched > 0 {
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader written from the format's description, line by line: the messages of an mbox, each with its final line
    /// feed.
    fn read(mbox: &[u8]) -> Vec<Vec<u8>> {
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for line in mbox.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(b"From ") {
                messages.push(Vec::new());
                continue;
            }
            let message = messages.last_mut().unwrap();
            let arrows = line.iter().take_while(|b| **b == b'>').count();
            let quoted = arrows > 0 && line[arrows..].starts_with(b"From ");
            message.extend_from_slice(if quoted { &line[1..] } else { line });
        }
        for message in &mut messages {
            // The empty line that ends a message.
            assert_eq!(message.pop(), Some(b'\n'));
        }
        messages
    }

    fn write(messages: &[&[u8]], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            out.extend(separator(Some("a@example.org"), DateTime::UNIX_EPOCH));
            let mut quoter = Quoter::new();
            for piece in message.chunks(piece) {
                quoter.push(piece, &mut out);
            }
            quoter.finish(&mut out);
        }
        out
    }

    #[test]
    fn separator_is_one_plain_line() {
        let date = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(
            separator(Some("a@b.example"), date),
            b"From a@b.example Tue Nov 14 22:13:20 2023\n"
        );
        for hostile in [
            None,
            Some(""),
            Some("a\nFrom b"),
            Some("two words"),
            Some("ü@example.org"),
        ] {
            assert_eq!(
                separator(hostile, date),
                b"From MAILER-DAEMON Tue Nov 14 22:13:20 2023\n"
            );
        }
    }

    #[test]
    fn reading_back_gives_identical_messages_whatever_the_pieces() {
        let messages: &[&[u8]] = &[
            b"",
            b"\n",
            b"\r\n",
            b"From ",
            b"From",
            b"Fro",
            b">From x",
            b">>>From x\r\n>From\r\n> From y\r\nFrom z\r\n",
            b"Subject: a\r\n\r\nFrom here on\r\n\r\nFrom there\r\n",
            b"From the first line\nFromage\nFROM x\n\n\n",
            b"no line feed at the end",
            b"ends in arrows\n>>>",
            b"ends in a part\nFrom",
            b"bare\rFrom cr\r",
            b"\0\xff\xfe binary \n\0From \n",
        ];
        for piece in [1, 2, 3, 4, 5, 7, 4096] {
            let mbox = write(messages, piece);
            let back = read(&mbox);
            assert_eq!(back.len(), messages.len());
            for (back, message) in back.iter().zip(messages) {
                // The manifest has the size; a message without a final line feed got one.
                assert_eq!(&back[..message.len()], *message, "pieces of {piece}");
                assert!(back.len() - message.len() <= 1);
            }
        }
    }

    #[test]
    fn random_messages_survive() {
        let mut state = 7u64;
        let mut next = |end: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        for _ in 0..2_000 {
            let alphabet = [
                b">".as_slice(),
                b"From ",
                b"From",
                b"\n",
                b"\r\n",
                b"x",
                b" ",
                b"F",
                b"m ",
            ];
            let message: Vec<u8> = (0..next(30))
                .flat_map(|_| alphabet[usize::try_from(next(9)).unwrap()].to_vec())
                .collect();
            let mbox = write(&[&message, b"next"], 1 + usize::try_from(next(9)).unwrap());
            let back = read(&mbox);
            assert_eq!(back.len(), 2);
            assert_eq!(&back[0][..message.len()], &message);
        }
    }
}
