use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use git2::{ErrorCode, ObjectType, Oid, Sort};
use tokio::time::Instant;

use crate::{Error, RefUpdate, Repository, UpdateResult, machine};

/// How long another program may hold the lock of one ref before we ask again.
const PAUSE: Duration = Duration::from_millis(2);

/// Moves refs of a repository on this machine. libgit2's own transport for paths writes refs without comparing, so the
/// objects are copied here and each ref is swapped under its lock.
pub(crate) fn push(
    path: &Path,
    from: &Repository,
    updates: &[RefUpdate],
    patience: Duration,
) -> Result<Vec<UpdateResult>, Error> {
    let to = Repository::open(path)?;
    let tips: Vec<Oid> = updates
        .iter()
        .map(|update| from.oid(&update.new))
        .collect::<Result<_, _>>()?;
    copy(from, &to, updates, &tips)?;
    updates.iter().map(|update| swap(&to, update, patience)).collect()
}

/// Copies what `tips` need and the other side does not already reach. Parents and contents come first, so an object that
/// is there never lacks what it names, wherever the copying is cut off.
fn copy(from: &Repository, to: &Repository, updates: &[RefUpdate], tips: &[Oid]) -> Result<(), Error> {
    let read = |error| from.failed("read objects", error);
    let write = |error| to.failed("write objects", error);
    let source = from.git.odb().map_err(read)?;
    let target = to.git.odb().map_err(write)?;
    let mut walk = from.git.revwalk().map_err(read)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)
        .map_err(read)?;
    for tip in tips {
        walk.push(*tip).map_err(read)?;
    }
    let mut bounded = true;
    for (update, tip) in updates.iter().zip(tips) {
        // What the other side has and we do not know cannot spare us anything.
        let known = |oid: &Oid| from.git.find_commit(*oid).is_ok() && to.git.find_commit(*oid).is_ok();
        match update
            .expected
            .as_ref()
            .map(|expected| from.oid(expected))
            .transpose()?
            .filter(known)
        {
            Some(expected) => walk.hide(expected).map_err(read)?,
            // A commit without parents begins something new.
            None => bounded &= from.git.find_commit(*tip).map_err(read)?.parent_count() == 0,
        }
    }
    if !bounded {
        for reference in to.git.references().map_err(write)?.flatten() {
            if let Some(oid) = reference.target()
                && from.git.find_commit(oid).is_ok()
            {
                walk.hide(oid).map_err(read)?;
            }
        }
    }
    let mut copied = HashSet::new();
    for commit in walk {
        let commit = from.git.find_commit(commit.map_err(read)?).map_err(read)?;
        let known = match commit.parent(0) {
            Ok(parent) => Some(parent.tree().map_err(read)?),
            Err(_) => None,
        };
        let tree = commit.tree().map_err(read)?;
        copy_tree(from, &source, to, &target, &tree, known.as_ref(), &mut copied)?;
        let object = source.read(commit.id()).map_err(read)?;
        target.write(ObjectType::Commit, object.data()).map_err(write)?;
    }
    Ok(())
}

/// Copies a tree without what its counterpart in the parent, which the other side has, holds at the same place.
fn copy_tree(
    from: &Repository,
    source: &git2::Odb<'_>,
    to: &Repository,
    target: &git2::Odb<'_>,
    tree: &git2::Tree<'_>,
    known: Option<&git2::Tree<'_>>,
    copied: &mut HashSet<Oid>,
) -> Result<(), Error> {
    let read = |error| from.failed("read objects", error);
    let write = |error| to.failed("write objects", error);
    if known.is_some_and(|known| known.id() == tree.id()) || !copied.insert(tree.id()) {
        return Ok(());
    }
    for entry in tree {
        let before = known.and_then(|known| known.get_name_bytes(entry.name_bytes()));
        if before.as_ref().is_some_and(|before| before.id() == entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let inner = from.git.find_tree(entry.id()).map_err(read)?;
                let before = before.and_then(|before| from.git.find_tree(before.id()).ok());
                copy_tree(from, source, to, target, &inner, before.as_ref(), copied)?;
            }
            Some(ObjectType::Blob) if copied.insert(entry.id()) => {
                let object = source.read(entry.id()).map_err(read)?;
                target.write(ObjectType::Blob, object.data()).map_err(write)?;
            }
            // The commit of a submodule belongs to another repository.
            _ => {}
        }
    }
    let object = source.read(tree.id()).map_err(read)?;
    target.write(ObjectType::Tree, object.data()).map_err(write)?;
    Ok(())
}

