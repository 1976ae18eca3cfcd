import CloudStores
import ObjectStore
import Platform
import Testing

/// Keeps what an HTTP transfer delivers, and can refuse it.
final class RecordingBody: HTTPBodySink {
    private let state = Guarded<(status: [Int], bytes: [UInt8])>(([], []))
    private let refusal: (StoreError, atHead: Bool)?

    init(refusing error: StoreError? = nil, atHead: Bool = false) { refusal = error.map { ($0, atHead) } }

    /// The statuses of the heads, in order.
    var heads: [Int] { state.withLock { $0.status } }
    var bytes: [UInt8] { state.withLock { $0.bytes } }

    func begin(_ head: HTTPResponseHead) throws(StoreError) {
        state.withLock { $0.status.append(head.status) }
        if let refusal, refusal.atHead { throw refusal.0 }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        if let refusal { throw refusal.0 }
        state.withLock { state in bytes.withUnsafeBytes { state.bytes.append(contentsOf: $0) } }
    }
}

/// Runs a request that has to fail.
func failure(
    _ location: SourceLocation = #_sourceLocation, of work: () async throws(StoreError) -> Void
) async -> StoreError? {
    do throws(StoreError) { try await work() } catch { return error }
    Issue.record("it did not fail", sourceLocation: location)
    return nil
}

/// Bytes that show every shift and swap.
func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
