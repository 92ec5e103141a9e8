"""The face of the Python package: records, errors, and every class twice, once to wait for and once to await."""

import keyword
import re
import textwrap

from .common import pascal

PACKAGE = "python/package/nakivo"
HEADER = "# Generated from bindings/api.json by bindings/generate: change it there.\n"
WIDTH = 120
# Names of built-in types that annotations need: a method of the same name hides them from the annotations of its class.
BUILT_IN = ("bool", "bytes", "dict", "float", "int", "list", "object", "str")


def generate(api):
    """Text of each file, by path in `bindings`."""
    files = {
        "errors.py": errors(api),
        "_records.py": Records(api).text(),
        "__init__.py": exports(api, "nakivo", testing=False),
        "testing.py": exports(api, "nakivo.testing", testing=True),
        "aio/__init__.py": exports(api, "nakivo.aio", testing=False),
        "aio/testing.py": exports(api, "nakivo.aio.testing", testing=True),
        "_classes.py": Classes(api, awaited=False).text(),
        "aio/_classes.py": Classes(api, awaited=True).text(),
    }
    return {f"{PACKAGE}/{name}": text for name, text in files.items()}


def identifier(name):
    """A name that Python allows."""
    return f"{name}_" if keyword.iskeyword(name) else name


def python_words(doc):
    """A description with Python's words in place of Rust's."""
    doc = re.sub(r"\[`([^`\]]+)`\]", lambda found: f"`{found[1].replace('::', '.')}`", doc)
    for rust, python in (("`true`", "`True`"), ("`false`", "`False`")):
        doc = doc.replace(rust, python)
    return doc


def docstring(doc, indent, more=()):
    """A docstring with what follows the description."""
    lines = [line for paragraph in python_words(doc).split("\n") for line in wrapped(paragraph, indent)] + list(more)
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', '\\"""')
    if text.endswith('"'):
        text += " "
    closing = '"""' if len(lines) == 1 else '\n"""'
    return textwrap.indent(f'"""{text}{closing}', indent)


def wrapped(text, indent, hanging=""):
    """Text over as many lines as it needs."""
    return textwrap.wrap(text, WIDTH - len(indent) - 8, subsequent_indent=hanging, break_on_hyphens=False) or [""]


def annotation(kind, builtins=(), argument=False, is_file=False):
    """A type as annotation. What may be given is wider than what is answered."""
    say = lambda name: f"builtins.{name}" if name in builtins else name
    inner = lambda: annotation(kind.of, builtins, argument, is_file)
    match kind.kind:
        case "nothing":
            return "None"
        case "string":
            return f"{say('str')} | PathLike[{say('str')}]" if is_file else say("str")
        case "bool" | "float":
            return say(kind.kind)
        case "integer":
            return say("int")
        case "bytes":
            return f"{say('bytes')} | bytearray | memoryview" if argument else say("bytes")
        case "time":
            return "datetime"
        case "option":
            return f"{inner()} | None"
        case "list":
            return f"Sequence[{inner()}]" if argument else f"{say('list')}[{inner()}]"
        case "map":
            return f"{'Mapping' if argument else say('dict')}[{say('str')}, {inner()}]"
        case _:
            return kind.name


def made(kind, value, depth=0):
    """An expression that makes what Python has of what JSON said."""
    each = f"v{depth}"
    match kind.kind:
        case "time":
            return f"moment({value})"
        case "record":
            return f"{maker(kind.name)}({value})"
        case "option":
            if kind.of.kind == "time":
                return f"moment_or_none({value})"
            inner = made(kind.of, value, depth)
            return inner if inner == value else f"None if {value} is None else {inner}"
        case "list":
            inner = made(kind.of, each, depth + 1)
            return value if inner == each else f"[{inner} for {each} in {value}]"
        case "map":
            inner = made(kind.of, each, depth + 1)
            return value if inner == each else f"{{k{depth}: {inner} for k{depth}, {each} in {value}.items()}}"
        case _:
            return value


def maker(name):
    """The function that makes a record: `make_point_info`."""
    return "make_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def default(field):
    """What a field is when it is left out."""
    return "()" if field.default == [] else repr(field.default)


