#!/usr/bin/env python3
"""A FastShot client, written from its formats and not from ours: what it makes of a bucket is what other people's
clients make of it. It writes as the real one does, without any condition.

  fastshot_client.py [--key KEY] STORE COMMAND …

STORE is s3://bucket[/prefix] (boto3; credentials and endpoint from the usual AWS variables) or file:///directory.
Every command prints one JSON value.

  save NAME [FILE]       Makes a session called NAME, with pictures of noise, or saves FILE under the file name NAME:
                         body, index, then LIST and a HEAD of every session for the overall file, and a PUT of it.
      --tags A,B --desc TEXT --color NAME --class NAME --windows N --bytes N (about so many in all)
  overwrite FILENAME [FILE]   Saves another body under a name that is there.
  delete FILENAME        Body and index go, and the overall file is made anew.
  list                   The rows of the overall file.
  show FILENAME          The metadata inside a body.
  rebuild-overall        Makes the overall file anew from the first page of a listing.
  audit                  {"problems": [...], …}: what is wrong with the bucket as a whole.
"""
import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import random
import struct
import sys
import zlib

BODIES, INDEXES, OVERALL = "sessions/", "meta_indexes/", "overall_meta.json"
SUFFIX, INDEX_SUFFIX = ".fastshot", ".meta.json"
MARK = b"FHDR"
# What FastShot takes from one listing; it asks for no second page.
PAGE = 1000
FACTS = ("name", "desc", "tags", "color", "class", "image_count", "created_at")


# Stores: keys, bytes, and what a HEAD says.

