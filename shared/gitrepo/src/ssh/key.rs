use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pilotage_secret::Secret;
use russh::keys::{Error as Keys, PrivateKey, decode_secret_key};

use crate::Error;

/// No private key is larger.
const MOST: u64 = 64 * 1024;

/// Reads a private key: OpenSSH's own format, PKCS#8 or PKCS#1, with any line ends. It is read anew for each connection,
/// so that a key which is renewed is taken.
pub(super) fn load(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey, Error> {
    let text = read(path)?;
    decode(&text, passphrase).map_err(|detail| unusable(path, detail))
}

fn unusable(path: &Path, detail: impl Into<String>) -> Error {
    Error::SshKey {
        path: path.display().to_string(),
        detail: detail.into(),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |error: std::io::Error| unusable(path, error.to_string());
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(unusable(path, "it is no file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(
            "the private key {path} may be read by others (mode {mode:04o}); run: chmod 600 {path}"
        );
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(unusable(path, "it is too large for a private key"));
    }
    String::from_utf8(bytes).map_err(|_| unusable(path, "it is not text, so it is no private key"))
}

fn decode(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKey, String> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if !trimmed.contains("PRIVATE KEY-----") {
        let public = ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|kind| trimmed.starts_with(kind));
        return Err(if public {
            "this is the public half; name the file without .pub".to_owned()
        } else {
            "there is no private key in it".to_owned()
        });
    }
    // Files from the stores of CI systems have lost their last newline, or come with those of another system, or indented.
    let lines: Vec<&str> = trimmed.lines().map(str::trim).collect();
    let text = format!("{}\n", lines.join("\n"));
    decode_secret_key(&text, passphrase.map(Secret::expose)).map_err(|error| match error {
        Keys::KeyIsEncrypted => {
            "it is encrypted; give PILOTAGE_SSH_PASSPHRASE (or PILOTAGE_SSH_PASSPHRASE_FILE)".to_owned()
        }
        error if passphrase.is_some() => {
            format!("the passphrase does not open it, or it is damaged ({error})")
        }
        error => format!("it is damaged or of an unknown kind ({error})"),
    })
}
