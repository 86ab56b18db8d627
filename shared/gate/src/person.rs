use pilotage_config::{Config, Person, is_forge_address};

/// The person whom the config branch gives this e-mail address; nobody for a forge's own address. Case does not count.
#[must_use]
pub fn person_of<'a>(config: &'a Config, email: &str) -> Option<(&'a String, &'a Person)> {
    if is_forge_address(email) {
        return None;
    }
    config.people.iter().find(|(_, person)| {
        person
            .emails
            .iter()
            .any(|known| known.eq_ignore_ascii_case(email))
    })
}
