//! `docs/permissions.md` says what the table says, and the live check asks for the same.

use std::fmt::Write as _;
use std::path::Path;

use nakivo_graph_connector::{PERMISSIONS, Phase};
use nakivo_graph_emulator::Emulator;

use crate::bench::Bench;

const HEAD: &str = "# Permissions

What the app registration needs in Microsoft Entra: permissions of Microsoft Graph of the type *application*, each with the consent of an
administrator. Grant those of discovery and backup to begin with; those of recovery may wait until something has to be brought back, or go
to another registration with an account file of its own. `Mail.Send` is never needed.

This page is made of the table in `graph-connector/src/permissions.rs`; a test says when it is out of date
(`NAKIVO_UPDATE=1 cargo test -p nakivo-graph-connector --test it permissions` writes it).
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (phase, title) in [
        (Phase::Discovery, "Discovery"),
        (Phase::Backup, "Backup"),
        (Phase::Recovery, "Recovery"),
    ] {
        let _ = write!(
            page,
            "\n## {title}\n\n| permission | for | without it |\n| --- | --- | --- |\n"
        );
        for one in PERMISSIONS.iter().filter(|one| one.phase == phase) {
            let _ = writeln!(page, "| `{}` | {} | {} |", one.name, one.purpose, one.without);
        }
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/permissions.md");
    if std::env::var_os("NAKIVO_UPDATE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page());
}

#[tokio::test]
async fn the_live_check_looks_at_each_of_them() {
    let bench = Bench::with(Emulator::builder().users(1).items_per_user(3)).await;
    let checks = bench.reconnect().check_permissions().await.unwrap();
    let mut checked: Vec<(&str, &str)> = checks
        .iter()
        .map(|check| (check.permission, check.blocks))
        .collect();
    let mut expected: Vec<(&str, &str)> = PERMISSIONS.iter().map(|one| (one.name, one.purpose)).collect();
    checked.sort_unstable();
    expected.sort_unstable();
    assert_eq!(checked, expected);
}
