/// Counts what passes.
struct MeteredMultipart: MultipartStore {
    let store: any MultipartStore
    let meter: MeteredStore

    func begin(_ key: String) async throws(StoreError) -> String {
        try await meter.counting(.multipart) { () throws(StoreError) in try await store.begin(key) }
    }

    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        let part = try await meter.counting(.part) { () throws(StoreError) in
            try await store.put(part: number, of: uploadID, key, body)
        }
        meter.wrote(body.length)
        return part
    }

    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try await meter.counting(.multipart) { () throws(StoreError) in try await store.parts(of: uploadID, key) }
    }

    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await meter.counting(.multipart) { () throws(StoreError) in
            try await store.complete(uploadID, key, parts: parts, condition)
        }
    }

    func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        try await meter.counting(.multipart) { () throws(StoreError) in try await store.abort(uploadID, key) }
    }

    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try await meter.counting(.multipart) { () throws(StoreError) in try await store.uploads(prefix: prefix) }
    }
}

/// Repeats what failed for a passing reason. Every request of an upload in parts may be made twice: a beginning whose
/// answer was lost leaves an upload without parts behind, and a completion that has happened is success.
struct RetryingMultipart: MultipartStore {
    let store: any MultipartStore
    let retrying: RetryingStore

    func begin(_ key: String) async throws(StoreError) -> String {
        try await retrying.repeating { (_) throws(StoreError) in try await store.begin(key) }
    }

    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        try await retrying.repeating { (_) throws(StoreError) in
            try await store.put(part: number, of: uploadID, key, body)
        }
    }

    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try await retrying.repeating { (_) throws(StoreError) in try await store.parts(of: uploadID, key) }
    }

    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await retrying.repeating { (_) throws(StoreError) in
            try await store.complete(uploadID, key, parts: parts, condition)
        }
    }

    func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        try await retrying.repeating { (_) throws(StoreError) in try await store.abort(uploadID, key) }
    }

    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try await retrying.repeating { (_) throws(StoreError) in try await store.uploads(prefix: prefix) }
    }
}
