import Testing

@testable import MountService

struct MountOptionListTests {
    func parse(_ text: String, isPublic: Bool = true) throws -> MountOptionList {
        try MountOptionList(text, origin: "-o", isPublic: isPublic)
    }

    @Test func settingsKernelOptionsAndFstabNotesAreToldApart() throws {
        let options = try parse(
            "ro,_netdev,nofail,x-systemd.automount,noatime,fsname=x,allow_other,cache_dir=/c,config=/f,user,,defaults")
        #expect(options.settings.mapValues(\.text) == [.readOnly: "yes", .allowOther: "yes", .cacheDirectory: "/c"])
        #expect(options.kernel == ["noatime", "fsname=x"])
        #expect(options.configuration == "/f")
    }

    @Test func commasInValuesAreEscaped() throws {
        #expect(
            try parse("region=a\\,b\\\\c\\d,rw").settings.mapValues(\.text) == [.region: "a,b\\c\\d", .readOnly: "no"])
        #expect(try parse("region=a\\").settings[.region]?.text == "a\\")
    }

    @Test func theLastOneCounts() throws {
        #expect(try parse("ro,rw").settings[.readOnly]?.text == "no")
    }

    @Test(arguments: [
        ("noatme", "did you mean noatime?"), ("cache_dr=/x", "did you mean cache_dir?"),
        ("region", "region needs a value"),
        ("config=", "config= needs a file"), ("url=s3://x", "no such mount option: url"),
        ("zzzzz", "no such mount option: zzzzz"),
        ("session_token=x", "visible to every user"),
    ])
    func mistakesAreExplained(text: String, part: String) {
        #expect {
            try parse(text)
        } throws: {
            "\($0)".contains(part) && "\($0)".hasPrefix("-o: ")
        }
    }

    @Test func aPrivateFileMayHoldSecrets() throws {
        #expect(try parse("encryption_key=k", isPublic: false).settings[.encryptionKey]?.text == "k")
    }

    @Test func declaredOptionsBecomeSettings() throws {
        let program = ProgramSpec(
            name: "p", summary: "", commonOptions: SettingsRequest.commonOptions,
            commands: [
                CommandSpec(
                    name: "mount", summary: "", positionals: [PositionalSpec("STORE", "")],
                    options: SettingsRequest.mountOnlyOptions)
            ])
        let line = [
            "mount", "s3://b", "-ro", "noatime", "--no-tls-verify", "--cache-max=1G", "--config", "/c", "--anonymous",
        ]
        guard case .run(let arguments) = try program.parse(line) else {
            Issue.record("not a command to run")
            return
        }
        let request = SettingsRequest(store: arguments.positional("STORE"), arguments: arguments)
        #expect(request.store == "s3://b" && request.configuration == "/c" && request.mountOptions == ["noatime"])
        #expect(request.options == [.readOnly: "yes", .tlsVerify: "no", .cacheLimit: "1G", .anonymous: "yes"])
        // Each declared option is one that a request takes.
        let declared = SettingsRequest.commonOptions + SettingsRequest.mountOnlyOptions
        for option in declared where option.name != "config" && option.name != "options" {
            let name = option.name.hasPrefix("no-") ? String(option.name.dropFirst(3)) : option.name
            #expect(Setting.allCases.contains { $0.optionName == name }, "\(option.name)")
        }
    }
}
