"""One Jupyter kernel that is driven over its sockets, with a limit to every wait, and killed with all its processes."""

import os
import queue
import re
import tempfile
import time

import psutil
import zmq
from jupyter_client.manager import KernelManager


class Cell:
    """What arrived on the wire for one execute_request."""

    def __init__(self, reply, said, seconds, trouble):
        self.reply = reply["content"] if reply else {}
        self.said = said
        self.seconds = seconds
        #: ok, error, aborted, or why there is no reply: 'kernel died', 'no reply in 30 s'.
        self.status = trouble or self.reply.get("status", "reply without status")

    @property
    def ok(self):
        return self.status == "ok"

    def contents(self, *types):
        return [m["content"] for m in self.said if m["msg_type"] in types]

    def streams(self, name=None):
        return plain("".join(c.get("text", "") for c in self.contents("stream") if name in (None, c.get("name"))))

    def shown(self, mime="text/plain"):
        """What results and displays hold of a MIME type, and what was printed: a kernel may choose either."""
        bundles = [c.get("data", {}) for c in self.contents("execute_result", "display_data")]
        return "\n".join([plain(str(b[mime])) for b in bundles if mime in b] + [self.streams("stdout")])

    def complaint(self):
        """All that says what went wrong: error messages, the reply, the error stream."""
        errors = self.contents("error") + [self.reply]
        lines = [
            line for c in errors for line in [c.get("ename", ""), c.get("evalue", ""), *(c.get("traceback") or [])]
        ]
        return plain("\n".join(map(str, lines)) + "\n" + self.streams())

    def summary(self):
        types = [m["msg_type"] for m in self.said if m["msg_type"] not in ("status", "execute_input")]
        said = ", ".join(dict.fromkeys(types)) or "nothing"
        text = " ".join(self.complaint().split())
        return f"{self.status}; said {said}; {text[:160]}" if text else f"{self.status}; said {said}"


