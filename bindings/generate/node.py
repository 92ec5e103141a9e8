"""The typed face of the package for Node: TypeScript under `bindings/node/face/generated`."""

import re

from .common import Type, Unknown, pascal

# Names that mean something else: to every class of the face, to a promise, to a function.
RESERVED = {"constructor", "close", "then", "name", "length", "prototype", "arguments", "caller"}
# Integers of so many bits may be beyond what a number of JavaScript holds exactly.
LARGE = {"u64", "i64", "u", "i"}
HEAD = "// Generated from bindings/api.json by bindings/generate: change that, not this.\n\n"


def generate(api):
    """The files by path under `bindings`."""
    writer = Writer(api)
    return {
        f"node/face/generated/{name}.ts": HEAD + text
        for name, text in {
            "records": writer.records(testing=False),
            "testing_records": writer.records(testing=True),
            "convert": writer.convert(),
            "errors": writer.errors(),
            "classes": writer.classes(testing=False),
            "testing": writer.classes(testing=True),
        }.items()
    }


def camel(name):
    """`not_found` as `notFound`."""
    return pascal(name)[:1].lower() + pascal(name)[1:]


def innermost(kind):
    return kind if kind.of is None else innermost(kind.of)


def imported(body, place, names, how="import"):
    """Imports what of the names the text uses, if it uses any."""
    code = re.sub(r"/\*\*.*?\*/|'[^'\n]*'", "", body, flags=re.S)
    used = sorted(name for name in set(names) if re.search(rf"(?<![\w.]){name}\b(?!\??:)", code))
    return f"{how} {{ {', '.join(used)} }} from '{place}';\n" if used else ""


