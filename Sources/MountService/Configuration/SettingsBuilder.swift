internal import Control
internal import Platform
internal import SessionCache
internal import Sync

/// Turns layered texts into typed settings.
struct SettingsBuilder {
    let layers: LayeredSettings
    var warnings: [String]

    mutating func build(
        _ name: String?, _ location: StoreLocation, _ kernelOptions: [String]
    ) throws(ConfigurationError) -> StoreSettings {
        let endpoint = try layers.parsed(.endpoint, "no URL of a server, such as https://s3.example.org", Self.server)
        let storeID = StoreIdentity.name(location, endpoint: endpoint)
        let interval = try layers.parsed(.pollInterval, "no duration, such as 10s or 5m", Units.seconds)
        let limit = try layers.parsed(.cacheLimit, "no size, such as 500M or 10G, nor \"none\"") { text -> UInt64?? in
            text.lowercased() == "none" ? .some(nil) : Units.size(text).map { $0 }
        }
        var kinds: [ConflictKind: ConflictStrategy] = [:]
        for kind in ConflictKind.allCases { kinds[kind] = try layers.word(kind.setting) }
        let flushTimeout = try layers.parsed(.flushTimeout, "no duration, such as 60s or 5m", Units.seconds)
        let verifies = try layers.bool(.tlsVerify) ?? true
        if !verifies {
            let origin = layers[.tlsVerify]?.origin ?? ""
            warnings.append(
                "\(origin): the server's certificate is not checked: whoever is in between can read and change everything"
            )
        }
        return StoreSettings(
            name: name, location: location, endpoint: endpoint, region: layers.text(.region),
            profile: layers.text(.profile), credentials: try credentials(),
            anonymous: try layers.bool(.anonymous) ?? false, addressing: try layers.word(.addressing) ?? .auto,
            caFile: layers.text(.caFile), proxy: try proxy(), verifiesTLS: verifies,
            encryptionKey: try encryptionKey(), storeID: storeID,
            cacheDirectory: directory(.cacheDirectory, storeID) ?? StoreIdentity.cacheDirectory(storeID),
            stateDirectory: directory(.stateDirectory, storeID) ?? StoreIdentity.stateDirectory(storeID),
            cacheLimit: limit ?? nil, unmountPolicy: try layers.word(.unmountPolicy) ?? .clean,
            pollInterval: interval ?? 10, readOnly: try layers.bool(.readOnly) ?? false,
            conflicts: try layers.word(.conflicts) ?? .manual, conflictKinds: kinds,
            foreign: try layers.word(.foreign) ?? .refuse, close: try layers.word(.close) ?? .local,
            flushTimeout: flushTimeout ?? 60, offlineReads: try layers.word(.offlineReads) ?? .fail,
            uploadLimit: try rate(.uploadLimit), downloadLimit: try rate(.downloadLimit),
            allowOther: try layers.bool(.allowOther) ?? false, kernelOptions: kernelOptions,
            logLevel: try logLevel() ?? .warning)
    }

    /// Whatever sets a directory, each store has a part of its own in it, so that no two stores can mix.
    private func directory(_ setting: Setting, _ storeID: String) -> String? {
        layers.text(setting).map { $0 + "/" + storeID }
    }

    private func rate(_ setting: Setting) throws(ConfigurationError) -> UInt64? {
        let rate = try layers.parsed(setting, "no rate in bytes per second, such as 2M, nor \"none\"", Units.rate)
        return rate == 0 ? nil : rate
    }

    private func credentials() throws(ConfigurationError) -> ConfiguredCredentials? {
        let id = layers[.accessKeyID]
        let key = layers[.secretAccessKey]
        switch (id, key) {
        case (let id?, let key?):
            // A token belongs to the very key it was issued with.
            let token = layers.rank(.sessionToken) == layers.rank(.accessKeyID) ? layers.text(.sessionToken) : nil
            return ConfiguredCredentials(
                accessKeyID: Secret(id.text), secretAccessKey: Secret(key.text), sessionToken: token.map(Secret.init))
        case (let id?, nil):
            throw ConfigurationError("access_key_id is given, and secret_access_key is missing", origin: id.origin)
        case (nil, let key?):
            throw ConfigurationError("secret_access_key is given, and access_key_id is missing", origin: key.origin)
        case (nil, nil): return nil
        }
    }

    /// The stronger of key file and key; of one strength, the file.
    private mutating func encryptionKey() throws(ConfigurationError) -> Secret? {
        let file = layers.rank(.keyFile) ?? .max
        let key = layers.rank(.encryptionKey) ?? .max
        if file <= key, let path = layers.text(.keyFile) {
            if let warning = PrivateFile.warning(path) { warnings.append(warning) }
            return try PrivateFile.key(path)
        }
        return layers.text(.encryptionKey).map(Secret.init)
    }

    private func proxy() throws(ConfigurationError) -> Secret? {
        guard let value = layers[.proxy] else { return nil }
        if value.text.contains("@"), value.origin.hasPrefix("-") {
            throw ConfigurationError(
                "a password on the command line is visible to every user; use the configuration", origin: value.origin)
        }
        return Secret(value.text)
    }

    private func logLevel() throws(ConfigurationError) -> Log.Level? {
        try layers.parsed(.log, "none of error, warning, info, debug") { text in
            switch text.lowercased() {
            case "error": .error
            case "warning": .warning
            case "info": .info
            case "debug": .debug
            default: nil
            }
        }
    }

    private static func server(_ text: String) -> String? {
        guard let scheme = ["https://", "http://"].first(where: { text.lowercased().hasPrefix($0) }) else { return nil }
        let rest = text.dropFirst(scheme.count)
        let hasHost = !rest.isEmpty && rest.first != "/" && rest.first != ":"
        return hasHost && !rest.contains("@") && !rest.contains(" ") ? text : nil
    }
}
