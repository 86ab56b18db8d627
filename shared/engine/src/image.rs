//! Which image a descriptor means, and having it on the engine.

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use pilotage_descriptor::Image;
use pilotage_quantity::Duration;
use pilotage_retry::{Limits, RetryPolicy, Retryable, Waits, retry};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::registry::{Registries, registry_of};

/// How often a registry that is busy or away is asked.
const TRIES: u32 = 4;

/// The images of an engine and of the registries behind it.
#[derive(Debug)]
pub struct Images<'e> {
    /// The engine.
    pub engine: &'e Engine,
    /// Who we are to registries.
    pub registries: &'e Registries,
}

impl Images<'_> {
    /// The digest of what `image` is now: the one it names, the one the registry has under its tag, or the id of one that
    /// was built on this engine and never was in a registry.
    ///
    /// # Errors
    /// When there is no such image, or the registry gives no answer.
    pub async fn digest(&self, image: &Image) -> Result<String, EngineError> {
        if let Some(digest) = &image.digest {
            return Ok(digest.clone());
        }
        let name = image.to_string();
        if let Some(local) = self.inspect(&name).await?
            && built_here(&image.name, &local)
            && let Some(id) = local.id
        {
            return Ok(id);
        }
        let credentials = self.registries.credentials(&image.name)?;
        let asked = self
            .patiently(&name, async || {
                let asked = self
                    .engine
                    .docker
                    .inspect_registry_image(&name, credentials.clone());
                asked.await.map_err(self.engine.failed("ask the registry"))
            })
            .await?;
        asked.descriptor.digest.ok_or_else(|| EngineError::Image {
            image: name,
            reason: "has no digest in its registry".to_owned(),
            help: "use a registry that follows the distribution specification",
        })
    }

    /// The id of the image of this digest, fetched when the engine does not have it.
    ///
    /// # Errors
    /// When it cannot be had, or cannot run here.
    pub async fn have(&self, image: &Image, digest: &str) -> Result<String, EngineError> {
        let pinned = format!("{}@{digest}", image.name);
        let found = match self.inspect(&pinned).await? {
            Some(found) => Some(found),
            // The id of one that was built here.
            None => self.inspect(digest).await?,
        };
        let found = match found {
            Some(found) => found,
            None => {
                self.pull(&image.name, &pinned).await?;
                self.inspect(&pinned).await?.ok_or_else(|| EngineError::Image {
                    image: pinned.clone(),
                    reason: "was fetched and is not there".to_owned(),
                    help: "see the engine's own log",
                })?
            }
        };
        self.runs_here(&pinned, &found).await?;
        found.id.ok_or_else(|| EngineError::Unreadable {
            what: format!("the image {pinned}"),
            reason: "it has no id".to_owned(),
        })
    }

    /// The digest by which the image of this id is known: the wanted one where it is one of its names.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn digest_of(&self, id: &str, wanted: &str) -> Result<String, EngineError> {
        let Some(found) = self.inspect(id).await? else {
            return Ok(String::new());
        };
        let named = found.repo_digests.unwrap_or_default();
        let known = named.iter().any(|name| name.ends_with(&format!("@{wanted}")));
        Ok(if known { wanted.to_owned() } else { id.to_owned() })
    }

    /// Where what runs in the image of this id starts; `/` where it does not say.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn directory(&self, id: &str) -> Result<String, EngineError> {
        let found = self.inspect(id).await?;
        let said = found
            .and_then(|image| image.config)
            .and_then(|config| config.working_dir);
        Ok(said
            .filter(|path| path.starts_with('/'))
            .unwrap_or_else(|| "/".to_owned()))
    }

    async fn inspect(&self, name: &str) -> Result<Option<ImageInspect>, EngineError> {
        let inspected = self.engine.docker.inspect_image(name).await;
        match inspected.map_err(self.engine.failed(format!("show the image {name}"))) {
            Err(error) if error.status() == Some(404) => Ok(None),
            found => found.map(Some),
        }
    }

    async fn pull(&self, name: &str, pinned: &str) -> Result<(), EngineError> {
        tracing::info!("fetching {pinned}");
        let credentials = self.registries.credentials(name)?;
        self.patiently(pinned, async || {
            let options = CreateImageOptionsBuilder::default().from_image(pinned).build();
            let mut steps = std::pin::pin!(self.engine.docker.create_image(
                Some(options),
                None,
                credentials.clone()
            ));
            while let Some(step) = steps.next().await {
                let step = step.map_err(self.engine.failed("fetch the image"))?;
                if let Some(message) = step.error_detail.and_then(|detail| detail.message) {
                    return Err(EngineError::Said {
                        doing: "fetch the image".to_owned(),
                        status: 500,
                        message,
                    });
                }
            }
            Ok(())
        })
        .await
    }

    /// Asks again while the registry is busy or away, and not when it said no.
    async fn patiently<T>(
        &self,
        image: &str,
        ask: impl AsyncFn() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let waits = Waits {
            initial: Duration::from_millis(500),
            factor: 2.0,
            cap: Duration::from_secs(5),
            jitter: 0.2,
        };
        let limits = Limits {
            tries: Some(TRIES),
            elapsed: None,
        };
        let policy = RetryPolicy::new(waits, limits).unwrap_or_else(|_| RetryPolicy::once());
        let decide = |error: &EngineError| match Trouble::of(error) {
            Trouble::Busy => Retryable::Yes,
            Trouble::Missing | Trouble::Denied | Trouble::Other => Retryable::No,
        };
        let asked = retry(&policy, decide, async |_| ask().await).await;
        asked.map_err(|gave_up| {
            let tries = gave_up.tries();
            told(image, gave_up.into_last(), tries)
        })
    }

    async fn runs_here(&self, name: &str, image: &ImageInspect) -> Result<(), EngineError> {
        let version = self.engine.docker.version().await;
        let version = version.map_err(self.engine.failed("tell its version"))?;
        let (Some(built), Some(here)) = (&image.architecture, &version.arch) else {
            return Ok(());
        };
        if built == here || built.is_empty() {
            return Ok(());
        }
        Err(EngineError::Image {
            image: name.to_owned(),
            reason: format!("is built for {built}, and the engine runs {here}"),
            help: "build it for this architecture as well, as a multi-platform image",
        })
    }
}

