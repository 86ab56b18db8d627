//! The directory of a plan: everything its stages need, and what they leave behind. Whoever runs stages (this step, a CI
//! server's library, a person) works with nothing else.
//!
//! ```text
//! release.json      the plan (release-plan/v1); after begin with the lease
//! descriptor.yaml   resolved, files inlined
//! config.yaml       pilotage.yaml of the config branch, as it was
//! stages            one line each: index step image when on_failure deadline
//! 2-deploy.env      the environment of that stage, KEY=value, no secrets; undo.env is that of the way back
//! message.json      what there is to tell people (notify-message/v1), kept up to date
//! quarantine.yaml   tests that are known to fail, where the service has a suite and a list
//! templates/        message templates of the config branch, where it has some
//! reports/          2-deploy.json .xml .outputs of each stage
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pilotage_config::StepName;
use pilotage_descriptor::{Descriptor, Source};
use pilotage_message::{Event, Message};
use pilotage_outcome::StepReportData;

use crate::error::{DirectoryError, ReportProblem};
use crate::message::started;
use crate::plan::{ReleasePlan, SCHEMA};
use crate::stage::StagePlan;

/// No plan has this much to say; what is larger is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A plan's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDirectory {
    path: PathBuf,
}

/// The texts that go into a directory besides the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The resolved descriptor as YAML.
    pub descriptor: String,
    /// pilotage.yaml as it was.
    pub config: String,
    /// Message templates by file name.
    pub templates: BTreeMap<String, String>,
    /// The quarantine list of the service's suite.
    pub quarantine: Option<String>,
}

impl PlanDirectory {
    /// Writes a plan into a directory that is new or empty.
    ///
    /// # Errors
    /// It holds something already, or cannot be written.
    pub fn create(path: &Path, plan: &ReleasePlan, texts: &Texts) -> Result<Self, DirectoryError> {
        fs::create_dir_all(path).map_err(|source| DirectoryError::write(path, source))?;
        let mut entries = fs::read_dir(path).map_err(|source| DirectoryError::write(path, source))?;
        if entries.next().is_some() {
            return Err(DirectoryError::NotEmpty {
                path: path.to_owned(),
            });
        }
        // Stages may run with another working directory.
        let path = path
            .canonicalize()
            .map_err(|source| DirectoryError::write(path, source))?;
        if path.to_str().is_none_or(|text| text.contains(['\n', '\r'])) {
            return Err(DirectoryError::Unnameable { path });
        }
        let directory = Self { path };
        directory.make("reports")?;
        directory.write("descriptor.yaml", &texts.descriptor)?;
        directory.write("config.yaml", &texts.config)?;
        if let Some(quarantine) = &texts.quarantine {
            directory.write("quarantine.yaml", quarantine)?;
        }
        if !texts.templates.is_empty() {
            directory.make("templates")?;
        }
        for (name, text) in &texts.templates {
            directory.write(&format!("templates/{name}"), text)?;
        }
        let lines: String = plan.due().map(|stage| format!("{stage}\n")).collect();
        directory.write("stages", &lines)?;
        directory.save(plan)?;
        directory.tell(&started(plan, None))?;
        Ok(directory)
    }

    /// Opens the directory of a plan.
    ///
    /// # Errors
    /// It cannot be read, holds no plan, or one that was changed by hand.
    pub fn open(path: &Path) -> Result<(Self, ReleasePlan), DirectoryError> {
        let canonical = path
            .canonicalize()
            .map_err(|source| DirectoryError::read(path, source))?;
        let directory = Self { path: canonical };
        let text = directory.read("release.json")?;
        let shape = |reason: String| DirectoryError::Shape {
            path: directory.file("release.json"),
            reason,
        };
        let plan: ReleasePlan = serde_json::from_str(&text).map_err(|error| shape(error.to_string()))?;
        if plan.schema != SCHEMA {
            return Err(shape(format!(
                "its schema is `{}`, expected {SCHEMA}",
                plan.schema
            )));
        }
        if plan.digest != plan.computed_digest() {
            return Err(shape(
                "its digest does not fit: it was changed after it was made".to_owned(),
            ));
        }
        Ok((directory, plan))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the plan anew, with the lease when there is one, and the environments of its stages with it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, plan: &ReleasePlan) -> Result<(), DirectoryError> {
        for stage in plan.due() {
            self.write_environment(
                &stage.stem(),
                &self.environment(plan, stage, event_of(plan, stage)),
            )?;
        }
        self.write_environment("undo", &self.undo_environment(plan))?;
        let mut text = serde_json::to_string_pretty(plan)
            .map_err(|error| DirectoryError::write(&self.file("release.json"), error.into()))?;
        text.push('\n');
        self.write("release.json", &text)
    }

