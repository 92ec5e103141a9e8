//! Where each item of a run is, in few bytes: 200,000 items take about 10 MB.

use std::collections::HashMap;

use crate::connector::{ItemHead, ItemRef};

/// 96 bits of the BLAKE3 of an id. Two of a billion ids collide with a probability below one in 10 to the 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdHash([u8; 12]);

impl IdHash {
    pub(crate) fn of(id: &str) -> Self {
        let mut short = [0; 12];
        short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..12]);
        Self(short)
    }
}

struct Place {
    /// Hash of the change key of the last occurrence.
    change: Option<u64>,
    container: u32,
    /// Whether the new point holds it there; otherwise it is being fetched, or failed.
    stored: bool,
    /// The enumeration in which it was named last.
    enumeration: u8,
}

/// What this run knows about where items are. An item is in one container at a time; the last word counts.
#[derive(Default)]
pub(crate) struct Whereabouts {
    places: HashMap<IdHash, Place>,
    containers: Vec<String>,
    numbers: HashMap<String, u32>,
    /// How often the source has begun anew.
    enumeration: u8,
}

impl Whereabouts {
    fn number(&mut self, container: &str) -> u32 {
        if let Some(number) = self.numbers.get(container) {
            return *number;
        }
        let number = u32::try_from(self.containers.len()).unwrap_or(u32::MAX);
        self.containers.push(container.to_owned());
        self.numbers.insert(container.to_owned(), number);
        number
    }

    /// The source begins its enumeration anew.
    pub(crate) fn restart(&mut self) {
        self.enumeration = self.enumeration.saturating_add(1);
    }

    /// Whether the source began anew, so that there may be items that it named and did not name again.
    pub(crate) fn was_restarted(&self) -> bool {
        self.enumeration > 0
    }

    /// Whether this run stored the item and the source did not name it again since it began anew.
    pub(crate) fn is_outdated(&self, id: &str) -> bool {
        self.places
            .get(&IdHash::of(id))
            .is_some_and(|place| place.stored && place.enumeration < self.enumeration)
    }

    /// Whether exactly this state of the item was named before in this run, so that nothing is left to do.
    pub(crate) fn is_repeat(&mut self, head: &ItemHead) -> bool {
        let Some(place) = self.places.get_mut(&IdHash::of(&head.item.id)) else {
            return false;
        };
        place.enumeration = self.enumeration;
        place.change.is_some()
            && place.change == change_of(head)
            && self.numbers.get(&head.item.container) == Some(&place.container)
    }

    /// Whether the new point holds the item in this container through this run.
    pub(crate) fn is_stored(&self, item: &ItemRef) -> bool {
        self.places
            .get(&IdHash::of(&item.id))
            .is_some_and(|place| place.stored && self.numbers.get(&item.container) == Some(&place.container))
    }

    /// Whether this run stored the item in another container: here, it has moved away.
    pub(crate) fn is_elsewhere(&self, item: &ItemRef) -> bool {
        self.places
            .get(&IdHash::of(&item.id))
            .is_some_and(|place| place.stored && self.numbers.get(&item.container) != Some(&place.container))
    }

    /// The item was named and is about to be fetched. A place where it is stored already stays until the fetch succeeds.
    pub(crate) fn pending(&mut self, head: &ItemHead) {
        let container = self.number(&head.item.container);
        let change = change_of(head);
        let enumeration = self.enumeration;
        let place = self.places.entry(IdHash::of(&head.item.id)).or_insert(Place {
            change,
            container,
            stored: false,
            enumeration,
        });
        if !place.stored {
            place.change = change;
            place.container = container;
        }
    }

    /// The new point holds the item here. Returns where this run had put it before, if that was elsewhere.
    pub(crate) fn stored(&mut self, head: &ItemHead) -> Option<ItemRef> {
        let container = self.number(&head.item.container);
        let place = Place {
            change: change_of(head),
            container,
            stored: true,
            enumeration: self.enumeration,
        };
        let before = self.places.insert(IdHash::of(&head.item.id), place)?;
        (before.stored && before.container != container)
            .then(|| self.containers.get(before.container as usize))
            .flatten()
            .map(|container| ItemRef {
                container: container.clone(),
                id: head.item.id.clone(),
            })
    }
}

fn change_of(head: &ItemHead) -> Option<u64> {
    let key = head.change_key.as_ref()?;
    let hash = blake3::hash(key.as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&hash.as_bytes()[..8]);
    Some(u64::from_le_bytes(short))
}
