internal import ObjectStore
internal import Platform

/// Writes the answer of one request to its place in the partial file, on the thread that received it.
final class RangeSink: ObjectSink {
    private struct Target {
        let file: PartialFile
        let size: UInt64
        var position: UInt64
    }
    private let download: Download
    private let ticket: UInt64
    private let target = Guarded<Target?>(nil)

    init(_ download: Download, ticket: UInt64) {
        self.download = download
        self.ticket = ticket
    }

    private var unwanted: StoreError { StoreError(.cancelled, key: download.key, message: "no longer wanted") }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        guard let file = download.began(ticket, info, at: offset) else { throw unwanted }
        target.withLock { $0 = Target(file: file, size: info.size, position: offset) }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        guard let target = target.withLock({ $0 }) else { throw unwanted }
        let (end, overflow) = target.position.addingReportingOverflow(UInt64(bytes.byteCount))
        guard !overflow, end <= target.size else {
            throw StoreError(.temporary, key: download.key, message: "more bytes than the object has")
        }
        guard let parts = download.received(ticket, target.position..<end, in: target.file) else { throw unwanted }
        self.target.withLock { $0?.position = end }
        do throws(SystemError) {
            for part in parts {
                let first = Int(part.lowerBound - target.position)
                let piece = bytes.extracting(first..<first + part.count)
                try target.file.descriptor.write(piece, at: part.lowerBound)
            }
        } catch {
            download.notWritten(parts, in: target.file)
            throw StoreError(error, key: download.key)
        }
        download.written(parts, in: target.file)
    }
}
