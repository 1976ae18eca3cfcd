internal import ObjectStore
internal import Platform

/// Judges a successful answer to a read against what was asked, and passes its body on.
final class S3ReadSink: HTTPBodySink {
    private struct State {
        var info: ObjectInfo?
        var expected: UInt64 = 0
        var received: UInt64 = 0
        var isUnchanged = false
    }

    private let key: String
    private let options: ReadOptions
    private let isContentHash: Bool
    private let sink: any ObjectSink
    private let state = Guarded(State())

    init(_ key: String, _ options: ReadOptions, isContentHash: Bool, _ sink: any ObjectSink) {
        self.key = key
        self.options = options
        self.isContentHash = isContentHash
        self.sink = sink
    }

    /// The object has the tag of `ifNoneMatch`, though the server did not say so by its status.
    var isUnchanged: Bool { state.withLock { $0.isUnchanged } }

    func begin(_ head: HTTPResponseHead) throws(StoreError) {
        let (body, size) = try extent(head)
        let info = S3ObjectFacts.info(key: key, size: size, head, isContentHash: isContentHash)
        if let wanted = options.ifMatch, info.etag != wanted {
            throw StoreError(
                .precondition, key: key, message: "the object is not the version that was meant", status: head.status)
        }
        if let known = options.ifNoneMatch, info.etag == known {
            state.withLock { $0.isUnchanged = true }
            throw StoreError(.precondition, key: key, message: "unchanged")
        }
        state.withLock {
            $0.info = info
            $0.expected = body.upperBound - body.lowerBound
        }
        try sink.begin(info, at: body.lowerBound)
    }

    /// The bytes that the body holds, and the whole object's length.
    private func extent(_ head: HTTPResponseHead) throws(StoreError) -> (body: Range<UInt64>, size: UInt64) {
        let length = head.contentLength
        if head.status == 206, let wanted = options.range {
            guard let content = ContentRange(head["content-range"]),
                content.range == wanted.clamped(to: 0..<content.total), length ?? 0 == UInt64(content.range.count)
            else {
                throw StoreError(
                    .temporary, key: key,
                    message: "asked for bytes \(wanted.lowerBound)-\(wanted.upperBound - 1), got "
                        + (head["content-range"] ?? "no Content-Range"), status: 206)
            }
            return (content.range, content.total)
        }
        // A server that ignores ranges sends everything; the sink learns that from the offset.
        guard head.status == 200, let length else {
            throw StoreError(.permanent, key: key, message: "the answer has no length", status: head.status)
        }
        if let wanted = options.range, wanted.lowerBound >= length {
            throw StoreError(.permanent, key: key, message: "the range begins behind the object's end", status: 200)
        }
        return (0..<length, length)
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let isTooLong = state.withLock { state in
            state.received += UInt64(bytes.byteCount)
            return state.received > state.expected
        }
        if isTooLong { throw StoreError(.temporary, key: key, message: "the body is longer than promised") }
        try sink.receive(bytes)
    }

    /// The whole body has to be there now.
    func finish() throws(StoreError) -> ObjectInfo {
        let state = state.withLock { $0 }
        guard let info = state.info, state.received == state.expected else {
            throw StoreError(
                .temporary, key: key, message: "the body ended after \(state.received) of \(state.expected) bytes")
        }
        return info
    }
}
