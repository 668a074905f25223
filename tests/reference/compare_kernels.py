"""Drives TypeScript kernels of Jupyter through the same probes over the real protocol, and writes down what arrives.

    pip install jupyter_client==8.10.0 jupyter_kernel_test==0.7.0 nbclient==0.11.0 papermill==2.7.0 psutil==7.2.2
    JUPYTER_PATH=… python tests/reference/compare_kernels.py detlab tslab deno

takes the names of installed kernelspecs (ours first: times are also given as ratios to the first), writes
tests/reference/kernels.json and prints a table in Markdown. `--only WORD` runs the sections or titles with that word
and writes nothing. Takes about half an hour.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import signal
import sys
import tempfile
import traceback

from jupyter_kernels import language, programs, protocol, timings  # noqa: F401 (the probes list themselves)
from jupyter_kernels.driver import forget_inherited_settings
from jupyter_kernels.findings import PROBES, Finding, Lab

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = ("jupyter_client", "jupyter_kernel_test", "nbclient", "papermill", "pyzmq")
SECTIONS = (
    "Protocol",
    "Types",
    "Cells",
    "Results",
    "Errors",
    "Imports",
    "Help while typing",
    "Interrupts: seconds until the cell stops, variables kept",
    "While a synchronous cell runs",
    "While a cell awaits",
    "Hostile messages",
    "Life and end",
    "Programs that run notebooks",
)


def say(text):
    print(text, file=sys.stderr, flush=True)


def findings_of(lab, titles, function):
    """What a probe finds; a probe that breaks is a finding too, and no reason to stop."""
    try:
        found = function(lab)
        return [Finding.of(one) for one in (found if isinstance(found, list) else [found])]
    except Exception as error:
        say(traceback.format_exc())
        return [Finding("probe failed", f"{type(error).__name__}: {error}") for _ in titles]


def probe_all(labs, only):
    rows = []
    for section in SECTIONS:
        for where, titles, function in PROBES:
            if where != section or not any(only in f"{section} {title}" for title in titles):
                continue
            found = [findings_of(lab, titles, function) for lab in labs]
            for i, title in enumerate(titles):
                values = {}
                for lab, of_lab in zip(labs, found):
                    detail = lab.clean(of_lab[i].detail)
                    values[lab.name] = {"value": of_lab[i].value, **({"detail": detail} if detail else {})}
                rows.append({"section": section, "title": title, "kernels": values})
                say(f"{section} | {title} | " + " | ".join(shown(v["value"]) for v in values.values()))
                for name, value in values.items():
                    if value["value"] in (False, "probe failed") or only:
                        say(f"    {name}: {value.get('detail', '')}")
    return rows


def time_all(labs):
    rows = []
    for title, digits, numbers in timings.measure(labs, say):
        values = {
            lab.name: {"value": round(n, digits) if digits else round(n), "ratio": round(n / numbers[0], 2)}
            for lab, n in zip(labs, numbers)
        }
        rows.append({"section": "Times and memory", "title": title, "kernels": values})
    return rows


def identity(lab):
    with lab.kernel() as k:
        told = k.run(lab.say["versions"]).streams().split() + k.run(lab.say["runtime"]).streams().split()
    versions = dict(word.split("=", 1) for word in told if "=" in word)
    implementation = lab.info["implementation"]
    version = versions.pop(implementation, None) or lab.info["implementation_version"]
    if implementation != "tslab":
        versions.pop("tslab", None)
    interrupts = k.manager.kernel_spec.interrupt_mode
    return {"implementation": implementation, "version": version, **versions, "interrupt_mode": interrupts}


def shown(value):
    return {True: "yes", False: "no", None: "–"}[value] if value is None or isinstance(value, bool) else str(value)


def cell(value):
    ratio = f" ({value['ratio']:g} ×)" if value.get("ratio", 1) != 1 else ""
    return shown(value["value"]) + ratio


def table(kernels, rows):
    """The results as Markdown."""
    head = [f"{k['implementation']} {k['version']}" for k in kernels.values()]
    lines = [f"| | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    section = None
    for row in rows:
        if row["section"] != section:
            section = row["section"]
            lines.append(f"| **{section}** |{' |' * len(head)}")
        lines.append(f"| {row['title']} | {' | '.join(cell(v) for v in row['kernels'].values())} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="+", help="names of kernelspecs, ours first")
    parser.add_argument("--only", default="", help="run the probes with this in section or title, and write nothing")
    options = parser.parse_args()
    # Kernels outlive a script that is ended without a word.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    place = pathlib.Path(tempfile.mkdtemp(prefix="compare-kernels-"))
    forget_inherited_settings(place)
    labs = []
    try:
        for name in options.kernels:
            labs.append(Lab(name, place / name, HERE.parent.parent))
        kernels = {lab.name: identity(lab) for lab in labs}
        rows = probe_all(labs, options.only)
        for lab in labs:
            lab.close()
        if not options.only or options.only in "Times and memory":
            rows += time_all(labs)
    finally:
        for lab in labs:
            lab.close()
        shutil.rmtree(place, ignore_errors=True)
    if not options.only:
        content = {
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, shared",
            "tools": {name: importlib.metadata.version(name) for name in TOOLS},
            "kernels": kernels,
            "results": rows,
        }
        path = HERE / "kernels.json"
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        say(f"{path.name}: {path.stat().st_size} bytes")
    print(table(kernels, rows))


if __name__ == "__main__":
    main()
