#!/usr/bin/env python3
"""Three trees of files, each the same for the same seed.

    datasets.py make KIND DIR [--scale F] [--seed S]     makes DIR
    datasets.py change DIR STASH [--percent P]           adds, replaces and removes P percent of the files
    datasets.py revert DIR STASH                         undoes the change; the files come back with their old times

Kinds, and what scale 1 is:
    mail     threads, quoted text, attachments that several people got: 16,000 messages, 1 GB
    office   documents in ZIP containers, in several versions and copies, with pictures inside: 0.6 GB
    items    short messages, contacts and events, one file each: 58,000 files, 0.5 GB
"""

import argparse
import base64
import io
import json
import os
import random
import sys
import zipfile

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
    """Messages; without attachments they are short."""

    COUNT = 16_000

    def __init__(self, seed, attachments=True):
        self.attachments = attachments
        self.rng = random.Random(seed)
        self.words = Words(random.Random(1))
        self.shared = [document(self.rng, self.words) for _ in range(120 if attachments else 0)]
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
        for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 1, 2)) if self.attachments else 0):
            extension, media, data = rng.choice(self.shared) if rng.random() < 0.28 else document(rng, self.words)
            header = (
                f'Content-Type: {media}; name="{rng.getrandbits(32):08x}.{extension}"\r\n'
                "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
            )
            parts.append(header.encode() + base64_lines(data))
        edge = f"--{boundary}".encode()
        return "\r\n".join(head).encode() + b"\r\n\r\n" + b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"

    def file(self, number):
        folder = ("inbox", "sent", "projects/alpha", "projects/beta", "archive")[number % 5]
        return f"user{number % 8}/{folder}/{number:07}.eml", self.message(number)


class Office:
    """Documents as office programs write them: a ZIP container of XML and pictures. Most files are a later version or a copy
    of another one: the text differs in places, the pictures are the same."""

    COUNT = 1_500

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.words = Words(random.Random(1))
        self.styles = self.words.text(random.Random(2), 4_000)
        self.latest = []

    def file(self, number):
        rng = self.rng
        kind = rng.random()
        if self.latest and kind < 0.10:  # a copy in another folder
            text, pictures, _ = rng.choice(self.latest)
        elif self.latest and kind < 0.60:  # a later version: some paragraphs differ, now and then a picture is added
            document = rng.choice(self.latest)
            document[0] = list(document[0])
            for _ in range(rng.randrange(1, 6)):
                document[0][rng.randrange(len(document[0]))] = self.words.text(rng, rng.randrange(20, 120))
            if rng.random() < 0.2:
                document[1] = document[1] + [self.picture()]
            document[2] += 1
            text, pictures, _ = document
        else:
            text = [self.words.text(rng, rng.randrange(20, 120)) for _ in range(int(min(2_000, rng.lognormvariate(4.2, 1.0))) + 3)]
            pictures = [self.picture() for _ in range(rng.choice((0, 0, 1, 2, 3, 5)))]
            self.latest.append([text, pictures, 1])
            if len(self.latest) > 200:
                self.latest.pop(rng.randrange(200))
        return f"team{number % 12}/{('plans', 'offers', 'minutes')[number % 3]}/{number:06}.docx", self.container(text, pictures)

    def picture(self):
        return self.rng.randbytes(int(min(6_000_000, self.rng.lognormvariate(11.3, 1.1))))

    def container(self, text, pictures):
        body = "".join(f'<w:p><w:pPr><w:spacing w:after="120"/></w:pPr><w:r><w:t>{paragraph}</w:t></w:r></w:p>' for paragraph in text)
        entries = [("[Content_Types].xml", "<Types/>" + self.styles[:1_500]), ("word/document.xml", f"<w:document><w:body>{body}</w:body></w:document>")]
        entries += [(f"word/media/image{at}.jpeg", picture) for at, picture in enumerate(pictures, 1)]
        entries += [("word/styles.xml", self.styles), ("docProps/core.xml", f"<cp:revision>{self.rng.randrange(1_000)}</cp:revision>")]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, data in entries:
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_STORED if name.endswith("jpeg") else zipfile.ZIP_DEFLATED
                archive.writestr(entry, data)
        return out.getvalue()


