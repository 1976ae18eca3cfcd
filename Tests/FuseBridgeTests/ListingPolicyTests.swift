import Testing

@testable import FuseBridge

@Suite struct ListingPolicyTests {
    private let sessions: UInt64 = 2

    /// Reads pages until the end; answers how many of `count` entries came bare.
    private func list(
        _ policy: inout ListingPolicy, _ handle: UInt64, count: Int, page: Int, lookupsAfterFirstPage: Int = 0
    ) -> Int {
        var left = count
        var bare = 0
        var first = true
        while left > 0 {
            let limit = policy.page(handle)
            let sent = min(left, page, limit ?? page)
            left -= sent
            if limit != nil { bare += sent }
            policy.sent(handle, bare: limit == nil ? 0 : sent, atEnd: left == 0)
            if first { for _ in 0..<lookupsAfterFirstPage { _ = policy.lookup(in: sessions) } }
            first = false
        }
        return bare
    }

    @Test func aPlainListingBringsBareNames() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: false)
        #expect(list(&policy, opened.handle, count: 10_000, page: 500) == 10_000)
    }

    @Test func theFirstPageIsShortSoThatAReaderCanShowThatItStats() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: false)
        #expect(policy.page(opened.handle) == ListingPolicy.firstPage)
    }

    @Test func lookupsAfterTheFirstPageBringAttributes() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: false)
        let bare = list(&policy, opened.handle, count: 10_000, page: 500, lookupsAfterFirstPage: 64)
        #expect(bare == ListingPolicy.firstPage)
    }

    @Test func aFewLookupsOfFileManagersTellNothing() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: false)
        let bare = list(&policy, opened.handle, count: 1000, page: 500, lookupsAfterFirstPage: 3)
        #expect(bare == 1000)
    }

    @Test func aTreeWalkerGetsAttributesFromTheStart() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: true)
        #expect(list(&policy, opened.handle, count: 1000, page: 500) == 0)
    }

    @Test func aBareListingIsKeptUntilLookupsTellThatItsReaderStats() {
        var policy = ListingPolicy()
        let first = policy.open(sessions, treeWalker: false)
        _ = list(&policy, first.handle, count: 1000, page: 500)
        policy.close(first.handle)
        let second = policy.open(sessions, treeWalker: false)
        #expect(second.keepsListing)
        let dropped = (1...20).filter { _ in policy.lookup(in: sessions) }
        #expect(dropped == [Int(ListingPolicy.tellingLookups)], "it is dropped once")
        #expect(list(&policy, second.handle, count: 500, page: 500) == 0, "what follows has attributes")
        policy.close(second.handle)
        #expect(policy.open(sessions, treeWalker: false).keepsListing)
    }

    @Test func lookupsDuringABareListingAreNotCountedAgainstIt() {
        var policy = ListingPolicy()
        for _ in 0..<100 { _ = policy.lookup(in: sessions) }
        let first = policy.open(sessions, treeWalker: false)
        _ = list(&policy, first.handle, count: 1000, page: 500)
        let isDropped = policy.lookup(in: sessions)
        #expect(!isDropped)
    }

    @Test func aTreeWalkerDoesNotGetABareListingThatWasKept() {
        var policy = ListingPolicy()
        let first = policy.open(sessions, treeWalker: false)
        _ = list(&policy, first.handle, count: 1000, page: 500)
        let walker = policy.open(sessions, treeWalker: true)
        #expect(!walker.keepsListing)
        #expect(list(&policy, walker.handle, count: 1000, page: 500) == 0)
        let next = policy.open(sessions, treeWalker: true)
        #expect(next.keepsListing)
    }

    @Test func aListingOfOnePageMayBeKept() {
        var policy = ListingPolicy()
        let first = policy.open(sessions, treeWalker: false)
        _ = list(&policy, first.handle, count: 37, page: 500)
        #expect(policy.open(sessions, treeWalker: false).keepsListing)
    }

    @Test func directoriesDoNotInfluenceEachOther() {
        var policy = ListingPolicy()
        let opened = policy.open(sessions, treeWalker: false)
        for _ in 0..<100 { _ = policy.lookup(in: 3) }
        #expect(list(&policy, opened.handle, count: 1000, page: 500) == 1000)
    }
}
