"""Buckets to measure on, in the format of FastShot, written by hand: no client under test takes part."""
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import struct
import threading
import time
import urllib.parse
import zlib

CLASSES = ["Arbeit", "Privat", "Études", "资料"]
COLORS = ["blue", "red", "green", "yellow", "purple"]
TAGS = ["todo", "rechnung", "design", "été", "会议", "bug"]


def cover():
    """The picture at the beginning of an object: 100 × 100, white."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\xff" * 300) * 100
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


COVER = cover()


def moment(index):
    return datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=index * 397)


def file_name(index):
    return f"{moment(index):%Y%m%d%H%M%S}_Sitzung {index:06d} Büro.fastshot"


class Session:
    """A session without windows; the n-th of a bucket is always the same."""

    def __init__(self, index):
        self.file_name = file_name(index)
        self.stem = self.file_name.removesuffix(".fastshot")
        created = f"{moment(index).isoformat()}.{index % 1_000_000:06d}"
        self.metadata = {
            "name": f"Sitzung {index:06d} Büro", "desc": f"Nummer {index} einer Reihe zum Messen",
            "tags": [TAGS[index % 6], TAGS[(index // 6) % 6]], "color": COLORS[index % 5],
            "class": CLASSES[index % 4], "image_count": 0, "created_at": created,
        }
        plain = {
            "session": {"version": "1.0", "timestamp": created, "windows": []},
            "metadata": dict(self.metadata, filename=self.file_name, thumbnail_collage=None),
        }
        self.body = COVER + b"FHDR" + json.dumps(plain, ensure_ascii=False).encode()
        self.metadata["file_size"] = len(self.body)

    @property
    def index(self):
        text = json.dumps(self.metadata, sort_keys=True)
        value = {
            "version": "1.0", "filename": self.file_name, "metadata": self.metadata,
            "checksum": hashlib.sha256(text.encode()).hexdigest(), "created_at": self.metadata["created_at"],
            "last_updated": self.metadata["created_at"],
        }
        return json.dumps(value, indent=2, ensure_ascii=False).encode()

    def row(self, with_metadata):
        row = {
            "filename": self.file_name, "created_at": "2026-01-02T03:04:05+00:00", "file_size": len(self.body),
            "checksum": "etag:" + hashlib.md5(self.body).hexdigest(),
        }
        if with_metadata:
            row["metadata"] = self.metadata
        return row


def overall_file(rows):
    value = {
        "version": "1.0", "last_updated": "2026-01-02T03:04:05", "total_sessions": len(rows), "sessions": rows,
        "checksum": hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
    }
    return json.dumps(value, ensure_ascii=False).encode()


def write_directory(directory, count):
    """A directory store whose overall file carries the metadata, without indexes."""
    (directory / "sessions").mkdir()
    (directory / "meta_indexes").mkdir()
    rows = []
    for number in range(count):
        session = Session(number)
        (directory / "sessions" / session.file_name).write_bytes(session.body)
        rows.append(session.row(True))
    (directory / "overall_meta.json").write_bytes(overall_file(rows))


class S3:
    """As much of an S3 client as filling a bucket needs."""

    def __init__(self, port, access_key, secret_key):
        self.host = f"127.0.0.1:{port}"
        self.access_key = access_key
        self.secret_key = secret_key
        self.local = threading.local()

    def _key(self, day):
        key = ("AWS4" + self.secret_key).encode()
        for word in (day, "us-east-1", "s3", "aws4_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        return key

    def _signature(self, method, path, query, headers, payload, stamp):
        names = ";".join(sorted(headers))
        canonical = "\n".join(
            [method, path, query, *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, payload])
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        return names, scope, hmac.new(self._key(stamp[:8]), text.encode(), hashlib.sha256).hexdigest()

    def put(self, path, body=b""):
        self.request("PUT", path, body)

    def request(self, method, path, body=b"", query=""):
        """Makes a request and gives what it answers. The query is sorted and quoted already."""
        status, text = self.ask(method, path, body, query)
        if status != 200:
            raise OSError(f"{method} {path}: {status} {text[:200]!r}")
        return text

    def exists(self, path):
        """Whether there is an object."""
        status, _ = self.ask("HEAD", path)
        if status not in (200, 404):
            raise OSError(f"HEAD {path}: {status}")
        return status == 200

    def ask(self, method, path, body=b"", query=""):
        """The status and the body of the answer, whatever it is."""
        path = urllib.parse.quote(path)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {"host": self.host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": stamp}
        names, scope, signature = self._signature(method, path, query, headers, "UNSIGNED-PAYLOAD", stamp)
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                                    f"SignedHeaders={names}, Signature={signature}")
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.host, timeout=120)
        self.local.connection.request(method, path + ("?" + query if query else ""), body, headers)
        answer = self.local.connection.getresponse()
        return answer.status, answer.read()

    def keys(self, bucket, prefix):
        """The keys below a prefix."""
        found, token = [], None
        while True:
            fields = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
            if token:
                fields["continuation-token"] = token
            query = urllib.parse.urlencode(sorted(fields.items()), quote_via=urllib.parse.quote, safe="")
            text = self.request("GET", f"/{bucket}", query=query).decode()
            found += [urllib.parse.unquote_plus(key) for key in re.findall("<Key>([^<]*)</Key>", text)]
            token = re.search("<NextContinuationToken>([^<]*)<", text)
            if token is None:
                return found
            token = token[1]

    def presigned(self, endpoint, path):
        """The URL of an object for curl, through a proxy."""
        host = endpoint.split("//")[1]
        path = urllib.parse.quote(path)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        query = urllib.parse.urlencode(sorted({
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key}/{stamp[:8]}/us-east-1/s3/aws4_request",
            "X-Amz-Date": stamp, "X-Amz-Expires": "86400", "X-Amz-SignedHeaders": "host",
        }.items()))
        _, _, signature = self._signature("GET", path, query, {"host": host}, "UNSIGNED-PAYLOAD", stamp)
        return f"{endpoint}{path}?{query}&X-Amz-Signature={signature}"

    def put_all(self, objects):
        """Writes (path, body) pairs, several at a time."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for _ in pool.map(lambda item: self.put(*item), objects, chunksize=16):
                pass


