//! Descriptors and URLs to plans: what is asked, where, and until what.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;

use pilotage_check::{Expectation, Patience};
use pilotage_descriptor::{Descriptor, Source};
use pilotage_healthcheck::{
    Limits, Plan, PlanError, Request, Subject, Surroundings, Want, plan_of_descriptor, plan_of_urls,
};
use pilotage_probe::Question;
use pilotage_quantity::Duration;

const SHOP: &str = r#"
version: "1.4.2"
image: registry.example.com/shop
ports:
  - {name: http, port: 8080, publish: proxy, routes: [{host: shop.qa.example.com, path: /}, {host: api.qa.example.com, path: /api}]}
  - {name: admin, port: 9090}
  - {name: metrics, port: 9100, publish: {host: 19100, bind: 127.0.0.1}}
healthcheck:
  endpoints:
    - {http: /health, port: http, version: {json: $.version}}
    - {http: /api/up, port: http, status: 204}
    - {tcp: admin}
    - {tcp: metrics}
  timeout: 20s
  threshold: 2
"#;

fn descriptor(text: &str) -> Descriptor {
    pilotage_descriptor::parse(&Source::new("services/shop.yaml", text))
        .resolve(&"qa".parse().unwrap())
        .unwrap()
}

fn request() -> Request {
    Request {
        subject: Subject::Descriptor(Vec::new()),
        expect_version: None,
        limits: Limits::default(),
        keep_trying: false,
        any_address: false,
    }
}

fn outside() -> Surroundings {
    Surroundings::default()
}

fn at(door: SocketAddr) -> Surroundings {
    Surroundings {
        front_door: Some(door),
        ..outside()
    }
}

/// One line for each endpoint: name, address, `Host`, how it was found.
fn lines(plan: &Plan) -> Vec<String> {
    plan.endpoints
        .iter()
        .map(|plan| {
            let host = match &plan.endpoint.question {
                Question::Http(request) => format!(" {}://{}", request.scheme(), request.authority()),
                Question::Grpc(request) => {
                    format!(
                        " {}://{} {:?}",
                        request.scheme(),
                        request.authority(),
                        request.service()
                    )
                }
                Question::Tls(name) => format!(" tls {name}"),
                Question::Tcp | Question::Exec(_) => String::new(),
            };
            let at = plan.endpoint.at.as_ref().unwrap();
            format!("{} at {at}{host} by {}", plan.endpoint.name, plan.found)
        })
        .collect()
}

fn version(plan: &Plan, index: usize) -> Option<&str> {
    match &plan.endpoints[index].endpoint.expectation {
        Expectation::Http(http) => http.version.as_ref().map(|(_, version)| version.as_str()),
        _ => None,
    }
}

#[test]
fn endpoints_are_asked_where_users_are() {
    let plan = plan_of_descriptor(&descriptor(SHOP), &[], outside(), &request()).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "http /health (http) at shop.qa.example.com:80 http://shop.qa.example.com by the route's host",
            "http /api/up (http) at api.qa.example.com:80 http://api.qa.example.com by the route's host",
            "tcp metrics at 127.0.0.1:19100 by the published port",
        ]
    );
    assert_eq!((version(&plan, 0), version(&plan, 1)), (Some("1.4.2"), None));
    assert_eq!(plan.skipped[0].name, "tcp admin");
    assert!(
        plan.skipped[0].reason.contains("--address admin=HOST:PORT"),
        "{}",
        plan.skipped[0].reason
    );
    assert_eq!(
        plan.patience,
        Patience {
            threshold: 2,
            ..Patience::new(Duration::from_secs(20))
        }
    );
}

#[test]
fn a_known_front_door_is_asked_under_the_routes_host() {
    let door = "0.0.0.0:18080".parse().unwrap();
    let plan = plan_of_descriptor(&descriptor(SHOP), &[], at(door), &request()).unwrap();
    assert_eq!(
        lines(&plan)[0],
        "http /health (http) at 127.0.0.1:18080 http://shop.qa.example.com by front door"
    );
}

