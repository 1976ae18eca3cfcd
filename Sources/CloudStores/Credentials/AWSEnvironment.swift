internal import Platform

/// The variables and files that AWS's own tools are configured with
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>).
public struct AWSEnvironment: Sendable {
    private let lookUp: @Sendable (String) -> String?
    /// The user's home directory.
    public let home: String

    /// This process's own.
    public static var process: AWSEnvironment {
        AWSEnvironment(home: Environment.home) { Environment.value($0) }
    }

    /// Given variables, for tests.
    public init(_ variables: [String: String], home: String) {
        self.init(home: home) { variables[$0] }
    }

    private init(home: String, _ lookUp: @escaping @Sendable (String) -> String?) {
        self.home = home
        self.lookUp = lookUp
    }

    /// A variable's value; nil when it is unset or empty.
    public func value(_ name: String) -> String? {
        guard let value = lookUp(name), !value.isEmpty else { return nil }
        return value
    }

    /// Whether a variable says `true`, in whatever case.
    func isTrue(_ name: String) -> Bool { value(name)?.lowercased() == "true" }

    /// `AWS_CONFIG_FILE`, else `~/.aws/config`.
    public var configFile: String { file("AWS_CONFIG_FILE", "/.aws/config") }
    /// `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
    public var credentialsFile: String { file("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials") }

    private func file(_ variable: String, _ suffix: String) -> String {
        guard let path = value(variable) else { return home + suffix }
        return path.hasPrefix("~/") ? home + path.dropFirst() : path
    }
}
