"""What every measurement needs: a directory of its own, the servers, commands, and an end that leaves nothing."""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = ROOT / "Tests" / "Servers"
FIXTURE = ROOT / "Tests" / "Fixtures" / "fastshot-37" / "bucket"


class Failed(Exception):
    """A measurement cannot be made."""


def clock():
    return time.perf_counter()


def timed(action, *arguments):
    """The seconds that something takes."""
    begin = clock()
    action(*arguments)
    return clock() - begin


def median(values):
    return statistics.median(values)


def run(arguments, environment=None, timeout=120):
    """Runs a command to its end and gives what it printed."""
    result = subprocess.run(
        [str(a) for a in arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=timeout)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, arguments))}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


def silently(arguments):
    """Runs a command whose output nobody needs, in a plain locale."""
    subprocess.run(
        [str(a) for a in arguments], env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, check=True, timeout=300)


def wait_until(condition, seconds, what, pause=0.002):
    """Waits for something, and says what it was when it does not come."""
    end = clock() + seconds
    while not condition():
        if clock() > end:
            raise Failed(f"gave up after {seconds} s: {what}")
        time.sleep(pause)


def drop_caches():
    """Empties the kernel's caches of pages, names and inodes."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3\n")


class Proxy:
    """The latency proxy, which also counts."""

    def __init__(self, target, rtt_ms):
        self.rtt_ms = rtt_ms
        self.process = subprocess.Popen(
            [sys.executable, SERVERS / "latency_proxy.py", str(target), str(rtt_ms)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def ask(self, command):
        self.process.stdin.write(json.dumps({command: True}).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def reset(self):
        self.ask("reset")

    def statistics(self):
        return self.ask("statistics")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


class Laboratory:
    """One run: directories, servers, and what has to be undone."""

    def __init__(self, options):
        self.options = options
        self.binary = pathlib.Path(options.binary).resolve()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sessionfs-bench-", dir=options.directory))
        self.undo = []
        self.lines = []
        self.counter = 0
        self._gateway = None
        self._proxies = {}

    # Servers, started when the first measurement needs them.

    @property
    def gateway(self):
        if self._gateway is None:
            self.say("starting Ceph RGW")
            directory = self.directory / "ceph"
            answer = run([SERVERS / "ceph-rgw", "start", directory], timeout=180)
            self.undo.append(lambda: run([SERVERS / "ceph-rgw", "stop", directory]))
            self._gateway = json.loads(answer)
            self._gateway["port"] = int(self._gateway["endpoint"].rsplit(":", 1)[1])
        return self._gateway

    def proxy(self, rtt_ms):
        if rtt_ms not in self._proxies:
            proxy = Proxy(self.gateway["port"], rtt_ms)
            self.undo.append(proxy.stop)
            self._proxies[rtt_ms] = proxy
        return self._proxies[rtt_ms]

    # Directories and results.

    def fresh(self, name):
        self.counter += 1
        directory = self.directory / f"{name}-{self.counter}"
        directory.mkdir()
        return directory

    def say(self, text):
        print(f"… {text}", file=sys.stderr, flush=True)

    def report(self, part, what, value, unit, target=None, at_least=False, note=""):
        """Adds a line of the table. Without a target it is there for comparison."""
        reached = None
        if target is not None:
            reached = value >= target if at_least else value <= target
        line = {
            "part": part, "what": what, "value": value, "unit": unit, "target": target,
            "comparison": None if target is None else (">=" if at_least else "<="), "reached": reached, "note": note,
        }
        self.lines.append(line)
        print(format_line(line), flush=True)

    def end(self):
        for action in reversed(self.undo):
            try:
                action()
            except (Failed, OSError, subprocess.SubprocessError) as error:
                print(f"cleaning up: {error}", file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)


def format_number(value):
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.1 else f"{value:.2g}"


def format_line(line):
    target = ""
    if line["target"] is not None:
        target = f"{line['comparison']} {format_number(line['target'])}"
    reached = {True: "yes", False: "NO", None: ""}[line["reached"]]
    return (f"{line['part']}  {line['what']:<58} {format_number(line['value']):>9} {line['unit']:<5} "
            f"{target:>10} {reached:>4}  {line['note']}").rstrip()


def terminate(process, seconds=10):
    """Ends a process that was started here."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
