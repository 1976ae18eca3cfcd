public import ObjectStore
public import Platform

/// How an ``HTTPClient`` reaches servers. Every default is for object stores over the internet.
public struct HTTPOptions: Sendable {
    /// Connections to one host at the same time; further requests wait for one. Default 64.
    public var connectionsPerHost = 64
    /// Seconds for resolving, connecting and the TLS handshake. Default 8.
    public var connectTimeout = 8
    /// Seconds in which not a byte moves, after which a transfer has failed. Default 10. Three times as long for large
    /// uploads, whose last bytes wait in the system's buffers without being seen to move.
    public var stallTimeout = 10
    /// Seconds after which a connection is given up whose other end does not confirm what it is sent, or is asked
    /// whether it is still there: a network that is gone, whatever the transfer waits for. Default 10.
    public var silenceTimeout = 10
    /// How fast bodies may go; nil is as fast as they can. Small bodies never wait, and count.
    public var limits: BandwidthLimits?
    /// Hears whenever bytes have moved; nil: nobody does.
    public var activity: LineActivity?
    /// `http://[user:password@]host:port`, or `socks5h://…`. Nil takes the proxy of the usual environment variables
    /// (`https_proxy`, `http_proxy`, `all_proxy`, `no_proxy`), the empty text takes none.
    public var proxy: Secret?
    /// A PEM file with the certificate authorities to trust, instead of the system's.
    public var caFile: String?
    /// Whether the server's certificate has to be valid for its name. Switched off, anybody between can read and change
    /// everything; the client logs a warning then.
    public var verifiesTLS = true
    /// The `User-Agent` of every request.
    public var userAgent = "sessionfs"

    /// The defaults.
    public init() {}
}

/// What has passed through an ``HTTPClient`` since it was made.
public struct HTTPStatistics: Sendable, Equatable {
    /// Requests that have ended, failed ones included.
    public var requests: UInt64 = 0
    /// Requests that got no complete answer; answers with an error status do not count.
    public var failures: UInt64 = 0
    /// Body bytes sent.
    public var bytesSent: UInt64 = 0
    /// Body bytes received, those of broken transfers included.
    public var bytesReceived: UInt64 = 0
    /// Connections opened.
    public var connections: UInt64 = 0
    /// Requests that have begun and not ended.
    public var inFlight: Int = 0
}
