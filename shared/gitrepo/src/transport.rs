use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::Arc;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};

use crate::http::{Answer, Http};
use crate::operation::{Operation, Server};

thread_local! {
    /// The operation that libgit2 is running on this thread. libgit2 creates transports on the thread of the call and
    /// gives them nothing but the URL, so what belongs to the call is found here.
    static CURRENT: RefCell<Option<Arc<Operation>>> = const { RefCell::new(None) };
}

/// Runs libgit2 calls over `operation`.
pub(crate) fn over<T>(operation: &Arc<Operation>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<Operation>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(operation))));
    work()
}

/// Makes libgit2 speak HTTP and SSH through this crate. Called once per process.
#[expect(
    unsafe_code,
    reason = "libgit2's table of transports is process-wide; the caller's `Once` guards it"
)]
pub(crate) fn register() {
    for (scheme, stateless) in [("http", true), ("https", true), ("ssh", false)] {
        // SAFETY: called from one `Once`, before any transport of this process is created here.
        let registered = unsafe {
            git2::transport::register(scheme, move |remote| {
                let operation = CURRENT.with_borrow(Clone::clone).ok_or_else(|| {
                    git2::Error::from_str("a network is only spoken to inside an operation of this crate")
                })?;
                Transport::smart(remote, stateless, Subtransport { operation })
            })
        };
        if let Err(error) = registered {
            tracing::warn!(%error, scheme, "a transport could not be registered");
        }
    }
}

struct Subtransport {
    operation: Arc<Operation>,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match &self.operation.server {
            Server::Http(http) => self.over_http(http, service),
            // The advertisement and what follows it are one stream, which libgit2 keeps.
            Server::Ssh(ssh) => {
                let program = match service {
                    Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
                    Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
                };
                let channel = ssh.run(&self.operation, program, false);
                Ok(Box::new(channel.map_err(|error| self.failed(error))?))
            }
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

impl Subtransport {
    fn over_http(
        &self,
        http: &Arc<Http>,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let listed = |service| {
            let answer = http.advertisement(&self.operation, service);
            answer.map_err(|error| self.failed(error))
        };
        let exchange = |service| Exchange::new(http, &self.operation, service);
        Ok(match service {
            Service::UploadPackLs => Box::new(Listed(listed("git-upload-pack")?)),
            Service::ReceivePackLs => Box::new(Listed(listed("git-receive-pack")?)),
            Service::UploadPack => Box::new(exchange("git-upload-pack")),
            Service::ReceivePack => Box::new(exchange("git-receive-pack")),
        })
    }

    /// Keeps the error with its type and gives libgit2 its text.
    fn failed(&self, error: crate::Error) -> git2::Error {
        let text = git2::Error::from_str(&error.to_string().replace('\0', " "));
        self.operation.note(error);
        text
    }
}

/// The advertisement: only read.
struct Listed(Answer);

impl Read for Listed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Listed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("an advertisement takes no input"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One request and its answer: everything is written before the first byte is read.
struct Exchange {
    http: Arc<Http>,
    operation: Arc<Operation>,
    service: &'static str,
    request: Vec<u8>,
    answer: Option<Answer>,
}

impl Exchange {
    fn new(http: &Arc<Http>, operation: &Arc<Operation>, service: &'static str) -> Self {
        Self {
            http: Arc::clone(http),
            operation: Arc::clone(operation),
            service,
            request: Vec::new(),
            answer: None,
        }
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            none => {
                let request = std::mem::take(&mut self.request);
                let answer = self
                    .http
                    .call(&self.operation, self.service, request)
                    .map_err(|error| {
                        let text = error.to_string().replace('\0', " ");
                        self.operation.note(error);
                        io::Error::other(text)
                    })?;
                none.insert(answer)
            }
        };
        answer.read(buffer)
    }
}
