public import ObjectStore

/// The contract of ``ObjectStore``, point by point: one suite that every store is held to.
///
/// A test target reports each point by itself with
/// `@Test(arguments: StoreConformance.points) func point(_ point: StoreConformance.Point) async throws { try await point.run(store) }`.
public enum StoreConformance {
    /// What a store, or the server behind it, does not offer. Whoever runs the suite has to say so; nothing is found
    /// out by itself and skipped.
    public struct Exemptions: OptionSet, Sendable {
        /// The flags.
        public let rawValue: Int
        /// Takes the flags as they are.
        public init(rawValue: Int) { self.rawValue = rawValue }
        /// `If-None-Match: *` on writes.
        public static let ifAbsentWrites = Exemptions(rawValue: 1)
        /// `If-Match` on writes.
        public static let ifMatchWrites = Exemptions(rawValue: 2)
        /// `If-Match` on deletes.
        public static let ifMatchDeletes = Exemptions(rawValue: 4)
        /// Conditions on the target of a copy.
        public static let conditionalCopies = Exemptions(rawValue: 8)
    }

    /// One point of the contract.
    public struct Point: Sendable, CustomStringConvertible {
        /// What is promised, in words.
        public let description: String
        /// What it needs of the store.
        public let needs: Exemptions
        let check: @Sendable (any ObjectStore, Scratch) async throws -> Void

        /// Runs the point under a prefix of its own.
        /// - Throws: ``Violation``, or the error that the store threw out of place.
        public func run(_ store: any ObjectStore, exempt: Exemptions = []) async throws {
            guard needs.isDisjoint(with: exempt) else { return }
            let scratch = Scratch(store)
            do {
                try await check(store, scratch)
            } catch {
                try? await scratch.clean()
                throw error
            }
            try await scratch.clean()
        }
    }

    /// A promise that was not kept.
    public struct Violation: Error, CustomStringConvertible {
        /// What was expected and what came.
        public let description: String
    }

    /// All points.
    public static let points: [Point] = reading + writing + listing + multipart + concurrency

    /// Runs all points, one after the other.
    /// - Throws: one ``Violation`` that names every point that failed.
    public static func run(_ store: any ObjectStore, exempt: Exemptions = []) async throws {
        var failures: [String] = []
        for point in points {
            do { try await point.run(store, exempt: exempt) } catch { failures.append("\(point): \(error)") }
        }
        if !failures.isEmpty { throw Violation(description: failures.joined(separator: "\n")) }
    }
}

/// Keys of one run that nobody else uses.
struct Scratch: Sendable {
    let store: any ObjectStore
    let prefix = "conformance-" + String(UInt64.random(in: .min ... .max), radix: 36) + "/"

    init(_ store: any ObjectStore) { self.store = store }

    func key(_ name: String) -> String { prefix + name }

    /// Writes an object and returns its facts.
    @discardableResult
    func put(_ name: String, _ bytes: [UInt8] = [1, 2, 3]) async throws -> ObjectInfo {
        try await store.put(key(name), .bytes(bytes), .always)
    }

    /// Every key of this run in the order in which the store lists them, without the run's prefix.
    func names(_ below: String = "", after: String? = nil, pages limit: Int = 1000) async throws -> [String] {
        var found: [String] = []
        var request = ListRequest(prefix: key(below), startAfter: after.map(key), limit: limit)
        while true {
            let page = try await store.list(request)
            try expect(page.objects.count <= limit, "a page of \(page.objects.count) though \(limit) was the limit")
            found += page.objects.map { String($0.key.dropFirst(prefix.count)) }
            guard let next = page.continuation else { return found }
            try expect(!page.objects.isEmpty || request.continuation != next, "an empty page that leads nowhere")
            request.continuation = next
        }
    }

    func clean() async throws {
        for name in try await names() { try await store.delete(key(name), ifMatch: nil) }
    }
}

func expect(_ holds: Bool, _ message: @autoclosure () -> String) throws(StoreConformance.Violation) {
    if !holds { throw StoreConformance.Violation(description: message()) }
}

func expectEqual<Value: Equatable>(
    _ value: Value, _ wanted: Value, _ what: String
) throws(StoreConformance.Violation) {
    try expect(value == wanted, "\(what): expected \(brief(wanted)), got \(brief(value))")
}

/// Strings and arrays are compared byte by byte, which `==` on strings does not.
func expectSame(_ value: [String], _ wanted: [String], _ what: String) throws(StoreConformance.Violation) {
    let same = value.count == wanted.count && zip(value, wanted).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
    try expect(same, "\(what): expected \(brief(wanted)), got \(brief(value))")
}

func expectFailure(
    _ kind: StoreError.Kind, _ what: String, _ body: () async throws -> Void
) async throws {
    do { try await body() } catch let error as StoreError {
        return try expect(error.kind == kind, "\(what): expected \(kind), got \(error.kind): \(error)")
    }
    throw StoreConformance.Violation(description: "\(what): expected \(kind), but it succeeded")
}

private func brief(_ value: Any) -> String {
    let text = "\(value)"
    return text.utf8.count > 400 ? text.prefix(400) + "…" : text
}

/// Bytes that show every shift and swap. The random block that they repeat has a prime length, so that pieces of no
/// usual size are equal; repeating is much faster than drawing each byte.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for _ in 0..<min(count, 8191) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        bytes.append(UInt8(truncatingIfNeeded: state >> 32))
    }
    let block = bytes
    while bytes.count < count { bytes += block.prefix(count - bytes.count) }
    return bytes
}
