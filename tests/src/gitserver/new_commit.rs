//! Commits to be made.

/// One person of the tests.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Person {
    /// A person with an address.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
        }
    }
}

/// A mode and a content.
pub(super) type Entry = (String, Vec<u8>);

/// A commit to be made: on the tip of its branch unless told otherwise.
#[derive(Clone, Debug)]
pub struct NewCommit {
    pub(super) message: String,
    pub(super) files: Vec<(String, Option<Entry>)>,
    pub(super) merge: Vec<String>,
    pub(super) from: Option<String>,
    pub(super) author: Person,
    pub(super) committer: Person,
    pub(super) second: Option<i64>,
}

impl NewCommit {
    /// A commit with this message and no changes yet.
    #[must_use]
    pub fn new(message: &str) -> Self {
        let ana = Person::new("Ana Costa", "ana@example.com");
        Self {
            message: message.to_owned(),
            files: Vec::new(),
            merge: Vec::new(),
            from: None,
            author: ana.clone(),
            committer: ana,
            second: None,
        }
    }

    /// Writes a regular file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry("100644", path, content)
    }

    /// Writes an entry with any mode: `120000` is a symlink, whose content is its target.
    #[must_use]
    pub fn entry(mut self, mode: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref().to_vec();
        self.files
            .push((path.to_owned(), Some((mode.to_owned(), content))));
        self
    }

    /// Removes a file or directory.
    #[must_use]
    pub fn remove(mut self, path: &str) -> Self {
        self.files.push((path.to_owned(), None));
        self
    }

    /// Adds a parent, making it a merge. The files are those of the first parent with the changes of this commit.
    #[must_use]
    pub fn merge(mut self, commit: &str) -> Self {
        self.merge.push(commit.to_owned());
        self
    }

    /// Takes this commit as the first parent, whatever the branch holds.
    #[must_use]
    pub fn from(mut self, commit: &str) -> Self {
        self.from = Some(commit.to_owned());
        self
    }

    /// Sets author and committer.
    #[must_use]
    pub fn by(mut self, person: &Person) -> Self {
        self.author = person.clone();
        self.committer = person.clone();
        self
    }

    /// Sets the committer.
    #[must_use]
    pub fn committed_by(mut self, person: &Person) -> Self {
        self.committer = person.clone();
        self
    }

    /// Sets the second of both dates; otherwise every commit of a repository is a second later than the one before.
    #[must_use]
    pub fn at(mut self, second: i64) -> Self {
        self.second = Some(second);
        self
    }
}
