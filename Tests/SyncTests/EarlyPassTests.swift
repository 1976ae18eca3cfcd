import Digests
import Foundation
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// Contents that are gone through while they are still being written.
@Suite(.timeLimit(.minutes(2))) struct EarlyPassTests {
    private let name = fileName(1)
    private let size = 24 << 20

    /// A session whose every block is another.
    private func large(_ seed: UInt64) -> [UInt8] {
        let head = #"{"metadata":{"name":"large \#(seed)","created_at":"2025-02-03T04:05:06"},"#
        var bytes = Array((head + #""session":{"version":"1.0","windows":[{"image_data":""#).utf8)
        let tail = Array(#""}]}}"#.utf8)
        let block = [UInt8](repeating: UInt8(ascii: "A") + UInt8(seed), count: 4000)
        // Each block begins with its number, so that none can be taken for another.
        while bytes.count < size - tail.count {
            let piece = Array("\(bytes.count)/".utf8) + block
            bytes += piece.prefix(size - tail.count - bytes.count)
        }
        return bytes + tail
    }

    private struct Made {
        let staging: Staging
        let passes: EarlyPasses
        let rig: PublishRig
    }

    private func made() throws -> Made {
        let rig = try PublishRig()
        let passes = EarlyPasses(key: nil, .parts(.sha256), pool: BlockingPool(name: "test"))
        // In place of the publisher's own.
        rig.staging.onGrowth { passes.note($0, $1) }
        return Made(staging: rig.staging, passes: passes, rig: rig)
    }

    private func write(_ bytes: [UInt8], to file: StagedFile, from start: Int = 0) throws {
        for offset in stride(from: start, to: bytes.count, by: 1 << 20) {
            let piece = Array(bytes[offset..<min(bytes.count, offset + 1 << 20)])
            try file.write(piece.span.bytes, at: UInt64(offset))
        }
    }

    private func facts(_ made: Made, _ pass: StagedPass) throws -> StagedFacts {
        let content = try #require(made.staging.changes().first?.content)
        let file = try FileDescriptor.open(content.path)
        let name = try #require(SessionName(fileName: name))
        return try StagedFacts.examine(content, file: file, name: name, foreign: .refuse, pass).get()
    }

    @Test func aFileWrittenInOrderIsKnownWhenItIsClosed() async throws {
        let made = try made()
        let bytes = large(1)
        let file = try made.staging.create(name)
        try write(bytes, to: file)
        file.close()
        let path = try #require(made.staging.changes().first?.content?.path)
        try await eventually { made.passes.offsets[path] == UInt64(size) }
        let pass = try #require(made.passes.take(path))
        #expect(made.passes.take(path) == nil)
        let found = try facts(made, pass)
        #expect(found.sha256 == SHA256.hex(bytes))
        #expect(found.md5 == nil)
        #expect(found.metadata.name == "large 1")
    }

    /// So that a part need not be read again before it is sent.
    @Test(arguments: [Algorithm.md5, .sha256]) func aPassKnowsThePartsThatItHasComePast(_ algorithm: Algorithm) throws {
        let bytes = large(8) + [1, 2, 3]
        let directory = try TemporaryDirectory()
        try directory.write("file", bytes)
        let file = try FileDescriptor.open(directory.path("file"))
        let pass = StagedPass(key: nil, .parts(algorithm))
        let plan = MultipartPlan(length: UInt64(bytes.count))
        func digest(_ number: UInt64) -> [UInt8]? {
            let start = UInt64(number) * plan.partSize
            let found = pass.digests(of: start..<min(start + plan.partSize, UInt64(bytes.count)))
            return algorithm == .md5 ? found.md5 : found.sha256
        }
        // Ends of what is written are no ends of parts.
        try pass.advance(file, to: plan.partSize - 1000)
        #expect(digest(0) == nil)
        try pass.advance(file, to: plan.partSize + 5000)
        let first = bytes[..<Int(plan.partSize)], second = bytes[Int(plan.partSize)..<Int(2 * plan.partSize)]
        #expect(digest(0) == algorithm.hash(first.span.bytes))
        #expect(digest(1) == nil)
        #expect(pass.digests(of: 0..<plan.partSize / 2) == ContentDigests(), "parts of another length")
        _ = try pass.finish(file, name: try #require(SessionName(fileName: name)), size: UInt64(bytes.count))
        #expect(digest(0) == algorithm.hash(first.span.bytes))
        #expect(digest(1) == algorithm.hash(second.span.bytes))
        #expect(digest(3) == nil, "the rest is no whole part")
        let other = StagedPass(key: nil, .whole)
        _ = try other.finish(file, name: try #require(SessionName(fileName: name)), size: UInt64(bytes.count))
        #expect(other.digests(of: 0..<plan.partSize) == ContentDigests())
    }

    enum Later: CaseIterable { case overwritten, cut, cutAndWrittenAgain, firstPartAgain }

    @Test(arguments: Later.allCases) func whatIsTouchedAgainIsGoneThroughAnew(later: Later) async throws {
        let made = try made()
        var bytes = large(2)
        let file = try made.staging.create(name)
        try write(bytes, to: file)
        let path = try #require(made.passes.offsets.keys.first)
        switch later {
        case .overwritten:
            bytes[1 << 20] ^= 1
            try file.write([bytes[1 << 20]].span.bytes, at: 1 << 20)
        case .cut:
            bytes = Array(bytes[..<(2 << 20)])
            try file.truncate(to: 2 << 20)
        case .cutAndWrittenAgain:
            bytes = large(3)
            try file.truncate(to: 0)
            try write(bytes, to: file)
        case .firstPartAgain:
            bytes[0] ^= 1
            try file.write([bytes[0]].span.bytes, at: 0)
        }
        file.close()
        #expect(made.passes.take(path) == nil)
        // And the publisher sends what the file is now.
        made.rig.staging.onGrowth { _, _ in }
        let pass = StagedPass(key: nil, .whole)
        let content = try #require(made.staging.changes().first?.content)
        let end = try pass.finish(
            try FileDescriptor.open(content.path), name: try #require(SessionName(fileName: name)), size: content.size)
        #expect(end.sha256 == SHA256.hex(bytes))
    }

    @Test func aWriteBehindAGapAndAReservationCountForNothing() async throws {
        let made = try made()
        let bytes = large(4)
        let file = try made.staging.create(name)
        try file.allocate(0..<UInt64(bytes.count), keepingSize: false)
        try file.write(Array(bytes[(20 << 20)...]).span.bytes, at: 20 << 20)
        try write(Array(bytes[..<(20 << 20)]), to: file)
        file.close()
        let path = try #require(made.staging.changes().first?.content?.path)
        let pass = try #require(made.passes.take(path))
        #expect(try facts(made, pass).sha256 == SHA256.hex(bytes))
    }

    /// The program's own way: the row and the index tell of the bytes that were written last.
    @Test(arguments: [false, true]) func theBucketTellsOfTheLastBytes(isTouched: Bool) async throws {
        let rig = try PublishRig()
        var bytes = large(5)
        let file = try rig.staging.create(name)
        try write(bytes, to: file)
        let place = 1 << 20
        try await eventually { rig.publisher.context.early.offsets.values.contains { $0 > place } }
        if isTouched {
            bytes[place] = bytes[place] == 65 ? 66 : 65
            try file.write([bytes[place]].span.bytes, at: UInt64(place))
        }
        file.close()
        #expect(await rig.flush() == [])
        #expect(rig.row(1)?.checksum == .sha256(SHA256.hex(bytes)))
        #expect(rig.bucket.peek(bodyKey(1)) == bytes)
        #expect(rig.disorder == [])
    }

    /// Files that are never sent take no place for ever.
    @Test func theOldestGivesWay() async throws {
        let made = try made()
        let bytes = large(6)
        for number in 1...EarlyPasses.most + 2 {
            let file = try made.staging.create("\(number).part")
            try write(bytes, to: file)
            file.close()
        }
        #expect(made.passes.offsets.count == EarlyPasses.most)
        let last = try #require(made.staging.changes().last?.content?.path)
        #expect(made.passes.take(last) != nil)
    }

    /// The space of a removed file is free at once.
    @Test func noFileIsKeptOpen() async throws {
        let made = try made()
        func writtenAndRemoved() throws -> String {
            let file = try made.staging.create(name)
            try write(large(7), to: file)
            let path = try #require(made.passes.offsets.keys.first)
            _ = try made.staging.remove(name)
            file.close()
            return path
        }
        let path = try writtenAndRemoved()
        try await eventually {
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }
            return !open.contains { $0.hasPrefix(path) }
        }
    }
}
