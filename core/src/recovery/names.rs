//! Names of exported files: generated from what people called their things, safe wherever they are unpacked.
//!
//! A name made here is deterministic; never empty, `.` or `..`; has no separator, drive or stream mark, control or
//! invisible character, nor one that a normalising file system turns into one; is no reserved Windows name; does not
//! begin with a space nor end with a dot or space; and is at most [`MAX_STEM_BYTES`] long plus an extension of at
//! most [`MAX_EXTENSION_BYTES`]. Within one directory no two names are equal, also after case folding and Unicode
//! normalisation. The original is in the manifest of the export.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;

/// Longest name without its extension, in bytes of UTF-8.
pub(crate) const MAX_STEM_BYTES: usize = 150;
/// Longest extension, in bytes, its dot included.
pub(crate) const MAX_EXTENSION_BYTES: usize = 17;
/// From this length on a directory's path takes only short names, so that a whole path stays usable.
const LONG_PATH_BYTES: usize = 1_000;
/// Longest name below such a path.
const SHORT_STEM_BYTES: usize = 12;

/// What stands for a character that may not appear.
const SUBSTITUTE: char = '_';

/// Characters that some system gives a meaning in a name.
const FORBIDDEN: &[char] = &['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// Splits a file name into stem and extension; the extension, with its dot, is empty unless it is short plain ASCII.
pub(crate) fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => {
            let (stem, extension) = name.split_at(dot);
            let plain = extension.len() > 1
                && extension.len() <= MAX_EXTENSION_BYTES
                && extension[1..]
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if plain { (stem, extension) } else { (name, "") }
        }
        _ => (name, ""),
    }
}

/// A safe name without extension, of at most `limit` bytes.
pub(crate) fn safe_stem(original: &str, limit: usize) -> String {
    let mut safe = String::with_capacity(original.len().min(limit) + 4);
    for c in original.nfc() {
        if is_invisible(c) {
            continue;
        }
        let c = if is_forbidden(c) { SUBSTITUTE } else { c };
        // Composed characters may be longer than this buffer has room for; a name is cut between characters.
        if safe.len() + c.len_utf8() > limit {
            break;
        }
        safe.push(c);
    }
    let trimmed = safe
        .trim_end_matches(is_edge)
        .trim_start_matches(char::is_whitespace);
    let mut safe = if trimmed.len() == safe.len() {
        safe
    } else {
        trimmed.to_owned()
    };
    if safe.is_empty() {
        safe.push(SUBSTITUTE);
    }
    if is_reserved(&safe) {
        safe.insert(0, SUBSTITUTE);
        while safe.len() > limit || safe.ends_with(is_edge) {
            safe.pop();
        }
    }
    safe
}

/// An extension, with its dot, made of what is safe in `extension`; empty if nothing is.
pub(crate) fn safe_extension(extension: &str) -> String {
    let plain: String = extension
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-')
        .take(MAX_EXTENSION_BYTES - 1)
        .collect();
    if plain.is_empty() {
        plain
    } else {
        format!(".{plain}")
    }
}

/// Characters that cannot stand in a name, or that normalisation turns into one that cannot.
fn is_forbidden(c: char) -> bool {
    let bad = |c: char| c.is_control() || FORBIDDEN.contains(&c);
    if c.is_ascii() {
        return bad(c);
    }
    // Line separators, private-use stand-ins that Windows layers map to separators, the replacement character's
    // neighbours (noncharacters).
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{f000}'..='\u{f0ff}' | '\u{fdd0}'..='\u{fdef}')
        || (u32::from(c) & 0xfffe) == 0xfffe
        || std::iter::once(c).nfkd().any(bad)
        // Slash and backslash lookalikes that normalisation leaves alone.
        || matches!(c, '\u{2044}' | '\u{2215}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{a789}' | '\u{2236}')
}

/// Characters that are not seen and that file systems may ignore when they compare: two names that differ only in them
/// would be one, and some turn text around (`gpj.exe`).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Dots and spaces, which Windows drops at the end, in any form that normalisation makes one of.
fn is_edge(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, '.' | ' ');
    }
    c.is_whitespace()
        || std::iter::once(c)
            .nfkc()
            .last()
            .is_some_and(|c| matches!(c, '.' | ' '))
}

/// Device names of Windows, with anything behind a dot.
fn is_reserved(name: &str) -> bool {
    let folded = fold(name);
    let base = folded.split('.').next().unwrap_or_default().trim_end();
    let numbered = |prefix: &str| {
        base.strip_prefix(prefix)
            .is_some_and(|rest| rest.chars().count() == 1 && rest.chars().all(|c| c.is_ascii_digit()))
    };
    matches!(
        base,
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$"
    ) || numbered("com")
        || numbered("lpt")
}

