use pilotage_yaml::Diagnostics;

use super::Rules;

impl Rules<'_> {
    /// Image and version say the same.
    pub(super) fn image(&self, found: &mut Diagnostics) {
        let version = self.descriptor.version.as_str();
        let Some(tag) = self
            .descriptor
            .image
            .as_ref()
            .and_then(|image| image.tag.as_deref())
        else {
            return;
        };
        if !self.knows("version") || tag == version {
            return;
        }
        // A tag in a map is another word on purpose (`1.4.2-alpine`), but it should move with the version.
        if let Some(span) = self.node.at("image.tag").map(|node| node.span) {
            if !tag.contains(version) {
                let message = format!(
                    "the tag `{tag}` does not say the version `{version}`, so a new version would run the same image"
                );
                let warning = self
                    .warning(
                        "tag-without-version",
                        message,
                        span,
                        "stays when the version changes",
                    )
                    .also(self.source, self.value("version"), "the version");
                found.push(warning.help("remove `tag`: the tag is the version when nothing is written"));
            }
            return;
        }
        let message = format!("the image has the tag `{tag}`, but the version is `{version}`");
        let error = self
            .error(
                "tag-is-not-version",
                message,
                self.value("image"),
                format!("says `{tag}`"),
            )
            .also(self.source, self.value("version"), format!("says `{version}`"))
            .help("remove the tag: it is the version when nothing is written");
        found.push(error.help("or, when they differ on purpose, write `image: {name: …, tag: …}`"));
    }
}
