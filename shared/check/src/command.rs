use crate::judge::excerpt;
use crate::verdict::{Class, Said, Verdict};

/// What a shell and the container engines say of a command that is not there or no program.
const NOT_EXECUTABLE: [i32; 2] = [126, 127];

/// How the end of a command stands to the expectation that it exits 0. `output` is the last it said.
pub(crate) fn exited(code: Option<i32>, output: &str) -> Verdict {
    let said = match output.trim_end().lines().next_back().map(str::trim) {
        None | Some("") => String::new(),
        Some(last) => format!(": {}", excerpt(last.as_bytes(), 200)),
    };
    let (key, text, class) = match code {
        Some(0) => {
            return Verdict::Good {
                said: Said {
                    key: "exit 0".to_owned(),
                    text: "exit 0".to_owned(),
                },
                version: None,
            };
        }
        Some(code) if NOT_EXECUTABLE.contains(&code) => (
            format!("exit {code}"),
            format!("exit {code}, which says that there is no such program{said}"),
            Class::Terminal,
        ),
        Some(code) => (
            format!("exit {code}"),
            format!("exit {code} where 0 is expected{said}"),
            Class::Transient,
        ),
        None => (
            "killed".to_owned(),
            format!("ended by a signal where exit 0 is expected{said}"),
            Class::Transient,
        ),
    };
    Verdict::Bad(Said { key, text }, class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_well_when_it_exits_with_0() {
        assert!(exited(Some(0), "whatever\n").is_good());
        let said = |code, output: &str| {
            let verdict = exited(code, output);
            (verdict.said().text.clone(), verdict.class())
        };
        assert_eq!(
            said(Some(1), "connecting\nno database\u{7}\n\n"),
            (
                "exit 1 where 0 is expected: no database\\u{7}".to_owned(),
                Some(Class::Transient)
            )
        );
        assert_eq!(said(Some(127), "").1, Some(Class::Terminal));
        assert_eq!(said(None, "").0, "ended by a signal where exit 0 is expected");
    }
}
