import ObjectStore
import Platform
import Testing

@testable import SessionCache

private let mebibyte: UInt64 = 1 << 20
private let start = Timestamp(seconds: 1000)

private func makePlan(
    size: UInt64, etag: String? = "v1", digest: Digest? = nil, seed: UInt64 = 1,
    policy: DownloadPlan.Policy = .init()
) -> DownloadPlan {
    DownloadPlan(
        subject: "sessions/x.fastshot", size: size, expectedETag: etag, catalogDigest: digest, policy: policy,
        seed: seed, now: start)
}

private func info(size: UInt64, etag: String? = "v1", md5: String? = nil) -> ObjectInfo {
    ObjectInfo(key: "sessions/x.fastshot", size: size, etag: etag, contentMD5: md5)
}

extension [DownloadPlan.Action] {
    fileprivate var fetches: [(ticket: UInt64, range: Range<UInt64>?, ifMatch: String?)] {
        compactMap { if case .fetch(let ticket, let range, let tag) = $0 { (ticket, range, tag) } else { nil } }
    }
    fileprivate var answers: [UInt64] {
        compactMap { if case .answer(let read, _, _) = $0 { read } else { nil } }
    }
    fileprivate var refusals: [UInt64: CacheError.Kind] {
        reduce(into: [:]) { if case .refuse(let read, let error) = $1 { $0[read] = error.kind } }
    }
    fileprivate var end: CacheError.Kind? {
        compactMap { if case .end(let error) = $0 { error.kind } else { nil } }.first
    }
    fileprivate var wakes: [Double] {
        compactMap { if case .wake(let after) = $0 { after } else { nil } }
    }
}

extension DownloadPlan {
    /// Starts, and is so slow that all connections are used.
    fileprivate mutating func slowStart() -> [Action] {
        prepared(now: start) + tick(now: start.advanced(by: policy.patience))
    }

    /// Delivers bytes as the executor does.
    @discardableResult
    fileprivate mutating func deliver(_ ticket: UInt64, _ bytes: Range<UInt64>, now: Timestamp = start) -> [Action] {
        guard let parts = received(ticket, bytes, now: now) else { return [] }
        return written(parts, now: now)
    }
}

@Suite struct DownloadPlanTests {
    @Test func aSmallObjectIsOneRequestForEverything() {
        var plan = makePlan(size: 100_000)
        let fetches = plan.prepared(now: start).fetches
        #expect(fetches.count == 1)
        #expect(fetches[0].range == 0..<100_000 && fetches[0].ifMatch == "v1")
    }

    @Test func aFastConnectionStaysAlone() {
        var plan = makePlan(size: 64 * mebibyte)
        let actions = plan.prepared(now: start)
        #expect(actions.fetches.count == 1)
        #expect(actions.fetches[0].range == 0..<64 * mebibyte && actions.fetches[0].ifMatch == "v1")
        #expect(actions.wakes.contains(plan.policy.patience))
        _ = plan.began(1, info(size: 64 * mebibyte), at: 0, now: start)
        for step in UInt64(0)..<63 {
            let now = start.advanced(by: 0.002 * Double(step + 1))
            #expect(plan.deliver(1, step * mebibyte..<(step + 1) * mebibyte, now: now).fetches.isEmpty)
        }
        #expect(plan.transfers.count == 1)
    }

