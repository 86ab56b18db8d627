use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use pilotage_gitrepo::{
    Edit, NewCommit, Repository, SignatureKind, SignatureVerdict, SigningKey, TrustedKeys,
};
use pilotage_name::CommitId;
use pilotage_tests::gitserver::{EPOCH, git, git_command};

use crate::world::{World, ana, id};

fn now() -> Timestamp {
    Timestamp::from_second(EPOCH + 3600).unwrap()
}

/// A clone in which git itself signs commits.
struct Signed {
    world: World,
    clone: std::path::PathBuf,
}

impl Signed {
    fn new() -> Self {
        let world = World::new();
        let clone = world.directory.path().join("clone");
        git(
            world.directory.path(),
            &["init", "--quiet", "--initial-branch=qa", "clone"],
        );
        Self { world, clone }
    }

    fn ssh_key(&self, name: &str, kind: &[&str]) -> (String, String) {
        let path = self.world.directory.path().join(name);
        let status = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", "ana@example.com", "-f"])
            .arg(&path)
            .args(kind)
            .stdin(Stdio::null())
            .status()
            .expect("ssh-keygen runs");
        assert!(status.success());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        (path.to_str().unwrap().to_owned(), public)
    }

    fn commit_with(&self, settings: &[&str]) -> CommitId {
        let mut args: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        args.extend([
            "commit",
            "--quiet",
            "--allow-empty",
            "-S",
            "-m",
            "Signed\n\nStorm: 3",
        ]);
        let output = git_command(&self.clone)
            .env("GNUPGHOME", self.gnupg())
            .args(&args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        id(&git(&self.clone, &["rev-parse", "HEAD"]))
    }

    fn ssh_commit(&self, key: &str) -> CommitId {
        self.commit_with(&["gpg.format=ssh", &format!("user.signingkey={key}")])
    }

    fn gnupg(&self) -> std::path::PathBuf {
        let path = self.world.directory.path().join("gnupg");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn gpg(&self, args: &[&str]) -> String {
        let output = Command::new("gpg")
            .env("GNUPGHOME", self.gnupg())
            .args([
                "--batch",
                "--yes",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("gpg runs");
        assert!(
            output.status.success(),
            "gpg {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn repository(&self) -> Repository {
        Repository::open(&self.clone).unwrap()
    }

    fn verdict(&self, commit: &CommitId, keys: &[&str]) -> SignatureVerdict {
        self.verdict_at(commit, keys, now())
    }

    fn verdict_at(&self, commit: &CommitId, keys: &[&str], at: Timestamp) -> SignatureVerdict {
        let keys = TrustedKeys::parse(keys).unwrap();
        self.repository().verify_signature(commit, &keys, at).unwrap()
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        // gpg leaves an agent behind that would outlive the test.
        drop(
            Command::new("gpgconf")
                .env("GNUPGHOME", self.world.directory.path().join("gnupg"))
                .args(["--kill", "all"])
                .stderr(Stdio::null())
                .status(),
        );
    }
}

/// Writes the commit object again with other content and the same signature.
fn tampered(repository: &Path, commit: &CommitId) -> CommitId {
    let object = git(repository, &["cat-file", "commit", commit.as_str()]);
    let file = repository.join("tampered");
    std::fs::write(&file, object.replace("Storm: 3", "Storm: 9") + "\n").unwrap();
    id(&git(
        repository,
        &["hash-object", "-t", "commit", "-w", file.to_str().unwrap()],
    ))
}

#[test]
fn ssh_signatures_of_git_are_verified() {
    let signed = Signed::new();
    let kinds: [&[&str]; 3] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "rsa", "-b", "2048"],
    ];
    let (_, stranger) = signed.ssh_key("stranger", &["-t", "ed25519"]);
    for (number, kind) in kinds.iter().enumerate() {
        let (private, public) = signed.ssh_key(&format!("key-{number}"), kind);
        let commit = signed.ssh_commit(&private);
        assert_eq!(
            signed.repository().commit(&commit).unwrap().signature,
            Some(SignatureKind::Ssh)
        );
        let good = signed.verdict(&commit, &[&stranger, &public]);
        assert!(
            matches!(&good, SignatureVerdict::Good { index: 1, fingerprint } if fingerprint.starts_with("SHA256:")),
            "{kind:?}: {good:?}"
        );
        assert!(matches!(
            signed.verdict(&commit, &[&stranger]),
            SignatureVerdict::UnknownKey { .. }
        ));
        assert!(matches!(
            signed.verdict(&commit, &[]),
            SignatureVerdict::UnknownKey { .. }
        ));
        let forged = tampered(&signed.clone, &commit);
        assert!(
            matches!(signed.verdict(&forged, &[&public]), SignatureVerdict::Bad(_)),
            "{kind:?}"
        );
    }
}

#[test]
fn an_ssh_signature_for_another_purpose_does_not_count() {
    let signed = Signed::new();
    let (private, public) = signed.ssh_key("key", &["-t", "ed25519"]);
    let commit = signed.ssh_commit(&private);
    let object = git(&signed.clone, &["cat-file", "commit", commit.as_str()]);
    let start = object.find("gpgsig ").unwrap();
    let end = object.find("-----END SSH SIGNATURE-----\n").unwrap() + "-----END SSH SIGNATURE-----\n".len();
    let content = format!("{}{}\n", &object[..start], &object[end..]);
    let file = signed.world.directory.path().join("content");
    std::fs::write(&file, &content).unwrap();
    for (namespace, good) in [("git", true), ("file", false)] {
        drop(std::fs::remove_file(file.with_extension("sig")));
        let status = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f", &private])
            .arg(&file)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let signature = std::fs::read_to_string(file.with_extension("sig")).unwrap();
        let folded = signature.trim_end().replace('\n', "\n ");
        let signed_object = format!("{}gpgsig {folded}\n{}\n", &object[..start], &object[end..]);
        let whole = signed.world.directory.path().join("whole");
        std::fs::write(&whole, signed_object).unwrap();
        let commit = id(&git(
            &signed.clone,
            &["hash-object", "-t", "commit", "-w", whole.to_str().unwrap()],
        ));
        let verdict = signed.verdict(&commit, &[&public]);
        assert_eq!(
            matches!(verdict, SignatureVerdict::Good { .. }),
            good,
            "{namespace}: {verdict:?}"
        );
    }
}

#[test]
fn our_own_ssh_signatures_satisfy_git_and_us() {
    let signed = Signed::new();
    let (private, public) = signed.ssh_key("key", &["-t", "ed25519"]);
    let key = SigningKey::from_openssh(&std::fs::read_to_string(&private).unwrap()).unwrap();
    assert!(!format!("{key:?}").contains("PRIVATE"));
    let ana = ana();
    let commit = signed
        .repository()
        .write_commit(&NewCommit {
            base: None,
            edits: &[Edit::write("event.json", "{}")],
            parents: &[],
            author: &ana,
            committer: &ana,
            message: "Begin",
            sign: Some(&key),
        })
        .unwrap();
    assert!(matches!(
        signed.verdict(&commit, &[&key.public_line()]),
        SignatureVerdict::Good { index: 0, .. }
    ));
    let allowed = signed.world.directory.path().join("allowed");
    std::fs::write(&allowed, format!("ana@example.com {public}")).unwrap();
    let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    git(
        &signed.clone,
        &[
            "-c",
            "gpg.format=ssh",
            "-c",
            &setting,
            "verify-commit",
            commit.as_str(),
        ],
    );
    git(&signed.clone, &["fsck", "--strict"]);
}

#[test]
fn an_unsigned_commit_and_a_strange_signature_are_told() {
    let signed = Signed::new();
    git(
        &signed.clone,
        &["commit", "--quiet", "--allow-empty", "-m", "Plain"],
    );
    let plain = id(&git(&signed.clone, &["rev-parse", "HEAD"]));
    assert_eq!(signed.verdict(&plain, &[]), SignatureVerdict::None);
    let object = git(&signed.clone, &["cat-file", "commit", plain.as_str()]);
    for (signature, kind) in [
        (
            "-----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----",
            SignatureKind::Ssh,
        ),
        (
            "-----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----",
            SignatureKind::OpenPgp,
        ),
        (
            "-----BEGIN SIGNED MESSAGE-----\n AAAA\n -----END SIGNED MESSAGE-----",
            SignatureKind::Other,
        ),
    ] {
        let file = signed.clone.join("object");
        std::fs::write(
            &file,
            object.replacen("\n\n", &format!("\ngpgsig {signature}\n\n"), 1) + "\n",
        )
        .unwrap();
        let commit = id(&git(
            &signed.clone,
            &[
                "hash-object",
                "-t",
                "commit",
                "-w",
                "--literally",
                file.to_str().unwrap(),
            ],
        ));
        assert_eq!(signed.repository().commit(&commit).unwrap().signature, Some(kind));
        assert!(
            matches!(signed.verdict(&commit, &[]), SignatureVerdict::Bad(_)),
            "{kind:?}"
        );
    }
}

#[test]
fn openpgp_signatures_of_git_are_verified() {
    let signed = Signed::new();
    signed.gpg(&[
        "--faked-system-time",
        "20251201T000000!",
        "--quick-generate-key",
        "Ana <ana@example.com>",
        "ed25519",
        "sign",
        "never",
    ]);
    signed.gpg(&[
        "--faked-system-time",
        "20251201T000000!",
        "--quick-generate-key",
        "Eve <eve@example.com>",
        "ed25519",
        "sign",
        "never",
    ]);
    let ana = signed.gpg(&["--armor", "--export", "ana@example.com"]);
    let eve = signed.gpg(&["--armor", "--export", "eve@example.com"]);
    let commit = signed.commit_with(&["user.signingkey=ana@example.com"]);
    let at = Timestamp::from_second(1_900_000_000).unwrap();
    assert_eq!(
        signed.repository().commit(&commit).unwrap().signature,
        Some(SignatureKind::OpenPgp)
    );
    let good = signed.verdict_at(&commit, &[&eve, &ana], at);
    assert!(
        matches!(good, SignatureVerdict::Good { index: 1, .. }),
        "{good:?}"
    );
    assert!(matches!(
        signed.verdict_at(&commit, &[&eve], at),
        SignatureVerdict::UnknownKey { .. }
    ));
    let forged = tampered(&signed.clone, &commit);
    assert!(matches!(
        signed.verdict_at(&forged, &[&ana], at),
        SignatureVerdict::Bad(_)
    ));
    let early = signed.verdict_at(
        &commit,
        &[&ana],
        Timestamp::from_second(EPOCH - 90 * 86400).unwrap(),
    );
    assert!(
        matches!(&early, SignatureVerdict::Bad(reason) if reason.contains("future")),
        "{early:?}"
    );
}

#[test]
fn openpgp_subkeys_expiry_revocation_and_flags_are_respected() {
    let signed = Signed::new();
    let born = ["--faked-system-time", "20251201T000000!"];
    let with = |args: &[&str]| signed.gpg(&[&born[..], args].concat());
    with(&[
        "--quick-generate-key",
        "Ana <ana@example.com>",
        "ed25519",
        "cert",
        "never",
    ]);
    let listed = signed.gpg(&["--with-colons", "--list-keys", "ana@example.com"]);
    let primary = listed
        .lines()
        .find_map(|line| line.strip_prefix("fpr:"))
        .unwrap()
        .trim_matches(':')
        .to_owned();
    with(&["--quick-add-key", &primary, "ed25519", "sign", "2030-01-01"]);
    let commit = signed.commit_with(&["user.signingkey=ana@example.com"]);
    let armored = signed.gpg(&["--armor", "--export", "ana@example.com"]);
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let (before, after) = (at(1_890_000_000), at(1_895_000_000));
    let good = signed.verdict_at(&commit, &[&armored], before);
    assert!(
        matches!(&good, SignatureVerdict::Good { fingerprint, .. } if fingerprint.eq_ignore_ascii_case(&primary)),
        "{good:?}"
    );
    let expired = signed.verdict_at(&commit, &[&armored], after);
    assert!(
        matches!(&expired, SignatureVerdict::Bad(reason) if reason.contains("expired")),
        "{expired:?}"
    );

    // gpg keeps a ready revocation certificate beside every key it makes.
    let certificate = signed.gnupg().join(format!("openpgp-revocs.d/{primary}.rev"));
    let text = std::fs::read_to_string(&certificate)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    let start = text.find("-----BEGIN").unwrap();
    let file = signed.world.directory.path().join("revocation");
    std::fs::write(&file, &text[start..]).unwrap();
    signed.gpg(&["--import", file.to_str().unwrap()]);
    let revoked = signed.gpg(&["--armor", "--export", "ana@example.com"]);
    let verdict = signed.verdict_at(&commit, &[&revoked], before);
    assert!(
        matches!(&verdict, SignatureVerdict::Bad(reason) if reason.contains("revoked")),
        "{verdict:?}"
    );
}
