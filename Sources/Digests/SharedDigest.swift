internal import Synchronization

/// A digest that several threads may hold: for sinks that receive a body on whatever thread it arrives.
public final class SharedDigest: Sendable {
    /// Which digest it is.
    public let algorithm: Algorithm
    private let context: Mutex<DigestContext>

    /// An empty message.
    public init(_ algorithm: Algorithm) {
        self.algorithm = algorithm
        context = Mutex(DigestContext(algorithm))
    }

    /// Appends to the message. Allocates nothing.
    public func update(_ bytes: RawSpan) {
        context.withLock { $0.update(bytes) }
    }

    /// The digest. A new message begins.
    public func finalize() -> [UInt8] {
        context.withLock { $0.finalize(algorithm) }
    }
}
