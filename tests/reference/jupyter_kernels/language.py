"""Probes of what a cell can say and what comes of it: types, results, imports, errors, help while typing."""

import re
import time

from .driver import parent_of
from .findings import Finding, judged, listening, probe


def first_that(kernel, codes, wanted):
    """Runs spellings until one shows what is wanted. Names are in braces, so that each spelling declares its own."""
    for code in codes:
        cell = kernel.run(code)
        if cell.ok and wanted in cell.shown():
            return Finding(True)
    return Finding(False, cell.summary())


@probe("Types", "A type error is refused before the cell runs")
def type_error(lab):
    with lab.kernel() as k:
        cell = k.run("console.log('ran');\nconst count: number = 'x';")
        refused = cell.status == "error" and "ran" not in cell.streams("stdout")
        return judged(refused and "not assignable" in cell.complaint(), cell)


@probe("Types", "Strict: an implicit any is refused", "Strict: null is not a number")
def strict(lab):
    with lab.kernel() as k:
        implicit = k.run("function same(value) { return value; }\nconsole.log(same(1));")
        null = k.run("const nothing: number = null;\nconsole.log(nothing);")
        return [judged(c.status == "error" and not c.streams("stdout"), c) for c in (implicit, null)]


@probe("Types", "Types of an earlier cell's names are known in a later one")
def types_across_cells(lab):
    with lab.kernel() as k:
        k.prepare("const widths = [1, 2, 3];")
        cell = k.run("const wrong: string = widths[0]!;\nconsole.log('ran');")
        return judged(cell.status == "error" and "ran" not in cell.streams("stdout"), cell)


@probe("Cells", "A const is declared again in a later cell, with another type")
def redeclared(lab):
    with lab.kernel() as k:
        k.prepare("const again = 1;")
        cell = k.run("const again = 'three';\nconsole.log('length', again.length);")
        return judged(cell.ok and "length 5" in cell.streams(), cell)


@probe(
    "Cells",
    "Top-level await",
    "… of an async function that is called at once",
    "… in `for await`",
)
def top_level_await(lab):
    with lab.kernel() as k:
        cells = [
            k.run("const later = await Promise.resolve(6 * 7);\nconsole.log('is', later);"),
            k.run("const called = await (async () => 42)();\nconsole.log('is', called);"),
            k.run("for await (const item of [Promise.resolve(42)]) console.log('is', item);"),
        ]
        return [judged(c.ok and "is 42" in c.streams(), c) for c in cells]


@probe("Cells", "`export` before a declaration")
def exported(lab):
    with lab.kernel() as k:
        cell = k.run("export const shared = 41;\nexport function next(): number { return shared + 1; }")
        if not cell.ok:
            return judged(False, cell)
        cell = k.run("console.log('is', next());")
        return judged("is 42" in cell.streams(), cell)


@probe("Cells", "A loop left running sees a variable that a later cell changes")
def flag(lab):
    with lab.kernel() as k:
        k.prepare(
            "let stop = false;\nvoid (async () => {\n"
            "  while (!stop) await new Promise((done) => setTimeout(done, 50));\n  console.log('stopped');\n})();"
        )
        k.prepare("stop = true;")
        late = k.printed("stopped", 3)
        return late is not None, "" if late else "it goes on"


@probe("Cells", "A function sees a variable that a later cell changes")
def closures(lab):
    with lab.kernel() as k:
        k.prepare("let level = 1;\nfunction levelNow(): number { return level; }")
        k.prepare("level = 5;")
        cell = k.run("console.log('level', levelNow());")
        return judged("level 5" in cell.streams(), cell)


@probe("Cells", "Syntax of TypeScript 5.2 (`using`)")
def newer_syntax(lab):
    with lab.kernel() as k:
        cell = k.run(
            "{\n  using held = { [Symbol.dispose]: () => console.log('let go') };\n"
            "  console.log('held', typeof held);\n}"
        )
        return judged("held object\nlet go" in cell.streams(), cell)


