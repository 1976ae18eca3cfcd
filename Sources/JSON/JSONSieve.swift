/// Checks a document that arrives in pieces and keeps the values at a few places of it: memory does not grow with the
/// document.
///
/// The rules are those of ``JSONValue/parse(_:)-(Array<UInt8>)``, and so are the errors and their places. Name the
/// places with ``place(_:keeping:)``, feed ``consume(_:)``, end with ``finish()``, then ask for the values. Of a key
/// that comes twice the last value counts.
public struct JSONSieve: Sendable {
    /// What is kept of a value.
    public enum Keep: Sendable {
        /// Only what kind it is of.
        case kind
        /// The value.
        case value
        /// The number of elements, of an array.
        case count
    }

    /// A place in the document, of the sieve that gave it.
    public struct Place: Sendable {
        fileprivate let index: Int
    }

    /// A key on the way to a place, and what was found there.
    struct Node: Sendable {
        let key: [UInt8]
        var keep = Keep.kind
        var children: [Int] = []
        /// The first byte of the value; nil when it was not met.
        var opening: UInt8?
        /// The value's text.
        var text: [UInt8] = []
        var isTooLarge = false
        var count = 0
    }

    var nodes = [Node(key: [])]
    var scan = Scan()
    /// The first fault.
    private(set) var failure: JSONError?
    private let limit: Int
    private var held = 0

    /// - Parameter limit: the most bytes of values that are kept at a time.
    public init(limit: Int) { self.limit = limit }

    /// Names a place by the keys that lead to it from the document's object. Before the first ``consume(_:)``.
    public mutating func place(_ path: String..., keeping keep: Keep) -> Place {
        var here = 0
        for key in path {
            let key = Array(key.utf8)
            if let known = nodes[here].children.first(where: { nodes[$0].key == key }) {
                here = known
            } else {
                nodes.append(Node(key: key))
                nodes[here].children.append(nodes.count - 1)
                here = nodes.count - 1
            }
        }
        nodes[here].keep = keep
        return Place(index: here)
    }

    /// Takes the next bytes.
    public mutating func consume(_ bytes: RawSpan) {
        if failure != nil { return }
        bytes.withUnsafeBytes { run($0) }
    }

    /// Ends the document.
    /// - Throws: ``JSONError`` with the place of the first fault, counted from the beginning of the document.
    public mutating func finish() throws(JSONError) {
        if failure == nil { end() }
        if let failure { throw failure }
    }

    /// Whether an object was found.
    public func isObject(_ place: Place) -> Bool { nodes[place.index].opening == UInt8(ascii: "{") }

    /// How many elements the array has; nil where none was found.
    public func count(_ place: Place) -> Int? {
        nodes[place.index].opening == UInt8(ascii: "[") ? nodes[place.index].count : nil
    }

    /// The value; nil where none was found, or was not kept.
    public func value(_ place: Place) -> JSONValue? {
        let node = nodes[place.index]
        return node.text.isEmpty ? nil : try? JSONValue.parse(node.text)
    }

    /// Whether a value was too large to be kept.
    public var isOverfull: Bool { nodes.contains { $0.isTooLarge } }

    // MARK: What the scan does with it

    mutating func fail(_ kind: JSONError.Kind, at place: UInt64) {
        if failure == nil { failure = JSONError(kind, at: Int(clamping: place)) }
    }

    /// The node below `parent` that a key leads to, empty again; nil when nobody asks for it.
    mutating func enter(_ key: [UInt8], below parent: Int) -> Int? {
        guard let found = nodes[parent].children.first(where: { nodes[$0].key == key }) else { return nil }
        clear(found)
        return found
    }

    private mutating func clear(_ index: Int) {
        held -= nodes[index].text.count
        nodes[index].opening = nil
        nodes[index].text = []
        nodes[index].isTooLarge = false
        nodes[index].count = 0
        for child in nodes[index].children { clear(child) }
    }

    mutating func keep(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) {
        guard !nodes[index].isTooLarge, !bytes.isEmpty else { return }
        if held + bytes.count > limit {
            held -= nodes[index].text.count
            nodes[index].text = []
            nodes[index].isTooLarge = true
        } else {
            held += bytes.count
            nodes[index].text.append(contentsOf: bytes)
        }
    }
}
