"""Probes of the kernel as a program: interrupts, channels, hostile messages, its life and its end."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import jupyter_kernel_test
import psutil
from jupyter_client.manager import start_new_kernel
from jupyter_client.session import DELIM, Session

from .driver import dead, plain
from .findings import Finding, judged, listening, probe

sys.path.insert(0, str(Path(__file__).parents[2] / "notebook" / "jupyter"))
import kernel_conformance  # noqa: E402


def conformance_tests(lab):
    """jupyter_kernel_test with the samples that our own kernel is tested with, said in this kernel's words."""
    say = lab.say
    results = say["results"]
    samples = [results["number"], results["text"], results["object"], results["awaited"]]

    class Tests(kernel_conformance.Conformance):
        kernel_name = lab.name
        code_execute_result = [
            {**sample, **({"result": samples[i]} if i < len(samples) else {})}
            for i, sample in enumerate(kernel_conformance.Conformance.code_execute_result)
        ]
        code_display_data = [{"code": code, "mime": mime} for mime, code in say["displays"].items()]
        # A kernel without a way to say it is not asked; one that does not answer a message has failed.
        code_clear_output = say["clear"] or ""

        @classmethod
        def setUpClass(cls):
            cls.log = tempfile.TemporaryFile()
            options = {"cwd": str(lab.folder), "stdout": cls.log, "stderr": cls.log}
            cls.km, cls.kc = start_new_kernel(kernel_name=lab.name, startup_timeout=60, **options)

        @classmethod
        def tearDownClass(cls):
            cls.kc.stop_channels()
            cls.km.shutdown_kernel(now=True)
            cls.log.close()

        def get_non_kernel_info_reply(self, timeout=None):
            return super().get_non_kernel_info_reply(timeout or 15)

    return Tests


@probe("Protocol", "jupyter_kernel_test: tests passed")
def conformance(lab):
    jupyter_kernel_test.TIMEOUT = 15
    tests = conformance_tests(lab)
    passed, failed = [], []
    for name in unittest.defaultTestLoader.getTestCaseNames(tests):
        # Each in a kernel of its own, so that one that hangs hides no other. Twice where it fails: its waits are short.
        for _ in range(2):
            result = unittest.TestResult()
            unittest.TestSuite([tests(name)]).run(result)
            if result.wasSuccessful():
                break
        if result.skipped and result.wasSuccessful():
            continue
        if result.wasSuccessful():
            passed.append(name)
        else:
            why = [text.strip().splitlines()[-1] for _, text in result.failures + result.errors]
            failed.append(f"{name.removeprefix('test_')} ({plain(why[0])[:60]})")
    return f"{len(passed)} of {len(passed) + len(failed)}", f"failed: {'; '.join(failed)}" if failed else ""


@probe("Protocol", "Protocol version", "language_info.version is the version that works")
def versions(lab):
    with lab.kernel() as k:
        told = k.info["language_info"]["version"]
        cell = k.run(lab.say["versions"])
        return [
            k.info["protocol_version"],
            (f"typescript={told}" in cell.streams(), f"told {told}; {cell.streams().strip()}"),
        ]


@probe("Protocol", "comm_info_request is answered by comm_info_reply")
def comm_info(lab):
    with lab.kernel() as k:
        reply = k.ask("comm_info_request", {"target_name": "jupyter.widget"}, 8)
        if not reply:
            return False, "no reply"
        return reply["msg_type"] == "comm_info_reply" and "comms" in reply[
            "content"
        ], f"answered by {reply['msg_type']}"


@probe("Protocol", "execute_input is published")
def execute_input(lab):
    with lab.kernel() as k:
        cell = k.run("1;")
        return [c.get("code") for c in cell.contents("execute_input")] == ["1;"]


@probe("Protocol", "user_expressions are evaluated")
def user_expressions(lab):
    with lab.kernel() as k:
        cell = k.run("const base = 6;", user_expressions={"answer": "base * 7"})
        answer = cell.reply.get("user_expressions", {}).get("answer", {})
        return "42" in plain(str(answer.get("data", {}).get("text/plain"))), f"{answer}"


@probe("Protocol", "A cell asks the front end for input")
def asks_for_input(lab):
    if not lab.say["input"]:
        return False, "no API"
    with lab.fresh() as k:
        msg_id = k.client.execute(lab.say["input"], allow_stdin=True)
        request = k.shell(10, lambda m: m["msg_type"] == "input_request", "stdin")
        if request:
            k.client.input("Ada")
        cell = k.outcome(msg_id, 10)
        return judged("Hello Ada" in cell.streams(), cell)


@probe("Protocol", "A cell opens a comm (widgets)")
def opens_comm(lab):
    if not lab.say["comm"]:
        return False, "no API"
    with lab.kernel() as k:
        cell = listening(k, lab.say["comm"])
        return judged(cell.contents("comm_open"), cell)


