internal import Digests
public import Platform

/// How a file is cut into parts.
public struct MultipartPlan: Sendable, Equatable {
    /// Shorter files are written in one piece.
    public static let threshold: UInt64 = 16 << 20
    /// The length of the parts of all but huge files.
    public static let usualPart: UInt64 = 8 << 20
    private static let mostParts: UInt64 = 10_000

    /// The file's length in bytes.
    public let length: UInt64
    /// The length of every part but the last, in bytes.
    public let partSize: UInt64

    /// Parts of ``usualPart``, or of as many MiB more as 10,000 of them need.
    public init(length: UInt64) {
        self.length = length
        let needed = (length + Self.mostParts - 1) / Self.mostParts
        partSize = max(Self.usualPart, (needed + 0xf_ffff) & ~0xf_ffff)
    }

    /// Parts of a length that was chosen before.
    /// - Returns: nil when a server does not take so small or so many ones.
    init?(length: UInt64, partSize: UInt64) {
        guard partSize >= 5 << 20, length <= partSize * Self.mostParts else { return nil }
        self.length = length
        self.partSize = partSize
    }

    /// How many parts there are.
    public var count: Int { Int(max(1, (length + partSize - 1) / partSize)) }

    /// The bytes of a part, which is counted from 1.
    func range(of number: Int) -> Range<UInt64> {
        let start = UInt64(number - 1) * partSize
        return start..<min(length, start + partSize)
    }

    /// The tag that S3 gives an object of parts: the MD5 of the parts' MD5, and their number. Where
    /// ``StoreCapabilities/etagIsContentMD5`` holds, an object with this tag and length holds the file's bytes.
    /// - Throws: `.local` when the file cannot be read; `.cancelled`.
    public func tag(of file: FileDescriptor) async throws(StoreError) -> String {
        var digests: [UInt8] = []
        for number in 1...count {
            let range = range(of: number)
            let part = ObjectBody.part(
                file, offset: range.lowerBound, length: UInt64(range.count), ContentDigests())
            digests += try await ContentDigests.of(part, sha256: false).md5 ?? []
        }
        return MD5.hex(digests) + "-\(count)"
    }
}

extension ObjectStore {
    /// Writes a file, in parts from 16 MiB on where the store takes parts. Parts that are there already are not sent
    /// again, and what arrived stays for the next try unless the upload failed for good.
    /// - Parameters:
    ///   - length: of the file in bytes; it does not change meanwhile.
    ///   - condition: looked up before the first byte is sent, and decided when the last one is there.
    ///   - digests: of the whole file, as far as they are known. Waited for before the object comes to be, while parts are
    ///     sent already: throwing takes the upload back.
    ///   - parts: digests of a range of the file, as far as somebody has them at that moment; what is missing is taken
    ///     when the part is sent.
    ///   - resuming: an upload that was begun for this file; one that the server does not know any more is begun anew.
    ///   - beginning: an upload is about to be begun; whether it was, nobody may ever hear.
    ///   - note: an upload has begun, and these are its facts; nil: there is none any more. Has to be durable when it
    ///     returns.
    ///   - progress: how many bytes have arrived; grows, and comes from several threads.
    /// - Throws: what the store throws: `.precondition`, `.temporary` and the like; `.local` when the file cannot be
    ///   read; what `note` throws.
    public func upload(
        _ key: String, _ file: FileDescriptor, length: UInt64, _ condition: WriteCondition,
        digests: @Sendable () async throws(StoreError) -> ContentDigests = { ContentDigests() },
        parts: @escaping @Sendable (Range<UInt64>) -> ContentDigests = { _ in ContentDigests() },
        resuming: MultipartProgress?, beginning: @escaping @Sendable () -> Void = {},
        note: @Sendable (MultipartProgress?) throws(StoreError) -> Void, progress: @Sendable (UInt64) -> Void
    ) async throws(StoreError) -> ObjectInfo {
        if length >= MultipartPlan.threshold, let multipart {
            let upload = PartwiseUpload(
                store: self, multipart: multipart, key: key, file: file, digests: parts, beginning: beginning)
            do throws(StoreError) {
                return try await upload.run(
                    length, condition, digests: digests, resuming: resuming, note: note, progress: progress)
            } catch  where error.kind == .unsupported {
                // Then in one piece, if the server takes it so.
            }
        }
        let info = try await put(key, .part(file, offset: 0, length: length, try await digests()), condition)
        progress(length)
        return info
    }

