use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use pilotage_gitrepo::SigningKey;
use pilotage_outcome::Fault;
use pilotage_secret::Secret;
use pilotage_step::Context;

/// No private key is longer than this many bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads the key of `--signing-key`, which signs the commit that is made, where one is given.
pub(super) fn read(cx: &Context, path: Option<&Path>) -> Result<Option<Arc<SigningKey>>, Fault> {
    let Some(path) = path else { return Ok(None) };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(|error| {
            Fault::usage(format!("--signing-key: `{}` cannot be read", path.display())).caused_by(error)
        })?;
    let secret = Secret::new(text.as_str());
    cx.redactor.register_named("SIGNING_KEY", &secret);
    SigningKey::from_openssh(secret.expose())
        .map(|key| Some(Arc::new(key)))
        .map_err(|error| Fault::usage(format!("--signing-key: {error}")).caused_by(error))
}
