use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::words::End;
use super::{Session, Ssh};
use crate::operation::Operation;
use crate::{Error, machine};

/// A flush packet, which ends conversations and changes nothing.
const GOODBYE: &[u8] = b"0000";
/// What the server may say to itself while we are writing, in packets, before it has to wait.
const QUEUED: usize = 4096;

/// A program that runs on the server for one operation: its input and output as a stream, within the operation's limits.
pub(crate) struct Channel {
    ssh: Arc<Ssh>,
    operation: Arc<Operation>,
    session: Arc<Session>,
    program: &'static str,
    reading: ChannelReadHalf,
    /// Taken when the channel is closed.
    writing: Option<ChannelWriteHalf<Msg>>,
    queued: VecDeque<ChannelMsg>,
    chunk: Bytes,
    taken: u64,
    end: End,
    ended: bool,
    broken: bool,
}

impl Channel {
    pub(super) fn open(
        ssh: &Arc<Ssh>,
        operation: &Arc<Operation>,
        session: &Arc<Session>,
        program: &'static str,
        v2: bool,
        patience: Duration,
    ) -> Result<Self, Error> {
        let command = ssh.address.command(program);
        let started = operation.wait(async {
            let work = async {
                let (reading, writing) = session.handle().channel_open_session().await?.split();
                if v2 {
                    // Servers that do not take the variable answer in version 0.
                    writing.set_env(false, "GIT_PROTOCOL", "version=2").await?;
                }
                writing.exec(true, command).await?;
                Ok((reading, writing))
            };
            tokio::time::timeout(patience, work).await
        })?;
        let unavailable = |detail: String| Error::Unavailable {
            url: operation.url(),
            detail,
        };
        let (reading, writing) = match started {
            Ok(Ok(halves)) => halves,
            Ok(Err(error)) => return Err(session.failed(operation, &error)),
            Err(_) => {
                let seconds = patience.as_secs_f32();
                return Err(unavailable(format!("the server was silent for {seconds} s")));
            }
        };
        operation.meter.requests.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            ssh: Arc::clone(ssh),
            operation: Arc::clone(operation),
            session: Arc::clone(session),
            program,
            reading,
            writing: Some(writing),
            queued: VecDeque::new(),
            chunk: Bytes::new(),
            taken: 0,
            end: End::default(),
            ended: false,
            broken: false,
        })
    }

    /// The next piece of output; nothing at its proper end.
    fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.ended {
            let message = match self.queued.pop_front() {
                Some(message) => Some(message),
                None if self.operation.is_over() => return Err(self.operation.deadline_passed()),
                None => self.operation.wait(self.reading.wait())?,
            };
            match message {
                Some(ChannelMsg::Data { data }) if data.is_empty() => {}
                Some(ChannelMsg::Data { data }) => {
                    self.count(&data)?;
                    return Ok(Some(data));
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.count(&data)?;
                    self.end.hear(&data);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.end.status = Some(exit_status),
                Some(ChannelMsg::Failure) => {
                    return Err(self
                        .operation
                        .refused(format!("it does not run {}", self.program)));
                }
                Some(ChannelMsg::Close) | None => self.ended = true,
                Some(_) => {}
            }
        }
        if self.end.status == Some(0) && self.taken > 0 {
            return Ok(None);
        }
        let (url, told) = (self.operation.url(), self.operation.told());
        Err(self.end.meaning(&url, self.program, told))
    }

    fn count(&mut self, data: &Bytes) -> Result<(), Error> {
        let length = data.len() as u64;
        self.taken += length;
        self.operation.meter.received.fetch_add(length, Ordering::Relaxed);
        let most = self.operation.limits.bytes;
        if self.taken > most {
            let what = format!("the answer of {}", self.operation.url());
            return Err(Error::TooLarge { what, most });
        }
        Ok(())
    }

    /// Sends bytes. What the server says meanwhile is kept, or it would stop reading.
    fn send(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.operation.is_over() {
            return Err(self.operation.deadline_passed());
        }
        let Self {
            reading,
            writing: Some(writing),
            queued,
            ended,
            ..
        } = self
        else {
            return Ok(());
        };
        let sent = self.operation.wait(async {
            let mut sending = std::pin::pin!(writing.data_bytes(bytes));
            loop {
                let hears = !*ended && queued.len() < QUEUED;
                tokio::select! {
                    sent = &mut sending => return sent.is_ok(),
                    message = reading.wait(), if hears => match message {
                        Some(message) => queued.push_back(message),
                        None => *ended = true,
                    },
                }
            }
        })?;
        if sent {
            return Ok(());
        }
        // The reason, where there is one, has been said or is about to be.
        while self.next_chunk()?.is_some() {}
        Err(Error::Unavailable {
            url: self.operation.url(),
            detail: format!("{} ended too early", self.program),
        })
    }

    /// Notes what went wrong with its type, for libgit2 keeps the text only.
    fn give_up(&mut self, error: Error) -> io::Error {
        self.broken = true;
        // A NUL in this text would end the process inside libgit2's bindings.
        let text = error.to_string().replace('\0', " ");
        self.operation.note(error);
        io::Error::other(text)
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            match self.next_chunk() {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(self.give_up(error)),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let goodbye = bytes == GOODBYE;
        if goodbye && (self.ended || self.broken) {
            return Ok(bytes.len());
        }
        if !goodbye && self.program == "git-receive-pack" {
            self.operation.tell();
        }
        match self.send(Bytes::copy_from_slice(bytes)) {
            Ok(()) => {
                let sent = bytes.len() as u64;
                self.operation.meter.sent.fetch_add(sent, Ordering::Relaxed);
                Ok(bytes.len())
            }
            // Whether it was heard shows when the answer is read, if one is expected.
            Err(_) if goodbye => Ok(bytes.len()),
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.broken {
            // Other operations make a connection of their own from now on; one that hangs would cost each of them its limit.
            self.ssh.discard(&self.session);
        }
        if let Some(writing) = self.writing.take() {
            let session = Arc::clone(&self.session);
            machine::runtime().spawn(async move {
                let work = async {
                    writing.eof().await?;
                    writing.close().await
                };
                let _ = tokio::time::timeout(super::KEPT_PATIENCE, work).await;
                drop(session);
            });
        }
    }
}
