"""Reads the golden vectors of format version 1, written from docs/repository-format.md alone.

A second opinion on the document: it shares no code with the Rust implementation. Needs the packages blake3,
zstandard, cryptography (OpenSSL 3) and argon2-cffi. Run: python3 read_v1.py
"""

import base64
import json
import pathlib
import struct

import blake3 as b3
import zstandard
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

HERE = pathlib.Path(__file__).parent / "v1"


def rd(name):
    return (HERE / name).read_bytes()


# --- CBOR ---
def cb(b, i=0):
    ib = b[i]
    mt = ib >> 5
    ai = ib & 31
    i += 1
    if ai < 24:
        n = ai
    elif ai in (24, 25, 26, 27):
        l = 1 << (ai - 24)
        n = int.from_bytes(b[i : i + l], "big")
        i += l
        assert n >= {1: 24, 2: 256, 4: 65536, 8: 1 << 32}[l] or mt == 7, "not shortest"
    else:
        raise ValueError
    if mt == 0:
        return n, i
    if mt == 1:
        return -1 - n, i
    if mt == 2:
        return b[i : i + n], i + n
    if mt == 3:
        return b[i : i + n].decode(), i + n
    if mt == 4:
        o = []
        for _ in range(n):
            v, i = cb(b, i)
            o.append(v)
        return o, i
    if mt == 5:
        o = {}
        last = None
        for _ in range(n):
            k, i = cb(b, i)
            v, i = cb(b, i)
            kk = k if isinstance(k, int) else k.encode()
            assert last is None or kk > last, "keys ascending"
            last = kk
            o[k] = v
        return o, i
    if mt == 7:
        return {20: False, 21: True}[ai], i


def one(b):
    v, i = cb(b)
    assert i == len(b)
    return v


def seq(b):
    o = []
    i = 0
    while i < len(b):
        v, i = cb(b, i)
        o.append(v)
    return o


master = bytes(range(32))
repo = bytes(range(0xA0, 0xB0))
D = lambda ctx, inp, n: b3.blake3(inp, derive_key_context=ctx).digest(length=n)
keyed = lambda k, x: b3.blake3(x, key=k).digest()
P = "nakivo repository v1 "
seal = D(P + "seal", master + repo + struct.pack("<I", 0), 64)
commit = D(P + "commitment", master + repo + struct.pack("<I", 0), 16)
ck, bk, bd = (D(P + x, master + repo, 32) for x in ("chunk-id", "block-id", "tree-boundary"))
gear = struct.unpack("<256Q", D(P + "gear", master + repo, 2048))


def unpay(p):
    if p[0] == 0:
        return p[1:]
    assert p[0] == 1
    assert zstandard.frame_content_size(p[1:]) >= 0
    return zstandard.ZstdDecompressor().decompress(p[1:])


op = lambda key, h, x: AESSIV(key).decrypt(x, h)


def canon(d, wo=()):
    return json.dumps(
        {k: v for k, v in d.items() if k not in wo}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


# format.json, slots
for n in ("format.json", "key-slot.json", "key-slot-plain.json"):
    d = json.loads(rd(n))
    assert d["check"] == b3.blake3(canon(d, ("check",))).hexdigest()
s = json.loads(rd("key-slot.json"))
k = s["kdf"]
kek = hash_secret_raw(
    b"correct horse",
    base64.b64decode(k["salt"]),
    k["time"],
    k["memory_kib"],
    k["parallelism"],
    64,
    Type.ID,
    version=0x13,
)
assert base64.b64decode(s["commitment"]) == D(P + "key-slot commitment", kek + repo, 32)
sec = op(
    kek, [repo, b"key-slot", canon(s, ("wrapped", "commitment", "check"))], base64.b64decode(s["wrapped"])
)
assert sec == master + struct.pack("<I", 3)
assert base64.b64decode(json.loads(rd("key-slot-plain.json"))["wrapped"]) == master + bytes(4)

# the recovery key, the slot it opens, the commit of epoch 1
key, digits = bytes(range(0x40, 0x60)), "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
groups = rd("recovery-key.txt").decode().replace("\n", "-").strip("-").split("-")
for g, text in enumerate(groups, 1):
    crc = g
    for byte in b"\0" + key[4 * g - 4 : 4 * g]:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) & 255 ^ (7 if crc & 128 else 0)
    value = 0
    for c in text:
        value = value << 5 | digits.index(c)
    assert value.to_bytes(5, "big") == key[4 * g - 4 : 4 * g] + bytes([crc]) and len(text) == 8
