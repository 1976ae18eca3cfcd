import JSON
import Operations
import Platform
import Testing

@testable import Control

/// A daemon's answers about changes.
enum WritingFixture {
    static let change = ChangeReport(
        id: 5, name: "20250101000000_日本 100%.fastshot", kind: "rename", state: "failed", size: 1 << 33,
        reason: "403 \"no\"", changed: Timestamp(seconds: 1_700_000_000), remoteName: "20250101000000_a.fastshot",
        percent: 12, batch: 3, conflict: 9)
    static let bare = ChangeReport(
        id: 6, name: "b.fastshot", kind: "remove", state: "ready", size: nil, reason: "",
        changed: Timestamp(seconds: 1_700_000_001), remoteName: nil, percent: nil, batch: nil, conflict: nil)
    static func conflict(_ choice: String?) -> ConflictReport {
        ConflictReport(
            id: 9, kind: "edited_removed", name: "a.fastshot", localName: "a (conflict 9).fastshot",
            expected: ConflictReport.Version(etag: "e", size: 7, modified: Timestamp(seconds: 5)), found: nil,
            opened: Timestamp(seconds: 10), decided: choice.map { _ in Timestamp(seconds: 20) }, choice: choice,
            decidedBy: choice.map { _ in "user" }, kept: choice.map { _ in "/s/kept/9-a.fastshot" })
    }
    static let summary = QueueSummary(
        pending: 1, pendingBytes: 2, failed: 3, refused: 4, local: 5, conflicts: 6, running: 0, batch: nil)

    static let handlers = WritingHandlers(
        flush: { wish, progress in
            progress(ProgressUpdate(phase: "flush", completed: 1, total: 2))
            return FlushResult(unsent: [UnsentItem(name: "a", reason: "\(wish.timeout ?? -1)")])
        },
        queue: { QueueReport(changes: [change, bare]) },
        discard: { name throws(ControlProblem) in
            guard name == change.name else { throw .notFound("no change of \(name) is pending") }
            return DiscardResult(items: [DiscardResult.Item(name: name, kept: "/s/kept/1")])
        },
        clearQueue: { DiscardResult(items: [DiscardResult.Item(name: "a", problem: "it is open")]) },
        retry: { () throws(ControlProblem) in throw .readOnly("the mount is read-only") },
        conflicts: { all in ConflictList(conflicts: all ? [conflict("mine"), conflict(nil)] : [conflict(nil)]) },
        conflict: { $0 == 9 ? conflict(nil) : nil },
        resolve: { _, wish in conflict(wish.choice.rawValue) },
        batch: { wish in BatchResult(batch: 3, changes: wish.action == .begin ? 0 : 4) },
        offline: { wish in
            ConnectionReport(
                state: wish.offline ? .forced : .online, since: wish.offline ? Timestamp(seconds: 30) : nil)
        },
        limits: { LimitsReport(upload: $0.upload, download: $0.download) })
}

/// Changes and the connection, from the client through socket and routes to the handlers and back.
@Suite(.timeLimit(.minutes(1)))
struct WritingAPITests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func serving(_ body: @escaping @Sendable (ControlClient) throws -> Void) async throws {
        let api = ControlAPI(operations: OperationRegistry(), handlers: ControlAPITests.handlers())
        let server = try ControlServer.start(scratch.socket) { await api.respond($0) }
        defer { server.stopNow() }
        let client = ControlClient(socketPath: scratch.socket)
        try await onThread { try body(client) }
    }

    /// Giving up thousands of changes waits for the disk thousands of times; the daemon is there all the while.
    @Test func workOnTheWholeQueueMayTakeLong() async throws {
        var handlers = ControlAPITests.handlers()
        handlers.writing.clearQueue = {
            try? await Task.sleep(nanoseconds: 1_500_000_000)
            return DiscardResult(items: [])
        }
        let api = ControlAPI(operations: OperationRegistry(), handlers: handlers)
        let server = try ControlServer.start(scratch.socket) { await api.respond($0) }
        defer { server.stopNow() }
        let client = ControlClient(socketPath: scratch.socket, timeout: 0.5)
        try await onThread { () throws -> Void in #expect(try client.clearQueue().items.isEmpty) }
    }

    @Test func theQueueComesThroughUnchanged() async throws {
        try await serving { client throws -> Void in
            #expect(try client.queue().changes == [WritingFixture.change, WritingFixture.bare])
            let wire = try client.request("GET", "/v1/queue")["changes"]?.array?.first
            #expect(
                wire?.members?.map(\.0) == [
                    "id", "name", "kind", "state", "size", "reason", "changed", "remote_name", "percent", "batch",
                    "conflict",
                ])
        }
    }

    @Test func changesAreGivenUpByName() async throws {
        try await serving { client throws -> Void in
            let name = WritingFixture.change.name
            #expect(try client.discard(name).items == [DiscardResult.Item(name: name, kept: "/s/kept/1")])
            #expect(try client.clearQueue().items.first?.problem == "it is open")
        }
    }

    @Test func aFlushReportsProgressAndWhatIsLeft() async throws {
        try await serving { client throws -> Void in
            var steps: [UInt64] = []
            let result = try client.flush(timeout: 2.5) { steps.append($0.completed) }
            #expect(steps == [1])
            #expect(result.unsent == [UnsentItem(name: "a", reason: "2.5")])
            #expect(try client.flush().unsent.first?.reason == "-1.0")
        }
    }

    @Test func conflictsAreListedShownAndDecided() async throws {
        try await serving { client throws -> Void in
            #expect(try client.conflicts().conflicts == [WritingFixture.conflict(nil)])
            #expect(try client.conflicts(includingDecided: true).conflicts.count == 2)
            #expect(try client.conflict(9) == WritingFixture.conflict(nil))
            for choice in ResolveRequest.Choice.allCases {
                #expect(try client.resolve(9, choice) == WritingFixture.conflict(choice.rawValue))
            }
        }
    }

    @Test func batchesOfflineAndLimits() async throws {
        try await serving { client throws -> Void in
            #expect(try client.batch(.begin) == BatchResult(batch: 3, changes: 0))
            #expect(try client.batch(.commit).changes == 4)
            #expect(try client.offline(true) == ConnectionReport(state: .forced, since: Timestamp(seconds: 30)))
            #expect(try client.offline(false) == ConnectionReport(state: .online))
            #expect(try client.limits(LimitsRequest(upload: 0)) == LimitsReport(upload: 0, download: nil))
        }
    }

    @Test func aMountThatRefusesChangesHasNoQueue() throws {
        var report = ControlAPITests.status
        report.queue = nil
        report.conditions = nil
        let read = try StatusReport(json: report.json)
        #expect(read == report && report.json["queue"] == .null)
        #expect(try QueueSummary(json: WritingFixture.summary.json) == WritingFixture.summary)
    }
}
