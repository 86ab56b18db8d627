use pilotage_gitrepo::{Changed, Class, Edit, EntryKind, Error, File, NewCommit, Repository};
use pilotage_tests::gitserver::{self, Person};

use crate::world::{World, ana, id, write};

fn open(world: &World) -> Repository {
    Repository::open(world.bare.path()).unwrap()
}

#[test]
fn a_commit_is_read_whole() {
    let world = World::new();
    let bob = Person::new("Bob", "bob@example.com");
    let first = world
        .bare
        .commit("qa", gitserver::NewCommit::new("First").file("a", "1"));
    let text = "Release shop\n\nBecause of #7.\n\nStorm: 30\nReviewed-by: Ana <ana@example.com>\n";
    let second = world.bare.commit(
        "qa",
        gitserver::NewCommit::new(text).file("a", "2").committed_by(&bob),
    );
    let commit = open(&world).commit(&id(&second)).unwrap();
    assert_eq!(commit.subject, "Release shop");
    assert!(commit.body.starts_with("Because of #7."));
    assert_eq!(commit.parents, [id(&first)]);
    assert_eq!(
        (commit.author.email.as_str(), commit.committer.email.as_str()),
        ("ana@example.com", "bob@example.com")
    );
    assert_eq!(commit.committer.when.as_second(), gitserver::EPOCH + 1);
    let trailers: Vec<_> = commit
        .trailers
        .iter()
        .map(|t| (t.key.as_str(), t.value.as_str()))
        .collect();
    assert_eq!(
        trailers,
        [("Storm", "30"), ("Reviewed-by", "Ana <ana@example.com>")]
    );
    assert_eq!((commit.signature, commit.lossy), (None, false));
}

#[test]
fn a_commit_that_is_not_utf_8_is_marked() {
    let world = World::new();
    let stream = b"commit refs/heads/qa\nmark :1\nauthor A <a@x> 1 +0000\ncommitter B\xff <b@x> 1 +0000\ndata 4\nhi\xfe\n\nM 100644 inline \"bad\\377.yaml\"\ndata 1\nx\n\nget-mark :1\n";
    let commit = id(world.bare.import(stream).trim());
    let repository = open(&world);
    let read = repository.commit(&commit).unwrap();
    assert!(read.lossy);
    assert!(read.subject.starts_with("hi"));
    let listed = repository.list_dir(&commit, "").unwrap().unwrap();
    assert!(listed[0].lossy);
    assert!(repository.changed_paths(None, &commit).unwrap()[0].lossy);
}

#[test]
fn only_regular_files_within_the_limit_are_read() {
    let world = World::new();
    let link = "1234567890123456789012345678901234567890";
    let commit = world.bare.commit(
        "qa",
        gitserver::NewCommit::new("Kinds")
            .file("services/shop.yaml", "version: \"1\"\n")
            .file("services/$(touch x);`id`.yaml", "odd")
            .entry("100755", "run.sh", "#!/bin/sh\n")
            .entry("120000", "services/link.yaml", "/etc/passwd")
            .entry("160000", "module", link)
            .file("big", vec![b'x'; 5000]),
    );
    let (commit, repository) = (id(&commit), open(&world));
    let blob = |path: &str| repository.blob(&commit, path, 1000).unwrap();
    assert!(
        matches!(blob("services/shop.yaml"), File::Blob(blob) if blob.bytes == b"version: \"1\"\n" && !blob.executable)
    );
    assert!(matches!(blob("services/$(touch x);`id`.yaml"), File::Blob(blob) if blob.bytes == b"odd"));
    assert!(matches!(blob("run.sh"), File::Blob(blob) if blob.executable));
    assert_eq!(blob("services/link.yaml"), File::NotRegular(EntryKind::Symlink));
    assert_eq!(blob("module"), File::NotRegular(EntryKind::Submodule));
    assert_eq!(blob("services"), File::NotRegular(EntryKind::Directory));
    assert_eq!(
        blob("big"),
        File::TooLarge {
            size: 5000,
            most: 1000
        }
    );
    assert_eq!(blob("services/none.yaml"), File::Missing);
    assert_eq!(blob("services/shop.yaml/deeper"), File::Missing);
    assert_eq!(
        blob("services/link.yaml/passwd"),
        File::Missing,
        "a link is never followed"
    );
    for bad in ["../x", "/etc/passwd", "a//b", ""] {
        assert!(
            matches!(repository.blob(&commit, bad, 10), Err(Error::Path { .. })),
            "{bad}"
        );
    }
    let names: Vec<_> = repository
        .list_dir(&commit, "services")
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("$(touch x);`id`.yaml".to_owned(), EntryKind::File),
            ("link.yaml".to_owned(), EntryKind::Symlink),
            ("shop.yaml".to_owned(), EntryKind::File),
        ]
    );
    assert_eq!(repository.list_dir(&commit, "none").unwrap(), None);
    assert_eq!(repository.list_dir(&commit, "big").unwrap(), None);
}

