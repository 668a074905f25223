"""jupyter_kernel_test's checks of our kernel, and what it leaves out: interrupts, restarts, a killed cell process.

Prints one line of JSON: what became of each test.
"""

import contextlib
import json
import sys
import unittest

import jupyter_kernel_test
from jupyter_client.manager import start_new_kernel
from jupyter_client.utils import ensure_async

TIMEOUT = 60
jupyter_kernel_test.TIMEOUT = TIMEOUT


@contextlib.contextmanager
def patience(channel):
    """Where a tenth of a second is waited for a message that is due, a busy machine may take longer."""
    hasty = channel.get_msg

    async def get_msg(timeout=None):
        return await ensure_async(hasty(timeout=max(timeout or 0, TIMEOUT)))

    channel.get_msg = get_msg
    try:
        yield
    finally:
        channel.get_msg = hasty


class Conformance(jupyter_kernel_test.KernelTests):
    kernel_name = "detlab"
    language_name = "typescript"
    file_extension = ".ts"

    def execute_helper(self, code, timeout=TIMEOUT, **options):
        with patience(self.kc.iopub_channel):
            return super().execute_helper(code, timeout=timeout, **options)

    code_hello_world = "console.log('hello, world');"
    code_stderr = "console.error('to stderr');"

    completion_samples = [
        {"text": "JSON.strin", "matches": {"stringify"}},
        {"text": "const wordy = 1;\nwor", "matches": {"wordy"}},
        {"text": "'\U0001d4b3'.padSta", "matches": {"padStart"}},
        {"text": "nothingIsCalledLikeThis", "matches": set()},
    ]

    complete_code_samples = [
        "1 + 2",
        "const a: number = 1;",
        "function f(): number {\n  return 1;\n}",
        "await Promise.resolve(1)",
        "// only a comment",
        "for (const x of [1, 2]) console.log(x);",
        "",
    ]
    incomplete_code_samples = [
        "function f(): number {",
        "const a = [1,",
        "const text = `one",
        "if (a) {",
        "call(",
        "/* a comment that goes on",
    ]
    invalid_code_samples = [
        "const = 3;",
        "1 + )",
        "import from;",
        "function f() { return 1; }}",
    ]

    code_generate_error = "throw new RangeError('too far');"

    code_execute_result = [
        {"code": "1 + 2", "result": "3"},
        {"code": "'a' + 'b'", "result": "'ab'"},
        {"code": "({ a: [1, 2] })", "result": "{ a: [ 1, 2 ] }"},
        {"code": "await Promise.resolve(42)", "result": "42"},
        {
            "code": "({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>bold</b>' }) })",
            "mime": "text/html",
            "result": "<b>bold</b>",
        },
    ]

    code_display_data = [
        {
            "code": "import { display } from 'detlab';\ndisplay({ 'text/html': '<i>x</i>', 'text/plain': 'x' });",
            "mime": "text/html",
        },
        {"code": "import { display } from 'detlab';\ndisplay({ 'image/svg+xml': '<svg/>' });", "mime": "image/svg+xml"},
        {
            "code": "import { lineChart, show } from 'detlab';\n"
            "await show(lineChart([{ name: 'a', y: [1, 2] }], { x: 'Step', y: 'Loss' }));",
            "mime": "application/vnd.vegalite.v5+json",
        },
    ]

    code_history_pattern = "1 + ?"
    supported_history_operations = ("tail", "range", "search")

    code_inspect_sample = "JSON.stringify"
    code_clear_output = "import { clearOutput } from 'detlab';\nclearOutput();"


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "detlab"
    support_iopub_welcome = True