def errors(api):
    """The tree of errors."""
    names = ["NakivoError", "PartialError"]
    text = [HEADER, '"""The errors: a class for each code, all of them under `NakivoError`."""\n']
    text.append("from ._failure import NakivoError, PartialError\n")
    for each in api.errors:
        name = f"{pascal(each['code'])}Error"
        names.append(name)
        retry = ["The same call may succeed later without any change."] if each["retryable"] else []
        doc = docstring(f"{each['what']}.", "    ", ["", f"{each['todo']}.", *retry])
        text.append(f'\nclass {name}(NakivoError, code="{each["code"]}"):\n{doc}\n')
    text.insert(3, listed("__all__", names))
    return "\n".join(text)


def listed(name, values):
    """A list of names, one in a line."""
    lines = "".join(f'    "{value}",\n' for value in sorted(values))
    return f"{name} = [\n{lines}]\n"


class Records:
    """The records, and the functions that make them of JSON."""

    def __init__(self, api):
        self.api = api
        # Options that are flattened wherever they are taken are no records here.
        self.names = sorted(api.used[0])

    def text(self):
        text = [
            HEADER,
            '"""The records: data that goes over as a whole."""\n',
            "from __future__ import annotations\n",
            "import builtins",
            "from collections.abc import Mapping, Sequence",
            "from dataclasses import dataclass, field",
            "from datetime import datetime",
            "from os import PathLike",
            "from typing import Any, Literal\n",
            "from ._failure import Report",
            "from ._runtime import moment, moment_or_none\n",
        ]
        words = [self.api.words[name] for name in self.names if name in self.api.words]
        records = [self.api.records[name] for name in self.names if name in self.api.records]
        text += [self.words(each) for each in words]
        text += [self.record(each) for each in records]
        text += [self.maker(each) for each in records]
        return prune("\n".join(text))

    def words(self, words):
        values = ", ".join(f'"{word}"' for word, _ in words.words)
        means = [f"- `{word}`: {meaning}" for word, meaning in words.words if meaning]
        return f"{words.name} = Literal[{values}]\n" + docstring(words.doc, "", ["", *means] if means else []) + "\n"

    def record(self, record):
        reports = {kind.name for kind in map(self.api.run_answer, self.api.runs)}
        has_outcome = any(field.name == "outcome" for field in record.fields)
        base = "(Report)" if record.name in reports and has_outcome else ""
        options = "frozen=True, slots=True" + (", kw_only=True" if record.is_options else "")
        lines = [f"\n@dataclass({options})", f"class {record.name}{base}:", docstring(record.doc, "    "), ""]
        hidden = [name for name in BUILT_IN if any(each.name == name for each in record.fields)]
        # Those with a default come behind those without.
        for each in sorted(record.fields, key=lambda each: each.optional):
            kind = annotation(each.type, hidden, argument=each.optional, is_file=each.optional and each.is_file)
            arguments = ["repr=False"] if each.is_secret else []
            if each.optional:
                arguments.insert(0, f"default={default(each)}")
            value = f" = field({', '.join(arguments)})" if arguments else ""
            lines.append(f"    {identifier(each.name)}: {kind}{value}")
            if each.doc:
                lines.append(docstring(each.doc, "    "))
        return "\n".join(lines) + "\n"

    def maker(self, record):
        ordered = sorted(record.fields, key=lambda each: each.optional)
        values = [made(each.type, f'v["{each.name}"]') for each in ordered]
        if record.is_options:
            values = [f"{identifier(each.name)}={value}" for each, value in zip(ordered, values)]
        lines = "".join(f"        {value},\n" for value in values)
        return f"\ndef {maker(record.name)}(v: dict[str, Any]) -> {record.name}:\n    return {record.name}(\n{lines}    )\n"


def prune(text):
    """Without the imported names that are not used."""
    lines = []
    for line in text.split("\n"):
        if found := re.match(r"from (\S+) import (.+)", line):
            used = [
                name for name in found[2].split(", ")
                if name == "annotations" or len(re.findall(rf"\b{name}\b", re.sub(r"(?m)^from .*$", "", text)))
            ]
            if not used:
                continue
            line = f"from {found[1]} import {', '.join(used)}"
        elif found := re.match(r"import (\S+)$", line):
            if f"{found[1]}." not in text:
                continue
        lines.append(line)
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines))