    @Test func aSilentStoreIsAskedOnEightConnections() {
        var plan = makePlan(size: 64 * mebibyte)
        #expect(plan.prepared(now: start).fetches.count == 1)
        #expect(plan.tick(now: start.advanced(by: plan.policy.patience / 2)).fetches.isEmpty)
        let more = plan.tick(now: start.advanced(by: plan.policy.patience)).fetches
        #expect(more.count == 7)
        #expect(more.allSatisfy { $0.ifMatch == "v1" })
        #expect(more.first?.range?.lowerBound == 8 * mebibyte)
        #expect(more.last?.range?.upperBound == 64 * mebibyte)
        for (left, right) in zip(more, more.dropFirst()) { #expect(left.range?.upperBound == right.range?.lowerBound) }
    }

    @Test func aSlowConnectionIsJoinedByOthersAndStoppedWhereTheyBegin() {
        var plan = makePlan(size: 64 * mebibyte)
        _ = plan.prepared(now: start)
        _ = plan.began(1, info(size: 64 * mebibyte), at: 0, now: start)
        #expect(plan.deliver(1, 0..<1000).wakes == [plan.policy.probe])
        // 1 MiB in 10 ms would take 640 ms.
        let later = start.advanced(by: plan.policy.probe)
        let more = plan.deliver(1, 1000..<mebibyte, now: later).fetches
        #expect(more.count == 7)
        let end = more.first?.range?.lowerBound ?? 0
        #expect(end == 9 * mebibyte)
        let actions = plan.deliver(1, mebibyte..<end, now: later)
        #expect(actions.first == .stop(ticket: 1))
        #expect(actions.fetches.count == plan.transfers.count - 7)
    }

    @Test func withoutATagTheFirstAnswerPinsTheVersionAndThenTheRestFollows() {
        var plan = makePlan(size: 64 * mebibyte, etag: nil)
        let first = plan.prepared(now: start).fetches
        #expect(first.count == 1)
        let later = start.advanced(by: 1)
        #expect(plan.tick(now: later).fetches.isEmpty)
        let (accepted, actions) = plan.began(first[0].ticket, info(size: 64 * mebibyte, etag: "v7"), at: 0, now: later)
        #expect(accepted)
        let more = plan.tick(now: later).fetches
        #expect(more.count == 7)
        #expect(more.allSatisfy { $0.ifMatch == "v7" })
        #expect(actions.contains(.learn(.init(etag: "v7", size: 64 * mebibyte))))
    }

    @Test func theFirstReadDecidesWhereTheTransferBegins() {
        var plan = makePlan(size: 64 * mebibyte, etag: nil)
        #expect(plan.read(id: 1, reader: 1, offset: 40 * mebibyte, count: 4096, now: start).isEmpty)
        #expect(plan.prepared(now: start).fetches.first?.range?.lowerBound == 40 * mebibyte)
    }

    @Test func aReadIsAnsweredWhenItsBytesAreThereAndNotBefore() {
        var plan = makePlan(size: 64 * mebibyte)
        let fetches = plan.slowStart().fetches
        #expect(plan.read(id: 1, reader: 1, offset: 1000, count: 1000, now: start).answers.isEmpty)
        _ = plan.began(fetches[0].ticket, info(size: 64 * mebibyte), at: 0, now: start)
        #expect(plan.deliver(fetches[0].ticket, 0..<1999).answers.isEmpty)
        #expect(plan.deliver(fetches[0].ticket, 1999..<2000).answers == [1])
        #expect(
            plan.read(id: 2, reader: 1, offset: 0, count: 2000, now: start) == [
                .answer(read: 2, offset: 0, count: 2000)
            ])
    }

    @Test func aReadFarFromEverythingInFlightGetsItsOwnRequestAtOnce() {
        var plan = makePlan(size: 64 * mebibyte)
        for fetch in plan.slowStart().fetches {
            _ = plan.began(fetch.ticket, info(size: 64 * mebibyte), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        let far = 5 * mebibyte + 123
        let urgent = plan.read(id: 1, reader: 1, offset: far, count: 4096, now: start).fetches
        #expect(urgent.count == 1)
        #expect(urgent.first?.range?.lowerBound == far)
        #expect((urgent.first?.range?.count ?? 0) <= 2 * Int(mebibyte))
        // Readahead behind it is the same stream, not another urgent wish.
        #expect(plan.read(id: 2, reader: 1, offset: far + 4096, count: 131072, now: start).fetches.isEmpty)
        // Near the position of a transfer there is nothing to hurry.
        #expect(plan.read(id: 3, reader: 1, offset: 64 << 10, count: 131072, now: start).fetches.isEmpty)
    }

    @Test func onASlowLineAReadNotSoFarAwayIsUrgentToo() {
        var plan = makePlan(size: 4 * mebibyte)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 4 * mebibyte), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<1000)
        #expect(plan.read(id: 1, reader: 1, offset: mebibyte / 2, count: 4096, now: start).fetches.isEmpty)
        _ = plan.cancelReads(of: 1)
        // 100 KB a second.
        plan.deliver(fetch.ticket, 1000..<100_000, now: start.advanced(by: 1))
        let urgent = plan.read(id: 2, reader: 1, offset: mebibyte / 2, count: 4096, now: start.advanced(by: 1)).fetches
        #expect(urgent.map(\.range?.lowerBound) == [mebibyte / 2])
        #expect(plan.read(id: 3, reader: 1, offset: 150_000, count: 4096, now: start).fetches.isEmpty)
    }