class Items:
    """Many small files: seven in ten are messages, the others contacts and events. The messages are short, nothing is quoted,
    and the HTML has what mail programs put around every text: a style sheet, a signature, a legal notice."""

    COUNT = 58_000

    def __init__(self, seed):
        self.mail = Mail(seed, attachments=False)
        self.rng = random.Random(seed + 10_000)
        boilerplate = random.Random(3)
        text = self.mail.words.text
        self.styles = ["".join(f"p.{name}, li.{name} {{margin:{boilerplate.randrange(9)}cm; font-size:{boilerplate.randrange(8, 14)}.0pt; font-family:\"{name}\",sans-serif;}}\r\n"
                               for name in text(boilerplate, 22).replace(".", "").split()) for _ in range(6)]
        self.notices = [text(boilerplate, 90) for _ in range(12)]

    def file(self, number):
        rng, words, people = self.rng, self.mail.words, self.mail.people
        folder = f"user{number % 16}/{number % 7}"
        kind = number % 10
        if kind < 7:
            return f"{folder}/{number:07}.eml", self.message(number)
        key = f"{rng.getrandbits(256):064x}"
        name, company = rng.choice(people), rng.choice(words.words)
        if kind == 7:
            record = {"id": key, "changeKey": key[:24], "displayName": name, "companyName": company, "personalNotes": words.text(rng, rng.randrange(60)),
                      "emailAddresses": [{"name": name, "address": f"{name}@{company}.example"}], "businessPhones": [f"+49 30 {rng.randrange(10**7)}"],
                      "categories": [], "parentFolderId": "contacts", "homeAddress": {"street": company, "city": rng.choice(words.words), "postalCode": str(rng.randrange(10**5))}}
            return f"{folder}/{number:07}.json", json.dumps(record).encode()
        attendees = [{"type": "required", "status": {"response": "none", "time": "0001-01-01T00:00:00Z"}, "emailAddress": {"name": p, "address": f"{p}@mail.example"}}
                     for p in rng.sample(people, rng.randrange(1, 12))]
        start = BASE_TIME + rng.randrange(10**7) // 900 * 900
        record = {"id": key, "changeKey": key[:24], "iCalUId": key[::-1], "subject": words.text(rng, rng.randrange(2, 9)), "isAllDay": False,
                  "body": {"contentType": "html", "content": f"<html><body><p>{words.text(rng, rng.randrange(20, 400))}</p></body></html>"},
                  "start": {"dateTime": start, "timeZone": "UTC"}, "end": {"dateTime": start + 1800, "timeZone": "UTC"}, "attendees": attendees,
                  "organizer": {"emailAddress": {"name": name, "address": f"{name}@mail.example"}}, "reminderMinutesBeforeStart": 15}
        return f"{folder}/{number:07}.json", json.dumps(record).encode()

    def message(self, number):
        rng, words = self.rng, self.mail.words
        who = rng.randrange(len(self.mail.people))
        sender, notice, style = self.mail.people[who], self.notices[who % 12], self.styles[who % 6]
        plain = words.text(rng, int(min(1_500, rng.lognormvariate(4.6, 1.0))) + 5)
        signature = f"{sender}, {words.words[3_000 + who]} {words.words[4_000 + who // 20]}, +49 30 {1_000_000 + who}"
        html = "".join(f'<p class="MsoNormal"><span lang="EN-US" style="font-size:11.0pt">{line}</span></p>\r\n' for line in plain.split("\r\n"))
        identity = f"<{number:07}.{rng.getrandbits(64):016x}@mail.example>"
        edge = f"--=_{rng.getrandbits(96):024x}"
        return "\r\n".join([
            f"Received: from mx{rng.randrange(9)}.example (192.0.2.{rng.randrange(250)}) by mail.example with ESMTPS id {rng.getrandbits(60):x}; {BASE_TIME + number * 97}",
            f"Authentication-Results: mail.example; spf=pass smtp.mailfrom=mail.example; dkim=pass header.d=mail.example header.b={rng.getrandbits(48):x}; dmarc=pass",
            f"From: {sender}@mail.example", "To: " + ",\r\n ".join(f"{person}@mail.example" for person in rng.sample(self.mail.people, rng.randrange(1, 5))),
            f"Subject: {words.text(rng, rng.randrange(3, 9))[:-1]}", f"Message-ID: {identity}", f"Date: {BASE_TIME + number * 97}", "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{edge[2:]}"', "", edge, "Content-Type: text/plain; charset=utf-8", "", plain, signature, notice, edge,
            "Content-Type: text/html; charset=utf-8", "", f"<html><head><style><!--\r\n{style}--></style></head><body>", html, f"<p>{signature}</p><p><i>{notice}</i></p></body></html>", edge + "--", ""]).encode()


KINDS = {"mail": Mail, "office": Office, "items": Items}


def write(path, data, time):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (time, time))


def make(arguments):
    if os.path.exists(arguments.dir):
        sys.exit(f"error: {arguments.dir} exists")
    source, total = KINDS[arguments.kind](arguments.seed), 0
    count = max(20, round(source.COUNT * arguments.scale))
    for number in range(count):
        path, data = source.file(number)
        write(os.path.join(arguments.dir, path), data, BASE_TIME + number)
        total += len(data)
    with open(os.path.join(arguments.dir, "KIND"), "w") as file:
        file.write(arguments.kind)
    print(json.dumps({"type": "tree", "kind": arguments.kind, "scale": arguments.scale, "files": count, "bytes": total, "seed": arguments.seed}))


def everything(folder):
    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)


def change(arguments):
    with open(os.path.join(arguments.dir, "KIND")) as file:
        source = KINDS[file.read()](arguments.seed + 1)
    files = [path for path in everything(arguments.dir) if not path.endswith("KIND")]
    rng = random.Random(arguments.seed)
    count = max(4, int(len(files) * arguments.percent / 100))
    added = []
    for at, path in enumerate(rng.sample(files, count)):
        data, time = source.file(at)[1], BASE_TIME + 10_000_000 + at
        if at % 4 < 2:  # half of the changes are new files beside the old ones
            base, extension = os.path.splitext(path)
            added.append(f"{base}-new{extension}")
            write(added[-1], data, time)
            continue
        kept = os.path.join(arguments.stash, os.path.relpath(path, arguments.dir))
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        os.rename(path, kept)
        if at % 4 == 2:  # a quarter is replaced, a quarter removed
            added.append(path)
            write(path, data, time)
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
        if verb is make:
            command.add_argument("kind", choices=KINDS)
        command.add_argument("dir")
        if verb is not make:
            command.add_argument("stash")
        command.add_argument("--scale", type=float, default=1.0)
        command.add_argument("--percent", type=float, default=2.0)
        command.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.verb == "change":
        os.makedirs(arguments.stash, exist_ok=True)
    arguments.run(arguments)


main()
