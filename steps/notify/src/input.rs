//! What the files say: the message, the descriptor, the configuration.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use pilotage_config::Config;
use pilotage_descriptor::Descriptor;
use pilotage_diagnostic::{Diagnostics, Source, printable};
use pilotage_message::Message;
use pilotage_outcome::Fault;
use pilotage_step::Context;

use crate::args::Args;

/// The inputs, read and valid.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) message: Message,
    pub(crate) descriptor: Option<Descriptor>,
    pub(crate) config: Option<Config>,
}

impl Input {
    pub(crate) async fn read(args: &Args, cx: &Context) -> Result<Self, Fault> {
        let stdin = Some(Path::new("-"));
        let from_stdin = [
            &args.message,
            &args.descriptor.descriptor,
            &args.descriptor.config,
        ]
        .iter()
        .filter(|path| path.as_deref() == stdin)
        .count();
        if from_stdin > 1 {
            return Err(Fault::usage(
                "only one of --message, --descriptor and --config can be stdin",
            ));
        }
        let message = read_message(args.message.as_deref(), cx).await?;
        let asked = &args.descriptor;
        if asked
            .environment
            .as_ref()
            .is_some_and(|environment| *environment != message.environment)
        {
            return Err(Fault::usage(format!(
                "--env is not `{}`, the environment of the message",
                message.environment
            )));
        }
        if asked
            .service
            .as_ref()
            .is_some_and(|service| message.service.as_ref() != Some(service))
        {
            return Err(Fault::usage(match &message.service {
                Some(service) => format!("--service is not `{service}`, the service of the message"),
                None => format!(
                    "--service is given, and the message is about all of {}",
                    message.environment
                ),
            }));
        }
        let config = read_config(args, cx).await?;
        let descriptor = match asked.descriptor(cx).await? {
            None => None,
            Some(source) => Some(pilotage_descriptor::parse(&source).resolve(&message.environment)?),
        };
        Ok(Self {
            message,
            descriptor,
            config,
        })
    }
}

/// The configuration, where one is named.
pub(crate) async fn read_config(args: &Args, cx: &Context) -> Result<Option<Config>, Fault> {
    let Some(source) = args.descriptor.config(cx).await? else {
        return Ok(None);
    };
    let (config, problems) = pilotage_config::parse(&source);
    valid(config, problems).map(Some)
}

fn valid<T>(value: Option<T>, problems: Diagnostics) -> Result<T, Fault> {
    match value {
        Some(value) if !problems.has_errors() => Ok(value),
        _ => Err(problems.into()),
    }
}

async fn read_message(path: Option<&Path>, cx: &Context) -> Result<Message, Fault> {
    let path = path.ok_or_else(|| Fault::usage("--message is missing").help("give `--message FILE`"))?;
    let stdin = path == Path::new("-");
    let name = if stdin {
        "<stdin>".to_owned()
    } else {
        path.to_string_lossy().into_owned()
    };
    let shown = printable(&name);
    let path = path.to_owned();
    let input = Arc::clone(&cx.stdin);
    // On a thread of its own: a pipe that never ends must not keep the step from stopping.
    let reading = tokio::task::spawn_blocking(move || {
        if stdin {
            bounded(&mut *input.lock().unwrap_or_else(PoisonError::into_inner))
        } else {
            bounded(&mut std::fs::File::open(path)?)
        }
    });
    let bytes = match cx.cancel.run(reading).await? {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(Fault::usage(format!("--message: `{shown}` cannot be read")).caused_by(error));
        }
        Err(error) => return Err(Fault::internal(format!("reading `{shown}` broke off")).caused_by(error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| Fault::invalid(format!("`{shown}` is not UTF-8")))?;
    Message::parse(&Source::new(name, text)).map_err(|problem| {
        let mut problems = Diagnostics::default();
        problems.push(*problem);
        problems.into()
    })
}

/// One byte more than is allowed, so that too much is seen as such.
fn bounded(input: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(Message::MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
