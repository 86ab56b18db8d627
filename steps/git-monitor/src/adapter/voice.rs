//! Speaking through `pilotage-notify`.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::voice::{Saying, Telling, Texts, Voice};

/// How many messages are sent at once.
const AT_ONCE: usize = 4;
/// How often it is tried to tell of one thing.
const TRIES: u32 = 5;
/// The first wait after a message that reached nobody; doubled with each try.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);

/// Starts `pilotage-notify` for each message.
pub(crate) struct NotifyStep {
    environment: Vec<(OsString, OsString)>,
    waiting: VecDeque<Job>,
    speaking: Vec<Speaking>,
    told: Vec<Telling>,
    failed: BTreeMap<Telling, Failed>,
}

/// A message to be sent.
struct Job {
    saying: Saying,
    texts: Texts,
}

/// A message that is being sent.
struct Speaking {
    telling: Telling,
    headline: String,
    child: Child,
    /// What the child reads; gone when it has ended.
    folder: TempDir,
}

/// A message that reached nobody.
#[derive(Clone, Copy)]
struct Failed {
    tries: u32,
    last: Timestamp,
    for_good: bool,
}

impl NotifyStep {
    pub(crate) fn new(environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            environment,
            waiting: VecDeque::new(),
            speaking: Vec::new(),
            told: Vec::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Whether messages are being sent, or wait for that.
    pub(crate) fn is_busy(&self) -> bool {
        !self.speaking.is_empty() || !self.waiting.is_empty()
    }

    /// Sends nothing more. What was not sent stands in the ledger as not told.
    pub(crate) fn hush(&mut self) {
        self.waiting.clear();
    }

    /// Collects what was sent, says what reached nobody, and sends what waits.
    pub(crate) fn reap(&mut self, now: Timestamp) {
        let speaking = std::mem::take(&mut self.speaking);
        for mut one in speaking {
            match one.child.try_wait() {
                Ok(None) => self.speaking.push(one),
                Ok(Some(status)) if status.success() => {
                    self.failed.remove(&one.telling);
                    self.told.push(one.telling);
                }
                Ok(Some(status)) => {
                    // A usage error or an invalid file stays what it is; a network may come back.
                    let for_good = matches!(status.code(), Some(2 | 3 | 70 | 101));
                    let why = format!("pilotage-notify ended with {status}");
                    self.fail(one.telling, &one.headline, &why, for_good, now);
                }
                Err(error) => self.fail(one.telling, &one.headline, &error.to_string(), false, now),
            }
        }
        while self.speaking.len() < AT_ONCE
            && let Some(job) = self.waiting.pop_front()
        {
            match start(&job, &self.environment) {
                Ok((child, folder)) => self.speaking.push(Speaking {
                    telling: job.saying.telling,
                    headline: job.saying.headline,
                    child,
                    folder,
                }),
                Err(error) => {
                    let why = format!("pilotage-notify cannot be started: {error}");
                    self.fail(job.saying.telling, &job.saying.headline, &why, false, now);
                }
            }
        }
    }

    fn fail(&mut self, telling: Telling, headline: &str, why: &str, for_good: bool, now: Timestamp) {
        let headline = pilotage_diagnostic::printable(headline);
        tracing::warn!("nobody could be told of {headline}: {why}");
        let failed = self.failed.entry(telling).or_insert(Failed {
            tries: 0,
            last: now,
            for_good,
        });
        failed.tries += 1;
        failed.last = now;
        failed.for_good = for_good || failed.tries >= TRIES;
    }
}

impl Voice for NotifyStep {
    fn tell(&mut self, saying: Saying, texts: &Texts, now: Timestamp) {
        let telling = &saying.telling;
        let due = self.failed.get(telling).is_none_or(|failed| {
            let wait = FIRST_WAIT.saturating_mul(1 << failed.tries.saturating_sub(1).min(8));
            !failed.for_good && now.duration_since(failed.last) >= wait
        });
        let under_way = self.waiting.iter().any(|job| job.saying.telling == *telling)
            || self.speaking.iter().any(|one| one.telling == *telling)
            || self.told.contains(telling);
        if !due || under_way {
            return;
        }
        self.waiting.push_back(Job {
            saying,
            texts: texts.clone(),
        });
        self.reap(now);
    }

    fn told(&mut self) -> Vec<Telling> {
        std::mem::take(&mut self.told)
    }

    fn keep_told(&mut self, told: Vec<Telling>) {
        self.told.extend(told);
    }

    fn gave_up(&self, telling: &Telling) -> bool {
        self.failed.get(telling).is_some_and(|failed| failed.for_good)
    }
}

impl Drop for NotifyStep {
    /// What is still being sent reads files that would go with us.
    fn drop(&mut self) {
        for one in self.speaking.drain(..) {
            let _left_behind = one.folder.keep();
        }
    }
}

fn start(job: &Job, environment: &[(OsString, OsString)]) -> std::io::Result<(Child, TempDir)> {
    // As files, so that nobody has to feed a pipe; the folder is the monitor's alone.
    let folder = tempfile::Builder::new().prefix("pilotage-tell-").tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("message.json"), serde_json::to_string(&job.saying.message)?)?;
    std::fs::write(path("pilotage.yaml"), &job.texts.config)?;
    let mut command = Command::new(pilotage_step::sibling("pilotage-notify"));
    if let Some(event) = job.saying.message.event {
        command.args(["--event", event.word()]);
    }
    command.args(["--env", job.saying.telling.environment.as_str()]);
    command.arg("--message").arg(path("message.json"));
    command.arg("--config").arg(path("pilotage.yaml"));
    if !job.texts.templates.is_empty() {
        std::fs::create_dir(path("templates"))?;
        for (name, text) in &job.texts.templates {
            std::fs::write(path("templates").join(name), text)?;
        }
        command.arg("--templates").arg(path("templates"));
    }
    let child = command
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()?;
    Ok((child, folder))
}