class Kernel:
    """A kernel that runs, with its client. Use in `with`."""

    def __init__(self, name, folder, wait=True):
        self.name = name
        self.heard = []
        #: Whether every cell so far got its reply: a kernel that left one without may still be busy with it.
        self.trusted = True
        self.failed_at = 0.0
        self.family = {}
        self.log = tempfile.TemporaryFile()
        self.manager = KernelManager(kernel_name=name)
        self.begun = time.monotonic()
        self.manager.start_kernel(cwd=str(folder), stdout=self.log, stderr=self.log)
        self.client = self.manager.client()
        self.client.start_channels(hb=False, stdin=True)
        self.info = None
        if wait:
            try:
                self.info = self.await_info(60)
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def alive(self):
        return self.manager.is_alive()

    @property
    def pid(self):
        return self.manager.provisioner.process.pid

    def processes(self):
        """The kernel's process and all that it started."""
        try:
            first = psutil.Process(self.pid)
            found = [first, *first.children(recursive=True)]
        except (psutil.NoSuchProcess, AttributeError):
            return []
        self.family.update({p.pid: p for p in found})
        return found

    def close(self):
        self.processes()
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        for process in self.family.values():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.log.close()

    def await_info(self, timeout):
        """The content of kernel_info_reply. Asks again and again: the first request may come too early."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.alive:
                raise RuntimeError(f"{self.name} ended at its start: {self.logged()}")
            self.client.kernel_info()
            reply = self.shell(2, lambda m: m["msg_type"] == "kernel_info_reply")
            if reply:
                # A subscription takes a moment to arrive; a busy kernel says nothing before it is asked.
                self.listen(0.3)
                self.heard.clear()
                return reply["content"]
        raise RuntimeError(f"{self.name} did not answer kernel_info in {timeout} s: {self.logged()}")

    def logged(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]

    def shell(self, timeout, wanted, channel="shell"):
        """The next reply for which `wanted` holds; None where the time is over or the kernel has died."""
        end = time.monotonic() + timeout
        get = getattr(self.client, f"get_{channel}_msg")
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return None
            try:
                message = get(timeout=min(left, 0.25))
            except queue.Empty:
                if not self.alive:
                    end = min(end, time.monotonic() + 0.3)
                continue
            if wanted(message):
                return message

    def reply_to(self, msg_id, timeout=20, channel="shell"):
        return self.shell(timeout, lambda m: parent_of(m) == msg_id, channel)

    def ask(self, type, content=None, timeout=20, channel="shell"):
        """Sends a request and returns its reply, whatever its type; None where none comes."""
        return self.reply_to(self.send(type, content, channel), timeout, channel)

    def send(self, type, content=None, channel="shell"):
        message = self.client.session.msg(type, content or {})
        getattr(self.client, f"{channel}_channel").send(message)
        return message["header"]["msg_id"]

    def send_cell(self, code, **options):
        return self.client.execute(code, allow_stdin=False, **options)

    def listen(self, seconds, until=lambda message: False):
        """Takes messages from iopub until one is wanted. Returns that one, or None."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            try:
                message = self.client.get_iopub_msg(timeout=max(min(left, 0.25), 0))
            except queue.Empty:
                if left <= 0 or not self.alive:
                    return None
                continue
            self.heard.append(message)
            if until(message):
                return message
            if left <= 0:
                return None

    def printed(self, text, seconds):
        """The message that printed a text, heard already or within the time; None where there is none."""

        def wanted(message):
            return message["msg_type"] == "stream" and text in message["content"]["text"]

        return next(filter(wanted, self.heard), None) or self.listen(seconds, wanted)

    def run(self, code, timeout=30, late=0.3, **options):
        # Cells that come soon after a failed one may be taken for queued ones, and aborted.
        time.sleep(max(0.0, self.failed_at + 0.5 - time.monotonic()))
        begun = time.monotonic()
        return self.outcome(self.send_cell(code, **options), timeout, begun, late)

    def prepare(self, code):
        """Runs what a probe builds on, and fails where that fails."""
        cell = self.run(code, 60)
        if not cell.ok:
            raise RuntimeError(f"to prepare, {code!r} was run: {cell.summary()}")

    def outcome(self, msg_id, timeout=30, begun=None, late=0.3):
        """Waits for a cell's reply, for the kernel to be idle, and `late` seconds for what comes even later."""
        begun = begun or time.monotonic()

        def mine(message):
            return parent_of(message) == msg_id

        def idle(message):
            return mine(message) and message["content"].get("execution_state") == "idle"

        reply = None
        while reply is None and time.monotonic() - begun < timeout:
            # Both sockets by turns: a queue that nobody empties loses messages.
            try:
                message = self.client.get_shell_msg(timeout=0.02)
                reply = message if mine(message) else None
            except queue.Empty:
                pass
            self.listen(0)
            if not self.alive:
                reply = reply or self.reply_to(msg_id, 0.5)
                break
        seconds = time.monotonic() - begun
        if not any(map(idle, self.heard)):
            self.listen(3, idle)
        self.listen(late)
        trouble = None
        if reply is None:
            trouble = f"no reply in {timeout} s" if self.alive else "kernel died"
            self.trusted = False
        elif reply["content"].get("status") != "ok":
            self.failed_at = time.monotonic()
        return Cell(reply, [m for m in self.heard if mine(m)], seconds, trouble)

    def beats(self, timeout):
        """Whether the heartbeat echoes within the time."""
        socket = zmq.Context.instance().socket(zmq.REQ)
        socket.linger = 0
        try:
            socket.connect(f"tcp://{self.manager.ip}:{self.manager.hb_port}")
            socket.send(b"ping")
            return bool(socket.poll(timeout * 1000)) and socket.recv() == b"ping"
        finally:
            socket.close()

    def send_raw(self, frames):
        """Sends frames to the shell socket as they are, from a connection of their own. Returns that socket."""
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 1000
        socket.connect(f"tcp://{self.manager.ip}:{self.manager.shell_port}")
        socket.send_multipart(frames)
        return socket


def parent_of(message):
    """The id of the request that a message belongs to; a kernel may send nonsense for a header."""
    return (message["parent_header"] or {}).get("msg_id")


def plain(text):
    """Text without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def dead(pid):
    """Whether a process is gone; a zombie that waits for its parent counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def forget_inherited_settings(folder):
    """Keeps what the person has set up for Jupyter out of the comparison, and its files out of theirs."""
    os.environ.update(
        TMPDIR=str(folder),
        JUPYTER_RUNTIME_DIR=str(folder / "runtime"),
        JUPYTER_CONFIG_DIR=str(folder / "config"),
        JUPYTER_PLATFORM_DIRS="1",
        IPYTHONDIR=str(folder / "ipython"),
    )
    tempfile.tempdir = str(folder)
