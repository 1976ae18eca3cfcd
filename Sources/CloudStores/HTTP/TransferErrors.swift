internal import CCurl
internal import ObjectStore

extension StoreError {
    /// What a result of libcurl (libcurl-errors(3)) means for whoever asked.
    /// - Parameters:
    ///   - detail: curl's own words about this transfer; may be empty.
    ///   - wasSent: whether any part of the request went out.
    init(curl code: CURLcode, detail: String, wasSent: Bool) {
        let words = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: self.init(.unreachable, message: "no such host: \(words)")
        case CURLE_COULDNT_RESOLVE_PROXY: self.init(.unreachable, message: "no such proxy: \(words)")
        case CURLE_COULDNT_CONNECT: self.init(.unreachable, message: words)
        case CURLE_PROXY: self.init(.unreachable, message: "proxy: \(words)")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR:
            self.init(
                .unreachable,
                message: "the server's TLS certificate is not trusted: \(words); name its authority with a CA file")
        case CURLE_SSL_CACERT_BADFILE:
            self.init(.unreachable, message: "the CA file cannot be used: \(words)")
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM, CURLE_SSL_ENGINE_INITFAILED:
            self.init(.unreachable, message: "TLS handshake: \(words)")
        case CURLE_OPERATION_TIMEDOUT where !wasSent: self.init(.unreachable, message: words)
        case CURLE_OPERATION_TIMEDOUT: self.init(.temporary, message: words)
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_SEND_FAIL_REWIND,
            CURLE_AGAIN, CURLE_SSL_SHUTDOWN_FAILED, CURLE_NO_CONNECTION_AVAILABLE, CURLE_OUT_OF_MEMORY,
            CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_UNRECOVERABLE_POLL:
            self.init(.temporary, message: "connection lost: \(words)")
        // curl names an answer without a status line after the protocol that it would be: HTTP/0.9.
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY:
            self.init(.permanent, message: "not an HTTP response: \(words)")
        case CURLE_URL_MALFORMAT: self.init(.permanent, message: "not a usable URL: \(words)")
        default: self.init(.permanent, message: "\(words) (curl \(code.rawValue))")
        }
    }
}
