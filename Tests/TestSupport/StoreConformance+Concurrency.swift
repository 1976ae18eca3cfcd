internal import Glibc
internal import ObjectStore
internal import Platform

extension StoreConformance {
    static let concurrency: [Point] = [
        Point(description: "a hundred parallel writes all arrive", needs: []) { store, scratch in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<100 {
                    group.addTask { try await scratch.put("p\(index)", pattern(2000, seed: UInt64(index + 1))) }
                }
                try await group.waitForAll()
            }
            for index in 0..<100 {
                let bytes = try await store.bytes(scratch.key("p\(index)")).bytes
                try expect(bytes == pattern(2000, seed: UInt64(index + 1)), "object \(index) holds other bytes")
            }
        },
        Point(description: "of many ifAbsent writes exactly one wins", needs: .ifAbsentWrites) { store, scratch in
            for round in 0..<5 {
                let key = scratch.key("race\(round)")
                let winners = try await race(16) { index in
                    _ = try await store.put(key, .bytes([UInt8(index)]), .ifAbsent)
                }
                try expectEqual(winners.count, 1, "winners of round \(round)")
                try expectEqual(try await store.bytes(key).bytes, winners.map { UInt8($0) }, "what the winner wrote")
            }
        },
        Point(description: "of many ifMatch writes exactly one wins", needs: .ifMatchWrites) { store, scratch in
            var current = try await scratch.put("counter", [255])
            for round in 0..<5 {
                let tag = current.etag ?? ""
                // Where the tag is made of the contents, equal ones would be one version.
                let mark = UInt8(round)
                let winners = try await race(16) { index in
                    _ = try await store.put(scratch.key("counter"), .bytes([mark, UInt8(index)]), .ifMatch(tag))
                }
                try expectEqual(winners.count, 1, "winners of round \(round)")
                let (info, bytes) = try await store.bytes(scratch.key("counter"))
                try expectEqual(bytes, [mark] + winners.map { UInt8($0) }, "what the winner wrote")
                current = info
            }
        },
        Point(description: "a reader never sees a mixture of two versions", needs: []) { store, scratch in
            let key = scratch.key("mixed")
            try await scratch.put("mixed", [UInt8](repeating: 0, count: 300_000))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for version in 1...12 {
                        try await scratch.put("mixed", [UInt8](repeating: UInt8(version), count: 300_000))
                    }
                }
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<12 {
                            let bytes: [UInt8]
                            // OpenStack Swift has no object for a moment now and then while one is replaced.
                            do throws(StoreError) { bytes = try await store.bytes(key).bytes } catch {
                                guard error.kind == .notFound else { throw error }
                                continue
                            }
                            try expectEqual(bytes.count, 300_000, "length")
                            let wanted = [UInt8](repeating: bytes.first ?? 0, count: 300_000)
                            try expect(bytes == wanted, "bytes of several versions in one body")
                        }
                    }
                }
                try await group.waitForAll()
            }
        },
        Point(description: "cancelling the task ends a read with .cancelled", needs: []) { store, scratch in
            try await scratch.put("large", [UInt8](repeating: 5, count: 8 << 20))
            let sink = PausingSink()
            let read = Task { try await store.get(scratch.key("large"), ReadOptions(), into: sink) }
            sink.cancelAtFirstBytes(read)
            do { _ = try await read.value } catch let error as StoreError {
                return try expectEqual(error.kind, .cancelled, "kind of \(error)")
            }
            throw Violation(description: "the read went on to its end")
        },
        Point(description: "a cancelled task begins nothing", needs: []) { store, scratch in
            let key = scratch.key("unwritten")
            let write = Task {
                while !Task.isCancelled { await Task.yield() }
                _ = try await store.put(key, .bytes(pattern(4 << 20)), .always)
            }
            write.cancel()
            try await expectFailure(.cancelled, "write in a cancelled task") { try await write.value }
            try await expectFailure(.notFound, "head") { _ = try await store.head(key) }
        },
    ]

    /// Runs writers at the same time; those that lose must do so with `.precondition`.
    /// - Returns: who won.
    private static func race(_ count: Int, _ write: @escaping @Sendable (Int) async throws -> Void) async throws
        -> [Int]
    {
        try await withThrowingTaskGroup(of: Int?.self) { group in
            for index in 0..<count {
                group.addTask {
                    do { try await write(index) } catch let error as StoreError where error.kind == .precondition {
                        return nil
                    }
                    return index
                }
            }
            return try await group.reduce(into: []) { winners, index in if let index { winners.append(index) } }
        }
    }
}

/// Cancels its own read when the first bytes are there, and takes none before it can.
private final class PausingSink: ObjectSink {
    private let state = Guarded<Task<ReadOutcome, any Error>?>(nil)

    func cancelAtFirstBytes(_ task: Task<ReadOutcome, any Error>) { state.withLock { $0 = task } }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {}

    func receive(_ bytes: RawSpan) throws(StoreError) {
        while true {
            if let task = state.withLock({ $0 }) { return task.cancel() }
            sched_yield()
        }
    }
}
