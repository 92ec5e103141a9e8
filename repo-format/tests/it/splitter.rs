//! The splitter: whatever goes in comes back byte for byte, and attachments become the files they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nakivo_repo_format::split::{
    ChunkerParams, ContentSplitter, Encoding, MimePolicy, MimeSplitter, SegmentJoiner, SegmentsBuilder,
    SplitMode, SplitOutput, SplitSink,
};
use nakivo_repo_format::{ChunkId, ChunkRef, KeySet, Segment, SegmentData};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::{prop_assert, prop_assert_eq};
use std::collections::HashMap;

use crate::fixtures::{Gen, keys, property};

pub(crate) type Store = HashMap<ChunkId, Vec<u8>>;

const SMALL: ChunkerParams = ChunkerParams {
    min: 256,
    average: 1024,
    max: 4096,
};

pub(crate) fn split_with(
    keys: &KeySet,
    mut splitter: ContentSplitter,
    data: &[u8],
    feed: usize,
    store: &mut Store,
) -> Vec<Segment> {
    let mut builder = SegmentsBuilder::new();
    let mut drain = |splitter: &mut ContentSplitter| {
        while let Some(output) = splitter.next_output() {
            match output {
                SplitOutput::Chunk(bytes) => {
                    let chunk = ChunkRef {
                        id: keys.chunk_id(&bytes),
                        length: bytes.len() as u32,
                    };
                    store.insert(chunk.id, bytes.to_vec());
                    builder.chunk(chunk);
                }
                SplitOutput::Segment {
                    encoding,
                    length,
                    inline,
                } => builder.segment(encoding, length, inline),
            }
        }
    };
    for piece in data.chunks(feed.max(1)) {
        splitter.push(piece);
        drain(&mut splitter);
    }
    splitter.finish();
    drain(&mut splitter);
    builder.finish()
}

fn small(keys: &KeySet, mode: SplitMode) -> ContentSplitter {
    ContentSplitter::with_policy(keys, mode, SMALL, MimePolicy::default(), 64)
}

fn split(keys: &KeySet, mode: SplitMode, data: &[u8], feed: usize, store: &mut Store) -> Vec<Segment> {
    split_with(keys, small(keys, mode), data, feed, store)
}

pub(crate) fn join(segments: &[Segment], store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        let before = out.len() as u64;
        let mut joiner = SegmentJoiner::new(segment.encoding, segment.length).unwrap();
        match &segment.data {
            SegmentData::Inline(bytes) => joiner.push(bytes, &mut out).unwrap(),
            SegmentData::Chunks(chunks) => {
                for chunk in chunks {
                    joiner.push(&store[&chunk.id], &mut out).unwrap();
                }
            }
        }
        joiner.finish(&mut out).unwrap();
        assert_eq!(out.len() as u64 - before, segment.length);
        assert_eq!(
            segment.encoding.encoded_length(segment.stored_length()),
            Some(segment.length)
        );
    }
    out
}

fn base64_segments(segments: &[Segment]) -> usize {
    segments.iter().filter(|s| !s.encoding.is_raw()).count()
}

/// Base64 of `data` in lines, with the quirk chosen by the generator.
fn base64_body(g: &mut Gen, data: &[u8]) -> Vec<u8> {
    let line = [76, 76, 76, 72, 64, 60, 4, 8, 75, 77, 996, 1000][g.below(12)];
    let eol: &[u8] = [b"\r\n".as_slice(), b"\r\n", b"\n", b"\r", b""][g.below(5)];
    let mut text = STANDARD.encode(data).into_bytes();
    match g.below(12) {
        // Trailing bits that do not come back.
        0 if text.ends_with(b"=") => {
            let at = text.iter().rposition(|b| *b != b'=').unwrap();
            text[at] = if text[at] == b'/' { b'+' } else { b'/' };
        }
        1 => while text.pop_if(|b| *b == b'=').is_some() {},
        2 => text.extend_from_slice(b"===="),
        3 => {
            let at = g.below(text.len() + 1);
            text.insert(at, b"= \t-_\0\xff\n\r"[g.below(9)]);
        }
        _ => {}
    }
    let mut out = Vec::new();
    for (i, line) in text.chunks(line).enumerate() {
        out.extend_from_slice(line);
        match g.below(60) {
            0 => out.extend_from_slice(b" "),
            1 => out.extend_from_slice(b"\n"),
            2 if i > 0 => out.extend_from_slice(b"\r\n\r\n"),
            _ => out.extend_from_slice(eol),
        }
    }
    if g.chance(3) {
        while out.pop_if(|b| matches!(b, b'\r' | b'\n')).is_some() {}
    }
    out
}