    /// Removes what an upload that nobody goes on with has left on the server. Absent is fine.
    public func abandon(_ progress: MultipartProgress) async throws(StoreError) {
        try await multipart?.abort(progress.uploadID, progress.key)
    }
}

/// One upload of a file in parts.
private struct PartwiseUpload: Sendable {
    let store: any ObjectStore
    let multipart: any MultipartStore
    let key: String
    let file: FileDescriptor
    /// Of parts, as far as they are known.
    let digests: @Sendable (Range<UInt64>) -> ContentDigests
    let beginning: @Sendable () -> Void

    private static let parallel = 6

    func run(
        _ length: UInt64, _ condition: WriteCondition,
        digests: @Sendable () async throws(StoreError) -> ContentDigests, resuming: MultipartProgress?,
        note: @Sendable (MultipartProgress?) throws(StoreError) -> Void, progress: @Sendable (UInt64) -> Void
    ) async throws(StoreError) -> ObjectInfo {
        // Many bytes are not sent for a condition that fails already. The look costs no time.
        async let refusal = refusal(condition)
        let (current, plan, present) = try await begun(length, resuming, note)
        do throws(StoreError) {
            if let refusal = await refusal { throw refusal }
            let parts = try await send(current, plan, present, progress)
            _ = try await digests()
            let info = try await multipart.complete(current.uploadID, key, parts: parts, condition)
            // The upload is no more, whether that can be noted or not.
            do throws(StoreError) { try note(nil) } catch {}
            return info
        } catch {
            if error.isFinalForUpload { await forget(current, note) }
            // Where no object is looked for it is the upload that is gone: somebody has cleaned up.
            if error.kind == .notFound, !condition.namesVersion {
                throw StoreError(.temporary, key: key, message: "the upload is gone from the server")
            }
            throw error
        }
    }

    /// Why nothing can come of a write under a condition; nil when something can.
    private func refusal(_ condition: WriteCondition) async -> StoreError? {
        guard condition != .always else { return nil }
        var found: ObjectInfo?
        do throws(StoreError) { found = try await store.head(key) } catch {
            guard error.kind == .notFound else { return error }
        }
        let holds =
            switch condition {
            case .always: true
            case .ifAbsent: found == nil
            case .ifMatch(let tag): found?.etag == tag
            }
        return holds
            ? nil : StoreError(.precondition, key: key, message: "the object is not the version that was meant")
    }

    /// The upload that was begun before, with the parts that the server has, else a new one.
    private func begun(
        _ length: UInt64, _ resuming: MultipartProgress?,
        _ note: @Sendable (MultipartProgress?) throws(StoreError) -> Void
    ) async throws(StoreError) -> (MultipartProgress, MultipartPlan, [MultipartPart]) {
        if let resuming {
            if resuming.key.utf8.elementsEqual(key.utf8),
                let plan = MultipartPlan(length: length, partSize: resuming.partSize)
            {
                do throws(StoreError) {
                    return (resuming, plan, try await multipart.parts(of: resuming.uploadID, key))
                } catch  where error.kind == .notFound {
                    // Somebody has cleaned up.
                }
            } else {
                await forget(resuming, note)
            }
        }
        let plan = MultipartPlan(length: length)
        beginning()
        let fresh = MultipartProgress(uploadID: try await multipart.begin(key), key: key, partSize: plan.partSize)
        FaultPoint.reached("upload.begun")
        do throws(StoreError) { try note(fresh) } catch {
            // Nobody would know of it after a crash.
            await abort(fresh)
            throw error
        }
        return (fresh, plan, [])
    }

