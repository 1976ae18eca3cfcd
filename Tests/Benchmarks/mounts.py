"""The contestants: sessionfs, rclone and s3fs, each mounted and unmounted in the same way."""
import datetime
import json
import os
import pathlib
import shutil
import subprocess

from laboratory import Failed, clock, run, terminate, wait_until


def is_mounted(directory):
    with open("/proc/self/mountinfo") as file:
        return any(line.split(" ")[4] == str(directory) for line in file)


def resident(pid):
    """Resident memory in MB, as ps shows it."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"process {pid} has ended")


class Mount:
    """A directory that is a mount between `start` and `stop`."""

    def __init__(self, laboratory):
        self.laboratory = laboratory
        self.directory = laboratory.fresh("mnt")
        self.began = None
        laboratory.undo.append(self.clean)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def clean(self):
        if is_mounted(self.directory):
            self.stop()
        if is_mounted(self.directory):
            subprocess.run(["umount", "-l", self.directory], check=False)

    @property
    def sessions(self):
        return self.directory / "sessions"


class SessionFS(Mount):
    """sessionfs in the background. The home directory can be handed on, so that a later mount starts warm."""

    def __init__(self, laboratory, store, endpoint=None, home=None, options=()):
        super().__init__(laboratory)
        self.store = store
        self.options = list(options)
        self.home = home or laboratory.fresh("home")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "SWIFT_BACKTRACE": "enable=no",
            "XDG_CACHE_HOME": str(self.home / "cache"), "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self.home / "run"), "XDG_CONFIG_HOME": str(self.home / "config"),
        }
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        if endpoint is not None:
            self.environment |= {
                "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": laboratory.gateway["accessKey"],
                "AWS_SECRET_ACCESS_KEY": laboratory.gateway["secretKey"], "AWS_REGION": "us-east-1",
            }

    def command(self, *arguments):
        return run([self.laboratory.binary, *arguments], self.environment)

    def start(self):
        self.began = clock()
        self.began_at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        self.command("mount", *self.options, self.store, self.directory)

    def stop(self):
        self.command("unmount", self.directory)

    def status(self):
        return json.loads(self.command("status", "--json", self.directory))

    def pid(self):
        return self.status()["pid"]

    def await_sessions(self, count, seconds=120, files=2):
        """Waits until so many sessions are known. statfs counts them and their indexes without listing: two files
        for each session whose metadata is known."""
        wait_until(
            lambda: os.statvfs(self.directory).f_files >= count * files, seconds, f"{count} sessions in {self.store}")

    def await_rest(self, seconds=120):
        """Waits until the refresh at the start has ended, so that nothing runs beside a measurement."""
        def rests():
            status = self.status()
            # Both times are UTC in ISO 8601, which sorts as text.
            return (status["freshness"]["last_success"] or "") > self.began_at and not status["operations"]
        wait_until(rests, seconds, "the first refresh", pause=0.2)

    def forget(self):
        """Back to a machine that has never seen the store."""
        for name in ("cache", "state"):
            shutil.rmtree(self.home / name, ignore_errors=True)


class Foreground(Mount):
    """A filesystem whose process stays in the foreground."""

    def __init__(self, laboratory, bucket, endpoint):
        super().__init__(laboratory)
        self.bucket = bucket
        self.endpoint = endpoint
        self.process = None

    def start(self):
        self.began = clock()
        arguments, environment = self.arguments()
        environment |= {"PATH": os.environ["PATH"], "HOME": str(self.laboratory.directory)}
        self.process = subprocess.Popen(
            [str(a) for a in arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                raise Failed(f"{arguments[0]} ended with status {self.process.returncode}")
            return is_mounted(self.directory)
        wait_until(answers, 30, f"{arguments[0]} to mount")

    def stop(self):
        subprocess.run(["umount", self.directory], check=False)
        if self.process is not None:
            terminate(self.process)

    def pid(self):
        return self.process.pid


class Rclone(Foreground):
    """rclone with the bucket's own times, which spare it a request for each file."""

    # What it may do, and how it keeps what was written.
    mode = ("--read-only",)

    def arguments(self):
        gateway = self.laboratory.gateway
        environment = {
            "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_RGW_TYPE": "s3", "RCLONE_CONFIG_RGW_PROVIDER": "Ceph",
            "RCLONE_CONFIG_RGW_ENDPOINT": self.endpoint, "RCLONE_CONFIG_RGW_ACCESS_KEY_ID": gateway["accessKey"],
            "RCLONE_CONFIG_RGW_SECRET_ACCESS_KEY": gateway["secretKey"],
        }
        return ["rclone", "mount", f"rgw:{self.bucket}", self.directory, *self.mode, "--use-server-modtime",
                "--cache-dir", self.cache()], environment

    def cache(self):
        return self.laboratory.directory / "rclone"


class WritingRclone(Rclone):
    """rclone that keeps what is written in a cache of its own and uploads it some seconds after it was closed."""

    def __init__(self, laboratory, bucket, endpoint, seconds):
        super().__init__(laboratory, bucket, endpoint)
        self.mode = ("--vfs-cache-mode", "writes", "--vfs-write-back", f"{seconds}s", "--s3-no-check-bucket")
        self.kept = laboratory.fresh("rclone")

    def cache(self):
        return self.kept


class S3fs(Foreground):
    """s3fs with the newer listing, without a disk cache."""

    mode = ("-o", "ro")

    def arguments(self):
        gateway = self.laboratory.gateway
        return ["s3fs", self.bucket, self.directory, "-f", "-o", f"url={self.endpoint}", "-o", "use_path_request_style",
                "-o", "listobjectsv2", *self.mode], {
                    "AWSACCESSKEYID": gateway["accessKey"], "AWSSECRETACCESSKEY": gateway["secretKey"]}


class WritingS3fs(S3fs):
    """s3fs that uploads a file when it is closed."""

    mode = ()
