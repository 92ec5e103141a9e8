//! The demo proves what it says, for programs and for people.

use crate::support::{Place, of_type};

#[test]
fn the_demo_verifies_itself() {
    let place = Place::new();
    let mut command = place.command(&["demo", "--json", "--seed", "3"]);
    let ran = crate::support::Ran::new("demo --json".into(), command.output().unwrap()).exits(0);
    let lines = ran.lines();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["verified"], &last["mismatches"]),
        (&"summary".into(), &true.into(), &0.into())
    );
    for field in [
        "items",
        "bytes_read",
        "bytes_stored",
        "points",
        "recovered",
        "requests",
    ] {
        assert!(last[field].as_u64().unwrap() > 0, "{field}: {last}");
    }
    assert!(of_type(&lines, "error").is_empty());
    assert!(of_type(&lines, "phase").len() >= 6, "{lines:?}");
}

#[test]
fn the_demo_keeps_its_repository_where_it_is_told_to_and_touches_nothing_else() {
    let place = Place::new();
    place.write(
        "mail/a.eml",
        "From: a@example.com\r\nTo: b@example.com\r\nSubject: One\r\n\r\nHello.\r\n",
    );
    place.write(
        "mail/sub/b.eml",
        "From: a@example.com\r\nSubject: Two\r\n\r\nHello again.\r\n",
    );
    place.write(
        "mail/sub/c.eml",
        "From: a@example.com\r\nSubject: Three\r\n\r\nAnd again.\r\n",
    );
    let ran = place.run(&["demo", "--mail-from", "mail", "--dir", "kept"]).ok();
    assert!(ran.stdout.contains("byte for byte"), "{ran:?}");
    assert!(place.path("kept/vault/NakivoBackup/format.json").is_file());
    place
        .run(&[
            "object",
            "list",
            "--repo",
            "file:kept/vault",
            "--passphrase-file",
            "kept/passphrase.txt",
        ])
        .ok();
    // Again in the same place is fine; in a folder of somebody else it is not.
    place.run(&["demo", "--mail-from", "mail", "--dir", "kept"]).ok();
    place.write("mine/thesis.txt", "years of work");
    let ran = place
        .run(&["demo", "--mail-from", "mail", "--dir", "mine"])
        .exits(1);
    assert!(ran.stderr.contains("error: "), "{ran:?}");
    assert_eq!(std::fs::read_dir(place.path("mine")).unwrap().count(), 1);
}

/// What Graph does not keep of an attachment is either said, or is nothing that the attachment's bytes show: a name, a
/// character set, the way it was encoded.
#[test]
fn the_demo_compares_attachments_by_their_bytes_whatever_they_declare() {
    let place = Place::new();
    let mut mail = Vec::from(
        "From: a@example.com\r\nTo: b@example.com\r\nSubject: Swap\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=X\r\n\r\n\
         --X\r\nContent-Type: text/plain\r\n\r\nHello.\r\n\
         --X\r\nContent-Type: text/enriched; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\
         Content-Disposition: attachment; filename=a.txt\r\n\r\n",
    );
    mail.extend_from_slice(b"caf\xe9 \xa4\r\n--X\r\nContent-Type: text/enriched; charset=ISO-8859-1\r\n");
    mail.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n");
    mail.extend_from_slice(b"Content-Disposition: attachment; filename=b.txt\r\n\r\ncaf=E9 =A4\r\n");
    mail.extend_from_slice(b"--X\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n");
    mail.extend_from_slice(b"Content-Disposition: attachment\r\n\r\niVBORw0KGgo=\r\n--X--\r\n");
    place.write("mail/swap.eml", &mail);
    for name in ["one", "two", "three"] {
        place.write(
            &format!("mail/{name}.eml"),
            format!("From: a@example.com\r\nSubject: {name}\r\n\r\nHello.\r\n"),
        );
    }
    let ran = place
        .run(&["demo", "--mail-from", "mail", "--dir", "kept", "--json"])
        .ok();
    let last = ran.stdout.lines().last().unwrap_or_default();
    assert!(last.contains("\"mismatches\":0"), "{last}");
    assert!(last.contains("\"verified\":true"), "{last}");
}
