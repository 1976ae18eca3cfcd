import Catalog
import ObjectStore
import Platform

@testable import SessionCache

/// What went wrong with a change although nobody else writes.
struct FalseConflict: Error, CustomStringConvertible {
    var description: String
}

/// The table of pending changes with all that is around it played in memory: programs, journal, catalog, bucket, a
/// publisher that is stopped anywhere, listings that are late. Contents are numbers.
///
/// What has to hold at any moment is said in ``check()``.
struct TableWorld {
    struct Object: Equatable {
        var value: Int
        var tag: String
        var version: ObjectVersion { ObjectVersion(etag: tag, size: UInt64(value), contentMD5: "m\(value)") }
        var mark: ContentFingerprint { ContentFingerprint(size: UInt64(value), md5: "m\(value)") }
    }

    /// What the catalog has of a name.
    struct Known: Equatable {
        var id: Int64
        var version: ObjectVersion
    }

    /// A change that is being sent, and how far it has come.
    struct Run {
        var change: PendingChange
        var part = 0
        /// The object that holds what is wanted, and the one under the old name.
        var object: Object?
        var old: Object?
    }

    /// A listing on its way.
    struct Refresh {
        /// How many own writes there were when it began.
        var mark: Int
        var bound: Int64
        var objects: [String: Object]?
    }

    /// A step of a history. Numbers choose from what there is, modulo.
    enum Step: Equatable {
        case create(String)
        case save(String)
        case edit(String, open: Bool)
        case close(Int)
        case remove(String)
        case rename(String, String)
        case begin(Int)
        case send(Int)
        case postpone(Int)
        case refresh
        case kill
        case beginBatch
        case commitBatch
        case cancelBatch
    }

    var table = PendingTable()
    var journal: [Int64: PendingTable.Row] = [:]
    /// Bodies, and the contents that indexes and rows tell of.
    var bodies: [String: Object] = [:]
    var indexes: [String: Int] = [:]
    var rows: [String: Int] = [:]
    var catalog: [String: Known] = [:]
    /// The names that this machine wrote, in order.
    var ownWrites: [String] = []
    var running: [Run] = []
    var refresh: Refresh?
    /// What every name is to hold.
    var files: [String: Int] = [:]
    /// What it was to hold when the open batch began.
    var filesBefore: [String: Int] = [:]
    /// Contents of staged files by their paths.
    var contents: [String: Int] = [:]
    /// Files that are open for writing, the oldest first.
    var open: [Int64] = []
    var lastID: Int64 = 0
    var lastValue = 0
    var lastTag = 0
    var lastBatch: Int64 = 0

    /// - Parameter names: what the bucket holds at the beginning.
    init(holding names: [String]) {
        for name in names {
            lastID += 1
            let object = Object(value: nextValue(), tag: nextTag())
            bodies[name] = object
            indexes[name] = object.value
            rows[name] = object.value
            catalog[name] = Known(id: lastID, version: object.version)
            files[name] = object.value
        }
    }

    // MARK: Numbers

    private mutating func nextValue() -> Int {
        lastValue += 1
        return lastValue
    }

    mutating func nextTag() -> String {
        lastTag += 1
        return "t\(lastTag)"
    }

    private mutating func newContent() -> StagedContent {
        let value = nextValue()
        return staged("c\(value)", value)
    }

    private mutating func staged(_ path: String, _ value: Int) -> StagedContent {
        contents[path] = value
        table.fingerprints[path] = ContentFingerprint(size: UInt64(value), md5: "m\(value)")
        return StagedContent(path: path, size: UInt64(value), modified: Timestamp(seconds: 1))
    }

    // MARK: Steps

    mutating func take(_ step: Step) throws {
        switch step {
        case .create(let name): try create(name, isFlushed: false)
        case .save(let name): try create(name, isFlushed: true)
        case .edit(let name, let isOpen): try edit(name, isOpen: isOpen)
        case .close(let number): close(number)
        case .remove(let name): try remove(name)
        case .rename(let name, let target): try rename(name, target)
        case .begin(let number): begin(number)
        case .send(let number): try send(number)
        case .postpone(let number): postpone(number)
        case .refresh: goOnListing()
        case .kill: kill()
        case .beginBatch: beginBatch()
        case .commitBatch: try commitBatch()
        case .cancelBatch: try cancelBatch()
        }
    }

