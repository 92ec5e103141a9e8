"""Tests of nakivo_reader.py.

Three kinds: the golden vectors, repositories that a small writer in this file makes (also from the document alone, so
that it can make what no honest writer would), and repositories made by the built binary, if the environment variable
NAKIVO names it. NAKIVO_SEED makes the random ones again.
"""

import base64
import contextlib
import io
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

import zstandard
from blake3 import blake3

import nakivo_reader as reader

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(HERE), "tests", "vectors", "v1")
GOLDEN = os.path.join(os.path.dirname(HERE), "tests", "golden")
NAKIVO = os.environ.get("NAKIVO")
SEED = int(os.environ.get("NAKIVO_SEED") or random.SystemRandom().randrange(1 << 32))
print("NAKIVO_SEED=%d" % SEED, file=sys.stderr)


def vector(name):
    with open(os.path.join(VECTORS, name), "rb") as file:
        return file.read()


def slurp(path):
    with open(path, "rb") as file:
        return file.read()


def spew(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def run(*argv):
    """Runs the reader in this process: (exit code, lines of standard output, standard error)."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = reader.main(list(argv))
        except SystemExit as exit_:
            code = exit_.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return code, texts[0].splitlines(), texts[1]


def manifest_of(folder):
    with open(os.path.join(folder, "manifest.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder) for f in fs)


def splitmix(seed, length):
    out, state, mask = bytearray(), seed, (1 << 64) - 1
    while len(out) < length:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        out += struct.pack("<Q", z ^ z >> 31)
    return bytes(out[:length])


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="reader-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.random = random.Random("%d %s" % (SEED, self.id()))

    def path(self, *names):
        return os.path.join(self.dir, *names)


# --- A writer, as small as it can be ----------------------------------------------------------------------------------

def encode(value):
    def head(major, n):
        for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if n < 24:
                return bytes([major << 5 | n])
            if n < 1 << 8 * size:
                return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    keys = sorted(value, key=lambda k: k.encode() if isinstance(k, str) else k)
    return head(5, len(keys)) + b"".join(encode(k) + encode(value[k]) for k in keys)


class Raw(bytes):
    """A payload that is put in as it is."""


class Forge:
    def __init__(self, folder, seed=1, epoch=0, compress=True):
        self.root, self.epoch, self.compress = os.path.join(folder, "NakivoBackup"), epoch, compress
        self.keys = reader.Repository.__new__(reader.Repository)
        self.keys.epochs = {}
        self.keys.keys, self.keys.id = {}, splitmix(seed, 48)[32:]
        self.master = self.keys.master = splitmix(seed, 32)
        self.chunk_key = reader.derive("nakivo repository v1 chunk-id", self.master + self.keys.id, 32)
        self.block_key = reader.derive("nakivo repository v1 block-id", self.master + self.keys.id, 32)
        self.boundary_key = reader.derive("nakivo repository v1 tree-boundary", self.master + self.keys.id, 32)
        self.pending, self.packs, self.previous, self.number, self.points = [], [], bytes(32), 0, 0
        self.json("format.json", {
            "nakivo": "repository", "version": 1, "id": self.keys.id.hex(), "created": "2026-01-02T03:04:05Z",
            "encrypted": False, "compression": "medium", "compatible_features": [], "incompatible_features": [],
            "concurrency": "conditional-create"})
        self.json("keys/", {
            "nakivo": "key-slot", "version": 1, "repository": self.keys.id.hex(), "kdf": {"algorithm": "none"},
            "wrapped": base64.b64encode(self.master + bytes(4)).decode(), "commitment": "", "description": "",
            "created": "2026-01-02T03:04:05Z"})

    def put(self, name, data):
        spew(os.path.join(self.root, *name.split("/")), data)
        return data

    def json(self, name, value):
        value = dict(value, check=blake3(reader.canonical(value)).hexdigest())
        data = reader.canonical(value)
        self.put(name + blake3(data).hexdigest()[:16] if name.endswith("/") else name, data)

    def seal(self, header, strings, value, limit=None):
        data = value if isinstance(value, Raw) else self.payload(value if isinstance(value, bytes) else encode(value))
        return self.keys.seal_of(struct.unpack_from("<I", header, 12)[0])[0].encrypt(data, [header] + strings)

    def payload(self, data):
        packed = zstandard.ZstdCompressor().compress(data)
        return b"\1" + packed if self.compress and len(packed) < len(data) else b"\0" + data

    def chunk(self, data, payload=None):
        chunk_id = blake3(data, key=self.chunk_key).digest()
        self.pending.append([[(chunk_id, data)], payload])
        return [chunk_id, len(data)]

    def chunks(self, *datas):
        """Several chunks in one block."""
        references = [self.chunk(data) for data in datas]
        blocks = self.pending[-len(datas):]
        self.pending[-len(datas):] = [[[block[0][0] for block in blocks], None]]
        return references

    def pack(self, blocks=None):
        header, body, entries = self.keys.header(reader.PACK, self.epoch), b"", []
        for chunks, payload in self.pending if blocks is None else blocks:
            ids = [c for c, _ in chunks]
            block_id = ids[0] if len(ids) == 1 else blake3(b"".join(ids), key=self.block_key).digest()
            sealed = self.seal(header, [b"block", block_id], payload or b"".join(d for _, d in chunks))
            entries.append([len(sealed), 1, [x for c, d in chunks for x in (c, len(d))]])
            body += sealed
        directory = self.seal(header, [b"directory"], entries)
        data = header + body + directory + struct.pack("<II", len(directory), len(entries)) + b"NAKIVOPK"
        name = blake3(data).digest()
        self.put("packs/%s/%s" % (name.hex()[:2], name.hex()), data)
        self.packs.append({0: name, 1: len(data), 2: self.epoch, 3: entries})
        self.pending = []
        return name.hex()

    def index(self):
        if self.pending:
            self.pack()
        header = self.keys.header(reader.INDEX, self.epoch)
        data = header + self.seal(header, [b"index"], {0: self.packs})
        name, chunks = blake3(data).digest(), sum(len(e[2]) // 2 for p in self.packs for e in p[3])
        self.put("index/" + name.hex(), data)
        reference = {0: name, 1: len(data), 2: len(self.packs), 3: chunks}
        self.packs = []
        return reference

    def commit(self, operations, **change):
        self.number += 1
        header = self.keys.header(reader.COMMIT, self.epoch, self.number)
        body = {0: self.number, 1: self.previous, 2: bytes(16), 3: 0, 4: "forge", 5: operations}
        body.update(change.get("body", {}))
        data = header + self.seal(header, [b"commit"], change.get("payload", body))
        self.put("log/%020d" % self.number, data)
        self.previous = blake3(data).digest()

    def checkpoint(self, points, indexes, boundary=0, **change):
        header = self.keys.header(reader.CHECKPOINT, self.epoch, change.get("number", self.number))
        body = {0: self.number, 1: change.get("hash", self.previous), 2: points, 3: [], 4: indexes, 5: [], 6: [],
                7: boundary}
        self.put("checkpoint/%020d" % change.get("number", self.number), header + self.seal(
            header, [b"checkpoint"], body))

    def part(self, data, name="content", segments=None, **fields):
        hash_ = blake3(data, key=self.chunk_key).digest()
        return {0: name, 2: len(data), 3: hash_, 4: segments or [0, [{1: len(data), 2: [self.chunk(data)]}]], **fields}

    def item(self, container, name, data=None, kind=6, id_=None, **fields):
        id_ = name if id_ is None else id_
        record = {0: kind, 1: id_, 2: container, 3: name}
        if data is not None:
            record.update({5: len(data), 12: [self.part(data)]})
        record.update(fields.get("record", {}))
        key = container.encode() + (b"\0\1" if kind == 1 else b"\0\2") + id_.encode()
        return key, record.get(5, 0), encode(record)

    def node(self, level, entries):
        previous, rows = b"", []
        for key, *rest in entries:
            shared = len(os.path.commonprefix([previous, key])) if rows else 0
            rows.append([shared, key[shared:]] + rest)
            previous = key
        return self.chunk(encode([level, rows]))

    def tree(self, entries):
        """Section 6, with its rule for the shape."""
        level, entries = 0, sorted([*e] for e in entries)
        while True:
            nodes, current, weight = [], [], 0
            for i, entry in enumerate(entries):
                current.append(entry)
                weight += len(entry[0]) + (64 if level else len(entry[2]))
                h = int.from_bytes(blake3(entry[0], key=self.boundary_key).digest()[:8], "little")
                if h % (1 << 6 * (level + 1)) == 0 or weight >= 1 << 20 or i == len(entries) - 1:
                    reference = self.node(level, current)
                    nodes.append([current[-1][0], *reference,
                                  len(current) if level == 0 else sum(e[3] for e in current),
                                  sum(e[4] for e in current) if level else sum(e[1] for e in current)])
                    current, weight = [], 0
            if len(nodes) == 1:
                return {0: nodes[0][1:3], 1: level, 2: nodes[0][3], 3: nodes[0][4]}
            level, entries = level + 1, nodes

    def point(self, items, name="files", **fields):
        self.points += 1
        manifest = {
            0: struct.pack(">QQ", self.points, 1), 1: {0: "folder/" + name, 1: 4, 2: name, 4: "folder", 5: name},
            2: struct.pack(">QQ", self.points, 2), 4: self.points, 5: self.points, 7: 1, 9: {0: len(items)},
            14: "forge"}
        if items:
            manifest[6] = self.tree(items)
        manifest.update(fields)
        return manifest

    def add(self, items, **fields):
        point = self.point(items, **{k: v for k, v in fields.items() if k == "name"})
        point.update(fields.get("manifest", {}))
        self.commit([[1, {0: [self.index()]}], [2, {0: point}]])
        return point[0].hex()


# --- Golden vectors ---------------------------------------------------------------------------------------------------

class Vectors(Case):
    def open(self, **objects):
        """A repository of the vectors' key, with the objects given: {name: vector}."""
        root = self.path("r", "NakivoBackup")
        slot = vector("key-slot.json")
        spew(os.path.join(root, "format.json"), vector("format.json"))
        spew(os.path.join(root, "keys", blake3(slot).hexdigest()[:16]), slot)
        for name, data in objects.items():
            spew(os.path.join(root, *name.split("/")), data)
        return reader.Repository(self.path("r"), lambda: b"correct horse")

    def test_keys(self):
        repo = self.open()
        self.assertEqual(repo.master, bytes(range(32)))
        self.assertEqual(repo.id, bytes(range(0xA0, 0xB0)))
        self.assertEqual(repo.header(reader.COMMIT, 0, 0x0102030405060708), vector("header.bin"))
        for passphrase in (b"", b"correct horse ", b"Correct horse"):
            with self.assertRaises(reader.Stop) as caught:
                reader.Repository(self.path("r"), lambda: passphrase)
            self.assertEqual(caught.exception.code, reader.WRONG_PASSPHRASE)

    def test_recovery_key_and_rotation(self):
        root, slot = self.path("r", "NakivoBackup"), vector("key-slot-recovery.json")
        spew(os.path.join(root, "format.json"), vector("format.json"))
        spew(os.path.join(root, "keys", blake3(slot).hexdigest()[:16]), slot)
        spew(os.path.join(root, "log", "%020d" % 8), vector("commit-epoch-1.bin"))
        spew(self.path("key"), vector("recovery-key.txt"))
        key = reader.read_key(self.path("key"))
        self.assertEqual(key, bytes(range(0x40, 0x60)))
        repo = reader.Repository(self.path("r"), lambda: key)
        self.assertEqual((repo.master, list(repo.epochs), repo.since), (bytes(range(32)), [1], 7))
        commit, _ = repo.read_commit(8)
        self.assertEqual([tag for tag, _ in commit.operations], list(range(1, 11)))
        # What was there before epoch 1, under its own number: commit 7 began the epoch, so it cannot be right.
        for number, fits in ((6, True), (7, False), (8, False)):
            header = repo.header(reader.COMMIT, 0, number)
            if fits:
                self.assertEqual(repo.check_header(header, reader.COMMIT, number), 0)
            else:
                with self.assertRaises(reader.Damage):
                    repo.check_header(header, reader.COMMIT, number)
        with self.assertRaises(reader.Damage):
            repo.header(reader.PACK, 2)
        for wrong in (lambda: b"correct horse", lambda: reader.RecoveryKey(bytes(32))):
            with self.assertRaises(reader.Stop) as caught:
                reader.Repository(self.path("r"), wrong)
            self.assertEqual(caught.exception.code, reader.WRONG_PASSPHRASE)
        os.remove(os.path.join(root, "log", "%020d" % 8))
        self.assertIn("set back", "".join(why for _, why in reader.Repository(self.path("r"), lambda: key).damages))

    def test_typing_errors_in_a_key(self):
        text = vector("recovery-key.txt").decode()
        for typed in (text.lower(), text.replace("-", " "), "# note\n\ufeff" + text, text.replace("0", "O")):
            spew(self.path("key"), typed.encode())
            self.assertEqual(reader.read_key(self.path("key")), bytes(range(0x40, 0x60)))
        places = [at for at, c in enumerate(text) if c not in "-\n"]
        for number, at in enumerate(places):
            spew(self.path("key"), (text[:at] + ("Z" if text[at] != "Z" else "Y") + text[at + 1:]).encode())
            with self.assertRaises(reader.Stop) as caught:
                reader.read_key(self.path("key"))
            self.assertIn("group %d " % (number // 8 + 1), str(caught.exception))
        spew(self.path("key"), text[:-3].encode())
        with self.assertRaises(reader.Stop):
            reader.read_key(self.path("key"))

    def test_slot_without_passphrase(self):
        forge, slot = Forge(self.path("r")), vector("key-slot-plain.json")
        shutil.rmtree(os.path.join(forge.root, "keys"))
        forge.put("keys/" + blake3(slot).hexdigest()[:16], slot)
        config = json.loads(vector("format.json"))
        config.pop("check")
        forge.json("format.json", dict(config, encrypted=False))
        self.assertEqual(reader.Repository(self.path("r"), None).master, bytes(range(32)))
        forge.json("format.json", dict(config, encrypted=True))  # a slot that somebody smuggled in
        self.assertEqual(run("list", self.path("r"))[0], reader.DAMAGED)

    def test_pack_and_index(self):
        pack, index = vector("pack.bin"), vector("index.bin")
        name, index_id = blake3(pack).hexdigest(), blake3(index).hexdigest()
        repo = self.open(**{"packs/%s/%s" % (name[:2], name): pack, "index/" + index_id: index})
        body = reader.INDEX_BODY(repo.open_object("index/" + index_id, reader.INDEX)[1])
        self.assertEqual([p.id.hex() for p in body.packs], [name])
        self.assertEqual(repo.read_directory(name), (body.packs[0].epoch, body.packs[0].length, body.packs[0].entries))
        repo.scan_packs()
        found = [repo.chunk(reader.CHUNK(entry[2][i:i + 2])) for entry in body.packs[0].entries
                 for i in range(0, len(entry[2]), 2)]
        self.assertEqual(found, [b"the first chunk, alone in its block", b"second", b"third", b""])
        self.assertIn(vector("block.bin"), pack)

    def test_commit(self):
        for name in ("commit.bin", "commit-zstd.bin"):
            repo = self.open(**{"log/%020d" % 2: vector(name)})
            commit, _ = repo.read_commit(2)
            self.assertEqual([tag for tag, _ in commit.operations], list(range(1, 11)))
            operations = [reader.OPERATIONS[tag](fields) for tag, fields in commit.operations]
            self.assertEqual((commit.previous, commit.time, commit.software), (b"\t" * 32, 1700000061000,
                                                                              "nakivo 0.1.0"))
            self.assertEqual(operations[1].manifest.protection, (2, 1800000000000))
            self.assertEqual(operations[2].progress.started, -1)
            self.assertEqual((operations[4].protection, operations[4].description), ((1,), None))
            # Commit 1 is not there, so history must be said to be broken.
            self.assertEqual([where for where, _ in repo.damages], ["log"])

    def test_checkpoint(self):
        repo = self.open(**{"checkpoint/%020d" % 2: vector("checkpoint.bin")})
        self.assertEqual((repo.head, repo.boundary, list(repo.state.points)), (2, 1, [b"\1" * 16]))
        self.assertEqual(repo.state.tombstones, {b"\x18" * 32: 2})
        self.assertEqual(repo.state.removed, {b"\x16" * 16: 1})
        self.assertEqual([where for where, _ in repo.damages], ["index/" + "17" * 32])

    def test_damage(self):
        repo = self.open(**{"log/%020d" % 2: vector("commit-damage.bin")})
        (tag, fields), = repo.read_commit(2)[0].operations
        operation = reader.OPERATIONS[tag](fields)
        self.assertEqual([(p.id, p.blocks) for p in operation.packs], [(b"\x1f" * 32, [0, 7]), (b"\x20" * 32, [])])
        self.assertEqual((operation.sound, operation.whole), ([b"\x21" * 32], [b"\x22" * 16]))
        repo = self.open(**{"checkpoint/%020d" % 2: vector("checkpoint-damage.bin")})
        point = repo.state.damaged_points[b"\1" * 16]
        self.assertEqual((point.lost, point.items), (2, [b"inbox\0\2AAMk1"]))
        self.assertEqual(sorted(repo.state.damaged_packs), [b"\x1f" * 32, b"\x20" * 32])

    def test_records(self):
        item = reader.ITEM(reader.cbor(vector("item-record.cbor")))
        self.assertEqual((item.id, item.name, item.modified, item.properties["importance"]), ("AAMk1", "Grüße", -2, -1))
        self.assertEqual(item.parts[0].segments[1][1].encoding, (1, 76, 0, True))
        self.assertEqual(item.parts[1].segments, (1, (1, 1 << 20, [(b"\x14" * 32, 1 << 20)])))
        self.assertEqual(reader.ITEM(reader.cbor(vector("container-record.cbor"))).kind, 1)
        self.assertEqual([(reader.LEDGER_ENTRY(e).kind, reader.LEDGER_ENTRY(e).retry)
                          for e in reader.cbor_sequence(vector("ledger.cborseq"))], [(1, True), (3, False)])
        self.assertEqual([len(e) for e in reader.cbor_sequence(vector("edits.cborseq"))], [3, 1])
        self.assertEqual([reader.SEGMENT(s).length for s in reader.cbor_sequence(vector("segments.cborseq"))],
                         [3, 4097])

    def test_tree(self):
        repo, nodes = self.open(), {}
        for name in ("tree-root.cbor", "tree-leaf.cbor"):
            nodes[blake3(vector(name), key=repo.chunk_key).digest()] = vector(name)
        repo.chunk = lambda reference: nodes[reference[0]]
        root, level, entries, size = vector("tree-root.txt").decode().split()
        node = repo.read_node((bytes.fromhex(root), 0), int(level), None, int(entries), int(size), None)
        wanted = sorted((b"folder%d\0\2item%03d" % (i % 3, i), i, b"value %d" % i) for i in range(500))
        key, *leaf = node[0]
        self.assertEqual(repo.read_node(tuple(leaf[:2]), 0, key, *leaf[2:], None), wanted[:leaf[2]])
        for change in ((1, None, 501, int(size)), (1, b"x", 500, int(size)), (2, None, 500, int(size))):
            with self.assertRaises(reader.Damage):
                repo.read_node((bytes.fromhex(root), 0), *change, None)
        # The rule for the shape, by the writer in this file.
        forge = Forge(self.path("f"))
        forge.chunk_key, forge.boundary_key = repo.chunk_key, reader.derive(
            "nakivo repository v1 tree-boundary", repo.master + repo.id, 32)
        self.assertEqual(forge.tree(wanted)[0][0].hex(), root)

    def test_mail(self):
        repo, stream = self.open(), splitmix(1, 3001)
        repo.chunk = {(blake3(stream, key=repo.chunk_key).digest(), 3001): stream}.get
        mail = vector("mail.eml")
        part = reader.PART({0: "mime", 2: len(mail), 3: blake3(mail, key=repo.chunk_key).digest(),
                            4: [0, list(reader.cbor_sequence(vector("mail-segments.cborseq")))]})
        self.assertEqual(b"".join(repo.content(part)), mail)

    def test_chunker(self):
        """Section 7 is nothing that a reader needs, but it is in the document."""
        repo = self.open()
        gear = struct.unpack("<256Q", reader.derive("nakivo repository v1 gear", repo.master + repo.id, 2048))
        data, cuts, start, mask = splitmix(1, 8 << 20), [], 0, (1 << 64) - 1
        while start < len(data):
            h, n = 0, min(256 << 10, len(data) - start)
            for byte in data[start + n:start + (4 << 20)]:
                h = (h << 1) + gear[byte] & mask
                n += 1
                if h >> (42 if n <= 1 << 20 else 46) == 0:
                    break
            start += n
            cuts.append(start)
        self.assertEqual(cuts, [int(x) for x in vector("chunker-cuts.txt").split()])


# --- What no honest writer makes --------------------------------------------------------------------------------------

class Forged(Case):
    def setUp(self):
        super().setUp()
        self.forge = Forge(self.path("r"))

    def verify(self, *options):
        return run("verify", self.path("r"), *options)

    def export(self, *options):
        shutil.rmtree(self.path("out"), ignore_errors=True)
        code, lines, errors = run("export", self.path("r"), self.path("out"), *options)
        return code, {line["id"]: slurp(self.path("out", *line["file"].split("/")))
                      for line in manifest_of(self.path("out")) if line.get("part") and "error" not in line}, errors

    def test_good(self):
        forge = self.forge
        items = [forge.item("", "f%d" % i, b"data %d" % i) for i in range(300)] + [forge.item("", "d", kind=1)]
        items.append(forge.item("d", "big", b"x" * 100000, id_="d/big"))
        forge.add(items)
        forge.epoch = 7  # a reader derives the keys of each object's epoch
        forge.add([forge.item("", "new", b"new")], name="other")
        self.assertEqual(self.verify()[0], 0)
        code, found, _ = self.export()
        self.assertEqual((code, len(found), found["d/big"], found["f7"]), (0, 302, b"x" * 100000, b"data 7"))
        self.assertEqual(slurp(self.path("out", "files", "d", "big")), b"x" * 100000)

    def test_hostile_names(self):
        names = ["..", ".", "", "/", "/etc/passwd", "../../../x", "a/../b", "C:\\x", "con", "NUL.txt", "a" * 1000,
                 "ä" * 400 + ".txt", "x\ny", "\x1b[2J", "\u202egpj.exe", " ", "...", "case", "CASE", "Case", "ß", "ss",
                 "manifest.jsonl", ".unfinished", "~", "-rf", "COM\u00b9", "\u2024\u2024", "fi", "\ufb01", "e\u0301",
                 "\u00e9"]
        forge, items = self.forge, []
        for i, name in enumerate(names):
            items.append(forge.item("", name, b"file %d" % i, id_="f%d" % i))
            items.append(forge.item("", name, kind=1, id_="d%d" % i))
            items.append(forge.item("d%d" % i, name, b"below %d" % i, id_="b%d" % i))
        items += [forge.item("c2", "circle", kind=1, id_="c1"), forge.item("c1", "circle", kind=1, id_="c2"),
                  forge.item("c1", "in a circle", b"c", id_="c"), forge.item("lost", "orphan", b"o", id_="o"),
                  forge.item("self", "self", kind=1, id_="self")]
        parent = ""
        for depth in range(1500):
            items.append(forge.item(parent, "deep " * 5, kind=1, id_="deep%d" % depth))
            parent = "deep%d" % depth
        items.append(forge.item(parent, "at the bottom", b"bottom"))
        forge.add(items, name="../../..")
        code, found, errors = self.export()
        self.assertEqual((code, errors, len(found)), (0, "", 2 * len(names) + 3))
        for i in range(len(names)):
            self.assertEqual((found["f%d" % i], found["b%d" % i]), (b"file %d" % i, b"below %d" % i))
        self.assertEqual(sorted(os.listdir(self.dir)), ["out", "r"])
        self.assertEqual(len(os.listdir(self.path("out"))), 2)
        for folder, folders, files in os.walk(self.path("out")):
            self.assertEqual(len({n.casefold() for n in folders + files}), len(folders + files))
            for name in folders + files:
                self.assertFalse(set(name) & set('<>:"/\\|?*\n\x1b\u202e') or name != name.rstrip(" ."), name)
        self.assertEqual(run("tree", self.path("r"))[0], 0)
        again = run("export", self.path("r"), self.path("out"))
        self.assertEqual(again[0], reader.USAGE)

    def test_newer(self):
        forge = self.forge
        forge.add([forge.item("", "a", b"a", record={99: "unknown keys are ignored", 100: {"x": [1]}})])
        self.assertEqual(self.export()[:2], (0, {"a": b"a"}))
        config = json.loads(slurp(os.path.join(forge.root, "format.json")))
        config.pop("check")
        for change, code in (({"new": 1, "compatible_features": ["x"]}, 0), ({"version": 2}, 10),
                             ({"version": True}, 10), ({"incompatible_features": ["x"]}, 10), ({"nakivo": "x"}, 1),
                             ({"id": "00" * 16}, 1), ({"id": 5}, 1), ({"encrypted": "no"}, 1)):
            forge.json("format.json", dict(config, **change))
            self.assertEqual(self.verify()[0], code, change)
        self.assertEqual(self.verify("--without-format")[0], 0)
        forge.json("format.json", config)
        for change in ({"record": {0: 9}}, {"record": {12: [forge.part(b"", segments=[2, b""])]}},
                       {"record": {12: [forge.part(b"", segments=[0, [{0: [2], 1: 0, 2: b""}]])]}},
                       {"record": {11: {"x": {}}}}, {"record": {11: {"x": "y" * (1 << 20)}}}):
            other = Forge(self.path("r"))
            other.add([other.item("", "a", b"a", **change), other.item("", "b", b"b")])
            code, found, _ = self.export()
            self.assertEqual((code, found.get("b")), (1, b"b"), change)
        other.commit([[12, {}]])
        code, _, errors = self.verify()
        self.assertEqual(code, 1)
        self.assertIn("unknown operation 12", errors)

    def test_bombs(self):
        forge = self.forge

        def frame(size):  # states a size and ends there
            return b"\1\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\1\0\0"
        deep, long = b"\0" + b"\x81" * 100000 + b"\0", b"\0\x9b" + b"\xff" * 8
        for payload in (frame(1 << 60), frame((64 << 20) + 1), frame(5), deep, long, b"\2", b"\1", b"\0",
                        b"\1" + zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100),
                        b"\1" + zstandard.ZstdCompressor().compress(b"\0") * 2):
            forge.number, forge.previous = 0, bytes(32)
            forge.commit([], payload=Raw(payload))
            self.assertEqual(self.verify()[0], 1, payload[:20])
        forge.number, forge.previous = 0, bytes(32)
        data = b"y" * 1000
        bad = forge.part(data, segments=[0, [{1: 1000, 2: [forge.chunk(
            data, Raw(b"\1" + zstandard.ZstdCompressor().compress(b"y" * 1000000)))]}]])
        ratio = forge.part(b"z" * 10, segments=[0, [{1: 10, 2: [forge.chunk(b"z" * 1000000)] * 1000}]])
        blob = forge.part(b"", segments=[1, [1, 1 << 62, [[bytes(32), 1 << 62]]]])
        forge.add([forge.item("", "a", record={5: 1000, 12: [bad]}), forge.item("", "b", b"b"),
                   forge.item("", "c", record={12: [ratio]}), forge.item("", "d", record={12: [blob]})])
        code, found, errors = self.export()
        self.assertEqual((code, found, errors.count("damaged:")), (1, {"b": b"b"}, 3))
        self.assertEqual(files_below(self.path("out")), ["files/b", "manifest.jsonl"])

    def test_limit_of_chunks(self):
        for size, result in ((8 << 20, 0), ((8 << 20) + 1, 1)):
            forge = Forge(self.path("r"))
            forge.add([forge.item("", "a", bytes(size))])
            code, found, _ = self.export()
            self.assertEqual((code, len(found)), (result, 1 - result))
            shutil.rmtree(self.path("r"))

    def test_trees(self):
        """A damaged node, item or part is named, and the rest comes out."""
        in_parts = ("hash", "part size", "chunk", "reference", "segments")
        for what in ("entries", "last", "level", "order", "size", "key", "shared") + in_parts:
            forge = Forge(self.path("r"))
            good, a, b = forge.item("", "zz", b"good"), forge.item("", "a", b"a"), forge.item("", "b", b"b")
            leaf = [a, b]
            if what == "order":
                leaf = [b, a]
            if what == "key":
                leaf = [a, (b"\0\2b2", b[1], b[2])]
            if what == "size":
                leaf = [a, (b[0], 2, b[2])]
            if what in in_parts:
                part, other = forge.part(b"b"), forge.part(b"bb")
                if what in ("hash", "part size"):
                    part.update({3: bytes(32)} if what == "hash" else {2: 2})
                if what == "chunk":  # a block with another content than the chunk's id and the part's hash stand for
                    part = forge.part(b"B", segments=[0, [{1: 1, 2: [forge.chunk(b"C", Raw(b"\0B"))]}]])
                if what == "reference":
                    part[4] = [0, [{1: 1, 2: [[other[4][1][0][2][0][0], 1]]}]]
                if what == "segments":
                    part = forge.part(b"bbb", segments=[0, [{1: 2, 2: b"b"}, {1: 2, 2: b"bb"}]])
                leaf = [a, forge.item("", "b", record={5: 1, 12: [part]})]
            node = forge.node(1 if what == "level" else 0, leaf)
            if what == "shared":
                node = forge.chunk(encode([0, [[0, *a], [9, b"b", *b[1:]]]]))
            rows = [[b"\0\2c" if what == "last" else leaf[-1][0], *node, 3 if what == "entries" else 2,
                     sum(e[1] for e in leaf)], [good[0], *forge.node(0, [good]), 1, 4]]
            root = {0: forge.node(1, rows), 1: 1, 2: sum(r[3] for r in rows), 3: sum(r[4] for r in rows)}
            forge.add([], manifest={6: root})
            code, found, errors = self.export()
            self.assertEqual((code, found["zz"], errors.count("damaged:")), (1, b"good", 1), what)
            self.assertNotIn("b", found)
            self.assertEqual("a" in found, what in ("size", "key") + in_parts)
            self.assertEqual(self.verify()[0], 1)

    def test_history(self):
        def forge_with(*operations):
            forge = Forge(self.path("r"))
            first = forge.point([forge.item("", "a", b"a")])
            index = forge.index()
            forge.commit([[1, {0: [index]}], [2, {0: first}]])
            for batch in operations:
                forge.commit([op(first, index) if callable(op) else op for op in batch])
            return self.verify()
        again = lambda point, index: [2, {0: point}]
        remove = lambda point, index: [4, {0: [point[0]], 1: "because"}]
        edit = lambda point, index: [5, {0: point[0], 1: [2, 5], 2: "text"}]
        run_ = [3, {0: {0: b"r" * 16, 1: "o", 3: 1}}]
        mark, unmark = [8, {0: [b"p" * 32]}], [9, {0: [b"p" * 32]}]
        self.assertEqual(forge_with([edit, remove], [run_, [6, {0: b"r" * 16}]], [mark, unmark, mark],
                                    [[10, {0: [b"p" * 32]}]],
                                    [lambda p, i: [7, {0: [i], 1: [i[0]]}]])[0], 0)
        for batches in ([[again]], [[remove], [again]], [[remove, again]], [[remove, remove]], [[remove], [edit]],
                        [[[6, {0: b"r" * 16}]]], [[mark, mark]], [[unmark]], [[lambda p, i: [1, {0: [i]}]]],
                        [[lambda p, i: [7, {0: [i], 1: []}]]], [[[7, {0: [], 1: [b"i" * 32]}]]]):
            code, _, errors = forge_with(*batches)
            self.assertEqual((code, "conflict" in errors), (1, True))
            shutil.rmtree(self.path("r"))
        for change in ({1: b"x" * 32}, {0: 7}):  # another previous commit, another number
            forge = Forge(self.path("r"))
            forge.add([forge.item("", "a", b"a")])
            forge.commit([], body=change)
            code, found, errors = self.export()
            self.assertEqual((code, found), (1, {"a": b"a"}))

    def test_checkpoints(self):
        forge = self.forge
        points, indexes = [], []
        for n in range(3):
            points.append(forge.point([forge.item("", str(n), b"x")], name=str(n)))
            indexes.append(forge.index())
            forge.commit([[1, {0: [indexes[n]]}], [2, {0: points[n]}]])
        everything = {"0": b"x", "1": b"x", "2": b"x"}
        log = [os.path.join(forge.root, "log", "%020d" % n) for n in (1, 2, 3)]
        forge.checkpoint(points, indexes)
        self.assertEqual((self.verify()[0], self.export()[1]), (0, everything))
        for change in ({"hash": bytes(32)}, {"boundary": 4}, {"number": 4}):  # the last: a name that its content denies
            shutil.rmtree(os.path.join(forge.root, "checkpoint"))
            forge.checkpoint(points, indexes, **change)
            self.assertEqual((self.verify()[0], self.export()[1]), (1, everything), change)
        shutil.rmtree(os.path.join(forge.root, "checkpoint"))
        forge.checkpoint(points, indexes, boundary=2)
        spew(log[0], b"a writer wrote into the past and died before it removed this")
        os.unlink(log[1])
        self.assertEqual((self.verify()[0], self.export()[1]), (0, everything))
        os.unlink(log[2])  # above the boundary: nothing needs it, but somebody has removed it
        self.assertEqual(self.verify()[0], 1)
        self.assertEqual(self.export()[:2], (0, everything))
        forge.number -= 1
        forge.checkpoint(points[:2], indexes[:2])  # an older one beside it changes nothing
        self.assertEqual(self.export()[:2], (0, everything))

    def test_salvage(self):
        forge = self.forge
        for name in "abc":
            forge.add([forge.item("", name, name.encode())], name=name)
        path = os.path.join(forge.root, "log", "%020d" % 2)
        spew(path, slurp(path)[:-1] + b"?")
        self.assertEqual(self.export()[:2], (1, {"a": b"a"}))
        self.assertEqual(self.export("--salvage")[:2], (1, {"a": b"a", "c": b"c"}))

    def test_seen(self):
        forge, head = self.forge, None
        for name in "ab":
            forge.add([forge.item("", name, b"")])
            code, lines, _ = run("list", self.path("r"), "--json")
            previous, head = head, "%(head)d:%(head_hash)s" % json.loads(lines[0])
        for seen, code in ((previous, 0), (head, 0), (head.replace("2:", "3:"), 1), ("1:" + "0" * 64, 1), ("x", 2)):
            self.assertEqual(run("list", self.path("r"), "--seen", seen)[0], code)
        os.unlink(os.path.join(forge.root, "log", "%020d" % 2))
        self.assertEqual((run("list", self.path("r"))[0], run("list", self.path("r"), "--seen", head)[0]), (0, 1))

    def test_ledger(self):
        """What is not in a point is listed in the manifest; a damaged ledger or cursor is named."""
        forge = self.forge
        entries = [{0: 1, 1: b"\0\2x", 3: "x", 4: {0: "denied", 1: "no access"}, 5: True},
                   {0: 3, 2: "", 3: "y", 4: {0: "renamed", 1: ""}}]
        data = b"".join(map(encode, entries))
        forge.add([forge.item("", "a", b"a")], manifest={7: 2, 8: [0, b"cursor"], 13: [1, len(data), [
            forge.chunk(data)]]})
        code, found, _ = self.export()
        lines = [line for line in manifest_of(self.path("out")) if "code" in line]
        self.assertEqual((code, found, [(line["type"], line["path"], line["code"]) for line in lines]),
                         (0, {"a": b"a"}, [("not_in_point", "x", "denied"), ("warning", "y", "renamed")]))
        for change in ({8: [1, 5, [[bytes(32), 5]]]}, {13: [0, b"\x01"]}, {13: [1, 7, []]}):
            forge = Forge(self.path("r"))
            forge.add([forge.item("", "a", b"a")], manifest=change)
            code, _, errors = self.verify()
            self.assertEqual((code, errors.count("damaged:")), (1, 1))
            self.assertEqual(self.export()[1], {"a": b"a"})

    def test_slots(self):
        """Any one slot opens the repository; damaged ones beside it are named."""
        forge = self.forge
        forge.add([forge.item("", "a", b"a")])
        name = os.listdir(os.path.join(forge.root, "keys"))[0]
        slot = json.loads(slurp(os.path.join(forge.root, "keys", name)))
        slot.pop("check")
        argon = {"algorithm": "argon2id", "memory_kib": 8192, "time": 1, "parallelism": 1,
                 "salt": base64.b64encode(bytes(16)).decode()}
        self.forge.put("keys/not a slot", b"ignored")
        self.assertEqual(self.verify()[0], 0)
        for change in ({"kdf": {"algorithm": "scrypt"}}, {"kdf": {}}, {"kdf": 5}, {"wrapped": "?"}, {"version": 2},
                       {"repository": "00" * 16}, {"wrapped": ""}, {"commitment": 5},
                       *({"kdf": dict(argon, **bad), "wrapped": base64.b64encode(bytes(52)).decode()} for bad in (
                           {"memory_kib": 8191}, {"memory_kib": (1 << 20) + 1}, {"time": 0}, {"time": 17},
                           {"parallelism": 0}, {"parallelism": 17}, {"memory_kib": True}, {"salt": "AA=="}))):
            os.unlink(os.path.join(forge.root, "keys", name))
            forge.json("keys/", dict(slot, **change))
            code, _, errors = self.verify()
            self.assertEqual((code, errors.count("\n")), (1, 2), change)  # the slot, and that none is left
            bad = [n for n in os.listdir(os.path.join(forge.root, "keys")) if len(n) == 16]
            forge.json("keys/", slot)
            self.assertEqual(self.export()[1], {"a": b"a"})
            os.unlink(os.path.join(forge.root, "keys", bad[0]))
        spew(self.path("pass"), b"mine")  # who gives a passphrase must not be served by a repository without one
        self.assertEqual(self.verify("--passphrase-file", self.path("pass"))[0], 12)
        os.rename(os.path.join(forge.root, "keys", name), os.path.join(forge.root, "keys", "0" * 16))
        self.assertEqual(self.export()[:2], (1, {"a": b"a"}))
        self.assertEqual(self.verify()[0], 1)

    def test_exchanged(self):
        """Objects of the same kind in each other's place, and things that are no files."""
        forge = self.forge
        for name in "abc":
            forge.add([forge.item("", name, name.encode())], name=name)
        other = Forge(self.path("other"), seed=2)
        other.add([other.item("", "a", b"a")])
        foreign = {name.split("/")[0]: slurp(os.path.join(other.root, name)) for name in files_below(other.root)}
        names = files_below(forge.root)
        for name in names:
            data, kind = slurp(os.path.join(forge.root, name)), name.split("/")[0]
            others = [slurp(os.path.join(forge.root, n)) for n in names if n.startswith(kind) and n != name]
            for replacement in others + [foreign[kind], b" " * 65537]:
                forge.put(name, replacement)
                self.assertNotEqual(self.verify()[0], 0, name)
                if name.startswith("packs"):
                    self.assertLessEqual(set(self.export()[1].items()), {("a", b"a"), ("b", b"b"), ("c", b"c")})
            os.unlink(os.path.join(forge.root, name))
            if hasattr(os, "mkfifo"):
                os.mkfifo(os.path.join(forge.root, name))
                self.assertNotEqual(self.verify()[0], 0, name)
                os.unlink(os.path.join(forge.root, name))
            os.mkdir(os.path.join(forge.root, name))
            self.assertNotEqual(self.verify()[0], 0, name)
            os.rmdir(os.path.join(forge.root, name))
            forge.put(name, data)
        self.assertEqual(self.verify()[0], 0)

    def test_directories(self):
        """A directory that lies about its pack, sealed by somebody who has the key."""
        for change in ("chunks", "odd", "stored", "size", "count", "length", "gap", "epoch", "role", "reference"):
            shutil.rmtree(self.path("r"), ignore_errors=True)
            forge = Forge(self.path("r"))
            point = forge.point([forge.item("", "a", b"a" * 50)])
            forge.pack()
            pack = forge.packs[0]
            entry = pack[3][0]
            if change == "chunks":
                entry[2] = []
            if change == "odd":
                entry[2].pop()
            if change == "stored":
                entry[0] = 1 << 40
            if change == "size":
                entry[2][1] = 1 << 40
            if change == "count":
                pack[3].append(entry)
            if change == "length":
                pack[1] += 1
            if change == "gap":
                entry[0] -= 1
            if change == "epoch":
                pack[2] = 5
            if change == "role":  # no matter to a reader, but the index must say what the pack says
                entry[1] = 2
            index = forge.index()
            if change == "reference":
                index[3] += 1
            forge.commit([[1, {0: [index]}], [2, {0: point}]])
            self.assertEqual(self.verify()[0], 1, change)

    def test_packs_that_lie(self):
        """When the index is lost, the packs speak for themselves, but not if they contradict themselves."""
        forge = self.forge
        forge.add([forge.item("", "a", b"a" * 50)])
        shutil.rmtree(os.path.join(forge.root, "index"))
        name = next(n for n in files_below(forge.root) if n.startswith("packs"))
        data = slurp(os.path.join(forge.root, name))
        self.assertEqual(self.export()[:2], (1, {"a": b"a" * 50}))
        length, count = struct.unpack_from("<II", data, len(data) - 16)
        start = len(data) - 16 - length
        for changed in (data[:-12] + struct.pack("<I", count + 1) + data[-8:], data[:-8] + b"NAKIVOPQ",
                        data[:start] + b"\0" + data[start:], data[:64] + b"\0" + data[64:], data[:70], data[:8],
                        data[:-16] + struct.pack("<I", 1 << 31) + data[-12:], data[:64] + data[start:],
                        data[:8] + b"\2" + data[9:], data[:9] + b"\2" + data[10:], data[:60] + b"\1" + data[61:]):
            shutil.rmtree(os.path.join(forge.root, "packs"))
            digest = blake3(changed).hexdigest()
            forge.put("packs/%s/%s" % (digest[:2], digest), changed)
            code, found, errors = self.export()
            self.assertEqual((code, found), (1, {}))
            self.assertIn("is in no pack", errors)

    def test_two_places(self):
        """A chunk that lies in two packs survives the damage of one, and packs replace a lost index."""
        forge = self.forge
        item = forge.item("", "a", b"precious" * 10)
        blocks = list(forge.pending)
        names = [forge.pack(), forge.pack(blocks[:1] + [[[(blake3(b"x", key=forge.chunk_key).digest(), b"x")], None]])]
        forge.add([item])
        paths = [os.path.join(forge.root, "packs", name[:2], name) for name in names]
        good = [slurp(path) for path in paths]
        for damaged in ((0,), (1,), (0, 1)):
            for i in (0, 1):
                spew(paths[i], good[i][:70] + b"?" + good[i][71:] if i in damaged else good[i])
            self.assertEqual(self.verify()[0], 1)
            code, found, _ = self.export()
            self.assertEqual((code, found), (1, {}) if len(damaged) == 2 else (0, {"a": b"precious" * 10}))
        for path, data in zip(paths, good):
            spew(path, data)
        shutil.rmtree(os.path.join(forge.root, "index"))
        self.assertEqual(self.export()[:2], (1, {"a": b"precious" * 10}))

    def test_base64(self):
        forge, items, wanted = self.forge, [], {}
        for n in list(range(0, 12)) + [56, 57, 58, 113, 114, 115, 999, 5000]:
            for line, end, last in ((76, 0, True), (76, 1, False), (4, 0, False), (8, 1, True), (996, 0, True)):
                stored = self.random.randbytes(n) if hasattr(self.random, "randbytes") else os.urandom(n)
                text = base64.b64encode(stored).decode()
                lines = [text[i:i + line] for i in range(0, len(text), line)]
                plain = ("\r\n", "\n")[end].join(lines + ([""] if last and lines else [])).encode()
                cut = self.random.randrange(n + 1)
                data = stored if n % 2 else [forge.chunk(x) for x in (stored[:cut], stored[cut:])]
                part = forge.part(plain, segments=[0, [{0: [1, line, end, last], 1: len(plain), 2: data}]])
                name = "%d %d %d %d" % (n, line, end, last)
                items.append(forge.item("", name, record={5: len(plain), 12: [part]}))
                wanted[name] = plain
        forge.add(items)
        self.assertEqual(self.export()[:2], (0, wanted))

    def test_segment_list_in_chunks(self):
        forge = self.forge
        segments = b"".join(encode({1: 3, 2: [r]}) for r in forge.chunks(b"abc", b"def", b"ghi"))
        references = forge.chunks(segments[:50], segments[50:])
        part = forge.part(b"abcdefghi", segments=[1, [1, len(segments), references]])
        forge.add([forge.item("", "a", record={5: 9, 12: [part]})])
        self.assertEqual(self.export()[:2], (0, {"a": b"abcdefghi"}))
        if NAKIVO:  # what the writer of this file makes, the product reads too
            target = self.path("theirs")
            nakivo(self, "export", "--repo", "file:" + self.path("r"), "--object", "files", "--to", target)
            self.assertEqual(slurp(os.path.join(target, "a")), b"abcdefghi")

    def test_flips_of_everything(self):
        """Every byte of a small repository: the reader must notice whatever is changed."""
        forge = self.forge
        forge.compress = False
        forge.add([forge.item("", "a", b"a"), forge.item("", "d", kind=1), forge.item("d", "b", b"bb", id_="d/b")])
        forge.add([forge.item("", "a", b"A")])
        self.assertEqual(self.verify()[0], 0)
        flipped = 0
        for name in files_below(forge.root):
            path = os.path.join(forge.root, name)
            data = slurp(path)
            for at in range(len(data)):
                spew(path, data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:])
                self.assertNotEqual(self.verify()[0], 0, "%s, byte %d" % (name, at))
                flipped += 1
            for cut in (b"", data[:-1], data + b"\0"):
                spew(path, cut)
                self.assertNotEqual(self.verify()[0], 0, "%s, %d bytes" % (name, len(cut)))
            os.unlink(path)
            if name != "log/%020d" % 2:  # the newest commit can be withheld: see test_seen
                self.assertNotEqual(self.verify()[0], 0, "%s is gone" % name)
            spew(path, data)
            for at in range(0, len(data), 5) if name.startswith("packs") else ():
                spew(path, data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:])
                found = self.export()[1]  # what comes out is right, whatever was changed
                self.assertLessEqual(set(found.items()), {("a", b"A")})
            spew(path, data)
        self.assertGreater(flipped, 2500)
        self.assertEqual(self.export()[:2], (0, {"a": b"A"}))