@probe("Cells", "What a timer prints after the cell has ended arrives with that cell as parent")
def late_print(lab):
    with lab.kernel() as k:
        msg_id = k.send_cell("setTimeout(() => console.log('so late'), 1500);\nconsole.log('on');")
        k.outcome(msg_id)
        k.prepare("console.log('next');")
        late = k.printed("so late", 4)
        if late is None:
            return False, "it did not arrive"
        return parent_of(late) == msg_id, "" if parent_of(late) == msg_id else "it arrived with another parent"


@probe("Results", "The last expression becomes an execute_result")
def last_expression(lab):
    with lab.kernel() as k:
        cell = k.run("6 * 7")
        return judged(any("42" in str(c["data"].get("text/plain")) for c in cell.contents("execute_result")), cell)


@probe("Results", "A value with Symbol.for('Jupyter.display') shows itself")
def display_symbol(lab):
    with lab.kernel() as k:
        cell = k.run("({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>7</b>', 'text/plain': '7' }) })")
        bundles = [c["data"] for c in cell.contents("execute_result", "display_data")]
        return judged({"text/html": "<b>7</b>", "text/plain": "7"} in bundles, cell)


@probe("Results", "Several MIME types in one output")
def several_types(lab):
    if not lab.say["several"]:
        return False, "the public API takes one type a call"
    with lab.kernel() as k:
        cell = k.run(lab.say["several"])
        bundles = [c["data"] for c in cell.contents("execute_result", "display_data")]
        return judged(any({"text/html", "text/plain"} <= set(b) for b in bundles), cell)


@probe("Results", "A display is updated in place (update_display_data)")
def updated_display(lab):
    with lab.kernel() as k:
        first, second = k.run(lab.say["first"]), k.run(lab.say["second"])
        ids = [
            [c.get("transient", {}).get("display_id") for c in cell.contents(type)]
            for cell, type in ((first, "display_data"), (second, "update_display_data"))
        ]
        return judged(len(ids[0]) == 1 and ids[0][0] and ids[0] == ids[1], second)


@probe("Results", "clear_output")
def clear_output(lab):
    if not lab.say["clear"]:
        return False, "no API"
    with lab.kernel() as k:
        cell = listening(k, lab.say["clear"])
        return judged(cell.contents("clear_output"), cell)


@probe(
    "Errors", "A thrown error: `error` on iopub", "A thrown error: status `error` with name and message in the reply"
)
def thrown(lab):
    with lab.kernel() as k:
        cell = k.run("throw new RangeError('too far');")
        on_iopub = [
            c for c in cell.contents("error") if c.get("ename") == "RangeError" and c.get("evalue") == "too far"
        ]
        reply = cell.reply
        named = (reply.get("status"), reply.get("ename"), reply.get("evalue")) == ("error", "RangeError", "too far")
        detail = "" if named else f"status {cell.status}, ename {reply.get('ename')}, evalue {reply.get('evalue')}"
        return [judged(on_iopub, cell), (named, detail)]


@probe(
    "Errors",
    "A rejected promise that nothing awaits is reported at all",
    "… and fails the cell",
    "An error in a timer, after the cell has ended, is reported",
)
def floating(lab):
    with lab.fresh() as k:
        cell = listening(k, "Promise.reject(new Error('nobody waits'));\nconsole.log('on');")
        heard = "nobody waits" in cell.complaint()
        fails = bool(cell.contents("error")) and cell.status == "error"
        k.heard.clear()
        late = listening(k, "setTimeout(() => {\n  throw new Error('too late');\n}, 300);\nconsole.log('on');", 3)
        return [judged(heard, cell), judged(fails, cell), judged("too late" in late.complaint(), late)]


