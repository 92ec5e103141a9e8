#!/usr/bin/env python3
"""Reads backup repositories of format version 1 and gives everything in them back.

Written from docs/repository-format.md alone; "(4.2)" in a comment names a section of it. This program only reads the
repository. What it hands out has been authenticated, and it goes on with the rest when something is damaged.

Exit codes: 0 done, 1 something is damaged or missing, 2 usage, 10 no repository that this reader knows,
12 wrong passphrase.
"""

import argparse
import base64
import binascii
import copy
import datetime
import getpass
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import unicodedata
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

OK, DAMAGED, USAGE, NO_REPOSITORY, WRONG_PASSPHRASE = 0, 1, 2, 10, 12

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HEADER, FOOTER, SEAL_OVERHEAD = 64, 16, 17  # 17: the synthetic IV and the method byte (3.3)
PACK, INDEX, COMMIT, CHECKPOINT = 1, 2, 3, 4  # kinds of objects (4.1)
MAX_JSON, MAX_PACK, MAX_DIRECTORY, MAX_BLOCK = 64 * KIB, 256 * MIB, 64 * MIB, 8 * MIB  # 2.1, 4.2
MAX_PLAINTEXT = {INDEX: 256 * MIB, COMMIT: 64 * MIB, CHECKPOINT: GIB}  # 4.3, 4.4, 4.5
MAX_BLOB = GIB  # the document has no limit here; a list of references must not fill the memory
MAX_VALUE, MAX_ID, MAX_LEVEL = MIB, 1024, 32  # 6
CACHE = 64 * MIB
WRONG_NAME = "has another name than its bytes give"

OBJECT_KINDS = ["", "mailbox", "drive", "site", "folder", "other"]
ITEM_KINDS = ["", "container", "message", "event", "contact", "task", "file", "list-item", "other"]
OUTCOMES = ["", "complete", "partial"]


class Damage(Exception):
    """Something in the repository is not what it must be. The message says what, the caller knows where."""


