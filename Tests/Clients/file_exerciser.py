#!/usr/bin/env python3
"""file_exerciser.py SEED STEPS DIRECTORY... [-- COMMAND...]   Random work on a few files, held to a copy in memory.

After the idea of fsx: reads, writes, cuts, mappings, reservations and renames through many descriptors at once, in one
directory; with several, in each in turn. Every byte, size and name that comes back is compared. The COMMANDs are run
now and then between the calls: they must not change what is seen. Exits with 1 and tells the last steps when something
differs. SEED repeats a run.
"""
import errno
import mmap
import os
import random
import shlex
import subprocess
import sys
import time

NAMES = ["20260101000000_x.fastshot", "20260101000001_y.fastshot", "z.part"]
LARGEST = 300_000


class Mismatch(Exception):
    pass


class File:
    def __init__(self, content=b""):
        self.content = bytearray(content)

    def cut(self, size):
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))

    def put(self, start, data):
        if len(self.content) < start:
            self.cut(start)
        self.content[start : start + len(data)] = data


class Handle:
    def __init__(self, descriptor, file, mode):
        self.descriptor, self.file, self.mode, self.map = descriptor, file, mode, None

    @property
    def writes(self):
        return self.mode != "r"


class Exerciser:
    def __init__(self, seed, directory, commands):
        self.random = random.Random(seed)
        self.directory, self.commands = directory, commands
        self.files, self.handles, self.steps = {}, [], []
        self.weights = {
            self.open: 6, self.close: 5, self.read: 8, self.write: 8, self.cut: 3, self.cut_by_name: 1,
            self.reserve: 1, self.read_mapped: 3, self.write_mapped: 4, self.synchronize: 2, self.stat: 4,
            self.rename: 1, self.remove: 1, self.read_whole: 4, self.save: 2, self.replace: 1, self.list: 1,
            self.command: 2, self.pause: 1,
        }  # fmt: skip

    def path(self, name):
        return os.path.join(self.directory, name)

    def told(self, *words):
        self.steps.append(" ".join(str(word) for word in words))

    def same(self, found, expected, what):
        if bytes(found) == bytes(expected):
            return
        if len(found) != len(expected):
            raise Mismatch(f"{what}: {len(found)} bytes, not {len(expected)}")
        wrong = [place for place in range(len(found)) if found[place] != expected[place]]
        raise Mismatch(f"{what}: wrong from {wrong[0]} to {wrong[-1]}")

    def run(self, steps):
        calls, weights = list(self.weights), list(self.weights.values())
        for _ in range(steps):
            self.random.choices(calls, weights)[0]()
        while self.handles:
            self.close()
        for name, file in self.files.items():
            with open(self.path(name), "rb") as opened:
                self.same(opened.read(), file.content, "in the end " + name)
        for name in self.files:
            os.unlink(self.path(name))

    # Descriptors

    def open(self):
        if len(self.handles) > 8:
            return
        name, mode = self.random.choice(NAMES), self.random.choice(["r", "rw", "rw", "append", "cut", "create"])
        self.told("open", name, mode)
        flags = {
            "r": os.O_RDONLY, "rw": os.O_RDWR, "append": os.O_RDWR | os.O_APPEND, "cut": os.O_RDWR | os.O_TRUNC,
            "create": os.O_RDWR | os.O_CREAT,
        }[mode]  # fmt: skip
        try:
            descriptor = os.open(self.path(name), flags, 0o644)
        except FileNotFoundError:
            if name in self.files or mode == "create":
                raise
            return
        if name not in self.files:
            if mode != "create":
                raise Mismatch(name + " is there")
            self.files[name] = File()
        if mode == "cut":
            self.files[name].cut(0)
        self.handles.append(Handle(descriptor, self.files[name], mode))

    def any(self, writing=False):
        fitting = [handle for handle in self.handles if handle.writes or not writing]
        return self.random.choice(fitting) if fitting else None

    def close(self):
        if not (handle := self.any()):
            return
        self.handles.remove(handle)
        self.told("close", handle.descriptor)
        os.close(handle.descriptor)
        if handle.map:
            # A mapping outlives its descriptor.
            if self.random.random() < 0.5:
                self.change_mapped(handle)
            handle.map.close()

    def read(self):
        if not (handle := self.any()):
            return
        start, count = self.random.randrange(LARGEST), self.random.randrange(80_000)
        self.told("read", handle.descriptor, start, count)
        found = os.pread(handle.descriptor, count, start)
        self.same(found, handle.file.content[start : start + count], f"read of {count} at {start}")

    def write(self):
        if not (handle := self.any(writing=True)):
            return
        data = self.random.randbytes(self.random.randrange(1, 60_000))
        if handle.mode == "append":
            start = len(handle.file.content)
            self.told("append", handle.descriptor, len(data))
            written = os.write(handle.descriptor, data)
        else:
            start = self.random.randrange(LARGEST) & ~self.random.choice([0, 4095])
            self.told("write", handle.descriptor, start, len(data))
            written = os.pwrite(handle.descriptor, data, start)
        handle.file.put(start, data[:written])

    def cut(self):
        if not (handle := self.any(writing=True)):
            return
        size = self.random.randrange(LARGEST)
        self.told("cut", handle.descriptor, size)
        os.ftruncate(handle.descriptor, size)
        handle.file.cut(size)

    def reserve(self):
        if not (handle := self.any(writing=True)):
            return
        start, count = self.random.randrange(LARGEST), self.random.randrange(1, 30_000)
        self.told("reserve", handle.descriptor, start, count)
        os.posix_fallocate(handle.descriptor, start, count)
        handle.file.cut(max(len(handle.file.content), start + count))

    def synchronize(self):
        if handle := self.any():
            self.told("fsync", handle.descriptor)
            os.fsync(handle.descriptor)

    # Mappings

    def read_mapped(self):
        if not (handle := self.any()) or not handle.file.content:
            return
        self.told("read mapped", handle.descriptor)
        with mmap.mmap(handle.descriptor, len(handle.file.content), prot=mmap.PROT_READ) as mapped:
            self.same(mapped[:], handle.file.content, "mapping")

    def write_mapped(self):
        if not (handle := self.any(writing=True)) or not handle.file.content:
            return
        if not handle.map or len(handle.map) != len(handle.file.content):
            if handle.map:
                handle.map.close()
            handle.map = mmap.mmap(handle.descriptor, len(handle.file.content))
        self.change_mapped(handle)
        if self.random.random() < 0.3:
            handle.map.flush()

    def change_mapped(self, handle):
        # What lies behind the end of a file that was cut cannot be touched.
        size = min(len(handle.map), len(handle.file.content))
        if size == 0:
            return
        start = self.random.randrange(size)
        data = self.random.randbytes(min(self.random.randrange(1, 20_000), size - start))
        self.told("write mapped", handle.descriptor, start, len(data))
        handle.map[start : start + len(data)] = data
        handle.file.put(start, data)

    # Names

    def known(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def stat(self):
        if name := self.known():
            self.told("stat", name)
            if os.stat(self.path(name)).st_size != len(self.files[name].content):
                raise Mismatch(f"{name} has {os.stat(self.path(name)).st_size}, not {len(self.files[name].content)}")

    def read_whole(self):
        if name := self.known():
            self.told("read whole", name)
            with open(self.path(name), "rb") as opened:
                self.same(opened.read(), self.files[name].content, "whole " + name)

    def cut_by_name(self):
        if name := self.known():
            size = self.random.randrange(LARGEST)
            self.told("cut", name, size)
            os.truncate(self.path(name), size)
            self.files[name].cut(size)

    def remove(self):
        if name := self.known():
            self.told("remove", name)
            os.unlink(self.path(name))
            del self.files[name]

    def rename(self):
        if name := self.known():
            other = self.random.choice(NAMES)
            self.told("rename", name, other)
            self.move(name, other, self.files.get(name))

    def move(self, name, other, file):
        try:
            os.rename(self.path(name), self.path(other))
        except OSError as error:
            # An exchange of names that is not sent yet, and a session that is not here: see docs/semantics.md.
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            self.told(errno.errorcode[error.errno])
            return False
        self.files.pop(name, None)
        self.files[other] = file
        return True

    def save(self):
        name, data = self.random.choice(NAMES), self.random.randbytes(self.random.randrange(LARGEST))
        self.told("save", name, len(data))
        with open(self.path(name), "wb") as opened:
            opened.write(data)
        self.files.setdefault(name, File()).content[:] = data

    def replace(self):
        name, data = self.random.choice(NAMES), self.random.randbytes(self.random.randrange(LARGEST))
        self.told("replace", name, len(data))
        with open(self.path(".new"), "wb") as opened:
            opened.write(data)
        if not self.move(".new", name, File(data)):
            os.unlink(self.path(".new"))

    def list(self):
        self.told("list")
        found = {entry.name: entry.stat().st_size for entry in os.scandir(self.directory)}
        expected = {name: len(file.content) for name, file in self.files.items()}
        if found != expected:
            raise Mismatch(f"listed is {found}, not {expected}")

    # Meanwhile

    def command(self):
        if self.commands:
            command = self.random.choice(self.commands)
            self.told(command)
            subprocess.run(shlex.split(command), capture_output=True)

    def pause(self):
        self.told("pause")
        time.sleep(self.random.random() * 0.3)


def main():
    words = sys.argv[1:]
    commands = words[words.index("--") + 1 :] if "--" in words else []
    seed, steps, *directories = words[: words.index("--")] if "--" in words else words
    for directory in directories:
        exerciser = Exerciser(int(seed), directory, commands)
        try:
            exerciser.run(int(steps))
        except (Mismatch, OSError, ValueError) as problem:
            told = exerciser.steps[-60:]
            sys.exit(f"seed {seed}, step {len(exerciser.steps)}: {problem!r}\n  " + "\n  ".join(told))


main()
