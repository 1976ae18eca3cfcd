#!/usr/bin/env python3
"""supervise.py COMMAND…   Runs a test server for as long as this program's standard input is open.

Whoever starts it keeps the other end of the pipe; when that process ends, however it ends, the server and all of its
children are stopped. The server prints one line of JSON on standard output when it is ready.
"""
import ctypes
import os
import selectors
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 10


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(child):
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
        except ProcessLookupError:
            return
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main():
    child = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(sign, lambda *_: None)
    with selectors.DefaultSelector() as events:
        events.register(0, selectors.EVENT_READ)
        events.register(wake, selectors.EVENT_READ)
        while child.poll() is None:
            ready = [key.fd for key, _ in events.select()]
            if wake in ready and any(sign != signal.SIGCHLD for sign in os.read(wake, 64)):
                break
            if 0 in ready and not os.read(0, 4096):
                break
    code = child.poll()
    stop(child)
    sys.exit(code if code is not None and code >= 0 else 0 if code is None else 1)


main()