# --- Golden repositories ----------------------------------------------------------------------------------------------

class Golden(Case):
    SECRETS = {"plain": None, "encrypted": "grün und geheim".encode(), "immutable": None}

    def lines(self, root, name):
        """What contents.txt says, as the reader finds it."""
        repo, found = reader.Repository(root, lambda: self.SECRETS[name]), []
        for _, points in repo.objects():
            for point in points:
                for _, item in repo.entries(point):
                    base = "%s %s %s %s|%s" % (name, point.id.hex(), point.object.id, item.container, item.id)
                    for part in item.parts:
                        digest = blake3(b"".join(repo.content(part))).hexdigest()
                        found.append("%s %s %d %s" % (base, part.name, part.size, digest))
                    if not item.parts:
                        found.append(base + " -")
        self.assertEqual(repo.damages, {})
        return found

    def test_every_version(self):
        versions = [name for name in sorted(os.listdir(GOLDEN)) if os.path.isdir(os.path.join(GOLDEN, name))]
        self.assertIn("v1", versions)
        for version in versions:
            folder, found = os.path.join(GOLDEN, version), []
            for line in slurp(os.path.join(folder, "hashes.txt")).decode().splitlines():
                digest, name = line.split("  ", 1)
                self.assertEqual(blake3(slurp(os.path.join(folder, *name.split("/")))).hexdigest(), digest, name)
            names = [name for name in self.SECRETS if os.path.isdir(os.path.join(folder, name))]
            self.assertEqual(len(names), sum(os.path.isdir(os.path.join(folder, name)) for name in os.listdir(folder)))
            for name in names:
                secret, options = self.SECRETS[name], ()
                if secret:
                    spew(self.path("pass"), secret)
                    options = ("--passphrase-file", self.path("pass"))
                root = os.path.join(folder, name)
                found += sorted(self.lines(root, name))
                code, _, errors = run("verify", root, *options)
                self.assertEqual((code, errors), (0, ""))
            self.assertEqual(found, slurp(os.path.join(folder, "contents.txt")).decode().splitlines())


