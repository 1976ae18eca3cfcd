"""f. Writing: cp of many files through a line of 20 ms beside rclone and s3fs, and one large file beside boto3."""
import base64
import json
import os
import subprocess
import sys

import buckets
from laboratory import FIXTURE, ROOT, Failed, clock, drop_caches, median, run, wait_until
from mounts import SessionFS, WritingRclone, WritingS3fs

RTT_MS = 20
SMALL = 300_000
LARGE = 200_000_000
# Without looking at the files; what they are for is in boto3's documentation of TransferConfig.
BOTO3 = """
import sys, time
import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
endpoint, access, secret, bucket, key, path = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
                      region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16,
                      request_checksum_calculation="when_required"))
client.head_bucket(Bucket=bucket)
begin = time.perf_counter()
client.upload_file(path, bucket, key, Config=TransferConfig(max_concurrency=8, use_threads=True))
print(time.perf_counter() - begin)
"""


def write_session(path, name, size):
    """A FastShot session of about so many bytes without a key: a cover, and one window with a picture of noise."""
    head = json.dumps({
        "metadata": {
            "name": name, "desc": "zum Messen", "tags": ["bench"], "color": "blue", "class": "", "image_count": 1,
            "created_at": "2026-01-02T03:04:05.000006", "filename": path.name, "thumbnail_collage": None,
        }}, ensure_ascii=False).encode()
    # The picture is written in pieces whose base64 can be strung together.
    with open(path, "wb") as file:
        file.write(buckets.COVER + b"FHDR" + head[:-1] + b', "session": {"version": "1.0", '
                   b'"timestamp": "2026-01-02T03:04:05.000006", "windows": [{"index": 0, "image_data": "')
        rest = max(0, size - file.tell() - 100) // 4 * 3
        while rest > 0:
            piece = min(rest, 3 << 20)
            file.write(base64.b64encode(os.urandom(piece)))
            rest -= piece
        file.write(b'", "draw_history": [], "is_hidden": false}]}}')


def write_sessions(directory, count, size):
    names = []
    for number in range(count):
        name = f"{buckets.moment(100_000 + number):%Y%m%d%H%M%S}_Datei {number:04d}.fastshot"
        write_session(directory / name, f"Datei {number:04d}", size)
        names.append(name)
    return names


def client(laboratory):
    gateway = laboratory.gateway
    return buckets.S3(gateway["port"], gateway["accessKey"], gateway["secretKey"])


def fresh_bucket(laboratory, s3, what):
    laboratory.counter += 1
    bucket = f"writing-{what}-{laboratory.counter}"
    buckets.fill_fixture(s3, bucket, FIXTURE)
    return bucket


def have_bodies(s3, bucket, names):
    wanted = {f"sessions/{name}" for name in names}
    return lambda: wanted <= set(s3.keys(bucket, "sessions/"))


def have_everything(s3, bucket, names):
    """Bodies, then indexes, then rows."""
    bodies = have_bodies(s3, bucket, names)
    indexes = {f"meta_indexes/{name.removesuffix('.fastshot')}.meta.json" for name in names}

    def answer():
        if not bodies() or not indexes <= set(s3.keys(bucket, "meta_indexes/")):
            return False
        rows = json.loads(s3.request("GET", f"/{bucket}/overall_meta.json"))["sessions"]
        return set(names) <= {row["filename"] for row in rows}
    return answer


def have_body(s3, bucket, name):
    """Asks for one object only: a listing would take processor time from whom is measured, who waits as boto3 does."""
    return lambda: s3.exists(f"/{bucket}/sessions/{name}")


def have_row(s3, bucket, name):
    return lambda: name in {
        row["filename"] for row in json.loads(s3.request("GET", f"/{bucket}/overall_meta.json"))["sessions"]}


def copy(directory, names, target):
    """Seconds of cp."""
    begin = clock()
    run(["cp", "--", *[directory / name for name in names], target], timeout=600)
    return clock() - begin


