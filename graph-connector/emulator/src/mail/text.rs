//! Conversions between HTML and text, as far as `bodyPreview` and the body-type preference need them.

/// Plain text of HTML: tags dropped, breaks at block ends, the usual entities decoded.
pub(crate) fn from_html(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let lower = html.to_ascii_lowercase();
    let mut at = 0;
    while at < html.len() {
        let rest = &html[at..];
        if rest.starts_with("<!--") {
            at += rest.find("-->").map_or(rest.len(), |e| e + 3);
        } else if rest.starts_with('<') {
            let tag = &lower[at..];
            for hidden in ["style", "script", "head", "title"] {
                if tag[1..].starts_with(hidden)
                    && !tag[1 + hidden.len()..].starts_with(|c: char| c.is_alphanumeric())
                {
                    at += tag.find(&format!("</{hidden}")).unwrap_or(0);
                    break;
                }
            }
            let rest = &lower[at..];
            let end = rest.find('>').map_or(rest.len(), |e| e + 1);
            let name: String = rest
                .chars()
                .skip(1)
                .take_while(|c| c.is_alphanumeric() || *c == '/')
                .collect();
            if matches!(
                name.as_str(),
                "br" | "br/" | "/p" | "/div" | "/tr" | "/li" | "/h1" | "/h2"
            ) {
                out.push_str("\r\n");
            }
            at += end;
        } else if rest.starts_with('&') {
            let end = rest.find(';').filter(|e| *e < 12);
            let (text, used) = match end {
                Some(end) => (entity(&rest[1..end]), end + 1),
                None => (None, 1),
            };
            match text {
                Some(c) => {
                    out.push(c);
                    at += used;
                }
                None => {
                    out.push('&');
                    at += 1;
                }
            }
        } else {
            let end = rest.find(['<', '&']).unwrap_or(rest.len());
            let mut space = out.ends_with(['\n', ' ']) || out.is_empty();
            for c in rest[..end].chars() {
                if c.is_whitespace() && c != '\u{a0}' {
                    if !space {
                        out.push(' ');
                    }
                    space = true;
                } else {
                    out.push(c);
                    space = false;
                }
            }
            at += end;
        }
    }
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(value)?
        }
    })
}

/// HTML that shows a plain text.
pub(crate) fn to_html(text: &str) -> String {
    let mut out = String::from(
        "<html><head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"></head><body><div class=\"PlainText\">",
    );
    out.push_str(&escape(text).replace("\r\n", "<br>\r\n"));
    out.push_str("</div></body></html>");
    out
}

/// Text with the characters that mean something in HTML replaced.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The form in which Exchange gives back HTML it was given: a whole document with a meta line.
pub(crate) fn document(html: &str) -> String {
    const META: &str = "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">";
    let lower = html.to_ascii_lowercase();
    if lower.contains("http-equiv=\"content-type\"") {
        return html.to_owned();
    }
    if let Some(at) = lower.find("<head>") {
        let at = at + "<head>".len();
        return format!("{}\r\n{META}{}", &html[..at], &html[at..]);
    }
    if lower.contains("<html") {
        let at = lower
            .find("<html")
            .and_then(|s| lower[s..].find('>').map(|e| s + e + 1))
            .unwrap_or(0);
        return format!("{}<head>\r\n{META}</head>{}", &html[..at], &html[at..]);
    }
    format!("<html>\r\n<head>\r\n{META}\r\n</head>\r\n<body>\r\n{html}\r\n</body>\r\n</html>\r\n")
}

/// The first 255 characters of a text.
pub(crate) fn preview(text: &str) -> String {
    text.trim().chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_to_text() {
        assert_eq!(
            from_html("<html><head><title>x</title></head><body>They &amp; <b>we</b><br>end &#8364;</body>"),
            "They & we\r\nend €"
        );
        assert_eq!(from_html("a < b & c"), "a ");
        assert_eq!(from_html("<style"), "");
    }
}
