//! OpenPGP signatures over commits (RFC 9580). The library checks the mathematics; which key may sign, and when, is
//! decided here.

use std::io::Cursor;

use jiff::Timestamp;
use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::KeyDetails;

use crate::{KeyError, SignatureVerdict};

/// How far a signer's clock may be ahead of ours, in seconds.
const AHEAD: i64 = 24 * 60 * 60;

/// A person's OpenPGP key: a primary key with its subkeys.
#[derive(Clone, Debug)]
pub(crate) struct Certificate(SignedPublicKey);

impl Certificate {
    pub(crate) fn parse(armored: &str) -> Result<Self, KeyError> {
        match SignedPublicKey::from_armor_single(Cursor::new(armored)) {
            Ok((key, _)) => Ok(Self(key)),
            Err(error) => Err(KeyError::OpenPgp(error.to_string())),
        }
    }
}

/// One key of a certificate that could have made a signature.
enum Signer<'a> {
    Primary,
    Subkey(&'a SignedPublicSubKey),
}

/// Checks an armored detached signature over `content` as of the moment `at`.
pub(crate) fn verify(
    armored: &[u8],
    content: &[u8],
    certificates: &[(usize, Certificate)],
    at: Timestamp,
) -> SignatureVerdict {
    let bad = |reason: &str| SignatureVerdict::Bad(reason.to_owned());
    let parsed =
        DetachedSignature::from_armor_many(Cursor::new(armored)).map(|(all, _)| all.collect::<Vec<_>>());
    let signature = match parsed {
        Ok(mut all) => match (all.pop(), all.is_empty()) {
            (Some(Ok(signature)), true) => signature.signature,
            (Some(_), false) => return bad("it holds several signatures"),
            (Some(Err(error)), _) => return SignatureVerdict::Bad(format!("it cannot be read: {error}")),
            (None, _) => return bad("it is empty"),
        },
        Err(error) => return SignatureVerdict::Bad(format!("it cannot be read: {error}")),
    };
    if signature.typ() != Some(SignatureType::Binary) {
        return bad("it is not a signature over a document");
    }
    let weak = [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Ripemd160];
    if signature.hash_alg().is_none_or(|hash| weak.contains(&hash)) {
        return bad("it uses a broken hash");
    }
    let mut named = false;
    for (index, Certificate(key)) in certificates {
        let subkeys = key.public_subkeys.iter().map(Signer::Subkey);
        for signer in std::iter::once(Signer::Primary).chain(subkeys) {
            let made = match &signer {
                Signer::Primary => {
                    names(&signature, &key.primary_key).then(|| signature.verify(&key.primary_key, content))
                }
                Signer::Subkey(subkey) => {
                    names(&signature, &subkey.key).then(|| signature.verify(&subkey.key, content))
                }
            };
            match made {
                None => {}
                // A key id of eight bytes is easily made to collide, so another key of that name may still fit.
                Some(Err(_)) => named = true,
                Some(Ok(())) => {
                    return match may_sign(key, &signer, &signature, at.as_second()) {
                        Ok(()) => SignatureVerdict::Good {
                            index: *index,
                            fingerprint: key.fingerprint().to_string(),
                        },
                        Err(reason) => SignatureVerdict::Bad(reason),
                    };
                }
            }
        }
    }
    if named {
        return bad("it does not belong to this commit");
    }
    SignatureVerdict::UnknownKey {
        fingerprint: issuer(&signature),
    }
}

/// Whether the signature says that this key made it; one that names nobody could be anybody's.
fn names(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    let ids = signature.issuer_key_id();
    if fingerprints.is_empty() && ids.is_empty() {
        return true;
    }
    let fingerprint = key.fingerprint();
    let id = key.legacy_key_id();
    fingerprints.into_iter().any(|named| *named == fingerprint) || ids.into_iter().any(|named| *named == id)
}

fn issuer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return fingerprint.to_string();
    }
    signature
        .issuer_key_id()
        .first()
        .map_or_else(|| "unnamed".to_owned(), ToString::to_string)
}

