extension BodyState: CustomStringConvertible {
    /// The words of `user.sessionfs.state`: `remote`, `cached`, `downloading 42%`.
    public var description: String {
        switch self {
        case .remote: "remote"
        case .cached: "cached"
        case .downloading(let done, let total): "downloading \(total == 0 ? 0 : min(100, done * 100 / total))%"
        }
    }
}
