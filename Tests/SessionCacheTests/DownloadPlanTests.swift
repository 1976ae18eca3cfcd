import ObjectStore
import Platform
import Testing

@testable import SessionCache

@Suite struct DownloadPlanTests {
    @Test func aSmallObjectIsOneRequestForEverything() {
        var plan = makePlan(size: 100_000)
        let fetches = plan.prepared(now: start).fetches
        #expect(fetches.count == 1)
        #expect(fetches[0].range == 0..<100_000 && fetches[0].ifMatch == "v1")
    }

    @Test func aFastConnectionStaysAlone() {
        var plan = makePlan(size: 64 * mib)
        let actions = plan.prepared(now: start)
        #expect(actions.fetches.count == 1)
        #expect(actions.fetches[0].range == 0..<64 * mib && actions.fetches[0].ifMatch == "v1")
        #expect(actions.wakes.contains(plan.policy.patience))
        _ = plan.began(1, info(size: 64 * mib), at: 0, now: start)
        for step in UInt64(0)..<63 {
            let now = start.advanced(by: 0.002 * Double(step + 1))
            #expect(plan.deliver(1, step * mib..<(step + 1) * mib, now: now).fetches.isEmpty)
        }
        #expect(plan.transfers.count == 1)
    }

    @Test func aSilentStoreIsAskedOnEightConnections() {
        var plan = makePlan(size: 64 * mib)
        #expect(plan.prepared(now: start).fetches.count == 1)
        #expect(plan.tick(now: start.advanced(by: plan.policy.patience / 2)).fetches.isEmpty)
        let more = plan.tick(now: start.advanced(by: plan.policy.patience)).fetches
        #expect(more.count == 7)
        #expect(more.allSatisfy { $0.ifMatch == "v1" })
        #expect(more.first?.range?.lowerBound == plan.segmentLength)
        #expect(more.last?.range?.upperBound == 8 * plan.segmentLength)
        for (left, right) in zip(more, more.dropFirst()) { #expect(left.range?.upperBound == right.range?.lowerBound) }
    }

    @Test func aSlowConnectionIsJoinedByOthersAndStoppedWhereTheyBegin() {
        var plan = makePlan(size: 64 * mib)
        _ = plan.prepared(now: start)
        _ = plan.began(1, info(size: 64 * mib), at: 0, now: start)
        #expect(plan.deliver(1, 0..<1000).wakes == [plan.policy.probe])
        // 1 MiB in 10 ms would take 640 ms.
        let later = start.advanced(by: plan.policy.probe)
        let more = plan.deliver(1, 1000..<mib, now: later).fetches
        #expect(more.count == 7)
        let end = more.first?.range?.lowerBound ?? 0
        #expect(end == mib + plan.segmentLength)
        let actions = plan.deliver(1, mib..<end, now: later)
        #expect(actions.first == .stop(ticket: 1))
        #expect(actions.fetches.count == plan.transfers.count - 7)
    }

    @Test func withoutATagTheFirstAnswerPinsTheVersionAndThenTheRestFollows() {
        var plan = makePlan(size: 64 * mib, etag: nil)
        let first = plan.prepared(now: start).fetches
        #expect(first.count == 1)
        let later = start.advanced(by: 1)
        #expect(plan.tick(now: later).fetches.isEmpty)
        let (accepted, actions) = plan.began(first[0].ticket, info(size: 64 * mib, etag: "v7"), at: 0, now: later)
        #expect(accepted)
        let more = plan.tick(now: later).fetches
        #expect(more.count == 7)
        #expect(more.allSatisfy { $0.ifMatch == "v7" })
        #expect(actions.contains(.learn(.init(etag: "v7", size: 64 * mib))))
    }

    @Test func theFirstReadDecidesWhereTheTransferBegins() {
        var plan = makePlan(size: 64 * mib, etag: nil)
        #expect(plan.read(id: 1, reader: 1, offset: 40 * mib, count: 4096, now: start).isEmpty)
        #expect(plan.prepared(now: start).fetches.first?.range?.lowerBound == 40 * mib)
    }

    @Test func aReadIsAnsweredWhenItsBytesAreThereAndNotBefore() {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart().fetches
        #expect(plan.read(id: 1, reader: 1, offset: 1000, count: 1000, now: start).answers.isEmpty)
        _ = plan.began(fetches[0].ticket, info(size: 64 * mib), at: 0, now: start)
        #expect(plan.deliver(fetches[0].ticket, 0..<1999).answers.isEmpty)
        #expect(plan.deliver(fetches[0].ticket, 1999..<2000).answers == [1])
        #expect(
            plan.read(id: 2, reader: 1, offset: 0, count: 2000, now: start) == [
                .answer(read: 2, offset: 0, count: 2000)
            ])
    }

