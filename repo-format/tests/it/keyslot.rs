//! Key slots: right, wrong and hostile.

use nakivo_repo_format::keyslot::{KdfParams, KeySlot, SlotKey, SlotKind};
use nakivo_repo_format::{FormatError, KeyRing, Passphrase, RecoveryKey, Secret};

use crate::fixtures::{master, repository};

pub(crate) fn slot() -> KeySlot {
    let key = SlotKey::new(&passphrase("correct horse"), KdfParams::FLOOR, [5; 16]).unwrap();
    KeySlot::wrap(
        &ring(),
        &key,
        &repository(),
        "2026-01-02T03:04:05Z",
        "main \"slot\" äß",
    )
    .unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new(master(), 3)
}

pub(crate) fn passphrase(text: &str) -> Secret {
    Passphrase::new(text).into()
}

fn open(slot: &KeySlot, secret: &Secret) -> Result<KeyRing, FormatError> {
    slot.open(&slot.try_secret(secret)?)
}

pub(crate) fn key_slot() -> KeySlot {
    let key = SlotKey::new(&recovery_key().into(), KdfParams::FLOOR, [6; 16]).unwrap();
    KeySlot::wrap(&rotated(), &key, &repository(), "2026-01-02T03:04:05Z", "paper").unwrap()
}

pub(crate) fn recovery_key() -> RecoveryKey {
    RecoveryKey::from_random(std::array::from_fn(|i| 0x40 + i as u8))
}

/// Epoch 1 was begun by commit 7.
pub(crate) fn rotated() -> KeyRing {
    let (ring, number) = KeyRing::new(master(), 0).begin([0x77; 32]).unwrap();
    assert_eq!(number, 1);
    let keys = nakivo_repo_format::KeySet::of_ring(ring, &repository());
    let begun = keys.writing_in(1).unwrap();
    let header = begun.header(nakivo_repo_format::ObjectType::Commit, 7);
    begun.reached(&header, Some(7)).unwrap().ring().clone()
}

#[test]
fn wraps_and_unwraps() {
    let slot = KeySlot::parse(slot().to_bytes()).unwrap();
    assert_eq!(open(&slot, &passphrase("correct horse")).unwrap(), ring());
    assert_eq!(slot.kind().unwrap(), SlotKind::Passphrase(KdfParams::FLOOR));
    assert_eq!(slot.description(), "main \"slot\" äß");
    assert_eq!(slot.created(), "2026-01-02T03:04:05Z");
}

#[test]
fn wrong_passphrase_is_its_own_error() {
    let slot = slot();
    for wrong in [passphrase("correct house"), recovery_key().into()] {
        assert_eq!(open(&slot, &wrong), Err(FormatError::WrongPassphrase));
    }
    assert_eq!(slot.open_plain(), Err(FormatError::PassphraseRequired));
}

#[test]
fn a_plain_slot_needs_no_passphrase() {
    let slot = KeySlot::plain(&ring(), &repository(), "2026-01-02T03:04:05Z", "").unwrap();
    let slot = KeySlot::parse(slot.to_bytes()).unwrap();
    assert_eq!(slot.kind().unwrap(), SlotKind::Plain);
    assert_eq!(slot.open_plain().unwrap(), ring());
    assert_eq!(
        open(&slot, &passphrase("anything")),
        Err(FormatError::WrongPassphrase)
    );
}

/// An attacker who recomputes the check value still cannot change what the wrap covers.
#[test]
fn a_recomputed_check_does_not_help() {
    let text = String::from_utf8(slot().to_bytes().to_vec()).unwrap();
    for (from, to) in [("main ", "MAIN "), ("2026-01-02", "2027-01-02")] {
        let changed = text.replacen(from, to, 1);
        let at = changed.find("\"check\":\"").unwrap();
        let without = format!(
            "{}{}",
            &changed[..at],
            &changed[at + "\"check\":\"".len() + 64 + "\",".len()..]
        );
        let check = blake3::hash(without.as_bytes()).to_hex();
        let forged = format!("{}\"check\":\"{check}\",{}", &without[..at], &without[at..]);
        let slot = KeySlot::parse(forged.as_bytes()).expect("the check value fits");
        let refused = open(&slot, &passphrase("correct horse"));
        assert_eq!(
            refused,
            Err(FormatError::Authentication { what: "key slot" }),
            "{from}"
        );
    }
}

