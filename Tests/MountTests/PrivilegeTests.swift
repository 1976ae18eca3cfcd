import Foundation
import MountHarness
import Platform
import Testing

/// The user of that name on every Debian.
private let nobody: UInt32 = 65534

/// Whether the tests run as root of the machine. Root of a user namespace is an ordinary user, and stays it.
private let canSwitchUser =
    geteuid() == 0
    && Shell.run("setpriv", ["--reuid", "\(nobody)", "--regid", "\(nobody)", "--clear-groups", "true"]).status == 0

/// Users without rights, and users that are not the owner. Run by root these tests act as `nobody`; run by anybody else
/// they act as that user.
@Suite(.timeLimit(.minutes(3))) struct PrivilegeTests {
    /// A private world of an unprivileged user.
    private final class Unprivileged {
        // The run's own directory for temporary files may not be open to others.
        let root = "/tmp/sfs-user-" + String(UInt64.random(in: .min ... .max), radix: 36)
        /// A copy: the build directory may not be open to everybody.
        var program: String { root + "/sessionfs" }
        var point: String { root + "/mnt" }

        init() throws {
            // Debian's udev rule makes it 0666; where there is no udev nobody did.
            if canSwitchUser { chmod("/dev/fuse", 0o666) }
            for name in ["", "/home", "/mnt", "/run"] { try Files.makeDirectories(root + name) }
            try FileManager.default.createDirectory(atPath: root + "/bucket", withIntermediateDirectories: false)
            for folder in ["sessions", "meta_indexes"] { try Files.makeDirectories(root + "/bucket/" + folder) }
            for key in try Fixture.keys() { try Files.replace(root + "/bucket/" + key, with: Fixture.read(key)) }
            try FileManager.default.copyItem(atPath: MountWorld.program, toPath: program)
            if canSwitchUser { #expect(Shell.run("chown", ["-R", "\(nobody):\(nobody)", root]).status == 0) }
        }

        deinit {
            if MountTable.entry(at: point) != nil {
                Issue.record("still mounted: \(point)")
                try? MountTable.unmount(point, lazily: true)
            }
            try? Files.removeTree(root)
        }

        private var environment: [String: String] {
            [
                "PATH": "/usr/bin:/bin", "HOME": root + "/home", "XDG_RUNTIME_DIR": root + "/run", "LC_ALL": "C.UTF-8",
                "SWIFT_BACKTRACE": "enable=no",
            ]
        }

        /// Runs something as the user.
        func run(_ program: String, _ arguments: [String]) -> CommandResult {
            guard canSwitchUser else { return Shell.run(program, arguments, environment: environment) }
            let identity = ["--reuid", "\(nobody)", "--regid", "\(nobody)", "--clear-groups"]
            return Shell.run("setpriv", identity + [program] + arguments, environment: environment)
        }
    }

    @Test func anybodyCanMount() throws {
        let user = try Unprivileged()
        let mounted = user.run(user.program, ["mount", "file://" + user.root + "/bucket", user.point])
        try #require(mounted.status == 0, "\(mounted.errors)")
        let refreshed = user.run(user.program, ["refresh", user.point])
        #expect(refreshed.status == 0, "\(refreshed.errors)")
        let listed = user.run("ls", ["-l", user.point + "/sessions"])
        #expect(listed.output.split(separator: "\n").count == 38, "\(listed.errors)")
        for name in try Fixture.names() {
            let same = user.run("cmp", [user.point + "/sessions/" + name, user.root + "/bucket/sessions/" + name])
            #expect(same.status == 0, "\(same.errors)")
        }
        let owners = user.run("stat", ["-c", "%u %a", user.point + "/sessions/" + (try Fixture.names()[0])])
        #expect(owners.output == "\(canSwitchUser ? nobody : geteuid()) 644\n")
        // Others stay outside, root included.
        if canSwitchUser {
            #expect(Posix.open(user.point + "/sessions") == EACCES)
            let other = Shell.run("setpriv", ["--reuid", "1", "--regid", "1", "--clear-groups", "ls", user.point])
            #expect(other.status != 0)
            #expect(other.errors.contains("ermission denied"), "\(other.errors)")
        }
        let unmounted = user.run(user.program, ["unmount", user.point])
        #expect(unmounted.status == 0, "\(unmounted.errors)")
        #expect(MountTable.entry(at: user.point) == nil)
    }

    @Test func anybodyCanUnmountWithFusermount() throws {
        let user = try Unprivileged()
        for _ in 0..<2 {
            let mounted = user.run(user.program, ["mount", "file://" + user.root + "/bucket", user.point])
            try #require(mounted.status == 0, "\(mounted.errors)")
            #expect(user.run("fusermount3", ["-u", user.point]).status == 0)
            #expect(MountTable.entry(at: user.point) == nil)
        }
    }

    @Test func aKilledDaemonOfAnybodyIsCleared() throws {
        let user = try Unprivileged()
        let url = "file://" + user.root + "/bucket"
        try #require(user.run(user.program, ["mount", url, user.point]).status == 0)
        let status = user.run(user.program, ["status", "--json", user.point])
        let fields = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
        let daemon = Int32(try #require(fields?["pid"] as? Int))
        kill(daemon, SIGKILL)
        while !Posix.hasEnded(daemon) { usleep(10_000) }
        let again = user.run(user.program, ["mount", url, user.point])
        #expect(again.status == 0, "\(again.errors)")
        #expect(user.run("ls", [user.point + "/sessions"]).output.split(separator: "\n").count == 37)
        #expect(user.run(user.program, ["unmount", user.point]).status == 0)
    }

    /// `allow_other` is off; on request it opens the mount, to read.
    @Test(.enabled(if: canSwitchUser, "only root can act as several users"))
    func othersEnterOnRequestOnly() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let point = "/tmp/sfs-open-" + String(UInt64.random(in: .min ... .max), radix: 36)
            try Files.makeDirectories(point, permissions: 0o755)
            defer { try? Files.removeTree(point) }
            let other = ["--reuid", "\(nobody)", "--regid", "\(nobody)", "--clear-groups"]
            let body = point + "/sessions/" + (try Fixture.names()[0])
            try world.mount(at: point)
            #expect(Shell.run("setpriv", other + ["cat", body]).status != 0)
            try world.unmount(point)
            try world.mount(at: point, ["-o", "allow_other"])
            defer { world.run(["unmount", point]) }
            let allowed = Shell.run("setpriv", other + ["cmp", body, body])
            #expect(allowed.status == 0, "\(allowed.errors)")
            // The cache and the socket stay closed.
            #expect(Shell.run("setpriv", other + ["ls", try world.cacheDirectory()]).status != 0)
            #expect(Shell.run("setpriv", other + ["ls", world.root + "/run/sessionfs"]).status != 0)
        }
    }
}
