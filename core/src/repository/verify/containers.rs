//! The paths of a point that may be damaged, as far as its containers can be read.

use std::collections::HashMap;

use nakivo_repo_format::ItemKey;

/// Containers by id: the parent's id and the name.
#[derive(Default)]
pub(super) struct Containers(pub(super) HashMap<String, (String, String)>);

impl Containers {
    pub(super) fn path(&self, container: &str, name: &str) -> String {
        let mut names = vec![name.to_owned()];
        let mut at = container.to_owned();
        // A damaged tree may hold a loop, and no path is this deep.
        while !at.is_empty() && names.len() < 256 {
            match self.0.get(&at) {
                Some((parent, name)) => {
                    names.push(name.clone());
                    at.clone_from(parent);
                }
                None => {
                    names.push(format!("[{at}]"));
                    break;
                }
            }
        }
        names.reverse();
        names.join("/")
    }

    pub(super) fn path_of_key(&self, key: &[u8]) -> String {
        match ItemKey::from_bytes(key) {
            Ok(key) => self.path(key.container(), &format!("[{}]", key.id())),
            Err(_) => "[?]".to_owned(),
        }
    }
}
