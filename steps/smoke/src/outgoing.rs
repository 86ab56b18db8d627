//! A request with every captured value in its place, and where a redirect leads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pilotage_check::{Assertion, HttpExpectation, Rule};
use pilotage_config::Allow;
use pilotage_descriptor::{fill, placeholders};
use pilotage_probe::{Address, HttpRequest, RequestError, Scheme};
use serde_json::Value;
use url::Url;

use crate::RequestPlan;

/// RFC 3986, section 2.3: what needs no encoding anywhere in a path or query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Headers that say nothing of whoever sends them, and may follow a redirect to another host.
const HARMLESS: [&str; 3] = ["accept", "accept-language", "user-agent"];

/// Captured values by their names.
pub(crate) type Values = BTreeMap<String, String>;

/// What is sent next. Built from a plan and moved on by redirects.
#[derive(Clone)]
pub(crate) struct Outgoing {
    method: String,
    url: Url,
    pub(crate) at: Address,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

fn filled(text: &str, values: &Values) -> String {
    fill(text, |name| values.get(name).map(String::as_str))
}

/// A path whose captured values are one segment or one part of the query each, whatever is in them.
fn filled_path(template: &str, values: &Values) -> Result<String, String> {
    let encoded: Values = placeholders(template)
        .filter_map(|(_, name)| Some((name, values.get(name)?)))
        .map(|(name, value)| {
            (
                name.to_owned(),
                utf8_percent_encode(value, UNRESERVED).to_string(),
            )
        })
        .collect();
    let path = filled(template, &encoded);
    let mut segments = path.split(['?']).next().unwrap_or_default().split('/');
    if !encoded.is_empty() && segments.any(|segment| matches!(segment, "." | "..")) {
        return Err("a captured value would lead the path elsewhere".to_owned());
    }
    Ok(path)
}

impl Outgoing {
    /// The request of a plan.
    ///
    /// # Errors
    /// Why it cannot be sent with these values.
    pub(crate) fn of(plan: &RequestPlan, values: &Values) -> Result<Self, String> {
        let target = &plan.target;
        let path = filled_path(&target.path, values)?;
        let headers = plan
            .headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
            .map(|(name, value)| (name.clone(), filled(value, values)))
            .collect();
        let host = plan
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority = host.map_or(target.authority.clone(), |(_, host)| filled(host, values));
        // Checked by the very type that is sent.
        HttpRequest::get(target.scheme, &authority, &path, []).map_err(|error| error.to_string())?;
        let url = Url::parse(&format!("{}://{authority}{path}", target.scheme))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            method: plan.method.token(),
            url,
            at: target.at.clone(),
            headers,
            body: plan.body.as_deref().map(|body| filled(body, values)),
        })
    }

    /// As it is sent.
    ///
    /// # Errors
    /// When a captured value cannot stand in a header.
    pub(crate) fn request(&self) -> Result<HttpRequest, RequestError> {
        let mut path = self.url.path().to_owned();
        if let Some(query) = self.url.query() {
            let _ = write!(path, "?{query}");
        }
        let scheme = match self.url.scheme() {
            "https" => Scheme::Https,
            _ => Scheme::Http,
        };
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        HttpRequest::get(scheme, &authority(&self.url), &path, headers)?
            .sending(&self.method, self.body.clone())
    }

    /// Where a redirect leads it. `away` says which other hosts it may lead to; without it, to all.
    ///
    /// # Errors
    /// Why it is not followed.
    pub(crate) fn redirected(
        &self,
        status: u16,
        location: &str,
        away: Option<&Allow>,
    ) -> Result<Self, String> {
        let shown = || pilotage_diagnostic::printable(location);
        let mut url = self
            .url
            .join(location)
            .map_err(|_| format!("{status} to `{}`, which is no URL", shown()))?;
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return Err(format!("{status} to `{}`, which is not followed", shown()));
        }
        let mut next = Self { url, ..self.clone() };
        // RFC 9110, section 15.4: 303 asks for the answer by a GET; after 301 and 302 everyone does so with a POST.
        let by_get = (status == 303 && self.method != "HEAD")
            || (matches!(status, 301 | 302) && self.method == "POST");
        if by_get {
            "GET".clone_into(&mut next.method);
            next.body = None;
            next.headers
                .retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        if next.url.origin() == self.url.origin() {
            return Ok(next);
        }
        if away.is_some_and(|allow| !allow.url(next.url.as_str())) {
            return Err(format!(
                "{status} to `{}`, another host, which the environment does not allow",
                shown()
            ));
        }
        if next.body.is_some() {
            return Err(format!(
                "{status} to `{}`, another host, which would get the body",
                shown()
            ));
        }
        next.headers
            .retain(|(name, _)| HARMLESS.contains(&name.to_ascii_lowercase().as_str()));
        let host = next.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = next.url.port_or_known_default().unwrap_or(80);
        next.at = Address::new(host, port);
        Ok(next)
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What the answer has to be, with every captured value in its place.
pub(crate) fn expected(plan: &RequestPlan, values: &Values) -> (HttpExpectation, Vec<Assertion>) {
    let rule = |rule: &Rule| match rule {
        Rule::Is(Value::String(text)) => Rule::Is(Value::from(filled(text, values))),
        Rule::Contains(text) => Rule::Contains(filled(text, values)),
        other => other.clone(),
    };
    let assertions = plan.assertions.iter().map(|assertion| match assertion {
        Assertion::Header(name, wanted) => Assertion::Header(name.clone(), rule(wanted)),
        Assertion::Json(path, wanted) => Assertion::Json(path.clone(), rule(wanted)),
        other => other.clone(),
    });
    let expectation = HttpExpectation {
        status: plan.status.clone(),
        contains: plan.contains.as_deref().map(|text| filled(text, values)),
        version: plan.version.clone(),
        min_days: None,
    };
    (expectation, assertions.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pilotage_descriptor::Method;

    use super::*;
    use crate::Target;

    fn plan(method: Method, path: &str) -> RequestPlan {
        RequestPlan {
            name: "x".into(),
            method,
            target: Target {
                scheme: Scheme::Http,
                authority: "shop.example.com".into(),
                path: path.into(),
                at: "127.0.0.1:18080".parse().unwrap(),
                found: "front door",
            },
            headers: BTreeMap::new(),
            body: None,
            status: pilotage_check::StatusSet::default(),
            contains: None,
            version: None,
            assertions: Vec::new(),
            captures: BTreeMap::new(),
            needs: BTreeMap::new(),
            waits_for: BTreeSet::new(),
            redirects: 0,
            retries: 0,
        }
    }

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_captured_value_is_one_segment_whatever_is_in_it() {
        let plan = plan(Method::Get, "/orders/{{id}}?t={{token}}");
        let path = |id: &str, token: &str| {
            Outgoing::of(&plan, &values(&[("id", id), ("token", token)]))
                .map(|outgoing| outgoing.request().unwrap().path())
        };
        assert_eq!(path("7", "a b&c=d#e").unwrap(), "/orders/7?t=a%20b%26c%3Dd%23e");
        assert_eq!(
            path("../admin?x", "é").unwrap(),
            "/orders/..%2Fadmin%3Fx?t=%C3%A9"
        );
        assert!(path("..", "").is_err() && path(".", "").is_err());
    }

    #[test]
    fn a_header_that_a_value_would_break_is_not_sent() {
        let mut plan = plan(Method::Get, "/");
        plan.headers.insert("Authorization".into(), "Bearer {{t}}".into());
        let outgoing = Outgoing::of(&plan, &values(&[("t", "a\r\nX-Evil: 1")])).unwrap();
        assert!(matches!(outgoing.request(), Err(RequestError::Header(_))));
    }

    #[test]
    fn redirects_stay_with_the_service_unless_granted() {
        let mut plan = plan(Method::Post, "/login");
        plan.body = Some("user=a".into());
        plan.headers = [
            ("Authorization", "Bearer x"),
            ("Accept", "text/html"),
            ("Content-Type", "text/x"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let outgoing = Outgoing::of(&plan, &Values::new()).unwrap();
        let nothing = Allow::default();
        let next = outgoing.redirected(302, "/home?a=1#top", Some(&nothing)).unwrap();
        assert_eq!(
            (next.method.as_str(), next.url.as_str()),
            ("GET", "http://shop.example.com/home?a=1")
        );
        assert_eq!(
            (next.at.to_string().as_str(), next.body.is_none()),
            ("127.0.0.1:18080", true)
        );
        let names: Vec<&str> = next.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Accept", "Authorization"]);
        let kept = outgoing
            .redirected(307, "http://shop.example.com/v2", Some(&nothing))
            .unwrap();
        assert_eq!(
            (kept.method.as_str(), kept.body.as_deref()),
            ("POST", Some("user=a"))
        );

        // Another host, another port and another scheme are all elsewhere.
        for elsewhere in [
            "http://169.254.169.254/",
            "https://shop.example.com/",
            "//shop.example.com:81/",
        ] {
            assert!(
                outgoing.redirected(302, elsewhere, Some(&nothing)).is_err(),
                "{elsewhere}"
            );
        }
        let granted = Allow {
            urls: vec!["https://shop.example.com/*".into()],
            ..Allow::default()
        };
        let next = outgoing
            .redirected(303, "https://shop.example.com/home", Some(&granted))
            .unwrap();
        assert_eq!(next.at.to_string(), "shop.example.com:443");
        let names: Vec<&str> = next.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["Accept"],
            "what was written for the service stays with it"
        );
        assert!(
            outgoing
                .redirected(308, "https://shop.example.com/home", Some(&granted))
                .is_err(),
            "the body stays"
        );
        assert!(
            outgoing
                .redirected(302, "http://other.example.com/", None)
                .is_ok()
        );
        for bad in ["ftp://x/", "http://u:p@shop.example.com/", "http://["] {
            assert!(outgoing.redirected(302, bad, None).is_err(), "{bad}");
        }
    }
}
