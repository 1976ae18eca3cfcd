internal import CCurl
internal import Glibc
internal import ObjectStore
internal import Platform
internal import Synchronization

/// One request on its way: curl's handle and what its callbacks have gathered.
///
/// `@unchecked Sendable`: ``prepare(_:)`` runs before the engine's queue, a lock, hands the transfer over; from then on
/// only the engine's thread touches the variables, for curl calls back on the thread that runs it. The mark of
/// cancellation is atomic.
final class Transfer: @unchecked Sendable {
    let request: HTTPRequest
    private let sink: (any HTTPBodySink)?
    private let cancelled = Atomic<Bool>(false)

    private(set) var easy: UnsafeMutableRawPointer?
    private var continuation: CheckedContinuation<Result<HTTPResponse, StoreError>, Never>?
    private var headers: UnsafeMutablePointer<curl_slist>?
    private var message: UnsafeMutablePointer<CChar>?
    private var head = HTTPResponseHead()
    /// The empty line behind the head has come. Curl takes a connection that closes before it for a whole answer.
    private var isHeadComplete = false
    private var body: [UInt8] = []
    private var sent: UInt64 = 0
    private var throttle: Throttle?
    private var watch: LineWatch?
    private var silenceTimeout: UInt32 = 0
    /// What waits for the throttle.
    private var paused: Set<BandwidthLimits.Direction> = []
    /// Why a callback ended the transfer.
    private var failure: StoreError?

    /// Of an error response's body, so much is kept.
    private static let errorLimit = 64 << 10

    init(_ request: HTTPRequest, _ sink: (any HTTPBodySink)?) {
        self.request = request
        self.sink = sink
    }

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
    func markCancelled() { cancelled.store(true, ordering: .releasing) }

    func prepare(_ continuation: CheckedContinuation<Result<HTTPResponse, StoreError>, Never>) {
        self.continuation = continuation
    }

    func complete(_ outcome: Result<HTTPResponse, StoreError>) {
        continuation?.resume(returning: outcome)
        continuation = nil
    }

    // MARK: The handle

    /// - Returns: nil when curl does not take the URL or a header, or a header holds a line break.
    func makeHandle(
        _ options: HTTPOptions, _ share: UnsafeMutableRawPointer, _ throttle: Throttle?, _ watch: LineWatch?
    ) -> UnsafeMutableRawPointer? {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        self.throttle = throttle
        self.watch = watch
        silenceTimeout = UInt32(clamping: options.silenceTimeout * 1000)
        guard configure(easy, options, share) else {
            discardHandle()
            return nil
        }
        return easy
    }

    func discardHandle() {
        if let easy { curl_easy_cleanup(easy) }
        curl_slist_free_all(headers)
        message?.deallocate()
        easy = nil
        headers = nil
        message = nil
    }