class Classes:
    """The classes: as they are waited for, or as they are awaited."""

    def __init__(self, api, awaited):
        self.api = api
        self.awaited = awaited
        self.base = "AsyncObject" if awaited else "Object"

    def text(self):
        up = ".." if self.awaited else "."
        names = sorted(self.api.used[0])
        makers = sorted(maker(name) for name in names if name in self.api.records)
        own = "AsyncObject, call" if self.awaited else "Object, call, present, read, reader"
        others = ["present", "read", "reader"] if self.awaited else []
        text = [
            HEADER,
            '"""The classes."""\n',
            "from __future__ import annotations\n",
            "import builtins",
            "from collections.abc import Mapping, Sequence",
            "from datetime import datetime",
            "from os import PathLike",
            "from typing import Self\n",
            f"from {up}_records import {', '.join(names + makers)}",
            *([f"from {up}_runtime import {', '.join(others)}"] if others else []),
            "from ._run import Run",
            f"from ._runtime import {own}",
            "from ._stream import Content, Listing\n",
        ]
        text += [self.class_(each) for each in self.api.classes]
        return wrap_imports(prune("\n".join(text)))

    def class_(self, described):
        methods = described.constructors + described.methods
        hidden = [name for name in BUILT_IN if any(method.name == name for method in methods)]
        lines = [f"\nclass {described.name}({self.base}):", docstring(described.doc, "    "), "", "    __slots__ = ()"]
        for each in described.constructors:
            lines.append(self.method(each, hidden, of_class=described.name))
        for each in described.methods:
            lines.append(self.method(each, hidden))
        return "\n".join(lines) + "\n"

    def method(self, method, hidden, of_class=None):
        lazy = self.awaited and method.answer.name in self.api.streams
        answer = "Self" if of_class else self.answer(method.answer, hidden)
        start = "async def" if self.awaited and not lazy else "def"
        head = f"    {start} {identifier(method.name)}({', '.join(self.parameters(method, hidden, of_class))}) -> {answer}:"
        if len(head) > WIDTH:
            parameters = "".join(f"        {each},\n" for each in self.parameters(method, hidden, of_class))
            head = f"    {start} {identifier(method.name)}(\n{parameters}    ) -> {answer}:"
        lines = ["", *(["    @classmethod"] if of_class else []), head]
        lines.append(docstring(method.doc, "        ", self.described(method)))
        lines.append(self.body(method, of_class, lazy))
        return "\n".join(lines)

    def parameters(self, method, hidden, of_class):
        parameters = ["cls" if of_class else "self"]
        for each in method.arguments:
            parameters.append(self.parameter(each, hidden, bool(of_class) and each.name == "path"))
        if method.flattened:
            parameters.append("*")
            parameters += [self.parameter(each, hidden, each.is_file) for each in method.flattened]
        return parameters

    def parameter(self, field, hidden, is_file):
        kind = annotation(field.type, hidden, argument=True, is_file=is_file)
        return f"{identifier(field.name)}: {kind}" + (f" = {default(field)}" if field.optional else "")

    def described(self, method):
        """The part of a docstring that describes options."""
        lines = []
        for each in method.flattened:
            if each.doc:
                text = " ".join(python_words(each.doc).split())
                lines += wrapped(f"    {identifier(each.name)}: {text}", "        ", hanging=" " * 8)
        return ["", "Args:", *lines] if lines else []

    def answer(self, kind, hidden):
        if kind.name in self.api.runs:
            ended = self.api.run_answer(kind.name)
            return f"Run[{annotation(ended, hidden)}]"
        if kind.name in self.api.streams:
            held = self.api.parse(self.api.streams[kind.name])
            return "Content" if held.kind == "bytes" else f"Listing[{annotation(held, hidden)}]"
        return annotation(kind, hidden)

    def body(self, method, of_class, lazy):
        data, objects, contents = [], [], []
        for each in method.arguments:
            inner = each.type.of if each.type.kind == "option" else each.type
            to = {"class": objects, "bytes": contents}.get(inner.kind, data)
            given = f'"{each.name}": {identifier(each.name)}'
            # JSON says that something is missing; objects and content just are not there then.
            missing = to is not data and each.type.kind == "option"
            to.append(f"**present({{{given}}})" if missing else given)
        for name, fields in method.options.items():
            data.append((f'"{name}": {{', [f'"{each.name}": {identifier(each.name)}' for each in fields], "}"))
        sides = [("{", side, "}") for side in (data, objects, contents)]
        while sides and not sides[-1][1]:
            sides.pop()
        target = f'"{of_class}"' if of_class else "self._handle"
        start = "await call(" if self.awaited and not lazy else "call("
        called = (start, [target, f'"{method.name}"', *sides], ")")
        if lazy:
            held, *others = self.wrapped(method.answer)
            called = ("lambda: call(", *called[1:])
            lines = [(f"return {held}(", [called, *others], ")")]
        elif of_class:
            lines = [("return cls(", [called], ")")]
        else:
            lines = self.given(method.answer, called)
        return "\n".join(laid(line, 8) for line in lines)

    def given(self, kind, called):
        """The lines that make an answer of what the native module gave."""
        inner = kind.of if kind.kind == "option" else kind
        if kind.kind == "nothing":
            return [called]
        if inner.kind == "bytes":
            return [(f"answer: {annotation(kind)} = {called[0]}", *called[1:]), "return answer"]
        if kind.kind == "class":
            held, *others = self.wrapped(kind)
            return [(f"return {held}(", [called, *others], ")")]
        if inner.kind == "class":
            held, *others = self.wrapped(inner)
            made_of_it = ", ".join(["answer", *others])
            return [(f"answer = {called[0]}", *called[1:]), f"return None if answer is None else {held}({made_of_it})"]
        expression = made(kind, "answer")
        declared = f": {annotation(kind)}" if expression == "answer" else ""
        return [(f"answer{declared} = read(", [called], ")"), f"return {expression}"]

    def wrapped(self, kind):
        """What holds an object, and what it takes besides."""
        if kind.name in self.api.runs:
            return "Run", self.ended(self.api.run_answer(kind.name))
        if kind.name in self.api.streams:
            held = self.api.parse(self.api.streams[kind.name])
            return ("Content",) if held.kind == "bytes" else ("Listing", maker(held.name))
        return (kind.name,)

    def ended(self, kind):
        """What makes the outcome of a run of the answer."""
        return kind.name if kind.kind == "class" else f"reader({maker(kind.name)})"


