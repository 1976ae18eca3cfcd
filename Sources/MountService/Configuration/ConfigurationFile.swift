internal import Platform

/// A configuration file that was read: sessionfs's own sections, and those of the desktop client.
struct ConfigurationFile {
    /// The file, absolute; nil when there is none, which is fine unless it was asked for.
    var path: String?
    /// `[defaults]`.
    var defaults: SettingLayer = [:]
    /// `[store "name"]`, in their order.
    var stores: [(name: String, layer: SettingLayer)] = []
    /// Whether it has the desktop client's `[CloudSync]`; its settings are then the store `fastshot`.
    var isDesktopClients = false
    /// Keys and sections that nobody knows, permissions that are too wide: with file and line.
    var warnings: [String] = []

    /// The name of the store that the desktop client's file describes.
    static let desktopStore = "fastshot"

    init() {}

    /// Reads a file.
    /// - Throws: ``ConfigurationError`` when it cannot be read or is no INI file.
    init(path: String) throws(ConfigurationError) {
        let path = Files.normalized(path)
        self.path = path
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(path, limit: 1 << 20)
        } catch {
            throw ConfigurationError(
                "the configuration cannot be read: \(SystemError.message(for: error.code))", origin: path)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError("the configuration is no UTF-8 text", origin: path)
        }
        let file: INIFile
        do throws(INIError) {
            file = try INIFile.parse(text)
        } catch {
            throw ConfigurationError(error.description, origin: path)
        }
        let desktop = file.section(DesktopClientSection.name)
        isDesktopClients = desktop != nil
        for section in file.sections { try take(section) }
        // A [store "fastshot"] replaces the desktop client's section as a whole.
        if let desktop, !stores.contains(where: { $0.name == Self.desktopStore }) {
            let layer = try DesktopClientSection.settings(desktop, place)
            if !layer.isEmpty { stores.append((Self.desktopStore, layer)) }
        }
        warnAboutPermissions()
    }

    private mutating func take(_ section: INIFile.Section) throws(ConfigurationError) {
        if section.name == "defaults" {
            defaults = try settings(section, isStore: false)
        } else if section.kind == "store", let name = section.title {
            guard !name.isEmpty, !name.contains("/"), !name.contains(":") else {
                throw ConfigurationError(
                    "a store's name has no slash and no colon, so that it is no URL", origin: place(section.line))
            }
            guard !stores.contains(where: { $0.name == name }) else {
                throw ConfigurationError("the store \(name) has a section already", origin: place(section.line))
            }
            stores.append((name, try settings(section, isStore: true)))
        } else if !isDesktopClients {
            warnings.append("\(place(section.line)): unknown section [\(section.name)] is ignored")
        }
    }

    private mutating func settings(
        _ section: INIFile.Section, isStore: Bool
    ) throws(ConfigurationError) -> SettingLayer {
        var layer: SettingLayer = [:]
        for entry in section.entries {
            guard let setting = Setting(key: entry.key), isStore || setting.isAllowedInDefaults else {
                let nearest = Suggestion.nearest(to: entry.key, in: Setting.allCases.map(\.rawValue))
                let hint =
                    Setting(key: entry.key) != nil
                    ? "; it belongs into a [store] section" : nearest.map { "; did you mean \($0)?" } ?? ""
                warnings.append("\(place(entry.line)): unknown key \(entry.key) in [\(section.name)] is ignored\(hint)")
                continue
            }
            guard !entry.value.isEmpty else { continue }
            guard !entry.value.contains("\n") else {
                throw ConfigurationError(
                    "\(entry.key): the next line is indented deeper, and so a part of this value",
                    origin: place(entry.line))
            }
            let text = setting.isPath ? absolute(entry.value) : entry.value
            layer[setting] = SettingValue(text: text, origin: place(entry.line))
        }
        return layer
    }

    private mutating func warnAboutPermissions() {
        guard let path, stores.contains(where: { $0.layer.keys.contains(where: \.isSecret) }),
            let warning = PrivateFile.warning(path)
        else { return }
        warnings.append(warning)
    }

    private func place(_ line: Int) -> String { "\(path ?? ""):\(line)" }

    /// A path of the file: `~/` is the home directory, and what is relative is so to the file.
    private func absolute(_ text: String) -> String {
        if text == "~" || text.hasPrefix("~/") { return Files.normalized(Environment.home + text.dropFirst()) }
        if text.hasPrefix("/") { return Files.normalized(text) }
        return Files.normalized(Files.parentDirectory(path ?? "/") + "/" + text)
    }
}

/// Files that hold secrets.
enum PrivateFile {
    /// A sentence when others than the owner may read or change the file; nil when all is well.
    static func warning(_ path: String) -> String? {
        guard let status = try? Files.status(path), status.kind == .regular, status.permissions & 0o077 != 0 else {
            return nil
        }
        return "\(path): holds a secret and is open to other users; make it private: chmod 600 \(path)"
    }

    /// The key in a file, without the line end behind it.
    /// - Throws: ``ConfigurationError`` when it cannot be read, is empty or no UTF-8.
    static func key(_ path: String) throws(ConfigurationError) -> Secret {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(path, limit: 1 << 16)
        } catch {
            throw ConfigurationError(
                "the key file cannot be read: \(SystemError.message(for: error.code))", origin: path)
        }
        guard var text = String(validating: bytes, as: UTF8.self)?[...] else {
            throw ConfigurationError("the key file is no UTF-8 text", origin: path)
        }
        // A carriage return and a line feed are one character.
        if text.last?.isNewline == true { text.removeLast() }
        guard !text.isEmpty else { throw ConfigurationError("the key file is empty", origin: path) }
        return Secret(String(text))
    }
}
