use clap::Parser;
use pilotage_check::{Expression, HeaderName, JsonPath, StatusSet, VersionSource};
use pilotage_place::PortPlace;
use pilotage_quantity::Duration;
use pilotage_step::{Common, DescriptorArgs, StepCli};

use crate::request::{AnswerHeader, JsonValue};
use crate::{Limits, Request, RequestFault, Subject, Want};

/// Sends the requests that users would send after a release, and looks at every answer.
///
/// With URLs it needs no file: `pilotage-smoke http://shop:8080/ --status 200 --contains Shop`. With --descriptor it sends
/// what the descriptor's `smoke` says, to where users send it: proxied and published ports. Every request is sent once,
/// unless it says `retries`; redirects are followed only where it says so, and no proxy is used.
#[derive(Clone, Debug, Parser)]
#[command(name = "pilotage-smoke", version)]
pub struct Args {
    /// What to ask, by a GET: http://HOST[:PORT]/PATH or https://…
    #[arg(value_name = "URL", conflicts_with_all = ["descriptor", "config", "address"])]
    pub urls: Vec<String>,

    /// The descriptor whose `smoke` is sent.
    #[command(flatten)]
    pub from: DescriptorArgs,

    /// Where a port of the descriptor is: http=HOST:PORT, or http=https://HOST where it speaks TLS; may be given several times.
    #[arg(long, value_name = "PORT=ADDRESS")]
    pub address: Vec<PortPlace>,

    /// The end of one try of one request, its redirects included; 10s when nothing is said.
    #[arg(long, value_name = "DURATION")]
    pub try_timeout: Option<Duration>,

    /// Requests that are under way at once; 16 when nothing is said.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: Option<u16>,

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

    /// Good statuses, such as 200 or 200-299,404; 200-299 when nothing is said.
    #[arg(long, value_name = "SET", help_heading = "Options with URLs")]
    pub status: Option<StatusSet>,

    /// A text the body has to contain.
    #[arg(long, value_name = "TEXT", help_heading = "Options with URLs")]
    pub contains: Option<String>,

    /// A regular expression the body has to match.
    #[arg(long, value_name = "REGEX", help_heading = "Options with URLs")]
    pub matches: Option<Expression>,

    /// A place of the JSON body and its value, such as '$.status=up'; may be given several times.
    #[arg(long, value_name = "PATH=VALUE", help_heading = "Options with URLs")]
    pub json: Vec<JsonValue>,

    /// A header of the answer and a text in it, such as 'Content-Type: text/html'; may be given several times.
    #[arg(long, value_name = "NAME: TEXT", help_heading = "Options with URLs")]
    pub answer_header: Vec<AnswerHeader>,

    /// How long the whole answer may take.
    #[arg(long, value_name = "DURATION", help_heading = "Options with URLs")]
    pub within: Option<Duration>,

    /// The Host header, when it is not the URL's host.
    #[arg(long, value_name = "HOST", help_heading = "Options with URLs")]
    pub host: Option<String>,

    /// How many redirects are followed; none when nothing is said.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=20), help_heading = "Options with URLs")]
    pub redirects: Option<u32>,

    /// Further tries after a bad answer or none, half a second apart; none when nothing is said.
    #[arg(long, value_name = "COUNT", help_heading = "Options with URLs")]
    pub retries: Option<u32>,

    /// What every step takes.
    #[command(flatten)]
    pub common: Common,
}

impl StepCli for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

impl Args {
    /// The request in them.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn request(self) -> Result<(Request, DescriptorArgs), RequestFault> {
        for (flag, value) in [("try-timeout", self.try_timeout), ("within", self.within)] {
            if value == Some(Duration::ZERO) {
                return Err(RequestFault::Zero { flag });
            }
        }
        let default = Limits::default();
        let limits = Limits {
            try_timeout: self.try_timeout.unwrap_or(default.try_timeout),
            parallel: self.parallel.map_or(default.parallel, usize::from),
        };
        let version = self.version_json.map(VersionSource::Json);
        let version = version.or_else(|| self.version_header.map(VersionSource::Header));
        let subject = if self.urls.is_empty() {
            if self.from.descriptor.is_none() {
                return Err(RequestFault::Nothing);
            }
            for (flag, given) in [
                ("version-json and --version-header", version.is_some()),
                ("status", self.status.is_some()),
                ("contains", self.contains.is_some()),
                ("matches", self.matches.is_some()),
                ("json", !self.json.is_empty()),
                ("answer-header", !self.answer_header.is_empty()),
                ("within", self.within.is_some()),
                ("host", self.host.is_some()),
                ("redirects", self.redirects.is_some()),
                ("retries", self.retries.is_some()),
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
                matches: self.matches,
                answer_headers: self.answer_header,
                json: self.json,
                version,
                within: self.within,
                host: self.host,
                redirects: self.redirects.unwrap_or_default(),
                retries: self.retries.unwrap_or_default(),
            };
            Subject::Urls(self.urls, Box::new(want))
        };
        let request = Request {
            subject,
            expect_version: self.expect_version,
            limits,
        };
        Ok((request, self.from))
    }
}