class Contest:
    """Copies the same files into each contestant's mount, in turn."""

    def __init__(self, laboratory, directory, names):
        self.laboratory = laboratory
        self.directory = directory
        self.names = names
        self.proxy = laboratory.proxy(RTT_MS)
        self.s3 = client(laboratory)
        self.results = {}

    def contestants(self):
        laboratory, endpoint = self.laboratory, self.proxy.endpoint
        return {
            "sessionfs": lambda bucket: SessionFS(laboratory, f"s3://{bucket}", endpoint),
            "rclone, write-back 0 s": lambda bucket: WritingRclone(laboratory, bucket, endpoint, 0),
            "rclone, write-back 5 s": lambda bucket: WritingRclone(laboratory, bucket, endpoint, 5),
            "s3fs": lambda bucket: WritingS3fs(laboratory, bucket, endpoint),
        }

    def round(self, what, make, names=None):
        """One bucket, one mount, one cp."""
        names = names or self.names
        is_ours = what == "sessionfs"
        bucket = fresh_bucket(self.laboratory, self.s3, what.split(",")[0])
        with make(bucket) as mount:
            if is_ours:
                mount.await_sessions(37)
                mount.await_rest()
            os.listdir(mount.sessions)
            self.proxy.reset()
            begin = clock()
            copied = copy(self.directory, names, mount.sessions)
            condition = (have_everything if is_ours else have_bodies)(self.s3, bucket, names)
            wait_until(condition, 600, f"{len(names)} files of {what} to be in the bucket", pause=0.05)
            arrived = clock() - begin
            counted = self.proxy.statistics()
        if is_ours:
            self.check(bucket, names)
        return {
            "cp": copied, "arrived": arrived, "requests": counted["requests"] / len(names),
            "overall": counted["kinds"].get("PUT overall_meta.json", 0), "kinds": counted["kinds"],
        }

    def check(self, bucket, names):
        """What arrived is what was written."""
        for name in (names[0], names[-1]):
            if self.s3.request("GET", f"/{bucket}/sessions/{name}") != (self.directory / name).read_bytes():
                raise Failed(f"{name} is another in the bucket")

    def run(self, rounds):
        for number in range(rounds):
            for what, make in self.contestants().items():
                # It takes a hundred times as long as the others: once is enough.
                if what == "s3fs" and number > 0:
                    continue
                self.laboratory.say(f"{what}: cp of {len(self.names)} files, {number + 1} of {rounds}")
                self.results.setdefault(what, []).append(self.round(what, make))

    def middle(self, what, figure):
        return median([result[figure] for result in self.results[what]])

    def ratio(self, figure, theirs):
        """Ours divided by theirs, neighbours compared."""
        pairs = zip(self.results["sessionfs"], self.results[theirs])
        return median([ours[figure] / other[figure] for ours, other in pairs])

    def note(self, figure, theirs):
        return (f"{self.middle('sessionfs', figure) * 1000:,.0f} ÷ {self.middle(theirs, figure) * 1000:,.0f} ms")


def describe(kinds):
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1])[:6])


def measure_many(laboratory, directory, names, rounds):
    contest = Contest(laboratory, directory, names)
    contest.run(rounds)
    what = f"{len(names)} files of {SMALL // 1000} KB at {RTT_MS} ms"
    for name in contest.results:
        durable = " (durable)" if name == "sessionfs" else ""
        laboratory.report("f", f"{name}: cp of {what}{durable}", contest.middle(name, "cp") * 1000, "ms")
        goal = "bodies, indexes, rows" if name == "sessionfs" else "bodies"
        laboratory.report(
            "f", f"{name}: until all {goal} are there", contest.middle(name, "arrived") * 1000, "ms",
            note=f"{contest.middle(name, 'requests'):.2f} requests per file")
    # With 5 s of write-back they arrive 5 s later, which is no measure.
    targets = {"rclone, write-back 0 s": (2, 1.3), "rclone, write-back 5 s": (2, None), "s3fs": (None, None)}
    for theirs, (copying, arriving) in targets.items():
        laboratory.report(
            "f", f"cp ÷ {theirs}", contest.ratio("cp", theirs), "×", copying, note=contest.note("cp", theirs))
        laboratory.report(
            "f", f"until all is there ÷ {theirs}", contest.ratio("arrived", theirs), "×", arriving,
            note=contest.note("arrived", theirs))
    laboratory.report(
        "f", "requests per file", contest.middle("sessionfs", "requests"), "", 2.1,
        note=describe(contest.results["sessionfs"][-1]["kinds"]))
    laboratory.report(
        "f", f"overall file written for {len(names)} files", contest.middle("sessionfs", "overall"), "×")


def measure_overall(laboratory, directory, names):
    """How often the overall file is written while very many files come."""
    contest = Contest(laboratory, directory, names)
    laboratory.say(f"sessionfs: cp of {len(names)} files")
    # cp takes the names on its command line, which has room for a few thousand.
    result = contest.round("sessionfs", contest.contestants()["sessionfs"], names)
    laboratory.report(
        "f", f"overall file written for {len(names):,} files", result["overall"], "×",
        note=f"{result['requests']:.2f} requests per file, cp {result['cp']:.1f} s, "
        f"all there {result['arrived']:.1f} s")