    /// Makes a step of the table durable, or takes it back.
    private mutating func commit<Value>(
        _ body: (inout PendingTable, PendingTable.Reserve) throws(TableError) -> Value
    ) throws -> Value? {
        var id = lastID
        defer { lastID = id }
        let value: Value
        do throws(TableError) {
            value = try body(&table) { () throws(StagingError) in
                id += 1
                return id
            }
        } catch {
            table.revertSteps()
            guard case .refused(let refusal) = error, refusal.kind == .busy else { throw error }
            return nil
        }
        record()
        return value
    }

    private mutating func record() {
        for case .row(let id, _) in table.takeSteps() {
            let row = table.rows[id]
            if row.map({ !$0.isDurable }) ?? table.shadowed.contains(id) { continue }
            journal[id] = row
        }
    }

    /// The file of a name.
    private func find(_ name: String) -> (id: Int64, remote: PendingTable.Remote?)? {
        if let row = table.holder(of: name) { return (row.change.id, nil) }
        guard let known = catalog[name], !table.hides(id: known.id, fileName: name) else { return nil }
        return (known.id, PendingTable.Remote(id: known.id, fileName: name, version: known.version))
    }

    private mutating func create(_ name: String, isFlushed: Bool) throws {
        guard find(name) == nil else { return }
        lastID += 1
        let id = lastID
        let content = newContent()
        _ = try commit { table, _ throws(TableError) in
            try table.create(id: id, name: name, content: content, at: Timestamp(seconds: 1))
        }
        files[name] = contents[content.path]
        open.append(id)
        if isFlushed {
            try flush(id, content, isOpen: true)
            close(open.count - 1)
        }
    }

    private mutating func flush(_ id: Int64, _ content: StagedContent, isOpen: Bool) throws {
        let base = catalog.first { $0.value.id == id }.map {
            PendingTable.Remote(id: id, fileName: $0.key, version: $0.value.version)
        }
        let hasName = try commit { table, _ throws(TableError) in
            try table.write(id: id, base: base, content: content, isOpen: isOpen, at: Timestamp(seconds: 1))
        }
        if hasName != true { throw FalseConflict(description: "\(id) has lost its name") }
    }

    /// Overwrites a file: the one that is open, or a new one that may stay open.
    private mutating func edit(_ name: String, isOpen: Bool) throws {
        guard let found = find(name) else { return }
        let content: StagedContent
        if open.contains(found.id), let old = table.rows[found.id]?.change.content {
            content = staged(old.path, nextValue())
        } else {
            content = newContent()
            open.append(found.id)
        }
        try flush(found.id, content, isOpen: true)
        files[name] = contents[content.path]
        if !isOpen, let position = open.firstIndex(of: found.id) { close(position) }
    }

    private mutating func close(_ number: Int) {
        guard !open.isEmpty else { return }
        let id = open.remove(at: number % open.count)
        guard let content = table.rows[id]?.change.content else { return }
        if table.rows[id]?.isDurable == false { try? flush(id, content, isOpen: true) }
        table.settle(id: id, content: content)
        record()
    }

    private mutating func remove(_ name: String) throws {
        guard let found = find(name) else { return }
        _ = try commit { table, reserve throws(TableError) in
            try table.remove(id: found.id, remote: found.remote, reserve: reserve, at: Timestamp(seconds: 1))
        }
        files[name] = nil
        open.removeAll { $0 == found.id }
    }

    private mutating func rename(_ name: String, _ target: String) throws {
        guard name != target, let found = find(name), let value = files[name] else { return }
        if table.rows[found.id]?.isDurable == false, let content = table.rows[found.id]?.change.content {
            try flush(found.id, content, isOpen: true)
        }
        let replaced = find(target)
        var copy: StagedContent?
        if !Staging.isPublished(target), table.rows[found.id]?.change.content == nil {
            copy = staged("c\(value)-\(nextValue())", value)
        }
        let isDone: Void? = try commit { table, reserve throws(TableError) in
            try table.rename(
                id: found.id, remote: found.remote, to: target, replacing: replaced?.remote, content: copy,
                reserve: reserve, at: Timestamp(seconds: 1))
        }
        guard isDone != nil else { return }
        files[target] = value
        files[name] = nil
        if let replaced { open.removeAll { $0 == replaced.id } }
    }

    // MARK: The publisher and other processes