    private func configure(
        _ easy: UnsafeMutableRawPointer, _ options: HTTPOptions, _ share: UnsafeMutableRawPointer
    ) -> Bool {
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        self.message = message
        // Lives until discardHandle(), and the engine holds the transfer until then.
        let context = Unmanaged.passUnretained(self).toOpaque()
        sfs_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, message)
        sfs_curl_set_pointer(easy, CURLOPT_SHARE, share)
        sfs_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        sfs_curl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        sfs_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        sfs_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        sfs_curl_set_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        sfs_curl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
        sfs_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        sfs_curl_set_string(easy, CURLOPT_USERAGENT, options.userAgent)
        setTimeouts(easy, options)
        setTrust(easy, options)
        setCallbacks(easy, context)
        watch?.attach(to: easy)
        sfs_curl_set_long(easy, CURLOPT_BUFFERSIZE, bufferSize)
        guard sfs_curl_set_string(easy, CURLOPT_URL, request.url) == CURLE_OK else { return false }
        setMethod(easy, context)
        return setHeaders(easy)
    }

    /// Large buffers make large bodies cheap; with many small answers under way they would only cost memory.
    private var bufferSize: Int {
        // What comes in one piece passes in one piece.
        if let share = throttle?.limits.share(.download) { return min(max(share, 4 << 10), 64 << 10) }
        return switch request.expectedLength {
        case .some(let length) where length > 1 << 20: 512 << 10
        case .some(let length) where length > 64 << 10: 128 << 10
        case .some: 16 << 10
        case nil: 32 << 10
        }
    }

    private func setTimeouts(_ easy: UnsafeMutableRawPointer, _ options: HTTPOptions) {
        let connect = request.connectTimeoutMilliseconds ?? options.connectTimeout * 1000
        sfs_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, connect)
        sfs_curl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1)
        let patience = options.stallTimeout * (request.body.length > 1 << 20 ? 3 : 1)
        sfs_curl_set_long(easy, CURLOPT_LOW_SPEED_TIME, request.stallTimeoutSeconds ?? patience)
        // The network's silence is judged by the system, as it cannot be told from a server's here.
        sfs_curl_set_long(easy, CURLOPT_TCP_KEEPIDLE, max(1, options.silenceTimeout / 2))
        sfs_curl_set_long(easy, CURLOPT_TCP_KEEPINTVL, max(1, options.silenceTimeout / 5))
        if let total = request.totalTimeoutMilliseconds { sfs_curl_set_long(easy, CURLOPT_TIMEOUT_MS, total) }
    }

    private func setTrust(_ easy: UnsafeMutableRawPointer, _ options: HTTPOptions) {
        if !options.verifiesTLS {
            sfs_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 0)
            sfs_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 0)
        }
        sfs_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = options.caFile { sfs_curl_set_string(easy, CURLOPT_CAINFO, file) }
        if !request.usesProxy {
            sfs_curl_set_string(easy, CURLOPT_PROXY, "")
        } else if let proxy = options.proxy {
            sfs_curl_set_string(easy, CURLOPT_PROXY, proxy.reveal())
        }
    }

    private func setCallbacks(_ easy: UnsafeMutableRawPointer, _ context: UnsafeMutableRawPointer) {
        sfs_curl_set_socket(easy, socketOpened)
        sfs_curl_set_pointer(easy, CURLOPT_SOCKOPTDATA, context)
        sfs_curl_set_callback(easy, CURLOPT_HEADERFUNCTION, headerArrived)
        sfs_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        sfs_curl_set_callback(easy, CURLOPT_WRITEFUNCTION, bodyArrived)
        sfs_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
    }

    private func setMethod(_ easy: UnsafeMutableRawPointer, _ context: UnsafeMutableRawPointer) {
        if request.method == .head {
            sfs_curl_set_long(easy, CURLOPT_NOBODY, 1)
        } else if request.method == .put || request.method == .post {
            sfs_curl_set_long(easy, CURLOPT_UPLOAD, 1)
            sfs_curl_set_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.body.length))
            sfs_curl_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, request.body.length > 1 << 20 ? 512 << 10 : 64 << 10)
            sfs_curl_set_callback(easy, CURLOPT_READFUNCTION, bodyWanted)
            sfs_curl_set_pointer(easy, CURLOPT_READDATA, context)
            sfs_curl_set_seek(easy, bodyRewound)
            sfs_curl_set_pointer(easy, CURLOPT_SEEKDATA, context)
        }
        if request.method == .post || request.method == .delete {
            sfs_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        }
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer) -> Bool {
        // Without `Expect` a body goes out at once instead of a round trip later.
        for (name, value) in request.headers + [("Expect", "")] {
            let line = name + ": " + value
            guard !line.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D || $0 == 0 }) else { return false }
            // In curl's notation `Name;` sends a field without a value, `Name:` removes it.
            let entry = value.isEmpty ? (name == "Expect" ? name + ":" : name + ";") : line
            guard let extended = curl_slist_append(headers, entry) else { return false }
            headers = extended
        }
        return sfs_curl_set_list(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK
    }

    // MARK: Callbacks

    /// - Returns: whether the transfer goes on.
    fileprivate func takeHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        guard !isCancelled else { return false }
        // What follows a body in chunks is a trailer, in which nothing is wanted.
        guard !isHeadComplete else { return true }
        guard line.allSatisfy({ $0 == 0x0D || $0 == 0x0A }) else {
            head.take(line: line)
            return true
        }
        // Behind an interim response the real one follows.
        isHeadComplete = head.status >= 200
        guard let sink, head.isSuccess else { return true }
        return passing { () throws(StoreError) in try sink.begin(head) }
    }

    /// - Returns: nil when the bytes have to come again later.
    fileprivate func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        guard !isCancelled else { return false }
        if mustWait(.download) { return nil }
        throttle?.limits.took(bytes.count, .download)
        return keepBody(bytes)
    }

    private func keepBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if head.isSuccess, let sink {
            return passing { () throws(StoreError) in try sink.receive(bytes.bytes) }
        }
        let limit = head.isSuccess ? request.collectLimit : Self.errorLimit
        if body.count + bytes.count > limit {
            guard !head.isSuccess else {
                failure = StoreError(.permanent, message: "the response is larger than \(limit) bytes")
                return false
            }
            body.append(contentsOf: bytes.prefix(limit - body.count))
        } else {
            body.append(contentsOf: bytes)
        }
        return true
    }

    private func passing(_ work: () throws(StoreError) -> Void) -> Bool {
        do throws(StoreError) { try work() } catch {
            failure = error
            return false
        }
        return true
    }

    // MARK: Limits

    /// Whether a body is so large that it waits; if it has to now, the transfer is put into the queue.
    private func mustWait(_ direction: BandwidthLimits.Direction) -> Bool {
        guard let throttle, throttle.limits.wait(direction) > 0 else { return false }
        let length =
            direction == .upload ? request.body.length : head.contentLength ?? request.expectedLength ?? .max
        guard length > Throttle.smallBody else { return false }
        paused.insert(direction)
        throttle.enqueue(self, direction)
        return true
    }

    /// Lets a body that waits go on. Bytes that have arrived are delivered meanwhile, and may have to wait again.
    func resume(_ direction: BandwidthLimits.Direction) {
        guard let easy, paused.remove(direction) != nil else { return }
        var mask = CURLPAUSE_CONT
        if paused.contains(.upload) { mask |= CURLPAUSE_SEND }
        if paused.contains(.download) { mask |= CURLPAUSE_RECV }
        curl_easy_pause(easy, mask)
    }

    fileprivate func opened(_ socket: Int32) {
        watch?.opened(socket)
        guard silenceTimeout > 0 else { return }
        // Without it nothing is lost but time.
        setsockopt(
            socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &silenceTimeout, socklen_t(MemoryLayout<UInt32>.size))
    }

    /// - Returns: how many bytes were put into the buffer; nil ends the transfer.
    fileprivate func giveBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard !isCancelled else { return nil }
        let left = request.body.length - sent
        if left > 0, mustWait(.upload) { return Int(CURL_READFUNC_PAUSE) }
        let share = throttle?.limits.share(.upload) ?? buffer.count
        let count = Int(min(UInt64(min(buffer.count, share)), left))
        throttle?.limits.took(count, .upload)
        switch request.body {
        case .none: return 0
        case .bytes(let bytes):
            bytes.withUnsafeBytes { source in
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[Int(sent)..<Int(sent) + count]))
            }
        case .file(let file, let offset, _):
            var filled = 0
            while filled < count {
                let base = buffer.baseAddress.map { $0 + filled }
                let read = pread(file.raw, base, count - filled, off_t(offset + sent) + off_t(filled))
                if read < 0 && errno == EINTR { continue }
                guard read > 0 else {
                    failure =
                        read < 0
                        ? StoreError(SystemError.current("pread"))
                        : StoreError(.local, message: "the file became shorter while it was sent")
                    return nil
                }
                filled += read
            }
        }
        sent += UInt64(count)
        return count
    }

    fileprivate func rewind(to offset: Int64) -> Bool {
        guard offset >= 0, UInt64(offset) <= request.body.length else { return false }
        sent = UInt64(offset)
        return true
    }

    // MARK: The end

    func outcome(_ result: CURLcode) -> Result<HTTPResponse, StoreError> {
        if let failure { return .failure(failure) }
        if isCancelled && result != CURLE_OK { return .failure(.cancelledTransfer) }
        guard result != CURLE_OK else {
            guard isHeadComplete else {
                return .failure(StoreError(.temporary, message: "connection lost: the answer's head is not complete"))
            }
            return .success(HTTPResponse(head: head, body: body))
        }
        let detail = message.map { String(cString: $0) } ?? ""
        var requestSize = 0
        if let easy { sfs_curl_get_long(easy, CURLINFO_REQUEST_SIZE, &requestSize) }
        return .failure(StoreError(curl: result, detail: detail, wasSent: requestSize > 0))
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
    context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
}

private func headerArrived(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return transfer(context)?.takeHeader(line) == true ? line.count : -1
}

private func bodyArrived(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let part = UnsafeRawBufferPointer(start: bytes, count: size * count)
    guard let taken = transfer(context)?.takeBody(part) else { return Int(CURL_WRITEFUNC_PAUSE) }
    return taken ? part.count : -1
}

private func bodyWanted(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let room = UnsafeMutableRawBufferPointer(start: buffer, count: size * count)
    return transfer(context)?.giveBody(room) ?? Int(CURL_READFUNC_ABORT)
}

private func socketOpened(_ context: UnsafeMutableRawPointer?, _ socket: Int32, _ purpose: curlsocktype) -> Int32 {
    transfer(context)?.opened(socket)
    return Int32(CURL_SOCKOPT_OK)
}

private func bodyRewound(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard origin == SEEK_SET, transfer(context)?.rewind(to: Int64(offset)) == true else { return CURL_SEEKFUNC_FAIL }
    return CURL_SEEKFUNC_OK
}
