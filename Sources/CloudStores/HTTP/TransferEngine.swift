internal import CCurl
internal import ObjectStore
internal import Platform

/// The thread that moves all transfers of a client, and the queue to it.
final class TransferEngine: Sendable {
    private enum Command: Sendable {
        case start(Transfer)
        case cancel(Transfer)
    }

    /// A multi handle on its way between threads. `@unchecked Sendable`: other threads only pass it to
    /// curl_multi_wakeup(3), the one call that is made for that; everything else happens on the engine's thread.
    private struct Multi: @unchecked Sendable {
        let handle: UnsafeMutableRawPointer
    }

    private struct State {
        var multi: Multi?
        var commands: [Command] = []
        var isStopping = false
        var statistics = HTTPStatistics()
    }

    private let options: HTTPOptions
    private let state = Guarded(State())

    init(_ options: HTTPOptions) { self.options = options }

    var statistics: HTTPStatistics { state.withLock { $0.statistics } }

    func start(_ transfer: Transfer) {
        state.withLock { state in
            state.statistics.inFlight += 1
            if state.multi == nil { state.multi = launch() }
            submit(.start(transfer), &state)
        }
    }

    func cancel(_ transfer: Transfer) {
        transfer.markCancelled()
        state.withLock { state in
            // Before its start it is found by its mark.
            if state.multi != nil { submit(.cancel(transfer), &state) }
        }
    }

    /// Ends the thread once its transfers have ended.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            if let multi = state.multi { curl_multi_wakeup(multi.handle) }
        }
    }

    private func submit(_ command: Command, _ state: inout State) {
        state.commands.append(command)
        // The thread takes all commands at once, so the first one wakes it for those that follow.
        if state.commands.count == 1, let multi = state.multi { curl_multi_wakeup(multi.handle) }
    }

    private func launch() -> Multi {
        _ = curlIsReady
        guard let handle = curl_multi_init() else { fatalError("curl_multi_init: out of memory") }
        sfs_curl_multi_set_long(handle, CURLMOPT_MAX_HOST_CONNECTIONS, options.connectionsPerHost)
        sfs_curl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, options.connectionsPerHost)
        sfs_curl_multi_set_long(handle, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
        let multi = Multi(handle: handle)
        WorkerThread(name: "http") { self.run(multi) }.detach()
        return multi
    }

    private func run(_ multi: Multi) {
        guard let share = curl_share_init() else { fatalError("curl_share_init: out of memory") }
        // Only this thread uses it, so it needs no lock functions.
        sfs_curl_share_data(share, CURL_LOCK_DATA_SSL_SESSION)
        var active: [UnsafeMutableRawPointer: Transfer] = [:]
        let throttle = options.limits.map { Throttle($0) }
        let watch = options.activity.map { LineWatch($0) }
        while true {
            let (commands, isStopping) = state.withLock { state in
                let commands = state.commands
                state.commands.removeAll(keepingCapacity: commands.count <= 64)
                return (commands, state.isStopping)
            }
            for command in commands { apply(command, multi.handle, share, throttle, watch, &active) }
            if isStopping && active.isEmpty { break }
            let pause = throttle?.resume()
            var running: Int32 = 0
            let result = curl_multi_perform(multi.handle, &running)
            guard result == CURLM_OK else { fatalError("curl_multi_perform: \(text(result))") }
            watch?.look()
            while let message = sfs_curl_multi_next(multi.handle) {
                guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
                finish(easy, sfs_curl_msg_result(message), multi.handle, &active)
            }
            if state.withLock({ $0.commands.isEmpty }) {
                let idle = active.isEmpty ? 3_600_000 : 1000
                curl_multi_poll(multi.handle, nil, 0, Int32(min(idle, pause ?? idle)), nil)
            }
        }
        // Nobody else has the engine any more: stop() comes from the client's end.
        state.withLock { $0.multi = nil }
        // Closes what is open still.
        withExtendedLifetime(watch) { _ = curl_multi_cleanup(multi.handle) }
        curl_share_cleanup(share)
    }

    private func apply(
        _ command: Command, _ multi: UnsafeMutableRawPointer, _ share: UnsafeMutableRawPointer,
        _ throttle: Throttle?, _ watch: LineWatch?, _ active: inout [UnsafeMutableRawPointer: Transfer]
    ) {
        switch command {
        case .start(let transfer):
            guard !transfer.isCancelled else { return end(transfer, .failure(.cancelledTransfer)) }
            guard let easy = transfer.makeHandle(options, share, throttle, watch) else {
                return end(
                    transfer, .failure(StoreError(.permanent, message: "no valid request: \(transfer.request.url)")))
            }
            active[easy] = transfer
            curl_multi_add_handle(multi, easy)
        case .cancel(let transfer):
            guard let easy = transfer.easy else { return }
            active[easy] = nil
            count(easy)
            curl_multi_remove_handle(multi, easy)
            transfer.discardHandle()
            end(transfer, .failure(.cancelledTransfer))
        }
    }

    private func finish(
        _ easy: UnsafeMutableRawPointer, _ result: CURLcode, _ multi: UnsafeMutableRawPointer,
        _ active: inout [UnsafeMutableRawPointer: Transfer]
    ) {
        guard let transfer = active.removeValue(forKey: easy) else { return }
        let outcome = transfer.outcome(result)
        count(easy)
        curl_multi_remove_handle(multi, easy)
        transfer.discardHandle()
        end(transfer, outcome)
    }

    private func count(_ easy: UnsafeMutableRawPointer) {
        var received: curl_off_t = 0
        var sent: curl_off_t = 0
        var connections = 0
        sfs_curl_get_offset(easy, CURLINFO_SIZE_DOWNLOAD_T, &received)
        sfs_curl_get_offset(easy, CURLINFO_SIZE_UPLOAD_T, &sent)
        sfs_curl_get_long(easy, CURLINFO_NUM_CONNECTS, &connections)
        state.withLock { [received, sent, connections] state in
            state.statistics.bytesReceived += UInt64(max(0, received))
            state.statistics.bytesSent += UInt64(max(0, sent))
            state.statistics.connections += UInt64(max(0, connections))
        }
    }

    private func end(_ transfer: Transfer, _ outcome: Result<HTTPResponse, StoreError>) {
        state.withLock { state in
            state.statistics.inFlight -= 1
            state.statistics.requests += 1
            if case .failure = outcome { state.statistics.failures += 1 }
        }
        transfer.complete(outcome)
    }
}

/// curl_global_init(3) happens once in a process.
private let curlIsReady: Bool = {
    guard sfs_curl_global_init() == CURLE_OK else { fatalError("curl_global_init failed") }
    return true
}()

private func text(_ code: CURLMcode) -> String { String(cString: curl_multi_strerror(code)) }

extension StoreError {
    static var cancelledTransfer: StoreError { StoreError(.cancelled, message: "cancelled") }
}
