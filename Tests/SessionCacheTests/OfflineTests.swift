import Catalog
import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import SessionCache

private let mebibyte = 1 << 20

/// Reading while the store is known to be away.
@Suite(.timeLimit(.minutes(2))) struct OfflineTests {
    private let connectivity = Connectivity()
    private let store = ScriptedStore()

    private func fixture(_ options: CacheOptions = .quick) throws -> Fixture {
        try Fixture(
            store: store, over: GatedStore(store, connectivity), options: options, connectivity: connectivity)
    }

    @Test func whatIsNotHereCannotBeOpened() async throws {
        let fixture = try fixture()
        let (here, away) = (pattern(100_000), pattern(100_000, seed: 2))
        let first = try await fixture.add("a.fastshot", here)
        let second = try await fixture.add("b.fastshot", away)
        _ = try await fixture.cache.open(first).everything()
        await fixture.cache.drain()
        connectivity.force(true)
        let error = #expect(throws: CacheError.self) { try fixture.cache.open(second) }
        #expect(error?.kind == .offline)
        #expect(try await fixture.cache.open(first).everything() == here)
        #expect(store.requests.count == 1)
        await #expect(throws: CacheError.self) { _ = try await fixture.cache.wholeBody(id: second) }
        connectivity.force(false)
        #expect(try await fixture.cache.open(second).everything() == away)
    }

    @Test func withoutCredentialsItIsARefusal() async throws {
        var timing = Connectivity.Timing()
        timing.firstProbe = 600
        let connectivity = Connectivity(timing: timing)
        let fixture = try Fixture(
            store: store, over: GatedStore(store, connectivity), connectivity: connectivity)
        let id = try await fixture.add("a.fastshot", pattern(1000))
        store.script { _ in .failing(.unauthenticated) }
        #expect(try await fixture.cache.open(id).failure(at: 0, count: 10) == .denied)
        try await eventually { !connectivity.state.isOnline }
        let error = #expect(throws: CacheError.self) { try fixture.cache.open(id) }
        #expect(error?.kind == .denied)
        #expect(store.requests.count == 1)
    }

    @Test func openingWaitsWhereThatIsWanted() async throws {
        var options = CacheOptions.quick
        options.waitsWhenOffline = true
        options.policy.offlineLimit = 0
        let fixture = try fixture(options)
        let bytes = pattern(mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        connectivity.force(true)
        let body = try fixture.cache.open(id)
        let reading = Task { try await body.everything() }
        try await eventually { fixture.cache.statistics().inFlight.count == 1 }
        #expect(store.requests.isEmpty)
        #expect(fixture.cache.statistics().failures == 0)
        connectivity.force(false)
        #expect(try await reading.value == bytes)
    }

    @Test func aDownloadUnderWayFailsSoon() async throws {
        var options = CacheOptions.quick
        options.policy.offlineLimit = 0.05
        let fixture = try fixture(options)
        let bytes = pattern(mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (128 << 10, gate)
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 1000) == Array(bytes[..<1000]))
        connectivity.force(true)
        // The default patience with a silent store is minutes here.
        #expect(await body.failure(at: 500_000, count: 10) == .offline)
        await fixture.cache.drain()
        connectivity.force(false)
        store.script { _ in .plain }
        #expect(try await fixture.cache.open(id).everything() == bytes)
    }

    @Test func aLineThatComesBackIsNotNoticed() async throws {
        var options = CacheOptions.quick
        options.policy.offlineLimit = 600
        // Without news of the line, the next try would be after minutes.
        options.policy.retry.base = 600
        options.policy.retry.cap = 600
        let fixture = try fixture(options)
        let bytes = pattern(mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 { answer.pause = (128 << 10, gate) }
            return answer
        }
        let body = try fixture.cache.open(id)
        _ = try await body.bytes(at: 0, count: 1000)
        let reading = Task { try await body.everything() }
        connectivity.force(true)
        gate.open()
        connectivity.force(false)
        #expect(try await reading.value == bytes)
        #expect(fixture.cache.statistics().failures == 0)
    }

    // MARK: The plan

    private func plan(waits: Bool = false) -> (DownloadPlan, ticket: UInt64) {
        let ticket: UInt64
        var policy = DownloadPlan.Policy()
        policy.followsConnectivity = true
        policy.offlineLimit = 3
        policy.waitsWhenOffline = waits
        var plan = makePlan(size: mib, policy: policy)
        ticket = plan.prepared(now: start).fetches.first?.ticket ?? .max
        _ = plan.read(id: 1, reader: 1, offset: 500_000, count: 10, now: start)
        return (plan, ticket)
    }

    @Test func theDownloadFailsAfterItsPatience() {
        let (begun, _) = plan()
        var plan = begun
        let away = start.advanced(by: 1)
        #expect(plan.line(isThere: false, now: away).wakes == [3])
        #expect(plan.line(isThere: false, now: away.advanced(by: 1)).isEmpty)
        #expect(plan.tick(now: away.advanced(by: 2.9)).end == nil)
        let actions = plan.tick(now: away.advanced(by: 3))
        #expect(actions.end == .offline)
        #expect(actions.refusals == [1: .offline])
    }

    @Test func bytesThatStillComeKeepItAlive() {
        let (begun, ticket) = plan()
        var plan = begun
        _ = plan.began(ticket, info(size: mib), at: 0, now: start)
        _ = plan.line(isThere: false, now: start)
        plan.deliver(ticket, 0..<1000, now: start.advanced(by: 2))
        #expect(plan.tick(now: start.advanced(by: 4)).end == nil)
        #expect(plan.tick(now: start.advanced(by: 5)).end == .offline)
    }

    @Test func aRequestThatWasNotMadeIsRepeatedWhenTheStoreIsBack() {
        let (begun, ticket) = plan()
        var plan = begun
        _ = plan.line(isThere: false, now: start)
        #expect(plan.ended(ticket, StoreError(.offline, message: "away"), now: start).end == nil)
        let actions = plan.line(isThere: true, now: start)
        #expect(actions.fetches.map(\.range) == [0..<mib])
        #expect(plan.line(isThere: true, now: start).isEmpty)
    }

    @Test func onePatientWithTheLineIsNotStalled() {
        let (begun, ticket) = plan(waits: true)
        var plan = begun
        _ = plan.line(isThere: false, now: start)
        #expect(plan.ended(ticket, StoreError(.offline, message: "away"), now: start).end == nil)
        let late = start.advanced(by: 3600)
        #expect(plan.tick(now: late).end == nil)
        #expect(plan.line(isThere: true, now: late).end == nil)
        #expect(plan.tick(now: late.advanced(by: plan.policy.stallLimit)).end == .offline)
    }

    @Test func withoutNewsOfTheLineARequestThatIsNotMadeIsTheEnd() {
        var plan = makePlan(size: mib)
        let ticket = plan.prepared(now: start).fetches.first?.ticket ?? .max
        #expect(plan.ended(ticket, StoreError(.offline, message: "away"), now: start).end == .offline)
    }
}