def python_with_boto3():
    """An interpreter that has boto3."""
    made = ROOT / ".build" / "test-venv" / "bin" / "python"
    candidates = [os.environ.get("SESSIONFS_TEST_PYTHON"), made, sys.executable]
    for candidate in candidates:
        if candidate is None or not os.access(candidate, os.X_OK):
            continue
        if subprocess.run([candidate, "-c", "import boto3"], capture_output=True, check=False).returncode == 0:
            return candidate
    raise Failed("no Python with boto3: set SESSIONFS_TEST_PYTHON")


def boto3_seconds(laboratory, proxy, python, bucket, path):
    """Seconds of boto3's upload, its start not counted."""
    gateway = laboratory.gateway
    environment = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    return float(run(
        [python, "-c", BOTO3, proxy.endpoint, gateway["accessKey"], gateway["secretKey"], bucket,
         f"sessions/{path.name}", path], environment, timeout=600))


def settle(path):
    """Nothing is left to be written to the disk, and memory is free: neither side pays for what was before."""
    drop_caches()
    path.read_bytes()


def measure_large(laboratory, rounds, size):
    proxy = laboratory.proxy(RTT_MS)
    s3 = client(laboratory)
    python = python_with_boto3()
    directory = laboratory.fresh("large")
    paths = []
    # The first upload of a server that has just begun takes three times as long; it is boto3's and does not count.
    for number in range(rounds + 1):
        path = directory / f"{buckets.moment(200_000 + number):%Y%m%d%H%M%S}_groß {number}.fastshot"
        write_session(path, f"groß {number}", size)
        paths.append(path)
    theirs, ours = [], []
    bucket = fresh_bucket(laboratory, s3, "boto3")
    own = fresh_bucket(laboratory, s3, "large")
    first = paths.pop()
    boto3_seconds(laboratory, proxy, python, bucket, first)
    first.unlink()
    with SessionFS(laboratory, f"s3://{own}", proxy.endpoint) as mount:
        mount.await_sessions(37)
        mount.await_rest()
        for path in paths:
            laboratory.say(f"{size / 1e6:.0f} MB: boto3, then sessionfs")
            settle(path)
            theirs.append(boto3_seconds(laboratory, proxy, python, bucket, path))
            copied = copy(directory, [path.name], mount.sessions)
            closed = clock()
            wait_until(have_body(s3, own, path.name), 600, "the body to be in the bucket", pause=0.02)
            body = clock() - closed
            wait_until(have_row(s3, own, path.name), 600, "its row", pause=0.02)
            ours.append((copied, body, clock() - closed))
            if not have_everything(s3, own, [path.name])():
                raise Failed(f"{path.name} has a row and no index")
            if s3.request("GET", f"/{own}/sessions/{path.name}") != path.read_bytes():
                raise Failed(f"{path.name} is another in the bucket")
            path.unlink()
    what = f"{size / 1e6:.0f} MB at {RTT_MS} ms"
    laboratory.report("f", f"boto3, 8 threads: {what}", median(theirs) * 1000, "ms")
    laboratory.report("f", f"sessionfs: cp of {what} (durable)", median([o[0] for o in ours]) * 1000, "ms")
    laboratory.report(
        "f", f"{what}: from close until the body is there ÷ boto3", median([o[1] / t for o, t in zip(ours, theirs)]),
        "×", 1.1, note=f"{median([o[1] for o in ours]) * 1000:,.0f} ÷ {median(theirs) * 1000:,.0f} ms")
    for until, figure in (("the body is there", 1), ("its row is there", 2)):
        laboratory.report(
            "f", f"{what}: from the beginning of cp until {until} ÷ boto3",
            median([(o[0] + o[figure]) / t for o, t in zip(ours, theirs)]), "×", 1.1,
            note=f"{median([o[0] + o[figure] for o in ours]) * 1000:,.0f} ms")


def measure(laboratory):
    quick = laboratory.options.quick
    directory = laboratory.fresh("files")
    names = write_sessions(directory, 200 if quick else 1000, SMALL)
    measure_many(laboratory, directory, names[:100], 3 if quick else 5)
    measure_overall(laboratory, directory, names)
    measure_large(laboratory, 3 if quick else 5, LARGE)