    private mutating func begin(_ number: Int) {
        let ready = table.sendable(limit: 10)
        guard !ready.isEmpty, let change = table.begin(ready[number % ready.count].id) else { return }
        record()
        running.append(Run(change: change))
    }

    /// Does the next part of what is being sent.
    private mutating func send(_ number: Int) throws {
        guard !running.isEmpty else { return }
        let position = number % running.count
        var run = running.remove(at: position)
        if try advance(&run) { try end(run) } else { running.insert(run, at: position) }
    }

    private mutating func end(_ run: Run) throws {
        let change = run.change
        learn(run)
        _ = try commit { table, reserve throws(TableError) in
            try table.sent(change, run.object?.version, reserve: reserve)
        }
    }

    /// What the catalog learns of a change that was sent.
    private mutating func learn(_ run: Run) {
        let change = run.change
        if let old = change.remoteName, old != change.name {
            ownWrites.append(old)
            catalog[old] = nil
        }
        for (name, known) in catalog where known.id == change.id { catalog[name] = nil }
        guard let name = change.name, let object = run.object else { return }
        ownWrites.append(name)
        catalog[name] = Known(id: change.id, version: object.version)
    }

    private mutating func postpone(_ number: Int) {
        guard !running.isEmpty else { return }
        table.postponed(running.remove(at: number % running.count).change, reason: "no answer")
        record()
    }

    private mutating func goOnListing() {
        guard let begun = refresh else {
            refresh = Refresh(mark: ownWrites.count, bound: catalog.values.map(\.id).max() ?? 0)
            return
        }
        guard let objects = begun.objects else {
            refresh?.objects = bodies
            return
        }
        refresh = nil
        let own = Set(ownWrites[begun.mark...])
        for (name, object) in objects.sorted(by: { $0.key < $1.key }) where !own.contains(name) {
            if catalog[name] == nil { lastID += 1 }
            catalog[name] = Known(id: catalog[name]?.id ?? lastID, version: object.version)
        }
        for (name, known) in catalog where !own.contains(name) && objects[name] == nil && known.id <= begun.bound {
            catalog[name] = nil
        }
    }

    // MARK: Batches

    private mutating func beginBatch() {
        guard table.batch == nil, open.isEmpty else { return }
        lastBatch += 1
        table.setBatch(lastBatch)
        record()
        filesBefore = files
    }

    private mutating func commitBatch() throws {
        _ = try commit { table, _ throws(TableError) in table.commitBatch() }
    }

    private mutating func cancelBatch() throws {
        guard table.batch != nil, open.isEmpty else { return }
        let isDone: Void? = try commit { table, reserve throws(TableError) in
            try table.cancelBatch(reserve: reserve, at: Timestamp(seconds: 1))
        }
        if isDone != nil { files = filesBefore }
    }

    private mutating func kill() {
        for (name, _) in files {
            if let row = table.holder(of: name), !row.isDurable { files[name] = nil }
        }
        open = []
        running = []
        refresh = nil
        let (fingerprints, batch) = (table.fingerprints, table.batch)
        table = PendingTable()
        table.setBatch(batch)
        table.fingerprints = fingerprints
        for row in journal.values.sorted(by: { $0.change.id < $1.change.id }) {
            var row = row
            row.maybeSent = false
            if row.change.state == .open { row.change.state = table.restingState(row.change) }
            table.put(row)
        }
        table.endOldBatches()
        _ = table.takeSteps()
        table.assumeSent()
    }

    /// Closes and sends everything.
    mutating func finish() throws {
        try commitBatch()
        while !open.isEmpty { close(0) }
        var rounds = 0
        while true {
            begin(0)
            if running.isEmpty { break }
            try send(0)
            try check()
            rounds += 1
            if rounds > 10_000 { throw FalseConflict(description: "no end") }
        }
        let wanted = files.filter { Staging.isPublished($0.key) }
        guard bodies.mapValues(\.value) == wanted else {
            throw FalseConflict(description: "the bucket holds \(bodies), wanted \(wanted)")
        }
        guard indexes == wanted, rows == wanted else {
            throw FalseConflict(description: "indexes \(indexes), rows \(rows), wanted \(wanted)")
        }
        let left = table.rows.values.filter { $0.change.state != .local }
        if !left.isEmpty { throw FalseConflict(description: "left: \(left.map(text))") }
    }
}
