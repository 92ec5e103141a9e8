//! Ids of a site's items: those of a library's drive, each with the drive's id before it.

use nakivo_core::connector::{Change, ItemHead, ItemRef};

/// Between the id of a drive and that of an item. Neither has one.
const SEPARATOR: char = '/';

/// The drive of an id, and the id there: empty for the library itself.
pub(crate) fn split(id: &str) -> (&str, &str) {
    id.split_once(SEPARATOR).unwrap_or((id, ""))
}

/// The id of what is `id` in `drive`; the drive's own is that of its library.
pub(crate) fn join(drive: &str, id: &str) -> String {
    match id {
        "" => drive.to_owned(),
        id => format!("{drive}{SEPARATOR}{id}"),
    }
}

/// Before the id of a list. No drive's id begins so.
const LIST: &str = "list:";

/// What stands for a list where otherwise a drive's id stands.
pub(crate) fn of_list(list: &str) -> String {
    format!("{LIST}{list}")
}

/// The id of the list that this stands for; none if it is a drive's id.
pub(crate) fn list_of(prefix: &str) -> Option<&str> {
    prefix.strip_prefix(LIST)
}

/// An item of the site as its drive knows it.
pub(crate) fn inward(item: &ItemRef) -> (String, ItemRef) {
    let (drive, id) = split(&item.id);
    let local = ItemRef {
        container: split(&item.container).1.to_owned(),
        id: id.to_owned(),
    };
    (drive.to_owned(), local)
}

/// An item of a drive as the site has it.
pub(crate) fn outward(drive: &str, item: &ItemRef) -> ItemRef {
    ItemRef {
        container: join(drive, &item.container),
        id: join(drive, &item.id),
    }
}

/// The head of an item of a drive as the site has it.
pub(crate) fn outward_head(drive: &str, mut head: ItemHead) -> ItemHead {
    head.item = outward(drive, &head.item);
    head
}

/// A change of a drive as one of the site; none if the site says it once for all its drives.
pub(crate) fn outward_change(drive: &str, library: &str, change: Change) -> Option<Change> {
    Some(match change {
        Change::Container(head) => Change::Container(outward_head(drive, head)),
        Change::ContainerKept { item, name } => Change::ContainerKept {
            item: outward(drive, &item),
            name,
        },
        Change::ContainerGone { id } => Change::ContainerGone { id: join(drive, &id) },
        Change::RoundStarted { container, full } => Change::RoundStarted {
            container: join(drive, &container),
            full,
        },
        Change::Item(head) => Change::Item(outward_head(drive, head)),
        Change::Vanished(item) => Change::Vanished(outward(drive, &item)),
        Change::RoundEnded { container } => Change::RoundEnded {
            container: join(drive, &container),
        },
        Change::Failed { path, item, error } => Change::Failed {
            path: format!("{library}/{path}"),
            item: item.map(|item| outward(drive, &item)),
            error,
        },
        other @ Change::Restarted => other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (container, id) in [("", "01A"), ("01B", "01A")] {
            let local = ItemRef {
                container: container.into(),
                id: id.into(),
            };
            let item = outward("b!x", &local);
            assert_eq!(inward(&item), ("b!x".to_owned(), local));
        }
        assert_eq!(
            outward(
                "b!x",
                &ItemRef {
                    container: String::new(),
                    id: "01A".into()
                }
            )
            .container,
            "b!x"
        );
    }
}
