internal import Platform
internal import Synchronization

/// What the catalog tells on its own, from whatever thread notices.
public enum CatalogEvent: Sendable, Equatable {
    /// The database was damaged or removed and was made anew, empty. Ids from before mean nothing any more.
    /// `movedTo` is where the damaged file is, or nil when there was none.
    case reset(reason: String, movedTo: String?)
    /// Damaged rows were found and set back; the next refresh learns them again.
    case damagedRows([Int64])
}

/// The local catalog of sessions, in SQLite (`<directory>/catalog.sqlite`).
///
/// Any thread may call any function. Reads go through two connections of their own and see the last committed state
/// without waiting for a writer (write-ahead log). Several processes may use one catalog. Everything in it can be
/// learnt again, so a damaged database is moved aside and an empty one takes its place.
public final class Catalog: Sendable {
    /// One connection behind its mutex; opened at first use.
    final class Slot: Sendable {
        let mutex = Mutex<Connection?>(nil)
    }
    private struct Shared {
        var recovered: String?
        var handler: (@Sendable (CatalogEvent) -> Void)?
        var closed = false
    }
    /// Which state of the sessions this process knows of.
    struct Revision {
        var own: Int64
        var othersWrote = false
    }

    let path: String
    private let lockPath: String
    private let writer = Slot()
    private let readers = [Slot(), Slot()]
    private let turn = Atomic<Int>(0)
    private let era = Atomic<Int>(0)
    private let shared = Guarded(Shared())
    let revision = Guarded(Revision(own: 0))
    let touches = Guarded<[Int64: Int64]>([:])
    /// Ids that were reserved and not handed out yet.
    let reserved = Guarded<Range<Int64>>(0..<0)

    static let log = Log("catalog")

    private init(directory: String) {
        path = directory + "/catalog.sqlite"
        lockPath = directory + "/catalog.lock"
    }

    /// Opens the catalog of a directory, which is made private when it is missing. A damaged file is moved aside, see
    /// ``recovered``.
    /// - Parameter directory: `<cache>/meta_cache`.
    /// - Throws: `.io`, `.full`, `.busy` or `.newerSchema`.
    public static func open(directory: String) throws(CatalogError) -> Catalog {
        do throws(SystemError) {
            try Files.makePrivateDirectory(directory)
        } catch { throw CatalogError(error) }
        let catalog = Catalog(directory: directory)
        do throws(CatalogError) { try catalog.takeRevision() } catch  where error.kind == .corrupt {
            // `write` has put a fresh database in place; only a second failure is one.
            try catalog.takeRevision()
        }
        return catalog
    }

    deinit { close() }

    /// Why the database was made anew since ``open(directory:)`` began, and where the damaged one is; nil when it was
    /// sound.
    public var recovered: String? { shared.withLock { $0.recovered } }

    /// How often the database was made anew. Ids from different generations have nothing to do with each other.
    public var generation: Int { era.load(ordering: .acquiring) }

    /// Installs the receiver of events, one for the catalog. It may be called on any thread, with no lock held.
    public func observe(_ handler: @escaping @Sendable (CatalogEvent) -> Void) {
        shared.withLock { $0.handler = handler }
    }

    /// Flushes what is pending and closes the database. Later calls throw `.closed`.
    public func close() {
        try? flushTouches()
        shared.withLock { $0.closed = true }
        for slot in readers + [writer] { slot.mutex.withLock { $0 = nil } }
    }

    private func takeRevision() throws(CatalogError) {
        let found = try write { connection throws(CatalogError) in try connection.number(.revision) }
        revision.withLock { $0.own = found }
    }

    /// Whether another process has changed sessions since the last call, or since the catalog was opened.
    public func othersChangedSessions() throws(CatalogError) -> Bool {
        let found = try write { connection throws(CatalogError) in try connection.number(.revision) }
        return revision.withLock { state in
            let changed = state.othersWrote || found != state.own
            state = Revision(own: found)
            return changed
        }
    }

    func announce(_ event: CatalogEvent) {
        let handler = shared.withLock { $0.handler }
        handler?(event)
    }

    // MARK: Connections

    /// Runs `body` on a connection for reading.
    func read<Result: Sendable>(
        _ body: (Connection) throws(CatalogError) -> Result
    ) throws(CatalogError) -> Result {
        let known = era.load(ordering: .acquiring)
        do throws(CatalogError) {
            for slot in readers {
                let result = try slot.mutex.withLockIfAvailable { held throws(CatalogError) -> Result in
                    try body(try connection(&held, create: false))
                }
                if let result { return result }
            }
            let slot = readers[turn.wrappingAdd(1, ordering: .relaxed).newValue & 1]
            return try slot.mutex.withLock { held throws(CatalogError) -> Result in
                try body(try connection(&held, create: false))
            }
        } catch {
            if error.kind == .corrupt { try recover(from: error, generation: known) }
            throw error
        }
    }