def laid(tree, indent, after=""):
    """An expression over as many lines as it needs: text, or what it opens with, its parts, and what it closes with."""
    flat = flattened(tree)
    if isinstance(tree, str) or indent + len(flat + after) <= WIDTH:
        return " " * indent + flat + after
    start, parts, end = tree
    if len(parts) == 1 and not isinstance(parts[0], str):
        # Brackets that hold nothing but others open and close in the same lines as these.
        inner_start, inner_parts, inner_end = parts[0]
        return laid((start + inner_start, inner_parts, inner_end + end), indent, after)
    lines = [laid(part, indent + 4, ",") for part in parts]
    return "\n".join([" " * indent + start, *lines, " " * indent + end + after])


def flattened(tree):
    """An expression in one line."""
    if isinstance(tree, str):
        return tree
    start, parts, end = tree
    return start + ", ".join(map(flattened, parts)) + end


def wrap_imports(text):
    """With imports of many names over several lines."""
    def wrapped(found):
        if len(found[0]) <= WIDTH:
            return found[0]
        return f"from {found[1]} import (\n" + "".join(f"    {name},\n" for name in found[2].split(", ")) + ")"

    return re.sub(r"(?m)^from (\S+) import (.+)$", wrapped, text)


MODULES = {
    "nakivo": "Backups of Microsoft 365 and of folders, in a repository that you own.\n\nEvery call waits for its answer; "
    "`nakivo.aio` has the same to be awaited.",
    "nakivo.testing": "For tests of what is built on this package: an organisation that is not there.",
    "nakivo.aio": "The package for asyncio: the same names, to be awaited.",
    "nakivo.aio.testing": "For tests with asyncio: an organisation that is not there.",
}


def exports(api, module, testing):
    """A module that has what others define."""
    awaited = ".aio" in module
    up = ".." if awaited else "."
    used, only_testing = api.used
    records = sorted(only_testing if testing else used - only_testing)
    classes = sorted(each.name for each in api.classes if each.testing == testing)
    names = classes + records
    lines = [HEADER, docstring(MODULES[module], ""), ""]
    if not testing:
        failures = ["NakivoError", "PartialError"] + [f"{pascal(each['code'])}Error" for each in api.errors]
        names += ["Run", "Listing", "Content", *failures]
        if not awaited:
            lines.append("from ._native import __version__")
            names.append("__version__")
        lines.append(f"from {up}_records import {', '.join(records)}")
        lines.append(f"from {up}errors import {', '.join(sorted(failures))}")
        lines.append("from ._run import Run")
        lines.append("from ._stream import Content, Listing")
    elif records:
        lines.append(f"from {up}_records import {', '.join(records)}")
    lines.append(f"from ._classes import {', '.join(classes)}")
    return wrap_imports("\n".join(lines)) + "\n\n" + listed("__all__", names)
