use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use pilotage_config::{Mail, MailTls};
use pilotage_diagnostic::printable;
use pilotage_secret::Secret;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::post::{MailFailure, PostOffice, Stage};

/// More connections than this at once look like an attack to many servers.
const AT_ONCE: usize = 4;
/// What a server says is shown up to here.
const LONGEST_ANSWER: usize = 300;

/// A mail server, by lettre.
pub(crate) struct Smtp {
    mail: Mail,
    login: Option<(String, Secret)>,
    tls: Option<TlsParameters>,
    step_timeout: Duration,
    at_once: Semaphore,
}

/// Why no mail server can be spoken to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SmtpError {
    #[error("the mail server's TLS cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("a password would go to the mail server `{0}` in the open")]
    OpenPassword(String),
}

impl Smtp {
    /// `roots` are the trusted certificates in DER; `step_timeout` is the time for each part of a conversation.
    pub(crate) fn new(
        mail: Mail,
        login: Option<(String, Secret)>,
        roots: Vec<Vec<u8>>,
        step_timeout: Duration,
    ) -> Result<Self, SmtpError> {
        let tls = match mail.tls {
            MailTls::None if login.is_some() && !mail.is_loopback() => {
                return Err(SmtpError::OpenPassword(mail.host));
            }
            MailTls::None => None,
            MailTls::Starttls | MailTls::Smtps => {
                let mut builder =
                    TlsParametersBuilder::new(mail.host.clone()).certificate_store(CertificateStore::None);
                for root in roots {
                    builder =
                        builder.add_root_certificate(Certificate::from_der(root).map_err(SmtpError::Tls)?);
                }
                Some(builder.build_rustls().map_err(SmtpError::Tls)?)
            }
        };
        Ok(Self {
            mail,
            login,
            tls,
            step_timeout,
            at_once: Semaphore::new(AT_ONCE),
        })
    }

    /// Which server, and who writes.
    pub(crate) fn settings(&self) -> &Mail {
        &self.mail
    }

    /// Whether it is logged in to.
    pub(crate) fn logs_in(&self) -> bool {
        self.login.is_some()
    }

    /// One part of a conversation, within its time.
    async fn step<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, MailFailure> {
        match timeout(self.step_timeout, work).await {
            Ok(done) => done.map_err(|error| failure(stage, &error)),
            Err(_) => Err(MailFailure::NoAnswer {
                stage,
                told: format!("no answer within {} ms", self.step_timeout.as_millis()),
            }),
        }
    }

    /// A connection that is protected as asked and logged in.
    async fn open(&self) -> Result<AsyncSmtpConnection, MailFailure> {
        let server = (self.mail.host.as_str(), self.mail.port());
        let us = ClientId::default();
        let from_first_byte = match self.mail.tls {
            MailTls::Smtps => self.tls.clone(),
            MailTls::Starttls | MailTls::None => None,
        };
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.step_timeout), &us, from_first_byte, None);
        let mut connection = self.step(Stage::Connect, connecting).await?;
        if let (MailTls::Starttls, Some(tls)) = (self.mail.tls, &self.tls) {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(MailFailure::Unsafe {
                    stage: Stage::Tls,
                    told: "the mail server offers no STARTTLS".to_owned(),
                });
            }
            self.step(Stage::Tls, connection.starttls(tls.clone(), &us))
                .await?;
        }
        if let Some((user, password)) = &self.login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            self.step(Stage::Login, connection.auth(DEFAULT_MECHANISMS, &credentials))
                .await?;
        }
        Ok(connection)
    }

    /// The mail is out: how the goodbye goes matters no more.
    async fn close(&self, mut connection: AsyncSmtpConnection) {
        drop(timeout(self.step_timeout, connection.quit()).await);
    }
}

impl PostOffice for Smtp {
    async fn send(&self, mail: &lettre::Message) -> Result<(), MailFailure> {
        let _turn = self.at_once.acquire().await;
        let mut connection = self.open().await?;
        let bytes = mail.formatted();
        self.step(Stage::Deliver, connection.send(mail.envelope(), &bytes))
            .await?;
        self.close(connection).await;
        Ok(())
    }

    async fn greet(&self) -> Result<(), MailFailure> {
        let connection = self.open().await?;
        self.close(connection).await;
        Ok(())
    }
}

/// What lettre says, in the words of the rules of delivery.
fn failure(stage: Stage, error: &lettre::transport::smtp::Error) -> MailFailure {
    use std::error::Error as _;
    let mut told = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(code) = error.status() {
        told = format!("{code} {told}");
    }
    let mut told = printable(told.trim());
    if let Some((cut, _)) = told.char_indices().nth(LONGEST_ANSWER) {
        told.truncate(cut);
        told.push('…');
    }
    if error.is_transient() {
        MailFailure::NotNow { stage, told }
    } else if error.is_permanent() {
        MailFailure::No { stage, told }
    } else if error.is_tls() || told.contains("certificate") {
        let stage = Stage::Tls;
        MailFailure::Unsafe { stage, told }
    } else if error.is_client() {
        MailFailure::Unusable(format!("{stage}: {told}"))
    } else {
        MailFailure::NoAnswer { stage, told }
    }
}