class Stop(Exception):
    """Nothing can be done: ends the program with `code`."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


# --- CBOR (1): the one form that the document allows, so that equal values have equal bytes ---------------------------

class Cbor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        end = self.at + n
        if end > len(self.data):  # also bounds every length that the data claims
            raise Damage("CBOR ends too early")
        part, self.at = self.data[self.at:end], end
        return part

    def head(self):
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info
        if info > 27:
            raise Damage("CBOR of indefinite length")
        value = int.from_bytes(self.take(1 << (info - 24)), "big")
        if major < 7 and value < (24 if info == 24 else 1 << (4 << (info - 24))):
            raise Damage("CBOR integer is not the shortest")
        return (major, value) if major < 7 else (8, value)  # 8: floating point and other simple values

    def item(self, depth=0):
        if depth > 32:
            raise Damage("CBOR is nested too deeply")
        major, value = self.head()
        if major == 0:
            return value
        if major == 1:
            return -1 - value
        if major == 2:
            return bytes(self.take(value))
        if major == 3:
            try:
                return self.take(value).decode("utf-8")
            except UnicodeDecodeError:
                raise Damage("CBOR text is not UTF-8") from None
        if major == 4:
            return [self.item(depth + 1) for _ in range(value)]
        if major == 5:
            result, previous = {}, None
            for _ in range(value):
                key = self.item(depth + 1)
                order = key.encode() if isinstance(key, str) else key
                if type(key) not in (int, str) or previous is not None and (
                        type(order) is not type(previous) or order <= previous):
                    raise Damage("CBOR map keys are not ascending")
                result[key], previous = self.item(depth + 1), order
            return result
        if major == 7 and value in (20, 21):
            return value == 21
        raise Damage("CBOR tag, floating point or unknown simple value")


def cbor_sequence(data):
    reader = Cbor(data)
    while reader.at < len(data):
        yield reader.item()


def cbor(data):
    reader = Cbor(data)
    value = reader.item()
    if reader.at != len(data):
        raise Damage("bytes after the CBOR")
    return value


# --- Records (5): what a decoded value must look like -----------------------------------------------------------------

def of_type(kind, what):
    def check(value):
        if type(value) is not kind:
            raise Damage("expected " + what)
        return value
    return check


integer, text, boolean = of_type(int, "an integer"), of_type(str, "text"), of_type(bool, "true or false")
array, anything = of_type(list, "a list"), lambda value: value


def unsigned(value):
    if type(value) is not int or value < 0:
        raise Damage("expected an unsigned integer")
    return value


def octets(length=None):
    def check(value):
        if type(value) is not bytes or length is not None and len(value) != length:
            raise Damage("expected %s bytes" % ("some" if length is None else length))
        return value
    return check


def one_of(*allowed):
    """Enumerations: an unknown value must be refused (5, 9), since guessing could mean wrong data."""
    def check(value):
        if type(value) is not int or value not in allowed:
            raise Damage("unknown value %r, perhaps of a newer version" % (value,))
        return value
    return check


def list_of(kind):
    return lambda value: [kind(x) for x in array(value)]


def row(*kinds):
    def check(value):
        if len(array(value)) != len(kinds):
            raise Damage("expected a list of %d" % len(kinds))
        return tuple(kind(x) for kind, x in zip(kinds, value))
    return check


def union(**variants):
    """[tag, ...]: one variant per tag, given as t0=..., t1=...; an unknown tag must be refused."""
    def check(value):
        if not array(value) or type(value[0]) is not int or "t%d" % value[0] not in variants:
            raise Damage("unknown tag, perhaps of a newer version")
        return row(*((unsigned,) + variants["t%d" % value[0]]))(value)
    return check


def record(**fields):
    """A map with integer keys. name=(key, kind) must be there, name=(key, kind, default) may be absent. Keys that
    are not known are ignored (1)."""
    def check(value):
        of_type(dict, "a record")(value)
        result = SimpleNamespace()
        for name, (key, kind, *default) in fields.items():
            if key not in value and not default:
                raise Damage("field %s is missing" % name)
            try:
                setattr(result, name, kind(value[key]) if key in value else copy.copy(default[0]))
            except Damage as error:
                raise Damage("field %s: %s" % (name, error)) from None
        return result
    return check


def text_map(value):
    for key, entry in of_type(dict, "a map")(value).items():
        text(key)
        if type(entry) is list:
            list_of(text)(entry)
        elif type(entry) not in (bool, int, str):
            raise Damage("property of an unknown type")
    return value


ID16, ID32 = octets(16), octets(32)
CHUNK = row(ID32, unsigned)  # a chunk reference: id and length
BLOB = union(t0=(octets(),), t1=(unsigned, list_of(CHUNK)))
PROTECTION = union(t0=(), t1=(), t2=(integer,))
OBJECT = record(id=(0, text), kind=(1, one_of(1, 2, 3, 4, 5)), name=(2, text), address=(3, text, None),
                source=(4, text), native_id=(5, text), account=(6, text, None))
COUNT_NAMES = "items containers bytes added changed removed unchanged skipped failed warnings".split()
COUNTS = record(**{name: (key, unsigned, 0) for key, name in enumerate(COUNT_NAMES)})
ROOT = record(chunk=(0, CHUNK), level=(1, unsigned), entries=(2, unsigned), bytes=(3, unsigned))
MANIFEST = record(
    id=(0, ID16), object=(1, OBJECT), run=(2, ID16), base=(3, ID16, None), started=(4, integer), finished=(5, integer),
    root=(6, ROOT, None), outcome=(7, one_of(1, 2)), cursor=(8, BLOB, None), counts=(9, COUNTS, COUNTS({})),
    bytes_read=(10, unsigned, 0), bytes_stored=(11, unsigned, 0), requests=(12, unsigned, 0),
    ledger=(13, BLOB, None), software=(14, text), job=(15, text, None), protection=(16, PROTECTION, (0,)),
    description=(17, text, None))
LEDGER_ENTRY = record(
    kind=(0, one_of(1, 2, 3)), key=(1, octets(), None), container=(2, text, None), path=(3, text),
    cause=(4, record(code=(0, text), message=(1, text))), retry=(5, boolean, False))
PROGRESS = record(run=(0, ID16), object=(1, text), base=(2, ID16, None), started=(3, integer),
                  spills=(4, list_of(BLOB), []), state=(5, BLOB, None), bytes_read=(6, unsigned, 0),
                  bytes_stored=(7, unsigned, 0))
ENCODING = union(t0=(), t1=(one_of(*range(4, 997, 4)), one_of(0, 1), boolean))


def segment_data(value):
    return value if type(value) is bytes else list_of(CHUNK)(value)


SEGMENT = record(encoding=(0, ENCODING, (0,)), length=(1, unsigned), data=(2, segment_data))
PART = record(name=(0, text), media_type=(1, text, None), size=(2, unsigned), hash=(3, ID32),
              segments=(4, union(t0=(list_of(SEGMENT),), t1=(BLOB,))), attributes=(5, text_map, {}))
ITEM = record(kind=(0, one_of(*range(1, 9))), id=(1, text), container=(2, text), name=(3, text),
              change_key=(4, text, None), size=(5, unsigned, 0), created=(6, integer, None),
              modified=(7, integer, None), received=(8, integer, None), sent=(9, integer, None),
              item_type=(10, text, None), properties=(11, text_map, {}), parts=(12, list_of(PART), []))
DIRECTORY = list_of(row(unsigned, unsigned, array))  # the role is a hint: any number will do
PACK_RECORD = record(id=(0, ID32), length=(1, unsigned), epoch=(2, unsigned), entries=(3, DIRECTORY))
INDEX_BODY = record(packs=(0, list_of(PACK_RECORD)))
INDEX_REF = record(id=(0, ID32), length=(1, unsigned), packs=(2, unsigned), chunks=(3, unsigned))
COMMIT_BODY = record(number=(0, unsigned), previous=(1, ID32), writer=(2, ID16), time=(3, integer), software=(4, text),
                     operations=(5, list_of(row(unsigned, of_type(dict, "fields")))))
MARK = record(id=(0, octets()), number=(1, unsigned))
DAMAGED_PACK = record(id=(0, ID32), blocks=(1, list_of(unsigned)))
DAMAGED_POINT = record(id=(0, ID16), lost=(1, unsigned), items=(2, list_of(octets())), what=(3, text), found=(4, integer))
CHECKPOINT_BODY = record(
    number=(0, unsigned), hash=(1, ID32), points=(2, list_of(MANIFEST)), removed=(3, list_of(MARK)),
    indexes=(4, list_of(INDEX_REF)), progress=(5, list_of(PROGRESS)), tombstones=(6, list_of(MARK)),
    boundary=(7, unsigned), damaged_packs=(8, list_of(DAMAGED_PACK), []), damaged_points=(9, list_of(DAMAGED_POINT), []))
OPERATIONS = {  # 4.4
    1: record(indexes=(0, list_of(INDEX_REF))), 2: record(manifest=(0, MANIFEST)), 3: record(progress=(0, PROGRESS)),
    4: record(ids=(0, list_of(ID16)), reason=(1, anything, None)),
    5: record(id=(0, ID16), protection=(1, PROTECTION), description=(2, text, None)),
    6: record(run=(0, ID16)), 7: record(add=(0, list_of(INDEX_REF)), remove=(1, list_of(ID32))),
    8: record(packs=(0, list_of(ID32))), 9: record(packs=(0, list_of(ID32))), 10: record(packs=(0, list_of(ID32))),
    11: record(packs=(0, list_of(DAMAGED_PACK)), sound=(1, list_of(ID32)), points=(2, list_of(DAMAGED_POINT)),
               whole=(3, list_of(ID16)))}


# --- State (4.4) ------------------------------------------------------------------------------------------------------

def need(condition, message):
    if not condition:
        raise Damage(message)


class State:
    """What the repository contains after a commit."""

    def __init__(self):
        self.points, self.removed, self.indexes, self.progress, self.tombstones = {}, {}, {}, {}, {}
        self.damaged_packs, self.damaged_points = {}, {}

    def copy(self):
        other = State()
        for name, value in vars(self).items():
            setattr(other, name, dict(value))
        return other

    def add_indexes(self, references):
        for reference in references:
            need(reference.id not in self.indexes, "conflict: index segment is current already")
            self.indexes[reference.id] = reference

    def apply(self, number, tag, fields):
        need(tag in OPERATIONS, "unknown operation %d, perhaps of a newer version" % tag)
        op = OPERATIONS[tag](fields)
        if tag == 1:
            self.add_indexes(op.indexes)
        elif tag == 2:
            point = op.manifest
            need(point.id not in self.points and point.id not in self.removed, "conflict: point id was in use")
            self.points[point.id] = point
            self.progress.pop(point.run, None)
        elif tag == 3:
            self.progress[op.progress.run] = op.progress
        elif tag == 4:
            for point_id in op.ids:
                need(self.points.pop(point_id, None), "conflict: point to remove does not exist")
                self.removed[point_id] = number
                self.damaged_points.pop(point_id, None)
        elif tag == 5:
            need(op.id in self.points, "conflict: point to edit does not exist")
            point = self.points[op.id] = copy.copy(self.points[op.id])
            point.protection, point.description = op.protection, op.description
        elif tag == 6:
            need(self.progress.pop(op.run, None), "conflict: run has no progress")
        elif tag == 7:
            for index_id in op.remove:
                need(self.indexes.pop(index_id, None), "conflict: index segment to remove is not current")
            self.add_indexes(op.add)
        elif tag == 8:
            for pack in op.packs:
                need(pack not in self.tombstones, "conflict: pack is marked already")
                self.tombstones[pack] = number
        elif tag == 11:
            for pack in op.sound:
                self.damaged_packs.pop(pack, None)
            self.damaged_packs.update((pack.id, pack) for pack in op.packs)
            for point_id in op.whole:
                self.damaged_points.pop(point_id, None)
            for point in op.points:
                need(point.id in self.points, "conflict: damaged point does not exist")
                self.damaged_points[point.id] = point
        else:
            for pack in op.packs:
                need(self.tombstones.pop(pack, None) is not None, "conflict: pack is not marked")
                if tag == 9:
                    self.damaged_packs.pop(pack, None)


# --- The repository ---------------------------------------------------------------------------------------------------

Block = namedtuple("Block", "pack epoch offset stored chunks size")  # chunks: [(id, length), ...]


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()  # 2.1


def derive(context, key_material, length):
    return blake3(key_material, derive_key_context=context).digest(length=length)


def unpack(payload, limit):
    """The data in a payload (3.3), with the stated size checked before anything is allocated."""
    need(len(payload) >= 1 and payload[0] in (0, 1), "unknown compression method")
    data = payload[1:]
    if payload[0] == 0:
        need(len(data) <= limit, "larger than the format allows")
        return data
    try:
        need(data[:4] == b"\x28\xb5\x2f\xfd", "not a zstd frame")
        frame = zstandard.get_frame_parameters(data)
        need(frame.content_size not in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR),
             "zstd frame does not state its size")
        need(frame.content_size <= limit, "would unpack to more than the format allows")
        need(frame.dict_id == 0, "zstd frame wants a dictionary")
        result = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damage("cannot unpack: %s" % error) from None
    need(len(result) == frame.content_size, "zstd frame has another size than it states")
    return result


class Repository:
    def __init__(self, path, passphrase, without_format=False, salvage=False, on_damage=None, passphrase_given=False):
        """`passphrase` is a function that returns bytes, or a RecoveryKey, so that nobody is asked when none is needed."""
        self.passphrase_given = passphrase_given
        path = path[5:] if path.startswith("file:") else path
        inner = os.path.join(path, "NakivoBackup")
        self.path = inner if os.path.isdir(inner) else path
        self.on_damage, self.damages = on_damage, {}
        self.keys, self.cache, self.cached = {}, OrderedDict(), 0
        self.where, self.known_packs, self.scanned, self.sound = {}, set(), False, {}
        self.id, self.encrypted = self.read_format(without_format)
        self.master, self.epochs, self.since = None, {}, 0
        self.open_keys(passphrase)
        self.chunk_key = derive("nakivo repository v1 chunk-id", self.master + self.id, 32)
        self.block_key = derive("nakivo repository v1 block-id", self.master + self.id, 32)
        self.load_state(salvage)
        self.load_indexes(salvage)

    def damaged(self, where, why):
        if (where, str(why)) not in self.damages:  # trees are walked more than once
            self.damages[(where, str(why))] = True
            if self.on_damage:
                self.on_damage(where, str(why))

    # Files

    def read(self, name, limit, offset=0, length=None):
        path = os.path.join(self.path, *name.split("/"))
        try:
            status = os.stat(path)
            need(stat.S_ISREG(status.st_mode), "is not a file")  # before it is opened: a pipe would wait for ever
            need(status.st_size <= limit, "is larger than the format allows")
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read(limit if length is None else length)
                need(length is None or len(data) == length, "is too short")
                return data
        except FileNotFoundError:
            raise Damage("is missing") from None
        except OSError as error:
            raise Damage("cannot be read: %s" % error.strerror) from None

    def names(self, folder, pattern):
        """Objects under other names are ignored (2)."""
        try:
            found = os.listdir(os.path.join(self.path, *folder.split("/")))
            return sorted(name for name in found if re.fullmatch(pattern, name))
        except OSError:
            return []

    def pack_names(self):
        return [n for d in self.names("packs", "[0-9a-f]{2}") for n in self.names("packs/" + d, d + "[0-9a-f]{62}")]

    def read_json(self, name, kind):
        """2.1: `check` first, then what the members say."""
        data = self.read(name, MAX_JSON)
        try:
            value = json.loads(data.decode("utf-8"))
            body = canonical({k: v for k, v in value.items() if k != "check"})
        except (ValueError, AttributeError, RecursionError):
            raise Damage("is not a JSON object") from None
        need(value.get("check") == blake3(body).hexdigest(), "is damaged (check does not fit)")
        need(value.get("nakivo") == kind, "is not a %s" % kind)
        return value, data

    # Configuration and keys

    def read_format(self, without):
        if not os.path.isdir(self.path):
            raise Stop(NO_REPOSITORY, "no such folder: %s" % self.path)
        if without:  # the key slots name the repository too
            return None, None
        if not os.path.lexists(os.path.join(self.path, "format.json")):
            raise Stop(NO_REPOSITORY, "not a repository: %s has no format.json (see --without-format)" % self.path)
        try:
            config, _ = self.read_json("format.json", "repository")
            if config.get("version") != 1 or type(config["version"]) is not int:
                raise Stop(NO_REPOSITORY, "format version %r is not known to this reader" % (config.get("version"),))
            if config.get("incompatible_features") != []:
                raise Stop(NO_REPOSITORY, "the repository needs features that this reader does not know: %s"
                           % json.dumps(config.get("incompatible_features")))
            need(re.fullmatch("[0-9a-f]{32}", str(config.get("id"))), "has no repository id")
            need(type(config.get("encrypted")) is bool, "does not say whether it is encrypted")
        except Damage as error:
            raise Stop(DAMAGED, "format.json %s (--without-format goes on without it)" % error) from None
        return bytes.fromhex(config["id"]), config["encrypted"]

    def open_keys(self, secret):
        """3.2. Any one slot opens the repository, so a damaged one is named and the others are tried. After a rotation
        several slots of one secret may be there: what they hold is put together."""
        wrong, asked, keks = False, None, {}
        for name in self.names("keys", "[0-9a-f]{16}"):
            try:
                slot, data = self.read_json("keys/" + name, "key-slot")
                if blake3(data).hexdigest()[:16] != name:  # a wrong name alone must not cost the user everything
                    self.damaged("keys/" + name, WRONG_NAME)
                need(slot.get("version") == 1, "has an unknown version")
                slot_id = bytes.fromhex(slot["repository"])
                need(len(slot_id) == 16 and self.id in (None, slot_id), "belongs to another repository")
                kdf, wrapped, commitment = slot["kdf"], unbase64(slot["wrapped"]), unbase64(slot["commitment"])
                if kdf["algorithm"] == "none":
                    # Somebody who can write the store could add such a slot to an encrypted repository and then feed
                    # his own data to its owner.
                    need(not self.encrypted, "has no passphrase, but the repository is said to be encrypted")
                    need(not commitment, "is malformed")
                    if self.passphrase_given:  # the same, if format.json was replaced as well
                        raise Stop(WRONG_PASSPHRASE, "a passphrase was given, but this repository has none")
                    self.add_ring(slot_id, wrapped)
                    continue
                need(kdf["algorithm"] in ("argon2id", "blake3"), "has an unknown key derivation")
                cost, salt = (), unbase64(kdf["salt"])
                need(len(salt) == 16 and len(wrapped) >= 52, "is malformed")
                if kdf["algorithm"] == "argon2id":
                    cost = memory, time, lanes = kdf["memory_kib"], kdf["time"], kdf["parallelism"]
                    need(all(type(x) is int for x in cost) and 8 * KIB <= memory <= GIB // KIB
                         and 1 <= time <= 16 and 1 <= lanes <= 16, "has parameters outside the limits")
                asked = secret() if asked is None else asked
                known = (kdf["algorithm"], cost, salt)
                if self.master is not None and known not in keks:
                    continue  # of another secret: one that opens is enough
                for form in forms(asked, kdf["algorithm"]) if known not in keks else (None,):
                    kek = keks[known] if form is None else stretch(form, cost, salt)
                    mine = derive("nakivo repository v1 key-slot commitment", kek + slot_id, 32)
                    if hmac.compare_digest(mine, commitment):
                        break
                else:
                    wrong = True
                    continue
                public = canonical({k: v for k, v in slot.items() if k not in ("wrapped", "commitment", "check")})
                try:
                    ring = AESSIV(kek).decrypt(wrapped, [slot_id, b"key-slot", public])
                except InvalidTag:
                    raise Damage("was changed") from None
                self.add_ring(slot_id, ring)
                keks[known] = kek
            except (Damage, KeyError, TypeError, ValueError) as error:
                self.damaged("keys/" + name, error if isinstance(error, Damage) else "is malformed")
        if self.master is not None:
            return
        if wrong:
            raise Stop(WRONG_PASSPHRASE, "wrong passphrase or key")
        raise Stop(DAMAGED, "no key slot can be opened")

    def add_ring(self, repository, ring):
        """3.2: master key, epoch, and for each epoch that a rotation began its number, its first commit, its secret."""
        need(len(ring) >= 36 and (len(ring) - 36) % 44 == 0, "holds no master key and epochs")
        entries = [struct.unpack("<IQ32s", ring[at:at + 44]) for at in range(36, len(ring), 44)]
        numbers = [number for number, _, _ in entries]
        need(0 not in numbers and numbers == sorted(numbers) and len(numbers) <= 512, "has epochs in disorder")
        epoch, = struct.unpack("<I", ring[32:36])
        need(not entries or epoch < numbers[0] or epoch in numbers, "has no secret for its epoch")
        if self.master not in (None, ring[:32]):
            return
        self.id, self.master = repository, ring[:32]
        for number, since, secret in entries:
            known = self.epochs.setdefault(number, {})
            known[secret] = min(filter(None, (since, known.get(secret))), default=0)
        if epoch:
            self.since = max(self.since, *self.epochs.get(epoch, {0: 0}).values())

    def secrets_of(self, epoch):
        """3.1. Several only while rotations compete, and then what a commit is known of goes first."""
        known = self.epochs.get(epoch, {})
        if not known and (not self.epochs or epoch < min(self.epochs)):
            return [self.master]
        return [known_of for _, known_of in sorted((-since, secret) for secret, since in known.items())]

    def seal_of(self, epoch, commitment=None):
        if epoch not in self.keys:
            for secret in self.secrets_of(epoch):
                material = secret + self.id + struct.pack("<I", epoch)
                keys = (AESSIV(derive("nakivo repository v1 seal", material, 64)),
                        derive("nakivo repository v1 commitment", material, 16))
                if commitment is None or commitment == keys[1]:
                    self.keys[epoch] = keys
                    break
            else:
                raise Damage("is sealed in epoch %d, which the key slot does not know" % epoch)
        return self.keys[epoch]

    def header(self, kind, epoch, number=0, commitment=None):
        return b"NAKIVOB1" + struct.pack("<BBHI", kind, 1, 0, epoch) + self.id + self.seal_of(
            epoch, commitment)[1] + struct.pack("<QQ", number, 0)

    def unseal(self, epoch, data, header_strings):
        try:
            return self.seal_of(epoch)[0].decrypt(data, header_strings)
        except (InvalidTag, ValueError):
            raise Damage("is damaged (not authentic)") from None

    def check_header(self, data, kind, number=0):
        """4.1. Everything in the header is known beforehand but the epoch, so it is built and compared as a whole."""
        need(len(data) >= HEADER and data[:8] == b"NAKIVOB1", "is not an object of a repository")
        need(data[9] == 1, "has version %d" % data[9])
        epoch = struct.unpack_from("<I", data, 12)[0]
        need(data[:HEADER] == self.header(kind, epoch, number, data[32:48]),
             "has a header of another kind, number, repository or key")
        if kind in (COMMIT, CHECKPOINT):  # whoever was locked out by a rotation still has the keys of before (3.1)
            ended = [e for e, known in self.epochs.items() if e > epoch and any(0 < n <= number for n in known.values())]
            need(not ended, "is sealed in epoch %d, which had ended" % epoch)
        return epoch

    def open_object(self, name, kind, number=0):
        """The bytes of an index segment, commit or checkpoint, and the value sealed in it."""
        limit = MAX_PLAINTEXT[kind]
        data = self.read(name, HEADER + SEAL_OVERHEAD + limit)
        if kind == INDEX:
            need(blake3(data).hexdigest() == name[-64:], WRONG_NAME)
        epoch = self.check_header(data, kind, number)
        label = {INDEX: b"index", COMMIT: b"commit", CHECKPOINT: b"checkpoint"}[kind]
        return data, cbor(unpack(self.unseal(epoch, data[HEADER:], [data[:HEADER], label]), limit))

    # History (4.4, 4.5, 8.3)

    def read_checkpoint(self, number):
        data = CHECKPOINT_BODY(self.open_object("checkpoint/%020d" % number, CHECKPOINT, number)[1])
        need(data.number == number and data.boundary <= number, "says that it is another one")
        state = State()
        state.points = {p.id: p for p in data.points}
        state.removed = {m.id: m.number for m in data.removed}
        state.indexes = {r.id: r for r in data.indexes}
        state.progress = {p.run: p for p in data.progress}
        state.tombstones = {m.id: m.number for m in data.tombstones}
        state.damaged_packs = {p.id: p for p in data.damaged_packs}
        state.damaged_points = {p.id: p for p in data.damaged_points}
        return state, data.hash, data.boundary

    def read_commit(self, number):
        data, body = self.open_object("log/%020d" % number, COMMIT, number)
        commit = COMMIT_BODY(body)
        need(commit.number == number, "says that it is another commit")
        return commit, blake3(data).digest()

    def numbers(self, folder):
        return [int(n) for n in self.names(folder, "[0-9]{20}") if 0 < int(n) < 1 << 64]

    def load_state(self, salvage):
        self.state, self.head, self.head_hash, self.base, self.boundary = State(), 0, bytes(32), 0, 0
        self.hashes = {0: bytes(32)}
        for number in reversed(self.numbers("checkpoint")):
            try:
                self.state, self.head_hash, self.boundary = self.read_checkpoint(number)
                self.head = self.base = number
                self.hashes = {number: self.head_hash}
                break
            except Damage as error:
                self.damaged("checkpoint/%020d" % number, error)
        log = self.numbers("log")
        while self.head + 1 in log:
            number, state = self.head + 1, self.state.copy()
            try:
                commit, digest = self.read_commit(number)
                need(commit.previous == self.head_hash, "does not continue commit %d: history is broken" % self.head)
                for tag, fields in commit.operations:
                    state.apply(number, tag, fields)  # all or none: on a copy
            except Damage as error:
                self.damaged("log/%020d" % number, error)
                break
            self.state, self.head, self.head_hash = state, number, digest
            self.hashes[number] = digest
        if self.head < self.since and not any(n > self.head for n in log):
            self.damaged("log", "the key slot knows of commit %d, and history ends at %d: it was set back" % (
                self.since, self.head))
        beyond = [n for n in log if n > self.head]
        if beyond:
            self.damaged("log", "history ends at commit %d, but there are others up to %d%s" % (
                self.head, beyond[-1], "" if salvage else " (--salvage reads them all the same)"))
        for number in beyond if salvage else []:
            # Each commit is authentic in itself; only their chain is broken. What still applies is worth having.
            try:
                for tag, fields in self.read_commit(number)[0].operations:
                    try:
                        self.state.apply(number, tag, fields)
                    except Damage as error:
                        self.damaged("log/%020d" % number, error)
            except Damage as error:
                self.damaged("log/%020d" % number, error)

    # Where chunks are (4.2, 4.3)

    def add_pack(self, name, epoch, length, entries):
        offset, blocks = HEADER, []
        need(epoch < 1 << 32 and length <= MAX_PACK, "pack %s: impossible length or epoch" % name)
        for stored, _role, flat in entries:
            need(flat and len(flat) % 2 == 0, "pack %s: block without chunks" % name)
            chunks = [(ID32(flat[i]), unsigned(flat[i + 1])) for i in range(0, len(flat), 2)]
            size = sum(n for _, n in chunks)
            need(size <= MAX_BLOCK and SEAL_OVERHEAD <= stored <= size + SEAL_OVERHEAD,
                 "pack %s: impossible length of a block" % name)
            blocks.append(Block(name, epoch, offset, stored, chunks, size))
            offset += stored
        need(offset <= length - FOOTER, "pack %s: blocks do not fit into it" % name)
        self.known_packs.add(name)
        for block in blocks:
            for chunk_id, _ in block.chunks:
                found = self.where.setdefault(chunk_id, [])
                if block not in found:
                    found.append(block)

    def read_directory(self, name):
        """The epoch, length and entries that a pack states itself."""
        path = "packs/%s/%s" % (name[:2], name)
        epoch = self.check_header(self.read(path, MAX_PACK, 0, HEADER), PACK)
        size = os.path.getsize(os.path.join(self.path, *path.split("/")))
        need(size >= HEADER + FOOTER, "is too short")
        length, count, magic = struct.unpack("<II8s", self.read(path, MAX_PACK, size - FOOTER, FOOTER))
        need(magic == b"NAKIVOPK" and length <= min(size - HEADER - FOOTER, MAX_DIRECTORY + SEAL_OVERHEAD),
             "has a damaged footer")
        sealed = self.read(path, MAX_PACK, size - FOOTER - length, length)
        raw = cbor(unpack(self.unseal(epoch, sealed, [self.header(PACK, epoch), b"directory"]), MAX_DIRECTORY))
        entries = DIRECTORY(raw)
        need(len(entries) == count, "has another number of blocks than its footer says")
        need(HEADER + sum(e[0] for e in entries) + length + FOOTER == size, "has bytes that its directory leaves out")
        return epoch, size, entries

    def load_indexes(self, salvage):
        self.index_packs, lost = {}, salvage
        for reference in self.state.indexes.values():
            name = "index/" + reference.id.hex()
            try:
                data, body = self.open_object(name, INDEX)
                packs = INDEX_BODY(body).packs
                chunks = sum(len(entry[2]) // 2 for pack in packs for entry in pack.entries)
                need((len(data), len(packs), chunks) == (reference.length, reference.packs, reference.chunks),
                     "has another content than its commit says")
                for pack in packs:
                    self.add_pack(pack.id.hex(), pack.epoch, pack.length, pack.entries)
                    self.index_packs[pack.id.hex()] = pack
            except Damage as error:
                self.damaged(name, error)
                lost = True
        if lost:
            self.scan_packs()

    def scan_packs(self):
        """The directories of the packs replace an index segment that is lost (8.3)."""
        if self.scanned:
            return
        self.scanned = True
        for name in self.pack_names():
            if name not in self.known_packs:
                try:
                    self.add_pack(name, *self.read_directory(name))
                except Damage:
                    pass  # perhaps nothing of it is needed; a chunk that is will be missed and named

    # Content

    def block(self, block):
        """The plaintext of a block: authentic, in the bounds that its directory states (4.2)."""
        key = (block.pack, block.offset)
        if key in self.cache:
            self.cache.move_to_end(key)
            return self.cache[key]
        ids = [chunk_id for chunk_id, _ in block.chunks]
        block_id = ids[0] if len(ids) == 1 else blake3(b"".join(ids), key=self.block_key).digest()
        path = "packs/%s/%s" % (block.pack[:2], block.pack)
        sealed = self.read(path, MAX_PACK, block.offset, block.stored)
        header = self.header(PACK, block.epoch)
        data = unpack(self.unseal(block.epoch, sealed, [header, b"block", block_id]), block.size)
        need(len(data) == block.size, "has a block of another size than its directory says")
        self.cache[key] = data
        self.cached += len(data)
        while self.cached > CACHE:
            self.cached -= len(self.cache.popitem(last=False)[1])
        return data

    def chunk(self, reference):
        chunk_id, length = reference
        need(length <= MAX_BLOCK, "chunk reference of an impossible length")
        if chunk_id not in self.where:
            self.scan_packs()
        reason = "chunk %s is in no pack" % chunk_id.hex()
        tried = 0
        while True:
            for block in self.where.get(chunk_id, [])[tried:]:  # the same chunk may be stored twice
                tried += 1
                try:
                    data, at = self.block(block), 0
                    for other, size in block.chunks:
                        if other == chunk_id:
                            break
                        at += size
                    data = data[at:at + size]
                    need(size == length, "chunk %s has another length than its reference says" % chunk_id.hex())
                    need(blake3(data, key=self.chunk_key).digest() == chunk_id, "has a chunk with another id")
                    return data
                except Damage as error:
                    reason = "packs/%s/%s, block at %d: %s" % (block.pack[:2], block.pack, block.offset, error)
            if self.scanned:
                raise Damage(reason)
            self.scan_packs()

    def blob(self, blob):
        if blob[0] == 0:
            return blob[1]
        need(blob[1] <= MAX_BLOB, "blob is too large")
        need(sum(length for _, length in blob[2]) == blob[1], "blob has another size than its chunks")
        return b"".join(self.chunk(reference) for reference in blob[2])

    def content(self, part):
        """The bytes of a part, piece by piece. What came out is right only when this ends without an error."""
        variant, value = part.segments
        segments = value if variant == 0 else (SEGMENT(s) for s in cbor_sequence(self.blob(value)))
        total, digest = 0, blake3(key=self.chunk_key)
        for segment in segments:
            stored = [segment.data] if type(segment.data) is bytes else (self.chunk(ref) for ref in segment.data)
            pieces = stored if segment.encoding[0] == 0 else base64_lines(stored, *segment.encoding[1:])
            length = 0
            for piece in pieces:
                length += len(piece)
                need(length <= segment.length and total + length <= part.size, "is longer than its record says")
                digest.update(piece)
                yield piece
            need(length == segment.length, "has a segment of another length than its record says")
            total += length
        need(total == part.size, "has another size than its record says")
        need(digest.digest() == part.hash, "has another hash than its record says")

    # Manifest trees (6)

    def read_node(self, chunk, level, last, entries, size, low):
        """Entries of a node as (key, ...), checked against what its parent says; `low` is the key before it."""
        node_level, rows = row(unsigned, array)(cbor(self.chunk(chunk)))
        need(node_level == level <= MAX_LEVEL and rows, "node has another level than its parent says, or no entries")
        kind = (row(unsigned, octets(), unsigned, octets()) if level == 0 else
                row(unsigned, octets(), ID32, unsigned, unsigned, unsigned))
        key, result = b"", []
        for shared, suffix, *rest in map(kind, rows):
            need(shared <= len(key), "node entry shares more than there is")
            key = key[:shared] + suffix
            need(low is None or key > low, "keys of the tree are not ascending")
            low = key
            result.append((key, *rest))
        need(last in (None, key), "node has another last key than its parent says")
        counts = (len(result), sum(r[1] for r in result)) if level == 0 else (
            sum(r[3] for r in result), sum(r[4] for r in result))
        need(counts == (entries, size), "node has other counts than its parent says")
        return result

    def entries(self, point, once=False):
        """Yields (key, item). Damaged nodes and items are named and left out. `once`: leave out subtrees that an
        earlier walk found sound, since points share them."""
        where = "point " + point.id.hex()

        def walk(chunk, level, last, entries, size, low):
            seen = (chunk, level, last, entries, size)
            if once and seen in self.sound:
                return
            before = len(self.damages)
            try:
                node = self.read_node(*seen, low)
            except Damage as error:
                self.damaged(where, "%d entries are lost: %s" % (entries, error))
                return
            for key, *rest in node:
                if level:
                    yield from walk((rest[0], rest[1]), level - 1, key, rest[2], rest[3], low)
                else:
                    try:
                        item = self.item(key, *rest)
                    except Damage as error:
                        self.damaged(where, "item %r: %s" % (key, error))
                    else:
                        yield key, item
                low = key
            if len(self.damages) == before:  # all that was read from here on was sound, contents too
                self.sound[seen] = True

        if point.root:
            yield from walk(point.root.chunk, point.root.level, None, point.root.entries, point.root.bytes, None)

    @staticmethod
    def item(key, size, value):
        need(len(value) <= MAX_VALUE, "record is too large")
        item = ITEM(cbor(value))
        ids = (item.id.encode(), item.container.encode())
        need(key == ids[1] + (b"\0\1" if item.kind == 1 else b"\0\2") + ids[0] and ids[0] and
             all(len(i) <= MAX_ID and b"\0" not in i for i in ids), "record belongs to another key")
        need(size == item.size, "record has another size than its entry")
        return item

    # Choosing

    def objects(self):
        """[(object record of the newest point, points from the oldest)], by name."""
        groups = {}
        for point in sorted(self.state.points.values(), key=lambda p: (p.started, p.finished, p.id)):
            groups.setdefault(point.object.id, []).append(point)
        return sorted(((points[-1].object, points) for points in groups.values()), key=lambda g: (
            g[0].name.encode(), g[0].id.encode()))

    def choose(self, name, point_id):
        """The points meant by --object and --point; without --point the newest of each object."""
        groups = [(o, ps) for o, ps in self.objects() if name is None or name in (o.id, o.name, o.address)]
        if name is not None and not groups:
            raise Stop(USAGE, "no such object: %s" % printable(name))
        if point_id in (None, "latest"):
            return [points[-1] for _, points in groups]
        found = [p for _, points in groups for p in points if p.id.hex().startswith(point_id)]
        if len(found) != 1:
            raise Stop(USAGE, "%s such point: %s" % ("no" if not found else "more than one", printable(point_id)))
        return found


def unbase64(value):
    return base64.b64decode(value, validate=True)


def base64_lines(stored, line, end, last):
    """5: lines of `line` characters. One line is held back, for only `last` says whether a line end follows it."""
    line_end, per_line, rest = (b"\r\n", b"\n")[end], line // 4 * 3, b""
    for data in stored:
        rest += data
        whole = max(len(rest) - 1, 0) // per_line * per_line
        encoded = binascii.b2a_base64(rest[:whole], newline=False)
        yield b"".join(encoded[i:i + line] + line_end for i in range(0, len(encoded), line))
        rest = rest[whole:]
    if rest:
        yield binascii.b2a_base64(rest, newline=False) + (line_end if last else b"")


# --- Commands ---------------------------------------------------------------------------------------------------------

def printable(value):
    """Names come from strangers: no control characters for the terminal, no tricks with the direction of writing."""
    return "".join(c if c.isprintable() else "\\u{%x}" % ord(c) for c in value)


def protection(value):
    kind, *until = value
    if kind == 2:
        return {"kind": "until", "until": timestamp(until[0])}
    return {"kind": ("job_retention", "forever")[kind]}


def timestamp(milliseconds):
    if milliseconds is None:
        return None
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return "%d ms" % milliseconds
    return moment.isoformat(timespec="milliseconds") + "Z"


def emit(kind, values):
    print(json.dumps({"type": kind, **dict(sorted(values.items()))}, ensure_ascii=False, separators=(",", ":")))


def command_list(repo, args):
    if args.json:
        emit("repository", {"id": repo.id.hex(), "encrypted": repo.encrypted, "head": repo.head,
                            "head_hash": repo.head_hash.hex()})
    else:
        print("repository %s, commit %d:%s" % (repo.id.hex(), repo.head, repo.head_hash.hex()))
    chosen = None if args.point in (None, "latest") else repo.choose(args.object, args.point)
    if args.object is not None:
        repo.choose(args.object, None)
    for record_, points in repo.objects():
        if args.object is not None and args.object not in (record_.id, record_.name, record_.address):
            continue
        newest = points[-1]
        if args.json:
            emit("object", {
                "address": record_.address, "id": record_.id, "kind": OBJECT_KINDS[record_.kind],
                "latest": {"bytes": newest.counts.bytes, "id": newest.id.hex(), "items": newest.counts.items,
                           "outcome": OUTCOMES[newest.outcome], "time": timestamp(newest.started)},
                "name": record_.name, "points": len(points), "source": record_.source})
        else:
            print("%s %s (%s)" % (OBJECT_KINDS[record_.kind], printable(record_.address or record_.name),
                                  printable(record_.id)))
        for point in points if args.point != "latest" else points[-1:]:
            if chosen is not None and point not in chosen:
                continue
            known = repo.state.damaged_points.get(point.id)
            if args.json:
                emit("point", {
                    "base": point.base.hex() if point.base else None, "bytes_read": point.bytes_read,
                    "bytes_stored": point.bytes_stored, "counts": dict(sorted(vars(point.counts).items())),
                    "damage": known and {"found": timestamp(known.found), "lost": known.lost, "what": known.what},
                    "description": point.description, "finished": timestamp(point.finished), "id": point.id.hex(),
                    "job": point.job, "object": point.object.address or point.object.name, "object_id": point.object.id,
                    "outcome": OUTCOMES[point.outcome], "protection": protection(point.protection),
                    "requests": point.requests, "software": point.software, "time": timestamp(point.started)})
            else:
                print("  %s  %s  %-8s  %d items, %d bytes%s" % (
                    point.id.hex(), timestamp(point.started), OUTCOMES[point.outcome], point.counts.items,
                    point.counts.bytes, ", %d of its entries known to be damaged" % known.lost if known else ""))


class Places:
    """The path of each container, as it was and as files. A container may come after what lies in it, so all are
    collected first."""

    def __init__(self, repo, point):
        self.containers = {item.id: item for _, item in repo.entries(point) if item.kind == 1}
        self.paths = {"": ()}

    def path(self, container_id):
        """Containers from the top down. One that is lost or part of a circle stands for itself at the top."""
        chain, at = [], container_id
        while at not in self.paths and at in self.containers and at not in chain:
            chain.append(at)
            at = self.containers[at].container
        top = self.paths.get(at, (at,))
        for at in reversed(chain):
            top = self.paths[at] = top + (at,)
        return top

    def text(self, item):
        names = [self.containers[c].name if c in self.containers else "?" + c for c in self.path(item.container)]
        return "/".join(names + [item.name])


def item_fields(places, key, item):
    return {"key": key.hex(), "id": item.id, "container": item.container, "kind": ITEM_KINDS[item.kind],
            "name": item.name, "path": places.text(item), "size": item.size, "item_type": item.item_type,
            "change_key": item.change_key, "properties": item.properties,
            **{name: timestamp(getattr(item, name)) for name in ("created", "modified", "received", "sent")}}


def command_tree(repo, args):
    for point in repo.choose(args.object, args.point):
        places = Places(repo, point)
        if not args.json:
            print("point %s of %s" % (point.id.hex(), printable(point.object.address or point.object.name)))
        for key, item in repo.entries(point):
            fields = item_fields(places, key, item)
            if args.json:
                emit("item", {**fields, "point": point.id.hex(), "parts": [
                    {"name": p.name, "media_type": p.media_type, "size": p.size} for p in item.parts]})
            else:
                time = fields["received"] or fields["modified"] or fields["created"] or "-"
                print("%-9s  %12d  %-24s  %s" % (fields["kind"], item.size, time, printable(fields["path"])))


RESERVED = {"con", "prn", "aux", "nul"} | {d + n for d in ("com", "lpt") for n in "0123456789\u00b9\u00b2\u00b3"}
EXTENSIONS = {"message/rfc822": ".eml", "application/json": ".json", "text/calendar": ".ics", "text/vcard": ".vcf"}


def shorten(name, limit):
    return name.encode()[:max(limit, 0)].decode("utf-8", "ignore")


def safe_name(name):
    """One path component that is harmless on every file system: no separators, no "..", no device names."""
    name = "".join("_" if c in '<>:"/\\|?*' or not c.isprintable() else c for c in name)
    stem, extension = os.path.splitext(name)
    extension = shorten(extension, 20)
    name = (shorten(stem, 150) + extension).rstrip(" .").lstrip(" ") or "_"
    return "_" + name if name.split(".")[0].rstrip().lower() in RESERVED else name


class Folder:
    """Output folder: invents names, so that no two things get the same one, on any file system."""

    def __init__(self, root):
        self.root, self.used = root, {}

    def free(self, folder, wanted):
        used = self.used.setdefault(folder, {})
        stem, extension = os.path.splitext(wanted)
        name = wanted
        while True:
            folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
            if folded not in used:
                used[folded] = 1
                return (folder + "/" if folder else "") + name
            used[folded] += 1
            name = "%s (%d)%s" % (stem, used[folded], extension)

    def open(self, path):
        full = os.path.join(self.root, *path.split("/"))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        return full


def command_export(repo, args):
    points = repo.choose(args.object, args.point)
    if os.path.lexists(args.to) and (not os.path.isdir(args.to) or os.listdir(args.to)):
        raise Stop(USAGE, "%s exists and is not an empty folder; nothing in it was touched" % args.to)
    os.makedirs(args.to, exist_ok=True)
    out = Folder(args.to)
    out.free("", "manifest.jsonl"), out.free("", ".unfinished")
    files = size = 0
    with open(os.path.join(args.to, "manifest.jsonl"), "x", encoding="utf-8", newline="\n") as manifest:
        def line(kind, values):
            values = {k: v for k, v in values.items() if v is not None}
            manifest.write(json.dumps({"type": kind, **values}, ensure_ascii=False, separators=(",", ":")) + "\n")

        for point in points:
            base = {"object": point.object.id, "point": point.id.hex()}
            top = out.free("", safe_name(point.object.address or point.object.name))
            os.mkdir(out.open(top))
            line("point", {**base, "name": point.object.name, "address": point.object.address,
                           "outcome": OUTCOMES[point.outcome], "started": timestamp(point.started),
                           "finished": timestamp(point.finished), "description": point.description})
            places, folders = Places(repo, point), {"": top}
            for key, item in repo.entries(point):
                folder = top
                for container in places.path(item.container) + ((item.id,) if item.kind == 1 else ()):
                    if container not in folders:
                        known = places.containers.get(container)
                        folders[container] = out.free(folder, safe_name(known.name if known else "lost folder"))
                        if len(folders[container].encode()) > 1000:  # deeper than file systems can
                            folders[container] = out.free(top, "deep")
                        os.mkdir(out.open(folders[container]))
                    folder = folders[container]
                fields = {**base, **item_fields(places, key, item)}
                if not item.parts:
                    line("item", {**fields, "file": folder + "/" if item.kind == 1 else None})
                for part in item.parts:
                    fields.update(part=part.name, media_type=part.media_type, size=part.size,
                                  attributes=part.attributes or None)
                    extension = EXTENSIONS.get(part.media_type, "." + part.name)
                    if item.kind == 6 and len(item.parts) == 1:
                        extension = ""  # a file is called as it is called
                    name = "folder" if item.kind == 1 else item.name
                    if extension:
                        name = shorten(name, 150).rstrip(" .") or "_"  # an empty subject: not a hidden file
                    path = out.free(folder, safe_name(name + extension))
                    try:
                        digests = write_part(repo, part, item, out.open(".unfinished"), out.open(path))
                        line("part", {**fields, "file": path, **digests})
                        files, size = files + 1, size + part.size
                    except Damage as error:
                        repo.damaged("point %s, %s, part %s" % (point.id.hex(), fields["path"], part.name), error)
                        line("part", {**fields, "error": str(error)})
            for entry in ledger(repo, point):
                line("not_in_point" if entry.kind < 3 else "warning", {
                    **base, "path": entry.path, "code": entry.cause.code, "message": entry.cause.message})
    summary(repo, args, {"points": len(points), "files": files, "bytes": size})


def write_part(repo, part, item, temporary, path):
    """Under another name first, so that what has the right name is whole and was checked."""
    plain, sha256 = blake3(), hashlib.sha256()
    try:
        with open(temporary, "xb") as file:
            for piece in repo.content(part):
                file.write(piece)
                plain.update(piece)
                sha256.update(piece)
        os.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    if item.modified is not None:
        try:
            os.utime(path, (item.modified / 1000, item.modified / 1000))
        except (OSError, OverflowError, ValueError):
            pass  # a time that this file system does not know is in the manifest all the same
    return {"blake3": plain.hexdigest(), "sha256": sha256.hexdigest()}


def ledger(repo, point):
    try:
        return [LEDGER_ENTRY(e) for e in cbor_sequence(repo.blob(point.ledger))] if point.ledger else []
    except Damage as error:
        repo.damaged("point %s, ledger" % point.id.hex(), error)
        return []


def verify_history(repo):
    """What opening the repository did not have to look at: the other key slots and checkpoints, and the commits behind
    the newest checkpoint down to its boundary (8.2 allows to remove only what lies below)."""
    for name in repo.names("keys", "[0-9a-f]{16}"):
        try:
            _, data = repo.read_json("keys/" + name, "key-slot")
            need(blake3(data).hexdigest()[:16] == name, WRONG_NAME)
        except Damage as error:
            repo.damaged("keys/" + name, error)
    for number in repo.numbers("checkpoint"):
        try:
            if number < repo.base:
                repo.read_checkpoint(number)
        except Damage as error:
            repo.damaged("checkpoint/%020d" % number, error)
    expected = repo.hashes[repo.base]
    for number in range(repo.base, repo.boundary, -1):
        try:
            commit, digest = repo.read_commit(number)
            need(digest == expected, "is not the commit that the one after it, or the checkpoint, continues")
            expected, repo.hashes[number] = commit.previous, digest
        except Damage as error:
            repo.damaged("log/%020d" % number, error)
            return


def verify_packs(repo):
    for name, pack in sorted(repo.index_packs.items()):
        path = "packs/%s/%s" % (name[:2], name)
        try:
            need(blake3(repo.read(path, MAX_PACK)).hexdigest() == name, WRONG_NAME)
            need(repo.read_directory(name) == (pack.epoch, pack.length, pack.entries),
                 "has another directory than the index says")
        except Damage as error:
            repo.damaged(path, error)


def command_verify(repo, args):
    verify_history(repo)
    verify_packs(repo)
    if args.object is None and args.point is None:
        points = [p for _, group in repo.objects() for p in group]
    else:
        points = repo.choose(args.object, args.point)
    parts, size = 0, 0
    for point in points:
        ledger(repo, point)
        try:
            repo.blob(point.cursor or (0, b""))
        except Damage as error:
            repo.damaged("point %s, cursor" % point.id.hex(), error)
        for _, item in repo.entries(point, once=True):
            for part in item.parts:
                try:
                    size += sum(map(len, repo.content(part)))
                    parts += 1
                except Damage as error:
                    repo.damaged("point %s, item %s (%s), part %s" % (
                        point.id.hex(), item.name, item.id, part.name), error)
    summary(repo, args, {"points": len(points), "parts": parts, "bytes": size, "head": repo.head,
                         "head_hash": repo.head_hash.hex()})


def summary(repo, args, values):
    if args.json:
        emit("summary", {**values, "damages": len(repo.damages)})
    else:
        print(", ".join("%s: %s" % pair for pair in {**values, "damages": len(repo.damages)}.items()))


class RecoveryKey(bytes):
    """The 32 bytes of a recovery key or key file."""


BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def read_key(path):
    """3.4: eight groups of eight characters, each with a check of its own, that a typing error is named by."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(64 * KIB)
    except (OSError, ValueError) as error:
        raise Stop(USAGE, "cannot read the key file: %s" % error) from None
    text = "".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    text = re.sub("[-\\s\u2010-\u2015\ufeff]", "", text).upper().translate(str.maketrans("OIL", "011"))
    key = b""
    for number in range(1, 9):
        group = text[8 * number - 8:8 * number]
        if len(group) < 8 or len(text) > 64:
            raise Stop(USAGE, "the key has %d characters instead of 64" % len(text))
        if set(group) - set(BASE32):
            raise Stop(USAGE, "group %d of the key has a character that no key has" % number)
        value, check = divmod(sum(BASE32.index(c) << 5 * at for at, c in enumerate(reversed(group))), 256)
        crc, data = number, value.to_bytes(4, "big")
        for byte in b"\0" + data:
            crc ^= byte
            for _ in range(8):
                crc = crc << 1 & 255 ^ (7 if crc & 128 else 0)
        if crc != check:
            raise Stop(USAGE, "group %d of the key has a typing error" % number)
        key += data
    return RecoveryKey(key)


