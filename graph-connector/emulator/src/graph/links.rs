//! Next and delta links: absolute, and not always in the form of the request.

use crate::http::path;
use crate::random::text_key;
use crate::world::World;

/// Builds a link to `segments` with options. `salt` decides the form.
pub(crate) fn link(world: &World, segments: &[&str], options: &[(&str, &str)], salt: u64) -> String {
    let mut out = world.graph_url();
    let vary = world.settings().link_variety;
    let odd = vary && world.coin(salt ^ text_key(segments.last().unwrap_or(&"")), 2);
    let mut n = 0;
    while n < segments.len() {
        let name = segments[n];
        let keyed = matches!(
            name,
            "users"
                | "mailFolders"
                | "messages"
                | "childFolders"
                | "contactFolders"
                | "contacts"
                | "calendars"
                | "events"
        ) && n + 1 < segments.len()
            && !matches!(segments[n + 1], "delta");
        out.push('/');
        out.push_str(&if odd {
            name.replace("Folders", "folders")
        } else {
            name.to_owned()
        });
        if keyed {
            let key = path::encode(segments[n + 1]);
            if odd {
                out.push_str(&format!("('{}')", key.replace("%3D", "=")));
            } else {
                out.push_str(&format!("/{key}"));
            }
            n += 1;
        }
        n += 1;
    }
    for (i, (name, value)) in options.iter().enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        let name = if odd && *name == "$skip" { "%24skip" } else { name };
        out.push_str(&format!("{name}={}", path::encode(value)));
    }
    out
}
