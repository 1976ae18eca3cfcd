import Digests
import Platform
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// The MD5 of contents that go in parts.
@Suite(.timeLimit(.minutes(1))) struct LateMD5Tests {
    private let directory: TemporaryDirectory
    private let bytes = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 13) }

    init() throws {
        directory = try TemporaryDirectory()
        try directory.write("file", bytes)
    }

    private func examination(
        size: UInt64? = nil, md5: String? = nil, _ stop: PublishStop? = nil, after gate: Guarded<Bool> = Guarded(true)
    ) throws -> Examination {
        let name = try #require(SessionName(fileName: fileName(1)))
        let facts = StagedFacts(
            size: size ?? UInt64(bytes.count), md5: md5, sha256: "",
            metadata: SessionMetadata(basicFactsOf: name, size: 1))
        return Examination(of: try FileDescriptor.open(directory.path("file")), StagedPass(key: nil, .whole)) {
            while !gate.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(2)) }
            return stop.map { .failure($0) } ?? .success(facts)
        }
    }

    @Test func itIsThatOfTheFile() async throws {
        let late = LateMD5(try examination(), patience: 600)
        late.begin()
        #expect(await late.md5 == MD5.hex(bytes))
    }

    /// The line is not busy with it then.
    @Test func itIsTakenBesideABodyThatTakesLong() async throws {
        #expect(await LateMD5(try examination(), patience: 0.05).md5 == MD5.hex(bytes))
    }

    @Test func whatIsKnownIsNotTakenAgain() async throws {
        #expect(await LateMD5(try examination(md5: "known")).md5 == "known")
    }

    @Test func contentsThatAreNotSentHaveNone() async throws {
        #expect(await LateMD5(try examination(.refused("no session"))).md5 == nil)
    }

    @Test func aFileThatIsShorterHasNone() async throws {
        #expect(await LateMD5(try examination(size: UInt64(bytes.count) + 1), patience: 0).md5 == nil)
    }

    /// Who ends a job does not wait until many gigabytes are read.
    @Test(arguments: [false, true]) func itEndsWhenNobodyWaits(isJobCancelled: Bool) async throws {
        let gate = Guarded(false)
        let late = LateMD5(try examination(after: gate))
        let waiting = Task { await late.md5 }
        if isJobCancelled { waiting.cancel() } else { late.cancel() }
        try await Task.sleep(for: .milliseconds(20))
        gate.withLock { $0 = true }
        #expect(await waiting.value == nil)
    }
}