def forms(secret, algorithm):
    """3.2: which bytes to try for a slot; a passphrase as entered, composed, decomposed."""
    if isinstance(secret, RecoveryKey) != (algorithm == "blake3"):
        return []
    if algorithm == "blake3":
        return [secret]
    try:
        text = secret.decode()
    except ValueError:
        return [secret]
    return list(dict.fromkeys([secret, *(unicodedata.normalize(form, text).encode() for form in ("NFC", "NFD"))]))


def stretch(secret, cost, salt):
    if isinstance(secret, RecoveryKey):
        return derive("nakivo repository v1 key-slot key", secret + salt, 64)
    memory, time, lanes = cost
    return Argon2id(salt=salt, length=64, iterations=time, lanes=lanes, memory_cost=memory).derive(secret)


def read_passphrase(path):
    """The first line of the file, without LF and one CR before it. Nothing else is taken away."""
    if path is None:
        if not sys.stdin.isatty():
            raise Stop(WRONG_PASSPHRASE, "the repository is encrypted: name the passphrase file with --passphrase-file, or "
                       "a recovery key with --key-file")
        return getpass.getpass("Passphrase: ").encode()
    try:
        with open(path, "rb") as file:
            line = file.readline(64 * KIB).split(b"\n")[0]
            return line[:-1] if line.endswith(b"\r") else line
    except OSError as error:
        raise Stop(USAGE, "cannot read the passphrase file: %s" % error) from None


