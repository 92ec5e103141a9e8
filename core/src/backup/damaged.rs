//! What a run takes over damaged from the point it builds on.
//!
//! Damaged items are asked for like those that failed last time. What the source gives is stored anew, and with it the older
//! points are whole again; what it does not give is listed, and the new point is marked in its own commit.

use nakivo_repo_format::ids::PointId;
use nakivo_repo_format::log::{Operation, PointDamage};
use nakivo_repo_format::tree::ItemKey;

use super::run::Run;
use crate::connector::ItemRef;
use crate::error::{Error, ErrorKind, Result};

impl Run {
    /// Lists what the new point takes over damaged: no source gave it again, so the point is not complete.
    pub(super) fn list_damaged(&mut self) -> Result<()> {
        for key in std::mem::take(&mut self.damaged) {
            let Ok(item) = ItemKey::from_bytes(&key) else {
                continue;
            };
            if !self
                .ledger
                .entries
                .iter()
                .any(|entry| entry.item.as_ref() == Some(&item))
            {
                let (path, item) = (
                    item.id().to_owned(),
                    ItemRef {
                        container: item.container().to_owned(),
                        id: item.id().to_owned(),
                    },
                );
                let error = Error::new(
                    ErrorKind::Corrupt,
                    "what the repository holds of it is damaged, and the source did not give it again",
                );
                self.fail(Some(&item), path, &error, true)?;
            }
            self.damaged.insert(key);
        }
        Ok(())
    }

    /// What the log must know of a point that takes over damaged items.
    pub(super) fn damage_of(&self, point: PointId, found_ms: i64) -> Option<Operation> {
        let items: Vec<ItemKey> = self
            .damaged
            .iter()
            .filter_map(|key| ItemKey::from_bytes(key).ok())
            .collect();
        (!items.is_empty()).then(|| Operation::Damage {
            packs: Vec::new(),
            sound: Vec::new(),
            points: vec![PointDamage {
                point,
                lost: items.len() as u64,
                items,
                what: "taken over damaged from the point before it".to_owned(),
                found_ms,
            }],
            whole: Vec::new(),
        })
    }
}
