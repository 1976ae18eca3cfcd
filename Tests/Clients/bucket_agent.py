#!/usr/bin/env python3
"""bucket_agent.py STORE [KEY]   Another program than ours that works on a test's bucket, for as long as its standard input.

STORE is s3://bucket (by boto3, from the usual variables) or file:///directory; KEY is FastShot's. Commands are lines of
JSON on standard input, each answered by one line on standard output:
  {"op": "create"}                          makes the bucket
  {"op": "put", "key": K, "path": P}        writes an object from a file, without looking
  {"op": "remove", "key": K}
  {"op": "fill", "path": D}                 writes everything below a directory
  {"op": "list"}                            {"objects": {key: [size, tag]}}
  {"op": "fetch", "path": D}                as list, and every object in D under its place in the list
  {"op": "audit"}                           {"problems": [text]}: what a FastShot client would find wrong
  {"op": "client", "call": F, "arguments": A}   works as a FastShot client does
"""
import base64
import datetime
import hashlib
import json
import os
import re
import sys


class Directory:
    def __init__(self, root):
        self.root = root

    def path(self, key):
        return os.path.join(self.root, key)

    def create(self):
        os.makedirs(self.root, exist_ok=True)

    def put(self, key, data):
        os.makedirs(os.path.dirname(self.path(key)), exist_ok=True)
        place = self.path(key) + ".agent"
        with open(place, "wb") as file:
            file.write(data)
        os.rename(place, self.path(key))

    def remove(self, key):
        if os.path.exists(self.path(key)):
            os.remove(self.path(key))

    def get(self, key):
        with open(self.path(key), "rb") as file:
            return file.read()

    def list(self):
        found = {}
        for top, _, names in os.walk(self.root):
            for name in names:
                if name.startswith(".sessionfs-"):
                    continue
                path = os.path.join(top, name)
                found[os.path.relpath(path, self.root)] = [os.path.getsize(path), ""]
        return found


