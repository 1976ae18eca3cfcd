internal import ObjectStore
internal import Platform

/// The keys or the credential process of a profile in AWS's shared files.
struct ProfileCredentials: CredentialsSource {
    /// Nil takes the environment's.
    let name: String?
    let environment: AWSEnvironment
    /// Seconds until a credential process is given up.
    var processTimeout = 60.0

    func load() async throws(StoreError) -> CredentialsLookup {
        let profile = try AWSProfile.load(name, environment: environment)
        // A role wins over keys beside it, which are for assuming the role.
        for key in ["role_arn", "sso_session", "sso_start_url", "login_session"] where profile.setting(key) != nil {
            throw .missingCredentials(
                "profile \(profile.name) uses \(key), which is not supported; name a profile with access keys or "
                    + "credential_process, for example: aws configure export-credentials --profile \(profile.name) "
                    + "--format process")
        }
        if let found = try keys(profile) { return found }
        if let (command, file) = profile.setting("credential_process") {
            let place = "credential_process of profile \(profile.name) in \(file)"
            let output = try await CredentialProcess.run(command, place: place, timeout: processTimeout)
            return .found(
                try CredentialsDocument.parse(output, tokenKey: "SessionToken", place: place), source: place)
        }
        return .absent("no keys for profile \(profile.name) in \(profile.files.joined(separator: " or "))")
    }

    private func keys(_ profile: AWSProfile) throws(StoreError) -> CredentialsLookup? {
        let id = profile.setting("aws_access_key_id")
        let secret = profile.setting("aws_secret_access_key")
        guard let (value, file) = id ?? secret else { return nil }
        guard let id, let secret else {
            let (present, absent) =
                id == nil
                ? ("aws_secret_access_key", "aws_access_key_id") : ("aws_access_key_id", "aws_secret_access_key")
            throw .missingCredentials("profile \(profile.name) in \(file) has \(present) and no \(absent)")
        }
        // A token beside keys of the other file belongs to other keys.
        let token = profile.setting("aws_session_token").flatMap { $0.file == file ? Secret($0.value) : nil }
        return .found(
            AWSCredentials(accessKeyID: Secret(value), secretAccessKey: Secret(secret.value), sessionToken: token),
            source: "profile \(profile.name) in \(id.file)")
    }
}
