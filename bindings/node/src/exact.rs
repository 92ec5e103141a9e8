//! Integers that lose digits as numbers of JavaScript.

/// Above this, not every integer is a number of JavaScript: 2^53 - 1.
const MAX_SAFE: u128 = (1 << 53) - 1;

/// JSON with the integers that are beyond what JavaScript can tell apart as strings of digits.
pub(crate) fn quoted(json: String) -> String {
    let bytes = json.as_bytes();
    let mut made = String::new();
    let (mut copied, mut at, mut inside_string) = (0, 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => inside_string = !inside_string,
            b'\\' => at += 1,
            b'-' | b'0'..=b'9' if !inside_string => {
                let digits = bytes
                    .iter()
                    .skip(at)
                    .take_while(|byte| is_of_number(**byte))
                    .count();
                if is_large(&json[at..at + digits]) {
                    made.push_str(&json[copied..at]);
                    made.push('"');
                    made.push_str(&json[at..at + digits]);
                    made.push('"');
                    copied = at + digits;
                }
                at += digits - 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return json;
    }
    made.push_str(&json[copied..]);
    made
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether it is an integer that is too large; a float is not one.
fn is_large(number: &str) -> bool {
    number.len() > 15
        && number
            .parse::<i128>()
            .is_ok_and(|number| number.unsigned_abs() > MAX_SAFE)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn only_integers_that_would_lose_digits_become_strings() {
        let same = r#"{"a":9007199254740991,"b":"x\"9007199254740992\\","c":-1,"d":12345678901234567.5,"e":1e300,"f":[true,null]}"#;
        assert_eq!(quoted(same.to_owned()), same);
        assert_eq!(
            quoted(
                r#"[9007199254740992,{"n":18446744073709551615},-9007199254740992,"\\",9007199254740993]"#
                    .to_owned()
            ),
            r#"["9007199254740992",{"n":"18446744073709551615"},"-9007199254740992","\\","9007199254740993"]"#,
        );
        assert_eq!(
            quoted("18446744073709551615".to_owned()),
            r#""18446744073709551615""#
        );
        assert_eq!(quoted("7".to_owned()), "7");
    }
}