#[test]
fn costs_out_of_range_are_refused_before_any_work() {
    for (memory_kib, time, parallelism) in [
        (8 * 1024 - 1, 1, 1),
        (1024 * 1024 + 1, 1, 1),
        (u32::MAX, 1, 1),
        (8 * 1024, 0, 1),
        (8 * 1024, 17, 1),
        (8 * 1024, 1, 0),
        (8 * 1024, 1, 17),
        (8 * 1024, 1, u32::MAX),
    ] {
        let params = KdfParams {
            memory_kib,
            time,
            parallelism,
        };
        assert!(
            matches!(params.validate(), Err(FormatError::KdfRefused { .. })),
            "{params:?}"
        );
        let made = SlotKey::new(&passphrase("x"), params, [0; 16]);
        assert!(matches!(made, Err(FormatError::KdfRefused { .. })));
    }
    let text = String::from_utf8(slot().to_bytes().to_vec()).unwrap();
    let huge = text.replace("\"memory_kib\":8192", "\"memory_kib\":4294967295");
    let at = huge.find("\"check\":\"").unwrap();
    let without = format!("{}{}", &huge[..at], &huge[at + 9 + 64 + 2..]);
    let check = blake3::hash(without.as_bytes()).to_hex();
    let forged = format!("{}\"check\":\"{check}\",{}", &without[..at], &without[at..]);
    assert!(matches!(
        KeySlot::parse(forged.as_bytes()),
        Err(FormatError::KdfRefused { .. })
    ));
    KdfParams::default().validate().unwrap();
    KdfParams::CEILING.validate().unwrap();
}

/// What a keyboard or a file system makes of the same letters must not lock anybody out.
#[test]
fn letters_may_be_composed_or_decomposed() {
    let composed = "Stra\u{df}e \u{e4}\u{f6}";
    let decomposed = "Stra\u{df}e a\u{308}o\u{308}";
    for made_of in [composed, decomposed] {
        let key = SlotKey::new(&passphrase(made_of), KdfParams::FLOOR, [5; 16]).unwrap();
        let slot = KeySlot::wrap(&ring(), &key, &repository(), "2026", "").unwrap();
        for entered in [composed, decomposed] {
            assert_eq!(
                open(&slot, &passphrase(entered)),
                Ok(ring()),
                "{made_of:?} {entered:?}"
            );
        }
        let other = passphrase("Strasse \u{e4}\u{f6}");
        assert_eq!(open(&slot, &other), Err(FormatError::WrongPassphrase));
    }
    assert_eq!(Passphrase::new("plain").forms().len(), 1, "tried once");
}

