"""d. Reading a large body: the first time through a line of 20 ms, then from the cache."""
import os
import shutil
import subprocess

import buckets
from laboratory import Failed, clock, median, run, wait_until
from mounts import Rclone, S3fs, SessionFS
from starting import once

SIZE = 64 << 20
PIECE = 1 << 20


def read_file(path):
    """(seconds to the first byte, seconds to the last, length)"""
    buffer = bytearray(PIECE)
    begin = clock()
    handle = os.open(path, os.O_RDONLY)
    try:
        length = os.readv(handle, [memoryview(buffer)[:4096]])
        first = clock() - begin
        while count := os.readv(handle, [buffer]):
            length += count
        return first, clock() - begin, length
    finally:
        os.close(handle)


def curl_first(url):
    """Seconds to the first byte of a whole GET, curl's start not counted."""
    return float(run(["curl", "-sS", "-o", "/dev/null", "-w", "%{time_starttransfer}", url]))


def curl_whole(url, ranges, target):
    """Seconds of a curl process that fetches an object in parallel ranges."""
    arguments = ["curl", "-sS", "--fail"]
    if ranges > 1:
        arguments += ["--parallel", "--parallel-immediate", "--parallel-max", str(ranges)]
    share = SIZE // ranges
    for number in range(ranges):
        if number:
            arguments += ["--next", "-sS", "--fail"]
        output = "/dev/null" if target is None else f"{target}.{number}"
        arguments += ["-o", output, "-r", f"{number * share}-{(number + 1) * share - 1}", url]
    begin = clock()
    run(arguments)
    return clock() - begin


def measure_first(laboratory, bucket, names):
    proxy = laboratory.proxy(20)
    gateway = laboratory.gateway
    s3 = buckets.S3(gateway["port"], gateway["accessKey"], gateway["secretKey"])
    urls = {name: s3.presigned(proxy.endpoint, f"/{bucket}/sessions/{name}") for name in names}
    pieces = laboratory.fresh("curl") / "piece"
    results = {}

    def note(what, seconds):
        results.setdefault(what, []).append(seconds)

    mounts = {
        "sessionfs": SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint),
        "rclone": Rclone(laboratory, bucket, proxy.endpoint), "s3fs": S3fs(laboratory, bucket, proxy.endpoint),
    }
    for mount in mounts.values():
        mount.start()
    mounts["sessionfs"].await_sessions(len(names))
    mounts["sessionfs"].await_rest()
    for mount in mounts.values():
        os.listdir(mount.sessions)
    for name in names:
        note("curl first", curl_first(urls[name]))
        note("curl 1", curl_whole(urls[name], 1, None))
        for what, mount in mounts.items():
            first, whole, length = read_file(mount.sessions / name)
            if length != SIZE:
                raise Failed(f"{what} read {length} bytes")
            note(f"{what} first", first)
            note(f"{what} whole", whole)
        note("curl 8", curl_whole(urls[name], 8, None))
        note("curl 8 to files", curl_whole(urls[name], 8, pieces))
    for mount in mounts.values():
        mount.stop()

    def middle(what):
        return median(results[what]) * 1000

    def ratio(ours, theirs):
        return median([a / b for a, b in zip(results[ours], results[theirs])])

    for what in ("rclone", "s3fs"):
        laboratory.report(
            "d", f"{what}: 64 MiB at 20 ms, whole", middle(f"{what} whole"), "ms",
            note=f"first byte {middle(f'{what} first'):.0f} ms")
    for what in ("curl 1", "curl 8", "curl 8 to files"):
        laboratory.report("d", f"{what}: 64 MiB at 20 ms", middle(what), "ms")
    laboratory.report(
        "d", "first byte ÷ curl's", ratio("sessionfs first", "curl first"), "×", 1.3,
        note=f"{middle('sessionfs first'):.0f} ÷ {middle('curl first'):.0f} ms")
    laboratory.report(
        "d", "whole ÷ curl with 8 parallel ranges into nothing", ratio("sessionfs whole", "curl 8"), "×", 1.2,
        note=f"{middle('sessionfs whole'):.0f} ÷ {middle('curl 8'):.0f} ms")
    laboratory.report(
        "d", "whole ÷ curl with 8 parallel ranges into files", ratio("sessionfs whole", "curl 8 to files"), "×",
        note=f"{middle('sessionfs whole'):.0f} ÷ {middle('curl 8 to files'):.0f} ms")


def measure_second(laboratory, bucket, names, options, what, target):
    """From the cache, beside the same bytes in a native file."""
    proxy = laboratory.proxy(0)
    native = laboratory.fresh("native") / names[0]
    rates = []
    with SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint, options=options) as mount:
        mount.await_sessions(len(names))
        for name in names:
            path = mount.sessions / name
            read_file(path)
            wait_until(
                lambda: os.getxattr(path, "user.sessionfs.state") == b"cached", 30, "the body to be cached")
            shutil.copyfile(path, native)
            read_file(native)
            for _ in range(3):
                rates.append((SIZE / read_file(path)[1], SIZE / read_file(native)[1]))
    ratio = median([ours / theirs for ours, theirs in rates])
    laboratory.report(
        "d", f"second read, {what} ÷ native (throughput)", ratio, "×", target, at_least=True,
        note=f"{median([r[0] for r in rates]) / 1e9:.1f} ÷ {median([r[1] for r in rates]) / 1e9:.1f} GB/s")


def measure(laboratory):
    count = 3 if laboratory.options.quick else 7
    names = []
    bucket = once(
        laboratory, "large", lambda s3, name: names.extend(buckets.fill_large(s3, name, count, SIZE)))
    measure_first(laboratory, bucket, names)
    measure_second(laboratory, bucket, names[:3], [], "passthrough", 0.95)
    measure_second(laboratory, bucket, names[:3], ["--no-passthrough"], "no passthrough", 0.4)
