internal import ObjectStore

/// Whether a body is still the one that an index and a row were written for.
enum Standing: Sendable, Equatable {
    case stands
    /// Another one has its place.
    case replaced(ObjectInfo)
    case gone
}

/// Looks at bodies after their rows were written.
///
/// Who edits or removes a session at the same time may write index and row in between. Whoever writes them looks at the
/// body afterwards, so the last of them has seen that they tell of the body that stands, or puts them right. Bodies
/// whose rows were written together are looked at together: new sessions stand side by side, so one listing shows them.
struct BodyCheck: Sendable {
    let store: any ObjectStore
    /// Whether listings are true at once: servers that keep them apart from the objects honour no conditions either.
    let mayList: Bool

    /// As many are asked for one by one.
    private static let few = 2
    /// A page that shows no more than so many of them is not followed by another.
    private static let fewOnPage = 3
    /// Requests at the same time.
    private static let parallel = 16

    /// What has become of objects as their writes returned them, in the same order.
    func look(at objects: [ObjectInfo]) async -> [Result<Standing, StoreError>] {
        var found = [Result<Standing, StoreError>](repeating: .success(.stands), count: objects.count)
        var rest = objects.indices.sorted {
            objects[$0].key.utf8.lexicographicallyPrecedes(objects[$1].key.utf8)
        }[...]
        var unsure: [Int] = []
        while mayList, rest.count > Self.few, let first = rest.first {
            let limit = min(1000, 2 * rest.count + 10)
            let request = ListRequest(
                prefix: prefix(of: objects[first].key), startAfter: place(before: objects[first].key), limit: limit)
            guard let page = try? await store.list(request) else { break }
            let shown = Dictionary(page.objects.map { (Array($0.key.utf8), $0) }) { $1 }
            var covered = rest[...]
            if page.continuation != nil, let last = page.objects.last?.key {
                covered = rest.prefix { !last.utf8.lexicographicallyPrecedes(objects[$0].key.utf8) }
            }
            let differing = covered.filter { index in
                !(shown[Array(objects[index].key.utf8)].map { Self.isSame($0, objects[index]) } ?? false)
            }
            unsure += differing
            rest = rest.dropFirst(covered.count)
            if covered.count - differing.count <= Self.fewOnPage { break }
        }
        for (index, standing) in await ask(unsure + rest, objects) { found[index] = standing }
        return found
    }

    private func ask(_ indices: [Int], _ objects: [ObjectInfo]) async -> [(Int, Result<Standing, StoreError>)] {
        await withTaskGroup(of: (Int, Result<Standing, StoreError>).self) { group in
            var rest = indices[...]
            var answers: [(Int, Result<Standing, StoreError>)] = []
            for index in rest.popFirst(Self.parallel) { group.addTask { (index, await ask(objects[index])) } }
            while let answer = await group.next() {
                answers.append(answer)
                if let index = rest.popFirst() { group.addTask { (index, await ask(objects[index])) } }
            }
            return answers
        }
    }

    private func ask(_ object: ObjectInfo) async -> Result<Standing, StoreError> {
        do throws(StoreError) {
            let info = try await store.head(object.key)
            return .success(Self.isSame(info, object) ? .stands : .replaced(info))
        } catch {
            return error.kind == .notFound ? .success(.gone) : .failure(error)
        }
    }

    private static func isSame(_ one: ObjectInfo, _ other: ObjectInfo) -> Bool {
        guard one.size == other.size else { return false }
        guard let tag = one.etag, let otherTag = other.etag else { return true }
        return tag == otherTag
    }

    /// Up to the last slash.
    private func prefix(of key: String) -> String {
        guard let slash = key.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
        return String(key[...slash])
    }

    /// A text that stands right before a key: the key without what all end in.
    private func place(before key: String) -> String? {
        guard let dot = key.utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
        return String(decoding: key.utf8[..<dot], as: UTF8.self)
    }
}

extension ArraySlice {
    /// Takes so many elements off the front.
    fileprivate mutating func popFirst(_ count: Int) -> ArraySlice {
        defer { self = dropFirst(count) }
        return prefix(count)
    }
}