@probe("Protocol", "What a cell says arrives before the `idle` that ends it")
def before_idle(lab):
    with lab.kernel() as k:
        late = 0
        for i in range(40):
            cell = k.run(
                f"({{ [Symbol.for('Jupyter.display')]: () => ({{ 'text/html': '<b>{i}</b>', 'text/plain': '{i}' }}) }})"
            )
            late += cell.said[-1]["msg_type"] != "status"
        return late == 0, f"of 40 results {late} came after `idle`"


BUSY = "console.log('on');\nconst {name} = Date.now() + 6000;\nwhile (Date.now() < {name}) {{}}"


def busy_cell(kernel, name):
    """Starts a cell that computes for 6 s. Returns its id and what it printed at its beginning, where that came."""
    kernel.heard.clear()
    msg_id = kernel.send_cell(BUSY.format(name=name))
    return msg_id, kernel.printed("on\n", 2.5)


@probe(
    "While a synchronous cell runs",
    "What it prints arrives",
    "kernel_info on the control channel is answered",
    "The heartbeat beats",
)
def channels(lab):
    with lab.fresh() as k:
        k.prepare("console.log('warm');")
        first, printed = busy_cell(k, "firstEnd")
        asked = time.monotonic()
        info = k.ask("kernel_info_request", {}, 2.5, "control")
        took = time.monotonic() - asked
        k.outcome(first)
        second, _ = busy_cell(k, "secondEnd")
        beats = k.beats(2.5)
        k.outcome(second)
        return [
            printed is not None,
            (info is not None, f"answered in {took:.2f} s" if info else "no reply in 2.5 s"),
            beats,
        ]


@probe("While a cell awaits", "Completion is answered")
def completion_meanwhile(lab):
    with lab.fresh() as k:
        k.prepare("const words = ['a'];\nconsole.log('warm');")
        msg_id = k.send_cell("console.log('on');\nawait new Promise((done) => setTimeout(done, 6000));")
        k.printed("on\n", 2.5)
        reply = k.ask("complete_request", {"code": "words.", "cursor_pos": 6}, 4)
        k.outcome(msg_id)
        matches = reply["content"].get("matches", []) if reply else []
        return any(m.endswith("length") for m in matches), "" if reply else "no reply in 4 s"


LOOPS = {
    "an endless loop": "console.log('on');\nwhile (true) {}",
    "an endless loop after an await": "await new Promise((done) => setTimeout(done, 50));\n"
    "console.log('on');\nwhile (true) {}",
    "a loop that awaits timers": "console.log('on');\nwhile (true) await new Promise((done) => setTimeout(done, 20));",
}


def interrupted(lab, code, how):
    """Seconds from the interrupt to the reply; False where the cell goes on, or the kernel or a variable is lost."""
    with lab.fresh() as k:
        k.prepare("let kept = 41;")
        msg_id = k.send_cell(code)
        # A kernel that cannot send while a cell computes says nothing here.
        k.printed("on\n", 3)
        time.sleep(0.5)
        begun = time.monotonic()
        if how == "message":
            k.send("interrupt_request", {}, "control")
        else:
            k.manager.signal_kernel(signal.SIGINT)
        cell = k.outcome(msg_id, 12, begun)
        if not cell.reply:
            return Finding(False, cell.status)
        seconds = round(cell.seconds, 2)
        if cell.status == "ok":
            return Finding(False, f"the cell ended as `ok` after {seconds} s")
        after = k.run("console.log('still', kept + 1);", 12)
        if "still 42" not in after.streams():
            return Finding(False, f"stopped after {seconds} s, then: {after.summary()}")
        return Finding(seconds, cell.summary())


@probe(
    "Interrupts: seconds until the cell stops, variables kept", "What the installed kernelspec makes of the stop button"
)
def stop_button(lab):
    with lab.kernel() as k:
        return {"message": "interrupt_request", "signal": "SIGINT"}[k.manager.kernel_spec.interrupt_mode]


def _interrupt_probes():
    for title, code in LOOPS.items():
        for how, name in (("message", "interrupt_request"), ("SIGINT", "SIGINT")):
            probe("Interrupts: seconds until the cell stops, variables kept", f"{name}: {title}")(
                lambda lab, code=code, how=how: interrupted(lab, code, how)
            )


_interrupt_probes()


@probe(
    "Interrupts: seconds until the cell stops, variables kept",
    "A loop that awaits timers does not go on behind the scenes",
)
def really_stopped(lab):
    with lab.fresh() as k:
        how = k.manager.kernel_spec.interrupt_mode
        k.prepare("let turns = 0;")
        msg_id = k.send_cell(
            "console.log('on');\nwhile (true) {\n  turns++;\n  await new Promise((done) => setTimeout(done, 20));\n}"
        )
        k.printed("on\n", 3)
        time.sleep(0.5)
        k.manager.interrupt_kernel()
        cell = k.outcome(msg_id, 12)
        if not cell.reply:
            return False, f"by {how}: {cell.status}"
        time.sleep(7)
        counts = []
        for _ in range(2):
            counts.append(k.run("console.log('turns', turns);").streams().strip())
            time.sleep(1)
        return counts[0].startswith("turns") and counts[0] == counts[1], f"by {how}: {' then '.join(counts)}"


