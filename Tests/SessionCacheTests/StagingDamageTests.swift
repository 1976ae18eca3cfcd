import Catalog
import Foundation
import Platform
import Testing

@testable import SessionCache

/// A journal that cannot be read, and a disk that has no room.
@Suite(.timeLimit(.minutes(5))) struct StagingDamageTests {
    private let bytes = pattern(5000)

    private enum Damage: String, CaseIterable {
        case noDatabase, pages, empty, nothing, absent
        func apply(to path: String) throws {
            if self == .absent { return try Files.remove(path) }
            var content = try Files.read(path)
            switch self {
            case .noDatabase: content = Array("this is no database, and long enough for a header".utf8)
            case .pages: for index in 4096..<content.count { content[index] = UInt8(truncatingIfNeeded: index &* 31) }
            case .empty: content = Array(content.prefix(3000))
            case .nothing: content = []
            case .absent: break
            }
            try Data(content).write(to: URL(fileURLWithPath: path))
            for suffix in ["-wal", "-shm"] where Files.exists(path + suffix) { try Files.remove(path + suffix) }
        }
    }

    @Test(arguments: Damage.allCases) private func theContentsOfADamagedJournalAreKept(damage: Damage) async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("old.fastshot", [1])
        try fixture.save("x.fastshot", bytes)
        for number in 0..<40 { try fixture.save("\(number).fastshot", [UInt8(number)]) }
        try fixture.restart { try damage.apply(to: $0 + "/journal.sqlite") }
        let told = try require_(fixture.staging.damage)
        let aside = try Files.names(in: fixture.directory).filter { $0.hasPrefix("damaged-") }
        try #require(aside.count == 1)
        let directory = fixture.directory + "/" + aside[0]
        #expect(told.contains(directory))
        #expect(Files.exists(directory + "/journal.sqlite") == (damage != .absent))
        let kept = try Files.names(in: directory + "/staging")
        #expect(kept.count == 41)
        #expect(try kept.contains { try Files.read(directory + "/staging/" + $0) == bytes })
        // What the bucket holds is there, and changes are taken again.
        #expect(try fixture.names() == ["old.fastshot"])
        try fixture.save("x.fastshot", [2])
        try fixture.kill()
        #expect(fixture.staging.damage == nil)
        #expect(try fixture.names() == ["old.fastshot", "x.fastshot"])
        #expect(try Files.names(in: directory + "/staging").count == 41)
    }

    @Test func namesThatCanBeReadAreKept() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        try fixture.save("y.part", [1])
        let directory = fixture.directory
        fixture.staging.close()
        let aside = try DamagedJournal.moveAside(directory)
        let kept = try Files.names(in: aside + "/staging").sorted()
        #expect(kept.count == 2)
        #expect(kept.contains { $0.hasSuffix("-x.fastshot") } && kept.contains { $0.hasSuffix("-y.part") })
    }

    @Test func contentsThatAreGoneAreTold() throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        try fixture.save("y.fastshot", [1])
        let path = try require_(fixture.staging.change(id: id)?.content?.path)
        try fixture.restart { _ in try Files.remove(path) }
        #expect(fixture.staging.damage?.contains("x.fastshot") == true)
        #expect(try fixture.names() == ["y.fastshot"])
    }

    @Test func aJournalOfANewerVersionIsLeftAlone() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        #expect { try fixture.restart { try setVersion(99, $0 + "/journal.sqlite") } } throws: {
            ($0 as? StagingError)?.kind == .io
        }
        #expect(try Files.names(in: fixture.directory).allSatisfy { !$0.hasPrefix("damaged-") })
    }

    /// `user_version` is a big-endian number at byte 60 of the header.
    private func setVersion(_ version: UInt8, _ path: String) throws {
        var content = try Files.read(path)
        content.replaceSubrange(60..<64, with: [0, 0, 0, version])
        try Data(content).write(to: URL(fileURLWithPath: path))
    }
}

