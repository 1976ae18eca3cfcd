internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Lists the bucket's sessions and indexes, page by page.
struct ListingPass {
    let journey: Journey
    let indexes: IndexQueue

    /// Lists where new sessions appear: one request unless there is much new.
    func tail() async throws {
        var sighting = try begin()
        try await list(SessionName.bodyPrefix, startAfter: try journey.catalog.listingStart()) { page in
            try journey.apply(page.map(Self.object), &sighting)
            indexes.poke()
        }
    }

    /// Before the first request: what this machine writes meanwhile is newer than what the listing shows.
    private func begin() throws -> Sighting { Sighting(since: try journey.catalog.writeMark()) }

    /// Lists everything: adds what was not known, drops what is gone, corrects sizes and versions, and learns which
    /// indexes there are, of which the unknown ones are fetched.
    func full() async throws {
        let catalog = journey.catalog
        journey.becomeOperation()
        // Taken before, so that a change during the listing shows as one.
        let marks = try await changeMarks()
        var bound = try catalog.lastID()
        var sessions = try begin()
        var count = 0
        try await list(SessionName.bodyPrefix) { page in
            try journey.apply(page.map(Self.object), &sessions)
            count += page.count
            journey.progress("listing sessions", count)
        }
        journey.tell(try catalog.finishListing(sessions, bound: bound))

        bound = try catalog.lastID()
        var seen = try begin()
        count = 0
        try await list(SessionName.indexPrefix) { page in
            try journey.apply(page.compactMap(Self.index), &seen)
            indexes.add(seen.takeUnknown())
            count += page.count
            journey.progress("listing indexes", count)
        }
        journey.tell(try catalog.finishIndexListing(seen, bound: bound))
        indexes.poke()

        try catalog.setValue(Setting.changeMarks, marks)
        try catalog.setValue(Setting.lastListing, String(Timestamp.now.nanoseconds))
        try catalog.setValue(Catalog.listingNeededKey, nil)
        journey.note { $0.listedAll = true }
    }

    /// Whether the store can tell cheaply, and tells, that something came or went since the last complete listing.
    func marksDiffer() async throws -> Bool {
        guard let marks = try await changeMarks() else { return false }
        return try journey.catalog.value(Setting.changeMarks) != marks
    }

    private func changeMarks() async throws -> String? {
        guard let sessions = try await journey.store.changeMark(prefix: SessionName.bodyPrefix) else { return nil }
        let indexes = try await journey.store.changeMark(prefix: SessionName.indexPrefix)
        return "\(sessions) \(indexes ?? "")"
    }

    /// An object with its name below the prefix.
    private struct Found {
        var name: String
        var info: ObjectInfo
    }

    /// Calls `page` with what stands below a prefix. Whatever a store lists outside it is left out.
    private func list(
        _ prefix: String, startAfter name: String? = nil, _ page: ([Found]) throws -> Void
    ) async throws {
        // A directory is read whole for every page.
        let limit = journey.store.capabilities.isRemote ? 1000 : 10_000
        var request = ListRequest(prefix: prefix, startAfter: name.map { prefix + $0 }, limit: limit)
        while true {
            try Task.checkCancellation()
            journey.willRequest()
            let found = try await journey.store.list(request)
            try page(
                found.objects.compactMap { info in
                    let key = info.key.utf8
                    guard key.count > prefix.utf8.count, key.starts(with: prefix.utf8) else { return nil }
                    return Found(name: String(decoding: key.dropFirst(prefix.utf8.count), as: UTF8.self), info: info)
                })
            guard let next = found.continuation else { return }
            request.continuation = next
        }
    }

    private static func object(_ found: Found) -> CatalogChange {
        let info = found.info
        return .object(
            fileName: found.name,
            ObjectFacts(size: info.size, etag: info.etag, contentMD5: info.contentMD5, uploaded: info.modified))
    }

    private static func index(_ found: Found) -> CatalogChange? {
        guard let name = SessionName(indexFileName: found.name) else { return nil }
        return .listedIndex(fileName: name.fileName, etag: found.info.etag)
    }
}