@probe("Hostile messages", "A message with a wrong signature is ignored, the kernel lives")
def forged(lab):
    with lab.fresh() as k:
        session = Session(key=b"not the key")
        content = {"code": "globalThis.forged = 1;", "silent": False, "store_history": True, "user_expressions": {}}
        socket = k.send_raw(session.serialize(session.msg("execute_request", content)))
        answered = socket.poll(3000)
        socket.close()
        cell = k.run("console.log('forged' in globalThis);")
        return Finding("false" in cell.streams() and not answered, cell.summary() if cell.ok else k.logged())


@probe("Hostile messages", "Malformed messages are survived")
def malformed(lab):
    with lab.fresh() as k:
        session = k.client.session
        header = json.dumps(session.msg_header("execute_request"), default=str).encode()

        def signed(*parts):
            return [DELIM, session.sign(parts), *parts]

        for frames in (
            [b"no delimiter"],
            [DELIM],
            [DELIM, b"", b"{}"],
            signed(b"not json", b"{}", b"{}", b"{}"),
            signed(b"null", b"null", b"null", b"null"),
            signed(b"{}", b"{}", b"{}", b"{}"),
            signed(header, b"{}", b"{}", b"not json"),
            signed(header, b"{}", b"{}", b"[1]"),
            signed(header, b"{}", b"{}", b'{"code": 5}'),
            signed(header, b"{}", b"{}", b"\xff\xfe"),
        ):
            k.send_raw(frames).close()
        time.sleep(1)
        # What was taken for a cell may have failed, and the cells after it be aborted.
        cell = k.run("console.log('is', 6 * 7);", 15)
        if not cell.ok and k.alive:
            cell = k.run("console.log('is', 6 * 7);", 15)
        return Finding("is 42" in cell.streams(), "" if cell.ok else f"{cell.summary()} {k.logged()}")


@probe("Life and end", "exit in a cell: the kernel lives and keeps its variables")
def exits(lab):
    with lab.fresh() as k:
        k.prepare("let kept = 41;")
        cell = k.run(lab.say["exit"], 15)
        after = k.run("console.log('still', kept + 1);", 15) if k.alive else cell
        return Finding("still 42" in after.streams() and cell.status == "error", cell.summary())


@probe("Life and end", "A cell that kills its process: the front end is told, the kernel lives")
def killed(lab):
    with lab.fresh() as k:
        k.prepare("console.log('warm');")
        cell = k.run(lab.say["kill"], 15)
        after = k.run("console.log('is', 6 * 7);", 30) if k.alive else cell
        return Finding(cell.status == "error" and "is 42" in after.streams(), cell.summary())


@probe("Life and end", "100 MB are printed: the kernel lives")
def prints(lab):
    with lab.fresh() as k:
        cell = k.run("const line = 'x'.repeat(2 ** 20 - 1);\nfor (let i = 0; i < 100; i++) console.log(line);", 120)
        got = len(cell.streams()) / 2**20
        after = k.run("console.log('is', 6 * 7);", 60)
        return Finding("is 42" in after.streams(), f"{cell.status} after {cell.seconds:.0f} s, {got:.0f} MB arrived")


PARENT = """
import subprocess, sys, time
from jupyter_client.manager import KernelManager
km = KernelManager(kernel_name=sys.argv[1])
km.start_kernel(cwd=sys.argv[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
kc = km.client()
kc.start_channels()
kc.wait_for_ready(timeout=60)
kc.execute_interactive("console.log('warm');", output_hook=lambda message: None, timeout=60)
if len(sys.argv) > 3:
    kc.execute(sys.argv[3])
    time.sleep(2)
print(km.provisioner.process.pid, flush=True)
time.sleep(600)
"""


def orphaned(lab, *code):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, lab.name, str(lab.folder), *code], stdout=subprocess.PIPE, text=True
    )
    family = []
    try:
        pid = int(parent.stdout.readline())
        family = [pid, *[p.pid for p in psutil.Process(pid).children(recursive=True)]]
        parent.kill()
        parent.wait()
        begun = time.monotonic()
        while time.monotonic() - begun < 20:
            if all(map(dead, family)):
                return Finding(True, f"after {time.monotonic() - begun:.1f} s")
            time.sleep(0.1)
        return Finding(False, f"{sum(not dead(p) for p in family)} of {len(family)} processes live on after 20 s")
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for pid in family:
            if not dead(pid):
                psutil.Process(pid).kill()


@probe("Life and end", "The kernel ends when its parent is killed")
def orphan(lab):
    return orphaned(lab)


@probe("Life and end", "… also while a cell computes")
def busy_orphan(lab):
    return orphaned(lab, "while (true) {}")


@probe("Life and end", "shutdown_request ends all its processes")
def shutdown(lab):
    with lab.fresh() as k:
        k.prepare("console.log('warm');")
        family = [p.pid for p in k.processes()]
        k.send("shutdown_request", {"restart": False}, "control")
        begun = time.monotonic()
        while time.monotonic() - begun < 10:
            if all(map(dead, family)):
                return Finding(True, f"after {time.monotonic() - begun:.1f} s")
            time.sleep(0.1)
        return Finding(False, "a process lives on after 10 s")