@probe("Errors", "Cells in the queue are aborted after an error")
def aborted(lab):
    with lab.fresh() as k:
        k.prepare("console.log('warm');")
        ids = [k.send_cell("await new Promise((done) => setTimeout(done, 300));\nthrow new Error('stop');")]
        ids += [k.send_cell(f"console.log('ran {i}');") for i in range(3)]
        cells = [k.outcome(msg_id) for msg_id in ids]
        ran = any("ran" in c.streams("stdout") for c in cells[1:])
        told = ", ".join(c.status for c in cells)
        if ran or not all(c.reply for c in cells):
            return False, f"statuses {told}"
        proper = all(c.status in ("aborted", "error") for c in cells[1:])
        return Finding(True, "" if proper else f"the protocol's status is `aborted`; said: {told}")


# Line 12 fails in a function that line 16 calls; types before it make other lines of JavaScript.
LOCATED = """interface Shape {
  name: string;
  corners: number;
}

type Pair = [number, number];



function fail(pair: Pair): never {
  const shape: Shape = { name: 'a', corners: pair[0] };
  throw new RangeError('too far ' + shape.corners);
}


fail([1, 2]);
"""

KERNEL_FRAME = re.compile(r"^\s*at .*(?:node:|ext:|node_modules|/dist/|/lib/|deno_|executor|sigintHandlersWrap)", re.M)


def names_line(text, line, file=r""):
    # With a column after it, so that no column is taken for the line.
    return bool(re.search(rf"{file}(?::{line}:\d|,? line {line}\b)", text))


@probe(
    "Errors",
    "An error names the cell's line in TypeScript",
    "… and the line that made the call",
    "… without frames of the kernel or the runtime",
)
def located(lab):
    with lab.kernel() as k:
        cell = k.run(LOCATED)
        text = cell.complaint()
        found = KERNEL_FRAME.search(text)
        return [
            judged(names_line(text, 12), cell),
            judged(names_line(text, 16), cell),
            (not found, found.group(0).strip() if found else ""),
        ]


@probe("Errors", "An error in an imported .ts names that file's line")
def located_in_file(lab):
    with lab.kernel() as k:
        cell = k.run(f"import {{ failing }} from './failing{lab.say['extension']}';\nfailing({{ name: 'a' }});")
        return judged("no a" in cell.complaint() and names_line(cell.complaint(), 11, r"failing\.ts"), cell)


@probe("Imports", "A .ts file of the notebook's folder")
def local_import(lab):
    with lab.kernel() as k:
        cell = k.run(f"import {{ twice }} from './local{lab.say['extension']}';\nconsole.log('is', twice(21));")
        return judged("is 42" in cell.streams(), cell)


@probe("Imports", "A .ts file outside of it")
def outside_import(lab):
    with lab.kernel() as k:
        cell = k.run(
            f"import {{ thrice }} from '../outside/helper{lab.say['extension']}';\nconsole.log('is', thrice(14));"
        )
        return judged("is 42" in cell.streams(), cell)


@probe("Imports", "A .ts file that was edited is taken anew by the next import")
def edited_import(lab):
    file = lab.folder / "edited.ts"
    code = f"import {{ answer }} from './edited{lab.say['extension']}';\nconsole.log('is', answer());"
    with lab.fresh() as k:
        file.write_text("export const answer = (): number => 1;\n")
        k.prepare(code)
        time.sleep(1.5)
        file.write_text("export const answer = (): number => 2;\n")
        time.sleep(2.5)
        cell = k.run(code)
        return judged("is 2" in cell.streams(), cell)


@probe("Imports", "JSON")
def json_import(lab):
    with lab.kernel() as k:
        cell = k.run(lab.say["json"] + "\nconsole.log('is', data.answer);")
        return judged("is 42" in cell.streams(), cell)


@probe(
    "Imports",
    "An ESM-only npm package",
    "An ESM-only npm package that names its files in `exports` only",
    "A package's types are known",
)
def esm_only(lab):
    with lab.kernel() as k:
        plain = k.run("import { half } from 'probe-esm';\nconsole.log('is', half(84));")
        exports = k.run("import { half as halfOf } from 'probe-exports';\nconsole.log('is', halfOf(84));")
        wrong = k.run("import { half as part } from 'probe-esm';\nconst text: string = part(84);\nconsole.log('ran');")
        asked = inspected(k, "import { half as piece } from 'probe-esm';\npiece")
        known = wrong.status == "error" and "not assignable" in wrong.complaint() or "value: number" in asked
        return [
            judged(plain.ok and "is 42" in plain.streams(), plain),
            judged("is 42" in exports.streams(), exports),
            (known, ""),
        ]