    private func forget(
        _ upload: MultipartProgress, _ note: @Sendable (MultipartProgress?) throws(StoreError) -> Void
    ) async {
        await abort(upload)
        do throws(StoreError) { try note(nil) } catch {}
    }

    /// Runs also where the caller's task is cancelled.
    private func abort(_ upload: MultipartProgress) async {
        let multipart = multipart
        await Task { try? await multipart.abort(upload.uploadID, upload.key) }.value
    }

    // MARK: Parts

    private func send(
        _ upload: MultipartProgress, _ plan: MultipartPlan, _ present: [MultipartPart],
        _ progress: @Sendable (UInt64) -> Void
    ) async throws(StoreError) -> [MultipartPart] {
        let known = Dictionary(present.map { ($0.number, $0) }) { _, last in last }
        let wantsSHA256 = store.capabilities.wantsSHA256
        let arrived = Guarded<UInt64>(0)
        let parts: Result<[MultipartPart], StoreError> = await withTaskGroup(
            of: Result<MultipartPart, StoreError>.self
        ) { group in
            func add(_ number: Int) {
                group.addTask {
                    do throws(StoreError) {
                        return .success(try await part(number, upload, plan, known[number], wantsSHA256))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            var next = 1
            var parts: [MultipartPart] = []
            var failure: StoreError?
            while next <= min(Self.parallel, plan.count) {
                add(next)
                next += 1
            }
            for await result in group {
                switch result {
                case .success(let part):
                    parts.append(part)
                    // In the lock, so that reports come in order.
                    arrived.withLock { total in
                        total += part.size
                        progress(total)
                    }
                    if failure == nil, next <= plan.count {
                        add(next)
                        next += 1
                    }
                case .failure(let error):
                    // What the others say then is only that they were cancelled.
                    if failure == nil { failure = error }
                    group.cancelAll()
                }
            }
            if let failure { return .failure(failure) }
            return .success(parts.sorted { $0.number < $1.number })
        }
        return try parts.get()
    }

    private func part(
        _ number: Int, _ upload: MultipartProgress, _ plan: MultipartPlan, _ known: MultipartPart?,
        _ wantsSHA256: Bool
    ) async throws(StoreError) -> MultipartPart {
        let range = plan.range(of: number)
        let length = UInt64(range.count)
        // Where the server checks the SHA-256 the MD5 would tell it nothing more, and is slow to take.
        let wanted = (md5: known != nil || !wantsSHA256, sha256: wantsSHA256)
        var digests = digests(range)
        if wanted.md5 && digests.md5 == nil || wanted.sha256 && digests.sha256 == nil {
            let bytes = ObjectBody.part(file, offset: range.lowerBound, length: length, ContentDigests())
            digests = try await ContentDigests.of(bytes, md5: wanted.md5, sha256: wanted.sha256)
        }
        if let known, known.size == length, known.etag.lowercased() == digests.md5.map({ Hex.encode($0) }) {
            return known
        }
        return try await multipart.put(
            part: number, of: upload.uploadID, key, .part(file, offset: range.lowerBound, length: length, digests))
    }
}

extension WriteCondition {
    /// Whether an object has to be there.
    fileprivate var namesVersion: Bool { if case .ifMatch = self { true } else { false } }
}

extension StoreError {
    /// Whether going on with an upload cannot help. After a refusal of credentials it can.
    fileprivate var isFinalForUpload: Bool {
        switch kind {
        case .permanent, .notFound, .noContainer, .precondition, .forbidden, .unsupported: true
        case .temporary, .throttled, .unreachable, .offline, .unauthenticated, .local, .cancelled: false
        }
    }
}
