import Foundation
import MountHarness
import Platform
import Testing

/// Reading bodies: once from the store, then from the cache, in whatever order.
@Suite(.timeLimit(.minutes(3))) struct BodyTests {
    private static let name = "20250101000000_big.fastshot"

    /// A world with one large body.
    private func withBody(
        _ kind: StoreKind = .directory, megabytes: Int, _ test: (MountWorld, [UInt8]) throws -> Void
    ) throws {
        try MountWorld.with(kind) { world in
            let body = try Noise.bytes(megabytes << 20 | 12_345)
            try world.bucket.put("sessions/" + Self.name, body)
            try world.mount(["-o", "poll_interval=1h"])
            try test(world, body)
        }
    }

    @Test(arguments: StoreKind.allCases) func manyReadersAreOneDownload(_ kind: StoreKind) throws {
        try withBody(kind, megabytes: 16) { world, body in
            let before = try world.status()
            let readers = try (0..<30).map { _ in
                try Child("cksum", ["-a", "sha256", "--untagged", world.body(Self.name)])
            }
            let local = world.root + "/local"
            try Files.replace(local, with: body)
            let expected = Shell.run("cksum", ["-a", "sha256", "--untagged", local]).output.prefix(64)
            for reader in readers {
                let result = reader.wait(seconds: 100)
                #expect(result.status == 0 && result.output.prefix(64) == expected, "\(result.errors)")
            }
            let after = try world.status()
            // Ranges that were asked for twice at the seams are few; thirty downloads they are not.
            #expect(try (body.count...body.count * 3 / 2).contains(after.number("cache.downloaded_bytes")))
            #expect(try after.number("cache.hits") + after.number("cache.misses") == 30)
            // Ranges of one object; a request for each reader would be more.
            #expect(try after.requests() - before.requests() < 30)
            #expect(try world.json(["ops", "list", world.point])["operations"] is [Any])
        }
    }

    @Test(arguments: StoreKind.allCases) func aSecondOpenAsksTheStoreForNothing(_ kind: StoreKind) throws {
        try withBody(kind, megabytes: 3) { world, body in
            #expect(ExtendedAttributes.value("user.sessionfs.state", of: world.body(Self.name)) == "remote")
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.eventually("the body is cached") {
                ExtendedAttributes.value("user.sessionfs.state", of: world.body(Self.name)) == "cached"
            }
            let before = try world.status().requests()
            for _ in 0..<3 { #expect(Noise.same(try Files.read(world.body(Self.name)), body)) }
            #expect(try world.status().requests() == before)
            #expect(try world.status().number("cache.hits") >= 2)
            #expect(try world.status().number("cache.bytes") == body.count)
        }
    }

    @Test(arguments: ["", "--no-passthrough"]) func readsInAnyOrder(_ option: String) throws {
        try MountWorld.with { world in
            let body = try Noise.bytes(96 << 20 | 777)
            try world.bucket.put("sessions/" + Self.name, body)
            try world.mount((option.isEmpty ? [] : [option]) + ["-o", "poll_interval=1h"])
            let size = UInt64(body.count)
            // While it arrives, and again when it is in the cache.
            for round in 0..<2 {
                let file = try FileDescriptor.open(world.body(Self.name))
                var offsets = (0..<60).map { _ in UInt64.random(in: 0..<size) }
                offsets = [size - 1, size - 4096, 0, size / 2, 4095, 1 << 20] + offsets
                for offset in offsets {
                    let count = Int.random(in: 1...300_000)
                    let bytes = try file.read(at: offset, count: count)
                    let expected = Array(body[Int(offset)..<min(body.count, Int(offset) + count)])
                    #expect(Noise.same(bytes, expected), "round \(round), \(count) at \(offset)")
                }
                // At the end and behind it there is nothing.
                #expect(try file.read(at: size, count: 100).isEmpty)
                #expect(try file.read(at: size + 5000, count: 100).isEmpty)
                #expect(try file.read(at: 1 << 40, count: 1).isEmpty)
                #expect(try file.read(at: size - 10, count: 100) == Array(body.suffix(10)))
                file.closeNow()
            }
            #expect(Noise.same(try Files.read(world.body(Self.name), limit: 1 << 30), body))
        }
    }

    @Test(arguments: StoreKind.allCases) func mapsIntoMemory(_ kind: StoreKind) throws {
        try withBody(kind, megabytes: 8) { world, body in
            let script = """
                import hashlib, mmap, sys
                with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
                    tail = bytes(m[-1000:])
                    middle = bytes(m[4_000_000:4_100_000])
                    print(hashlib.sha256(m).hexdigest(), hashlib.sha256(middle + tail).hexdigest())
                """
            let local = world.root + "/local"
            try Files.replace(local, with: body)
            #expect(try Shell.python(script, [world.body(Self.name)]) == Shell.python(script, [local]))
            #expect(try Shell.python(script, [world.body(Self.name)]) == Shell.python(script, [local]))
        }
    }

    @Test func anEmptyBodyAndOneByte() throws {
        try MountWorld.with { world in
            try world.bucket.put("sessions/20250101000000_empty.fastshot", "")
            try world.bucket.put("sessions/20250101000001_one.fastshot", "1")
            try world.mount()
            for _ in 0..<3 {
                #expect(try Files.read(world.body("20250101000000_empty.fastshot")).isEmpty)
                #expect(try Files.read(world.body("20250101000001_one.fastshot")) == Array("1".utf8))
            }
        }
    }

    /// The catalog believes in a size that the object does not have: the reader gets the object.
    @Test func aWrongSizeInTheOverallFileDoesNotCutTheBody() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let name = try Fixture.names()[0]
            let body = try Fixture.read("sessions/" + name)
            let overall = String(decoding: try Fixture.read("overall_meta.json"), as: UTF8.self)
            for wrong in [body.count / 2, body.count * 2] {
                try world.bucket.put(
                    "overall_meta.json",
                    overall.replacingOccurrences(of: "\"file_size\": \(body.count)", with: "\"file_size\": \(wrong)"))
                try world.mount()
                #expect(Noise.same(try Files.read(world.body(name)), body))
                #expect(try Files.status(world.body(name))?.size == UInt64(body.count))
                try world.unmount(nil, ["--purge"])
            }
        }
    }

    @Test func theCacheKeepsItsLimit() throws {
        try MountWorld.with { world in
            let bodies = try (0..<6).map { _ in try Noise.bytes(1 << 20) }
            let names = (0..<6).map { "2025010100000\($0)_limited.fastshot" }
            for (name, body) in zip(names, bodies) { try world.bucket.put("sessions/" + name, body) }
            try world.mount(["-o", "cache_max=3M,poll_interval=1h"])
            for _ in 0..<2 {
                for (name, body) in zip(names, bodies) {
                    #expect(Noise.same(try Files.read(world.body(name)), body))
                    try world.eventually("the cache is within its limit") {
                        try world.status().number("cache.bytes") <= 3 << 20
                    }
                }
            }
            #expect(try world.status().number("cache.limit") == 3 << 20)
        }
    }

    /// A full disk under the cache: the reader hears of it, and all is well when there is room again.
    @Test func aFullDiskIsNoSpace() throws {
        try #require(geteuid() == 0, "this test mounts a small tmpfs: run it as root")
        try MountWorld.with { world in
            let cache = world.root + "/small"
            try Files.makePrivateDirectory(cache)
            #expect(Shell.run("mount", ["-t", "tmpfs", "-o", "size=12m,mode=700", "none", cache]).status == 0)
            defer { #expect(Shell.run("umount", ["-l", cache]).status == 0) }
            let body = try Noise.bytes(6 << 20)
            try world.bucket.put("sessions/" + Self.name, body)
            try world.bucket.put("sessions/20250101000001_small.fastshot", "small")
            try world.mount(["--cache-dir", cache, "-o", "poll_interval=1h"])
            try Files.replace(cache + "/filler", with: Noise.bytes(5 << 20))
            try Files.replace(cache + "/filler2", with: Noise.bytes(4 << 20))
            let refused = Posix.read(world.body(Self.name))
            #expect(refused.error == ENOSPC, "\(refused.error) after \(refused.bytes.count)")
            // What was given is right, and the rest of the mount lives on.
            #expect(Noise.same(refused.bytes, Array(body.prefix(refused.bytes.count))))
            #expect(try world.sessions().count == 2)
            #expect(try Files.read(world.body("20250101000001_small.fastshot")) == Array("small".utf8))
            try world.eventually("status shows it") { !((try world.status().value("errors") as? [Any] ?? []).isEmpty) }
            try Files.remove(cache + "/filler")
            try Files.remove(cache + "/filler2")
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.unmount()
        }
    }

    /// Somebody damages a cached file: it is noticed, and the body fetched again.
    @Test func aDamagedCacheFileIsNotServed() throws {
        try withBody(megabytes: 1) { world, body in
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            let cached = try world.cacheDirectory() + "/sessions/" + Self.name
            try world.unmount(nil, ["--keep-cache"])
            let file = try FileDescriptor.open(cached, .readWrite)
            try file.write([1, 2, 3, 4, 5, 6, 7, 8], at: 500_000)
            try world.mount(learnt: false)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.eventually("it is cached again") { try world.status().number("cache.bodies") == 1 }
            try world.unmount(nil, ["--keep-cache"])
            try Files.remove(cached)
            try world.mount(learnt: false)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
        }
    }
}
