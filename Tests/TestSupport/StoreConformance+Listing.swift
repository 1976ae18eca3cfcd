internal import ObjectStore

/// In the order of their UTF-8 bytes, none the directory of another: `-` and `.` before `/` before letters, U+FFFD before U+1F4F8 though not in UTF-16.
private let orderedNames = [
    "a b", "a!", "a-b", "a.b", "a/b", "a/bc/d", "a/c", "a0", "ab", "b/a", "b\u{301}", "c", "é", "会", "\u{fffd}",
    "\u{1f4f8}",
]

extension StoreConformance {
    static let listing: [Point] = [
        Point(description: "listings are in the order of UTF-8 bytes, whatever the page size", needs: []) {
            _, scratch in
            for name in orderedNames.reversed() { try await scratch.put(name) }
            for limit in [1, 2, 3, 7, 1000] {
                try expectSame(try await scratch.names(pages: limit), orderedNames, "pages of \(limit)")
            }
        },
        Point(description: "startAfter begins behind a key, present or not", needs: []) { _, scratch in
            for name in orderedNames { try await scratch.put(name) }
            for limit in [1, 4, 1000] {
                for after in orderedNames + ["", "A", "a/b!", "a/bb", "a/", "a~", "zz", "\u{1f4f9}"] {
                    let wanted = orderedNames.filter { after.utf8.lexicographicallyPrecedes($0.utf8) }
                    // S3 servers may ignore an empty start; the key before all others says the same.
                    let found = try await scratch.names(after: after.isEmpty ? nil : after, pages: limit)
                    try expectSame(found, wanted, "behind \"\(after)\" in pages of \(limit)")
                }
            }
        },
        Point(description: "a prefix is any beginning of keys", needs: []) { _, scratch in
            for name in orderedNames { try await scratch.put(name) }
            for prefix in ["a", "a/", "a/b", "a/b/", "b", "é", "nothing", "a/bc", "a/bc/", "会"] {
                let wanted = orderedNames.filter { $0.utf8.starts(with: prefix.utf8) }
                for limit in [1, 2, 1000] {
                    let found = try await scratch.names(prefix, pages: limit)
                    try expectSame(found, wanted, "prefix \"\(prefix)\" in pages of \(limit)")
                }
            }
            try expectSame(try await scratch.names("a/", after: "a/b"), ["a/bc/d", "a/c"], "prefix and start")
            try expectSame(try await scratch.names("a/", after: "b"), [], "start behind the prefix")
        },
        Point(description: "listings carry size, tag and time", needs: []) { store, scratch in
            let written = try await scratch.put("facts", pattern(1234))
            let page = try await store.list(ListRequest(prefix: scratch.prefix))
            try expectEqual(page.objects.count, 1, "objects")
            let info = page.objects[0]
            try expectEqual(info.size, 1234, "size")
            try expectEqual(info.etag, written.etag, "tag")
            try expect(info.modified != nil, "no time")
        },
        Point(description: "more than a thousand objects come in pages, each once", needs: []) { store, scratch in
            let wanted = (0..<1050).map { "n\($0 + 10_000)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<16 {
                    group.addTask {
                        for index in stride(from: lane, to: wanted.count, by: 16) {
                            try await scratch.put(wanted[index], [])
                        }
                    }
                }
                try await group.waitForAll()
            }
            try expectSame(try await scratch.names(pages: 5000), wanted, "large pages")
            try expectSame(try await scratch.names(pages: 400), wanted, "small pages")
            var found: [String] = []
            try await store.listAll(prefix: scratch.prefix, startAfter: scratch.key("n10999")) { page in
                found += page.objects.map(\.key)
            }
            try expectSame(found, wanted.dropFirst(1000).map(scratch.key), "listAll")
        },
        Point(description: "the change mark, where there is one, changes with the names", needs: []) { store, scratch in
            try await scratch.put("dir/one")
            let prefix = scratch.key("dir/")
            guard let first = try await store.changeMark(prefix: prefix) else { return }
            try expectEqual(try await store.changeMark(prefix: prefix), first, "mark of the unchanged prefix")
            try await scratch.put("dir/two")
            let second = try await store.changeMark(prefix: prefix)
            try expect(second != first, "no new mark after a write")
            try await store.delete(scratch.key("dir/one"), ifMatch: nil)
            try expect(try await store.changeMark(prefix: prefix) != second, "no new mark after a delete")
        },
    ]
}
