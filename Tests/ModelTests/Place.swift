import MountHarness
import Platform
import Testing

/// Where a run takes place, and how long it is by itself.
struct Place: CustomTestStringConvertible {
    var kind: StoreKind
    var machines: Int
    var steps: Int
    var testDescription: String { "\(kind.rawValue), \(machines) machines" }
}

/// What the environment asks of runs.
enum ModelWishes {
    static let steps = Environment.value("SESSIONFS_MODEL_STEPS").flatMap { Int($0) }
    static let shrinkingRuns = Environment.value("SESSIONFS_MODEL_SHRINK").flatMap { Int($0) } ?? 0
    /// What ends a run that hangs.
    static let minutes = 20 + (steps ?? 0) / 20 + 2 * shrinkingRuns

    static var seed: UInt64 {
        let wish = Environment.value("SESSIONFS_MODEL_SEED")
        return wish.flatMap { UInt64($0) } ?? (wish == "random" ? UInt64.random(in: 0...999_999_999) : 20_250_622)
    }

    static func chosen(_ places: [Place]) -> [Place] {
        guard let wish = Environment.value("SESSIONFS_MODEL_STORES") else { return places }
        let names = wish.split(separator: ",").map(String.init)
        // A run without a store would pass.
        precondition(
            names.allSatisfy { StoreKind(rawValue: $0) != nil },
            "SESSIONFS_MODEL_STORES: no such store")
        return places.filter { names.contains($0.kind.rawValue) }
    }
}
