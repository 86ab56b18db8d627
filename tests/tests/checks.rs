//! Health checks against servers that are none of ours: gRPC and TLS.

use pilotage_tests::command::{Command, Output};
use pilotage_tests::grpc::{GrpcServer, Orders};

fn healthcheck(args: &[&str]) -> Output {
    Command::step("pilotage-healthcheck").args(args).run()
}

#[test]
fn a_grpc_server_is_waited_for_until_it_serves() {
    let mut server = GrpcServer::start(&Orders::serving(&[("shop.Orders", "NOT_SERVING")]));
    let url = format!("grpc://127.0.0.1:{}", server.port);
    let whole = healthcheck(&[&url, "--timeout", "30s"]);
    assert_eq!(whole.code, Some(0), "{whole}");
    let orders = format!("{url}/shop.Orders");
    let not = healthcheck(&[&orders, "--timeout", "700ms"]);
    assert_eq!(not.code, Some(1), "{not}");
    assert!(
        not.stdout
            .contains("`shop.Orders` is NOT_SERVING where SERVING is expected"),
        "{not}"
    );
    server.set("shop.Orders", "SERVING");
    let well = healthcheck(&[&orders, &url, "--timeout", "30s"]);
    assert_eq!(well.code, Some(0), "{well}");
    assert!(well.stdout.contains("SERVING"), "{well}");
}

#[test]
fn what_a_grpc_server_will_never_answer_ends_at_once() {
    let server = GrpcServer::start(&Orders::serving(&[]));
    let orders = format!("grpc://127.0.0.1:{}/shop.Carts", server.port);
    let unknown = healthcheck(&[&orders, "--timeout", "5m"]);
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert!(
        unknown
            .stdout
            .contains("NOT_FOUND: the server knows nothing of `shop.Carts`: unknown service"),
        "{unknown}"
    );
    let bare = GrpcServer::start(&Orders {
        health: false,
        ..Orders::serving(&[])
    });
    let none = healthcheck(&[&format!("grpc://127.0.0.1:{}", bare.port), "--timeout", "5m"]);
    assert_eq!(none.code, Some(1), "{none}");
    assert!(
        none.stdout
            .contains("UNIMPLEMENTED: the server does not offer the health protocol"),
        "{none}"
    );
}

#[test]
fn a_certificate_that_ends_soon_or_is_not_trusted_is_told() {
    let server = GrpcServer::start(&Orders {
        tls_until: Some(2150),
        ..Orders::serving(&[])
    });
    let (grpc, tls) = (
        format!("grpcs://localhost:{}", server.port),
        format!("tls://localhost:{}", server.port),
    );
    let ca = server.ca_file();
    let ca = ca.to_string_lossy();
    let stranger = healthcheck(&[&tls, "--timeout", "5m"]);
    assert_eq!(stranger.code, Some(4), "{stranger}");
    assert!(stranger.stdout.contains("--ca-file FILE"), "{stranger}");
    let long = [
        "--ca-file",
        &ca,
        "--timeout",
        "30s",
        "--any-address",
        "--min-tls-days",
        "30",
    ];
    let good = healthcheck(&[&[grpc.as_str(), &tls], &long[..]].concat());
    assert_eq!(good.code, Some(0), "{good}");
    let soon = [
        "--ca-file",
        &ca,
        "--timeout",
        "5m",
        "--any-address",
        "--min-tls-days",
        "99999",
    ];
    for url in [&grpc, &tls] {
        let soon = healthcheck(&[&[url.as_str()], &soon[..]].concat());
        assert_eq!(soon.code, Some(1), "{soon}");
        assert!(
            soon.stdout
                .contains("the certificate of localhost, 127.0.0.1 ends on 2150-12-31, in "),
            "{soon}"
        );
    }
}
