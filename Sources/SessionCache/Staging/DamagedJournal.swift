internal import Catalog
internal import Platform

/// A journal that cannot be read any more. It goes aside together with the contents that it spoke for, of which there
/// may be no other copy; nothing here ever removes them.
enum DamagedJournal {
    /// The statements that read what is left.
    private enum Salvage: Int, DatabaseQuery {
        case begin, commit, files
        var sql: String {
            switch self {
            case .begin: "BEGIN IMMEDIATE"
            case .commit: "COMMIT"
            case .files: "SELECT file, name FROM change WHERE file IS NOT NULL"
            }
        }
    }

    /// Renames the journal and its contents into a directory of their own, and makes an empty one for new contents.
    /// - Returns: that directory.
    static func moveAside(_ directory: String) throws(StagingError) -> String {
        let target = "\(directory)/damaged-\(Timestamp.now.nanoseconds)"
        do throws(SystemError) {
            try Files.makePrivateDirectory(target)
            // The contents first: a journal without them would be taken for one whose files are lost.
            try Files.rename(directory + "/staging", to: target + "/staging")
            // The database before its log, which would else be missing in it.
            for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"]
            where Files.exists("\(directory)/\(name)") {
                try Files.rename("\(directory)/\(name)", to: "\(target)/\(name)")
            }
            try Files.makePrivateDirectory(directory + "/staging")
            try Files.synchronizeDirectory(target)
            try Files.synchronizeDirectory(directory)
        } catch { throw StagingError(error) }
        name(target)
        return target
    }

    /// Gives the contents the names that can still be read, behind their numbers.
    private static func name(_ target: String) {
        var names: [String: String] = [:]
        do throws(CatalogError) {
            let connection = try DatabaseConnection<Salvage>(path: target + "/journal.sqlite")
            try connection.use(.files) { statement throws(CatalogError) in
                while try statement.step() {
                    guard let file = statement.text(0), let name = statement.text(1) else { continue }
                    names[file] = name
                }
            }
        } catch { Staging.log.warning("names of the damaged journal not read", ["cause": error.description]) }
        for (file, name) in names where Int64(file) != nil && !name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")) {
            let source = "\(target)/staging/\(file)"
            guard Files.exists(source) else { continue }
            do throws(SystemError) {
                try Files.rename(source, to: "\(target)/staging/" + "\(file)-\(name)".cut(toBytes: 255))
            } catch { Staging.log.warning("not named", ["file": source, "cause": error.description]) }
        }
    }
}
