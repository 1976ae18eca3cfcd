#!/usr/bin/env python3
"""ministack_server.py PORT   An S3 server from PyPI's `ministack` on 127.0.0.1, which checks signatures (AUTH=true).

Prints {"endpoint", "accessKey", "secretKey"} of a user who may do everything, then runs until it is terminated.
"""
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3

START_SECONDS = 60


def wait_until_ready(endpoint, server):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"ministack ended with status {server.returncode}")
        try:
            urllib.request.urlopen(endpoint + "/_ministack/health", timeout=2).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"ministack did not answer within {START_SECONDS} s")


def main():
    port = sys.argv[1]
    endpoint = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"GATEWAY_PORT": port, "BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "ERROR"}
    server = subprocess.Popen(
        [sys.executable, "-m", "ministack"], env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        wait_until_ready(endpoint, server)
        iam = boto3.client(
            "iam", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test")
        iam.create_user(UserName="sessionfs")
        iam.attach_user_policy(UserName="sessionfs", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        key = iam.create_access_key(UserName="sessionfs")["AccessKey"]
        print(json.dumps({
            "endpoint": endpoint, "accessKey": key["AccessKeyId"], "secretKey": key["SecretAccessKey"]}), flush=True)
        sys.exit(server.wait())
    finally:
        server.terminate()


main()
