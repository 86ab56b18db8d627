use std::io;

use pilotage_secret::Redactor;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::{Common, LogFormat, Stream};

/// Sends the logs of the whole process to `stderr`, without secrets.
pub(crate) fn install(common: &Common, color: bool, redactor: &Redactor, stderr: &Stream) {
    let level = match i16::from(common.verbose) - i16::from(common.quiet) {
        ..=-2 => Level::ERROR,
        -1 => Level::WARN,
        0 => Level::INFO,
        1 => Level::DEBUG,
        2.. => Level::TRACE,
    };
    // Libraries speak of their inner life at every level; only what is ours follows `-v`, unless everything is wanted.
    let rest = if level == Level::TRACE {
        Level::DEBUG
    } else {
        level.min(Level::WARN)
    };
    let filter = Targets::new().with_default(rest).with_target("pilotage", level);
    let writer = LogWriter {
        redactor: redactor.clone(),
        stderr: stderr.clone(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(color);
    // A second frame in one process (there is none but in tests) keeps the logs of the first.
    let _ = match common.log_format {
        LogFormat::Text => tracing::subscriber::set_global_default(registry.with(layer.with_target(false))),
        LogFormat::Json => {
            tracing::subscriber::set_global_default(registry.with(layer.json().flatten_event(true)))
        }
    };
}

/// Writes one event at a time: the formatter hands over each event whole, so no secret is cut in two.
#[derive(Clone)]
struct LogWriter {
    redactor: Redactor,
    stderr: Stream,
}

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stderr.write_bytes(&self.redactor.redact_bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