fn mail(g: &mut Gen, depth: usize) -> Vec<u8> {
    let eol: &[u8] = if g.chance(2) { b"\r\n" } else { b"\n" };
    let mut out = Vec::new();
    let line = |out: &mut Vec<u8>, text: &[u8]| {
        out.extend_from_slice(text);
        out.extend_from_slice(eol);
    };
    line(&mut out, b"From: a@example.org");
    line(&mut out, b"Content-Type: multipart/mixed; boundary=b");
    line(&mut out, b"");
    for _ in 0..1 + g.below(3) {
        line(&mut out, b"--b");
        line(&mut out, b"Content-Transfer-Encoding: base64");
        line(&mut out, b"");
        if depth > 0 && g.chance(3) {
            let inner = mail(g, depth - 1);
            out.extend_from_slice(&inner);
        } else {
            let length = g.below(4000);
            let data = g.bytes(length);
            let body = base64_body(g, &data);
            out.extend_from_slice(&body);
        }
        if !g.chance(4) {
            out.extend_from_slice(eol);
        }
    }
    out.extend_from_slice(b"--b--");
    if g.chance(2) {
        out.extend_from_slice(eol);
    }
    out
}

#[test]
fn random_bytes_come_back() {
    let keys = keys();
    property(
        "random_bytes_come_back",
        400,
        (vec(any::<u8>(), 0..3000), 1usize..200),
        |(data, feed)| {
            for mode in [SplitMode::Plain, SplitMode::Mime] {
                let mut store = Store::new();
                let segments = split(&keys, mode, &data, feed, &mut store);
                prop_assert_eq!(&join(&segments, &store), &data);
            }
            Ok(())
        },
    );
}

/// Noise over the alphabet of base64 and line ends comes near every rule.
#[test]
fn near_base64_comes_back() {
    let keys = keys();
    let piece = proptest::sample::select(vec![
        "QUJD",
        "QUJDREVG",
        "AAAA",
        "\n",
        "\r\n",
        "\r",
        "=",
        "==",
        "QQ==",
        "QR==",
        "QUI=",
        " ",
        "+/+/",
        "-",
        "QUJDQUJDQUJDQUJD\n",
        "QUJDQUJDQUJDQUJD\r\n",
        "QUJDQUJDQUJDQUJD\nQUJDQUJDQUJDQUJD\nQUJDQUJDQUJDQUJD\nQUJDQUJDQUJDQUJD\n",
        "QUJDQUJDQUJDQUJD\r\nQUJDQUJDQUJDQUJD\r\nQUJDQUJDQUJDQUJD\r\nQUJDQUJDQUJDQUJD\r\n",
    ]);
    property(
        "near_base64_comes_back",
        1500,
        (vec(piece, 0..60), 1usize..70),
        |(pieces, feed)| {
            let data = pieces.concat().into_bytes();
            let policy = MimePolicy {
                min_lines: 2,
                min_chars: 8,
                max_segments: 5,
            };
            let mut store = Store::new();
            let splitter = || ContentSplitter::with_policy(&keys, SplitMode::Mime, SMALL, policy, 64);
            let segments = split_with(&keys, splitter(), &data, feed, &mut store);
            prop_assert_eq!(&join(&segments, &store), &data);
            prop_assert!(base64_segments(&segments) <= 5);
            // The same segments however it is fed.
            prop_assert_eq!(
                &segments,
                &split_with(&keys, splitter(), &data, usize::MAX, &mut store)
            );
            prop_assert_eq!(&segments, &split_with(&keys, splitter(), &data, 1, &mut store));
            Ok(())
        },
    );
}