    /// Runs `body` alone on the connection for writing. One that needs several statements opens a transaction.
    func write<Result: Sendable>(
        _ body: (Connection) throws(CatalogError) -> Result
    ) throws(CatalogError) -> Result {
        let known = era.load(ordering: .acquiring)
        do throws(CatalogError) {
            if try moved() { try recover(from: nil, generation: known) }
            return try writer.mutex.withLock { held throws(CatalogError) -> Result in
                try body(try connection(&held, create: true))
            }
        } catch {
            if error.kind == .corrupt { try recover(from: error, generation: known) }
            throw error
        }
    }

    /// Whether the database under the writing connection was removed or replaced, by a cleaner or another process.
    private func moved() throws(CatalogError) -> Bool {
        writer.mutex.withLock { held in held?.hasMoved ?? false }
    }

    private func connection(_ held: inout Connection?, create: Bool) throws(CatalogError) -> Connection {
        if let held { return held }
        guard !shared.withLock({ $0.closed }) else { throw CatalogError(.closed, "the catalog is closed") }
        let opened = try open(firstID: 0, create: create)
        held = opened
        return opened
    }

    /// Opens the file, and makes or migrates the schema under the lock between processes.
    private func open(firstID: Int64, create: Bool) throws(CatalogError) -> Connection {
        if Files.exists(path) {
            let opened = try Connection(path: path)
            if try opened.integer("PRAGMA user_version") == Schema.version { return opened }
            // Only the writer waits for the lock between processes: who replaces the database holds it and waits for
            // the readers.
            guard create else { throw CatalogError(.busy, "\(path) is being made") }
        } else if !create {
            throw CatalogError(.corrupt, "\(path) is gone")
        }
        let lock = try lockFile()
        defer { withExtendedLifetime(lock) {} }
        return try openLocked(firstID: firstID)
    }

    private func openLocked(firstID: Int64) throws(CatalogError) -> Connection {
        // Made here and not by SQLite, so that it is private from its first moment; SQLite gives its other files the
        // same permissions. One that exists must not be opened: closing it would drop SQLite's locks on it (fcntl(2)).
        if !Files.exists(path) {
            do throws(SystemError) {
                _ = try FileDescriptor.open(path, [.readWrite, .exclusive], permissions: 0o600)
            } catch { throw CatalogError(error) }
        }
        let opened = try Connection(path: path)
        try Schema.prepare(opened, firstID: firstID)
        return opened
    }

    private func lockFile() throws(CatalogError) -> FileLock? {
        do throws(SystemError) {
            return try FileLock.acquire(lockPath, wait: true)
        } catch { throw CatalogError(error) }
    }

    /// Puts a sound database in place after damage or loss. Whoever comes first does it, in this process and among
    /// processes; the others take the database that they find.
    /// - Throws: what keeps it from being made.
    private func recover(from damage: CatalogError?, generation: Int) throws(CatalogError) {
        let event = try writer.mutex.withLock { held throws(CatalogError) -> CatalogEvent? in
            guard era.load(ordering: .acquiring) == generation else { return nil }
            let lock = try lockFile()
            defer { withExtendedLifetime(lock) {} }
            let replaced = held?.hasMoved ?? false
            held = nil
            for reader in readers { reader.mutex.withLock { $0 = nil } }
            var aside: String?
            if let damage, !replaced {
                Catalog.log.error("database is damaged", ["cause": damage.message])
                aside = try moveAside()
            }
            // Ids of a damaged database are still known to kernel caches: new ones begin where none can have been,
            // the microseconds since 1970, which grow faster than rows can be added.
            held = try openLocked(firstID: Timestamp.now.nanoseconds / 1000)
            era.add(1, ordering: .releasing)
            revision.withLock { $0 = Revision(own: 0) }
            let reason = damage?.message ?? "the database was removed or replaced"
            let text = aside.map { "\(reason); the damaged file is \($0)" } ?? reason
            shared.withLock { $0.recovered = text }
            return .reset(reason: reason, movedTo: aside)
        }
        if let event { announce(event) }
    }

    /// Replaces a database that answers and is damaged all the same.
    func replaceDamaged(_ problem: String) throws(CatalogError) {
        try recover(from: CatalogError(.corrupt, problem), generation: generation)
    }

    /// Renames the database and what belongs to it.
    /// - Returns: the new name; nil when nothing was there.
    private func moveAside() throws(CatalogError) -> String? {
        guard Files.exists(path) else { return nil }
        let target = "\(path).corrupt-\(Timestamp.now.iso8601Basic)"
        do throws(SystemError) {
            for suffix in ["", "-wal", "-shm"] where Files.exists(path + suffix) {
                try Files.rename(path + suffix, to: target + suffix)
            }
        } catch { throw CatalogError(error) }
        forgetOldDamage()
        return target
    }

    /// Keeps the three youngest damaged databases.
    private func forgetOldDamage() {
        let directory = Files.parentDirectory(path)
        let prefix = Files.lastComponent(path) + ".corrupt-"
        let found = ((try? Files.names(in: directory)) ?? []).filter { $0.hasPrefix(prefix) && !$0.hasSuffix("-wal") }
        // Their names are their times.
        for name in found.filter({ !$0.hasSuffix("-shm") }).sorted().dropLast(3) {
            for suffix in ["", "-wal", "-shm"] { try? Files.remove("\(directory)/\(name)\(suffix)") }
        }
    }
}
