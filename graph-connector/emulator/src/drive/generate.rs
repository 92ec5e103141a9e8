//! Made-up drives: folders, office files, pictures, tables; some of them the same files that people send by mail.

use super::node::{Kind, Node};
use super::tree::{Conflict, Drive, ROOT};
use crate::clock::BASE_MS;
use crate::generate::content::{pooled, title};
use crate::mail::data::Data;
use crate::random::Stream;

/// Three years of files.
const SPAN_MS: u64 = 3 * 365 * 86_400_000;

/// Fills a drive with `files` files. `people` sizes the pool of files that everybody has.
pub(crate) fn fill(drive: &mut Drive, seed: u64, user: u32, people: u64, files: u32) {
    if files == 0 {
        return;
    }
    let mut s = Stream::new(&[seed, u64::from(user), 120]);
    let mut folders = vec![ROOT];
    for n in 0..(files / 12).clamp(2, 2_000) {
        let parent = folders[s.below(folders.len() as u64) as usize];
        let name = match s.below(6) {
            0 => format!("Projekt Übersicht {n}"),
            1 => format!("{} #{n} 100%", title(&mut s)),
            2 => format!("資料 {n}"),
            _ => format!("{} {n}", title(&mut s)),
        };
        if let Ok((folder, _)) = drive.create_folder(parent, &name, Conflict::Fail) {
            folders.push(folder);
        }
    }
    for n in 0..files {
        let parent = folders[s.below(folders.len() as u64) as usize];
        let (name, data) = file(&mut s, seed, people, n);
        let at = BASE_MS - s.below(SPAN_MS) as i64 / 1000 * 1000;
        let Ok((serial, _)) = drive.put_file(parent, &name, data, Conflict::Rename) else {
            continue;
        };
        if s.one_in(9) {
            let data = file(&mut s, seed, people, n).1;
            let _ = drive.write(serial, data);
        }
        if let Some(node) = drive.edit(serial) {
            (node.fs_created, node.fs_modified) = (at, at + s.below(86_400_000) as i64 / 1000 * 1000);
        }
    }
}

fn file(s: &mut Stream, seed: u64, people: u64, n: u32) -> (String, Data) {
    match s.below(8) {
        0 => (format!("empty {n}.txt"), Data::Bytes(bytes::Bytes::new())),
        1 | 2 => {
            let lines: Vec<String> = (0..1 + s.below(60)).map(|_| title(s)).collect();
            (format!("notes {n}.txt"), Data::Bytes(lines.join("\r\n").into()))
        }
        _ => {
            let (name, _, made) = pooled(seed, people, s);
            (name, Data::Made(made))
        }
    }
}

/// The kinds of items that are neither files nor folders, one of each.
pub(crate) fn oddities(drive: &mut Drive) {
    if let Ok(notebook) = drive.create_other(ROOT, "Notebook", Kind::Package("oneNote"))
        && let Ok((section, _)) = drive.put_file(
            notebook,
            "Section.one",
            Data::Bytes("section".into()),
            Conflict::Fail,
        )
    {
        drive
            .edit(section)
            .into_iter()
            .for_each(|node: &mut Node| node.unreadable = true);
    }
    let _ = drive.create_other(
        ROOT,
        "Shared with me",
        Kind::Remote {
            drive: "b!elsewhere".into(),
            item: "01ELSEWHERE".into(),
        },
    );
    if let Ok((virus, _)) = drive.put_file(ROOT, "invoice.exe", Data::Bytes("EICAR".into()), Conflict::Fail) {
        drive
            .edit(virus)
            .into_iter()
            .for_each(|node: &mut Node| node.malware = true);
    }
}