#[test]
fn mail_with_quirks_comes_back() {
    let keys = keys();
    property(
        "mail_with_quirks_comes_back",
        600,
        (any::<u64>(), 1usize..3000),
        |(seed, feed)| {
            let data = mail(&mut Gen::new(seed), 2);
            let mut store = Store::new();
            let segments = split(&keys, SplitMode::Mime, &data, feed, &mut store);
            prop_assert_eq!(&join(&segments, &store), &data);
            prop_assert_eq!(
                &segments,
                &split(&keys, SplitMode::Mime, &data, data.len(), &mut store)
            );
            Ok(())
        },
    );
}

fn wrap(data: &[u8], line: usize, eol: &str, last_eol: bool) -> String {
    let text = STANDARD.encode(data);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(line)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    lines.join(eol) + if last_eol { eol } else { "" }
}

/// The point of it all: an attachment has the chunks of the file.
#[test]
fn an_attachment_is_the_file() {
    let keys = keys();
    for length in [600, 601, 602, 5000, 57 * 40, 57 * 40 + 1, 20_000, 100_001] {
        // Zeros have no cut points but the maximum, so an offset carried over from the text before would show.
        let file = if length == 20_000 {
            vec![0; length]
        } else {
            Gen::new(length as u64).bytes(length)
        };
        let mut store = Store::new();
        let as_file = split(&keys, SplitMode::Plain, &file, 4096, &mut store);
        for (line, eol, last_eol) in [
            (76, "\r\n", true),
            (76, "\n", true),
            (64, "\r\n", false),
            (60, "\n", true),
        ] {
            let mail = format!(
                "Subject: x{eol}Content-Type: a/b{eol}{eol}{}{eol}--boundary--{eol}",
                wrap(&file, line, eol, last_eol)
            );
            let segments = split(&keys, SplitMode::Mime, mail.as_bytes(), 1000, &mut store);
            assert_eq!(join(&segments, &store), mail.as_bytes());
            assert_eq!(base64_segments(&segments), 1, "{length} {line} {eol:?}");
            let attachment = segments.iter().find(|s| !s.encoding.is_raw()).unwrap();
            assert_eq!(attachment.chunks(), as_file[0].chunks());
        }
    }
}

#[test]
fn what_is_and_is_not_a_segment() {
    let keys = keys();
    let file = Gen::new(77).bytes(1001);
    let whole = wrap(&file, 76, "\r\n", true);
    let found = |text: &str| {
        let mut store = Store::new();
        let segments = split(&keys, SplitMode::Mime, text.as_bytes(), 333, &mut store);
        assert_eq!(join(&segments, &store), text.as_bytes());
        segments
            .iter()
            .filter(|s| !s.encoding.is_raw())
            .map(|s| s.stored_length())
            .sum::<u64>()
    };
    assert_eq!(found(&whole), 1001);
    assert_eq!(found(whole.trim_end()), 1001, "no end of line at the end");
    assert_eq!(found(&wrap(&file, 996, "\n", true)), 0, "too few lines");
    assert_eq!(found(&wrap(&file, 76, "\n", true)), 1001);
    assert_eq!(
        found(&wrap(&file[..57 * 16], 76, "\n", true)),
        57 * 16,
        "no shorter last line"
    );
    assert_eq!(
        found(&wrap(&file[..57 * 7], 76, "\n", true)),
        0,
        "seven lines are too few"
    );
    assert_eq!(
        found(&wrap(&file[..57 * 8], 76, "\n", false)),
        0,
        "eight, but the last is not complete"
    );
    // The full lines of the body, without the last: 17 lines of 57 bytes.
    let full = 17 * 57;
    let bits = whole.replace("=\r\n", "/\r\n");
    assert!(found(&bits) >= full);
    let (body, last) = whole.trim_end().rsplit_once("\r\n").unwrap();
    assert_eq!(
        found(&format!("{body}\r\n{last} \r\n")),
        full,
        "a space after the last line"
    );
    assert_eq!(found(&format!("{body}\r\n{last}\n")), full, "another line end");
    assert_eq!(
        found(&format!("{body}\r\n{}\r\n", last.trim_end_matches('='))),
        full,
        "padding left out"
    );
    assert_eq!(
        found(&format!("{body}\r\n{last}====\r\n")),
        full,
        "padding too long"
    );
    assert_eq!(found(&whole.replace("\r\n", "\r")), 0, "line ends unknown");
    assert_eq!(
        found(&format!("{body}\r\n{}", "QUJD".repeat(20))),
        full,
        "a longer line at the end"
    );
    assert_eq!(
        found(&format!("{body}\r\n{}\r\n", "QUJD".repeat(20))),
        full,
        "a longer line after the run"
    );
    assert_eq!(
        found(&whole.replacen("\r\n", "\n", 3)),
        1001 - 3 * 57,
        "mixed line ends: from the fourth line on"
    );
    let spaced: String = whole.lines().map(|l| format!("{l} \r\n")).collect();
    assert_eq!(found(&spaced), 0, "spaces at line ends");
}

