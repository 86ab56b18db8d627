use pilotage_diagnostic::printable;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::is_email;

impl Rules<'_> {
    /// Who hears of it, and what it waits for.
    pub(super) fn people(&self, found: &mut Diagnostics) {
        if let Some(maintainer) = &self.descriptor.maintainer {
            self.email(found, &maintainer.email, "maintainer.email");
        }
        for (index, address) in self.descriptor.notify.email.iter().enumerate() {
            self.email(found, address, &format!("notify.email[{index}]"));
        }
        for (index, channel) in self.descriptor.notify.slack.iter().enumerate() {
            let plain = |c: char| !c.is_whitespace() && !c.is_control();
            if channel.trim_start_matches('#').is_empty() || !channel.chars().all(plain) {
                let message = format!("`{}` is no Slack channel", printable(channel));
                let error = self.error(
                    "invalid-value",
                    message,
                    self.value(&format!("notify.slack[{index}]")),
                    "no channel",
                );
                found.push(
                    error.help(
                        "write `\"#shop\"` (in quotes, because `#` begins a comment) or a channel's id",
                    ),
                );
            }
        }
        for (index, before) in self.descriptor.after.iter().enumerate() {
            let path = format!("after[{index}]");
            if self.service == Some(before) {
                let error = self.error(
                    "after-itself",
                    "a service cannot be released after itself",
                    self.value(&path),
                    "this service",
                );
                found.push(error.help("remove it"));
            }
            if let Some(first) = self.descriptor.after[..index]
                .iter()
                .position(|other| other == before)
            {
                self.twice(
                    found,
                    "duplicate-name",
                    format!("`{before}` stands twice"),
                    &format!("after[{first}]"),
                    &path,
                );
            }
        }
        for (index, address) in self.descriptor.requires.iter().enumerate() {
            if let Some(first) = self.descriptor.requires[..index]
                .iter()
                .position(|other| other == address)
            {
                let message = format!("`{address}` stands twice");
                self.twice(
                    found,
                    "duplicate-name",
                    message,
                    &format!("requires[{first}]"),
                    &format!("requires[{index}]"),
                );
            }
        }
    }

    fn email(&self, found: &mut Diagnostics, address: &str, path: &str) {
        if !is_email(address) {
            let message = format!("`{}` is no mail address", printable(address));
            let error = self.error("invalid-value", message, self.value(path), "no mail address");
            found.push(error.help("write for example `ana@example.com`"));
        }
    }
}
