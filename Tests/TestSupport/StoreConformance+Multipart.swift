internal import ObjectStore
internal import Platform

/// Uploads in parts, conditions of copies, and what a write tells. A store without parts takes large files in one piece.
extension StoreConformance {
    private static let part = 5 << 20

    static let multipart: [Point] = [
        Point(description: "an upload in parts makes the object of them, in order", needs: []) { store, scratch in
            guard let multipart = store.multipart else { return }
            let key = scratch.key("parts 会+.fastshot")
            let bytes = pattern(2 * part + 1000, seed: 31)
            let id = try await multipart.begin(key)
            var parts: [Int: MultipartPart] = [:]
            for number in [3, 1, 2] {
                parts[number] = try await multipart.put(part: number, of: id, key, .bytes(piece(number, of: bytes)))
            }
            let listed = try await multipart.parts(of: id, key)
            try expectEqual(listed, [1, 2, 3].compactMap { parts[$0] }, "the parts that the server has")
            try await expectFailure(.notFound, "head before completion") { _ = try await store.head(key) }
            let info = try await multipart.complete(id, key, parts: listed, .always)
            let (found, read) = try await store.bytes(key)
            try expect(read == bytes, "the object holds other bytes")
            try expectEqual(info.etag, found.etag, "tag of the completion's answer")
            try expectEqual(info.size, UInt64(bytes.count), "size in the completion's answer")
            try expect(info.modified != nil, "a completion must tell when")
        },
        Point(description: "a part can be sent again, and the last one counts", needs: []) { store, scratch in
            guard let multipart = store.multipart else { return }
            let key = scratch.key("again")
            let id = try await multipart.begin(key)
            _ = try await multipart.put(part: 1, of: id, key, .bytes(pattern(part, seed: 1)))
            _ = try await multipart.put(part: 2, of: id, key, .bytes([9]))
            let second = try await multipart.put(part: 1, of: id, key, .bytes(pattern(part, seed: 2)))
            let listed = try await multipart.parts(of: id, key)
            try expectEqual(listed.first, second, "the part that was sent again")
            _ = try await multipart.complete(id, key, parts: listed, .always)
            let bytes = try await store.bytes(key).bytes
            try expect(bytes == pattern(part, seed: 2) + [9], "the object holds other bytes")
        },
        Point(description: "an upload is completed under its condition", needs: []) { store, scratch in
            guard let multipart = store.multipart else { return }
            let key = scratch.key("guarded")
            let old = try await scratch.put("guarded", [1])
            let id = try await multipart.begin(key)
            let parts = [try await multipart.put(part: 1, of: id, key, .bytes([7, 8]))]
            for condition in [WriteCondition.ifAbsent, .ifMatch("00000000000000000000000000000000")] {
                try await expectFailure(.precondition, "completion under \(condition)") {
                    _ = try await multipart.complete(id, key, parts: parts, condition)
                }
                try expectEqual(try await store.bytes(key).bytes, [1], "what was there")
            }
            _ = try await multipart.complete(id, key, parts: parts, old.etag.map { .ifMatch($0) } ?? .always)
            try expectEqual(try await store.bytes(key).bytes, [7, 8], "what was uploaded")
            let second = try await multipart.begin(scratch.key("free"))
            let only = [try await multipart.put(part: 1, of: second, scratch.key("free"), .bytes([5]))]
            _ = try await multipart.complete(second, scratch.key("free"), parts: only, .ifAbsent)
            try expectEqual(try await store.bytes(scratch.key("free")).bytes, [5], "the free object")
        },
        Point(description: "an upload is listed until it is aborted", needs: []) { store, scratch in
            guard let multipart = store.multipart else { return }
            let key = scratch.key("abandoned é")
            let id = try await multipart.begin(key)
            _ = try await multipart.put(part: 1, of: id, key, .bytes([1]))
            let listed = try await multipart.uploads(prefix: scratch.prefix)
            try expectSame(listed.map(\.key), [key], "keys of uploads")
            try expectSame(listed.map(\.uploadID), [id], "ids of uploads")
            try await multipart.abort(id, key)
            try await multipart.abort(id, key)
            try await expectFailure(.notFound, "parts of an aborted upload") {
                _ = try await multipart.parts(of: id, key)
            }
            try expectEqual(try await multipart.uploads(prefix: scratch.prefix), [], "uploads after the abort")
            try await expectFailure(.notFound, "head") { _ = try await store.head(key) }
        },
        Point(description: "a file is uploaded whatever its length", needs: []) { store, scratch in
            let directory = try TemporaryDirectory()
            for length in [0, 1000, 17 << 20] {
                let bytes = pattern(length, seed: UInt64(length + 1))
                let file = try makeFile(bytes, in: directory)
                let notes = Guarded<[Bool]>([])
                let reports = Guarded<[UInt64]>([])
                let key = scratch.key("file \(length)")
                let info = try await store.upload(
                    key, file, length: UInt64(length), .always, resuming: nil,
                    note: { progress in notes.withLock { $0.append(progress != nil) } },
                    progress: { sent in reports.withLock { $0.append(sent) } })
                let (found, read) = try await store.bytes(key, limit: 32 << 20)
                try expect(read == bytes, "\(length) bytes arrived as others")
                try expectEqual(info.etag, found.etag, "tag of the upload's answer")
                try expect(info.modified != nil, "an upload must tell when")
                let sent = reports.withLock { $0 }
                try expect(sent == sent.sorted() && sent.last == UInt64(length), "reports: \(sent)")
                let inParts = length > 16 << 20 && store.multipart != nil
                try expectEqual(notes.withLock { $0 }, inParts ? [true, false] : [], "notes")
                if inParts, store.capabilities.etagIsContentMD5 {
                    let tag = try await MultipartPlan(length: UInt64(length)).tag(of: file)
                    try expectEqual(info.etag, tag, "tag by the parts' contents")
                }
            }
        },
        Point(description: "an upload goes on with the parts that are right", needs: []) { store, scratch in
            guard let multipart = store.multipart else { return }
            let directory = try TemporaryDirectory()
            let bytes = pattern(20 << 20, seed: 77)
            let file = try makeFile(bytes, in: directory)
            let key = scratch.key("resumed")
            let begun = MultipartProgress(
                uploadID: try await multipart.begin(key), key: key, partSize: UInt64(8 << 20))
            let size = 8 << 20
            _ = try await multipart.put(part: 1, of: begun.uploadID, key, .bytes(Array(bytes[..<size])))
            _ = try await multipart.put(part: 2, of: begun.uploadID, key, .bytes(pattern(size, seed: 78)))
            _ = try await store.upload(
                key, file, length: UInt64(bytes.count), .always, resuming: begun, note: { _ in }, progress: { _ in })
            try expect(try await store.bytes(key, limit: 32 << 20).bytes == bytes, "the object holds other bytes")
            // What the server does not know any more is begun anew.
            let gone = MultipartProgress(
                uploadID: try await multipart.begin(scratch.key("gone")), key: scratch.key("gone"),
                partSize: UInt64(size))
            try await store.abandon(gone)
            _ = try await store.upload(
                gone.key, file, length: UInt64(bytes.count), .always, resuming: gone, note: { _ in },
                progress: { _ in })
            try expect(try await store.bytes(gone.key, limit: 32 << 20).bytes == bytes, "begun anew: other bytes")
        },
        Point(description: "an upload keeps to its condition", needs: []) { store, scratch in
            guard store.multipart != nil else { return }
            let directory = try TemporaryDirectory()
            let file = try makeFile(pattern(16 << 20), in: directory)
            try await scratch.put("taken", [1])
            try await expectFailure(.precondition, "upload over something") {
                _ = try await store.upload(
                    scratch.key("taken"), file, length: UInt64(16 << 20), .ifAbsent, resuming: nil,
                    note: { _ in }, progress: { _ in })
            }
            try expectEqual(try await store.bytes(scratch.key("taken")).bytes, [1], "what was there")
        },
        Point(description: "a copy is of the version that was meant", needs: []) { store, scratch in
            let first = try await scratch.put("source", [1])
            let second = try await scratch.put("source", [2, 3])
            let target = scratch.key("target")
            try await expectFailure(.precondition, "copy of a version that is gone") {
                _ = try await store.copy(
                    scratch.key("source"), ifSourceMatch: first.etag, to: target, .always)
            }
            try await expectFailure(.notFound, "head of the target") { _ = try await store.head(target) }
            _ = try await store.copy(scratch.key("source"), ifSourceMatch: second.etag, to: target, .always)
            try expectEqual(try await store.bytes(target).bytes, [2, 3], "the copy")
            try await expectFailure(.notFound, "copy of nothing") {
                _ = try await store.copy(
                    scratch.key("nothing"), ifSourceMatch: nil, to: scratch.key("other"), .always)
            }
        },
        Point(description: "ifMatch holds for the target of a copy", needs: .conditionalCopies) { store, scratch in
            try await scratch.put("new", [1])
            let old = try await scratch.put("target", [2])
            let current = try await scratch.put("target", [3])
            try await expectFailure(.precondition, "copy over a version that is gone") {
                _ = try await store.copy(
                    scratch.key("new"), to: scratch.key("target"), .ifMatch(old.etag ?? ""))
            }
            try expectEqual(try await store.bytes(scratch.key("target")).bytes, [3], "the target")
            _ = try await store.copy(scratch.key("new"), to: scratch.key("target"), .ifMatch(current.etag ?? ""))
            try expectEqual(try await store.bytes(scratch.key("target")).bytes, [1], "the new target")
        },
        Point(description: "a write tells when it happened, as a look does", needs: []) { store, scratch in
            let written = try await scratch.put("dated")
            let found = try await store.head(scratch.key("dated"))
            guard let one = written.modified, let other = found.modified else {
                throw Violation(description: "write: \(written), head: \(found)")
            }
            try expect(one.seconds(since: other).magnitude < 60, "write: \(written), head: \(found)")
        },
        Point(description: "probing for conditions leaves nothing behind", needs: []) { store, _ in
            let first = try await store.probeConditions()
            let second = try await store.probeConditions()
            try expectEqual(first, second, "what is honoured")
            try expectEqual(try await store.list(ListRequest(prefix: ".sessionfs-probe-")).objects, [], "leftovers")
        },
    ]

    private static func piece(_ number: Int, of bytes: [UInt8]) -> [UInt8] {
        Array(bytes.dropFirst((number - 1) * part).prefix(part))
    }

    private static func makeFile(_ bytes: [UInt8], in directory: TemporaryDirectory) throws -> FileDescriptor {
        try directory.write("contents \(bytes.count)", bytes)
        return try FileDescriptor.open(directory.path("contents \(bytes.count)"))
    }
}
