import JSON
import Operations
import Synchronization
import Testing

@Suite struct OperationRegistryTests {
    @Test func showsProgressAndResult() throws {
        let registry = OperationRegistry()
        let handle = registry.begin(.download, subject: "sessions/x.fastshot", total: 200)
        handle.progress(completed: 50, message: "half way there")
        let running = try #require(registry.snapshot(handle.id))
        #expect(running.state == .running)
        #expect(running.completed == 50)
        #expect(running.total == 200)
        #expect(running.ended == nil)
        handle.finish("done")
        let ended = try #require(registry.snapshot(handle.id))
        #expect(ended.state == .done)
        #expect(ended.message == "done")
        #expect(try #require(ended.ended) >= ended.started)
    }

    @Test func whatHasEndedChangesNoMore() throws {
        let registry = OperationRegistry()
        let handle = registry.begin(.refresh, subject: "s3://bucket")
        handle.fail("no route to host")
        handle.progress(completed: 9)
        handle.finish("late")
        let snapshot = try #require(registry.snapshot(handle.id))
        #expect(snapshot.state == .failed)
        #expect(snapshot.message == "no route to host")
        #expect(snapshot.completed == 0)
    }

    @Test func cancellingAsksOnlyWhatRuns() {
        let registry = OperationRegistry()
        let asked = Counter()
        let handle = registry.begin(.verify, subject: "all", cancel: { asked.add() })
        #expect(registry.cancel(handle.id))
        #expect(asked.count == 1)
        handle.cancelled()
        #expect(!registry.cancel(handle.id))
        #expect(!registry.cancel(999))
        #expect(asked.count == 1)
        #expect(registry.snapshot(handle.id)?.state == .cancelled)
    }

    @Test func listsRunningFirstThenTheNewestEnded() {
        let registry = OperationRegistry(keep: 3)
        let handles = (0..<7).map { registry.begin(.upload, subject: "\($0)") }
        for index in [1, 0, 4, 5] { handles[index].finish() }
        #expect(registry.list().map(\.subject) == ["2", "3", "6", "5", "4", "0"])
        #expect(registry.snapshot(handles[1].id) == nil)
        #expect(Set(handles.map(\.id)).count == 7)
    }

    @Test(.timeLimit(.minutes(1))) func survivesManyWorkersAtOnce() async {
        let registry = OperationRegistry(keep: 10_000)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    for round in 0..<200 {
                        let handle = registry.begin(.flush, subject: "\(worker)")
                        handle.progress(completed: UInt64(round))
                        handle.finish()
                    }
                }
            }
        }
        let list = registry.list()
        #expect(list.count == 1600)
        #expect(Set(list.map(\.id)).count == 1600)
        #expect(list.allSatisfy { $0.state == .done })
    }

    @Test func jsonCarriesEveryFact() throws {
        let registry = OperationRegistry()
        let handle = registry.begin(.rebuild, subject: "overall", total: 8)
        handle.progress(completed: 6, message: "reading")
        guard case .object(let fields) = try #require(registry.snapshot(handle.id)).json else {
            Issue.record("not an object")
            return
        }
        let byName = Dictionary(fields.map { ($0.0, $0.1) }, uniquingKeysWith: { first, _ in first })
        #expect(byName["id"] == .integer(Int64(handle.id)))
        #expect(byName["kind"] == .string("rebuild"))
        #expect(byName["state"] == .string("running"))
        #expect(byName["percent"] == .integer(75))
        #expect(byName["message"] == .string("reading"))
        #expect(byName["ended"] == .null)
    }
}

private final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    var count: Int { value.load(ordering: .relaxed) }
    func add() { value.add(1, ordering: .relaxed) }
}
