internal import CCurl
internal import Glibc

/// One blocking HTTP request over a Unix socket (libcurl's easy interface).
struct CurlTransfer {
    let socketPath: String
    /// Longest duration of the whole request in seconds; nil for as long as it takes.
    let timeout: Double?

    /// What the body callback needs while the transfer runs.
    private final class Receiver {
        let handle: UnsafeMutableRawPointer
        let receive: (Int, UnsafeRawBufferPointer) -> Bool
        var stopped = false
        init(_ handle: UnsafeMutableRawPointer, _ receive: @escaping (Int, UnsafeRawBufferPointer) -> Bool) {
            self.handle = handle
            self.receive = receive
        }
    }

    /// Sends the request and hands on the answer's body.
    /// - Parameter receive: gets the status and a piece of the body; false ends the transfer, which is no error.
    /// - Returns: the HTTP status.
    func perform(
        _ method: String, _ path: String, body: [UInt8]?, receive: (Int, UnsafeRawBufferPointer) -> Bool
    ) throws(ControlError) -> Int {
        guard let handle = curl_easy_init() else { throw broken("out of memory") }
        defer { curl_easy_cleanup(handle) }
        var header = curl_slist_append(nil, "Accept: application/json")
        header = curl_slist_append(header, "Content-Type: application/json")
        header = curl_slist_append(header, "Expect:")
        defer { curl_slist_free_all(header) }

        sfs_curl_set_string(handle, CURLOPT_UNIX_SOCKET_PATH, socketPath)
        sfs_curl_set_string(handle, CURLOPT_URL, "http://sessionfs" + path)
        sfs_curl_set_string(handle, CURLOPT_CUSTOMREQUEST, method)
        // A proxy from the environment is meant for the network.
        sfs_curl_set_string(handle, CURLOPT_NOPROXY, "*")
        sfs_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        sfs_curl_set_list(handle, CURLOPT_HTTPHEADER, header)
        if let timeout { sfs_curl_set_long(handle, CURLOPT_TIMEOUT_MS, Int(max(1, timeout * 1000))) }
        if let body {
            sfs_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            // The library copies the body at once.
            body.withUnsafeBytes { bytes in
                _ = sfs_curl_set_pointer(
                    handle, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            }
        }
        let (code, stopped) = withoutActuallyEscaping(receive) { receive in
            let receiver = Receiver(handle, receive)
            sfs_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(receiver).toOpaque())
            sfs_curl_set_callback(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
                guard let context, let data else { return 0 }
                let receiver = Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
                let piece = UnsafeRawBufferPointer(start: data, count: size * count)
                receiver.stopped = !receiver.receive(CurlTransfer.status(receiver.handle), piece)
                return receiver.stopped ? 0 : size * count
            }
            return withExtendedLifetime(receiver) { (curl_easy_perform(handle), receiver.stopped) }
        }
        guard code == CURLE_OK || stopped else { throw failure(code, handle) }
        return Self.status(handle)
    }

    private static func status(_ handle: UnsafeMutableRawPointer) -> Int {
        var status = 0
        sfs_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        return status
    }

    private func failure(_ code: CURLcode, _ handle: UnsafeMutableRawPointer) -> ControlError {
        switch code {
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(socket: socketPath)
        case CURLE_COULDNT_CONNECT:
            var cause = 0
            sfs_curl_get_long(handle, CURLINFO_OS_ERRNO, &cause)
            switch Int32(truncatingIfNeeded: cause) {
            case EACCES, EPERM: return .denied(socket: socketPath)
            case ENOENT, ECONNREFUSED, ENOTDIR: return .noDaemon(socket: socketPath)
            default: return broken("cannot connect (error \(cause))")
            }
        default: return broken(String(cString: curl_easy_strerror(code)))
        }
    }

    private func broken(_ message: String) -> ControlError { .connection(socket: socketPath, message: message) }
}
