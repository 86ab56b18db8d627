use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pilotage_diagnostic::{Source, printable};
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use crate::Context;

/// The flags of a step that works on one descriptor and holds no git; flatten them into its command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct DescriptorArgs {
    /// The descriptor; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub descriptor: Option<PathBuf>,
    /// The environment.
    #[arg(long = "env", value_name = "NAME")]
    pub environment: Option<EnvironmentName>,
    /// The name of the service, where the descriptor's file name does not say it.
    #[arg(long, value_name = "NAME")]
    pub service: Option<ServiceName>,
    /// The configuration (pilotage.yaml); `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DescriptorArgs {
    /// The most a descriptor or a configuration may have: 256 KiB.
    pub const MOST_BYTES: usize = 256 * 1024;

    /// The text of the descriptor, if one was named.
    ///
    /// # Errors
    ///
    /// The file cannot be read (usage), or is too large or no UTF-8 (invalid).
    pub async fn descriptor(&self, cx: &Context) -> Result<Option<Source>, Fault> {
        match &self.descriptor {
            None => Ok(None),
            Some(path) => read(path, "descriptor", cx).await.map(Some),
        }
    }

    /// The text of the descriptor.
    ///
    /// # Errors
    ///
    /// As [`DescriptorArgs::descriptor`], and when none was named (usage).
    pub async fn required_descriptor(&self, cx: &Context) -> Result<Source, Fault> {
        self.descriptor(cx)
            .await?
            .ok_or_else(|| missing("descriptor", "FILE"))
    }

    /// The text of the configuration, if one was named.
    ///
    /// # Errors
    ///
    /// As [`DescriptorArgs::descriptor`]; both from stdin is a usage error.
    pub async fn config(&self, cx: &Context) -> Result<Option<Source>, Fault> {
        let stdin = Some(Path::new("-"));
        if self.config.as_deref() == stdin && self.descriptor.as_deref() == stdin {
            return Err(Fault::usage("--descriptor and --config cannot both be stdin"));
        }
        match &self.config {
            None => Ok(None),
            Some(path) => read(path, "config", cx).await.map(Some),
        }
    }

    /// The environment.
    ///
    /// # Errors
    ///
    /// None was named (usage).
    pub fn required_environment(&self) -> Result<&EnvironmentName, Fault> {
        self.environment.as_ref().ok_or_else(|| missing("env", "NAME"))
    }

    /// The name of the service: `--service`, or the descriptor's file name without `.yaml`.
    #[must_use]
    pub fn service_name(&self) -> Option<ServiceName> {
        self.service.clone().or_else(|| {
            let name = self.descriptor.as_deref()?.file_name()?.to_str()?;
            name.strip_suffix(".yaml")?.parse().ok()
        })
    }
}

pub(crate) fn missing(flag: &str, value: &str) -> Fault {
    Fault::usage(format!("--{flag} is missing")).help(format!(
        "give `--{flag} {value}`, or set {}",
        crate::twin::variable(flag)
    ))
}

async fn read(path: &Path, flag: &'static str, cx: &Context) -> Result<Source, Fault> {
    let stdin = path == Path::new("-");
    let name = match stdin {
        true => "<stdin>".to_owned(),
        false => path.to_string_lossy().into_owned(),
    };
    let shown = printable(&name);
    let path = path.to_owned();
    let input = Arc::clone(&cx.stdin);
    // On a thread of its own: a pipe that never ends must not keep the step from stopping.
    let reading = tokio::task::spawn_blocking(move || match stdin {
        true => bounded(&mut *lock(&input)),
        false => bounded(&mut std::fs::File::open(path)?),
    });
    let bytes = match cx.cancel.run(reading).await? {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(Fault::usage(format!("--{flag}: `{shown}` cannot be read")).caused_by(error));
        }
        Err(error) => return Err(Fault::internal(format!("reading `{shown}` broke off")).caused_by(error)),
    };
    if bytes.len() > DescriptorArgs::MOST_BYTES {
        let most = DescriptorArgs::MOST_BYTES / 1024;
        return Err(Fault::invalid(format!("`{shown}` is larger than {most} KiB")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            Err(Fault::invalid(format!(
                "`{shown}` is not UTF-8: byte {} (line {line})",
                valid + 1
            )))
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One byte more than is allowed, so that too much is seen as such.
fn bounded(input: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(DescriptorArgs::MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use pilotage_clock::Clock;
    use pilotage_outcome::Class;

    use super::*;
    use crate::Env;

    async fn from_stdin(bytes: Vec<u8>) -> Result<Source, Fault> {
        let mut cx = Context::detached(Clock::system(), Env::default());
        cx.stdin = Arc::new(Mutex::new(Cursor::new(bytes)));
        let args = DescriptorArgs {
            descriptor: Some("-".into()),
            ..DescriptorArgs::default()
        };
        args.required_descriptor(&cx).await
    }

    #[tokio::test]
    async fn a_descriptor_comes_from_stdin_within_its_limits() {
        assert_eq!(
            from_stdin(b"version: \"1\"\n".to_vec()).await.unwrap().text(),
            "version: \"1\"\n"
        );
        let fault = from_stdin(vec![b'a'; DescriptorArgs::MOST_BYTES + 1])
            .await
            .unwrap_err();
        assert_eq!(
            (fault.class, fault.message.as_str()),
            (Class::Invalid, "`<stdin>` is larger than 256 KiB")
        );
        let fault = from_stdin(b"a\nb\xff".to_vec()).await.unwrap_err();
        assert_eq!(
            (fault.class, fault.message.as_str()),
            (Class::Invalid, "`<stdin>` is not UTF-8: byte 4 (line 2)")
        );
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_a_usage_error() {
        let cx = Context::detached(Clock::system(), Env::default());
        let args = DescriptorArgs {
            descriptor: Some("/no/such/shop.yaml".into()),
            ..DescriptorArgs::default()
        };
        assert_eq!(args.descriptor(&cx).await.unwrap_err().class, Class::Usage);
        assert_eq!(args.service_name().unwrap().as_str(), "shop");
        let fault = DescriptorArgs::default()
            .required_descriptor(&cx)
            .await
            .unwrap_err();
        assert_eq!(
            fault.help,
            ["give `--descriptor FILE`, or set PILOTAGE_DESCRIPTOR"]
        );
    }
}
