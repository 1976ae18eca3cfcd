import Foundation
import MountHarness
import Platform
import Testing

extension MountWorld {
    /// The daemon dies while files are open: one that is edited, one that was synchronised, and one that never was. After
    /// `cut` and a new mount there is what was synchronised or sent, and nothing else.
    func expectOpenFilesOutlived(cut: () throws -> Void = {}) throws {
        try mount()
        let names = (0..<3).map { TestSession.fileName($0) }
        try save(names[0], TestSession.bytes(0))
        try drain()
        // A program that is started meanwhile would inherit the files and close them, which accepts what was written.
        let daemon = try daemon()
        let edited = try OpenedFile(body(names[0]), O_RDWR)
        try edited.write(TestSession.bytes(10), at: 0)
        let synchronised = try OpenedFile(body(names[1]), O_WRONLY | O_CREAT)
        try synchronised.write(TestSession.bytes(1), at: 0)
        try synchronised.synchronize()
        let fresh = try OpenedFile(body(names[2]), O_WRONLY | O_CREAT)
        try fresh.write(TestSession.bytes(2), at: 0)
        kill(daemon, SIGKILL)
        try eventuallyGone(daemon)
        try? edited.close()
        try? synchronised.close()
        try? fresh.close()
        try cut()
        try mount()
        #expect(try sessions() == [names[0], names[1]])
        try drain()
        #expect(try bucket.bodies() == [names[0]: TestSession.bytes(0), names[1]: TestSession.bytes(1)])
        try bucket.expectClean()
    }
}
