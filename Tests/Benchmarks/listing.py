"""a. Listing a large directory, beside ext4. e (second half). Memory after it."""
import os
import random

import buckets
from laboratory import clock, drop_caches, median, silently, timed
from mounts import SessionFS, resident

COMMANDS = {
    "ls -l": lambda directory: silently(["ls", "-l", directory]),
    "find -printf %s": lambda directory: silently(["find", directory, "-printf", "%s\n"]),
    "ls -f": lambda directory: silently(["ls", "-f", directory]),
}
TARGETS = {
    ("ls -l", "cold"): 0.6, ("ls -l", "warm"): 0.8, ("find -printf %s", "cold"): 0.7,
    ("find -printf %s", "warm"): 0.9, ("ls -f", "warm"): 0.7, ("stat", "warm"): 1.2,
}


def stat_all(directory, names):
    """Seconds for a stat of each name. The loop's own time is taken off."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        begin = clock()
        for name in names:
            os.stat(name, dir_fd=handle)
        end = clock()
        for name in names:
            len(name)
        return (end - begin) - (clock() - end)
    finally:
        os.close(handle)


def measure(laboratory):
    count = 10_000 if laboratory.options.quick else 100_000
    repetitions = 3 if laboratory.options.quick else 5
    laboratory.say(f"a: writing a directory store of {count} sessions; its own files are the native ones")
    store = laboratory.fresh("store")
    buckets.write_directory(store, count)
    native = store / "sessions"
    home = laboratory.fresh("home")

    def mounted():
        # The store does not change and is looked at once per start, so the daemon rests while it is measured.
        return SessionFS(laboratory, f"file://{store}", home=home, options=["--poll-interval", "1h"])

    with mounted() as mount:
        mount.await_sessions(count)
        mount.command("refresh", mount.directory)
        mount.await_rest()

    times = {}

    def pair(name, state, ours, theirs):
        times.setdefault((name, state), []).append((ours, theirs))

    for name, command in COMMANDS.items():
        for _ in range(repetitions):
            with mounted() as mount:
                mount.await_rest()
                ours = timed(command, mount.sessions)
                warm = [timed(command, mount.sessions) for _ in range(3)]
            drop_caches()
            pair(name, "cold", ours, timed(command, native))
            theirs = [timed(command, native) for _ in range(3)]
            pair(name, "warm", median(warm), median(theirs))
    names = os.listdir(native)
    random.Random(1).shuffle(names)
    with mounted() as mount:
        mount.await_rest()
        pair("stat", "cold", stat_all(mount.sessions, names), None)
        for _ in range(repetitions):
            pair("stat", "warm", stat_all(mount.sessions, names), stat_all(native, names))
        silently(["ls", "-l", mount.sessions])
        memory = resident(mount.pid())
    drop_caches()
    times[("stat", "cold")] = [(times[("stat", "cold")][0][0], stat_all(native, names))]

    for (name, state), pairs in sorted(times.items(), key=lambda item: (item[0][1], item[0][0])):
        ours, theirs = median([p[0] for p in pairs]), median([p[1] for p in pairs])
        ratio = median([p[0] / p[1] for p in pairs])
        laboratory.report(
            "a", f"{name}, {state}, {count:,} sessions ÷ ext4", ratio, "×", TARGETS.get((name, state)),
            note=f"{ours * 1000:.0f} ÷ {theirs * 1000:.0f} ms")
    laboratory.report("e", f"memory after listing {count:,} (directory store)", memory, "MB", 40)
