internal import Digests
public import ObjectStore
internal import Platform

extension S3Store {
    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        var call = Call(method: .put, key: key)
        switch body {
        case .bytes(let bytes): call.body = .bytes(bytes)
        case .file(let file, let length): call.body = .file(file, offset: 0, length: length)
        }
        call.payloadHash = try payloadHash(body, key)
        let response: HTTPResponse
        do throws(StoreError) { response = try await conditional(call, condition) } catch
            where condition != .always && error.providerCode == "UnknownError"
        {
            throw try await lostRace(key, body, condition) ?? error
        }
        return S3ObjectFacts.info(key: key, size: body.length, response.head, isContentHash: isContentHash)
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``. Many servers ignore the condition, so the tag is looked up before.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        let call = Call(method: .delete, key: key)
        guard let ifMatch else {
            do throws(StoreError) { _ = try await perform(call) } catch  where error.kind == .notFound {}
            return
        }
        try await require(ifMatch, key)
        _ = try await conditional(call, .ifMatch(ifMatch))
    }

    /// See ``ObjectStore/copy(_:to:_:)``. Servers that know no conditions on copies ignore them or refuse the request
    /// (Ceph), so they are checked before: other writers can come between check and copy.
    public func copy(
        _ source: String, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        switch condition {
        case .always: break
        case .ifAbsent: try await requireAbsent(target)
        case .ifMatch(let tag): try await require(tag, target)
        }
        var call = Call(method: .put, key: target)
        call.headers = [("x-amz-copy-source", SigV4.encodePath("\(configuration.bucket)/\(prefix)\(source)"))]
        let response: HTTPResponse
        do throws(StoreError) { response = try await perform(call) } catch {
            var error = error
            if error.kind == .notFound { error.key = source }
            throw error
        }
        // S3 sends the status before it copies; a failure then stands in the body.
        if let failed = S3ErrorBody(response.body) {
            throw StoreError(
                failed.code == "SlowDown" ? .throttled : .temporary, key: target,
                message: failed.message ?? "the copy failed", providerCode: failed.code, status: 200)
        }
        return try await head(target)
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        var call = Call(method: .put)
        if endpoint.isAWS && region != "us-east-1" {
            let body = Array(
                """
                <CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
                <LocationConstraint>\(region)</LocationConstraint></CreateBucketConfiguration>
                """.utf8)
            call.body = .bytes(body)
            call.payloadHash = SHA256.hex(body)
        }
        do throws(StoreError) {
            _ = try await perform(call)
        } catch  where error.providerCode == "BucketAlreadyOwnedByYou" {
        } catch  where error.providerCode == "BucketAlreadyExists" {
            // Some servers say so to the owner, too. Others' buckets do not let themselves be listed.
            do throws(StoreError) { _ = try await list(ListRequest(prefix: "", limit: 1)) } catch {
                throw StoreError(
                    .forbidden, message: "the bucket \(configuration.bucket) belongs to somebody else",
                    providerCode: "BucketAlreadyExists", status: 409)
            }
        }
    }

    /// The hash to sign. Over TLS a file is not read twice for it.
    private func payloadHash(_ body: ObjectBody, _ key: String) throws(StoreError) -> String {
        switch body {
        case .bytes(let bytes): return SHA256.hex(bytes)
        case .file where endpoint.isEncrypted: return SigV4.unsignedPayload
        case .file(let file, let length):
            let digest = SHA256()
            var offset: UInt64 = 0
            while offset < length {
                do throws(SystemError) {
                    let part = try file.read(at: offset, count: Int(min(1 << 20, length - offset)))
                    guard !part.isEmpty else { break }
                    digest.update(part)
                    offset += UInt64(part.count)
                } catch {
                    throw StoreError(error, key: key)
                }
            }
            guard offset == length else {
                throw StoreError(.local, key: key, message: "the file is shorter than \(length) bytes")
            }
            return Hex.encode(digest.finalize())
        }
    }

    // MARK: Conditions

    /// Makes a write under a condition. Which spelling of a tag the server takes is found out by trying: a refusal
    /// though the object has this very tag means the other one.
    private func conditional(_ call: Call, _ condition: WriteCondition) async throws(StoreError) -> HTTPResponse {
        var call = call
        let plain = call.headers
        switch condition {
        case .always: return try await perform(call)
        case .ifAbsent:
            call.headers = plain + [("If-None-Match", "*")]
            return try await perform(call)
        case .ifMatch(let tag):
            let spelling = self.spelling
            call.headers = plain + [("If-Match", spelling.spell(tag))]
            do throws(StoreError) { return try await perform(call) } catch  where error.kind == .precondition {
                guard try await head(call.key ?? "").etag == tag else { throw error }
            }
            call.headers = plain + [("If-Match", spelling.other.spell(tag))]
            let response = try await perform(call)
            learn(spelling.other)
            return response
        }
    }

    /// Ceph answers 500 `UnknownError` to a conditional write when another one is faster.
    /// - Returns: `.precondition` when the object is neither what the condition wants nor what was to be written.
    private func lostRace(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> StoreError? {
        guard case .bytes(let bytes) = body, let found = try await head(key).etag, found != MD5.hex(bytes) else {
            return nil
        }
        if case .ifMatch(found) = condition { return nil }
        return StoreError(.precondition, key: key, message: "another writer was faster", status: 500)
    }

    private func require(_ tag: String, _ key: String) async throws(StoreError) {
        let found: ObjectInfo
        do throws(StoreError) { found = try await head(key) } catch  where error.kind == .notFound {
            throw StoreError(.precondition, key: key, message: "the object is gone", status: error.status)
        }
        guard found.etag == tag else {
            throw StoreError(.precondition, key: key, message: "the object is not the version that was meant")
        }
    }

    private func requireAbsent(_ key: String) async throws(StoreError) {
        do throws(StoreError) { _ = try await head(key) } catch  where error.kind == .notFound { return }
        throw StoreError(.precondition, key: key, message: "the object exists already")
    }
}
