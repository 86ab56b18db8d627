use std::collections::BTreeMap;

use pilotage_descriptor::is_email;
use pilotage_diagnostic::printable;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::{PeopleRule, Proof, is_forge_address};

impl Rules<'_> {
    /// Persons can be recognised, and policies can be satisfied.
    pub(super) fn people(&self, found: &mut Diagnostics) {
        self.persons(found);
        for (group, members) in &self.file.groups {
            let path = format!("groups[\"{group}\"]");
            if self.file.people.contains_key(group) {
                let message = format!("`{}` is a person and a group", printable(group));
                let error = self
                    .error("duplicate-name", message, self.key(&path), "a group here")
                    .also(
                        self.source,
                        self.key(&format!("people[\"{group}\"]")),
                        "a person here",
                    );
                found.push(error.help("rename the group"));
            }
            for (index, member) in members.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if self.file.groups.contains_key(member) && !self.file.people.contains_key(member) {
                    let message = format!(
                        "`{}` is a group, and a group holds persons only",
                        printable(member)
                    );
                    found.push(
                        self.error("group-in-group", message, self.value(&path), "a group")
                            .help("name its persons here"),
                    );
                } else {
                    self.person_exists(found, member, &path, false);
                }
            }
        }
        for (name, policy) in &self.file.policies {
            let path = format!("policies[\"{name}\"]");
            if let Some(rule) = &policy.people {
                self.people_rule(found, rule, &format!("{path}.people"));
            }
            if let Some(rule) = &policy.ticket {
                let key = rule.project.as_str();
                let first = key.bytes().next().is_some_and(|b| b.is_ascii_uppercase());
                if !first
                    || !key
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
                {
                    let message = format!("`{}` is no project key", printable(key));
                    let error = self.error(
                        "invalid-value",
                        message,
                        self.value(&format!("{path}.ticket.project")),
                        "no project key",
                    );
                    found.push(
                        error.help("write the part of a ticket's key before the hyphen, such as `SHOP`"),
                    );
                }
                if !rule.status.is_empty() && self.file.trackers.jira.is_none() && self.knows("trackers") {
                    let message = "the status of a ticket cannot be asked, so every push will wait";
                    let warning = self.warning(
                        "no-tracker",
                        message,
                        self.key(&format!("{path}.ticket.status")),
                        "asks a tracker",
                    );
                    found.push(warning.help("add `trackers: {jira: {url: https://…}}`, or remove `status` to ask for a ticket's key only"));
                }
            }
        }
        self.ledger(found);
    }

    fn persons(&self, found: &mut Diagnostics) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for (name, person) in &self.file.people {
            let path = format!("people[\"{name}\"]");
            if person.emails.is_empty() {
                let message = format!("no commit can be matched to `{}`", printable(name));
                let error = self.error("no-email", message, self.key(&path), "has no mail address");
                found.push(
                    error.help("add `emails: […]` with the addresses that stand in this person's commits"),
                );
            }
            for (index, email) in person.emails.iter().enumerate() {
                let path = format!("{path}.emails[{index}]");
                let shown = printable(email);
                if !is_email(email) {
                    let error = self.error(
                        "invalid-value",
                        format!("`{shown}` is no mail address"),
                        self.value(&path),
                        "no mail address",
                    );
                    found.push(error.help("write the address alone, such as `ana@example.com`"));
                } else if is_forge_address(email) {
                    let message = format!(
                        "`{shown}` stands in every commit that the forge makes, whoever pressed the button"
                    );
                    let error = self.error("forge-address", message, self.value(&path), "nobody's address");
                    found.push(
                        error.help("remove it; the forge's own commits are proved by `proof: attested`"),
                    );
                }
                match seen.get(&email.to_ascii_lowercase()) {
                    Some(first) => {
                        let message = format!("two persons cannot share the address `{shown}`");
                        let error = self
                            .error("duplicate-email", message, self.value(&path), "again here")
                            .also(self.source, self.value(first), "first here");
                        found.push(error.help("remove it at the person whose address it is not"));
                    }
                    None => {
                        seen.insert(email.to_ascii_lowercase(), path);
                    }
                }
            }
            for (index, key) in person.keys.iter().enumerate() {
                self.public_key(found, key, &format!("{path}.keys[{index}]"));
            }
        }
    }

    pub(super) fn public_key(&self, found: &mut Diagnostics, key: &str, path: &str) {
        let key = key.trim_start();
        let ssh = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|kind| key.starts_with(kind))
            && key.contains(' ');
        if key.contains("PRIVATE KEY") {
            let error = self.error(
                "private-key",
                "this is a private key",
                self.value(path),
                "never belongs into a repository",
            );
            found.push(error.help(
                "write the public key, take the private one out of use, and remove it from the history",
            ));
        } else if !ssh && !key.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            let error = self.error(
                "invalid-value",
                "this is no public key",
                self.value(path),
                "no public key",
            );
            found.push(error.help("write a line of SSH (`ssh-ed25519 AAAA…`), or an armoured GPG key (`-----BEGIN PGP PUBLIC KEY BLOCK-----`)"));
        }
    }

    fn people_rule(&self, found: &mut Diagnostics, rule: &PeopleRule, path: &str) {
        if rule.who.is_empty() {
            let error = self.error(
                "nobody",
                "nobody may bring a change",
                self.key(&format!("{path}.who")),
                "nobody",
            );
            found.push(error.help("name persons or groups, or remove `people` to let everybody"));
        }
        for (index, who) in rule.who.iter().enumerate() {
            let path = format!("{path}.who[{index}]");
            match self.file.groups.get(who) {
                Some(members) if members.is_empty() => {
                    let message = format!("the group `{}` has nobody in it", printable(who));
                    found.push(
                        self.warning("empty-group", message, self.value(&path), "nobody")
                            .help("add persons to the group"),
                    );
                }
                Some(_) => {}
                None => self.person_exists(found, who, &path, true),
            }
        }
        // A default stands nowhere; its place is the rule.
        let proof = format!("{path}.proof");
        let place = if self.node.at(&proof).is_some() {
            self.value(&proof)
        } else {
            self.key(path)
        };
        match rule.proof {
            Proof::Claimed => {
                let message =
                    "`claimed` proves nothing: anyone who can push can write any committer into a commit";
                let warning = self.warning("claimed-proof", message, place, "no proof");
                found.push(warning.help(
                    "write `proof: signed` with `keys` at the people, or `proof: attested` with a `forge`",
                ));
            }
            Proof::Attested if self.file.forge.is_none() && self.knows("forge") => {
                let message = "no forge can attest who brought a change, so only signed commits will pass";
                let warning = self.warning("no-forge", message, place, "asks a forge");
                found.push(
                    warning.help("add `forge: {kind: …, url: …, repository: …}`, or write `proof: signed`"),
                );
            }
            Proof::Signed if self.knows("people") => {
                let who = rule.who.iter().flat_map(|name| {
                    self.file
                        .groups
                        .get(name)
                        .map_or(std::slice::from_ref(name), Vec::as_slice)
                });
                let keyless: Vec<&str> = who
                    .filter(|name| {
                        self.file
                            .people
                            .get(*name)
                            .is_some_and(|person| person.keys.is_empty())
                    })
                    .map(String::as_str)
                    .collect();
                if !keyless.is_empty() {
                    let message = format!("{} cannot sign: they have no keys here", super::ticked(&keyless));
                    let warning = self.warning("no-keys", message, place, "asks for signatures");
                    found.push(warning.help("add `keys: [\"ssh-ed25519 …\"]` at these persons"));
                }
            }
            Proof::Attested | Proof::Signed => {}
        }
    }

    /// A name under `people`, or also under `groups`.
    pub(super) fn person_exists(&self, found: &mut Diagnostics, name: &str, path: &str, groups: bool) {
        let known = self.file.people.contains_key(name) || (groups && self.file.groups.contains_key(name));
        if known || !self.knows("people") || (groups && !self.knows("groups")) {
            return;
        }
        let mut names: Vec<&str> = self.file.people.keys().map(String::as_str).collect();
        if groups {
            let groups = self
                .file
                .groups
                .keys()
                .filter(|name| !self.file.people.contains_key(*name));
            names.extend(groups.map(String::as_str));
            found.push(self.unknown("person or group", name, path, &names, "`people` or `groups`"));
        } else {
            found.push(self.unknown("person", name, path, &names, "`people`"));
        }
    }

    /// Whoever can push can write hidden refs, so what rests on the ledger has to rest on more than that.
    fn ledger(&self, found: &mut Diagnostics) {
        let ledger = &self.file.ledger;
        for (index, key) in ledger.keys.iter().enumerate() {
            self.public_key(found, key, &format!("ledger.keys[{index}]"));
        }
        if ledger.repository.is_some() || !ledger.keys.is_empty() || !self.knows("ledger") {
            return;
        }
        let strict = |name: &String| {
            self.file
                .policies
                .get(name)
                .is_some_and(|policy| policy.people.is_some() || policy.ticket.is_some())
        };
        let under = self
            .file
            .environments
            .iter()
            .find(|(_, entry)| entry.policy.as_ref().is_some_and(strict));
        if let Some((name, _)) = under {
            let message = "everybody who can push can also write the ledger, and so make themselves an accepted decision";
            let warning = self.warning(
                "open-ledger",
                message,
                self.value(&format!("environments.{name}.policy")),
                "rests on the ledger",
            );
            found.push(
                warning
                    .help("add `ledger: {repository: URL}`, a repository that only Pilotage can write")
                    .help("or `ledger: {keys: [\"ssh-ed25519 …\"]}`: then only signed events are believed"),
            );
        }
    }
}
