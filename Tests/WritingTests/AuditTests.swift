import Foundation
import MountHarness
import Platform
import Testing

/// The audit by which the other suites judge a bucket finds nothing in what a FastShot client wrote, and finds what is
/// wrong.
@Suite(.timeLimit(.minutes(4))) struct AuditTests {
    @Test(arguments: StoreKind.writable) func aClientsBucketIsClean(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in try world.bucket.expectClean() }
    }

    /// Sessions from a seed are sessions, of the size that was asked for, with the key and without.
    @Test func sessionsFromASeed() throws {
        try MountWorld.with { world in
            for (number, size) in [0, 10_000, 1 << 20].enumerated() {
                let bytes = TestSession.bytes(number, size: size)
                #expect(bytes.count >= size && bytes.count < size + 20_000)
                #expect(!Noise.same(bytes, TestSession.bytes(number + 1, size: size)))
                try world.bucket.client.save(TestSession.fileName(number), bytes)
            }
            try world.bucket.expectClean()
            let plain = String(decoding: TestSession.bytes(7, size: 5000, key: nil), as: UTF8.self)
            #expect(plain.contains(#""name": "\#(TestSession.title(7))""#))
        }
    }

    @Test func whatIsWrongIsFound() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let name = try Fixture.names()[0]
            let stem = name.replacing(".fastshot", with: "")
            let index = "meta_indexes/" + stem + ".meta.json"
            func damaged(
                _ key: String, _ bytes: [UInt8]?, _ text: String, _ location: SourceLocation = #_sourceLocation
            ) throws {
                let before = try Fixture.read(key)
                if let bytes { try world.bucket.put(key, bytes) } else { try world.bucket.remove(key) }
                let problems = try world.bucket.audit()
                #expect(
                    problems.contains { $0.contains(text) }, "\(text): \(problems)", sourceLocation: location)
                try world.bucket.put(key, before)
                try world.bucket.expectClean(location)
            }
            try damaged(index, nil, "body without index")
            try damaged("sessions/" + name, nil, "row without body")
            try damaged("sessions/" + name, nil, "index without body")
            try damaged("sessions/" + name, TestSession.bytes(1), "checksum")
            let text = String(decoding: try Fixture.read(index), as: UTF8.self)
            try damaged(index, Array(text.replacing("image_count", with: "image_Count").utf8), "checksum")
            let overall = String(decoding: try Fixture.read("overall_meta.json"), as: UTF8.self)
            try damaged(
                "overall_meta.json",
                Array(overall.replacing("\"total_sessions\": 37", with: "\"total_sessions\": 36").utf8),
                "overall file")
            try world.bucket.put("sessions/20250101000000_new.fastshot", TestSession.bytes(1))
            #expect(try world.bucket.audit().contains("body without row: 20250101000000_new.fastshot"))
        }
    }
}
