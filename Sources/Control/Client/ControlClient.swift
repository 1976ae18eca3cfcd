public import JSON

/// The control API's client. Calls block; use it from a command, not from a Swift task that others wait for.
public struct ControlClient: Sendable {
    /// The daemon's socket.
    public let socketPath: String
    /// Longest wait for a whole answer in seconds. Streams may take as long as they like.
    public var timeout: Double

    /// A client of the daemon that listens at a path; nothing is sent yet. The timeout's default is 30 s.
    public init(socketPath: String, timeout: Double = 30) {
        self.socketPath = socketPath
        self.timeout = timeout
    }

    /// Sends a request and waits for the JSON answer.
    /// - Parameter path: with percent-encoding done, see ``encode(_:)``.
    /// - Throws: `.problem` for any status of 400 and above, else as the connection fails.
    public func request(
        _ method: String, _ path: String, body: JSONValue? = nil
    ) throws(ControlError) -> JSONValue {
        let (status, bytes) = try answer(method, path, body)
        let value = try parse(bytes)
        if status >= 400 { throw .problem(problem(value, status)) }
        return value
    }

    /// Sends a request and reads the answer as a payload.
    public func request<Answer: Payload>(
        _ method: String, _ path: String, body: (any Payload)? = nil, as type: Answer.Type = Answer.self
    ) throws(ControlError) -> Answer {
        let value = try request(method, path, body: body?.json)
        do throws(ControlProblem) { return try Answer(json: value) } catch { throw .malformed(error.message) }
    }

    /// The daemon's health, also when it is not well (503).
    public func health() throws(ControlError) -> HealthReport {
        let (status, bytes) = try answer("GET", "/v1/health", nil)
        let value = try parse(bytes)
        do throws(ControlProblem) {
            return try HealthReport(json: value)
        } catch {
            throw status >= 400 ? .problem(problem(value, status)) : .malformed(error.message)
        }
    }

    /// Sends a request and hands on each line of the answer as it comes.
    /// - Parameter line: false ends the transfer; the daemon's work goes on.
    public func stream(
        _ method: String, _ path: String, body: JSONValue? = nil, line: (JSONValue) -> Bool
    ) throws(ControlError) {
        var splitter = LineSplitter()
        var failure: ControlError?
        var stopped = false
        let transfer = CurlTransfer(socketPath: socketPath, timeout: nil)
        let status = try transfer.perform(method, path, body: body?.serialized(.compact)) { status, bytes in
            // An answer without success is one document and no stream.
            if status >= 400 {
                splitter.keep(bytes)
                return true
            }
            return splitter.split(bytes) { text in
                do throws(ControlError) {
                    stopped = !line(try parse(text))
                } catch {
                    failure = error
                }
                return failure == nil && !stopped
            }
        }
        if let failure { throw failure }
        if status >= 400 { throw .problem(problem(try parse(splitter.rest), status)) }
        if !stopped, !splitter.rest.isEmpty { throw .malformed("the last line is cut short") }
    }

    /// Runs long work (`/v1/refresh`, `/v1/stop`) and waits for its result.
    /// - Throws: `.problem` when the work failed; `.malformed` when the stream ended without a result.
    public func work<Result: Payload>(
        _ path: String, _ wish: any Payload, as type: Result.Type = Result.self,
        progress: (ProgressUpdate) -> Void = { _ in }
    ) throws(ControlError) -> Result {
        var result: Result?
        var failure: ControlError?
        try stream("POST", path, body: wish.json) { value in
            do throws(ControlProblem) {
                switch try WorkEvent<Result>(json: value) {
                case .progress(let update): progress(update)
                case .done(let done): result = done
                case .failed(let problem): failure = .problem(problem)
                }
            } catch {
                failure = .malformed(error.message)
            }
            return failure == nil
        }
        if let failure { throw failure }
        guard let result else { throw .connection(socket: socketPath, message: "the daemon ended before its answer") }
        return result
    }

    /// A path's part with percent-encoding (RFC 3986: everything but unreserved characters).
    public static func encode(_ part: String) -> String {
        var text = ""
        for byte in part.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                text += (digits.utf8.count == 1 ? "%0" : "%") + digits
            }
        }
        return text
    }

    private func answer(
        _ method: String, _ path: String, _ body: JSONValue?
    ) throws(ControlError) -> (status: Int, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        let transfer = CurlTransfer(socketPath: socketPath, timeout: timeout)
        let status = try transfer.perform(method, path, body: body?.serialized(.compact)) { _, piece in
            bytes.append(contentsOf: piece)
            return true
        }
        return (status, bytes)
    }

    private func parse(_ bytes: [UInt8]) throws(ControlError) -> JSONValue {
        do throws(JSONError) { return try JSONValue.parse(bytes) } catch { throw .malformed("\(error)") }
    }

    private func problem(_ value: JSONValue, _ status: Int) -> ControlProblem {
        ControlProblem(json: value, status: status)
            ?? ControlProblem(status: status, code: "unknown", message: "HTTP status \(status)")
    }
}

/// Cuts arriving bytes into lines.
struct LineSplitter {
    /// What came after the last line's end.
    private(set) var rest: [UInt8] = []

    /// Keeps bytes without looking for lines.
    mutating func keep(_ bytes: UnsafeRawBufferPointer) { rest.append(contentsOf: bytes) }

    /// Hands on each whole line that is not empty.
    /// - Returns: false as soon as `line` does.
    mutating func split(_ bytes: UnsafeRawBufferPointer, line: ([UInt8]) -> Bool) -> Bool {
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                rest.append(byte)
                continue
            }
            let text = rest
            rest.removeAll(keepingCapacity: true)
            if !text.isEmpty, !line(text) { return false }
        }
        return true
    }
}