#[test]
fn the_same_content_has_the_same_id_everywhere() {
    let world = World::new();
    let one = id(&world
        .bare
        .commit("qa", gitserver::NewCommit::new("One").file("a", "same")));
    let two = id(&world
        .bare
        .commit("prod", gitserver::NewCommit::new("Two").file("b", "same")));
    let repository = open(&world);
    assert_eq!(
        repository.entry(&one, "a").unwrap().unwrap().1,
        repository.entry(&two, "b").unwrap().unwrap().1
    );
}

#[test]
fn changed_paths_tell_what_and_how() {
    let world = World::new();
    let one = id(&world.bare.commit(
        "qa",
        gitserver::NewCommit::new("One")
            .file("a", "1")
            .file("b", "1")
            .file("d/e", "1"),
    ));
    let two = id(&world.bare.commit(
        "qa",
        gitserver::NewCommit::new("Two")
            .file("a", "2")
            .remove("b")
            .file("c", "1"),
    ));
    let repository = open(&world);
    let told = |from, to| -> Vec<(String, Changed)> {
        repository
            .changed_paths(from, to)
            .unwrap()
            .into_iter()
            .map(|change| (change.path, change.changed))
            .collect()
    };
    assert_eq!(
        told(Some(&one), &two),
        [
            ("a".to_owned(), Changed::Modified),
            ("b".to_owned(), Changed::Deleted),
            ("c".to_owned(), Changed::Added)
        ]
    );
    assert_eq!(told(None, &one).len(), 3);
    assert!(told(Some(&two), &two).is_empty());
}

#[test]
fn a_commit_that_is_not_there_is_said_so() {
    let world = World::new();
    world
        .bare
        .commit("qa", gitserver::NewCommit::new("One").file("a", "1"));
    let missing = id("0123456789abcdef0123456789abcdef01234567");
    let error = open(&world).commit(&missing).unwrap_err();
    assert!(matches!(error, Error::NoCommit { .. }));
    assert_eq!(error.class(), Class::NotFound);
    let long = id(&"0".repeat(64));
    assert!(matches!(open(&world).commit(&long), Err(Error::NoCommit { .. })));
}

#[test]
fn written_commits_are_what_git_reads() {
    let world = World::new();
    let repository = open(&world);
    let first = write(&repository, None, "a/b/c.json", "{}");
    let ana = ana();
    let second = repository
        .write_commit(&NewCommit {
            base: Some(&first),
            edits: &[
                Edit::write("a/d.json", "1"),
                Edit::write("a/d.json", "2"),
                Edit::remove("a/b/c.json"),
                Edit::remove("never/was"),
            ],
            parents: std::slice::from_ref(&first),
            author: &ana,
            committer: &ana,
            message: "Second  \n\n\nBody\n\n",
            sign: None,
        })
        .unwrap();
    assert_eq!(
        world.bare.git(&["ls-tree", "-r", "--name-only", second.as_str()]),
        "a/d.json"
    );
    assert_eq!(world.bare.git(&["show", &format!("{second}:a/d.json")]), "2");
    assert_eq!(
        world
            .bare
            .git(&["log", "-1", "--format=%an|%ae|%aI|%s|%b|%P", second.as_str()]),
        format!("Ana Costa|ana@example.com|2026-03-04T06:06:07+01:00|Second|Body\n|{first}")
    );
    world.bare.git(&["fsck", "--strict"]);
    // The same values give the same id, which is what makes a repeated write harmless.
    assert_eq!(write(&repository, None, "a/b/c.json", "{}"), first);
}