/// What two names have in common if some file system takes them for one: compatibility normalisation and case folding,
/// repeated because the one can undo the other.
pub(crate) fn fold(name: &str) -> String {
    let once = |text: &str| -> String {
        text.nfkd()
            .filter(|c| !is_invisible(*c))
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .nfkd()
            .collect()
    };
    once(&once(name))
}

/// 128 bits of a folded name; names are compared by them, so that 200,000 names cost a few megabytes.
fn fingerprint(name: &str) -> u128 {
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&blake3::hash(fold(name).as_bytes()).as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

/// Hands out the names of one directory.
#[derive(Debug, Default)]
pub(crate) struct NameAllocator {
    used: HashSet<u128>,
    short: bool,
}

impl NameAllocator {
    /// For a directory whose path has this many bytes.
    pub(crate) fn for_directory(path_bytes: usize) -> Self {
        Self {
            used: HashSet::new(),
            short: path_bytes > LONG_PATH_BYTES,
        }
    }

    /// Takes a name that is given from outside.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.used.insert(fingerprint(name));
    }

    /// A name for something called `stem` with `extension` (its dot included, or empty). Of several that would be equal the
    /// first gets the plain name; `id` makes the others differ, the same way every time.
    pub(crate) fn allocate(&mut self, stem: &str, extension: &str, id: &str) -> String {
        let limit = if self.short {
            SHORT_STEM_BYTES
        } else {
            MAX_STEM_BYTES
        };
        let extension = safe_extension(extension);
        let plain = format!("{}{extension}", safe_stem(stem, limit));
        if self.used.insert(fingerprint(&plain)) {
            return plain;
        }
        let hash = blake3::hash(id.as_bytes()).to_hex();
        for count in 0u64.. {
            let suffix = match count {
                0 => format!("~{}", &hash[..8]),
                1 => format!("~{}", &hash[..11]),
                more => format!("~{}-{more}", &hash[..8]),
            };
            let head = safe_stem(stem, limit.saturating_sub(suffix.len()).max(1));
            let name = format!("{head}{suffix}{extension}");
            if self.used.insert(fingerprint(&name)) {
                return name;
            }
        }
        // Unreachable: the loop ends only with a name; 2^64 names do not fit a directory.
        plain
    }
}

