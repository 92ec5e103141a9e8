#!/usr/bin/env python3
"""A tree of mail files, the same for the same seed: threads, quoted text, attachments that several people got.

    mailtree.py make DIR [--messages N] [--seed S]       makes DIR; about 62 KB a message
    mailtree.py change DIR STASH [--percent P]           adds, replaces and removes P percent of the files
    mailtree.py revert DIR STASH                         undoes the change; the files come back with their old times
"""

import argparse
import base64
import json
import os
import random
import sys

BASE_TIME = 1_767_600_000  # 2026-01-05T08:00:00Z


class Words:
    """Made-up words, frequent ones short, drawn as often as words are in a language."""

    def __init__(self, rng):
        syllables = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "or", "es")]
        self.words = ["".join(rng.choices(syllables, k=1 + min(3, i // 400))) for i in range(12_000)]
        total, self.weights = 0.0, []
        for rank in range(len(self.words)):
            total += 1.0 / (rank + 3)
            self.weights.append(total)

    def text(self, rng, count):
        words = rng.choices(self.words, cum_weights=self.weights, k=count)
        lines = [" ".join(words[at : at + 11]).capitalize() + "." for at in range(0, count, 11)]
        return "\r\n".join(lines)


def document(rng, words):
    """(name, media type, bytes): half of them compressed already, as office files and pictures are."""
    size = int(min(4_000_000, rng.lognormvariate(10.65, 1.0)))
    kind = rng.random()
    if kind < 0.5:
        return "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", rng.randbytes(size)
    if kind < 0.7:
        return "jpg", "image/jpeg", rng.randbytes(size)
    rows, text = [], words.text(rng, size // 8).split(".\r\n")
    for at, line in enumerate(text):
        rows.append(f"{at};{rng.randrange(10_000)};{rng.random():.4f};{line}")
    return "csv", "text/csv", "\r\n".join(rows).encode()


def base64_lines(data):
    text = base64.b64encode(data)
    return b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


class Mail:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.words = Words(random.Random(1))
        self.shared = [document(self.rng, self.words) for _ in range(120)]
        self.people = [f"{self.words.words[900 + i]}.{self.words.words[2_000 + i]}" for i in range(400)]
        self.threads = []

    def message(self, number):
        rng = self.rng
        reply = self.threads and rng.random() < 0.45
        subject, quoted, root = rng.choice(self.threads) if reply else (self.words.text(rng, rng.randrange(3, 9))[:-1], "", None)
        sender, *receivers = rng.sample(self.people, rng.randrange(2, 7))
        own = self.words.text(rng, int(min(6_000, rng.lognormvariate(5.6, 1.0))) + 5)
        plain = own + "\r\n\r\n" + "\r\n".join("> " + line for line in quoted.split("\r\n"))[:30_000]
        identity = f"<{number:07}.{rng.getrandbits(64):016x}@mail.example>"
        self.threads.append((subject, plain, identity))
        if len(self.threads) > 300:
            self.threads.pop(rng.randrange(300))
        boundary = f"=_{rng.getrandbits(96):024x}"
        date = BASE_TIME + number * 97
        head = [
            f"Received: from mx{rng.randrange(9)}.example (192.0.2.{rng.randrange(250)}) by mail.example; {date}",
            f"From: {sender}@mail.example",
            "To: " + ",\r\n ".join(f"{person}@mail.example" for person in receivers),
            f"Subject: {'Re: ' if reply else ''}{subject}",
            f"Message-ID: {identity}",
            f"Date: {date}",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/mixed; boundary="{boundary}"',
        ]
        if root:
            head.append(f"References: {root}")
        parts = [b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + plain.encode()]
        if rng.random() < 0.75:
            body = "".join(f'<p class="MsoNormal" style="margin:0"><span lang="EN">{line}</span></p>\r\n' for line in plain.split("\r\n"))
            parts.append(b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n" + body.encode() + b"</body></html>")
        for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 1, 2))):
            extension, media, data = rng.choice(self.shared) if rng.random() < 0.28 else document(rng, self.words)
            header = (
                f'Content-Type: {media}; name="{rng.getrandbits(32):08x}.{extension}"\r\n'
                "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
            )
            parts.append(header.encode() + base64_lines(data))
        edge = f"--{boundary}".encode()
        return "\r\n".join(head).encode() + b"\r\n\r\n" + b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"


def write(path, data, time):
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (time, time))


def make(arguments):
    if os.path.exists(arguments.dir):
        sys.exit(f"error: {arguments.dir} exists")
    mail, total = Mail(arguments.seed), 0
    for number in range(arguments.messages):
        folder = os.path.join(arguments.dir, f"user{number % 8}", ("inbox", "sent", "projects/alpha", "projects/beta", "archive")[number % 5])
        os.makedirs(folder, exist_ok=True)
        data = mail.message(number)
        write(os.path.join(folder, f"{number:07}.eml"), data, BASE_TIME + number)
        total += len(data)
    print(json.dumps({"type": "tree", "messages": arguments.messages, "bytes": total, "seed": arguments.seed}))


def everything(folder):
    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)


def change(arguments):
    files = everything(arguments.dir)
    mail = Mail(arguments.seed + 1)
    count = max(1, int(len(files) * arguments.percent / 100))
    chosen = mail.rng.sample(files, count)
    added = []
    for at, path in enumerate(chosen):
        kept = os.path.join(arguments.stash, os.path.relpath(path, arguments.dir))
        if at % 4 < 2:  # half of the changes are new files beside the old ones
            added.append(path.replace(".eml", "-new.eml"))
            write(added[-1], mail.message(at), BASE_TIME + 10_000_000 + at)
            continue
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        os.rename(path, kept)
        if at % 4 == 2:  # a quarter is replaced, a quarter removed
            added.append(path)
            write(path, mail.message(at), BASE_TIME + 10_000_000 + at)
    with open(os.path.join(arguments.stash, "added.json"), "w") as file:
        json.dump(added, file)
    print(json.dumps({"type": "change", "files": count}))


def revert(arguments):
    with open(os.path.join(arguments.stash, "added.json")) as file:
        for path in json.load(file):
            os.remove(path)
    os.remove(os.path.join(arguments.stash, "added.json"))
    for kept in everything(arguments.stash):
        os.rename(kept, os.path.join(arguments.dir, os.path.relpath(kept, arguments.stash)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in (make, change, revert):
        command = verbs.add_parser(verb.__name__)
        command.set_defaults(run=verb)
        command.add_argument("dir")
        if verb is not make:
            command.add_argument("stash")
        command.add_argument("--messages", type=int, default=16_000)
        command.add_argument("--percent", type=float, default=2.0)
        command.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.verb == "change":
        os.makedirs(arguments.stash, exist_ok=True)
    arguments.run(arguments)


main()
