/// The candidate most like `word`, when one is so like it that a typing slip is the likely story: at most one edit in
/// three characters (a swap of two neighbours counts as one), or the same letters in another case or with other
/// separators.
///
/// ```
/// use pilotage_diagnostic::nearest;
///
/// assert_eq!(nearest("heathcheck", ["healthcheck", "regression"]), Some("healthcheck"));
/// assert_eq!(nearest("tryTimeout", ["timeout", "try_timeout"]), Some("try_timeout"));
/// assert_eq!(nearest("colour", ["ports", "image"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing is quadratic in the length, and no key is that long: a hostile word is not worth it.
    if word.len() > 100 {
        return None;
    }
    let plain = simplified(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = simplified(candidate);
            let distance = strsim::damerau_levenshtein(&plain, &other);
            let longer = plain.chars().count().max(other.chars().count());
            (distance == 0 || distance * 3 <= longer).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn simplified(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["version", "image", "ports", "port", "get", "cpu"];
        assert_eq!(nearest("verison", keys), Some("version"));
        assert_eq!(nearest("Ports", keys), Some("ports"));
        assert_eq!(nearest("prt", keys), Some("port"));
        assert_eq!(nearest("put", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"version".repeat(1000), keys), None);
    }
}
