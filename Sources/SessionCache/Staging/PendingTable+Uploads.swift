internal import ObjectStore
internal import Platform

/// Uploads in parts: the bucket keeps the parts, and bills them, until the upload is completed or abandoned.
extension PendingTable {
    /// An upload that its change does not go on with.
    struct Abandoned: Equatable {
        var progress: MultipartProgress
        /// The change that it was begun for, which may be sending still.
        var id: Int64
        var generation: Int64
    }

    /// Notes how far an upload in parts has come; nil when it has ended.
    mutating func note(_ change: PendingChange, _ multipart: MultipartProgress?) {
        if var row = rows[change.id], row.change.generation == change.generation {
            let before = row.change.multipart
            row.change.multipart = multipart
            put(row, ended: multipart == nil ? before : nil)
        } else if var row = rows[change.id], row.unfinished?.generation == change.generation {
            let before = row.unfinished?.multipart
            row.unfinished?.multipart = multipart
            put(row, ended: multipart == nil ? before : nil)
        } else if let multipart {
            // Something else is wanted by now. When the upload ends without success, its parts have to go.
            setAbandoned(
                multipart.uploadID, Abandoned(progress: multipart, id: change.id, generation: change.generation))
        } else {
            for (uploadID, upload) in abandoned where upload.id == change.id && upload.generation == change.generation {
                setAbandoned(uploadID, nil)
            }
        }
    }

    /// - Parameter ended: an upload that is no more: it is not to be removed from the bucket.
    private mutating func put(_ row: Row, ended: MultipartProgress?) {
        put(row)
        if let ended { setAbandoned(ended.uploadID, nil) }
    }

    /// Notes uploads that a row does not go on with when another takes its place.
    mutating func giveUpUploads(of old: Row?, for new: Row?) {
        for change in [old?.change, old?.unfinished] {
            guard let change, let progress = change.multipart, progress != new?.change.multipart,
                progress != new?.unfinished?.multipart
            else { continue }
            setAbandoned(
                progress.uploadID, Abandoned(progress: progress, id: change.id, generation: change.generation))
        }
    }

    /// Uploads that nobody will go on with.
    var abandonedUploads: [MultipartProgress] {
        abandoned.values.filter { runs[$0.id]?.generation != $0.generation }.map(\.progress)
            .sorted { $0.uploadID < $1.uploadID }
    }

    /// The bucket holds no parts of these any more.
    mutating func forget(_ uploads: [MultipartProgress]) {
        for upload in uploads { setAbandoned(upload.uploadID, nil) }
    }
}
