use clap::Parser;
use pilotage_check::{HeaderName, JsonPath, Pattern, StatusSet};
use pilotage_place::PortPlace;
use pilotage_quantity::Duration;
use pilotage_step::{Common, DescriptorArgs, OutputName, StepCli};

use crate::{Limits, Request, RequestFault, Subject, Want};

/// Asks endpoints until they answer well, as the version asked for, or the time is spent.
///
/// With URLs it needs no file: `pilotage-healthcheck http://shop:8080/health tcp://db:5432 --timeout 30s`.
/// With --descriptor it asks what the descriptor's `healthcheck` says, from where users are: proxied and published
/// ports. Redirects are not followed and no proxy is used. Every address of a name has to answer well.
#[derive(Clone, Debug, Parser)]
#[command(name = "pilotage-healthcheck", version)]
pub struct Args {
    /// What to ask: http://HOST[:PORT]/PATH, https://…, tcp://HOST:PORT, tls://HOST:PORT, or by the gRPC health protocol
    /// grpc://HOST:PORT[/SERVICE] and grpcs://….
    #[arg(value_name = "URL", conflicts_with_all = ["descriptor", "config", "address"])]
    pub urls: Vec<String>,

    /// The descriptor to check.
    #[command(flatten)]
    pub from: DescriptorArgs,

    /// Where a port of the descriptor is: http=HOST:PORT, or http=https://HOST where it speaks TLS; may be given several times.
    #[arg(long, value_name = "PORT=ADDRESS")]
    pub address: Vec<PortPlace>,

    /// The hard end of the check; 60s, or the descriptor's.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<Duration>,

    /// From the start of one try to the start of the next at most; 500ms, or the descriptor's. What is not well is asked
    /// again sooner at first, unless --retries is given.
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<Duration>,

    /// The end of one try; 3s, or the descriptor's.
    #[arg(long, value_name = "DURATION")]
    pub try_timeout: Option<Duration>,

    /// Consecutive good answers that are needed, counted from zero; 1, or the descriptor's.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub threshold: Option<u32>,

    /// Further tries after a failed one; without it only the time-out ends the check.
    #[arg(long, value_name = "COUNT")]
    pub retries: Option<u32>,

    /// Ask on until the time-out even where waiting does not help (a bad certificate, 401, 403, a lasting 404).
    #[arg(long)]
    pub keep_trying: bool,

    /// Be content with one good address of a name; otherwise every one has to answer well, and each as often as asked.
    #[arg(long)]
    pub any_address: bool,

    /// The version that has to answer; the descriptor's own when nothing is said.
    #[arg(long, value_name = "VERSION")]
    pub expect_version: Option<String>,

    /// Where the version stands in a JSON body; `$.version` when --expect-version is given alone.
    #[arg(
        long,
        value_name = "PATH",
        group = "source",
        help_heading = "Options with URLs"
    )]
    pub version_json: Option<JsonPath>,

    /// The header that holds the version.
    #[arg(
        long,
        value_name = "NAME",
        group = "source",
        help_heading = "Options with URLs"
    )]
    pub version_header: Option<HeaderName>,

    /// The whole body is the version.
    #[arg(long, group = "source", help_heading = "Options with URLs")]
    pub version_body: bool,

    /// A regular expression whose only group encloses the version in the body.
    #[arg(
        long,
        value_name = "REGEX",
        group = "source",
        help_heading = "Options with URLs"
    )]
    pub version_regex: Option<Pattern>,

    /// Good statuses, such as 200 or 200-299,404; 200-299 when nothing is said.
    #[arg(long, value_name = "SET", help_heading = "Options with URLs")]
    pub status: Option<StatusSet>,

    /// A text the body has to contain.
    #[arg(long, value_name = "TEXT", help_heading = "Options with URLs")]
    pub contains: Option<String>,

    /// How many more days the certificates of https, tls and grpcs have to be good.
    #[arg(long, value_name = "DAYS", help_heading = "Options with URLs")]
    pub min_tls_days: Option<u32>,

    /// The Host header, when it is not the URL's host.
    #[arg(long, value_name = "HOST", help_heading = "Options with URLs")]
    pub host: Option<String>,

    /// What every step takes.
    #[command(flatten)]
    pub common: Common,
}

impl StepCli for Args {
    const OUTPUTS: &'static [OutputName] = &[OutputName {
        key: "version",
        help: "The version that answered.",
    }];

    fn common(&self) -> &Common {
        &self.common
    }
}

/// Shorter intervals only keep both sides busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

impl Args {
    /// The request in them.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn request(self) -> Result<(Request, DescriptorArgs), RequestFault> {
        for (flag, value, least) in [
            ("timeout", self.timeout, Duration::from_millis(1)),
            ("try-timeout", self.try_timeout, Duration::from_millis(1)),
            ("interval", self.interval, SHORTEST_INTERVAL),
        ] {
            if let Some(value) = value
                && value < least
            {
                return Err(RequestFault::TooShort { flag, least });
            }
        }
        let source = Want::source(
            self.version_json,
            self.version_header,
            self.version_body,
            self.version_regex,
        );
        let subject = if self.urls.is_empty() {
            if self.from.descriptor.is_none() {
                return Err(RequestFault::Nothing);
            }
            for (flag, given) in [
                (
                    "version-json, --version-header, --version-body and --version-regex",
                    source.is_some(),
                ),
                ("status", self.status.is_some()),
                ("contains", self.contains.is_some()),
                ("host", self.host.is_some()),
                ("min-tls-days", self.min_tls_days.is_some()),
            ] {
                if given {
                    return Err(RequestFault::OnlyWithUrls { flag });
                }
            }
            Subject::Descriptor(self.address)
        } else {
            let want = Want {
                status: self.status.unwrap_or_default(),
                contains: self.contains,
                version: source,
                host: self.host,
                min_tls_days: self.min_tls_days,
            };
            Subject::Urls(self.urls, want)
        };
        let limits = Limits {
            timeout: self.timeout,
            interval: self.interval,
            try_timeout: self.try_timeout,
            threshold: self.threshold,
            retries: self.retries,
        };
        let request = Request {
            subject,
            expect_version: self.expect_version,
            limits,
            keep_trying: self.keep_trying,
            any_address: self.any_address,
        };
        Ok((request, self.from))
    }
}
