//! Random edits between and during runs; at rest the newest point is the truth.

use bytes::Bytes;
use serde_json::json;

use super::lab::Lab;
use crate::bench::{TestRng, seed};
use crate::lab::Truth;

fn edit(lab: &Lab, rng: &TestRng, n: u64) {
    let all = lab.contacts.all().unwrap();
    let folders = lab.contacts.folders().unwrap();
    let folder = folders[rng.below(folders.len())].0.clone();
    let one = || all[rng.below(all.len())].id.clone();
    match rng.below(12) {
        0 | 1 => drop(
            lab.contacts
                .add(&folder, json!({"givenName": format!("New {n}")}))
                .unwrap(),
        ),
        2..=4 if !all.is_empty() => lab
            .contacts
            .edit(&one(), json!({"jobTitle": format!("Job {n}")}))
            .unwrap(),
        5 | 6 if !all.is_empty() => lab.contacts.relocate(&one(), &folder).unwrap(),
        7 if !all.is_empty() => lab.contacts.delete(&one()).unwrap(),
        8 if !all.is_empty() => {
            let id = one();
            let photo = (!n.is_multiple_of(3)).then(|| Bytes::from(format!("photo {n}")));
            lab.contacts.set_photo(&id, photo).unwrap();
            lab.contacts.edit(&id, json!({"title": format!("{n}")})).unwrap();
        }
        9 => drop(
            lab.contacts
                .create_folder(&folder, &format!("Folder {n}"))
                .unwrap(),
        ),
        10 if folder != folders[0].0 => lab.contacts.delete_folder(&folder).unwrap(),
        11 => lab.contacts.expire_delta().unwrap(),
        _ => {}
    }
}

#[tokio::test]
async fn random_histories_end_in_the_truth() {
    let rounds = if std::env::var_os("NAKIVO_FULL").is_some() {
        400
    } else {
        40
    };
    let rng = TestRng::new(seed());
    let lab = Lab::new(12).await;
    lab.bench
        .emulator
        .set(|settings| settings.deleted_contacts_stay = true);
    let mut edits = 0;
    for _ in 0..rounds {
        for _ in 0..rng.below(6) {
            edits += 1;
            edit(&lab, &rng, edits);
        }
        lab.back_up_and_compare().await;
    }
    println!("{rounds} runs, {edits} edits, no difference");
}
