//! Every bit of a repository flipped, and every object in the place of every other one of its kind: nothing that was changed is
//! ever taken for what was stored.
//!
//! Whole repositories are opened for a sample of this in [`crate::damage`]. Here the damaged object alone is opened, by the
//! decoder through which every read goes, so that each bit has its turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nakivo_testkit::content::{Content, mail};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::random::{SeededRng, announce, environment_number};
use nakivo_testkit::scripted::{Edit, ScriptedConnector, Settings};
use nakivo_testkit::stored::Opener;
use object_store::path::Path;

const SEED: u64 = 91;

/// A repository of at least so many bytes, each run adding a pack of content and one of the tree.
async fn repository(bytes: u64) -> Image {
    let lab = Lab::memory(SEED);
    let repository = lab.create().await.unwrap();
    let source = ScriptedConnector::new("bits", Settings::default());
    source.edit(&Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    let rng = SeededRng::new(SEED);
    for run in 0.. {
        let image = Image::of(&*lab.store).await.unwrap();
        if image.bytes() >= bytes {
            return image;
        }
        let body = Content::Bytes(Bytes::from(rng.bytes(2500)));
        for (name, content) in [
            ("file", body),
            ("mail", mail("bits", "see below", &rng.bytes(500))),
        ] {
            source.edit(&Edit::Put {
                container: "inbox".into(),
                id: format!("{name}{run}"),
                name: format!("{name} {run}"),
                parts: BTreeMap::from([("mime".to_owned(), content)]),
            });
        }
        if run > 4 {
            source.edit(&Edit::Remove {
                id: format!("file{}", run - 4),
            });
        }
        lab.clock.advance(Duration::from_secs(60));
        back_up(&repository, &source).await.unwrap();
    }
    unreachable!("it grows with every run");
}

/// Every bit. `NAKIVO_BITS_KIB`: of a repository of so many KiB at least; default: 256.
#[test]
fn every_bit_is_authenticated() {
    let started = Instant::now();
    let kib = environment_number("NAKIVO_BITS_KIB").unwrap_or(256);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let image = Arc::new(runtime.block_on(repository(kib << 10)));
    let objects: Arc<Vec<(Path, Bytes)>> = Arc::new(
        image
            .objects()
            .iter()
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect(),
    );
    let flipped = Arc::new(AtomicU64::new(0));
    let next = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (image, objects) = (Arc::clone(&image), Arc::clone(&objects));
            let (flipped, next) = (Arc::clone(&flipped), Arc::clone(&next));
            std::thread::spawn(move || {
                let mut opener = Opener::new(&image, None);
                loop {
                    let number = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some((path, bytes)) = objects.get(number) else {
                        break;
                    };
                    flipped.fetch_add(flip(&mut opener, path, bytes), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let flipped = flipped.load(Ordering::Relaxed);
    announce(&format!(
        "counts: {flipped} bits of {} objects, {} bytes flipped, each refused; seed {SEED}; {:.1} s",
        objects.len(),
        image.bytes(),
        started.elapsed().as_secs_f64()
    ));
    assert_eq!(flipped, image.bytes() * 8);
    assert!(image.bytes() >= kib << 10);
}

/// Flips each bit of an object. Returns how many.
fn flip(opener: &mut Opener, path: &Path, bytes: &Bytes) -> u64 {
    let layout = opener.layout(path.as_ref(), bytes).unwrap();
    let mut changed = bytes.to_vec();
    for at in 0..changed.len() {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            let opened = opener.open_at(path.as_ref(), &changed, &layout, at);
            assert!(opened.is_err(), "{path}: bit {bit} of byte {at} is not noticed");
            changed[at] ^= 1 << bit;
        }
    }
    assert!(
        opener.open(path.as_ref(), &changed).is_ok(),
        "{path}: it is as it was"
    );
    bytes.len() as u64 * 8
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_object_passes_for_another() {
    let image = repository(256 << 10).await;
    let mut opener = Opener::new(&image, None);
    let folder = |path: &Path| path.as_ref().split('/').next().unwrap_or_default().to_owned();
    let mut swaps = 0u64;
    for (path, whole) in image.objects() {
        assert!(opener.open(path.as_ref(), whole).is_ok(), "{path}");
        for (other, bytes) in image.objects() {
            if other != path && folder(other) == folder(path) {
                swaps += 1;
                assert!(
                    opener.open(path.as_ref(), bytes).is_err(),
                    "{path} holds {other} and opens"
                );
            }
        }
    }
    announce(&format!(
        "counts: {swaps} objects in the place of another one of their kind, each refused; seed {SEED}"
    ));
    assert!(swaps > 3000, "{swaps}");
}
