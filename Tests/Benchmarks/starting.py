"""b. Warm start. c. Cold start."""
import os
import subprocess
import time

import buckets
from laboratory import FIXTURE, Failed, clock, median, silently, timed, wait_until
from mounts import Rclone, S3fs, SessionFS


def s3(laboratory):
    gateway = laboratory.gateway
    return buckets.S3(gateway["port"], gateway["accessKey"], gateway["secretKey"])


def once(laboratory, bucket, make):
    """Fills a bucket unless another part has done so."""
    filled = laboratory.__dict__.setdefault("filled", set())
    if bucket not in filled:
        laboratory.say(f"filling bucket {bucket}")
        make(s3(laboratory), bucket)
        filled.add(bucket)
    return bucket


def small(laboratory, count):
    return once(laboratory, f"small-{count}", lambda s3, name: buckets.fill(s3, name, count, True))


def fixture(laboratory):
    return once(laboratory, "fixture", lambda s3, name: buckets.fill_fixture(s3, name, FIXTURE))


def measure_warm(laboratory):
    count = 10_000 if laboratory.options.quick else 100_000
    # Only the overall file: a start does not look at bodies, and each mount here ends before the first listing.
    bucket = once(
        laboratory, f"rows-{count}",
        lambda s3, name: buckets.fill(s3, name, count, True, with_bodies=False))
    native = laboratory.fresh("native")
    for number in range(count):
        (native / buckets.file_name(number)).touch()
    alone = median([timed(silently, ["ls", native]) for _ in range(5)])
    laboratory.report("b", f"ls of {count:,} native files, warm, for comparison", alone * 1000, "ms")
    for rtt in (0, 20):
        proxy = laboratory.proxy(rtt)
        home = laboratory.fresh("home")

        def mounted():
            return SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint, home)

        with mounted() as mount:
            mount.await_sessions(count)
        times, commands, requests = [], [], []
        for _ in range(5 if laboratory.options.quick else 11):
            proxy.reset()
            mount = mounted()
            mount.start()
            commands.append(clock() - mount.began)
            silently(["ls", mount.sessions])
            times.append(clock() - mount.began)
            requests.append(proxy.statistics()["requests"])
            if os.statvfs(mount.directory).f_files < 2 * count:
                raise Failed("the catalog has lost sessions")
            mount.stop()
        laboratory.report(
            "b", f"warm start to the end of ls, {count:,} sessions, {rtt} ms", median(times) * 1000, "ms", 150,
            note=f"the command alone {median(commands) * 1000:.0f} ms")
        laboratory.report(
            "b", f"requests until then, {rtt} ms", max(requests), "", 0)


def lines_of(directory):
    output = subprocess.run(
        ["ls", "-l", directory], env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=False).stdout
    return max(0, output.count(b"\n") - 1)


def time_to_complete_listing(mount, count):
    """Seconds from the command to the end of an `ls -l` that shows everything."""
    mount.start()
    if isinstance(mount, SessionFS):
        mount.await_sessions(count)
    end = clock() + 120
    while lines_of(mount.sessions) < count:
        if clock() > end:
            raise Failed(f"{type(mount).__name__} does not list {count} sessions")
        time.sleep(0.01)
    return clock() - mount.began


def measure_requests(laboratory):
    """Requests and bytes of a first start."""
    proxy = laboratory.proxy(20)
    found = {}
    for count in (37, 1_000, 10_000):
        bucket = small(laboratory, count)
        proxy.reset()
        with SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint) as mount:
            mount.await_sessions(count)
            mount.await_rest()
            statistics = proxy.statistics()
            if mount.status()["sessions"]["indexed"] != count:
                raise Failed("the rows did not teach the metadata")
        found[count] = statistics["requests"]
        laboratory.report(
            "c", f"requests of a first start, rows with metadata, N = {count:,}", statistics["requests"], "",
            note=f"{statistics['bytes_down'] / 1000:,.0f} kB received")
    laboratory.report(
        "c", "requests for N = 10,000 more than for N = 37", found[10_000] - found[37], "", 0)

    count = 1_000
    bucket = once(
        laboratory, f"plain-{count}", lambda s3, name: buckets.fill(s3, name, count, False, with_indexes=True))
    proxy.reset()
    with SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint) as mount:
        wait_until(lambda: mount.status()["sessions"]["count"] == count, 60, "all sessions", pause=0.01)
        listed = clock() - mount.began
        wait_until(lambda: mount.status()["sessions"]["indexed"] == count, 60, "all indexes", pause=0.05)
        statistics = proxy.statistics()
    laboratory.report(
        "c", f"requests, rows without metadata, N = {count:,}, beyond one per index", statistics["requests"] - count,
        "", 4)
    laboratory.report(
        "c", "requests in flight at most", statistics["most_waiting"], "", 32, at_least=True,
        note=f"{statistics['most_connections']} connections")
    laboratory.report("c", "all sessions shown, indexes still unknown", listed, "s")


def measure_complete_listing(laboratory):
    proxy = laboratory.proxy(20)
    count = 10_000
    bucket = small(laboratory, count)
    repetitions = 3
    contestants = {
        "sessionfs": lambda: SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint),
        "rclone": lambda: Rclone(laboratory, bucket, proxy.endpoint),
        "s3fs": lambda: S3fs(laboratory, bucket, proxy.endpoint),
    }
    times = {name: [] for name in contestants}
    for _ in range(repetitions):
        for name, make in contestants.items():
            mount = make()
            times[name].append(time_to_complete_listing(mount, count))
            mount.stop()
    for name, values in times.items():
        laboratory.report("c", f"{name}: mount to complete ls -l of {count:,}, 20 ms", median(values), "s")
    faster = min(median(times["rclone"]), median(times["s3fs"]))
    laboratory.report(
        "c", "how many times faster than the faster of the two", faster / median(times["sessionfs"]), "×", 5,
        at_least=True)


def measure_fixture(laboratory):
    """37 sessions whose metadata stands in their indexes only."""
    bucket = fixture(laboratory)
    names = sorted(file.name for file in (FIXTURE / "sessions").iterdir())
    proxy = laboratory.proxy(20)
    times, requests = [], []
    for _ in range(5 if laboratory.options.quick else 9):
        proxy.reset()
        mount = SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint)
        mount.start()
        missing = list(names)

        def all_known():
            while missing:
                try:
                    os.getxattr(mount.sessions / missing[-1], "user.fastshot.name")
                except OSError:
                    return False
                missing.pop()
            return True

        wait_until(all_known, 30, "the metadata of 37 sessions", pause=0.001)
        times.append(clock() - mount.began)
        requests.append(proxy.statistics()["requests"])
        mount.stop()
    laboratory.report(
        "c", f"{len(names)} sessions, all metadata known, 20 ms", median(times), "s", 0.12,
        note=f"{median(requests):.0f} requests, fastest {min(times):.3f} s")


def measure_cold(laboratory):
    measure_fixture(laboratory)
    measure_requests(laboratory)
    measure_complete_listing(laboratory)
