//! Key slots: right, wrong and hostile.

use nakivo_repo_format::keyslot::{KdfParams, KeySlot};
use nakivo_repo_format::{FormatError, Passphrase, RepositoryId};

use crate::fixtures::{master, repository};

pub(crate) fn slot() -> KeySlot {
    KeySlot::wrap(
        &master(),
        3,
        &Passphrase::new("correct horse"),
        KdfParams::FLOOR,
        [5; 16],
        &repository(),
        "2026-01-02T03:04:05Z",
        "main \"slot\" äß",
    )
    .unwrap()
}

#[test]
fn wraps_and_unwraps() {
    let slot = KeySlot::parse(slot().to_bytes()).unwrap();
    let passphrase = Passphrase::new("correct horse");
    assert_eq!(
        slot.unwrap(Some(&passphrase), &repository()).unwrap(),
        (master(), 3)
    );
    assert!(slot.needs_passphrase());
    assert_eq!(slot.description(), "main \"slot\" äß");
    assert_eq!(slot.created(), "2026-01-02T03:04:05Z");
}

#[test]
fn wrong_passphrase_is_its_own_error() {
    let slot = slot();
    let wrong = Passphrase::new("correct house");
    assert_eq!(
        slot.unwrap(Some(&wrong), &repository()),
        Err(FormatError::WrongPassphrase)
    );
    assert_eq!(
        slot.unwrap(None, &repository()),
        Err(FormatError::PassphraseRequired)
    );
    let other = RepositoryId::from_bytes([0; 16]);
    assert!(matches!(
        slot.unwrap(Some(&wrong), &other),
        Err(FormatError::IdMismatch { .. })
    ));
}

#[test]
fn a_plain_slot_needs_no_passphrase() {
    let slot = KeySlot::plain(&master(), 0, &repository(), "2026-01-02T03:04:05Z", "").unwrap();
    let slot = KeySlot::parse(slot.to_bytes()).unwrap();
    assert!(!slot.needs_passphrase());
    assert_eq!(slot.unwrap(None, &repository()).unwrap(), (master(), 0));
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
        let passphrase = Passphrase::new("correct horse");
        let refused = slot.unwrap(Some(&passphrase), &repository());
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
        let made = KeySlot::wrap(
            &master(),
            0,
            &Passphrase::new("x"),
            params,
            [0; 16],
            &repository(),
            "",
            "",
        );
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
