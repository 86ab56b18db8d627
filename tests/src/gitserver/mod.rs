//! Real git for tests: repositories made by the `git` program, and a small HTTP server in front of `git http-backend`
//! that counts what it is asked and fails on demand.
//!
//! Everything is hermetic: no configuration of the machine or the user, fixed people and dates.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

mod backend;
mod exchange;
mod fault;
mod new_commit;
mod program;
mod repository;
mod server;

pub use fault::{Asked, Counts, Fault};
pub use new_commit::{NewCommit, Person};
pub use program::{EPOCH, git, git_command};
pub use repository::BareRepository;
pub use server::GitServer;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_git_can_clone_and_push() {
        let world = tempfile::tempdir().unwrap();
        let bare = BareRepository::init(&world.path().join("env.git"));
        let first = bare.commit("main", NewCommit::new("First").file("a b.yaml", "x: 1\n"));
        let server = GitServer::start(world.path());
        git(
            world.path(),
            &["clone", "--quiet", &server.url("env.git"), "clone"],
        );
        let clone = world.path().join("clone");
        assert_eq!(git(&clone, &["rev-parse", "HEAD"]), first);
        std::fs::write(clone.join("b.yaml"), "y: 2\n").unwrap();
        git(&clone, &["add", "."]);
        git(&clone, &["commit", "--quiet", "-m", "Second"]);
        git(&clone, &["push", "--quiet", "origin", "main"]);
        assert_eq!(bare.id("main"), git(&clone, &["rev-parse", "HEAD"]));
        assert!(server.counts().by_kind[&Asked::Push] >= 1);
    }
}
