"""The same thing said to each kernel in its own words, by the `implementation` in its kernel_info_reply.

None where the kernel offers nothing for it. A list is tried in order: one that works is enough.
"""

import json

VEGA_LITE = {"mark": "point", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}}

_VERSION_OF_TSLAB = (
    "import { versions } from 'tslab';\nconsole.log('typescript=' + versions.typescript + ' tslab=' + versions.tslab);"
)
_NODE = {
    # Appended to the name of an imported file.
    "extension": "",
    "json": "import data from './data.json';",
    "exit": "process.exit(3);",
    "kill": "process.kill(process.pid, 'SIGKILL');\nawait new Promise(() => {});",
    "runtime": "console.log('runtime=node-' + process.versions.node);",
    # The TypeScript that really works behind tslab and behind our kernel is tslab's.
    "versions": _VERSION_OF_TSLAB,
    "results": {"number": "3", "text": "'ab'", "object": "{ a: [ 1, 2 ] }", "awaited": "42"},
    "input": None,
    "comm": None,
}


def _detlab(bundle, options="{}"):
    return f"import {{ display }} from 'detlab';\ndisplay({json.dumps(bundle)}, {options});"


def _deno(bundle, options="{ raw: true }"):
    return f"await Deno.jupyter.display({json.dumps(bundle)}, {options});"


SPELLINGS = {
    "detlab": {
        **_NODE,
        "several": _detlab({"text/html": "<b>5</b>", "text/plain": "5"}),
        "first": _detlab({"text/html": "first"}, "{ displayId: 'spot' }"),
        "second": _detlab({"text/html": "second"}, "{ displayId: 'spot', update: true }"),
        "clear": "import { displaySink } from 'detlab';\ndisplaySink()!.clear(false);",
        "displays": {
            "text/html": _detlab({"text/html": "<i>x</i>", "text/plain": "x"}),
            "image/svg+xml": _detlab({"image/svg+xml": "<svg/>"}),
            "application/vnd.vegalite.v5+json": _detlab({"application/vnd.vegalite.v5+json": VEGA_LITE}),
        },
    },
    "tslab": {
        **_NODE,
        "several": None,
        "first": "import { newDisplay } from 'tslab';\nconst spot = newDisplay();\nspot.html('first');",
        "second": "spot.html('second');",
        "clear": None,
        "displays": {
            "text/html": "import { display } from 'tslab';\ndisplay.html('<i>x</i>');",
            "image/svg+xml": "import { display } from 'tslab';\ndisplay.svg('<svg/>');",
            "application/vnd.vegalite.v5+json": "import { display } from 'tslab';\n"
            f"display.raw('application/vnd.vegalite.v5+json', {json.dumps(json.dumps(VEGA_LITE))});",
        },
    },
    "Deno kernel": {
        **_NODE,
        "extension": ".ts",
        "json": "import data from './data.json' with { type: 'json' };",
        "exit": "Deno.exit(3);",
        "kill": "Deno.kill(Deno.pid, 'SIGKILL');\nawait new Promise(() => {});",
        "runtime": "console.log('runtime=deno-' + Deno.version.deno + '-v8-' + Deno.version.v8);",
        "versions": "console.log('typescript=' + Deno.version.typescript);",
        "several": _deno({"text/html": "<b>5</b>", "text/plain": "5"}),
        "first": _deno({"text/html": "first"}, "{ raw: true, display_id: 'spot' }"),
        "second": _deno({"text/html": "second"}, "{ raw: true, display_id: 'spot', update: true }"),
        "clear": "await Deno.jupyter.broadcast('clear_output', { wait: false });",
        "displays": {
            "text/html": _deno({"text/html": "<i>x</i>", "text/plain": "x"}),
            "image/svg+xml": _deno({"image/svg+xml": "<svg/>"}),
            "application/vnd.vegalite.v5+json": _deno({"application/vnd.vegalite.v5+json": VEGA_LITE}),
        },
        # Deno colours results and writes texts with double quotes.
        "results": {
            "number": "\x1b[33m3\x1b[39m",
            "text": '\x1b[32m"ab"\x1b[39m',
            "object": "{ a: [ \x1b[33m1\x1b[39m, \x1b[33m2\x1b[39m ] }",
            "awaited": "\x1b[33m42\x1b[39m",
        },
        "input": "console.log('Hello ' + prompt('Name?'));",
        "comm": "await Deno.jupyter.broadcast('comm_open', { comm_id: 'c1', target_name: 'probe', data: {} });",
    },
}
