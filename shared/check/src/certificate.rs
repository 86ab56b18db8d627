use crate::verdict::{Class, Said, Verdict};

/// What the certificate of a server says of itself. It was verified before: name, time and authority are in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The names it is for; the first few of many.
    pub names: String,
    /// The last day it is good on, in UTC: `2027-01-31`.
    pub ends: String,
    /// Whole days from the try to its end; below zero when it is over.
    pub days_left: i64,
}

/// The verdict on an answer when its certificate has to be good for `min_days` more. An answer that is not as expected
/// explains more than its certificate, and stays as it was judged.
pub(crate) fn lasting(verdict: Verdict, min_days: Option<u32>, certificate: Option<&Certificate>) -> Verdict {
    let (Some(min_days), Verdict::Good { said, version }) = (min_days, &verdict) else {
        return verdict;
    };
    let Some(certificate) = certificate else {
        return Verdict::Bad(
            Said {
                key: "no certificate".to_owned(),
                text: format!(
                    "{}, but without TLS, and a certificate good for {min_days} more days is expected",
                    said.text
                ),
            },
            Class::Terminal,
        );
    };
    let Certificate {
        names,
        ends,
        days_left,
    } = certificate;
    if *days_left >= i64::from(min_days) {
        return Verdict::Good {
            said: Said {
                key: said.key.clone(),
                text: format!("{}, certificate of {names} good until {ends}", said.text),
            },
            version: version.clone(),
        };
    }
    Verdict::Bad(
        Said {
            key: format!("certificate ends {ends}"),
            text: format!(
                "{}, but the certificate of {names} ends on {ends}, in {days_left} days, where {min_days} are required",
                said.text
            ),
        },
        Class::Terminal,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(days_left: Option<i64>, min_days: Option<u32>) -> (bool, String) {
        let certificate = days_left.map(|days_left| Certificate {
            names: "shop.example.com".to_owned(),
            ends: "2027-01-31".to_owned(),
            days_left,
        });
        let good = Verdict::Good {
            said: Said {
                key: "200".to_owned(),
                text: "200".to_owned(),
            },
            version: None,
        };
        let verdict = lasting(good, min_days, certificate.as_ref());
        assert!(
            verdict.is_good() || verdict.terminal(),
            "waiting makes no certificate longer"
        );
        (verdict.is_good(), verdict.said().text.clone())
    }

    #[test]
    fn a_certificate_has_to_last_as_long_as_asked() {
        assert_eq!(
            verdict(Some(14), Some(14)),
            (
                true,
                "200, certificate of shop.example.com good until 2027-01-31".to_owned()
            )
        );
        assert_eq!(
            verdict(Some(13), Some(14)),
            (
                false,
                "200, but the certificate of shop.example.com ends on 2027-01-31, in 13 days, where 14 are required"
                    .to_owned()
            )
        );
        assert_eq!(verdict(Some(-1), None), (true, "200".to_owned()), "nobody asked");
        let (good, text) = verdict(None, Some(14));
        assert!(!good && text.contains("without TLS"), "{text}");
    }
}
