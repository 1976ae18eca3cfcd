import ObjectStore
import Platform
import SessionCache
import SessionFormat
import Testing

@testable import Sync

@Suite struct PublishDeskTests {
    let start = Timestamp(seconds: 1000)

    private func after(_ seconds: Double) -> Timestamp { start.later(by: seconds) }

    @Test func restsDoubleUpToACeilingAndAreSpread() {
        var desk = PublishDesk(parallel: 4)
        for expected in [0.5, 1, 2, 4, 8, 16, 32, 60, 60] {
            desk.pause(1, after: .lost, now: start, random: 0.5)
            #expect(!desk.mayBegin(1, after(expected / 2 - 0.001)))
            #expect(desk.mayBegin(1, after(expected / 2 + 0.001)))
        }
        desk.pause(1, after: .lost, now: start, random: 0)
        #expect(!desk.mayBegin(1, start), "a store that fails at once is not asked in a tight loop")
        #expect(desk.mayBegin(2, start), "others go on")
    }

    @Test func theStoresOwnWaitIsKept() {
        var desk = PublishDesk(parallel: 4)
        desk.pause(1, after: StoreError(.throttled, message: "", retryAfter: 20), now: start, random: 0)
        #expect(!desk.mayBegin(1, after(19.9)))
        #expect(desk.nextEnd(start) == 20)
        desk.hurries = 1
        desk.pause(2, after: .lost, now: start, random: 0.99)
        for _ in 0..<10 { desk.pause(2, after: .lost, now: start, random: 0.99) }
        #expect(desk.mayBegin(2, after(PublishDesk.longestPauseInHurry)))
    }

    @Test func whoCopiesFilesInGoesFirstForAWhile() {
        var desk = PublishDesk(parallel: 4)
        var activity = WritingActivity(after: nil, at: start)
        #expect(desk.room(start, activity) == PublishDesk.parallelWhileCopying)
        #expect(desk.room(after(0.031), activity) == 4, "it was one file")
        for number in 1...20 { activity = WritingActivity(after: activity, at: after(Double(number) * 0.02)) }
        #expect(activity.began == start)
        #expect(desk.room(after(0.41), activity) == PublishDesk.parallelWhileCopying)
        #expect(desk.givesWay(to: activity, after(0.41)).map { $0 > 0.019 && $0 < 0.021 } == true)
        desk.hurries = 1
        #expect(desk.room(after(0.41), activity) == 4, "somebody waits")
        desk.hurries = 0
        for number in 21...60 { activity = WritingActivity(after: activity, at: after(Double(number) * 0.02)) }
        #expect(desk.room(after(1.2), activity) == 4, "it takes long")
        activity = WritingActivity(after: activity, at: after(2))
        #expect(activity.began == after(2))
    }

    @Test func refusedCredentialsStopEverythingForAWhile() {
        var desk = PublishDesk(parallel: 4)
        desk.pause(1, after: StoreError(.unauthenticated, message: ""), now: start, random: 0)
        #expect(desk.room(start) == 0)
        #expect(desk.room(after(PublishDesk.credentialsPause + 1)) == 4)
        desk.wake(start)
        #expect(desk.room(start) == 4)
        #expect(desk.mayBegin(1, start))
        #expect(desk.failures(1) == 1)
    }

    @Test(arguments: [StoreError.Kind.throttled, .noContainer])
    func whatRefusesEverybodyStopsEverybody(kind: StoreError.Kind) {
        var desk = PublishDesk(parallel: 4)
        desk.pause(1, after: StoreError(kind, message: "", retryAfter: 20), now: start, random: 0)
        desk.pause(2, after: StoreError(kind, message: ""), now: start, random: 0.5)
        #expect(desk.room(after(19)) == 0)
        #expect(desk.room(after(21)) == 4)
        // Another change, that has not failed, begins then, however long those rest that have.
        desk.pause(3, after: StoreError(.temporary, message: "", retryAfter: 50), now: start, random: 0)
        #expect(desk.nextEnd(start) == 20)
        // Longer each time, but for what was under way together.
        var now = after(21)
        var rests: [Double] = []
        for _ in 0..<9 {
            for id in 1...16 { desk.pause(Int64(id), after: StoreError(kind, message: ""), now: now, random: 0.99) }
            var rest = 0.0
            while desk.room(now.later(by: rest)) == 0 { rest += 0.1 }
            rests.append(rest)
            now = now.later(by: rest)
        }
        #expect(rests == rests.sorted())
        #expect(rests[0] < 1.1)
        #expect(50...60 ~= rests[8])
        desk.settle(1)
        desk.pause(1, after: StoreError(kind, message: ""), now: now, random: 0.99)
        #expect(desk.room(now.later(by: 0.6)) == 4)
    }

    @Test func whoWaitsForRowsMakesRoom() {
        var desk = PublishDesk(parallel: 2)
        desk.begin(1)
        desk.begin(2)
        #expect(desk.room(start) == 0)
        #expect(!desk.mayBegin(1, start))
        desk.prepared(1)
        desk.prepared(1)
        #expect(desk.room(start) == 1)
        #expect(desk.preparing == 1)
        #expect(desk.running == 2)
        desk.end(1)
        desk.end(2)
        desk.end(2)
        #expect(desk.preparing == 0)
        #expect(desk.running == 0)
    }