def check_seen(repo, seen):
    """8.3: an older state that the store shows can be noticed only by who remembers a newer one."""
    number, _, digest = seen.partition(":")
    if not re.fullmatch("[0-9]{1,20}", number) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise Stop(USAGE, "--seen wants NUMBER:HASH, as `list` prints it")
    if int(number) > repo.head:
        repo.damaged("log", "the store shows an older state than you saw: commit %d of %s" % (repo.head, number))
    elif repo.hashes.get(int(number), bytes.fromhex(digest)).hex() != digest:
        repo.damaged("log/%020d" % int(number), "is not the commit that you saw: history was replaced")


def arguments(argv):
    parser = argparse.ArgumentParser(description="Reads backup repositories of format version 1.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function, help_ in (
            ("list", command_list, "list objects and their recovery points"),
            ("tree", command_tree, "list the items of a point"),
            ("export", command_export, "write everything in a point into an empty folder"),
            ("verify", command_verify, "read, authenticate and hash everything that points need")):
        sub = commands.add_parser(name, help=help_, description=help_)
        sub.add_argument("repository", help="folder with NakivoBackup in it")
        if name == "export":
            sub.add_argument("to", help="a new or empty folder")
        sub.add_argument("--passphrase-file", metavar="FILE", help="file with the passphrase in its first line")
        sub.add_argument("--key-file", metavar="FILE", help="file with a recovery key instead of a passphrase")
        sub.add_argument("--object", metavar="NAME", help="name, address or id; default: all")
        sub.add_argument("--point", metavar="ID", help="first digits of an id, or latest; default: the newest of each "
                         "object (list, verify: all)")
        sub.add_argument("--seen", metavar="NUMBER:HASH", help="the newest commit that you know of, from `list`")
        sub.add_argument("--without-format", action="store_true", help="go on although format.json is lost")
        sub.add_argument("--salvage", action="store_true", help="use commits behind a damaged one too")
        sub.add_argument("--json", action="store_true", help="one JSON object a line")
        sub.set_defaults(function=function)
    return parser.parse_args(argv)


def main(argv=None):
    args = arguments(argv)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")

    def on_damage(where, why):
        print("damaged: %s: %s" % (printable(where), printable(why)), file=sys.stderr)
        if args.json:
            emit("damage", {"where": where, "why": why})

    try:
        repo = Repository(args.repository, lambda: read_key(args.key_file) if args.key_file else read_passphrase(
            args.passphrase_file), args.without_format, args.salvage, on_damage,
                          args.passphrase_file is not None or args.key_file is not None)
        if args.seen:
            check_seen(repo, args.seen)
        args.function(repo, args)
        return DAMAGED if repo.damages else OK
    except Stop as stop:
        print("error: %s" % printable(str(stop)), file=sys.stderr)
        return stop.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DAMAGED
    except OSError as error:
        print("error: cannot go on: %s" % error, file=sys.stderr)
        return DAMAGED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
