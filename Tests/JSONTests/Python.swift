import Foundation
import Testing

/// Runs Python, the reference that FastShot's formats are defined by, and returns the lines of its output.
///
/// A missing or failing python3 fails the test: without it nothing is proved.
func pythonLines(_ script: String, arguments: [String] = []) throws -> [String] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "python3 is missing or failed")
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
}

/// The bytes behind base64 in a line of Python's output.
func bytes(base64 text: some StringProtocol) throws -> [UInt8] {
    [UInt8](try #require(Data(base64Encoded: String(text))))
}
