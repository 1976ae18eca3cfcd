public import ObjectStore
internal import Platform

extension S3Store {
    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        do throws(StoreError) {
            return try await facts(key)
        } catch  where error.providerCode == nil && (error.status == 400 || error.status == 403) {
            // The answer to a HEAD has no body that says why. The answer to a GET has.
            let sink = S3ReadSink(
                key, ReadOptions(range: 0..<1), isContentHash: isContentHash, CollectingSink(limit: 1))
            do throws(StoreError) {
                _ = try await perform(Call(method: .get, key: key, headers: [("Range", "bytes=0-0")]), into: sink)
            } catch  where error.status == 416 {
                // The object is empty.
            }
            // That one may have led to other credentials.
            return try await facts(key)
        }
    }

    private func facts(_ key: String) async throws(StoreError) -> ObjectInfo {
        let response = try await perform(Call(method: .head, key: key, expectedLength: 0))
        guard let size = response.head.contentLength else {
            throw StoreError(.permanent, key: key, message: "the answer has no length")
        }
        return S3ObjectFacts.info(key: key, size: size, response.head, isContentHash: isContentHash)
    }

    /// See ``ObjectStore/get(_:_:into:)``. A server that ignores the range delivers the whole object: the sink learns
    /// from its `begin` that the body stands at offset 0.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        if let range = options.range, range.isEmpty {
            throw StoreError(.permanent, key: key, message: "an empty range cannot be read")
        }
        var call = Call(method: .get, key: key)
        if let range = options.range {
            call.headers.append(("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
            call.expectedLength = range.upperBound - range.lowerBound
        }
        if let tag = options.ifMatch { call.headers.append(("If-Match", "\"\(tag)\"")) }
        if let tag = options.ifNoneMatch { call.headers.append(("If-None-Match", "\"\(tag)\"")) }
        let body = S3ReadSink(key, options, isContentHash: isContentHash, sink)
        do throws(StoreError) {
            let response = try await perform(call, into: body)
            if response.head.status == 304 { return .notModified }
            return .object(try body.finish())
        } catch {
            if body.isUnchanged { return .notModified }
            throw error
        }
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        var call = Call(method: .get)
        call.query = [
            ("list-type", "2"), ("encoding-type", "url"), ("max-keys", String(min(max(request.limit, 1), 1000))),
            ("prefix", prefix + request.prefix),
        ]
        if let continuation = request.continuation {
            switch S3ListReader.Next(continuation) {
            case .token(let token): call.query.append(("continuation-token", token))
            case .key(let key): call.query.append(("start-after", key))
            case nil: throw StoreError(.permanent, message: "not a continuation of this store: \(continuation)")
            }
        } else if let key = request.startAfter {
            call.query.append(("start-after", prefix + key))
        }
        let response = try await perform(call)
        return try S3ListReader.page(response.body, prefix: prefix)
    }
}
