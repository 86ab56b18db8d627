//! Who answers for a change, and is mailed bad news of it: pure.

use pilotage_config::{Config, Mail, is_forge_address};
use pilotage_message::Event;

use crate::mail::is_mailable;
use crate::route::Sources;

/// Who is told of bad news wherever it is told: who brought the change, and whom the descriptor names. Only where there is
/// mail at all.
pub(crate) fn accountable<'a>(event: Event, sources: &Sources<'a>) -> impl Iterator<Item = String> + use<'a> {
    let config = sources.config;
    let bad = matches!(event, Event::Failed | Event::Refused) && config.is_some_and(|it| it.mail.is_some());
    let people = [sources.message.brought_by(), sources.message.maintainer.as_ref()];
    let of_descriptor = sources
        .descriptor
        .and_then(|descriptor| descriptor.maintainer.as_ref())
        .map(|maintainer| &maintainer.email);
    people
        .into_iter()
        .flatten()
        .filter_map(|who| who.email.as_ref())
        .chain(of_descriptor)
        .filter(move |address| {
            bad && is_mailable(address)
                && !is_forge_address(address)
                && !silent(address)
                && allowed(address, config)
        })
        .cloned()
}

/// An address behind which nobody reads, such as `1234+ana@users.noreply.github.com`.
fn silent(address: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, domain)| {
        domain
            .split('.')
            .any(|label| label.eq_ignore_ascii_case("noreply"))
    })
}

/// Whether an address that comes from git is mailed: anybody can write any address there.
pub(crate) fn allowed(address: &str, config: Option<&Config>) -> bool {
    let Some((config, mail)) = config.and_then(|config| Some((config, config.mail.as_ref()?))) else {
        return true;
    };
    let known = || {
        let mut emails = config.people.values().flat_map(|person| &person.emails);
        emails.any(|known| known.eq_ignore_ascii_case(address))
    };
    Mail::reaches(mail, address) || known()
}
