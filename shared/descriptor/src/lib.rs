//! The descriptor: what one service should be, resolved for one environment.
//!
//! Text becomes a tree with places, the tree is merged with each environment's overlay, decoded and checked; every
//! problem of every environment is told at once. What comes out of [`Parsed::resolve`] is valid.
//!
//! ```
//! use pilotage_descriptor::{Source, parse};
//!
//! let source = Source::new("services/shop.yaml", "\
//! version: \"1.4.2\"
//! image: registry.example.com/shop
//! ports: [{name: http, port: 8080, publish: proxy}]
//! domain: shop.example.com
//! healthcheck: {endpoints: [{http: /health}]}
//! environments:
//!   qa: {domain: shop.qa.example.com}
//! ");
//! let service = "shop".parse().unwrap();
//! let parsed = parse(&source).for_service(&service);
//! assert!(parsed.check(&["qa".parse().unwrap(), "prod".parse().unwrap()]).is_empty());
//!
//! let shop = parsed.resolve(&"qa".parse().unwrap()).unwrap();
//! assert_eq!(shop.port("http").unwrap().routes[0].host.as_str(), "shop.qa.example.com");
//! assert!(shop.config_hash().starts_with("v1:"));
//! ```

mod answer;
mod capture;
mod descriptor;
mod email;
mod file;
mod hash;
mod healthcheck;
mod host;
mod image;
mod normal;
mod parsed;
mod path;
mod placeholder;
mod port;
mod rule;
mod rules;
mod salvage;
mod schema;
mod secret;
mod smoke;
mod variable;
mod version;
mod view;
mod write;

pub use answer::Answer;
pub use capture::Capture;
pub use descriptor::{Descriptor, Kind, Maintainer, Notify, Regression, Resources, Signal, State, Stop};
pub use email::is_email;
pub use file::FileSource;
pub use hash::canonical_hash;
pub use healthcheck::{Ask, Endpoint, Healthcheck, Tls};
pub use host::{Host, HostPort};
pub use image::Image;
pub use parsed::{LIMITS, Parsed, parse};
pub use path::{FOLDER, PathError, path_of, service_of};
pub use pilotage_yaml::{Diagnostic, Diagnostics, Source};
pub use placeholder::{fill, placeholders};
pub use port::{Port, Publish, Route};
pub use salvage::{Salvaged, salvage};
pub use schema::schema;
pub use secret::SecretSource;
pub use smoke::{Method, SmokeRequest};
pub use version::Version;
