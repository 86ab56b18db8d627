use std::collections::BTreeMap;
use std::net::SocketAddr;

use pilotage_descriptor::{Descriptor, Image, Publish, State};
use pilotage_place::{Around, Finder, Place, PortPlace};
use pilotage_quantity::Duration;

use crate::adapter::docker::Containers;
use crate::{Args, Glob, PlanError};

/// What is run, with what, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is done.
    pub work: Work,
    /// Variables for the suite, besides those of the machine.
    pub variables: BTreeMap<String, String>,
    /// Where reports are found.
    pub reports: Vec<Glob>,
    /// How long, and how often.
    pub limits: Limits,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing, and why.
    Nothing(&'static str),
    /// Reports that are there already are judged.
    Judge,
    /// A program with its arguments is run.
    Command(Vec<String>),
    /// An image is run, with these arguments in place of its own where there are any.
    Image {
        /// The image.
        image: Image,
        /// The arguments.
        command: Vec<String>,
    },
}

/// How long a run may take, and how often there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The end of one run.
    pub timeout: Duration,
    /// How long it may say nothing.
    pub idle: Option<Duration>,
    /// How long it may take to end when it is asked to.
    pub grace: Duration,
    /// Further runs after a failed one.
    pub retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20 * 60),
            idle: None,
            grace: Duration::from_secs(10),
            retries: 0,
        }
    }
}

/// A plan for a command of somebody's own, or for reports that are there already.
///
/// # Errors
/// When there is nothing to do.
pub(crate) fn plan_of_command(args: &Args) -> Result<Plan, PlanError> {
    let work = match (args.command.is_empty(), args.results.is_empty()) {
        (false, _) => Work::Command(args.command.clone()),
        (true, false) => Work::Judge,
        (true, true) => return Err(PlanError::Nothing),
    };
    for (flag, value) in [("timeout", args.timeout), ("idle", args.idle)] {
        if value == Some(Duration::ZERO) {
            return Err(PlanError::Zero { flag });
        }
    }
    let default = Limits::default();
    Ok(Plan {
        work,
        variables: BTreeMap::new(),
        reports: args.results.clone(),
        limits: Limits {
            timeout: args.timeout.unwrap_or(default.timeout),
            idle: args.idle,
            grace: args.grace.unwrap_or(default.grace),
            retries: args.retries.unwrap_or(default.retries),
        },
    })
}

/// A plan for the suite of a descriptor.
///
/// # Errors
/// When it is not granted, cannot be run by this version, or it cannot be known where the service is.
pub(crate) fn plan_of_descriptor(
    descriptor: &Descriptor,
    environment: &str,
    args: &Args,
    around: Option<&Around>,
) -> Result<Plan, PlanError> {
    for (flag, given) in [
        ("results", !args.results.is_empty()),
        ("timeout", args.timeout.is_some()),
        ("idle", args.idle.is_some()),
        ("grace", args.grace.is_some()),
        ("retries", args.retries.is_some()),
    ] {
        if given {
            return Err(PlanError::OnlyDirect { flag });
        }
    }
    let nothing = |why| {
        Ok(Plan {
            work: Work::Nothing(why),
            variables: BTreeMap::new(),
            reports: Vec::new(),
            limits: Limits::default(),
        })
    };
    if descriptor.state == State::Retired {
        return nothing("the service is retired");
    }
    let Some(suite) = &descriptor.regression else {
        return nothing("the descriptor has no regression suite");
    };
    let around = around.ok_or(PlanError::NoConfig)?;
    let allow = &around.allow;
    let environment_name = || environment.to_owned();
    let work = match &suite.image {
        Some(image) if !allow.image(&image.name) => {
            return Err(PlanError::ImageNotGranted {
                image: image.name.clone(),
                environment: environment_name(),
            });
        }
        Some(image) if !Containers::are_in(around) => {
            return Err(PlanError::Image {
                image: image.name.clone(),
            });
        }
        Some(_) if args.directory.is_some() => return Err(PlanError::Directory),
        Some(image) => Work::Image {
            image: image.clone(),
            command: suite.command.clone(),
        },
        None if !allow.commands => {
            return Err(PlanError::NotGranted {
                environment: environment_name(),
            });
        }
        None => Work::Command(suite.command.clone()),
    };
    let service = around.key.service.as_str();
    let within = matches!(work, Work::Image { .. }).then_some(service);
    let mut variables = suite.env.clone();
    variables.extend(places(descriptor, &args.address, around.front_door, within)?);
    let said = [
        ("PROJECT", Some(around.key.project.to_string())),
        ("ENVIRONMENT", Some(environment.to_owned())),
        ("SERVICE", Some(service.to_owned())),
        ("VERSION", Some(descriptor.version.to_string())),
        ("RELEASE", args.release.as_ref().map(ToString::to_string)),
        ("COMMIT", args.commit.as_ref().map(ToString::to_string)),
    ];
    let said = said
        .into_iter()
        .filter_map(|(name, value)| Some((format!("PILOTAGE_{name}"), value?)));
    variables.extend(said);
    Ok(Plan {
        work,
        variables,
        // Checked with the descriptor.
        reports: suite
            .reports
            .iter()
            .filter_map(|glob| glob.parse().ok())
            .collect(),
        limits: Limits {
            timeout: suite.timeout,
            idle: suite.idle,
            grace: suite.grace,
            retries: suite.retries,
        },
    })
}