    @Test func withoutADigestToCompareTheLastByteWaitsForNothing() {
        var plan = makePlan(size: 1000)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        _ = plan.read(id: 1, reader: 1, offset: 500, count: 500, now: start)
        #expect(plan.deliver(fetch.ticket, 500..<1000).answers.isEmpty)
        #expect(plan.deliver(fetch.ticket, 0..<500).answers == [1])
    }

    @Test func bytesThatAreJustBeingWrittenNeedNoRequest() {
        var plan = makePlan(size: 64 * mebibyte)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 64 * mebibyte), at: 0, now: start)
        let parts = plan.received(fetch.ticket, 0..<16384, now: start) ?? []
        #expect(plan.read(id: 1, reader: 1, offset: 100, count: 4096, now: start).isEmpty)
        #expect(plan.written(parts, now: start).answers == [1])
    }

    @Test func urgentRequestsAreBoundedAndTheNextStartsWhenOneEnds() {
        var plan = makePlan(size: 64 * mebibyte)
        for fetch in plan.slowStart().fetches {
            _ = plan.began(fetch.ticket, info(size: 64 * mebibyte), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        var urgent: [(ticket: UInt64, range: Range<UInt64>?, ifMatch: String?)] = []
        for segment in UInt64(0)..<8 {
            let offset = segment * 8 * mebibyte + 4 * mebibyte
            urgent += plan.read(id: segment, reader: 1, offset: offset, count: 4096, now: start).fetches
        }
        #expect(urgent.count == plan.policy.urgentConnections)
        let range = urgent[0].range ?? 0..<0
        _ = plan.began(urgent[0].ticket, info(size: 64 * mebibyte), at: range.lowerBound, now: start)
        #expect(plan.deliver(urgent[0].ticket, range).answers == [0])
        #expect(plan.ended(urgent[0].ticket, nil, now: start).fetches.first?.range?.lowerBound == 36 * mebibyte)
    }

    @Test func theLastByteIsHeldBackUntilTheDigestWasVerified() {
        var plan = makePlan(size: 1000)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000, md5: "aa"), at: 0, now: start)
        _ = plan.read(id: 1, reader: 1, offset: 0, count: 999, now: start)
        _ = plan.read(id: 2, reader: 1, offset: 500, count: 4096, now: start)
        #expect(plan.deliver(fetch.ticket, 0..<1000).answers == [1])
        #expect(plan.read(id: 3, reader: 1, offset: 999, count: 1, now: start).answers.isEmpty)
        #expect(
            plan.read(id: 4, reader: 1, offset: 1000, count: 10, now: start) == [
                .answer(read: 4, offset: 1000, count: 0)
            ])
        let actions = plan.digested(.md5("aa"), unchanged: true, now: start)
        #expect(actions.answers == [2, 3])
        #expect(actions.last == .keep)
    }

    @Test func aWrongDigestIsFetchedOnceMoreAndThenRefused() {
        var plan = makePlan(size: 1000, digest: .sha256("right"))
        for attempt in 1...2 {
            let fetch = plan.prepared(now: start).fetches[0]
            _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
            _ = plan.read(id: UInt64(attempt), reader: 1, offset: 900, count: 100, now: start)
            plan.deliver(fetch.ticket, 0..<1000)
            let actions = plan.digested(.sha256("wrong"), unchanged: true, now: start)
            if attempt == 1 {
                #expect(actions.last == .prepare(size: 1000) && actions.refusals.isEmpty)
            } else {
                #expect(actions.refusals == [1: .corrupt, 2: .corrupt])
                guard case .end(let error) = actions.last else { return #expect(Bool(false), "did not end") }
                #expect(error.message.contains("sha256:right") && error.message.contains("sha256:wrong"))
            }
        }
    }

    @Test func aReaderThatGotWrongBytesIsRefusedAfterASecondAttemptAndOthersAreServed() {
        var plan = makePlan(size: 1000, digest: .sha256("right"))
        var fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<1000)
        #expect(plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start).answers == [1])
        _ = plan.digested(.sha256("wrong"), unchanged: true, now: start)
        fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 1000), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<1000)
        #expect(plan.read(id: 2, reader: 1, offset: 10, count: 10, now: start).answers.isEmpty)
        #expect(plan.read(id: 3, reader: 2, offset: 10, count: 10, now: start).answers.isEmpty)
        let actions = plan.digested(.sha256("right"), unchanged: false, now: start)
        #expect(actions.refusals == [2: .corrupt])
        #expect(actions.answers == [3])
        #expect(plan.read(id: 4, reader: 1, offset: 20, count: 10, now: start).refusals == [4: .corrupt])
    }

    @Test func theStoresDigestOfThePinnedVersionOverrulesTheCatalogs() {
        var plan = makePlan(size: 10, digest: .sha256("old"))
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 10, md5: "new"), at: 0, now: start)
        #expect(plan.expectedDigest == .md5("new"))
    }

    @Test func anEmptyObjectIsPinnedAndVerifiedToo() {
        var plan = makePlan(size: 0, etag: nil)
        let fetch = plan.prepared(now: start).fetches[0]
        #expect(plan.read(id: 1, reader: 1, offset: 0, count: 10, now: start).answers.isEmpty)
        #expect(plan.began(fetch.ticket, info(size: 0), at: 0, now: start).actions.answers == [1])
        #expect(plan.isComplete)
        #expect(plan.digested(.sha256("e"), unchanged: true, now: start) == [.keep])
    }

    // MARK: Versions

    @Test func aNewVersionBeforeTheFirstByteIsFollowed() {
        var plan = makePlan(size: 64 * mebibyte, digest: .sha256("old"))
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
        var plan = makePlan(size: 64 * mebibyte)
        let fetches = plan.slowStart().fetches
        _ = plan.began(fetches[0].ticket, info(size: 64 * mebibyte), at: 0, now: start)
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
        var plan = makePlan(size: 64 * mebibyte)
        let fetches = plan.slowStart().fetches
        _ = plan.began(fetches[0].ticket, info(size: 64 * mebibyte), at: 0, now: start)
        plan.deliver(fetches[0].ticket, 0..<10)
        let (accepted, actions) = plan.began(
            fetches[1].ticket, info(size: size, etag: etag), at: 8 * mebibyte, now: start)
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
        let actions = plan.ended(fetch.ticket, StoreError(.notFound, message: "gone"), now: start)
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
        var plan = makePlan(size: 64 * mebibyte)
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
        var plan = makePlan(size: 64 * mebibyte)
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
        var plan = makePlan(size: 64 * mebibyte)
        let fetches = plan.slowStart().fetches
        for fetch in fetches {
            _ = plan.began(fetch.ticket, info(size: 64 * mebibyte), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        let urgent = plan.read(id: 1, reader: 1, offset: 4 * mebibyte, count: 100, now: start).fetches[0]
        _ = plan.began(urgent.ticket, info(size: 64 * mebibyte), at: 4 * mebibyte, now: start)
        let here = 4 * mebibyte..<4 * mebibyte + 1000
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
