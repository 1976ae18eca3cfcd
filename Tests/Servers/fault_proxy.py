#!/usr/bin/env python3
"""fault_proxy.py TARGET_PORT   An HTTP/1.1 proxy on 127.0.0.1 that misbehaves on command.

Commands are lines of JSON on standard input, each answered by one line on standard output; the first line says which
port it listens on. It ends with its standard input. Commands:
  {"set": {"rtt_ms": 20, "bytes_per_second": 0, "state": "open" | "refusing" | "blackhole"}}
  {"fault": {"kind": K, "at": N, "times": T, "skip": S, "method": M, "path": P, "status": C, "code": E, "retry_after": R}}
  {"clear": true}   {"cut": true}   {"statistics": true}   {"reset": true}
Faults, on the next T requests after S others whose method is M and whose target contains P (both optional):
  drop, reset     closes or resets the connection after N bytes of the response's body
  shorten         only N bytes of the body, and a Content-Length that says so
  corrupt         one wrong bit in byte N of the body
  stall           nothing more after N bytes of the body
  status          answers C itself, with S3's error code E, without asking the server
  lose            the server carries the request out, its answer is lost
"""
import asyncio
import collections
import json
import socket
import struct
import sys

PIECE = 256 << 10
HEAD_LIMIT = 1 << 20


class Dropped(Exception):
    """The connection ends here."""