/// One that has a digest of no registry by this name.
fn built_here(name: &str, image: &ImageInspect) -> bool {
    let named = |digest: &String| {
        digest
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('@'))
    };
    !image.repo_digests.iter().flatten().any(named)
}

/// What is wrong when a registry gives no image, by what the engine says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Missing,
    Denied,
    Busy,
    Other,
}

impl Trouble {
    fn of(error: &EngineError) -> Self {
        let Some(status) = error.status() else {
            return Self::Other;
        };
        let message = error.message().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["no space left"]) {
            Self::Other
        } else if says(&["toomanyrequests", "too many requests", "429"]) {
            Self::Busy
        } else if matches!(status, 401 | 403)
            || says(&[
                "unauthorized",
                "denied",
                "no basic auth credentials",
                "authentication required",
            ])
        {
            Self::Denied
        } else if status == 404 || says(&["manifest unknown", "not found", "name unknown", "does not exist"])
        {
            Self::Missing
        } else if status >= 500 {
            Self::Busy
        } else {
            Self::Other
        }
    }
}

fn told(image: &str, error: EngineError, tries: usize) -> EngineError {
    let registry = registry_of(image);
    let (reason, help) = match Trouble::of(&error) {
        Trouble::Missing => (
            format!("is not in the registry {registry}"),
            "push it, or correct `version` or `image`; a private registry may hide it from who has no credentials",
        ),
        Trouble::Denied => (
            format!(
                "may not be read by us: the registry {registry} says {}",
                error.message()
            ),
            "give credentials under `registries` of the target in pilotage.yaml",
        ),
        Trouble::Busy => (
            format!(
                "cannot be had: the registry {registry} was asked {tries} times and says {}",
                error.message()
            ),
            "see whether the registry runs; what runs here was not touched",
        ),
        Trouble::Other => return error,
    };
    EngineError::Image {
        image: image.to_owned(),
        reason,
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(status: u16, message: &str) -> Trouble {
        Trouble::of(&EngineError::Said {
            doing: String::new(),
            status,
            message: message.to_owned(),
        })
    }

    #[test]
    fn what_an_engine_says_of_a_registry_is_told_apart() {
        for (status, message, expected) in [
            (
                404,
                "manifest for r/shop:9 not found: manifest unknown: manifest unknown",
                Trouble::Missing,
            ),
            (
                403,
                "errors:\ndenied: requested access to the resource is denied\nunauthorized: x",
                Trouble::Denied,
            ),
            (
                500,
                "Get \"http://r/v2/\": no basic auth credentials",
                Trouble::Denied,
            ),
            (
                500,
                "toomanyrequests: You have reached your pull rate limit",
                Trouble::Busy,
            ),
            (
                500,
                "Get \"http://r/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
                Trouble::Busy,
            ),
            (
                503,
                "received unexpected HTTP status: 503 Service Unavailable",
                Trouble::Busy,
            ),
            (500, "write /var/lib/x: no space left on device", Trouble::Other),
            (400, "invalid reference format", Trouble::Other),
        ] {
            assert_eq!(trouble(status, message), expected, "{message}");
        }
    }
}