/// Where the suite finds the service: `PILOTAGE_URL_<PORT>` of each port that can be reached from outside, and
/// `PILOTAGE_URL` and `PILOTAGE_HOST` (whom its users ask for there) of the one they use.
fn places(
    descriptor: &Descriptor,
    said: &[PortPlace],
    front_door: Option<SocketAddr>,
    within: Option<&str>,
) -> Result<BTreeMap<String, String>, PlanError> {
    if let Some(place) = said.iter().find(|place| descriptor.port(&place.port).is_none()) {
        return Err(PlanError::NoPort {
            port: place.port.clone(),
        });
    }
    let finder = Finder {
        descriptor,
        said,
        front_door,
        within,
    };
    let mut variables = BTreeMap::new();
    let mut users: Option<(u8, Place)> = None;
    for port in &descriptor.ports {
        let Some(place) = finder.find(port, "/")? else {
            continue;
        };
        let name = port.name.to_ascii_uppercase().replace('-', "_");
        variables.insert(format!("PILOTAGE_URL_{name}"), url(&place));
        let rank = match (port.publish, port.name.as_str()) {
            (Publish::Proxy, _) => 2,
            (_, "http") => 1,
            _ => 0,
        };
        if users.as_ref().is_none_or(|(best, _)| rank > *best) {
            users = Some((rank, place));
        }
    }
    if let Some((_, place)) = users {
        variables.insert("PILOTAGE_URL".to_owned(), url(&place));
        variables.insert("PILOTAGE_HOST".to_owned(), place.authority);
    }
    Ok(variables)
}

fn url(place: &Place) -> String {
    format!("{}://{}", place.scheme, place.at)
}

#[cfg(test)]
mod tests {
    use pilotage_descriptor::Source;

    use super::*;

    #[test]
    fn a_suite_is_told_where_its_users_find_the_service() {
        let text = "\
version: \"1\"
ports:
  - {name: admin, port: 81, publish: {host: 8444, bind: 127.0.0.1}}
  - {name: web-ui, port: 80, publish: proxy, routes: [{host: shop.example.com}]}
  - {name: raw, port: 82}
";
        let descriptor = Descriptor::read(&Source::new("shop.yaml", text)).unwrap();
        let found = places(&descriptor, &[], Some("127.0.0.1:18080".parse().unwrap()), None).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            told,
            [
                "PILOTAGE_HOST=shop.example.com",
                "PILOTAGE_URL=http://127.0.0.1:18080",
                "PILOTAGE_URL_ADMIN=http://127.0.0.1:8444",
                "PILOTAGE_URL_WEB_UI=http://127.0.0.1:18080",
            ]
        );
        let found = places(&descriptor, &["raw=lb:1".parse().unwrap()], None, Some("shop")).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            told,
            [
                "PILOTAGE_HOST=shop.example.com",
                "PILOTAGE_URL=http://shop:80",
                "PILOTAGE_URL_ADMIN=http://shop:81",
                "PILOTAGE_URL_RAW=http://lb:1",
                "PILOTAGE_URL_WEB_UI=http://shop:80",
            ],
            "on the service's own network every port is found"
        );
        let wrong = places(&descriptor, &["web=h:1".parse().unwrap()], None, None);
        assert!(matches!(wrong, Err(PlanError::NoPort { .. })));
    }
}