class Writer:
    """Writes the files of one description."""

    def __init__(self, api):
        self.api = api
        used, testing = api.used
        # The options of a call are a type of their own here.
        options = {True: set(), False: set()}
        for each in api.classes:
            for method in each.constructors + each.methods:
                options[each.testing].update(self._option_records(method))
        self.testing = testing | (options[True] - options[False])
        used = used | options[True] | options[False]
        self.used = [name for name in (*api.records, *api.words) if name in used]
        self.taken, self.given = self._directions()
        calls = [method for each in api.classes for method in each.constructors + each.methods]
        names = {method.name for method in calls}
        for method in calls:
            names.update(field.name for field in method.arguments + method.flattened)
        spoken = {word for words in api.words.values() for word, _ in words.words}
        # What the description names as in Rust and callers see otherwise. Words that are values stay as they are.
        self.renamed = {name: camel(name) for name in names - spoken if "_" in name}

    def _directions(self):
        """The records that callers give, and those that they get."""
        taken, given = set(), set()
        for each in self.api.classes:
            for method in each.constructors + each.methods:
                self._reach(method.answer, given)
                for field in method.arguments + method.flattened:
                    self._reach(field.type, taken)
                taken.update(self._option_records(method))
        for name in [*self.api.runs.values(), *self.api.streams.values(), "Update"]:
            self._reach(self.api.parse(name), given)
        return taken, given

    def _reach(self, kind, met):
        kind = innermost(kind)
        if kind.kind == "record" and kind.name not in met:
            met.add(kind.name)
            for field in self.api.records[kind.name].fields:
                self._reach(field.type, met)

    def _option_records(self, method):
        """The records that make the options of a method: those with just these fields."""
        return [self._record_of(fields) for fields in method.options.values()]

    def _record_of(self, fields):
        return next(record.name for record in self.api.records.values() if record.fields is fields)

    def doc(self, text, indent, *more):
        text = re.sub(r"\[`([\w:]+)`\]", lambda found: "{@link " + self._link(found[1]) + "}", text)
        text = re.sub(r"\b[a-z]+(?:_[a-z0-9]+)+\b", lambda found: self.renamed.get(found[0], found[0]), text)
        lines = [*text.replace("*/", "* /").splitlines(), *more]
        if len(lines) == 1:
            return f"{indent}/** {lines[0]} */\n"
        return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"

    @staticmethod
    def _link(path):
        return ".".join(camel(part) if part.islower() else part for part in path.split("::"))

    # Types.

    def type(self, kind, taken=False):
        """A type as callers get it; `taken`: as they give it."""
        match kind.kind:
            case "nothing":
                return "void"
            case "string" | "bool" | "float" | "time" | "bytes":
                names = {"bool": "boolean", "float": "number", "time": "Date", "bytes": "Uint8Array"}
                return names.get(kind.kind, kind.kind)
            case "integer":
                return "Integer" if kind.name in LARGE else "number"
            case "option":
                return f"{self.type(kind.of, taken)} | null"
            case "list":
                inner = self.type(kind.of, taken)
                return f"readonly ({inner})[]" if "|" in inner else f"readonly {inner}[]"
            case "map":
                return f"Readonly<Record<string, {self.type(kind.of, taken)}>>"
            case "record" if taken and self.is_twofold(kind.name):
                return f"{kind.name}Input"
            case "record" | "words" | "class":
                return kind.name
        raise Unknown(f"type {kind}")

    def is_twofold(self, name):
        """Whether a record is given and taken, and what may be left out differs between that."""
        if name not in self.taken or name not in self.given:
            return False
        kinds = [innermost(field.type) for field in self.api.records[name].fields]
        inner = any(kind.kind == "record" and kind.name != name and self.is_twofold(kind.name) for kind in kinds)
        return inner or any(may_lack(field) for field in self.api.records[name].fields)

    def is_report(self, name):
        """Whether it is what a run ends with and says how it went."""
        record = self.api.records.get(name)
        return record is not None and name in self.api.runs.values() and "outcome" in {f.name for f in record.fields}

    # Records.

    def records(self, testing):
        out = []
        for name in self.used:
            if (name in self.testing) != testing:
                continue
            if name in self.api.words:
                out.append(self._words(self.api.words[name]))
                continue
            record = self.api.records[name]
            if name in self.given:
                out.append(self._record(record, name, taken=False))
            if name in self.taken and (name not in self.given or self.is_twofold(name)):
                out.append(self._record(record, f"{name}Input" if name in self.given else name, taken=True))
        body = "\n".join(out)
        head = imported(body, "../decode", ["Integer"], "import type") + imported(body, "../run", ["Report"], "import type")
        return head + ("\n" if head else "") + (body or "export {};\n")

    def _words(self, words):
        meant = [f"- `{word}`: {meaning}" if meaning else f"- `{word}`" for word, meaning in words.words]
        choice = " | ".join(f"'{word}'" for word, _ in words.words)
        return self.doc(words.doc, "", "", *meant) + f"export type {words.name} = {choice};\n"

    def _record(self, record, called, taken):
        out = [self.doc(record.doc, "")]
        out.append(f"export interface {called}{' extends Report' if self.is_report(called) else ''} {{\n")
        for field in record.fields:
            lacking = taken and may_lack(field)
            kind = self.type(field.type, taken)
            out.append(self.doc(field.doc or field.name, "  "))
            out.append(f"  readonly {camel(field.name)}{'?' if lacking else ''}: {kind}{' | undefined' if lacking else ''};\n")
        return "".join(out) + "}\n"

    # Conversions.

    def conversion(self, kind):
        """The function that makes what callers get of what JSON holds; none: nothing is to be done."""
        match kind.kind:
            case "integer" if kind.name in LARGE:
                return "integer"
            case "time":
                return "moment"
            case "record":
                return f"to{kind.name}"
            case "option" | "list" | "map":
                inner = self.conversion(kind.of)
                outer = {"option": "orNull", "list": "listOf", "map": "mapOf"}[kind.kind]
                return inner and f"{outer}({inner})"
        return None

    def _field(self, kind, raw):
        """As `conversion`, applied; without a function of its own where there need not be one: there are many fields."""
        if kind.kind == "option":
            inner = self._field(kind.of, raw)
            return f"{raw} ?? null" if inner == raw else f"{raw} == null ? null : {inner}"
        if kind.kind == "list":
            inner = self.conversion(kind.of)
            return raw if inner is None else f"{raw}.map({inner})"
        inner = self.conversion(kind)
        return raw if inner is None else f"{inner}({raw})"

    def convert(self):
        out = []
        for name in (name for name in self.used if name in self.given):
            space = "testing" if name in self.testing else "records"
            fields = [f"    {camel(f.name)}: {self._field(f.type, f'raw.{f.name}')},\n" for f in self.api.records[name].fields]
            made = "{\n" + "".join(fields) + "  }"
            made = f"report<Data<{space}.{name}>>({made})" if self.is_report(name) else made
            out.append(f"export function to{name}(raw: Raw): {space}.{name} {{\n  return {made};\n}}\n")
        for name in (name for name in self.used if name in self.taken):
            fields = [f"  {camel(f.name)}: ['{f.name}', {self._inner(f.type)}],\n" for f in self.api.records[name].fields]
            out.append(f"export const {name}Shape: Shape = {{\n{''.join(fields)}}};\n")
        body = "\n".join(out)
        head = imported(body, "../decode", ["integer", "listOf", "mapOf", "moment", "orNull"])
        head += "import type { Raw } from '../decode';\nimport type { Shape } from '../encode';\n"
        head += imported(body, "../run", ["report"]) + imported(body, "../run", ["Data"], "import type")
        head += "import type * as records from './records';\n"
        head += "import type * as testing from './testing_records';\n" if re.search(r"\btesting\.", body) else ""
        return head + "\n" + body

    def shape(self, kind):
        """How what callers give is written: that of the record in it, if there is one."""
        kind = innermost(kind)
        return f"{kind.name}Shape" if kind.kind == "record" else "null"

    def _inner(self, kind):
        """As `shape`, of a field: asked for only when it is used, in whichever order the records come."""
        shape = self.shape(kind)
        return shape if shape == "null" else f"() => {shape}"

    # Errors.

    def errors(self):
        out = ["import { NakivoError } from '../failure';\n"]
        for entry in self.api.errors:
            name = f"{pascal(entry['code'])}Error"
            # What the platform calls the error of something that was given up.
            shown = "AbortError" if entry["code"] == "cancelled" else name
            told = f"Its `code` is `NAKIVO_{entry['code'].upper()}`{'' if shown == name else f', its `name` `{shown}`'}."
            out.append("\n" + self.doc(f"{entry['what']}. {entry['todo']}.", "", "", told))
            out.append(f"export class {name} extends NakivoError {{\n  static {{\n    this.prototype.name = '{shown}';\n  }}\n}}\n")
        out.append("\n/** The class of each code of the library. */\n")
        out.append("export const byCode: ReadonlyMap<string, typeof NakivoError> = new Map<string, typeof NakivoError>([\n")
        out.extend(f"  ['{entry['code']}', {pascal(entry['code'])}Error],\n" for entry in self.api.errors)
        return "".join(out) + "]);\n"

    # Classes.

    def classes(self, testing):
        mine = [each for each in self.api.classes if each.testing == testing]
        body = "\n".join(self._class(each) for each in mine)
        others = [each.name for each in self.api.classes if each.testing != testing]
        if not testing and imported(body, "", others):
            raise Unknown("a class that is for tests only is answered by one that is not")
        named = {name: f"{name}Input" if self.is_twofold(name) else name for name in self.used if name in self.api.records}
        types = {True: set(), False: set()}
        for name in self.used:
            types[name in self.testing].update({name, named.get(name, name)})
        conversions = [f"{name}Shape" for name in self.taken] + [f"to{name}" for name in self.given]
        helpers = ["integer", "listOf", "mapOf", "moment", "orNull", "parsed", "same"]
        return "".join([
            imported(body, "./classes", others),
            imported(body, "../decode", helpers),
            imported(body, "../decode", ["Integer"], "import type"),
            imported(body, "../answer", ["asContent", "asData", "asNothing", "asObject", "asObjectOrNull"]),
            imported(body, "../held", ["Held", "ask", "make"]),
            imported(body, "../held", ["CallOptions"], "import type"),
            imported(body, "../run", ["Run"]),
            imported(body, "../stream", ["ByteStream", "Listing"]),
            imported(body, "./convert", conversions),
            imported(body, "./records", types[False], "import type"),
            imported(body, "./testing_records", types[True], "import type"),
            "\n",
            body,
        ])

    def _class(self, described):
        members = [self._method(described, method, constructs=True) for method in described.constructors]
        members += [self._method(described, method, constructs=False) for method in described.methods]
        return f"{self.doc(described.doc, '')}export class {described.name} extends Held {{\n" + "\n".join(members) + "}\n"

    def _method(self, described, method, constructs):
        called = camel(method.name)
        if called in RESERVED or any(field.name == "options" for field in method.arguments):
            raise Unknown(f"{described.name}.{called}: a name that means something else in JavaScript")
        if any(field.name == "signal" for field in method.flattened):
            raise Unknown(f"{described.name}.{called}: every call has the option signal already")
        parameters, given = [], []
        for argument in method.arguments:
            kind = self.type(argument.type, taken=True)
            parameters.append(f"{camel(argument.name)}{'?' if argument.optional else ''}: {kind}")
            value = camel(argument.name) + (" ?? []" if argument.optional and argument.type.kind == "list" else "")
            given.append(f"['{argument.name}', {value}, {self._argument(argument.type)}]")
        records = self._option_records(method)
        parameters.append(f"options?: {' & '.join([*(self.type(Type('record', name), True) for name in records), 'CallOptions'])}")
        shapes = [f"['{argument}', {name}Shape]" for argument, name in zip(method.options, records)]
        how = f"make('{described.name}', " if constructs else "ask(this, "
        call = f"{how}'{method.name}', [{', '.join(given)}], [{', '.join(['options', *shapes])}])"
        answer, made = self._answer(method.answer, call)
        head = f"  {'static ' if constructs else ''}{called}({', '.join(parameters)}): {answer} {{\n"
        return self.doc(method.doc, "  ") + head + f"    return {made};\n  }}\n"

    def _argument(self, kind):
        inner = innermost(kind)
        return {"bytes": "'bytes'", "class": "'object'"}.get(inner.kind) or self.shape(kind)

    def _answer(self, kind, call):
        """What callers get, and how it is made of a call."""
        inner = innermost(kind)
        if kind.kind == "nothing":
            return "Promise<void>", f"asNothing({call})"
        if inner.kind == "bytes":
            return f"Promise<{self.type(kind)}>", f"asContent({call})"
        if inner.kind != "class":
            return f"Promise<{self.type(kind)}>", f"asData({call}, {self.conversion(kind) or f'same<{self.type(kind)}>'})"
        if inner.name in self.api.runs:
            ends = self.api.run_answer(inner.name)
            made = f"new {ends.name}(answer)" if ends.kind == "class" else f"to{ends.name}(parsed(answer))"
            return f"Run<{ends.name}>", f"new Run({call}, (answer) => {made})"
        if inner.name in self.api.streams:
            listed = self.api.streams[inner.name]
            if listed == "Bytes":
                return "ByteStream", f"new ByteStream({call})"
            return f"Listing<{listed}>", f"new Listing({call}, to{listed})"
        how, none = ("asObjectOrNull", " | null") if kind.kind == "option" else ("asObject", "")
        return f"Promise<{inner.name}{none}>", f"{how}({call}, (handle) => new {inner.name}(handle))"


def may_lack(field):
    """Whether callers need not say it."""
    return field.optional or field.type.kind == "option"
