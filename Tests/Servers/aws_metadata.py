#!/usr/bin/env python3
"""The metadata services of EC2 (IMDSv2) and of containers, for tests. Listens on a free loopback port, prints it,
and ends when its standard input does.

The first part of the path says how the service behaves, so that one server does for all tests:
  ok-SECONDS      role `role one`, credentials AKID1, AKID2, … that live so long
  flaky-SECONDS   the same, but only the first credentials; then 500
  nov2 norole norolename denied broken garbage slow
Container credentials: GET /MODE/container with `Authorization: container-token`.
GET /MODE/requests tells what was asked below /MODE, as JSON.
"""

import collections
import datetime
import http.server
import json
import sys
import threading
import urllib.parse

SESSION = "session-token-1"
ROLES = "/latest/meta-data/iam/security-credentials/"
requests = collections.defaultdict(list)
given = collections.Counter()
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b""):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def split(self):
        _, mode, *rest = self.path.split("/", 2)
        path = "/" + (rest[0] if rest else "")
        if path != "/requests":
            with lock:
                requests[mode].append(f"{self.command} {path}")
        return mode, path

    def do_PUT(self):
        mode, path = self.split()
        if mode == "slow":
            threading.Event().wait(30)
        if mode == "nov2":
            return self.answer(403)
        if path != "/latest/api/token":
            return self.answer(404)
        if not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.answer(400)
        self.answer(200, SESSION.encode())

    def do_GET(self):
        mode, path = self.split()
        if path == "/requests":
            with lock:
                return self.answer(200, requests[mode])
        if path == "/container":
            if self.headers.get("Authorization") != "container-token":
                return self.answer(401, {"code": "AccessDenied", "message": "no token"})
            return self.credentials(mode)
        if self.headers.get("X-aws-ec2-metadata-token") != SESSION:
            return self.answer(401)
        if path == ROLES:
            if mode == "norole":
                return self.answer(404)
            return self.answer(200, b"" if mode == "norolename" else b"role one\n")
        if path == ROLES + urllib.parse.quote("role one"):
            return self.credentials(mode)
        self.answer(404)

    def credentials(self, mode):
        name, _, lifetime = mode.partition("-")
        with lock:
            given[mode] += 1
            count = given[mode]
        if name == "broken" or (name == "flaky" and count > 1):
            return self.answer(500, b"s3cr3t internals")
        if name == "garbage":
            return self.answer(200, b"<html>s3cr3t</html>")
        if name == "denied":
            return self.answer(200, {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"})
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(lifetime))
        self.answer(200, {
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": f"AKID{count}", "SecretAccessKey": f"s3cr3t{count}",
            "Token": f"t0k3n{count}", "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
