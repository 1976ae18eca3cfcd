import Glibc
import MountService
import Platform

// Before the first thread starts: threads inherit the signal mask and share the allocator's arenas.
Memory.preferSmallFootprint()
Signals.ignoreBrokenPipes()
exit(Program.run(Array(CommandLine.arguments.dropFirst())).rawValue)
