//! The containers of one run: stored as they are told, taken back where the source takes them back.

use nakivo_repo_format::record::ItemKind;

use super::run::{ContainerPlace, Run, container_key, put, record_of};
use crate::connector::{ItemHead, ItemRef};
use crate::error::Result;

impl Run {
    pub(super) async fn container(&mut self, head: ItemHead) -> Result<()> {
        let key = container_key(&head.item)?;
        self.take_place(&head.item, &head.name).await?;
        let base = self.repository.get(self.base_root.as_ref(), &key).await?;
        let mut parts = Vec::new();
        if let Some(raw) = &head.raw {
            parts.push(
                self.writer
                    .put_small(
                        "json".to_owned(),
                        Some("application/json".to_owned()),
                        raw.clone(),
                    )
                    .await?,
            );
        }
        let record = record_of(&head, parts);
        // Its parts are stored by now, whatever was damaged of them.
        self.damaged.remove(&key.to_bytes());
        if base.as_ref() != Some(&record) {
            if base.is_none() && self.made.insert(key.to_bytes()) {
                self.container_delta += 1;
            }
            self.edits.push(&key, put(&record)?, &self.writer).await?;
        }
        Ok(())
    }

    /// A container of the base that did not change.
    pub(super) async fn container_kept(&mut self, item: ItemRef, name: String) -> Result<()> {
        let key = container_key(&item)?;
        if self
            .repository
            .get(self.base_root.as_ref(), &key)
            .await?
            .is_some()
        {
            return self.take_place(&item, &name).await;
        }
        // The source is mistaken about the base: what it knows of the container is stored.
        let head = ItemHead::new(ItemKind::Container, item, name);
        self.container(head).await
    }

    /// A container that this run knew is gone.
    pub(super) async fn container_gone(&mut self, id: String) -> Result<()> {
        if let Some(place) = self.containers.remove(&id) {
            let item = ItemRef {
                container: place.parent,
                id: id.clone(),
            };
            self.retract(&item).await?;
        }
        self.gone.insert(id);
        Ok(())
    }

    /// A container is in one place at a time: what this run stored of it elsewhere is taken back.
    async fn take_place(&mut self, item: &ItemRef, name: &str) -> Result<()> {
        self.gone.remove(&item.id);
        let place = ContainerPlace {
            parent: item.container.clone(),
            name: name.to_owned(),
        };
        match self.containers.insert(item.id.clone(), place) {
            Some(before) if before.parent != item.container => {
                let before = ItemRef {
                    container: before.parent,
                    id: item.id.clone(),
                };
                self.retract(&before).await
            }
            _ => Ok(()),
        }
    }

    /// Takes back what this run stored of a container in a place that it left. What the base has there goes at the end,
    /// with all containers that were lost.
    async fn retract(&mut self, item: &ItemRef) -> Result<()> {
        let key = container_key(item)?;
        if self.made.remove(&key.to_bytes()) {
            self.container_delta -= 1;
            self.remove(&key).await?;
        }
        Ok(())
    }
}
