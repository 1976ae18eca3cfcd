import Foundation
import MountHarness
import Platform
import Testing

/// What is uploaded is what a FastShot client would have uploaded.
@Suite(.timeLimit(.minutes(4))) struct MetadataTests {
    /// Every session that a FastShot client wrote, copied into an empty bucket: its index is the client's, byte for byte,
    /// and its row says the same.
    @Test(arguments: StoreKind.writable) func indexesAreTheClients(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let copied = Shell.run("sh", ["-c", "cp \"$0\"/sessions/* \"$1\"/sessions/", Fixture.bucket, world.point])
            #expect(copied.status == 0, "\(copied.errors)")
            try world.drain()
            let objects = try world.bucket.objects()
            #expect(objects.keys.sorted() == (try Fixture.keys()).sorted())
            for key in try Fixture.keys() where key != "overall_meta.json" {
                #expect(Noise.same(objects[key] ?? [], try Fixture.read(key)), "\(key)")
            }
            try world.bucket.expectClean()
            // A directory's tags are no checksums: its rows have another one, which the audit has compared.
            let withSums = kind != .directory
            let expected = try rows(Fixture.read("overall_meta.json"), withSums)
            #expect(try rows(objects["overall_meta.json"] ?? [], withSums) == expected)
            try world.refresh()
            #expect(try rows(Files.read(world.point + "/overall_meta.json"), withSums) == expected)
        }
    }

    /// What the rows of an overall file say that does not depend on the time of the upload.
    private func rows(_ bytes: [UInt8], _ withSums: Bool) throws -> [String: String] {
        let file = try #require(JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        #expect(file["total_sessions"] as? Int == (file["sessions"] as? [Any])?.count)
        let rows = try #require(file["sessions"] as? [[String: Any]])
        return try Dictionary(
            uniqueKeysWithValues: rows.map { row in
                (
                    try #require(row["filename"] as? String),
                    "\(row["file_size"] ?? "") \(withSums ? row["checksum"] ?? "" : "")"
                )
            })
    }

    /// A FastShot client sees what was uploaded, and reads it; and what it does on the same bucket is seen here.
    @Test(arguments: StoreKind.allCases) func aFastShotClientWorksOnTheSameBucket(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let client = world.bucket.client
            for number in 0..<3 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            try world.drain()
            #expect(try client.list() == (0..<3).map { TestSession.fileName($0) })
            try client.save(TestSession.fileName(3), TestSession.bytes(3))
            try client.delete(TestSession.fileName(0))
            try world.refresh()
            #expect(try world.sessions() == (1..<4).map { TestSession.fileName($0) })
            #expect(world.holds(TestSession.fileName(3), TestSession.bytes(3)))
            try world.save(TestSession.fileName(4), TestSession.bytes(4))
            try world.delete(TestSession.fileName(3))
            try world.drain()
            #expect(try client.list() == [1, 2, 4].map { TestSession.fileName($0) })
            try world.bucket.expectClean()
        }
    }

    /// The overall file of a client that overwrote it without looking: the row of a session of ours is back soon.
    @Test func aLostRowComesBack() throws {
        try MountWorld.with(.ministack) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1s"]
            try world.mount()
            try world.bucket.client.save(TestSession.fileName(0), TestSession.bytes(0))
            let before = try #require(try world.bucket.object("overall_meta.json"))
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.drain()
            try world.bucket.expectClean()
            try world.bucket.put("overall_meta.json", before)
            #expect(try world.bucket.audit() == ["body without row: \(TestSession.fileName(1))"])
            try world.eventually("the row is back") { try world.bucket.audit().isEmpty }
            // Also after a restart of the daemon.
            try world.unmount()
            try world.bucket.put("overall_meta.json", before)
            try world.mount()
            try world.eventually("the row is back again") { try world.bucket.audit().isEmpty }
            #expect(try world.sessions() == [TestSession.fileName(0), TestSession.fileName(1)])
        }
    }

    /// The row of a client that is gone, as it can be after a write of ours on a server without conditions, or after one of
    /// another client: the client writes it no more, and who has written the overall file lately does.
    @Test(arguments: [StoreKind.directory, .openStackSwift]) func aRowThatItsClientLostComesBack(
        _ kind: StoreKind
    ) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1s"]
            world.extra = ["SESSIONFS_ROW_PATIENCE": "2"]
            try world.mount()
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.drain()
            let before = try #require(try world.bucket.object("overall_meta.json"))
            try world.bucket.client.save(TestSession.fileName(2), TestSession.bytes(2))
            try world.bucket.put("overall_meta.json", before)
            #expect(try world.bucket.audit() == ["body without row: \(TestSession.fileName(2))"])
            try world.refresh()
            try world.eventually("the row is back") { try world.bucket.audit().isEmpty }
            let names = [TestSession.fileName(1), TestSession.fileName(2)]
            #expect(try world.bucket.client.list() == names)
            #expect(try world.sessions() == names)
        }
    }

    /// What is no session is refused with its reason, stays here, and is sent on request, with basic facts.
    @Test func foreignContents() throws {
        try MountWorld.with { world in
            let name = "20260203040506_notes.fastshot"
            let body = Array("these are no windows".utf8)
            try world.mount()
            try world.save(name, body)
            #expect(world.flush().status == 3)
            let refused = try #require(try world.queue().first)
            #expect(refused.name == name && refused.state == "refused" && !refused.reason.isEmpty, "\(refused)")
            #expect(world.state(name) == "refused")
            #expect(try world.status().number("queue.refused") == 1)
            #expect(world.holds(name, body))
            #expect(try world.bucket.keys().filter { $0 != "overall_meta.json" }.isEmpty)
            // It is still here with the next mount, which is told to send such files.
            let ended = world.run(["unmount", world.point])
            #expect(ended.status == 3 && (ended.output + ended.errors).contains(name), "\(ended)")
            try world.mount(["--foreign", "basic"])
            #expect(world.holds(name, body))
            try world.tell("queue", "retry")
            try world.drain()
            #expect(try world.bucket.bodies() == [name: body])
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) == "notes")
            try world.bucket.expectClean()
        }
    }

    /// With the wrong key nothing can be told from noise: it is refused, not sent with metadata that are wrong.
    @Test func aWrongKeyRefuses() throws {
        try MountWorld.with { world in
            let configuration = world.root + "/other.key"
            try Files.replace(configuration, with: Array("another-key\n".utf8))
            world.options = ["--key-file", configuration]
            try world.mount()
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            #expect(world.flush().status == 3)
            #expect(world.state(TestSession.fileName(1)) == "refused")
            let file = try #require(try world.queue().first)
            #expect(file.reason.lowercased().contains("key"), "\(file.reason)")
        }
    }
}
