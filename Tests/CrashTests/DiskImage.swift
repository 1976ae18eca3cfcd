import Foundation
import MountHarness
import Platform
import Testing

/// A disk of which a power cut leaves what has reached it, and nothing that only the kernel held in memory.
///
/// The filesystem lies in a file, by a loop device. Whatever the filesystem has written to its device is in that file, so
/// a copy of the file is the disk as it is found after a power cut at that moment.
final class DiskImage {
    enum Filesystem: String, CaseIterable, CustomTestStringConvertible {
        /// Journalled, as most machines have it: a synchronised file takes along most of what came before it.
        case ext4
        /// Writes what was asked for and not more: it forgives the fewest missing synchronisations.
        case btrfs

        var testDescription: String { rawValue }
    }

    private let image: String
    private let point: String
    /// Directories of the disk, by the place where they are seen.
    private var bound: [(place: String, directory: String)] = []

    /// Makes a disk and mounts it.
    /// - Parameter root: a directory of the test's own.
    init(_ filesystem: Filesystem, in root: String) throws {
        (image, point) = (root + "/disk.img", root + "/disk")
        try Files.makePrivateDirectory(point)
        try DiskImage.run("truncate", "-s", "192M", image)
        try DiskImage.run("/sbin/mkfs." + filesystem.rawValue, "-q", image)
        try mount()
    }

    /// Shows a directory of the disk at a place outside of it, which keeps what it holds.
    func carry(_ place: String) throws {
        let directory = point + "/" + (place as NSString).lastPathComponent
        try DiskImage.run("cp", "-a", place, directory)
        try DiskImage.run("sync", "-f", point)
        bound.append((place, directory))
        try DiskImage.run("mount", "--bind", directory, place)
    }

    /// The power goes, and comes back. Nobody may have a file of the disk open.
    func cut() throws {
        let found = image + ".found"
        try DiskImage.run("cp", "--sparse=always", image, found)
        try unmount()
        try Files.rename(found, to: image)
        try mount()
        for (place, directory) in bound { try DiskImage.run("mount", "--bind", directory, place) }
    }

    func unmount() throws {
        for (place, _) in bound.reversed() { try DiskImage.run("umount", place) }
        try DiskImage.run("umount", point)
    }

    /// The filesystem writes nothing by itself for longer than a test takes.
    private func mount() throws { try DiskImage.run("mount", "-o", "loop,commit=900", image, point) }

    private static func run(_ command: String...) throws {
        let result = Shell.run(command[0], Array(command.dropFirst()))
        try #require(result.status == 0, "\(command.joined(separator: " ")): \(result.errors)")
    }
}
