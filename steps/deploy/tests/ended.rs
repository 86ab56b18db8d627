//! An instance that ended before it was asked anything, on a target that takes its time to say so.

#![expect(
    clippy::unwrap_used,
    reason = "what a test is made from is written in the test"
)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pilotage_check::Observation;
use pilotage_deploy::capability::Capabilities;
use pilotage_deploy::desired::{Desired, Identity, Labels};
use pilotage_deploy::error::TargetError;
use pilotage_deploy::live::{InstanceId, Live, Replica};
use pilotage_deploy::operation::Operation;
use pilotage_deploy::port::{Evidence, Found, Setback, Target};
use pilotage_deploy::prove::{Depth, prove};
use pilotage_descriptor::{Descriptor, Source, parse};
use pilotage_http::HttpSettings;
use pilotage_probe::Prober;

/// Longer than a target is given that cannot be reached for a reason nobody knows.
const SLOW: Duration = Duration::from_millis(1500);

/// Its instance cannot be reached, and has ended or hangs.
struct Gone {
    ended: bool,
}

impl Target for Gone {
    type Claim = ();

    fn capabilities(&self) -> Capabilities {
        pilotage_deploy::adapter::process::CAPABILITIES
    }

    async fn digest(&self, _: &Descriptor) -> Result<String, TargetError> {
        Ok(String::new())
    }

    async fn claim(&self, _: &Labels) -> Result<(), TargetError> {
        Ok(())
    }

    async fn release(&self, (): ()) {}

    async fn observe(&self, _: Option<&Descriptor>) -> Result<Live, TargetError> {
        Ok(Live::default())
    }

    async fn apply(&self, _: &Operation, _: &Desired) -> Result<(), TargetError> {
        Ok(())
    }

    async fn reach(&self, Replica { instance, .. }: Replica, _: &str) -> Result<SocketAddr, TargetError> {
        Err(match self.ended {
            true => TargetError::Ended { instance },
            false => TargetError::Instance {
                instance,
                reason: "has no address".to_owned(),
            },
        })
    }

    async fn execute(&self, _: Replica, _: &[String], _: Duration) -> Observation {
        std::future::pending().await
    }

    async fn find(&self, _: &str, _: &Desired) -> Result<Found, TargetError> {
        Ok(Found::Adopted(InstanceId(1)))
    }

    async fn adopt(&self, _: &str, _: InstanceId, _: &Identity, _: &Desired) -> Result<(), TargetError> {
        Ok(())
    }

    async fn peer(&self, _: &str) -> Option<IpAddr> {
        None
    }

    async fn ended(&self, _: Replica) -> Setback {
        if !self.ended {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SLOW).await;
        Setback::new("it ended with exit code 7; the last it said:\nout of luck")
    }

    async fn stranger(&self, _: Replica, _: &str) -> Option<Setback> {
        None
    }

    async fn said(&self, _: Replica) -> String {
        String::new()
    }

    async fn evidence(&self, of: Replica) -> Result<Evidence, TargetError> {
        Err(TargetError::Ended {
            instance: of.instance,
        })
    }

    async fn outputs(&self, _: InstanceId) -> Vec<(String, String)> {
        Vec::new()
    }
}

async fn ask(target: &Gone) -> Result<pilotage_deploy::prove::Proved, TargetError> {
    let source = Source::new(
        "services/shop.yaml",
        "version: \"1.0.0\"\nports: [{name: http, port: 8080}]\n",
    );
    let descriptor = parse(&source)
        .for_service(&"shop".parse().unwrap())
        .resolve(&"qa".parse().unwrap())
        .unwrap();
    let prober = Prober::new(&HttpSettings {
        system_roots: false,
        ..HttpSettings::default()
    })
    .unwrap();
    prove(target, &prober, &descriptor, InstanceId(3).into(), Depth::Whole).await
}

#[tokio::test]
async fn that_it_ended_before_the_first_question_is_a_no_with_its_last_words() {
    let proved = ask(&Gone { ended: true }).await.unwrap();
    assert!(!proved.good && !proved.again);
    assert_eq!(proved.checks[0].name, "alive");
    assert!(
        proved.checks[0].reason.contains("out of luck"),
        "{:?}",
        proved.checks
    );
}

#[tokio::test]
async fn one_that_cannot_be_reached_and_goes_on_is_no_answer() {
    let error = ask(&Gone { ended: false }).await.unwrap_err();
    assert_eq!(error.to_string(), "instance #3 has no address");
}
