internal import Digests
public import ObjectStore
internal import Platform

/// Uploads in parts (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>).
extension S3Store: MultipartStore {
    /// See ``ObjectStore/multipart``.
    public var multipart: (any MultipartStore)? { self }

    /// See ``MultipartStore/begin(_:)``.
    public func begin(_ key: String) async throws(StoreError) -> String {
        var call = Call(method: .post, key: key, query: [("uploads", "")])
        call.body = .bytes([])
        let document = try S3Document(
            try await perform(call).body, root: "InitiateMultipartUploadResult", items: [])
        guard let id = document.fields["UploadId"], !id.isEmpty else {
            throw StoreError(.temporary, key: key, message: "the answer names no upload")
        }
        return id
    }

    /// See ``MultipartStore/put(part:of:_:_:)``.
    public func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        var call = Call(
            method: .put, key: key, query: [("partNumber", String(number)), ("uploadId", uploadID)])
        try await call.setBody(body, isEncrypted: endpoint.isEncrypted)
        let response = try await perform(call)
        guard let tag = S3ObjectFacts.tag(response.head["etag"]) else {
            throw StoreError(.permanent, key: key, message: "the store did not tell the part's tag")
        }
        return MultipartPart(number: number, size: body.length, etag: tag)
    }

    /// See ``MultipartStore/parts(of:_:)``.
    public func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        var parts: [MultipartPart] = []
        var marker = 0
        while true {
            let call = Call(
                method: .get, key: key,
                query: [("uploadId", uploadID), ("max-parts", "1000"), ("part-number-marker", String(marker))])
            let page = try S3Document(try await perform(call).body, root: "ListPartsResult", items: ["Part"])
            for item in page.items {
                guard let number = item["PartNumber"].flatMap({ Int($0) }), number > marker,
                    let size = item["Size"].flatMap({ UInt64($0) }), let tag = S3ObjectFacts.tag(item["ETag"])
                else { throw StoreError(.temporary, key: key, message: "the list has a part without its facts") }
                parts.append(MultipartPart(number: number, size: size, etag: tag))
            }
            guard page.fields["IsTruncated"] == "true", let last = parts.last, last.number > marker else {
                return parts
            }
            marker = last.number
        }
    }

    /// See ``MultipartStore/complete(_:_:parts:_:)``. Ceph ignores the condition: it is looked up right before, and the
    /// object right after.
    public func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let wanted = Self.tag(of: parts)
        do throws(StoreError) {
            try await require(condition, key)
            var call = Call(method: .post, key: key, query: [("uploadId", uploadID)])
            let body = Self.completion(parts)
            call.body = .bytes(body)
            call.payloadHash = SHA256.hex(body)
            call.headers = [("Content-Type", "application/xml")]
            call.patience = Self.patience
            let response = try await conditional(call, condition)
            try Self.checkBody(response, key)
            let document = try S3Document(response.body, root: "CompleteMultipartUploadResult", items: [])
            let tag = S3ObjectFacts.tag(document.fields["ETag"]) ?? wanted
            let found = try await head(key)
            guard tag == nil || found.etag == tag else {
                throw StoreError(.precondition, key: key, message: "another writer was there right afterwards")
            }
            return found
        } catch  where error.kind == .notFound || error.kind == .precondition {
            // The request before this one may have done it and its answer been lost.
            guard let wanted, let found = try await present(key), found.etag == wanted else { throw error }
            return found
        }
    }

    /// See ``MultipartStore/abort(_:_:)``.
    public func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        let call = Call(method: .delete, key: key, query: [("uploadId", uploadID)])
        do throws(StoreError) { _ = try await perform(call) } catch  where error.kind == .notFound {}
    }

    /// See ``MultipartStore/uploads(prefix:)``. URL encoding is not asked for: Ceph 16 then encodes and does not say so.
    public func uploads(prefix below: String) async throws(StoreError) -> [MultipartUpload] {
        var uploads: [MultipartUpload] = []
        var markers: [(String, String)] = []
        while true {
            let call = Call(
                method: .get,
                query: [("max-uploads", "1000"), ("prefix", prefix + below), ("uploads", "")]
                    + markers)
            let page = try S3Document(
                try await perform(call).body, root: "ListMultipartUploadsResult", items: ["Upload"])
            for item in page.items {
                guard let key = page.key(item["Key"]), let id = item["UploadId"] else {
                    throw StoreError(.temporary, message: "the list has an upload without its facts")
                }
                guard key.utf8.starts(with: prefix.utf8) else { continue }
                uploads.append(
                    MultipartUpload(
                        key: String(decoding: key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self), uploadID: id,
                        begun: item["Initiated"].flatMap { S3Dates.iso8601($0) }))
            }
            guard page.fields["IsTruncated"] == "true", !page.items.isEmpty,
                let key = page.key(page.fields["NextKeyMarker"])
            else { return uploads }
            markers = [("key-marker", key), ("upload-id-marker", page.fields["NextUploadIdMarker"] ?? "")]
        }
    }

    private func present(_ key: String) async throws(StoreError) -> ObjectInfo? {
        do throws(StoreError) { return try await head(key) } catch  where error.kind == .notFound { return nil }
    }

    /// The tag that the object will have, if the parts' tags are the MD5 of their bytes.
    private static func tag(of parts: [MultipartPart]) -> String? {
        var digests: [UInt8] = []
        for part in parts {
            guard let digest = Hex.decode(part.etag), digest.count == 16 else { return nil }
            digests += digest
        }
        return MD5.hex(digests) + "-\(parts.count)"
    }

    private static func completion(_ parts: [MultipartPart]) -> [UInt8] {
        var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for part in parts {
            text += "<Part><PartNumber>\(part.number)</PartNumber><ETag>&quot;"
            for character in part.etag {
                switch character {
                case "&": text += "&amp;"
                case "<": text += "&lt;"
                default: text.append(character)
                }
            }
            text += "&quot;</ETag></Part>"
        }
        return Array((text + "</CompleteMultipartUpload>").utf8)
    }
}
