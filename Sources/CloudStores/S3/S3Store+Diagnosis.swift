public import ObjectStore
internal import Platform

extension S3Store {
    /// Looks at everything that can be wrong with a bucket, for `sessionfs check`. Ends at the first thing without which
    /// the rest cannot work.
    /// - Parameter write: also writes and removes an object `.sessionfs-probe-…`, to see which conditions the server
    ///   honours on writes.
    /// - Returns: what was found, in the order in which it was looked at. Never a secret.
    public func diagnose(write: Bool) async -> [StoreFinding] {
        var diagnosis = S3Diagnosis(store: self)
        await diagnosis.run(write: write)
        return diagnosis.findings
    }
}

/// The checks of one diagnosis and what they found so far.
struct S3Diagnosis {
    private let store: S3Store
    private(set) var findings: [StoreFinding] = []

    /// A readable object, to try conditions on.
    private var sample: (key: String, etag: String)?

    init(store: S3Store) { self.store = store }

    mutating func run(write: Bool) async {
        guard await checkCredentials(), await checkBucket() else { return }
        await checkReading()
        await checkConditionalReads()
        if write { await checkWriting() }
    }

    private mutating func add(
        _ name: String, _ level: StoreFinding.Level, _ message: String, advice: String? = nil
    ) {
        findings.append(StoreFinding(name, level, message, advice: advice))
    }

    private mutating func add(_ name: String, _ error: StoreError) {
        let advice = S3Advice.about(error, isAWS: store.endpoint.isAWS)
        findings.append(StoreFinding(name, .error, error.description, advice: advice, kind: error.kind))
    }

    // MARK: Connection

    private mutating func checkCredentials() async -> Bool {
        do throws(StoreError) {
            let found = try await store.provider.credentials()
            add(
                "credentials", found == nil ? .warning : .ok,
                found == nil ? "none: requests are not signed" : store.provider.source,
                advice: found == nil ? "Only public buckets can be read so." : nil)
            return true
        } catch {
            add("credentials", error)
            return false
        }
    }

    /// One listing tells about endpoint, TLS, clock, region, bucket and permission.
    private mutating func checkBucket() async -> Bool {
        let configured = store.region
        let list = S3Store.Call(
            method: .get, query: [("list-type", "2"), ("max-keys", "1"), ("prefix", store.prefix)])
        var response: HTTPResponse
        do throws(StoreError) {
            response = try await store.attempt(list, configured)
            reached(response.head)
            if !response.head.isSuccess, let named = store.failure(response, list).region, named != configured {
                add(
                    "region", .warning, "the bucket is in \(named), not in \(configured)",
                    advice: "Set region = \(named): every start needs one request less.")
                response = try await store.attempt(list, named)
            } else {
                add("region", .ok, configured)
            }
            if response.head.isSuccess {
                let page = try await store.list(ListRequest(prefix: "", limit: 1))
                add("bucket", .ok, "\(store.location) can be listed")
                sample = page.objects.first.flatMap { object in object.etag.map { (object.key, $0) } }
                return true
            }
        } catch {
            add(error.kind == .unreachable || error.kind == .temporary ? "endpoint" : "bucket", error)
            return false
        }
        let refusal = store.failure(response, list).error
        add("bucket", refusal)
        // Whoever may not list may still read objects by their names.
        return refusal.kind == .forbidden
    }

    private mutating func reached(_ head: HTTPResponseHead) {
        let target = store.endpoint.address(nil, region: store.region)
        let url = "\(target.scheme)://\(target.host)"
        if store.endpoint.isEncrypted {
            add("endpoint", .ok, "\(url) answers")
        } else {
            add(
                "endpoint", .warning, "\(url) answers; nothing is encrypted on the way",
                advice: "Use https unless the network is trusted.")
        }
        guard let time = S3Dates.http(head["date"]) else { return }
        let skew = Timestamp.now.seconds(since: time)
        let words = S3Failure.skew(skew)
        // S3 refuses signatures that are off by more than 15 minutes.
        let level: StoreFinding.Level = skew.magnitude > 900 ? .error : skew.magnitude > 60 ? .warning : .ok
        add(
            "clock", level, level == .ok ? "agrees with the store's" : "this computer's clock is wrong: \(words)",
            advice: level == .ok ? nil : "Set the clock, for example with: timedatectl set-ntp true")
    }

    // MARK: Reading

    private mutating func checkReading() async {
        let key = "overall_meta.json"
        do throws(StoreError) {
            let sink = CollectingSink(limit: 64 << 20)
            guard case .object(let info) = try await store.get(key, ReadOptions(range: 0..<1), into: sink) else {
                return
            }
            add("reading", .ok, "\(key) can be read (\(info.size) bytes)")
            if let etag = info.etag { sample = (key, etag) }
        } catch  where error.kind == .notFound {
            add("reading", .ok, "there is no \(key) yet")
        } catch {
            add("reading", error)
        }
    }

