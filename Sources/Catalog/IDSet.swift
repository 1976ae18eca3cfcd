/// A set of session ids as bits, for marking what a pass over the bucket met: 125 KB for a million sessions.
public struct IDSet: Sendable {
    private static let bitsPerChunk: Int64 = 1 << 15
    private var chunks: [Int64: [UInt64]] = [:]

    /// The empty set.
    public init() {}

    /// Adds an id.
    public mutating func insert(_ id: Int64) {
        let (chunk, word, bit) = Self.place(id)
        chunks[chunk, default: Array(repeating: 0, count: Int(Self.bitsPerChunk / 64))][word] |= bit
    }

    /// Whether an id was added.
    public func contains(_ id: Int64) -> Bool {
        let (chunk, word, bit) = Self.place(id)
        guard let words = chunks[chunk] else { return false }
        return words[word] & bit != 0
    }

    /// Whether nothing was added.
    public var isEmpty: Bool { chunks.isEmpty }

    private static func place(_ id: Int64) -> (chunk: Int64, word: Int, bit: UInt64) {
        let inside = id & (bitsPerChunk - 1)
        return (id / bitsPerChunk, Int(inside / 64), 1 << UInt64(inside % 64))
    }
}
