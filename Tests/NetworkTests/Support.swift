import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// A mount through a line that misbehaves, with two sessions in the bucket: the first is cached, the second is not.
func withLine(_ options: [String] = [], _ body: (MountWorld, FaultProxy) throws -> Void) throws {
    try MountWorld.with(.ministack, proxied: true) { world in
        world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"] + options
        try world.bucket.client.save(TestSession.fileName(0), TestSession.bytes(0))
        try world.bucket.client.save(TestSession.fileName(1), TestSession.bytes(1))
        try world.mount()
        #expect(world.holds(TestSession.fileName(0), TestSession.bytes(0)))
        try world.eventually("the body is cached") { world.state(TestSession.fileName(0)) == "cached" }
        try body(world, try #require(world.bucket.proxy))
    }
}

extension Machine {
    /// `connection.state` of the status: `online`, `offline`, `forced`.
    func connection() throws -> String { try status().text("connection.state") }

    /// Everything that needs no network works: listings, attributes, cached bodies, saving, removing, renaming.
    /// - Returns: what is to be in the bucket once it can be reached.
    func workWithoutNetwork(_ location: SourceLocation = #_sourceLocation) throws -> [String: [UInt8]] {
        browse(2, location)
        #expect(holds(TestSession.fileName(0), TestSession.bytes(0)), sourceLocation: location)
        try save(TestSession.fileName(2), TestSession.bytes(2))
        try save(TestSession.fileName(0), TestSession.bytes(10))
        try save(TestSession.fileName(3), TestSession.bytes(3))
        try rename(TestSession.fileName(3), to: TestSession.fileName(4))
        browse(4, location)
        #expect(holds(TestSession.fileName(4), TestSession.bytes(3)), sourceLocation: location)
        return [
            TestSession.fileName(0): TestSession.bytes(10), TestSession.fileName(1): TestSession.bytes(1),
            TestSession.fileName(2): TestSession.bytes(2), TestSession.fileName(4): TestSession.bytes(3),
        ]
    }

    /// Lists everything with sizes and attributes.
    func browse(_ count: Int, _ location: SourceLocation = #_sourceLocation) {
        let listed = Shell.run("ls", ["-l", point + "/sessions"])
        #expect(listed.status == 0, "\(listed.errors)", sourceLocation: location)
        let lines = listed.output.split(separator: "\n").filter { $0.hasSuffix(".fastshot") }
        #expect(lines.count == count, "\(listed.output)", sourceLocation: location)
        #expect(Shell.run("getfattr", ["-d", "-R", point + "/sessions"]).status == 0, sourceLocation: location)
    }

    /// Waits until everything has been sent, and holds bucket and mount to what is expected.
    func replay(_ expected: [String: [UInt8]], _ location: SourceLocation = #_sourceLocation) throws {
        try eventually("everything is sent", seconds: 150, location) { flush([], seconds: 120, location).status == 0 }
        let bodies = try bucket.bodies()
        #expect(bodies.keys.sorted() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected {
            #expect(Noise.same(bodies[name] ?? [], bytes), "\(name)", sourceLocation: location)
            #expect(holds(name, bytes), "\(name)", sourceLocation: location)
        }
        #expect(try queue().isEmpty && conflicts(all: true).isEmpty, sourceLocation: location)
        try bucket.expectClean(location)
    }
}
