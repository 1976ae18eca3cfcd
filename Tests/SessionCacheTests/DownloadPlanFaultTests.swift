import ObjectStore
import Platform
import Testing

@testable import SessionCache

/// Versions that change, transfers that fail.
@Suite struct DownloadPlanFaultTests {
    @Test func aNewVersionBeforeTheFirstByteIsFollowed() {
        var plan = makePlan(size: 64 * mib, digest: .sha256("old"))
        let fetches = plan.slowStart().fetches
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start)
        let refused = StoreError(.precondition, message: "412", status: 412)
        let actions = plan.ended(fetches[0].ticket, refused, now: start)
        #expect(actions.last == .ask)
        #expect(actions.count == 8)
        #expect(plan.ended(fetches[1].ticket, refused, now: start).isEmpty)
        let followed = plan.asked(.success(info(size: 500, etag: "v2")), now: start)
        #expect(followed == [.learn(.init(etag: "v2", size: 500)), .prepare(size: 500)])
        let again = plan.slowStart().fetches
        #expect(again.count == 1 && again[0].ifMatch == "v2")
        #expect(plan.expectedDigest == nil)
        _ = plan.began(again[0].ticket, info(size: 500, etag: "v2"), at: 0, now: start)
        #expect(plan.deliver(again[0].ticket, 0..<10).answers == [1])
    }

    @Test func aNewVersionAfterTheFirstByteRefusesTheReaders() {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart().fetches
        _ = plan.began(fetches[0].ticket, info(size: 64 * mib), at: 0, now: start)
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start)
        #expect(plan.deliver(fetches[0].ticket, 0..<10).answers == [1])
        _ = plan.read(id: 2, reader: 1, offset: 100, count: 10, now: start)
        _ = plan.ended(fetches[1].ticket, StoreError(.precondition, message: "412"), now: start)
        #expect(plan.read(id: 3, reader: 1, offset: 0, count: 10, now: start).answers.isEmpty)
        let actions = plan.asked(.success(info(size: 500, etag: "v2")), now: start)
        #expect(actions.first == .learn(.init(etag: "v2", size: 500)))
        #expect(actions.refusals == [2: .changed, 3: .changed])
        #expect(actions.end == .changed)
    }

    @Test(arguments: [("v2", UInt64(64 * 1_048_576)), ("v1", UInt64(5))])
    func anAnswerOfAnotherVersionIsNeverMixedIn(etag: String, size: UInt64) {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart().fetches
        _ = plan.began(fetches[0].ticket, info(size: 64 * mib), at: 0, now: start)
        plan.deliver(fetches[0].ticket, 0..<10)
        let (accepted, actions) = plan.began(
            fetches[1].ticket, info(size: size, etag: etag), at: 8 * mib, now: start)
        #expect(!accepted)
        #expect(actions.last == .prepare(size: size))
        #expect(plan.arrived.count == 0)
        #expect(plan.received(fetches[0].ticket, 10..<20, now: start) == nil)
    }

    @Test func aStoreThatRefusesItsOwnTagIsReadWithoutConditions() {
        var plan = makePlan(size: 1000)
        let first = plan.prepared(now: start).fetches[0]
        _ = plan.ended(first.ticket, StoreError(.precondition, message: "412"), now: start)
        _ = plan.asked(.success(info(size: 1000)), now: start)
        let second = plan.prepared(now: start).fetches
        #expect(second.count == 1 && second[0].ifMatch == nil)
    }

    @Test func anObjectThatKeepsChangingIsGivenUp() {
        var plan = makePlan(size: 1000)
        var end: CacheError.Kind?
        for round in 2...10 where end == nil {
            let fetch = plan.prepared(now: start).fetches[0]
            _ = plan.ended(fetch.ticket, StoreError(.precondition, message: "412"), now: start)
            end = plan.asked(.success(info(size: 1000, etag: "v\(round)")), now: start).end
        }
        #expect(end == .changed)
    }

    @Test func aMissingObjectEndsItAndTheCatalogHears() {
        var plan = makePlan(size: 1000)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start)
        #expect(plan.ended(fetch.ticket, StoreError(.notFound, message: "gone"), now: start) == [.locate])
        let actions = plan.located(.success(nil), now: start)
        #expect(actions.first == .forget)
        #expect(actions.refusals == [1: .notFound])
        #expect(actions.end == .notFound)
    }

    // MARK: Failures

    @Test func aDroppedTransferIsResumedBehindItsLastByteAfterAPause() {
        var plan = makePlan(size: 1000)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<400)
        let pause = plan.ended(fetch.ticket, StoreError(.temporary, message: "reset"), now: start)
        #expect(pause.fetches.isEmpty)
        let wait = pause.wakes.first ?? -1
        #expect(wait >= 0 && wait <= plan.policy.retry.base)
        let resumed = plan.tick(now: start.advanced(by: wait)).fetches
        #expect(resumed.count == 1)
        #expect(resumed.first?.range == 400..<1000)
        #expect(resumed.first?.ifMatch == "v1")
    }

    @Test func aBodyThatEndsEarlyIsResumedToo() {
        var plan = makePlan(size: 1000)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<999)
        let wait = plan.ended(fetch.ticket, nil, now: start).wakes.first ?? 0
        #expect(plan.tick(now: start.advanced(by: wait)).fetches.first?.range == 999..<1000)
    }

    @Test func thePauseGrowsAndTheStoresOwnWishIsHonoured() {
        var plan = makePlan(size: 1000)
        var ceiling = plan.policy.retry.base
        var now = start
        var fetch = plan.prepared(now: now).fetches[0]
        for _ in 0..<4 {
            let wait =
                plan.ended(fetch.ticket, StoreError(.temporary, message: "503"), now: now).wakes.first ?? .infinity
            #expect(wait <= ceiling)
            ceiling *= 2
            now = now.advanced(by: wait)
            fetch = plan.tick(now: now).fetches[0]
        }
        let asked = StoreError(.throttled, message: "slow down", retryAfter: 7)
        #expect((plan.ended(fetch.ticket, asked, now: now).wakes.first ?? 0) >= 7)
    }

    @Test func aThrottlingStoreIsAskedByFewerConnections() {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart().fetches
        _ = plan.ended(fetches[0].ticket, StoreError(.throttled, message: "slow down"), now: start)
        #expect(plan.policy.connections == 4)
    }

    @Test(arguments: [(StoreError.Kind.unreachable, CacheError.Kind.offline), (.temporary, .io), (.throttled, .io)])
    func withoutProgressForTheLimitItFails(cause: StoreError.Kind, result: CacheError.Kind) {
        var plan = makePlan(size: 1000)
        var now = start
        var tickets = plan.prepared(now: now).fetches.map(\.ticket)
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 10, now: now)
        var last: [DownloadPlan.Action] = []
        for _ in 0..<10_000 where plan.phase == .running {
            last = tickets.flatMap { plan.ended($0, StoreError(cause, message: "no"), now: now) }
            now = now.advanced(by: 0.5)
            if plan.phase == .running { last = plan.tick(now: now) }
            tickets = last.fetches.map(\.ticket)
        }
        #expect(last.end == result)
        #expect(last.refusals == [1: result])
        #expect(now.seconds(since: start) >= plan.policy.stallLimit)
        #expect(now.seconds(since: start) < plan.policy.stallLimit + 2)
    }

    @Test func aSilentTransferIsRepeatedAndASilentStoreIsOffline() {
        var plan = makePlan(size: 1000)
        let fetch = plan.slowStart().fetches[0]
        let later = start.advanced(by: plan.policy.idleLimit)
        let actions = plan.tick(now: later)
        #expect(actions.first == .stop(ticket: fetch.ticket))
        let retried = plan.tick(now: later.advanced(by: 1)).fetches
        #expect(retried.count == 1)
        #expect(plan.tick(now: start.advanced(by: plan.policy.stallLimit)).end != nil)
    }

    @Test(arguments: [
        (StoreError.Kind.forbidden, CacheError.Kind.denied), (.unauthenticated, .denied), (.permanent, .io),
        (.noContainer, .io), (.unsupported, .io),
    ])
    func whatCannotPassEndsItAtOnce(cause: StoreError.Kind, result: CacheError.Kind) {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart().fetches
        let actions = plan.ended(fetches[0].ticket, StoreError(cause, message: "no"), now: start)
        #expect(actions.filter { if case .stop = $0 { true } else { false } }.count == 7)
        #expect(actions.end == result)
    }

    @Test func aFullDiskMakesRoomOnceAndThenFails() {
        var plan = makePlan(size: 1000)
        let full = StoreError(SystemError(code: 28, operation: "pwrite"))
        var fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        let parts = plan.received(fetch.ticket, 0..<500, now: start) ?? []
        plan.notWritten(parts)
        let actions = plan.ended(fetch.ticket, full, now: start)
        #expect(actions.first == .makeRoom)
        fetch = plan.tick(now: start.advanced(by: 1)).fetches[0]
        #expect(fetch.range == 0..<1000)
        #expect(plan.ended(fetch.ticket, full, now: start).end == .diskFull)
    }

    @Test func bytesThatComeTwiceAreWrittenOnce() {
        var plan = makePlan(size: 62 * mib)
        let fetches = plan.slowStart().fetches
        for fetch in fetches {
            _ = plan.began(fetch.ticket, info(size: 62 * mib), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        let urgent = plan.read(id: 1, reader: 1, offset: 2 * mib, count: 100, now: start).fetches[0]
        _ = plan.began(urgent.ticket, info(size: 62 * mib), at: 2 * mib, now: start)
        let here = 2 * mib..<2 * mib + 1000
        #expect(plan.received(urgent.ticket, here, now: start) == [here])
        // Not even while the first copy is still being written.
        let wider = here.lowerBound - 500..<here.upperBound + 500
        #expect(
            plan.received(fetches[0].ticket, wider, now: start)
                == [wider.lowerBound..<here.lowerBound, here.upperBound..<wider.upperBound])
    }

    @Test func aReaderThatLeavesInterruptsOnlyItsOwnReads() {
        var plan = makePlan(size: 1000)
        _ = plan.prepared(now: start)
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start)
        _ = plan.read(id: 2, reader: 2, offset: 0, count: 10, now: start)
        #expect(plan.left(1).refusals == [1: .interrupted])
        #expect(plan.end(CacheError(.io, "x")).refusals == [2: .io])
        #expect(plan.end(CacheError(.io, "x")).isEmpty)
    }
}