# --- Repositories of the product --------------------------------------------------------------------------------------

def nakivo(case, *argv, codes=(0,)):
    result = subprocess.run([NAKIVO, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, env=dict(
        os.environ, NAKIVO_STATE_DIR=case.path("state")))
    case.assertIn(result.returncode, codes, result.stderr.decode("utf-8", "replace"))
    return result.stdout.decode().splitlines()


class Product(Case):
    def setUp(self):
        super().setUp()
        if not NAKIVO:
            print("SKIPPED: %s: NAKIVO does not name a built binary" % self.id(), file=sys.stderr)
            self.skipTest("NAKIVO does not name a built binary")
        os.environ.pop("NAKIVO_PASSPHRASE_FILE", None)
        self.options = ()

    def init(self, compression, encrypted):
        options = ("--no-encryption",)
        if encrypted:
            spew(self.path("pass"), " pass %d äß \r\nnot this".encode() % self.random.randrange(1 << 30))
            os.chmod(self.path("pass"), 0o600)
            options = self.options = ("--passphrase-file", self.path("pass"))
        nakivo(self, "repo", "init", self.url(), "--compression", compression, *options)

    def url(self):
        return "file:" + self.path("r")

    def read(self, *argv):
        return run(*argv, *self.options)

    def randbytes(self, n):
        return self.random.getrandbits(8 * n).to_bytes(n, "little") if n else b""

    def compare(self, everything=True):
        """The lists byte for byte, and every point: what their manifest says and the bytes of each file."""
        code, mine, errors = self.read("list", self.path("r"), "--json")
        self.assertEqual((code, errors), (0, ""))
        mine = mine[1:]
        objects = nakivo(self, "object", "list", "--repo", self.url(), "--json", *self.options)
        self.assertEqual([line for line in mine if line.startswith('{"type":"object"')], objects)
        theirs, exported = [], 0
        for line in map(json.loads, objects):
            theirs += nakivo(self, "point", "list", "--repo", self.url(), "--object", line["id"], "--json",
                             *self.options)
        self.assertEqual([line for line in mine if line.startswith('{"type":"point"')], theirs)
        for number, point in enumerate(map(json.loads, theirs)):
            a, b = self.path("theirs"), self.path("mine")
            for folder in (a, b):
                shutil.rmtree(folder, ignore_errors=True)
            summary = json.loads(nakivo(self, "export", "--repo", self.url(), "--object", point["object_id"], "--point",
                                        point["id"], "--to", a, "--json", *self.options)[-1])
            code, _, errors = self.read("export", self.path("r"), b, "--object", point["object_id"], "--point",
                                        point["id"])
            self.assertEqual((code, errors), (0, ""))
            self.same_manifests(a, b)
            exported += summary["items"]
        code, _, errors = self.read("verify", self.path("r"))
        self.assertEqual((code, errors), (0, ""))
        return exported

    def same_manifests(self, a, b):
        theirs, mine, found = manifest_of(a), {}, set()
        for line in manifest_of(b):
            if line["type"] in ("item", "part"):
                mine.setdefault((line["id"], line["kind"] == "container"), {})[line.get("part")] = line
        for line in theirs:
            key = (line["id"], line["kind"] == "container")
            found.add(key)
            # What they do not export for itself (links, containers) has any of my lines.
            other = mine[key][line["part"]] if "part" in line else next(iter(mine[key].values()))
            for name in ("container", "kind", "name", "path", "created", "modified", "received", "sent", "item_type"):
                self.assertEqual(line.get(name), other.get(name), (line, other))
            self.assertEqual(line.get("properties") or {}, other.get("properties"))
            if "part" in line:
                self.assertEqual((line["hash"], line["size"], line.get("media_type")),
                                 (other["blake3"], other["size"], other.get("media_type")))
                self.assertEqual(slurp(os.path.join(a, *line["file"].split("/"))),
                                 slurp(os.path.join(b, *other["file"].split("/"))))
        self.assertEqual(found, set(mine))
        lines = [line["file"] for line in manifest_of(b) if "file" in line and not line["file"].endswith("/")]
        self.assertEqual(sorted(lines + ["manifest.jsonl"]), files_below(b))

    def test_journal(self):
        """Jobs are in the repository, too: read by the document, and in the way of nothing."""
        self.init("fast", True)
        spew(self.path("data/file"), b"content")
        nakivo(self, "repo", "import", self.url(), "--name", "main", *self.options)
        for name in ("First", "Second"):
            nakivo(self, "job", "add", name, "--repo", "main", "--folder", "%s=%s" % (name, self.path("data")))
        nakivo(self, "job", "run", "First")
        self.assertGreater(self.compare(), 0)
        repo = reader.Repository(self.path("r"), lambda: reader.read_passphrase(self.path("pass")))
        journal, = [one for one in repo.state.progress.values() if one.object == "nakivo/director"]
        self.assertEqual((journal.base, list(journal.spills), journal.bytes_read), (None, [], 0))
        head, configuration = repo.blob(journal.state).split(b"\n")
        found = json.loads(head)
        self.assertEqual((found["version"], found["director"], found["origin"]), (1, journal.run.hex(), None))
        self.assertEqual((found["revision"], found["jobs"], found["repositories"]), (2, 2, 1))
        self.assertEqual(found["digest"], blake3(configuration).hexdigest())
        configuration = json.loads(configuration)
        self.assertEqual([one["job"]["name"] for one in configuration["jobs"]], ["First", "Second"])
        listed = [json.loads(line) for line in nakivo(self, "job", "list", "--json")]
        for one, job in zip(configuration["jobs"], listed):
            self.assertEqual((one["id"], one["job"]), (job["id"], job["settings"]))
        only, = configuration["repositories"]
        self.assertEqual((only["name"], only["id"], only["url"], only["figures"]),
                         ("main", repo.id.hex(), self.url(), None))
        self.assertEqual(only["passphrase_file"], self.path("pass"))

    def names(self, count):
        """File names, some of them nasty."""
        pieces = ["a", "B", "ä", "e\u0301", "漢", "😀", " ", ".", "..", "~", "%41", "%", "\n", "\\", ":", "*", "con", "-",
                  "\x1b[31m", "\u202e", "x" * 60, "manifest.jsonl", '"', "'", "\t", "\x7f", "#", "?", "|"]
        names = set()
        while len(names) < count:
            name = "".join(self.random.choice(pieces) for _ in range(self.random.randrange(1, 4))).encode()
            if self.random.random() < 0.1:
                name += b"\xff\xfe"
            if name.strip(b".") and len(name) < 250:
                names.add(name)
        return sorted(names)

    def fill(self, root, count=40):
        folders = [root.encode()]
        os.makedirs(root, exist_ok=True)
        for name in self.names(count):
            parent = self.random.choice(folders)
            path = os.path.join(parent, name)
            if os.path.lexists(path):
                continue
            if self.random.random() < 0.25 and len(path) < 900:
                os.mkdir(path)
                folders.append(path)
            elif self.random.random() < 0.05:
                os.symlink(b"/etc/passwd", path)
            else:
                self.write(path)

    def write(self, path):
        size = self.random.choice([0, 0, 1, 100, 1000, 5000, 70000, 400000])
        data = self.randbytes(size) if self.random.random() < 0.5 else b"text %d\n" % self.random.randrange(9) * (
            size // 7)
        with open(path, "wb") as file:
            file.write(data)
        if self.random.random() < 0.3:
            os.utime(path, ns=(0, self.random.randrange(-10 ** 18, 3 * 10 ** 18)))

    def change(self, root):
        for folder, _, files in os.walk(root.encode()):
            for name in sorted(files):
                path, dice = os.path.join(folder, name), self.random.random()
                if dice < 0.2:
                    os.unlink(path)
                elif dice < 0.4 and not os.path.islink(path):
                    self.write(path)
        self.fill(root, 12)

    def folder_runs(self, compression, encrypted):
        self.init(compression, encrypted)
        written = 0
        for _ in range(3):
            self.change(self.path("src"))
            nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "files", *self.options)
            self.fill(self.path("other"), 5)
            nakivo(self, "backup", "folder", self.path("other"), "--repo", self.url(), "--name", "Übrige ☂ \"x\"",
                   *self.options)
            written += self.count(self.path("src")) + self.count(self.path("other"))
        self.assertEqual(self.compare(), written)

    def count(self, root):
        """The files below a folder, without links."""
        return sum(not os.path.islink(os.path.join(folder, name))
                   for folder, _, names in os.walk(root.encode()) for name in names)

    def test_disabled_plain(self):
        self.folder_runs("disabled", False)

    def test_fast_encrypted(self):
        self.folder_runs("fast", True)

    def test_medium_encrypted(self):
        self.folder_runs("medium", True)

    def test_best_plain(self):
        self.folder_runs("best", False)

    def test_large_and_many(self):
        self.init("medium", True)
        block = self.randbytes(1500000)
        with_repetitions = b"".join(self.random.choice([block, bytes(300000), self.randbytes(1000), b"line\n" * 9999])
                                    for _ in range(60))
        while len(with_repetitions) < 40 << 20:
            with_repetitions += block
        spew(self.path("src", "large.bin"), with_repetitions[:40 << 20])
        for i in range(3000):
            spew(self.path("src", "d%02d" % (i % 37), "small %d" % i), b"%d" % i * self.random.randrange(40))
        os.makedirs(self.path("src", "empty folder"))
        nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "many", *self.options)
        self.assertEqual(self.compare(), 3001)
        self.assertEqual(slurp(self.path("mine", "many", "large.bin")), with_repetitions[:40 << 20])

    def test_long_history(self):
        """Enough commits for checkpoints: with and without them the state must be the same."""
        self.init("fast", False)
        for i in range(38):
            spew(self.path("src", "f%d" % (i % 5)), b"%d" % i)
            nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "n%d" % (i % 3), "-q")
        root = self.path("r", "NakivoBackup")
        checkpoints = os.listdir(os.path.join(root, "checkpoint"))
        self.assertTrue(checkpoints)
        repo = reader.Repository(self.path("r"), None)
        self.assertGreater(repo.base, 0)
        for name in sorted(checkpoints):
            path = os.path.join(root, "checkpoint", name)
            data = slurp(path)
            for _ in range(30):
                at = self.random.randrange(len(data))
                spew(path, data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:])
                self.assertEqual(self.read("verify", self.path("r"))[0], 1)
            spew(path, data)
        os.unlink(os.path.join(root, "log", "%020d" % 3))  # above the boundary: must be missed, harms no point
        code, _, errors = self.read("verify", self.path("r"))
        self.assertEqual((code, errors.count("damaged:")), (1, 1))
        self.assertEqual(self.read("list", self.path("r"))[0], 0)
        shutil.rmtree(os.path.join(root, "checkpoint"))
        self.assertEqual(self.read("list", self.path("r"))[0], 1)  # now it is needed

    def test_state_is_the_same_without_checkpoints(self):
        self.init("fast", False)
        for i in range(20):
            spew(self.path("src", "f"), b"%d" % i)
            nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "n", "-q")
        first = reader.Repository(self.path("r"), None)
        shutil.rmtree(self.path("r", "NakivoBackup", "checkpoint"))
        second = reader.Repository(self.path("r"), None)
        self.assertGreater(first.base, second.base)
        self.assertEqual((vars(first.state), first.head, first.head_hash),
                         (vars(second.state), second.head, second.head_hash))

    def emulated(self, *options):
        process = subprocess.Popen([NAKIVO, "emulate", "--users", "2", "--seed", str(SEED % 1000), *options], env=dict(
            os.environ, NAKIVO_STATE_DIR=self.path("state")), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

        def stop():
            process.send_signal(signal.SIGINT)
            process.stdout.close()
            process.wait(30)
        self.addCleanup(stop)
        lines = []
        while not (lines and lines[-1].startswith(b"client_secret")):
            lines.append(process.stdout.readline())
            self.assertTrue(lines[-1], b"".join(lines))
        spew(self.path("account.toml"), b"".join(lines))
        os.chmod(self.path("account.toml"), 0o600)

    def test_mailboxes(self):
        self.init("medium", True)
        self.emulated("--items", "200")
        for _ in range(2):
            nakivo(self, "backup", "m365", "--repo", self.url(), "--account", self.path("account.toml"), *self.options)
        self.assertGreaterEqual(self.compare(), 800)
        parts = {line.get("part") for line in manifest_of(self.path("mine"))}
        self.assertLessEqual({"mime", "json"}, parts)

    def test_given_mail(self):
        """Mail that somebody wrote: NAKIVO_MAIL names a folder of .eml files, else a few are invented."""
        folder = os.environ.get("NAKIVO_MAIL")
        if not folder:
            folder = self.path("mail")
            for i in range(20):
                body = base64.encodebytes(self.randbytes(self.random.randrange(60000)))
                if i % 2:
                    body = body.replace(b"\n", b"\r\n")
                spew(os.path.join(folder, "%d.eml" % i), b"From: a@example.org\nSubject: %d\nContent-Transfer-Encoding:"
                     b" base64\n\n" % i + body + b"--end" * (i % 3))
        self.init("best", False)
        self.emulated("--mail-from", folder, "--items", "200")
        nakivo(self, "backup", "m365", "--repo", self.url(), "--account", self.path("account.toml"), codes=(0, 3))
        self.assertGreater(self.compare(), 0)

    def test_rotated(self):
        """Before a rotation, after it, after everything was encrypted anew: with a passphrase and with a recovery key."""
        self.init("fast", True)
        passphrase, paper = self.options, ("--key-file", self.path("paper"))

        def back_up(name):
            spew(self.path("src", name), self.randbytes(200000))
            nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "n", *self.options)
        back_up("a")
        nakivo(self, "repo", "key", "recovery", self.url(), "--out", self.path("paper"), *passphrase)
        nakivo(self, "repo", "key", "rotate", self.url(), "--keep-key-file", self.path("paper"), "--no-reencrypt",
               *passphrase)
        back_up("b")
        for self.options in (passphrase, paper):
            self.assertEqual(self.compare(), 3)
        nakivo(self, "repo", "key", "rotate", self.url(), "--drop-others", "--grace", "0m", *paper)
        self.assertEqual(self.compare(), 3)
        self.assertEqual(self.read("list", self.path("r"))[0], 0)
        self.assertEqual(run("list", self.path("r"), *passphrase)[0], 12)
        repo = reader.Repository(self.path("r"), lambda: reader.read_key(self.path("paper")))
        self.assertEqual({pack.epoch for pack in repo.index_packs.values()}, {2})

    def test_flips(self):
        """Random flips in every file of an encrypted repository are noticed, and what is not damaged comes out."""
        self.init("medium", True)
        for i in range(2):
            spew(self.path("src", "a"), b"a%d" % i)
            spew(self.path("src", "b"), self.randbytes(300000))
            nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "n", *self.options)
        master = reader.Repository(self.path("r"), lambda: reader.read_passphrase(self.path("pass"))).master
        original = reader.Argon2id
        key = {}

        class Remembered:  # the derivation takes long on purpose; the same parameters give the same key
            def __init__(self, **parameters):
                self.parameters = parameters

            def derive(self, passphrase):
                at = (passphrase, *sorted(self.parameters.items()))
                if at not in key:
                    key[at] = original(**self.parameters).derive(passphrase)
                return key[at]
        reader.Argon2id = Remembered
        self.addCleanup(setattr, reader, "Argon2id", original)
        root, flips = self.path("r", "NakivoBackup"), 0
        for name in files_below(root):
            path = os.path.join(root, name)
            data = slurp(path)
            for at in {0, 8, 12, 40, 63, 64, 80, len(data) - 1, len(data) - 9, len(data) - 16,
                       *(self.random.randrange(len(data)) for _ in range(40))}:
                if at < len(data):
                    spew(path, data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:])
                    self.assertNotEqual(self.read("verify", self.path("r"))[0], 0, "%s, byte %d" % (name, at))
                    flips += 1
            spew(path, data)
        self.assertEqual(len(master), 32)
        self.assertGreater(flips, 300)
        self.assertEqual(self.read("verify", self.path("r"))[0], 0)

    def test_exit_codes(self):
        self.init("fast", True)
        spew(self.path("wrong"), b"wrong")
        for argv, code in ((("list", self.path("r")), 0), (("list", self.path("r"), "--object", "x"), 2),
                           (("list", self.path("nothing")), 10), (("list", self.dir), 10), (("what",), 2)):
            self.assertEqual(self.read(*argv)[0], code, argv)
        self.assertEqual(run("list", self.path("r"), "--passphrase-file", self.path("wrong"))[0], 12)
        self.assertEqual(run("list", self.path("r"), "--passphrase-file", self.path("none"))[0], 2)

    def test_nothing_is_written(self):
        self.init("fast", False)
        spew(self.path("src", "a"), b"a")
        nakivo(self, "backup", "folder", self.path("src"), "--repo", self.url(), "--name", "n")
        before = [(n, slurp(self.path("r", n)), os.stat(self.path("r", n)).st_mtime_ns) for n in
                  files_below(self.path("r"))]
        for command in (("list",), ("tree",), ("verify",)):
            self.assertEqual(self.read(*command, self.path("r"))[0], 0)
        self.read("export", self.path("r"), self.path("out"))
        self.assertEqual(before, [(n, slurp(self.path("r", n)), os.stat(self.path("r", n)).st_mtime_ns) for n in
                                  files_below(self.path("r"))])


if __name__ == "__main__":
    unittest.main(verbosity=2)
