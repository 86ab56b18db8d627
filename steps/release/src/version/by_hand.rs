//! The same by hand, for a person who signs with a key that this step does not have.

use pilotage_command_line::quoted;

use super::VersionRequest;

/// What would let the version pass where the policy wants its commit signed.
pub(super) fn signed(request: &VersionRequest, path: &str, branch: &str) -> Vec<String> {
    let VersionRequest {
        environment,
        service,
        version,
        ..
    } = request;
    let branch = quoted(branch);
    vec![
        "the same command with `--signing-key FILE`, a private SSH key whose public half stands under `people`".to_owned(),
        format!("or by hand: git fetch origin && git switch {branch} && git merge --ff-only origin/{branch}"),
        format!("            write `version: \"{version}\"` into {}", quoted(path)),
        format!(
            "            git commit -S -m {} {}",
            quoted(&format!("Release {service} {version} in {environment}")),
            quoted(path)
        ),
        format!("            git push origin {branch}"),
    ]
}