assert len(groups) == 8
s = json.loads(rd("key-slot-recovery.json"))
assert s["check"] == b3.blake3(canon(s, ("check",))).hexdigest()
kek = D(P + "key-slot key", key + base64.b64decode(s["kdf"]["salt"]), 64)
assert base64.b64decode(s["commitment"]) == D(P + "key-slot commitment", kek + repo, 32)
ring = op(kek, [repo, b"key-slot", canon(s, ("wrapped", "commitment", "check"))], base64.b64decode(s["wrapped"]))
assert ring == master + struct.pack("<IIQ", 1, 1, 7) + b"\x77" * 32
secret = b"\x77" * 32 + repo + struct.pack("<I", 1)
b = rd("commit-epoch-1.bin")
assert b[12:16] == struct.pack("<I", 1) and b[32:48] == D(P + "commitment", secret, 16)
newer = op(D(P + "seal", secret, 64), [b[:64], b"commit"], b[64:])
older = op(seal, [rd("commit.bin")[:64], b"commit"], rd("commit.bin")[64:])
assert newer[:3] + b"\x02" + newer[4:] == older, "the same but for its number"


def head(b, kind, num):
    h = b[:64]
    assert (
        h[:8] == b"NAKIVOB1" and h[8] == kind and h[9] == 1 and h[10:12] == b"\0\0" and h[12:16] == bytes(4)
    )
    assert (
        h[16:32] == repo and h[32:48] == commit and h[48:56] == struct.pack("<Q", num) and h[56:] == bytes(8)
    )
    return h


head(rd("header.bin"), 3, 0x0102030405060708)
# pack
p = rd("pack.bin")
h = head(p, 1, 0)
dl, nb = struct.unpack("<II", p[-16:-8])
assert p[-8:] == b"NAKIVOPK"
di = one(unpay(op(seal, [h, b"directory"], p[-16 - dl : -16])))
assert len(di) == nb
off = 64
got = []
for sl, role, ch in di:
    ids = ch[::2]
    bid = ids[0] if len(ids) == 1 else keyed(bk, b"".join(ids))
    pl = unpay(op(seal, [h, b"block", bid], p[off : off + sl]))
    off += sl
    for i, l in zip(ids, ch[1::2]):
        assert keyed(ck, pl[:l]) == i
        got.append(pl[:l])
        pl = pl[l:]
    assert not pl
assert off + dl + 16 == len(p)
assert got == [b"the first chunk, alone in its block", b"second", b"third", b""]
x = rd("index.bin")
ix = one(unpay(op(seal, [head(x, 2, 0), b"index"], x[64:])))
assert (
    ix[0][0][0] == b3.blake3(p).digest() and ix[0][0][1] == len(p) and ix[0][0][2] == 0 and ix[0][0][3] == di
)
for n in ("commit.bin", "commit-zstd.bin"):
    x = rd(n)
    c = one(unpay(op(seal, [head(x, 3, 2), b"commit"], x[64:])))
    assert c[0] == 2 and [o[0] for o in c[5]] == list(range(1, 11))
m = c[5][1][1][0]
assert m[14] == "nakivo 0.1.0"
x = rd("checkpoint.bin")
cp = one(unpay(op(seal, [head(x, 4, 2), b"checkpoint"], x[64:])))
assert cp[0] == 2 and cp[7] == 1 and cp[2] == [m]
assert one(rd("item-record.cbor"))[3] == "Grüße"
assert one(rd("container-record.cbor")) == {0: 1, 1: "inbox", 2: "", 3: "Inbox", 5: 0}
assert [e[4][0] for e in seq(rd("ledger.cborseq"))] == ["too-large", "renamed"]
assert len(seq(rd("segments.cborseq"))) == 2
assert seq(rd("edits.cborseq")) == [[b"inbox\0\x02a", 7, b"value"], [b"inbox\0\x02b"]]
# tree: rebuild from the rule
ent = sorted((f"folder{i%3}\0\x02item{i:03}".encode(), i, f"value {i}".encode()) for i in range(500))


