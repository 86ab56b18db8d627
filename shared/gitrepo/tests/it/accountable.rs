use pilotage_gitrepo::Repository;
use pilotage_name::CommitId;
use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, id};

const SHOP: &str = "services/shop.yaml";
const CART: &str = "services/cart.yaml";

struct History {
    world: World,
    repository: Repository,
    base: CommitId,
}

fn history() -> History {
    let world = World::new();
    let base = id(&world.bare.commit(
        "qa",
        NewCommit::new("Base")
            .file(SHOP, "1")
            .file(CART, "1")
            .file("files/x", "1"),
    ));
    let repository = Repository::open(world.bare.path()).unwrap();
    History {
        world,
        repository,
        base,
    }
}

impl History {
    fn commit(&self, branch: &str, commit: NewCommit) -> CommitId {
        id(&self.world.bare.commit(branch, commit))
    }

    fn shop(&self, to: &CommitId) -> Vec<CommitId> {
        self.repository
            .accountable(Some(&self.base), to, &[SHOP])
            .unwrap()
    }
}

#[test]
fn a_straight_history_counts_what_touches_the_paths() {
    let history = history();
    let one = history.commit("qa", NewCommit::new("Shop 2").file(SHOP, "2"));
    history.commit("qa", NewCommit::new("Cart 2").file(CART, "2"));
    let back = history.commit("qa", NewCommit::new("Revert shop").file(SHOP, "1"));
    assert_eq!(
        history.shop(&back),
        [back.clone(), one.clone()],
        "a change and its revert both count, newest first"
    );
    let files = history.commit("qa", NewCommit::new("A file").file("files/deep/y", "1"));
    let both = history
        .repository
        .accountable(Some(&history.base), &files, &[SHOP, "files"])
        .unwrap();
    assert_eq!(
        both,
        [files.clone(), back.clone(), one.clone()],
        "a directory counts as a whole"
    );
    let each = history
        .repository
        .accountable_each(Some(&history.base), &files, &[&[CART], &[SHOP], &["none"]])
        .unwrap();
    assert_eq!((each[0].len(), &each[1], each[2].len()), (1, &vec![back, one], 0));
    let all = history.repository.accountable(None, &files, &[SHOP]).unwrap();
    assert_eq!(
        (all.len(), all.last()),
        (3, Some(&history.base)),
        "the first commit counts when it has the file"
    );
    assert!(
        history
            .repository
            .accountable(Some(&files), &files, &[SHOP])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_merge_that_takes_one_side_does_not_count_but_its_side_does() {
    let history = history();
    let side = history.commit(
        "topic",
        NewCommit::new("Shop on a topic")
            .from(history.base.as_str())
            .file(SHOP, "2"),
    );
    history.commit("qa", NewCommit::new("Cart meanwhile").file(CART, "2"));
    let merge = history.commit(
        "qa",
        NewCommit::new("Merge topic").merge(side.as_str()).file(SHOP, "2"),
    );
    assert_eq!(history.shop(&merge), std::slice::from_ref(&side));
    // Seen from the branch, the merge brought it.
    let brought = history
        .repository
        .first_parent_range(Some(&history.base), &merge)
        .unwrap();
    assert!(brought.contains(&merge) && !brought.contains(&side));
    assert_eq!(
        history
            .repository
            .range(Some(&history.base), &merge)
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn a_merge_with_a_result_of_its_own_counts() {
    let history = history();
    let side = history.commit(
        "topic",
        NewCommit::new("Shop 2")
            .from(history.base.as_str())
            .file(SHOP, "2"),
    );
    let main = history.commit("qa", NewCommit::new("Shop 3").file(SHOP, "3"));
    let evil = history.commit(
        "qa",
        NewCommit::new("Merge with a twist")
            .merge(side.as_str())
            .file(SHOP, "4"),
    );
    let mut found = history.shop(&evil);
    assert_eq!(found.remove(0), evil);
    found.sort();
    let mut expected = vec![side, main];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_merge_that_mixes_two_sides_of_one_service_counts() {
    let history = history();
    let side = history.commit(
        "topic",
        NewCommit::new("Shop 2")
            .from(history.base.as_str())
            .file(SHOP, "2"),
    );
    history.commit("qa", NewCommit::new("File 2").file("files/x", "2"));
    let merge = history.commit("qa", NewCommit::new("Merge").merge(side.as_str()).file(SHOP, "2"));
    let found = history
        .repository
        .accountable(Some(&history.base), &merge, &[SHOP, "files/x"])
        .unwrap();
    assert_eq!(
        (found.len(), &found[0]),
        (3, &merge),
        "neither parent has this pair"
    );
}

#[test]
fn a_fast_forward_and_a_no_ff_promotion_have_the_same_authors_of_change() {
    let history = history();
    let change = history.commit("qa", NewCommit::new("Shop 2").file(SHOP, "2"));
    assert_eq!(history.shop(&change), std::slice::from_ref(&change));
    let merge = history.commit(
        "prod",
        NewCommit::new("Promote")
            .from(history.base.as_str())
            .merge(change.as_str())
            .file(SHOP, "2"),
    );
    assert_eq!(history.shop(&merge), [change]);
}

#[test]
fn modes_and_deletions_are_changes() {
    let history = history();
    let link = history.commit("qa", NewCommit::new("Link").entry("120000", SHOP, "cart.yaml"));
    let gone = history.commit("qa", NewCommit::new("Gone").remove(SHOP));
    assert_eq!(history.shop(&gone), [gone.clone(), link]);
    let executable = history.commit("qa", NewCommit::new("Executable").entry("100755", CART, "1"));
    assert_eq!(
        history
            .repository
            .accountable(Some(&gone), &executable, &[CART])
            .unwrap(),
        std::slice::from_ref(&executable)
    );
}

#[test]
fn dates_that_run_backwards_change_nothing() {
    let history = history();
    let mut made = Vec::new();
    for step in 0..40_i64 {
        // Every other commit claims to be years older than its parent.
        let second = if step % 2 == 0 {
            1_000_000_000 - step
        } else {
            1_800_000_000 + step
        };
        made.push(history.commit(
            "qa",
            NewCommit::new("Shop").file(SHOP, step.to_string()).at(second),
        ));
    }
    made.reverse();
    assert_eq!(history.shop(&made[0]), made);
    for at in [1, 5, 20, 39] {
        let found = history
            .repository
            .accountable(Some(&made[at]), &made[0], &[SHOP])
            .unwrap();
        assert_eq!(found, made[..at], "from {at}");
        assert_eq!(
            history.repository.range(Some(&made[at]), &made[0]).unwrap(),
            made[..at]
        );
    }
}

#[test]
fn ancestry_is_exact() {
    let history = history();
    let side = history.commit(
        "topic",
        NewCommit::new("Side").from(history.base.as_str()).file("t", "1"),
    );
    let main = history.commit("qa", NewCommit::new("Main").file("m", "1"));
    let alone = history.commit("alone", NewCommit::new("Another root").file("a", "1"));
    let repository = &history.repository;
    assert!(repository.is_ancestor(&history.base, &side).unwrap());
    assert!(repository.is_ancestor(&side, &side).unwrap());
    assert!(!repository.is_ancestor(&side, &main).unwrap());
    assert_eq!(
        repository.merge_base(&side, &main).unwrap(),
        Some(history.base.clone())
    );
    assert_eq!(repository.merge_base(&alone, &main).unwrap(), None);
}

/// The same question to git itself, over a history with many merges made from a fixed sequence of numbers.
#[test]
fn git_agrees_on_a_tangled_history() {
    let history = history();
    let mut state = 12345_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut made = vec![history.base.clone()];
    for step in 0..120_u64 {
        let from = made[made.len() - 1 - usize::try_from(next(made.len().min(6) as u64)).unwrap()].clone();
        let mut commit = NewCommit::new("Step").from(from.as_str());
        if next(3) == 0 {
            let other = &made[usize::try_from(next(made.len() as u64)).unwrap()];
            if *other != from {
                commit = commit.merge(other.as_str());
            }
        }
        let path = if next(3) == 0 { SHOP } else { CART };
        made.push(
            history.commit(
                "tangle",
                commit
                    .file(path, next(4).to_string())
                    .file("step", step.to_string()),
            ),
        );
    }
    let tip = &made[made.len() - 1];
    let spec = format!("{}..{tip}", history.base);
    let text = history
        .world
        .bare
        .git(&["log", "--full-history", "--sparse", "--format=%H %P", &spec]);
    let content = |commit: &str| history.world.bare.git(&["ls-tree", commit, SHOP]);
    let mut expected: Vec<CommitId> = Vec::new();
    for line in text.lines() {
        let mut ids = line.split(' ');
        let commit = ids.next().unwrap();
        let here = content(commit);
        if ids.all(|parent| content(parent) != here) {
            expected.push(id(commit));
        }
    }
    let mut found = history.shop(tip);
    assert!(!found.is_empty());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
