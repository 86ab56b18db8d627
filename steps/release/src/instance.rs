//! Where the stages after a deploy find what users do not reach from outside: at the instance that was proved.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pilotage_descriptor::{Descriptor, Publish};

/// The `--address` of the checks, one line each port: internal ports have no place outside, and a deploy says at which
/// address it proved them. Whatever is published is asked where its users ask.
#[must_use]
pub fn addresses(descriptor: &Descriptor, outputs: &BTreeMap<String, String>) -> Option<String> {
    let lines: Vec<String> = descriptor
        .ports
        .iter()
        .filter(|port| port.publish == Publish::Internal)
        .filter_map(|port| {
            let address: SocketAddr = outputs
                .get(&format!("address_{}", port.name.replace('-', "_")))?
                .parse()
                .ok()?;
            Some(format!("{}={address}", port.name))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use pilotage_descriptor::Source;

    use super::*;

    #[test]
    fn internal_ports_are_asked_where_they_were_proved_and_others_where_users_ask() {
        let text = "version: \"1\"\ndomain: shop.example.com\nports:\n  - {name: http, port: 80, publish: proxy}\n  \
                    - {name: admin, port: 81}\n  - {name: version, port: 82}\n";
        let descriptor = Descriptor::read(&Source::new("shop.yaml", text)).unwrap();
        let outputs = [
            ("address_http", "10.0.0.2:80"),
            ("address_admin", "10.0.0.2:81"),
            ("version", "10.0.0.2:82"),
        ];
        let outputs: BTreeMap<String, String> = outputs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(
            addresses(&descriptor, &outputs).as_deref(),
            Some("admin=10.0.0.2:81"),
            "a port is never taken for another output"
        );
        assert_eq!(addresses(&descriptor, &BTreeMap::new()), None);
    }
}
