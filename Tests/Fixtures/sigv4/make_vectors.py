#!/usr/bin/env python3
"""Writes vectors.json: signatures that botocore computes for S3 requests with odd keys and queries.

Needs boto3 (PyPI): python3 -m venv v && v/bin/pip install boto3 && v/bin/python make_vectors.py
The result is kept beside this script, so that tests do not need botocore.
"""

import datetime
import hashlib
import json
import pathlib
import urllib.parse

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIME = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE//+token==/with+signs"


def case(name, key="", query=(), headers=(), method="GET", body=b"", token=None, region="eu-central-1",
         host="bucket.s3.eu-central-1.amazonaws.com"):
    quoted = urllib.parse.quote(key, safe="/-._~")
    url = "https://" + host + "/" + quoted
    if query:
        url += "?" + "&".join(
            urllib.parse.quote(n, safe="-._~") + "=" + urllib.parse.quote(v, safe="-._~") for n, v in query)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    payload = hashlib.sha256(body).hexdigest()
    request.context["payload_signing_enabled"] = True
    signer = botocore.auth.S3SigV4Auth(Credentials(KEY_ID, SECRET, token), "s3", region)
    # The canonical request is taken as the signer builds it.
    seen = {}
    original = signer.canonical_request

    def spy(r):
        seen["canonical"] = original(r)
        return seen["canonical"]

    signer.canonical_request = spy
    signer.add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == payload, name
    return {
        "name": name, "method": method, "host": host, "key": key, "path": "/" + quoted,
        "query": [list(q) for q in query], "headers": [list(h) for h in headers], "payloadHash": payload,
        "token": token, "region": region, "canonicalRequest": seen["canonical"],
        "authorization": request.headers["Authorization"],
    }


def main():
    botocore.auth.get_current_datetime = lambda *arguments, **named: TIME.replace(tzinfo=None)
    cases = [
        case("plain", "sessions/20260101120000_a.fastshot"),
        case("spaces", "sessions/20260101120000_two  spaces and end .fastshot"),
        case("CJK and accents", "sessions/20250624134247_截图_café naïv.fastshot"),
        case("emoji", "meta_indexes/😀👩‍👩‍👧.meta.json"),
        case("plus, tilde, percent", "a+b~c%20d%/100%.x"),
        case("double slash and dots", "/a//b/./../c/"),
        case("reserved", "!\"#$&'()*,:;<=>?@[\\]^`{|}"),
        case("control characters", "tab\tline\nend\x7f"),
        case("session token", "x y", token=TOKEN),
        case("list", query=[("list-type", "2"), ("prefix", "sessions/a b+c&d=e%截"), ("delimiter", "/"),
                            ("continuation-token", "1/ab+cd==~"), ("encoding-type", "url"), ("max-keys", "1000")]),
        case("query order by name, then value", query=[("b", "2"), ("a", "z"), ("a", "B"), ("A", "1"), ("a-b", "x"),
                                                       ("aé", "y"), ("", "empty name")]),
        case("subresource without value", query=[("uploads", "")], method="POST", key="big file"),
        case("headers", "k", method="PUT", body=b"Welcome", headers=[
            ("If-None-Match", "*"), ("Content-Type", "application/json"), ("x-amz-meta-name", "  many   spaces "),
            ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("Range", "bytes=0-9")]),
        case("port and path style", "bucket/a b", host="127.0.0.1:9000", region="us-east-1"),
        case("token and port and query", "b/k~", query=[("versionId", "a/b+c=")], token=TOKEN, host="localhost:8080",
             method="DELETE"),
    ]
    document = {
        "about": f"made by make_vectors.py with botocore {botocore.__version__}",
        "time": TIME.strftime("%Y%m%dT%H%M%SZ"), "seconds": int(TIME.timestamp()), "accessKeyID": KEY_ID,
        "secretAccessKey": SECRET, "cases": cases,
    }
    target = pathlib.Path(__file__).with_name("vectors.json")
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
