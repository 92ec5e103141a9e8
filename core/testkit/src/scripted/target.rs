//! The way back: writing items into the scripted source.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::StreamExt;
use nakivo_core::Result;
use nakivo_core::connector::{
    ContentSource, Existing, RecoverAction, RecoverItem, Recovered, RecoveryTarget,
};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;

use super::connector::ScriptedConnector;
use super::model::Edit;
use crate::content::{Content, Digest};

/// Property that names the item from which another one was recovered, as a marker on the target.
const MARKER: &str = "recovered-from";

impl ScriptedConnector {
    async fn read_parts(
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<BTreeMap<String, Content>> {
        let mut parts = BTreeMap::new();
        for part in item.record.parts.iter().filter(|part| part.name != "json") {
            let mut body = content.open(&part.name).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece?);
            }
            parts.insert(part.name.clone(), Content::Bytes(bytes.into()));
        }
        Ok(parts)
    }

    fn existing(&self, item: &RecoverItem) -> Option<(String, BTreeMap<String, Digest>)> {
        let shared = self.lock();
        let source = &shared.source;
        let marked = || {
            source
                .items
                .values()
                .find(|other| other.properties.get(MARKER) == Some(&item.record.id))
        };
        let found = source.items.get(&item.record.id).or_else(marked)?;
        let parts = found
            .parts
            .iter()
            .map(|(name, content)| (name.clone(), content.digest()));
        Some((found.id.clone(), parts.collect()))
    }
}

#[async_trait]
impl RecoveryTarget for ScriptedConnector {
    async fn find_existing(
        &self,
        _target: &ObjectRecord,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing> {
        let Some((id, there)) = self.existing(item) else {
            return Ok(Existing::Absent);
        };
        let stored = Self::read_parts(item, content).await?;
        let stored: BTreeMap<String, Digest> = stored
            .into_iter()
            .map(|(name, content)| (name, content.digest()))
            .collect();
        if stored == there {
            Ok(Existing::Identical { id })
        } else {
            Ok(Existing::Differs {
                id,
                difference: "content".to_owned(),
            })
        }
    }

    async fn ensure_container(&self, _target: &ObjectRecord, path: &[ItemRecord]) -> Result<String> {
        let mut shared = self.lock();
        let mut parent = String::new();
        for record in path.iter().filter(|record| !record.id.is_empty()) {
            let by_name = |shared: &super::connector::Shared| {
                let mut containers = shared.source.containers.iter();
                containers
                    .find(|(_, container)| container.parent == parent && container.name == record.name)
                    .map(|(id, _)| id.clone())
            };
            let found = if shared.source.containers.contains_key(&record.id) {
                Some(record.id.clone())
            } else {
                by_name(&shared)
            };
            parent = match found {
                Some(id) => id,
                None => {
                    shared.made += 1;
                    let id = format!("made-{}", shared.made);
                    let edit = Edit::AddContainer {
                        id: id.clone(),
                        parent,
                        name: record.name.clone(),
                    };
                    let _ = shared.source.apply(&edit);
                    id
                }
            };
        }
        Ok(parent)
    }

    async fn recover(
        &self,
        _target: &ObjectRecord,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: RecoverAction,
    ) -> Result<Recovered> {
        let parts = Self::read_parts(item, content).await?;
        let mut shared = self.lock();
        let (id, name) = match &action {
            RecoverAction::Replace { existing } => (existing.clone(), item.record.name.clone()),
            RecoverAction::Create | RecoverAction::CreateRenamed => {
                shared.made += 1;
                let suffix = if action == RecoverAction::CreateRenamed {
                    " (recovered)"
                } else {
                    ""
                };
                (
                    format!("recovered-{}", shared.made),
                    format!("{}{suffix}", item.record.name),
                )
            }
        };
        let _ = shared.source.apply(&Edit::Put {
            container: container.to_owned(),
            id: id.clone(),
            name,
            parts,
        });
        if let Some(made) = shared.source.items.get_mut(&id) {
            made.properties.insert(MARKER.to_owned(), item.record.id.clone());
        }
        Ok(Recovered {
            id,
            location: container.to_owned(),
            not_carried: Vec::new(),
        })
    }
}