class Proxy:
    def __init__(self, target):
        self.target = target
        self.rtt = 0.0
        self.rate = 0
        self.state = "open"
        self.faults = []
        self.connections = set()
        self.server = None
        self.port = 0
        self.clocks = {"up": 0.0, "down": 0.0}
        self.reset_statistics()

    def reset_statistics(self):
        self.requests = collections.deque(maxlen=100_000)
        self.bytes = {"up": 0, "down": 0}
        self.accepted = 0
        self.active = 0
        self.most_active = 0
        self.most_connections = len(self.connections)

    def statistics(self):
        return {
            "requests": list(self.requests), "bytes_up": self.bytes["up"], "bytes_down": self.bytes["down"],
            "accepted": self.accepted, "connections": len(self.connections),
            "most_connections": self.most_connections, "most_active": self.most_active,
        }

    async def open(self):
        if self.server is None:
            self.server = await asyncio.start_server(
                self.serve, "127.0.0.1", self.port, limit=HEAD_LIMIT, backlog=1024, reuse_address=True)
            self.port = self.server.sockets[0].getsockname()[1]

    def cut(self):
        for writer in list(self.connections):
            writer.transport.abort()

    async def set(self, settings):
        self.rtt = settings.get("rtt_ms", self.rtt * 1000) / 1000
        self.rate = settings.get("bytes_per_second", self.rate)
        self.state = settings.get("state", self.state)
        if self.state == "refusing":
            if self.server is not None:
                self.server.close()
                self.server = None
            self.cut()
        else:
            await self.open()

    def fault_for(self, method, path):
        for fault in self.faults:
            if fault.get("method") not in (None, method) or fault.get("path", "") not in path:
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
            elif fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault
        return {}

    async def pace(self, direction, count):
        """Waits until the bytes have passed a line of the given bandwidth, which all connections share."""
        self.bytes[direction] += count
        if self.rate:
            now = asyncio.get_running_loop().time()
            self.clocks[direction] = max(self.clocks[direction], now) + count / self.rate
            await asyncio.sleep(self.clocks[direction] - now)

    async def serve(self, reader, writer):
        self.accepted += 1
        self.connections.add(writer)
        self.most_connections = max(self.most_connections, len(self.connections))
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await Connection(self, reader, writer).run()
        except (Dropped, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy = proxy
        self.reader = reader
        self.writer = writer
        self.upstream = None

    async def run(self):
        try:
            await asyncio.sleep(self.proxy.rtt)
            while await self.exchange():
                pass
        finally:
            if self.upstream is not None:
                self.upstream[1].close()

    async def hang(self):
        """Says nothing until the other side gives up."""
        while await self.reader.read(PIECE):
            pass
        raise Dropped

    async def connect(self):
        if self.upstream is not None and not self.upstream[0].at_eof():
            return
        self.upstream = await asyncio.open_connection("127.0.0.1", self.proxy.target, limit=HEAD_LIMIT)
        self.upstream[1].get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def exchange(self):
        proxy = self.proxy
        head = await self.reader.readuntil(b"\r\n\r\n")
        line, fields = parse(head)
        method, path = line.split(" ")[:2]
        proxy.requests.append(f"{method} {path}")
        proxy.bytes["up"] += len(head)
        if proxy.state == "blackhole":
            await self.hang()
        proxy.active += 1
        proxy.most_active = max(proxy.most_active, proxy.active)
        try:
            return await self.answer(head, fields, method, proxy.fault_for(method, path))
        finally:
            proxy.active -= 1

    async def answer(self, head, fields, method, fault):
        await asyncio.sleep(self.proxy.rtt)
        if "expect" in fields:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = without(head, b"expect")
        if fault.get("kind") == "status":
            await self.pass_body(self.reader, None, fields, "up")
            return await self.refuse(fault)
        await self.connect()
        reader, writer = self.upstream
        writer.write(head)
        await self.pass_body(self.reader, writer, fields, "up")
        await writer.drain()
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            line, answer = parse(head)
            status = int(line.split(" ")[1])
            if status >= 200:
                break
        if fault.get("kind") == "lose":
            raise Dropped
        if self.proxy.state == "blackhole":
            await self.hang()
        bodiless = method == "HEAD" or status in (204, 304)
        if fault.get("kind") == "shorten" and not bodiless and "content-length" in answer:
            length = min(fault.get("at", 0), int(answer["content-length"]))
            head = without(head, b"content-length", b"Content-Length: %d" % length)
        self.proxy.bytes["down"] += len(head)
        self.writer.write(head)
        if not bodiless:
            await self.pass_body(reader, self.writer, answer, "down", fault)
        await self.writer.drain()
        if answer.get("connection", "").lower() == "close":
            self.upstream = None
            writer.close()
            return False
        return fields.get("connection", "").lower() != "close"

    async def refuse(self, fault):
        status = fault.get("status", 503)
        code = fault.get("code") or {503: "SlowDown", 500: "InternalError"}.get(status, "Fault")
        body = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        wait = f"Retry-After: {fault['retry_after']}\r\n" if "retry_after" in fault else ""
        self.writer.write(
            f"HTTP/1.1 {status} Injected\r\nContent-Type: application/xml\r\n{wait}"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await self.writer.drain()
        return True

    async def pass_body(self, reader, writer, fields, direction, fault={}):
        if "chunked" in fields.get("transfer-encoding", "").lower():
            while True:
                line = await reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                self.give(writer, line)
                await self.pass_bytes(reader, writer, size + 2, direction, {} if size == 0 else fault)
                if size == 0:
                    return
        elif "content-length" in fields:
            await self.pass_bytes(reader, writer, int(fields["content-length"]), direction, fault)
        elif direction == "down":
            await self.pass_bytes(reader, writer, None, direction, fault)
            raise Dropped

    @staticmethod
    def give(writer, data):
        if writer is not None:
            writer.write(data)

    async def pass_bytes(self, reader, writer, length, direction, fault):
        kind, at, offset = fault.get("kind"), fault.get("at", 0), 0
        while length is None or offset < length:
            if kind in ("drop", "reset", "stall") and offset >= at:
                await self.interrupt(kind)
            if kind == "shorten" and offset >= at:
                return await self.discard(reader, length - offset)
            wanted = PIECE if length is None else min(PIECE, length - offset)
            if kind in ("drop", "reset", "stall", "shorten"):
                wanted = min(wanted, at - offset)
            data = await reader.read(wanted)
            if not data:
                if length is None:
                    return
                raise Dropped
            if kind == "corrupt" and offset <= at < offset + len(data):
                data = bytearray(data)
                data[at - offset] ^= 0x10
            offset += len(data)
            await self.proxy.pace(direction, len(data))
            self.give(writer, data)
            if writer is not None:
                await writer.drain()

    async def discard(self, reader, count):
        while count > 0:
            data = await reader.read(min(PIECE, count))
            if not data:
                raise Dropped
            count -= len(data)

    async def interrupt(self, kind):
        await self.writer.drain()
        if kind == "stall":
            await self.hang()
        if kind == "reset":
            # Let what was written leave first, for a reset throws away what is still in the socket.
            await asyncio.sleep(0.05)
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        raise Dropped


def parse(head):
    lines = head.decode("latin-1").split("\r\n")
    fields = dict((name.strip().lower(), value.strip()) for name, _, value in
                  (line.partition(":") for line in lines[1:] if line))
    return lines[0], fields


def without(head, name, instead=None):
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(name + b":")]
    if instead is not None:
        lines.append(instead)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def obey(proxy, command):
    if "set" in command:
        await proxy.set(command["set"])
    elif "fault" in command:
        proxy.faults.append(command["fault"])
    elif "clear" in command:
        proxy.faults.clear()
    elif "cut" in command:
        proxy.cut()
    elif "reset" in command:
        proxy.reset_statistics()
    elif "statistics" in command:
        return proxy.statistics()
    else:
        return {"error": f"unknown command {command}"}
    return {"ok": True}


async def main():
    proxy = Proxy(int(sys.argv[1]))
    await proxy.open()
    print(json.dumps({"port": proxy.port}), flush=True)
    commands = asyncio.StreamReader(limit=HEAD_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        print(json.dumps(await obey(proxy, json.loads(line))), flush=True)


asyncio.run(main())