    /// Writes what there is to tell people.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tell(&self, message: &Message) -> Result<(), DirectoryError> {
        let text = serde_json::to_string_pretty(message)
            .map_err(|error| DirectoryError::write(&self.file("message.json"), error.into()))?;
        self.write("message.json", &text)
    }

    /// The environment of a notification that tells this event; written to the stage's file too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(
        &self,
        plan: &ReleasePlan,
        stage: &StagePlan,
        event: Event,
    ) -> Result<BTreeMap<String, String>, DirectoryError> {
        let environment = self.environment(plan, stage, event);
        self.write_environment(&stage.stem(), &environment)?;
        Ok(environment)
    }

    /// The environment of a stage: the twins of its flags.
    #[must_use]
    pub fn environment(
        &self,
        plan: &ReleasePlan,
        stage: &StagePlan,
        event: Event,
    ) -> BTreeMap<String, String> {
        let mut variables = self.common(plan, &stage.stem());
        variables.insert("PILOTAGE_DEADLINE".to_owned(), stage.deadline.to_string());
        if stage.step == StepName::Regression && self.file("quarantine.yaml").is_file() {
            variables.insert("PILOTAGE_QUARANTINE".to_owned(), self.shown("quarantine.yaml"));
        }
        if stage.step == StepName::Notify {
            variables.insert("PILOTAGE_EVENT".to_owned(), event.word().to_owned());
            variables.insert("PILOTAGE_MESSAGE".to_owned(), self.shown("message.json"));
            variables.insert("PILOTAGE_STATE".to_owned(), self.shown("notify.json"));
            if self.file("templates").is_dir() {
                variables.insert("PILOTAGE_TEMPLATES".to_owned(), self.shown("templates"));
            }
        }
        variables
    }

    /// The environment of the way back.
    #[must_use]
    pub fn undo_environment(&self, plan: &ReleasePlan) -> BTreeMap<String, String> {
        let mut variables = self.common(plan, "undo");
        if let Some(deploy) = plan.due().find(|stage| stage.step == StepName::Deploy) {
            variables.insert("PILOTAGE_DEADLINE".to_owned(), deploy.deadline.to_string());
        }
        variables
    }

    fn common(&self, plan: &ReleasePlan, stem: &str) -> BTreeMap<String, String> {
        let mut variables = vec![
            ("DESCRIPTOR", self.shown("descriptor.yaml")),
            ("CONFIG", self.shown("config.yaml")),
            ("ENV", plan.service.environment.to_string()),
            ("SERVICE", plan.service.service.to_string()),
            ("COMMIT", plan.commit.to_string()),
            ("REPORT", self.shown(&format!("reports/{stem}.json"))),
            ("JUNIT", self.shown(&format!("reports/{stem}.xml"))),
            ("OUTPUTS", self.shown(&format!("reports/{stem}.outputs"))),
        ];
        if let Some(lease) = &plan.lease {
            variables.push(("RELEASE", lease.release.to_string()));
            variables.push(("FENCE", lease.release.fence.to_string()));
        }
        variables
            .into_iter()
            .map(|(name, value)| (format!("PILOTAGE_{name}"), value))
            .collect()
    }

    /// The resolved descriptor.
    ///
    /// # Errors
    /// It cannot be read, or is not one.
    pub fn descriptor(&self) -> Result<Descriptor, DirectoryError> {
        let text = self.read("descriptor.yaml")?;
        Descriptor::read(&Source::new("descriptor.yaml", text)).map_err(|_| DirectoryError::Shape {
            path: self.file("descriptor.yaml"),
            reason: "it is no resolved descriptor".to_owned(),
        })
    }

    /// Reads the report of a stage.
    ///
    /// # Errors
    /// There is none, or it cannot be read as one.
    pub fn report(&self, stem: &str) -> Result<StepReportData, ReportProblem> {
        let path = self.file(&format!("reports/{stem}.json"));
        let text = match read_bounded(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReportProblem::Missing),
            Err(error) => return Err(ReportProblem::Garbled(error.to_string())),
        };
        if text.is_empty() {
            // A step opens its report before its first effect and was then ended by force.
            return Err(ReportProblem::Missing);
        }
        StepReportData::read(&text).map_err(|error| ReportProblem::Garbled(error.to_string()))
    }

    /// Takes away what an earlier run of a stage left, so that it is not read as this one's.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self, stem: &str) -> Result<(), DirectoryError> {
        for ending in ["json", "xml", "suite.xml", "outputs", "log"] {
            let path = self.file(&format!("reports/{stem}.{ending}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DirectoryError::write(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A file of the directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.file(name).to_string_lossy().into_owned()
    }

    fn make(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.file(name);
        fs::create_dir(&path).map_err(|source| DirectoryError::write(&path, source))
    }

    fn read(&self, name: &str) -> Result<String, DirectoryError> {
        let path = self.file(name);
        read_bounded(&path).map_err(|source| DirectoryError::read(&path, source))
    }

    fn write_environment(
        &self,
        stem: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<(), DirectoryError> {
        let text: String = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        self.write(&format!("{stem}.env"), &text)
    }

    /// Replaces a file as a whole, so that nobody ever reads half of it.
    fn write(&self, name: &str, text: &str) -> Result<(), DirectoryError> {
        let path = self.file(name);
        let beside = self.file(&format!("{name}.new"));
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|source| DirectoryError::write(&path, source))
    }
}

/// What a notification tells as long as nothing else is known: the first one of a plan that it starts, any other that it
/// went well.
fn event_of(plan: &ReleasePlan, stage: &StagePlan) -> Event {
    match plan.due().next() {
        Some(first) if first.index == stage.index => Event::Started,
        _ => Event::Succeeded,
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}