#[test]
fn an_address_that_was_said_wins() {
    let places = [
        "http=https://10.0.0.5".parse().unwrap(),
        "admin=shop:9090".parse().unwrap(),
    ];
    let plan = plan_of_descriptor(&descriptor(SHOP), &places, outside(), &request()).unwrap();
    assert_eq!(
        lines(&plan)[0],
        "http /health (http) at 10.0.0.5:443 https://shop.qa.example.com by --address"
    );
    assert_eq!(lines(&plan)[2], "tcp admin at shop:9090 by --address");
    assert!(plan.skipped.is_empty());
    let unknown = ["htp=shop:80".parse().unwrap()];
    let error = plan_of_descriptor(&descriptor(SHOP), &unknown, outside(), &request()).unwrap_err();
    assert_eq!(error.to_string(), "the descriptor has no port `htp`");
}

#[test]
fn limits_and_version_that_were_said_win() {
    let said = Request {
        expect_version: Some("2.0".to_owned()),
        limits: Limits {
            timeout: Some(Duration::from_secs(90)),
            interval: Some(Duration::from_secs(1)),
            try_timeout: Some(Duration::from_secs(5)),
            threshold: Some(3),
            retries: Some(4),
        },
        keep_trying: true,
        ..request()
    };
    let plan = plan_of_descriptor(&descriptor(SHOP), &[], outside(), &said).unwrap();
    assert_eq!(version(&plan, 0), Some("2.0"));
    assert_eq!(
        plan.patience,
        Patience {
            interval: Duration::from_secs(1),
            try_timeout: Duration::from_secs(5),
            threshold: 3,
            retries: Some(4),
            grace: Duration::from_secs(45),
            fail_fast: false,
            ..Patience::new(Duration::from_secs(90))
        }
    );
    let silent = SHOP.replace(", version: {json: $.version}", "");
    assert!(matches!(
        plan_of_descriptor(&descriptor(&silent), &[], outside(), &said),
        Err(PlanError::NoVersion)
    ));
}

#[test]
fn where_there_is_nothing_to_ask_it_says_why() {
    let worker = "kind: worker\nversion: \"1\"\nimage: registry.example.com/mailer\n";
    let retired = format!("{SHOP}state: retired\n");
    for (text, nothing) in [
        (worker, "the descriptor has no healthcheck endpoints"),
        (&retired, "the service is retired"),
    ] {
        let plan = plan_of_descriptor(&descriptor(text), &[], outside(), &request()).unwrap();
        assert_eq!((plan.endpoints.len(), plan.nothing), (0, Some(nothing)));
    }
}

#[test]
fn a_command_is_run_where_instances_can_be_entered() {
    let text = descriptor(&SHOP.replace("{tcp: admin}", "{exec: [check, --deep]}"));
    let plan = plan_of_descriptor(&text, &[], outside(), &request()).unwrap();
    assert_eq!(plan.skipped[0].name, "exec check --deep");
    assert!(plan.skipped[0].reason.contains("--config"), "{:?}", plan.skipped);
    let inside = Surroundings {
        commands: true,
        ..outside()
    };
    let plan = plan_of_descriptor(&text, &[], inside, &request()).unwrap();
    let check = &plan.endpoints[2].endpoint;
    assert_eq!(
        check.question,
        Question::Exec(vec!["check".into(), "--deep".into()])
    );
    assert_eq!((&check.expectation, &check.at), (&Expectation::Exit, &None));
}

fn urls(urls: &[&str], want: &Want, expect_version: Option<&str>) -> Result<Plan, PlanError> {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    let request = Request {
        subject: Subject::Urls(urls.clone(), want.clone()),
        expect_version: expect_version.map(str::to_owned),
        ..request()
    };
    plan_of_urls(&urls, want, &request)
}

#[test]
fn urls_need_no_file() {
    let want = Want {
        host: Some("shop.example.com".to_owned()),
        ..Want::default()
    };
    let plan = urls(
        &["http://10.0.0.5:8080/health", "tcp://db:5432", "tcp://db:5432"],
        &want,
        Some("1.4.2"),
    )
    .unwrap();
    assert_eq!(
        lines(&plan),
        [
            "http://10.0.0.5:8080/health at 10.0.0.5:8080 http://shop.example.com by the URL",
            "tcp://db:5432 at db:5432 by the URL",
            "tcp://db:5432 #2 at db:5432 by the URL",
        ]
    );
    let Expectation::Http(http) = &plan.endpoints[0].endpoint.expectation else {
        panic!("http");
    };
    let (source, version) = http.version.as_ref().unwrap();
    assert_eq!(
        (source.to_string().as_str(), version.as_str()),
        ("`$.version` of the body", "1.4.2")
    );
    assert_eq!(plan.patience, Patience::new(Duration::from_secs(60)));
}

