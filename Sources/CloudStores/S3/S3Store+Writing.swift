internal import Digests
public import ObjectStore
internal import Platform

extension S3Store {
    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        var call = Call(method: .put, key: key)
        try await call.setBody(body, isEncrypted: endpoint.isEncrypted)
        let response: HTTPResponse
        do throws(StoreError) { response = try await conditional(call, condition) } catch
            where condition != .always && error.providerCode == "UnknownError"
        {
            throw try await lostRace(key, body, condition) ?? error
        }
        return S3ObjectFacts.written(key: key, size: body.length, response.head, isContentHash: isContentHash)
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

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``. Servers that know no conditions on copies ignore them (Ceph also
    /// the source's) or refuse the request, so they are checked before: other writers can come between check and copy.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        if let ifSourceMatch {
            guard try await head(source).etag == ifSourceMatch else {
                throw StoreError(.precondition, key: source, message: "the source is not the version that was meant")
            }
        }
        try await require(condition, target)
        var call = Call(method: .put, key: target)
        call.headers = [("x-amz-copy-source", SigV4.encodePath("\(configuration.bucket)/\(prefix)\(source)"))]
        if let ifSourceMatch { call.headers.append(("x-amz-copy-source-if-match", "\"\(ifSourceMatch)\"")) }
        call.patience = Self.patience
        let response: HTTPResponse
        do throws(StoreError) { response = try await perform(call) } catch {
            var error = error
            if error.kind == .notFound { error.key = source }
            throw error
        }
        try Self.checkBody(response, target)
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

    /// Seconds that a server may work on a large object without a word.
    static let patience = 120

    /// S3 sends the status before it copies or joins; a failure then stands in the body.
    static func checkBody(_ response: HTTPResponse, _ key: String) throws(StoreError) {
        guard let failed = S3ErrorBody(response.body) else { return }
        let known = failed.code.flatMap { S3Failure.kind(code: $0) }
        throw StoreError(
            known ?? .temporary, key: key, message: failed.message ?? "the request failed after it had begun",
            providerCode: failed.code, status: response.head.status)
    }

    /// See ``ObjectStore/probeConditions(early:)``. Nothing is looked up besides, as it is for other requests.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        let spellings = [spelling, spelling.other]
        let replacing = ConditionProbe.Trial(
            spellings: spellings.map { self.replacing($0) }, taken: { self.learn(spellings[$0]) })
        let removing: ConditionProbe.Request = { (key, tag) throws(StoreError) in
            try await self.tried(Call(method: .delete, key: key), ifMatch: self.spelling.spell(tag))
        }
        return try await ConditionProbe(self).run(early: early, replacing: replacing, removing: removing)
    }

    private func replacing(_ spelling: TagSpelling) -> ConditionProbe.Request {
        { (key, tag) throws(StoreError) in
            var call = Call(method: .put, key: key)
            try await call.setBody(ConditionProbe.body, isEncrypted: self.endpoint.isEncrypted)
            return try await self.tried(call, ifMatch: spelling.spell(tag))
        }
    }

    private func tried(_ call: Call, ifMatch tag: String) async throws(StoreError) -> ConditionProbe.Answer {
        var call = call
        call.headers.append(("If-Match", tag))
        do throws(StoreError) {
            return .done(etag: S3ObjectFacts.tag(try await perform(call).head["etag"]))
        } catch  where error.kind == .precondition { return .refused }
    }

    // MARK: Conditions

    /// Makes a write under a condition. Which spelling of a tag the server takes is found out by trying: a refusal
    /// though the object has this very tag means the other one.
    func conditional(_ call: Call, _ condition: WriteCondition) async throws(StoreError) -> HTTPResponse {
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
        let written: String?
        if case .bytes(let bytes) = body {
            written = MD5.hex(bytes)
        } else {
            written = body.digests.md5.map { Hex.encode($0) }
        }
        guard let written, let found = try await head(key).etag, found != written else { return nil }
        if case .ifMatch(found) = condition { return nil }
        return StoreError(.precondition, key: key, message: "another writer was faster", status: 500)
    }

    /// Looks a condition up, where the server does not honour it.
    func require(_ condition: WriteCondition, _ key: String) async throws(StoreError) {
        switch condition {
        case .always: break
        case .ifAbsent: try await requireAbsent(key)
        case .ifMatch(let tag): try await require(tag, key)
        }
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

extension S3Store.Call {
    /// Sets body and payload hash; the hash is not computed where whoever made the body knew it. Over TLS a file is not
    /// read twice for it: its MD5 goes along instead, when that is known.
    mutating func setBody(_ body: ObjectBody, isEncrypted: Bool) async throws(StoreError) {
        switch body {
        case .bytes(let bytes):
            self.body = .bytes(bytes)
            payloadHash = SHA256.hex(bytes)
            return
        case .file(let file, let length): self.body = .file(file, offset: 0, length: length)
        case .part(let file, let offset, let length, _): self.body = .file(file, offset: offset, length: length)
        }
        if let md5 = body.digests.md5 { headers.append(("Content-MD5", Base64.encode(md5))) }
        if let known = body.digests.sha256 {
            payloadHash = Hex.encode(known)
        } else if isEncrypted {
            payloadHash = SigV4.unsignedPayload
        } else {
            payloadHash = Hex.encode(try await ContentDigests.of(body, sha256: true).sha256 ?? [])
        }
    }
}
