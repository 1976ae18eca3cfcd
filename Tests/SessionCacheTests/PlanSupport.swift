import ObjectStore
import Platform

@testable import SessionCache

let mib: UInt64 = 1 << 20
let start = Timestamp(seconds: 1000)

func makePlan(
    size: UInt64, etag: String? = "v1", digest: Digest? = nil, seed: UInt64 = 1,
    policy: DownloadPlan.Policy = .init()
) -> DownloadPlan {
    DownloadPlan(
        subject: "sessions/x.fastshot", size: size, expectedETag: etag, catalogDigest: digest, policy: policy,
        seed: seed, now: start)
}

func info(size: UInt64, etag: String? = "v1", md5: String? = nil) -> ObjectInfo {
    ObjectInfo(key: "sessions/x.fastshot", size: size, etag: etag, contentMD5: md5)
}

extension [DownloadPlan.Action] {
    var fetches: [(ticket: UInt64, range: Range<UInt64>?, ifMatch: String?)] {
        compactMap { if case .fetch(let ticket, let range, let tag) = $0 { (ticket, range, tag) } else { nil } }
    }
    var answers: [UInt64] {
        compactMap { if case .answer(let read, _, _) = $0 { read } else { nil } }
    }
    var refusals: [UInt64: CacheError.Kind] {
        reduce(into: [:]) { if case .refuse(let read, let error) = $1 { $0[read] = error.kind } }
    }
    var end: CacheError.Kind? {
        compactMap { if case .end(let error) = $0 { error.kind } else { nil } }.first
    }
    var wakes: [Double] {
        compactMap { if case .wake(let after) = $0 { after } else { nil } }
    }
}

extension DownloadPlan {
    /// Starts, and is so slow that all connections are used.
    mutating func slowStart() -> [Action] {
        prepared(now: start) + tick(now: start.advanced(by: policy.patience))
    }

    /// Delivers bytes as the executor does.
    @discardableResult
    mutating func deliver(_ ticket: UInt64, _ bytes: Range<UInt64>, now: Timestamp = start) -> [Action] {
        guard let parts = received(ticket, bytes, now: now) else { return [] }
        return written(parts, now: now)
    }
}
