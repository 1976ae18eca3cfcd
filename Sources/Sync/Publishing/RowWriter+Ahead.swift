internal import ObjectStore
internal import Platform

/// Reading the overall file while rows are still gathered, so that it is there when they are written.
extension RowWriter {
    /// A reading that was begun ahead.
    struct Ahead: Sendable {
        var began: Timestamp
        /// Nil: it failed, and is to be tried again.
        var reading: Task<Outcome?, Never>
    }

    /// What a reading came to.
    struct Outcome: Sendable {
        /// Nil: there is no file.
        var found: Found?
    }

    /// Seconds after which others have had too much time to write the file.
    static let longestAhead = 1.0

    /// Begins to read the file for the next ``apply(_:)``, unless that was done already. Only where the server honours
    /// `If-Match` a version that was read earlier is used.
    func readAhead() {
        let old = ahead.withLock { ahead -> Ahead? in
            if let ahead, !ahead.isStale { return nil }
            defer {
                ahead = Ahead(
                    began: .monotonic,
                    reading: Task {
                        do throws(StoreError) { return Outcome(found: try await self.read()) } catch { return nil }
                    })
            }
            return ahead
        }
        old?.drop()
    }

    /// The file as it is, or was a moment ago. The spool is the caller's to discard.
    func readAlready(_ support: ConditionSupport) async throws(StoreError) -> Found? {
        let begun = ahead.withLock { ahead in
            defer { ahead = nil }
            return ahead
        }
        guard let begun else { return try await read() }
        if support.ifMatch, support.ifAbsent, !begun.isStale {
            if let outcome = await begun.reading.value { return outcome.found }
        } else {
            begun.drop()
        }
        return try await read()
    }

    /// Drops what was read ahead and is not needed.
    func dropAhead() {
        let begun = ahead.withLock { ahead in
            defer { ahead = nil }
            return ahead
        }
        begun?.drop()
    }
}

extension RowWriter.Ahead {
    fileprivate var isStale: Bool { Timestamp.monotonic.seconds(since: began) > RowWriter.longestAhead }

    fileprivate func drop() {
        reading.cancel()
        Task { [reading] in await reading.value?.found?.spool.discard() }
    }
}
