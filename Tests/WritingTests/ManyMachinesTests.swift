import Foundation
import MountHarness
import Platform
import Testing

/// Several machines publish at once, and a FastShot client beside them that overwrites the overall file without looking.
@Suite(.timeLimit(.minutes(5))) struct ManyMachinesTests {
    private static let machines = 3
    private static let rounds = 4
    /// Sessions of each machine in each round.
    private static let each = 6

    /// In the end every session has its body, its index and exactly one row.
    @Test(arguments: StoreKind.writable) func everySessionHasOneRow(_ kind: StoreKind) throws {
        try MountWorld.with(kind, seconds: 280) { world in
            // Without conditions a row of the client goes when it comes between a machine's look and its write.
            world.extra = ["SESSIONFS_ROW_PATIENCE": "3"]
            world.options = ["-v", "--key-file", try world.keyFile(), "-o", "poll_interval=2s"]
            let machines = try (0..<Self.machines).map { try world.machine($0) }
            for machine in machines { try machine.mount() }
            var expected: Set<String> = []
            let client = world.bucket.client
            for round in 0..<Self.rounds {
                let copies = try machines.enumerated().map { place, machine in
                    let source = machine.root + "/source\(round)"
                    try Files.makePrivateDirectory(source)
                    for number in 0..<Self.each {
                        let seed = 1000 * place + 100 * round + number
                        let name = TestSession.fileName(seed, "m\(place)")
                        expected.insert(name)
                        try Posix.save(source + "/" + name, TestSession.bytes(seed, size: 20_000))
                    }
                    return try Child("cp", ["-r", source + "/.", machine.point + "/sessions"])
                }
                // Before it writes its view of the bucket, the client lists it and looks at every session: what the
                // machines write meanwhile is not in it.
                let name = TestSession.fileName(9000 + round, "client")
                expected.insert(name)
                try client.save(name, TestSession.bytes(9000 + round))
                for copy in copies {
                    let copied = copy.wait(seconds: 120)
                    #expect(copied.status == 0, "\(copied.errors)")
                }
            }
            for machine in machines { try machine.drain() }
            // What the client has overwritten comes back when the machines see that the file is another.
            for machine in machines { try machine.refresh() }
            var problems: [String] = []
            try world.eventually("every session has a row") {
                problems = try world.bucket.audit()
                return problems.isEmpty
            }
            #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
            #expect(try Set(world.bucket.names()) == expected)
            #expect(try client.list() == expected.sorted())
            for machine in machines {
                try machine.refresh()
                #expect(try Set(machine.sessions()) == expected)
                #expect(try machine.conflicts(all: true).isEmpty)
                #expect(try machine.queue().isEmpty)
            }
            let again = machines.map { $0.log.components(separatedBy: "lost rows are written again").count - 1 }
            print("\(kind.rawValue): rows were written again \(again.reduce(0, +)) times")
        }
    }
}