@probe("Imports", "A native (N-API) addon loads")
def native_addon(lab):
    with lab.fresh(lab.native) as k:
        return first_that(
            k,
            [
                "import { createCanvas } from 'canvas';\nconsole.log('wide', createCanvas(42, 4).width);",
                "const { createCanvas: make } = require('canvas');\nconsole.log('wide', make(42, 4).width);",
            ],
            "wide 42",
        )


@probe("Imports", "worker_threads")
def worker(lab):
    source = "require('node:worker_threads').parentPort.postMessage(6 * 7)"
    with lab.kernel() as k:
        cell = k.run(
            "import { Worker } from 'node:worker_threads';\n"
            f'const worker = new Worker("{source}", {{ eval: true }});\n'
            "console.log('is', await new Promise((done) => worker.once('message', done)));"
        )
        return judged("is 42" in cell.streams(), cell)


def inspected(kernel, code):
    reply = kernel.ask("inspect_request", {"code": code, "cursor_pos": len(code), "detail_level": 0})
    return str(reply["content"].get("data", {})) if reply else ""


@probe("Help while typing", "Completion gives an object's members", "… with what each is (function, property, …)")
def completion(lab):
    with lab.kernel() as k:
        k.prepare("const shape = { area: 5, title: 'x', grow(by: number): string { return String(by); } };")
        code = "shape."
        reply = k.ask("complete_request", {"code": code, "cursor_pos": len(code)})
        if not reply:
            return [(False, "no reply")] * 2
        content = reply["content"]
        start = len("shape.") - content.get("cursor_start", 0)
        matches = [m[start:] if m.startswith("shape.") else m for m in content.get("matches", [])]
        kinds = {
            t["text"].split(".")[-1]: t.get("type")
            for t in content.get("metadata", {}).get("_jupyter_types_experimental", [])
        }
        known = {"area", "title", "grow"}
        return [
            (known <= set(matches), "" if known <= set(matches) else f"matches {matches[:8]}"),
            (
                known <= set(kinds) and kinds["grow"] not in (kinds["area"], None),
                f"{ {n: kinds.get(n) for n in sorted(known)} }",
            ),
        ]


DOCUMENTED = """/** Adds two lengths, in metres. */
function addLengths(first: number, second: number): number {
  return first + second;
}"""


@probe("Help while typing", "Inspection gives a function's signature", "… and its doc comment")
def inspection(lab):
    with lab.kernel() as k:
        k.prepare(DOCUMENTED)
        text = inspected(k, "addLengths")
        return [("first: number, second: number" in text, text[:120]), ("in metres" in text, "")]


@probe("Help while typing", "is_complete tells incomplete code", "is_complete tells invalid code")
def completeness(lab):
    with lab.kernel() as k:
        replies = [
            k.ask("is_complete_request", {"code": code}) for code in ("function open() {", "const = 3;", "1 + 2")
        ]
        statuses = [r["content"].get("status") if r else "no reply" for r in replies]
        detail = f"incomplete, invalid, complete: {', '.join(map(str, statuses))}"
        complete = statuses[2] == "complete"
        return [(complete and statuses[0] == "incomplete", detail), (complete and statuses[1] == "invalid", detail)]


@probe("Help while typing", "history")
def history(lab):
    with lab.fresh() as k:
        codes = ["const one = 1;", "const two = 2;"]
        for code in codes:
            k.prepare(code)
        reply = k.ask(
            "history_request",
            {"hist_access_type": "tail", "n": 2, "output": False, "raw": True, "session": 0, "start": 0},
            8,
        )
        if not reply:
            return False, "no reply"
        told = [entry[2] for entry in reply["content"].get("history", [])]
        return told == codes, "" if told == codes else f"told {told}"
