//! One deploy at a time changes a service.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::processes::{self, Process};
use super::state;
use crate::desired::Labels;
use crate::error::TargetError;
use crate::fingerprint::hex;

/// The service's lock; it falls with the process that holds it, however that ends.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

/// Who holds a lock, written into it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    start: u64,
    boot: String,
    fence: u64,
    release: Option<pilotage_name::ReleaseId>,
}

impl Holder {
    fn describe(&self) -> String {
        match &self.release {
            Some(release) => format!("the deploy of release {release} (process {})", self.pid),
            None => format!("another deploy (process {}, fence {})", self.pid, self.fence),
        }
    }
}

/// How long a holder that was ended may take to let go; the kernel does it, so that it is short.
const LET_GO: Duration = Duration::from_secs(5);
/// How long a fresh holder may take to write its name.
const NAMED: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(5);

/// Takes the lock at `path`. A holder with a lower fence is ended: its lease was taken over, so it either stands still
/// or would be refused at its next effect anyway.
pub(crate) async fn claim(path: &Path, labels: &Labels) -> Result<Claim, TargetError> {
    if let Some(parent) = path.parent() {
        state::make_dir(parent)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(TargetError::io("open", path))?;
    let mut waited = Duration::ZERO;
    let mut ended = false;
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(TargetError::io("lock", path)(error.into()));
        }
        // A holder that has not yet written its name, or has let go since: look again shortly.
        let holder = state::read::<Holder>(path).ok().flatten();
        match holder.filter(|holder| processes::runs(holder.pid, holder.start)) {
            Some(holder) if holder.fence < labels.fence && !ended => {
                tracing::warn!("ending {}, which this release supersedes", holder.describe());
                end(&holder);
                ended = true;
                waited = Duration::ZERO;
            }
            Some(holder) if holder.fence < labels.fence => {}
            Some(holder) => {
                return Err(TargetError::Busy {
                    holder: holder.describe(),
                });
            }
            None => {}
        }
        if waited > if ended { LET_GO } else { NAMED } {
            return Err(TargetError::Busy {
                holder: "another process".to_owned(),
            });
        }
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
    let me = processes::process(std::process::id());
    let holder = Holder {
        pid: std::process::id(),
        start: me.map_or(0, |me| me.start),
        boot: processes::boot_id(),
        fence: labels.fence,
        release: labels.release.clone(),
    };
    // In place: the lock belongs to this very file, a renamed one would be another lock.
    serde_json::to_vec(&holder)
        .map_err(std::io::Error::from)
        .and_then(|json| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&json)
        })
        .map_err(TargetError::io("write", path))?;
    Ok(Claim { _file: file })
}

/// Only the process itself: what it has started goes on, and is adopted or cleaned up by whoever comes next.
fn end(holder: &Holder) {
    processes::signal_one(
        Process {
            pid: holder.pid,
            start: holder.start,
            session: 0,
        },
        Signal::KILL,
    );
}

/// Random text that no other instance has.
pub(crate) fn salt() -> Result<String, TargetError> {
    use std::io::Read;
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(TargetError::io("read", path))?;
    Ok(hex(&bytes))
}