#[test]
fn a_key_opens_its_slot_with_every_epoch() {
    let slot = KeySlot::parse(key_slot().to_bytes()).unwrap();
    assert_eq!(slot.kind().unwrap(), SlotKind::Key);
    assert_eq!(open(&slot, &recovery_key().into()), Ok(rotated()));
    let mut other = *recovery_key().expose_bytes();
    for bit in 0..256 {
        other[bit / 8] ^= 1 << (bit % 8);
        let wrong: Secret = RecoveryKey::from_random(other).into();
        assert_eq!(
            open(&slot, &wrong),
            Err(FormatError::WrongPassphrase),
            "bit {bit}"
        );
        other[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn writing_a_slot_anew_is_repeatable() {
    let slot = slot();
    let key = slot.try_secret(&passphrase("correct horse")).unwrap();
    let again = slot.rewrap(&ring(), &key).unwrap();
    assert_eq!(again.to_bytes(), slot.to_bytes());
    let other = slot.rewrap(&rotated(), &key).unwrap();
    assert_ne!(other.id(), slot.id());
    assert_eq!(other.open(&key), Ok(rotated()));
    assert_eq!(other.description(), slot.description());
}

#[test]
fn a_printed_key_is_read_however_it_is_typed() {
    let key = recovery_key();
    let text = key.to_text();
    assert_eq!(text.split(['-', '\n']).count(), 8);
    assert_eq!(text.len(), 71);
    let typed = [
        text.to_string(),
        text.to_lowercase(),
        text.replace(['-', '\n'], " "),
        text.replace(['-', '\n'], ""),
        format!("# a note\n\n  {}\r\n# more\n", text.replace('\n', "\r\n")),
        text.replace('0', "o").replace('1', "l"),
        format!("\u{feff}{}", text.replace('-', "\u{2013}")),
    ];
    for typed in typed {
        assert_eq!(RecoveryKey::parse(&typed).as_ref(), Ok(&key), "{typed:?}");
    }
}

/// Every wrong character and every exchange of neighbours is found, and the group is named.
#[test]
fn typing_errors_are_named_by_their_group() {
    let text = recovery_key().to_text();
    let characters: Vec<char> = text.chars().collect();
    let mut cases = 0;
    let refused = |typed: &[char], at: usize| {
        let typed: String = typed.iter().collect();
        let error = RecoveryKey::parse(&typed).unwrap_err().to_string();
        let group = at / 9 + 1;
        assert!(error.contains(&format!("group {group}")), "{at}: {error}");
    };
    for at in 0..characters.len() {
        if matches!(characters[at], '-' | '\n') {
            continue;
        }
        for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZU!".chars() {
            if other != characters[at] {
                let mut typed = characters.clone();
                typed[at] = other;
                refused(&typed, at);
                cases += 1;
            }
        }
        let mut swapped = characters.clone();
        if at + 1 < characters.len() && !matches!(characters[at + 1], '-' | '\n') {
            swapped.swap(at, at + 1);
            if swapped != characters {
                refused(&swapped, at);
                cases += 1;
            }
        }
    }
    assert!(cases > 2000, "only {cases} cases");
    let groups: Vec<&str> = text.split(['-', '\n']).collect();
    for (first, second) in (0..8).flat_map(|a| (a + 1..8).map(move |b| (a, b))) {
        let mut moved = groups.clone();
        moved.swap(first, second);
        assert!(RecoveryKey::parse(&moved.join("-")).is_err(), "{first} {second}");
    }
    for length in 0..8 {
        let error = RecoveryKey::parse(&groups[..length].join("-"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("{} characters", length * 8)), "{error}");
    }
}

/// Slots that say something impossible about epochs are refused, whatever their checks say.
#[test]
fn a_ring_must_be_in_order() {
    let plain = |bytes: Vec<u8>| {
        use base64::Engine as _;
        let slot = KeySlot::plain(&rotated(), &repository(), "2026", "").unwrap();
        let text = String::from_utf8(slot.to_bytes().to_vec()).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["wrapped"] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        value.as_object_mut().unwrap().remove("check");
        let check = blake3::hash(value.to_string().as_bytes()).to_hex().to_string();
        value["check"] = check.into();
        KeySlot::parse(value.to_string().as_bytes()).unwrap().open_plain()
    };
    let entry = |number: u32| [number.to_le_bytes().as_slice(), &[0; 40]].concat();
    let head = |epoch: u32| [[1; 32].as_slice(), &epoch.to_le_bytes()].concat();
    plain(head(9)).unwrap();
    plain([head(1), entry(1), entry(1), entry(4)].concat()).unwrap();
    for (what, bytes) in [
        ("short", head(0)[..35].to_vec()),
        ("odd", [head(0), vec![0; 43]].concat()),
        ("epoch 0", [head(0), entry(0)].concat()),
        ("descending", [head(0), entry(2), entry(1)].concat()),
        ("no secret", [head(3), entry(2)].concat()),
        ("too many", [head(0), entry(1).repeat(513)].concat()),
    ] {
        assert!(plain(bytes).is_err(), "{what}");
    }
}
