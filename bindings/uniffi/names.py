"""Whether the generated Kotlin, Swift and Python have every class, method, record, field, word and error of the description.

    python3 names.py API.json GENERATED_FOLDER
"""

import json
import re
import sys
from pathlib import Path


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def pascal(name):
    return "".join(part.capitalize() for part in name.split("_"))


class Language:
    """How one language spells things, and what it has: the text of each type, by name."""

    def __init__(self, name, text, types, member, word, error):
        self.name, self.member, self.word, self.error = name, member, word, error
        self.types = {}
        starts = list(re.finditer(types, text, re.MULTILINE))
        for start, end in zip(starts, starts[1:] + [None]):
            body = text[start.start() : end.start() if end else len(text)]
            self.types[start[1]] = self.types.get(start[1], "") + body

    def lacks(self, type_name, pattern):
        return not re.search(pattern, self.types.get(type_name, ""), re.MULTILINE)


def languages(folder):
    def text(pattern):
        (path,) = folder.rglob(pattern)
        return path.read_text(encoding="utf-8")

    return [
        Language(
            "Kotlin",
            text("*.kt"),
            r"^(?:public |open |sealed |data |enum )*(?:interface|class) (\w+)",
            lambda name: rf"\b`?{camel(name)}`?\b",
            lambda word: rf"^    {word.upper()}[,;]?",
            lambda code: rf"class {pascal(code)}\(",
        ),
        Language(
            "Swift",
            text("*.swift"),
            r"^(?:public |open |final |indirect )*(?:protocol|class|struct|enum|extension) (\w+)",
            lambda name: rf"\b`?{camel(name)}`?\b",
            lambda word: rf"case `?{camel(word)}`?\b",
            lambda code: rf"case {pascal(code)}\(",
        ),
        Language(
            "Python",
            text("*.py"),
            r"^class (\w+)",
            lambda name: rf"\b{name}_?\b",
            lambda word: rf"^    {word.upper()} = ",
            lambda code: rf"class {pascal(code)}\(",
        ),
    ]


def missing(api, language):
    error_type = {"Kotlin": "NakivoException"}.get(language.name, "NakivoError")
    for each in api["classes"]:
        for method in each["constructors"] + each["methods"]:
            if language.lacks(each["name"], language.member(method["name"])):
                yield f"{each['name']}.{method['name']}"
    for name, schema in api["records"].items():
        for field in schema.get("properties", ()):
            if language.lacks(name, language.member(field)):
                yield f"{name}.{field}"
        for word in schema.get("oneOf", ()):
            if language.lacks(name, language.word(word["const"])):
                yield f"{name}.{word['const']}"
    for error in api["errors"]:
        if not any(re.search(language.error(error["code"]), text) for text in language.types.values()):
            yield f"{error_type}.{error['code']}"


def main(api_path, folder):
    api = json.loads(Path(api_path).read_text(encoding="utf-8"))
    lacking = False
    for language in languages(Path(folder)):
        names = list(missing(api, language))
        lacking = lacking or bool(names)
        print(f"{language.name}: " + (f"lacks {', '.join(names)}" if names else "has every name of the description"))
    if lacking:
        sys.exit(1)


main(*sys.argv[1:])