def fill(s3, bucket, count, with_metadata, with_indexes=False, with_bodies=True):
    """A bucket of small sessions. Without bodies the overall file names what is not there."""
    s3.put(f"/{bucket}")
    rows = []

    def objects():
        for number in range(count):
            session = Session(number)
            rows.append(session.row(with_metadata))
            if with_bodies:
                yield f"/{bucket}/sessions/{session.file_name}", session.body
            if with_indexes:
                yield f"/{bucket}/meta_indexes/{session.stem}.meta.json", session.index

    s3.put_all(objects())
    s3.put(f"/{bucket}/overall_meta.json", overall_file(rows))


def fill_fixture(s3, bucket, directory):
    """The bucket of 37 sessions that a FastShot client wrote.

    Its overall file has no metadata in the rows.
    """
    s3.put(f"/{bucket}")
    s3.put_all(
        (f"/{bucket}/{file.relative_to(directory)}", file.read_bytes())
        for file in sorted(directory.rglob("*")) if file.is_file())


def fill_large(s3, bucket, count, size):
    """Objects of random bytes with a row each, as a single part, so that their ETag is their MD5."""
    s3.put(f"/{bucket}")
    rows = []
    for number in range(count):
        session = Session(number)
        session.body = COVER + b"FHDR" + os.urandom(size - len(COVER) - 4)
        session.metadata["file_size"] = size
        s3.put(f"/{bucket}/sessions/{session.file_name}", session.body)
        rows.append(session.row(True))
    s3.put(f"/{bucket}/overall_meta.json", overall_file(rows))
    return [row["filename"] for row in rows]
