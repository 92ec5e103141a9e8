//! Where items of a site are that no feed shows any more.

use std::collections::BTreeMap;

use nakivo_core::connector::{ItemRef, Presence};
use nakivo_core::{Error, ErrorKind, Result};

use super::ids;
use super::lists::rows::RowReader;
use crate::drives::{self, Memory};
use crate::graph::Graph;

/// Looks up items by id, library by library.
///
/// # Errors
/// What fails every look-up: no token, no permission, a pause that is too long.
pub(crate) async fn look_up(
    graph: &Graph,
    memory: &Memory,
    site: &str,
    items: &[ItemRef],
) -> Result<Vec<Presence>> {
    let mut answers: Vec<Presence> = items
        .iter()
        .map(|_| Presence::Unknown(Error::new(ErrorKind::Unavailable, "not looked up")))
        .collect();
    let mut by_drive: BTreeMap<String, Vec<(usize, ItemRef)>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let (drive, local) = ids::inward(item);
        by_drive.entry(drive).or_default().push((index, local));
    }
    for (drive, places) in by_drive {
        if ids::list_of(&drive).is_some() {
            let rows: Vec<ItemRef> = places.iter().map(|(index, _)| items[*index].clone()).collect();
            let found = RowReader::new(graph, site).look_up(&rows).await?;
            for ((index, _), answer) in places.into_iter().zip(found) {
                answers[index] = answer;
            }
            continue;
        }
        let local: Vec<ItemRef> = places.iter().map(|(_, item)| item.clone()).collect();
        let found = match drives::lookup::look_up(graph, memory, &drive, &local).await {
            Ok(found) => found,
            // The whole library is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                local.iter().map(|_| Presence::Gone).collect()
            }
            Err(error) => return Err(error),
        };
        for ((index, _), answer) in places.into_iter().zip(found) {
            answers[index] = match answer {
                Presence::Present(head) => Presence::Present(Box::new(ids::outward_head(&drive, *head))),
                other => other,
            };
        }
    }
    Ok(answers)
}
