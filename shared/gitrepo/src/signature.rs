use std::fmt;

use git2::ErrorCode;
use jiff::Timestamp;
use pilotage_name::CommitId;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::openpgp::Certificate;
use crate::{Error, Repository, SignatureKind};

/// What `git` names as the purpose of its SSH signatures, so that a signature made for something else does not count.
const NAMESPACE: &str = "git";

/// RSA keys below this many bits prove nothing.
const RSA_BITS: usize = 2048;

/// Why a text is no key; reads well after "key 2 of ana: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither an `authorized_keys` line nor an armored OpenPGP key.
    #[error("it is neither an SSH public key line (`ssh-ed25519 AAAA…`) nor an armored OpenPGP public key")]
    Unrecognised,
    /// An SSH key that cannot be read.
    #[error("the SSH key cannot be read: {0}")]
    Ssh(String),
    /// An OpenPGP key that cannot be read.
    #[error("the OpenPGP key cannot be read: {0}")]
    OpenPgp(String),
}

/// What a commit's signature is worth against a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// One of the keys made it, and the key may sign.
    Good {
        /// Which of the keys given, counted from 0.
        index: usize,
        /// The key's fingerprint: `SHA256:…` of an SSH key, hexadecimal digits of an OpenPGP key.
        fingerprint: String,
    },
    /// There is a signature, by none of the keys.
    UnknownKey {
        /// The fingerprint or key id that the signature names.
        fingerprint: String,
    },
    /// There is a signature that proves nothing, with the reason.
    Bad(String),
    /// There is no signature.
    None,
}

/// Public keys that signatures are checked against.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    texts: Vec<String>,
    ssh: Vec<(usize, PublicKey)>,
    openpgp: Vec<(usize, Certificate)>,
}

impl TrustedKeys {
    /// Reads keys: lines as in `authorized_keys` (`ssh-ed25519 AAAA… comment`) or armored OpenPGP public keys. The
    /// position of a key is what a good verdict names.
    pub fn parse<S: AsRef<str>>(keys: &[S]) -> Result<Self, KeyError> {
        let mut trusted = Self::default();
        for (index, text) in keys.iter().enumerate() {
            let text = text.as_ref().trim();
            trusted.texts.push(text.to_owned());
            if text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
                trusted.openpgp.push((index, Certificate::parse(text)?));
            } else if ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                let key = PublicKey::from_openssh(text).map_err(|error| KeyError::Ssh(error.to_string()))?;
                trusted.ssh.push((index, key));
            } else {
                return Err(KeyError::Unrecognised);
            }
        }
        Ok(trusted)
    }

    /// The keys as they were given.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ssh.is_empty() && self.openpgp.is_empty()
    }
}

/// A private SSH key that signs commits; cannot be printed.
pub struct SigningKey(PrivateKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([secret])")
    }
}

impl SigningKey {
    /// Reads an unencrypted private key in OpenSSH's format.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_openssh(text).map_err(|error| KeyError::Ssh(error.to_string()))?;
        if key.is_encrypted() {
            return Err(KeyError::Ssh("it has a passphrase".to_owned()));
        }
        Ok(Self(key))
    }

    /// The public half as an `authorized_keys` line.
    #[must_use]
    pub fn public_line(&self) -> String {
        self.0.public_key().to_openssh().unwrap_or_default()
    }

    /// The armored signature of a commit's content.
    pub(crate) fn sign(&self, content: &[u8]) -> Result<String, Error> {
        let signed = self.0.sign(NAMESPACE, HashAlg::Sha512, content);
        signed
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|error| Error::Signing {
                detail: error.to_string(),
            })
    }
}

impl Repository {
    /// Checks the signature of a commit against `keys`, as of the moment `at`. Only what the commit's own bytes prove
    /// counts; names and addresses inside keys are not looked at.
    pub fn verify_signature(
        &self,
        commit: &CommitId,
        keys: &TrustedKeys,
        at: Timestamp,
    ) -> Result<SignatureVerdict, Error> {
        self.find_commit(commit)?;
        let (signature, content) = match self.git.extract_signature(&self.oid(commit)?, None) {
            Ok(parts) => parts,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(SignatureVerdict::None),
            Err(error) => return Err(self.failed("read a signature", error)),
        };
        Ok(match kind(&signature) {
            SignatureKind::Ssh => verify_ssh(&signature, &content, keys),
            SignatureKind::OpenPgp => crate::openpgp::verify(&signature, &content, &keys.openpgp, at),
            SignatureKind::Other => {
                SignatureVerdict::Bad("it is neither an SSH nor an OpenPGP signature".to_owned())
            }
        })
    }

    pub(crate) fn signature_kind(&self, commit: &git2::Commit<'_>) -> Option<SignatureKind> {
        commit
            .header_field_bytes("gpgsig")
            .ok()
            .map(|signature| kind(&signature))
    }
}

fn kind(signature: &[u8]) -> SignatureKind {
    let text = signature.trim_ascii_start();
    if text.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        SignatureKind::Ssh
    } else if text.starts_with(b"-----BEGIN PGP SIGNATURE-----") {
        SignatureKind::OpenPgp
    } else {
        SignatureKind::Other
    }
}

fn verify_ssh(signature: &[u8], content: &[u8], keys: &TrustedKeys) -> SignatureVerdict {
    let signature = match SshSig::from_pem(signature) {
        Ok(signature) => signature,
        Err(error) => return SignatureVerdict::Bad(format!("it cannot be read: {error}")),
    };
    let fingerprint = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
    // The key inside the signature is only a claim: it selects which of ours has to verify.
    let Some((index, key)) = keys
        .ssh
        .iter()
        .find(|(_, key)| key.key_data() == signature.public_key())
    else {
        return SignatureVerdict::UnknownKey { fingerprint };
    };
    if signature.namespace() != NAMESPACE {
        return SignatureVerdict::Bad("it was made for another purpose than git".to_owned());
    }
    if matches!(signature.signature().algorithm(), Algorithm::Rsa { hash: None }) {
        return SignatureVerdict::Bad("it uses SHA-1".to_owned());
    }
    if let Some(rsa) = key.key_data().rsa()
        && rsa
            .n
            .as_positive_bytes()
            .is_none_or(|bytes| bytes.len() * 8 < RSA_BITS)
    {
        return SignatureVerdict::Bad(format!("its RSA key has fewer than {RSA_BITS} bits"));
    }
    match key.verify(NAMESPACE, content, &signature) {
        Ok(()) => SignatureVerdict::Good {
            index: *index,
            fingerprint,
        },
        Err(_) => SignatureVerdict::Bad("it does not belong to this commit".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised_or_refused_by_kind() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti ana@example.com";
        assert!(!TrustedKeys::parse(&[line]).unwrap().is_empty());
        assert_eq!(
            TrustedKeys::parse(&["hello"]).unwrap_err(),
            KeyError::Unrecognised
        );
        assert!(matches!(
            TrustedKeys::parse(&["ssh-ed25519 AAAA"]),
            Err(KeyError::Ssh(_))
        ));
        let broken = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----";
        assert!(matches!(TrustedKeys::parse(&[broken]), Err(KeyError::OpenPgp(_))));
        assert!(TrustedKeys::parse::<&str>(&[]).unwrap().is_empty());
    }
}
