internal import ObjectStore
internal import Platform
internal import SessionFormat

/// What an overall file shows of what was done to it before.
struct RowComparison: Sendable {
    /// Written, and not there or of another version.
    var missing: [OverallRow] = []
    /// Removed, and there.
    var cameBack: [OverallRow] = []
}

/// The disk's part of ``RowWriter``: overall files on their way, read and merged on threads that may wait.
struct RowWorkshop: Sendable {
    /// A file without a name, which goes with its last reference.
    struct Draft: Sendable {
        let file: FileDescriptor
        var length: UInt64 = 0
    }

    private let scratch: String
    private let known: RowWriter.KnownRows
    private let pool = BlockingPool(name: "rows")
    private static let log = Log("rows")
    private static let baseName = "overall-rows"

    init(scratch: String, known: @escaping RowWriter.KnownRows) {
        self.scratch = scratch
        self.known = known
        // What a process that died left behind.
        for name in (try? Files.names(in: scratch)) ?? [] where name.hasPrefix("." + Self.baseName) {
            try? Files.remove(scratch + "/" + name)
        }
    }

    /// A place for a file that is about to arrive.
    func spool() throws(StoreError) -> OverallSpool {
        try onDisk { () throws(SystemError) in try Files.makeDirectories(scratch) }
        return OverallSpool(beside: scratch + "/" + Self.baseName)
    }

    /// The file with changes made.
    /// - Parameter file: nil when there is none.
    /// - Returns: nil when it shows them already.
    func merge(
        _ changes: [RowChange], into file: FileDescriptor?, lastUpdated: String
    ) async throws(StoreError) -> Draft? {
        try await working { try merged(changes, file, lastUpdated) }
    }

    /// What the file shows of rows that were written or removed.
    func compare(
        _ rows: [OverallRow], removed: Set<[UInt8]>, with file: FileDescriptor?
    ) async throws(StoreError) -> RowComparison {
        try await working {
            var cameBack: [OverallRow] = []
            // By the names' bytes: texts that only look alike are different names.
            var wanted: [[UInt8]: [OverallRow]] = [:]
            for row in rows { wanted[Array(row.fileName.utf8), default: []].append(row) }
            func look(_ row: OverallRow) {
                let name = Array(row.fileName.utf8)
                if removed.contains(name) { cameBack.append(row) }
                guard let rows = wanted[name] else { return }
                let left = rows.filter { mine in
                    mine.checksum.map { row.checksum?.contradicts($0) ?? false } ?? false
                }
                wanted[name] = left.isEmpty ? nil : left
            }
            let reader = OverallReader()
            var offset: UInt64 = 0
            do {
                while let bytes = try file?.read(at: offset, count: 256 << 10), !bytes.isEmpty {
                    offset += UInt64(bytes.count)
                    try reader.consume(bytes.span.bytes) { look($0) }
                }
            } catch let error as FormatError {
                Self.log.warning("the overall file is damaged", ["cause": error.description])
            }
            let missing = rows.filter { row in
                wanted[Array(row.fileName.utf8)]?.contains { $0.checksum == row.checksum } ?? false
            }
            return RowComparison(missing: missing, cameBack: cameBack)
        }
    }

    // MARK: Merging

    private func merged(_ changes: [RowChange], _ file: FileDescriptor?, _ lastUpdated: String) throws -> Draft? {
        let merger = OverallMerger(changes, lastUpdated: lastUpdated)
        var source = file.map { Self.source($0) }
        let survey: OverallMerger.Survey
        do {
            guard let given = source else { throw FormatError(.truncated, "there is none") }
            survey = try merger.survey(given)
            guard survey.isChanged else { return nil }
        } catch is FormatError {
            // Removals alone do not bring a missing file back.
            if file == nil, !changes.contains(where: { $0.isSetting }) { return nil }
            let whole = Self.source(try salvage(source))
            source = whole
            survey = try merger.survey(whole)
        }
        guard let source else { return nil }
        let output = Output(try draft())
        try merger.write(survey, source) { try output.append($0) }
        return output.draft
    }

    /// A whole file of what a damaged one still says and of what is known.
    private func salvage(_ source: OverallMerger.Source?) throws -> FileDescriptor {
        let output = Output(try draft())
        let outcome = try OverallSalvage.write(source, known: known) { try output.append($0) }
        if let damage = outcome.damage {
            Self.log.warning(
                "the overall file is damaged and is made anew of what can be read",
                ["cause": damage.description, "kept": "\(outcome.kept)", "added": "\(outcome.added)"])
        } else {
            Self.log.info("there is no overall file; one is made", ["rows": "\(outcome.added)"])
        }
        return output.draft.file
    }

    private static func source(_ file: FileDescriptor) -> OverallMerger.Source {
        { offset, count in try file.read(at: offset, count: count) }
    }

    private func draft() throws(SystemError) -> Draft {
        try Files.makeDirectories(scratch)
        let path = Files.temporaryPath(beside: scratch + "/" + Self.baseName)
        let file = try FileDescriptor.open(path, [.readWrite, .create, .exclusive])
        try Files.remove(path)
        return Draft(file: file)
    }

    /// Writes a draft from its beginning on. For one thread at a time.
    private final class Output {
        private(set) var draft: Draft

        init(_ draft: Draft) { self.draft = draft }

        func append(_ bytes: [UInt8]) throws(SystemError) {
            try draft.file.write(bytes, at: draft.length)
            draft.length += UInt64(bytes.count)
        }
    }

    // MARK: Threads

    private func working<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws(StoreError) -> Value {
        let outcome = await pool.result { () -> Result<Value, StoreError> in
            do {
                return .success(try work())
            } catch let error as StoreError {
                return .failure(error)
            } catch let error as SystemError {
                return .failure(StoreError(error, key: SessionName.overallKey))
            } catch {
                return .failure(StoreError(.local, key: SessionName.overallKey, message: "\(error)"))
            }
        }
        return try outcome.get()
    }

    private func onDisk(_ work: () throws(SystemError) -> Void) throws(StoreError) {
        do throws(SystemError) { try work() } catch { throw StoreError(error, key: SessionName.overallKey) }
    }
}

extension RowChange {
    /// Whether a row comes of it.
    fileprivate var isSetting: Bool {
        if case .remove = self { false } else { true }
    }
}