#[test]
fn urls_that_cannot_be_asked_are_refused_without_their_passwords() {
    let error = |url| urls(&[url], &Want::default(), None).unwrap_err().to_string();
    for bad in [
        "shop:8080/health",
        "ftp://shop/",
        "tcp://db",
        "tcp://db:0",
        "http://shop:0/",
    ] {
        assert!(
            error(bad).starts_with(&format!("`{bad}` cannot be asked: ")),
            "{}",
            error(bad)
        );
    }
    assert!(!error("http://ana:hush@shop/").contains("hush"));
    assert!(matches!(
        urls(&["tcp://db:5432"], &Want::default(), Some("1")),
        Err(PlanError::NoHttp)
    ));
}

const GRPC: &str = r#"
version: "1.4.2"
image: shop
domain: shop.qa.example.com
ports:
  - {name: http, port: 8080, publish: proxy}
  - {name: grpc, port: 9000, publish: {host: 19000}}
healthcheck:
  endpoints:
    - {http: /health, port: http, tls: {min_days: 14}}
    - {grpc: "", port: grpc}
    - {grpc: shop.Orders, port: grpc, tls: {}}
    - {tcp: grpc, tls: {min_days: 7}}
"#;

#[test]
fn grpc_and_tls_are_asked_as_they_say() {
    let plan = plan_of_descriptor(&descriptor(GRPC), &[], outside(), &request()).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "http /health (http) at shop.qa.example.com:443 https://shop.qa.example.com by the route's host",
            "grpc (grpc) at shop.qa.example.com:19000 http://shop.qa.example.com:19000 \"\" by the domain",
            "grpc shop.Orders (grpc) at shop.qa.example.com:19000 https://shop.qa.example.com:19000 \"shop.Orders\" by the domain",
            "tls grpc at shop.qa.example.com:19000 tls shop.qa.example.com by the domain",
        ]
    );
    let days: Vec<Option<u32>> = plan
        .endpoints
        .iter()
        .map(|plan| match &plan.endpoint.expectation {
            Expectation::Http(http) => http.min_days,
            Expectation::Grpc(grpc) => grpc.min_days,
            Expectation::Tls { min_days } => Some(*min_days),
            Expectation::Tcp | Expectation::Exit => None,
        })
        .collect();
    assert_eq!(days, [Some(14), None, Some(0), Some(7)]);
    let said = ["http=http://10.0.0.5:8443".parse().unwrap()];
    let plan = plan_of_descriptor(&descriptor(GRPC), &said, outside(), &request()).unwrap();
    assert_eq!(
        lines(&plan)[0],
        "http /health (http) at 10.0.0.5:8443 https://shop.qa.example.com by --address"
    );
}

#[test]
fn urls_may_be_grpc_and_tls() {
    let ask = |urls: &[&str], want: &Want| {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        plan_of_urls(&urls, want, &request())
    };
    let urls = [
        "grpc://shop:9000",
        "grpc://[::1]:9000/shop.Orders",
        "grpcs://shop.example.com/shop.Orders",
        "tls://shop.example.com:636",
    ];
    let want = Want {
        min_tls_days: Some(14),
        ..Want::default()
    };
    assert_eq!(
        lines(&ask(&urls, &want).unwrap()),
        [
            "grpc://shop:9000 at shop:9000 http://shop:9000 \"\" by the URL",
            "grpc://[::1]:9000/shop.Orders at [::1]:9000 http://[::1]:9000 \"shop.Orders\" by the URL",
            "grpcs://shop.example.com/shop.Orders at shop.example.com:443 https://shop.example.com \"shop.Orders\" by the URL",
            "tls://shop.example.com:636 at shop.example.com:636 tls shop.example.com by the URL",
        ]
    );
    let open = ask(&["grpc://shop:9000", "tcp://shop:1"], &want).unwrap_err();
    assert!(open.to_string().contains("--min-tls-days"), "{open}");
    for bad in ["grpc://shop", "grpcs://", "tls://shop", "grpc://shop:0/x"] {
        assert!(ask(&[bad], &Want::default()).is_err(), "{bad}");
    }
}
