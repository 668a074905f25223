"""Times and memory, kernel after kernel in rounds: on a shared machine only what was measured together compares."""

import statistics
import time

from .driver import Kernel

ROUNDS = 5
CELLS = 100


def round_of(lab):
    begun = time.monotonic()
    with Kernel(lab.name, lab.folder, wait=False) as k:
        # As nbclient and others start a kernel.
        k.client.wait_for_ready(timeout=60)
        cell = k.run("1 + 1", 60)
        first = time.monotonic() - begun
        if not cell.ok:
            raise RuntimeError(f"{lab.name}: 1 + 1 gave {cell.summary()}")
        begun = time.monotonic()
        for i in range(CELLS):
            cell = k.run(f"const value{i}: number = {i};\nvalue{i} + 1", late=0)
            if not cell.ok:
                raise RuntimeError(f"{lab.name}: cell {i} gave {cell.summary()}")
        cells = time.monotonic() - begun
        memory = sum(p.memory_info().rss for p in k.processes()) / 2**20
        return first, cells, memory


def measure(labs, say):
    """Rows of (title, digits, a number a lab), medians of the rounds."""
    rounds = []
    for i in range(ROUNDS):
        rounds.append([round_of(lab) for lab in labs])
        say(f"timings, round {i + 1}: " + "; ".join(f"{a:.1f} s, {b:.1f} s, {c:.0f} MB" for a, b, c in rounds[-1]))
    titles = (
        ("Seconds from start to the first result (1 + 1)", 2),
        (f"Seconds for {CELLS} trivial cells", 2),
        (f"Resident memory of all its processes after {CELLS} cells, MB", 0),
    )
    return [
        (title, digits, [statistics.median(r[lab][what] for r in rounds) for lab in range(len(labs))])
        for what, (title, digits) in enumerate(titles)
    ]