/// Whether a name keeps every promise of this module; the property test's oracle, written apart from the code above.
#[cfg(test)]
pub(crate) fn check(name: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("{name:?}: {why}"));
    if name.is_empty() || name == "." || name == ".." {
        return fail("empty or a dot name");
    }
    if name.len() > MAX_STEM_BYTES + MAX_EXTENSION_BYTES {
        return fail("too long");
    }
    for form in [
        name.to_owned(),
        name.nfc().collect(),
        name.nfkc().collect(),
        name.nfd().collect(),
        name.nfkd().collect(),
    ] {
        let form: &str = &form;
        if form.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)) {
            return fail("forbidden character");
        }
        if form.ends_with(['.', ' ']) || name.starts_with(char::is_whitespace) {
            return fail("bad edge");
        }
        let base: String = form.split('.').next().unwrap_or_default().trim().to_uppercase();
        let base = base.as_str();
        let devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
        let numbered = base.chars().count() == 4
            && (base.starts_with("COM") || base.starts_with("LPT"))
            && base.ends_with(|c: char| c.is_ascii_digit());
        if devices.contains(&base) || numbered {
            return fail("device name");
        }
        for c in form.chars() {
            if matches!(u32::from(c), 0x200b..=0x200f | 0x202a..=0x202e | 0x2028 | 0x2029 | 0x2060..=0x206f | 0xfeff | 0xad)
            {
                return fail("invisible character");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay() {
        for name in [
            "report",
            ".bashrc",
            "~$lock",
            "Jahresbericht 2024 (endgültig)",
            "日本語の名前",
            "a.b.c",
            "100%",
            "it's & that",
            "e=mc²",
        ] {
            assert_eq!(safe_stem(name, MAX_STEM_BYTES), name);
        }
        assert_eq!(split_extension("report.tar.gz"), ("report.tar", ".gz"));
        assert_eq!(split_extension(".bashrc"), (".bashrc", ""));
        assert_eq!(split_extension("v1.0 final"), ("v1.0 final", ""));
    }

    #[test]
    fn hostile_names_become_harmless() {
        let cases = [
            ("..", "_"),
            ("", "_"),
            (".", "_"),
            ("../../.ssh/authorized_keys", ".._.._.ssh_authorized_keys"),
            ("..\\..\\x", ".._.._x"),
            ("C:x", "C_x"),
            ("a\u{0}b", "a_b"),
            ("a\u{ff0f}b", "a_b"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("COM1", "_COM1"),
            ("CO\u{200b}N", "_CON"),
            ("\u{ff23}\u{ff2f}\u{ff2e}", "_\u{ff23}\u{ff2f}\u{ff2e}"),
            ("\u{202e}gpj.exe", "gpj.exe"),
            ("name. . .", "name"),
            ("\u{2026}", "_"),
            ("line\nbreak", "line_break"),
        ];
        for (original, expected) in cases {
            let name = safe_stem(original, MAX_STEM_BYTES);
            assert_eq!(name, expected, "{original:?}");
            check(&name).unwrap();
        }
    }

    #[test]
    fn equal_names_get_suffixes_that_depend_on_the_id() {
        let mut names = NameAllocator::default();
        assert_eq!(names.allocate("Readme", ".txt", "1"), "Readme.txt");
        let second = names.allocate("README", ".TXT", "2");
        assert!(
            second.starts_with("README~") && second.ends_with(".TXT"),
            "{second}"
        );
        let mut again = NameAllocator::default();
        again.allocate("Readme", ".txt", "1");
        assert_eq!(again.allocate("README", ".TXT", "2"), second);
        // Canonically equal, and sharp s against its capitals.
        assert_eq!(names.allocate("caf\u{e9}", "", "3"), "caf\u{e9}");
        assert!(names.allocate("cafe\u{301}", "", "4").contains('~'));
        assert_eq!(names.allocate("Stra\u{df}e", "", "5"), "Stra\u{df}e");
        assert!(names.allocate("STRASSE", "", "6").contains('~'));
    }

    /// SplitMix64: a seed gives the same names on every machine.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn below(&mut self, end: usize) -> usize {
            usize::try_from(self.next() % end as u64).unwrap()
        }

        fn name(&mut self) -> String {
            const PIECES: &[&str] = &[
                "..",
                ".",
                "/",
                "\\",
                "CON",
                "nul",
                "com1",
                "LPT9",
                "aux",
                ".txt",
                " ",
                "~",
                ":",
                "\u{ff0f}",
                "\u{2025}",
                "\u{2026}",
                "\u{202e}",
                "\u{200d}",
                "e\u{301}",
                "\u{e9}",
                "ss",
                "\u{df}",
                "\u{1e9e}",
                "\u{130}",
                "i",
                "I",
                "\u{131}",
                "K",
                "\u{212a}",
                "\u{fb01}",
                "fi",
                "\u{0}",
                "\n",
                "\u{7f}",
                "\u{85}",
                "\u{a0}",
                "\u{3000}",
                "\u{ff23}",
                "\u{ff0e}",
                "x",
                "report",
                "%2f",
                "\u{1f600}",
                "\u{fffd}",
                "\u{ffff}",
                "\u{2024}",
                "\u{fe52}",
                "\u{fe68}",
                "\u{2100}",
                "\u{345}",
                "\u{1c4}",
                "\u{1c6}",
                "a\u{328}\u{301}",
                "a\u{301}\u{328}",
                "\u{1fb3}",
            ];
            let mut name = String::new();
            let count = self.below(6);
            for _ in 0..count {
                if self.below(5) == 0 {
                    // Any character, so that no class is left out.
                    name.extend(char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()));
                } else {
                    name.push_str(PIECES[self.below(PIECES.len())]);
                }
            }
            if self.below(40) == 0 {
                name = name.repeat(1 + self.below(60));
            }
            name
        }
    }

    /// 100,000 hostile names by default; `NAKIVO_NAMES` asks for another number, `NAKIVO_SEED` for another seed.
    #[test]
    fn no_name_is_dangerous_and_no_two_collide() {
        let number = |variable: &str, default: u64| {
            std::env::var(variable)
                .ok()
                .and_then(|value| value.parse().ok())
                .unwrap_or(default)
        };
        let seed = number("NAKIVO_SEED", 0x6e61_6b69_766f);
        let total = number("NAKIVO_NAMES", 100_000);
        println!("NAKIVO_SEED={seed} NAKIVO_NAMES={total}");
        let mut random = Random(seed);
        let mut done = 0;
        while done < total {
            // Long paths take the short names.
            let mut names = NameAllocator::for_directory(if done % 3 == 0 { 2_000 } else { 10 });
            let mut seen = HashSet::new();
            for index in 0..500 {
                let original = random.name();
                let (stem, extension) = if index % 2 == 0 {
                    split_extension(&original)
                } else {
                    (original.as_str(), ".eml")
                };
                let name = names.allocate(stem, extension, &format!("id{index}"));
                check(&name).unwrap_or_else(|why| panic!("{original:?}: {why}"));
                // An oracle that does not use `fold`.
                let plain: String = name.nfkc().collect::<String>().to_lowercase();
                assert!(
                    seen.insert(plain.nfkc().collect::<String>()),
                    "{original:?} gave {name:?} twice"
                );
                done += 1;
            }
        }
    }
}