#[derive(Default)]
struct Counter {
    raw: u64,
    decoded: u64,
}

impl SplitSink for Counter {
    fn raw(&mut self, bytes: &[u8]) {
        self.raw += bytes.len() as u64;
    }
    fn begin(&mut self) {}
    fn decoded(&mut self, bytes: &[u8]) {
        self.decoded += bytes.len() as u64;
    }
    fn end(&mut self, _: Encoding, _: u64) {}
}

#[test]
fn buffering_is_bounded() {
    let shapes: [&[u8]; 6] = [
        b"A",
        b"AAAA\n",
        b"QUJD",
        b"\r",
        b"QUJDQUJD\r\nx\n",
        b"not base64 at all, a line of text\n",
    ];
    for shape in shapes {
        let input = shape.repeat(3_000_000 / shape.len());
        for feed in [1_000, 100_000, 3_000_000] {
            let mut splitter = MimeSplitter::default();
            let mut sink = Counter::default();
            for piece in input.chunks(feed) {
                splitter.push(piece, &mut sink);
                assert!(
                    splitter.held() < 10_000,
                    "{shape:?}: {} bytes held back",
                    splitter.held()
                );
            }
            splitter.finish(&mut sink);
            assert!(sink.raw + sink.decoded <= input.len() as u64);
        }
    }
}

/// Input made to give as many segments as possible does not.
#[test]
fn segments_are_bounded() {
    let keys = keys();
    let run = "QUJDREVGR0hJSktM".repeat(4) + "\n";
    let input = (run.repeat(8) + "!\n").repeat(4000);
    let mut store = Store::new();
    let segments = split(&keys, SplitMode::Mime, input.as_bytes(), 1 << 16, &mut store);
    assert_eq!(join(&segments, &store), input.as_bytes());
    assert_eq!(base64_segments(&segments), 1024);
    assert!(segments.len() <= 2049);
}

#[test]
fn long_lists_are_cut() {
    let keys = keys();
    let data = Gen::new(5).bytes(3 << 20);
    let mut store = Store::new();
    let segments = split(&keys, SplitMode::Plain, &data, 1 << 20, &mut store);
    assert!(segments.len() > 1 && segments.iter().all(|s| s.chunks().len() <= 1024));
    assert_eq!(join(&segments, &store), data);
}

#[test]
fn a_lying_segment_is_refused() {
    let base64 = Encoding::Base64 {
        line_length: 76,
        eol: nakivo_repo_format::split::LineEnd::Crlf,
        last_line_eol: true,
    };
    let mut out = Vec::new();
    assert!(
        SegmentJoiner::new(base64, 10)
            .unwrap()
            .push(&[0; 1000], &mut out)
            .is_err()
    );
    assert!(SegmentJoiner::new(base64, 10).unwrap().finish(&mut out).is_err());
    assert!(
        SegmentJoiner::new(Encoding::Raw, 1)
            .unwrap()
            .push(b"ab", &mut out)
            .is_err()
    );
    for line_length in [0, 1, 75, 1000, u16::MAX] {
        let eol = nakivo_repo_format::split::LineEnd::Lf;
        assert!(
            SegmentJoiner::new(
                Encoding::Base64 {
                    line_length,
                    eol,
                    last_line_eol: true
                },
                1
            )
            .is_err()
        );
    }
}
