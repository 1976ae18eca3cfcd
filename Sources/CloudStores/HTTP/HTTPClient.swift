public import ObjectStore
internal import Platform

/// An HTTP/1.1 client on libcurl's multi interface: one thread moves all transfers, connections are kept and used again.
///
/// Nothing is started before the first request. Redirects are not followed, bodies not decompressed, nothing is retried
/// except that curl repeats a request for which a kept connection turned out to be closed.
public final class HTTPClient: Sendable {
    private let engine: TransferEngine

    /// Makes a client; it opens nothing yet.
    public init(_ options: HTTPOptions = HTTPOptions()) {
        engine = TransferEngine(options)
        if !options.verifiesTLS {
            Log("http").warning("TLS certificates are not verified: others can read and change what is transferred")
        }
    }

    deinit { engine.stop() }

    /// What has passed so far.
    public var statistics: HTTPStatistics { engine.statistics }

    /// Makes one request. Cancelling the task ends it at once, with `.cancelled`.
    /// - Parameter sink: takes the body of a 2xx response; what it throws ends the transfer and is thrown on. Without
    ///   one the body is in the result.
    /// - Returns: the response, whatever its status.
    /// - Throws: `.unreachable` when no connection comes to be, `.temporary` when it breaks or stalls, `.local` when the
    ///   request's file cannot be read, `.permanent` for a response that is not HTTP or too large to keep.
    public func send(
        _ request: HTTPRequest, into sink: (any HTTPBodySink)? = nil
    ) async throws(StoreError) -> HTTPResponse {
        let transfer = Transfer(request, sink)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.prepare(continuation)
                engine.start(transfer)
            }
        } onCancel: {
            engine.cancel(transfer)
        }
        return try result.get()
    }
}