def enc(mt, n):
    if n < 24:
        return bytes([mt << 5 | n])
    for l, a in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if n < 1 << (8 * l):
            return bytes([mt << 5 | a]) + n.to_bytes(l, "big")


by = lambda x: enc(2, len(x)) + x
tz = lambda k: (lambda h: 64 if h == 0 else (h & -h).bit_length() - 1)(
    int.from_bytes(keyed(bd, k)[:8], "little")
)


def level(l, items, weigh, encode):
    nodes = []
    cur = []
    w = 0

    def flush():
        body = b""
        prev = b""
        for it in cur:
            k = it[0]
            s = 0
            while s < min(len(prev), len(k)) and prev[s] == k[s]:
                s += 1
            body += encode(s, k[s:], it)
            prev = k
        node = enc(4, 2) + enc(0, l) + enc(4, len(cur)) + body
        nodes.append(
            (cur[-1][0], keyed(ck, node), len(node), sum(x[-2] for x in cur), sum(x[-1] for x in cur), node)
        )

    for it in items:
        cur.append(it)
        w += weigh(it)
        if tz(it[0]) >= 6 * (l + 1) or w >= 1 << 20:
            flush()
            cur = []
            w = 0
    if cur:
        flush()
    return nodes


nodes = level(
    0,
    [(k, v, 1, s) for k, s, v in ent],
    lambda e: len(e[0]) + len(e[1]),
    lambda s, suf, e: enc(4, 4) + enc(0, s) + by(suf) + enc(0, e[3]) + by(e[1]),
)
assert nodes[0][5] == rd("tree-leaf.cbor")
l = 0
while len(nodes) > 1:
    l += 1
    nodes = level(
        l,
        [n[:5] for n in nodes],
        lambda e: len(e[0]) + 64,
        lambda s, suf, e: enc(4, 6)
        + enc(0, s)
        + by(suf)
        + by(e[1])
        + enc(0, e[2])
        + enc(0, e[3])
        + enc(0, e[4]),
    )
assert nodes[0][5] == rd("tree-root.cbor")
assert f"{nodes[0][1].hex()} {l} {nodes[0][3]} {nodes[0][4]}\n".encode() == rd("tree-root.txt")
# stream, chunker
M = (1 << 64) - 1
st = 1
out = bytearray()
while len(out) < 8 << 20:
    st = (st + 0x9E3779B97F4A7C15) & M
    z = st
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M
    out += struct.pack("<Q", z ^ z >> 31)
cuts = []
n = 0
hh = 0
pos = 0
L = len(out)
while pos < L:
    n = min(256 << 10, L - pos)
    hh = 0
    i = pos + n
    end = min(pos + (4 << 20), L)
    cut = None
    while i < end:
        hh = ((hh << 1) + gear[out[i]]) & M
        i += 1
        n = i - pos
        if hh >> (64 - (22 if n <= 1 << 20 else 18)) == 0:
            break
    pos = i
    cuts.append(pos)
assert "".join(f"{c}\n" for c in cuts).encode() == rd("chunker-cuts.txt"), cuts
# mail
store = {keyed(ck, bytes(out[:3001])): bytes(out[:3001])}
mail = b""
for sg in seq(rd("mail-segments.cborseq")):
    d = sg[2]
    d = d if isinstance(d, bytes) else b"".join(store[c[0]][: c[1]] for c in d)
    e = sg.get(0, [0])
    if e[0] == 1:
        t = base64.b64encode(d)
        eol = [b"\r\n", b"\n"][e[2]]
        d = eol.join(t[i : i + e[1]] for i in range(0, len(t), e[1])) + (eol if e[3] else b"")
    assert len(d) == sg[1]
    mail += d
assert mail == rd("mail.eml")
print("all vectors read from the document alone")