@Suite(.enabled(if: geteuid() == 0, "mounts a tmpfs, which needs root"), .timeLimit(.minutes(5)))
struct StagingFullDiskTests {
    private func run(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    private func withSmallDisk(mebibytes: Int, _ body: (StagingFixture, String) async throws -> Void) async throws {
        let disk = try Fixture.temporaryDirectory()
        try run("mount", "-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=700", "tmpfs", disk)
        defer {
            try? run("umount", "-l", disk)
            try? Files.removeTree(disk)
        }
        let fixture = try StagingFixture(state: disk + "/state")
        try await body(fixture, disk)
        fixture.staging.close()
    }

    private func fill(_ disk: String) throws -> String {
        let path = disk + "/filler"
        let file = try FileDescriptor.open(path, [.readWrite, .create])
        var size: UInt64 = 0
        for step in [UInt64(1 << 20), 4096] {
            let block = [UInt8](repeating: 1, count: Int(step))
            while true {
                do throws(SystemError) { try file.write(block.span.bytes, at: size) } catch {
                    guard error.isDiskFull else { throw error }
                    break
                }
                size += step
            }
        }
        return path
    }

    private func isFull(_ error: any Error) -> Bool { (error as? StagingError)?.kind == .diskFull }

    @Test func aFullDiskRefusesContentsAndTakesRemovals() async throws {
        try await withSmallDisk(mebibytes: 32) { fixture, disk in
            let bytes = pattern(1 << 20)
            try fixture.save("kept.fastshot", bytes)
            for number in 0..<4 { try fixture.save("\(number).fastshot", bytes) }
            let open = try fixture.staging.create("open.fastshot")
            try open.write([UInt8]([1]).span.bytes, at: 0)
            try open.flush()
            let filler = try fill(disk)
            // The draft has no room: what was accepted stays.
            #expect { try open.write(bytes.span.bytes, at: 1) } throws: { isFull($0) }
            // Nor has the journal, sooner or later, and a name of which it says so does not stay.
            var names = Set(try fixture.names())
            var isRefused = false
            for number in 0..<20_000 where !isRefused {
                do {
                    let file = try fixture.staging.create("empty \(number).fastshot")
                    defer { file.close() }
                    try file.flush()
                    names.insert("empty \(number).fastshot")
                } catch {
                    guard isFull(error) else { throw error }
                    isRefused = true
                }
            }
            #expect(isRefused)
            #expect(try Set(fixture.names()) == names)
            // Removals, renames and ends of uploads are taken all the same.
            try Files.remove(filler)
            let again = try fill(disk)
            for number in 0..<4 {
                _ = try fixture.staging.remove("\(number).fastshot")
                names.remove("\(number).fastshot")
                // What it freed is taken by somebody else at once.
                try fillMore(again)
            }
            _ = try fixture.staging.rename("kept.fastshot", to: "renamed.fastshot", replacing: false)
            names.remove("kept.fastshot")
            names.insert("renamed.fastshot")
            open.close()
            #expect(try Set(fixture.names()) == names)
            try Files.remove(again)
            try fixture.restart()
            #expect(try Set(fixture.names()) == names)
            #expect(try fixture.reads("renamed.fastshot", bytes))
            #expect(try fixture.staging.entry(fileName: "open.fastshot")?.size ?? 0 >= 1)
            try fixture.save("new.fastshot", bytes)
        }
    }

    /// Takes all room there is, with what is kept for removals and with what the journal has to itself.
    private func fillUp(_ disk: String, _ fixture: StagingFixture) throws {
        let filler = try fill(disk)
        while Reserve.release(in: fixture.directory) { try fillMore(filler) }
        for number in 0..<20_000 {
            let file = try fixture.staging.create("\(number).part")
            defer { file.close() }
            do { try file.flush() } catch {
                guard isFull(error) else { throw error }
                return
            }
        }
        Issue.record("the journal still has room")
    }

    /// What is not written to the journal needs no room, whoever it comes together with.
    @Test func whatNeedsNoRoomIsTaken() async throws {
        try await withSmallDisk(mebibytes: 32) { fixture, disk in
            let staging = fixture.staging
            let change = try fixture.begin(try fixture.save("sending.fastshot", [1]))
            let accepted = try staging.create("accepted.fastshot")
            try accepted.write([UInt8]([1]).span.bytes, at: 0)
            try accepted.flush()
            let refused = try staging.create("refused.fastshot")
            try fillUp(disk, fixture)
            let isRefused = Guarded(false)
            let threads = staging.journal.withLock { _ in
                func wait(_ count: Int) {
                    for _ in 0..<3000 where staging.core.withLock({ $0.queue.count }) < count { usleep(1000) }
                }
                let flushing = WorkerThread(name: "flush") {
                    do { try refused.flush() } catch { isRefused.withLock { $0 = true } }
                }
                wait(1)
                let closing = WorkerThread(name: "close") { accepted.close() }
                wait(2)
                let ending = WorkerThread(name: "postpone") { staging.postponed(change, reason: "later") }
                wait(3)
                return [flushing, closing, ending]
            }
            threads.forEach { $0.join() }
            #expect(isRefused.withLock { $0 })
            #expect(staging.change(id: accepted.id)?.state == .ready)
            #expect(Set(staging.sendable(limit: 9).map(\.id)) == [change.id, accepted.id])
            refused.close()
        }
    }

    /// A new file in place of a removed one could neither be taken nor be forgotten.
    @Test func aFileThatWasRefusedIsNotWaitedFor() async throws {
        try await withSmallDisk(mebibytes: 32) { fixture, disk in
            try await fixture.base.add("x.fastshot", [1])
            _ = try fixture.staging.remove("x.fastshot")
            let file = try fixture.staging.create("x.fastshot")
            try fillUp(disk, fixture)
            #expect { try file.flush() } throws: { isFull($0) }
            file.close()
            let staging = fixture.staging
            let outcome = Guarded<StagingError?>(nil)
            let renaming = WorkerThread(name: "rename") {
                do throws(StagingError) {
                    _ = try staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
                } catch { outcome.withLock { $0 = error } }
            }
            for _ in 0..<2000 where outcome.value == nil { usleep(1000) }
            let kind = outcome.value?.kind
            #expect(kind == .diskFull || kind == .notFound)
            // Ends it where it would go on for ever.
            if kind == nil { staging.close() }
            renaming.join()
        }
    }

    private func fillMore(_ path: String) throws {
        let file = try FileDescriptor.open(path, [.readWrite])
        var size = try file.size()
        let block = [UInt8](repeating: 1, count: 1 << 16)
        while true {
            do throws(SystemError) { try file.write(block.span.bytes, at: size) } catch {
                guard error.isDiskFull else { throw error }
                return
            }
            size += UInt64(block.count)
        }
    }
}
