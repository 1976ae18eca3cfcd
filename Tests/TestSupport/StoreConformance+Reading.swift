public import ObjectStore
internal import Platform

/// Names that real clients use or that a careless store mixes up.
let oddNames = [
    "sessions/20260203104512_会议记录 最终.fastshot", "with space and  two", "plus+and%20percent%", "q?x=1&y=2#frag",
    "caf\u{e9}", "cafe\u{301}", "emoji-\u{1f4f8}", "'quotes\"and`ticks", "semi;colon:at@comma,eq=$~!*()[]{}|^<>",
    "back\\slash", ".hidden", "-dash", "UPPER/upper", "tab\tinside", String(repeating: "n", count: 250),
    String(repeating: "会", count: 83), "deep/er/and/deep.er",
]

extension StoreConformance {
    static let reading: [Point] = [
        Point(description: "an object comes back byte for byte, with its facts", needs: []) { store, scratch in
            let bytes = pattern(300_000)
            let written = try await scratch.put("body", bytes)
            try expectEqual(written.size, 300_000, "size of the write's answer")
            try expect(written.etag?.isEmpty == false, "a write must tell the version's tag")
            try expect(written.etag?.contains("\"") == false, "a tag carries no quotes")
            let (info, read) = try await store.bytes(scratch.key("body"))
            try expect(read == bytes, "other bytes came back")
            try expectEqual(info.key, scratch.key("body"), "key")
            try expectEqual(info.size, 300_000, "size of the read's facts")
            try expectEqual(info.etag, written.etag, "tag of write and read")
            let head = try await store.head(scratch.key("body"))
            try expectEqual(head.etag, written.etag, "tag of write and head")
            try expectEqual(head.size, 300_000, "size of head")
            try expect(abs((head.modified ?? .now).seconds(since: .now)) < 86_400, "time of writing is far off")
        },
        Point(description: "an empty object is an object", needs: []) { store, scratch in
            try await scratch.put("empty", [])
            try expectEqual(try await store.bytes(scratch.key("empty")).bytes, [], "body")
            try expectEqual(try await store.head(scratch.key("empty")).size, 0, "size")
            try expectSame(try await scratch.names(), ["empty"], "listing")
        },
        Point(description: "keys are any UTF-8, byte for byte", needs: []) { store, scratch in
            for (index, name) in oddNames.enumerated() { try await scratch.put(name, [UInt8(index)]) }
            for (index, name) in oddNames.enumerated() {
                let (info, bytes) = try await store.bytes(scratch.key(name))
                try expectEqual(bytes, [UInt8(index)], "body of \(name)")
                try expect(info.key.utf8.elementsEqual(scratch.key(name).utf8), "key of \(name): \(info.key)")
            }
            let sorted = oddNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            try expectSame(try await scratch.names(), sorted, "listing")
            for name in oddNames { try await store.delete(scratch.key(name), ifMatch: nil) }
            try expectSame(try await scratch.names(), [], "listing after deleting")
        },
        Point(description: "a body comes from a file of which only the beginning counts", needs: []) { store, scratch in
            let directory = try TemporaryDirectory()
            let bytes = pattern(3_000_000, seed: 2)
            try directory.write("source", bytes + [9, 9, 9])
            let file = try FileDescriptor.open(directory.path("source"))
            let info = try await store.put(scratch.key("file"), .file(file, length: 3_000_000), .always)
            try expectEqual(info.size, 3_000_000, "size")
            try expect(try await store.bytes(scratch.key("file")).bytes == bytes, "other bytes came back")
        },
        Point(description: "ranges give exactly their bytes and may end behind the object", needs: []) {
            store, scratch in
            let bytes = pattern(100_000, seed: 3)
            try await scratch.put("ranges", bytes)
            for range in [0..<1, 99_999..<100_000, 5..<70_000, 0..<100_000, 99_000..<250_000] as [Range<UInt64>] {
                let sink = RecordingSink()
                let outcome = try await store.get(scratch.key("ranges"), ReadOptions(range: range), into: sink)
                guard case .object(let info) = outcome else { throw Violation(description: "no object") }
                try expectEqual(info.size, 100_000, "the whole object's size at \(range)")
                try expectEqual(sink.begins, [range.lowerBound], "where the body of \(range) begins")
                let end = min(Int(range.upperBound), bytes.count)
                try expect(sink.bytes == Array(bytes[Int(range.lowerBound)..<end]), "wrong bytes for \(range)")
            }
        },
        Point(description: "a range that begins behind the object is refused", needs: []) { store, scratch in
            try await scratch.put("short", pattern(10))
            for range in [10..<20, 500..<600] as [Range<UInt64>] {
                try await expectFailure(.permanent, "range \(range) of 10 bytes") {
                    _ = try await store.get(scratch.key("short"), ReadOptions(range: range), into: RecordingSink())
                }
            }
        },
        Point(description: "If-Match reads give this version or none", needs: []) { store, scratch in
            let first = try await scratch.put("pinned", pattern(1000, seed: 4))
            let same = ReadOptions(range: 0..<10, ifMatch: first.etag)
            let sink = RecordingSink()
            _ = try await store.get(scratch.key("pinned"), same, into: sink)
            try expectEqual(sink.bytes, Array(pattern(1000, seed: 4)[0..<10]), "bytes of the version")
            let second = try await scratch.put("pinned", pattern(1000, seed: 5))
            try expect(second.etag != first.etag, "two versions with one tag")
            let untouched = RecordingSink()
            try await expectFailure(.precondition, "read of a version that is gone") {
                _ = try await store.get(scratch.key("pinned"), same, into: untouched)
            }
            try expectEqual(untouched.begins, [], "what a refused read gave to its sink")
        },
        Point(description: "If-None-Match reads say that nothing changed", needs: []) { store, scratch in
            let info = try await scratch.put("cached")
            let options = ReadOptions(ifNoneMatch: info.etag)
            let sink = RecordingSink()
            try expectEqual(
                try await store.get(scratch.key("cached"), options, into: sink), .notModified, "unchanged object")
            try expectEqual(sink.begins, [], "what an unchanged object gave to its sink")
            try await scratch.put("cached", [7, 7])
            guard case .object = try await store.get(scratch.key("cached"), options, into: sink) else {
                throw Violation(description: "a changed object counts as unchanged")
            }
            try expectEqual(sink.bytes, [7, 7], "changed object")
        },
        Point(description: "what is missing is .notFound", needs: []) { store, scratch in
            let key = scratch.key("missing")
            try await expectFailure(.notFound, "head") { _ = try await store.head(key) }
            try await expectFailure(.notFound, "get") { _ = try await store.bytes(key) }
            try await expectFailure(.notFound, "ranged get") {
                _ = try await store.get(key, ReadOptions(range: 0..<5), into: RecordingSink())
            }
            try await expectFailure(.notFound, "copy") {
                _ = try await store.copy(key, to: scratch.key("target"), .always)
            }
            try expectSame(try await scratch.names(), [], "listing of nothing")
        },
        Point(description: "a name that is only a directory of others is no object", needs: []) { store, scratch in
            try await scratch.put("folder/inside")
            try await expectFailure(.notFound, "head") { _ = try await store.head(scratch.key("folder")) }
            try await expectFailure(.notFound, "get") { _ = try await store.bytes(scratch.key("folder")) }
            try await expectFailure(.notFound, "below an object") {
                _ = try await store.head(scratch.key("folder/inside/deeper"))
            }
        },
        Point(description: "what a sink throws ends the read and is thrown on", needs: []) { store, scratch in
            try await scratch.put("refused", pattern(50_000))
            try await expectFailure(.local, "read into a full disk") {
                let sink = RecordingSink(refusing: StoreError(.local, message: "disk full"))
                _ = try await store.get(scratch.key("refused"), ReadOptions(), into: sink)
            }
            try expectEqual(try await store.head(scratch.key("refused")).size, 50_000, "the store goes on working")
        },
    ]
}

/// Keeps what a read delivers, and how.
public final class RecordingSink: ObjectSink {
    private let state = Guarded<(begins: [UInt64], bytes: [UInt8])>(([], []))
    private let refusal: StoreError?

    /// - Parameter refusing: thrown at the first bytes.
    public init(refusing: StoreError? = nil) { refusal = refusing }

    /// The offsets with which reads began.
    public var begins: [UInt64] { state.withLock { $0.begins } }
    /// The bytes of all reads in the order of their arrival.
    public var bytes: [UInt8] { state.withLock { $0.bytes } }

    /// See ``ObjectSink/begin(_:at:)``.
    public func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        state.withLock { $0.begins.append(offset) }
    }

    /// See ``ObjectSink/receive(_:)``.
    public func receive(_ bytes: RawSpan) throws(StoreError) {
        if let refusal { throw refusal }
        state.withLock { state in bytes.withUnsafeBytes { state.bytes.append(contentsOf: $0) } }
    }
}
