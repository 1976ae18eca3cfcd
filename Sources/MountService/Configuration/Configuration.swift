public import Platform

/// The settings of one store, resolved, with what the user should know about them.
public struct ResolvedSettings: Sendable, Equatable {
    /// What applies.
    public var settings: StoreSettings
    /// Sentences naming file and line.
    public var warnings: [String]
}

/// Resolves settings. Precedence: command line, `-o`, environment (`SESSIONFS_*`), the store's section, `[defaults]`,
/// what is built in.
public enum Configuration {
    /// `$XDG_CONFIG_HOME/sessionfs/config.ini`.
    public static var defaultPath: String { Environment.configHome + "/sessionfs/config.ini" }

    /// The settings that a request comes to.
    /// - Parameter environment: a variable's value; an empty one counts as unset.
    /// - Throws: ``ConfigurationError`` naming the place of what is wrong.
    public static func resolve(
        _ request: SettingsRequest, environment: (String) -> String? = Environment.value
    ) throws(ConfigurationError) -> ResolvedSettings {
        var given: [MountOptionList] = []
        for text in request.mountOptions {
            given.append(try MountOptionList(text, origin: "-o", isPublic: true))
        }
        let path = request.configuration ?? given.compactMap(\.configuration).last
        let file = try read(path, environment)
        let (name, location, section) = try find(request.store, in: file)
        try location.requireSupport()

        var layers = [try commandLine(request.options)]
        var kernel: [String] = []
        // Of several `-o` the last one counts.
        layers += given.reversed().map(\.settings)
        layers.append(self.environment(environment))
        for layer in [section, file.defaults] {
            layers.append(layer)
            guard let options = layer[.mountOptions] else { continue }
            let parsed = try MountOptionList(
                options.text, origin: options.origin, isPublic: false)
            layers.append(parsed.settings)
            kernel = parsed.kernel + kernel
        }
        kernel += given.flatMap(\.kernel)

        var builder = SettingsBuilder(layers: LayeredSettings(layers: layers), warnings: file.warnings)
        let settings = try builder.build(name, location, kernel)
        return ResolvedSettings(settings: settings, warnings: builder.warnings)
    }

    private static func read(
        _ path: String?, _ environment: (String) -> String?
    ) throws(ConfigurationError) -> ConfigurationFile {
        if let path = path ?? environment("SESSIONFS_CONFIG") { return try ConfigurationFile(path: path) }
        return Files.exists(defaultPath) ? try ConfigurationFile(path: defaultPath) : ConfigurationFile()
    }

    private static func find(
        _ store: String?, in file: ConfigurationFile
    ) throws(ConfigurationError) -> (name: String?, location: StoreLocation, section: SettingLayer) {
        let names = file.stores.map(\.name)
        guard let store = store ?? names.first(where: { $0 == ConfigurationFile.desktopStore }) else {
            throw ConfigurationError(
                "a store is missing: give a URL such as s3://bucket"
                    + (names.isEmpty ? "" : ", or one of \(names.joined(separator: ", "))"))
        }
        if let location = try StoreLocation.parse(store) { return (nil, location, [:]) }
        guard let section = file.stores.first(where: { $0.name == store })?.layer else {
            throw unknown(store, names, file)
        }
        guard let url = section[.url] else {
            throw ConfigurationError("[store \"\(store)\"] has no url", origin: file.path ?? "")
        }
        let location: StoreLocation?
        do throws(ConfigurationError) {
            location = try StoreLocation.parse(url.text)
        } catch {
            throw ConfigurationError(error.message, origin: url.origin)
        }
        guard let location else {
            throw ConfigurationError("url: \"\(url.text)\" is no URL, such as s3://bucket", origin: url.origin)
        }
        return (store, location, section)
    }

    private static func unknown(_ store: String, _ names: [String], _ file: ConfigurationFile) -> ConfigurationError {
        var text = "no store is called \(store)"
        if let nearest = Suggestion.nearest(to: store, in: names) {
            text += "; did you mean \(nearest)?"
        } else if names.isEmpty {
            text += "; give a URL such as s3://bucket, or add [store \"\(store)\"] to \(file.path ?? defaultPath)"
        } else {
            text += "; known are \(names.joined(separator: ", "))"
        }
        return ConfigurationError(text)
    }

    private static func commandLine(_ options: [Setting: String]) throws(ConfigurationError) -> SettingLayer {
        var layer: SettingLayer = [:]
        for (setting, text) in options {
            guard !setting.isSecret else {
                throw ConfigurationError(
                    "a secret on the command line is visible to every user", origin: "--" + setting.optionName)
            }
            layer[setting] = SettingValue(
                text: setting.isPath ? Files.normalized(text) : text, origin: "--" + setting.optionName)
        }
        return layer
    }

    private static func environment(_ value: (String) -> String?) -> SettingLayer {
        var layer: SettingLayer = [:]
        for setting in Setting.allCases {
            guard let variable = setting.variable, let text = value(variable), !text.isEmpty else { continue }
            layer[setting] = SettingValue(
                text: setting.isPath ? Files.normalized(text) : text, origin: variable)
        }
        return layer
    }
}
