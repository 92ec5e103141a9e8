"""The scenario of all languages as a test in Kotlin, where arguments have types and nothing is called by name."""

import json
from pathlib import Path

from .common import Type, pascal

KEYWORDS = {"object", "in", "is", "when", "val", "var", "fun", "class", "interface"}
WIDTHS = {"u8": ".toUByte()", "u16": ".toUShort()", "u32": "u", "u64": "uL"}


def generate(api):
    """Text of the test, by path in `bindings`."""
    scenario = Path(__file__).resolve().parent.parent / "scenario.json"
    steps = json.loads(scenario.read_text(encoding="utf-8"))["steps"]
    return {"uniffi/kotlin/src/test/kotlin/ScenarioTest.kt": Writer(api).write(steps)}


def camel(name):
    first, *rest = name.split("_")
    word = first + "".join(part.capitalize() for part in rest)
    return f"`{word}`" if word in KEYWORDS else word


def text(value):
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$").replace("\\${dir}", "$dir")


class Writer:
    """Writes the steps, and remembers the type of what each came to."""

    def __init__(self, api):
        self.api = api
        self.classes = {each.name: each for each in api.classes}
        self.held = {}
        self.lines = []

    def write(self, steps):
        for number, step in enumerate(steps):
            self.step(number, step)
        body = "\n".join(f"            {line}" if line else "" for line in self.lines)
        kinds = (f"    is NakivoException.{pascal(each['code'])} -> error.failure" for each in self.api.errors)
        return HEAD.replace("FAILURES", "\n".join(kinds)) + body + TAIL

    def step(self, number, step):
        what = step.get("make") or step.get("call") or f"{next(iter(step))} {next(iter(step.values()))}"
        self.lines.append(f"// {number}: {what}")
        expression, kind = self.act(step)
        if "error" in step:
            self.lines += [f"fails<NakivoException.{pascal(step['error'])}>({text(step['error'])}) {{ {expression} }}", ""]
            return
        name = camel(step.get("as", f"step{number}"))
        self.held[step.get("as", name)] = kind
        self.lines.append(f"val {name} = {expression}" if kind.kind != "nothing" else expression)
        for path, wanted in step.get("expect", {}).items():
            self.expect(step.get("as", name), path, wanted)
        for path, count in step.get("count", {}).items():
            reached, _ = self.reach(step.get("as", name), path)
            self.lines.append(f"assertEquals({count}, {reached}.size)")
        if "equals" in step:
            self.lines.append(f"assertEquals({text(step['equals'])}, base64({name}))")
        self.lines.append("")

    def act(self, step):
        if "read" in step:
            kind = self.held[step["read"]]
            listed = self.api.parse(self.api.streams[kind.name])
            name = camel(step["read"])
            if listed.kind == "bytes":
                return f"content {{ {name}.next() }}", listed
            return f"all {{ {name}.next(7u) }}", Type("list", of=listed)
        if "cancel" in step:
            name = camel(step["cancel"])
            return f"{name}.next(); {name}.cancel(); {name}.outcome()", self.api.run_answer(self.held[step["cancel"]].name)
        if "make" in step:
            owner, name = step["make"].split(".")
            method = next(each for each in self.classes[owner].constructors if each.name == name)
            return f"{owner}.{camel(name)}({self.given(method, step)})", Type("class", owner)
        owner, name = step["call"].split(".")
        kind = self.held[owner]
        if kind.name in self.api.runs:
            return f"{camel(owner)}.{name}()", self.api.run_answer(kind.name)
        method = next(each for each in self.classes[kind.name].methods if each.name == name)
        return f"{camel(owner)}.{camel(name)}({self.given(method, step)})", method.answer

    def given(self, method, step):
        rest = dict(step.get("with", {}))
        parts = []
        described = {each.name: each for each in method.arguments}
        for name in method.order:
            if name in method.options:
                fields = {each.name: each for each in method.options[name]}
                own = {field: rest.pop(field) for field in list(rest) if field in fields}
                inner = ", ".join(f"{camel(field)} = {self.value(own[field], fields[field].type)}" for field in own)
                parts.append(f"{method.records[name]}({inner})")
            elif name in rest:
                parts.append(self.value(rest.pop(name), described[name].type))
            else:
                parts.append("null" if described[name].type.kind == "option" else "emptyList()")
        assert not rest, f"{method.name} does not take {rest}"
        return ", ".join(parts)

    def value(self, value, kind):
        if kind.kind == "option":
            return "null" if value is None else self.value(value, kind.of)
        if isinstance(value, str) and value.startswith("$") and not value.startswith("${"):
            name, _, path = value[1:].partition(".")
            return self.reach(name, path)[0]
        if kind.kind == "list":
            return "listOf(" + ", ".join(self.value(each, kind.of) for each in value) + ")"
        if kind.kind == "record":
            fields = {each.name: each for each in self.api.records[kind.name].fields}
            inner = ", ".join(f"{camel(name)} = {self.value(each, fields[name].type)}" for name, each in value.items())
            return f"{kind.name}({inner})"
        if kind.kind == "bytes":
            return f"decoded({text(value)})"
        if kind.kind == "integer":
            return f"{value}{WIDTHS.get(kind.name, '')}"
        if kind.kind == "float":
            return str(float(value))
        if kind.kind == "words":
            return f"{kind.name}.{value.upper()}"
        if kind.kind == "bool":
            return "true" if value else "false"
        return text(value)

    def reach(self, name, path):
        """The expression for what is at a path of something held, and its type."""
        expression, kind = camel(name), self.held[name]
        for part in filter(None, path.split(".")):
            if kind.kind == "option":
                expression, kind = f"{expression}!!", kind.of
            if kind.kind == "list":
                expression, kind = f"{expression}[{part}]", kind.of
            else:
                fields = {each.name: each for each in self.api.records[kind.name].fields}
                expression, kind = f"{expression}.{camel(part)}", fields[part].type
        return expression, kind

    def expect(self, name, path, wanted):
        reached, kind = self.reach(name, path)
        if wanted is None:
            self.lines.append(f"assertNull({reached})")
        elif wanted == []:
            self.lines.append(f"assertEquals(0, {reached}.size)")
        else:
            self.lines.append(f"assertEquals({self.value(wanted, kind)}, {reached})")


