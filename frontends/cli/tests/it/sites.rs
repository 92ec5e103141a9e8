//! SharePoint, start to end, against the emulator in a process of its own.

use crate::support::{ACCOUNT, Emulator, Place, all, fails, of_type, tree};

#[test]
fn a_site_is_backed_up_browsed_searched_exported_and_recovered() {
    let place = Place::new();
    place.init();
    let emulator = Emulator::start(
        &place,
        &[
            "--users", "1", "--items", "3", "--seed", "5", "--files", "15", "--sites", "2",
        ],
    );
    let sites: Vec<String> = emulator.record["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|url| url.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sites.len(), 3, "two sites and one below: {sites:?}");
    let site = sites[0].as_str();
    let backup = all(&[&["backup", "m365"], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&[&backup[..], &["--service", "sharepoint"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    let reports = of_type(&lines, "backup");
    assert_eq!(reports.len(), 3, "{reports:?}");
    let items = reports.iter().find(|report| report["object"] == site).unwrap()["items"]
        .as_u64()
        .unwrap();
    assert!(items >= 15, "{reports:?}");
    let (code, lines) = place.json(&[&backup[..], &["--object", site]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "backup")[0]["counts"]["stored"], 0);

    let (_, lines) = place.json(&all(&["object", "list"]));
    assert_eq!(
        lines.iter().filter(|line| line["kind"] == "site").count(),
        3,
        "{lines:?}"
    );
    let (_, listed) = place.json(&all(&["browse", "--object", site]));
    assert!(
        listed
            .iter()
            .any(|line| line["name"] == "Documents" && line["kind"] == "container"),
        "{listed:?}"
    );
    let (_, found) = place.json(&all(&["find", "docx", "--object", site]));
    assert!(!of_type(&found, "entry").is_empty(), "{found:?}");
    place.run(&all(&["export", "--object", site, "--to", "out"])).ok();
    let exported = tree(&place.path("out"));
    assert!(exported.len() as u64 >= items, "{:?}", exported.keys());

    let recover = all(&[&["recover", "--object", site], &ACCOUNT[..]].concat());
    let (code, lines) = place.json(&[&recover[..], &["--preview"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert!(
        of_type(&lines, "planned")
            .iter()
            .all(|item| item["action"] == "skip_identical"),
        "{lines:?}"
    );
    let to_other = [&recover[..], &["--to-site", &sites[2], "Contracts"]].concat();
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0, "{lines:?}");
    let recovered = of_type(&lines, "recovered").len();
    assert!(recovered > 0, "{lines:?}");
    let (code, lines) = place.json(&to_other);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "skipped").len(), recovered, "{lines:?}");
    // A list: browsed, searched, recovered elsewhere with its columns, and known there.
    let (_, listed) = place.json(&all(&["browse", "--object", site, "Inventory"]));
    assert_eq!(
        listed.iter().filter(|line| line["kind"] == "list-item").count(),
        15,
        "{listed:?}"
    );
    let (_, found) = place.json(&all(&["find", "Thing type:listitem", "--object", site]));
    assert!(of_type(&found, "entry").len() >= 15, "{found:?}");
    let lists = [&recover[..], &["--to-site", &sites[1], "Inventory", "Loans"]].concat();
    let (code, lines) = place.json(&lists);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "recovered").len(), 2 + 15 + 7, "{lines:?}");
    let (code, lines) = place.json(&lists);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "skipped").len(), 2 + 15 + 7, "{lines:?}");
    // Files may go from a site to a drive, and not to a mailbox.
    let user = emulator.record["drives"][0].as_str().unwrap();
    let (code, lines) = place.json(&[&recover[..], &["--to-drive", user, "Contracts"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(of_type(&lines, "recovered").len(), recovered, "{lines:?}");
    fails(
        &place,
        &[&recover[..], &["--to-mailbox", user]].concat(),
        2,
        "invalid_input",
    );
    let nowhere = ["--object", "https://fabrika.sharepoint.example/sites/nowhere"];
    fails(&place, &[&backup[..], &nowhere].concat(), 4, "not_found");
}
