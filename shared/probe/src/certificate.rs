use pilotage_check::Certificate;
use pilotage_clock::Clock;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: i64 = 24 * 60 * 60;
/// Names shown of a certificate that has many.
const NAMES: usize = 3;

/// What a certificate (DER) says of itself; none of something that cannot be read, which no handshake accepts.
pub(crate) fn certificate(der: &[u8], clock: &Clock) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let ends = parsed.validity().not_after;
    Some(Certificate {
        names: names(&parsed),
        ends: ends.to_datetime().date().to_string(),
        days_left: (ends.timestamp() - clock.now().as_second()).div_euclid(DAY),
    })
}

/// RFC 9525: the alternative names are what a server is known by; the subject is told only where there is none.
fn names(certificate: &X509Certificate<'_>) -> String {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let known: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ip(bytes),
            _ => None,
        })
        .collect();
    match known.len() {
        0 => certificate.subject().to_string(),
        all if all > NAMES => format!("{} and {} more names", known[..NAMES].join(", "), all - NAMES),
        _ => known.join(", "),
    }
}

fn ip(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()))
        .ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn told(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 31);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let clock = Clock::fixed("2027-01-21T12:00:00Z".parse().unwrap());
        certificate(made.der(), &clock).unwrap()
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let shop = told(&["shop.example.com", "127.0.0.1"]);
        assert_eq!(shop.names, "shop.example.com, 127.0.0.1");
        assert_eq!(
            (shop.ends.as_str(), shop.days_left),
            ("2027-01-31", 9),
            "whole days"
        );
        assert_eq!(
            told(&["a.x", "b.x", "c.x", "d.x", "e.x"]).names,
            "a.x, b.x, c.x and 2 more names"
        );
        assert!(told(&[]).names.contains("CN="), "{}", told(&[]).names);
        assert_eq!(certificate(b"no DER", &Clock::system()), None);
    }
}
