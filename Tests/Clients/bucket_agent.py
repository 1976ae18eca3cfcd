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
  {"op": "uploads"}                         {"uploads": [[key, id, [part numbers]]]}: begun, and neither completed nor aborted
  {"op": "begin_upload", "key": K, "path": P}   begins one, with the file as its first part unless P is missing: {"id": I}
  {"op": "abort_uploads"}                   ends all of them, as who tidies up a bucket does
  {"op": "audit"}                           {"problems": [text]}: what a FastShot client would find wrong
  {"op": "client", "call": F, "arguments": A}   works as a FastShot client does: a method of Client
"""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fastshot_client


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

    def uploads(self):
        found = []
        for page in self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket):
            for upload in page.get("Uploads", []):
                parts = self.s3.list_parts(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                found.append([upload["Key"], upload["UploadId"],
                              [part["PartNumber"] for part in parts.get("Parts", [])]])
        return found

    def abort_uploads(self):
        for key, upload, _ in self.uploads():
            self.s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def begin_upload(self, key, data):
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        if data is not None:
            self.s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=1, Body=data)
        return upload


def main():
    url = sys.argv[1]
    key = sys.argv[2] if len(sys.argv) > 2 else None
    store = S3(url[len("s3://"):]) if url.startswith("s3://") else Directory(url[len("file://"):])
    client = fastshot_client.Client(url, key)
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
            elif op == "uploads":
                answer["uploads"] = store.uploads()
            elif op == "abort_uploads":
                store.abort_uploads()
            elif op == "begin_upload":
                data = None
                if "path" in command:
                    with open(command["path"], "rb") as file:
                        data = file.read()
                answer["id"] = store.begin_upload(command["key"], data)
            elif op == "audit":
                answer["problems"] = client.audit()
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
