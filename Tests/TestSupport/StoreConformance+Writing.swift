internal import ObjectStore

extension StoreConformance {
    static let writing: [Point] = [
        Point(description: "a write replaces the whole object", needs: []) { store, scratch in
            try await scratch.put("replaced", pattern(10_000))
            try await scratch.put("replaced", [1])
            try expectEqual(try await store.bytes(scratch.key("replaced")).bytes, [1], "second version")
            try expectSame(try await scratch.names(), ["replaced"], "listing")
        },
        Point(description: "ifAbsent writes only where nothing is", needs: .ifAbsentWrites) { store, scratch in
            let key = scratch.key("once")
            _ = try await store.put(key, .bytes([1]), .ifAbsent)
            try await expectFailure(.precondition, "second ifAbsent") {
                _ = try await store.put(key, .bytes([2]), .ifAbsent)
            }
            try expectEqual(try await store.bytes(key).bytes, [1], "what the first one wrote")
            try await store.delete(key, ifMatch: nil)
            _ = try await store.put(key, .bytes([3]), .ifAbsent)
            try expectEqual(try await store.bytes(key).bytes, [3], "after a delete")
        },
        Point(description: "ifMatch writes only over this version", needs: .ifMatchWrites) { store, scratch in
            let key = scratch.key("edited")
            let first = try await tag(scratch.put("edited", [1]))
            let second = try await tag(store.put(key, .bytes([2]), .ifMatch(first)))
            try await expectFailure(.precondition, "write over a version that is gone") {
                _ = try await store.put(key, .bytes([3]), .ifMatch(first))
            }
            try expectEqual(try await store.bytes(key).bytes, [2], "what the second write left")
            _ = try await store.put(key, .bytes([4]), .ifMatch(second))
            try expectEqual(try await store.bytes(key).bytes, [4], "third version")
        },
        Point(description: "ifMatch does not write where nothing is", needs: .ifMatchWrites) { store, scratch in
            let key = scratch.key("gone")
            let old = try await tag(scratch.put("gone", [1]))
            try await store.delete(key, ifMatch: nil)
            do { _ = try await store.put(key, .bytes([2]), .ifMatch(old)) } catch let error as StoreError {
                // Amazon S3 answers 404 here, others 412.
                try expect([.precondition, .notFound].contains(error.kind), "wrong kind: \(error.kind): \(error)")
                try await expectFailure(.notFound, "head") { _ = try await store.head(key) }
                return
            }
            throw Violation(description: "an object came to be again")
        },
        Point(description: "delete removes, and absent is fine", needs: []) { store, scratch in
            try await scratch.put("victim")
            try await store.delete(scratch.key("victim"), ifMatch: nil)
            try await expectFailure(.notFound, "head") { _ = try await store.head(scratch.key("victim")) }
            try await store.delete(scratch.key("victim"), ifMatch: nil)
            try await store.delete(scratch.key("never/was"), ifMatch: nil)
        },
        Point(description: "delete of a version leaves another one", needs: .ifMatchDeletes) { store, scratch in
            let key = scratch.key("guarded")
            let first = try await tag(scratch.put("guarded", [1]))
            let second = try await tag(scratch.put("guarded", [2]))
            try await expectFailure(.precondition, "delete of a version that is gone") {
                try await store.delete(key, ifMatch: first)
            }
            try expectEqual(try await store.bytes(key).bytes, [2], "the other version")
            try await store.delete(key, ifMatch: second)
            try await expectFailure(.notFound, "head") { _ = try await store.head(key) }
        },
        Point(description: "copy makes an equal object of any name", needs: []) { store, scratch in
            let bytes = pattern(200_000, seed: 6)
            let source = "source 会+%20.fastshot"
            let target = "copies/target é+%41.fastshot"
            try await scratch.put(source, bytes)
            let info = try await store.copy(scratch.key(source), to: scratch.key(target), .always)
            try expect(info.etag?.contains("\"") != true, "a tag carries no quotes")
            let (found, read) = try await store.bytes(scratch.key(target))
            try expect(read == bytes, "the copy holds other bytes")
            try expectEqual(info.etag, found.etag, "tag of the copy's answer")
            try expect(try await store.bytes(scratch.key(source)).bytes == bytes, "the source changed")
        },
        Point(description: "conditions hold for the target of a copy", needs: .conditionalCopies) { store, scratch in
            try await scratch.put("from", [1])
            try await scratch.put("to", [2])
            try await expectFailure(.precondition, "copy over something") {
                _ = try await store.copy(scratch.key("from"), to: scratch.key("to"), .ifAbsent)
            }
            try expectEqual(try await store.bytes(scratch.key("to")).bytes, [2], "the target")
            _ = try await store.copy(scratch.key("from"), to: scratch.key("free"), .ifAbsent)
            try expectEqual(try await store.bytes(scratch.key("free")).bytes, [1], "the free target")
        },
        Point(description: "the container can be created twice", needs: []) { store, scratch in
            try await store.createContainer()
            try await store.createContainer()
            try await scratch.put("after")
            try expectEqual(try await store.head(scratch.key("after")).size, 3, "size")
        },
    ]

    private static func tag(_ info: ObjectInfo) throws -> String {
        guard let tag = info.etag else { throw Violation(description: "a write must tell the version's tag") }
        return tag
    }
}
