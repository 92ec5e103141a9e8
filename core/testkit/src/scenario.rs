//! Small fixed sources and steps that several suites and the crash child share.

use std::collections::BTreeMap;
use std::path::Path;

use crate::content::{Content, mail, prose};
use crate::random::SeededRng;
use crate::scripted::{Edit, ScriptedConnector, Settings};

/// How far a fixed source has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// As the first run finds it.
    First,
    /// As the second run finds it: with additions, changes, moves and removals.
    Second,
}

/// The fixed scripted source at this stage. Always the same, including its cursors.
///
/// # Panics
/// Never for a working test kit.
#[must_use]
pub fn mailbox(stage: Stage) -> ScriptedConnector {
    let connector = ScriptedConnector::new("fixed", Settings::default());
    let rng = fill(&connector);
    if stage == Stage::First {
        return connector;
    }
    change(&connector, &rng);
    connector
}

/// What the fixed source holds at first, for a source of any name. Returns the randomness to go on with.
pub fn fill(connector: &ScriptedConnector) -> SeededRng {
    let rng = SeededRng::new(11);
    for (id, parent) in [("inbox", ""), ("projects", "inbox"), ("sent", "")] {
        connector.edit(&Edit::AddContainer {
            id: id.to_owned(),
            parent: parent.to_owned(),
            name: id.to_uppercase(),
        });
    }
    let attachment = SeededRng::new(12).bytes(30_000);
    for number in 0..12 {
        let container = ["inbox", "projects", "sent"][number % 3];
        let attached: &[u8] = if number % 4 == 0 { &attachment } else { b"" };
        let content = mail(
            &format!("Subject {number}"),
            &prose(&rng, 700 + 100 * number),
            attached,
        );
        connector.edit(&put(container, &format!("m{number:02}"), content));
    }
    connector.edit(&put(
        "inbox",
        "large",
        Content::Generated {
            seed: 5,
            size: 2_500_000,
        },
    ));
    rng
}

fn change(connector: &ScriptedConnector, rng: &SeededRng) {
    let attachment = SeededRng::new(12).bytes(30_000);
    connector.edit(&put("inbox", "new", mail("New", &prose(rng, 900), b"")));
    connector.edit(&put(
        "sent",
        "m02",
        mail("Changed", &prose(rng, 900), &attachment),
    ));
    connector.edit(&Edit::Touch { id: "m03".to_owned() });
    connector.edit(&Edit::Move {
        id: "m04".to_owned(),
        to: "sent".to_owned(),
    });
    connector.edit(&Edit::LostMove {
        id: "m06".to_owned(),
        via: "sent".to_owned(),
    });
    connector.edit(&Edit::Remove { id: "m05".to_owned() });
    connector.edit(&Edit::RenameContainer {
        id: "projects".to_owned(),
        name: "PLANS".to_owned(),
    });
    connector.edit(&Edit::AddContainer {
        id: "archive".to_owned(),
        parent: "inbox".to_owned(),
        name: "ARCHIVE".to_owned(),
    });
    connector.edit(&Edit::Move {
        id: "m00".to_owned(),
        to: "archive".to_owned(),
    });
}

fn put(container: &str, id: &str, content: Content) -> Edit {
    Edit::Put {
        container: container.to_owned(),
        id: id.to_owned(),
        name: format!("Item {id}"),
        parts: BTreeMap::from([("mime".to_owned(), content)]),
    }
}

/// Writes the fixed directory at this stage; the second stage builds on the first one's files.
///
/// # Errors
/// Those of the file system.
pub fn directory(root: &Path, stage: Stage) -> std::io::Result<()> {
    let rng = SeededRng::new(21);
    let sub = root.join("sub").join("deeper");
    match stage {
        Stage::First => {
            std::fs::create_dir_all(&sub)?;
            std::fs::create_dir_all(root.join("empty"))?;
            for number in 0..8 {
                let parent = if number % 2 == 0 { root } else { &sub };
                std::fs::write(
                    parent.join(format!("note {number}.txt")),
                    prose(&rng, 500 + 300 * number),
                )?;
            }
            std::fs::write(root.join("nothing"), b"")?;
            std::fs::write(root.join("sub").join("large.bin"), rng.bytes(2_200_000))?;
        }
        Stage::Second => {
            std::fs::write(root.join("added.txt"), prose(&rng, 4000))?;
            std::fs::write(root.join("note 0.txt"), prose(&rng, 1234))?;
            std::fs::rename(root.join("note 2.txt"), sub.join("moved.txt"))?;
            std::fs::remove_file(sub.join("note 1.txt"))?;
            std::fs::remove_dir(root.join("empty"))?;
            std::fs::create_dir(root.join("made"))?;
            std::fs::write(root.join("made").join("inside.txt"), prose(&rng, 100))?;
        }
    }
    Ok(())
}

/// Every regular file below `root` by its path, with `/` between names.
///
/// # Errors
/// Those of the file system.
pub fn files(root: &Path) -> std::io::Result<BTreeMap<String, crate::content::Digest>> {
    let mut found = BTreeMap::new();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = open.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else {
                found.insert(name, crate::content::Digest::of(&std::fs::read(entry.path())?));
            }
        }
    }
    Ok(found)
}
