import Digests
import JSON
import SessionFormat
import Testing

/// Files of older clients, and files that are damaged.
@Suite struct LegacyIndexTests {
    private func decode(_ text: String) throws(FormatError) -> MetadataIndex {
        try MetadataIndex.decode(Array(text.utf8))
    }

    @Test func anIndexWithoutItsLaterMembers() throws {
        let index = try decode(#"{"version": "1.0", "filename": "x.fastshot", "metadata": {"name": "x", "tags": []}}"#)
        #expect(index.fileName == "x.fastshot")
        #expect(index.checksum == .absent)
        #expect(index.lastUpdated == nil)
        #expect(index.metadata == SessionMetadata(name: "x"))
        #expect(index.metadata.color == "blue")
    }

    @Test func membersOfOtherKindsHaveTheirDefaults() throws {
        let index = try decode(
            """
            {"filename": 7, "checksum": null, "created_at": "2025-01-02T03:04:05", "metadata": {"name": null, "desc": 5,
             "tags": "solo", "color": "", "class": [], "image_count": -3, "created_at": "", "file_size": "big"}}
            """)
        #expect(index.fileName == nil)
        #expect(index.checksum == .absent)
        #expect(index.metadata == SessionMetadata(tags: ["solo"], createdAt: "2025-01-02T03:04:05"))
    }

    @Test func tagsThatAreNoTextsAreLeftOut() throws {
        let index = try decode(#"{"metadata": {"tags": ["a", 1, null, "b"], "image_count": 2.0, "file_size": 12}}"#)
        #expect(index.metadata.tags == ["a", "b"])
        #expect(index.metadata.imageCount == 2)
        #expect(index.metadata.fileSize == 12)
    }

    @Test func theEarlyLayoutHasItsMetadataAtTopLevel() throws {
        let index = try decode(
            """
            {"version": "0.9", "filename": "x.fastshot", "name": "früh", "desc": "d", "tags": ["t"], "color": "red",
             "class": "c", "image_count": 3, "created_at": "2024-01-02T03:04:05", "file_size": 99}
            """)
        #expect(index.fileName == "x.fastshot")
        #expect(index.checksum == .absent)
        #expect(
            index.metadata
                == SessionMetadata(
                    name: "früh", desc: "d", tags: ["t"], color: "red", sessionClass: "c", imageCount: 3,
                    createdAt: "2024-01-02T03:04:05", fileSize: 99))
    }

    @Test func anIndexThatWasRebuiltFromABodyDoesNotAgreeAndIsRead() throws {
        // "Rebuild all indexes" takes the checksum over more members than it stores.
        var given = SessionMetadata(name: "n", imageCount: 1, createdAt: "2025-01-02T03:04:05", fileSize: 5).json
        var members = try #require(given.members)
        members.append(("filename", "x.fastshot"))
        members.append(("thumbnail_collage", nil))
        given = .object(members)
        let stored = MetadataIndex(
            fileName: "x.fastshot",
            metadata: SessionMetadata(name: "n", imageCount: 1, createdAt: "2025-01-02T03:04:05", fileSize: 5))
        let right = MetadataIndex.checksum(of: stored.metadata.json)
        let text = String(decoding: stored.encode(), as: UTF8.self)
        let rebuilt = text.replacing(right, with: MetadataIndex.checksum(of: given))
        #expect(rebuilt != text)
        let index = try decode(rebuilt)
        #expect(index.checksum == .mismatch)
        #expect(index.metadata == stored.metadata)
        // The members are sorted, so their order in the file does not matter.
        #expect(try decode(text).checksum == .valid)
    }

    @Test func unknownMembersAreIgnoredButCounted() throws {
        let metadata: JSONValue = ["name": "n", "mood": "fine"]
        let document: JSONValue = [
            "metadata": metadata, "extra": [1, 2], "checksum": .string(MetadataIndex.checksum(of: metadata)),
        ]
        #expect(try MetadataIndex.decode(document.serialized(.compact)).checksum == .valid)
    }

    @Test func damageToALocalIndexIsSeenInAnyMember() throws {
        let index = MetadataIndex(
            fileName: "x.fastshot", metadata: SessionMetadata(name: "n"), place: .localCache,
            createdAt: "2025-01-02T03:04:05",
            lastUpdated: "2025-01-02T03:04:05")
        let bytes = index.encode()
        #expect(try MetadataIndex.decode(bytes) == index.withCreation())
        let changed = String(decoding: bytes, as: UTF8.self).replacing("x.fastshot", with: "y.fastshot")
        #expect(try decode(changed).checksum == .mismatch)
    }

    @Test func damagedFilesAreTypedErrors() {
        let whole = MetadataIndex(fileName: "x.fastshot", metadata: SessionMetadata(name: "n")).encode()
        for length in 0..<whole.count {
            let found = kind { () throws(FormatError) in try MetadataIndex.decode(Array(whole[..<length])) }
            #expect(found == .truncated, "cut at \(length)")
        }
        #expect(kind { () throws(FormatError) in try decode("[]") } == .unexpectedShape)
        #expect(kind { () throws(FormatError) in try decode("<html>") } == .notJSON)
        #expect(kind { () throws(FormatError) in try decode("{} x") } == .notJSON)
    }
}

extension MetadataIndex {
    /// As it is read: a session without a date has its index's.
    fileprivate func withCreation() -> MetadataIndex {
        var copy = self
        copy.metadata.createdAt = metadata.createdAt ?? createdAt
        return copy
    }
}

@Suite struct LegacyContainerTests {
    private let cover: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 1, 2]
    private let session: JSONValue = ["version": "1.0", "timestamp": "2025-01-02T03:04:05", "windows": [[:], [:]]]
    private let metadata: JSONValue = ["name": "n", "tags": ["FHDR"], "image_count": 2]

