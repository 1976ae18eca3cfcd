internal import Synchronization

/// A value behind a mutex. Unlike `Mutex` it is a class, so that it can be shared and captured.
public final class Guarded<Value>: Sendable {
    private let mutex: Mutex<Value>

    /// Guards an initial value.
    public init(_ value: sending Value) { mutex = Mutex(value) }

    /// Runs `body` alone with the value. Keep it short; never wait inside.
    public func withLock<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock(body)
    }
}

extension Guarded where Value: Sendable {
    /// The value as it is now. A closure has to be read by this: ``withLock(_:)`` hands it out in another representation
    /// and takes it back, and each time it is wrapped once more, until calling it overflows the stack.
    public var value: Value { mutex.withLock { $0 } }
}
