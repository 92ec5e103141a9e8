"""The description of the API as the generators of all languages read it."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property

# The classes that are for tests of those who embed the library: they live in a module of their own.
TESTING = ("Emulator",)
# What may not be shown when a record or its options are printed.
SECRETS = re.compile(r"(^|_)(passphrase|secret|password|key|token)$")
# What names a file or a folder of this machine.
FILES = re.compile(r"(_file|_dir|_from|_config)$|^(directory|zip)$")
INTEGERS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "i32": 32, "i64": 64}


class Unknown(Exception):
    """Something is described that no generator has a form for."""


@dataclass(frozen=True)
class Type:
    """A type: what it is (`nothing`, `string`, `bool`, `integer`, `float`, `time`, `bytes`, `option`, `list`, `map`, `record`,
    `words`, `class`), the name of what has one, and what it holds."""

    kind: str
    name: str = ""
    of: "Type | None" = None

    def walk(self):
        """It, and what it holds."""
        yield self
        if self.of:
            yield from self.of.walk()


@dataclass(frozen=True)
class Field:
    """A field of a record, or an argument."""

    name: str
    type: Type
    doc: str = ""
    # Whether it may be left out, and what is then taken.
    optional: bool = False
    default: object = None

    @property
    def is_secret(self):
        return bool(SECRETS.search(self.name))

    @property
    def is_file(self):
        return bool(FILES.search(self.name))


@dataclass(frozen=True)
class Record:
    """Data that goes over as a whole."""

    name: str
    doc: str
    fields: list

    @property
    def is_options(self):
        """Whether everything of it may be left out: as argument its fields are arguments of their own."""
        return all(field.optional for field in self.fields)


@dataclass(frozen=True)
class Words:
    """A closed set of words."""

    name: str
    doc: str
    words: list = field(default_factory=list)  # (word, what it means)


@dataclass(frozen=True)
class Method:
    """A method or a constructor."""

    name: str
    doc: str
    arguments: list
    answer: Type
    # By name of an argument whose record is flattened: its fields.
    options: dict
    # The names of all arguments in their order, and the record of each that is flattened.
    order: list = field(default_factory=list)
    records: dict = field(default_factory=dict)

    @property
    def flattened(self):
        """The fields of all records that are flattened."""
        return [field for fields in self.options.values() for field in fields]


@dataclass(frozen=True)
class Class:
    """What a caller holds."""

    name: str
    doc: str
    constructors: list
    methods: list
    testing: bool


class Api:
    """All of it."""

    def __init__(self, described):
        self._described = described
        self.runs = dict(described["runs"])
        self.streams = dict(described["streams"])
        self.errors = described["errors"]
        self._class_names = {each["name"] for each in described["classes"]}
        self.records = {}
        self.words = {}
        for name, schema in described["records"].items():
            if "properties" in schema:
                self.records[name] = self._record(name, schema)
            else:
                self.words[name] = _words(name, schema)
        # Runs and streams have one form each, which is written by hand.
        self.classes = [
            self._class(each)
            for each in described["classes"]
            if each["name"] not in self.runs and each["name"] not in self.streams
        ]

    @classmethod
    def read(cls, path):
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def run_answer(self, run):
        """What a run ends with."""
        return self.parse(self.runs[run])

    def parse(self, text):
        """A type as Rust writes it."""
        if text == "()":
            return Type("nothing")
        if found := re.fullmatch(r"(Option|Vec)<(.+)>", text):
            return Type({"Option": "option", "Vec": "list"}[found[1]], of=self.parse(found[2]))
        if found := re.fullmatch(r"(?:BTree|Hash)Map<String,(.+)>", text):
            return Type("map", of=self.parse(found[1]))
        simple = {"String": "string", "bool": "bool", "f64": "float", "Bytes": "bytes", "Timestamp": "time"}
        if text in simple:
            return Type(simple[text])
        if text in INTEGERS:
            return Type("integer", text)
        if text in self._class_names:
            return Type("class", text)
        if text in self._described["records"]:
            return self._named(text)
        raise Unknown(f"type {text}")

    def _named(self, name):
        return Type("record" if "properties" in self._described["records"][name] else "words", name)

    def _schema_type(self, schema):
        if "$ref" in schema:
            return self._named(schema["$ref"].rsplit("/", 1)[1])
        if "anyOf" in schema:
            others = [each for each in schema["anyOf"] if each != {"type": "null"}]
            if len(others) == 1:
                return Type("option", of=self._schema_type(others[0]))
        kind = schema.get("type")
        if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
            (kind,) = (each for each in kind if each != "null")
            return Type("option", of=self._schema_type({**schema, "type": kind}))
        if kind == "string":
            return Type("time" if schema.get("format") == "date-time" else "string")
        if kind == "integer":
            return Type("integer", schema["format"].replace("uint", "u").replace("int", "i"))
        if kind in ("boolean", "number"):
            return Type({"boolean": "bool", "number": "float"}[kind])
        if kind == "array":
            return Type("list", of=self._schema_type(schema["items"]))
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return Type("map", of=self._schema_type(schema["additionalProperties"]))
        raise Unknown(f"schema {schema}")

    def _record(self, name, schema):
        required = schema.get("required", ())
        fields = []
        for field_name, described in schema["properties"].items():
            kind = self._schema_type(described)
            # A nullable field of an answer is always there, though it is not required.
            optional = "default" in described
            if not optional and field_name not in required and kind.kind != "option":
                raise Unknown(f"{name}.{field_name}: neither required nor with a default")
            doc = described.get("description", "")
            fields.append(Field(field_name, kind, doc, optional, described.get("default")))
        return Record(name, schema.get("description", ""), fields)

    def _class(self, described):
        methods = {
            which: [self._method(described["name"], each) for each in described[which]]
            for which in ("constructors", "methods")
        }
        return Class(described["name"], described["doc"], testing=described["name"] in TESTING, **methods)

    def _method(self, class_name, described):
        arguments, options = [], {}
        for each in described["arguments"]:
            kind = self.parse(each["type"])
            record = self.records.get(kind.name) if kind.kind == "record" else None
            if record and record.is_options:
                options[each["name"]] = record.fields
            else:
                arguments.append(Field(each["name"], kind))
        # Those of a type that can say nothing may be left out, as far as none follows that may not.
        for at in range(len(arguments) - 1, -1, -1):
            if arguments[at].type.kind not in ("option", "list"):
                break
            default = None if arguments[at].type.kind == "option" else []
            arguments[at] = Field(arguments[at].name, arguments[at].type, optional=True, default=default)
        given = described["arguments"]
        order = [each["name"] for each in given]
        records = {each["name"]: each["type"] for each in given if each["name"] in options}
        answer = self.parse(described["answer"])
        method = Method(described["name"], described["doc"], arguments, answer, options, order, records)
        names = [field.name for field in arguments + method.flattened]
        for name in names:
            if names.count(name) > 1:
                raise Unknown(f"{class_name}.{method.name}: several arguments and options are called {name}")
        return method

    @cached_property
    def used(self):
        """Names of the records and sets of words that callers meet, beginning at the classes: all, and those of tests only."""
        ordinary, testing = set(), set()
        for each in self.classes:
            met = testing if each.testing else ordinary
            for method in each.constructors + each.methods:
                for kind in [method.answer] + [field.type for field in method.arguments + method.flattened]:
                    self._meet(kind, met)
        self._meet(Type("record", "Update"), ordinary)
        return ordinary | testing, testing - ordinary

    def _meet(self, kind, met):
        for kind in kind.walk():
            if kind.name in self.runs:
                self._meet(self.run_answer(kind.name), met)
            elif kind.name in self.streams:
                self._meet(self.parse(self.streams[kind.name]), met)
            elif kind.kind in ("record", "words") and kind.name not in met:
                met.add(kind.name)
                for field in self.records[kind.name].fields if kind.kind == "record" else ():
                    self._meet(field.type, met)


def _words(name, schema):
    if "enum" in schema:
        words = [(word, "") for word in schema["enum"]]
    elif "oneOf" in schema and all("const" in each for each in schema["oneOf"]):
        words = [(each["const"], each.get("description", "")) for each in schema["oneOf"]]
    else:
        raise Unknown(f"{name}: neither a record nor a set of words")
    return Words(name, schema.get("description", ""), words)


def pascal(name):
    """`not_found` as `NotFound`."""
    return "".join(part.capitalize() for part in name.split("_"))