class Endurance(unittest.TestCase):
    """What a person does to a kernel: stops cells, restarts it, loses the process that runs cells."""

    @classmethod
    def setUpClass(cls):
        cls.km, cls.kc = start_new_kernel(kernel_name="detlab", startup_timeout=TIMEOUT)

    @classmethod
    def tearDownClass(cls):
        cls.kc.stop_channels()
        cls.km.shutdown_kernel()

    def reply(self, msg_id):
        while True:
            reply = self.kc.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply["content"]

    def run_cell(self, code, **options):
        return self.reply(self.kc.execute(code, **options))

    def outputs(self, msg_id, until):
        """What the cell says on iopub, up to and including the first message for which `until` holds."""
        said = []
        while True:
            msg = self.kc.get_iopub_msg(timeout=TIMEOUT)
            if msg["parent_header"].get("msg_id") != msg_id:
                continue
            said.append(msg)
            if until(msg):
                return said

    def interrupted(self, code):
        msg_id = self.kc.execute(code)
        self.outputs(msg_id, lambda msg: msg["msg_type"] == "stream")
        self.km.interrupt_kernel()
        reply = self.reply(msg_id)
        self.assertEqual(reply["status"], "error")
        self.assertEqual(reply["ename"], "Interrupted")
        self.assertEqual(self.run_cell("1 + 1")["status"], "ok")

    def test_interrupt_endless_loop(self):
        self.interrupted("console.log('on');\nwhile (true) {}")

    def test_interrupt_await(self):
        self.interrupted("console.log('on');\nawait new Promise(() => {});")

    def test_state_survives_an_interrupt(self):
        self.run_cell("let kept = 7;")
        self.interrupted("console.log('on');\nwhile (true) {}")
        content = self.run_cell("0", user_expressions={"kept": "kept * 6"})
        self.assertEqual(content["user_expressions"]["kept"]["data"]["text/plain"], "42")

    def test_stop_on_error_aborts_what_is_queued(self):
        first = self.kc.execute("await new Promise((r) => setTimeout(r, 200)); throw new Error('stop');")
        second = self.kc.execute("globalThis.ran = true;")
        self.assertEqual(self.reply(first)["ename"], "Error")
        self.assertIn(self.reply(second)["status"], ("aborted", "error"))
        content = self.run_cell("0", user_expressions={"ran": "String('ran' in globalThis)"})
        self.assertEqual(content["user_expressions"]["ran"]["data"]["text/plain"], "'false'")

    def test_process_exit_is_an_error_of_the_cell(self):
        reply = self.run_cell("process.exit(3);")
        self.assertEqual(reply["status"], "error")
        self.assertIn("process.exit", reply["evalue"])
        self.assertTrue(self.km.is_alive())

    def test_killed_cell_process(self):
        reply = self.run_cell("process.kill(process.pid, 'SIGKILL');\nawait new Promise(() => {});")
        self.assertEqual(reply["status"], "error")
        self.assertEqual(reply["ename"], "CellProcessEnded")
        self.assertTrue(self.km.is_alive())
        self.assertEqual(self.run_cell("1 + 1")["status"], "ok")

    def test_restart_forgets(self):
        self.run_cell("const before = 1;")
        self.km.restart_kernel(now=False)
        self.kc.wait_for_ready(timeout=TIMEOUT)
        self.assertEqual(self.run_cell("before;")["status"], "error")
        self.assertEqual(self.run_cell("1 + 1")["status"], "ok")

    def test_answers_while_a_cell_runs(self):
        msg_id = self.kc.execute("console.log('on');\nawait new Promise((r) => setTimeout(r, 3000));")
        self.outputs(msg_id, lambda msg: msg["msg_type"] == "stream")
        control = self.km.session.send(self.kc.control_channel.socket, "kernel_info_request", {})
        info = self.kc.get_control_msg(timeout=TIMEOUT)
        self.assertEqual(info["parent_header"]["msg_id"], control["header"]["msg_id"])
        self.assertTrue(self.kc.hb_channel.is_beating())
        self.assertEqual(self.reply(msg_id)["status"], "ok")

    def test_does_not_ask_for_input(self):
        reply = self.run_cell("process.stdin.read();", allow_stdin=True)
        self.assertEqual(reply["status"], "error")

    def test_shutdown_ends_the_process(self):
        km, kc = start_new_kernel(kernel_name="detlab", startup_timeout=TIMEOUT)
        kc.execute("1")
        kc.stop_channels()
        km.shutdown_kernel(now=False)
        self.assertFalse(km.is_alive())


class Table(unittest.TestResult):
    """What became of each test; a subtest's failure is its test's."""

    def __init__(self):
        super().__init__()
        self.rows = {}

    def note(self, test, status, text=""):
        test = getattr(test, "test_case", test)
        name = test.id().split(".", 1)[1] if hasattr(test, "id") else str(test)
        row = self.rows.setdefault(name, {"status": "passed", "text": ""})
        if row["status"] != "failed":
            row.update(status=status)
        row["text"] += text

    def startTest(self, test):
        super().startTest(test)
        self.note(test, "passed")

    def addFailure(self, test, err):
        self.note(test, "failed", self._exc_info_to_string(err, test))

    addError = addFailure

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, "failed", f"{subtest}: {self._exc_info_to_string(err, test)}")


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    table = Table()
    suite.run(table)
    print(json.dumps(table.rows))
