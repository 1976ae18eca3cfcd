"""e. Resident memory of the daemons."""
import os
import time

from laboratory import silently
from mounts import Rclone, SessionFS, resident
from starting import fixture, small


def measure(laboratory):
    proxy = laboratory.proxy(0)
    bucket = fixture(laboratory)
    with SessionFS(laboratory, f"s3://{bucket}", proxy.endpoint) as mount:
        mount.await_sessions(37)
        mount.await_rest()
        time.sleep(3)
        laboratory.report("e", "memory with 37 sessions, 3 s after the start", resident(mount.pid()), "MB", 20)
        silently(["ls", "-l", mount.sessions])
        laboratory.report("e", "the same after ls -l", resident(mount.pid()), "MB")
    with Rclone(laboratory, bucket, proxy.endpoint) as mount:
        os.listdir(mount.sessions)
        laboratory.report("e", "rclone with 37 sessions", resident(mount.pid()), "MB")
    bucket = small(laboratory, 10_000)
    with Rclone(laboratory, bucket, proxy.endpoint) as mount:
        silently(["ls", "-l", mount.sessions])
        laboratory.report("e", "rclone after listing 10,000", resident(mount.pid()), "MB")
