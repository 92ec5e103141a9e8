//! Subjects, bodies and the pool of attachments.

use crate::generate::words::{TOPICS, WORDS};
use crate::generate::{Generator, Slot};
use crate::mail::data::{Look, Made};
use crate::mail::message::Recipe;
use crate::mail::text::escape;
use crate::mail::view::Address;
use crate::random::{Stream, key};

/// A subject, without the mark of a reply.
pub(crate) fn subject(s: &mut Stream) -> String {
    let topic = *s.pick(&TOPICS);
    match s.below(4) {
        0 => format!("{topic} #{}", s.below(9000) + 1000),
        1 => format!("{topic} - {}", title(s)),
        2 => format!("{topic} 😀 {}", s.below(100)),
        _ => topic.to_owned(),
    }
}

/// Two or three words for a title.
pub(crate) fn title(s: &mut Stream) -> String {
    let n = 2 + s.below(2);
    let words: Vec<&str> = (0..n).map(|_| WORDS[(28 + s.below(80)) as usize]).collect();
    words.join(" ")
}

/// The text of one message as paragraphs: 200 to 3000 characters.
pub(crate) fn paragraphs(s: &mut Stream) -> Vec<String> {
    (0..1 + s.below(5))
        .map(|_| {
            let sentences: Vec<String> = (0..2 + s.below(5)).map(|_| sentence(s)).collect();
            sentences.join(" ")
        })
        .collect()
}

fn sentence(s: &mut Stream) -> String {
    let mut out = String::new();
    for i in 0..6 + s.below(14) {
        let word = *s.pick(&WORDS);
        if i > 0 {
            out.push(' ');
            out.push_str(word);
        } else {
            let mut letters = word.chars();
            out.extend(letters.next().map(|c| c.to_uppercase().to_string()));
            out.push_str(letters.as_str());
        }
    }
    out.push_str(if s.one_in(9) { "?" } else { "." });
    out
}

type Quoted = (String, Vec<String>);

/// A plain text body.
pub(crate) fn plain(text: &[String], from: &Address, quoted: Option<&Quoted>) -> String {
    let mut out = format!(
        "{}\r\n\r\nBest regards\r\n{}\r\n",
        text.join("\r\n\r\n"),
        from.name
    );
    if let Some((id, before)) = quoted {
        out.push_str(&format!("\r\n-----Original Message-----\r\n{id}\r\n"));
        for line in before {
            out.push_str(&format!("> {line}\r\n"));
        }
    }
    out
}

/// An HTML body.
pub(crate) fn html(text: &[String], from: &Address, quoted: Option<&Quoted>, cid: Option<&str>) -> String {
    let mut out = String::from(
        "<html>\r\n<head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\r\n<style>p{margin:0 0 8pt 0}</style>\r\n</head>\r\n<body lang=\"EN-GB\">\r\n",
    );
    for p in text {
        out.push_str(&format!("<p>{}</p>\r\n", escape(p)));
    }
    out.push_str(&format!(
        "<p>Best regards<br>\r\n<b>{}</b></p>\r\n",
        escape(&from.name)
    ));
    if let Some(cid) = cid {
        out.push_str(&format!(
            "<p><img src=\"cid:{cid}\" alt=\"logo\" width=\"120\"></p>\r\n"
        ));
    }
    if let Some((id, before)) = quoted {
        out.push_str(&format!(
            "<hr><blockquote id=\"{}\">\r\n",
            escape(id.trim_matches(['<', '>']))
        ));
        for p in before {
            out.push_str(&format!("<p>{}</p>\r\n", escape(p)));
        }
        out.push_str("</blockquote>\r\n");
    }
    out.push_str("</body>\r\n</html>\r\n");
    out
}

/// Whether a message has an HTML body; junk always does.
pub(crate) fn is_html(generator: &Generator, recipe: Recipe) -> bool {
    key(&[
        generator.seed,
        u64::from(recipe.user),
        u64::from(recipe.index),
        18,
    ]) % 10
        < 7
        || generator.slot(recipe.user, recipe.index) == Slot::WellKnown("junkemail")
}

/// One attachment of the pool that everybody sends around: name, type, content. The first ones are sent most.
pub(crate) fn pooled(seed: u64, people: u64, s: &mut Stream) -> (String, &'static str, Made) {
    let pool = (people * 6).max(40);
    let bound = s.below(pool) + 1;
    let number = s.below(bound);
    let mut p = Stream::new(&[seed, number, 41]);
    let (look, kind, extension, min, max) = match p.below(4) {
        0 => (
            Look::Docx,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "docx",
            8_000,
            120_000,
        ),
        1 => (Look::Pdf, "application/pdf", "pdf", 15_000, 250_000),
        2 => (Look::Png, "image/png", "png", 4_000, 60_000),
        _ => (Look::Csv, "text/csv", "csv", 1_000, 40_000),
    };
    let len = if number % 40 == 39 {
        3_200_000 + p.below(6_000_000)
    } else {
        min + p.below(max - min)
    };
    let name = match p.below(8) {
        0 => format!("Übersicht {}.{extension}", title(&mut p)),
        _ => format!("{}.{extension}", title(&mut p)),
    };
    (
        name,
        kind,
        Made {
            look,
            key: key(&[seed, number, 42]),
            len,
        },
    )
}
