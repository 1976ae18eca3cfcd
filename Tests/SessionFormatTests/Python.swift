import Foundation
import Testing

/// Runs Python, the reference that FastShot's formats are defined by, and returns the lines of its output.
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

func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
