import Foundation
import MountHarness
import Platform
import Testing

/// Random work of several machines and a FastShot client on one bucket.
///
/// The seed is printed; `SESSIONFS_MODEL_SEED` repeats a run (as far as daemons that work at the same time can be
/// repeated) or, with `random`, draws one; `SESSIONFS_MODEL_STEPS` makes it longer. Without them a run is always the
/// same: whether a change is good is not left to luck.
@Suite(.timeLimit(.minutes(20))) struct ModelRuns {
    struct Place: CustomTestStringConvertible {
        var kind: StoreKind
        var machines: Int
        var steps: Int
        var testDescription: String { "\(kind.rawValue), \(machines) machines" }
    }

    static let places = [
        Place(kind: .directory, machines: 2, steps: 120), Place(kind: .ministack, machines: 3, steps: 100),
        Place(kind: .ceph, machines: 2, steps: 60), Place(kind: .openStackSwift, machines: 2, steps: 50),
    ]

    @Test(arguments: places) func everythingIsAsInTheReference(_ place: Place) throws {
        try run(place) { world, seed, steps in
            try Model(world, machines: place.machines, seed: seed).run(steps: steps)
        }
    }

    static let contested = [
        Place(kind: .directory, machines: 3, steps: 80), Place(kind: .ministack, machines: 2, steps: 60),
    ]

    @Test(arguments: contested) func allAgreeOnContestedNames(_ place: Place) throws {
        try run(place) { world, seed, steps in
            try SharedNames(world, machines: place.machines, seed: seed).run(steps: steps)
        }
    }

    private func run(_ place: Place, _ body: (MountWorld, _ seed: UInt64, _ steps: Int) throws -> Void) throws {
        let wish = Environment.value("SESSIONFS_MODEL_SEED")
        let seed = wish.flatMap { UInt64($0) } ?? (wish == "random" ? UInt64.random(in: 0...999_999_999) : 20_250_622)
        let steps = Environment.value("SESSIONFS_MODEL_STEPS").flatMap { Int($0) } ?? place.steps
        print("model: SESSIONFS_MODEL_SEED=\(seed) SESSIONFS_MODEL_STEPS=\(steps) on \(place.testDescription)")
        try MountWorld.with(place.kind, seconds: max(600, steps * 4)) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=2s"]
            try body(world, seed, steps)
        }
    }
}
