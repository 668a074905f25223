"""Probes with the programs that run notebooks without a person: do they see that a notebook failed?"""

import json
import os
import subprocess
import sys

import nbformat

from .driver import plain
from .findings import probe

EXECUTE = "import sys; from nbclient.cli import main; sys.exit(main())"


def notebook(lab, name, *cells):
    """Writes a notebook of code cells."""
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    content.metadata["kernelspec"] = {"name": lab.name, "display_name": lab.name, "language": "typescript"}
    path = lab.folder / name
    nbformat.write(content, path)
    return path


def run(lab, words):
    """The exit code of a Python program, None where it takes more than three minutes, and what it said."""
    try:
        done = subprocess.run(
            [sys.executable, *words], cwd=lab.folder, env=os.environ, capture_output=True, text=True, timeout=180
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, plain(done.stdout + done.stderr)


def papermill(lab, path):
    return run(
        lab,
        [
            "-m",
            "papermill",
            path.name,
            f"out-{path.name}",
            "-k",
            lab.name,
            "--no-progress-bar",
            "--start-timeout",
            "60",
        ],
    )


def nbclient(lab, path):
    return run(lab, ["-c", EXECUTE, path.name, f"--kernel_name={lab.name}", "--output", f"out-{path.stem}"])


def verdicts(lab, execute, name):
    good = notebook(lab, f"good-{name}.ipynb", "const ready = 1;", "console.log(ready);")
    thrown = notebook(
        lab, f"thrown-{name}.ipynb", "const ready = 1;", "throw new Error('broken');", "console.log('after');"
    )
    floating = notebook(lab, f"floating-{name}.ipynb", "Promise.reject(new Error('broken'));\nconsole.log('on');")
    codes, texts = zip(*(execute(lab, path) for path in (good, thrown, floating)))
    detail = f"exit codes of a good, a throwing, a floating one: {list(codes)}"
    failed = [codes[0] == 0 and code not in (0, None) for code in codes[1:]]
    said = [line for line in texts[1].splitlines() if line.strip()][-3:]
    named = failed[0] and "Error: broken" in texts[1]
    return [(failed[0], detail), (named, "" if named else f"it said: {' '.join(said)}"), (failed[1], detail)]


@probe(
    "Programs that run notebooks",
    "papermill fails on a cell that throws",
    "… and names the error",
    "… and fails on a rejected promise that nothing awaits",
)
def by_papermill(lab):
    return verdicts(lab, papermill, "papermill")


@probe(
    "Programs that run notebooks",
    "nbclient (jupyter execute) fails on a cell that throws",
    "… and names the error",
    "… and fails on a rejected promise that nothing awaits",
)
def by_nbclient(lab):
    return verdicts(lab, nbclient, "nbclient")


@probe("Programs that run notebooks", "The failed notebook keeps the error as an output of type `error`")
def keeps_error(lab):
    path = notebook(lab, "kept.ipynb", "throw new Error('broken');")
    papermill(lab, path)
    out = lab.folder / f"out-{path.name}"
    if not out.exists():
        return False, "no notebook was written"
    outputs = [o for c in json.loads(out.read_text())["cells"] for o in c.get("outputs", [])]
    kinds = [o["output_type"] for o in outputs if "papermill" not in str(o.get("data", ""))]
    return "error" in kinds, f"outputs {kinds}"
