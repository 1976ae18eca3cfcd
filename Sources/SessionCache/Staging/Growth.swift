internal import Platform

/// What happens to contents that are being written.
public enum Growth: Sendable, Equatable {
    /// These bytes are there now, written in order behind those of before.
    case grown(Range<UInt64>)
    /// Bytes that were there have changed; nothing more is told of these contents.
    case spoiled
}

/// How much of a file was written in order from its beginning and not touched since, in whole blocks.
struct OrderedPrefix {
    /// In bytes. Small enough that the disk is kept busy, large enough that it writes in large pieces.
    static let block: UInt64 = 4 << 20

    /// The end of what was written in order; nil once bytes before it were touched.
    private var end: UInt64?

    init(isEmpty: Bool) { end = isEmpty ? 0 : nil }

    /// Notes a write.
    /// - Returns: what is to be told of it.
    mutating func wrote(_ range: Range<UInt64>) -> Growth? {
        guard let old = end else { return nil }
        if range.lowerBound < old { return cut(to: range.lowerBound) }
        // Behind a gap: it counts for nothing until it is read with the rest.
        guard range.lowerBound == old else { return nil }
        end = range.upperBound
        let (first, last) = (old / Self.block * Self.block, range.upperBound / Self.block * Self.block)
        return first < last ? .grown(first..<last) : nil
    }

    /// Notes that bytes from an offset on are others, or none.
    mutating func cut(to offset: UInt64) -> Growth? {
        guard let old = end, offset < old else { return nil }
        end = nil
        return .spoiled
    }
}

/// Who is told of contents that are being written.
final class GrowthObserver: Sendable {
    private let handler = Guarded<(@Sendable (String, Growth) -> Void)?>(nil)

    func set(_ handler: (@Sendable (String, Growth) -> Void)?) { self.handler.withLock { $0 = handler } }

    func tell(_ path: String, _ growth: Growth) { handler.value?(path, growth) }
}

extension Staging {
    /// Calls `handler`, on the thread that writes, whenever some MiB more of a file's contents were written in order, with
    /// the path of the contents; and before a call that changes bytes told of returns. It must not wait.
    public func onGrowth(_ handler: @escaping @Sendable (String, Growth) -> Void) { growth.set(handler) }
}