/// Whether the key had the right to make the signature, and has it at `at` (in seconds).
fn may_sign(
    key: &SignedPublicKey,
    signer: &Signer<'_>,
    signature: &Signature,
    at: i64,
) -> Result<(), String> {
    let Some(made) = signature.created().map(|created| i64::from(created.as_secs())) else {
        return Err("it does not say when it was made".to_owned());
    };
    if made > at.saturating_add(AHEAD) {
        return Err(format!("it is dated {}, which is in the future", day(made)));
    }
    if let Some(lasts) = signature.signature_expiration_time()
        && lasts.as_secs() != 0
        && made + i64::from(lasts.as_secs()) <= at
    {
        return Err("the signature itself has expired".to_owned());
    }
    // A key that is no longer valid proves nothing about older signatures either: who has it can backdate.
    let now = at.max(made);
    let revoked = key.details.revocation_signatures.iter().any(|revocation| {
        revocation.typ() == Some(SignatureType::KeyRevocation)
            && revocation.verify_key(&key.primary_key).is_ok()
    });
    if revoked {
        return Err("the key is revoked".to_owned());
    }
    // Some tools write direct signatures that say nothing about use or expiry; those that do take precedence.
    let own =
        newest(self_signatures(key).filter(|own| has_flags(own))).or_else(|| newest(self_signatures(key)));
    let Some(own) = own else {
        return Err("the key has no valid signature of its own".to_owned());
    };
    lasts("the key", i64::from(key.created_at().as_secs()), own, made, now)?;
    let Signer::Subkey(subkey) = signer else {
        return signing("the key", own, true);
    };
    let revoked = subkey.signatures.iter().any(|revocation| {
        revocation.typ() == Some(SignatureType::SubkeyRevocation)
            && revocation
                .verify_subkey_binding(&key.primary_key, &subkey.key)
                .is_ok()
    });
    if revoked {
        return Err("the subkey is revoked".to_owned());
    }
    let bindings = subkey.signatures.iter().filter(|binding| {
        binding.typ() == Some(SignatureType::SubkeyBinding)
            && binding
                .verify_subkey_binding(&key.primary_key, &subkey.key)
                .is_ok()
    });
    let Some(binding) = newest(bindings) else {
        return Err("the subkey is not bound to the key".to_owned());
    };
    lasts(
        "the subkey",
        i64::from(subkey.key.created_at().as_secs()),
        binding,
        made,
        now,
    )?;
    signing("the subkey", binding, false)?;
    // Without its own consent a stranger could adopt somebody's subkey, and with it their signatures.
    let consents = binding.embedded_signature().is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, &key.primary_key)
            .is_ok()
    });
    if consents {
        Ok(())
    } else {
        Err("the subkey does not consent to belong to the key".to_owned())
    }
}

/// The valid signatures by which a primary key speaks about itself.
fn self_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let direct = key
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(&key.primary_key).is_ok());
    let users = key.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && signature
                    .verify_certification(&key.primary_key, pgp::types::Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    direct.chain(users)
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map_or(0, pgp::types::Timestamp::as_secs))
}

fn lasts(what: &str, created: i64, own: &Signature, made: i64, now: i64) -> Result<(), String> {
    if made < created {
        return Err(format!("it is older than {what}"));
    }
    match own.key_expiration_time().map(|time| i64::from(time.as_secs())) {
        Some(time) if time != 0 && created + time <= now => {
            Err(format!("{what} expired on {}", day(created + time)))
        }
        _ => Ok(()),
    }
}

/// Whether the flags allow signing. A primary key without any flags is an old one that may.
fn signing(what: &str, own: &Signature, without_flags: bool) -> Result<(), String> {
    if own.key_flags().sign() || (!has_flags(own) && without_flags) {
        Ok(())
    } else {
        Err(format!("{what} is not meant for signing"))
    }
}

fn has_flags(own: &Signature) -> bool {
    own.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
    })
}

fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| "no date".to_owned(),
        |when| when.strftime("%Y-%m-%d").to_string(),
    )
}
