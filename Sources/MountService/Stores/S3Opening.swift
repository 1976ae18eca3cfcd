internal import ObjectStore

/// Makes the S3 client of a configured store.
enum S3Opening {
    static func open(_ settings: StoreSettings) throws(MountFailure) -> any ObjectStore {
        throw MountFailure("s3 follows")
    }
}