    @Test func bareJSONIsReadWhateverTheKey() throws {
        var container = SessionContainer(form: .bare, cover: [], session: session, metadata: metadata)
        let bytes = container.encode(key: "ignored")
        #expect(bytes.first == UInt8(ascii: "{"))
        for key in [nil, "", "some key"] {
            #expect(try SessionContainer.decode(bytes, key: key) == container)
        }
        // The mark inside a text is no mark; nor is a byte order mark or space in front an obstacle.
        let spaced = [0xEF, 0xBB, 0xBF, 0x0A] + bytes
        #expect(try SessionContainer.decode(spaced, key: "some key").metadata == metadata)
        container.metadata = nil
        #expect(try SessionContainer.decode(container.encode(key: nil), key: nil) == container)
    }

    @Test func theSessionAloneAtTopLevel() throws {
        let container = SessionContainer(cover: cover, session: session, metadata: nil)
        let read = try SessionContainer.decode(container.encode(key: nil), key: nil)
        #expect(read == container)
        let name = try #require(SessionName(fileName: "20240203040506_old one.fastshot"))
        #expect(
            read.metadata(name: name, fileSize: 77)
                == SessionMetadata(name: "old one", imageCount: 2, createdAt: "2025-01-02T03:04:05", fileSize: 77))
    }

    @Test func metadataWithMembersMissing() throws {
        let container = SessionContainer(cover: cover, session: ["windows": [[:]]], metadata: ["color": "red"])
        let read = try SessionContainer.decode(container.encode(key: "k"), key: "k")
        let name = try #require(SessionName(fileName: "20240203040506_old.fastshot"))
        #expect(
            read.metadata(name: name, fileSize: 7)
                == SessionMetadata(
                    name: "old", color: "red", imageCount: 1, createdAt: "2024-02-03T04:05:06", fileSize: 7))
        let plain = try #require(SessionName(fileName: "notes.fastshot"))
        #expect(read.metadata(name: plain, fileSize: 7).createdAt == nil)
    }

    @Test func anObjectThatIsNotObfuscatedIsReadWithAKeyToo() throws {
        let container = SessionContainer(cover: cover, session: session, metadata: metadata)
        let read = try SessionContainer.decode(container.encode(key: nil), key: "some key")
        #expect(!read.isObfuscated)
        #expect(read == container)
    }

    @Test(arguments: ["k", "demo-key-7391", "ключ 钥匙", String(repeating: "long", count: 100)])
    func keysOfAnyKind(key: String) throws {
        let container = SessionContainer(cover: cover, session: session, metadata: metadata)
        let bytes = container.encode(key: key)
        #expect(Array(bytes.prefix(cover.count)) == cover)
        let read = try SessionContainer.decode(bytes, key: key)
        #expect(read.isObfuscated)
        #expect(read.session == session)
        #expect(read.metadata == metadata)
        #expect(read.encode(key: key) == bytes)
    }

    @Test func legacyWindows() throws {
        let json: JSONValue = [
            "windows": [
                [
                    "image_data": "iVBORw==", "position": [10, 20.6], "size": [300, 200], "always_on_top": true,
                    "transparency": 0.5,
                ],
                "no window",
                ["image_data": nil, "position": [1], "scale": 2],
            ]
        ]
        let windows = SessionContainer(cover: cover, session: json, metadata: nil).windows
        #expect(windows.count == 2)
        #expect(
            windows[0]
                == SessionWindow(
                    index: 0, x: 10, y: 21, width: 300, height: 200, imageData: "iVBORw==", originalImageData: nil,
                    annotatedOriginalData: nil))
        #expect(windows[1].index == 2)
        #expect(windows[1].x == 1)
        #expect(windows[1].y == 0)
        #expect(windows[1].scale == 2)
    }

    @Test func damagedObjectsAreTypedErrors() {
        let container = SessionContainer(cover: cover, session: session, metadata: metadata)
        let whole = container.encode(key: "demo-key")
        for length in 0..<whole.count {
            let found = kind { () throws(FormatError) in
                try SessionContainer.decode(Array(whole[..<length]), key: "demo-key")
            }
            // Before its mark is complete it could be any picture; with two bytes of payload a key cannot be judged.
            let expected: Set<FormatError.Kind?> =
                length < cover.count + 4
                ? [.unexpectedShape] : length < cover.count + 10 ? [.truncated, .wrongKey] : [.truncated]
            #expect(expected.contains(found), "cut at \(length): \(String(describing: found))")
        }
        #expect(kind { () throws(FormatError) in try SessionContainer.decode([], key: nil) } == .unexpectedShape)
        #expect(
            kind { () throws(FormatError) in try SessionContainer.decode(Array("[1]".utf8), key: nil) }
                == .unexpectedShape)
        let text = Array("{\"session\": {}} FHDR".utf8)
        #expect(kind { () throws(FormatError) in try SessionContainer.decode(text, key: nil) } == .notJSON)
    }

    @Test func errorsNeverNameTheKey() {
        let bytes = SessionContainer(cover: cover, session: session, metadata: metadata).encode(key: "right")
        do throws(FormatError) {
            _ = try SessionContainer.decode(bytes, key: "sesame-wrong-key")
            Issue.record("opened with a wrong key")
        } catch {
            #expect(!"\(error) \(error.message)".contains("sesame"))
        }
    }
}