HEAD = '''// Generated from bindings/scenario.json by bindings/generate: change that, not this.

import java.nio.file.Files
import java.util.Base64
import kotlinx.coroutines.runBlocking
import nakivo.*
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A listing to its end. */
private suspend fun <T> all(next: suspend () -> List<T>): List<T> {
    val found = mutableListOf<T>()
    while (true) {
        val page = next()
        if (page.isEmpty()) return found
        found.addAll(page)
    }
}

/** Content to its end. */
private suspend fun content(next: suspend () -> ByteArray?): ByteArray {
    var whole = ByteArray(0)
    while (true) whole += next() ?: return whole
}

private fun decoded(text: String): ByteArray = Base64.getDecoder().decode(text)

private fun base64(bytes: ByteArray): String = Base64.getEncoder().encodeToString(bytes)

/** What went wrong, whatever the class of the error. */
private fun failureOf(error: NakivoException): Failure = when (error) {
FAILURES
}

/** Whether a call fails with an error of this class and code. */
private suspend inline fun <reified T : NakivoException> fails(code: String, call: () -> Any?) {
    val error = try {
        call()
        null
    } catch (error: NakivoException) {
        error
    }
    assertTrue(error is T, "an error of the code $code, not $error")
    assertEquals(code, failureOf(error!!).code)
}

class ScenarioTest {
    @Test
    fun theScenarioOfAllLanguages() {
        val dir = Files.createTempDirectory("nakivo").toString()
        runBlocking {
'''

TAIL = '''
        }
    }
}
'''