    @Test(arguments: [
        // preparing, hurry, now, wait
        (0, false, 0.1, 0.2), (0, false, 0.4, 0.0), (0, true, 0.0, 0.0), (3, false, 1.0, 4.0), (3, true, 1.0, 4.0),
        (3, false, 6.0, 0.0),
    ])
    func rowsWaitForOthers(preparing: Int, hurry: Bool, now: Double, wait: Double) {
        let found = GatheringRule.wait(
            first: start, last: start, preparing: preparing, hurry: hurry, gathering: 0.3, now: after(now))
        #expect(abs(found - wait) < 0.0001)
    }

    @Test func rowsNeverWaitLongerThanTheLimit() {
        let found = GatheringRule.wait(
            first: start, last: after(4.9), preparing: 0, hurry: false, gathering: 0.3, now: after(4.95))
        #expect(found <= 0.051)
    }

    @Test func strategiesDecide() {
        let change = PendingChange(id: 1, sequence: 1, name: "x.fastshot", changed: Timestamp(seconds: 100))
        func found(_ seconds: Int64?) -> ObjectInfo {
            ObjectInfo(key: "k", size: 1, modified: seconds.map { Timestamp(seconds: $0) })
        }
        #expect(ConflictStrategy.manual.decision(.edited, change, found(1)) == nil)
        #expect(ConflictStrategy.localPreferred.decision(.edited, change, found(200)) == .mine)
        #expect(ConflictStrategy.serverPreferred.decision(.edited, change, found(1)) == .theirs)
        #expect(ConflictStrategy.lastWriteWins.decision(.edited, change, found(99)) == .mine)
        #expect(ConflictStrategy.lastWriteWins.decision(.edited, change, found(101)) == .theirs)
        #expect(ConflictStrategy.lastWriteWins.decision(.edited, change, found(nil)) == nil)
        #expect(ConflictStrategy.lastWriteWins.decision(.editedRemoved, change, nil) == .mine)
        #expect(ConflictStrategy.lastWriteWins.decision(.renamed, change, nil) == .theirs)
    }

    @Test func conditionsAreRememberedForAWhile() {
        for support in [
            ConditionSupport.all, .none, ConditionSupport(ifAbsent: true, ifMatch: true, deleteIfMatch: false),
        ] {
            let text = PublishConditions.encode(support, now: start)
            #expect(PublishConditions.decode(text, now: after(10)) == support)
            #expect(PublishConditions.decode(text, now: after(PublishConditions.validity + 1)) == nil)
        }
        for text in ["", "111", "11 1000", "111 x"] { #expect(PublishConditions.decode(text, now: start) == nil) }
    }

    @Test func theStagingIsAskedOnlyForNews() {
        var queue = PublishQueue()
        var asked = 0
        var news = true
        func next() -> Int64? {
            queue.next(
                fill: { limit in
                    asked += 1
                    return Array(1...Int64(min(limit, 3)))
                },
                ifNews: {
                    defer { news = false }
                    return news
                })
        }
        #expect((0..<5).map { _ in next() } == [1, 2, 3, nil, nil])
        #expect(asked == 1)
        news = true
        #expect(next() == 1)
        #expect(asked == 2)
    }

    @Test(.timeLimit(.minutes(1))) func noRaiseIsMissed() async {
        let wakeups = Wakeups()
        let count = wakeups.count
        wakeups.raise()
        await wakeups.wait(since: count)
        await wakeups.wait(since: wakeups.count, seconds: 0.01)
        let waiting = Task { await wakeups.wait(since: wakeups.count) }
        waiting.cancel()
        await waiting.value
        let woken = Task { [count = wakeups.count] in await wakeups.wait(since: count) }
        wakeups.raise()
        await woken.value
    }

    @Test(.timeLimit(.minutes(1))) func slotsAreLimited() async {
        let slots = Slots(3)
        let most = Guarded((now: 0, most: 0))
        await withDiscardingTaskGroup { group in
            for _ in 0..<50 {
                group.addTask {
                    await slots.acquire()
                    most.withLock { state in
                        state.now += 1
                        state.most = max(state.most, state.now)
                    }
                    await Task.yield()
                    most.withLock { $0.now -= 1 }
                    slots.release()
                }
            }
        }
        #expect(most.withLock { $0.most } <= 3)
    }

    @Test func timesAreWrittenAsFastShotWritesThem() {
        #expect(Timestamp(seconds: 1_763_690_732, nanoseconds: 123_456_000).rowText == "2025-11-21T02:05:32+00:00")
        #expect(Timestamp.now.localText.utf8.count >= 19)
        #expect(!Timestamp.now.localText.contains("+"))
    }

    @Test func keptNamesAreFileNames() throws {
        let long = String(repeating: "é", count: 122)
        let name = try #require(SessionName(fileName: long + ".fastshot"))
        let found = BucketVersionKeeper.fileName(name, conflict: 12)
        #expect(found.utf8.count <= 255)
        #expect(found.hasPrefix("12-bucket-é"))
        #expect(found.hasSuffix(".fastshot"))
    }
}
