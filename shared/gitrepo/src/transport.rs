use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::Arc;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};

use crate::connection::{Answer, Operation};

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

/// Makes libgit2 speak HTTP through the house's client. Called once per process.
#[expect(
    unsafe_code,
    reason = "libgit2's table of transports is process-wide; the caller's `Once` guards it"
)]
pub(crate) fn register() {
    for scheme in ["http", "https"] {
        // SAFETY: called from one `Once`, before any transport of this process is created here.
        let registered = unsafe {
            git2::transport::register(scheme, |remote| {
                let operation = CURRENT.with_borrow(Clone::clone).ok_or_else(|| {
                    git2::Error::from_str("HTTP is only spoken inside an operation of this crate")
                })?;
                Transport::smart(remote, true, Subtransport { operation })
            })
        };
        if let Err(error) = registered {
            tracing::warn!(%error, scheme, "the HTTP transport could not be registered");
        }
    }
}

struct Subtransport {
    operation: Arc<Operation>,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let operation = Arc::clone(&self.operation);
        let listed = |service| {
            operation.advertisement(service).map_err(|error| {
                let text = git2::Error::from_str(&error.to_string().replace('\0', " "));
                operation.note(error);
                text
            })
        };
        Ok(match service {
            Service::UploadPackLs => Box::new(Listed(listed("git-upload-pack")?)),
            Service::ReceivePackLs => Box::new(Listed(listed("git-receive-pack")?)),
            Service::UploadPack => Box::new(Exchange::new(operation, "git-upload-pack")),
            Service::ReceivePack => Box::new(Exchange::new(operation, "git-receive-pack")),
        })
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
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
    operation: Arc<Operation>,
    service: &'static str,
    request: Vec<u8>,
    answer: Option<Answer>,
}

impl Exchange {
    fn new(operation: Arc<Operation>, service: &'static str) -> Self {
        Self {
            operation,
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
                let answer = self.operation.call(self.service, request).map_err(|error| {
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