class S3:
    def __init__(self, bucket):
        import boto3
        self.bucket = bucket
        self.s3 = boto3.client("s3", config=boto3.session.Config(s3={"addressing_style": "path"}))

    def create(self):
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key, data):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def remove(self, key):
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def get(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def list(self):
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = [entry["Size"], entry["ETag"].strip('"')]
        return found


def metadata_of(body, key):
    """The metadata that a FastShot client writes for a session; None where the body is none."""
    start = body.find(b"FHDR")
    text = body if start < 0 else body[start + 4:]
    if start >= 0 and key:
        secret = key.encode()
        whole = (secret * (len(text) // len(secret) + 1))[:len(text)]
        text = (int.from_bytes(text, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(text), "big")
    try:
        container = json.loads(text)
    except ValueError:
        return None
    if not isinstance(container, dict) or not isinstance(container.get("metadata"), dict):
        return None
    found = container["metadata"]
    names = ("name", "desc", "tags", "color", "class", "image_count", "created_at")
    if any(name not in found for name in names):
        return None
    return {**{name: found[name] for name in names}, "file_size": len(body)}


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def audit(store, key):
    problems = []
    objects = {name: store.get(name) for name in store.list()}
    bodies = {name[len("sessions/"):]: data for name, data in objects.items()
              if name.startswith("sessions/") and name.endswith(".fastshot")}
    indexes = {name[len("meta_indexes/"):-len(".meta.json")] + ".fastshot": data for name, data in objects.items()
               if name.startswith("meta_indexes/") and name.endswith(".meta.json")}
    for name in objects:
        known = name == "overall_meta.json" or name.startswith(("sessions/", "meta_indexes/"))
        if not known or name.endswith((".part", ".tmp", "~")):
            problems.append(f"stray object {name}")
    problems += [f"index without body: {name}" for name in indexes if name not in bodies]
    problems += [f"body without index: {name}" for name in bodies if name not in indexes]
    stored = {}
    for name, data in indexes.items():
        if name not in bodies:
            continue
        index = json.loads(data)
        stored[name] = metadata = index["metadata"]
        if json.dumps(index, indent=2, ensure_ascii=False).encode() != data:
            problems.append(f"index {name} is not written as Python writes it")
        if index["filename"] != name or index["version"] != "1.0":
            problems.append(f"index {name} names {index['filename']} {index['version']}")
        if index["checksum"] != digest(metadata):
            problems.append(f"index {name}: checksum")
        expected = metadata_of(bodies[name], key)
        if expected is not None and expected != metadata:
            problems.append(f"index {name}: {metadata} instead of {expected}")
        if metadata["file_size"] != len(bodies[name]):
            problems.append(f"index {name}: size {metadata['file_size']} of {len(bodies[name])}")
    if "overall_meta.json" not in objects:
        return problems + (["no overall file"] if bodies else [])
    overall = json.loads(objects["overall_meta.json"])
    rows = overall["sessions"]
    if overall["checksum"] != digest(rows) or overall["total_sessions"] != len(rows):
        problems.append("overall file: checksum or total")
    seen = set()
    for row in rows:
        name = row["filename"]
        if name in seen:
            problems.append(f"two rows: {name}")
        seen.add(name)
        body = bodies.get(name)
        if body is None:
            problems.append(f"row without body: {name}")
            continue
        if row["file_size"] != len(body):
            problems.append(f"row {name}: size {row['file_size']} of {len(body)}")
        sums = {"", "etag:" + hashlib.md5(body).hexdigest(), "sha256:" + hashlib.sha256(body).hexdigest()}
        if row["checksum"] not in sums:
            problems.append(f"row {name}: checksum {row['checksum']}")
        if not row["created_at"].endswith("+00:00"):
            problems.append(f"row {name}: created_at {row['created_at']}")
        if "metadata" in row and name in stored and row["metadata"] != stored[name]:
            problems.append(f"row {name}: metadata {row['metadata']} instead of {stored[name]}")
    return problems + [f"body without row: {name}" for name in bodies if name not in seen]


class FastShot:
    """A FastShot client as formats.md describes it: it writes without looking, the overall file anew from a listing."""

    def __init__(self, store, key):
        self.store, self.key = store, key

    def save(self, name, data):
        self.store.put("sessions/" + name, data)
        metadata = metadata_of(data, self.key)
        index = {"version": "1.0", "filename": name, "metadata": metadata, "checksum": digest(metadata),
                 "created_at": metadata["created_at"], "last_updated": metadata["created_at"]}
        self.store.put("meta_indexes/" + name[:-len(".fastshot")] + ".meta.json",
                       json.dumps(index, indent=2, ensure_ascii=False).encode())
        self.rebuild_overall()

    def delete(self, name):
        self.store.remove("sessions/" + name)
        self.store.remove("meta_indexes/" + name[:-len(".fastshot")] + ".meta.json")
        self.rebuild_overall()

    def list(self):
        rows = json.loads(self.store.get("overall_meta.json"))["sessions"]
        return sorted(row["filename"] for row in rows)

    def rebuild_overall(self):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        rows = [{"filename": name[len("sessions/"):], "created_at": now, "file_size": size,
                 "checksum": "etag:" + tag if re.fullmatch("[0-9a-f]{32}", tag) else ""}
                for name, (size, tag) in sorted(self.store.list().items())
                if name.startswith("sessions/") and name.endswith(".fastshot")]
        overall = {"version": "1.0", "last_updated": now, "total_sessions": len(rows), "sessions": rows,
                   "checksum": digest(rows)}
        self.store.put("overall_meta.json", json.dumps(overall, indent=2, ensure_ascii=False).encode())


def main():
    url = sys.argv[1]
    key = sys.argv[2] if len(sys.argv) > 2 else None
    store = S3(url[len("s3://"):]) if url.startswith("s3://") else Directory(url[len("file://"):])
    client = FastShot(store, key)
    while line := sys.stdin.readline():
        command = json.loads(line)
        op, answer = command["op"], {}
        try:
            if op == "create":
                store.create()
            elif op == "put":
                with open(command["path"], "rb") as file:
                    store.put(command["key"], file.read())
            elif op == "remove":
                store.remove(command["key"])
            elif op == "fill":
                for top, _, names in os.walk(command["path"]):
                    for name in names:
                        path = os.path.join(top, name)
                        with open(path, "rb") as file:
                            store.put(os.path.relpath(path, command["path"]), file.read())
            elif op == "list":
                answer["objects"] = store.list()
            elif op == "fetch":
                answer["objects"] = store.list()
                for place, name in enumerate(answer["objects"]):
                    answer["objects"][name].append(str(place))
                    with open(os.path.join(command["path"], str(place)), "wb") as file:
                        file.write(store.get(name))
            elif op == "audit":
                answer["problems"] = audit(store, key)
            elif op == "client":
                arguments = [base64.b64decode(value["base64"]) if isinstance(value, dict) else value
                             for value in command["arguments"]]
                answer["result"] = getattr(client, command["call"])(*arguments)
            else:
                answer["error"] = f"unknown command {op}"
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
