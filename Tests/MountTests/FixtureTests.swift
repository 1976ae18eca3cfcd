import Digests
import Foundation
import JSON
import MountHarness
import Platform
import SessionFormat
import Testing

/// Every session that a FastShot client wrote, through the mount.
@Suite(.timeLimit(.minutes(3))) struct FixtureTests {
    @Test(arguments: StoreKind.allCases) func everythingIsByteForByte(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            try world.mount()
            let names = try Fixture.names()
            #expect(names.count == 37)
            #expect(try world.sessions() == names)
            #expect(
                try Files.names(in: world.point).sorted()
                    == [".sessionfs", "meta_indexes", "overall_meta.json", "sessions"])
            // Names as bytes: an accent composed otherwise would be another name.
            #expect(Set(try world.sessions().map { Array($0.utf8) }) == Set(names.map { Array($0.utf8) }))
            for key in try Fixture.keys() {
                let object = try Fixture.read(key)
                #expect(try Noise.same(Files.read(world.point + "/" + key), object), "\(key)")
                #expect(try Files.status(world.point + "/" + key)?.size == UInt64(object.count), "\(key)")
            }
            #expect(try Files.names(in: world.point + "/meta_indexes").count == 37)
        }
    }

    @Test func decodesToWhatItsIndexSays() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            for name in try world.sessions() {
                let name = try #require(SessionName(fileName: name))
                let bytes = try Files.read(world.point + "/" + name.bodyKey)
                let container = try SessionContainer.decode(bytes, key: Fixture.key)
                #expect(container.session["windows"]?.array?.isEmpty == false)
                let index = try MetadataIndex.decode(Files.read(world.point + "/" + name.indexKey))
                #expect(index.checksum == .valid, "\(name)")
                #expect(container.metadata(name: name, fileSize: UInt64(bytes.count)) == index.metadata, "\(name)")
            }
        }
    }

    @Test func checksumsOfEitherKindAgree() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let reader = OverallReader()
            var rows: [OverallRow] = []
            let overall = try Files.read(world.point + "/overall_meta.json")
            try reader.consume(overall.span.bytes) { rows.append($0) }
            let summary = try reader.finish()
            #expect(summary.checksum == .valid)
            #expect(rows.count == 37)
            var valid = 0
            for row in rows {
                let body = try Files.read(world.body(row.fileName))
                #expect(row.fileSize == UInt64(body.count))
                if row.checksum == .etag(MD5.hex(body)) { valid += 1 }
            }
            #expect(valid == 37)
            var indexes = 0
            for name in try Files.names(in: world.point + "/meta_indexes") {
                let bytes = try Files.read(world.point + "/meta_indexes/" + name)
                if try MetadataIndex.decode(bytes).checksum == .valid { indexes += 1 }
            }
            #expect(indexes == 37)
        }
    }

    @Test func attributesAndTimesAreTheMetadata() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            for name in try world.sessions() {
                let session = try #require(SessionName(fileName: name))
                let metadata = try MetadataIndex.decode(Fixture.read(session.indexKey)).metadata
                let path = world.body(name)
                let expected = [
                    "name": metadata.name, "desc": metadata.desc, "tags": metadata.tags.joined(separator: ","),
                    "color": metadata.color, "class": metadata.sessionClass,
                    "image_count": String(metadata.imageCount), "created_at": metadata.createdAt ?? "",
                ]
                for (key, value) in expected {
                    #expect(ExtendedAttributes.value("user.fastshot." + key, of: path) == value, "\(name) \(key)")
                }
                #expect(
                    Set(ExtendedAttributes.names(of: path))
                        == Set(expected.keys.map { "user.fastshot." + $0 } + ["user.sessionfs.state"]))
                #expect(ExtendedAttributes.value("user.sessionfs.state", of: path) == "remote")
                let status = try #require(try Files.status(path))
                #expect(status.modified.nanoseconds == naiveLocal(try #require(metadata.createdAt)), "\(name)")
            }
        }
    }

    /// Listings and attributes come from the catalog: browsing the whole tree asks the store for nothing.
    @Test(arguments: StoreKind.allCases) func browsingMakesNoRequests(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            // Whatever the first look at the bucket still does ends before the next begins.
            try world.refresh()
            let before = try world.status().requests()
            for _ in 0..<2 {
                let listed = Shell.run("ls", ["-lR", world.point])
                #expect(listed.status == 0, "\(listed.errors)")
                #expect(listed.output.split(separator: "\n").filter { $0.hasSuffix(".fastshot") }.count == 37)
                let grepped = Shell.run("grep", ["-rl", "image_count", world.point + "/meta_indexes"])
                #expect(grepped.output.split(separator: "\n").count == 37)
                #expect(Shell.run("getfattr", ["-d", "-R", world.point + "/sessions"]).status == 0)
                #expect(Shell.run("cat", [world.point + "/overall_meta.json"]).status == 0)
            }
            #expect(try world.status().requests() == before)
            #expect(try world.status().number("cache.bodies") == 0)
            _ = try Files.read(world.body(Fixture.names()[0]))
            #expect(try world.status().requests() > before)
        }
    }
}

/// Nanoseconds since the epoch of a naive time such as `2025-06-22T08:56:32.123456` in the zone of the mounts.
func naiveLocal(_ text: String) -> Int64? {
    let parts = text.split(separator: ".")
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: MountWorld.zone)
    formatter.dateFormat = "yyyy-MM-dd'T'HH:mm:ss"
    guard let date = formatter.date(from: String(parts[0])) else { return nil }
    let fraction = parts.count > 1 ? Int64((parts[1] + "000000000").prefix(9)) ?? 0 : 0
    return Int64(date.timeIntervalSince1970) * 1_000_000_000 + fraction
}
