"""What the probes have in common: how they are listed, what they find, where their kernels run."""

import json
import re
from contextlib import contextmanager

from .driver import Kernel
from .spellings import SPELLINGS

PROBES = []


def probe(section, *titles):
    """Lists a function as a probe. It takes a Lab and returns one finding, or one for each title."""

    def register(function):
        PROBES.append((section, titles, function))
        return function

    return register


class Finding:
    """A value (True, False, a number, a short text; None: does not apply) and why it is so."""

    def __init__(self, value, detail=""):
        self.value = value
        self.detail = detail

    @staticmethod
    def of(thing):
        return thing if isinstance(thing, Finding) else Finding(*thing) if isinstance(thing, tuple) else Finding(thing)


def judged(condition, cell):
    """A finding about a cell; where the condition does not hold, with what the kernel said instead."""
    return Finding(bool(condition), "" if condition else cell.summary())


def listening(kernel, code, seconds=2.0, timeout=30):
    """Runs a cell and goes on listening: work that it left running may say something late."""
    cell = kernel.run(code, timeout)
    kernel.listen(seconds)
    cell.said = list(kernel.heard)
    return cell


class Lab:
    """One kernel's place: a folder with files to import, and the kernel that the last probe left in order."""

    def __init__(self, name, folder, project):
        self.name = name
        self.outside = folder / "outside"
        self.folder = folder / "notebook"
        self.native = folder / "native"
        self.project = project
        self.warm = None
        self.info = None
        self.say = SPELLINGS["tslab"]
        write_files(self)
        with self.kernel():
            pass
        self.say = SPELLINGS[self.info["implementation"]]

    @contextmanager
    def kernel(self):
        """A kernel that earlier probes may have used. What fails or hangs in it costs it its life."""
        kernel, self.warm = self.warm, None
        if kernel and not kernel.alive:
            kernel.close()
            kernel = None
        kernel = kernel or self.start()
        kernel.heard.clear()
        trusted = False
        try:
            yield kernel
            trusted = kernel.trusted
        finally:
            if trusted and kernel.alive:
                self.warm = kernel
            else:
                kernel.close()

    @contextmanager
    def fresh(self, folder=None):
        """A kernel for this probe only."""
        with self.start(folder) as kernel:
            yield kernel

    def start(self, folder=None):
        kernel = Kernel(self.name, folder or self.folder)
        self.info = kernel.info
        return kernel

    def close(self):
        if self.warm:
            self.warm.close()
            self.warm = None

    def clean(self, text):
        """A detail without this machine's paths."""
        text = re.sub(r"(?:file://)?(?:/[\w.@+-]+){2,}/", "", " ".join(str(text).split()))
        return text[:240]


FAILING = """export const loaded = true;

interface Shape {
  name: string;
}

export function failing(shape: Shape): never {
  // Types that are compiled away, so that lines of JavaScript are other lines.
  type Word = string;
  const word: Word = shape.name;
  throw new RangeError(`no ${word}`);
}
"""


def write_files(lab):
    """The notebook's folder, a folder outside of it, two ESM-only packages, a folder with the project's packages."""
    for folder in (lab.outside, lab.folder, lab.native):
        folder.mkdir(parents=True)
    (lab.folder / "local.ts").write_text("export const twice = (value: number): number => 2 * value;\n")
    (lab.folder / "failing.ts").write_text(FAILING)
    (lab.folder / "data.json").write_text('{ "answer": 42 }\n')
    (lab.outside / "helper.ts").write_text("export const thrice = (value: number): number => 3 * value;\n")
    package(lab.folder, "probe-esm", "index", "default", {"main": "index.js", "types": "index.d.ts"})
    package(lab.folder, "probe-exports", "dist/main", "import", {})
    write_json(lab.folder / "package.json", {"dependencies": {"probe-esm": "1.0.0", "probe-exports": "1.0.0"}})
    packages = lab.project / "node_modules"
    (lab.native / "node_modules").symlink_to(packages)
    manifest = json.loads((lab.project / "package.json").read_text())
    write_json(lab.native / "package.json", {"dependencies": {"canvas": manifest["dependencies"]["canvas"]}})


def package(folder, name, file, condition, fields):
    """Writes an ESM-only package with types."""
    place = folder / "node_modules" / name
    (place / file).parent.mkdir(parents=True)
    exports = {".": {"types": f"./{file}.d.ts", condition: f"./{file}.js"}}
    write_json(
        place / "package.json", {"name": name, "version": "1.0.0", "type": "module", "exports": exports, **fields}
    )
    (place / f"{file}.js").write_text("export function half(value) {\n  return value / 2;\n}\n")
    (place / f"{file}.d.ts").write_text(
        "/** Half of a value. */\nexport declare function half(value: number): number;\n"
    )


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")