    @Test func theNextRangeIsAskedForBeforeTheLineFallsIdle() {
        var plan = makePlan(size: 64 * mib)
        let fetches = plan.slowStart()
        // Answers begin after 100 ms and bring 1 MiB a second each, so 100 ms are about 100 KiB.
        var now = start.advanced(by: 0.1)
        for fetch in fetches.fetches {
            let first = fetch.range?.lowerBound ?? 0
            _ = plan.began(fetch.ticket, info(size: 64 * mib), at: first, now: now)
            #expect(plan.deliver(fetch.ticket, first..<first + 1000, now: now).fetches.isEmpty)
        }
        now = now.advanced(by: 3)
        for fetch in fetches.fetches {
            let first = fetch.range?.lowerBound ?? 0
            #expect(plan.deliver(fetch.ticket, first + 1000..<first + 3 * mib, now: now).fetches.isEmpty)
        }
        now = now.advanced(by: 1)
        let second = fetches.fetches[1]
        let end = second.range?.upperBound ?? 0
        let next = plan.deliver(second.ticket, end - mib..<end - 50_000, now: now).fetches
        #expect(next.map(\.range?.lowerBound) == [8 * plan.segmentLength])
    }

    @Test func aReadFarFromEverythingInFlightGetsItsOwnRequestAtOnce() {
        var plan = makePlan(size: 64 * mib)
        for fetch in plan.slowStart().fetches {
            _ = plan.began(fetch.ticket, info(size: 64 * mib), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        let far = 5 * mib + 123
        let urgent = plan.read(id: 1, reader: 1, offset: far, count: 4096, now: start).fetches
        #expect(urgent.count == 1)
        #expect(urgent.first?.range?.lowerBound == far)
        #expect((urgent.first?.range?.count ?? 0) <= 2 * Int(mib))
        // Readahead behind it is the same stream, not another urgent wish.
        #expect(plan.read(id: 2, reader: 1, offset: far + 4096, count: 131072, now: start).fetches.isEmpty)
        // Near the position of a transfer there is nothing to hurry.
        #expect(plan.read(id: 3, reader: 1, offset: 64 << 10, count: 131072, now: start).fetches.isEmpty)
    }

    @Test func onASlowLineAReadNotSoFarAwayIsUrgentToo() {
        var plan = makePlan(size: 4 * mib)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 4 * mib), at: 0, now: start)
        plan.deliver(fetch.ticket, 0..<1000)
        #expect(plan.read(id: 1, reader: 1, offset: mib / 2, count: 4096, now: start).fetches.isEmpty)
        _ = plan.cancelReads(of: 1)
        // 100 KB a second.
        plan.deliver(fetch.ticket, 1000..<100_000, now: start.advanced(by: 1))
        let urgent = plan.read(id: 2, reader: 1, offset: mib / 2, count: 4096, now: start.advanced(by: 1)).fetches
        #expect(urgent.map(\.range?.lowerBound) == [mib / 2])
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
        var plan = makePlan(size: 64 * mib)
        let fetch = plan.prepared(now: start).fetches[0]
        _ = plan.began(fetch.ticket, info(size: 64 * mib), at: 0, now: start)
        let parts = plan.received(fetch.ticket, 0..<16384, now: start) ?? []
        #expect(plan.read(id: 1, reader: 1, offset: 100, count: 4096, now: start).isEmpty)
        #expect(plan.written(parts, now: start).answers == [1])
    }

    @Test func urgentRequestsAreBoundedAndTheNextStartsWhenOneEnds() {
        var policy = DownloadPlan.Policy()
        policy.longestSegment = 8 * mib
        var plan = makePlan(size: 64 * mib, policy: policy)
        for fetch in plan.slowStart().fetches {
            _ = plan.began(fetch.ticket, info(size: 64 * mib), at: fetch.range?.lowerBound ?? 0, now: start)
        }
        var urgent: [(ticket: UInt64, range: Range<UInt64>?, ifMatch: String?)] = []
        for segment in UInt64(0)..<8 {
            let offset = segment * 8 * mib + 4 * mib
            urgent += plan.read(id: segment, reader: 1, offset: offset, count: 4096, now: start).fetches
        }
        #expect(urgent.count == plan.policy.urgentConnections)
        let range = urgent[0].range ?? 0..<0
        _ = plan.began(urgent[0].ticket, info(size: 64 * mib), at: range.lowerBound, now: start)
        #expect(plan.deliver(urgent[0].ticket, range).answers == [0])
        #expect(plan.ended(urgent[0].ticket, nil, now: start).fetches.first?.range?.lowerBound == 36 * mib)
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
}