    private mutating func checkConditionalReads() async {
        guard let sample else { return }
        do throws(StoreError) {
            let unchanged = try await status(
                .get, sample.key, [("Range", "bytes=0-0"), ("If-None-Match", quoted(sample.etag))])
            let refused = try await status(
                .get, sample.key, [("Range", "bytes=0-0"), ("If-Match", quoted(S3Diagnosis.noTag))])
            let ignored = (unchanged == 304 ? [] : ["If-None-Match"]) + (refused == 412 ? [] : ["If-Match"])
            if ignored.isEmpty {
                add("conditional reads", .ok, "If-Match and If-None-Match are honoured")
            } else {
                add(
                    "conditional reads", .warning, "\(ignored.joined(separator: " and ")) ignored by the server",
                    advice: "Versions are compared here instead, which costs more bytes.")
            }
        } catch {
            add("conditional reads", error)
        }
    }

    // MARK: Writing

    /// A tag that no object has.
    private static let noTag = "00000000000000000000000000000000"

    private mutating func checkWriting() async {
        let key = ".sessionfs-probe-" + String(UInt64.random(in: .min ... .max), radix: 36)
        do throws(StoreError) {
            let written = try await store.put(key, .bytes([1]), .always)
            add("writing", .ok, "objects can be written")
            do throws(StoreError) { try await checkConditionalWrites(key, written) } catch
                where error.kind == .unsupported
            {
                add(
                    "conditional writes", .warning, error.description,
                    advice: S3Advice.about(error, isAWS: store.endpoint.isAWS))
            } catch {
                add("conditional writes", error)
            }
        } catch {
            add("writing", error)
            // The answer may be what was lost, not the request.
            guard error.isRetryable else { return }
        }
        do throws(StoreError) {
            try await store.delete(key, ifMatch: nil)
            add("deleting", .ok, "objects can be deleted")
        } catch {
            add("deleting", error)
            add("deleting", .warning, "the object \(key) is left in the bucket", advice: "Remove it by hand.")
        }
    }

    private mutating func checkConditionalWrites(_ key: String, _ written: ObjectInfo) async throws(StoreError) {
        var ignored: [String] = []
        if try await accepts(key, .ifAbsent) { ignored.append("If-None-Match: *") }
        if try await accepts(key, .ifMatch(Self.noTag)) { ignored.append("If-Match") }
        let current = try await store.head(key).etag ?? written.etag
        let canMatch = try await accepts(key, .ifMatch(current ?? Self.noTag))
        if ignored.isEmpty && canMatch {
            add("conditional writes", .ok, "If-None-Match and If-Match are honoured")
        } else if !ignored.isEmpty {
            add(
                "conditional writes", .warning, "not honoured by the server: \(ignored.joined(separator: ", "))",
                advice: "Several writers at the same time can overwrite each other: let one at a time write.")
        } else {
            add(
                "conditional writes", .warning, "the server refuses If-Match even for the current version",
                advice: "Let one at a time write.")
        }
        let removal = try await status(.delete, key, [("If-Match", store.spelling.spell(Self.noTag))])
        let isHonoured = removal == 412
        add(
            "conditional deletes", isHonoured ? .ok : .warning,
            isHonoured ? "If-Match is honoured" : "If-Match is not honoured by the server (HTTP \(removal))",
            advice: isHonoured ? nil : "Versions are looked up before a delete instead, which leaves a short gap.")
    }

    /// Whether a conditional write goes through. A server that does not know conditions says so: that is a refusal.
    private func accepts(_ key: String, _ condition: WriteCondition) async throws(StoreError) -> Bool {
        do throws(StoreError) { _ = try await store.put(key, .bytes([2]), condition) } catch
            where error.kind == .precondition
        { return false }
        return true
    }

    // MARK: Single requests

    private func quoted(_ tag: String) -> String { "\"\(tag)\"" }

    /// The status of a request, whatever it is.
    private func status(
        _ method: HTTPRequest.Method, _ key: String, _ headers: [(String, String)]
    ) async throws(StoreError) -> Int {
        try await store.attempt(S3Store.Call(method: method, key: key, headers: headers), store.region).head.status
    }
}

/// What a user can do about an error.
enum S3Advice {
    /// - Returns: nil when the error says it all.
    static func about(_ error: StoreError, isAWS: Bool) -> String? {
        switch error.providerCode {
        case "InvalidAccessKeyId":
            return "The access key is not known here: check AWS_ACCESS_KEY_ID, --profile and --endpoint."
        case "SignatureDoesNotMatch":
            return "The secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY."
        case "ExpiredToken", "TokenRefreshRequired":
            return "Get new temporary credentials, for example with: aws sso login"
        case "RequestTimeTooSkewed": return "Set the clock, for example with: timedatectl set-ntp true"
        default: break
        }
        switch error.kind {
        case .unreachable:
            return isAWS
                ? "Check the network, the proxy and the region." : "Check --endpoint, the network and the proxy."
        case .noContainer: return "Check the bucket's name; make it if it shall be new."
        case .forbidden:
            return "The credentials need s3:ListBucket, s3:GetObject and, to write, s3:PutObject and s3:DeleteObject."
        case .unauthenticated: return "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile."
        case .unsupported: return "This server offers no conditions: let one at a time write."
        case .temporary, .throttled, .offline: return "Try again later."
        case .permanent, .notFound, .precondition, .local, .cancelled: return nil
        }
    }
}