class Bucket:
    """A bucket of S3, below a prefix."""

    def __init__(self, location, endpoint=None):
        import boto3
        from botocore.config import Config
        self.name, _, prefix = location.removeprefix("s3://").partition("/")
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required", retries={"max_attempts": 5, "mode": "standard"}))

    def put(self, key, data):
        self.s3.put_object(Bucket=self.name, Key=self.prefix + key, Body=data)

    def get(self, key):
        return self.s3.get_object(Bucket=self.name, Key=self.prefix + key)["Body"].read()

    def remove(self, key):
        self.s3.delete_object(Bucket=self.name, Key=self.prefix + key)

    def head(self, key):
        answer = self.s3.head_object(Bucket=self.name, Key=self.prefix + key)
        tag = answer["ETag"].strip('"')
        return {"size": answer["ContentLength"], "modified": answer["LastModified"],
                "checksum": "" if "-" in tag else f"etag:{tag}"}

    def page(self, prefix):
        """The keys of one page of a listing."""
        answer = self.s3.list_objects_v2(Bucket=self.name, Prefix=self.prefix + prefix, MaxKeys=PAGE)
        return [entry["Key"][len(self.prefix):] for entry in answer.get("Contents", [])]

    def keys(self):
        """Every key."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        return [entry["Key"][len(self.prefix):] for page in pages for entry in page.get("Contents", [])]

    def is_missing(self, error):
        response = getattr(error, "response", None) or {}
        return response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound")


class Directory:
    """A directory whose files are the objects."""

    def __init__(self, location):
        self.root = pathlib.Path(location.removeprefix("file://"))

    def put(self, key, data):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        # As other programs save: a file beside it, then the name.
        temporary = path.parent / f".fastshot-{os.getpid()}-{random.getrandbits(32):08x}"
        temporary.write_bytes(data)
        os.rename(temporary, path)

    def get(self, key):
        return (self.root / key).read_bytes()

    def remove(self, key):
        (self.root / key).unlink(missing_ok=True)

    def head(self, key):
        status = (self.root / key).stat()
        modified = datetime.datetime.fromtimestamp(int(status.st_mtime), datetime.timezone.utc)
        return {"size": status.st_size, "modified": modified,
                "checksum": "sha256:" + hashlib.sha256(self.get(key)).hexdigest()}

    def page(self, prefix):
        return [key for key in self.keys() if key.startswith(prefix)][:PAGE]

    def keys(self):
        found = []
        for top, _, names in os.walk(self.root):
            found += [os.path.relpath(os.path.join(top, name), self.root) for name in names]
        # What stores and clients keep there for themselves is no object.
        found = [key for key in found if not os.path.basename(key).startswith((".sessionfs-", ".fastshot-"))]
        return sorted(found, key=lambda key: key.encode("utf-8", "surrogateescape"))

    def is_missing(self, error):
        return isinstance(error, FileNotFoundError)


def open_store(location, endpoint=None):
    return Bucket(location, endpoint) if location.startswith("s3://") else Directory(location)


# Formats.

def document(value):
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def checksum(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def index_key(file_name):
    return INDEXES + file_name.removesuffix(SUFFIX) + INDEX_SUFFIX


def veil(data, key):
    """XOR with the key over and over; the same again undoes it."""
    secret = key.encode()
    if not secret or not data:
        return data
    whole = (secret * (len(data) // len(secret) + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def picture(width, height, pixel=None):
    """A PNG: of noise, which cannot be compressed, or of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = lambda: b"\0" + (random.randbytes(3 * width) if pixel is None else bytes(pixel) * width)
    pixels = zlib.compress(b"".join(row() for _ in range(height)), 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def text_of(data):
    return base64.b64encode(data).decode()


def new_body(name, file_name, now, key=None, tags=(), desc="", color="blue", kind="", windows=2, size=60_000):
    """A session with its metadata, as bytes of an object."""
    # Three pictures for each window, in base64.
    side = max(4, int((size * 3 / 4 / max(1, 3 * windows) / 3) ** 0.5))
    def window(number):
        return {
            "index": number, "geometry": {"x": 10 * number, "y": 20, "width": side, "height": side}, "scale": 1.0,
            "image_data": text_of(picture(side, side)), "original_image_data": text_of(picture(side, side)),
            "annotated_original_data": text_of(picture(side, side)),
            "draw_history": [{"type": "lines", "data": [[5, 5], [side, side]]},
                             {"type": "text", "data": {"x": 1, "y": 2, "text": name}}],
            "is_hidden": False, "window_id": random.getrandbits(42),
        }
    session = {"version": "1.0", "timestamp": now.isoformat(), "windows": [window(n) for n in range(windows)]}
    metadata = {
        "name": name, "desc": desc, "tags": list(tags), "color": color, "class": kind, "created_at": now.isoformat(),
        "filename": file_name, "image_count": windows, "thumbnail_collage": text_of(picture(20, 10)),
    }
    payload = document({"session": session, "metadata": metadata})
    return picture(100, 100, (255, 255, 255)) + MARK + (veil(payload, key) if key else payload)


def contents(body, key=None):
    """What is inside of a body: its JSON document; None when it is no session, or does not open with the key."""
    texts = [body]
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        start = body.find(MARK)
        if start < 0:
            return None
        payload = body[start + len(MARK):]
        texts = [veil(payload, key), payload] if key else [payload]
    for text in texts:
        try:
            value = json.loads(text.decode("utf-8-sig"))
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return None


def facts_of(body, key=None):
    """The members of a body's metadata that an index repeats, as far as the body has them; None as by `contents`."""
    value = contents(body, key)
    if value is None:
        return None
    metadata = value.get("metadata") if isinstance(value.get("session"), dict) else None
    return {name: metadata[name] for name in FACTS if name in (metadata or {})}


class Client:
    """One client on one bucket."""

    def __init__(self, store, key=None, endpoint=None):
        self.store = open_store(store, endpoint) if isinstance(store, str) else store
        self.key = key

    # What a user does.

    def save(self, file_name, body):
        """Saves a body: the body, its index, and the overall file anew."""
        self.store.put(BODIES + file_name, body)
        self.store.put(index_key(file_name), document(self.index_of(file_name, body)))
        self.rebuild_overall()

    def save_new(self, name, **facts):
        """Makes a session and saves it, named as FastShot names it.
        Returns its file name."""
        now = datetime.datetime.now()
        file_name = now.strftime("%Y%m%d%H%M%S") + (f"_{name[:30]}" if name else "") + SUFFIX
        self.save(file_name, new_body(name, file_name, now, self.key, **facts))
        return file_name

    overwrite = save

    def delete(self, file_name):
        self.store.remove(BODIES + file_name)
        self.store.remove(index_key(file_name))
        self.rebuild_overall()

    def list(self):
        """The file names in the overall file."""
        return [row["filename"] for row in self.overall()["sessions"]]

    def overall(self):
        try:
            return json.loads(self.store.get(OVERALL))
        except Exception as error:
            if self.store.is_missing(error):
                return {"sessions": []}
            raise

    def rebuild_overall(self):
        self.put_view(self.view())

    def view(self):
        """The overall file as this client sees the bucket now. Between this and `put_view` others may write."""
        rows = []
        for key in self.store.page(BODIES):
            if not key.endswith(SUFFIX):
                continue
            try:
                facts = self.store.head(key)
            except Exception as error:
                if self.store.is_missing(error):
                    continue
                raise
            rows.append({
                "filename": key[len(BODIES):], "created_at": facts["modified"].isoformat(),
                "file_size": facts["size"], "checksum": facts["checksum"],
            })
        return {"version": "1.0", "last_updated": datetime.datetime.now().isoformat(), "total_sessions": len(rows),
                "sessions": rows, "checksum": checksum(rows)}

    def put_view(self, view):
        self.store.put(OVERALL, document(view))

    def index_of(self, file_name, body):
        given = facts_of(body, self.key)
        if given is None:
            raise ValueError(f"{file_name} does not open")
        metadata = {"name": "", "desc": "", "tags": [], "color": "blue", "class": "", "image_count": 0,
                    "created_at": datetime.datetime.now().isoformat()} | given
        metadata = {name: metadata[name] for name in FACTS} | {"file_size": len(body)}
        return {"version": "1.0", "filename": file_name, "metadata": metadata, "checksum": checksum(metadata),
                "created_at": metadata["created_at"], "last_updated": metadata["created_at"]}

    # What a critic sees.

    def audit(self):
        """What is wrong with the bucket, in words; empty when nothing is."""
        return Audit(self.store, self.key).run()


class Audit:
    """A look at everything in a bucket, from outside."""

    def __init__(self, store, key):
        self.store = store
        self.key = key
        self.problems = []
        self.sizes = {}
        self.metadata = {}

    def say(self, *words):
        self.problems.append(" ".join(str(word) for word in words))

    def run(self):
        keys = self.store.keys()
        bodies, indexes = set(), set()
        for key in keys:
            if key.startswith(BODIES) and key.endswith(SUFFIX) and len(key) > len(BODIES + SUFFIX):
                bodies.add(key[len(BODIES):])
            elif key.startswith(INDEXES) and key.endswith(INDEX_SUFFIX):
                indexes.add(key[len(INDEXES):].removesuffix(INDEX_SUFFIX) + SUFFIX)
            elif key.startswith((BODIES, INDEXES, ".sessionfs-")):
                self.say("stray object:", key)
        for name in sorted(bodies | indexes):
            if name not in bodies:
                self.say("index without body:", name)
                continue
            body = self.store.get(BODIES + name)
            self.sizes[name] = {
                "size": len(body), "etag": "etag:" + hashlib.md5(body).hexdigest(),
                "sha256": "sha256:" + hashlib.sha256(body).hexdigest()}
            if name not in indexes:
                self.say("body without index:", name)
            else:
                self.index(name, body)
        self.overall(bodies, OVERALL in keys)
        return self.problems

    def index(self, name, body):
        data = self.store.get(index_key(name))
        try:
            index = json.loads(data)
            metadata = index["metadata"]
            if document(index) != data:
                self.say("index is not laid out as FastShot's:", name)
            if list(index)[:4] != ["version", "filename", "metadata", "checksum"] or index["version"] != "1.0":
                self.say("index has other members:", name, list(index))
            if index["filename"] != name:
                self.say("index names another file:", name, index["filename"])
            if index["checksum"] != checksum(metadata):
                self.say("index checksum does not agree:", name)
            if metadata["file_size"] != len(body):
                self.say("index tells another size:", name, metadata["file_size"], "instead of", len(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.say("index cannot be read:", name, repr(error))
            return
        self.metadata[name] = metadata
        for fact, value in (facts_of(body, self.key) or {}).items():
            if metadata.get(fact) != value:
                self.say("index does not agree with the body:", name, fact, repr(metadata.get(fact)), "instead of",
                         repr(value))

    def overall(self, bodies, is_there):
        if not is_there:
            if bodies:
                self.say("no overall file")
            return
        data = self.store.get(OVERALL)
        try:
            overall = json.loads(data)
            rows = overall["sessions"]
            if document(overall) != data:
                self.say("overall file is not laid out as FastShot's")
            if overall["checksum"] != checksum(rows):
                self.say("overall checksum does not agree")
            if overall["total_sessions"] != len(rows):
                self.say("overall file counts", overall["total_sessions"], "instead of", len(rows))
            datetime.datetime.fromisoformat(overall["last_updated"])
        except (ValueError, KeyError, TypeError) as error:
            self.say("overall file cannot be read:", repr(error))
            return
        met = set()
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("filename"), str):
                continue
            name = row["filename"]
            if name in met:
                self.say("two rows:", name)
            met.add(name)
            if name not in bodies:
                self.say("row without body:", name)
            else:
                self.row(name, row)
        for name in sorted(bodies - met):
            self.say("body without row:", name)

    def row(self, name, row):
        facts = self.sizes[name]
        if row.get("file_size") != facts["size"]:
            self.say("row tells another size:", name, row.get("file_size"), "instead of", facts["size"])
        if row.get("checksum") not in ("", facts["etag"], facts["sha256"]):
            self.say("row has another checksum:", name, row.get("checksum"))
        try:
            if datetime.datetime.fromisoformat(row["created_at"]).utcoffset() is None:
                self.say("row has a time without zone:", name)
        except (ValueError, KeyError, TypeError):
            self.say("row has no time:", name, repr(row.get("created_at")))
        if "metadata" in row and name in self.metadata and row["metadata"] != self.metadata[name]:
            self.say("row does not agree with the index:", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", help="FastShot's encryption_key")
    parser.add_argument("--endpoint", help="instead of AWS_ENDPOINT_URL")
    parser.add_argument("store")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("save", "overwrite"):
        command = commands.add_parser(name)
        command.add_argument("name")
        command.add_argument("file", nargs="?")
        command.add_argument("--tags", type=lambda text: [tag for tag in text.split(",") if tag], default=[])
        command.add_argument("--desc", default="")
        command.add_argument("--color", default="blue")
        command.add_argument("--class", dest="kind", default="")
        command.add_argument("--windows", type=int, default=2)
        command.add_argument("--bytes", dest="size", type=int, default=60_000)
    for name in ("delete", "show"):
        commands.add_parser(name).add_argument("name")
    for name in ("list", "rebuild-overall", "audit"):
        commands.add_parser(name)
    options = parser.parse_args()
    client = Client(options.store, options.key, options.endpoint)

    answer = {}
    if options.command in ("save", "overwrite"):
        facts = {name: getattr(options, name) for name in ("tags", "desc", "color", "kind", "windows", "size")}
        if options.file:
            client.save(options.name, pathlib.Path(options.file).read_bytes())
            answer["filename"] = options.name
        elif options.command == "save":
            answer["filename"] = client.save_new(options.name, **facts)
        else:
            title = options.name.removesuffix(SUFFIX).partition("_")[2]
            body = new_body(title, options.name, datetime.datetime.now(), options.key, **facts)
            client.overwrite(options.name, body)
            answer["filename"] = options.name
    elif options.command == "delete":
        client.delete(options.name)
    elif options.command == "show":
        answer = facts_of(client.store.get(BODIES + options.name), options.key)
    elif options.command == "list":
        answer = client.overall()["sessions"]
    elif options.command == "rebuild-overall":
        client.rebuild_overall()
    else:
        problems = client.audit()
        answer = {"problems": problems, "sessions": sum(key.startswith(BODIES) for key in client.store.keys())}
    json.dump(answer, sys.stdout, ensure_ascii=False, indent=2)
    print()


if __name__ == "__main__":
    main()
