#!/usr/bin/env python3
"""latency_proxy.py TARGET_PORT RTT_MS   A line of a given round-trip time in front of a server on 127.0.0.1.

Bytes take half the round trip in each direction, a new connection a whole one. It knows no HTTP except for counting
requests, so that it carries several hundred MB/s. With a round trip of 0 it passes bytes on at once.

Commands are lines of JSON on standard input, each answered by one line on standard output; the first line says which
port it listens on. It ends with its standard input.
  {"statistics": true}   {"reset": true}
"""
import asyncio
import collections
import json
import re
import socket
import sys

REQUEST_LINE = re.compile(rb"(?:GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
VERSION = b" HTTP/1.1\r\n"
# As long as any head that a client sends.
HEAD_LIMIT = 16 << 10
# What may be under way in one direction of one connection: a full line at 1.6 GB/s and 20 ms.
WINDOW = 16 << 20
SLACK = 0.0002


class Proxy:
    def __init__(self, target, rtt):
        self.target = target
        self.rtt = rtt
        self.loop = asyncio.get_running_loop()
        self.connections = 0
        self.waiting = 0
        self.reset()

    def reset(self):
        self.requests = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.accepted = 0
        self.most_connections = self.connections
        self.most_waiting = self.waiting
        self.last = collections.deque(maxlen=50)
        self.kinds = collections.Counter()

    def note(self, line):
        """A request: `PUT /bucket/key HTTP/1.1`. Its kind is the method and the key's directory, or the key at top."""
        self.requests += 1
        self.last.append(line)
        method, path, _ = line.split(" ", 2)
        parts = path.partition("?")[0].split("/")
        key = "/".join(parts[2:])
        self.kinds[f"{method} {key.partition('/')[0] + '/' if '/' in key else key}".rstrip()] += 1

    def statistics(self):
        return {
            "requests": self.requests, "bytes_up": self.bytes_up, "bytes_down": self.bytes_down,
            "accepted": self.accepted, "connections": self.connections, "most_connections": self.most_connections,
            "most_waiting": self.most_waiting, "last": list(self.last), "kinds": dict(self.kinds),
        }


class Side(asyncio.Protocol):
    """One end of a connection. What it receives leaves at the other end half a round trip later."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.transport = None
        self.peer = None
        self.queue = collections.deque()
        self.under_way = 0
        self.timer = None
        self.peer_is_full = False
        self.is_paused = False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=4 << 20)

    def data_received(self, data):
        self.count(data)
        if not self.proxy.rtt:
            self.peer.transport.write(data)
            return
        self.send_later(data)
        self.under_way += len(data)
        self.regulate()

    def send_later(self, data):
        self.queue.append((self.proxy.loop.time() + self.proxy.rtt / 2, data))
        if self.timer is None:
            self.timer = self.proxy.loop.call_at(self.queue[0][0], self.deliver)

    def deliver(self):
        """Passes on what is due. None stands for the end of the connection."""
        self.timer = None
        now = self.proxy.loop.time() + SLACK
        due = []
        while self.queue and self.queue[0][0] <= now:
            due.append(self.queue.popleft()[1])
        ends = bool(due) and due[-1] is None
        if ends:
            due.pop()
        if due and not self.peer.transport.is_closing():
            self.peer.transport.writelines(due)
            self.under_way -= sum(map(len, due))
        if ends:
            self.peer.transport.close()
            return
        self.regulate()
        if self.queue:
            self.timer = self.proxy.loop.call_at(self.queue[0][0], self.deliver)

    def regulate(self):
        """Reads only while there is room on the way and at the other end."""
        full = self.peer_is_full or self.under_way > WINDOW
        if full != self.is_paused and not self.transport.is_closing():
            self.is_paused = full
            if full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def pause_writing(self):
        self.peer.peer_is_full = True
        self.peer.regulate()

    def resume_writing(self):
        self.peer.peer_is_full = False
        self.peer.regulate()

    def connection_lost(self, error):
        if self.peer is not None:
            self.send_later(None)

    def count(self, data):
        raise NotImplementedError


class Client(Side):
    """The side of the client; finds requests in what it sends."""

    def __init__(self, proxy):
        super().__init__(proxy)
        self.head = b""
        self.is_waiting = False

    def connection_made(self, transport):
        super().connection_made(transport)
        proxy = self.proxy
        proxy.accepted += 1
        proxy.connections += 1
        proxy.most_connections = max(proxy.most_connections, proxy.connections)
        # Some versions of asyncio begin to read after this method, whatever it does: Python 3.11.
        self.is_paused = True
        proxy.loop.call_soon(transport.pause_reading)
        self.connecting = proxy.loop.create_task(self.connect())

    async def connect(self):
        await asyncio.sleep(self.proxy.rtt)
        try:
            _, self.peer = await self.proxy.loop.create_connection(
                lambda: Server(self.proxy, self), "127.0.0.1", self.proxy.target)
        except OSError:
            self.transport.abort()
            return
        self.regulate()

    def connection_lost(self, error):
        self.proxy.connections -= 1
        self.answered()
        super().connection_lost(error)

    def count(self, data):
        self.proxy.bytes_up += len(data)
        self.head += data
        end = 0
        # Most of what a client sends are bodies; to look for this first is many times faster.
        lines = REQUEST_LINE.finditer(self.head) if VERSION in self.head else ()
        for found in lines:
            end = found.end()
            self.proxy.note(found[0].decode("latin-1").rstrip())
            if not self.is_waiting:
                self.is_waiting = True
                self.proxy.waiting += 1
                self.proxy.most_waiting = max(self.proxy.most_waiting, self.proxy.waiting)
        self.head = self.head[max(end, len(self.head) - HEAD_LIMIT):]

    def answered(self):
        if self.is_waiting:
            self.is_waiting = False
            self.proxy.waiting -= 1


class Server(Side):
    """The side of the server."""

    def __init__(self, proxy, client):
        super().__init__(proxy)
        self.peer = client

    def count(self, data):
        self.proxy.bytes_down += len(data)
        self.peer.answered()


async def main():
    proxy = Proxy(int(sys.argv[1]), float(sys.argv[2]) / 1000)
    server = await proxy.loop.create_server(lambda: Client(proxy), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    await proxy.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        if "reset" in command:
            proxy.reset()
        print(json.dumps(proxy.statistics()), flush=True)


asyncio.run(main())
