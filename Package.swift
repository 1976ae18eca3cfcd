// swift-tools-version: 6.2
// Layers are listed bottom to top; a target may import only what stands above it in this file
// (`.ci/check-imports` enforces it, transitive imports included).
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A C library of the system: a module map and a header of static inlines for macros and variadics.
func cLibrary(_ name: String, pkgConfig: String?, debian: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([debian])])
}

func layer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "sessionfs",
    products: [.executable(name: "sessionfs", targets: ["sessionfs"])],
    targets: [
        cLibrary("CSystem", pkgConfig: nil, debian: "libc6-dev"),
        cLibrary("COpenSSL", pkgConfig: "libcrypto", debian: "libssl-dev"),
        cLibrary("CZlib", pkgConfig: "zlib", debian: "zlib1g-dev"),
        cLibrary("CExpat", pkgConfig: "expat", debian: "libexpat1-dev"),
        cLibrary("CCurl", pkgConfig: "libcurl", debian: "libcurl4-openssl-dev"),
        cLibrary("CSQLite", pkgConfig: "sqlite3", debian: "libsqlite3-dev"),
        cLibrary("CFuse", pkgConfig: "fuse3", debian: "libfuse3-dev"),
        cLibrary("CMicroHTTPD", pkgConfig: "libmicrohttpd", debian: "libmicrohttpd-dev"),

        layer("Digests", ["COpenSSL"]),
        layer("JSON", []),
        layer("SessionFormat", ["JSON", "Digests"]),
        layer("Platform", ["CSystem"]),
        layer("Operations", ["Platform", "JSON"]),
        layer("ObjectStore", ["Platform", "Digests"]),
        layer("CloudStores", ["ObjectStore", "Platform", "JSON", "Digests", "CCurl", "CExpat", "COpenSSL"]),
        layer("SampleStore", ["SessionFormat", "ObjectStore", "Platform", "JSON", "Digests", "CZlib"]),
        layer("Catalog", ["SessionFormat", "Platform", "JSON", "Digests", "CSQLite"]),
        layer(
            "SessionCache",
            ["ObjectStore", "Catalog", "SessionFormat", "Operations", "Platform", "JSON", "Digests", "CSystem"]),
        layer(
            "Sync",
            ["SessionCache", "Catalog", "ObjectStore", "SessionFormat", "Operations", "Platform", "JSON", "Digests"]),
        layer("FileTree", ["Catalog", "SessionCache", "SessionFormat", "Platform"]),
        layer("FuseBridge", ["FileTree", "Platform", "CFuse"]),
        layer("Control", ["Operations", "Platform", "JSON", "Digests", "CMicroHTTPD", "CCurl"]),
        layer(
            "MountService",
            [
                "FuseBridge", "FileTree", "Control", "Sync", "SessionCache", "Catalog", "CloudStores", "ObjectStore",
                "SessionFormat", "Operations", "Platform", "JSON", "Digests", "SampleStore",
            ]),
        .executableTarget(
            name: "sessionfs",
            dependencies: [
                "MountService", "Control", "Operations", "Sync", "Catalog", "SessionFormat", "ObjectStore",
                "SampleStore", "Platform", "JSON",
            ],
            swiftSettings: settings),

        tests("CatalogTests", ["Catalog", "SessionFormat", "Platform", "CSQLite"]),
        tests("ControlTests", ["Control", "Operations", "Platform", "JSON"]),
        tests(
            "MountServiceTests",
            [
                "MountService", "Control", "Sync", "SessionCache", "SampleStore", "ObjectStore", "SessionFormat",
                "Platform", "JSON",
            ]),
        tests("JSONTests", ["JSON"]),
        tests("CloudStoresTests", ["CloudStores", "ObjectStore", "Platform", "JSON", "Digests", "TestSupport"]),
        tests("DigestsTests", ["Digests"]),
        tests("SessionFormatTests", ["SessionFormat", "JSON", "Digests", "TestSupport"]),
        tests(
            "SessionCacheTests",
            [
                "SessionCache", "Catalog", "ObjectStore", "SessionFormat", "Operations", "Platform", "Digests",
                "TestSupport",
            ]),
        tests(
            "FileTreeTests",
            ["FileTree", "Catalog", "SessionCache", "ObjectStore", "Operations", "SessionFormat", "Platform"]),
        tests("SampleStoreTests", ["SampleStore", "SessionFormat", "ObjectStore", "Platform", "JSON", "Digests"]),
        .target(
            name: "TestSupport", dependencies: ["ObjectStore", "Platform", "Digests"], path: "Tests/TestSupport",
            swiftSettings: settings),
        tests("MountHelperTests", ["TestSupport"]),
        tests("TestSupportTests", ["TestSupport"]),
        tests("PlatformTests", ["Platform", "TestSupport"]),
        tests("OperationsTests", ["Operations", "JSON"]),
        tests("ObjectStoreTests", ["ObjectStore", "Platform", "TestSupport"]),
        tests("StoreConformanceTests", ["CloudStores", "ObjectStore", "Platform", "TestSupport"]),
        tests(
            "SyncTests",
            [
                "Sync", "SessionCache", "Catalog", "ObjectStore", "SessionFormat", "Operations", "Platform", "JSON",
                "Digests", "TestSupport", "CSQLite", "CloudStores",
            ]),
        tests("FuseBridgeTests", ["FuseBridge", "FileTree"]),
        .target(
            name: "MountHarness", dependencies: ["Platform", "TestSupport"], path: "Tests/MountHarness",
            swiftSettings: settings),
        tests("MountTests", ["sessionfs", "MountHarness", "Platform", "TestSupport"]),
        tests("WritingTests", ["sessionfs", "MountHarness", "Platform", "TestSupport"]),
        tests("CrashTests", ["sessionfs", "MountHarness", "Platform"]),
        tests("NetworkTests", ["sessionfs", "MountHarness", "Platform", "TestSupport"]),
        tests("ModelTests", ["sessionfs", "MountHarness", "Platform"]),
        tests("DocsTests", ["sessionfs", "MountService", "FuseBridge", "FileTree"]),
    ]
)
