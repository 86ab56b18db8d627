use std::sync::{Once, OnceLock};

use git2::opts;
use tokio::runtime::Runtime;

/// Makes libgit2 independent of this machine, once per process: no configuration of the user or the system (which
/// could redirect URLs or name helpers), and no check of who owns a repository.
#[expect(
    unsafe_code,
    reason = "libgit2's process-wide options are set before any repository is opened here"
)]
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let levels = [
            git2::ConfigLevel::System,
            git2::ConfigLevel::Global,
            git2::ConfigLevel::XDG,
            git2::ConfigLevel::ProgramData,
        ];
        for level in levels {
            // SAFETY: guarded by the `Once`; an empty search path is always valid.
            if let Err(error) = unsafe { opts::set_search_path(level, "") } {
                tracing::warn!(%error, "the machine's git configuration could not be switched off");
            }
        }
        // SAFETY: guarded by the `Once`. The owner check protects against hooks and configured programs, and none is
        // ever run here; containers often see repositories of other users.
        if let Err(error) = unsafe { opts::set_verify_owner_validation(false) } {
            tracing::warn!(%error, "libgit2's owner check could not be switched off");
        }
        crate::transport::register();
    });
}

/// The runtime behind the blocking calls. One thread serves all connections of the process; the calling threads wait.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gitrepo-network")
            .enable_all()
            .build();
        match built {
            Ok(runtime) => runtime,
            #[expect(
                clippy::panic,
                reason = "a machine that cannot start one thread cannot do anything else either"
            )]
            Err(error) => panic!("no thread for network work: {error}"),
        }
    })
}