fn swap(to: &Repository, update: &RefUpdate, patience: Duration) -> Result<UpdateResult, Error> {
    if is_checked_out(to, update) {
        return Ok(UpdateResult::Refused(
            "the branch is checked out there; push to a bare repository".to_owned(),
        ));
    }
    if update.expected.is_none()
        && let Some(other) = in_the_way(to, update)?
    {
        return Ok(UpdateResult::Refused(format!("the ref {other} is in the way")));
    }
    let expected = match &update.expected {
        Some(expected) => to.oid(expected)?,
        // The zero id makes the swap create the ref only when it is absent, and that under its lock.
        None => Oid::ZERO_SHA1,
    };
    let new = to.oid(&update.new)?;
    let end = Instant::now() + patience;
    loop {
        let swapped =
            to.git
                .reference_matching(update.name.as_str(), new, true, expected, "pilotage: update");
        let error = match swapped {
            Ok(_) => return Ok(UpdateResult::Done),
            Err(error) => error,
        };
        match error.code() {
            ErrorCode::Modified | ErrorCode::NotFound | ErrorCode::Exists => {
                let actual = to.tip(&update.name)?;
                if actual.as_ref() == Some(&update.new) {
                    return Ok(UpdateResult::Done);
                }
                if actual == update.expected {
                    return Ok(UpdateResult::Refused(error.message().to_owned()));
                }
                return Ok(UpdateResult::Moved { actual });
            }
            ErrorCode::Locked if Instant::now() < end => {
                // The timer must be made inside the runtime that drives it.
                machine::runtime().block_on(async { tokio::time::sleep(PAUSE).await });
            }
            ErrorCode::Locked => {
                return Err(Error::Locked {
                    path: to
                        .git
                        .path()
                        .join(format!("{}.lock", update.name))
                        .display()
                        .to_string(),
                });
            }
            _ => return Err(to.failed("move a ref", error)),
        }
    }
}

/// A ref whose name leaves no room for the new one: `a` and `a/b` cannot both be.
fn in_the_way(to: &Repository, update: &RefUpdate) -> Result<Option<String>, Error> {
    let failed = |error| to.failed("look for refs in the way", error);
    let name = update.name.as_str();
    // `refs/heads` and what is shorter are directories of every repository.
    let above = name.match_indices('/').skip(2).map(|(end, _)| &name[..end]);
    for prefix in above {
        match to.git.find_reference(prefix) {
            Ok(_) => return Ok(Some(prefix.to_owned())),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let below = to.git.references_glob(&format!("{name}/*"));
    let first = below.map_err(failed)?.flatten().next();
    Ok(first.map(|reference| String::from_utf8_lossy(reference.name_bytes()).into_owned()))
}

/// Moving a branch under somebody's working tree would make their files look changed.
fn is_checked_out(to: &Repository, update: &RefUpdate) -> bool {
    if update.name.branch_name().is_none() {
        return false;
    }
    let head_is = |git: &git2::Repository| {
        git.find_reference("HEAD")
            .is_ok_and(|head| head.symbolic_target_bytes() == Some(update.name.as_str().as_bytes()))
    };
    if !to.git.is_bare() && head_is(&to.git) {
        return true;
    }
    let names = to
        .git
        .worktrees()
        .map(|names| names.into_iter().flatten().flatten().map(str::to_owned).collect());
    let names: Vec<String> = names.unwrap_or_default();
    names.iter().any(|name| {
        to.git
            .find_worktree(name)
            .and_then(|worktree| git2::Repository::open_from_worktree(&worktree))
            .is_ok_and(|git| head_is(&git))
    })
}
