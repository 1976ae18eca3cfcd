#!/usr/bin/env python3
"""mc_driver.py LEFT RIGHT ACTION…   Midnight Commander in a terminal of its own, with two directories beside each other.

Presses the keys that a user would, and waits for what the screen says. The left directory has the cursor. Actions:
  copy-all           marks every file and copies them to the right (F5)
  move-all           marks every file and moves them to the right (F6)
  rename NAME NEW    puts the cursor on a file and renames it where it is (Shift-F6)
  delete NAME        puts the cursor on a file and deletes it (F8)
  overwrite NAME     copies a file over the one of its name on the right (F5)
The screen's text is printed when something does not come as expected; the exit status is 1 then.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ENTER, ESCAPE, SEARCH = b"\r", b"\x1b", b"\x13"
# Escape and a digit is a function key in every terminal.
COPY, MOVE, DELETE, QUIT = b"\x1b5", b"\x1b6", b"\x1b8", b"\x1b0"
RENAME_HERE = b"\x1b[17;2~"
INVERT_MARKS = b"\x1b*"
# What ends a wait that will not come to its end.
LONGEST = 100


class Commander:
    def __init__(self, left, right):
        self.screen = b""
        environment = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            os.execvpe("mc", ["mc", "--nosubshell", "--nomouse", "--nocolor", left, right], environment)

    def read(self, seconds):
        """What is drawn within some time, until nothing more comes."""
        ready, _, _ = select.select([self.terminal], [], [], seconds)
        if not ready:
            return False
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.screen += piece
        return bool(piece)

    def text(self):
        """The screen's words, without the codes that place them."""
        plain = re.sub(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])", b" ", self.screen)
        return plain.decode("utf-8", "replace")

    def wait_for(self, word):
        """Waits until a word has been drawn since the last key."""
        end = time.monotonic() + LONGEST
        while word not in self.text():
            if time.monotonic() > end:
                raise RuntimeError(f"no {word!r} on the screen")
            self.read(0.2)
        self.settle()

    def settle(self):
        while self.read(0.15):
            pass

    def press(self, keys, awaited=None):
        self.settle()
        self.screen = b""
        os.write(self.terminal, keys)
        if awaited:
            self.wait_for(awaited)
        else:
            self.settle()

    def find(self, name):
        self.press(SEARCH)
        self.press(name.encode())

    def end(self):
        self.press(QUIT)
        end = time.monotonic() + LONGEST
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                raise RuntimeError("mc does not end")
            self.read(0.1)

    # Actions.

    def copy_all(self):
        self.press(INVERT_MARKS)
        self.press(COPY, "Copy")
        self.press(ENTER)

    def move_all(self):
        self.press(INVERT_MARKS)
        self.press(MOVE, "Move")
        self.press(ENTER)

    def rename(self, name, new):
        self.find(name)
        self.press(RENAME_HERE, "Move")
        # The first letter takes the place of the suggestion.
        self.press(new.encode())
        self.press(ENTER)

    def delete(self, name):
        self.find(name)
        self.press(DELETE, "Delete")
        self.press(ENTER)

    def overwrite(self, name):
        self.find(name)
        self.press(COPY, "Copy")
        self.press(ENTER, "exists")
        self.press(b"y")


def main():
    left, right, *words = sys.argv[1:]
    commander = Commander(left, right)
    try:
        commander.wait_for("Quit")
        while words:
            action = getattr(commander, words.pop(0).replace("-", "_"))
            count = action.__code__.co_argcount - 1
            action(*words[:count])
            words = words[count:]
        status = commander.end()
    except RuntimeError as error:
        print(f"{error}\n{commander.text()}")
        os.kill(commander.pid, signal.SIGKILL)
        os.waitpid(commander.pid, 0)
        sys.exit(1)
    sys.exit(status)


main()
